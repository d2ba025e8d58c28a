/* target.h - a type for every tensor, so that a size holds and the predictions change least
 *
 * What a tensor's loss costs is taken to be linear and additive: cost = sensitivity * relative loss
 * (lib/quant/loss.h), in nats of KL divergence a token. Sensitivities are measured
 * (lib/quant/sensitivity.h) when the importance file holds them; else they follow from what the
 * tensor is (target_usual). Types are then chosen by lib/quant/budget.h.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/source.h"

#define TARGET_TYPES 20

struct target {
    struct source *source;
    const struct imatrix *imatrix;      /* NULL: columns weigh alike */
    const struct kern *kern;
    struct par *par;
    int type[TARGET_TYPES];             /* candidates, of any bits; those that do not divide a
                                         * tensor's rows are no candidates there */
    int types;
    const int *fixed;                   /* [tensors] types that are decided already, -1: not; or
                                         * NULL */
    /* Tensors tried so far and in all; may be NULL. Called by one thread at a time. */
    void (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

/* What was found of each tensor. */
struct target_row {
    int eligible;                       /* else it keeps its type */
    int measured;                       /* its sensitivity was */
    double sensitivity;                 /* KL, nats a token, for a relative loss of 1 */
    double loss[TARGET_TYPES];          /* NAN: it does not fit, or cannot hold the values */
    int choice;                         /* index into type */
};

/* Candidates that suit most: Q2_K to Q8_0, IQ4_XS and IQ4_NL. */
void target_usual_types(struct target *t);
/* KL for a relative loss of 1 by what a tensor is, where nothing was measured: ratios between kinds
 * of tensors as found in small models (see the table), so the sum is no prediction. */
double target_usual(const char *name);

/* Fills type[tensors] (those that are not eligible: their own) and row[tensors]. bytes: what the
 * tensors may have, without padding. 1: no choice is as small; the smallest is taken, and *least
 * says how many bytes that is. -1: an error. */
int target_assign(const struct target *t, int64_t bytes, int *type, struct target_row *row,
                  int64_t *least, struct err *err);
/* Sum of sensitivity * loss over the rows; meaningful where all were measured. */
double target_cost(const struct target_row *row, uint64_t n);

#endif
