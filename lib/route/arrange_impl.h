/* arrange_impl.h - one layer while it is arranged: what it costs, and what a move would change
 *
 * With f[r][e] the share of expert e's tokens that rank r serves, a layer costs
 *
 *     1 / ranks x sum over r of f[r]' moment f[r]  -  pull x sum over n of g[n]' together g[n] / 2
 *
 * where moment[e][d] is the mean over windows of the product of loads e and d (a rank's mean load
 * being 1; of different experts drawn half way to what chance makes of it), g[n] the sum of f over
 * the ranks of node n, and together[e][d] how often a token goes to both. The first term is 1 +
 * the variance of a rank's load, the second, but for terms of higher order and a constant, the
 * number of nodes that a token goes to. Both are quadratic, so that with the products of moment and
 * f at hand a swap is priced in a few operations, whatever the number of windows, and taken in
 * O(experts).
 */
#ifndef ARRANGE_IMPL_H
#define ARRANGE_IMPL_H

#include <stdint.h>

#include "lib/base/rng.h"
#include "lib/route/arrange.h"

struct arrange_layer {
    int experts, ranks, nodes, slots;
    int inside;                 /* 1: experts stay on their node */
    const double *count;        /* [experts] tokens of the training traffic */
    double most;                /* the count that no move may bring a rank above */
    const double *moment;       /* [experts][experts], symmetric */
    const double *together;     /* [experts][experts], diagonal 0; NULL: nodes are not looked at */
    double pull;
    int32_t *slot;              /* [slots] the caller's, the state */

    int32_t *replicas;          /* [experts] */
    int32_t *held;              /* [ranks][experts] slots */
    double *rank_count;         /* [ranks] */
    double *product;            /* [ranks][experts] moment f[r] */
    double *node_product;       /* [nodes][experts] together g[n]; NULL */
};

/* Fills what follows slot from what stands before. */
void arrange_layer_start(struct arrange_layer *l);
void arrange_layer_free(struct arrange_layer *l);
double arrange_layer_cost(const struct arrange_layer *l);
double arrange_layer_most(const struct arrange_layer *l);       /* largest of rank_count */

/* What a thread needs for its layers, one after the other. */
struct arrange_desk {
    double *count, *moment, *together;
};
struct arrange_desk arrange_desk_new(const struct placement *p, const struct arrange_options *o);
void arrange_desk_free(struct arrange_desk *d);
/* A layer of p as it is, started; no rank may have more than the fullest has. */
struct arrange_layer arrange_layer_begin(const struct placement *p,
                                         const struct arrange_options *o, int layer,
                                         struct arrange_desk *d);

/* What the cost would change by, INFINITY for a move that may not be made. */
double arrange_price_swap(const struct arrange_layer *l, int s, int t);
void arrange_swap(struct arrange_layer *l, int s, int t);
/* Slot s becomes a replica of `expert`; its own must have another. */
double arrange_price_replace(const struct arrange_layer *l, int s, int expert);
void arrange_replace(struct arrange_layer *l, int s, int expert);

/* Takes moves that lower the cost until there are none. */
void arrange_descend(struct arrange_layer *l);
/* Random moves, dearer ones ever less often, then a descent; the best that was seen stays. */
void arrange_anneal(struct arrange_layer *l, int64_t moves, struct rng *rng);
/* Lowers the fullest rank's count by swaps until none does. */
void arrange_level(struct arrange_layer *l);
/* Swaps until no rank has more than `most`, those first that cost least for what they take from the
 * fullest; l->most stays what it is. 0: it did not get there. */
int arrange_fit(struct arrange_layer *l, double most);

#endif
