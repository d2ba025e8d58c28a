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

/* ---- a run -------------------------------------------------------------------------------- */

struct run {
    const struct kernels_options *o;
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
    {"ops", FIELD_WHOLE, 1}, {"bytes", FIELD_WHOLE, 1}, {"limit", FIELD_WHOLE, 1},
    {"ref_rows", FIELD_COUNT, 1}};

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
        {.text = *type_name(s, type, sizeof type) ? type : NULL}, {.text = s->shape},
        {.count = oc->t->n}, {.count = oc->t->depth}, {.text = runner_name(by)}, {.text = layout},
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
    const struct work *work = &oc->figure[oc->figures - 1].work;    /* of all rows */
    bounds_watch(&r->bounds, work);
    for (int i = 0; i < oc->figures; i++)
        figure_prepare(op, state, &r->o->rules, &oc->figure[i]);
    for (int more = 1; more && !interrupted;) {
        more = 0;
        for (int i = 0; i < oc->figures; i++)
            more |= figure_window(op, state, &oc->figure[i]);
    }
    bounds_watch(&r->bounds, work);
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
    if (interrupted)            /* too few windows: it is neither printed nor counted */
        return;
    r->done += oc.figures;
    progress_update(&r->bar, r->done, r->total);
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
    int layouts = layouts_of(r, s) == (1u << KERN_FILE | 1u << KERN_PACKED) ? 2 : 1;
    int others = r->variants - (r->variant[0] == r->ref);
    int by_ref = only_ref(r) ? layouts : 1;
    return s->tests * (int64_t)(by_ref + others * layouts + uses_blas(r, s));
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

int bench_kernels(int argc, char **argv) {
    static struct kernels_options o;
    static struct run r;
    struct err err;
    kernels_options(&o, argc, argv);
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
