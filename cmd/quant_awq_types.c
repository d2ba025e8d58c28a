/* quant_awq_types.c - which tensors AWQ quantizes, and to what */
#include <stdlib.h>

#include "cmd/quant_awq.h"
#include "lib/quant/gptq_model.h"

void awq_types_choose(struct awq_job *j) {
    const struct awq_command *o = j->command;
    const struct source *s = j->input.source;
    size_t n = (size_t)source_count(s);
    j->chosen = mem_array(n, sizeof *j->chosen);
    j->changed = mem_array(n, sizeof *j->changed);
    j->type = mem_array(n, sizeof *j->type);
    gptq_model_choose(j->input.engine.model, s, 0, j->chosen);
    awq_model_changed(s, j->changed);
    /* Norms and routers that folding changes are stored as floats. */
    for (size_t i = 0; i < n; i++)
        j->type[i] = j->changed[i] && calibrated_is_block(s->tensor[i].type) ? KERN_F32
                   : s->tensor[i].type;
    j->native = calibrated_choose(&(struct calibrated_types){
        .source = s, .in = o->in, .name = o->type, .bits = o->how.bits, .group = o->how.group,
        .symmetric = o->how.symmetric, .layout = j->layout, .scheme = &j->scheme,
        .quiet = o->common.quiet, .chosen = j->chosen, .type = j->type});
}
