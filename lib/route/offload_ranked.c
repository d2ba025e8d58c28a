/* offload_ranked.c - policies that give each expert a score and evict the lowest: lfu, lfu-decay,
 * hot, hot-oracle, belady
 *
 * A heap for each part of the cache, least score first, and among equals what was used longest ago;
 * what was loaded ahead and not used goes before them, the last such first.
 *
 *   lfu         lookups so far, also those before an eviction
 *   lfu-decay   each lookup counts 1, half of it `half` passes later. Scores are kept relative to
 *               a past pass, so that they change only when their expert is used: a lookup in pass
 *               t adds 2^((t - base) / half)
 *   hot         as lfu for the first part of the passes, then counts stand still: the experts that
 *               were used most then stay, and others pass through what room is left. With counts
 *               from elsewhere they stand still from the start
 *   hot-oracle  the same with the counts of the whole trace
 *   belady      minus the batch of the next use (Belady, "A study of replacement algorithms for a
 *               virtual-storage computer", 1966)
 */
#include "lib/route/offload_impl.h"

#include <math.h>
#include <stdlib.h>

#define ARITY 4
#define START (UINT64_MAX / 2)
#define SCALE_BITS 512          /* scores of lfu-decay stay below 2^(SCALE_BITS + 100) or so */

struct rank {
    double score;
    uint64_t stamp;             /* when it was used last; below START: loaded ahead */
};

struct ranked {
    const struct offload_cache *c;
    int variant;
    struct rank *rank;          /* [ids] */
    uint32_t *heap;             /* [ids] each part's from its first id on */
    uint32_t *place;            /* [ids] in its part's heap */
    uint32_t *n;                /* [parts] */
    uint32_t *aside;            /* [ids] kept ones that came up as victims */
    uint32_t asides;
    uint64_t warm, cold;        /* stamps: up for uses, down for what is loaded ahead */
    double base;                /* of lfu-decay, in passes */
    uint32_t learn;             /* of hot: counts stand still from this pass on */
};

/* ---- heap ------------------------------------------------------------------------------- */

static inline int below(const struct ranked *p, uint32_t a, uint32_t b) {
    const struct rank *x = p->rank + a;
    const struct rank *y = p->rank + b;
    return x->score < y->score || (x->score == y->score && x->stamp < y->stamp);
}

static inline uint32_t *heap_of(const struct ranked *p, int part) {
    return p->heap + (uint32_t)part * p->c->part_ids;
}

static void rise(struct ranked *p, uint32_t *heap, uint32_t i) {
    uint32_t id = heap[i];
    while (i > 0 && below(p, id, heap[(i - 1) / ARITY])) {
        heap[i] = heap[(i - 1) / ARITY];
        p->place[heap[i]] = i;
        i = (i - 1) / ARITY;
    }
    heap[i] = id;
    p->place[id] = i;
}

static void sink(struct ranked *p, uint32_t *heap, uint32_t n, uint32_t i) {
    uint32_t id = heap[i];
    for (;;) {
        uint32_t child = i * ARITY + 1;
        uint32_t end = child + ARITY < n ? child + ARITY : n;
        uint32_t least = child;
        if (child >= n)
            break;
        for (uint32_t j = child + 1; j < end; j++)
            if (below(p, heap[j], heap[least]))
                least = j;
        if (!below(p, heap[least], id))
            break;
        heap[i] = heap[least];
        p->place[heap[i]] = i;
        i = least;
    }
    heap[i] = id;
    p->place[id] = i;
}

static void push(struct ranked *p, uint32_t id) {
    int part = offload_part(p->c, id);
    uint32_t *heap = heap_of(p, part);
    heap[p->n[part]] = id;
    rise(p, heap, p->n[part]++);
}

static uint32_t pop(struct ranked *p, int part) {
    uint32_t *heap = heap_of(p, part);
    uint32_t id = heap[0];
    heap[0] = heap[--p->n[part]];
    if (p->n[part])
        sink(p, heap, p->n[part], 0);
    return id;
}

