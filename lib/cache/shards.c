/* shards.c - curves from a sample of the blocks, with their error; see shards.h
 *
 * The whole sample and each of its parts is a curve of its own that sees some of the blocks. While
 * the rate stays the same a curve counts whole uses at sampled distances; when the rate falls, and
 * at the end, its counts are folded into points at true distances, weighted by 1 / rate.
 */
#include "lib/cache/shards.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cache/curve_impl.h"

#define STUDENT_T 2.1314495     /* 97.5 % quantile of Student's t with SHARDS_PARTS - 1 = 15 */
#define WHOLE 0                 /* of the samples: the parts follow */
#define SAMPLES (1 + SHARDS_PARTS)

struct sample {
    struct curve *curve;
    double share;               /* of the whole sample's rate */
    struct point seen;          /* uses since the last fold, hit or not */
    struct point weight;        /* of all that was folded */
    struct points points;
    struct curve_request q;     /* the sampled part of the request being added */
    uint64_t *id;
    size_t cap;
};

struct shards {
    struct curve_options opt;
    double rate;
    uint64_t threshold;         /* hashes below it are sampled */
    int64_t limit;              /* blocks; 0: none */
    uint64_t seed;
    struct curve *all;          /* counts requests and tokens of the whole trace, no blocks */
    struct sample sample[SAMPLES];
    struct curve_totals totals;
};

