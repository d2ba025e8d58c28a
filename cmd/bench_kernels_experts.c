/* bench_kernels_experts.c - the routed experts of a layer
 *
 * A call on n rows of width d, each to k of E experts of hidden width h:
 *     operations  2 n k 3 d h, gate and up in the unit of their type, down in that of its own
 *     bytes       the matrices of the experts that are touched, as they are stored + 8 n d read
 *                 (x, and out, which is added to) + 4 n d written
 * The rows' experts are drawn once: evenly, or with chances proportional to 1 / (1 + e), as
 * routers that were not balanced prefer some. Each call numbers the experts anew (e + k turn), so
 * that one row meets other experts every time and no cache has them.
 */
#include "cmd/bench_kernels.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"

#define SETS 16                 /* numberings of the experts */

struct experts {
    struct room *room;
    const struct subject *s;
    struct ring gate[2], up[2], down[2];        /* by enum kern_layout; one each */
    float *x, *out;             /* [n][d] */
    struct kern_routes routes[SETS];
    int sets;
    int routed;                 /* rows that routes are for */
    int most;                   /* rows of the largest test */
    int touched;                /* experts that the rows meet */
    int32_t *drawn;             /* [most][k] before renumbering */
};

/* ---- routes ------------------------------------------------------------------------------- */

/* One expert by its chance. */
static int draw(struct rng *r, int experts, int skew) {
    double total = 0;
    for (int e = 0; e < experts; e++)
        total += skew ? 1.0 / (1 + e) : 1;
    double at = rng_unit(r) * total;
    int e = 0;
    for (; e < experts - 1; e++) {
        at -= skew ? 1.0 / (1 + e) : 1;
        if (at < 0)
            break;
    }
    return e;
}

static void draw_rows(struct experts *x) {
    const struct subject *s = x->s;
    struct rng r = {7};
    for (int i = 0; i < x->most; i++) {
        int32_t *row = x->drawn + i * s->top_k;
        for (int k = 0; k < s->top_k; k++) {
            int again;
            do {
                row[k] = draw(&r, s->experts, s->skew);
                again = 0;
                for (int j = 0; j < k; j++)
                    again |= row[j] == row[k];
            } while (again);
        }
    }
}

/* The routes of the first n rows, sorted by expert as kern.h wants them. */
static void fill_routes(struct experts *x, int n) {
    const struct subject *s = x->s;
    int pairs = n * s->top_k;
    if (x->routed == n)
        return;
    x->routed = n;
    for (int set = 0; set < x->sets; set++) {
        struct kern_routes *r = &x->routes[set];
        for (int i = 0; i < pairs; i++) {
            r->expert[i] = (x->drawn[i] + set * s->top_k) % s->experts;
            r->weight[i] = 1.0f / (float)s->top_k;
        }
        int at = 0;
        x->touched = 0;
        for (int e = 0; e < s->experts; e++) {
            r->start[e] = at;
            for (int i = 0; i < pairs; i++)
                if (r->expert[i] == e)
                    r->order[at++] = i;
            x->touched += at > r->start[e];
        }
        r->start[s->experts] = at;
    }
}

/* ---- the operation ------------------------------------------------------------------------ */

static void experts_close(void *state) {
    struct experts *x = state;
    for (int layout = 0; layout < 2; layout++) {
        ring_close(&x->gate[layout]);
        ring_close(&x->up[layout]);
        ring_close(&x->down[layout]);
    }
    for (int set = 0; set < x->sets; set++) {
        free(x->routes[set].expert);
        free(x->routes[set].weight);
        free(x->routes[set].start);
        free(x->routes[set].order);
    }
    free(x->drawn);
    free(x->x);
    free(x->out);
    free(x);
}

static int open_weights(struct experts *x, int layout) {
    const struct subject *s = x->s;
    size_t ring_bytes = x->room->ring_bytes;
    x->room->ring_bytes = 0;    /* the experts themselves are what calls go round in */
    int bad = ring_open(x->room, &x->gate[layout], s->type, layout, s->rows, s->cols, s->experts,
                        0) ||
              ring_open(x->room, &x->up[layout], s->type, layout, s->rows, s->cols, s->experts,
                        0) ||
              ring_open(x->room, &x->down[layout], s->down, layout, s->cols, s->rows, s->experts,
                        0);
    x->room->ring_bytes = ring_bytes;
    return bad ? -1 : 0;
}

static void *experts_open(struct room *r, const struct subject *s, unsigned layouts, int blas) {
    struct experts *x = mem_alloc(sizeof *x);
    int bad = 0;
    (void)blas;
    *x = (struct experts){.room = r, .s = s, .sets = r->ring_bytes ? SETS : 1};
    for (int i = 0; i < s->tests; i++)
        x->most = s->test[i].n > x->most ? s->test[i].n : x->most;
    size_t pairs = (size_t)x->most * (size_t)s->top_k;
    for (int set = 0; set < x->sets; set++)
        x->routes[set] = (struct kern_routes){
            mem_array(pairs, sizeof(int32_t)), mem_array(pairs, sizeof(float)),
            mem_array((size_t)s->experts + 1, sizeof(int32_t)), mem_array(pairs, sizeof(int32_t))};
    x->drawn = mem_array(pairs, sizeof *x->drawn);
    draw_rows(x);
    x->x = random_numbers((size_t)x->most * (size_t)s->cols, 1);
    x->out = mem_array((size_t)x->most * (size_t)s->cols, sizeof *x->out);
    for (int layout = 0; layout < 2 && !bad; layout++)
        if (layouts >> layout & 1)
            bad = open_weights(x, layout);
    struct kern_limits lim = {.rows = x->most, .cols = s->cols, .experts = s->experts,
                              .top_k = s->top_k, .d_model = s->cols, .d_expert = s->rows};
    if (!bad && !room_scratch(r, &lim))
        return x;
    experts_close(x);
    return NULL;
}

