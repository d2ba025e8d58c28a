/* diverge.h - how differently two parts of traffic are routed, and whether chance explains it
 *
 *     struct diverge *d = diverge_new(layers, experts);
 *     diverge_compare(d, rate_a, rate_b, 0);                   // of count tables: no more is known
 *     diverge_test(d, units, &(struct diverge_options){0});    // of traces: a test as well
 *     double bits = d->row[layer].js_bits;
 *     diverge_free(d);
 *
 * Jensen-Shannon divergence in bits (Lin, "Divergence measures based on the Shannon entropy", 1991)
 * of the shares that experts have in a layer's routed pairs: 0 the same, 1 nothing in common. It is
 * never negative, so that samples of one population have a positive one: what shuffled units
 * (diverge_units.h) show stands beside it, and p is how often theirs is as large. A rate is the
 * share of tokens that an expert sees; differences of rates are those of SteerMoE (p1 - p2).
 *
 * Matched: both sides are compared inside topics, and averaged over them with the weights of Mantel
 * and Haenszel, na nb / (na + nb) tokens; topics of one side alone do not count. Units are shuffled
 * inside topics.
 */
#ifndef DIVERGE_H
#define DIVERGE_H

#include "lib/route/diverge_units.h"

#define DIVERGE_USEFUL_P 0.05   /* a test that cannot give it is none */

struct diverge_row {
    double js_bits;             /* NAN: a side has nothing in this layer */
    double null_bits;           /* mean of shuffled units; NAN without a test, as are these */
    double null95_bits;         /* that 5 % of them exceed */
    double p;
    double q;                   /* p by Benjamini and Hochberg over layers; of all: NAN */
    int64_t differ;             /* experts whose q is at most fdr; -1 without a test */
    double top_overlap;         /* share of the busiest experts of a that are those of b */
    int most;                   /* expert of the largest difference; of all: -1 */
    double difference;          /* its */
};

struct diverge_expert {
    double rate[2], difference; /* a, b, a - b; of tokens */
    double low, high;           /* interval of the difference; NAN without a test, as are these */
    double p, q;                /* q over all layers and experts; NAN: no side uses it */
};

struct diverge {
    int layers, experts;
    struct diverge_row *row;    /* [layers + 1]; the last is all: means of layers, sums of experts'
                                 * numbers */
    struct diverge_expert *expert;              /* [layers][experts] */
    double least_p;             /* that the test could give; 1: no test */
    int64_t topics;             /* compared */
    int64_t topics_left;        /* of one side alone */
    int64_t tokens_left[2];     /* of these, or of no topic */
};

struct diverge_options {
    int matched;
    int resamples;              /* 0: 2000 */
    uint64_t seed;
    double fdr;                 /* 0: 0.05 */
    double level;               /* of intervals; 0: 0.95 */
    int top;                    /* busiest experts; 0: an eighth of all, at least one */
    int threads;                /* 0: one per core */
};

struct diverge *diverge_new(int layers, int experts);
void diverge_free(struct diverge *d);                   /* NULL is fine */
/* a, b [layers][experts] rates. */
void diverge_compare(struct diverge *d, const double *a, const double *b, int top);
/* Compares and tests. p of js_bits is drawn: (1 + as large) / (1 + resamples); where no
 * way to shuffle could give DIVERGE_USEFUL_P there is none. p of an expert is that of
 * perm_groups_score (lib/stat/perm_groups.h). The same for every number of threads. */
void diverge_test(struct diverge *d, const struct diverge_units *u,
                  const struct diverge_options *opt);

/* Of counts or rates a, b [n], bits; NAN where a side has none. */
double diverge_js(const double *a, const double *b, int n);
/* Rates [layers][experts] of counts of a table: counts / (sum of the layer's / k); k 0: shares. */
void diverge_rates_of_counts(const double *count, int layers, int experts, int k, double *rate);

#endif
