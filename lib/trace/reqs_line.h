/* reqs_line.h - lines of an input, cut in place from a large buffer
 *
 *     struct reqs_lines in;
 *     reqs_lines_init(&in, zio);
 *     while ((rc = reqs_lines_next(&in, &line, &err)) == 1)
 *         ...                          // line ends in '\n', JSON_PAD bytes behind it are readable
 *     reqs_lines_free(&in);
 *
 * What reads JSON with reqs_json.h reads its lines here: values are read eight bytes at a time,
 * past the end of a line. Memory grows with the longest line, up to 1 GiB; a longer one is an
 * error.
 */
#ifndef REQS_LINE_H
#define REQS_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/format/csv.h"
#include "lib/format/zio.h"

struct reqs_lines {
    struct zio *z;
    char *data;                 /* cap bytes, and JSON_PAD more */
    size_t cap, at, end;        /* [at, end) is read and not taken */
    int ended;                  /* the input has no more */
    int64_t number;             /* of the line taken last */
    int64_t bytes;              /* read so far, decompressed */
};

void reqs_lines_init(struct reqs_lines *in, struct zio *z);     /* z becomes in's */
void reqs_lines_free(struct reqs_lines *in);
/* The next line, which ends in '\n' whether the input's does or not, in the reader's buffer until
 * the next call. 1, 0 at the end, -1. */
int reqs_lines_next(struct reqs_lines *in, char **line, struct err *err);
/* 1: no whole line is read, so that reqs_lines_next may have to wait for one. */
int reqs_lines_wait(const struct reqs_lines *in);
/* Makes the last line come again. */
void reqs_lines_back(struct reqs_lines *in, const char *line);
/* The last line, which is at *line, and the one after it as one line; a blank takes the newline's
 * place. *line is where it is then. 1; 0 when the last line was the input's last; -1. */
int reqs_lines_join(struct reqs_lines *in, char **line, struct err *err);
/* Takes lines until a record of delimited text is whole, the first of them at `line` (NULL: the
 * next one); *begins is its number. 1, 0 at the end, -1 also where a quote does not close. */
int reqs_lines_record(struct reqs_lines *in, char *line, struct csv_record *r, int64_t *begins,
                      struct err *err);

#endif
