/* test_perm_groups.c - lib/stat/perm_groups: all ways counted, t tests of others, how often p is
 * small when there is nothing
 */
#include "tests/check.h"
#include "tests/noise.h"

#include "lib/base/mem.h"
#include "lib/stat/perm_groups.h"

static void ways(void) {
    static const uint8_t side[] = {0, 0, 0, 1, 1, 1, 0, 1, 0, 0};
    static const uint32_t stratum[] = {7, 7, 7, 7, 7, 7, 9, 9, 4, 4};
    struct perm_groups *g = perm_groups_new(side, stratum, 10);
    CHECK_NEAR(perm_groups_log_ways(g), log(20 * 2), 1e-12);
    CHECK_NEAR(perm_groups_least_p(g), 0.05, 1e-12);
    perm_groups_free(g);
    g = perm_groups_new(side, NULL, 10);
    CHECK_NEAR(perm_groups_log_ways(g), log(210), 1e-12);
    perm_groups_free(g);
    g = perm_groups_new(side, NULL, 2);
    CHECK_NEAR(perm_groups_least_p(g), 1, 0);
    perm_groups_free(g);
    g = perm_groups_new(NULL, NULL, 0);
    CHECK_NEAR(perm_groups_least_p(g), 1, 0);
    CHECK(isnan(perm_groups_score(g, NULL, 0).p));
    perm_groups_free(g);
}

/* Every choice of 3 out of 6 beside each way of a pair, about as often as any other. */
static void draws_are_uniform(void) {
    static const uint8_t side[] = {0, 1, 0, 1, 1, 0, 0, 1};
    static const uint32_t stratum[] = {1, 1, 1, 1, 1, 1, 0, 0};
    struct perm_groups *g = perm_groups_new(side, stratum, 8);
    int seen[256] = {0};
    int kinds = 0;
    uint8_t drawn[8];
    for (uint64_t t = 0; t < 40000; t++) {
        int bits = 0;
        perm_groups_draw(g, 3, t, drawn);
        for (int i = 0; i < 8; i++)
            bits |= drawn[i] << i;
        seen[bits]++;
    }
    for (int i = 0; i < 256; i++) {
        kinds += seen[i] > 0;
        CHECK(!seen[i] || (seen[i] > 830 && seen[i] < 1170));      /* 1000, 5 deviations */
    }
    CHECK_INT(kinds, 40);
    perm_groups_free(g);
}

/* A draw depends on seed and number, not on what was drawn before. */
static void draws_are_named(void) {
    static const uint8_t side[40] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct perm_groups *g = perm_groups_new(side, NULL, 40);
    uint8_t a[40];
    uint8_t b[40];
    perm_groups_draw(g, 5, 17, a);
    perm_groups_draw(g, 5, 18, b);
    CHECK(memcmp(a, b, 40) != 0);
    perm_groups_draw(g, 5, 17, b);
    CHECK(memcmp(a, b, 40) == 0);
    perm_groups_draw(g, 6, 17, b);
    CHECK(memcmp(a, b, 40) != 0);
    perm_groups_free(g);
}

static double sum_of(const double *x, const uint8_t *side, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += side[i] ? x[i] : 0;
    return sum;
}

/* Mean and variance over all ways, by going through them. */
static void moments(void) {
    static const uint8_t side[] = {0, 1, 1, 0, 0, 0, 1};
    static const uint32_t stratum[] = {0, 0, 0, 0, 0, 2, 2};
    static const double x[] = {1, 4, -2, 7.5, 0, 3, 11};
    struct perm_groups *g = perm_groups_new(side, stratum, 7);
    double mean = 0;
    double square = 0;
    int n = 0;
    for (int bits = 0; bits < 128; bits++) {
        uint8_t s[7];
        int first = 0;
        for (int i = 0; i < 7; i++) {
            s[i] = bits >> i & 1;
            first += i < 5 ? s[i] : 0;
        }
        if (first != 2 || s[5] + s[6] != 1)
            continue;
        double sum = sum_of(x, s, 7);
        mean += sum;
        square += sum * sum;
        n++;
    }
    mean /= n;
    struct perm_sum got = perm_groups_sum(g, x);
    CHECK_NEAR(got.sum, 13, 1e-12);
    CHECK_NEAR(got.mean, mean, 1e-12);
    CHECK_NEAR(got.variance, square / n - mean * mean, 1e-10);
    CHECK_NEAR(got.most, 5, 0);
    perm_groups_free(g);
}

