/* test_book.c - lib/cost/book: what a book says, what it refuses, when its rows hold */
#include "tests/books.h"

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
    CHECK_INT(model(b, "claude-sonnet-4-5@default"), 0);
    CHECK_INT(model(b, "claude-sonnet-4-5[1m]"), 0);
    CHECK_INT(model(b, "claude-sonnet-4-5-20250929[1M]"), 0);
    CHECK_INT(model(b, "claude-sonnet-4-5@3efault"), -1);
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

/* ---- refusals ------------------------------------------------------------------------------ */

static void refuses_lines(void) {
    refused("model a\n", 1, "expected 'book NAME' as the first statement, found 'model'");
    refused("book t\nbook u\n", 2, "found a second");
    refused("book t currency=EUR\n", 1, "currency: expected one of USD, found 'EUR'");
    refused("book t\nprise a input 1\n", 2, "found 'prise'");
    refused("book t\nkey=1\n", 2, "expected a statement, found the key 'key'");
    refused(HEAD "price a input 1 colour=red\n", 3, "found 'colour'");
    refused(HEAD "price a input 1 from=2026-01-01 from=2026-01-02\n", 3, "'from' is there twice");
    refused(HEAD "price a input 1 service=\n", 3, "expected a value, found none of service");
    refused(HEAD "price a input 1 service=\"x\n", 3, "expected a closing quote");
    refused(HEAD "price a input 1 service=\"x\"y\n", 3, "expected a blank behind the quote");
    refused(HEAD "price a input 1 service=x y\n", 3, "expected KEY=VALUE, found 'y'");
    refused(HEAD "price a input 1 =x\n", 3, "expected a key before '='");
    refused(HEAD "price a input\n", 3, "expected MODEL KIND DOLLARS, found 2 words");
    refused(HEAD "price a tokens 1\n", 3, "expected a kind");
    refused(HEAD "price b input 1\n", 3, "expected a model that is declared above, found 'b'");
    refused(HEAD "price a input 1 source=s\n", 3, "source: expected one that is declared above");
    refused("book t\nmodel a\nmodel A\n", 3, "'A' is an alias of line 2 already");
    refused("book t\nmodel a\nmodel b alias=c,a\n", 3, "'a' is the model of line 2 already");
    refused("book t\nmodel a alias=,b\n", 2, "expected names with commas between");
    refused("book t\nmodel *\n", 2, "found '*', which is all of them");
    refused("book t\nsource s\nsource s\n", 3, "declared in line 2 already");
    refused("book t\nsource s confidence=sure\n", 2, "expected one of listed, mirrored");
    refused("book t\nmodel a params=1G active=2G\n", 2, "expected active up to params");
    refused("book \x01\n", 1, "found control character 0x01");
    refused("book \xff\n", 1, "expected UTF-8, found byte 0xff");
}

static void refuses_prices(void) {
    refused(HEAD "price a input -1\n", 3, "expected dollars");
    refused(HEAD "price a input 1e3\n", 3, "expected dollars");
    refused(HEAD "price a input nan\n", 3, "expected dollars");
    refused(HEAD "price a input 0.0000000000000000001\n", 3, "expected dollars");
    refused(HEAD "price a input 1000000.000001\n", 3, "up to $1 a token");
    refused(HEAD "price a request 1001\n", 3, "up to $1000 a request");
    refused(HEAD "price a second 1000000 per=second\n", 3, "up to $1000000 a hour");
    refused(HEAD "price a input 1 per=hour\n", 3, "one of mtok, ktok, token, active, unit");
    refused(HEAD "price a input 1 unit=5\n", 3, "per=unit and unit=TOKENS together");
    refused(HEAD "price a input 1 per=unit unit=5\n", 3, "expected counterfactual=yes");
    refused(HEAD "price a input 1 per=active\n", 3, "expected models with active=PARAMETERS");
    refused(HEAD "price * input 1 per=active\n", 3, "found a of line 2 without");
    refused(HEAD "factor a 1001\n", 3, "from 0 to 1000");
    refused(HEAD "factor a -1\n", 3, "from 0 to 1000");
    refused(HEAD "price a input 1000000\nfactor a 2 service=x\n", 3, "with the factors of the");
    refused(HEAD "price a input 1 from=2026-01-02 to=2026-01-02\n", 3, "from before to");
    refused(HEAD "price a input 1 from=yesterday\n", 3, "expected a date");
    refused(HEAD "price a input 1 above=10\n", 3, "expected cmp=, mode= and of=");
    refused(HEAD "price a input 1 above=10 cmp=gt of=prompt\n", 3, "found 2 of them");
    refused(HEAD "price a input 1 cmp=gt\n", 3, "expected above=TOKENS");
    refused(HEAD "price a input 1 above=10 cmp=lt mode=whole of=prompt\n", 3, "one of gt, ge");
    refused(HEAD "price a request 1" TIER "\n", 3, "expected a kind of token");
    refused(HEAD "price a input 1 ttl=5m\n", 3, "ttl: expected a price of write");
    refused(HEAD "price a write 1 ttl=5\n", 3, "ttl: expected a time");
    refused(HEAD "price a input 1 modality=smell\n", 3, "one of text, audio, image, video");
    refused(HEAD "price a input 1 days=mon-xyz\n", 3, "expected days as in");
    refused(HEAD "price a input 1 hours=22:00-06:00\n", 3, "expected windows of a day");
    refused(HEAD "price a input 1 hours=01:00-24:01\n", 3, "expected windows of a day");
    refused(HEAD "price a input 1 hours=01:00-03:00,02:00-04:00\n", 3, "do not overlap");
    refused(HEAD "price a input 1 zone=+01:00\n", 3, "zone: expected hours= or days=");
    refused(HEAD "price a input 1 days=mon zone=CET\n", 3, "expected UTC or an offset");
}

