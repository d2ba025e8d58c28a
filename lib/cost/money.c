/* money.c - exact money in 128-bit integers, see money.h */
#include "lib/cost/money.h"

#include <string.h>

/* Numbers here are counts of whatever unit: money as a type stands for any 128-bit integer. */
__extension__ typedef unsigned __int128 unsigned_wide;

#define MONEY_DECIMALS 12       /* of a pico-dollar */
#define RATE_DECIMALS 24        /* of a yocto-dollar */
#define FACTOR_DECIMALS 9
#define MOST_RATE ((money_rate)1000000 * MONEY_USD * MONEY_YOCTO)
#define MOST_FACTOR ((money)1000000 * MONEY_FACTOR)

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Decimals as a whole number of units of 10^-decimals, at most `most` either way. Zeros behind
 * the last decimal that can be kept do not count. */
static int parse(const char *s, size_t len, int decimals, money most, money *out) {
    const char *end = s + len;
    int negative = len && *s == '-';
    int digits = 0;
    money v = 0;
    s += negative;
    for (; s < end && is_digit(*s); s++, digits++) {
        v = 10 * v + (*s - '0');
        if (v > most)
            return -1;
    }
    if (s < end && *s == '.') {
        if (++s == end)
            return -1;
        for (; s < end && is_digit(*s); s++, digits++) {
            if (!decimals && *s != '0')
                return -1;
            if (decimals) {
                v = 10 * v + (*s - '0');
                decimals--;
            }
            if (v > most)
                return -1;
        }
    }
    for (; v && decimals; decimals--) {
        v *= 10;
        if (v > most)
            return -1;
    }
    if (!digits || s != end)
        return -1;
    *out = negative ? -v : v;
    return 0;
}

static int zeros_of(int64_t per) {
    int n = 0;
    for (; per > 1; per /= 10)
        n++;
    return n;
}

int money_parse(const char *s, size_t len, money *out) {
    return parse(s, len, MONEY_DECIMALS, MONEY_MOST, out);
}

int money_parse_rate(const char *s, size_t len, int64_t per, money_rate *out) {
    return parse(s, len, RATE_DECIMALS - zeros_of(per), MOST_RATE, out);
}

int money_parse_factor(const char *s, size_t len, int64_t *out) {
    money v;
    if (parse(s, len, FACTOR_DECIMALS, MOST_FACTOR, &v) || v < 0)
        return -1;
    *out = (int64_t)v;
    return 0;
}

/* Digits from the lowest on, at least `least` of them: how many. Divisions of 128 bits are slow:
 * there are at most two. */
static int digits_of(unsigned_wide u, int least, char digit[MONEY_TEXT]) {
    const uint64_t chunk = 1000000000000000000u;        /* 18 digits */
    int n = 0;
    while (u >> 64) {
        uint64_t low = (uint64_t)(u % chunk);
        u /= chunk;
        for (int i = 0; i < 18; i++, low /= 10)
            digit[n++] = (char)('0' + low % 10);
    }
    for (uint64_t rest = (uint64_t)u; rest; rest /= 10)
        digit[n++] = (char)('0' + rest % 10);
    while (n < least)
        digit[n++] = '0';
    return n;
}

static char *text(money v, int decimals, char out[MONEY_TEXT]) {
    char digit[MONEY_TEXT];
    char *p = out;
    if (!v)
        return memcpy(out, "0", 2);
    if (decimals > MONEY_DECIMALS && v % MONEY_YOCTO == 0) {    /* most prices: half the digits */
        v /= MONEY_YOCTO;
        decimals -= MONEY_DECIMALS;
    }
    int n = digits_of(v < 0 ? -(unsigned_wide)v : (unsigned_wide)v, decimals + 1, digit);
    int last = 0;               /* the last decimal that is not zero */
    while (last < decimals && digit[last] == '0')
        last++;
    if (v < 0)
        *p++ = '-';
    for (int i = n - 1; i >= last; i--) {
        if (i == decimals - 1)
            *p++ = '.';
        *p++ = digit[i];
    }
    *p = 0;
    return out;
}

char *money_text(money m, char out[MONEY_TEXT]) {
    return text(m, MONEY_DECIMALS, out);
}

char *money_rate_text(money_rate rate, int64_t per, char out[MONEY_TEXT]) {
    return text(rate, RATE_DECIMALS - zeros_of(per), out);
}

char *money_factor_text(int64_t factor, char out[MONEY_TEXT]) {
    return text(factor, FACTOR_DECIMALS, out);
}

/* a / b, half to even; b > 0. */
static money divide(money a, money b) {
    money q = a / b;
    money rest = a % b;
    money twice = (rest < 0 ? -rest : rest);
    twice = twice > b - twice ? 1 : twice < b - twice ? -1 : 0;
    if (twice > 0 || (twice == 0 && q % 2))
        q += a < 0 ? -1 : 1;
    return q;
}

money money_round(money_rate yocto) {
    return divide(yocto, MONEY_YOCTO);
}

money_rate money_charge(money_rate rate, int64_t quantity, int64_t per) {
    return rate / per * quantity + divide(rate % per * quantity, per);
}

money_rate money_scale(money_rate rate, int64_t factor) {
    return money_charge(rate, factor, MONEY_FACTOR);
}

double money_dollars(money m) {
    return (double)m / (double)MONEY_USD;
}
