/* session.c - memory of a session, see session.h
 *
 * All of it is made in session_new: two rounds over one list of arrays, the first of which only
 * counts.
 */
#include "lib/infer/session.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/infer/session_impl.h"

/* ---- memory ------------------------------------------------------------------------------ */

struct widths {
    int64_t q, k, v, o, ff, experts, top_k, d_expert, cols, dk, dv, heads, kv_heads;
};

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static struct widths measure(const struct shape *s) {
    struct widths w = {.cols = s->d_model};
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        w.q = max64(w.q, (int64_t)l->heads * l->dk);
        w.k = max64(w.k, (int64_t)l->kv_heads * l->dk);
        w.v = max64(w.v, (int64_t)l->kv_heads * l->dv);
        w.o = max64(w.o, (int64_t)l->heads * l->dv);
        w.ff = max64(w.ff, max64(l->d_ff, l->d_shared));
        w.experts = max64(w.experts, l->experts);
        w.top_k = max64(w.top_k, l->top_k);
        w.d_expert = max64(w.d_expert, l->d_expert);
        w.dk = max64(w.dk, l->dk);
        w.dv = max64(w.dv, l->dv);
        w.heads = max64(w.heads, l->heads);
        w.kv_heads = max64(w.kv_heads, l->kv_heads);
    }
    w.cols = max64(w.cols, max64(w.o, max64(w.ff, w.d_expert)));
    return w;
}

/* Hands out 64-byte aligned pieces; a first round with base NULL only counts. */
struct carve {
    char *base;
    size_t used;
};

static void *carve(struct carve *c, int64_t n, size_t size) {
    void *p = c->base ? c->base + c->used : NULL;
    c->used += ((size_t)n * size + 63) / 64 * 64;
    return p;
}

static void carve_routes(struct session *s, struct carve *c) {
    const struct shape *sh = s->m->shape;
    for (int i = 0; i < sh->layers; i++) {
        const struct shape_layer *l = &sh->layer[i];
        int64_t pairs = (int64_t)s->opt.batch * l->top_k;
        s->routes[i].expert = carve(c, pairs, sizeof(int32_t));
        s->routes[i].weight = carve(c, pairs, sizeof(float));
        s->routes[i].order = carve(c, pairs, sizeof(int32_t));
        s->routes[i].start = carve(c, l->experts + 1, sizeof(int32_t));
    }
}

static void carve_tap(struct session *s, struct carve *c, int64_t b, int64_t d) {
    s->tap_row = carve(c, b, sizeof(int32_t));
    s->tap_x = carve(c, b * d, sizeof(float));
    s->tap_y = carve(c, b * d, sizeof(float));
    s->tap_out = carve(c, b * s->top_k * d, sizeof(float));
}

static void carve_all(struct session *s, struct carve *c, const struct widths *w) {
    int64_t b = s->opt.batch;
    int64_t d = s->m->shape->d_model;
    /* With a tap an expert's hidden rows pass through the arrays of the dense FFN. */
    int64_t ff = s->opt.tap.fn ? max64(w->ff, w->d_expert) : w->ff;
    s->seq = carve(c, b, sizeof(int32_t));
    s->pos = carve(c, b, sizeof(int32_t));
    s->token = carve(c, b, sizeof(int32_t));
    s->wseq = carve(c, b, sizeof(int32_t));
    s->wpos = carve(c, b, sizeof(int32_t));
    s->wanted = carve(c, b, sizeof(int32_t));
    for (int r = 0; r < SHAPE_ROPES; r++)
        s->angles[r] = carve(c, b * s->m->shape->rope[r].dims, sizeof(float));
    s->x = carve(c, b * d, sizeof(float));
    s->xn = carve(c, b * d, sizeof(float));
    s->sum = carve(c, b * d, sizeof(float));
    s->q = carve(c, b * w->q, sizeof(float));
    s->key = carve(c, b * w->k, sizeof(float));
    s->val = carve(c, b * w->v, sizeof(float));
    s->att = carve(c, b * w->o, sizeof(float));
    s->gate = carve(c, b * ff, sizeof(float));
    s->up = carve(c, b * ff, sizeof(float));
    s->shared_gate = carve(c, b, sizeof(float));
    s->router = carve(c, b * w->experts, sizeof(float));
    carve_routes(s, c);
    if (s->opt.routes) {
        s->expert_out = carve(c, b * s->moe_layers * s->top_k, sizeof(int32_t));
        s->weight_out = carve(c, b * s->moe_layers * s->top_k, sizeof(float));
    }
    if (s->opt.hidden)
        s->hidden = carve(c, b * d, sizeof(float));
    if (s->opt.tap.fn && s->moe_layers)
        carve_tap(s, c, b, d);
    s->queue.scratch = carve(c, (int64_t)s->queue.scratch_bytes, 1);
}

