/* cost_breakeven_read.c - usage in, and what it costs in every way that is paid per token */
#include "cmd/cost_breakeven.h"

#include <stdlib.h>
#include <string.h>

enum { API, BATCH, FLEX, PRIORITY, OFF_PEAK, FORMS };

static const char *const names[FORMS] = {"api", "batch", "flex", "priority", "off-peak"};

#define BATCH_NS PLAN_DAY_NS            /* that providers promise for a batch */

struct pricing {                        /* of one book */
    struct biller *form[FORMS];         /* OFF_PEAK asks that of API */
};

static void start(const struct breakeven_options *o, struct breakeven_side *s, struct pricing *p) {
    for (int i = API; i <= PRIORITY; i++) {
        const struct bill_options opt = {.at_ns = o->books.at_ns, .now_ns = o->books.now_ns,
                                         .model = o->model, .force_model = !!o->model,
                                         .service = i == API ? NULL : names[i]};
        p->form[i] = breakeven_wants(o, names[i]) || i == API ? biller_new(s->book, &opt) : NULL;
    }
    s->model = -1;
}

static void leave(struct breakeven_side *s, int form, const char *why) {
    if (!s->out[form])
        s->out[form] = mem_strdup(why);
}

static void price_services(struct breakeven_side *s, struct pricing *p, const struct usage *u) {
    struct bill bill;
    for (int i = BATCH; i <= PRIORITY; i++) {
        if (!p->form[i] || s->out[i])
            continue;
        if (bill_price(p->form[i], u, 0, &bill) == BILL_PRICED)
            s->usd[i] += bill.usd;
        else
            leave(s, i, bill.why);
    }
}

static void price_off_peak(const struct breakeven_options *o, struct breakeven_side *s,
                           struct pricing *p, const struct usage *u) {
    int64_t at;
    money usd;
    if (!o->slack_ns)
        leave(s, OFF_PEAK, "--slack says how long a request may wait");
    if (o->books.at_ns != USAGE_NO_TIME)
        leave(s, OFF_PEAK, "--at fixes the time that prices are of");
    if (u->time_ns == USAGE_NO_TIME)
        leave(s, OFF_PEAK, "records without a time of day");
    if (s->out[OFF_PEAK] || !breakeven_wants(o, names[OFF_PEAK]))
        return;
    plan_shift(p->form[API], s->book, u, o->slack_ns, &usd, &at);
    s->usd[OFF_PEAK] += usd;
}

/* 1: it has a price. */
static int take(const struct breakeven_options *o, struct breakeven_side *s, struct pricing *p,
                const struct usage *u) {
    struct bill bill;
    if (bill_price(p->form[API], u, 0, &bill) != BILL_PRICED) {
        leave(s, API, bill.why);
        return 0;
    }
    s->several |= s->trace.n && s->model != bill.model;
    s->model = bill.model;
    s->usd[API] += bill.usd;
    price_services(s, p, u);
    price_off_peak(o, s, p, u);
    plan_add(&s->trace, u, bill.usd);
    return 1;
}

/* Of each book, the first model or kind without a price. A sum without some records would be one
 * of something else. */
static int say_unpriced(const struct breakeven *b, int64_t records, const int64_t *unpriced) {
    int status = EXIT_DONE;
    if (!records) {
        warn("no usage in it");
        return EXIT_NOTHING;
    }
    for (int i = 0; i < b->sides; i++)
        if (unpriced[i]) {
            warn("no price: %s (book %s; %lld of %lld records)", b->side[i].out[API],
                 b->side[i].book->name, (long long)unpriced[i], (long long)records);
            status = EXIT_NOTHING;
        }
    return status;
}

/* Plans and rents are those of the time in which the trace ends, where it has a calendar. */
static void finish(const struct breakeven_options *o, struct breakeven *b) {
    struct err e = {{0}};
    for (int i = 0; i < b->sides; i++)
        if (plan_close(&b->side[i].trace, o->covers_ns, &e)) {
            if (b->side[i].trace.untimed && !o->covers_ns)
                usage_die("%s (--covers, as in 7d)", e.text);
            die_err(&e);
        }
    const struct plan_trace *t = &b->side[0].trace;
    if (t->untimed && !o->common.quiet)
        warn("%lld of %zu records say no time: they stand %s", (long long)t->untimed, t->n,
             (size_t)t->untimed == t->n ? "evenly in what --covers says"
                                        : "with the one before each");
    b->time_ns = o->books.at_ns != USAGE_NO_TIME ? o->books.at_ns
               : b->calendar ? t->item[t->n - 1].time_ns : o->books.now_ns;
}

int breakeven_read(const struct breakeven_options *o, char **path, int n, struct breakeven *b) {
    struct pricing p[COST_BOOKS_MOST] = {{{0}}};
    int64_t unpriced[COST_BOOKS_MOST] = {0};
    struct err e = {{0}};
    struct usage u;
    int rc;
    b->calendar = 1;
    b->sides = o->books.n;
    for (int i = 0; i < b->sides; i++) {
        b->side[i].book = o->books.book[i];
        start(o, &b->side[i], &p[i]);
    }
    struct usages *in = usage_open_files(path, n, &o->in, &e);
    if (!in)
        die_err(&e);
    while ((rc = usage_next(in, &u, &e)) == 1) {
        b->calendar &= u.time_ns != USAGE_NO_TIME;
        for (int i = 0; i < b->sides; i++)
            unpriced[i] += !take(o, &b->side[i], &p[i], &u);
    }
    if (rc < 0)
        die_err(&e);
    const struct usage_totals *t = usage_totals(in);
    if (t->bad && !o->common.quiet)
        warn("%lld broken line%s passed", (long long)t->bad, t->bad == 1 ? "" : "s");
    int status = say_unpriced(b, t->records, unpriced);
    usage_close(in);
    for (int i = 0; i < b->sides; i++)
        for (int k = 0; k < FORMS; k++)
            biller_free(p[i].form[k]);
    if (status == EXIT_DONE)
        finish(o, b);
    return status;
}

void breakeven_tokens(const struct breakeven_options *o, struct breakeven *b) {
    const int64_t waits[FORMS] = {0, BATCH_NS, -1, 0, o->slack_ns};
    for (int i = 0; i < b->sides; i++) {
        struct breakeven_side *s = &b->side[i];
        if (!s->out[OFF_PEAK] && !s->several && !plan_shifts(s->book, s->model))
            leave(s, OFF_PEAK, "no hours of the day have prices of their own");
        for (int k = 0; k < FORMS; k++) {
            if (!breakeven_wants(o, names[k]))
                continue;
            if (s->out[k])
                breakeven_left_out(o, "%s: %s", names[k], s->out[k]);
            else
                breakeven_add(b, s, plan_tokens(&s->trace, names[k], s->usd[k]), waits[k]);
        }
    }
}
