/* qmm_avx512bf16.c - matrix products of BF16 weights with the CPU's bf16 dot product */
#include "kernels/qmm_float_avx512.h"

INLINE __m512i load_bf16(const uint8_t *w) {
    return _mm512_loadu_si512(w);
}

INLINE __m512 step_bf16(__m512 sum, __m512i w, float x) {
    return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)_mm512_set1_ps(x));
}

void qmm_bf16_avx512bf16(const struct qmm_job *j) {
    float_product(load_bf16, step_bf16, 4, j);
}
