/* bench_kernels_attention.c - attention over the KV cache, and writing to it
 *
 * A call of attention on n rows of one sequence at positions depth .. depth + n - 1, which see
 * S = n depth + n (n + 1) / 2 positions in all, H query heads, KV of G heads:
 *     operations  2 S H (dk + dv), in f32 (exp does not count)
 *     bytes       K and V of depth + n positions as they are stored, once + 4 n H (dk + dv)
 * of kv_store on n rows:
 *     operations  n G (dk + dv), the conversion
 *     bytes       4 n G (dk + dv) read + the same elements as they are stored
 *
 * Attention goes from layer to layer of as many as no cache holds, as a model does.
 */
#include "cmd/bench_kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

struct cache {
    struct room *room;
    const struct subject *s;
    struct kern_kv kv;          /* of the first layer */
    int positions, layers;
    size_t layer_bytes, map_bytes;
    int32_t *table;             /* [positions / 64] */
    int32_t *seq, *pos;         /* [most] */
    int most;                   /* rows of the largest test */
    float *k, *v;               /* [most or 64][G][dk or dv] */
    float *q, *out;             /* [most][H][dk or dv] */
};

static void cache_close(void *state) {
    struct cache *c = state;
    if (c->kv.base)
        mem_unmap(c->kv.base, c->map_bytes);
    free(c->table);
    free(c->seq);
    free(c->pos);
    free(c->k);
    free(c->v);
    free(c->q);
    free(c->out);
    free(c);
}

static struct kern_rows rows_at(struct cache *c, const int32_t *const *tables, int first, int n) {
    for (int i = 0; i < n; i++)
        c->pos[i] = first + i;
    return (struct kern_rows){n, c->seq, c->pos, tables};
}

/* A cache of `layers` layers (0: as many as the room's ring) for the subject's tests. */
static struct cache *cache_new(struct room *r, const struct subject *s, int layers) {
    struct cache *c = mem_alloc(sizeof *c);
    *c = (struct cache){.room = r, .s = s};
    for (int i = 0; i < s->tests; i++) {
        c->most = s->test[i].n > c->most ? s->test[i].n : c->most;
        int end = s->test[i].n + s->test[i].depth;
        c->positions = end > c->positions ? end : c->positions;
    }
    int blocks = (c->positions + KERN_KV_BLOCK - 1) / KERN_KV_BLOCK;
    c->kv = (struct kern_kv){.type = s->type, .heads = s->kv_heads, .dk = s->dk, .dv = s->dv};
    c->kv.block_bytes = kern_kv_block_bytes(s->type, s->kv_heads, s->dk, s->dv);
    c->layer_bytes = c->kv.block_bytes * (size_t)blocks;
    c->layers = layers ? layers
                       : r->ring_bytes > c->layer_bytes ? (int)(r->ring_bytes / c->layer_bytes) : 1;
    c->map_bytes = c->layer_bytes * (size_t)c->layers;
    c->kv.base = mem_map(c->map_bytes);
    size_t n = (size_t)(c->most > KERN_KV_BLOCK ? c->most : KERN_KV_BLOCK);
    c->table = mem_array((size_t)blocks, sizeof *c->table);
    for (int i = 0; i < blocks; i++)
        c->table[i] = i;
    c->seq = mem_array(n, sizeof *c->seq);
    c->pos = mem_array(n, sizeof *c->pos);
    c->k = random_numbers(n * (size_t)(s->kv_heads * s->dk), 1);
    c->v = random_numbers(n * (size_t)(s->kv_heads * s->dv), 2);
    c->q = random_numbers(n * (size_t)(s->heads * s->dk), 3);
    c->out = mem_array(n * (size_t)(s->heads * s->dv), sizeof *c->out);
    struct kern_limits lim = {.rows = c->most, .heads = s->heads, .kv_heads = s->kv_heads,
                              .dk = s->dk, .dv = s->dv, .context = c->positions};
    if (c->kv.base && !room_scratch(r, &lim))
        return c;
    cache_close(c);
    return NULL;
}