static void refuses_capacity(void) {
    refused("book t\nplan p fee=x\n", 2, "fee: expected dollars");
    refused("book t\nplan p\nplan p\n", 3, "declared in line 2 already");
    refused("book t\nwindow p limit=1 period=1h\n", 2, "expected a plan that is declared above");
    refused("book t\nplan p\nwindow p limit=1\n", 3, "expected limit= and period=");
    refused("book t\nplan p\nwindow p limit=1 period=1h\nwindow p limit=2 period=60m\n", 4,
            "of this period is there already");
    refused("book t\nplan p overage=-1\n", 2, "expected 'refused' or a factor");
    refused(HEAD "capacity a rate=1\n", 3, "expected input_tpm= or output_tpm= above 0");
    refused(HEAD "capacity a input_tpm=1\n", 3, "expected rate=DOLLARS");
    refused(HEAD "capacity a input_tpm=1 rate=1 min=0\n", 3, "min: expected a whole number");
    refused(HEAD "capacity a input_tpm=1 rate=1\ncapacity a input_tpm=2 rate=1\n", 4,
            "of this model is in line 3 already");
    refused("book t\ngpu x rate=1\ngpu x rate=2\n", 3, "is in line 2 already");
    refused("book t\ngpu x rate=1 granule=0s\n", 2, "granule: expected a time");
}

static void refuses_sizes(void) {
    size_t n = 10000000;
    char *text = mem_alloc(n + 64);
    memcpy(text, "book t title=", 13);
    memset(text + 13, 'x', n);
    CHECK(!book_parse("t.book", text, n + 13, &err));
    CHECK_STR(err.text, "t.book:1: expected at most 65536 bytes a line, found 10000013");
    free(text);
    struct buf s = {0};
    buf_adds(&s, HEAD);
    for (int i = 0; i < 1025; i++)
        buf_printf(&s, "price a input 1 service=s%d\n", i);
    CHECK(!book_parse("t.book", s.data, s.len, &err));
    CHECK(strstr(err.text, "at most 1024 rows of a model and kind, found 1025 of a"));
    s.len = 0;
    buf_adds(&s, HEAD);
    for (int i = 0; i < 65; i++)
        buf_printf(&s, "price a input 1 service=s%d days=mon\n", i);
    CHECK(!book_parse("t.book", s.data, s.len, &err));
    CHECK(strstr(err.text, "at most 64 rows with hours or days of a model and kind, found 65"));
    s.len = 0;
    buf_adds(&s, HEAD);
    for (int i = 0; i < 65; i++)
        buf_printf(&s, "factor * 1 service=s%d\n", i);
    CHECK(!book_parse("t.book", s.data, s.len, &err));
    CHECK(strstr(err.text, "t.book:67: expected at most 64 rows for all models"));
    buf_free(&s);
    CHECK(!book_parse("t.book", "", 0, &err));
    CHECK_STR(err.text,
              "t.book: expected a price book, which begins with 'book NAME', found nothing");
}

/* ---- what lines say ------------------------------------------------------------------------ */

