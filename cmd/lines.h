/* lines.h - the lines of a file or pipe, read ahead by a thread
 *
 *     struct lines *l = lines_open("-", &err);
 *     while (lines_next(l, wait, &line, &err) == 1) { ...; free(line.text); }
 *
 * A program that has other work may ask without waiting (wait 0). For a regular file the answer
 * is then still exact, so that what is done with it does not depend on timing; for a pipe or a
 * terminal it may be "not yet".
 */
#ifndef LINES_H
#define LINES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct lines;

struct line {
    char *text;                 /* NUL-terminated, without the newline; the caller frees it */
    size_t len;
    int64_t number;             /* 1 for the first */
};

enum { LINES_END = 0, LINES_LINE = 1, LINES_NOT_YET = 2, LINES_ERROR = -1 };

struct lines *lines_open(const char *path, struct err *err);    /* "-" is stdin; zstd or plain */
int lines_next(struct lines *l, int wait, struct line *out, struct err *err);
/* Frees l; not to be called before the end or an error was seen. */
void lines_close(struct lines *l);

#endif
