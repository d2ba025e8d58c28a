/* quant_gptq.h - the pieces of llm-quant gptq
 *
 *   quant_gptq.c           options, and the order of things
 *   quant_gptq_types.c     what each tensor is to become
 *   quant_gptq_report.c    a row for each matrix, and what is worth a word
 *   quant_gptq_write.c     the result: a GGUF file, or a folder of transformers
 */
#ifndef QUANT_GPTQ_H
#define QUANT_GPTQ_H

#include "cmd/progress.h"
#include "cmd/quant_input.h"
#include "lib/quant/ftype.h"
#include "lib/quant/gptq_model.h"
#include "lib/quant/layout.h"

struct gptq_command {
    struct common common;
    struct quant_text text;
    struct gptq_options how;
    const char *in, *out;
    const char *format;         /* "gguf", or a layout's name */
    const char *type;           /* --type; NULL: what holds the groups */
    uint64_t seed;
    int64_t memory;
    int head;
};

struct gptq_job {
    const struct gptq_command *command;
    struct quant_input input;
    struct quant_chunks chunks;
    const struct layout *layout;        /* NULL: GGUF */
    struct layout_scheme scheme;
    uint8_t *chosen;            /* [tensors] */
    int *type;                  /* [tensors] of a GGUF */
    int native;
    struct gptq_model *model;
    struct progress bar;
    /* The report. */
    struct fields fields;
    int opened;
    int64_t matrices, nearest, unseen, few, raised;
    double most_damp;
};

void gptq_types_choose(struct gptq_job *j);

void gptq_report_row(void *job, const struct gptq_row *row);
/* After the last row: words on what went otherwise than usual. */
void gptq_report_close(struct gptq_job *j);

void gptq_write(struct gptq_job *j);

#endif
