/* bench_stat.h - the pieces of llm-bench stat
 *
 *   bench_stat.c        options; files read, paired, judged
 *   bench_stat_cmd.c    commands run in turn, which makes the same of them as of files
 *   bench_stat_rows.c   the report, and the formats that other programs read
 *   bench_stat_words.c  what is said on stderr: noise, other hosts, samples that are missing
 */
#ifndef BENCH_STAT_H
#define BENCH_STAT_H

#include "cmd/bench.h"
#include "lib/bench/compare.h"

/* --format beyond what a table knows. */
enum stat_format { STAT_TABLE, STAT_JUNIT, STAT_GITHUB };

enum stat_fail { STAT_FAIL_WORSE = 1, STAT_FAIL_INCONCLUSIVE = 2, STAT_FAIL_MISSING = 4 };

#define STAT_SIDES 64

/* What is compared: a file, or a command with what was measured of it. */
struct stat_side {
    char *label;                /* path, or --name, or the command */
    const char *command;        /* NULL: a file */
    struct serieses *all;
};

struct stat_options {
    struct common common;
    int format;                 /* enum stat_format */
    struct compare_options compare;
    unsigned fail;              /* bits of stat_fail */
    char **filter;              /* [filters] patterns of names; 0: all */
    int filters;
    int only;                   /* enum series_better: no rows of the other direction */
    int better;                 /* of series that do not say */
    /* commands */
    int repeat;                 /* 0: not said */
    int warmup;
    double precision;           /* half an interval / its middle; 0: not asked for */
    int64_t max_ns;             /* 0: no limit */
    const char *prepare, *save;
    int ignore_failure;
    int metric;                 /* numbers that the commands print */
    const char *metric_name;    /* NULL: all of them */
    char *name[STAT_SIDES];
    int names;
    int argc;
    char **argv;                /* whole command line, for the rows */
};

/* Runs the commands of side[n] in turn and fills in what was measured. */
void stat_run(const struct stat_options *o, struct stat_side *side, int n);

/* One side: a row a series. Several: all against the first, in pairs of c. */
void stat_print_summary(const struct stat_options *o, const struct stat_side *side);
void stat_print_comparison(const struct stat_options *o, const struct stat_side *side, int n,
                           const struct comparisons *c);
/* 1: this verdict is what --fail-on asked about. */
int stat_fails(const struct stat_options *o, const struct comparison *c);

void stat_say_summary(const struct stat_options *o, const struct stat_side *side);
void stat_say_comparison(const struct stat_options *o, const struct stat_side *side,
                         const struct comparisons *c);

#endif
