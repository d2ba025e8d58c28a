/* arrange.h - a placement that stays even when traffic changes from window to window
 *
 *     struct arrange_options o = {.train = &traffic, .groups = 1, .seed = 1};
 *     struct placement *p = placement_new(layers, experts, &grid);
 *     if (arrange_fill(p, &o, par, &err)) ...
 *
 * EPLB (eplb.h) evens out the sum of the training traffic. What a pass waits for is the fullest
 * rank of that pass, and experts that are busy together fill one rank together. So this begins
 * with EPLB's answer and moves and replicates experts until the variance of the ranks' loads over
 * windows of all lengths (traffic_moment) is as low as descent and annealing get it, while no rank
 * has more of the sum than EPLB's fullest, or is brought back below it: on the training traffic,
 * max / mean of a layer is never above EPLB's. Of one table of counts nothing else is known: there
 * max / mean itself is lowered.
 *
 * Where EPLB keeps groups of experts on nodes (hierarchical), experts stay on the nodes that it
 * gave them.
 *
 * Work is bounded by counts: the same input and seed give the same placement with any number of
 * threads.
 */
#ifndef ARRANGE_H
#define ARRANGE_H

#include <stdint.h>

#include "lib/base/par.h"
#include "lib/route/placement.h"
#include "lib/route/traffic.h"

/* Slots of a layer above which an arrangement takes minutes: work grows with their square. */
#define ARRANGE_SLOTS_MOST 4096

struct arrange_options {
    const struct traffic *train;        /* ready, of the placement's layers and experts */
    int groups;                         /* of experts, EPLB's */
    double pull;                        /* what one node more for every token weighs, in squares of
                                         * max / mean - 1; 0: nothing */
    uint64_t seed;
};

/* Fills all slots of p. -1: as eplb_fill, or more than ARRANGE_SLOTS_MOST slots. */
int arrange_fill(struct placement *p, const struct arrange_options *o, struct par *par,
                 struct err *err);

/* From what p holds: at most `most` slots of all layers get another expert, those that lower the
 * cost most for each slot, one after the other. Returns how many did. */
int64_t arrange_improve(struct placement *p, const struct arrange_options *o, int64_t most,
                        struct par *par);

#endif
