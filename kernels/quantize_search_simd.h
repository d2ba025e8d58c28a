/* quantize_search_simd.h - the types of quantize_search_ref.c, sixteen blocks of 32 side by side
 *
 * A lane is a block, or a part of IQ4_XS's: everything that quantize_search_ref.c does to one is
 * done here to sixteen, element after element in the same order with the same roundings, branches
 * being masks. Lanes with infinities, NaNs or values of 2^60 and more, in elements or importance,
 * and those whose search is odd (see kquant_search_simd.h), are left to quantize_search_ref.c.
 */
#ifndef QUANTIZE_SEARCH_SIMD_H
#define QUANTIZE_SEARCH_SIMD_H

#include "kernels/kquant_search_simd.h"
#include "kernels/quantize_plain_simd.h"

/* Blocks that wait for the group to become full, or n of them at the end. */
struct blocks {
    int n;
    const float *x[LANES], *importance[LANES];      /* importance NULL in all or in none */
    float sigma2[LANES];
    void *block[LANES];
};

/* What a group is quantized to. */
struct coded {
    v16 scale, min;
    i16 code[32];                   /* from 0 on */
    unsigned odd;                   /* bits: lanes to be left out */
};

/* The group's elements and weights. Lanes beyond n are copies of the last block. */
ALWAYS m16 load_blocks(struct blocks *g, v16 x[32], v16 w[32]) {
    for (int l = g->n; l < LANES; l++) {
        g->x[l] = g->x[g->n - 1];
        g->importance[l] = g->importance[g->n - 1];
        g->sigma2[l] = g->sigma2[g->n - 1];
    }
    m16 odd = load_lanes(g->x, 0, 32, x);
    if (!g->importance[0]) {
        for (int i = 0; i < 32; i++)
            w[i] = v16_mul(x[i], x[i]);
        return odd;
    }
    v16 sigma2 = v16_load(g->sigma2);
    odd = m16_or(odd, load_lanes(g->importance, 0, 32, w));
    for (int i = 0; i < 32; i++)
        w[i] = v16_mul(w[i], v16_sqrt(v16_mul_add(x[i], x[i], sigma2)));
    return m16_or(odd, insane(sigma2));
}

/* ---- searches ------------------------------------------------------------------------------ */

ALWAYS void code_symmetric(struct blocks *g, const int half, struct coded *out) {
    v16 x[32];
    v16 w[32];
    v16 inverse;
    m16 none;
    m16 odd = load_blocks(g, x, w);
    out->scale = search_scale(32, half, x, w, &inverse, &none);
    for (int i = 0; i < 32; i++) {
        i16 c = i16_clamp(i16_nearest(v16_mul(inverse, x[i])), -half, half - 1);
        out->code[i] = i16_select(none, i16_set1(0), i16_add(c, i16_set1(half)));
    }
    out->odd = m16_bits(odd);
}

ALWAYS void code_affine(struct blocks *g, const int top, struct coded *out) {
    struct work k;
    v16 w[32];
    struct rounding from;
    k.odd = load_blocks(g, k.x, w);
    search_affine(32, top, &quantize_affine, 0, w, &k, 0, &from);
    for (int i = 0; i < 32; i++) {
        i16 c = i16_nearest(v16_mul(from.inverse, v16_sub(k.x[i], from.from)));
        out->code[i] = i16_select(k.zero[0], i16_set1(0), i16_clamp(c, 0, top));
    }
    out->scale = k.scale[0];
    out->min = v16_mul(k.minus_min[0], v16_set1(-1));
    out->odd = m16_bits(k.odd);
}

/* Sums for the levels that a reciprocal scale gives. */
ALWAYS struct sums try_levels(const v16 *x, const v16 *w, v16 inverse) {
    struct sums s;
#pragma GCC unroll 2
    for (int r = 0; r < REGS; r++) {
        const reg by = v16_reg(&inverse, r);
        reg xl = reg_set1(0);
        reg l2 = reg_set1(0);
#pragma GCC unroll 4
        for (int i = 0; i < 32; i++) {
            reg xi = v16_reg(&x[i], r);
            reg l = reg_iq4_level(by * xi);
            reg wl = v16_reg(&w[i], r) * l;
            xl += wl * xi;
            l2 += wl * l;
        }
        v16_set_reg(&s.xl, r, xl);
        v16_set_reg(&s.l2, r, l2);
    }
    return s;
}

