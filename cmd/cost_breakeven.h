/* cost_breakeven.h - the pieces of llm-cost breakeven
 *
 *   cost_breakeven.c        the command line
 *   cost_breakeven_read.c   usage in, priced in every way that is paid per token
 *   cost_breakeven_ways.c   the other ways: provisioned units, plans
 *   cost_breakeven_own.c    devices of one's own
 *   cost_breakeven_rows.c   rows and the picture
 */
#ifndef COST_BREAKEVEN_H
#define COST_BREAKEVEN_H

#include "cmd/cost.h"
#include "lib/cost/plan.h"

#define BREAKEVEN_OWN 8

struct breakeven_options {
    struct common common;
    struct cost_books books;
    struct cost_shape shape;
    struct usage_options in;
    const char *model;          /* of all records; NULL: their own */
    char **ways;                /* names or kinds; NULL: all */
    int n_ways;
    const char *own[BREAKEVEN_OWN];
    int owns;
    money own_price;            /* of a device for an hour; -1: the books' */
    double prefill_tps, decode_tps;     /* 0: modelled */
    double utilisation;         /* 0: sized by the busiest minute */
    int devices;                /* that work as one; 0: as few as hold the model */
    int batch;                  /* 0: as many as fit, to 64 */
    const char *compute;
    int64_t slack_ns, covers_ns;
    double from, to;            /* multiples of the trace's volume */
    int changes;
    const char *plot;
};

struct breakeven_side {         /* what one book makes of the usage */
    const struct book *book;
    struct plan_trace trace;
    int model;                  /* index into book->model; -1: several, or none yet */
    int several;
    money usd[8];               /* of the ways per token */
    char *out[8];               /* why one of them cannot be had; NULL: it can */
};

struct breakeven_way {
    struct plan_way *way;
    struct plan_cost cost;
    const struct breakeven_side *side;
    int64_t waits_ns;           /* how long a request may have to wait; -1: nobody says */
    int competes;
    double prefill_tps, decode_tps;     /* of devices that work as one; 0: no devices */
    int batch, devices;
    double wins_from, wins_to;  /* multiples of the volume; NAN: never */
    int wins;                   /* spans in which it is cheapest */
};

struct breakeven {
    struct breakeven_side side[COST_BOOKS_MOST];
    int sides;
    struct breakeven_way *way;
    int n;
    int64_t time_ns;            /* of which plans, units and devices are priced */
    int calendar;               /* all records say when they were */
    struct plan_span *span;
    size_t spans;
    double searched;
};

/* Dies when a file cannot be read. EXIT_NOTHING when something has no price (which is said) or
 * there is nothing. */
int breakeven_read(const struct breakeven_options *o, char **path, int n, struct breakeven *b);
void breakeven_free(struct breakeven *b);

/* 1: --ways asks for it. */
int breakeven_wants(const struct breakeven_options *o, const char *name);
/* Says why a way is missing, unless --quiet. */
void breakeven_left_out(const struct breakeven_options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes the way; waits_ns as in struct breakeven_way. */
struct breakeven_way *breakeven_add(struct breakeven *b, const struct breakeven_side *side,
                                    struct plan_way *way, int64_t waits_ns);
void breakeven_tokens(const struct breakeven_options *o, struct breakeven *b);
void breakeven_units(const struct breakeven_options *o, struct breakeven *b);
void breakeven_plans(const struct breakeven_options *o, struct breakeven *b);
/* EXIT_DONE, or the status to end with: no price of the device. */
int breakeven_own(const struct breakeven_options *o, struct breakeven *b);

void breakeven_print(const struct breakeven_options *o, const struct breakeven *b);
void breakeven_draw(const struct breakeven_options *o, const struct breakeven *b);

#endif
