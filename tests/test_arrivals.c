/* test_arrivals.c - do arrivals have the rate and the spread that were asked for? */
#include "lib/bench/arrivals.h"

#include <stdint.h>

#include "tests/check.h"

#define SAMPLES 200000

/* Limits are 5 standard errors or more of what SAMPLES gaps can tell; seeds are fixed. */
#define MEAN_TOLERANCE 0.02
#define CV_TOLERANCE 0.03

struct spread {
    double mean, cv;            /* of the gaps, s */
};

static struct spread gaps(const struct arrivals_options *o) {
    struct arrivals a;
    double sum = 0;
    double squares = 0;
    int64_t before = 0;
    arrivals_start(&a, o);
    for (int i = 0; i < SAMPLES; i++) {
        int64_t t = arrivals_next(&a);
        double gap = (double)(t - before) / 1e9;
        before = t;
        sum += gap;
        squares += gap * gap;
    }
    double mean = sum / SAMPLES;
    return (struct spread){mean, sqrt(squares / SAMPLES - mean * mean) / mean};
}

static void poisson_has_its_mean_and_spread(void) {
    struct spread s = gaps(&(struct arrivals_options){.rate = 50, .seed = 7});
    CHECK_NEAR(s.mean * 50, 1, MEAN_TOLERANCE);
    CHECK_NEAR(s.cv, 1, CV_TOLERANCE);
}

/* In a Poisson process the arrivals of equal spans vary as much as their mean: dispersion 1; of
 * gamma gaps it tends to cv^2 (renewal theory), of equal gaps to 0. */
static double dispersion(const struct arrivals_options *o, double span_s) {
    struct arrivals a;
    double sum = 0;
    double squares = 0;
    int spans = 0;
    arrivals_start(&a, o);
    int64_t t = arrivals_next(&a);
    for (; spans < 4000; spans++) {
        int64_t end = (int64_t)((spans + 1) * span_s * 1e9);
        double n = 0;
        for (; t < end; t = arrivals_next(&a))
            n++;
        sum += n;
        squares += n * n;
    }
    double mean = sum / spans;
    return (squares / spans - mean * mean) / mean;
}

static void counts_are_dispersed_as_they_should(void) {
    struct arrivals_options o = {.rate = 100, .seed = 3};
    CHECK_NEAR(dispersion(&o, 1), 1, 0.15);
    o.kind = ARRIVALS_GAMMA;
    o.cv = 2;
    CHECK_NEAR(dispersion(&o, 1), 4, 0.6);
    o.cv = 0.5;
    CHECK_NEAR(dispersion(&o, 1), 0.25, 0.04);
    o.kind = ARRIVALS_UNIFORM;
    CHECK_NEAR(dispersion(&o, 1), 0, 1e-9);
}

static void gamma_has_its_mean_and_spread(void) {
    static const double cv[] = {0.2, 0.5, 1, 2, 4};
    for (int i = 0; i < 5; i++) {
        struct spread s = gaps(&(struct arrivals_options){.kind = ARRIVALS_GAMMA, .rate = 10,
                                                          .cv = cv[i], .seed = 11});
        CHECK_NEAR(s.mean * 10, 1, MEAN_TOLERANCE * (1 + cv[i]));
        CHECK_NEAR(s.cv / cv[i], 1, CV_TOLERANCE * (1 + cv[i]));
    }
}

static void uniform_is_exact(void) {
    struct arrivals a;
    arrivals_start(&a, &(struct arrivals_options){.kind = ARRIVALS_UNIFORM, .rate = 8});
    for (int64_t i = 0; i < 1000; i++)
        CHECK_INT(arrivals_next(&a), i * 125000000);
}

/* From 0 to 20 a second over 10 s: 100 arrivals, the k-th at sqrt(k) s; 20 a second from there. */
static void a_ramp_goes_up(void) {
    struct arrivals a;
    int64_t t = 0;
    arrivals_start(&a, &(struct arrivals_options){.kind = ARRIVALS_UNIFORM, .rate_end = 20,
                                                  .ramp_s = 10});
    for (int k = 0; k <= 100; k++) {
        t = arrivals_next(&a);
        CHECK_NEAR((double)t / 1e9, sqrt(k), 1e-8);
    }
    CHECK_INT(arrivals_next(&a) - t, 50000000);
}

static void a_ramp_goes_down_and_ends(void) {
    struct arrivals a;
    arrivals_start(&a, &(struct arrivals_options){.kind = ARRIVALS_UNIFORM, .rate = 20,
                                                  .ramp_s = 10});
    int64_t before = -1;
    for (int k = 0; k < 100; k++) {
        int64_t t = arrivals_next(&a);
        CHECK(t > before && t < INT64_C(10000000000));
        CHECK_NEAR((double)t / 1e9, 10 - sqrt(100 - k), 1e-6);
        before = t;
    }
    CHECK(arrivals_next(&a) == INT64_MAX);
    CHECK(arrivals_next(&a) == INT64_MAX);
}

static void a_flat_ramp_is_a_rate(void) {
    struct arrivals a, b;
    arrivals_start(&a, &(struct arrivals_options){.rate = 5, .rate_end = 5, .ramp_s = 20,
                                                  .seed = 2});
    arrivals_start(&b, &(struct arrivals_options){.rate = 5, .seed = 2});
    for (int i = 0; i < 500; i++)
        CHECK_NEAR((double)arrivals_next(&a), (double)arrivals_next(&b), 1000);
}

static void seeds_decide(void) {
    struct arrivals a, b, c;
    int differ = 0;
    arrivals_start(&a, &(struct arrivals_options){.rate = 5, .seed = 1});
    arrivals_start(&b, &(struct arrivals_options){.rate = 5, .seed = 1});
    arrivals_start(&c, &(struct arrivals_options){.rate = 5, .seed = 2});
    for (int i = 0; i < 100; i++) {
        int64_t t = arrivals_next(&a);
        CHECK_INT(arrivals_next(&b), t);
        differ += arrivals_next(&c) != t;
    }
    CHECK(differ == 100);
}

int main(void) {
    RUN(poisson_has_its_mean_and_spread);
    RUN(counts_are_dispersed_as_they_should);
    RUN(gamma_has_its_mean_and_spread);
    RUN(uniform_is_exact);
    RUN(a_ramp_goes_up);
    RUN(a_ramp_goes_down_and_ends);
    RUN(a_flat_ramp_is_a_rate);
    RUN(seeds_decide);
    return check_done();
}
