/* test_bill.c - lib/cost/bill: the bills that tools disagree on, every rule alone, a reference in
 * rational numbers, and tokens charged one by one
 */
#include "tests/check.h"
#include "tests/random.h"
#include "tests/scratch.h"

#include <cjson/cJSON.h>

#include "lib/base/date.h"
#include "lib/base/mem.h"
#include "lib/cost/bill.h"

#define HOUR ((int64_t)3600 * 1000000000)

/* ---- shorthand ---------------------------------------------------------------------------- */

static struct book *parse(const char *text) {
    struct err e = {{0}};
    struct book *b = book_parse("test.book", text, strlen(text), &e);
    if (!b) {
        printf("# %s\n", e.text);
        check_bad++;
    }
    return b;
}

static struct reqs_text words(const char *s) {
    return (struct reqs_text){s, s ? strlen(s) : 0};
}

static int64_t date(const char *s) {
    int64_t ns = 0;
    CHECK(!date_parse(s, strlen(s), &ns));
    return ns;
}

static struct usage used(const char *model, int64_t fresh, int64_t read, int64_t output) {
    struct usage u = {.model = words(model), .time_ns = date("2026-01-15"),
                      .offset_ns = USAGE_NO_TIME};
    int64_t n[] = {fresh, read, output};
    static const uint8_t kind[] = {USAGE_INPUT, USAGE_READ, USAGE_OUTPUT};
    for (int i = 0; i < 3; i++)
        if (n[i])
            u.amount[u.n++] = (struct usage_amount){.kind = kind[i], .quantity = n[i]};
    return u;
}

static void with(struct usage *u, int kind, int modality, int64_t ttl, int64_t n) {
    u->amount[u->n++] = (struct usage_amount){(uint8_t)kind, (uint8_t)modality, ttl, n};
}

static struct bill bill;

/* Dollars of a record, or "unpriced: WHY". */
static const char *price_with(const struct book *b, const struct usage *u,
                              const struct bill_options *opt) {
    static char out[300];
    struct biller *p = biller_new(b, opt);
    if (bill_price(p, u, 1, &bill) == BILL_PRICED)
        money_text(bill.usd, out);
    else
        snprintf(out, sizeof out, "unpriced: %s", bill.why);
    biller_free(p);
    return out;
}

static const struct bill_options plain = {.at_ns = USAGE_NO_TIME};

static const char *price(const struct book *b, const struct usage *u) {
    return price_with(b, u, &plain);
}

#define PRICE(text, u, want) \
    do { \
        struct book *b_ = parse(text); \
        if (b_) \
            CHECK_STR(price(b_, u), want); \
        book_free(b_); \
    } while (0)

/* ---- the facts ---------------------------------------------------------------------------- */

#define SONNET "book t observed=2026-01-01 currency=USD\n" \
               "model claude-sonnet-4-5 default_ttl=5m\n" \
               "price claude-sonnet-4-5 input 3\n" \
               "price claude-sonnet-4-5 read 0.30\n" \
               "price claude-sonnet-4-5 write 3.75\n" \
               "price claude-sonnet-4-5 write 6 ttl=1h\n" \
               "price claude-sonnet-4-5 output 15\n"
#define ABOVE_200K(kind, rate, of, mode) \
    "price claude-sonnet-4-5 " kind " " rate " above=200000 cmp=gt mode=" mode " of=" of "\n"
#define SONNET_TIERS(of, mode) \
    SONNET ABOVE_200K("input", "6", of, mode) ABOVE_200K("read", "0.60", of, mode) \
    ABOVE_200K("write", "7.50", of, mode) ABOVE_200K("output", "22.50", of, mode)

#define GPT "book t observed=2026-01-01 currency=USD\n" \
            "model gpt-5.4\n" \
            "price gpt-5.4 input 2.50\nprice gpt-5.4 read 0.25\nprice gpt-5.4 output 15\n"
#define ABOVE_272K "above=272000 cmp=gt mode=whole of=prompt\n"

/* claude-sonnet-4-5 with 250k of prompt, 200k of it cached, and 2k of output; gpt-5.4 with 300k,
 * 250k of it cached. */
