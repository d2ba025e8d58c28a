/* types.c - what the element types are, and the scalar meaning of every quantized block
 *
 * Two functions a type turn a block into small integers, and scales and minima. They are the
 * specification that kern_dequantize, the reference products and the tests of the fast products
 * share. Formats are those of ggml; K-quants, IQ4_XS and TQ2_0 take 256 elements a block, the
 * others 32.
 */
#include "kernels/blocks.h"
#include "kernels/kern.h"

const int8_t block_iq4_table[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1, 13, 25, 38, 53, 69, 89, 113};
const int8_t block_e2m1_table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* 32 four-bit values: low halves of 16 bytes, then high halves. */
static void decode_nibbles(const uint8_t *qs, int8_t *q, int offset) {
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)((qs[i] & 15) - offset);
        q[i + 16] = (int8_t)((qs[i] >> 4) - offset);
    }
}

static void decode_table(const uint8_t *qs, int8_t *q, const int8_t table[16]) {
    for (int i = 0; i < 16; i++) {
        q[i] = table[qs[i] & 15];
        q[i + 16] = table[qs[i] >> 4];
    }
}

static void decode_fifth_bits(const uint8_t *qh, int8_t *q, int offset) {
    uint32_t bits = block_u32(qh);
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)((q[i] | (int)(bits >> i & 1) << 4) - offset);
}

/* Four two-bit values a byte: bits 2j of 32 bytes are the j-th run of 32, twice. */
static void decode_crumbs(const uint8_t *restrict qs, int8_t *restrict q) {
    for (int run = 0; run < 8; run++)
        for (int i = 0; i < 32; i++)
            q[32 * run + i] = (int8_t)(qs[run / 4 * 32 + i] >> 2 * (run % 4) & 3);
}

/* q less `offset`, 256 of them. */
static void center(int8_t *q, int offset) {
    for (int i = 0; i < 256; i++)
        q[i] = (int8_t)(q[i] - offset);
}

/* Bit `run` of 32 bytes is a bit of each element of that run of 32; it is put at bit `to`. */
static void decode_bits(const uint8_t *restrict bits, int8_t *restrict q, int to) {
    for (int run = 0; run < 8; run++)
        for (int i = 0; i < 32; i++)
            q[32 * run + i] = (int8_t)(q[32 * run + i] | (bits[i] >> run & 1) << to);
}

/* Low halves of 32 bytes are one run of 32, high halves the next, four times. */
static void decode_nibbles_k(const uint8_t *restrict qs, int8_t *restrict q) {
    for (int run = 0; run < 8; run++)
        for (int i = 0; i < 32; i++)
            q[32 * run + i] = (int8_t)(qs[run / 2 * 32 + i] >> 4 * (run % 2) & 15);
}

/* ---- scales and minima --------------------------------------------------------------------- */

/* Types that begin with their only scale. */
static void scales_one(const void *block, struct block_values *out) {
    out->s[0] = block_half(block_u16(block));
}

/* Types that begin with their only scale and what the minimum's negative is. */
static void scales_pair(const void *block, struct block_values *out) {
    const struct block_q4_1 *b = block;
    out->s[0] = block_half(block_u16(b->d));
    out->m[0] = -block_half(block_u16(b->m));
}

static void scales_mxfp4(const void *block, struct block_values *out) {
    const struct block_mxfp4 *b = block;
    out->s[0] = block_e8m0_half(b->e);
}

static void scales_iq4_xs(const void *block, struct block_values *out) {
    const struct block_iq4_xs *b = block;
    float d = block_half(block_u16(b->d));
    uint32_t high = block_u16(b->scales_h);
    for (int i = 0; i < 8; i++) {
        int low = b->scales_l[i / 2] >> 4 * (i % 2) & 15;
        int scale = (low | (int)(high >> 2 * i & 3) << 4) - 32;
        out->s[i] = d * (float)scale;
    }
}

static void scales_q2_k(const void *block, struct block_values *out) {
    const struct block_q2_k *b = block;
    float d = block_half(block_u16(b->d));
    float dmin = block_half(block_u16(b->dmin));
    for (int i = 0; i < 16; i++) {
        out->s[i] = d * (float)(b->scales[i] & 15);
        out->m[i] = dmin * (float)(b->scales[i] >> 4);
    }
}

