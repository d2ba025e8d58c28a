/* policy_s3fifo.c - S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for
 * cache eviction", SOSP 2023)
 *
 * Three FIFO queues: new blocks go into a small one; at its end those with enough hits go on to
 * the main one, the others leave and only their numbers are kept, in the ghost queue. A block
 * that is in the ghost queue when it comes back goes into the main one at once. At the end of the
 * main queue a block that has hits left goes round again with one less. As in the authors' own
 * implementation the main queue may be over its share until the next block leaves, and moving
 * blocks into it makes none leave.
 *
 * While the cache fills up, new blocks go into the small queue, however long it gets: so the paper
 * has it. With fill=1 they go into the main one once the small one has its share, which is how
 * the authors' simulator (libCacheSim) came to do it later.
 */
#include "lib/cache/policy.h"
#include "lib/cache/queues.h"

enum { NOWHERE, SMALL, MAIN, GHOST };

#define USES_MAX 3              /* hits that are counted: two bits */

struct s3fifo {
    struct policy p;
    struct stamp *stamp;        /* [unique] of the access that inserted it, and hits since */
    uint32_t *ring;             /* [mask + 1] the main queue, which blocks enter at any time */
    uint32_t mask, main_head, main_tail;
    uint32_t small_tail, ghost_tail;
    int64_t n_small, small_max;
    int64_t n_ghost, ghost_max;
    unsigned move_uses;         /* hits that lead from the small queue to the main one */
    int fill_main;              /* see above */
    uint32_t now;               /* accesses so far */
};

static int holds(const struct s3fifo *f, uint32_t id) {
    return f->stamp[id].queue == SMALL || f->stamp[id].queue == MAIN;
}

static void prefetch(const struct s3fifo *f, uint32_t id) {
    __builtin_prefetch(&f->stamp[id], 1);
}

static void add_main(struct s3fifo *f, uint32_t id) {
    f->stamp[id].queue = MAIN;
    f->ring[f->main_head++ & f->mask] = id;
}

static void evict_main(struct s3fifo *f) {
    uint32_t id = f->ring[f->main_tail++ & f->mask];
    for (; f->stamp[id].uses; id = f->ring[f->main_tail++ & f->mask]) {
        f->stamp[id].uses--;
        add_main(f, id);
    }
    f->stamp[id].queue = NOWHERE;
    policy_evicted(&f->p, id);
}

static void add_ghost(struct s3fifo *f, uint32_t id) {
    f->stamp[id].queue = GHOST;
    if (++f->n_ghost > f->ghost_max) {
        id = stamp_oldest(f->stamp, f->p.blocks->id, &f->ghost_tail, GHOST);
        f->stamp[id].queue = NOWHERE;
        f->n_ghost--;
    }
}

/* None leaves when all of them go on to the main queue. */
static void evict_small(struct s3fifo *f) {
    while (f->n_small) {
        uint32_t id = stamp_oldest(f->stamp, f->p.blocks->id, &f->small_tail, SMALL);
        f->n_small--;
        if (f->stamp[id].uses < f->move_uses) {
            add_ghost(f, id);
            policy_evicted(&f->p, id);
            return;
        }
        f->stamp[id].uses = 0;
        add_main(f, id);
    }
}

static int touch(struct s3fifo *f, uint32_t id) {
    struct stamp *s = &f->stamp[id];
    uint32_t now = f->now++;
    unsigned was = s->queue;
    if (was == SMALL || was == MAIN) {
        if (s->uses < USES_MAX)
            s->uses++;
        return 1;
    }
    s->queue = NOWHERE;
    f->n_ghost -= was == GHOST;
    while (f->p.size == f->p.capacity) {
        if (f->n_small >= f->small_max)
            evict_small(f);
        else
            evict_main(f);
    }
    *s = (struct stamp){.at = now, .queue = SMALL};
    int filling = f->fill_main && !f->p.counts.evicted;
    if (was == GHOST || (filling && f->n_small >= f->small_max))
        add_main(f, id);
    else
        f->n_small++;
    policy_inserted(&f->p, id);
    return 0;
}

static void *create(const struct sim_setup *s, struct err *err) {
    static const char *const keys[] = {"small", "ghost", "move", "fill", NULL};
    struct err bad = {""};
    double small = policy_param(s, "small", 0.1, 0, 1, &bad);
    double ghost = policy_param(s, "ghost", 0.9, 0, 1000, &bad);
    double move = policy_param(s, "move", 2, 1, USES_MAX, &bad);
    double fill = policy_param(s, "fill", 0, 0, 1, &bad);
    if (move != (unsigned)move || fill != (unsigned)fill)
        err_set(&bad, "move and fill are whole numbers");
    if (policy_params_known(s, keys, &bad) || *bad.text) {
        err_set(err, "%s", bad.text);
        return NULL;
    }
    struct s3fifo *f = mem_alloc(sizeof *f);
    policy_start(&f->p, s);
    f->stamp = mem_array(s->blocks->unique, sizeof *f->stamp);
    f->small_max = queue_part(f->p.capacity, small);
    f->small_max += !f->small_max;
    f->ghost_max = queue_part(f->p.capacity, ghost);
    f->move_uses = (unsigned)move;
    f->fill_main = fill > 0;
    f->mask = queue_mask(f->p.capacity);
    f->ring = mem_array((size_t)f->mask + 1, sizeof *f->ring);
    return f;
}

static void destroy(struct s3fifo *f) {
    free(f->stamp);
    free(f->ring);
}

POLICY_DEFINE(s3fifo, "s3-fifo", "S3-FIFO: queues small=0.1, main, ghost=0.9; move=2 hits; fill=0")
