/* replay.h - one trace through many caches at once, and what is counted
 *
 *     struct replay_job jobs[] = {{lru, {.capacity = 1000}}, {fifo, {.capacity = 1000}}};
 *     struct replay_result *res = replay_run(b, jobs, 2, &opt, &err);
 *     ... res[0].all.hit_blocks ...
 *     replay_free(res, 2);
 *
 * Jobs are shared out among threads; results do not depend on how many there are. Beside them
 * runs Belady's MIN at every capacity asked for, to compare with.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/cache/sim.h"
#include "lib/shape/shape.h"

struct replay_job {
    const struct sim_ops *ops;
    struct sim_setup setup;     /* its blocks and cost are filled in by replay_run */
};

/* What one table row counts. Hits are those of prefixes unless said otherwise. */
struct replay_tally {
    int64_t requests, accesses;
    int64_t hit_blocks;
    int64_t held_blocks;        /* hits of the flat block stream */
    int64_t input_tokens;
    int64_t hit_tokens;         /* of a request: min(hit blocks x block tokens, input) */
    double flops;               /* to prefill everything; 0 without a shape */
    double saved_flops;         /* of the tokens hit */
};

enum replay_by { REPLAY_ALL, REPLAY_SESSION, REPLAY_TIME, REPLAY_POSITION, REPLAY_LIFETIME };

struct replay_options {
    struct par *par;
    int64_t warmup;             /* requests at the front that count nowhere */
    enum replay_by by;          /* parts to count besides the whole */
    int64_t window_ns;          /* REPLAY_TIME: length of a part */
    const struct shape *shape;  /* for FLOPs; or NULL */
    /* Called by one thread now and then; not 0 cancels. NULL is fine. */
    int (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

struct replay_result {
    struct replay_tally all;
    struct sim_counts counts;   /* of the counted part */
    int64_t belady_blocks;      /* flat hits of MIN at this capacity */
    int64_t blocks_at_end;      /* in the cache when the trace ends */
    int64_t orphans_at_end;     /* of those: out of reach, as a block of their prefix is gone */
    /* One for each session, window of time, or range of positions; parts of lifetimes are
     * replay_lives. Positions: part 0 is block 0, part i blocks [2^(i-1), 2^i). */
    struct replay_tally *part;
    int64_t parts;
};

/* n results in the order of the jobs, or NULL with err. */
struct replay_result *replay_run(struct blocks *b, struct replay_job *jobs, int n,
                                 const struct replay_options *opt, struct err *err);
void replay_free(struct replay_result *results, int n);

/* The lower and upper end of part i of positions or lives: [*from, *to), powers of two. */
void replay_bucket(int i, int64_t *from, int64_t *to);
#define REPLAY_LIFE_PARTS 63
/* Evicted blocks whose life (in the unit of counts.life) lies in that part. */
int64_t replay_lives(const struct sim_counts *c, int part);
/* The life that a share q of the evicted blocks did not exceed, linear within a bucket of sim_life:
 * within 1/16 of the true one. NAN when nothing was evicted. */
double replay_life_quantile(const struct sim_counts *c, double q);

#endif
