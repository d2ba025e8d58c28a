/* cost_options.c - what the verbs of llm-cost share on a command line, see cost.h */
#include "cmd/cost.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/date.h"
#include "lib/base/num.h"

/* ---- books -------------------------------------------------------------------------------- */

int cost_book_option(int c, const char *arg, struct cost_books *b) {
    switch (c) {
    case OPT_BOOK:
        if (b->n == COST_BOOKS_MOST)
            usage_die("--book: expected at most %d books", COST_BOOKS_MOST);
        common_take_stdin(arg);
        b->spec[b->n++] = arg;
        return 1;
    case OPT_AT: b->at_ns = arg_date("--at", arg); return 1;
    }
    return 0;
}

void cost_books_ready(struct cost_books *b, int most) {
    struct timespec now;
    struct err e = {{0}};
    clock_gettime(CLOCK_REALTIME, &now);
    b->now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (b->n > most)
        usage_die("--book: %d books: this verb takes %d", b->n, most);
    if (!b->n) {
        const char *own = getenv("LLM_COST_BOOK");
        b->spec[b->n++] = own && *own ? own : "starter";
    }
    for (int i = 0; i < b->n; i++) {
        b->book[i] = book_find(b->spec[i], &e);
        if (!b->book[i])
            die_err(&e);
    }
}

void cost_books_free(struct cost_books *b) {
    for (int i = 0; i < b->n; i++)
        book_free(b->book[i]);
}

const struct book_gpu *cost_gpu(const struct cost_books *b, const char *device) {
    int64_t at = b->at_ns == USAGE_NO_TIME ? b->now_ns : b->at_ns;
    const struct book_gpu *best = NULL;
    for (int i = 0; i < b->book[0]->gpus; i++) {
        const struct book_gpu *g = &b->book[0]->gpu[i];
        if (!strcasecmp(g->device, device) && g->from_ns <= at && at < g->to_ns &&
            (!best || g->rate < best->rate))
            best = g;
    }
    return best;
}

/* ---- values ------------------------------------------------------------------------------- */

int64_t arg_date(const char *option, const char *value) {
    int64_t ns;
    if (date_parse(value, strlen(value), &ns))
        usage_die("%s: '%s': expected a date as in 2026-01-15 or 2026-01-15T10:00Z", option, value);
    return ns;
}

money arg_money(const char *option, const char *value) {
    money m;
    if (money_parse(value, strlen(value), &m) || m < 0)
        usage_die("%s: '%s': expected dollars with up to 12 decimals, as in 20 or 0.25", option,
                  value);
    return m;
}

/* ---- model -------------------------------------------------------------------------------- */

/* Bits of an element, block scales included (lib/shape, kernels/blocks.h). */
static const struct type {
    const char *name;
    double bits;
    int kv;                     /* keys and values are kept so */
} types[] = {
    {"f32", 32, 1}, {"f16", 16, 1}, {"bf16", 16, 1}, {"fp8", 8, 1}, {"int8", 8, 0},
    {"q8_0", 8.5, 1}, {"q6_k", 6.5625, 0}, {"q5_k", 5.5, 0}, {"q5_0", 5.5, 0}, {"q4_k", 4.5, 0},
    {"q4_0", 4.5, 1}, {"mxfp4", 4.25, 0}, {"int4", 4, 0}, {"q3_k", 3.4375, 0}, {"q2_k", 2.625, 0},
};

static double bits_of(const char *option, const char *value, int kv) {
    double bits;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcasecmp(types[i].name, value) && types[i].kv >= kv)
            return types[i].bits;
    if (num_float(value, 0.5, 64, &bits))
        usage_die("%s: '%s': expected a type as in q8_0 or bf16, or bits from 0.5 to 64", option,
                  value);
    return bits;
}

int cost_shape_option(int c, const char *arg, struct cost_shape *m) {
    struct err e = {{0}};
    switch (c) {
    case OPT_SHAPE:
        shape_free(m->shape);
        m->shape = shape_find(arg, &e);
        if (!m->shape)
            die_err(&e);
        return 1;
    case OPT_KV_TYPE: m->kv_bits = bits_of("--kv-type", arg, 1); return 1;
    case OPT_WEIGHT_TYPE: m->weight_bits = bits_of("--weight-type", arg, 0); return 1;
    }
    return 0;
}
