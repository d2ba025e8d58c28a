/* arrivals.h - when the requests of an open load arrive
 *
 *     struct arrivals a;
 *     arrivals_start(&a, &(struct arrivals_options){.kind = ARRIVALS_POISSON, .rate = 20,
 *                                                   .seed = 1});
 *     int64_t ns = arrivals_next(&a);          // since the start of the load
 *
 * A renewal process of unit rate, the gaps between arrivals being independent with mean 1, is
 * stretched so that arrivals come at the rate asked for: the k-th comes when the integral of the
 * rate has reached the sum of the first k gaps (time change; Cinlar, "Introduction to stochastic
 * processes", 1975, 4.7). The same seed gives the same times.
 */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include <stdint.h>

#include "lib/base/rng.h"

enum arrivals_kind {
    ARRIVALS_POISSON,           /* exponential gaps */
    ARRIVALS_GAMMA,             /* gamma gaps: cv above 1 comes in bursts, below 1 evenly */
    ARRIVALS_UNIFORM            /* equal gaps, the first arrival at once */
};

struct arrivals_options {
    enum arrivals_kind kind;
    double rate;                /* a second, above 0; of a ramp: at the start, may be 0 */
    double rate_end;            /* of a ramp: at ramp_s and from there on, may be 0 */
    double ramp_s;              /* how long the rate changes, linearly; 0: rate stays */
    double cv;                  /* gamma: deviation of the gaps / their mean, above 0 */
    uint64_t seed;
};

struct arrivals {
    struct arrivals_options opt;
    struct rng rng;
    double sum;                 /* of the unit gaps so far */
    int begun;
};

void arrivals_start(struct arrivals *a, const struct arrivals_options *opt);
/* Nanoseconds since the start, never decreasing; INT64_MAX: none comes any more (a ramp that
 * ended at rate 0). */
int64_t arrivals_next(struct arrivals *a);

#endif
