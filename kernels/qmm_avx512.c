/* qmm_avx512.c - matrix products with AVX-512: activations, and which file does what
 *
 * All compute qmm_ref.c's sums. Weights are unsigned bytes and activations signed, as vpdpbusd
 * wants them. Where a type has no minima its values are w + 128, and sums start at
 * -128 * sum(q), which comes with the activations.
 */
#include "kernels/blocks.h"
#include "kernels/impl.h"
#include "kernels/qmm_avx512.h"

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

static void product(const struct qmm_job *j) {
    switch (j->type) {
    case KERN_F32: qmm_f32_avx512(j); break;
    case KERN_F16: qmm_f16_avx512(j); break;
    case KERN_BF16: qmm_bf16_avx512(j); break;
    default:
        if (j->n <= QMM_FEW)
            qmm_few_avx512(j);
        else
            qmm_many_avx512(j);
    }
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

QMM_DEFINE(avx512)
