/* vec_simd.h - norms, activations, rotary embedding and sums over one row, sixteen at a time
 *
 * Included by vec_avx2.c and vec_avx512.c. The same operations as vec_ref.c in the same order,
 * hence the same bits; element i is in lane i mod 16 of a sum.
 */
#ifndef VEC_SIMD_H
#define VEC_SIMD_H

#include "kernels/simd.h"
#include "kernels/vec.h"

static void rms_norm(const float *x, int d, const float *w, float eps, float *y) {
    d16 sum = d16_zero();
    int whole = d / 16 * 16;
    int rest = d - whole;
    for (int i = 0; i < whole; i += 16)
        sum = d16_add_square(sum, v16_load(x + i));
    if (rest)
        sum = d16_add_square(sum, v16_load_n(x + whole, rest, 0));
    v16 scale = v16_set1((float)(1 / sqrt(d16_sum(sum) / d + (double)eps)));
    for (int i = 0; i < whole; i += 16) {
        v16 z = v16_mul(v16_load(x + i), scale);
        v16_store(y + i, w ? v16_mul(z, v16_load(w + i)) : z);
    }
    if (rest) {
        v16 z = v16_mul(v16_load_n(x + whole, rest, 0), scale);
        v16_store_n(y + whole, rest, w ? v16_mul(z, v16_load_n(w + whole, rest, 0)) : z);
    }
}

static inline v16 act_of(int act, v16 g) {
    if (act == KERN_SILU)
        return v16_mul(g, v16_sigmoid(g));
    return act == KERN_GELU_TANH ? v16_gelu_tanh(g) : v16_gelu_erf(g);
}

static void glu(int act, const float *gate, const float *up, int64_t n, float *out) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(out + i, v16_mul(act_of(act, v16_load(gate + i)), v16_load(up + i)));
    int rest = (int)(n - i);
    if (rest)
        v16_store_n(out + i, rest, v16_mul(act_of(act, v16_load_n(gate + i, rest, 0)),
                                           v16_load_n(up + i, rest, 0)));
}

static void add(float *y, const float *x, float scale, int64_t n) {
    v16 s = v16_set1(scale);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(y + i, v16_fma(v16_load(x + i), s, v16_load(y + i)));
    for (; i < n; i++)
        y[i] = fmaf(x[i], scale, y[i]);
}

static void scale_row(float *x, int64_t n, float scale) {
    v16 s = v16_set1(scale);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(x + i, v16_mul(v16_load(x + i), s));
    for (; i < n; i++)
        x[i] *= scale;
}

static void softcap(float *x, int64_t n, float cap) {
    v16 c = v16_set1(cap);
    v16 inverse = v16_set1(1 / cap);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(x + i, v16_mul(c, v16_tanh(v16_mul(v16_load(x + i), inverse))));
    int rest = (int)(n - i);
    if (rest) {
        v16 y = v16_tanh(v16_mul(v16_load_n(x + i, rest, 0), inverse));
        v16_store_n(x + i, rest, v16_mul(c, y));
    }
}

/* The 2n floats at p (n <= 16) as pairs: first and second elements. */
static inline void load_pairs(const float *p, int n, v16 *first, v16 *second) {
    int n2 = 2 * n;
    v16 a = n2 < 16 ? v16_load_n(p, n2, 0) : v16_load(p);
    v16 b = n2 < 32 ? v16_load_n(p + 16, n2 < 16 ? 0 : n2 - 16, 0) : v16_load(p + 16);
    v16_unzip(a, b, first, second);
}

static inline void store_pairs(float *p, int n, v16 first, v16 second) {
    int n2 = 2 * n;
    v16 a;
    v16 b;
    v16_zip(first, second, &a, &b);
    v16_store_n(p, n2 < 16 ? n2 : 16, a);
    v16_store_n(p + 16, n2 < 16 ? 0 : n2 - 16, b);
}

static void rope(float *x, int heads, int dim, int half, int neox, const float *angles) {
    for (int i = 0; i < half; i += 16) {
        int n = half - i < 16 ? half - i : 16;
        v16 c;
        v16 s;
        load_pairs(angles + 2 * i, n, &c, &s);
        for (int h = 0; h < heads; h++) {
            float *p = x + h * dim + (neox ? i : 2 * i);
            v16 a;
            v16 b;
            if (neox) {
                a = v16_load_n(p, n, 0);
                b = v16_load_n(p + half, n, 0);
            } else {
                load_pairs(p, n, &a, &b);
            }
            v16 minus = v16_sub(v16_set1(-0.0f), v16_mul(b, s));
            v16 a_turned = v16_fma(a, c, minus);
            v16 b_turned = v16_fma(b, c, v16_mul(a, s));
            if (neox) {
                v16_store_n(p, n, a_turned);
                v16_store_n(p + half, n, b_turned);
            } else {
                store_pairs(p, n, a_turned, b_turned);
            }
        }
    }
}

static void sigmoid(const float *x, int64_t n, float *y) {
    for (int64_t i = 0; i < n; i += 16) {
        int some = n - i < 16 ? (int)(n - i) : 16;
        v16_store_n(y + i, some, v16_sigmoid(v16_load_n(x + i, some, 0)));
    }
}

static float max_of(const float *x, int64_t n) {
    v16 max = v16_set1(-INFINITY);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        max = v16_max(v16_load(x + i), max);
    if (i < n)
        max = v16_max(v16_load_n(x + i, (int)(n - i), -INFINITY), max);
    return v16_max_of(max);
}

static void softmax(const float *x, int64_t n, float *y) {
    v16 max = v16_set1(max_of(x, n));
    v16 sum = v16_set1(0);
    for (int64_t i = 0; i < n; i += 16) {
        int some = n - i < 16 ? (int)(n - i) : 16;
        v16 e = v16_exp(v16_sub(v16_load_n(x + i, some, -INFINITY), max));
        v16_store_n(y + i, some, e);
        sum = v16_add(sum, e);
    }
    scale_row(y, n, 1 / v16_sum(sum));
}

static double logsumexp(const float *x, int64_t n) {
    float most = max_of(x, n);
    if (isinf(most))
        return (double)most;
    v16 max = v16_set1(most);
    d16 sum = d16_zero();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = d16_add(sum, v16_exp(v16_sub(v16_load(x + i), max)));
    if (i < n)
        sum = d16_add(sum, v16_exp(v16_sub(v16_load_n(x + i, (int)(n - i), -INFINITY), max)));
    return (double)most + log(d16_sum(sum));
}

static const struct vec_ops ops = {
    .rms_norm = rms_norm, .glu = glu, .add = add, .scale = scale_row, .softcap = softcap,
    .rope = rope, .sigmoid = sigmoid, .softmax = softmax, .logsumexp = logsumexp,
};

#endif
