/* vocab.h - tokenizers: text to token ids and back, from a GGUF file's own vocabulary
 *
 *     struct vocab *v = vocab_open(gguf, &err);
 *     struct ids ids = {0};
 *     vocab_encode(v, text, len, VOCAB_BOS, &ids, &err);
 *
 * Kinds (tokenizer.ggml.model): "gpt2" byte-level BPE with the pre-tokenizer pattern named by
 * tokenizer.ggml.pre, "llama" SentencePiece with byte fallback, "bert" WordPiece. One file per
 * kind (bpe.c, spm.c, wpm.c) behind one table. Ids agree with llama.cpp's for the same file.
 * A vocab is read-only after open: many threads may encode at once. It keeps copies of what it
 * read: the file may be closed.
 */
#ifndef VOCAB_H
#define VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/format/gguf.h"

struct vocab;

struct ids {                /* a growing list of token ids; {0} is empty, free(id) releases */
    int32_t *id;
    size_t n, cap;
};
void ids_add(struct ids *ids, int32_t id);

enum {
    VOCAB_BOS = 1,          /* the file's BOS (and EOS where the file says so) around the text */
    VOCAB_SPECIAL = 2       /* control tokens written out in the text (<|im_start|>) become ids */
};

/* Needs only metadata: vocabulary-only files will do. NULL when the file has no vocabulary, names
 * an unknown tokenizer or pre-tokenizer (the message lists it), or one that contradicts itself. */
struct vocab *vocab_open(const struct gguf *g, struct err *err);
void vocab_free(struct vocab *v);

int vocab_size(const struct vocab *v);
/* Appends the ids of text[len] to ids. 0; -1 on invalid arguments only (any bytes are text). */
int vocab_encode(const struct vocab *v, const char *text, size_t len, int flags, struct ids *ids,
                 struct err *err);
/* Appends the bytes of one token to out: the text it stands for, spaces and bytes restored.
 * Control tokens give nothing unless special is set (then their written form). -1: id outside
 * the vocabulary. A multi-byte character may be spread over several tokens. */
int vocab_decode(const struct vocab *v, int32_t id, int special, struct buf *out);
/* The text of ids[n], with the leading space that SentencePiece adds taken off again. */
int vocab_decode_all(const struct vocab *v, const int32_t *id, size_t n, int special,
                     struct buf *out);

int32_t vocab_bos(const struct vocab *v);           /* -1 where there is none; so below */
int32_t vocab_eos(const struct vocab *v);
int32_t vocab_eot(const struct vocab *v);
int vocab_adds_bos(const struct vocab *v);          /* does VOCAB_BOS put one in front? */
int vocab_is_end(const struct vocab *v, int32_t id);    /* EOS, EOT, EOM: generation ends */
/* The id whose written form is exactly s, or -1. */
int32_t vocab_find(const struct vocab *v, const char *s);
/* The token as the file spells it. */
struct gguf_string vocab_token(const struct vocab *v, int32_t id);
const char *vocab_kind(const struct vocab *v);      /* "gpt2", "llama", "bert" */

#endif