/* Bytes of the K and V of one position. */
static double position_bytes(const struct cache *c) {
    return (double)c->kv.block_bytes / KERN_KV_BLOCK;
}

static int plan_kv_type(const struct plan *p, int type) {
    return plan_wants_type(p, type) && !(p->quick && type != KERN_F16 && !p->types);
}

static const int kv_types[] = {KERN_F32, KERN_F16, KERN_Q8_0};

/* ---- attention ---------------------------------------------------------------------------- */

static void copy_layers(void *arg, int ith, int nth) {
    const struct cache *c = arg;
    for (int l = 1 + ith; l < c->layers; l += nth)
        memcpy((char *)c->kv.base + (size_t)l * c->layer_bytes, c->kv.base, c->layer_bytes);
}

static void *attention_open(struct room *r, const struct subject *s, unsigned layouts, int blas) {
    struct cache *c = cache_new(r, s, 0);
    (void)layouts;
    (void)blas;
    if (!c)
        return NULL;
    const struct kern *k = kern_select("ref", NULL);
    const int32_t *tables[] = {c->table};
    int blocks = (c->positions + KERN_KV_BLOCK - 1) / KERN_KV_BLOCK;
    for (int b = 0; b < blocks; b++) {
        struct kern_rows rows = rows_at(c, tables, b * KERN_KV_BLOCK, KERN_KV_BLOCK);
        k->kv_store(&r->queue, &c->kv, &rows, c->k, c->v);
        c->k[b % 64] += 0.5f;   /* blocks differ */
        c->v[b % 64] -= 0.5f;
    }
    par_run(r->par, copy_layers, c);
    return c;
}

static void attention_call(void *state, const struct runner *by, const struct test *t, int rows,
                           int turn) {
    struct cache *c = state;
    const int32_t *tables[] = {c->table};
    struct kern_rows r = rows_at(c, tables, t->depth, rows);
    struct kern_attn at = {.heads = c->s->heads, .scale = 1 / sqrtf((float)c->s->dk),
                           .kv = c->kv};
    if (turn > 0)
        at.kv.base = (char *)at.kv.base + (size_t)(turn % c->layers) * c->layer_bytes;
    by->k->attention(&c->room->queue, &at, &r, c->q, c->out);
}

static void attention_work(void *state, const struct runner *by, const struct test *t, int rows,
                           struct work *out) {
    const struct cache *c = state;
    const struct subject *s = c->s;
    double n = rows;
    double seen = n * t->depth + n * (n + 1) / 2;
    double row = (double)s->heads * (s->dk + s->dv);
    (void)by;
    out->ops[UNIT_F32] = 2 * seen * row;
    double kv = (t->depth + n) * position_bytes(c);
    out->read = kv + 4 * n * s->heads * s->dk;
    out->written = 4 * n * s->heads * s->dv;
    out->set = kv * c->layers + out->written;   /* of each layer only these positions are read */
}

static struct result attention_result(void *state, const struct test *t, int rows) {
    const struct cache *c = state;
    (void)t;
    return (struct result){c->out, (size_t)rows * (size_t)(c->s->heads * c->s->dv),
                           RESULT_FLOATS};
}

