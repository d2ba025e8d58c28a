/* quant_calibrated_types.c - what each matrix becomes that gptq or awq quantizes */
#include <stdlib.h>

#include "cmd/quant_calibrated.h"
#include "lib/quant/ftype.h"
#include "lib/quant/grouped.h"
#include "lib/quant/hf_write.h"

int calibrated_is_block(int type) {
    return kern_type_info(type)->block > 1;
}

/* --type: of each tensor what the mix or the type says. Those that no block fits stay. */
static void choose_native(const struct calibrated_types *t) {
    const struct source *s = t->source;
    const struct ftype *mix = ftype_type(t->name) < 0 ? ftype_find(t->name) : NULL;
    struct ftype_choice *choice = mem_array((size_t)source_count(s), sizeof *choice);
    int left = 0;
    if (mix)
        ftype_choose(&(struct ftype_options){.mix = mix, .imatrix = 1, .output = -1,
                                             .embedding = -1}, s, choice);
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!t->chosen[i])
            continue;
        int type = mix ? choice[i].type
                       : ftype_fallback(ftype_type(t->name), s->tensor[i].ne[0]);
        t->chosen[i] = (uint8_t)calibrated_is_block(type);
        left += !t->chosen[i];
        if (t->chosen[i])
            t->type[i] = type;
    }
    if (left && !t->quiet)
        warn("%d tensors have rows that no block fits: they stay as they are", left);
    free(choice);
}

/* Groups, as the smallest blocks that hold them, else as halves; or as the floats of --type. */
static void choose_groups(const struct calibrated_types *t) {
    const struct source *s = t->source;
    int given = t->name ? ftype_type(t->name) : -1;
    int halves = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!t->chosen[i])
            continue;
        int type = t->indexed ? -1 : grouped_type(t->bits, t->group, t->symmetric,
                                                  s->tensor[i].ne[0]);
        halves += given < 0 && type < 0;
        t->type[i] = given >= 0 ? given : type >= 0 ? type : KERN_F16;
    }
    if (halves && !t->quiet)
        warn("no block type holds the groups of %d tensors: they are written as F16", halves);
}

static void choose_layout(const struct calibrated_types *t) {
    int left = 0;
    for (uint64_t i = 0; i < source_count(t->source); i++) {
        if (!t->chosen[i] || hf_write_can(t->source, i, t->layout, t->scheme))
            continue;
        t->chosen[i] = 0;
        left++;
    }
    if (left && !t->quiet)
        warn("%d tensors do not fit the %s layout: they stay as they are", left,
             t->layout->name);
}

/* What was quantized before has lost already what calibration tries to keep. */
static void check_source(const struct calibrated_types *t) {
    int blocks = 0;
    for (uint64_t i = 0; i < source_count(t->source); i++)
        blocks += t->chosen[i] && calibrated_is_block(t->source->tensor[i].type);
    if (blocks && !t->quiet)
        warn("%s: %d tensors are quantized already: their errors add up", t->in, blocks);
}

int calibrated_choose(const struct calibrated_types *t) {
    int native = !t->layout && t->name &&
                 (ftype_type(t->name) < 0 || calibrated_is_block(ftype_type(t->name)));
    check_source(t);
    if (t->layout)
        choose_layout(t);
    else if (native)
        choose_native(t);
    else
        choose_groups(t);
    return native;
}
