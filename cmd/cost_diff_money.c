/* cost_diff_money.c - what llm-cost diff and check say of money
 *
 * Both sides are priced as of one moment, and by one book unless two are asked for: a price that
 * changed in between is no change of the program.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff.h"

/* ---- books -------------------------------------------------------------------------------- */

static int has_usage(const struct diff *d) {
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < d->side[side].n; i++)
            if (d->side[side].record[i].has_usage)
                return 1;
    return 0;
}

/* --at, the policy's day, the last time that head or base says, now. */
static int64_t moment(const struct diff *d) {
    if (d->opt->books.at_ns != USAGE_NO_TIME)
        return d->opt->books.at_ns;
    if (d->policy->at_ns != INT64_MIN)
        return d->policy->at_ns;
    for (int side = 1; side >= 0; side--)
        if (d->side[side].timed)
            return d->side[side].last_ns;
    return d->opt->books.now_ns;
}

/* Two books: base's and head's. */
static void open_books(struct diff *d) {
    struct bill_options o = {.at_ns = moment(d), .now_ns = d->opt->books.now_ns,
                             .model = d->opt->model};
    d->at_ns = o.at_ns;
    for (int side = 0; side < 2; side++) {
        d->book[side] = d->opt->books.book[side && d->opt->books.n > 1];
        d->biller[side] = biller_new(d->book[side], &o);
    }
}

void diff_money_free(struct diff *d) {
    for (int side = 0; side < 2; side++)
        biller_free(d->biller[side]);
}

/* ---- records ------------------------------------------------------------------------------ */

static int price(struct diff *d, int side, const struct usage *u, money *usd, struct bill *b) {
    if (bill_price(d->biller[side], u, 0, b) != BILL_PRICED)
        return 0;
    *usd = b->usd;
    return 1;
}

/* What the prompt alone costs, by what can be told before it is sent: fresh, but for a prefix that
 * a case before had. */
static int price_prompt(struct diff *d, int side, struct diff_record *r, struct bill *b) {
    struct usage u = r->use;
    int64_t prompt = usage_prompt(&r->use);
    int64_t read = r->cacheable > 0 ? r->cacheable : 0;
    u.n = 0;
    usage_add(&u, USAGE_READ, USAGE_TEXT, 0, read);
    usage_add(&u, USAGE_INPUT, USAGE_TEXT, 0, prompt - read);
    return price(d, side, &u, &r->prompt_usd, b);
}

struct prices {
    size_t priced, unpriced;
    char why[256];              /* of the first without a price */
};

static void price_side(struct diff *d, int side, struct prices *p) {
    struct bill b;
    for (size_t i = 0; i < d->side[side].n; i++) {
        struct diff_record *r = &d->side[side].record[i];
        if (!r->has_usage)
            continue;
        r->priced = price(d, side, &r->use, &r->usd, &b) && price_prompt(d, side, r, &b);
        p->priced += r->priced != 0;
        if (!r->priced && !p->unpriced++)
            snprintf(p->why, sizeof p->why, "%s", b.why);
    }
}

static double usd_of(const struct diff *d, int side, const struct diff_record *r, void *arg) {
    (void)d, (void)side, (void)arg;
    return r->priced ? money_dollars(r->usd) : NAN;
}

static double prompt_usd_of(const struct diff *d, int side, const struct diff_record *r,
                            void *arg) {
    (void)d, (void)side, (void)arg;
    return r->priced ? money_dollars(r->prompt_usd) : NAN;
}

/* ---- the change taken apart --------------------------------------------------------------- */

static int price_mixture(void *arg, int side, const struct usage *u, money *usd) {
    struct bill b;
    return price(arg, side, u, usd, &b);
}

static const struct usage *usage_at(const struct diff *d, int side, const size_t *index, size_t n,
                                    size_t k) {
    const struct diff_record *r = k < n ? &d->side[side].record[index[k]] : NULL;
    return r && r->has_usage ? &r->use : NULL;
}

/* Of one case the first of base with the first of head, and so on. */
static int split(struct diff *d) {
    d->split = (struct gate_split){.price = price_mixture, .arg = d,
                                   .merge_cache = !d->policy->cache};
    for (size_t i = 0; i < d->cases.n; i++) {
        const struct diff_case *c = &d->cases.c[i];
        size_t n = c->base_n > c->head_n ? c->base_n : c->head_n;
        for (size_t k = 0; k < n; k++)
            if (gate_split_add(&d->split, usage_at(d, 0, c->base, c->base_n, k),
                               usage_at(d, 1, c->head, c->head_n, k)))
                return 0;
    }
    gate_split_done(&d->split);
    return 1;
}

/* ---- metrics ------------------------------------------------------------------------------ */

void diff_price(struct diff *d) {
    struct prices p = {0};
    if (!has_usage(d) || !d->opt->books.n)
        return;
    open_books(d);
    price_side(d, 0, &p);
    price_side(d, 1, &p);
    if (p.priced && !p.unpriced) {
        diff_add_cases(d, "prompt_usd", "usd", prompt_usd_of, NULL);
        diff_add_cases(d, "usd", "usd", usd_of, NULL);
        d->has_split = split(d);
    } else if (p.unpriced) {
        diff_add_unknown(d, "prompt_usd", "usd", p.why);
        diff_add_unknown(d, "usd", "usd", p.why);
    }
}
