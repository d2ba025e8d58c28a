/* codes.c - codes of a block apart from its scales, see codes.h */
#include "kernels/codes.h"

#include "kernels/blocks.h"

/* E2M1's values doubled, in order; its two zeros are one. */
static const int8_t e2m1_levels[15] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};

/* TQ2_0's fourth code is none: readers differ in what it means. */
static const struct {
    int levels, first;
    const int8_t *table;
} grids[KERN_TYPES] = {
    [KERN_Q4_0] = {16, -8, NULL},   [KERN_Q4_1] = {16, 0, NULL},
    [KERN_Q5_0] = {32, -16, NULL},  [KERN_Q5_1] = {32, 0, NULL},
    [KERN_Q8_0] = {256, -128, NULL},
    [KERN_Q2_K] = {4, 0, NULL},     [KERN_Q3_K] = {8, -4, NULL},
    [KERN_Q4_K] = {16, 0, NULL},    [KERN_Q5_K] = {32, 0, NULL},
    [KERN_Q6_K] = {64, -32, NULL},  [KERN_TQ2_0] = {3, -1, NULL},
    [KERN_IQ4_NL] = {16, 0, block_iq4_table}, [KERN_IQ4_XS] = {16, 0, block_iq4_table},
    [KERN_MXFP4] = {15, 0, e2m1_levels},
};

void kern_block_grid(int type, const void *block, struct kern_grid *out) {
    const struct block_form *form = block_form(type);
    struct block_values v;
    block_decode(form, block, &v);
    *out = (struct kern_grid){.group = form->group, .levels = grids[type].levels,
                              .first = grids[type].first, .table = grids[type].table};
    for (int g = 0; g < kern_type_info(type)->block / form->group; g++) {
        out->scale[g] = v.s[g];
        out->min[g] = form->has_min ? v.m[g] : 0;
    }
}

/* ---- storing ------------------------------------------------------------------------------- */

/* The code of a level; of E2M1's zeros the first. */
static int code_of(const int8_t *table, int level) {
    for (int i = 0; i < 16; i++)
        if (table[i] == level)
            return i;
    return 0;
}

/* Codes from 0 on. */
static void codes_of(int type, const int8_t *level, int n, uint8_t *code) {
    const int8_t *table = type == KERN_MXFP4 ? block_e2m1_table : grids[type].table;
    for (int i = 0; i < n; i++)
        code[i] = (uint8_t)(table ? code_of(table, level[i]) : level[i] - grids[type].first);
}

/* 32 elements: i in the low nibble, i + 16 in the high one. */
static void put_nibbles(uint8_t *qs, const uint8_t *code) {
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((code[i] & 15) | (code[i + 16] & 15) << 4);
}

static void put_fifth(uint8_t *qh, const uint8_t *code) {
    memset(qh, 0, 4);
    for (int i = 0; i < 32; i++)
        qh[i / 8] |= (uint8_t)((code[i] >> 4 & 1) << i % 8);
}

/* 256 elements of two bits: runs of 32, four of them in the bits of 32 bytes. */
static void put_pairs(uint8_t *qs, const uint8_t *code) {
    memset(qs, 0, 64);
    for (int i = 0; i < 256; i++)
        qs[i / 128 * 32 + i % 32] |= (uint8_t)((code[i] & 3) << i / 32 % 4 * 2);
}

/* 256 elements of four bits: runs of 32, two of them in the halves of 32 bytes. */
static void put_halves(uint8_t *qs, const uint8_t *code) {
    memset(qs, 0, 128);
    for (int i = 0; i < 256; i++)
        qs[i / 64 * 32 + i % 32] |= (uint8_t)((code[i] & 15) << i / 32 % 2 * 4);
}

/* One bit of 256 elements: runs of 32 in the bits of 32 bytes. */
static void put_bits(uint8_t *out, const uint8_t *code, int bit) {
    memset(out, 0, 32);
    for (int i = 0; i < 256; i++)
        out[i % 32] |= (uint8_t)((code[i] >> bit & 1) << i / 32);
}

static void put_sixes(struct block_q6_k *b, const uint8_t *code) {
    memset(b->ql, 0, sizeof b->ql);
    memset(b->qh, 0, sizeof b->qh);
    for (int i = 0; i < 256; i++) {
        int run = i / 32 % 4;
        b->ql[i / 128 * 64 + i % 64] |= (uint8_t)((code[i] & 15) << run / 2 * 4);
        b->qh[i / 128 * 32 + i % 32] |= (uint8_t)(code[i] >> 4 << 2 * run);
    }
}

void kern_block_store(int type, void *block, const int8_t *level) {
    uint8_t code[BLOCK_MAX];
    codes_of(type, level, kern_type_info(type)->block, code);
    switch (type) {
    case KERN_Q4_0: put_nibbles(((struct block_q4_0 *)block)->qs, code); break;
    case KERN_Q4_1: put_nibbles(((struct block_q4_1 *)block)->qs, code); break;
    case KERN_IQ4_NL: put_nibbles(((struct block_iq4_nl *)block)->qs, code); break;
    case KERN_MXFP4: put_nibbles(((struct block_mxfp4 *)block)->qs, code); break;
    case KERN_Q5_0:
        put_nibbles(((struct block_q5_0 *)block)->qs, code);
        put_fifth(((struct block_q5_0 *)block)->qh, code);
        break;
    case KERN_Q5_1:
        put_nibbles(((struct block_q5_1 *)block)->qs, code);
        put_fifth(((struct block_q5_1 *)block)->qh, code);
        break;
    case KERN_Q8_0: memcpy(((struct block_q8_0 *)block)->qs, level, 32); break;
    case KERN_Q2_K: put_pairs(((struct block_q2_k *)block)->qs, code); break;
    case KERN_TQ2_0: put_pairs(((struct block_tq2_0 *)block)->qs, code); break;
    case KERN_Q3_K:
        put_pairs(((struct block_q3_k *)block)->qs, code);
        put_bits(((struct block_q3_k *)block)->hmask, code, 2);
        break;
    case KERN_Q4_K: put_halves(((struct block_q4_k *)block)->qs, code); break;
    case KERN_Q5_K:
        put_halves(((struct block_q5_k *)block)->qs, code);
        put_bits(((struct block_q5_k *)block)->qh, code, 4);
        break;
    case KERN_Q6_K: put_sixes(block, code); break;
    case KERN_IQ4_XS:
        for (int g = 0; g < 8; g++)
            put_nibbles(((struct block_iq4_xs *)block)->qs + 16 * g, code + 32 * g);
        break;
    default: break;
    }
}
