/* attn.h - what attention and the KV cache of all variants share
 *
 * attn.c cuts a call into tasks and merges their results; it is common to all variants. A
 * variant (attn_ref.c, attn_avx2.c, attn_avx512.c) gives struct attn_ops. All give the same
 * bits, for a query's numbers are made in one order whatever its tile, its call and its thread:
 *
 * - score of a position: fused multiply-adds over the elements of the key in order, then times
 *   scale (softcap: cap * tanh(score * (scale / cap)));
 * - a part (positions between multiples of KERN_ATTN_SPLIT) goes by blocks of 64 positions:
 *   the new maximum, the old sums times exp(old - new), then p = exp(score - maximum) of each
 *   visible position in order is added to lane t mod 16 of the sum and, fused with the value,
 *   to the output; what is not visible is not touched, so its memory may hold anything;
 * - parts are merged in order (attn_ops.merge), sinks enter at the end (attn_ops.finish).
 *
 * Maxima and sums are natural logarithms and plain sums, so that parts computed elsewhere (by
 * another rank) merge by the same function.
 */
#ifndef ATTN_H
#define ATTN_H

#include <string.h>

#include "kernels/blocks.h"
#include "kernels/impl.h"

/* Queries of a tile: they share the elements of K and V that are read. */
#define ATTN_TILE 48

/* The queries of one KV head that are worked on together, in ascending order of position. */
struct attn_tile {
    const struct kern_attn *at;
    const int32_t *table;           /* blocks of their sequence */
    int kv_head;
    int n;
    const float *q;                 /* [n][dk] */
    int32_t pos[ATTN_TILE];         /* the last position each query sees */
};

/* What n queries get from some positions: o = sum of exp(score - m) v, l = sum of
 * exp(score - m). l == 0: no position was visible. Row stride of o: attn_width(dv). */
struct attn_part {
    float *o, *m, *l;
};

struct attn_ops {
    /* The part of t over positions [first, last), which lie between two multiples of
     * KERN_ATTN_SPLIT. room: attn_room_floats floats, 64-byte aligned. */
    void (*part)(const struct attn_tile *t, int32_t first, int32_t last, float *room,
                 struct attn_part p);
    /* acc = acc merged with p, which follows it; n queries. */
    void (*merge)(struct attn_part acc, struct attn_part p, int n, int dv);
    /* out[dv] = o / l for one query; *sink (if not NULL) is one more logit below the line. */
    void (*finish)(const float *o, float m, float l, const float *sink, int dv, float *out);
    /* Writes `count` rows (row stride ld) of one head to positions t0.. of a block. */
    void (*store_k)(int type, const float *k, int64_t ld, int count, int dk, void *to, int t0);
    void (*store_v)(int type, const float *v, int64_t ld, int count, int dv, void *to, int t0);
};

/* dv rounded up to whole vectors. */
static inline int attn_width(int dv) {
    return (dv + 15) / 16 * 16;
}

/* Scores [tile][64], a block's K [dk][64] and V [64][width] as floats, and V's scales. */
static inline size_t attn_room_floats(int dk, int dv) {
    return (size_t)KERN_KV_BLOCK * (size_t)(ATTN_TILE + dk + attn_width(dv) + (dv + 31) / 32);
}

/* Bytes of the K or of the V of one head in a block; d = dk or dv. */
static inline size_t attn_head_bytes(int type, int d) {
    size_t elements = (size_t)d * KERN_KV_BLOCK;
    if (type == KERN_Q8_0)
        return elements + elements / 32 * 2;
    return elements * (type == KERN_F16 ? 2 : 4);
}

/* K of one head in a block; its V follows. */
static inline char *attn_block(const struct kern_kv *kv, int32_t block, int head) {
    size_t bytes = attn_head_bytes(kv->type, kv->dk) + attn_head_bytes(kv->type, kv->dv);
    return (char *)kv->base + (size_t)block * kv->block_bytes + (size_t)head * bytes;
}

/* First position that a row at pos sees. */
static inline int32_t attn_first(const struct kern_attn *at, int32_t pos) {
    return at->window > 0 && pos >= at->window ? pos - at->window + 1 : 0;
}

/* Largest |x| below which a group of 32 is stored as zeros: 127 / |x| must be finite. */
#define ATTN_TINY 1e-30f

/* Float to binary16 as the CPU's conversion has it: a NaN keeps what fits of its payload. */
static inline uint16_t attn_to_half(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)((u >> 16 & 0x8000) | 0x7e00 | (u >> 13 & 0x3ff));
    return block_to_half(f);
}

void attn_run(const struct attn_ops *ops, struct kern_queue *queue, const struct kern_attn *at,
              const struct kern_rows *rows, const float *q, float *out);
void attn_store(const struct attn_ops *ops, struct kern_queue *queue, const struct kern_kv *kv,
                const struct kern_rows *rows, const float *k, const float *v);

/* The operations of impl.h for a variant whose functions are in ops. */
#define ATTN_DEFINE(isa, ops) \
    void kern_attention_##isa(struct kern_queue *queue, const struct kern_attn *at, \
                              const struct kern_rows *rows, const float *q, float *out) { \
        attn_run(ops, queue, at, rows, q, out); \
    } \
    void kern_kv_store_##isa(struct kern_queue *queue, const struct kern_kv *kv, \
                             const struct kern_rows *rows, const float *k, const float *v) { \
        attn_store(ops, queue, kv, rows, k, v); \
    }

#endif
