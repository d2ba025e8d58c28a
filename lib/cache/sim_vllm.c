/* sim_vllm.c - vLLM's prefix cache: a pool of slots and the queue of those that are free
 *
 * After vllm/v1/core (block_pool.py, kv_cache_manager.py) of vLLM 0.33.0, one request at a time:
 *
 *   look-up   its full input blocks are looked up until one misses; the block with the last input
 *             token is always computed, as its logits are wanted. Hits leave the queue.
 *   slots     new blocks take slots from the front of the queue; what was cached there is gone.
 *   end       full blocks are cached and go to the end of the queue, the last one first, so that
 *             no block outlives its prefix. The slot of the last, partial block is not cached: it
 *             goes to the front.
 *
 * A block that is computed though its id is cached takes a slot of its own; the oldest slot of an
 * id answers look-ups. A request that needs more slots than there are is refused.
 */
#include <string.h>

#include "lib/cache/engine.h"

struct slot {
    uint32_t prev, next;        /* in the queue, or among the slots of the running request */
    uint32_t id;                /* cached here; ENGINE_NONE: a block of nobody else's */
    uint32_t younger;           /* slot of the same id; the youngest one's is the oldest */
    uint32_t user;              /* last request that held it */
};

struct vllm {
    struct policy p;            /* born is [slots] */
    struct slot *slot;          /* [slots + 1], the last is the queue's two ends */
    uint32_t slots;
    uint32_t fresh;             /* slots from here on were never used; they precede the queue */
    uint32_t spare;             /* slot of the last partial block, at the very front; or none */
    uint32_t *youngest;         /* [unique] slot, or none */
};

/* ---- ids and the slots that hold them ---------------------------------------------------- */

static void cache(struct vllm *v, uint32_t s, uint32_t id) {
    struct slot *slot = v->slot;
    slot[s].id = id;
    policy_inserted(&v->p, s);
    if (id == ENGINE_NONE)
        return;
    uint32_t youngest = v->youngest[id];
    slot[s].younger = youngest == ENGINE_NONE ? s : slot[youngest].younger;
    if (youngest != ENGINE_NONE)
        slot[youngest].younger = s;
    v->youngest[id] = s;
}

/* Only the oldest slot of an id is ever hit, so the one that leaves is it or the next: the search
 * is a step or two. */
static void uncache(struct vllm *v, uint32_t s) {
    struct slot *slot = v->slot;
    uint32_t id = slot[s].id;
    policy_evicted(&v->p, s);
    if (id == ENGINE_NONE)
        return;
    uint32_t before = v->youngest[id];
    while (slot[before].younger != s)
        before = slot[before].younger;
    slot[before].younger = slot[s].younger;
    if (v->youngest[id] == s)
        v->youngest[id] = before == s ? ENGINE_NONE : before;
}

/* ---- the queue --------------------------------------------------------------------------- */

static void unlink_slot(struct slot *slot, uint32_t s) {
    slot[slot[s].prev].next = slot[s].next;
    slot[slot[s].next].prev = slot[s].prev;
}

static uint32_t take(struct vllm *v) {
    uint32_t s = v->spare;
    if (s != ENGINE_NONE) {
        v->spare = ENGINE_NONE;
        return s;
    }
    if (v->fresh < v->slots)
        return v->fresh++;
    s = v->slot[v->slots].next;
    unlink_slot(v->slot, s);
    uncache(v, s);
    return s;
}

/* The running request's slots, in the order in which they will be freed. */
struct held {
    uint32_t first, last;
};

static void hold(struct vllm *v, struct held *h, uint32_t s) {
    v->slot[s].user = (uint32_t)v->p.request;
    v->slot[s].next = h->first;
    if (h->first == ENGINE_NONE)
        h->last = s;
    else
        v->slot[h->first].prev = s;
    h->first = s;
}

static void release(struct vllm *v, const struct held *h) {
    struct slot *slot = v->slot;
    uint32_t end = v->slots;
    if (h->first == ENGINE_NONE)
        return;
    slot[h->first].prev = slot[end].prev;
    slot[slot[end].prev].next = h->first;
    slot[h->last].next = end;
    slot[end].prev = h->last;
}

/* ---- requests ---------------------------------------------------------------------------- */

/* An id that a request names twice is one slot held twice: it is freed where it stood first. */
static int64_t look_up(struct vllm *v, const struct engine_request *q, struct held *mine) {
    int64_t i;
    for (i = 0; i < q->most && v->youngest[q->id[i]] != ENGINE_NONE; i++) {
        uint32_t s = v->slot[v->youngest[q->id[i]]].younger;
        if (v->slot[s].user == v->p.request)
            continue;
        unlink_slot(v->slot, s);
        hold(v, mine, s);
    }
    return i;
}

static uint32_t run_request(struct vllm *v, int64_t r) {
    const struct blocks *b = v->p.blocks;
    struct engine_request q = engine_read(b, b->id, r);
    struct held mine = {ENGINE_NONE, ENGINE_NONE};
    v->p.request = r;
    if (q.need > v->p.capacity) {
        v->p.counts.refused++;
        return 0;
    }
    int64_t hit = look_up(v, &q, &mine);
    for (int64_t i = hit; i < q.full; i++) {
        uint32_t s = take(v);
        cache(v, s, i < q.known ? q.id[i] : ENGINE_NONE);
        hold(v, &mine, s);
    }
    if (q.need > q.full)
        v->spare = take(v);
    release(v, &mine);
    return (uint32_t)hit;
}

static void run(void *sim, int64_t from, int64_t to, uint32_t *hit, uint32_t *held) {
    for (int64_t r = from; r < to; r++)
        hit[r - from] = held[r - from] = run_request(sim, r);
}

static int holds(const void *sim, uint32_t id) {
    return ((const struct vllm *)sim)->youngest[id] != ENGINE_NONE;
}

POLICY_VIEWS

static void *create(const struct sim_setup *s, struct err *err) {
    uint32_t slots = engine_slots(s, err);
    if (!slots || policy_params_known(s, NULL, err))
        return NULL;
    struct vllm *v = mem_alloc(sizeof *v);
    v->p = (struct policy){.blocks = s->blocks, .capacity = s->capacity,
                           .born = mem_array(slots, sizeof *v->p.born)};
    v->slots = slots;
    v->spare = ENGINE_NONE;
    v->slot = mem_array((size_t)slots + 1, sizeof *v->slot);
    v->slot[slots].prev = v->slot[slots].next = slots;
    v->youngest = mem_array(s->blocks->unique, sizeof *v->youngest);
    memset(v->youngest, 0xff, s->blocks->unique * sizeof *v->youngest);
    return v;
}

static void free_vllm(void *sim) {
    struct vllm *v = sim;
    if (!v)
        return;
    free(v->youngest);
    free(v->slot);
    free(v->p.born);
    free(v);
}

const struct sim_ops policy_vllm_lru = {
    .name = "lru", .words = "vLLM's queue: least recently freed, a request's last block first",
    .create = create, .run = run, .holds = holds, .mark = mark, .counts = get_counts,
    .free = free_vllm};
