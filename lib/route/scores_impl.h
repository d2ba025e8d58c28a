/* scores_impl.h - what the files of the reader of scores share
 *
 *   scores.c           open, sniff, models, exclusions, the loop
 *   scores_csv.c       records of CSV
 *   scores_json.c      records of JSON Lines
 *   scores_table.c     all of an input in memory; embeddings
 */
#ifndef SCORES_IMPL_H
#define SCORES_IMPL_H

#include "lib/base/mem.h"
#include "lib/format/csv.h"
#include "lib/route/scores.h"
#include "lib/trace/reqs_json.h"
#include "lib/trace/reqs_line.h"

#define SCORES_MOST 1e100       /* no number is beyond: sums of squares stay finite */

struct scores_csv;

struct scores_reader {
    struct scores_options opt;
    char *name;                 /* of the input, for messages */
    char *part_column, *part_value;         /* of opt.part; NULL: none */
    struct reqs_lines in;
    struct csv_record csv;
    struct scores_csv *header;  /* NULL: JSON Lines */
    struct buf text;            /* the record as it came */
    int64_t records, excluded;
    uint64_t *exclude;          /* [excludes] ascending */
    size_t excludes;
    int guessed;
    int models;
    char *model[SCORES_MODELS];
    struct scores_answer answer[SCORES_MODELS];
    double column[SCORES_COLUMNS];
    unsigned char seen[SCORES_COLUMNS];     /* some record has it */
    float *embedding;
    size_t dim, dim_cap;
};

/* The model of this name, added when it is new; -1: it is not wanted. -2: there are too many. */
int scores_model_of(struct scores_reader *r, const char *name, size_t len);
/* The place of a column that was asked for, -1: it was not. */
int scores_column_of(const struct scores_reader *r, const char *name, size_t len);

/* Takes one: 1; 0 not known; -1 neither a number nor a truth. */
int scores_number(const char *text, size_t len, double *out);
/* err_set of a record that begins in `line`. -1. */
int scores_fail(const struct scores_reader *r, int64_t line, const char *where, const char *want,
                const char *found, size_t found_len, struct err *err);

int scores_csv_header(struct scores_reader *r, char *line, struct err *err);
int scores_csv_next(struct scores_reader *r, struct scores_row *row, struct err *err);
void scores_csv_free(struct scores_csv *c);
int scores_json_next(struct scores_reader *r, struct scores_row *row, struct err *err);

#endif
