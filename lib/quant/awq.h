/* awq.h - AWQ: columns that matter are scaled up before rounding, and ranges are clipped
 *
 *     awq_search(&opt, use, n, cols, mean, NULL, NULL, s, &choice);   // s for all of an input
 *     awq_round(&opt, use, s, grouped, NULL, &report);                // each of them
 *
 * Lin et al., "AWQ: activation-aware weight quantization for on-device LLM compression and
 * acceleration" (arXiv 2306.00978). W x = (W diag(s)) (diag(1/s) x): the matrix W diag(s) is
 * rounded, and 1/s is folded into what makes x. s = mean|x|^r with r from 0 to 0.95 by 20 steps,
 * normalised by sqrt(max * min), is what gives the least squared error of the outputs over the
 * rows seen; r = 0 is plain rounding, so that the choice is never worse than that.
 *
 * The outputs are not computed: with G = sum x x^T their squared error is tr(E G E^T), where E is
 * what rounding did to W. That is exact, and takes 2 rows cols^2 floating-point operations a ratio
 * whatever the number of rows seen (through the layer: 2 rows cols n).
 *
 * Ranges of groups shrink in 10 steps to 0.55, each to the step of the least error given all other
 * groups of the row, so that no row gets worse (the paper takes groups for themselves alone).
 */
#ifndef AWQ_H
#define AWQ_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/blas.h"
#include "lib/base/par.h"
#include "lib/quant/grouped.h"
#include "lib/quant/hessian.h"

struct awq_options {
    int bits, group, symmetric;         /* as in struct grouped; group -1: a row */
    int clip;                           /* search ranges; not of types */
    const struct kern *kern;            /* for types */
    const struct blas *blas;
    struct par *par;
};

/* A matrix, and the second moments of what it multiplied. */
struct awq_use {
    const float *w;             /* [rows][cols], finite */
    int64_t rows;
    const struct hessian *h;    /* finished */
    int type;                   /* enum kern_type with blocks, in place of groups; -1: groups */
    int kind;                   /* errors count relative to the outputs of all matrices of a kind
                                 * (gate of every expert); kinds from 0 to AWQ_KINDS - 1 */
};
#define AWQ_KINDS 4

struct awq_choice {
    int ratio;                  /* 20 r */
    double error, plain;        /* of rounding to nearest with s and with 1: sums over kinds */
};

/* s[cols] > 0 for matrices that share an input; mean[cols] = mean |x|. fit, if any, says which
 * factor in place of s can be folded into the place of column c. */
void awq_search(const struct awq_options *opt, const struct awq_use *use, int n, int64_t cols,
                const float *mean, float (*fit)(void *arg, int64_t c, float s), void *arg,
                float *s, struct awq_choice *choice);

/* tr(E G E^T) / tr(W G W^T); 0 where nothing was seen. */
struct awq_report {
    double error;
    double nearest;             /* of round-to-nearest without s */
};

/* W diag(s) as codes (out, made by grouped_new with the options) or as rows of blocks of the
 * use's type; one of the two is NULL. s NULL: 1. */
void awq_round(const struct awq_options *opt, const struct awq_use *use, const float *s,
               struct grouped *out, void *blocks, struct awq_report *report);

#endif
