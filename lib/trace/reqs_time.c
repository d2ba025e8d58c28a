/* reqs_time.c - times of a trace: decimal numbers and calendar dates, to whole nanoseconds
 *
 * Exact in integers: a double has no room for nanoseconds since 1970.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/trace/reqs_impl.h"

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Digits of the number in a row, each with the power of ten that it counts after scaling. */
int reqs_time_scaled(const char *s, size_t len, int64_t scale, int64_t *out) {
    const char *end = s + len;
    const char *e = s;
    int negative = len && *s == '-';
    int64_t place = -1;             /* of the digit at hand */
    int64_t v = 0;
    while (e < end && *e != 'e' && *e != 'E')
        e++;
    s += negative;
    for (const char *p = s; p < e && is_digit(*p); p++)
        place++;
    for (; scale > 1; scale /= 10)
        place++;
    if (e < end) {
        long exponent = strtol(e + 1, NULL, 10);
        place += exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
    }
    for (; s < e && place >= 0; s++) {
        if (*s == '.')
            continue;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return -1;
        place--;
    }
    for (; v && place >= 0; place--) {
        if (__builtin_mul_overflow(v, 10, &v))
            return -1;
    }
    *out = negative ? -v : v;
    return 0;
}

/* n digits at *s, which moves on: their value, or -1. */
static int take(const char **s, const char *end, int n) {
    int v = 0;
    for (; n; n--, (*s)++) {
        if (*s >= end || !is_digit(**s))
            return -1;
        v = v * 10 + (**s - '0');
    }
    return v;
}

static int take_char(const char **s, const char *end, const char *any) {
    if (*s >= end || !**s || !strchr(any, **s))
        return 0;
    (*s)++;
    return 1;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March, so that the
 * leap day is the last of its year (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_since_1970(int y, int m, int d) {
    y -= m <= 2;
    int64_t era = y / 400;
    int64_t year = y - era * 400;
    int64_t day = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static int days_of_month(int y, int m) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && y % 4 == 0 && (y % 100 || y % 400 == 0) ? 29 : days[m - 1];
}

/* Z, an offset of hours and minutes, or nothing (UTC): seconds east of UTC. */
static int take_offset(const char **s, const char *end, int *seconds) {
    *seconds = 0;
    if (*s == end || take_char(s, end, "Zz"))
        return 0;
    int sign = **s == '-' ? -1 : 1;
    if (!take_char(s, end, "+-"))
        return -1;
    int h = take(s, end, 2);
    int m = 0;
    if (*s < end) {
        take_char(s, end, ":");
        m = take(s, end, 2);
    }
    *seconds = sign * (h * 3600 + m * 60);
    return h < 0 || h > 23 || m < 0 || m > 59 ? -1 : 0;
}

/* Up to nine digits after a point count, more are passed. */
static int64_t take_fraction(const char **s, const char *end) {
    int64_t ns = 0;
    int64_t unit = 100000000;
    if (!take_char(s, end, ".,"))
        return 0;
    for (; *s < end && is_digit(**s); (*s)++, unit /= 10)
        ns += unit * (**s - '0');
    return ns;
}

int reqs_time_calendar(const char *s, size_t len, int64_t *out) {
    const char *end = s + len;
    int offset;
    int year = take(&s, end, 4);
    int ok = take_char(&s, end, "-");
    int month = take(&s, end, 2);
    ok &= take_char(&s, end, "-");
    int day = take(&s, end, 2);
    ok &= take_char(&s, end, "Tt ");
    int hour = take(&s, end, 2);
    ok &= take_char(&s, end, ":");
    int minute = take(&s, end, 2);
    ok &= take_char(&s, end, ":");
    int second = take(&s, end, 2);
    /* Nanoseconds in 64 bits reach from 1678 to 2261. */
    if (!ok || year < 1700 || year > 2260 || month < 1 || month > 12 || day < 1 ||
        day > days_of_month(year, month) || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60)
        return -1;
    int64_t ns = take_fraction(&s, end);
    take_char(&s, end, " ");
    if (take_offset(&s, end, &offset) || s != end)
        return -1;
    int64_t seconds = days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 +
                      second - offset;
    *out = seconds * 1000000000 + ns;
    return 0;
}
