/* table.c - reports in several formats, see table.h */
#include "cmd/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/format/jsonw.h"

enum kind { KIND_INT, KIND_FLOAT, KIND_TEXT };

struct cell {
    char *text;
    int left;                   /* words are set to the left, numbers to the right */
};

struct table {
    FILE *out;
    const struct column *columns;
    int n;
    enum table_format format;
    char *name;                 /* SQL */
    int at;                     /* column of the next cell */
    enum kind *kind;            /* [n] of the first row's cells: Markdown, SQL */
    int rows;                   /* 1: there was one */
    int hold;                   /* 1: rows are not flushed */
    struct cell *cells;         /* aligned: all rows; else unused */
    size_t n_cells, cap;
    struct buf line;            /* others: the row being made */
};

enum table_format table_format(FILE *out, int json) {
    if (json)
        return TABLE_JSON;
    return isatty(fileno(out)) ? TABLE_ALIGNED : TABLE_TABS;
}

int table_for_people(enum table_format format) {
    return format == TABLE_ALIGNED || format == TABLE_MD;
}

static void put_header(struct table *t);

struct table *table_new(FILE *out, const struct column *columns, int n,
                        enum table_format format) {
    struct table *t = mem_alloc(sizeof(*t));
    t->out = out;
    t->columns = columns;
    t->n = n;
    t->format = format;
    t->name = mem_strdup("report");
    t->kind = mem_array((size_t)n, sizeof(*t->kind));
    if (format == TABLE_TABS || format == TABLE_CSV)
        put_header(t);
    return t;
}

void table_set_name(struct table *t, const char *name) {
    free(t->name);
    t->name = mem_strdup(name);
    for (char *c = t->name; *c; c++)
        if (!(*c >= '0' && *c <= '9') && !((*c | 32) >= 'a' && (*c | 32) <= 'z'))
            *c = '_';
}

void table_hold(struct table *t, int hold) {
    t->hold = hold;
}

/* ---- words in each format ------------------------------------------------------------------ */

/* RFC 4180: in quotes where it holds a separator, its own quotes doubled. */
static void add_csv(struct buf *b, const char *s) {
    if (!s[strcspn(s, ",\"\r\n")]) {
        buf_adds(b, s);
        return;
    }
    buf_addc(b, '"');
    for (; *s; s++) {
        if (*s == '"')
            buf_addc(b, '"');
        buf_addc(b, *s);
    }
    buf_addc(b, '"');
}

/* What would end the cell, or be read as emphasis, code, a link or a tag. */
static void add_markdown(struct buf *b, const char *s) {
    for (; *s; s++) {
        if (strchr("|\\`*<[", *s))
            buf_addc(b, '\\');
        buf_addc(b, *s);
    }
}

static void add_sql(struct buf *b, const char *s, char quote) {
    buf_addc(b, quote);
    for (; *s; s++) {
        if (*s == quote)
            buf_addc(b, quote);
        buf_addc(b, *s);
    }
    buf_addc(b, quote);
}

/* ---- headers ------------------------------------------------------------------------------- */

static void put_markdown_header(struct table *t) {
    for (int i = 0; i < t->n; i++) {
        buf_adds(&t->line, "| ");
        add_markdown(&t->line, t->columns[i].name);
        buf_addc(&t->line, ' ');
    }
    buf_adds(&t->line, "|\n");
    for (int i = 0; i < t->n; i++)
        buf_adds(&t->line, t->kind[i] == KIND_TEXT ? "|---" : "|---:");
    buf_adds(&t->line, "|\n");
}

static void put_sql_header(struct table *t) {
    static const char *const types[] = {"INTEGER", "REAL", "TEXT"};
    buf_printf(&t->line, "CREATE TABLE IF NOT EXISTS %s (\n", t->name);
    for (int i = 0; i < t->n; i++) {
        buf_adds(&t->line, "  ");
        add_sql(&t->line, t->columns[i].name, '"');
        buf_printf(&t->line, " %s%s\n", types[t->kind[i]], i + 1 < t->n ? "," : "");
    }
    buf_adds(&t->line, ");\n");
}

