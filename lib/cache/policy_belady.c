/* policy_belady.c - MIN: the block leaves whose next use is farthest (Belady, 1966)
 *
 * Every miss is inserted. Next uses are places in the trace, each of at most one block, so the
 * blocks in the cache are bits over the trace: the victim is the highest one. Bits stand in a
 * tree of 64-bit words, in which each word's emptiness is a bit of the level above; finding,
 * setting and clearing touch one word a level. Blocks without a next use wait in a stack and
 * leave first.
 */
#include "lib/cache/policy.h"

#define LEVELS 6                /* 64^6 > 2^32 */

struct belady {
    struct policy p;
    uint64_t *level[LEVELS];    /* [0]: a bit for each access; the last level is one word */
    int levels;
    unsigned char *in;          /* [unique] in the cache? */
    uint32_t *dead;             /* [n_dead] blocks that nobody asks for again */
    int64_t n_dead;
    uint32_t now;               /* accesses so far */
};

static void set_bit(struct belady *y, uint32_t at) {
    for (int i = 0; i < y->levels; i++, at >>= 6)
        y->level[i][at >> 6] |= (uint64_t)1 << (at & 63);
}

static void clear_bit(struct belady *y, uint32_t at) {
    for (int i = 0; i < y->levels; i++, at >>= 6)
        if (y->level[i][at >> 6] &= ~((uint64_t)1 << (at & 63)))
            return;
}

static uint32_t highest_bit(const struct belady *y) {
    uint32_t at = 0;
    for (int i = y->levels - 1; i >= 0; i--)
        at = at << 6 | (uint32_t)(63 - __builtin_clzll(y->level[i][at]));
    return at;
}

static int holds(const struct belady *y, uint32_t id) {
    return y->in[id];
}

static void prefetch(const struct belady *y, uint32_t id) {
    __builtin_prefetch(&y->in[id], 1);
}

static void evict(struct belady *y) {
    uint32_t id;
    if (y->n_dead) {
        id = y->dead[--y->n_dead];
    } else {
        uint32_t at = highest_bit(y);
        clear_bit(y, at);
        id = y->p.blocks->id[at];
    }
    y->in[id] = 0;
    policy_evicted(&y->p, id);
}

static int touch(struct belady *y, uint32_t id) {
    uint32_t now = y->now++;
    uint32_t next = y->p.blocks->next[now];
    int found = y->in[id];
    if (found) {
        clear_bit(y, now);
    } else {
        if (y->p.size == y->p.capacity)
            evict(y);
        y->in[id] = 1;
        policy_inserted(&y->p, id);
    }
    if (next == BLOCKS_NONE)
        y->dead[y->n_dead++] = id;
    else
        set_bit(y, next);
    return found;
}

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    struct belady *y = mem_alloc(sizeof *y);
    policy_start(&y->p, s);
    y->in = mem_array(s->blocks->unique, sizeof *y->in);
    y->dead = mem_array(s->blocks->unique, sizeof *y->dead);
    size_t words = (size_t)s->blocks->accesses;
    do {
        words = words / 64 + 1;
        y->level[y->levels++] = mem_array(words, sizeof **y->level);
    } while (words > 1);
    return y;
}

static void destroy(struct belady *y) {
    for (int i = 0; i < y->levels; i++)
        free(y->level[i]);
    free(y->in);
    free(y->dead);
}

POLICY_DEFINE(belady, "belady", "the block used again last leaves: the bound for flat hits")
