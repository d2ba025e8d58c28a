/* scores.h - how well and how dearly each of several models answered each request (llm-scores(5))
 *
 *     struct scores *s = scores_read("scores.csv", &(struct scores_options){0}, &err);
 *     double right = s->model[m].score[i];             // of request i, NAN: not known
 *     scores_free(s);
 *
 * or one record at a time, also of requests that no model has answered yet:
 *
 *     struct scores_reader *r = scores_open("-", &opt, &err);
 *     while ((rc = scores_next(r, &row, &err)) == 1)
 *         route(row.prompt, row.column[0]);
 *     scores_close(r);
 *
 * The input is sniffed, plain or zstd, a file or a pipe ("-" is stdin):
 *
 *   CSV of RouteLLM: prompt, a column MODEL of scores and MODEL_response for each model
 *   CSV of RouterBench: sample_id, prompt, eval_name, MODEL, MODEL|model_response, MODEL|total_cost
 *   other CSV (commas, tabs, semicolons): a column of scores for each model; unless the options
 *   name them, all columns with a number in the first record that have no other meaning
 *   JSON Lines: id, prompt, input_tokens, cached_tokens, and by model scores, costs,
 *   output_tokens, responses; embedding; any further columns
 *
 * A score is True, False or a number up to 1e100 and from -1e100, more being better; an empty cell,
 * null, NaN or None is not known.
 */
#ifndef SCORES_H
#define SCORES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/trace/reqs.h"

#define SCORES_MODELS 256       /* the most that an input may have */
#define SCORES_COLUMNS 16       /* the most that may be asked for */

struct scores_options {         /* all borrowed */
    const char *const *model;   /* [models] which to take; NULL: all that the input has */
    int models;
    const char *const *column;  /* [columns] further columns of numbers to keep, by name */
    int columns;
    const char *part;           /* "COLUMN=VALUE": the records of part 1; NULL: all are of part 0 */
    const char *exclude;        /* prompts to leave out: JSON Lines that have eval_prompt or prompt,
                                 * else a prompt a line; NULL: none */
};

/* What is known of one model's answer to one request; NAN: not known. */
struct scores_answer {
    double score;
    double usd;
    double output_tokens;
    double response_chars;      /* code points, where the input holds the response */
};

/* ---- one at a time ---------------------------------------------------------------------- */

struct scores_reader;

/* All pointers are borrowed until the next call. */
struct scores_row {
    int64_t line;               /* of the input, where the record begins */
    int64_t record;             /* from 0, with those that were left out */
    struct reqs_text id, prompt;            /* data NULL: not said */
    double input_tokens, cached_tokens;     /* NAN: not said */
    const struct scores_answer *answer;     /* [scores_models] */
    const double *column;       /* [columns] NAN: not said */
    const float *embedding;     /* [dim] NULL: none */
    size_t dim;
    int part;
    struct reqs_text text;      /* the record as it came, of JSON Lines; else data NULL */
};

/* Reads as far as tells the format. NULL: it cannot be read or is none of these. */
struct scores_reader *scores_open(const char *path, const struct scores_options *opt,
                                  struct err *err);
/* 1 a record, 0 the end, -1 an error that names file, line, what was expected and found. */
int scores_next(struct scores_reader *r, struct scores_row *row, struct err *err);
/* 1: scores_next may have to wait for input. */
int scores_wait(const struct scores_reader *r);
/* Models found so far, in the order of the input: names stay until scores_close. */
int scores_models(const struct scores_reader *r);
const char *scores_model_name(const struct scores_reader *r, int model);
int scores_guessed(const struct scores_reader *r);          /* as in struct scores */
int64_t scores_excluded(const struct scores_reader *r);     /* records left out so far */
void scores_close(struct scores_reader *r);                 /* NULL is fine */

/* Code points of text[len]; what is no UTF-8 counts a byte a character but for continuations. */
double scores_chars(const char *text, size_t len);
/* The same text has the same hash, on every machine. */
uint64_t scores_hash(const char *text, size_t len);

/* ---- all of it -------------------------------------------------------------------------- */

struct scores_model {
    char *name;
    double *score, *usd, *output_tokens, *response_chars;   /* [n] NAN: not known */
};

struct scores {
    size_t n;                   /* requests */
    int models;
    struct scores_model *model;
    int columns;                /* those of the options */
    double **column;            /* [columns][n] */
    double *input_tokens, *cached_tokens;       /* [n] NAN: not said */
    double *prompt_chars;       /* [n] code points; NAN: no prompt */
    uint64_t *prompt_hash;      /* [n] 0: no prompt */
    uint8_t *part;              /* [n] */
    int64_t *record;            /* [n] its number in the input, from 0 */
    float *embedding;           /* [n][dim]; NULL: none. A row of NaN: that request has none */
    size_t dim;
    int64_t records, excluded;  /* of the input; left out of n */
    int guessed;                /* 1: which columns are models was told by what the first record has
                                 * in them, not by their names */
};

/* NULL on error. No records at all are no error. */
struct scores *scores_read(const char *path, const struct scores_options *opt, struct err *err);
/* Takes the embeddings from arrays of numbers (.npy, back to back), a row for each record of the
 * input in its order, those left out too. 0 or -1. */
int scores_read_embeddings(struct scores *s, const char *path, struct err *err);
/* The model of this name, -1: none. */
int scores_find_model(const struct scores *s, const char *name);
/* Of those of n numbers that are said (not NAN): the mean; NAN: none is. */
double scores_mean(const double *x, size_t n);
/* Keeps the requests whose keep[n] is not 0, in their order. */
void scores_keep(struct scores *s, const uint8_t *keep);
void scores_free(struct scores *s);                         /* NULL is fine */

#endif
