/* reqs_json.h - values of one JSON line (RFC 8259), read where they stand
 *
 *     struct json j = {line, NULL};       // the line ends in '\n', 8 readable bytes follow it
 *     if (json_open(&j, '{'))
 *         while ((rc = json_member(&j, &first, &key)) == 1)
 *             rc = json_skip(&j);
 *
 * No tree and no copies: a cursor walks the line, and a caller takes each value as what it needs
 * or skips it. A raw newline cannot stand inside a JSON value, hence the newline that ends the line
 * stops every loop and no position is compared with an end. Functions return 0 (or what they say)
 * and -1 when the line is not what they expect; then `at` is where, and `want` names what was
 * expected there.
 *
 * Strict as the RFC but for two things: bytes from 0x80 are not checked to be UTF-8, and a \u
 * escape that is half a surrogate pair becomes U+FFFD. Values nest at most JSON_DEPTH deep.
 */
#ifndef REQS_JSON_H
#define REQS_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "lib/trace/reqs.h"

#define JSON_DEPTH 1024
#define JSON_PAD 64                 /* bytes that must be readable after a line's newline */

struct json {
    char *at;
    const char *want;
};

/* 64-bit numbers: ids, tokens. The array is kept from one record to the next. */
struct json_u64s {
    uint64_t *v;
    size_t n, cap;
};

int json_fail(struct json *j, const char *want);            /* -1 */
char json_peek(struct json *j);                             /* next byte after blanks */
int json_take(struct json *j, char c);                      /* that byte is c, and is passed: 1 */
int json_end(struct json *j);                               /* nothing but blanks follows */

/* Between the members of an object and the elements of an array. *first is 1 before the first
 * call. 1: a member (key filled, its value is next) or an element is next; 0: it ended; -1. */
int json_member(struct json *j, int *first, struct reqs_text *key);
int json_element(struct json *j, int *first);

/* Each takes one value. json_skip leaves the line as it is, so that a value can be skipped first
 * and read later; the others undo the escapes of strings (and json_member of keys) in place. */
int json_skip(struct json *j);
int json_string(struct json *j, struct reqs_text *out);
int json_text(struct json *j, struct reqs_text *out);       /* string or number as its text */
int json_count(struct json *j, int64_t *out);               /* 0..JSON_COUNT_MAX, "12.0" too */
int json_id(struct json *j, uint64_t *out);                 /* see json_id_of_text */
int json_ids(struct json *j, struct json_u64s *out);        /* array of ids; replaces out's */
/* Number times scale, which is a power of ten up to 10^9: exact, digits beyond are cut off. */
int json_scaled(struct json *j, int64_t scale, int64_t *out);
int json_null(struct json *j);                              /* takes a null: 1; else 0 */

#define JSON_COUNT_MAX ((int64_t)1 << 40)   /* no request has so many tokens */

/* An id that is not a JSON number: decimal -2^63..2^64-1 and 0x hexadecimal up to 64 bits as the
 * number (negative ones as two's complement), everything else as a hash of its bytes. */
uint64_t json_id_of_text(const char *s, size_t len);
/* The digits at p, behind which JSON_PAD bytes can be read, as a number: how many they are, 0 when
 * there is no such number of 64 bits (no digit, leading zeros, too large). */
unsigned json_digits(const char *p, uint64_t *out);
/* json_id_of_text of numbers alone: 0, or -1 when the text is none or has more than 64 bits. */
int json_id_of_number(const char *s, size_t len, uint64_t *out);

void json_u64s_grow(struct json_u64s *a);                   /* room for one more at least */
static inline void json_u64s_add(struct json_u64s *a, uint64_t v) {
    if (a->n == a->cap)
        json_u64s_grow(a);
    a->v[a->n++] = v;
}

#endif
