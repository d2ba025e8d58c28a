/* perm_groups.c - two groups of units, shuffled inside strata, see perm_groups.h
 *
 * Units are kept sorted by stratum, so that a stratum is a range of `order`.
 */
#include "lib/stat/perm_groups.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/stat/dist.h"

#define ALIKE 1e-24             /* of the mean square: a variance that is rounding */
#define DF_MOST 1e6             /* as good as the normal law */

struct range {
    size_t from, n;             /* of order */
    size_t ones;                /* units of side 1 */
};

struct perm_groups {
    size_t n, ranges;
    uint32_t *order;            /* [n] units by stratum */
    uint8_t *side;              /* [n] as seen */
    struct range *range;
    double log_ways;
};

struct place {
    uint32_t stratum, unit;
};

static int by_stratum(const void *a, const void *b) {
    const struct place *x = a;
    const struct place *y = b;
    if (x->stratum != y->stratum)
        return x->stratum < y->stratum ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* The logarithm of n over ones. */
static double range_ways(const struct range *r) {
    double n = (double)r->n;
    double ones = (double)r->ones;
    if (r->ones == 0 || r->ones == r->n)
        return 0;
    return lgamma(n + 1) - lgamma(ones + 1) - lgamma(n - ones + 1);
}

struct perm_groups *perm_groups_new(const uint8_t *side, const uint32_t *stratum, size_t n) {
    struct perm_groups *g = mem_alloc(sizeof *g);
    struct place *place = mem_array(n ? n : 1, sizeof *place);
    g->n = n;
    g->order = mem_array(n ? n : 1, sizeof *g->order);
    g->side = mem_array(n ? n : 1, sizeof *g->side);
    g->range = mem_array(n ? n : 1, sizeof *g->range);
    for (size_t i = 0; i < n; i++) {
        place[i] = (struct place){stratum ? stratum[i] : 0, (uint32_t)i};
        g->side[i] = side[i] != 0;
    }
    qsort(place, n, sizeof *place, by_stratum);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || place[i].stratum != place[i - 1].stratum)
            g->range[g->ranges++] = (struct range){.from = i};
        struct range *r = &g->range[g->ranges - 1];
        g->order[i] = place[i].unit;
        r->ones += g->side[place[i].unit];
        r->n++;
    }
    free(place);
    for (size_t k = 0; k < g->ranges; k++)
        g->log_ways += range_ways(&g->range[k]);
    return g;
}

void perm_groups_free(struct perm_groups *g) {
    if (!g)
        return;
    free(g->range);
    free(g->side);
    free(g->order);
    free(g);
}

/* Goes along the units and gives each its chance to be one of those still to be chosen: every
 * choice of `ones` out of n is as likely (Knuth, "The art of computer programming", 3.4.2 S). */
void perm_groups_draw(const struct perm_groups *g, uint64_t seed, uint64_t draw, uint8_t *side) {
    struct rng mix = {seed};
    struct rng rng = {rng_next(&mix) + draw * 0xD1342543DE82EF95u};
    rng.state = rng_next(&rng);
    for (size_t k = 0; k < g->ranges; k++) {
        const struct range *r = &g->range[k];
        size_t wanted = r->ones;
        for (size_t i = 0; i < r->n; i++) {
            int chosen = rng_below(&rng, r->n - i) < wanted;
            side[g->order[r->from + i]] = (uint8_t)chosen;
            wanted -= (size_t)chosen;
        }
    }
}

double perm_groups_log_ways(const struct perm_groups *g) {
    return g->log_ways;
}

double perm_groups_least_p(const struct perm_groups *g) {
    return fmin(1, 2 * exp(-g->log_ways));
}

/* Of a sum over `ones` of n units, without replacement: Cochran, "Sampling techniques", 2.6. What
 * units have in common is taken off first, so that its rounding is no variance. */
static double range_variance(const struct perm_groups *g, const struct range *r, const double *x,
                             double mean) {
    double n = (double)r->n;
    double ones = (double)r->ones;
    double spread = 0;
    if (r->ones == 0 || r->ones == r->n)
        return 0;
    for (size_t i = 0; i < r->n; i++) {
        double d = x[g->order[r->from + i]] - mean;
        spread += d * d;
    }
    return spread > ALIKE * n * mean * mean ? ones * (n - ones) / (n * (n - 1)) * spread : 0;
}

struct perm_sum perm_groups_sum(const struct perm_groups *g, const double *x) {
    struct perm_sum s = {0};
    double squares = 0;
    for (size_t k = 0; k < g->ranges; k++) {
        const struct range *r = &g->range[k];
        double total = 0;
        for (size_t i = r->from; i < r->from + r->n; i++) {
            total += x[g->order[i]];
            s.sum += g->side[g->order[i]] ? x[g->order[i]] : 0;
        }
        s.mean += total * (double)r->ones / (double)r->n;
        double variance = range_variance(g, r, x, total / (double)r->n);
        if (variance <= 0)
            continue;
        s.variance += variance;
        s.most += (double)(r->n - 1);
        squares += variance * variance / (double)(r->n - 1);
    }
    s.freedom = squares > 0 ? s.variance * s.variance / squares : 0;
    return s;
}

struct perm_score perm_groups_score(const struct perm_groups *g, const double *x, double floor) {
    struct perm_sum s = perm_groups_sum(g, x);
    double off = s.sum - s.mean;
    struct perm_score out = {.t = NAN, .df = s.freedom - 1, .error = NAN, .p = NAN};
    if (g->log_ways <= 0)
        return out;
    if (s.variance <= 0)
        return (struct perm_score){.t = 0, .df = DF_MOST, .error = sqrt(floor), .p = 1};
    if (out.df <= 0)
        return out;
    double rest = fmax(0, s.variance * s.most - off * off);     /* without the difference */
    out.error = sqrt(fmax(rest / (s.most - 1), floor));
    out.t = out.error > 0 ? off / out.error : copysign(INFINITY, off);
    out.p = isinf(out.t) ? 0 : 2 * dist_student(-fabs(out.t), out.df);
    out.p = fmax(out.p, perm_groups_least_p(g));
    return out;
}
