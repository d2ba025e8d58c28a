/* session.c - the forward pass, see session.h
 *
 * pass_run tells the transformer top to bottom; the operations it calls are whole and live in
 * kernels/. All memory is made in session_new. Rows whose logits nobody wants leave the pass
 * after the last layer's keys and values are stored, unless routes or hidden states of every
 * row were asked for.
 */
#include "lib/infer/session.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/infer/kvcache.h"

/* Rows of logits computed at once when a sink takes them. */
#define SINK_ROWS 64

struct span {               /* positions of one sequence in a pass; -1: none */
    int32_t first, last;
};

struct session {
    const struct model *m;
    const struct kern *k;
    struct session_options opt;
    struct kvcache *kv;
    struct kern_queue queue;
    int moe_layers, top_k;          /* layers with experts; the largest top_k */

    int32_t *seq, *pos, *token;     /* [batch] the rows as arrays */
    int32_t *wseq, *wpos;           /* [batch] the wanted ones */
    int *wanted;                    /* [batch] their index */
    float *angles[SHAPE_ROPES];     /* [batch][dims/2][2] */
    float *x;                       /* [batch][d] residual stream */
    float *xn;                      /* [batch][d] normed input of a block */
    float *q, *key, *val, *att;     /* [batch][heads * dk or dv] */
    float *sum;                     /* [batch][d] output of a block */
    float *gate, *up;               /* [batch][widest of d_ff, d_shared] */
    float *shared_gate;             /* [batch] */
    float *router;                  /* [batch][experts] */
    struct kern_routes *routes;     /* [layers] kept to the end of the pass */
    int *routed_rows;               /* [layers] rows that were routed there in this pass */
    int32_t *expert_out;            /* [batch][moe layers][top_k] */
    float *weight_out;
    int32_t *touched;               /* [layers] distinct experts */
    struct span *span;              /* [sequences] */
    float *hidden;                  /* [batch][d] */
    float *logits;                  /* [batch or SINK_ROWS][vocab] */
    size_t logits_bytes;
    void *arena;
    size_t arena_bytes;
    void *logits_arena;
};

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

static void carve_all(struct session *s, struct carve *c, const struct widths *w) {
    int64_t b = s->opt.batch;
    int64_t d = s->m->shape->d_model;
    s->seq = carve(c, b, sizeof(int32_t));
    s->pos = carve(c, b, sizeof(int32_t));
    s->token = carve(c, b, sizeof(int32_t));
    s->wseq = carve(c, b, sizeof(int32_t));
    s->wpos = carve(c, b, sizeof(int32_t));
    s->wanted = carve(c, b, sizeof(int));
    for (int r = 0; r < SHAPE_ROPES; r++)
        s->angles[r] = carve(c, b * s->m->shape->rope[r].dims, sizeof(float));
    s->x = carve(c, b * d, sizeof(float));
    s->xn = carve(c, b * d, sizeof(float));
    s->sum = carve(c, b * d, sizeof(float));
    s->q = carve(c, b * w->q, sizeof(float));
    s->key = carve(c, b * w->k, sizeof(float));
    s->val = carve(c, b * w->v, sizeof(float));
    s->att = carve(c, b * w->o, sizeof(float));
    s->gate = carve(c, b * w->ff, sizeof(float));
    s->up = carve(c, b * w->ff, sizeof(float));
    s->shared_gate = carve(c, b, sizeof(float));
    s->router = carve(c, b * w->experts, sizeof(float));
    carve_routes(s, c);
    if (s->opt.routes) {
        s->expert_out = carve(c, b * s->moe_layers * s->top_k, sizeof(int32_t));
        s->weight_out = carve(c, b * s->moe_layers * s->top_k, sizeof(float));
    }
    if (s->opt.hidden)
        s->hidden = carve(c, b * d, sizeof(float));
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
    s->logits = s->logits_arena = mem_map(s->logits_bytes);
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
    if (s->logits_arena)
        mem_unmap(s->logits_arena, s->logits_bytes);
    free(s->routes);
    free(s->routed_rows);
    free(s->touched);
    free(s->span);
    free(s);
}

/* ---- the pass ----------------------------------------------------------------------------- */

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

/* Keeps the rows numbered in `keep` of a[n][width]; keep ascends, so rows move forward. */
static void compact(float *a, int64_t width, const int *keep, int n) {
    for (int i = 0; i < n; i++)
        if (keep[i] != i)
            memmove(a + i * width, a + keep[i] * width, (size_t)width * sizeof *a);
}

