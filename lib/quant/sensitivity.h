/* sensitivity.h - what an error in one tensor costs, measured
 *
 * Each matrix in turn is quantized coarsely, alone, and a text runs through the model from its
 * layer on: the KL divergence of the predictions from those of the untouched model, divided by the
 * relative loss (lib/quant/loss.h) that the quantization was, is the tensor's sensitivity. For
 * small errors KL is quadratic in them, that is linear in the loss, and errors of several tensors
 * add. Where each expert is a tensor, all of them are one matrix here, and each gets the part of
 * its energy.
 * Work: half a pass over the text a matrix.
 */
#ifndef SENSITIVITY_H
#define SENSITIVITY_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/model/model.h"
#include "lib/quant/imatrix.h"

struct sensitivity {
    const struct model *model;
    const struct kern *kern;
    struct par *par;
    const int32_t *token;       /* [chunks][tokens] */
    int chunks, tokens;
    void (*progress)(void *arg, int64_t done, int64_t total);   /* matrices; or NULL */
    void *arg;
};

/* Predictions are compared at no more rows than fit into so many bytes. */
#define SENSITIVITY_BYTES ((size_t)1 << 30)

/* Puts one number for each matrix of m's own layers, embedding and head into m, in place of those
 * that it had. Importance is taken from m where it has some. -1: predictions are not finite, or
 * there is no memory. */
int sensitivity_measure(const struct sensitivity *s, struct imatrix *m, struct err *err);

#endif
