/* queues.h - private to lib/cache: queues of blocks, as replacement policies are made of them
 *
 * Two kinds, both with the state of a block in one small struct in an array by block number:
 *
 *   stamps   no links: the trace itself is the queue. A block's stamp is the access that put it
 *            at the head. The oldest block is the one of the first access, from the tail on, that
 *            is still the stamp of a block in the queue; the tail only moves forward, so a queue
 *            walks the trace once. Good where blocks enter in the order of their stamps: on being
 *            accessed, or by leaving another such queue at its tail.
 *   links    doubly linked, where blocks also enter at other moments.
 */
#ifndef QUEUES_H
#define QUEUES_H

#include <stdint.h>

/* Blocks that a fraction of the capacity is; 0.29 of 100 is 29, though 0.29 * 100 is less. */
static inline int64_t queue_part(int64_t capacity, double fraction) {
    return (int64_t)(fraction * (double)capacity * (1 + 1e-15));
}

/* Of a ring for at least that many blocks, indexed by counters that run on and are masked. */
static inline uint32_t queue_mask(int64_t capacity) {
    uint64_t size = 1;
    while (size < (uint64_t)capacity)
        size *= 2;
    return (uint32_t)(size - 1);
}

/* ---- stamps ------------------------------------------------------------------------------ */

struct stamp {
    uint32_t at;                /* access, counted from the trace's start */
    uint8_t queue;              /* 0: in none */
    uint8_t uses;               /* free for the policy */
};

/* The oldest block of a queue that is not empty. trace: the block of every access. */
static inline uint32_t stamp_oldest(const struct stamp *s, const uint32_t *trace, uint32_t *tail,
                                    unsigned queue) {
    uint32_t at = *tail;
    while (s[trace[at]].at != at || s[trace[at]].queue != queue)
        at++;
    *tail = at;
    return trace[at];
}

/* ---- links ------------------------------------------------------------------------------- */

/* A queue's ends are links too, of an element that follows the blocks in the array: `older` of it
 * is the queue's newest, `newer` the oldest. So nothing asks whether a neighbour is there. */
struct link {
    uint32_t newer, older;
    uint32_t queue;             /* which, as the policy numbers them */
};

static inline void link_start(struct link *l, uint32_t end) {
    l[end].newer = l[end].older = end;
}

static inline uint32_t link_oldest(const struct link *l, uint32_t end) {
    return l[end].newer;
}

static inline int link_empty(const struct link *l, uint32_t end) {
    return l[end].newer == end;
}

static inline void link_remove(struct link *l, uint32_t id) {
    l[l[id].newer].older = l[id].older;
    l[l[id].older].newer = l[id].newer;
}

static inline void link_add_newest(struct link *l, uint32_t end, uint32_t id) {
    uint32_t before = l[end].older;
    l[id].newer = end;
    l[id].older = before;
    l[before].newer = id;
    l[end].older = id;
}

#endif
