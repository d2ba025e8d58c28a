/* arch_counted.c - architectures whose costs are counted but that cannot be run: only what decides
 * FLOPs and bytes is read, no rotary embeddings, gates or scales
 */
#include "lib/shape/arch.h"

/* DeepSeek and GLM: some dense layers, then experts beside shared ones of the same width. */
static void read_mixed(struct arch_reader *r) {
    static const char width_key[] = "expert_feed_forward_length";
    struct shape *s = r->s;
    int dense = (int)arch_int_or(r, "leading_dense_block_count", 0, 0, s->layers);
    int64_t shared = arch_int_or(r, "expert_shared_count", 0, 0, ARCH_MAX_EXPERTS);
    arch_read_dense(r, 0, dense);
    arch_read_experts(r, dense, width_key);
    for (int i = dense; i < s->layers; i++) {
        int64_t width = shared * s->layer[i].d_expert;
        if (width > ARCH_MAX_FF)
            arch_fail(r, "expert_shared_count", "expected at most %d elements in all, found %lld",
                      ARCH_MAX_FF, (long long)width);
        s->layer[i].d_shared = r->failed ? 0 : (int)width;
    }
}

/* Newer files describe the attention over latents, one head of keys and values, and keep the
 * widths of the expanded heads under keys of their own. */
void arch_deepseek2(struct arch_reader *r) {
    struct shape *s = r->s;
    int latent = (int)arch_int(r, "attention.kv_lora_rank", 1, ARCH_MAX_WIDTH);
    int q_latent = (int)arch_int_or(r, "attention.q_lora_rank", 0, 0, ARCH_MAX_WIDTH);
    int dk = (int)arch_int_or(r, "attention.key_length_mla", s->layer[0].dk, 1, ARCH_MAX_HEAD);
    int dv = (int)arch_int_or(r, "attention.value_length_mla", s->layer[0].dv, 1, ARCH_MAX_HEAD);
    int rope = (int)arch_int(r, "rope.dimension_count", 0, dk);
    for (int i = 0; i < s->layers; i++) {
        struct shape_layer *l = &s->layer[i];
        l->kv_heads = l->heads;
        l->dk = dk;
        l->dv = dv;
        l->kv_latent = latent;
        l->q_latent = q_latent;
        l->rope_dims = rope;
    }
    read_mixed(r);
}

void arch_glm4moe(struct arch_reader *r) {
    read_mixed(r);
}

void arch_gptoss(struct arch_reader *r) {
    arch_read_experts(r, 0, "expert_feed_forward_length");
    arch_read_windows(r, 2);
}

void arch_gemma2(struct arch_reader *r) {
    arch_read_dense(r, 0, r->s->layers);
    arch_read_windows(r, 2);
}

void arch_granite(struct arch_reader *r) {
    arch_read_dense(r, 0, r->s->layers);
}

void arch_granitemoe(struct arch_reader *r) {
    struct shape *s = r->s;
    int shared = (int)arch_int_or(r, "expert_shared_feed_forward_length", 0, 0, ARCH_MAX_FF);
    arch_read_experts(r, 0, "feed_forward_length");
    for (int i = 0; i < s->layers; i++)
        s->layer[i].d_shared = shared;
}

/* Every layer has the window, where the file names one. */
void arch_phi3(struct arch_reader *r) {
    arch_read_dense(r, 0, r->s->layers);
    arch_read_windows(r, 0);
}
