/* placement.h - where experts live: which expert each physical slot holds, in every layer
 *
 *     struct placement_grid grid = {.ranks = 8, .nodes = 2, .slots = 72};
 *     struct placement *p = placement_new(layers, experts, &grid);
 *     p->slot[layer * p->grid.slots + s] = expert;
 *     placement_write(p, "-", &err);
 *     placement_free(p);
 *
 * Slots of a rank follow each other, and ranks of a node do: slot s is on rank s / (slots / ranks),
 * rank r on node r / (ranks / nodes). An expert with n slots (replicas) has 1 / n of its tokens on
 * each.
 */
#ifndef PLACEMENT_H
#define PLACEMENT_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/route/loads.h"

struct placement_grid {
    int ranks;                  /* devices */
    int nodes;                  /* that they stand in; divides ranks */
    int slots;                  /* of a layer, in all; a multiple of ranks, at least experts */
};

struct placement {
    struct placement_grid grid;
    int layers, experts;
    int32_t *layer_index;       /* [layers] which of the model's layers */
    int32_t *slot;              /* [layers][slots] the expert of each; once filled every expert has
                                 * at least one */
};

/* Whether such a grid can be: 0, or -1 and why not. */
int placement_grid_check(const struct placement_grid *grid, int experts, struct err *err);
/* Slots are all expert 0, layer_index counts from 0. The grid is one that can be. */
struct placement *placement_new(int layers, int experts, const struct placement_grid *grid);
void placement_free(struct placement *p);                         /* NULL is fine */
/* The slots of a layer, [slots], p's. */
int32_t *placement_layer(const struct placement *p, int layer);
/* count[experts] becomes the replicas of each expert of a layer. */
void placement_replicas(const struct placement *p, int layer, int32_t *count);
/* rank[ranks] becomes the load of each rank when expert e has count[e] tokens. */
void placement_rank_loads(const struct placement *p, int layer, const double *count, double *rank);
/* Experts e on slot e % slots in order, further slots again from expert 0: no plan at all. */
struct placement *placement_identity(int layers, int experts, const struct placement_grid *grid);

#endif
