/* book_lint_impl.h - what the files of book_lint share */
#ifndef BOOK_LINT_IMPL_H
#define BOOK_LINT_IMPL_H

#include "lib/cost/book_lint.h"

struct book_lint {
    const struct book *b;
    int64_t now_ns;
    struct book_finding *found;
    size_t n, room;
};

/* Adds a finding. */
void book_lint_error(struct book_lint *l, int line, const char *rule, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void book_lint_warn(struct book_lint *l, int line, const char *rule, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Rules that look at the rows of a model beside each other: book_lint_prices.c. */
void book_lint_prices(struct book_lint *l, int model);
/* Ratios against those of the provider's other models: book_lint_ratios.c. */
void book_lint_ratios(struct book_lint *l);

/* Both rows can hold at one time, hours and days not asked. */
int book_lint_together(const struct book_select *a, const struct book_select *b);
const char *book_lint_name(const struct book *b, int model);

#endif
