/* plan_impl.h - what the forms of plan.h share: a way is a table of functions and its numbers */
#ifndef PLAN_IMPL_H
#define PLAN_IMPL_H

#include "lib/cost/plan.h"

/* Straight lines that hold a way's month for every volume from some one on. */
struct plan_bounds {
    double low, low_slope;      /* dollars at that volume, and a volume more */
    double high, high_slope;
};

struct plan_ops {
    void (*cost)(const struct plan_way *w, struct plan_cost *out);
    double (*month)(const struct plan_way *w, double volume);
    /* The least volume above this one at which the month jumps or bends upwards by a new unit;
     * between two of them it is convex and, but for spill-over, straight. INFINITY: none. */
    double (*next)(const struct plan_way *w, double volume);
    void (*bounds)(const struct plan_way *w, double volume, struct plan_bounds *out);
    void (*free)(struct plan_way *w);           /* of what hangs on it; NULL: nothing does */
};

struct plan_way {               /* the first member of each form's struct */
    const struct plan_ops *op;
    const struct plan_trace *trace;
    char *name;
    int curved;                 /* not straight between its steps */
};

/* A zeroed struct of `size` that begins with a plan_way. */
void *plan_way_new(size_t size, const struct plan_ops *op, const struct plan_trace *t,
                   const char *name);
/* Months of a length, for dollars as doubles. */
double plan_months(int64_t length_ns);
/* a / b rounded up, b > 0, a >= 0. */
int64_t plan_up(int64_t a, int64_t b);

#endif
