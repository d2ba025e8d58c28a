/* cache_tiers.c - llm-cache tiers: GPU, host, disk: what each tier hits, and what loading costs
 *
 * Sizes and rates come from a device profile, from --tier, or from both: a --tier of a memory's
 * name has that memory's rates unless it says others. The replay is lib/cache/tiers.h, one run for
 * each way of writing down.
 */
#include "cmd/cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/fields.h"
#include "cmd/progress.h"
#include "lib/base/num.h"
#include "lib/cache/tiers.h"
#include "lib/shape/device.h"

enum {
    OPT_TIER = OPT_VERB, OPT_DEVICE, OPT_DEVICES, OPT_WRITE, OPT_THRESHOLD, OPT_TAIL_FIRST,
    OPT_WARMUP, OPT_COMPUTE, OPT_FLOPS, OPT_OVERLAP
};

static const char *const usage[] = {
    "usage: llm-cache tiers [OPTION]... [TRACE]\n"
    "Replays a trace through a prefix cache of several tiers; a row for each of them.\n\n"
    "Tiers\n"
    "      --device DEVICE    profile, llm-device(5): h100-sxm, h200, b200, gb200, a100-80g, mi300x,\n"
    "                         l40s, rtx-4090, tpu-v5e, groq-lpu, sambanova-sn40l, cpu, or a file\n"
    "                         (default h100-sxm)\n"
    "      --devices N        so many of them that work as one (default 1)\n"
    "      --tier NAME=SIZE[,READ[,LATENCY]]\n"
    "                         a tier, the fastest first; repeat for more (default: the memories of\n"
    "                         the device, which needs --shape). SIZE: blocks (1000, 64Ki), share of\n"
    "                         the unique blocks (5%), tokens (2Mtok), bytes (64GiB, needs --shape),\n"
    "                         inf. READ: bytes a second into the first tier (50GB). LATENCY: of one\n"
    "                         load (80us). Default: those of the device's memory NAME\n"
    "      --write LIST       through, selective, back, exclusive, or all (default through)\n"
    "      --threshold N      uses after which selective writes a block down (default 2)\n"
    "      --tail-first       a request uses its last block first\n"
    "Time\n"
    "      --compute TYPE     arithmetic of the device that prefills (default bf16)\n"
    "      --flops N          FLOP/s to expect in place of the device's (400T)\n"
    "      --overlap          loads run beside the computation: the longer counts\n"
    "Report\n"
    "      --warmup N         leave a first part out: requests, share (10%) or time (5m)\n"
    "      --json             JSON Lines in place of a table\n"
    "  -v, --verbose          every column on a terminal too\n",
    CACHE_TRACE_USAGE,
    CACHE_MODEL_USAGE,
    "General\n"
    "  -q, --quiet            no progress bar, fewer warnings\n"
    "  -h, --help             -V, --version\n",
    NULL};

struct tier_option {
    char *name, *size;
    double read_bytes_per_s, latency_s;     /* -1: the device's */
};

static const struct write_mode {
    const char *name;
    enum tiers_write write;
    int exclusive;
} modes[] = {
    {"through", TIERS_THROUGH, 0},
    {"selective", TIERS_SELECTIVE, 0},
    {"back", TIERS_BACK, 0},
    {"exclusive", TIERS_BACK, 1},
};
enum { MODES = sizeof modes / sizeof *modes };

struct options {
    struct common common;
    struct cache_trace in;
    struct cache_model model;
    const char *device;
    int devices;
    struct tier_option tier[TIERS_MAX];
    int tiers;
    int write[MODES];           /* in the order of modes */
    int threshold, tail_first, overlap;
    const char *compute, *warmup;
    double flops_per_s;         /* 0: the device's */
};

/* ---- options ---------------------------------------------------------------------------- */

/* "50GB", "50GB/s", "50G" */
static double read_rate(const char *text) {
    char *number = mem_strdup(text);
    size_t n = strlen(number);
    int64_t rate;
    if (n > 2 && !strcmp(number + n - 2, "/s"))
        number[n -= 2] = '\0';
    if (n > 1 && number[n - 1] == 'B')
        number[n - 1] = '\0';
    int bad = num_size(number, 1, INT64_MAX, &rate);
    free(number);
    if (bad)
        usage_die("--tier: '%s': expected bytes a second, such as 50GB", text);
    return (double)rate;
}

