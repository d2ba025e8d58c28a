/* bench_kernels.c - llm-bench kernels: every kernel variant against what the machine can do
 *
 * For each operation, type, shape and number of rows every variant that this processor runs
 * computes the same call; it is first compared with the scalar reference, then timed. What a call
 * counts as operations and bytes stands at the head of the operation's file, bench_kernels_*.c.
 *
 * The reference is slow: it computes the first rows of a large call only, as many as take some
 * tenths of a second. A row's result does not depend on the other rows, so they compare; and its
 * speed is compared by operations a second. --cpu ref times it on all of them.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/bench.h"
#include "cmd/bench_kernels.h"
#include "cmd/progress.h"
#include "lib/stat/order.h"

static const char *const usage[] = {
    "usage: llm-bench kernels [OPTION]...\n"
    "Times every kernel variant of this processor, compares it with the scalar reference and with\n"
    "OpenBLAS, and says what share of the machine's limit it reaches.\n"
    "\n"
    "What to measure\n"
    "      --op LIST          matmul, embed, experts, attention, kv_store, rms_norm, rope,\n"
    "                         rope_angles, glu, add, gate_rows, softcap, route, logsumexp\n"
    "                         (default: all)\n"
    "      --type LIST        types of weights or of the KV cache: Q4_K, F16, ... (default: all)\n"
    "      --n LIST           rows of a call: 1 is decode (default: 1,4,32,512 for matmul and\n"
    "                         experts, 1,512 for most others)\n"
    "      --depth LIST       positions before them, for attention (default 0,4096)\n"
    "      --shape SHAPE      ROWSxCOLS of a matrix, or all shapes of a model: its name, GGUF or\n"
    "                         config.json (default: 2048x2048, and others as usual)\n"
    "      --layout LIST      packed, file: layouts of weights (default: both)\n"
    "      --cpu VARIANT      ref, avx2, avx512: this variant alone (default: all)\n"
    "      --warm             one matrix over and over, from the caches, instead of as many as no\n"
    "                         cache holds\n"
    "      --quick            a few types and sizes, short windows\n"
    "\n"
    "How\n"
    "  -t, --threads N        threads (default: all cores)\n"
    "      --seconds X        time of a figure (default 0.1)\n"
    "  -r, --repeat N         windows that it is cut into: the samples (default 10)\n"
    "      --device PROFILE   limits from a device profile (default: measured first)\n"
    "\n",
    BENCH_USAGE,
    "  -h, --help             this text\n"
    "  -V, --version          the version\n",
    NULL
};

enum { OPT_OP = OPT_VERB, OPT_TYPE, OPT_N, OPT_DEPTH, OPT_SHAPE, OPT_LAYOUT, OPT_WARM, OPT_QUICK,
       OPT_SECONDS, OPT_DEVICE };

static const struct option longs[] = {
    {"op", required_argument, NULL, OPT_OP},
    {"type", required_argument, NULL, OPT_TYPE},
    {"n", required_argument, NULL, OPT_N},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"shape", required_argument, NULL, OPT_SHAPE},
    {"layout", required_argument, NULL, OPT_LAYOUT},
    {"warm", no_argument, NULL, OPT_WARM},
    {"quick", no_argument, NULL, OPT_QUICK},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"repeat", required_argument, NULL, 'r'},
    {"device", required_argument, NULL, OPT_DEVICE},
    COMMON_LONG,
    BENCH_LONG,
    {NULL, 0, NULL, 0}
};

#define MOST_ROWS 8192
#define MOST_DEPTH (1 << 20)

struct options {
    struct common common;
    struct plan plan;
    struct clock_rules rules;
    double seconds;             /* 0: the usual ones */
    unsigned layouts;           /* bits 1 << enum kern_layout */
    int warm;
    const char *device;
};

/* ---- options ------------------------------------------------------------------------------ */

static uint64_t parse_types(const char *arg) {
    const char *names[KERN_TYPES + 1];
    int types[KERN_TYPES];
    int count = 0;
    int n;
    uint64_t bits = 0;
    for (int t = 0; t < KERN_TYPES; t++)
        if (kern_type_info(t)) {
            types[count] = t;
            names[count++] = kern_type_info(t)->name;
        }
    names[count] = NULL;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++)
        bits |= (uint64_t)1 << types[arg_choice("--type", part[i], names)];
    free(part);
    free(text);
    return bits;
}