/* scipy 1.17: ttest_ind(a, b), ttest_rel(a[:6], b[:6]) */
static void t_tests(void) {
    static const double x[] = {5.1, 4.9, 6.2, 5.8, 5.5, 6.0, 6.4, 4.6, 4.4, 5.9, 5.0, 5.2, 5.1};
    static const uint8_t side[] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0};
    struct perm_groups *g = perm_groups_new(side, NULL, 13);
    struct perm_score s = perm_groups_score(g, x, 0);
    CHECK_NEAR(s.t, 2.203402161315382, 1e-10);
    CHECK_NEAR(s.p, 0.04978933264399198, 1e-10);
    CHECK_NEAR(s.df, 11, 1e-12);
    perm_groups_free(g);
    static const uint32_t pair[] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5};
    static const uint8_t of[] = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0};
    double y[12];
    for (int i = 0; i < 6; i++) {
        y[i] = x[i];
        y[6 + i] = x[7 + i];
    }
    g = perm_groups_new(of, pair, 12);
    s = perm_groups_score(g, y, 0);
    CHECK_NEAR(s.t, 5.36745040121693, 1e-10);
    CHECK_NEAR(s.p, 2.0 / 64, 1e-12);       /* t's law says 0.0030, but there are 64 ways */
    perm_groups_free(g);
}

static void edges(void) {
    static const uint8_t side[] = {1, 1, 1, 0, 0, 0};
    static const double apart[] = {1, 1, 1, 0, 0, 0};
    static const double alike[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    struct perm_groups *g = perm_groups_new(side, NULL, 6);
    CHECK_NEAR(perm_groups_score(g, apart, 0).p, 0.1, 1e-12);       /* 2 of 20 ways, no less */
    CHECK(perm_groups_score(g, apart, 1).p > 0.1);
    CHECK_NEAR(perm_groups_score(g, alike, 0).p, 1, 0);
    perm_groups_free(g);
    g = perm_groups_new(side, NULL, 3);
    CHECK(isnan(perm_groups_score(g, apart, 0).p));
    perm_groups_free(g);
    g = perm_groups_new(side + 2, NULL, 2);                         /* one way to be different */
    CHECK(isnan(perm_groups_score(g, apart + 2, 0).p));
    perm_groups_free(g);
}

/* Skewed sums in strata of several sizes: p is below 0.05 in some 5 of 100 cases. */
static void says_nothing_of_nothing(void) {
    int trials = NOISE_TRIALS(4000);
    int low = 0;
    struct rng r = {11};
    uint8_t side[30];
    uint32_t stratum[30];
    for (uint32_t i = 0; i < 30; i++) {
        stratum[i] = i < 18 ? 0 : i < 26 ? 1 : 2;
        side[i] = i % 3 == 0;
    }
    struct perm_groups *g = perm_groups_new(side, stratum, 30);
    for (int t = 0; t < trials; t++) {
        double x[30];
        noise_fill(&r, NOISE_SKEWED, x, 30);
        for (int i = 18; i < 30; i++)
            x[i] *= 1.5;
        low += perm_groups_score(g, x, 0).p > 0.05;
    }
    noise_check("p", low, trials, 0.945, 0.96);
    perm_groups_free(g);
}

int main(void) {
    RUN(ways);
    RUN(draws_are_uniform);
    RUN(draws_are_named);
    RUN(moments);
    RUN(t_tests);
    RUN(edges);
    RUN(says_nothing_of_nothing);
    return check_done();
}
