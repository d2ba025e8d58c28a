/* route_replay.c - llm-route replay: what caches of experts would have hit, read, and taken
 *
 * offload.h replays; this file holds the options, the device's rates, the words about budgets that
 * are too small, the rows and the picture.
 */
#include "cmd/route_replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "lib/base/num.h"
#include "lib/route/loads.h"
#include "lib/shape/device.h"

enum {
    OPT_POLICY = OPT_VERB, OPT_BUDGET, OPT_PREFETCH, OPT_HOT, OPT_EXPERT_BYTES, OPT_WARMUP,
    OPT_SEED, OPT_DEVICE, OPT_SOURCE, OPT_OVERLAP, OPT_PLOT, OPT_PLOT_Y
};

static const char *const usage[] = {
    "usage: llm-route replay [OPTION]... [TRACE]\n"
    "Replays a trace of routes through caches that hold a part of the experts; a row for each\n"
    "policy, prefetch and budget.\n\n"
    "Cache\n"
    "      --policy LIST      of lru, lfu, lfu-decay[:half=PASSES] (64), s3-fifo[:small=SHARE]\n"
    "                         (10%), hot[:first=SHARE] (10%), hot-oracle, belady, random; with\n"
    "                         layer- before it each layer has a share of its own; or all\n"
    "                         (default lru,lfu,lfu-decay,s3-fifo,layer-lru,layer-lfu,belady)\n"
    "      --budget LIST      bytes (2G, 500Mi), share of all experts (25%), inf, or a range of\n"
    "                         either, 500Mi..8Gi/16: 16 of them in equal steps\n"
    "                         (default 5%,10%,20%,30%,40%,50%,75%)\n"
    "      --prefetch LIST    none, or load ahead what is guessed: previous (of the pass before),\n"
    "                         static (the most used so far), follow (what followed the experts\n"
    "                         just used), perfect (the bound);\n"
    "                         each NAME[:width=EXPERTS][:ahead=LAYERS]\n"
    "                         (default none; width: as many as a token uses; ahead 1)\n"
    "      --hot FILE         trace or count table that hot takes its experts from, and static\n"
    "                         starts with\n"
    "      --expert-bytes N   of each expert (default: what the input or --shape says)\n"
    "      --warmup N         passes at the front, or a share (10%), that are not counted\n"
    "      --seed N           of random (default 1)\n"
    "Time of decoding\n"
    "      --device DEVICE    profile, llm-device(5): rtx-4090, h100-sxm, cpu, ... or a file\n"
    "                         (default rtx-4090)\n"
    "      --source MEMORY    of the device that experts are loaded from: host, disk\n"
    "                         (default: its second)\n"
    "      --overlap          experts that are there are computed while others load\n"
    "      --plot FILE        draw a column against the budget; .svg or .png\n"
    "      --plot-y COLUMN    hit_ratio, decode_hit_ratio, bytes_read or ms_per_token\n"
    "                         (default decode_hit_ratio)\n",
    ROUTE_INPUT_USAGE,
    FIELDS_USAGE,
    "General\n"
    "  -t, --threads N        (default: all cores; rows do not depend on it)\n"
    "  -h, --help             -V, --version\n"
    "Examples\n"
    "  llm-route replay --policy lru,lfu,belady --budget 2G,4G,6G routes.csv\n"
    "  llm-route replay --budget 500Mi..8Gi/16 --plot curve.svg routes.csv\n"
    "  llm-route replay --source disk --prefetch none,follow:width=2:ahead=2 routes.csv\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, ROUTE_INPUT_LONG,
    {"policy", required_argument, NULL, OPT_POLICY},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"prefetch", required_argument, NULL, OPT_PREFETCH},
    {"hot", required_argument, NULL, OPT_HOT},
    {"expert-bytes", required_argument, NULL, OPT_EXPERT_BYTES},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"seed", required_argument, NULL, OPT_SEED},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"source", required_argument, NULL, OPT_SOURCE},
    {"overlap", no_argument, NULL, OPT_OVERLAP},
    {"plot", required_argument, NULL, OPT_PLOT},
    {"plot-y", required_argument, NULL, OPT_PLOT_Y},
    {NULL, 0, NULL, 0}};

static const char *const plot_columns[] = {"decode_hit_ratio", "hit_ratio", "bytes_read",
                                           "ms_per_token", NULL};

