/* placement.c - slots and what follows from them: replicas, loads, where each expert is */
#include "lib/route/placement.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

int placement_grid_check(const struct placement_grid *grid, int experts, struct err *err) {
    if (grid->ranks < 1 || grid->nodes < 1 || grid->slots < 1 || experts < 1)
        return err_set(err, "%d ranks, %d nodes, %d slots, %d experts: at least one of each",
                       grid->ranks, grid->nodes, grid->slots, experts);
    if (grid->ranks % grid->nodes)
        return err_set(err, "%d ranks on %d nodes: each node has as many", grid->ranks,
                       grid->nodes);
    if (grid->slots % grid->ranks)
        return err_set(err, "%d slots on %d ranks: each rank has as many", grid->slots,
                       grid->ranks);
    if (grid->ranks > PLACEMENT_RANKS_MOST || grid->slots > PLACEMENT_SLOTS_MOST)
        return err_set(err, "%d ranks, %d slots: at most %d and %d", grid->ranks, grid->slots,
                       PLACEMENT_RANKS_MOST, PLACEMENT_SLOTS_MOST);
    if (grid->slots < experts)
        return err_set(err, "%d slots for %d experts: each needs one", grid->slots, experts);
    return 0;
}

static size_t all_slots(const struct placement *p) {
    return (size_t)p->layers * (size_t)p->grid.slots;
}

struct placement *placement_new(int layers, int experts, const struct placement_grid *grid) {
    struct placement *p = mem_alloc(sizeof *p);
    p->grid = *grid;
    p->layers = layers;
    p->experts = experts;
    p->layer_index = mem_array((size_t)layers, sizeof *p->layer_index);
    p->slot = mem_array(all_slots(p), sizeof *p->slot);
    for (int i = 0; i < layers; i++)
        p->layer_index[i] = i;
    return p;
}

void placement_free(struct placement *p) {
    if (!p)
        return;
    free(p->layer_index);
    free(p->slot);
    free(p->replica);
    free(p);
}

struct placement *placement_copy(const struct placement *p) {
    struct placement *q = placement_new(p->layers, p->experts, &p->grid);
    q->counted = p->counted;
    memcpy(q->layer_index, p->layer_index, (size_t)p->layers * sizeof *q->layer_index);
    memcpy(q->slot, p->slot, all_slots(p) * sizeof *q->slot);
    if (p->replica) {
        q->replica = mem_array(all_slots(p), sizeof *q->replica);
        memcpy(q->replica, p->replica, all_slots(p) * sizeof *q->replica);
    }
    return q;
}

int32_t *placement_layer(const struct placement *p, int layer) {
    return p->slot + (size_t)layer * (size_t)p->grid.slots;
}

void placement_replicas(const struct placement *p, int layer, int32_t *count) {
    const int32_t *slot = placement_layer(p, layer);
    memset(count, 0, (size_t)p->experts * sizeof *count);
    for (int s = 0; s < p->grid.slots; s++)
        count[slot[s]]++;
}

void placement_rank_loads(const struct placement *p, int layer, const double *count,
                          double *rank) {
    const int32_t *slot = placement_layer(p, layer);
    int32_t *replicas = mem_array((size_t)p->experts, sizeof *replicas);
    int each = p->grid.slots / p->grid.ranks;
    placement_replicas(p, layer, replicas);
    for (int r = 0; r < p->grid.ranks; r++) {
        rank[r] = 0;
        for (int s = r * each; s < (r + 1) * each; s++)
            rank[r] += count[slot[s]] / replicas[slot[s]];
    }
    free(replicas);
}

struct placement *placement_identity(int layers, int experts, const struct placement_grid *grid) {
    struct placement *p = placement_new(layers, experts, grid);
    for (int i = 0; i < layers; i++)
        for (int s = 0; s < grid->slots; s++)
            placement_layer(p, i)[s] = s % experts;
    return p;
}

static int find_layer(const struct placement *p, int32_t index) {
    for (int i = 0; i < p->layers; i++)
        if (p->layer_index[i] == index)
            return i;
    return -1;
}

struct placement *placement_take(const struct placement *p, const int32_t *layer_index, int layers,
                                 struct err *err) {
    struct placement *q = placement_new(layers, p->experts, &p->grid);
    size_t slots = (size_t)p->grid.slots;
    int in_order = p->counted && layers == p->layers;
    if (p->replica)
        q->replica = mem_array(all_slots(q), sizeof *q->replica);
    for (int i = 0; i < layers; i++) {
        int from = in_order ? i : find_layer(p, layer_index[i]);
        if (from < 0) {
            err_set(err, "the placement has no layer %d", layer_index[i]);
            placement_free(q);
            return NULL;
        }
        q->layer_index[i] = layer_index[i];
        memcpy(placement_layer(q, i), placement_layer(p, from), slots * sizeof *q->slot);
        if (p->replica)
            memcpy(q->replica + (size_t)i * slots, p->replica + (size_t)from * slots,
                   slots * sizeof *q->replica);
    }
    return q;
}

/* ---- where each expert is ----------------------------------------------------------------- */

static int most_replicas(const struct placement *p, int32_t *count) {
    int most = 1;
    for (int i = 0; i < p->layers; i++) {
        placement_replicas(p, i, count);
        for (int e = 0; e < p->experts; e++)
            if (count[e] > most)
                most = count[e];
    }
    return most;
}

/* at[experts][most] by the numbers that replicas have. -1: they are not those of these slots. */
static int by_number(const struct placement *p, int layer, const int32_t *count, int most,
                     int32_t *at) {
    const int32_t *slot = placement_layer(p, layer);
    const int32_t *replica = p->replica + (size_t)layer * (size_t)p->grid.slots;
    for (int s = 0; s < p->grid.slots; s++) {
        if (replica[s] < 0 || replica[s] >= count[slot[s]])
            return -1;
        int32_t *place = &at[slot[s] * most + replica[s]];
        if (*place >= 0)
            return -1;
        *place = s;
    }
    return 0;
}

static void by_slot(const struct placement *p, int layer, int most, int32_t *at) {
    const int32_t *slot = placement_layer(p, layer);
    for (int s = 0; s < p->grid.slots; s++) {
        int32_t *place = at + slot[s] * most;
        while (*place >= 0)
            place++;
        *place = s;
    }
}

int32_t *placement_logical(const struct placement *p, int *most) {
    int32_t *count = mem_array((size_t)p->experts, sizeof *count);
    *most = most_replicas(p, count);
    size_t each = (size_t)p->experts * (size_t)*most;
    int32_t *all = mem_array((size_t)p->layers * each, sizeof *all);
    for (int i = 0; i < p->layers; i++) {
        int32_t *at = all + (size_t)i * each;
        memset(at, -1, each * sizeof *at);
        placement_replicas(p, i, count);
        if (p->replica && !by_number(p, i, count, *most, at))
            continue;
        memset(at, -1, each * sizeof *at);
        by_slot(p, i, *most, at);
    }
    free(count);
    return all;
}
