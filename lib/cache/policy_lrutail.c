/* policy_lrutail.c - least recently used, a request's blocks touched from its tail
 *
 * The order of vLLM's free queue (blocks are freed in reverse): of blocks of the same request
 * the one with the longest prefix leaves first, so that no block stays whose prefix has gone. The
 * blocks a request finds are its own until it ends: what is in excess leaves after the last touch,
 * and a request longer than the cache keeps its first blocks.
 *
 * As in policy_lru.c the trace is the list of uses; here each request's part is read backwards.
 */
#include "lib/cache/policy.h"

struct lrutail {
    struct policy p;
    uint32_t *last;             /* [unique] latest use + 1; 0: not in the cache */
    uint32_t tail;              /* no older use is the latest of a block in the cache */
    int64_t tail_request;       /* the one that use belongs to */
};

static int holds(const void *sim, uint32_t id) {
    const struct lrutail *l = sim;
    return l->last[id] != 0;
}

/* The block of use `at` in request r: uses count up while positions count down. */
static uint32_t used(const struct blocks *b, int64_t r, uint32_t at) {
    return b->id[b->first[r] + b->first[r + 1] - 1 - at];
}

static void evict(struct lrutail *l) {
    const struct blocks *b = l->p.blocks;
    for (;; l->tail++) {
        while (l->tail >= b->first[l->tail_request + 1])
            l->tail_request++;
        uint32_t id = used(b, l->tail_request, l->tail);
        if (l->last[id] != l->tail + 1)
            continue;
        l->last[id] = 0;
        policy_evicted(&l->p, id);
        l->tail++;
        return;
    }
}

static void run_request(struct lrutail *l, int64_t r, uint32_t *hit, uint32_t *held) {
    const struct blocks *b = l->p.blocks;
    const uint32_t *id = b->id + b->first[r];
    int64_t n = b->first[r + 1] - b->first[r];
    int64_t ahead = b->accesses - b->first[r + 1];
    int64_t prefix = 0;
    uint32_t found = 0;
    ahead = ahead < n ? ahead : n;
    for (int64_t i = 0; i < ahead; i++)         /* what the next request begins with */
        __builtin_prefetch(&l->last[id[n + i]], 1);
    l->p.request = r;
    while (prefix < n && l->last[id[prefix]])
        prefix++;
    for (int64_t i = n - 1; i >= 0; i--) {
        if (l->last[id[i]])
            found++;
        else
            policy_inserted(&l->p, id[i]);
        l->last[id[i]] = (uint32_t)(b->first[r] + n - i);
    }
    while (l->p.size > l->p.capacity)
        evict(l);
    *hit = (uint32_t)prefix;
    *held = found;
}

static void run(void *sim, int64_t from, int64_t to, uint32_t *hit, uint32_t *held) {
    for (int64_t r = from; r < to; r++)
        run_request(sim, r, &hit[r - from], &held[r - from]);
}

POLICY_VIEWS

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    struct lrutail *l = mem_alloc(sizeof *l);
    policy_start(&l->p, s);
    l->last = mem_array(s->blocks->unique, sizeof *l->last);
    return l;
}

static void free_lrutail(void *sim) {
    struct lrutail *l = sim;
    if (!l)
        return;
    free(l->last);
    free(l->p.born);
    free(l);
}

const struct sim_ops policy_lrutail = {
    .name = "lru-tail", .words = "lru; of a request's blocks the last leaves first (vLLM's order)",
    .create = create, .run = run, .holds = holds, .mark = mark, .counts = get_counts,
    .free = free_lrutail};
