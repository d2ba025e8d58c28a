/* test_steps.c - lib/trace/steps: what trace.h writes comes back, and lines that lie */
#include "lib/trace/steps.h"

#include <math.h>

#include "lib/base/mem.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct shape_layer layers[2] = {
    {.heads = 4, .kv_heads = 2, .dk = 8, .dv = 16, .d_ff = 64},
    {.heads = 4, .kv_heads = 2, .dk = 8, .dv = 16, .window = 16, .experts = 6, .top_k = 2,
     .d_expert = 24, .d_shared = 40}};
static int64_t dense_bytes[2] = {1000, 2000};
static int64_t expert_bytes[2] = {0, 400};
static struct shape shape = {
    .arch = "made-up", .name = "Made \"up\"", .quant = "Q8_0", .layers = 2, .d_model = 32,
    .vocab = 100, .context = 256, .layer = layers, .params = 123456, .params_active = 65432,
    .weight_bytes = 99999, .head_bytes = 777, .dense_bytes = dense_bytes,
    .expert_bytes = expert_bytes};
static const int32_t touched[2] = {0, 3};
static const struct trace_step_row rows[2] = {
    {.request = 7, .phase = TRACE_PREFILL, .tokens = 5, .position = 0},
    {.request = 8, .phase = TRACE_DECODE, .tokens = 1, .position = 31}};

static struct trace_run a_run(void) {
    return (struct trace_run){
        .shape = &shape, .model = "a \\ \"b\".gguf", .kv_type = "q8_0", .kv_bits = 8.5,
        .cpu = "avx2", .host_cpu = "a CPU \303\251", .threads = 2, .context = 256, .batch = 64,
        .parallel = 3, .seed = UINT64_MAX, .settings = "{\"temperature\":0.5}",
        .version = "0.1.0"};
}

static struct trace_step a_step(int n) {
    return (struct trace_step){
        .step = (uint64_t)1 << 62, .phase = n > 1 ? TRACE_MIXED : TRACE_DECODE, .tokens = 6,
        .position = 3, .start_ns = ((int64_t)1 << 53) - 1, .ns = 12345,
        .flops = {.attention = 1e12, .dense = 2.5, .experts = 3, .head = 0},
        .bytes = {.dense = 5, .experts = 6e15, .kv_read = 7, .kv_write = 8}, .logits = 1,
        .experts_touched = n > 1 ? 3 : -1, .experts_by_layer = n > 1 ? touched : NULL, .layers = 2,
        .rows = rows, .n_rows = n, .joules = n > 1 ? 0.25 : NAN};
}

static char *write_trace(const char *name) {
    struct err e = {{0}};
    char *path = scratch_path(name);
    struct trace *t = trace_open(path, &e);
    struct trace_run run = a_run();
    struct trace_step two = a_step(2);
    struct trace_step one = a_step(1);
    struct trace_request r = {
        .request = 7, .id = "\"a\\\"b\"", .model = "m", .timestamp_ms = 5,
        .time = "2026-11-24T17:12:28.072Z", .input_length = 6, .output_length = 24,
        .cached_tokens = 2, .ttft_ns = -1, .total_ns = 5358236, .stop = "length"};
    CHECK(t && !trace_run(t, &run, &e) && !trace_step(t, &two, &e) && !trace_step(t, &one, &e));
    CHECK(!trace_request(t, &r, &e));
    r.id = NULL;
    r.ttft_ns = 99;
    CHECK(!trace_request(t, &r, &e) && !trace_close(t, &e));
    return path;
}

static void same_run(const struct trace_run *got) {
    struct trace_run want = a_run();
    CHECK_STR(got->model, want.model);
    CHECK_STR(got->kv_type, "q8_0");
    CHECK_NEAR(got->kv_bits, 8.5, 0);
    CHECK_STR(got->cpu, "avx2");
    CHECK_STR(got->host_cpu, want.host_cpu);
    CHECK(got->threads == 2 && got->context == 256 && got->batch == 64 && got->parallel == 3);
    CHECK(got->seed == UINT64_MAX);
    CHECK_STR(got->settings, want.settings);
    CHECK_STR(got->version, "0.1.0");
    CHECK_STR(got->shape->name, shape.name);
    CHECK_INT(got->shape->layer[1].window, 16);
    CHECK_INT(got->shape->expert_bytes[1], 400);
}

static void same_step(const struct trace_step *got, const struct trace_step *want) {
    CHECK(got->step == want->step && got->phase == want->phase && got->tokens == want->tokens);
    CHECK(got->position == want->position && got->start_ns == want->start_ns);
    CHECK(got->ns == want->ns && got->logits == want->logits);
    CHECK(!memcmp(&got->flops, &want->flops, sizeof got->flops));
    CHECK(!memcmp(&got->bytes, &want->bytes, sizeof got->bytes));
    CHECK(got->experts_touched == want->experts_touched);
    CHECK(isnan(got->joules) ? isnan(want->joules) : got->joules == want->joules);
    CHECK(!got->experts_by_layer == !want->experts_by_layer);
    if (got->experts_by_layer)
        CHECK(got->layers == 2 && !memcmp(got->experts_by_layer, touched, sizeof touched));
    CHECK_INT(got->n_rows, want->n_rows);
    if (want->n_rows == 2)
        CHECK(!memcmp(got->rows, rows, sizeof rows));
    else
        CHECK(got->rows[0].request == 7 && got->rows[0].tokens == 6 && got->rows[0].position == 3 &&
              got->rows[0].phase == TRACE_DECODE);
}

