/* cost_book.h - the pieces of llm-cost book
 *
 *   cost_book.c        the sub-verbs; list, at
 *   cost_book_show.c   show: the rows of a book as a table
 *   cost_book_lint.c   lint: invariants
 *   cost_book_diff.c   diff: two books beside each other
 *   cost_book_import.c import: another's price catalogue
 *   cost_book_update.c update: prices off the net in place of a file
 *
 * A sub-verb's argv[0] is "llm-cost book SUBVERB".
 */
#ifndef COST_BOOK_H
#define COST_BOOK_H

#include "cmd/cost.h"

int cost_book_show(int argc, char **argv);
int cost_book_lint(int argc, char **argv);
int cost_book_diff(int argc, char **argv);

/* The table of diff on stdout, rows as of a time or (USAGE_NO_TIME) all; how many there were. */
int cost_book_changes(const struct book *old, const struct book *new, int64_t at_ns,
                      const struct common *common);

/* Loads a book; ends the program when it cannot be. */
struct book *cost_book_load(const char *spec);
/* A model of the book by its name; ends the program when there is none. */
int cost_book_find_model(const struct book *b, const char *name);

/* What a row costs as people write it: "3", "x0.5". */
#define COST_ROW_PRICE (MONEY_TEXT + 1)
const char *cost_row_price(const struct book_row *r, char out[COST_ROW_PRICE]);
/* What the price is for: "mtok", "request", ..., "factor". */
const char *cost_row_per(const struct book_row *r);
/* The selectors of a row, its tier, hours and validity, as in the book; the caller frees. */
char *cost_row_when(const struct book *b, const struct book_row *r);

#endif
