/* idmap.c - 64-bit ids to dense numbers, see idmap.h
 *
 * Keys stand in an array by their number; an open table with linear probing holds numbers plus
 * one. A look-up is two loads that miss the caches, one after the other, so a batch asks for the
 * first of all, then for the second of all, and only then compares.
 */
#include "lib/cache/idmap.h"

#include <stdlib.h>

#include "lib/base/mem.h"

#define BATCH 32
#define FIRST_BITS 12

struct idmap {
    uint64_t *key;              /* [count] */
    size_t key_cap;
    uint32_t *slot;             /* [2^bits] number + 1, 0: free */
    int bits;
    uint32_t count;
};

/* The finalizer of MurmurHash3 (A. Appleby, public domain): every bit of the id moves every bit
 * of the place, which ids that differ only in their high bits need. */
static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xFF51AFD7ED558CCDu;
    x ^= x >> 33;
    x *= 0xC4CEB9FE1A85EC53u;
    return x ^ x >> 33;
}

static size_t slots(int bits) {
    return (size_t)1 << bits;
}

static size_t place(const struct idmap *m, uint64_t id) {
    return (size_t)(mix(id) >> (64 - m->bits));
}

struct idmap *idmap_new(void) {
    struct idmap *m = mem_alloc(sizeof *m);
    m->bits = FIRST_BITS;
    m->slot = mem_array(slots(m->bits), sizeof *m->slot);
    return m;
}

void idmap_free(struct idmap *m) {
    if (!m)
        return;
    free(m->key);
    free(m->slot);
    free(m);
}

uint32_t idmap_count(const struct idmap *m) {
    return m->count;
}

uint64_t idmap_id(const struct idmap *m, uint32_t dense) {
    return m->key[dense];
}

/* A table twice as large, filled in the order of the numbers: the keys are read in one stream. */
static void grow(struct idmap *m) {
    free(m->slot);
    m->bits++;
    m->slot = mem_array(slots(m->bits), sizeof *m->slot);
    size_t mask = slots(m->bits) - 1;
    size_t at[BATCH];
    for (uint32_t base = 0; base < m->count; base += BATCH) {
        uint32_t n = m->count - base < BATCH ? m->count - base : BATCH;
        for (uint32_t i = 0; i < n; i++) {
            at[i] = place(m, m->key[base + i]);
            __builtin_prefetch(&m->slot[at[i]], 1);
        }
        for (uint32_t i = 0; i < n; i++) {
            size_t s = at[i];
            while (m->slot[s])
                s = (s + 1) & mask;
            m->slot[s] = base + i + 1;
        }
    }
}

/* The number of id, given its place; a new one when it is not there. */
static uint32_t find_or_add(struct idmap *m, uint64_t id, size_t s) {
    size_t mask = slots(m->bits) - 1;
    for (; m->slot[s]; s = (s + 1) & mask)
        if (m->key[m->slot[s] - 1] == id)
            return m->slot[s] - 1;
    m->key[m->count] = id;
    m->slot[s] = ++m->count;
    return m->count - 1;
}

static void add_batch(struct idmap *m, const uint64_t *id, size_t n, uint32_t *dense) {
    size_t at[BATCH];
    for (size_t i = 0; i < n; i++) {
        at[i] = place(m, id[i]);
        __builtin_prefetch(&m->slot[at[i]], 1);
    }
    for (size_t i = 0; i < n; i++)
        if (m->slot[at[i]])
            __builtin_prefetch(&m->key[m->slot[at[i]] - 1]);
    for (size_t i = 0; i < n; i++)
        dense[i] = find_or_add(m, id[i], at[i]);
}

int idmap_add(struct idmap *m, const uint64_t *id, size_t n, uint32_t *dense) {
    for (size_t base = 0; base < n; base += BATCH) {
        size_t k = n - base < BATCH ? n - base : BATCH;
        if (m->count > IDMAP_MAX - 1 - k)
            return -1;
        if (m->count + k > m->key_cap) {
            m->key_cap = m->key_cap ? m->key_cap * 2 : slots(FIRST_BITS);
            m->key = mem_grow(m->key, m->key_cap, sizeof *m->key);
        }
        while (m->count + k > slots(m->bits) / 4 * 3)
            grow(m);
        add_batch(m, id + base, k, dense + base);
    }
    return 0;
}
