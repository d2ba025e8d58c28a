/* cache_curve.c - llm-cache curve: the hit ratio at every capacity or time to live, in one pass
 *
 * The trace is never in memory: requests go from the reader, which is a thread of its own, into
 * the curve one by one.
 */
#include "cmd/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cache_curve.h"
#include "cmd/plot.h"
#include "cmd/progress.h"
#include "lib/trace/ahead.h"

#define TERMINAL_POINTS 30
#define MAX_POINTS 100000000
#define PROGRESS_EVERY 1024     /* requests */

static const char *const usage[] = {
    "usage: llm-cache curve [OPTION]... [TRACE]\n"
    "       llm-cache curve --merge [OPTION]... FILE...\n"
    "The hit ratios of a prefix cache at every capacity, exactly, in one pass.\n"
    "\n"
    "Cache\n"
    "      --tail-first       a request's blocks are used from its tail (vLLM's order)\n"
    "      --ttl              every time to live of an unlimited cache, not every capacity\n"
    "\n"
    "Rows (default: all into a pipe, some 30 on a terminal)\n"
    "      --points N         about N of them, evenly spread by their logarithm\n"
    "      --at LIST          these: blocks (1000, 64Ki), 5%, 2Mtok, 64GiB, inf; with --ttl\n"
    "                         times (60, 5m, 1h, inf)\n"
    "      --tiers C1+C2,...  hits of two exclusive tiers of these sizes\n"
    "      --plot FILE        draw the curve too; .svg or .png\n"
    "      --json             JSON Lines\n"
    "\n"
    "Sampling, for traces larger than memory (SHARDS); columns of a 95 % interval are added\n"
    "      --sample R         follow this share of the blocks, say 0.01\n"
    "      --sample-blocks N  follow N blocks at most, the share falls as needed\n"
    "      --seed N           choose other blocks (default 1)\n"
    "\n"
    "Pieces of a trace\n"
    "      --save FILE        write counts and unfinished business to FILE, and no rows\n"
    "      --merge            the operands are saved files: consecutive pieces of one trace in\n"
    "                         their order; the result is that of the whole trace, exactly\n"
    "      --sum              with --merge: the pieces had caches of their own\n"
    "\n",
    CACHE_TRACE_USAGE "\n",
    CACHE_MODEL_USAGE "\n",
    "  -t, --threads N        1: read in the thread that counts (default: ahead of it)\n"
    "  -q, --quiet            no progress bar, no notes\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n",
    NULL
};

enum {
    OPT_TAIL_FIRST = OPT_VERB, OPT_TTL, OPT_POINTS, OPT_AT, OPT_TIERS, OPT_PLOT, OPT_SAMPLE,
    OPT_SAMPLE_BLOCKS, OPT_SEED, OPT_SAVE, OPT_MERGE, OPT_SUM
};

static const struct option longs[] = {
    COMMON_LONG, CACHE_TRACE_LONG, CACHE_MODEL_LONG,
    {"tail-first", no_argument, NULL, OPT_TAIL_FIRST},
    {"ttl", no_argument, NULL, OPT_TTL},
    {"points", required_argument, NULL, OPT_POINTS},
    {"at", required_argument, NULL, OPT_AT},
    {"tiers", required_argument, NULL, OPT_TIERS},
    {"plot", required_argument, NULL, OPT_PLOT},
    {"sample", required_argument, NULL, OPT_SAMPLE},
    {"sample-blocks", required_argument, NULL, OPT_SAMPLE_BLOCKS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"save", required_argument, NULL, OPT_SAVE},
    {"merge", no_argument, NULL, OPT_MERGE},
    {"sum", no_argument, NULL, OPT_SUM},
    {NULL, 0, NULL, 0}
};

struct options {
    struct common common;
    struct cache_trace in;
    struct cache_model model;
    int tail_first, ttl;
    int points;                 /* 0: not given */
    const char *at, *tiers, *plot, *save;
    double rate;                /* 0: no sampling */
    int64_t sample_blocks;
    uint64_t seed;
    int merge, sum;
};

static void take_option(struct options *o, int c, const char *arg) {
    switch (c) {
    case OPT_TAIL_FIRST: o->tail_first = 1; break;
    case OPT_TTL: o->ttl = 1; break;
    case OPT_POINTS: o->points = (int)arg_size("--points", arg, 1, MAX_POINTS); break;
    case OPT_AT: o->at = arg; break;
    case OPT_TIERS: o->tiers = arg; break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    case OPT_SAMPLE: o->rate = arg_float("--sample", arg, 1e-9, 1); break;
    case OPT_SAMPLE_BLOCKS:
        o->sample_blocks = arg_size("--sample-blocks", arg, 64, UINT32_MAX / 8);
        break;
    case OPT_SEED: o->seed = arg_seed(arg); break;
    case OPT_SAVE: o->save = arg; break;
    case OPT_MERGE: o->merge = 1; break;
    case OPT_SUM: o->sum = 1; break;
    default: break;
    }
}

