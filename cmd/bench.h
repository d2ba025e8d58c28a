/* bench.h - the pieces of llm-bench
 *
 *   llm-bench.c        the verbs
 *   bench_rows.c       rows of a report: the verb's columns, then what every result carries
 *   bench_device.c     device: this machine's limits, as a device profile
 *   bench_kernels.c    kernels: every kernel variant against its limit
 *   bench_model.c      model: prefill and decode of a model file, beside a peer
 *   bench_serve.c      serve: load on an OpenAI-compatible server
 *   bench_null.c       null: a server that answers at a given pace, with faults on demand
 *   bench_score.c      score: right answers for the tokens, joules and money they cost
 *   bench_fit.c        fit: cost against length
 *   bench_stat.c       stat: two results, or two commands, compared
 *
 * A verb is a function that takes its own argc and argv (argv[0] is "llm-bench VERB") and returns
 * the exit status. Everything here may end the program with die().
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#include "cmd/common.h"
#include "cmd/fields.h"
#include "lib/base/energy.h"
#include "lib/bench/limits.h"
#include "lib/bench/series.h"

int bench_device(int argc, char **argv);
int bench_kernels(int argc, char **argv);
int bench_model(int argc, char **argv);
int bench_serve(int argc, char **argv);
int bench_null(int argc, char **argv);
int bench_score(int argc, char **argv);
int bench_fit(int argc, char **argv);
int bench_stat(int argc, char **argv);

/* ---- rows --------------------------------------------------------------------------------
 *
 * A row is one measurement: its name, value (mostly the median of its samples) and interval, the
 * verb's own columns, and, in pipes and JSON, all that it rests on: samples, time, host, program,
 * command line, files with their SHA-256. Rows of several runs may be joined with cat; llm-bench
 * stat and fit read them.
 *
 *     static const struct field own[] = {{"tokens", FIELD_COUNT, 0}, {"read_gbps", 1, 0}};
 *     struct rows r;
 *     rows_open(&r, own, 2, &common, argc, argv);
 *     rows_file(&r, "model.gguf");                 // hashed here: not inside a measurement
 *     rows_row(&r, &(struct measure){"decode64", "tok/s", SERIES_HIGHER, tps, 5},
 *              (struct value[]){{.count = 64}, {.number = 51.4}});
 *     rows_close(&r);
 */

struct measure {
    const char *name;           /* of the test: the same in a later run of the same */
    const char *unit;
    int better;                 /* enum series_better */
    const double *sample;       /* [n] in the order taken */
    size_t n;
    const double *value;        /* NULL: value is the median, its interval that of the median;
                                 * else [3] value, low, high from elsewhere, NAN where none */
};

struct rows {
    struct fields fields;
    struct field field[FIELDS_MOST];
    int own;                    /* columns of the verb */
    struct buf args, files;
    char time[40], host[128], cpu[128], program[64];
};

/* JSON Lines to another stream than stdout. */
void rows_open_to(struct rows *r, FILE *out, const struct field *own, int n, int argc,
                  char **argv);
void rows_open(struct rows *r, const struct field *own, int n, const struct common *common,
               int argc, char **argv);
/* Names a file that the rows from here on rest on; dies when it cannot be read. */
void rows_file(struct rows *r, const char *path);
void rows_row(struct rows *r, const struct measure *m, const struct value *own);     /* [n] */
void rows_close(struct rows *r);

#endif
