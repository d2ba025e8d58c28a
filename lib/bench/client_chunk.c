/* client_chunk.c - what an event of a completion says, see client_chunk.h
 *
 * An event is some 200 bytes, of which a dozen are the text; the rest is passed over eight bytes
 * at a time inside strings and one at a time between them: about 150 ns, against several
 * microseconds that the system and libcurl take to bring it.
 */
#include "lib/bench/client_chunk.h"

#include <string.h>

#include "lib/base/utf8.h"

#define ONES 0x0101010101010101u
#define HIGH 0x8080808080808080u
#define PARTS_DEPTH 8               /* content in parts, in parts, ... */

struct cursor {
    const char *at, *end;
    const char *want;
};

struct string {
    struct chunk_text raw;
    int64_t bytes;                  /* without escapes */
};

static int fail(struct cursor *c, const char *want) {
    c->want = want;
    return -1;
}

/* The next byte after blanks; '\0' at the end, where no JSON has one. */
static inline char peek(struct cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
    return c->at < c->end ? *c->at : '\0';
}

static inline int take(struct cursor *c, char want) {
    if (peek(c) != want || c->at == c->end)
        return 0;
    c->at++;
    return 1;
}

/* ---- strings ---------------------------------------------------------------------------- */

/* Eight bytes, the first in memory in the lowest place. */
static inline uint64_t load8(const char *p) {
    uint64_t w;
    memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static int is_special(char c) {
    return c == '"' || c == '\\' || (unsigned char)c < 0x20;
}

/* The next quote, backslash or control character, or end. */
static inline const char *plain_end(const char *p, const char *end) {
    for (; end - p >= 8; p += 8) {
        uint64_t w = load8(p);
        uint64_t quote = w ^ ONES * '"';
        uint64_t slash = w ^ ONES * '\\';
        /* The lowest mark is right, those above it may be wrong. */
        uint64_t mark = (((quote - ONES) & ~quote) | ((slash - ONES) & ~slash) |
                         ((w - ONES * 0x20) & ~w)) & HIGH;
        if (mark)
            return p + (__builtin_ctzll(mark) >> 3);
    }
    while (p < end && !is_special(*p))
        p++;
    return p;
}

/* Four hexadecimal digits at p, or -1. */
static int32_t hex4(const char *p, const char *end) {
    int32_t v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        char low = (char)(c | 0x20);
        int d = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* The escape at p, a backslash, as UTF-8 in out[4]: *n bytes. Where it ends, or NULL. */
static const char *read_escape(const char *p, const char *end, char *out, int *n) {
    static const char from[] = "\"\\/bfnrt";
    static const char into[] = "\"\\/\b\f\n\r\t";
    if (end - p < 2)
        return NULL;
    const char *known = p[1] ? strchr(from, p[1]) : NULL;
    if (known) {
        *out = into[known - from];
        *n = 1;
        return p + 2;
    }
    int32_t unit = p[1] == 'u' ? hex4(p + 2, end) : -1;
    if (unit < 0)
        return NULL;
    p += 6;
    uint32_t cp = (uint32_t)unit;
    if (cp >= 0xD800 && cp < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        int32_t low = hex4(p + 2, end);
        if (low >= 0xDC00 && low < 0xE000) {
            cp = 0x10000 + ((cp - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
            p += 6;
        }
    }
    if (cp >= 0xD800 && cp < 0xE000)
        cp = 0xFFFD;
    *n = utf8_put(cp, out);
    return p;
}

static int take_string(struct cursor *c, struct string *out) {
    char undone[4];
    int n;
    if (!take(c, '"'))
        return fail(c, "a string");
    const char *start = c->at;
    const char *p = plain_end(start, c->end);
    int64_t saved = 0;
    while (p < c->end && *p == '\\') {
        const char *after = read_escape(p, c->end, undone, &n);
        if (!after) {
            c->at = p;
            return fail(c, "a JSON escape");
        }
        saved += after - p - n;
        p = plain_end(after, c->end);
    }
    c->at = p;
    if (p == c->end || *p != '"')
        return fail(c, p == c->end ? "a closing quote" : "no control character in a string");
    c->at = p + 1;
    out->raw = (struct chunk_text){start, (size_t)(p - start)};
    out->bytes = p - start - saved;
    return 0;
}

void chunk_unescape(const struct chunk_text *t, struct buf *out) {
    const char *p = t->data;
    const char *end = p + t->len;
    while (p < end) {
        const char *stop = plain_end(p, end);
        buf_add(out, p, (size_t)(stop - p));
        p = stop;
        if (p < end) {              /* the string was read before: this is a backslash */
            char undone[4];
            int n = 0;
            p = read_escape(p, end, undone, &n);
            if (!p)
                return;
            buf_add(out, undone, (size_t)n);
        }
    }
}

/* ---- objects and arrays ----------------------------------------------------------------- */

/* A key without escapes; one that is longer than any we know is cut. */
struct key {
    const char *data;
    size_t len;
    char undone[32];
};

static inline int key_is(const struct key *k, const char *name) {
    size_t n = strlen(name);
    return k->len == n && !memcmp(k->data, name, n);
}

static void set_key(struct key *k, const struct string *s) {
    struct buf b = {0};
    k->data = s->raw.data;
    k->len = s->raw.len;
    if ((size_t)s->bytes == s->raw.len)
        return;
    chunk_unescape(&s->raw, &b);
    k->len = b.len < sizeof k->undone ? b.len : sizeof k->undone;
    memcpy(k->undone, b.data, k->len);
    k->data = k->undone;
    buf_free(&b);
}

/* To the value of the next member: 1; 0 behind the last. *first is 1 before the first call. */
static int next_member(struct cursor *c, int *first, struct key *k) {
    struct string s;
    if (take(c, '}'))
        return 0;
    if (!*first && !take(c, ','))
        return fail(c, "',' or '}'");
    *first = 0;
    if (peek(c) != '"')
        return fail(c, "a key in quotes");
    if (take_string(c, &s))
        return -1;
    set_key(k, &s);
    return take(c, ':') ? 1 : fail(c, "':'");
}

/* To the next element. */
static int next_element(struct cursor *c, int *first) {
    if (take(c, ']'))
        return 0;
    if (!*first && !take(c, ','))
        return fail(c, "',' or ']'");
    *first = 0;
    return 1;
}

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *digits_end(const char *p, const char *end) {
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* Passes a number of the RFC's grammar. */
static int skip_number(struct cursor *c) {
    const char *end = c->end;
    const char *p = c->at;
    p += p < end && *p == '-';
    if (p == end || !is_digit(*p))
        return fail(c, "a value");
    if (*p == '0' && p + 1 < end && is_digit(p[1]))
        return fail(c, "a number without leading zeros");
    p = digits_end(p, end);
    if (p < end && *p == '.') {
        if (++p == end || !is_digit(*p))
            return fail(c, "a number");
        p = digits_end(p, end);
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        if (p == end || !is_digit(*p))
            return fail(c, "a number");
        p = digits_end(p, end);
    }
    c->at = p;
    return 0;
}

static int take_word(struct cursor *c, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n))
        return 0;
    c->at += n;
    return 1;
}

static int take_null(struct cursor *c) {
    return peek(c) == 'n' && take_word(c, "null");
}

static int skip_scalar(struct cursor *c) {
    struct string s;
    char first = peek(c);
    if (first == '"')
        return take_string(c, &s);
    if (first == 't' || first == 'f' || first == 'n')
        return take_word(c, "true") || take_word(c, "false") || take_word(c, "null")
            ? 0 : fail(c, "a value");
    return skip_number(c);
}

/* Open brackets are a stack of bits: what nests costs no recursion. */
struct nest {
    uint64_t object[CHUNK_DEPTH / 64];
    unsigned depth;
};

static int nest_is_object(const struct nest *n) {
    return n->object[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1;
}

static int nest_open(struct cursor *c, struct nest *n, int object) {
    if (n->depth == CHUNK_DEPTH)
        return fail(c, "a value that nests less deep");
    uint64_t bit = (uint64_t)1 << n->depth % 64;
    uint64_t *word = &n->object[n->depth++ / 64];
    *word = object ? *word | bit : *word & ~bit;
    return 0;
}

/* Passes any value. */
static int skip_value(struct cursor *c) {
    struct nest n;
    struct key k;
    char next;
    int first = 0;
    n.depth = 0;
    do {
        /* A value is next unless the bracket above ends here. */
        int more = 1;
        if (n.depth) {
            more = nest_is_object(&n) ? next_member(c, &first, &k) : next_element(c, &first);
            if (more < 0)
                return -1;
        }
        if (!more) {
            n.depth--;
            first = 0;
        } else if ((next = peek(c)) == '{' || next == '[') {
            if (nest_open(c, &n, next == '{'))
                return -1;
            c->at++;
            first = 1;
        } else if (skip_scalar(c)) {
            return -1;
        }
    } while (n.depth);
    return 0;
}

/* Opens an object: 1; 0: it is something else, which was passed. */
static int open_object(struct cursor *c) {
    if (take(c, '{'))
        return 1;
    return skip_value(c) ? -1 : 0;
}

/* ---- counts ----------------------------------------------------------------------------- */

/* The value of a number that skip_number has passed, when it is an integer from 0 to
 * CHUNK_COUNT_MAX in any form ("12", "12.0", "1.2e1"); else -1. Exact: no doubles. */
static int64_t count_of(const char *p, const char *end) {
    int64_t v = 0;
    int64_t power = 0;
    int64_t exponent = 0;
    int point = 0;
    int64_t zeros = 0;              /* at the end of the digits read: held back */
    int negative = *p == '-';
    for (p += negative; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            point = 1;
            continue;
        }
        power -= point;
        zeros++;
        if (*p == '0')
            continue;
        for (; zeros; zeros--)
            if (__builtin_mul_overflow(v, 10, &v))
                return -1;          /* too large, or with too many digits to be an integer */
        if (__builtin_add_overflow(v, *p - '0', &v))
            return -1;
    }
    if (p < end) {
        int minus = *++p == '-';
        p += minus || *p == '+';
        for (; p < end; p++)
            if (exponent < 1000000000)
                exponent = exponent * 10 + (*p - '0');
        exponent = minus ? -exponent : exponent;
    }
    if (!v)
        return 0;
    power += zeros + exponent;
    if (power < 0 || negative)      /* the last digit is not 0 */
        return -1;
    for (; power; power--)
        if (__builtin_mul_overflow(v, 10, &v))
            return -1;
    return v <= CHUNK_COUNT_MAX ? v : -1;
}

/* Takes any value; only a count changes *out. */
static int take_count(struct cursor *c, int64_t *out) {
    char first = peek(c);
    if (!is_digit(first) && first != '-')
        return skip_value(c);
    const char *start = c->at;
    if (skip_number(c))
        return -1;
    *out = count_of(start, c->at);
    return 0;
}

/* ---- the API's objects ------------------------------------------------------------------ */

/* A string, null, or parts: [{"type":"text","text":"..."}], also below "thinking". Adds up bytes,
 * and puts content into text. */
static int take_text(struct cursor *c, int64_t *bytes, struct buf *text, int depth) {
    struct string s;
    struct key k;
    int first = 1;
    int rc = 0;
    char next = peek(c);
    if (next == '"') {
        if (take_string(c, &s))
            return -1;
        *bytes += s.bytes;
        if (text)
            chunk_unescape(&s.raw, text);
    } else if (next == '[' && depth < PARTS_DEPTH) {
        c->at++;
        while (rc == 0 && (rc = next_element(c, &first)) == 1)
            rc = take_text(c, bytes, text, depth + 1);
    } else if (next == '{' && depth && depth < PARTS_DEPTH) {
        c->at++;
        while (rc == 0 && (rc = next_member(c, &first, &k)) == 1)
            rc = key_is(&k, "text") ? take_text(c, bytes, text, depth + 1)
                : key_is(&k, "thinking") ? take_text(c, bytes, NULL, depth + 1) : skip_value(c);
    } else {
        rc = skip_value(c);
    }
    return rc;
}

/* {"name":"f","arguments":"{"}: text that the model wrote. */
static int take_function(struct cursor *c, int64_t *bytes) {
    struct key k;
    int first = 1;
    int rc = open_object(c);
    if (rc < 1)
        return rc;
    rc = 0;
    while (rc == 0 && (rc = next_member(c, &first, &k)) == 1)
        rc = key_is(&k, "name") || key_is(&k, "arguments") ? take_text(c, bytes, NULL, 0)
                                                           : skip_value(c);
    return rc;
}

/* [{"index":0,"id":"...","type":"function","function":{...}}] */
static int take_tool_calls(struct cursor *c, int64_t *bytes) {
    struct key k;
    int first = 1;
    int rc = 0;
    if (!take(c, '['))
        return skip_value(c);
    while (rc == 0 && (rc = next_element(c, &first)) == 1) {
        int first_member = 1;
        rc = open_object(c);
        if (rc == 1) {
            rc = 0;
            while (rc == 0 && (rc = next_member(c, &first_member, &k)) == 1)
                rc = key_is(&k, "function") ? take_function(c, bytes) : skip_value(c);
        }
    }
    return rc;
}

/* delta or message. Servers that are between two names of the reasoning send it under both. */
static int take_delta(struct cursor *c, int64_t *bytes, struct buf *text) {
    int64_t old_name = 0;
    int64_t new_name = 0;
    struct key k;
    int first = 1;
    int rc = open_object(c);
    if (rc < 1)
        return rc;
    rc = 0;
    while (rc == 0 && (rc = next_member(c, &first, &k)) == 1) {
        if (key_is(&k, "content"))
            rc = take_text(c, bytes, text, 0);
        else if (key_is(&k, "reasoning_content"))
            rc = take_text(c, &old_name, NULL, 0);
        else if (key_is(&k, "reasoning"))
            rc = take_text(c, &new_name, NULL, 0);
        else if (key_is(&k, "refusal"))
            rc = take_text(c, bytes, NULL, 0);
        else if (key_is(&k, "tool_calls"))
            rc = take_tool_calls(c, bytes);
        else if (key_is(&k, "function_call"))
            rc = take_function(c, bytes);
        else
            rc = skip_value(c);
    }
    *bytes += old_name > new_name ? old_name : new_name;
    return rc;
}

static int take_finish(struct cursor *c, struct chunk *out) {
    struct string s;
    if (peek(c) != '"')
        return skip_value(c);
    if (take_string(c, &s))
        return -1;
    out->finish = s.raw;
    return 0;
}

/* An element of choices. Its index may come after its text: that of others than 0 is taken back. */
static int take_choice(struct cursor *c, struct chunk *out, struct buf *text) {
    int64_t index = 0;
    size_t before = text ? text->len : 0;
    struct key k;
    int first = 1;
    int rc = 0;
    if (!take(c, '{'))
        return fail(c, "an object as a choice");
    while (rc == 0 && (rc = next_member(c, &first, &k)) == 1) {
        if (key_is(&k, "delta") || key_is(&k, "message"))
            rc = take_delta(c, &out->bytes, text);
        else if (key_is(&k, "text"))
            rc = take_text(c, &out->bytes, text, 0);
        else if (key_is(&k, "finish_reason"))
            rc = take_finish(c, out);
        else if (key_is(&k, "index"))
            rc = take_count(c, &index);
        else
            rc = skip_value(c);
    }
    if (text && index != 0 && text->len > before) {
        text->len = before;
        text->data[before] = '\0';
    }
    return rc;
}

static int take_choices(struct cursor *c, struct chunk *out, struct buf *text) {
    int first = 1;
    int rc = 0;
    if (take_null(c))
        return 0;
    if (!take(c, '['))
        return fail(c, "an array of choices");
    while (rc == 0 && (rc = next_element(c, &first)) == 1)
        rc = take_choice(c, out, text);
    return rc;
}

static int take_details(struct cursor *c, const char *name, int64_t *out) {
    struct key k;
    int first = 1;
    int rc = open_object(c);
    if (rc < 1)
        return rc;
    rc = 0;
    while (rc == 0 && (rc = next_member(c, &first, &k)) == 1)
        rc = key_is(&k, name) ? take_count(c, out) : skip_value(c);
    return rc;
}

static int take_usage(struct cursor *c, struct chunk *out) {
    struct key k;
    int first = 1;
    int rc = open_object(c);
    if (rc < 1)
        return rc;
    rc = 0;
    while (rc == 0 && (rc = next_member(c, &first, &k)) == 1) {
        if (key_is(&k, "prompt_tokens"))
            rc = take_count(c, &out->input_tokens);
        else if (key_is(&k, "completion_tokens"))
            rc = take_count(c, &out->output_tokens);
        else if (key_is(&k, "prompt_tokens_details"))
            rc = take_details(c, "cached_tokens", &out->cached_tokens);
        else if (key_is(&k, "completion_tokens_details"))
            rc = take_details(c, "reasoning_tokens", &out->reasoning_tokens);
        else
            rc = skip_value(c);
    }
    return rc;
}

static int take_message(struct cursor *c, struct chunk_text *out) {
    struct string s;
    if (peek(c) != '"')
        return skip_value(c);
    if (take_string(c, &s))
        return -1;
    *out = s.raw;
    return 0;
}

/* error: null, a message, or {"message":"..."}. */
static int take_error(struct cursor *c, struct chunk *out) {
    struct key k;
    int first = 1;
    int rc = 0;
    if (take_null(c))
        return 0;
    out->failed = 1;
    if (!take(c, '{'))
        return take_message(c, &out->error);
    while (rc == 0 && (rc = next_member(c, &first, &k)) == 1)
        rc = key_is(&k, "message") ? take_message(c, &out->error) : skip_value(c);
    return rc;
}

/* {"object":"error","message":"..."} is an error too, and {"detail":"..."} the body of one. */
static int take_chunk(struct cursor *c, struct chunk *out, struct buf *text) {
    struct chunk_text message = {0};
    struct chunk_text object = {0};
    struct key k;
    int first = 1;
    int rc = 0;
    if (!take(c, '{'))
        return fail(c, "an object");
    while (rc == 0 && (rc = next_member(c, &first, &k)) == 1) {
        if (key_is(&k, "choices"))
            rc = take_choices(c, out, text);
        else if (key_is(&k, "usage"))
            rc = take_usage(c, out);
        else if (key_is(&k, "error"))
            rc = take_error(c, out);
        else if (key_is(&k, "object"))
            rc = take_message(c, &object);
        else if (key_is(&k, "message") || key_is(&k, "detail"))
            rc = take_message(c, &message);
        else
            rc = skip_value(c);
    }
    if (object.len == 5 && !memcmp(object.data, "error", 5))
        out->failed = 1;
    if (!out->error.data)
        out->error = message;
    return rc;
}

int chunk_scan(const char *s, size_t len, struct buf *text, struct chunk *out) {
    struct cursor c = {s, s + len, NULL};
    *out = (struct chunk){.input_tokens = -1, .cached_tokens = -1, .output_tokens = -1,
                          .reasoning_tokens = -1};
    int rc = take_chunk(&c, out, text);
    if (rc == 0 && (peek(&c), c.at != c.end))
        rc = fail(&c, "the end of the object");
    out->want = c.want;
    out->at = (size_t)(c.at - s);
    return rc;
}
