/* types.c - what the element types are, and the scalar meaning of every quantized block
 *
 * One decoder a type turns a block into small integers, scales and minima. It is the
 * specification that kern_dequantize, the reference products and the tests of the fast products
 * share. Formats are those of ggml; the K-quants take 256 elements a block, the others 32.
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

static void decode_q4_0(const void *block, struct block_values *out) {
    const struct block_q4_0 *b = block;
    out->s[0] = block_half(block_u16(b->d));
    decode_nibbles(b->qs, out->q, 8);
}

static void decode_q4_1(const void *block, struct block_values *out) {
    const struct block_q4_1 *b = block;
    out->s[0] = block_half(block_u16(b->d));
    out->m[0] = -block_half(block_u16(b->m));
    decode_nibbles(b->qs, out->q, 0);
}

static void decode_fifth_bits(const uint8_t *qh, int8_t *q, int offset) {
    uint32_t bits = block_u32(qh);
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)((q[i] | (int)(bits >> i & 1) << 4) - offset);
}

static void decode_q5_0(const void *block, struct block_values *out) {
    const struct block_q5_0 *b = block;
    out->s[0] = block_half(block_u16(b->d));
    decode_nibbles(b->qs, out->q, 0);
    decode_fifth_bits(b->qh, out->q, 16);
}

static void decode_q5_1(const void *block, struct block_values *out) {
    const struct block_q5_1 *b = block;
    out->s[0] = block_half(block_u16(b->d));
    out->m[0] = -block_half(block_u16(b->m));
    decode_nibbles(b->qs, out->q, 0);
    decode_fifth_bits(b->qh, out->q, 0);
}

static void decode_q8_0(const void *block, struct block_values *out) {
    const struct block_q8_0 *b = block;
    out->s[0] = block_half(block_u16(b->d));
    memcpy(out->q, b->qs, 32);
}

static void decode_iq4_nl(const void *block, struct block_values *out) {
    const struct block_iq4_nl *b = block;
    out->s[0] = block_half(block_u16(b->d));
    decode_table(b->qs, out->q, block_iq4_table);
}

static void decode_mxfp4(const void *block, struct block_values *out) {
    const struct block_mxfp4 *b = block;
    out->s[0] = block_e8m0_half(b->e);
    decode_table(b->qs, out->q, block_e2m1_table);
}

static void decode_iq4_xs(const void *block, struct block_values *out) {
    const struct block_iq4_xs *b = block;
    float d = block_half(block_u16(b->d));
    uint32_t high = block_u16(b->scales_h);
    for (int i = 0; i < 8; i++) {
        int low = b->scales_l[i / 2] >> 4 * (i % 2) & 15;
        int scale = (low | (int)(high >> 2 * i & 3) << 4) - 32;
        out->s[i] = d * (float)scale;
        decode_table(b->qs + 16 * i, out->q + 32 * i, block_iq4_table);
    }
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

static void decode_q2_k(const void *block, struct block_values *out) {
    const struct block_q2_k *b = block;
    float d = block_half(block_u16(b->d));
    float dmin = block_half(block_u16(b->dmin));
    for (int i = 0; i < 16; i++) {
        out->s[i] = d * (float)(b->scales[i] & 15);
        out->m[i] = dmin * (float)(b->scales[i] >> 4);
    }
    decode_crumbs(b->qs, out->q);
}

/* 16 scales of six bits: low four bits in bytes 0-7, high two bits in bytes 8-11. */
static void decode_q3_k(const void *block, struct block_values *out) {
    const struct block_q3_k *b = block;
    float d = block_half(block_u16(b->d));
    for (int i = 0; i < 16; i++) {
        int low = b->scales[i % 8] >> 4 * (i / 8) & 15;
        int high = b->scales[8 + i % 4] >> 2 * (i / 4) & 3;
        out->s[i] = d * (float)((low | high << 4) - 32);
    }
    decode_crumbs(b->qs, out->q);
    decode_bits(b->hmask, out->q, 2);
    center(out->q, 4);
}

/* Eight scales and eight minima of six bits in twelve bytes. */
static void decode_scales_k(const uint8_t *p, float d, float dmin, struct block_values *out) {
    for (int i = 0; i < 4; i++) {
        out->s[i] = d * (float)(p[i] & 63);
        out->m[i] = dmin * (float)(p[i + 4] & 63);
        out->s[i + 4] = d * (float)((p[i + 8] & 15) | p[i] >> 6 << 4);
        out->m[i + 4] = dmin * (float)(p[i + 8] >> 4 | p[i + 4] >> 6 << 4);
    }
}

/* Low halves of 32 bytes are one run of 32, high halves the next, four times. */
static void decode_nibbles_k(const uint8_t *restrict qs, int8_t *restrict q) {
    for (int run = 0; run < 8; run++)
        for (int i = 0; i < 32; i++)
            q[32 * run + i] = (int8_t)(qs[run / 2 * 32 + i] >> 4 * (run % 2) & 15);
}

