/* book_lint_prices.c - a model's prices beside each other, see book_lint.h
 *
 * Two rows are compared when all but one of their selectors are the same and they can hold at one
 * time: a write with the input of its service and tier, a tier with what is below it.
 */
#include "lib/cost/book_lint_impl.h"

#include <string.h>

#define MINUTE_NS ((int64_t)60000000000)

/* Dollars per million tokens, or per unit: for words. */
static double dollars(const struct book_row *r) {
    int token = r->per == BOOK_PER_MTOK || r->per == BOOK_PER_ACTIVE;
    return (double)r->rate * (token ? 1e-18 : 1e-24);
}

static const char *price_text(const struct book_row *r, char out[MONEY_TEXT]) {
    int token = r->per == BOOK_PER_MTOK || r->per == BOOK_PER_ACTIVE ||
                (r->per == BOOK_PER_HOUR && r->kind == USAGE_STORAGE);
    return money_rate_text(r->rate, token ? 1000000 : 1, out);
}

/* ---- rows that are alike --------------------------------------------------------------------- */

enum { DROP_TTL = 1, DROP_SERVICE = 2, DROP_TIER = 4 };

static int same_window(const struct book_select *a, const struct book_select *b) {
    return a->days == b->days && a->hours == b->hours && a->zone_s == b->zone_s &&
           !memcmp(a->hour, b->hour, sizeof a->hour);
}

/* b has what a has, but for what is dropped, which it must not have. */
static int is_like(const struct book_select *a, const struct book_select *b, int drop) {
    if (b->service != (drop & DROP_SERVICE ? BOOK_ANY : a->service) ||
        b->ttl_ns != (drop & DROP_TTL ? 0 : a->ttl_ns) || b->region != a->region ||
        b->speed != a->speed || b->modality != a->modality || !same_window(a, b))
        return 0;
    if (drop & DROP_TIER ? b->above >= a->above : b->above != a->above)
        return 0;
    return book_lint_together(a, b);
}

struct pair_search {
    const struct book *b;
    const int *row;
    int n, at;
};

