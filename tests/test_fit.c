/* test_fit.c - lib/stat/fit: exact data, numpy's least squares, and how often intervals hold the
 * truth
 */
#include "tests/noise.h"

#include "lib/base/mem.h"
#include "lib/stat/fit.h"

static const struct boot opt = {.resamples = 2000, .seed = 1};

static void relative(double got, double want, double tolerance) {
    CHECK_NEAR(got / want, 1, tolerance);
}

/* What a model's FLOPs are: whole numbers over four decades of lengths. */
static void exact_data(void) {
    double x[40];
    double y[40];
    for (int i = 0; i < 40; i++) {
        x[i] = 1 + i * i * 80;
        y[i] = 2097152 + 9232384 * x[i] + 3072 * x[i] * x[i];
    }
    struct fit f;
    CHECK_INT(fit_growth(x, y, 40, NULL, 0, &opt, &f), 0);
    CHECK_INT(f.terms, 3);
    relative(f.a, 2097152, 1e-9);
    relative(f.b, 9232384, 1e-11);
    relative(f.c, 3072, 1e-9);
    CHECK(f.error < 1e-12);
    relative(f.c_interval.low, 3072, 1e-6);
    relative(f.c_interval.high, 3072, 1e-6);
}

/* Terms that are not there are 0, and not what rounding leaves of them. */
static void missing_terms(void) {
    double x[12];
    double y[12];
    struct fit f;
    for (int i = 0; i < 12; i++) {
        x[i] = 100 * (i + 1);
        y[i] = 0.3 * x[i];
    }
    CHECK_INT(fit_growth(x, y, 12, NULL, 0, &opt, &f), 0);
    CHECK(f.a == 0 && f.c == 0);
    CHECK(f.a_interval.low == 0 && f.a_interval.high == 0);
    CHECK(f.c_interval.low == 0 && f.c_interval.high == 0);
    relative(f.b, 0.3, 1e-12);
    relative(f.exponent, 1, 1e-12);
    for (int i = 0; i < 12; i++)
        y[i] = 7 * x[i] * x[i];
    CHECK_INT(fit_growth(x, y, 12, NULL, 0, &opt, &f), 0);
    CHECK(f.a == 0 && f.b == 0);
    relative(f.c, 7, 1e-12);
    relative(f.exponent, 2, 1e-12);
    for (int i = 0; i < 12; i++)
        y[i] = 42;
    CHECK_INT(fit_growth(x, y, 12, NULL, 0, &opt, &f), 0);
    CHECK(f.b == 0 && f.c == 0 && fabs(f.a - 42) < 1e-9 && fabs(f.exponent) < 1e-12);
}

static void against_numpy(void) {
    static const double x[] = {64, 64, 128, 256, 256, 512, 1024, 2048};
    static const double wobble[] = {1.02, 0.97, 1.03, 0.98, 1.01, 1.02, 0.97, 1.01};
    double y[8];
    struct fit f;
    for (int i = 0; i < 8; i++)
        y[i] = (5 + 0.25 * x[i] + 1e-4 * x[i] * x[i]) * wobble[i];
    CHECK_INT(fit_growth(x, y, 8, NULL, 0, &opt, &f), 0);
    relative(f.a, 4.887305761518978, 1e-9);
    relative(f.b, 0.2520218947231088, 1e-9);
    relative(f.c, 9.813511954209764e-05, 1e-9);
    relative(f.exponent, 1.0683880727525596, 1e-12);
    relative(f.error, 0.021709368160350073, 1e-9);
    CHECK(f.n == 8);
}

static void too_little(void) {
    static const double x[] = {8, 8, 8, 16, 16, 0};
    static const double y[] = {1, 2, 3, 4, 5, 1};
    struct fit f;
    CHECK_INT(fit_growth(x, y, 0, NULL, 0, &opt, &f), -1);
    CHECK_INT(fit_growth(x, y, 3, NULL, 0, &opt, &f), -1);
    CHECK(isnan(f.b) && isnan(f.exponent_interval.low));
    CHECK_INT(fit_growth(x, y, 5, NULL, 0, &opt, &f), 0);
    CHECK_INT(f.terms, 2);
    CHECK(f.c == 0 && f.b > 0);
    /* 0 stays out of the exponent. */
    CHECK_INT(fit_growth(x + 4, y + 4, 2, NULL, 0, &opt, &f), 0);
    CHECK(isnan(f.exponent) && isnan(f.b_interval.low));
    relative(f.b, 0.25, 1e-12);
    relative(f.a, 1, 1e-12);
}

