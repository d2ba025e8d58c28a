/* sim_sglang.c - SGLang's radix cache, and the order in which its leaves leave
 *
 * After sglang/srt/mem_cache (radix_cache.py, evict_policy.py) of SGLang 0.5.23 with a page of one
 * block, one request at a time:
 *
 *   match     the longest prefix in the tree that leaves out the last input token; it is locked
 *   prefill   leaves are evicted, whole, until the rest of the prompt fits; its full blocks go into
 *             the tree. One that was there already (the last block, which had to be left out) is
 *             found now, and the copy just computed is freed.
 *   decode    the same for the output's blocks: they become a leaf behind the prompt
 *   end       the partial last block is freed, the path unlocked
 *
 * A request that needs more blocks than the cache has is refused. SGLang's policy "priority" orders
 * by a priority that requests carry; traces have none, and without it it is lru.
 */
#include "lib/cache/engine.h"
#include "lib/cache/radix.h"

static uint32_t run_request(struct radix *t, int64_t r) {
    struct engine_request q = engine_read(t->p.blocks, t->id, r);
    t->p.request = r;
    if (q.need > t->p.capacity) {
        t->p.counts.refused++;
        return 0;
    }
    int64_t hit = radix_match(t, q.id, q.most);
    radix_lock(t, q.id, hit);
    radix_make_room(t, q.prompt - hit);

    int64_t found = radix_match(t, q.id, q.known);
    radix_lock(t, q.id, found);
    radix_add(t, q.id + found, q.known - found);

    radix_make_room(t, q.need - q.known);
    radix_add(t, NULL, q.full - q.known);
    radix_unlock(t);
    return (uint32_t)hit;
}

static void run(void *sim, int64_t from, int64_t to, uint32_t *hit, uint32_t *held) {
    for (int64_t r = from; r < to; r++)
        hit[r - from] = held[r - from] = run_request(sim, r);
}

static int holds(const void *sim, uint32_t id) {
    return radix_holds(sim, id);
}

POLICY_VIEWS

static void free_sglang(void *sim) {
    if (sim)
        radix_clear(sim);
    free(sim);
}

static struct radix *start(const struct sim_setup *s, radix_rank *rank, const char *const *keys,
                           struct err *err) {
    if (policy_params_known(s, keys, err))
        return NULL;
    struct radix *t = mem_alloc(sizeof *t);
    if (!radix_init(t, s, rank, err))
        return t;
    free(t);
    return NULL;
}

/* ---- policies: what leaves first has the lowest rank -------------------------------------- */

static uint64_t rank_lru(const struct radix *t, const struct radix_node *n) {
    (void)t;
    return n->used;
}

static uint64_t rank_lfu(const struct radix *t, const struct radix_node *n) {
    (void)t;
    return (uint64_t)n->hits << 32 | n->used;
}

static uint64_t rank_fifo(const struct radix *t, const struct radix_node *n) {
    (void)t;
    return n->made;
}

static uint64_t rank_mru(const struct radix *t, const struct radix_node *n) {
    (void)t;
    return UINT32_MAX - n->used;
}

static uint64_t rank_filo(const struct radix *t, const struct radix_node *n) {
    (void)t;
    return UINT32_MAX - n->made;
}

static uint64_t rank_slru(const struct radix *t, const struct radix_node *n) {
    return (uint64_t)(n->hits >= t->protect) << 32 | n->used;
}

#define SGLANG_DEFINE(NAME, WORDS) \
    static void *create_##NAME(const struct sim_setup *s, struct err *err) { \
        return start(s, rank_##NAME, NULL, err); \
    } \
    SGLANG_ROW(NAME, WORDS)
#define SGLANG_ROW(NAME, WORDS) \
    const struct sim_ops policy_sglang_##NAME = { \
        .name = #NAME, .words = WORDS, .create = create_##NAME, .run = run, .holds = holds, \
        .mark = mark, .counts = get_counts, .free = free_sglang};

SGLANG_DEFINE(lru, "the least recently used leaf leaves")
SGLANG_DEFINE(lfu, "the leaf that the fewest requests used, of these the least recently used")
SGLANG_DEFINE(fifo, "the leaf that was made first")
SGLANG_DEFINE(mru, "the most recently used leaf")
SGLANG_DEFINE(filo, "the leaf that was made last")

static void *create_slru(const struct sim_setup *s, struct err *err) {
    static const char *const keys[] = {"protected", NULL};
    struct radix *t = start(s, rank_slru, keys, err);
    if (!t)
        return NULL;
    double protect = policy_param(s, "protected", 2, 1, 1000000, err);
    t->protect = (uint32_t)protect;
    if (protect != t->protect)
        err_set(err, "protected is a whole number");
    return t;
}

SGLANG_ROW(slru, "lru among leaves that fewer than protected=2 requests used, then the others")
