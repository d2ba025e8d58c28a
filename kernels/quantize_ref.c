/* quantize_ref.c - floats to all types but the K types, one element after another
 *
 * Expressions keep llama.cpp's order of operations, each rounded to float, so that the bytes are
 * the same. Two families: without importance a block's scale follows from its extremes and codes
 * are rounded; with importance (IQ4_NL and IQ4_XS always) scales are searched for, so that the
 * weighted sum of squared errors is least.
 */
#include "kernels/quantize.h"

#include <float.h>
#include <math.h>

#include "kernels/blocks.h"
#include "kernels/kern.h"

/* A part whose largest magnitude is less counts as zero. */
#define EPS 1e-15f
/* Adding it to |x| < 2^22 leaves x rounded to nearest, ties to even, in the low bits. */
#define MAGIC 12582912.0f

/* ---- rounding ------------------------------------------------------------------------------ */

static int nearest(float x) {
    float y = x + MAGIC;
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    return (int)(bits & 0x007fffff) - 0x00400000;
}

static int clamp(int v, int lo, int hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

/* x without its fraction, in the low 8 bits; what is no int (x86 then gives 2^31) is 0. */
static int cut_to_byte(float x) {
    return x > -2147483648.0f && x < 2147483648.0f ? (int8_t)(int)x : 0;
}

/* Halves away from zero, in the low 8 bits. */
static int round_to_byte(float x) {
    return cut_to_byte(roundf(x));
}

static float store_half(uint8_t *p, float x) {
    uint16_t h = block_to_half(x);
    memcpy(p, &h, sizeof h);
    return block_half(h);
}

static void store_nibbles(uint8_t *qs, const uint8_t q[32]) {
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

static void store_fifth(uint8_t *qh, const uint8_t q[32]) {
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(q[i] >> 4 & 1) << i;
    memcpy(qh, &bits, sizeof bits);
}

/* ---- extremes ------------------------------------------------------------------------------ */

/* The element of largest magnitude, the first of several, with its sign. */
static float signed_max(const float *x, int n) {
    float magnitude = 0;
    float max = 0;
    for (int i = 0; i < n; i++)
        if (magnitude < fabsf(x[i])) {
            magnitude = fabsf(x[i]);
            max = x[i];
        }
    return max;
}

static float largest(const float *x, int n) {
    float most = 0;
    for (int i = 0; i < n; i++)
        most = most > fabsf(x[i]) ? most : fabsf(x[i]);
    return most;
}

static float inverse(float d) {
    return d != 0 ? 1.0f / d : 0.0f;
}

/* ---- floats -------------------------------------------------------------------------------- */

void quantize_f32_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                      const float *importance) {
    (void)importance;
    memcpy(dst, src, (size_t)(rows * cols) * sizeof *src);
}

void quantize_f16_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                      const float *importance) {
    uint8_t *p = dst;
    (void)importance;
    for (int64_t i = 0; i < rows * cols; i++)
        store_half(p + 2 * i, src[i]);
}

void quantize_bf16_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                       const float *importance) {
    uint8_t *p = dst;
    (void)importance;
    for (int64_t i = 0; i < rows * cols; i++) {
        uint16_t h = block_to_bf16(src[i]);
        memcpy(p + 2 * i, &h, sizeof h);
    }
}

/* ---- by extremes --------------------------------------------------------------------------- */

static void plain_q4_0(const float *x, struct block_q4_0 *b) {
    float d = signed_max(x, 32) / -8;
    float id = inverse(d);
    uint8_t q[32];
    store_half(b->d, d);
    for (int i = 0; i < 32; i++) {
        int v = cut_to_byte(x[i] * id + 8.5f);
        q[i] = (uint8_t)(v < 15 ? v : 15);
    }
    store_nibbles(b->qs, q);
}

static void plain_q5_0(const float *x, struct block_q5_0 *b) {
    float d = signed_max(x, 32) / -16;
    float id = inverse(d);
    uint8_t q[32];
    store_half(b->d, d);
    for (int i = 0; i < 32; i++) {
        int v = cut_to_byte(x[i] * id + 16.5f);
        q[i] = (uint8_t)(v < 31 ? v : 31);
    }
    store_nibbles(b->qs, q);
    store_fifth(b->qh, q);
}

