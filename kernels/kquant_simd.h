/* kquant_simd.h - floats to K-quants, sixteen super-blocks side by side
 *
 * Included by kquant_avx2.c and kquant_avx512.c. A lane is a super-block: everything that
 * kquant_ref.c does to one is done here to sixteen, element after element in the same order with
 * the same roundings, branches being masks. Hence the same bytes, with these exceptions, in which
 * the whole super-block goes to kquant_ref.c:
 *   - values or importance of 2^60 and more, infinities, NaNs, and parts whose range or fit is so
 *     odd that rounding by v16_nearest_in and reg_nearest_in would leave its domain;
 *   - a part whose stored scale is zero though the part is not constant: its codes are those of the
 *     search, which are not kept here.
 */
#ifndef KQUANT_SIMD_H
#define KQUANT_SIMD_H

#include "kernels/kquant.h"
#include "kernels/kquant_search_simd.h"

/* Sixteen super-blocks; the last one again where there are fewer. */
struct group {
    const float *x[LANES];
    const float *importance[LANES];
    int weighted;                   /* importance is there */
};

/* ---- weights ---------------------------------------------------------------------------- */

ALWAYS v16 sum_of_squares(const int n, const v16 *x) {
    v16 sum = v16_zero();
    for (int i = 0; i < n; i++)
        sum = v16_mul_add(x[i], x[i], sum);
    return sum;
}

/* What importance is weighed with: sigma times the mean square of the whole super-block. */
ALWAYS v16 sigma2_of(const float sigma, const v16 *x) {
    return v16_div(v16_mul(v16_set1(sigma), sum_of_squares(KQUANT_SUPER, x)),
                   v16_set1(KQUANT_SUPER));
}

/* Weights of part j by importance. */
ALWAYS void weigh(const int n, const struct group *g, v16 sigma2, struct work *k, int j, v16 *w) {
    k->odd = m16_or(k->odd, load_lanes(g->importance, n * j, n, w));
    for (int i = 0; i < n; i++) {
        v16 x = k->x[n * j + i];
        w[i] = v16_mul(w[i], v16_sqrt(v16_mul_add(x, x, sigma2)));
    }
}

ALWAYS void weigh_plain(const int n, const int absolute, const v16 *x, v16 *w) {
    v16 mean = v16_zero();
    if (!absolute)
        mean = v16_sqrt(v16_div(sum_of_squares(n, x), v16_set1((float)n)));
    for (int i = 0; i < n; i++)
        w[i] = v16_add(mean, v16_abs(x[i]));
}

ALWAYS v16 sum_of(const int n, const v16 *x) {
    v16 sum = v16_zero();
    for (int i = 0; i < n; i++)
        sum = v16_add(sum, x[i]);
    return sum;
}

/* ---- from lanes to blocks --------------------------------------------------------------- */

/* Lanes' numbers as halves, in out[], and as the floats that those are. */
ALWAYS v16 to_halves(v16 x, uint16_t out[LANES]) {
    v16_store_half(out, x);
    return v16_load_half(out);
}

/* The codes of sixteen elements, from element `from` on, to the lanes' bytes. */
ALWAYS void store_words(const i16 code[16 * 4], int from, struct kquant_codes *out) {
    v16 word[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        const i16 *c = code + 4 * i;
        i16 low = i16_or(c[0], i16_left(c[1], 8));
        i16 high = i16_or(i16_left(c[2], 16), i16_left(c[3], 24));
        word[i] = v16_bits(i16_or(low, high));
    }
    v16_transpose(word);
    for (int l = 0; l < LANES; l++)
        memcpy(out[l].code + from, &word[l], 64);
}

/* One small integer a lane, ls or lm of part j. */
ALWAYS void store_ls(i16 v, int j, struct kquant_codes out[LANES]) {
    int32_t lane[LANES];
    memcpy(lane, &v, sizeof lane);
    for (int l = 0; l < LANES; l++)
        out[l].ls[j] = (uint8_t)lane[l];
}

