/* pace.c - sends requests to a dear model while a budget lasts, see pace.h
 *
 * The window is a ring in the order of arrival beside the same entries sorted by score, so that a
 * threshold is one walk from the highest score down.
 *
 * What is spent is counted in whole pico-dollars, so that a budget of $0.3 pays for three requests
 * of $0.1; what is expected of requests to come is an estimate, in floating point.
 */
#include "lib/route/pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"

/* A share that was not used comes back within about so many requests; but some of it is kept, for a
 * run of high scores: a deviation of their number, to SHARE_KEPT. */
#define SHARE_HORIZON 64
#define SHARE_KEPT 8

/* A bill is a whole number of them: as long as it is below $9000 a double holds it exactly. */
__extension__ typedef __int128 pico;
#define PICO 1e12
#define USD_MOST 1e15           /* of one request: sums of many stay far from the end */

struct entry {
    double score, lot;          /* lot: in [0, 1), between equal scores */
    double weak_usd, more_usd;  /* more: that the strong model costs beyond the weak */
};

struct pace {
    struct pace_options o;
    struct pace_totals totals;
    struct rng rng;
    int n, next;                /* entries, and where the ring goes on */
    struct entry ring[PACE_WINDOW];
    struct entry sorted[PACE_WINDOW];   /* highest first */
    double weak_sum, weak_squares;      /* of the entries */

    int64_t period_requests;    /* before the one at hand */
    int64_t period_start_ns, last_ns;
    double gap_ns;              /* mean time between requests, lately; NAN: unknown */
    pico budget;
    pico spent, most, all;      /* in this period, in the dearest, in all */
    enum pace_why why;
};

static pico pico_of(double usd) {
    return (pico)rint(fmin(usd, USD_MOST) * PICO);
}

struct pace *pace_new(const struct pace_options *o) {
    struct pace *p = mem_alloc(sizeof *p);
    p->o = *o;
    p->rng = (struct rng){o->seed};
    p->gap_ns = NAN;
    p->budget = isnan(o->usd) ? 0 : pico_of(o->usd);
    return p;
}

void pace_free(struct pace *p) {
    free(p);
}

const struct pace_totals *pace_totals(const struct pace *p) {
    return &p->totals;
}

enum pace_why pace_last(const struct pace *p) {
    return p->why;
}

/* ---- the window --------------------------------------------------------------------------- */

/* Whether a goes to the strong model before b does. */
static int is_before(const struct entry *a, const struct entry *b) {
    return a->score > b->score || (a->score == b->score && a->lot > b->lot);
}

