/* judge_impl.h - a sweep along the order of a router, from cell to cell
 *
 *     struct sweep s;
 *     sweep_begin(&s, o->ties, JUDGE_STEPS, requests);
 *     for (each cell, the first to go to the strong model first)
 *         sweep_cell(&s, requests, gain, usd, snaps);
 *     sweep_end(&s);
 *     sweep_measures(&s, &base, out);
 *
 * A cell is what goes to the strong model together, or in any order: one request, requests with the
 * same score, or, where there are very many, neighbours. Inside a cell the curve is straight.
 */
#ifndef JUDGE_IMPL_H
#define JUDGE_IMPL_H

#include "lib/route/judge.h"

#define SWEEP_STEPS 1000        /* the most */

struct sweep_sums {
    double n, gain, usd;
};

struct sweep {
    enum judge_ties ties;
    int steps, next;            /* the share that is looked for: next / steps */
    int64_t total;              /* requests */
    double target;              /* requests at that share */
    struct sweep_sums at;       /* before the cell */
    struct sweep_sums *out;     /* [steps + 1] */
};

/* Sums over all requests: the weak model's scores, what the strong one adds to them, dollars. */
struct sweep_base {
    double weak, gain, weak_usd, strong_usd;
    int priced;
};

void sweep_begin(struct sweep *s, enum judge_ties ties, int steps, int64_t total,
                 struct sweep_sums *out);
/* snaps: with JUDGE_TOGETHER, shares inside the cell become that of its end. */
void sweep_cell(struct sweep *s, double n, double gain, double usd, int snaps);
void sweep_end(struct sweep *s);        /* what rounding has left is the last cell's end */
/* Of JUDGE_STEPS steps, all but JUDGE_APGR_OVER. */
void sweep_measures(const struct sweep *s, const struct sweep_base *base,
                    double out[JUDGE_MEASURES]);
/* The end of the cell that begins at i: index of the first request behind it. */
size_t judge_cell_end(const struct judge_order *o, size_t i);

#endif
