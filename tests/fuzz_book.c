/* fuzz_book.c - hostile price books
 *
 * How it is run, and as what else: fuzz.h. Books that have every statement are put together from
 * lines that are mostly right; then words are changed, dropped or doubled. Whatever comes, the
 * reader gives a book or an error of one line. A book holds what its header promises: rows that
 * never stand side by side at a time, rates within their limits, text that reads back as the same
 * book, whole or as of a day, times of change at which something may change, and not before.
 */
#include "tests/fuzz.h"

#include "lib/cost/book.h"
#include "lib/cost/book_lint.h"

enum { READ = 1, PRICED = 2, WINDOWED = 4 };

/* ---- the target ---------------------------------------------------------------------------- */

static void check_text(const char *s) {
    for (; *s; s++)
        NEED((unsigned char)*s >= ' ' && *s != 0x7f);
}

static void check_row(const struct book *b, const struct book_row *r) {
    NEED(r->model >= BOOK_ANY && r->model < b->models);
    NEED(r->kind >= (r->factor ? BOOK_ANY : 0) && r->kind < USAGE_KINDS);
    NEED(r->source >= BOOK_ANY && r->source < b->sources);
    NEED(r->when.from_ns < r->when.to_ns);
    NEED(r->when.service < b->words && r->when.region < b->words && r->when.speed < b->words);
    NEED(r->when.hours >= 0 && r->when.hours <= BOOK_HOURS && r->when.days < 128);
    if (r->factor) {
        NEED(r->times >= 0 && r->times <= BOOK_FACTOR_MOST);
        return;
    }
    NEED(r->rate >= 0 && r->rate <= BOOK_HOUR_MOST);
    NEED(r->per != BOOK_PER_MTOK || r->rate <= BOOK_TOKEN_MOST);
    NEED((r->per == BOOK_PER_UNIT) == (r->unit_tokens > 0));
    NEED(b->counterfactual || (r->per != BOOK_PER_UNIT && r->per != BOOK_PER_ACTIVE));
}

/* Between a time and the next change nothing changes. */
static void check_times(const struct book_select *w) {
    int64_t t = 1767225600000000000 + (int64_t)fuzz_below(400) * 86400000000000;
    for (int i = 0; i < 8; i++) {
        int64_t next = book_changes(w, t);
        int64_t end = next == BOOK_NEVER ? t + 30 * 86400 * (int64_t)1000000000 : next;
        NEED(next > t);
        for (int k = 0; k < 4; k++)
            NEED(book_holds(w, t + (int64_t)(fuzz_next() % (uint64_t)(end - t))) ==
                 book_holds(w, t));
        if (next == BOOK_NEVER)
            return;
        t = next;
    }
}

static char *written(const struct book *b, int64_t at_ns, size_t *len) {
    struct buf s = {0};
    book_write(b, at_ns, &s);
    *len = s.len;
    return s.data;
}

/* As it is written it reads, and is written the same again. As of a day it may be refused only
 * where a rate with its factors comes closer to a limit. */
static void check_round_trip(const struct book *b, int64_t at_ns) {
    struct err e = {{0}};
    size_t len;
    size_t again_len;
    char *text = written(b, at_ns, &len);
    struct book *again = book_parse("again", text, len, &e);
    if (!again)
        printf("# %s\n%s", e.text, text);
    NEED(again);
    char *twice = written(again, at_ns, &again_len);
    NEED(len == again_len && !memcmp(text, twice, len));
    NEED(at_ns != USAGE_NO_TIME || (again->rows == b->rows && again->models == b->models));
    book_free(again);
    free(twice);
    free(text);
}

