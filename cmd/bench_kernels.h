/* bench_kernels.h - the pieces of llm-bench kernels
 *
 *   bench_kernels.c             a run: which variants, in which order, and rows of the report
 *   bench_kernels_options.c     the command line
 *   bench_kernels_plan.c        which figures there will be: operations, types, shapes, rows
 *   bench_kernels_figure.c      the clock, limits, comparison with the reference
 *   bench_kernels_weights.c     matrices of random weights, as many as no cache holds
 *   bench_kernels_matmul.c, _experts.c, _attention.c, _vec.c    the operations
 *
 * A subject is one operation on one shape with one type; its tests are calls with so many rows. A
 * figure is one test run by one variant in one layout of the weights.
 *
 *     void *state = op->open(room, subject, layouts, blas);
 *     op->call(state, &runner, test, rows, turn);      // the clock stands around this alone
 *     struct result out = op->result(state, test, rows);
 *     op->close(state);
 */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "cmd/common.h"
#include "kernels/kern.h"
#include "lib/base/blas.h"
#include "lib/base/par.h"
#include "lib/bench/limits.h"
#include "lib/shape/device.h"
#include "lib/shape/shape.h"

/* ---- what is to be measured --------------------------------------------------------------- */

/* The units that arithmetic may be limited by. */
enum unit { UNIT_F32, UNIT_BF16, UNIT_INT8, UNITS };

/* What one call must do at least: the code of each operation says how it is counted. */
struct work {
    double ops[UNITS];          /* a multiply-add counts two, a function such as exp one */
    double read, written;       /* bytes, each once */
    double set;                 /* bytes that calls go round in; 0: more than caches hold */
};

struct test {
    int n;                      /* rows of the call */
    int depth;                  /* positions before them; attention only */
};

enum { TESTS = 64 };

struct operation;

struct subject {
    const struct operation *op;
    int type, down;             /* enum kern_type; -1: none. down: of the experts' second half */
    int64_t rows, cols;         /* of the matrix; experts: hidden width and model width; else cols
                                 * is the width of a row */
    int experts, top_k, skew;   /* skew: rows prefer some experts */
    int heads, kv_heads, dk, dv;
    double tolerance;           /* largest |x - reference| of a result; 0: the same bits */
    char shape[32];             /* "2048x2048" */
    char tag[32];               /* what a row's name says of the shape; "": it is the usual one */
    int tests;
    struct test test[TESTS];
};

enum { LAYOUTS = 1, BLAS = 2 };     /* flags of an operation */

/* A variant to run: k NULL is OpenBLAS. */
struct runner {
    const struct kern *k;
    int layout;                 /* enum kern_layout */
};

/* Where operations run. */
struct room {
    struct par *par;
    const struct blas *blas;    /* NULL: there is none */
    struct kern_queue queue;
    size_t ring_bytes;          /* weights and caches: so many in turn; 0: one, over and over */
};

/* The result of the last call, as floats or as bytes that must be the same. */
struct result {
    const void *data;
    size_t count;               /* of elements */
    enum { RESULT_FLOATS, RESULT_DOUBLES, RESULT_BYTES } kind;
};

struct plan;

struct operation {
    const char *name;
    unsigned flags;
    void (*plan)(struct plan *p, const struct operation *op);
    /* layouts: bit 1 << enum kern_layout of those that will run. NULL: no memory. */
    void *(*open)(struct room *r, const struct subject *s, unsigned layouts, int blas);
    /* The first `rows` rows of the test. turn counts calls; below 0: the call's result will be
     * looked at, so what operations change in place is put back first. */
    void (*call)(void *state, const struct runner *by, const struct test *t, int rows, int turn);
    void (*work)(void *state, const struct runner *by, const struct test *t, int rows,
                 struct work *out);
    struct result (*result)(void *state, const struct test *t, int rows);
    void (*close)(void *state);
};

extern const struct operation kernels_matmul, kernels_embed, kernels_experts, kernels_attention,
    kernels_kv_store;
extern const struct operation kernels_small[];      /* ended by one without a name */

/* ---- the plan ----------------------------------------------------------------------------- */

enum { SHAPES_MOST = 32, QUICK_ROWS = 128 /* of the largest call with --quick */ };

struct dims {
    int64_t rows, cols;
};

struct plan {
    /* what was asked for */
    const char *shape;          /* --shape; NULL: the usual ones */
    int has_matrix;             /* it was ROWSxCOLS */
    struct dims matrix;
    struct shape *model;        /* it was a model */
    int quick;
    uint64_t types;             /* bits of enum kern_type; 0: every type */
    int ops;                    /* operations that --op names; 0: all */
    const struct operation *op[32];
    int ns, depths;             /* --n, --depth; 0: the usual ones */
    int n[TESTS], depth[TESTS];
    /* what follows */
    struct subject *subject;    /* [subjects] */
    size_t subjects, cap;
    int skipped;                /* subjects whose width their type's blocks do not divide */
};

