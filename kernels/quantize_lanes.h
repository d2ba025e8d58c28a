/* quantize_lanes.h - what kquant_lanes.h lacks for quantize_avx2.c and quantize_avx512.c
 *
 * Integers from floats and to bytes, the largest of a register, and the levels of IQ4.
 */
#ifndef QUANTIZE_LANES_H
#define QUANTIZE_LANES_H

#include "kernels/kquant_lanes.h"

/* Points halfway between the levels of block_iq4_table, as a binary heap: the middle one at 1, from
 * node i on to 2 i below it, to 2 i + 1 at it or above; leaf 16 + i is level i. Near such a point
 * the differences to both levels are exact, so that comparing x with it is comparing them. */
static const float iq4_halfway[16] = {0,       -4.5f, -57, 45.5f, -93.5f, -28.5f, 19, 79,
                                      -115.5f, -74,   -42, -16,   7,      31.5f,  61, 101};
static const float iq4_level[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};

#if defined(__AVX512F__)

/* Without the fraction; what is no int gives -2^31. */
ALWAYS i16 i16_cut(v16 x) { return _mm512_cvttps_epi32(x); }
/* The low byte of every lane. */
ALWAYS void i16_store_bytes(void *p, i16 a) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a));
}
ALWAYS int i16_most(i16 a) { return _mm512_reduce_max_epi32(a); }

typedef __m512i regi;
ALWAYS void i16_set_reg(i16 *x, int r, regi a) { x[r] = a; }

/* From the nodes i one down. A NaN counts as above. */
ALWAYS regi iq4_step(reg x, reg halfway, regi i) {
    __mmask16 above = _mm512_cmp_ps_mask(x, halfway, _CMP_NLT_UQ);
    i = _mm512_add_epi32(i, i);
    return _mm512_mask_add_epi32(i, above, i, _mm512_set1_epi32(1));
}

ALWAYS regi iq4_leaf(reg x) {
    const reg heap = _mm512_loadu_ps(iq4_halfway);
    regi i = iq4_step(x, reg_set1(iq4_halfway[1]), _mm512_set1_epi32(1));
    i = iq4_step(x, _mm512_permutexvar_ps(i, heap), i);
    i = iq4_step(x, _mm512_permutexvar_ps(i, heap), i);
    return iq4_step(x, _mm512_permutexvar_ps(i, heap), i);
}

/* The level nearest to x, and its index. */
ALWAYS reg reg_iq4_level(reg x) {
    return _mm512_permutexvar_ps(iq4_leaf(x), _mm512_loadu_ps(iq4_level));
}
ALWAYS regi reg_iq4_code(reg x) {
    return _mm512_and_si512(iq4_leaf(x), _mm512_set1_epi32(15));
}

#else /* AVX2 */

ALWAYS i16 i16_cut(v16 x) {
    return (i16){_mm256_cvttps_epi32(x.lo), _mm256_cvttps_epi32(x.hi)};
}
ALWAYS void i16_store_bytes(void *p, i16 a) {
    a = i16_and(a, i16_set1(255));
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xd8);
    _mm_storeu_si128((__m128i *)p, _mm_packus_epi16(_mm256_castsi256_si128(words),
                                                    _mm256_extracti128_si256(words, 1)));
}
ALWAYS int i16_most(i16 a) {
    __m256i y = _mm256_max_epi32(a.lo, a.hi);
    __m128i z = _mm_max_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
    z = _mm_max_epi32(z, _mm_shuffle_epi32(z, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(z, _mm_shuffle_epi32(z, 0xb1)));
}

typedef __m256i regi;
ALWAYS void i16_set_reg(i16 *x, int r, regi a) { *(r ? &x->hi : &x->lo) = a; }

/* From the nodes i one down. A NaN counts as above. */
ALWAYS regi iq4_step(reg x, reg halfway, regi i) {
    regi above = _mm256_castps_si256(_mm256_cmp_ps(x, halfway, _CMP_NLT_UQ));
    return _mm256_sub_epi32(_mm256_add_epi32(i, i), above);
}

/* A node of the third row below the top; lookups take the low three bits of i. */
ALWAYS regi iq4_node(reg x) {
    const reg heap = _mm256_loadu_ps(iq4_halfway);
    regi i = iq4_step(x, reg_set1(iq4_halfway[1]), _mm256_set1_epi32(1));
    i = iq4_step(x, _mm256_permutevar8x32_ps(heap, i), i);
    return iq4_step(x, _mm256_permutevar8x32_ps(heap, i), i);
}

ALWAYS regi iq4_leaf(reg x) {
    regi i = iq4_node(x);
    return iq4_step(x, _mm256_permutevar8x32_ps(_mm256_loadu_ps(iq4_halfway + 8), i), i);
}

/* The level nearest to x, and its index. */
ALWAYS reg reg_iq4_level(reg x) {
    const reg below = _mm256_setr_ps(-127, -83, -49, -22, 1, 25, 53, 89);
    const reg above = _mm256_setr_ps(-104, -65, -35, -10, 13, 38, 69, 113);
    regi i = iq4_node(x);
    reg halfway = _mm256_permutevar8x32_ps(_mm256_loadu_ps(iq4_halfway + 8), i);
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(below, i),
                            _mm256_permutevar8x32_ps(above, i),
                            _mm256_cmp_ps(x, halfway, _CMP_NLT_UQ));
}
ALWAYS regi reg_iq4_code(reg x) {
    return _mm256_and_si256(iq4_leaf(x), _mm256_set1_epi32(15));
}

#endif

/* ---- both ---------------------------------------------------------------------------------- */

ALWAYS i16 i16_iq4_code(v16 x) {
    i16 code;
#pragma GCC unroll 2
    for (int r = 0; r < REGS; r++)
        i16_set_reg(&code, r, reg_iq4_code(v16_reg(&x, r)));
    return code;
}

/* Halves away from zero, as an integer: the largest float below one half is added. */
ALWAYS i16 i16_round(v16 x) {
    return i16_cut(v16_add(x, v16_copysign(v16_set1(0x1.fffffep-2f), x)));
}

#endif
