/* awq_model.h - a whole model through AWQ, one layer after another
 *
 *     struct awq_model *m = awq_model_new(&opt, &err);
 *     awq_model_data(m, i, &bytes, &err);          // layers run until tensor i is there
 *     awq_model_free(m);
 *
 * A layer runs on the text once, as it is, while what its matrices multiply is summed up; its
 * outputs are the next layer's inputs. Then scales are searched, folded, and its matrices rounded
 * (lib/quant/awq_layer.h).
 *
 * Memory, beside the mapped model: the hidden states of the text (chunks * tokens * d_model
 * floats); one layer packed, in floats, and as it became; second moments of cols^2 * 4.5 bytes for
 * each different input (attention has two, a dense FFN two, each expert two).
 */
#ifndef AWQ_MODEL_H
#define AWQ_MODEL_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/model/model.h"
#include "lib/quant/awq_layer.h"
#include "lib/quant/source.h"

/* What became of one matrix. */
struct awq_row {
    int layer;
    const char *tensor;
    int expert;                 /* -1: none */
    int type;                   /* what it is stored as; -1: groups */
    int64_t rows, cols, tokens;
    int ratio;                  /* of its input's scales, in twentieths */
    struct awq_report report;
};

struct awq_model_options {
    const struct model *model;      /* not packed */
    struct source *source;          /* tensors of the same names */
    const int32_t *token;           /* [chunks][tokens] */
    int chunks, tokens;
    struct awq_options awq;         /* without blas; its kern runs the model, too */
    const uint8_t *chosen;          /* [tensors] 1: quantize it */
    /* [tensors] enum kern_type of the result. native: blocks by their own grids; else groups,
     * stored as that type (by grouped_type, or floats). Of tensors that folding changes floats.
     * NULL: awq_model_grouped and awq_model_values are asked. */
    const int *type;
    int native;
    /* What v becomes in tensor i of the output. */
    float (*stored)(void *arg, uint64_t i, float v);
    void (*report)(void *arg, const struct awq_row *row);       /* or NULL */
    void (*progress)(void *arg, int64_t done, int64_t total);   /* or NULL */
    void *arg;
};

/* changed[tensors] = 1 for what folding may change: norms, routers and V's biases of all layers. */
void awq_model_changed(const struct source *s, uint8_t *changed);

struct awq_model;
struct awq_model *awq_model_new(const struct awq_model_options *opt, struct err *err);
void awq_model_free(struct awq_model *m);       /* NULL is fine */

/* The bytes of tensor i in its type; *data NULL: it is not changed. Or matrix `mat` of it as
 * groups, or the values of a tensor that may be changed. Borrowed until a tensor of a later layer
 * is asked for, after which those of earlier ones are gone. */
int awq_model_data(struct awq_model *m, uint64_t i, const void **data, struct err *err);
int awq_model_grouped(struct awq_model *m, uint64_t i, int64_t mat, const struct grouped **out,
                      struct err *err);
int awq_model_values(struct awq_model *m, uint64_t i, const float **out, struct err *err);
/* order[tensors]: by layer, the rest first, as the file has them; how a file is to be written. */
void awq_model_order(const struct awq_model *m, uint64_t *order);

#endif
