/* qmm_avx512.h - what the AVX-512 files of the matrix products share */
#ifndef QMM_AVX512_H
#define QMM_AVX512_H

#include <immintrin.h>

#include <string.h>

#include "kernels/qmm.h"

/* Columns of float activations that a kernel takes at once: 24 sums fill the registers. */
#define QMM_FLOAT_TILE 12

/* A quantized type times few columns (up to QMM_FEW), and times more. */
#define QMM_FEW 16
void qmm_few_avx512(const struct qmm_job *j);
void qmm_many_avx512(const struct qmm_job *j);

void qmm_f32_avx512(const struct qmm_job *j);
void qmm_f16_avx512(const struct qmm_job *j);
void qmm_bf16_avx512(const struct qmm_job *j);      /* any AVX-512 */
void qmm_bf16_avx512bf16(const struct qmm_job *j);  /* with vdpbf16ps */

/* Four activations in every lane. */
INLINE __m512i broadcast_q(const struct qmm_x *x, int dword) {
    int32_t v;
    memcpy(&v, x->q + 4 * dword, sizeof v);
    return _mm512_set1_epi32(v);
}

/* The lanes of a panel of which `rows` rows (any number) are left. */
static inline __mmask16 row_mask(int64_t rows) {
    unsigned lanes = rows >= 16 ? 16 : rows <= 0 ? 0 : (unsigned)rows;
    return (__mmask16)((1u << lanes) - 1);
}

#endif
