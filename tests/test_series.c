/* test_series.c - lib/bench/series.h: what each form of measurement is read as, and what is not */
#include "tests/check.h"
#include "tests/scratch.h"

#include <float.h>

#include "lib/bench/series.h"

static struct err err;

static struct serieses *parse(const char *text) {
    err.text[0] = '\0';
    return series_parse("in", text, strlen(text), &err);
}

/* A series that must be there with these samples. */
static void check_series(const struct serieses *all, const char *name, const char *unit,
                         int better, size_t n, const double *x) {
    const struct series *s = all ? series_find(all, name, unit) : NULL;
    if (!s) {
        printf("# no series %s in %s: %s\n", name, unit, err.text);
        check_bad++;
        return;
    }
    CHECK_INT(s->better, better);
    CHECK_INT(s->n, n);
    for (size_t i = 0; i < n && i < s->n; i++)
        CHECK_NEAR(s->x[i], x[i], 1e-12 * fabs(x[i]));
}
#define HAS(all, name, unit, better, ...) \
    check_series(all, name, unit, better, sizeof((double[]){__VA_ARGS__}) / sizeof(double), \
                 (double[]){__VA_ARGS__})

static void check_refused(const char *text, const char *words) {
    struct serieses *all = parse(text);
    CHECK(!all);
    CHECK_STR(err.text, words);
    series_free(all);
}

/* ---- ours --------------------------------------------------------------------------------- */

static void rows_as_json(void) {
    struct serieses *all = parse(
        "{\"name\":\"decode64\",\"value\":51.5,\"low\":null,\"unit\":\"tok/s\",\"tokens\":64,"
        "\"better\":\"higher\",\"n\":3,\"samples\":[51,51.5,5.2e1],\"host\":\"a Linux\","
        "\"host_cpu\":\"Zen\",\"program\":\"llmutils 1\",\"args\":\"llm-bench model -t 2\"}\n"
        "\n"
        "{\"samples\":[7],\"name\":\"decode64\",\"unit\":\"tok/s\",\"value\":7}\r\n"
        "{\"name\":\"latency\",\"value\":3,\"unit\":\"ms\",\"samples\":null}\n"
        "{\"name\":\"failed\",\"value\":null,\"unit\":\"ms\",\"samples\":[]}\n"
        "{\"name\":\"odd\\n\\u0001\",\"unit\":\"parsec\",\"samples\":[1,null,2]}");
    HAS(all, "decode64", "tok/s", SERIES_HIGHER, 51, 51.5, 52, 7);
    HAS(all, "latency", "ms", SERIES_LOWER, 3);
    HAS(all, "odd  ", "parsec", SERIES_UNKNOWN, 1, 2);
    check_series(all, "failed", "ms", SERIES_LOWER, 0, NULL);
    CHECK_INT(all ? all->n : 0, 4);
    if (all)
        CHECK_STR(all->s[0].origin, "host: a Linux\ncpu: Zen\nprogram: llmutils 1\n"
                                    "command: llm-bench model -t 2");
    series_free(all);
}

static void rows_in_tabs(void) {
    struct serieses *all = parse(
        "name\tvalue\tlow\thigh\tunit\tbetter\tn\tsamples\thost\n"
        "read\t2\t-\t-\tGB/s\thigher\t3\t1,2,3.5\tbox\n"
        "one\t4.5\t-\t-\tus\t-\t1\t-\tbox\n"
        "name\tunit\tvalue\tsamples\n"
        "read\tGB/s\t9\t9\n");
    HAS(all, "read", "GB/s", SERIES_HIGHER, 1, 2, 3.5, 9);
    HAS(all, "one", "us", SERIES_LOWER, 4.5);
    if (all)
        CHECK_STR(all->s[0].origin, "host: box");
    series_free(all);
}

