/* tiers.h - a prefix cache of several tiers: GPU, host, disk
 *
 *     struct tiers_setup s = {.blocks = b, .tiers = 2, .tier = {{.capacity = 1000}, ...},
 *                             .write = TIERS_THROUGH, .threshold = 1};
 *     if (tiers_run(&s, NULL, NULL, &result, &err) < 0) ...
 *
 * State and order of events:
 *
 * - Each tier keeps its blocks in the order of their last use and lets the least recently used
 *   one go. Tier 0 is the one that is computed in; every block of a request is there when the
 *   request is done (unless the request is longer than the tier).
 * - When a request comes, its blocks are looked up from the first on, each in the topmost tier
 *   that has it, up to the first that is in no tier: these are its hit. Nothing moves meanwhile.
 * - The blocks of the hit become the most recent of every tier that has them, so that they are not
 *   pushed out by what the request brings along.
 * - Then each of its blocks in order (from the last to the first with tail_first) is used: it
 *   becomes the most recent in every tier that has it, and enters tier 0 if it is not there. A
 *   block behind the hit that some tier has is computed again, and used like the others.
 * - TIERS_THROUGH, TIERS_SELECTIVE: a block that has been used `threshold` times since it was last
 *   in no tier is written to all lower tiers that do not have it. Through is a threshold of 1.
 *   What leaves a tier is dropped there. This is SGLang's HiCache (write_through: 1,
 *   write_through_selective: 2, hits counted from the insertion on; docs/advanced_features/
 *   hicache*.md), where recency is shared by the tiers too.
 * - TIERS_BACK: what leaves a tier is written to the one below unless that has it, as its most
 *   recent block, which may in turn push one further down; what leaves the last is dropped (HiCache
 *   write_back; LMCache and Dynamo's KVBM offload from tier to tier likewise). A block that is used
 *   stays below as well, or with `exclusive` moves up and is in one tier at a time.
 *
 * So tier 0 always holds what a cache of its size alone would hold. Exclusive tiers 0 to j together
 * hold exactly the C0 + ... + Cj most recently used blocks: their hits are one point of the LRU
 * curve. Written through, tier j holds the Cj most recently used ones.
 *
 * Time, when there is a shape: of the hit, every longest run of blocks that lie in the same lower
 * tier is one load into tier 0 of latency + bytes / bandwidth. What is not hit is computed, FLOPs
 * of its tokens behind the cached ones (shape_prefill_flops) / FLOP/s. Bytes of a block are those
 * of its tokens in all layers. Writes run beside the computation and delay nothing.
 */
#ifndef TIERS_H
#define TIERS_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/cache/blocks.h"
#include "lib/shape/shape.h"

#define TIERS_MAX 8

enum tiers_write { TIERS_THROUGH, TIERS_SELECTIVE, TIERS_BACK };

struct tiers_tier {
    int64_t capacity;           /* blocks, at least 1 */
    double read_bytes_per_s;    /* into tier 0; not looked at for tier 0, nor without a shape */
    double latency_s;
};

struct tiers_setup {
    const struct blocks *blocks;    /* borrowed, as is shape */
    int tiers;                  /* 1 to TIERS_MAX */
    struct tiers_tier tier[TIERS_MAX];
    enum tiers_write write;
    int threshold;              /* uses before TIERS_SELECTIVE writes, 1 to 255 */
    int exclusive;              /* with TIERS_BACK only */
    int tail_first;
    int overlap;                /* loads run beside the computation: the longer counts */
    int64_t warmup;             /* so many first requests are not counted */
    const struct shape *shape;  /* NULL: bytes and times stay 0 */
    double kv_bits;             /* of a KV element */
    double flops_per_s;         /* with a shape: above 0 */
};

struct tiers_counts {           /* of one tier */
    int64_t hit_blocks, hit_tokens;         /* of hits, the part that lay in this tier */
    /* Had the tiers ended with this one. For exclusive tiers and TIERS_THROUGH the same as a run of
     * these tiers alone; otherwise lower tiers have a little influence on those above: they keep a
     * block's count of uses alive, and the hit longer whose blocks are not pushed out. */
    int64_t prefix_blocks, prefix_tokens;
    int64_t loads;              /* into tier 0 */
    double loaded_bytes, load_s;
    double recompute_s;         /* computing what was loaded instead */
    int64_t written_blocks;     /* from above; 0 for tier 0 */
    int64_t evicted_blocks;     /* that left to make room, whatever became of them */
    double prefill_s;           /* of all requests: loads and computation, had the tiers ended with
                                 * this one */
};

struct tiers_result {
    int64_t requests, accesses, input_tokens;
    double uncached_s;          /* computing everything */
    struct tiers_counts tier[TIERS_MAX];
};

/* progress (may be NULL) gets the requests done now and then; not 0 cancels, which is an error. -1
 * with err also for a setup that makes no sense. 9 bytes for a unique block, with tiers that are
 * not exclusive 8 more for each tier after the first. */
int tiers_run(const struct tiers_setup *s, int (*progress)(void *arg, int64_t requests),
              void *arg, struct tiers_result *out, struct err *err);

/* The fewest tokens at the start of a request for which one load from tier t takes no longer than
 * computing them; shorter ones had better be computed. NaN: loading is never as fast, or there is
 * no shape. */
double tiers_break_even(const struct tiers_setup *s, int t);

#endif
