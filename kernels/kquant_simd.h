/* kquant_simd.h - floats to K-quants, sixteen super-blocks side by side
 *
 * Included by kquant_avx2.c and kquant_avx512.c. A lane is a super-block: everything that
 * kquant_ref.c does to one is done here to sixteen, element after element in the same order with
 * the same roundings, branches being masks. Hence the same bytes, with these exceptions, in which
 * the whole super-block goes to kquant_ref.c:
 *   - values or importance of 2^60 and more, infinities, NaNs, and parts whose range or fit is so
 *     odd that rounding by v16_nearest_in would leave its domain;
 *   - a part whose stored scale is zero though the part is not constant: its codes are those of the
 *     search, which are not kept here.
 */
#ifndef KQUANT_SIMD_H
#define KQUANT_SIMD_H

#include "kernels/kquant.h"
#include "kernels/kquant_lanes.h"

#define LANES 16
#define LARGE_BITS 0x5d800000       /* 2^60 as a float */
#define SANE 0x1p100f               /* scales from here on are left to kquant_ref.c */

/* Sixteen super-blocks; the last one again where there are fewer. */
struct group {
    const float *x[LANES];
    const float *importance[LANES];
    int weighted;                   /* importance is there */
};

/* What is known of a group; element i of lane l is x[i] lane l. */
struct work {
    v16 x[KQUANT_SUPER];
    v16 scale[KQUANT_PARTS];
    v16 minus_min[KQUANT_PARTS];    /* types with minima */
    v16 weight[KQUANT_PARTS];       /* sum of a part's weights */
    m16 zero[KQUANT_PARTS];         /* the part has codes of 0 whatever its scale */
    m16 odd;                        /* lanes for kquant_ref.c */
};

/* n floats of every lane, transposed. Returns the lanes in which one is large. */
ALWAYS m16 load_lanes(const float *const src[LANES], int from, const int n, v16 *out) {
    i16 most = i16_set1(0);
    for (int i = 0; i < n; i += 16) {
        v16 y[16];
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++)
            y[l] = v16_load(src[l] + from + i);
        v16_transpose(y);
#pragma GCC unroll 16
        for (int l = 0; l < 16; l++) {
            most = i16_max(most, i16_bits(v16_abs(y[l])));
            out[i + l] = y[l];
        }
    }
    return i16_gt(most, i16_set1(LARGE_BITS - 1));
}

/* ---- searches: each is the function of that name in kquant_ref.c -------------------------- */

struct lines {
    v16 scale, min;
};

/* Sums over a part's codes: of w l, w l^2 and w l x. */
struct fits {
    v16 l, l2, xl;
};

ALWAYS void codes_from(const int n, const int top, const v16 *x, const v16 *w, v16 min,
                       v16 inverse, v16 *code, struct fits *out) {
    const reg lo = reg_set1(KQUANT_MAGIC);
    const reg hi = reg_set1(KQUANT_MAGIC + (float)top);
#pragma GCC unroll 2
    for (int r = 0; r < REGS; r++) {
        const reg from = v16_reg(&min, r);
        const reg by = v16_reg(&inverse, r);
        reg sum_l = reg_set1(0);
        reg sum_l2 = reg_set1(0);
        reg sum_xl = reg_set1(0);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            reg xi = v16_reg(&x[i], r);
            reg l = reg_nearest_in(by * (xi - from), lo, hi);
            reg wl = v16_reg(&w[i], r) * l;
            v16_set_reg(&code[i], r, l);
            sum_l += wl;
            sum_l2 += wl * l;
            sum_xl += wl * xi;
        }
        v16_set_reg(&out->l, r, sum_l);
        v16_set_reg(&out->l2, r, sum_l2);
        v16_set_reg(&out->xl, r, sum_xl);
    }
}

