/* placement.c - slots and what follows from them: replicas, loads, no plan at all */
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
    if (grid->slots < experts)
        return err_set(err, "%d slots for %d experts: each needs one", grid->slots, experts);
    return 0;
}

struct placement *placement_new(int layers, int experts, const struct placement_grid *grid) {
    struct placement *p = mem_alloc(sizeof *p);
    p->grid = *grid;
    p->layers = layers;
    p->experts = experts;
    p->layer_index = mem_array((size_t)layers, sizeof *p->layer_index);
    p->slot = mem_array((size_t)layers * (size_t)grid->slots, sizeof *p->slot);
    for (int i = 0; i < layers; i++)
        p->layer_index[i] = i;
    return p;
}

void placement_free(struct placement *p) {
    if (!p)
        return;
    free(p->layer_index);
    free(p->slot);
    free(p);
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
