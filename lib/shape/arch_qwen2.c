/* arch_qwen2.c - Qwen2 and Qwen2.5, dense (arXiv 2407.10671); biases on Q, K and V */
#include "lib/shape/arch.h"

void arch_qwen2(struct arch_reader *r) {
    arch_read_rope(r, ARCH_NEOX);
    arch_read_dense(r, 0, r->s->layers);
}
