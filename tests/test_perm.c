/* test_perm.c - lib/stat/perm: Fisher's count of Darwin's maize, all flips one by one, and how
 * often chance alone is significant
 */
#include "tests/noise.h"

#include "lib/stat/perm.h"

#define DIGITS 1e-12

/* Fisher, "The design of experiments" (1935), sections 17 and 21: heights of crossed less those of
 * self-fertilised plants in eighths of an inch; 863 of 32768 choices of signs reach the sum of 314,
 * and as many -314. */
static void darwin(void) {
    static const double maize[] = {49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48};
    struct perm_test t = perm_signs(maize, 15, 1);
    CHECK(t.exact && t.sum == 314);
    CHECK_NEAR(t.p, 2 * 863 / 32768.0, DIGITS);
}

static double by_hand(const double *x, int n) {
    double sum = 0;
    int far = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    for (int at = 0; at < 1 << n; at++) {
        double one = 0;
        for (int i = 0; i < n; i++)
            one += at >> i & 1 ? fabs(x[i]) : -fabs(x[i]);
        far += fabs(one) >= fabs(sum) - 1e-9;
    }
    return (double)far / (1 << n);
}

/* Ties, zeros and signs at random. */
static void all_flips(void) {
    struct rng r = {5};
    for (int t = 0; t < 300; t++) {
        double x[12];
        int n = 1 + (int)rng_below(&r, 12);
        for (int i = 0; i < n; i++)
            x[i] = (double)rng_below(&r, 9) - 3 + (t % 2 ? rng_unit(&r) : 0);
        CHECK_NEAR(perm_signs(x, (size_t)n, 1).p, by_hand(x, n), DIGITS);
    }
}

static void edges(void) {
    static const double zeros[40] = {0};
    double x[20];
    CHECK(isnan(perm_signs(zeros, 0, 1).p));
    CHECK(perm_signs(zeros, 40, 1).p == 1 && perm_signs(zeros, 40, 1).exact);
    for (int i = 0; i < 20; i++)
        x[i] = 1e-3 * (i + 1);
    CHECK_NEAR(perm_signs(x, 20, 1).p, perm_least_p(20), 0);
    for (int i = 0; i < 20; i++)
        x[i] = -x[i];
    CHECK_NEAR(perm_signs(x, 20, 1).p, 2.0 / (1 << 20), 0);
    CHECK_NEAR(perm_least_p(6), 0.03125, 0);
    CHECK(perm_least_p(0) == 1 && perm_least_p(1) == 1 && perm_least_p(100000) >= 0);
}

/* What is drawn, and what is normal, against the exact: one more difference of next to nothing. */
static void drawn_and_normal(void) {
    double x[31];
    struct rng r = {6};
    for (int i = 0; i < 31; i++)
        x[i] = 0.4 + noise_gauss(&r);
    x[30] = 1e-9;
    struct perm_test exact = perm_signs(x, 30, 1);
    struct perm_test drawn = perm_signs(x, 31, 1);
    CHECK(exact.exact && !drawn.exact);
    CHECK_NEAR(drawn.p, exact.p, 4 * sqrt(exact.p / 50000));
    CHECK(perm_signs(x, 31, 1).p == drawn.p);
    CHECK(perm_signs(x, 31, 2).p != drawn.p);

    static double many[6000];
    for (int i = 0; i < 6000; i++)
        many[i] = 0.01 + noise_gauss(&r);
    struct perm_test normal = perm_signs(many, 6000, 1);
    struct perm_test near = perm_signs(many, 500, 1);
    CHECK(!normal.exact && normal.p > 0 && normal.p < 1 && near.p > 0);
}

/* Symmetric noise of any shape: exactly alpha but for steps of the count. */
static void false_alarms(void) {
    int trials = NOISE_TRIALS(2000);
    for (int kind = 0; kind < NOISES; kind++) {
        struct rng r = {(uint64_t)(kind + 40)};
        int alarms = 0;
        for (int t = 0; t < trials; t++) {
            double x[14];
            for (int i = 0; i < 14; i++)
                x[i] = (noise_draw(&r, (enum noise)kind) - noise_draw(&r, (enum noise)kind)) *
                       (i == 3 ? 20 : 1);       /* one case that outweighs the rest */
            alarms += perm_signs(x, 14, 1).p <= 0.05;
        }
        noise_check(noise_name[kind], alarms, trials, 0.04, 0.05);
    }
}

int main(void) {
    RUN(darwin);
    RUN(all_flips);
    RUN(edges);
    RUN(drawn_and_normal);
    RUN(false_alarms);
    return check_done();
}