struct options {
    struct common common;
    struct route_input in;
    const char *policy, *budget, *prefetch, *hot, *warmup, *device, *source, *plot, *path;
    double expert_bytes, warmup_share;
    int64_t warmup_passes;
    uint64_t seed;
    int overlap, plot_y;
};

/* ---- options ------------------------------------------------------------------------------ */

static void set_warmup(struct options *o, const char *arg) {
    char *text = mem_strdup(arg);
    if (arg_take_off(text, "%"))
        o->warmup_share = arg_share("--warmup", arg, 0, 1);
    else
        o->warmup_passes = arg_size("--warmup", arg, 0, INT64_MAX);
    free(text);
}

static void parse(struct options *o, int argc, char **argv) {
    int c;
    int n;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) ||
            fields_option(c, optarg, &o->common) || route_input_option(c, optarg, &o->in))
            continue;
        switch (c) {
        case OPT_POLICY: o->policy = optarg; break;
        case OPT_BUDGET: o->budget = optarg; break;
        case OPT_PREFETCH: o->prefetch = optarg; break;
        case OPT_HOT: o->hot = optarg; break;
        case OPT_EXPERT_BYTES:
            o->expert_bytes = (double)arg_size("--expert-bytes", optarg, 1, (int64_t)1e15);
            break;
        case OPT_WARMUP: set_warmup(o, optarg); break;
        case OPT_SEED: o->seed = (uint64_t)arg_int("--seed", optarg, 0, INT64_MAX); break;
        case OPT_DEVICE: o->device = optarg; break;
        case OPT_SOURCE: o->source = optarg; break;
        case OPT_OVERLAP: o->overlap = 1; break;
        case OPT_PLOT: o->plot = plot_check(optarg); break;
        case OPT_PLOT_Y: o->plot_y = arg_choice("--plot-y", optarg, plot_columns); break;
        }
    }
    route_input_ready(&o->in);
    o->path = common_inputs(argc, argv, usage, 1, &n)[0];
    if (o->hot && !strcmp(o->hot, "-") && !strcmp(o->path, "-"))
        usage_die("--hot: stdin can be read only once");
}

/* ---- time --------------------------------------------------------------------------------- */

/* What a pass reads outside of the layers that the trace has: dense layers and the head. */
static double other_bytes(const struct shape *s, const struct routed_model *m) {
    double bytes = s ? (double)s->head_bytes : 0;
    for (int l = 0; s && l < s->layers; l++) {
        int there = 0;
        for (int i = 0; i < m->layers; i++)
            there |= m->layer_index[i] == l;
        bytes += there ? 0 : (double)s->dense_bytes[l];
    }
    return bytes;
}

static const struct device_memory *find_source(const struct options *o, const struct device *d) {
    const struct device_memory *m = o->source ? device_memory(d, o->source)
                                    : d->memories > 1 ? &d->memory[1] : NULL;
    struct buf names = {0};
    if (m && m != d->memory)
        return m;
    for (int i = 1; i < d->memories; i++)
        buf_printf(&names, "%s%s", i > 1 ? ", " : "", d->memory[i].name);
    usage_die("--source: %s: the device %s has %s%s to load experts from",
              o->source ? o->source : "none given", d->name, names.len ? "" : "no memory",
              names.len ? names.data : "");
}

static void set_rates(struct offload_options *opt, const struct options *o,
                      const struct routed_model *m, const struct device *d,
                      const struct device_memory *source) {
    opt->compute_bytes_per_s = device_read_rate(d->memory);
    opt->link_bytes_per_s = device_read_rate(source);
    opt->link_latency_s = source->latency_s;
    opt->dense_bytes = m->dense_bytes;
    opt->other_bytes = other_bytes(o->in.shape, m);
    opt->overlap = o->overlap;
}

/* ---- words -------------------------------------------------------------------------------- */

static double dense_bytes(const struct routed_model *m) {
    double bytes = 0;
    for (int l = 0; l < m->layers; l++)
        bytes += m->dense_bytes[l];
    return bytes;
}

/* Least recently used is what the next layers need first: a cache that holds less than one pass
 * uses evicts each expert shortly before it is looked up again. */
