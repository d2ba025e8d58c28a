/* test_growth.c - lib/bench/growth: points of cost and length from each kind of measurement */
#include "tests/check.h"
#include "tests/scratch.h"

#include "lib/bench/growth.h"

/* Reads text as a file would be read. */
static struct growth *read_text(const char *text, struct err *err) {
    struct growth *g = growth_new();
    char *path = scratch_path("in");
    scratch_write(path, text, strlen(text));
    int rc = growth_read(g, path, err);
    free(path);
    if (rc) {
        growth_free(g);
        return NULL;
    }
    growth_finish(g);
    return g;
}

static struct growth *read_good(const char *text) {
    struct err err = {""};
    struct growth *g = read_text(text, &err);
    if (!g) {
        printf("# %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    return g;
}

static const struct growth_points *find(const struct growth *g, enum growth_phase phase,
                                        enum growth_cost cost) {
    for (size_t i = 0; i < growth_count(g); i++) {
        const struct growth_points *p = growth_get(g, i);
        if (p->phase == phase && p->cost == cost)
            return p;
    }
    return NULL;
}

/* The points of a series, as text: "x:y x:y". */
static const char *shown(const struct growth *g, enum growth_phase phase, enum growth_cost cost) {
    static char text[2048];
    const struct growth_points *p = find(g, phase, cost);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; p && i < p->n && len < sizeof text - 64; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.10g:%.10g", i ? " " : "",
                                p->x[i], p->y[i]);
    return text;
}

#define RUN_LINE "{\"type\":\"run\",\"format\":1,\"shape\":{\"heads\":[1,2],\"ns\":3}}\n"

static void prompts_add_up(void) {
    struct growth *g = read_good(
        RUN_LINE
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":512,\"position\":0,\"ns\":100,"
        "\"flops_attention\":1,\"flops_dense\":2,\"flops_experts\":3,\"flops_head\":4,"
        "\"dense_read_bytes\":10,\"experts_read_bytes\":20,\"kv_read_bytes\":30,"
        "\"kv_write_bytes\":40,\"joules\":0.5,\"experts_by_layer\":[1,2],\"request\":0}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":88,\"position\":512,\"ns\":50,"
        "\"flops_attention\":\"10000000000000000\",\"kv_read_bytes\":5,\"joules\":0.25,"
        "\"request\":0}\n"
        "{\"type\":\"step\",\"phase\":\"decode\",\"tokens\":1,\"position\":600,\"ns\":7,"
        "\"request\":0}\n"
        "{\"type\":\"step\",\"phase\":\"decode\",\"tokens\":3,\"position\":601,\"ns\":9,"
        "\"request\":0}\n"
        "{\"type\":\"request\",\"request\":0,\"input_length\":600,\"output_length\":4,"
        "\"ttft_ns\":1000,\"total_ns\":2000}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":5,\"position\":0,\"ns\":11,"
        "\"request\":1}\n");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_NS), "600:150 5:11");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_FLOPS), "600:1e+16");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_BYTES), "600:105");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_JOULES), "600:0.75");
    CHECK_STR(shown(g, GROWTH_DECODE, GROWTH_NS), "600:7 602:3");
    CHECK_INT(growth_count(g), 5);
    growth_free(g);
}

