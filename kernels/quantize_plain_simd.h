/* quantize_plain_simd.h - the types of quantize_ref.c, sixteen elements of a block at once
 *
 * The same roundings element by element; sums there are none. A block with an infinity or a NaN is
 * left to quantize_ref.c, for which of two NaNs counts depends on the order.
 */
#ifndef QUANTIZE_PLAIN_SIMD_H
#define QUANTIZE_PLAIN_SIMD_H

#include "kernels/quantize.h"
#include "kernels/quantize_form.h"
#include "kernels/quantize_lanes.h"

/* The bits of the largest magnitude of n v16s, in the order of the floats that they are. */
ALWAYS int most_bits(const int n, const v16 *x) {
    i16 most = i16_bits(v16_abs(x[0]));
    for (int i = 1; i < n; i++)
        most = i16_max(most, i16_bits(v16_abs(x[i])));
    return i16_most(most);
}

ALWAYS int finite_bits(int bits) {
    return bits < 0x7f800000;
}

/* The first of 32 elements that equals v. */
ALWAYS int first_equal(v16 a, v16 b, v16 v) {
    return __builtin_ctz(m16_bits(v16_eq(a, v)) | m16_bits(v16_eq(b, v)) << 16);
}

ALWAYS void put_nibbles(uint8_t *qs, i16 a, i16 b) {
    i16_store_bytes(qs, i16_or(i16_and(a, i16_set1(15)), i16_left(b, 4)));
}

ALWAYS void put_fifth(uint8_t *qh, i16 a, i16 b) {
    const i16 low = i16_set1(15);
    uint32_t bits = m16_bits(i16_gt(a, low)) | m16_bits(i16_gt(b, low)) << 16;
    memcpy(qh, &bits, sizeof bits);
}

/* What is no int becomes 0, as quantize_cut has it. */
ALWAYS i16 code_of(v16 x, v16 by, const float from, const int top) {
    return i16_clamp(i16_cut(v16_add(v16_mul(x, by), v16_set1(from))), 0, top);
}

/* Codes -half .. half - 1 as 0 and up. Returns 0 where the block is not for here. */
ALWAYS int symmetric(const float *x, const int half, uint8_t *d_at, i16 code[2]) {
    const v16 v[2] = {v16_load(x), v16_load(x + 16)};
    int bits = most_bits(2, v);
    if (!finite_bits(bits))
        return 0;
    v16 most = v16_set1(block_bits_float((uint32_t)bits));
    float max = bits ? x[first_equal(v16_abs(v[0]), v16_abs(v[1]), most)] : 0;
    float d = max / (float)-half;
    v16 by = v16_set1(quantize_inverse(d));
    quantize_store_half(d_at, d);
    code[0] = code_of(v[0], by, (float)half + 0.5f, 2 * half - 1);
    code[1] = code_of(v[1], by, (float)half + 0.5f, 2 * half - 1);
    return 1;
}

/* Codes from the minimum on. Returns 0 where the block is not for here. */
ALWAYS int affine(const float *x, const int top, uint8_t *d_at, uint8_t *m_at, i16 code[2]) {
    const v16 v[2] = {v16_load(x), v16_load(x + 16)};
    if (!finite_bits(most_bits(2, v)))
        return 0;
    v16 minus = v16_mul(v16_min(v[0], v[1]), v16_set1(-1));
    float min = x[first_equal(v[0], v[1], v16_set1(-v16_max_of(minus)))];
    float max = x[first_equal(v[0], v[1], v16_set1(v16_max_of(v16_max(v[0], v[1]))))];
    float d = (max - min) / (float)top;
    v16 by = v16_set1(quantize_inverse(d));
    v16 from = v16_set1(min);
    quantize_store_half(d_at, d);
    quantize_store_half(m_at, min);
    code[0] = code_of(v16_sub(v[0], from), by, 0.5f, top);
    code[1] = code_of(v16_sub(v[1], from), by, 0.5f, top);
    return 1;
}

ALWAYS void plain_q4_0(const float *x, void *block) {
    struct block_q4_0 *b = block;
    i16 code[2];
    if (symmetric(x, 8, b->d, code))
        put_nibbles(b->qs, code[0], code[1]);
    else
        quantize_plain_q4_0_ref(x, b);
}

ALWAYS void plain_q5_0(const float *x, void *block) {
    struct block_q5_0 *b = block;
    i16 code[2];
    if (!symmetric(x, 16, b->d, code)) {
        quantize_plain_q5_0_ref(x, b);
        return;
    }
    put_nibbles(b->qs, code[0], code[1]);
    put_fifth(b->qh, code[0], code[1]);
}

