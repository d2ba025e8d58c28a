/* pretok.c - cutting a text into words by the patterns of a pre-tokenizer
 *
 * The patterns speak of Unicode categories, but a regular expression need not know Unicode: the
 * text is first written as one byte a code point - ASCII as it is, anything else as the byte of
 * its category - and the patterns are compiled to match those bytes. It makes matching fast, and
 * the classes come from our own tables rather than from whichever Unicode the library knows.
 * The few patterns that name single code points beyond ASCII run on the text as UTF-8.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lib/model/pretok.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "lib/model/uniclass.h"

/* The bytes that stand for code points beyond ASCII. Whitespace is a vertical tab, which \s
 * knows. */
enum {
    BYTE_OTHER = 0xD0, BYTE_NUMBER, BYTE_LETTER, BYTE_PUNCTUATION, BYTE_MARK, BYTE_SYMBOL,
    BYTE_HAN, BYTE_HAN_OTHER,       /* letters and others in the blocks of ideographs */
    BYTE_WHITE = 0x0B
};

struct pretok {
    const struct pretok_row *row;
    int han;                        /* the patterns tell ideographs from other letters */
    int any_wide;
    size_t patterns;
    struct pattern {
        pcre2_code *code;           /* NULL: one of the two that are no patterns */
        int thousands;
        int wide;                   /* on UTF-8, not on category bytes */
    } pattern[PRETOK_PATTERNS];
};

struct pretok_work {
    struct buf norm;                /* the text, every code point valid */
    struct buf category;            /* a byte a code point */
    struct buf wide;                /* norm with whitespace beyond ASCII as vertical tabs */
    struct cuts {
        uint32_t *len;
        size_t n, cap;
    } cuts[2];
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* ---- patterns -------------------------------------------------------------------------------- */

static const struct class {
    const char *name;
    const char *set;                /* inside brackets */
} classes[] = {
    {"\\p{N}", "\\xD10-9"},
    {"\\p{L}", "\\xD2A-Za-z"},
    {"\\p{P}", "\\xD3!-#%-*,-/:;?@\\[-\\]_{}"},
    {"\\p{M}", "\\xD4"},
    {"\\p{S}", "\\xD5$+<=>\\^`|~"},
    {"\\p{Upper}", "\\xD2A-Z"},     /* a letter beyond ASCII is both: category bytes have no case */
    {"\\p{Lower}", "\\xD2a-z"},
    {"\\p{HanLetter}", "\\xD6"},
    {"\\p{Han}", "\\xD6\\xD7"},
};

static const struct class *class_at(const char *s) {
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (!strncmp(s, classes[i].name, strlen(classes[i].name)))
            return &classes[i];
    return NULL;
}

/* The pattern with its categories as sets of bytes. */
static void translate(const char *s, struct buf *out) {
    int inside = 0;
    while (*s) {
        const struct class *c = class_at(s);
        if (c) {
            buf_printf(out, inside ? "%s" : "[%s]", c->set);
            s += strlen(c->name);
        } else if (*s == '\\') {
            buf_add(out, s, 2);
            s += 2;
        } else {
            inside = *s == '[' ? 1 : *s == ']' ? 0 : inside;
            buf_addc(out, *s++);
        }
    }
}

static int compile(struct pattern *p, const char *text, struct err *err) {
    struct buf b = {0};
    int code;
    PCRE2_SIZE at;
    p->wide = strstr(text, "\\x{") != NULL;
    translate(text, &b);
    p->code = pcre2_compile((PCRE2_SPTR)b.data, b.len,
                            PCRE2_DOLLAR_ENDONLY | (p->wide ? PCRE2_UTF : 0), &code, &at, NULL);
    buf_free(&b);
    if (!p->code) {
        char why[128] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return err_set(err, "pre-tokenizer pattern %s: %s at %zu", text, why, (size_t)at);
    }
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);     /* without it, matching is only slower */
    return 0;
}

static int has_name(const char *names, const char *name) {
    size_t len = strlen(name);
    for (const char *s = names; (s = strstr(s, name)); s++)
        if ((s == names || s[-1] == ' ') && (s[len] == ' ' || !s[len]))
            return 1;
    return 0;
}

static const struct pretok_row *find_row(const char *name) {
    if (!*name)
        name = "default";
    for (size_t i = 0; i < pretok_rows && !strchr(name, ' '); i++)
        if (has_name(pretok_table[i].names, name))
            return &pretok_table[i];
    return NULL;
}

