/* jsonr.c - reads JSON value by value, see jsonr.h */
#include "lib/format/jsonr.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"

/* Longer than any number that a double or an integer needs. */
#define MAX_NUMBER 63

void jsonr_begin(struct jsonr *r, const char *where, const char *text, size_t len,
                 struct err *err) {
    *r = (struct jsonr){.where = where, .text = text, .len = len, .err = err};
}

int jsonr_fail(struct jsonr *r, const char *fmt, ...) {
    char what[512];
    va_list ap;
    if (r->failed)
        return -1;
    r->failed = 1;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return err_set(r->err, "%s: byte %zu: %s", r->where, r->at, what);
}

/* The next byte that is no white space, 0 at the end. */
static char look(struct jsonr *r) {
    while (r->at < r->len && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at])
        r->at++;
    return (char)(r->at < r->len ? r->text[r->at] : 0);
}

static int expected(struct jsonr *r, const char *what) {
    char c = look(r);
    if (r->at == r->len)
        return jsonr_fail(r, "expected %s, found the end", what);
    if (c < ' ' || c > '~')
        return jsonr_fail(r, "expected %s, found byte 0x%02X", what, (unsigned char)c);
    return jsonr_fail(r, "expected %s, found '%c'", what, c);
}

static int take(struct jsonr *r, char c, const char *what) {
    if (r->failed)
        return -1;
    if (look(r) != c || r->at == r->len)
        return expected(r, what);
    r->at++;
    return 0;
}

int jsonr_end(struct jsonr *r) {
    if (!r->failed && r->depth)
        jsonr_fail(r, "a value was left unread");
    if (!r->failed && (look(r) || r->at < r->len))
        expected(r, "nothing more");
    buf_free(&r->key);
    buf_free(&r->string);
    return r->failed ? -1 : 0;
}

int jsonr_kind(struct jsonr *r) {
    char c = r->failed ? 0 : look(r);
    return c == '{' || c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n' ? c : 0;
}

/* ---- containers ------------------------------------------------------------------------- */

int jsonr_enter(struct jsonr *r, char bracket) {
    if (take(r, bracket, bracket == '{' ? "an object" : "an array"))
        return -1;
    if (r->depth == JSONR_DEPTH)
        return jsonr_fail(r, "nested deeper than %d", JSONR_DEPTH);
    uint64_t bit = 1ull << ++r->depth;
    r->begun &= ~bit;
    r->object = bracket == '{' ? r->object | bit : r->object & ~bit;
    return 0;
}

/* The comma before an element, or the end of the container: 1 or 0. */
static int more(struct jsonr *r, int object) {
    uint64_t bit = 1ull << r->depth;
    char close = object ? '}' : ']';
    if (r->failed || !r->depth || !(r->object & bit) != !object)
        return jsonr_fail(r, "not inside %s", object ? "an object" : "an array");
    if (look(r) == close) {
        r->at++;
        r->depth--;
        return 0;
    }
    if ((r->begun & bit) && take(r, ',', object ? "',' or '}'" : "',' or ']'"))
        return -1;
    r->begun |= bit;
    return 1;
}

int jsonr_item(struct jsonr *r) {
    return more(r, 0);
}

int jsonr_element(struct jsonr *r) {
    if (!r->failed && look(r) == ']')
        return expected(r, "an element");
    return more(r, 0) == 1 ? 0 : -1;
}

/* ---- strings ---------------------------------------------------------------------------- */

static int hex4(struct jsonr *r, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = (char)(r->at < r->len ? r->text[r->at] : 0);
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit > 15)
            return jsonr_fail(r, "expected four hexadecimal digits after \\u");
        *out = *out << 4 | digit;
    }
    return 0;
}

/* After a backslash. */
static int escape(struct jsonr *r, struct buf *out) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    char c = (char)(r->at < r->len ? r->text[r->at] : 0);
    const char *plain = c ? strchr(from, c) : NULL;
    uint32_t cp;
    uint32_t low;
    char utf8[4];
    r->at++;
    if (plain) {
        buf_addc(out, to[plain - from]);
        return 0;
    }
    if (c != 'u')
        return jsonr_fail(r, "a backslash before what it cannot escape");
    if (hex4(r, &cp))
        return -1;
    if (cp >= 0xD800 && cp < 0xDC00 && r->len - r->at > 6 && r->text[r->at] == '\\' &&
        r->text[r->at + 1] == 'u') {
        r->at += 2;
        if (hex4(r, &low))
            return -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return jsonr_fail(r, "half of a surrogate pair");
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
    }
    if (cp >= 0xD800 && cp < 0xE000)
        return jsonr_fail(r, "half of a surrogate pair");
    buf_add(out, utf8, (size_t)utf8_put(cp, utf8));
    return 0;
}

