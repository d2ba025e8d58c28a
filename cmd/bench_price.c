/* bench_price.c - what tokens cost at flat prices, see bench_price.h */
#include "cmd/bench_price.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/common.h"

__extension__ typedef __int128 wide;    /* 64 bits end at 9.2 million dollars */

#define DECIMALS 6
#define MOST_DOLLARS 1000000    /* per million tokens */

/* Dollars with up to six decimals as millionths. -1: not that. */
static int64_t parse_dollars(const char *s) {
    int64_t whole = 0;
    int decimals = -1;
    int digits = 0;
    for (; *s; s++) {
        if (*s == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (!isdigit((unsigned char)*s) || decimals == DECIMALS || digits == 12)
            return -1;
        whole = 10 * whole + (*s - '0');
        digits++;
        decimals += decimals >= 0;
    }
    if (!digits)
        return -1;
    for (int d = decimals < 0 ? 0 : decimals; d < DECIMALS; d++)
        whole *= 10;
    return whole > MOST_DOLLARS * (int64_t)1000000 ? -1 : whole;
}

void price_parse(const char *option, const char *value, struct price *out) {
    char *text = mem_strdup(value);
    int n;
    char **part = arg_list(text, &n);
    int64_t v[3] = {-1, -1, 0};
    for (int i = 0; i < n && i < 3; i++)
        v[i] = parse_dollars(part[i]);
    if (n < 2 || n > 3 || v[0] < 0 || v[1] < 0 || v[2] < 0)
        usage_die("%s: '%s': expected dollars per million tokens, IN,OUT or IN,OUT,CACHED, with "
                  "up to six decimals, as in 3,15,0.30", option, value);
    *out = (struct price){.given = 1, .input = v[0], .output = v[1],
                          .cached = n == 3 ? v[2] : v[0]};
    free(part);
    free(text);
}

double price_usd(const struct price *p, int64_t input, int64_t cached, int64_t output) {
    if (!p->given)
        return NAN;
    wide pico = (wide)p->input * (input - cached) + (wide)p->cached * cached +
                (wide)p->output * output;
    return (double)pico / 1e12;
}
