/* test_gate.c - lib/cost/gate: verdicts that can be told by hand; and on simulated noise, how often
 * an unchanged head fails, a worse one passes, and a regression is found
 */
#include "tests/noise.h"

#include "lib/base/mem.h"
#include "lib/cost/gate.h"
#include "lib/stat/power.h"

static const struct gate_options options = {.holm = 1, .resamples = 2000, .seed = 1};

static struct gate_rule rule(int layer, int better, double margin) {
    struct gate_rule r = gate_policy_default("x", "", better);
    r.layer = layer;
    r.margin = margin;
    return r;
}

static struct gate_metric metric(int layer, const double *base, size_t base_n, const double *head,
                                 size_t head_n, double margin) {
    return (struct gate_metric){.name = "x", .unit = "", .rule = rule(layer, GATE_LOWER, margin),
                                .base = base, .base_n = base_n, .head = head, .head_n = head_n};
}

static int judged(struct gate_metric *m) {
    gate_judge(m, 1, &options);
    return m->verdict;
}

/* ---- by hand ------------------------------------------------------------------------------ */

static void deterministic(void) {
    static const double base[] = {100, 200, 300};
    static const double same[] = {100, 200, 300};
    static const double moved[] = {150, 150, 300};
    static const double more[] = {100, 200, 301};
    struct gate_metric m = metric(GATE_DETERMINISTIC, base, 3, same, 3, 0);
    CHECK_INT(judged(&m), GATE_PASS);
    CHECK(m.ratio == 1 && m.worst == SIZE_MAX && !*m.why && isnan(m.p));
    m.head = moved;
    CHECK_INT(judged(&m), GATE_PASS);           /* the total is what it was */
    CHECK_INT(m.worst, 0);
    CHECK_STR(m.why, "1 of 3 cases worse");
    m.rule.each = 0.4;
    CHECK_INT(judged(&m), GATE_FAIL);
    CHECK_STR(m.why, "1 of 3 cases more than 40% worse");
    m.rule.each = 0.5;
    CHECK_INT(judged(&m), GATE_PASS);
    m.head = more;
    CHECK_INT(judged(&m), GATE_FAIL);           /* by one token of 600 */
    m.rule.margin = 0.01;
    CHECK_INT(judged(&m), GATE_PASS);
    CHECK_NEAR(m.interval.low, 601.0 / 600, 0);
    m.rule = rule(GATE_DETERMINISTIC, GATE_HIGHER, 0);
    CHECK_INT(judged(&m), GATE_PASS);
    m.base = more;
    m.head = base;
    CHECK_INT(judged(&m), GATE_FAIL);
}

static void deterministic_zeros(void) {
    static const double none[] = {0, 0};
    static const double some[] = {0, 5};
    struct gate_metric m = metric(GATE_DETERMINISTIC, none, 2, some, 2, 5);
    CHECK_INT(judged(&m), GATE_FAIL);
    CHECK(isinf(m.ratio));
    CHECK_INT(m.worst, 1);
    m.head = none;
    CHECK_INT(judged(&m), GATE_PASS);
    CHECK(m.ratio == 1);
}

static void paired(void) {
    double base[10];
    double head[10];
    for (int i = 0; i < 10; i++) {
        base[i] = 100 + 50 * i;
        head[i] = base[i] * (1.10 + 0.01 * (i % 3));
    }
    struct gate_metric m = metric(GATE_PAIRED, base, 10, head, 10, 0.02);
    CHECK_INT(judged(&m), GATE_FAIL);
    CHECK(m.ratio > 1.1 && m.ratio < 1.12 && m.interval.low > 1.1 && m.interval.high < 1.12);
    CHECK_NEAR(m.p, 2.0 / 1024, 1e-15);         /* every case is worse than allowed */
    m.rule.margin = 0.2;
    CHECK_INT(judged(&m), GATE_PASS);
    m.rule.margin = 0.11;                       /* in the middle of it */
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    CHECK(m.need > 10);
    m.rule = rule(GATE_PAIRED, GATE_HIGHER, 0.02);
    CHECK_INT(judged(&m), GATE_PASS);
    m.base = head;
    m.head = base;                              /* lower, where higher is better */
    CHECK_INT(judged(&m), GATE_FAIL);
}