/* Drops all rows but the wanted ones from what the rest of the last layer needs. */
static struct kern_rows keep_wanted(struct session *s, const struct kern_rows *rows, int n) {
    const struct shape *sh = s->m->shape;
    compact(s->x, sh->d_model, s->wanted, n);
    compact(s->xn, sh->d_model, s->wanted, n);
    for (int r = 0; r < SHAPE_ROPES; r++)
        compact(s->angles[r], sh->rope[r].dims, s->wanted, n);
    return (struct kern_rows){.n = n, .seq = s->wseq, .pos = s->wpos, .tables = rows->tables};
}

/* Attention of layer i over n rows; returns how many rows go on (all, or the wanted ones when
 * `prune`). s->sum receives the block's output. */
static int attend(struct session *s, int i, int n, int n_wanted, int prune) {
    const struct shape *sh = s->m->shape;
    const struct shape_layer *sl = &sh->layer[i];
    const struct model_layer *l = &s->m->layer[i];
    struct kern_queue *qu = &s->queue;

    /* Rows that leave the pass here are only needed as keys and values. */
    struct kern_mm mm[3] = {{&l->attn_k, l->attn_k_bias, s->key, 0},
                            {&l->attn_v, l->attn_v_bias, s->val, 0},
                            {&l->attn_q, l->attn_q_bias, s->q, 0}};
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
    s->k->matmul(qu, s->att, n, &(struct kern_mm){&l->attn_out, l->attn_out_bias, s->sum, 0}, 1);
    return n;
}

/* Gate, up, activation, down: a dense FFN or the shared expert. */
static void gated_ffn(struct session *s, const float *x, int n, const struct kern_weight *gate,
                      const struct kern_weight *up, const struct kern_weight *down, float *out) {
    s->k->matmul(&s->queue, x, n, (struct kern_mm[]){{gate, NULL, s->gate, 0},
                                                      {up, NULL, s->up, 0}}, 2);
    s->k->glu(&s->queue, s->m->shape->act, s->gate, s->up, n * gate->rows, s->gate);
    s->k->matmul(&s->queue, s->gate, n, &(struct kern_mm){down, NULL, out, 0}, 1);
}

static void mixture(struct session *s, int i, int n) {
    const struct shape *sh = s->m->shape;
    const struct shape_layer *sl = &sh->layer[i];
    const struct model_layer *l = &s->m->layer[i];
    struct kern_queue *qu = &s->queue;
    struct kern_route route = {
        .experts = sl->experts, .top_k = sl->top_k, .gate = sh->gate,
        .normalise = sh->gate_normalise, .scale = sh->gate_scale, .bias = l->router_bias,
        .groups = sh->groups, .groups_used = sh->groups_used,
    };
    s->k->matmul(qu, s->xn, n, &(struct kern_mm){&l->router, NULL, s->router, 0}, 1);
    s->k->route(qu, &route, s->router, n, &s->routes[i]);
    s->routed_rows[i] = n;
    if (sl->d_shared) {
        gated_ffn(s, s->xn, n, &l->sh_gate, &l->sh_up, &l->sh_down, s->sum);
        if (l->sh_router.data) {
            struct kern_mm mm = {&l->sh_router, NULL, s->shared_gate, 0};
            s->k->matmul(qu, s->xn, n, &mm, 1);
            s->k->gate_rows(qu, s->sum, n, sh->d_model, s->shared_gate);
        }
    } else {
        memset(s->sum, 0, (size_t)n * (size_t)sh->d_model * sizeof *s->sum);
    }
    struct kern_experts ex = {.gate = &l->exp_gate, .up = &l->exp_up, .down = &l->exp_down,
                              .act = sh->act, .top_k = sl->top_k, .first = 0,
                              .count = sl->experts};
    s->k->experts(qu, &ex, &s->routes[i], s->xn, n, s->sum);
}

static void add_block(struct session *s, const float *post_norm, int n) {
    const struct shape *sh = s->m->shape;
    if (post_norm)
        s->k->rms_norm(&s->queue, s->sum, 0, n, sh->d_model, post_norm, sh->norm_eps, s->sum, 0);
    s->k->add(&s->queue, s->x, s->sum, 1, (int64_t)n * sh->d_model);
}

