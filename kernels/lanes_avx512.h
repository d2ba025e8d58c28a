/* lanes_avx512.h - the register operations of unpack.h with 512 bits: 16 rows at once */
#ifndef LANES_H
#define LANES_H

#include <immintrin.h>

#include "kernels/qmm.h"

#define PARTS 1                 /* registers a panel */

typedef __m512i ints;
typedef __m512 floats;

/* A field's unit of the panel's rows: dwords, halves as floats, exponent bytes of MXFP4. */
INLINE ints lanes_dwords(const uint8_t *p, int part) {
    return _mm512_loadu_si512(p + 64 * part);
}

INLINE floats lanes_halves(const uint8_t *p, int part) {
    p += 32 * part;
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

INLINE floats lanes_exponents(const uint8_t *p, int part) {
    p += 16 * part;
    __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    __m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
    __mmask16 tiny = _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2));
    return _mm512_castsi512_ps(_mm512_mask_blend_epi32(tiny, normal, small));
}

/* The low and the high 16 bits of every dword, halves as floats. */
INLINE floats lanes_low_halves(ints v) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

INLINE floats lanes_high_halves(ints v) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(v, 16)));
}

INLINE ints lanes_byte(int n) {
    return _mm512_set1_epi8((char)n);
}

INLINE ints lanes_dword(int n) {
    return _mm512_set1_epi32(n);
}

INLINE ints lanes_right(ints v, int n) {
    return _mm512_srli_epi32(v, (unsigned)n);
}

INLINE ints lanes_right_signed(ints v, int n) {
    return _mm512_srai_epi32(v, (unsigned)n);
}

INLINE ints lanes_left(ints v, int n) {
    return _mm512_slli_epi32(v, (unsigned)n);
}

INLINE ints lanes_and(ints a, ints b) {
    return _mm512_and_si512(a, b);
}

INLINE ints lanes_xor(ints a, ints b) {
    return _mm512_xor_si512(a, b);
}

/* a | (b & mask) */
INLINE ints lanes_or_and(ints a, ints b, ints mask) {
    return _mm512_ternarylogic_epi32(a, b, mask, 0xf8);
}

INLINE ints lanes_add_bytes(ints a, ints b) {
    return _mm512_add_epi8(a, b);
}

INLINE ints lanes_sub(ints a, ints b) {
    return _mm512_sub_epi32(a, b);
}

INLINE floats lanes_to_floats(ints v) {
    return _mm512_cvtepi32_ps(v);
}

INLINE floats lanes_mul(floats a, floats b) {
    return _mm512_mul_ps(a, b);
}

INLINE floats lanes_negate(floats v) {
    return _mm512_xor_ps(v, _mm512_set1_ps(-0.0f));
}

/* table[index] + 128 in every byte. */
INLINE ints lanes_lookup_128(const int8_t table[16], ints index) {
    __m128i t = _mm_loadu_si128((const __m128i *)(const void *)table);
    t = _mm_xor_si128(t, _mm_set1_epi8((char)0x80));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), index);
}

/* Bits from .. from + 3 of every dword, spread over its bytes, each at bit 4; other bits are
 * left undefined. */
INLINE ints lanes_spread(ints v, int from) {
    /* byte i takes the eight bits from 32 * (i / 4) + i % 4 + from - 4 on, modulo 64 */
    uint64_t control = 0x2322212003020100 + 0x0101010101010101 * (uint64_t)(from + 60);
    return _mm512_multishift_epi64_epi8(_mm512_set1_epi64((long long)control), v);
}

#endif
