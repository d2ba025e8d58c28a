/* qmm_avx512.c - matrix products with AVX-512 VNNI: the quantized types
 *
 * Both forms below compute qmm_ref.c's sums. 16 rows lie in the lanes of a register; vpdpbusd
 * multiplies four of their values of k with the same four activations.
 *
 * Few columns (decode): the panel is unpacked in registers as it streams from memory.
 * Many columns (prefill): two panels are unpacked once into a buffer, a stretch of k at a time
 * that stays in the first-level cache, then multiplied with TILE columns at a time: one
 * activation, broadcast, serves two panels. Between stretches the sums rest in y.
 *
 * Weights are unsigned bytes and activations signed. Where a type has no minima its values are
 * w + 128, and sums start at -128 * sum(q), which came with the activations.
 */
#include "kernels/impl.h"
#include "kernels/lanes_avx512.h"
#include "kernels/qmm_avx512.h"
#include "kernels/unpack.h"

#define TILE 6
#define FEW 4                   /* columns up to which unpacking in registers is faster */
#define MOST 64                 /* columns from which rows go round inside a stretch */
#define AHEAD 8192              /* bytes from the weights in use to those being fetched */
#define STRETCH 16              /* runs of 32 along k unpacked at once; a multiple of 8 */

/* ---- activations ------------------------------------------------------------------------ */

static void quantize_block(const float *x, struct qmm_x *out) {
    __m512 a = _mm512_loadu_ps(x);
    __m512 b = _mm512_loadu_ps(x + 16);
    __m512i mask = _mm512_set1_epi32(0x7fffffff);
    __m512i mag = _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(a), mask),
                                   _mm512_and_si512(_mm512_castps_si512(b), mask));
    uint32_t top = _mm512_reduce_max_epu32(mag);
    float most = block_bits_float(top);
    float inverse = 0;
    float s = 0;
    if (top >= 0x7f800000) {
        s = block_bits_float(0x7fc00000);
    } else if (most >= QMM_TINY) {
        inverse = 127.0f / most;
        s = most / 127.0f;
    }
    __mmask16 finite = top >= 0x7f800000 ? 0 : 0xffff;
    __m512i qa = _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(a, _mm512_set1_ps(inverse)));
    __m512i qb = _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(b, _mm512_set1_ps(inverse)));
    int sa = _mm512_reduce_add_epi32(qa);
    int sb = _mm512_reduce_add_epi32(qb);
    _mm_store_si128((__m128i *)(void *)out->q, _mm512_cvtepi32_epi8(qa));
    _mm_store_si128((__m128i *)(void *)(out->q + 16), _mm512_cvtepi32_epi8(qb));
    out->s = s;
    out->sum = s * (float)(sa + sb);
    out->start = -128 * (sa + sb);
    out->start2[0] = -128 * sa;
    out->start2[1] = -128 * sb;
    out->sum2[0] = s * (float)sa;
    out->sum2[1] = s * (float)sb;
    out->zero = 0;
}

static void quantize(const float *x, int64_t cols, struct qmm_x *out) {
    for (int64_t i = 0; i < cols; i += 32)
        quantize_block(x + i, out + i / 32);
}

/* ---- few columns ------------------------------------------------------------------------ */

INLINE __m512i broadcast_q(const struct qmm_x *x, int dword) {
    int32_t v;
    memcpy(&v, x->q + 4 * dword, sizeof v);
    return _mm512_set1_epi32(v);
}

INLINE __m512i start(int type, int32_t n) {
    return unpack_has_min(type) ? _mm512_setzero_si512() : _mm512_set1_epi32(n);
}

