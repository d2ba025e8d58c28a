/* bench_model.c - llm-bench model: prefill and decode of a model file, test by test
 *
 * The command line, and a row for each test. bench_model_run.c says what is inside the clock,
 * bench_peer.c how a peer's tests take turns with ours.
 */
#include "cmd/bench_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/model_path.h"
#include "lib/stat/order.h"

static const char *const usage[] = {
    "usage: llm-bench model -m MODEL [OPTION]...\n"
    "       llm-bench model -m MODEL [OPTION]... --peer COMMAND\n"
    "Times prefill and decode of a GGUF model as llama-bench does; a row for each test: tokens a\n"
    "second, and what a token took: operations, bytes, shares of the machine's limits, joules.\n\n"
    "Model\n"
    "  -m, --model FILE       GGUF file, first part of a split one, or http(s) address\n"
    "      --sha256 HEX       what a fetched file must hash to\n"
    "      --kv-type TYPE     of the KV cache: f16, f32 or q8_0 (default f16)\n"
    "      --no-pack          run weights in the file's layout (slower, less memory)\n"
    "      --cpu NAME         instruction set: ref, avx2 or avx512 (default: the best)\n"
    "Tests (LIST: numbers joined by commas; may be given more than once)\n"
    "  -p, --prompt LIST      tokens of a prompt, prefill; 0: none (default 512)\n"
    "  -n, --tokens LIST      tokens to decode one by one; 0: none (default 128)\n"
    "      --pg P,N           prefill of P, then decode of N, in one clock\n"
    "  -d, --depth LIST       tokens that the KV cache holds before (default 0)\n"
    "      --parallel LIST    sequences that decode together, a row each in a pass (default 1)\n"
    "  -b, --batch LIST       most rows of a pass of prefill, llama-bench's -ub (default 512)\n"
    "  -t, --threads LIST     threads (default: one per core that this process may use)\n"
    "  -r, --repeat N         repetitions of each test (default 6, the fewest with an interval)\n"
    "Limits\n"
    "      --device PROFILE   shares of what a device profile says; none: no shares (default: of\n"
    "                         limits measured now)\n"
    "Peer\n"
    "      --peer COMMAND     runs COMMAND (llama-bench -o json, or llm-bench model --json) and\n"
    "                         these tests in turn; a row for each test of both: ours / peer\n"
    "      --pairs N          times that both run (default 5)\n",
    FIELDS_USAGE
    "      --no-hash          leave the model's SHA-256 out of the rows\n"
    "General\n"
    "  -h, --help             -V, --version\n",
    NULL};

enum {
    OPT_SHA256 = OPT_FIRST_FREE, OPT_KV_TYPE, OPT_NO_PACK, OPT_PG, OPT_PARALLEL, OPT_DEVICE,
    OPT_PEER, OPT_PAIRS, OPT_NO_HASH
};

#define MOST_TOKENS (1 << 24)       /* of one test; more does not end */

/* ---- the command line --------------------------------------------------------------------- */

static const char *const kv_names[] = {"f16", "f32", "q8_0", NULL};
static const int kv_types[] = {KERN_F16, KERN_F32, KERN_Q8_0};

const char *model_bench_kv_name(int kv_type) {
    int i = 0;
    while (kv_types[i] != kv_type)
        i++;
    return kv_names[i];
}

static void take_pair(struct numbers *pair, const char *arg) {
    struct numbers two = {0};
    numbers_parse(&two, "--pg", arg, 1, MOST_TOKENS);
    if (two.n != 2)
        usage_die("--pg: '%s': expected two lengths, as in 512,128", arg);
    numbers_add(pair, two.v[0]);
    numbers_add(pair, two.v[1]);
    free(two.v);
}

static void take_option(struct model_bench *b, int c, const char *arg) {
    switch (c) {
    case 'm': b->model = arg; break;
    case 'p': numbers_parse(&b->prompt, "--prompt", arg, 0, MOST_TOKENS); break;
    case 'n': numbers_parse(&b->decode, "--tokens", arg, 0, MOST_TOKENS); break;
    case 'd': numbers_parse(&b->depth, "--depth", arg, 0, MOST_TOKENS); break;
    case 'b': numbers_parse(&b->batch, "--batch", arg, 1, 1 << 16); break;
    case 't': numbers_parse(&b->threads, "--threads", arg, 1, 1024); break;
    case 'r': b->repeat = (int)arg_int("--repeat", arg, 1, 100000); break;
    case OPT_PARALLEL: numbers_parse(&b->parallel, "--parallel", arg, 1, 1 << 16); break;
    case OPT_PG: take_pair(&b->pair, arg); break;
    case OPT_SHA256: b->sha256 = arg; break;
    case OPT_KV_TYPE:
        b->kv_type = kv_types[arg_choice("--kv-type", arg, kv_names)];
        break;
    case OPT_NO_PACK: b->no_pack = 1; break;
    case OPT_NO_HASH: b->no_hash = 1; break;
    case OPT_DEVICE: b->device_name = arg; break;
    case OPT_PEER: b->peer = arg; break;
    case OPT_PAIRS: b->pairs = (int)arg_int("--pairs", arg, 1, 10000); break;
    default: break;
    }
}

