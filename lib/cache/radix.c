/* radix.c - a radix tree of blocks that gives up whole leaves, see radix.h */
#include "lib/cache/radix.h"

#include <string.h>

#include "lib/cache/engine.h"
#include "lib/cache/idmap.h"

#define ROOT 0
#define REQUESTS_MAX (1 << 30)  /* at most four stamps a request, of 32 bits */

/* ---- numbers that tell prefixes apart ---------------------------------------------------- */

/* Does every block always stand behind the same one? So it is when ids are hashes of prefixes. */
static int tells_prefixes(const struct blocks *b) {
    for (int64_t r = 0; r < b->requests; r++) {
        uint32_t before = BLOCKS_NONE;
        for (int64_t i = b->first[r]; i < b->first[r + 1]; i++) {
            if (b->parent[b->id[i]] != before)
                return 0;
            before = b->id[i];
        }
    }
    return 1;
}

/* A prefix is the one before it and one block more. Returns how many there are; 0: too many. */
static uint32_t number_prefixes(struct radix *t, const struct blocks *b) {
    struct idmap *map = idmap_new();
    uint32_t count = 0;
    t->own_id = mem_array((size_t)b->accesses, sizeof *t->own_id);
    t->number = mem_array(b->unique, sizeof *t->number);
    memset(t->number, 0xff, b->unique * sizeof *t->number);
    for (int64_t r = 0; r < b->requests; r++) {
        uint64_t before = BLOCKS_NONE;
        for (int64_t i = b->first[r]; i < b->first[r + 1]; i++) {
            uint64_t key = before << 32 | b->id[i];
            if (idmap_add(map, &key, 1, &t->own_id[i]))
                goto out;
            before = t->own_id[i];
            if (t->number[b->id[i]] == BLOCKS_NONE)
                t->number[b->id[i]] = t->own_id[i];
        }
    }
    count = idmap_count(map);
out:
    idmap_free(map);
    return count;
}

int radix_init(struct radix *t, const struct sim_setup *s, radix_rank *rank, struct err *err) {
    const struct blocks *b = s->blocks;
    size_t nodes = engine_slots(s, err);
    uint32_t numbers = b->unique;
    if (!nodes)
        return -1;
    nodes++;                        /* the root; any other has a block at least */
    if (b->requests > REQUESTS_MAX)
        return err_set(err, "more than %d requests", REQUESTS_MAX);
    *t = (struct radix){.rank = rank, .id = b->id, .fresh = 1,
                        .p = {.blocks = b, .capacity = s->capacity}};
    if (!tells_prefixes(b)) {
        numbers = number_prefixes(t, b);
        t->id = t->own_id;
        if (!numbers) {
            radix_clear(t);
            return err_set(err, "more than %u different prefixes", IDMAP_MAX - 1);
        }
    }
    t->node_of = mem_array(numbers, sizeof *t->node_of);
    t->node = mem_array(nodes, sizeof *t->node);
    t->leaf = mem_array(nodes, sizeof *t->leaf);
    t->p.born = mem_array(nodes, sizeof *t->p.born);
    return 0;
}

void radix_clear(struct radix *t) {
    free(t->own_id);
    free(t->number);
    free(t->node_of);
    free(t->node);
    free(t->leaf);
    free(t->p.born);
}

/* ---- leaves that may leave, a heap ------------------------------------------------------- */

static void put(struct radix *t, uint32_t place, struct radix_leaf leaf) {
    t->leaf[place] = leaf;
    t->node[leaf.node].place = place + 1;
}