/* Codes 0 .. top from the minimum on. */
static void plain_affine(const float *x, int top, uint8_t *d_at, uint8_t *m_at, uint8_t q[32]) {
    float min = FLT_MAX;
    float max = -FLT_MAX;
    for (int i = 0; i < 32; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    float d = (max - min) / (float)top;
    float id = inverse(d);
    store_half(d_at, d);
    store_half(m_at, min);
    for (int i = 0; i < 32; i++) {
        int v = cut_to_byte((x[i] - min) * id + 0.5f);
        q[i] = (uint8_t)(top == 15 && v > 15 ? 15 : v);
    }
}

static void plain_q4_1(const float *x, struct block_q4_1 *b) {
    uint8_t q[32];
    plain_affine(x, 15, b->d, b->m, q);
    store_nibbles(b->qs, q);
}

static void plain_q5_1(const float *x, struct block_q5_1 *b) {
    uint8_t q[32];
    plain_affine(x, 31, b->d, b->m, q);
    store_nibbles(b->qs, q);
    store_fifth(b->qh, q);
}

void quantize_q8_0_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                       const float *importance) {
    struct block_q8_0 *b = dst;
    (void)importance;
    for (int64_t n = rows * cols / 32; n > 0; n--, src += 32, b++) {
        float d = largest(src, 32) / 127;
        float id = inverse(d);
        store_half(b->d, d);
        for (int i = 0; i < 32; i++)
            b->qs[i] = (int8_t)round_to_byte(src[i] * id);
    }
}

/* The nearest of the table's levels times half; the first of several. */
static uint8_t nearest_e2m1(float x, float half) {
    int best = 0;
    float least = fabsf((float)block_e2m1_table[0] * half - x);
    for (int i = 1; i < 16; i++) {
        float error = fabsf((float)block_e2m1_table[i] * half - x);
        if (error < least) {
            least = error;
            best = i;
        }
    }
    return (uint8_t)best;
}

/* The exponent of the power of two below the largest magnitude, less 2: that of the table's 4. */
void quantize_mxfp4_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                        const float *importance) {
    struct block_mxfp4 *b = dst;
    (void)importance;
    for (int64_t n = rows * cols / 32; n > 0; n--, src += 32, b++) {
        float most = largest(src, 32);
        uint8_t q[32];
        b->e = most > 0 ? (uint8_t)cut_to_byte(floorf(log2f(most)) - 2 + 127) : 0;
        for (int i = 0; i < 32; i++)
            q[i] = nearest_e2m1(src[i], block_e8m0_half(b->e));
        store_nibbles(b->qs, q);
    }
}

/* -1, 0, 1 as 0, 1, 2; two bits each, four elements 32 apart in a byte, twice. */
void quantize_tq2_0_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                        const float *importance) {
    struct block_tq2_0 *b = dst;
    (void)importance;
    for (int64_t n = rows * cols / 256; n > 0; n--, src += 256, b++) {
        float d = largest(src, 256);
        float id = inverse(d);
        store_half(b->d, d);
        for (int i = 0; i < 64; i++) {
            int q = 0;
            for (int k = 0; k < 4; k++) {
                float x = src[i / 32 * 128 + k * 32 + i % 32];
                q |= ((round_to_byte(x * id) + 1) & 3) << 2 * k;
            }
            b->qs[i] = (uint8_t)q;
        }
    }
}

/* ---- by search ----------------------------------------------------------------------------- */

static float mean_square(const float *x, int64_t n) {
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum / (float)n;
}

static void weigh(const float *x, const float *importance, float sigma2, float w[32]) {
    for (int i = 0; i < 32; i++)
        w[i] = importance[i] * sqrtf(sigma2 + x[i] * x[i]);
}

/* Weighted sums of products of x and levels, of levels' squares. */
struct sums {
    float xl, l2;
};

static struct sums sum_codes(const float *x, const float *w, int half, float inverse_scale) {
    struct sums s = {0, 0};
    for (int i = 0; i < 32; i++) {
        float l = (float)clamp(nearest(inverse_scale * x[i]), -half, half - 1);
        s.xl += w[i] * x[i] * l;
        s.l2 += w[i] * l * l;
    }
    return s;
}

