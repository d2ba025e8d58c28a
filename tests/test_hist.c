/* test_hist.c - lib/stat/hist: quantiles within 1/256 of the true ones, sums, extremes */
#include "tests/check.h"

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/stat/hist.h"
#include "lib/stat/order.h"

#define N 20000

static void empty(void) {
    struct hist h = {0};
    struct hist other = {0};
    CHECK(isnan(hist_quantile(&h, 0.5)) && isnan(hist_mean(&h)));
    hist_merge(&h, &other);
    CHECK(!h.weight);
    hist_add(&h, 5, 2);
    hist_merge(&h, &other);
    CHECK(h.total == 2 && hist_mean(&h) == 5);
    hist_merge(&other, &h);
    CHECK(other.total == 2 && hist_quantile(&other, 0.5) == 5);
    hist_free(&other);
    hist_free(&h);
    CHECK(!h.weight && h.total == 0);
    hist_free(&h);
}

static void small_numbers_are_exact(void) {
    struct hist h = {0};
    for (int i = 0; i <= 255; i++)
        hist_add(&h, (uint64_t)i, 1);
    for (int i = 0; i <= 255; i++)
        CHECK(hist_quantile(&h, (i + 1) / 256.0) == i);
    CHECK(hist_quantile(&h, 0) == 0);
    CHECK(hist_mean(&h) == 127.5);
    CHECK(isnan(hist_quantile(&h, 1.5)) && isnan(hist_quantile(&h, NAN)));
    hist_free(&h);
}

/* Every power of two and its neighbours come back, alone, within the promised error. */
static void whole_range(void) {
    for (int bit = 0; bit < 64; bit++)
        for (int off = -1; off <= 1; off++) {
            uint64_t value = ((uint64_t)1 << bit) + (uint64_t)(int64_t)off;
            struct hist h = {0};
            hist_add(&h, value, 1);
            hist_add(&h, value / 2, 1);         /* lest the extremes give the answer away */
            hist_add(&h, UINT64_MAX, 1);
            double got = hist_quantile(&h, 0.6);
            CHECK(fabs(got - (double)value) <= (double)value / 256);
            CHECK(hist_quantile(&h, 1) == 0x1p64);
            hist_free(&h);
        }
    struct hist h = {0};
    hist_add(&h, UINT64_MAX, 1);
    CHECK(hist_quantile(&h, 0.5) == 0x1p64 && h.least == 0x1p64);
    hist_free(&h);
}

static void near_the_true_quantiles(void) {
    static const double quantile[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    struct rng r = {5};
    struct hist h = {0};
    struct hist half[2] = {{0}, {0}};
    double *x = mem_array(N, sizeof *x);
    for (int i = 0; i < N; i++) {
        uint64_t value = (uint64_t)exp(25 * rng_unit(&r));
        x[i] = (double)value;
        hist_add(&h, value, 1);
        hist_add(&half[i % 2], value, 1);
    }
    order_sort(x, N);
    hist_merge(&half[0], &half[1]);
    for (size_t i = 0; i < sizeof quantile / sizeof *quantile; i++) {
        size_t rank = (size_t)ceil(quantile[i] * N);
        double want = x[rank ? rank - 1 : 0];
        double got = hist_quantile(&h, quantile[i]);
        CHECK(fabs(got - want) <= want / 256);
        CHECK(got == hist_quantile(&half[0], quantile[i]));
    }
    CHECK(hist_quantile(&h, 0) == x[0] && hist_quantile(&h, 1) == x[N - 1]);
    CHECK_NEAR(hist_mean(&h) / hist_mean(&half[0]), 1, 1e-12);
    free(x);
    hist_free(&h);
    hist_free(&half[0]);
    hist_free(&half[1]);
}

static void weights_count(void) {
    struct hist h = {0};
    hist_add(&h, 10, 90);
    hist_add(&h, 1000000, 10);
    CHECK(hist_quantile(&h, 0.9) == 10);
    CHECK(hist_quantile(&h, 0.91) > 990000);
    CHECK_NEAR(hist_mean(&h), 100009, 1e-6);
    hist_free(&h);
}

int main(void) {
    RUN(empty);
    RUN(small_numbers_are_exact);
    RUN(whole_range);
    RUN(near_the_true_quantiles);
    RUN(weights_count);
    return check_done();
}
