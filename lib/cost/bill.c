/* bill.c - a record's amounts become lines, and lines a sum, see bill.h */
#include "lib/cost/bill_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

struct biller *biller_new(const struct book *b, const struct bill_options *opt) {
    struct biller *p = mem_alloc(sizeof *p);
    const char *const *names = usage_modality_names();
    *p = (struct biller){.b = b, .opt = *opt};
    for (int i = 0; i < USAGE_MODALITIES; i++) {
        int word = book_word(b, names[i], strlen(names[i]));
        p->modality[i] = word == BOOK_ANY ? BILL_NO_WORD - i : word;
    }
    return p;
}

void biller_free(struct biller *p) {
    if (!p)
        return;
    bill_tariffs_drop(p);
    free(p);
}

int64_t bill_time(const struct biller *p, const struct usage *u) {
    return p->opt.at_ns != USAGE_NO_TIME ? p->opt.at_ns
           : u->time_ns != USAGE_NO_TIME ? u->time_ns : p->opt.now_ns;
}

/* ---- unpriced ----------------------------------------------------------------------------- */

static int unpriced(struct bill *out) {
    out->usd = 0;
    out->yocto = 0;
    return BILL_UNPRICED;
}

static int short_of(size_t len, size_t most) {
    return (int)(len < most ? len : most);
}

static int unpriced_model(struct reqs_text name, struct bill *out) {
    if (!name.data || !name.len)
        snprintf(out->why, sizeof out->why, "the record names no model");
    else
        snprintf(out->why, sizeof out->why, "%.*s: the book has no such model",
                 short_of(name.len, 120), name.data);
    return unpriced(out);
}

static int unpriced_word(const struct biller *p, const struct usage *u, const char *what,
                         struct bill *out) {
    struct reqs_text t = *what == 's' && what[1] == 'e' ? bill_service_text(p, u) : u->speed;
    snprintf(out->why, sizeof out->why, "%.100s: no row for the %s '%.*s'",
             p->b->model[out->model].name, what, short_of(t.len, 60), t.data);
    return unpriced(out);
}

static int unpriced_amount(const struct biller *p, const struct usage_amount *a, const char *why,
                           struct bill *out) {
    const char *modality = a->modality ? usage_modality_names()[a->modality] : "";
    snprintf(out->why, sizeof out->why, "%.100s: %s%s%s: %s", p->b->model[out->model].name,
             modality, a->modality ? " " : "", usage_kind_names()[a->kind], why);
    return unpriced(out);
}

/* ---- charging ----------------------------------------------------------------------------- */

/* 128 bits of yocto-dollars reach to 1.7e14 dollars; -1 beyond. */
int bill_charge(const struct book_row *r, const struct bill_choice *c, int64_t quantity,
                money_rate *out) {
    money_rate whole;
    if (r->per == BOOK_PER_UNIT)
        return __builtin_mul_overflow(c->rate, quantity / c->per + !!(quantity % c->per), out)
                   ? -1 : 0;
    if (c->per == 1)
        return __builtin_mul_overflow(c->rate, quantity, out) ? -1 : 0;
    if (__builtin_mul_overflow(c->rate / c->per, quantity, &whole) ||
        __builtin_add_overflow(whole, (money_rate)INT64_MAX, &whole))
        return -1;
    *out = money_charge(c->rate, quantity, c->per);
    return 0;
}

static void add_line(const struct biller *p, const struct usage_amount *a, int64_t quantity,
                     const struct bill_choice *c, money_rate charge, struct bill *out) {
    const struct book_row *r = &p->b->row[c->row];
    if (out->n == BILL_LINES) {
        out->cut++;
        return;
    }
    struct bill_line *l = &out->line[out->n++];
    l->amount = *a;
    l->amount.quantity = quantity;
    l->row = c->row;
    l->fallback = r->kind == a->kind ? -1 : r->kind;
    l->factors = c->factors;
    memcpy(l->factor, c->factor, sizeof l->factor);
    l->rate = c->rate;
    l->charge = charge;
    l->tiered = r->when.above >= 0;
}

/* How far what holds at `offset` reaches. */
static int64_t reach(const struct biller *p, const struct bill_slot *s,
                     const struct bill_numbers *n, int64_t offset, int64_t quantity) {
    int64_t end = quantity;
    for (int i = 0; s->marginal && i < s->prices; i++)
        end = bill_turn(p, &p->b->row[s->price[i]], n, offset, end);
    for (int i = 0; s->marginal && i < s->factors; i++)
        end = bill_turn(p, &p->b->row[s->factor[i]], n, offset, end);
    return end;
}

/* The choice from `at` on, and in *end how far it reaches: a threshold at which nothing changes
 * does not end it. */
static int span(struct biller *p, const struct bill_tariff *t, struct bill_slot *s,
                const struct bill_numbers *n, int64_t at, int64_t quantity, int64_t *end) {
    int k = bill_choose(p, t, s, n, at);
    *end = reach(p, s, n, at, quantity);
    while (*end < quantity && bill_choose(p, t, s, n, *end) == k)
        *end = reach(p, s, n, *end, quantity);
    return k;
}

/* Adds the charges of amount i; 0, or -1 with `why` set. */
static int charge_amount(struct biller *p, struct bill_tariff *t, const struct usage *u, int i,
                         int lines, struct bill *out) {
    const struct usage_amount *a = &u->amount[i];
    struct bill_slot *s = bill_slot_of(p, t, a);
    struct bill_numbers numbers;
    const struct bill_numbers *n = NULL;
    if (s->why && a->kind == USAGE_REQUEST)     /* of every record, and few books charge it */
        return 0;
    if (s->why)
        return unpriced_amount(p, a, s->why, out), -1;
    if (s->tiered) {
        bill_number(u, i, &numbers);
        n = &numbers;
    }
    for (int64_t at = 0, end; at < a->quantity; at = end) {
        int k = span(p, t, s, n, at, a->quantity, &end);
        const struct bill_choice *c = &s->choice[k];
        money_rate charge;
        if (c->why)
            return unpriced_amount(p, a, c->why, out), -1;
        if (bill_charge(&p->b->row[c->row], c, end - at, &charge) ||
            __builtin_add_overflow(out->yocto, charge, &out->yocto))
            return unpriced_amount(p, a, "more than can be counted", out), -1;
        if (lines)
            add_line(p, a, end - at, c, charge, out);
    }
    return 0;
}

int bill_price(struct biller *p, const struct usage *u, int lines, struct bill *out) {
    out->at_ns = bill_time(p, u);
    out->usd = 0;
    out->yocto = 0;
    out->n = out->cut = 0;
    out->why[0] = '\0';
    struct bill_tariff *t = bill_tariff_of(p, u, out->at_ns);
    out->model = t->model;
    if (t->model < 0)
        return unpriced_model(bill_model_text(p, u), out);
    if (t->state[t->now].why)
        return unpriced_word(p, u, t->state[t->now].why, out);
    for (int i = 0; i < u->n; i++)
        if (charge_amount(p, t, u, i, lines, out))
            return BILL_UNPRICED;
    out->usd = money_round(out->yocto);
    return BILL_PRICED;
}