static void warn_cliff(const struct replay_jobs *j, const struct offload *o) {
    int64_t cycle = o->pass_bytes > o->cycle_bytes ? o->pass_bytes : o->cycle_bytes;
    double least = INFINITY;
    int below = 0;
    int global = 0;
    for (int i = 0; i < j->budgets; i++) {
        below += j->budget[i] < (double)cycle;
        least = fmin(least, j->budget[i]);
    }
    for (int i = 0; i < j->policies; i++)
        global |= !j->policy[i].per_layer;
    if (!below || !global)
        return;
    char *what = cycle > o->cycle_bytes
        ? mem_printf("pass's cycle, %lld bytes (the median)", (long long)cycle)
        : mem_printf("token's cycle, %lld bytes (%d experts of each of %d layers)",
                     (long long)cycle, o->k, o->layers);
    warn("%d of %d budgets, from %.0f bytes, are below one %s: there lru evicts every expert "
         "before its next use and hits nothing", below, j->budgets, least, what);
    free(what);
}

/* A share that does not hold a layer's k experts is no limit: they are kept until its next pass. */
static void warn_shares(const struct replay_jobs *j, const struct offload *o) {
    int64_t bytes = 0;
    double share = INFINITY;
    for (int l = 0; l < o->layers; l++)
        if (o->bytes[l] > bytes)
            bytes = o->bytes[l];
    for (int i = 0; i < j->budgets; i++)
        share = fmin(share, j->budget[i] / o->layers);
    for (int i = 0; i < j->policies; i++) {
        if (!j->policy[i].per_layer || share >= (double)(bytes * o->k))
            continue;
        warn("%s: a layer's share, from %.0f bytes, is less than its %d experts of a token: they "
             "stay until its next pass all the same (peak_bytes)", j->policy[i].name, share, o->k);
        return;
    }
}

static void warn_room(const struct replay_jobs *j, const struct offload *o,
                      const struct device *d, double weights) {
    double most = 0;
    for (int i = 0; i < j->budgets; i++)
        most = fmax(most, fmin(j->budget[i], (double)o->all_bytes));
    if (most + weights > d->memory[0].capacity_bytes)
        warn("a budget of %.0f bytes beside %.0f of other weights is more than the %.0f of the "
             "device %s", most, weights, d->memory[0].capacity_bytes, d->name);
}

static void say(const struct options *o, const struct replay_jobs *j, const struct offload *f,
                const struct device *d) {
    const struct routed_model *m = &f->set->model;
    double dense = dense_bytes(m);
    if (o->common.quiet)
        return;
    warn_cliff(j, f);
    warn_shares(j, f);
    warn_room(j, f, d, dense + other_bytes(o->in.shape, m));
    if (!(dense > 0))
        warn("%s does not say what weights there are beside the experts: times leave them out "
             "(--shape)", input_name(o->path));
    if (!j->result[0].decode_tokens)
        warn("%s: nothing decodes: no times, no decode_hit_ratio", input_name(o->path));
}

/* ---- rows --------------------------------------------------------------------------------- */

static struct field fields[] = {
    {"policy", FIELD_TEXT, 0}, {"budget_bytes", FIELD_WHOLE, 0}, {"hit_ratio", 4, 0},
    {"decode_hit_ratio", 4, 0}, {"bytes_read", FIELD_COUNT, 0}, {"ms_per_token", 3, 0},
    {"prefetch", FIELD_TEXT, 1}, {"hidden_ratio", 4, 1}, {"tps", 2, 1},
    {"bytes_read_per_token", FIELD_WHOLE, 1}, {"lookups", FIELD_COUNT, 1},
    {"hits", FIELD_COUNT, 1}, {"decode_lookups", FIELD_COUNT, 1}, {"decode_hits", FIELD_COUNT, 1},
    {"decode_tokens", FIELD_COUNT, 1}, {"loads", FIELD_COUNT, 1}, {"evictions", FIELD_COUNT, 1},
    {"prefetched_bytes", FIELD_COUNT, 1}, {"useful_prefetch_bytes", FIELD_COUNT, 1},
    {"wasted_prefetch_bytes", FIELD_COUNT, 1}, {"load_ms_per_token", 3, 1},
    {"stall_ms_per_token", 3, 1}, {"peak_bytes", FIELD_COUNT, 1}, {"device", FIELD_TEXT, 1},
    {"source", FIELD_TEXT, 1}};
enum { FIELDS = sizeof fields / sizeof *fields, FIRST_OF_PREFETCH = 6, LAST_OF_PREFETCH = 7 };

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : NAN;
}