static void there_and_back(const char *name) {
    struct err e = {{0}};
    struct steps_record r;
    struct trace_step two = a_step(2);
    struct trace_step one = a_step(1);
    char *path = write_trace(name);
    struct steps *s = steps_open(path, &e);
    CHECK(s);
    CHECK_STR(steps_name(s), path);
    CHECK_STR(steps_shape(s)->quant, "Q8_0");
    CHECK_INT(steps_run(s)->threads, 2);
    CHECK_INT(steps_next(s, &r, &e), STEPS_RUN);
    CHECK_INT(r.line, 1);
    same_run(&r.run);
    CHECK_INT(steps_next(s, &r, &e), STEPS_STEP);
    same_step(&r.step, &two);
    CHECK_INT(steps_next(s, &r, &e), STEPS_STEP);
    same_step(&r.step, &one);
    CHECK_INT(steps_next(s, &r, &e), STEPS_REQUEST);
    CHECK_INT(r.line, 4);
    CHECK_STR(r.request.id, "\"a\\\"b\"");
    CHECK_STR(r.request.model, "m");
    CHECK_STR(r.request.time, "2026-11-24T17:12:28.072Z");
    CHECK_STR(r.request.stop, "length");
    CHECK(r.request.request == 7 && r.request.timestamp_ms == 5 && r.request.input_length == 6);
    CHECK(r.request.output_length == 24 && r.request.cached_tokens == 2);
    CHECK(r.request.ttft_ns == -1 && r.request.total_ns == 5358236);
    CHECK_INT(steps_next(s, &r, &e), STEPS_REQUEST);
    CHECK(!r.request.id && r.request.ttft_ns == 99);
    CHECK_INT(steps_next(s, &r, &e), 0);
    CHECK_INT(steps_next(s, &r, &e), 0);
    steps_close(s);
    free(path);
}

/* ---- texts -------------------------------------------------------------------------------- */

#define SHAPE \
    "\"shape\":{\"layers\":1,\"d_model\":8,\"vocab\":9,\"params\":1,\"params_active\":1," \
    "\"weight_bytes\":1,\"head_bytes\":1,\"heads\":1,\"kv_heads\":1,\"dk\":4,\"dv\":4}"
#define RUN_LINE "{\"type\":\"run\",\"kv_bits\":16," SHAPE "}\n"
#define NUMBERS \
    "\"flops_attention\":1,\"flops_dense\":1,\"flops_experts\":0,\"flops_head\":0," \
    "\"dense_read_bytes\":1,\"experts_read_bytes\":0,\"kv_read_bytes\":1,\"kv_write_bytes\":1"
#define STEP_WITH(more) \
    "{\"type\":\"step\",\"phase\":\"decode\",\"tokens\":1,\"ns\":5," NUMBERS more "}\n"

static struct steps *open_text(const char *text, size_t len, struct err *e) {
    char *path = scratch_path("text.jsonl");
    scratch_write(path, text, len);
    struct steps *s = steps_open(path, e);
    free(path);
    return s;
}

/* Everything that a reader may leave out, other types, blank lines, no newline at the end, and a
 * second run with another shape. */
static void least(void) {
    static const char text[] = "\n \t\n" RUN_LINE "\n{\"type\":\"plan\",\"a\":[1,{}]}\n{}\n"
        STEP_WITH("") RUN_LINE STEP_WITH(",\"request\":3,\"more\":null");
    struct err e = {{0}};
    struct steps_record r;
    struct steps *s = open_text(text, sizeof text - 2, &e);
    CHECK(s && steps_next(s, &r, &e) == STEPS_RUN);
    CHECK_INT(r.line, 3);
    CHECK_STR(r.run.model, "");
    CHECK(!r.run.settings && r.run.threads == 0);
    CHECK_INT(steps_next(s, &r, &e), STEPS_STEP);
    CHECK(r.step.n_rows == 0 && r.step.experts_touched == -1 && isnan(r.step.joules));
    CHECK(!r.step.experts_by_layer && r.step.ns == 5 && r.step.position == 0);
    CHECK_INT(steps_next(s, &r, &e), STEPS_RUN);
    CHECK_INT(steps_next(s, &r, &e), STEPS_STEP);
    CHECK(r.step.n_rows == 1 && r.step.rows[0].request == 3);
    CHECK_INT(steps_next(s, &r, &e), 0);
    steps_close(s);
}