/* The finalizer of splitmix64 (S. Vigna, public domain). */
static uint64_t hash(uint64_t id, uint64_t seed) {
    uint64_t x = id + seed * 0x9E3779B97F4A7C15u + 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static double rate_of(uint64_t threshold) {
    return ((double)threshold + 1) * 0x1p-64;
}

struct shards *shards_new(const struct curve_options *opt, double rate, int64_t blocks,
                          uint64_t seed) {
    struct shards *s = mem_alloc(sizeof *s);
    s->opt = *opt;
    s->opt.save = NULL;
    s->threshold = rate < 1 ? (uint64_t)(rate * 0x1p64) : UINT64_MAX;
    s->rate = rate_of(s->threshold);
    s->limit = blocks;
    s->seed = seed;
    s->all = curve_new(&s->opt);
    for (int i = 0; i < SAMPLES; i++) {
        s->sample[i].curve = curve_new(&s->opt);
        s->sample[i].share = i == WHOLE ? 1 : 1.0 / SHARDS_PARTS;
        if (blocks)
            curve_limit_pending(s->sample[i].curve, (size_t)blocks / 16 + 1);
    }
    return s;
}

void shards_free(struct shards *s) {
    if (!s)
        return;
    curve_free(s->all);
    for (int i = 0; i < SAMPLES; i++) {
        curve_free(s->sample[i].curve);
        points_free(&s->sample[i].points);
        free(s->sample[i].id);
    }
    free(s);
}

const struct curve_totals *shards_totals(const struct shards *s) {
    return &s->totals;
}

double shards_rate(const struct shards *s) {
    return s->rate;
}

int64_t shards_blocks(const struct shards *s) {
    return idmap_count(s->sample[WHOLE].curve->map);
}

/* ---- when the rate falls ---------------------------------------------------------------- */

static void add_weighted(struct point *to, const struct point *p, double weight) {
    to->blocks += p->blocks * weight;
    to->short_blocks += p->short_blocks * weight;
    to->short_tokens += p->short_tokens * weight;
}

/* What a curve has counted becomes points of the whole trace. */
static void fold(const struct shards *s, struct sample *m) {
    double rate = s->rate * m->share;
    struct point p;
    uint64_t next = 0;
    points_sort(&m->curve->points);
    while (curve_next(m->curve, &next, &p)) {
        struct point x = {.key = p.key};
        if (s->opt.order != CURVE_TTL)
            x.key = (uint64_t)((double)(p.key - 1) / rate) + 1;
        add_weighted(&x, &p, 1 / rate);
        points_add(&m->points, &x);
    }
    add_weighted(&m->weight, &m->seen, 1 / rate);
    m->seen = (struct point){0};
    curve_forget_counts(m->curve);
}

/* Keeps the blocks below the threshold, in their order of use. */
static int keep_sampled(const struct shards *s, struct curve *c, struct err *err) {
    struct curve old = *c;
    uint32_t n = idmap_count(old.map);
    uint32_t *order = curve_order_of_use(&old, n);
    int rc = 0;
    c->map = idmap_new();
    c->recency = old.recency ? recency_new() : NULL;
    c->used = NULL;
    c->used_n = c->used_cap = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint64_t id = idmap_id(old.map, order[i]);
        uint32_t dense;
        if (hash(id, s->seed) > s->threshold)
            continue;
        rc = curve_number(c, &id, 1, &dense, err);
        if (!rc)
            curve_use(c, dense, old.used ? old.used[order[i]] : 0);
    }
    free(order);
    idmap_free(old.map);
    recency_free(old.recency);
    free(old.used);
    return rc;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The threshold that leaves seven eighths of the limit. */
static uint64_t lower_threshold(const struct shards *s) {
    const struct idmap *map = s->sample[WHOLE].curve->map;
    uint32_t n = idmap_count(map);
    uint64_t *h = mem_array(n, sizeof *h);
    for (uint32_t i = 0; i < n; i++)
        h[i] = hash(idmap_id(map, i), s->seed);
    qsort(h, n, sizeof *h, ascending);
    uint64_t at = h[s->limit - s->limit / 8];
    free(h);
    return at ? at - 1 : 0;
}

static int shrink(struct shards *s, struct err *err) {
    for (int i = 0; i < SAMPLES; i++) {
        if (curve_flush(s->sample[i].curve, err))
            return -1;
        fold(s, &s->sample[i]);
    }
    s->threshold = lower_threshold(s);
    s->rate = rate_of(s->threshold);
    for (int i = 0; i < SAMPLES; i++)
        if (keep_sampled(s, s->sample[i].curve, err))
            return -1;
    return 0;
}

/* ---- adding ----------------------------------------------------------------------------- */

/* Takes the block at `at` of request `whole` into the sample's part of it. */
static void take_block(struct sample *m, const struct curve_request *whole, int64_t at,
                       uint64_t id) {
    struct curve_request *q = &m->q;
    if ((size_t)q->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 64;
        m->id = mem_grow(m->id, m->cap, sizeof *m->id);
    }
    if (q->full == q->n && at < whole->full)
        q->full++;
    else if (at == whole->full) {
        q->short_blocks = whole->short_blocks;
        q->short_tokens = whole->short_tokens;
    }
    m->id[q->n++] = id;
}

static int add_taken(struct sample *m, struct err *err) {
    struct curve_request *q = &m->q;
    if (q->n == 0)
        return 0;
    m->seen.blocks += (double)q->n;
    if (q->full < q->n) {
        m->seen.short_blocks += (double)(q->short_blocks + q->n - q->full - 1);
        m->seen.short_tokens += (double)q->short_tokens;
    }
    return curve_add_part(m->curve, q, m->id, err);
}

int shards_add(struct shards *s, const struct req *q, struct err *err) {
    struct curve_request whole;
    if (curve_add_lengths(s->all, q, &whole, err))
        return -1;
    for (int i = 0; i < SAMPLES; i++)
        s->sample[i].q = (struct curve_request){.time_ns = whole.time_ns, .short_blocks = 1};
    for (int64_t i = 0; i < whole.n; i++) {
        uint64_t h = hash(q->block[i], s->seed);
        if (h > s->threshold)
            continue;
        take_block(&s->sample[WHOLE], &whole, i, q->block[i]);
        take_block(&s->sample[1 + h % SHARDS_PARTS], &whole, i, q->block[i]);
    }
    for (int i = 0; i < SAMPLES; i++)
        if (add_taken(&s->sample[i], err))
            return -1;
    return s->limit && shards_blocks(s) > s->limit ? shrink(s, err) : 0;
}

int shards_finish(struct shards *s, int block_tokens, struct err *err) {
    if (curve_finish(s->all, block_tokens, err))
        return -1;
    s->totals = s->all->totals;
    for (int i = 0; i < SAMPLES; i++) {
        if (curve_flush(s->sample[i].curve, err))
            return -1;
        fold(s, &s->sample[i]);
        points_sort(&s->sample[i].points);
    }
    s->totals.unique = llround((double)shards_blocks(s) / s->rate);
    return 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

struct cursor {
    size_t at;                  /* next point */
    double blocks, tokens;      /* hits so far */
};

struct shards_walk {
    const struct shards *shards;
    struct cursor cursor[SAMPLES];
    int started;
    double block_high, token_high;      /* of every key below the resolution */
};

double shards_resolved(const struct shards *s) {
    return s->opt.order == CURVE_TTL ? 0 : SHARDS_PARTS / s->rate;
}

static void start_walk(struct shards_walk *w, const struct shards *s) {
    *w = (struct shards_walk){.shards = s};
    for (int i = 0; i < SAMPLES; i++) {
        const struct point *weight = &s->sample[i].weight;
        w->cursor[i].blocks = (double)s->totals.accesses - weight->blocks;
        w->cursor[i].tokens = (double)s->totals.input_tokens -
                              curve_tokens(weight, s->totals.block_tokens);
    }
}

void shards_walk_free(struct shards_walk *w) {
    free(w);
}

/* Every cursor moves behind the points up to key. */
static void move_to(struct shards_walk *w, uint64_t key) {
    for (int i = 0; i < SAMPLES; i++) {
        const struct points *p = &w->shards->sample[i].points;
        struct cursor *c = &w->cursor[i];
        for (; c->at < p->n && p->at[c->at].key <= key; c->at++) {
            c->blocks += p->at[c->at].blocks;
            c->tokens += curve_tokens(&p->at[c->at], w->shards->totals.block_tokens);
        }
    }
}

/* Half the interval, from one value of each part. */
static double error_of(const double *part) {
    double mean = 0;
    double squares = 0;
    for (int i = 0; i < SHARDS_PARTS; i++)
        mean += part[i] / SHARDS_PARTS;
    for (int i = 0; i < SHARDS_PARTS; i++)
        squares += (part[i] - mean) * (part[i] - mean);
    return STUDENT_T * sqrt(squares / (SHARDS_PARTS - 1) / SHARDS_PARTS);
}

static double within(double x, double max) {
    return x < 0 ? 0 : x > max ? max : x;
}

static void read_point(const struct shards_walk *w, uint64_t key, struct shards_point *out) {
    double blocks = (double)w->shards->totals.accesses;
    double tokens = (double)w->shards->totals.input_tokens;
    double part[2][SHARDS_PARTS];
    for (int i = 0; i < SHARDS_PARTS; i++) {
        part[0][i] = w->cursor[1 + i].blocks;
        part[1][i] = w->cursor[1 + i].tokens;
    }
    double block_error = error_of(part[0]);
    double token_error = error_of(part[1]);
    const struct cursor *whole = &w->cursor[WHOLE];
    *out = (struct shards_point){
        .key = key,
        .block_hits = within(whole->blocks, blocks),
        .block_low = within(whole->blocks - block_error, blocks),
        .block_high = within(whole->blocks + block_error, blocks),
        .token_hits = within(whole->tokens, tokens),
        .token_low = within(whole->tokens - token_error, tokens),
        .token_high = within(whole->tokens + token_error, tokens)};
}

struct shards_walk *shards_walk(const struct shards *s) {
    struct shards_walk *w = mem_alloc(sizeof *w);
    struct shards_point p;
    start_walk(w, s);
    move_to(w, (uint64_t)shards_resolved(s));
    read_point(w, 0, &p);
    start_walk(w, s);
    w->block_high = p.block_high;
    w->token_high = p.token_high;
    return w;
}

int shards_step(struct shards_walk *w, struct shards_point *out) {
    const struct points *p = &w->shards->sample[WHOLE].points;
    size_t at = w->cursor[WHOLE].at;
    uint64_t key = w->shards->opt.order != CURVE_TTL;
    if (w->started && at >= p->n)
        return 0;
    if (w->started)
        key = p->at[at].key;
    w->started = 1;
    move_to(w, key);
    read_point(w, key, out);
    if ((double)key < shards_resolved(w->shards)) {
        out->block_low = out->token_low = 0;
        out->block_high = fmax(out->block_high, w->block_high);
        out->token_high = fmax(out->token_high, w->token_high);
    }
    return 1;
}
