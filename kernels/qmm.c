/* qmm.c - matrix products and experts, as far as all variants share them
 *
 * Splits the rows of the weights over threads in pairs of panels (32 rows), so that each thread
 * reads runs that are contiguous in memory; prepares the activations; gathers and combines the
 * rows of experts. The arithmetic is the variant's (struct qmm_ops). Since an element of a
 * product depends on one row and one column alone, no split changes a bit.
 */
#include <assert.h>

#include "kernels/blocks.h"
#include "kernels/impl.h"
#include "kernels/qmm.h"

#define PAIR (2 * KERN_PANEL)

/* Up to this many activations every thread prepares its own copy: cheaper than a barrier. */
#define OWN_MAX 16384
/* Columns of float experts are gathered so many at a time. */
#define GATHER 128
/* Floats of one thread's buffer for gate, for up, and for the output of down. */
#define HIDDEN_FLOATS 16384
#define DOWN_FLOATS (512 << 10)

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static size_t round64(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

/* Hands out pieces of the scratch. */
struct arena {
    char *at;
    size_t used;
};

static void *take(struct arena *a, size_t bytes) {
    char *p = a->at + a->used;
    a->used += round64(bytes);
    return p;
}

/* Records from one row to the next: an odd number, else the rows of a stretch of k would meet in
 * a few sets of the caches. */
static int64_t records_stride(int64_t cols) {
    return (cols + 31) / 32 | 1;
}

static size_t records_bytes(int64_t n, int64_t cols) {
    return (size_t)(n * records_stride(cols)) * sizeof(struct qmm_x);
}

static size_t words_bytes(int type, int64_t n, int64_t cols) {
    return (size_t)n * (size_t)qmm_words(type, cols) * 4;
}

static int64_t pairs_of(const struct kern_weight *w) {
    return (w->rows + PAIR - 1) / PAIR;
}

/* ---- shares ----------------------------------------------------------------------------- */

/* Work is a sequence of segments of `count` equal items. A thread owns the items that begin in
 * its part [lo, hi) of the total cost. */
struct share {
    int64_t lo, hi;         /* of the total */
    int64_t base;           /* cost of the segments seen so far */
};

static struct share share_of(int64_t total, int ith, int nth) {
    return (struct share){total * ith / nth, total * (ith + 1) / nth, 0};
}

/* Items [*first, *last) of the next segment are this thread's; returns whether there are any. */
static int share_next(struct share *s, int64_t count, int64_t cost, int64_t *first,
                      int64_t *last) {
    int64_t lo = (max64(s->lo - s->base, 0) + cost - 1) / cost;
    int64_t hi = (max64(s->hi - s->base, 0) + cost - 1) / cost;
    s->base += count * cost;
    *first = min64(lo, count);
    *last = min64(hi, count);
    return *first < *last;
}

/* ---- activations ------------------------------------------------------------------------ */

/* Columns of floats for the kernels: tiles of `tile` columns (the last one narrower), in each
 * [k][column]; F32 and F16 take floats, BF16 pairs of k. Column c is row idx[c] of x. */
static void make_tiles(int type, const float *x, int64_t cols, const int32_t *idx, int n, int tile,
                       char *dst) {
    for (int c0 = 0; c0 < n; c0 += tile) {
        int width = n - c0 < tile ? n - c0 : tile;
        for (int c = 0; c < width; c++) {
            const float *row = x + (idx ? idx[c0 + c] : c0 + c) * cols;
            if (type == KERN_BF16) {
                uint16_t *to = (uint16_t *)(void *)dst + 2 * c;
                for (int64_t k = 0; k < cols; k++)
                    to[k / 2 * 2 * width + k % 2] = block_to_bf16(row[k]);
                if (cols % 2)
                    to[cols / 2 * 2 * width + 1] = 0;
            } else {
                float *to = (float *)(void *)dst + c;
                for (int64_t k = 0; k < cols; k++)
                    to[k * width] = row[k];
            }
        }
        dst += words_bytes(type, width, cols);
    }
}

/* The forms of x that a call's weights ask for; NULL those that are not needed. */
struct prepared {
    struct qmm_x *records;
    char *floats, *pairs;
};

static void quantize_rows(const struct qmm_ops *ops, const float *x, int64_t cols, int64_t row0,
                          int64_t row1, struct qmm_x *out) {
    for (int64_t r = row0; r < row1; r++)
        ops->quantize(x + r * cols, cols, out + r * records_stride(cols));
}

/* ---- one run of panels ------------------------------------------------------------------ */

static const uint8_t *mat_data(const struct kern_weight *w, int64_t mat) {
    return (const uint8_t *)w->data + (size_t)mat * w->mat_bytes;
}

/* job (columns and scratch filled; y at row pair0 * 32) for pairs [pair0, pair1) of a matrix.
 * Weights in the file's layout are packed a pair at a time to `pack`: slow, but no second path. */
static void run_pairs(const struct qmm_ops *ops, const struct kern_weight *w, int64_t mat,
                      int64_t pair0, int64_t pair1, const float *bias, void *pack,
                      struct qmm_job job) {
    const uint8_t *data = mat_data(w, mat);
    int64_t row0 = pair0 * PAIR;
    int64_t rows = min64(w->rows, pair1 * PAIR) - row0;
    size_t panel_bytes = qmm_panel_bytes(w->type, w->cols);
    job.type = w->type;
    job.cols = w->cols;
    if (w->layout == KERN_PACKED) {
        job.w = data + (size_t)pair0 * 2 * panel_bytes;
        job.rows = rows;
        ops->product(&job);
    } else {
        struct qmm_job part = job;
        part.w = pack;
        for (int64_t r = 0; r < rows; r += PAIR) {
            part.rows = min64(PAIR, rows - r);
            part.y = job.y + r;
            kern_pack(w->type, part.rows, w->cols,
                      data + (size_t)(row0 + r) * kern_row_bytes(w->type, w->cols), pack, 0,
                      (part.rows + KERN_PANEL - 1) / KERN_PANEL);
            ops->product(&part);
        }
    }
    if (!bias)
        return;
    for (int c = 0; c < job.n; c++) {
        float *y = qmm_job_y(&job, c);
        for (int64_t r = 0; r < rows; r++)
            y[r] += bias[row0 + r];
    }
}

static size_t pack_bytes(const struct kern_weight *w) {
    return w->layout == KERN_FILE ? 2 * qmm_panel_bytes(w->type, w->cols) : 0;
}

/* ---- embed ------------------------------------------------------------------------------ */

struct embed {
    const struct kern_weight *w;
    const int32_t *ids;
    int n;
    float scale;
    float *out;
};

static void embed_task(void *arg, int ith, int nth) {
    const struct embed *e = arg;
    int64_t cols = e->w->cols;
    int last = (int)((int64_t)e->n * (ith + 1) / nth);
    for (int i = (int)((int64_t)e->n * ith / nth); i < last; i++) {
        float *row = e->out + i * cols;
        kern_weight_row(e->w, 0, e->ids[i], row);
        for (int64_t k = 0; k < cols; k++)
            row[k] *= e->scale;
    }
}

void qmm_embed(struct kern_queue *q, const struct kern_weight *w, const int32_t *ids, int n,
               float scale, float *out) {
    struct embed e = {w, ids, n, scale, out};
    if (n == 1)
        embed_task(&e, 0, 1);
    else
        q->par.run(q->par.ctx, embed_task, &e);
}

/* ---- matmul ----------------------------------------------------------------------------- */

struct matmul {
    const struct qmm_ops *ops;
    const float *x;
    int n;
    int64_t cols;
    const struct kern_mm *mm;
    int count;
    int parts;              /* of the columns */
    int64_t total;          /* cost of everything */
    int own;                /* each thread prepares x for itself */
    int quantized, floats, pairs;   /* forms of x needed */
    struct prepared x_shared;
    size_t pack;            /* bytes */
    char *threads;          /* their scratch, thread_bytes each */
    size_t thread_bytes;
};

static void carve(const struct matmul *m, struct arena *a, struct prepared *p) {
    *p = (struct prepared){NULL, NULL, NULL};
    if (m->quantized)
        p->records = take(a, records_bytes(m->n, m->cols));
    if (m->floats)
        p->floats = take(a, words_bytes(KERN_F32, m->n, m->cols));
    if (m->pairs)
        p->pairs = take(a, words_bytes(KERN_BF16, m->n, m->cols));
}

static void prepare_task(void *arg, int ith, int nth) {
    const struct matmul *m = arg;
    const struct prepared *p = &m->x_shared;
    int64_t tiles = (m->n + m->ops->tile - 1) / m->ops->tile;
    int c0 = (int)(tiles * ith / nth) * m->ops->tile;
    int c1 = (int)min64(tiles * (ith + 1) / nth * m->ops->tile, m->n);
    if (p->records)
        quantize_rows(m->ops, m->x, m->cols, (int64_t)m->n * ith / nth,
                      (int64_t)m->n * (ith + 1) / nth, p->records);
    if (p->floats)
        make_tiles(KERN_F32, m->x + c0 * m->cols, m->cols, NULL, c1 - c0, m->ops->tile,
                   p->floats + words_bytes(KERN_F32, c0, m->cols));
    if (p->pairs)
        make_tiles(KERN_BF16, m->x + c0 * m->cols, m->cols, NULL, c1 - c0, m->ops->tile,
                   p->pairs + words_bytes(KERN_BF16, c0, m->cols));
}

/* The relative time of a pair of panels: bytes while memory decides, else multiplications. */
static int64_t pair_cost(const struct matmul *m, const struct kern_weight *w) {
    if (m->n < 8)
        return (int64_t)qmm_panel_bytes(w->type, w->cols);
    return block_form(w->type) ? 1 : w->type == KERN_BF16 ? 2 : 4;
}

static void fill_columns(const struct matmul *m, const struct prepared *p, int type, int c0,
                         struct qmm_job *job) {
    if (block_form(type)) {
        job->x_stride = records_bytes(1, m->cols);
        job->x = (const char *)p->records + (size_t)c0 * job->x_stride;
    } else if (type == KERN_BF16) {
        job->x = p->pairs + words_bytes(type, c0, m->cols);
    } else {
        /* columns of a tile one wide are rows */
        const char *x = p->floats ? p->floats : (const char *)m->x;
        job->x = x + words_bytes(type, c0, m->cols);
    }
}

static void matmul_task(void *arg, int ith, int nth) {
    const struct matmul *m = arg;
    struct arena a = {m->threads + (size_t)ith * m->thread_bytes, 0};
    struct matmul mine = *m;
    void *scratch = take(&a, QMM_JOB_SCRATCH);
    void *pack = take(&a, m->pack);
    if (m->own) {
        carve(m, &a, &mine.x_shared);
        prepare_task(&mine, 0, 1);
    }
    struct share share = share_of(m->total, ith, nth);
    int blocks = (m->n + QMM_COLS - 1) / QMM_COLS;
    for (int i = 0; i < m->count * m->parts; i++) {
        const struct kern_mm *mm = &m->mm[i / m->parts];
        const struct kern_weight *w = mm->w;
        int part = i % m->parts;
        int c0 = blocks * part / m->parts * QMM_COLS;
        int c1 = (int)min64(blocks * (part + 1) / m->parts * QMM_COLS, m->n);
        int64_t ldo = mm->ldo ? mm->ldo : w->rows;
        int64_t first;
        int64_t last;
        if (!share_next(&share, pairs_of(w), pair_cost(m, w), &first, &last))
            continue;
        struct qmm_job job = {.n = c1 - c0, .y = mm->out + c0 * ldo + first * PAIR,
                              .y_stride = ldo, .scratch = scratch};
        fill_columns(m, &mine.x_shared, w->type, c0, &job);
        run_pairs(m->ops, w, 0, first, last, mm->bias, pack, job);
    }
}

void qmm_matmul(const struct qmm_ops *ops, struct kern_queue *q, const float *x, int n,
                const struct kern_mm *mm, int count) {
    struct matmul m = {.ops = ops, .x = x, .n = n, .cols = mm->w->cols, .mm = mm, .count = count,
                       .parts = 1};
    int64_t pairs = 0;
    int64_t threads = q->par.n;
    if (n < 1)
        return;
    for (int i = 0; i < count; i++) {
        int type = mm[i].w->type;
        if (block_form(type))
            m.quantized = 1;
        else if (type == KERN_BF16)
            m.pairs = 1;
        else if (ops->tile > 1 && n > 1)
            m.floats = 1;
        if (pack_bytes(mm[i].w) > m.pack)
            m.pack = pack_bytes(mm[i].w);
        pairs += pairs_of(mm[i].w);
    }
    /* few rows, many columns (a router): divide the columns as well */
    if (pairs < 4 * threads && threads > 1)
        m.parts = (int)max64(1, min64((n + QMM_COLS - 1) / QMM_COLS, 4 * threads / pairs));
    for (int i = 0; i < count; i++)
        m.total += m.parts * pairs_of(mm[i].w) * pair_cost(&m, mm[i].w);
    m.own = n * m.cols <= OWN_MAX;

    struct arena a = {q->scratch, 0};
    struct arena own = {NULL, 0};
    carve(&m, m.own ? &own : &a, &m.x_shared);
    m.thread_bytes = QMM_JOB_SCRATCH + round64(m.pack) + own.used;
    m.threads = take(&a, m.thread_bytes * (size_t)threads);
    assert(a.used <= q->scratch_bytes);
    if (!m.own && (m.quantized || m.floats || m.pairs))
        q->par.run(q->par.ctx, prepare_task, &m);
    q->par.run(q->par.ctx, matmul_task, &m);
}

/* ---- experts ---------------------------------------------------------------------------- */

struct experts {
    const struct qmm_ops *ops;
    const struct kern_experts *e;
    const struct kern_routes *routes;
    const float *x;
    int n;
    float *out;
    int64_t d, hidden;
    int own;                /* each thread quantizes x for itself */
    int64_t total;          /* cost of the first half */
    struct qmm_x *x_records;
    int32_t *x_row;         /* [pairs]: row of x of every routed pair, in order of expert */
    char *h;                /* [pairs] hidden rows, as down wants them */
    size_t h_stride;
    size_t pack, tile_bytes, own_bytes;
    int64_t hidden_floats, down_floats;
    char *threads;
    size_t thread_bytes;
};

/* What a thread has for itself. */
struct expert_scratch {
    void *job, *pack;
    char *tiles;
    float *gate, *up;
    struct qmm_x *x_records;
    float *down;
};

static struct expert_scratch expert_scratch(const struct experts *x, int ith) {
    struct arena a = {x->threads + (size_t)ith * x->thread_bytes, 0};
    struct expert_scratch s;
    s.job = take(&a, QMM_JOB_SCRATCH);
    s.pack = take(&a, x->pack);
    s.tiles = take(&a, x->tile_bytes);
    s.gate = take(&a, (size_t)x->hidden_floats * sizeof *s.gate);
    s.up = take(&a, (size_t)x->hidden_floats * sizeof *s.up);
    s.x_records = take(&a, x->own_bytes);
    s.down = take(&a, (size_t)x->down_floats * sizeof *s.down);
    return s;
}

static size_t expert_thread_bytes(const struct experts *x) {
    return QMM_JOB_SCRATCH + round64(x->pack) + round64(x->tile_bytes) +
           2 * round64((size_t)x->hidden_floats * 4) + round64(x->own_bytes) +
           round64((size_t)x->down_floats * 4);
}

/* Pairs [pair0, pair1) of one expert's matrix times n columns. Quantized weights take records;
 * for floats, columns are rows x[job.xi[c]] of floats, gathered here into tiles. */
static void expert_product(const struct experts *x, const struct expert_scratch *s,
                           const struct kern_weight *w, int expert, int64_t pair0, int64_t pair1,
                           const float *bias, const float *rows, struct qmm_job job) {
    const float *b = bias ? bias + expert * w->rows : NULL;
    job.scratch = s->job;
    if (block_form(w->type)) {
        run_pairs(x->ops, w, expert, pair0, pair1, b, s->pack, job);
        return;
    }
    for (int c = 0; c < job.n; c += GATHER) {
        struct qmm_job part = job;
        part.n = job.n - c < GATHER ? job.n - c : GATHER;
        make_tiles(w->type, job.xi ? rows : rows + c * w->cols, w->cols,
                   job.xi ? job.xi + c : NULL, part.n, x->ops->tile, s->tiles);
        part.x = s->tiles;
        part.xi = NULL;
        if (job.yi)
            part.yi = job.yi + c;
        else
            part.y = job.y + c * job.y_stride;
        run_pairs(x->ops, w, expert, pair0, pair1, b, s->pack, part);
    }
}

static void serial_run(void *ctx, kern_task *fn, void *arg) {
    (void)ctx;
    fn(arg, 0, 1);
}

/* Hidden rows [row0, row0 + rows) of the n pairs from `first` on, to where down reads them. */
static void keep_hidden(const struct experts *x, const float *gate, int64_t rows, int first, int n,
                        int64_t row0) {
    for (int c = 0; c < n; c++) {
        char *h = x->h + (size_t)(first + c) * x->h_stride;
        if (block_form(x->e->down->type))
            x->ops->quantize(gate + c * rows, rows, (struct qmm_x *)(void *)h + row0 / 32);
        else
            memcpy((float *)(void *)h + row0, gate + c * rows, (size_t)rows * sizeof *gate);
    }
}

/* act(gate) * up of pairs of panels [pair0, pair1) of one expert, for all its rows. */
static void expert_hidden(const struct experts *x, const struct expert_scratch *s, int expert,
                          int64_t pair0, int64_t pair1) {
    struct kern_queue serial = {.par = {serial_run, NULL, 1}};
    int first = x->routes->start[expert];
    int n = x->routes->start[expert + 1] - first;
    int64_t step = max64(1, x->hidden_floats / PAIR / n);
    for (int64_t p0 = pair0; p0 < pair1; p0 += step) {
        int64_t p1 = min64(p0 + step, pair1);
        int64_t rows = min64(x->hidden, p1 * PAIR) - p0 * PAIR;
        struct qmm_job job = {.n = n, .x = s->x_records, .x_stride = records_bytes(1, x->d),
                              .xi = x->x_row + first, .y = s->gate, .y_stride = rows};
        expert_product(x, s, x->e->gate, expert, p0, p1, x->e->gate_bias, x->x, job);
        job.y = s->up;
        expert_product(x, s, x->e->up, expert, p0, p1, x->e->up_bias, x->x, job);
        x->ops->glu(&serial, x->e->act, s->gate, s->up, n * rows, s->gate);
        keep_hidden(x, s->gate, rows, first, n, p0 * PAIR);
    }
}

/* A pair of panels costs one decoding and its columns. */
static int64_t expert_cost(const struct experts *x, int expert) {
    int n = x->routes->start[expert + 1] - x->routes->start[expert];
    return n ? n + 4 : 0;
}

static int needs_records(const struct kern_experts *e) {
    return block_form(e->gate->type) || block_form(e->up->type);
}

static void hidden_task(void *arg, int ith, int nth) {
    const struct experts *x = arg;
    struct expert_scratch s = expert_scratch(x, ith);
    struct share share = share_of(x->total, ith, nth);
    if (!x->own)
        s.x_records = x->x_records;
    else if (needs_records(x->e))
        quantize_rows(x->ops, x->x, x->d, 0, x->n, s.x_records);
    for (int i = x->e->first; i < x->e->first + x->e->count; i++) {
        int64_t cost = expert_cost(x, i);
        int64_t pair0;
        int64_t pair1;
        if (cost && share_next(&share, pairs_of(x->e->gate), cost, &pair0, &pair1))
            expert_hidden(x, &s, i, pair0, pair1);
    }
}

/* out rows of pairs of panels [pair0, pair1) get what their experts say, in order of slot. */
static void combine(const struct experts *x, const float *down, int64_t row0, int64_t rows) {
    int k = x->e->top_k;
    for (int64_t r = 0; r < x->n; r++)
        for (int64_t i = r * k; i < r * k + k; i++) {
            int expert = x->routes->expert[i];
            if (expert >= x->e->first && expert < x->e->first + x->e->count)
                x->ops->axpy(x->out + r * x->d + row0, down + i * rows, x->routes->weight[i],
                             rows);
        }
}

/* Every thread computes its own rows of all experts' outputs, hence adds them up alone. */
static void down_task(void *arg, int ith, int nth) {
    const struct experts *x = arg;
    struct expert_scratch s = expert_scratch(x, ith);
    const struct kern_weight *w = x->e->down;
    int64_t pairs = pairs_of(w);
    int64_t end = pairs * (ith + 1) / nth;
    int64_t step = max64(1, x->down_floats / PAIR / ((int64_t)x->n * x->e->top_k));
    for (int64_t p0 = pairs * ith / nth; p0 < end; p0 += step) {
        int64_t p1 = min64(p0 + step, end);
        int64_t rows = min64(x->d, p1 * PAIR) - p0 * PAIR;
        for (int i = x->e->first; i < x->e->first + x->e->count; i++) {
            int first = x->routes->start[i];
            const char *h = x->h + (size_t)first * x->h_stride;
            struct qmm_job job = {.n = x->routes->start[i + 1] - first, .x = h,
                                  .x_stride = x->h_stride, .y = s.down, .y_stride = rows,
                                  .yi = x->routes->order + first};
            if (job.n)
                expert_product(x, &s, w, i, p0, p1, x->e->down_bias,
                               (const float *)(const void *)h, job);
        }
        combine(x, s.down, p0 * PAIR, rows);
    }
}

static void quantize_task(void *arg, int ith, int nth) {
    const struct experts *x = arg;
    quantize_rows(x->ops, x->x, x->d, (int64_t)x->n * ith / nth, (int64_t)x->n * (ith + 1) / nth,
                  x->x_records);
}

/* Sizes that follow from n, top_k, d, hidden; the forms of h and x that are largest. */
static void expert_sizes(struct experts *x, int64_t n, int64_t top_k) {
    int64_t widest = max64(x->d, x->hidden);
    x->own = n * x->d <= OWN_MAX;
    x->own_bytes = x->own ? records_bytes(n, x->d) : 0;
    x->tile_bytes = words_bytes(KERN_F32, min64(n, GATHER), widest + 1);
    x->hidden_floats = max64(HIDDEN_FLOATS, n * PAIR);
    x->down_floats = max64(DOWN_FLOATS, n * top_k * PAIR);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

void qmm_experts(const struct qmm_ops *ops, struct kern_queue *q, const struct kern_experts *e,
                 const struct kern_routes *routes, const float *x, int n, float *out) {
    struct experts ex = {.ops = ops, .e = e, .routes = routes, .x = x, .n = n, .out = out,
                         .d = e->gate->cols, .hidden = e->gate->rows};
    int64_t pairs = (int64_t)n * e->top_k;
    struct arena a = {q->scratch, 0};
    for (int i = e->first; i < e->first + e->count; i++)
        ex.total += expert_cost(&ex, i) * pairs_of(e->gate);
    if (!ex.total)
        return;
    expert_sizes(&ex, n, e->top_k);
    ex.pack = larger(larger(pack_bytes(e->gate), pack_bytes(e->up)), pack_bytes(e->down));
    ex.h_stride = block_form(e->down->type) ? records_bytes(1, ex.hidden)
                                            : (size_t)ex.hidden * sizeof(float);
    ex.thread_bytes = expert_thread_bytes(&ex);
    if (!ex.own)
        ex.x_records = take(&a, records_bytes(n, ex.d));
    ex.x_row = take(&a, (size_t)pairs * sizeof *ex.x_row);
    ex.h = take(&a, (size_t)pairs * ex.h_stride);
    ex.threads = take(&a, ex.thread_bytes * (size_t)q->par.n);
    assert(a.used <= q->scratch_bytes);
    for (int64_t i = 0; i < pairs; i++)
        ex.x_row[i] = routes->order[i] / e->top_k;
    if (!ex.own && needs_records(e))
        q->par.run(q->par.ctx, quantize_task, &ex);
    q->par.run(q->par.ctx, hidden_task, &ex);
    q->par.run(q->par.ctx, down_task, &ex);
}

/* ---- scratch ---------------------------------------------------------------------------- */

/* At most so many bytes are the records of up to `rows` rows, OWN_MAX activations in all. */
static size_t own_records(int64_t rows) {
    return (size_t)(OWN_MAX / 32 + rows + 1) * sizeof(struct qmm_x);
}

static size_t matmul_scratch(const struct kern_limits *lim, int64_t cols) {
    size_t shared = round64(records_bytes(lim->rows, cols)) +
                    round64(words_bytes(KERN_F32, lim->rows, cols)) +
                    round64(words_bytes(KERN_BF16, lim->rows, cols));
    /* a small call keeps its activations once a thread */
    size_t own = own_records(lim->rows) + 2 * 64 +
                 (size_t)min64(OWN_MAX + lim->rows, lim->rows * cols) * 6;
    size_t pack = round64(2 * qmm_panel_bytes(KERN_F32, cols));
    return shared + (size_t)lim->threads * (QMM_JOB_SCRATCH + pack + own);
}

static size_t experts_scratch(const struct kern_limits *lim) {
    struct experts x = {.d = lim->d_model, .hidden = lim->d_expert};
    size_t pairs = (size_t)lim->rows * (size_t)lim->top_k;
    size_t h = (size_t)records_bytes(1, x.hidden);
    if (!pairs || !x.hidden)
        return 0;
    expert_sizes(&x, lim->rows, lim->top_k);
    x.own_bytes = own_records(lim->rows);
    x.pack = 2 * qmm_panel_bytes(KERN_F32, max64(x.d, x.hidden));
    return round64(records_bytes(lim->rows, x.d)) + round64(pairs * 4) +
           round64(pairs * larger(h, (size_t)x.hidden * 4)) +
           (size_t)lim->threads * expert_thread_bytes(&x);
}

size_t kern_qmm_scratch(const struct kern_limits *lim) {
    int64_t cols = max64(lim->cols, max64(lim->d_model, lim->d_expert));
    return larger(matmul_scratch(lim, cols), experts_scratch(lim));
}
