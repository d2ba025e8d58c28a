/* simd.h - sixteen floats at once, for AVX2 and AVX-512, and the functions of vmath.h on them
 *
 * A v16 is one register of AVX-512 or two of AVX2, so that the *_simd.h are written once and give
 * the same bits on both. Included by files compiled for one of them.
 */
#ifndef SIMD_H
#define SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/vmath.h"

#define ALWAYS static inline __attribute__((always_inline))

#if defined(__AVX512F__)

typedef __m512 v16;

static inline v16 v16_set1(float x) { return _mm512_set1_ps(x); }
static inline v16 v16_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v16_store(float *p, v16 x) { _mm512_storeu_ps(p, x); }
static inline v16 v16_add(v16 a, v16 b) { return _mm512_add_ps(a, b); }
static inline v16 v16_sub(v16 a, v16 b) { return _mm512_sub_ps(a, b); }
static inline v16 v16_mul(v16 a, v16 b) { return _mm512_mul_ps(a, b); }
static inline v16 v16_div(v16 a, v16 b) { return _mm512_div_ps(a, b); }
static inline v16 v16_abs(v16 a) { return _mm512_abs_ps(a); }
/* a * b + c, rounded once. */
static inline v16 v16_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
/* a > b ? a : b in each lane, so b when one is a NaN. */
static inline v16 v16_max(v16 a, v16 b) { return _mm512_max_ps(a, b); }
/* x < 0 ? a : b in each lane. */
static inline v16 v16_if_negative(v16 x, v16 a, v16 b) {
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), a);
}
static inline v16 v16_copysign(v16 a, v16 sign) {
    return _mm512_or_ps(v16_abs(a), _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)));
}

/* The first n (0..16) floats at p, then `rest`. */
static inline v16 v16_load_n(const float *p, int n, float rest) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(rest), (__mmask16)((1u << n) - 1), p);
}
static inline void v16_store_n(float *p, int n, v16 x) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}
/* Lanes [first, last) of x, elsewhere -infinity; 0 <= first, last <= 16. */
static inline v16 v16_only(v16 x, int first, int last) {
    __mmask16 keep = (__mmask16)(((1u << last) - 1) & ~((1u << first) - 1));
    return _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), keep, x);
}

/* 2^n, where n stands in the low bits of t (see vmath_exp_parts). */
static inline v16 v16_scale_of(v16 t) {
    __m512i bits = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(0x3f800000)));
}

