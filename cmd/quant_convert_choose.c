/* quant_convert_choose.c - which type each tensor gets, and whether it may */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/quant_convert.h"
#include "kernels/codes.h"

int convert_is_quantized(int type) {
    size_t bytes;
    return gguf_type_block(type, &bytes) > 1;
}

/* ---- choice ----------------------------------------------------------------------------- */

static void keep_all(const struct source *s, struct ftype_choice *choice) {
    for (uint64_t i = 0; i < s->tensors; i++)
        choice[i] = (struct ftype_choice){.type = s->tensor[i].type, .wanted = s->tensor[i].type,
                                          .why = CONVERT_KEPT};
}

/* --output-type and --embedding-type without a mix. */
static void choose_ends(const struct convert_options *o, const struct source *s,
                        struct ftype_choice *choice) {
    static const struct {
        const char *tensor, *why;
    } ends[] = {{"output.weight", "--output-type"}, {"token_embd.weight", "--embedding-type"}};
    for (int e = 0; e < 2; e++) {
        int64_t i = source_find(s, ends[e].tensor);
        int type = e ? o->embedding : o->output;
        if (i < 0 || type < 0)
            continue;
        choice[i] = (struct ftype_choice){.wanted = type, .why = ends[e].why};
        choice[i].type = ftype_fallback(type, s->tensor[i].ne[0]);
    }
}

static int file_type(const struct convert_options *o, const struct convert_plan *p) {
    const struct source *s = p->source;
    int *type = mem_array((size_t)s->tensors, sizeof *type);
    int changed = 0;
    for (uint64_t i = 0; i < s->tensors; i++) {
        type[i] = p->choice[i].type;
        changed |= type[i] != s->tensor[i].type;
    }
    int result = o->mix ? o->mix->file_type : changed ? ftype_of_types(s, type) : -1;
    free(type);
    return result;
}

void convert_choose(const struct convert_options *o, struct convert_plan *p) {
    struct err e;
    p->choice = mem_array((size_t)p->source->tensors, sizeof *p->choice);
    if (o->mix) {
        const struct ftype_options f = {.mix = o->mix, .imatrix = p->imatrix != NULL,
                                        .pure = o->pure, .output = o->output,
                                        .embedding = o->embedding};
        ftype_choose(&f, p->source, p->choice);
    } else {
        keep_all(p->source, p->choice);
        choose_ends(o, p->source, p->choice);
    }
    if (recipe_apply(o->recipe, p->source, p->imatrix != NULL, p->choice, &e))
        die_err(&e);
    if (o->target)
        convert_choose_target(o, p);
    p->file_type = file_type(o, p);
}

/* ---- checks ----------------------------------------------------------------------------- */

static void check_requantized(const struct convert_options *o, const struct convert_plan *p) {
    const struct source_tensor *first = NULL;
    int to = 0;
    uint64_t n = 0;
    for (uint64_t i = p->source->tensors; i-- > 0;) {
        const struct source_tensor *t = &p->source->tensor[i];
        if (p->choice[i].type == t->type || !convert_is_quantized(t->type) ||
            !convert_is_quantized(p->choice[i].type))
            continue;
        first = t;
        to = p->choice[i].type;
        n++;
    }
    if (n && !o->requantize)
        die("%s: %" PRIu64 " of %" PRIu64 " tensors are quantized already (\"%s\" is %s, to be"
            " %s): errors add up; convert the model's original, or give --allow-requantize", o->in,
            n, p->source->tensors, first->name, gguf_type_name(first->type), gguf_type_name(to));
}

void convert_check_readable(const struct convert_options *o, const struct source_tensor *t) {
    if (!kern_type_info(t->type))
        die("%s: \"%s\" is %s, which can be copied only: --tensor '%s=keep'", o->in, t->name,
            gguf_type_name(t->type), t->name);
}

/* Tensors that collectors of importance leave out, as nothing or only the last layer asks them. */
static int is_end(const char *name) {
    return !strcmp(name, "token_embd.weight") || !strcmp(name, "output.weight");
}

/* Warns of tensors that the importance does not know; ends where it knows none. */
static void check_importance(const struct convert_options *o, const struct convert_plan *p) {
    const char *first = NULL;
    uint64_t unknown = 0, known = 0;
    for (uint64_t i = p->source->tensors; p->imatrix && i-- > 0;) {
        const struct source_tensor *t = &p->source->tensor[i];
        if (p->choice[i].type == t->type || !kern_takes_importance(p->choice[i].type) ||
            is_end(t->name))
            continue;
        if (imatrix_find(p->imatrix, t->name)) {
            known++;
            continue;
        }
        first = t->name;
        unknown++;
    }
    if (unknown && !known)
        die("%s: knows none of the tensors of %s (\"%s\" for one)", o->imatrix, o->in, first);
    if (unknown && !o->common.quiet)
        warn("%s: no importance of %" PRIu64 " tensor%s (\"%s\"%s): quantized without", o->imatrix,
             unknown, unknown == 1 ? "" : "s", first, unknown == 1 ? "" : " and others");
}

void convert_check(const struct convert_options *o, const struct convert_plan *p) {
    for (uint64_t i = 0; i < p->source->tensors; i++)
        if (p->choice[i].type != p->source->tensor[i].type)
            convert_check_readable(o, &p->source->tensor[i]);
    check_requantized(o, p);
    check_importance(o, p);
    for (uint64_t i = 0; o->mix && !p->imatrix && i < p->source->tensors; i++)
        if (ftype_needs_imatrix(o->mix, &p->source->tensor[i], p->choice[i].type))
            die("%s: \"%s\" as %s of %s is of no use without --imatrix; q2_k needs none", o->in,
                p->source->tensor[i].name, gguf_type_name(p->choice[i].type), o->mix->name);
}
