/* hessian.h - second moments of what a matrix multiplies, and the factor that GPTQ walks along
 *
 *     struct hessian *h = hessian_new(cols, blas, &err);
 *     hessian_add(h, par, x, n);                       // rows as the session's tap shows them
 *     hessian_finish(h, par);
 *     hessian_factor(h, order, 0.01, u, &found, &err);
 *
 * The error of a matrix W rounded to Q over the rows seen is tr((W - Q) H (W - Q)^T) with
 * H = sum x x^T (Frantar et al., arXiv 2210.17323; their factor 2/n changes nothing that follows).
 * Sums run in float: an element is a sum of OpenBLAS over some hundred rows, added to what was
 * there, and the result is off by some 1e-6 of sqrt(H_ii H_jj), far below any damping. They depend
 * on the order of rows, not on the threads.
 */
#ifndef HESSIAN_H
#define HESSIAN_H

#include <stdint.h>

#include "lib/base/blas.h"
#include "lib/base/err.h"
#include "lib/base/par.h"

struct hessian {
    int64_t cols;
    int64_t count;              /* rows seen */
    float *sum;                 /* [cols][cols]; the lower half until hessian_finish */
    float *wait;                /* [room][cols] rows not yet in it */
    int64_t waiting, room;
    const struct blas *blas;
};

/* cols * cols * 4 bytes and an eighth more for rows that wait. NULL when there is no memory. */
struct hessian *hessian_new(int64_t cols, const struct blas *blas, struct err *err);
void hessian_free(struct hessian *h);       /* NULL is fine */
void hessian_add(struct hessian *h, struct par *par, const float *x, int64_t n);
/* After the last row: adds those that wait, fills the upper half. */
void hessian_finish(struct hessian *h, struct par *par);

struct hessian_found {
    double damp;                /* added to the diagonal, in units of its mean */
    double shrink;              /* 0 to 1: how far few rows ask to be drawn to the mean */
    int dead;                   /* columns that were zero in every row */
    int retries;                /* times that damping was raised because there was no factor */
};

/* u[cols][cols], upper: U^T U = (H' + damp * mean(diag) * I)^-1, where H' is H with rows and
 * columns in `order` (NULL: as they are); zero below the diagonal. damp is raised to s / (1 - s)
 * where the shrinkage s asks for more, and tenfold as long as there is no factor. Columns without
 * data are left with the damping alone: nothing moves to or from them. 1: H says nothing (no rows,
 * all zero, not finite, or no factor); u is then undefined. -1: no LAPACK. */
int hessian_factor(const struct hessian *h, const int32_t *order, double damp, float *u,
                   struct hessian_found *found, struct err *err);

#endif
