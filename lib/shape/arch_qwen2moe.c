/* arch_qwen2moe.c - Qwen1.5-MoE and Qwen2-57B-A14B (arXiv 2407.10671): routed experts beside a
 * shared one that has a gate of its own */
#include "lib/shape/arch.h"

void arch_qwen2moe(struct arch_reader *r) {
    struct shape *s = r->s;
    arch_read_rope(r, ARCH_NEOX);
    arch_read_experts(r, 0, "expert_feed_forward_length");
    int shared = (int)arch_int_or(r, "expert_shared_feed_forward_length", 0, 0, ARCH_MAX_FF);
    if (!shared)
        shared = (int)arch_int(r, "feed_forward_length", 1, ARCH_MAX_FF);
    for (int i = 0; i < s->layers; i++)
        s->layer[i].d_shared = shared;
    s->shared_gate = 1;
    arch_need_tensor(r, "output.weight");
}
