/* test_compare.c - lib/bench/compare.h: verdicts against simulated truth, and what noise is seen */
#include "tests/check.h"

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/bench/compare.h"
#include "lib/stat/dist.h"

#define LEVEL 0.95

static double normal(struct rng *r) {
    return dist_normal_quantile(rng_unit(r));
}

/* Log-normal samples around `middle`, deviation of 2%. */
static void draw(struct rng *r, struct serieses *all, const char *name, int better, double middle,
                 size_t n) {
    for (size_t i = 0; i < n; i++) {
        double x = middle * exp(0.02 * normal(r));
        series_append(all, name, "u", better, &x, 1);
    }
}

static struct serieses *none(void) {
    return mem_alloc(sizeof(struct serieses));
}

/* The verdict on one series, from these samples. */
static struct comparison judge(int better, const double *base, size_t nb, const double *head,
                               size_t nh, double margin) {
    struct serieses *b = none(), *h = none();
    struct comparisons c = {.c = NULL};
    series_append(b, "x", "u", better, base, nb);
    series_append(h, "x", "u", better, head, nh);
    compare_add(&c, b, h);
    compare_judge(&c, &(struct compare_options){LEVEL, margin});
    struct comparison one = c.c[0];
    CHECK_INT(c.n, 1);
    comparisons_free(&c);
    series_free(b);
    series_free(h);
    return one;
}
#define N(x) (sizeof(x) / sizeof *(x))

static const double low[] = {10.1, 9.9, 10.0, 10.2, 9.8, 10.05};
static const double high[] = {11.1, 10.9, 11.0, 11.2, 10.8, 11.05};

/* ---- verdicts ----------------------------------------------------------------------------- */

static void says_which_is_better(void) {
    struct comparison c = judge(SERIES_LOWER, low, N(low), high, N(high), 0);
    CHECK_INT(c.verdict, COMPARE_WORSE);
    CHECK_NEAR(c.p, 2.0 / 924, 1e-12);              /* 2 / C(12, 6) */
    CHECK_NEAR(c.ratio.shift, 1.1, 0.002);
    CHECK(c.ratio.interval.low > 1.07 && c.ratio.interval.high < 1.13);
    CHECK_NEAR(c.base_median, 10.025, 1e-12);
    CHECK(isnan(c.need));
    CHECK_INT(judge(SERIES_HIGHER, low, 6, high, 6, 0).verdict, COMPARE_BETTER);
    CHECK_INT(judge(SERIES_HIGHER, high, 6, low, 6, 0).verdict, COMPARE_WORSE);
    CHECK_INT(judge(SERIES_UNKNOWN, low, 6, high, 6, 0).verdict, COMPARE_HIGHER);
    CHECK_INT(judge(SERIES_UNKNOWN, high, 6, low, 6, 0).verdict, COMPARE_LOWER);
    CHECK_INT(judge(SERIES_LOWER, low, 6, low, 6, 0).verdict, COMPARE_NO_DIFFERENCE);
}

/* Three a side can give 2 / C(6, 3) = 0.1 at best: four would be needed for 0.05. */
static void needs_enough_samples(void) {
    struct comparison c = judge(SERIES_LOWER, low, 3, high, 3, 0);
    CHECK_INT(c.verdict, COMPARE_NOTHING);
    CHECK_NEAR(c.need, 4, 0);
    CHECK_INT(judge(SERIES_LOWER, low, 4, high, 4, 0).verdict, COMPARE_WORSE);
    CHECK_INT(judge(SERIES_LOWER, low, 1, high, 6, 0).verdict, COMPARE_NOTHING);
}