static void check_book(const struct book *b) {
    int n;
    int rows = 0;
    for (int i = 0; i < b->rows; i++) {
        check_row(b, &b->row[i]);
        check_times(&b->row[i].when);
    }
    for (int m = 0; m < b->models; m++) {
        const int *row = book_rows_of(b, m, &n);
        NEED(book_model(b, b->model[m].name, strlen(b->model[m].name)) == m);
        for (int i = 0; i < n; i++) {
            NEED(i == 0 || row[i - 1] < row[i]);
            NEED(b->row[row[i]].model == m || b->row[row[i]].model == BOOK_ANY);
            rows += b->row[row[i]].model == m;
        }
    }
    for (int i = 0; i < b->rows; i++)
        rows += b->row[i].model < 0;
    NEED(rows == b->rows);
    check_round_trip(b, USAGE_NO_TIME);
    check_round_trip(b, 1775000000000000000);
    struct book_finding *f = book_lint(b, 1775000000000000000, &n);
    for (int i = 0; i < n; i++)
        check_text(f[i].words);
    free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    struct book *b = book_parse("in", (const char *)data, len, &fuzz_last);
    NEED(b || *fuzz_last.text);
    check_text(fuzz_last.text);
    if (!b)
        return 0;
    check_book(b);
    fuzz_outcome = READ | (b->rows ? PRICED : 0);
    for (int i = 0; i < b->rows; i++)
        if (book_selectors(&b->row[i].when) & BOOK_WINDOW)
            fuzz_outcome |= WINDOWED;
    book_free(b);
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts to start from ------------------------------------------------------------------- */

static const char *const texts[] = {
    "book t observed=2026-11-24 currency=USD title=\"a b\" # c\n"
    "source s url=https://x observed=2026-01-01 confidence=listed\n"
    "model a provider=p alias=b,c default_ttl=5m context=200K source=s\n"
    "price a input 3\nprice a read 0.3\nprice a write 3.75\nprice a write 6 ttl=1h\n"
    "price a output 15\nprice a input 6 above=200000 cmp=gt mode=whole of=prompt to=2026-03-13\n"
    "price a input 4 region=eu source=s\nfactor a 0.5 service=batch\n"
    "price a search 10 per=1k\nprice a storage 4.5\nprice a second 0.006 per=minute\n",
    "book t\nmodel d\nprice d input 0.28 to=2026-09-01\nprice d input 0.3 from=2026-09-01\n"
    "factor d 2 days=mon-fri hours=01:00-04:00,06:00-10:00 zone=+08:00 from=2026-08-16T16:00Z\n"
    "price * request 0.01\nprice d output 1 days=sat-mon\n"
    "factor d input 1.5 above=10 cmp=ge mode=marginal of=class\n",
    "book t counterfactual=yes\nmodel m params=671G active=37G shape=deepseek-v3\n"
    "price * input 0.004 per=active\nprice m reasoning 0.01 per=unit unit=1000\n"
    "price m input 2 modality=audio service=\"a b\" speed=fast region=us\n",
    "book t\nmodel m\nplan p fee=20 period=month included=20 credit=0.01 overage=1\n"
    "window p limit=12 period=5h\nwindow p limit=30 period=week\n"
    "capacity m name=ptu rate=1 per=hour min=15 step=5 input_tpm=2400 output_weight=6 spill=yes\n"
    "gpu h100-sxm provider=q rate=2.69 granule=1m from=2026-01-01\n"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

/* ---- texts that are mostly right ------------------------------------------------------------ */

static const char *pick(void) {
    static const char *const words[] = {
        "service=batch", "service=flex", "region=eu", "region=us", "speed=fast", "modality=audio",
        "modality=text", "ttl=5m", "ttl=1h", "from=2026-01-01", "to=2026-01-01",
        "from=2026-04-01T01:00Z", "to=2027-01-01", "days=mon-fri", "days=sun", "hours=00:00-24:00",
        "hours=01:00-04:00,22:00-24:00", "zone=-11:30", "zone=UTC", "source=s",
        "above=10 cmp=gt mode=whole of=prompt", "above=10 cmp=ge mode=marginal of=total",
        "above=20 cmp=gt mode=whole of=class", "per=unit unit=7", "per=active", "per=1k", "unit=9",
        "from=1700-01-01", "to=2260-12-31T23:59:60Z", "ttl=100y", "x=\"\\\"\"", "\"a=b\"", "#"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void add_line(struct buf *b) {
    static const char *const models[] = {"a", "a", "a", "b", "d", "m", "*"};
    static const char *const kinds[] = {"input", "input", "read", "write", "output", "reasoning",
                                        "storage", "request", "second", "search"};
    static const char *const prices[] = {"1", "3", "0", "0.30", "1000000", "1000",
                                         "0.000000000000000001", "2.5"};
    const char *model = models[fuzz_below(7)];
    if (fuzz_below(4))
        buf_printf(b, "price %s %s %s", model, kinds[fuzz_below(10)], prices[fuzz_below(8)]);
    else
        buf_printf(b, "factor %s %s%s", model, fuzz_below(2) ? "" : "input ",
                   prices[fuzz_below(8)]);
    for (size_t n = fuzz_below(4); n > 0; n--)
        buf_printf(b, " %s", pick());
    buf_addc(b, '\n');
}

static void change(struct buf *b) {
    size_t at = fuzz_below(b->len);
    switch (fuzz_below(5)) {
    case 0: b->data[at] = (char)fuzz_next(); break;
    case 1: fuzz_drop(b, at, at + 1 + fuzz_below(9)); break;
    case 2: fuzz_copy(b, at, at + 1 + fuzz_below(90), fuzz_below(b->len)); break;
    case 3: b->data[at] = "0123456789.-=,: \"\\#\n"[fuzz_below(20)]; break;
    default: {
        const char *word = pick();
        fuzz_insert(b, at, word, strlen(word));
    }
    }
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(6); n > 0; n--)
        add_line(b);
    for (size_t n = fuzz_below(3) * fuzz_below(3); n > 0 && b->len; n--)
        change(b);
}

int main(int argc, char **argv) {
    static const int expected[] = {READ | PRICED, READ | PRICED | WINDOWED, READ | PRICED, READ};
    static const struct fuzz fuzz = {
        .name = "fuzz_book", .suffix = ".book",
        .outcome = {"were read", "had prices", "had windows"}, .texts = texts, .starts = STARTS,
        .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif
