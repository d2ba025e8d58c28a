/* test_power.c - lib/stat/power: published powers of Student's test, and simulated ones of Mann and
 * Whitney's
 */
#include "tests/noise.h"

#include "lib/stat/power.h"
#include "lib/stat/rank.h"

#define POWER_ERROR 0.03        /* of a computed power, beside the simulation's own error */

/* Cohen's small, medium and large differences of pairs at 0.05, two-sided, power 0.8: 199, 34 and
 * 15 pairs (G*Power 3.1), which have 0.8017, 0.8078 and 0.8213. */
static void means(void) {
    static const struct {
        double size, n, power;
    } known[] = {{0.2, 199, 0.8017}, {0.5, 34, 0.8078}, {0.8, 15, 0.8213}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CHECK_NEAR(power_mean(1, known[i].size, known[i].n, 0.05), known[i].power, 0.01);
        CHECK_NEAR(power_mean_need(1, known[i].size, 0.05, 0.8), known[i].n, 1);
        CHECK_NEAR(power_mean_need(7, -7 * known[i].size, 0.05, 0.8), known[i].n, 1);
    }
    CHECK(isnan(power_mean_need(1, 1e-9, 0.05, 0.8)));
    CHECK(power_mean(0, 1, 5, 0.05) == 1 && isnan(power_mean(0, 0, 5, 0.05)));
    CHECK(isnan(power_mean(1, 1, 1, 0.05)));
}

static void least(void) {
    CHECK_NEAR(power_rank_least(1, 0.05), 4, 0);        /* 2 / C(8, 4) = 0.029, 2 / C(6, 3) = 0.1 */
    CHECK_NEAR(power_rank_least(3, 0.05), 5, 0);
    CHECK_NEAR(power_perm_least(1, 0.05), 6, 0);
    CHECK_NEAR(power_perm_least(4, 0.05), 8, 0);
    CHECK_NEAR(power_reach(0.04, 0.06, 0.05, 10), 40, 0);
    CHECK(isnan(power_reach(0.04, 0.045, 0.05, 10)) && isnan(power_reach(0.05, 0.06, 0.05, 10)));
    CHECK(isnan(power_reach(0.04, 1e9, 0.05, 10)));
}

static double simulated(struct rng *r, enum noise kind, double factor, int n, int trials) {
    double a[40];
    double b[40];
    int found = 0;
    for (int t = 0; t < trials; t++) {
        noise_fill(r, kind, a, (size_t)n);
        noise_fill(r, kind, b, (size_t)n);
        for (int i = 0; i < n; i++)
            a[i] *= factor;
        struct rank_test test = rank_mann_whitney(a, (size_t)n, b, (size_t)n);
        found += test.p <= 0.05 && test.u > 0.5 * n * n;
    }
    return (double)found / trials;
}

/* The noise is known from 2000 samples. */
static void ranks(void) {
    static const int sides[] = {8, 20, 40};
    static const double factors[NOISES][2] = {{1.05, 1.1}, {1.2, 1.4}, {1.05, 1.1}};
    int trials = NOISE_TRIALS(800);
    for (int kind = 0; kind < NOISES; kind++) {
        struct rng r = {(uint64_t)(kind + 60)};
        static double pilot[2000];
        noise_fill(&r, (enum noise)kind, pilot, 2000);
        for (int i = 0; i < 2000; i++)
            pilot[i] = log(pilot[i]);
        for (size_t k = 0; k < 6; k++) {
            int n = sides[k / 2];
            double factor = factors[kind][k % 2];
            double power = power_rank(pilot, 2000, log(factor), n, 0.05);
            double got = simulated(&r, (enum noise)kind, factor, n, trials);
            if (getenv("NOISE_SHOW"))
                printf("# %s, %d a side, factor %g: computed %.3f, simulated %.3f\n",
                       noise_name[kind], n, factor, power, got);
            CHECK_NEAR(got, power, POWER_ERROR + 4 * sqrt(power * (1 - power) / trials));
        }
    }
}

/* The need is where the power is reached, and grows with what is asked. */
static void needs(void) {
    double pilot[100];
    struct rng r = {9};
    for (int i = 0; i < 100; i++)
        pilot[i] = 0.05 * noise_gauss(&r);
    double need = power_rank_need(pilot, 100, log(1.05), 0.05, 0.8);
    CHECK(power_rank(pilot, 100, log(1.05), need, 0.05) >= 0.8);
    CHECK(power_rank(pilot, 100, log(1.05), need - 1, 0.05) < 0.8);
    CHECK(power_rank_need(pilot, 100, log(1.05), 0.01, 0.8) > need);
    CHECK(power_rank_need(pilot, 100, log(1.02), 0.05, 0.8) > 4 * need);
    CHECK(power_rank_need(pilot, 100, -log(1.05), 0.05, 0.8) == need);
    CHECK(isnan(power_rank_need(pilot, 100, 1e-9, 0.05, 0.8)));
    CHECK(isnan(power_rank_need(pilot, 1, 1, 0.05, 0.8)));
    static const double same[5] = {2, 2, 2, 2, 2};      /* no noise at all */
    CHECK_NEAR(power_rank_need(same, 5, 0.1, 0.05, 0.8), 4, 0);
}

int main(void) {
    RUN(means);
    RUN(least);
    RUN(ranks);
    RUN(needs);
    return check_done();
}
