/* points.h - sums at keys that lie far apart: times, scaled distances
 *
 *     struct points p = {0};
 *     points_add(&p, &(struct point){.key = gap_ns, .blocks = 1});
 *     points_sort(&p);                        // ascending keys, each once
 *     points_free(&p);
 *
 * Private to lib/cache. Additions gather at the end; when the array is full they are sorted in
 * and those of equal keys become one. Memory: 64 bytes a key at most. Whole numbers are exact to
 * 2^53.
 */
#ifndef POINTS_H
#define POINTS_H

#include <stddef.h>
#include <stdint.h>

struct point {
    uint64_t key;
    double blocks;              /* hits of blocks that this key allows and no lower one does */
    double short_blocks;        /* see curve.c: what those blocks lack in tokens */
    double short_tokens;
};

struct points {
    struct point *at;           /* [n] */
    size_t n, cap;
};

void points_add(struct points *p, const struct point *x);
void points_sort(struct points *p);
void points_free(struct points *p);                     /* leaves it empty */

#endif
