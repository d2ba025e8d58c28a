/* curve_impl.h - what curve.c, curve_file.c and shards.c share
 *
 * Tokens. A request that hits h blocks of B tokens hits min(h B, input) tokens: a block gives B,
 * but the last one of a request often less. B may be known only at the end, so the counts of
 * blocks come with two sums over the short ones of them, blocks and tokens, and the tokens are
 *
 *     B blocks - max(0, B short_blocks - short_tokens)
 *
 * With B known, every short block adds 1 and the tokens it gives. Otherwise the last block of a
 * request adds all the request's blocks and tokens: n B - input is what it lacks when the blocks
 * were rounded up, and not above 0 for any request when they were rounded down. curve_finish makes
 * sure that one of the two holds for all requests.
 */
#ifndef CURVE_IMPL_H
#define CURVE_IMPL_H

#include "lib/base/mem.h"
#include "lib/cache/counters.h"
#include "lib/cache/curve.h"
#include "lib/cache/idmap.h"
#include "lib/cache/points.h"
#include "lib/cache/recency.h"

/* A request, or that part of one which is counted. */
struct curve_request {
    int64_t time_ns;
    int64_t n;                  /* blocks */
    int64_t full;               /* blocks before the first short one; n: there is none */
    int64_t short_blocks, short_tokens; /* of the block at `full`; blocks behind it give nothing */
};

/* Block sizes for which the second form of the sums is right. */
struct curve_fit {
    int64_t up_min, up_max;     /* rounded up: only the last block of any request is short */
    int64_t down_max;           /* rounded down: none is */
};

struct curve {
    struct curve_options opt;
    struct idmap *map;
    struct recency *recency;    /* LRU */
    int64_t *used;              /* TTL: [used_cap] time of the latest use, or NOT_USED */
    size_t used_n, used_cap;

    struct counters blocks, short_blocks, short_tokens;     /* LRU, at the capacity needed */
    struct points points;                                   /* TTL, at the gap */

    /* Requests wait until their ids are worth numbering together. */
    uint64_t *id;               /* [n_ids] */
    uint32_t *dense;            /* [ids_cap] their numbers */
    uint64_t *need;             /* [ids_cap] what each one's hit takes: blocks, or nanoseconds */
    size_t n_ids, ids_cap;
    size_t wait;                /* ids, or requests, that may wait */
    struct curve_request *request;
    size_t n_requests, requests_cap;

    struct curve_totals totals;
    struct curve_fit fit;
    int64_t lengthless_blocks;  /* of requests that say no input length */
    int64_t first_ns, last_ns;
    int lengths;                /* some request says its input length */
    int timed;                  /* some request says its time */
    int implied;                /* block size that was said or follows; 0: none yet */
    struct buf line;            /* of the saved file, being made */
    int headed;                 /* it has its first line */
};

#define CURVE_NEW UINT64_MAX    /* need of a block that was never used */
#define CURVE_NOT_USED INT64_MIN

/* Adds a request or a part of it, whose totals the caller counts. */
int curve_add_part(struct curve *c, const struct curve_request *q, const uint64_t *id,
                   struct err *err);
/* Counts a record's request and tokens, and says how its blocks give them; *out is then for
 * curve_add_part. */
int curve_add_lengths(struct curve *c, const struct req *q, struct curve_request *out,
                      struct err *err);
/* Runs what waits. */
int curve_flush(struct curve *c, struct err *err);

/* The steps of running a request. First its blocks get numbers: */
int curve_number(struct curve *c, const uint64_t *id, size_t n, uint32_t *dense,
                 struct err *err);
/* What a block's hit takes: a capacity, a time to live in nanoseconds, or CURVE_NEW. */
uint64_t curve_need(const struct curve *c, uint32_t id, int64_t time_ns);
/* Counts the request's blocks before the first one whose need[] is CURVE_NEW, and returns how many
 * they are. *largest is the largest need before its blocks, then of these too. */
int64_t curve_count(struct curve *c, const struct curve_request *q, const uint64_t *need,
                    uint64_t *largest);
void curve_count_hits(struct curve *c, uint64_t need, int64_t blocks, int64_t short_blocks,
                      int64_t short_tokens);
void curve_use(struct curve *c, uint32_t id, int64_t time_ns);

/* Counts by ascending key; *next starts at 0. Returns 0 at the end. */
int curve_next(const struct curve *c, uint64_t *next, struct point *out);
/* Tokens of the blocks of a point. */
double curve_tokens(const struct point *p, int block_tokens);

/* For samples: fewer ids wait; counts start again; [n] numbers, the longest unused first (with a
 * time to live, where times say that, in any order), which the caller frees. */
void curve_limit_pending(struct curve *c, size_t ids);
void curve_forget_counts(struct curve *c);
uint32_t *curve_order_of_use(const struct curve *c, uint32_t n);

struct curve_fit curve_fit_any(void);
void curve_fit_meet(struct curve_fit *f, const struct curve_fit *other);

/* The saved file, see curve_file.c: a request whose blocks from `first` on wait for earlier pieces
 * (need[] is that of each block, base the largest one before), and what remains at the end. */
int curve_save_open(struct curve *c, const struct curve_request *q, const uint64_t *id,
                    const uint64_t *need, int64_t first, uint64_t base, struct err *err);
int curve_save_rest(struct curve *c, struct err *err);

#endif
