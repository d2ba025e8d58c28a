/* date.c - calendar dates, exact in integers, see date.h */
#include "lib/base/date.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1000000000
#define DAY (86400 * (int64_t)SECOND)

static int is_digit(char c) {
    return c >= '0' && c <= '9';
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

int date_parse(const char *s, size_t len, int64_t *out) {
    const char *end = s + len;
    int offset;
    int year = take(&s, end, 4);
    int ok = take_char(&s, end, "-");
    int month = take(&s, end, 2);
    ok &= take_char(&s, end, "-");
    int day = take(&s, end, 2);
    int hour = 0;
    int minute = 0;
    int second = 0;
    if (s < end) {
        ok &= take_char(&s, end, "Tt ");
        hour = take(&s, end, 2);
        ok &= take_char(&s, end, ":");
        minute = take(&s, end, 2);
        if (take_char(&s, end, ":"))
            second = take(&s, end, 2);
    }
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

int date_weekday(int64_t ns) {
    int64_t day = ns / DAY - (ns % DAY < 0);
    return (int)(((day + 3) % 7 + 7) % 7);      /* 1970-01-01 was a Thursday */
}

int64_t date_of_day(int64_t ns) {
    int64_t rest = ns % DAY;
    return rest < 0 ? rest + DAY : rest;
}

/* The inverse of days_since_1970. */
static void civil(int64_t days, int *y, int *m, int *d) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    *d = (int)(of_year - (153 * month + 2) / 5 + 1);
    *m = (int)(month < 10 ? month + 3 : month - 9);
    *y = (int)(year + era * 400 + (*m <= 2));
}

char *date_text(int64_t ns, char out[DATE_TEXT]) {
    int y;
    int m;
    int d;
    int64_t second = date_of_day(ns) / SECOND;
    civil((ns - date_of_day(ns)) / DAY, &y, &m, &d);
    int at = snprintf(out, DATE_TEXT, "%04d-%02d-%02d", y, m, d);
    if (second)
        snprintf(out + at, (size_t)(DATE_TEXT - at), "T%02d:%02d:%02dZ", (int)(second / 3600),
                 (int)(second / 60 % 60), (int)(second % 60));
    return out;
}

char *date_day(int64_t ns, char out[DATE_TEXT]) {
    return date_text(ns - date_of_day(ns), out);
}
