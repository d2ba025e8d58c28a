/* plan_units.c - provisioned units, with what does not fit charged per token or refused
 *
 * A minute's load is a whole number on a scale on which a unit carries per_unit. With spill-over
 * the cost of U units over all minutes is convex in U: rent grows by the same for each, and each
 * takes less off the rest than the one before. For doubles, minutes are sorted by x, the units that
 * they would fill: with U units and volume k a month costs
 *
 *     U rent + k sum(x > U / k) usd - U sum(x > U / k) usd / x
 *
 * so that sums from the end answer for any k and U. Let y be the units a volume at which a further
 * one no longer pays: the best U is k y but for min and step, one of its two neighbours.
 */
#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cost/plan_impl.h"

#define MONTH_HOURS (PLAN_MONTH_NS / PLAN_HOUR_NS)
#define WEIGHT 1000000                  /* 1 as an output's weight */
#define ROUNDING 1e-12                  /* a whole number of units that a product misses */

struct units {
    struct plan_way way;
    int64_t min, step;
    int spill;
    money rate;                 /* of a unit for an hour */
    money per_unit;             /* load that a unit carries in a minute */
    money *load;                /* [minutes of the trace], in their order */
    double *x;                  /* [n] units that a minute fills, ascending */
    double *usd, *usd_per_x;    /* [n + 1] dollars a month of this minute and all behind it */
    size_t n;
    double rent;                /* dollars a unit and month */
    double y;                   /* units a volume that pay; without spill those of the peak */
};

/* ---- loads -------------------------------------------------------------------------------- */

/* Rates to a whole token a minute; an output token's weight to six decimals. With a limit of its
 * own for output the larger of the two needs counts, on a scale of both. */
static void set_loads(struct units *u, const struct book_capacity *c) {
    const struct plan_trace *t = u->way.trace;
    money in = llround(c->input_tpm);
    money out = llround(c->output_tpm);
    money weight = llround(c->output_weight * WEIGHT);
    money of_fresh = out ? out : WEIGHT;
    money of_output = in ? in : 1;
    u->per_unit = out ? of_output * out : (in ? in : 1) * WEIGHT;
    u->load = mem_array(t->minutes, sizeof *u->load);
    for (size_t i = 0; i < t->minutes; i++) {
        money fresh = in || !out ? t->minute[i].fresh * of_fresh : 0;
        money output = t->minute[i].output * (out ? of_output : weight);
        u->load[i] = !out ? fresh + output : fresh > output ? fresh : output;
    }
}

struct loaded {
    double x, usd;
};

static int by_load(const void *a, const void *b) {
    double x = ((const struct loaded *)a)->x;
    double y = ((const struct loaded *)b)->x;
    return (x > y) - (x < y);
}

static void set_sums(struct units *u) {
    const struct plan_trace *t = u->way.trace;
    double months = plan_months(t->length_ns);
    struct loaded *l = mem_array(t->minutes, sizeof *l);
    for (size_t i = 0; i < t->minutes; i++)
        if (u->load[i])
            l[u->n++] = (struct loaded){(double)u->load[i] / (double)u->per_unit,
                                        months * money_dollars(t->minute[i].usd)};
    qsort(l, u->n, sizeof *l, by_load);
    u->x = mem_array(u->n + 1, sizeof *u->x);
    u->usd = mem_array(u->n + 1, sizeof *u->usd);
    u->usd_per_x = mem_array(u->n + 1, sizeof *u->usd_per_x);
    for (size_t i = u->n; i--;) {
        u->x[i] = l[i].x;
        u->usd[i] = u->usd[i + 1] + l[i].usd;
        u->usd_per_x[i] = u->usd_per_x[i + 1] + l[i].usd / l[i].x;
    }
    free(l);
}

