/* qmm_avx512.h - what the AVX-512 files of the matrix products share */
#ifndef QMM_AVX512_H
#define QMM_AVX512_H

#include <immintrin.h>

#include "kernels/qmm.h"

/* Columns of float activations that a kernel takes at once: 24 sums fill the registers. */
#define QMM_FLOAT_TILE 12

void qmm_f32_avx512(const struct qmm_job *j);
void qmm_f16_avx512(const struct qmm_job *j);
void qmm_bf16_avx512(const struct qmm_job *j);      /* any AVX-512 */
void qmm_bf16_avx512bf16(const struct qmm_job *j);  /* with vdpbf16ps */

/* The lanes of a panel of which `rows` rows (any number) are left. */
static inline __mmask16 row_mask(int64_t rows) {
    unsigned lanes = rows >= 16 ? 0xffff : rows <= 0 ? 0 : (1u << rows) - 1;
    return (__mmask16)lanes;
}

#endif
