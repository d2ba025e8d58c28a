/* utf8.h - UTF-8 (RFC 3629), strict: no overlong forms, no surrogates, nothing past U+10FFFF */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Reads one code point of s[len] into *cp and returns its length 1..4; 0 when s does not start
 * with a whole valid one (len 0, a cut-off sequence, or invalid bytes). */
int utf8_get(const char *s, size_t len, uint32_t *cp);
/* Writes cp to out (4 bytes of room), returns its length. */
int utf8_put(uint32_t cp, char *out);
/* How many bytes at the end of s[len] are the start of a sequence that is not complete yet
 * (0..3): what a stream must hold back. */
size_t utf8_tail(const char *s, size_t len);

#endif