static const struct kern *find_kernels(const char *cpu) {
    const char *why = NULL;
    const struct kern *k = kern_select(cpu, &why);
    if (!k)
        usage_die("%s '%s': %s", cpu ? "--cpu" : "LLM_CPU", cpu ? cpu : getenv("LLM_CPU"), why);
    return k;
}

static struct device *find_device(const char *name) {
    struct err err;
    struct device *d = device_find(name, &err);
    if (!d)
        die_err(&err);
    return d;
}

static void or_default(struct numbers *l, int64_t v) {
    if (!l->n)
        numbers_add(l, v);
}

static int default_threads(void) {
    struct par *par = par_new(0);
    int n = par_threads(par);
    par_free(par);
    return n;
}

static void parse(struct model_bench *b, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, {"model", required_argument, NULL, 'm'},
        {"sha256", required_argument, NULL, OPT_SHA256},
        {"kv-type", required_argument, NULL, OPT_KV_TYPE},
        {"no-pack", no_argument, NULL, OPT_NO_PACK}, {"no-hash", no_argument, NULL, OPT_NO_HASH},
        {"prompt", required_argument, NULL, 'p'}, {"tokens", required_argument, NULL, 'n'},
        {"pg", required_argument, NULL, OPT_PG}, {"depth", required_argument, NULL, 'd'},
        {"parallel", required_argument, NULL, OPT_PARALLEL},
        {"batch", required_argument, NULL, 'b'}, {"repeat", required_argument, NULL, 'r'},
        {"device", required_argument, NULL, OPT_DEVICE},
        {"peer", required_argument, NULL, OPT_PEER}, {"pairs", required_argument, NULL, OPT_PAIRS},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "m:p:n:d:b:r:" COMMON_SHORT, longs, NULL)) != -1)
        if (c == 't' || (!common_option(c, optarg, &b->common, usage) &&
                         !fields_option(c, optarg, &b->common)))
            take_option(b, c, optarg);
    if (optind < argc)
        usage_die("'%s': expected options only (the model is -m FILE)", argv[optind]);
    if (!b->model)
        usage_die("no model: -m FILE");
    or_default(&b->prompt, 512);
    or_default(&b->decode, 128);
    or_default(&b->depth, 0);
    or_default(&b->parallel, 1);
    or_default(&b->batch, 512);
    or_default(&b->threads, default_threads());
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"tokens", FIELD_COUNT, 1}, {"depth", FIELD_COUNT, 1}, {"parallel", FIELD_COUNT, 1},
    {"batch", FIELD_COUNT, 1}, {"threads", FIELD_COUNT, 1}, {"sequence_tps", 2, 1},
    {"ns_per_token", FIELD_WHOLE, 1}, {"flops_per_token", FIELD_WHOLE, 0},
    {"weight_bytes_per_token", FIELD_WHOLE, 0}, {"dense_bytes_per_token", FIELD_WHOLE, 1},
    {"expert_bytes_per_token", FIELD_WHOLE, 1}, {"kv_read_bytes_per_token", FIELD_WHOLE, 1},
    {"kv_write_bytes_per_token", FIELD_WHOLE, 1}, {"read_share", 3, 0}, {"compute_share", 3, 0},
    {"bound", FIELD_TEXT, 0}, {"limit_read_bytes_per_s", FIELD_WHOLE, 1},
    {"limit_flops_per_s", FIELD_WHOLE, 1}, {"compute_type", FIELD_TEXT, 1},
    {"joules_per_token", 4, 0}, {"load_s", 3, 1}, {"kv_bytes", FIELD_COUNT, 1},
    {"peak_bytes", FIELD_COUNT, 1}, {"model", FIELD_TEXT, 1}, {"quant", FIELD_TEXT, 1},
    {"params", FIELD_COUNT, 1}, {"params_active", FIELD_COUNT, 1}, {"kv_type", FIELD_TEXT, 1},
    {"kernels", FIELD_TEXT, 1}};

