/* forecast.h - the bill of a period to come, as a distribution, from a trace
 *
 *     struct forecast *f = forecast_new(&(struct forecast_options){.period_ns = 30 * PLAN_DAY_NS});
 *     while (...)
 *         forecast_add(f, session, len, time_ns, usd);
 *     struct forecast_meter m[] = {{.limit = 100}, {.window_ns = 5 * PLAN_HOUR_NS, .limit = 12}};
 *     if (!forecast_run(f, 1.05, m, 2, &err))
 *         m[0].p95, m[0].over, m[1].day_p50 ...
 *     free(m[0].peak); free(m[1].peak);
 *     forecast_free(f);
 *
 * Whole sessions are drawn, for the requests of one depend on each other. Sessions come as a
 * Poisson process whose rate and mixture are those of the trace, as far as the trace tells: each of
 * its sessions comes again n times, n geometric with mean r = period / length of the trace x
 * growth. That is a Poisson number with an exponential weight (the Bayesian bootstrap of Rubin,
 * "The Bayesian bootstrap", 1981): its variance r + r^2 holds the chance of the future and that of
 * the trace, so that a quantile keeps its promise for a trace no longer than the period too. A
 * session begins at its own hour of a day drawn evenly (where the trace has a day), and what lies
 * beyond the period's end counts at its begin.
 *
 * By day: whole days are drawn (24 hours from the trace's begin on; the last part of one is left
 * out) with exponential weights, one for each day of the period, which keeps what sessions of one
 * day have in common. Growth multiplies their money. Weekdays are not told apart.
 *
 * Neither knows sessions, or days, more expensive than the trace's: of n to come about one in n + 1
 * is, so that few sessions make high quantiles too low.
 *
 * Simulated, with prices of sessions over one to two decades: 0.92 to 0.95 of bills to come lie
 * below the 95 % quantile of a trace with 30 to 300 sessions, 0.95 with 30 to 60 days.
 *
 * Doubles: this is statistics, no bill.
 */
#ifndef FORECAST_H
#define FORECAST_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct forecast_options {
    int64_t period_ns;          /* from a minute to ten years */
    int64_t length_ns;          /* that the trace covers; 0: from first to last request, in whole
                                 * minutes begun */
    int by_day;                 /* needs two whole days */
    int resamples;              /* 0: 10000 */
    uint64_t seed;
};

struct forecast;

struct forecast *forecast_new(const struct forecast_options *opt);
/* session NULL: the request is a session of its own. Times in any order; one that says none begins
 * with the one before it, and where all say none they stand evenly in the length, which must be
 * given then. */
#define FORECAST_NO_TIME INT64_MIN
void forecast_add(struct forecast *f, const char *session, size_t len, int64_t time_ns,
                  double usd);
void forecast_free(struct forecast *f);                 /* NULL is fine */

/* The largest sum of money that any time of a kind holds within the period. */
struct forecast_meter {
    int64_t window_ns;          /* (t - window, t], nothing before the period; 0: its whole */
    int fixed;                  /* windows one after the other from the period's begin instead */
    double limit;               /* dollars; NAN: none */

    double mean, p5, p50, p95, p99;
    double over;                /* chance that it is above the limit; NAN: no limit */
    double day_p10, day_p50, day_p90;   /* days until then, where it is; NAN: never */
    double *peak;               /* [resamples], ascending; the caller frees */
};

/* growth: sessions a unit of time (by day: their money), against the trace's: 1 the same, above 0.
 * May be called again for another growth with meters of the same windows.
 *
 * Windows count in steps of about a sixtieth of the shortest, some 200000 a period at most. Where
 * more than a hundred million pieces would be drawn, only the largest sessions are drawn one by
 * one, and the others' sum as a normal one of the same mean and variance, spread evenly over the
 * period. -1: nothing or one session (day) only, a period or window that cannot be. */
int forecast_run(struct forecast *f, double growth, struct forecast_meter *meter, int meters,
                 struct err *err);

struct forecast_facts {
    int64_t requests;
    int64_t sessions;           /* blocks that are drawn: days with by_day */
    int64_t alone;              /* requests without a session */
    int64_t untimed;            /* requests that said no time */
    int64_t left;               /* requests of the last part of a day (by_day) */
    int64_t begin_ns, length_ns;        /* of the trace */
    double usd;                 /* of what is drawn from */
    int64_t drawn_singly;       /* sessions that are drawn one by one */
};
/* Known after forecast_run, also when it failed. */
const struct forecast_facts *forecast_facts(const struct forecast *f);

#endif
