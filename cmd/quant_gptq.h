/* quant_gptq.h - the pieces of llm-quant gptq
 *
 *   quant_gptq.c           options, and the order of things
 *   quant_gptq_report.c    a row for each matrix, and what is worth a word
 */
#ifndef QUANT_GPTQ_H
#define QUANT_GPTQ_H

#include "cmd/quant_calibrated.h"
#include "lib/quant/gptq_model.h"

struct gptq_job {
    struct calibrated_job all;
    struct gptq_model *model;
    /* Matrices, and those of them that are worth a word. */
    int64_t matrices, nearest, unseen, few, raised;
    double most_damp;
};

#define GPTQ_COLUMNS 14
extern const struct field gptq_columns[GPTQ_COLUMNS];
void gptq_report_row(void *job, const struct gptq_row *row);
/* After the last row: words on what went otherwise than usual. */
void gptq_report_close(struct gptq_job *j);

#endif
