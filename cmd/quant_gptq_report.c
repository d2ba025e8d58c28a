/* quant_gptq_report.c - what GPTQ did, matrix by matrix */
#include <inttypes.h>
#include <math.h>

#include "cmd/quant_gptq.h"

const struct field gptq_columns[GPTQ_COLUMNS] = {
    {"layer", FIELD_ID, 0}, {"tensor", FIELD_TEXT, 0}, {"expert", FIELD_WHOLE, 0},
    {"type", FIELD_TEXT, 1}, {"rows", FIELD_COUNT, 1}, {"cols", FIELD_COUNT, 1},
    {"tokens", FIELD_COUNT, 0}, {"error", 6, 0}, {"error_nearest", 6, 0}, {"ratio", 3, 0},
    {"damp", 4, 1}, {"dead_cols", FIELD_COUNT, 1}, {"fallback", FIELD_COUNT, 0}, {"ms", 1, 1}};

static double over(double a, double b) {
    return b > 0 ? a / b : NAN;
}

void gptq_report_row(void *job, const struct gptq_row *row) {
    struct gptq_job *j = job;
    const struct gptq_report *r = &row->report;
    j->matrices++;
    j->nearest += row->nearest;
    j->unseen += row->tokens == 0;
    j->raised += row->found.retries > 0;
    j->few += !row->nearest && row->tokens < row->cols;
    if (!row->nearest && row->found.damp > j->most_damp)
        j->most_damp = row->found.damp;
    calibrated_row(&j->all, (struct value[GPTQ_COLUMNS]){
        {.text = row->layer < 0 ? "head" : NULL, .count = row->layer}, {.text = row->tensor},
        {.number = row->expert < 0 ? (double)NAN : row->expert},
        {.text = row->type < 0 ? j->all.command->format : kern_type_info(row->type)->name},
        {.count = row->rows}, {.count = row->cols}, {.count = row->tokens},
        {.number = over(r->error, r->weight)}, {.number = over(r->nearest, r->weight)},
        {.number = over(r->error, r->nearest)}, {.number = row->nearest ? NAN : row->found.damp},
        {.count = row->found.dead}, {.count = row->nearest}, {.number = row->ms}});
}

void gptq_report_close(struct gptq_job *j) {
    calibrated_end_rows(&j->all);
    if (j->all.command->common.quiet)
        return;
    if (j->unseen)
        warn("%" PRId64 " of %" PRId64 " matrices saw no token, and were rounded to nearest: give"
             " more text", j->unseen, j->matrices);
    if (j->nearest > j->unseen)
        warn("%" PRId64 " of %" PRId64 " matrices saw too little to go by, and were rounded to"
             " nearest", j->nearest - j->unseen, j->matrices);
    if (j->few)
        warn("%" PRId64 " of %" PRId64 " matrices saw fewer tokens than they have columns: damping"
             " up to %g keeps them near the nearest codes", j->few, j->matrices, j->most_damp);
    if (j->raised)
        warn("damping was raised for %" PRId64 " of %" PRId64 " matrices, to %g at most, until"
             " there was a factor", j->raised, j->matrices, j->most_damp);
}
