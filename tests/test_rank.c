/* test_rank.c - lib/stat/rank: values from SciPy and from all arrangements (reference/stat.py)
 *
 * Beyond that: what must hold for any data (symmetry, tests that invert into intervals), the
 * selection against sorting all differences, and how often results are what they claim.
 */
#include "tests/noise.h"

#include "lib/base/mem.h"
#include "lib/stat/rank.h"

#define DIGITS 1e-12

static const double a7[] = {12.1, 11.4, 13.0, 12.7, 11.9, 14.2, 12.5};
static const double b6[] = {11.0, 11.8, 10.9, 12.0, 11.2, 11.6};

/* As in stat.py. */
static void series(double *x, int n, int step, double shift) {
    for (int i = 0; i < n; i++)
        x[i] = shift + (double)(i * step % 101) / 101;
}

static void rounded(double *x, int n, double unit) {
    for (int i = 0; i < n; i++)
        x[i] = round(x[i] / unit) * unit;
}

static void exact(void) {
    static const double tied_a[] = {3, 1, 4, 1, 5, 5};
    static const double tied_b[] = {2, 1, 1, 3, 2};
    struct rank_test t = rank_mann_whitney(a7, 7, b6, 6);
    CHECK(t.u == 38 && t.exact);
    CHECK_NEAR(t.p, 0.013986013986013986, DIGITS);
    t = rank_mann_whitney(b6, 6, a7, 7);
    CHECK(t.u == 4);
    CHECK_NEAR(t.p, 0.013986013986013986, DIGITS);
    t = rank_mann_whitney(tied_a, 6, tied_b, 5);
    CHECK(t.u == 21.5 && t.exact);
    CHECK_NEAR(t.p, 0.29004329004329005, DIGITS);
    double x[30];
    double y[30];
    series(x, 30, 37, 0);
    series(y, 30, 53, 0.13);
    t = rank_mann_whitney(x, 30, y, 30);
    CHECK(t.u == 369 && t.exact);
    CHECK_NEAR(t.p, 0.23588576442080375, DIGITS);
}

static void by_approximation(void) {
    double x[40];
    double y[45];
    series(x, 40, 37, 0);
    series(y, 45, 53, 0.13);
    rounded(x, 40, 0.1);
    rounded(y, 45, 0.1);
    struct rank_test t = rank_mann_whitney(x, 40, y, 45);
    CHECK(t.u == 728 && !t.exact);
    CHECK_NEAR(t.p, 0.12940997181831065, DIGITS);
    for (int i = 0; i < 40; i++)
        x[i] = y[i] = 1;
    CHECK(rank_mann_whitney(x, 40, y, 40).p == 1);
}

static void nothing_to_test(void) {
    struct rank_test t = rank_mann_whitney(a7, 0, b6, 6);
    CHECK(isnan(t.p) && isnan(t.u));
    t = rank_mann_whitney(a7, 7, b6, 0);
    CHECK(isnan(t.p));
    t = rank_mann_whitney(a7, 7, a7, 7);
    CHECK(t.u == 24.5 && t.p == 1);
    CHECK(isnan(rank_shift(a7, 0, b6, 6, 0.95).shift));
    CHECK(isnan(rank_signed(a7, 0).p));
}

/* Sides that do not overlap give the smallest p, whatever the sizes. */
static void least_p(void) {
    double low[30];
    double high[30];
    for (int i = 0; i < 30; i++) {
        low[i] = i;
        high[i] = 100 + i;
    }
    for (size_t na = 1; na <= 30; na += 3)
        for (size_t nb = 1; nb <= 30; nb++) {
            double want = rank_least_p(na, nb);
            CHECK_NEAR(rank_mann_whitney(low, na, high, nb).p / want, 1, 1e-12);
        }
    CHECK_NEAR(rank_least_p(4, 4), 2.0 / 70, DIGITS);
    CHECK(rank_least_p(1, 1) == 1 && rank_least_p(0, 5) == 1);
    CHECK(rank_least_p(100000, 100000) == 0);
}

