/* model.h - a model's weights, ready for the kernels
 *
 *     struct model *m = model_open("model.gguf", &(struct model_options){.par = par}, &err);
 *
 * Weights are packed once, at load, into pages of our own, and the file's pages are given back
 * as each tensor is done: one copy in memory. With .no_pack they stay in the file's layout,
 * borrowed from the mapping (slower; for memory below the model's size).
 */
#ifndef MODEL_H
#define MODEL_H

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/format/gguf.h"
#include "lib/shape/shape.h"

/* Weights of one layer; absent ones have data NULL (vectors: NULL). Vectors are float. */
struct model_layer {
    const float *attn_norm;                     /* [d_model] */
    struct kern_weight attn_q, attn_k, attn_v;  /* [heads*dk, d], [kv_heads*dk, d], [kv_heads*dv, d] */
    const float *attn_q_bias, *attn_k_bias, *attn_v_bias, *attn_out_bias;
    const float *attn_q_norm, *attn_k_norm;     /* [dk], or [heads*dk] and [kv_heads*dk] */
    struct kern_weight attn_out;                /* [d, heads*dv] */
    const float *attn_post_norm;                /* [d_model] */
    const float *attn_sinks;                    /* [heads] */

    const float *ffn_norm;                      /* [d_model] */
    struct kern_weight ffn_gate, ffn_up, ffn_down;          /* dense: [d_ff, d], [d, d_ff] */
    const float *ffn_post_norm;                 /* [d_model] */

    struct kern_weight router;                  /* [experts, d] */
    const float *router_bias;                   /* [experts] selection only */
    struct kern_weight exp_gate, exp_up, exp_down;          /* [experts] x [d_expert, d], [d, d_expert] */
    struct kern_weight sh_gate, sh_up, sh_down; /* shared expert */
    struct kern_weight sh_router;               /* [1, d] */
};

struct model {
    struct shape *shape;
    struct gguf *gguf;
    struct model_layer *layer;                  /* [shape->layers] */
    struct kern_weight embed;                   /* [vocab, d] */
    struct kern_weight head;                    /* [vocab, d]; tied: equals embed */
    const float *out_norm;                      /* [d] */
    const float *rope_factors;                  /* [shape->rope[0].dims / 2], or NULL */
    int64_t load_ns;
    size_t packed_bytes;
    struct model_memory *memory;                /* private */
};

struct model_options {
    struct par *par;            /* threads that pack; NULL: the caller alone */
    int no_pack;
    /* Bytes packed so far and in all; may be NULL. */
    void (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

/* NULL on error: a missing tensor, a wrong shape, a type that no kernel runs. The gguf is opened
 * by the function and closed with the model. */
struct model *model_open(const char *path, const struct model_options *opt, struct err *err);
void model_close(struct model *m);

/* The tensors of the file that weight w (a member of m or of one of its layers) was made from: *n
 * of them, 1, or w->mats in files that have one per expert. NULL: w is absent. */
const struct gguf_tensor *const *model_weight_tensors(const struct model *m,
                                                      const struct kern_weight *w, int64_t *n);

#endif