/* 16 scales of six bits: low four bits in bytes 0-7, high two bits in bytes 8-11. */
static void scales_q3_k(const void *block, struct block_values *out) {
    const struct block_q3_k *b = block;
    float d = block_half(block_u16(b->d));
    for (int i = 0; i < 16; i++) {
        int low = b->scales[i % 8] >> 4 * (i / 8) & 15;
        int high = b->scales[8 + i % 4] >> 2 * (i / 4) & 3;
        out->s[i] = d * (float)((low | high << 4) - 32);
    }
}

/* Q4_K and Q5_K: eight scales and eight minima of six bits in twelve bytes. */
static void scales_q4_k(const void *block, struct block_values *out) {
    const struct block_q4_k *b = block;
    float d = block_half(block_u16(b->d));
    float dmin = block_half(block_u16(b->dmin));
    const uint8_t *p = b->scales;
    for (int i = 0; i < 4; i++) {
        out->s[i] = d * (float)(p[i] & 63);
        out->m[i] = dmin * (float)(p[i + 4] & 63);
        out->s[i + 4] = d * (float)((p[i + 8] & 15) | p[i] >> 6 << 4);
        out->m[i + 4] = dmin * (float)(p[i + 8] >> 4 | p[i + 4] >> 6 << 4);
    }
}

static void scales_q6_k(const void *block, struct block_values *out) {
    const struct block_q6_k *b = block;
    float d = block_half(block_u16(b->d));
    for (int i = 0; i < 16; i++)
        out->s[i] = d * (float)b->scales[i];
}

static void scales_tq2_0(const void *block, struct block_values *out) {
    const struct block_tq2_0 *b = block;
    float d = block_half(block_u16(b->d));
    for (int i = 0; i < 8; i++)
        out->s[i] = d;
}

/* ---- codes --------------------------------------------------------------------------------- */

static void codes_q4_0(const void *block, int8_t *q) {
    decode_nibbles(((const struct block_q4_0 *)block)->qs, q, 8);
}

static void codes_q4_1(const void *block, int8_t *q) {
    decode_nibbles(((const struct block_q4_1 *)block)->qs, q, 0);
}

static void codes_q5_0(const void *block, int8_t *q) {
    const struct block_q5_0 *b = block;
    decode_nibbles(b->qs, q, 0);
    decode_fifth_bits(b->qh, q, 16);
}

static void codes_q5_1(const void *block, int8_t *q) {
    const struct block_q5_1 *b = block;
    decode_nibbles(b->qs, q, 0);
    decode_fifth_bits(b->qh, q, 0);
}

static void codes_q8_0(const void *block, int8_t *q) {
    memcpy(q, ((const struct block_q8_0 *)block)->qs, 32);
}

static void codes_iq4_nl(const void *block, int8_t *q) {
    decode_table(((const struct block_iq4_nl *)block)->qs, q, block_iq4_table);
}

static void codes_mxfp4(const void *block, int8_t *q) {
    decode_table(((const struct block_mxfp4 *)block)->qs, q, block_e2m1_table);
}

static void codes_iq4_xs(const void *block, int8_t *q) {
    const struct block_iq4_xs *b = block;
    for (int i = 0; i < 8; i++)
        decode_table(b->qs + 16 * i, q + 32 * i, block_iq4_table);
}

static void codes_q2_k(const void *block, int8_t *q) {
    decode_crumbs(((const struct block_q2_k *)block)->qs, q);
}

static void codes_q3_k(const void *block, int8_t *q) {
    const struct block_q3_k *b = block;
    decode_crumbs(b->qs, q);
    decode_bits(b->hmask, q, 2);
    center(q, 4);
}

static void codes_q4_k(const void *block, int8_t *q) {
    decode_nibbles_k(((const struct block_q4_k *)block)->qs, q);
}

static void codes_q5_k(const void *block, int8_t *q) {
    const struct block_q5_k *b = block;
    decode_nibbles_k(b->qs, q);
    decode_bits(b->qh, q, 4);
}

