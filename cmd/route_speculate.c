/* route_speculate.c - llm-route speculate: whether drafts pay on this mixture of experts
 *
 * The trace says over how many experts tokens that follow each other spread (lib/route/spread.h),
 * and, with a shape, how many bytes that is; speculate.h makes times of it. Rows and verdict are in
 * route_speculate_rows.c.
 */
#include "cmd/route_speculate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "lib/route/spread.h"
#include "lib/shape/device.h"

#define DRAFT_MOST 4096
#define BATCH_MOST 65536

enum {
    OPT_ACCEPT = OPT_VERB, OPT_DRAFT, OPT_DRAFT_COST, OPT_BATCH, OPT_WINDOWS, OPT_DEVICE,
    OPT_COMPUTE, OPT_EXPERTS_IN, OPT_CONTEXT, OPT_KV_BITS, OPT_LEVEL, OPT_RESAMPLES, OPT_SEED,
    OPT_PLOT
};

static const char *const usage[] = {
    "usage: llm-route speculate [OPTION]... [ROUTES]\n"
    "Whether speculative decoding pays on this mixture of experts, by draft length and\n"
    "acceptance: a pass that verifies drafts reads the experts of all its tokens, which are\n"
    "counted in the routes.\n\n"
    "Drafts\n"
    "      --accept LIST      chance that a drafted token is taken, if those before it were: 0.6,\n"
    "                         80% (default 0.5,0.6,0.7,0.8,0.9)\n"
    "      --draft LIST       drafted tokens a pass (default 1,2,3,4,5,6,7,8)\n"
    "      --draft-cost SHARE of a decoding pass that a drafted token costs; 0: n-grams are\n"
    "                         looked up (default 0.05)\n"
    "      --batch N          requests that decode together (default 1)\n"
    "      --windows KIND     tokens counted together: beside (windows side by side), sliding\n"
    "                         (from every token), passes (each pass as it was, with drafts that\n"
    "                         were taken back; default where the routes have such, else beside)\n",
    ROUTE_INPUT_USAGE,
    "Time (default: in proportion to the bytes that a pass reads)\n"
    "      --device DEVICE    profile, llm-device(5): h100-sxm, rtx-4090, cpu, ..., or a file;\n"
    "                         adds milliseconds, and with --shape the limit of arithmetic\n"
    "      --compute TYPE     arithmetic of the device (default bf16)\n"
    "      --experts-in NAME  memory of the device that experts are read from: host, disk\n"
    "                         (default its first)\n"
    "      --context TOKENS   behind each request, whose KV a pass reads; needs --shape\n"
    "                         (default 0)\n"
    "      --kv-bits BITS     of an element of the KV (default 16)\n"
    "Report\n"
    "      --level P          of the intervals (default 95%)\n"
    "      --resamples N      of the bootstrap (default 10000)\n"
    "      --seed N           of the bootstrap (default 1)\n"
    "      --plot FILE        draw speedup by draft length; .svg or .png\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n"
    "Examples\n"
    "  llm-route speculate --accept 0.6,0.8 routes.csv\n"
    "  llm-run -m MODEL.gguf -f prose.txt -n 0 --routes - | llm-route speculate --draft-cost 0\n"
    "  llm-route speculate --device h100-sxm --shape qwen3-30b-a3b --batch 16 routes.npy\n",
    NULL};

/* ---- options ------------------------------------------------------------------------------ */

static void take_accept(struct speculate_options *o, const char *arg) {
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &o->accepts);
    free(o->accept);
    o->accept = mem_array((size_t)o->accepts, sizeof *o->accept);
    for (int i = 0; i < o->accepts; i++)
        o->accept[i] = arg_share("--accept", part[i], 0, 1);
    free(part);
    free(text);
}

static int by_length(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

static void take_draft(struct speculate_options *o, const char *arg) {
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &o->drafts);
    free(o->draft);
    o->draft = mem_array((size_t)o->drafts, sizeof *o->draft);
    for (int i = 0; i < o->drafts; i++)
        o->draft[i] = (int)arg_int("--draft", part[i], 1, DRAFT_MOST);
    qsort(o->draft, (size_t)o->drafts, sizeof *o->draft, by_length);
    free(part);
    free(text);
}

static void take_option(struct speculate_options *o, int c, const char *arg) {
    static const char *const windows[] = {"beside", "sliding", "passes", NULL};
    switch (c) {
    case OPT_ACCEPT: take_accept(o, arg); break;
    case OPT_DRAFT: take_draft(o, arg); break;
    case OPT_DRAFT_COST: o->draft_cost = arg_share("--draft-cost", arg, 0, 100); break;
    case OPT_BATCH: o->batch = (int)arg_int("--batch", arg, 1, BATCH_MOST); break;
    case OPT_WINDOWS: o->windows = arg_choice("--windows", arg, windows); break;
    case OPT_DEVICE: o->device = arg; break;
    case OPT_COMPUTE: o->compute = arg; break;
    case OPT_EXPERTS_IN: o->experts_in = arg; break;
    case OPT_CONTEXT: o->context = arg_size("--context", arg, 0, INT64_C(1) << 40); break;
    case OPT_KV_BITS: o->kv_bits = arg_float("--kv-bits", arg, 1, 64); break;
    case OPT_LEVEL: o->boot.level = arg_level(arg); break;
    case OPT_RESAMPLES:
        o->boot.resamples = (int)arg_size("--resamples", arg, 100, 10000000);
        break;
    case OPT_SEED: o->boot.seed = arg_seed(arg); break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    default: break;
    }
}

