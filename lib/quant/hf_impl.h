/* hf_impl.h - the pieces of a folder of Hugging Face transformers, shared by its readers
 *
 *   source_hf.c        opens the folder, gives rows
 *   hf_family.c        the table of model types, and what of config.json no GGUF can say
 *   hf_rules.c         names of tensors in folders and in GGUF files
 *   hf_tensors.c       which tensor of the folder goes where
 *   hf_rope.c          positions: scaling, and the factors of Llama 3
 *   hf_check.c         whether they are all there, in the right shapes
 *   hf_keys.c          the model's metadata
 *   hf_name.c          general.name and its kin
 *   hf_vocab.c         the vocabulary's metadata
 *   hf_tokenizer.c     reads tokenizer.json
 *   hf_sentencepiece.c reads tokenizer.model
 *   hf_pretok.c        names a pre-tokenizer
 *   hf_special.c       special tokens and chat templates
 */
#ifndef HF_IMPL_H
#define HF_IMPL_H

#include "lib/base/mem.h"
#include "lib/quant/hf.h"
#include "lib/shape/fields.h"

/* What a model_type of config.json is as a GGUF. */
struct hf_family {
    const char *type;           /* model_type */
    const char *arch;           /* general.architecture */
    int permuted;               /* rows of Q and K: rotary pairs are neighbours there */
    float norm_added;           /* to every norm's weights */
    const char *act;            /* the activation that the architecture has */
    int normalises;             /* norm_topk_prob that it computes; -1: there is no such key */
    int sentencepiece;          /* tokenizer.model is looked for */
    /* What config.json may leave out: */
    int context;
    double rope_base, norm_eps;
    int head_dim;               /* 0: d_model / heads */
};

struct hf_config {
    const struct hf_family *family;
    cJSON *doc;
    struct fields whole;        /* config.json */
    struct fields text;         /* the language model in it: whole, or its text_config */
    char *where;                /* path of config.json */
    int layers, d_model, heads, kv_heads, head_dim, vocab, experts;
    int tied;
};

/* One tensor of the source. */
struct hf_tensor {
    char *name;                 /* what source.tensor calls it */
    struct hf_origin *origin;   /* [mats] */
    int64_t mats;
    int64_t mat_rows;
    float *made;                /* [ne[0]]: computed, not from the folder */
};

#define HF_SMALL 9

struct hf {
    struct source source;       /* first */
    struct hf_config config;
    struct st_set *set;
    struct hf_tensor *tensor;   /* [source.tensors] */
    char *pre;                  /* of the options, or NULL */
    char *small[HF_SMALL];      /* paths of the files beside the weights, there or not */
};

/* A small file of the folder as an object; *doc NULL and 0 when there is none and it need not be. */
int hf_read_json(const char *path, const char *name, int required, cJSON **doc, struct err *err);
/* A whole file of at most max bytes, NUL-terminated; 1: there is none. */
int hf_read_file(const char *path, const char *name, size_t max, struct buf *out, struct err *err);

int hf_config_open(struct hf_config *c, const char *path, struct err *err);
void hf_config_close(struct hf_config *c);
/* The parameters of rotary embedding, whichever generation of config.json says them. scaling is
 * what holds "factor" and its kin, of object NULL where nothing is scaled. */
struct hf_rope {
    double base, local_base;    /* local_base 0: none of its own */
    const char *type;           /* "default", "linear", "yarn", "llama3" */
    struct fields scaling;
};
void hf_rope_read(struct hf_config *c, struct hf_rope *r);

/* What is done to a tensor on the way. */
enum {
    HF_F32 = 1,                 /* as llama.cpp stores it whatever the rest is */
    HF_NORM = 2,                /* gets the family's addition */
    HF_PERMUTE_Q = 4,
    HF_PERMUTE_K = 8,
    HF_EXPERT = 16,             /* one of many, or all */
    HF_GATE_UP = 32,            /* rows of gate, then of up, of every expert */
    HF_GEMMA = 64               /* only of gemma3; the same name may mean another elsewhere */
};

