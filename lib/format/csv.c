/* csv.c - records of comma-separated values, see csv.h
 *
 * One pass: what belongs to a cell is copied behind the cells before it, in pieces between the
 * characters that matter.
 */
#include "lib/format/csv.h"

#include <stdlib.h>
#include <string.h>

enum state { WHOLE, IN_QUOTES };

static void begin_cell(struct csv_record *r) {
    if (r->cells == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->cell = mem_grow(r->cell, r->cap, sizeof *r->cell);
    }
    r->cell[r->cells++].at = r->text.len;
}

static void end_cell(struct csv_record *r) {
    struct csv_cell *c = &r->cell[r->cells - 1];
    c->len = r->text.len - c->at;
    buf_addc(&r->text, '\0');
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
    const char *stop = memchr(p, r->separator, (size_t)(end - p));
    int cr = !stop && end > p && end[-1] == '\r';
    stop = stop ? stop : end;
    buf_add(&r->text, p, (size_t)(stop - p - cr));
    return stop;
}

int csv_add(struct csv_record *r, const char *line, size_t len) {
    const char *p = line;
    const char *end = line + len;
    int quoted = r->state == IN_QUOTES;
    if (quoted) {
        buf_addc(&r->text, '\n');
    } else {
        r->cells = r->text.len = 0;
        begin_cell(r);
    }
    r->state = WHOLE;
    for (;;) {
        if (!quoted && p < end && *p == '"') {
            quoted = 1;
            p++;
        }
        if (quoted && !(p = take_quoted(r, p, end))) {
            r->state = IN_QUOTES;
            return 0;
        }
        if (!quoted)
            p = take_plain(r, p, end);
        else if (p + 1 == end && *p == '\r')
            p = end;
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
    *r = (struct csv_record){.separator = r->separator};
}
