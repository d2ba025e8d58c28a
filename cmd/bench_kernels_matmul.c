/* bench_kernels_matmul.c - products of a matrix with some columns, and rows of an embedding
 *
 * A call of matmul on n columns x[n][cols], W [rows][cols]:
 *     operations  2 n rows cols, in the unit of the type: int8 for quantized types, bf16, f32
 *     bytes       the matrix as it is stored + 4 n cols + 4 n rows
 * of embed on n rows:
 *     operations  n cols (the scaling; decoding does not count)
 *     bytes       n rows of the matrix + 4 n cols
 *
 * OpenBLAS computes the same product in f32, from weights stored as f32 for all float types (as
 * bf16 where the library has sbgemm): y = x W^T by sgemm, for one column by sgemv. It is called
 * by every thread of the team on a run of the matrix's rows of its own, as our kernels divide it,
 * with its own threads switched off; its packing of x is repeated in each thread.
 */
#include "cmd/bench_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

struct matmul {
    struct room *room;
    const struct subject *s;
    struct ring ring[2];        /* by enum kern_layout */
    struct ring floats;         /* OpenBLAS's */
    int blas_bf16;
    float *x;                   /* [n][cols] */
    uint16_t *x_bf16;
    float *out;                 /* [n][rows] */
    int32_t *ids;               /* embed: [n] */
};

static int most_rows(const struct subject *s) {
    int n = 1;
    for (int i = 0; i < s->tests; i++)
        n = s->test[i].n > n ? s->test[i].n : n;
    return n;
}

static void matmul_close(void *state) {
    struct matmul *m = state;
    ring_close(&m->ring[0]);
    ring_close(&m->ring[1]);
    ring_close(&m->floats);
    free(m->x);
    free(m->x_bf16);
    free(m->out);
    free(m->ids);
    free(m);
}

/* OpenBLAS reads the first ring that holds what it wants. */
static int open_blas(struct matmul *m) {
    const struct subject *s = m->s;
    m->blas_bf16 = s->type == KERN_BF16 && m->room->blas->sbgemm;
    if (m->blas_bf16) {
        size_t n = (size_t)most_rows(s) * (size_t)s->cols;
        m->x_bf16 = mem_array(n, sizeof *m->x_bf16);
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &m->x[i], sizeof bits);
            m->x_bf16[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        }
    }
    return ring_open(m->room, &m->floats, s->type, KERN_FILE, s->rows, s->cols, 1,
                     !m->blas_bf16);
}

static void *matmul_open(struct room *r, const struct subject *s, unsigned layouts, int blas) {
    struct matmul *m = mem_alloc(sizeof *m);
    int n = most_rows(s);
    int bad = 0;
    *m = (struct matmul){.room = r, .s = s};
    m->x = random_numbers((size_t)n * (size_t)s->cols, 1);
    m->out = mem_array((size_t)n * (size_t)s->rows, sizeof *m->out);
    for (int layout = 0; layout < 2 && !bad; layout++)
        if (layouts >> layout & 1)
            bad = ring_open(r, &m->ring[layout], s->type, layout, s->rows, s->cols, 1, 0);
    if (!bad && blas)
        bad = open_blas(m);
    if (!bad)
        bad = room_scratch(r, &(struct kern_limits){.rows = n, .cols = s->cols});
    if (!bad)
        return m;
    matmul_close(m);
    return NULL;
}

/* ---- OpenBLAS ----------------------------------------------------------------------------- */

struct blas_call {
    const struct matmul *m;
    const struct kern_weight *w;
    int n;
};

static void blas_task(void *arg, int ith, int nth) {
    const struct blas_call *c = arg;
    const struct matmul *m = c->m;
    const struct blas *b = m->room->blas;
    int64_t runs = (m->s->rows + 15) / 16;
    int64_t row = runs * ith / nth * 16;
    int64_t end = runs * (ith + 1) / nth * 16;
    end = end < m->s->rows ? end : m->s->rows;
    int rows = (int)(end - row);
    int cols = (int)m->s->cols;
    int ldo = (int)m->s->rows;
    if (rows < 1)
        return;
    const float *w = (const float *)c->w->data + row * cols;
    if (m->blas_bf16)
        b->sbgemm(CblasRowMajor, CblasNoTrans, CblasTrans, c->n, rows, cols, 1, m->x_bf16, cols,
                  (const uint16_t *)c->w->data + row * cols, cols, 0, m->out + row, ldo);
    else if (c->n == 1)
        b->sgemv(CblasRowMajor, CblasNoTrans, rows, cols, 1, w, cols, m->x, 1, 0, m->out + row, 1);
    else
        b->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, c->n, rows, cols, 1, m->x, cols, w, cols,
                 0, m->out + row, ldo);
}

/* ---- matmul ------------------------------------------------------------------------------- */

static const struct ring *ring_of(const struct matmul *m, const struct runner *by) {
    return by->k ? &m->ring[by->layout] : &m->floats;
}

static void matmul_call(void *state, const struct runner *by, const struct test *t, int rows,
                        int turn) {
    struct matmul *m = state;
    const struct ring *ring = ring_of(m, by);
    const struct kern_weight *w = &ring->w[turn < 0 ? 0 : turn % ring->count];
    (void)t;
    if (by->k)
        by->k->matmul(&m->room->queue, m->x, rows, &(struct kern_mm){w, NULL, m->out, 0}, 1);
    else
        par_run(m->room->par, blas_task, &(struct blas_call){m, w, rows});
}