/* Points of one group are drawn together: with all points in three groups there is no interval. */
static void groups(void) {
    double x[60];
    double y[60];
    uint32_t group[60];
    struct rng r = {2};
    struct fit alone;
    struct fit together;
    for (uint32_t i = 0; i < 60; i++) {
        x[i] = 10 + 10 * (i / 3);
        y[i] = x[i] * noise_draw(&r, NOISE_NORMAL);
        group[i] = i % 3;
    }
    fit_growth(x, y, 60, NULL, 0, &opt, &alone);
    fit_growth(x, y, 60, group, 3, &opt, &together);
    CHECK(alone.b == together.b && alone.exponent == together.exponent);
    CHECK(!isnan(alone.b_interval.low) && isnan(together.b_interval.low));
}

/* Noise of 30 % pulls weights 1 / y^2 down by 2 * 0.3^2; these must not be. */
static void noise_does_not_pull(void) {
    int n = 20000;
    double *x = mem_array((size_t)n, sizeof *x);
    double *y = mem_array((size_t)n, sizeof *y);
    uint32_t *group = mem_array((size_t)n, sizeof *group);
    struct rng r = {3};
    struct fit f;
    for (int i = 0; i < n; i++) {
        x[i] = 1 + i % 100;
        y[i] = (30 + 5 * x[i]) * noise_draw(&r, NOISE_SKEWED) / noise_mean(NOISE_SKEWED);
        group[i] = (uint32_t)i / 1000;
    }
    fit_growth(x, y, (size_t)n, group, 20, &opt, &f);
    relative(f.a + 50 * f.b + 2500 * f.c, 280, 0.01);
    CHECK(noise_holds(f.a_interval, 30) && noise_holds(f.b_interval, 5));
    CHECK(noise_holds(f.c_interval, 0));
    free(group);
    free(y);
    free(x);
}

/* Intervals of all terms and of the exponent, from designs as measurements have them. Six single
 * points leave the terms hardly apart: there the intervals are wide and hold too often. */
static void holds_the_truth(void) {
    static const struct {
        int lengths, repeats;
        double least, most;
    } design[] = {{8, 5, 0.90, 0.96}, {20, 1, 0.90, 0.96}, {6, 1, 0.92, 0.999}};
    static const double length[] = {16,  32,  64,  128, 256, 512,  1024, 2048, 24, 48,
                                    96,  192, 384, 768, 20,  1536, 40,   80,   160, 3072};
    int trials = NOISE_TRIALS(300);
    for (size_t k = 0; k < sizeof design / sizeof *design; k++)
        for (int kind = 0; kind < NOISES; kind++) {
            struct rng r = {(uint64_t)(kind + 90)};
            int hits[4] = {0, 0, 0, 0};
            for (int t = 0; t < trials; t++) {
                double x[40];
                double y[40];
                double power[40];
                size_t n = 0;
                for (int i = 0; i < design[k].lengths * design[k].repeats; i++, n++) {
                    double noise = noise_draw(&r, (enum noise)kind) / noise_mean((enum noise)kind);
                    x[n] = length[i % design[k].lengths];
                    y[n] = (50 + x[n] + 5e-4 * x[n] * x[n]) * noise;
                    power[n] = 3 * pow(x[n], 1.3) * noise;
                }
                struct boot b = {.resamples = 400, .seed = (uint64_t)t};
                struct fit f;
                struct fit p;
                fit_growth(x, y, n, NULL, 0, &b, &f);
                fit_growth(x, power, n, NULL, 0, &b, &p);
                hits[0] += noise_holds(f.a_interval, 50);
                hits[1] += noise_holds(f.b_interval, 1);
                hits[2] += noise_holds(f.c_interval, 5e-4);
                hits[3] += noise_holds(p.exponent_interval, 1.3);
            }
            for (int i = 0; i < 4; i++)
                noise_check(noise_name[kind], hits[i], trials, design[k].least, design[k].most);
        }
}

int main(void) {
    RUN(exact_data);
    RUN(missing_terms);
    RUN(against_numpy);
    RUN(too_little);
    RUN(groups);
    RUN(noise_does_not_pull);
    RUN(holds_the_truth);
    return check_done();
}
