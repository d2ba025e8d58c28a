/* plan_volume.c - which way is cheapest at which volume, see plan.h
 *
 * Between two steps of whichever way, each month is straight or convex in the volume (a plan bends
 * only at its steps; spill-over of provisioned units bends upwards inside). A walk from step to
 * step therefore meets in each piece crossings of curves without jumps, which bisection finds. It
 * ends early once the winner's upper bound can no longer meet another's lower bound.
 */
#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cost/plan_impl.h"

#define STEPS_MOST 1000000
#define INSIDE 1e-11            /* relative: so far inside a piece its ends are looked at; more than
                                 * what the ways allow for rounding */
#define SAME 1e-12              /* costs that differ by less are equal */
#define DIP_STEPS 64            /* of a search for the least difference */

struct walk {
    struct plan_way *const *way;
    int n;
    struct plan_span *span;
    size_t spans, room;
};

static double month(const struct walk *k, int way, double volume) {
    return way < 0 ? INFINITY : plan_month(k->way[way], volume);
}

static int cheapest(const struct walk *k, double volume) {
    int best = -1;
    for (int i = 0; i < k->n; i++)
        if (month(k, i, volume) < month(k, best, volume) * (1 - SAME))
            best = i;
    return best;
}

/* From `from` on, until the next call says otherwise. */
static void add_span(struct walk *k, double from, int way) {
    if (k->spans && k->span[k->spans - 1].way == way)
        return;
    if (k->spans && k->span[k->spans - 1].from >= from)
        k->spans--;
    if (k->spans && k->span[k->spans - 1].way == way)
        return;
    if (k->spans == k->room) {
        k->room = k->room ? 2 * k->room : 16;
        k->span = mem_grow(k->span, k->room, sizeof *k->span);
    }
    if (k->spans)
        k->span[k->spans - 1].to = from;
    k->span[k->spans++] = (struct plan_span){from, from, way};
}

static int beats(const struct walk *k, int other, int now, double volume) {
    return month(k, other, volume) < month(k, now, volume) * (1 - SAME);
}

/* Between a volume at which `other` does not beat `now`, and one at which it does. */
static double crossing(const struct walk *k, int other, int now, double low, double high) {
    for (;;) {
        double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            return high;
        if (beats(k, other, now, middle))
            high = middle;
        else
            low = middle;
    }
}

/* A volume in (low, high) where `other`, convex, beats `now`, straight, though it does at neither
 * end; 0: none. */
static double dip(const struct walk *k, int other, int now, double low, double high) {
    for (int i = 0; k->way[other]->curved && i < DIP_STEPS; i++) {
        double a = low + (high - low) / 3;
        double b = high - (high - low) / 3;
        double at_a = month(k, other, a) - month(k, now, a);
        double at_b = month(k, other, b) - month(k, now, b);
        if (beats(k, other, now, a))
            return a;
        if (beats(k, other, now, b))
            return b;
        if (!(fabs(at_a - at_b) > SAME * month(k, now, a)))
            return 0;
        if (at_a < at_b)
            high = b;
        else
            low = a;
    }
    return 0;
}

/* Where `now` loses first in (low, high). INFINITY: nowhere. */
static double loses(const struct walk *k, int now, double low, double high) {
    double first = INFINITY;
    for (int i = 0; i < k->n; i++) {
        double at = INFINITY;
        if (i == now)
            continue;
        double lower = beats(k, i, now, high) ? high : dip(k, i, now, low, high);
        if (lower > 0)
            at = crossing(k, i, now, low, lower);
        first = fmin(first, at);
    }
    return first;
}

/* One piece without steps. */
static void walk_piece(struct walk *k, double low, double high) {
    double from = low * (1 + INSIDE);
    double to = high * (1 - INSIDE);
    if (!(to > from))
        return;
    int now = cheapest(k, from);
    add_span(k, low, now);
    for (int i = 0; i < 2 * k->n + 2; i++) {
        double at = loses(k, now, from, to);
        from = at * (1 + INSIDE);
        if (!(to > from))
            return;
        now = cheapest(k, from);
        add_span(k, at, now);
    }
}

static double next_step(const struct walk *k, double volume, double to) {
    double next = to;
    for (int i = 0; i < k->n; i++)
        next = fmin(next, k->way[i]->op->next(k->way[i], volume * (1 + INSIDE)));
    return next;
}

/* 1: whoever wins here does so at every larger volume. */
static int is_settled(const struct walk *k, double volume) {
    int now = cheapest(k, volume);
    struct plan_bounds mine;
    if (now < 0)
        return 0;
    k->way[now]->op->bounds(k->way[now], volume, &mine);
    for (int i = 0; i < k->n; i++) {
        struct plan_bounds b;
        if (i == now || isinf(plan_month(k->way[i], volume)))
            continue;
        k->way[i]->op->bounds(k->way[i], volume, &b);
        int first = i < now ? mine.high < b.low : mine.high <= b.low;
        if (!first || mine.high_slope > b.low_slope * (1 + SAME))
            return 0;
    }
    return 1;
}

struct plan_span *plan_winners(struct plan_way *const *way, int n, double from, double to,
                               size_t *spans, double *searched) {
    struct walk k = {.way = way, .n = n};
    double at = from;
    for (int i = 0; at < to && i < STEPS_MOST; i++) {
        double next = next_step(&k, at, to);
        walk_piece(&k, at, next);
        at = next;
        if (is_settled(&k, at * (1 + INSIDE))) {
            add_span(&k, at, cheapest(&k, at * (1 + INSIDE)));
            at = to;
        }
    }
    *searched = at;
    if (k.spans && k.span[k.spans - 1].from >= at)
        k.spans--;
    if (k.spans)
        k.span[k.spans - 1].to = at;
    *spans = k.spans;
    return k.span;
}
