/* series.c - measurements from files, see series.h
 *
 * Text is cut into lines as it comes, so that a file of a million records costs the memory of its
 * numbers. What the first line is decides how all are read; JSON that does not end on the line
 * where it begins is read whole, as one line. series_json.c knows what the JSON says.
 */
#include "lib/bench/series.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bench/series_impl.h"
#include "lib/format/zio.h"

#define FIRST_CAP ((size_t)256 << 10)
#define MAX_BYTES ((size_t)1 << 31)     /* of a line, or of JSON that is not lines */
#define PAD (JSON_PAD + 2)              /* what JSON reads past a newline, and two of these */

/* ---- units -------------------------------------------------------------------------------- */

/* Longer endings first: _gbps before _s. */
static const struct unit {
    const char *tail, *unit;
    int better;
} units[] = {
    {"joules", "J", SERIES_LOWER},       {"gflops", "GFLOP/s", SERIES_HIGHER},
    {"tflops", "TFLOP/s", SERIES_HIGHER}, {"seconds", "s", SERIES_LOWER},
    {"bytes", "B", SERIES_LOWER},        {"watts", "W", SERIES_LOWER},
    {"gbps", "GB/s", SERIES_HIGHER},     {"tps", "tok/s", SERIES_HIGHER},
    {"rps", "req/s", SERIES_HIGHER},     {"usd", "USD", SERIES_LOWER},
    {"mib", "MiB", SERIES_LOWER},        {"gib", "GiB", SERIES_LOWER},
    {"ns", "ns", SERIES_LOWER},          {"us", "us", SERIES_LOWER},
    {"ms", "ms", SERIES_LOWER},          {"s", "s", SERIES_LOWER},
    {"j", "J", SERIES_LOWER},            {"w", "W", SERIES_LOWER}};
#define UNITS (sizeof units / sizeof *units)

size_t series_unit_of(const char *key, size_t len, const char **unit, int *better) {
    for (size_t i = 0; i < UNITS; i++) {
        size_t n = strlen(units[i].tail);
        if (len < n || memcmp(key + len - n, units[i].tail, n))
            continue;
        /* "ns" alone is a time; but one letter alone is anybody's. */
        if (len == n ? n == 1 : key[len - n - 1] != '_')
            continue;
        *unit = units[i].unit;
        *better = units[i].better;
        return len == n ? 0 : len - n - 1;
    }
    return SIZE_MAX;
}

int series_better_of_unit(const char *unit) {
    size_t n = strlen(unit);
    for (size_t i = 0; i < UNITS; i++)
        if (!strcmp(unit, units[i].unit))
            return units[i].better;
    return n > 2 && !strcmp(unit + n - 2, "/s") ? SERIES_HIGHER : SERIES_UNKNOWN;
}

/* ---- building ----------------------------------------------------------------------------- */

void series_add_clean(struct buf *out, const char *text, size_t len) {
    buf_reserve(out, len);
    for (size_t i = 0; i < len; i++)
        out->data[out->len++] = (unsigned char)text[i] < ' ' || text[i] == 127 ? ' ' : text[i];
    out->data[out->len] = '\0';
}

void series_add_origin(struct series_builder *b, const char *key, const char *text, size_t len) {
    if (!len)
        return;
    buf_printf(&b->origin, "%s%s: ", b->origin.len ? "\n" : "", key);
    series_add_clean(&b->origin, text, len);
}

/* FNV-1a, 32 bits, over name and unit. */
static uint32_t hash_name(const char *name, const char *unit) {
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    h *= 16777619u;
    for (; *unit; unit++)
        h = (h ^ (unsigned char)*unit) * 16777619u;
    return h;
}

static void grow_slots(struct series_builder *b) {
    size_t slots = b->slots ? 2 * b->slots : 64;
    free(b->slot);
    b->slot = mem_array(slots, sizeof *b->slot);
    b->slots = slots;
    for (size_t i = 0; i < b->all->n; i++) {
        size_t k = hash_name(b->all->s[i].name, b->all->s[i].unit) & (slots - 1);
        while (b->slot[k])
            k = (k + 1) & (slots - 1);
        b->slot[k] = (uint32_t)i + 1;
    }
}

/* Of two places a series has both: what differs is then seen when it is compared. */
static void join_origin(struct series *s, const char *origin) {
    size_t n = strlen(origin);
    if (!n || strstr(s->origin, origin) || strlen(s->origin) > 16 * n + 65536)
        return;
    char *both = mem_printf("%s%s%s", s->origin, *s->origin ? "\n" : "", origin);
    free(s->origin);
    s->origin = both;
}

