/* quant_eval.h - the pieces of llm-quant eval
 *
 *   quant_eval.c           options, and the order of the work
 *   quant_eval_run.c       models over the text
 *   quant_eval_weights.c   errors of the weights
 *   quant_eval_rows.c      the tables
 *   quant_eval_check.c     --check, and the picture
 */
#ifndef QUANT_EVAL_H
#define QUANT_EVAL_H

#include "cmd/quant.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/lockstep.h"
#include "lib/quant/tensor_error.h"

struct eval_options {
    struct common common;
    struct quant_text text;
    const char *base, *kl_base, *save_kl, *imatrix, *plot;
    int layers, tensors;        /* tables asked for */
    const char *layers_file, *tensors_file;     /* NULL: in place of the table of files */
    int batch, kv_type, no_pack;
    enum fidelity_unit unit;
    struct boot boot;
    char *check;
    char **file;                /* [files] */
    int files;
};

/* One tensor of a file beside the base's. */
struct eval_tensor {
    const char *name;           /* borrowed from the file's source */
    int type, type_base;
    size_t bytes;
    int64_t elements;
    struct tensor_error error;
};

struct eval_weights {
    struct source *source;
    struct eval_tensor *tensor;
    size_t tensors;
    double error;               /* see quant_eval_weights.c */
};

/* All about one file. */
struct eval_file {
    const char *path;
    int64_t bytes;
    double bpw;
    struct quant_engine engine;         /* while the text runs */
    struct lockstep_model *run;         /* NULL: no text */
    struct fidelity_summary sum;
    struct eval_weights weights;
    int front;                  /* on the Pareto front of bits per weight and KL */
};

/* Runs the text through all; fills run, sum, bytes and bpw. */
void eval_text(const struct eval_options *o, struct eval_file *f);
/* Compares the weights of all files with the base's; fills weights and bpw. imatrix: NULL: none. */
void eval_weights(const struct eval_options *o, const struct imatrix *imatrix,
                  struct eval_file *f);
void eval_weights_free(struct eval_weights *w);

/* The tables that were asked for. */
void eval_print(const struct eval_options *o, struct eval_file *f);
void eval_mark_front(const struct eval_options *o, struct eval_file *f);
void eval_draw(const struct eval_options *o, const struct eval_file *f);

/* The columns of the table of files: what --check may name. */
#define EVAL_COLUMNS 46
extern const struct field eval_columns[EVAL_COLUMNS];
void eval_values(const struct eval_options *o, const struct eval_file *f,
                 struct value v[EVAL_COLUMNS]);

/* --check: parsed before the long work, judged after it; ends the program when it names what is no
 * number of the table. */
struct eval_check;
struct eval_check *eval_check_parse(char *text);
/* The exit status, with a line on stderr for each condition that does not hold. */
int eval_check_judge(const struct eval_options *o, const struct eval_check *c,
                     const struct eval_file *f);
void eval_check_free(struct eval_check *c);

#endif
