/* unpack_avx512.h - packed panels of every quantized type, taken apart in registers
 *
 * A packed block holds 16 rows; its elements come in runs of 32 along k. unpack_values gives four
 * values of k of the 16 rows as unsigned bytes, ready for vpdpbusd: w itself in types with
 * minima (whose values are never negative), else w + 128. All functions are inlined with a
 * constant type and constant positions, so that the switches disappear.
 */
#ifndef UNPACK_AVX512_H
#define UNPACK_AVX512_H

#include <immintrin.h>

#include "kernels/blocks.h"
#include "kernels/kern.h"
#include "kernels/qmm_avx512.h"

/* Packed bytes of a field of n bytes: the fields before one give its place. */
#define FIELD(n) ((n) * KERN_PANEL)

/* What a block's scales are made of, in registers. */
struct unpack {
    __m512 d, dmin;
    __m512i scales[4];      /* four bytes a row each */
};

INLINE int unpack_has_min(int type) {
    return type == KERN_Q4_1 || type == KERN_Q5_1 || type == KERN_Q2_K || type == KERN_Q4_K ||
           type == KERN_Q5_K;
}

INLINE int unpack_group(int type) {
    return type == KERN_Q2_K || type == KERN_Q3_K || type == KERN_Q6_K ? 16 : 32;
}

/* Runs of 32 in a block. */
INLINE int unpack_runs(int type) {
    return type == KERN_Q2_K || type == KERN_Q3_K || type == KERN_Q4_K || type == KERN_Q5_K ||
           type == KERN_Q6_K || type == KERN_IQ4_XS ? 8 : 1;
}

INLINE int unpack_bytes(int type) {
    switch (type) {
    case KERN_Q4_0: return FIELD((int)sizeof(struct block_q4_0));
    case KERN_Q4_1: return FIELD((int)sizeof(struct block_q4_1));
    case KERN_Q5_0: return FIELD((int)sizeof(struct block_q5_0));
    case KERN_Q5_1: return FIELD((int)sizeof(struct block_q5_1));
    case KERN_Q8_0: return FIELD((int)sizeof(struct block_q8_0));
    case KERN_Q2_K: return FIELD((int)sizeof(struct block_q2_k));
    case KERN_Q3_K: return FIELD((int)sizeof(struct block_q3_k));
    case KERN_Q4_K: return FIELD((int)sizeof(struct block_q4_k));
    case KERN_Q5_K: return FIELD((int)sizeof(struct block_q5_k));
    case KERN_Q6_K: return FIELD((int)sizeof(struct block_q6_k));
    case KERN_IQ4_NL: return FIELD((int)sizeof(struct block_iq4_nl));
    case KERN_IQ4_XS: return FIELD((int)sizeof(struct block_iq4_xs));
    default: return FIELD((int)sizeof(struct block_mxfp4));
    }
}

INLINE __m512i load64(const uint8_t *p) {
    return _mm512_loadu_si512(p);
}

INLINE __m512 load_halves(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* Low and high halves of 16 dwords, as floats. */
INLINE __m512 low_halves(__m512i v) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

INLINE __m512 high_halves(__m512i v) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(v, 16)));
}

/* Bits [shift, shift + 8) of every dword under a byte mask; shift may be negative. */
INLINE __m512i bits(__m512i v, int shift, int mask) {
    v = shift > 0 ? _mm512_srli_epi32(v, (unsigned)shift)
                  : shift < 0 ? _mm512_slli_epi32(v, (unsigned)-shift) : v;
    return _mm512_and_si512(v, _mm512_set1_epi8((char)mask));
}

/* a | (bits of b), the merge done by one ternary operation: a | (b & mask). */
INLINE __m512i merge(__m512i a, __m512i b, int shift, int mask) {
    b = shift > 0 ? _mm512_srli_epi32(b, (unsigned)shift)
                  : shift < 0 ? _mm512_slli_epi32(b, (unsigned)-shift) : b;
    return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi8((char)mask), 0xf8);
}

INLINE __m512i plus(__m512i v, int n) {
    return _mm512_add_epi8(v, _mm512_set1_epi8((char)n));
}