/* One run of 32 of a type with a scale for all of it; `columns` sums at acc. */
INLINE void run_32(int type, int columns, const uint8_t *p, const struct unpack *u, int run,
                   const struct qmm_x *const *x, int64_t at, __m512 *acc) {
    __m512i even[FEW];
    __m512i odd[FEW];
UNROLL
    for (int c = 0; c < columns; c++) {
        even[c] = start(type, x[c][at].start);
        odd[c] = _mm512_setzero_si512();
    }
UNROLL
    for (int i = 0; i < 8; i += 2) {
        __m512i v = unpack_values(type, p, 0, run, i);
        __m512i w = unpack_values(type, p, 0, run, i + 1);
UNROLL
        for (int c = 0; c < columns; c++) {
            even[c] = _mm512_dpbusd_epi32(even[c], v, broadcast_q(&x[c][at], i));
            odd[c] = _mm512_dpbusd_epi32(odd[c], w, broadcast_q(&x[c][at], i + 1));
        }
    }
    __m512 s = unpack_scale(type, u, run);
    __m512 m = unpack_has_min(type) ? unpack_min(type, u, run) : s;
UNROLL
    for (int c = 0; c < columns; c++) {
        __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(even[c], odd[c]));
        acc[c] = _mm512_fmadd_ps(sum, _mm512_mul_ps(s, _mm512_set1_ps(x[c][at].s)), acc[c]);
        if (unpack_has_min(type))
            acc[c] = _mm512_fnmadd_ps(m, _mm512_set1_ps(x[c][at].sum), acc[c]);
    }
}

/* Half a run of a type with a scale for each half. */
INLINE void run_16(int type, int columns, const uint8_t *p, const struct unpack *u, int run,
                   int half, const struct qmm_x *const *x, int64_t at, __m512 *acc) {
    __m512i sum[FEW];
UNROLL
    for (int c = 0; c < columns; c++)
        sum[c] = start(type, x[c][at].start2[half]);
UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i w = unpack_values(type, p, 0, run, 4 * half + i);
UNROLL
        for (int c = 0; c < columns; c++)
            sum[c] = _mm512_dpbusd_epi32(sum[c], w, broadcast_q(&x[c][at], 4 * half + i));
    }
    __m512 s = unpack_scale(type, u, 2 * run + half);
    __m512 m = unpack_has_min(type) ? unpack_min(type, u, 2 * run + half) : s;
UNROLL
    for (int c = 0; c < columns; c++) {
        acc[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c]),
                                 _mm512_mul_ps(s, _mm512_set1_ps(x[c][at].s)), acc[c]);
        if (unpack_has_min(type))
            acc[c] = _mm512_fnmadd_ps(m, _mm512_set1_ps(x[c][at].sum2[half]), acc[c]);
    }
}

/* The lines that a run of the block AHEAD bytes further takes up. Unrolled blocks touch lines in an
 * order that the hardware's own prefetching follows badly: K-quants stream twice as fast so. */
INLINE void prefetch_run(int type, const uint8_t *p, int run) {
    int step = unpack_bytes(type) / unpack_runs(type);
UNROLL
    for (int at = run * step; at < (run + 1) * step; at += 64)
        _mm_prefetch((const char *)p + AHEAD + at, _MM_HINT_T0);
}

/* All panels of the job times columns [c0, c0 + columns). */
INLINE void few_columns(int type, int columns, const struct qmm_job *j, int c0) {
    const struct qmm_x *x[FEW];
    float *y[FEW];
    int runs = unpack_runs(type);
    const uint8_t *p = j->w;
UNROLL
    for (int c = 0; c < columns; c++) {
        x[c] = qmm_job_x(j, c0 + c);
        y[c] = qmm_job_y(j, c0 + c);
    }
    for (int64_t row = 0; row < j->rows; row += KERN_PANEL) {
        __m512 acc[FEW];
UNROLL
        for (int c = 0; c < columns; c++)
            acc[c] = _mm512_setzero_ps();
        for (int64_t at = 0; at < j->cols / 32; at += runs, p += unpack_bytes(type)) {
            struct unpack u;
            unpack_open(type, p, 0, &u);
UNROLL
            for (int run = 0; run < runs; run++) {
                prefetch_run(type, p, run);
                if (unpack_group(type) == 32) {
                    run_32(type, columns, p, &u, run, x, at + run, acc);
                } else {
                    run_16(type, columns, p, &u, run, 0, x, at + run, acc);
                    run_16(type, columns, p, &u, run, 1, x, at + run, acc);
                }
            }
        }
UNROLL
        for (int c = 0; c < columns; c++)
            _mm512_mask_storeu_ps(y[c] + row, row_mask(j->rows - row), acc[c]);
    }
}

