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
#include "lib/quant/target.h"

static int64_t elements(const struct source *s) {
    int64_t sum = 0;
    for (uint64_t i = 0; i < s->tensors; i++)
        sum += s->tensor[i].ne[0] * s->tensor[i].rows;
    return sum;
}

/* What padding may add to the tensors. */
static int64_t padding(const struct source *s) {
    return 31 * (int64_t)s->tensors;
}

/* Bytes that the tensors may have together: of "4.2bpw" or of the size of a file. */
static int64_t budget(const struct convert_options *o, const struct convert_plan *p) {
    char *text = mem_strdup(o->target);
    double bpw;
    int64_t bytes;
    if (arg_take_off(text, "bpw")) {
        bpw = arg_float("--target", text, 1, 32);
        bytes = (int64_t)floor(bpw * (double)elements(p->source) / 8);
    } else {
        struct err e;
        struct convert_keys keys = {o, p->imatrix};
        int *type = mem_array((size_t)p->source->tensors, sizeof *type);
        for (uint64_t i = 0; i < p->source->tensors; i++)
            type[i] = p->source->tensor[i].type;
        const struct convert c = {.source = p->source, .type = type, .file_type = 0,
                                  .keys = p->imatrix ? convert_put_keys : NULL,
                                  .keys_arg = &keys};
        bytes = arg_size("--target", text, 1, INT64_MAX / 16);
        int64_t header = convert_header_bytes(&c, &e);
        if (header < 0)
            die_err(&e);
        bytes -= header + padding(p->source);
        free(type);
    }
    free(text);
    return bytes;
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

static void show(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
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
    if (measured == eligible)
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
    int64_t most = budget(o, p);
    t.par = par_new(o->common.threads);
    t.progress = show;
    t.arg = &bar;
    progress_start(&bar, "trying types", PROGRESS_COUNT, o->common.quiet);
    int rc = target_assign(&t, most, type, row, &bytes, &e);
    progress_end(&bar);
    par_free(t.par);
    if (rc < 0)
        die_err(&e);
    if (rc > 0)
        die("--target %s: the smallest that these types give is %" PRId64 " bytes of tensors, %.4f"
            " bits a weight", o->target, bytes, (double)bytes * 8 / (double)elements(s));
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
