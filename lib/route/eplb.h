/* eplb.h - the published expert placement: EPLB, DeepSeek's "Expert Parallelism Load Balancer"
 *
 *     struct placement *p = placement_new(layers, experts, &grid);
 *     if (eplb_fill(p, count, groups, NULL, &err))
 *         die("%s", err.text);
 *
 * Slot for slot what github.com/deepseek-ai/EPLB (2025) answers: groups of experts are packed to
 * nodes, in each node the expert with the most tokens a replica gets the next replica until the
 * slots are full, and replicas are packed to ranks; packing goes by falling load, to the least
 * loaded pack that has room ("hierarchical"). Where nodes do not divide groups, nodes and groups
 * are not looked at ("global"). Loads are float32, and the first of equals wins.
 *
 * A layer costs O((experts + slots) log experts).
 */
#ifndef EPLB_H
#define EPLB_H

#include "lib/route/placement.h"

/* Fills all slots of p. count [layers][experts]: tokens of each expert, at least 0 and finite.
 * Experts e with the same e / (experts / groups) are a group. replica [layers][slots] (NULL: not
 * wanted) becomes which of its expert's replicas each slot holds, from 0.
 * -1: groups do not divide experts, or a count that is none. */
int eplb_fill(struct placement *p, const double *count, int groups, int32_t *replica,
              struct err *err);
/* Whether groups and nodes are looked at. */
int eplb_is_hierarchical(const struct placement_grid *grid, int groups);

#endif