ALWAYS v16 search_levels(const v16 *x, const v16 *w) {
    const v16 zero = v16_zero();
    const v16 one = v16_set1(1);
    v16 max = signed_max(32, x);
    v16 plain = v16_div(v16_mul(max, v16_set1(-1)), v16_set1(iq4_level[0]));
    struct sums s = try_levels(x, w, v16_div(one, plain));
    v16 scale = v16_select(v16_lt(zero, s.l2), v16_div(s.xl, s.l2), zero);
    v16 best = v16_mul(scale, s.xl);
    for (int t = -QUANTIZE_IQ4_TRIES; t <= QUANTIZE_IQ4_TRIES; t++) {
        s = try_levels(x, w, v16_div(v16_set1((float)t + iq4_level[0]), max));
        v16 fit = v16_div(s.xl, s.l2);
        m16 better = m16_and(v16_lt(zero, s.l2),
                             v16_lt(v16_mul(best, s.l2), v16_mul(s.xl, s.xl)));
        scale = v16_select(better, fit, scale);
        best = v16_select(better, v16_mul(fit, s.xl), best);
    }
    return v16_select(counts_as_zero(max), zero, scale);
}

ALWAYS void code_levels(const v16 *x, v16 inverse, i16 code[32]) {
    for (int i = 0; i < 32; i++)
        code[i] = i16_iq4_code(v16_mul(inverse, x[i]));
}

/* ---- from lanes to blocks ------------------------------------------------------------------ */

/* The nibbles of every lane's 32 codes. */
ALWAYS void pack_nibbles(const i16 code[32], uint8_t out[LANES][16]) {
    uint32_t word[4][LANES];
    for (int i = 0; i < 4; i++) {
        i16 w = i16_set1(0);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const i16 *c = code + 4 * i + j;
            i16 low = i16_and(c[0], i16_set1(15));
            i16 high = i16_and(c[16], i16_set1(15));
            w = i16_or(w, i16_left(i16_or(low, i16_left(high, 4)), 8 * j));
        }
        memcpy(word[i], &w, sizeof w);
    }
    for (int l = 0; l < LANES; l++)
        for (int i = 0; i < 4; i++)
            memcpy(out[l] + 4 * i, &word[i][l], 4);
}

ALWAYS void pack_fifth(const i16 code[32], uint32_t out[LANES]) {
    i16 bits = i16_set1(0);
    for (int i = 0; i < 32; i++)
        bits = i16_or(bits, i16_select(i16_gt(code[i], i16_set1(15)),
                                       i16_set1((int)(UINT32_C(1) << i)), i16_set1(0)));
    memcpy(out, &bits, sizeof bits);
}

/* Blocks of Q4_0 to Q5_1, which are the scale, the minimum if the type has one, the fifth bits if
 * it has them, and nibbles; odd ones by `alone`. */
ALWAYS void store_legacy(const struct blocks *g, const struct coded *c, const int has_min,
                         const int has_fifth, quantize_weighted *alone) {
    uint8_t qs[LANES][16];
    uint32_t qh[LANES];
    float scale[LANES];
    float min[LANES];
    pack_nibbles(c->code, qs);
    v16_store(scale, c->scale);
    if (has_fifth)
        pack_fifth(c->code, qh);
    if (has_min)
        v16_store(min, c->min);
    for (int l = 0; l < g->n; l++) {
        uint8_t *p = g->block[l];
        if (c->odd >> l & 1) {
            alone(g->x[l], g->importance[l], g->sigma2[l], p);
            continue;
        }
        quantize_store_half(p, scale[l]);
        p += 2;
        if (has_min) {
            quantize_store_half(p, min[l]);
            p += 2;
        }
        if (has_fifth) {
            memcpy(p, &qh[l], 4);
            p += 4;
        }
        memcpy(p, qs[l], 16);
    }
}

ALWAYS void flush_q4_0(struct blocks *g) {
    struct coded c;
    code_symmetric(g, 8, &c);
    store_legacy(g, &c, 0, 0, quantize_block_q4_0_ref);
}

ALWAYS void flush_q5_0(struct blocks *g) {
    struct coded c;
    code_symmetric(g, 16, &c);
    store_legacy(g, &c, 0, 1, quantize_block_q5_0_ref);
}

ALWAYS void flush_q4_1(struct blocks *g) {
    struct coded c;
    code_affine(g, 15, &c);
    store_legacy(g, &c, 1, 0, quantize_block_q4_1_ref);
}

ALWAYS void flush_q5_1(struct blocks *g) {
    struct coded c;
    code_affine(g, 31, &c);
    store_legacy(g, &c, 1, 1, quantize_block_q5_1_ref);
}