static void parse_ops(struct plan *p, const char *arg) {
    const char *names[33];
    int count;
    int n;
    const struct operation *const *ops = kernels_operations(&count);
    for (int i = 0; i < count; i++)
        names[i] = ops[i]->name;
    names[count] = NULL;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    p->ops = 0;
    for (int i = 0; i < n && p->ops < 32; i++)
        p->op[p->ops++] = ops[arg_choice("--op", part[i], names)];
    free(part);
    free(text);
}

/* Numbers, each once; returns how many. */
static int parse_numbers(const char *option, const char *arg, int least, int most,
                         int out[TESTS]) {
    int n;
    int count = 0;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++) {
        int value = (int)arg_size(option, part[i], least, most);
        int known = 0;
        for (int j = 0; j < count; j++)
            known |= out[j] == value;
        if (count == TESTS)
            usage_die("%s: more than %d numbers", option, TESTS);
        if (!known)
            out[count++] = value;
    }
    free(part);
    free(text);
    return count;
}

static unsigned parse_layouts(const char *arg) {
    static const char *const names[] = {"file", "packed", NULL};    /* as enum kern_layout */
    int n;
    unsigned bits = 0;
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++)
        bits |= 1u << arg_choice("--layout", part[i], names);
    free(part);
    free(text);
    return bits;
}

static void take_option(struct options *o, int c, const char *arg) {
    struct plan *p = &o->plan;
    switch (c) {
    case OPT_OP: parse_ops(p, arg); break;
    case OPT_TYPE: p->types = parse_types(arg); break;
    case OPT_N: p->ns = parse_numbers("--n", arg, 1, MOST_ROWS, p->n); break;
    case OPT_DEPTH: p->depths = parse_numbers("--depth", arg, 0, MOST_DEPTH, p->depth); break;
    case OPT_SHAPE: p->shape = arg; break;
    case OPT_LAYOUT: o->layouts = parse_layouts(arg); break;
    case OPT_WARM: o->warm = 1; break;
    case OPT_QUICK: p->quick = 1; break;
    case OPT_SECONDS: o->seconds = arg_float("--seconds", arg, 1e-4, 600); break;
    case 'r': o->rules.repeats = (int)arg_int("--repeat", arg, 1, SAMPLES_MOST); break;
    case OPT_DEVICE: o->device = arg; break;
    default: break;
    }
}

/* ---- a run -------------------------------------------------------------------------------- */

struct run {
    const struct options *o;
    struct room room;
    struct bounds bounds;
    const struct kern *ref;
    const struct kern *variant[8];
    int variants;
    struct rows rows;
    struct progress bar;
    int64_t done, total;
    int wrong, measured;
};

static volatile sig_atomic_t interrupted;

static const struct field own[] = {
    {"gflops", 1, 0}, {"gbps", 1, 0}, {"share", 2, 0}, {"binds", FIELD_TEXT, 0},
    {"vs_ref", 1, 0}, {"vs_blas", 2, 0}, {"max_error", 9, 1}, {"tolerance", 9, 1},
    {"op", FIELD_TEXT, 1}, {"type", FIELD_TEXT, 1}, {"shape", FIELD_TEXT, 1},
    {"rows", FIELD_COUNT, 1}, {"depth", FIELD_COUNT, 1}, {"variant", FIELD_TEXT, 1},
    {"layout", FIELD_TEXT, 1}, {"state", FIELD_TEXT, 1}, {"threads", FIELD_COUNT, 1},
    {"ops", FIELD_WHOLE, 1}, {"bytes", FIELD_WHOLE, 1}, {"limit", FIELD_WHOLE, 1}, {"ref_rows", FIELD_COUNT, 1}};

/* The figures of one test: the reference, then OpenBLAS where it computes this, then variants. */
enum { FIGURES_MOST = 20 };
struct outcome {
    const struct subject *s;
    const struct test *t;
    int figures;
    struct figure figure[FIGURES_MOST];
    const struct figure *ref, *blas;    /* blas: NULL without */
};

static double total_ops(const struct work *w) {
    return w->ops[UNIT_F32] + w->ops[UNIT_BF16] + w->ops[UNIT_INT8];
}

/* Operations a second. */
static double speed(const struct figure *f) {
    return total_ops(&f->work) / (order_median(f->us, f->n) * 1e-6);
}