struct hf_rule {
    const char *from, *to;
    unsigned flags;
    int order;                  /* among what becomes complete with the same tensor */
};

/* A name taken apart. */
struct hf_place {
    const struct hf_rule *rule;
    int layer;                  /* -1: none */
    int expert;                 /* -1: not numbered */
};

/* -1: the name is not known. */
int hf_parse_name(const char *name, int gemma, struct hf_place *p);
/* Which tensor of the layer `to` of a rule is: below HF_SLOTS. */
int hf_slot(int layer, const char *to);
#define HF_SLOTS 64
/* 1: a text model does not need it. */
int hf_ignores(const char *name, const struct hf_config *c);

/* [head_dim / 2], by what Llama 3 divides frequencies; *out NULL where the model does not. */
int hf_rope_factors(struct hf_config *c, float **out);

/* enum kern_type of what weights may be stored as, -1: something else. */
int hf_type(const struct st_tensor *t);
/* Fills source.tensor and tensor from the set. */
int hf_map_tensors(struct hf *h, struct err *err);
/* Whether all that the architecture needs is there, in the shapes that config.json says. */
int hf_check_tensors(const struct hf *h, struct err *err);
void hf_free_tensors(struct hf *h);

/* ---- vocabulary ------------------------------------------------------------------------- */

enum { HF_NORMAL = 1, HF_UNKNOWN, HF_CONTROL, HF_USER, HF_UNUSED, HF_BYTE };    /* kinds of token */

struct hf_text {
    size_t at, len;             /* in an arena */
};

/* A token and its id, as a file has it. */
struct hf_piece {
    struct hf_text text;
    int64_t id;
    int special;
};

/* What tokenizer.json says. */
struct hf_tokenizer {
    struct buf arena;
    struct hf_piece *piece, *added;
    size_t pieces, added_tokens;
    struct hf_text *merge;      /* "left right" */
    size_t merges;
    char type[32];              /* of the model: "BPE" */
    int byte_fallback, ignore_merges;
    /* Borrowed by what looks at them; NULL: none. */
    cJSON *normalizer, *pre_tokenizer, *post_processor;
    char *where;
};

/* What the GGUF says. */
struct hf_vocab {
    const char *model;          /* "llama": SentencePiece; "gpt2": byte-level BPE */
    const char *pre;
    int size;
    struct buf arena;
    struct hf_text *token;      /* [size] */
    int64_t *kind;              /* [size], HF_UNUSED where no file has a token of that id */
    float *score;               /* [size]; only SentencePiece */
    int space_prefix;           /* 1, 0; -1: the readers' default */
};

/* 1: there is no such file. */
int hf_tokenizer_read(struct hf_tokenizer *t, const char *path, struct err *err);
void hf_tokenizer_free(struct hf_tokenizer *t);
/* The pieces of tokenizer.model. 1: there is no such file. */
int hf_sentencepiece_read(struct hf_vocab *v, const char *path, struct err *err);
/* Replaces what v has of an id, which is below v->size. */
void hf_vocab_set(struct hf_vocab *v, int64_t id, const char *text, size_t len, int kind,
                  float score);
/* The name that llama.cpp has for what tokenizer.json does before BPE; NULL with err. */
const char *hf_pretok_name(const struct hf_tokenizer *t, struct err *err);
/* SentencePiece's ways in a tokenizer.json: *prefix, whether a text gets a space in front. */
int hf_pretok_spaces(const struct hf_tokenizer *t, int *prefix, struct err *err);

/* t NULL: there is no tokenizer.json. config is tokenizer_config.json, or NULL. */
void hf_put_special(const struct hf *h, const struct hf_tokenizer *t, const cJSON *config,
                    struct gguf_writer *w);
int hf_put_templates(const struct hf *h, const cJSON *config, struct gguf_writer *w,
                     struct err *err);
int hf_put_vocab(struct hf *h, struct gguf_writer *w, struct err *err);

int hf_put_model(struct hf *h, struct gguf_writer *w, struct err *err);
int hf_put_names(const struct hf *h, struct gguf_writer *w, struct err *err);

#endif
