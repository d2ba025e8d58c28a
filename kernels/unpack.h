/* unpack.h - packed panels of every quantized type, taken apart in registers
 *
 * A packed block holds 16 rows; its elements come in runs of 32 along k. unpack_values gives four
 * values of k of many rows as unsigned bytes: w itself in types with minima (whose values are
 * never negative), else w + 128. All functions are inlined with a constant type and constant
 * positions, so that the switches disappear.
 *
 * Written over "ints" and "floats", registers of one dword a row, which lanes_avx512.h (16 rows)
 * or lanes_avx2.h (8) defines; include one of them first. `part` says which rows of the panel.
 */
#ifndef UNPACK_H
#define UNPACK_H

#include "kernels/blocks.h"
#include "kernels/kern.h"

/* Packed bytes of a field of n bytes: the fields before one give its place. */
#define FIELD(n) ((n) * KERN_PANEL)

/* What a block's scales are made of, in registers. */
struct unpack {
    floats d, dmin;
    ints scales[4];      /* four bytes a row each */
};

INLINE int unpack_has_min(int type) {
    return type == KERN_Q4_1 || type == KERN_Q5_1 || type == KERN_Q2_K || type == KERN_Q4_K ||
           type == KERN_Q5_K;
}

INLINE int unpack_group(int type) {
    return type == KERN_Q2_K || type == KERN_Q3_K || type == KERN_Q6_K ? 16 : 32;
}

/* Runs of 32 in a block. */
INLINE int unpack_runs(int type) {
    return type == KERN_Q2_K || type == KERN_Q3_K || type == KERN_Q4_K || type == KERN_Q5_K ||
           type == KERN_Q6_K || type == KERN_IQ4_XS || type == KERN_TQ2_0 ? 8 : 1;
}

INLINE int unpack_bytes(int type) {
    switch (type) {
    case KERN_Q4_0: return FIELD((int)sizeof(struct block_q4_0));
    case KERN_Q4_1: return FIELD((int)sizeof(struct block_q4_1));
    case KERN_Q5_0: return FIELD((int)sizeof(struct block_q5_0));
    case KERN_Q5_1: return FIELD((int)sizeof(struct block_q5_1));
    case KERN_Q8_0: return FIELD((int)sizeof(struct block_q8_0));
    case KERN_Q2_K: return FIELD((int)sizeof(struct block_q2_k));
    case KERN_Q3_K: return FIELD((int)sizeof(struct block_q3_k));
    case KERN_Q4_K: return FIELD((int)sizeof(struct block_q4_k));
    case KERN_Q5_K: return FIELD((int)sizeof(struct block_q5_k));
    case KERN_Q6_K: return FIELD((int)sizeof(struct block_q6_k));
    case KERN_IQ4_NL: return FIELD((int)sizeof(struct block_iq4_nl));
    case KERN_IQ4_XS: return FIELD((int)sizeof(struct block_iq4_xs));
    case KERN_TQ2_0: return FIELD((int)sizeof(struct block_tq2_0));
    default: return FIELD((int)sizeof(struct block_mxfp4));
    }
}

/* Fetches what run `run` of the block 8 KiB further on takes up. Unrolled blocks touch lines in an
 * order that the hardware's own prefetching follows badly: K-quants stream twice as fast so. The
 * empty statement keeps the compiler from holding words of one run for later ones, which spills. */
INLINE void unpack_ahead(int type, const uint8_t *p, int run) {
    int step = unpack_bytes(type) / unpack_runs(type);
    for (int at = run * step; at < (run + 1) * step; at += 64)
        _mm_prefetch((const char *)p + 8192 + at, _MM_HINT_T0);
    __asm__ volatile("" : : : "memory");
}

INLINE ints shift_right(ints v, int n) {
    return n > 0 ? lanes_right(v, n) : n < 0 ? lanes_left(v, -n) : v;
}

/* Bits [shift, shift + 8) of every dword under a byte mask; shift may be negative. */
INLINE ints bits(ints v, int shift, int mask) {
    return lanes_and(shift_right(v, shift), lanes_byte(mask));
}

/* a with the bits of b under the mask added. */
INLINE ints merge(ints a, ints b, int shift, int mask) {
    return lanes_or_and(a, shift_right(b, shift), lanes_byte(mask));
}

INLINE ints plus(ints v, int n) {
    return lanes_add_bytes(v, lanes_byte(n));
}

