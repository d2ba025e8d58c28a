/* semantic.c - caches that answer a question like one they have answered before; see semantic.h
 *
 * Entries stand in slots, one set of slots for all caches; a mask says which caches hold a slot.
 * Queries are taken in blocks. The block's rows are laid into the slots behind those in use, so
 * that one matrix product gives their similarities to all older entries and to each other. Then,
 * for each query in parallel, the nearest older entry of every cache is found; last, query after
 * query, what the block itself has changed is added: entries it stored, entries it evicted.
 *
 * The products are floats with an error of at most s->slack. An entry whose product says that it
 * could be the nearest, or could reach the threshold, is measured again in double precision. As
 * the best one so far rises, that is soon only a handful of a hundred thousand.
 */
#include "lib/cache/semantic.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/par.h"
#include "lib/base/blas.h"

#define NONE UINT32_MAX
#define MOST_THREADS 64         /* OpenBLAS has no more buffers than that for callers at once */
#define BLOCK 128               /* queries at once: enough for products at full speed */
#define LEAST_BLOCK 16
#define PRODUCT_BYTES ((size_t)64 << 20)
#define TILE 1024               /* entries of a product; two tiles' worth of L2 cache */
/* A cache that holds fewer than one slot in this many is searched along its own list. */
#define SPARSE 4

/* Slots in the order in which they leave. */
struct order {
    uint32_t first, last;
    int64_t n;
    uint32_t *prev, *next;      /* [cap] */
};

struct best {
    double similarity;
    uint32_t slot;              /* NONE: no entry reaches the threshold */
};

struct semantic {
    int width, n;
    double slack;
    struct semantic_config config[SEMANTIC_MOST];
    struct semantic_counts counts[SEMANTIC_MOST];
    struct order order[SEMANTIC_MOST];
    const struct blas *blas;
    struct par *par;
    int64_t seen;               /* rows so far */

    /* slots */
    uint32_t used, cap;
    float *vec;                 /* [cap][width] scaled by a power of two to length 0.5 to 1 */
    float *inverse;             /* [cap] of the length */
    double *square;             /* [cap] of the length; 0: no direction */
    uint64_t *mask;             /* [cap] caches that hold the slot */
    int64_t *born;              /* [cap] row number */
    uint32_t *label;            /* [cap] */
    uint32_t *hole;             /* [cap] slots below `used` that no cache holds */
    uint32_t holes;

    /* the block: queries in slots used, used + 1, ... */
    int rows;
    uint32_t stride;            /* used + rows */
    float *unit;                /* [BLOCK][width] of length 1 */
    float *product;             /* [rows][stride] unit row by slot */
    size_t product_room;
    struct best *best;          /* [BLOCK][n] */
    atomic_uint next;           /* tile or row for the next free thread */
};

struct semantic *semantic_new(int width, const struct semantic_config *config, int n,
                              int threads, struct err *err) {
    const struct blas *blas = blas_load(err);
    if (!blas)
        return NULL;
    struct semantic *s = mem_alloc(sizeof *s);
    s->blas = blas;
    s->width = width;
    s->n = n;
    /* A sum of `width` products errs by at most width 2^-24 of the lengths (Higham, Accuracy and
     * Stability, 3.1), in any order; some more for the roundings around it. */
    s->slack = 1.01 * (width + 8) * 0x1p-24;
    memcpy(s->config, config, (size_t)n * sizeof *config);
    for (int t = 0; t < n; t++)
        s->order[t].first = s->order[t].last = NONE;
    s->unit = mem_array((size_t)BLOCK * (size_t)width, sizeof *s->unit);
    s->best = mem_array((size_t)BLOCK * (size_t)n, sizeof *s->best);
    s->par = par_new(threads < MOST_THREADS ? threads : MOST_THREADS);
    if (par_threads(s->par) > MOST_THREADS) {
        par_free(s->par);
        s->par = par_new(MOST_THREADS);
    }
    return s;
}

void semantic_free(struct semantic *s) {
    if (!s)
        return;
    for (int t = 0; t < s->n; t++) {
        free(s->order[t].prev);
        free(s->order[t].next);
    }
    par_free(s->par);
    free(s->vec);
    free(s->inverse);
    free(s->square);
    free(s->mask);
    free(s->born);
    free(s->label);
    free(s->hole);
    free(s->unit);
    free(s->product);
    free(s->best);
    free(s);
}

const struct semantic_counts *semantic_counts(const struct semantic *s, int i) {
    return &s->counts[i];
}