static void signed_ranks(void) {
    static const double d[] = {3, -1, 2, 2, 0, -2, 5, 4, 1, 6, -1, 2};
    static const double zeros[] = {0, 0, 0};
    struct rank_test t = rank_signed(d, 12);
    CHECK(t.u == 56.5 && t.exact);
    CHECK_NEAR(t.p, 0.037109375, DIGITS);
    double x[70];
    series(x, 70, 37, -0.4);
    rounded(x, 70, 0.01);
    t = rank_signed(x, 70);
    CHECK(t.u == 1627.5 && !t.exact);
    CHECK_NEAR(t.p, 0.012132623795476923, DIGITS);
    t = rank_signed(zeros, 3);
    CHECK(t.u == 0 && t.p == 1);
    /* All of one sign: 2 of the 2^n signs. */
    for (size_t n = 1; n <= 60; n++) {
        for (size_t i = 0; i < n; i++)
            x[i] = (double)i + 1;
        CHECK_NEAR(rank_signed(x, n).p / ldexp(2, -(int)n), 1, 1e-12);
    }
}

static void shift(void) {
    struct rank_shift s = rank_shift(a7, 7, b6, 6, 0.95);
    CHECK_NEAR(s.shift, 1.0, DIGITS);
    CHECK_NEAR(s.interval.low, 0.2, DIGITS);
    CHECK_NEAR(s.interval.high, 2.1, DIGITS);
    s = rank_shift(b6, 6, a7, 7, 0.95);
    CHECK_NEAR(s.shift, -1.0, DIGITS);
    CHECK_NEAR(s.interval.low, -2.1, DIGITS);
    /* 3 against 3: 2 of 20 arrangements are 0.1, too many. */
    s = rank_shift(a7, 3, b6, 3, 0.95);
    CHECK(!isnan(s.shift) && isnan(s.interval.low) && isnan(s.interval.high));
    s = rank_shift(a7, 3, b6, 3, 0.9);
    CHECK_NEAR(s.interval.low, 11.4 - 11.8, DIGITS);
    CHECK_NEAR(s.interval.high, 13.0 - 10.9, DIGITS);
}

static void ratio(void) {
    static const double x[] = {20, 22, 24, 26};
    static const double y[] = {10, 11, 12, 13};
    static const double with_zero[] = {1, 0, 2, 3};
    struct rank_shift s = rank_ratio(x, 4, y, 4, 0.95);
    CHECK_NEAR(s.shift, 2, 1e-12);
    CHECK_NEAR(s.interval.low, 20 / 13.0, 1e-12);
    CHECK_NEAR(s.interval.high, 26 / 10.0, 1e-12);
    s = rank_ratio(x, 4, with_zero, 4, 0.95);
    CHECK(isnan(s.shift) && isnan(s.interval.low));
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of all differences, against sorting them; with ties and with negative numbers. */
static void shift_is_the_median_of_differences(void) {
    struct rng r = {3};
    for (int t = 0; t < 300; t++) {
        double x[40];
        double y[40];
        double d[1600];
        size_t na = 1 + rng_below(&r, 40);
        size_t nb = 1 + rng_below(&r, 40);
        double unit = t % 3 == 0 ? 0.25 : 1e-9;
        for (size_t i = 0; i < na; i++)
            x[i] = round(noise_gauss(&r) / unit) * unit;
        for (size_t i = 0; i < nb; i++)
            y[i] = round(noise_gauss(&r) / unit) * unit;
        for (size_t i = 0; i < na * nb; i++)
            d[i] = x[i / nb] - y[i % nb];
        qsort(d, na * nb, sizeof *d, by_value);
        double want = order_quantile(d, na * nb, 0.5);
        CHECK_NEAR(rank_shift(x, na, y, nb, 0.95).shift, want, 1e-15);
    }
}

/* The interval holds exactly the shifts that the test would not reject. */
static void intervals_invert_the_test(void) {
    static const size_t sizes[][2] = {{4, 4}, {5, 9}, {20, 20}, {30, 30}, {31, 30}, {60, 45}};
    struct rng r = {4};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t na = sizes[k][0];
        size_t nb = sizes[k][1];
        double x[60];
        double y[60];
        double moved[60];
        noise_fill(&r, NOISE_SKEWED, x, na);
        noise_fill(&r, NOISE_SKEWED, y, nb);
        struct interval i = rank_shift(x, na, y, nb, 0.95).interval;
        for (int end = 0; end < 4; end++) {
            double at = (end < 2 ? i.low : i.high) + (end % 2 ? 1e-9 : -1e-9);
            for (size_t j = 0; j < na; j++)
                moved[j] = x[j] - at;
            int inside = end == 1 || end == 2;
            CHECK_INT(rank_mann_whitney(moved, na, y, nb).p > 0.05, inside);
        }
    }
}