/* Runs 0 and 1 of 32 are the low halves of 64 bytes, runs 2 and 3 the high halves; twice. */
static void codes_q6_k(const void *block, int8_t *q) {
    const struct block_q6_k *b = block;
    for (int run = 0; run < 8; run++) {
        const uint8_t *low = b->ql + run / 4 * 64 + run % 2 * 32;
        const uint8_t *high = b->qh + run / 4 * 32;
        int8_t *restrict to = q + 32 * run;
        for (int i = 0; i < 32; i++)
            to[i] = (int8_t)((low[i] >> run % 4 / 2 * 4 & 15) |
                             (high[i] >> 2 * (run % 4) & 3) << 4);
    }
    center(q, 32);
}

static void codes_tq2_0(const void *block, int8_t *q) {
    decode_crumbs(((const struct block_tq2_0 *)block)->qs, q);
    center(q, 1);
}

/* ---- the table ----------------------------------------------------------------------------- */

#define FLOATS(name, bytes) [KERN_##name] = {{#name, 1, bytes}, {0, 0, NULL, NULL}}
#define BLOCKS(name, lower, elements, group, has_min, scales) \
    [KERN_##name] = {{#name, elements, sizeof(struct block_##lower)}, \
                     {group, has_min, scales, codes_##lower}}

static const struct type {
    struct kern_type_info info;
    struct block_form form;
} types[KERN_TYPES] = {
    FLOATS(F32, 4),
    FLOATS(F16, 2),
    FLOATS(BF16, 2),
    BLOCKS(Q4_0, q4_0, 32, 32, 0, scales_one),
    BLOCKS(Q4_1, q4_1, 32, 32, 1, scales_pair),
    BLOCKS(Q5_0, q5_0, 32, 32, 0, scales_one),
    BLOCKS(Q5_1, q5_1, 32, 32, 1, scales_pair),
    BLOCKS(Q8_0, q8_0, 32, 32, 0, scales_one),
    BLOCKS(Q2_K, q2_k, 256, 16, 1, scales_q2_k),
    BLOCKS(Q3_K, q3_k, 256, 16, 0, scales_q3_k),
    BLOCKS(Q4_K, q4_k, 256, 32, 1, scales_q4_k),
    BLOCKS(Q5_K, q5_k, 256, 32, 1, scales_q4_k),
    BLOCKS(Q6_K, q6_k, 256, 16, 0, scales_q6_k),
    BLOCKS(IQ4_NL, iq4_nl, 32, 32, 0, scales_one),
    BLOCKS(IQ4_XS, iq4_xs, 256, 32, 0, scales_iq4_xs),
    BLOCKS(TQ2_0, tq2_0, 256, 32, 0, scales_tq2_0),
    BLOCKS(MXFP4, mxfp4, 32, 32, 0, scales_mxfp4),
};

const struct kern_type_info *kern_type_info(int t) {
    return t >= 0 && t < KERN_TYPES && types[t].info.name ? &types[t].info : NULL;
}

const struct block_form *block_form(int t) {
    return t >= 0 && t < KERN_TYPES && types[t].form.codes ? &types[t].form : NULL;
}

size_t kern_row_bytes(int t, int64_t n) {
    const struct kern_type_info *info = &types[t].info;
    return (size_t)(n / info->block) * (size_t)info->bytes;
}

static void dequantize_floats(int t, const uint8_t *src, float *dst, int64_t n) {
    if (t == KERN_F32)
        memcpy(dst, src, (size_t)n * sizeof *dst);
    else if (t == KERN_F16)
        for (int64_t i = 0; i < n; i++)
            dst[i] = block_half(block_u16(src + 2 * i));
    else
        for (int64_t i = 0; i < n; i++)
            dst[i] = block_bf16(block_u16(src + 2 * i));
}

void kern_dequantize(int t, const void *src, float *dst, int64_t n) {
    const struct kern_type_info *info = &types[t].info;
    const struct block_form *form = &types[t].form;
    const uint8_t *p = src;
    struct block_values v;
    if (!form->codes) {
        dequantize_floats(t, p, dst, n);
        return;
    }
    for (int64_t at = 0; at < n; at += info->block, p += info->bytes) {
        block_decode(form, p, &v);
        for (int i = 0; i < info->block; i += 16) {
            int g = i / form->group;
            float *restrict y = dst + at + i;
            for (int j = 0; j < 16; j++)
                y[j] = v.s[g] * (float)v.q[i + j];
            for (int j = 0; j < 16 && form->has_min; j++)
                y[j] -= v.m[g];
        }
    }
}
