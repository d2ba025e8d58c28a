/* test_trace.c - run traces and route streams, read back by others: cJSON, jq, zstd, NumPy
 *
 * The models are made up here. NumPy is asked when $PYTHON (python3) has it.
 */
#include "lib/trace/trace.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "lib/base/mem.h"
#include "tests/check.h"

static char dir[] = "/tmp/test_trace.XXXXXX";

/* A path in the test's folder; four may be in use at once. */
static const char *in_dir(const char *name) {
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static struct buf slurp(const char *path) {
    struct buf b = {0};
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    while (f && (n = fread(part, 1, sizeof part, f)) > 0)
        buf_add(&b, part, n);
    if (f)
        fclose(f);
    return b;
}

/* ---- models ----------------------------------------------------------------------------- */

static struct shape_layer moe_layers[3] = {
    {.heads = 4, .kv_heads = 2, .dk = 8, .dv = 16, .d_ff = 64},
    {.heads = 4, .kv_heads = 2, .dk = 8, .dv = 16, .window = 16, .experts = 6, .top_k = 2,
     .d_expert = 24, .d_shared = 40},
    {.heads = 4, .kv_heads = 2, .dk = 8, .dv = 16, .experts = 6, .top_k = 2, .d_expert = 24,
     .d_shared = 40},
};
static int64_t moe_dense[3] = {1000, 2000, 3000};
static int64_t moe_expert[3] = {0, 400, 500};
static struct shape moe = {
    .arch = "made-up", .name = "Made \"up\"\n", .quant = "Q8_0", .layers = 3, .d_model = 32,
    .vocab = 100, .context = 256, .layer = moe_layers, .shared_gate = 1, .params = 123456,
    .params_active = 65432, .weight_bytes = 99999, .head_bytes = 777, .dense_bytes = moe_dense,
    .expert_bytes = moe_expert};

static struct shape_layer dense_layer = {.heads = 2, .kv_heads = 1, .dk = 4, .dv = 4, .d_ff = 16};
static int64_t one_dense = 10, one_expert = 0;
static struct shape dense = {
    .arch = "made-up", .name = "dense", .quant = "F32", .layers = 1, .d_model = 8, .vocab = 9,
    .context = 64, .layer = &dense_layer, .tied = 1, .params = (int64_t)1 << 60,
    .params_active = 5, .weight_bytes = 20, .head_bytes = 4, .dense_bytes = &one_dense,
    .expert_bytes = &one_expert};

/* ---- run traces ------------------------------------------------------------------------- */

static struct trace_run a_run(const struct shape *s) {
    return (struct trace_run){
        .shape = s, .model = "a \\ b.gguf", .kv_type = "q8_0", .kv_bits = 8.5, .cpu = "avx2",
        .host_cpu = "a CPU", .threads = 2, .context = 256, .batch = 64, .parallel = 1,
        .seed = UINT64_MAX, .settings = "{\"temperature\":0.5}", .version = "0.1.0"};
}

static const int32_t touched[3] = {0, 3, 4};
static const struct trace_step_row two_rows[2] = {
    {.request = 7, .phase = TRACE_PREFILL, .tokens = 5, .position = 0},
    {.request = 8, .phase = TRACE_DECODE, .tokens = 1, .position = 31}};

static struct trace_step a_step(int n_rows) {
    return (struct trace_step){
        .step = 12, .phase = n_rows > 1 ? TRACE_MIXED : TRACE_DECODE, .tokens = 6, .position = 3,
        .start_ns = 1000, .ns = 2000, .flops = {1e6, 2e6, 3e6, 0.5e6},
        .bytes = {4000, 5000, 1234.5, 68}, .logits = 2, .experts_touched = 7,
        .experts_by_layer = touched, .layers = 3, .rows = two_rows, .n_rows = n_rows,
        .joules = NAN};
}

static const struct trace_request a_request = {
    .request = 7, .id = "\"x-1\"", .model = "a.gguf", .timestamp_ms = 42,
    .time = "2026-01-02T03:04:05Z", .input_length = 5, .output_length = 9, .cached_tokens = 2,
    .ttft_ns = 111, .total_ns = 222, .stop = "eos"};

/* One of each record into path; the parsed lines, n of them. */
static int write_all(const char *path, const struct shape *s) {
    struct err e = {{0}};
    struct trace *t = trace_open(path, &e);
    if (!t)
        return -1;
    struct trace_run run = a_run(s);
    struct trace_step one = a_step(1), two = a_step(2);
    struct trace_request r = a_request;
    int bad = trace_run(t, &run, &e) | trace_step(t, &one, &e) | trace_step(t, &two, &e) |
              trace_request(t, &r, &e);
    r.id = NULL;
    r.ttft_ns = -1;
    bad |= trace_request(t, &r, &e);
    return bad | trace_close(t, &e);
}
#define RECORDS 5

static int parse(const char *path, cJSON **out, int max) {
    struct buf b = slurp(path);
    int n = 0;
    for (char *line = b.data; line && *line && n < max; n++) {
        char *end = strchr(line, '\n');
        CHECK(end);
        if (!end)
            break;
        *end = '\0';
        out[n] = cJSON_Parse(line);
        CHECK(out[n]);
        line = end + 1;
    }
    buf_free(&b);
    return n;
}

static const cJSON *get(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static double number(const cJSON *o, const char *key) {
    const cJSON *v = get(o, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static const char *text(const cJSON *o, const char *key) {
    return cJSON_GetStringValue(get(o, key));
}

static int read_all(const struct shape *s, cJSON **record) {
    CHECK_INT(write_all(in_dir("all.jsonl"), s), 0);
    int n = parse(in_dir("all.jsonl"), record, RECORDS + 1);
    CHECK_INT(n, RECORDS);
    return n == RECORDS;
}

static void delete_all(cJSON **record) {
    for (int i = 0; i < RECORDS; i++)
        cJSON_Delete(record[i]);
}

/* Value i of a field that is one number for all layers or an array. */
static int layer_value(const cJSON *shape, const char *key, int i) {
    const cJSON *v = get(shape, key);
    if (cJSON_IsArray(v))
        v = cJSON_GetArrayItem(v, i);
    CHECK(cJSON_IsNumber(v));
    return v ? v->valueint : -1;
}

static void run_record(void) {
    cJSON *r[RECORDS + 1] = {0};
    if (!read_all(&moe, r))
        return;
    CHECK_STR(text(r[0], "type"), "run");
    CHECK_STR(text(r[0], "model"), "Made \"up\"\n");
    CHECK_STR(text(r[0], "file"), "a \\ b.gguf");
    CHECK_STR(text(r[0], "kv_type"), "q8_0");
    CHECK_NEAR(number(r[0], "kv_bits"), 8.5, 0);
    CHECK_NEAR(number(r[0], "kv_token_bytes"), shape_kv_bytes(&moe, 8.5), 0);
    CHECK_STR(text(r[0], "seed"), "18446744073709551615");
    CHECK_NEAR(number(get(r[0], "settings"), "temperature"), 0.5, 0);
    const cJSON *s = get(r[0], "shape");
    CHECK_STR(text(s, "name"), "Made \"up\"\n");
    CHECK_NEAR(number(s, "params_active"), 65432, 0);
    CHECK(cJSON_IsNumber(get(s, "heads")));             /* all layers agree */
    CHECK_INT(cJSON_GetArraySize(get(s, "window")), 3); /* they do not */
    CHECK(cJSON_IsFalse(get(s, "tied")));
    delete_all(r);

    /* One layer is one number; a number that doubles cannot hold is a string. */
    if (!read_all(&dense, r))
        return;
    s = get(r[0], "shape");
    CHECK(cJSON_IsNumber(get(s, "dense_bytes")));
    CHECK_STR(text(s, "params"), "1152921504606846976");
    delete_all(r);
}

/* What llm-cost must be able to do: the costs of a pass from the first line alone. */
static void run_record_suffices(void) {
    cJSON *r[RECORDS + 1] = {0};
    if (!read_all(&moe, r))
        return;
    const cJSON *j = get(r[0], "shape");
    struct shape_layer layer[3];
    struct shape s = {.layer = layer, .layers = (int)number(j, "layers"),
                      .d_model = (int)number(j, "d_model"), .vocab = (int)number(j, "vocab"),
                      .shared_gate = cJSON_IsTrue(get(j, "shared_gate")),
                      .params = (int64_t)number(j, "params")};
    CHECK_INT(s.layers, 3);
    for (int i = 0; i < 3; i++) {
        layer[i] = (struct shape_layer){
            .heads = layer_value(j, "heads", i), .kv_heads = layer_value(j, "kv_heads", i),
            .dk = layer_value(j, "dk", i), .dv = layer_value(j, "dv", i),
            .window = layer_value(j, "window", i), .d_ff = layer_value(j, "d_ff", i),
            .experts = layer_value(j, "experts", i), .top_k = layer_value(j, "top_k", i),
            .d_expert = layer_value(j, "d_expert", i), .d_shared = layer_value(j, "d_shared", i)};
        CHECK_INT(layer_value(j, "dense_bytes", i), moe_dense[i]);
        CHECK_INT(layer_value(j, "expert_bytes", i), moe_expert[i]);
    }
    struct shape_flops a = {0}, b = {0};
    shape_add_row_flops(&moe, 40, 1, &a);
    shape_add_row_flops(&s, 40, 1, &b);
    CHECK(a.attention > 0 && a.dense > 0 && a.experts > 0 && a.head > 0);
    CHECK(!memcmp(&a, &b, sizeof a));
    CHECK_NEAR(shape_kv_read(&s, 5, 40, 8.5), shape_kv_read(&moe, 5, 40, 8.5), 0);
    CHECK_NEAR(shape_linear_flops(&s), shape_linear_flops(&moe), 0);
    delete_all(r);
}

static void step_record(void) {
    cJSON *r[RECORDS + 1] = {0};
    if (!read_all(&moe, r))
        return;
    CHECK_STR(text(r[1], "type"), "step");
    CHECK_STR(text(r[1], "phase"), "decode");
    CHECK_NEAR(number(r[1], "step"), 12, 0);
    CHECK_NEAR(number(r[1], "tokens"), 6, 0);
    CHECK_NEAR(number(r[1], "position"), 3, 0);
    CHECK_NEAR(number(r[1], "logits"), 2, 0);
    CHECK_NEAR(number(r[1], "start_ns"), 1000, 0);
    CHECK_NEAR(number(r[1], "ns"), 2000, 0);
    CHECK_NEAR(number(r[1], "flops_attention"), 1e6, 0);
    CHECK_NEAR(number(r[1], "flops_dense"), 2e6, 0);
    CHECK_NEAR(number(r[1], "flops_experts"), 3e6, 0);
    CHECK_NEAR(number(r[1], "flops_head"), 0.5e6, 0);
    CHECK_NEAR(number(r[1], "dense_read_bytes"), 4000, 0);
    CHECK_NEAR(number(r[1], "experts_read_bytes"), 5000, 0);
    CHECK_NEAR(number(r[1], "kv_read_bytes"), 1234.5, 0);
    CHECK_NEAR(number(r[1], "kv_write_bytes"), 68, 0);
    CHECK_NEAR(number(r[1], "experts_touched"), 7, 0);
    CHECK_INT(cJSON_GetArraySize(get(r[1], "experts_by_layer")), 3);
    CHECK_INT(cJSON_GetArrayItem(get(r[1], "experts_by_layer"), 2)->valueint, 4);
    /* A single request is named; several are listed. */
    CHECK_NEAR(number(r[1], "request"), 7, 0);
    CHECK(!get(r[1], "rows") && !get(r[1], "requests"));
    CHECK(!get(r[2], "request"));
    CHECK_STR(text(r[2], "phase"), "mixed");
    CHECK_NEAR(number(r[2], "requests"), 2, 0);
    const cJSON *row = cJSON_GetArrayItem(get(r[2], "rows"), 1);
    CHECK_NEAR(number(row, "request"), 8, 0);
    CHECK_STR(text(row, "phase"), "decode");
    CHECK_NEAR(number(row, "tokens"), 1, 0);
    CHECK_NEAR(number(row, "position"), 31, 0);
    delete_all(r);
}

static void dense_step_record(void) {
    struct trace *t = trace_open(in_dir("dense.jsonl"), NULL);
    struct trace_step step = a_step(1);
    cJSON *r[1] = {0};
    step.experts_touched = -1;
    step.phase = TRACE_PREFILL;
    step.flops.dense = 1e300;       /* no whole number of 64 bits */
    CHECK_INT(trace_step(t, &step, NULL), 0);
    CHECK_INT(trace_close(t, NULL), 0);
    CHECK_INT(parse(in_dir("dense.jsonl"), r, 1), 1);
    CHECK_STR(text(r[0], "phase"), "prefill");
    CHECK(!get(r[0], "experts_touched") && !get(r[0], "experts_by_layer"));
    CHECK_NEAR(number(r[0], "flops_dense"), 1e300, 0);
    cJSON_Delete(r[0]);
}

static void request_record(void) {
    cJSON *r[RECORDS + 1] = {0};
    if (!read_all(&moe, r))
        return;
    CHECK_STR(text(r[3], "type"), "request");
    CHECK_NEAR(number(r[3], "request"), 7, 0);
    CHECK_STR(text(r[3], "id"), "x-1");
    CHECK_STR(text(r[3], "model"), "a.gguf");
    CHECK_NEAR(number(r[3], "timestamp"), 42, 0);
    CHECK_STR(text(r[3], "time"), "2026-01-02T03:04:05Z");
    CHECK_NEAR(number(r[3], "input_length"), 5, 0);
    CHECK_NEAR(number(r[3], "output_length"), 9, 0);
    CHECK_NEAR(number(r[3], "cached_tokens"), 2, 0);
    CHECK_NEAR(number(r[3], "ttft_ns"), 111, 0);
    CHECK_NEAR(number(r[3], "total_ns"), 222, 0);
    CHECK_STR(text(r[3], "stop"), "eos");
    CHECK(!get(r[4], "id"));
    CHECK(cJSON_IsNull(get(r[4], "ttft_ns")));
    delete_all(r);
}

static void jq_reads_it(void) {
    if (system("command -v jq >/dev/null"))
        SKIP("jq is not installed");
    CHECK_INT(write_all(in_dir("jq.jsonl.zst"), &moe), 0);
    char command[512];
    snprintf(command, sizeof command,
             "zstd -dcq %s | jq -es 'length == %d and map(.type) == "
             "[\"run\",\"step\",\"step\",\"request\",\"request\"]' >/dev/null",
             in_dir("jq.jsonl.zst"), RECORDS);
    CHECK_INT(system(command), 0);
}

/* ---- streams ---------------------------------------------------------------------------- */

/* A FIFO with both ends open, so that nothing blocks; its reading end. */
static int fifo(const char *path) {
    unlink(path);
    if (mkfifo(path, 0600))
        return -1;
    return open(path, O_RDWR | O_NONBLOCK);
}

/* What is in the FIFO now, decompressed if it is zstd, appended to b. */
static void drain(int fd, ZSTD_DCtx *zstd, struct buf *b) {
    char raw[8192], plain[8192];
    ssize_t n = read(fd, raw, sizeof raw);
    if (n <= 0)
        return;
    if (!zstd) {
        buf_add(b, raw, (size_t)n);
        return;
    }
    ZSTD_inBuffer in = {raw, (size_t)n, 0};
    while (in.pos < in.size) {
        ZSTD_outBuffer out = {plain, sizeof plain, 0};
        size_t rc = ZSTD_decompressStream(zstd, &out, &in);
        CHECK(!ZSTD_isError(rc));
        if (ZSTD_isError(rc))
            return;
        buf_add(b, plain, out.pos);
    }
}

/* Every record can be read at the other end as soon as it was made. */
static void records_leave_at_once(const char *name) {
    const char *path = in_dir(name);
    int packed = strstr(name, ".zst") != NULL;
    int fd = fifo(path);
    CHECK(fd >= 0);
    struct trace *t = trace_open(path, NULL);
    ZSTD_DCtx *zstd = packed ? ZSTD_createDCtx() : NULL;
    struct trace_run run = a_run(&moe);
    for (int i = 0; i < 4; i++) {
        struct buf b = {0};
        struct trace_step step = a_step(1);
        step.step = (uint64_t)i;
        CHECK_INT(i ? trace_step(t, &step, NULL) : trace_run(t, &run, NULL), 0);
        drain(fd, zstd, &b);
        CHECK(b.len > 2 && !memcmp(b.data + b.len - 2, "}\n", 2));
        const char *start = i ? "{\"type\":\"step\"" : "{\"type\":\"run\"";
        CHECK(b.len > 2 && !strncmp(b.data, start, strlen(start)));
        buf_free(&b);
    }
    CHECK_INT(trace_close(t, NULL), 0);
    ZSTD_freeDCtx(zstd);
    close(fd);
}

static void full_disk(void) {
    if (access("/dev/full", W_OK))
        SKIP("no /dev/full");
    struct err e = {{0}};
    struct trace *t = trace_open("/dev/full", &e);
    struct trace_step step = a_step(1);
    CHECK(t);
    CHECK_INT(trace_step(t, &step, &e), -1);
    CHECK(strstr(e.text, "/dev/full"));
    CHECK_INT(trace_close(t, &e), -1);
    CHECK(!routes_open("/dev/full", &moe, &e));
    CHECK(strstr(e.text, "/dev/full"));
}

static void aborted_runs_leave_nothing(void) {
    struct trace_step step = a_step(1);
    struct trace *t = trace_open(in_dir("gone.jsonl"), NULL);
    CHECK_INT(trace_step(t, &step, NULL), 0);
    trace_abort(t);
    trace_abort(NULL);
    CHECK(access(in_dir("gone.jsonl"), F_OK));
    struct routes *r = routes_open(in_dir("gone.npy"), &moe, NULL);
    routes_abort(r);
    routes_abort(NULL);
    CHECK(access(in_dir("gone.npy"), F_OK));
    struct err e = {{0}};
    CHECK(!trace_open(in_dir("no/such/folder"), &e));
    CHECK(strstr(e.text, "no/such/folder"));
}

/* ---- routes ----------------------------------------------------------------------------- */

#define MODEL_DTYPE \
    "[('model', 'S64'), ('layers', '<u4'), ('experts', '<u4'), ('k', '<u4'), " \
    "('layer_index', '<u4', (2,)), ('expert_bytes', '<u8', (2,)), ('dense_bytes', '<u8', (2,))]"
#define PASS_DTYPE \
    "[('request', '<u4'), ('step', '<u4'), ('phase', '|u1'), ('accepted', '|u1'), " \
    "('position', '<u4'), ('token', '<i4'), ('expert', '<i2', (2, 2)), ('weight', '<f4', (2, 2))]"

/* A pass of two rows and one of one, through 2 layers with 2 experts chosen of 6. */
static int write_routes(const char *path) {
    static const uint32_t request[2] = {7, 8};
    static const uint8_t phase[2] = {TRACE_PREFILL, TRACE_DECODE};
    static const int32_t position[2] = {0, 300};
    static const int32_t token[2] = {65, 262143};
    static const int32_t expert[8] = {5, 0, 1, 2, 3, 4, -1, -1};
    static const float weight[8] = {0.75f, 0.25f, 0.5f, 0.5f, 1, 0, 0, 0};
    struct routes_pass p = {.n = 2, .step = 9, .request = request, .phase = phase,
                            .position = position, .token = token, .expert = expert,
                            .weight = weight};
    struct routes *r = routes_open(path, &moe, NULL);
    if (!r)
        return -1;
    int bad = routes_pass(r, &p, NULL);
    p.n = 0;
    bad |= routes_pass(r, &p, NULL);        /* nothing ran, nothing is written */
    p.n = 1;
    p.step = 10;
    bad |= routes_pass(r, &p, NULL);
    return bad | routes_close(r, NULL);
}

/* The array at *at: its header must be as numpy.save writes it. Leaves *at at the data. */
static void npy_header(const struct buf *b, size_t *at, const char *dtype, int n) {
    char want[512];
    snprintf(want, sizeof want, "{'descr': %s, 'fortran_order': False, 'shape': (%d,), }", dtype,
             n);
    const unsigned char *p = (const unsigned char *)b->data + *at;
    CHECK(*at + 10 < b->len && !memcmp(p, "\x93NUMPY\x01\x00", 8));
    size_t len = p[8] | (size_t)p[9] << 8;
    CHECK_INT((10 + len) % 64, 0);
    CHECK(*at + 10 + len <= b->len);
    if (*at + 10 + len > b->len)
        exit(EXIT_FAILURE);
    CHECK(!memcmp(p + 10, want, strlen(want)));
    CHECK_INT(p[10 + len - 1], '\n');
    *at += 10 + len;
}

static int64_t little(const struct buf *b, size_t *at, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes && *at + (size_t)i < b->len; i++)
        v |= (uint64_t)(unsigned char)b->data[*at + (size_t)i] << (8 * i);
    *at += (size_t)bytes;
    return bytes == 2 ? (int16_t)v : bytes == 4 ? (int32_t)v : (int64_t)v;
}

static void model_array(const struct buf *b, size_t *at) {
    static const int64_t want[] = {2, 6, 2, 1, 2};
    static const int64_t bytes[] = {400, 500, 2000, 3000};
    npy_header(b, at, MODEL_DTYPE, 1);
    char name[64] = "Made \"up\"\n";
    CHECK(!memcmp(b->data + *at, name, sizeof name));
    *at += sizeof name;
    for (int i = 0; i < 5; i++)
        CHECK_INT(little(b, at, 4), want[i]);
    for (int i = 0; i < 4; i++)
        CHECK_INT(little(b, at, 8), bytes[i]);
}

static void row(const struct buf *b, size_t *at, const int64_t *head, const int64_t *expert,
                const float *weight) {
    static const int width[] = {4, 4, 1, 1, 4, 4};
    for (int i = 0; i < 6; i++)
        CHECK_INT(little(b, at, width[i]), head[i]);
    for (int i = 0; i < 4; i++)
        CHECK_INT(little(b, at, 2), expert[i]);
    CHECK(!memcmp(b->data + *at, weight, 16));
    *at += 16;
}

static void route_bytes(void) {
    CHECK_INT(write_routes(in_dir("routes.npy")), 0);
    struct buf b = slurp(in_dir("routes.npy"));
    static const int64_t expert[2][4] = {{5, 0, 1, 2}, {3, 4, -1, -1}};
    static const float weight[2][4] = {{0.75f, 0.25f, 0.5f, 0.5f}, {1, 0, 0, 0}};
    size_t at = 0;
    model_array(&b, &at);
    npy_header(&b, &at, PASS_DTYPE, 2);
    row(&b, &at, (int64_t[]){7, 9, 0, 1, 0, 65}, expert[0], weight[0]);
    row(&b, &at, (int64_t[]){8, 9, 1, 1, 300, 262143}, expert[1], weight[1]);
    npy_header(&b, &at, PASS_DTYPE, 1);
    row(&b, &at, (int64_t[]){7, 10, 0, 1, 0, 65}, expert[0], weight[0]);
    CHECK_INT(at, b.len);
    buf_free(&b);
}

static void dense_models_have_no_routes(void) {
    struct err e = {{0}};
    CHECK(!routes_open(in_dir("none.npy"), &dense, &e));
    CHECK(strstr(e.text, "expected a model with experts, found dense"));
    CHECK(access(in_dir("none.npy"), F_OK));
}

/* numpy.load in a loop on the file, read_array on the decompressing pipe (which must not look
 * like a file to NumPy, or it seeks). */
static void numpy_reads_it(void) {
    static const char script[] =
        "import sys, types, numpy as np\n"
        "def arrays(f):\n"
        "    while f.peek(1): yield np.load(f)\n"
        "def piped(f):\n"
        "    while True:\n"
        "        try: yield np.lib.format.read_array(f)\n"
        "        except ValueError: return\n"
        "a = list(arrays(open(sys.argv[1], 'rb')))\n"
        "b = list(piped(types.SimpleNamespace(read=sys.stdin.buffer.read)))\n"
        "assert len(a) == len(b) == 3\n"
        "assert all((x == y).all() for x, y in zip(a, b))\n"
        "m, p = a[0][0], a[1]\n"
        "assert m['model'] == b'Made \"up\"\\n' and m['experts'] == 6 and m['k'] == 2\n"
        "assert m['layer_index'].tolist() == [1, 2]\n"
        "assert m['expert_bytes'].tolist() == [400, 500]\n"
        "assert m['dense_bytes'].tolist() == [2000, 3000]\n"
        "assert p['token'].tolist() == [65, 262143] and p['position'].tolist() == [0, 300]\n"
        "assert p['expert'].tolist() == [[[5, 0], [1, 2]], [[3, 4], [-1, -1]]]\n"
        "assert p['weight'][0].tolist() == [[0.75, 0.25], [0.5, 0.5]]\n"
        "assert a[2]['step'].tolist() == [10] and p['accepted'].all()\n";
    if (system("${PYTHON:-python3} -c 'import numpy' 2>/dev/null"))
        SKIP("python3 with numpy is not installed");
    FILE *f = fopen(in_dir("check.py"), "w");
    fputs(script, f);
    fclose(f);
    CHECK_INT(write_routes(in_dir("routes.npy")), 0);
    CHECK_INT(write_routes(in_dir("routes.npy.zst")), 0);
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && zstd -dcq routes.npy.zst | ${PYTHON:-python3} check.py routes.npy", dir);
    CHECK_INT(system(command), 0);
}

/* ---- the manual page -------------------------------------------------------------------- */

#define PAGE "man/llm-trace.5"
#define BLOCK ".Bd -literal -offset indent\n"

/* Runs the page's indented examples that begin with `first` (jq, zstd, import) through `command`,
 * in a folder with the files that they name. Returns how many there are. */
static int run_examples(const char *first, const char *command) {
    struct buf page = slurp(PAGE);
    int found = 0;
    CHECK(page.data);
    for (char *at = page.data; at && (at = strstr(at, BLOCK)); at++) {
        char *end = strstr(at, "\n.Ed");
        char *body = at + strlen(BLOCK);
        if (!end || strncmp(body, first, strlen(first)))
            continue;
        FILE *f = fopen(in_dir("example"), "w");
        for (char *p = body; p < end; p++) {
            int quote = !strncmp(p, "\\(dq", 4);
            putc(quote ? '"' : *p, f);
            p += quote ? 3 : 0;
        }
        fclose(f);
        char line[512];
        snprintf(line, sizeof line, "cd %s && cat routes.npy | %s example > example.out && "
                 "test -s example.out", dir, command);
        CHECK_INT(system(line), 0);
        found++;
    }
    buf_free(&page);
    return found;
}

static void manual_examples_jq(void) {
    if (system("command -v jq >/dev/null"))
        SKIP("jq is not installed");
    CHECK_INT(write_all(in_dir("run.jsonl"), &moe), 0);
    CHECK_INT(write_all(in_dir("run.jsonl.zst"), &moe), 0);
    CHECK_INT(write_routes(in_dir("routes.npy")), 0);
    CHECK_INT(run_examples("jq ", "sh"), 2);
    CHECK_INT(run_examples("zstd ", "sh"), 1);
}

static void manual_examples_numpy(void) {
    if (system("${PYTHON:-python3} -c 'import numpy' 2>/dev/null"))
        SKIP("python3 with numpy is not installed");
    CHECK_INT(write_routes(in_dir("routes.npy")), 0);
    CHECK_INT(run_examples("import ", "${PYTHON:-python3}"), 2);
}

int main(void) {
    if (!mkdtemp(dir))
        return EXIT_FAILURE;
    RUN(run_record);
    RUN(run_record_suffices);
    RUN(step_record);
    RUN(dense_step_record);
    RUN(request_record);
    RUN(jq_reads_it);
    RUN_NAMED("records leave at once, plain", records_leave_at_once("pipe.jsonl"));
    RUN_NAMED("records leave at once, zstd", records_leave_at_once("pipe.jsonl.zst"));
    RUN(full_disk);
    RUN(aborted_runs_leave_nothing);
    RUN(route_bytes);
    RUN(dense_models_have_no_routes);
    RUN(numpy_reads_it);
    RUN(manual_examples_jq);
    RUN(manual_examples_numpy);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) ? EXIT_FAILURE : check_done();
}
