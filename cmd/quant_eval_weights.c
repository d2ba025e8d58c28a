/* quant_eval_weights.c - errors of the weights, for llm-quant eval
 *
 * weight_error is one number for a file: the root of the mean, over the elements of all matrices,
 * of their matrix's squared relative error. Each matrix counts by its size, however large its
 * values are; vectors (norms, biases) are not quantized and do not count.
 */
#include "cmd/quant_eval.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/progress.h"
#include "cmd/quant_input.h"
#include "lib/quant/inventory.h"

struct compare {
    const struct eval_options *o;
    struct source *base;
    const struct imatrix *imatrix;
    struct par *par;
    struct progress bar;
    int64_t done, total;        /* bytes of the base */
    uint64_t unlike;            /* tensors of the base that a file lacks or has otherwise */
    const char *first;          /* of these */
};

static void add_tensor(struct compare *c, struct eval_weights *w, uint64_t i) {
    const struct source_tensor *t = &c->base->tensor[i];
    const struct imatrix_entry *e = c->imatrix ? imatrix_find(c->imatrix, t->name) : NULL;
    int64_t j = source_find(w->source, t->name);
    struct err err;
    if (j < 0 || !tensor_error_alike(t, &w->source->tensor[j])) {
        if (!c->unlike++)
            c->first = t->name;
        return;
    }
    struct eval_tensor *x = &w->tensor[w->tensors++];
    x->name = w->source->tensor[j].name;
    x->type_base = t->type;
    x->type = w->source->tensor[j].type;
    x->bytes = w->source->tensor[j].bytes;
    x->elements = t->rows * t->ne[0];
    if (tensor_error(c->base, i, w->source, (uint64_t)j, e, c->par, &x->error, &err))
        die_err(&err);
}

static double whole_error(const struct eval_weights *w) {
    double sum = 0;
    double elements = 0;
    for (size_t i = 0; i < w->tensors; i++) {
        const struct eval_tensor *t = &w->tensor[i];
        double relative = tensor_error_weighted(&t->error);
        int64_t at = source_find(w->source, t->name);
        if (w->source->tensor[at].dims < 2 || isnan(relative))
            continue;
        sum += relative * relative * (double)t->error.n;
        elements += (double)t->error.n;
    }
    return elements > 0 ? sqrt(sum / elements) : NAN;
}

static void compare_file(struct compare *c, struct eval_file *f) {
    struct eval_weights *w = &f->weights;
    struct inventory all;
    w->source = quant_source_open(f->path, c->o->common.quiet);
    w->tensor = mem_array((size_t)source_count(c->base) + 1, sizeof *w->tensor);
    c->unlike = 0;
    for (uint64_t i = 0; i < source_count(c->base); i++) {
        add_tensor(c, w, i);
        c->done += (int64_t)c->base->tensor[i].bytes;
        progress_update(&c->bar, c->done, c->total);
    }
    if (c->unlike && (!c->o->common.quiet || !w->tensors))
        warn("%s: %llu of %llu tensors of the base are missing or of another shape, \"%s\" first",
             f->path, (unsigned long long)c->unlike, (unsigned long long)source_count(c->base),
             c->first);
    w->error = whole_error(w);
    inventory_sum(w->source, NULL, NULL, &all);
    f->bpw = all.params > 0 ? inventory_bpw(&all) : -1;
}

void eval_weights(const struct eval_options *o, const struct imatrix *imatrix,
                  struct eval_file *f) {
    struct compare c = {.o = o, .base = quant_source_open(o->base, o->common.quiet),
                        .imatrix = imatrix, .par = par_new(o->common.threads)};
    for (uint64_t i = 0; i < source_count(c.base); i++)
        c.total += o->files * (int64_t)c.base->tensor[i].bytes;
    progress_start(&c.bar, "weights", PROGRESS_BYTES, o->common.quiet);
    for (int i = 0; i < o->files; i++)
        compare_file(&c, &f[i]);
    progress_end(&c.bar);
    source_close(c.base);
    par_free(c.par);
}

void eval_weights_free(struct eval_weights *w) {
    source_close(w->source);
    free(w->tensor);
}