/* The scales of Q4_K and Q5_K: 8 of six bits, 8 minima. */
INLINE void unpack_scales_k(const uint8_t *p, int part, struct unpack *u) {
    ints d = lanes_dwords(p, part);
    ints a = lanes_dwords(p + FIELD(4), part);
    ints b = lanes_dwords(p + FIELD(8), part);
    ints c = lanes_dwords(p + FIELD(12), part);
    u->d = lanes_low_halves(d);
    u->dmin = lanes_high_halves(d);
    u->scales[0] = bits(a, 0, 0x3f);
    u->scales[1] = merge(bits(c, 0, 0x0f), a, 2, 0x30);
    u->scales[2] = bits(b, 0, 0x3f);
    u->scales[3] = merge(bits(c, 4, 0x0f), b, 2, 0x30);
}

/* The 16 scales of Q3_K: six bits less 32. */
INLINE void unpack_scales_q3(const uint8_t *p, int part, struct unpack *u) {
    ints a = lanes_dwords(p, part);
    ints b = lanes_dwords(p + FIELD(4), part);
    ints c = lanes_dwords(p + FIELD(8), part);
    u->scales[0] = plus(merge(bits(a, 0, 0x0f), c, -4, 0x30), -32);
    u->scales[1] = plus(merge(bits(b, 0, 0x0f), c, -2, 0x30), -32);
    u->scales[2] = plus(merge(bits(a, 4, 0x0f), c, 0, 0x30), -32);
    u->scales[3] = plus(merge(bits(b, 4, 0x0f), c, 2, 0x30), -32);
}

/* Reads what the scales of a block need. */
INLINE void unpack_open(int type, const uint8_t *p, int part, struct unpack *u) {
    switch (type) {
    case KERN_Q4_1:
    case KERN_Q5_1:
        u->d = lanes_low_halves(lanes_dwords(p, part));
        u->dmin = lanes_high_halves(lanes_dwords(p, part));
        break;
    case KERN_Q4_K:
    case KERN_Q5_K:
        unpack_scales_k(p, part, u);
        break;
    case KERN_Q2_K:
        for (int i = 0; i < 4; i++)
            u->scales[i] = lanes_dwords(p + FIELD(4 * i), part);
        u->d = lanes_low_halves(lanes_dwords(p + FIELD(80), part));
        u->dmin = lanes_high_halves(lanes_dwords(p + FIELD(80), part));
        break;
    case KERN_Q3_K:
        unpack_scales_q3(p + FIELD(96), part, u);
        u->d = lanes_halves(p + FIELD(108), part);
        break;
    case KERN_Q6_K:
        for (int i = 0; i < 4; i++)
            u->scales[i] = lanes_dwords(p + FIELD(192 + 4 * i), part);
        u->d = lanes_halves(p + FIELD(208), part);
        break;
    case KERN_IQ4_XS:
        u->scales[0] = lanes_dwords(p, part);
        u->scales[1] = lanes_dwords(p + FIELD(4), part);
        u->d = lanes_low_halves(u->scales[0]);
        break;
    case KERN_MXFP4:
        u->d = lanes_exponents(p, part);
        break;
    case KERN_TQ2_0:
        u->d = lanes_halves(p + FIELD(64), part);
        break;
    default:
        u->d = lanes_halves(p, part);
    }
}

/* Byte i of every dword, zero- or sign-extended, and four bits from `shift` on, as floats. */
INLINE floats byte_float(ints v, int i) {
    return lanes_to_floats(lanes_and(shift_right(v, 8 * i), lanes_dword(0xff)));
}

INLINE floats signed_byte_float(ints v, int i) {
    return lanes_to_floats(lanes_right_signed(shift_right(v, 8 * i - 24), 24));
}

INLINE floats nibble_float(ints v, int shift) {
    return lanes_to_floats(lanes_and(shift_right(v, shift), lanes_dword(15)));
}

/* The scale of group g (of 16 or 32) in the block. */
INLINE floats unpack_scale(int type, const struct unpack *u, int g) {
    switch (type) {
    case KERN_Q4_K:
    case KERN_Q5_K:
        return lanes_mul(u->d, byte_float(u->scales[g / 4], g % 4));
    case KERN_Q2_K:
        return lanes_mul(u->d, nibble_float(u->scales[g / 4], g % 4 * 8));
    case KERN_Q3_K:
    case KERN_Q6_K:
        return lanes_mul(u->d, signed_byte_float(u->scales[g / 4], g % 4));
    case KERN_IQ4_XS: {
        ints v = lanes_and(shift_right(u->scales[1], 4 * g), lanes_dword(15));
        v = lanes_or_and(v, shift_right(u->scales[0], 12 + 2 * g), lanes_dword(0x30));
        return lanes_mul(u->d, lanes_to_floats(lanes_sub(v, lanes_dword(32))));
    }
    default:
        return u->d;
    }
}