static void records(void) {
    struct serieses *all = parse(
        "{\"type\":\"run\",\"host_cpu\":\"Zen\",\"threads\":2,\"weight_bytes\":5}\n"
        "{\"type\":\"request\",\"timestamp\":7,\"input_length\":3,\"ttft_ms\":1.5,"
        "\"decode_tps\":40,\"scheduled_ns\":5,\"e2e_ms\":null}\n"
        "{\"type\":\"request\",\"ttft_ms\":9,\"error\":\"reset\"}\n"
        "{\"type\":\"request\",\"ttft_ms\":9,\"end\":\"reset\"}\n"
        "{\"type\":\"request\",\"ttft_ms\":9,\"end\":\"ok\",\"warmup\":true}\n"
        "{\"type\":\"request\",\"end\":\"ok\",\"ttft_ms\":2,\"warmup\":false}\n"
        "{\"type\":\"request\",\"ttft_ms\":2.5,\"error\":null,\"rows\":[{\"x_ms\":1}]}\n"
        "{\"type\":\"step\",\"phase\":\"decode\",\"start_ns\":3,\"ns\":70,\"kv_read_bytes\":64}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"ns\":700,\"s\":1,\"flops_dense\":5}\n");
    HAS(all, "ttft", "ms", SERIES_LOWER, 1.5, 2, 2.5);
    HAS(all, "decode", "tok/s", SERIES_HIGHER, 40);
    HAS(all, "decode.step", "ns", SERIES_LOWER, 70);
    HAS(all, "decode.kv_read", "B", SERIES_LOWER, 64);
    HAS(all, "prefill.step", "ns", SERIES_LOWER, 700);
    CHECK_INT(all ? all->n : 0, 5);
    if (all)
        CHECK_STR(all->s[0].origin, "cpu: Zen\nthreads: 2");
    series_free(all);
}

static void records_in_tabs(void) {
    struct serieses *all = parse("id\tttft_ms\ttotal_s\tprefill_gflops\tstop\n"
                                 "a\t1\t2\t-\teos\nb\t3\t-\t7\teos\n");
    HAS(all, "ttft", "ms", SERIES_LOWER, 1, 3);
    HAS(all, "total", "s", SERIES_LOWER, 2);
    HAS(all, "prefill", "GFLOP/s", SERIES_HIGHER, 7);
    series_free(all);
}

/* ---- others' ------------------------------------------------------------------------------ */

#define LLAMA(prompt, gen, depth, more) \
    "{\"build_commit\":\"b1\",\"cpu_info\":\"Zen\",\"model_filename\":\"m.gguf\"," \
    "\"use_mmap\":true,\"n_prompt\":" prompt ",\"n_gen\":" gen ",\"n_depth\":" depth "," more "}"

static void llama_bench(void) {
    struct serieses *all = parse(
        "[\n  " LLAMA("512", "0", "0", "\"avg_ts\":2.5,\n\"samples_ts\": [ 2, 3 ]") ",\n  "
        LLAMA("0", "64", "4096", "\"samples_ts\":[4]") ",\n"
        LLAMA("512", "64", "0", "\"avg_ts\":5") "\n]\n");
    HAS(all, "prefill512", "tok/s", SERIES_HIGHER, 2, 3);
    HAS(all, "decode64@4096", "tok/s", SERIES_HIGHER, 4);
    HAS(all, "prefill512+decode64", "tok/s", SERIES_HIGHER, 5);
    if (all)
        CHECK_STR(all->s[0].origin, "cpu: Zen\nprogram: b1");
    series_free(all);
}

/* A sweep over threads is not one series. Settings that do not differ stay out of the name. */
static void llama_bench_sweep(void) {
    struct serieses *all = parse(
        LLAMA("0", "64", "0", "\"n_threads\":1,\"samples_ts\":[1]") "\n"
        LLAMA("0", "64", "0", "\"n_threads\":2,\"samples_ts\":[2]") "\n"
        LLAMA("0", "64", "0", "\"n_threads\":2,\"samples_ts\":[3]") "\n"
        LLAMA("9", "0", "0", "\"n_threads\":2,\"samples_ts\":[4]") "\n");
    HAS(all, "decode64 n_threads=1", "tok/s", SERIES_HIGHER, 1);
    HAS(all, "decode64 n_threads=2", "tok/s", SERIES_HIGHER, 2, 3);
    HAS(all, "prefill9", "tok/s", SERIES_HIGHER, 4);
    series_free(all);
}

