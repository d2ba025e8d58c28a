/* hist.c - quantiles of many positive numbers in little memory, see hist.h
 *
 * Numbers below 2 * STEPS have a bucket each; every further power of two is cut into STEPS buckets
 * of equal width, whose middle stands for what is in them.
 */
#include "lib/stat/hist.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"

#define STEP_BITS 7
#define STEPS (1u << STEP_BITS)
#define BUCKETS ((64 - STEP_BITS + 1) * STEPS)

static size_t bucket_of(uint64_t value) {
    if (value < 2 * STEPS)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - STEP_BITS;
    return (size_t)(shift * STEPS + (value >> shift));
}

static double middle_of(size_t bucket) {
    if (bucket < 2 * STEPS)
        return (double)bucket;
    unsigned shift = (unsigned)(bucket / STEPS) - 1;
    uint64_t first = (uint64_t)(bucket - shift * STEPS) << shift;
    uint64_t width = (uint64_t)1 << shift;
    return (double)first + (double)(width - 1) / 2;
}

static void prepare(struct hist *h) {
    if (h->weight)
        return;
    h->weight = mem_array(BUCKETS, sizeof *h->weight);
    h->least = INFINITY;
    h->most = -INFINITY;
}

void hist_add(struct hist *h, uint64_t value, double weight) {
    prepare(h);
    h->weight[bucket_of(value)] += weight;
    h->total += weight;
    h->sum += (double)value * weight;
    h->least = fmin(h->least, (double)value);
    h->most = fmax(h->most, (double)value);
}

void hist_merge(struct hist *into, const struct hist *from) {
    if (!from->weight)
        return;
    prepare(into);
    for (size_t i = 0; i < BUCKETS; i++)
        into->weight[i] += from->weight[i];
    into->total += from->total;
    into->sum += from->sum;
    into->least = fmin(into->least, from->least);
    into->most = fmax(into->most, from->most);
}

double hist_quantile(const struct hist *h, double q) {
    if (!h->weight || !(q >= 0 && q <= 1))
        return NAN;
    if (q == 0 || q == 1)
        return q == 0 ? h->least : h->most;
    double want = q * h->total;
    double below = 0;
    size_t last = 0;            /* rounding may leave the sum of all below what is wanted */
    for (size_t i = 0; i < BUCKETS && (below == 0 || below < want); i++) {
        below += h->weight[i];
        last = h->weight[i] > 0 ? i : last;
    }
    return fmin(fmax(middle_of(last), h->least), h->most);
}

double hist_mean(const struct hist *h) {
    return h->weight ? h->sum / h->total : NAN;
}

void hist_free(struct hist *h) {
    free(h->weight);
    *h = (struct hist){0};
}