static void put_names(struct table *t, const char *between, const char *end) {
    for (int i = 0; i < t->n; i++) {
        buf_adds(&t->line, i ? between : "");
        t->format == TABLE_CSV ? add_csv(&t->line, t->columns[i].name)
                               : buf_adds(&t->line, t->columns[i].name);
    }
    buf_adds(&t->line, end);
}

/* Markdown's and SQL's tell what the columns hold, and are due when the first row is full. */
static void put_header(struct table *t) {
    struct buf row = t->line;
    t->line = (struct buf){0};
    switch (t->format) {
    case TABLE_TABS: put_names(t, "\t", "\n"); break;
    case TABLE_CSV: put_names(t, ",", "\r\n"); break;
    case TABLE_MD: put_markdown_header(t); break;
    case TABLE_SQL: put_sql_header(t); break;
    case TABLE_ALIGNED: case TABLE_JSON: break;
    }
    if (t->line.len)
        fwrite(t->line.data, 1, t->line.len, t->out);
    buf_free(&t->line);
    t->line = row;
}

/* ---- cells and rows ------------------------------------------------------------------------ */

/* What stands before a cell. */
static void begin_cell(struct table *t) {
    int first = t->at == 0;
    if (t->format == TABLE_TABS && !first)
        buf_addc(&t->line, '\t');
    else if (t->format == TABLE_CSV && !first)
        buf_addc(&t->line, ',');
    else if (t->format == TABLE_MD)
        buf_adds(&t->line, first ? "| " : " | ");
    else if (t->format == TABLE_SQL && first)
        buf_printf(&t->line, "INSERT INTO %s VALUES (", t->name);
    else if (t->format == TABLE_SQL)
        buf_adds(&t->line, ", ");
}

static void end_row(struct table *t) {
    static const char *const ends[] = {"", "\n", "}\n", "\r\n", " |\n", ");\n"};
    int late = t->format == TABLE_MD || t->format == TABLE_SQL;
    t->at = 0;
    if (t->format == TABLE_ALIGNED)
        return;
    buf_adds(&t->line, ends[t->format]);
    if (late && !t->rows)
        put_header(t);
    t->rows = 1;
    fwrite(t->line.data, 1, t->line.len, t->out);
    if (!t->hold)
        fflush(t->out);
    t->line.len = 0;
}

static void end_cell(struct table *t) {
    if (++t->at == t->n)
        end_row(t);
}

static void add_aligned(struct table *t, const char *text, int left) {
    if (t->n_cells == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cells = mem_grow(t->cells, t->cap, sizeof(*t->cells));
    }
    t->cells[t->n_cells++] = (struct cell){mem_strdup(text), left};
}

/* A cell of any format but JSON. text NULL: no value. */
static void add_cell(struct table *t, const char *text, enum kind kind) {
    const char *shown = text && *text ? text : "-";
    begin_cell(t);
    if (!t->rows)
        t->kind[t->at] = kind;
    switch (t->format) {
    case TABLE_ALIGNED: add_aligned(t, shown, kind == KIND_TEXT); break;
    case TABLE_TABS: buf_adds(&t->line, shown); break;
    case TABLE_CSV: add_csv(&t->line, text ? text : ""); break;
    case TABLE_MD: add_markdown(&t->line, shown); break;
    case TABLE_SQL:
        if (text && kind == KIND_TEXT)
            add_sql(&t->line, text, '\'');
        else
            buf_adds(&t->line, text ? text : "NULL");
        break;
    case TABLE_JSON: break;
    }
    end_cell(t);
}

static const char *json_key(struct table *t) {
    if (t->at == 0)
        jsonw_open(&t->line, '{');
    return t->columns[t->at].name;
}

