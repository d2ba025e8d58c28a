/* eplb.h - the published expert placement: EPLB, DeepSeek's "Expert Parallelism Load Balancer"
 *
 *     struct placement *p = placement_new(layers, experts, &grid);
 *     if (eplb_fill(p, count, groups, &err))
 *         die("%s", err.text);
 *
 * Slot for slot what github.com/deepseek-ai/EPLB (2025) answers: groups of experts are packed to
 * nodes, in each node the expert with the most tokens a replica gets the next replica until the
 * slots are full, and replicas are packed to ranks; packing goes by falling load, to the least
 * loaded pack that has room ("hierarchical"). Where nodes do not divide groups, nodes and groups
 * are not looked at ("global"). Loads are float32.
 *
 * Where loads are equal, the expert of the lower number gets the replica and the first pack gets
 * the item; in which order equal items come to packing is introsort.h's, as in PyTorch, on which
 * the published code stands. Sums of groups are added in the order of PyTorch on x86-64.
 *
 * A layer costs O((experts + slots) log experts).
 */
#ifndef EPLB_H
#define EPLB_H

#include "lib/route/placement.h"

/* Fills all slots of p, and p->replica as the replicas were made. count [layers][experts]: tokens
 * of each expert, at least 0 and finite. Experts e of the same e / (experts / groups) are a group.
 * -1: groups do not divide experts, or a count that is none. */
int eplb_fill(struct placement *p, const double *count, int groups, struct err *err);
/* Whether groups and nodes are looked at. */
int eplb_is_hierarchical(const struct placement_grid *grid, int groups);

#endif
