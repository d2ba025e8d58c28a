/* growth.c - points of cost against length: files in, groups out, see growth.h */
#include "lib/bench/growth.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bench/growth_impl.h"
#include "lib/format/zio.h"

#define GROUPS_WANTED 40        /* of a phase; fewer leave wide intervals */
#define GROUPS_MOST 1000        /* more only take time */
#define COLUMNS_MOST 256        /* of a table */
#define SHOWN 24                /* bytes of a bad line in a message */

const char *growth_phase_name(enum growth_phase phase) {
    static const char *const names[] = {"prefill", "decode", "data"};
    return names[phase];
}

const char *growth_cost_name(enum growth_cost cost) {
    static const char *const names[] = {"ns", "flops", "bytes", "joules", "y"};
    return names[cost];
}

struct growth *growth_new(void) {
    struct growth *g = mem_alloc(sizeof *g);
    for (int p = 0; p < GROWTH_PHASES; p++)
        for (int c = 0; c < GROWTH_COSTS; c++) {
            g->points[p][c].phase = (enum growth_phase)p;
            g->points[p][c].cost = (enum growth_cost)c;
        }
    return g;
}

void growth_free(struct growth *g) {
    if (!g)
        return;
    for (int p = 0; p < GROWTH_PHASES; p++)
        for (int c = 0; c < GROWTH_COSTS; c++) {
            free(g->points[p][c].x);
            free(g->points[p][c].y);
            free(g->points[p][c].group);
        }
    free(g->prompt);
    free(g->slot);
    free(g);
}

void growth_add(struct growth *g, enum growth_phase phase, enum growth_cost cost, double x,
                double y, uint32_t unit) {
    struct growth_points *p = &g->points[phase][cost];
    size_t *room = &g->room[phase][cost];
    if (!(x >= 0 && y > 0 && isfinite(x) && isfinite(y)))
        return;
    if (p->n == *room) {
        *room = *room ? 2 * *room : 256;
        p->x = mem_grow(p->x, *room, sizeof *p->x);
        p->y = mem_grow(p->y, *room, sizeof *p->y);
        p->group = mem_grow(p->group, *room, sizeof *p->group);
    }
    p->x[p->n] = x;
    p->y[p->n] = y;
    p->group[p->n++] = unit;
}

/* ---- reading ------------------------------------------------------------------------------ */

struct input {
    struct zio *z;
    const char *name;
    int64_t number;             /* of the line */
    struct buf line;            /* with its newline, and readable bytes behind it */
};

/* 1 a line that says something, 0 the end, -1 an error. */
static int next_line(struct input *in, struct err *err) {
    static const char pad[JSON_PAD];
    char *line;
    size_t len;
    for (;;) {
        int rc = zio_line(in->z, &line, &len, err);
        if (rc != 1)
            return rc;
        if (!in->number++ && len >= 3 && !memcmp(line, "\xEF\xBB\xBF", 3)) {
            line += 3;          /* a byte order mark */
            len -= 3;
        }
        len -= len && line[len - 1] == '\r';
        size_t blank = strspn(line, " \t");
        if (blank < len && line[blank] != '#')
            break;
    }
    in->line.len = 0;
    buf_add(&in->line, line, len);
    buf_addc(&in->line, '\n');
    buf_add(&in->line, pad, sizeof pad);
    return 1;
}

static int bad_line(const struct input *in, struct err *err, const char *want, const char *at) {
    int len = (int)strcspn(at, "\n");
    return err_set(err, "%s:%lld: expected %s, found '%.*s'", in->name, (long long)in->number,
                   want, len < SHOWN ? len : SHOWN, at);
}

static int read_json(struct growth *g, struct input *in, struct err *err) {
    struct growth_record r = {0};
    int rc = 1;
    for (; rc == 1; rc = next_line(in, err)) {
        struct json j = {in->line.data, NULL};
        if (growth_record_json(&r, &j)) {
            rc = bad_line(in, err, j.want, j.at);
            break;
        }
        growth_take(g, &r);
    }
    growth_record_free(&r);
    return rc;
}

/* Cuts the line at its tabs, in place. [COLUMNS_MOST] */
static int cut(char *line, char **cell) {
    int n = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *end = line; end && n < COLUMNS_MOST; line = end + 1) {
        end = strchr(line, '\t');
        cell[n++] = line;
        if (!end)
            break;
        *end = '\0';
    }
    return n;
}

/* How many columns there are; field[i]: what the name of each stands for. */
static int read_header(char *line, int field[COLUMNS_MOST]) {
    char *cell[COLUMNS_MOST];
    int n = cut(line, cell);
    for (int i = 0; i < n; i++)
        field[i] = growth_record_field(cell[i], strlen(cell[i]));
    return n;
}

