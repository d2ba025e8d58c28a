/* attn_ref.c - attention over a part of the cache, one query after another: the specification
 *
 * The order of operations is written down in attn.h; vmath.h has exp.
 */
#include <math.h>

#include "kernels/attn.h"
#include "kernels/blocks.h"
#include "kernels/vmath.h"

/* Element i of a head's K or V; group: where its scale stands among the scales. */
static float element(int type, int d, const char *head, int i, int group) {
    if (type == KERN_F32)
        return ((const float *)(const void *)head)[i];
    if (type == KERN_F16)
        return block_half(((const uint16_t *)(const void *)head)[i]);
    const uint16_t *scales = (const uint16_t *)(const void *)(head + d * KERN_KV_BLOCK);
    return (float)((const int8_t *)head)[i] * block_half(scales[group]);
}

static float key(const struct kern_kv *kv, const char *k, int e, int t) {
    return element(kv->type, kv->dk, k, e * KERN_KV_BLOCK + t, e / 32 * KERN_KV_BLOCK + t);
}

static float value(const struct kern_kv *kv, const char *v, int e, int t) {
    return element(kv->type, kv->dv, v, t * kv->dv + e, t * (kv->dv / 32) + e / 32);
}

static float score(const struct kern_attn *at, const float *q, const char *k, int t) {
    float s = 0;
    for (int e = 0; e < at->kv.dk; e++)
        s = fmaf(q[e], key(&at->kv, k, e, t), s);
    if (at->softcap > 0)
        return at->softcap * vmath_tanh(s * (at->scale / at->softcap));
    return s * at->scale;
}

/* One query over positions [first, last). */
static void query_part(const struct attn_tile *tile, const float *q, int32_t first, int32_t last,
                       float *o, float *m, float *l) {
    const struct kern_attn *at = tile->at;
    float lane[16] = {0};
    *m = -INFINITY;
    for (int e = 0; e < at->kv.dv; e++)
        o[e] = 0;
    for (int32_t b = first / KERN_KV_BLOCK; b * KERN_KV_BLOCK < last; b++) {
        const char *k = attn_block(&at->kv, tile->table[b], tile->kv_head);
        const char *v = k + attn_head_bytes(at->kv.type, at->kv.dk);
        int t0 = first > b * KERN_KV_BLOCK ? first - b * KERN_KV_BLOCK : 0;
        int t1 = last - b * KERN_KV_BLOCK < KERN_KV_BLOCK ? last - b * KERN_KV_BLOCK
                                                          : KERN_KV_BLOCK;
        float s[KERN_KV_BLOCK];
        float max = *m;
        for (int t = t0; t < t1; t++) {
            s[t] = score(at, q, k, t);
            max = s[t] > max ? s[t] : max;
        }
        float shrink = vmath_exp(*m - max);
        *m = max;
        for (int i = 0; i < 16; i++)
            lane[i] *= shrink;
        for (int e = 0; e < at->kv.dv; e++)
            o[e] *= shrink;
        for (int t = t0; t < t1; t++) {
            float p = vmath_exp(s[t] - max);
            lane[t % 16] += p;
            for (int e = 0; e < at->kv.dv; e++)
                o[e] = fmaf(p, value(&at->kv, v, e, t), o[e]);
        }
    }
    *l = vmath_sum16(lane);
}

static void part(const struct attn_tile *t, int32_t first, int32_t last, float *room,
                 struct attn_part p) {
    (void)room;
    int width = attn_width(t->at->kv.dv);
    for (int i = 0; i < t->n; i++) {
        int32_t a = attn_first(t->at, t->pos[i]);
        int32_t b = t->pos[i] + 1;
        query_part(t, t->q + i * t->at->kv.dk, a > first ? a : first, b < last ? b : last,
                   p.o + i * width, p.m + i, p.l + i);
    }
}

static void merge(struct attn_part acc, struct attn_part p, int n, int dv) {
    int width = attn_width(dv);
    for (int i = 0; i < n; i++) {
        if (p.l[i] == 0)
            continue;
        float max = acc.m[i] > p.m[i] ? acc.m[i] : p.m[i];
        float a = vmath_exp(acc.m[i] - max);
        float b = vmath_exp(p.m[i] - max);
        float *o = acc.o + i * width;
        for (int e = 0; e < dv; e++)
            o[e] = fmaf(p.o[i * width + e], b, o[e] * a);
        acc.l[i] = fmaf(p.l[i], b, acc.l[i] * a);
        acc.m[i] = max;
    }
}

static void finish(const float *o, float m, float l, const float *sink, int dv, float *out) {
    float factor = 1 / l;
    if (sink) {
        float max = m > *sink ? m : *sink;
        float shrink = vmath_exp(m - max);
        factor = shrink / fmaf(l, shrink, vmath_exp(*sink - max));
    }
    for (int e = 0; e < dv; e++)
        out[e] = o[e] * factor;
}

/* ---- cache ------------------------------------------------------------------------------ */

/* 32 values (stride apart in the store, scale apart from them) as int8 and a scale. */
static void quantize32(const float *x, int8_t *to, int stride, uint16_t *scale) {
    float max = 0;
    int finite = 1;
    for (int i = 0; i < 32; i++) {
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
        finite &= isfinite(x[i]) != 0;
    }
    float d = max < ATTN_TINY ? 0 : max / 127;
    float inverse = d > 0 && finite ? 1 / d : 0;
    *scale = attn_to_half(finite ? d : NAN);
    for (int i = 0; i < 32; i++)
        to[i * stride] = finite ? (int8_t)rintf(x[i] * inverse) : 0;
}

static void store_k(int type, const float *k, int64_t ld, int count, int dk, void *to, int t0) {
    uint16_t *scales = (uint16_t *)(void *)((char *)to + dk * KERN_KV_BLOCK);
    for (int r = 0; r < count; r++) {
        const float *x = k + r * ld;
        int t = t0 + r;
        for (int e = 0; e < dk && type == KERN_F32; e++)
            ((float *)to)[e * KERN_KV_BLOCK + t] = x[e];
        for (int e = 0; e < dk && type == KERN_F16; e++)
            ((uint16_t *)to)[e * KERN_KV_BLOCK + t] = attn_to_half(x[e]);
        for (int g = 0; g < dk / 32 && type == KERN_Q8_0; g++)
            quantize32(x + g * 32, (int8_t *)to + g * 32 * KERN_KV_BLOCK + t, KERN_KV_BLOCK,
                       scales + g * KERN_KV_BLOCK + t);
    }
}

static void store_v(int type, const float *v, int64_t ld, int count, int dv, void *to, int t0) {
    uint16_t *scales = (uint16_t *)(void *)((char *)to + dv * KERN_KV_BLOCK);
    for (int r = 0; r < count; r++) {
        const float *x = v + r * ld;
        int at = (t0 + r) * dv;
        if (type == KERN_F32)
            memcpy((float *)to + at, x, (size_t)dv * sizeof *x);
        for (int e = 0; e < dv && type == KERN_F16; e++)
            ((uint16_t *)to)[at + e] = attn_to_half(x[e]);
        for (int g = 0; g < dv / 32 && type == KERN_Q8_0; g++)
            quantize32(x + g * 32, (int8_t *)to + at + g * 32, 1, scales + at / 32 + g);
    }
}

static const struct attn_ops ops = {
    .part = part, .merge = merge, .finish = finish, .store_k = store_k, .store_v = store_v,
};

ATTN_DEFINE(ref, &ops)
