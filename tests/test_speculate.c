/* test_speculate.c - lib/route/speculate: closed forms, and what the papers print */
#include "tests/check.h"
#include "tests/random.h"

#include "lib/route/speculate.h"
#include "lib/route/spread.h"

static const struct speculate_costs bytes = {.dense_rate = 1, .expert_rate = 1, .batch = 1};

/* Leviathan et al.: (1 - a^(n+1)) / (1 - a). */
static void tokens_of_a_pass(void) {
    for (int n = 1; n <= 10; n++)
        for (double a = 0.1; a < 0.95; a += 0.1)
            CHECK_NEAR(speculate_tokens(a, n), (1 - pow(a, n + 1)) / (1 - a), 1e-12);
    CHECK_NEAR(speculate_tokens(1, 7), 8, 0);
    CHECK_NEAR(speculate_tokens(0, 7), 1, 0);
    /* A chance by drawing. */
    double sum = 0;
    state = 3;
    for (int i = 0; i < 100000; i++) {
        int taken = 0;
        while (taken < 4 && below(10) < 7)
            taken++;
        sum += taken + 1;
    }
    CHECK_NEAR(sum / 100000, speculate_tokens(0.7, 4), 0.02);
}

/* Table 1 of Leviathan et al., dense models: a 0.6, n 2, no cost of drafts: 1.96; 0.8, n 5: 3.69;
 * and of theorem 3.8 with a cost c: tokens / (n c + 1). */
static void dense_as_published(void) {
    struct speculate_costs c = bytes;
    c.dense_bytes = 1e9;
    CHECK_NEAR(speculate_speedup(&c, 0.6, 2, 0, 0), 1.96, 0.005);
    CHECK_NEAR(speculate_speedup(&c, 0.8, 5, 0, 0), 3.69, 0.005);
    c.draft_cost = 0.02;
    CHECK_NEAR(speculate_speedup(&c, 0.8, 5, 0, 0), 3.69 / 1.1, 0.005);
    c.expert_bytes = 1e8;
    CHECK_NEAR(speculate_dense(&c, 0.8, 5, 8), speculate_speedup(&c, 0.8, 5, 8, 8), 0);
}

/* All bytes in experts, no token like another: a pass costs as much as its tokens one by one. */
static void nothing_shared_never_pays(void) {
    struct speculate_costs c = bytes;
    c.expert_bytes = 1e6;
    for (int n = 1; n < 9; n++) {
        CHECK_NEAR(speculate_speedup(&c, 1, n, 2, 2 * (n + 1)), 1, 1e-12);
        CHECK(speculate_speedup(&c, 0.9, n, 2, 2 * (n + 1)) < 1);
        CHECK(speculate_breakeven(&c, n, 2, 2 * (n + 1)) > 0.9999);
        CHECK(isnan(speculate_breakeven(&c, n, 2, 2 * (n + 1) + 0.01)));
    }
    CHECK_NEAR(speculate_breakeven(&c, 3, 2, 2), 0, 0);
    CHECK(isnan(speculate_speedup(&c, 0.5, 1, 2, NAN)));
    CHECK(isnan(speculate_breakeven(&c, 1, 2, NAN)));
}

static void breakeven_is_where_it_says(void) {
    struct speculate_costs c = bytes;
    state = 17;
    for (int i = 0; i < 2000; i++) {
        int n = 1 + below(8);
        double one = 1 + below(8);
        double unique = one * (1 + n * (double)below(1000) / 1000);
        c.dense_bytes = below(1000);
        c.expert_bytes = 1 + below(100);
        c.draft_cost = below(20) / 100.0;
        double a = speculate_breakeven(&c, n, one, unique);
        if (isnan(a))
            CHECK(speculate_speedup(&c, 1, n, one, unique) < 1);
        else
            CHECK_NEAR(speculate_speedup(&c, a, n, one, unique), 1, a > 0 ? 1e-9 : 1);
    }
}

/* Reading of two memories, and arithmetic once there is enough of it. */
static void times(void) {
    struct speculate_costs c = {.dense_bytes = 1e9, .expert_bytes = 1e7, .dense_rate = 1e12,
                                .expert_rate = 1e10, .token_flops = 1e9, .flops_rate = 1e12,
                                .batch = 2};
    CHECK_NEAR(speculate_seconds(&c, 1, 4), 1e-3 + 4e-3, 1e-12);
    CHECK_NEAR(speculate_seconds(&c, 4, 4), 8e-3, 1e-12);
    CHECK_NEAR(speculate_bytes(&c, 4), 1.04e9, 1e-3);
    /* Verifying more than arithmetic has room for gains nothing more. */
    CHECK_NEAR(speculate_speedup(&c, 1, 7, 4, 4), 8 * 5e-3 / 16e-3, 1e-9);
}

/* Saxena et al. find that a pass over a few drafted tokens reads 2 to 3 times as much on the
 * mixtures of today. Experts that are drawn by themselves give that for OLMoE-1B-7B: 8 of 64
 * experts of 3 x 2048 x 1024 weights a layer beside 4 x 2048 x 2048 of attention, and a head of
 * 50304. */
static void as_others_measured(void) {
    struct speculate_costs c = bytes;
    c.dense_bytes = 4.0 * 2048 * 2048 * 16 + 50304.0 * 2048;
    c.expert_bytes = 3.0 * 2048 * 1024 * 16;
    double one = speculate_bytes(&c, 8);
    for (int n = 2; n <= 3; n++) {
        double ratio = speculate_bytes(&c, spread_formula(64, 8, n + 1)) / one;
        CHECK(ratio > 2 && ratio < 3);
    }
    /* A batch that uses every expert already: gains as a dense model's (MoESD). */
    double all = spread_formula(64, 8, 64);
    double more = spread_formula(64, 8, 64 * 4);
    CHECK_NEAR(speculate_speedup(&c, 0.8, 3, all, more), speculate_dense(&c, 0.8, 3, all), 1e-3);
}

int main(void) {
    RUN(tokens_of_a_pass);
    RUN(dense_as_published);
    RUN(nothing_shared_never_pays);
    RUN(breakeven_is_where_it_says);
    RUN(times);
    RUN(as_others_measured);
    return check_done();
}
