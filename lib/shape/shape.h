/* shape.h - what a model computes: widths, layers, routing, and the arithmetic that follows
 *
 * A shape says everything about a model but its weights. For running a model it is read from a
 * GGUF header (each architecture is one small file, arch_*.c, and one row in arch.c). For counting
 * what a model costs it comes from wherever its widths are written down:
 *
 *     struct shape *s = shape_find("deepseek-v3", &err);      // or a file: see below
 *     double bytes = shape_sequence_kv_bytes(s, 4096, 16);
 *     double flops = shape_prefill_flops(s, 3072, 4096);
 *     shape_free(s);
 */
#ifndef SHAPE_H
#define SHAPE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/format/gguf.h"

enum shape_act { SHAPE_SILU, SHAPE_GELU_TANH, SHAPE_GELU_ERF };
enum shape_gate { SHAPE_GATE_SOFTMAX, SHAPE_GATE_SIGMOID, SHAPE_GATE_TOPK_SOFTMAX };
enum shape_qk_norm { SHAPE_QK_NONE, SHAPE_QK_HEAD, SHAPE_QK_FULL };

/* Rotary embedding; the meaning of the fields is that of kernels/kern.h, struct kern_rope. */
struct shape_rope {
    int dims;               /* rotated elements of a head; 0: no rotation */
    int neox;
    float base, freq_scale, ext_factor, attn_factor, beta_fast, beta_slow;
    int orig_context;
};

struct shape_layer {
    int heads, kv_heads;
    int dk, dv;             /* elements of a head's key and value */
    int window;             /* sliding window in tokens, 0 = full attention */
    int rope;               /* index into shape.rope */
    int d_ff;               /* dense FFN width, 0: none */
    int experts, top_k;     /* 0: no routed experts in this layer */
    int d_expert;           /* hidden width of one expert */
    int d_shared;           /* hidden width of the shared expert(s), 0: none */

    /* Latent attention (MLA, arXiv 2405.04434): keys and values of all heads are made from one
     * latent vector a token, which is what the cache keeps, beside the rotary part of the key that
     * all heads share. dk counts a head's rotary elements too, kv_heads is heads. */
    int kv_latent;          /* elements of that vector, 0: keys and values are kept themselves */
    int rope_dims;          /* elements of the shared rotary key */
    int q_latent;           /* queries are made from a vector of so many; 0: from the hidden one */
};

#define SHAPE_ROPES 2

struct shape {
    char arch[32];
    char name[128];         /* general.name, or the file's name */
    int layers, d_model, vocab;
    int context;            /* trained context length in tokens */
    struct shape_layer *layer;          /* [layers] */
    struct shape_rope rope[SHAPE_ROPES];
    float norm_eps;
    float attn_scale;       /* 1/sqrt(dk) unless the model says otherwise */
    float attn_softcap, final_softcap;  /* 0: none */
    float embed_scale;      /* embeddings are multiplied by it (1: nothing) */
    int act;                /* enum shape_act */
    int gate;               /* enum shape_gate, with the four below */
    int gate_normalise;
    float gate_scale;
    int groups, groups_used;
    int shared_gate;        /* the shared expert is multiplied by sigmoid(its gate) */
    int qk_norm;            /* enum shape_qk_norm */
    int post_norms;         /* norms after attention and after the FFN (gemma) */
    int tied;               /* the head is the embedding matrix */

    /* Counted from the tensors of a GGUF header, read from a trace, or computed from the widths
     * (gated FFNs, RMS norms) and the bits of the weights' type: */
    int64_t params;         /* every element, embeddings included */
    int64_t params_active;  /* used for one token: all but the experts not chosen and, unless the
                             * head is tied to it, the embedding matrix (one row is read) */
    int64_t weight_bytes;   /* as stored */
    int64_t *dense_bytes;   /* [layers]: attention, norms, router, dense, shared FFN, as stored */
    int64_t *expert_bytes;  /* [layers]: gate, up and down of one expert, as stored; 0: dense */
    int64_t head_bytes;     /* output head (or the tied embedding) and its norm, as stored */
    char quant[32];         /* "Q4_K_M", from general.file_type, or the commonest type */
};

/* Reads the shape from a GGUF header. Refuses an architecture that arch.c does not list, and
 * any number that no model can have. NULL on error. */
struct shape *shape_from_gguf(const struct gguf *g, struct err *err);
void shape_free(struct shape *s);