ALWAYS v16 line_error(const int n, const int absolute, const v16 *x, const v16 *w,
                      const v16 *code, struct lines line) {
    v16 error;
#pragma GCC unroll 2
    for (int r = 0; r < REGS; r++) {
        const reg scale = v16_reg(&line.scale, r);
        const reg min = v16_reg(&line.min, r);
        reg sum = reg_set1(0);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            reg e = scale * v16_reg(&code[i], r) + min - v16_reg(&x[i], r);
            reg loss = e * e;
            if (absolute)
                loss = reg_abs(e);
            sum += v16_reg(&w[i], r) * loss;
        }
        v16_set_reg(&error, r, sum);
    }
    return error;
}

/* Part j of n elements, with weights w. Beyond low and high, within which all of the part lies,
 * |inverse (x - min)| must stay below 2^22. */
ALWAYS void search_affine(const int n, const int top, const struct kquant_search *s,
                          const int absolute, const v16 *w, struct work *k, int j) {
    const v16 *x = k->x + n * j;
    const v16 zero = v16_zero();
    v16 low = x[0];
    v16 max = x[0];
    v16 sum_w = w[0];
    v16 sum_x = v16_mul(sum_w, x[0]);
    for (int i = 1; i < n; i++) {
        low = v16_min(x[i], low);
        max = v16_max(x[i], max);
        sum_w = v16_add(sum_w, w[i]);
        sum_x = v16_mul_add(w[i], x[i], sum_x);
    }
    low = v16_select(v16_lt(zero, low), zero, low);
    k->zero[j] = v16_eq(max, low);

    v16 code[32];
    struct fits f;
    v16 range = v16_sub(max, low);
    v16 inverse = v16_div(v16_set1((float)top), range);
    struct lines best = {v16_div(v16_set1(1), inverse), low};
    codes_from(n, top, x, w, low, inverse, code, &f);
    v16 least = line_error(n, absolute, x, w, code, best);
    m16 odd = v16_lt(range, v16_set1(1 / SANE));
    for (int t = 0; t <= s->steps; t++) {
        float steps = s->first + s->step * (float)t + (float)top;
        inverse = v16_div(v16_set1(steps), v16_sub(max, best.min));
        codes_from(n, top, x, w, best.min, inverse, code, &f);
        v16 det = v16_sub(v16_mul(sum_w, f.l2), v16_mul(f.l, f.l));
        struct lines line = {
            v16_div(v16_sub(v16_mul(sum_w, f.xl), v16_mul(sum_x, f.l)), det),
            v16_div(v16_sub(v16_mul(f.l2, sum_x), v16_mul(f.l, f.xl)), det),
        };
        m16 above = v16_lt(zero, line.min);
        line.min = v16_select(above, zero, line.min);
        line.scale = v16_select(above, v16_div(f.xl, f.l2), line.scale);
        v16 error = line_error(n, absolute, x, w, code, line);
        m16 better = m16_and(v16_lt(zero, det), v16_lt(error, least));
        least = v16_select(better, error, least);
        best.scale = v16_select(better, line.scale, best.scale);
        best.min = v16_select(better, line.min, best.min);
        v16 off = v16_abs(v16_sub(best.min, low));
        v16 limit = v16_mul(v16_set1(0x1p15f), v16_sub(max, best.min));
        odd = m16_or(odd, m16_not(v16_le(off, limit)));
    }
    k->odd = m16_or(k->odd, m16_and(odd, m16_not(k->zero[j])));
    k->scale[j] = v16_select(k->zero[j], zero, best.scale);
    best.min = v16_select(k->zero[j], low, best.min);
    k->minus_min[j] = v16_mul(best.min, v16_set1(-1));
}

/* n scales or minima; code[n] as small integers. */
ALWAYS v16 try_positive(const int n, const int top, const v16 *x, const v16 *w, v16 max) {
    v16 best_inverse = v16_zero();
    v16 least = v16_zero();
    for (int t = -5; t <= 4; t++) {
        if (t == 0)
            continue;
        float steps = t == -5 ? (float)top : 0.1f * (float)t + (float)top;
        v16 inverse = v16_div(v16_set1(steps), max);
        v16 scale = v16_div(v16_set1(1), inverse);
        v16 error = v16_zero();
        for (int i = 0; i < n; i++) {
            i16 l = i16_nearest(v16_mul(inverse, x[i]));
            l = t == -5 ? i16_and(l, i16_set1(255)) : i16_min(l, i16_set1(top));
            v16 e = v16_sub(x[i], v16_mul(scale, i16_floats(l)));
            error = v16_add(error, v16_mul(v16_mul(w[i], e), e));
        }
        if (t == -5) {
            least = error;
            best_inverse = inverse;
            continue;
        }
        m16 better = v16_lt(error, least);
        least = v16_select(better, error, least);
        best_inverse = v16_select(better, inverse, best_inverse);
    }
    return best_inverse;
}

