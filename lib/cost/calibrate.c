/* calibrate.c - recorded passes to points, points to a fit, see calibrate.h */
#include "lib/cost/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/stat/order.h"
#include "lib/trace/steps.h"

#define POINTS_MOST 4096        /* more differ in nothing that a fit could use */

struct point {                  /* passes that are alike */
    int model;                  /* index into calibrate.model */
    int phase, tokens, place, logits;
    struct work work;           /* of the first */
    double *ns;                 /* [n] */
    size_t n, cap;
};

struct calibrate {
    const struct device *device;
    const char *type;
    struct work_model *model;   /* [models] one for each run record; shapes are owned */
    int models;
    struct point *point;
    int points, points_cap;
    int64_t steps;
};

struct calibrate *calibrate_new(const struct device *d, const char *type) {
    struct calibrate *c = mem_alloc(sizeof *c);
    c->device = d;
    c->type = type;
    return c;
}

static void free_shape(const struct shape *s) {
    union {                     /* ours, though struct work_model only borrows */
        const struct shape *from;
        struct shape *to;
    } own = {s};
    shape_free(own.to);
}

void calibrate_free(struct calibrate *c) {
    if (!c)
        return;
    for (int i = 0; i < c->models; i++)
        free_shape(c->model[i].shape);
    for (int i = 0; i < c->points; i++)
        free(c->point[i].ns);
    free(c->model);
    free(c->point);
    free(c);
}

/* ---- passes ------------------------------------------------------------------------------- */

/* Scores of rows at positions [from, to) that one request has in the pass. */
static double score_flops(const struct work_model *m, int64_t from, int64_t to) {
    struct work w;
    work_prefill(m, from, to, &w);
    return w.score_flops;
}

void calibrate_step_work(const struct trace_run *run, const struct trace_step *step,
                         struct work_model *m, struct work *out) {
    const struct shape *s = run->shape;
    struct work plain;
    *m = (struct work_model){.shape = s, .kv_bits = run->kv_bits, .batch = step->n_rows,
                             .prune_last = 1};
    work_decode(m, 0, &plain);
    double body = plain.bytes.dense - plain.head_bytes;
    *out = (struct work){.flops = step->flops, .bytes = step->bytes, .rows = step->tokens,
                         .tokens = step->tokens, .passes = 1};
    out->head_bytes = step->flops.head > 0 ? fmin(plain.head_bytes, step->bytes.dense) : 0;
    if (body > 0)
        out->attention_bytes =
            (step->bytes.dense - out->head_bytes) * plain.attention_bytes / body;
    for (int i = 0; i < step->n_rows; i++)
        out->score_flops += score_flops(m, step->rows[i].position,
                                        step->rows[i].position + step->rows[i].tokens);
    if (!step->n_rows)
        out->score_flops = score_flops(m, step->position, step->position + step->tokens);
    out->score_flops = fmin(out->score_flops, step->flops.attention);
}

/* A quarter of a power of two. */
static int place_of(double position) {
    return (int)floor(4 * log2(position + 1));
}

static struct point *find_point(struct calibrate *c, const struct point *like) {
    for (int i = c->points - 1; i >= 0; i--) {
        struct point *p = &c->point[i];
        if (p->model == like->model && p->phase == like->phase && p->tokens == like->tokens &&
            p->place == like->place && p->logits == like->logits)
            return p;
    }
    if (c->points == POINTS_MOST)
        return NULL;
    if (c->points == c->points_cap) {
        c->points_cap = c->points_cap ? 2 * c->points_cap : 64;
        c->point = mem_grow(c->point, (size_t)c->points_cap, sizeof *c->point);
    }
    c->point[c->points] = *like;
    return &c->point[c->points++];
}

static void add_step(struct calibrate *c, const struct trace_run *run,
                     const struct trace_step *step) {
    double seen = step->n_rows ? 0 : (double)step->position;
    struct work_model m;
    for (int i = 0; i < step->n_rows; i++)
        seen += (double)step->rows[i].position;
    struct point like = {.model = c->models - 1, .phase = step->phase, .tokens = step->tokens,
                         .place = place_of(seen), .logits = step->logits};
    c->steps++;
    if (step->ns <= 0)
        return;
    calibrate_step_work(run, step, &m, &like.work);
    struct point *p = find_point(c, &like);
    if (!p)
        return;
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 8;
        p->ns = mem_grow(p->ns, p->cap, sizeof *p->ns);
    }
    p->ns[p->n++] = (double)step->ns;
}

static void add_run(struct calibrate *c, struct steps *s) {
    const struct trace_run *run = steps_run(s);
    c->model = mem_grow(c->model, (size_t)c->models + 1, sizeof *c->model);
    c->model[c->models++] = (struct work_model){.shape = steps_take_shape(s),
                                                .kv_bits = run->kv_bits, .prune_last = 1};
}

int calibrate_read(struct calibrate *c, const char *path, struct err *err) {
    struct steps *s = steps_open(path, err);
    struct steps_record r;
    int rc;
    if (!s)
        return -1;
    while ((rc = steps_next(s, &r, err)) > 0) {
        if (rc == STEPS_RUN)
            add_run(c, s);
        else if (rc == STEPS_STEP)
            add_step(c, steps_run(s), &r.step);
    }
    steps_close(s);
    return rc;
}

/* ---- the fit ------------------------------------------------------------------------------ */

enum { COMPUTE, FEW, SCORES, MEMORY, VECTORS, FIXED, PARAMETERS };

