/* routed_sheet.c - tables by tabs or commas, see routed_sheet.h */
#include "lib/trace/routed_sheet.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next line that counts, without its newline. */
static int next_line(struct routed_sheet *s, char **line, struct err *err) {
    int rc;
    while ((rc = reqs_lines_next(s->in, line, err)) == 1) {
        char *p = *line;
        if (s->in->number == 1 && !memcmp(p, "\xEF\xBB\xBF", 3))       /* a byte order mark */
            p += 3;
        *line = p;
        while (is_blank(*p))
            p++;
        if (*p != '\n' && *p != '#')
            return 1;
    }
    return rc;
}

static int line_error(const struct routed_sheet *s, const char *what, struct err *err) {
    return err_set(err, "%s: line %lld: %s", s->name, (long long)s->in->number, what);
}

/* The text of a quoted cell, whose quote *at is behind; *at goes behind the closing one. NULL:
 * there is none. */
static char *take_quoted(char **at) {
    char *text = *at;
    char *to = text;
    char *p = text;
    for (; *p != '\n' && (*p != '"' || p[1] == '"'); p++) {
        p += *p == '"';
        *to++ = *p;
    }
    if (*p != '"')
        return NULL;
    *at = p + 1;
    *to = '\0';
    return text;
}

/* One cell at *at, ended by a NUL in place; *at goes to what follows, NULL at the line's end. */
static char *take_cell(const struct routed_sheet *s, char **at) {
    char *p = *at;
    while (*p != s->separator && is_blank(*p))
        p++;
    char *text = p;
    char *end = NULL;
    if (*p == '"' && s->separator == ',') {
        p++;
        text = take_quoted(&p);
        if (!text)
            return NULL;
        while (*p != s->separator && is_blank(*p))
            p++;
        if (*p != s->separator && *p != '\n')
            return NULL;
    } else {
        while (*p != s->separator && *p != '\n')
            p++;
        for (end = p; end > text && is_blank(end[-1]); end--)
            ;
    }
    *at = *p == '\n' ? NULL : p + 1;
    if (end)
        *end = '\0';
    return text;
}

/* Fills s->cell with the line's cells: how many, -1 on error. */
static int split(struct routed_sheet *s, char *line, int most, struct err *err) {
    int n = 0;
    for (char *at = line; at; n++) {
        if (n == most)
            return line_error(s, "more columns than expected", err);
        s->cell[n] = take_cell(s, &at);
        if (!s->cell[n])
            return line_error(s, "expected a closing quote at the end of a cell", err);
    }
    return n;
}

int routed_sheet_header(struct routed_sheet *s, struct err *err) {
    char *line;
    int rc = next_line(s, &line, err);
    if (rc < 1)
        return rc;
    s->separator = memchr(line, '\t', (size_t)((char *)rawmemchr(line, '\n') - line)) ? '\t' : ',';
    s->cell = mem_array(ROUTED_SHEET_COLUMNS, sizeof *s->cell);
    int n = split(s, line, ROUTED_SHEET_COLUMNS, err);
    if (n < 0)
        return -1;
    s->column = mem_array((size_t)n, sizeof *s->column);
    for (; s->columns < n; s->columns++) {
        const char *name = s->cell[s->columns];
        if (!*name || routed_sheet_column(s, name) >= 0)
            return err_set(err, "%s: line %lld: column %d: expected a name of its own, found '%s'",
                           s->name, (long long)s->in->number, s->columns + 1, name);
        s->column[s->columns] = mem_strdup(name);
    }
    return 1;
}

int routed_sheet_next(struct routed_sheet *s, struct err *err) {
    char *line;
    int rc = next_line(s, &line, err);
    if (rc < 1)
        return rc;
    int n = split(s, line, s->columns, err);
    if (n < 0)
        return -1;
    if (n < s->columns)
        return err_set(err, "%s: line %lld: expected %d columns as in the header, found %d",
                       s->name, (long long)s->in->number, s->columns, n);
    return 1;
}

int routed_sheet_column(const struct routed_sheet *s, const char *name) {
    for (int i = 0; i < s->columns; i++)
        if (!strcmp(s->column[i], name))
            return i;
    return -1;
}

char *routed_sheet_names(const struct routed_sheet *s) {
    struct buf b = {0};
    for (int i = 0; i < s->columns; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", s->column[i]);
    return b.data ? b.data : mem_strdup("");
}

int routed_sheet_error(const struct routed_sheet *s, int column, const char *expected,
                       struct err *err) {
    return err_set(err, "%s: line %lld: %s: expected %s, found '%.60s'", s->name,
                   (long long)s->in->number, s->column[column], expected, s->cell[column]);
}

void routed_sheet_free(struct routed_sheet *s) {
    for (int i = 0; i < s->columns; i++)
        free(s->column[i]);
    free(s->column);
    free(s->cell);
}
