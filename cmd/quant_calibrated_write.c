/* quant_calibrated_write.c - the result of gptq and awq, which is computed while it is written */
#include "cmd/quant_calibrated.h"

#include "lib/quant/convert.h"
#include "lib/quant/ftype.h"
#include "lib/quant/hf_write.h"

struct writing {
    const struct calibrated_job *job;
    const struct calibrated_result *result;
};

static int replace(void *arg, uint64_t i, const void **data, struct err *err) {
    const struct writing *w = arg;
    *data = NULL;
    return w->job->chosen[i] || w->job->changed[i]
           ? w->result->data(w->result->arg, i, data, err) : 0;
}

static int write_gguf(struct writing *w, struct err *err) {
    const struct calibrated_job *j = w->job;
    struct source *s = j->input.source;
    struct convert c = {
        .source = s, .type = j->type, .file_type = ftype_of_types(s, j->type),
        .kern = j->input.engine.kern, .par = j->input.engine.par, .replace = replace,
        .replace_arg = w, .order = w->result->order};
    return convert_run(&c, j->command->out, err);
}

static int write_folder(const struct writing *w, struct err *err) {
    const struct calibrated_job *j = w->job;
    const struct calibrated_result *r = w->result;
    struct hf_write h = {.source = j->input.source, .layout = j->layout,
                         .scheme = j->command->grid, .damp = r->damp, .quantized = j->chosen,
                         .changed = j->changed, .grouped = r->grouped, .values = r->values,
                         .arg = r->arg};
    return hf_write(&h, j->command->out, err);
}

void calibrated_write(struct calibrated_job *j, const struct calibrated_result *r) {
    struct writing w = {j, r};
    struct err err;
    progress_start(&j->bar, "quantizing", PROGRESS_COUNT, j->command->common.quiet);
    int rc = j->layout ? write_folder(&w, &err) : write_gguf(&w, &err);
    progress_end(&j->bar);
    if (rc)
        die_err(&err);
}