static void parse(struct speculate_options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, ROUTE_INPUT_LONG,
        {"accept", required_argument, NULL, OPT_ACCEPT},
        {"draft", required_argument, NULL, OPT_DRAFT},
        {"draft-cost", required_argument, NULL, OPT_DRAFT_COST},
        {"batch", required_argument, NULL, OPT_BATCH},
        {"windows", required_argument, NULL, OPT_WINDOWS},
        {"device", required_argument, NULL, OPT_DEVICE},
        {"compute", required_argument, NULL, OPT_COMPUTE},
        {"experts-in", required_argument, NULL, OPT_EXPERTS_IN},
        {"context", required_argument, NULL, OPT_CONTEXT},
        {"kv-bits", required_argument, NULL, OPT_KV_BITS},
        {"level", required_argument, NULL, OPT_LEVEL},
        {"resamples", required_argument, NULL, OPT_RESAMPLES},
        {"seed", required_argument, NULL, OPT_SEED},
        {"plot", required_argument, NULL, OPT_PLOT},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !route_input_option(c, optarg, &o->in))
            take_option(o, c, optarg);
    if (!o->accept)
        take_accept(o, "0.5,0.6,0.7,0.8,0.9");
    if (!o->draft)
        take_draft(o, "1,2,3,4,5,6,7,8");
    if (o->context && !o->in.shape)
        usage_die("--context needs --shape, which says how large the KV of a token is");
    if (o->experts_in && !o->device)
        usage_die("--experts-in needs --device, whose memory it is");
    route_input_ready(&o->in);
}

/* ---- costs -------------------------------------------------------------------------------- */