/* How far from 1 each factor may be expected, as a deviation of its logarithm: what the profile
 * measured is trusted more than what it did not. */
static const double spread[PARAMETERS] = {
    [COMPUTE] = 0.08, [FEW] = 0.25, [SCORES] = 0.2, [MEMORY] = 0.3, [VECTORS] = 0.15,
    [FIXED] = 0.3};
#define MODEL_SPREAD 0.08       /* error of the model itself, of all passes of a phase alike */
#define MOST_FACTOR 50

struct data {
    const struct calibrate *c;
    double *ns, *weight;        /* [c->points] */
};

static struct roof_fit fit_of(const double *x) {
    return (struct roof_fit){.compute = x[COMPUTE], .compute_few = x[FEW], .scores = x[SCORES],
                             .memory = x[MEMORY], .vectors = x[VECTORS], .fixed = x[FIXED]};
}

static double modelled_s(const struct calibrate *c, const struct point *p,
                         const struct roof_fit *fit) {
    struct roof_setup r = {.device = c->device, .type = c->type, .fit = *fit};
    struct roof t;
    struct err e;
    return roof_time(&r, &c->model[p->model], &p->work, &t, &e) ? NAN : t.seconds;
}

/* Huber's: beyond two deviations a point pulls no harder. */
static double penalty(double off) {
    double a = fabs(off);
    return a < 2 ? a * a : 4 * a - 4;
}

static double loss(const struct data *d, const double *x) {
    const struct roof_fit fit = fit_of(x);
    double sum = 0;
    for (int i = 0; i < d->c->points; i++) {
        double s = modelled_s(d->c, &d->c->point[i], &fit);
        sum += d->weight[i] * penalty(log(s * 1e9 / d->ns[i]) / MODEL_SPREAD);
    }
    for (int k = 0; k < PARAMETERS; k++) {
        double off = log(x[k]) / spread[k];
        sum += off * off;
    }
    return sum;
}

/* Moves one parameter by ever smaller factors while that helps. */
static int move(const struct data *d, double *x, int k, double factor, double *best) {
    int moved = 0;
    for (int up = 0; up < 2; up++)
        for (;;) {
            double old = x[k];
            double next = up ? old * factor : old / factor;
            if (next < 1.0 / MOST_FACTOR || next > MOST_FACTOR)
                break;
            x[k] = next;
            double now = loss(d, x);
            if (!(now < *best - 1e-12)) {
                x[k] = old;
                break;
            }
            *best = now;
            moved = 1;
        }
    return moved;
}

static void descend(const struct data *d, double *x) {
    double best = loss(d, x);
    for (double factor = 2; factor > 1.002; factor = sqrt(factor)) {
        int moved = 1;
        for (int turn = 0; moved && turn < 50; turn++) {
            moved = 0;
            for (int k = 0; k < PARAMETERS; k++)
                moved |= move(d, x, k, factor, &best);
        }
    }
}

/* Every phase weighs 1, as its passes share the model's error. */
static void weigh(const struct calibrate *c, double *weight) {
    int of[3] = {0, 0, 0};
    for (int i = 0; i < c->points; i++)
        of[c->point[i].phase]++;
    for (int i = 0; i < c->points; i++)
        weight[i] = 1.0 / of[c->point[i].phase];
}

static double median_error(const struct data *d, const struct roof_fit *fit, int phase) {
    double *x = mem_array((size_t)d->c->points + 1, sizeof *x);
    size_t n = 0;
    for (int i = 0; i < d->c->points; i++)
        if (phase < 0 || d->c->point[i].phase == phase)
            x[n++] = fabs(modelled_s(d->c, &d->c->point[i], fit) * 1e9 / d->ns[i] - 1);
    double m = order_median(x, n);
    free(x);
    return m;
}

static void describe(const struct data *d, const struct roof_fit *fit,
                     struct calibrate_report *out) {
    const struct calibrate *c = d->c;
    *out = (struct calibrate_report){.steps = c->steps, .points = c->points};
    for (int i = 0; i < c->points; i++) {
        out->prefills += c->point[i].phase == TRACE_PREFILL;
        out->decodes += c->point[i].phase == TRACE_DECODE;
    }
    out->before = median_error(d, &(struct roof_fit){.compute = 0}, -1);
    out->after = median_error(d, fit, -1);
    out->prefill = median_error(d, fit, TRACE_PREFILL);
    out->decode = median_error(d, fit, TRACE_DECODE);
}

int calibrate_fit(const struct calibrate *c, struct roof_fit *out,
                  struct calibrate_report *report, struct err *err) {
    double x[PARAMETERS] = {1, 1, 1, 1, 1, 1};
    struct data d = {.c = c};
    struct roof t;
    if (!c->points)
        return err_set(err, "calibration: expected steps in the trace, found none");
    const struct point *p = &c->point[0];
    struct roof_setup r = {.device = c->device, .type = c->type};
    if (roof_time(&r, &c->model[p->model], &p->work, &t, err))
        return -1;
    d.ns = mem_array((size_t)c->points, sizeof *d.ns);
    d.weight = mem_array((size_t)c->points, sizeof *d.weight);
    for (int i = 0; i < c->points; i++)
        d.ns[i] = order_median(c->point[i].ns, c->point[i].n);
    weigh(c, d.weight);
    descend(&d, x);
    *out = fit_of(x);
    if (report)
        describe(&d, out, report);
    free(d.ns);
    free(d.weight);
    return 0;
}