#define FIELDS ((int)(sizeof fields / sizeof *fields))

/* Which limit a test comes closer to. */
static const char *bound(double read, double compute) {
    return isnan(read) || isnan(compute) ? NULL : read > compute ? "memory" : "compute";
}

/* Sums over all repetitions, for one token. */
static struct value per_token(const struct model_result *r, double sum) {
    return (struct value){.number = round(sum / (double)r->tokens)};
}

static void print_row(struct rows *rows, const struct model_engine *e,
                      const struct model_test *t, const struct model_result *r,
                      const struct model_limits *l) {
    const struct shape *s = e->model->shape;
    const struct shape_bytes *b = &r->bytes;
    double tps = order_median(r->tps, (size_t)r->n);
    double flops = shape_sum_flops(&r->flops);
    double weights = b->dense + b->experts;
    double rate = tps / (double)r->tokens;      /* of all that was done, a second */
    double read = rate * (weights + b->kv_read) / l->read_bytes_per_s;
    double compute = rate * flops / l->flops_per_s;
    const struct value v[] = {
        {.count = t->prompt + t->decode}, {.count = t->depth}, {.count = t->parallel},
        {.count = t->batch}, {.count = t->threads}, {.number = tps / t->parallel},
        {.number = round(1e9 / tps)}, per_token(r, flops), per_token(r, weights),
        per_token(r, b->dense), per_token(r, b->experts), per_token(r, b->kv_read),
        per_token(r, b->kv_write), {.number = read}, {.number = compute},
        {.text = bound(read, compute)}, {.number = round(l->read_bytes_per_s)},
        {.number = round(l->flops_per_s)}, {.text = l->type},
        {.number = r->joules / (double)r->tokens}, {.number = (double)e->model->load_ns / 1e9},
        {.count = r->kv_bytes}, {.count = r->peak_bytes}, {.text = s->name}, {.text = s->quant},
        {.count = s->params}, {.count = s->params_active},
        {.text = model_bench_kv_name(e->bench->kv_type)}, {.text = e->bench->kern->name}};
    _Static_assert(sizeof v / sizeof *v == sizeof fields / sizeof *fields, "a value a field");
    rows_row(rows, &(struct measure){.name = t->name, .unit = "tok/s", .better = SERIES_HIGHER,
                                     .sample = r->tps, .n = (size_t)r->n}, v);
}

void model_bench_hash(struct rows *rows, const struct model_bench *b) {
    struct err err;
    const char *part;
    if (b->no_hash)
        return;
    struct gguf *g = gguf_open(b->path, &err);
    if (!g)
        die_err(&err);
    for (int i = 0; (part = gguf_part_path(g, i)); i++)
        rows_file(rows, part);
    gguf_close(g);
}

static int run_tests(const struct model_bench *b, const struct model_test *test, int n, int argc,
                     char **argv) {
    struct rows rows;
    struct model_engine e;
    struct limits *all = model_limits_measure(b);
    engine_load(&e, b, test, n);
    rows_open(&rows, fields, FIELDS, &b->common, argc, argv);
    model_bench_hash(&rows, b);         /* nothing is measured yet */
    for (int i = 0; i < n; i++) {
        struct model_limits l = model_limits(b, all, test[i].threads, e.model);
        struct model_result r;
        engine_test(&e, &test[i], &r);
        progress_end(&e.bar);
        print_row(&rows, &e, &test[i], &r, &l);
        free(r.tps);
    }
    rows_close(&rows);
    engine_free(&e);
    free(all);
    return EXIT_DONE;
}

int bench_model(int argc, char **argv) {
    struct model_bench b = {.repeat = 6, .kv_type = KERN_F16, .pairs = 5};
    int n;
    parse(&b, argc, argv);
    struct model_test *test = model_tests(&b, &n);
    if (!n)
        usage_die("no tests: -p and -n are both 0");
    b.kern = find_kernels(b.common.cpu);
    b.no_limits = b.device_name && !strcmp(b.device_name, "none");
    struct device *device = b.device_name && !b.no_limits ? find_device(b.device_name) : NULL;
    b.device = device;
    b.path = model_path(b.model, b.sha256, b.common.quiet);
    model_bench_check(&b, test, n);
    int status = b.peer ? bench_peer(&b, test, n, argc, argv)
                        : run_tests(&b, test, n, argc, argv);
    struct numbers *lists[] = {&b.prompt, &b.decode, &b.depth, &b.parallel, &b.batch, &b.threads,
                               &b.pair};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        free(lists[i]->v);
    device_free(device);
    free(test);
    free(b.path);
    return status;
}