static void tools_disagree(void) {
    struct usage u = used("claude-sonnet-4-5", 50000, 200000, 2000);
    struct usage v = used("gpt-5.4", 50000, 250000, 2000);
    PRICE(SONNET, &u, "0.24");
    PRICE(SONNET_TIERS("prompt", "whole"), &u, "0.465");
    PRICE(SONNET_TIERS("class", "marginal"), &u, "0.24");
    PRICE(GPT, &v, "0.2175");
    PRICE(GPT "price gpt-5.4 input 5 " ABOVE_272K "price gpt-5.4 read 0.5 " ABOVE_272K
              "price gpt-5.4 output 22.5 " ABOVE_272K, &v, "0.42");
    PRICE(GPT "factor gpt-5.4 input 2 " ABOVE_272K "factor gpt-5.4 read 2 " ABOVE_272K
              "factor gpt-5.4 output 1.5 " ABOVE_272K, &v, "0.42");
}

/* ---- rules, one by one -------------------------------------------------------------------- */

#define HEAD "book t observed=2026-01-01 currency=USD\nmodel m alias=mm\n"
#define PLAIN HEAD "price m input 2\nprice m output 10\n"

static void fallbacks(void) {
    struct usage u = used("m", 0, 1000000, 0);
    with(&u, USAGE_WRITE, USAGE_TEXT, 0, 1000000);
    with(&u, USAGE_REASONING, USAGE_TEXT, 0, 1000000);
    PRICE(PLAIN, &u, "14");
    CHECK_INT(bill.n, 3);
    CHECK_INT(bill.line[0].fallback, USAGE_INPUT);
    CHECK_INT(bill.line[2].fallback, USAGE_OUTPUT);
}

/* What falls back costs what the other kind does with its factors, and its own on top. */
static void fallback_factors(void) {
    struct usage u = used("m", 0, 1000000, 0);
    PRICE(PLAIN "factor m input 3\nfactor m read 0.1\nfactor m output 7\n", &u, "0.6");
    CHECK_INT(bill.line[0].factors, 2);
    PRICE(PLAIN "price m read 0.5\nfactor m input 3\nfactor m read 0.1\n", &u, "0.05");
    u = used("m", 0, 0, 1000000);
    PRICE(HEAD "price m input 2\n", &u, "unpriced: m: output: no row");
    u = used("m", 1000000, 0, 0);
    with(&u, USAGE_SEARCH, USAGE_TEXT, 0, 1);
    PRICE(PLAIN, &u, "unpriced: m: search: no row");
}

static void unknown_is_unpriced(void) {
    struct usage u = used("mistral", 10, 0, 0);
    PRICE(PLAIN, &u, "unpriced: mistral: the book has no such model");
    u.model = words(NULL);
    PRICE(PLAIN, &u, "unpriced: the record names no model");
    u = used("MM-2026-01-01", 1000000, 0, 0);
    PRICE(PLAIN, &u, "2");
    u.region = words("moon");
    PRICE(PLAIN "price m input 3 region=eu\n", &u, "2");
    u.region = words("eu");
    PRICE(PLAIN "price m input 3 region=eu\n", &u, "3");
    u.service = words("standard");
    PRICE(PLAIN, &u, "2");
    u.service = words("batch");
    PRICE(PLAIN, &u, "unpriced: m: no row for the service 'batch'");
    PRICE(PLAIN "factor m 0.5 service=flex\n", &u, "unpriced: m: no row for the service 'batch'");
    PRICE(PLAIN "factor m 0.5 service=batch to=2026-01-01\n", &u,
          "unpriced: m: no row for the service 'batch'");
    PRICE(PLAIN "factor m 0.5 service=batch\n", &u, "1");
    /* others have rows for it: this one takes its row without */
    PRICE(PLAIN "price m output 5 service=batch\n", &u, "2");
    u.service = words(NULL);
    u.speed = words("fast");
    PRICE(PLAIN, &u, "unpriced: m: no row for the speed 'fast'");
    PRICE(PLAIN "factor * 6 speed=fast\n", &u, "12");
}

static void modalities(void) {
    struct usage u = {.model = words("m"), .time_ns = 0};
    with(&u, USAGE_INPUT, USAGE_AUDIO, 0, 1000000);
    PRICE(PLAIN, &u, "unpriced: m: audio input: no row for this modality");
    PRICE(PLAIN "price m input 7 modality=audio\n", &u, "7");
    PRICE(PLAIN "factor m input 4 modality=audio\n", &u, "8");
    PRICE(PLAIN "price m output 7 modality=audio\n", &u,
          "unpriced: m: audio input: no row for this modality");
    u.amount[0].kind = USAGE_READ;
    PRICE(PLAIN "price m read 0.2\nprice m input 7 modality=audio\n", &u, "7");
    u.amount[0].modality = USAGE_TEXT;
    PRICE(PLAIN "price m read 0.2 modality=text\n", &u, "0.2");
}

