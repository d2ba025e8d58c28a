/* noise.h - noise as measurements have it, and how often an interval holds the truth
 *
 *     struct rng r = {seed};
 *     for (int t = 0; t < trials; t++) {
 *         noise_fill(&r, NOISE_SKEWED, x, n);
 *         hits += noise_holds(interval_mean(x, n, 0.95), noise_mean(NOISE_SKEWED));
 *     }
 *     noise_check("mean", hits, trials, 0.95, 0.95);
 */
#ifndef NOISE_H
#define NOISE_H

#include <math.h>

#include "lib/base/rng.h"
#include "lib/stat/order.h"
#include "tests/check.h"

/* Factors around 1: normal with 10 %; log-normal with 30 %; two modes, 70 % at 1 and 30 % at 1.3,
 * as on a machine whose clock has two states. */
enum noise { NOISE_NORMAL, NOISE_SKEWED, NOISE_MODES, NOISES };

static const char *const noise_name[NOISES] = {"normal", "log-normal", "bimodal"};

/* Sanitizers make everything ten times slower: a quarter of the trials has to do. */
#if defined(__SANITIZE_ADDRESS__)
#define NOISE_TRIALS(n) ((n) / 4)
#else
#define NOISE_TRIALS(n) (n)
#endif

static inline double noise_gauss(struct rng *r) {
    return sqrt(-2 * log(rng_unit(r))) * cos(6.283185307179586 * rng_unit(r));
}

static inline double noise_draw(struct rng *r, enum noise kind) {
    double z = noise_gauss(r);
    if (kind == NOISE_NORMAL)
        return 1 + 0.1 * z;
    return kind == NOISE_SKEWED ? exp(0.3 * z) : (rng_unit(r) < 0.7 ? 1 : 1.3) + 0.02 * z;
}

static inline void noise_fill(struct rng *r, enum noise kind, double *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = noise_draw(r, kind);
}

static inline double noise_mean(enum noise kind) {
    static const double mean[NOISES] = {1, 1.0460278599, 1.09};
    return mean[kind];
}

/* Of the two modes: where 0.7 of a normal distribution around 1 reaches one half. */
static inline double noise_median(enum noise kind) {
    static const double median[NOISES] = {1, 1, 1.0113189764};
    return median[kind];
}

static inline int noise_holds(struct interval i, double truth) {
    return i.low <= truth && truth <= i.high;
}

/* The share of hits lies between the two rates, up to 4 standard deviations of such a count. */
static inline void noise_check(const char *what, int hits, int trials, double least, double most) {
    double share = (double)hits / trials;
    double low = least - 4 * sqrt(least * (1 - least) / trials);
    double high = most + 4 * sqrt(most * (1 - most) / trials);
    if (getenv("NOISE_SHOW"))
        printf("# %s: %.4f of %d\n", what, share, trials);
    if (!(share >= low && share <= high)) {
        printf("# %s: holds the truth %d times of %d, expected %.3f to %.3f\n", what, hits, trials,
               low, high);
        check_bad++;
    }
}

#endif
