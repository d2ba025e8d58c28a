/* prices.c - prices as an option says them, see prices.h
 *
 * Flat prices become a book of one model, so that there is one way to make a bill.
 */
#include "cmd/prices.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/common.h"

#define FLAT "flat"             /* the model of a book that was made of an option */
#define HOUR_MS INT64_C(3600000)

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void flat_failed(const char *option, const char *value) {
    usage_die("%s: '%s': expected dollars per million tokens, IN,OUT or IN,OUT,CACHED, as in "
              "3,15,0.30, or a model of a price book", option, value);
}

static struct book *flat_book(const char *option, const char *value) {
    static const char *const kinds[] = {"input", "output", "read"};
    char *copy = mem_strdup(value);
    int n;
    char **part = arg_list(copy, &n);
    struct buf text = {0};
    struct err e = {{0}};
    if (n < 2 || n > 3)
        flat_failed(option, value);
    buf_adds(&text, "book " FLAT "\nmodel " FLAT "\n");
    for (int i = 0; i < n; i++) {
        money_rate rate;
        if (money_parse_rate(part[i], strlen(part[i]), 1000000, &rate) || rate < 0)
            flat_failed(option, value);
        buf_printf(&text, "price " FLAT " %s %s\n", kinds[i], part[i]);
    }
    struct book *b = book_parse(option, text.data, text.len, &e);
    if (!b)
        die_err(&e);
    buf_free(&text);
    free(part);
    free(copy);
    return b;
}

/* [BOOK:]MODEL. A model's own name may have a colon too: the whole is tried in the starter book. */
static struct book *named_book(const char *value, char **model) {
    struct err e = {{0}};
    struct book *b = book_find("starter", &e);
    const char *colon = strrchr(value, ':');
    if (b && colon && book_model(b, value, strlen(value)) < 0) {
        char *name = mem_strndup(value, (size_t)(colon - value));
        book_free(b);
        b = book_find(name, &e);
        free(name);
        value = colon + 1;
    }
    if (!b)
        die_err(&e);
    *model = mem_strdup(value);
    return b;
}

/* The path of a book may begin as a number does: "./mine.book:small". */
static int is_flat(const char *value) {
    return !strchr(value, ':') && (isdigit((unsigned char)*value) || strchr(".,-", *value));
}

void prices_parse(const char *option, const char *value, struct prices *out) {
    if (is_flat(value)) {
        out->book = flat_book(option, value);
        out->model = mem_strdup(FLAT);
    } else {
        out->book = named_book(value, &out->model);
    }
    out->biller = biller_new(out->book, &(struct bill_options){
        .at_ns = USAGE_NO_TIME, .now_ns = now_ns(), .model = out->model});
    if (isnan(prices_usd(out, 1, 0, 0)))
        usage_die("%s: the price book '%s' has no price for '%s'", option, out->book->name,
                  out->model);
}

/* NAN without a price. */
static double bill_of(const struct prices *p, struct usage *u) {
    struct bill bill;
    u->time_ns = u->offset_ns = USAGE_NO_TIME;
    return bill_price(p->biller, u, 0, &bill) == BILL_PRICED ? money_dollars(bill.usd) : NAN;
}

double prices_usd(const struct prices *p, int64_t input, int64_t cached, int64_t output) {
    struct usage u = {.n = 0};
    if (!p->book || usage_add(&u, USAGE_INPUT, USAGE_TEXT, 0, input - cached) ||
        usage_add(&u, USAGE_READ, USAGE_TEXT, 0, cached) ||
        usage_add(&u, USAGE_OUTPUT, USAGE_TEXT, 0, output))
        return NAN;
    return bill_of(p, &u);
}

double prices_relative(const struct prices *p, enum usage_kind kind, int64_t ttl_ns) {
    struct usage input = {.n = 0};
    struct usage other = {.n = 0};
    usage_add(&input, USAGE_INPUT, USAGE_TEXT, 0, 1000);
    usage_add(&other, kind, USAGE_TEXT, ttl_ns, kind == USAGE_STORAGE ? 1000 * HOUR_MS : 1000);
    double x = bill_of(p, &other) / bill_of(p, &input);
    return isfinite(x) ? x : NAN;
}
