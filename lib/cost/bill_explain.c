/* bill_explain.c - the rules that fired, step by step, see bill.h
 *
 * The bill itself is bill_price's; here its lines are told again, with what stood beside them.
 */
#include "lib/cost/bill_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

struct story {
    struct biller *p;
    const struct usage *u;
    struct bill_tariff *t;
    const struct bill *bill;
    struct bill_steps *steps;
};

/* Takes the text over. */
static struct bill_step *add(struct story *s, const char *rule, int row, char *text) {
    struct bill_steps *to = s->steps;
    to->step = mem_grow(to->step, (size_t)to->n + 1, sizeof *to->step);
    struct bill_step *step = &to->step[to->n++];
    *step = (struct bill_step){.rule = rule, .row = row, .text = text,
                               .line = row >= 0 ? s->p->b->row[row].line : 0};
    return step;
}

/* ---- the request -------------------------------------------------------------------------- */

static void tell_word(struct story *s, const char *rule, struct reqs_text t, int word,
                      int is_priced) {
    int len = (int)(t.len < 60 ? t.len : 60);
    if (!t.data || !t.len || !word)
        return;
    if (!is_priced)
        add(s, rule, -1, mem_printf("%.*s: no row of the model is for it: what holds for "
                                    "all", len, t.data));
    else
        add(s, rule, -1, mem_printf("%.*s", len, t.data));
}

static int mentions_region(const struct story *s) {
    int n;
    const int *row = book_rows_of(s->p->b, s->t->model, &n);
    for (int i = 0; i < n; i++)
        if (s->p->b->row[row[i]].when.region == s->t->region)
            return 1;
    return 0;
}

static void tell_request(struct story *s) {
    const struct book *b = s->p->b;
    struct reqs_text name = bill_model_text(s->p, s->u);
    add(s, "model", -1, bill_words_model(b, s->t->model, name))->line =
        b->model[s->t->model].line;
    add(s, "time", -1, bill_words_time(s->p, s->u, s->bill->at_ns));
    tell_word(s, "service", bill_service_text(s->p, s->u), s->t->service, 1);
    tell_word(s, "region", s->u->region, s->t->region, mentions_region(s));
    tell_word(s, "speed", s->u->speed, s->t->speed, 1);
}

/* ---- an amount ---------------------------------------------------------------------------- */

static int is_same(const struct usage_amount *a, const struct usage_amount *b) {
    return a->kind == b->kind && a->modality == b->modality && a->ttl_ns == b->ttl_ns;
}

/* The next line of an amount from k on, or -1. */
static int next_line(const struct story *s, const struct usage_amount *a, int k) {
    for (; k < s->bill->n; k++)
        if (is_same(&s->bill->line[k].amount, a))
            return k;
    return -1;
}

/* Whether a line of the amount is charged by this row, or a factor of it. */
static int is_used(const struct story *s, const struct usage_amount *a, int row) {
    for (int k = next_line(s, a, 0); k >= 0; k = next_line(s, a, k + 1)) {
        const struct bill_line *l = &s->bill->line[k];
        if (l->row == row)
            return 1;
        for (int f = 0; f < l->factors; f++)
            if (l->factor[f] == row)
                return 1;
    }
    return 0;
}

/* Rows that could have been meant: of the kind, of that whose row it costs, or factors. */
static int is_near(const struct book_row *r, const struct usage_amount *a, int row_kind) {
    if (r->factor)
        return bill_factor_counts(r, a->kind, row_kind);
    return r->kind == a->kind || r->kind == row_kind;
}

/* The factor of the same set that counts, or -1. */
static int factor_beside(const struct story *s, const struct bill_line *l,
                         const struct book_row *r) {
    for (int f = 0; f < l->factors; f++)
        if (bill_factor_set(&s->p->b->row[l->factor[f]]) == bill_factor_set(r))
            return l->factor[f];
    return -1;
}

