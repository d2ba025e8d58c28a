/* curve.c - hit ratios at every capacity or time to live in one pass, see curve.h
 *
 * Requests gather until some thousand ids can be numbered together: the look-ups of single-block
 * requests overlap as those of long ones do, and what an access will touch (its place on the axis
 * of uses, then the line of bits there) is asked for in time.
 */
#include "lib/cache/curve.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/cache/curve_impl.h"

#define PENDING 4096            /* ids, or requests, that are run together */
#define AHEAD_PLACE 64          /* accesses from asking for a block's place to needing it */
#define AHEAD_LINE 12           /* the same for the bits at that place */
#define MAX_UNIQUE (UINT32_MAX / 4)     /* what the axis of uses has room for */

struct curve *curve_new(const struct curve_options *opt) {
    struct curve *c = mem_alloc(sizeof *c);
    c->opt = *opt;
    c->map = idmap_new();
    if (opt->order != CURVE_TTL)
        c->recency = recency_new();
    c->fit = curve_fit_any();
    c->wait = PENDING;
    return c;
}

void curve_free(struct curve *c) {
    if (!c)
        return;
    idmap_free(c->map);
    recency_free(c->recency);
    free(c->used);
    curve_forget_counts(c);
    free(c->id);
    free(c->dense);
    free(c->need);
    free(c->request);
    buf_free(&c->line);
    free(c);
}

const struct curve_totals *curve_totals(const struct curve *c) {
    return &c->totals;
}

/* ---- tokens ----------------------------------------------------------------------------- */

struct curve_fit curve_fit_any(void) {
    return (struct curve_fit){.up_min = 1, .up_max = INT64_MAX, .down_max = INT64_MAX};
}

void curve_fit_meet(struct curve_fit *f, const struct curve_fit *other) {
    f->up_min = other->up_min > f->up_min ? other->up_min : f->up_min;
    f->up_max = other->up_max < f->up_max ? other->up_max : f->up_max;
    f->down_max = other->down_max < f->down_max ? other->down_max : f->down_max;
}

static void fit_request(struct curve_fit *f, int64_t blocks, int64_t tokens) {
    int64_t down = tokens / blocks;
    struct curve_fit one = {.up_min = down + (tokens % blocks != 0),
                            .up_max = blocks > 1 ? tokens / (blocks - 1) : INT64_MAX,
                            .down_max = down};
    curve_fit_meet(f, &one);
}

static struct curve_request request_of(const struct curve_options *opt, const struct req *q) {
    struct curve_request r = {.time_ns = q->time_ns, .n = q->blocks, .full = q->blocks};
    int64_t size = opt->block_tokens;
    if (q->input_tokens == REQS_UNKNOWN || r.n == 0)
        return r;
    if (size == 0) {
        r.full = r.n - 1;
        r.short_blocks = r.n;
        r.short_tokens = q->input_tokens;
    } else if (q->input_tokens / size < r.n) {
        r.full = q->input_tokens / size;
        r.short_blocks = 1;
        r.short_tokens = q->input_tokens % size;
    }
    return r;
}

double curve_tokens(const struct point *p, int block_tokens) {
    double lack = block_tokens * p->short_blocks - p->short_tokens;
    return block_tokens * p->blocks - (lack > 0 ? lack : 0);
}

/* ---- one request ------------------------------------------------------------------------ */

int curve_number(struct curve *c, const uint64_t *id, size_t n, uint32_t *dense,
                 struct err *err) {
    if (n > MAX_UNIQUE || idmap_count(c->map) > MAX_UNIQUE - n ||
        idmap_add(c->map, id, n, dense))
        return err_set(err, "more than %u unique blocks", MAX_UNIQUE);
    size_t count = idmap_count(c->map);
    if (c->opt.order != CURVE_TTL) {
        recency_reserve(c->recency, (uint32_t)count, (uint32_t)n);
        return 0;
    }
    if (count > c->used_cap) {
        c->used_cap = count + count / 4 + 1024;
        c->used = mem_grow(c->used, c->used_cap, sizeof *c->used);
    }
    while (c->used_n < count)
        c->used[c->used_n++] = CURVE_NOT_USED;
    return 0;
}

inline uint64_t curve_need(const struct curve *c, uint32_t id, int64_t time_ns) {
    if (c->opt.order == CURVE_TTL)
        return c->used[id] == CURVE_NOT_USED ? CURVE_NEW : (uint64_t)(time_ns - c->used[id]);
    return recency_known(c->recency, id) ? recency_depth(c->recency, id) + (uint64_t)1
                                         : CURVE_NEW;
}

inline void curve_use(struct curve *c, uint32_t id, int64_t time_ns) {
    if (c->opt.order == CURVE_TTL)
        c->used[id] = time_ns;
    else
        recency_use(c->recency, id);
}

