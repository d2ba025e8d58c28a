/* cost_diff_cases.c - which records of both sides are of one case */
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff.h"

struct entry {
    const char *id;
    int side;
    size_t at;                  /* index of the record */
};

static int by_id(const void *a, const void *b) {
    const struct entry *x = a;
    const struct entry *y = b;
    int c = strcmp(x->id, y->id);
    if (c)
        return c;
    if (x->side != y->side)
        return x->side - y->side;
    return (x->at > y->at) - (x->at < y->at);
}

/* Cases of base in its order, then those that head alone has. */
static int by_first(const void *a, const void *b) {
    const struct diff_case *x = a;
    const struct diff_case *y = b;
    if (!x->base_n != !y->base_n)
        return x->base_n ? -1 : 1;
    size_t u = x->base_n ? x->base[0] : x->head[0];
    size_t v = y->base_n ? y->base[0] : y->head[0];
    return (u > v) - (u < v);
}

/* Records without an id get one by their place among those without: "#1", "#2", ... */
static void name_all(struct diff *d) {
    d->cases.by_place = 1;
    for (int side = 0; side < 2; side++) {
        size_t unnamed = 0;
        for (size_t i = 0; i < d->side[side].n; i++) {
            struct diff_record *r = &d->side[side].record[i];
            if (r->id)
                d->cases.by_place = 0;
            else
                r->id = mem_printf("#%zu", ++unnamed);
        }
    }
}

static struct entry *list_all(const struct diff *d, size_t n) {
    struct entry *all = mem_array(n ? n : 1, sizeof *all);
    size_t at = 0;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < d->side[side].n; i++)
            all[at++] = (struct entry){d->side[side].record[i].id, side, i};
    if (n)
        qsort(all, n, sizeof *all, by_id);
    return all;
}

void diff_match(struct diff *d) {
    struct diff_cases *c = &d->cases;
    size_t n = d->side[0].n + d->side[1].n;
    name_all(d);
    struct entry *all = list_all(d, n);
    c->c = mem_array(n ? n : 1, sizeof *c->c);
    c->index = mem_array(n ? n : 1, sizeof *c->index);
    for (size_t i = 0, end; i < n; i = end) {
        struct diff_case *one = &c->c[c->n++];
        *one = (struct diff_case){.id = all[i].id, .base = c->index + i};
        for (end = i; end < n && !strcmp(all[end].id, one->id); end++) {
            c->index[end] = all[end].at;
            one->base_n += all[end].side == 0;
            one->head_n += all[end].side == 1;
        }
        one->head = one->base + one->base_n;
        c->both += one->base_n && one->head_n;
        c->only_base += !one->head_n;
        c->only_head += !one->base_n;
    }
    if (c->n)
        qsort(c->c, c->n, sizeof *c->c, by_first);
    free(all);
}

void diff_cases_free(struct diff_cases *c) {
    free(c->c);
    free(c->index);
}
