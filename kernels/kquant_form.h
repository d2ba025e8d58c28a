/* kquant_form.h - what all variants of kquant.h share: searches' grids, rounding, packing
 *
 * A super-block has 256 elements in parts of 16 or 32. In types with minima an element is
 * d * ls[part] * code - dmin * lm[part], in the others d * (ls[part] - offset) * (code - offset);
 * ls, lm and code are small integers. The packers take one byte a code, from 0 on.
 */
#ifndef KQUANT_FORM_H
#define KQUANT_FORM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/blocks.h"

#define KQUANT_SUPER 256
#define KQUANT_PARTS 16             /* most parts of a super-block */
/* A part whose largest magnitude is less counts as zero. */
#define KQUANT_EPS 1e-15f
/* Adding it to |x| < 2^22 leaves x rounded to nearest, ties to even, in the low bits. */
#define KQUANT_MAGIC 12582912.0f

/* Search for the scale and the minimum of a part: tries (top + first + i * step) / (max - min),
 * i = 0 .. steps, as the reciprocal of a scale, and takes the best after a least-squares fit of
 * scale and minimum to the codes 0 .. top. A fitted minimum that is taken is the min of later
 * tries. */
struct kquant_search {
    float first, step;
    int steps;
};

/* A type with minima. */
struct kquant_affine {
    int group;                      /* elements of a part */
    int top;                        /* largest code */
    int scale_top;                  /* largest ls and lm */
    int absolute;                   /* without importance errors count by |e|, not e^2 */
    float sigma;                    /* importance is weighed by sqrt(sigma mean(x^2) + x^2) */
    struct kquant_search plain, weighted;   /* without importance, with it */
};

static const struct kquant_affine kquant_q2_k = {
    .group = 16, .top = 3, .scale_top = 15, .absolute = 1, .sigma = 1,
    .plain = {-0.5f, 0.1f, 15}, .weighted = {-0.9f, 0.05f, 36},
};
static const struct kquant_affine kquant_q4_k = {
    .group = 32, .top = 15, .scale_top = 63, .absolute = 0, .sigma = 2,
    .plain = {-1.0f, 0.1f, 20}, .weighted = {-0.9f, 0.05f, 36},
};
static const struct kquant_affine kquant_q5_k = {
    .group = 32, .top = 31, .scale_top = 63, .absolute = 0, .sigma = 2,
    .plain = {-0.5f, 0.1f, 15}, .weighted = {-0.9f, 0.05f, 36},
};

/* A super-block before it is packed. A part whose scale became zero keeps the codes that its search
 * left. */
struct kquant_codes {
    uint8_t code[KQUANT_SUPER];
    uint8_t ls[KQUANT_PARTS];
    uint8_t lm[KQUANT_PARTS];
    uint16_t d, dmin;               /* binary16 */
};

/* The element of largest magnitude, the first of several, with its sign. NaNs do not count. */
static inline float kquant_signed_max(int n, const float *x) {
    float magnitude = 0;
    float max = 0;
    for (int i = 0; i < n; i++)
        if (magnitude < fabsf(x[i])) {
            magnitude = fabsf(x[i]);
            max = x[i];
        }
    return max;
}

/* ---- packing ---------------------------------------------------------------------------- */

/* Eight codes at once; bits never cross a byte, so the order of bytes does not matter. */
static inline uint64_t kquant_load8(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void kquant_store8(uint8_t *p, uint64_t v) {
    memcpy(p, &v, sizeof v);
}

/* n bits from bit `from` of every byte, moved to bit `to`. */
static inline uint64_t kquant_bits(uint64_t v, int from, int n, int to) {
    uint64_t mask = 0x0101010101010101u * ((1u << n) - 1);
    return (v >> from & mask) << to;
}

/* qs of Q2_K, Q3_K and TQ2_0: bits 0 and 1, four elements 32 apart in a byte. */
static inline void kquant_pack_low2(const uint8_t *code, uint8_t *qs) {
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 32; i += 8) {
            uint64_t v = 0;
            for (int k = 0; k < 4; k++)
                v |= kquant_bits(kquant_load8(code + 128 * half + 32 * k + i), 0, 2, 2 * k);
            kquant_store8(qs + 32 * half + i, v);
        }
}

