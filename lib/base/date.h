/* date.h - calendar dates as nanoseconds since 1970-01-01 00:00 UTC
 *
 * 64 bits reach from 1700 to 2260. Gregorian calendar, days of 86400 seconds.
 */
#ifndef DATE_H
#define DATE_H

#include <stddef.h>
#include <stdint.h>

#define DATE_TEXT 64

/* "2026-03-13", "2026-08-16T16:00Z", "2023-11-16 18:17:03.9799600", RFC 3339 with T or a space, Z,
 * an offset (+08:00) or nothing, which is UTC. A date alone is its midnight. Digits beyond
 * nanoseconds are cut off. 0, or -1 when it is none. */
int date_parse(const char *s, size_t len, int64_t *out);
/* 0 is Monday; UTC, as in all below. */
int date_weekday(int64_t ns);
/* Nanoseconds since midnight. */
int64_t date_of_day(int64_t ns);
/* "2026-03-13", with the time behind it ("T16:00:00Z") where it is not midnight; parts of a second
 * are left out. Returns out. */
char *date_text(int64_t ns, char out[DATE_TEXT]);
/* The day alone. */
char *date_day(int64_t ns, char out[DATE_TEXT]);

#endif
