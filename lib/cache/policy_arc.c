/* policy_arc.c - adaptive replacement cache (Megiddo and Modha, "ARC: a self-tuning, low overhead
 * replacement cache", FAST 2003, figure 4)
 *
 * T1 holds blocks seen once lately, T2 those seen again, both in LRU order; B1 and B2 remember
 * the numbers of as many blocks that left them. A miss that is remembered moves p, the size that
 * T1 is to have, in favour of the queue that should have kept the block. The names are the
 * paper's. Blocks leave T1 for B1 and T2 for B2 at the oldest end, so all four are in the order
 * of latest accesses.
 */
#include "lib/cache/policy.h"
#include "lib/cache/queues.h"

enum { NOWHERE, T1, T2, B1, B2, QUEUES };

struct arc {
    struct policy p;
    struct stamp *stamp;        /* [unique] latest access */
    uint32_t tail[QUEUES];
    int64_t n[QUEUES];          /* blocks in each queue; of NOWHERE it says nothing */
    double target;              /* the paper's p: blocks that T1 is to have */
    uint32_t now;               /* accesses so far */
};

static int holds(const struct arc *a, uint32_t id) {
    return a->stamp[id].queue == T1 || a->stamp[id].queue == T2;
}

static void prefetch(const struct arc *a, uint32_t id) {
    __builtin_prefetch(&a->stamp[id], 1);
}

/* Takes the oldest block of one queue to another. */
static uint32_t move_oldest(struct arc *a, unsigned from, unsigned to) {
    uint32_t id = stamp_oldest(a->stamp, a->p.blocks->id, &a->tail[from], from);
    a->stamp[id].queue = (uint8_t)to;
    a->n[from]--;
    a->n[to]++;
    return id;
}

static void replace(struct arc *a, int in_b2) {
    double t1 = (double)a->n[T1];
    int from_t1 = a->n[T1] >= 1 && (t1 > a->target || (in_b2 && t1 == a->target));
    uint32_t id = from_t1 ? move_oldest(a, T1, B1) : move_oldest(a, T2, B2);
    policy_evicted(&a->p, id);
}

/* Cases II and III: a block that is remembered. */
static void adapt(struct arc *a, unsigned was) {
    double b1 = (double)a->n[B1];
    double b2 = (double)a->n[B2];
    if (was == B1) {
        a->target += b1 >= b2 ? 1 : b2 / b1;
        if (a->target > (double)a->p.capacity)
            a->target = (double)a->p.capacity;
    } else {
        a->target -= b2 >= b1 ? 1 : b1 / b2;
        if (a->target < 0)
            a->target = 0;
    }
    replace(a, was == B2);
}

/* Case IV: one that is not. */
static void make_room(struct arc *a) {
    int64_t c = a->p.capacity;
    int64_t l1 = a->n[T1] + a->n[B1];
    int64_t l2 = a->n[T2] + a->n[B2];
    if (l1 == c && a->n[T1] == c) {
        policy_evicted(&a->p, move_oldest(a, T1, NOWHERE));
    } else if (l1 == c) {
        move_oldest(a, B1, NOWHERE);
        replace(a, 0);
    } else if (l1 + l2 >= c) {
        if (l1 + l2 == 2 * c)
            move_oldest(a, B2, NOWHERE);
        replace(a, 0);
    }
}

static int touch(struct arc *a, uint32_t id) {
    struct stamp *s = &a->stamp[id];
    uint32_t now = a->now++;
    unsigned was = s->queue;
    unsigned to = was == NOWHERE ? T1 : T2;
    if (was == B1 || was == B2)
        adapt(a, was);
    else if (was == NOWHERE)
        make_room(a);
    a->n[was]--;
    a->n[to]++;
    s->queue = (uint8_t)to;
    s->at = now;
    if (was == T1 || was == T2)
        return 1;
    policy_inserted(&a->p, id);
    return 0;
}

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    struct arc *a = mem_alloc(sizeof *a);
    policy_start(&a->p, s);
    a->stamp = mem_array(s->blocks->unique, sizeof *a->stamp);
    return a;
}

static void destroy(struct arc *a) {
    free(a->stamp);
}

POLICY_DEFINE(arc, "arc", "ARC: recency against frequency, balanced by what is missed")
