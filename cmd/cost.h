/* cost.h - the pieces of llm-cost
 *
 *   llm-cost.c         the verbs
 *   cost_options.c     what verbs share: books, dates, inputs, model and device on a command line
 *   cost_price.c       price: usage in, bill out
 *   cost_explain.c     explain: every rule that fired
 *   cost_bound.c       bound: the least and the most that books and tier semantics make of it
 *   cost_book.c        book: lint, diff, at, list; cost_book_import.c import; cost_book_update.c
 *   cost_catalogue.c   what import and update share: prices out of a file or off the net
 *   cost_breakeven.c   breakeven: API, batch, plan, provisioned units, own GPU
 *   cost_forecast.c    forecast: the bill's distribution
 *   cost_model.c       model: FLOPs and bytes of a shape
 *   cost_curve.c       curve: cost against length
 *   cost_estimate.c    estimate: time, energy, money on a device
 *   cost_profile.c     profile: a measured run into the ledger
 *   cost_diff.c        diff, check: the regression gate
 *   cost_carbon.c      carbon: joules to CO2
 *   cost_agent.c       agent: a context over turns and days
 *
 * A verb is a function that takes its own argc and argv (argv[0] is "llm-cost VERB") and returns
 * the exit status. Everything here may end the program with die().
 */
#ifndef COST_H
#define COST_H

#include <stdint.h>

#include "cmd/common.h"
#include "cmd/fields.h"
#include "lib/cost/bill.h"
#include "lib/cost/book.h"
#include "lib/cost/usage.h"
#include "lib/shape/device.h"
#include "lib/shape/shape.h"

int cost_price(int argc, char **argv);
int cost_explain(int argc, char **argv);
int cost_bound(int argc, char **argv);
int cost_book(int argc, char **argv);
int cost_book_import(int argc, char **argv);
int cost_book_update(int argc, char **argv);
int cost_breakeven(int argc, char **argv);
int cost_forecast(int argc, char **argv);
int cost_model(int argc, char **argv);
int cost_curve(int argc, char **argv);
int cost_estimate(int argc, char **argv);
int cost_profile(int argc, char **argv);
int cost_diff(int argc, char **argv);
int cost_check(int argc, char **argv);
int cost_carbon(int argc, char **argv);
int cost_agent(int argc, char **argv);

/* ---- options that verbs share -----------------------------------------------------------
 *
 *     static const struct option longs[] = {COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG,
 *         {"by", required_argument, NULL, OPT_BY}, {NULL, 0, NULL, 0}};
 *     struct cost_books books = COST_BOOKS;
 *     while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
 *         if (!common_option(c, optarg, &o.common, usage) &&
 *             !fields_option(c, optarg, &o.common) &&
 *             !cost_book_option(c, optarg, &books)) switch (c) { case OPT_BY: ... }
 *     cost_books_ready(&books);
 */

enum {
    OPT_BOOK = OPT_FIRST_FREE, OPT_AT, OPT_SKIP_BAD, OPT_SHAPE, OPT_KV_TYPE, OPT_WEIGHT_TYPE,
    OPT_DEVICE, OPT_COMPUTE, OPT_TP, OPT_EP, OPT_CALIBRATE,
    OPT_VERB                    /* a verb's own options begin here */
};

#define COST_BOOK_LONG \
    {"book", required_argument, NULL, OPT_BOOK}, {"at", required_argument, NULL, OPT_AT}
#define COST_BOOK_FILE_USAGE \
    "Prices\n" \
    "      --book BOOK        a shipped price book (llm-cost book list) or a file, llm-book(5)\n" \
    "                         (default: $LLM_COST_BOOK, else starter)\n"
#define COST_BOOK_NOW_USAGE \
    COST_BOOK_FILE_USAGE \
    "      --at DATE          prices of that day or time, UTC (default: now)\n"
#define COST_BOOK_USAGE \
    COST_BOOK_FILE_USAGE \
    "      --at DATE          prices of that day or time, UTC (default: of each record's time;\n" \
    "                         records without one: of now)\n"

#define COST_BOOKS_MOST 16
struct cost_books {
    const char *spec[COST_BOOKS_MOST];
    struct book *book[COST_BOOKS_MOST];     /* once ready; at least one */
    int n;
    int64_t at_ns;              /* USAGE_NO_TIME: not given */
    int64_t now_ns;             /* once ready */
};
#define COST_BOOKS {.at_ns = USAGE_NO_TIME}
int cost_book_option(int c, const char *arg, struct cost_books *b);
/* Loads the books; dies when one cannot be, or when there are more than `most`. */
void cost_books_ready(struct cost_books *b, int most);
void cost_books_free(struct cost_books *b);
/* The lowest price of an hour of this device in the first book, valid then; NULL: none. */
const struct book_gpu *cost_gpu(const struct cost_books *b, const char *device);

#define COST_INPUT_LONG {"skip-bad", no_argument, NULL, OPT_SKIP_BAD}
#define COST_INPUT_USAGE \
    "Usage\n" \
    "      --skip-bad         count and pass broken lines\n"

/* A date of an option ("2026-01-15", "2026-01-15T10:00Z"); ends the program when it is none. */
int64_t arg_date(const char *option, const char *value);
/* Dollars of an option, exact to the pico-dollar, 0 or more. */
money arg_money(const char *option, const char *value);

#define COST_MODEL_LONG \
    {"shape", required_argument, NULL, OPT_SHAPE}, \
    {"kv-type", required_argument, NULL, OPT_KV_TYPE}, \
    {"weight-type", required_argument, NULL, OPT_WEIGHT_TYPE}
#define COST_MODEL_USAGE \
    "Model\n" \
    "      --shape SHAPE      a known model (llama-3.1-8b, deepseek-v3, ...), GGUF, config.json\n" \
    "                         or its folder, run trace, or numbers: layers=32,d_model=4096,\n" \
    "                         heads=32,kv_heads=8,d_ff=14336\n" \
    "      --kv-type TYPE     f32, f16, bf16, fp8 or q8_0, or bits of an element (default f16)\n" \
    "      --weight-type TYPE bits of a weight, or f32, bf16, fp8, q8_0, q6_k, q5_k, q4_k,\n" \
    "                         q4_0, mxfp4, q3_k, q2_k (default: as stored)\n"
struct cost_shape {
    struct shape *shape;        /* NULL: none given */
    double kv_bits, weight_bits;            /* weight_bits 0: as stored */
};
#define COST_SHAPE {.kv_bits = 16}
int cost_shape_option(int c, const char *arg, struct cost_shape *m);

#endif
