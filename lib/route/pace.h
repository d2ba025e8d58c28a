/* pace.h - sends requests to a dear model while a budget lasts, and to a cheap one otherwise
 *
 *     struct pace *p = pace_new(&(struct pace_options){.share = NAN, .usd = 5, .requests = 1000,
 *                                                      .threshold = -INFINITY, .seed = 1});
 *     switch (pace_choose(p, &(struct pace_request){.score = 0.7, .weak_usd = 1e-4,
 *                                                   .strong_usd = 3e-3})) { ... }
 *     pace_free(p);
 *
 * One request after the other, each decided before the next is known. Limits are held at every
 * moment, by the costs that the caller says: never are more than the share of the requests so far
 * strong, never is more spent in a period than its budget, and a strong answer is bought only while
 * what is left pays weak ones for the rest of the period. Money is counted in whole pico-dollars,
 * to which costs are rounded.
 *
 * Within the limits the strong model gets the requests with the highest scores. What is high is
 * said by the last PACE_WINDOW requests (those of a calibration at first): the threshold is the
 * lowest at which they would have spent, a request, what is left for each request that is still to
 * come. It moves with every request, so that a budget is used up evenly when scores, prices or
 * lengths change. Requests with the same score are told apart by lot.
 */
#ifndef PACE_H
#define PACE_H

#include <stdint.h>

#define PACE_WINDOW 256

struct pace_options {
    double share;               /* of the requests that may be strong; NAN: any */
    double usd;                 /* that may be spent in a period; NAN: any */
    int64_t requests;           /* of a period; 0: it is one of time, or never ends */
    int64_t period_ns;          /* of a period; 0: it is one of requests, or never ends */
    double threshold;           /* no score below this is strong; -INFINITY: any may be */
    uint64_t seed;              /* of the lots */
};

struct pace_request {
    double score;               /* finite; the higher, the sooner it is strong */
    double weak_usd, strong_usd;        /* 0 or more; both 0 where no prices are known */
    int64_t at_ns;              /* when it came; only of periods of time. Earlier than the one
                                 * before: as late as that */
};

enum pace_choice { PACE_WEAK, PACE_STRONG,
                   PACE_OVER    /* not even the weak model can be paid; nothing was spent */
};

enum pace_why {                 /* what kept the last request from the strong model */
    PACE_FREE,                  /* nothing */
    PACE_SCORE,                 /* its score is below the threshold of the options */
    PACE_RANK,                  /* others score higher, and the limits are for them */
    PACE_SHARE,                 /* one more would be more than the share */
    PACE_BUDGET                 /* it would be more than the budget less the weak answers to come */
};

struct pace_totals {
    int64_t requests, strong, over;
    double usd;                 /* spent, of all periods */
    double most_usd;            /* spent in the dearest period */
    int64_t periods;            /* begun */
    int64_t kept[PACE_BUDGET + 1];      /* requests by what kept them */
};

struct pace;

struct pace *pace_new(const struct pace_options *o);
void pace_free(struct pace *p);                         /* NULL is fine */
/* A request of the past, which says what scores and costs are like. */
void pace_learn(struct pace *p, const struct pace_request *q);
/* Decides, and spends. */
enum pace_choice pace_choose(struct pace *p, const struct pace_request *q);
/* After PACE_OVER: spends on the weak model all the same. */
void pace_overspend(struct pace *p, const struct pace_request *q);
const struct pace_totals *pace_totals(const struct pace *p);
enum pace_why pace_last(const struct pace *p);

#endif
