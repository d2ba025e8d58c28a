/* quant_convert_target.c - llm-quant convert --target: types for a size
 *
 * The recipe and the types of embedding and head are kept as they are given; lib/quant/target.h
 * chooses the others.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/progress.h"
#include "cmd/quant_convert.h"
#include "lib/base/num.h"
#include "lib/quant/convert.h"
#include "lib/quant/inventory.h"
#include "lib/quant/target.h"

static int64_t elements(const struct source *s) {
    struct inventory all;
    inventory_sum(s, NULL, NULL, &all);
    return all.params;
}

/* What padding may add to the tensors. */
static int64_t padding(const struct source *s) {
    return 31 * (int64_t)s->tensors;
}

/* Of "4.2bpw", or of the size of a file. */
struct goal {
    int in_bits;
    int64_t others;             /* of a file: what is not tensors, at most */
    int64_t bytes;              /* that the tensors may have together */
};

/* Metadata and padding of the file that is to be. */
static int64_t others(const struct convert_options *o, const struct convert_plan *p) {
    const struct source *s = p->source;
    struct convert_keys keys = {o, p->imatrix};
    struct err e;
    int *type = mem_array((size_t)s->tensors, sizeof *type);
    for (uint64_t i = 0; i < s->tensors; i++)
        type[i] = s->tensor[i].type;
    const struct convert c = {.source = p->source, .type = type, .file_type = 0,
                              .keys = p->imatrix ? convert_put_keys : NULL, .keys_arg = &keys};
    int64_t header = convert_header_bytes(&c, &e);
    free(type);
    if (header < 0)
        die_err(&e);
    return header + padding(s);
}

static struct goal take_goal(const struct convert_options *o, const struct convert_plan *p) {
    struct goal g = {0};
    char *text = mem_strdup(o->target);
    double bpw;
    g.in_bits = arg_take_off(text, "bpw");
    if (g.in_bits ? num_float(text, 1, 32, &bpw) : num_size(text, 1, INT64_MAX / 16, &g.bytes))
        usage_die("--target: '%s': expected bits per weight from 1 to 32 (4.2bpw), or the size of"
                  " the file in bytes (500M)", o->target);
    if (g.in_bits) {
        g.bytes = (int64_t)floor(bpw * (double)elements(p->source) / 8);
    } else {
        g.others = others(o, p);
        g.bytes -= g.others;
    }
    free(text);
    return g;
}

/* The sizes that it names are met when they are given. */
static void die_too_small(const struct convert_options *o, const struct source *s,
                          const struct goal *g, int64_t least) {
    double bpw = (double)least * 8 / (double)elements(s);
    if (g->in_bits)
        die("--target %s: the least that these types give is %.4fbpw", o->target,
            ceil(bpw * 1e4) / 1e4);
    die("--target %s: the least that these types give is a file of %" PRId64 " bytes", o->target,
        least + g->others);
}

/* Before anything is tried, which takes a while. */
static void check_originals(const struct convert_options *o, const struct source *s,
                            const int *fixed) {
    for (uint64_t i = 0; i < s->tensors; i++) {
        const struct source_tensor *t = &s->tensor[i];
        if (fixed[i] >= 0 || !ftype_quantizes(s, t))
            continue;
        convert_check_readable(o, t);
        if (!o->requantize && convert_is_quantized(t->type))
            die("%s: \"%s\" is %s already: errors add up; convert the model's original, or give"
                " --allow-requantize", o->in, t->name, gguf_type_name(t->type));
    }
}

static void take_types(const struct convert_options *o, struct target *t) {
    target_usual_types(t);
    if (!o->types)
        return;
    int n;
    char *list = mem_strdup(o->types);
    char **name = arg_list(list, &n);
    if (n > TARGET_TYPES)
        usage_die("--types: at most %d of them", TARGET_TYPES);
    for (int i = 0; i < n; i++) {
        t->type[i] = ftype_type(name[i]);
        if (t->type[i] < 0)
            usage_die("--types: '%s' is no type of tensors, such as q6_k or f16", name[i]);
    }
    t->types = n;
    free(name);
    free(list);
}

static void say(const struct convert_options *o, const struct target_row *row, uint64_t n,
                const struct convert_plan *p, int64_t bytes) {
    uint64_t eligible = 0;
    uint64_t measured = 0;
    for (uint64_t i = 0; i < n; i++) {
        eligible += row[i].eligible != 0;
        measured += row[i].eligible && row[i].measured;
    }
    if (o->common.quiet)
        return;
    double bpw = (double)bytes * 8 / (double)elements(p->source);
    if (!eligible)
        warn("%.4f bits a weight; no tensor is left to choose a type for", bpw);
    else if (measured == eligible)
        warn("%.4f bits a weight; a KL divergence of %.3g expected", bpw, target_cost(row, n));
    else
        warn("%.4f bits a weight; %s sensitivities were measured (llm-quant imatrix"
             " --sensitivity)", bpw, measured ? "not all" : "no");
}

void convert_choose_target(const struct convert_options *o, struct convert_plan *p) {
    struct source *s = p->source;
    struct target t = {.source = s, .imatrix = p->imatrix, .kern = quant_kernels(&o->common)};
    struct target_row *row = mem_array((size_t)s->tensors + 1, sizeof *row);
    int *type = mem_array((size_t)s->tensors + 1, sizeof *type);
    int *fixed = mem_array((size_t)s->tensors + 1, sizeof *fixed);
    struct progress bar;
    struct err e;
    int64_t bytes;
    take_types(o, &t);
    for (uint64_t i = 0; i < s->tensors; i++)
        fixed[i] = strcmp(p->choice[i].why, CONVERT_KEPT) ? p->choice[i].type : -1;
    t.fixed = fixed;
    struct goal goal = take_goal(o, p);
    check_originals(o, s, fixed);
    t.par = par_new(o->common.threads);
    t.progress = progress_show;
    t.arg = &bar;
    progress_start(&bar, "trying types", PROGRESS_COUNT, o->common.quiet);
    int rc = target_assign(&t, goal.bytes, type, row, &bytes, &e);
    progress_end(&bar);
    par_free(t.par);
    if (rc < 0)
        die_err(&e);
    if (rc > 0)
        die_too_small(o, s, &goal, bytes);
    for (uint64_t i = 0; i < s->tensors; i++)
        if (row[i].eligible)
            p->choice[i] = (struct ftype_choice){
                .type = type[i], .wanted = type[i],
                .why = row[i].measured ? "target, measured" : "target"};
    say(o, row, s->tensors, p, bytes);
    free(fixed);
    free(row);
    free(type);
}
