/* plan.c - the trace of plan.h, ways that cost per token, and what all ways share */
#include "lib/cost/plan_impl.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"

#define LONGEST (3653 * PLAN_DAY_NS)

/* ---- the trace ---------------------------------------------------------------------------- */

void plan_add(struct plan_trace *t, const struct usage *u, money usd) {
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        t->item = mem_grow(t->item, t->room, sizeof *t->item);
    }
    struct plan_item *i = &t->item[t->n++];
    *i = (struct plan_item){
        .time_ns = u->time_ns != USAGE_NO_TIME ? u->time_ns : u->offset_ns,
        .fresh = usage_sum(u, USAGE_INPUT) + usage_sum(u, USAGE_WRITE),
        .cached = usage_sum(u, USAGE_READ),
        .output = usage_sum(u, USAGE_OUTPUT) + usage_sum(u, USAGE_REASONING), .usd = usd};
    t->tokens += i->fresh + i->cached + i->output;
    t->usd += usd;
    t->untimed += i->time_ns == USAGE_NO_TIME;
}

static int by_time(const void *a, const void *b) {
    int64_t x = ((const struct plan_item *)a)->time_ns;
    int64_t y = ((const struct plan_item *)b)->time_ns;
    return (x > y) - (x < y);
}

/* Most logs are in order already. */
static void sort_items(struct plan_trace *t) {
    size_t i = 1;
    while (i < t->n && t->item[i - 1].time_ns <= t->item[i].time_ns)
        i++;
    if (i < t->n)
        qsort(t->item, t->n, sizeof *t->item, by_time);
}

/* Times for all, from those that have one or from the length. */
static int fill_times(struct plan_trace *t, int64_t length_ns, struct err *err) {
    int64_t last = USAGE_NO_TIME;
    if ((size_t)t->untimed == t->n && !length_ns)
        return err_set(err, "%zu requests without a time: expected the time that they cover",
                       t->n);
    for (size_t i = 0; i < t->n && last == USAGE_NO_TIME; i++)
        last = t->item[i].time_ns;              /* of the first that has one, for those before */
    for (size_t i = 0; i < t->n; i++) {
        if ((size_t)t->untimed == t->n)
            last = (int64_t)((money)length_ns * (money)i / (money)t->n);
        else if (t->item[i].time_ns != USAGE_NO_TIME)
            last = t->item[i].time_ns;
        t->item[i].time_ns = last;
    }
    return 0;
}

static void make_minutes(struct plan_trace *t) {
    t->minute = mem_array(t->n, sizeof *t->minute);
    for (size_t i = 0; i < t->n; i++) {
        const struct plan_item *q = &t->item[i];
        int64_t minute = (q->time_ns - t->begin_ns) / PLAN_MINUTE_NS;
        if (!t->minutes || t->minute[t->minutes - 1].minute != minute)
            t->minute[t->minutes++].minute = minute;
        struct plan_minute *m = &t->minute[t->minutes - 1];
        m->fresh += q->fresh;
        m->output += q->output;
        m->usd += q->usd;
    }
    t->minute = mem_grow(t->minute, t->minutes, sizeof *t->minute);
}

int plan_close(struct plan_trace *t, int64_t length_ns, struct err *err) {
    if (!t->n)
        return err_set(err, "no requests");
    if (fill_times(t, length_ns, err))
        return -1;
    sort_items(t);
    t->begin_ns = t->item[0].time_ns;
    money apart = (money)t->item[t->n - 1].time_ns - t->begin_ns;
    if (apart > LONGEST || length_ns > LONGEST)
        return err_set(err, "requests lie %.6g years apart: expected at most ten",
                       (double)(apart > length_ns ? apart : length_ns) / (double)LONGEST * 10);
    int64_t span = (int64_t)apart;
    if (length_ns && span > length_ns)
        return err_set(err, "requests lie %.6g hours apart: more than the %.6g that they are said "
                       "to cover", (double)span / (double)PLAN_HOUR_NS,
                       (double)length_ns / (double)PLAN_HOUR_NS);
    t->length_ns = length_ns ? length_ns : PLAN_MINUTE_NS * (span / PLAN_MINUTE_NS + 1);
    make_minutes(t);
    return 0;
}

void plan_free(struct plan_trace *t) {
    free(t->item);
    free(t->minute);
    *t = (struct plan_trace){0};
}

/* ---- arithmetic --------------------------------------------------------------------------- */

money plan_scale(money a, money b, money c) {
    money whole = a / c * b;
    money rest = a % c * b;             /* below c * b */
    money q = rest / c;
    money left = rest % c;
    if (2 * left > c || (2 * left == c && (whole + q) % 2))
        q++;
    return whole + q;
}

money plan_per_month(money usd, int64_t length_ns) {
    return plan_scale(usd, PLAN_MONTH_NS, length_ns);
}

double plan_months(int64_t length_ns) {
    return (double)PLAN_MONTH_NS / (double)length_ns;
}

int64_t plan_up(int64_t a, int64_t b) {
    return a / b + (a % b > 0);
}

/* ---- ways --------------------------------------------------------------------------------- */

void *plan_way_new(size_t size, const struct plan_ops *op, const struct plan_trace *t,
                   const char *name) {
    struct plan_way *w = mem_alloc(size);
    *w = (struct plan_way){.op = op, .trace = t, .name = mem_strdup(name)};
    return w;
}

void plan_way_free(struct plan_way *w) {
    if (!w)
        return;
    if (w->op->free)
        w->op->free(w);
    free(w->name);
    free(w);
}

const char *plan_name(const struct plan_way *w) {
    return w->name;
}

void plan_cost(const struct plan_way *w, struct plan_cost *out) {
    *out = (struct plan_cost){.busy = -1, .utilisation = NAN, .serves_to = INFINITY};
    w->op->cost(w, out);
}

double plan_month(const struct plan_way *w, double volume) {
    return w->op->month(w, volume);
}

/* ---- per token ---------------------------------------------------------------------------- */

struct tokens {
    struct plan_way way;
    money usd;
    double month;
};

static void tokens_cost(const struct plan_way *w, struct plan_cost *out) {
    const struct tokens *k = (const struct tokens *)w;
    out->usd = k->usd;
    out->month = plan_per_month(k->usd, w->trace->length_ns);
    out->marginal = w->trace->usd ? money_dollars(k->usd) / money_dollars(w->trace->usd) : NAN;
}

static double tokens_month(const struct plan_way *w, double volume) {
    return ((const struct tokens *)w)->month * volume;
}

static double tokens_next(const struct plan_way *w, double volume) {
    (void)w;
    (void)volume;
    return INFINITY;
}

static void tokens_bounds(const struct plan_way *w, double volume, struct plan_bounds *out) {
    double slope = ((const struct tokens *)w)->month;
    *out = (struct plan_bounds){slope * volume, slope, slope * volume, slope};
}

static const struct plan_ops tokens_ops = {tokens_cost, tokens_month, tokens_next, tokens_bounds,
                                           NULL};

struct plan_way *plan_tokens(const struct plan_trace *t, const char *name, money usd) {
    struct tokens *k = plan_way_new(sizeof *k, &tokens_ops, t, name);
    k->usd = usd;
    k->month = money_dollars(usd) * plan_months(t->length_ns);
    return &k->way;
}
