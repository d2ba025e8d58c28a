/* test_calibrate.c - lib/cost/calibrate: traces made from a known machine, and from none */
#include "lib/cost/calibrate.h"

#include <math.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct err e;

/* A processor as llm-bench device measures it. */
static struct device a_processor(void) {
    return (struct device){
        .name = "here", .computes = 2, .memories = 1, .caches = 1, .barrier_s = 2e-7,
        .compute = {{"f32", 200e9, 0.9}, {"int8", 800e9, 0.7}}, .cache = {{"L3", 32e6, 150e9}},
        .memory = {{.name = "host", .capacity_bytes = 32e9, .read_bytes_per_s = 40e9,
                    .achieved = 1}}};
}

static struct shape *shape_of(const char *spec) {
    struct shape *s = shape_find(spec, &e);
    CHECK(s);
    return s;
}

/* Writes what llm-run would, with the times that fit says, noise, and every tenth pass 5 times as
 * long: a prompt in passes of 256, then single tokens. */
static char *make_trace(const char *name, const struct shape *s, const struct roof_fit *fit,
                        double noise) {
    struct device d = a_processor();
    struct roof_setup r = {.device = &d, .fit = *fit};
    struct trace_run run = {.shape = s, .model = "x", .kv_type = "f16", .kv_bits = 16, .cpu = "",
                            .host_cpu = "", .version = "1"};
    char *path = scratch_path(name);
    struct trace *t = trace_open(path, &e);
    struct rng rng = {7};
    CHECK(t && !trace_run(t, &run, &e));
    int64_t position = 0;
    for (int i = 0; i < 90; i++) {
        int rows = i < 10 ? (i % 2 ? 256 : 192) : 1;
        struct work_model m = {.shape = s, .kv_bits = 16, .prune_last = 1};
        struct work w;
        struct roof time;
        struct trace_step_row row = {.phase = rows > 1 ? TRACE_PREFILL : TRACE_DECODE,
                                     .tokens = rows, .position = position};
        if (rows > 1)
            work_prefill(&m, position, position + rows, &w);
        else
            work_decode(&m, position, &w);
        CHECK(!roof_time(&r, &m, &w, &time, &e));
        double ns = time.seconds * 1e9 * exp(noise * (2 * rng_unit(&rng) - 1));
        struct trace_step step = {
            .step = (uint64_t)i, .phase = row.phase, .tokens = rows, .position = position,
            .ns = (int64_t)(i % 10 == 9 ? 5 * ns : ns), .flops = w.flops, .bytes = w.bytes,
            .logits = 1, .experts_touched = -1, .rows = &row, .n_rows = 1, .joules = NAN};
        CHECK(!trace_step(t, &step, &e));
        position += rows;
    }
    CHECK(!trace_close(t, &e));
    return path;
}

static struct roof_fit fit_to(char *path, struct calibrate_report *report) {
    struct device d = a_processor();
    struct roof_fit fit;
    struct calibrate *c = calibrate_new(&d, NULL);
    CHECK(!calibrate_read(c, path, &e));
    CHECK(!calibrate_fit(c, &fit, report, &e));
    calibrate_free(c);
    free(path);
    return fit;
}

/* The work of a recorded pass takes the time that made it. */
static void nothing_to_find(void) {
    struct shape *s = shape_of("llama-3.2-1b");
    struct roof_fit one = {.compute = 1};
    struct calibrate_report r;
    struct roof_fit fit = fit_to(make_trace("one.jsonl", s, &one, 0), &r);
    CHECK_INT(r.steps, 90);
    CHECK(r.points > 5 && r.prefills > 2 && r.decodes > 0);
    CHECK_NEAR(r.before, 0, 1e-6);
    CHECK_NEAR(fit.compute, 1, 0.01);
    CHECK_NEAR(fit.memory, 1, 0.01);
    shape_free(s);
}

/* A machine of half the bandwidth and 0.8 of the arithmetic: found from one model, and then right
 * for others, whatever noise and hiccups there were. */
static void another_model(void) {
    static const char *const models[] = {"llama-3.2-1b", "qwen3-0.6b", "olmoe-1b-7b"};
    struct device d = a_processor();
    struct roof_fit truth = {.compute = 0.8, .memory = 0.5};
    for (int a = 0; a < 3; a++) {
        struct shape *s = shape_of(models[a]);
        struct calibrate_report r;
        struct roof_fit fit = fit_to(make_trace("truth.jsonl", s, &truth, 0.05), &r);
        CHECK(r.before > 0.15 && r.after < 0.1);
        CHECK(r.decode < 0.1 && r.prefill < 0.15);
        for (int b = 0; b < 3; b++) {
            struct shape *other = shape_of(models[b]);
            struct work_model m = {.shape = other, .kv_bits = 16};
            struct roof_setup real = {.device = &d, .fit = truth};
            struct roof_setup found = {.device = &d, .fit = fit};
            struct work w;
            struct roof want;
            struct roof got;
            work_prefill(&m, 0, 512, &w);
            CHECK(!roof_time(&real, &m, &w, &want, &e) && !roof_time(&found, &m, &w, &got, &e));
            CHECK_NEAR(got.seconds / want.seconds, 1, 0.15);
            work_decode(&m, 512, &w);
            CHECK(!roof_time(&real, &m, &w, &want, &e) && !roof_time(&found, &m, &w, &got, &e));
            CHECK_NEAR(got.seconds / want.seconds, 1, 0.15);
            shape_free(other);
        }
        shape_free(s);
    }
}

/* The same trace gives the same fit, to the bit. */
static void deterministic(void) {
    struct shape *s = shape_of("qwen3-0.6b");
    struct roof_fit truth = {.compute = 0.7, .memory = 1.5};
    struct roof_fit a = fit_to(make_trace("a.jsonl", s, &truth, 0.1), NULL);
    struct roof_fit b = fit_to(make_trace("a.jsonl", s, &truth, 0.1), NULL);
    CHECK(!memcmp(&a, &b, sizeof a));
    shape_free(s);
}

static void refuses(void) {
    struct device d = a_processor();
    struct roof_fit fit;
    char *path = scratch_path("none.jsonl");
    struct calibrate *c = calibrate_new(&d, NULL);
    CHECK(calibrate_fit(c, &fit, NULL, &e) < 0);
    CHECK_STR(e.text, "calibration: expected steps in the trace, found none");
    scratch_write(path, "7\n", 2);
    CHECK(calibrate_read(c, path, &e) < 0 && strstr(e.text, "none.jsonl:1: expected an object"));
    calibrate_free(c);
    calibrate_free(NULL);
    free(path);
    struct shape *s = shape_of("qwen3-0.6b");
    path = make_trace("bf16.jsonl", s, &(struct roof_fit){.compute = 1}, 0);
    c = calibrate_new(&d, "bf16");
    CHECK(!calibrate_read(c, path, &e) && calibrate_fit(c, &fit, NULL, &e) < 0);
    CHECK_STR(e.text, "here: expected arithmetic of type bf16, found none");
    calibrate_free(c);
    free(path);
    shape_free(s);
}

int main(void) {
    RUN(nothing_to_find);
    RUN(another_model);
    RUN(deterministic);
    RUN(refuses);
    scratch_remove();
    return check_done();
}
