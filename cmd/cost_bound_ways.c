/* cost_bound_ways.c - books, each under every meaning of its context tiers, see cost_bound.h */
#include "cmd/cost_bound.h"

#include <stdlib.h>
#include <string.h>

/* -1: as the book has it. The book's own meaning comes first, so that of equals it is named. */
static const struct bill_tiers meanings[WAYS_OF_A_BOOK] = {
    {-1, -1, -1, 0},
    {-1, -1, -1, 1},
    {BOOK_GT, BOOK_WHOLE, BOOK_OF_PROMPT, 0},
    {BOOK_GE, BOOK_WHOLE, BOOK_OF_PROMPT, 0},
    {BOOK_GT, BOOK_WHOLE, BOOK_OF_CLASS, 0},
    {BOOK_GE, BOOK_WHOLE, BOOK_OF_CLASS, 0},
    {BOOK_GT, BOOK_MARGINAL, BOOK_OF_PROMPT, 0},
    {BOOK_GE, BOOK_MARGINAL, BOOK_OF_PROMPT, 0},
    {BOOK_GT, BOOK_MARGINAL, BOOK_OF_CLASS, 0},
    {BOOK_GE, BOOK_MARGINAL, BOOK_OF_CLASS, 0},
};

static char *name_of(const char *book, const struct bill_tiers *t) {
    if (t->ignore)
        return mem_printf("%s:no-tiers", book);
    if (t->mode < 0)
        return mem_strdup(book);
    return mem_printf("%s:%s,%s,%s", book, t->mode == BOOK_WHOLE ? "whole" : "marginal",
                      t->cmp == BOOK_GT ? "gt" : "ge",
                      t->of == BOOK_OF_PROMPT ? "prompt" : "class");
}

static int has_tiers(const struct book *b) {
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].when.above >= 0)
            return 1;
    return 0;
}

void bound_open(struct bound *x) {
    x->a = mem_alloc(sizeof *x->a);
    x->b = mem_alloc(sizeof *x->b);
    for (int i = 0; i < x->books.n; i++) {
        const struct book *b = x->books.book[i];
        int n = has_tiers(b) ? WAYS_OF_A_BOOK : 1;
        for (int k = 0; k < n; k++) {
            struct bound_way *w = &x->way[x->ways++];
            struct bill_options how = x->how;
            *w = (struct bound_way){.book = i, .tiers = meanings[k]};
            w->name = name_of(x->books.spec[i], &w->tiers);
            how.tiers = &w->tiers;
            w->biller = biller_new(b, &how);
            w->without = mem_array((size_t)b->rows + 1, sizeof *w->without);
        }
        x->first[i + 1] = x->ways;
    }
}

void bound_close(struct bound *x) {
    for (int i = 0; i < x->ways; i++) {
        struct bound_way *w = &x->way[i];
        for (int k = 0; k < x->books.book[w->book]->rows; k++)
            biller_free(w->without[k]);
        free(w->without);
        biller_free(w->biller);
        free(w->name);
    }
    free(x->a);
    free(x->b);
}

struct biller *bound_without(struct bound *x, int way, int row) {
    struct bound_way *w = &x->way[way];
    struct bill_options how = x->how;
    how.tiers = &w->tiers;
    how.without_row = row + 1;
    if (!w->without[row])
        w->without[row] = biller_new(x->books.book[w->book], &how);
    return w->without[row];
}

int bound_price(struct bound *x, const struct usage *u) {
    int lacking = 0;
    for (int i = 0; i < x->books.n; i++) {
        int priced = 1;
        for (int k = x->first[i]; k < x->first[i + 1]; k++) {
            struct bound_way *w = &x->way[k];
            w->priced = bill_price(w->biller, u, 0, x->a) == BILL_PRICED;
            w->usd = x->a->usd;
            priced &= w->priced;
        }
        lacking += !priced;
    }
    return lacking;
}

const char *bound_why(struct bound *x, int book, const struct usage *u) {
    for (int k = x->first[book]; k < x->first[book + 1]; k++)
        if (!x->way[k].priced && bill_price(x->way[k].biller, u, 0, x->a) == BILL_UNPRICED)
            return x->a->why;
    return NULL;
}

/* A way may be an end, in the order in which equals are named: books as they are come first. */
static int is_turn(const struct bound_way *w, int turn) {
    return (w->tiers.ignore || w->tiers.mode >= 0) == turn;
}

void bound_ends(const struct bound *x, const money *usd, int *low, int *high) {
    *low = *high = -1;
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < x->ways; i++) {
            money m = usd ? usd[i] : x->way[i].usd;
            if (!is_turn(&x->way[i], turn) || (!usd && !x->way[i].priced))
                continue;
            if (*low < 0 || m < (usd ? usd[*low] : x->way[*low].usd))
                *low = i;
            if (*high < 0 || m > (usd ? usd[*high] : x->way[*high].usd))
                *high = i;
        }
}