void curve_count_hits(struct curve *c, uint64_t need, int64_t blocks, int64_t short_blocks,
                      int64_t short_tokens) {
    if (c->opt.order == CURVE_TTL) {
        points_add(&c->points, &(struct point){need, (double)blocks, (double)short_blocks,
                                               (double)short_tokens});
        return;
    }
    counters_add(&c->blocks, need, (uint64_t)blocks);
    if (short_blocks) {
        counters_add(&c->short_blocks, need, (uint64_t)short_blocks);
        counters_add(&c->short_tokens, need, (uint64_t)short_tokens);
    }
}

static void settle_counts(struct curve *c) {
    counters_settle(&c->blocks);
    counters_settle(&c->short_blocks);
    counters_settle(&c->short_tokens);
}

static void count_run(struct curve *c, uint64_t need, const struct curve_request *hits) {
    if (hits->n)
        curve_count_hits(c, need, hits->n, hits->short_blocks, hits->short_tokens);
}

int64_t curve_count(struct curve *c, const struct curve_request *q, const uint64_t *need,
                    uint64_t *largest) {
    struct curve_request hits = {0};
    int64_t i;
    for (i = 0; i < q->n && need[i] != CURVE_NEW; i++) {
        if (need[i] > *largest) {
            count_run(c, *largest, &hits);
            hits = (struct curve_request){0};
            *largest = need[i];
        }
        hits.n++;
        if (i >= q->full) {
            hits.short_blocks += i == q->full ? q->short_blocks : 1;
            hits.short_tokens += i == q->full ? q->short_tokens : 0;
        }
    }
    count_run(c, *largest, &hits);
    return i;
}

void curve_forget_counts(struct curve *c) {
    counters_free(&c->blocks);
    counters_free(&c->short_blocks);
    counters_free(&c->short_tokens);
    points_free(&c->points);
}

/* need[] is filled up to the first block that is new, which ends every hit. */
static int run_request(struct curve *c, const struct curve_request *q, const uint64_t *id,
                       const uint32_t *dense, uint64_t *need, struct err *err) {
    uint64_t largest = 0;
    int64_t i = 0;
    while (i < q->n && (need[i] = curve_need(c, dense[i], q->time_ns)) != CURVE_NEW)
        i++;
    curve_count(c, q, need, &largest);
    if (i < q->n && c->opt.save) {
        for (int64_t k = i; k < q->n; k++)
            need[k] = curve_need(c, dense[k], q->time_ns);
        if (curve_save_open(c, q, id, need, i, largest, err))
            return -1;
    }
    if (c->opt.order == CURVE_TAIL)
        for (i = q->n - 1; i >= 0; i--)
            curve_use(c, dense[i], q->time_ns);
    else
        for (i = 0; i < q->n; i++)
            curve_use(c, dense[i], q->time_ns);
    return 0;
}

/* ---- requests that wait ----------------------------------------------------------------- */

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

RECENCY_INLINE void prefetch_place(const struct curve *c, uint32_t id) {
    if (c->recency)
        recency_prefetch_place(c->recency, id);
    else
        __builtin_prefetch(&c->used[id], 1);
}

int curve_flush(struct curve *c, struct err *err) {
    size_t n = c->n_ids;
    size_t at = 0;
    size_t place = 0;           /* asked for up to here */
    size_t line = 0;
    if (curve_number(c, c->id, n, c->dense, err))
        return -1;
    for (size_t r = 0; r < c->n_requests; r++) {
        const struct curve_request *q = &c->request[r];
        size_t end = at + (size_t)q->n;
        for (; place < min_size(n, end + AHEAD_PLACE); place++)
            prefetch_place(c, c->dense[place]);
        for (; c->recency && line < min_size(n, end + AHEAD_LINE); line++)
            recency_prefetch_line(c->recency, c->dense[line]);
        if (run_request(c, q, c->id + at, c->dense + at, c->need + at, err))
            return -1;
        at = end;
    }
    c->n_ids = 0;
    c->n_requests = 0;
    settle_counts(c);
    return 0;
}

int curve_add_part(struct curve *c, const struct curve_request *q, const uint64_t *id,
                   struct err *err) {
    size_t n = (size_t)q->n;
    if (c->n_requests == c->requests_cap) {
        c->requests_cap = c->requests_cap ? c->requests_cap * 2 : 64;
        c->request = mem_grow(c->request, c->requests_cap, sizeof *c->request);
    }
    if (c->n_ids + n > c->ids_cap) {
        c->ids_cap = PENDING + (c->n_ids + n) * 2;
        c->id = mem_grow(c->id, c->ids_cap, sizeof *c->id);
        c->dense = mem_grow(c->dense, c->ids_cap, sizeof *c->dense);
        c->need = mem_grow(c->need, c->ids_cap, sizeof *c->need);
    }
    if (n)
        memcpy(c->id + c->n_ids, id, n * sizeof *id);
    c->n_ids += n;
    c->request[c->n_requests++] = *q;
    return c->n_ids < c->wait && c->n_requests < c->wait ? 0 : curve_flush(c, err);
}