struct pretok *pretok_new(const char *name, struct err *err) {
    const struct pretok_row *row = find_row(name);
    if (!row) {
        struct buf b = {0};
        for (size_t i = 0; i < pretok_rows; i++)
            buf_printf(&b, " %s", pretok_table[i].names);
        err_set(err, "unknown pre-tokenizer \"%.60s\": expected one of%s", name, b.data);
        buf_free(&b);
        return NULL;
    }
    struct pretok *p = mem_alloc(sizeof *p);
    p->row = row;
    for (; p->patterns < PRETOK_PATTERNS && row->pattern[p->patterns]; p->patterns++) {
        const char *text = row->pattern[p->patterns];
        struct pattern *pat = &p->pattern[p->patterns];
        if (text == pretok_digits || text == pretok_thousands) {
            pat->thousands = text == pretok_thousands;
            continue;
        }
        if (compile(pat, text, err) < 0) {
            pretok_free(p);
            return NULL;
        }
        p->han |= strstr(text, "\\p{Han}") != NULL;
        p->any_wide |= pat->wide;
    }
    return p;
}

void pretok_free(struct pretok *p) {
    if (!p)
        return;
    for (size_t i = 0; i < PRETOK_PATTERNS; i++)
        pcre2_code_free(p->pattern[i].code);
    free(p);
}

unsigned pretok_flags(const struct pretok *p) {
    return p->row->flags;
}

struct pretok_work *pretok_work_new(void) {
    struct pretok_work *w = mem_alloc(sizeof *w);
    w->match = pcre2_match_data_create(1, NULL);
    w->context = pcre2_match_context_create(NULL);
    w->stack = pcre2_jit_stack_create((size_t)64 << 10, (size_t)64 << 20, NULL);
    if (w->stack)
        pcre2_jit_stack_assign(w->context, NULL, w->stack);
    return w;
}

void pretok_work_free(struct pretok_work *w) {
    if (!w)
        return;
    pcre2_match_data_free(w->match);
    pcre2_match_context_free(w->context);
    pcre2_jit_stack_free(w->stack);
    buf_free(&w->norm);
    buf_free(&w->category);
    buf_free(&w->wide);
    free(w->cuts[0].len);
    free(w->cuts[1].len);
    free(w);
}

/* ---- the text as categories ------------------------------------------------------------------ */

size_t pretok_get(const char *s, size_t len, uint32_t *cp) {
    const unsigned char *u = (const unsigned char *)s;
    unsigned c = u[0];
    *cp = c;
    if (c < 0x80)
        return 1;
    size_t n = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF8 ? 4 : 1;
    uint32_t v = c & (0x7Fu >> n);
    int ok = n > 1 && n <= len;
    for (size_t i = 1; ok && i < n; i++) {
        ok = (u[i] & 0xC0) == 0x80;
        v = v << 6 | (u[i] & 0x3F);
    }
    if (!ok || v > 0x10FFFF) {
        *cp = 0xFFFD;
        return 1;
    }
    *cp = v;
    return n;
}

size_t pretok_put(uint32_t cp, char *out) {
    return (size_t)utf8_put(cp, out);
}

static char category_byte(const struct pretok *p, const struct uniclass *u, uint32_t cp) {
    static const unsigned char byte[] = {
        [UNI_NONE] = BYTE_OTHER, [UNI_NUMBER] = BYTE_NUMBER, [UNI_LETTER] = BYTE_LETTER,
        [UNI_SEPARATOR] = BYTE_OTHER, [UNI_MARK] = BYTE_MARK,
        [UNI_PUNCTUATION] = BYTE_PUNCTUATION, [UNI_SYMBOL] = BYTE_SYMBOL,
        [UNI_CONTROL] = BYTE_OTHER,
    };
    unsigned of = uniclass_get(u, cp);
    if (of & UNI_WHITE)
        return BYTE_WHITE;
    if (p->han && uniclass_han(cp))
        return (char)((of & UNI_CATEGORY) == UNI_LETTER ? BYTE_HAN : BYTE_HAN_OTHER);
    return (char)byte[of & UNI_CATEGORY];
}

static size_t ascii_run(const char *s, size_t len) {
    size_t i = 0;
    for (uint64_t v; i + 8 <= len; i += 8) {
        memcpy(&v, s + i, 8);
        if (v & 0x8080808080808080u)
            break;
    }
    while (i < len && !(s[i] & 0x80))
        i++;
    return i;
}

/* Fills norm, category and, where a pattern asks for it, wide. */
static void classify(const struct pretok *p, struct pretok_work *w, const struct uniclass *u,
                     const char *text, size_t len) {
    w->norm.len = w->category.len = w->wide.len = 0;
    for (size_t i = 0; i < len;) {
        size_t run = ascii_run(text + i, len - i);
        buf_add(&w->norm, text + i, run);
        buf_add(&w->category, text + i, run);
        if (p->any_wide)
            buf_add(&w->wide, text + i, run);
        i += run;
        while (i < len && text[i] & 0x80) {
            uint32_t cp;
            char c[4];
            i += pretok_get(text + i, len - i, &cp);
            buf_add(&w->norm, c, pretok_put(cp, c));
            char byte = cp < 0x80 ? (char)cp : category_byte(p, u, cp);
            buf_addc(&w->category, byte);
            if (!p->any_wide)
                continue;
            if (byte == BYTE_WHITE)
                cp = BYTE_WHITE;
            else if (cp >= 0xD800 && cp < 0xE000)
                cp = 0xE000;        /* no pattern tells it from a surrogate, which is not UTF-8 */
            buf_add(&w->wide, c, pretok_put(cp, c));
        }
    }
}

