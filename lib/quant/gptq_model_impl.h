/* gptq_model_impl.h - what the files of gptq_model share
 *
 *   gptq_model.c       tensors and layers: what is asked for, and when it runs
 *   gptq_layer.c       one layer: runs, second moments, its matrices in turn
 *   gptq_matrix.c      one matrix: read, quantized, stored, ready for the second run
 */
#ifndef GPTQ_MODEL_IMPL_H
#define GPTQ_MODEL_IMPL_H

#include "lib/infer/session.h"
#include "lib/quant/calib.h"
#include "lib/quant/gptq_model.h"
#include "lib/quant/layer_weights.h"

/* A tensor that is quantized. */
struct gptq_slot {
    int layer;                  /* as many as layers: the head; -1: not quantized */
    int64_t mats;
    char *data;                 /* of its layer while that is at hand; mapped */
    size_t bytes;
    struct grouped **grouped;   /* [mats], or NULL */
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
    struct hessian **moments[LAYER_INPUTS];     /* [mats]; NULL: not now */
    int first, last;            /* experts whose moments are summed */
    int dense;                  /* so are those of the rest */
    int collecting;
    struct err failed;          /* in the tap */
    int bad;
};

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
                    const struct gptq_plan *p, int64_t tokens, struct layer_weights *next,
                    struct err *err);

#endif
