/* cost_diff.h - the pieces of llm-cost diff and check
 *
 *   cost_diff.c            options, and the way from two files to an exit status
 *   cost_diff_read.c       a side: its records with their usage, its measurements, where and when;
 *                          cost_diff_lines.c, cost_diff_prefix.c: cost_diff_read.h
 *   cost_diff_cases.c      records of one case, on both sides
 *   cost_diff_metrics.c    what is compared, as the gate wants it
 *   cost_diff_money.c      prices: usd, prompt_usd, and the change taken apart
 *   cost_diff_rows.c       the report as rows
 *   cost_diff_report.c     the same for other programs: Markdown, JUnit, annotations, JSON
 *   cost_diff_words.c      what is said on stderr: other hosts, cases that are lost
 */
#ifndef COST_DIFF_H
#define COST_DIFF_H

#include "cmd/cost.h"
#include "lib/bench/series.h"
#include "lib/cost/gate.h"
#include "lib/cost/gate_split.h"

#define DIFF_FIELDS 40          /* fields of records that can be metrics */
#define DIFF_OUTPUTS 16

struct diff_record {
    int64_t line;
    char *id;                   /* of its case; NULL: none */
    int has_usage;
    struct usage use;           /* texts point into `text` */
    char *text;
    int64_t cacheable;          /* tokens of the longest prefix that another case began with before;
                                 * -1: not known */
    int64_t time_ns;            /* USAGE_NO_TIME: not said */
    double *field;              /* [fields] NAN: it has none; NULL: no field at all */
    int priced;                 /* 1: both are known */
    money usd, prompt_usd;
};

struct diff_side {
    const char *path, *name;    /* name for people */
    char *kept;                 /* path of standard input, kept in memory; NULL */
    int fd;                     /* which that is */
    struct diff_record *record; /* [n] in the file's order, none of them void */
    size_t n;
    size_t voids;               /* left out: errors, warm-ups */
    size_t errors;              /* of those */
    struct serieses *series;    /* NULL: none */
    int64_t steps;              /* of run traces, and their sums: */
    double flops, kv_bytes, weight_bytes;
    int64_t first_ns, last_ns;  /* of all that has a time; USAGE_NO_TIME */
    int64_t timed;
};

/* One case that both sides have, or one of them. Indices of its records, in the file's order. */
struct diff_case {
    const char *id;
    const size_t *base, *head;
    size_t base_n, head_n;
};

struct diff_cases {
    struct diff_case *c;        /* [n] those of base in its order, then those of head alone */
    size_t n;
    size_t both, only_base, only_head;
    size_t *index;              /* what base and head point into */
    int by_place;               /* no record has an id: the first of one side goes with the first
                                 * of the other */
};

struct diff_options {
    struct common common;
    int check;                  /* 1: check; 0: diff */
    int plan;
    double power;
    struct cost_books books;
    const char *base_book, *head_book, *model, *key, *policy_path;
    struct cost_shape shape;
    struct gate_options gate;
    int skip_bad;
    int format;                 /* of stdout: enum diff_format */
    struct { int format; const char *path; } output[DIFF_OUTPUTS];
    int outputs;
    int summary;                /* to $GITHUB_STEP_SUMMARY */
};

enum diff_format {
    DIFF_TABLE, DIFF_TSV, DIFF_CSV, DIFF_JSONL, DIFF_MD, DIFF_SQL, DIFF_JUNIT, DIFF_ANNOTATIONS,
    DIFF_BENCHMARK
};

struct diff_metric {            /* beside the gate_metric of the same index */
    char *name, *unit, *unknown;
    double *base, *head;
    const char **case_id;       /* [base_n] of pairs; NULL: samples */
    size_t lost;                /* cases of both sides that have a value in base alone */
};

struct diff {
    const struct diff_options *opt;
    struct gate_policy *policy;
    struct diff_side side[2];   /* base, head */
    struct diff_cases cases;
    struct {
        const char *name, *unit;        /* of the metric */
        char *key;              /* in records: NAME_UNIT; NULL: the name alone */
    } field[DIFF_FIELDS];
    int fields;
    struct gate_metric *metric;
    struct diff_metric *own;
    size_t metrics;
    /* money */
    struct book *book[2];       /* borrowed; NULL: not used */
    struct biller *biller[2];
    int64_t at_ns;
    int has_split;
    struct gate_split split;
    int outcome;                /* enum gate_verdict */
};

/* The fields that may be metrics: of the policy, and of quality. */
void diff_name_fields(struct diff *d);
void diff_free_fields(struct diff *d);
void diff_read(struct diff *d, struct diff_side *side);
void diff_side_free(struct diff_side *side);

void diff_match(struct diff *d);
void diff_cases_free(struct diff_cases *c);

/* Makes all metrics, unjudged. */
void diff_measure(struct diff *d);
/* A metric by case, unless nobody has it: value(d, record, arg) of each record, NAN where it has
 * none; of deterministic ones the first record of a case counts, of others the mean. */
typedef double diff_value(const struct diff *d, int side, const struct diff_record *r, void *arg);
void diff_add_cases(struct diff *d, const char *name, const char *unit, diff_value *value,
                    void *arg);
/* A metric that has no numbers for this reason. */
void diff_add_unknown(struct diff *d, const char *name, const char *unit, const char *why);

/* usd and prompt_usd, and the split. */
void diff_price(struct diff *d);
void diff_money_free(struct diff *d);

/* Order in which metrics are shown: of check as they were made, of diff by the size of change. The
 * caller frees. */
size_t *diff_order(const struct diff *d);
void diff_rows(const struct diff *d, FILE *out, enum table_format format, int verbose);
/* Words that go with a metric's verdict: what the gate says, and the case that is worst. The caller
 * frees. */
char *diff_why(const struct diff *d, size_t i);
/* All of it in a sentence. The caller frees. */
char *diff_sentence(const struct diff *d, size_t i);
void diff_plan_rows(const struct diff *d, FILE *out, enum table_format format, int verbose);
/* In one of the formats that are no table. */
void diff_report(const struct diff *d, FILE *out, int format);
void diff_words(const struct diff *d);

#endif
