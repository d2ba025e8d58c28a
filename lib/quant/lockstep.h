/* lockstep.h - several models over one text, in passes of the same tokens, against one base
 *
 *     struct lockstep l = {.kern = k, .par = par, .base = m, .token = t, .chunks = c,
 *                          .tokens = 512, .bos = -1, .other = others, .others = n};
 *     lockstep_run(&l, &err);
 *
 * The text is taken as llama-perplexity takes it: a chunk starts from nothing, and only the
 * predictions in its second half count, positions tokens / 2 to tokens - 2. The base runs once
 * however many models there are, or not at all where its log-probabilities come from a file.
 * Memory: all models, a KV cache of each, and logits of as many rows as fit into LOCKSTEP_BYTES,
 * twice: a large vocabulary makes passes shorter, not larger.
 */
#ifndef LOCKSTEP_H
#define LOCKSTEP_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/model/model.h"
#include "lib/quant/agreement.h"
#include "lib/quant/fidelity.h"
#include "lib/quant/klbase.h"

#define LOCKSTEP_BYTES (64 << 20)

struct lockstep_model {
    const struct model *model;
    struct fidelity fidelity;   /* filled; the caller closes it */
    struct agreement *agreement;        /* filled; NULL without a base model, for dense models, and
                                         * where experts are others; the caller frees it */
};

struct lockstep {
    const struct kern *kern;
    struct par *par;
    int kv_type;                /* of the KV caches: KERN_F16, KERN_F32, KERN_Q8_0 */
    int batch;                  /* most rows of a pass; 0: 512 */
    const int32_t *token;       /* [chunks][tokens] */
    int chunks, tokens;
    int32_t bos;                /* takes the place of each chunk's first token; -1: none */
    const struct model *base;   /* or NULL, and: */
    struct klbase *from;        /* of this very text, at its first row */
    struct klbase_writer *save; /* gets the base's predictions; or NULL */
    struct lockstep_model *other;       /* [others], of the base's vocabulary */
    int others;
    void (*progress)(void *arg, int64_t done, int64_t total);      /* in chunks; or NULL */
    void *arg;
};

int lockstep_run(struct lockstep *l, struct err *err);

#endif