static double ms_per_token(const struct offload_result *r) {
    return ratio(1e3 * r->decode_s, (double)r->decode_tokens);
}

/* Waiting for what the pass before has asked for may exceed the pass's own loads a little. */
static double hidden_ratio(const struct offload_result *r) {
    double waited = ratio(r->decode_stall_s, r->decode_load_s);
    return isnan(waited) ? NAN : fmax(0, 1 - waited);
}

static double budget_bytes(const struct offload *o, double budget) {
    return isinf(budget) ? (double)o->all_bytes : budget;
}

static void put_row(struct fields *f, const struct replay_jobs *j, int i, const struct offload *o,
                    const char *device, const char *source) {
    const struct offload_result *r = &j->result[i];
    const struct replay_prefetch *p = &j->prefetch[i / j->budgets % j->prefetches];
    double tokens = (double)r->decode_tokens;
    fields_row(f, (struct value[FIELDS]){
        {.text = j->policy[i / j->budgets / j->prefetches].name},
        {.number = budget_bytes(o, j->job[i].budget)},
        {.number = ratio((double)r->hits, (double)r->lookups)},
        {.number = ratio((double)r->decode_hits, (double)r->decode_lookups)},
        {.count = r->bytes_read},
        {.number = ms_per_token(r)},
        {.text = p->name},
        {.number = p->none ? NAN : hidden_ratio(r)},
        {.number = ratio(tokens, r->decode_s)},
        {.number = round(ratio((double)r->decode_bytes_read, tokens))},
        {.count = r->lookups},
        {.count = r->hits},
        {.count = r->decode_lookups},
        {.count = r->decode_hits},
        {.count = r->decode_tokens},
        {.count = r->loads},
        {.count = r->evictions},
        {.count = r->prefetched_bytes},
        {.count = r->useful_bytes},
        {.count = r->prefetched_bytes - r->useful_bytes},
        {.number = ratio(1e3 * r->decode_load_s, tokens)},
        {.number = ratio(1e3 * r->decode_stall_s, tokens)},
        {.count = r->peak_bytes},
        {.text = device},
        {.text = source}});
}

static void put_rows(const struct options *o, const struct replay_jobs *j,
                     const struct offload *of, const char *device, const char *source) {
    struct fields f;
    int plain = j->prefetches == 1 && j->prefetch[0].none;
    for (int i = FIRST_OF_PREFETCH; i <= LAST_OF_PREFETCH; i++)
        fields[i].wide = plain;
    fields_open(&f, fields, FIELDS, &o->common);
    for (int i = 0; i < j->n; i++)
        put_row(&f, j, i, of, device, source);
    fields_close(&f);
}

/* ---- picture ------------------------------------------------------------------------------ */

static double plotted(const struct offload_result *r, int column) {
    switch (column) {
    case 0: return ratio((double)r->decode_hits, (double)r->decode_lookups);
    case 1: return ratio((double)r->hits, (double)r->lookups);
    case 2: return (double)r->bytes_read / 1e9;
    default: return ms_per_token(r);
    }
}

struct point {
    double x, y;
};

static int by_x(const void *a, const void *b) {
    double x = ((const struct point *)a)->x;
    double y = ((const struct point *)b)->x;
    return (x > y) - (x < y);
}

struct curve {
    char *name;
    double *x, *y;              /* [budgets] */
};

static void fill_curve(struct curve *c, const struct replay_jobs *j, int i,
                       const struct offload *of, int column) {
    size_t n = (size_t)j->budgets;
    struct point *p = mem_array(n, sizeof *p);
    *c = (struct curve){.x = mem_array(n, sizeof *c->x), .y = mem_array(n, sizeof *c->y)};
    for (int b = 0; b < j->budgets; b++)
        p[b] = (struct point){budget_bytes(of, j->budget[b]) / 1e9,
                              plotted(&j->result[i * j->budgets + b], column)};
    qsort(p, n, sizeof *p, by_x);
    for (size_t b = 0; b < n; b++) {
        c->x[b] = p[b].x;
        c->y[b] = p[b].y;
    }
    free(p);
    const char *policy = j->policy[i / j->prefetches].name;
    c->name = j->prefetches == 1
        ? mem_strdup(policy) : mem_printf("%s, %s", policy, j->prefetch[i % j->prefetches].name);
}