/* What shares a pass with others, or begins behind a cache, says nothing about its length. */
static void shared_and_cached(void) {
    struct growth *g = read_good(
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":9,\"position\":0,\"ns\":9,"
        "\"request\":2}\n"
        "{\"type\":\"step\",\"phase\":\"mixed\",\"tokens\":3,\"position\":9,\"ns\":5,"
        "\"requests\":2,\"rows\":[{\"request\":2,\"phase\":\"prefill\",\"tokens\":2,"
        "\"position\":9},{\"request\":7,\"phase\":\"decode\",\"tokens\":1,\"position\":4}]}\n"
        "{\"type\":\"step\",\"phase\":\"decode\",\"tokens\":2,\"position\":9,\"ns\":5,"
        "\"requests\":2,\"rows\":[]}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":4,\"position\":11,\"ns\":5,"
        "\"request\":2}\n"
        "{\"type\":\"request\",\"request\":2,\"input_length\":15}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":4,\"position\":64,\"ns\":5,"
        "\"request\":4294967290}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":4,\"position\":0,\"ns\":5,"
        "\"request\":6}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":4,\"position\":8,\"ns\":5,"
        "\"request\":6}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":3,\"position\":0,\"ns\":8,"
        "\"request\":4294967289}\n"
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":3,\"position\":0,\"ns\":8,"
        "\"request\":-5}\n"
        "{\"type\":\"note\"}\n");
    const struct growth_left *l = growth_left(g);
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_NS), "3:8");
    CHECK_STR(shown(g, GROWTH_DECODE, GROWTH_NS), "");
    CHECK_INT(l->shared, 2);
    CHECK_INT(l->cached, 1);
    CHECK_INT(l->broken, 1);
    CHECK_INT(l->unknown, 2);
    growth_free(g);
}

static void requests(void) {
    struct growth *g = read_good(
        "{\"type\":\"request\",\"input_length\":100,\"output_length\":20,\"ttft_ms\":9,"
        "\"ttft_sent_ms\":2.5,\"tpot_ms\":0.5,\"e2e_ms\":12,\"end\":\"ok\"}\n"
        "{\"type\":\"request\",\"input_length\":100,\"output_length\":20,\"ttft_ms\":2.5,"
        "\"end\":\"timeout_stall\"}\n"
        "{\"type\":\"request\",\"input_length\":100,\"output_length\":2,\"ttft_ms\":2.5,"
        "\"warmup\":true}\n"
        "{\"input_length\":50,\"output_length\":11,\"ttft_ns\":3000,\"total_ns\":13000}\n"
        "{\"input_length\":50,\"output_length\":1,\"cached_tokens\":16,\"ttft_ns\":3000}\n"
        "{\"input_length\":70,\"ttft_ms\":null}\n");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_NS), "100:2500000 50:3000");
    CHECK_STR(shown(g, GROWTH_DECODE, GROWTH_NS), "110:500000 55.5:1000");
    CHECK_INT(growth_left(g)->broken, 1);
    CHECK_INT(growth_left(g)->cached, 1);
    CHECK_INT(growth_left(g)->unknown, 0);
    growth_free(g);
}

static void rows_of_model(void) {
    static const char json[] =
        "{\"name\":\"prefill512\",\"value\":1000,\"unit\":\"tok/s\",\"tokens\":512,\"depth\":0,"
        "\"parallel\":1,\"flops_per_token\":100,\"weight_bytes_per_token\":7,"
        "\"kv_read_bytes_per_token\":1,\"kv_write_bytes_per_token\":2,\"joules_per_token\":null,"
        "\"samples\":[1000,2000]}\n"
        "{\"name\":\"decode65@4096\",\"value\":50,\"unit\":\"tok/s\",\"tokens\":65,"
        "\"depth\":4096,\"parallel\":1,\"samples\":[50,null]}\n"
        "{\"name\":\"prefill512+decode64\",\"value\":50,\"unit\":\"tok/s\",\"tokens\":576}\n"
        "{\"name\":\"prefill512@64\",\"value\":50,\"unit\":\"tok/s\",\"tokens\":512,"
        "\"depth\":64}\n"
        "{\"name\":\"decode64\",\"value\":50,\"unit\":\"tok/s\",\"tokens\":64,\"parallel\":4}\n";
    static const char table[] =
        "name\tvalue\tunit\ttokens\tdepth\tsamples\tflops_per_token\tother\r\n"
        "prefill512\t1000\ttok/s\t512\t0\t1000,2000\t100\tx\r\n"
        "name\tunit\tvalue\ttokens\tdepth\tsamples\tflops_per_token\n"
        "decode65@4096\ttok/s\t50\t65\t4096\t-\t-\n";
    struct growth *g = read_good(json);
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_NS), "512:512000000 512:256000000");
    CHECK_STR(shown(g, GROWTH_DECODE, GROWTH_NS), "4128:20000000");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_FLOPS), "512:51200");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_BYTES), "512:5120");
    CHECK(!find(g, GROWTH_PREFILL, GROWTH_JOULES));
    CHECK_INT(growth_left(g)->mixtures, 2);
    CHECK_INT(growth_left(g)->cached, 1);
    growth_free(g);
    g = read_good(table);
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_NS), "512:512000000 512:256000000");
    CHECK_STR(shown(g, GROWTH_DECODE, GROWTH_NS), "4128:20000000");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_FLOPS), "512:51200");
    growth_free(g);
}

