/* bill_slot.c - the rows and factors of a kind, a modality and a cache life, see bill.h
 *
 * Everything but thresholds is settled here: a slot's lists are what may be charged, the best
 * first, so that pricing a record takes the first whose threshold is passed.
 */
#include "lib/cost/bill_impl.h"

#include <stdlib.h>

#include "lib/base/mem.h"

int bill_fallback(int kind) {
    switch (kind) {
    case USAGE_READ:
    case USAGE_WRITE: return USAGE_INPUT;
    case USAGE_REASONING: return USAGE_OUTPUT;
    }
    return -1;
}

/* ---- what holds --------------------------------------------------------------------------- */

static int equals(int of_row, int of_request) {
    return of_row == BOOK_ANY || of_row == of_request;
}

int bill_row_fits(const struct bill_tariff *t, const struct book_row *r) {
    return equals(r->when.service, t->service) && equals(r->when.region, t->region) &&
           equals(r->when.speed, t->speed);
}

/* What a slot asks of its rows. */
struct wanted {
    const struct biller *p;
    const struct bill_tariff *t;
    const int *row;             /* of the model */
    const unsigned char *holds;
    int n;
    int modality;               /* word */
    int64_t ttl_ns;             /* 0: not said, and the model has no default */
    int64_t plain_ns;           /* rows without ttl are for it; 0: for what is not said */
    int free_modality, free_ttl;        /* a factor mentions it: rows need not */
};

/* Holds for the request: model, time, service, region, speed. */
static int holds(const struct wanted *w, int i) {
    return w->holds[i] && bill_row_fits(w->t, &w->p->b->row[w->row[i]]);
}

static int life_fits(const struct wanted *w, const struct book_select *when) {
    return !when->ttl_ns || when->ttl_ns == w->ttl_ns;
}

static int factor_fits(const struct wanted *w, const struct book_row *r) {
    return r->factor && equals(r->when.modality, w->modality) && life_fits(w, &r->when);
}

int bill_factor_counts(const struct book_row *factor, int kind, int row_kind) {
    return factor->kind == kind || factor->kind == row_kind ||
           (factor->kind == BOOK_ANY && bill_is_token(kind));
}

static int price_fits(const struct wanted *w, const struct book_row *r, int kind) {
    int text = w->p->modality[USAGE_TEXT];
    if (r->factor || r->kind != kind || !equals(r->when.modality, w->modality))
        return 0;
    if (r->when.modality == BOOK_ANY && w->modality != text && !w->free_modality)
        return 0;
    if (kind != USAGE_WRITE)
        return !r->when.ttl_ns;
    return life_fits(w, &r->when) &&
           (r->when.ttl_ns || w->ttl_ns == w->plain_ns || w->free_ttl);
}

/* ---- the best first ----------------------------------------------------------------------- */

static int bits(unsigned x) {
    return __builtin_popcount(x);
}

unsigned bill_factor_set(const struct book_row *r) {
    unsigned tier = r->when.above >= 0;
    return book_selectors(&r->when) | tier << 8 | (unsigned)(r->kind + 1) << 9;
}

/* Of two rows of one rank of kinds: below 0 when a goes before b. Factors of one set stand
 * together. */
static int compare(const struct book_row *a, const struct book_row *b) {
    int many = bits(book_selectors(&b->when)) - bits(book_selectors(&a->when));
    int star = (a->model == BOOK_ANY) - (b->model == BOOK_ANY);
    if (a->factor) {
        unsigned sa = bill_factor_set(a);
        unsigned sb = bill_factor_set(b);
        many = (sa > sb) - (sa < sb);
        if (many)
            return many;
    }
    if (star)
        return star;
    if (many)
        return many;
    return (a->when.above < b->when.above) - (a->when.above > b->when.above);
}

/* Into a list of *n, sorted from `from` on; equals keep the order of the text. */
static void insert(const struct book *b, int **list, int *n, int from, int row) {
    int at = *n;
    *list = mem_grow(*list, (size_t)*n + 1, sizeof **list);
    for (; at > from && compare(&b->row[row], &b->row[(*list)[at - 1]]) < 0; at--)
        (*list)[at] = (*list)[at - 1];
    (*list)[at] = row;
    ++*n;
}

