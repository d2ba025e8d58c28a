/* jsonw.c - writes JSON values into a buffer, see jsonw.h
 *
 * No state but the buffer: whether a comma is due is seen in its last byte, as only an opening
 * bracket, a colon or a line's end can stand before a first value.
 */
#include "lib/format/jsonw.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"

#define EXACT ((int64_t)1 << 53)        /* doubles hold every integer up to here */

static void quote(struct buf *b, const char *s, size_t len);

/* What comes before a value: a comma unless it is the first, and the key. */
static void lead_in(struct buf *b, const char *key) {
    char last = b->len ? b->data[b->len - 1] : '\n';
    if (last != '{' && last != '[' && last != ':' && last != '\n')
        buf_addc(b, ',');
    if (key) {
        quote(b, key, strlen(key));
        buf_addc(b, ':');
    }
}

/* Bytes at s that need no escape: printable ASCII but for quote and backslash. */
static size_t plain(const char *s, size_t len) {
    size_t n = 0;
    while (n < len && (unsigned char)s[n] >= 32 && (unsigned char)s[n] < 128 && s[n] != '"' &&
           s[n] != '\\')
        n++;
    return n;
}

static void quote_control(struct buf *b, char c) {
    static const char names[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    for (const char *p = names; *p; p += 2) {
        if (*p == c) {
            buf_addc(b, '\\');
            buf_addc(b, p[1]);
            return;
        }
    }
    buf_printf(b, "\\u%04x", (unsigned char)c);
}

static void quote(struct buf *b, const char *s, size_t len) {
    buf_addc(b, '"');
    while (len) {
        size_t n = plain(s, len);
        uint32_t cp;
        if (n) {
            buf_add(b, s, n);
        } else if ((unsigned char)*s < 128) {
            quote_control(b, *s);
            n = 1;
        } else if ((n = (size_t)utf8_get(s, len, &cp)) > 0) {
            buf_add(b, s, n);
        } else {
            buf_adds(b, "\xEF\xBF\xBD");
            n = 1;
        }
        s += n;
        len -= n;
    }
    buf_addc(b, '"');
}

void jsonw_open(struct buf *b, char bracket) {
    jsonw_open_key(b, NULL, bracket);
}

void jsonw_open_key(struct buf *b, const char *key, char bracket) {
    lead_in(b, key);
    buf_addc(b, bracket);
}

void jsonw_close(struct buf *b, char bracket) {
    buf_addc(b, bracket);
}

void jsonw_str(struct buf *b, const char *key, const char *s) {
    if (s)
        jsonw_strn(b, key, s, strlen(s));
    else
        jsonw_raw(b, key, "null");
}

void jsonw_strn(struct buf *b, const char *key, const char *s, size_t len) {
    lead_in(b, key);
    quote(b, s, len);
}

void jsonw_int(struct buf *b, const char *key, int64_t v) {
    int quoted = v > EXACT || v < -EXACT;
    lead_in(b, key);
    if (quoted)
        buf_addc(b, '"');
    buf_int(b, v);
    if (quoted)
        buf_addc(b, '"');
}

/* Any decimal of 15 digits survives the way to a double and back, so the first of 15, 16 and 17
 * digits that reads back is the shortest (%g drops the zeros at the end). Subnormals hold fewer
 * digits: there every length is tried. */
void jsonw_float(struct buf *b, const char *key, double v) {
    char text[40];
    int digits = fabs(v) < DBL_MIN ? 1 : 15;
    do
        snprintf(text, sizeof text, "%.*g", digits, v);
    while (digits++ < 17 && strtod(text, NULL) != v);
    jsonw_raw(b, key, isfinite(v) ? text : "null");
}

void jsonw_float_digits(struct buf *b, const char *key, double v, int digits) {
    char text[400];
    snprintf(text, sizeof text, "%.*g", digits, v);
    jsonw_raw(b, key, isfinite(v) ? text : "null");
}

void jsonw_bool(struct buf *b, const char *key, int v) {
    jsonw_raw(b, key, v ? "true" : "false");
}

void jsonw_raw(struct buf *b, const char *key, const char *json) {
    size_t len = strlen(json);
    while (len && strchr(" \t\r\n", json[len - 1]))
        len--;
    lead_in(b, key);
    buf_add(b, json, len);
}
