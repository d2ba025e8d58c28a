/* policy_ttl.c - least recently used with a time to live, renewed on every touch
 *
 * Uses stand in the order of time, so that what is too old is always at the tail of the list
 * that policy_lru.c describes. A block is alive for ttl_ns after its latest use, the last
 * nanosecond included.
 */
#include "lib/cache/policy.h"

struct ttl {
    struct policy p;
    uint32_t *last;             /* [unique] latest access + 1; 0: not in the cache */
    uint32_t now;
    uint32_t tail;
    int64_t tail_request;       /* the one that access `tail` belongs to */
    int64_t ttl_ns;
};

static int holds(const struct ttl *t, uint32_t id) {
    return t->last[id] != 0;
}

static void prefetch(const struct ttl *t, uint32_t id) {
    __builtin_prefetch(&t->last[id], 1);
}

/* Takes the block out whose latest use is the access at the tail, if there is one. */
static void drop_tail(struct ttl *t) {
    uint32_t id = t->p.blocks->id[t->tail];
    if (t->last[id] == t->tail + 1) {
        t->last[id] = 0;
        policy_evicted(&t->p, id);
    }
    t->tail++;
}

static int touch(struct ttl *t, uint32_t id) {
    int found = t->last[id] != 0;
    if (!found) {
        while (t->p.size == t->p.capacity)
            drop_tail(t);
        policy_inserted(&t->p, id);
    }
    t->last[id] = ++t->now;
    return found;
}

static void expire(struct ttl *t, int64_t r) {
    const struct blocks *b = t->p.blocks;
    t->p.request = r;
    for (; t->tail < t->now; drop_tail(t)) {
        while (t->tail >= b->first[t->tail_request + 1])
            t->tail_request++;
        if (b->time_ns[r] - b->time_ns[t->tail_request] <= t->ttl_ns)
            return;
    }
}

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    if (!s->blocks->time_ns) {
        err_set(err, "the trace has no timestamps");
        return NULL;
    }
    struct ttl *t = mem_alloc(sizeof *t);
    policy_start(&t->p, s);
    t->last = mem_array(s->blocks->unique, sizeof *t->last);
    t->ttl_ns = s->ttl_ns;
    return t;
}

static void destroy(struct ttl *t) {
    free(t->last);
}

POLICY_LOOP(ttl)

static void run_timed(void *sim, int64_t from, int64_t to, uint32_t *hit, uint32_t *held) {
    for (int64_t r = from; r < to; r++) {
        expire(sim, r);
        run_requests(sim, r, r + 1, &hit[r - from], &held[r - from]);
    }
}

POLICY_OPS(ttl, "ttl", "lru; a block also leaves when it was not used for --ttl", run_timed)
