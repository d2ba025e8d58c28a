/* kquant_ref.c - floats to K-quants, one element after another: the specification
 *
 * Two levels. Each part of 16 or 32 elements is searched for the scale (and minimum) that lose
 * least; then the scales of a super-block are themselves quantized, and the elements rounded once
 * more to what came of them. Every search weighs squared errors, by the elements' own size or by
 * the importance.
 */
#include "kernels/kquant.h"
#include "kernels/kquant_search.h"

/* ---- types with minima: Q2_K, Q4_K, Q5_K ------------------------------------------------- */

/* What importance is weighed with: sigma times the mean square of the whole super-block. */
static float sigma2_of(float sigma, const float *x) {
    return sigma * kquant_sum_of_squares(KQUANT_SUPER, x) / KQUANT_SUPER;
}

static void weigh_plain(const struct kquant_affine *t, const float *x, float *w) {
    float mean = t->absolute ? 0 : sqrtf(kquant_sum_of_squares(t->group, x) / (float)t->group);
    for (int i = 0; i < t->group; i++)
        w[i] = mean + fabsf(x[i]);
}

static float sum_of(int n, const float *x) {
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* The largest of n values becomes code top, the others follow. Returns the scale. */
static float fit_to_max(int n, int top, const float *x, uint8_t *code) {
    float max = 0;
    for (int i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    float inverse = max > 0 ? (float)top / max : 0;
    for (int i = 0; i < n; i++)
        code[i] = (uint8_t)kquant_nearest(inverse * x[i]);
    return max / (float)top;
}

/* Scales, minima and codes as the searches leave them; d and dmin. */
static void search_parts(const struct kquant_affine *t, const float *x, const float *importance,
                         struct kquant_codes *out) {
    const int n = t->group;
    const int parts = KQUANT_SUPER / n;
    const struct kquant_search *s = importance ? &t->weighted : &t->plain;
    float scale[KQUANT_PARTS];
    float minus_min[KQUANT_PARTS];
    float weight[KQUANT_PARTS];
    float w[32];
    float sigma2 = importance ? sigma2_of(t->sigma, x) : 0;
    for (int j = 0; j < parts; j++) {
        if (importance)
            kquant_weigh(n, x + n * j, importance + n * j, sigma2, w);
        else
            weigh_plain(t, x + n * j, w);
        weight[j] = sum_of(n, w);
        scale[j] = kquant_search_affine(n, t->top, s, t->absolute && !importance, x + n * j, w,
                                 out->code + n * j, &minus_min[j]);
    }
    if (importance) {
        out->d = block_to_half(kquant_fit_positive(parts, t->scale_top, scale, weight, out->ls));
        out->dmin =
            block_to_half(kquant_fit_positive(parts, t->scale_top, minus_min, weight, out->lm));
    } else {
        out->d = block_to_half(fit_to_max(parts, t->scale_top, scale, out->ls));
        out->dmin = block_to_half(fit_to_max(parts, t->scale_top, minus_min, out->lm));
    }
}

/* Codes of part j anew, for the scale and minimum that are stored: sc and m are ls and lm. */
static void round_affine(const struct kquant_affine *t, const float *x, int j, int sc, int m,
                         struct kquant_codes *out) {
    const float d = block_half(out->d) * (float)sc;
    const float min = block_half(out->dmin) * (float)m;
    if (d == 0)
        return;
    for (int i = t->group * j; i < t->group * (j + 1); i++)
        out->code[i] = (uint8_t)kquant_clamp(kquant_nearest((x[i] + min) / d), 0, t->top);
}

static void block_q2_k(const float *x, const float *importance, void *dst) {
    struct kquant_codes c;
    search_parts(&kquant_q2_k, x, importance, &c);
    for (int j = 0; j < 16; j++) {
        int both = c.ls[j] | c.lm[j] << 4;
        round_affine(&kquant_q2_k, x, j, both & 15, both >> 4 & 15, &c);
    }
    kquant_pack_q2_k(&c, dst);
}

/* Codes of scales may be above 63 only where importance makes no sense. */
static void limit_scales(struct kquant_codes *c) {
    for (int j = 0; j < 8; j++) {
        c->ls[j] = c->ls[j] < 63 ? c->ls[j] : 63;
        c->lm[j] = c->lm[j] < 63 ? c->lm[j] : 63;
    }
}

/* As the packed scales read, which for codes up to 63 is what they were. */
static void round_packed(const struct kquant_affine *t, const float *x, const uint8_t scales[12],
                         struct kquant_codes *c) {
    for (int j = 0; j < 4; j++) {
        const uint8_t *s = scales + j;
        round_affine(t, x, j, s[0] & 63, s[4] & 63, c);
        round_affine(t, x, j + 4, (s[8] & 15) | (s[0] >> 6) << 4,
                     s[8] >> 4 | (s[4] >> 6) << 4, c);
    }
}

static void block_q4_k(const float *x, const float *importance, void *dst) {
    struct block_q4_k *b = dst;
    struct kquant_codes c;
    search_parts(&kquant_q4_k, x, importance, &c);
    if (!importance)
        limit_scales(&c);
    kquant_pack_scales(c.ls, c.lm, b->scales);
    round_packed(&kquant_q4_k, x, b->scales, &c);
    kquant_pack_q4_k(&c, b);
}

static void block_q5_k(const float *x, const float *importance, void *dst) {
    struct block_q5_k *b = dst;
    struct kquant_codes c;
    search_parts(&kquant_q5_k, x, importance, &c);
    limit_scales(&c);
    kquant_pack_scales(c.ls, c.lm, b->scales);
    round_packed(&kquant_q5_k, x, b->scales, &c);
    kquant_pack_q5_k(&c, b);
}

/* ---- types without: Q3_K, Q6_K ----------------------------------------------------------- */

/* Codes of part j anew, for the scale d * sc. */
static void round_scaled(int half, const float *x, int j, int sc, struct kquant_codes *c) {
    const float d = block_half(c->d) * (float)sc;
    if (d == 0)
        return;
    for (int i = 16 * j; i < 16 * (j + 1); i++)
        c->code[i] = (uint8_t)(half + kquant_clamp(kquant_nearest(x[i] / d), -half, half - 1));
}

static void scales_q3_k(const float *scale, struct kquant_codes *c) {
    float max = kquant_signed_max(16, scale);
    memset(c->ls, 0, sizeof c->ls);
    c->d = 0;
    if (max == 0)
        return;
    float inverse = -32 / max;
    for (int j = 0; j < 16; j++) {
        int l = (int8_t)kquant_nearest(inverse * scale[j]);
        c->ls[j] = (uint8_t)(kquant_clamp(l, -32, 31) + 32);
    }
    c->d = block_to_half(1 / inverse);
}

static void block_q3_k(const float *x, const float *importance, void *dst) {
    struct kquant_codes c;
    float scale[16];
    float weight[16];
    float w[16];
    float sigma2 = importance ? sigma2_of(2, x) : 0;
    for (int j = 0; j < 16; j++) {
        const float *part = x + 16 * j;
        if (!importance) {
            scale[j] = kquant_descend_scale(part, c.code + 16 * j);
            continue;
        }
        kquant_weigh(16, part, importance + 16 * j, sigma2, w);
        weight[j] = sum_of(16, w);
        scale[j] = kquant_search_scale(16, 4, part, w, c.code + 16 * j);
    }
    if (importance)
        c.d = block_to_half(kquant_search_scale(16, 32, scale, weight, c.ls));
    else
        scales_q3_k(scale, &c);
    for (int j = 0; j < 16; j++)
        round_scaled(4, x, j, c.ls[j] - 32, &c);
    kquant_pack_q3_k(&c, dst);
}

/* Importance weighs as it is, and without it the weight is x^2. */
static void block_q6_k(const float *x, const float *importance, void *dst) {
    struct kquant_codes c;
    float scale[16];
    float w[16];
    for (int j = 0; j < 16; j++) {
        for (int i = 0; i < 16; i++)
            w[i] = x[16 * j + i] * x[16 * j + i];
        scale[j] = kquant_search_scale(16, 32, x + 16 * j,
                                       importance ? importance + 16 * j : w, c.code + 16 * j);
    }
    float max = kquant_signed_max(16, scale);
    if (fabsf(max) < KQUANT_EPS) {
        memset(dst, 0, sizeof(struct block_q6_k));
        return;
    }
    float inverse = -128 / max;
    c.d = block_to_half(1 / inverse);
    for (int j = 0; j < 16; j++) {
        int sc = kquant_nearest(inverse * scale[j]);
        c.ls[j] = (uint8_t)(sc < 127 ? sc : 127);
        round_scaled(32, x, j, (int8_t)c.ls[j], &c);
    }
    kquant_pack_q6_k(&c, dst);
}

/* ---- all blocks of a matrix -------------------------------------------------------------- */

static void all_blocks(void (*block)(const float *, const float *, void *), size_t bytes,
                       const float *src, void *dst, int64_t rows, int64_t cols,
                       const float *importance) {
    uint8_t *out = dst;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t col = 0; col < cols; col += KQUANT_SUPER, out += bytes)
            block(src + row * cols + col, importance ? importance + col : NULL, out);
}

#define DEFINE(type) \
    void kquant_##type##_ref(const float *src, void *dst, int64_t rows, int64_t cols, \
                             const float *importance) { \
        all_blocks(block_##type, sizeof(struct block_##type), src, dst, rows, cols, importance); \
    }

DEFINE(q2_k)
DEFINE(q3_k)
DEFINE(q4_k)
DEFINE(q5_k)
DEFINE(q6_k)