/* The layers, top to bottom. Returns the rows left in s->x. */
static int pass_run(struct session *s, int n, int n_wanted) {
    const struct shape *sh = s->m->shape;
    struct kern_queue *qu = &s->queue;
    int keep_all = s->opt.routes || s->opt.hidden;

    for (int r = 0; r < SHAPE_ROPES; r++) {
        struct kern_rope rope = rope_of(s, r);
        if (rope.dims)
            s->k->rope_angles(qu, &rope, s->pos, n, s->angles[r]);
    }
    s->k->embed(qu, &s->m->embed, s->token, n, sh->embed_scale, s->x);
    for (int i = 0; i < sh->layers; i++) {
        const struct model_layer *l = &s->m->layer[i];
        const struct shape_layer *sl = &sh->layer[i];
        int prune = i == sh->layers - 1 && !keep_all && n_wanted < n;

        s->k->rms_norm(qu, s->x, 0, n, sh->d_model, l->attn_norm, sh->norm_eps, s->xn, 0);
        n = attend(s, i, n, n_wanted, prune);
        if (n == 0)
            break;
        add_block(s, l->attn_post_norm, n);

        s->k->rms_norm(qu, s->x, 0, n, sh->d_model, l->ffn_norm, sh->norm_eps, s->xn, 0);
        if (sl->experts)
            mixture(s, i, n);
        else
            gated_ffn(s, s->xn, n, &l->ffn_gate, &l->ffn_up, &l->ffn_down, s->sum);
        add_block(s, l->ffn_post_norm, n);
    }
    return n;
}

static void head(struct session *s, const float *normed, int n, float *logits) {
    const struct shape *sh = s->m->shape;
    s->k->matmul(&s->queue, normed, n, &(struct kern_mm){&s->m->head, NULL, logits, 0}, 1);
    if (sh->final_softcap > 0)
        s->k->softcap(&s->queue, logits, (int64_t)n * sh->vocab, sh->final_softcap);
}

/* Final norm and head over what pass_run left: `left` rows, of which n_wanted get logits. */
static void finish(struct session *s, int left, int n_wanted, struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    int64_t d = sh->d_model;
    if (left == 0)
        return;
    s->k->rms_norm(&s->queue, s->x, 0, left, sh->d_model, s->m->out_norm, sh->norm_eps, s->xn, 0);
    if (s->opt.hidden) {
        memcpy(s->hidden, s->xn, (size_t)left * (size_t)d * sizeof *s->hidden);
        pass->hidden = s->hidden;
    }
    if (left != n_wanted)
        compact(s->xn, d, s->wanted, n_wanted);
    if (n_wanted == 0)
        return;
    if (!pass->sink) {
        head(s, s->xn, n_wanted, s->logits);
        pass->logits = s->logits;
        return;
    }
    for (int i = 0; i < n_wanted; i += SINK_ROWS) {
        int rows = n_wanted - i < SINK_ROWS ? n_wanted - i : SINK_ROWS;
        head(s, s->xn + i * d, rows, s->logits);
        pass->sink(pass->sink_arg, s->logits, i, rows);
    }
}

/* ---- bookkeeping --------------------------------------------------------------------------- */

/* Fills s->span, too. */
static int check_rows(struct session *s, const struct session_row *rows, int n, struct err *err) {
    if (n < 1 || n > s->opt.batch)
        return err_set(err, "a pass of %d rows; this session takes 1 to %d", n, s->opt.batch);
    for (int q = 0; q < s->opt.sequences; q++)
        s->span[q] = (struct span){-1, -1};
    for (int i = 0; i < n; i++) {
        const struct session_row *r = &rows[i];
        if (r->seq < 0 || r->seq >= s->opt.sequences)
            return err_set(err, "sequence %d of %d", r->seq, s->opt.sequences);
        if (r->token < 0 || r->token >= s->m->shape->vocab)
            return err_set(err, "token %d is outside the vocabulary of %d", (int)r->token,
                           s->m->shape->vocab);
        if (r->pos < 0 || r->pos >= s->opt.context)
            return err_set(err, "position %d is outside the context of %d tokens", (int)r->pos,
                           s->opt.context);
        struct span *span = &s->span[r->seq];
        int expect = span->first < 0 ? kvcache_length(s->kv, r->seq) : span->last + 1;
        if (r->pos != expect)
            return err_set(err, "sequence %d continues at position %d, the row is at %d", r->seq,
                           expect, (int)r->pos);
        span->first = span->first < 0 ? r->pos : span->first;
        span->last = r->pos;
    }
    return 0;
}