static void lives(void) {
    struct usage u = {.model = words("m"), .time_ns = 0};
    with(&u, USAGE_WRITE, USAGE_TEXT, HOUR, 1000000);
    PRICE(PLAIN, &u, "2");
    PRICE(PLAIN "price m write 3\n", &u, "unpriced: m: write: no row for this cache life");
    PRICE(PLAIN "price m write 3\nprice m write 4 ttl=1h\n", &u, "4");
    PRICE(PLAIN "price m write 3\nfactor m write 1.6 ttl=1h\n", &u, "4.8");
    u.amount[0].ttl_ns = 0;
    PRICE(PLAIN "price m write 3\nprice m write 4 ttl=1h\n", &u, "3");
    PRICE(PLAIN "price m write 4 ttl=1h\n", &u,
          "unpriced: m: write: its price depends on the cache life, which the record does not say");
    u.model = words("n");
    PRICE(PLAIN "model n default_ttl=1h\nprice n write 3\nprice n write 4 ttl=1h\n", &u, "4");
    PRICE(PLAIN "model n default_ttl=1h\nprice n write 3\nprice n write 4 ttl=5m\n", &u, "3");
}

#define TIER(rate, above, cmp, mode, of) \
    "price m input " rate " above=" above " cmp=" cmp " mode=" mode " of=" of "\n"

static void thresholds(void) {
    struct usage u = used("m", 1000, 0, 0);
    PRICE(PLAIN TIER("4", "1000", "gt", "whole", "prompt"), &u, "0.002");
    PRICE(PLAIN TIER("4", "1000", "ge", "whole", "prompt"), &u, "0.004");
    PRICE(PLAIN TIER("4", "1000", "gt", "marginal", "prompt"), &u, "0.002");
    PRICE(PLAIN TIER("4", "1000", "ge", "marginal", "prompt"), &u, "0.002002");
    PRICE(PLAIN TIER("4", "999", "gt", "marginal", "prompt"), &u, "0.002002");
    PRICE(PLAIN TIER("4", "0", "ge", "marginal", "prompt"), &u, "0.004");
    PRICE(PLAIN TIER("4", "200", "gt", "marginal", "class") TIER("8", "500", "gt", "marginal",
          "class"), &u, "0.0056");
    CHECK_INT(bill.n, 3);
    CHECK_INT(bill.line[0].amount.quantity, 200);
    CHECK_INT(bill.line[1].amount.quantity, 300);
    CHECK_INT(bill.line[2].amount.quantity, 500);
    /* a row with more selectors goes before a tier */
    PRICE(PLAIN TIER("4", "0", "gt", "whole", "prompt") "price m input 1 region=eu\n"
          "price m input 5 service=standard speed=standard\n", &u, "0.005");
    PRICE(HEAD "price m input 1\nprice * input 4 above=0 cmp=gt mode=whole of=prompt\n", &u,
          "0.001");
    PRICE(HEAD TIER("4", "1000", "gt", "whole", "prompt"), &u,
          "unpriced: m: input: its rows begin above a threshold");
}

#define OUT(of, mode) "factor m output 2 above=1000 cmp=gt mode=" mode " of=" of "\n"

/* Cached tokens are the first, then written, then fresh, then what is made. */
static void order_of_tokens(void) {
    struct usage u = used("m", 400, 500, 300);
    with(&u, USAGE_WRITE, USAGE_TEXT, 0, 300);
    PRICE(PLAIN TIER("4", "900", "gt", "marginal", "prompt") "price m read 0\nprice m write 0\n",
          &u, "0.0044");            /* of 400 fresh tokens 100 are below 900 */
    PRICE(PLAIN "price m read 0 above=499 cmp=gt mode=marginal of=prompt\n", &u,
          "0.005398");
    PRICE(HEAD "price m input 0\nprice m output 10\n" OUT("prompt", "marginal"), &u, "0.006");
    PRICE(HEAD "price m input 0\nprice m output 10\n" OUT("class", "marginal"), &u, "0.003");
    u.amount[2].quantity = 1200;
    PRICE(HEAD "price m input 0\nprice m output 10\n" OUT("class", "marginal"), &u, "0.014");
    u = used("m", 900, 0, 300);
    PRICE(HEAD "price m input 0\nprice m output 10\n" OUT("prompt", "marginal"), &u, "0.003");
    PRICE(HEAD "price m input 0\nprice m output 10\n" OUT("total", "marginal"), &u, "0.005");
    PRICE(HEAD "price m input 0\nprice m output 10\n" OUT("total", "whole"), &u, "0.006");
    with(&u, USAGE_REASONING, USAGE_TEXT, 0, 50);
    PRICE(HEAD "price m input 0\nprice m output 10\nprice m reasoning 0\n"
          OUT("total", "marginal"), &u, "0.0055");
}

