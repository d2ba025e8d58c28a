/* plan_own.c - devices of one's own: allocation, and what their busy time alone would cost
 *
 * A request keeps a rig busy for fresh / prefill_tps + output / decode_tps seconds. The rates are
 * those of a full batch: the fewer requests there are at once, the less this says about their
 * latency, but the devices are needed for less of the time too.
 *
 * With H the load of the busiest hour and P that of the busiest minute, in rigs, a volume k needs
 *
 *     k H + sqrt(k) (P - H)
 *
 * of them: hours are busy for all users at once, while in an hour requests come independently, so
 * that what a minute has above the hour's mean grows as a Poisson number's deviation does. Scaled
 * as a whole, the minutes of one person's log would ask for a rig each and leave it idle.
 */
#include <math.h>

#include "lib/cost/plan_impl.h"

struct own {
    struct plan_way way;
    int64_t devices;            /* of a rig */
    int64_t granule_ns;
    money rate;                 /* of a rig for an hour */
    double busy;                /* of a rig's time, mean */
    double hour, above;         /* H, P - H */
    double rent;                /* dollars a rig and month */
};

#define ROUNDING 1e-12          /* a whole number of rigs that a product misses */

static double load(const struct own *o, double volume) {
    return volume * o->hour + sqrt(volume) * o->above;
}

static double rigs(const struct own *o, double volume) {
    return fmax(ceil(load(o, volume) * (1 - ROUNDING)), 1);
}

/* The volume that keeps so many rigs busy: load is a parabola of its root. */
static double volume_of(const struct own *o, double n) {
    double root = 2 * n / (o->above + sqrt(o->above * o->above + 4 * o->hour * n));
    return root * root;
}

/* Time rounded up to the granule, in money. */
static money rent(const struct own *o, int64_t ns) {
    int64_t paid = plan_up(ns, o->granule_ns) * o->granule_ns;
    return plan_scale(o->rate, paid, PLAN_HOUR_NS);
}

static void own_cost(const struct plan_way *w, struct plan_cost *out) {
    const struct own *o = (const struct own *)w;
    int64_t n = llround(rigs(o, 1));
    double busy_ns = ceil(o->busy * (double)PLAN_MONTH_NS);
    out->usd = n * rent(o, w->trace->length_ns);
    out->month = n * plan_scale(o->rate, PLAN_MONTH_NS, PLAN_HOUR_NS);
    out->busy = rent(o, busy_ns < 9e18 ? (int64_t)busy_ns : INT64_MAX / 2);
    out->units = n * o->devices;
    out->utilisation = o->busy / (double)n;
    out->marginal = 0;
}

static double own_month(const struct plan_way *w, double volume) {
    const struct own *o = (const struct own *)w;
    return rigs(o, volume) * o->rent;
}

static double own_next(const struct plan_way *w, double volume) {
    const struct own *o = (const struct own *)w;
    if (o->hour <= 0)
        return INFINITY;
    double n = rigs(o, volume);
    double next = volume_of(o, n);
    return next > volume ? next : volume_of(o, n + 1);
}

/* The load is concave: above a line of the hour's slope, below its tangent. */
static void own_bounds(const struct plan_way *w, double volume, struct plan_bounds *out) {
    const struct own *o = (const struct own *)w;
    double low = load(o, volume) * o->rent;
    double tangent = o->hour + o->above / (2 * sqrt(volume));
    *out = (struct plan_bounds){low, o->hour * o->rent, low + o->rent, tangent * o->rent};
}

static const struct plan_ops own_ops = {own_cost, own_month, own_next, own_bounds, NULL};

/* Seconds of work a second: the mean, in the busiest minute, in the busiest hour from the begin. */
static void set_load(struct own *o, const struct plan_rig *rig) {
    const struct plan_trace *t = o->way.trace;
    double length = (double)t->length_ns / 1e9;
    double sum = 0;
    double peak = 0;
    double hour = 0;
    double in_hour = 0;
    for (size_t i = 0; i < t->minutes; i++) {
        const struct plan_minute *m = &t->minute[i];
        double s = (double)m->fresh / rig->prefill_tps + (double)m->output / rig->decode_tps;
        if (i && m->minute / 60 != t->minute[i - 1].minute / 60)
            in_hour = 0;
        in_hour += s;
        hour = fmax(hour, in_hour);
        peak = fmax(peak, s);
        sum += s;
    }
    o->busy = sum / length;
    o->hour = rig->utilisation > 0 ? o->busy / rig->utilisation : hour / fmin(length, 3600);
    o->above = rig->utilisation > 0 ? 0 : fmax(peak / 60 - o->hour, 0);
}

struct plan_way *plan_own(const struct plan_trace *t, const char *name,
                          const struct plan_rig *rig) {
    struct own *o = plan_way_new(sizeof *o, &own_ops, t, name);
    o->devices = rig->devices > 1 ? rig->devices : 1;
    o->granule_ns = rig->granule_ns > 0 ? rig->granule_ns : PLAN_HOUR_NS;
    o->rate = rig->rate * o->devices;
    o->rent = money_dollars(o->rate) * (double)(PLAN_MONTH_NS / PLAN_HOUR_NS);
    set_load(o, rig);
    return &o->way;
}
