/* quantize.c - which function quantizes to which type, for every variant */
#include "kernels/quantize.h"

#include "kernels/grid.h"
#include "kernels/impl.h"
#include "kernels/kquant.h"

/* K types by the variant, the other 16-bit floats by the CPU where it can. */
#define TABLE(simd, f16) \
    { \
        [KERN_F32] = quantize_f32_ref, [KERN_F16] = f16, \
        [KERN_BF16] = quantize_bf16_ref, [KERN_Q4_0] = quantize_q4_0_ref, \
        [KERN_Q4_1] = quantize_q4_1_ref, [KERN_Q5_0] = quantize_q5_0_ref, \
        [KERN_Q5_1] = quantize_q5_1_ref, [KERN_Q8_0] = quantize_q8_0_ref, \
        [KERN_Q2_K] = kquant_q2_k_##simd, [KERN_Q3_K] = kquant_q3_k_##simd, \
        [KERN_Q4_K] = kquant_q4_k_##simd, [KERN_Q5_K] = kquant_q5_k_##simd, \
        [KERN_Q6_K] = kquant_q6_k_##simd, [KERN_IQ4_NL] = quantize_iq4_nl_ref, \
        [KERN_IQ4_XS] = quantize_iq4_xs_ref, [KERN_MXFP4] = quantize_mxfp4_ref, \
        [KERN_TQ2_0] = quantize_tq2_0_ref, \
    }

#define QUANTIZE(isa, f16) \
    void kern_quantize_##isa(int type, const float *src, void *dst, int64_t rows, int64_t cols, \
                             const float *importance) { \
        static quantize_rows *const table[KERN_TYPES] = TABLE(isa, f16); \
        table[type](src, dst, rows, cols, importance); \
    }
QUANTIZE(ref, quantize_f16_ref)
QUANTIZE(avx2, quantize_f16_avx2)
QUANTIZE(avx512, quantize_f16_avx2)

int kern_takes_importance(int type) {
    switch (type) {
    case KERN_F32: case KERN_F16: case KERN_BF16: case KERN_Q8_0: case KERN_MXFP4:
    case KERN_TQ2_0:
        return 0;
    default: return 1;
    }
}
