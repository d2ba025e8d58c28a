/* interval.h - confidence intervals in closed form
 *
 * level is the chance to hold the truth, as in 0.95. {NAN, NAN}: too few samples to say.
 */
#ifndef INTERVAL_H
#define INTERVAL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/stat/order.h"

double interval_average(const double *x, size_t n);             /* NAN for none */
double interval_deviation(const double *x, size_t n);           /* sample's, n - 1; NAN below 2 */
/* Of a mean: Student's t; needs 2 samples. */
struct interval interval_mean(const double *x, size_t n, double level);
/* Of a proportion, k of n: Wilson's score (Wilson 1927; Brown, Cai, DasGupta 2001). */
struct interval interval_proportion(int64_t k, int64_t n, double level);

#endif
