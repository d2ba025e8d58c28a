/* idmap.c - 64-bit ids to dense numbers, see idmap.h
 *
 * Keys stand in an array by their number; an open table with linear probing holds numbers plus
 * one, and above them, in the bits that no number of this table needs, bits of the key's hash. So
 * a slot that belongs to another key shows nearly always without a look at that key: an id that is
 * new costs one load that misses the caches, one that is known costs two, and a batch asks for the
 * first of all of them, then for the second of all, and only then compares.
 */
#include "lib/cache/idmap.h"

#include <stdlib.h>

#include "lib/cache/bigarray.h"

#define BATCH 32
#define FIRST_BITS 12

struct idmap {
    uint64_t *key;              /* [count] */
    size_t key_cap;
    uint32_t *slot;             /* [2^bits] tag and number + 1, 0: free */
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

static size_t place(const struct idmap *m, uint64_t hash) {
    return (size_t)(hash >> (64 - m->bits));
}

/* Which bits of a slot hold the number. There is a free slot, so numbers + 1 fit into `bits`. */
static uint32_t number_mask(const struct idmap *m) {
    return m->bits < 32 ? ((uint32_t)1 << m->bits) - 1 : UINT32_MAX;
}

static uint32_t tag(const struct idmap *m, uint64_t hash) {
    return (uint32_t)hash & ~number_mask(m);
}

struct idmap *idmap_new(void) {
    struct idmap *m = mem_alloc(sizeof *m);
    m->bits = FIRST_BITS;
    m->slot = bigarray_new(slots(m->bits) * sizeof *m->slot);
    return m;
}

void idmap_free(struct idmap *m) {
    if (!m)
        return;
    bigarray_free(m->key, m->key_cap * sizeof *m->key);
    bigarray_free(m->slot, slots(m->bits) * sizeof *m->slot);
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
    bigarray_free(m->slot, slots(m->bits) * sizeof *m->slot);
    m->bits++;
    m->slot = bigarray_new(slots(m->bits) * sizeof *m->slot);
    size_t mask = slots(m->bits) - 1;
    uint64_t hash[BATCH];
    for (uint32_t base = 0; base < m->count; base += BATCH) {
        uint32_t n = m->count - base < BATCH ? m->count - base : BATCH;
        for (uint32_t i = 0; i < n; i++) {
            hash[i] = mix(m->key[base + i]);
            __builtin_prefetch(&m->slot[place(m, hash[i])], 1);
        }
        for (uint32_t i = 0; i < n; i++) {
            size_t s = place(m, hash[i]);
            while (m->slot[s])
                s = (s + 1) & mask;
            m->slot[s] = tag(m, hash[i]) | (base + i + 1);
        }
    }
}

static void add_batch(struct idmap *m, const uint64_t *id, size_t n, uint32_t *dense) {
    const uint32_t number = number_mask(m);
    const size_t mask = slots(m->bits) - 1;
    uint64_t hash[BATCH];
    size_t at[BATCH];
    for (size_t i = 0; i < n; i++) {
        hash[i] = mix(id[i]);
        at[i] = place(m, hash[i]);
        __builtin_prefetch(&m->slot[at[i]], 1);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t want = tag(m, hash[i]);
        while (m->slot[at[i]] && (m->slot[at[i]] & ~number) != want)
            at[i] = (at[i] + 1) & mask;
        if (m->slot[at[i]])
            __builtin_prefetch(&m->key[(m->slot[at[i]] & number) - 1]);
    }
    /* A slot that was free may have been taken by an id before in the batch; none gets free. */
    for (size_t i = 0; i < n; i++) {
        uint32_t want = tag(m, hash[i]);
        size_t s = at[i];
        for (; m->slot[s]; s = (s + 1) & mask)
            if ((m->slot[s] & ~number) == want && m->key[(m->slot[s] & number) - 1] == id[i])
                break;
        if (!m->slot[s]) {
            m->key[m->count] = id[i];
            m->slot[s] = want | ++m->count;
        }
        dense[i] = (m->slot[s] & number) - 1;
    }
}

int idmap_add(struct idmap *m, const uint64_t *id, size_t n, uint32_t *dense) {
    for (size_t base = 0; base < n; base += BATCH) {
        size_t k = n - base < BATCH ? n - base : BATCH;
        if (m->count > IDMAP_MAX - 1 - k)
            return -1;
        if (m->count + k > m->key_cap) {
            size_t cap = m->key_cap ? m->key_cap * 2 : slots(FIRST_BITS);
            m->key = bigarray_grow(m->key, m->key_cap * sizeof *m->key, cap * sizeof *m->key);
            m->key_cap = cap;
        }
        while (m->count + k > slots(m->bits) / 4 * 3)
            grow(m);
        add_batch(m, id + base, k, dense + base);
    }
    return 0;
}