ALWAYS void plain_q4_1(const float *x, void *block) {
    struct block_q4_1 *b = block;
    i16 code[2];
    if (affine(x, 15, b->d, b->m, code))
        put_nibbles(b->qs, code[0], code[1]);
    else
        quantize_plain_q4_1_ref(x, b);
}

ALWAYS void plain_q5_1(const float *x, void *block) {
    struct block_q5_1 *b = block;
    i16 code[2];
    if (!affine(x, 31, b->d, b->m, code)) {
        quantize_plain_q5_1_ref(x, b);
        return;
    }
    put_nibbles(b->qs, code[0], code[1]);
    put_fifth(b->qh, code[0], code[1]);
}

ALWAYS void plain_q8_0(const float *x, void *block) {
    struct block_q8_0 *b = block;
    const v16 v[2] = {v16_load(x), v16_load(x + 16)};
    int bits = most_bits(2, v);
    if (!finite_bits(bits)) {
        quantize_q8_0_ref(x, b, 1, 32, NULL);
        return;
    }
    float d = block_bits_float((uint32_t)bits) / 127;
    v16 by = v16_set1(quantize_inverse(d));
    quantize_store_half(b->d, d);
    i16_store_bytes(b->qs, i16_round(v16_mul(v[0], by)));
    i16_store_bytes(b->qs + 16, i16_round(v16_mul(v[1], by)));
}

/* The nearest level's index: that of |x| among the first eight, and 8 for a sign if it is not 0. No
 * negative level is nearer to |x|, nor as near as 0. */
ALWAYS i16 e2m1_code(v16 x, float half) {
    v16 a = v16_abs(x);
    v16 least = a;
    i16 code = i16_set1(0);
    i16 sign = i16_select(v16_lt(x, v16_zero()), i16_set1(8), i16_set1(0));
#pragma GCC unroll 7
    for (int i = 1; i < 8; i++) {
        v16 error = v16_abs(v16_sub(v16_set1((float)block_e2m1_table[i] * half), a));
        m16 better = v16_lt(error, least);
        least = v16_select(better, error, least);
        code = i16_select(better, i16_or(sign, i16_set1(i)), code);
    }
    return code;
}

ALWAYS void plain_mxfp4(const float *x, void *block) {
    struct block_mxfp4 *b = block;
    const v16 v[2] = {v16_load(x), v16_load(x + 16)};
    int bits = most_bits(2, v);
    if (!finite_bits(bits)) {
        quantize_mxfp4_ref(x, b, 1, 32, NULL);
        return;
    }
    b->e = quantize_exponent(block_bits_float((uint32_t)bits));
    float half = block_e8m0_half(b->e);
    put_nibbles(b->qs, e2m1_code(v[0], half), e2m1_code(v[1], half));
}

ALWAYS void plain_tq2_0(const float *x, void *block) {
    struct block_tq2_0 *b = block;
    v16 v[16];
    for (int i = 0; i < 16; i++)
        v[i] = v16_load(x + 16 * i);
    int bits = most_bits(16, v);
    if (!finite_bits(bits)) {
        quantize_tq2_0_ref(x, b, 1, 256, NULL);
        return;
    }
    float d = block_bits_float((uint32_t)bits);
    v16 by = v16_set1(quantize_inverse(d));
    quantize_store_half(b->d, d);
    for (int i = 0; i < 4; i++) {                   /* bytes 16 i and on */
        i16 q = i16_set1(0);
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            v16 part = v16_mul(v[i / 2 * 8 + 2 * k + i % 2], by);
            i16 code = i16_and(i16_add(i16_round(part), i16_set1(1)), i16_set1(3));
            q = i16_or(q, i16_left(code, 2 * k));
        }
        i16_store_bytes(b->qs + 16 * i, q);
    }
}

#define QUANTIZE_PLAIN(name, isa, block) \
    void quantize_##name##_##isa(const float *src, void *dst, int64_t rows, int64_t cols, \
                                 const float *importance) { \
        struct block_##name *b = dst; \
        (void)importance; \
        for (int64_t n = rows * cols / (block); n > 0; n--, src += (block), b++) \
            plain_##name(src, b); \
    }

#define QUANTIZE_PLAIN_ALL(isa) \
    QUANTIZE_PLAIN(q8_0, isa, 32) \
    QUANTIZE_PLAIN(mxfp4, isa, 32) \
    QUANTIZE_PLAIN(tq2_0, isa, 256)

#endif
