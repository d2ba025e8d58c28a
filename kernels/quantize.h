/* quantize.h - what the two operations between floats and the file's layout consist of
 *
 * One function a type; struct kern.quantize looks it up. K types are in kquant.h, the others here.
 * Private to kernels. src [rows][cols], cols a multiple of the type's block; dst rows of blocks;
 * importance [cols] or NULL, ignored by types that llama.cpp gives none: F32, F16, BF16, Q8_0,
 * MXFP4, TQ2_0.
 *
 * Infinities and NaNs give llama.cpp's bytes too, but for the sign of a scale that is itself a NaN
 * (rows of Q4_0 and Q5_0 with importance), which is left to its compiler. All variants agree.
 */
#ifndef QUANTIZE_H
#define QUANTIZE_H

#include <stdint.h>

typedef void quantize_rows(const float *src, void *dst, int64_t rows, int64_t cols,
                           const float *importance);

#define QUANTIZE_DECLARE(isa) \
    quantize_rows quantize_q4_0_##isa, quantize_q4_1_##isa, quantize_q5_0_##isa, \
        quantize_q5_1_##isa, quantize_q8_0_##isa, quantize_iq4_nl_##isa, quantize_iq4_xs_##isa, \
        quantize_mxfp4_##isa, quantize_tq2_0_##isa;

QUANTIZE_DECLARE(ref)
QUANTIZE_DECLARE(avx2)
QUANTIZE_DECLARE(avx512)

quantize_rows quantize_f32_ref, quantize_f16_ref, quantize_bf16_ref;
quantize_rows quantize_f16_avx2, quantize_bf16_avx2;        /* halves_avx2.c, AVX-512's too */

/* ---- parts of the above, one element after another, for the other variants ---------------- */

/* One block of 32 elements: without importance; and with it [32], sigma2 being the mean square of
 * the block's row. */
typedef void quantize_plain(const float *x, void *block);
typedef void quantize_weighted(const float *x, const float *importance, float sigma2, void *block);
quantize_plain quantize_plain_q4_0_ref, quantize_plain_q4_1_ref, quantize_plain_q5_0_ref,
    quantize_plain_q5_1_ref;
quantize_weighted quantize_block_q4_0_ref, quantize_block_q4_1_ref, quantize_block_q5_0_ref,
    quantize_block_q5_1_ref;

/* Sums in order of the elements. */
float quantize_mean_square(const float *x, int64_t n);
float quantize_twice_mean_square(const float *x, int n);

/* Stores a block's eight scales as integers, the one of largest magnitude as -32, and their unit;
 * inverse[] are the reciprocals of what they then are, 0 where that is 0. */
void quantize_scales_iq4_xs_ref(const float scale[8], void *block, float inverse[8]);

#endif
