/* eplb.c - the published placement, step by step as it is described
 *
 * Loads are float32 from the first step on, and every choice is the first of equals: a load and an
 * index become one whole number, the load's bits above the index, so that an ordinary comparison
 * decides both. That holds because bits of floats from 0 up are in the order of the floats.
 *
 * Where the published code looks through all experts for each replica, and through all packs for
 * each item, there is a heap here.
 */
#include "lib/route/eplb.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/introsort.h"

struct eplb {
    struct placement_grid grid;
    int experts;
    int groups, nodes;          /* 1 and 1 where they are not looked at */
    float *load;                /* [experts] of the layer */
    float *group_load;          /* [groups] */
    float *node_load;           /* [experts / nodes] of a node's experts */
    int32_t *expert;            /* [experts] as they are dealt to nodes: node by node */
    int32_t *copies;            /* [experts / nodes] replicas so far */
    int32_t *held;              /* [slots / nodes] expert of a slot, counted in the node, */
    int32_t *replica;           /* which of its replicas, */
    float *slot_load;           /* its load, */
    int32_t *at;                /* and where packing puts it; also of groups */
    int32_t *items;             /* [packs] so far */
    uint64_t *heap;             /* [max(experts, packs)] */
    uint64_t *order;            /* [max(slots, groups)] */
};

/* ---- loads as whole numbers --------------------------------------------------------------- */

static uint32_t bits_of(float load) {
    uint32_t bits;
    memcpy(&bits, &load, sizeof bits);
    return bits;
}

static float load_of(uint32_t bits) {
    float load;
    memcpy(&load, &bits, sizeof load);
    return load;
}

/* Small for small loads, then for small indices. */
static uint64_t rising(float load, int index) {
    return (uint64_t)bits_of(load) << 32 | (uint32_t)index;
}

/* Small for large loads, then for small indices. */
static uint64_t falling(float load, int index) {
    return (uint64_t)~bits_of(load) << 32 | (uint32_t)index;
}

static int index_of(uint64_t key) {
    return (int)(uint32_t)key;
}

/* ---- heap: the smallest at 0 -------------------------------------------------------------- */

/* Puts key where the hole at i has to sink to. */
static void sink(uint64_t *heap, int n, int i, uint64_t key) {
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (key <= heap[child])
            break;
        heap[i] = heap[child];
    }
    heap[i] = key;
}

static void heapify(uint64_t *heap, int n) {
    for (int i = n / 2 - 1; i >= 0; i--)
        sink(heap, n, i, heap[i]);
}

/* ---- packing ------------------------------------------------------------------------------ */

/* Deals n items to packs of n / packs: by falling load, each to the least loaded pack that has
 * room. at[i] becomes where item i goes, pack by pack in the order in which they came. */
static void pack(struct eplb *e, const float *load, int n, int packs) {
    int room = n / packs;
    int open = packs;
    for (int i = 0; i < n; i++) {
        e->at[i] = i;
        e->order[i] = falling(load[i], i);
    }
    if (room == 1)
        return;
    introsort(e->order, n);
    memset(e->items, 0, (size_t)packs * sizeof *e->items);
    for (int i = 0; i < packs; i++)
        e->heap[i] = rising(0, i);
    for (int i = 0; i < n; i++) {
        int item = index_of(e->order[i]);
        int into = index_of(e->heap[0]);
        float sum = load_of((uint32_t)(e->heap[0] >> 32)) + load[item];
        e->at[item] = into * room + e->items[into]++;
        if (e->items[into] < room)
            sink(e->heap, open, 0, rising(sum, into));
        else if (--open > 0)
            sink(e->heap, open, 0, e->heap[open]);
    }
}

/* ---- the three steps ---------------------------------------------------------------------- */

#define LANES 8                 /* floats of a vector */
#define ROWS 4                  /* vectors, each with sums of its own */
#define BLOCK 16                /* rows whose sums are added up before they are added */
#define LEVELS 4

/* Sum of x[0], x[stride], ..., n of them: blocks of blocks, so that small numbers meet small ones.
 * n is below BLOCK^LEVELS. */
static float sum_column(const float *x, int n, int stride) {
    float sum[LEVELS] = {0};
    for (int i = 0; i < n;) {
        sum[0] += x[i * stride];
        i++;
        for (int size = BLOCK, k = 0; k + 1 < LEVELS && i % size == 0; size *= BLOCK, k++) {
            sum[k + 1] += sum[k];
            sum[k] = 0;
        }
    }
    return sum[0] + sum[1] + sum[2] + sum[3];
}

/* Sum of x[0], x[stride], ..., n of them, as of ROWS columns. */
static float sum_rows(const float *x, int n, int stride) {
    float column[ROWS];
    int even = n / ROWS;
    for (int i = 0; i < ROWS; i++)
        column[i] = sum_column(x + i * stride, even, ROWS * stride);
    for (int i = even * ROWS; i < n; i++)
        column[0] += x[i * stride];
    return column[0] + column[1] + column[2] + column[3];
}

/* The sum that PyTorch makes on x86-64, addition by addition: it rounds from 2^24 tokens on, and
 * then the order tells which of two groups is the larger. */
