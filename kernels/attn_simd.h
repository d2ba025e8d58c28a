/* attn_simd.h - attention over a part of the cache, tiles of queries, sixteen lanes at a time
 *
 * Included by attn_avx2.c and attn_avx512.c, which say how many vectors of accumulators fit:
 * ATTN_ROWS queries times ATTN_VECS vectors. One kernel serves both products: scores are queries
 * times K [dk][64], outputs are probabilities times V [64][dv], and in both the right side
 * has its lanes side by side in memory. A lane is one position (or one element of the
 * output), so that its sum runs in order whatever the tile: the bits are those of attn_ref.c.
 */
#ifndef ATTN_SIMD_H
#define ATTN_SIMD_H

#include <math.h>

#include "kernels/attn.h"
#include "kernels/simd.h"

/* Up to so many queries a block of F16 or Q8_0 is used as it stands in the cache, and converted
 * anew in every group of ATTN_ROWS; beyond, it is converted to floats once. */
#define DIRECT_HALVES 12
#define DIRECT_BYTES 8

/* ---- products --------------------------------------------------------------------------- */

/* What the right side of a product is made of. Bytes have a scale for 32 rows of one lane (K), or
 * for 32 lanes of one row (V). */
enum kind { FLOATS, HALVES, BYTES_K, BYTES_V, KINDS };

struct right {
    enum kind kind;
    const void *data;
    int64_t ld;                 /* elements from one row to the next */
    const uint16_t *k_scale;    /* [rows / 32][64] */
    const float *v_scale;       /* [rows][ld / 32] */
    const char *ahead;          /* memory that is wanted next, see product */
};

ALWAYS v16 right_load(enum kind kind, const void *data, int64_t i) {
    if (kind == FLOATS)
        return v16_load((const float *)data + i);
    return kind == HALVES ? v16_load_half((const uint16_t *)data + i)
                          : v16_load_int8((const int8_t *)data + i);
}

/* c[rows][16 vecs] (+)= a[rows][steps] b, steps in order; b from (row, lane) on. What comes from
 * the cache is read once, V after K after the next block's K, which the CPU does not foresee: every
 * step fetches as many bytes ahead as it reads, and decoding runs at twice the speed. */
