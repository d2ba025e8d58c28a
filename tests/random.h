/* random.h - random numbers for tests, the same on every machine
 *
 *     state = seed;
 *     int die = 1 + below(6);
 */
#ifndef RANDOM_H
#define RANDOM_H

#include "lib/base/rng.h"

static uint64_t state;

static inline uint64_t next(void) {
    struct rng r = {state};
    uint64_t value = rng_next(&r);
    state = r.state;
    return value;
}

/* From 0 to n - 1. */
static inline int below(int n) {
    return (int)(next() % (uint64_t)n);
}

#endif