/* "80us", "1.5ms", "0s" */
static double read_latency(const char *text) {
    static const struct {
        const char *unit;
        double s;
    } units[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
    size_t n = strlen(text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t tail = strlen(units[i].unit);
        double x;
        if (n <= tail || strcmp(text + n - tail, units[i].unit))
            continue;
        char *number = mem_strndup(text, n - tail);
        int bad = num_float(number, 0, 1e6, &x);
        free(number);
        if (!bad)
            return x * units[i].s;
    }
    usage_die("--tier: '%s': expected a time with us, ms or s behind it", text);
}

static void add_tier(struct options *o, char *text) {
    char *equals = strchr(text, '=');
    struct tier_option *t = &o->tier[o->tiers];
    int n;
    if (!equals || equals == text || !equals[1])
        usage_die("--tier: '%s': expected NAME=SIZE[,READ[,LATENCY]]", text);
    if (o->tiers == TIERS_MAX)
        usage_die("--tier: at most %d tiers", TIERS_MAX);
    *equals = '\0';
    char **part = arg_list(equals + 1, &n);
    if (n > 3)
        usage_die("--tier: '%s': expected size, bandwidth and latency, found %d parts", text, n);
    for (int i = 0; i < o->tiers; i++)
        if (!strcmp(o->tier[i].name, text))
            usage_die("--tier: '%s' is there twice", text);
    *t = (struct tier_option){.name = text, .size = part[0],
                              .read_bytes_per_s = n > 1 ? read_rate(part[1]) : -1,
                              .latency_s = n > 2 ? read_latency(part[2]) : -1};
    free(part);
    o->tiers++;
}

static void add_writes(struct options *o, char *list) {
    static const char *const names[] = {"through", "selective", "back", "exclusive", "all", NULL};
    int n;
    char **part = arg_list(list, &n);
    memset(o->write, 0, sizeof o->write);
    for (int i = 0; i < n; i++) {
        int mode = arg_choice("--write", part[i], names);
        for (int m = 0; m < MODES; m++)
            o->write[m] |= mode == m || mode == MODES;
    }
    free(part);
}

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, CACHE_TRACE_LONG, CACHE_MODEL_LONG,
        {"tier", required_argument, NULL, OPT_TIER},
        {"device", required_argument, NULL, OPT_DEVICE},
        {"devices", required_argument, NULL, OPT_DEVICES},
        {"write", required_argument, NULL, OPT_WRITE},
        {"threshold", required_argument, NULL, OPT_THRESHOLD},
        {"tail-first", no_argument, NULL, OPT_TAIL_FIRST},
        {"warmup", required_argument, NULL, OPT_WARMUP},
        {"compute", required_argument, NULL, OPT_COMPUTE},
        {"flops", required_argument, NULL, OPT_FLOPS},
        {"overlap", no_argument, NULL, OPT_OVERLAP},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) || cache_trace_option(c, optarg, &o->in) ||
            cache_model_option(c, optarg, &o->model))
            continue;
        switch (c) {
        case OPT_TIER: add_tier(o, optarg); break;
        case OPT_DEVICE: o->device = optarg; break;
        case OPT_DEVICES: o->devices = (int)arg_int("--devices", optarg, 1, 1 << 20); break;
        case OPT_WRITE: add_writes(o, optarg); break;
        case OPT_THRESHOLD: o->threshold = (int)arg_int("--threshold", optarg, 1, 255); break;
        case OPT_TAIL_FIRST: o->tail_first = 1; break;
        case OPT_WARMUP: o->warmup = optarg; break;
        case OPT_COMPUTE: o->compute = optarg; break;
        case OPT_FLOPS:
            o->flops_per_s = (double)arg_size("--flops", optarg, 1, INT64_MAX);
            break;
        case OPT_OVERLAP: o->overlap = 1; break;
        }
    }
    if (!o->tiers && !o->model.shape)
        usage_die("no --tier: gpu=1000, for example; or a --shape, for the device's memories");
    cache_trace_operand(argc, argv, usage, &o->in);
    cache_model_ready(&o->model);
}

/* ---- setup ------------------------------------------------------------------------------ */

static struct device *find_device(const struct options *o) {
    struct err e = {{0}};
    struct device *d = device_find(o->device, &e);
    if (!d)
        die("--device: %s", e.text);
    return d;
}

static double find_flops(const struct options *o, const struct device *d) {
    double flops = o->flops_per_s > 0 ? o->flops_per_s : device_flops(d, o->compute) * o->devices;
    if (!(flops > 0))
        usage_die("--compute: %s: the device %s has no arithmetic of this type", o->compute,
                  d->name);
    return flops;
}

