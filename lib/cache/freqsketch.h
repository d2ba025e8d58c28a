/* freqsketch.h - private to lib/cache: how often blocks were seen lately, about
 *
 *     struct freqsketch s;
 *     freqsketch_start(&s, capacity, 10 * capacity, seed);
 *     freqsketch_add(&s, id);
 *     if (freqsketch_count(&s, id) > freqsketch_count(&s, other))
 *         ...
 *     freqsketch_end(&s);
 *
 * A count-min sketch of 4 rows of 4-bit counters with conservative update: of a block's four
 * counters only the smallest are raised, and the smallest is its frequency (the minimal increment
 * of TinyLFU; Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache admission policy",
 * ACM Transactions on Storage 13(4), 2017). After `sample` additions all counters are halved,
 * and half of the additions count as made.
 *
 * The four counters of a block are in one cache line of 4 rows of 32 counters. There are 16 to 32
 * counters, so 8 to 16 bytes, for each block of the capacity.
 */
#ifndef FREQSKETCH_H
#define FREQSKETCH_H

#include <stdint.h>
#include <stdlib.h>

#include "lib/base/mem.h"

#define FREQSKETCH_ROWS 4
#define FREQSKETCH_MAX 15       /* counters stay there */

struct freqsketch {
    void *memory;
    uint64_t (*line)[8];        /* [mask + 1] row r is words 2 r and 2 r + 1 */
    uint64_t mask;
    uint64_t seed;
    int64_t added, sample;
};

/* splitmix64 from the seed on: its bits from 20 up choose the line, 5 lower ones a counter of
 * each row. */
static inline uint64_t freqsketch_hash(uint64_t seed, uint32_t id) {
    uint64_t h = seed + ((uint64_t)id + 1) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

/* Lines of a sketch for that many blocks: a power of two. */
static inline uint64_t freqsketch_lines(int64_t capacity) {
    uint64_t lines = 1;
    while (lines * 8 < (uint64_t)capacity)
        lines *= 2;
    return lines;
}

static inline void freqsketch_start(struct freqsketch *s, int64_t capacity, int64_t sample,
                                    uint64_t seed) {
    uint64_t lines = freqsketch_lines(capacity);
    void *memory = mem_array(lines + 1, sizeof *s->line);
    uintptr_t aligned = ((uintptr_t)memory + sizeof *s->line - 1) & ~(sizeof *s->line - 1);
    *s = (struct freqsketch){.memory = memory, .line = (uint64_t (*)[8])aligned,
                             .mask = lines - 1, .seed = seed, .sample = sample};
}

static inline void freqsketch_end(struct freqsketch *s) {
    free(s->memory);
}

static inline unsigned freqsketch_at(const uint64_t *line, uint64_t hash, unsigned row) {
    unsigned counter = hash >> (5 * row) & 31;
    return line[2 * row + (counter >> 4)] >> (counter & 15) * 4 & 15;
}

static inline unsigned freqsketch_least(const uint64_t *line, uint64_t hash) {
    unsigned least = FREQSKETCH_MAX;
    for (unsigned row = 0; row < FREQSKETCH_ROWS; row++) {
        unsigned count = freqsketch_at(line, hash, row);
        least = count < least ? count : least;
    }
    return least;
}

static inline unsigned freqsketch_count(const struct freqsketch *s, uint32_t id) {
    uint64_t hash = freqsketch_hash(s->seed, id);
    return freqsketch_least(s->line[hash >> 20 & s->mask], hash);
}

static inline void freqsketch_prefetch(const struct freqsketch *s, uint32_t id) {
    __builtin_prefetch(s->line[freqsketch_hash(s->seed, id) >> 20 & s->mask], 1);
}

static inline void freqsketch_halve(struct freqsketch *s) {
    uint64_t *word = s->line[0];
    for (uint64_t i = 0; i < (s->mask + 1) * 8; i++)
        word[i] = word[i] >> 1 & 0x7777777777777777u;
    s->added /= 2;
}

static inline void freqsketch_add(struct freqsketch *s, uint32_t id) {
    uint64_t hash = freqsketch_hash(s->seed, id);
    uint64_t *line = s->line[hash >> 20 & s->mask];
    unsigned least = freqsketch_least(line, hash);
    for (unsigned row = 0; row < FREQSKETCH_ROWS && least < FREQSKETCH_MAX; row++) {
        unsigned counter = hash >> (5 * row) & 31;
        uint64_t raise = freqsketch_at(line, hash, row) == least;
        line[2 * row + (counter >> 4)] += raise << (counter & 15) * 4;
    }
    if (++s->added >= s->sample)
        freqsketch_halve(s);
}

#endif
