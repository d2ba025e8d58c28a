/* offload_s3fifo.c - S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for
 * cache eviction", SOSP 2023), with sizes in bytes
 *
 * New experts go into a small queue. When room is needed and it holds its share or more, its oldest
 * leaves: into the main queue when it was hit twice or more since it came, else out, and its number
 * goes into the ghost queue, which remembers as many bytes as the main queue may hold. An expert
 * that comes back while it is remembered goes into the main queue at once. The oldest of the main
 * queue goes round again, with one hit less, while it has any. Experts that are kept are passed
 * over.
 */
#include "lib/route/offload_impl.h"

#include <stdlib.h>

enum { SMALL, MAIN, GHOST, QUEUES, NOWHERE = QUEUES };

#define HITS_MOST 3
#define HITS_MOVE 2

struct s3fifo {
    const struct offload_cache *c;
    struct offload_queues q;    /* part * QUEUES + queue, the newest in front */
    uint8_t *in, *hits;         /* [ids] queue; hits since it came */
    int64_t *bytes;             /* [parts][QUEUES] */
    int64_t small_most, ghost_most;
};

static void *create(const struct offload_cache *c, int variant) {
    struct s3fifo *p = mem_alloc(sizeof *p);
    (void)variant;
    p->c = c;
    queues_open(&p->q, c->ids, (uint32_t)c->parts * QUEUES);
    p->in = mem_array(c->ids, sizeof *p->in);
    p->hits = mem_array(c->ids, sizeof *p->hits);
    p->bytes = mem_array((size_t)c->parts * QUEUES, sizeof *p->bytes);
    p->small_most = (int64_t)(c->param * (double)c->budget);
    p->ghost_most = c->budget - p->small_most;
    for (uint32_t i = 0; i < c->ids; i++)
        p->in[i] = NOWHERE;
    return p;
}

static void leave(struct s3fifo *p, uint32_t id) {
    if (p->in[id] == NOWHERE)
        return;
    queues_take(&p->q, id);
    p->bytes[offload_part(p->c, id) * QUEUES + p->in[id]] -= offload_bytes(p->c, id);
    p->in[id] = NOWHERE;
}

static void join(struct s3fifo *p, uint32_t id, int queue, int front) {
    uint32_t at = (uint32_t)offload_part(p->c, id) * QUEUES + (uint32_t)queue;
    leave(p, id);
    if (front)
        queues_front(&p->q, at, id);
    else
        queues_back(&p->q, at, id);
    p->bytes[at] += offload_bytes(p->c, id);
    p->in[id] = (uint8_t)queue;
}

static void hit(void *policy, uint32_t id) {
    struct s3fifo *p = policy;
    if (p->hits[id] < HITS_MOST)
        p->hits[id]++;
}

static void insert(void *policy, uint32_t id, int used) {
    struct s3fifo *p = policy;
    join(p, id, used && p->in[id] == GHOST ? MAIN : SMALL, used);
    p->hits[id] = 0;
}

static void forget(struct s3fifo *p, uint32_t part) {
    while (p->bytes[part * QUEUES + GHOST] > p->ghost_most)
        leave(p, p->q.before[p->q.ids + part * QUEUES + GHOST]);
}

/* Out of the small queue; what was hit often enough moves on the way. */
static uint32_t small_victim(struct s3fifo *p, uint32_t part) {
    for (;;) {
        uint32_t id = queues_last(&p->q, part * QUEUES + SMALL, p->c);
        if (id == OFFLOAD_NONE)
            return id;
        if (p->hits[id] < HITS_MOVE) {
            join(p, id, GHOST, 1);
            forget(p, part);
            return id;
        }
        p->hits[id] = 0;
        join(p, id, MAIN, 1);
    }
}

static uint32_t main_victim(struct s3fifo *p, uint32_t part) {
    for (;;) {
        uint32_t id = queues_last(&p->q, part * QUEUES + MAIN, p->c);
        if (id == OFFLOAD_NONE)
            return id;
        if (!p->hits[id]) {
            leave(p, id);
            return id;
        }
        p->hits[id]--;
        join(p, id, MAIN, 1);
    }
}

static uint32_t victim(void *policy, int part) {
    struct s3fifo *p = policy;
    uint32_t id = OFFLOAD_NONE;
    if (p->bytes[part * QUEUES + SMALL] >= p->small_most)
        id = small_victim(p, (uint32_t)part);
    if (id == OFFLOAD_NONE)
        id = main_victim(p, (uint32_t)part);
    return id == OFFLOAD_NONE ? small_victim(p, (uint32_t)part) : id;
}

static void destroy(void *policy) {
    struct s3fifo *p = policy;
    queues_close(&p->q);
    free(p->in);
    free(p->hits);
    free(p->bytes);
    free(p);
}

const struct offload_ops offload_s3fifo = {create, hit, insert, victim, NULL, destroy};