static const char *at(const char *book, const char *time) {
    struct usage u = used("m", 1000000, 0, 0);
    static char out[64];
    struct book *b = parse(book);
    u.time_ns = date(time);
    snprintf(out, sizeof out, "%s", b ? price(b, &u) : "");
    book_free(b);
    return out;
}

static void times(void) {
    static const char two[] = HEAD "price m input 2 to=2026-09-01\n"
                              "price m input 3 from=2026-09-01\n";
    CHECK_STR(at(two, "2026-08-31T23:59:59Z"), "2");
    CHECK_STR(at(two, "2026-09-01"), "3");
    CHECK_STR(at(HEAD "price m input 2 to=2026-09-01\n", "2026-09-01"),
              "unpriced: m: input: no row at that time");
    static const char peak[] = HEAD "price m input 1\nfactor m 2 days=mon-fri "
                               "hours=01:00-04:00,06:00-10:00 from=2026-08-16T16:00Z\n";
    CHECK_STR(at(peak, "2026-08-14T02:00Z"), "1");      /* a Friday before it begins */
    CHECK_STR(at(peak, "2026-08-17T02:00Z"), "2");
    CHECK_STR(at(peak, "2026-08-17T00:59:59Z"), "1");
    CHECK_STR(at(peak, "2026-08-17T04:00Z"), "1");
    CHECK_STR(at(peak, "2026-08-17T09:59:59Z"), "2");
    CHECK_STR(at(peak, "2026-08-22T02:00Z"), "1");      /* Saturday */
    static const char china[] = HEAD "price m input 1\nfactor m 2 days=mon hours=00:00-08:00 "
                                "zone=+08:00\n";
    CHECK_STR(at(china, "2026-08-16T16:00Z"), "2");
    CHECK_STR(at(china, "2026-08-16T15:59Z"), "1");
    CHECK_STR(at(china, "2026-08-17T00:00Z"), "1");
}

/* One biller, times to and fro: what is kept must not be taken for another time. */
static void times_to_and_fro(void) {
    struct book *b = parse(HEAD "price m input 1 to=2026-03-01\nprice m input 2 from=2026-03-01\n"
                           "factor m 3 hours=06:00-18:00\n");
    struct biller *p = biller_new(b, &plain);
    state = 7;
    for (int i = 0; i < 5000; i++) {
        struct usage u = used("m", 1000000, 0, 0);
        int day = below(120);
        int hour = below(24);
        u.time_ns = date("2026-01-01") + (day * 24 + hour) * HOUR;
        int want = (day < 59 ? 1 : 2) * (hour >= 6 && hour < 18 ? 3 : 1);
        CHECK_INT(bill_price(p, &u, 0, &bill), BILL_PRICED);
        CHECK(bill.usd == want * MONEY_USD);
    }
    biller_free(p);
    book_free(b);
}

static void factors(void) {
    struct usage u = used("m", 1000000, 0, 1000000);
    u.service = words("batch");
    PRICE(PLAIN "factor m 0.5 service=batch\n", &u, "6");
    PRICE(PLAIN "factor m 0.5 service=batch\nfactor m 3 hours=00:00-24:00\n", &u, "18");
    PRICE(PLAIN "factor m 0.5 service=batch\nfactor * 0.1 service=batch\nfactor * 3\n", &u, "18");
    PRICE(PLAIN "factor m 0.5 service=batch\nfactor m input 3 service=batch\n", &u, "8");
    PRICE(PLAIN "factor m 2 above=10 cmp=gt mode=whole of=prompt\n"
          "factor m 5 above=20 cmp=gt mode=whole of=prompt\n"
          "factor m 0.5 service=batch\n", &u, "30");
    PRICE(PLAIN "factor m 0 service=batch\n", &u, "0");
    with(&u, USAGE_REQUEST, USAGE_TEXT, 0, 1);
    PRICE(PLAIN "price m request 1\nfactor m 0.5 service=batch\n", &u, "7");
    PRICE(PLAIN "price m request 1\nfactor m request 0.5 service=batch\n", &u, "12.5");
}