/* The room of an array here is the next power of two: only a full one needs more. */
static int is_full(size_t n) {
    return !(n & (n - 1));
}

static size_t add_series(struct serieses *all, const char *name, const char *unit, int better,
                         const char *origin) {
    if (is_full(all->n))
        all->s = mem_grow(all->s, all->n ? 2 * all->n : 1, sizeof *all->s);
    all->s[all->n] = (struct series){.name = mem_strdup(name), .unit = mem_strdup(unit),
                                     .better = better, .origin = mem_strdup(origin)};
    return all->n++;
}

static void put(struct series *s, double x) {
    if (is_full(s->n))
        s->x = mem_grow(s->x, s->n ? 2 * s->n : 1, sizeof *s->x);
    s->x[s->n++] = x;
}

size_t series_place(struct series_builder *b, const char *name, const char *unit, int better) {
    if (2 * (b->all->n + 1) > b->slots)
        grow_slots(b);
    size_t k = hash_name(name, unit) & (b->slots - 1);
    while (b->slot[k]) {
        struct series *s = &b->all->s[b->slot[k] - 1];
        if (!strcmp(s->name, name) && !strcmp(s->unit, unit)) {
            if (s->better == SERIES_UNKNOWN)
                s->better = better;
            if (b->origin.len)
                join_origin(s, b->origin.data);
            return b->slot[k] - 1;
        }
        k = (k + 1) & (b->slots - 1);
    }
    size_t index = add_series(b->all, name, unit, better, b->origin.len ? b->origin.data : "");
    b->slot[k] = (uint32_t)index + 1;
    return index;
}

void series_put(struct series_builder *b, size_t index, double x) {
    put(&b->all->s[index], x);
}

/* ---- settings that tell rows of one name apart --------------------------------------------- */

/* The end of the setting that begins at p. */
static const char *setting_end(const char *p) {
    return p + strcspn(p, (const char[]){SERIES_SETTING, '\0'});
}

/* Setting number i of those that begin at p; "" beyond the last. */
static const char *setting_at(const char *p, int i, size_t *len) {
    for (; i && *p; i--) {
        p = setting_end(p);
        p += *p != '\0';
    }
    *len = (size_t)(setting_end(p) - p);
    return p;
}

/* 1 when some series of the same name, unit and all, has another setting number i. */
static int setting_differs(const struct serieses *all, const struct series *s, size_t name_len,
                           int i) {
    size_t len;
    const char *mine = setting_at(s->name + name_len + 1, i, &len);
    for (size_t k = 0; k < all->n; k++) {
        const struct series *o = &all->s[k];
        size_t other_len;
        if (strncmp(o->name, s->name, name_len + 1) || strcmp(o->unit, s->unit))
            continue;
        const char *other = setting_at(o->name + name_len + 1, i, &other_len);
        if (other_len != len || memcmp(mine, other, len))
            return 1;
    }
    return 0;
}

static char *spell_name(const struct serieses *all, const struct series *s, size_t name_len) {
    struct buf name = {0};
    buf_add(&name, s->name, name_len);
    const char *p = s->name + name_len + 1;
    for (int i = 0; *p; i++) {
        const char *end = setting_end(p);
        if (end > p && setting_differs(all, s, name_len, i)) {
            buf_addc(&name, ' ');
            buf_add(&name, p, (size_t)(end - p));
        }
        p = *end ? end + 1 : end;
    }
    return name.data;
}

/* Settings leave the names, but for those that tell two tests of one name apart. */
static void spell_names(struct serieses *all) {
    char **name = mem_array(all->n + 1, sizeof *name);
    for (size_t i = 0; i < all->n; i++) {
        const char *mark = strchr(all->s[i].name, SERIES_SETTINGS);
        if (mark)
            name[i] = spell_name(all, &all->s[i], (size_t)(mark - all->s[i].name));
    }
    for (size_t i = 0; i < all->n; i++) {
        if (!name[i])
            continue;
        free(all->s[i].name);
        all->s[i].name = name[i];
    }
    free(name);
}

/* ---- lines -------------------------------------------------------------------------------- */

struct input {
    struct zio *z;              /* NULL: all is there */
    char *data;
    size_t at, end, cap;        /* PAD bytes more are there behind cap */
    int ended;
};

