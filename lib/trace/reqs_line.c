/* reqs_line.c - lines of a request trace, cut in place from a large buffer
 *
 * zio_line would do, but JSON values are read eight bytes at a time, past the end of a line, and
 * that needs a buffer with readable bytes behind it.
 */
#include "lib/trace/reqs_line.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/trace/reqs_json.h"

#define FIRST_CAP ((size_t)256 << 10)   /* stays in the second-level cache */
#define MAX_LINE ((size_t)1 << 30)      /* longer ones are no records but a mistake */

void reqs_lines_init(struct reqs_lines *in, struct zio *z) {
    *in = (struct reqs_lines){.z = z, .cap = FIRST_CAP};
    in->data = mem_alloc(in->cap + JSON_PAD);
}

void reqs_lines_free(struct reqs_lines *in) {
    zio_abort(in->z);
    free(in->data);
}

/* More bytes behind the ones that are not taken; the buffer grows when they fill it. */
static int fill(struct reqs_lines *in, struct err *err) {
    size_t have = in->end - in->at;
    memmove(in->data, in->data + in->at, have);
    in->at = 0;
    in->end = have;
    if (have >= MAX_LINE)
        return err_set(err, "%s:%lld: a line of more than %zu bytes", zio_name(in->z),
                       (long long)in->number + 1, MAX_LINE);
    if (have == in->cap) {
        in->cap *= 2;
        in->data = mem_grow(in->data, in->cap + JSON_PAD, 1);
        memset(in->data + have, 0, in->cap + JSON_PAD - have);
    }
    ssize_t n = zio_read(in->z, in->data + have, in->cap - have, err);
    if (n < 0)
        return -1;
    in->ended = n == 0;
    in->end += (size_t)n;
    in->bytes += n;
    return 0;
}

/* The line at `at`, whose first `seen` bytes hold no newline. */
static int take_line(struct reqs_lines *in, size_t seen, char **line, struct err *err) {
    for (;;) {
        size_t have = in->end - in->at;
        char *start = in->data + in->at;
        char *newline = memchr(start + seen, '\n', have - seen);
        if (!newline && in->ended) {
            if (!have)
                return 0;
            newline = start + have;     /* there is room: JSON_PAD */
            *newline = '\n';
            in->end++;
        }
        if (newline) {
            in->at = (size_t)(newline + 1 - in->data);
            in->number++;
            *line = start;
            return 1;
        }
        seen = have;
        if (fill(in, err))
            return -1;
    }
}

int reqs_lines_next(struct reqs_lines *in, char **line, struct err *err) {
    return take_line(in, 0, line, err);
}

int reqs_lines_wait(const struct reqs_lines *in) {
    return !memchr(in->data + in->at, '\n', in->end - in->at);
}

void reqs_lines_back(struct reqs_lines *in, const char *line) {
    in->at = (size_t)(line - in->data);
    in->number--;
}

int reqs_lines_join(struct reqs_lines *in, char **line, struct err *err) {
    size_t len = in->at - (size_t)(*line - in->data);
    int rc = 0;
    in->at -= len;
    while (in->end - in->at == len && !in->ended && rc == 0)
        rc = fill(in, err);
    *line = in->data + in->at;
    if (rc < 0 || in->end - in->at == len) {
        in->at += len;
        return rc;
    }
    (*line)[len - 1] = ' ';
    return take_line(in, len, line, err);
}

int reqs_lines_record(struct reqs_lines *in, char *line, struct csv_record *r, int64_t *begins,
                      struct err *err) {
    int rc = line ? 1 : reqs_lines_next(in, &line, err);
    *begins = in->number;
    while (rc == 1) {
        int whole = csv_add(r, line, (size_t)(in->data + in->at - line) - 1);
        if (whole == 1)
            return 1;
        if (whole < 0)
            return err_set(err, "%s:%lld: expected '%c' or the end of the line behind the closing "
                           "quote of cell %zu", zio_name(in->z), (long long)in->number,
                           r->separator, r->cells);
        if (r->text.len > CSV_RECORD_MOST)
            break;
        rc = reqs_lines_next(in, &line, err);
    }
    if (rc < 0 || !csv_open(r))
        return rc;
    return err_set(err, "%s:%lld: expected the closing quote of cell %zu, found %s",
                   zio_name(in->z), (long long)*begins, r->cells,
                   rc ? "1 GiB without" : "the end of the input");
}