static void units(void) {
    struct usage u = {.model = words("m"), .time_ns = 0};
    with(&u, USAGE_REQUEST, USAGE_TEXT, 0, 1);
    with(&u, USAGE_SEARCH, USAGE_TEXT, 0, 3);
    PRICE(PLAIN "price m request 0.01\nprice m search 10 per=1k\n", &u, "0.04");
    u.n = 0;
    with(&u, USAGE_SECOND, USAGE_TEXT, 0, 90 * (int64_t)1000000000);
    PRICE(PLAIN "price m second 0.006 per=minute\n", &u, "0.009");
    u.n = 0;
    with(&u, USAGE_STORAGE, USAGE_TEXT, 0, 500000 * (int64_t)5400000);
    PRICE(PLAIN "price m storage 4.5\n", &u, "3.375");
    u.n = 0;
    with(&u, USAGE_OUTPUT, USAGE_TEXT, 0, 1001);
    PRICE("book t counterfactual=yes\nmodel m\nprice m output 0.5 per=unit unit=500\n", &u, "1.5");
    PRICE("book t counterfactual=yes\nmodel m active=3300000000\n"
          "price m output 0.01 per=active\n", &u, "0.000033033");
}

static void rounding(void) {
    struct usage u = used("m", 1, 0, 0);
    static const char *const want[] = {"0", "0.000000000001", "0.000000000002", "0.000000000002",
                                       "0.000000000002"};
    for (int i = 0; i < 5; i++) {               /* half a pico-dollar each */
        u.amount[0].quantity = i + 1;
        PRICE(HEAD "price m input 0.0000005\n", &u, want[i]);
    }
    u.amount[0].quantity = 3000000;             /* a yocto-dollar is 1e-18 a million */
    PRICE(HEAD "price m input 0.000000000000000001\n", &u, "0");
    u = used("m", 1, 0, 1);                     /* two halves make one */
    PRICE(HEAD "price m input 0.0000005\nprice m output 0.0000005\n", &u, "0.000000000001");
}

static void options(void) {
    struct usage u = used("m", 1000000, 0, 0);
    struct book *b = parse(HEAD "price m input 2 to=2026-09-01\nprice m input 3 from=2026-09-01\n"
                           "factor m 0.5 service=batch\nmodel n\nprice n input 7\n");
    struct bill_options o = plain;
    o.at_ns = date("2026-10-01");
    CHECK_STR(price_with(b, &u, &o), "3");
    o = plain;
    o.now_ns = date("2026-10-01");
    CHECK_STR(price_with(b, &u, &o), "2");
    u.time_ns = USAGE_NO_TIME;
    CHECK_STR(price_with(b, &u, &o), "3");
    CHECK(bill.at_ns == o.now_ns);
    o.service = "batch";
    CHECK_STR(price_with(b, &u, &o), "1.5");
    o = (struct bill_options){.at_ns = 0, .model = "n"};
    CHECK_STR(price_with(b, &u, &o), "2");
    o.force_model = 1;
    CHECK_STR(price_with(b, &u, &o), "7");
    u.model = words(NULL);
    o.force_model = 0;
    CHECK_STR(price_with(b, &u, &o), "7");
    book_free(b);
}

static const char *tiers(const struct book *b, const struct usage *u, struct bill_tiers t) {
    struct bill_options o = plain;
    o.tiers = &t;
    return price_with(b, u, &o);
}

static void other_tiers(void) {
    struct usage u = used("claude-sonnet-4-5", 50000, 200000, 2000);
    struct book *b = parse(SONNET_TIERS("prompt", "whole"));
    CHECK_STR(tiers(b, &u, (struct bill_tiers){-1, -1, -1, 0}), "0.465");
    CHECK_STR(tiers(b, &u, (struct bill_tiers){-1, -1, -1, 1}), "0.24");
    CHECK_STR(tiers(b, &u, (struct bill_tiers){-1, BOOK_MARGINAL, BOOK_OF_CLASS, 0}), "0.24");
    CHECK_STR(tiers(b, &u, (struct bill_tiers){-1, BOOK_MARGINAL, -1, 0}), "0.405");
    CHECK_STR(tiers(b, &u, (struct bill_tiers){BOOK_GE, -1, BOOK_OF_CLASS, 0}), "0.3");
    struct bill_options o = plain;
    for (o.without_row = 1; strcmp(price_with(b, &u, &o), "0.45"); o.without_row++)
        if (o.without_row > b->rows) {          /* without the tier of output */
            CHECK(0);
            break;
        }
    book_free(b);
}

