/* quantize.c - which function quantizes to which type, for every variant */
#include "kernels/quantize.h"

#include "kernels/codes.h"
#include "kernels/impl.h"
#include "kernels/kquant.h"

/* 16-bit floats are converted as fast as memory by AVX2. */
#define TABLE(isa, halves) \
    { \
        [KERN_F32] = quantize_f32_ref, [KERN_F16] = quantize_f16_##halves, \
        [KERN_BF16] = quantize_bf16_##halves, [KERN_Q4_0] = quantize_q4_0_##isa, \
        [KERN_Q4_1] = quantize_q4_1_##isa, [KERN_Q5_0] = quantize_q5_0_##isa, \
        [KERN_Q5_1] = quantize_q5_1_##isa, [KERN_Q8_0] = quantize_q8_0_##isa, \
        [KERN_Q2_K] = kquant_q2_k_##isa, [KERN_Q3_K] = kquant_q3_k_##isa, \
        [KERN_Q4_K] = kquant_q4_k_##isa, [KERN_Q5_K] = kquant_q5_k_##isa, \
        [KERN_Q6_K] = kquant_q6_k_##isa, [KERN_IQ4_NL] = quantize_iq4_nl_##isa, \
        [KERN_IQ4_XS] = quantize_iq4_xs_##isa, [KERN_MXFP4] = quantize_mxfp4_##isa, \
        [KERN_TQ2_0] = quantize_tq2_0_##isa, \
    }

#define QUANTIZE(isa, halves) \
    void kern_quantize_##isa(int type, const float *src, void *dst, int64_t rows, int64_t cols, \
                             const float *importance) { \
        static quantize_rows *const table[KERN_TYPES] = TABLE(isa, halves); \
        table[type](src, dst, rows, cols, importance); \
    }
QUANTIZE(ref, ref)
QUANTIZE(avx2, avx2)
QUANTIZE(avx512, avx2)

int kern_takes_importance(int type) {
    switch (type) {
    case KERN_F32: case KERN_F16: case KERN_BF16: case KERN_Q8_0: case KERN_MXFP4:
    case KERN_TQ2_0:
        return 0;
    default: return 1;
    }
}