static inline v16 v16_load_half(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline void v16_store_half(uint16_t *p, v16 x) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
static inline v16 v16_load_int8(const int8_t *p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
/* To nearest, ties to even; |x| <= 127. */
static inline void v16_store_int8(int8_t *p, v16 x) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

static inline __m256 v16_low(v16 x) { return _mm512_castps512_ps256(x); }
static inline __m256 v16_high(v16 x) { return _mm512_extractf32x8_ps(x, 1); }

/* Even and odd elements of the 32 in a, b; and back. */
static inline void v16_unzip(v16 a, v16 b, v16 *even, v16 *odd) {
    __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *even = _mm512_permutex2var_ps(a, e, b);
    *odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(e, _mm512_set1_epi32(1)), b);
}
static inline void v16_zip(v16 even, v16 odd, v16 *a, v16 *b) {
    __m512i i = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *a = _mm512_permutex2var_ps(even, i, odd);
    *b = _mm512_permutex2var_ps(even, _mm512_add_epi32(i, _mm512_set1_epi32(8)), odd);
}

/* Sixteen doubles. */
typedef struct {
    __m512d lo, hi;
} d16;

static inline d16 d16_zero(void) { return (d16){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
static inline d16 d16_add(d16 d, v16 x) {
    return (d16){_mm512_add_pd(d.lo, _mm512_cvtps_pd(v16_low(x))),
                 _mm512_add_pd(d.hi, _mm512_cvtps_pd(v16_high(x)))};
}
/* d + x^2; the square of a float is exact in a double. */
static inline d16 d16_add_square(d16 d, v16 x) {
    __m512d lo = _mm512_cvtps_pd(v16_low(x));
    __m512d hi = _mm512_cvtps_pd(v16_high(x));
    return (d16){_mm512_fmadd_pd(lo, lo, d.lo), _mm512_fmadd_pd(hi, hi, d.hi)};
}
static inline double d16_sum(d16 d) {
    double lane[16];
    _mm512_storeu_pd(lane, d.lo);
    _mm512_storeu_pd(lane + 8, d.hi);
    return vmath_sum16d(lane);
}

#else /* AVX2 */

typedef struct {
    __m256 lo, hi;
} v16;

static inline v16 v16_set1(float x) { return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline v16 v16_load(const float *p) {
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
static inline void v16_store(float *p, v16 x) {
    _mm256_storeu_ps(p, x.lo);
    _mm256_storeu_ps(p + 8, x.hi);
}
static inline v16 v16_add(v16 a, v16 b) {
    return (v16){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
static inline v16 v16_sub(v16 a, v16 b) {
    return (v16){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
static inline v16 v16_mul(v16 a, v16 b) {
    return (v16){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
static inline v16 v16_div(v16 a, v16 b) {
    return (v16){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
static inline v16 v16_abs(v16 a) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (v16){_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
/* a * b + c, rounded once. */
static inline v16 v16_fma(v16 a, v16 b, v16 c) {
    return (v16){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
/* a > b ? a : b in each lane, so b when one is a NaN. */
static inline v16 v16_max(v16 a, v16 b) {
    return (v16){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
/* x < 0 ? a : b in each lane. */
static inline v16 v16_if_negative(v16 x, v16 a, v16 b) {
    __m256 zero = _mm256_setzero_ps();
    return (v16){_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, zero, _CMP_LT_OQ)),
                 _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, zero, _CMP_LT_OQ))};
}
static inline v16 v16_copysign(v16 a, v16 sign) {
    __m256 bit = _mm256_set1_ps(-0.0f);
    v16 b = v16_abs(a);
    return (v16){_mm256_or_ps(b.lo, _mm256_and_ps(sign.lo, bit)),
                 _mm256_or_ps(b.hi, _mm256_and_ps(sign.hi, bit))};
}

/* The first n (0..16) floats at p, then `rest`. */
static inline v16 v16_load_n(const float *p, int n, float rest) {
    float x[16];
    for (int i = 0; i < 16; i++)
        x[i] = i < n ? p[i] : rest;
    return v16_load(x);
}
static inline void v16_store_n(float *p, int n, v16 x) {
    float y[16];
    v16_store(y, x);
    memcpy(p, y, (size_t)n * sizeof *p);
}
/* Lanes [first, last) of x, elsewhere -infinity; 0 <= first, last <= 16. */
static inline v16 v16_only(v16 x, int first, int last) {
    float y[16];
    v16_store(y, x);
    for (int i = 0; i < 16; i++)
        y[i] = i >= first && i < last ? y[i] : -INFINITY;
    return v16_load(y);
}

/* 2^n, where n stands in the low bits of t (see vmath_exp_parts). */
static inline v16 v16_scale_of(v16 t) {
    __m256i one = _mm256_set1_epi32(0x3f800000);
    __m256i lo = _mm256_slli_epi32(_mm256_castps_si256(t.lo), 23);
    __m256i hi = _mm256_slli_epi32(_mm256_castps_si256(t.hi), 23);
    return (v16){_mm256_castsi256_ps(_mm256_add_epi32(lo, one)),
                 _mm256_castsi256_ps(_mm256_add_epi32(hi, one))};
}

static inline v16 v16_load_half(const uint16_t *p) {
    const __m128i *q = (const __m128i *)(const void *)p;
    return (v16){_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
}
static inline void v16_store_half(uint16_t *p, v16 x) {
    __m128i *q = (__m128i *)(void *)p;
    _mm_storeu_si128(q, _mm256_cvtps_ph(x.lo, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(q + 1, _mm256_cvtps_ph(x.hi, _MM_FROUND_TO_NEAREST_INT));
}
static inline v16 v16_load_int8(const int8_t *p) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (v16){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
                 _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(x, x)))};
}
/* To nearest, ties to even; |x| <= 127. */
static inline void v16_store_int8(int8_t *p, v16 x) {
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi));
    words = _mm256_permute4x64_epi64(words, 0xd8);
    __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words),
                                    _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(void *)p, bytes);
}

static inline __m256 v16_low(v16 x) { return x.lo; }
static inline __m256 v16_high(v16 x) { return x.hi; }

/* Even and odd elements of the 32 in a, b; and back. */
static inline __m256 pick(__m256 a, __m256 b, int odd) {
    __m256 x = odd ? _mm256_shuffle_ps(a, b, 0xdd) : _mm256_shuffle_ps(a, b, 0x88);
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x), 0xd8));
}
static inline void v16_unzip(v16 a, v16 b, v16 *even, v16 *odd) {
    *even = (v16){pick(a.lo, a.hi, 0), pick(b.lo, b.hi, 0)};
    *odd = (v16){pick(a.lo, a.hi, 1), pick(b.lo, b.hi, 1)};
}
static inline v16 interleave(__m256 even, __m256 odd) {
    __m256 x = _mm256_unpacklo_ps(even, odd);
    __m256 y = _mm256_unpackhi_ps(even, odd);
    return (v16){_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31)};
}
static inline void v16_zip(v16 even, v16 odd, v16 *a, v16 *b) {
    *a = interleave(even.lo, odd.lo);
    *b = interleave(even.hi, odd.hi);
}

/* Sixteen doubles. */
typedef struct {
    __m256d part[4];
} d16;

static inline d16 d16_zero(void) {
    __m256d z = _mm256_setzero_pd();
    return (d16){{z, z, z, z}};
}
static inline d16 to_doubles(v16 x) {
    return (d16){{_mm256_cvtps_pd(_mm256_castps256_ps128(x.lo)),
                  _mm256_cvtps_pd(_mm256_extractf128_ps(x.lo, 1)),
                  _mm256_cvtps_pd(_mm256_castps256_ps128(x.hi)),
                  _mm256_cvtps_pd(_mm256_extractf128_ps(x.hi, 1))}};
}
static inline d16 d16_add(d16 d, v16 x) {
    d16 y = to_doubles(x);
    for (int i = 0; i < 4; i++)
        d.part[i] = _mm256_add_pd(d.part[i], y.part[i]);
    return d;
}
/* d + x^2; the square of a float is exact in a double. */
static inline d16 d16_add_square(d16 d, v16 x) {
    d16 y = to_doubles(x);
    for (int i = 0; i < 4; i++)
        d.part[i] = _mm256_fmadd_pd(y.part[i], y.part[i], d.part[i]);
    return d;
}
static inline double d16_sum(d16 d) {
    double lane[16];
    for (int i = 0; i < 4; i++)
        _mm256_storeu_pd(lane + 4 * i, d.part[i]);
    return vmath_sum16d(lane);
}

#endif

/* ---- both ------------------------------------------------------------------------------- */

/* The order of vmath_sum16. */
static inline float v16_sum(v16 x) {
    __m256 y = _mm256_add_ps(v16_low(x), v16_high(x));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

static inline float v16_max_of(v16 x) {
    __m256 y = _mm256_max_ps(v16_low(x), v16_high(x));
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}

/* The functions of vmath.h; their comments hold here. */
static inline v16 v16_exp_parts(v16 x, v16 *scale) {
    x = v16_max(v16_set1(VMATH_EXP_MIN), x);
    v16 t = v16_fma(x, v16_set1(VMATH_LOG2E), v16_set1(VMATH_ROUND));
    v16 n = v16_sub(t, v16_set1(VMATH_ROUND));
    v16 r = v16_fma(n, v16_set1(-VMATH_LN2_HI), x);
    r = v16_fma(n, v16_set1(-VMATH_LN2_LO), r);
    *scale = v16_scale_of(t);
    v16 p = v16_fma(v16_set1(VMATH_EXP_C6), r, v16_set1(VMATH_EXP_C5));
    p = v16_fma(p, r, v16_set1(VMATH_EXP_C4));
    p = v16_fma(p, r, v16_set1(VMATH_EXP_C3));
    p = v16_fma(p, r, v16_set1(VMATH_EXP_C2));
    return v16_fma(p, v16_mul(r, r), r);
}

static inline v16 v16_exp(v16 x) {
    v16 scale;
    v16 p = v16_exp_parts(x, &scale);
    return v16_fma(scale, p, scale);
}

static inline v16 v16_sigmoid(v16 x) {
    v16 one = v16_set1(1);
    v16 e = v16_exp(v16_sub(v16_set1(0), v16_abs(x)));
    return v16_div(v16_if_negative(x, e, one), v16_add(one, e));
}

static inline v16 v16_tanh(v16 x) {
    v16 scale;
    v16 p = v16_exp_parts(v16_mul(v16_set1(-2), v16_abs(x)), &scale);
    v16 e1 = v16_fma(scale, p, v16_sub(scale, v16_set1(1)));
    return v16_copysign(v16_div(e1, v16_add(v16_set1(2), e1)), x);
}

static inline v16 v16_gelu_tanh(v16 x) {
    v16 u = v16_fma(v16_mul(x, x), v16_set1(VMATH_GELU_B), v16_set1(VMATH_GELU_A));
    return v16_mul(x, v16_sigmoid(v16_mul(x, u)));
}

static inline v16 v16_gelu_erf(v16 x) {
    v16 one = v16_set1(1);
    v16 z = v16_mul(v16_abs(x), v16_set1(VMATH_SQRT_HALF));
    v16 minus_a = v16_sub(v16_set1(0), v16_mul(z, z));
    v16 b = v16_fma(z, z, minus_a);
    v16 t = v16_div(one, v16_fma(z, v16_set1(VMATH_ERFC_P), one));
    v16 p = v16_fma(v16_set1(VMATH_ERFC_E8), t, v16_set1(VMATH_ERFC_E7));
    p = v16_fma(p, t, v16_set1(VMATH_ERFC_E6));
    p = v16_fma(p, t, v16_set1(VMATH_ERFC_E5));
    p = v16_fma(p, t, v16_set1(VMATH_ERFC_E4));
    p = v16_fma(p, t, v16_set1(VMATH_ERFC_E3));
    p = v16_fma(p, t, v16_set1(VMATH_ERFC_E2));
    p = v16_fma(p, t, v16_set1(VMATH_ERFC_E1));
    p = v16_fma(p, t, v16_set1(VMATH_ERFC_E0));
    v16 e = v16_exp(minus_a);
    v16 tail = v16_fma(v16_sub(v16_set1(0), b), e, e);
    v16 half = v16_mul(v16_set1(0.5f), v16_mul(v16_mul(p, t), tail));
    return v16_mul(x, v16_if_negative(x, half, v16_sub(one, half)));
}

#endif