static void draw(const struct options *o, const struct replay_jobs *j, const struct offload *of) {
    static const char *const axis[] = {"hit ratio while decoding", "hit ratio", "GB read",
                                       "ms per token"};
    int n = j->policies * j->prefetches;
    if (!o->plot)
        return;
    struct curve *c = mem_array((size_t)n, sizeof *c);
    struct plot_series *s = mem_array((size_t)n, sizeof *s);
    for (int i = 0; i < n; i++) {
        fill_curve(&c[i], j, i, of, o->plot_y);
        s[i] = (struct plot_series){c[i].name, c[i].x, c[i].y, (size_t)j->budgets};
    }
    plot_lines(o->plot, &(struct plot_labels){.title = "Caches of experts", .x = "budget, GB",
                                              .y = axis[o->plot_y]}, s, n);
    for (int i = 0; i < n; i++) {
        free(c[i].name);
        free(c[i].x);
        free(c[i].y);
    }
    free(s);
    free(c);
}

/* ---- the verb ----------------------------------------------------------------------------- */

/* Counts of --hot for the same layers and experts; NULL: none asked for. */
static struct loads *read_hot(const struct options *o, const struct routed_model *m) {
    struct routed_options opt = {.experts = m->experts};
    struct err e = {{0}};
    if (!o->hot)
        return NULL;
    struct loads *l = loads_read(o->hot, &opt, &e);
    if (!l)
        die("--hot: %s", e.text);
    if (l->model.layers != m->layers || l->model.experts != m->experts ||
        memcmp(l->model.layer_index, m->layer_index, (size_t)m->layers * sizeof *m->layer_index))
        die("--hot: %s: expected the %d layers of %d experts of the trace, found %d of %d",
            input_name(o->hot), m->layers, m->experts, l->model.layers, l->model.experts);
    return l;
}

static struct offload *prepare(const struct options *o, const struct routed_set *s) {
    struct err e = {{0}};
    struct offload *of = offload_new(s, o->expert_bytes, &e);
    if (!of)
        die("%s: %s%s", input_name(o->path), e.text,
            o->expert_bytes > 0 ? "" : "; --expert-bytes or --shape can");
    return of;
}

static int replay(const struct options *o, struct replay_jobs *j, const struct routed_set *s,
                  const struct device *d, const struct device_memory *source) {
    struct offload *of = prepare(o, s);
    struct loads *hot = read_hot(o, &s->model);
    struct offload_options opt = {.par = par_new(o->common.threads), .seed = o->seed};
    opt.hot = hot ? hot->count : NULL;
    opt.warmup = o->warmup_share > 0 ? (int64_t)(o->warmup_share * (double)s->passes)
                                     : o->warmup_passes;
    set_rates(&opt, o, &s->model, d, source);
    replay_make_jobs(j, o->budget, of, opt.hot);
    offload_run(of, j->job, j->result, j->n, &opt);
    int counted = j->result[0].lookups > 0;
    if (!counted) {
        warn("%s: %s", input_name(o->path),
             s->tokens ? "nothing is left behind the warm-up" : "no tokens");
    } else {
        say(o, j, of, d);
        put_rows(o, j, of, d->name, source->name);
        draw(o, j, of);
    }
    par_free(opt.par);
    loads_free(hot);
    offload_free(of);
    return counted ? EXIT_DONE : EXIT_NOTHING;
}

int route_replay(int argc, char **argv) {
    struct options o = {.policy = "lru,lfu,lfu-decay,s3-fifo,layer-lru,layer-lfu,belady",
                        .budget = "5%,10%,20%,30%,40%,50%,75%", .prefetch = "none",
                        .device = "rtx-4090", .seed = 1};
    struct replay_jobs jobs = {0};
    struct err e = {{0}};
    int status = EXIT_NOTHING;
    parse(&o, argc, argv);
    replay_policies(&jobs, o.policy);
    replay_prefetches(&jobs, o.prefetch);
    replay_budgets_check(o.budget);
    struct device *d = device_find(o.device, &e);
    if (!d)
        die("--device: %s", e.text);
    const struct device_memory *source = find_source(&o, d);
    struct routed_set *s = route_read(o.path, &o.in);
    if (s->tokens)
        status = replay(&o, &jobs, s, d, source);
    else
        warn("%s: no tokens", input_name(o.path));
    replay_free_jobs(&jobs);
    routed_set_free(s);
    device_free(d);
    route_input_free(&o.in);
    return status;
}