/* The scales of Q4_K and Q5_K: 8 of six bits, 8 minima. */
INLINE void unpack_scales_k(const uint8_t *p, struct unpack *u) {
    __m512i d = load64(p);
    __m512i a = load64(p + FIELD(4));
    __m512i b = load64(p + FIELD(8));
    __m512i c = load64(p + FIELD(12));
    u->d = low_halves(d);
    u->dmin = high_halves(d);
    u->scales[0] = bits(a, 0, 0x3f);
    u->scales[1] = merge(bits(c, 0, 0x0f), a, 2, 0x30);
    u->scales[2] = bits(b, 0, 0x3f);
    u->scales[3] = merge(bits(c, 4, 0x0f), b, 2, 0x30);
}

/* The 16 scales of Q3_K: six bits less 32. */
INLINE void unpack_scales_q3(const uint8_t *p, struct unpack *u) {
    __m512i a = load64(p);
    __m512i b = load64(p + FIELD(4));
    __m512i c = load64(p + FIELD(8));
    u->scales[0] = plus(merge(bits(a, 0, 0x0f), c, -4, 0x30), -32);
    u->scales[1] = plus(merge(bits(b, 0, 0x0f), c, -2, 0x30), -32);
    u->scales[2] = plus(merge(bits(a, 4, 0x0f), c, 0, 0x30), -32);
    u->scales[3] = plus(merge(bits(b, 4, 0x0f), c, 2, 0x30), -32);
}

/* Reads what the scales of a block need. */
INLINE void unpack_open(int type, const uint8_t *p, struct unpack *u) {
    switch (type) {
    case KERN_Q4_1:
    case KERN_Q5_1:
        u->d = low_halves(load64(p));
        u->dmin = high_halves(load64(p));
        break;
    case KERN_Q4_K:
    case KERN_Q5_K:
        unpack_scales_k(p, u);
        break;
    case KERN_Q2_K:
        for (int i = 0; i < 4; i++)
            u->scales[i] = load64(p + FIELD(4 * i));
        u->d = low_halves(load64(p + FIELD(80)));
        u->dmin = high_halves(load64(p + FIELD(80)));
        break;
    case KERN_Q3_K:
        unpack_scales_q3(p + FIELD(96), u);
        u->d = load_halves(p + FIELD(108));
        break;
    case KERN_Q6_K:
        for (int i = 0; i < 4; i++)
            u->scales[i] = load64(p + FIELD(192 + 4 * i));
        u->d = load_halves(p + FIELD(208));
        break;
    case KERN_IQ4_XS:
        u->scales[0] = load64(p);
        u->scales[1] = load64(p + FIELD(4));
        u->d = low_halves(u->scales[0]);
        break;
    case KERN_MXFP4: {
        __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
        __m512i two = _mm512_set1_epi32(2);
        __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
        __m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
        u->d = _mm512_castsi512_ps(
            _mm512_mask_blend_epi32(_mm512_cmplt_epu32_mask(e, two), normal, small));
        break;
    }
    default:
        u->d = load_halves(p);
    }
}

/* Byte i of every dword, zero- or sign-extended, as float. */
INLINE __m512 byte_float(__m512i v, int i) {
    v = i ? _mm512_srli_epi32(v, (unsigned)(8 * i)) : v;
    return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(0xff)));
}

INLINE __m512 signed_byte_float(__m512i v, int i) {
    v = i < 3 ? _mm512_slli_epi32(v, (unsigned)(24 - 8 * i)) : v;
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(v, 24));
}

INLINE __m512 nibble_float(__m512i v, int shift) {
    v = shift ? _mm512_srli_epi32(v, (unsigned)shift) : v;
    return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(15)));
}

/* The scale of group g (of 16 or 32) in the block. */
INLINE __m512 unpack_scale(int type, const struct unpack *u, int g) {
    switch (type) {
    case KERN_Q4_K:
    case KERN_Q5_K:
        return _mm512_mul_ps(u->d, byte_float(u->scales[g / 4], g % 4));
    case KERN_Q2_K:
        return _mm512_mul_ps(u->d, nibble_float(u->scales[g / 4], g % 4 * 8));
    case KERN_Q3_K:
    case KERN_Q6_K:
        return _mm512_mul_ps(u->d, signed_byte_float(u->scales[g / 4], g % 4));
    case KERN_IQ4_XS: {
        __m512i low = _mm512_srli_epi32(u->scales[1], (unsigned)(4 * g));
        __m512i high = _mm512_srli_epi32(u->scales[0], (unsigned)(12 + 2 * g));
        __m512i v = _mm512_and_si512(low, _mm512_set1_epi32(15));
        v = _mm512_ternarylogic_epi32(v, high, _mm512_set1_epi32(0x30), 0xf8);
        return _mm512_mul_ps(u->d, _mm512_cvtepi32_ps(_mm512_sub_epi32(v, _mm512_set1_epi32(32))));
    }
    default:
        return u->d;
    }
}

