/* shards.h - curves from a sample of the blocks, with their error
 *
 *     struct shards *s = shards_new(&(struct curve_options){0}, 0.01, 0, 1);
 *     while (reqs_next(r, &q, &err) == 1)
 *         shards_add(s, &q, &err);
 *     shards_finish(s, reqs_block_tokens(r), &err);
 *     struct shards_walk *w = shards_walk(s);
 *     while (shards_step(w, &p))
 *         use(p.key, p.block_hits, p.block_low, p.block_high);
 *     shards_walk_free(w);
 *     shards_free(s);
 *
 * C. A. Waldspurger, N. Park, A. Garthwaite, I. Ahmad, "Efficient MRC construction with SHARDS",
 * FAST 2015: a block is in the sample when the hash of its id is below a threshold, so that of a
 * block all uses are or none; with a share R sampled, a stack distance d among sampled blocks
 * stands for d / R, and a use for 1 / R uses. What the sample's uses fall short of the trace's is
 * added at the lowest capacity (SHARDS-adj), as it is the most used blocks that cause it; so
 * misses are what is estimated. With a limit on the sample's blocks the threshold falls as needed:
 * blocks above it leave, and later uses stand for more.
 *
 * Prefixes: a block is hit when the largest distance so far is below the capacity, and here the
 * largest of the sampled blocks so far is taken. Blocks are sampled, not sessions or whole
 * prefixes: with chained ids a block's prefix was used when it was, so that its own distance is
 * the largest of all but for the length of one request (last to first: it is the largest), and
 * what a sampled request counts of that length is right in the mean. Whole sessions would keep
 * prefixes whole, but blocks that several sessions share would be in the sample too often, and few
 * sessions are like all: on the agentic trace a quarter of the sessions is off by up to 0.48 in the
 * mean, a tenth of the blocks by 0.01.
 *
 * The error comes from SHARDS_PARTS disjoint parts of the sample, each a sample of its own of
 * 1 / SHARDS_PARTS of the size: their standard deviation over sqrt(SHARDS_PARTS), times Student's
 * t for 95 %. Below SHARDS_PARTS / rate blocks the parts see no distances but 0: there the interval
 * reaches from 0 to its upper end at that capacity. On both real traces it holds the exact value in
 * 94 to 100 of 100 cases (test_curve.c has some of them). Memory: twice that of a curve of the
 * sampled blocks, and 64 bytes for each distance found.
 */
#ifndef SHARDS_H
#define SHARDS_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/cache/curve.h"

#define SHARDS_PARTS 16

struct shards;

/* rate in (0, 1]; blocks > 0: sampled at most, give or take a batch. Of opt, save is not used. */
struct shards *shards_new(const struct curve_options *opt, double rate, int64_t blocks,
                          uint64_t seed);
void shards_free(struct shards *s);                     /* NULL is fine */
int shards_add(struct shards *s, const struct req *q, struct err *err);
int shards_finish(struct shards *s, int block_tokens, struct err *err);

/* Of the whole trace; unique is an estimate. */
const struct curve_totals *shards_totals(const struct shards *s);
double shards_rate(const struct shards *s);             /* at the end */
double shards_resolved(const struct shards *s);         /* SHARDS_PARTS / rate; 0: all times are */
int64_t shards_blocks(const struct shards *s);          /* in the sample at the end */

struct shards_point {
    uint64_t key;               /* capacity in blocks, or time to live in ns: from here on */
    double block_hits, block_low, block_high;
    double token_hits, token_low, token_high;
};
struct shards_walk;
struct shards_walk *shards_walk(const struct shards *s);        /* borrows s */
/* Keys rise; the first one is the lowest there is. 1 a point, 0 the end. */
int shards_step(struct shards_walk *w, struct shards_point *out);
void shards_walk_free(struct shards_walk *w);

#endif
