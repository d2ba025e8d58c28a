/* corpus.c - a long text as chunks of tokens, see corpus.h */
#include "cmd/corpus.h"

#include "cmd/common.h"
#include "lib/format/zio.h"

int corpus_read(const char *path, const struct vocab *v, int special, int length, int most,
                struct ids *ids) {
    struct buf text = {0};
    struct err err;
    if (zio_read_all(path, &text, &err))
        die_err(&err);
    if (text.len > 0 && text.data[text.len - 1] == '\n')
        text.len--;             /* as llama-perplexity does */
    if (vocab_encode(v, text.data ? text.data : "", text.len,
                     VOCAB_BOS | (special ? VOCAB_SPECIAL : 0), ids, &err))
        die_err(&err);
    buf_free(&text);
    if (ids->n < (size_t)length)
        die("%s: %zu tokens: expected at least one chunk of %d (-c)", input_name(path), ids->n,
            length);
    size_t chunks = ids->n / (size_t)length;
    if (most > 0 && (size_t)most < chunks)
        chunks = (size_t)most;
    for (size_t c = 0; vocab_adds_bos(v) && c < chunks; c++)
        ids->id[c * (size_t)length] = vocab_bos(v);
    return (int)chunks;
}