static int uses_blas(const struct run *r, const struct subject *s) {
    return s->op->flags & BLAS && r->room.blas && unit_of(s->type) != UNIT_INT8;
}

static unsigned layouts_of(const struct run *r, const struct subject *s) {
    return s->op->flags & LAYOUTS ? r->o->layouts : 1u << KERN_PACKED;
}

static const char *type_name(const struct subject *s, char *out, size_t size) {
    *out = 0;
    if (s->type >= 0)
        snprintf(out, size, "%s", kern_type_info(s->type)->name);
    if (s->down >= 0 && s->down != s->type)
        snprintf(out + strlen(out), size - strlen(out), "+%s", kern_type_info(s->down)->name);
    if (s->skew)
        snprintf(out + strlen(out), size - strlen(out), "/skew");
    return out;
}

static const char *runner_name(const struct runner *by) {
    return by->k ? by->k->name : "openblas";
}

/* "matmul/Q4_K/n512/avx512": op, type, shape where it is not the usual one, rows, variant. */
static void name_figure(char *out, size_t size, const struct outcome *oc, const struct runner *by) {
    const struct subject *s = oc->s;
    char type[48];
    char depth[16] = "";
    type_name(s, type, sizeof type);
    if (s->op == &kernels_attention)
        snprintf(depth, sizeof depth, "@%d", oc->t->depth);
    snprintf(out, size, "%s%s%s%s%s/n%d%s/%s%s", s->op->name, *type ? "/" : "", type,
             *s->tag ? "/" : "", s->tag, oc->t->n, depth, runner_name(by),
             (s->op->flags & LAYOUTS) && by->k && by->layout == KERN_FILE ? "/file" : "");
}

static void print_figure(struct run *r, const struct outcome *oc, const struct figure *f) {
    const struct subject *s = oc->s;
    const struct runner *by = &f->by;
    char name[160];
    char type[48];
    double seconds = order_median(f->us, f->n) * 1e-6;
    const char *layout = !(s->op->flags & LAYOUTS) ? NULL
                         : !by->k || by->layout == KERN_FILE ? "file" : "packed";
    name_figure(name, sizeof name, oc, by);
    const struct value v[] = {
        {.number = total_ops(&f->work) / seconds * 1e-9},
        {.number = (f->work.read + f->work.written) / seconds * 1e-9}, {.number = f->share.share},
        {.text = f->share.binds}, {.number = speed(f) / speed(oc->ref)},
        {.number = oc->blas ? speed(f) / speed(oc->blas) : NAN}, {.number = f->error},
        {.number = by->k ? s->tolerance : NAN}, {.text = s->op->name},
        {.text = *type_name(s, type, sizeof type) ? type : NULL}, {.text = s->shape}, {.count = oc->t->n},
        {.count = oc->t->depth}, {.text = runner_name(by)}, {.text = layout},
        {.text = bounds_cached(&r->bounds, &f->work) ? "warm" : "cold"},
        {.count = par_threads(r->room.par)}, {.number = total_ops(&f->work)},
        {.number = f->work.read + f->work.written}, {.number = f->share.limit},
        {.count = oc->ref->rows}};
    _Static_assert(sizeof v / sizeof *v == sizeof own / sizeof *own, "a value for each column");
    rows_row(&r->rows, &(struct measure){name, "us", SERIES_LOWER, f->us, f->n, NULL}, v);
    r->measured++;
    if (by->k && f->error > s->tolerance) {
        warn("%s: differs from the reference by %g, more than %g", name, f->error, s->tolerance);
        r->wrong++;
    }
}

/* ---- a test ------------------------------------------------------------------------------- */

/* The reference runs as many rows of a call as make so many operations: some tenths of a second.
 * In floats it calls fmaf for each, which takes ten times as long as its integers. */
static const double ref_ops[UNITS] = {[UNIT_F32] = 60e6, [UNIT_BF16] = 150e6, [UNIT_INT8] = 300e6};
#define QUICKER 5               /* with --quick */

static int only_ref(const struct run *r) {
    return r->variants == 1 && r->variant[0] == r->ref;
}

static int reference_rows(const struct run *r, void *state, const struct subject *s,
                          const struct test *t, const struct runner *by) {
    struct work w = {.read = 0};
    double cost = 0;            /* of a row; the budget is 1 */
    s->op->work(state, by, t, t->n, &w);
    for (int u = 0; u < UNITS; u++)
        cost += w.ops[u] / t->n / ref_ops[u];
    double rows = 1 / (r->o->plan.quick ? QUICKER * cost : cost);
    return only_ref(r) || rows >= t->n ? t->n : rows < 1 ? 1 : (int)rows;
}

