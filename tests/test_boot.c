/* test_boot.c - lib/stat/boot: against SciPy's BCa (reference/stat.py), and how often intervals
 * hold the truth
 *
 * SciPy's numbers have 400,000 resamples or more; ours have some thousands, whose ends are off by
 * one or two hundredths of a standard deviation of the statistic each time.
 */
#include "tests/noise.h"

#include "lib/base/mem.h"
#include "lib/stat/boot.h"
#include "lib/stat/dist.h"

#define RESAMPLES 40000
#define MEDIANS 20000

static const struct boot many = {.resamples = RESAMPLES, .seed = 1};

/* As in stat.py. */
static void skewed(double *x, int n, int step) {
    for (int i = 0; i < n; i++)
        x[i] = exp(2.0 * (i * step % 97 + 1) / 98);
}

static void near(struct interval i, double low, double high) {
    double tolerance = (high - low) * 0.015;
    CHECK_NEAR(i.low, low, tolerance);
    CHECK_NEAR(i.high, high, tolerance);
}

static double deviation(void *arg, const uint32_t *index, size_t n) {
    const double *x = arg;
    double mean = 0;
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[index[i]] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[index[i]] - mean) * (x[index[i]] - mean);
    return sqrt(squares / (double)(n - 1));
}

static void against_scipy(void) {
    double a[40];
    double b[40];
    skewed(a, 40, 37);
    skewed(b, 40, 53);
    near(boot_ratio(a, b, 40, NULL, 0, &many), 0.84709, 1.37630);
    near(boot_geomean(a, 25, &many), 1.98195, 3.23451);
    near(boot_interval(deviation, a, 30, NULL, 0, &many), 1.40165, 2.16111);
    near(boot_median_ratio(a, 31, b, 24, &many), 0.60037, 1.62352);
}

/* Drawing a median as an order statistic is the same as drawing all samples and sorting them: the
 * interval's ends leave out, of plainly drawn medians, the shares that they should. */
static void medians_as_if_drawn(void) {
    static const double one[4] = {1, 1, 1, 1};
    for (size_t n = 100; n <= 101; n++) {
        double x[101];
        double drawn[101];
        struct rng r = {3};
        noise_fill(&r, NOISE_SKEWED, x, n);
        struct interval i = boot_median_ratio(x, n, one, 4, &many);
        double estimate = order_median(x, n);
        double share[3] = {0, 0, 0};        /* below the estimate, the low end, the high end */
        for (int t = 0; t < MEDIANS; t++) {
            for (size_t k = 0; k < n; k++)
                drawn[k] = x[rng_below(&r, n)];
            double m = order_median(drawn, n);
            const double at[3] = {estimate, i.low, i.high};
            for (int e = 0; e < 3; e++)
                share[e] += (m < at[e] ? 1 : m == at[e] ? 0.5 : 0) / MEDIANS;
        }
        double bias = dist_normal_quantile(share[0]);
        CHECK_NEAR(share[1], dist_normal(2 * bias - 1.96), 0.008);
        CHECK_NEAR(share[2], dist_normal(2 * bias + 1.96), 0.008);
    }
}

static double sum_ratio(void *arg, const uint32_t *index, size_t n) {
    double *const *ab = arg;
    double a = 0;
    double b = 0;
    for (size_t i = 0; i < n; i++) {
        a += ab[0][index[i]];
        b += ab[1][index[i]];
    }
    return a / b;
}

/* The general and the fast way draw the same groups from the same seed. */
static void ratio_is_the_general_one(void) {
    double a[60];
    double b[60];
    uint32_t group[60];
    skewed(a, 60, 37);
    skewed(b, 60, 53);
    double *ab[2] = {a, b};
    struct boot opt = {.resamples = 2000, .seed = 9};
    for (uint32_t i = 0; i < 60; i++)
        group[i] = i * i % 11 % 6;
    for (int grouped = 0; grouped < 2; grouped++) {
        const uint32_t *g = grouped ? group : NULL;
        struct interval fast = boot_ratio(a, b, 60, g, 6, &opt);
        struct interval slow = boot_interval(sum_ratio, ab, 60, g, 6, &opt);
        CHECK_NEAR(fast.low, slow.low, 1e-12);
        CHECK_NEAR(fast.high, slow.high, 1e-12);
    }
}

