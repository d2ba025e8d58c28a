/* quantize_ref.c - floats to types whose scales follow from extremes, one element after another
 *
 * Expressions keep llama.cpp's order of operations, each rounded to float, so that the bytes are
 * the same. Q4_0 to Q5_1 are these without importance; see quantize_search_ref.c for the rest.
 */
#include "kernels/quantize.h"

#include <float.h>

#include "kernels/quantize_form.h"

/* ---- floats -------------------------------------------------------------------------------- */

void quantize_f32_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                      const float *importance) {
    (void)importance;
    memcpy(dst, src, (size_t)(rows * cols) * sizeof *src);
}

void quantize_f16_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                      const float *importance) {
    uint8_t *p = dst;
    (void)importance;
    for (int64_t i = 0; i < rows * cols; i++)
        quantize_store_half(p + 2 * i, src[i]);
}

void quantize_bf16_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                       const float *importance) {
    uint8_t *p = dst;
    (void)importance;
    for (int64_t i = 0; i < rows * cols; i++)
        block_put_u16(p + 2 * i, block_to_bf16(src[i]));
}

/* ---- by extremes --------------------------------------------------------------------------- */

/* Halves away from zero, in the low 8 bits. */
static int round_to_byte(float x) {
    return quantize_cut(roundf(x));
}

/* A NaN is lost where a number follows. */
static float largest(const float *x, int n) {
    float most = 0;
    for (int i = 0; i < n; i++)
        most = most > fabsf(x[i]) ? most : fabsf(x[i]);
    return most;
}

/* Codes -half .. half - 1 as 0 and up. */
static inline void plain_symmetric(const float *x, int half, uint8_t *d_at, uint8_t q[32]) {
    float d = kquant_signed_max(32, x) / (float)-half;
    float id = quantize_inverse(d);
    quantize_store_half(d_at, d);
    for (int i = 0; i < 32; i++) {
        int v = quantize_cut(x[i] * id + ((float)half + 0.5f));
        q[i] = (uint8_t)(v < 2 * half - 1 ? v : 2 * half - 1);
    }
}

void quantize_plain_q4_0_ref(const float *x, void *block) {
    struct block_q4_0 *b = block;
    uint8_t q[32];
    plain_symmetric(x, 8, b->d, q);
    quantize_store_nibbles(b->qs, q);
}

void quantize_plain_q5_0_ref(const float *x, void *block) {
    struct block_q5_0 *b = block;
    uint8_t q[32];
    plain_symmetric(x, 16, b->d, q);
    quantize_store_nibbles(b->qs, q);
    quantize_store_fifth(b->qh, q);
}

/* Codes 0 .. top from the minimum on. */
static void plain_affine(const float *x, int top, uint8_t *d_at, uint8_t *m_at, uint8_t q[32]) {
    float min = FLT_MAX;
    float max = -FLT_MAX;
    for (int i = 0; i < 32; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    float d = (max - min) / (float)top;
    float id = quantize_inverse(d);
    quantize_store_half(d_at, d);
    quantize_store_half(m_at, min);
    for (int i = 0; i < 32; i++) {
        int v = quantize_cut((x[i] - min) * id + 0.5f);
        q[i] = (uint8_t)(top == 15 && v > 15 ? 15 : v);
    }
}

void quantize_plain_q4_1_ref(const float *x, void *block) {
    struct block_q4_1 *b = block;
    uint8_t q[32];
    plain_affine(x, 15, b->d, b->m, q);
    quantize_store_nibbles(b->qs, q);
}

void quantize_plain_q5_1_ref(const float *x, void *block) {
    struct block_q5_1 *b = block;
    uint8_t q[32];
    plain_affine(x, 31, b->d, b->m, q);
    quantize_store_nibbles(b->qs, q);
    quantize_store_fifth(b->qh, q);
}

void quantize_q8_0_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                       const float *importance) {
    struct block_q8_0 *b = dst;
    (void)importance;
    for (int64_t n = rows * cols / 32; n > 0; n--, src += 32, b++) {
        float d = largest(src, 32) / 127;
        float id = quantize_inverse(d);
        quantize_store_half(b->d, d);
        for (int i = 0; i < 32; i++)
            b->qs[i] = (int8_t)round_to_byte(src[i] * id);
    }
}

/* The nearest of the table's levels times half; the first of several. */
static uint8_t nearest_e2m1(float x, float half) {
    int best = 0;
    float least = fabsf((float)block_e2m1_table[0] * half - x);
    for (int i = 1; i < 16; i++) {
        float error = fabsf((float)block_e2m1_table[i] * half - x);
        if (error < least) {
            least = error;
            best = i;
        }
    }
    return (uint8_t)best;
}

void quantize_mxfp4_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                        const float *importance) {
    struct block_mxfp4 *b = dst;
    (void)importance;
    for (int64_t n = rows * cols / 32; n > 0; n--, src += 32, b++) {
        uint8_t q[32];
        b->e = quantize_exponent(fabsf(kquant_signed_max(32, src)));
        for (int i = 0; i < 32; i++)
            q[i] = nearest_e2m1(src[i], block_e8m0_half(b->e));
        quantize_store_nibbles(b->qs, q);
    }
}

/* -1, 0, 1 as 0, 1, 2. */
void quantize_tq2_0_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                        const float *importance) {
    struct block_tq2_0 *b = dst;
    (void)importance;
    for (int64_t n = rows * cols / 256; n > 0; n--, src += 256, b++) {
        float d = largest(src, 256);
        float id = quantize_inverse(d);
        uint8_t q[256];
        quantize_store_half(b->d, d);
        for (int i = 0; i < 256; i++)
            q[i] = (uint8_t)(round_to_byte(src[i] * id) + 1);
        kquant_pack_low2(q, b->qs);
    }
}
