/* qmm_avx2.c - matrix products with AVX2 and FMA
 *
 * Computes qmm_ref.c's sums: 8 rows lie in the lanes of a register, two registers a panel. A panel
 * is unpacked a stretch of k at a time into a buffer in the first-level cache, then multiplied
 * with the columns, TILE at a time.
 *
 * vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits and must not saturate.
 * Values up to 63 are kept unsigned, with an offset that the sums start from; several such steps
 * even fit 16 bits before they are widened. Values of eight bits are kept signed: |w| times x
 * with the sign of w.
 */
#include "kernels/lanes_avx2.h"

#include "kernels/impl.h"
#include "kernels/qmm.h"
#include "kernels/unpack.h"

#define TILE 2
#define FLOAT_TILE 4
#define STRETCH 16              /* runs of 32 along k unpacked at once; a multiple of 8 */

/* ---- activations ------------------------------------------------------------------------ */

INLINE int sum_lanes(__m256i a, __m256i b) {
    __m256i v = _mm256_add_epi32(a, b);
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static uint32_t largest_magnitude(const __m256 *x) {
    __m256i mask = _mm256_set1_epi32(0x7fffffff);
    __m256i m = _mm256_and_si256(_mm256_castps_si256(x[0]), mask);
    for (int i = 1; i < 4; i++)
        m = _mm256_max_epu32(m, _mm256_and_si256(_mm256_castps_si256(x[i]), mask));
    __m128i s = _mm_max_epu32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    s = _mm_max_epu32(s, _mm_shuffle_epi32(s, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static void quantize_block(const float *x, struct qmm_x *out) {
    __m256 v[4];
    __m256i q[4];
    for (int i = 0; i < 4; i++)
        v[i] = _mm256_loadu_ps(x + 8 * i);
    uint32_t top = largest_magnitude(v);
    float most = block_bits_float(top);
    float s = top >= 0x7f800000 ? block_bits_float(0x7fc00000) : 0;
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_setzero_si256();
    if (top < 0x7f800000 && most >= QMM_TINY) {
        __m256 inverse = _mm256_set1_ps(127.0f / most);
        s = most / 127.0f;
        for (int i = 0; i < 4; i++)
            q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    }
    __m256i low = _mm256_packs_epi32(q[0], q[1]);
    __m256i high = _mm256_packs_epi32(q[2], q[3]);
    /* the packs work in halves of the register: put the dwords in order */
    __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    _mm256_store_si256((__m256i *)(void *)out->q, bytes);
    int a = sum_lanes(q[0], q[1]);
    int b = sum_lanes(q[2], q[3]);
    out->s = s;
    out->sum = s * (float)(a + b);
    out->start = -128 * (a + b);
    out->start2[0] = -128 * a;
    out->start2[1] = -128 * b;
    out->sum2[0] = s * (float)a;
    out->sum2[1] = s * (float)b;
    out->zero = 0;
}

static void quantize(const float *x, int64_t cols, struct qmm_x *out) {
    for (int64_t i = 0; i < cols; i += 32)
        quantize_block(x + i, out + i / 32);
}

/* ---- panels in the buffer --------------------------------------------------------------- */

/* How a type's values lie in the buffer: w + offset unsigned, or signed where offset is 128. */
INLINE int offset_of(int type) {
    switch (type) {
    case KERN_TQ2_0: return 1;
    case KERN_Q4_0: return 8;
    case KERN_Q5_0: return 16;
    case KERN_Q3_K: return 4;
    case KERN_Q6_K: return 32;
    case KERN_MXFP4: return 12;
    case KERN_Q8_0: case KERN_IQ4_NL: case KERN_IQ4_XS: return 128;
    default: return 0;
    }
}

/* Dwords of k whose products fit 16 bits together: each adds at most 2 * largest * 127. */
INLINE int span_of(int type) {
    switch (type) {
    case KERN_Q4_0: case KERN_Q4_1: case KERN_Q4_K: case KERN_Q3_K: case KERN_Q2_K:
    case KERN_TQ2_0: return 8;
    case KERN_Q5_0: case KERN_Q5_1: case KERN_Q5_K: case KERN_MXFP4: return 4;
    case KERN_Q6_K: return 2;
    default: return 1;
    }
}

/* A run of 32 in the buffer: eight dwords of k of either half of the panel in turn, then for
 * each group the scales, then the minima. */
INLINE int run_vectors(int group, int has_min) {
    return 16 + 32 / group * 2 * (1 + has_min);
}

/* Unpacks n runs of a panel from p on. */
INLINE void unpack_panel(int type, const uint8_t *p, int64_t n, __m256i *out) {
    int group = unpack_group(type);
    int has_min = unpack_has_min(type);
    int groups = 32 / group;
    int runs = unpack_runs(type);
    int shift = unpack_has_min(type) ? 0 : 128 - offset_of(type);
    int size = run_vectors(group, has_min);
    for (int64_t at = 0; at < n; at += runs, p += unpack_bytes(type), out += runs * size) {
        for (int run = 0; run < runs; run++)
            unpack_ahead(type, p, run);
        for (int part = 0; part < PARTS; part++) {
            struct unpack u;
            unpack_open(type, p, part, &u);
UNROLL
            for (int run = 0; run < runs; run++) {
                __m256i *to = out + run * size;
                __m256 *scale = (__m256 *)(to + 16);
UNROLL
                for (int i = 0; i < 8; i++) {
                    __m256i v = unpack_values(type, p, part, run, i);
                    if (offset_of(type) == 128)
                        v = lanes_xor(v, lanes_byte(0x80));
                    else if (shift)
                        v = lanes_add_bytes(v, lanes_byte(-shift));
                    to[2 * i + part] = v;
                }
UNROLL
                for (int g = 0; g < groups; g++) {
                    scale[2 * g + part] = unpack_scale(type, &u, groups * run + g);
                    if (has_min)
                        scale[2 * (groups + g) + part] = unpack_min(type, &u, groups * run + g);
                }
            }
        }
    }
}

/* ---- products --------------------------------------------------------------------------- */

INLINE __m256i broadcast_q(const struct qmm_x *x, int dword) {
    int32_t v;
    memcpy(&v, x->q + 4 * dword, sizeof v);
    return _mm256_set1_epi32(v);
}

/* Four products of a dword as two 16-bit sums. */
INLINE __m256i multiply(int offset, __m256i w, __m256i q) {
    if (offset == 128)
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w));
    return _mm256_maddubs_epi16(w, q);
}

/* sum(w * q) of one group; `first` and `count` in dwords of k. */
INLINE void group_sums(int type, int columns, const __m256i *w, const struct qmm_x *const *x,
                       int64_t at, int first, int count, __m256i (*sum)[2]) {
    int offset = offset_of(type);
    int span = span_of(type) < count ? span_of(type) : count;
    __m256i ones = _mm256_set1_epi16(1);
UNROLL
    for (int c = 0; c < columns; c++) {
        int32_t start = count == 8 ? x[c][at].start : x[c][at].start2[first / 4];
        int from_128 = offset == 128 ? 0 : offset;
        sum[c][0] = sum[c][1] = _mm256_set1_epi32(start / 128 * from_128);
    }
UNROLL
    for (int i = first; i < first + count; i += span) {
        __m256i words[TILE][2];
UNROLL
        for (int k = i; k < i + span; k++)
UNROLL
            for (int c = 0; c < columns; c++) {
                __m256i q = broadcast_q(&x[c][at], k);
UNROLL
                for (int p = 0; p < 2; p++) {
                    __m256i v = multiply(offset, w[2 * k + p], q);
                    words[c][p] = k == i ? v : _mm256_add_epi16(words[c][p], v);
                }
            }
UNROLL
        for (int c = 0; c < columns; c++)
UNROLL
            for (int p = 0; p < 2; p++)
                sum[c][p] = _mm256_add_epi32(sum[c][p], _mm256_madd_epi16(words[c][p], ones));
    }
}

/* One group of a run: its share of the sums of `columns` columns. */
INLINE void tile_group(int type, int columns, int g, const __m256i *w, const struct qmm_x *const *x,
                       int64_t at, __m256 (*acc)[2]) {
    int group = unpack_group(type);
    const __m256 *s = (const __m256 *)(w + 16) + 2 * g;
    const __m256 *m = s + 2 * (32 / group);
    __m256i sum[TILE][2];
    group_sums(type, columns, w, x, at, g * group / 4, group / 4, sum);
UNROLL
    for (int c = 0; c < columns; c++) {
        __m256 xs = _mm256_set1_ps(x[c][at].s);
        __m256 xm = _mm256_set1_ps(group == 32 ? x[c][at].sum : x[c][at].sum2[g]);
UNROLL
        for (int p = 0; p < 2; p++) {
            acc[c][p] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[c][p]), _mm256_mul_ps(s[p], xs),
                                        acc[c][p]);
            if (unpack_has_min(type))
                acc[c][p] = _mm256_fnmadd_ps(m[p], xm, acc[c][p]);
        }
    }
}