/* Codes q - half for the scale that is returned. */
static float search_symmetric(const float *x, const float *w, int half, uint8_t q[32]) {
    float max = signed_max(x, 32);
    memset(q, 0, 32);
    if (fabsf(max) < EPS)
        return 0;
    float chosen = (float)-half / max;
    struct sums s = sum_codes(x, w, half, chosen);
    float scale = s.l2 != 0 ? s.xl / s.l2 : 0;
    float best = scale * s.xl;
    for (int t = -9; t <= 9; t++) {
        if (t == 0)
            continue;
        float tried = -((float)half + 0.1f * (float)t) / max;
        s = sum_codes(x, w, half, tried);
        if (s.l2 > 0 && s.xl * s.xl > best * s.l2) {
            chosen = tried;
            scale = s.xl / s.l2;
            best = scale * s.xl;
        }
    }
    for (int i = 0; i < 32; i++)
        q[i] = (uint8_t)(half + clamp(nearest(chosen * x[i]), -half, half - 1));
    return scale;
}

struct line {
    float scale, min;
};

static void codes_from(const float *x, int top, float min, float inverse_scale, uint8_t q[32]) {
    for (int i = 0; i < 32; i++)
        q[i] = (uint8_t)clamp(nearest(inverse_scale * (x[i] - min)), 0, top);
}

static float line_error(const float *x, const float *w, const uint8_t q[32], struct line line) {
    float error = 0;
    for (int i = 0; i < 32; i++) {
        float e = line.scale * (float)q[i] + line.min - x[i];
        error += w[i] * (e * e);
    }
    return error;
}

