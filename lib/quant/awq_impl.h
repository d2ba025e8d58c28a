/* awq_impl.h - what the tap saw, shared by awq_gather.c and awq_layer.c */
#ifndef AWQ_IMPL_H
#define AWQ_IMPL_H

#include "lib/quant/awq_layer.h"

/* One input of a layer. */
struct awq_input {
    const struct kern_weight *weight[SESSION_SHARED];   /* those that multiply it */
    int weights;
    int expert;                         /* -1: not of experts */
    struct hessian *h;
    double *sum;                        /* [cols] of |x| */
};

struct awq_gather {
    const struct model *model;
    const struct blas *blas;
    struct par *par;
    int layer;                          /* -1: none */
    struct awq_input *input;
    int inputs;
    struct err err;                     /* of the tap, which cannot tell */
    int failed;
};

/* The input that w multiplies; NULL: it was not shown. Its sums are ready after
 * awq_gather_finish. */
struct awq_input *awq_gather_input(const struct awq_gather *g, const struct kern_weight *w,
                                   int expert);
/* Ends the sums. -1: something went wrong in the tap. */
int awq_gather_finish(struct awq_gather *g, struct err *err);

#endif
