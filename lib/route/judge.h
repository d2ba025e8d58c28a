/* judge.h - how good a router between two models is, and what luck alone would look like
 *
 *     const struct judge_pair pair = {.n = n, .weak = w, .strong = s};
 *     struct judge_order *o = judge_order_new(&pair, &(struct judge_router){.score = win});
 *     double m[JUDGE_MEASURES];
 *     judge_measure(o, m);                             // m[JUDGE_APGR], ...
 *     judge_order_free(o);
 *
 * A router gives each request a score; the requests with the highest go to the strong model, the
 * others to the weak one. Quality is the mean score of the answers. As RouteLLM defines them (Ong
 * et al., arXiv 2406.18665, section 3.2):
 *
 *   PGR       (quality - weak) / (strong - weak), the share of the gap that is recovered
 *   APGR      the area under PGR against the share of strong calls: trapezoids between the shares
 *             0, 10, ..., 100 %. A random router has 0.5
 *   CPT(x)    the least share of strong calls with PGR x, between those shares by a straight line
 *
 * and as RouterBench does (Hu et al., arXiv 2403.12031, section 3.3):
 *
 *   AIQ       the area under the non-decreasing convex hull of quality against cost, divided by the
 *             range of costs: here that of the two models, so that routers compare
 *
 * A share of n requests is the nearest whole number of them. PGR and what is made of it are NAN
 * where the strong model is not better, AIQ where it is not dearer or a cost is unknown.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/stat/boot.h"

#define JUDGE_STEPS 10          /* of the share */

/* Requests with the same score */
enum judge_ties {
    JUDGE_ORDER,                /* go to the strong model in the order of the input */
    JUDGE_MEAN,                 /* in any order: the mean over all of them */
    JUDGE_TOGETHER              /* all at once, as a threshold sends them; shares are then what
                                 * thresholds at the quantiles of the scores give, as RouteLLM's
                                 * evaluation has them */
};

/* The answers of both models to n requests; all finite, all borrowed. */
struct judge_pair {
    size_t n;
    const double *weak, *strong;                /* [n] scores, more being better */
    const double *weak_usd, *strong_usd;        /* [n] both, or both NULL: not known */
};

struct judge_router {
    const double *score;        /* [n] finite; the higher, the sooner the strong model is asked */
    enum judge_ties ties;
    int cascade;                /* 1: the weak model is asked first, and paid, always */
};

/* Requests in the order in which they go to the strong model. Read only. */
struct judge_order {
    struct judge_pair pair;     /* borrowed as it was */
    enum judge_ties ties;
    int cascade;
    uint32_t *index;            /* [n] into the pair */
    double *score;              /* [n] in this order: not increasing */
    double *gain, *usd;         /* [n] in this order: what asking the strong model adds; usd NULL */
    double weak, strong;        /* mean scores */
    double weak_usd, strong_usd;                /* mean; NAN: not known */
};

struct judge_order *judge_order_new(const struct judge_pair *pair, const struct judge_router *r);
void judge_order_free(struct judge_order *o);           /* NULL is fine */

struct judge_point {
    double share;               /* of strong calls */
    double threshold;           /* the least score that goes to the strong model; INFINITY: none */
    double quality, usd, pgr;   /* usd: mean of a request, NAN: not known */
};
/* steps + 1 points at shares k / steps. */
void judge_curve(const struct judge_order *o, int steps, struct judge_point *out);

enum judge_measure {
    JUDGE_APGR, JUDGE_CPT20, JUDGE_CPT50, JUDGE_CPT80, JUDGE_AIQ,
    JUDGE_APGR_OVER,            /* APGR less that of another router (judge_intervals only) */
    JUDGE_MEASURES
};
void judge_measure(const struct judge_order *o, double out[JUDGE_MEASURES]);
/* Area under the non-decreasing convex hull of points (usd, quality) from `from` to `to`, divided
 * by to - from. Left of the cheapest point there is nothing: that area is 0. NAN: to <= from. */
double judge_hull_area(const double *usd, const double *quality, int n, double from, double to);
/* on[i]: no other point is as good for less, nor better for the same. */
void judge_pareto(const double *usd, const double *quality, int n, uint8_t *on);

/* ---- thresholds ------------------------------------------------------------------------- */

/* What score >= threshold gives on the order's requests. */
struct judge_point judge_at(const struct judge_order *o, double threshold);
/* The threshold whose share is nearest to this one. */
struct judge_point judge_cut_share(const struct judge_order *o, double share);
/* The highest threshold whose quality is at least this. -1: none is. */
int judge_cut_quality(const struct judge_order *o, double quality, struct judge_point *out);
/* The lowest threshold whose mean cost is at most this. -1: none is, or costs are not known. */
int judge_cut_usd(const struct judge_order *o, double usd, struct judge_point *out);

/* ---- intervals -------------------------------------------------------------------------- */

/* Intervals of the measures of n routers over the same requests, drawn again together (paired
 * bootstrap, boot.h): out[n][JUDGE_MEASURES]; {NAN, NAN} where there are too few requests, or the
 * gap may as well be 0. over[n]: the router that JUDGE_APGR_OVER compares with, -1: none.
 *
 * Up to JUDGE_EXACT requests each is drawn; beyond, JUDGE_GROUPS random groups of equal size, and
 * curves are kept at JUDGE_BINS shares. Router scores count as given: what a router has learnt from
 * other requests is not drawn again. par: a team of threads (lib/base/par.h), NULL: none; the
 * result does not depend on it. */
#define JUDGE_EXACT 8192
#define JUDGE_GROUPS 512
#define JUDGE_BINS 80
void judge_intervals(struct judge_order *const *o, int n, const int *over, const struct boot *b,
                     void *par, struct interval (*out)[JUDGE_MEASURES]);
/* Groups for bootstraps of means over n requests: group[n], their number is returned. */
uint32_t judge_groups(size_t n, uint64_t seed, uint32_t *group);
/* The APGR that a share `level` of all random orders has on these requests: by the variance of a
 * linear rank statistic (Hoeffding, Ann. Math. Stat. 22, 1951), normal. */
struct interval judge_luck(const struct judge_pair *pair, double level);

#endif
