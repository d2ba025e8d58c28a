/* csv.h - records of delimited text (RFC 4180): quoted cells may hold separators and lines
 *
 *     struct csv_record r = {.separator = ','};
 *     while (the next line of the input, without its newline)
 *         if ((rc = csv_add(&r, line, len)) == 1)
 *             use(csv_cell(&r, 0), r.cell[0].len);
 *     if (csv_open(&r)) ...                            // the input ended inside a quoted cell
 *     csv_free(&r);
 *
 * Lines come from whoever reads them, so that the caller knows their numbers and may have looked at
 * the first ones before. A quote that is not a cell's first character stands for itself. Memory
 * grows with the longest record.
 */
#ifndef CSV_H
#define CSV_H

#include <stddef.h>

#include "lib/base/mem.h"

struct csv_cell {
    size_t at, len;             /* in text; another byte, NUL, follows */
};

#define CSV_RECORD_MOST ((size_t)1 << 30)       /* a longer one is a quote that never closes */

struct csv_record {             /* {.separator = c}: empty */
    char separator;
    int bare;                   /* 1: quotes stand for themselves, as in tables by tabs */
    int trim;                   /* 1: blanks around cells, and around their quotes, do not count */
    struct buf text;
    struct csv_cell *cell;      /* [cells] */
    size_t cells, cap;
    int state;                  /* enum of csv.c */
};

/* Takes in a line (a CR at its end is the line's end too). 1: the record is whole, until the next
 * call, which begins another; 0: a quoted cell is open, the next line goes on with it; -1: what
 * follows a closing quote is no separator. */
int csv_add(struct csv_record *r, const char *line, size_t len);
/* 1: a record has begun and a quoted cell of it is open. */
int csv_open(const struct csv_record *r);
/* NUL-terminated, may hold other NULs; borrowed until the next csv_add. */
static inline char *csv_cell(const struct csv_record *r, size_t i) {
    return r->text.data + r->cell[i].at;
}
void csv_free(struct csv_record *r);

#endif
