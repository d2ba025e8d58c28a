/* loads.c - how often each expert of each layer was used, see loads.h */
#include "lib/route/loads.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* One layer after the other: its counts stay in the first level of caches, and the rows, handed
 * out in pieces, in the second. The k experts of a token are distinct, so that no count waits for
 * the one before. */
static void add_layer(uint64_t *count, const int16_t *expert, size_t stride, int64_t n, int k) {
    for (int64_t i = 0; i < n; i++, expert += stride)
        for (int j = 0; j < k; j++)
            if (expert[j] >= 0)
                count[expert[j]]++;
}

static void add_rows(uint64_t *count, size_t experts, const struct routed_model *m,
                     const struct routed_rows *rows) {
    for (int layer = 0; layer < m->layers; layer++)
        add_layer(count + (size_t)layer * experts, rows->expert + (size_t)layer * (size_t)m->k,
                  rows->stride, rows->n, m->k);
}

void loads_add(uint64_t *count, const struct routed_model *m, const struct routed_rows *rows) {
    add_rows(count, (size_t)m->experts, m, rows);
}

static struct loads *loads_new(const struct routed_model *m, int experts) {
    struct loads *l = mem_alloc(sizeof *l);
    size_t n = (size_t)m->layers;
    routed_model_copy(&l->model, m);
    l->model.experts = experts;
    l->count = mem_array(n * (size_t)experts, sizeof *l->count);
    return l;
}

void loads_free(struct loads *l) {
    if (!l)
        return;
    routed_model_free(&l->model);
    free(l->count);
    free(l);
}

/* Counts of rows whose experts may become more. */
struct tally {
    uint64_t *count;            /* [layers][experts] */
    size_t experts;             /* room for so many */
};

static void make_room(struct tally *t, const struct routed_model *m) {
    size_t experts = t->experts ? t->experts : 1;
    if ((size_t)m->experts <= t->experts)
        return;
    /* Those that are known are exact; those that grow do so by doubling. */
    while (t->experts && experts < (size_t)m->experts)
        experts *= 2;
    if (!t->experts)
        experts = (size_t)m->experts;
    uint64_t *count = mem_array((size_t)m->layers * experts, sizeof *count);
    for (int i = 0; i < m->layers && t->experts; i++)
        memcpy(count + (size_t)i * experts, t->count + (size_t)i * t->experts,
               t->experts * sizeof *count);
    free(t->count);
    t->count = count;
    t->experts = experts;
}

static struct loads *finish(const struct tally *t, const struct routed_model *m, int64_t tokens) {
    struct loads *l = loads_new(m, m->experts);
    size_t experts = (size_t)m->experts;
    l->tokens = tokens;
    for (size_t i = 0; t->count && i < (size_t)m->layers; i++)
        for (size_t e = 0; e < experts; e++)
            l->count[i * experts + e] = (double)t->count[i * t->experts + e];
    return l;
}

static struct loads *count_tokens(struct routed *r, struct err *err) {
    struct tally t = {NULL, 0};
    struct routed_rows rows;
    struct loads *l = NULL;
    int64_t tokens = 0;
    int rc;
    while ((rc = routed_next(r, &rows, err)) == 1) {
        make_room(&t, routed_model(r));
        add_rows(t.count, t.experts, routed_model(r), &rows);
        tokens += rows.n;
    }
    if (rc == 0)
        l = finish(&t, routed_model(r), tokens);
    free(t.count);
    return l;
}

static struct loads *take_counts(struct routed *r, struct err *err) {
    double *count = routed_counts(r, err);
    if (!count)
        return NULL;
    struct loads *l = loads_new(routed_model(r), routed_model(r)->experts);
    free(l->count);
    l->count = count;
    return l;
}

struct loads *loads_rest(struct routed *r, struct err *err) {
    return routed_kind(r) == ROUTED_COUNTS ? take_counts(r, err) : count_tokens(r, err);
}

struct loads *loads_read(const char *path, const struct routed_options *opt, struct err *err) {
    struct routed *r = routed_open(path, opt, err);
    if (!r)
        return NULL;
    struct loads *l = loads_rest(r, err);
    routed_close(r);
    return l;
}

struct loads *loads_of(const struct routed_set *s, int64_t from, int64_t to) {
    struct tally t = {NULL, 0};
    size_t pairs = (size_t)s->model.layers * (size_t)s->model.k;
    int64_t piece = (int64_t)(((size_t)128 << 10) / pairs) + 1;
    make_room(&t, &s->model);
    for (int64_t i = from; i < to; i += piece) {
        const struct routed_rows rows = {.n = to - i < piece ? to - i : piece, .stride = pairs,
                                         .expert = s->expert + (size_t)i * pairs};
        add_rows(t.count, t.experts, &s->model, &rows);
    }
    struct loads *l = finish(&t, &s->model, to > from ? to - from : 0);
    free(t.count);
    return l;
}
