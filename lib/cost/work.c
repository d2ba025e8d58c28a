/* work.c - FLOPs and bytes of one pass under a design, see work.h
 *
 * All of a pass is one function, add_pass: so many sequences, each with rows at positions
 * [from, to). Positions count through sums in closed form, so a pass of a million rows costs what
 * one of a row does. Requests, sums over passes, are in work_request.c.
 */
#include "lib/cost/work.h"

#include <math.h>

#define SCORE_BYTES 8.0         /* a score and a probability, 2 bytes each, written and read */

struct pass {
    const struct shape *shape;
    int64_t from, to, logits;   /* of a sequence: positions, and how many of the last have logits */
    int64_t sequences;
};

/* ---- what a layer has --------------------------------------------------------------------- */

struct layer {                  /* FLOPs of a row, but for those that grow with its position */
    double kv;                  /* projections to keys and values */
    double attention;           /* to queries, from heads */
    double seen;                /* scores and values over one position */
    double dense, experts;
};

static struct layer read_layer(const struct work_model *m, const struct shape *s, int i) {
    const struct shape_layer *l = &s->layer[i];
    struct shape_flops kv = {0};
    struct shape_flops rest = {0};
    shape_add_layer_flops(s, i, 0, SHAPE_KV, &kv);
    shape_add_layer_flops(s, i, 0, SHAPE_ATTENTION | SHAPE_FFN, &rest);
    double seen = 2.0 * l->heads * (l->dk + l->dv);
    double every = m->dense_experts && l->experts ? (double)l->experts / l->top_k : 1;
    return (struct layer){.kv = kv.attention, .attention = rest.attention - seen, .seen = seen,
                          .dense = rest.dense, .experts = rest.experts * every};
}

/* Positions that a row at pos attends to, itself included. */
static double visible(const struct shape_layer *l, int64_t pos) {
    return (double)(l->window && pos >= l->window ? l->window : pos + 1);
}

/* Positions that the first n rows of a sequence see, all together. */
static double visible_sum(const struct shape_layer *l, int64_t n) {
    int64_t rising = l->window && n > l->window ? l->window : n;
    return (double)rising * (double)(rising + 1) / 2 + (double)(n - rising) * (double)rising;
}

/* Parameters of matrices are half the FLOPs that a row makes of them. */
static double of_bits(double flops, double bits) {
    return flops / 2 * bits / 8;
}

/* ---- passes ------------------------------------------------------------------------------- */

static void add_layer(const struct work_model *m, const struct pass *p, int i, struct work *out) {
    const struct shape *s = p->shape;
    const struct shape_layer *l = &s->layer[i];
    const struct layer row = read_layer(m, s, i);
    int pruned = m->prune_last && i == s->layers - 1;
    int64_t first = pruned ? p->to - p->logits : p->from;
    double n = (double)p->sequences;
    double rows = n * (double)(p->to - p->from);
    double full = n * (double)(p->to - first);
    double seen = n * (visible_sum(l, p->to) - visible_sum(l, first));
    out->flops.attention += rows * row.kv + full * row.attention + seen * row.seen;
    out->score_flops += seen * row.seen;
    out->flops.dense += full * row.dense;
    out->flops.experts += full * row.experts;

    double attention = row.kv + row.attention;
    double dense = m->weight_bits > 0 ? of_bits(attention + row.dense, m->weight_bits)
                                      : (double)s->dense_bytes[i];
    double expert = m->weight_bits > 0 ? of_bits(6.0 * l->d_expert * s->d_model, m->weight_bits)
                                       : (double)s->expert_bytes[i];
    out->bytes.dense += dense;
    out->attention_bytes += dense * attention / (attention + row.dense);
    if (l->experts)
        out->bytes.experts += work_experts(m, i, full) * expert;
    if (m->no_flash) {
        double positions = (double)(p->to - 1 - first) + visible(l, first);
        out->score_bytes += full * positions * l->heads * SCORE_BYTES;
    }
}

/* Everything but tokens. */
static void add_pass(const struct work_model *m, const struct pass *p, struct work *out) {
    const struct shape *s = p->shape;
    double bits = m->kv_bits > 0 ? m->kv_bits : 16;
    double n = (double)p->sequences;
    double rows = n * (double)(p->to - p->from);
    double head_flops = 2.0 * s->vocab * s->d_model;
    double head = m->weight_bits > 0 ? of_bits(head_flops, m->weight_bits) : (double)s->head_bytes;
    for (int i = 0; i < s->layers; i++)
        add_layer(m, p, i, out);
    out->flops.head += n * (double)p->logits * head_flops;
    out->bytes.dense += head;
    out->head_bytes += head;
    out->bytes.kv_read += n * shape_kv_read(s, p->from, p->to - 1, bits);
    out->bytes.kv_write += rows * shape_kv_bytes(s, bits);
    out->rows += rows;
    out->passes += 1;
}