static void tell_passed(struct story *s, int i) {
    const struct usage_amount *a = &s->u->amount[i];
    int k = next_line(s, a, 0);
    const struct bill_line *l = k >= 0 ? &s->bill->line[k] : NULL;
    int row_kind = l ? s->p->b->row[l->row].kind : a->kind;
    int n;
    const int *row = book_rows_of(s->p->b, s->t->model, &n);
    for (int j = 0; j < n; j++) {
        const struct book_row *r = &s->p->b->row[row[j]];
        if (!is_near(r, a, row_kind) || is_used(s, a, row[j]))
            continue;
        int best = !l ? -1 : r->factor ? factor_beside(s, l, r) : l->row;
        add(s, "passed", row[j], bill_words_passed(s->p, s->t, s->u, i, row[j], best));
    }
}

static void tell_factors(struct story *s, const struct bill_line *l, const struct bill_numbers *n,
                         int64_t from) {
    for (int f = 0; f < l->factors; f++) {
        const struct book_row *r = &s->p->b->row[l->factor[f]];
        char times[MONEY_TEXT];
        if (r->when.above >= 0)
            add(s, "tier", l->factor[f],
                bill_words_tier(s->p, r, n, from, from + l->amount.quantity));
        add(s, "factor", l->factor[f], mem_printf("x %s", money_factor_text(r->times, times)));
    }
}

static void tell_line(struct story *s, int i, const struct bill_line *l, int64_t from) {
    const struct book_row *r = &s->p->b->row[l->row];
    struct bill_numbers n;
    bill_number(s->u, i, &n);
    if (l->fallback >= 0)
        add(s, "fallback", -1, mem_printf("%s without a row costs what %s does",
                                          usage_kind_names()[l->amount.kind],
                                          usage_kind_names()[l->fallback]));
    if (l->tiered)
        add(s, "tier", l->row, bill_words_tier(s->p, r, &n, from, from + l->amount.quantity));
    add(s, "row", l->row, bill_words_row(r))->rate = r->rate;
    tell_factors(s, l, &n, from);
    struct bill_step *step = add(s, "charge", l->row, bill_words_charge(r, l));
    step->amount = l->amount;
    step->rate = l->rate;
    step->charge = l->charge;
}

/* 0, or -1 when the amount has no price. */
static int tell_amount(struct story *s, int i) {
    const struct usage_amount *a = &s->u->amount[i];
    int64_t from = 0;
    tell_passed(s, i);
    for (int k = next_line(s, a, 0); k >= 0; k = next_line(s, a, k + 1)) {
        tell_line(s, i, &s->bill->line[k], from);
        from += s->bill->line[k].amount.quantity;
    }
    if (from || s->bill->cut)
        return 0;
    if (a->kind != USAGE_REQUEST)
        return -1;
    add(s, "free", -1, mem_printf("a request costs nothing where no row is for requests"));
    return 0;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void tell_sum(struct story *s) {
    char exact[MONEY_TEXT];
    char rounded[MONEY_TEXT];
    if (s->bill->cut)
        add(s, "more", -1, mem_printf("%d more charges, which the sum has", s->bill->cut));
    money_rate_text(s->bill->yocto, 1, exact);
    money_text(s->bill->usd, rounded);
    if (s->bill->yocto % MONEY_YOCTO)
        add(s, "rounding", -1, mem_printf("%s to the pico-dollar, half to even", exact));
    else
        add(s, "rounding", -1, mem_strdup("none: the sum is whole pico-dollars"));
    add(s, "total", -1, mem_printf("$%s", rounded))->usd = s->bill->usd;
}

int bill_explain(struct biller *p, const struct usage *u, struct bill *out,
                 struct bill_steps *steps) {
    struct story s = {.p = p, .u = u, .bill = out, .steps = steps};
    int priced = bill_price(p, u, 1, out);
    int i = 0;
    if (out->model >= 0) {
        s.t = bill_tariff_of(p, u, out->at_ns);
        tell_request(&s);
        if (!s.t->state[s.t->now].why)
            while (i < u->n && !tell_amount(&s, i))
                i++;
    }
    if (priced == BILL_PRICED)
        tell_sum(&s);
    else
        add(&s, "unpriced", -1, mem_strdup(out->why));
    return priced;
}

void bill_steps_free(struct bill_steps *steps) {
    for (int i = 0; i < steps->n; i++)
        free(steps->step[i].text);
    free(steps->step);
    *steps = (struct bill_steps){0};
}
