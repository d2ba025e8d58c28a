/* offload_random.c - any expert that need not be kept: what a cache is worth without a thought */
#include "lib/route/offload_impl.h"

#include <stdlib.h>

#include "lib/base/rng.h"

struct any {
    const struct offload_cache *c;
    struct rng rng;
    uint32_t *id;               /* [ids] those in the cache, each part's from its first id on */
    uint32_t *n;                /* [parts] */
};

static void *create(const struct offload_cache *c, int variant) {
    struct any *p = mem_alloc(sizeof *p);
    (void)variant;
    p->c = c;
    p->rng.state = c->opt->seed;
    p->id = mem_array(c->ids, sizeof *p->id);
    p->n = mem_array((size_t)c->parts, sizeof *p->n);
    return p;
}

static void hit(void *policy, uint32_t id) {
    (void)policy;
    (void)id;
}

static void insert(void *policy, uint32_t id, int used) {
    struct any *p = policy;
    int part = offload_part(p->c, id);
    (void)used;
    p->id[(uint32_t)part * p->c->part_ids + p->n[part]++] = id;
}

/* Drawn without putting back: those that are kept go behind what is left to draw from. */
static uint32_t victim(void *policy, int part) {
    struct any *p = policy;
    uint32_t *id = p->id + (uint32_t)part * p->c->part_ids;
    for (uint32_t left = p->n[part]; left > 0; left--) {
        uint32_t i = rng_below(&p->rng, left);
        uint32_t drawn = id[i];
        id[i] = id[left - 1];
        id[left - 1] = drawn;
        if (offload_kept(p->c, drawn))
            continue;
        id[left - 1] = id[--p->n[part]];
        return drawn;
    }
    return OFFLOAD_NONE;
}

static void destroy(void *policy) {
    struct any *p = policy;
    free(p->id);
    free(p->n);
    free(p);
}

const struct offload_ops offload_random = {create, hit, insert, victim, NULL, destroy};
