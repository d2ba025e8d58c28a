/* policy_gdsf.c - greedy dual size frequency (Cherkasova, "Improving WWW proxies performance with
 * greedy-dual-size-frequency caching policy", HP Labs HPL-98-69, 1998)
 *
 * A block's priority is clock + frequency x cost / size, set when it is touched; the lowest one
 * leaves and its priority becomes the clock, which ages those that stay. All blocks have size 1
 * here; the cost is what the setup says, as the work of computing the block again. Of equal
 * priorities the least recently touched leaves; frequency is forgotten on leaving. Every miss is
 * inserted, after room was made for it and the clock has moved, as in the greedy dual it comes
 * from; the report would leave out a newcomer whose own priority is the lowest, but an engine has
 * computed the block and holds it.
 *
 * A touch only raises a priority, so the heap may be late: a hit leaves its entry where it is,
 * and an entry that comes to the top without being its block's latest touch sinks to where it
 * belongs. Hits then cost one store, and no block needs to know its place in the heap.
 */
#include "lib/cache/policy.h"

#include <string.h>

#define WAYS 4                  /* children of a heap entry */

/* An entry is one number, so that comparing takes no branch: the bits of the priority, which order
 * as it does since it is not negative, the access that set it, and the block. */
__extension__ typedef unsigned __int128 entry;

struct weight {
    double priority;
    uint32_t at;                /* latest access */
    uint32_t frequency;         /* 0: not in the cache */
};

struct gdsf {
    struct policy p;
    const float *cost;          /* [unique] or NULL */
    struct weight *weight;      /* [unique] */
    entry *heap;                /* [capacity], p.size of them: one for each block in the cache */
    double clock;
    uint32_t now;               /* accesses so far */
};

static int holds(const struct gdsf *g, uint32_t id) {
    return g->weight[id].frequency != 0;
}

static void prefetch(const struct gdsf *g, uint32_t id) {
    __builtin_prefetch(&g->weight[id], 1);
}

static entry make_entry(const struct weight *w, uint32_t id) {
    uint64_t bits;
    memcpy(&bits, &w->priority, sizeof bits);
    return (entry)bits << 64 | (entry)w->at << 32 | id;
}

static void rise(entry *heap, int64_t i, entry e) {
    for (; i && e < heap[(i - 1) / WAYS]; i = (i - 1) / WAYS)
        heap[i] = heap[(i - 1) / WAYS];
    heap[i] = e;
}

/* Puts e in place of the top entry. */
static void sink(entry *heap, int64_t n, entry e) {
    int64_t i = 0;
    for (int64_t child = 1; child < n; child = i * WAYS + 1) {
        int64_t end = child + WAYS < n ? child + WAYS : n;
        int64_t least = child;
        for (int64_t c = child + 1; c < end; c++)
            least = heap[c] < heap[least] ? c : least;
        if (e < heap[least])
            break;
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = e;
}

/* Leaves the top entry of the heap free for the block that comes. */
static void evict(struct gdsf *g) {
    uint32_t id = (uint32_t)g->heap[0];
    while ((uint32_t)(g->heap[0] >> 32) != g->weight[id].at) {
        sink(g->heap, g->p.size, make_entry(&g->weight[id], id));
        id = (uint32_t)g->heap[0];
    }
    g->clock = g->weight[id].priority;
    g->weight[id].frequency = 0;
    policy_evicted(&g->p, id);
}

static int touch(struct gdsf *g, uint32_t id) {
    struct weight *w = &g->weight[id];
    int found = w->frequency != 0;
    int full = g->p.size == g->p.capacity;
    if (!found && full)
        evict(g);
    w->frequency++;
    w->priority = g->clock + w->frequency * (g->cost ? (double)g->cost[id] : 1);
    w->at = g->now++;
    if (found)
        return 1;
    if (full)
        sink(g->heap, g->p.capacity, make_entry(w, id));
    else
        rise(g->heap, g->p.size, make_entry(w, id));
    policy_inserted(&g->p, id);
    return 0;
}

static void destroy(struct gdsf *g) {
    free(g->weight);
    free(g->heap);
}

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    struct gdsf *g = mem_alloc(sizeof *g);
    policy_start(&g->p, s);
    g->cost = s->cost;
    g->weight = mem_array(s->blocks->unique, sizeof *g->weight);
    g->heap = mem_array((size_t)g->p.capacity, sizeof *g->heap);
    return g;
}

POLICY_DEFINE(gdsf, "gdsf", "GDSF: frequency x FLOPs to compute again, aged: the lowest leaves")