/* Bytes that the next n code points of s take. */
static size_t bytes_of(const char *s, size_t n) {
    const char *p = s;
    for (; n; n--) {
        unsigned char c = (unsigned char)*p;
        p += c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    }
    return (size_t)(p - s);
}

static size_t code_points(const char *s, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += (s[i] & 0xC0) != 0x80;
    return n;
}

/* ---- cutting --------------------------------------------------------------------------------- */

static void cut(struct cuts *c, size_t len) {
    if (!len)
        return;
    if (c->n == c->cap) {
        c->cap = c->cap * 2 + 256;
        c->len = mem_grow(c->len, c->cap, sizeof *c->len);
    }
    c->len[c->n++] = (uint32_t)len;
}

/* The next match in s[len] from at on: 1 and its bounds, or 0. */
static int next_match(const struct pattern *p, struct pretok_work *w, const char *s, size_t len,
                      size_t at, size_t *from, size_t *to) {
    int r = pcre2_match(p->code, (PCRE2_SPTR)s, len, at, PCRE2_NO_UTF_CHECK, w->match, w->context);
    if (r == PCRE2_ERROR_JIT_STACKLIMIT)
        r = pcre2_match(p->code, (PCRE2_SPTR)s, len, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        w->match, w->context);
    if (r < 0)
        return 0;
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(w->match);
    *from = bounds[0];
    *to = bounds[1];
    return 1;
}

/* Cuts one piece, s[len] in bytes of either text; no pattern of the table matches nothing. */
static void cut_by_pattern(const struct pattern *p, struct pretok_work *w, const char *s,
                           size_t len, struct cuts *out) {
    size_t at = 0;
    size_t from;
    size_t to;
    while (at < len && next_match(p, w, s, len, at, &from, &to)) {
        cut(out, p->wide ? code_points(s + at, from - at) : from - at);
        cut(out, p->wide ? code_points(s + from, to - from) : to - from);
        at = to;
    }
    cut(out, p->wide ? code_points(s + at, len - at) : len - at);
}

static int is_number(char c) {
    return (c >= '0' && c <= '9') || (unsigned char)c == BYTE_NUMBER;
}

static void cut_digits(const char *s, size_t len, struct cuts *out) {
    size_t start = 0;
    size_t at = 0;
    while (at < len) {
        if (!is_number(s[at])) {
            at++;
            continue;
        }
        size_t end = at;
        while (end < len && is_number(s[end]))
            end++;
        if ((end - at) % 3) {
            at += (end - at) % 3;
            cut(out, at - start);
            start = at;
        }
        for (; at < end; start = at) {
            at += 3;
            cut(out, at - start);
        }
    }
    cut(out, len - start);
}

static void cut_thousands(const char *s, size_t len, struct cuts *out) {
    size_t start = 0;
    size_t at = 0;
    while (at < len) {
        size_t end = at;
        while (end < len && s[end] >= '0' && s[end] <= '9')
            end++;
        for (; at < end; at++)
            if ((end - at) % 3 == 0) {
                cut(out, at - start);
                start = at;
            }
        at = end + 1;
    }
    cut(out, len - start);
}

static void apply(const struct pattern *p, struct pretok_work *w, const struct cuts *in,
                  struct cuts *out) {
    const char *s = p->wide ? w->wide.data : w->category.data;
    out->n = 0;
    for (size_t i = 0; i < in->n; i++) {
        size_t bytes = p->wide ? bytes_of(s, in->len[i]) : in->len[i];
        if (p->code)
            cut_by_pattern(p, w, s, bytes, out);
        else if (p->thousands)
            cut_thousands(s, bytes, out);
        else
            cut_digits(s, bytes, out);
        s += bytes;
    }
}

size_t pretok_split(const struct pretok *p, struct pretok_work *w, const struct uniclass *u,
                    const char *text, size_t len, const char **norm, const uint32_t **word) {
    classify(p, w, u, text, len);
    int now = 0;
    w->cuts[now].n = 0;
    cut(&w->cuts[now], w->category.len);
    for (size_t i = 0; i < p->patterns; i++, now ^= 1)
        apply(&p->pattern[i], w, &w->cuts[now], &w->cuts[now ^ 1]);
    struct cuts *c = &w->cuts[now];
    if (w->norm.len != w->category.len) {
        const char *s = w->norm.data;
        for (size_t i = 0; i < c->n; i++) {
            c->len[i] = (uint32_t)bytes_of(s, c->len[i]);
            s += c->len[i];
        }
    }
    *norm = w->norm.data;
    *word = c->len;
    return c->n;
}
