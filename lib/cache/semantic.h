/* semantic.h - caches that answer a question like one they have answered before
 *
 *     struct semantic_config c[2] = {{.threshold = 0.9}, {.threshold = 0.95, .capacity = 1000}};
 *     struct semantic *s = semantic_new(width, c, 2, 0, &err);
 *     while (there are rows)
 *         semantic_add(s, x, NULL, NULL, n);          // some hundred rows at once are fast
 *     use(semantic_counts(s, 0)->hits);
 *     semantic_free(s);
 *
 * Queries come in order, each as an embedding. A query hits when the entry nearest to it, by
 * cosine, is at least as similar as the threshold; of entries that are equally similar the oldest
 * answers. A query that misses becomes an entry, and when the cache is full another one leaves
 * first. A row without a direction (all zero, or with a number that is not finite) is neither
 * looked up nor stored.
 *
 * What a cache holds depends on its threshold, size and policy, so that nothing can be concluded
 * from one about another; but the products of embeddings are the same for all and are computed
 * once: n queries that are all stored take n^2 width / 2 multiply-adds in float (OpenBLAS),
 * whatever the number of caches. What is nearest, and whether it is near enough, is then decided
 * in double precision wherever float could err. Results depend neither on the number of threads
 * nor on the processor, nor on how rows are split over calls.
 *
 * The cosine of a and b is sum(a_i b_i) / sqrt(sum(a_i^2) sum(b_i^2)) in double precision over
 * the float numbers, at most 1: exactly 1 for equal rows.
 *
 * Memory: for an entry that any cache holds 4 width + 36 bytes and 8 for each cache, with room to
 * grow by half; and a buffer of 64 MiB or 64 bytes an entry, whichever is more.
 */
#ifndef SEMANTIC_H
#define SEMANTIC_H

#include <stdint.h>

#include "lib/base/err.h"

enum semantic_policy {
    SEMANTIC_LRU,               /* the entry that answered least recently leaves */
    SEMANTIC_FIFO               /* the entry that was stored first leaves */
};

struct semantic_config {
    double threshold;           /* -1 to 1 */
    int64_t capacity;           /* entries; 0: no limit, and the policy has no say */
    enum semantic_policy policy;
};

#define SEMANTIC_MOST 64        /* caches in one replay */
#define SEMANTIC_WIDEST 65536   /* numbers in a row */

struct semantic_counts {
    int64_t queries;            /* that were looked up */
    int64_t undefined;          /* rows without a direction, not looked up */
    int64_t hits;
    int64_t false_hits;         /* answered by an entry with another label */
    int64_t entries;            /* now */
    int64_t evicted;
    int64_t tokens, hit_tokens; /* of queries, and of those that hit */
    double similarity;          /* sum over hits */
};

struct semantic;

/* n caches (1 to SEMANTIC_MOST) for rows of width numbers; threads 0: one per core, at most 64.
 * NULL with err when there is no OpenBLAS. */
struct semantic *semantic_new(int width, const struct semantic_config *config, int n, int threads,
                              struct err *err);
void semantic_free(struct semantic *s);                 /* NULL is fine */
/* The next n queries. x [n][width]; label [n], NULL: all alike; tokens [n], NULL: none. */
void semantic_add(struct semantic *s, const float *x, const uint32_t *label,
                  const int64_t *tokens, int64_t n);
/* Of cache i; borrowed, changes with every semantic_add. */
const struct semantic_counts *semantic_counts(const struct semantic *s, int i);

#endif
