/* loss.h - what a type does to a tensor's products, as a share of their energy
 *
 * For y = W x the expected squared error of y is about sum over columns of E[x_c^2] times the
 * squared errors of column c: the columns' products with each other are left out, as in an
 * importance matrix. Divided by the energy of y, reckoned in the same way, it is a number without
 * unit that compares tensors: the relative loss. Experts weigh as their tokens.
 */
#ifndef LOSS_H
#define LOSS_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/source.h"

struct loss {
    double error, energy;
};

/* Adds to *sum the loss of w[rows][cols] becoming `type`. importance [cols] or NULL (every column
 * 1) serves the quantizer and weighs; weight multiplies both sums. block and back are scratch of
 * the rows' bytes in the type, and of rows * cols floats. */
void loss_add(const struct kern *k, int type, const float *w, int64_t rows, int64_t cols,
              const float *importance, double weight, void *block, float *back, struct loss *sum);
/* For loss_add: the importance of matrix `mat` of e (NULL: no entry) in room[cols], or NULL; and
 * how much that matrix weighs among `mats`: one token more than it has seen, so that none is free;
 * 1 where it is the only one, or without an entry. */
const float *loss_weigh(const struct imatrix_entry *e, int64_t mat, int64_t mats, float *room,
                        double *weight);
/* error / energy; 0 when there is no energy, NaN or Inf where values are none or too large. */
double loss_relative(const struct loss *l);

/* out[n] = relative loss of tensor i of s in each of n types that divide its rows. Of large tensors
 * rows are taken at even distances, LOSS_SAMPLE elements in all. m may be NULL. */
#define LOSS_SAMPLE (1 << 20)
int loss_tensor(struct source *s, uint64_t i, const struct imatrix *m, const struct kern *k,
                const int *type, int n, double *out, struct err *err);

#endif
