/* awq_layer.h - AWQ over a layer of a model: what shares an input, and where scales are folded
 *
 *     struct awq_gather *g = awq_gather_new(model, blas, par);
 *     session_options.tap = awq_gather_tap(g);
 *     for (layer = 0; ...) {
 *         awq_gather_begin(g, layer);
 *         calib_run(c, layer, NULL, 1, &err);          // the tap fills g, and on to the next layer
 *         struct awq_layer *a = awq_layer_make(g, &opt, &err);
 *         ... use the matrices and the tensors of a ...
 *         awq_layer_free(a);
 *     }
 *
 * Scales of an input are folded into what makes it:
 *   attention norm     for Q, K and V
 *   V                  for the output projection; the query heads of a group share the V head's
 *   FFN norm           for gate and up; of a mixture for those of every expert, each on the rows
 *                      routed to it, and of the shared expert. Routers read the same input and are
 *                      multiplied by s: powers of two there, so that not a bit of routing moves
 *   up                 for down, also of every expert and of the shared one
 * s is 1 where a matrix that reads the input is not quantized. A norm (and V's bias) gets the value
 * that its tensor can hold, and s is what that makes of it, so that folding loses nothing.
 *
 * Inputs are those of the model as it is: layers before are not quantized (as in the paper's
 * implementation).
 */
#ifndef AWQ_LAYER_H
#define AWQ_LAYER_H

#include "lib/base/err.h"
#include "lib/infer/session.h"
#include "lib/model/model.h"
#include "lib/quant/awq.h"

struct awq_layer_options {
    struct awq_options awq;
    /* Whether this matrix of the layer is to be quantized. */
    int (*wanted)(void *arg, const struct kern_weight *w);
    /* enum kern_type whose own grid it gets, -1: groups. NULL: groups all. */
    int (*type)(void *arg, const struct kern_weight *w);
    /* What v becomes in that tensor of the output; NULL: itself. */
    float (*stored)(void *arg, const char *tensor, float v);
    void *arg;
};

struct awq_matrix {
    const struct kern_weight *weight;   /* a member of the model's layer */
    int64_t mat;
    struct grouped *grouped;            /* or */
    void *blocks;                       /* rows of blocks of its type */
    int64_t seen;                       /* rows of text */
    int ratio;                          /* of its input's scales, in twentieths */
    struct awq_report report;
};

/* A tensor that folding changes. */
struct awq_tensor {
    char name[64];                      /* "blk.3.attn_norm.weight" */
    int64_t n;
    float *value;                       /* [n] */
};

struct awq_layer {
    struct awq_matrix *matrix;
    int matrices;
    struct awq_tensor *tensor;
    int tensors;
};

struct awq_gather;
struct awq_gather *awq_gather_new(const struct model *m, const struct blas *blas, struct par *par);
void awq_gather_free(struct awq_gather *g);             /* NULL is fine */
struct session_tap awq_gather_tap(struct awq_gather *g);
/* Forgets what was seen; from now on the inputs of this layer are added up. */
void awq_gather_begin(struct awq_gather *g, int layer);

/* NULL on error: weights that are not finite, no memory. */
struct awq_layer *awq_layer_make(struct awq_gather *g, const struct awq_layer_options *opt,
                                 struct err *err);
void awq_layer_free(struct awq_layer *a);               /* NULL is fine */

#endif