void table_int(struct table *t, int64_t v) {
    if (t->format == TABLE_JSON) {
        jsonw_int(&t->line, json_key(t), v);
        end_cell(t);
        return;
    }
    if (t->format == TABLE_TABS) {          /* the usual one in pipes, of very many rows perhaps */
        begin_cell(t);
        buf_int(&t->line, v);
        end_cell(t);
        return;
    }
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)v);
    add_cell(t, text, KIND_INT);
}

static void format_float(const struct table *t, double v, char *text, size_t size) {
    int decimals = t->columns[t->at].decimals;
    if (!table_for_people(t->format))
        snprintf(text, size, "%.10g", v);
    else if (decimals > 0 && v != 0 && fabs(v) < pow(10, 1 - decimals))
        snprintf(text, size, "%.2g", v);        /* decimals would leave next to nothing of it */
    else
        snprintf(text, size, "%.*f", decimals, v);
}

void table_float(struct table *t, double v) {
    char text[400];
    if (t->format == TABLE_JSON) {
        jsonw_float(&t->line, json_key(t), v);
        end_cell(t);
        return;
    }
    format_float(t, v, text, sizeof(text));
    int none = isnan(v) || (isinf(v) && t->format == TABLE_SQL);
    add_cell(t, none ? NULL : text, KIND_FLOAT);
}

static int is_control(char c) {
    return (unsigned char)c < ' ' || c == 127;
}

static int has_control(const char *s) {
    while (*s && !is_control(*s))
        s++;
    return *s != '\0';
}

/* Words in a table must not hold the table's own separators. */
void table_str(struct table *t, const char *s) {
    if (t->format == TABLE_JSON) {
        jsonw_str(&t->line, json_key(t), s);
        end_cell(t);
        return;
    }
    char *clean = s && has_control(s) ? mem_strdup(s) : NULL;
    for (char *c = clean; c && *c; c++) {
        if (is_control(*c))
            *c = ' ';
    }
    add_cell(t, clean ? clean : s, KIND_TEXT);
    free(clean);
}

void table_list(struct table *t, const double *x, int64_t n) {
    struct buf text = {0};
    if (t->format == TABLE_JSON && x) {
        jsonw_open_key(&t->line, json_key(t), '[');
        for (int64_t i = 0; i < n; i++)
            jsonw_float(&t->line, NULL, x[i]);
        jsonw_close(&t->line, ']');
        end_cell(t);
        return;
    }
    for (int64_t i = 0; x && i < n; i++)
        buf_printf(&text, "%s%.10g", i ? "," : "", x[i]);
    table_str(t, text.data);
    buf_free(&text);
}

/* ---- the aligned table --------------------------------------------------------------------- */

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

/* Words in the last column are not filled up with blanks, which would wrap around. */
static void print_cell(const struct table *t, int column, int width, const char *text, int left) {
    int last = column + 1 == t->n;
    fprintf(t->out, "%s%*s%s", column ? "  " : "", !left ? width : last ? 0 : -width, text,
            last ? "\n" : "");
}

static void print_aligned(const struct table *t) {
    int *width = mem_array((size_t)t->n, sizeof(*width));
    for (int i = 0; i < t->n; i++)
        width[i] = column_width(t, i);
    for (int i = 0; i < t->n; i++)
        print_cell(t, i, width[i], t->columns[i].name,
                   t->n_cells > (size_t)i && t->cells[i].left);
    for (size_t i = 0; i < t->n_cells; i++) {
        int column = (int)(i % (size_t)t->n);
        print_cell(t, column, width[column], t->cells[i].text, t->cells[i].left);
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
    else if (t->format == TABLE_MD && !t->rows)
        put_header(t);
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i].text);
    free(t->cells);
    free(t->kind);
    free(t->name);
    buf_free(&t->line);
    free(t);
}
