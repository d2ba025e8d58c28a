/* quant_calibrated.h - what gptq and awq have in common: each quantizes matrices by what a text
 * makes them multiply, and writes a GGUF file or a folder while it does
 *
 *     static void parse(...);                 // CALIBRATED_LONG, calibrated_option, ..._operands
 *     struct calibrated_job j = {.command = &command, .column = columns, .columns = COLUMNS};
 *     calibrated_open(&j);
 *     ...                                     // fills j.chosen
 *     calibrated_choose(&j);
 *     calibrated_text(&j);
 *     calibrated_write(&j, &result);          // result asks for one matrix after another
 *     calibrated_close(&j);
 *
 *   quant_calibrated.c         options, text and input, the report
 *   quant_calibrated_types.c   what each matrix becomes
 *   quant_calibrated_write.c   the result
 *
 * All of it ends the program on errors.
 */
#ifndef QUANT_CALIBRATED_H
#define QUANT_CALIBRATED_H

#include "cmd/progress.h"
#include "cmd/quant_input.h"
#include "lib/quant/layout.h"

/* ---- options ---------------------------------------------------------------------------- */

struct calibrated_command {
    const char *method;         /* "GPTQ" */
    const char *about_groups;   /* its options that speak of groups: "--bits and --group" */
    const char *const *layouts; /* of folders, that --format takes; ended by NULL */
    struct common common;
    struct quant_text text;
    struct layout_scheme grid;  /* --bits, --group, --sym and --asym */
    int grid_given;             /* some option spoke of groups */
    const char *type;           /* --type; NULL: what holds the groups */
    const char *format;         /* "gguf", or a layout's name */
    uint64_t seed;
    const char *in, *out;
};

enum {
    OPT_BITS = OPT_VERB, OPT_GROUP, OPT_SYM, OPT_ASYM, OPT_TYPE, OPT_SEED,
    OPT_CALIBRATED              /* gptq's and awq's own options begin here */
};
#define CALIBRATED_SHORT "f:" QUANT_TEXT_SHORT COMMON_SHORT
#define CALIBRATED_LONG \
    COMMON_LONG, FIELDS_LONG, QUANT_TEXT_LONG, {"file", required_argument, NULL, 'f'}, \
    {"bits", required_argument, NULL, OPT_BITS}, {"group", required_argument, NULL, OPT_GROUP}, \
    {"sym", no_argument, NULL, OPT_SYM}, {"asym", no_argument, NULL, OPT_ASYM}, \
    {"type", required_argument, NULL, OPT_TYPE}, {"seed", required_argument, NULL, OPT_SEED}
/* In help: --type, the calibration's options, and the last ones. */
#define CALIBRATED_TYPE_USAGE \
    "      --type NAME        in place of these: the own grid of a GGUF block type (q4_k, iq4_nl,\n" \
    "                         ...) or of the types of a mix (q4_k_m). Or f32, f16, bf16: groups\n" \
    "                         as floats (default: the smallest block type that holds the groups)\n"
#define CALIBRATED_TEXT_USAGE \
    "Calibration\n" \
    "  -f, --file TEXT        text to calibrate on; - is stdin\n" \
    "  -c, --context N        tokens of a chunk (default 512)\n" \
    "      --chunks N         chunks of the text, drawn at random (default 128)\n" \
    "      --seed N           of the draw (default 1)\n"
#define CALIBRATED_LAST_USAGE \
    "  -v, --verbose          every column in a table too\n" \
    "  -q, --quiet            fewer words on stderr\n" \
    "General\n" \
    "  -t, --threads N        threads (default: one per core)\n" \
    "      --cpu NAME         instruction set: ref, avx2, avx512 (default: the best)\n" \
    "  -h, --help             -V, --version\n\n"

/* 1 when c was one of CALIBRATED_LONG. */
int calibrated_option(int c, const char *arg, const char *const *usage,
                      struct calibrated_command *o);
/* INPUT and OUTPUT from optind on; then what all the words mean together. */
void calibrated_operands(int argc, char **argv, struct calibrated_command *o);

/* ---- the job ---------------------------------------------------------------------------- */

struct calibrated_job {
    const struct calibrated_command *command;
    const struct field *column; /* [columns] of the report */
    int columns;
    struct quant_input input;
    struct quant_chunks chunks;
    const struct layout *layout;        /* of a folder; NULL: GGUF */
    uint8_t *chosen;            /* [tensors] to be quantized; those that can not become what is
                                 * asked for drop out in calibrated_choose */
    uint8_t *changed;           /* [tensors] to get other values for it */
    int *type;                  /* [tensors] of a GGUF; before calibrated_choose the source's */
    int native;                 /* 1: types have their own grids; 0: groups */
    struct progress bar;
    struct fields fields;
};

/* Opens the input; nothing is chosen or changed yet. */
void calibrated_open(struct calibrated_job *j);
void calibrated_close(struct calibrated_job *j);

/* Fills type of what is chosen, and native; words on what is not as one would expect. */
void calibrated_choose(struct calibrated_job *j);
int calibrated_is_block(int type);

/* Reads the text and draws as many of its chunks as --chunks says (128 where it does not), each as
 * likely as another, in the order of the text. */
void calibrated_text(struct calibrated_job *j);

/* A row of the report. The head leaves with the first: what fails before has printed nothing. */
void calibrated_row(struct calibrated_job *j, const struct value *row);
/* The head where there was no row, and the end of the table. */
void calibrated_end_rows(struct calibrated_job *j);

/* Where what a tensor becomes is to be had, as in lib/quant/gptq_model.h: layer after layer. */
struct calibrated_result {
    int (*data)(void *arg, uint64_t i, const void **data, struct err *err);
    int (*grouped)(void *arg, uint64_t i, int64_t mat, const struct grouped **out,
                   struct err *err);
    int (*values)(void *arg, uint64_t i, const float **out, struct err *err);
    void *arg;
    uint64_t *order;            /* [tensors] of a GGUF */
    double damp;                /* as in struct layout_config */
};
void calibrated_write(struct calibrated_job *j, const struct calibrated_result *r);

#endif
