/* recency.h - how many others were used since: numbers in the order of their latest use
 *
 *     struct recency *r = recency_new();
 *     recency_reserve(r, count, n);           // numbers below count may come; n uses follow
 *     if (recency_known(r, id))
 *         depth = recency_depth(r, id);       // others used since: the LRU stack distance
 *     recency_use(r, id);
 *     recency_free(r);
 *
 * Private to lib/cache. Every use takes the next place on an axis, and one bit a place says
 * whether it is still the latest use of its number (B. T. Bennett, V. J. Kruskal, "LRU stack
 * processing", IBM J. Res. Dev. 19, 1975): a depth is the number of ones behind a place. When the
 * axis is full, the places in use move together.
 *
 * A cache line holds 448 places and, in its last word, the ones before each of its seven words;
 * above it a tree has in every node the ones before each of its children. So a depth costs one
 * popcount and one load a level, and taking a one away costs one subtraction of a constant from
 * each node on the way up. Memory: 4 bytes a number, and 1.2 bits a place on an axis of some four
 * places a number.
 */
#ifndef RECENCY_H
#define RECENCY_H

#include <stddef.h>
#include <stdint.h>

#define RECENCY_NEVER UINT32_MAX
#define RECENCY_WORDS 7
#define RECENCY_LINE (64 * RECENCY_WORDS)
#define RECENCY_GROUP 32        /* lines below a node of the first level: 14,336 ones at most */
#define RECENCY_NODE 16         /* children of every other node */
#define RECENCY_LEVELS 6

struct recency_line {
    uint64_t word[RECENCY_WORDS + 1];
};
typedef uint16_t recency_group __attribute__((vector_size(64)));
typedef uint32_t recency_node __attribute__((vector_size(64)));

struct recency {
    uint32_t *last;             /* [count] place of the latest use, or RECENCY_NEVER */
    uint32_t count, cap;
    uint32_t live;              /* ones */
    uint32_t now;               /* next place */
    uint32_t places;            /* of the axis */
    uint32_t open;              /* line of the latest place: not yet counted in the tree */
    struct recency_line *line;
    recency_group *group;
    recency_node *node[RECENCY_LEVELS];
    int levels;
    size_t bytes;               /* of line, group and node together */
};

struct recency *recency_new(void);
void recency_free(struct recency *r);                   /* NULL is fine */
/* Makes room: numbers below count become valid, and `uses` uses may follow. */
void recency_reserve(struct recency *r, uint32_t count, uint32_t uses);
/* The numbers that were used, the longest unused one first; [live]. */
void recency_order(const struct recency *r, uint32_t *out);
/* recency_use calls it when a line is full. */
void recency_close_line(struct recency *r);

extern const uint64_t recency_word_after[RECENCY_WORDS];        /* 1 in each count behind word i */
extern const recency_group recency_group_after[RECENCY_GROUP];
extern const recency_node recency_node_after[RECENCY_NODE];

/* The processors that everything here is built for need not have a popcount. */
static inline uint32_t recency_ones(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (uint32_t)(x * 0x0101010101010101u >> 56);
}

static inline int recency_known(const struct recency *r, uint32_t id) {
    return r->last[id] != RECENCY_NEVER;
}

/* A look-up misses the caches twice; ask for the first a while, for the second shortly before. A
 * call of a function that does nothing but prefetch is dropped by gcc as one without effect, unless
 * it was inlined before that is decided. */
#define RECENCY_INLINE static inline __attribute__((always_inline))

RECENCY_INLINE void recency_prefetch_place(const struct recency *r, uint32_t id) {
    __builtin_prefetch(&r->last[id], 1);
}

RECENCY_INLINE void recency_prefetch_line(const struct recency *r, uint32_t id) {
    uint32_t line = r->last[id] / RECENCY_LINE;
    if (r->last[id] != RECENCY_NEVER) {
        __builtin_prefetch(&r->line[line], 1);
        __builtin_prefetch(&r->group[line / RECENCY_GROUP], 1);
    }
}

/* Ones before a place. */
static inline uint32_t recency_before(const struct recency *r, uint32_t place) {
    uint32_t line = place / RECENCY_LINE;
    uint32_t bit = place % RECENCY_LINE;
    uint32_t at = line / RECENCY_GROUP;
    const uint64_t *word = r->line[line].word;
    uint32_t n = (uint32_t)(word[RECENCY_WORDS] >> 9 * (bit / 64)) & 511;
    n += recency_ones(word[bit / 64] & (((uint64_t)1 << bit % 64) - 1));
    n += r->group[at][line % RECENCY_GROUP];
    for (int i = 0; i < r->levels; i++, at /= RECENCY_NODE)
        n += r->node[i][at / RECENCY_NODE][at % RECENCY_NODE];
    return n;
}

static inline uint32_t recency_depth(const struct recency *r, uint32_t id) {
    return r->live - 1 - recency_before(r, r->last[id]);
}

static inline void recency_clear(struct recency *r, uint32_t place) {
    uint32_t line = place / RECENCY_LINE;
    uint32_t bit = place % RECENCY_LINE;
    uint32_t at = line / RECENCY_GROUP;
    uint64_t *word = r->line[line].word;
    word[bit / 64] &= ~((uint64_t)1 << bit % 64);
    word[RECENCY_WORDS] -= recency_word_after[bit / 64];
    if (line == r->open)
        return;
    r->group[at] -= recency_group_after[line % RECENCY_GROUP];
    for (int i = 0; i < r->levels; i++, at /= RECENCY_NODE)
        r->node[i][at / RECENCY_NODE] -= recency_node_after[at % RECENCY_NODE];
}

static inline void recency_use(struct recency *r, uint32_t id) {
    uint32_t place = r->now++;
    uint32_t bit = place % RECENCY_LINE;
    if (r->last[id] == RECENCY_NEVER)
        r->live++;
    else
        recency_clear(r, r->last[id]);
    r->last[id] = place;
    if (bit == 0 && place)
        recency_close_line(r);
    uint64_t *word = r->line[r->open].word;
    word[bit / 64] |= (uint64_t)1 << bit % 64;
    word[RECENCY_WORDS] += recency_word_after[bit / 64];
}

#endif
