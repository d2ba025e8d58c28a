/* vec.h - what the element-wise operations of all variants share
 *
 * vec.c divides a call over threads, computes the angles of the rotary embedding and chooses
 * experts; it is common to all variants. A variant (vec_ref.c, vec_avx2.c, vec_avx512.c) gives
 * struct vec_ops, functions over a row or a run of elements. All variants give the same bits:
 * sums have 16 lanes, element i in lane i mod 16, added up by halves (vmath_sum16).
 */
#ifndef VEC_H
#define VEC_H

#include "kernels/impl.h"

struct vec_ops {
    /* y = x * (1 / sqrt(sum of squares / d + eps)) * w; the sum is in double. */
    void (*rms_norm)(const float *x, int d, const float *w, float eps, float *y);
    void (*glu)(int act, const float *gate, const float *up, int64_t n, float *out);
    void (*add)(float *y, const float *x, float scale, int64_t n);      /* y = fma(x, scale, y) */
    void (*scale)(float *x, int64_t n, float scale);
    void (*softcap)(float *x, int64_t n, float cap);
    /* x[heads][dim], the first 2 * half elements of each head rotated by angles[half][2]. */
    void (*rope)(float *x, int heads, int dim, int half, int neox, const float *angles);
    void (*sigmoid)(const float *x, int64_t n, float *y);
    void (*softmax)(const float *x, int64_t n, float *y);
    double (*logsumexp)(const float *x, int64_t n);
};

/* A fork and join costs about two microseconds: below this much work (elements that each take
 * some ten instructions) the caller's thread does it alone. */
#define VEC_FORK 32768

/* Runs fn on all threads, or on this one when the work is small. */
static inline void vec_run(const struct kern_queue *q, int64_t work, kern_task *fn, void *arg) {
    if (q->par.n <= 1 || work < VEC_FORK)
        fn(arg, 0, 1);
    else
        q->par.run(q->par.ctx, fn, arg);
}

/* The part [*first, *last) of 0..total that thread ith of nth does, cut at multiples of unit. */
static inline void vec_part(int64_t total, int64_t unit, int ith, int nth, int64_t *first,
                            int64_t *last) {
    int64_t units = (total + unit - 1) / unit;
    *first = units * ith / nth * unit;
    *last = units * (ith + 1) / nth * unit;
    if (*last > total)
        *last = total;
}

size_t kern_vec_scratch(const struct kern_limits *lim);

void vec_rms_norm(const struct vec_ops *ops, struct kern_queue *q, const float *x, int64_t ldx,
                  int n, int d, const float *w, float eps, float *y, int64_t ldy);
void vec_glu(const struct vec_ops *ops, struct kern_queue *q, int act, const float *gate,
             const float *up, int64_t total, float *out);
void vec_add(const struct vec_ops *ops, struct kern_queue *q, float *y, const float *x,
             float scale, int64_t total);
void vec_gate_rows(const struct vec_ops *ops, struct kern_queue *q, float *x, int n, int d,
                   const float *gate);
void vec_softcap(const struct vec_ops *ops, struct kern_queue *q, float *x, int64_t total,
                 float cap);
void vec_rope_angles(struct kern_queue *q, const struct kern_rope *r, const int32_t *pos, int n,
                     float *angles);
void vec_rope(const struct vec_ops *ops, struct kern_queue *q, const struct kern_rope *r,
              const float *angles, float *x, int n, int heads, int dim);
void vec_route(const struct vec_ops *ops, struct kern_queue *q, const struct kern_route *r,
               const float *logits, int n, struct kern_routes *out);
void vec_logsumexp(const struct vec_ops *ops, struct kern_queue *q, const float *x, int n,
                   int64_t d, double *out);

/* The operations of impl.h for a variant whose functions are in ops. */
#define VEC_DEFINE(isa, ops) \
    void kern_rms_norm_##isa(struct kern_queue *q, const float *x, int64_t ldx, int n, int d, \
                             const float *w, float eps, float *y, int64_t ldy) { \
        vec_rms_norm(ops, q, x, ldx, n, d, w, eps, y, ldy); \
    } \
    void kern_glu_##isa(struct kern_queue *q, int act, const float *gate, const float *up, \
                        int64_t total, float *out) { \
        vec_glu(ops, q, act, gate, up, total, out); \
    } \
    void kern_add_##isa(struct kern_queue *q, float *y, const float *x, float scale, \
                        int64_t total) { \
        vec_add(ops, q, y, x, scale, total); \
    } \
    void kern_gate_rows_##isa(struct kern_queue *q, float *x, int n, int d, \
                              const float *gate) { \
        vec_gate_rows(ops, q, x, n, d, gate); \
    } \
    void kern_softcap_##isa(struct kern_queue *q, float *x, int64_t total, float cap) { \
        vec_softcap(ops, q, x, total, cap); \
    } \
    void kern_rope_angles_##isa(struct kern_queue *q, const struct kern_rope *r, \
                                const int32_t *pos, int n, float *angles) { \
        vec_rope_angles(q, r, pos, n, angles); \
    } \
    void kern_rope_##isa(struct kern_queue *q, const struct kern_rope *r, const float *angles, \
                         float *x, int n, int heads, int dim) { \
        vec_rope(ops, q, r, angles, x, n, heads, dim); \
    } \
    void kern_route_##isa(struct kern_queue *q, const struct kern_route *r, \
                          const float *logits, int n, struct kern_routes *out) { \
        vec_route(ops, q, r, logits, n, out); \
    } \
    void kern_logsumexp_##isa(struct kern_queue *q, const float *x, int n, int64_t d, \
                              double *out) { \
        vec_logsumexp(ops, q, x, n, d, out); \
    }

#endif