/* Sizes that the differences of which would not fit in memory. */
static void large_samples(void) {
    size_t n = 300000;
    double *x = mem_array(n, sizeof *x);
    double *y = mem_array(n, sizeof *y);
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)(i * 7919 % n) + 1000.5;
        y[i] = (double)(i * 104729 % n);
    }
    struct rank_shift s = rank_shift(x, n, y, n, 0.95);
    CHECK(s.shift == 1000.5);
    CHECK(s.interval.low > 0 && s.interval.high < 2000 && s.interval.low < s.interval.high);
    CHECK(rank_mann_whitney(x, n, y, n).p < 0.05);
    free(y);
    free(x);
}

static void holm(void) {
    /* Holm 1979 by hand: sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, never falling. */
    double p[] = {0.04, NAN, 0.01, 0.03, 0.02};
    static const double want[] = {0.06, NAN, 0.04, 0.06, 0.06};
    rank_holm(p, 5);
    for (int i = 0; i < 5; i++)
        CHECK(isnan(want[i]) ? isnan(p[i]) : fabs(p[i] - want[i]) < 1e-15);
    double one[] = {0.7, 0.6};
    rank_holm(one, 2);
    CHECK(one[0] == 1 && one[1] == 1);
    rank_holm(NULL, 0);
}

/* scipy 1.17: stats.false_discovery_control */
static void fdr(void) {
    double p[] = {0.001, 0.04, 0.03, NAN, 0.2, 0.04, 0.9, 0.005};
    static const double want[] = {0.007, 0.056, 0.056, NAN, 0.7 / 3, 0.056, 0.9, 0.0175};
    rank_fdr(p, 8);
    for (int i = 0; i < 8; i++)
        CHECK(isnan(want[i]) ? isnan(p[i]) : fabs(p[i] - want[i]) < 1e-15);
    double one[] = {0.7, 0.6};
    rank_fdr(one, 2);
    CHECK_NEAR(one[0], 0.7, 1e-15);
    CHECK_NEAR(one[1], 0.7, 1e-15);
    rank_fdr(NULL, 0);
}

/* Without a difference, p <= 0.05 comes as often as the arrangements allow: at most 0.05, and for
 * 8 against 8 in 0.0499 of them. Log-normal noise, and noise in steps with many ties. */
static void false_alarms(void) {
    int trials = NOISE_TRIALS(8000);
    struct rng r = {6};
    int alarms[2] = {0, 0};
    for (int t = 0; t < trials; t++) {
        double x[8];
        double y[8];
        noise_fill(&r, NOISE_SKEWED, x, 8);
        noise_fill(&r, NOISE_SKEWED, y, 8);
        alarms[0] += rank_mann_whitney(x, 8, y, 8).p <= 0.05;
        rounded(x, 8, 0.25);
        rounded(y, 8, 0.25);
        alarms[1] += rank_mann_whitney(x, 8, y, 8).p <= 0.05;
    }
    noise_check("alarms", alarms[0], trials, 0.0499, 0.0499);
    noise_check("alarms with ties", alarms[1], trials, 0.03, 0.05);
}

static void holds_the_shift(void) {
    static const size_t sizes[] = {5, 20, 40};
    static const double rate[] = {0.968, 0.952, 0.951};     /* what the arrangements allow */
    for (int kind = 0; kind < NOISES; kind++)
        for (size_t k = 0; k < 3; k++) {
            size_t n = sizes[k];
            int trials = NOISE_TRIALS(n > 30 ? 1000 : 2000);
            struct rng r = {(uint64_t)(kind + 40)};
            int hits = 0;
            for (int t = 0; t < trials; t++) {
                double x[40];
                double y[40];
                noise_fill(&r, (enum noise)kind, x, n);
                noise_fill(&r, (enum noise)kind, y, n);
                for (size_t i = 0; i < n; i++)
                    x[i] *= 1.25;
                hits += noise_holds(rank_ratio(x, n, y, n, 0.95).interval, 1.25);
            }
            noise_check(noise_name[kind], hits, trials, rate[k], rate[k]);
        }
}

int main(void) {
    RUN(exact);
    RUN(by_approximation);
    RUN(nothing_to_test);
    RUN(least_p);
    RUN(signed_ranks);
    RUN(shift);
    RUN(ratio);
    RUN(shift_is_the_median_of_differences);
    RUN(intervals_invert_the_test);
    RUN(large_samples);
    RUN(holm);
    RUN(fdr);
    RUN(false_alarms);
    RUN(holds_the_shift);
    return check_done();
}
