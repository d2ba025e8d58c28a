/* recency.c - numbers in the order of their latest use, see recency.h: the axis and its tree */
#include "lib/cache/recency.h"

#include <stdlib.h>
#include <string.h>

#include "lib/cache/bigarray.h"

/* Places a number when the axis is made. More of them mean fewer moves, but bits further apart:
 * bench_curve shows no difference between 3 and 8, and with 2 more time on large traces. */
#define SPARE 4
#define LEAST (32 * RECENCY_LINE)

#define ONE9(i) ((uint64_t)1 << 9 * (i))
const uint64_t recency_word_after[RECENCY_WORDS] = {
    ONE9(1) + ONE9(2) + ONE9(3) + ONE9(4) + ONE9(5) + ONE9(6),
    ONE9(2) + ONE9(3) + ONE9(4) + ONE9(5) + ONE9(6),
    ONE9(3) + ONE9(4) + ONE9(5) + ONE9(6),
    ONE9(4) + ONE9(5) + ONE9(6), ONE9(5) + ONE9(6), ONE9(6), 0};

/* Row i has a 1 in every column behind i. */
#define ROW16(i) {0 > i, 1 > i, 2 > i, 3 > i, 4 > i, 5 > i, 6 > i, 7 > i, 8 > i, 9 > i, 10 > i, \
                  11 > i, 12 > i, 13 > i, 14 > i, 15 > i}
#define ROW32(i) {0 > i, 1 > i, 2 > i, 3 > i, 4 > i, 5 > i, 6 > i, 7 > i, 8 > i, 9 > i, 10 > i, \
                  11 > i, 12 > i, 13 > i, 14 > i, 15 > i, 16 > i, 17 > i, 18 > i, 19 > i, \
                  20 > i, 21 > i, 22 > i, 23 > i, 24 > i, 25 > i, 26 > i, 27 > i, 28 > i, \
                  29 > i, 30 > i, 31 > i}
const recency_node recency_node_after[RECENCY_NODE] = {
    ROW16(0), ROW16(1), ROW16(2), ROW16(3), ROW16(4), ROW16(5), ROW16(6), ROW16(7),
    ROW16(8), ROW16(9), ROW16(10), ROW16(11), ROW16(12), ROW16(13), ROW16(14), ROW16(15)};
const recency_group recency_group_after[RECENCY_GROUP] = {
    ROW32(0), ROW32(1), ROW32(2), ROW32(3), ROW32(4), ROW32(5), ROW32(6), ROW32(7),
    ROW32(8), ROW32(9), ROW32(10), ROW32(11), ROW32(12), ROW32(13), ROW32(14), ROW32(15),
    ROW32(16), ROW32(17), ROW32(18), ROW32(19), ROW32(20), ROW32(21), ROW32(22), ROW32(23),
    ROW32(24), ROW32(25), ROW32(26), ROW32(27), ROW32(28), ROW32(29), ROW32(30), ROW32(31)};

static size_t divide_up(size_t n, size_t by) {
    return (n + by - 1) / by;
}

/* An empty axis of at least `places`. */
static void make_axis(struct recency *r, uint64_t places) {
    size_t lines = divide_up(places, RECENCY_LINE);
    if (lines > UINT32_MAX / RECENCY_LINE)
        lines = UINT32_MAX / RECENCY_LINE;
    size_t groups = divide_up(lines, RECENCY_GROUP);
    size_t nodes[RECENCY_LEVELS];
    size_t all = lines + groups;
    r->levels = 0;
    for (size_t n = groups; n > 1; r->levels++) {
        n = divide_up(n, RECENCY_NODE);
        nodes[r->levels] = n;
        all += n;
    }
    bigarray_free(r->line, r->bytes);
    r->bytes = all * sizeof *r->line;
    r->line = bigarray_new(r->bytes);
    r->group = (void *)(r->line + lines);
    r->node[0] = (void *)(r->group + groups);
    for (int i = 1; i < r->levels; i++)
        r->node[i] = r->node[i - 1] + nodes[i - 1];
    r->places = (uint32_t)(lines * RECENCY_LINE);
    r->open = 0;
}

struct recency *recency_new(void) {
    struct recency *r = mem_alloc(sizeof *r);
    make_axis(r, LEAST);
    return r;
}

void recency_free(struct recency *r) {
    if (!r)
        return;
    bigarray_free(r->last, r->cap * sizeof *r->last);
    bigarray_free(r->line, r->bytes);
    free(r);
}

/* The open line's ones become part of what the tree counts; the next line opens. */
void recency_close_line(struct recency *r) {
    uint32_t line = r->open++;
    uint32_t at = line / RECENCY_GROUP;
    const uint64_t *word = r->line[line].word;
    uint32_t ones = (uint32_t)(word[RECENCY_WORDS] >> 9 * (RECENCY_WORDS - 1)) & 511;
    ones += recency_ones(word[RECENCY_WORDS - 1]);
    r->group[at] += recency_group_after[line % RECENCY_GROUP] * (uint16_t)ones;
    for (int i = 0; i < r->levels; i++, at /= RECENCY_NODE)
        r->node[i][at / RECENCY_NODE] += recency_node_after[at % RECENCY_NODE] * ones;
}

/* Moves the ones together at the start of a new axis, in their order. */
static void compact(struct recency *r, uint64_t places) {
    for (uint32_t id = 0; id < r->count; id++)
        if (r->last[id] != RECENCY_NEVER)
            r->last[id] = recency_before(r, r->last[id]);
    make_axis(r, places);
    for (uint32_t place = 0; place < r->live; place++) {
        uint32_t bit = place % RECENCY_LINE;
        if (bit == 0 && place)
            recency_close_line(r);
        r->line[r->open].word[bit / 64] |= (uint64_t)1 << bit % 64;
        r->line[r->open].word[RECENCY_WORDS] += recency_word_after[bit / 64];
    }
    r->now = r->live;
}

void recency_reserve(struct recency *r, uint32_t count, uint32_t uses) {
    if (count > r->cap) {
        uint64_t cap = (uint64_t)count * 2 + 1024;
        cap = cap < UINT32_MAX ? cap : UINT32_MAX;
        r->last = bigarray_grow(r->last, r->cap * sizeof *r->last, cap * sizeof *r->last);
        r->cap = (uint32_t)cap;
    }
    if (count > r->count) {
        memset(r->last + r->count, 0xFF, (count - r->count) * sizeof *r->last);
        r->count = count;
    }
    if ((uint64_t)r->now + uses > r->places)
        compact(r, LEAST + SPARE * ((uint64_t)r->live + uses));
}

void recency_order(const struct recency *r, uint32_t *out) {
    for (uint32_t id = 0; id < r->count; id++)
        if (r->last[id] != RECENCY_NEVER)
            out[recency_before(r, r->last[id])] = id;
}
