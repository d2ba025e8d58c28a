/* cache_options.c - what the verbs of llm-cache share on their command lines, see cache.h */
#include "cmd/cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "lib/base/num.h"

#define FAR_TOO_MANY 1000       /* times the unique blocks: a size that was not meant in blocks */
#define MAX_BLOCK_TOKENS (1 << 24)

/* ---- the trace -------------------------------------------------------------------------- */

int cache_trace_option(int c, const char *arg, struct cache_trace *in) {
    switch (c) {
    case OPT_BLOCK_TOKENS:
        in->reqs.block_tokens = (int)arg_int("--block-tokens", arg, 1, MAX_BLOCK_TOKENS);
        return 1;
    case OPT_SKIP_BAD:
        in->reqs.skip_bad = 1;
        return 1;
    default:
        return 0;
    }
}

void cache_trace_operand(int argc, char **argv, const char *const *usage,
                         struct cache_trace *in) {
    if (argc - optind > 1)
        usage_die("'%s': one trace is read, not several (cat joins them)", argv[optind + 1]);
    in->path = optind < argc ? argv[optind] : "-";
    if (!strcmp(in->path, "-") && isatty(STDIN_FILENO)) {
        print_usage(stderr, usage);
        exit(EXIT_USAGE);
    }
}

void cache_trace_warn(const struct cache_trace *in, const struct reqs_totals *t, int quiet) {
    const char *name = input_name(in->path);
    if (t->bad)
        warn("%s: %lld broken line%s passed over", name, (long long)t->bad,
             t->bad == 1 ? "" : "s");
    if (t->backwards && !quiet)
        warn("%s: %lld timestamp%s went back; such a request counts at the time of the one before",
             name, (long long)t->backwards, t->backwards == 1 ? "" : "s");
}

struct loading {
    struct progress bar;
    int64_t total;              /* bytes of the file; -1: not known, or compressed */
};

static int show_loading(void *arg, int64_t bytes) {
    struct loading *l = arg;
    progress_update(&l->bar, bytes, bytes <= l->total ? l->total : -1);
    return 0;
}

/* A block size that was given, though lengths and block counts cannot have come from it, neither
 * rounded up nor down, makes all that is said of tokens wrong. */
static void warn_misfits(const struct cache_trace *in, const struct blocks *b) {
    int64_t misfits = 0;
    for (int64_t r = 0; r < b->requests; r++) {
        int64_t n = b->first[r + 1] - b->first[r];
        misfits += b->input[r] <= (n - 1) * b->block_tokens ||
                   b->input[r] >= (n + 1) * b->block_tokens;
    }
    if (misfits)
        warn("%s: --block-tokens %d does not fit lengths and block counts in %lld of %lld requests",
             input_name(in->path), b->block_tokens, (long long)misfits, (long long)b->requests);
}

struct blocks *cache_load(const struct cache_trace *in, const struct common *common) {
    struct loading l = {.total = -1};
    struct stat st;
    struct err e = {{0}};
    if (strcmp(in->path, "-") && !stat(in->path, &st) && S_ISREG(st.st_mode))
        l.total = st.st_size;
    progress_start(&l.bar, "reading", PROGRESS_BYTES, common->quiet);
    struct blocks *b = blocks_load(in->path, &in->reqs, show_loading, &l, &e);
    progress_end(&l.bar);
    if (!b)
        die_err(&e);
    cache_trace_warn(in, &b->totals, common->quiet);
    if (in->reqs.block_tokens && !common->quiet)
        warn_misfits(in, b);
    return b;
}

int cache_nothing(const struct cache_trace *in, const struct blocks *b, int64_t warmup) {
    const char *name = input_name(in->path);
    if (!b->accesses)
        warn("%s: none of %lld requests has a block: nothing to replay", name,
             (long long)b->requests);
    else if (b->first[warmup] == b->accesses)
        warn("%s: no blocks behind the warm-up: nothing to count", name);
    else
        return 0;
    return 1;
}

void cache_need_times(const struct cache_trace *in, const struct blocks *b, const char *what) {
    if (!b->time_ns)
        die("%s: no request has a timestamp, which %s needs", input_name(in->path), what);
}

