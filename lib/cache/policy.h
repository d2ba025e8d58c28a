/* policy.h - private to lib/cache: what every replacement policy is made of
 *
 * A policy's struct begins with a struct policy. Its file defines
 *
 *     static int holds(const struct fifo *f, uint32_t id);    // in the cache?
 *     static int touch(struct fifo *f, uint32_t id);          // access: 1 found, 0 inserted
 *     static void prefetch(const struct fifo *f, uint32_t id);
 *     static void *create(const struct sim_setup *s, struct err *err);
 *     static void destroy(struct fifo *f);
 *     POLICY_DEFINE(fifo, "fifo", "first in, first out")
 *
 * and calls policy_inserted and policy_evicted for each block that enters and leaves. The macro
 * makes the loop over requests, into which the two small functions are inlined, so that an access
 * costs no call.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cache/sim.h"

struct policy {
    const struct blocks *blocks;
    int64_t capacity;
    int64_t size;               /* blocks in the cache */
    int64_t request;            /* the one that runs */
    uint32_t *born;             /* [unique] request that inserted the block last */
    struct sim_counts counts;
};

/* More room than there are blocks changes nothing, and arrays are as long as the capacity. */
static inline void policy_start(struct policy *p, const struct sim_setup *s) {
    int64_t most = s->blocks->unique ? s->blocks->unique : 1;
    p->blocks = s->blocks;
    p->capacity = s->capacity < most ? s->capacity : most;
    p->born = mem_array(s->blocks->unique, sizeof *p->born);
}

static inline void policy_inserted(struct policy *p, uint32_t id) {
    p->size++;
    p->counts.inserted++;
    p->born[id] = (uint32_t)p->request;
}

static inline void policy_evicted(struct policy *p, uint32_t id) {
    const int64_t *time = p->blocks->time_ns;
    int64_t life = time ? (time[p->request] - time[p->born[id]]) / 1000000
                        : p->request - p->born[id];
    p->size--;
    p->counts.evicted++;
    p->counts.life[sim_life(life)]++;
}

/* The number after "key=" in the parameters, or def. Sets err (once; its text starts empty) when
 * it is no number in [min, max]. policy_params_known fails for a key that is not in keys. */
double policy_param(const struct sim_setup *s, const char *key, double def, double min,
                    double max, struct err *err);
int policy_params_known(const struct sim_setup *s, const char *const *keys, struct err *err);

/* How far ahead of an access its block's state is asked for. */
#define POLICY_AHEAD 24

/* The loop alone, for a policy that wraps it. */
#define POLICY_LOOP(NAME) \
    static void run_requests(void *sim, int64_t from, int64_t to, uint32_t *hit, \
                             uint32_t *held) { \
        struct NAME *x = sim; \
        struct policy *p = sim; \
        const struct blocks *b = p->blocks; \
        for (int64_t r = from; r < to; r++) { \
            const uint32_t *id = b->id + b->first[r]; \
            int64_t n = b->first[r + 1] - b->first[r]; \
            int64_t left = b->accesses - b->first[r]; \
            int64_t ahead = left < n + POLICY_AHEAD ? left - POLICY_AHEAD : n; \
            int64_t prefix = 0; \
            uint32_t found = 0; \
            p->request = r; \
            while (prefix < n && holds(x, id[prefix])) \
                prefix++; \
            for (int64_t i = 0; i < n; i++) { \
                if (i < ahead) \
                    prefetch(x, id[i + POLICY_AHEAD]); \
                found += (uint32_t)touch(x, id[i]); \
            } \
            hit[r - from] = (uint32_t)prefix; \
            held[r - from] = found; \
        } \
    }

/* mark and counts of any simulator that begins with a struct policy and has a function holds. */
#define POLICY_VIEWS \
    static void mark(const void *sim, unsigned char *in) { \
        uint32_t n = ((const struct policy *)sim)->blocks->unique; \
        for (uint32_t id = 0; id < n; id++) \
            in[id] = holds(sim, id) != 0; \
    } \
    static const struct sim_counts *get_counts(const void *sim) { \
        return &((const struct policy *)sim)->counts; \
    }

#define POLICY_OPS(NAME, TEXT, WORDS, RUN) \
    POLICY_VIEWS \
    static int holds_block(const void *sim, uint32_t id) { \
        return holds(sim, id); \
    } \
    static void free_policy(void *sim) { \
        if (!sim) \
            return; \
        destroy(sim); \
        free(((struct policy *)sim)->born); \
        free(sim); \
    } \
    const struct sim_ops policy_##NAME = { \
        .name = TEXT, .words = WORDS, .create = create, .run = RUN, .holds = holds_block, \
        .mark = mark, .counts = get_counts, .free = free_policy};

#define POLICY_DEFINE(NAME, TEXT, WORDS) \
    POLICY_LOOP(NAME) \
    POLICY_OPS(NAME, TEXT, WORDS, run_requests)

#endif
