/* lanes_avx2.h - the register operations of unpack.h with 256 bits: 8 rows at once */
#ifndef LANES_H
#define LANES_H

#include <immintrin.h>

#include "kernels/qmm.h"

#define PARTS 2                 /* registers a panel */

typedef __m256i ints;
typedef __m256 floats;

/* A field's unit of the panel's rows: dwords, halves as floats, exponent bytes of MXFP4. */
INLINE ints lanes_dwords(const uint8_t *p, int part) {
    return _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * part));
}

INLINE floats lanes_halves(const uint8_t *p, int part) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * part)));
}

INLINE floats lanes_exponents(const uint8_t *p, int part) {
    p += 8 * part;
    __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
    __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
    __m256i tiny = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, small, tiny));
}

/* The low and the high 16 bits of every dword, halves as floats. */
INLINE floats lanes_low_halves(ints v) {
    v = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    __m128i low = _mm256_castsi256_si128(v);
    return _mm256_cvtph_ps(_mm_packus_epi32(low, _mm256_extracti128_si256(v, 1)));
}

INLINE floats lanes_high_halves(ints v) {
    return lanes_low_halves(_mm256_srli_epi32(v, 16));
}

INLINE ints lanes_byte(int n) {
    return _mm256_set1_epi8((char)n);
}

INLINE ints lanes_dword(int n) {
    return _mm256_set1_epi32(n);
}

INLINE ints lanes_right(ints v, int n) {
    return _mm256_srli_epi32(v, n);
}

INLINE ints lanes_right_signed(ints v, int n) {
    return _mm256_srai_epi32(v, n);
}

INLINE ints lanes_left(ints v, int n) {
    return _mm256_slli_epi32(v, n);
}

INLINE ints lanes_and(ints a, ints b) {
    return _mm256_and_si256(a, b);
}

INLINE ints lanes_xor(ints a, ints b) {
    return _mm256_xor_si256(a, b);
}

/* a | (b & mask) */
INLINE ints lanes_or_and(ints a, ints b, ints mask) {
    return _mm256_or_si256(a, _mm256_and_si256(b, mask));
}

INLINE ints lanes_add_bytes(ints a, ints b) {
    return _mm256_add_epi8(a, b);
}

INLINE ints lanes_sub(ints a, ints b) {
    return _mm256_sub_epi32(a, b);
}

INLINE floats lanes_to_floats(ints v) {
    return _mm256_cvtepi32_ps(v);
}

INLINE floats lanes_mul(floats a, floats b) {
    return _mm256_mul_ps(a, b);
}

INLINE floats lanes_negate(floats v) {
    return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f));
}

/* table[index] + 128 in every byte. */
INLINE ints lanes_lookup_128(const int8_t table[16], ints index) {
    __m128i t = _mm_loadu_si128((const __m128i *)(const void *)table);
    t = _mm_xor_si128(t, _mm_set1_epi8((char)0x80));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}

/* Bits from .. from + 3 of every dword, spread over its bytes, each at bit 4; other bits are
 * left undefined. */
INLINE ints lanes_spread(ints v, int from) {
    __m256i byte = _mm256_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0x00000000,
                                    0x0c0c0c0c, 0x08080808, 0x04040404, 0x00000000);
    __m256i bit = _mm256_set1_epi32(0x08040201);
    v = _mm256_shuffle_epi8(from ? _mm256_srli_epi32(v, from) : v, byte);
    return _mm256_cmpeq_epi8(_mm256_and_si256(v, bit), bit);
}

#endif
