/* arch_qwen3moe.c - Qwen3-30B-A3B, Qwen3-235B-A22B (arXiv 2505.09388) */
#include "lib/shape/arch.h"

void arch_qwen3moe(struct arch_reader *r) {
    arch_read_rope(r, ARCH_NEOX);
    arch_read_experts(r, 0, "expert_feed_forward_length");
    r->s->gate_normalise = 1;
    r->s->qk_norm = SHAPE_QK_HEAD;
}