/* The operation adds to out: over many calls sums grow, but no further than floats reach. */
static void experts_call(void *state, const struct runner *by, const struct test *t, int rows,
                         int turn) {
    struct experts *x = state;
    const struct subject *s = x->s;
    (void)t;
    fill_routes(x, rows);
    if (turn < 0)
        memset(x->out, 0, (size_t)rows * (size_t)s->cols * sizeof *x->out);
    struct kern_experts e = {.gate = x->gate[by->layout].w, .up = x->up[by->layout].w,
                             .down = x->down[by->layout].w, .act = KERN_SILU, .top_k = s->top_k,
                             .first = 0, .count = s->experts};
    by->k->experts(&x->room->queue, &e, &x->routes[turn < 0 ? 0 : turn % x->sets], x->x, rows,
                   x->out);
}

static void experts_work(void *state, const struct runner *by, const struct test *t, int rows,
                         struct work *out) {
    struct experts *x = state;
    const struct subject *s = x->s;
    double pairs = (double)rows * s->top_k;
    double mat = (double)s->rows * (double)s->cols;
    (void)t;
    fill_routes(x, rows);
    out->ops[unit_of(s->type)] += 2 * pairs * 2 * mat;
    out->ops[unit_of(s->down)] += 2 * pairs * mat;
    double expert = (double)(x->gate[by->layout].w->mat_bytes + x->up[by->layout].w->mat_bytes +
                             x->down[by->layout].w->mat_bytes);
    out->written = 4 * (double)rows * (double)s->cols;
    out->read = x->touched * expert + 2 * out->written;
    out->set = x->room->ring_bytes ? s->experts * expert : out->read;
}

static struct result experts_result(void *state, const struct test *t, int rows) {
    const struct experts *x = state;
    (void)t;
    return (struct result){x->out, (size_t)rows * (size_t)x->s->cols, RESULT_FLOATS};
}

/* ---- plan --------------------------------------------------------------------------------- */

static const struct mix {
    int type, down, skew;
} mixes[] = {
    {KERN_Q4_K, KERN_Q4_K, 0},
    {KERN_Q4_K, KERN_Q4_K, 1},
    {KERN_Q4_K, KERN_Q6_K, 0},  /* half of the layers of a Q4_K_M file */
    {KERN_Q8_0, KERN_Q8_0, 0},
};

/* Hidden values of variants may round to bf16 differently, by 2^-8 of themselves; they are the
 * products of two sums over d terms below 0.5, a random walk, and so is the sum over h of them. */
static double bf16_tolerance(const struct subject *s) {
    return s->type == KERN_BF16 || s->down == KERN_BF16
               ? 0x1p-8 * (double)s->cols : 0;
}

static void add_mix(struct plan *p, const struct operation *op, const struct mix *m) {
    static const int usual[] = {1, 4, 32, 512};
    struct expert_dims dims[SHAPES_MOST];
    int n = plan_experts(p, dims);
    for (int i = 0; i < n; i++) {
        struct subject s = {.op = op, .type = m->type, .down = m->down, .rows = dims[i].hidden,
                            .cols = dims[i].d, .experts = dims[i].experts,
                            .top_k = dims[i].top_k, .skew = m->skew};
        s.tolerance = bf16_tolerance(&s);
        plan_shape(&s, "%d/%dx%lldx%lld", s.top_k, s.experts, (long long)s.rows,
                   (long long)s.cols);
        plan_rows(p, &s, usual, 4);
        plan_add(p, &s);
    }
}

/* The usual mixes, as far as a type of theirs is wanted; a type that is asked for and is in none
 * of them, for all three matrices. */
static void experts_plan(struct plan *p, const struct operation *op) {
    uint64_t seen = 0;
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++) {
        if (!plan_wants_type(p, mixes[i].type) && !plan_wants_type(p, mixes[i].down))
            continue;
        if (p->quick && i)
            continue;
        seen |= (uint64_t)1 << mixes[i].type | (uint64_t)1 << mixes[i].down;
        add_mix(p, op, &mixes[i]);
    }
    for (int type = 0; type < KERN_TYPES; type++)
        if (p->types >> type & 1 && !(seen >> type & 1))
            add_mix(p, op, &(struct mix){type, type, 0});
}

const struct operation kernels_experts = {
    .name = "experts", .flags = LAYOUTS, .plan = experts_plan, .open = experts_open,
    .call = experts_call, .work = experts_work, .result = experts_result, .close = experts_close,
};
