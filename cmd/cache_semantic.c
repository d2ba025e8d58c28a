/* cache_semantic.c - llm-cache semantic: answers reused for similar questions
 *
 * Rows of a .npy stream go through every cache at once (lib/cache/semantic); labels and tokens of
 * the rows come from files beside it. A row of the report for each cache.
 */
#include "cmd/cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "cmd/progress.h"
#include "cmd/table.h"
#include "lib/base/num.h"
#include "lib/cache/semantic.h"
#include "lib/format/npy.h"
#include "lib/format/zio.h"

static const char *const usage[] = {
    "usage: llm-cache semantic [OPTION]... [EMBEDDINGS]\n"
    "Replays questions, as embeddings in order, through caches that answer similar ones alike.\n"
    "EMBEDDINGS are .npy arrays, a row each question, as 'llm-run --embed' writes them.\n\n"
    "Caches\n"
    "      --threshold LIST   least cosine of a hit: 0.8,0.9,0.95 or FROM:TO:STEP (default\n"
    "                         0.5:1:0.05)\n"
    "      --size LIST        entries (1000, 64Ki) or inf (default inf)\n"
    "      --policy LIST      which entry leaves a full cache: lru, fifo (default lru)\n"
    "Questions\n"
    "      --labels FILE      a label a line; a hit between different labels is false\n"
    "      --lengths FILE     tokens of each question and its answer, a number a line\n"
    "      --trace FILE       the same from a request trace: input and output tokens\n"
    "Report\n"
    "      --plot FILE        draw hit ratio against threshold, .svg or .png\n"
    "      --json             JSON Lines in place of a table\n"
    "General\n"
    "  -t, --threads N        threads (default: one per core)\n"
    "  -q, --quiet            no progress bar, fewer warnings\n"
    "  -h, --help             -V, --version\n",
    NULL};

enum {
    OPT_THRESHOLD = OPT_VERB, OPT_SIZE, OPT_POLICY, OPT_LABELS, OPT_LENGTHS, OPT_TRACE, OPT_PLOT
};

#define PART_FLOATS ((int64_t)1 << 20)  /* of rows read at once */
#define LEAST_PART 128
#define MOST_PART 1024

static const char *const policies[] = {"lru", "fifo", NULL};

struct options {
    struct common common;
    struct cache_trace in;      /* only its path has a meaning here */
    char *thresholds, *sizes, *policies;    /* lists, to be split in place */
    const char *labels, *lengths, *trace, *plot;
};

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG,
        {"threshold", required_argument, NULL, OPT_THRESHOLD},
        {"size", required_argument, NULL, OPT_SIZE},
        {"policy", required_argument, NULL, OPT_POLICY},
        {"labels", required_argument, NULL, OPT_LABELS},
        {"lengths", required_argument, NULL, OPT_LENGTHS},
        {"trace", required_argument, NULL, OPT_TRACE},
        {"plot", required_argument, NULL, OPT_PLOT},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage))
            continue;
        switch (c) {
        case OPT_THRESHOLD: o->thresholds = optarg; break;
        case OPT_SIZE: o->sizes = optarg; break;
        case OPT_POLICY: o->policies = optarg; break;
        case OPT_LABELS: o->labels = optarg; break;
        case OPT_LENGTHS: o->lengths = optarg; break;
        case OPT_TRACE: o->trace = optarg; break;
        case OPT_PLOT: o->plot = optarg; break;
        }
    }
    if (o->lengths && o->trace)
        usage_die("--lengths and --trace: one of them says the tokens");
    cache_trace_operand(argc, argv, usage, &o->in);
}

/* ---- the caches ------------------------------------------------------------------------- */

struct caches {
    struct semantic_config config[SEMANTIC_MOST];
    int n;
    double threshold[SEMANTIC_MOST];
    int thresholds;
    char **list;                /* the one being read */
};

static void add_threshold(struct caches *c, double value) {
    if (c->thresholds == SEMANTIC_MOST)
        usage_die("--threshold: more than %d of them", SEMANTIC_MOST);
    c->threshold[c->thresholds++] = value;
}

