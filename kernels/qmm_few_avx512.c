/* qmm_few_avx512.c - quantized weights times few columns with AVX-512 VNNI: decode
 *
 * A panel is unpacked in registers as it streams from memory: 16 rows lie in the lanes of a
 * register, and vpdpbusd multiplies four of their values of k with the same four activations.
 */
#include "kernels/lanes_avx512.h"

#include "kernels/qmm_avx512.h"
#include "kernels/unpack.h"

#define FEW 4                   /* columns that registers hold at once */

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

/* All panels of the job times columns [c0, c0 + columns). If there are fewer, the last one is
 * computed several times, which costs less than code for every number. */
INLINE void few_columns(int type, int columns, const struct qmm_job *j, int c0) {
    const struct qmm_x *x[FEW];
    float *y[FEW];
    int runs = unpack_runs(type);
    const uint8_t *p = j->w;
UNROLL
    for (int c = 0; c < columns; c++) {
        int at = c0 + c < j->n ? c0 + c : j->n - 1;
        x[c] = qmm_job_x(j, at);
        y[c] = qmm_job_y(j, at);
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
                unpack_ahead(type, p, run);
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

/* Up to FEW columns take all panels in a row; for more, each panel is read again from the cache. */
INLINE void few(int type, const struct qmm_job *job) {
    size_t row_bytes = (size_t)(job->cols / 32 / unpack_runs(type)) *
                       (size_t)(unpack_bytes(type) / KERN_PANEL);
    int64_t step = job->n <= FEW ? job->rows : KERN_PANEL;
    for (int64_t row = 0; row < job->rows; row += step) {
        struct qmm_job j = *job;
        j.w += (size_t)row * row_bytes;
        j.y += row;
        j.rows = job->rows - row < step ? job->rows - row : step;
        for (int c = 0; c < j.n; c += FEW)
            switch (j.n - c) {
            case 1: few_columns(type, 1, &j, c); break;
            case 2: few_columns(type, 2, &j, c); break;
            default: few_columns(type, FEW, &j, c);
            }
    }
}

void qmm_few_avx512(const struct qmm_job *j) {
    switch (j->type) {
    case KERN_Q4_0: few(KERN_Q4_0, j); break;
    case KERN_Q4_1: few(KERN_Q4_1, j); break;
    case KERN_Q5_0: few(KERN_Q5_0, j); break;
    case KERN_Q5_1: few(KERN_Q5_1, j); break;
    case KERN_Q8_0: few(KERN_Q8_0, j); break;
    case KERN_Q2_K: few(KERN_Q2_K, j); break;
    case KERN_Q3_K: few(KERN_Q3_K, j); break;
    case KERN_Q4_K: few(KERN_Q4_K, j); break;
    case KERN_Q5_K: few(KERN_Q5_K, j); break;
    case KERN_Q6_K: few(KERN_Q6_K, j); break;
    case KERN_IQ4_NL: few(KERN_IQ4_NL, j); break;
    case KERN_IQ4_XS: few(KERN_IQ4_XS, j); break;
    case KERN_TQ2_0: few(KERN_TQ2_0, j); break;
    case KERN_MXFP4: few(KERN_MXFP4, j); break;
    default: break;
    }
}