static int fill(struct input *in, struct series_builder *b, struct err *err) {
    size_t have = in->end - in->at;
    memmove(in->data, in->data + in->at, have);
    in->at = 0;
    in->end = have;
    if (have >= MAX_BYTES)
        return err_set(err, "%s:%lld: more than %zu bytes in a line", b->name,
                       (long long)b->line + 1, MAX_BYTES);
    if (have == in->cap) {
        in->cap *= 2;
        in->data = mem_grow(in->data, in->cap + PAD, 1);
        memset(in->data + have, 0, in->cap + PAD - have);
    }
    ssize_t n = in->z ? zio_read(in->z, in->data + have, in->cap - have, err) : 0;
    if (n < 0)
        return -1;
    in->ended = n == 0;
    in->end += (size_t)n;
    return 0;
}

/* The next line, which ends in a newline, also at the end of the file. 1, 0 at the end, -1. */
static int next_line(struct input *in, struct series_builder *b, char **line, struct err *err) {
    size_t seen = 0;
    for (;;) {
        size_t have = in->end - in->at;
        char *start = in->data + in->at;
        char *newline = have > seen ? memchr(start + seen, '\n', have - seen) : NULL;
        if (!newline && in->ended) {
            if (!have)
                return 0;
            newline = start + have;     /* there is room: PAD */
            *newline = '\n';
            in->end++;
        }
        if (newline) {
            b->line++;
            *line = start;
            in->at += (size_t)(newline - start) + 1;
            return 1;
        }
        seen = have;
        if (fill(in, b, err))
            return -1;
    }
}

/* All that is left as one line: newlines become carriage returns, which are blanks to JSON and
 * count its lines. From `from`, which lies before what is still to be read. */
static int read_rest(struct input *in, struct series_builder *b, char **from, struct err *err) {
    in->at = (size_t)(*from - in->data);
    while (!in->ended)
        if (fill(in, b, err))
            return -1;
    *from = in->data + in->at;
    for (size_t i = in->at; i < in->end; i++) {
        if (in->data[i] == '\r')
            in->data[i] = '\t';
        if (in->data[i] == '\n')
            in->data[i] = '\r';
    }
    in->data[in->end] = '\n';
    in->at = in->end;
    return 0;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static int json_error(const struct series_builder *b, const struct json *j, int64_t line,
                      const char *start, struct err *err) {
    char found[24];
    for (const char *p = start; p < j->at; p++) {
        if (*p == '\r') {
            line++;
            start = p + 1;
        }
    }
    size_t n = strcspn(j->at, "\r\n");
    snprintf(found, sizeof found, "%.*s", n < 20 ? (int)n : 20, j->at);
    return err_set(err, "%s:%lld: byte %td: expected %s, found %s%s%s", b->name, (long long)line,
                   j->at - start + 1, j->want ? j->want : "JSON", n ? "'" : "the end",
                   found, n ? "'" : "");
}

static int is_blank_line(const char *line) {
    return line[strspn(line, " \t\r")] == '\n';
}

static int read_lines_of_json(struct input *in, struct series_builder *b, char *line,
                              struct err *err) {
    int rc = 1;
    for (; rc == 1; rc = next_line(in, b, &line, err)) {
        struct json j = {line, NULL};
        if (!is_blank_line(line) && (series_json(b, &j) || json_end(&j)))
            return json_error(b, &j, b->line, line, err);
    }
    return rc;
}

/* One value or several, over as many lines as they like. */
static int read_document(struct input *in, struct series_builder *b, char *line, struct err *err) {
    int64_t first = b->line;
    if (read_rest(in, b, &line, err))
        return -1;
    struct json j = {line, NULL};
    while (json_peek(&j) != '\n')
        if (series_json(b, &j))
            return json_error(b, &j, first, line, err);
    return 0;
}

static int read_json(struct input *in, struct series_builder *b, char *line, struct err *err) {
    struct json j = {line, NULL};
    int whole = !json_skip(&j) && !json_end(&j);
    return whole ? read_lines_of_json(in, b, line, err) : read_document(in, b, line, err);
}

/* ---- tab-separated ------------------------------------------------------------------------ */

enum { COLUMN_NAME, COLUMN_VALUE, COLUMN_UNIT, COLUMN_BETTER, COLUMN_SAMPLES, COLUMN_HOST,
       COLUMN_CPU, COLUMN_PROGRAM, COLUMN_ARGS, COLUMN_FILES, COLUMNS };
static const char *const column_names[COLUMNS] = {
    "name", "value", "unit", "better", "samples", "host", "host_cpu", "program", "args", "files"};

#define MOST_CELLS 256

/* Columns of our rows, or, in any other table, those with a unit in their name. */
struct header {
    char *text;
    char *cell[MOST_CELLS];
    int cells;
    int column[COLUMNS];        /* -1: none of this name */
};

/* Cuts a line at its tabs, in place. */
static int cut(char *line, char **cell) {
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *p = line; p && n < MOST_CELLS; n++) {
        cell[n] = p;
        p = strchr(p, '\t');
        if (p)
            *p++ = '\0';
    }
    return n;
}

