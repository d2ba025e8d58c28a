/* reqs_time.c - times of a trace: decimal numbers to whole nanoseconds
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
