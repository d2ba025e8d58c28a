/* bench_kernels_vec.c - the small operations: norms, activations, rotary embedding, router, sums
 *
 * Of a call on n rows of width d the table below counts operations and bytes an element: a
 * function such as exp or tanh counts one; bytes are those of floats. What a row has once (its
 * square root, its logarithm, rope's angles for all heads) does not count.
 *
 *                   operations                                            read  written
 *     rms_norm      x^2 and its sum, times the root, times the weight   4    4     4
 *     rope          a rotation of two: 4 products, 2 sums               3    4     4
 *     rope_angles   of two: angle, cosine, sine, 2 products             2.5  0     4
 *     glu           -g, exp, 1 +, g /, times up                         5    8     4
 *     add           a multiply-add                                      2    8     4
 *     gate_rows     a product                                           1    4     4
 *     softcap       x / cap, tanh, times cap                            3    4     4
 *     route         x - max, exp, sum, quotient, one comparison         5    4     0
 *     logsumexp     maximum, x - max, exp, sum                          4    4     0
 *
 * Operands are where the operation before would have left them: in caches, if these hold them.
 */
#include "cmd/bench_kernels.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

struct small {
    struct room *room;
    const struct subject *s;
    int most;                   /* rows of the largest test */
    size_t elements;            /* of that */
    float *x, *y;               /* operands; y is what results stand in, where not in x */
    float *x0, *y0;             /* as they were before the first call */
    float *w;                   /* weights [d], or gates [most] */
    float *open;                /* [most] gates that change nothing */
    int32_t *pos;               /* [most] */
    struct kern_rope rope;
    struct kern_routes routes;
    char *chosen;               /* route's result: weights and experts one after the other */
    double *sums;
};

static void small_close(void *state) {
    struct small *v = state;
    free(v->x);
    free(v->y);
    free(v->x0);
    free(v->y0);
    free(v->w);
    free(v->open);
    free(v->pos);
    free(v->routes.start);
    free(v->routes.order);
    free(v->chosen);
    free(v->sums);
    free(v);
}

static float *copy_of(const float *x, size_t n) {
    float *y = mem_array(n, sizeof *y);
    memcpy(y, x, n * sizeof *x);
    return y;
}

/* top_k weights and experts of n rows stand in one piece, so that they compare as bytes. */
static void set_routes(struct small *v, int n) {
    size_t pairs = (size_t)n * (size_t)v->s->top_k;
    v->routes.weight = (float *)(void *)v->chosen;
    v->routes.expert = (int32_t *)(void *)v->chosen + pairs;
}

static void *small_open(struct room *r, const struct subject *s, unsigned layouts, int blas) {
    struct small *v = mem_alloc(sizeof *v);
    (void)layouts;
    (void)blas;
    *v = (struct small){.room = r, .s = s};
    for (int i = 0; i < s->tests; i++)
        v->most = s->test[i].n > v->most ? s->test[i].n : v->most;
    size_t n = (size_t)v->most;
    v->elements = n * (size_t)s->cols;
    v->x = random_numbers(v->elements, 1);
    v->y = random_numbers(v->elements, 2);
    v->x0 = copy_of(v->x, v->elements);
    v->y0 = copy_of(v->y, v->elements);
    v->w = random_numbers((size_t)s->cols > n ? (size_t)s->cols : n, 3);
    v->open = mem_array(n, sizeof *v->open);
    v->pos = mem_array(n, sizeof *v->pos);
    for (int i = 0; i < v->most; i++) {
        v->open[i] = 30;
        v->pos[i] = i;
    }
    v->rope = (struct kern_rope){.dims = s->dk, .neox = 1, .base = 10000, .freq_scale = 1,
                                 .attn_factor = 1};
    size_t pairs = n * (size_t)s->top_k;
    v->routes.start = mem_array((size_t)s->experts + 1, sizeof *v->routes.start);
    v->routes.order = mem_array(pairs + 1, sizeof *v->routes.order);
    v->chosen = mem_array(pairs + 1, sizeof(float) + sizeof(int32_t));
    v->sums = mem_array(n, sizeof *v->sums);
    if (s->dk)                  /* rope turns by the angles of y */
        kern_select("ref", NULL)->rope_angles(&r->queue, &v->rope, v->pos, v->most, v->y);
    if (!room_scratch(r, &(struct kern_limits){.rows = v->most, .experts = s->experts}))
        return v;
    small_close(v);
    return NULL;
}

/* What operations change in place, as it was before the first call. */
static void restore(struct small *v, int turn) {
    if (turn >= 0)
        return;
    memcpy(v->x, v->x0, v->elements * sizeof *v->x);
    if (!v->s->dk)
        memcpy(v->y, v->y0, v->elements * sizeof *v->y);
}

#define CALL(name) \
    static void name##_call(void *state, const struct runner *by, const struct test *t, int n, \
                            int turn)
#define SMALL \
    struct small *v = state; \
    struct kern_queue *q = &v->room->queue; \
    int d = (int)v->s->cols; \
    (void)t; \
    restore(v, turn)

CALL(rms_norm) {
    SMALL;
    by->k->rms_norm(q, v->x, 0, n, d, v->w, 1e-6f, v->y, 0);
}

CALL(rope) {
    SMALL;
    by->k->rope(q, &v->rope, v->y, v->x, n, d / v->s->dk, v->s->dk);
}