/* Four a side do for one series, but not for two at once (0.0286 twice is above 0.05). */
static void counts_all_tests(void) {
    struct serieses *b = none(), *h = none();
    struct comparisons c = {.c = NULL};
    series_append(b, "x", "u", SERIES_LOWER, low, 4);
    series_append(h, "x", "u", SERIES_LOWER, high, 4);
    series_append(b, "y", "u", SERIES_LOWER, low, 4);
    series_append(h, "y", "u", SERIES_LOWER, low, 4);
    compare_add(&c, b, h);
    compare_judge(&c, &(struct compare_options){LEVEL, 0});
    CHECK_INT(c.c[0].verdict, COMPARE_NOTHING);
    CHECK_NEAR(c.c[0].p_adjusted, 4.0 / 70, 1e-12);
    CHECK_NEAR(c.c[0].need, 5, 0);
    comparisons_free(&c);
    /* With two samples the second could not pass anyhow, and no longer counts. */
    b->s[1].n = h->s[1].n = 2;
    compare_add(&c, b, h);
    compare_judge(&c, &(struct compare_options){LEVEL, 0});
    CHECK_INT(c.c[0].verdict, COMPARE_WORSE);
    CHECK_INT(c.c[1].verdict, COMPARE_NOTHING);
    CHECK_NEAR(c.c[1].need, 5, 0);
    CHECK(isnan(c.c[1].p_adjusted));
    comparisons_free(&c);
    series_free(b);
    series_free(h);
}

static void has_three_answers_to_a_margin(void) {
    CHECK_INT(judge(SERIES_LOWER, low, 6, high, 6, 0.02).verdict, COMPARE_WORSE);
    CHECK_INT(judge(SERIES_LOWER, high, 6, low, 6, 0.02).verdict, COMPARE_BETTER);
    CHECK_INT(judge(SERIES_LOWER, low, 6, high, 6, 0.2).verdict, COMPARE_SAME);
    CHECK_INT(judge(SERIES_HIGHER, low, 6, high, 6, 0.105).verdict, COMPARE_NOT_WORSE);
    CHECK_INT(judge(SERIES_UNKNOWN, low, 6, high, 6, 0.2).verdict, COMPARE_SAME);
    struct comparison c = judge(SERIES_LOWER, low, 6, high, 6, 0.105);
    CHECK_INT(c.verdict, COMPARE_NOTHING);
    CHECK(c.need > 6);
    c = judge(SERIES_LOWER, low, 6, low, 6, 0.02);
    CHECK_INT(c.verdict, COMPARE_NOTHING);
    CHECK(c.need > 6 && c.need < 60);
}

static void takes_zeros(void) {
    static const double zero[] = {0, 0, 1, 0, 2, 0};
    static const double more[] = {5, 6, 7, 8, 9, 6};
    struct comparison c = judge(SERIES_LOWER, zero, 6, more, 6, 0);
    CHECK_INT(c.verdict, COMPARE_WORSE);
    CHECK(isnan(c.ratio.shift));
    CHECK_INT(judge(SERIES_LOWER, zero, 6, zero, 6, 0).verdict, COMPARE_NO_DIFFERENCE);
    static const double no_errors[] = {0, 0, 0, 0, 0, 0};
    CHECK_INT(judge(SERIES_LOWER, no_errors, 6, no_errors, 6, 0.01).verdict, COMPARE_SAME);
    CHECK_INT(judge(SERIES_LOWER, no_errors, 6, more, 6, 0.01).verdict, COMPARE_WORSE);
    c = judge(SERIES_LOWER, more, 6, zero, 6, 0.5);
    CHECK_INT(c.verdict, COMPARE_BETTER);
    CHECK_NEAR(c.ratio.shift, 0, 0.15);             /* all but 6.5 of 6.5 gone */
}

static void lists_what_one_side_has(void) {
    struct serieses *b = none(), *h = none();
    struct comparisons c = {.c = NULL};
    series_append(b, "gone", "u", SERIES_LOWER, low, 6);
    series_append(b, "empty", "u", SERIES_LOWER, low, 6);
    series_append(h, "empty", "u", SERIES_LOWER, low, 0);
    series_append(h, "new", "u", SERIES_LOWER, low, 6);
    series_append(h, "gone", "other", SERIES_LOWER, low, 6);
    compare_add(&c, b, h);
    compare_add(&c, b, b);
    compare_judge(&c, &(struct compare_options){LEVEL, 0});
    CHECK_INT(c.n, 6);
    CHECK_INT(c.c[0].verdict, COMPARE_ONLY_BASE);
    CHECK_INT(c.c[1].verdict, COMPARE_ONLY_BASE);
    CHECK_INT(c.c[2].verdict, COMPARE_ONLY_HEAD);
    CHECK_INT(c.c[3].verdict, COMPARE_ONLY_HEAD);
    CHECK_INT(c.c[4].verdict, COMPARE_NO_DIFFERENCE);
    CHECK_INT(c.c[4].pair, 1);
    comparisons_free(&c);
    series_free(b);
    series_free(h);
}

