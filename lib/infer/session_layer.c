/* session_layer.c - one layer of the forward pass over the rows in s->x
 *
 * session_run_layer tells a transformer's layer top to bottom; the operations it calls are whole
 * and live in kernels/. With a tap every product's input is shown before it is multiplied. What
 * goes into an expert's down projection exists nowhere when all experts run in one operation, so
 * with a tap they run one after another, as products on one matrix of the stack. Rows and columns
 * see the same arithmetic in the same order as in the joint operation: the bits are the same.
 */
#include <math.h>
#include <string.h>

#include "lib/infer/session_impl.h"

/* ---- the tap ------------------------------------------------------------------------------ */

void session_show(const struct session *s, int layer, const struct kern_weight *const *weight,
                  int weights, const float *x, int n, const int32_t *row) {
    if (!s->opt.tap.fn)
        return;
    struct session_input in = {.layer = layer, .weight = weight, .weights = weights, .expert = -1,
                               .x = x, .n = n, .cols = weight[0]->cols, .row = row};
    s->opt.tap.fn(s->opt.tap.arg, &in);
}

/* ---- attention ---------------------------------------------------------------------------- */

static struct kern_rope rope_of(const struct session *s, int i) {
    const struct shape_rope *r = &s->m->shape->rope[i];
    return (struct kern_rope){
        .dims = r->dims, .neox = r->neox, .base = r->base, .freq_scale = r->freq_scale,
        .ext_factor = r->ext_factor, .attn_factor = r->attn_factor, .beta_fast = r->beta_fast,
        .beta_slow = r->beta_slow, .orig_context = r->orig_context,
        .factors = i == 0 ? s->m->rope_factors : NULL,
    };
}

/* Norm (over each head, or over the whole projection) and rotation of queries or keys. */
static void turn(struct session *s, int i, float *x, int n, int heads, const float *norm) {
    const struct shape *sh = s->m->shape;
    const struct shape_layer *sl = &sh->layer[i];
    struct kern_rope rope = rope_of(s, sl->rope);
    if (norm && sh->qk_norm == SHAPE_QK_HEAD)
        s->k->rms_norm(&s->queue, x, 0, n * heads, sl->dk, norm, sh->norm_eps, x, 0);
    else if (norm)
        s->k->rms_norm(&s->queue, x, 0, n, heads * sl->dk, norm, sh->norm_eps, x, 0);
    if (rope.dims)
        s->k->rope(&s->queue, &rope, s->angles[sl->rope], x, n, heads, sl->dk);
}

void session_turn_angles(struct session *s, int n) {
    for (int r = 0; r < SHAPE_ROPES; r++) {
        struct kern_rope rope = rope_of(s, r);
        if (rope.dims)
            s->k->rope_angles(&s->queue, &rope, s->pos, n, s->angles[r]);
    }
}

void session_compact(float *a, int64_t width, const int32_t *keep, int n) {
    for (int i = 0; i < n; i++)
        if (keep[i] != i)
            memmove(a + i * width, a + keep[i] * width, (size_t)width * sizeof *a);
}

/* Drops all rows but the wanted ones from what the rest of the last layer needs. */
static struct kern_rows keep_wanted(struct session *s, const struct kern_rows *rows, int n) {
    const struct shape *sh = s->m->shape;
    session_compact(s->x, sh->d_model, s->wanted, n);
    session_compact(s->xn, sh->d_model, s->wanted, n);
    for (int r = 0; r < SHAPE_ROPES; r++)
        session_compact(s->angles[r], sh->rope[r].dims, s->wanted, n);
    return (struct kern_rows){.n = n, .seq = s->wseq, .pos = s->wpos, .tables = rows->tables};
}

/* Attention of layer i over n rows; returns how many rows go on (all, or the wanted ones when
 * `prune`). s->sum receives the block's output. */