/* The draft model's, beside m's own. Measured experts are not its own. */
static void add_draft(const struct work_model *m, const struct pass *p, struct work *out) {
    struct work_model own = *m;
    struct work w = {0};
    own.shape = p->shape;
    own.experts = NULL;
    add_pass(&own, p, &w);
    out->draft_flops += work_flops(&w);
    out->draft_bytes += work_bytes(&w);
}

void work_prefill(const struct work_model *m, int64_t from, int64_t to, struct work *out) {
    struct pass p = {.shape = m->shape, .from = from, .to = to, .logits = 1, .sequences = 1};
    *out = (struct work){0};
    if (to <= from)
        return;
    add_pass(m, &p, out);
    out->tokens = out->rows;
    p.shape = m->draft_shape;
    if (m->draft && p.shape)
        add_draft(m, &p, out);
}

void work_decode(const struct work_model *m, int64_t context, struct work *out) {
    int64_t batch = m->batch ? m->batch : 1;
    struct pass p = {.shape = m->shape, .from = m->no_kv_cache ? 0 : context,
                     .to = context + m->draft + 1, .logits = m->draft + 1, .sequences = batch};
    *out = (struct work){0};
    add_pass(m, &p, out);
    out->tokens = (double)batch * work_step_tokens(m);
    p.shape = m->draft_shape;
    p.logits = 1;
    for (int i = 0; p.shape && i < m->draft; i++) {
        p.to = context + i + 1;
        p.from = m->no_kv_cache ? 0 : p.to - 1;
        add_draft(m, &p, out);
    }
}

/* ---- sums --------------------------------------------------------------------------------- */

void work_add(struct work *into, const struct work *w, double times) {
    shape_add_flops(&into->flops, &w->flops, times);
    shape_add_bytes(&into->bytes, &w->bytes, times);
    into->attention_bytes += w->attention_bytes * times;
    into->head_bytes += w->head_bytes * times;
    into->score_flops += w->score_flops * times;
    into->score_bytes += w->score_bytes * times;
    into->draft_flops += w->draft_flops * times;
    into->draft_bytes += w->draft_bytes * times;
    into->rows += w->rows * times;
    into->tokens += w->tokens * times;
    into->passes += w->passes * times;
}

double work_flops(const struct work *w) {
    return shape_sum_flops(&w->flops) + w->draft_flops;
}

double work_bytes(const struct work *w) {
    return shape_sum_bytes(&w->bytes) + w->score_bytes + w->draft_bytes;
}

/* ---- what follows from a design alone ------------------------------------------------------ */

/* Measured at whole tokens, straight lines between them, 0 at none. */
static double measured(const struct work_model *m, double tokens) {
    int below = (int)tokens;
    double low = below ? m->experts[below - 1] : 0;
    double high = below < m->experts_n ? m->experts[below] : low;
    return low + (high - low) * (tokens - below);
}

double work_experts(const struct work_model *m, int layer, double tokens) {
    const struct shape_layer *l = &m->shape->layer[layer];
    double all = l->experts;
    double touched = 0;
    if (!l->experts || !(tokens > 0))
        return 0;
    if (m->dense_experts)
        return all;
    if (m->experts && m->experts_n > 0) {
        double known = fmin(tokens, m->experts_n);
        touched = fmin(measured(m, known), all);
        tokens -= known;
    }
    return all - (all - touched) * pow(1 - l->top_k / all, tokens);
}

int64_t work_crossover(const struct work_model *m) {
    struct work_model plain = {.shape = m->shape, .dense_experts = m->dense_experts};
    struct work row;
    int64_t low = 0;
    int64_t high = (int64_t)1 << 50;        /* positions count exactly, as doubles */
    work_decode(&plain, high, &row);
    if (2 * row.score_flops < work_flops(&row))
        return -1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        work_decode(&plain, middle, &row);
        if (2 * row.score_flops < work_flops(&row))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double work_step_tokens(const struct work_model *m) {
    double a = m->accept;
    if (!m->draft)
        return 1;
    return a == 1 ? m->draft + 1 : (1 - pow(a, m->draft + 1)) / (1 - a);
}

static double stored(const struct work_model *m, const struct shape *s) {
    return m->weight_bits > 0 ? (double)s->params * m->weight_bits / 8 : (double)s->weight_bytes;
}

double work_weight_bytes(const struct work_model *m) {
    return stored(m, m->shape) +
           (m->draft && m->draft_shape ? stored(m, m->draft_shape) : 0);
}

double work_kv_bytes(const struct work_model *m, int64_t tokens) {
    double bits = m->kv_bits > 0 ? m->kv_bits : 16;
    int64_t held = tokens;
    if (m->no_kv_cache)
        return 0;
    if (m->block_tokens)
        held = (tokens + m->block_tokens - 1) / m->block_tokens * m->block_tokens;
    else if (held < m->reserve_tokens)
        held = m->reserve_tokens;
    double sum = shape_sequence_kv_bytes(m->shape, held, bits);
    if (m->draft && m->draft_shape)
        sum += shape_sequence_kv_bytes(m->draft_shape, held, bits);
    return sum;
}