static void rows_of_llama_bench(void) {
    struct growth *g = read_good(
        "{\"n_prompt\":512,\"n_gen\":0,\"n_depth\":0,\"avg_ns\":9,\"samples_ns\":[100,200]}\n"
        "{\"n_prompt\":0,\"n_gen\":5,\"n_depth\":10,\"avg_ns\":50}\n"
        "{\"n_prompt\":16,\"n_gen\":5,\"avg_ns\":50}\n"
        "{\"n_prompt\":16,\"n_gen\":0,\"n_depth\":9,\"avg_ns\":50}\n");
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_NS), "512:100 512:200");
    CHECK_STR(shown(g, GROWTH_DECODE, GROWTH_NS), "12:10");
    CHECK_INT(growth_left(g)->mixtures, 1);
    CHECK_INT(growth_left(g)->cached, 1);
    growth_free(g);
}

static void two_columns(void) {
    struct growth *g = read_good("\xEF\xBB\xBFlength cost\n# a comment\n\n 1 2.5\n16,3e3\r\n32 , 4 ignored\n");
    CHECK_STR(shown(g, GROWTH_DATA, GROWTH_Y), "1:2.5 16:3000 32:4");
    CHECK_INT(find(g, GROWTH_DATA, GROWTH_Y)->groups, 3);
    growth_free(g);
}

static void bad_files(void) {
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "expected measurements, found nothing"},
        {"\n# nothing\n", "expected measurements, found nothing"},
        {"1 2\n3 x\n", ":2: expected a length and a cost above 0, found '3 x'"},
        {"1 2\n3 0\n", ":2: expected a length"},
        {"1 2\nnan 1\n", ":2: expected a length"},
        {"word\n", ":1: expected a length"},
        {"{\"type\":\"step\"\n", ":1: expected"},
        {"{\"type\":\"step\"} x\n", ":1: expected the end of the line, found 'x'"},
        {"{}\n[1]\n", ":2: expected an object, found '[1]'"},
        {"{\"rows\":[{\"request\":tru}]}\n", ":1: expected"},
        {"{\"samples\":[1,}\n", ":1: expected"},
        {"name\tunit\nprefill\n", ":2: expected 2 columns, as in the header, found 1"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {""};
        CHECK(!read_text(bad[i].text, &err));
        if (!strstr(err.text, bad[i].says)) {
            printf("# %s\n", err.text);
            CHECK(!"the message says what was wrong");
        }
    }
    struct err err = {""};
    struct growth *g = growth_new();
    CHECK(growth_read(g, "/nonexistent/file", &err) == -1 && *err.text);
    growth_free(g);
    growth_free(NULL);
}

/* Every prefix of a line, and the line with each byte changed, is read or refused, but read to its
 * end: the sanitizers watch. */
