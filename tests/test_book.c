/* test_book.c - lib/cost/book: what a book says, what it refuses, when its rows hold */
#include "tests/check.h"

#include "lib/base/date.h"
#include "lib/base/mem.h"
#include "lib/cost/book.h"

static struct err err;

static struct book *parse(const char *text) {
    return book_parse("t.book", text, strlen(text), &err);
}

static int64_t date(const char *s) {
    int64_t ns = 0;
    if (date_parse(s, strlen(s), &ns))
        printf("# bad date %s\n", s);
    return ns;
}

static int model(const struct book *b, const char *name) {
    return book_model(b, name, strlen(name));
}

/* What is shipped loads, and is found by name. */
static void shipped(void) {
    for (const char *const *n = book_names(); *n; n++) {
        struct book *b = book_find(*n, &err);
        if (!b) {
            printf("# %s\n", err.text);
            check_bad++;
            continue;
        }
        CHECK_STR(b->name, *n);
        CHECK_INT(strlen(b->sha256), 64);
        book_free(b);
    }
    size_t len;
    CHECK(!book_text("nothing", &len));
    CHECK(!book_find("./nothing.book", &err));
}

static void names(void) {
    struct book *b = parse("book t\nmodel claude-sonnet-4-5 alias=Sonnet,s4\nmodel gpt-5.4\n"
                           "model a/b\n");
    CHECK(b != NULL);
    CHECK_INT(model(b, "claude-sonnet-4-5"), 0);
    CHECK_INT(model(b, "Claude-Sonnet-4-5"), 0);
    CHECK_INT(model(b, "sonnet"), 0);
    CHECK_INT(model(b, "anthropic/claude-sonnet-4-5"), 0);
    CHECK_INT(model(b, "claude-sonnet-4-5-20250929"), 0);
    CHECK_INT(model(b, "claude-sonnet-4-5@20250929"), 0);
    CHECK_INT(model(b, "claude-sonnet-4-5-latest"), 0);
    CHECK_INT(model(b, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"), 0);
    CHECK_INT(model(b, "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"), 0);
    CHECK_INT(model(b, "gpt-5.4-2026-03-05"), 1);
    CHECK_INT(model(b, "openrouter/openai/gpt-5.4"), 1);
    CHECK_INT(model(b, "a/b"), 2);
    CHECK_INT(model(b, "x/a/b"), 2);
    CHECK_INT(model(b, "gpt-5"), -1);
    CHECK_INT(model(b, "gpt-5.4-mini"), -1);
    CHECK_INT(model(b, ""), -1);
    CHECK_INT(model(b, "-latest"), -1);
    CHECK_INT(model(b, "b"), -1);
    book_free(b);
}

static void rows_of_models(void) {
    struct book *b = parse("book t\nmodel a\nmodel b\nprice a input 1\nprice * search 0.01\n"
                           "price b input 2\nprice a output 3\nprice * request 0\n");
    int n;
    CHECK(b != NULL);
    const int *r = book_rows_of(b, 0, &n);
    CHECK_INT(n, 4);
    CHECK(n == 4 && r[0] == 0 && r[1] == 1 && r[2] == 3 && r[3] == 4);
    r = book_rows_of(b, 1, &n);
    CHECK_INT(n, 3);
    CHECK(n == 3 && r[0] == 1 && r[1] == 2 && r[2] == 4);
    book_free(b);
}

static void times(void) {
    struct book *b = parse("book t\nmodel d\nprice d input 1\n"
        "factor d 2 days=mon-fri hours=01:00-04:00,06:00-10:00 from=2026-08-16T16:00Z\n"
        "factor d 3 days=sat hours=00:00-02:00 zone=+08:00\n"
        "price d output 1 from=2026-01-01 to=2026-02-01\n");
    CHECK(b != NULL);
    const struct book_select *w = &b->row[1].when;
    CHECK_INT(book_holds(w, date("2026-08-13T02:00Z")), 0);     /* before it began */
    CHECK_INT(book_holds(w, date("2026-08-17T00:59:59Z")), 0);
    CHECK_INT(book_holds(w, date("2026-08-17T01:00Z")), 1);     /* a Monday */
    CHECK_INT(book_holds(w, date("2026-08-17T04:00Z")), 0);
    CHECK_INT(book_holds(w, date("2026-08-17T09:59Z")), 1);
    CHECK_INT(book_holds(w, date("2026-08-22T02:00Z")), 0);     /* a Saturday */
    CHECK(book_changes(w, date("2026-08-01")) == date("2026-08-16T16:00Z"));
    CHECK(book_changes(w, date("2026-08-17T00:30Z")) == date("2026-08-17T01:00Z"));
    CHECK(book_changes(w, date("2026-08-17T01:00Z")) == date("2026-08-17T04:00Z"));
    CHECK(book_changes(w, date("2026-08-17T11:00Z")) == date("2026-08-18"));
    w = &b->row[2].when;
    CHECK_INT(book_holds(w, date("2026-08-21T15:59Z")), 0);
    CHECK_INT(book_holds(w, date("2026-08-21T16:00Z")), 1);     /* Saturday at midnight there */
    CHECK_INT(book_holds(w, date("2026-08-21T18:00Z")), 0);
    w = &b->row[3].when;
    CHECK_INT(book_holds(w, date("2026-01-01")), 1);
    CHECK_INT(book_holds(w, date("2026-02-01")), 0);
    CHECK(book_changes(w, date("2026-02-01")) == BOOK_NEVER);
    CHECK_INT(book_holds(w, INT64_MIN), 0);
    CHECK(book_changes(&b->row[0].when, INT64_MAX) == BOOK_NEVER);
    book_free(b);
}

int main(void) {
    RUN(shipped);
    RUN(names);
    RUN(rows_of_models);
    RUN(times);
    return check_done();
}