/* ---- a cache's order -------------------------------------------------------------------- */

static void order_append(struct order *o, uint32_t slot) {
    o->prev[slot] = o->last;
    o->next[slot] = NONE;
    *(o->last == NONE ? &o->first : &o->next[o->last]) = slot;
    o->last = slot;
    o->n++;
}

static void order_remove(struct order *o, uint32_t slot) {
    uint32_t prev = o->prev[slot];
    uint32_t next = o->next[slot];
    *(prev == NONE ? &o->first : &o->next[prev]) = next;
    *(next == NONE ? &o->last : &o->prev[next]) = prev;
    o->n--;
}

static void order_rename(struct order *o, uint32_t from, uint32_t to) {
    uint32_t prev = o->prev[from];
    uint32_t next = o->next[from];
    o->prev[to] = prev;
    o->next[to] = next;
    *(prev == NONE ? &o->first : &o->next[prev]) = to;
    *(next == NONE ? &o->last : &o->prev[next]) = to;
}

/* ---- slots ------------------------------------------------------------------------------ */

static float *slot_vec(const struct semantic *s, uint32_t slot) {
    return s->vec + (size_t)slot * (size_t)s->width;
}

static void make_room(struct semantic *s, uint32_t slots) {
    if (slots > s->cap) {
        size_t cap = slots < 1024 ? 1024 : (size_t)slots + slots / 2;
        s->vec = mem_grow(s->vec, cap, (size_t)s->width * sizeof *s->vec);
        s->inverse = mem_grow(s->inverse, cap, sizeof *s->inverse);
        s->square = mem_grow(s->square, cap, sizeof *s->square);
        s->mask = mem_grow(s->mask, cap, sizeof *s->mask);
        s->born = mem_grow(s->born, cap, sizeof *s->born);
        s->label = mem_grow(s->label, cap, sizeof *s->label);
        s->hole = mem_grow(s->hole, cap, sizeof *s->hole);
        for (int t = 0; t < s->n; t++) {
            s->order[t].prev = mem_grow(s->order[t].prev, cap, sizeof(uint32_t));
            s->order[t].next = mem_grow(s->order[t].next, cap, sizeof(uint32_t));
        }
        s->cap = (uint32_t)cap;
    }
    size_t product = (size_t)s->rows * s->stride;
    if (product > s->product_room) {
        free(s->product);
        s->product_room = product + product / 4;
        s->product = mem_array(s->product_room, sizeof *s->product);
    }
}

