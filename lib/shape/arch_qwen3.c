/* arch_qwen3.c - Qwen3, dense (arXiv 2505.09388); norms on the heads of Q and K */
#include "lib/shape/arch.h"

void arch_qwen3(struct arch_reader *r) {
    arch_read_rope(r, ARCH_NEOX);
    arch_read_dense(r, 0, r->s->layers);
    r->s->qk_norm = SHAPE_QK_HEAD;
}
