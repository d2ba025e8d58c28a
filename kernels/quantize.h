/* quantize.h - what the two operations between floats and the file's layout consist of
 *
 * One function a type; struct kern.quantize looks it up. K types are in kquant.h, the others here.
 * Private to kernels. src [rows][cols], cols a multiple of the type's block; dst rows of blocks;
 * importance [cols] or NULL, ignored by types that llama.cpp gives none: F32, F16, BF16, Q8_0,
 * MXFP4, TQ2_0.
 */
#ifndef QUANTIZE_H
#define QUANTIZE_H

#include <stdint.h>

typedef void quantize_rows(const float *src, void *dst, int64_t rows, int64_t cols,
                           const float *importance);

#define QUANTIZE_DECLARE(isa) \
    quantize_rows quantize_f32_##isa, quantize_f16_##isa, quantize_bf16_##isa, \
        quantize_q4_0_##isa, quantize_q4_1_##isa, quantize_q5_0_##isa, quantize_q5_1_##isa, \
        quantize_q8_0_##isa, quantize_iq4_nl_##isa, quantize_iq4_xs_##isa, \
        quantize_mxfp4_##isa, quantize_tq2_0_##isa;

QUANTIZE_DECLARE(ref)

quantize_rows quantize_f16_avx2;

#endif