static void values(void) {
    struct book *b = parse("\xef\xbb\xbf\t book  t  # a comment\r\n"
        "source s url=https://x/#y observed=2026-01-02 confidence=listed "
        "title=\"a \\\"b\\\" \\\\\"\n"
        "model \"m n\" context=200K default_ttl=5m params=30.5G active=3.3G source=s\n"
        "price \"m n\" input 0.30\n"
        "price \"m n\" output 0\n"
        "price \"m n\" search 10 per=1k\n"
        "price \"m n\" second 0.006 per=minute\n"
        "price \"m n\" storage 4.5\n"
        "price \"m n\" read 30 per=ktok service=\"a b\"\n");
    CHECK(b != NULL);
    if (!b) {
        printf("# %s\n", err.text);
        return;
    }
    CHECK_STR(b->source[0].url, "https://x/#y");
    CHECK_STR(b->source[0].title, "a \"b\" \\");
    CHECK_INT(b->model[0].context, 200000);
    CHECK_INT(b->model[0].default_ttl_ns, 300000000000);
    CHECK(b->model[0].params == 30.5e9 && b->model[0].active == 3.3e9);
    CHECK(b->row[0].rate == (money_rate)300000 * 1000000000000);
    CHECK(b->row[1].rate == 0);
    CHECK(b->row[2].rate == 10 * MONEY_USD * MONEY_YOCTO / 1000);
    CHECK(b->row[3].rate == MONEY_USD * MONEY_YOCTO * 36 / 100 && b->row[3].per == BOOK_PER_HOUR);
    CHECK(b->row[4].rate == (money_rate)4500000 * 1000000000000);
    CHECK(b->row[5].rate == 3 * MONEY_USD * MONEY_YOCTO / 100);
    CHECK_STR(b->word[b->row[5].when.service], "a b");
    CHECK_STR(b->word[0], "standard");
    book_free(b);
}

static char *written(const struct book *b, int64_t at_ns) {
    struct buf s = {0};
    book_write(b, at_ns, &s);
    return s.data;
}

/* A book is written as it reads, and reads as it is written. */
static void same_again(struct book *b) {
    char *text = written(b, USAGE_NO_TIME);
    struct book *again = parse(text);
    CHECK(again != NULL);
    if (again) {
        char *twice = written(again, USAGE_NO_TIME);
        CHECK_STR(twice, text);
        CHECK_INT(again->rows, b->rows);
        CHECK_INT(again->models, b->models);
        CHECK_INT(again->plans, b->plans);
        CHECK_INT(again->capacities, b->capacities);
        CHECK_INT(again->gpus, b->gpus);
        free(twice);
    } else
        printf("# %s\n", err.text);
    book_free(again);
    free(text);
    book_free(b);
}

static void reads_what_it_writes(void) {
    for (const char *const *n = book_names(); *n; n++)
        same_again(book_find(*n, &err));
    same_again(parse("book \"a b\" counterfactual=yes title=\"x y\"\n"
        "source \"s=1\" title=\"a \\\"b\\\\\"\nmodel \"#m\" active=7 source=\"s=1\"\n"
        "model \"a=b\" alias=\"q r,t\" active=1\n"
        "price \"#m\" output 0.000000000000000001 per=active modality=audio speed=\"#fast\"\n"
        "price \"a=b\" reasoning 0.02 per=unit unit=1000 service=batch\n"));
    same_again(parse("book t counterfactual=yes\nmodel m active=3\n"
        "price m reasoning 0.02 per=unit unit=1000 service=batch region=eu\n"
        "price m input 1.5 days=sat-mon,wed hours=00:00-00:30,16:30-24:00 zone=-05:30\n"
        "price m write 1.25 ttl=90s above=128K cmp=ge mode=marginal of=total from=2026-08-16T16:00Z"
        "\nfactor m output 0.123456789 to=2026-01-01\nprice * second 1 per=hour\n"
        "plan p fee=20.000000000001 period=week credit=0.01 overage=refused from=2026-01-01\n"
        "window p limit=12 period=5h\nwindow p limit=30 period=90s\n"
        "capacity m rate=0.5 per=day min=100 step=5 output_tpm=12.5 output_weight=0 spill=yes\n"
        "gpu x provider=\"p q\" rate=720 per=month granule=1h\n"));
}

/* The starter as of a day: no validity is left, and what another day says is gone. */
static void as_of_a_day(void) {
    struct book *b = parse("book t\nmodel a\nprice a input 2 to=2026-09-01\n"
        "price a input 3 from=2026-09-01 hours=01:00-02:00\nplan p to=2026-01-01\n"
        "gpu x rate=1 from=2026-01-01\n");
    char *text = written(b, date("2026-08-31T23:59Z"));
    CHECK_STR(text, "book t currency=USD\n\nmodel a\nprice a input 2\n\ngpu x rate=1\n");
    free(text);
    text = written(b, date("2026-09-01"));
    CHECK(strstr(text, "price a input 3 hours=01:00-02:00\n") && !strstr(text, "input 2"));
    free(text);
    book_free(b);
    b = book_find("starter", &err);
    text = written(b, date("2026-01-15"));
    CHECK(!strstr(text, " from=") && !strstr(text, " to="));
    struct book *day = parse(text);
    CHECK(day && day->models == b->models && day->rows < b->rows);
    book_free(day);
    free(text);
    book_free(b);
}

int main(void) {
    RUN(shipped);
    RUN(names);
    RUN(rows_of_models);
    RUN(times);
    RUN(values);
    RUN(refuses_lines);
    RUN(refuses_prices);
    RUN(refuses_capacity);
    RUN(refuses_sizes);
    RUN(reads_what_it_writes);
    RUN(as_of_a_day);
    return check_done();
}
