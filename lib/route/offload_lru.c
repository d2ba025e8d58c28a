/* offload_lru.c - least recently used */
#include "lib/route/offload_impl.h"

#include <stdlib.h>

struct lru {
    const struct offload_cache *c;
    struct offload_queues q;    /* one for each part, the most recent in front */
};

static void *create(const struct offload_cache *c, int variant) {
    struct lru *p = mem_alloc(sizeof *p);
    (void)variant;
    p->c = c;
    queues_open(&p->q, c->ids, (uint32_t)c->parts);
    return p;
}

static void hit(void *policy, uint32_t id) {
    struct lru *p = policy;
    queues_take(&p->q, id);
    queues_front(&p->q, (uint32_t)offload_part(p->c, id), id);
}

static void insert(void *policy, uint32_t id, int used) {
    struct lru *p = policy;
    uint32_t part = (uint32_t)offload_part(p->c, id);
    if (used)
        queues_front(&p->q, part, id);
    else
        queues_back(&p->q, part, id);
}

static uint32_t victim(void *policy, int part) {
    struct lru *p = policy;
    uint32_t id = queues_last(&p->q, (uint32_t)part, p->c);
    if (id != OFFLOAD_NONE)
        queues_take(&p->q, id);
    return id;
}

static void destroy(void *policy) {
    struct lru *p = policy;
    queues_close(&p->q);
    free(p);
}

const struct offload_ops offload_lru = {create, hit, insert, victim, NULL, destroy};
