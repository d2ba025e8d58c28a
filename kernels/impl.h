/* impl.h - the operations of every variant, for the tables in kern.c and for the tests
 *
 * A function is named kern_OPERATION_VARIANT and lives in GROUP_VARIANT.c; the suffix decides the
 * compiler's flags. Groups: qmm (matrix products and experts), attn (cache and attention), vec
 * (norms, activations, rotary embedding, router, sums). A variant may take an operation from a
 * lower one where a faster version would not be measurable; kern.c says so.
 */
#ifndef KERN_IMPL_H
#define KERN_IMPL_H

#include "kernels/kern.h"

#define KERN_DECLARE(isa) \
    void kern_embed_##isa(struct kern_queue *, const struct kern_weight *, const int32_t *, int, \
                          float, float *); \
    void kern_rms_norm_##isa(struct kern_queue *, const float *, int64_t, int, int, const float *, \
                             float, float *, int64_t); \
    void kern_matmul_##isa(struct kern_queue *, const float *, int, const struct kern_mm *, int); \
    void kern_glu_##isa(struct kern_queue *, int, const float *, const float *, int64_t, float *); \
    void kern_add_##isa(struct kern_queue *, float *, const float *, float, int64_t); \
    void kern_gate_rows_##isa(struct kern_queue *, float *, int, int, const float *); \
    void kern_softcap_##isa(struct kern_queue *, float *, int64_t, float); \
    void kern_rope_angles_##isa(struct kern_queue *, const struct kern_rope *, const int32_t *, \
                                int, float *); \
    void kern_rope_##isa(struct kern_queue *, const struct kern_rope *, const float *, float *, \
                         int, int, int); \
    void kern_kv_store_##isa(struct kern_queue *, const struct kern_kv *, \
                             const struct kern_rows *, const float *, const float *); \
    void kern_attention_##isa(struct kern_queue *, const struct kern_attn *, \
                              const struct kern_rows *, const float *, float *); \
    void kern_route_##isa(struct kern_queue *, const struct kern_route *, const float *, int, \
                          struct kern_routes *); \
    void kern_experts_##isa(struct kern_queue *, const struct kern_experts *, \
                            const struct kern_routes *, const float *, int, float *); \
    void kern_logsumexp_##isa(struct kern_queue *, const float *, int, int64_t, double *); \
    void kern_quantize_##isa(int, const float *, void *, int64_t, int64_t, const float *);

KERN_DECLARE(ref)
KERN_DECLARE(avx2)
KERN_DECLARE(avx512)

void kern_dequantize_avx2(int, const void *, float *, int64_t);

/* Scratch bytes of each group, for kern_scratch_bytes (the maximum over groups). */
size_t kern_qmm_scratch(const struct kern_limits *lim);
size_t kern_attn_scratch(const struct kern_limits *lim);

#endif
