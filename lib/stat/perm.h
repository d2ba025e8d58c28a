/* perm.h - are paired differences anything but chance: a permutation test by flips of signs
 *
 *     struct perm_test t = perm_signs(difference, n, 1);
 *     if (perm_least_p(n) > alpha) ...             // no outcome could have been significant
 *
 * Were the two sides of each pair exchangeable, every difference might as well have the other sign
 * (Fisher, "The design of experiments", 1935, section 21). The statistic is the sum of the
 * differences, so that large pairs count for more, as they do on a bill; ranks do not come into it
 * (that is rank_signed).
 */
#ifndef PERM_H
#define PERM_H

#include <stddef.h>
#include <stdint.h>

struct perm_test {
    double sum;                 /* of the differences */
    double p;                   /* two-sided: the share of choices of signs whose sum is as far from
                                 * 0 or farther; NAN for no differences, 1 where all are zero */
    int exact;                  /* 1: all choices counted, else drawn or by the normal law */
};

/* Exact while at most 30 differences are not zero; beyond, 50,000 choices are drawn from the seed
 * (the one that was seen among them, so that p is never 0), and beyond 4,000 differences the sum
 * is taken as normal. Differences are finite. */
struct perm_test perm_signs(const double *difference, size_t n, uint64_t seed);
/* The smallest p that n differences could give: 2 / 2^n, at most 1. */
double perm_least_p(size_t n);

#endif
