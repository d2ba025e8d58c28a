/* layer_weights.h - the matrices of a layer, as those who quantize it layer by layer need them
 *
 *     for (int k = 0; k < LAYER_INPUTS; k++)           // all that multiply the same rows
 *         for (int w = 0; w < layer_inputs[k].weights; w++)
 *             ... layer_weight(&model->layer[i], layer_inputs[k].weight[w]) ...
 *
 *     struct layer_weights packed;
 *     layer_weights_pack(&packed, &model->layer[i], par, &err);
 *     calib_run(c, i, &packed.layer, 0, &err);
 *     layer_weights_free(&packed);
 *
 * Matrices are those of attention and of feed-forward networks, dense, shared and of experts;
 * routers are none.
 */
#ifndef LAYER_WEIGHTS_H
#define LAYER_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/model/model.h"
#include "lib/quant/source.h"

/* Weights that multiply the same rows, as offsets into struct model_layer. The absence of the
 * first is that of all. */
struct layer_input {
    int weights;
    size_t weight[3];
    int experts;                /* each matrix has rows of its own */
};
enum { LAYER_INPUTS = 8, LAYER_WEIGHTS = 13 };
extern const struct layer_input layer_inputs[LAYER_INPUTS];

static inline const struct kern_weight *layer_weight(const struct model_layer *l, size_t offset) {
    return (const struct kern_weight *)((const char *)l + offset);
}

/* The tensor of s that matrix `mat` of w (a weight of m) is in; -1: none. inside, unless NULL:
 * which of the tensor's matrices it is. */
int64_t layer_weight_tensor(const struct model *m, const struct source *s,
                            const struct kern_weight *w, int64_t mat, int64_t *inside);

/* ---- another set of a layer's weights ---------------------------------------------------- */

struct layer_weights {
    struct model_layer layer;
    void *data[LAYER_WEIGHTS];  /* mapped; NULL: the weight is the model's own */
    size_t bytes[LAYER_WEIGHTS];
};

/* The layer's own weights, packed. On error what is there is to be freed, too. */
int layer_weights_pack(struct layer_weights *w, const struct model_layer *own, struct par *par,
                       struct err *err);
/* Rows first to first + rows - 1 of matrix `mat`; first is a multiple of a panel's 16. */
struct layer_values {
    int64_t mat, first, rows;
    const float *value;         /* [rows][cols] */
};
/* They become part of the weight at `offset`, in halves. */
int layer_weights_set(struct layer_weights *w, const struct model_layer *own, size_t offset,
                      const struct layer_values *v, const struct kern *k, struct par *par,
                      struct err *err);
void layer_weights_free(struct layer_weights *w);

#endif