static void hyperfine(void) {
    struct serieses *all = parse(
        "{\n  \"results\": [\n    {\n      \"command\": \"sleep 1\",\n      \"mean\": 1.5,\n"
        "      \"times\": [\n        1.25,\n        1.75\n      ],\n"
        "      \"memory_usage_byte\": [1048576, 2097152],\n      \"exit_codes\": [0, 0]\n"
        "    }\n  ]\n}\n");
    HAS(all, "wall", "ms", SERIES_LOWER, 1250, 1750);
    HAS(all, "peak", "MiB", SERIES_LOWER, 1, 2);
    if (all)
        CHECK_STR(all->s[0].origin, "command: sleep 1");
    series_free(all);
    all = parse("{\"results\":[{\"command\":\"a \\\"b\\\"\",\"times\":[1]},"
                "{\"command\":\"c\",\"mean\":2}]}");
    HAS(all, "a \"b\" wall", "ms", SERIES_LOWER, 1000);
    HAS(all, "c wall", "ms", SERIES_LOWER, 2000);
    series_free(all);
}

static void hyperfine_2(void) {
    struct serieses *all = parse(
        "{\"schema_version\":2,\"results\":[{\"command\":\"a\",\"measurements\":["
        "{\"time_wall_clock\":{\"value\":1,\"unit\":\"second\"},\"exit_code\":0,"
        "\"memory_peak_resident\":{\"unit\":\"byte\",\"value\":1048576}},"
        "{\"time_wall_clock\":{\"value\":2,\"unit\":\"second\"},"
        "\"instructions\":{\"value\":5,\"unit\":\"count\"}}]}]}");
    HAS(all, "wall", "ms", SERIES_LOWER, 1000, 2000);
    HAS(all, "peak", "MiB", SERIES_LOWER, 1);
    HAS(all, "instructions", "count", SERIES_UNKNOWN, 5);
    series_free(all);
}

static void github_action_benchmark(void) {
    struct serieses *all = parse("[{\"name\":\"fib\",\"unit\":\"ms\",\"value\":3.5,"
                                 "\"range\":\"3 to 4\"}]");
    HAS(all, "fib", "ms", SERIES_LOWER, 3.5);
    series_free(all);
}

static void plain_numbers(void) {
    struct serieses *all = parse("# seconds\n1\n\n  2.5e0\r\n-3");
    HAS(all, "value", "", SERIES_UNKNOWN, 1, 2.5, -3);
    series_free(all);
    all = parse("[1,\n2,\n3]\n");
    HAS(all, "value", "", SERIES_UNKNOWN, 1, 2, 3);
    series_free(all);
    all = parse("\xEF\xBB\xBF" "4\n5\n");      /* a byte order mark */
    HAS(all, "value", "", SERIES_UNKNOWN, 4, 5);
    series_free(all);
    all = parse("\xEF\xBB\xBF{\n\"ttft_ms\": 1}\n");
    HAS(all, "ttft", "ms", SERIES_LOWER, 1);
    series_free(all);
}

/* Documents one after another, as cat joins them. */
static void joined_documents(void) {
    struct serieses *all = parse("{\n\"ttft_ms\": 1}\n{\n\"ttft_ms\":\n2}\n[3]");
    HAS(all, "ttft", "ms", SERIES_LOWER, 1, 2);
    HAS(all, "value", "", SERIES_UNKNOWN, 3);
    series_free(all);
}

/* ---- bad input ---------------------------------------------------------------------------- */

