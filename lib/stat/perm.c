/* perm.c - a permutation test by flips of signs, see perm.h
 *
 * Exact by meeting in the middle: the sums of all signs of one half, and of the other, each sorted,
 * are two lists of 2^(n/2); how many pairs of them reach the sum that was seen is one walk along
 * both. The lists come out sorted because each difference merges two shifted copies of the list so
 * far.
 */
#include "lib/stat/perm.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/stat/dist.h"

#define EXACT_MOST 30
#define DRAWS 50000
#define DRAWN_MOST 4000         /* differences; beyond, the sum of so many is normal */
#define ROUNDING 1e-12          /* of the sum of sizes: the same sum, added in another order */

double perm_least_p(size_t n) {
    return n ? fmin(1, ldexp(2, -(int)(n < 1000 ? n : 1000))) : 1;
}

/* Sorted sums of x[0..n) under all signs; 2^n of them, the caller frees. */
static double *all_sums(const double *x, size_t n) {
    double *sums = mem_array((size_t)1 << n, sizeof *sums);
    double *next = mem_array((size_t)1 << n, sizeof *next);
    sums[0] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t count = (size_t)1 << i;
        for (size_t a = 0, b = 0, at = 0; at < 2 * count; at++) {
            int low = b == count || (a < count && sums[a] - x[i] <= sums[b] + x[i]);
            next[at] = low ? sums[a++] - x[i] : sums[b++] + x[i];
        }
        double *swap = sums;
        sums = next;
        next = swap;
    }
    free(next);
    return sums;
}

/* The share of signs whose sum reaches `limit`. */
static double exact_tail(const double *x, size_t n, double limit) {
    size_t half = n / 2;
    size_t left = (size_t)1 << half;
    size_t right = (size_t)1 << (n - half);
    double *a = all_sums(x, half);
    double *b = all_sums(x + half, n - half);
    double count = 0;
    size_t j = right;           /* the b from here on reach it together with a[i] */
    for (size_t i = 0; i < left; i++) {
        while (j > 0 && a[i] + b[j - 1] >= limit)
            j--;
        count += (double)(right - j);
    }
    free(b);
    free(a);
    return ldexp(count, -(int)n);
}

/* The same for both tails, from draws. */
static double drawn_tails(const double *x, size_t n, double limit, uint64_t seed) {
    struct rng rng = {seed};
    int64_t count = 1;
    for (int t = 0; t < DRAWS; t++) {
        double sum = 0;
        uint64_t bits = 0;
        for (size_t i = 0; i < n; i++) {
            bits = i % 64 ? bits >> 1 : rng_next(&rng);
            sum += bits & 1 ? x[i] : -x[i];
        }
        count += fabs(sum) >= limit;
    }
    return (double)count / (DRAWS + 1);
}

struct perm_test perm_signs(const double *difference, size_t n, uint64_t seed) {
    struct perm_test t = {.sum = 0, .p = n ? 1 : NAN, .exact = 1};
    double *x = mem_array(n ? n : 1, sizeof *x);
    size_t left = 0;
    double sizes = 0;
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        t.sum += difference[i];
        sizes += fabs(difference[i]);
        squares += difference[i] * difference[i];
        if (difference[i] != 0)
            x[left++] = fabs(difference[i]);
    }
    double limit = fabs(t.sum) - ROUNDING * sizes;
    t.exact = left <= EXACT_MOST;
    if (limit <= 0)
        ;                       /* every sum is as far from 0 */
    else if (t.exact)
        t.p = fmin(1, 2 * exact_tail(x, left, limit));
    else if (left <= DRAWN_MOST)
        t.p = drawn_tails(x, left, limit, seed);
    else
        t.p = fmin(1, 2 * dist_normal(-fabs(t.sum) / sqrt(squares)));
    free(x);
    return t;
}