/* The minimum of group g, what is taken off. */
INLINE floats unpack_min(int type, const struct unpack *u, int g) {
    switch (type) {
    case KERN_Q4_K:
    case KERN_Q5_K:
        return lanes_mul(u->dmin, byte_float(u->scales[2 + g / 4], g % 4));
    case KERN_Q2_K:
        return lanes_mul(u->dmin, nibble_float(u->scales[g / 4], g % 4 * 8 + 4));
    default:
        return lanes_negate(u->dmin);
    }
}

/* Values of 4-bit types of 32: low halves are elements 0-15, high halves 16-31. */
INLINE ints nibbles(const uint8_t *qs, int part, int dword) {
    return bits(lanes_dwords(qs + FIELD(4 * (dword % 4)), part), dword < 4 ? 0 : 4, 0x0f);
}

/* Elements 4 * dword .. + 3 of run `run`. */
INLINE ints unpack_values(int type, const uint8_t *p, int part, int run, int dword) {
    ints v;
    ints h;
    switch (type) {
    case KERN_Q4_0:
        return plus(nibbles(p + FIELD(2), part, dword), 128 - 8);
    case KERN_Q4_1:
        return nibbles(p + FIELD(4), part, dword);
    case KERN_Q5_0:
        h = lanes_spread(lanes_dwords(p + FIELD(2), part), 4 * dword);
        return plus(merge(nibbles(p + FIELD(6), part, dword), h, 0, 0x10), 128 - 16);
    case KERN_Q5_1:
        h = lanes_spread(lanes_dwords(p + FIELD(4), part), 4 * dword);
        return merge(nibbles(p + FIELD(8), part, dword), h, 0, 0x10);
    case KERN_Q8_0:
        return lanes_xor(lanes_dwords(p + FIELD(2 + 4 * dword), part), lanes_byte(0x80));
    case KERN_IQ4_NL:
        return lanes_lookup_128(block_iq4_table, nibbles(p + FIELD(2), part, dword));
    case KERN_MXFP4:
        return lanes_lookup_128(block_e2m1_table, nibbles(p + FIELD(1), part, dword));
    case KERN_IQ4_XS:
        return lanes_lookup_128(block_iq4_table, nibbles(p + FIELD(8 + 16 * run), part, dword));
    case KERN_Q2_K:
        return bits(lanes_dwords(p + FIELD(16 + run / 4 * 32 + 4 * dword), part), 2 * (run % 4), 3);
    case KERN_TQ2_0:
        v = lanes_dwords(p + FIELD(run / 4 * 32 + 4 * dword), part);
        return plus(bits(v, 2 * (run % 4), 3), 128 - 1);
    case KERN_Q3_K:
        v = bits(lanes_dwords(p + FIELD(32 + run / 4 * 32 + 4 * dword), part), 2 * (run % 4), 3);
        return plus(merge(v, lanes_dwords(p + FIELD(4 * dword), part), run - 2, 4), 128 - 4);
    case KERN_Q4_K:
        v = lanes_dwords(p + FIELD(16 + run / 2 * 32 + 4 * dword), part);
        return bits(v, 4 * (run % 2), 0x0f);
    case KERN_Q5_K:
        v = lanes_dwords(p + FIELD(48 + run / 2 * 32 + 4 * dword), part);
        v = bits(v, 4 * (run % 2), 0x0f);
        return merge(v, lanes_dwords(p + FIELD(16 + 4 * dword), part), run - 4, 0x10);
    default:    /* Q6_K */
        v = bits(lanes_dwords(p + FIELD(run / 4 * 64 + run % 2 * 32 + 4 * dword), part),
                 run % 4 / 2 * 4, 0x0f);
        h = lanes_dwords(p + FIELD(128 + run / 4 * 32 + 4 * dword), part);
        return plus(merge(v, h, 2 * (run % 4) - 4, 0x30), 128 - 32);
    }
}

#endif