/* Eight sums, always the same ones, so that every machine and compiler rounds alike. */
static double exact_dot(const float *a, const float *b, int n) {
    double sum[8] = {0};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            sum[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; i++)
        sum[i % 8] += (double)a[i] * (double)b[i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static double exact_cosine(const struct semantic *s, uint32_t a, uint32_t b) {
    double dot = exact_dot(slot_vec(s, a), slot_vec(s, b), s->width);
    double c = dot / sqrt(s->square[a] * s->square[b]);
    return c > 1 ? 1 : c < -1 ? -1 : c;
}

/* Lays a row into a slot. Scaling by a power of two changes no cosine, and keeps float sums from
 * overflowing. */
static void fill_slot(struct semantic *s, uint32_t slot, const float *x, float *unit) {
    float *vec = slot_vec(s, slot);
    double length = sqrt(exact_dot(x, x, s->width));
    int defined = isfinite(length) && length > 0;
    int exponent = 0;
    frexp(defined ? length : 1, &exponent);
    double scale = defined ? ldexp(1, -exponent) : 0;
    for (int i = 0; i < s->width; i++)
        vec[i] = defined ? (float)((double)x[i] * scale) : 0;
    s->square[slot] = exact_dot(vec, vec, s->width);
    length = sqrt(s->square[slot]);
    s->inverse[slot] = defined ? (float)(1 / length) : 0;
    for (int i = 0; i < s->width; i++)
        unit[i] = defined ? (float)((double)vec[i] / length) : 0;
    s->mask[slot] = 0;
}

static void move_slot(struct semantic *s, uint32_t from, uint32_t to) {
    memcpy(slot_vec(s, to), slot_vec(s, from), (size_t)s->width * sizeof(float));
    s->inverse[to] = s->inverse[from];
    s->square[to] = s->square[from];
    s->mask[to] = s->mask[from];
    s->born[to] = s->born[from];
    s->label[to] = s->label[from];
    for (int t = 0; t < s->n; t++)
        if (s->mask[to] >> t & 1)
            order_rename(&s->order[t], from, to);
    s->mask[from] = 0;
}

/* The block's rows that some cache has stored move into holes and then close up. */
static void close_up(struct semantic *s) {
    uint32_t end = s->used;
    for (uint32_t slot = s->used; slot < s->stride; slot++) {
        if (!s->mask[slot])
            continue;
        uint32_t to = s->holes ? s->hole[--s->holes] : end++;
        if (to != slot)
            move_slot(s, slot, to);
    }
    s->used = end;
}

/* ---- the nearest entry ------------------------------------------------------------------ */

/* What a product must at least be to matter to one of these caches. */
static float least_product(const struct semantic *s, uint64_t caches, const struct best *best) {
    double least = INFINITY;
    for (int t = 0; t < s->n; t++)
        if (caches >> t & 1)
            least = fmin(least, fmax(s->config[t].threshold, best[t].similarity));
    return nextafterf((float)(least - s->slack), -INFINITY);
}

/* Measures an entry and makes it the best of the caches that hold it where it is. 1 when it did. */
static int measure(const struct semantic *s, uint32_t query, uint32_t slot, uint64_t caches,
                   struct best *best) {
    int changed = 0;
    double c = exact_cosine(s, query, slot);
    for (int t = 0; t < s->n; t++) {
        struct best *b = &best[t];
        if (!(caches >> t & 1) || c < s->config[t].threshold || c < b->similarity)
            continue;
        if (c == b->similarity && b->slot != NONE && s->born[b->slot] < s->born[slot])
            continue;
        *b = (struct best){c, slot};
        changed = 1;
    }
    return changed;
}

/* The widest vectors that every x86-64 has. */
typedef float floats4 __attribute__((vector_size(16), aligned(4)));
typedef long long longs2 __attribute__((vector_size(16)));

/* Does one of eight products reach least? */
static int any_reaches(const float *product, const float *inverse, float least) {
    const floats4 *p = (const floats4 *)product;
    const floats4 *v = (const floats4 *)inverse;
    longs2 m = (longs2)(p[0] * v[0] >= least) | (longs2)(p[1] * v[1] >= least);
    return (m[0] | m[1]) != 0;
}

/* Slots [from, to), the latest first: what was asked lately is often the nearest, and the sooner
 * the best is high, the less is measured. */
static void search_slots(const struct semantic *s, uint32_t query, uint32_t from, uint32_t to,
                         uint64_t caches, struct best *best) {
    const float *product = s->product + (size_t)(query - s->used) * s->stride;
    float least = least_product(s, caches, best);
    while (to > from) {
        uint32_t group = to - from >= 8 ? to - 8 : from;
        if (to - from >= 8 && !any_reaches(product + group, s->inverse + group, least)) {
            to = group;
            continue;
        }
        while (to > group) {
            to--;
            if (product[to] * s->inverse[to] >= least && s->mask[to] & caches &&
                measure(s, query, to, s->mask[to] & caches, best))
                least = least_product(s, caches, best);
        }
    }
}

/* All that cache t holds now. */
static void search_order(const struct semantic *s, uint32_t query, int t, struct best *best) {
    const float *product = s->product + (size_t)(query - s->used) * s->stride;
    const struct order *o = &s->order[t];
    uint64_t cache = (uint64_t)1 << t;
    float least = least_product(s, cache, best);
    for (uint32_t slot = o->last; slot != NONE; slot = o->prev[slot])
        if (product[slot] * s->inverse[slot] >= least && measure(s, query, slot, cache, best))
            least = least_product(s, cache, best);
}

/* ---- in parallel ------------------------------------------------------------------------ */

static void multiply_tiles(void *arg, int ith, int nth) {
    struct semantic *s = arg;
    (void)ith;
    (void)nth;
    for (;;) {
        size_t from = (size_t)atomic_fetch_add(&s->next, 1) * TILE;
        if (from >= s->stride)
            return;
        int columns = (int)(s->stride - from < TILE ? s->stride - from : TILE);
        s->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s->rows, columns, s->width, 1,
                       s->unit, s->width, slot_vec(s, (uint32_t)from), s->width, 0,
                       s->product + from, (int)s->stride);
    }
}

static void search_rows(void *arg, int ith, int nth) {
    struct semantic *s = arg;
    uint64_t many = 0;
    (void)ith;
    (void)nth;
    for (int t = 0; t < s->n; t++)
        many |= (uint64_t)(s->order[t].n * SPARSE >= s->used) << t;
    for (;;) {
        uint32_t row = atomic_fetch_add(&s->next, 1);
        if (row >= (uint32_t)s->rows)
            return;
        uint32_t query = s->used + row;
        struct best *best = s->best + (size_t)row * (size_t)s->n;
        for (int t = 0; t < s->n; t++)
            best[t] = (struct best){-2, NONE};
        if (s->square[query] == 0)
            continue;
        if (many)
            search_slots(s, query, 0, s->used, many, best);
        for (int t = 0; t < s->n; t++)
            if (!(many >> t & 1))
                search_order(s, query, t, best);
    }
}

/* ---- one query after the other ---------------------------------------------------------- */

static void evict(struct semantic *s, int t) {
    uint32_t slot = s->order[t].first;
    order_remove(&s->order[t], slot);
    s->mask[slot] &= ~((uint64_t)1 << t);
    s->counts[t].evicted++;
    if (!s->mask[slot] && slot < s->used)
        s->hole[s->holes++] = slot;
}

static void store(struct semantic *s, int t, uint32_t query) {
    if (s->config[t].capacity && s->order[t].n == s->config[t].capacity)
        evict(s, t);
    order_append(&s->order[t], query);
    s->mask[query] |= (uint64_t)1 << t;
    s->counts[t].entries = s->order[t].n;
}

static void answer(struct semantic *s, int t, uint32_t query, const struct best *b,
                   int64_t tokens) {
    struct semantic_counts *c = &s->counts[t];
    c->queries++;
    c->tokens += tokens;
    if (b->slot == NONE) {
        store(s, t, query);
        return;
    }
    c->hits++;
    c->hit_tokens += tokens;
    c->similarity += b->similarity;
    c->false_hits += s->label[b->slot] != s->label[query];
    if (s->config[t].policy == SEMANTIC_LRU && s->config[t].capacity) {
        order_remove(&s->order[t], b->slot);
        order_append(&s->order[t], b->slot);
    }
}

/* The best of the older entries is known; it may have left since the block began. */
static void serve(struct semantic *s, uint32_t query, int64_t tokens) {
    struct best *best = s->best + (size_t)(query - s->used) * (size_t)s->n;
    uint64_t all = ~(uint64_t)0 >> (64 - s->n);
    if (s->square[query] == 0) {
        for (int t = 0; t < s->n; t++)
            s->counts[t].undefined++;
        return;
    }
    for (int t = 0; t < s->n; t++) {
        if (best[t].slot == NONE || s->mask[best[t].slot] >> t & 1)
            continue;
        best[t] = (struct best){-2, NONE};
        search_order(s, query, t, best);
    }
    search_slots(s, query, s->used, query, all, best);
    for (int t = 0; t < s->n; t++)
        answer(s, t, query, &best[t], tokens);
}

/* ---- blocks ----------------------------------------------------------------------------- */

static int block_rows(const struct semantic *s, int64_t n) {
    size_t rows = PRODUCT_BYTES / sizeof(float) / ((size_t)s->used + BLOCK);
    rows = rows > BLOCK ? BLOCK : rows < LEAST_BLOCK ? LEAST_BLOCK : rows;
    return (int64_t)rows < n ? (int)rows : (int)n;
}

static void run_block(struct semantic *s, const float *x, const uint32_t *label,
                      const int64_t *tokens) {
    size_t width = (size_t)s->width;
    s->stride = s->used + (uint32_t)s->rows;
    make_room(s, s->stride);
    for (int i = 0; i < s->rows; i++) {
        uint32_t slot = s->used + (uint32_t)i;
        fill_slot(s, slot, x + (size_t)i * width, s->unit + (size_t)i * width);
        s->born[slot] = s->seen++;
        s->label[slot] = label ? label[i] : 0;
    }
    atomic_store(&s->next, 0);
    par_run(s->par, multiply_tiles, s);
    atomic_store(&s->next, 0);
    par_run(s->par, search_rows, s);
    for (int i = 0; i < s->rows; i++)
        serve(s, s->used + (uint32_t)i, tokens ? tokens[i] : 0);
    close_up(s);
}

void semantic_add(struct semantic *s, const float *x, const uint32_t *label,
                  const int64_t *tokens, int64_t n) {
    while (n > 0) {
        s->rows = block_rows(s, n);
        run_block(s, x, label, tokens);
        x += (size_t)s->rows * (size_t)s->width;
        label = label ? label + s->rows : NULL;
        tokens = tokens ? tokens + s->rows : NULL;
        n -= s->rows;
    }
}