ALWAYS void product(enum kind kind, const int rows, const int vecs, const int fresh,
                    const float *a, int64_t lda, const struct right *b, int row, int lane,
                    int steps, float *c, int64_t ldc) {
    v16 sum[ATTN_ROWS][ATTN_VECS];
    v16 scale[ATTN_VECS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            sum[r][v] = fresh ? v16_set1(0) : v16_load(c + r * ldc + 16 * v);
    const int line = kind == HALVES ? 128 : 64;
    const char *ahead = kind == FLOATS ? NULL : b->ahead + (lane / 64 * 64 + row) * line;
    const float *v_scale =
        kind == BYTES_V ? b->v_scale + row * (b->ld / 32) + lane / 32 : NULL;
    int64_t at = row * b->ld + lane;
    const int group = kind == BYTES_K ? 32 : steps;
    for (int g = 0; g < steps; g += group) {
#pragma GCC unroll 8
        for (int v = 0; v < vecs && kind == BYTES_K; v++)
            scale[v] = v16_load_half(b->k_scale + 2 * g + lane + 16 * v);
        for (int i = g; i < g + group; i++, at += b->ld) {
            if (kind != FLOATS)
                _mm_prefetch(ahead + i * line, _MM_HINT_T1);
            if (kind == HALVES)
                _mm_prefetch(ahead + i * line + 64, _MM_HINT_T1);
            v16 right[ATTN_VECS];
#pragma GCC unroll 8
            for (int v = 0; v < vecs; v++) {
                right[v] = right_load(kind, b->data, at + 16 * v);
                if (kind == BYTES_K)
                    right[v] = v16_mul(right[v], scale[v]);
                if (kind == BYTES_V)
                    right[v] = v16_mul(right[v], v16_set1(v_scale[i * (b->ld / 32) + v / 2]));
            }
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                v16 left = v16_set1(a[r * lda + i]);
#pragma GCC unroll 8
                for (int v = 0; v < vecs; v++)
                    sum[r][v] = v16_fma(left, right[v], sum[r][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            v16_store(c + r * ldc + 16 * v, sum[r][v]);
}

/* A product for each kind and width, with the constants spelled out for each number of rows. */
typedef void product_fn(int rows, const float *a, int64_t lda, const struct right *b, int row,
                        int lane, int steps, float *c, int64_t ldc);

#define PRODUCT_CASE(kind, n, vecs, fresh) \
    case n: \
        product(kind, n, vecs, fresh, a, lda, b, row, lane, steps, c, ldc); \
        break;
#define PRODUCT(name, kind, vecs, fresh) \
    static void name(int rows, const float *a, int64_t lda, const struct right *b, int row, \
                     int lane, int steps, float *c, int64_t ldc) { \
        switch (rows) { \
            PRODUCT_CASE(kind, 1, vecs, fresh) \
            PRODUCT_CASE(kind, 2, vecs, fresh) \
            PRODUCT_CASE(kind, 3, vecs, fresh) \
            PRODUCT_CASE(kind, 4, vecs, fresh) \
            PRODUCT_CASE(kind, 5, vecs, fresh) \
            PRODUCT_CASE(kind, 6, vecs, fresh) \
        } \
    }
_Static_assert(ATTN_ROWS == 6, "one case for each number of rows");

PRODUCT(score_floats, FLOATS, ATTN_VECS, 1)
PRODUCT(score_halves, HALVES, ATTN_VECS, 1)
PRODUCT(score_bytes, BYTES_K, ATTN_VECS, 1)
PRODUCT(value_floats, FLOATS, ATTN_VECS, 0)
PRODUCT(value_halves, HALVES, ATTN_VECS, 0)
PRODUCT(value_bytes, BYTES_V, ATTN_VECS, 0)
PRODUCT(value_floats1, FLOATS, 1, 0)
PRODUCT(value_halves1, HALVES, 1, 0)
PRODUCT(value_bytes1, BYTES_V, 1, 0)

static product_fn *const score_of[KINDS] = {
    [FLOATS] = score_floats, [HALVES] = score_halves, [BYTES_K] = score_bytes,
};
static product_fn *const value_of[KINDS] = {
    [FLOATS] = value_floats, [HALVES] = value_halves, [BYTES_V] = value_bytes,
};
static product_fn *const value1_of[KINDS] = {
    [FLOATS] = value_floats1, [HALVES] = value_halves1, [BYTES_V] = value_bytes1,
};

/* Rows of the next group when `left` are to be done: groups as equal as can be. */
static int group_rows(int left) {
    int groups = (left + ATTN_ROWS - 1) / ATTN_ROWS;
    return (left + groups - 1) / groups;
}

/* s[n][64] = q[n][dk] K. */
static void scores(const float *q, int n, int dk, const struct right *k, float *s) {
    for (int r = 0, rows; r < n; r += rows) {
        rows = group_rows(n - r);
        for (int t = 0; t < KERN_KV_BLOCK; t += 16 * ATTN_VECS)
            score_of[k->kind](rows, q + (int64_t)r * dk, dk, k, 0, t, dk,
                              s + r * KERN_KV_BLOCK + t, KERN_KV_BLOCK);
    }
}

/* o[n][width] += p[n][64] V over positions [t0, t1). */
static void values(const float *p, int n, int t0, int t1, const struct right *v, float *o,
                   int width) {
    for (int r = 0, rows; r < n; r += rows) {
        rows = group_rows(n - r);
        for (int e = 0, wide; e < width; e += wide ? 16 * ATTN_VECS : 16) {
            wide = width - e >= 16 * ATTN_VECS;
            product_fn *fn = (wide ? value_of : value1_of)[v->kind];
            fn(rows, p + r * KERN_KV_BLOCK + t0, KERN_KV_BLOCK, v, t0, e, t1 - t0,
               o + (int64_t)r * width + e, width);
        }
    }
}

/* ---- blocks of the cache ---------------------------------------------------------------- */

/* n elements of F32 or F16 as floats; `to` has room for whole vectors, which end in zeros. */
static void to_floats(int type, const void *from, int n, float *to) {
    for (int i = 0; i < n; i += 16) {
        int some = n - i < 16 ? n - i : 16;
        if (type == KERN_F32) {
            v16_store(to + i, v16_load_n((const float *)from + i, some, 0));
            continue;
        }
        uint16_t h[16] = {0};
        const uint16_t *halves = (const uint16_t *)from + i;
        if (some < 16)
            halves = memcpy(h, halves, (size_t)some * sizeof *h);
        v16_store(to + i, v16_load_half(halves));
    }
}

/* Whether `queries` queries use K or V, rows of `width` elements, as it stands in the cache. */
static int direct(int type, int width, int queries) {
    if (width % 16)
        return 0;
    return type == KERN_F32 || queries <= (type == KERN_F16 ? DIRECT_HALVES : DIRECT_BYTES);
}

/* K of a block for `queries` queries. */
static struct right right_k(const struct kern_kv *kv, const char *k, int queries, float *room) {
    struct right b = {.data = k, .ld = KERN_KV_BLOCK,
                      .kind = kv->type == KERN_F32 ? FLOATS : HALVES,
                      .ahead = k + attn_head_bytes(kv->type, kv->dk)};
    const int8_t *q = (const int8_t *)k;
    int straight = direct(kv->type, KERN_KV_BLOCK, queries);
    if (kv->type == KERN_Q8_0) {
        b.kind = BYTES_K;
        b.k_scale = (const uint16_t *)(const void *)(k + kv->dk * KERN_KV_BLOCK);
    }
    if (straight)
        return b;
    for (int e = 0; e < kv->dk && kv->type == KERN_Q8_0; e++) {
        for (int t = 0; t < KERN_KV_BLOCK; t += 16) {
            v16 scale = v16_load_half(b.k_scale + e / 32 * KERN_KV_BLOCK + t);
            int i = e * KERN_KV_BLOCK + t;
            v16_store(room + i, v16_mul(v16_load_int8(q + i), scale));
        }
    }
    if (kv->type == KERN_F16)
        to_floats(KERN_F16, k, kv->dk * KERN_KV_BLOCK, room);
    return (struct right){.kind = FLOATS, .data = room, .ld = KERN_KV_BLOCK};
}

/* Positions [t0, t1) of V of a block. */
static struct right right_v(const struct kern_kv *kv, const char *v, int t0, int t1, int queries,
                            const char *ahead, float *room) {
    int dv = kv->dv;
    int width = attn_width(dv);
    int straight = direct(kv->type, dv, queries);
    if (kv->type != KERN_Q8_0) {
        size_t row = (size_t)dv * (kv->type == KERN_F16 ? 2 : 4);
        if (straight)
            return (struct right){.kind = kv->type == KERN_F16 ? HALVES : FLOATS, .data = v,
                                  .ld = dv, .ahead = ahead};
        for (int t = t0; t < t1; t++)
            to_floats(kv->type, v + (size_t)t * row, dv, room + t * width);
        return (struct right){.kind = FLOATS, .data = room, .ld = width};
    }
    const int8_t *q = (const int8_t *)v;
    float *scale = room + width * KERN_KV_BLOCK;
    int groups = dv / 32;
    to_floats(KERN_F16, v + dv * KERN_KV_BLOCK, groups * KERN_KV_BLOCK, scale);
    if (straight)
        return (struct right){.kind = BYTES_V, .data = v, .ld = dv, .v_scale = scale,
                              .ahead = ahead};
    for (int i = t0 * dv; i < t1 * dv; i += 32) {
        v16 d = v16_set1(scale[i / 32]);
        v16_store(room + i, v16_mul(v16_load_int8(q + i), d));
        v16_store(room + i + 16, v16_mul(v16_load_int8(q + i + 16), d));
    }
    return (struct right){.kind = FLOATS, .data = room, .ld = width};
}

/* ---- softmax ---------------------------------------------------------------------------- */

/* What a part keeps of each query while it goes through the blocks. */
struct state {
    float m[ATTN_TILE], new_m[ATTN_TILE], shrink[ATTN_TILE];
    float lane[ATTN_TILE][16];
    int8_t first[ATTN_TILE], last[ATTN_TILE];   /* positions of the block that it sees */
};

/* Scores of one query as they enter the softmax; returns the largest. */
static float scale_scores(const struct kern_attn *at, float *s, int first, int last) {
    v16 scale = v16_set1(at->softcap > 0 ? at->scale / at->softcap : at->scale);
    v16 max = v16_set1(-INFINITY);
    for (int t = 0; t < KERN_KV_BLOCK; t += 16) {
        v16 x = v16_mul(v16_load(s + t), scale);
        if (at->softcap > 0)
            x = v16_mul(v16_set1(at->softcap), v16_tanh(x));
        int a = first - t < 0 ? 0 : first - t;
        int b = last - t > 16 ? 16 : last - t;
        if (a > 0 || b < 16)
            x = a >= 16 || b <= 0 ? v16_set1(-INFINITY) : v16_only(x, a, b);
        v16_store(s + t, x);
        max = v16_max(x, max);
    }
    return v16_max_of(max);
}

/* Scores of n queries, the first of which is number r0, to probabilities; o and the lanes take
 * the new maximum. */
static void probabilities(const struct kern_attn *at, struct state *st, int r0, int n, float *s,
                          float *o, int width) {
    for (int r = r0; r < r0 + n; r++) {
        float most = scale_scores(at, s + (r - r0) * KERN_KV_BLOCK, st->first[r], st->last[r]);
        st->new_m[r] = most > st->m[r] ? most : st->m[r];
    }
    for (int r = r0; r < r0 + n; r += 16) {
        int some = r0 + n - r < 16 ? r0 + n - r : 16;
        v16 down = v16_sub(v16_load_n(st->m + r, some, 0), v16_load_n(st->new_m + r, some, 0));
        v16_store_n(st->shrink + r, some, v16_exp(down));
    }
    for (int r = r0; r < r0 + n; r++) {
        float *p = s + (r - r0) * KERN_KV_BLOCK;
        v16 m = v16_set1(st->new_m[r]);
        v16 lane = v16_mul(v16_load(st->lane[r]), v16_set1(st->shrink[r]));
        v16 e[KERN_KV_BLOCK / 16];
#pragma GCC unroll 4
        for (int i = 0; i < KERN_KV_BLOCK / 16; i++) {
            e[i] = v16_exp(v16_sub(v16_load(p + 16 * i), m));
            v16_store(p + 16 * i, e[i]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < KERN_KV_BLOCK / 16; i++)
            lane = v16_add(lane, e[i]);
        v16_store(st->lane[r], lane);
        st->m[r] = st->new_m[r];
        if (st->shrink[r] == 1)
            continue;
        v16 shrink = v16_set1(st->shrink[r]);
        for (int i = 0; i < width; i += 16)
            v16_store(o + r * width + i, v16_mul(v16_load(o + r * width + i), shrink));
    }
}

/* ---- a part ----------------------------------------------------------------------------- */

/* o += p V for queries r0 .. r0 + n; each takes the positions it sees and no other. As the
 * queries ascend in position, those that see a position follow each other. */
static void visible_values(const struct state *st, int r0, int n, const float *p,
                           const struct right *v, float *o, int width) {
    int a = r0;                     /* the first query that sees positions from t on */
    int b = r0;                     /* the first whose window begins after t */
    for (int t = st->first[r0]; t < st->last[r0 + n - 1];) {
        while (st->last[a] <= t)
            a++;
        while (b < r0 + n && st->first[b] <= t)
            b++;
        int next = st->last[a];
        if (b < r0 + n && st->first[b] < next)
            next = st->first[b];
        if (a < b)
            values(p + (a - r0) * KERN_KV_BLOCK, b - a, t, next, v, o + a * width, width);
        t = next;
    }
}

/* One block for all queries of the tile that see some of it. */
static void block_part(const struct attn_tile *tile, int32_t b, struct state *st, float *room,
                       float *o) {
    const struct kern_attn *at = tile->at;
    const struct kern_kv *kv = &at->kv;
    int width = attn_width(kv->dv);
    int32_t start = b * KERN_KV_BLOCK;
    int r0 = 0;
    while (tile->pos[r0] < start)
        r0++;
    int n = 0;
    for (; r0 + n < tile->n; n++) {
        int32_t first = attn_first(at, tile->pos[r0 + n]) - start;
        int32_t last = tile->pos[r0 + n] + 1 - start;
        if (first >= KERN_KV_BLOCK)
            break;
        st->first[r0 + n] = (int8_t)(first > 0 ? first : 0);
        st->last[r0 + n] = (int8_t)(last < KERN_KV_BLOCK ? last : KERN_KV_BLOCK);
    }
    if (n == 0)
        return;
    float *s = room;
    float *k_room = s + ATTN_TILE * KERN_KV_BLOCK;
    float *v_room = k_room + kv->dk * KERN_KV_BLOCK;
    const char *k_data = attn_block(kv, tile->table[b], tile->kv_head);
    struct right k = right_k(kv, k_data, n, k_room);
    scores(tile->q + (int64_t)r0 * kv->dk, n, kv->dk, &k, s);
    probabilities(at, st, r0, n, s, o, width);
    /* After the last block there is nothing to fetch ahead: the same one again. */
    int32_t end = tile->pos[tile->n - 1] / KERN_KV_BLOCK;
    const char *next = attn_block(kv, tile->table[b < end ? b + 1 : b], tile->kv_head);
    struct right v = right_v(kv, k_data + attn_head_bytes(kv->type, kv->dk), st->first[r0],
                             st->last[r0 + n - 1], n, next, v_room);
    visible_values(st, r0, n, s, &v, o, width);
}

static void part(const struct attn_tile *t, int32_t first, int32_t last, float *room,
                 struct attn_part p) {
    struct state st;
    int width = attn_width(t->at->kv.dv);
    for (int r = 0; r < t->n; r++) {
        st.m[r] = -INFINITY;
        v16_store(st.lane[r], v16_set1(0));
        for (int e = 0; e < width; e += 16)
            v16_store(p.o + r * width + e, v16_set1(0));
    }
    int32_t seen = attn_first(t->at, t->pos[0]);
    int32_t b = (seen > first ? seen : first) / KERN_KV_BLOCK;
    for (; b * KERN_KV_BLOCK < last; b++)
        block_part(t, b, &st, room, p.o);
    for (int r = 0; r < t->n; r++) {
        p.m[r] = st.m[r];
        p.l[r] = v16_sum(v16_load(st.lane[r]));
    }
}

static void merge(struct attn_part acc, struct attn_part p, int n, int dv) {
    int width = attn_width(dv);
    for (int r = 0; r < n; r++) {
        if (p.l[r] == 0)
            continue;
        float max = acc.m[r] > p.m[r] ? acc.m[r] : p.m[r];
        float a = vmath_exp(acc.m[r] - max);
        float b = vmath_exp(p.m[r] - max);
        v16 va = v16_set1(a);
        v16 vb = v16_set1(b);
        for (int e = 0; e < width; e += 16) {
            float *o = acc.o + r * width + e;
            v16_store(o, v16_fma(v16_load(p.o + r * width + e), vb, v16_mul(v16_load(o), va)));
        }
        acc.l[r] = fmaf(p.l[r], b, acc.l[r] * a);
        acc.m[r] = max;
    }
}

static void finish(const float *o, float m, float l, const float *sink, int dv, float *out) {
    float factor = 1 / l;
    if (sink) {
        float max = m > *sink ? m : *sink;
        float shrink = vmath_exp(m - max);
        factor = shrink / fmaf(l, shrink, vmath_exp(*sink - max));
    }
    v16 f = v16_set1(factor);
    int e = 0;
    for (; e + 16 <= dv; e += 16)
        v16_store(out + e, v16_mul(v16_load(o + e), f));
    if (e < dv)
        v16_store_n(out + e, dv - e, v16_mul(v16_load(o + e), f));
}

/* ---- cache ------------------------------------------------------------------------------ */

/* 32 values as int8 and a scale. */
static void quantize32(const float *x, int8_t *to, uint16_t *scale) {
    v16 a = v16_load(x);
    v16 b = v16_load(x + 16);
    v16 zero = v16_set1(0);
    float max = v16_max_of(v16_max(v16_abs(b), v16_max(v16_abs(a), zero)));
    int finite = v16_sum(v16_add(v16_mul(a, zero), v16_mul(b, zero))) == 0;
    float d = max < ATTN_TINY ? 0 : max / 127;
    float inverse = d > 0 && finite ? 1 / d : 0;
    *scale = attn_to_half(finite ? d : NAN);
    v16_store_int8(to, finite ? v16_mul(a, v16_set1(inverse)) : zero);
    v16_store_int8(to + 16, finite ? v16_mul(b, v16_set1(inverse)) : zero);
}

static void halves(const float *x, int n, uint16_t *to) {
    int i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store_half(to + i, v16_load(x + i));
    if (i < n) {
        uint16_t h[16];
        v16_store_half(h, v16_load_n(x + i, n - i, 0));
        memcpy(to + i, h, (size_t)(n - i) * sizeof *h);
    }
}

/* The rows of K become columns, 32 elements at a time. */
static void store_k(int type, const float *k, int64_t ld, int count, int dk, void *to, int t0) {
    for (int e0 = 0; e0 < dk; e0 += 32) {
        int n = dk - e0 < 32 ? dk - e0 : 32;
        int at = e0 * KERN_KV_BLOCK + t0;
        for (int r = 0; r < count; r++, at++) {
            const float *x = k + r * ld + e0;
            uint16_t h[32];
            int8_t q[32];
            if (type == KERN_F32) {
                for (int e = 0; e < n; e++)
                    ((float *)to)[at + e * KERN_KV_BLOCK] = x[e];
            } else if (type == KERN_F16) {
                halves(x, n, h);
                for (int e = 0; e < n; e++)
                    ((uint16_t *)to)[at + e * KERN_KV_BLOCK] = h[e];
            } else {
                uint16_t *scales = (uint16_t *)(void *)((char *)to + dk * KERN_KV_BLOCK);
                quantize32(x, q, scales + e0 / 32 * KERN_KV_BLOCK + t0 + r);
                for (int e = 0; e < n; e++)
                    ((int8_t *)to)[at + e * KERN_KV_BLOCK] = q[e];
            }
        }
    }
}

static void store_v(int type, const float *v, int64_t ld, int count, int dv, void *to, int t0) {
    uint16_t *scales = (uint16_t *)(void *)((char *)to + dv * KERN_KV_BLOCK);
    for (int r = 0; r < count; r++) {
        const float *x = v + r * ld;
        int at = (t0 + r) * dv;
        if (type == KERN_F32)
            memcpy((float *)to + at, x, (size_t)dv * sizeof *x);
        else if (type == KERN_F16)
            halves(x, dv, (uint16_t *)to + at);
        for (int g = 0; g < dv / 32 && type == KERN_Q8_0; g++)
            quantize32(x + g * 32, (int8_t *)to + at + g * 32, scales + at / 32 + g);
    }
}

static const struct attn_ops ops = {
    .part = part, .merge = merge, .finish = finish, .store_k = store_k, .store_v = store_v,
};

#endif
