/* routed_sheet.h - tables by tabs or commas, a header line first
 *
 *     struct routed_sheet s = {.in = &lines, .name = "labels.tsv"};
 *     if (routed_sheet_header(&s, &err) == 1)
 *         while ((rc = routed_sheet_next(&s, &err)) == 1)
 *             see(s.column[0], routed_sheet_cell(&s, 0));
 *     routed_sheet_free(&s);
 *
 * A header with a tab in it is a table by tabs. Cells of a table by commas may stand in double
 * quotes, as csv.h reads them. Blanks around cells, blank
 * lines, and lines that begin with '#' do not count.
 */
#ifndef ROUTED_SHEET_H
#define ROUTED_SHEET_H

#include "lib/base/err.h"
#include "lib/trace/reqs_line.h"

#define ROUTED_SHEET_COLUMNS 256

struct routed_sheet {
    struct reqs_lines *in;      /* borrowed */
    const char *name;           /* of the input, borrowed */
    int columns;
    char **column;              /* [columns] names, each once */
    struct csv_record record;   /* the last row */
    int64_t line;               /* where it begins */
};

/* 1 a header, 0 the input has no line, -1. */
int routed_sheet_header(struct routed_sheet *s, struct err *err);
/* 1 a row, 0 the end, -1. */
int routed_sheet_next(struct routed_sheet *s, struct err *err);
/* A cell of the last row, until the next one; without NULs. */
static inline const char *routed_sheet_cell(const struct routed_sheet *s, int column) {
    return csv_cell(&s->record, (size_t)column);
}
int routed_sheet_column(const struct routed_sheet *s, const char *name);        /* -1: none */
/* "a, b, c" of all columns, for messages; the caller frees. */
char *routed_sheet_names(const struct routed_sheet *s);
/* err: the cell is not what is expected of its column. Returns -1. */
int routed_sheet_error(const struct routed_sheet *s, int column, const char *expected,
                       struct err *err);
void routed_sheet_free(struct routed_sheet *s);

#endif