CALL(rope_angles) {
    SMALL;
    (void)d;
    by->k->rope_angles(q, &v->rope, v->pos, n, v->y);
}

CALL(glu) {
    SMALL;
    by->k->glu(q, KERN_SILU, v->x, v->y0, (int64_t)n * d, v->y);
}

CALL(add) {
    SMALL;
    by->k->add(q, v->y, v->x, 0.5f, (int64_t)n * d);
}

/* Gates below one would make x vanish in the end, and that takes its own time. */
CALL(gate_rows) {
    SMALL;
    by->k->gate_rows(q, v->x, n, d, turn < 0 ? v->w : v->open);
}

CALL(softcap) {
    SMALL;
    by->k->softcap(q, v->x, (int64_t)n * d, 30);
}

CALL(route) {
    SMALL;
    struct kern_route r = {.experts = d, .top_k = v->s->top_k, .gate = KERN_GATE_SOFTMAX,
                           .normalise = 1, .scale = 1};
    set_routes(v, n);
    by->k->route(q, &r, v->x, n, &v->routes);
}

CALL(logsumexp) {
    SMALL;
    by->k->logsumexp(q, v->x, n, d, v->sums);
}

/* ---- the table ---------------------------------------------------------------------------- */

enum width { OF_MODEL, OF_VOCAB, OF_HEADS, OF_HEAD, OF_ROUTER };
enum where { IN_X, IN_Y, IN_SUMS, IN_CHOSEN };

/* In the order of kernels_small. */
static const struct counts {
    double ops, read, written;  /* an element */
    double set;                 /* bytes that an element takes up: less where it is replaced */
    enum width width;
    enum where result;
    int most;                   /* rows of the usual large call */
} counts[] = {
    {4, 4, 4, 8, OF_MODEL, IN_Y, 512},       /* rms_norm */
    {3, 4, 4, 4, OF_HEADS, IN_X, 512},       /* rope */
    {2.5, 0, 4, 4, OF_HEAD, IN_Y, 512},      /* rope_angles */
    {5, 8, 4, 12, OF_MODEL, IN_Y, 512},      /* glu */
    {2, 8, 4, 8, OF_MODEL, IN_Y, 512},       /* add */
    {1, 4, 4, 4, OF_MODEL, IN_X, 512},       /* gate_rows */
    {3, 4, 4, 4, OF_VOCAB, IN_X, 32},        /* softcap */
    {5, 4, 0, 4, OF_ROUTER, IN_CHOSEN, 512}, /* route */
    {4, 4, 0, 4, OF_VOCAB, IN_SUMS, 32},     /* logsumexp */
};

static const struct counts *counts_of(const struct subject *s) {
    return &counts[s->op - kernels_small];
}

static void small_work(void *state, const struct runner *by, const struct test *t, int rows,
                       struct work *out) {
    const struct small *v = state;
    const struct counts *c = counts_of(v->s);
    double elements = (double)rows * (double)v->s->cols;
    (void)by;
    (void)t;
    out->ops[UNIT_F32] = elements * c->ops;
    out->read = elements * c->read;
    out->written = elements * c->written;
    out->set = elements * c->set;
}

static struct result small_result(void *state, const struct test *t, int rows) {
    const struct small *v = state;
    size_t n = (size_t)rows * (size_t)v->s->cols;
    (void)t;
    switch (counts_of(v->s)->result) {
    case IN_X: return (struct result){v->x, n, RESULT_FLOATS};
    case IN_Y: return (struct result){v->y, n, RESULT_FLOATS};
    case IN_SUMS: return (struct result){v->sums, (size_t)rows, RESULT_DOUBLES};
    default: return (struct result){v->chosen, (size_t)rows * (size_t)v->s->top_k * 8,
                                    RESULT_BYTES};
    }
}

static void small_plan(struct plan *p, const struct operation *op) {
    const struct counts *c = &counts[op - kernels_small];
    struct head_dims heads[SHAPES_MOST];
    struct expert_dims experts[SHAPES_MOST];
    struct subject s = {.op = op, .type = -1, .down = -1, .cols = plan_width(p)};
    if (c->width == OF_VOCAB)
        s.cols = plan_vocab(p);
    if (c->width == OF_HEADS || c->width == OF_HEAD) {
        plan_heads(p, heads);
        s.dk = heads[0].dk / 2 * 2;
        s.cols = c->width == OF_HEAD ? s.dk : (int64_t)heads[0].heads * s.dk;
    }
    if (c->width == OF_ROUTER) {
        if (!plan_experts(p, experts))
            return;
        s.cols = s.experts = experts[0].experts;
        s.top_k = experts[0].top_k;
    }
    if (c->width == OF_HEADS)
        plan_shape(&s, "%dx%d", heads[0].heads, s.dk);
    else if (c->width == OF_ROUTER)
        plan_shape(&s, "%d/%d", s.top_k, s.experts);
    else
        plan_shape(&s, "%lld", (long long)s.cols);
    plan_rows(p, &s, (int[]){1, c->most}, 2);
    plan_add(p, &s);
}

#define ROW(operation) \
    {.name = #operation, .plan = small_plan, .open = small_open, .call = operation##_call, \
     .work = small_work, .result = small_result, .close = small_close}

const struct operation kernels_small[] = {
    ROW(rms_norm), ROW(rope), ROW(rope_angles), ROW(glu), ROW(add),
    ROW(gate_rows), ROW(softcap), ROW(route), ROW(logsumexp), {0},
};