/* FROM:TO:STEP with both ends. Steps are rounded to 12 digits: 0.85, not 0.8500000000000001. */
static int add_sweep(struct caches *c, const char *range) {
    char text[64];
    double from, to, step;
    if (snprintf(text, sizeof text, "%s", range) >= (int)sizeof text)
        return -1;
    char *second = strchr(text, ':');
    char *third = second ? strchr(second + 1, ':') : NULL;
    if (!third)
        return -1;
    *second = *third = '\0';
    if (num_float(text, -1, 1, &from) || num_float(second + 1, from, 1, &to) ||
        num_float(third + 1, 1e-6, 2, &step))
        return -1;
    for (int i = 0; from + i * step <= to + step * 1e-9; i++)
        add_threshold(c, round((from + i * step) * 1e12) / 1e12);
    return 0;
}

static void find_thresholds(struct caches *c, char *list) {
    int n;
    double value;
    c->list = arg_list(list, &n);
    for (int i = 0; i < n; i++) {
        if (!num_float(c->list[i], -1, 1, &value))
            add_threshold(c, value);
        else if (add_sweep(c, c->list[i]))
            usage_die("--threshold: '%s': expected a cosine from -1 to 1, or FROM:TO:STEP",
                      c->list[i]);
    }
    free(c->list);
}

static int find_policies(struct caches *c, char *list, enum semantic_policy *policy) {
    int n;
    c->list = arg_list(list, &n);
    if (n > SEMANTIC_MOST)
        usage_die("--policy: more than %d of them", SEMANTIC_MOST);
    for (int i = 0; i < n; i++)
        policy[i] = (enum semantic_policy)arg_choice("--policy", c->list[i], policies);
    free(c->list);
    return n;
}

static void add_caches(struct caches *c, int64_t capacity, enum semantic_policy policy) {
    for (int i = 0; i < c->thresholds; i++) {
        if (c->n == SEMANTIC_MOST)
            usage_die("%d caches in a run at most: thresholds times sizes times policies",
                      SEMANTIC_MOST);
        c->config[c->n++] = (struct semantic_config){c->threshold[i], capacity, policy};
    }
}

/* Every size under every policy; without a limit no entry leaves and there is no policy. */
static void find_caches(const struct options *o, struct caches *c) {
    enum semantic_policy policy[SEMANTIC_MOST];
    int sizes;
    find_thresholds(c, o->thresholds);
    int n = find_policies(c, o->policies, policy);
    c->list = arg_list(o->sizes, &sizes);
    for (int i = 0; i < sizes; i++) {
        int64_t capacity = 0;
        if (strcmp(c->list[i], "inf") && num_size(c->list[i], 1, INT64_MAX, &capacity))
            usage_die("--size: '%s': expected entries (1000, 64Ki) or inf", c->list[i]);
        for (int k = 0; k < (capacity ? n : 1); k++)
            add_caches(c, capacity, policy[k]);
    }
    free(c->list);
}

/* ---- what is known of each question ----------------------------------------------------- */

struct known {
    const char *path;           /* NULL: nothing */
    int64_t n;
    uint32_t *label;            /* [n] or NULL */
    int64_t *tokens;            /* [n] or NULL */
    struct buf text;            /* of the file, while it is read, */
    char **line;                /* and its lines */
};

/* Reads a file and finds its lines, without their ends; a last line needs none. */
static void read_lines(const char *path, struct known *k) {
    struct err err;
    k->path = path;
    if (zio_read_all(path, &k->text, &err))
        die_err(&err);
    char *end = k->text.data + k->text.len;
    for (char *p = k->text.data; p < end;) {
        char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        if ((k->n & (k->n - 1)) == 0)
            k->line = mem_grow(k->line, k->n ? (size_t)k->n * 2 : 1, sizeof *k->line);
        k->line[k->n++] = p;
        *stop = '\0';
        if (stop > p && stop[-1] == '\r')
            stop[-1] = '\0';
        p = stop + 1;
    }
}

static void free_lines(struct known *k) {
    free(k->line);
    buf_free(&k->text);
}

struct labelled {
    const char *text;
    int64_t row;
};

static int compare_labels(const void *a, const void *b) {
    return strcmp(((const struct labelled *)a)->text, ((const struct labelled *)b)->text);
}