/* qs of Q4_K and Q5_K: bits 0 to 3, two elements 32 apart in a byte. */
static inline void kquant_pack_low4(const uint8_t *code, uint8_t *qs) {
    for (int quarter = 0; quarter < 4; quarter++)
        for (int i = 0; i < 32; i += 8) {
            const uint8_t *c = code + 64 * quarter + i;
            uint64_t v = kquant_bits(kquant_load8(c), 0, 4, 0);
            kquant_store8(qs + 32 * quarter + i,
                          v | kquant_bits(kquant_load8(c + 32), 0, 4, 4));
        }
}

/* One bit of every element, eight elements 32 apart in a byte: hmask, qh. */
static inline void kquant_pack_bit(const uint8_t *code, int bit, uint8_t *out) {
    for (int i = 0; i < 32; i += 8) {
        uint64_t v = 0;
        for (int k = 0; k < 8; k++)
            v |= kquant_bits(kquant_load8(code + 32 * k + i), bit, 1, k);
        kquant_store8(out + i, v);
    }
}

/* ql and qh of Q6_K: bits 0 to 3, two elements 64 apart in a byte; bits 4 and 5 as in
 * kquant_pack_low2. */
static inline void kquant_pack_low6(const uint8_t *code, struct block_q6_k *b) {
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 32; i += 8) {
            uint64_t v[4];
            uint64_t high = 0;
            for (int k = 0; k < 4; k++) {
                v[k] = kquant_load8(code + 128 * half + 32 * k + i);
                high |= kquant_bits(v[k], 4, 2, 2 * k);
            }
            uint8_t *ql = b->ql + 64 * half + i;
            kquant_store8(ql, kquant_bits(v[0], 0, 4, 0) | kquant_bits(v[2], 0, 4, 4));
            kquant_store8(ql + 32, kquant_bits(v[1], 0, 4, 0) | kquant_bits(v[3], 0, 4, 4));
            kquant_store8(b->qh + 32 * half + i, high);
        }
}

/* Six bits each, as in Q4_K and Q5_K. A value above 63 spills as it does in llama.cpp. */
static inline void kquant_pack_scales(const uint8_t *ls, const uint8_t *lm, uint8_t scales[12]) {
    for (int j = 0; j < 4; j++) {
        scales[j] = (uint8_t)(ls[j] | (ls[j + 4] >> 4) << 6);
        scales[j + 4] = (uint8_t)(lm[j] | (lm[j + 4] >> 4) << 6);
        scales[j + 8] = (uint8_t)((ls[j + 4] & 15) | (lm[j + 4] & 15) << 4);
    }
}

static inline void kquant_pack_q2_k(const struct kquant_codes *c, struct block_q2_k *b) {
    for (int j = 0; j < 16; j++)
        b->scales[j] = (uint8_t)(c->ls[j] | c->lm[j] << 4);
    kquant_pack_low2(c->code, b->qs);
    block_put_u16(b->d, c->d);
    block_put_u16(b->dmin, c->dmin);
}

static inline void kquant_pack_q3_k(const struct kquant_codes *c, struct block_q3_k *b) {
    for (int j = 0; j < 8; j++)
        b->scales[j] = (uint8_t)((c->ls[j] & 15) | (c->ls[j + 8] & 15) << 4);
    for (int j = 0; j < 4; j++)
        b->scales[j + 8] = (uint8_t)(c->ls[j] >> 4 | (c->ls[j + 4] >> 4) << 2 |
                                     (c->ls[j + 8] >> 4) << 4 | (c->ls[j + 12] >> 4) << 6);
    kquant_pack_low2(c->code, b->qs);
    kquant_pack_bit(c->code, 2, b->hmask);
    block_put_u16(b->d, c->d);
}

static inline void kquant_pack_q4_k(const struct kquant_codes *c, struct block_q4_k *b) {
    kquant_pack_scales(c->ls, c->lm, b->scales);
    kquant_pack_low4(c->code, b->qs);
    block_put_u16(b->d, c->d);
    block_put_u16(b->dmin, c->dmin);
}

static inline void kquant_pack_q5_k(const struct kquant_codes *c, struct block_q5_k *b) {
    kquant_pack_scales(c->ls, c->lm, b->scales);
    kquant_pack_low4(c->code, b->qs);
    kquant_pack_bit(c->code, 4, b->qh);
    block_put_u16(b->d, c->d);
    block_put_u16(b->dmin, c->dmin);
}

/* ls holds the int8 scales. */
static inline void kquant_pack_q6_k(const struct kquant_codes *c, struct block_q6_k *b) {
    kquant_pack_low6(c->code, b);
    memcpy(b->scales, c->ls, 16);
    block_put_u16(b->d, c->d);
}

#endif