/* Files joined with cat bring a header of their own. */
static int is_header(const char *line) {
    return !strncmp(line, "name\t", 5) && memmem(line, strcspn(line, "\n"), "\tvalue\t", 7);
}

static void read_header(struct header *h, const char *line) {
    free(h->text);
    h->text = mem_strndup(line, strcspn(line, "\r\n"));
    h->cells = cut(h->text, h->cell);
    for (int c = 0; c < COLUMNS; c++) {
        h->column[c] = -1;
        for (int i = 0; i < h->cells; i++)
            if (!strcmp(h->cell[i], column_names[c]))
                h->column[c] = i;
    }
}

/* "" where there is none: "-" in a table. */
static const char *cell_of(const struct header *h, char **cell, int column) {
    int i = h->column[column];
    return i < 0 || !strcmp(cell[i], "-") ? "" : cell[i];
}

/* Numbers joined by commas. -1: what stands at *bad is none. */
static int put_list(struct series_builder *b, size_t index, const char *text, const char **bad) {
    for (const char *p = text; *p;) {
        char *end;
        double v = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !isfinite(v)) {
            *bad = p;
            return -1;
        }
        series_put(b, index, v);
        p = *end ? end + 1 : end;
    }
    return 0;
}

static void set_text(struct buf *out, const char *text) {
    out->len = 0;
    series_add_clean(out, text, strlen(text));
}

static int read_row(struct series_builder *b, const struct header *h, char **cell,
                    const char **bad) {
    static const char *const origin[] = {"host", "cpu", "program", "command", "files"};
    const char *better = cell_of(h, cell, COLUMN_BETTER);
    const char *samples = cell_of(h, cell, COLUMN_SAMPLES);
    b->origin.len = 0;
    for (int i = 0; i < 5; i++) {
        const char *text = cell_of(h, cell, COLUMN_HOST + i);
        series_add_origin(b, origin[i], text, strlen(text));
    }
    set_text(&b->text, cell_of(h, cell, COLUMN_NAME));
    set_text(&b->unit, cell_of(h, cell, COLUMN_UNIT));
    size_t index = series_place(b, b->text.data, b->unit.data,
                                !strcmp(better, "higher")  ? SERIES_HIGHER
                                : !strcmp(better, "lower") ? SERIES_LOWER
                                                           : series_better_of_unit(b->unit.data));
    return put_list(b, index, *samples ? samples : cell_of(h, cell, COLUMN_VALUE), bad);
}

static int read_columns(struct series_builder *b, const struct header *h, char **cell,
                        const char **bad) {
    for (int i = 0; i < h->cells; i++) {
        const char *unit;
        int better;
        size_t n = series_unit_of(h->cell[i], strlen(h->cell[i]), &unit, &better);
        if (n == SIZE_MAX || !strcmp(cell[i], "-") || !*cell[i])
            continue;
        b->text.len = 0;
        series_add_clean(&b->text, n ? h->cell[i] : "step", n ? n : 4);
        if (put_list(b, series_place(b, b->text.data, unit, better), cell[i], bad))
            return -1;
    }
    return 0;
}

static int read_table(struct input *in, struct series_builder *b, char *line, struct err *err) {
    struct header h = {.text = NULL};
    int rc;
    read_header(&h, line);
    while ((rc = next_line(in, b, &line, err)) == 1) {
        char *cell[MOST_CELLS];
        const char *bad;
        if (is_blank_line(line))
            continue;
        if (is_header(line)) {
            read_header(&h, line);
            continue;
        }
        int n = cut(line, cell);
        int own = h.column[COLUMN_NAME] >= 0 && h.column[COLUMN_VALUE] >= 0;
        if (n != h.cells)
            rc = err_set(err, "%s:%lld: expected %d cells as in the header, found %d", b->name,
                         (long long)b->line, h.cells, n);
        else if (own ? read_row(b, &h, cell, &bad) : read_columns(b, &h, cell, &bad))
            rc = err_set(err, "%s:%lld: expected a number, found '%.40s'", b->name,
                         (long long)b->line, bad);
        if (rc < 0)
            break;
    }
    free(h.text);
    return rc;
}

