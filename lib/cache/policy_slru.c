/* policy_slru.c - segmented LRU (Karedla, Love and Wherry, "Caching strategies to improve disk
 * system performance", 1994)
 *
 * Blocks come into the probationary segment. A hit takes a block to the newest end of the
 * protected one; when that is over its share, its oldest block goes back to the newest end of the
 * probationary segment. The victim is the oldest block on probation, or, where none is, the
 * oldest protected one. What the protected segment does not use of its share is the probationary
 * segment's.
 */
#include "lib/cache/policy.h"
#include "lib/cache/queues.h"

enum { NOWHERE, PROBATION, PROTECTED };

struct slru {
    struct policy p;
    struct link *link;          /* [unique + 3]; queue q ends at unique + q */
    uint32_t unique;
    int64_t n_protected, protected_max;
};

static int holds(const struct slru *s, uint32_t id) {
    return s->link[id].queue != NOWHERE;
}

static void prefetch(const struct slru *s, uint32_t id) {
    __builtin_prefetch(&s->link[id], 1);
}

static void put(struct slru *s, uint32_t id, uint32_t queue) {
    s->link[id].queue = queue;
    link_add_newest(s->link, s->unique + queue, id);
}

static void evict(struct slru *s) {
    uint32_t queue = s->n_protected < s->p.size ? PROBATION : PROTECTED;
    uint32_t id = link_oldest(s->link, s->unique + queue);
    link_remove(s->link, id);
    s->n_protected -= queue == PROTECTED;
    s->link[id].queue = NOWHERE;
    policy_evicted(&s->p, id);
}

static int touch(struct slru *s, uint32_t id) {
    uint32_t queue = s->link[id].queue;
    if (queue == NOWHERE) {
        if (s->p.size == s->p.capacity)
            evict(s);
        put(s, id, PROBATION);
        policy_inserted(&s->p, id);
        return 0;
    }
    link_remove(s->link, id);
    put(s, id, PROTECTED);
    s->n_protected += queue == PROBATION;
    if (s->n_protected > s->protected_max) {
        uint32_t oldest = link_oldest(s->link, s->unique + PROTECTED);
        link_remove(s->link, oldest);
        put(s, oldest, PROBATION);
        s->n_protected--;
    }
    return 1;
}

static void *create(const struct sim_setup *setup, struct err *err) {
    static const char *const keys[] = {"protected", NULL};
    struct err bad = {""};
    double part = policy_param(setup, "protected", 0.8, 0, 1, &bad);
    if (policy_params_known(setup, keys, &bad) || *bad.text) {
        err_set(err, "%s", bad.text);
        return NULL;
    }
    struct slru *s = mem_alloc(sizeof *s);
    policy_start(&s->p, setup);
    s->unique = setup->blocks->unique;
    s->link = mem_array((size_t)s->unique + PROTECTED + 1, sizeof *s->link);
    s->protected_max = queue_part(s->p.capacity, part);
    link_start(s->link, s->unique + PROBATION);
    link_start(s->link, s->unique + PROTECTED);
    return s;
}

static void destroy(struct slru *s) {
    free(s->link);
}

POLICY_DEFINE(slru, "slru", "segmented lru: a hit protects; protected=0.8 of the cache at most")
