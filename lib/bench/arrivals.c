/* arrivals.c - when the requests of an open load arrive, see arrivals.h */
#include "lib/bench/arrivals.h"

#include <math.h>

void arrivals_start(struct arrivals *a, const struct arrivals_options *opt) {
    *a = (struct arrivals){.opt = *opt, .rng = {opt->seed}};
}

/* Box and Muller 1958; the second number of a pair is not kept, gaps are drawn rarely enough. */
static double draw_normal(struct rng *r) {
    double radius = sqrt(-2 * log(rng_unit(r)));
    return radius * cos(2 * M_PI * rng_unit(r));
}

/* Gamma with this shape and scale 1: Marsaglia and Tsang, "A simple method for generating gamma
 * variables", 2000. Below shape 1 a variable of shape + 1 is scaled by a power of a uniform one. */
static double draw_gamma(struct rng *r, double shape) {
    if (shape < 1) {
        double scale = pow(rng_unit(r), 1 / shape);
        return draw_gamma(r, shape + 1) * scale;
    }
    double d = shape - 1.0 / 3;
    double c = 1 / sqrt(9 * d);
    for (;;) {
        double x = draw_normal(r);
        double v = 1 + c * x;
        v = v * v * v;
        if (v > 0 && log(rng_unit(r)) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

/* Mean 1. */
static double draw_gap(struct arrivals *a) {
    double shape;
    switch (a->opt.kind) {
    case ARRIVALS_POISSON:
        return -log(rng_unit(&a->rng));
    case ARRIVALS_GAMMA:
        shape = 1 / (a->opt.cv * a->opt.cv);
        return draw_gamma(&a->rng, shape) / shape;
    case ARRIVALS_UNIFORM:
        break;
    }
    return a->begun ? 1 : 0;
}

/* The time at which the integral of the rate reaches sum. On the ramp that is the root of
 * rate t + slope t^2 / 2 = sum, in the form that does not cancel. */
static double stretch(const struct arrivals_options *o, double sum) {
    double ramped = (o->rate + o->rate_end) / 2 * o->ramp_s;
    if (o->ramp_s <= 0)
        return sum / o->rate;
    if (sum >= ramped)
        return o->rate_end > 0 ? o->ramp_s + (sum - ramped) / o->rate_end : INFINITY;
    double slope = (o->rate_end - o->rate) / o->ramp_s;
    double root = o->rate * o->rate + 2 * slope * sum;
    return sum > 0 ? 2 * sum / (o->rate + sqrt(root > 0 ? root : 0)) : 0;
}

int64_t arrivals_next(struct arrivals *a) {
    a->sum += draw_gap(a);
    a->begun = 1;
    double ns = stretch(&a->opt, a->sum) * 1e9;
    return ns < 9e18 ? (int64_t)llround(ns) : INT64_MAX;
}
