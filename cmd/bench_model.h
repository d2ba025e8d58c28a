/* bench_model.h - the pieces of llm-bench model
 *
 *   bench_model.c         the command line; from there to the rows
 *   bench_model_tests.c   lists of lengths, and the tests that they make
 *   bench_model_run.c     one test: what is inside the clock
 *   bench_model_limits.c  what the machine could do, or a device profile says
 *   bench_peer.c          --peer: another program's tests in turn with ours
 *
 * Everything here may end the program with die().
 */
#ifndef BENCH_MODEL_H
#define BENCH_MODEL_H

#include <stdint.h>

#include "cmd/bench.h"
#include "cmd/progress.h"
#include "kernels/kern.h"
#include "lib/base/par.h"
#include "lib/infer/session.h"
#include "lib/model/model.h"
#include "lib/shape/device.h"

/* ---- the command line --------------------------------------------------------------------- */

struct numbers {                /* a list of an option; given several times, it grows */
    int64_t *v;
    int n;
};

struct model_bench {
    struct common common;
    const char *model;          /* path or address */
    char *path;                 /* the file */
    const char *sha256;         /* that a fetched file must have, or NULL */
    struct numbers prompt, decode, depth, parallel, batch, threads;
    struct numbers pair;        /* prompt, decode, prompt, decode, ... of --pg */
    int repeat;
    int kv_type;                /* enum kern_type */
    int no_pack, no_hash;
    const struct kern *kern;    /* of --cpu */
    const char *device_name;    /* --device, or NULL */
    const struct device *device;        /* shares are of its figures; NULL: of what is measured */
    int no_limits;              /* --device none: no shares */
    const char *peer;           /* command, or NULL */
    int pairs;
};

void numbers_add(struct numbers *l, int64_t v);
/* Appends "a,b,c", each from min to max. */
void numbers_parse(struct numbers *l, const char *option, const char *arg, int64_t min,
                   int64_t max);
const char *model_bench_kv_name(int kv_type);
/* Names the model's files, with their hashes, in the rows to come; not with --no-hash. */
void model_bench_hash(struct rows *rows, const struct model_bench *b);

/* ---- tests -------------------------------------------------------------------------------- */

struct model_test {
    char name[96];              /* "prefill512", "decode64@4096x8" */
    int prompt, decode;         /* tokens of a sequence inside the clock; both: one after another */
    int depth;                  /* tokens that the sequences hold before */
    int parallel;               /* sequences */
    int batch;                  /* most rows of a pass */
    int threads;                /* 0: one per core */
};

/* Every test of the lists, threads outermost; *n of them, the caller frees. Prefill is tested for
 * each batch, decode, whose passes have a row for each sequence, for each `parallel`. */
struct model_test *model_tests(const struct model_bench *b, int *n);
int64_t model_test_tokens(const struct model_test *t);      /* inside the clock, all sequences */

/* ---- limits ------------------------------------------------------------------------------- */

struct model_limits {
    double read_bytes_per_s;
    double flops_per_s;         /* in the type below */
    const char *type;           /* what most weights are multiplied in: "int8", "bf16", "f32" */
};

/* What is needed of limits.h for each number of threads: measured now, in processes of their own,
 * so that what the measurement maps is not in this one's peak. The caller frees. */
struct limits *model_limits_measure(const struct model_bench *b);
/* Those of m's weights with so many threads. all: of the call above, or NULL. */
struct model_limits model_limits(const struct model_bench *b, const struct limits *all,
                                 int threads, const struct model *m);

/* ---- running ------------------------------------------------------------------------------ */

struct model_engine {
    const struct model_bench *bench;
    struct par *par;
    struct model *model;
    struct session *session;
    struct session_options options;     /* of the session: room for the largest test */
    int32_t *token;             /* drawn before any clock starts */
    struct energy *energy;      /* NULL: no counter */
    struct progress bar;
    int64_t done, total;        /* tokens, for the bar */
};

struct model_result {
    double *tps;                /* [n] tokens a second of all sequences, by repetition */
    int n;
    int64_t tokens;             /* of all repetitions; the sums below are over them too */
    struct shape_flops flops;
    struct shape_bytes bytes;
    double joules;              /* NAN: not counted */
    int64_t kv_bytes;           /* that the sequences hold at the end of a repetition */
    int64_t peak_bytes;         /* largest resident set of this process so far */
};

/* Ends the program when the file is no model that can be run, or a test's KV cache has no place in
 * memory, before anything is loaded or measured. */
void model_bench_check(const struct model_bench *b, const struct model_test *test, int n);
void engine_load(struct model_engine *e, const struct model_bench *b,
                 const struct model_test *test, int n);
/* r->tps is the caller's to free. */
void engine_test(struct model_engine *e, const struct model_test *t, struct model_result *r);
void engine_free(struct model_engine *e);

/* ---- beside a peer ------------------------------------------------------------------------ */

/* Runs tests and peer in turn, prints a row for each test that both have. The exit status. */
int bench_peer(const struct model_bench *b, const struct model_test *test, int n, int argc,
               char **argv);

#endif