static void bad_days(void) {
    struct book *b = parse(PLAIN);
    struct usage u = used("m", 0, 0, 0);
    char name[32];
    CHECK_STR(price(b, &u), "0");
    CHECK_INT(bill.n, 0);
    u = used("m", INT64_MAX, 0, 0);
    CHECK_STR(price(b, &u), "18446744073709.551614");
    book_free(b);
    b = parse(HEAD "price m input 1000000\n");
    CHECK_STR(price(b, &u), "unpriced: m: input: more than can be counted");
    struct biller *p = biller_new(b, &plain);
    for (int i = 0; i < 20000; i++) {           /* more names than are kept */
        snprintf(name, sizeof name, i % 2 ? "m-%08d" : "x%08d", i);
        u = used(name, 1, 0, 0);
        CHECK_INT(bill_price(p, &u, 0, &bill), i % 2 ? BILL_PRICED : BILL_UNPRICED);
    }
    biller_free(p);
    book_free(b);
}

/* ---- words -------------------------------------------------------------------------------- */

/* The rules of an explanation, a letter each. */
static const char *told(const struct book *b, const struct usage *u, struct bill_steps *steps) {
    static char out[200];
    struct biller *p = biller_new(b, &plain);
    size_t n = 0;
    bill_explain(p, u, &bill, steps);
    for (int i = 0; i < steps->n && n + 1 < sizeof out; i++)
        out[n++] = steps->step[i].rule[0];
    out[n] = '\0';
    biller_free(p);
    return out;
}

static void explained(void) {
    struct book *b = parse(SONNET_TIERS("class", "marginal"));
    struct usage u = used("claude-sonnet-4-5", 250000, 0, 2000);
    struct bill_steps steps = {0};
    /* model, time; row and charge below, tier, row and charge above; output's tier is passed */
    CHECK_STR(told(b, &u, &steps), "mtrctrcprcrt");
    CHECK_STR(steps.step[4].text, "tokens 200001 to 250000 of the class, > 200000: reached");
    CHECK_STR(steps.step[6].text, "50000 input tokens x $6 a million tokens = $0.3");
    CHECK_STR(steps.step[7].text, "tokens 1 to 2000 of the class, > 200000: not reached");
    CHECK_INT(steps.step[4].line, 8);
    money_rate sum = 0;
    for (int i = 0; i < steps.n; i++)
        sum += steps.step[i].charge;
    CHECK(sum == bill.yocto);
    bill_steps_free(&steps);
    with(&u, USAGE_SEARCH, USAGE_TEXT, 0, 1);
    CHECK_STR(told(b, &u, &steps), "mtrctrcprcu");
    bill_steps_free(&steps);
    u.model = words("claude-sonnet-5-4");
    CHECK_STR(told(b, &u, &steps), "u");
    bill_steps_free(&steps);
    CHECK(!steps.step && !steps.n);
    book_free(b);
}

static void near_names(void) {
    struct book *b = parse("book t\nmodel gpt-5.4 alias=codex\nmodel gpt-5\nmodel claude-opus\n");
    int model[3];
    CHECK_INT(bill_near(b, "gpt-5.5", 7, model, 3), 2);
    CHECK_INT(model[0], 0);
    CHECK_INT(model[1], 1);
    CHECK_INT(bill_near(b, "x/GPT5", 6, model, 1), 1);
    CHECK_INT(model[0], 1);
    CHECK_INT(bill_near(b, "codec", 5, model, 3), 1);
    CHECK_INT(model[0], 0);
    CHECK_INT(bill_near(b, "zzzzzzzzzz", 10, model, 3), 0);
    CHECK_INT(bill_near(b, "", 0, model, 3), 0);
    book_free(b);
}

/* ---- the reference ------------------------------------------------------------------------ */

/* Text of a member, NULL where it is null. */
static const char *member(const cJSON *o, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(o, name));
}

static int index_of(const char *const *names, const char *s) {
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], s))
            return i;
    return -1;
}

