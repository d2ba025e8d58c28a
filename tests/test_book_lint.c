/* test_book_lint.c - lib/cost/book_lint: each rule alone, and what is shipped */
#include "tests/books.h"

#include "lib/cost/book_lint.h"

#define SOURCE "book t\nsource s observed=2026-01-01\nmodel a provider=p source=s\n"
#define BASE SOURCE "price a input 3\nprice a output 15\n"
#define NOW date("2026-11-30")

/* The findings of a text as "line rule!" (an error) or "line rule?", a blank between. */
static char *findings(const char *text) {
    struct book *b = parse(text);
    struct buf s = {0};
    int n = 0;
    if (!b)
        return mem_strdup(err.text);
    struct book_finding *f = book_lint(b, NOW, &n);
    for (int i = 0; i < n; i++)
        buf_printf(&s, "%s%d %s%c", i ? " " : "", f[i].line, f[i].rule, f[i].error ? '!' : '?');
    free(f);
    book_free(b);
    return s.data ? s.data : mem_strdup("");
}

static void finds(const char *text, const char *want) {
    char *got = findings(text);
    if (strcmp(got, want)) {
        printf("# %s# gives '%s', expected '%s'\n", text, got, want);
        check_bad++;
    }
    free(got);
}

static void prices(void) {
    finds(BASE, "");
    finds(BASE "price a read 0.3\nprice a write 3.75 ttl=5m\nprice a write 6 ttl=1h\n", "");
    finds(BASE "price a read 3.01\n", "6 read-input!");
    finds(BASE "price a write 4 ttl=5m\n", "6 write-5m!");
    finds(BASE "price a write 3.75 ttl=1h\n", "6 write-1h!");
    finds(BASE "price a write 3.77 ttl=5m\n", "");              /* half a percent: rounded */
    finds(BASE "price a write 2.9 ttl=2h\n", "6 write-input?");
    finds("book t\nsource s observed=2026-01-01\nmodel a default_ttl=5m source=s\nprice a input 3\n"
          "price a output 15\nprice a write 3\n", "6 write-5m!");
    finds(BASE "price a input 4 service=batch\n", "6 batch!");
    finds(BASE "price a output 16 service=flex\n", "6 batch!");
    finds(BASE "price a input 2 service=priority\n", "6 priority?");
    finds(BASE "factor a 1.5 service=batch\nfactor a 0.5 service=priority\n",
          "6 batch! 7 priority?");
    finds(BASE "price a input 2" TIER "\n", "6 tier!");
    finds(BASE "factor a 0.5" TIER "\n", "6 tier!");
    finds(BASE "price a read 0.3\nprice a read 7" TIER "\nprice a input 6" TIER "\n",
          "7 read-input! 7 siblings?");
    finds(SOURCE "price a input 3\nprice a output 2\n", "5 output-input?");
    finds(SOURCE "price a input 3\nprice a output 0\n", "");
    finds(BASE "price a input 31 service=fast\n", "6 siblings?");
    finds(BASE "price a input 32 modality=audio\n", "");
    finds(SOURCE "price a input 0.0000003\nprice a output 0.0000015\n",
          "4 magnitude? 5 magnitude?");
}

static void validity(void) {
    finds(SOURCE "price a output 9\nprice a input 2 to=2026-02-01\nprice a input 3 "
          "from=2026-02-01\n", "");
    finds(SOURCE "price a output 9\nprice a input 2 to=2026-02-01\nprice a input 3 "
          "from=2026-02-02\n", "5 gap?");
    finds(SOURCE "price a output 9\nprice a input 2 to=2026-02-01\n", "");
    finds(BASE "price a input 4 service=x from=2029-01-01\n", "6 future?");
    /* a read above the input of another time is none */
    finds(SOURCE "price a output 9\nprice a input 2 to=2026-02-01\nprice a input 5 "
          "from=2026-02-01\nprice a read 4 from=2026-02-01\n", "");
}

static void provenance(void) {
    finds("book t\nmodel a\nprice a input 1\nprice a output 1\n", "3 no-source? 4 no-source?");
    finds("book t observed=2027-01-01\nsource s observed=2027-01-01\nmodel a source=s\n"
          "price a input 1\nprice a output 1\n", "1 observed! 2 observed!");
    finds("book t\nsource s\nmodel a source=s\nprice a input 1\nprice a output 1\n",
          "2 no-source?");
    finds(SOURCE, "3 no-price!");
    finds(SOURCE "price a search 1\n", "3 no-price!");
    finds(SOURCE "price a input 1\n", "3 output?");
    finds(SOURCE "price a output 1\n", "3 input?");
    finds(SOURCE "price * input 1 source=s\nprice * output 2 source=s\n", "");
    finds("book t\nsource s observed=2026-01-01\ngpu abacus rate=1 source=s\n", "3 device?");
    finds("book t\nsource s observed=2026-01-01\nmodel a shape=cube source=s\nprice a input 1\n"
          "price a output 1\n", "3 shape?");
}

/* The slipped point: a read at the price of ten, where three siblings have a tenth. */
static void ratios(void) {
    struct buf s = {0};
    buf_adds(&s, "book t\nsource s observed=2026-01-01\n");
    for (int i = 0; i < 4; i++)
        buf_printf(&s, "model m%d provider=p source=s\nprice m%d input %d\nprice m%d read %s\n"
                   "price m%d output %d\n", i, i, i + 1, i, i == 3 ? "0.02" : "0.2", i, 5 * i + 5);
    finds(s.data, "17 siblings?");
    buf_free(&s);
}

/* Names that lib/shape gets later are no fault of a book; all else is. */
static void shipped(void) {
    for (const char *const *n = book_names(); *n; n++) {
        struct book *b = book_find(*n, &err);
        int found = 0;
        struct book_finding *f = b ? book_lint(b, NOW, &found) : NULL;
        CHECK(b != NULL);
        for (int i = 0; i < found; i++)
            if (strcmp(f[i].rule, "device") && strcmp(f[i].rule, "shape")) {
                printf("# %s:%d: %s %s\n", *n, f[i].line, f[i].rule, f[i].words);
                check_bad++;
            }
        free(f);
        book_free(b);
    }
}

int main(void) {
    RUN(prices);
    RUN(validity);
    RUN(provenance);
    RUN(ratios);
    RUN(shipped);
    return check_done();
}