static struct figure *add_figure(struct outcome *oc, void *state, struct runner by, int rows) {
    struct figure *f = &oc->figure[oc->figures++];
    assert(oc->figures <= FIGURES_MOST);
    *f = (struct figure){.by = by, .test = oc->t, .rows = rows};
    oc->s->op->work(state, &by, oc->t, rows, &f->work);
    return f;
}

static void choose_figures(const struct run *r, void *state, struct outcome *oc) {
    unsigned layouts = layouts_of(r, oc->s);
    const struct runner ref = {r->ref, layouts >> KERN_PACKED & 1 ? KERN_PACKED : KERN_FILE};
    oc->figures = 0;
    oc->ref = add_figure(oc, state, ref, reference_rows(r, state, oc->s, oc->t, &ref));
    oc->blas = uses_blas(r, oc->s)
                   ? add_figure(oc, state, (struct runner){NULL, KERN_FILE}, oc->t->n) : NULL;
    for (int i = 0; i < r->variants; i++)
        for (int layout = KERN_PACKED; layout >= KERN_FILE; layout--)
            if (layouts >> layout & 1 &&
                (r->variant[i] != r->ref || (only_ref(r) && layout != ref.layout)))
                add_figure(oc, state, (struct runner){r->variant[i], layout}, oc->t->n);
}

static size_t element_bytes(const struct result *r) {
    return r->kind == RESULT_FLOATS ? sizeof(float)
           : r->kind == RESULT_DOUBLES ? sizeof(double) : 1;
}

/* Each computes the test once, which also warms it up, and is compared with the reference. */
static void check_figures(struct outcome *oc, void *state) {
    const struct operation *op = oc->s->op;
    struct result want = {.count = 0};
    void *copy = NULL;
    for (int i = 0; i < oc->figures; i++) {
        struct figure *f = &oc->figure[i];
        op->call(state, &f->by, oc->t, f->rows, -1);
        struct result got = op->result(state, oc->t, f->rows);
        if (!i) {
            size_t bytes = got.count * element_bytes(&got);
            copy = mem_alloc(bytes + 1);
            memcpy(copy, got.data, bytes);
            want = got;
            want.data = copy;
        }
        f->error = result_error(&got, &want);
    }
    free(copy);
}

static void time_figures(struct run *r, struct outcome *oc, void *state) {
    const struct operation *op = oc->s->op;
    bounds_watch(&r->bounds, &oc->ref->work);
    for (int i = 0; i < oc->figures; i++)
        figure_prepare(op, state, &r->o->rules, &oc->figure[i]);
    for (int more = 1; more && !interrupted;) {
        more = 0;
        for (int i = 0; i < oc->figures; i++)
            more |= figure_window(op, state, &oc->figure[i]);
    }
    bounds_watch(&r->bounds, &oc->ref->work);
    for (int i = 0; i < oc->figures; i++) {
        struct figure *f = &oc->figure[i];
        f->share = bounds_share(&r->bounds, &f->work, order_median(f->us, f->n) * 1e-6);
    }
}

/* The reference's row only where it was asked for and computed all rows of the call. */
static void run_test(struct run *r, void *state, const struct subject *s, const struct test *t) {
    static struct outcome oc;
    oc.s = s;
    oc.t = t;
    choose_figures(r, state, &oc);
    check_figures(&oc, state);
    time_figures(r, &oc, state);
    r->done += oc.figures;
    progress_update(&r->bar, r->done, r->total);
    if (interrupted)
        return;
    if (oc.ref->rows == t->n && r->variant[0] == r->ref)
        print_figure(r, &oc, oc.ref);
    for (int i = oc.blas ? 2 : 1; i < oc.figures; i++)
        print_figure(r, &oc, &oc.figure[i]);
    if (oc.blas)
        print_figure(r, &oc, oc.blas);
}

/* ---- all of them -------------------------------------------------------------------------- */

static void run_subject(struct run *r, const struct subject *s) {
    void *state = s->op->open(&r->room, s, layouts_of(r, s), uses_blas(r, s));
    if (!state) {
        warn("%s %s: left out, there is no memory for it", s->op->name, s->shape);
        return;
    }
    for (int i = 0; i < s->tests && !interrupted; i++)
        run_test(r, state, s, &s->test[i]);
    s->op->close(state);
}

