/* rank.h - tests by ranks: is one set of measurements larger than another, and by how much
 *
 *     struct rank_test t = rank_mann_whitney(a, na, b, nb);
 *     if (rank_least_p(na, nb) > alpha) ...        // no outcome could have been significant
 *     struct rank_shift s = rank_shift(a, na, b, nb, 0.95);
 *
 * Samples need not be sorted and stay as they are.
 */
#ifndef RANK_H
#define RANK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/stat/order.h"

struct rank_test {
    double u;                   /* pairs with a > b, ties half */
    double p;                   /* two-sided: twice the smaller tail, at most 1 */
    int exact;                  /* 1: all arrangements counted, else the normal approximation */
};

/* Mann and Whitney 1947. Exact, also with ties, while na + nb <= 60; beyond that normal with
 * corrections for ties and continuity. p is NAN where a side is empty. */
struct rank_test rank_mann_whitney(const double *a, size_t na, const double *b, size_t nb);
/* The smallest p that any two such samples could give: 2 / C(na + nb, na), at most 1. */
double rank_least_p(size_t na, size_t nb);
/* The test rejects at 1 - level when u < depth or u > na * nb - depth, there being no ties; 0: it
 * never does. */
uint64_t rank_depth(size_t na, size_t nb, double level);

struct rank_shift {
    double shift;               /* Hodges-Lehmann: the median of all a[i] - b[j] */
    struct interval interval;   /* those shifts that the test above would not reject */
};

/* Hodges and Lehmann 1963; interval of Moses (Hollander and Wolfe, 4.3), exact for the sizes that
 * the test is (with ties it holds the truth more often), {NAN, NAN} where no such interval reaches
 * the level. In memory of na + nb, and some microsecond a sample. */
struct rank_shift rank_shift(const double *a, size_t na, const double *b, size_t nb, double level);
/* The same of the ratio a / b, through logarithms; all samples are above 0, else all NAN. */
struct rank_shift rank_ratio(const double *a, size_t na, const double *b, size_t nb, double level);
/* The same where samples may be 0 or less: then 1 + shift / median(b). NAN when that median is not
 * above 0, but 1 of no difference. */
struct rank_shift rank_change(const double *a, size_t na, const double *b, size_t nb,
                              double level);

/* Wilcoxon's signed ranks of paired differences (zeros left out): exact, also with ties, while
 * n <= 60. u is the sum of the ranks of positive differences. p is NAN for no differences, 1 where
 * all are zero. */
struct rank_test rank_signed(const double *difference, size_t n);

/* Holm 1979: p[n] becomes adjusted for n tests at once, in place; NAN stays and does not count. */
void rank_holm(double *p, size_t n);
/* Benjamini and Hochberg 1995: p[n] becomes the least share of false ones among all that are called
 * different at which it would be called so too (often named q), in place; NAN stays and does not
 * count. Holds for independent tests and for those that lean the same way (Benjamini and Yekutieli
 * 2001). */
void rank_fdr(double *p, size_t n);

#endif