static void hostile_lines(void) {
    static const char line[] =
        "{\"type\":\"step\",\"phase\":\"mixed\",\"tokens\":3,\"ns\":\"5\",\"requests\":2,"
        "\"rows\":[{\"request\":1,\"phase\":\"prefill\"}],\"samples\":[1e3,null,\"7\"]}\n";
    char text[sizeof line];
    struct err err;
    int read = 0;
    for (size_t len = 0; len < sizeof line; len++) {
        memcpy(text, line, sizeof line);
        text[len] = '\0';
        struct growth *g = read_text(text, &err);
        read += g != NULL;
        growth_free(g);
        if (len + 1 == sizeof line)
            break;
        memcpy(text, line, sizeof line);
        text[len] = len % 2 ? '"' : '\\';
        growth_free(read_text(text, &err));
    }
    CHECK_INT(read, 2);         /* with its newline and without */
}

/* 3 requests of 100 tokens each: cut into 14 runs, each of them of consecutive tokens. 50 requests:
 * a group each. */
static void groups(void) {
    for (int requests_here = 3; requests_here <= 50; requests_here += 47) {
        struct buf b = {0};
        for (int i = 0; i < requests_here * 100; i++)
            buf_printf(&b, "{\"type\":\"step\",\"phase\":\"decode\",\"tokens\":1,\"position\":%d,"
                       "\"ns\":1,\"request\":%d}\n", i / requests_here, i % requests_here);
        struct growth *g = read_good(b.data);
        const struct growth_points *p = find(g, GROWTH_DECODE, GROWTH_NS);
        uint32_t cuts = requests_here == 3 ? 14 : 1;
        CHECK_INT(p->groups, (uint32_t)requests_here * cuts);
        for (size_t i = 0; i < p->n; i++) {
            CHECK(p->group[i] / cuts == i % (size_t)requests_here);
            CHECK(p->group[i] % cuts == (uint32_t)p->x[i] * cuts / 100);
        }
        growth_free(g);
        buf_free(&b);
    }
}

/* More than a thousand requests: neighbours are joined, each group has some. */
static void many_groups(void) {
    struct buf b = {0};
    for (int i = 0; i < 2500; i++)
        buf_printf(&b, "%d 1\n", i);
    struct growth *g = read_good(b.data);
    const struct growth_points *p = find(g, GROWTH_DATA, GROWTH_Y);
    CHECK_INT(p->groups, 1000);
    CHECK_INT(p->group[0], 0);
    CHECK_INT(p->group[p->n - 1], 999);
    for (size_t i = 1; i < p->n; i++)
        CHECK(p->group[i] - p->group[i - 1] <= 1);
    growth_free(g);
    buf_free(&b);
}

/* Requests of two files, and of two runs in one file, are different ones though both begin at 0. */
static void runs_are_apart(void) {
    static const char text[] =
        RUN_LINE
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":5,\"position\":0,\"ns\":1,"
        "\"request\":0}\n"
        RUN_LINE
        "{\"type\":\"step\",\"phase\":\"prefill\",\"tokens\":6,\"position\":0,\"ns\":2,"
        "\"request\":0}\n";
    struct growth *g = growth_new();
    struct err err;
    char *path = scratch_path("run");
    scratch_write(path, text, strlen(text));
    CHECK_INT(growth_read(g, path, &err), 0);
    CHECK_INT(growth_read(g, path, &err), 0);
    growth_finish(g);
    CHECK_STR(shown(g, GROWTH_PREFILL, GROWTH_NS), "5:1 6:2 5:1 6:2");
    CHECK_INT(find(g, GROWTH_PREFILL, GROWTH_NS)->groups, 4);
    free(path);
    growth_free(g);
}

int main(void) {
    RUN(prompts_add_up);
    RUN(shared_and_cached);
    RUN(requests);
    RUN(rows_of_model);
    RUN(rows_of_llama_bench);
    RUN(two_columns);
    RUN(bad_files);
    RUN(hostile_lines);
    RUN(groups);
    RUN(many_groups);
    RUN(runs_are_apart);
    scratch_remove();
    return check_done();
}
