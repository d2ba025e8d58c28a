/* plan_shift.c - requests that may wait for the hours at which they cost least, see plan.h */
#include "lib/cost/plan.h"

/* The next time after t at which a price of this model may change. */
static int64_t next_change(const struct book *b, int model, int64_t t) {
    int64_t next = BOOK_NEVER;
    int n;
    const int *row = book_rows_of(b, model, &n);
    for (int i = 0; i < n; i++) {
        int64_t at = book_changes(&b->row[row[i]].when, t);
        if (at < next)
            next = at;
    }
    return next;
}

int plan_shifts(const struct book *b, int model) {
    int n;
    const int *row = book_rows_of(b, model, &n);
    for (int i = 0; i < n; i++)
        if (b->row[row[i]].when.hours || b->row[row[i]].when.days)
            return 1;
    return 0;
}

int plan_shift(struct biller *p, const struct book *b, const struct usage *u, int64_t slack_ns,
               money *usd, int64_t *at_ns) {
    struct usage moved = *u;
    struct bill bill;
    if (bill_price(p, u, 0, &bill) != BILL_PRICED)
        return BILL_UNPRICED;
    *usd = bill.usd;
    *at_ns = u->time_ns;
    if (u->time_ns == USAGE_NO_TIME)
        return BILL_PRICED;
    int model = bill.model;
    int64_t last = u->time_ns > INT64_MAX - slack_ns ? INT64_MAX : u->time_ns + slack_ns;
    for (int64_t t = next_change(b, model, u->time_ns); t <= last && t != BOOK_NEVER;
         t = next_change(b, model, t)) {
        moved.time_ns = t;
        if (bill_price(p, &moved, 0, &bill) == BILL_PRICED && bill.usd < *usd) {
            *usd = bill.usd;
            *at_ns = t;
        }
    }
    return BILL_PRICED;
}
