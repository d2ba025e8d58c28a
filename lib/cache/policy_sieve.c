/* policy_sieve.c - SIEVE (Zhang, Yang, Yue, Vigfusson and Rashmi, "SIEVE is simpler than LRU: an
 * efficient turn-key eviction algorithm for web caches", NSDI 2024)
 *
 * Blocks stand in the order they came. A hand goes from the oldest to the newest: a block that
 * was hit since the hand saw it last stays where it is, the first other one leaves; from the
 * newest the hand goes back to the oldest. What the hand has passed and what it has not are two
 * arrays here, which change roles when it goes back; so no links are kept and the hand reads in
 * order.
 */
#include "lib/cache/policy.h"
#include "lib/cache/queues.h"

enum { ABSENT, PRESENT, VISITED };

struct sieve {
    struct policy p;
    unsigned char *state;       /* [unique] */
    uint32_t *passed;           /* [mask + 1] older than the hand, the oldest at 0 */
    uint32_t n_passed;
    uint32_t *ahead;            /* ring [mask + 1]: at the hand and newer */
    uint32_t mask, hand, head;  /* of the ring, counted on and on */
};

static int holds(const struct sieve *s, uint32_t id) {
    return s->state[id] != ABSENT;
}

static void prefetch(const struct sieve *s, uint32_t id) {
    __builtin_prefetch(&s->state[id], 1);
}

static void go_back_to_oldest(struct sieve *s) {
    uint32_t *swap = s->ahead;
    s->ahead = s->passed;
    s->passed = swap;
    s->hand = 0;
    s->head = s->n_passed;
    s->n_passed = 0;
}

static void evict(struct sieve *s) {
    uint32_t id;
    for (;;) {
        id = s->ahead[s->hand++ & s->mask];
        if (s->state[id] != VISITED)
            break;
        s->state[id] = PRESENT;
        s->passed[s->n_passed++] = id;
        if (s->hand == s->head)
            go_back_to_oldest(s);
    }
    s->state[id] = ABSENT;
    policy_evicted(&s->p, id);
    /* Now, not at the next eviction: the block that is about to come is not where it goes on. */
    if (s->hand == s->head)
        go_back_to_oldest(s);
}

static int touch(struct sieve *s, uint32_t id) {
    if (s->state[id] != ABSENT) {
        s->state[id] = VISITED;
        return 1;
    }
    if (s->p.size == s->p.capacity)
        evict(s);
    s->state[id] = PRESENT;
    s->ahead[s->head++ & s->mask] = id;
    policy_inserted(&s->p, id);
    return 0;
}

static void *create(const struct sim_setup *setup, struct err *err) {
    if (policy_params_known(setup, NULL, err))
        return NULL;
    struct sieve *s = mem_alloc(sizeof *s);
    policy_start(&s->p, setup);
    s->state = mem_array(setup->blocks->unique, sizeof *s->state);
    s->mask = queue_mask(s->p.capacity);
    s->passed = mem_array((size_t)s->mask + 1, sizeof *s->passed);
    s->ahead = mem_array((size_t)s->mask + 1, sizeof *s->ahead);
    return s;
}

static void destroy(struct sieve *s) {
    free(s->state);
    free(s->passed);
    free(s->ahead);
}

POLICY_DEFINE(sieve, "sieve", "SIEVE: a hand passes blocks that were hit, takes the first other")
