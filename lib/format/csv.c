/* csv.c - records of delimited text, see csv.h
 *
 * A line without a quote is copied at once and cut in the copy. Where there are quotes, what
 * belongs to a cell is copied behind the cells before it, in pieces between the characters that
 * matter.
 */
#include "lib/format/csv.h"

#include <stdlib.h>
#include <string.h>

enum state { WHOLE, IN_QUOTES };

static int is_blank(const struct csv_record *r, char c) {
    return c != r->separator && (c == ' ' || c == '\t' || c == '\r');
}

/* The cell text[at, end), whose end is there to be written. */
static void add_cell(struct csv_record *r, size_t at, size_t end) {
    char *text = r->text.data;
    while (r->trim && at < end && is_blank(r, text[at]))
        at++;
    while (r->trim && end > at && is_blank(r, text[end - 1]))
        end--;
    if (r->cells == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->cell = mem_grow(r->cell, r->cap, sizeof *r->cell);
    }
    text[end] = '\0';
    r->cell[r->cells++] = (struct csv_cell){at, end - at};
}

static void cut_line(struct csv_record *r, const char *line, size_t len) {
    size_t at = 0;
    buf_add(&r->text, line, len);
    buf_addc(&r->text, '\0');
    const char *text = r->text.data;
    len -= len && text[len - 1] == '\r';
    for (size_t i = 0; i < len; i++) {
        if (text[i] != r->separator)
            continue;
        add_cell(r, at, i);
        at = i + 1;
    }
    add_cell(r, at, len);
}

/* ---- quotes ----------------------------------------------------------------------------- */

static void begin_cell(struct csv_record *r) {
    add_cell(r, r->text.len, r->text.len);
}

static void end_cell(struct csv_record *r) {
    struct csv_cell *c = &r->cell[r->cells - 1];
    c->len = r->text.len - c->at;
    buf_addc(&r->text, '\0');
}

static const char *skip_blanks(const struct csv_record *r, const char *p, const char *end) {
    while (r->trim && p < end && is_blank(r, *p))
        p++;
    return p;
}

/* Up to the closing quote, which is passed; NULL: the line has none. */
static const char *take_quoted(struct csv_record *r, const char *p, const char *end) {
    for (;;) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (!quote) {
            buf_add(&r->text, p, (size_t)(end - p));
            return NULL;
        }
        int doubled = quote + 1 < end && quote[1] == '"';
        buf_add(&r->text, p, (size_t)(quote - p + doubled));
        p = quote + 1 + doubled;
        if (!doubled)
            return p;
    }
}

static const char *take_plain(struct csv_record *r, const char *p, const char *end) {
    const char *next = memchr(p, r->separator, (size_t)(end - p));
    const char *stop = next ? next : end;
    const char *to = stop;
    if (!next && to > p && to[-1] == '\r')
        to--;
    while (r->trim && to > p && is_blank(r, to[-1]))
        to--;
    buf_add(&r->text, p, (size_t)(to - p));
    return stop;
}

int csv_add(struct csv_record *r, const char *line, size_t len) {
    const char *p = line;
    const char *end = line + len;
    int quoted = r->state == IN_QUOTES;
    if (!quoted) {
        r->cells = r->text.len = 0;
        if (r->bare || !len || !memchr(line, '"', len)) {
            cut_line(r, line, len);
            return 1;
        }
        buf_reserve(&r->text, len);
        begin_cell(r);
    } else {
        buf_addc(&r->text, '\n');
    }
    r->state = WHOLE;
    for (;;) {
        if (!quoted) {
            p = skip_blanks(r, p, end);
            quoted = p < end && *p == '"';
            p += quoted;
        }
        if (quoted && !(p = take_quoted(r, p, end))) {
            r->state = IN_QUOTES;
            return 0;
        }
        if (!quoted)
            p = take_plain(r, p, end);
        else if (p + 1 == end && *p == '\r')
            p = end;
        else
            p = skip_blanks(r, p, end);
        end_cell(r);
        if (p == end)
            return 1;
        if (*p != r->separator)
            return -1;
        begin_cell(r);
        quoted = 0;
        p++;
    }
}

int csv_open(const struct csv_record *r) {
    return r->state == IN_QUOTES;
}

void csv_free(struct csv_record *r) {
    buf_free(&r->text);
    free(r->cell);
    *r = (struct csv_record){.separator = r->separator, .bare = r->bare, .trim = r->trim};
}