/* The shape that `spec` says, for counting, not for running (no rope, norms' epsilon or scales
 * unless it is a GGUF):
 *   a GGUF file of an architecture of shape_archs, or of DeepSeek-V2 and -V3, GLM-4.5, gpt-oss,
 *   Gemma 2, Granite and Phi-3, which can be counted but not run
 *   config.json of Hugging Face transformers, or the folder that holds one
 *   a run trace, plain or zstd (llm-trace(5)): the shape in its first line
 *   numbers: "layers=32,d_model=4096,heads=32,kv_heads=8,d_ff=14336", or a known model with some
 *   of them changed: "llama-3.1-70b,weight_bits=8" (see shape_numbers.c)
 *   the name of a known model, upper or lower case, with its maker or without (shape_names)
 * A file is sniffed, whatever its name. A known name goes before a file of that name in the
 * current folder, so that it means the same everywhere ("./NAME" is the file). NULL on error; for
 * what is none of these, err says what would be. */
struct shape *shape_find(const char *spec, struct err *err);
/* The shape in a run record, which is all of text; path is for messages. */
struct shape *shape_from_run(const char *path, const char *text, size_t len, struct err *err);
/* Names of known models; NULL-terminated. */
const char *const *shape_names(void);
/* Who says what a known model's widths are: the repository of its config.json, and the paper or
 * report. *date: the month of its publication, "2024-07". NULL: it is not known. */
const char *shape_source(const char *name, const char **date);
/* Names of all architectures, one table row each; NULL-terminated. */
const char *const *shape_archs(void);

/* ---- arithmetic ------------------------------------------------------------------------- */

/* FLOPs (a multiply-add counts two) of one pass, by kind. Matrix products and attention only:
 * norms, activations and sampling are below 1 %. */
struct shape_flops {
    double attention;       /* projections, and scores and values over the visible positions */
    double dense;           /* dense FFN, shared experts and router */
    double experts;         /* routed experts that ran */
    double head;
};

/* Bytes of one pass by kind. Weights are counted once for a pass however many rows share them. */
struct shape_bytes {
    double dense;           /* read: attention, norms, router, dense and shared FFN; head if run */
    double experts;         /* read: distinct experts touched x their bytes */
    double kv_read, kv_write;
};

/* Adds one row at position pos (0-based) to f; head says whether its logits are computed. */
void shape_add_row_flops(const struct shape *s, int64_t pos, int head, struct shape_flops *f);

/* The same for one layer and only some of its work: an engine that needs no result of a row skips
 * its share of the last layer but keys and values. */
enum shape_part {
    SHAPE_KV = 1,           /* projections to keys and values */
    SHAPE_ATTENTION = 2,    /* projections to queries and from the heads, scores and values */
    SHAPE_FFN = 4           /* dense FFN, router, shared and routed experts */
};
void shape_add_layer_flops(const struct shape *s, int layer, int64_t pos, unsigned parts,
                           struct shape_flops *f);

/* KV bytes of one token over all layers for an element type of `bits` per element (F16 16, F32
 * 32, Q8_0 8.5). Latent attention: one latent and one rotary key a layer, not K and V of heads. */
double shape_kv_bytes(const struct shape *s, double bits);
/* KV bytes that rows at positions first..last of one sequence read in one pass: every position
 * that at least one of them sees, once (windows counted). */
double shape_kv_read(const struct shape *s, int64_t first, int64_t last, double bits);
/* Adds `from`, so many times. */
void shape_add_flops(struct shape_flops *into, const struct shape_flops *from, double times);
void shape_add_bytes(struct shape_bytes *into, const struct shape_bytes *from, double times);
/* Of all kinds. */
double shape_sum_flops(const struct shape_flops *f);
double shape_sum_bytes(const struct shape_bytes *b);

/* The linear assumption: FLOPs of one row were every parameter used (2 x params, experts all),
 * without attention's growth. */
double shape_linear_flops(const struct shape *s);

/* FLOPs to prefill the tokens at positions [from, to) of a sequence whose earlier ones are cached:
 * the sum of shape_add_row_flops over them, without the head, in closed form (one step a layer
 * however many tokens). 0 when to <= from. */
double shape_prefill_flops(const struct shape *s, int64_t from, int64_t to);
/* KV bytes that a sequence of so many tokens holds: a layer with a window keeps at most that many
 * tokens of it. */
double shape_sequence_kv_bytes(const struct shape *s, int64_t tokens, double bits);

#endif
