/* policy_fifo.c - first in, first out: a ring of blocks in the order they came */
#include "lib/cache/policy.h"

struct fifo {
    struct policy p;
    uint32_t *ring;             /* [capacity] */
    int64_t head;               /* where the next block goes, and the oldest is once it is full */
    unsigned char *in;          /* [unique] in the cache? */
};

static int holds(const struct fifo *f, uint32_t id) {
    return f->in[id];
}

static void prefetch(const struct fifo *f, uint32_t id) {
    __builtin_prefetch(&f->in[id], 1);
}

static int touch(struct fifo *f, uint32_t id) {
    if (f->in[id])
        return 1;
    if (f->p.size == f->p.capacity) {
        f->in[f->ring[f->head]] = 0;
        policy_evicted(&f->p, f->ring[f->head]);
    }
    f->ring[f->head] = id;
    f->head = f->head + 1 < f->p.capacity ? f->head + 1 : 0;
    f->in[id] = 1;
    policy_inserted(&f->p, id);
    return 0;
}

static void *create(const struct sim_setup *s, struct err *err) {
    if (policy_params_known(s, NULL, err))
        return NULL;
    struct fifo *f = mem_alloc(sizeof *f);
    policy_start(&f->p, s);
    f->ring = mem_array((size_t)f->p.capacity, sizeof *f->ring);
    f->in = mem_array(s->blocks->unique, sizeof *f->in);
    return f;
}

static void destroy(struct fifo *f) {
    free(f->ring);
    free(f->in);
}

POLICY_DEFINE(fifo, "fifo", "the block that came first leaves first")