static void seeds(void) {
    double a[30];
    double b[30];
    struct boot opt = {.resamples = 500, .seed = 4};
    skewed(a, 30, 37);
    skewed(b, 30, 53);
    struct interval first = boot_ratio(a, b, 30, NULL, 0, &opt);
    struct interval again = boot_ratio(a, b, 30, NULL, 0, &opt);
    CHECK(first.low == again.low && first.high == again.high);
    opt.seed = 5;
    CHECK(boot_ratio(a, b, 30, NULL, 0, &opt).low != first.low);
    /* Defaults: 10,000 and 0.95. */
    struct boot same = {.resamples = 10000, .level = 0.95};
    again = boot_ratio(a, b, 30, NULL, 0, &same);
    first = boot_ratio(a, b, 30, NULL, 0, NULL);
    CHECK(first.low == again.low && first.high == again.high);
}

/* Square of the length of the mean of 30 vectors: noise makes it longer, that of a resample by as
 * much again. Mirrored intervals hold the true length. */
static void holds_what_is_biased(void) {
    enum { N = 30, D = 10, R = 300 };
    int trials = NOISE_TRIALS(400);
    int hits = 0;
    struct rng r = {3};
    struct boot opt = {.resamples = R, .level = 0.95};
    for (int t = 0; t < trials; t++) {
        double x[N][D];
        double theta[R + 1];
        for (int i = 0; i < N * D; i++)
            x[i / D][i % D] = 0.4 + noise_gauss(&r);
        for (int k = 0; k <= R; k++) {              /* the last one is the sample itself */
            double sum[D] = {0};
            theta[k] = 0;
            for (int i = 0; i < N; i++) {
                const double *one = x[k < R ? rng_below(&r, N) : (uint32_t)i];
                for (int d = 0; d < D; d++)
                    sum[d] += one[d] / N;
            }
            for (int d = 0; d < D; d++)
                theta[k] += sum[d] * sum[d];
        }
        hits += noise_holds(boot_mirrored(theta, theta[R], N, &opt), D * 0.4 * 0.4);
    }
    noise_check("biased", hits, trials, 0.9, 0.98);
}

static void no_answer(void) {
    double x[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    double zero[10] = {0};
    uint32_t group[10] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 2};
    CHECK(isnan(boot_ratio(x, x, 0, NULL, 0, &many).low));
    CHECK(isnan(boot_ratio(x, x, 3, NULL, 0, &many).low));
    CHECK(isnan(boot_ratio(x, x, 10, group, 3, &many).high));
    CHECK(isnan(boot_ratio(x, zero, 10, NULL, 0, &many).low));
    CHECK(isnan(boot_geomean(zero, 10, &many).low));
    CHECK(isnan(boot_geomean(x, 1, &many).low));
    CHECK(isnan(boot_median_ratio(x, 10, zero, 10, &many).low));
    CHECK(isnan(boot_median_ratio(x, 10, x, 3, &many).low));
    CHECK(isnan(boot_interval(deviation, x, 2, NULL, 0, &many).low));
    struct boot level = {.level = 1};
    CHECK(isnan(boot_geomean(x, 10, &level).low));
}

/* No spread, no width. */
static void constant(void) {
    double a[8];
    double b[8];
    for (int i = 0; i < 8; i++) {
        a[i] = 3;
        b[i] = 2;
    }
    struct interval i = boot_ratio(a, b, 8, NULL, 0, &many);
    CHECK(i.low == 1.5 && i.high == 1.5);
    i = boot_median_ratio(a, 8, b, 8, &many);
    CHECK(i.low == 1.5 && i.high == 1.5);
    i = boot_geomean(a, 8, &many);
    CHECK_NEAR(i.low, 3, 1e-12);
    CHECK_NEAR(i.high, 3, 1e-12);
}

static void large_samples(void) {
    size_t n = 10000;
    double *a = mem_array(n, sizeof *a);
    double *b = mem_array(n, sizeof *b);
    struct rng r = {8};
    noise_fill(&r, NOISE_SKEWED, a, n);
    noise_fill(&r, NOISE_SKEWED, b, n);
    /* Its standard deviation is sqrt(2 (exp(0.09) - 1) / n) = 0.00434. */
    struct boot opt = {.resamples = NOISE_TRIALS(10000), .seed = 1};
    struct interval i = boot_ratio(a, b, n, NULL, 0, &opt);
    CHECK_NEAR((i.high - i.low) / (2 * 1.96 * 0.00434), 1, 0.08);
    i = boot_median_ratio(a, n, b, n, &opt);
    CHECK_NEAR((i.high - i.low) / (2 * 1.96 * 0.3 * sqrt(2 * 1.5708 / (double)n)), 1, 0.15);
    free(b);
    free(a);
}

/* ---- coverage ----------------------------------------------------------------------------- */

#define DRAWS 600               /* resamples in a simulation: enough for the rate of ends */

