/* quantize_search_ref.c - floats to the types whose scales are searched for, element by element
 *
 * Q4_0 to Q5_1 with importance, IQ4_NL and IQ4_XS always: scales for which the weighted sum of
 * squared errors is least among some tries. Expressions keep llama.cpp's order of operations, each
 * rounded to float, so that the bytes are the same.
 */
#include "kernels/kquant_search.h"
#include "kernels/quantize.h"
#include "kernels/quantize_form.h"

float quantize_mean_square(const float *x, int64_t n) {
    return kquant_sum_of_squares(n, x) / (float)n;
}

/* ---- uniform types ------------------------------------------------------------------------- */

static float search_symmetric(const float *x, const float *importance, float sigma2, int half,
                              uint8_t q[32]) {
    float w[32];
    kquant_weigh(32, x, importance, sigma2, w);
    return kquant_search_scale(32, half, x, w, q);
}

/* Returns the scale. */
static float search_affine(const float *x, const float *importance, float sigma2, int top,
                           uint8_t q[32], float *min) {
    float w[32];
    float minus_min;
    kquant_weigh(32, x, importance, sigma2, w);
    float scale = kquant_search_affine(32, top, &quantize_affine, 0, x, w, q, &minus_min);
    *min = -minus_min;
    return scale;
}

void quantize_block_q4_0_ref(const float *x, const float *importance, float sigma2, void *block) {
    struct block_q4_0 *b = block;
    uint8_t q[32];
    quantize_store_half(b->d, search_symmetric(x, importance, sigma2, 8, q));
    quantize_store_nibbles(b->qs, q);
}

void quantize_block_q5_0_ref(const float *x, const float *importance, float sigma2, void *block) {
    struct block_q5_0 *b = block;
    uint8_t q[32];
    quantize_store_half(b->d, search_symmetric(x, importance, sigma2, 16, q));
    quantize_store_nibbles(b->qs, q);
    quantize_store_fifth(b->qh, q);
}

void quantize_block_q4_1_ref(const float *x, const float *importance, float sigma2, void *block) {
    struct block_q4_1 *b = block;
    uint8_t q[32];
    float min;
    quantize_store_half(b->d, search_affine(x, importance, sigma2, 15, q, &min));
    quantize_store_half(b->m, min);
    quantize_store_nibbles(b->qs, q);
}

void quantize_block_q5_1_ref(const float *x, const float *importance, float sigma2, void *block) {
    struct block_q5_1 *b = block;
    uint8_t q[32];
    float min;
    quantize_store_half(b->d, search_affine(x, importance, sigma2, 31, q, &min));
    quantize_store_half(b->m, min);
    quantize_store_nibbles(b->qs, q);
    quantize_store_fifth(b->qh, q);
}

#define LEGACY(name) \
    void quantize_##name##_ref(const float *src, void *dst, int64_t rows, int64_t cols, \
                               const float *importance) { \
        struct block_##name *b = dst; \
        for (int64_t r = 0; r < rows; r++, src += cols) { \
            float sigma2 = importance ? quantize_mean_square(src, cols) : 0; \
            for (int64_t c = 0; c < cols; c += 32, b++) { \
                if (importance) \
                    quantize_block_##name##_ref(src + c, importance + c, sigma2, b); \
                else \
                    quantize_plain_##name##_ref(src + c, b); \
            } \
        } \
    }
LEGACY(q4_0)
LEGACY(q4_1)
LEGACY(q5_0)
LEGACY(q5_1)

/* ---- the non-linear types ------------------------------------------------------------------ */

/* Index of the level nearest to x; between two, the upper. */
static uint8_t nearest_iq4(float x) {
    const int8_t *level = block_iq4_table;
    int lo = 0;
    int hi = 15;
    if (x <= (float)level[0])
        return 0;
    if (x >= (float)level[15])
        return 15;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (x < (float)level[mid])
            hi = mid;
        else
            lo = mid;
    }
    return (uint8_t)(x - (float)level[hi - 1] < (float)level[hi] - x ? hi - 1 : hi);
}

/* Weighted sums of products of x and levels, of levels' squares. */
struct sums {
    float xl, l2;
};

