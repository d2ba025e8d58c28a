/* sim.h - simulators of one cache: a replacement policy under the semantics of an engine
 *
 *     const struct sim_ops *ops = sim_find(SIM_PLAIN, "s3-fifo", 7);
 *     void *sim = ops->create(&(struct sim_setup){.blocks = b, .capacity = 10000}, &err);
 *     ops->run(sim, 0, b->requests, hit, held);
 *     ops->free(sim);
 *
 * A policy is one file, policy_NAME.c, and one row in sim.c. Most are made of two functions by
 * the loop in policy.h; an engine's own order of events (vllm, sglang, tail first) is a run
 * function of its own.
 *
 * Under plain semantics a request's hit is the longest prefix of its blocks all of which are in
 * the cache when it comes; then each of its blocks is touched, or inserted, in order.
 */
#ifndef SIM_H
#define SIM_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/cache/blocks.h"

enum sim_semantics { SIM_PLAIN, SIM_VLLM, SIM_SGLANG };

struct sim_setup {
    const struct blocks *blocks;    /* borrowed for the simulator's life */
    int64_t capacity;           /* blocks, at least 1 */
    const float *cost;          /* [unique] FLOPs to compute a block again; NULL: all the same */
    int64_t ttl_ns;             /* policy ttl: time to live, renewed on every touch */
    const char *params;         /* "small=0.1:ghost=0.9", or NULL; see policy_param */
    uint64_t seed;
};

/* Lives are counted in buckets that are exact below 16 and from there on a sixteenth of an octave
 * wide. */
#define SIM_LIFE_STEPS 16
#define SIM_LIVES (60 * SIM_LIFE_STEPS)

struct sim_counts {
    int64_t inserted;           /* blocks that entered, again ones included */
    int64_t evicted;            /* blocks that left to make room or by age */
    int64_t refused;            /* requests that need more blocks than the cache has (vllm, sglang):
                                 * they hit nothing and change nothing */
    int64_t life[SIM_LIVES];    /* of evicted ones, by sim_life of the milliseconds that they were
                                 * in the cache; requests where the trace has no times */
};

/* The bucket of a life, from 0 to INT64_MAX. */
static inline int sim_life(int64_t life) {
    if (life < SIM_LIFE_STEPS)
        return (int)life;
    int octave = 63 - __builtin_clzll((unsigned long long)life);
    return SIM_LIFE_STEPS * (octave - 3) + (int)(life >> (octave - 4) & (SIM_LIFE_STEPS - 1));
}

struct sim_ops {
    const char *name;
    const char *words;          /* one line for the help, with its parameters and their defaults */
    /* NULL with err when a parameter is wrong. */
    void *(*create)(const struct sim_setup *s, struct err *err);
    /* Requests [from, to), which follow those of the call before. hit[i] becomes the blocks of
     * the prefix that request from + i hit, held[i] how many of its accesses found their block
     * (the hits of the flat block stream; the same as hit under an engine's semantics). */
    void (*run)(void *sim, int64_t from, int64_t to, uint32_t *hit, uint32_t *held);
    /* Is the block in the cache now? And in[id] becomes 1 for all that are, else 0: [unique]. */
    int (*holds)(const void *sim, uint32_t id);
    void (*mark)(const void *sim, unsigned char *in);
    const struct sim_counts *(*counts)(const void *sim);
    void (*free)(void *sim);
};

/* The row of name[len], or NULL. */
const struct sim_ops *sim_find(enum sim_semantics semantics, const char *name, size_t len);
/* All policies of these semantics, ended by NULL, in the order of the help. */
const struct sim_ops *const *sim_list(enum sim_semantics semantics);
const char *const *sim_semantics_names(void);           /* "plain", ..., NULL */

#endif