static struct usage usage_of(const cJSON *o) {
    double time_s = cJSON_GetObjectItem(o, "time_s")->valuedouble;
    struct usage u = {.model = words(member(o, "model")), .service = words(member(o, "service")),
                      .region = words(member(o, "region")), .speed = words(member(o, "speed")),
                      .time_ns = (int64_t)time_s * 1000000000};
    const cJSON *a;
    cJSON_ArrayForEach(a, cJSON_GetObjectItem(o, "amounts"))
        with(&u, index_of(usage_kind_names(), cJSON_GetArrayItem(a, 0)->valuestring),
             index_of(usage_modality_names(), cJSON_GetArrayItem(a, 1)->valuestring),
             (int64_t)cJSON_GetArrayItem(a, 2)->valuedouble * 1000000000,
             (int64_t)cJSON_GetArrayItem(a, 3)->valuedouble);
    return u;
}

static int check_usage(const struct book *b, struct biller *p, const cJSON *o) {
    struct usage u = usage_of(o);
    const char *want = member(o, "usd");
    char text[MONEY_TEXT] = "unpriced";
    if (bill_price(p, &u, 0, &bill) == BILL_PRICED)
        money_text(bill.usd, text);
    if (!strcmp(text, want ? want : "unpriced"))
        return want != NULL;
    char *json = cJSON_PrintUnformatted(o);
    printf("# %s %s: %s\n", text, bill.why, json);
    free(json);
    CHECK_STR(price(b, &u), want ? want : "unpriced");
    return 0;
}

/* tests/reference/bill.py: other code, other numbers (fractions), another reading of the book. */
static void reference(void) {
    struct buf text = scratch_read("tests/reference/bill.jsonl");
    int priced = 0;
    for (char *line = text.data, *end; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        cJSON *o = cJSON_Parse(line);
        const cJSON *u;
        struct book *b = parse(member(o, "book"));
        struct biller *p = b ? biller_new(b, &plain) : NULL;
        int bad = check_bad;
        cJSON_ArrayForEach(u, cJSON_GetObjectItem(o, "usages"))
            priced += b ? check_usage(b, p, u) : 0;
        if (check_bad > bad)
            printf("%s", member(o, "book"));
        biller_free(p);
        book_free(b);
        cJSON_Delete(o);
    }
    CHECK(priced >= 200);
    buf_free(&text);
}

/* ---- token by token ----------------------------------------------------------------------- */

static const uint8_t order[] = {USAGE_READ, USAGE_WRITE, USAGE_INPUT, USAGE_REASONING,
                                USAGE_OUTPUT};

/* A book of tiers around small thresholds; rows that would overlap are not there. */
static char *random_tiers(void) {
    static const char *const kinds[] = {"input", "read", "write", "output", "reasoning"};
    static const char *const of[] = {"prompt", "class", "total"};
    struct buf t = {0};
    buf_adds(&t, HEAD);
    for (int k = 0; k < 5; k++) {
        int n = below(4);
        int above = 0;
        if (k % 3 == 0 || below(2))
            buf_printf(&t, "price m %s %d\n", kinds[k], 1 + below(99));
        for (int i = 0; i < n; i++)
            buf_printf(&t, "price m %s %d above=%d cmp=%s mode=%s of=%s\n", kinds[k],
                       1 + below(99), above += 1 + below(25), below(2) ? "gt" : "ge",
                       below(3) ? "marginal" : "whole", of[below(3)]);
        if (!below(3))
            buf_printf(&t, "factor m %s %d above=%d cmp=%s mode=%s of=%s\n",
                       below(3) ? kinds[k] : k ? kinds[k] : "", 2 + below(5), below(60),
                       below(2) ? "gt" : "ge", below(3) ? "marginal" : "whole", of[below(3)]);
    }
    return t.data;
}

struct token {
    int kind;
    int number[3];              /* within prompt (0: it stands behind it), class, total; from 1 */
};

static int measure_of(const struct usage *u, const struct token *t, int of) {
    int sum = 0;
    for (int i = 0; i < u->n; i++) {
        int kind = u->amount[i].kind;
        int made = kind == USAGE_OUTPUT || kind == USAGE_REASONING;
        int mine = kind == t->kind || (made && (t->kind == USAGE_OUTPUT ||
                                                t->kind == USAGE_REASONING));
        if (of == BOOK_OF_TOTAL || (of == BOOK_OF_PROMPT && !made) || (of == BOOK_OF_CLASS && mine))
            sum += (int)u->amount[i].quantity;
    }
    return sum;
}

