/* plan.h - what a trace costs in other forms than per token, and from which volume on they pay
 *
 *     struct plan_trace t = {0};
 *     while (...)
 *         plan_add(&t, &usage, bill.usd);
 *     plan_close(&t, 0, &err);
 *     struct plan_way *way[] = {plan_tokens(&t, "api", usd), plan_units(&t, "ptu", capacity),
 *                               plan_capped(&t, "pro", book_plan), plan_own(&t, "h100", &rig)};
 *     plan_cost(way[1], &cost);                        // of this trace, and of a month like it
 *     struct plan_span *span = plan_winners(way, 4, 1e-3, 1e6, &n, &searched);
 *
 * A month is 30 days of 24 hours, as in a book. What a month costs is said of the trace repeated
 * end to end, at 1 or another multiple of its volume: every request then stands for so many like
 * it in its minute (of devices of one's own, in its hour: plan_own.c). What the trace alone costs
 * is said too: there each hour, step of rented time and period that has begun is paid whole.
 *
 * Ways borrow the trace, and what they are made from.
 */
#ifndef PLAN_H
#define PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/cost/bill.h"
#include "lib/cost/book.h"
#include "lib/cost/money.h"
#include "lib/cost/roof.h"
#include "lib/cost/usage.h"

#define PLAN_MINUTE_NS ((int64_t)60 * 1000000000)
#define PLAN_HOUR_NS (60 * PLAN_MINUTE_NS)
#define PLAN_DAY_NS (24 * PLAN_HOUR_NS)
#define PLAN_MONTH_NS (30 * PLAN_DAY_NS)

/* a * b / c, half to even; a, b >= 0, c > 0, and c * b fits into 127 bits. */
money plan_scale(money a, money b, money c);
/* usd in a length of time as usd a month, half to even. */
money plan_per_month(money usd, int64_t length_ns);

/* ---- the trace ---------------------------------------------------------------------------- */

struct plan_item {
    int64_t time_ns;            /* its calendar's, or since the trace's start; USAGE_NO_TIME */
    int64_t fresh, cached;      /* tokens of the prompt: to be computed, and read from a cache */
    int64_t output;             /* reasoning too */
    money usd;                  /* per token, as it is */
};

struct plan_minute {            /* one in which something happened */
    int64_t minute;             /* from the trace's begin */
    int64_t fresh, output;
    money usd;
};

struct plan_trace {             /* {0} is empty */
    struct plan_item *item;     /* in order of time once closed */
    size_t n, room;
    struct plan_minute *minute; /* once closed */
    size_t minutes;
    int64_t begin_ns;           /* of the first item */
    int64_t length_ns;          /* what it covers */
    int64_t tokens;             /* of all prompts and outputs */
    int64_t untimed;            /* items that said no time */
    money usd;
};

/* Adds a request and its price. */
void plan_add(struct plan_trace *t, const struct usage *u, money usd);
/* Sorts, and finds the length: that given, or when it is 0 the time from the first request to the
 * last, in whole minutes begun. Requests that say no time take that of the one before; where none
 * says one, they stand evenly in the length, which must be given then. -1: empty, no time at all,
 * longer than the length given, or than ten years. */
int plan_close(struct plan_trace *t, int64_t length_ns, struct err *err);
void plan_free(struct plan_trace *t);                   /* becomes {0} */

/* ---- moved to cheap hours ------------------------------------------------------------------ */

/* The least that a request costs when it begins at its own time or up to slack_ns later, and when
 * that is (the earliest of equal ones). The biller must take times from the usage. BILL_PRICED or
 * BILL_UNPRICED. */
int plan_shift(struct biller *p, const struct book *b, const struct usage *u, int64_t slack_ns,
               money *usd, int64_t *at_ns);
/* 1: a row of this model holds at some hours or days only. */
int plan_shifts(const struct book *b, int model);

/* ---- ways --------------------------------------------------------------------------------- */

struct plan_way;

