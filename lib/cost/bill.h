/* bill.h - from usage to money under a price book, every rule named
 *
 *     struct biller *p = biller_new(book, &(struct bill_options){.at_ns = now});
 *     if (bill_price(p, &usage, &bill, &err) == BILL_PRICED)
 *         total += bill.usd;
 *     else
 *         unpriced(bill.why);
 *     biller_free(p);
 *
 * What was resolved for a model, a service, a time is kept, so that a million requests a second are
 * priced; bill_explain resolves anew and says each step.
 */
#ifndef BILL_H
#define BILL_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/cost/book.h"
#include "lib/cost/money.h"
#include "lib/cost/usage.h"

/* Changes to how the book's context tiers are read, to see what they are worth. -1: the book's. */
struct bill_tiers {
    int cmp, mode, of;
    int ignore;                 /* 1: no tiers at all */
};

struct bill_options {
    int64_t at_ns;              /* prices of this time, whatever the record's; USAGE_NO_TIME: the
                                 * record's own, then now_ns */
    int64_t now_ns;             /* of records without a time */
    const char *model;          /* of records without one, NULL: they are unpriced */
    int force_model;            /* 1: of all records */
    const char *service;        /* of all records, NULL: their own */
    const struct bill_tiers *tiers;     /* NULL: the book's */
};

enum bill_result { BILL_PRICED = 1, BILL_UNPRICED = 0 };

struct bill_line {              /* one charge */
    struct usage_amount amount; /* quantity: what this line charges (a marginal tier splits it) */
    int row;                    /* index into book->row */
    int fallback;               /* kind whose row it is, when not its own: else -1 */
    int factors;
    int factor[8];              /* indices into book->row */
    money_rate rate;            /* after factors */
    money_rate charge;          /* yocto-dollars */
    int tiered;                 /* the row is of a context tier */
};

#define BILL_LINES 48

struct bill {
    int model;                  /* index into book->model; -1 */
    int64_t at_ns;              /* the time that prices are of */
    money usd;                  /* the sum, rounded once */
    int n;
    struct bill_line line[BILL_LINES];
    char why[256];              /* of BILL_UNPRICED: the model and what has no price */
};

struct biller;
struct biller *biller_new(const struct book *b, const struct bill_options *opt);
void biller_free(struct biller *p);             /* NULL is fine */
/* BILL_PRICED, BILL_UNPRICED. Lines are filled where lines is 1, the sum always. */
int bill_price(struct biller *p, const struct usage *u, int lines, struct bill *out);

/* One step of an explanation, in the order in which they were taken. */
struct bill_step {
    int line;                   /* of the book; 0: a rule that needs no row */
    char *text;                 /* words */
};
struct bill_steps {
    struct bill_step *step;
    int n;
};
/* As bill_price with lines, and every rule that fired: how the model was found, the time, the
 * tier, each row with its text, each factor, each fallback, what was passed over, the rounding. */
int bill_explain(struct biller *p, const struct usage *u, struct bill *out,
                 struct bill_steps *steps);
void bill_steps_free(struct bill_steps *steps); /* becomes {0} */

#endif
