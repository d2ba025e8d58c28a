/* test_ledger.c - lib/cost/ledger: sums by phase, joules dealt out by time */
#include "lib/cost/ledger.h"
#include "tests/check.h"

static struct shape a_shape = {.params = 1000};

static void run(struct ledger *l) {
    struct steps_record r = {.run.shape = &a_shape};
    ledger_add(l, STEPS_RUN, &r);
}

static void step(struct ledger *l, int phase, int tokens, int64_t ns, double joules) {
    struct steps_record r = {.step = {
        .phase = phase, .tokens = tokens, .ns = ns, .flops = {1, 2, 3, 4}, .bytes = {10, 20, 30, 40},
        .joules = joules}};
    ledger_add(l, STEPS_STEP, &r);
}

static void sums(void) {
    struct ledger l = {0};
    run(&l);
    step(&l, TRACE_PREFILL, 7, 1000, NAN);
    step(&l, TRACE_DECODE, 1, 100, NAN);
    step(&l, TRACE_DECODE, 2, 300, NAN);
    step(&l, TRACE_MIXED, 3, 50, NAN);
    struct steps_record r = {.request = {.input_length = 7, .cached_tokens = 2,
                                         .output_length = 4}};
    ledger_add(&l, STEPS_REQUEST, &r);
    ledger_end(&l);
    CHECK_INT(l.phase[LEDGER_PREFILL].tokens, 7);
    CHECK_INT(l.phase[LEDGER_DECODE].tokens, 3);
    CHECK_INT(l.phase[LEDGER_DECODE].steps, 2);
    CHECK_INT(l.phase[LEDGER_ALL].tokens, 13);
    CHECK_NEAR(l.phase[LEDGER_ALL].ns, 1450, 0);
    CHECK_NEAR(shape_sum_flops(&l.phase[LEDGER_DECODE].flops), 20, 0);
    CHECK_NEAR(shape_sum_bytes(&l.phase[LEDGER_ALL].bytes), 400, 0);
    CHECK_NEAR(l.phase[LEDGER_DECODE].linear_flops, 6000, 0);
    CHECK(isnan(l.phase[LEDGER_ALL].joules) && !l.counted);
    CHECK_INT(l.requests, 1);
    CHECK_INT(l.input_tokens + 10 * l.cached_tokens + 100 * l.output_tokens, 427);
}

/* 6 J over 1000 ns of prefill and 500 of decode; 2 J over 250 of decode; 250 more without. */
static void joules(void) {
    struct ledger l = {0};
    run(&l);
    step(&l, TRACE_PREFILL, 4, 1000, NAN);
    step(&l, TRACE_DECODE, 1, 500, 6);
    step(&l, TRACE_DECODE, 1, 250, 2);
    step(&l, TRACE_DECODE, 1, 250, NAN);
    ledger_end(&l);
    CHECK_NEAR(l.phase[LEDGER_PREFILL].joules, 4, 1e-12);
    CHECK_NEAR(l.phase[LEDGER_DECODE].joules, (2 + 2) * 1000.0 / 750, 1e-12);
    CHECK_NEAR(l.phase[LEDGER_MIXED].joules, 0, 0);
    CHECK_NEAR(l.phase[LEDGER_ALL].joules, 8 * 2000.0 / 1750, 1e-12);
    CHECK(l.counted);
}

/* The second run's counter knows nothing of the first's last steps. */
static void two_runs(void) {
    struct ledger l = {0};
    run(&l);
    step(&l, TRACE_DECODE, 1, 100, 1);
    step(&l, TRACE_DECODE, 1, 100, NAN);
    run(&l);
    step(&l, TRACE_PREFILL, 1, 100, 5);
    ledger_end(&l);
    CHECK_INT(l.runs, 2);
    CHECK_NEAR(l.phase[LEDGER_PREFILL].joules, 5, 0);
    CHECK_NEAR(l.phase[LEDGER_DECODE].joules, 2, 0);
}

int main(void) {
    RUN(sums);
    RUN(joules);
    RUN(two_runs);
    return check_done();
}