/* So much for the whole trace, per token: as it is, in a batch, at other hours. */
struct plan_way *plan_tokens(const struct plan_trace *t, const char *name, money usd);

/* Provisioned units: max(min, what the tokens of a minute need, up to the step), for every hour.
 * Fresh input and output_weight times output count; reads from a cache do not. What does not fit
 * into a minute costs its price per token (spill) or is refused. With spill the number of units is
 * the one that costs least over the trace, without it the least that refuses nothing. */
struct plan_way *plan_units(const struct plan_trace *t, const char *name,
                            const struct book_capacity *c);

/* A plan: its fee, and `overage` times the price of what goes beyond the included amount, or
 * refusal. The first period begins with the trace. An included amount of 0 beside windows: they
 * alone limit. A window refuses the request with which any time of its length (t - period, t]
 * would hold more than its limit; windows hold together, and what one refuses counts in none. A
 * trace that does not fill a period is repeated end to end until it does. */
struct plan_way *plan_capped(const struct plan_trace *t, const char *name,
                             const struct book_plan *p);

/* Devices of one's own, rented by time. */
struct plan_rig {
    money rate;                 /* of one device for an hour */
    int64_t granule_ns;         /* time is paid in steps of it; 0: an hour */
    int devices;                /* that work as one; 0: 1 */
    double prefill_tps, decode_tps;     /* tokens a second of them: fresh input, and output */
    double utilisation;         /* 0: as many as the busiest minute needs; else as many as are busy
                                 * for this share of the time on average: what is more waits, also
                                 * at other volumes */
};
/* Tokens a second of devices that serve the trace's requests, by the roofline. A thousand of them,
 * taken evenly by size, stand for all; each is decoded beside others like it, as many as fit into
 * the memory but at most the model's batch. -1: roof_time's. */
int plan_throughput(const struct plan_trace *t, const struct roof_setup *r,
                    const struct work_model *m, double *prefill_tps, double *decode_tps,
                    struct err *err);
/* Whole rigs, rented from the trace's begin to its end (allocation), whatever is idle. Of a larger
 * volume the busiest hour grows with it, and what the busiest minute has above that with its root:
 * requests of an hour come independently. */
struct plan_way *plan_own(const struct plan_trace *t, const char *name,
                          const struct plan_rig *rig);

void plan_way_free(struct plan_way *w);                 /* NULL is fine */
const char *plan_name(const struct plan_way *w);

struct plan_cost {
    money usd;                  /* of the trace alone */
    money month;                /* of 30 days of it */
    money busy;                 /* of a month, were only the time paid in which devices work, to the
                                 * granule; -1: no devices */
    int64_t units;              /* or devices; 0: neither */
    double utilisation;         /* of units or devices, mean; NAN: neither */
    double refused;             /* share, by price per token, of 30 days */
    double marginal;            /* dollars that the next dollar of usage, at its price per token,
                                 * costs; NAN: refused */
    double serves_to;           /* the largest multiple of the volume of which nothing is refused;
                                 * INFINITY */
};
void plan_cost(const struct plan_way *w, struct plan_cost *out);

/* ---- volume ------------------------------------------------------------------------------- */

/* Dollars of a month at `volume` times the trace's; INFINITY where some of it is refused. Steps
 * (whole devices and units) are counted at the volume itself: just above it may cost more. */
double plan_month(const struct plan_way *w, double volume);

struct plan_span {              /* volumes in (from, to] */
    double from, to;
    int way;                    /* index of the cheapest, the first of equal ones; -1: all refuse */
};
/* The cheapest way at every volume from `from` to `to`: neighbouring spans have different ways. All
 * steps of all ways are walked one by one, and crossings between them found to the last digits of a
 * double, until it is certain that the winner stays. *searched: `to`, or less when there were a
 * million steps before. The caller frees. */
struct plan_span *plan_winners(struct plan_way *const *way, int n, double from, double to,
                               size_t *spans, double *searched);

#endif
