/* cost_bound_rule.c - which single rule the difference of two ways comes from, see cost_bound.h
 *
 * One change at a time is made to the dearer bill: a row that fired there and has no like in the
 * cheaper one is taken away; an amount is charged as the cheaper way does. The change that moves
 * the bill most names the rule; a row by itself goes before an exchange that moves as much.
 */
#include "cmd/cost_bound.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    struct bound *x;
    const struct usage *u;
    int low, high;              /* ways */
    const struct book *low_book, *high_book;
    const struct bill *low_bill, *high_bill;
};

/* ---- rows that are alike ---------------------------------------------------------------- */

static int same_word(const struct book *a, int i, const struct book *b, int k) {
    if (i == BOOK_ANY || k == BOOK_ANY)
        return i == k;
    return !strcmp(a->word[i], b->word[k]);
}

static int is_alike(const struct book *a, const struct book_row *x, const struct book *b,
                    const struct book_row *y) {
    const struct book_select *v = &x->when;
    const struct book_select *w = &y->when;
    return x->kind == y->kind && x->factor == y->factor && x->rate == y->rate &&
           x->times == y->times && x->per == y->per && x->unit_tokens == y->unit_tokens &&
           v->above == w->above && v->ttl_ns == w->ttl_ns &&
           same_word(a, v->service, b, w->service) && same_word(a, v->region, b, w->region) &&
           same_word(a, v->speed, b, w->speed) && same_word(a, v->modality, b, w->modality);
}

/* Whether the cheaper bill has fired a row like this one. */
static int has_alike(const struct pair *p, int row) {
    const struct book_row *r = &p->high_book->row[row];
    for (int i = 0; i < p->low_bill->n; i++) {
        const struct bill_line *l = &p->low_bill->line[i];
        if (is_alike(p->high_book, r, p->low_book, &p->low_book->row[l->row]))
            return 1;
        for (int f = 0; f < l->factors; f++)
            if (is_alike(p->high_book, r, p->low_book, &p->low_book->row[l->factor[f]]))
                return 1;
    }
    return 0;
}

/* ---- changes ---------------------------------------------------------------------------- */

/* The charge of an amount, and the row of its largest line. */
static money_rate charge_of(const struct bill *b, const struct usage_amount *a, int *row) {
    money_rate sum = 0;
    money_rate most = -1;
    *row = -1;
    for (int i = 0; i < b->n; i++) {
        const struct bill_line *l = &b->line[i];
        if (l->amount.kind != a->kind || l->amount.modality != a->modality ||
            l->amount.ttl_ns != a->ttl_ns)
            continue;
        sum += l->charge;
        if (l->charge > most) {
            most = l->charge;
            *row = l->row;
        }
    }
    return sum;
}

/* An amount charged as in the cheaper way. */
static void try_exchanges(const struct pair *p, struct bound_rule *best) {
    for (int i = 0; i < p->u->n; i++) {
        int row;
        int other;
        money_rate moves = charge_of(p->high_bill, &p->u->amount[i], &row) -
                           charge_of(p->low_bill, &p->u->amount[i], &other);
        if (row >= 0 && moves > best->moves)
            *best = (struct bound_rule){p->x->way[p->high].book, row, p->x->way[p->low].book,
                                        other, moves};
    }
}

/* A row taken away. More than the difference is not counted. */
static void try_without(const struct pair *p, int row, struct bound_rule *best) {
    static struct bill bill;
    if (has_alike(p, row) ||
        bill_price(bound_without(p->x, p->high, row), p->u, 0, &bill) == BILL_UNPRICED)
        return;
    money_rate moves = p->high_bill->yocto - bill.yocto;
    money_rate most = p->high_bill->yocto - p->low_bill->yocto;
    if (moves > most)
        moves = most;
    if (moves > 0 && (moves > best->moves || (moves == best->moves && best->other_row >= 0)))
        *best = (struct bound_rule){p->x->way[p->high].book, row, -1, -1, moves};
}

struct bound_rule bound_find_rule(struct bound *x, const struct usage *u, int low, int high) {
    struct bound_rule best = {-1, -1, -1, -1, 0};
    struct pair p = {.x = x, .u = u, .low = low, .high = high,
                     .low_book = x->books.book[x->way[low].book],
                     .high_book = x->books.book[x->way[high].book], .low_bill = x->a,
                     .high_bill = x->b};
    bill_price(x->way[low].biller, u, 1, x->a);
    bill_price(x->way[high].biller, u, 1, x->b);
    try_exchanges(&p, &best);
    for (int i = 0; i < x->b->n; i++) {
        const struct bill_line *l = &x->b->line[i];
        try_without(&p, l->row, &best);
        for (int f = 0; f < l->factors; f++)
            try_without(&p, l->factor[f], &best);
    }
    return best;
}

/* ---- words ------------------------------------------------------------------------------ */

static char *row_text(const struct bound *x, int book, int row) {
    const struct book *b = x->books.book[book];
    char *text = book_row_text(b, &b->row[row]);
    char *out = mem_printf("%s:%d %s", x->books.spec[book], b->row[row].line, text);
    free(text);
    return out;
}

char *bound_rule_text(const struct bound *x, const struct bound_rule *r) {
    if (r->row < 0)
        return NULL;
    char *row = row_text(x, r->book, r->row);
    if (r->other_row < 0 || (r->other_book == r->book && r->other_row == r->row))
        return row;
    char *other = row_text(x, r->other_book, r->other_row);
    char *out = mem_printf("%s against %s", row, other);
    free(row);
    free(other);
    return out;
}