static int holds(const struct usage *u, const struct token *t, const struct book_row *r) {
    int n = t->number[r->when.of];
    if (r->when.above < 0)
        return 1;
    if (r->when.mode == BOOK_WHOLE || !n)
        n = measure_of(u, t, r->when.of);
    return r->when.cmp == BOOK_GE ? n >= r->when.above : n > r->when.above;
}

/* Of rows of one kind, that with the highest threshold that holds. */
static const struct book_row *row_for(const struct book *b, const struct usage *u,
                                      const struct token *t, int kind, int factor) {
    const struct book_row *best = NULL;
    for (int i = 0; i < b->rows; i++) {
        const struct book_row *r = &b->row[i];
        if (r->factor == factor && r->kind == kind && holds(u, t, r) &&
            (!best || r->when.above > best->when.above))
            best = r;
    }
    return best;
}

static int has_write(const struct book *b) {
    for (int i = 0; i < b->rows; i++)
        if (!b->row[i].factor && b->row[i].kind == USAGE_WRITE)
            return 1;
    return 0;
}

/* Yocto-dollars of one token; -1: unpriced. */
static money_rate token_price(const struct book *b, const struct usage *u, const struct token *t) {
    int other = t->kind == USAGE_READ || t->kind == USAGE_WRITE ? USAGE_INPUT
                : t->kind == USAGE_REASONING                    ? USAGE_OUTPUT : -1;
    const struct book_row *r = row_for(b, u, t, t->kind, 0);
    if (!r && other >= 0 && !(t->kind == USAGE_WRITE && has_write(b)))
        r = row_for(b, u, t, other, 0);
    if (!r)
        return -1;
    money_rate rate = r->rate;
    int kinds[3] = {BOOK_ANY, t->kind, r->kind};
    for (int i = 0; i < (r->kind == t->kind ? 2 : 3); i++) {
        const struct book_row *f = row_for(b, u, t, kinds[i], 1);
        if (f)
            rate = rate * f->times / MONEY_FACTOR;
    }
    return rate;
}

static money_rate by_token(const struct book *b, const struct usage *u) {
    money_rate sum = 0;
    int number[3] = {0};
    int in_class = 0;
    for (int k = 0; k < 5; k++) {
        if (k != 4)
            in_class = 0;
        for (int i = 0; i < u->n; i++)
            for (int q = 0; u->amount[i].kind == order[k] && q < u->amount[i].quantity; q++) {
                number[BOOK_OF_PROMPT] = k < 3 ? number[BOOK_OF_PROMPT] + 1 : 0;
                number[BOOK_OF_CLASS] = ++in_class;
                number[BOOK_OF_TOTAL]++;
                struct token t = {order[k], {number[0], number[1], number[2]}};
                money_rate one = token_price(b, u, &t);
                if (one < 0)
                    return -1;
                sum += one;
            }
    }
    return sum;
}

static void token_by_token(void) {
    state = 11;
    for (int i = 0; i < 3000; i++) {
        char *text = random_tiers();
        struct book *b = parse(text);
        struct usage u = {.model = words("m"), .time_ns = 0};
        for (int k = 4; k >= 0; k--)
            if (below(4))
                with(&u, order[(k + i) % 5], USAGE_TEXT, 0, 1 + below(40));
        struct biller *p = b ? biller_new(b, &plain) : NULL;
        money_rate want = b ? by_token(b, &u) : 0;
        int bad = check_bad;
        CHECK(b && (bill_price(p, &u, 1, &bill) == BILL_PRICED) == (want >= 0));
        CHECK(want < 0 || bill.yocto == want);
        if (check_bad > bad)
            printf("%s# input %d of seed 11\n", text, i);
        biller_free(p);
        book_free(b);
        free(text);
    }
}

int main(void) {
    RUN(tools_disagree);
    RUN(fallbacks);
    RUN(fallback_factors);
    RUN(unknown_is_unpriced);
    RUN(modalities);
    RUN(lives);
    RUN(thresholds);
    RUN(order_of_tokens);
    RUN(times);
    RUN(times_to_and_fro);
    RUN(factors);
    RUN(units);
    RUN(rounding);
    RUN(options);
    RUN(other_tiers);
    RUN(bad_days);
    RUN(explained);
    RUN(near_names);
    RUN(reference);
    RUN(token_by_token);
    return check_done();
}
