/* kquant_search_ref.c - the searches of K-quants, one element after another */
#include "kernels/kquant_search.h"

float kquant_sum_of_squares(int64_t n, const float *x) {
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

void kquant_weigh(int n, const float *x, const float *importance, float sigma2, float *w) {
    for (int i = 0; i < n; i++)
        w[i] = importance[i] * sqrtf(sigma2 + x[i] * x[i]);
}

/* A part's line: element = scale * code + min. */
struct line {
    float scale, min;
};

/* Codes of n elements for the reciprocal scale `inverse`, counted from min on. */
static void codes_from(int n, int top, const float *x, float min, float inverse, uint8_t *code) {
    for (int i = 0; i < n; i++)
        code[i] = (uint8_t)kquant_clamp(kquant_nearest(inverse * (x[i] - min)), 0, top);
}

/* The weighted least-squares line through (code, x), its minimum held at 0 or below. Returns 0
 * where there is none. sum_w and sum_x are the sums of w and of w x. */
static int fit_line(int n, const float *x, const float *w, const uint8_t *code, float sum_w,
                    float sum_x, struct line *out) {
    float sum_l = 0;
    float sum_l2 = 0;
    float sum_xl = 0;
    for (int i = 0; i < n; i++) {
        float l = code[i];
        sum_l += w[i] * l;
        sum_l2 += w[i] * l * l;
        sum_xl += w[i] * l * x[i];
    }
    float det = sum_w * sum_l2 - sum_l * sum_l;
    if (!(det > 0))
        return 0;
    out->scale = (sum_w * sum_xl - sum_x * sum_l) / det;
    out->min = (sum_l2 * sum_x - sum_l * sum_xl) / det;
    if (out->min > 0) {
        out->min = 0;
        out->scale = sum_xl / sum_l2;
    }
    return 1;
}

static float line_error(int n, int absolute, const float *x, const float *w, const uint8_t *code,
                        const struct line *line) {
    float error = 0;
    for (int i = 0; i < n; i++) {
        float e = line->scale * code[i] + line->min - x[i];
        error += w[i] * (absolute ? fabsf(e) : e * e);
    }
    return error;
}

float kquant_search_affine(int n, int top, const struct kquant_search *s, int absolute,
                           const float *x, const float *w, uint8_t *code, float *minus_min) {
    struct line best = {0, x[0]};
    float max = x[0];
    float sum_w = w[0];
    float sum_x = sum_w * x[0];
    for (int i = 1; i < n; i++) {
        best.min = x[i] < best.min ? x[i] : best.min;
        max = x[i] > max ? x[i] : max;
        sum_w += w[i];
        sum_x += w[i] * x[i];
    }
    if (best.min > 0)
        best.min = 0;
    *minus_min = -best.min;
    memset(code, 0, (size_t)n);
    if (max == best.min)
        return 0;

    float inverse = (float)top / (max - best.min);
    best.scale = 1 / inverse;
    codes_from(n, top, x, best.min, inverse, code);
    float least = line_error(n, absolute, x, w, code, &best);
    for (int t = 0; t <= s->steps; t++) {
        struct line line;
        uint8_t tried[32];
        inverse = (s->first + s->step * (float)t + (float)top) / (max - best.min);
        codes_from(n, top, x, best.min, inverse, tried);
        if (!fit_line(n, x, w, tried, sum_w, sum_x, &line))
            continue;
        float error = line_error(n, absolute, x, w, tried, &line);
        if (error < least) {
            memcpy(code, tried, (size_t)n);
            least = error;
            best = line;
        }
    }
    *minus_min = -best.min;
    return best.scale;
}

float kquant_search_scale(int n, int half, const float *x, const float *w, uint8_t *code) {
    memset(code, 0, (size_t)n);
    float max = kquant_signed_max(n, x);
    if (fabsf(max) < KQUANT_EPS)
        return 0;
    float scale = 0;
    float best = 0;
    float best_inverse = 0;
    for (int t = -10; t <= 9; t++) {                /* -10 stands for 0, which comes first */
        float inverse = t == -10 ? (float)-half / max : -((float)half + 0.1f * (float)t) / max;
        if (t == 0)
            continue;
        float sum_xl = 0;
        float sum_l2 = 0;
        for (int i = 0; i < n; i++) {
            float l = (float)kquant_clamp(kquant_nearest(inverse * x[i]), -half, half - 1);
            sum_xl += w[i] * x[i] * l;
            sum_l2 += w[i] * l * l;
        }
        if (t == -10) {
            scale = sum_l2 != 0 ? sum_xl / sum_l2 : 0;
        } else {
            if (!(sum_l2 > 0 && sum_xl * sum_xl > best * sum_l2))
                continue;
            scale = sum_xl / sum_l2;
        }
        best = scale * sum_xl;
        best_inverse = inverse;
    }
    for (int i = 0; i < n; i++) {
        int l = kquant_nearest(best_inverse * x[i]);
        code[i] = (uint8_t)(half + kquant_clamp(l, -half, half - 1));
    }
    return scale;
}

float kquant_descend_scale(const float x[16], uint8_t code[16]) {
    memset(code, 0, 16);
    float max = kquant_signed_max(16, x);
    if (fabsf(max) < KQUANT_EPS)
        return 0;
    int c[16];
    float inverse = -4 / max;
    float sum_xl = 0;
    float sum_l2 = 0;
    for (int i = 0; i < 16; i++) {
        float w = x[i] * x[i];
        c[i] = kquant_clamp(kquant_nearest(inverse * x[i]), -4, 3);
        sum_xl += w * x[i] * (float)c[i];
        sum_l2 += w * (float)c[i] * (float)c[i];
    }
    for (int pass = 0, changed = 1; pass < 5 && changed; pass++) {
        changed = 0;
        for (int i = 0; i < 16; i++) {
            float w = x[i] * x[i];
            float xl = sum_xl - w * x[i] * (float)c[i];
            float l2 = sum_l2 - w * (float)c[i] * (float)c[i];
            if (!(xl > 0))
                continue;
            int to = kquant_clamp(kquant_nearest(x[i] * l2 / xl), -4, 3);
            if (to == c[i])
                continue;
            xl += w * x[i] * (float)to;
            l2 += w * (float)to * (float)to;
            if (l2 > 0 && xl * xl * sum_l2 > sum_xl * sum_xl * l2) {
                c[i] = to;
                sum_xl = xl;
                sum_l2 = l2;
                changed = 1;
            }
        }
    }
    for (int i = 0; i < 16; i++)
        code[i] = (uint8_t)(c[i] + 4);
    return sum_l2 > 0 ? sum_xl / sum_l2 : 0;
}

/* Among nine reciprocal scales that of least sum w (scale code - x)^2. max is the largest x. */
static float try_positive(int n, int top, const float *x, const float *w, float max) {
    float best_inverse = 0;
    float best = 0;
    for (int t = -5; t <= 4; t++) {                 /* -5 stands for 0, which comes first */
        if (t == 0)
            continue;
        float inverse = t == -5 ? (float)top / max : (0.1f * (float)t + (float)top) / max;
        float scale = 1 / inverse;
        float error = 0;
        for (int i = 0; i < n; i++) {
            int l = kquant_nearest(inverse * x[i]);
            l = t == -5 ? (uint8_t)l : l < top ? l : top;
            float e = x[i] - scale * (float)l;
            error += w[i] * e * e;
        }
        if (t == -5 || error < best) {
            best = error;
            best_inverse = inverse;
        }
    }
    return best_inverse;
}

float kquant_fit_positive(int n, int top, const float *x, const float *w, uint8_t code[16]) {
    float max = 0;
    for (int i = 0; i < n; i++)
        max = max > x[i] ? max : x[i];
    memset(code, 0, 16);
    if (max < KQUANT_EPS)
        return 0;
    float inverse = try_positive(n, top, x, w, max);
    float sum_xl = 0;
    float sum_l2 = 0;
    for (int i = 0; i < n; i++) {
        int l = kquant_nearest(inverse * x[i]);
        l = l < top ? l : top;
        code[i] = (uint8_t)l;
        sum_xl += w[i] * x[i] * (float)l;
        sum_l2 += w[i] * (float)l * (float)l;
    }
    for (int pass = 0, changed = 1; pass < 5 && changed; pass++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            float xl = sum_xl - w[i] * x[i] * (float)code[i];
            float l2 = sum_l2 - w[i] * (float)code[i] * (float)code[i];
            if (!(xl > 0 && l2 > 0))
                continue;
            int to = kquant_nearest(x[i] * l2 / xl);
            to = to < top ? to : top;
            if (to == code[i])
                continue;
            xl += w[i] * x[i] * (float)to;
            l2 += w[i] * (float)to * (float)to;
            if (xl * xl * sum_l2 > sum_xl * sum_xl * l2) {
                code[i] = (uint8_t)to;
                sum_xl = xl;
                sum_l2 = l2;
                changed = 1;
            }
        }
    }
    return sum_l2 > 0 ? sum_xl / sum_l2 : 0;
}