static int attend(struct session *s, int i, const struct model_layer *l, int n, int n_wanted,
                  int prune) {
    const struct shape *sh = s->m->shape;
    const struct shape_layer *sl = &sh->layer[i];
    const struct model_layer *own = &s->m->layer[i];
    struct kern_queue *qu = &s->queue;

    /* Rows that leave the pass here are only needed as keys and values. */
    struct kern_mm mm[3] = {{&l->attn_k, l->attn_k_bias, s->key, 0},
                            {&l->attn_v, l->attn_v_bias, s->val, 0},
                            {&l->attn_q, l->attn_q_bias, s->q, 0}};
    session_show(s, i, (const struct kern_weight *[]){&own->attn_q, &own->attn_k, &own->attn_v}, 3,
                 s->xn, n, NULL);
    s->k->matmul(qu, s->xn, n, mm, prune ? 2 : 3);
    turn(s, i, s->key, n, sl->kv_heads, l->attn_k_norm);
    struct kern_rows rows = {.n = n, .seq = s->seq, .pos = s->pos,
                             .tables = kvcache_tables(s->kv, i)};
    s->k->kv_store(qu, kvcache_layer(s->kv, i), &rows, s->key, s->val);
    if (prune) {
        if (n_wanted == 0)
            return 0;
        rows = keep_wanted(s, &rows, n_wanted);
        n = n_wanted;
        s->k->matmul(qu, s->xn, n, &mm[2], 1);
    }
    turn(s, i, s->q, n, sl->heads, l->attn_q_norm);
    struct kern_attn attn = {.heads = sl->heads, .scale = sh->attn_scale,
                             .softcap = sh->attn_softcap, .sinks = l->attn_sinks,
                             .window = sl->window, .kv = *kvcache_layer(s->kv, i)};
    s->k->attention(qu, &attn, &rows, s->q, s->att);
    session_show(s, i, (const struct kern_weight *[]){&own->attn_out}, 1, s->att, n, NULL);
    s->k->matmul(qu, s->att, n, &(struct kern_mm){&l->attn_out, l->attn_out_bias, s->sum, 0}, 1);
    return n;
}

/* ---- feed-forward ------------------------------------------------------------------------- */

/* Gate, up, activation, down: a dense FFN or the shared expert. own_down: what the tap calls it. */
static void gated_ffn(struct session *s, int i, const float *x, int n,
                      const struct kern_weight *gate, const struct kern_weight *up,
                      const struct kern_weight *down, const struct kern_weight *own_down,
                      float *out) {
    s->k->matmul(&s->queue, x, n, (struct kern_mm[]){{gate, NULL, s->gate, 0},
                                                      {up, NULL, s->up, 0}}, 2);
    s->k->glu(&s->queue, s->m->shape->act, s->gate, s->up, n * gate->rows, s->gate);
    session_show(s, i, &own_down, 1, s->gate, n, NULL);
    s->k->matmul(&s->queue, s->gate, n, &(struct kern_mm){down, NULL, out, 0}, 1);
}

static void dense(struct session *s, int i, const struct model_layer *l, int n) {
    const struct model_layer *own = &s->m->layer[i];
    session_show(s, i, (const struct kern_weight *[]){&own->ffn_gate, &own->ffn_up}, 2, s->xn, n,
                 NULL);
    gated_ffn(s, i, s->xn, n, &l->ffn_gate, &l->ffn_up, &l->ffn_down, &own->ffn_down, s->sum);
}

/* One matrix of a stack. */
static struct kern_weight pick(const struct kern_weight *stack, int expert) {
    struct kern_weight w = *stack;
    w.data = (const char *)stack->data + (size_t)expert * stack->mat_bytes;
    w.mats = 1;
    return w;
}

