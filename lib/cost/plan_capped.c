/* plan_capped.c - plans: a fee, an included amount, overage, and windows that refuse
 *
 * Sums over the trace repeated end to end come from sums over the trace. Where nothing is refused
 * they are all that is needed; else the requests are gone through one by one, as the provider
 * would, until the last period that the trace reaches into is full.
 */
#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cost/plan_impl.h"

#define ROUNDING 1e-12
#define WINDOWS ((int)(sizeof((struct book_plan *)0)->window / \
                       sizeof *((struct book_plan *)0)->window))

struct capped {
    struct plan_way way;
    const struct book_plan *plan;
    int64_t period_ns;
    int64_t periods;            /* that the trace reaches into */
    int all_in;                 /* windows alone limit */
    money *sum;                 /* [n + 1] of the items before */
    double *used;               /* [periods] dollars of each, the trace repeated */
    double months;              /* in these periods, as a factor */
    double serves_to;
};

/* ---- sums over time ----------------------------------------------------------------------- */

/* Items of the trace alone that come before a time since its begin. */
static size_t before(const struct plan_trace *t, int64_t ns) {
    size_t low = 0;
    size_t high = t->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->item[middle].time_ns - t->begin_ns < ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Usage before a time, the trace repeated. */
static money sum_before(const struct capped *c, int64_t ns) {
    const struct plan_trace *t = c->way.trace;
    return ns / t->length_ns * t->usd + c->sum[before(t, ns % t->length_ns)];
}

/* The most that a time of this length holds, the trace repeated. It begins with a request. */
static money most_in(const struct capped *c, int64_t ns) {
    const struct plan_trace *t = c->way.trace;
    money most = 0;
    for (size_t i = 0; i < t->n; i++) {
        int64_t from = t->item[i].time_ns - t->begin_ns;
        money in = sum_before(c, from + ns) - c->sum[i];
        if (in > most)
            most = in;
    }
    return most;
}

static double times(money limit, money most) {
    return most > 0 ? money_dollars(limit) / money_dollars(most) : INFINITY;
}

static void set_limits(struct capped *c) {
    const struct book_plan *p = c->plan;
    c->serves_to = INFINITY;
    for (int i = 0; i < p->windows; i++) {
        money most = most_in(c, p->window[i].period_ns);
        /* Whole numbers first: a window that is just full must not be lost in rounding. */
        double k = most <= p->window[i].limit ? fmax(times(p->window[i].limit, most), 1)
                                              : times(p->window[i].limit, most);
        c->serves_to = fmin(c->serves_to, k);
    }
    for (int64_t j = 0; j < c->periods; j++) {
        money used = sum_before(c, (j + 1) * c->period_ns) - sum_before(c, j * c->period_ns);
        c->used[j] = money_dollars(used);
        if (p->overage < 0 && !c->all_in)
            c->serves_to = fmin(c->serves_to, times(p->included, used));
    }
}

/* ---- request by request ------------------------------------------------------------------- */

struct taken {
    int64_t ns;
    money usd;
};

struct gate {                   /* what was taken, as far back as the longest window */
    const struct capped *c;
    struct taken *ring;         /* [room], a power of two */
    size_t room, end;           /* taken so far */
    size_t tail[WINDOWS];       /* the first still in each window */
    money in[WINDOWS];
    money period;               /* taken in this period */
    int64_t period_end;
    money asked, took, overage; /* in all */
};

static void grow(struct gate *g) {
    size_t room = g->room ? 2 * g->room : 1024;
    struct taken *ring = mem_array(room, sizeof *ring);
    for (size_t i = g->end > g->room ? g->end - g->room : 0; i < g->end; i++)
        ring[i & (room - 1)] = g->ring[i & (g->room - 1)];
    free(g->ring);
    g->ring = ring;
    g->room = room;
}

/* Lets what is too old out of the windows; closes periods. */
static void move_to(struct gate *g, int64_t ns) {
    const struct book_plan *p = g->c->plan;
    for (int i = 0; i < p->windows; i++)
        while (g->tail[i] < g->end) {
            const struct taken *old = &g->ring[g->tail[i] & (g->room - 1)];
            if (old->ns > ns - p->window[i].period_ns)
                break;
            g->in[i] -= old->usd;
            g->tail[i]++;
        }
    while (ns >= g->period_end) {
        g->period = 0;
        g->period_end += g->c->period_ns;
    }
}

static int fits(const struct gate *g, money usd) {
    const struct book_plan *p = g->c->plan;
    for (int i = 0; i < p->windows; i++)
        if (g->in[i] + usd > p->window[i].limit)
            return 0;
    return p->overage >= 0 || g->c->all_in || g->period + usd <= p->included;
}

/* What this much more usage costs in the period. */
static money beyond(const struct gate *g, money usd) {
    const struct book_plan *p = g->c->plan;
    if (p->overage < 0 || g->c->all_in)
        return 0;
    money over = g->period + usd - p->included;
    over = over < usd ? over : usd;
    return over > 0 ? plan_scale(over, p->overage, MONEY_FACTOR) : 0;
}

static void take(struct gate *g, int64_t ns, money usd) {
    const struct book_plan *p = g->c->plan;
    g->overage += beyond(g, usd);
    g->took += usd;
    g->period += usd;
    if (!p->windows)
        return;
    size_t oldest = g->end;
    for (int i = 0; i < p->windows; i++) {
        g->in[i] += usd;
        oldest = g->tail[i] < oldest ? g->tail[i] : oldest;
    }
    if (g->end - oldest >= g->room)
        grow(g);
    g->ring[g->end++ & (g->room - 1)] = (struct taken){ns, usd};
}

/* The trace once, or repeated until the last period is full. */
static void run(struct gate *g, const struct capped *c, int repeat) {
    const struct plan_trace *t = c->way.trace;
    int64_t end = repeat ? c->periods * c->period_ns : t->length_ns + 1;
    *g = (struct gate){.c = c, .period_end = c->period_ns};
    for (int64_t copy = 0; copy < end; copy += t->length_ns) {
        for (size_t i = 0; i < t->n; i++) {
            int64_t ns = copy + t->item[i].time_ns - t->begin_ns;
            if (ns >= end)
                break;
            move_to(g, ns);
            g->asked += t->item[i].usd;
            if (fits(g, t->item[i].usd))
                take(g, ns, t->item[i].usd);
        }
        if (!repeat)
            break;
    }
}

/* ---- this trace --------------------------------------------------------------------------- */

/* Of the next bit of usage right behind the trace. */
static double marginal(struct gate *g) {
    const struct book_plan *p = g->c->plan;
    const struct plan_trace *t = g->c->way.trace;
    move_to(g, t->item[t->n - 1].time_ns - t->begin_ns);
    if (!fits(g, 1))
        return NAN;
    return p->overage > 0 && !g->c->all_in && g->period >= p->included
           ? (double)p->overage / MONEY_FACTOR : 0;
}

static money overage_of_month(const struct capped *c) {
    const struct book_plan *p = c->plan;
    money sum = 0;
    if (p->overage < 0 || c->all_in)
        return 0;
    for (int64_t j = 0; j < c->periods; j++) {
        money over = sum_before(c, (j + 1) * c->period_ns) - sum_before(c, j * c->period_ns) -
                     p->included;
        sum += over > 0 ? plan_scale(over, p->overage, MONEY_FACTOR) : 0;
    }
    return sum;
}

static void capped_cost(const struct plan_way *w, struct plan_cost *out) {
    const struct capped *c = (const struct capped *)w;
    struct gate g;
    run(&g, c, 0);
    money fees = c->plan->fee * c->periods;
    out->usd = fees + g.overage;
    out->marginal = marginal(&g);
    out->serves_to = c->serves_to;
    free(g.ring);
    money over = 0;
    if (c->serves_to < 1) {
        run(&g, c, 1);
        free(g.ring);
        over = g.overage;
        if (g.asked > 0)
            out->refused = 1 - money_dollars(g.took) / money_dollars(g.asked);
    } else {
        over = overage_of_month(c);
    }
    out->month = plan_scale(fees + over, PLAN_MONTH_NS, c->periods * c->period_ns);
}

/* ---- volume ------------------------------------------------------------------------------- */

static double overage_factor(const struct capped *c) {
    return c->plan->overage < 0 || c->all_in ? 0 : (double)c->plan->overage / MONEY_FACTOR;
}

/* Dollars of all periods beyond what is included, and how they grow with the volume. */
static double over(const struct capped *c, double volume, double *slope) {
    double included = money_dollars(c->plan->included);
    double factor = overage_factor(c);
    double sum = 0;
    *slope = 0;
    for (int64_t j = 0; factor > 0 && j < c->periods; j++)
        if (volume * c->used[j] >= included) {
            sum += factor * (volume * c->used[j] - included);
            *slope += factor * c->used[j];
        }
    return sum;
}

static double capped_month(const struct plan_way *w, double volume) {
    const struct capped *c = (const struct capped *)w;
    double slope;
    if (volume > c->serves_to * (1 + ROUNDING))
        return INFINITY;
    return c->months * (money_dollars(c->plan->fee) * (double)c->periods + over(c, volume, &slope));
}

static double capped_next(const struct plan_way *w, double volume) {
    const struct capped *c = (const struct capped *)w;
    double included = money_dollars(c->plan->included);
    double next = c->serves_to > volume ? c->serves_to : INFINITY;
    for (int64_t j = 0; overage_factor(c) > 0 && j < c->periods; j++) {
        double bend = included / c->used[j];
        if (bend > volume && bend < next)
            next = bend;
    }
    return next;
}

static void capped_bounds(const struct plan_way *w, double volume, struct plan_bounds *out) {
    const struct capped *c = (const struct capped *)w;
    double now = capped_month(w, volume);
    double all = 0;
    double slope;
    over(c, volume, &slope);
    for (int64_t j = 0; j < c->periods; j++)
        all += overage_factor(c) * c->used[j];
    *out = (struct plan_bounds){now, c->months * slope, isinf(c->serves_to) ? now : INFINITY,
                                c->months * all};
}

static void capped_free(struct plan_way *w) {
    struct capped *c = (struct capped *)w;
    free(c->sum);
    free(c->used);
}

static const struct plan_ops capped_ops = {capped_cost, capped_month, capped_next, capped_bounds,
                                           capped_free};

struct plan_way *plan_capped(const struct plan_trace *t, const char *name,
                             const struct book_plan *p) {
    struct capped *c = plan_way_new(sizeof *c, &capped_ops, t, name);
    c->plan = p;
    c->period_ns = p->period_ns > PLAN_MINUTE_NS ? p->period_ns : PLAN_MINUTE_NS;
    c->periods = plan_up(t->length_ns, c->period_ns);
    c->all_in = p->windows && !p->included;
    c->sum = mem_array(t->n + 1, sizeof *c->sum);
    for (size_t i = 0; i < t->n; i++)
        c->sum[i + 1] = c->sum[i] + t->item[i].usd;
    c->used = mem_array((size_t)c->periods, sizeof *c->used);
    c->months = plan_months(c->periods * c->period_ns);
    set_limits(c);
    return &c->way;
}
