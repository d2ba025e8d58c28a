/* utf8.c - strict UTF-8, see utf8.h; the byte ranges are table 3-7 of the Unicode standard */
#include "lib/base/utf8.h"

/* Length of the sequence that lead byte c begins, 0 if none does; [*lo, *hi] is what the second
 * byte may be: the narrower ranges shut out overlong forms, surrogates and what is too big. */
static size_t lead(unsigned char c, unsigned *lo, unsigned *hi) {
    *lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    *hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    return c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* How many bytes of s[len], up to want, fit a sequence whose second byte is in [lo, hi]. */
static size_t matching(const unsigned char *s, size_t len, size_t want, unsigned lo, unsigned hi) {
    size_t i = 1;
    for (; i < want && i < len; i++) {
        if (s[i] < lo || s[i] > hi)
            break;
        lo = 0x80;
        hi = 0xBF;
    }
    return i;
}

int utf8_get(const char *s, size_t len, uint32_t *cp) {
    const unsigned char *u = (const unsigned char *)s;
    unsigned lo;
    unsigned hi;
    if (!len)
        return 0;
    size_t n = lead(u[0], &lo, &hi);
    if (!n || n > len || matching(u, len, n, lo, hi) < n)
        return 0;
    uint32_t v = n == 1 ? u[0] : u[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++)
        v = v << 6 | (u[i] & 0x3F);
    *cp = v;
    return (int)n;
}

int utf8_put(uint32_t cp, char *out) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    int n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3F));
    out[0] = (char)((0xF00u >> n & 0xF0) | cp);
    return n;
}

size_t utf8_tail(const char *s, size_t len) {
    const unsigned char *u = (const unsigned char *)s;
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        const unsigned char *p = u + len - back;
        unsigned lo;
        unsigned hi;
        if ((*p & 0xC0) == 0x80)
            continue;
        size_t n = lead(*p, &lo, &hi);
        return n > back && matching(p, back, n, lo, hi) == back ? back : 0;
    }
    return 0;
}
