/* books.h - price books of a test: parsed from text, or refused with a line that says why */
#ifndef BOOKS_H
#define BOOKS_H

#include "tests/check.h"

#include "lib/base/date.h"
#include "lib/base/mem.h"
#include "lib/cost/book.h"

#define HEAD "book t\nmodel a\n"
#define TIER " above=10 cmp=gt mode=whole of=prompt"

static struct err err;

static inline struct book *parse(const char *text) {
    return book_parse("t.book", text, strlen(text), &err);
}

static inline int64_t date(const char *s) {
    int64_t ns = 0;
    if (date_parse(s, strlen(s), &ns))
        printf("# bad date %s\n", s);
    return ns;
}

/* The one line that a text is refused with, "t.book:LINE: " left out. */
static inline void refused(const char *text, int line, const char *words) {
    struct book *b = parse(text);
    char start[32];
    int n = snprintf(start, sizeof start, "t.book:%d: ", line);
    if (b || strncmp(err.text, start, (size_t)n) || !strstr(err.text, words)) {
        printf("# %s\n# gives: %s\n# expected: %s...%s\n", text, b ? "a book" : err.text, start,
               words);
        check_bad++;
    }
    book_free(b);
}

#endif
