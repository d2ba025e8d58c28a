/* fuzz_steps.c - hostile run traces: the reader, and a calibration with what it read
 *
 * How it is run, and as what else: fuzz.h. Traces that trace.h would write are changed, and lines
 * put together from fields that are mostly right. Whatever comes, records keep what steps.h
 * promises, the work of every pass has a finite time, and an error has words.
 */
#include "tests/fuzz.h"

#include <math.h>
#include <sys/mman.h>

#include "lib/cost/calibrate.h"
#include "lib/trace/steps.h"

enum { OPENED = 1, STEPPED = 2, FITTED = 4 };

/* ---- the target ------------------------------------------------------------------------- */

static const struct device processor = {
    .name = "here", .computes = 2, .memories = 1, .caches = 1, .barrier_s = 2e-7,
    .compute = {{"f32", 200e9, 0.9}, {"int8", 800e9, 0.7}}, .cache = {{"L3", 32e6, 150e9}},
    .memory = {{.name = "host", .capacity_bytes = 32e9, .read_bytes_per_s = 40e9, .achieved = 1}}};

static void check_number(double x) {
    NEED(x >= 0 && isfinite(x));
}

static void check_time(const struct trace_run *run, const struct trace_step *s) {
    struct roof_setup r = {.device = &processor};
    struct work_model m;
    struct work w;
    struct roof t;
    struct err e;
    calibrate_step_work(run, s, &m, &w);
    NEED(!roof_time(&r, &m, &w, &t, &e));
    NEED(t.seconds >= 0 && isfinite(t.seconds));
}

static void check_step(const struct trace_run *run, const struct trace_step *s) {
    int64_t rows = 0;
    NEED(s->phase >= TRACE_PREFILL && s->phase <= TRACE_MIXED && s->tokens > 0);
    NEED(s->position >= 0 && s->ns >= 0 && s->start_ns >= 0 && s->logits >= 0);
    NEED(s->experts_touched >= -1 && (isnan(s->joules) || s->joules >= 0));
    check_number(s->flops.attention + s->flops.dense);
    check_number(s->flops.experts + s->flops.head);
    check_number(s->bytes.dense + s->bytes.experts);
    check_number(s->bytes.kv_read + s->bytes.kv_write);
    NEED(!s->experts_by_layer || s->layers == run->shape->layers);
    for (int i = 0; i < s->n_rows; i++) {
        NEED(s->rows[i].phase != TRACE_MIXED || s->n_rows == 1);
        rows += s->rows[i].tokens;
    }
    NEED(!s->n_rows || rows == s->tokens);
    check_time(run, s);
}

static void check_texts(const struct trace_run *r) {
    NEED(r->model && r->kv_type && r->cpu && r->host_cpu && r->version);
    NEED(r->kv_bits >= 0 && r->threads >= 0);
}

static void read_all(struct steps *s) {
    struct steps_record r;
    int rc;
    while ((rc = steps_next(s, &r, &fuzz_last)) > 0) {
        check_texts(steps_run(s));
        if (rc == STEPS_STEP) {
            check_step(steps_run(s), &r.step);
            fuzz_outcome |= STEPPED;
        } else if (rc == STEPS_REQUEST) {
            NEED(r.request.input_length >= 0 && r.request.ttft_ns >= -1);
            NEED(r.request.model && r.request.stop && r.request.time);
        }
    }
    NEED(rc == 0 || *fuzz_last.text);
}

static void fit_all(const char *path) {
    struct calibrate *c = calibrate_new(&processor, NULL);
    struct roof_fit fit;
    if (!calibrate_read(c, path, &fuzz_last) && !calibrate_fit(c, &fit, NULL, &fuzz_last)) {
        NEED(fit.compute > 0 && fit.memory > 0 && isfinite(fit.compute + fit.memory));
        fuzz_outcome |= FITTED;
    }
    calibrate_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    int fd = memfd_create("steps", 0);
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct steps *s = steps_open(path, &fuzz_last);
    NEED(s || *fuzz_last.text);
    if (s) {
        fuzz_outcome |= OPENED;
        read_all(s);
        steps_close(s);
        fit_all(path);
    }
    close(fd);
    return 0;
}

#ifndef LIBFUZZER

/* ---- traces to start from ----------------------------------------------------------------- */

