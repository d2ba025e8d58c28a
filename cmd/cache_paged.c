/* cache_paged.c - llm-cache paged: what paging the KV cache buys over contiguous allocation */
#include "cmd/cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/fields.h"
#include "cmd/progress.h"
#include "lib/base/num.h"
#include "lib/cache/paged.h"

static const char *const usage[] = {
    "usage: llm-cache paged [OPTION]... [TRACE]\n"
    "Serves the requests of a trace, by their times and lengths, from KV memory that is allocated\n"
    "in one piece or in blocks; a row for each way.\n\n"
    "Memory\n"
    "      --scheme LIST      max, pow2 and oracle: in one piece for the longest sequence, the\n"
    "                         output's next power of two, the true length; paged: in blocks\n"
    "                         (default all)\n"
    "      --block LIST       tokens of a block of paged (default 1,8,16,32,64,128)\n"
    "      --memory SIZE      tokens (500K, 2Mtok), bytes (64GiB, needs --shape) or inf (default)\n"
    "      --allocator NAME   of pieces: buddy or first-fit (default buddy)\n"
    "      --max-length N     tokens that max reserves (default: the longest of the trace)\n"
    "      --watermark X      share of the blocks that an admission leaves free (default 0.01)\n"
    "Engine\n"
    "      --tps X            tokens a second of each sequence (default 30)\n"
    "      --prefill-tps X    prompt tokens a second of all together, or inf (default 10000)\n"
    "      --max-batch N      sequences that run at once (default: as many as fit)\n"
    "Report\n"
    "      --json             JSON Lines in place of a table\n"
    "  -v, --verbose          every column on a terminal too\n",
    CACHE_TRACE_USAGE,
    CACHE_MODEL_USAGE,
    "General\n"
    "  -q, --quiet            no progress bar, fewer warnings\n"
    "  -h, --help             -V, --version\n",
    NULL};

enum {
    OPT_SCHEME = OPT_VERB, OPT_BLOCK, OPT_MEMORY, OPT_ALLOCATOR, OPT_MAX_LENGTH, OPT_WATERMARK,
    OPT_TPS, OPT_PREFILL_TPS, OPT_MAX_BATCH
};

struct options {
    struct common common;
    struct cache_trace in;
    struct cache_model model;
    const char *schemes, *blocks, *memory;
    int first_fit;
    int64_t max_length, max_batch;
    double watermark, tps, prefill_tps;
};

static double take_rate(const char *option, const char *arg) {
    return strcmp(arg, "inf") ? arg_float(option, arg, 1e-6, 1e9) : INFINITY;
}

static void take_option(struct options *o, int c, const char *arg) {
    static const char *const allocators[] = {"buddy", "first-fit", NULL};
    switch (c) {
    case OPT_SCHEME: o->schemes = arg; break;
    case OPT_BLOCK: o->blocks = arg; break;
    case OPT_MEMORY: o->memory = arg; break;
    case OPT_ALLOCATOR: o->first_fit = arg_choice("--allocator", arg, allocators); break;
    case OPT_MAX_LENGTH:
        o->max_length = arg_size("--max-length", arg, 1, PAGED_MOST_TOKENS);
        break;
    case OPT_WATERMARK: o->watermark = arg_float("--watermark", arg, 0, 1); break;
    case OPT_TPS: o->tps = arg_float("--tps", arg, 1e-6, 1e6); break;
    case OPT_PREFILL_TPS: o->prefill_tps = take_rate("--prefill-tps", arg); break;
    case OPT_MAX_BATCH: o->max_batch = arg_size("--max-batch", arg, 1, INT64_MAX); break;
    default: break;
    }
}

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, CACHE_TRACE_LONG, CACHE_MODEL_LONG,
        {"scheme", required_argument, NULL, OPT_SCHEME},
        {"block", required_argument, NULL, OPT_BLOCK},
        {"memory", required_argument, NULL, OPT_MEMORY},
        {"allocator", required_argument, NULL, OPT_ALLOCATOR},
        {"max-length", required_argument, NULL, OPT_MAX_LENGTH},
        {"watermark", required_argument, NULL, OPT_WATERMARK},
        {"tps", required_argument, NULL, OPT_TPS},
        {"prefill-tps", required_argument, NULL, OPT_PREFILL_TPS},
        {"max-batch", required_argument, NULL, OPT_MAX_BATCH},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !cache_trace_option(c, optarg, &o->in)
            && !cache_model_option(c, optarg, &o->model))
            take_option(o, c, optarg);
    cache_trace_operand(argc, argv, usage, &o->in);
    cache_model_ready(&o->model);
}

/* ---- what the words of the command line mean -------------------------------------------- */