static enum curve_order order_of(const struct options *o) {
    return o->ttl ? CURVE_TTL : o->tail_first ? CURVE_TAIL : CURVE_LRU;
}

/* ---- lists of capacities, times and splits ---------------------------------------------- */

/* What cache_sizes wants to know of a trace. */
static struct blocks measure(int64_t unique, int block_tokens) {
    return (struct blocks){.unique = unique < UINT32_MAX ? (uint32_t)unique : UINT32_MAX,
                           .block_tokens = block_tokens};
}

static uint64_t *list_keys(const struct options *o, const struct blocks *b, uint64_t longest,
                           int *n) {
    uint64_t *key;
    if (!o->ttl) {
        int64_t *size = cache_sizes("--at", o->at, b, &o->model, n);
        key = mem_array((size_t)*n, sizeof *key);
        for (int i = 0; i < *n; i++)
            key[i] = (uint64_t)size[i];
        free(size);
        return key;
    }
    char *text = mem_strdup(o->at);
    char **part = arg_list(text, n);
    key = mem_array((size_t)*n, sizeof *key);
    for (int i = 0; i < *n; i++)
        key[i] = !strcmp(part[i], "inf") ? longest : (uint64_t)arg_duration("--at", part[i]);
    free(part);
    free(text);
    return key;
}

static struct curve_split *list_splits(const struct options *o, const struct blocks *b, int *n) {
    char *text = mem_strdup(o->tiers);
    char **part = arg_list(text, n);
    struct curve_split *split = mem_array((size_t)*n, sizeof *split);
    for (int i = 0; i < *n; i++) {
        char *plus = strchr(part[i], '+');
        if (!plus || strchr(plus + 1, '+'))
            usage_die("--tiers: '%s': expected two sizes, as in 1000+20000", part[i]);
        *plus = '\0';
        const char *size[2] = {part[i], plus + 1};
        for (int k = 0; k < 2; k++) {
            int one;
            int64_t *blocks = cache_sizes("--tiers", size[k], b, &o->model, &one);
            split[i].tier[k] = blocks[0] < INT64_MAX / 2 ? blocks[0] : INT64_MAX / 2;
            free(blocks);
        }
    }
    free(part);
    free(text);
    return split;
}

/* What is wrong with the options shows before a long trace is read. */
static void check_options(struct options *o) {
    struct blocks any = measure(UINT32_MAX, 1);
    int n;
    int sampled = o->rate > 0 || o->sample_blocks;
    cache_model_ready(&o->model);
    if (o->ttl && o->tail_first)
        usage_die("--ttl and --tail-first: in an unlimited cache the order of use is nothing");
    if (o->ttl && o->tiers)
        usage_die("--tiers: sizes do not go with --ttl");
    if (!!o->at + !!o->points + !!o->tiers > 1)
        usage_die("--at, --points and --tiers: one of them");
    if (o->save && (o->at || o->points || o->tiers || o->plot || o->common.json))
        usage_die("--save writes no rows; take them from the file with --merge");
    if (sampled && (o->save || o->merge))
        usage_die("%s: sampled curves do not merge", o->save ? "--save" : "--merge");
    if (o->sum && (!o->merge || o->save))
        usage_die("--sum goes with --merge, and without --save");
    if (o->at)
        free(list_keys(o, &any, 1, &n));
    if (o->tiers)
        free(list_splits(o, &any, &n));
}

/* ---- reading ---------------------------------------------------------------------------- */

struct job {
    struct curve *curve;        /* one of the two */
    struct shards *shards;
};

/* The trace is at fault, in this line (0: as a whole); or the output, which then is named. */
static void fail(const struct options *o, int64_t line, struct err *err) {
    if (o->save && !strncmp(err->text, o->save, strlen(o->save)))
        die_err(err);
    if (line)
        die("%s:%lld: %s", input_name(o->in.path), (long long)line, err->text);
    die("%s: %s", input_name(o->in.path), err->text);
}

static void read_trace(const struct options *o, struct job *j) {
    struct progress bar;
    struct stat st;
    struct err err = {{0}};
    struct req q;
    int64_t total = -1;         /* bytes; what was decompressed may be more */
    int rc;
    struct ahead *a = ahead_open(o->in.path, &o->in.reqs, o->common.threads != 1, &err);
    if (!a)
        die_err(&err);
    if (strcmp(o->in.path, "-") && !stat(o->in.path, &st) && S_ISREG(st.st_mode))
        total = st.st_size;
    progress_start(&bar, "reading", PROGRESS_BYTES, o->common.quiet);
    for (int64_t n = 1; (rc = ahead_next(a, &q, &err)) == 1; n++) {
        if (j->curve ? curve_add(j->curve, &q, &err) : shards_add(j->shards, &q, &err))
            fail(o, q.line, &err);
        if (n % PROGRESS_EVERY == 0) {
            int64_t bytes = ahead_bytes(a);
            progress_update(&bar, bytes, bytes <= total ? total : -1);
        }
    }
    progress_end(&bar);
    errno = 0;                  /* no reader of ours went away */
    if (rc < 0)
        die_err(&err);
    const struct reqs *r = ahead_reqs(a);
    if (o->ttl && reqs_totals(r)->records && !reqs_totals(r)->timed)
        die("%s: no request has a timestamp, which --ttl needs", input_name(o->in.path));
    int size = reqs_block_tokens(r);
    if (j->curve ? curve_finish(j->curve, size, &err) : shards_finish(j->shards, size, &err))
        fail(o, 0, &err);
    cache_trace_warn(&o->in, reqs_totals(r), o->common.quiet);
    ahead_close(a);
}

