/* book_overlap.c - rows of a price book that would hold side by side, see book.h
 *
 * Only rows of one model and kind can meet. Sorted by the time they begin, each is compared with
 * those that begin before it ends: few, where prices follow each other. BOOK_GROUP bounds the
 * rest.
 */
#include "lib/cost/book_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* What rows must share to meet, and where in the book they are. */
struct item {
    const struct book_row *row;
    unsigned mask;
    int count;
};

struct group {
    const struct book *b;
    const struct item *item;
    int n;
    unsigned mentioned;         /* BOOK_MODALITY, BOOK_TTL: factors of the model have it, so that
                                 * price rows without it hold for all */
};

/* ---- two rows -------------------------------------------------------------------------------- */

/* A row without modality is one of text, a row without ttl one of the model's default. */
static int apart(const struct group *g, const struct item *with, const struct item *without) {
    const struct book *b = g->b;
    unsigned only = with->mask & ~without->mask & ~g->mentioned;
    const struct book_row *r = with->row;
    if (r->factor)
        return 0;
    if (only & BOOK_MODALITY && strcmp(b->word[r->when.modality], "text"))
        return 1;
    return only & BOOK_TTL && (r->model < 0 || r->when.ttl_ns != b->model[r->model].default_ttl_ns);
}

/* A charge and a time can meet both, tiers not asked. */
static int meet(const struct group *g, const struct item *a, const struct item *b) {
    const struct book_select *x = &a->row->when;
    const struct book_select *y = &b->row->when;
    unsigned both = a->mask & b->mask;
    if (x->from_ns >= y->to_ns || y->from_ns >= x->to_ns || apart(g, a, b) || apart(g, b, a))
        return 0;
    if ((both & BOOK_SERVICE && x->service != y->service) ||
        (both & BOOK_REGION && x->region != y->region) ||
        (both & BOOK_SPEED && x->speed != y->speed) ||
        (both & BOOK_MODALITY && x->modality != y->modality) ||
        (both & BOOK_TTL && x->ttl_ns != y->ttl_ns))
        return 0;
    return book_windows_meet(x, y);
}

static int same_window(const struct book_select *x, const struct book_select *y) {
    if (x->days != y->days || x->hours != y->hours || x->zone_s != y->zone_s)
        return 0;
    for (int i = 0; i < x->hours; i++)
        if (x->hour[i].from_s != y->hour[i].from_s || x->hour[i].to_s != y->hour[i].to_s)
            return 0;
    return 1;
}

/* c holds wherever a and b do, but for its validity. */
static int within(const struct group *g, const struct item *c, const struct item *a,
                  const struct item *b) {
    const struct book_select *w = &c->row->when;
    const struct book_select *x = &a->row->when;
    const struct book_select *y = &b->row->when;
    if (w->above >= 0 || c->count <= a->count || c->mask & ~(a->mask | b->mask))
        return 0;
    if (!meet(g, c, a) || !meet(g, c, b))
        return 0;
    return !(c->mask & BOOK_WINDOW) || (a->mask & BOOK_WINDOW && same_window(w, x)) ||
           (b->mask & BOOK_WINDOW && same_window(w, y));
}

/* Rows with more selectors hold all the time that a and b share. */
static int is_covered(const struct group *g, const struct item *a, const struct item *b) {
    const struct book_select *x = &a->row->when;
    const struct book_select *y = &b->row->when;
    int64_t at = x->from_ns > y->from_ns ? x->from_ns : y->from_ns;
    int64_t end = x->to_ns < y->to_ns ? x->to_ns : y->to_ns;
    for (int i = 0; i < g->n && at < end; i++) {        /* in the order in which they begin */
        const struct book_select *w = &g->item[i].row->when;
        if (w->from_ns <= at && w->to_ns > at && within(g, &g->item[i], a, b))
            at = w->to_ns;
    }
    return at >= end;
}

/* Which of two rows counts is not said. Different sets of selectors: factors multiply, and of
 * prices the larger set counts. The same set: the tier decides. */
static int overlap(const struct group *g, const struct item *a, const struct item *b) {
    if (a->mask == b->mask)
        return a->row->when.above == b->row->when.above && meet(g, a, b);
    return !a->row->factor && a->count == b->count && meet(g, a, b) && !is_covered(g, a, b);
}

/* ---- a group --------------------------------------------------------------------------------- */

static const char *model_name(const struct book *b, const struct book_row *row) {
    return row->model < 0 ? "*" : b->model[row->model].name;
}

static int check_size(const struct group *g, struct err *err) {
    int windows = 0;
    int line = g->item->row->line;
    const char *name = model_name(g->b, g->item->row);
    for (int i = 0; i < g->n; i++)
        windows += !!(g->item[i].mask & BOOK_WINDOW);
    if (g->n > BOOK_GROUP)
        return err_set(err, "%s:%d: expected at most %d rows of a model and kind, found %d of %s",
                       g->b->path, line, BOOK_GROUP, g->n, name);
    if (windows > BOOK_GROUP_WINDOWS)
        return err_set(err, "%s:%d: expected at most %d rows with hours or days of a model and "
                       "kind, found %d of %s", g->b->path, line, BOOK_GROUP_WINDOWS, windows, name);
    return 0;
}

static int refuse(const struct group *g, const struct book_row *a, const struct book_row *b,
                  struct err *err) {
    int later = a->line > b->line ? a->line : b->line;
    int earlier = a->line > b->line ? b->line : a->line;
    return err_set(err, "%s:%d: expected rows that do not overlap, found one for %s that holds "
                   "beside line %d and neither goes before the other", g->b->path, later,
                   model_name(g->b, a), earlier);
}

