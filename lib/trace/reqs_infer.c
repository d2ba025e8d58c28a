/* reqs_infer.c - the block size that the lengths and block counts of a trace imply
 *
 * A request of t tokens in n blocks of B: rounded up, (n - 1) B < t <= n B; rounded down (only
 * full blocks have an id), n B <= t < (n + 1) B. Each bounds B from both sides, so that the sizes
 * that explain all records are two intervals, narrowed record by record.
 */
#include <limits.h>

#include "lib/trace/reqs_impl.h"

void reqs_infer_init(struct reqs_infer *f) {
    f->up = f->down = (struct reqs_sizes){1, INT_MAX};
}

static void narrow(struct reqs_sizes *s, int64_t from, int64_t to) {
    s->from = s->from > from ? s->from : from;
    s->to = s->to < to ? s->to : to;
}

void reqs_infer_add(struct reqs_infer *f, int64_t t, int64_t n) {
    if (n == 0) {               /* up: only of no tokens; down: fewer than a block */
        if (t > 0)
            narrow(&f->up, 1, 0);
        narrow(&f->down, t + 1, INT_MAX);
        return;
    }
    narrow(&f->up, (t + n - 1) / n, n > 1 ? (t - 1) / (n - 1) : INT_MAX);
    narrow(&f->down, t / (n + 1) + 1, t / n);
}

/* The interval's powers of two: how many, and the smallest. */
static int powers(const struct reqs_sizes *s, int64_t *smallest) {
    int count = 0;
    for (int64_t p = 1; p <= INT_MAX; p *= 2) {
        if (p >= s->from && p <= s->to && !count++)
            *smallest = p;
    }
    return count;
}

int reqs_infer_result(const struct reqs_infer *f) {
    const struct reqs_sizes *up = &f->up;
    const struct reqs_sizes *down = &f->down;
    int has_up = up->from <= up->to;
    int has_down = down->from <= down->to;
    int64_t size = 0;
    int64_t other = 0;
    /* A single size, by one rounding or by both. */
    if (has_up && up->from == up->to && (!has_down || (down->from == up->from &&
                                                       down->to == up->to)))
        return (int)up->from;
    if (has_down && down->from == down->to && !has_up)
        return (int)down->from;
    int in_up = powers(up, &size);
    int in_down = powers(down, &other);
    if (in_up == 1 && (in_down == 0 || (in_down == 1 && other == size)))
        return (int)size;
    return in_up == 0 && in_down == 1 ? (int)other : 0;
}
