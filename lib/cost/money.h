/* money.h - exact money: whole pico-dollars, and rates in whole yocto-dollars
 *
 *     money_rate rate;
 *     money_parse_rate("0.30", 4, 1000000, &rate);         // $0.30 per million: yocto-dollars each
 *     money usd = money_round(rate * tokens);              // to the pico-dollar
 *     puts(money_text(usd, text));                         // "0.06"
 *
 * A sum of money is a whole number of pico-dollars (1e-12 $) in 128 bits; 64 would end at 9.2
 * million dollars. A rate is a whole number of yocto-dollars (1e-24 $) per unit (token, request):
 * prices per million tokens keep 18 decimals. A record's charges are added up in yocto-dollars and
 * rounded once, half to even; bills of many records add what was rounded, so that a total is the
 * sum of what is printed. Nothing here is ever a floating-point number.
 */
#ifndef MONEY_H
#define MONEY_H

#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 money;           /* pico-dollars */
__extension__ typedef __int128 money_rate;      /* yocto-dollars a unit, or a sum of charges */

#define MONEY_USD ((money)1000000000000)                    /* pico-dollars of a dollar */
#define MONEY_YOCTO ((money_rate)1000000000000)             /* yocto-dollars of a pico-dollar */
#define MONEY_FACTOR 1000000000                             /* 1 as a factor: nine decimals */
#define MONEY_MOST ((money)1000000000000 * MONEY_USD)       /* nothing read is above $1e12 */

/* Text of plain decimals ("3", "0.30", "-1.5"; no exponent, no blanks). 0, or -1 when it is none,
 * has more decimals than can be kept, or is beyond MONEY_MOST. */
int money_parse(const char *s, size_t len, money *out);             /* dollars, 12 decimals */
/* Dollars for each `per` units, a power of ten (1, 1000, 1000000): 24 decimals
 * less the zeros of per; a rate is at most $1e6 a unit. */
int money_parse_rate(const char *s, size_t len, int64_t per, money_rate *out);
int money_parse_factor(const char *s, size_t len, int64_t *out);    /* "1.25": 9 decimals, >= 0 */

/* Dollars as plain decimals, exact, without trailing zeros: "0.465", "-3", "0". Return out. */
#define MONEY_TEXT 64
char *money_text(money m, char out[MONEY_TEXT]);
/* The rate as dollars for each `per` units. */
char *money_rate_text(money_rate rate, int64_t per, char out[MONEY_TEXT]);
char *money_factor_text(int64_t factor, char out[MONEY_TEXT]);

money money_round(money_rate yocto);                        /* half to even */
/* rate x factor / MONEY_FACTOR, half to even. */
money_rate money_scale(money_rate rate, int64_t factor);
/* rate x quantity / per, half to even, without overflow where the result has none; per > 0. */
money_rate money_charge(money_rate rate, int64_t quantity, int64_t per);
double money_dollars(money m);                              /* for statistics, not for bills */

#endif
