/* routed_labels.c - what requests are, see routed_labels.h
 *
 * Labels are few and short: every value is a text of its own.
 */
#include "lib/trace/routed_labels.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/trace/reqs_json.h"
#include "lib/trace/routed_impl.h"
#include "lib/trace/routed_sheet.h"

struct row {
    uint32_t request;
    int64_t line;               /* where it was said */
    char **value;               /* [columns so far], NULL: not said */
    int columns;
};

struct routed_labels {
    char **column;
    int columns;
    struct row *row;            /* by request once all are read */
    size_t rows, cap;
    uint32_t *request;          /* [rows] */
};

static struct row *add_row(struct routed_labels *l, uint32_t request, int64_t line) {
    if (l->rows == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->row = mem_grow(l->row, l->cap, sizeof *l->row);
    }
    struct row *row = &l->row[l->rows++];
    *row = (struct row){.request = request, .line = line};
    return row;
}

static int add_column(struct routed_labels *l, const char *name, size_t len) {
    l->column = mem_grow(l->column, (size_t)l->columns + 1, sizeof *l->column);
    l->column[l->columns] = mem_strndup(name, len);
    return l->columns++;
}

/* ---- tables ----------------------------------------------------------------------------- */

static int take_table_row(struct routed_labels *l, const struct routed_sheet *s, int key,
                          struct err *err) {
    int64_t request;
    if (num_int(routed_sheet_cell(s, key), 0, UINT32_MAX, &request))
        return routed_sheet_error(s, key, "the whole number of a request", err);
    struct row *row = add_row(l, (uint32_t)request, s->line);
    row->value = mem_array((size_t)s->columns, sizeof *row->value);
    for (int i = 0; i < s->columns; i++)
        if (i != key)
            row->value[row->columns++] = mem_strdup(routed_sheet_cell(s, i));
    return 0;
}

static int read_table(struct routed_labels *l, struct reqs_lines *in, const char *name,
                      struct err *err) {
    struct routed_sheet s = {.in = in, .name = name};
    int rc = routed_sheet_header(&s, err);
    int key = rc == 1 ? routed_sheet_column(&s, "request") : 0;
    if (rc == 0)
        rc = err_set(err, "%s: expected labels: a table with a column request, found no header",
                     name);
    if (key < 0) {
        char *names = routed_sheet_names(&s);
        rc = err_set(err, "%s: line %" PRId64 ": expected labels: a table with a column request, "
                     "found columns %.300s", name, in->number, names);
        free(names);
    }
    for (int i = 0; rc == 1 && i < s.columns; i++)
        if (i != key)
            add_column(l, s.column[i], strlen(s.column[i]));
    while (rc == 1 && (rc = routed_sheet_next(&s, err)) == 1)
        if (take_table_row(l, &s, key, err))
            rc = -1;
    routed_sheet_free(&s);
    return rc;
}

/* ---- JSON Lines ------------------------------------------------------------------------- */

static int same_text(const struct reqs_text *text, const char *s) {
    return strlen(s) == text->len && !memcmp(text->data, s, text->len);
}

static int find_or_add_column(struct routed_labels *l, const struct reqs_text *name) {
    for (int i = 0; i < l->columns; i++)
        if (same_text(name, l->column[i]))
            return i;
    return l->columns < ROUTED_SHEET_COLUMNS ? add_column(l, name->data, name->len) : -1;
}

/* A string, number, true or false as its text; *none: null. Lists and objects are no labels. */
static int take_value(struct json *j, struct reqs_text *out, int *none) {
    char c = json_peek(j);
    *none = 0;
    if (c == 't' || c == 'f') {
        out->data = j->at;
        if (json_skip(j))
            return -1;
        out->len = (size_t)(j->at - out->data);
        return 0;
    }
    if (json_null(j))
        return *none = 1, 0;
    return json_text(j, out);
}

static void set_value(struct row *row, int column, const struct reqs_text *text) {
    if (column >= row->columns) {
        row->value = mem_grow(row->value, (size_t)column + 1, sizeof *row->value);
        while (row->columns <= column)
            row->value[row->columns++] = NULL;
    }
    free(row->value[column]);
    row->value[column] = mem_strndup(text->data, text->len);
}

static int take_request(const struct reqs_text *text, struct row *row) {
    uint64_t v;
    if (json_id_of_number(text->data, text->len, &v) || *text->data == '-' || v > UINT32_MAX)
        return -1;
    row->request = (uint32_t)v;
    return 0;
}

