/* usage_document.c - JSON documents that span lines, and where in them a fault is
 *
 * A document is joined to one line, as a JSON reader wants it, and its newlines are remembered: for
 * errors, and to take the lines apart again when there is no document in them.
 */
#include <stdio.h>
#include <string.h>

#include "lib/cost/usage_impl.h"

#define EXCERPT 40                      /* bytes of a line that an error shows */

char usage_first_char(const char *line) {
    while (*line == ' ' || *line == '\t')
        line++;
    return *line;
}

/* ---- errors -------------------------------------------------------------------------- */

void usage_locate(const struct usages *u, const char *at, long long *line, long long *column) {
    size_t offset = (size_t)(at - u->line);
    size_t begin = 0;
    size_t i = 0;
    for (; i < u->joint.n && u->joint.v[i] < offset; i++)
        begin = u->joint.v[i] + 1;
    *line = u->number + (long long)i;
    *column = (long long)(offset - begin) + 1;
}

int usage_json_error(const struct usages *u, const struct json *j, struct err *err) {
    long long line;
    long long column;
    size_t len = strcspn(j->at, "\n");
    usage_locate(u, j->at, &line, &column);
    if (len && j->at[len - 1] == '\r')
        len--;
    if (!len)
        return err_set(err, "%s:%lld:%lld: expected %s, found %s", zio_name(u->in.z), line, column,
                       j->want, *j->at ? "the end of the line" : "a NUL byte");
    return err_set(err, "%s:%lld:%lld: expected %s, found '%.*s%s'", zio_name(u->in.z), line,
                   column, j->want, (int)(len < EXCERPT ? len : EXCERPT), j->at,
                   len > EXCERPT ? "..." : "");
}

/* ---- documents of several lines ------------------------------------------------------ */

static int is_gap(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Lines that were joined behind the place come again. */
static void split_behind(struct usages *u, const char *at) {
    size_t kept = 0;
    while (kept < u->joint.n && u->line + u->joint.v[kept] < at)
        kept++;
    if (kept == u->joint.n)
        return;
    for (size_t i = kept; i < u->joint.n; i++)
        u->line[u->joint.v[i]] = '\n';
    u->in.at = (size_t)(u->line + u->joint.v[kept] + 1 - u->in.data);
    u->in.number = u->number + (int64_t)kept;
    u->joint.n = kept;
}

/* Joins lines until the value that begins in the first one ends: 0 with j behind it; 1 it is
 * broken, j says where; -1 the input is. Whether it ended is looked at with 1, 2, 4, ... lines. */
static int join(struct usages *u, struct json *j, struct err *err) {
    int rc = 1;
    for (size_t look = 1;; look *= 2) {
        *j = (struct json){u->line, NULL};
        if (json_skip(j) == 0)
            return 0;
        if (*j->at != '\n' || rc == 0)
            return 1;
        while (rc == 1 && u->joint.n < look) {
            size_t len = u->in.at - (size_t)(u->line - u->in.data);
            rc = reqs_lines_join(&u->in, &u->line, err);
            if (rc == 1)
                json_u64s_add(&u->joint, len - 1);
        }
        if (rc < 0)
            return -1;
    }
}

/* Most lines end with the brace of their object; one that does not may go on in the next. */
static int may_go_on(const struct usages *u) {
    const char *end = u->in.data + u->in.at - 1;
    while (end > u->line && is_gap(end[-1]))
        end--;
    return end == u->line || end[-1] != '}' || usage_first_char(u->line) == '[';
}

int usage_document(struct usages *u, struct json *j, struct err *err) {
    u->joint.n = 0;
    *j = (struct json){u->line, NULL};
    if (!may_go_on(u))
        return 0;
    char c = usage_first_char(u->line);
    int rc = c == '{' || c == '[' ? join(u, j, err) : 0;
    if (rc < 0)
        return -1;
    if (rc == 0) {
        while (j->at > u->line && is_gap(j->at[-1]))    /* json_skip passes them */
            j->at--;
        split_behind(u, j->at);
        rc = json_end(j) ? 1 : 0;
    }
    if (rc == 1) {
        usage_json_error(u, j, err);
        split_behind(u, u->line);
        return 1;
    }
    *j = (struct json){u->line, NULL};
    return 0;
}
