/* points.c - sums at keys that lie far apart, see points.h */
#include "lib/cache/points.h"

#include <stdlib.h>

#include "lib/base/mem.h"

#define LEAST 1024

static int by_key(const void *a, const void *b) {
    uint64_t x = ((const struct point *)a)->key;
    uint64_t y = ((const struct point *)b)->key;
    return (x > y) - (x < y);
}

/* qsort need not keep the order of equal keys: sums of whole numbers do not depend on it, and
 * sampled sums of weights are made in one order by their caller. */
void points_sort(struct points *p) {
    size_t n = 0;
    if (p->n)
        qsort(p->at, p->n, sizeof *p->at, by_key);
    for (size_t i = 0; i < p->n; i++) {
        const struct point *x = &p->at[i];
        if (n == 0 || p->at[n - 1].key != x->key) {
            p->at[n++] = *x;
            continue;
        }
        p->at[n - 1].blocks += x->blocks;
        p->at[n - 1].short_blocks += x->short_blocks;
        p->at[n - 1].short_tokens += x->short_tokens;
    }
    p->n = n;
}

void points_add(struct points *p, const struct point *x) {
    if (p->n == p->cap) {
        points_sort(p);
        if (p->n >= p->cap / 2) {
            p->cap = p->cap ? p->cap * 2 : LEAST;
            p->at = mem_grow(p->at, p->cap, sizeof *p->at);
        }
    }
    p->at[p->n++] = *x;
}

void points_free(struct points *p) {
    free(p->at);
    *p = (struct points){0};
}