/* What expert e says to the n rows routed to it, into s->tap_y; the tap sees both inputs. */
static void run_expert(struct session *s, int i, const struct model_layer *l, int e, int n) {
    const struct model_layer *own = &s->m->layer[i];
    struct kern_weight gate = pick(&l->exp_gate, e);
    struct kern_weight up = pick(&l->exp_up, e);
    struct kern_weight down = pick(&l->exp_down, e);
    struct session_input in = {
        .layer = i, .weight = (const struct kern_weight *[]){&own->exp_gate, &own->exp_up},
        .weights = 2, .expert = e, .x = s->tap_x, .n = n, .cols = gate.cols, .row = s->tap_row};
    s->opt.tap.fn(s->opt.tap.arg, &in);
    s->k->matmul(&s->queue, s->tap_x, n, (struct kern_mm[]){{&gate, NULL, s->gate, 0},
                                                            {&up, NULL, s->up, 0}}, 2);
    s->k->glu(&s->queue, s->m->shape->act, s->gate, s->up, n * gate.rows, s->gate);
    in.weight = (const struct kern_weight *[]){&own->exp_down};
    in.weights = 1;
    in.x = s->gate;
    in.cols = down.cols;
    s->opt.tap.fn(s->opt.tap.arg, &in);
    s->k->matmul(&s->queue, s->gate, n, &(struct kern_mm){&down, NULL, s->tap_y, 0}, 1);
}

struct combine {
    const struct session *s;
    const struct kern_routes *routes;
    int top_k, n;
};

/* As the joint operation does, every row adds up its slots in order of rank, each by one fused
 * multiply-add. */
static void combine_rows(void *arg, int ith, int nth) {
    const struct combine *c = arg;
    int64_t d = c->s->m->shape->d_model;
    int64_t last = (int64_t)c->n * (ith + 1) / nth * c->top_k;
    for (int64_t p = (int64_t)c->n * ith / nth * c->top_k; p < last; p++) {
        const float *y = c->s->tap_out + p * d;
        float *out = c->s->sum + p / c->top_k * d;
        for (int64_t i = 0; i < d; i++)
            out[i] = fmaf(c->routes->weight[p], y[i], out[i]);
    }
}

static void experts_apart(struct session *s, int i, const struct model_layer *l, int n) {
    const struct shape_layer *sl = &s->m->shape->layer[i];
    const struct kern_routes *routes = &s->routes[i];
    int64_t d = s->m->shape->d_model;
    size_t row_bytes = (size_t)d * sizeof(float);
    for (int e = 0; e < sl->experts; e++) {
        const int32_t *order = routes->order + routes->start[e];
        int rows = routes->start[e + 1] - routes->start[e];
        if (rows == 0)
            continue;
        for (int r = 0; r < rows; r++) {
            s->tap_row[r] = order[r] / sl->top_k;
            memcpy(s->tap_x + r * d, s->xn + s->tap_row[r] * d, row_bytes);
        }
        run_expert(s, i, l, e, rows);
        for (int r = 0; r < rows; r++)
            memcpy(s->tap_out + order[r] * d, s->tap_y + r * d, row_bytes);
    }
    struct combine c = {s, routes, sl->top_k, n};
    s->queue.par.run(s->queue.par.ctx, combine_rows, &c);
}

static void shared_expert(struct session *s, int i, const struct model_layer *l, int n) {
    const struct model_layer *own = &s->m->layer[i];
    gated_ffn(s, i, s->xn, n, &l->sh_gate, &l->sh_up, &l->sh_down, &own->sh_down, s->sum);
    if (!l->sh_router.data)
        return;
    struct kern_mm mm = {&l->sh_router, NULL, s->shared_gate, 0};
    s->k->matmul(&s->queue, s->xn, n, &mm, 1);
    s->k->gate_rows(&s->queue, s->sum, n, s->m->shape->d_model, s->shared_gate);
}