static void names_the_fault(void) {
    check_refused("", "in: expected measurements, found nothing");
    check_refused(" \n\t\n", "in: expected measurements, found nothing");
    check_refused("{\"a\":1}\n{}\n", "in: expected measurements, found 2 lines without any");
    check_refused("1\n2 3\n", "in:2: expected a number, found '2 3'");
    check_refused("1\nnan\n", "in:2: expected a number, found 'nan'");
    check_refused("1\n\v\n3\n", "in:2: expected a number, found '?'");
    check_refused("{\"ttft_ms\":1}\n{\"ttft_ms\":x}\n",
                  "in:2: byte 12: expected a value, found 'x}'");
    check_refused("{\"ttft_ms\":1}\n{\"ttft_ms\":1} 2\n",
                  "in:2: byte 15: expected the end of the line, found '2'");
    check_refused("[\n{\"a\":1},\n{\"a\" 1}\n]\n", "in:3: byte 6: expected ':', found '1}'");
    check_refused("{\"results\": [\n{\"times\": [1,\n",
                  "in:3: byte 1: expected a value, found the end");
    check_refused("{\"results\": [\n{\"times\": [1,\n\"x\"]}]}\n",
                  "in:3: byte 1: expected a number, found '\"x\"]}]}'");
    check_refused("{\"results\":[{\"times\":[1e999]}]}",
                  "in:1: byte 23: expected a number that a double can hold, found '1e999]}]}'");
    check_refused("{\"name\":\"a\",\"samples\":7}",
                  "in:1: byte 23: expected an array of numbers, found '7}'");
    check_refused("name\tvalue\tlow\nd\t2\n", "in:2: expected 3 cells as in the header, found 2");
    check_refused("name\tvalue\tlow\nd\tx\t2\n", "in:2: expected a number, found 'x'");
}

/* A name that cannot be opened, and bytes that are no text. */
static void names_the_file(void) {
    CHECK(!series_read("/nonexistent/file", &err));
    CHECK(strstr(err.text, "/nonexistent/file"));
    CHECK(!series_parse("in", "\0\0\1", 3, &err));
    CHECK(!strncmp(err.text, "in:1: ", 6));
}

/* ---- many --------------------------------------------------------------------------------- */

/* Lines across the ends of the reader's buffer, many names, and the last line without newline. */
static void many_records(void) {
    enum { LINES = 40000, NAMES = 700 };
    struct buf b = {0};
    for (int i = 0; i < LINES; i++)
        buf_printf(&b, "%s{\"t%d_ms\":%d,\"pad\":\"%*s\"}", i ? "\n" : "", i % NAMES, i, i % 90,
                   "");
    char *path = scratch_path("many.jsonl");
    scratch_write(path, b.data, b.len);
    struct serieses *all = series_read(path, &err);
    CHECK(all && all->n == NAMES);
    size_t n = 0;
    int wrong = 0;
    for (size_t s = 0; all && s < all->n; s++) {
        for (size_t k = 0; k < all->s[s].n; k++)
            wrong += all->s[s].x[k] != (double)(s + k * NAMES);
        n += all->s[s].n;
    }
    CHECK_INT(n, LINES);
    CHECK_INT(wrong, 0);
    series_free(all);
    free(path);
    buf_free(&b);
}

static void appends(void) {
    struct serieses all = {.n = 0};
    for (int i = 0; i < 5; i++) {
        double x[2] = {i, -i};
        CHECK_INT(series_append(&all, i % 2 ? "odd" : "even", "u", SERIES_LOWER, x, 2)->better,
                  SERIES_LOWER);
    }
    HAS(&all, "even", "u", SERIES_LOWER, 0, 0, 2, -2, 4, -4);
    HAS(&all, "odd", "u", SERIES_LOWER, 1, -1, 3, -3);
    struct serieses *copy = mem_alloc(sizeof *copy);
    *copy = all;
    series_free(copy);
    series_free(NULL);
}

int main(void) {
    RUN(rows_as_json);
    RUN(rows_in_tabs);
    RUN(records);
    RUN(records_in_tabs);
    RUN(llama_bench);
    RUN(llama_bench_sweep);
    RUN(hyperfine);
    RUN(hyperfine_2);
    RUN(github_action_benchmark);
    RUN(plain_numbers);
    RUN(joined_documents);
    RUN(names_the_fault);
    RUN(names_the_file);
    RUN(many_records);
    RUN(appends);
    scratch_remove();
    return check_done();
}
