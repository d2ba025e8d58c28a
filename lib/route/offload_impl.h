/* offload_impl.h - private to lib/route/offload*.c: a cache that runs, and what a policy must do
 *
 * The runner (offload_run.c) knows what lies in the cache, counts bytes, and says when; a policy
 * keeps its queues and names the victims. An expert is kept (never a victim) until the batch that
 * touched it, or that it was loaded ahead for, is over.
 */
#ifndef OFFLOAD_IMPL_H
#define OFFLOAD_IMPL_H

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/route/offload.h"

#define OFFLOAD_NONE UINT32_MAX

struct offload_cache {
    const struct offload *o;
    const struct offload_job *job;
    const struct offload_options *opt;
    uint32_t ids;               /* experts of all layers */
    int parts;                  /* caches: 1, or one for each layer */
    uint32_t part_ids;          /* ids of a part, which follow each other */
    int64_t budget;             /* bytes of a part */
    double param;
    int64_t *used;              /* [parts] bytes */
    uint8_t *in;                /* [ids] enum offload_in */
    uint32_t *keep;             /* [ids] no victim before this batch is over; valid where in */
    uint32_t batch, pass;       /* the ones that run */
    uint32_t next;              /* batch of the next use of what is looked up */
};

enum offload_in { OFFLOAD_OUT, OFFLOAD_USED, OFFLOAD_AHEAD /* loaded ahead, not used yet */ };

struct offload_ops {
    void *(*create)(const struct offload_cache *c, int variant);
    void (*hit)(void *p, uint32_t id);
    void (*insert)(void *p, uint32_t id, int used);     /* used 0: loaded ahead; first to go */
    uint32_t (*victim)(void *p, int part);              /* taken out; OFFLOAD_NONE: all are kept */
    void (*settle)(void *p);                            /* after the victims of a batch; or NULL */
    void (*destroy)(void *p);
};

extern const struct offload_ops offload_lru, offload_ranked, offload_s3fifo, offload_random;

enum { RANKED_LFU, RANKED_DECAY, RANKED_HOT, RANKED_ORACLE, RANKED_BELADY };

static inline int offload_kept(const struct offload_cache *c, uint32_t id) {
    return c->keep[id] >= c->batch;
}

static inline int offload_part(const struct offload_cache *c, uint32_t id) {
    return c->parts == 1 ? 0 : (int)(id / c->part_ids);
}

static inline int64_t offload_bytes(const struct offload_cache *c, uint32_t id) {
    return c->o->bytes[id / (uint32_t)c->o->experts];
}

/* ---- queues of ids, each in one at most --------------------------------------------------- */

struct offload_queues {
    uint32_t *after, *before;   /* [ids + queues]: ids + q is queue q's head and tail in one */
    uint32_t ids;
};

static inline void queues_open(struct offload_queues *q, uint32_t ids, uint32_t queues) {
    q->ids = ids;
    q->after = mem_array((size_t)ids + queues, sizeof *q->after);
    q->before = mem_array((size_t)ids + queues, sizeof *q->before);
    for (uint32_t i = 0; i < queues; i++)
        q->after[ids + i] = q->before[ids + i] = ids + i;
}

static inline void queues_close(struct offload_queues *q) {
    free(q->after);
    free(q->before);
}

/* Behind `at`, an id or a queue (ids + queue: to its front). */
static inline void queues_put(struct offload_queues *q, uint32_t at, uint32_t id) {
    q->before[id] = at;
    q->after[id] = q->after[at];
    q->before[q->after[at]] = id;
    q->after[at] = id;
}

static inline void queues_take(struct offload_queues *q, uint32_t id) {
    q->after[q->before[id]] = q->after[id];
    q->before[q->after[id]] = q->before[id];
}

static inline void queues_front(struct offload_queues *q, uint32_t queue, uint32_t id) {
    queues_put(q, q->ids + queue, id);
}

static inline void queues_back(struct offload_queues *q, uint32_t queue, uint32_t id) {
    queues_put(q, q->before[q->ids + queue], id);
}

/* From the back on, the first that is not kept; OFFLOAD_NONE: none. */
static inline uint32_t queues_last(const struct offload_queues *q, uint32_t queue,
                                   const struct offload_cache *c) {
    uint32_t id = q->before[q->ids + queue];
    while (id < q->ids && offload_kept(c, id))
        id = q->before[id];
    return id < q->ids ? id : OFFLOAD_NONE;
}

#endif