/* With five pairs no outcome is rarer than 2 in 32. */
static void paired_too_few(void) {
    static const double base[] = {1, 2, 3, 4, 5, 6};
    static const double head[] = {2, 4, 6, 8, 10, 12};
    struct gate_metric m = metric(GATE_PAIRED, base, 5, head, 5, 0);
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    CHECK_NEAR(m.need, 6, 0);
    CHECK_STR(m.why, "5 cases can show nothing");
    m.base_n = m.head_n = 6;
    CHECK_INT(judged(&m), GATE_FAIL);
    m.rule.min_n = 10;
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    CHECK_NEAR(m.need, 10, 0);
    m.base_n = m.head_n = 5;
    m.rule = rule(GATE_PAIRED, GATE_LOWER, 5);
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);   /* nor does it pass then */
}

static void paired_zeros(void) {
    static const double none[8] = {0};
    static const double some[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const double negative[8] = {1, 2, 3, -4, 5, 6, 7, 8};
    struct gate_metric m = metric(GATE_PAIRED, none, 8, some, 8, 0.5);
    CHECK_INT(judged(&m), GATE_FAIL);
    m.head = none;
    CHECK_INT(judged(&m), GATE_PASS);
    m.head = negative;
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    CHECK_STR(m.why, "numbers below 0 have no ratio");
}

static void unpaired(void) {
    static const double base[] = {10.1, 9.9, 10.0, 10.2, 9.8, 10.05};
    static const double more[] = {11.1, 10.9, 11.0, 11.2, 10.8, 11.05};
    static const double near[] = {10.0, 10.1, 9.95, 10.15, 9.85, 10.02};
    struct gate_metric m = metric(GATE_UNPAIRED, base, 6, more, 6, 0.02);
    CHECK_INT(judged(&m), GATE_FAIL);
    CHECK_NEAR(m.p, 2.0 / 924, 1e-15);
    CHECK_NEAR(m.ratio, 1.1, 0.005);
    m.rule.margin = 0.2;
    CHECK_INT(judged(&m), GATE_PASS);
    CHECK(m.p == 1);
    m.head = near;
    m.rule.margin = 0.01;
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    CHECK(m.need > 6);
    m.head_n = 3;                               /* 2 / C(9, 3) = 0.024: enough for one test */
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    m.base_n = 3;
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    CHECK_NEAR(m.need, 4, 0);
    CHECK_STR(m.why, "3 samples a side can show nothing");
}

/* 2 / C(8, 4) = 0.029 is enough alone and not among two. */
static void refuses_at_holms_step(void) {
    static const double base[] = {1, 1.01, 1.02, 1.03};
    static const double head[] = {2, 2.01, 2.02, 2.03};
    struct gate_metric m[2];
    m[0] = m[1] = metric(GATE_UNPAIRED, base, 4, head, 4, 0);
    gate_judge(m, 1, &options);
    CHECK_INT(m[0].verdict, GATE_FAIL);
    gate_judge(m, 2, &options);
    CHECK_INT(m[0].verdict, GATE_INCONCLUSIVE);
    CHECK_NEAR(m[0].need, 5, 0);
    gate_judge(m, 2, &(struct gate_options){.holm = 0});
    CHECK_INT(m[0].verdict, GATE_FAIL);
    m[1].rule.action = GATE_ACT_IGNORE;           /* makes no other harder */
    gate_judge(m, 2, &options);
    CHECK_INT(m[0].verdict, GATE_FAIL);
    CHECK_INT(m[1].verdict, GATE_FAIL);
    CHECK_INT(gate_tests(m, 2), 1);
}

static void fails_closed(void) {
    static const double x[] = {1, 2, 3, 4, 5, 6};
    struct gate_metric m = metric(GATE_UNPAIRED, x, 6, NULL, 0, 0.5);
    CHECK_INT(judged(&m), GATE_FAIL);
    CHECK_STR(m.why, "no samples in head");
    m.base = NULL;
    m.base_n = 0;
    CHECK_INT(judged(&m), GATE_FAIL);
    m.rule.layer = GATE_PAIRED;
    CHECK_INT(judged(&m), GATE_FAIL);
    CHECK_STR(m.why, "no case is in base and in head");
    m.unknown = "no price for x";
    CHECK_INT(judged(&m), GATE_INCONCLUSIVE);
    CHECK_STR(m.why, "no price for x");
    CHECK_INT(gate_outcome(&m, 1), GATE_INCONCLUSIVE);
    CHECK_INT(gate_outcome(&m, 0), GATE_INCONCLUSIVE);
}

static void outcomes(void) {
    struct gate_metric m[3] = {{.rule = {.action = GATE_ACT_FAIL}, .verdict = GATE_PASS},
                               {.rule = {.action = GATE_ACT_WARN}, .verdict = GATE_FAIL},
                               {.rule = {.action = GATE_ACT_IGNORE}, .verdict = GATE_FAIL}};
    CHECK_INT(gate_outcome(m, 3), GATE_PASS);
    m[0].verdict = GATE_INCONCLUSIVE;
    CHECK_INT(gate_outcome(m, 3), GATE_INCONCLUSIVE);
    m[2].rule.action = GATE_ACT_FAIL;
    CHECK_INT(gate_outcome(m, 3), GATE_FAIL);
    CHECK_INT(gate_outcome(m + 1, 1), GATE_INCONCLUSIVE);       /* nothing counts */
}

/* ---- simulated noise ---------------------------------------------------------------------- */

#define METRICS 8
#define SIDE 20

/* Factors that repeat no other noise: a Student's t with 3 degrees of freedom as the logarithm,
 * which has outliers of any size. */
static double heavy(struct rng *r) {
    double z = noise_gauss(r);
    double s = 0;
    for (int i = 0; i < 3; i++) {
        double g = noise_gauss(r);
        s += g * g;
    }
    return exp(0.1 * z / sqrt(s / 3));
}

static double draw(struct rng *r, int kind) {
    return kind < NOISES ? noise_draw(r, (enum noise)kind) : heavy(r);
}

/* Half of the metrics by case (cases differ tenfold in size), half by samples, each with noise of
 * another kind; head is `factor` times what base is. */
struct world {
    double base[METRICS][SIDE], head[METRICS][SIDE];
    struct gate_metric m[METRICS];
};

static void make(struct world *w, struct rng *r, double margin, double factor) {
    for (int k = 0; k < METRICS; k++) {
        int pairs = k % 2;
        for (int i = 0; i < SIDE; i++) {
            double size = pairs ? 100 * pow(10, rng_unit(r)) : 100;
            w->base[k][i] = size * draw(r, k / 2);
            w->head[k][i] = factor * size * draw(r, k / 2);
        }
        w->m[k] = metric(pairs ? GATE_PAIRED : GATE_UNPAIRED, w->base[k], SIDE, w->head[k],
                         SIDE, margin);
    }
}

/* The worst that a head may be and still be called unchanged: as much worse as is allowed. At most
 * 5 % of all runs may fail, of whatever metric; intervals alone would let each of 8 fail in 2.5 %.
 * A run passes as a whole only when each of the 8 does. */
static void false_alarms(void) {
    static const struct gate_options few = {.holm = 1, .resamples = 600, .seed = 3};
    int trials = NOISE_TRIALS(600);
    for (int k = 0; k < 2; k++) {
        double margin = k ? 0.05 : 0;
        struct rng r = {(uint64_t)(7 + k)};
        int alarms = 0;
        int single[METRICS] = {0};
        int passes = 0;
        for (int t = 0; t < trials; t++) {
            struct world w;
            make(&w, &r, margin, 1 + margin);
            gate_judge(w.m, METRICS, &few);
            alarms += gate_outcome(w.m, METRICS) == GATE_FAIL;
            for (int i = 0; i < METRICS; i++) {
                single[i] += w.m[i].verdict == GATE_PASS;
                passes += w.m[i].verdict == GATE_PASS;
            }
        }
        noise_check(k ? "false alarms at the margin" : "false alarms", alarms, trials, 0, 0.05);
        for (int i = 0; i < METRICS; i++)
            noise_check("passes at the margin", single[i], trials, 0, 0.025);
        noise_check("passes", passes, trials * METRICS, 0.005, 0.025);
    }
}

/* A head that is the same, and a margin of 5 %: next to never a failure. */
static void unchanged(void) {
    static const struct gate_options few = {.holm = 1, .resamples = 600, .seed = 4};
    int trials = NOISE_TRIALS(300);
    struct rng r = {11};
    int alarms = 0;
    for (int t = 0; t < trials; t++) {
        struct world w;
        make(&w, &r, 0.05, 1);
        gate_judge(w.m, METRICS, &few);
        alarms += gate_outcome(w.m, METRICS) == GATE_FAIL;
    }
    noise_check("failures of an unchanged head", alarms, trials, 0, 0.01);
}

/* Noise of 5 %, 20 samples or cases a side, 5 % worse, nothing allowed. */
#define NOISE 0.05
#define EFFECT 0.05
#define POWER_ERROR 0.03        /* of the computed power: normal laws of the statistics */

static void fill_power(struct rng *r, int layer, double factor, double *base, double *head,
                       size_t n) {
    for (size_t i = 0; i < n; i++) {
        double size = layer == GATE_PAIRED ? 100 * (1 + rng_unit(r)) : 100;
        base[i] = size * (1 + NOISE * noise_gauss(r));
        head[i] = factor * size * (1 + NOISE * noise_gauss(r));
    }
}

static void finds_regressions(void) {
    static const struct gate_options few = {.holm = 1, .resamples = 600, .seed = 5};
    int trials = NOISE_TRIALS(1500);
    static double base[400];
    static double head[400];
    for (int layer = GATE_PAIRED; layer <= GATE_UNPAIRED; layer++) {
        struct rng r = {(uint64_t)(20 + layer)};
        struct gate_plan plan;
        fill_power(&r, layer, 1, base, head, 400);
        struct gate_metric m = metric(layer, base, 400, head, 400, 0);
        m.rule.effect = EFFECT;
        gate_plan(&m, 1, 0.8, &plan);
        double need = plan.need;
        m.base_n = m.head_n = SIDE;             /* the noise of many, the power of 20 */
        double power = layer == GATE_PAIRED
                           ? power_mean(plan.spread * (1 + EFFECT), EFFECT, SIDE, 0.05) : NAN;
        if (layer == GATE_UNPAIRED) {
            double noise[400];
            for (int i = 0; i < 400; i++)
                noise[i] = log(base[i]);
            power = power_rank(noise, 400, log(1 + EFFECT), SIDE, 0.05);
        }
        int found = 0;
        for (int t = 0; t < trials; t++) {
            double b[SIDE];
            double h[SIDE];
            fill_power(&r, layer, 1 + EFFECT, b, h, SIDE);
            struct gate_metric one = metric(layer, b, SIDE, h, SIDE, 0);
            gate_judge(&one, 1, &few);
            found += one.verdict == GATE_FAIL;
        }
        if (getenv("NOISE_SHOW"))
            printf("# %s: computed power %.3f, found %.3f of %d; need %.0f for 0.8\n",
                   gate_layer_name(layer), power, (double)found / trials, trials, need);
        CHECK_NEAR((double)found / trials, power,
                   POWER_ERROR + 4 * sqrt(power * (1 - power) / trials));
        CHECK(need <= SIDE + 1 && power > 0.78);
    }
}

/* What a plan says from 20 samples is what comes out, within what 20 samples can tell. */
static void plans(void) {
    struct rng r = {31};
    static double base[SIDE];
    static double head[SIDE];
    struct gate_plan one;
    struct gate_plan many;
    for (int layer = GATE_PAIRED; layer <= GATE_UNPAIRED; layer++) {
        fill_power(&r, layer, 1, base, head, SIDE);
        struct gate_metric m = metric(layer, base, SIDE, head, SIDE, 0.02);
        gate_plan(&m, 1, 0.8, &one);
        gate_plan(&m, 8, 0.8, &many);
        CHECK_NEAR(one.effect, 0.04, 1e-12);
        CHECK(one.spread > 0.03 && one.spread < 0.11);
        CHECK(many.need > one.need && many.power < one.power);
        CHECK(many.pass_need == one.pass_need);     /* passing is not corrected */
        CHECK(one.need > 20 && one.need < 400);
    }
    struct gate_metric m = metric(GATE_UNPAIRED, base, SIDE, NULL, 0, 0.02);
    gate_plan(&m, 1, 0.8, &one);                    /* base alone */
    CHECK(one.need > 20 && one.power > 0 && one.power < 1);
    m.rule.layer = GATE_PAIRED;
    gate_plan(&m, 1, 0.8, &one);
    CHECK(isnan(one.need) && isnan(one.spread));
}

int main(void) {
    RUN(deterministic);
    RUN(deterministic_zeros);
    RUN(paired);
    RUN(paired_too_few);
    RUN(paired_zeros);
    RUN(unpaired);
    RUN(refuses_at_holms_step);
    RUN(fails_closed);
    RUN(outcomes);
    RUN(false_alarms);
    RUN(unchanged);
    RUN(finds_regressions);
    RUN(plans);
    return check_done();
}