static int take_rows(struct session *s, const struct session_row *rows, int n) {
    int wanted = 0;
    for (int i = 0; i < n; i++) {
        s->seq[i] = rows[i].seq;
        s->pos[i] = rows[i].pos;
        s->token[i] = rows[i].token;
        if (rows[i].want_logits) {
            s->wseq[wanted] = rows[i].seq;
            s->wpos[wanted] = rows[i].pos;
            s->wanted[wanted++] = i;
        }
    }
    return wanted;
}

static void count_experts(struct session *s, struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    pass->experts_touched = s->moe_layers ? 0 : -1;
    for (int i = 0; i < sh->layers; i++) {
        s->touched[i] = 0;
        if (!sh->layer[i].experts || !s->routed_rows[i])
            continue;
        const int32_t *start = s->routes[i].start;
        for (int e = 0; e < sh->layer[i].experts; e++)
            s->touched[i] += start[e + 1] > start[e];
        pass->experts_touched += s->touched[i];
        pass->bytes.experts += (double)s->touched[i] * (double)sh->expert_bytes[i];
    }
    pass->experts_by_layer = s->touched;
}

/* A row that left after the last layer's keys and values. */
static void add_pruned_row(const struct shape *sh, int64_t pos, struct shape_flops *f) {
    for (int i = 0; i < sh->layers - 1; i++)
        shape_add_layer_flops(sh, i, pos, SHAPE_KV | SHAPE_ATTENTION | SHAPE_FFN, f);
    shape_add_layer_flops(sh, sh->layers - 1, pos, SHAPE_KV, f);
}

/* FLOPs per row, less what pruning saved; weights once for the pass; KV once per sequence. */
static void count_work(struct session *s, const struct session_row *rows, int n, int pruned,
                       struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    double bits = kvcache_bits(s->opt.kv_type);
    for (int i = 0; i < n; i++)
        if (pruned && !rows[i].want_logits)
            add_pruned_row(sh, rows[i].pos, &pass->flops);
        else
            shape_add_row_flops(sh, rows[i].pos, rows[i].want_logits, &pass->flops);
    pass->bytes.kv_write = n * shape_kv_bytes(sh, bits);
    for (int q = 0; q < s->opt.sequences; q++)
        if (s->span[q].first >= 0)
            pass->bytes.kv_read += shape_kv_read(sh, s->span[q].first, s->span[q].last, bits);
    for (int i = 0; i < sh->layers; i++)
        pass->bytes.dense += (double)sh->dense_bytes[i];
    if (pass->wanted)
        pass->bytes.dense += (double)sh->head_bytes;
    count_experts(s, pass);
}

/* Routes as the trace wants them: [row][moe layer][slot]. */
static void gather_routes(struct session *s, int n, struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    int ml = 0;
    for (int i = 0; i < sh->layers; i++) {
        int k = sh->layer[i].top_k;
        if (!sh->layer[i].experts)
            continue;
        for (int r = 0; r < n; r++) {
            int64_t at = ((int64_t)r * s->moe_layers + ml) * s->top_k;
            for (int j = 0; j < s->top_k; j++) {
                s->expert_out[at + j] = j < k ? s->routes[i].expert[r * k + j] : -1;
                s->weight_out[at + j] = j < k ? s->routes[i].weight[r * k + j] : 0;
            }
        }
        ml++;
    }
    pass->expert = s->expert_out;
    pass->weight = s->weight_out;
}

int session_pass(struct session *s, const struct session_row *rows, int n,
                 struct session_pass *pass, struct err *err) {
    *pass = (struct session_pass){.sink = pass->sink, .sink_arg = pass->sink_arg};
    if (check_rows(s, rows, n, err))
        return -1;
    int64_t start = clock_ns();
    int n_wanted = take_rows(s, rows, n);
    memset(s->routed_rows, 0, (size_t)s->m->shape->layers * sizeof *s->routed_rows);
    int left = pass_run(s, n, n_wanted);
    pass->wanted = n_wanted;
    finish(s, left, n_wanted, pass);
    for (int q = 0; q < s->opt.sequences; q++)
        if (s->span[q].first >= 0)
            kvcache_extend(s->kv, q, s->span[q].last + 1);
    pass->ns = clock_ns() - start;
    count_work(s, rows, n, left < n, pass);
    if (s->opt.routes && s->moe_layers)
        gather_routes(s, n, pass);
    return 0;
}

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
