/* gptq_model_impl.h - what the files of gptq_model share
 *
 *   gptq_model.c       tensors and layers: what is asked for, and when it runs
 *   gptq_layer.c       one layer: runs, second moments, its matrices in turn
 *   gptq_matrix.c      one matrix: read, quantized, stored, ready for the second run
 *   gptq_weights.c     another set of a layer's weights, packed for speed
 */
#ifndef GPTQ_MODEL_IMPL_H
#define GPTQ_MODEL_IMPL_H

#include "lib/infer/session.h"
#include "lib/quant/calib.h"
#include "lib/quant/gptq_model.h"

/* Weights that multiply the same rows, as offsets into struct model_layer. */
struct gptq_input {
    int weights;
    size_t weight[3];
    int experts;                /* each matrix has rows of its own */
};
enum { GPTQ_INPUTS = 8, GPTQ_WEIGHTS = 13 };
extern const struct gptq_input gptq_inputs[GPTQ_INPUTS];

/* A tensor that is quantized. */
struct gptq_slot {
    int layer;                  /* as many as layers: the head; -1: not quantized */
    int64_t mats;
    char *data;                 /* of its layer while that is at hand; mapped */
    size_t bytes;
    struct grouped **grouped;   /* [mats], or NULL */
};

/* Another set of a layer's weights. */
struct gptq_weights {
    struct model_layer layer;
    void *data[GPTQ_WEIGHTS];   /* mapped; NULL: the weight is the model's own */
    size_t bytes[GPTQ_WEIGHTS];
};

struct gptq_model {
    struct gptq_model_options opt;
    const struct blas *blas;
    struct session *session;
    struct calib *calib;
    struct gptq_slot *slot;     /* [tensors] */
    int layer;                  /* the next to run */
    int64_t done, total;        /* chunks that went through a layer */
    /* Of the layer at hand: */
    struct hessian **moments[GPTQ_INPUTS];      /* [mats]; NULL: not now */
    int first, last;            /* experts whose moments are summed */
    int dense;                  /* so are those of the rest */
    int collecting;
    struct err failed;          /* in the tap */
    int bad;
};

static inline const struct kern_weight *gptq_weight(const struct model_layer *l, size_t offset) {
    return (const struct kern_weight *)((const char *)l + offset);
}

/* ---- gptq_layer.c ----------------------------------------------------------------------- */

void gptq_tap(void *arg, const struct session_input *in);
/* Fills the slots of the next layer, and moves the states on. */
int gptq_layer_run(struct gptq_model *m, struct err *err);
/* Fills the head's slot, after the last layer. */
int gptq_head_run(struct gptq_model *m, struct err *err);
/* How often layer i runs to be summed up: more than once where experts take turns. */
int gptq_layer_turns(const struct gptq_model *m, int i);

/* ---- gptq_matrix.c ---------------------------------------------------------------------- */

/* Matrix `mat` of w by a plan; its values become part of `next` (NULL: nobody needs them). */
int gptq_matrix_run(struct gptq_model *m, int layer, const struct kern_weight *w, int64_t mat,
                    const struct gptq_plan *p, int64_t tokens, struct gptq_weights *next,
                    struct err *err);
/* The tensor that matrix `mat` of w is in, and which of its matrices it is; -1: none. */
int64_t gptq_matrix_tensor(const struct gptq_model *m, const struct kern_weight *w, int64_t mat,
                           int64_t *inside);

/* ---- gptq_weights.c --------------------------------------------------------------------- */

/* The layer's own weights, packed. */
int gptq_weights_pack(struct gptq_weights *w, const struct model_layer *own, struct par *par,
                      struct err *err);
/* Rows first to first + rows - 1 of matrix `mat`; first is a multiple of a panel's 16. */
struct gptq_values {
    int64_t mat, first, rows;
    const float *value;         /* [rows][cols] */
};
/* They become part of the weight at `offset`, in halves. */
int gptq_weights_set(struct gptq_weights *w, const struct model_layer *own, size_t offset,
                     const struct gptq_values *v, const struct kern *k, struct par *par,
                     struct err *err);
void gptq_weights_free(struct gptq_weights *w);

#endif
