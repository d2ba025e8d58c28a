/* routed_sheet.c - tables by tabs or commas, see routed_sheet.h */
#include "lib/trace/routed_sheet.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* The first line of the next record. */
static int next_line(struct routed_sheet *s, char **line, struct err *err) {
    int rc;
    while ((rc = reqs_lines_next(s->in, line, err)) == 1) {
        char *p = *line;
        if (s->in->number == 1 && !memcmp(p, "\xEF\xBB\xBF", 3))       /* a byte order mark */
            p += 3;
        *line = p;
        p += strspn(p, " \t\r");
        if (*p != '\n' && *p != '#')
            return 1;
    }
    return rc;
}

/* Cells end with a NUL, and nobody looks behind one. */
static int find_nul(const struct routed_sheet *s, struct err *err) {
    for (size_t i = 0; i < s->record.cells; i++)
        if (strlen(csv_cell(&s->record, i)) < s->record.cell[i].len)
            return err_set(err, "%s: line %lld: column %zu: expected a text, found a NUL in it",
                           s->name, (long long)s->line, i + 1);
    return 0;
}

int routed_sheet_header(struct routed_sheet *s, struct err *err) {
    char *line;
    int rc = next_line(s, &line, err);
    if (rc < 1)
        return rc;
    int tabs = memchr(line, '\t', (size_t)((char *)rawmemchr(line, '\n') - line)) != NULL;
    s->record = (struct csv_record){.separator = tabs ? '\t' : ',', .bare = tabs, .trim = 1};
    if (reqs_lines_record(s->in, line, &s->record, &s->line, err) < 1 || find_nul(s, err))
        return -1;
    if (s->record.cells > ROUTED_SHEET_COLUMNS)
        return err_set(err, "%s: line %lld: expected at most %d columns, found %zu", s->name,
                       (long long)s->line, ROUTED_SHEET_COLUMNS, s->record.cells);
    s->column = mem_array(s->record.cells, sizeof *s->column);
    for (size_t i = 0; i < s->record.cells; i++) {
        const char *name = csv_cell(&s->record, i);
        if (!*name || routed_sheet_column(s, name) >= 0)
            return err_set(err, "%s: line %lld: column %zu: expected a name of its own, found '%s'",
                           s->name, (long long)s->line, i + 1, name);
        s->column[s->columns++] = mem_strdup(name);
    }
    return 1;
}

int routed_sheet_next(struct routed_sheet *s, struct err *err) {
    char *line;
    int rc = next_line(s, &line, err);
    if (rc < 1)
        return rc;
    if (reqs_lines_record(s->in, line, &s->record, &s->line, err) < 1 || find_nul(s, err))
        return -1;
    if (s->record.cells != (size_t)s->columns)
        return err_set(err, "%s: line %lld: expected %d columns as in the header, found %zu",
                       s->name, (long long)s->line, s->columns, s->record.cells);
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
                   (long long)s->line, s->column[column], expected, routed_sheet_cell(s, column));
}

void routed_sheet_free(struct routed_sheet *s) {
    for (int i = 0; i < s->columns; i++)
        free(s->column[i]);
    free(s->column);
    csv_free(&s->record);
}