/* The first `rows` of a panel's 16 sums. */
static void store_rows(float *y, int64_t rows, const __m256 acc[2]) {
    float all[16];
    _mm256_storeu_ps(all, acc[0]);
    _mm256_storeu_ps(all + 8, acc[1]);
    memcpy(y, all, (size_t)(rows < 16 ? rows : 16) * sizeof *y);
}

static void load_rows(const float *y, int64_t rows, __m256 acc[2]) {
    float all[16] = {0};
    memcpy(all, y, (size_t)(rows < 16 ? rows : 16) * sizeof *y);
    acc[0] = _mm256_loadu_ps(all);
    acc[1] = _mm256_loadu_ps(all + 8);
}

/* n runs of a panel times columns [c0, c0 + columns); sums continue those in y unless run is 0. */
INLINE void tile(int type, int columns, const struct qmm_job *j, const __m256i *w, int64_t run,
                 int64_t n, int64_t row, int c0) {
    __m256 acc[TILE][2];
    const struct qmm_x *x[TILE];
    int size = run_vectors(unpack_group(type), unpack_has_min(type));
UNROLL
    for (int c = 0; c < columns; c++) {
        x[c] = qmm_job_x(j, c0 + c) + run;
        acc[c][0] = acc[c][1] = _mm256_setzero_ps();
        if (run)
            load_rows(qmm_job_y(j, c0 + c) + row, j->rows - row, acc[c]);
    }
    for (int64_t at = 0; at < n; at++, w += size) {
        tile_group(type, columns, 0, w, x, at, acc);
        if (unpack_group(type) == 16)
            tile_group(type, columns, 1, w, x, at, acc);
    }
UNROLL
    for (int c = 0; c < columns; c++)
        store_rows(qmm_job_y(j, c0 + c) + row, j->rows - row, acc[c]);
}

