/* order.c - what sorted samples say without assuming a distribution, see order.h */
#include "lib/stat/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void order_sort(double *x, size_t n) {
    qsort(x, n, sizeof *x, by_value);
}

double order_quantile(const double *sorted, size_t n, double q) {
    if (!n)
        return NAN;
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* Chance that exactly k of n samples lie below the quantile. */
static double chance(size_t k, size_t n, double q) {
    double whole = (double)n;
    double part = (double)k;
    return exp(lgamma(whole + 1) - lgamma(part + 1) - lgamma(whole - part + 1) +
               part * log(q) + (whole - part) * log1p(-q));
}

/* From the outermost pair of samples inwards, on each side as far as half of what may be missed
 * allows; the k-th sample lies above the quantile when fewer than k samples lie below it. */
struct interval order_interval(const double *sorted, size_t n, double q, double level) {
    struct interval none = {NAN, NAN};
    double miss = (1 - level) / 2;
    size_t low = 0;             /* samples left out at the lower end */
    size_t high = 0;
    if (!(q > 0 && q < 1))
        return none;
    for (double sum = chance(0, n, q); low < n && sum <= miss; low++)
        sum += chance(low + 1, n, q);
    for (double sum = chance(n, n, q); high < n && sum <= miss; high++)
        sum += chance(n - high - 1, n, q);
    if (!low || !high || low + high > n)
        return none;
    return (struct interval){sorted[low - 1], sorted[n - high]};
}

double order_summary(const double *x, size_t n, double level, struct interval *out) {
    double *sorted = mem_array(n ? n : 1, sizeof *sorted);
    if (n)
        memcpy(sorted, x, n * sizeof *x);
    order_sort(sorted, n);
    double median = order_quantile(sorted, n, 0.5);
    *out = order_interval(sorted, n, 0.5, level);
    free(sorted);
    return median;
}

double order_median(const double *x, size_t n) {
    struct interval unused;
    return order_summary(x, n, 0.95, &unused);
}
