/* quant_awq.h - the pieces of llm-quant awq
 *
 *   quant_awq.c            options, and the order of things
 *   quant_awq_types.c      what each tensor is to become
 *   quant_awq_write.c      the result: a GGUF file, or a folder of transformers; its report
 */
#ifndef QUANT_AWQ_H
#define QUANT_AWQ_H

#include "cmd/progress.h"
#include "cmd/quant_calibrated.h"
#include "cmd/quant_input.h"
#include "lib/quant/awq_model.h"
#include "lib/quant/layout.h"

struct awq_command {
    struct common common;
    struct quant_text text;
    struct awq_options how;
    const char *in, *out;
    const char *format;         /* "gguf", or a layout's name */
    const char *type;           /* --type; NULL: what holds the groups */
    uint64_t seed;
};

struct awq_job {
    const struct awq_command *command;
    struct quant_input input;
    struct quant_chunks chunks;
    const struct layout *layout;        /* NULL: GGUF */
    struct layout_scheme scheme;
    uint8_t *chosen, *changed;  /* [tensors] */
    int *type;                  /* [tensors] of a GGUF */
    int native;
    struct awq_model *model;
    struct progress bar;
    /* The report. */
    struct fields fields;
    int64_t matrices, unseen;
};

void awq_types_choose(struct awq_job *j);

/* Rows leave as matrices are done. */
void awq_report_row(void *job, const struct awq_row *row);
void awq_report_close(struct awq_job *j);

/* What v becomes in tensor i of the output: for awq_model. */
float awq_stored(void *job, uint64_t i, float v);
void awq_write(struct awq_job *j);

#endif