int curve_add_lengths(struct curve *c, const struct req *q, struct curve_request *out,
                      struct err *err) {
    if (q->blocks == REQS_UNKNOWN)
        return err_set(err, "a request without block ids or token ids: what a prefix cache would "
                       "do cannot be told from lengths");
    c->totals.requests++;
    c->totals.accesses += q->blocks;
    if (q->input_tokens == REQS_UNKNOWN) {
        c->lengthless_blocks += q->blocks;
    } else {
        c->lengths = 1;
        c->totals.input_tokens += q->input_tokens;
        if (q->blocks && c->opt.block_tokens == 0)
            fit_request(&c->fit, q->blocks, q->input_tokens);
    }
    *out = request_of(&c->opt, q);
    if (q->time_ns == REQS_UNKNOWN) {
        out->time_ns = c->timed ? c->last_ns : 0;
    } else {
        c->first_ns = c->timed ? c->first_ns : q->time_ns;
        c->last_ns = q->time_ns;
        c->timed = 1;
    }
    return 0;
}

int curve_add(struct curve *c, const struct req *q, struct err *err) {
    struct curve_request r;
    return curve_add_lengths(c, q, &r, err) ? -1 : curve_add_part(c, &r, q->block, err);
}

void curve_limit_pending(struct curve *c, size_t ids) {
    c->wait = ids < PENDING ? ids : PENDING;
}

/* ---- the end ---------------------------------------------------------------------------- */

static int settle_block_tokens(struct curve *c, int size, struct err *err) {
    size = c->opt.block_tokens ? c->opt.block_tokens : size > 0 ? size : c->implied;
    c->implied = size;
    if (size <= 0 && c->lengths && c->totals.accesses)
        return err_set(err, "the tokens of a block do not follow from lengths and block counts: "
                       "say them with --block-tokens");
    if (size <= 0)
        size = 1;               /* no lengths at all: a block is the unit */
    if (!c->opt.block_tokens && (size < c->fit.up_min || size > c->fit.up_max) &&
        size > c->fit.down_max)
        return err_set(err, "lengths and block counts of some requests do not agree with blocks "
                       "of %d tokens: --block-tokens %d takes that size all the same", size, size);
    c->totals.block_tokens = size;
    return 0;
}

int curve_finish(struct curve *c, int block_tokens, struct err *err) {
    if (curve_flush(c, err))
        return -1;
    if (c->opt.order == CURVE_TTL && c->totals.requests && !c->timed)
        return err_set(err, "no request has a timestamp, which a time to live needs");
    if (settle_block_tokens(c, block_tokens, err))
        return -1;
    if (idmap_count(c->map) > c->totals.unique)
        c->totals.unique = idmap_count(c->map);
    points_sort(&c->points);
    if (c->opt.save && curve_save_rest(c, err))
        return -1;
    c->totals.input_tokens += c->lengthless_blocks * c->totals.block_tokens;
    return 0;
}

uint32_t *curve_order_of_use(const struct curve *c, uint32_t n) {
    uint32_t *order = mem_array(n, sizeof *order);
    if (c->recency)
        recency_order(c->recency, order);
    for (uint32_t i = 0; i < n && !c->recency; i++)
        order[i] = i;
    return order;
}

int curve_next(const struct curve *c, uint64_t *next, struct point *out) {
    if (c->opt.order == CURVE_TTL) {
        if (*next >= c->points.n)
            return 0;
        *out = c->points.at[(*next)++];
        return 1;
    }
    if (!counters_next(&c->blocks, next))
        return 0;
    *out = (struct point){.key = *next, .blocks = (double)counters_get(&c->blocks, *next),
                          .short_blocks = (double)counters_get(&c->short_blocks, *next),
                          .short_tokens = (double)counters_get(&c->short_tokens, *next)};
    ++*next;
    return 1;
}

struct curve_walk curve_walk(const struct curve *c) {
    return (struct curve_walk){.curve = c};
}

int curve_step(struct curve_walk *w) {
    struct point p;
    if (!curve_next(w->curve, &w->next, &p))
        return 0;
    w->key = p.key;
    w->hit_blocks += (int64_t)p.blocks;
    w->hit_tokens += (int64_t)curve_tokens(&p, w->curve->totals.block_tokens);
    return 1;
}