INLINE void quantized(int type, const struct qmm_job *j) {
    int64_t runs = j->cols / 32;
    size_t run_bytes = (size_t)(unpack_bytes(type) / unpack_runs(type));
    __m256i *w = j->scratch;
    for (int64_t row = 0; row < j->rows; row += KERN_PANEL) {
        const uint8_t *panel = j->w + (size_t)(row / KERN_PANEL * runs) * run_bytes;
        for (int64_t run = 0; run < runs; run += STRETCH) {
            int64_t n = runs - run < STRETCH ? runs - run : STRETCH;
            unpack_panel(type, panel + (size_t)run * run_bytes, n, w);
            int c = 0;
            for (; c + TILE <= j->n; c += TILE)
                tile(type, TILE, j, w, run, n, row, c);
            if (c < j->n)
                tile(type, 1, j, w, run, n, row, c);
        }
    }
}

/* ---- floats ----------------------------------------------------------------------------- */

/* acc += word k of a panel times the tile's words at x: a float, or a pair of bf16. */
INLINE void float_step(int type, int columns, const uint8_t *w, const float *x,
                       __m256 (*acc)[2]) {
    __m256i odd = _mm256_set1_epi32((int)0xffff0000);
UNROLL
    for (int p = 0; p < 2; p++) {
        __m256i v = lanes_dwords(w, type == KERN_F16 ? 0 : p);
        __m256 f = type == KERN_F16 ? lanes_halves(w, p) : _mm256_castsi256_ps(v);
UNROLL
        for (int c = 0; c < columns; c++) {
            __m256 xc = _mm256_set1_ps(x[c]);
            if (type != KERN_BF16) {
                acc[c][p] = _mm256_fmadd_ps(f, xc, acc[c][p]);
                continue;
            }
            __m256i xi = _mm256_castps_si256(xc);
            acc[c][p] = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(v, odd)),
                                        _mm256_castsi256_ps(_mm256_and_si256(xi, odd)), acc[c][p]);
            acc[c][p] = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(v, 16)),
                                        _mm256_castsi256_ps(_mm256_slli_epi32(xi, 16)), acc[c][p]);
        }
    }
}

