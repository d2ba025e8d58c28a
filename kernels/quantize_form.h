/* quantize_form.h - rounding and storing that all variants of quantize.h share */
#ifndef QUANTIZE_FORM_H
#define QUANTIZE_FORM_H

#include <math.h>

#include "kernels/blocks.h"
#include "kernels/kquant_form.h"

/* The tries of Q4_1 and Q5_1 with importance; IQ4's are t = -7 .. 7: the largest element takes
 * level -127 + t. */
static const struct kquant_search quantize_affine = {-0.9f, 0.05f, 36};
#define QUANTIZE_IQ4_TRIES 7

/* x without its fraction, in the low 8 bits; what is no int (x86 then gives 2^31) is 0. */
static inline int quantize_cut(float x) {
    return x > -2147483648.0f && x < 2147483648.0f ? (int8_t)(int)x : 0;
}

static inline float quantize_inverse(float d) {
    return d != 0 ? 1.0f / d : 0.0f;
}

static inline void quantize_store_half(uint8_t *p, float x) {
    block_put_u16(p, block_to_half(x));
}

static inline void quantize_store_nibbles(uint8_t *qs, const uint8_t q[32]) {
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

static inline void quantize_store_fifth(uint8_t *qh, const uint8_t q[32]) {
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(q[i] >> 4 & 1) << i;
    memcpy(qh, &bits, sizeof bits);
}

/* MXFP4's exponent: that of the power of two below the largest magnitude, less 2, that of the
 * table's 4. */
static inline uint8_t quantize_exponent(float largest) {
    return largest > 0 ? (uint8_t)quantize_cut(floorf(log2f(largest)) - 2 + 127) : 0;
}

#endif
