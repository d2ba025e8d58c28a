/* test_balance.c - lib/route/balance: closed forms, definitions taken literally, simulated chance
 */
#include "tests/check.h"
#include "tests/random.h"

#include "lib/route/balance.h"

#define TOLERANCE 1e-12
#define NOISE_TOLERANCE 0.012   /* of the simulations, relative; of few tokens thrice that */

static void all_alike(void) {
    double count[16];
    struct balance b;
    for (int e = 0; e < 16; e++)
        count[e] = 7;
    balance_of(count, 16, &b);
    CHECK_NEAR(b.max_over_mean, 1, 0);
    CHECK_NEAR(b.maxvio, 0, 0);
    CHECK_NEAR(b.cv, 0, 0);
    CHECK_NEAR(b.gini, 0, TOLERANCE);
    CHECK_NEAR(b.entropy, 1, TOLERANCE);
    CHECK_NEAR(b.effective, 16, 1e-10);
    CHECK_INT(b.dead, 0);
    CHECK_INT(b.used, 16);
    CHECK_INT(b.top, 0);
    CHECK_NEAR(b.sum, 112, 0);
}

static void one_has_all(void) {
    double count[8] = {0, 0, 0, 5};
    struct balance b;
    balance_of(count, 8, &b);
    CHECK_NEAR(b.max_over_mean, 8, 0);
    CHECK_NEAR(b.maxvio, 7, 0);
    CHECK_NEAR(b.cv, sqrt(7), TOLERANCE);
    CHECK_NEAR(b.gini, 7.0 / 8, TOLERANCE);
    CHECK_NEAR(b.entropy, 0, 0);
    CHECK_NEAR(b.effective, 1, 0);
    CHECK_NEAR(b.top_share, 1, 0);
    CHECK_INT(b.dead, 7);
    CHECK_INT(b.top, 3);
}

/* Counts 1, 2, 3, 4: deviation sqrt(1.25), mean difference 1.25. */
static void by_hand(void) {
    double count[4] = {3, 1, 4, 2};
    struct balance b;
    balance_of(count, 4, &b);
    CHECK_NEAR(b.max_over_mean, 1.6, TOLERANCE);
    CHECK_NEAR(b.cv, sqrt(1.25) / 2.5, TOLERANCE);
    CHECK_NEAR(b.gini, 0.25, TOLERANCE);
    CHECK_NEAR(b.entropy, (0.1 * log(10) + 0.2 * log(5) + 0.3 * log(10 / 3.0) + 0.4 * log(2.5))
               / log(4), TOLERANCE);
    CHECK_INT(b.top, 2);
}

static void nothing(void) {
    double count[4] = {0};
    struct balance b;
    balance_of(count, 4, &b);
    CHECK(isnan(b.max_over_mean) && isnan(b.maxvio) && isnan(b.cv) && isnan(b.gini));
    CHECK(isnan(b.entropy) && isnan(b.effective) && isnan(b.top_share));
    CHECK_INT(b.dead, 4);
    CHECK_INT(b.top, -1);
}

static void single_expert(void) {
    double count[1] = {9};
    struct balance b;
    balance_of(count, 1, &b);
    CHECK_NEAR(b.max_over_mean, 1, 0);
    CHECK_NEAR(b.gini, 0, 0);
    CHECK(isnan(b.entropy));
    CHECK_NEAR(b.effective, 1, 0);
    CHECK_NEAR(balance_noise(100, 100, 1), 1, 0);
}

/* Gini is half the mean of all differences, over the mean; scale does not matter. */
static void definitions(void) {
    state = 3;
    for (int round = 0; round < 200; round++) {
        double count[100];
        double scaled[100];
        int n = 2 + below(99);
        double differences = 0;
        struct balance b, c;
        for (int e = 0; e < n; e++) {
            count[e] = below(4) ? below(1000) : 0;
            scaled[e] = count[e] * 1e12;
        }
        count[0] = scaled[0] = 1;
        scaled[0] *= 1e12;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                differences += fabs(count[i] - count[j]);
        balance_of(count, n, &b);
        balance_of(scaled, n, &c);
        CHECK_NEAR(b.gini, differences / (2.0 * n * b.sum), 1e-9);
        CHECK_NEAR(b.gini, c.gini, 1e-9);
        CHECK_NEAR(b.cv, c.cv, 1e-9);
        CHECK_NEAR(b.entropy, c.entropy, 1e-9);
    }
}

/* ---- chance ------------------------------------------------------------------------------- */

/* The mean of max over mean when every token takes k of the experts, all alike. */
static double simulated(int tokens, int k, int experts, int rounds) {
    int count[256];
    int order[256];
    double sum = 0;
    for (int r = 0; r < rounds; r++) {
        int most = 0;
        memset(count, 0, sizeof count);
        for (int e = 0; e < experts; e++)
            order[e] = e;
        for (int t = 0; t < tokens; t++)
            for (int j = 0; j < k; j++) {
                int other = j + below(experts - j);
                int e = order[other];
                order[other] = order[j];
                order[j] = e;
                most = ++count[e] > most ? count[e] : most;
            }
        sum += most;
    }
    return sum / rounds / ((double)tokens * k / experts);
}

static void noise_simulated(void) {
    static const int cases[][3] = {{1, 2, 16}, {4, 1, 8}, {20, 2, 16}, {156, 6, 128}, {156, 1, 2},
                                   {500, 8, 64}, {500, 8, 256}, {2000, 3, 8}, {3000, 4, 128}};
    state = 5;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int *c = cases[i];
        double got = balance_noise(c[0], (double)c[0] * c[1], c[2]);
        double want = simulated(c[0], c[1], c[2], 1500000 / (c[0] * c[1] + 200) + 200);
        CHECK_NEAR(got / want, 1, NOISE_TOLERANCE * (c[0] < 20 ? 3 : 1));
    }
}

/* Of very many tokens: the largest of 64 normal numbers is 2.3437 deviations out (Harter, "Expected
 * values of normal order statistics", 1961), a little more where their sum is fixed. */
static void noise_many(void) {
    double tokens = 1e10;
    double p = 8.0 / 64;
    double relative = sqrt((1 - p) / (tokens * p));
    double got = balance_noise(tokens, tokens * 8, 64) - 1;
    CHECK_NEAR(got / relative, 2.3437 * sqrt(64.0 / 63), 0.02);
}

static void noise_bounds(void) {
    CHECK(isnan(balance_noise(0, 0, 64)));
    CHECK_NEAR(balance_noise(50, 50 * 16, 16), 1, 0);   /* every token takes all */
    CHECK_NEAR(balance_noise(1, 2, 16), 8, 1e-9);       /* one token: 2 of 16 have it */
}

int main(void) {
    RUN(all_alike);
    RUN(one_has_all);
    RUN(by_hand);
    RUN(nothing);
    RUN(single_expert);
    RUN(definitions);
    RUN(noise_simulated);
    RUN(noise_many);
    RUN(noise_bounds);
    return check_done();
}
