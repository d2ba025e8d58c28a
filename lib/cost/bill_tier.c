/* bill_tier.c - the numbers of tokens, and on which side of a threshold they are, see bill.h */
#include "lib/cost/bill_impl.h"

#include "lib/base/mem.h"

/* ---- numbers ------------------------------------------------------------------------------ */

/* The order in which tokens are numbered; what is no token comes last. */
static int place_of(int kind) {
    static const uint8_t place[USAGE_KINDS] = {
        [USAGE_READ] = 0, [USAGE_WRITE] = 1, [USAGE_INPUT] = 2, [USAGE_REASONING] = 3,
        [USAGE_OUTPUT] = 4, [USAGE_STORAGE] = 5, [USAGE_REQUEST] = 5, [USAGE_SECOND] = 5,
        [USAGE_SEARCH] = 5};
    return place[kind];
}

static int is_prompt(int kind) {
    return place_of(kind) <= 2;
}

int bill_is_token(int kind) {
    return place_of(kind) < 5;
}

static int class_of(int kind) {
    return kind == USAGE_REASONING ? USAGE_OUTPUT : kind;
}

static int is_before(const struct usage_amount *a, const struct usage_amount *b) {
    if (a->kind != b->kind)
        return place_of(a->kind) < place_of(b->kind);
    if (a->modality != b->modality)
        return a->modality < b->modality;
    return a->ttl_ns < b->ttl_ns;
}

static void add(int64_t *sum, int64_t n) {
    if (__builtin_add_overflow(*sum, n, sum))
        *sum = INT64_MAX;
}

void bill_number(const struct usage *u, int i, struct bill_numbers *n) {
    const struct usage_amount *a = &u->amount[i];
    *n = (struct bill_numbers){0};
    for (int k = 0; k < u->n; k++) {
        const struct usage_amount *other = &u->amount[k];
        int before = is_before(other, a);
        if (is_prompt(other->kind))
            add(&n->prompt, other->quantity);
        if (bill_is_token(other->kind))
            add(&n->total, other->quantity);
        if (class_of(other->kind) == class_of(a->kind)) {
            add(&n->class_sum, other->quantity);
            if (before)
                add(&n->in_class, other->quantity);
        }
        if (before)
            add(&n->in_total, other->quantity);
    }
    n->in_prompt = is_prompt(a->kind) ? n->in_total : -1;
    if (!bill_is_token(a->kind))
        n->in_total = -1;
}

/* ---- thresholds --------------------------------------------------------------------------- */

void bill_tier(const struct biller *p, const struct book_row *r, int *cmp, int *mode, int *of) {
    const struct bill_tiers *t = p->opt.tiers;
    *cmp = t && t->cmp >= 0 ? t->cmp : r->when.cmp;
    *mode = t && t->mode >= 0 ? t->mode : r->when.mode;
    *of = t && t->of >= 0 ? t->of : r->when.of;
}

int64_t bill_measure(const struct bill_numbers *n, int of) {
    return of == BOOK_OF_PROMPT ? n->prompt : of == BOOK_OF_CLASS ? n->class_sum : n->total;
}

/* Tokens before the amount, -1 where all of it stands at the end. */
static int64_t before(const struct bill_numbers *n, int of) {
    return of == BOOK_OF_PROMPT ? n->in_prompt : of == BOOK_OF_CLASS ? n->in_class : n->in_total;
}

int bill_beyond(const struct biller *p, const struct book_row *r, const struct bill_numbers *n,
                int64_t offset) {
    int cmp;
    int mode;
    int of;
    if (r->when.above < 0)
        return 1;
    if (!n)
        return 0;
    bill_tier(p, r, &cmp, &mode, &of);
    int64_t number = bill_measure(n, of);
    if (mode == BOOK_MARGINAL && before(n, of) >= 0)
        number = before(n, of) + offset + 1;
    return cmp == BOOK_GE ? number >= r->when.above : number > r->when.above;
}

int64_t bill_turn(const struct biller *p, const struct book_row *r, const struct bill_numbers *n,
                  int64_t offset, int64_t quantity) {
    int cmp;
    int mode;
    int of;
    if (r->when.above < 0 || !n)
        return quantity;
    bill_tier(p, r, &cmp, &mode, &of);
    if (mode != BOOK_MARGINAL || before(n, of) < 0)
        return quantity;
    int64_t first = r->when.above + (cmp == BOOK_GT);       /* number of the first token in it */
    int64_t turn = first - 1 - before(n, of);
    return turn > offset && turn < quantity ? turn : quantity;
}