INLINE void few(int type, const struct qmm_job *j) {
    switch (j->n) {
    case 1: few_columns(type, 1, j, 0); break;
    case 2: few_columns(type, 2, j, 0); break;
    case 3: few_columns(type, 3, j, 0); break;
    default: few_columns(type, 4, j, 0);
    }
}

/* ---- many columns ----------------------------------------------------------------------- */

/* A run of 32 of two panels unpacked: eight dwords of k of either panel in turn, then for each
 * group the scales of either panel, then the minima. */
INLINE int run_vectors(int group, int has_min) {
    return 16 + 32 / group * 2 * (1 + has_min);
}

/* Unpacks runs [at, at + n) of one panel (0 or 1) of the pair. */
INLINE void unpack_panel(int type, const uint8_t *p, int panel, int64_t n, __m512i *out) {
    int group = unpack_group(type);
    int has_min = unpack_has_min(type);
    int groups = 32 / group;
    int runs = unpack_runs(type);
    for (int64_t at = 0; at < n; at += runs, p += unpack_bytes(type)) {
        struct unpack u;
        unpack_open(type, p, 0, &u);
UNROLL
        for (int run = 0; run < runs; run++, out += run_vectors(group, has_min)) {
            prefetch_run(type, p, run);
UNROLL
            for (int i = 0; i < 8; i++)
                out[2 * i + panel] = unpack_values(type, p, 0, run, i);
UNROLL
            for (int g = 0; g < groups; g++) {
                __m512 *scale = (__m512 *)(out + 16);
                scale[2 * g + panel] = unpack_scale(type, &u, groups * run + g);
                if (has_min)
                    scale[2 * (groups + g) + panel] = unpack_min(type, &u, groups * run + g);
            }
        }
    }
}

/* Dwords [first, first + count) of a run times the columns, and their share of the sums: the
 * scales of the group at s, its minima at m. */
INLINE void tile_group(int has_min, int columns, int group, int half, const __m512i *w,
                       const __m512 *s, const __m512 *m, const struct qmm_x *const *x, int64_t at,
                       __m512 (*acc)[2]) {
    __m512i sum[TILE][2];
    int first = half * 4;
UNROLL
    for (int c = 0; c < columns; c++) {
        int32_t n = group == 32 ? x[c][at].start : x[c][at].start2[half];
        sum[c][0] = sum[c][1] = has_min ? _mm512_setzero_si512() : _mm512_set1_epi32(n);
    }
UNROLL
    for (int i = first; i < first + group / 4; i++) {
        __m512i w0 = w[2 * i];
        __m512i w1 = w[2 * i + 1];
UNROLL
        for (int c = 0; c < columns; c++) {
            __m512i q = broadcast_q(&x[c][at], i);
            sum[c][0] = _mm512_dpbusd_epi32(sum[c][0], w0, q);
            sum[c][1] = _mm512_dpbusd_epi32(sum[c][1], w1, q);
        }
    }
UNROLL
    for (int c = 0; c < columns; c++) {
        __m512 xs = _mm512_set1_ps(x[c][at].s);
        __m512 xm = _mm512_set1_ps(group == 32 ? x[c][at].sum : x[c][at].sum2[half]);
UNROLL
        for (int p = 0; p < 2; p++) {
            acc[c][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c][p]),
                                        _mm512_mul_ps(s[p], xs), acc[c][p]);
            if (has_min)
                acc[c][p] = _mm512_fnmadd_ps(m[p], xm, acc[c][p]);
        }
    }
}

