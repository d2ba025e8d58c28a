/* cache_curve.h - what the two files of llm-cache curve share: an exact or sampled curve's rows
 *
 *   cache_curve.c        options, reading, merging, saving
 *   cache_curve_rows.c   the rows: every capacity, chosen ones, splits over two tiers; the picture
 */
#ifndef CACHE_CURVE_H
#define CACHE_CURVE_H

#include <stdint.h>

#include "lib/cache/curve.h"
#include "lib/cache/shards.h"

struct curve_source {
    const struct curve *curve;          /* one of the two */
    const struct shards *shards;
    enum curve_order order;
    int json;
};

struct curve_split {
    int64_t tier[2];                    /* capacities in blocks */
};

const struct curve_totals *curve_source_totals(const struct curve_source *s);
/* The largest time to live, in ns, at which a ratio changes. */
uint64_t curve_source_last(const struct curve_source *s);

/* Each prints to stdout. Every capacity (of a sample: every one where the estimate changes), or
 * every time to live where a ratio changes: */
void curve_print_all(const struct curve_source *s);
/* Chosen capacities or times, in the order given: */
void curve_print_at(const struct curve_source *s, const uint64_t *key, int n);
/* About n of them, evenly spread by their logarithm: */
void curve_print_spread(const struct curve_source *s, int n);
void curve_print_splits(const struct curve_source *s, const struct curve_split *split, int n);

/* Draws block and token hit ratio; file NULL: nothing. */
void curve_plot(const struct curve_source *s, const char *file);

#endif
