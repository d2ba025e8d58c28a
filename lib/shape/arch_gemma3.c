/* arch_gemma3.c - Gemma 3 (arXiv 2503.19786): five layers with a sliding window and a rotary base
 * of their own, then one that sees everything */
#include "lib/shape/arch.h"

#include <math.h>

void arch_gemma3(struct arch_reader *r) {
    struct shape *s = r->s;
    arch_read_rope(r, ARCH_NEOX);
    arch_read_dense(r, 0, s->layers);
    if (arch_read_windows(r, 6)) {
        /* Scaling stretches the layers that see everything; the local ones need none. */
        s->rope[1] = s->rope[0];
        s->rope[1].base = arch_float_or(r, "rope.freq_base_swa", 10000, 1, 1e15);
        s->rope[1].freq_scale = 1.0f;
        for (int i = 0; i < s->layers; i++)
            s->layer[i].rope = s->layer[i].window > 0;
    }
    s->embed_scale = sqrtf((float)s->d_model);
    /* The 27B model scales its scores by d_model/heads = 168, not by the head's 128 elements.
     * Nothing in the header says so; its 62 layers are known. */
    if (s->layers == 62)
        s->attn_scale = 1.0f / sqrtf((float)s->d_model / (float)s->layer[0].heads);
    s->final_softcap = arch_float_or(r, "final_logit_softcapping", 0, 0, 1e6);
    s->act = SHAPE_GELU_TANH;
    s->qk_norm = SHAPE_QK_HEAD;
    s->post_norms = 1;
}