/* ---- against the truth -------------------------------------------------------------------- */

/* How often something is said of series whose true ratio is known; 400 trials, fixed seed. */
static int count(double truth, double margin, size_t n, int verdict) {
    struct rng r = {7};
    int said = 0;
    for (int i = 0; i < 400; i++) {
        struct serieses *b = none(), *h = none();
        struct comparisons c = {.c = NULL};
        draw(&r, b, "x", SERIES_LOWER, 10, n);
        draw(&r, h, "x", SERIES_LOWER, 10 * truth, n);
        compare_add(&c, b, h);
        compare_judge(&c, &(struct compare_options){LEVEL, margin});
        said += c.c[0].verdict == verdict;
        comparisons_free(&c);
        series_free(b);
        series_free(h);
    }
    return said;
}

/* 5% of 400 is 20; 36 would be four deviations above. */
#define FEW 36

static void is_seldom_wrong(void) {
    int none_found = count(1, 0, 10, COMPARE_NO_DIFFERENCE);
    CHECK(none_found >= 400 - FEW && none_found < 400);
    CHECK(count(1.02, 0.02, 10, COMPARE_WORSE) <= FEW / 2 + 5);     /* at the edge, one-sided */
    CHECK(count(1.02, 0.02, 10, COMPARE_NOT_WORSE) + count(1.02, 0.02, 10, COMPARE_SAME) <=
          FEW / 2 + 5);
}

static void finds_what_is_there(void) {
    CHECK(count(1.05, 0, 10, COMPARE_WORSE) > 390);
    CHECK(count(0.95, 0.01, 20, COMPARE_BETTER) > 390);
    CHECK(count(1, 0.05, 20, COMPARE_SAME) > 390);
}

/* Of 10 series that do not differ, some test calls one different in 5% of cases, not in 40%. */
static void holds_over_many_series(void) {
    struct rng r = {3};
    int wrong = 0;
    for (int i = 0; i < 400; i++) {
        struct serieses *b = none(), *h = none();
        struct comparisons c = {.c = NULL};
        int any = 0;
        for (int k = 0; k < 10; k++) {
            char name[16];
            snprintf(name, sizeof name, "s%d", k);
            draw(&r, b, name, SERIES_LOWER, 10, 8);
            draw(&r, h, name, SERIES_LOWER, 10, 8);
        }
        compare_add(&c, b, h);
        compare_judge(&c, &(struct compare_options){LEVEL, 0});
        for (size_t k = 0; k < c.n; k++)
            any |= c.c[k].verdict != COMPARE_NO_DIFFERENCE;
        wrong += any;
        comparisons_free(&c);
        series_free(b);
        series_free(h);
    }
    CHECK(wrong <= FEW);
}

/* The number of samples that is said to do does, mostly: here the truth is "same". */
static void need_is_enough(void) {
    struct rng r = {11};
    int asked = 0, done = 0;
    for (int i = 0; i < 200; i++) {
        struct serieses *b = none(), *h = none(), *b2 = none(), *h2 = none();
        struct comparisons c = {.c = NULL}, d = {.c = NULL};
        draw(&r, b, "x", SERIES_LOWER, 10, 8);
        draw(&r, h, "x", SERIES_LOWER, 10, 8);
        compare_add(&c, b, h);
        compare_judge(&c, &(struct compare_options){LEVEL, 0.03});
        if (c.c[0].verdict == COMPARE_NOTHING && c.c[0].need <= 500) {
            asked++;
            draw(&r, b2, "x", SERIES_LOWER, 10, (size_t)c.c[0].need);
            draw(&r, h2, "x", SERIES_LOWER, 10, (size_t)c.c[0].need);
            compare_add(&d, b2, h2);
            compare_judge(&d, &(struct compare_options){LEVEL, 0.03});
            done += d.c[0].verdict != COMPARE_NOTHING;
        }
        comparisons_free(&c);
        comparisons_free(&d);
        series_free(b);
        series_free(h);
        series_free(b2);
        series_free(h2);
    }
    CHECK(asked > 20);
    CHECK(done * 3 > asked * 2);
}

