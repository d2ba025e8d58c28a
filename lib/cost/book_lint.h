/* book_lint.h - what a price book says that no vendor would mean
 *
 *     int n;
 *     struct book_finding *f = book_lint(book, now_ns, &n);
 *     for (int i = 0; i < n; i++)
 *         printf("%d %s %s\n", f[i].line, f[i].rule, f[i].words);
 *     free(f);
 *
 * Errors are invariants that do not hold:
 *   write-5m       a write kept 5 minutes costs 1.25 times input (within 1 %)
 *   write-1h       a write kept an hour costs 2 times input
 *   read-input     a read costs at most what input does
 *   batch          batch and flex cost at most what standard does
 *   tier           a tier costs at least what is below it
 *   no-price       a model has no price at all
 *   observed       a source was seen before now
 * Warnings are what is often a mistake:
 *   write-input    a write costs at least what input does
 *   priority       priority costs at least what standard does
 *   output-input   output costs at least what input does (an output that is free does not count)
 *   input, output  a model that has a price for the one has none for the other
 *   gap            between two rows of one kind and one set of selectors no price is valid
 *   magnitude      a price is below $0.001 or above $1000 per million tokens: of a token perhaps
 *   siblings       the ratio of read, write or output to input is ten times off the median of the
 *                  provider's models; or a row ten times off another one of its kind and model
 *   no-source      a row of no source, or a source without a date
 *   future         a row begins more than two years from now
 *   device, shape  a name that lib/shape does not know
 */
#ifndef BOOK_LINT_H
#define BOOK_LINT_H

#include <stdint.h>

#include "lib/cost/book.h"

struct book_finding {
    int line;
    int error;                  /* 0: a warning */
    const char *rule;
    char words[224];
};

/* In the order of the lines; the caller frees. */
struct book_finding *book_lint(const struct book *b, int64_t now_ns, int *n);

#endif
