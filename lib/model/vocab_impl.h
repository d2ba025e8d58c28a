/* vocab_impl.h - what the files of the tokenizers share; private to lib/model
 *
 * vocab.c reads the file's arrays and drives an encoding; special.c knows which tokens are
 * special and finds them in a text; bpe.c, spm.c and wpm.c turn the text between them into ids;
 * detok.c goes back; pieces.c and merge.c are what BPE and SentencePiece have in common.
 */
#ifndef VOCAB_IMPL_H
#define VOCAB_IMPL_H

#include <string.h>

#include "lib/model/uniclass.h"
#include "lib/model/vocab.h"

/* ---- strings: one blob, and a hash table of places in it ---------------------------------- */

struct strings {
    char *blob;
    uint32_t *off;              /* n + 1 places */
    uint32_t n;
    uint32_t longest;           /* bytes of the longest string */
    struct strings_slot {
        uint32_t hash;
        uint32_t next;          /* index + 1; 0 is an empty slot */
    } *slot;
    uint32_t mask;
};

/* Copies n strings; the table stays empty until strings_put. -1 when they exceed 4 GB. */
int strings_copy(struct strings *t, const struct gguf_string *s, uint64_t n);
void strings_free(struct strings *t);
static inline const char *strings_at(const struct strings *t, uint32_t i, uint32_t *len) {
    *len = t->off[i + 1] - t->off[i];
    return t->blob + t->off[i];
}
uint32_t strings_hash(const char *s, size_t len);

/* ---- merge.c ------------------------------------------------------------------------------- */

#define MERGE_NONE UINT32_MAX

/* Rank of joining text[0, left) with text[left, left + right); the lowest goes first, of equals
 * the leftmost; MERGE_NONE: never. */
struct vocab;
typedef uint32_t merge_rank(const struct vocab *v, const char *text, uint32_t left,
                            uint32_t right);
/* Bytes of the character that a byte begins, from its high bits alone. */
static inline size_t merger_character(unsigned char c) {
    return c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}
struct merger *merger_new(void);
void merger_free(struct merger *m);
/* Splits text[len] into characters and joins neighbours until no rank is left. Returns how many
 * pieces there are; (*piece)[i] is the length of the i-th. */
size_t merger_run(struct merger *m, const struct vocab *v, const char *text, size_t len,
                  merge_rank *rank, const uint32_t **piece);

/* ---- the vocabulary ------------------------------------------------------------------------ */

enum {                          /* kinds of token, as bits: a file's rules may combine them */
    TOKEN_UNKNOWN = 1, TOKEN_UNUSED = 2, TOKEN_NORMAL = 4, TOKEN_CONTROL = 8, TOKEN_USER = 16,
    TOKEN_BYTE = 32,
    TOKEN_LSTRIP = 64, TOKEN_RSTRIP = 128,      /* swallows the whitespace before, after it */
    TOKEN_END = 256,                            /* generation ends here */
    TOKEN_SPECIAL = TOKEN_CONTROL | TOKEN_USER | TOKEN_UNKNOWN  /* looked for in the text */
};

struct vocab_kind;
struct pretok;

struct vocab {
    const struct vocab_kind *kind;
    struct strings token;
    uint16_t *attr;             /* [token.n] TOKEN_ bits */
    float *score;               /* [token.n], SentencePiece */
    struct strings merge;       /* BPE: "left right", in order of rank */
    struct pretok *pretok;      /* BPE */
    struct uniclass *uni;       /* BPE, WordPiece */
    int32_t bos, eos, eot, unk, sep;
    int add_bos, add_eos;
    int32_t closing;            /* what VOCAB_BOS puts behind a text: EOS, SEP or -1 */
    int space_prefix;           /* SentencePiece: texts begin with a space of ours */
    int escape_space;           /* a space is written U+2581 in the tokens */
    int raw;                    /* BPE on the text's own bytes, not on their printable stand-ins */
    int ignore_merges;          /* a word that is a token is that token */
    int split_white;            /* BPE over what whitespace separates, which is dropped */
    int lowercase, strip_accents;
    int32_t byte_id[256];       /* SentencePiece and raw BPE: <0xXX>; byte BPE: the lone byte */
    uint8_t before_mark[256];   /* a token has a U+2581 after this byte, see pieces.c */
    struct special *special;
};

/* Everything that one encoding needs and that threads must not share. */
struct encoding {
    const struct vocab *v;
    struct ids *out;
    struct merger *merger;
    struct pretok_work *split;
    struct memory *memory;
    struct buf text;            /* the fragment as the kind wants it */
    struct buf word;
};

struct vocab_kind {
    const char *model;          /* tokenizer.ggml.model */
    const char *name;           /* what vocab_kind() says */
    /* Reads what only this kind has; the tokens are there. 0 or -1. */
    int (*open)(struct vocab *v, const struct gguf *g, struct err *err);
    /* Appends the ids of a piece of text without special tokens, len > 0. after_special: it
     * stands at the start or behind a special token. */
    void (*encode)(struct encoding *e, const char *text, size_t len, int after_special);
    merge_rank *rank;
};
extern const struct vocab_kind vocab_kind_spm, vocab_kind_wpm;
extern const struct vocab_kind vocab_kind_bpe, vocab_kind_bpe_white, vocab_kind_bpe_raw;

/* The token of s[len], -1 when there is none. */
int32_t vocab_lookup(const struct vocab *v, const char *s, size_t len);

/* ---- pieces.c ------------------------------------------------------------------------------ */

/* Tells of a text that can come of a join: where it has marked spaces inside. */
void pieces_note(struct vocab *v, const char *s, size_t len);
/* Appends the ids of s[len], which joins neither what is before nor what is behind it. */
void pieces_add(struct encoding *e, const char *s, size_t len);
/* Before the first part of a text of len bytes. */
void pieces_begin(struct encoding *e, size_t len);

/* ---- special.c ------------------------------------------------------------------------------ */

struct special;
/* Settles v's special ids, the kind of every token, and the tables to find them with. */
void special_open(struct vocab *v, const struct gguf *g);
void special_free(struct special *s);

struct special_hit {
    size_t at, len;
    int32_t id;
};
/* Finds the special tokens of text[len]: hits in order of place. The text between them is what
 * mark says 0 of; mark is NULL when there are no hits. Caller frees both. */
size_t special_find(const struct vocab *v, const char *text, size_t len, int control,
                    struct special_hit **hit, char **mark);

/* ---- detok.c -------------------------------------------------------------------------------- */

/* The stand-in of GPT-2 for a byte: a printable code point; and back, -1 when it is none. */
uint32_t detok_stand_in(unsigned char byte);
int detok_byte_of(uint32_t cp);

#endif
