/* cost_bound.h - the pieces of llm-cost bound
 *
 *   cost_bound.c        options, records, rows
 *   cost_bound_ways.c   the ways to read a bill: books, each under every meaning of its tiers
 *   cost_bound_rule.c   which single rule the difference of two ways comes from
 *   cost_bound_sum.c    sums over records
 */
#ifndef COST_BOUND_H
#define COST_BOUND_H

#include "cmd/cost.h"

#define WAYS_OF_A_BOOK 10
#define WAYS (COST_BOOKS_MOST * WAYS_OF_A_BOOK)

/* ---- ways ------------------------------------------------------------------------------- */

struct bound_way {
    int book;                   /* index into books */
    struct bill_tiers tiers;
    char *name;                 /* BOOK, or BOOK:whole,gt,prompt */
    struct biller *biller;
    struct biller **without;    /* [rows of the book], each made when it is asked for */
    int priced;                 /* of the last record */
    money usd;
};

struct bound {
    struct cost_books books;
    struct bill_options how;    /* tiers and without_row are each way's own */
    struct bound_way way[WAYS];
    int ways;
    int first[COST_BOOKS_MOST + 1];     /* ways of book i: [first[i], first[i + 1]) */
    struct bill *a, *b;         /* scratch */
};

void bound_open(struct bound *x);       /* books are ready, `how` is set */
void bound_close(struct bound *x);
/* Prices the record in every way; books that have no price for it: how many. */
int bound_price(struct bound *x, const struct usage *u);
/* Why the last record has no price under a book. */
const char *bound_why(struct bound *x, int book, const struct usage *u);
/* The cheapest and the dearest way of the last record, or of sums [ways] where usd is not NULL; -1:
 * none. Of equals a book as it is goes before other meanings, then the first. */
void bound_ends(const struct bound *x, const money *usd, int *low, int *high);
/* The biller of a way as if a row were not there. */
struct biller *bound_without(struct bound *x, int way, int row);

/* ---- rules ------------------------------------------------------------------------------ */

/* What one change makes of the difference between two ways. */
struct bound_rule {
    int book, row;              /* of the dearer way; row -1: they do not differ */
    int other_book, other_row;  /* what stands in its place in the cheaper one; -1: nothing does */
    money_rate moves;           /* yocto-dollars, 0 or more */
};
struct bound_rule bound_find_rule(struct bound *x, const struct usage *u, int low, int high);
/* "a.book:8 price m input 6 ... against b.book:3 price m input 3"; NULL for none. The caller
 * frees. */
char *bound_rule_text(const struct bound *x, const struct bound_rule *r);

/* ---- sums ------------------------------------------------------------------------------- */

#define RULES 256               /* that a sum tells apart; more are passed */

struct bound_sum {
    char *name;                 /* model; NULL: all */
    int64_t records, unpriced;
    money usd[WAYS];
    struct bound_rule *rule;    /* with what each moves in all */
    int rules;
    struct bound_sum *next;
};

/* Adds the last record, which some book may lack: then it is counted and no more. */
void bound_sum_add(struct bound_sum *s, const struct bound *x, int lacking,
                   const struct bound_rule *rule);
struct bound_rule bound_sum_rule(const struct bound_sum *s);
/* The sum of a name, new or known. */
struct bound_sum *bound_sum_of(struct bound_sum **list, const char *name, size_t len);
void bound_sums_free(struct bound_sum *list);

#endif
