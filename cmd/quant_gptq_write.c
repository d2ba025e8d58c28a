/* quant_gptq_write.c - the result of GPTQ, which is computed while it is written */
#include <stdlib.h>

#include "cmd/quant_gptq.h"
#include "lib/quant/convert.h"
#include "lib/quant/hf_write.h"

static int replace(void *arg, uint64_t i, const void **data, struct err *err) {
    struct gptq_job *j = arg;
    *data = NULL;
    return j->chosen[i] ? gptq_model_data(j->model, i, data, err) : 0;
}

static int write_gguf(struct gptq_job *j, struct err *err) {
    struct source *s = j->input.source;
    uint64_t *order = mem_array((size_t)source_count(s), sizeof *order);
    gptq_model_order(j->model, order);
    struct convert c = {
        .source = s, .type = j->type, .file_type = ftype_of_types(s, j->type),
        .kern = j->input.engine.kern, .par = j->input.engine.par, .replace = replace,
        .replace_arg = j, .order = order};
    int rc = convert_run(&c, j->command->out, err);
    free(order);
    return rc;
}

static int give(void *arg, uint64_t i, int64_t mat, const struct grouped **out, struct err *err) {
    struct gptq_job *j = arg;
    return gptq_model_grouped(j->model, i, mat, out, err);
}

static int write_folder(struct gptq_job *j, struct err *err) {
    struct hf_write w = {.source = j->input.source, .layout = j->layout, .scheme = j->scheme,
                         .damp = j->command->how.damp, .quantized = j->chosen, .grouped = give,
                         .arg = j};
    return hf_write(&w, j->command->out, err);
}

void gptq_write(struct gptq_job *j) {
    struct err err;
    progress_start(&j->bar, "quantizing", PROGRESS_COUNT, j->command->common.quiet);
    int rc = j->layout ? write_folder(j, &err) : write_gguf(j, &err);
    progress_end(&j->bar);
    if (rc)
        die_err(&err);
}