/* Not cache_sizes: blocks of a trace are no unit here, and there may be none. */
static int64_t memory_tokens(const struct options *o) {
    char *number = mem_strdup(o->memory);
    int64_t n = -1;
    if (!strcmp(number, "inf")) {
        n = PAGED_MOST_TOKENS;
    } else if (arg_take_off(number, "B")) {
        if (!o->model.shape)
            usage_die("--memory: '%s': a size in bytes needs --shape", o->memory);
        if (!num_size(number, 1, INT64_MAX, &n))
            n = (int64_t)((double)n / o->model.token_bytes);
    } else {
        arg_take_off(number, "tok");
        if (num_size(number, 1, PAGED_MOST_TOKENS, &n))
            n = -1;
    }
    free(number);
    if (n < 1 || n > PAGED_MOST_TOKENS)
        usage_die("--memory: '%s': expected room for 1 to %lld tokens: tokens (500K, 2Mtok), "
                  "bytes (64GiB) or inf", o->memory, (long long)PAGED_MOST_TOKENS);
    return n;
}

/* Prompt tokens of a pass, 0 for no limit. */
static int64_t pass_tokens(const struct options *o) {
    double n = o->prefill_tps / o->tps;
    if (n >= (double)PAGED_MOST_TOKENS)
        return 0;
    return n < 1 ? 1 : (int64_t)(n + 0.5);
}

struct ways {
    struct paged_setup *setup;
    int n;
};

static void add_way(struct ways *w, struct paged_setup s) {
    w->setup = mem_grow(w->setup, (size_t)w->n + 1, sizeof *w->setup);
    w->setup[w->n++] = s;
}

static void add_blocks(struct ways *w, const struct options *o, struct paged_setup s) {
    char *text = mem_strdup(o->blocks);
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++) {
        s.block_tokens = arg_size("--block", part[i], 1, PAGED_MOST_TOKENS);
        s.spare_blocks = (int64_t)(o->watermark * (double)(s.memory_tokens / s.block_tokens));
        add_way(w, s);
    }
    free(part);
    free(text);
}

static struct ways find_ways(const struct options *o) {
    struct ways w = {0};
    struct paged_setup s = {.first_fit = o->first_fit, .memory_tokens = memory_tokens(o),
                            .max_tokens = o->max_length, .most_running = o->max_batch,
                            .decode_tps = o->tps, .prefill_tokens = pass_tokens(o)};
    char *text = mem_strdup(o->schemes);
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++) {
        s.scheme = (enum paged_scheme)arg_choice("--scheme", part[i], paged_scheme_names());
        if (s.scheme == PAGED_BLOCKS)
            add_blocks(&w, o, s);
        else
            add_way(&w, s);
    }
    free(part);
    free(text);
    return w;
}

/* ---- the trace -------------------------------------------------------------------------- */

struct lengths {
    struct paged_request *request;
    int64_t n, cap;
    int64_t longest;            /* input and output */
    int64_t silent;             /* records that do not say their output */
};

static void add_record(struct lengths *l, const struct cache_trace *in, const struct req *q) {
    if (q->input_tokens == REQS_UNKNOWN)
        die("%s:%lld: expected a record with its input length, found one without",
            input_name(in->path), (long long)q->line);
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 1024;
        l->request = mem_grow(l->request, (size_t)l->cap, sizeof *l->request);
    }
    l->silent += q->output_tokens == REQS_UNKNOWN;
    int64_t output = q->output_tokens == REQS_UNKNOWN ? 0 : q->output_tokens;
    int64_t both = q->input_tokens + output;
    l->request[l->n++] = (struct paged_request){q->time_ns, q->input_tokens, output};
    l->longest = both > l->longest ? both : l->longest;
}

static struct lengths load_lengths(const struct options *o) {
    struct lengths l = {0};
    struct progress bar;
    struct req q;
    struct err err = {{0}};
    int got;
    struct reqs *r = reqs_open(o->in.path, &o->in.reqs, &err);
    if (!r)
        die_err(&err);
    progress_start(&bar, "reading", PROGRESS_BYTES, o->common.quiet);
    while ((got = reqs_next(r, &q, &err)) == 1) {
        add_record(&l, &o->in, &q);
        progress_update(&bar, reqs_totals(r)->bytes, -1);
    }
    progress_end(&bar);
    if (got < 0)
        die_err(&err);
    cache_trace_warn(&o->in, reqs_totals(r), o->common.quiet);
    if (l.n && !reqs_totals(r)->timed && !o->common.quiet)
        warn("%s: no request has a timestamp: all come at once", input_name(o->in.path));
    reqs_close(r);
    if (l.silent && !o->common.quiet)
        warn("%s: %lld requests do not say their output length: counted as 0",
             input_name(o->in.path), (long long)l.silent);
    return l;
}

