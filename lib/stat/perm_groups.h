/* perm_groups.h - two groups of units, shuffled: which unit might have been on which side
 *
 *     struct perm_groups *g = perm_groups_new(side, stratum, n);
 *     if (perm_groups_least_p(g) > alpha) ...      // no outcome could have been significant
 *     for (int t = 0; t < draws; t++) {
 *         perm_groups_draw(g, seed, t, drawn);
 *         beyond += statistic(drawn) >= statistic(side);
 *     }
 *     p = (1 + beyond) / (1 + draws);              // the one that was seen among them: never 0
 *     perm_groups_free(g);
 *
 * A unit is what may be exchanged as a whole under the null: where samples come in clusters (tokens
 * of a request, answers to a question) it is the cluster. Sides are shuffled inside each stratum
 * (pairs, topics), so that every draw has as many units of either side there as were seen
 * (Edgington and Onghena, "Randomization tests", 2007; p by Phipson and Smyth 2010). A draw depends
 * on seed and number alone: threads may share the work in any way.
 */
#ifndef PERM_GROUPS_H
#define PERM_GROUPS_H

#include <stddef.h>
#include <stdint.h>

struct perm_groups;

/* side[n] of 0 and 1; stratum[n] of any numbers, NULL: all units are one. Both are copied. */
struct perm_groups *perm_groups_new(const uint8_t *side, const uint32_t *stratum, size_t n);
void perm_groups_free(struct perm_groups *g);               /* NULL is fine */
/* side[n] becomes draw number `draw`. */
void perm_groups_draw(const struct perm_groups *g, uint64_t seed, uint64_t draw, uint8_t *side);
/* The logarithm of how many ways there are to choose sides: 0, that is one, when no stratum has
 * units of both. */
double perm_groups_log_ways(const struct perm_groups *g);
/* The smallest p that a two-sided test over all of them could give: 2 / ways, at most 1. */
double perm_groups_least_p(const struct perm_groups *g);

/* ---- one statistic without drawing -------------------------------------------------------- */

/* The sum of x over units of side 1, shuffled: its mean and variance over all ways, and what is
 * left for the noise. */
struct perm_sum {
    double sum;                 /* as seen */
    double mean, variance;
    double freedom;             /* units less one, of strata that vary, these weighted by their part
                                 * of the variance (Satterthwaite 1946) */
    double most;                /* units less one of the same strata: (sum - mean)^2 / variance is
                                 * never more */
};
struct perm_sum perm_groups_sum(const struct perm_groups *g, const double *x);

struct perm_score {
    double t;                   /* Student's, with this many degrees of freedom */
    double df;
    double error;               /* of the sum, standard, without what the two sides differ by */
    double p;                   /* two-sided, by the t law, but never below perm_groups_least_p; NAN
                                 * when there is nothing to shuffle; 1 when all x are alike */
};
/* The permutation law of the sum, close to Student's t (Box and Andersen 1955): of one stratum
 * with units of one size it is the two-sample t test, of pairs the paired one. floor: variance
 * below which the sum's is not taken to be, 0 for none. */
struct perm_score perm_groups_score(const struct perm_groups *g, const double *x, double floor);

#endif
