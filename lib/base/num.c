/* num.c - numbers from the command line, see num.h */
#include "lib/base/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* strtoll and strtod skip blanks; an argument with blanks in it is a mistake. */
static int starts_number(const char *s) {
    return *s && !isspace((unsigned char)*s);
}

int num_int(const char *s, int64_t min, int64_t max, int64_t *out) {
    char *end;
    if (!starts_number(s))
        return -1;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *end || v < min || v > max)
        return -1;
    *out = v;
    return 0;
}

int num_float(const char *s, double min, double max, double *out) {
    char *end;
    if (!starts_number(s))
        return -1;
    double v = strtod(s, &end);
    if (end == s || *end || !isfinite(v) || v < min || v > max)
        return -1;
    *out = v;
    return 0;
}

/* What a suffix multiplies by; 0 for one that does not exist. */
static int64_t suffix_value(const char *s) {
    static const char letters[] = "KMGT";
    if (!*s)
        return 1;
    const char *at = strchr(letters, *s);
    if (!at || (s[1] && strcmp(s + 1, "i")))
        return 0;
    int64_t unit = s[1] ? 1024 : 1000;
    int64_t value = unit;
    for (const char *p = letters; p < at; p++)
        value *= unit;
    return value;
}

/* "1.5G": the digits before the point times the suffix, plus the fraction's share, rounded down
 * to a whole number; exact, without floating point. */
int num_size(const char *s, int64_t min, int64_t max, int64_t *out) {
    const char *p = s;
    int negative = *p == '-';
    p += *p == '-' || *p == '+';
    const char *whole = p;
    p += strspn(p, "0123456789");
    const char *point = p;
    if (*p == '.')
        p += 1 + strspn(p + 1, "0123456789");
    if (point == whole || p == point + 1)
        return -1;
    int64_t unit = suffix_value(p);
    if (!unit)
        return -1;

    int64_t v = 0;
    for (const char *d = whole; d < point; d++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *d - '0', &v))
            return -1;
    if (__builtin_mul_overflow(v, unit, &v))
        return -1;
    int64_t fraction = 0;       /* below unit; the last digit counts least, so it comes first */
    for (const char *d = p; d > point + 1; d--)
        fraction = (fraction + (d[-1] - '0') * unit) / 10;
    if (__builtin_add_overflow(v, fraction, &v))
        return -1;
    v = negative ? -v : v;
    if (v < min || v > max)
        return -1;
    *out = v;
    return 0;
}
