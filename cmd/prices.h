/* prices.h - prices as an option says them: a model of a price book, or dollars per million tokens
 *
 *     case OPT_PRICE: prices_parse("--price", optarg, &o.price); break;
 *     ...
 *     usd = prices_usd(&o.price, input, cached, output);
 *
 * Bills are those of llm-cost (lib/cost/bill.h): exact, context tiers and all, at today's prices.
 */
#ifndef PRICES_H
#define PRICES_H

#include <stdint.h>

#include "lib/cost/bill.h"

struct prices {                 /* {0}: not given; lives until the program ends */
    struct book *book;
    struct biller *biller;
    char *model;
};

#define PRICES_USAGE \
    "      --price PRICE      IN,OUT[,CACHED]: dollars per million tokens (cached input costs\n" \
    "                         IN unless said); or of a price book, llm-book(5): MODEL of the\n" \
    "                         book starter, or BOOK:MODEL\n"

/* Ends the program where it is neither, or the book has no price for the model. */
void prices_parse(const char *option, const char *value, struct prices *out);
/* Dollars of so many tokens; cached ones are part of the input. NAN when no price was given. */
double prices_usd(const struct prices *p, int64_t input, int64_t cached, int64_t output);
/* What a token of this kind costs (a stored one: for an hour), with a fresh one of input as 1, in
 * prompts of 1000; ttl_ns as in struct usage_amount. NAN: the book has no price for it, or input is
 * free. */
double prices_relative(const struct prices *p, enum usage_kind kind, int64_t ttl_ns);

#endif