/* Coordinate descent's sums: of w x code and of w code^2. */
struct sums {
    v16 xl, l2;
};

/* One element's step to a better code; l is its code, `to` the wanted one. Returns where it is
 * taken. */
ALWAYS m16 take_step(m16 may, v16 w, v16 x, i16 l, i16 to, struct sums rest, struct sums *s) {
    v16 wx = v16_mul(w, x);
    v16 f = i16_floats(to);
    v16 xl = v16_add(rest.xl, v16_mul(wx, f));
    v16 l2 = v16_add(rest.l2, v16_mul(v16_mul(w, f), f));
    may = m16_and(may, m16_not(i16_eq(to, l)));
    m16 better = v16_lt(v16_mul(v16_mul(s->xl, s->xl), l2), v16_mul(v16_mul(xl, xl), s->l2));
    better = m16_and(better, may);
    s->xl = v16_select(better, xl, s->xl);
    s->l2 = v16_select(better, l2, s->l2);
    return better;
}

ALWAYS void add_code(v16 w, v16 x, i16 l, struct sums *s) {
    v16 f = i16_floats(l);
    s->xl = v16_add(s->xl, v16_mul(v16_mul(w, x), f));
    s->l2 = v16_add(s->l2, v16_mul(v16_mul(w, f), f));
}

ALWAYS struct sums without_code(v16 w, v16 x, i16 l, struct sums s) {
    v16 f = i16_floats(l);
    return (struct sums){v16_sub(s.xl, v16_mul(v16_mul(w, x), f)),
                         v16_sub(s.l2, v16_mul(v16_mul(w, f), f))};
}

ALWAYS v16 fit_positive(const int n, const int top, const v16 *x, const v16 *w, i16 *code) {
    const v16 zero = v16_zero();
    v16 max = zero;
    for (int i = 0; i < n; i++)
        max = v16_max(max, x[i]);
    m16 none = v16_lt(max, v16_set1(KQUANT_EPS));
    v16 inverse = try_positive(n, top, x, w, max);
    struct sums s = {zero, zero};
    for (int i = 0; i < n; i++) {
        i16 l = i16_min(i16_nearest(v16_mul(inverse, x[i])), i16_set1(top));
        add_code(w[i], x[i], l, &s);
        code[i] = i16_and(l, i16_set1(255));
    }
    for (int pass = 0; pass < 5; pass++) {
        m16 changed = m16_none();
        for (int i = 0; i < n; i++) {
            struct sums rest = without_code(w[i], x[i], code[i], s);
            m16 may = m16_and(v16_lt(zero, rest.xl), v16_lt(zero, rest.l2));
            i16 to = i16_nearest(v16_div(v16_mul(x[i], rest.l2), rest.xl));
            to = i16_min(to, i16_set1(top));
            m16 taken = take_step(may, w[i], x[i], code[i], to, rest, &s);
            code[i] = i16_select(taken, i16_and(to, i16_set1(255)), code[i]);
            changed = m16_or(changed, taken);
        }
        if (!m16_bits(m16_and(changed, m16_not(none))))
            break;
    }
    for (int i = 0; i < n; i++)
        code[i] = i16_select(none, i16_set1(0), code[i]);
    v16 scale = v16_select(v16_lt(zero, s.l2), v16_div(s.xl, s.l2), zero);
    return v16_select(none, zero, scale);
}

