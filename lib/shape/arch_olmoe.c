/* arch_olmoe.c - OLMoE (arXiv 2409.02060): many small experts whose weights are not normalised;
 * norms over the whole of Q and K, before they are cut into heads */
#include "lib/shape/arch.h"

void arch_olmoe(struct arch_reader *r) {
    arch_read_rope(r, ARCH_NEOX);
    arch_read_experts(r, 0, "feed_forward_length");
    r->s->qk_norm = SHAPE_QK_FULL;
    arch_need_tensor(r, "output.weight");
}
