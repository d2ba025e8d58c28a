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
static int choose_native(struct calibrated_job *j, const char *name) {
    const struct source *s = j->input.source;
    const struct ftype *mix = ftype_type(name) < 0 ? ftype_find(name) : NULL;
    struct ftype_choice *choice = mem_array((size_t)source_count(s), sizeof *choice);
    int left = 0;
    if (mix)
        ftype_choose(&(struct ftype_options){.mix = mix, .imatrix = 1, .output = -1,
                                             .embedding = -1}, s, choice);
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i])
            continue;
        int type = mix ? choice[i].type : ftype_fallback(ftype_type(name), s->tensor[i].ne[0]);
        j->chosen[i] = (uint8_t)calibrated_is_block(type);
        left += !j->chosen[i];
        if (j->chosen[i])
            j->type[i] = type;
    }
    free(choice);
    return left;
}

/* Groups, as the smallest blocks that hold them, else as halves; or as the floats of --type. */
static int choose_groups(struct calibrated_job *j, int given) {
    const struct source *s = j->input.source;
    const struct layout_scheme *grid = &j->command->grid;
    int halves = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i])
            continue;
        /* Blocks have no index. */
        int type = grid->act_order ? -1 : grouped_type(grid->bits, grid->group, grid->symmetric,
                                                       s->tensor[i].ne[0]);
        halves += given < 0 && type < 0;
        j->type[i] = given >= 0 ? given : type >= 0 ? type : KERN_F16;
    }
    return halves;
}

static int choose_layout(struct calibrated_job *j) {
    const struct source *s = j->input.source;
    int left = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        if (!j->chosen[i] || hf_write_can(s, i, j->layout, &j->command->grid))
            continue;
        j->chosen[i] = 0;
        left++;
    }
    return left;
}

/* What was quantized before has lost already what calibration tries to keep. */
static void check_source(const struct calibrated_job *j) {
    const struct source *s = j->input.source;
    int blocks = 0;
    for (uint64_t i = 0; i < source_count(s); i++)
        blocks += j->chosen[i] && calibrated_is_block(s->tensor[i].type);
    if (blocks && !j->command->common.quiet)
        warn("%s: %d tensors are quantized already: their errors add up", j->command->in, blocks);
}

void calibrated_choose(struct calibrated_job *j) {
    const char *name = j->command->type;
    int given = name ? ftype_type(name) : -1;
    int n;
    check_source(j);
    j->native = !j->layout && name && (given < 0 || calibrated_is_block(given));
    if (j->layout)
        n = choose_layout(j);
    else if (j->native)
        n = choose_native(j, name);
    else
        n = choose_groups(j, given);
    if (!n || j->command->common.quiet)
        return;
    if (j->layout)
        warn("%d tensors do not fit the %s layout: they stay as they are", n, j->layout->name);
    else if (j->native)
        warn("%d tensors have rows that no block fits: they stay as they are", n);
    else
        warn("no block type holds the groups of %d tensors: they are written as F16", n);
}
