/* test_order.c - lib/stat/order: sorting, quantiles, and how often intervals hold the truth */
#include "tests/noise.h"

#include "lib/base/mem.h"

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Numbers of every kind: all magnitudes and signs, runs of equal ones, both zeros. */
static void fill(struct rng *r, double *x, size_t n, int kind) {
    for (size_t i = 0; i < n; i++) {
        double u = rng_unit(r) - 0.5;
        x[i] = kind == 0 ? u : kind == 1 ? (double)(int)(u * 20)
             : kind == 2 ? ldexp(u, (int)rng_below(r, 2000) - 1000)
             : kind == 3 ? (double)i : -(double)i;
    }
}

static void sorts_like_qsort(void) {
    static const size_t sizes[] = {0, 1, 2, 3, 63, 64, 65, 1000, 30000};
    struct rng r = {1};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int kind = 0; kind < 5; kind++) {
            size_t n = sizes[s];
            double *x = mem_array(n + 1, sizeof *x);
            double *want = mem_array(n + 1, sizeof *want);
            fill(&r, x, n, kind);
            memcpy(want, x, n * sizeof *x);
            qsort(want, n, sizeof *want, by_value);
            order_sort(x, n);
            size_t wrong = 0;
            for (size_t i = 0; i < n; i++)
                wrong += x[i] != want[i];
            CHECK_INT(wrong, 0);
            free(want);
            free(x);
        }
}

static void quantiles(void) {
    /* numpy.quantile([1, 2, 4, 8, 16], q) */
    const double x[] = {1, 2, 4, 8, 16};
    CHECK(order_quantile(x, 5, 0) == 1 && order_quantile(x, 5, 1) == 16);
    CHECK(order_quantile(x, 5, 0.5) == 4);
    CHECK_NEAR(order_quantile(x, 5, 0.9), 12.8, 1e-12);
    CHECK_NEAR(order_quantile(x, 5, 0.1), 1.4, 1e-12);
    CHECK(order_quantile(x, 1, 0.7) == 1);
    CHECK(isnan(order_quantile(x, 0, 0.5)));
    CHECK_NEAR(order_quantile((double[]){-1.5e308, 1e308}, 2, 0.5), -2.5e307, 1e295);
}

static void medians(void) {
    const double x[] = {9, 1, 5, 3};
    struct interval i;
    CHECK(order_median(x, 4) == 4 && order_median(x, 3) == 5 && order_median(x, 1) == 9);
    CHECK(isnan(order_median(x, 0)));
    CHECK(x[0] == 9 && x[1] == 1);
    CHECK(order_summary(x, 4, 0.95, &i) == 4);
    CHECK(isnan(i.low) && isnan(i.high));
}

/* Which order statistics a table of signs takes: Conover, table A3 and example 3.2, and the ranks
 * that follow from the binomial law at 0.5. */
static void ranks_of_a_median(void) {
    static const struct {
        int n, low, high;       /* ranks from 1 */
    } table[] = {{6, 1, 6}, {7, 1, 7}, {8, 1, 8}, {9, 2, 8}, {10, 2, 9}, {16, 4, 13}, {20, 6, 15},
                 {25, 8, 18}, {50, 18, 33}, {100, 40, 61}};
    double x[100];
    for (int i = 0; i < 100; i++)
        x[i] = i + 1;
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        struct interval i = order_interval(x, (size_t)table[t].n, 0.5, 0.95);
        CHECK(i.low == table[t].low && i.high == table[t].high);
    }
    for (size_t n = 0; n < 6; n++)
        CHECK(isnan(order_interval(x, n, 0.5, 0.95).low));
    /* 2 * 0.5^5 is missed exactly. */
    CHECK(order_interval(x, 5, 0.5, 0.9375).high == 5);
}

static void ends_of_the_range(void) {
    double x[400];
    for (int i = 0; i < 400; i++)
        x[i] = i + 1;
    CHECK(isnan(order_interval(x, 100, 0.99, 0.95).high));  /* 0.99^100 is 0.37 */
    struct interval i = order_interval(x, 400, 0.99, 0.95);
    CHECK(i.low == 392 && i.high == 400);                   /* 0.99^400 is 0.018 */
    CHECK(isnan(order_interval(x, 400, 0, 0.95).low));
    CHECK(isnan(order_interval(x, 400, 1, 0.95).low));
    CHECK(isnan(order_interval(x, 400, 0.5, 1).low));
}

/* A million samples: the interval of the median is about 1.96 * sqrt(n) / 2 ranks to each side. */
static void many_samples(void) {
    size_t n = 1000000;
    double *x = mem_array(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (double)i;
    struct interval i = order_interval(x, n, 0.5, 0.95);
    CHECK_NEAR(i.low, 499020, 1.5);
    CHECK_NEAR(i.high, 500980, 1.5);
    free(x);
}

/* By the binomial law the rate depends on the number of samples alone. */
static void holds_the_truth(void) {
    static const struct {
        size_t n;
        double rate;
    } at[] = {{9, 0.96094}, {20, 0.95861}, {40, 0.96152}};
    int trials = NOISE_TRIALS(8000);
    for (int kind = 0; kind < NOISES; kind++)
        for (size_t s = 0; s < sizeof at / sizeof *at; s++) {
            struct rng r = {(uint64_t)(kind + 10)};
            int hits = 0;
            for (int t = 0; t < trials; t++) {
                double x[40];
                struct interval i;
                noise_fill(&r, (enum noise)kind, x, at[s].n);
                order_summary(x, at[s].n, 0.95, &i);
                hits += noise_holds(i, noise_median((enum noise)kind));
            }
            noise_check(noise_name[kind], hits, trials, at[s].rate, at[s].rate);
        }
}

/* The 0.9 quantile of 60 samples lies between the 49th and the 59th. */
static void holds_a_high_quantile(void) {
    int trials = NOISE_TRIALS(8000);
    int hits = 0;
    struct rng r = {20};
    for (int t = 0; t < trials; t++) {
        double x[60];
        noise_fill(&r, NOISE_SKEWED, x, 60);
        order_sort(x, 60);
        hits += noise_holds(order_interval(x, 60, 0.9, 0.95), exp(0.3 * 1.2815515655));
    }
    noise_check("0.9 quantile", hits, trials, 0.97164, 0.97164);
}

int main(void) {
    RUN(sorts_like_qsort);
    RUN(quantiles);
    RUN(medians);
    RUN(ranks_of_a_median);
    RUN(ends_of_the_range);
    RUN(many_samples);
    RUN(holds_the_truth);
    RUN(holds_a_high_quantile);
    return check_done();
}
