/* quantize.c - which function quantizes to which type, for every variant */
#include "kernels/quantize.h"

#include "kernels/grid.h"
#include "kernels/impl.h"
#include "kernels/kquant.h"

/* simd: the variant of what is worth one; the rest is as fast as memory in plain C. */
#define TABLE(simd) \
    { \
        [KERN_F32] = quantize_f32_ref, [KERN_F16] = quantize_f16_ref, \
        [KERN_BF16] = quantize_bf16_ref, [KERN_Q4_0] = quantize_q4_0_ref, \
        [KERN_Q4_1] = quantize_q4_1_ref, [KERN_Q5_0] = quantize_q5_0_ref, \
        [KERN_Q5_1] = quantize_q5_1_ref, [KERN_Q8_0] = quantize_q8_0_ref, \
        [KERN_Q2_K] = kquant_q2_k_##simd, [KERN_Q3_K] = kquant_q3_k_##simd, \
        [KERN_Q4_K] = kquant_q4_k_##simd, [KERN_Q5_K] = kquant_q5_k_##simd, \
        [KERN_Q6_K] = kquant_q6_k_##simd, [KERN_IQ4_NL] = quantize_iq4_nl_ref, \
        [KERN_IQ4_XS] = quantize_iq4_xs_ref, [KERN_MXFP4] = quantize_mxfp4_ref, \
        [KERN_TQ2_0] = quantize_tq2_0_ref, \
    }

#define QUANTIZE(isa) \
    void kern_quantize_##isa(int type, const float *src, void *dst, int64_t rows, int64_t cols, \
                             const float *importance) { \
        static quantize_rows *const table[KERN_TYPES] = TABLE(isa); \
        table[type](src, dst, rows, cols, importance); \
    }
QUANTIZE(ref)
QUANTIZE(avx2)
QUANTIZE(avx512)

void kern_dequantize_ref(int type, const void *src, float *dst, int64_t n) {
    kern_dequantize(type, src, dst, n);
}

void kern_dequantize_avx2(int type, const void *src, float *dst, int64_t n) {
    kern_dequantize(type, src, dst, n);
}

void kern_dequantize_avx512(int type, const void *src, float *dst, int64_t n) {
    kern_dequantize(type, src, dst, n);
}

int kern_takes_importance(int type) {
    switch (type) {
    case KERN_F32: case KERN_F16: case KERN_BF16: case KERN_Q8_0: case KERN_MXFP4:
    case KERN_TQ2_0:
        return 0;
    default: return 1;
    }
}
