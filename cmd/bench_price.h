/* bench_price.h - what tokens cost at flat prices, in exact whole numbers
 *
 * Dollars per million tokens are millionths of a dollar a token: with six decimals in a price, a
 * token costs whole pico-dollars (1e-12), and so do sums of them.
 */
#ifndef BENCH_PRICE_H
#define BENCH_PRICE_H

#include <stdint.h>

struct price {
    int given;
    int64_t input, cached, output;      /* pico-dollars a token */
};

#define PRICE_USAGE \
    "      --price IN,OUT[,CACHED]  dollars per million tokens; cached input costs IN unless\n" \
    "                         said\n"

/* Reads "3,15" or "3,15,0.30"; ends the program when it is anything else. */
void price_parse(const char *option, const char *value, struct price *out);
/* Dollars of so many tokens; cached ones are part of the input. NAN when no price was given. */
double price_usd(const struct price *p, int64_t input, int64_t cached, int64_t output);

#endif
