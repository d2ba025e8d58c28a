/* test_interval.c - lib/stat/interval: published values, and how often they hold the truth */
#include "tests/noise.h"

#include "lib/stat/interval.h"

#define DIGITS 1e-12

static void averages(void) {
    const double x[] = {1, 2, 4, 8};
    CHECK(interval_average(x, 4) == 3.75);
    CHECK_NEAR(interval_deviation(x, 4), 3.0956959368344519, DIGITS);   /* statistics.stdev */
    CHECK(isnan(interval_average(x, 0)) && isnan(interval_deviation(x, 1)));
    CHECK(interval_deviation((double[]){7, 7, 7}, 3) == 0);
    CHECK(isnan(interval_deviation((double[]){1e308, 1e308, 1.2e308}, 3)));     /* and not 0 */
}

/* Numbers whose plain sum, or whose sum of squares, has lost what is asked for: NIST's data sets
 * NumAcc2 and NumAcc3 (Statistical Reference Datasets), whose deviation is exactly 0.1. */
static void digits_survive(void) {
    double x[1001];
    const double ends[] = {1e16, 1, -1e16, 1};
    CHECK(interval_average(ends, 4) == 0.5);
    static const double base[] = {1.2, 1000000.2};
    for (int set = 0; set < 2; set++) {
        x[0] = base[set];
        for (int i = 1; i < 1001; i++)
            x[i] = base[set] + (i % 2 ? -0.1 : 0.1);
        CHECK_NEAR(interval_average(x, 1001), base[set], 1e-9);
        CHECK_NEAR(interval_deviation(x, 1001), 0.1, 1e-9);
    }
}

static void means(void) {
    /* scipy.stats.t.interval(0.95, 3, 3.75, 3.0956959368344519 / 2) */
    const double x[] = {1, 2, 4, 8};
    struct interval i = interval_mean(x, 4, 0.95);
    CHECK_NEAR(i.low, 3.75 - 3.182446305284263 * 1.54784796841722595, DIGITS);
    CHECK_NEAR(i.high, 3.75 + 3.182446305284263 * 1.54784796841722595, DIGITS);
    CHECK(isnan(interval_mean(x, 1, 0.95).low) && isnan(interval_mean(x, 4, 1).low));
}

/* Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3. */
static void proportions(void) {
    static const struct {
        int k, n;
        double low, high;
    } table[] = {{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611},
                 {1, 29, 0.0061, 0.1718}};
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        struct interval i = interval_proportion(table[t].k, table[t].n, 0.95);
        CHECK_NEAR(i.low, table[t].low, 5e-5);
        CHECK_NEAR(i.high, table[t].high, 5e-5);
        struct interval mirror = interval_proportion(table[t].n - table[t].k, table[t].n, 0.95);
        CHECK_NEAR(mirror.low, 1 - i.high, DIGITS);
        CHECK_NEAR(mirror.high, 1 - i.low, DIGITS);
    }
    CHECK(interval_proportion(0, 3, 0.95).low == 0 && interval_proportion(3, 3, 0.95).high == 1);
    CHECK(isnan(interval_proportion(0, 0, 0.95).low));
    CHECK(isnan(interval_proportion(4, 3, 0.95).low));
    CHECK(isnan(interval_proportion(-1, 3, 0.95).low));
}

/* Exact for normal noise at every n. Skew costs: 10 log-normal samples hold the mean 0.93 of the
 * times, and with two modes a sample may see only one. */
static void holds_a_mean(void) {
    static const struct {
        size_t n;
        double least[NOISES];
    } at[] = {{3, {0.95, 0.93, 0.62}}, {10, {0.95, 0.93, 0.93}}, {100, {0.95, 0.94, 0.945}}};
    int trials = NOISE_TRIALS(6000);
    for (size_t s = 0; s < sizeof at / sizeof *at; s++)
        for (int kind = 0; kind < NOISES; kind++) {
            struct rng r = {(uint64_t)(kind + 30)};
            int hits = 0;
            for (int t = 0; t < trials; t++) {
                double x[100];
                noise_fill(&r, (enum noise)kind, x, at[s].n);
                hits += noise_holds(interval_mean(x, at[s].n, 0.95), noise_mean((enum noise)kind));
            }
            noise_check(noise_name[kind], hits, trials, at[s].least[kind], 0.95);
        }
}

/* Not by drawing but by adding up the binomial law: Wilson's interval lies around the level, and
 * nowhere in 0.01 to 0.99 far below it (Brown, Cai, DasGupta 2001, figure 5). */
static void holds_a_proportion(void) {
    for (int n = 10; n <= 160; n *= 4) {
        double sum = 0;
        double worst = 1;
        for (int percent = 1; percent < 100; percent++) {
            double p = percent / 100.0;
            double rate = 0;
            for (int k = 0; k <= n; k++)
                if (noise_holds(interval_proportion(k, n, 0.95), p))
                    rate += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) +
                                k * log(p) + (n - k) * log1p(-p));
            sum += rate / 99;
            worst = fmin(worst, rate);
        }
        CHECK_NEAR(sum, 0.953, 0.005);
        CHECK(worst > 0.83);
    }
}

int main(void) {
    RUN(averages);
    RUN(digits_survive);
    RUN(means);
    RUN(proportions);
    RUN(holds_a_mean);
    RUN(holds_a_proportion);
    return check_done();
}
