/* vec_ref.c - norms, activations, rotary embedding and sums over one row: the specification
 *
 * Plain C, one rounding an operation; see vmath.h for exp and its kin, vec.c for the rest.
 */
#include "kernels/vec.h"
#include "kernels/vmath.h"

static void rms_norm(const float *x, int d, const float *w, float eps, float *y) {
    double lane[16] = {0};
    for (int i = 0; i < d; i++)
        lane[i % 16] += (double)x[i] * (double)x[i];    /* the product is exact */
    float scale = (float)(1 / sqrt(vmath_sum16d(lane) / d + (double)eps));
    for (int i = 0; i < d; i++)
        y[i] = w ? x[i] * scale * w[i] : x[i] * scale;
}

static void glu(int act, const float *gate, const float *up, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i];
        if (act == KERN_SILU)
            g *= vmath_sigmoid(g);
        else
            g = act == KERN_GELU_TANH ? vmath_gelu_tanh(g) : vmath_gelu_erf(g);
        out[i] = g * up[i];
    }
}

static void add(float *y, const float *x, float scale, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = fmaf(x[i], scale, y[i]);
}

static void scale_row(float *x, int64_t n, float scale) {
    for (int64_t i = 0; i < n; i++)
        x[i] *= scale;
}

static void softcap(float *x, int64_t n, float cap) {
    float inverse = 1 / cap;
    for (int64_t i = 0; i < n; i++)
        x[i] = cap * vmath_tanh(x[i] * inverse);
}

/* (a, b) turned by the angle: (a cos - b sin, b cos + a sin). */
static void rope(float *x, int heads, int dim, int half, int neox, const float *angles) {
    int step = neox ? 1 : 2;
    int apart = neox ? half : 1;
    for (int h = 0; h < heads; h++) {
        for (int i = 0; i < half; i++) {
            float c = angles[2 * i];
            float s = angles[2 * i + 1];
            float *a = x + h * dim + i * step;
            float *b = a + apart;
            float turned = fmaf(*a, c, -(*b * s));
            *b = fmaf(*b, c, *a * s);
            *a = turned;
        }
    }
}

static void sigmoid(const float *x, int64_t n, float *y) {
    for (int64_t i = 0; i < n; i++)
        y[i] = vmath_sigmoid(x[i]);
}

static float max_of(const float *x, int64_t n) {
    float max = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static void softmax(const float *x, int64_t n, float *y) {
    float max = max_of(x, n);
    float lane[16] = {0};
    for (int64_t i = 0; i < n; i++) {
        y[i] = vmath_exp(x[i] - max);
        lane[i % 16] += y[i];
    }
    scale_row(y, n, 1 / vmath_sum16(lane));
}

static double logsumexp(const float *x, int64_t n) {
    float max = max_of(x, n);
    if (isinf(max))
        return (double)max;
    double lane[16] = {0};
    for (int64_t i = 0; i < n; i++)
        lane[i % 16] += (double)vmath_exp(x[i] - max);
    return (double)max + log(vmath_sum16d(lane));
}

static const struct vec_ops ops = {
    .rms_norm = rms_norm, .glu = glu, .add = add, .scale = scale_row, .softcap = softcap,
    .rope = rope, .sigmoid = sigmoid, .softmax = softmax, .logsumexp = logsumexp,
};

VEC_DEFINE(ref, &ops)