/* A tenth of the first memory is left to activations, as vLLM leaves it (gpu_memory_utilization
 * 0.9), and what weights take. */
#define KV_SHARE 0.9

static void add_memories(struct options *o, const struct device *d, char **size) {
    const struct shape *m = o->model.shape;
    double room[TIERS_MAX];
    for (int i = 0; i < d->memories && i < TIERS_MAX; i++)
        room[i] = d->memory[i].capacity_bytes * o->devices;
    if (!d->memories)
        die("--device: %s lists no memory; give --tier", d->name);
    room[0] = room[0] * KV_SHARE - (double)m->weight_bytes;
    if (room[0] < o->model.token_bytes)
        die("%s: %.1f GB of weights leave no room in %d x %s; more --devices, or --tier",
            m->name, (double)m->weight_bytes / 1e9, o->devices, d->name);
    for (int i = 0; i < d->memories && i < TIERS_MAX; i++) {
        size[i] = mem_printf("%.0fB", room[i]);
        o->tier[o->tiers++] = (struct tier_option){
            .name = mem_strdup(d->memory[i].name), .size = size[i], .read_bytes_per_s = -1,
            .latency_s = -1};
    }
}

/* Rates of tier i where it says none itself: those of the device's memory of its name. */
static void set_rates(const struct options *o, const struct device *d, int i,
                      struct tiers_tier *t) {
    const struct tier_option *from = &o->tier[i];
    const struct device_memory *m = device_memory(d, from->name);
    t->read_bytes_per_s = from->read_bytes_per_s;
    t->latency_s = from->latency_s;
    if (i == 0)
        return;
    if (t->read_bytes_per_s < 0 && !m && o->model.shape)
        usage_die("--tier: %s: the device %s has no memory of this name; give a bandwidth",
                  from->name, d->name);
    if (t->read_bytes_per_s < 0)
        t->read_bytes_per_s = m ? device_read_rate(m) * o->devices : 0;
    if (t->latency_s < 0)
        t->latency_s = m ? m->latency_s : 0;
}

static struct tiers_setup make_setup(struct options *o, const struct blocks *b,
                                     const struct device *d) {
    struct tiers_setup s = {.blocks = b, .tiers = o->tiers, .threshold = o->threshold,
                            .tail_first = o->tail_first, .overlap = o->overlap,
                            .warmup = cache_warmup(o->warmup, &o->in, b), .shape = o->model.shape,
                            .kv_bits = o->model.kv_bits};
    if (s.shape)
        s.flops_per_s = find_flops(o, d);
    for (int i = 0; i < o->tiers; i++) {
        int n;
        int64_t *size = cache_sizes("--tier", o->tier[i].size, b, &o->model, &n);
        s.tier[i].capacity = size[0];
        free(size);
        set_rates(o, d, i, &s.tier[i]);
    }
    return s;
}

/* ---- report ----------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"write", FIELD_TEXT, 0}, {"tier", FIELD_TEXT, 0}, {"size_blocks", FIELD_COUNT, 0},
    {"size_bytes", FIELD_WHOLE, 1}, {"requests", FIELD_COUNT, 1}, {"accesses", FIELD_COUNT, 1},
    {"input_tokens", FIELD_COUNT, 1}, {"hit_blocks", FIELD_COUNT, 1},
    {"hit_tokens", FIELD_COUNT, 1}, {"block_hit_ratio", 4, 1}, {"token_hit_ratio", 4, 0},
    {"total_hit_blocks", FIELD_COUNT, 1}, {"total_hit_tokens", FIELD_COUNT, 1},
    {"total_block_hit_ratio", 4, 1}, {"total_token_hit_ratio", 4, 0}, {"loads", FIELD_COUNT, 1},
    {"loaded_bytes", FIELD_WHOLE, 1}, {"load_s", 3, 0}, {"recompute_s", 3, 0},
    {"load_ratio", 4, 1}, {"breakeven_tokens", FIELD_WHOLE, 0}, {"written_blocks", FIELD_COUNT, 1},
    {"written_bytes", FIELD_WHOLE, 1}, {"evicted_blocks", FIELD_COUNT, 1}, {"prefill_s", 3, 0},
    {"prefill_vs_none", 4, 0}, {"prefill_vs_first", 4, 1}};
enum { FIELDS = sizeof fields / sizeof *fields };

struct report {
    struct fields fields;
    const struct options *o;
    const struct tiers_setup *s;
};

/* A number that needs a shape: no value without. */
static double timed(const struct report *p, double v) {
    return p->s->shape ? v : NAN;
}

