/* tensor_error.h - how far the values of a tensor are from those of another
 *
 *     struct tensor_error e;
 *     if (!tensor_error(base, i, other, j, importance, par, &e, &err))
 *         printf("%g\n", tensor_error_relative(&e));
 *
 * Both tensors are read some rows at a time by all threads, and their pages given back: memory does
 * not grow with them. The sums do not depend on the number of threads.
 */
#ifndef TENSOR_ERROR_H
#define TENSOR_ERROR_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/source.h"

/* Sums over elements x of the base and y of the other. They add up over tensors. */
struct tensor_error {
    int64_t n;                  /* elements in the sums */
    int64_t broken;             /* elements that are NaN or infinite on either side: not in them */
    int same;                   /* the bytes are the same, and so is the type */
    double error;               /* sum of (x - y)^2 */
    double square, other;       /* of x^2, of y^2 */
    double product;             /* of x y */
    double most;                /* largest |x - y| */
    double weighted_error, weighted_square;     /* each column times its importance */
};

/* Tensors i of a and j of b, of one shape. importance: of their columns, or NULL: all weigh 1, as
 * do those of experts that saw nothing. -1: shapes differ, no kernel reads the type of either
 * (unless the bytes are the same: then n is 0). */
int tensor_error(struct source *a, uint64_t i, struct source *b, uint64_t j,
                 const struct imatrix_entry *importance, struct par *par,
                 struct tensor_error *out, struct err *err);
void tensor_error_add(struct tensor_error *into, const struct tensor_error *from);

/* NAN where there is nothing to divide by. */
double tensor_error_rmse(const struct tensor_error *e);         /* root of the mean square */
double tensor_error_relative(const struct tensor_error *e);     /* sqrt(error / square) */
double tensor_error_weighted(const struct tensor_error *e);     /* the same of weighted sums */
double tensor_error_cosine(const struct tensor_error *e);
double tensor_error_snr(const struct tensor_error *e);          /* dB; infinite without error */

/* 1: the two have the same extent in each dimension. */
int tensor_error_alike(const struct source_tensor *a, const struct source_tensor *b);

#endif
