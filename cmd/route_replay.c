/* route_replay.c - llm-route replay: what caches of experts would have hit, read, and taken
 *
 * offload.h replays; this file holds the options and the device's rates.
 */
#include "cmd/route_replay.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "lib/route/loads.h"

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
        case OPT_SEED: o->seed = arg_seed(optarg); break;
        case OPT_DEVICE: o->device = optarg; break;
        case OPT_SOURCE: o->source = optarg; break;
        case OPT_OVERLAP: o->overlap = 1; break;
        case OPT_PLOT: o->plot = plot_check(optarg); break;
        case OPT_PLOT_Y: o->plot_y = arg_choice("--plot-y", optarg, replay_plot_columns); break;
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
             opt.warmup > 0 ? "nothing is left behind the warm-up" : "no token has experts");
    } else {
        const struct replay_report report = {.jobs = j, .trace = of, .device = d,
                                             .source = source, .rest_bytes = opt.other_bytes,
                                             .path = o->path};
        if (!o->common.quiet)
            replay_say(&report);
        replay_rows(&report, &o->common);
        replay_draw(&report, o->plot, o->plot_y);
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