static void matmul_work(void *state, const struct runner *by, const struct test *t, int rows,
                        struct work *out) {
    const struct matmul *m = state;
    const struct ring *ring = ring_of(m, by);
    double n = rows;
    (void)t;
    enum unit unit = by->k || m->blas_bf16 ? unit_of(m->s->type) : UNIT_F32;
    out->ops[unit] = 2 * n * (double)m->s->rows * (double)m->s->cols;
    out->read = (double)ring->w->mat_bytes + 4 * n * (double)m->s->cols;
    out->written = 4 * n * (double)m->s->rows;
    out->set = m->room->ring_bytes ? 0 : out->read + out->written;
}

static struct result matmul_result(void *state, const struct test *t, int rows) {
    const struct matmul *m = state;
    (void)t;
    return (struct result){m->out, (size_t)rows * (size_t)m->s->rows, RESULT_FLOATS};
}

/* Variants round BF16 products in different places (qmm_ref.c); all other types give the same
 * bits. A term is at most 0.5; the bound is the one that tests of the kernels hold it to. */
#define BF16_TOLERANCE 1e-6

static void matmul_plan(struct plan *p, const struct operation *op) {
    static const int usual[] = {1, 4, 32, 512};
    struct dims dims[SHAPES_MOST];
    int n = plan_matrices(p, dims);
    for (int type = 0; type < KERN_TYPES; type++)
        for (int i = 0; i < n && plan_wants_type(p, type); i++) {
            struct subject s = {.op = op, .type = type, .down = -1, .rows = dims[i].rows,
                                .cols = dims[i].cols};
            if (type == KERN_BF16)
                s.tolerance = BF16_TOLERANCE * (double)s.cols;
            plan_shape(&s, "%lldx%lld", (long long)s.rows, (long long)s.cols);
            plan_rows(p, &s, usual, 4);
            plan_add(p, &s);
        }
}

const struct operation kernels_matmul = {
    .name = "matmul", .flags = LAYOUTS | BLAS, .plan = matmul_plan, .open = matmul_open,
    .call = matmul_call, .work = matmul_work, .result = matmul_result, .close = matmul_close,
};

/* ---- embed -------------------------------------------------------------------------------- */

/* Tokens are far from each other in the matrix; all calls take the same n of them but the first
 * one's place moves on, so that no row is read twice in a row. */
static void *embed_open(struct room *r, const struct subject *s, unsigned layouts, int blas) {
    size_t ring_bytes = r->ring_bytes;
    r->ring_bytes = 0;          /* one matrix is large enough */
    struct matmul *m = matmul_open(r, s, layouts, blas);
    r->ring_bytes = ring_bytes;
    if (!m)
        return NULL;
    m->ids = mem_array((size_t)most_rows(s), sizeof *m->ids);
    free(m->out);
    m->out = mem_array((size_t)most_rows(s) * (size_t)s->cols, sizeof *m->out);
    return m;
}

static void embed_call(void *state, const struct runner *by, const struct test *t, int rows,
                       int turn) {
    struct matmul *m = state;
    int64_t first = m->room->ring_bytes && turn > 0 ? turn : 0;
    (void)t;
    for (int i = 0; i < rows; i++)
        m->ids[i] = (int32_t)((first * rows + i) * 7919 % m->s->rows);
    by->k->embed(&m->room->queue, &m->ring[by->layout].w[0], m->ids, rows, 1.5f, m->out);
}

static void embed_work(void *state, const struct runner *by, const struct test *t, int rows,
                       struct work *out) {
    const struct matmul *m = state;
    double n = rows;
    (void)t;
    out->ops[UNIT_F32] = n * (double)m->s->cols;
    out->read = n * (double)kern_row_bytes(m->s->type, m->s->cols);
    out->written = 4 * n * (double)m->s->cols;
    out->set = m->room->ring_bytes ? (double)m->ring[by->layout].bytes : out->read + out->written;
}

static struct result embed_result(void *state, const struct test *t, int rows) {
    const struct matmul *m = state;
    (void)t;
    return (struct result){m->out, (size_t)rows * (size_t)m->s->cols, RESULT_FLOATS};
}

static void embed_plan(struct plan *p, const struct operation *op) {
    static const int usual[] = {1, 512};
    static const int types[] = {KERN_F16, KERN_Q8_0, KERN_Q4_K, KERN_Q6_K};
    for (int type = 0; type < KERN_TYPES; type++) {
        int typical = 0;
        for (int i = 0; i < 4; i++)
            typical |= types[i] == type;
        if (!plan_wants_type(p, type) || !(typical || p->types))
            continue;
        struct subject s = {.op = op, .type = type, .down = -1, .rows = plan_vocab(p),
                            .cols = plan_width(p)};
        plan_shape(&s, "%lldx%lld", (long long)s.rows, (long long)s.cols);
        plan_rows(p, &s, usual, 2);
        plan_add(p, &s);
    }
}

const struct operation kernels_embed = {
    .name = "embed", .flags = LAYOUTS, .plan = embed_plan, .open = embed_open,
    .call = embed_call, .work = embed_work, .result = embed_result, .close = matmul_close,
};
