/* judge_sweep.c - from cells along a router's order to its measures; see judge_impl.h */
#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/route/judge_impl.h"

/* ---- sums at the shares ----------------------------------------------------------------- */

/* Of requests that are drawn in any order the share need not be a whole number of them. With
 * thresholds it is what lies at or above the quantile 1 - k / steps of the scores, which stands
 * between two of them (definition 7 of Hyndman and Fan, as numpy.quantile). */
static double target_of(const struct sweep *s) {
    int64_t k = s->next;
    int64_t steps = s->steps;
    if (s->ties == JUDGE_MEAN)
        return (double)k * (double)s->total / (double)steps;
    if (s->ties == JUDGE_TOGETHER)
        return k ? (double)(s->total - ((s->total - 1) * (steps - k) + steps - 1) / steps) : 0;
    return (double)((2 * k * s->total + steps) / (2 * steps));
}

void sweep_begin(struct sweep *s, enum judge_ties ties, int steps, int64_t total,
                 struct sweep_sums *out) {
    *s = (struct sweep){.ties = ties, .steps = steps, .total = total, .out = out};
    s->target = target_of(s);
}

void sweep_cell(struct sweep *s, double n, double gain, double usd, int snaps) {
    while (s->next <= s->steps && s->target <= s->at.n + n) {
        double part = n > 0 ? (s->target - s->at.n) / n : 0;
        if (snaps && part > 0)
            part = 1;
        s->out[s->next] = (struct sweep_sums){s->at.n + part * n, s->at.gain + part * gain,
                                              s->at.usd + part * usd};
        s->next++;
        s->target = target_of(s);
    }
    s->at.n += n;
    s->at.gain += gain;
    s->at.usd += usd;
}

void sweep_end(struct sweep *s) {
    for (; s->next <= s->steps; s->next++)
        s->out[s->next] = s->at;
}

/* ---- the hull --------------------------------------------------------------------------- */

struct dot {
    double usd, quality;
};

static int before(const struct dot *a, const struct dot *b) {
    return a->usd < b->usd || (a->usd == b->usd && a->quality < b->quality);
}

/* Few points, mostly sorted. */
static void sort_dots(struct dot *d, int n) {
    for (int i = 1; i < n; i++) {
        struct dot x = d[i];
        int k = i;
        for (; k > 0 && before(&x, &d[k - 1]); k--)
            d[k] = d[k - 1];
        d[k] = x;
    }
}

/* The upper hull of sorted points, as far as it rises: how many are left of them, in place. */
static int rising_hull(struct dot *d, int n) {
    int hull = 0;
    for (int i = 0; i < n; i++) {
        if (hull && d[i].quality <= d[hull - 1].quality)
            continue;
        while (hull && d[hull - 1].usd == d[i].usd)
            hull--;
        while (hull > 1 &&
               (d[hull - 1].quality - d[hull - 2].quality) * (d[i].usd - d[hull - 2].usd) <=
               (d[i].quality - d[hull - 2].quality) * (d[hull - 1].usd - d[hull - 2].usd))
            hull--;
        d[hull++] = d[i];
    }
    return hull;
}

/* Under the straight line from a to b, between from and to. */
static double area_under(const struct dot *a, const struct dot *b, double from, double to) {
    double low = fmax(a->usd, from);
    double high = fmin(b->usd, to);
    if (!(high > low))
        return 0;
    double slope = (b->quality - a->quality) / (b->usd - a->usd);
    return (high - low) * (a->quality + slope * ((low + high) / 2 - a->usd));
}

static double hull_area(struct dot *d, int n, double from, double to) {
    double area = 0;
    if (!(to > from) || !n)
        return NAN;
    sort_dots(d, n);
    int hull = rising_hull(d, n);
    for (int i = 0; i + 1 < hull; i++)
        area += area_under(&d[i], &d[i + 1], from, to);
    const struct dot *last = &d[hull - 1];
    area += last->quality * fmax(to - fmax(last->usd, from), 0);
    return area / (to - from);
}

double judge_hull_area(const double *usd, const double *quality, int n, double from, double to) {
    struct dot *d = mem_array((size_t)n + 1, sizeof *d);
    for (int i = 0; i < n; i++)
        d[i] = (struct dot){usd[i], quality[i]};
    double area = hull_area(d, n, from, to);
    free(d);
    return area;
}

void judge_pareto(const double *usd, const double *quality, int n, uint8_t *on) {
    for (int i = 0; i < n; i++) {
        on[i] = 1;
        for (int k = 0; k < n && on[i]; k++)
            on[i] = !((usd[k] < usd[i] && quality[k] >= quality[i]) ||
                      (usd[k] <= usd[i] && quality[k] > quality[i]));
    }
}

/* ---- measures --------------------------------------------------------------------------- */

static double share_of(const struct sweep *s, int k) {
    return s->ties == JUDGE_TOGETHER ? s->out[k].n / (double)s->total
                                     : (double)k / (double)s->steps;
}

static double area_under_pgr(const struct sweep *s, double gap) {
    double area = 0;
    for (int k = 1; k <= s->steps; k++)
        area += (share_of(s, k) - share_of(s, k - 1)) * (s->out[k].gain + s->out[k - 1].gain) / 2;
    return area / (share_of(s, s->steps) - share_of(s, 0)) / gap;
}

/* In percent, as it is published. */
static double call_threshold(const struct sweep *s, double gap, double pgr) {
    double need = pgr * gap;
    for (int k = 0; k <= s->steps; k++) {
        if (s->out[k].gain < need)
            continue;
        if (k == 0)
            return 100 * share_of(s, 0);
        double from = s->out[k - 1].gain;
        double part = (need - from) / (s->out[k].gain - from);
        return 100 * (share_of(s, k - 1) + part * (share_of(s, k) - share_of(s, k - 1)));
    }
    return NAN;
}

void sweep_measures(const struct sweep *s, const struct sweep_base *base,
                    double out[JUDGE_MEASURES]) {
    double n = (double)s->total;
    for (int m = 0; m < JUDGE_MEASURES; m++)
        out[m] = NAN;
    if (base->priced) {
        struct dot d[SWEEP_STEPS + 1];
        for (int k = 0; k <= s->steps; k++)
            d[k] = (struct dot){(base->weak_usd + s->out[k].usd) / n,
                                (base->weak + s->out[k].gain) / n};
        out[JUDGE_AIQ] = hull_area(d, s->steps + 1, base->weak_usd / n, base->strong_usd / n);
    }
    if (!(base->gain > 0))
        return;
    out[JUDGE_APGR] = area_under_pgr(s, base->gain);
    out[JUDGE_CPT20] = call_threshold(s, base->gain, 0.2);
    out[JUDGE_CPT50] = call_threshold(s, base->gain, 0.5);
    out[JUDGE_CPT80] = call_threshold(s, base->gain, 0.8);
}