static int take_object(struct routed_labels *l, struct json *j, struct row *row) {
    int first = 1;
    int seen = 0;
    int none;
    int rc;
    struct reqs_text key;
    struct reqs_text value;
    while ((rc = json_member(j, &first, &key)) == 1) {
        if (take_value(j, &value, &none))
            return -1;
        if (same_text(&key, "request")) {
            if (none || take_request(&value, row))
                return json_fail(j, "the whole number of a request");
            seen = 1;
        } else if (!none) {
            int column = find_or_add_column(l, &key);
            if (column < 0)
                return json_fail(j, "at most 256 labels");
            set_value(row, column, &value);
        }
    }
    return rc == 0 && !seen ? json_fail(j, "a member request") : rc;
}

static int take_json_line(struct routed_labels *l, struct reqs_lines *in, char *line,
                          const char *name, struct err *err) {
    struct json j = {line, NULL};
    if (json_peek(&j) == '\n')
        return 0;
    struct row *row = add_row(l, 0, in->number);
    if (json_take(&j, '{') && take_object(l, &j, row) == 0 && json_end(&j) == 0)
        return 0;
    return err_set(err, "%s: line %" PRId64 ", column %td: expected %s", name, in->number,
                   j.at - line + 1, j.want ? j.want : "one object");
}

static int read_json(struct routed_labels *l, struct reqs_lines *in, const char *name,
                     struct err *err) {
    char *line;
    int rc;
    while ((rc = reqs_lines_next(in, &line, err)) == 1)
        if (take_json_line(l, in, line, name, err))
            return -1;
    return rc;
}

/* ---- all of it -------------------------------------------------------------------------- */

static int by_request(const void *a, const void *b) {
    const struct row *x = a;
    const struct row *y = b;
    if (x->request != y->request)
        return x->request < y->request ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static int sort_rows(struct routed_labels *l, const char *name, struct err *err) {
    if (l->rows)
        qsort(l->row, l->rows, sizeof *l->row, by_request);
    l->request = mem_array(l->rows, sizeof *l->request);
    for (size_t i = 0; i < l->rows; i++) {
        l->request[i] = l->row[i].request;
        if (i && l->request[i] == l->request[i - 1])
            return err_set(err, "%s: line %" PRId64 ": expected every request once, found %" PRIu32
                           " again (line %" PRId64 ")", name, l->row[i].line, l->request[i],
                           l->row[i - 1].line);
    }
    return 0;
}

static int read_labels(struct routed_labels *l, struct zio *z, const char *name,
                       struct err *err) {
    struct reqs_lines in;
    const char *start;
    ssize_t n = zio_peek(z, 64, &start, err);
    ssize_t at = 0;
    while (at < n && isspace((unsigned char)start[at]))
        at++;
    int is_json = at < n && start[at] == '{';
    reqs_lines_init(&in, z);
    int rc = n < 0 ? -1 : is_json ? read_json(l, &in, name, err) : read_table(l, &in, name, err);
    reqs_lines_free(&in);
    return rc || sort_rows(l, name, err) ? -1 : 0;
}

struct routed_labels *routed_labels_read(const char *path, struct err *err) {
    struct zio *z = zio_open_read(path, err);
    if (!z)
        return NULL;
    struct routed_labels *l = mem_alloc(sizeof *l);
    char *name = mem_strdup(zio_name(z));
    int rc = read_labels(l, z, name, err);
    free(name);
    if (rc == 0)
        return l;
    routed_labels_free(l);
    return NULL;
}

void routed_labels_free(struct routed_labels *l) {
    if (!l)
        return;
    for (size_t i = 0; i < l->rows; i++) {
        for (int k = 0; k < l->row[i].columns; k++)
            free(l->row[i].value[k]);
        free(l->row[i].value);
    }
    for (int i = 0; i < l->columns; i++)
        free(l->column[i]);
    free(l->column);
    free(l->row);
    free(l->request);
    free(l);
}

int routed_labels_columns(const struct routed_labels *l) {
    return l->columns;
}

const char *routed_labels_name(const struct routed_labels *l, int column) {
    return l->column[column];
}

int routed_labels_column(const struct routed_labels *l, const char *name) {
    for (int i = 0; i < l->columns; i++)
        if (!strcmp(l->column[i], name))
            return i;
    return -1;
}

int64_t routed_labels_requests(const struct routed_labels *l) {
    return (int64_t)l->rows;
}

const uint32_t *routed_labels_ids(const struct routed_labels *l) {
    return l->request;
}

const char *routed_labels_value(const struct routed_labels *l, uint32_t request, int column) {
    size_t at = routed_bisect(l->request, l->rows, request);
    if (at == l->rows || l->request[at] != request || column >= l->row[at].columns)
        return NULL;
    return l->row[at].value[column];
}
