/* reqs_json.c - values of one JSON line, see reqs_json.h
 *
 * The hot loop is take_short_ids: nearly all bytes of a trace are the digits of block ids, 5 to 8
 * bytes each with the gap behind them. 1 GB/s leaves 5 to 8 ns for one, some 20 cycles. Eight
 * bytes are loaded at once; how many of them are digits, and what they are worth, takes some 20
 * operations on the whole word (the value after Lemire, "Quickly parsing eight digits", 2018).
 * Only half of them are between a number and the next: load, xor, add, or, and, count zeros,
 * shift, add, 12 cycles; the value is computed beside.
 */
#include "lib/trace/reqs_json.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"
#include "lib/trace/reqs_impl.h"

#define ONES 0x0101010101010101u
#define HIGH 0x8080808080808080u

int json_fail(struct json *j, const char *want) {
    j->want = want;
    return -1;
}

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

char json_peek(struct json *j) {
    while (is_blank(*j->at))
        j->at++;
    return *j->at;
}

int json_take(struct json *j, char c) {
    if (json_peek(j) != c)
        return 0;
    j->at++;
    return 1;
}

int json_end(struct json *j) {
    return json_peek(j) == '\n' ? 0 : json_fail(j, "the end of the line");
}

/* Eight bytes, the first in memory in the lowest place. */
static inline uint64_t load8(const char *p) {
    uint64_t w;
    memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

/* ---- strings ---------------------------------------------------------------------------- */

/* Marks (bit 7 of the byte) quotes, backslashes and control characters; the lowest mark is
 * right, those above it may be wrong. */
static inline uint64_t mark_special(uint64_t w) {
    uint64_t quote = w ^ ONES * '"';
    uint64_t slash = w ^ ONES * '\\';
    return (((quote - ONES) & ~quote) | ((slash - ONES) & ~slash) | ((w - ONES * 0x20) & ~w)) &
           HIGH;
}

/* To the next quote, backslash or control character. */
static inline char *plain_end(char *p) {
    uint64_t mark;
    while (!(mark = mark_special(load8(p))))
        p += 8;
    return p + (__builtin_ctzll(mark) >> 3);
}

static int hex_value(char c) {
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits at p, or -1. */
static int32_t hex4(const char *p) {
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_value(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* The escape whose backslash is at *at, written to *to; both move on. */
static int undo_escape(struct json *j, char **at, char **to) {
    static const char from[] = "\"\\/bfnrt";
    static const char into[] = "\"\\/\b\f\n\r\t";
    char *p = *at + 1;
    const char *known = *p ? strchr(from, *p) : NULL;
    if (known) {
        *(*to)++ = into[known - from];
        *at = p + 1;
        return 0;
    }
    int32_t unit = *p == 'u' ? hex4(p + 1) : -1;
    if (unit < 0) {
        j->at = *at;
        return json_fail(j, "a JSON escape");
    }
    p += 5;
    uint32_t cp = (uint32_t)unit;
    if (cp >= 0xD800 && cp < 0xDC00 && p[0] == '\\' && p[1] == 'u') {
        int32_t low = hex4(p + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            cp = 0x10000 + ((cp - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
            p += 6;
        }
    }
    if (cp >= 0xD800 && cp < 0xE000)
        cp = 0xFFFD;
    *to += utf8_put(cp, *to);
    *at = p;
    return 0;
}

/* What is missing where a string stops at c. */
static const char *unclosed(char c) {
    return c == '\n' ? "a closing quote" : "no control character in a string";
}

int json_string(struct json *j, struct reqs_text *out) {
    if (!json_take(j, '"'))
        return json_fail(j, "a string");
    char *start = j->at;
    char *p = plain_end(start);
    char *to = p;
    while (*p == '\\') {
        if (undo_escape(j, &p, &to))
            return -1;
        char *end = plain_end(p);
        memmove(to, p, (size_t)(end - p));
        to += end - p;
        p = end;
    }
    j->at = p;
    if (*p != '"')
        return json_fail(j, unclosed(*p));
    j->at = p + 1;
    out->data = start;
    out->len = (size_t)(to - start);
    return 0;
}

/* A string that nobody wants: nothing of it is changed, so that it can be read once more. */
static int skip_string(struct json *j) {
    char none[4];
    char *p = plain_end(j->at + 1);
    while (*p == '\\') {
        char *to = none;
        if (undo_escape(j, &p, &to))
            return -1;
        p = plain_end(p);
    }
    j->at = p;
    if (*p != '"')
        return json_fail(j, unclosed(*p));
    j->at = p + 1;
    return 0;
}

/* ---- numbers ---------------------------------------------------------------------------- */

/* Passes a number of the RFC's grammar; *integer: it has neither fraction nor exponent. */
static int skip_number(struct json *j, int *integer) {
    char *p = j->at;
    *integer = 1;
    p += *p == '-';
    if (!is_digit(*p))
        return json_fail(j, "a value");
    if (*p == '0' && is_digit(p[1]))
        return json_fail(j, "a number without leading zeros");
    while (is_digit(*p))
        p++;
    if (*p == '.') {
        *integer = 0;
        if (!is_digit(*++p))
            return json_fail(j, "a number");
        while (is_digit(*p))
            p++;
    }
    if (*p == 'e' || *p == 'E') {
        *integer = 0;
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return json_fail(j, "a number");
        while (is_digit(*p))
            p++;
    }
    j->at = p;
    return 0;
}

int json_id_of_number(const char *s, size_t len, uint64_t *out) {
    size_t i = len && s[0] == '-';
    int negative = i == 1;
    uint64_t v = 0;
    if (i == len)
        return -1;
    for (; i < len; i++) {
        if (!is_digit(s[i]) || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
            return -1;
    }
    if (negative && v > (uint64_t)1 << 63)
        return -1;
    *out = negative ? 0 - v : v;
    return 0;
}

static int id_of_hex(const char *s, size_t len, uint64_t *out) {
    uint64_t v = 0;
    if (len < 3 || len > 18 || s[0] != '0' || (s[1] | 0x20) != 'x')
        return -1;
    for (size_t i = 2; i < len; i++) {
        int d = hex_value(s[i]);
        if (d < 0)
            return -1;
        v = v << 4 | (uint64_t)d;
    }
    *out = v;
    return 0;
}

uint64_t json_id_of_text(const char *s, size_t len) {
    uint64_t id;
    if (json_id_of_number(s, len, &id) == 0 || id_of_hex(s, len, &id) == 0)
        return id;
    return reqs_hash_bytes(s, len);
}

/* ---- ids -------------------------------------------------------------------------------- */

void json_u64s_grow(struct json_u64s *a) {
    a->cap = a->cap ? a->cap * 2 : 1024;
    a->v = mem_grow(a->v, a->cap, sizeof *a->v);
}

/* How many of the word's bytes, from the lowest on, are digits. */
static inline unsigned digit_count(uint64_t w) {
    uint64_t x = w ^ ONES * '0';
    uint64_t mark = ((x + ONES * 0x76) | x) & HIGH;     /* the lowest mark is right */
    return mark ? (unsigned)__builtin_ctzll(mark) >> 3 : 8;
}

/* The number that the lowest n bytes, all digits, spell; n is 1 to 8. Shifted up, the bytes below
 * are zeros, as leading digits are worth nothing. Then pairs, fours and all eight are joined. */
static inline uint64_t digit_value(uint64_t w, unsigned n) {
    uint64_t x = (w ^ ONES * '0') << (64 - 8 * n);
    x = x * 10 + (x >> 8);
    uint64_t low = (x & 0x000000FF000000FF) * 0x000F424000000064;
    uint64_t high = (x >> 16 & 0x000000FF000000FF) * 0x0000271000000001;
    return (low + high) >> 32;
}

unsigned json_digits(const char *p, uint64_t *out) {
    static const uint32_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t v = 0;
    unsigned all = 0;
    unsigned n;
    do {
        uint64_t w = load8(p + all);
        n = digit_count(w);
        if (n == 8)
            v = v * 100000000 + digit_value(w, 8);
        else if (n && (__builtin_mul_overflow(v, power[n], &v) ||
                       __builtin_add_overflow(v, digit_value(w, n), &v)))
            return 0;
        all += n;
    } while (n == 8 && all < 24);       /* 16 digits always fit, 24 never do */
    *out = v;
    return all >= 24 || (all > 1 && *p == '0') ? 0 : all;
}

/* What stands between short numbers: a comma (1), or a comma and a blank (2). */
static size_t gap_length(const char *p) {
    const char *comma = memchr(p, ',', 8);
    return comma && comma[1] == ' ' ? 2 : 1;
}

/* Is there a number of one to seven digits at p, whose bytes are *w, with the gap behind it? Its
 * length, or 0. Where the number after it begins depends on the length of this one only, not on
 * its value, and not on what the gap is, which is predicted. */
static inline unsigned short_number(const char *p, size_t gap, uint64_t *w) {
    *w = load8(p);
    unsigned n = digit_count(*w);
    const char *end = p + n;
    if (n - 1 > 6 || *end != ',' || end[gap - 1] != (gap == 2 ? ' ' : ',') ||
        (*p == '0' && n > 1))
        return 0;
    return n;
}

/* The hot loop: short numbers one after another. Stops before the first element that is anything
 * else, or that no gap follows, or that has no room, and returns where that is. */
static char *take_short_ids(char *p, struct json_u64s *out) {
    size_t gap = gap_length(p);
    size_t n = out->n;
    while (n < out->cap) {
        uint64_t w;
        unsigned len = short_number(p, gap, &w);
        if (!len)
            break;
        out->v[n++] = digit_value(w, len);
        p += len + gap;
    }
    out->n = n;
    return p;
}

static char *skip_short_ids(char *p) {
    size_t gap = gap_length(p);
    uint64_t w;
    unsigned len;
    while ((len = short_number(p, gap, &w)) != 0)
        p += len + gap;
    return p;
}

int json_id(struct json *j, uint64_t *out) {
    int integer;
    if (json_peek(j) == '"') {
        struct reqs_text text;
        if (json_string(j, &text))
            return -1;
        *out = json_id_of_text(text.data, text.len);
        return 0;
    }
    char *start = j->at;
    if (skip_number(j, &integer))
        return json_fail(j, "an id");
    if (integer && json_id_of_number(start, (size_t)(j->at - start), out) == 0)
        return 0;
    j->at = start;
    return json_fail(j, "an id: an integer of 64 bits, or a string");
}

int json_ids(struct json *j, struct json_u64s *out) {
    out->n = 0;
    if (!json_take(j, '['))
        return json_fail(j, "an array");
    if (json_take(j, ']'))
        return 0;
    do {
        json_peek(j);
        j->at = take_short_ids(j->at, out);
        uint64_t id;
        char *start = j->at;
        int minus = *start == '-';
        unsigned n = json_digits(start + minus, &id);
        char *end = start + minus + n;
        if (!n || (*end != ',' && *end != ']') || (minus && id > (uint64_t)1 << 63)) {
            if (json_id(j, &id))            /* a string, blanks behind it, an error */
                return -1;
        } else {
            j->at = end;
            id = minus ? 0 - id : id;
        }
        json_u64s_add(out, id);
    } while (json_take(j, ','));
    return json_take(j, ']') ? 0 : json_fail(j, "',' or ']'");
}

/* ---- counts and times ------------------------------------------------------------------- */

int json_count(struct json *j, int64_t *out) {
    json_peek(j);
    char *start = j->at;
    uint64_t whole;
    unsigned n = json_digits(start, &whole);
    if (n && n < 12 && (start[n] == ',' || start[n] == '}')) {
        *out = (int64_t)whole;
        j->at = start + n;
        return 0;
    }
    int integer;
    if (skip_number(j, &integer))
        return json_fail(j, "a number of tokens");
    /* Doubles are exact up to 2^53, well above the limit. */
    double v = strtod(start, NULL);
    if (v >= 0 && v <= (double)JSON_COUNT_MAX && v == (double)(int64_t)v) {
        *out = (int64_t)v;
        return 0;
    }
    j->at = start;
    return json_fail(j, "a number of tokens: an integer from 0 to 2^40");
}

int json_scaled(struct json *j, int64_t scale, int64_t *out) {
    json_peek(j);
    char *start = j->at;
    uint64_t whole;
    unsigned n = json_digits(start, &whole);
    if (n && n < 9 && (start[n] == ',' || start[n] == '}')) {
        *out = (int64_t)whole * scale;      /* 10^9 at most each */
        j->at = start + n;
        return 0;
    }
    int integer;
    if (skip_number(j, &integer))
        return json_fail(j, "a number");
    if (reqs_time_scaled(start, (size_t)(j->at - start), scale, out) == 0)
        return 0;
    j->at = start;
    return json_fail(j, "a time within 292 years");
}

/* ---- any value -------------------------------------------------------------------------- */

int json_null(struct json *j) {
    if (json_peek(j) != 'n' || memcmp(j->at, "null", 4))
        return 0;
    j->at += 4;
    return 1;
}

static int skip_word(struct json *j) {
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if (!strncmp(j->at, words[i], n)) {
            j->at += n;
            return 0;
        }
    }
    return json_fail(j, "a value");
}

int json_text(struct json *j, struct reqs_text *out) {
    char c = json_peek(j);
    char *start = j->at;
    int integer;
    if (c == '"')
        return json_string(j, out);
    if (skip_number(j, &integer))
        return json_fail(j, "a string or a number");
    out->data = start;
    out->len = (size_t)(j->at - start);
    return 0;
}

/* To the key of the next member: 1, or 0 behind the last. */
static int next_key(struct json *j, int *first) {
    if (json_take(j, '}'))
        return 0;
    if (!*first && !json_take(j, ','))
        return json_fail(j, "',' or '}'");
    *first = 0;
    return json_peek(j) == '"' ? 1 : json_fail(j, "a key in quotes");
}

static int take_colon(struct json *j) {
    return json_take(j, ':') ? 1 : json_fail(j, "':'");
}

int json_member(struct json *j, int *first, struct reqs_text *key) {
    int rc = next_key(j, first);
    if (rc == 1)
        rc = json_string(j, key) ? -1 : take_colon(j);
    return rc;
}

static int skip_key(struct json *j, int *first) {
    int rc = next_key(j, first);
    if (rc == 1)
        rc = skip_string(j) ? -1 : take_colon(j);
    return rc;
}

int json_element(struct json *j, int *first) {
    if (json_take(j, ']'))
        return 0;
    if (!*first && !json_take(j, ','))
        return json_fail(j, "',' or ']'");
    *first = 0;
    return 1;
}

/* Open objects and arrays are a stack of bits: what a line nests costs no recursion. */
struct nest {
    uint64_t object[JSON_DEPTH / 64];
    unsigned depth;
};

static int push(struct json *j, struct nest *n, int object) {
    if (n->depth == JSON_DEPTH)
        return json_fail(j, "values nested less than 1024 deep");
    uint64_t bit = (uint64_t)1 << n->depth % 64;
    if (object)
        n->object[n->depth / 64] |= bit;
    else
        n->object[n->depth / 64] &= ~bit;
    n->depth++;
    j->at++;
    return 0;
}

static int in_object(const struct nest *n) {
    return n->object[(n->depth - 1) / 64] >> (n->depth - 1) % 64 & 1;
}

/* A value that holds no others. */
static int skip_leaf(struct json *j, char c) {
    int integer;
    if (c == '"')
        return skip_string(j);
    if (c == '-' || is_digit(c))
        return skip_number(j, &integer);
    return skip_word(j);
}

/* Steps to the next value inside what is open: 1, or 0 when that ended. */
static int next_inside(struct json *j, const struct nest *n, int *first) {
    if (in_object(n))
        return skip_key(j, first);
    int rc = json_element(j, first);
    if (rc == 1 && is_digit(*j->at))
        j->at = skip_short_ids(j->at);
    return rc;
}

int json_skip(struct json *j) {
    struct nest n = {.depth = 0};
    int first = 0;                  /* an object or array was opened just now */
    do {
        int rc = n.depth ? next_inside(j, &n, &first) : 1;
        if (rc < 0)
            return -1;
        char c = json_peek(j);
        if (rc == 0) {
            n.depth--;
            first = 0;
        } else if (c == '{' || c == '[') {
            if (push(j, &n, c == '{'))
                return -1;
            first = 1;
        } else if (skip_leaf(j, c)) {
            return -1;
        }
    } while (n.depth);
    return 0;
}
