/* test_budget.c - lib/quant/budget against every combination, and at its limits */
#include "check.h"

#include "lib/base/rng.h"
#include "lib/quant/budget.h"

/* Costs fall as bytes rise, as they do with bits, each item at a scale of its own. */
static void make(struct rng *r, struct budget_item *item, int n, int choices) {
    for (int i = 0; i < n; i++) {
        double scale = exp(8 * rng_unit(r));
        int64_t size = 100 + rng_below(r, 5000);
        item[i].choices = choices;
        for (int c = 0; c < choices; c++) {
            item[i].bytes[c] = size * (2 + c) + rng_below(r, 50);
            item[i].cost[c] = scale * exp(-1.4 * c) * (0.7 + 0.6 * rng_unit(r));
        }
    }
}

static double best_of_all(const struct budget_item *item, int n, int64_t bytes) {
    int pick[8] = {0};
    double best = INFINITY;
    for (;;) {
        if (budget_bytes(item, n, pick) <= bytes)
            best = fmin(best, budget_cost(item, n, pick));
        int i = 0;
        while (i < n && ++pick[i] == item[i].choices)
            pick[i++] = 0;
        if (i == n)
            return best;
    }
}

/* Few items are the hard case: the last bytes matter most. */
static void near_the_optimum(void) {
    struct rng r = {1};
    struct budget_item item[6];
    int pick[6];
    double worst = 1;
    int exact = 0;
    for (int k = 0; k < 200; k++) {
        make(&r, item, 6, 5);
        int64_t least = 0;
        int64_t most = 0;
        for (int i = 0; i < 6; i++) {
            least += item[i].bytes[0];
            most += item[i].bytes[4];
        }
        int64_t bytes = least + (most - least) * (5 + (int64_t)rng_below(&r, 90)) / 100;
        int got = budget_solve(item, 6, bytes, pick);
        double best = best_of_all(item, 6, bytes);
        CHECK_INT(got, isfinite(best) ? 0 : -1);
        if (got)
            continue;
        CHECK(budget_bytes(item, 6, pick) <= bytes);
        double ratio = budget_cost(item, 6, pick) / best;
        worst = fmax(worst, ratio);
        exact += ratio < 1 + 1e-9;
    }
    CHECK(worst < 1.25);
    CHECK(exact >= 170);
    printf("# %d of 200 exact, worst ratio %.3f\n", exact, worst);
}

/* As many items as a small model has tensors. */
static void more_bytes_cost_no_more(void) {
    enum { ITEMS = 24, STEPS = 100 };
    struct rng r = {3};
    struct budget_item item[ITEMS];
    int pick[ITEMS];
    for (int k = 0; k < 10; k++) {
        make(&r, item, ITEMS, 6);
        CHECK_INT(budget_solve(item, ITEMS, 0, pick), -1);
        int64_t least = budget_bytes(item, ITEMS, pick);
        double before = INFINITY;
        for (int s = 0; s <= STEPS; s++) {
            CHECK_INT(budget_solve(item, ITEMS, least + least * 3 * s / STEPS, pick), 0);
            CHECK(budget_cost(item, ITEMS, pick) <= before);
            before = budget_cost(item, ITEMS, pick);
        }
    }
}

static void all_that_there_is(void) {
    struct rng r = {2};
    struct budget_item item[4];
    int pick[4];
    make(&r, item, 4, 4);
    CHECK_INT(budget_solve(item, 4, INT64_MAX / 2, pick), 0);
    for (int i = 0; i < 4; i++)
        for (int c = 0; c < 4; c++)
            CHECK(item[i].cost[pick[i]] <= item[i].cost[c]);
}

static void nothing_fits(void) {
    struct budget_item item[2] = {{2, {10, 20}, {2, 1}}, {2, {30, 5}, {0, 9}}};
    int pick[2];
    CHECK_INT(budget_solve(item, 2, 14, pick), -1);
    CHECK_INT(pick[0], 0);
    CHECK_INT(pick[1], 1);
    CHECK_INT(budget_solve(item, 2, 15, pick), 0);
    CHECK_INT(budget_bytes(item, 2, pick), 15);
    CHECK_INT(budget_solve(item, 0, 0, pick), 0);
}

/* A choice that is larger and worse is never taken, nor is a larger one that saves nothing. */
static void no_waste(void) {
    struct budget_item item[1] = {{3, {10, 20, 30}, {5, 5, 7}}};
    int pick[1];
    CHECK_INT(budget_solve(item, 1, 100, pick), 0);
    CHECK_INT(pick[0], 0);
}

int main(void) {
    RUN(near_the_optimum);
    RUN(more_bytes_cost_no_more);
    RUN(all_that_there_is);
    RUN(nothing_fits);
    RUN(no_waste);
    return check_done();
}
