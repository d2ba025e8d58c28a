/* qmm.h - what the matrix products share: prepared activations, jobs, and a variant's operations
 *
 * qmm.c splits the work of a call over threads, prepares the activations and runs the experts; it
 * is common to all variants. A variant (qmm_ref.c, qmm_avx2.c, qmm_avx512.c) gives struct
 * qmm_ops: how a row becomes int8, and the product of some panels with some columns. "Column"
 * is a row of x seen from the product: weights have rows, activations are columns.
 *
 * The specification of a product, element by element, stands in qmm_ref.c.
 */
#ifndef QMM_H
#define QMM_H

#include "kernels/kern.h"

#define INLINE static inline __attribute__((always_inline))

/* Before loops over registers: their arrays become registers only when nothing is left of the
 * loop. */
#define UNROLL _Pragma("GCC unroll 16")

/* 32 activations as int8, x = s * q, and what offsets and minima of weights need of them. One
 * cache line. Kernels that hold a weight w as the unsigned w + 128 start their sums at
 * -128 * sum(q). */
struct qmm_x {
    int8_t q[32];
    float s;                /* max|x| / 127; NaN when some x is not finite, 0 when tiny */
    float sum;              /* s * sum(q) */
    int32_t start;          /* -128 * sum(q) */
    int32_t start2[2];      /* the same for each half */
    float sum2[2];
    int32_t zero;
};
_Static_assert(sizeof(struct qmm_x) == 64, "one cache line");

/* Blocks whose largest |x| is below this become zero: 127 / max would overflow. */
#define QMM_TINY 1e-30f

/* Columns are divided between threads at multiples of this; every tile width divides it. */
#define QMM_COLS 48

/* Scratch a product may use, bytes. */
#define QMM_JOB_SCRATCH (32 << 10)

/* y[c][r] = row r of w times column c, for the panels at w. */
struct qmm_job {
    int type;
    const uint8_t *w;       /* packed panels, one after another */
    int64_t rows;           /* rows that exist in them: only the last panel may be partial */
    int64_t cols;           /* length of a row (k) */
    int n;                  /* columns */
    /* Quantized types: struct qmm_x[cols / 32] of column c at x + xi[c] * x_stride.
     * Floats: tiles of ops->tile columns (the last one narrower), in each [k][column] words:
     * floats, or pairs of bf16. xi is not used. */
    const void *x;
    size_t x_stride;
    const int32_t *xi;      /* NULL: c itself */
    float *y;               /* column c at y + yi[c] * y_stride */
    int64_t y_stride;
    const int32_t *yi;      /* NULL: c itself */
    void *scratch;          /* QMM_JOB_SCRATCH bytes, 64-byte aligned */
};

struct qmm_ops {
    int tile;               /* columns of a tile of float activations; divides QMM_COLS */
    void (*quantize)(const float *x, int64_t cols, struct qmm_x *out);
    void (*product)(const struct qmm_job *job);
    void (*axpy)(float *y, const float *x, float a, int64_t n);     /* y = fma(a, x, y) */
    void (*glu)(struct kern_queue *, int act, const float *gate, const float *up, int64_t total,
                float *out);
};

void qmm_embed(struct kern_queue *q, const struct kern_weight *w, const int32_t *ids, int n,
               float scale, float *out);
void qmm_matmul(const struct qmm_ops *ops, struct kern_queue *q, const float *x, int n,
                const struct kern_mm *mm, int count);
void qmm_experts(const struct qmm_ops *ops, struct kern_queue *q, const struct kern_experts *e,
                 const struct kern_routes *routes, const float *x, int n, float *out);

/* The operations of kernels/impl.h for a variant, from its `ops`. */
#define QMM_DEFINE(isa) \
    void kern_embed_##isa(struct kern_queue *q, const struct kern_weight *w, const int32_t *ids, \
                          int n, float scale, float *out) { \
        qmm_embed(q, w, ids, n, scale, out); \
    } \
    void kern_matmul_##isa(struct kern_queue *q, const float *x, int n, const struct kern_mm *mm, \
                           int count) { \
        qmm_matmul(&ops, q, x, n, mm, count); \
    } \
    void kern_experts_##isa(struct kern_queue *q, const struct kern_experts *e, \
                            const struct kern_routes *routes, const float *x, int n, \
                            float *out) { \
        qmm_experts(&ops, q, e, routes, x, n, out); \
    }

/* Bytes of one packed panel. */
size_t qmm_panel_bytes(int type, int64_t cols);

/* Block after block of row r (0..15) of a panel: copies one as the file has it to dst, returns
 * the panel's next block. BF16 goes by pairs of k. */
const uint8_t *qmm_row_block(int type, const uint8_t *panel, int r, uint8_t *dst);

static inline const struct qmm_x *qmm_job_x(const struct qmm_job *j, int c) {
    size_t i = (size_t)(j->xi ? j->xi[c] : c);
    return (const struct qmm_x *)(const void *)((const char *)j->x + i * j->x_stride);
}

static inline float *qmm_job_y(const struct qmm_job *j, int c) {
    return j->y + (j->yi ? j->yi[c] : c) * j->y_stride;
}

/* Words of four bytes of a float column: floats, or pairs of bf16. */
static inline int64_t qmm_words(int type, int64_t cols) {
    return type == KERN_BF16 ? (cols + 1) / 2 : cols;
}

#endif