/* Paired costs of two versions, of cases whose size spreads by the factor exp(spread). */
static void holds_a_ratio(void) {
    static const struct {
        size_t n;
        double spread, least;   /* the rates that boot.h speaks of */
    } at[] = {{6, 0.3, 0.90}, {15, 0.3, 0.93}, {60, 0.3, 0.935}, {60, 1, 0.89}};
    int trials = NOISE_TRIALS(2000);
    for (int kind = 0; kind < NOISES; kind++)
        for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
            struct rng r = {(uint64_t)(kind + 50)};
            int hits = 0;
            for (int t = 0; t < trials; t++) {
                double a[60];
                double b[60];
                struct boot opt = {.resamples = DRAWS, .seed = (uint64_t)t};
                for (size_t i = 0; i < at[k].n; i++) {
                    double size = exp(at[k].spread * noise_gauss(&r));
                    a[i] = 1.1 * size * noise_draw(&r, (enum noise)kind);
                    b[i] = size * noise_draw(&r, (enum noise)kind);
                }
                hits += noise_holds(boot_ratio(a, b, at[k].n, NULL, 0, &opt), 1.1);
            }
            noise_check(noise_name[kind], hits, trials, at[k].least, 0.96);
        }
}

/* Sessions of 1 to 8 requests whose noise is shared: without groups the interval would be much too
 * narrow, which the second rate shows. */
static void holds_a_ratio_of_groups(void) {
    int trials = NOISE_TRIALS(1000);
    int hits[2] = {0, 0};
    struct rng r = {60};
    for (int t = 0; t < trials; t++) {
        double a[200];
        double b[200];
        uint32_t group[200];
        size_t n = 0;
        struct boot opt = {.resamples = DRAWS, .seed = (uint64_t)t};
        for (uint32_t g = 0; g < 25; g++) {
            double shared = noise_draw(&r, NOISE_SKEWED);
            for (uint32_t left = 1 + rng_below(&r, 8); left; left--) {
                a[n] = shared * noise_draw(&r, NOISE_NORMAL);
                b[n] = noise_mean(NOISE_SKEWED) * noise_draw(&r, NOISE_NORMAL);
                group[n++] = g;
            }
        }
        hits[0] += noise_holds(boot_ratio(a, b, n, group, 25, &opt), 1);
        hits[1] += noise_holds(boot_ratio(a, b, n, NULL, 0, &opt), 1);
    }
    noise_check("groups", hits[0], trials, 0.92, 0.96);
    noise_check("no groups", hits[1], trials, 0.5, 0.75);
}

static void holds_a_median_ratio(void) {
    static const struct {
        size_t n;
        double least, most;
    } at[] = {{6, 0.94, 0.985}, {15, 0.94, 0.975}, {60, 0.935, 0.97}};
    int trials = NOISE_TRIALS(2000);
    for (int kind = 0; kind < NOISES; kind++)
        for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
            struct rng r = {(uint64_t)(kind + 70)};
            int hits = 0;
            for (int t = 0; t < trials; t++) {
                double a[60];
                double b[60];
                struct boot opt = {.resamples = DRAWS, .seed = (uint64_t)t};
                noise_fill(&r, (enum noise)kind, a, at[k].n);
                noise_fill(&r, (enum noise)kind, b, at[k].n);
                for (size_t i = 0; i < at[k].n; i++)
                    a[i] *= 1.1;
                hits += noise_holds(boot_median_ratio(a, at[k].n, b, at[k].n, &opt), 1.1);
            }
            noise_check(noise_name[kind], hits, trials, at[k].least, at[k].most);
        }
}

static void holds_a_geomean(void) {
    static const size_t sizes[] = {5, 20};
    static const double least[] = {0.89, 0.935};
    int trials = NOISE_TRIALS(2000);
    for (size_t k = 0; k < 2; k++) {
        int hits = 0;
        struct rng r = {80};
        for (int t = 0; t < trials; t++) {
            double x[20];
            struct boot opt = {.resamples = DRAWS, .seed = (uint64_t)t};
            noise_fill(&r, NOISE_SKEWED, x, sizes[k]);
            hits += noise_holds(boot_geomean(x, sizes[k], &opt), 1);
        }
        noise_check("geomean", hits, trials, least[k], 0.955);
    }
}

int main(void) {
    RUN(against_scipy);
    RUN(medians_as_if_drawn);
    RUN(ratio_is_the_general_one);
    RUN(seeds);
    RUN(no_answer);
    RUN(constant);
    RUN(large_samples);
    RUN(holds_a_ratio);
    RUN(holds_a_ratio_of_groups);
    RUN(holds_a_median_ratio);
    RUN(holds_a_geomean);
    RUN(holds_what_is_biased);
    return check_done();
}
