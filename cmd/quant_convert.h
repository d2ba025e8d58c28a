/* quant_convert.h - llm-quant convert in pieces
 *
 *   quant_convert.c            options, the conversion itself
 *   quant_convert_choose.c     which type each tensor gets, and whether it may
 *   quant_convert_target.c     the same by size: --target
 *   quant_convert_report.c     the table of tensors
 */
#ifndef QUANT_CONVERT_H
#define QUANT_CONVERT_H

#include "cmd/quant.h"
#include "lib/quant/ftype.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/recipe.h"
#include "lib/quant/source.h"

struct convert_options {
    struct common common;
    const struct ftype *mix;    /* --type; NULL: what no rule names keeps its type */
    struct recipe *recipe;      /* --tensor in their order, then --recipe */
    int output, embedding;      /* types of these; -1: the mix's */
    int pure;
    int requantize;             /* --allow-requantize */
    int dry_run;
    const char *target;         /* --target as given; NULL: none */
    const char *types;          /* --types, candidates of --target; NULL: the usual */
    const char *imatrix;        /* path; NULL: none */
    const char *pre;            /* --pre; NULL: as tokenizer.json tells */
    const char *in, *out;
};

/* Why a tensor that nothing names is what it is. */
#define CONVERT_KEPT "kept"

/* What convert_put_keys needs. */
struct convert_keys {
    const struct convert_options *o;
    const struct imatrix *imatrix;
};

/* What is to be made of a model: an entry of choice a tensor, in the source's order. */
struct convert_plan {
    struct source *source;
    struct imatrix *imatrix;    /* NULL: none */
    struct ftype_choice *choice;
    uint64_t *order;            /* of the file */
    int file_type;              /* general.file_type; -1: as it is */
};

/* Fills choice and file_type. */
void convert_choose(const struct convert_options *o, struct convert_plan *p);
/* The same for --target, of what choice does not name yet: bits per weight of all tensors, or bytes
 * of the file. */
void convert_choose_target(const struct convert_options *o, struct convert_plan *p);
/* Keys of the importance; arg is a struct convert_keys. */
void convert_put_keys(void *arg, struct gguf_writer *w);
/* A type of blocks, one that no kernel of ours reads included. */
int convert_is_quantized(int type);
/* Ends the program when the values of t, which is to change, cannot be read. */
void convert_check_readable(const struct convert_options *o, const struct source_tensor *t);
/* Ends the program where these types should not be made without a word: of quantized tensors, or
 * without the importance that they need. */
void convert_check(const struct convert_options *o, const struct convert_plan *p);
/* The table of tensors, to stdout. */
void convert_report(const struct convert_options *o, const struct convert_plan *p);

#endif