/* Labels become numbers: equal texts are neighbours once sorted. */
static void read_labels(const char *path, struct known *k) {
    read_lines(path, k);
    struct labelled *l = mem_array((size_t)k->n, sizeof *l);
    k->label = mem_array((size_t)k->n, sizeof *k->label);
    for (int64_t i = 0; i < k->n; i++)
        l[i] = (struct labelled){k->line[i], i};
    qsort(l, (size_t)k->n, sizeof *l, compare_labels);
    uint32_t number = 0;
    for (int64_t i = 0; i < k->n; i++) {
        number += i > 0 && strcmp(l[i].text, l[i - 1].text);
        k->label[l[i].row] = number;
    }
    free(l);
    free_lines(k);
}

static void read_lengths(const char *path, struct known *k) {
    read_lines(path, k);
    k->tokens = mem_array((size_t)k->n, sizeof *k->tokens);
    for (int64_t i = 0; i < k->n; i++)
        if (num_int(k->line[i], 0, INT32_MAX, &k->tokens[i]))
            die("%s: line %lld: expected a number of tokens, found '%.40s'", input_name(path),
                (long long)i + 1, k->line[i]);
    free_lines(k);
}

/* A hit spares the prefill and the decoding of its request. */
static void read_trace(const char *path, struct known *k) {
    struct err err;
    struct req q;
    int rc;
    struct reqs *r = reqs_open(path, &(struct reqs_options){0}, &err);
    if (!r)
        die_err(&err);
    k->path = path;
    while ((rc = reqs_next(r, &q, &err)) == 1) {
        if (q.input_tokens == REQS_UNKNOWN && q.output_tokens == REQS_UNKNOWN) {
            err_set(&err, "%s: line %lld: expected a request with its lengths, found none",
                    input_name(path), (long long)q.line);
            rc = -1;
            break;
        }
        if ((k->n & (k->n - 1)) == 0)
            k->tokens = mem_grow(k->tokens, k->n ? (size_t)k->n * 2 : 1, sizeof *k->tokens);
        k->tokens[k->n++] = (q.input_tokens > 0 ? q.input_tokens : 0) +
                            (q.output_tokens > 0 ? q.output_tokens : 0);
    }
    reqs_close(r);
    if (rc < 0)
        die("%s", err.text);
}

/* There must be one entry for each of `rows` rows so far, and no more at the end. */
static void check_known(const struct known *k, int64_t rows, int ended) {
    if (k->path && (rows > k->n || (ended && rows < k->n)))
        die("%s: has %lld entries, the embeddings %s%lld rows", input_name(k->path),
            (long long)k->n, ended ? "" : "at least ", (long long)rows);
}

/* ---- the replay ------------------------------------------------------------------------- */

struct replay {
    const struct options *o;
    const struct caches *caches;
    struct known labels, tokens;
    struct npy_reader npy;
    int width;                  /* 0: no array yet */
    struct semantic *semantic;
    float *part;                /* [part_rows][width] */
    int64_t part_rows;
    int64_t rows;               /* so far */
};

/* An array is [rows, width], or [width] for a single row. All have one width. */
static int64_t array_rows(struct replay *r) {
    const struct npy_reader *a = &r->npy;
    int64_t width = a->dims ? a->shape[a->dims - 1] : 0;
    struct err err;
    if (a->dims < 1 || a->dims > 2)
        die("%s: array %lld: expected rows of numbers, found %d dimensions", zio_name(a->z),
            (long long)a->number, a->dims);
    if (width < 1 || width > SEMANTIC_WIDEST || (r->width && width != r->width))
        die("%s: array %lld: expected rows of %s%d numbers, found %lld", zio_name(a->z),
            (long long)a->number, r->width ? "" : "1 to ",
            r->width ? r->width : SEMANTIC_WIDEST, (long long)width);
    if (!r->width) {
        int64_t rows = PART_FLOATS / width;
        r->width = (int)width;
        r->part_rows = rows < LEAST_PART ? LEAST_PART : rows > MOST_PART ? MOST_PART : rows;
        r->part = mem_array((size_t)(r->part_rows * width), sizeof *r->part);
        r->semantic = semantic_new(r->width, r->caches->config, r->caches->n,
                                   r->o->common.threads, &err);
        if (!r->semantic)
            die_err(&err);
    }
    return a->dims == 1 ? 1 : a->shape[0];
}

