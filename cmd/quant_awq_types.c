/* quant_awq_types.c - which tensors AWQ quantizes, and to what */
#include <stdlib.h>

#include "cmd/quant_awq.h"
#include "lib/quant/ftype.h"
#include "lib/quant/gptq_model.h"
#include "lib/quant/hf_write.h"

static int is_block(int type) {
    return kern_type_info(type)->block > 1;
}

/* --type: of each tensor what the mix or the type says. Those that no block fits stay. */
static void choose_native(struct awq_job *j) {
    const struct source *s = j->input.source;
    const char *name = j->command->type;
    const struct ftype *mix = ftype_type(name) < 0 ? ftype_find(name) : NULL;
    struct ftype_choice *choice = mem_array((size_t)source_count(s), sizeof *choice);
    int left = 0;
    if (mix)
        ftype_choose(&(struct ftype_options){.mix = mix, .imatrix = 1, .output = -1,
                                             .embedding = -1}, s, choice);
    j->native = 1;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i])
            continue;
        int type = mix ? choice[i].type : ftype_fallback(ftype_type(name), s->tensor[i].ne[0]);
        j->chosen[i] = (uint8_t)is_block(type);
        left += !j->chosen[i];
        if (j->chosen[i])
            j->type[i] = type;
    }
    if (left && !j->command->common.quiet)
        warn("%d tensors have rows that no block fits: they stay as they are", left);
    free(choice);
}

/* Groups, as the smallest blocks that hold them, else as halves; or as the floats of --type. */
static void choose_groups(struct awq_job *j) {
    const struct source *s = j->input.source;
    const struct awq_options *how = &j->command->how;
    int given = j->command->type ? ftype_type(j->command->type) : -1;
    int halves = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i])
            continue;
        int type = grouped_type(how->bits, how->group, how->symmetric, s->tensor[i].ne[0]);
        halves += given < 0 && type < 0;
        j->type[i] = given >= 0 ? given : type >= 0 ? type : KERN_F16;
    }
    if (halves && !j->command->common.quiet)
        warn("no block type holds the groups of %d tensors: they are written as F16", halves);
}

static void choose_layout(struct awq_job *j) {
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

/* Norms and routers that folding changes are stored as floats; and a word on what was quantized
 * before: it has lost already what AWQ tries to keep. */
static void look_at_source(struct awq_job *j) {
    const struct source *s = j->input.source;
    int blocks = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        int block = is_block(s->tensor[i].type);
        blocks += j->chosen[i] && block;
        if (j->changed[i] && block)
            j->type[i] = KERN_F32;
    }
    if (blocks && !j->command->common.quiet)
        warn("%s: %d tensors are quantized already: their errors add up", j->command->in, blocks);
}

void awq_types_choose(struct awq_job *j) {
    const char *type = j->command->type;
    const struct source *s = j->input.source;
    size_t n = (size_t)source_count(s);
    j->chosen = mem_array(n, sizeof *j->chosen);
    j->changed = mem_array(n, sizeof *j->changed);
    j->type = mem_array(n, sizeof *j->type);
    for (size_t i = 0; i < n; i++)
        j->type[i] = s->tensor[i].type;
    gptq_model_choose(j->input.engine.model, s, 0, j->chosen);
    awq_model_changed(s, j->changed);
    look_at_source(j);
    if (j->layout)
        choose_layout(j);
    else if (type && (ftype_type(type) < 0 || is_block(ftype_type(type))))
        choose_native(j);
    else
        choose_groups(j);
}
