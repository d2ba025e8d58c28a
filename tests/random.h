/* random.h - random numbers for tests, the same on every machine
 *
 *     state = seed;
 *     int die = 1 + below(6);
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

static uint64_t state;

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t next(void) {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* From 0 to n - 1. */
static inline int below(int n) {
    return (int)(next() % (uint64_t)n);
}

#endif
