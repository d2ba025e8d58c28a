/* vmath.h - exp and what follows from it, one element at a time
 *
 * The elementary functions of all variants: simd.h repeats the same operations with the same
 * constants on 16 elements, so that every instruction set gives the same bits. Each line is one
 * rounded operation; an fmaf is fused everywhere. Polynomials are minimax fits in the relative
 * error of the result.
 */
#ifndef VMATH_H
#define VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* exp(x) = 2^n (1 + p), n = round(x / ln 2), r = x - n ln 2, p = r + r^2 (C2 + C3 r + ...).
 * Error of the fit 3.1e-9. LN2_HI has 15 bits, so that n * LN2_HI is exact. */
#define VMATH_LOG2E 1.44269504f
#define VMATH_LN2_HI 0.693145752f
#define VMATH_LN2_LO 1.42860677e-6f
#define VMATH_EXP_C2 0.49999994f
#define VMATH_EXP_C3 0.166665196f
#define VMATH_EXP_C4 0.0416683927f
#define VMATH_EXP_C5 0.00836878084f
#define VMATH_EXP_C6 0.00138144672f
/* Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits. */
#define VMATH_ROUND 12582912.0f
/* Below -127 ln 2 the result is 0; just above, n = -126 is the last exponent not 0. */
#define VMATH_EXP_MIN (-88.0296919f)

/* GELU by tanh (Hendrycks and Gimpel, arXiv 1606.08415): x (1 + tanh u) / 2 = x sigmoid(2u)
 * with 2u = x (A + B x^2), A = 2 sqrt(2 / pi), B = 0.044715 A. */
#define VMATH_GELU_A 1.59576917f
#define VMATH_GELU_B 0.0713548139f

/* erfc(z) exp(z^2) = t (E0 + E1 t + ... + E8 t^8), t = 1 / (1 + 0.3 z), 0 <= z <= 10.
 * Error of the fit 2.0e-8. */
#define VMATH_ERFC_P 0.3f
#define VMATH_ERFC_E0 0.169188008f
#define VMATH_ERFC_E1 0.170715213f
#define VMATH_ERFC_E2 0.148339301f
#define VMATH_ERFC_E3 0.214925542f
#define VMATH_ERFC_E4 -0.0946494862f
#define VMATH_ERFC_E5 0.547718227f
#define VMATH_ERFC_E6 -0.512276471f
#define VMATH_ERFC_E7 0.485562444f
#define VMATH_ERFC_E8 -0.129522741f
#define VMATH_SQRT_HALF 0.707106781f

/* x <= 88. *scale = 2^n; returns p, so that exp(x) = scale p + scale. */
static inline float vmath_exp_parts(float x, float *scale) {
    x = VMATH_EXP_MIN > x ? VMATH_EXP_MIN : x;      /* a NaN stays */
    float t = fmaf(x, VMATH_LOG2E, VMATH_ROUND);
    float n = t - VMATH_ROUND;
    float r = fmaf(n, -VMATH_LN2_HI, x);
    r = fmaf(n, -VMATH_LN2_LO, r);
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    memcpy(scale, &bits, sizeof bits);
    float p = fmaf(VMATH_EXP_C6, r, VMATH_EXP_C5);
    p = fmaf(p, r, VMATH_EXP_C4);
    p = fmaf(p, r, VMATH_EXP_C3);
    p = fmaf(p, r, VMATH_EXP_C2);
    return fmaf(p, r * r, r);
}

/* For x <= 88; 0 below -87.7. */
static inline float vmath_exp(float x) {
    float scale;
    float p = vmath_exp_parts(x, &scale);
    return fmaf(scale, p, scale);
}

static inline float vmath_sigmoid(float x) {
    float e = vmath_exp(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* (1 - e) / (1 + e), e = exp(-2|x|), by way of e - 1, which is exact near 0. */
static inline float vmath_tanh(float x) {
    float scale;
    float p = vmath_exp_parts(-2.0f * fabsf(x), &scale);
    float e1 = fmaf(scale, p, scale - 1.0f);
    return copysignf(-e1 / (2.0f + e1), x);
}

static inline float vmath_gelu_tanh(float x) {
    return x * vmath_sigmoid(x * fmaf(x * x, VMATH_GELU_B, VMATH_GELU_A));
}

/* x (1 + erf(x / sqrt 2)) / 2 = x (1 - erfc(z) / 2), or x erfc(z) / 2 for negative x, with
 * z = |x| / sqrt 2. z^2 = a + b to twice the precision. */
static inline float vmath_gelu_erf(float x) {
    float z = fabsf(x) * VMATH_SQRT_HALF;
    float a = z * z;
    float b = fmaf(z, z, -a);
    float t = 1.0f / fmaf(z, VMATH_ERFC_P, 1.0f);
    float p = fmaf(VMATH_ERFC_E8, t, VMATH_ERFC_E7);
    p = fmaf(p, t, VMATH_ERFC_E6);
    p = fmaf(p, t, VMATH_ERFC_E5);
    p = fmaf(p, t, VMATH_ERFC_E4);
    p = fmaf(p, t, VMATH_ERFC_E3);
    p = fmaf(p, t, VMATH_ERFC_E2);
    p = fmaf(p, t, VMATH_ERFC_E1);
    p = fmaf(p, t, VMATH_ERFC_E0);
    float e = vmath_exp(-a);
    float half = 0.5f * (p * t * fmaf(-b, e, e));
    return x * (x < 0 ? half : 1.0f - half);
}

/* The sum of 16 lanes in the order of every variant: halves are added until one is left. */
static inline float vmath_sum16(const float lane[16]) {
    float s[16];
    memcpy(s, lane, sizeof s);
    for (int w = 8; w; w /= 2)
        for (int i = 0; i < w; i++)
            s[i] += s[i + w];
    return s[0];
}

static inline double vmath_sum16d(const double lane[16]) {
    double s[16];
    memcpy(s, lane, sizeof s);
    for (int w = 8; w; w /= 2)
        for (int i = 0; i < w; i++)
            s[i] += s[i + w];
    return s[0];
}

#endif