static int read_table(struct growth *g, struct input *in, struct err *err) {
    struct growth_record r = {0};
    char *cell[COLUMNS_MOST];
    int field[COLUMNS_MOST];
    int columns = read_header(in->line.data, field);
    int rc;
    while ((rc = next_line(in, err)) == 1) {
        if (!strncmp(in->line.data, "name\t", 5)) {
            columns = read_header(in->line.data, field);    /* of a file that was joined */
            continue;
        }
        int n = cut(in->line.data, cell);
        if (n != columns) {
            rc = err_set(err, "%s:%lld: expected %d columns, as in the header, found %d",
                         in->name, (long long)in->number, columns, n);
            break;
        }
        growth_record_clear(&r);
        for (int i = 0; i < n; i++)
            growth_record_cell(&r, field[i], cell[i]);
        growth_take(g, &r);
    }
    growth_record_free(&r);
    return rc;
}

/* Length and cost; what follows them on the line is not read. */
static int two_numbers(const char *line, double *x, double *y) {
    char *end;
    *x = strtod(line, &end);
    if (end == line)
        return -1;
    end += strspn(end, " \t");
    end += *end == ',';
    line = end;
    *y = strtod(line, &end);
    return end == line || !strchr(" \t\n,", *end) || !(*x >= 0 && *y > 0) || !isfinite(*x) ||
           !isfinite(*y) ? -1 : 0;
}

static int read_columns(struct growth *g, struct input *in, struct err *err) {
    double x;
    double y;
    int rc = 1;
    for (int first = 1; rc == 1; first = 0, rc = next_line(in, err)) {
        const char *start = in->line.data + strspn(in->line.data, " \t");
        if (first && isalpha((unsigned char)*start) && strcspn(start, ", \t") < strlen(start))
            continue;           /* the columns' names */
        if (two_numbers(start, &x, &y))
            return bad_line(in, err, "a length and a cost above 0", start);
        growth_add(g, GROWTH_DATA, GROWTH_Y, x, y, g->units++);
    }
    return rc;
}

int growth_read(struct growth *g, const char *path, struct err *err) {
    struct input in = {.z = zio_open_read(path, err)};
    if (!in.z)
        return -1;
    in.name = zio_name(in.z);
    growth_end_run(g);
    int rc = next_line(&in, err);
    if (rc == 0)
        rc = err_set(err, "%s: expected measurements, found nothing", in.name);
    else if (rc == 1) {
        const char *line = in.line.data;
        if (line[strspn(line, " \t")] == '{')
            rc = read_json(g, &in, err);
        else if (!strncmp(line, "name\t", 5))
            rc = read_table(g, &in, err);
        else
            rc = read_columns(g, &in, err);
    }
    growth_end_run(g);
    buf_free(&in.line);
    return zio_close(in.z, rc ? NULL : err) || rc ? -1 : 0;
}

/* ---- groups ------------------------------------------------------------------------------- */

/* Cuts the units that have points into pieces when they are few, joins neighbours when they are
 * many, and numbers the groups from 0. */
static void set_groups(struct growth_points *p, uint32_t units) {
    struct unit {
        uint32_t points, seen, first;
    } *unit = mem_array(units ? units : 1, sizeof *unit);
    uint64_t used = 0;
    for (size_t i = 0; i < p->n; i++)
        used += !unit[p->group[i]].points++;
    uint64_t pieces = used && used < GROUPS_WANTED ? (GROUPS_WANTED + used - 1) / used : 1;
    uint64_t joined = used > GROUPS_MOST ? used : 0;
    uint64_t number = 0;
    for (uint32_t u = 0; u < units; u++) {
        unit[u].first = (uint32_t)(joined ? number * GROUPS_MOST / joined : number);
        number += unit[u].points < pieces ? unit[u].points : pieces;
    }
    p->groups = (uint32_t)(joined ? GROUPS_MOST : number);
    for (size_t i = 0; i < p->n; i++) {
        struct unit *u = &unit[p->group[i]];
        uint64_t cuts = u->points < pieces ? u->points : pieces;
        p->group[i] = u->first + (uint32_t)(u->seen++ * cuts / u->points);
    }
    free(unit);
}

void growth_finish(struct growth *g) {
    for (int p = 0; p < GROWTH_PHASES; p++)
        for (int c = 0; c < GROWTH_COSTS; c++)
            set_groups(&g->points[p][c], g->units);
}

size_t growth_count(const struct growth *g) {
    size_t n = 0;
    for (int p = 0; p < GROWTH_PHASES; p++)
        for (int c = 0; c < GROWTH_COSTS; c++)
            n += g->points[p][c].n > 0;
    return n;
}

const struct growth_points *growth_get(const struct growth *g, size_t i) {
    for (int p = 0; p < GROWTH_PHASES; p++)
        for (int c = 0; c < GROWTH_COSTS; c++)
            if (g->points[p][c].n > 0 && i-- == 0)
                return &g->points[p][c];
    return NULL;
}

const struct growth_left *growth_left(const struct growth *g) {
    return &g->left;
}