INLINE void float_tile(int type, int columns, const struct qmm_job *j, int64_t row, int c0) {
    int64_t words = qmm_words(type, j->cols);
    int unit = (type == KERN_F16 ? 2 : 4) * KERN_PANEL;
    const uint8_t *w = j->w + (size_t)(row / KERN_PANEL * words) * (size_t)unit;
    const float *x = (const float *)j->x + c0 * words;
    __m256 acc[FLOAT_TILE][2];
UNROLL
    for (int c = 0; c < columns; c++)
        acc[c][0] = acc[c][1] = _mm256_setzero_ps();
    for (int64_t k = 0; k < words; k++, w += unit, x += columns)
        float_step(type, columns, w, x, acc);
UNROLL
    for (int c = 0; c < columns; c++)
        store_rows(qmm_job_y(j, c0 + c) + row, j->rows - row, acc[c]);
}

INLINE void float_product(int type, const struct qmm_job *j) {
    for (int64_t row = 0; row < j->rows; row += KERN_PANEL)
        for (int c = 0; c < j->n; c += FLOAT_TILE)
            switch (j->n - c) {
            case 1: float_tile(type, 1, j, row, c); break;
            case 2: float_tile(type, 2, j, row, c); break;
            case 3: float_tile(type, 3, j, row, c); break;
            default: float_tile(type, FLOAT_TILE, j, row, c);
            }
}

/* ---- by type ---------------------------------------------------------------------------- */

static void product(const struct qmm_job *j) {
    switch (j->type) {
    case KERN_F32: float_product(KERN_F32, j); break;
    case KERN_F16: float_product(KERN_F16, j); break;
    case KERN_BF16: float_product(KERN_BF16, j); break;
    case KERN_Q4_0: quantized(KERN_Q4_0, j); break;
    case KERN_Q4_1: quantized(KERN_Q4_1, j); break;
    case KERN_Q5_0: quantized(KERN_Q5_0, j); break;
    case KERN_Q5_1: quantized(KERN_Q5_1, j); break;
    case KERN_Q8_0: quantized(KERN_Q8_0, j); break;
    case KERN_Q2_K: quantized(KERN_Q2_K, j); break;
    case KERN_Q3_K: quantized(KERN_Q3_K, j); break;
    case KERN_Q4_K: quantized(KERN_Q4_K, j); break;
    case KERN_Q5_K: quantized(KERN_Q5_K, j); break;
    case KERN_Q6_K: quantized(KERN_Q6_K, j); break;
    case KERN_IQ4_NL: quantized(KERN_IQ4_NL, j); break;
    case KERN_IQ4_XS: quantized(KERN_IQ4_XS, j); break;
    case KERN_TQ2_0: quantized(KERN_TQ2_0, j); break;
    case KERN_MXFP4: quantized(KERN_MXFP4, j); break;
    default: break;
    }
}

static void axpy(float *y, const float *x, float a, int64_t n) {
    __m256 va = _mm256_set1_ps(a);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(va, _mm256_loadu_ps(x + i),
                                                _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(x[i]), _mm_set_ss(y[i])));
}

static const struct qmm_ops ops = {
    .tile = FLOAT_TILE, .quantize = quantize, .product = product, .axpy = axpy,
    .glu = kern_glu_avx2,
};

QMM_DEFINE(avx2)
