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
    struct usage u = {.model = words(member(o, "model")), .service = words(member(o, "service")),
                      .region = words(member(o, "region")), .speed = words(member(o, "speed")),
                      .time_ns = (int64_t)cJSON_GetObjectItem(o, "time_s")->valuedouble * 1000000000};
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

int main(void) {
    RUN(tools_disagree);
    RUN(reference);
    return check_done();
}
