/* quant_imatrix_show.c - what an importance matrix holds: a table, and words on unseen experts */
#include "cmd/quant_imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/fields.h"
#include "lib/quant/inventory.h"

/* ---- order ------------------------------------------------------------------------------ */

/* Expert N of "blk.L.ffn_up.N.weight", as old models have them; -1: something else. */
static long expert_of(const char *name) {
    const char *at = strstr(name, ".ffn_up.");
    char *end;
    if (!at || at[8] < '0' || at[8] > '9')
        return -1;
    long expert = strtol(at + 8, &end, 10);
    return strcmp(end, ".weight") ? -1 : expert;
}

static int by_layer(const void *a, const void *b) {
    const struct imatrix_entry *x = *(const struct imatrix_entry *const *)a;
    const struct imatrix_entry *y = *(const struct imatrix_entry *const *)b;
    int lx = inventory_layer(x->name);
    int ly = inventory_layer(y->name);
    long ex = expert_of(x->name);
    long ey = expert_of(y->name);
    if (lx != ly)
        return lx < ly ? -1 : 1;
    if (ex >= 0 && ey >= 0 && ex != ey)
        return ex < ey ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Layer 2 before layer 10; the caller frees. */
static const struct imatrix_entry **in_order(const struct imatrix *m) {
    const struct imatrix_entry **list = mem_array((size_t)m->n, sizeof *list);
    for (int i = 0; i < m->n; i++)
        list[i] = &m->entry[i];
    qsort(list, (size_t)m->n, sizeof *list, by_layer);
    return list;
}

/* ---- experts that saw nothing ----------------------------------------------------------- */

struct unseen {
    struct buf list;            /* of the layer: "3, 17" */
    int layer;
    int64_t here, all, experts;
};

static void end_layer(struct unseen *u) {
    if (u->here)
        warn("layer %d: %s %s saw no token", u->layer, u->here > 1 ? "experts" : "expert",
             u->list.data);
    u->list.len = 0;
    u->here = 0;
}

static void count_expert(struct unseen *u, int64_t expert, int64_t tokens) {
    u->experts++;
    if (tokens)
        return;
    buf_printf(&u->list, "%s%lld", u->here ? ", " : "", (long long)expert);
    u->here++;
    u->all++;
}

/* Gate, up and down of an expert see the same tokens: up speaks for all. */
void imatrix_say_unseen(const struct imatrix *m) {
    const struct imatrix_entry **list = in_order(m);
    struct unseen u = {.layer = -1};
    for (int i = 0; i < m->n; i++) {
        const struct imatrix_entry *e = list[i];
        if (inventory_layer(e->name) != u.layer)
            end_layer(&u);
        u.layer = inventory_layer(e->name);
        if (expert_of(e->name) >= 0)
            count_expert(&u, expert_of(e->name), e->count[0]);
        for (int64_t x = 0; strstr(e->name, ".ffn_up_exps.") && x < e->mats; x++)
            count_expert(&u, x, e->count[x]);
    }
    end_layer(&u);
    if (u.all)
        warn("%lld of %lld experts saw no token: all their columns will count alike; more text may"
             " reach them", (long long)u.all, (long long)u.experts);
    buf_free(&u.list);
    free(list);
}

/* ---- the table -------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"tensor", FIELD_TEXT, 0}, {"columns", FIELD_COUNT, 0}, {"experts", FIELD_COUNT, 0},
    {"tokens", FIELD_COUNT, 0}, {"tokens_fewest", FIELD_COUNT, 1}, {"unseen", FIELD_COUNT, 0},
    {"unseen_experts", FIELD_LIST, 1}, {"square_min", 4, 0}, {"square_mean", 4, 0},
    {"square_max", 4, 0}, {"zero_percent", 2, 0}, {"skew", 1, 0}, {"top_expert", FIELD_COUNT, 1},
    {"top_column", FIELD_COUNT, 1}};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* The matrices that saw nothing, as numbers; the caller frees. */
static double *list_unseen(const struct imatrix_entry *e) {
    double *list = mem_array((size_t)e->mats, sizeof *list);
    int64_t n = 0;
    for (int64_t i = 0; i < e->mats; i++)
        if (e->count[i] == 0)
            list[n++] = (double)i;
    return list;
}

static void put_row(struct fields *f, const struct imatrix_entry *e) {
    struct imatrix_stats s;
    imatrix_stats(e, &s);
    double *unseen = list_unseen(e);
    const struct value row[COLUMNS] = {
        {.text = e->name}, {.count = e->cols}, {.count = e->mats}, {.count = s.tokens},
        {.count = s.fewest}, {.count = s.unseen}, {.list = unseen, .count = s.unseen},
        {.number = s.min}, {.number = s.mean}, {.number = s.max}, {.number = 100 * s.zeros},
        {.number = s.skew}, {.count = s.top_mat}, {.count = s.top_col}};
    fields_row(f, row);
    free(unseen);
}

static void say_most_skewed(const struct imatrix *m) {
    const struct imatrix_entry *most = NULL;
    struct imatrix_stats top = {.skew = 0};
    for (int i = 0; i < m->n; i++) {
        struct imatrix_stats s;
        imatrix_stats(&m->entry[i], &s);
        if (s.skew > top.skew) {
            most = &m->entry[i];
            top = s;
        }
    }
    if (!most)
        return;
    char expert[40] = "";
    if (most->mats > 1)
        snprintf(expert, sizeof expert, " of expert %lld", (long long)top.top_mat);
    warn("most skewed: %s: column %lld%s is %.4g times the mean", most->name,
         (long long)top.top_col, expert, top.skew);
}

void imatrix_show(const struct imatrix *m, const struct common *common) {
    const struct imatrix_entry **list = in_order(m);
    struct fields f;
    fields_open(&f, columns, COLUMNS, common);
    for (int i = 0; i < m->n; i++)
        put_row(&f, list[i]);
    fields_close(&f);
    free(list);
    if (!common->quiet)
        say_most_skewed(m);
}
