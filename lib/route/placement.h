/* placement.h - where experts live: which expert each physical slot holds, in every layer
 *
 *     struct placement_grid grid = {.ranks = 8, .nodes = 2, .slots = 72};
 *     if (placement_grid_check(&grid, experts, &err))
 *         die("%s", err.text);
 *     struct placement *p = placement_new(layers, experts, &grid);
 *     placement_layer(p, layer)[s] = expert;
 *     placement_free(p);
 *
 * Slots of a rank follow each other, and ranks of a node do: slot s is on rank s / (slots / ranks),
 * rank r on node r / (ranks / nodes). An expert with n slots (replicas) has 1 / n of its tokens on
 * each.
 *
 * eplb.h fills one as it is published, placement_json.h reads and writes what engines load.
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

#define PLACEMENT_RANKS_MOST 4096
#define PLACEMENT_SLOTS_MOST (1 << 20)      /* of a layer */

struct placement {
    struct placement_grid grid;
    int layers, experts;
    int32_t *layer_index;       /* [layers] which of the model's layers */
    int counted;                /* 1: nobody said which, they are counted from 0 */
    int32_t *slot;              /* [layers][slots] the expert of each; once filled every expert has
                                 * at least one */
    int32_t *replica;           /* [layers][slots] which of its expert's replicas a slot holds, from
                                 * 0; NULL: they are numbered by slot. So they are too in a layer
                                 * whose slots were changed since */
};

/* Whether such a grid can be: 0, or -1 and why not. */
int placement_grid_check(const struct placement_grid *grid, int experts, struct err *err);
/* Slots are all expert 0, layer_index counts from 0. The grid is one that can be. */
struct placement *placement_new(int layers, int experts, const struct placement_grid *grid);
void placement_free(struct placement *p);                         /* NULL is fine */
struct placement *placement_copy(const struct placement *p);
/* Experts e on slot e % slots in order, further slots again from expert 0: no plan at all. */
struct placement *placement_identity(int layers, int experts, const struct placement_grid *grid);
/* The layers that have these indices, in this order; all of p as they come where there are as many
 * and they are counted only. NULL: p lacks one. */
struct placement *placement_take(const struct placement *p, const int32_t *layer_index, int layers,
                                 struct err *err);

/* The slots of a layer, [slots], p's. */
int32_t *placement_layer(const struct placement *p, int layer);
/* count[experts] becomes the replicas of each expert of a layer. */
void placement_replicas(const struct placement *p, int layer, int32_t *count);
/* rank[ranks] becomes the load of each rank when expert e has count[e] tokens. */
void placement_rank_loads(const struct placement *p, int layer, const double *count, double *rank);
/* [layers][experts][*most] the slots of each expert in the order of its replicas, -1 behind the
 * last; *most is the largest number of replicas. The caller frees. */
int32_t *placement_logical(const struct placement *p, int *most);

/* ---- moves ------------------------------------------------------------------------------ */

/* What it takes to go from one placement to another: each rank fetches the experts that it shall
 * hold and does not, once each. */
struct placement_moves {
    int64_t slots;              /* experts to fetch, over ranks and layers */
    int64_t far;                /* of these, the ones that no rank of the same node held */
    double bytes, far_bytes;    /* 0 where an expert's bytes are not said */
};

/* 0 when from and to have the same layers, experts, ranks and nodes; else -1 and what differs. The
 * numbers of slots may differ. */
int placement_comparable(const struct placement *from, const struct placement *to,
                         struct err *err);
/* expert_bytes [layers] of one expert, NULL: not said. layer [layers] (NULL: not wanted) becomes
 * the experts to fetch of each layer. The placements are comparable. */
struct placement_moves placement_moves(const struct placement *from, const struct placement *to,
                                       const double *expert_bytes, int64_t *layer);
/* Renumbers nodes, ranks within nodes, and slots of `to`, in each layer for itself, so that going
 * there from `from` fetches the fewest experts, and the fewest far ones among those. What loads the
 * ranks of a layer have, and which experts share a rank or a node, stays. Exact: assignments by
 * assign.h, of ranks for each pair of nodes, then of nodes. An expert that stays on its rank keeps
 * its slot where both have as many slots. The placements are comparable. */
void placement_match(const struct placement *from, struct placement *to);

#endif