/* The first of the sorted minutes that fill more than x units. */
static size_t above(const struct units *u, double x) {
    size_t low = 0;
    size_t high = u->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (u->x[middle] > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- units -------------------------------------------------------------------------------- */

/* Units that can be had: the most not above x, and at least min. */
static double had_below(const struct units *u, double x) {
    double steps = floor((x - (double)u->min) / (double)u->step * (1 + ROUNDING));
    return (double)u->min + fmax(steps, 0) * (double)u->step;
}

static double had_above(const struct units *u, double x) {
    double steps = ceil((x - (double)u->min) / (double)u->step * (1 - ROUNDING));
    return (double)u->min + fmax(steps, 0) * (double)u->step;
}

static double month_of(const struct units *u, double units, double volume) {
    size_t i = u->spill ? above(u, units / volume) : u->n;
    return units * u->rent + fmax(volume * u->usd[i] - units * u->usd_per_x[i], 0);
}

static double best_units(const struct units *u, double volume) {
    double high = had_above(u, volume * u->y);
    double low = had_below(u, volume * u->y);
    if (!u->spill || month_of(u, high, volume) < month_of(u, low, volume))
        return high;
    return low;
}

static void set_best(struct units *u) {
    if (!u->spill) {
        u->y = u->n ? u->x[u->n - 1] : 0;
        return;
    }
    size_t i = u->n;
    while (i && u->usd_per_x[i] <= u->rent)
        i--;
    /* Below x[i] a further unit saves more than its rent, from there on less. */
    u->y = u->usd_per_x[i] > u->rent && u->n ? u->x[i] : 0;
}

/* ---- this trace, in whole pico-dollars ---------------------------------------------------- */

/* What the trace's minutes leave over beyond so many units. */
static money spilled(const struct units *u, int64_t units) {
    const struct plan_trace *t = u->way.trace;
    money capacity = units * u->per_unit;
    money sum = 0;
    for (size_t i = 0; i < t->minutes; i++)
        if (u->load[i] > capacity)
            sum += plan_scale(t->minute[i].usd, u->load[i] - capacity, u->load[i]);
    return sum;
}

/* Share of the trace's load that so many units take, of what they could. */
static double used(const struct units *u, int64_t units) {
    const struct plan_trace *t = u->way.trace;
    double capacity = (double)units * (double)u->per_unit;
    double sum = 0;
    for (size_t i = 0; i < t->minutes; i++)
        sum += fmin((double)u->load[i], capacity);
    return sum / capacity / ((double)t->length_ns / (double)PLAN_MINUTE_NS);
}

static void units_cost(const struct plan_way *w, struct plan_cost *out) {
    const struct units *u = (const struct units *)w;
    int64_t units = llround(best_units(u, 1));
    money over = u->spill ? spilled(u, units) : 0;
    int64_t hours = plan_up(w->trace->length_ns, PLAN_HOUR_NS);
    size_t i = above(u, (double)units);
    out->units = units;
    out->usd = u->rate * units * hours + over;
    out->month = u->rate * units * MONTH_HOURS + plan_per_month(over, w->trace->length_ns);
    out->utilisation = used(u, units);
    out->marginal = u->usd[0] > 0 && u->spill ? u->usd[i] / u->usd[0] : 0;
}

/* ---- volume ------------------------------------------------------------------------------- */

static double units_month(const struct plan_way *w, double volume) {
    const struct units *u = (const struct units *)w;
    return month_of(u, best_units(u, volume), volume);
}

/* Where the best number of units becomes larger: it does so once between two numbers that can be
 * had, since the advantage of the larger one grows with the volume. */
static double units_next(const struct plan_way *w, double volume) {
    const struct units *u = (const struct units *)w;
    double now = best_units(u, volume);
    if (u->y <= 0)
        return INFINITY;
    if (!u->spill)
        return now / u->y > volume ? now / u->y : (now + (double)u->step) / u->y;
    double low = volume;
    double high = (now + (double)u->step) / u->y * (1 + 4 * ROUNDING);
    if (best_units(u, high) <= now)
        return INFINITY;
    for (;;) {
        double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            return high;
        if (best_units(u, middle) > now)
            high = middle;
        else
            low = middle;
    }
}

static void units_bounds(const struct plan_way *w, double volume, struct plan_bounds *out) {
    const struct units *u = (const struct units *)w;
    double slope = u->y * u->rent;
    if (u->spill) {
        size_t i = above(u, u->y);
        slope += u->usd[i] - u->y * u->usd_per_x[i];
    }
    double slack = (double)(u->min > u->step ? u->min : u->step) * u->rent;
    *out = (struct plan_bounds){slope * volume, slope, slope * volume + slack, slope};
}

static void units_free(struct plan_way *w) {
    struct units *u = (struct units *)w;
    free(u->load);
    free(u->x);
    free(u->usd);
    free(u->usd_per_x);
}

static const struct plan_ops units_ops = {units_cost, units_month, units_next, units_bounds,
                                          units_free};

struct plan_way *plan_units(const struct plan_trace *t, const char *name,
                            const struct book_capacity *c) {
    struct units *u = plan_way_new(sizeof *u, &units_ops, t, name);
    u->min = c->min > 1 ? c->min : 1;
    u->step = c->step > 1 ? c->step : 1;
    u->spill = c->spill;
    u->way.curved = c->spill;
    u->rate = c->rate;
    u->rent = money_dollars(c->rate) * (double)MONTH_HOURS;
    set_loads(u, c);
    set_sums(u);
    set_best(u);
    return &u->way;
}
