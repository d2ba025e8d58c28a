/* rng.h - random numbers from a seed, the same on every machine
 *
 *     struct rng r = {seed};
 *     int die = 1 + (int)rng_below(&r, 6);
 *
 * SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):
 * 64 bits of state, each value once in 2^64. For simulation, not for secrets.
 */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r) {
    uint64_t z = r->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* From 0 to n - 1, n from 1 to 2^32: the high half of a product (Lemire, "Fast random integer
 * generation in an interval", 2019, without its rejection: the bias is below n / 2^32). */
static inline uint32_t rng_below(struct rng *r, uint64_t n) {
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/* Above 0 and below 1, 53 bits. */
static inline double rng_unit(struct rng *r) {
    return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

#endif