/* The same of a tier that is loaded from, which the first is not. */
static double loaded(const struct report *p, int i, double v) {
    return i ? timed(p, v) : NAN;
}

static void put_row(struct report *p, const struct tiers_result *r, const char *write, int i) {
    const struct tiers_counts *c = &r->tier[i];
    double accesses = (double)r->accesses;
    double tokens = (double)r->input_tokens;
    double block = p->o->model.token_bytes * p->s->blocks->block_tokens;
    const struct value row[FIELDS] = {
        {.text = write},
        {.text = p->o->tier[i].name},
        {.count = p->s->tier[i].capacity},
        {.number = round(timed(p, (double)p->s->tier[i].capacity * block))},
        {.count = r->requests},
        {.count = r->accesses},
        {.count = r->input_tokens},
        {.count = c->hit_blocks},
        {.count = c->hit_tokens},
        {.number = cache_ratio((double)c->hit_blocks, accesses)},
        {.number = cache_ratio((double)c->hit_tokens, tokens)},
        {.count = c->prefix_blocks},
        {.count = c->prefix_tokens},
        {.number = cache_ratio((double)c->prefix_blocks, accesses)},
        {.number = cache_ratio((double)c->prefix_tokens, tokens)},
        {.count = c->loads},
        {.number = round(timed(p, c->loaded_bytes))},
        {.number = loaded(p, i, c->load_s)},
        {.number = loaded(p, i, c->recompute_s)},
        {.number = loaded(p, i, cache_ratio(c->load_s, c->recompute_s))},
        {.number = round(tiers_break_even(p->s, i))},
        {.count = c->written_blocks},
        {.number = round(timed(p, (double)c->written_blocks * block))},
        {.count = c->evicted_blocks},
        {.number = timed(p, c->prefill_s)},
        {.number = timed(p, cache_ratio(c->prefill_s, r->uncached_s))},
        {.number = timed(p, cache_ratio(c->prefill_s, r->tier[0].prefill_s))}};
    fields_row(&p->fields, row);
}

struct bar {
    struct progress progress;
    int64_t before, total;      /* requests of the runs done, and of all */
};

static int show(void *arg, int64_t requests) {
    struct bar *b = arg;
    progress_update(&b->progress, b->before + requests, b->total);
    return 0;
}

static void run_modes(struct report *p, struct tiers_setup *s) {
    struct bar bar = {.total = 0};
    for (int m = 0; m < MODES; m++)
        bar.total += p->o->write[m] ? s->blocks->requests : 0;
    progress_start(&bar.progress, "replaying", PROGRESS_COUNT, p->o->common.quiet);
    for (int m = 0; m < MODES; m++) {
        struct tiers_result r;
        struct err e = {{0}};
        if (!p->o->write[m])
            continue;
        s->write = modes[m].write;
        s->exclusive = modes[m].exclusive;
        if (tiers_run(s, show, &bar, &r, &e) < 0)
            die_err(&e);
        bar.before += s->blocks->requests;
        for (int i = 0; i < s->tiers; i++)
            put_row(p, &r, modes[m].name, i);
    }
    progress_end(&bar.progress);
}

static void report(const struct options *o, struct tiers_setup *s) {
    struct report p = {.o = o, .s = s};
    fields_open(&p.fields, fields, FIELDS, &o->common);
    run_modes(&p, s);
    fields_close(&p.fields);
}

int cache_tiers(int argc, char **argv) {
    struct options o = {.model = {.kv_bits = 16}, .device = "h100-sxm", .devices = 1,
                        .write = {1}, .threshold = 2, .compute = "bf16"};
    char *size[TIERS_MAX] = {0};
    parse(&o, argc, argv);
    struct device *d = find_device(&o);
    if (!o.tiers)
        add_memories(&o, d, size);
    struct blocks *b = cache_load(&o.in, &o.common);
    struct tiers_setup s = make_setup(&o, b, d);
    int nothing = cache_nothing(&o.in, b, s.warmup);
    if (!nothing)
        report(&o, &s);
    for (int i = 0; i < TIERS_MAX && size[i]; i++) {
        free(size[i]);
        free(o.tier[i].name);
    }
    blocks_free(b);
    device_free(d);
    shape_free(o.model.shape);
    return nothing ? EXIT_NOTHING : EXIT_DONE;
}