void cache_need_sessions(const struct cache_trace *in, const struct blocks *b) {
    if (!b->session)
        die("%s: no request has a session_id, which --by session needs", input_name(in->path));
}

/* ---- the model -------------------------------------------------------------------------- */

int cache_model_option(int c, const char *arg, struct cache_model *m) {
    static const char *const names[] = {"f32", "f16", "bf16", "fp8", "q8_0", NULL};
    static const double bits[] = {32, 16, 16, 8, 8.5};
    struct err e = {{0}};
    switch (c) {
    case OPT_SHAPE:
        shape_free(m->shape);
        m->shape = shape_find(arg, &e);
        if (!m->shape)
            die("--shape: %s", e.text);
        return 1;
    case OPT_KV_TYPE:
        m->kv_bits = bits[arg_choice("--kv-type", arg, names)];
        return 1;
    default:
        return 0;
    }
}

void cache_model_ready(struct cache_model *m) {
    m->token_bytes = m->shape ? shape_kv_bytes(m->shape, m->kv_bits) : 0;
}

/* ---- sizes and times -------------------------------------------------------------------- */

/* Rounded down; 29 % of 100 are 29, though 0.29 * 100 is less. */
static int64_t share_of(double percent, int64_t all) {
    return (int64_t)(percent * (double)all / 100);
}

static int64_t one_size(const char *option, const char *text, const struct blocks *b,
                        const struct cache_model *m) {
    char *number = mem_strdup(text);
    double share = 0;
    int64_t n;
    int64_t blocks = 0;
    if (!strcmp(text, "inf")) {
        blocks = b->unique ? b->unique : 1;
    } else if (arg_take_off(number, "%")) {
        if (!num_float(number, 0, 1e6, &share) && share > 0)
            blocks = share_of(share, b->unique);
        blocks += share > 0 && !blocks;
    } else if (arg_take_off(number, "tok")) {
        if (!num_size(number, 1, INT64_MAX, &n))
            blocks = n / b->block_tokens;
    } else if (arg_take_off(number, "B")) {
        if (!m->shape)
            usage_die("%s: '%s': a size in bytes needs --shape", option, text);
        if (!num_size(number, 1, INT64_MAX, &n))
            blocks = (int64_t)((double)n / m->token_bytes / b->block_tokens);
    } else if (!num_size(number, 1, INT64_MAX, &n)) {
        blocks = n;
        if (b->unique && n / FAR_TOO_MANY > b->unique)
            warn("%s: '%s': so many blocks are over %d times what the trace has (sizes in bytes "
                 "end in B)", option, text, FAR_TOO_MANY);
    }
    free(number);
    if (blocks < 1)
        usage_die("%s: '%s': expected at least one block: blocks (1000, 64Ki), %% of the unique "
                  "blocks (5%%), tokens (2Mtok), bytes (64GiB) or inf", option, text);
    return blocks;
}

int64_t *cache_sizes(const char *option, const char *list, const struct blocks *b,
                     const struct cache_model *m, int *n) {
    char *text = mem_strdup(list);
    char **part = arg_list(text, n);
    int64_t *size = mem_array((size_t)*n, sizeof *size);
    for (int i = 0; i < *n; i++)
        size[i] = one_size(option, part[i], b, m);
    free(part);
    free(text);
    return size;
}

int64_t cache_warmup(const char *text, const struct cache_trace *in, const struct blocks *b) {
    size_t len = text ? strlen(text) : 0;
    double share;
    int64_t n;
    if (!text || !b->accesses)
        return 0;
    if (len && text[len - 1] == '%') {
        char *number = mem_strndup(text, len - 1);
        int bad = num_float(number, 0, 100, &share);
        free(number);
        if (bad)
            usage_die("--warmup: '%s': expected a share from 0%% to 100%%", text);
        return share_of(share, b->requests);
    }
    if (!num_size(text, 0, INT64_MAX, &n))
        return n < b->requests ? n : b->requests;
    int64_t until = arg_duration("--warmup", text);
    cache_need_times(in, b, "--warmup with a time");
    for (n = 0; n < b->requests && b->time_ns[n] - b->time_ns[0] < until;)
        n++;
    return n;
}

double cache_ratio(double part, double whole) {
    return whole > 0 ? part / whole : NAN;
}