static void add_part(struct replay *r, int64_t n) {
    struct err err;
    if (npy_read_floats(&r->npy, r->part, (size_t)(n * r->width), &err))
        die_err(&err);
    check_known(&r->labels, r->rows + n, 0);
    check_known(&r->tokens, r->rows + n, 0);
    semantic_add(r->semantic, r->part, r->labels.label ? r->labels.label + r->rows : NULL,
                 r->tokens.tokens ? r->tokens.tokens + r->rows : NULL, n);
    r->rows += n;
}

static void run_replay(struct replay *r) {
    struct err err;
    struct progress bar;
    int rc;
    r->npy.z = zio_open_read(r->o->in.path, &err);
    if (!r->npy.z)
        die_err(&err);
    progress_start(&bar, "comparing", PROGRESS_COUNT, r->o->common.quiet);
    while ((rc = npy_read_header(&r->npy, &err)) == 1) {
        int64_t left = array_rows(r);
        int64_t total = r->rows + left;
        for (int64_t n; left > 0; left -= n) {
            n = left < r->part_rows ? left : r->part_rows;
            add_part(r, n);
            progress_update(&bar, r->rows, total);
        }
    }
    progress_end(&bar);
    if (rc < 0)
        die_err(&err);
    if (!r->width) {
        warn("%s: no array in it: no question to look up", zio_name(r->npy.z));
        exit(common_finish(EXIT_NOTHING));
    }
    check_known(&r->labels, r->rows, 1);
    check_known(&r->tokens, r->rows, 1);
    zio_abort(r->npy.z);
}

/* ---- report ----------------------------------------------------------------------------- */

static void put_row(struct table *t, const struct replay *r, int i) {
    const struct semantic_config *c = &r->caches->config[i];
    const struct semantic_counts *k = semantic_counts(r->semantic, i);
    double hits = (double)k->hits;
    table_float(t, c->threshold);
    if (c->capacity)
        table_int(t, c->capacity);
    else
        table_str(t, NULL);
    table_str(t, c->capacity ? policies[c->policy] : NULL);
    table_int(t, k->queries);
    table_int(t, k->hits);
    table_float(t, cache_ratio(hits, (double)k->queries));
    table_int(t, k->entries);
    table_int(t, k->evicted);
    table_float(t, cache_ratio(k->similarity, hits));
    if (r->tokens.path) {
        table_int(t, k->tokens);
        table_int(t, k->hit_tokens);
        table_float(t, cache_ratio((double)k->hit_tokens, (double)k->tokens));
    }
    if (r->labels.path) {
        table_int(t, k->false_hits);
        table_float(t, cache_ratio((double)k->false_hits, (double)k->queries));
        table_float(t, cache_ratio(hits - (double)k->false_hits, hits));
    }
    table_int(t, k->undefined);
}

static void print_report(const struct replay *r) {
    static const struct column always[] = {
        {"threshold", 3}, {"size_entries", 0}, {"policy", 0}, {"queries", 0}, {"hits", 0},
        {"hit_ratio", 4}, {"entries", 0}, {"evicted_entries", 0}, {"mean_similarity", 4}};
    static const struct column tokens[] = {{"tokens", 0}, {"hit_tokens", 0},
                                           {"token_hit_ratio", 4}};
    static const struct column labels[] = {{"false_hits", 0}, {"false_hit_ratio", 4},
                                           {"precision", 4}};
    struct column column[16];
    int n = sizeof always / sizeof *always;
    memcpy(column, always, sizeof always);
    for (int i = 0; r->tokens.path && i < 3; i++)
        column[n++] = tokens[i];
    for (int i = 0; r->labels.path && i < 3; i++)
        column[n++] = labels[i];
    column[n++] = (struct column){"undefined_rows", 0};
    struct table *t = table_new(stdout, column, n, table_format(stdout, r->o->common.json));
    for (int i = 0; i < r->caches->n; i++)
        put_row(t, r, i);
    table_free(t);
}