static const struct {
    const char *text, *says;
} lies[] = {
    {"", "text.jsonl: expected a run trace, found nothing"},
    {"\n\n", "expected a run trace, found nothing"},
    {"{}\n", "text.jsonl:1: expected a run record first, as llm-run --trace writes, found"},
    {STEP_WITH(""), "expected a run record first"},
    {"7\n", "text.jsonl:1: expected an object, found '7'"},
    {"{\"type\":\"run\"}\n", "shape: expected an object, found none (line 1)"},
    {"{\"type\":\"run\"," SHAPE "}\n", "text.jsonl:1: kv_bits: expected a value, found none"},
    {"{\"type\":\"run\",\"kv_bits\":-1," SHAPE "}\n", "expected a number from 0 on, found '-1,"},
    {"{\"type\":\"run\",\"kv_bits\":\"16\"," SHAPE "}\n", "expected a number, found '\"16\""},
    {RUN_LINE "{\"type\":\"step\"\n", "text.jsonl:2: expected"},
    {RUN_LINE "{\"type\":\"step\"}\n", "text.jsonl:2: phase: expected a value, found none"},
    {RUN_LINE "\n{\"type\":\"step\",\"phase\":\"rest\"}\n",
     "text.jsonl:3: expected prefill, decode or mixed, found '\"rest\"}'"},
    {RUN_LINE "{\"type\":\"step\",\"phase\":7}\n", "expected a string"},
    {RUN_LINE STEP_WITH(",\"ns\":-5"), "expected a count below 2^53, found '-5}'"},
    {RUN_LINE STEP_WITH(",\"ns\":1e400"), "expected a count below 2^53, found '1e400}'"},
    {RUN_LINE STEP_WITH(",\"ns\":9007199254740992"), "expected a count below 2^53"},
    {RUN_LINE STEP_WITH(",\"tokens\":2147483648"), "expected a count below 2^31"},
    {RUN_LINE STEP_WITH(",\"tokens\":0"), "expected at least one token"},
    {RUN_LINE STEP_WITH(",\"flops_head\":1e999"), "expected a number from 0 on, found '1e999}'"},
    {RUN_LINE STEP_WITH(",\"flops_head\":NaN"), "expected a number, found 'NaN}'"},
    {RUN_LINE STEP_WITH(",\"joules\":-1"), "expected a number from 0 on"},
    {RUN_LINE STEP_WITH(",\"experts_by_layer\":[1,2]"), "expected an entry for each of the run's"},
    {RUN_LINE STEP_WITH(",\"experts_by_layer\":3"), "expected an array, found '3}'"},
    {RUN_LINE STEP_WITH(",\"rows\":[{}]"), "text.jsonl:2: request: expected a value, found none"},
    {RUN_LINE STEP_WITH(",\"rows\":[{\"request\":0,\"phase\":\"decode\",\"tokens\":2,"
                        "\"position\":0}]"), "expected rows whose tokens add up to the step's"},
    {RUN_LINE STEP_WITH(",\"rows\":[{\"request\":0,\"phase\":\"mixed\",\"tokens\":1,"
                        "\"position\":0}]"), "expected rows that are prefill or decode"},
    {RUN_LINE STEP_WITH("") "{\"type\":\"request\",\"request\":0}\n",
     "text.jsonl:3: input_length: expected a value, found none"},
    {RUN_LINE "[]\n", "text.jsonl:2: expected an object, found '[]'"},
    {RUN_LINE "{\"type\":\"plan\"} x\n", "expected the end of the line, found 'x'"},
};

static void lie(size_t i) {
    struct err e = {{0}};
    struct steps_record r;
    struct steps *s = open_text(lies[i].text, strlen(lies[i].text), &e);
    int rc = 1;
    while (s && (rc = steps_next(s, &r, &e)) > 0)
        ;
    CHECK(!s || rc < 0);
    CHECK(strstr(e.text, lies[i].says));
    if (!strstr(e.text, lies[i].says))
        printf("# expected \"%s\" in: %s\n", lies[i].says, e.text);
    steps_close(s);
}

/* 10 MB on one line are read, or refused, and the lines before are there. */
static void long_line(void) {
    struct err e = {{0}};
    struct steps_record r;
    struct buf b = {0};
    buf_adds(&b, RUN_LINE STEP_WITH("") "{\"type\":\"step\",\"x\":\"");
    for (int i = 0; i < 10 << 10; i++)
        buf_printf(&b, "%01024d", 0);
    buf_adds(&b, "\"}\n");
    struct steps *s = open_text(b.data, b.len, &e);
    CHECK(s && steps_next(s, &r, &e) == STEPS_RUN && steps_next(s, &r, &e) == STEPS_STEP);
    CHECK(steps_next(s, &r, &e) < 0 && strstr(e.text, ":3: phase: expected a value, found none"));
    steps_close(s);
    buf_free(&b);
}

static void no_file(void) {
    struct err e = {{0}};
    CHECK(!steps_open("/nowhere/run.jsonl", &e) && strstr(e.text, "/nowhere/run.jsonl"));
}

int main(void) {
    RUN_NAMED("there and back", there_and_back("run.jsonl"));
    RUN_NAMED("there and back, zstd", there_and_back("run.jsonl.zst"));
    RUN(least);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        RUN_NAMED(lies[i].says, lie(i));
    RUN(long_line);
    RUN(no_file);
    scratch_remove();
    return check_done();
}
