/* policy_lru.c - least recently used
 *
 * The trace itself is the list of uses: a block's place in it is its latest access. The oldest
 * place that is still some block's latest is the victim's, and only ever moves forward. So an
 * access costs one store, and no links are kept.
 */
#include "lib/cache/policy.h"

struct lru {
    struct policy p;
    uint32_t *last;             /* [unique] latest access + 1; 0: not in the cache */
    uint32_t now;               /* accesses so far */
    uint32_t tail;              /* no older access is the latest of a block in the cache */
};

static int holds(const struct lru *l, uint32_t id) {
    return l->last[id] != 0;
}

static void prefetch(const struct lru *l, uint32_t id) {
    __builtin_prefetch(&l->last[id], 1);
}

static void evict(struct lru *l) {
    const uint32_t *id = l->p.blocks->id;
    while (l->last[id[l->tail]] != l->tail + 1)
        l->tail++;
    l->last[id[l->tail]] = 0;
    policy_evicted(&l->p, id[l->tail]);
    l->tail++;
}

static int touch(struct lru *l, uint32_t id) {
    int found = l->last[id] != 0;
    if (!found) {
        if (l->p.size == l->p.capacity)
            evict(l);
        policy_inserted(&l->p, id);
    }
    l->last[id] = ++l->now;
    return found;
}

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    struct lru *l = mem_alloc(sizeof *l);
    policy_start(&l->p, s);
    l->last = mem_array(s->blocks->unique, sizeof *l->last);
    return l;
}

static void destroy(struct lru *l) {
    free(l->last);
}

POLICY_DEFINE(lru, "lru", "the least recently used block leaves")