static int allocate(struct session *s, struct par *par, struct err *err) {
    const struct shape *sh = s->m->shape;
    struct widths w = measure(sh);
    struct kern_limits lim = {
        .threads = par_threads(par), .rows = s->opt.batch, .cols = w.cols,
        .experts = (int)w.experts, .top_k = (int)w.top_k, .d_model = sh->d_model,
        .d_expert = w.d_expert, .heads = (int)w.heads, .kv_heads = (int)w.kv_heads,
        .dk = (int)w.dk, .dv = (int)w.dv, .context = s->opt.context,
    };
    s->queue = (struct kern_queue){.par = {par_run, par, par_threads(par)},
                                   .scratch_bytes = kern_scratch_bytes(&lim)};
    struct carve c = {0};
    carve_all(s, &c, &w);
    s->arena_bytes = c.used;
    s->arena = mem_map(c.used);
    if (!s->arena)
        return err_set(err, "no memory for %zu MiB of scratch", c.used >> 20);
    c = (struct carve){.base = s->arena};
    carve_all(s, &c, &w);
    /* Address space for every row's logits; only what is used becomes memory. */
    s->logits_bytes = (size_t)(s->opt.batch > SINK_ROWS ? s->opt.batch : SINK_ROWS)
                      * (size_t)sh->vocab * sizeof(float);
    s->logits = mem_map(s->logits_bytes);
    if (!s->logits)
        return err_set(err, "no memory for %zu MiB of logits", s->logits_bytes >> 20);
    return 0;
}

struct session *session_new(const struct model *m, const struct kern *k, struct par *par,
                            const struct session_options *opt, struct err *err) {
    struct session *s = mem_alloc(sizeof *s);
    s->m = m;
    s->k = k;
    s->opt = *opt;
    s->routes = mem_array((size_t)m->shape->layers, sizeof *s->routes);
    s->routed_rows = mem_array((size_t)m->shape->layers, sizeof *s->routed_rows);
    s->touched = mem_array((size_t)m->shape->layers, sizeof *s->touched);
    s->span = mem_array((size_t)opt->sequences, sizeof *s->span);
    for (int i = 0; i < m->shape->layers; i++) {
        const struct shape_layer *l = &m->shape->layer[i];
        s->moe_layers += l->experts > 0;
        s->top_k = l->top_k > s->top_k ? l->top_k : s->top_k;
    }
    s->kv = kvcache_new(m->shape, opt->kv_type, opt->sequences, opt->context, opt->batch, err);
    if (!s->kv || allocate(s, par, err)) {
        session_free(s);
        return NULL;
    }
    return s;
}

void session_free(struct session *s) {
    if (!s)
        return;
    kvcache_free(s->kv);
    if (s->arena)
        mem_unmap(s->arena, s->arena_bytes);
    if (s->logits)
        mem_unmap(s->logits, s->logits_bytes);
    free(s->routes);
    free(s->routed_rows);
    free(s->touched);
    free(s->span);
    free(s);
}

/* ---- questions ---------------------------------------------------------------------------- */

int session_length(const struct session *s, int seq) {
    return kvcache_length(s->kv, seq);
}

int session_context(const struct session *s) {
    return s->opt.context;
}

int session_truncate(struct session *s, int seq, int length) {
    return kvcache_truncate(s->kv, seq, length);
}

size_t session_kv_bytes(const struct session *s) {
    return kvcache_bytes(s->kv);
}

struct kern_queue *session_queue(struct session *s) {
    return &s->queue;
}
