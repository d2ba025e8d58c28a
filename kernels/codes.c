/* codes.c - codes of a block apart from its scales, see codes.h */
#include "kernels/codes.h"

#include "kernels/quantize_form.h"

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

void kern_block_store(int type, void *block, const int8_t *level) {
    uint8_t code[BLOCK_MAX];
    codes_of(type, level, kern_type_info(type)->block, code);
    switch (type) {
    case KERN_Q4_0: quantize_store_nibbles(((struct block_q4_0 *)block)->qs, code); break;
    case KERN_Q4_1: quantize_store_nibbles(((struct block_q4_1 *)block)->qs, code); break;
    case KERN_IQ4_NL: quantize_store_nibbles(((struct block_iq4_nl *)block)->qs, code); break;
    case KERN_MXFP4: quantize_store_nibbles(((struct block_mxfp4 *)block)->qs, code); break;
    case KERN_Q5_0:
        quantize_store_nibbles(((struct block_q5_0 *)block)->qs, code);
        quantize_store_fifth(((struct block_q5_0 *)block)->qh, code);
        break;
    case KERN_Q5_1:
        quantize_store_nibbles(((struct block_q5_1 *)block)->qs, code);
        quantize_store_fifth(((struct block_q5_1 *)block)->qh, code);
        break;
    case KERN_Q8_0: memcpy(((struct block_q8_0 *)block)->qs, level, 32); break;
    case KERN_Q2_K: kquant_pack_low2(code, ((struct block_q2_k *)block)->qs); break;
    case KERN_TQ2_0: kquant_pack_low2(code, ((struct block_tq2_0 *)block)->qs); break;
    case KERN_Q3_K:
        kquant_pack_low2(code, ((struct block_q3_k *)block)->qs);
        kquant_pack_bit(code, 2, ((struct block_q3_k *)block)->hmask);
        break;
    case KERN_Q4_K: kquant_pack_low4(code, ((struct block_q4_k *)block)->qs); break;
    case KERN_Q5_K:
        kquant_pack_low4(code, ((struct block_q5_k *)block)->qs);
        kquant_pack_bit(code, 4, ((struct block_q5_k *)block)->qh);
        break;
    case KERN_Q6_K: kquant_pack_low6(code, block); break;
    case KERN_IQ4_XS:
        for (int g = 0; g < 8; g++)
            quantize_store_nibbles(((struct block_iq4_xs *)block)->qs + 16 * g, code + 32 * g);
        break;
    default: break;
    }
}