/* Router and what the shared expert has of it read the same rows. */
static void show_mixture(struct session *s, int i, int n) {
    const struct model_layer *own = &s->m->layer[i];
    const struct kern_weight *weight[SESSION_SHARED] = {&own->router};
    int weights = 1;
    if (own->sh_gate.data) {
        weight[weights++] = &own->sh_gate;
        weight[weights++] = &own->sh_up;
    }
    if (own->sh_router.data)
        weight[weights++] = &own->sh_router;
    session_show(s, i, weight, weights, s->xn, n, NULL);
}

static void mixture(struct session *s, int i, const struct model_layer *l, int n) {
    const struct shape *sh = s->m->shape;
    const struct shape_layer *sl = &sh->layer[i];
    struct kern_queue *qu = &s->queue;
    struct kern_route route = {
        .experts = sl->experts, .top_k = sl->top_k, .gate = sh->gate,
        .normalise = sh->gate_normalise, .scale = sh->gate_scale, .bias = l->router_bias,
        .groups = sh->groups, .groups_used = sh->groups_used,
    };
    show_mixture(s, i, n);
    s->k->matmul(qu, s->xn, n, &(struct kern_mm){&l->router, NULL, s->router, 0}, 1);
    s->k->route(qu, &route, s->router, n, &s->routes[i]);
    s->routed_rows[i] = n;
    if (sl->d_shared)
        shared_expert(s, i, l, n);
    else
        memset(s->sum, 0, (size_t)n * (size_t)sh->d_model * sizeof *s->sum);
    if (s->opt.tap.fn) {
        experts_apart(s, i, l, n);
        return;
    }
    struct kern_experts ex = {.gate = &l->exp_gate, .up = &l->exp_up, .down = &l->exp_down,
                              .act = sh->act, .top_k = sl->top_k, .first = 0,
                              .count = sl->experts};
    s->k->experts(qu, &ex, &s->routes[i], s->xn, n, s->sum);
}

/* ---- the layer ---------------------------------------------------------------------------- */

static void add_block(struct session *s, const float *post_norm, int n) {
    const struct shape *sh = s->m->shape;
    if (post_norm)
        s->k->rms_norm(&s->queue, s->sum, 0, n, sh->d_model, post_norm, sh->norm_eps, s->sum, 0);
    s->k->add(&s->queue, s->x, s->sum, 1, (int64_t)n * sh->d_model);
}

int session_run_layer(struct session *s, int i, const struct model_layer *l, int n, int n_wanted,
                      int prune) {
    const struct shape *sh = s->m->shape;
    struct kern_queue *qu = &s->queue;

    s->k->rms_norm(qu, s->x, 0, n, sh->d_model, l->attn_norm, sh->norm_eps, s->xn, 0);
    n = attend(s, i, l, n, n_wanted, prune);
    if (n == 0)
        return 0;
    add_block(s, l->attn_post_norm, n);

    s->k->rms_norm(qu, s->x, 0, n, sh->d_model, l->ffn_norm, sh->norm_eps, s->xn, 0);
    if (sh->layer[i].experts)
        mixture(s, i, l, n);
    else
        dense(s, i, l, n);
    add_block(s, l->ffn_post_norm, n);
    return n;
}

void session_head(struct session *s, const float *normed, int n, float *logits) {
    const struct shape *sh = s->m->shape;
    s->k->matmul(&s->queue, normed, n, &(struct kern_mm){&s->m->head, NULL, logits, 0}, 1);
    if (sh->final_softcap > 0)
        s->k->softcap(&s->queue, logits, (int64_t)n * sh->vocab, sh->final_softcap);
}

void session_sink(struct session *s, int n,
                  void (*sink)(void *arg, const float *logits, int first, int n), void *arg) {
    for (int i = 0; i < n; i += SINK_ROWS) {
        int rows = n - i < SINK_ROWS ? n - i : SINK_ROWS;
        session_head(s, s->xn + (int64_t)i * s->m->shape->d_model, rows, s->logits);
        sink(arg, s->logits, i, rows);
    }
}
