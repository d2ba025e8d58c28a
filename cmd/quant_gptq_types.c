/* quant_gptq_types.c - which tensors GPTQ quantizes, and to what */
#include <stdlib.h>

#include "cmd/quant_calibrated.h"
#include "cmd/quant_gptq.h"

void gptq_types_choose(struct gptq_job *j) {
    const struct gptq_command *o = j->command;
    const struct source *s = j->input.source;
    size_t n = (size_t)source_count(s);
    j->chosen = mem_array(n, sizeof *j->chosen);
    j->type = mem_array(n, sizeof *j->type);
    for (size_t i = 0; i < n; i++)
        j->type[i] = s->tensor[i].type;
    gptq_model_choose(j->input.engine.model, s, o->head, j->chosen);
    if (o->head && j->input.engine.model->shape->tied)
        die("%s: --head: the head is the embedding, which is looked up, too, and stays", o->in);
    j->native = calibrated_choose(&(struct calibrated_types){
        .source = s, .in = o->in, .name = o->type, .bits = o->how.bits, .group = o->how.group,
        .symmetric = o->how.symmetric, .indexed = o->how.order == GPTQ_ORDERED_GROUPS,
        .layout = j->layout, .scheme = &j->scheme, .quiet = o->common.quiet,
        .chosen = j->chosen, .type = j->type});
}
