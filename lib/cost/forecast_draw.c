/* forecast_draw.c - resamples of a period, and what its meters read, see forecast.h */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/cost/forecast_impl.h"
#include "lib/stat/dist.h"
#include "lib/stat/order.h"

#define DAY_NS ((int64_t)24 * 3600 * 1000000000)
#define PIECES_MOST 1e8         /* drawn in all resamples */
#define ROUNDING 1e-9           /* of sums that gain and lose the same money many times */

struct draw {
    const struct forecast_blocks *b;
    struct rng rng;
    double *usd;                /* [steps] of one resample */
    struct forecast_meter *meter;
    int meters;
    double **day;               /* [meters][resamples] when the limit was passed; NAN */
    int resamples;
};

/* ---- meters ------------------------------------------------------------------------------- */

struct reading {
    double peak;
    int64_t over;               /* the first step with more than the limit; -1 */
};

static void look(struct reading *r, double sum, double limit, int64_t step) {
    if (sum > r->peak)
        r->peak = sum;
    if (r->over < 0 && sum > limit * (1 + ROUNDING))
        r->over = step;
}

static struct reading read_meter(const struct draw *d, const struct forecast_meter *m) {
    struct reading r = {0, -1};
    double sum = 0;
    int64_t n = d->b->steps;
    int64_t window = m->window_ns ? m->window_ns / d->b->step_ns : n;
    for (int64_t i = 0; i < n; i++) {
        if (m->fixed && i % window == 0)
            sum = 0;
        sum += d->usd[i];
        if (!m->fixed && i >= window)
            sum = fmax(sum - d->usd[i - window], 0);
        look(&r, sum, m->limit, i);
    }
    return r;
}

static void read_meters(struct draw *d, int resample) {
    for (int i = 0; i < d->meters; i++) {
        struct reading r = read_meter(d, &d->meter[i]);
        d->meter[i].peak[resample] = r.peak;
        d->day[i][resample] = r.over < 0 ? NAN
            : (double)(r.over + 1) * (double)d->b->step_ns / (double)DAY_NS;
    }
}

static void begin(struct draw *d, const struct forecast_blocks *b,
                  const struct forecast_options *opt, struct forecast_meter *meter, int meters) {
    *d = (struct draw){.b = b, .rng = {opt->seed}, .meter = meter, .meters = meters,
                       .resamples = opt->resamples};
    d->usd = mem_array((size_t)b->steps, sizeof *d->usd);
    d->day = mem_array((size_t)meters, sizeof *d->day);
    for (int i = 0; i < meters; i++) {
        meter[i].peak = mem_array((size_t)d->resamples, sizeof(double));
        d->day[i] = mem_array((size_t)d->resamples, sizeof(double));
    }
}

static void end_meter(struct draw *d, int i) {
    struct forecast_meter *m = &d->meter[i];
    size_t n = (size_t)d->resamples;
    size_t over = 0;
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        sum += m->peak[k];
        if (!isnan(d->day[i][k]))
            d->day[i][over++] = d->day[i][k];
    }
    order_sort(m->peak, n);
    order_sort(d->day[i], over);
    m->mean = sum / (double)n;
    m->p5 = order_quantile(m->peak, n, 0.05);
    m->p50 = order_quantile(m->peak, n, 0.5);
    m->p95 = order_quantile(m->peak, n, 0.95);
    m->p99 = order_quantile(m->peak, n, 0.99);
    m->over = isnan(m->limit) ? NAN : (double)over / (double)n;
    m->day_p10 = order_quantile(d->day[i], over, 0.1);
    m->day_p50 = order_quantile(d->day[i], over, 0.5);
    m->day_p90 = order_quantile(d->day[i], over, 0.9);
}

static void end(struct draw *d) {
    for (int i = 0; i < d->meters; i++) {
        end_meter(d, i);
        free(d->day[i]);
    }
    free(d->day);
    free(d->usd);
}

/* ---- sessions ----------------------------------------------------------------------------- */

/* How many failures precede a success, the chance of a failure being exp(log_fail). */
static double failures(struct rng *r, double log_fail) {
    return floor(log(rng_unit(r)) / log_fail);
}

/* A step of the period to begin at: drawn evenly, then moved to the block's own hour where that
 * day lies wholly in the period. */