/* ---- picture ---------------------------------------------------------------------------- */

/* The caches of one size and policy stand next to each other, one for each threshold. */
static int kind_end(const struct caches *c, int from) {
    int to = from;
    while (to < c->n && c->config[to].capacity == c->config[from].capacity &&
           c->config[to].policy == c->config[from].policy)
        to++;
    return to;
}

static char *kind_name(const struct semantic_config *c, const char *what, int only) {
    if (only)
        return mem_strdup(what);
    if (!c->capacity)
        return mem_printf("%s, no limit", what);
    return mem_printf("%s, %s %lld", what, policies[c->policy], (long long)c->capacity);
}

static int compare_points(const void *a, const void *b) {
    const double *p = a;
    const double *q = b;
    return p[0] < q[0] ? -1 : p[0] > q[0];
}

/* x and y [n] of caches from, from + 1, ... in the order of their thresholds. */
static void find_points(const struct replay *r, int from, int n, int wrong, double *x,
                        double *y) {
    double point[SEMANTIC_MOST][2];
    for (int i = 0; i < n; i++) {
        const struct semantic_counts *k = semantic_counts(r->semantic, from + i);
        point[i][0] = r->caches->config[from + i].threshold;
        point[i][1] = cache_ratio((double)(wrong ? k->false_hits : k->hits), (double)k->queries);
    }
    qsort(point, (size_t)n, sizeof *point, compare_points);
    for (int i = 0; i < n; i++) {
        x[i] = point[i][0];
        y[i] = point[i][1];
    }
}

/* Hits of each kind of cache, and where labels tell, those that were false. */
static void draw(const struct replay *r) {
    const struct caches *c = r->caches;
    struct plot_series s[2 * SEMANTIC_MOST];
    double x[2 * SEMANTIC_MOST];
    double y[2 * SEMANTIC_MOST];
    char *name[2 * SEMANTIC_MOST];
    int only = kind_end(c, 0) == c->n;
    int n = 0;
    int at = 0;
    for (int wrong = 0; wrong <= (r->labels.path != NULL); wrong++) {
        for (int from = 0, to; from < c->n; from = to) {
            to = kind_end(c, from);
            find_points(r, from, to - from, wrong, x + at, y + at);
            name[n] = kind_name(&c->config[from], wrong ? "false hits" : "hits", only);
            s[n] = (struct plot_series){name[n], x + at, y + at, (size_t)(to - from)};
            n++;
            at += to - from;
        }
    }
    plot_lines(r->o->plot, &(struct plot_labels){
        .title = "Semantic cache", .x = "similarity threshold (cosine)",
        .y = "share of queries"}, s, n);
    for (int i = 0; i < n; i++)
        free(name[i]);
}

int cache_semantic(int argc, char **argv) {
    static char sweep[] = "0.5:1:0.05";
    static char no_limit[] = "inf";
    static char lru[] = "lru";
    struct options o = {.thresholds = sweep, .sizes = no_limit, .policies = lru};
    struct caches caches = {.n = 0};
    parse(&o, argc, argv);
    find_caches(&o, &caches);
    if (o.plot)
        plot_check(o.plot);
    struct replay r = {.o = &o, .caches = &caches};
    if (o.labels)
        read_labels(o.labels, &r.labels);
    if (o.lengths)
        read_lengths(o.lengths, &r.tokens);
    if (o.trace)
        read_trace(o.trace, &r.tokens);
    run_replay(&r);
    print_report(&r);
    if (o.plot)
        draw(&r);
    const struct semantic_counts *k = semantic_counts(r.semantic, 0);
    int64_t queries = k->queries;
    if (k->undefined && !o.common.quiet)
        warn("%s: %lld rows without a direction (all zero, or not finite) were passed over",
             input_name(o.in.path), (long long)k->undefined);
    if (!queries)
        warn("%s: no question to look up", input_name(o.in.path));
    semantic_free(r.semantic);
    free(r.labels.label);
    free(r.tokens.tokens);
    free(r.part);
    return queries ? EXIT_DONE : EXIT_NOTHING;
}