static void decode_q4_k(const void *block, struct block_values *out) {
    const struct block_q4_k *b = block;
    decode_scales_k(b->scales, block_half(block_u16(b->d)), block_half(block_u16(b->dmin)), out);
    decode_nibbles_k(b->qs, out->q);
}

static void decode_q5_k(const void *block, struct block_values *out) {
    const struct block_q5_k *b = block;
    decode_scales_k(b->scales, block_half(block_u16(b->d)), block_half(block_u16(b->dmin)), out);
    decode_nibbles_k(b->qs, out->q);
    decode_bits(b->qh, out->q, 4);
}

/* Runs 0 and 1 of 32 are the low halves of 64 bytes, runs 2 and 3 the high halves; twice. */
static void decode_q6_k(const void *block, struct block_values *out) {
    const struct block_q6_k *b = block;
    float d = block_half(block_u16(b->d));
    for (int i = 0; i < 16; i++)
        out->s[i] = d * (float)b->scales[i];
    for (int run = 0; run < 8; run++) {
        const uint8_t *low = b->ql + run / 4 * 64 + run % 2 * 32;
        const uint8_t *high = b->qh + run / 4 * 32;
        int8_t *restrict q = out->q + 32 * run;
        for (int i = 0; i < 32; i++)
            q[i] = (int8_t)((low[i] >> run % 4 / 2 * 4 & 15) | (high[i] >> 2 * (run % 4) & 3) << 4);
    }
    center(out->q, 32);
}

static void decode_tq2_0(const void *block, struct block_values *out) {
    const struct block_tq2_0 *b = block;
    float d = block_half(block_u16(b->d));
    for (int i = 0; i < 8; i++)
        out->s[i] = d;
    decode_crumbs(b->qs, out->q);
    center(out->q, 1);
}

static const struct type {
    struct kern_type_info info;
    struct block_form form;
} types[KERN_TYPES] = {
    [KERN_F32] = {{"F32", 1, 4}, {0, 0, NULL}},
    [KERN_F16] = {{"F16", 1, 2}, {0, 0, NULL}},
    [KERN_BF16] = {{"BF16", 1, 2}, {0, 0, NULL}},
    [KERN_Q4_0] = {{"Q4_0", 32, sizeof(struct block_q4_0)}, {32, 0, decode_q4_0}},
    [KERN_Q4_1] = {{"Q4_1", 32, sizeof(struct block_q4_1)}, {32, 1, decode_q4_1}},
    [KERN_Q5_0] = {{"Q5_0", 32, sizeof(struct block_q5_0)}, {32, 0, decode_q5_0}},
    [KERN_Q5_1] = {{"Q5_1", 32, sizeof(struct block_q5_1)}, {32, 1, decode_q5_1}},
    [KERN_Q8_0] = {{"Q8_0", 32, sizeof(struct block_q8_0)}, {32, 0, decode_q8_0}},
    [KERN_Q2_K] = {{"Q2_K", 256, sizeof(struct block_q2_k)}, {16, 1, decode_q2_k}},
    [KERN_Q3_K] = {{"Q3_K", 256, sizeof(struct block_q3_k)}, {16, 0, decode_q3_k}},
    [KERN_Q4_K] = {{"Q4_K", 256, sizeof(struct block_q4_k)}, {32, 1, decode_q4_k}},
    [KERN_Q5_K] = {{"Q5_K", 256, sizeof(struct block_q5_k)}, {32, 1, decode_q5_k}},
    [KERN_Q6_K] = {{"Q6_K", 256, sizeof(struct block_q6_k)}, {16, 0, decode_q6_k}},
    [KERN_IQ4_NL] = {{"IQ4_NL", 32, sizeof(struct block_iq4_nl)}, {32, 0, decode_iq4_nl}},
    [KERN_IQ4_XS] = {{"IQ4_XS", 256, sizeof(struct block_iq4_xs)}, {32, 0, decode_iq4_xs}},
    [KERN_TQ2_0] = {{"TQ2_0", 256, sizeof(struct block_tq2_0)}, {32, 0, decode_tq2_0}},
    [KERN_MXFP4] = {{"MXFP4", 32, sizeof(struct block_mxfp4)}, {32, 0, decode_mxfp4}},
};

const struct kern_type_info *kern_type_info(int t) {
    return t >= 0 && t < KERN_TYPES && types[t].info.name ? &types[t].info : NULL;
}

const struct block_form *block_form(int t) {
    return t >= 0 && t < KERN_TYPES && types[t].form.decode ? &types[t].form : NULL;
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
    if (!form->decode) {
        dequantize_floats(t, p, dst, n);
        return;
    }
    for (int64_t at = 0; at < n; at += info->block, p += info->bytes) {
        form->decode(p, &v);
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
