/* quantize_simple.h - random numbers and plain quantizers for the test models
 *
 * Everything here gives the same bits on every machine: integers, and float operations that IEEE
 * 754 rounds exactly, with no function of libm but sqrt. The quantizers take a scale from the
 * largest value of a block and round to nearest: good enough for tests, in which the base is the
 * model with the dequantized weights. Block layouts: see the dequantizers in kernels/.
 */
#ifndef QUANTIZE_SIMPLE_H
#define QUANTIZE_SIMPLE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/kern.h"

/* ---- random numbers ---------------------------------------------------------------------- */

/* Number i of stream `seed`: the output function of splitmix64 (Steele, Lea and Flood, "Fast
 * splittable pseudorandom number generators", 2014), so any element can be had on its own. */
static inline uint64_t random_bits(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* FNV-1a over bytes (Fowler, Noll, Vo), the seed of a stream that has a name. */
static inline uint64_t fnv_bytes(uint64_t h, const void *data, size_t len) {
    const unsigned char *p = data;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* The same idea in steps of 8 bytes (little endian), for megabytes. */
static inline uint64_t fnv_words(uint64_t h, const void *data, size_t len) {
    const unsigned char *p = data;

    for (; len >= 8; p += 8, len -= 8) {
        uint64_t w;

        memcpy(&w, p, 8);
        h = (h ^ w) * 0x100000001b3u;
        h ^= h >> 32;
    }
    return fnv_bytes(h, p, len);
}

#define FNV_START 0xcbf29ce484222325u

/* Near normal, mean 0, deviation 1: the sum of four uniform 16-bit numbers. */
static inline float random_normal(uint64_t seed, uint64_t i) {
    uint64_t r = random_bits(seed, i);
    int sum = (int)(r & 0xffff) + (int)(r >> 16 & 0xffff) + (int)(r >> 32 & 0xffff) +
              (int)(r >> 48);

    return (float)(sum - 131070) * (1.0f / 37837.0f);   /* 65536 * sqrt(4 / 12) */
}

/* Uniform in [lo, hi). */
static inline float random_uniform(uint64_t seed, uint64_t i, float lo, float hi) {
    return lo + (hi - lo) * ((float)(random_bits(seed, i) >> 40) * (1.0f / 16777216.0f));
}

/* ---- 16-bit floats ----------------------------------------------------------------------- */

/* IEEE binary16, round to nearest even; the values here are finite. */
static inline uint16_t half_from_float(float f) {
    uint32_t u;
    uint32_t sign;
    float back;

    memcpy(&u, &f, 4);
    sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u >= 0x477ff000)                            /* 65520 and more */
        return (uint16_t)(sign | 0x7c00);
    if (u < 0x38800000) {                           /* subnormal: count in units of 2^-24 */
        memcpy(&back, &u, 4);
        return (uint16_t)(sign | (uint32_t)rintf(back * 16777216.0f));
    }
    u += 0xfff + (u >> 13 & 1);
    return (uint16_t)(sign | ((u - 0x38000000) >> 13));
}

static inline float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t e = h >> 10 & 31;
    uint32_t u;
    float f;

    if (!e) {
        f = (float)(h & 0x3ff) * (1.0f / 16777216.0f);
        return sign ? -f : f;
    }
    u = sign | (e + 112) << 23 | (uint32_t)(h & 0x3ff) << 13;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint16_t bf16_from_float(float f) {
    uint32_t u;

    memcpy(&u, &f, 4);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Stores f as binary16 and returns the value that is there now. */
static inline float store_half(uint8_t *p, float f) {
    uint16_t h = half_from_float(f);

    memcpy(p, &h, 2);
    return half_to_float(h);
}

/* ---- rounding ---------------------------------------------------------------------------- */

/* x / d to the nearest integer in [lo, hi]; 0 when d is 0 (clamped as well). */
static inline int round_clamp(float x, float d, int lo, int hi) {
    float q = d != 0 ? rintf(x / d) : 0;

    return q < (float)lo ? lo : q > (float)hi ? hi : (int)q;
}

/* The element of largest magnitude, with its sign. */
static inline float signed_max(const float *x, int n) {
    float best = 0;

    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(best))
            best = x[i];
    return best;
}

static inline void min_max(const float *x, int n, float *lo, float *hi) {
    *lo = *hi = x[0];
    for (int i = 1; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        *hi = x[i] > *hi ? x[i] : *hi;
    }
}

/* Index of the entry of an ascending table of n that is nearest to x (ties: the lower one). */
static inline int nearest(const int8_t *table, int n, float x) {
    int at = 0;

    for (int i = 1; i < n; i++)
        at += x > (float)(table[i - 1] + table[i]) * 0.5f;
    return at;
}

static const int8_t iq4_values[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
};
static const int8_t fp4_values[8] = {0, 1, 2, 3, 4, 6, 8, 12};  /* twice E2M1; bit 3 negates */

/* ---- blocks of 32 ------------------------------------------------------------------------ */

/* Nibbles of 32 elements: element j low, j + 16 high. */
static inline void put_nibbles(uint8_t *qs, const int q[32]) {
    for (int j = 0; j < 16; j++)
        qs[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
}

/* The fifth bits of 32 elements. */
static inline void put_fifth(uint8_t *qh, const int q[32]) {
    memset(qh, 0, 4);
    for (int j = 0; j < 32; j++)
        qh[j / 8] |= (uint8_t)((q[j] >> 4 & 1) << j % 8);
}

static inline void quantize_q8_0(const float *x, uint8_t *b) {
    float d = store_half(b, fabsf(signed_max(x, 32)) / 127);

    for (int j = 0; j < 32; j++)
        b[2 + j] = (uint8_t)round_clamp(x[j], d, -127, 127);
}

/* Ternary: -1, 0, 1 times the largest magnitude; 0, 1, 2 in two bits, four elements 32 apart in a
 * byte, twice. */
static inline void quantize_tq2_0(const float *x, uint8_t *b) {
    float d = store_half(b + 64, fabsf(signed_max(x, 256)));

    memset(b, 0, 64);
    for (int i = 0; i < 256; i++) {
        int q = round_clamp(x[i], d, -1, 1) + 1;
        b[i / 128 * 32 + i % 32] |= (uint8_t)(q << i / 32 % 4 * 2);
    }
}

/* Q4_0 and Q5_0: value = d * (q - half). */
static inline void quantize_symmetric(const float *x, uint8_t *b, int bits) {
    int half = 1 << (bits - 1);
    float d = store_half(b, signed_max(x, 32) / (float)-half);
    int q[32];

    for (int j = 0; j < 32; j++)
        q[j] = round_clamp(x[j], d, -half, half - 1) + half;
    if (bits == 5)
        put_fifth(b + 2, q);
    put_nibbles(b + (bits == 5 ? 6 : 2), q);
}

/* Q4_1 and Q5_1: value = d * q + m. */
static inline void quantize_affine(const float *x, uint8_t *b, int bits) {
    float lo;
    float hi;
    float d;
    float m;
    int q[32];

    min_max(x, 32, &lo, &hi);
    d = store_half(b, (hi - lo) / (float)((1 << bits) - 1));
    m = store_half(b + 2, lo);
    for (int j = 0; j < 32; j++)
        q[j] = round_clamp(x[j] - m, d, 0, (1 << bits) - 1);
    if (bits == 5)
        put_fifth(b + 4, q);
    put_nibbles(b + (bits == 5 ? 8 : 4), q);
}

static inline void quantize_iq4_nl(const float *x, uint8_t *b) {
    float d = store_half(b, signed_max(x, 32) / -127);
    int q[32];

    for (int j = 0; j < 32; j++)
        q[j] = nearest(iq4_values, 16, d != 0 ? x[j] / d : 0);
    put_nibbles(b + 2, q);
}

/* value = fp4_values[q] * 2^(e - 128): the largest magnitude falls into (6, 12] of the table. */
static inline void quantize_mxfp4(const float *x, uint8_t *b) {
    float max = fabsf(signed_max(x, 32));
    float d = 0x1p-126f;
    int e = 2;
    int q[32];

    for (; 12 * d < max && e < 254; e++)
        d *= 2;
    b[0] = (uint8_t)e;
    for (int j = 0; j < 32; j++) {
        q[j] = nearest(fp4_values, 8, fabsf(x[j]) / d);
        q[j] |= q[j] && x[j] < 0 ? 8 : 0;
    }
    put_nibbles(b + 1, q);
}

/* ---- blocks of 256 ----------------------------------------------------------------------- */

/* Scales and minima of `subs` sub-blocks of n: the sub-block's values run from -min to
 * -min + steps * scale. d and dmin count them in steps of 1 / most. */
struct affine_scales {
    int sc[16], mn[16];
};
static inline void affine_scales(const float *x, int subs, int n, int steps, int most,
                                 uint8_t *d_at, uint8_t *dmin_at, struct affine_scales *s,
                                 float *d, float *dmin) {
    float scale[16];
    float min[16];
    float hi;

    for (int i = 0; i < subs; i++) {
        min_max(x + i * n, n, &min[i], &hi);
        min[i] = min[i] < 0 ? -min[i] : 0;
        hi = hi > -min[i] ? hi : -min[i];
        scale[i] = (hi + min[i]) / (float)steps;
    }
    *d = store_half(d_at, fabsf(signed_max(scale, subs)) / (float)most);
    *dmin = store_half(dmin_at, fabsf(signed_max(min, subs)) / (float)most);
    for (int i = 0; i < subs; i++) {
        s->sc[i] = round_clamp(scale[i], *d, 0, most);
        s->mn[i] = round_clamp(min[i], *dmin, 0, most);
    }
}

static inline void quantize_q2_k(const float *x, uint8_t *b) {
    uint8_t *qs = b + 16;
    struct affine_scales s;
    float d;
    float dmin;

    affine_scales(x, 16, 16, 3, 15, b + 80, b + 82, &s, &d, &dmin);
    memset(qs, 0, 64);
    for (int i = 0; i < 16; i++)
        b[i] = (uint8_t)(s.sc[i] | s.mn[i] << 4);
    for (int e = 0; e < 256; e++) {
        int sub = e / 16;
        int q = round_clamp(x[e] + dmin * (float)s.mn[sub], d * (float)s.sc[sub], 0, 3);

        qs[e / 128 * 32 + e % 32] |= (uint8_t)(q << e % 128 / 32 * 2);
    }
}

static inline void quantize_q3_k(const float *x, uint8_t *b) {
    uint8_t *qs = b + 32;
    uint8_t *scales = b + 96;
    float scale[16];
    float d;

    memset(b, 0, 110);
    for (int i = 0; i < 16; i++)
        scale[i] = signed_max(x + i * 16, 16) / -4;
    d = store_half(b + 108, signed_max(scale, 16) / -32);
    for (int i = 0; i < 16; i++) {
        int sc = round_clamp(scale[i], d, -32, 31);
        int u = sc + 32;

        scales[i % 8] |= (uint8_t)((u & 15) << (i < 8 ? 0 : 4));
        scales[8 + i % 4] |= (uint8_t)(u >> 4 << i / 4 * 2);
        for (int j = 0; j < 16; j++) {
            int e = i * 16 + j;
            int q = round_clamp(x[e], d * (float)sc, -4, 3) + 4;

            qs[e / 128 * 32 + e % 32] |= (uint8_t)((q & 3) << e % 128 / 32 * 2);
            b[e % 32] |= (uint8_t)(q >> 2 << e / 32);
        }
    }
}

/* The 8 scales and 8 minima of 6 bits that Q4_K and Q5_K keep in 12 bytes. */
static inline void put_scales_k4(uint8_t *p, const struct affine_scales *s) {
    for (int j = 0; j < 4; j++) {
        p[j] = (uint8_t)(s->sc[j] | s->sc[j + 4] >> 4 << 6);
        p[j + 4] = (uint8_t)(s->mn[j] | s->mn[j + 4] >> 4 << 6);
        p[j + 8] = (uint8_t)((s->sc[j + 4] & 15) | (s->mn[j + 4] & 15) << 4);
    }
}

static inline void quantize_q45_k(const float *x, uint8_t *b, int bits) {
    uint8_t *qh = b + 16;
    uint8_t *qs = b + (bits == 5 ? 48 : 16);
    int most = (1 << bits) - 1;
    struct affine_scales s;
    float d;
    float dmin;

    affine_scales(x, 8, 32, most, 63, b, b + 2, &s, &d, &dmin);
    memset(b + 16, 0, bits == 5 ? 160 : 128);
    put_scales_k4(b + 4, &s);
    for (int e = 0; e < 256; e++) {
        int sub = e / 32;
        int q = round_clamp(x[e] + dmin * (float)s.mn[sub], d * (float)s.sc[sub], 0, most);

        qs[e / 64 * 32 + e % 32] |= (uint8_t)((q & 15) << sub % 2 * 4);
        if (bits == 5)
            qh[e % 32] |= (uint8_t)(q >> 4 << sub);
    }
}

static inline void quantize_q6_k(const float *x, uint8_t *b) {
    uint8_t *qh = b + 128;
    float scale[16];
    float d;

    memset(b, 0, 192);
    for (int i = 0; i < 16; i++)
        scale[i] = signed_max(x + i * 16, 16) / -32;
    d = store_half(b + 208, signed_max(scale, 16) / -128);
    for (int i = 0; i < 16; i++) {
        int sc = round_clamp(scale[i], d, -128, 127);

        b[192 + i] = (uint8_t)sc;
        for (int j = 0; j < 16; j++) {
            int e = i * 16 + j;
            int part = e % 128 / 32;        /* parts 0, 1 low nibbles, 2, 3 high ones */
            int q = round_clamp(x[e], d * (float)sc, -32, 31) + 32;

            b[e / 128 * 64 + part % 2 * 32 + e % 32] |= (uint8_t)((q & 15) << part / 2 * 4);
            qh[e / 128 * 32 + e % 32] |= (uint8_t)(q >> 4 << part * 2);
        }
    }
}

static inline void quantize_iq4_xs(const float *x, uint8_t *b) {
    float scale[8];
    float d;
    int high = 0;

    memset(b, 0, 8);
    for (int i = 0; i < 8; i++)
        scale[i] = signed_max(x + i * 32, 32) / -127;
    d = store_half(b, signed_max(scale, 8) / -32);
    for (int i = 0; i < 8; i++) {
        int sc = round_clamp(scale[i], d, -32, 31);
        float step = d * (float)sc;
        int q[32];

        high |= (sc + 32) >> 4 << 2 * i;
        b[4 + i / 2] |= (uint8_t)(((sc + 32) & 15) << i % 2 * 4);
        for (int j = 0; j < 32; j++)
            q[j] = nearest(iq4_values, 16, step != 0 ? x[i * 32 + j] / step : 0);
        put_nibbles(b + 8 + i * 16, q);
    }
    b[2] = (uint8_t)high;
    b[3] = (uint8_t)(high >> 8);
}

/* ---- any type ---------------------------------------------------------------------------- */

static inline void quantize_block(int type, const float *x, uint8_t *b) {
    uint16_t h;

    switch (type) {
    case KERN_F32: memcpy(b, x, 4); return;
    case KERN_F16: store_half(b, *x); return;
    case KERN_BF16: h = bf16_from_float(*x); memcpy(b, &h, 2); return;
    case KERN_Q8_0: quantize_q8_0(x, b); return;
    case KERN_Q4_0: quantize_symmetric(x, b, 4); return;
    case KERN_Q5_0: quantize_symmetric(x, b, 5); return;
    case KERN_Q4_1: quantize_affine(x, b, 4); return;
    case KERN_Q5_1: quantize_affine(x, b, 5); return;
    case KERN_IQ4_NL: quantize_iq4_nl(x, b); return;
    case KERN_MXFP4: quantize_mxfp4(x, b); return;
    case KERN_Q2_K: quantize_q2_k(x, b); return;
    case KERN_Q3_K: quantize_q3_k(x, b); return;
    case KERN_Q4_K: quantize_q45_k(x, b, 4); return;
    case KERN_Q5_K: quantize_q45_k(x, b, 5); return;
    case KERN_Q6_K: quantize_q6_k(x, b); return;
    case KERN_IQ4_XS: quantize_iq4_xs(x, b); return;
    case KERN_TQ2_0: quantize_tq2_0(x, b); return;
    }
}

/* dst = n elements of x as type; n is a multiple of the block. Returns the bytes written. */
static inline size_t quantize(int type, const float *x, void *dst, int64_t n) {
    const struct kern_type_info *t = kern_type_info(type);
    uint8_t *b = dst;

    for (int64_t i = 0; i < n; i += t->block, b += t->bytes)
        quantize_block(type, x + i, b);
    return (size_t)(b - (uint8_t *)dst);
}

#endif
