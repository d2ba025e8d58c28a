/* table.c - reports: an aligned table on a terminal, tab-separated in a pipe, or JSON Lines */
#include "cmd/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/format/jsonw.h"

struct cell {
    char *text;
    int left;                   /* words are set to the left, numbers to the right */
};

struct table {
    FILE *out;
    const struct column *columns;
    int n;
    enum table_format format;
    int at;                     /* column of the next cell */
    struct cell *cells;         /* aligned: all rows; else unused */
    size_t n_cells, cap;
    struct buf line;            /* tabs and JSON: the row being made */
};

enum table_format table_format(FILE *out, int json) {
    if (json)
        return TABLE_JSON;
    return isatty(fileno(out)) ? TABLE_ALIGNED : TABLE_TABS;
}

struct table *table_new(FILE *out, const struct column *columns, int n,
                        enum table_format format) {
    struct table *t = mem_alloc(sizeof(*t));
    t->out = out;
    t->columns = columns;
    t->n = n;
    t->format = format;
    if (format == TABLE_TABS) {
        for (int i = 0; i < n; i++)
            fprintf(out, "%s%c", columns[i].name, i + 1 < n ? '\t' : '\n');
    }
    return t;
}

/* Ends a row of tabs or JSON when its last cell is there. */
static void finish_cell(struct table *t) {
    int last = ++t->at == t->n;
    if (t->format == TABLE_TABS)
        buf_addc(&t->line, last ? '\n' : '\t');
    if (!last)
        return;
    t->at = 0;
    if (t->format == TABLE_ALIGNED)
        return;
    if (t->format == TABLE_JSON) {
        jsonw_close(&t->line, '}');
        buf_addc(&t->line, '\n');
    }
    fwrite(t->line.data, 1, t->line.len, t->out);
    fflush(t->out);
    t->line.len = 0;
}

static void add_aligned(struct table *t, const char *text, int left) {
    if (t->n_cells == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cells = mem_grow(t->cells, t->cap, sizeof(*t->cells));
    }
    t->cells[t->n_cells++] = (struct cell){mem_strdup(text), left};
}

/* A cell: its words for people, and for JSON the value that jsonw has written into `json`. */
static void add_cell(struct table *t, const char *text, int left) {
    if (t->format == TABLE_ALIGNED)
        add_aligned(t, text, left);
    else if (t->format == TABLE_TABS)
        buf_adds(&t->line, text);
    finish_cell(t);
}

static const char *json_key(struct table *t) {
    if (t->at == 0)
        jsonw_open(&t->line, '{');
    return t->columns[t->at].name;
}

void table_int(struct table *t, int64_t v) {
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)v);
    if (t->format == TABLE_JSON)
        jsonw_int(&t->line, json_key(t), v);
    add_cell(t, text, 0);
}

void table_float(struct table *t, double v) {
    char text[64];
    if (isnan(v))
        snprintf(text, sizeof(text), "-");
    else if (t->format == TABLE_ALIGNED)
        snprintf(text, sizeof(text), "%.*f", t->columns[t->at].decimals, v);
    else
        snprintf(text, sizeof(text), "%.10g", v);
    if (t->format == TABLE_JSON)
        jsonw_float(&t->line, json_key(t), v);
    add_cell(t, text, 0);
}

/* Words in a table must not hold the table's own separators. */
void table_str(struct table *t, const char *s) {
    if (t->format == TABLE_JSON) {
        jsonw_str(&t->line, json_key(t), s);
        finish_cell(t);
        return;
    }
    char *text = mem_strdup(s && *s ? s : "-");
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    }
    add_cell(t, text, 1);
    free(text);
}

void table_list(struct table *t, const double *x, int64_t n) {
    struct buf text = {0};
    if (t->format == TABLE_JSON && x) {
        jsonw_open_key(&t->line, json_key(t), '[');
        for (int64_t i = 0; i < n; i++)
            jsonw_float(&t->line, NULL, x[i]);
        jsonw_close(&t->line, ']');
        finish_cell(t);
        return;
    }
    for (int64_t i = 0; x && i < n; i++)
        buf_printf(&text, "%s%.10g", i ? "," : "", x[i]);
    table_str(t, text.data);
    buf_free(&text);
}

static void print_vertical(const struct table *t) {
    int width = 0;
    for (int i = 0; i < t->n; i++)
        width = (int)strlen(t->columns[i].name) > width ? (int)strlen(t->columns[i].name) : width;
    for (int i = 0; i < t->n; i++)
        fprintf(t->out, "%-*s  %s\n", width, t->columns[i].name, t->cells[i].text);
}

static int column_width(const struct table *t, int column) {
    size_t width = strlen(t->columns[column].name);
    for (size_t i = (size_t)column; i < t->n_cells; i += (size_t)t->n) {
        size_t len = strlen(t->cells[i].text);
        width = len > width ? len : width;
    }
    return (int)width;
}

static void print_aligned(const struct table *t) {
    int *width = mem_array((size_t)t->n, sizeof(*width));
    for (int i = 0; i < t->n; i++)
        width[i] = column_width(t, i);
    for (int i = 0; i < t->n; i++) {
        int left = t->n_cells > (size_t)i && t->cells[i].left;
        fprintf(t->out, "%s%*s", i ? "  " : "", left ? -width[i] : width[i], t->columns[i].name);
    }
    fputc('\n', t->out);
    for (size_t i = 0; i < t->n_cells; i++) {
        int column = (int)(i % (size_t)t->n);
        const struct cell *c = &t->cells[i];
        fprintf(t->out, "%s%*s%s", column ? "  " : "", c->left ? -width[column] : width[column],
                c->text, column + 1 == t->n ? "\n" : "");
    }
    free(width);
}

void table_free(struct table *t) {
    if (!t)
        return;
    if (t->format == TABLE_ALIGNED && t->n_cells == (size_t)t->n)
        print_vertical(t);
    else if (t->format == TABLE_ALIGNED)
        print_aligned(t);
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i].text);
    free(t->cells);
    buf_free(&t->line);
    free(t);
}