static void add_heads(struct plan *p, const struct operation *op, int type,
                      const struct head_dims *d) {
    static const int usual_n[] = {1, 512};
    static const int quick_n[] = {1, QUICK_ROWS};
    static const int usual_depth[] = {0, 4096};
    struct subject s = {.op = op, .type = type, .down = -1, .heads = d->heads,
                        .kv_heads = d->kv_heads, .dk = d->dk, .dv = d->dv};
    const int *ns = p->ns ? p->n : p->quick ? quick_n : usual_n;
    const int *depths = p->depths ? p->depth : usual_depth;
    int n_count = p->ns ? p->ns : 2;
    int depth_count = p->depths ? p->depths : 2;
    for (int i = 0; i < n_count; i++)
        for (int j = 0; j < depth_count && s.tests < TESTS; j++)
            if (ns[i] > 1 || depths[j] > 0)     /* one position is no work */
                s.test[s.tests++] = (struct test){ns[i], depths[j]};
    if (d->dk == d->dv)
        plan_shape(&s, "%d:%dx%d", s.heads, s.kv_heads, s.dk);
    else
        plan_shape(&s, "%d:%dx%d:%d", s.heads, s.kv_heads, s.dk, s.dv);
    snprintf(s.tag, sizeof s.tag, "%s", d->tag ? d->tag : "");
    plan_add(p, &s);
}

static void attention_plan(struct plan *p, const struct operation *op) {
    struct head_dims dims[SHAPES_MOST];
    int n = plan_heads(p, dims);
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < n && plan_kv_type(p, kv_types[t]); i++)
            add_heads(p, op, kv_types[t], &dims[i]);
}

const struct operation kernels_attention = {
    .name = "attention", .plan = attention_plan, .open = attention_open, .call = attention_call,
    .work = attention_work, .result = attention_result, .close = cache_close,
};

/* ---- kv_store ----------------------------------------------------------------------------- */

static void *store_open(struct room *r, const struct subject *s, unsigned layouts, int blas) {
    (void)layouts;
    (void)blas;
    return cache_new(r, s, 1);
}

static void store_call(void *state, const struct runner *by, const struct test *t, int rows,
                       int turn) {
    struct cache *c = state;
    const int32_t *tables[] = {c->table};
    struct kern_rows r = rows_at(c, tables, 0, rows);
    (void)t;
    if (turn < 0)
        memset(c->kv.base, 0, c->map_bytes);
    by->k->kv_store(&c->room->queue, &c->kv, &r, c->k, c->v);
}

static void store_work(void *state, const struct runner *by, const struct test *t, int rows,
                       struct work *out) {
    const struct cache *c = state;
    double elements = (double)rows * c->s->kv_heads * (c->s->dk + c->s->dv);
    (void)by;
    (void)t;
    out->ops[UNIT_F32] = elements;
    out->read = 4 * elements;
    out->written = rows * position_bytes(c);
    out->set = out->read + out->written;
}

static struct result store_result(void *state, const struct test *t, int rows) {
    const struct cache *c = state;
    (void)t;
    (void)rows;
    return (struct result){c->kv.base, c->map_bytes, RESULT_BYTES};
}

static void store_plan(struct plan *p, const struct operation *op) {
    static const int usual[] = {1, 512};
    struct head_dims dims[SHAPES_MOST];
    int n = plan_heads(p, dims);
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < n && plan_kv_type(p, kv_types[t]); i++) {
            int known = 0;      /* query heads do not matter */
            for (int j = 0; j < i; j++)
                known |= dims[j].kv_heads == dims[i].kv_heads && dims[j].dk == dims[i].dk &&
                         dims[j].dv == dims[i].dv;
            if (known || (i && !p->shape))
                continue;
            struct subject s = {.op = op, .type = kv_types[t], .down = -1,
                                .heads = dims[i].heads, .kv_heads = dims[i].kv_heads,
                                .dk = dims[i].dk, .dv = dims[i].dv};
            if (s.dk == s.dv)
                plan_shape(&s, "%dx%d", s.kv_heads, s.dk);
            else
                plan_shape(&s, "%dx%d:%d", s.kv_heads, s.dk, s.dv);
            plan_rows(p, &s, usual, 2);
            plan_add(p, &s);
        }
}

const struct operation kernels_kv_store = {
    .name = "kv_store", .plan = store_plan, .open = store_open, .call = store_call,
    .work = store_work, .result = store_result, .close = cache_close,
};