ALWAYS void store_lm(i16 v, int j, struct kquant_codes out[LANES]) {
    int32_t lane[LANES];
    memcpy(lane, &v, sizeof lane);
    for (int l = 0; l < LANES; l++)
        out[l].lm[j] = (uint8_t)lane[l];
}

/* ---- types with minima ------------------------------------------------------------------ */

/* The search of every part; x, scale, minus_min, weight and zero of k. */
ALWAYS void search_parts(const struct kquant_affine *t, const struct group *g, struct work *k) {
    const int n = t->group;
    v16 w[32];
    k->odd = load_lanes(g->x, 0, KQUANT_SUPER, k->x);
    v16 sigma2 = v16_zero();
    if (g->weighted)
        sigma2 = sigma2_of(t->sigma, k->x);
    for (int j = 0; j < KQUANT_SUPER / n; j++) {
        if (g->weighted) {
            weigh(n, g, sigma2, k, j, w);
            k->weight[j] = sum_of(n, w);
            search_affine(n, t->top, &t->weighted, 0, w, k, j, NULL);
        } else {
            weigh_plain(n, t->absolute, k->x + n * j, w);
            search_affine(n, t->top, &t->plain, t->absolute, w, k, j, NULL);
        }
        k->odd = m16_or(k->odd, m16_or(insane(k->scale[j]), insane(k->minus_min[j])));
    }
}

/* Rounds the elements to the scales d * ls and the minima dmin * lm, and stores the codes, ls and
 * lm. */
ALWAYS void round_affine(const struct kquant_affine *t, struct work *k, v16 d, v16 dmin,
                         const i16 *ls, const i16 *lm, struct kquant_codes out[LANES]) {
    const int n = t->group;
    const i16 most = i16_set1(t->scale_top);
    i16 code[64];
    for (int j = 0; j < KQUANT_SUPER / n; j++) {
        v16 scale = v16_mul(d, i16_floats(ls[j]));
        v16 min = v16_mul(dmin, i16_floats(lm[j]));
        m16 lost = v16_eq(scale, v16_zero());
        m16 spills = m16_or(i16_gt(ls[j], most), i16_gt(lm[j], most));
        k->odd = m16_or(k->odd, m16_or(spills, m16_and(lost, m16_not(k->zero[j]))));
        for (int i = 0; i < n; i++) {
            v16 q = v16_div(v16_add(k->x[n * j + i], min), scale);
            i16 c = i16_clamp(i16_nearest(q), 0, t->top);
            code[(n * j + i) % 64] = i16_select(lost, i16_set1(0), c);
        }
        if (n * (j + 1) % 64 == 0)
            store_words(code, n * (j + 1) - 64, out);
        store_ls(ls[j], j, out);
        store_lm(lm[j], j, out);
    }
}

/* All of the sixteen super-blocks. Returns the lanes that are left to kquant_ref.c. */
ALWAYS unsigned affine_group(const struct kquant_affine *t, const struct group *g,
                             struct kquant_codes out[LANES]) {
    const int parts = KQUANT_SUPER / t->group;
    struct work k;
    i16 ls[KQUANT_PARTS];
    i16 lm[KQUANT_PARTS];
    uint16_t halves[LANES];
    uint16_t min_halves[LANES];
    v16 d;
    v16 dmin;
    search_parts(t, g, &k);
    if (g->weighted) {
        d = fit_positive(parts, t->scale_top, k.scale, k.weight, ls);
        dmin = fit_positive(parts, t->scale_top, k.minus_min, k.weight, lm);
    } else {
        d = fit_to_max(parts, t->scale_top, k.scale, ls);
        dmin = fit_to_max(parts, t->scale_top, k.minus_min, lm);
    }
    k.odd = m16_or(k.odd, m16_or(insane(d), insane(dmin)));
    d = to_halves(d, halves);
    dmin = to_halves(dmin, min_halves);
    k.odd = m16_or(k.odd, m16_or(insane(d), insane(dmin)));
    round_affine(t, &k, d, dmin, ls, lm, out);
    for (int l = 0; l < LANES; l++) {
        out[l].d = halves[l];
        out[l].dmin = min_halves[l];
    }
    return m16_bits(k.odd);
}