/* Moves over what needs no thought. */
static int plain(struct jsonr *r) {
    while (r->at < r->len && r->text[r->at] != '"' && r->text[r->at] != '\\') {
        uint32_t cp;
        int n = utf8_get(r->text + r->at, r->len - r->at, &cp);
        if (!n)
            return jsonr_fail(r, "bytes that are no UTF-8");
        if (cp < 0x20)
            return jsonr_fail(r, "a control character inside a string");
        r->at += (size_t)n;
    }
    return r->at < r->len ? 0 : jsonr_fail(r, "a string without an end");
}

static int string(struct jsonr *r, struct buf *b, struct jsonr_text *out) {
    *out = (struct jsonr_text){"", 0};
    if (take(r, '"', "a string"))
        return -1;
    size_t start = r->at;
    if (plain(r))
        return -1;
    if (r->text[r->at] == '"') {
        *out = (struct jsonr_text){r->text + start, r->at++ - start};
        return 0;
    }
    b->len = 0;
    buf_add(b, r->text + start, r->at - start);
    while (r->text[r->at] == '\\') {
        r->at++;
        if (escape(r, b))
            return -1;
        start = r->at;
        if (plain(r))
            return -1;
        buf_add(b, r->text + start, r->at - start);
    }
    r->at++;
    *out = (struct jsonr_text){b->data, b->len};
    return 0;
}

int jsonr_str(struct jsonr *r, struct jsonr_text *out) {
    return string(r, &r->string, out);
}

int jsonr_key(struct jsonr *r, struct jsonr_text *key) {
    *key = (struct jsonr_text){"", 0};
    int rc = more(r, 1);
    if (rc <= 0)
        return rc;
    return string(r, &r->key, key) || take(r, ':', "':'") ? -1 : 1;
}

int jsonr_is(const struct jsonr_text *t, const char *word) {
    return t->len == strlen(word) && !memcmp(t->data, word, t->len);
}

/* ---- numbers and words ------------------------------------------------------------------ */

static size_t digits(const char *s) {
    return strspn(s, "0123456789");
}

/* Copies a number; *whole: neither fraction nor exponent. */
static int number(struct jsonr *r, char out[MAX_NUMBER + 1], int *whole) {
    if (r->failed)
        return -1;
    look(r);
    size_t n = 0;
    while (n < r->len - r->at && n < MAX_NUMBER && r->text[r->at + n] &&
           strchr("+-.0123456789eE", r->text[r->at + n])) {
        out[n] = r->text[r->at + n];
        n++;
    }
    out[n] = 0;
    const char *s = out + (out[0] == '-');
    size_t lead = digits(s);
    int good = lead == 1 || (lead > 1 && *s != '0');
    s += lead;
    *whole = !*s;
    if (good && *s == '.') {
        good = digits(s + 1) > 0;
        s += 1 + digits(s + 1);
    }
    if (good && (*s == 'e' || *s == 'E')) {
        s += s[1] == '+' || s[1] == '-' ? 2 : 1;
        good = digits(s) > 0;
        s += digits(s);
    }
    if (!good || *s)
        return expected(r, "a number");
    r->at += n;
    return 0;
}

int jsonr_int(struct jsonr *r, int64_t *out) {
    char text[MAX_NUMBER + 1];
    int whole;
    size_t at = r->at;
    *out = 0;
    if (number(r, text, &whole))
        return -1;
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (!whole || errno) {
        r->at = at;
        return jsonr_fail(r, "expected a whole number, found %s", text);
    }
    *out = v;
    return 0;
}

int jsonr_float(struct jsonr *r, double *out) {
    char text[MAX_NUMBER + 1];
    int whole;
    *out = 0;
    if (number(r, text, &whole))
        return -1;
    *out = strtod(text, NULL);
    return 0;
}

/* The next value is this word: past it. */
static int word(struct jsonr *r, const char *w) {
    size_t n = strlen(w);
    if (r->failed || look(r) != *w || r->len - r->at < n || memcmp(r->text + r->at, w, n))
        return 0;
    r->at += n;
    return 1;
}

int jsonr_bool(struct jsonr *r, int *out) {
    *out = word(r, "true");
    return *out || word(r, "false") ? 0 : r->failed ? -1 : expected(r, "true or false");
}

int jsonr_null(struct jsonr *r) {
    return word(r, "null");
}

static int skip_scalar(struct jsonr *r) {
    struct jsonr_text text;
    double value;
    int flag;
    switch (jsonr_kind(r)) {
    case '"':
        return jsonr_str(r, &text);
    case 'n':
        return jsonr_null(r) ? 0 : expected(r, "a value");
    case 't':
    case 'f':
        return jsonr_bool(r, &flag);
    default:
        return jsonr_float(r, &value);
    }
}

int jsonr_skip(struct jsonr *r) {
    struct jsonr_text key;
    int depth = r->depth;
    do {
        int kind = jsonr_kind(r);
        if (kind == '{' || kind == '[' ? jsonr_enter(r, (char)kind) : skip_scalar(r))
            return -1;
        while (r->depth > depth) {
            int rc = r->object >> r->depth & 1 ? jsonr_key(r, &key) : jsonr_item(r);
            if (rc < 0)
                return -1;
            if (rc)
                break;
        }
    } while (r->depth > depth);
    return r->failed ? -1 : 0;
}