ALWAYS v16 fit_to_max(const int n, const int top, const v16 *x, i16 *code) {
    v16 max = v16_zero();
    for (int i = 0; i < n; i++)
        max = v16_max(x[i], max);
    v16 inverse = v16_select(v16_lt(v16_zero(), max), v16_div(v16_set1((float)top), max),
                             v16_zero());
    for (int i = 0; i < n; i++)
        code[i] = i16_and(i16_nearest(v16_mul(inverse, x[i])), i16_set1(255));
    return v16_div(max, v16_set1((float)top));
}

/* ---- weights ---------------------------------------------------------------------------- */

ALWAYS v16 sum_of_squares(const int n, const v16 *x) {
    v16 sum = v16_zero();
    for (int i = 0; i < n; i++)
        sum = v16_mul_add(x[i], x[i], sum);
    return sum;
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

/* One small integer a lane, of part j. */
ALWAYS void lane_bytes(i16 v, uint8_t out[LANES]) {
    int32_t lane[LANES];
    memcpy(lane, &v, sizeof lane);
    for (int l = 0; l < LANES; l++)
        out[l] = (uint8_t)lane[l];
}

/* Lanes whose numbers are too large for a float's domain here, or none at all. */
ALWAYS m16 insane(v16 x) {
    return m16_not(v16_lt(v16_abs(x), v16_set1(SANE)));
}

/* ---- types with minima ------------------------------------------------------------------ */

/* The search of every part; x, scale, minus_min, weight and zero of k. */
ALWAYS void search_parts(const struct kquant_affine *t, const struct group *g, struct work *k) {
    const int n = t->group;
    v16 w[32];
    k->odd = load_lanes(g->x, 0, KQUANT_SUPER, k->x);
    v16 sigma2 = v16_zero();
    if (g->weighted)
        sigma2 = v16_div(v16_mul(v16_set1(t->sigma), sum_of_squares(KQUANT_SUPER, k->x)),
                         v16_set1(KQUANT_SUPER));
    for (int j = 0; j < KQUANT_SUPER / n; j++) {
        if (g->weighted) {
            weigh(n, g, sigma2, k, j, w);
            k->weight[j] = sum_of(n, w);
            search_affine(n, t->top, &t->weighted, 0, w, k, j);
        } else {
            weigh_plain(n, t->absolute, k->x + n * j, w);
            search_affine(n, t->top, &t->plain, t->absolute, w, k, j);
        }
        k->odd = m16_or(k->odd, m16_or(insane(k->scale[j]), insane(k->minus_min[j])));
    }
}

/* All of the sixteen super-blocks. Returns the lanes that are left to kquant_ref.c. */
ALWAYS unsigned affine_group(const struct kquant_affine *t, const struct group *g,
                             struct kquant_codes out[LANES]) {
    const int n = t->group;
    const int parts = KQUANT_SUPER / n;
    struct work k;
    i16 ls[KQUANT_PARTS];
    i16 lm[KQUANT_PARTS];
    uint16_t halves[LANES];
    uint16_t min_halves[LANES];
    uint8_t byte[LANES];
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

    i16 code[64];
    for (int j = 0; j < parts; j++) {
        m16 spills = m16_or(i16_gt(ls[j], i16_set1(t->scale_top)),
                            i16_gt(lm[j], i16_set1(t->scale_top)));
        v16 scale = v16_mul(d, i16_floats(ls[j]));
        v16 min = v16_mul(dmin, i16_floats(lm[j]));
        m16 lost = v16_eq(scale, v16_zero());
        k.odd = m16_or(k.odd, m16_or(spills, m16_and(lost, m16_not(k.zero[j]))));
        for (int i = 0; i < n; i++) {
            v16 q = v16_div(v16_add(k.x[n * j + i], min), scale);
            i16 c = i16_clamp(i16_nearest(q), 0, t->top);
            code[(n * j + i) % 64] = i16_select(lost, i16_set1(0), c);
        }
        if (n * (j + 1) % 64 == 0)
            store_words(code, n * (j + 1) - 64, out);
        lane_bytes(ls[j], byte);
        for (int l = 0; l < LANES; l++)
            out[l].ls[j] = byte[l];
        lane_bytes(lm[j], byte);
        for (int l = 0; l < LANES; l++)
            out[l].lm[j] = byte[l];
    }
    for (int l = 0; l < LANES; l++) {
        out[l].d = halves[l];
        out[l].dmin = min_halves[l];
    }
    return m16_bits(k.odd);
}

/* ---- types without ----------------------------------------------------------------------- */

/* The element of largest magnitude, with its sign, and the lanes where all count as zero. */
ALWAYS v16 signed_max(const v16 *x, m16 *none) {
    v16 max = v16_zero();
    v16 magnitude = v16_zero();
    for (int i = 0; i < 16; i++) {
        v16 a = v16_abs(x[i]);
        max = v16_select(v16_lt(magnitude, a), x[i], max);
        magnitude = v16_max(a, magnitude);
    }
    *none = v16_lt(magnitude, v16_set1(KQUANT_EPS));
    return max;
}

/* Sums for the codes that a reciprocal scale gives; wx is w * x. */
ALWAYS struct sums try_scale(const v16 *x, const v16 *w, const v16 *wx, v16 inverse,
                             const int half) {
    const v16 lo = v16_set1(KQUANT_MAGIC - (float)half);
    const v16 hi = v16_set1(KQUANT_MAGIC + (float)(half - 1));
    struct sums s = {v16_zero(), v16_zero()};
#pragma GCC unroll 4
    for (int i = 0; i < 16; i++) {
        v16 l = v16_nearest_in(v16_mul(inverse, x[i]), lo, hi);
        s.xl = v16_mul_add(wx[i], l, s.xl);
        s.l2 = v16_mul_add(v16_mul(w[i], l), l, s.l2);
    }
    return s;
}

/* Codes are not kept, but the reciprocal scale that gives them: code = half + the clamped nearest
 * of *inverse_out * x, and 0 in the lanes *none. */
ALWAYS v16 search_scale(const int half, const v16 *x, const v16 *w, v16 *inverse_out, m16 *none) {
    const v16 zero = v16_zero();
    v16 max = signed_max(x, none);
    v16 wx[16];
    for (int i = 0; i < 16; i++)
        wx[i] = v16_mul(w[i], x[i]);
    v16 scale = zero;
    v16 best = zero;
    v16 best_inverse = zero;
    for (int t = -10; t <= 9; t++) {
        if (t == 0)
            continue;
        float steps = t == -10 ? (float)-half : -((float)half + 0.1f * (float)t);
        v16 inverse = v16_div(v16_set1(steps), max);
        struct sums s = try_scale(x, w, wx, inverse, half);
        v16 fit = v16_div(s.xl, s.l2);
        m16 better = m16_and(v16_lt(zero, s.l2),
                             v16_lt(v16_mul(best, s.l2), v16_mul(s.xl, s.xl)));
        if (t == -10) {
            fit = v16_select(v16_eq(s.l2, zero), zero, fit);
            better = v16_eq(zero, zero);
        }
        scale = v16_select(better, fit, scale);
        best = v16_select(better, v16_mul(fit, s.xl), best);
        best_inverse = v16_select(better, inverse, best_inverse);
    }
    *inverse_out = best_inverse;
    return v16_select(*none, zero, scale);
}

ALWAYS v16 descend_scale(const v16 *x, m16 *none) {
    const v16 zero = v16_zero();
    v16 inverse = v16_div(v16_set1(-4), signed_max(x, none));
    struct sums s = {zero, zero};
    v16 w[16];
    i16 c[16];
    for (int i = 0; i < 16; i++) {
        w[i] = v16_mul(x[i], x[i]);
        c[i] = i16_clamp(i16_nearest(v16_mul(inverse, x[i])), -4, 3);
        add_code(w[i], x[i], c[i], &s);
    }
    for (int pass = 0; pass < 5; pass++) {
        m16 changed = m16_none();
        for (int i = 0; i < 16; i++) {
            struct sums rest = without_code(w[i], x[i], c[i], s);
            i16 to = i16_nearest(v16_div(v16_mul(x[i], rest.l2), rest.xl));
            to = i16_clamp(to, -4, 3);
            v16 grown = v16_mul(v16_mul(w[i], i16_floats(to)), i16_floats(to));
            m16 may = m16_and(v16_lt(zero, rest.xl), v16_lt(zero, v16_add(rest.l2, grown)));
            m16 taken = take_step(may, w[i], x[i], c[i], to, rest, &s);
            c[i] = i16_select(taken, to, c[i]);
            changed = m16_or(changed, taken);
        }
        if (!m16_bits(m16_and(changed, m16_not(*none))))
            break;
    }
    v16 scale = v16_select(v16_lt(zero, s.l2), v16_div(s.xl, s.l2), zero);
    return v16_select(*none, zero, scale);
}

ALWAYS v16 largest_scale(const v16 *scale) {
    v16 max = v16_zero();
    for (int j = 0; j < 16; j++)
        max = v16_select(v16_lt(v16_abs(max), v16_abs(scale[j])), scale[j], max);
    return max;
}

/* Rounds the elements to the scales d * (ls - offset), and stores the codes and ls. */
ALWAYS void round_scaled(const int half, struct work *k, v16 d, const i16 *ls, const int offset,
                         struct kquant_codes *out) {
    i16 code[64];
    uint8_t byte[LANES];
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
        lane_bytes(ls[j], byte);
        for (int l = 0; l < LANES; l++)
            out[l].ls[j] = byte[l];
    }
}

