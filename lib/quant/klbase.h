/* klbase.h - files of base logits, as llama-perplexity writes and reads them
 *
 *     struct klbase *k = klbase_open("base.kld", &err);
 *     for (int i = 0; i < rows; i++)
 *         klbase_read(k, 1, &row, &err);
 *     klbase_close(k);
 *
 * What a model predicted for a text, so that others can be measured against it without running it
 * again. Little-endian: "_logits_"; u32 tokens of a chunk, i32 vocabulary, i32 chunks;
 * i32 token[chunks][tokens]; then for each chunk the rows of positions tokens / 2 to tokens - 2,
 * each as f32 scale, f32 least, u16 code[vocabulary], and a u16 more where that is odd:
 *     log p[i] = scale * code[i] + least
 * from 16 below the largest on, 65535 steps (--save-all-logits, --kl-divergence-base; llama.cpp,
 * tools/perplexity/perplexity.cpp). Plain or zstd; "-" is stdin. Files are hostile.
 */
#ifndef KLBASE_H
#define KLBASE_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/quant/fidelity.h"

struct klbase;

struct klbase_head {
    int tokens;                 /* of a chunk */
    int vocab;
    int chunks;
};

/* Reads the head and the tokens. NULL on error. */
struct klbase *klbase_open(const char *path, struct err *err);
void klbase_close(struct klbase *k);
struct klbase_head klbase_head(const struct klbase *k);
/* [chunks][tokens] */
const int32_t *klbase_tokens(const struct klbase *k);
/* Predictions of a chunk: tokens - 1 - tokens / 2. */
int klbase_rows(const struct klbase_head *h);
/* The next n rows, in out[n], whose codes are borrowed until the next call. -1: the file ends too
 * soon, or a row holds no log-probabilities. */
int klbase_read(struct klbase *k, int n, struct fidelity_coded *out, struct err *err);

struct klbase_writer;
/* token: [chunks][tokens]. The file appears when it is complete. */
struct klbase_writer *klbase_create(const char *path, const struct klbase_head *head,
                                    const int32_t *token, struct err *err);
/* The next n rows, logits [n][vocab]; coded by the threads of par. */
int klbase_write(struct klbase_writer *w, struct par *par, const float *logits, int n,
                 struct err *err);
int klbase_finish(struct klbase_writer *w, struct err *err);    /* frees w always */
void klbase_abort(struct klbase_writer *w);

/* A row of logits [vocab] as scale, least and code[vocab], to the bit as llama.cpp makes them but
 * for the last bit of the sum of exponentials. */
void klbase_code(const float *logits, int64_t vocab, float *scale, float *least, uint16_t *code);

#endif
