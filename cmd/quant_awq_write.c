/* quant_awq_write.c - the result of AWQ, which is computed while it is written, and its report */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/quant_awq.h"
#include "lib/quant/convert.h"
#include "lib/quant/ftype.h"
#include "lib/quant/hf_write.h"

/* ---- report ----------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"layer", FIELD_COUNT, 0}, {"tensor", FIELD_TEXT, 0}, {"expert", FIELD_WHOLE, 0},
    {"type", FIELD_TEXT, 1}, {"rows", FIELD_COUNT, 1}, {"cols", FIELD_COUNT, 1},
    {"tokens", FIELD_COUNT, 0}, {"error", 6, 0}, {"error_nearest", 6, 0}, {"ratio", 3, 0},
    {"scale_power", 2, 0}};
enum { FIELDS = sizeof fields / sizeof *fields };

/* With the first row: what fails before has printed nothing. */
static void open_report(struct awq_job *j) {
    if (!j->fields.table)
        fields_open(&j->fields, fields, FIELDS, &j->command->common);
}

void awq_report_row(void *job, const struct awq_row *row) {
    struct awq_job *j = job;
    const struct awq_report *r = &row->report;
    int seen = row->tokens > 0;
    open_report(j);
    j->matrices++;
    j->unseen += !seen;
    fields_row(&j->fields, (struct value[FIELDS]){
        {.count = row->layer}, {.text = row->tensor},
        {.number = row->expert < 0 ? (double)NAN : (double)row->expert},
        {.text = row->type < 0 ? j->command->format : kern_type_info(row->type)->name},
        {.count = row->rows}, {.count = row->cols}, {.count = row->tokens},
        {.number = seen ? r->error : NAN}, {.number = seen ? r->nearest : NAN},
        {.number = r->nearest > 0 ? r->error / r->nearest : NAN},
        {.number = (double)row->ratio / 20}});
}

void awq_report_close(struct awq_job *j) {
    open_report(j);
    fields_close(&j->fields);
    if (j->unseen && !j->command->common.quiet)
        warn("%" PRId64 " of %" PRId64 " matrices saw no token: give more text", j->unseen,
             j->matrices);
}

/* ---- GGUF ------------------------------------------------------------------------------- */

float awq_stored(void *job, uint64_t i, float v) {
    const struct awq_job *j = job;
    const struct kern *k = j->input.engine.kern;
    char bytes[sizeof v];
    float out;
    if (j->layout)
        return hf_write_rounds(j->input.source, i, v);
    k->quantize(j->type[i], &v, bytes, 1, 1, NULL);
    k->dequantize(j->type[i], bytes, &out, 1);
    return out;
}

static int replace(void *arg, uint64_t i, const void **data, struct err *err) {
    struct awq_job *j = arg;
    *data = NULL;
    return j->chosen[i] || j->changed[i] ? awq_model_data(j->model, i, data, err) : 0;
}

static int write_gguf(struct awq_job *j, struct err *err) {
    struct source *s = j->input.source;
    uint64_t *order = mem_array((size_t)source_count(s), sizeof *order);
    awq_model_order(j->model, order);
    struct convert c = {
        .source = s, .type = j->type, .file_type = ftype_of_types(s, j->type),
        .kern = j->input.engine.kern, .par = j->input.engine.par, .replace = replace,
        .replace_arg = j, .order = order};
    int rc = convert_run(&c, j->command->out, err);
    free(order);
    return rc;
}

/* ---- folders ---------------------------------------------------------------------------- */

static int give(void *arg, uint64_t i, int64_t mat, const struct grouped **out, struct err *err) {
    struct awq_job *j = arg;
    return awq_model_grouped(j->model, i, mat, out, err);
}

static int give_values(void *arg, uint64_t i, const float **out, struct err *err) {
    struct awq_job *j = arg;
    return awq_model_values(j->model, i, out, err);
}

static int write_folder(struct awq_job *j, struct err *err) {
    struct hf_write w = {.source = j->input.source, .layout = j->layout, .scheme = j->scheme,
                         .quantized = j->chosen, .changed = j->changed, .grouped = give,
                         .values = give_values, .arg = j};
    return hf_write(&w, j->command->out, err);
}

void awq_write(struct awq_job *j) {
    struct err err;
    progress_start(&j->bar, "quantizing", PROGRESS_COUNT, j->command->common.quiet);
    int rc = j->layout ? write_folder(j, &err) : write_gguf(j, &err);
    progress_end(&j->bar);
    if (rc)
        die_err(&err);
}