ALWAYS unsigned q3_k_group(const struct group *g, struct kquant_codes out[LANES]) {
    struct work k;
    v16 w[16];
    i16 ls[16];
    uint16_t halves[LANES];
    v16 d;
    v16 inverse;
    k.odd = load_lanes(g->x, 0, KQUANT_SUPER, k.x);
    v16 sigma2 = v16_zero();
    if (g->weighted)
        sigma2 = v16_div(v16_mul(v16_set1(2), sum_of_squares(KQUANT_SUPER, k.x)),
                         v16_set1(KQUANT_SUPER));
    for (int j = 0; j < 16; j++) {
        if (g->weighted) {
            weigh(16, g, sigma2, &k, j, w);
            k.weight[j] = sum_of(16, w);
            k.scale[j] = search_scale(4, k.x + 16 * j, w, &inverse, &k.zero[j]);
        } else {
            k.scale[j] = descend_scale(k.x + 16 * j, &k.zero[j]);
        }
        k.odd = m16_or(k.odd, insane(k.scale[j]));
    }
    if (g->weighted) {
        m16 none;
        d = search_scale(32, k.scale, k.weight, &inverse, &none);
        for (int j = 0; j < 16; j++) {
            i16 l = i16_clamp(i16_nearest(v16_mul(inverse, k.scale[j])), -32, 31);
            ls[j] = i16_select(none, i16_set1(0), i16_add(l, i16_set1(32)));
        }
    } else {
        v16 max = largest_scale(k.scale);
        m16 none = v16_eq(max, v16_zero());
        inverse = v16_div(v16_set1(-32), max);
        d = v16_select(none, v16_zero(), v16_div(v16_set1(1), inverse));
        /* llama.cpp keeps eight bits before it clamps: the same where the scale is a normal one */
        k.odd = m16_or(k.odd, m16_and(m16_not(none), v16_lt(v16_abs(max), v16_set1(1 / SANE))));
        for (int j = 0; j < 16; j++) {
            i16 l = i16_clamp(i16_nearest(v16_mul(inverse, k.scale[j])), -32, 31);
            ls[j] = i16_select(none, i16_set1(0), i16_add(l, i16_set1(32)));
        }
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
        k.scale[j] = search_scale(32, x, w, &inverse, &k.zero[j]);
        k.odd = m16_or(k.odd, insane(k.scale[j]));
    }
    v16 max = largest_scale(k.scale);
    k.odd = m16_or(k.odd, v16_lt(v16_abs(max), v16_set1(KQUANT_EPS)));
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
typedef void plain_of(const float *src, void *dst, int64_t rows, int64_t cols,
                      const float *importance);

ALWAYS void all_blocks(lanes_of *lanes, block_of *pack, plain_of *plain, size_t bytes,
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
