/* gptq.h - GPTQ: a matrix rounded column by column, each column's error made up by the rest
 *
 *     struct gptq_plan *p = gptq_plan_new(hessian, &opt, &err);
 *     gptq_matrix(p, par, w, rows, &(struct gptq_target){.grouped = g}, &report);
 *     gptq_plan_free(p);
 *
 * Frantar et al., "GPTQ: accurate post-training quantization for generative pre-trained
 * transformers" (arXiv 2210.17323). With U^T U = H^-1, U upper, column j of a row w becomes the
 * nearest code q_j of its grid, and e = (w_j - q_j) / U_jj is taken off the columns to come:
 * w_k -= e U_jk. Inside a block of 128 columns that happens at once, beyond it by one product per
 * block. The sum of e^2 is the error of the row on what was seen, so 1 / U_jj^2 is what an error
 * of column j costs: scales are chosen by it.
 *
 * Two kinds of grid. Groups: lib/quant/grouped.h, whose scales come from the weights as they are
 * when a group begins (with errors of earlier columns in them). Or a GGUF block type: when a block
 * begins, the type's own quantizer chooses its scales in the same way, and the codes then chosen
 * one by one take the place of its own.
 */
#ifndef GPTQ_H
#define GPTQ_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/quant/grouped.h"
#include "lib/quant/hessian.h"

enum gptq_order {
    GPTQ_AS_IS,
    /* Columns by falling diagonal of H, the groups where they are: their scales are chosen before
     * the first column. */
    GPTQ_ORDERED,
    GPTQ_ORDERED_GROUPS     /* groups follow the order, too: struct grouped gets an index */
};

struct gptq_options {
    int bits, group, symmetric;     /* as in struct grouped; group -1: a row */
    int order;                      /* enum gptq_order; for blocks one of the first two */
    int search;                     /* ranges of groups by least error, not by extremes */
    double damp;                    /* hessian_factor */
    const struct kern *kern;        /* for blocks */
};

/* What is common to all matrices that multiply the same rows. */
struct gptq_plan;
struct gptq_plan *gptq_plan_new(const struct hessian *h, const struct gptq_options *opt,
                                struct err *err);
void gptq_plan_free(struct gptq_plan *p);       /* NULL is fine */
const struct hessian_found *gptq_plan_found(const struct gptq_plan *p);
/* H said nothing: every code is the nearest. */
int gptq_plan_nearest(const struct gptq_plan *p);

/* Where the codes go: to groups, or to blocks of a type. */
struct gptq_target {
    struct grouped *grouped;    /* by grouped_new with the plan's options; or NULL: */
    int type;                   /* enum kern_type that has blocks */
    void *blocks;               /* [rows] rows of them */
};

/* Traces over the rows seen; 0 where none were. */
struct gptq_report {
    double weight;              /* tr(W H W^T) */
    double error;               /* tr(E H E^T) for E = W - Q */
    double nearest;             /* the same for round-to-nearest: extremes; a type's own codes */
};

/* w[rows][cols], finite, becomes the values of the quantized matrix. The result does not depend
 * on the threads. */
void gptq_matrix(const struct gptq_plan *p, struct par *par, float *w, int64_t rows,
                 const struct gptq_target *to, struct gptq_report *report);

#endif