/* ---- choosing ----------------------------------------------------------------------------- */

static int first_beyond(const struct biller *p, const int *row, int n,
                        const struct bill_numbers *numbers, int64_t offset) {
    for (int i = 0; i < n; i++)
        if (bill_beyond(p, &p->b->row[row[i]], numbers, offset))
            return row[i];
    return -1;
}

/* One factor of each set; -1 when there are more than a line has room for. */
static int choose_factors(const struct biller *p, const struct bill_slot *s, int row_kind,
                          const struct bill_numbers *n, int64_t offset, int *factor) {
    int count = 0;
    for (int i = 0, end; i < s->factors; i = end) {
        const struct book_row *r = &p->b->row[s->factor[i]];
        for (end = i + 1; end < s->factors; end++)
            if (bill_factor_set(&p->b->row[s->factor[end]]) != bill_factor_set(r))
                break;
        int row = bill_factor_counts(r, s->kind, row_kind)
                      ? first_beyond(p, s->factor + i, end - i, n, offset) : -1;
        if (row >= 0 && count == BILL_FACTORS)
            return -1;
        if (row >= 0)
            factor[count++] = row;
    }
    return count;
}

static const char *const too_large = "more than can be counted";

/* rate x factor, checked: 128 bits hold what is left of the product's billionths. */
static int scale(money_rate *rate, int64_t times) {
    money_rate whole;
    if (__builtin_mul_overflow(*rate / MONEY_FACTOR, times, &whole) ||
        __builtin_add_overflow(whole, (money_rate)times, &whole))
        return -1;
    *rate = money_scale(*rate, times);
    return 0;
}

/* So many units of the amount cost the row's rate. */
static int64_t per_of(const struct book_row *r, int kind) {
    if (r->per == BOOK_PER_HOUR)
        return kind == USAGE_STORAGE ? (int64_t)3600 * 1000 : (int64_t)3600 * 1000000000;
    return r->per == BOOK_PER_UNIT && r->unit_tokens > 0 ? r->unit_tokens : 1;
}

static void set_rate(const struct biller *p, const struct bill_tariff *t,
                     const struct bill_slot *s, struct bill_choice *c) {
    const struct book_row *r = &p->b->row[c->row];
    double active = p->b->model[t->model].active;
    c->rate = r->rate;
    c->per = per_of(r, s->kind);
    if (r->per == BOOK_PER_ACTIVE) {
        if (!(active >= 1))
            c->why = "the book does not say how many parameters it activates";
        /* as a factor: parameters in billions have nine decimals too */
        else if (active >= 0x1p53 || scale(&c->rate, (int64_t)active))
            c->why = too_large;
    }
    for (int i = 0; i < c->factors && !c->why; i++)
        if (scale(&c->rate, p->b->row[c->factor[i]].times))
            c->why = too_large;
}

static int same_choice(const struct bill_choice *a, const struct bill_choice *b) {
    if (a->row != b->row || a->factors != b->factors)
        return 0;
    for (int i = 0; i < a->factors; i++)
        if (a->factor[i] != b->factor[i])
            return 0;
    return 1;
}

/* Rates are worked out once for each set of rows. */
int bill_choose(struct biller *p, const struct bill_tariff *t, struct bill_slot *s,
                const struct bill_numbers *n, int64_t offset) {
    struct bill_choice c = {.row = -1, .per = 1};
    if (!n && s->choices)
        return 0;
    c.row = first_beyond(p, s->price, s->prices, n, offset);
    if (c.row >= 0)
        c.factors = choose_factors(p, s, p->b->row[c.row].kind, n, offset, c.factor);
    for (int i = 0; i < s->choices; i++)
        if (same_choice(&s->choice[i], &c))
            return i;
    if (c.factors < 0)
        c.why = "more factors hold at once than a charge may have";
    else if (c.row < 0)
        c.why = s->prices ? "its rows begin above a threshold" : "no row";
    else
        set_rate(p, t, s, &c);
    s->choice = mem_grow(s->choice, (size_t)s->choices + 1, sizeof *s->choice);
    s->choice[s->choices] = c;
    return s->choices++;
}