/* Finds the place of a leaf whose slot is free at `place`. */
static void settle(struct radix *t, uint32_t place, struct radix_leaf leaf) {
    while (place && t->leaf[(place - 1) / 2].rank > leaf.rank) {
        put(t, place, t->leaf[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < t->leaves && t->leaf[child + 1].rank < t->leaf[child].rank)
            child++;
        if (child >= t->leaves || t->leaf[child].rank >= leaf.rank)
            break;
        put(t, place, t->leaf[child]);
        place = child;
    }
    put(t, place, leaf);
}

static void offer(struct radix *t, uint32_t node) {
    struct radix_leaf leaf = {t->rank(t, &t->node[node]), node};
    settle(t, t->leaves++, leaf);
}

static void withdraw(struct radix *t, uint32_t node) {
    uint32_t place = t->node[node].place;
    if (!place)
        return;
    t->node[node].place = 0;
    struct radix_leaf last = t->leaf[--t->leaves];
    if (last.node != node)
        settle(t, place - 1, last);
}

/* ---- nodes ------------------------------------------------------------------------------- */

static uint32_t make_node(struct radix *t) {
    uint32_t n = t->unused ? t->unused : t->fresh++;
    if (t->unused)
        t->unused = t->node[n].parent;
    t->node[n] = (struct radix_node){.made = ++t->making};
    return n;
}

static void drop_leaf(struct radix *t, uint32_t n) {
    struct radix_node *node = &t->node[n];
    uint32_t parent = node->parent;
    withdraw(t, n);
    for (uint32_t i = 0; i < node->blocks; i++) {
        if (node->id)
            t->node_of[node->id[i]] = ROOT;
        policy_evicted(&t->p, n);
    }
    node->parent = t->unused;
    t->unused = n;
    if (!--t->node[parent].children && parent != ROOT && parent != t->locked)
        offer(t, parent);
}

/* Cuts node n off its first blocks, up to depth `end`; they are a node of their own, returned.
 * The request that cuts them off has met both. */
static uint32_t cut(struct radix *t, uint32_t n, uint32_t end) {
    uint32_t front = make_node(t);
    struct radix_node *f = &t->node[front];
    struct radix_node *node = &t->node[n];
    uint32_t made = f->made;
    *f = *node;
    f->made = made;
    f->end = end;
    f->blocks = node->blocks - (node->end - end);
    f->children = 1;
    f->place = 0;
    t->p.born[front] = t->p.born[n];
    for (uint32_t i = 0; i < f->blocks; i++)
        t->node_of[f->id[i]] = front;
    node->parent = front;
    node->id += f->blocks;
    node->blocks -= f->blocks;
    node->used = ++t->now;
    if (node->place) {
        withdraw(t, n);
        offer(t, n);
    }
    return front;
}

/* ---- what a request does ----------------------------------------------------------------- */

int64_t radix_match(const struct radix *t, const uint32_t *id, int64_t n) {
    int64_t in = 0;             /* the first `in` are in the tree, from n on none is */
    while (in < n) {
        int64_t middle = in + (n - in) / 2;
        if (t->node_of[id[middle]] != ROOT)
            in = middle + 1;
        else
            n = middle;
    }
    return in;
}

void radix_lock(struct radix *t, const uint32_t *id, int64_t n) {
    uint32_t node = n ? t->node_of[id[n - 1]] : ROOT;
    if (n && t->node[node].end != n)
        node = cut(t, node, (uint32_t)n);
    withdraw(t, node);
    t->locked = node;
}

void radix_make_room(struct radix *t, int64_t blocks) {
    while (t->p.size + blocks > t->p.capacity && t->leaves)
        drop_leaf(t, t->leaf[0].node);
}

void radix_add(struct radix *t, const uint32_t *id, int64_t n) {
    if (!n)
        return;
    uint32_t new = make_node(t);
    struct radix_node *node = &t->node[new];
    node->id = id;
    node->blocks = (uint32_t)n;
    node->parent = t->locked;
    node->end = t->node[t->locked].end + (uint32_t)n;
    t->node[t->locked].children++;
    for (int64_t i = 0; i < n; i++) {
        if (id)
            t->node_of[id[i]] = new;
        policy_inserted(&t->p, new);
    }
    t->locked = new;
}

void radix_unlock(struct radix *t) {
    uint32_t leaf = t->locked;
    t->now++;
    t->locked = ROOT;
    for (uint32_t n = leaf; n != ROOT; n = t->node[n].parent) {
        t->node[n].used = t->now;
        t->node[n].hits++;
    }
    if (leaf != ROOT && !t->node[leaf].children)
        offer(t, leaf);
}

int radix_holds(const struct radix *t, uint32_t id) {
    uint32_t number = t->number ? t->number[id] : id;
    return t->node_of[number] != ROOT;
}