#define RUN \
    "{\"type\":\"run\",\"format\":1,\"model\":\"m\",\"file\":\"a\\\\b\",\"shape\":{\"layers\":2," \
    "\"d_model\":8,\"vocab\":9,\"params\":1000,\"params_active\":900,\"weight_bytes\":2000," \
    "\"head_bytes\":144,\"heads\":2,\"kv_heads\":1,\"dk\":4,\"dv\":4,\"d_ff\":[16,0]," \
    "\"experts\":[0,4],\"top_k\":[0,2],\"d_expert\":[0,8],\"dense_bytes\":[500,200]," \
    "\"expert_bytes\":[0,384]},\"kv_type\":\"f16\",\"kv_bits\":16,\"threads\":2,\"seed\":\"1\"," \
    "\"settings\":{\"a\":[1]}}\n"
#define STEP(phase, tokens, position, more) \
    "{\"type\":\"step\",\"step\":1,\"phase\":\"" phase "\",\"tokens\":" tokens \
    ",\"position\":" position ",\"logits\":1,\"start_ns\":5,\"ns\":70000,\"flops_attention\":" \
    "1000,\"flops_dense\":800,\"flops_experts\":600,\"flops_head\":144,\"dense_read_bytes\":900," \
    "\"experts_read_bytes\":768,\"kv_read_bytes\":64,\"kv_write_bytes\":64," \
    "\"experts_touched\":2,\"experts_by_layer\":[0,2]" more "}\n"
#define ASK \
    "{\"type\":\"request\",\"request\":0,\"id\":\"a\",\"model\":\"m\",\"timestamp\":0,\"time\":" \
    "\"t\",\"input_length\":3,\"output_length\":2,\"ttft_ns\":null,\"total_ns\":9,\"stop\":\"x\"}\n"

static const char *const texts[] = {
    RUN STEP("prefill", "3", "0", ",\"request\":0") STEP("decode", "1", "3", ",\"joules\":0.5") ASK,
    RUN STEP("mixed", "3", "0", ",\"requests\":2,\"rows\":[{\"request\":0,\"phase\":\"prefill\","
             "\"tokens\":2,\"position\":0},{\"request\":1,\"phase\":\"decode\",\"tokens\":1,"
             "\"position\":7}]") "{\"type\":\"other\"}\n" RUN STEP("decode", "1", "9", ""),
    RUN};
#define STARTS ((int)(sizeof texts / sizeof *texts))

static const char *pick(void) {
    static const char *const words[] = {
        "\"ns\":1e308", "\"ns\":9007199254740991", "\"position\":9007199254740991",
        "\"tokens\":2147483647", "\"tokens\":\"3\"", "\"flops_head\":1e300", "\"kv_bits\":64",
        "\"rows\":[]", "\"rows\":[{}]", "\"experts_by_layer\":[1,2]", "\"joules\":null",
        "\"type\":\"run\"", "\"type\":\"step\"", "\"phase\":\"\\u0064ecode\"", "\"request\":0",
        "\"shape\":{}", "\"layers\":10000", "\"d_model\":1", "\"params\":0", "\"dk\":[4,4]", "0",
        "-", "{", "}", "[", "]", ",", "\"", "\\", "\n", "1e999", "18446744073709551615"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void change(struct buf *b) {
    size_t at = fuzz_below(b->len);
    switch (fuzz_below(5)) {
    case 0: b->data[at] = (char)fuzz_next(); break;
    case 1: fuzz_drop(b, at, at + 1 + fuzz_below(9)); break;
    case 2: fuzz_copy(b, at, at + 1 + fuzz_below(200), fuzz_below(b->len)); break;
    default: {                          /* in a field's place: behind a comma */
        const char *word = pick();
        const char *comma = memchr(b->data + at, ',', b->len - at);
        if (comma && fuzz_below(4))
            at = (size_t)(comma - b->data) + 1;
        fuzz_insert(b, at, ",", comma != NULL);
        fuzz_insert(b, at, word, strlen(word));
    }
    }
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(5); n > 0 && b->len; n--)
        change(b);
}

int main(int argc, char **argv) {
    enum { ALL = OPENED | STEPPED | FITTED };
    static const int expected[] = {ALL, ALL, OPENED};
    static const struct fuzz fuzz = {
        .name = "fuzz_steps", .suffix = ".jsonl",
        .outcome = {"were opened", "had steps", "were fitted"}, .texts = texts, .starts = STARTS,
        .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif
