/* book_line.c - a line of a price book taken apart, and the values of its keys, see book_impl.h
 *
 * A line is words and KEY=VALUE, the words first. A value or word with blanks stands in double
 * quotes, in which \" and \\ are a quote and a backslash. "#" at the start of a word begins a
 * comment.
 */
#include "lib/cost/book_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/base/utf8.h"

#define SECOND ((int64_t)1000000000)

int book_bad(struct book_reader *r, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(r->err, "%s:%d: %s", r->b->path, r->line, text);
}

/* ---- words ----------------------------------------------------------------------------------- */

static int check_text(struct book_reader *r, const char *s, size_t len) {
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        int n = utf8_get(s + i, len - i, &cp);
        if (!n)
            return book_bad(r, "expected UTF-8, found byte 0x%02x at column %zu",
                            (unsigned)(unsigned char)s[i], i + 1);
        if ((cp < ' ' && cp != '\t') || cp == 0x7f)
            return book_bad(r, "expected text, found control character 0x%02x at column %zu",
                            (unsigned)cp, i + 1);
        i += (size_t)n;
    }
    return 0;
}

static int is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* A quoted text at *s, moved to *to without quotes; both move on. */
static int unquote(struct book_reader *r, char **s, char **to) {
    for (++*s; **s && **s != '"'; ++*s) {
        if (**s == '\\' && ((*s)[1] == '"' || (*s)[1] == '\\'))
            ++*s;
        *(*to)++ = **s;
    }
    if (!**s)
        return book_bad(r, "expected a closing quote, found the end of the line");
    ++*s;
    if (**s && !is_blank(**s))
        return book_bad(r, "expected a blank behind the quote, found '%c'", **s);
    return 0;
}

static int add_field(struct book_reader *r, char *key, char *text) {
    if (!key && r->fields > r->words)
        return book_bad(r, "expected KEY=VALUE, found '%.40s'", text);
    for (int i = r->words; key && i < r->fields; i++)
        if (!strcmp(r->field[i].key, key))
            return book_bad(r, "key '%.40s' is there twice", key);
    if (r->fields == BOOK_WORDS)
        return book_bad(r, "expected at most %d words", BOOK_WORDS);
    r->field[r->fields++] = (struct book_field){.key = key, .text = text};
    r->words += !key;
    r->left += !!key;
    return 0;
}

/* The word at *s, up to a blank; a key ends at the first "=". */
static int take_field(struct book_reader *r, char **s) {
    char *key = NULL;
    char *text = *s;
    char *to = *s;
    if (**s == '"') {
        if (unquote(r, s, &to))
            return -1;
    } else {
        while (**s && !is_blank(**s) && **s != '=')
            to = ++*s;
        if (**s == '=') {
            key = text;
            *(*s)++ = '\0';
            text = to = *s;
            if (**s == '"' && unquote(r, s, &to))
                return -1;
        }
        while (**s && !is_blank(**s))
            to = ++*s;
    }
    if (key && !*key)
        return book_bad(r, "expected a key before '='");
    if (to == text)
        return book_bad(r, "expected a value, found none%s%.40s", key ? " of " : "",
                        key ? key : "");
    if (**s)
        ++*s;
    *to = '\0';
    return add_field(r, key, text);
}

int book_split(struct book_reader *r, const char *line, size_t len) {
    r->fields = r->words = r->left = 0;
    if (len > BOOK_LINE)
        return book_bad(r, "expected at most %d bytes a line, found %zu", BOOK_LINE, len);
    if (len && line[len - 1] == '\r')
        len--;
    if (check_text(r, line, len))
        return -1;
    if (r->scratch_size <= len) {
        r->scratch_size = 2 * len + 256;
        r->scratch = mem_grow(r->scratch, r->scratch_size, 1);
    }
    memcpy(r->scratch, line, len);
    r->scratch[len] = '\0';
    for (char *s = r->scratch; *s;) {
        if (is_blank(*s)) {
            s++;
            continue;
        }
        if (*s == '#')
            break;
        if (take_field(r, &s))
            return -1;
    }
    return 0;
}

const char *book_take(struct book_reader *r, const char *key) {
    if (!r->left)
        return NULL;
    for (int i = r->words; i < r->fields; i++) {
        struct book_field *f = &r->field[i];
        if (!f->used && !strcmp(f->key, key)) {
            f->used = 1;
            r->left--;
            return f->text;
        }
    }
    return NULL;
}

int book_leftover(struct book_reader *r, const char *keys) {
    for (int i = r->words; r->left && i < r->fields; i++)
        if (!r->field[i].used)
            return book_bad(r, "%s: expected the keys %s, found '%.40s'", r->statement, keys,
                            r->field[i].key);
    return 0;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* What date_text writes so that it reads back: whole seconds of the years that it knows. */
static int parse_date(const char *s, int64_t *out) {
    const int64_t first = -8520336000 * SECOND;         /* 1700-01-01 */
    const int64_t end = 9183110400 * SECOND;            /* 2261-01-01 */
    return date_parse(s, strlen(s), out) || *out % SECOND || *out < first || *out >= end ? -1 : 0;
}

int book_take_date(struct book_reader *r, const char *key, int64_t *out) {
    const char *s = book_take(r, key);
    if (s && parse_date(s, out))
        return book_bad(r, "%s: expected a date as in 2026-03-13 or 2026-08-16T16:00Z, found "
                           "'%.40s'", key, s);
    return 0;
}

int book_take_whole(struct book_reader *r, const char *key, int64_t least, int64_t most,
                    int64_t *out) {
    const char *s = book_take(r, key);
    if (s && num_size(s, least, most, out))
        return book_bad(r, "%s: expected a whole number from %lld to %lld, found '%.40s'", key,
                        (long long)least, (long long)most, s);
    return 0;
}

int book_take_number(struct book_reader *r, const char *key, double most, double *out) {
    const char *s = book_take(r, key);
    if (s && (strspn(s, "0123456789.") != strlen(s) || num_float(s, 0, most, out)))
        return book_bad(r, "%s: expected a number from 0 to %g, found '%.40s'", key, most, s);
    return 0;
}

int book_take_money(struct book_reader *r, const char *key, money most, money *out) {
    const char *s = book_take(r, key);
    char text[MONEY_TEXT];
    if (s && (money_parse(s, strlen(s), out) || *out < 0 || *out > most))
        return book_bad(r, "%s: expected dollars from 0 to %s with up to 12 decimals, found "
                           "'%.40s'", key, money_text(most, text), s);
    return 0;
}

int book_take_factor(struct book_reader *r, const char *key, int64_t *out) {
    const char *s = book_take(r, key);
    if (s && money_parse_factor(s, strlen(s), out))
        return book_bad(r, "%s: expected a factor from 0 to 1000000 with up to 9 decimals, found "
                           "'%.40s'", key, s);
    return 0;
}

/* "30s", "5m", "1h", "7d", "2w", or a word: hour, day, week, month of 30 days, year of 365. */
static int parse_duration(const char *s, int64_t *out) {
    static const struct {
        const char *word;
        int64_t s;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}, {"hour", 3600},
                 {"day", 86400}, {"week", 604800}, {"month", 30 * 86400}, {"year", 365 * 86400}};
    size_t digits = strspn(s, "0123456789");
    int64_t n = 1;
    if (digits > 9)
        return -1;
    if (digits)
        n = strtoll(s, NULL, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(s + digits, units[i].word) || (!digits && strlen(units[i].word) == 1))
            continue;
        *out = n * units[i].s;
        if (*out < 1 || *out > 100 * 365 * (int64_t)86400)
            return -1;
        *out *= SECOND;
        return 0;
    }
    return -1;
}

int book_take_duration(struct book_reader *r, const char *key, int64_t *out) {
    const char *s = book_take(r, key);
    if (s && parse_duration(s, out))
        return book_bad(r, "%s: expected a time as in 30s, 5m, 1h, 7d or month, up to a hundred "
                           "years, found '%.40s'", key, s);
    return 0;
}

int book_take_choice(struct book_reader *r, const char *key, const char *const *names, int *out) {
    const char *s = book_take(r, key);
    char list[256] = "";
    size_t at = 0;
    for (int i = 0; s && names[i]; i++) {
        if (!strcmp(names[i], s)) {
            *out = i;
            return 0;
        }
        if (at < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", names[i]);
    }
    return s ? book_bad(r, "%s: expected one of %s, found '%.40s'", key, list, s) : 0;
}

int book_take_text(struct book_reader *r, const char *key, char **out) {
    const char *s = book_take(r, key);
    if (s && *out)
        free(*out);
    if (s)
        *out = mem_strdup(s);
    return 0;
}

int book_take_source(struct book_reader *r, int *out) {
    const char *s = book_take(r, "source");
    const struct book_index *x = r->b->index;
    *out = BOOK_ANY;
    if (!s)
        return 0;
    *out = book_names_get(&x->sources, s, strlen(s));
    return *out < 0 ? book_bad(r, "source: expected one that is declared above, found '%.40s'", s)
                    : 0;
}

int book_take_validity(struct book_reader *r, int64_t *from, int64_t *to) {
    char a[DATE_TEXT];
    char b[DATE_TEXT];
    *from = BOOK_ALWAYS;
    *to = BOOK_NEVER;
    if (book_take_date(r, "from", from) || book_take_date(r, "to", to))
        return -1;
    if (*from >= *to)
        return book_bad(r, "expected from before to, found from=%s to=%s", date_text(*from, a),
                        date_text(*to, b));
    return 0;
}

int book_find_model(struct book_reader *r, const char *name, int *out) {
    const struct book_index *x = r->b->index;
    int i = book_names_get(&x->models, name, strlen(name));
    if (i < 0)
        return book_bad(r, "expected a model that is declared above, found '%.80s'", name);
    *out = i;
    return 0;
}
