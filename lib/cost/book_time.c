/* book_time.c - when a row of a price book holds, and for what, see book.h */
#include "lib/cost/book_impl.h"

#define SECOND ((int64_t)1000000000)
#define DAY_S 86400
#define DAY (DAY_S * SECOND)
#define WEEK_S (7 * DAY_S)

unsigned book_selectors(const struct book_select *w) {
    return (w->service >= 0 ? BOOK_SERVICE : 0u) | (w->region >= 0 ? BOOK_REGION : 0u) |
           (w->speed >= 0 ? BOOK_SPEED : 0u) | (w->modality >= 0 ? BOOK_MODALITY : 0u) |
           (w->ttl_ns ? BOOK_TTL : 0u) | (w->days || w->hours ? BOOK_WINDOW : 0u);
}

static int64_t floor_day(int64_t ns) {
    int64_t rest = ns % DAY;
    return ns - (rest < 0 ? rest + DAY : rest);
}

/* 0 is Monday; 1970-01-01 was a Thursday. */
static int weekday(int64_t day) {
    return (int)(((day / DAY + 3) % 7 + 7) % 7);
}

/* Time of the zone's clock and the midnight before it. -1: beyond the calendar. */
static int local(const struct book_select *w, int64_t ns, int64_t *at, int64_t *midnight) {
    if (__builtin_add_overflow(ns, w->zone_s * SECOND, at) || *at < INT64_MIN + 2 * DAY ||
        *at > INT64_MAX - 2 * DAY)
        return -1;
    *midnight = floor_day(*at);
    return 0;
}

int book_holds(const struct book_select *w, int64_t ns) {
    int64_t at;
    int64_t midnight;
    if (ns < w->from_ns || ns >= w->to_ns)
        return 0;
    if (!w->days && !w->hours)
        return 1;
    if (local(w, ns, &at, &midnight))
        return 0;
    if (w->days && !(w->days >> weekday(midnight) & 1))
        return 0;
    for (int i = 0; i < w->hours; i++)
        if (at - midnight >= w->hour[i].from_s * SECOND && at - midnight < w->hour[i].to_s * SECOND)
            return 1;
    return !w->hours;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int64_t book_changes(const struct book_select *w, int64_t ns) {
    int64_t at;
    int64_t midnight;
    if (ns < w->from_ns)
        return w->from_ns;
    if (ns >= w->to_ns)
        return BOOK_NEVER;
    if ((!w->days && !w->hours) || local(w, ns, &at, &midnight))
        return w->to_ns;
    int64_t next = midnight + DAY;
    for (int i = 0; i < w->hours; i++) {
        int64_t from = midnight + w->hour[i].from_s * SECOND;
        int64_t to = midnight + w->hour[i].to_s * SECOND;
        next = from > at ? least(next, from) : to > at ? least(next, to) : next;
    }
    return least(w->to_ns, next - w->zone_s * SECOND);
}

/* ---- windows that meet ----------------------------------------------------------------------- */

struct span { int from, to; };          /* seconds of the week from Monday 00:00 UTC, [from, to) */

/* The spans of a week in which a window holds; a span that goes past its end is two. */
static int spans_of(const struct book_select *w, struct span out[2 * 7 * BOOK_HOURS]) {
    int n = 0;
    for (int d = 0; d < 7; d++) {
        if (w->days && !(w->days >> d & 1))
            continue;
        for (int i = 0; i < (w->hours ? w->hours : 1); i++) {
            int from = (w->hours ? w->hour[i].from_s : 0) + d * DAY_S - w->zone_s;
            int length = w->hours ? w->hour[i].to_s - w->hour[i].from_s : DAY_S;
            from = (from + WEEK_S) % WEEK_S;
            out[n++] = (struct span){from, from + length < WEEK_S ? from + length : WEEK_S};
            if (from + length > WEEK_S)
                out[n++] = (struct span){0, from + length - WEEK_S};
        }
    }
    return n;
}

int book_windows_meet(const struct book_select *a, const struct book_select *b) {
    struct span x[2 * 7 * BOOK_HOURS];
    struct span y[2 * 7 * BOOK_HOURS];
    if ((!a->days && !a->hours) || (!b->days && !b->hours))
        return 1;
    int n = spans_of(a, x);
    int m = spans_of(b, y);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < m; k++)
            if (x[i].from < y[k].to && y[k].from < x[i].to)
                return 1;
    return 0;
}
