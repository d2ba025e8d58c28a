/* bench_score.h - the pieces of llm-bench score
 *
 *   bench_score.c        the command line, the order of things
 *   bench_score_ask.c    puts the questions to llm-run or to a server
 *   bench_score_rows.c   from marked answers to figures
 */
#ifndef BENCH_SCORE_H
#define BENCH_SCORE_H

#include "cmd/bench.h"
#include "cmd/prices.h"
#include "lib/bench/grade.h"
#include "lib/bench/questions.h"
#include "lib/shape/shape.h"

struct way {                    /* of asking the same question */
    char *name;
    const char *template;       /* NULL: the question as it is */
};

struct score_options {
    struct common common;
    const char *model;          /* GGUF file or address; with url: the server's name for it */
    const char *url;            /* NULL: llm-run answers */
    const char *key;            /* NULL: none */
    const char *questions;      /* file */
    const char *save;           /* answers as JSON Lines, or NULL */
    struct way *way;            /* [ways] */
    int ways;
    const char **stop;          /* [stops] */
    int stops;
    int kind;                   /* enum grade_kind, of questions that do not say theirs */
    const char *extract;        /* pattern, or NULL */
    int ignore_case, chat, by_topic;
    int64_t limit;              /* questions from the top; -1: all */
    int answers;                /* of a question and way */
    int tokens;                 /* most of an answer */
    int parallel;
    double temperature;
    int64_t seed;
    struct prices price;
    const char *shape;          /* --shape, or NULL */
};

struct answer {
    const struct question *question;
    char *text;                 /* NULL: failed */
    char *found;                /* what was graded */
    char *failure;              /* why there is no text */
    int mark;                   /* enum grade_mark */
    int truncated;              /* ended by the limit of tokens */
    int64_t input, cached, output;      /* tokens */
    double seconds;             /* its share of the time that the machine was busy */
    double joules;              /* the same share; NAN without a counter */
    double usd, flops;          /* NAN: not known */
};

/* What a way of asking took as a whole; seconds and joules are dealt out by score_ask. */
struct asked {
    struct answer *answer;      /* [n] sample by sample, in the order of the questions */
    size_t n;
    double seconds, joules;     /* busy with answers */
};

/* The prompt of a question asked in a way; the caller frees. */
char *score_prompt(const struct question *q, const struct way *w);
/* Fills a->answer[n] but for marks and prices. */
void score_ask(const struct score_options *o, const struct way *w, struct energy *energy,
               struct asked *a);
/* Rows of all ways. EXIT_DONE, EXIT_FAILED where an answer failed, EXIT_NOTHING without any. */
int score_rows(const struct score_options *o, const struct asked *asked, int argc, char **argv);

#endif