/* n runs of a pair of panels times the columns at x; sums continue those in y unless first. */
INLINE void tile(int group, int has_min, int columns, const __m512i *w, int64_t n,
                 const struct qmm_x *const *columns_x, float *const *y, int64_t rows, int first) {
    __m512 acc[TILE][2];
    const struct qmm_x *x[TILE];
    __mmask16 mask0 = row_mask(rows);
    __mmask16 mask1 = row_mask(rows - KERN_PANEL);
UNROLL
    for (int c = 0; c < columns; c++) {
        x[c] = columns_x[c];
        acc[c][0] = first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask0, y[c]);
        acc[c][1] = first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask1, y[c] + KERN_PANEL);
    }
    for (int64_t at = 0; at < n; at++, w += run_vectors(group, has_min)) {
        const __m512 *s = (const __m512 *)(w + 16);
        if (group == 32) {
            tile_group(has_min, columns, 32, 0, w, s, s + 2, x, at, acc);
        } else {
            tile_group(has_min, columns, 16, 0, w, s, s + 4, x, at, acc);
            tile_group(has_min, columns, 16, 1, w, s + 2, s + 6, x, at, acc);
        }
    }
UNROLL
    for (int c = 0; c < columns; c++) {
        _mm512_mask_storeu_ps(y[c], mask0, acc[c][0]);
        _mm512_mask_storeu_ps(y[c] + KERN_PANEL, mask1, acc[c][1]);
    }
}

typedef void tile_fn(const __m512i *w, int64_t n, const struct qmm_x *const *x, float *const *y,
                     int64_t rows, int first);

#define TILE_FN(name, group, has_min, columns) \
    static void name##_##columns(const __m512i *w, int64_t n, const struct qmm_x *const *x, \
                                 float *const *y, int64_t rows, int first) { \
        tile(group, has_min, columns, w, n, x, y, rows, first); \
    }
#define TILE_FNS(name, group, has_min) \
    TILE_FN(name, group, has_min, 1) \
    TILE_FN(name, group, has_min, 2) \
    TILE_FN(name, group, has_min, 3) \
    TILE_FN(name, group, has_min, 4) \
    TILE_FN(name, group, has_min, 5) \
    TILE_FN(name, group, has_min, 6) \
    static tile_fn *const name[TILE + 1] = { \
        NULL, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6 \
    };

TILE_FNS(tile_32, 32, 0)
TILE_FNS(tile_32_min, 32, 1)
TILE_FNS(tile_16, 16, 0)
TILE_FNS(tile_16_min, 16, 1)

/* One stretch of k of one pair of panels times all columns. */
static void all_tiles(tile_fn *const *fns, const struct qmm_job *j, const __m512i *w, int64_t run,
                      int64_t n, int64_t row) {
    for (int c0 = 0; c0 < j->n; c0 += TILE) {
        int columns = j->n - c0 < TILE ? j->n - c0 : TILE;
        const struct qmm_x *x[TILE];
        float *y[TILE];
UNROLL
        for (int c = 0; c < columns; c++) {
            x[c] = qmm_job_x(j, c0 + c) + run;
            y[c] = qmm_job_y(j, c0 + c) + row;
        }
        fns[columns](w, n, x, y, j->rows - row, run == 0);
    }
}