/* ---- filling ------------------------------------------------------------------------------ */

static void add_factors(const struct wanted *w, struct bill_slot *s, int other) {
    const struct book *b = w->p->b;
    for (int i = 0; i < w->n; i++) {
        const struct book_row *r = &b->row[w->row[i]];
        if (holds(w, i) && factor_fits(w, r) && bill_factor_counts(r, s->kind, other))
            insert(b, &s->factor, &s->factors, 0, w->row[i]);
    }
}

/* Prices of a kind behind those that are there. */
static void add_prices(struct wanted *w, struct bill_slot *s, int kind) {
    const struct book *b = w->p->b;
    int from = s->prices;
    w->free_modality = w->free_ttl = 0;
    for (int i = 0; i < s->factors; i++) {
        const struct book_row *r = &b->row[s->factor[i]];
        int counts = bill_factor_counts(r, s->kind, kind);
        w->free_modality |= counts && r->when.modality != BOOK_ANY;
        w->free_ttl |= counts && r->when.ttl_ns;
    }
    for (int i = 0; i < w->n; i++)
        if (holds(w, i) && price_fits(w, &b->row[w->row[i]], kind))
            insert(b, &s->price, &s->prices, from, w->row[i]);
}

static int has_prices(const struct wanted *w, int kind) {
    for (int i = 0; i < w->n; i++) {
        const struct book_row *r = &w->p->b->row[w->row[i]];
        if (w->holds[i] && !r->factor && r->kind == kind)
            return 1;
    }
    return 0;
}

/* Whether rows of the kind were, or will be, but do not hold now. */
static int has_at_other_times(const struct wanted *w, int kind) {
    for (int i = 0; i < w->n; i++) {
        const struct book_row *r = &w->p->b->row[w->row[i]];
        if (!w->holds[i] && bill_row_fits(w->t, r) && price_fits(w, r, kind))
            return 1;
    }
    return 0;
}

static void note_tiers(const struct wanted *w, struct bill_slot *s, const int *row, int n) {
    for (int i = 0; i < n; i++) {
        const struct book_row *r = &w->p->b->row[row[i]];
        int cmp;
        int mode;
        int of;
        if (r->when.above < 0)
            continue;
        bill_tier(w->p, r, &cmp, &mode, &of);
        s->tiered = 1;
        s->marginal |= mode == BOOK_MARGINAL;
    }
}

void bill_slot_fill(struct biller *p, const struct bill_tariff *t, const unsigned char *held,
                    struct bill_slot *s) {
    const struct book_model *m = &p->b->model[t->model];
    struct wanted w = {.p = p, .t = t, .holds = held, .modality = p->modality[s->modality],
                       .plain_ns = m->default_ttl_ns};
    int other = bill_fallback(s->kind);
    w.row = book_rows_of(p->b, t->model, &w.n);
    w.ttl_ns = s->kind != USAGE_WRITE ? 0 : s->ttl_ns ? s->ttl_ns : m->default_ttl_ns;
    add_factors(&w, s, other);
    add_prices(&w, s, s->kind);
    if (other >= 0 && (s->kind != USAGE_WRITE || !has_prices(&w, USAGE_WRITE)))
        add_prices(&w, s, other);
    note_tiers(&w, s, s->price, s->prices);
    note_tiers(&w, s, s->factor, s->factors);
    if (s->prices)
        return;
    if (s->modality != USAGE_TEXT && !w.free_modality)
        s->why = "no row for this modality";
    else if (s->kind == USAGE_WRITE && has_prices(&w, USAGE_WRITE))
        s->why = w.ttl_ns ? "no row for this cache life" : "its price depends on the cache life, "
                                                           "which the record does not say";
    else
        s->why = has_at_other_times(&w, s->kind) ? "no row at that time" : "no row";
}

void bill_slot_free(struct bill_slot *s) {
    free(s->price);
    free(s->factor);
    free(s->choice);
}
