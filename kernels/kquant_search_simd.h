/* kquant_search_simd.h - the searches of kquant_search.h in sixteen lanes
 *
 * A lane is a super-block; element i of lane l is x[i] lane l. Every function does to a lane what
 * its namesake does to a super-block, in the same order with the same roundings, branches being
 * masks. Codes of elements are not kept: they are wanted only where a scale becomes zero.
 */
#ifndef KQUANT_SEARCH_SIMD_H
#define KQUANT_SEARCH_SIMD_H

#include "kernels/kquant_lanes.h"

#define LANES 16
#define SANE 0x1p100f               /* scales from here on are left to kquant_ref.c */
#define LARGE_BITS 0x5d800000       /* 2^60 as a float */

/* What is known of sixteen super-blocks. */
struct work {
    v16 x[KQUANT_SUPER];
    v16 scale[KQUANT_PARTS];
    v16 minus_min[KQUANT_PARTS];    /* types with minima */
    v16 weight[KQUANT_PARTS];       /* sum of a part's weights */
    m16 zero[KQUANT_PARTS];         /* the part has codes of 0 whatever its scale */
    m16 odd;                        /* lanes for kquant_ref.c */
};

struct lines {
    v16 scale, min;
};

/* Sums over a part's codes: of w l, w l^2 and w l x. */
struct fits {
    v16 l, l2, xl;
};

/* Lanes whose numbers are too large for a float's domain here, or none at all. */
ALWAYS m16 insane(v16 x) {
    return m16_not(v16_lt(v16_abs(x), v16_set1(SANE)));
}

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

/* How a part's codes came about: nearest of inverse * (x - from), within 0 .. top. */
struct rounding {
    v16 inverse, from;
};

/* Part j of n elements, with weights w. Lanes are odd where |inverse (x - min)| of an element might
 * reach 2^22. *chosen tells the codes, where it is not NULL. */
ALWAYS void search_affine(const int n, const int top, const struct kquant_search *s,
                          const int absolute, const v16 *w, struct work *k, int j,
                          struct rounding *chosen) {
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
    struct rounding from = {inverse, low};
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
        from.inverse = v16_select(better, inverse, from.inverse);
        from.from = v16_select(better, best.min, from.from);
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
    if (chosen)
        *chosen = from;
}

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

/* n scales or minima; code[n] as small integers. */
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

ALWAYS m16 counts_as_zero(v16 x) {
    return v16_lt(v16_abs(x), v16_set1(KQUANT_EPS));
}

/* As kquant_signed_max. */
ALWAYS v16 signed_max(const int n, const v16 *x) {
    v16 max = v16_zero();
    v16 magnitude = v16_zero();
    for (int i = 0; i < n; i++) {
        v16 a = v16_abs(x[i]);
        max = v16_select(v16_lt(magnitude, a), x[i], max);
        magnitude = v16_max(a, magnitude);
    }
    return max;
}

/* Sums for the codes that a reciprocal scale gives; wx is w * x. */
ALWAYS struct sums try_scale(const int n, const v16 *x, const v16 *w, const v16 *wx, v16 inverse,
                             const int half) {
    const v16 lo = v16_set1(KQUANT_MAGIC - (float)half);
    const v16 hi = v16_set1(KQUANT_MAGIC + (float)(half - 1));
    struct sums s = {v16_zero(), v16_zero()};
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        v16 l = v16_nearest_in(v16_mul(inverse, x[i]), lo, hi);
        s.xl = v16_mul_add(wx[i], l, s.xl);
        s.l2 = v16_mul_add(v16_mul(w[i], l), l, s.l2);
    }
    return s;
}

/* Codes are not kept, but the reciprocal scale that gives them: code = half + the clamped nearest
 * of *inverse_out * x, and 0 in the lanes *none. */
ALWAYS v16 search_scale(const int n, const int half, const v16 *x, const v16 *w,
                        v16 *inverse_out, m16 *none) {
    const v16 zero = v16_zero();
    v16 max = signed_max(n, x);
    v16 wx[32];
    *none = counts_as_zero(max);
    for (int i = 0; i < n; i++)
        wx[i] = v16_mul(w[i], x[i]);
    v16 scale = zero;
    v16 best = zero;
    v16 best_inverse = zero;
    for (int t = -10; t <= 9; t++) {
        if (t == 0)
            continue;
        float steps = t == -10 ? (float)-half : -((float)half + 0.1f * (float)t);
        v16 inverse = v16_div(v16_set1(steps), max);
        struct sums s = try_scale(n, x, w, wx, inverse, half);
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
    v16 max = signed_max(16, x);
    v16 inverse = v16_div(v16_set1(-4), max);
    struct sums s = {zero, zero};
    v16 w[16];
    i16 c[16];
    *none = counts_as_zero(max);
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

#endif
