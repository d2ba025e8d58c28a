/* hist.h - quantiles of millions of positive numbers in 58 KiB
 *
 *     struct hist h = {0};
 *     hist_add(&h, ns, tokens);
 *     double p99 = hist_quantile(&h, 0.99);
 *     hist_free(&h);
 *
 * Buckets of equal width inside each power of two (as HdrHistogram has them): a quantile is off by
 * less than 1/256 of its value. Two histograms add up to that of all their numbers.
 */
#ifndef HIST_H
#define HIST_H

#include <stdint.h>

struct hist {
    double *weight;             /* [buckets], allocated by the first number */
    double total, sum;          /* of the weights; of value * weight */
    double least, most;         /* value; meaningless while weight is NULL */
};

void hist_add(struct hist *h, uint64_t value, double weight);   /* weight > 0 */
void hist_merge(struct hist *into, const struct hist *from);
/* The least value that a share q of the weight does not exceed; the very least and largest are
 * exact. NAN when empty or q is outside [0, 1]. */
double hist_quantile(const struct hist *h, double q);
double hist_mean(const struct hist *h);                         /* exact; NAN when empty */
void hist_free(struct hist *h);                                 /* becomes {0} */

#endif