/* Of the progress bar: the reference once, each variant by layout, OpenBLAS. */
static int64_t figures_of(const struct run *r, const struct subject *s) {
    int layouts = layouts_of(r, s) == 3 ? 2 : 1;
    int variants = r->variants;
    for (int i = 0; i < r->variants; i++)
        variants -= r->variant[i] == r->ref && !(only_ref(r) && layouts == 2);
    return s->tests * (int64_t)(1 + variants * layouts + uses_blas(r, s));
}

static void choose_variants(struct run *r) {
    const char *why = NULL;
    const char *forced = r->o->common.cpu ? r->o->common.cpu : getenv("LLM_CPU");
    r->ref = kern_select("ref", NULL);
    if (!forced || !*forced) {
        r->variants = kern_variants(r->variant, 8);
        return;
    }
    r->variant[0] = kern_select(forced, &why);
    r->variants = 1;
    if (!r->variant[0])
        usage_die("%s '%s': %s", r->o->common.cpu ? "--cpu" : "LLM_CPU", forced, why);
}

static void find_bounds(struct run *r, const struct device *d) {
    struct err err;
    if (d)
        bounds_of_device(&r->bounds, d);
    else if (bounds_measure(&r->bounds, r->room.par, r->o->plan.quick ? 0.05 : 0.2, &err))
        die_err(&err);
    if (r->o->common.quiet)
        return;
    const struct limits *l = &r->bounds.best;
    warn("%d threads; limits%s%s: read %.1f GB/s, f32 %.0f, bf16 %.0f, int8 %.0f Gop/s",
         par_threads(r->room.par), d ? " of " : "", d ? d->name : "",
         l->read_bytes_per_s * 1e-9, l->f32 * 1e-9, l->bf16 * 1e-9, l->int8 * 1e-9);
}

static void parse(struct options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, "r:" COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !bench_option(c, optarg, &o->common))
            take_option(o, c, optarg);
    if (optind < argc)
        usage_die("'%s': kernels reads no file", argv[optind]);
    o->rules.seconds = o->seconds > 0 ? o->seconds : o->plan.quick ? 0.02 : 0.1;
    kernels_plan(&o->plan);
    if (!o->plan.subjects)
        usage_die("nothing to measure: %s",
                  o->plan.skipped ? "the blocks of these types do not divide these shapes"
                                  : "these operations have none of these types or shapes");
}

int bench_kernels(int argc, char **argv) {
    static struct options o = {.rules.repeats = 10, .layouts = 1u << KERN_FILE | 1u << KERN_PACKED};
    static struct run r;
    struct err err;
    parse(&o, argc, argv);
    r.o = &o;
    choose_variants(&r);
    struct device *device = o.device ? device_find(o.device, &err) : NULL;
    if (o.device && !device)
        usage_die("--device: %s", err.text);
    r.room.blas = blas_load(NULL);
    r.room.par = par_new(o.common.threads);
    r.room.queue.par = (struct kern_par){par_run, r.room.par, par_threads(r.room.par)};
    find_bounds(&r, device);
    r.room.ring_bytes = o.warm ? 0 : ring_size(&r.bounds);
    for (size_t i = 0; i < o.plan.subjects; i++)
        r.total += figures_of(&r, &o.plan.subject[i]);
    common_catch_interrupt(&interrupted);
    progress_start(&r.bar, "measuring", PROGRESS_COUNT, o.common.quiet);
    rows_open(&r.rows, own, (int)(sizeof own / sizeof *own), &o.common, argc, argv);
    for (size_t i = 0; i < o.plan.subjects && !interrupted; i++)
        run_subject(&r, &o.plan.subject[i]);
    progress_end(&r.bar);
    rows_close(&r.rows);
    common_catch_interrupt(NULL);
    if (interrupted)
        warn("interrupted after %lld of %lld figures", (long long)r.done, (long long)r.total);
    if (r.room.queue.scratch)
        mem_unmap(r.room.queue.scratch, r.room.queue.scratch_bytes);
    bounds_free(&r.bounds);
    device_free(device);
    kernels_plan_free(&o.plan);
    par_free(r.room.par);
    return r.wrong || interrupted ? EXIT_FAILED : r.measured ? EXIT_DONE : EXIT_NOTHING;
}
