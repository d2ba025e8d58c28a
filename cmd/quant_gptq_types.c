/* quant_gptq_types.c - which tensors GPTQ quantizes, and to what */
#include <inttypes.h>
#include <stdlib.h>

#include "cmd/quant_gptq.h"
#include "lib/quant/hf_write.h"

static int is_block(int type) {
    return kern_type_info(type)->block > 1;
}

/* --type: of each tensor what the mix or the type says. Those that no block fits stay. */
static void choose_native(struct gptq_job *j) {
    const struct source *s = j->input.source;
    const struct ftype *mix = ftype_type(j->command->type) < 0 ? ftype_find(j->command->type)
                                                               : NULL;
    struct ftype_choice *choice = mem_array((size_t)source_count(s), sizeof *choice);
    int left = 0;
    if (mix)
        ftype_choose(&(struct ftype_options){.mix = mix, .imatrix = 1, .output = -1,
                                             .embedding = -1}, s, choice);
    j->native = 1;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i])
            continue;
        int type = mix ? choice[i].type
                       : ftype_fallback(ftype_type(j->command->type), s->tensor[i].ne[0]);
        if (is_block(type)) {
            j->type[i] = type;
        } else {
            j->chosen[i] = 0;
            left++;
        }
    }
    if (left && !j->command->common.quiet)
        warn("%d tensors have rows that no block fits: they stay as they are", left);
    free(choice);
}

/* Groups, as the smallest blocks that hold them, else as halves; or as the floats of --type. */
static void choose_groups(struct gptq_job *j) {
    const struct source *s = j->input.source;
    const struct gptq_options *how = &j->command->how;
    int given = j->command->type ? ftype_type(j->command->type) : -1;
    int rounded = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i])
            continue;
        int type = how->order == GPTQ_ORDERED_GROUPS
                       ? -1 : grouped_type(how->bits, how->group, how->symmetric,
                                           s->tensor[i].ne[0]);
        rounded += given < 0 && type < 0;
        j->type[i] = given >= 0 ? given : type >= 0 ? type : KERN_F16;
    }
    if (rounded && !j->command->common.quiet)
        warn("no block type holds the groups of %d tensors: they are written as F16", rounded);
}

static void choose_layout(struct gptq_job *j) {
    const struct source *s = j->input.source;
    int left = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i] || hf_write_can(s, i, j->layout, &j->scheme))
            continue;
        j->chosen[i] = 0;
        left++;
    }
    if (left && !j->command->common.quiet)
        warn("%d tensors do not fit the %s layout: they stay as they are", left,
             j->layout->name);
}

/* What was quantized before has lost already what GPTQ tries to keep. */
static void check_source(const struct gptq_job *j) {
    const struct source *s = j->input.source;
    int blocks = 0;
    for (uint64_t i = 0; i < source_count(s); i++)
        blocks += j->chosen[i] && is_block(s->tensor[i].type);
    if (blocks && !j->command->common.quiet)
        warn("%s: %d tensors are quantized already: their errors add up", j->command->in, blocks);
}

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
    check_source(j);
    if (j->layout)
        choose_layout(j);
    else if (o->type && (ftype_type(o->type) < 0 || is_block(ftype_type(o->type))))
        choose_native(j);
    else
        choose_groups(j);
}