/* ---- scores ----------------------------------------------------------------------------- */

/* All scores 2^SCALE_BITS smaller. What becomes 0 is ordered by its stamp from now on, so that the
 * heaps are made anew. */
static void scale(struct ranked *p) {
    p->base += SCALE_BITS * p->c->param;
    for (uint32_t id = 0; id < p->c->ids; id++)
        p->rank[id].score = ldexp(p->rank[id].score, -SCALE_BITS);
    for (int part = 0; part < p->c->parts; part++)
        for (uint32_t i = p->n[part]; i-- > 0;)
            sink(p, heap_of(p, part), p->n[part], i);
}

static void use(struct ranked *p, uint32_t id) {
    const struct offload_cache *c = p->c;
    struct rank *r = p->rank + id;
    double age;
    r->stamp = ++p->warm;
    switch (p->variant) {
    case RANKED_LFU: r->score++; break;
    case RANKED_HOT: r->score += c->pass < p->learn; break;
    case RANKED_BELADY: r->score = -(double)c->next; break;
    case RANKED_DECAY:
        while ((age = (c->pass - p->base) / c->param) > SCALE_BITS)
            scale(p);
        r->score += exp2(age);
        break;
    }
}

static void count_all(struct ranked *p) {
    const struct offload *o = p->c->o;
    for (int64_t b = 0; b < o->batches; b++)
        for (int64_t i = o->first[b]; i < o->first[b + 1]; i++)
            p->rank[o->layer[b] * o->experts + o->expert[i]].score++;
}

static void *create(const struct offload_cache *c, int variant) {
    struct ranked *p = mem_alloc(sizeof *p);
    p->c = c;
    p->variant = variant;
    p->warm = p->cold = START;
    p->rank = mem_array(c->ids, sizeof *p->rank);
    p->heap = mem_array(c->ids, sizeof *p->heap);
    p->place = mem_array(c->ids, sizeof *p->place);
    p->aside = mem_array(c->ids, sizeof *p->aside);
    p->n = mem_array((size_t)c->parts, sizeof *p->n);
    if (variant == RANKED_HOT && !c->opt->hot)
        p->learn = (uint32_t)ceil(c->param * (double)c->o->passes);
    else if (variant == RANKED_HOT)
        for (uint32_t id = 0; id < c->ids; id++)
            p->rank[id].score = c->opt->hot[id];
    else if (variant == RANKED_ORACLE)
        count_all(p);
    else if (variant == RANKED_BELADY)
        for (uint32_t id = 0; id < c->ids; id++)
            p->rank[id].score = -(double)c->o->first_use[id];
    return p;
}

/* ---- policy ----------------------------------------------------------------------------- */

/* A score never falls but by belady's next use. */
static void hit(void *policy, uint32_t id) {
    struct ranked *p = policy;
    int part = offload_part(p->c, id);
    use(p, id);
    if (p->variant == RANKED_BELADY)
        rise(p, heap_of(p, part), p->place[id]);
    else
        sink(p, heap_of(p, part), p->n[part], p->place[id]);
}

static void insert(void *policy, uint32_t id, int used) {
    struct ranked *p = policy;
    if (used)
        use(p, id);
    else
        p->rank[id].stamp = --p->cold;
    push(p, id);
}

static uint32_t victim(void *policy, int part) {
    struct ranked *p = policy;
    while (p->n[part]) {
        uint32_t id = pop(p, part);
        if (!offload_kept(p->c, id))
            return id;
        p->aside[p->asides++] = id;
    }
    return OFFLOAD_NONE;
}

static void settle(void *policy) {
    struct ranked *p = policy;
    while (p->asides)
        push(p, p->aside[--p->asides]);
}

static void destroy(void *policy) {
    struct ranked *p = policy;
    free(p->rank);
    free(p->heap);
    free(p->place);
    free(p->aside);
    free(p->n);
    free(p);
}

const struct offload_ops offload_ranked = {create, hit, insert, victim, settle, destroy};