/* The minimum of group g, what is taken off. */
INLINE __m512 unpack_min(int type, const struct unpack *u, int g) {
    switch (type) {
    case KERN_Q4_K:
    case KERN_Q5_K:
        return _mm512_mul_ps(u->dmin, byte_float(u->scales[2 + g / 4], g % 4));
    case KERN_Q2_K:
        return _mm512_mul_ps(u->dmin, nibble_float(u->scales[g / 4], g % 4 * 8 + 4));
    default:
        return _mm512_xor_ps(u->dmin, _mm512_set1_ps(-0.0f));
    }
}

/* Four bits of every row's dword at bit `from`, spread over its four bytes, each at bit 4. */
INLINE __m512i spread_bits(__m512i v, int from) {
    /* byte i takes the eight bits from 32 * (i / 4) + i % 4 + from - 4 on, modulo 64 */
    uint64_t control = 0x2322212003020100 + 0x0101010101010101 * (uint64_t)(from + 60);
    return _mm512_multishift_epi64_epi8(_mm512_set1_epi64((long long)control), v);
}

/* Values of 4-bit types of 32: low halves are elements 0-15, high halves 16-31. */
INLINE __m512i nibbles(const uint8_t *qs, int dword) {
    return bits(load64(qs + 64 * (dword % 4)), dword < 4 ? 0 : 4, 0x0f);
}

INLINE __m512i table_values(const int8_t table[16], __m512i index) {
    __m128i t = _mm_loadu_si128((const __m128i *)(const void *)table);
    t = _mm_xor_si128(t, _mm_set1_epi8((char)0x80));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), index);
}

/* Elements 4 * dword .. + 3 of run `run`. */
INLINE __m512i unpack_values(int type, const uint8_t *p, int run, int dword) {
    __m512i v;
    __m512i h;
    switch (type) {
    case KERN_Q4_0:
        return plus(nibbles(p + FIELD(2), dword), 128 - 8);
    case KERN_Q4_1:
        return nibbles(p + FIELD(4), dword);
    case KERN_Q5_0:
        h = spread_bits(load64(p + FIELD(2)), 4 * dword);
        return plus(merge(nibbles(p + FIELD(6), dword), h, 0, 0x10), 128 - 16);
    case KERN_Q5_1:
        h = spread_bits(load64(p + FIELD(4)), 4 * dword);
        return merge(nibbles(p + FIELD(8), dword), h, 0, 0x10);
    case KERN_Q8_0:
        return _mm512_xor_si512(load64(p + FIELD(2 + 4 * dword)), _mm512_set1_epi8((char)0x80));
    case KERN_IQ4_NL:
        return table_values(block_iq4_table, nibbles(p + FIELD(2), dword));
    case KERN_MXFP4:
        return table_values(block_e2m1_table, nibbles(p + FIELD(1), dword));
    case KERN_IQ4_XS:
        return table_values(block_iq4_table, nibbles(p + FIELD(8 + 16 * run), dword));
    case KERN_Q2_K:
        return bits(load64(p + FIELD(16 + run / 4 * 32 + 4 * dword)), 2 * (run % 4), 3);
    case KERN_Q3_K:
        v = bits(load64(p + FIELD(32 + run / 4 * 32 + 4 * dword)), 2 * (run % 4), 3);
        return plus(merge(v, load64(p + FIELD(4 * dword)), run - 2, 4), 128 - 4);
    case KERN_Q4_K:
        return bits(load64(p + FIELD(16 + run / 2 * 32 + 4 * dword)), 4 * (run % 2), 0x0f);
    case KERN_Q5_K:
        v = bits(load64(p + FIELD(48 + run / 2 * 32 + 4 * dword)), 4 * (run % 2), 0x0f);
        return merge(v, load64(p + FIELD(16 + 4 * dword)), run - 4, 0x10);
    default:    /* Q6_K */
        v = bits(load64(p + FIELD(run / 4 * 64 + run % 2 * 32 + 4 * dword)),
                 run % 4 / 2 * 4, 0x0f);
        h = load64(p + FIELD(128 + run / 4 * 32 + 4 * dword));
        return plus(merge(v, h, 2 * (run % 4) - 4, 0x30), 128 - 32);
    }
}

#endif