/* The place of e among the sorted: how many are before it. */
static int rank_of(const struct pace *p, const struct entry *e) {
    int low = 0;
    int high = p->n;
    while (low < high) {
        int middle = (low + high) / 2;
        if (is_before(&p->sorted[middle], e))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void forget(struct pace *p, const struct entry *e) {
    int at = rank_of(p, e);
    p->weak_sum -= e->weak_usd;
    p->weak_squares -= e->weak_usd * e->weak_usd;
    memmove(p->sorted + at, p->sorted + at + 1, (size_t)(p->n - at - 1) * sizeof *p->sorted);
    p->n--;
}

static void remember(struct pace *p, const struct entry *e) {
    if (p->n == PACE_WINDOW)
        forget(p, &p->ring[p->next]);
    int at = rank_of(p, e);
    memmove(p->sorted + at + 1, p->sorted + at, (size_t)(p->n - at) * sizeof *p->sorted);
    p->sorted[at] = *e;
    p->ring[p->next] = *e;
    p->next = (p->next + 1) % PACE_WINDOW;
    p->weak_sum += e->weak_usd;
    p->weak_squares += e->weak_usd * e->weak_usd;
    p->n++;
}

static void forget_newest(struct pace *p) {
    p->next = (p->next + PACE_WINDOW - 1) % PACE_WINDOW;
    forget(p, &p->ring[p->next]);
}

static struct entry entry_of(struct pace *p, const struct pace_request *q) {
    return (struct entry){.score = q->score, .lot = rng_unit(&p->rng), .weak_usd = q->weak_usd,
                          .more_usd = fmax(q->strong_usd - q->weak_usd, 0)};
}

void pace_learn(struct pace *p, const struct pace_request *q) {
    struct entry e = entry_of(p, q);
    remember(p, &e);
}

/* ---- periods ------------------------------------------------------------------------------ */

static void start_period(struct pace *p) {
    p->period_requests = 0;
    p->spent = 0;
    p->totals.periods++;
}

/* What passed from one time to a later one: more than 63 bits where both are at the ends. */
static uint64_t passed_ns(int64_t from, int64_t to) {
    return (uint64_t)to - (uint64_t)from;
}

/* Periods of time begin at the first request, one after the other. */
static void arrive(struct pace *p, int64_t at_ns) {
    int first = p->totals.periods == 0;
    if (at_ns < p->last_ns && !first)
        at_ns = p->last_ns;
    if (first) {
        p->period_start_ns = at_ns;
        start_period(p);
    } else {
        double gap = (double)passed_ns(p->last_ns, at_ns);
        p->gap_ns = isnan(p->gap_ns) ? gap : p->gap_ns + (gap - p->gap_ns) / SHARE_HORIZON;
    }
    p->last_ns = at_ns;
    if (p->o.requests > 0 && p->period_requests == p->o.requests)
        start_period(p);
    uint64_t into = passed_ns(p->period_start_ns, at_ns);
    if (p->o.period_ns > 0 && into >= (uint64_t)p->o.period_ns) {
        p->period_start_ns = at_ns - (int64_t)(into % (uint64_t)p->o.period_ns);
        start_period(p);
    }
}

/* Requests to come in the period, with the one at hand; NAN: nothing says. */
static double to_come(const struct pace *p) {
    if (p->o.requests > 0)
        return (double)(p->o.requests - p->period_requests);
    if (p->o.period_ns == 0)
        return NAN;
    double left = (double)(p->o.period_ns - (p->last_ns - p->period_start_ns));
    return p->gap_ns > 0 ? 1 + left / p->gap_ns : NAN;
}

/* ---- limits ------------------------------------------------------------------------------- */

static double mean_weak(const struct pace *p) {
    return fmax(p->weak_sum, 0) / p->n;
}

/* How many of the window's best may be strong for the share to come out. */
static double share_rank(const struct pace *p) {
    double may = p->o.share * (double)p->totals.requests;
    double unused = may - (double)p->totals.strong - fmin(sqrt(may) / 2, SHARE_KEPT);
    double share = p->o.share + unused / SHARE_HORIZON;
    return fmin(fmax(share, 0), 1) * p->n;
}

/* The same for the money: what is left for each request to come, less a weak answer, buys this
 * many of the window's best. */
static double budget_rank(const struct pace *p) {
    double come = to_come(p);
    double sum = 0;
    if (isnan(come))            /* periods of time begin before anything is known of the rate */
        return p->o.period_ns > 0 ? 0 : p->n;
    double left = (double)(p->budget - p->spent) / PICO;
    double may = (left / come - mean_weak(p)) * p->n;
    for (int i = 0; i < p->n; i++) {
        sum += p->sorted[i].more_usd;
        if (sum > may)
            return i + (p->sorted[i].more_usd > 0 ? 1 - (sum - may) / p->sorted[i].more_usd : 0);
    }
    return p->n;
}

/* Whether the request is among the window's best `best`; of one that is cut, by lot. */
static int is_ranked(struct pace *p, const struct entry *e, double best) {
    double rank = rank_of(p, e);
    return rank + 1 <= best || (rank < best && rng_unit(&p->rng) < best - rank);
}

static int fits_share(const struct pace *p) {
    return (double)(p->totals.strong + 1) <= p->o.share * (double)p->totals.requests;
}

/* What weak answers to the rest of the period cost, and two deviations more: of their costs and of
 * the window's mean; of their number too where time says how many they will be, a Poisson law. */
static double reserve(const struct pace *p) {
    double rest = to_come(p) - 1;
    double mean = mean_weak(p);
    if (isnan(rest) || rest <= 0)
        return 0;
    double variance = fmax(p->weak_squares / p->n - mean * mean, 0) * rest * (1 + rest / p->n);
    if (p->o.requests == 0)
        variance += mean * mean * rest;
    return rest * mean + 2 * sqrt(variance);
}

static int fits_budget(const struct pace *p, const struct pace_request *q) {
    pico rest = q->strong_usd > q->weak_usd ? pico_of(reserve(p)) : 0;
    return p->spent + pico_of(q->strong_usd) + rest <= p->budget;
}

static enum pace_why judge(struct pace *p, const struct pace_request *q, const struct entry *e) {
    int dearer = q->strong_usd > q->weak_usd;
    if (q->score < p->o.threshold)
        return PACE_SCORE;
    if (!isnan(p->o.share) && !fits_share(p))
        return PACE_SHARE;
    if (!isnan(p->o.usd) && !fits_budget(p, q))
        return PACE_BUDGET;
    if (!isnan(p->o.share) && !is_ranked(p, e, share_rank(p)))
        return PACE_RANK;
    if (!isnan(p->o.usd) && dearer && !is_ranked(p, e, budget_rank(p)))
        return PACE_RANK;
    return PACE_FREE;
}

static void spend(struct pace *p, double usd) {
    p->spent += pico_of(usd);
    p->all += pico_of(usd);
    if (p->spent > p->most)
        p->most = p->spent;
    p->totals.usd = (double)p->all / PICO;
    p->totals.most_usd = (double)p->most / PICO;
}

enum pace_choice pace_choose(struct pace *p, const struct pace_request *q) {
    struct entry e = entry_of(p, q);
    enum pace_choice choice = PACE_OVER;
    arrive(p, q->at_ns);
    p->totals.requests++;
    remember(p, &e);
    p->why = judge(p, q, &e);
    p->totals.kept[p->why]++;
    if (p->why == PACE_FREE)
        choice = PACE_STRONG;
    else if (isnan(p->o.usd) || p->spent + pico_of(q->weak_usd) <= p->budget)
        choice = PACE_WEAK;
    if (choice == PACE_OVER) {
        p->totals.over++;
        forget_newest(p);       /* nothing need be kept for its like, which are not paid either */
    } else {
        spend(p, choice == PACE_STRONG ? q->strong_usd : q->weak_usd);
    }
    p->totals.strong += choice == PACE_STRONG;
    p->period_requests++;
    return choice;
}

void pace_overspend(struct pace *p, const struct pace_request *q) {
    spend(p, q->weak_usd);
    pace_learn(p, q);
}
