/* halves_avx2.c - floats to 16-bit floats, eight at a time
 *
 * The CPU's conversion keeps a NaN's payload, blocks.h's does not: eight values that hold a NaN are
 * converted one by one.
 */
#include <immintrin.h>

#include "kernels/quantize.h"

void quantize_f16_avx2(const float *src, void *dst, int64_t rows, int64_t cols,
                       const float *importance) {
    uint8_t *p = dst;
    int64_t n = rows * cols;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_loadu_ps(src + i);
        if (_mm256_movemask_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)))
            quantize_f16_ref(src + i, p + 2 * i, 1, 8, importance);
        else
            _mm_storeu_si128((void *)(p + 2 * i), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    }
    quantize_f16_ref(src + i, p + 2 * i, 1, n - i, importance);
}

void quantize_bf16_avx2(const float *src, void *dst, int64_t rows, int64_t cols,
                        const float *importance) {
    uint8_t *p = dst;
    int64_t n = rows * cols;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_loadu_ps(src + i);
        __m256i u = _mm256_castps_si256(x);
        __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
        u = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        u = _mm256_srli_epi32(u, 16);
        if (_mm256_movemask_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)))
            quantize_bf16_ref(src + i, p + 2 * i, 1, 8, importance);
        else
            _mm_storeu_si128((void *)(p + 2 * i),
                             _mm_packus_epi32(_mm256_castsi256_si128(u),
                                              _mm256_extracti128_si256(u, 1)));
    }
    quantize_bf16_ref(src + i, p + 2 * i, 1, n - i, importance);
}
