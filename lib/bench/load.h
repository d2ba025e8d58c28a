/* load.h - what a load on a server showed: latencies, throughput, goodput, and whether they count
 *
 *     struct load l = {0};
 *     load_add(&l, &mark, result);             // each request, from client_source's done
 *     load_merge(&l, &other);                  // several clients
 *     struct load_figures *f = load_figures(&l, &(struct load_options){.slo = slo});
 *     use(f->ttft.value, f->ttft.n, f->goodput);
 *
 * Latencies count from the time at which a request was scheduled, so that a server that stalls (or
 * a cap on concurrency) cannot hide by delaying what is sent next: coordinated omission (Tene, "How
 * NOT to measure latency", 2013). The same from the time of sending is there beside it. Requests
 * that did not end well are counted by kind and are in no percentile.
 *
 *   TTFT     scheduled -> first piece with text
 *   TPOT     (last - first piece) / (output tokens - 1)
 *   ITL      the gaps between pieces; a piece of k tokens is k intervals of 1/k of its gap
 *   E2E      scheduled -> last piece with text
 *   queue    scheduled -> a place under the cap on concurrency was free
 *   lag      from there -> the client took the request up: the client's own delay
 *
 * Output tokens are those of the server's usage; where it gives none, pieces are counted, and
 * `chunks` says so. The tokens of a piece are what its event says; else one each where there are
 * as many pieces as tokens (one less: an end token without text), else shares by bytes of text.
 *
 * Rates count over the steady window: from the first measured request's scheduled time to the
 * last one's sending, before the load runs dry. A request that reaches over an end of it counts in
 * part, by the share of its time that lies inside (sent to last piece; input tokens: sent to first;
 * output tokens: first to last): counted whole where they end, requests that go in step, as those
 * of a closed loop do, would make the rate depend on where in their step the window ends. A load
 * whose window is shorter than half of its median E2E (all sent at once) has no such state; its
 * window is the whole time, to the last end.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/bench/client.h"
#include "lib/stat/hist.h"
#include "lib/stat/order.h"

struct load_mark {              /* what the sender knows of a request */
    int64_t number;             /* from 0, in the order scheduled */
    int64_t eligible_ns;        /* when it was due and had a place; >= scheduled_ns */
    int64_t input_asked;        /* tokens of the text; -1 unknown */
    int64_t output_asked;
    int warm;                   /* does not count */
};

struct load_sample {
    struct load_mark mark;
    int64_t scheduled_ns, begun_ns, sent_ns, first_ns, last_ns, done_ns;
    int64_t input_tokens, cached_tokens;    /* of the usage, -1 unknown */
    int64_t output_tokens;      /* of the usage, else pieces */
    int64_t reasoning_tokens;
    int end;                    /* enum client_end */
    int chunks;                 /* output_tokens are pieces */
};

struct load {
    struct load_sample *sample; /* [n] in the order of their ends */
    size_t n;
    struct hist itl;            /* ns, of requests that count and ended well */
};

void load_add(struct load *l, const struct load_mark *mark, const struct client_result *r);
/* All of `from` joins `into`, which is then in the order of numbers; from becomes {0}. */
void load_merge(struct load *into, struct load *from);
void load_free(struct load *l);                         /* becomes {0} */

/* ---- figures ----------------------------------------------------------------------------- */

struct load_slo {
    double ttft_ms, tpot_ms, e2e_ms;        /* 0: no limit */
};

struct load_options {
    struct load_slo slo;
    double max_lag_ms;          /* 0: 5 ms or a tenth of the median TTFT, whichever is larger */
    double client_busy;         /* share of the time in which the busiest client's thread ran or
                                 * waited for a core */
    double max_busy;            /* 0: 0.8 */
};

enum { LOAD_P50, LOAD_P90, LOAD_P95, LOAD_P99, LOAD_PERCENTILES };
extern const double load_percentile[LOAD_PERCENTILES];

struct load_times {
    double *value;              /* [n] ms in the order of numbers; NULL where only p is known */
    size_t n;
    double mean, max;           /* NAN for none */
    double p[LOAD_PERCENTILES];
    struct interval interval[LOAD_PERCENTILES];     /* by order statistics, 95 %; of ITL none */
};

struct load_rate {              /* a second, over the window */
    double rate;
    struct interval interval;   /* batch means over 20 parts; {NAN, NAN} below 60 requests */
};

enum load_fault { LOAD_LAGS = 1, LOAD_BUSY = 2, LOAD_EMPTY = 4 };

struct load_figures {
    int64_t requests;           /* that count; cancelled ones are among them */
    int64_t ok, good;           /* good: ok and within every limit of the SLO */
    int64_t errors[CLIENT_ENDS];
    struct load_times ttft, tpot, itl, e2e, ttft_sent, e2e_sent, queue, lag;
    double window_s;
    int whole;                  /* the window is the whole time */
    struct load_rate offered;   /* requests sent */
    struct load_rate done;      /* ok requests */
    struct load_rate output, input;         /* tokens of ok requests */
    struct load_rate goodput;   /* good requests */
    double good_share;          /* of requests but cancelled ones; NAN for none */
    struct interval good_interval;          /* Wilson, 95 % */
    int64_t chunked;            /* ok requests without usage */
    int64_t input_tokens, cached_tokens, output_tokens;     /* sums over ok requests with usage */
    double input_ratio;         /* the server's input tokens / those sent; NAN unknown */
    double cached_share;        /* of input tokens; NAN where the server does not say */
    double max_lag_ms;          /* that was applied */
    int faults;                 /* enum load_fault: why nothing can be concluded; 0: it can */
};

struct load_figures *load_figures(const struct load *l, const struct load_options *opt);
void load_figures_free(struct load_figures *f);         /* NULL is fine */

/* Whether a request ended well and kept to every limit; a request of one token has no TPOT. */
int load_is_good(const struct load_sample *s, const struct load_slo *slo);
double load_tpot_ms(const struct load_sample *s);       /* NAN below two tokens */

#endif