static float sum_of(const float *x, int n) {
    if (n < LANES)
        return sum_rows(x, n, 1);
    int vectors = n / LANES;
    float sum = 0;
    for (int i = vectors * LANES; i < n; i++)
        sum += x[i];
    for (int i = 0; i < LANES; i++)
        sum += sum_rows(x + i, vectors, LANES);
    return sum;
}

/* Groups to nodes: expert[] becomes the experts of node 0, of node 1 and so on. */
static void deal_groups(struct eplb *e) {
    int size = e->experts / e->groups;
    for (int g = 0; g < e->groups; g++)
        e->group_load[g] = sum_of(e->load + g * size, size);
    pack(e, e->group_load, e->groups, e->nodes);
    for (int g = 0; g < e->groups; g++)
        for (int i = 0; i < size; i++)
            e->expert[e->at[g] * size + i] = g * size + i;
}

/* Replicas of a node's n experts until its slots are full: each to the largest load a replica. */
static void replicate(struct eplb *e, int n, int slots) {
    for (int i = 0; i < n; i++) {
        e->held[i] = i;
        e->replica[i] = 0;
        e->copies[i] = 1;
        e->heap[i] = falling(e->node_load[i], i);
    }
    if (slots > n)
        heapify(e->heap, n);
    for (int s = n; s < slots; s++) {
        int i = index_of(e->heap[0]);
        e->held[s] = i;
        e->replica[s] = e->copies[i]++;
        sink(e->heap, n, 0, falling(e->node_load[i] / (float)e->copies[i], i));
    }
    for (int s = 0; s < slots; s++)
        e->slot_load[s] = e->node_load[e->held[s]] / (float)e->copies[e->held[s]];
}

static void fill_layer(struct eplb *e, const double *count, int32_t *slot, int32_t *replica) {
    int n = e->experts / e->nodes;
    int slots = e->grid.slots / e->nodes;
    for (int i = 0; i < e->experts; i++)
        e->load[i] = (float)count[i] + 0.0f;            /* -0 becomes 0, whose bits are 0 */
    deal_groups(e);
    for (int node = 0; node < e->nodes; node++) {
        const int32_t *expert = e->expert + node * n;
        for (int i = 0; i < n; i++)
            e->node_load[i] = e->load[expert[i]];
        replicate(e, n, slots);
        pack(e, e->slot_load, slots, e->grid.ranks / e->nodes);
        for (int s = 0; s < slots; s++) {
            slot[node * slots + e->at[s]] = expert[e->held[s]];
            replica[node * slots + e->at[s]] = e->replica[s];
        }
    }
}

/* ---- all layers --------------------------------------------------------------------------- */

static void *ints(int n) {
    return mem_array((size_t)n, sizeof(int32_t));
}

static void open_eplb(struct eplb *e, const struct placement *p, int groups) {
    int both = eplb_is_hierarchical(&p->grid, groups);
    int most = p->grid.slots;           /* at least experts, which are at least groups; and ranks */
    _Static_assert(sizeof(float) == sizeof(int32_t), "arrays of one size");
    *e = (struct eplb){.grid = p->grid, .experts = p->experts, .groups = both ? groups : 1,
        .nodes = both ? p->grid.nodes : 1, .load = ints(most), .group_load = ints(most),
        .node_load = ints(most), .expert = ints(most), .copies = ints(most), .held = ints(most),
        .replica = ints(most), .slot_load = ints(most), .at = ints(most), .items = ints(most),
        .heap = mem_array((size_t)most, sizeof *e->heap),
        .order = mem_array((size_t)most, sizeof *e->order)};
}

static void close_eplb(struct eplb *e) {
    free(e->load);
    free(e->group_load);
    free(e->node_load);
    free(e->expert);
    free(e->copies);
    free(e->held);
    free(e->replica);
    free(e->slot_load);
    free(e->at);
    free(e->items);
    free(e->heap);
    free(e->order);
}

int eplb_is_hierarchical(const struct placement_grid *grid, int groups) {
    return groups % grid->nodes == 0;
}

static int check(const struct placement *p, const double *count, int groups, struct err *err) {
    if (groups < 1 || (eplb_is_hierarchical(&p->grid, groups) && p->experts % groups))
        return err_set(err, "%d groups of %d experts: each has as many", groups, p->experts);
    for (int i = 0; i < p->layers; i++)
        for (int x = 0; x < p->experts; x++) {
            double c = count[(size_t)i * (size_t)p->experts + (size_t)x];
            if (!(c >= 0 && c <= DBL_MAX))
                return err_set(err, "layer %d expert %d: count %g: at least 0 and finite",
                               p->layer_index[i], x, c);
        }
    return 0;
}

int eplb_fill(struct placement *p, const double *count, int groups, struct err *err) {
    struct eplb e;
    size_t slots = (size_t)p->grid.slots;
    if (placement_grid_check(&p->grid, p->experts, err) || check(p, count, groups, err))
        return -1;
    if (!p->replica)
        p->replica = mem_array((size_t)p->layers * slots, sizeof *p->replica);
    open_eplb(&e, p, groups);
    for (int i = 0; i < p->layers; i++)
        fill_layer(&e, count + (size_t)i * (size_t)p->experts, placement_layer(p, i),
                   p->replica + (size_t)i * slots);
    close_eplb(&e);
    return 0;
}