static int check_group(const struct group *g, struct err *err) {
    if (check_size(g, err))
        return -1;
    for (int i = 0; i < g->n; i++)
        for (int k = i + 1; k < g->n; k++) {
            const struct item *a = &g->item[i];
            const struct item *b = &g->item[k];
            if (b->row->when.from_ns >= a->row->when.to_ns)
                break;
            if (overlap(g, a, b))
                return refuse(g, a->row, b->row, err);
        }
    return 0;
}

static int compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int same_group(const struct book_row *a, const struct book_row *b) {
    return a->model == b->model && a->kind == b->kind && a->factor == b->factor;
}

static int by_group(const void *a, const void *b) {
    const struct book_row *x = ((const struct item *)a)->row;
    const struct book_row *y = ((const struct item *)b)->row;
    int c = compare_numbers(x->model, y->model);
    c = c ? c : compare_numbers(x->kind, y->kind);
    c = c ? c : compare_numbers(x->factor, y->factor);
    c = c ? c : compare_numbers(x->when.from_ns, y->when.from_ns);
    return c ? c : compare_numbers(x->line, y->line);
}

/* ---- how far rates reach --------------------------------------------------------------------- */

/* The product of the largest factors of each set: more than what can hold at once. */
static double reach_of_group(const struct group *g) {
    double most[2][64] = {{0}};
    double product = 1;
    for (int i = 0; i < g->n; i++) {
        const struct book_row *r = g->item[i].row;
        double *m = &most[r->when.above >= 0][g->item[i].mask];
        double times = (double)r->times / MONEY_FACTOR;
        *m = times > *m ? times : *m;
    }
    for (int i = 0; i < 128; i++)
        if (most[i / 64][i % 64] > 1)
            product *= most[i / 64][i % 64];
    return product;
}

/* The most that a unit may cost, in dollars; book.h says why. */
static double limit_of(const struct book_row *r) {
    if (r->per == BOOK_PER_REQUEST)
        return (double)(BOOK_REQUEST_MOST / MONEY_YOCTO / MONEY_USD);
    if (r->per == BOOK_PER_HOUR && r->kind == USAGE_SECOND)
        return (double)(BOOK_HOUR_MOST / MONEY_YOCTO / MONEY_USD);
    if (r->per == BOOK_PER_UNIT)
        return r->unit_tokens < 1000 ? (double)r->unit_tokens : 1000;
    return 1;
}

static int check_rate(const struct book *b, const struct book_row *r, int model, double reach,
                      struct err *err) {
    double usd = (double)r->rate * 1e-24 * reach;
    if (r->factor || (model < 0 && r->per == BOOK_PER_ACTIVE))
        return 0;
    if (r->per == BOOK_PER_ACTIVE)
        usd *= b->model[model].active / 1e9;
    if (usd <= limit_of(r) * (1 + 1e-9))
        return 0;
    return err_set(err, "%s:%d: expected a price up to $%g with the factors of the model, found "
                   "$%g for %s", b->path, r->line, limit_of(r), usd,
                   model < 0 ? "*" : b->model[model].name);
}

/* reach[model + 1]; [0] is of "*", which goes with every model's own. */
static int check_rates(const struct book *b, const double *reach, struct err *err) {
    for (int i = 0; i < b->rows; i++) {
        const struct book_row *r = &b->row[i];
        int first = r->model < 0 ? 0 : r->model;
        int last = r->model < 0 ? b->models - 1 : r->model;
        for (int m = first; m <= last; m++)
            if (check_rate(b, r, m, reach[0] * reach[m + 1], err))
                return -1;
    }
    return 0;
}

/* ---- all rows -------------------------------------------------------------------------------- */

/* Of each model, what its factors mention; [0] is of "*". */
static unsigned char *mentions_of(const struct book *b) {
    unsigned char *m = mem_alloc((size_t)b->models + 1);
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].factor)
            m[b->row[i].model + 1] |= (unsigned char)book_selectors(&b->row[i].when);
    return m;
}

static int check_groups(const struct book *b, const struct item *item, const unsigned char *m,
                        double *reach, struct err *err) {
    for (int i = 0; i < b->rows;) {
        struct group g = {.b = b, .item = &item[i]};
        g.mentioned = m[0] | m[g.item->row->model + 1];
        while (i < b->rows && same_group(item[i].row, g.item->row)) {
            g.n++;
            i++;
        }
        if (check_group(&g, err))
            return -1;
        if (g.item->row->factor)
            reach[g.item->row->model + 1] *= reach_of_group(&g);
    }
    return 0;
}

int book_check_rows(struct book *b, struct err *err) {
    struct item *item = mem_array((size_t)b->rows + 1, sizeof *item);
    double *reach = mem_array((size_t)b->models + 1, sizeof *reach);
    for (int i = 0; i < b->rows; i++) {
        unsigned mask = book_selectors(&b->row[i].when);
        item[i] = (struct item){&b->row[i], mask, __builtin_popcount(mask)};
    }
    for (int i = 0; i <= b->models; i++)
        reach[i] = 1;
    qsort(item, (size_t)b->rows, sizeof *item, by_group);
    unsigned char *mentioned = mentions_of(b);
    int rc = check_groups(b, item, mentioned, reach, err);
    if (!rc)
        rc = check_rates(b, reach, err);
    free(mentioned);
    free(item);
    free(reach);
    return rc;
}