static int64_t begin_step(struct draw *d, const struct forecast_block *k) {
    int64_t day = d->b->day_steps;
    int64_t at = (int64_t)(rng_unit(&d->rng) * (double)d->b->steps);
    if (day && at / day * day + day <= d->b->steps)
        at = at / day * day + k->at_step % day;
    return at;
}

static void place(struct draw *d, const struct forecast_block *k) {
    int64_t at = begin_step(d, k);
    for (size_t i = 0; i < k->pieces; i++) {
        const struct forecast_piece *p = &d->b->piece[k->first + i];
        d->usd[(at + p->step) % d->b->steps] += p->usd;
    }
}

/* Blocks that come at least once are found by geometric leaps over the others, so that a short
 * period of a long trace takes little time. */
static void draw_singly(struct draw *d, size_t n) {
    double log_none = -log1p(d->b->again);              /* of not coming (again) */
    double log_more = log(d->b->again) + log_none;      /* of coming once more */
    for (double i = failures(&d->rng, log_none); i < (double)n;
         i += 1 + failures(&d->rng, log_none))
        for (double times = 1 + failures(&d->rng, log_more); times > 0; times--)
            place(d, &d->b->block[(size_t)i]);
}

struct rest {                   /* blocks that are too many to be drawn one by one */
    double mean, deviation;
};

static struct rest sum_rest(const struct forecast_blocks *b, size_t from) {
    struct rest r = {0, 0};
    for (size_t i = from; i < b->n; i++) {
        r.mean += b->again * b->block[i].usd;
        r.deviation += b->again * (1 + b->again) * b->block[i].usd * b->block[i].usd;
    }
    r.deviation = sqrt(r.deviation);
    return r;
}

static void add_rest(struct draw *d, const struct rest *r) {
    if (r->mean <= 0)
        return;
    double sum = r->mean + r->deviation * dist_normal_quantile(rng_unit(&d->rng));
    double each = fmax(sum, 0) / (double)d->b->steps;
    for (int64_t i = 0; i < d->b->steps; i++)
        d->usd[i] += each;
}

static size_t count_singly(const struct forecast_blocks *b, int resamples) {
    double left = PIECES_MOST / resamples / fmax(b->again, 1e-9);
    size_t n = 0;
    while (n < b->n && left > 0)
        left -= (double)b->block[n++].pieces;
    return n;
}

void forecast_draw_sessions(const struct forecast_blocks *b, const struct forecast_options *opt,
                            struct forecast_meter *meter, int meters, int64_t *singly) {
    struct draw d;
    size_t n = count_singly(b, opt->resamples);
    struct rest rest = sum_rest(b, n);
    begin(&d, b, opt, meter, meters);
    for (int r = 0; r < d.resamples; r++) {
        memset(d.usd, 0, (size_t)b->steps * sizeof *d.usd);
        draw_singly(&d, n);
        add_rest(&d, &rest);
        read_meters(&d, r);
    }
    end(&d);
    *singly = (int64_t)n;
}

/* ---- days --------------------------------------------------------------------------------- */

/* Sums of exponential weights. */
static void draw_weights(struct draw *d, double *sum) {
    double all = 0;
    for (size_t i = 0; i < d->b->n; i++)
        sum[i] = all -= log(rng_unit(&d->rng));
}

static size_t draw_day(struct draw *d, const double *sum) {
    size_t low = 0;
    size_t high = d->b->n - 1;
    double x = rng_unit(&d->rng) * sum[high];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sum[middle] > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The period may end inside its last day. */
static void place_day(struct draw *d, const struct forecast_block *k, int64_t at) {
    for (size_t i = 0; i < k->pieces; i++) {
        const struct forecast_piece *p = &d->b->piece[k->first + i];
        if (at + p->step < d->b->steps)
            d->usd[at + p->step] += d->b->growth * p->usd;
    }
}

void forecast_draw_days(const struct forecast_blocks *b, const struct forecast_options *opt,
                        struct forecast_meter *meter, int meters) {
    struct draw d;
    double *sum = mem_array(b->n, sizeof *sum);
    begin(&d, b, opt, meter, meters);
    for (int r = 0; r < d.resamples; r++) {
        memset(d.usd, 0, (size_t)b->steps * sizeof *d.usd);
        draw_weights(&d, sum);
        for (int64_t at = 0; at < b->steps; at += b->day_steps)
            place_day(&d, &b->block[draw_day(&d, sum)], at);
        read_meters(&d, r);
    }
    end(&d);
    free(sum);
}
