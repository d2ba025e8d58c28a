/* order.h - what sorted samples say without assuming a distribution
 *
 *     order_sort(x, n);
 *     double m = order_quantile(x, n, 0.5);
 *     struct interval i = order_interval(x, n, 0.5, 0.95);
 *
 * Samples are finite numbers. An interval that n samples cannot give is {NAN, NAN}.
 */
#ifndef ORDER_H
#define ORDER_H

#include <stddef.h>

struct interval {
    double low, high;
};

void order_sort(double *x, size_t n);               /* ascending, in place */
double *order_sorted(const double *x, size_t n);    /* a sorted copy; the caller frees */
/* Quantile q in [0, 1] of sorted samples, between neighbours by a straight line (definition 7 of
 * Hyndman and Fan, "Sample quantiles in statistical packages", 1996; the default of R and NumPy).
 * NAN for none. */
double order_quantile(const double *sorted, size_t n, double q);
/* An interval that holds the true quantile with at least this chance, whatever the distribution:
 * two order statistics chosen by the binomial law (Conover, "Practical nonparametric statistics",
 * 3.2). For a median at 0.95 it takes 6 samples. */
struct interval order_interval(const double *sorted, size_t n, double q, double level);
/* The median of unsorted samples, which stay as they are. NAN for none. */
double order_median(const double *x, size_t n);
/* Median, and its interval, of unsorted samples, which stay as they are. */
double order_summary(const double *x, size_t n, double level, struct interval *out);

#endif