/* The next price row of this kind that is like r; NULL: no more. */
static const struct book_row *next_like(struct pair_search *s, const struct book_row *r, int kind,
                                        int drop) {
    while (s->at < s->n) {
        const struct book_row *o = &s->b->row[s->row[s->at++]];
        if (!o->factor && o != r && o->model == r->model && o->kind == kind &&
            o->per == r->per && is_like(&r->when, &o->when, drop))
            return o;
    }
    return NULL;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Within a hundredth of so many quarters of the other price. */
static int is_quarters(money_rate a, money_rate b, int quarters) {
    money_rate want = b * quarters;
    money_rate off = a * 4 > want ? a * 4 - want : want - a * 4;
    return off * 100 <= want;
}

static void check_write(struct book_lint *l, struct pair_search s, const struct book_row *r) {
    const struct book_row *in;
    char a[MONEY_TEXT];
    char b[MONEY_TEXT];
    int64_t life = r->when.ttl_ns;
    const char *name = book_lint_name(l->b, r->model);
    if (!life && r->model >= 0)
        life = l->b->model[r->model].default_ttl_ns;
    while ((in = next_like(&s, r, USAGE_INPUT, DROP_TTL))) {
        if (life == 5 * MINUTE_NS && !is_quarters(r->rate, in->rate, 5))
            book_lint_error(l, r->line, "write-5m", "%.80s: %s is not 1.25 times input, %s", name,
                            price_text(r, a), price_text(in, b));
        else if (life == 60 * MINUTE_NS && !is_quarters(r->rate, in->rate, 8))
            book_lint_error(l, r->line, "write-1h", "%.80s: %s is not 2 times input, %s", name,
                            price_text(r, a), price_text(in, b));
        else if (r->rate < in->rate)
            book_lint_warn(l, r->line, "write-input", "%.80s: %s is less than input, %s", name,
                           price_text(r, a), price_text(in, b));
    }
}

static void check_read(struct book_lint *l, struct pair_search s, const struct book_row *r) {
    const struct book_row *in;
    char a[MONEY_TEXT];
    char b[MONEY_TEXT];
    while ((in = next_like(&s, r, USAGE_INPUT, 0)))
        if (r->rate > in->rate)
            book_lint_error(l, r->line, "read-input", "%.80s: %s is more than input, %s",
                            book_lint_name(l->b, r->model), price_text(r, a), price_text(in, b));
}

static void check_output(struct book_lint *l, struct pair_search s, const struct book_row *r) {
    const struct book_row *in;
    char a[MONEY_TEXT];
    char b[MONEY_TEXT];
    while (r->rate && (in = next_like(&s, r, USAGE_INPUT, 0)))
        if (r->rate < in->rate)
            book_lint_warn(l, r->line, "output-input", "%.80s: %s is less than input, %s",
                           book_lint_name(l->b, r->model), price_text(r, a), price_text(in, b));
}

/* 1: batch and flex, which cost less; -1: priority, which costs more; 0: others. */
static int service_sign(const struct book *b, int service) {
    const char *word = service < 0 ? "" : b->word[service];
    if (!strcmp(word, "batch") || !strcmp(word, "flex"))
        return 1;
    return strcmp(word, "priority") ? 0 : -1;
}

static void check_service(struct book_lint *l, struct pair_search s, const struct book_row *r) {
    const struct book_row *plain;
    char a[MONEY_TEXT];
    char b[MONEY_TEXT];
    int sign = service_sign(l->b, r->when.service);
    const char *name = book_lint_name(l->b, r->model);
    while (sign && (plain = next_like(&s, r, r->kind, DROP_SERVICE))) {
        if (sign > 0 && r->rate > plain->rate)
            book_lint_error(l, r->line, "batch", "%.80s: %s is more than standard, %s", name,
                            price_text(r, a), price_text(plain, b));
        if (sign < 0 && r->rate < plain->rate)
            book_lint_warn(l, r->line, "priority", "%.80s: %s is less than standard, %s", name,
                           price_text(r, a), price_text(plain, b));
    }
}

static void check_tier(struct book_lint *l, struct pair_search s, const struct book_row *r) {
    const struct book_row *below;
    char a[MONEY_TEXT];
    char b[MONEY_TEXT];
    while (r->when.above >= 0 && (below = next_like(&s, r, r->kind, DROP_TIER)))
        if (r->rate < below->rate)
            book_lint_error(l, r->line, "tier", "%.80s: %s above %lld tokens is less than below, "
                            "%s", book_lint_name(l->b, r->model), price_text(r, a),
                            (long long)r->when.above, price_text(below, b));
}

/* Ten times off another row of the kind: sounds and services may be, but not so far. */
static void check_siblings(struct book_lint *l, struct pair_search s, const struct book_row *r) {
    char a[MONEY_TEXT];
    char b[MONEY_TEXT];
    while (s.at < s.n) {
        const struct book_row *o = &s.b->row[s.row[s.at++]];
        if (o->factor || o->model != r->model || o->kind != r->kind || o->per != r->per ||
            o->when.modality != r->when.modality || o->line >= r->line || !o->rate || !r->rate)
            continue;
        if (r->rate / 10 <= o->rate && o->rate / 10 <= r->rate)
            continue;
        book_lint_warn(l, r->line, "siblings", "%.80s: %s is ten times off line %d, %s",
                       book_lint_name(l->b, r->model), price_text(r, a), o->line,
                       price_text(o, b));
        return;
    }
}

static void check_magnitude(struct book_lint *l, const struct book_row *r) {
    char a[MONEY_TEXT];
    double usd = dollars(r);
    if (r->per == BOOK_PER_MTOK && r->rate && (usd < 0.001 || usd > 1000))
        book_lint_warn(l, r->line, "magnitude", "%.80s: $%s for a million tokens: is it the price "
                       "of something else?", book_lint_name(l->b, r->model), price_text(r, a));
}

/* ---- factors --------------------------------------------------------------------------------- */

static void check_factor(struct book_lint *l, const struct book_row *r) {
    char a[MONEY_TEXT];
    int sign = service_sign(l->b, r->when.service);
    const char *name = book_lint_name(l->b, r->model);
    money_factor_text(r->times, a);
    if (sign > 0 && r->times > MONEY_FACTOR)
        book_lint_error(l, r->line, "batch", "%.80s: a factor of %s is more than standard", name,
                        a);
    if (sign < 0 && r->times < MONEY_FACTOR)
        book_lint_warn(l, r->line, "priority", "%.80s: a factor of %s is less than standard", name,
                       a);
    if (r->when.above >= 0 && r->times < MONEY_FACTOR)
        book_lint_error(l, r->line, "tier", "%.80s: a factor of %s above %lld tokens is less than "
                        "below", name, a, (long long)r->when.above);
}

/* ---- gaps ------------------------------------------------------------------------------------ */

/* A row ends, a later one of the same set begins, and none is valid between. */
static void check_gap(struct book_lint *l, struct pair_search s, const struct book_row *r) {
    const struct book_row *next = NULL;
    struct book_select end = r->when;
    end.from_ns = BOOK_ALWAYS;
    end.to_ns = BOOK_NEVER;
    while (s.at < s.n) {
        const struct book_row *o = &s.b->row[s.row[s.at++]];
        if (o == r || o->factor || o->model != r->model || o->kind != r->kind ||
            !is_like(&end, &o->when, 0) || o->when.to_ns <= r->when.to_ns)
            continue;
        if (o->when.from_ns <= r->when.to_ns)
            return;
        if (!next || o->when.from_ns < next->when.from_ns)
            next = o;
    }
    if (next)
        book_lint_warn(l, r->line, "gap", "%.80s: no price is valid between this row's end and "
                       "line %d", book_lint_name(l->b, r->model), next->line);
}

/* ---- a model --------------------------------------------------------------------------------- */

void book_lint_prices(struct book_lint *l, int model) {
    struct pair_search s = {.b = l->b};
    s.row = book_rows_of(l->b, model, &s.n);
    for (int i = 0; i < s.n; i++) {
        const struct book_row *r = &l->b->row[s.row[i]];
        if (r->model < 0 && model > 0)          /* those of "*" once */
            continue;
        if (r->factor) {
            check_factor(l, r);
            continue;
        }
        if (r->kind == USAGE_WRITE)
            check_write(l, s, r);
        else if (r->kind == USAGE_READ)
            check_read(l, s, r);
        else if (r->kind == USAGE_OUTPUT)
            check_output(l, s, r);
        check_service(l, s, r);
        check_tier(l, s, r);
        check_siblings(l, s, r);
        check_magnitude(l, r);
        if (r->when.to_ns != BOOK_NEVER)
            check_gap(l, s, r);
    }
}