static void merge_files(const struct options *o, struct curve *c, char **file, int n) {
    struct progress bar;
    struct err err = {{0}};
    progress_start(&bar, "merging", PROGRESS_COUNT, o->common.quiet);
    for (int i = 0; i < n; i++) {
        if (o->sum ? curve_merge_independent(c, file[i], &err) : curve_merge(c, file[i], &err)) {
            progress_end(&bar);
            die_err(&err);
        }
        progress_update(&bar, i + 1, n);
    }
    progress_end(&bar);
    if (curve_finish(c, 0, &err))
        die_err(&err);
}

/* ---- writing ---------------------------------------------------------------------------- */

static void print_rows(const struct options *o, const struct curve_source *s) {
    const struct curve_totals *t = curve_source_totals(s);
    struct blocks b = measure(t->unique, t->block_tokens);
    int n;
    if (o->at) {
        uint64_t *key = list_keys(o, &b, o->ttl ? curve_source_last(s) : 0, &n);
        curve_print_at(s, key, n);
        free(key);
    } else if (o->tiers) {
        struct curve_split *split = list_splits(o, &b, &n);
        curve_print_splits(s, split, n);
        free(split);
    } else if (o->points) {
        curve_print_spread(s, o->points);
    } else if (!s->json && isatty(STDOUT_FILENO)) {
        curve_print_spread(s, TERMINAL_POINTS);
    } else {
        curve_print_all(s);
    }
    check_stream(stdout, "-");
    curve_plot(s, o->plot);
}

static int print_curve(const struct options *o, const struct job *j) {
    const struct curve_source s = {j->curve, j->shards, order_of(o), o->common.json};
    if (curve_source_totals(&s)->accesses == 0) {
        warn("%s: no blocks in %lld requests: there is no hit ratio",
             o->merge ? "the curves" : input_name(o->in.path),
             (long long)curve_source_totals(&s)->requests);
        return EXIT_NOTHING;
    }
    if (j->shards && shards_blocks(j->shards) == 0) {
        warn("none of the blocks is in the sample: a larger --sample is needed");
        return EXIT_NOTHING;
    }
    if (j->shards && !o->common.quiet)
        warn("%lld blocks followed, one in %.4g; intervals hold the exact value 95 of 100 times, "
             "and are no help below %.0f blocks", (long long)shards_blocks(j->shards),
             1 / shards_rate(j->shards), shards_resolved(j->shards));
    print_rows(o, &s);
    return EXIT_DONE;
}

static void run_curve(const struct options *o, int argc, char **argv, struct job *j) {
    struct curve_options opt = {.order = order_of(o), .block_tokens = o->in.reqs.block_tokens};
    struct err err;
    if (o->rate > 0 || o->sample_blocks) {
        j->shards = shards_new(&opt, o->rate > 0 ? o->rate : 1, o->sample_blocks, o->seed);
        read_trace(o, j);
        return;
    }
    if (o->save && !(opt.save = zio_open_write(o->save, &err)))
        die_err(&err);
    j->curve = curve_new(&opt);
    if (o->merge)
        merge_files(o, j->curve, argv + optind, argc - optind);
    else
        read_trace(o, j);
    if (o->save && zio_close(opt.save, &err))
        die_err(&err);
}

int cache_curve(int argc, char **argv) {
    struct options o = {.seed = 1, .model = {.kv_bits = 16}};
    struct job job = {0};
    int status = EXIT_DONE;
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o.common, usage) &&
            !cache_trace_option(c, optarg, &o.in) && !cache_model_option(c, optarg, &o.model))
            take_option(&o, c, optarg);
    check_options(&o);
    if (o.ttl && !o.merge && argc - optind > 1)
        usage_die("'%s': one trace is read; --ttl takes no value here, --at chooses times to live",
                  argv[optind]);
    if (!o.merge)
        cache_trace_operand(argc, argv, usage, &o.in);
    else if (optind == argc)
        usage_die("--merge: expected files that --save wrote");
    run_curve(&o, argc, argv, &job);
    if (!o.save)
        status = print_curve(&o, &job);
    curve_free(job.curve);
    shards_free(job.shards);
    shape_free(o.model.shape);
    return status;
}