static double sum_of(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static int has_layer(const struct routed_model *m, int layer) {
    for (int l = 0; l < m->layers; l++)
        if (m->layer_index[l] == layer)
            return 1;
    return 0;
}

/* What the shape knows and routes do not: the head, layers without experts, the KV. */
static double other_bytes(const struct speculate_options *o, const struct routed_model *m) {
    const struct shape *s = o->in.shape;
    double bytes = (double)s->head_bytes;
    for (int l = 0; l < s->layers; l++)
        if (!has_layer(m, l))
            bytes += (double)s->dense_bytes[l];
    if (o->context > 0)
        bytes += o->batch * shape_kv_read(s, o->context, o->context, o->kv_bits);
    return bytes;
}

static void check_bytes(const char *name, const struct routed_model *m) {
    for (int l = 0; l < m->layers; l++)
        if (!(m->expert_bytes[l] > 0) || !(m->dense_bytes[l] > 0))
            die("%s: no bytes of %s in layer %d, which passes are compared by: say the model with "
                "--shape", name, m->expert_bytes[l] > 0 ? "dense weights" : "experts",
                (int)m->layer_index[l]);
}

/* A trace of other weights than the shape's, whose head then is not that of the trace. */
#define BYTES_APART 1.1

static void compare_bytes(const struct speculate_options *o, const char *name,
                          const struct routed_model *m) {
    const struct shape *s = o->in.shape;
    int layer = m->layer_index[0];
    if (layer >= s->layers || s->expert_bytes[layer] <= 0)
        return;
    double apart = (double)s->expert_bytes[layer] / m->expert_bytes[0];
    if (apart > BYTES_APART || apart < 1 / BYTES_APART)
        warn("%s: an expert has %.0f bytes, of --shape %lld: head and other layers are counted as "
             "the shape stores them; --shape NAME,weight_bits=N says it", name, m->expert_bytes[0],
             (long long)s->expert_bytes[layer]);
}

static const struct device_memory *expert_memory(const struct speculate_options *o,
                                                 const struct device *d) {
    const struct device_memory *memory = &d->memory[0];
    if (o->experts_in)
        memory = device_memory(d, o->experts_in);
    if (!memory)
        die("--experts-in: the device %s has no memory '%s'", d->name, o->experts_in);
    return memory;
}

static void set_device(const struct speculate_options *o, struct speculate_costs *c) {
    struct err e = {{0}};
    struct device *d = device_find(o->device, &e);
    if (!d)
        die("--device: %s", e.text);
    if (!d->memories)
        die("--device: %s lists no memory", d->name);
    c->dense_rate = device_read_rate(&d->memory[0]);
    c->expert_rate = device_read_rate(expert_memory(o, d));
    if (o->in.shape) {
        struct shape_flops f = {0};
        shape_add_row_flops(o->in.shape, o->context, 1, &f);
        c->token_flops = shape_sum_flops(&f);
        c->flops_rate = device_flops(d, o->compute);
        if (!(c->flops_rate > 0))
            die("--compute: the device %s has no arithmetic '%s'", d->name, o->compute);
    }
    device_free(d);
}

static struct speculate_costs find_costs(const struct speculate_options *o, const char *name,
                                         const struct routed_model *m) {
    struct speculate_costs c = {.dense_rate = 1, .expert_rate = 1, .draft_cost = o->draft_cost,
                                .batch = o->batch};
    check_bytes(name, m);
    c.expert_bytes = sum_of(m->expert_bytes, m->layers);
    c.dense_bytes = sum_of(m->dense_bytes, m->layers);
    if (o->in.shape)
        c.dense_bytes += other_bytes(o, m);
    if (o->in.shape && !o->common.quiet)
        compare_bytes(o, name, m);
    if (!o->in.shape && !o->common.quiet)
        warn("%s: the output head and the KV are not in it: --shape adds their bytes", name);
    if (o->device)
        set_device(o, &c);
    return c;
}

/* ---- growth ------------------------------------------------------------------------------- */

static int all_equal(const double *x, int n) {
    for (int i = 1; i < n; i++)
        if (x[i] != x[0])
            return 0;
    return 1;
}

static struct spread_mean mean_of(const struct speculate_options *o, const struct spread *s, int b,
                                  const double *weight) {
    struct spread_mean mean = spread_mean(s, b, weight, o->batch == 1 ? &o->boot : NULL);
    if (o->batch > 1)
        mean.mean = spread_batch(s, b, o->batch, weight);
    return mean;
}

static struct speculate_growth count(const struct speculate_options *o, const struct spread *s,
                                     const struct routed_model *m, double used, int draft) {
    int b = draft + 1;
    double tokens = (double)b * o->batch;
    struct spread_mean plain = mean_of(o, s, b, NULL);
    struct spread_mean heavy = plain;
    if (!all_equal(m->expert_bytes, m->layers))
        heavy = mean_of(o, s, b, m->expert_bytes);
    return (struct speculate_growth){
        .draft = draft, .windows = plain.windows, .unique = plain.mean,
        .interval = plain.interval, .weighted = heavy.mean, .weighted_interval = heavy.interval,
        .formula = spread_formula(m->experts, used, tokens),
        .by_load = spread_by_load(s, tokens, NULL)};
}

static int has_rejected(const struct routed_set *set) {
    for (int64_t t = 0; t < set->tokens; t++)
        if (!set->accepted[t])
            return 1;
    return 0;
}

static struct spread *find_spread(const struct speculate_options *o, const char *name,
                                  const struct routed_set *set) {
    int windows = o->windows;
    if (windows < 0)
        windows = has_rejected(set) && o->batch == 1 ? SPREAD_PASSES : SPREAD_BESIDE;
    struct spread *s = spread_new(set, SPREAD_BEST, (enum spread_windows)windows);
    if (o->batch > spread_requests(s) && !o->common.quiet)
        warn("%s: %lld request%s, fewer than the batch: tokens are drawn from all of them", name,
             (long long)spread_requests(s), spread_requests(s) == 1 ? "" : "s");
    return s;
}

/* 0: nothing of any length could be counted. */
static int report(const struct speculate_options *o, const char *name,
                  const struct routed_set *set) {
    struct speculate_growth *growth = mem_array((size_t)o->drafts, sizeof *growth);
    struct spread *s = find_spread(o, name, set);
    struct speculate_costs c = find_costs(o, name, &set->model);
    double used = spread_mean(s, 1, NULL, NULL).mean;
    int counted = 0;
    if (isnan(used))
        used = set->model.k;
    struct speculate_growth one = count(o, s, &set->model, used, 0);
    if (isnan(one.unique))      /* passes that all verify drafts: what a token uses is known */
        one.unique = one.weighted = used;
    for (int i = 0; i < o->drafts; i++) {
        growth[i] = count(o, s, &set->model, used, o->draft[i]);
        counted += !isnan(growth[i].unique);
    }
    if (counted)
        speculate_print(&(struct speculate_report){o, &c, &one, growth});
    spread_free(s);
    free(growth);
    return counted;
}

int route_speculate(int argc, char **argv) {
    struct speculate_options o = {.draft_cost = 0.05, .batch = 1, .windows = -1,
                                  .compute = "bf16", .kv_bits = 16,
                                  .boot = {.resamples = 10000, .level = 0.95, .seed = 1}};
    int operands;
    parse(&o, argc, argv);
    char **path = common_inputs(argc, argv, usage, 1, &operands);
    const char *name = input_name(path[0]);
    struct routed_set *set = route_read(path[0], &o.in);
    int counted = set->tokens > 0 && report(&o, name, set);
    if (!counted)
        warn("%s: nothing to count: no tokens follow each other in so many as a draft and one more",
             name);
    routed_set_free(set);
    route_input_free(&o.in);
    free(o.draft);
    free(o.accept);
    return counted ? EXIT_DONE : EXIT_NOTHING;
}
