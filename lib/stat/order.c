/* order.c - what sorted samples say without assuming a distribution, see order.h
 *
 * Many samples are sorted by the bits of their doubles, byte by byte, in a time that grows with
 * their number only; few by insertion.
 */
#include "lib/stat/order.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/stat/dist.h"

#define FEW 64                  /* below: counting bytes takes longer than inserting */
#define DIGIT_BITS 8
#define DIGITS (64 / DIGIT_BITS)
#define VALUES (1u << DIGIT_BITS)

static void sort_few(double *x, size_t n) {
    for (size_t i = 1; i < n; i++) {
        double value = x[i];
        size_t at = i;
        for (; at > 0 && x[at - 1] > value; at--)
            x[at] = x[at - 1];
        x[at] = value;
    }
}

/* Bits in an order that is that of the numbers: the sign bit flipped, or, for a negative number,
 * all of them. */
static uint64_t to_key(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | (uint64_t)1 << 63);
}

static double from_key(uint64_t key) {
    double x;
    uint64_t bits = key ^ (key >> 63 ? (uint64_t)1 << 63 : UINT64_MAX);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static unsigned digit(uint64_t key, int d) {
    return (unsigned)(key >> (d * DIGIT_BITS)) & (VALUES - 1);
}

/* From the last digit to the first, each pass keeping the order of the one before. A digit that
 * all numbers share takes no pass. */
static void sort_digits(double *x, size_t n) {
    uint64_t *from = mem_array(2 * n, sizeof *from);
    uint64_t *keys = from;
    uint64_t *to = from + n;
    size_t (*count)[VALUES] = mem_array(DIGITS, sizeof *count);
    for (size_t i = 0; i < n; i++) {
        from[i] = to_key(x[i]);
        for (int d = 0; d < DIGITS; d++)
            count[d][digit(from[i], d)]++;
    }
    for (int d = 0; d < DIGITS; d++) {
        if (count[d][digit(from[0], d)] == n)
            continue;
        size_t start = 0;
        for (unsigned v = 0; v < VALUES; v++) {
            size_t here = count[d][v];
            count[d][v] = start;
            start += here;
        }
        for (size_t i = 0; i < n; i++)
            to[count[d][digit(from[i], d)]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++)
        x[i] = from_key(from[i]);
    free(count);
    free(keys);
}

void order_sort(double *x, size_t n) {
    if (n < FEW)
        sort_few(x, n);
    else
        sort_digits(x, n);
}

double *order_sorted(const double *x, size_t n) {
    double *sorted = mem_array(n ? n : 1, sizeof *sorted);
    if (n)
        memcpy(sorted, x, n * sizeof *x);
    order_sort(sorted, n);
    return sorted;
}

double order_quantile(const double *sorted, size_t n, double q) {
    if (!n)
        return NAN;
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n)
        return sorted[n - 1];
    double share = at - (double)below;
    double step = sorted[below + 1] - sorted[below];
    return isfinite(step) ? sorted[below] + share * step
                          : (1 - share) * sorted[below] + share * sorted[below + 1];
}

/* How many samples can be left out at the lower end: the largest k with P(fewer than k of n lie
 * below the quantile q) <= miss. 0: even the first sample may lie above it too often. */
static int left_out(int n, double q, double miss) {
    int fits = 0;
    int fails = n + 1;
    while (fails - fits > 1) {
        int k = fits + (fails - fits) / 2;
        if (dist_binomial(k - 1, n, q) <= miss * (1 + 1e-12))
            fits = k;
        else
            fails = k;
    }
    return fits;
}

/* The k-th sample lies above the quantile when fewer than k samples lie below it; the upper end
 * is the same seen from above. */
struct interval order_interval(const double *sorted, size_t n, double q, double level) {
    struct interval none = {NAN, NAN};
    if (!n || n > INT_MAX - 1 || !(q > 0 && q < 1) || !(level > 0 && level < 1))
        return none;
    int low = left_out((int)n, q, (1 - level) / 2);
    int high = left_out((int)n, 1 - q, (1 - level) / 2);
    if (!low || !high)
        return none;
    return (struct interval){sorted[low - 1], sorted[n - (size_t)high]};
}

double order_summary(const double *x, size_t n, double level, struct interval *out) {
    double *sorted = order_sorted(x, n);
    double median = order_quantile(sorted, n, 0.5);
    *out = order_interval(sorted, n, 0.5, level);
    free(sorted);
    return median;
}

double order_median(const double *x, size_t n) {
    double *sorted = order_sorted(x, n);
    double median = order_quantile(sorted, n, 0.5);
    free(sorted);
    return median;
}