/* ---- types without ----------------------------------------------------------------------- */

/* Rounds the elements to the scales d * (ls - offset), and stores the codes and ls. */
ALWAYS void round_scaled(const int half, struct work *k, v16 d, const i16 *ls, const int offset,
                         struct kquant_codes *out) {
    i16 code[64];
    for (int j = 0; j < 16; j++) {
        v16 scale = v16_mul(d, i16_floats(i16_sub(ls[j], i16_set1(offset))));
        m16 lost = v16_eq(scale, v16_zero());
        k->odd = m16_or(k->odd, m16_and(lost, m16_not(k->zero[j])));
        for (int i = 0; i < 16; i++) {
            i16 c = i16_nearest(v16_div(k->x[16 * j + i], scale));
            c = i16_add(i16_clamp(c, -half, half - 1), i16_set1(half));
            code[(16 * j + i) % 64] = i16_select(lost, i16_set1(0), c);
        }
        if (j % 4 == 3)
            store_words(code, 16 * (j - 3), out);
        store_ls(ls[j], j, out);
    }
}

/* Scale, weight and zero of every part of Q3_K. */
ALWAYS void search_q3_k(const struct group *g, struct work *k) {
    v16 w[16];
    v16 inverse;
    v16 sigma2 = v16_zero();
    k->odd = load_lanes(g->x, 0, KQUANT_SUPER, k->x);
    if (g->weighted)
        sigma2 = sigma2_of(2, k->x);
    for (int j = 0; j < 16; j++) {
        if (g->weighted) {
            weigh(16, g, sigma2, k, j, w);
            k->weight[j] = sum_of(16, w);
            k->scale[j] = search_scale(16, 4, k->x + 16 * j, w, &inverse, &k->zero[j]);
        } else {
            k->scale[j] = descend_scale(k->x + 16 * j, &k->zero[j]);
        }
        k->odd = m16_or(k->odd, insane(k->scale[j]));
    }
}

ALWAYS unsigned q3_k_group(const struct group *g, struct kquant_codes out[LANES]) {
    struct work k;
    i16 ls[16];
    uint16_t halves[LANES];
    v16 d;
    v16 inverse;
    m16 none;
    search_q3_k(g, &k);
    if (g->weighted) {
        d = search_scale(16, 32, k.scale, k.weight, &inverse, &none);
    } else {
        v16 max = signed_max(16, k.scale);
        none = v16_eq(max, v16_zero());
        inverse = v16_div(v16_set1(-32), max);
        d = v16_select(none, v16_zero(), v16_div(v16_set1(1), inverse));
        /* llama.cpp keeps eight bits before it clamps: the same where the scale is a normal one */
        k.odd = m16_or(k.odd, m16_and(m16_not(none), v16_lt(v16_abs(max), v16_set1(1 / SANE))));
    }
    for (int j = 0; j < 16; j++) {
        i16 l = i16_clamp(i16_nearest(v16_mul(inverse, k.scale[j])), -32, 31);
        ls[j] = i16_select(none, i16_set1(0), i16_add(l, i16_set1(32)));
    }
    k.odd = m16_or(k.odd, insane(d));
    d = to_halves(d, halves);
    k.odd = m16_or(k.odd, insane(d));
    round_scaled(4, &k, d, ls, 32, out);
    for (int l = 0; l < LANES; l++)
        out[l].d = halves[l];
    return m16_bits(k.odd);
}

