/* gptq_model.h - a whole model through GPTQ, one layer after another
 *
 *     struct gptq_model *m = gptq_model_new(&opt, &err);
 *     gptq_model_data(m, i, &bytes, &err);         // layers run until tensor i is there
 *     gptq_model_free(m);
 *
 * A layer is run on the text as it is, while what its matrices multiply is summed up; they are
 * quantized, each expert on the tokens that were routed to it; the layer is run again with what
 * they became, and its outputs are the next layer's inputs. So each layer makes up for the errors
 * of those before it.
 *
 * Memory, beside the mapped model: the hidden states of the text (chunks * tokens * d_model
 * floats); one layer three times (as it was, as it became, as it is to be written; the first two
 * in 2 bytes an element for F16 and BF16 models); second moments, of cols^2 * 4.5 bytes for each
 * different input (attention has two, a dense FFN two, each expert two), of experts at most
 * hessian_bytes at a time, for which the layer runs more than once; one matrix in floats, twice,
 * and one factor of cols^2 * 4 bytes.
 */
#ifndef GPTQ_MODEL_H
#define GPTQ_MODEL_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/model/model.h"
#include "lib/quant/gptq.h"
#include "lib/quant/source.h"

/* What became of one matrix. */
struct gptq_row {
    int layer;                  /* -1: the head */
    const char *tensor;
    int expert;                 /* -1: none */
    int type;                   /* what it is stored as; -1: groups */
    int64_t rows, cols, tokens;
    struct gptq_report report;
    struct hessian_found found;
    int nearest;                /* nothing to go by: every code is the nearest */
    double ms;                  /* without the layer's runs */
};

struct gptq_model_options {
    const struct model *model;      /* not packed */
    struct source *source;          /* tensors of the same names */
    const int32_t *token;           /* [chunks][tokens] */
    int chunks, tokens;
    struct par *par;
    struct gptq_options gptq;       /* its kern runs the model, too */
    const uint8_t *chosen;          /* [tensors] 1: quantize it; see gptq_model_choose */
    /* [tensors] enum kern_type of the result. native: blocks by their own grids; else groups,
     * stored as that type (by grouped_type, or floats). NULL: gptq_model_grouped is asked. */
    const int *type;
    int native;
    int64_t hessian_bytes;          /* of experts at a time; 0: all of them */
    void (*report)(void *arg, const struct gptq_row *row);      /* or NULL */
    void (*progress)(void *arg, int64_t done, int64_t total);   /* or NULL */
    void *arg;
};

/* chosen[tensors] = 1 for the matrices of attention and of feed-forward networks, dense, shared and
 * of experts, and for the head where asked for (unless it is the embedding). Routers are not. */
void gptq_model_choose(const struct model *model, const struct source *s, int head,
                       uint8_t *chosen);

struct gptq_model;
struct gptq_model *gptq_model_new(const struct gptq_model_options *opt, struct err *err);
void gptq_model_free(struct gptq_model *m);     /* NULL is fine */

/* The bytes of tensor i in its type, or matrix `mat` of it as groups: borrowed until a tensor of
 * a later layer is asked for, after which those of earlier ones are gone. */
int gptq_model_data(struct gptq_model *m, uint64_t i, const void **data, struct err *err);
int gptq_model_grouped(struct gptq_model *m, uint64_t i, int64_t mat, const struct grouped **out,
                       struct err *err);
/* order[tensors]: by layer, the rest first, as the file has them; how a file is to be written. */
void gptq_model_order(const struct gptq_model *m, uint64_t *order);

#endif
