/* qmm_float_avx512.c - matrix products of F32, F16 and (without bf16 instructions) BF16 weights
 */
#include "kernels/qmm_float_avx512.h"

INLINE __m512i load_f32(const uint8_t *w) {
    return _mm512_loadu_si512(w);
}

INLINE __m512i load_f16(const uint8_t *w) {
    __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)w);
    return _mm512_castps_si512(_mm512_cvtph_ps(half));
}

INLINE __m512 step_f32(__m512 sum, __m512i w, float x) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(w), _mm512_set1_ps(x), sum);
}

INLINE __m512 step_bf16(__m512 sum, __m512i w, float x) {
    __m512i pair = _mm512_castps_si512(_mm512_set1_ps(x));
    __m512i odd = _mm512_set1_epi32((int)0xffff0000);
    sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(w, odd)),
                          _mm512_castsi512_ps(_mm512_and_si512(pair, odd)), sum);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(w, 16)),
                           _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)), sum);
}

void qmm_f32_avx512(const struct qmm_job *j) {
    float_product(load_f32, step_f32, 4, j);
}

void qmm_f16_avx512(const struct qmm_job *j) {
    float_product(load_f16, step_f32, 2, j);
}

void qmm_bf16_avx512(const struct qmm_job *j) {
    if (__builtin_cpu_supports("avx512bf16"))
        qmm_bf16_avx512bf16(j);
    else
        float_product(load_f32, step_bf16, 4, j);
}