/* Super-blocks of nothing are left to kquant_ref.c, which is quick there. */
ALWAYS unsigned q6_k_group(const struct group *g, struct kquant_codes out[LANES]) {
    struct work k;
    v16 w[16];
    i16 ls[16];
    uint16_t halves[LANES];
    v16 inverse;
    k.odd = load_lanes(g->x, 0, KQUANT_SUPER, k.x);
    for (int j = 0; j < 16; j++) {
        const v16 *x = k.x + 16 * j;
        if (g->weighted)
            k.odd = m16_or(k.odd, load_lanes(g->importance, 16 * j, 16, w));
        for (int i = 0; i < 16 && !g->weighted; i++)
            w[i] = v16_mul(x[i], x[i]);
        k.scale[j] = search_scale(16, 32, x, w, &inverse, &k.zero[j]);
        k.odd = m16_or(k.odd, insane(k.scale[j]));
    }
    v16 max = signed_max(16, k.scale);
    k.odd = m16_or(k.odd, counts_as_zero(max));
    inverse = v16_div(v16_set1(-128), max);
    v16 d = to_halves(v16_div(v16_set1(1), inverse), halves);
    k.odd = m16_or(k.odd, insane(d));
    for (int j = 0; j < 16; j++)
        ls[j] = i16_min(i16_nearest(v16_mul(inverse, k.scale[j])), i16_set1(127));
    round_scaled(32, &k, d, ls, 0, out);
    for (int l = 0; l < LANES; l++)
        out[l].d = halves[l];
    return m16_bits(k.odd);
}

/* ---- all blocks of a matrix -------------------------------------------------------------- */

typedef unsigned lanes_of(const struct group *g, struct kquant_codes out[LANES]);
typedef void block_of(const struct kquant_codes *c, uint8_t *dst);

ALWAYS void all_blocks(lanes_of *lanes, block_of *pack, quantize_rows *plain, size_t bytes,
                       const float *src, uint8_t *dst, int64_t rows, int64_t cols,
                       const float *importance) {
    struct kquant_codes codes[LANES];
    int64_t count = rows * (cols / KQUANT_SUPER);
    for (int64_t first = 0; first < count; first += LANES) {
        struct group g;
        int n = count - first < LANES ? (int)(count - first) : LANES;
        g.weighted = importance != NULL;
        for (int l = 0; l < LANES; l++) {
            int64_t at = (first + (l < n ? l : n - 1)) * KQUANT_SUPER;
            g.x[l] = src + at;
            g.importance[l] = importance ? importance + at % cols : NULL;
        }
        unsigned odd = lanes(&g, codes);
        for (int l = 0; l < n; l++, dst += bytes)
            if (odd >> l & 1)
                plain(g.x[l], dst, 1, KQUANT_SUPER, g.importance[l]);
            else
                pack(&codes[l], dst);
    }
}

#define KQUANT_DEFINE(type, isa, call) \
    static unsigned lanes_##type(const struct group *g, struct kquant_codes out[LANES]) { \
        return call; \
    } \
    static void block_##type(const struct kquant_codes *c, uint8_t *dst) { \
        kquant_pack_##type(c, (struct block_##type *)(void *)dst); \
    } \
    void kquant_##type##_##isa(const float *src, void *dst, int64_t rows, int64_t cols, \
                               const float *importance) { \
        all_blocks(lanes_##type, block_##type, kquant_##type##_ref, sizeof(struct block_##type), \
                   src, dst, rows, cols, importance); \
    }

#define KQUANT_DEFINE_ALL(isa) \
    KQUANT_DEFINE(q2_k, isa, affine_group(&kquant_q2_k, g, out)) \
    KQUANT_DEFINE(q3_k, isa, q3_k_group(g, out)) \
    KQUANT_DEFINE(q4_k, isa, affine_group(&kquant_q4_k, g, out)) \
    KQUANT_DEFINE(q5_k, isa, affine_group(&kquant_q5_k, g, out)) \
    KQUANT_DEFINE(q6_k, isa, q6_k_group(g, out))

#endif
