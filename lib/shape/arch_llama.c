/* arch_llama.c - Llama, Mistral, SmolLM; with experts Mixtral (arXiv 2302.13971, 2401.04088) */
#include "lib/shape/arch.h"

void arch_llama(struct arch_reader *r) {
    struct shape *s = r->s;
    /* Q and K rows were permuted when the file was made: neighbours are rotated together. */
    arch_read_rope(r, ARCH_NORM);
    if (s->rope[0].dims != s->layer[0].dk)
        arch_fail(r, "rope.dimension_count", "expected the head's %d elements, found %d",
                  s->layer[0].dk, s->rope[0].dims);
    if (arch_int_or(r, "expert_count", 0, 0, ARCH_MAX_EXPERTS) == 0) {
        arch_read_dense(r, 0, s->layers);
    } else {
        arch_read_experts(r, 0, "feed_forward_length");
        s->gate_normalise = 1;
    }
}