/* ---- plain numbers ------------------------------------------------------------------------ */

/* Ends the line at p, for a message. */
static const char *first_words(char *p) {
    p[strcspn(p, "\r\n")] = '\0';
    return p;
}

static int read_numbers(struct input *in, struct series_builder *b, char *line, struct err *err) {
    int rc = 1;
    for (; rc == 1; rc = next_line(in, b, &line, err)) {
        char *p = line + strspn(line, " \t");
        char *end;
        if (*p == '#' || is_blank_line(p))
            continue;
        double v = strtod(p, &end);
        /* strtod would pass any blanks, newlines too. */
        if (strchr("\r\v\f", *p) || end == p || !is_blank_line(end) || !isfinite(v))
            return err_set(err, "%s:%lld: expected a number, found '%.40s'", b->name,
                           (long long)b->line, first_words(p));
        series_put(b, series_place(b, "value", "", SERIES_UNKNOWN), v);
    }
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* The first line that says something, behind a byte order mark. 1, 0 for none, -1. */
static int first_line(struct input *in, struct series_builder *b, char **line, struct err *err) {
    int rc;
    do {
        rc = next_line(in, b, line, err);
        if (rc == 1 && b->line == 1 && !strncmp(*line, "\xEF\xBB\xBF", 3))
            *line += 3;
    } while (rc == 1 && is_blank_line(*line));
    return rc;
}

static int read_all(struct input *in, struct series_builder *b, struct err *err) {
    char *line;
    int rc = first_line(in, b, &line, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(err, "%s: expected measurements, found nothing", b->name);
    char c = line[strspn(line, " \t\r")];
    if (c == '{' || c == '[')
        return read_json(in, b, line, err);
    char *tab = memchr(line, '\t', strcspn(line, "\n"));
    /* A header's first cell is a word. */
    return tab && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", c)
        ? read_table(in, b, line, err) : read_numbers(in, b, line, err);
}

static int count_samples(const struct serieses *all) {
    for (size_t i = 0; i < all->n; i++)
        if (all->s[i].n)
            return 1;
    return 0;
}

static struct serieses *read_input(struct input *in, const char *name, struct err *err) {
    struct series_builder b = {.name = name, .all = mem_alloc(sizeof *b.all)};
    int rc = read_all(in, &b, err);
    if (!rc && !count_samples(b.all))
        rc = err_set(err, "%s: expected measurements, found %lld lines without any", name,
                     (long long)b.line);
    if (!rc)
        spell_names(b.all);
    free(b.slot);
    free(b.member);
    buf_free(&b.origin);
    buf_free(&b.run_origin);
    buf_free(&b.text);
    buf_free(&b.unit);
    if (!rc)
        return b.all;
    series_free(b.all);
    return NULL;
}

struct serieses *series_read(const char *path, struct err *err) {
    struct input in = {.z = zio_open_read(path, err), .cap = FIRST_CAP};
    if (!in.z)
        return NULL;
    in.data = mem_alloc(in.cap + PAD);
    struct serieses *all = read_input(&in, zio_name(in.z), err);
    zio_abort(in.z);
    free(in.data);
    return all;
}

struct serieses *series_parse(const char *name, const char *text, size_t len, struct err *err) {
    struct input in = {.ended = 1, .end = len, .cap = len};
    in.data = mem_alloc(len + PAD);
    if (len)
        memcpy(in.data, text, len);
    struct serieses *all = read_input(&in, name, err);
    free(in.data);
    return all;
}

static size_t index_of(const struct serieses *all, const char *name, const char *unit) {
    size_t i = 0;
    while (i < all->n && (strcmp(all->s[i].name, name) || strcmp(all->s[i].unit, unit)))
        i++;
    return i;
}

const struct series *series_find(const struct serieses *all, const char *name, const char *unit) {
    size_t i = index_of(all, name, unit);
    return i < all->n ? &all->s[i] : NULL;
}

struct series *series_append(struct serieses *all, const char *name, const char *unit, int better,
                             const double *x, size_t n) {
    size_t i = index_of(all, name, unit);
    if (i == all->n)
        add_series(all, name, unit, better, "");
    for (size_t k = 0; k < n; k++)
        put(&all->s[i], x[k]);
    return &all->s[i];
}

void series_free(struct serieses *all) {
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++) {
        free(all->s[i].name);
        free(all->s[i].unit);
        free(all->s[i].origin);
        free(all->s[i].x);
    }
    free(all->s);
    free(all);
}