ALWAYS void flush_iq4_nl(struct blocks *g) {
    v16 x[32];
    v16 w[32];
    i16 code[32];
    uint8_t qs[LANES][16];
    float scale[LANES];
    unsigned odd = m16_bits(load_blocks(g, x, w));
    v16 d = search_levels(x, w);
    m16 none = v16_eq(d, v16_zero());
    v16_store(scale, d);
    code_levels(x, v16_select(none, v16_zero(), v16_div(v16_set1(1), d)), code);
    pack_nibbles(code, qs);
    for (int l = 0; l < g->n; l++) {
        struct block_iq4_nl *b = g->block[l];
        quantize_store_half(b->d, scale[l]);
        memcpy(b->qs, qs[l], 16);
        if (odd >> l & 1)
            quantize_iq4_nl_ref(g->x[l], b, 1, 32, g->importance[l]);
    }
}

/* Lanes 0 to 7 are the parts of one block, 8 to 15 of the next if there is one. */
ALWAYS void flush_iq4_xs(struct blocks *g) {
    v16 x[32];
    v16 w[32];
    i16 code[32];
    uint8_t qs[LANES][16];
    float scale[LANES];
    float inverse[LANES] = {0};
    unsigned odd = m16_bits(load_blocks(g, x, w));
    v16_store(scale, search_levels(x, w));
    for (int l = 0; l < g->n; l += 8)
        quantize_scales_iq4_xs_ref(scale + l, g->block[l], inverse + l);
    code_levels(x, v16_load(inverse), code);
    pack_nibbles(code, qs);
    for (int l = 0; l < g->n; l += 8) {
        struct block_iq4_xs *b = g->block[l];
        memcpy(b->qs, qs[l], sizeof b->qs);
        if (odd >> l & 255)
            quantize_iq4_xs_ref(g->x[l], b, 1, 256, g->importance[l]);
    }
}

/* ---- rows ---------------------------------------------------------------------------------- */

ALWAYS void add_block(struct blocks *g, const float *x, const float *importance, float sigma2,
                      void *block) {
    g->x[g->n] = x;
    g->importance[g->n] = importance;
    g->sigma2[g->n] = sigma2;
    g->block[g->n++] = block;
}

#define QUANTIZE_LEGACY(name, isa) \
    void quantize_##name##_##isa(const float *src, void *dst, int64_t rows, int64_t cols, \
                                 const float *importance) { \
        struct block_##name *b = dst; \
        struct blocks g = {.n = 0}; \
        for (int64_t n = rows * cols / 32; n > 0 && !importance; n--, src += 32, b++) \
            plain_##name(src, b); \
        for (int64_t r = 0; r < rows && importance; r++, src += cols) { \
            float sigma2 = quantize_mean_square(src, cols); \
            for (int64_t c = 0; c < cols; c += 32, b++) { \
                add_block(&g, src + c, importance + c, sigma2, b); \
                if (g.n == LANES || (r == rows - 1 && c == cols - 32)) { \
                    flush_##name(&g); \
                    g.n = 0; \
                } \
            } \
        } \
    }

/* Blocks of `parts` times 32 elements. */
#define QUANTIZE_LEVELS(name, isa, parts) \
    void quantize_##name##_##isa(const float *src, void *dst, int64_t rows, int64_t cols, \
                                 const float *importance) { \
        struct block_##name *b = dst; \
        struct blocks g = {.n = 0}; \
        for (int64_t n = 0; n < rows * cols; n += 32 * (parts), b++) { \
            const float *im = importance ? importance + n % cols : NULL; \
            float sigma2 = im ? quantize_twice_mean_square(src + n, 32 * (parts)) : 0; \
            for (int i = 0; i < 32 * (parts); i += 32) \
                add_block(&g, src + n + i, im ? im + i : NULL, sigma2, b); \
            if (g.n == LANES || n + 32 * (parts) == rows * cols) { \
                flush_##name(&g); \
                g.n = 0; \
            } \
        } \
    }

#define QUANTIZE_SEARCH_ALL(isa) \
    QUANTIZE_LEGACY(q4_0, isa) \
    QUANTIZE_LEGACY(q4_1, isa) \
    QUANTIZE_LEGACY(q5_0, isa) \
    QUANTIZE_LEGACY(q5_1, isa) \
    QUANTIZE_LEVELS(iq4_nl, isa, 1) \
    QUANTIZE_LEVELS(iq4_xs, isa, 8)

#endif