/* ---- rows ------------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"scheme", FIELD_TEXT, 0}, {"block_tokens", FIELD_WHOLE, 0}, {"memory_tokens", FIELD_WHOLE, 1},
    {"requests", FIELD_WHOLE, 0}, {"refused", FIELD_WHOLE, 0}, {"max_batch", FIELD_WHOLE, 0},
    {"mean_batch", 2, 0}, {"peak_tokens", FIELD_WHOLE, 0}, {"peak_bytes", FIELD_WHOLE, 1},
    {"mean_tokens", 1, 1}, {"used_share", 4, 0}, {"reserved_share", 4, 0},
    {"internal_share", 4, 0}, {"external_share", 4, 0}, {"waste_tokens_per_sequence", 2, 1},
    {"stranded_share", 4, 0}, {"queue_mean_s", 3, 0}, {"queue_p50_s", 3, 1},
    {"queue_p99_s", 3, 0}, {"queue_max_s", 3, 1}, {"preemptions", FIELD_WHOLE, 0},
    {"recomputed_tokens", FIELD_WHOLE, 1}, {"busy_s", 3, 1}, {"makespan_s", 3, 0},
    {"output_tps", 2, 0}};

#define FIELDS ((int)(sizeof fields / sizeof *fields))

static void print_way(struct fields *f, const struct options *o, const struct paged_setup *s,
                      const struct paged_result *r) {
    double waste = r->mean_reserved + r->mean_internal + r->mean_external;
    double taken = r->mean_used + waste;
    int blocks = s->scheme == PAGED_BLOCKS;
    struct value v[] = {
        {.text = paged_scheme_names()[s->scheme]},
        {.number = blocks ? (double)s->block_tokens : NAN},
        {.number = s->memory_tokens == PAGED_MOST_TOKENS ? NAN : (double)s->memory_tokens},
        {.number = (double)r->requests}, {.number = (double)r->refused},
        {.number = (double)r->most_running}, {.number = r->mean_running},
        {.number = (double)r->most_taken},
        {.number = o->model.shape ? ceil((double)r->most_taken * o->model.token_bytes) : NAN},
        {.number = taken}, {.number = r->mean_used / taken}, {.number = r->mean_reserved / taken},
        {.number = r->mean_internal / taken}, {.number = r->mean_external / taken},
        {.number = waste / r->mean_running},
        {.number = r->mean_stranded / (double)s->memory_tokens}, {.number = r->queue_mean_s},
        {.number = r->queue_p50_s}, {.number = r->queue_p99_s}, {.number = r->queue_max_s},
        {.number = (double)r->preemptions}, {.number = (double)r->recomputed_tokens},
        {.number = r->busy_s}, {.number = r->makespan_s},
        {.number = r->makespan_s > 0 ? (double)r->output_tokens / r->makespan_s : NAN}};
    _Static_assert(sizeof v / sizeof *v == sizeof fields / sizeof *fields, "a value a field");
    fields_row(f, v);
}

static int show(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
    return 0;
}

/* A row for each way; how many requests were served in all. */
static int64_t run_ways(const struct options *o, const struct ways *w, const struct lengths *l) {
    struct fields f;
    struct err err = {{0}};
    int64_t served = 0;
    fields_open(&f, fields, FIELDS, &o->common);
    for (int i = 0; i < w->n; i++) {
        struct progress bar;
        struct paged_result r;
        progress_start(&bar, paged_scheme_names()[w->setup[i].scheme], PROGRESS_COUNT,
                       o->common.quiet);
        w->setup[i].progress = show;
        w->setup[i].arg = &bar;
        if (!o->max_length)
            w->setup[i].max_tokens = l->longest;
        if (paged_run(&w->setup[i], l->request, l->n, &r, &err))
            die("%s: %s", input_name(o->in.path), err.text);
        progress_end(&bar);
        print_way(&f, o, &w->setup[i], &r);
        served += r.requests;
    }
    fields_close(&f);
    return served;
}

int cache_paged(int argc, char **argv) {
    struct options o = {.model = {.kv_bits = 16}, .schemes = "max,pow2,oracle,paged",
                        .blocks = "1,8,16,32,64,128", .memory = "inf", .watermark = 0.01,
                        .tps = 30, .prefill_tps = 10000};
    parse(&o, argc, argv);
    struct ways w = find_ways(&o);
    struct lengths l = load_lengths(&o);
    int64_t served = l.n ? run_ways(&o, &w, &l) : 0;
    if (!l.n)
        warn("%s: no requests: nothing to serve", input_name(o.in.path));
    else if (!served)
        warn("%s: none of %lld requests could be served", input_name(o.in.path), (long long)l.n);
    free(w.setup);
    free(l.request);
    shape_free(o.model.shape);
    return served ? EXIT_DONE : EXIT_NOTHING;
}