/* Every operation there is; *n of them. */
const struct operation *const *kernels_operations(int *n);
/* Fills plan->subject; ends the program when --shape is neither a matrix nor a model. */
void kernels_plan(struct plan *p);
void kernels_plan_free(struct plan *p);

/* For the operations' own plans. */
int plan_wants_type(const struct plan *p, int type);
/* Adds tests for rows of the call: --n, or those of usual[count]. */
void plan_rows(const struct plan *p, struct subject *s, const int *usual, int count);
void plan_shape(struct subject *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Left out where it has no tests, or where its type's blocks do not divide its width. */
void plan_add(struct plan *p, const struct subject *s);

/* Matrices of the shape, each once; returns their number. */
int plan_matrices(const struct plan *p, struct dims out[SHAPES_MOST]);
struct expert_dims {
    int64_t d, hidden;
    int experts, top_k;
};
int plan_experts(const struct plan *p, struct expert_dims out[SHAPES_MOST]);
struct head_dims {
    int heads, kv_heads, dk, dv;
    const char *tag;            /* of a usual one; NULL: of a model */
};
int plan_heads(const struct plan *p, struct head_dims out[SHAPES_MOST]);
int64_t plan_width(const struct plan *p);           /* of a model's rows */
int64_t plan_vocab(const struct plan *p);

/* ---- a figure ----------------------------------------------------------------------------- */

struct clock_rules {
    double seconds;             /* of measuring a figure */
    int repeats;                /* windows that it is cut into: the samples */
};

enum { SAMPLES_MOST = 1000 };

struct share {
    double share;               /* of the limit that binds; NAN: not known */
    double limit;               /* bytes or operations a second */
    const char *binds;          /* "read", "f32", "bf16", "int8"; NULL */
};

struct figure {
    struct runner by;
    const struct test *test;
    int rows;                   /* of them; the reference may take fewer than the test has */
    struct work work;           /* of a call */
    double error;               /* largest |x - reference|; INFINITY: NaN, or bytes that differ */
    int64_t calls;              /* of a window */
    int windows;
    int turn;
    double us[SAMPLES_MOST];    /* of one call, by window */
    size_t n;
    struct share share;
};

/* Chooses how many calls make a window, and how many windows there will be. by, test, rows are
 * set; one call was made before. */
void figure_prepare(const struct operation *op, void *state, const struct clock_rules *rules,
                    struct figure *f);
/* Takes the next sample: 1, or 0 when all are there. */
int figure_window(const struct operation *op, void *state, struct figure *f);
/* Largest difference of two results; as many elements of got as want has. */
double result_error(const struct result *got, const struct result *want);

/* What the machine can do: the best of all that was seen so far. A shared machine may be slow
 * while limits are measured first, so they are looked at again around each figure. */
enum { BOUNDS_CLASSES = 40 };
struct bounds {
    struct limits best;
    struct par *par;
    struct limits_arena *arena; /* NULL: limits of a profile */
    size_t cached;              /* bytes of all last-level caches */
    double rate[BOUNDS_CLASSES];        /* bytes/s by the log2 of a thread's bytes */
};
/* About `seconds` a limit. -1: no memory. */
int bounds_measure(struct bounds *b, struct par *par, double seconds, struct err *err);
void bounds_of_device(struct bounds *b, const struct device *d);
void bounds_free(struct bounds *b);
/* To be called before and after a figure; a few milliseconds for each limit that may bind. */
void bounds_watch(struct bounds *b, const struct work *w);
/* Whether the caches hold what the calls go round in. */
int bounds_cached(const struct bounds *b, const struct work *w);
/* So much that they do not: bytes of a ring of weights. */
size_t ring_size(const struct bounds *b);

struct share bounds_share(struct bounds *b, const struct work *w, double seconds);

/* ---- the command line --------------------------------------------------------------------- */

struct kernels_options {
    struct common common;
    struct plan plan;
    struct clock_rules rules;
    double seconds;             /* --seconds; 0: the usual ones */
    unsigned layouts;           /* bits 1 << enum kern_layout */
    int warm;
    const char *device;         /* NULL: limits are measured */
};
/* Reads it and makes the plan; ends the program when it is bad, or asks for nothing. */
void kernels_options(struct kernels_options *o, int argc, char **argv);

/* ---- weights ------------------------------------------------------------------------------ */

/* Matrices in turn. */
struct ring {
    struct kern_weight *w;      /* [count] */
    int count;
    void *map;
    size_t bytes;
};

/* Random weights of one type: count is as many as room->ring_bytes holds, at least one, all the
 * same, each of `mats` matrices that differ. floats: of the same values, as F32. -1: no memory. */
int ring_open(struct room *r, struct ring *out, int type, int layout, int64_t rows, int64_t cols,
              int64_t mats, int floats);
void ring_close(struct ring *ring);                 /* {0} is fine */

/* A unit that products with weights of this type use. */
enum unit unit_of(int type);
/* n numbers between -1 and 1, the same each time; free() releases. */
float *random_numbers(size_t n, uint64_t seed);
/* Makes the room's scratch large enough. -1: no memory. */
int room_scratch(struct room *r, const struct kern_limits *lim);

#endif
