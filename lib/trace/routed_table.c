/* routed_table.c - count tables: a header line, then layer, expert, count and any other columns
 *
 * A table is read whole when it is opened: its layers and experts are known only at its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/num.h"
#include "lib/trace/routed_impl.h"
#include "lib/trace/routed_sheet.h"

#define COUNT_MOST 1e18         /* sums of them, and of their squares, stay numbers */

struct layer {
    double *count;              /* [cap] */
    int cap;                    /* 0: the table does not have this layer */
};

struct routed_table {
    struct routed_sheet sheet;
    int layer, expert, count;   /* columns */
    int *column;                /* [conditions] */
    struct layer *layers;       /* [ROUTED_LAYERS_MOST] */
    int64_t cells;              /* of all of them */
    int experts;                /* largest id + 1 */
    int64_t rows;
};

static int bind_columns(struct routed *r, struct err *err) {
    struct routed_table *t = r->state;
    const struct routed_sheet *s = &t->sheet;
    char *names = routed_sheet_names(s);
    int rc = 0;
    t->layer = routed_sheet_column(s, "layer");
    t->expert = routed_sheet_column(s, "expert");
    t->count = routed_sheet_column(s, "count");
    if (t->layer < 0 || t->expert < 0 || t->count < 0)
        rc = err_set(err, "%s: expected routes: .npy, '# route_trace v1', JSON Lines, or a table "
                     "with columns layer, expert, count; found columns %.200s", r->name, names);
    t->column = mem_array((size_t)r->where->conds + 1, sizeof *t->column);
    for (int i = 0; i < r->where->conds && rc == 0; i++) {
        t->column[i] = routed_sheet_column(s, r->where->cond[i].column);
        if (t->column[i] < 0)
            rc = err_set(err, "%s: where: expected a column of %.400s, found '%s'", r->name, names,
                         r->where->cond[i].column);
    }
    free(names);
    return rc;
}

/* The row's layer has room for its expert. */
static int make_room(struct routed *r, int64_t layer, int64_t expert, struct err *err) {
    struct routed_table *t = r->state;
    struct layer *l = &t->layers[layer];
    int cap = l->cap ? l->cap : 8;
    if (expert < l->cap)
        return 0;
    while (cap <= expert)
        cap *= 2;
    if (t->cells + cap - l->cap > 2 * ROUTED_CELLS_MOST)
        return err_set(err, "%s: line %lld: expected at most %d experts in all layers, found more",
                       r->name, (long long)t->sheet.line, ROUTED_CELLS_MOST);
    l->count = mem_grow(l->count, (size_t)cap, sizeof *l->count);
    for (int i = l->cap; i < cap; i++)
        l->count[i] = 0;
    t->cells += cap - l->cap;
    l->cap = cap;
    return 0;
}

static int take_id(const struct routed_sheet *s, int column, int most, int64_t *out,
                   struct err *err) {
    char expected[64];
    if (num_int(routed_sheet_cell(s, column), 0, most, out) == 0)
        return 0;
    snprintf(expected, sizeof expected, "a whole number from 0 to %d", most);
    return routed_sheet_error(s, column, expected, err);
}

static int take_row(struct routed *r, struct err *err) {
    struct routed_table *t = r->state;
    const struct routed_sheet *s = &t->sheet;
    int most = r->want_experts ? r->want_experts : ROUTED_EXPERTS_MOST;
    int64_t layer;
    int64_t expert;
    double count;
    if (take_id(s, t->layer, ROUTED_LAYERS_MOST - 1, &layer, err) ||
        take_id(s, t->expert, most - 1, &expert, err))
        return -1;
    if (num_float(routed_sheet_cell(s, t->count), 0, COUNT_MOST, &count))
        return routed_sheet_error(s, t->count, "a number from 0 to 1e18", err);
    if (make_room(r, layer, expert, err))
        return -1;
    t->rows++;
    if (expert >= t->experts)
        t->experts = (int)expert + 1;
    for (int i = 0; i < r->where->conds; i++)
        if (!routed_cond_text(&r->where->cond[i], routed_sheet_cell(s, t->column[i])))
            return 0;
    t->layers[layer].count[expert] += count;
    return 0;
}

static int set_model(struct routed *r, struct err *err) {
    struct routed_table *t = r->state;
    int n = 0;
    for (int i = 0; i < ROUTED_LAYERS_MOST; i++)
        n += t->layers[i].cap > 0;
    if (!t->rows)
        return 0;               /* nothing was counted: there is no model */
    if (routed_model_init(r, n, t->experts, 1, err))
        return -1;
    r->model.k = 0;             /* counts do not say */
    n = 0;
    for (int i = 0; i < ROUTED_LAYERS_MOST; i++)
        if (t->layers[i].cap)
            r->model.layer_index[n++] = i;
    return 0;
}

static int table_open(struct routed *r, struct err *err) {
    struct routed_table *t = mem_alloc(sizeof *t);
    int rc;
    r->state = t;
    routed_use_lines(r);
    t->sheet = (struct routed_sheet){.in = &r->lines, .name = r->name};
    t->layers = mem_array(ROUTED_LAYERS_MOST, sizeof *t->layers);
    rc = routed_sheet_header(&t->sheet, err);
    if (rc == 0)
        return err_set(err, "%s: expected routes or a table with a header, found comments alone",
                       r->name);
    if (rc < 0 || bind_columns(r, err))
        return -1;
    while ((rc = routed_sheet_next(&t->sheet, err)) == 1)
        if (take_row(r, err))
            return -1;
    return rc < 0 ? -1 : set_model(r, err);
}

static void table_close(struct routed *r) {
    struct routed_table *t = r->state;
    if (!t)
        return;
    for (int i = 0; i < ROUTED_LAYERS_MOST; i++)
        free(t->layers[i].count);
    routed_sheet_free(&t->sheet);
    free(t->layers);
    free(t->column);
    free(t);
}

double *routed_counts(struct routed *r, struct err *err) {
    if (r->format->kind != ROUTED_COUNTS) {
        err_set(err, "%s: expected a count table, found routes of tokens", r->name);
        return NULL;
    }
    const struct routed_table *t = r->state;
    size_t experts = (size_t)r->model.experts;
    double *out = mem_array((size_t)r->model.layers * experts, sizeof *out);
    for (int i = 0; i < r->model.layers; i++) {
        const struct layer *l = &t->layers[r->model.layer_index[i]];
        size_t n = (size_t)l->cap < experts ? (size_t)l->cap : experts;
        memcpy(out + (size_t)i * experts, l->count, n * sizeof *out);
    }
    return out;
}

const struct routed_format routed_table = {
    .kind = ROUTED_COUNTS, .open = table_open, .close = table_close};
