/* policy_lfu.c - least frequently used, in constant time
 *
 * A queue for each frequency (Shah, Mitra and Matani, "An O(1) algorithm for implementing the LFU
 * cache eviction scheme", 2010), so that of equally frequent blocks the least recently touched one
 * leaves. A block that leaves takes its frequency with it. The lowest frequency needs no search:
 * whoever comes has 1, and a queue that a touch has emptied has moved up by one.
 */
#include "lib/cache/policy.h"
#include "lib/cache/queues.h"

struct lfu {
    struct policy p;
    struct link *link;          /* [unique + top + 1]; its queue is the frequency, 0: not in the
                                 * cache; the queue of frequency f ends at unique + f */
    uint32_t unique;
    uint32_t top, top_cap;      /* highest frequency that has a queue, and that has room for one */
    uint32_t lowest;            /* frequency in the cache */
};

static int holds(const struct lfu *l, uint32_t id) {
    return l->link[id].queue != 0;
}

static void prefetch(const struct lfu *l, uint32_t id) {
    __builtin_prefetch(&l->link[id], 1);
}

static void evict(struct lfu *l) {
    uint32_t id = link_oldest(l->link, l->unique + l->lowest);
    link_remove(l->link, id);
    l->link[id].queue = 0;
    policy_evicted(&l->p, id);
}

static void add_queue(struct lfu *l) {
    if (l->top == l->top_cap) {
        l->top_cap += l->top_cap / 2 + 64;
        l->link = mem_grow(l->link, (size_t)l->unique + l->top_cap + 1, sizeof *l->link);
    }
    link_start(l->link, l->unique + ++l->top);
}

static int touch(struct lfu *l, uint32_t id) {
    uint32_t frequency = l->link[id].queue;
    if (frequency) {
        link_remove(l->link, id);
        if (frequency == l->lowest && link_empty(l->link, l->unique + frequency))
            l->lowest++;
        if (frequency == l->top)
            add_queue(l);
    } else {
        if (l->p.size == l->p.capacity)
            evict(l);
        policy_inserted(&l->p, id);
        l->lowest = 1;
    }
    l->link[id].queue = frequency + 1;
    link_add_newest(l->link, l->unique + frequency + 1, id);
    return frequency != 0;
}

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    struct lfu *l = mem_alloc(sizeof *l);
    policy_start(&l->p, s);
    l->unique = s->blocks->unique;
    l->top_cap = 64;
    l->link = mem_array((size_t)l->unique + l->top_cap + 1, sizeof *l->link);
    add_queue(l);
    return l;
}

static void destroy(struct lfu *l) {
    free(l->link);
}

POLICY_DEFINE(lfu, "lfu", "the block touched least often since it came leaves")