static struct sums sum_levels(const float *x, const float *w, float inverse_scale) {
    struct sums s = {0, 0};
    for (int i = 0; i < 32; i++) {
        float l = (float)block_iq4_table[nearest_iq4(inverse_scale * x[i])];
        s.xl += w[i] * l * x[i];
        s.l2 += w[i] * l * l;
    }
    return s;
}

/* The scale of 32 elements: the largest takes level -127 + t for t from -7 to 7. */
static float search_iq4(const float *x, const float *w) {
    float max = kquant_signed_max(32, x);
    if (fabsf(max) < KQUANT_EPS)
        return 0;
    struct sums s = sum_levels(x, w, 1 / (-max / (float)block_iq4_table[0]));
    float d = s.l2 > 0 ? s.xl / s.l2 : 0;
    float best = d * s.xl;
    for (int t = -QUANTIZE_IQ4_TRIES; t <= QUANTIZE_IQ4_TRIES; t++) {
        s = sum_levels(x, w, (float)(t + block_iq4_table[0]) / max);
        if (s.l2 > 0 && s.xl * s.xl > best * s.l2) {
            d = s.xl / s.l2;
            best = d * s.xl;
        }
    }
    return d;
}

/* Weights of 32 elements: importance and size, or their squares. */
static void weigh_iq4(const float *x, const float *importance, float sigma2, float w[32]) {
    if (importance)
        kquant_weigh(32, x, importance, sigma2, w);
    else
        for (int i = 0; i < 32; i++)
            w[i] = x[i] * x[i];
}

float quantize_twice_mean_square(const float *x, int n) {
    return kquant_sum_of_squares(n, x) * (2.0f / (float)n);
}

void quantize_iq4_nl_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                         const float *importance) {
    struct block_iq4_nl *b = dst;
    for (int64_t n = 0; n < rows * cols; n += 32, src += 32, b++) {
        float w[32];
        uint8_t q[32];
        float sigma2 = quantize_twice_mean_square(src, 32);
        weigh_iq4(src, importance ? importance + n % cols : NULL, sigma2, w);
        float d = search_iq4(src, w);
        float id = quantize_inverse(d);
        quantize_store_half(b->d, d);
        for (int i = 0; i < 32; i++)
            q[i] = nearest_iq4(id * src[i]);
        quantize_store_nibbles(b->qs, q);
    }
}

void quantize_scales_iq4_xs_ref(const float scale[8], void *block, float inverse[8]) {
    struct block_iq4_xs *b = block;
    float d = -kquant_signed_max(8, scale) / 32;
    float id = quantize_inverse(d);
    int high = 0;
    quantize_store_half(b->d, d);
    memset(b->scales_l, 0, sizeof b->scales_l);
    for (int g = 0; g < 8; g++) {
        int l = kquant_clamp(kquant_nearest(id * scale[g]), -32, 31);
        inverse[g] = quantize_inverse(d * (float)l);
        b->scales_l[g / 2] |= (uint8_t)(((l + 32) & 15) << g % 2 * 4);
        high |= (l + 32) >> 4 << 2 * g;
    }
    block_put_u16(b->scales_h, (uint16_t)high);
}

void quantize_iq4_xs_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                         const float *importance) {
    struct block_iq4_xs *b = dst;
    for (int64_t n = 0; n < rows * cols; n += 256, src += 256, b++) {
        float sigma2 = quantize_twice_mean_square(src, 256);
        float scale[8];
        float inverse[8];
        for (int g = 0; g < 8; g++) {
            float w[32];
            weigh_iq4(src + 32 * g, importance ? importance + n % cols + 32 * g : NULL, sigma2, w);
            scale[g] = search_iq4(src + 32 * g, w);
        }
        quantize_scales_iq4_xs_ref(scale, b, inverse);
        for (int g = 0; g < 8; g++) {
            uint8_t q[32];
            for (int i = 0; i < 32; i++)
                q[i] = nearest_iq4(inverse[g] * src[32 * g + i]);
            quantize_store_nibbles(b->qs + 16 * g, q);
        }
    }
}
