/* kquant_lanes.h - what simd.h lacks for searches in lanes: masks, integers, transposition
 *
 * Sixteen lanes as there: one register of AVX-512 or two of AVX2. Comparisons with a NaN are false.
 */
#ifndef KQUANT_LANES_H
#define KQUANT_LANES_H

#include "kernels/kquant_form.h"
#include "kernels/simd.h"

#if defined(__AVX512F__)

typedef __mmask16 m16;
typedef __m512i i16;

ALWAYS v16 v16_min(v16 a, v16 b) { return _mm512_min_ps(a, b); }
ALWAYS v16 v16_sqrt(v16 a) { return _mm512_sqrt_ps(a); }
ALWAYS m16 v16_lt(v16 a, v16 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
ALWAYS m16 v16_le(v16 a, v16 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
ALWAYS m16 v16_eq(v16 a, v16 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
/* m ? a : b in each lane. */
ALWAYS v16 v16_select(m16 m, v16 a, v16 b) { return _mm512_mask_mov_ps(b, m, a); }

/* A register on its own, for loops that would not fit into AVX2's sixteen with two at once. */
typedef __m512 reg;
#define REGS 1
ALWAYS reg v16_reg(const v16 *x, int r) { return x[r]; }
ALWAYS void v16_set_reg(v16 *x, int r, reg a) { x[r] = a; }
ALWAYS reg reg_set1(float x) { return _mm512_set1_ps(x); }
ALWAYS reg reg_min(reg a, reg b) { return _mm512_min_ps(a, b); }
ALWAYS reg reg_max(reg a, reg b) { return _mm512_max_ps(a, b); }
ALWAYS reg reg_abs(reg a) { return _mm512_abs_ps(a); }

ALWAYS m16 m16_and(m16 a, m16 b) { return (m16)(a & b); }
ALWAYS m16 m16_or(m16 a, m16 b) { return (m16)(a | b); }
ALWAYS m16 m16_not(m16 a) { return (m16)~a; }
ALWAYS m16 m16_none(void) { return 0; }
/* Bit i is lane i. */
ALWAYS unsigned m16_bits(m16 a) { return a; }

ALWAYS i16 i16_set1(int x) { return _mm512_set1_epi32(x); }
ALWAYS i16 i16_and(i16 a, i16 b) { return _mm512_and_si512(a, b); }
ALWAYS i16 i16_or(i16 a, i16 b) { return _mm512_or_si512(a, b); }
ALWAYS i16 i16_add(i16 a, i16 b) { return _mm512_add_epi32(a, b); }
ALWAYS i16 i16_sub(i16 a, i16 b) { return _mm512_sub_epi32(a, b); }
ALWAYS i16 i16_min(i16 a, i16 b) { return _mm512_min_epi32(a, b); }
ALWAYS i16 i16_max(i16 a, i16 b) { return _mm512_max_epi32(a, b); }
ALWAYS i16 i16_left(i16 a, const int n) { return _mm512_slli_epi32(a, (unsigned)n); }
ALWAYS m16 i16_gt(i16 a, i16 b) { return _mm512_cmpgt_epi32_mask(a, b); }
ALWAYS m16 i16_eq(i16 a, i16 b) { return _mm512_cmpeq_epi32_mask(a, b); }
ALWAYS i16 i16_select(m16 m, i16 a, i16 b) { return _mm512_mask_mov_epi32(b, m, a); }
ALWAYS i16 i16_bits(v16 x) { return _mm512_castps_si512(x); }
ALWAYS v16 i16_floats(i16 a) { return _mm512_cvtepi32_ps(a); }
ALWAYS v16 v16_bits(i16 a) { return _mm512_castsi512_ps(a); }

/* x[i] lane j becomes x[j] lane i. */
ALWAYS void v16_transpose(v16 x[16]) {
    v16 y[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(x[i], x[i + 1]));
        __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(x[i], x[i + 1]));
        __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(x[i + 2], x[i + 3]));
        __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(x[i + 2], x[i + 3]));
        y[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        y[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        y[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        y[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {                   /* quarters of y[i], y[i + 4], ... */
        v16 a = _mm512_shuffle_f32x4(y[i], y[i + 4], 0x88);
        v16 b = _mm512_shuffle_f32x4(y[i + 8], y[i + 12], 0x88);
        v16 c = _mm512_shuffle_f32x4(y[i], y[i + 4], 0xdd);
        v16 d = _mm512_shuffle_f32x4(y[i + 8], y[i + 12], 0xdd);
        x[i] = _mm512_shuffle_f32x4(a, b, 0x88);
        x[i + 4] = _mm512_shuffle_f32x4(c, d, 0x88);
        x[i + 8] = _mm512_shuffle_f32x4(a, b, 0xdd);
        x[i + 12] = _mm512_shuffle_f32x4(c, d, 0xdd);
    }
}

#else /* AVX2 */

/* All ones or all zeros in a lane. */
typedef v16 m16;
typedef struct {
    __m256i lo, hi;
} i16;

ALWAYS v16 v16_min(v16 a, v16 b) {
    return (v16){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
ALWAYS v16 v16_sqrt(v16 a) { return (v16){_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
ALWAYS m16 v16_lt(v16 a, v16 b) {
    return (m16){_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)};
}
ALWAYS m16 v16_le(v16 a, v16 b) {
    return (m16){_mm256_cmp_ps(a.lo, b.lo, _CMP_LE_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LE_OQ)};
}
ALWAYS m16 v16_eq(v16 a, v16 b) {
    return (m16){_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ)};
}
/* m ? a : b in each lane. */
ALWAYS v16 v16_select(m16 m, v16 a, v16 b) {
    return (v16){_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
}

/* A register on its own, for loops that would not fit into AVX2's sixteen with two at once. */
typedef __m256 reg;
#define REGS 2
ALWAYS reg v16_reg(const v16 *x, int r) { return r ? x->hi : x->lo; }
ALWAYS void v16_set_reg(v16 *x, int r, reg a) { *(r ? &x->hi : &x->lo) = a; }
ALWAYS reg reg_set1(float x) { return _mm256_set1_ps(x); }
ALWAYS reg reg_min(reg a, reg b) { return _mm256_min_ps(a, b); }
ALWAYS reg reg_max(reg a, reg b) { return _mm256_max_ps(a, b); }
ALWAYS reg reg_abs(reg a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }

ALWAYS m16 m16_and(m16 a, m16 b) {
    return (m16){_mm256_and_ps(a.lo, b.lo), _mm256_and_ps(a.hi, b.hi)};
}
ALWAYS m16 m16_or(m16 a, m16 b) {
    return (m16){_mm256_or_ps(a.lo, b.lo), _mm256_or_ps(a.hi, b.hi)};
}
ALWAYS m16 m16_none(void) { return (m16){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
ALWAYS m16 m16_not(m16 a) {
    __m256 ones = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    return (m16){_mm256_xor_ps(a.lo, ones), _mm256_xor_ps(a.hi, ones)};
}
/* Bit i is lane i. */
ALWAYS unsigned m16_bits(m16 a) {
    return (unsigned)_mm256_movemask_ps(a.lo) | (unsigned)_mm256_movemask_ps(a.hi) << 8;
}

ALWAYS i16 i16_set1(int x) { return (i16){_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
ALWAYS i16 i16_and(i16 a, i16 b) {
    return (i16){_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
ALWAYS i16 i16_or(i16 a, i16 b) {
    return (i16){_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
ALWAYS i16 i16_add(i16 a, i16 b) {
    return (i16){_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
ALWAYS i16 i16_sub(i16 a, i16 b) {
    return (i16){_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
}
ALWAYS i16 i16_min(i16 a, i16 b) {
    return (i16){_mm256_min_epi32(a.lo, b.lo), _mm256_min_epi32(a.hi, b.hi)};
}
ALWAYS i16 i16_max(i16 a, i16 b) {
    return (i16){_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)};
}
ALWAYS i16 i16_left(i16 a, const int n) {
    return (i16){_mm256_slli_epi32(a.lo, n), _mm256_slli_epi32(a.hi, n)};
}
ALWAYS i16 i16_bits(v16 x) {
    return (i16){_mm256_castps_si256(x.lo), _mm256_castps_si256(x.hi)};
}
ALWAYS v16 v16_bits(i16 a) {
    return (v16){_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)};
}
ALWAYS v16 i16_floats(i16 a) {
    return (v16){_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
ALWAYS m16 i16_gt(i16 a, i16 b) {
    return v16_bits((i16){_mm256_cmpgt_epi32(a.lo, b.lo), _mm256_cmpgt_epi32(a.hi, b.hi)});
}
ALWAYS m16 i16_eq(i16 a, i16 b) {
    return v16_bits((i16){_mm256_cmpeq_epi32(a.lo, b.lo), _mm256_cmpeq_epi32(a.hi, b.hi)});
}
ALWAYS i16 i16_select(m16 m, i16 a, i16 b) {
    return i16_bits(v16_select(m, v16_bits(a), v16_bits(b)));
}

ALWAYS void transpose8(__m256 x[8]) {
    __m256 y[8];
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(x[i], x[i + 1]));
        __m256d b = _mm256_castps_pd(_mm256_unpackhi_ps(x[i], x[i + 1]));
        __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(x[i + 2], x[i + 3]));
        __m256d d = _mm256_castps_pd(_mm256_unpackhi_ps(x[i + 2], x[i + 3]));
        y[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
        y[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
        y[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
        y[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        x[i] = _mm256_permute2f128_ps(y[i], y[i + 4], 0x20);
        x[i + 4] = _mm256_permute2f128_ps(y[i], y[i + 4], 0x31);
    }
}

/* x[i] lane j becomes x[j] lane i. */
ALWAYS void v16_transpose(v16 x[16]) {
    __m256 a[8];
    __m256 b[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        a[i] = x[i].lo;
        b[i] = x[i + 8].hi;
    }
    transpose8(a);
    transpose8(b);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        x[i].lo = a[i];
        x[i + 8].hi = b[i];
        a[i] = x[i].hi;
        b[i] = x[i + 8].lo;
    }
    transpose8(a);
    transpose8(b);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        x[i + 8].lo = a[i];
        x[i].hi = b[i];
    }
}

#endif

/* ---- both ------------------------------------------------------------------------------- */

/* As kquant_nearest, for every x. */
ALWAYS i16 i16_nearest(v16 x) {
    i16 bits = i16_bits(v16_add(x, v16_set1(KQUANT_MAGIC)));
    return i16_sub(i16_and(bits, i16_set1(0x007fffff)), i16_set1(0x00400000));
}

/* The same between lo and hi, as a float, for |x| < 2^22 alone; the bounds come with the magic
 * number added. */
ALWAYS reg reg_nearest_in(reg x, reg lo, reg hi) {
    reg magic = reg_set1(KQUANT_MAGIC);
    return reg_min(reg_max(x + magic, lo), hi) - magic;
}

ALWAYS v16 v16_nearest_in(v16 x, v16 lo, v16 hi) {
    v16 magic = v16_set1(KQUANT_MAGIC);
    return v16_sub(v16_min(v16_max(v16_add(x, magic), lo), hi), magic);
}

ALWAYS i16 i16_clamp(i16 x, int lo, int hi) {
    return i16_max(i16_min(x, i16_set1(hi)), i16_set1(lo));
}

ALWAYS v16 v16_zero(void) { return v16_set1(0); }

/* a * b + c, rounded twice. */
ALWAYS v16 v16_mul_add(v16 a, v16 b, v16 c) { return v16_add(v16_mul(a, b), c); }

#endif