/* The weighted least-squares line through (q, x), its minimum at 0 or below. 0: there is none. */
static int fit_line(const float *x, const float *w, const uint8_t q[32], float sum_w, float sum_x,
                    struct line *out) {
    float sum_l = 0;
    float sum_l2 = 0;
    float sum_xl = 0;
    for (int i = 0; i < 32; i++) {
        float l = (float)q[i];
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

/* Codes 0 .. top for the line that is returned. */
static struct line search_affine(const float *x, const float *w, int top, uint8_t q[32]) {
    struct line best = {0, x[0]};
    float max = x[0];
    float sum_w = w[0];
    float sum_x = sum_w * x[0];
    for (int i = 1; i < 32; i++) {
        best.min = x[i] < best.min ? x[i] : best.min;
        max = x[i] > max ? x[i] : max;
        sum_w += w[i];
        sum_x += w[i] * x[i];
    }
    if (best.min > 0)
        best.min = 0;
    memset(q, 0, 32);
    if (max <= best.min)
        return best;
    float inverse_scale = (float)top / (max - best.min);
    best.scale = 1 / inverse_scale;
    codes_from(x, top, best.min, inverse_scale, q);
    float least = line_error(x, w, q, best);
    for (int t = 0; t <= 36; t++) {
        struct line line;
        uint8_t tried[32];
        inverse_scale = (-0.9f + 0.05f * (float)t + (float)top) / (max - best.min);
        codes_from(x, top, best.min, inverse_scale, tried);
        if (!fit_line(x, w, tried, sum_w, sum_x, &line))
            continue;
        float error = line_error(x, w, tried, line);
        if (error < least) {
            memcpy(q, tried, 32);
            least = error;
            best = line;
        }
    }
    return best;
}

static void searched_q4_0(const float *x, const float *w, struct block_q4_0 *b) {
    uint8_t q[32];
    store_half(b->d, search_symmetric(x, w, 8, q));
    store_nibbles(b->qs, q);
}

static void searched_q5_0(const float *x, const float *w, struct block_q5_0 *b) {
    uint8_t q[32];
    store_half(b->d, search_symmetric(x, w, 16, q));
    store_nibbles(b->qs, q);
    store_fifth(b->qh, q);
}

/* The minimum passes through its negative, as llama.cpp's does: zeros change their sign. */
static void searched_q4_1(const float *x, const float *w, struct block_q4_1 *b) {
    uint8_t q[32];
    struct line line = search_affine(x, w, 15, q);
    store_half(b->d, line.scale);
    store_half(b->m, -(-line.min));
    store_nibbles(b->qs, q);
}

static void searched_q5_1(const float *x, const float *w, struct block_q5_1 *b) {
    uint8_t q[32];
    struct line line = search_affine(x, w, 31, q);
    store_half(b->d, line.scale);
    store_half(b->m, -(-line.min));
    store_nibbles(b->qs, q);
    store_fifth(b->qh, q);
}

#define LEGACY(name) \
    void quantize_##name##_ref(const float *src, void *dst, int64_t rows, int64_t cols, \
                               const float *importance) { \
        struct block_##name *b = dst; \
        for (int64_t r = 0; r < rows; r++, src += cols) { \
            float sigma2 = importance ? mean_square(src, cols) : 0; \
            for (int64_t c = 0; c < cols; c += 32, b++) { \
                float w[32]; \
                if (!importance) { \
                    plain_##name(src + c, b); \
                    continue; \
                } \
                weigh(src + c, importance + c, sigma2, w); \
                searched_##name(src + c, w, b); \
            } \
        } \
    }
LEGACY(q4_0)
LEGACY(q4_1)
LEGACY(q5_0)
LEGACY(q5_1)

/* ---- the non-linear types ------------------------------------------------------------------ */

#define IQ4_TRIES 7

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
    float max = signed_max(x, 32);
    if (fabsf(max) < EPS)
        return 0;
    struct sums s = sum_levels(x, w, 1 / (-max / (float)block_iq4_table[0]));
    float d = s.l2 > 0 ? s.xl / s.l2 : 0;
    float best = d * s.xl;
    for (int t = -IQ4_TRIES; t <= IQ4_TRIES; t++) {
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
        weigh(x, importance, sigma2, w);
    else
        for (int i = 0; i < 32; i++)
            w[i] = x[i] * x[i];
}

static float twice_mean_square(const float *x, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum * (2.0f / (float)n);
}

void quantize_iq4_nl_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                         const float *importance) {
    struct block_iq4_nl *b = dst;
    for (int64_t n = 0; n < rows * cols; n += 32, src += 32, b++) {
        float w[32];
        uint8_t q[32];
        weigh_iq4(src, importance ? importance + n % cols : NULL, twice_mean_square(src, 32), w);
        float d = search_iq4(src, w);
        float id = inverse(d);
        store_half(b->d, d);
        for (int i = 0; i < 32; i++)
            q[i] = nearest_iq4(id * src[i]);
        store_nibbles(b->qs, q);
    }
}

/* Six-bit scales in units of d; the largest is -32. */
static void store_iq4_xs(const float *x, const float scale[8], struct block_iq4_xs *b) {
    float max = signed_max(scale, 8);
    float d = -max / 32;
    float id = inverse(d);
    int high = 0;
    store_half(b->d, d);
    memset(b->scales_l, 0, sizeof b->scales_l);
    for (int g = 0; g < 8; g++) {
        uint8_t q[32];
        int l = clamp(nearest(id * scale[g]), -32, 31);
        float inv = inverse(d * (float)l);
        for (int i = 0; i < 32; i++)
            q[i] = nearest_iq4(inv * x[32 * g + i]);
        store_nibbles(b->qs + 16 * g, q);
        b->scales_l[g / 2] |= (uint8_t)(((l + 32) & 15) << g % 2 * 4);
        high |= (l + 32) >> 4 << 2 * g;
    }
    b->scales_h[0] = (uint8_t)high;
    b->scales_h[1] = (uint8_t)(high >> 8);
}

void quantize_iq4_xs_ref(const float *src, void *dst, int64_t rows, int64_t cols,
                         const float *importance) {
    struct block_iq4_xs *b = dst;
    for (int64_t n = 0; n < rows * cols; n += 256, src += 256, b++) {
        float sigma2 = twice_mean_square(src, 256);
        float scale[8];
        for (int g = 0; g < 8; g++) {
            float w[32];
            weigh_iq4(src + 32 * g, importance ? importance + n % cols + 32 * g : NULL, sigma2, w);
            scale[g] = search_iq4(src + 32 * g, w);
        }
        store_iq4_xs(src, scale, b);
    }
}