static void means_per_unit(void) {
    struct serieses *b = none(), *h = none();
    struct comparisons c = {.c = NULL};
    static const double one[] = {1, 1, 1, 1, 1, 1}, two[] = {2, 2, 2, 2, 2, 2};
    static const double eight[] = {8, 8, 8, 8, 8, 8};
    series_append(b, "x", "u", SERIES_LOWER, one, 6);
    series_append(h, "x", "u", SERIES_LOWER, two, 6);
    series_append(b, "y", "u", SERIES_LOWER, one, 6);
    series_append(h, "y", "u", SERIES_LOWER, eight, 6);
    series_append(b, "z", "v", SERIES_LOWER, one, 6);
    series_append(h, "z", "v", SERIES_LOWER, one, 6);
    compare_add(&c, b, h);
    compare_judge(&c, &(struct compare_options){LEVEL, 0});
    struct compare_mean m = compare_geomean(&c, 0, "u", LEVEL);
    CHECK_INT(m.n, 2);
    CHECK_NEAR(m.mean, 4, 1e-12);
    free(m.ratio);
    m = compare_geomean(&c, 0, "w", LEVEL);
    CHECK_INT(m.n, 0);
    CHECK(isnan(m.mean));
    free(m.ratio);
    comparisons_free(&c);
    series_free(b);
    series_free(h);
}

/* ---- noise -------------------------------------------------------------------------------- */

/* Samples of one law, taken one after the other, seldom look like anything else. */
static void quiet_when_quiet(void) {
    struct rng r = {5};
    int alarms = 0;
    for (int i = 0; i < 500; i++) {
        double x[20];
        for (int k = 0; k < 20; k++)
            x[k] = 10 + normal(&r);
        alarms += compare_noise(x, 20, SERIES_LOWER) != 0;
    }
    CHECK(alarms < 15);
    CHECK_INT(compare_noise(NULL, 0, SERIES_LOWER), 0);
    CHECK_INT(compare_noise((double[]){5}, 1, SERIES_LOWER), 0);
    /* What does not vary depends on nothing, however the mean of its ranks is rounded. */
    double same[60];
    for (size_t n = 0; n < 60; n++) {
        same[n] = 0.1;
        CHECK_INT(compare_noise(same, n + 1, SERIES_LOWER), 0);
    }
}

static void sees_noise(void) {
    struct rng r = {6};
    double first[20], drift[40], modes[40], outlier[20], slow[60];
    for (int k = 0; k < 20; k++) {
        first[k] = 10 + 0.3 * normal(&r) + (k ? 0 : 5);
        outlier[k] = 10 + 0.3 * normal(&r) + (k == 7 ? 5 : 0);
    }
    for (int k = 0; k < 40; k++) {
        drift[k] = 10 + 0.3 * normal(&r) + 0.03 * k;
        modes[k] = 10 + 0.3 * normal(&r) + (rng_below(&r, 2) ? 4 : 0);
    }
    for (int k = 0; k < 60; k++)
        slow[k] = (k ? 0.9 * (slow[k - 1] - 10) : 0) + 10 + 0.3 * normal(&r);
    CHECK_INT(compare_noise(first, 20, SERIES_LOWER), COMPARE_WARMUP);
    CHECK_INT(compare_noise(first, 20, SERIES_HIGHER), COMPARE_OUTLIERS);
    CHECK_INT(compare_noise(outlier, 20, SERIES_LOWER), COMPARE_OUTLIERS);
    CHECK(compare_noise(drift, 40, SERIES_LOWER) & COMPARE_DRIFT);
    CHECK_INT(compare_noise(modes, 40, SERIES_LOWER), COMPARE_MODES);
    CHECK(compare_noise(slow, 60, SERIES_LOWER) & (COMPARE_DEPENDENT | COMPARE_DRIFT));
    CHECK_NEAR(compare_spread((double[]){1, 2, 3, 4, 5}, 5), 2.0 / 3, 1e-12);
}

int main(void) {
    RUN(says_which_is_better);
    RUN(needs_enough_samples);
    RUN(counts_all_tests);
    RUN(has_three_answers_to_a_margin);
    RUN(takes_zeros);
    RUN(lists_what_one_side_has);
    RUN(is_seldom_wrong);
    RUN(finds_what_is_there);
    RUN(holds_over_many_series);
    RUN(need_is_enough);
    RUN(means_per_unit);
    RUN(quiet_when_quiet);
    RUN(sees_noise);
    return check_done();
}