INLINE void many(int type, const struct qmm_job *j) {
    int group = unpack_group(type);
    int has_min = unpack_has_min(type);
    tile_fn *const *fns = group == 32 ? has_min ? tile_32_min : tile_32
                                      : has_min ? tile_16_min : tile_16;
    int64_t runs = j->cols / 32;
    size_t run_bytes = (size_t)(unpack_bytes(type) / unpack_runs(type));
    size_t panel_bytes = (size_t)runs * run_bytes;
    /* With many columns, their part of a stretch stays in the cache for all rows; with fewer the
     * weights are better read in order. */
    int64_t rows = j->n > MOST ? j->rows : 2 * KERN_PANEL;
    __m512i *w = j->scratch;
    for (int64_t row0 = 0; row0 < j->rows; row0 += rows)
        for (int64_t run = 0; run < runs; run += STRETCH) {
            int64_t n = runs - run < STRETCH ? runs - run : STRETCH;
            int64_t end = row0 + rows < j->rows ? row0 + rows : j->rows;
            for (int64_t row = row0; row < end; row += 2 * KERN_PANEL) {
                const uint8_t *p = j->w + (size_t)(row / KERN_PANEL) * panel_bytes +
                                   (size_t)run * run_bytes;
                unpack_panel(type, p, 0, n, w);
                /* a last panel alone is computed twice and stored once */
                unpack_panel(type, row + KERN_PANEL < j->rows ? p + panel_bytes : p, 1, n, w);
                all_tiles(fns, j, w, run, n, row);
            }
        }
}

/* ---- by type ---------------------------------------------------------------------------- */

#define PRODUCT(type) \
    static void product_##type(const struct qmm_job *j) { \
        if (j->n <= FEW) \
            few(KERN_##type, j); \
        else \
            many(KERN_##type, j); \
    }

PRODUCT(Q4_0)
PRODUCT(Q4_1)
PRODUCT(Q5_0)
PRODUCT(Q5_1)
PRODUCT(Q8_0)
PRODUCT(Q2_K)
PRODUCT(Q3_K)
PRODUCT(Q4_K)
PRODUCT(Q5_K)
PRODUCT(Q6_K)
PRODUCT(IQ4_NL)
PRODUCT(IQ4_XS)
PRODUCT(MXFP4)

static void product(const struct qmm_job *j) {
    static void (*const fns[KERN_TYPES])(const struct qmm_job *) = {
        [KERN_F32] = qmm_f32_avx512, [KERN_F16] = qmm_f16_avx512, [KERN_BF16] = qmm_bf16_avx512,
        [KERN_Q4_0] = product_Q4_0, [KERN_Q4_1] = product_Q4_1, [KERN_Q5_0] = product_Q5_0,
        [KERN_Q5_1] = product_Q5_1, [KERN_Q8_0] = product_Q8_0, [KERN_Q2_K] = product_Q2_K,
        [KERN_Q3_K] = product_Q3_K, [KERN_Q4_K] = product_Q4_K, [KERN_Q5_K] = product_Q5_K,
        [KERN_Q6_K] = product_Q6_K, [KERN_IQ4_NL] = product_IQ4_NL,
        [KERN_IQ4_XS] = product_IQ4_XS, [KERN_MXFP4] = product_MXFP4,
    };
    fns[j->type](j);
}

static void axpy(float *y, const float *x, float a, int64_t n) {
    __m512 va = _mm512_set1_ps(a);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 mask = row_mask(n - i);
        __m512 sum = _mm512_fmadd_ps(va, _mm512_maskz_loadu_ps(mask, x + i),
                                     _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(y + i, mask, sum);
    }
}

static const struct qmm_ops ops = {
    .tile = QMM_FLOAT_TILE, .quantize = quantize, .product = product, .axpy = axpy,
    .glu = kern_glu_avx512,
};

void kern_embed_avx512(struct kern_queue *q, const struct kern_weight *w, const int32_t *ids,
                       int n, float scale, float *out) {
    qmm_embed(q, w, ids, n, scale, out);
}

void kern_matmul_avx512(struct kern_queue *q, const float *x, int n, const struct kern_mm *mm,
                        int count) {
    qmm_matmul(&ops, q, x, n, mm, count);
}

void kern_experts_avx512(struct kern_queue *q, const struct kern_experts *e,
                         const struct kern_routes *routes, const float *x, int n, float *out) {
    qmm_experts(&ops, q, e, routes, x, n, out);
}
