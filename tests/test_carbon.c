/* test_carbon.c - lib/cost/carbon and grid: EcoLogits' own results, closed forms, the table
 *
 * The reference values are what EcoLogits 0.11.3 computes (ecologits.impacts.llm,
 * compute_llm_impacts, PUE 1.2), printed with all their digits.
 */
#include "lib/cost/carbon.h"
#include "lib/cost/grid.h"
#include "tests/check.h"

static void relative(double got, double want) {
    CHECK_NEAR(got / want, 1, 1e-12);
}

static void as_ecologits(void) {
    static const struct {
        double active, params, tokens, batch;
        double kwh, embodied_kg;
    } reference[] = {
        {8.03, 8.03, 1000, 64, 8.91889860032445e-05, 7.305620005541054e-06},
        {37, 671, 500, 64, 0.0019894504485922153, 0.00016807846230048644},
        {3.3, 30.5, 2000, 16, 0.0002718907770342004, 3.477043378816577e-05},
        {0.27, 0.27, 100, 64, 7.9773144229615e-06, 6.448649243623989e-07},
        {70.6, 70.6, 400, 8, 0.000921101537910598, 0.00014556643286450175},
    };
    for (size_t i = 0; i < sizeof reference / sizeof *reference; i++) {
        struct carbon_model m = {.active = reference[i].active * 1e9,
                                 .params = reference[i].params * 1e9,
                                 .batch = reference[i].batch};
        struct carbon c = carbon_ecologits(&m, reference[i].tokens, INFINITY);
        relative(c.wh, reference[i].kwh * 1000);
        relative(c.embodied_g, reference[i].embodied_kg * 1000);
    }
}

static void with_times(void) {
    struct carbon_model m = {.active = 8.03e9, .params = 8.03e9, .ttft_s = 2.5, .tps = 80};
    struct carbon c = carbon_ecologits(&m, 1000, INFINITY);
    relative(c.wh, 6.584075997664746e-02);
    relative(c.embodied_g, 2.44140625e-3);
    m.ttft_s = m.tps = 0;
    c = carbon_ecologits(&m, 1000, 3);
    relative(c.wh, 5.646575997664746e-02);
    relative(c.embodied_g, 4.8828125e-4);
    CHECK_NEAR(c.seconds, 3, 0);
}

static void whole_gpus(void) {
    struct carbon_model m = {.active = 1e9, .params = 1e9};
    CHECK_NEAR(carbon_ecologits(&m, 1, INFINITY).gpus, 1, 0);
    m.params = 33.3e9;          /* 1.2 x 66.6 GB */
    CHECK_NEAR(carbon_ecologits(&m, 1, INFINITY).gpus, 1, 0);
    m.params = 33.4e9;
    CHECK_NEAR(carbon_ecologits(&m, 1, INFINITY).gpus, 2, 0);
    m.params = 671e9;           /* 21 of them hold it: 32 */
    CHECK_NEAR(carbon_ecologits(&m, 1, INFINITY).gpus, 32, 0);
    m.bits = 8;
    CHECK_NEAR(carbon_ecologits(&m, 1, INFINITY).gpus, 16, 0);
}

static void payback(void) {
    CHECK_NEAR(carbon_payback(10, 4, 1, 3), 3, 0);
    CHECK_NEAR(carbon_payback(4, 10, 1, 3), 0, 0);
    CHECK(isinf(carbon_payback(10, 4, 3, 3)));
    CHECK(isinf(carbon_payback(10, 4, 3, 1)));
}

static void grids(void) {
    CHECK_STR(grid_find("fra")->country, "France");
    CHECK_STR(grid_find("United States")->name, "USA");
    CHECK(grid_find("WOR") && !grid_find("XXX"));
    int n = 0;
    for (const struct grid *g = grid_all(); g->name; g++, n++) {
        CHECK_INT(strlen(g->name), 3);
        CHECK(g->g_per_kwh > 0 && g->g_per_kwh < 1200);
        CHECK(g[1].name == NULL || strcmp(g->name, g[1].name) < 0);
    }
    CHECK(n >= 50);
    CHECK_NEAR(carbon_grams(2500, grid_find("WOR")->g_per_kwh), 2.5 * grid_find("WOR")->g_per_kwh,
               1e-9);
}

int main(void) {
    RUN(as_ecologits);
    RUN(with_times);
    RUN(whole_gpus);
    RUN(payback);
    RUN(grids);
    return check_done();
}
