/* balance.h - how evenly the experts of a layer are used
 *
 *     struct balance b;
 *     balance_of(count, 64, &b);
 *     if (b.max_over_mean > balance_noise(tokens, pairs, 64)) ...    // more than chance
 *
 * Of counts of any unit: tokens, shares, seconds. Nothing is allocated that stays.
 */
#ifndef BALANCE_H
#define BALANCE_H

struct balance {
    double sum;                 /* of the counts */
    int used, dead;             /* experts with and without any */
    int top;                    /* the expert with the largest count, the first of such; -1: none */
    double max_over_mean;       /* 1: even; at most experts / k */
    double maxvio;              /* max over mean, less 1 (Wang et al., "Auxiliary-loss-free load
                                 * balancing strategy for mixture-of-experts", 2024) */
    double cv;                  /* deviation (of all experts, not of a sample) over mean */
    double gini;                /* 0: even, to 1 - 1 / experts: one has all */
    double entropy;             /* of the shares, over ln experts: 1 even, 0 one has all; NAN for a
                                 * single expert */
    double effective;           /* exp of the entropy: so many evenly used experts have the same */
    double top_share;           /* of the sum */
};

/* Of count[experts], 0 or more. All NAN when nothing was counted. */
void balance_of(const double *count, int experts, struct balance *out);

/* The max over mean to expect of a router without any preference after so many tokens, pairs /
 * tokens of `experts` for each: what lies below it says nothing. Counts are binomial, and sum to
 * a constant, hence a little farther apart than independent ones. Within 1 % of simulations, and
 * 3 % of fewer than 20 tokens. NAN
 * without tokens. */
double balance_noise(double tokens, double pairs, int experts);

#endif
