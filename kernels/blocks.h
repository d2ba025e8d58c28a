/* blocks.h - quantized blocks as they lie in a GGUF file, and the small numbers inside them
 *
 * Little-endian, unaligned: read a block through memcpy or bytes. Private to kernels. q4, q5
 * and so on hold several values a byte; decode_ functions in types.c say in which order.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdint.h>
#include <string.h>

#define BLOCK_MAX 256           /* elements of the largest block */
#define BLOCK_MAX_BYTES 210     /* bytes of the largest quantized block, Q6_K */

struct block_q4_0 { uint8_t d[2], qs[16]; };
struct block_q4_1 { uint8_t d[2], m[2], qs[16]; };
struct block_q5_0 { uint8_t d[2], qh[4], qs[16]; };
struct block_q5_1 { uint8_t d[2], m[2], qh[4], qs[16]; };
struct block_q8_0 { uint8_t d[2]; int8_t qs[32]; };
struct block_q2_k { uint8_t scales[16], qs[64], d[2], dmin[2]; };
struct block_q3_k { uint8_t hmask[32], qs[64], scales[12], d[2]; };
struct block_q4_k { uint8_t d[2], dmin[2], scales[12], qs[128]; };
struct block_q5_k { uint8_t d[2], dmin[2], scales[12], qh[32], qs[128]; };
struct block_q6_k { uint8_t ql[128], qh[64]; int8_t scales[16]; uint8_t d[2]; };
struct block_iq4_nl { uint8_t d[2], qs[16]; };
struct block_iq4_xs { uint8_t d[2], scales_h[2], scales_l[4], qs[128]; };
struct block_mxfp4 { uint8_t e, qs[16]; };
struct block_tq2_0 { uint8_t qs[64], d[2]; };

_Static_assert(sizeof(struct block_q4_0) == 18, "Q4_0");
_Static_assert(sizeof(struct block_q4_1) == 20, "Q4_1");
_Static_assert(sizeof(struct block_q5_0) == 22, "Q5_0");
_Static_assert(sizeof(struct block_q5_1) == 24, "Q5_1");
_Static_assert(sizeof(struct block_q8_0) == 34, "Q8_0");
_Static_assert(sizeof(struct block_q2_k) == 84, "Q2_K");
_Static_assert(sizeof(struct block_q3_k) == 110, "Q3_K");
_Static_assert(sizeof(struct block_q4_k) == 144, "Q4_K");
_Static_assert(sizeof(struct block_q5_k) == 176, "Q5_K");
_Static_assert(sizeof(struct block_q6_k) == BLOCK_MAX_BYTES, "Q6_K");
_Static_assert(sizeof(struct block_iq4_nl) == 18, "IQ4_NL");
_Static_assert(sizeof(struct block_iq4_xs) == 136, "IQ4_XS");
_Static_assert(sizeof(struct block_mxfp4) == 17, "MXFP4");
_Static_assert(sizeof(struct block_tq2_0) == 66, "TQ2_0");

/* A decoded block: element i is s[i / group] * q[i], less m[i / group] where the type has
 * minima. s and m are exact: a half times a small integer has at most 19 significant bits. */
struct block_values {
    int8_t q[BLOCK_MAX];
    float s[BLOCK_MAX / 16];
    float m[BLOCK_MAX / 16];
};

/* How a quantized type is built; NULL for floats and for numbers that are no type of ours. */
struct block_form {
    int group;                  /* elements that share a scale: 16 or 32 */
    int has_min;
    void (*scales)(const void *block, struct block_values *out);    /* s and m */
    void (*codes)(const void *block, int8_t *q);
};
const struct block_form *block_form(int type);

static inline void block_decode(const struct block_form *form, const void *block,
                                struct block_values *out) {
    form->scales(block, out);
    form->codes(block, out->q);
}

/* The value tables of the non-linear types (E2M1 doubled, so that it is integer). */
extern const int8_t block_iq4_table[16];
extern const int8_t block_e2m1_table[16];

static inline uint16_t block_u16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline void block_put_u16(uint8_t *p, uint16_t v) {
    memcpy(p, &v, sizeof v);
}

static inline uint32_t block_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float block_bits_float(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* IEEE binary16 to float, exact; a NaN becomes a quiet one, as the CPU's conversion has it. Moving
 * the exponent by a multiplication handles subnormals. */
static inline float block_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t mag = h & 0x7fff;
    if (mag > 0x7c00)
        return block_bits_float(sign | 0x7fc00000 | mag << 13);
    if (mag == 0x7c00)
        return block_bits_float(sign | 0x7f800000);
    float f = block_bits_float(mag << 13) * 0x1p112f;
    return sign ? -f : f;
}

/* Float to binary16, to nearest, ties to even; beyond 65504 infinite, NaN without its payload. */
static inline uint16_t block_to_half(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint32_t sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (u >= 0x477ff000)                            /* 65520 and more */
        return (uint16_t)(sign | 0x7c00);
    if (u < 0x38800000) {                           /* subnormal: count in units of 2^-24 */
        float units = block_bits_float(u) * 0x1p24f + 0x1p23f;
        memcpy(&u, &units, sizeof u);
        return (uint16_t)(sign | (u & 0x7ff));
    }
    u += 0xfff + (u >> 13 & 1);
    return (uint16_t)(sign | ((u - 0x38000000) >> 13));
}

static inline float block_bf16(uint16_t h) {
    return block_bits_float((uint32_t)h << 16);
}

/* Float to bfloat16, to nearest, ties to even; NaN stays NaN. */
static inline uint16_t block_to_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* MXFP4's scale, an exponent of base 2, halved because the value table is doubled. */
static inline float block_e8m0_half(uint8_t e) {
    return block_bits_float(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

#endif
