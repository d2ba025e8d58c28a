/* reqs_hash.c - texts to 64 bits, and names to dense numbers */
#include <stdlib.h>
#include <string.h>

#include "lib/trace/reqs_impl.h"

uint64_t reqs_hash_bytes(const char *s, size_t len) {
    uint64_t h = 0;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w = 0;
        for (size_t k = 0; k < 8 && i + k < len; k++)
            w |= (uint64_t)(unsigned char)s[i + k] << 8 * k;
        h = reqs_hash_token(h, w);
    }
    return reqs_hash_token(h, len);
}

/* Open addressing, at most half full: place[] holds numbers + 1, 0 is empty. */
struct reqs_names {
    uint32_t n, cap;
    char **name;
    size_t *len;
    uint64_t *hash;
    uint32_t *place;
    size_t mask;
};

struct reqs_names *reqs_names_new(void) {
    struct reqs_names *t = mem_alloc(sizeof *t);
    t->mask = 1023;
    t->place = mem_array(t->mask + 1, sizeof *t->place);
    return t;
}

void reqs_names_free(struct reqs_names *t) {
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        free(t->name[i]);
    free(t->name);
    free(t->len);
    free(t->hash);
    free(t->place);
    free(t);
}

static void put(struct reqs_names *t, uint32_t i) {
    size_t at = t->hash[i] & t->mask;
    while (t->place[at])
        at = (at + 1) & t->mask;
    t->place[at] = i + 1;
}

static void grow(struct reqs_names *t) {
    t->cap = t->cap ? t->cap * 2 : 256;
    t->name = mem_grow(t->name, t->cap, sizeof *t->name);
    t->len = mem_grow(t->len, t->cap, sizeof *t->len);
    t->hash = mem_grow(t->hash, t->cap, sizeof *t->hash);
    if ((size_t)t->cap * 2 <= t->mask + 1)
        return;
    free(t->place);
    t->mask = (size_t)t->cap * 2 - 1;
    t->place = mem_array(t->mask + 1, sizeof *t->place);
    for (uint32_t i = 0; i < t->n; i++)
        put(t, i);
}

uint32_t reqs_names_add(struct reqs_names *t, const char *s, size_t len) {
    uint64_t h = reqs_hash_bytes(s, len);
    for (size_t at = h & t->mask; t->place[at]; at = (at + 1) & t->mask) {
        uint32_t i = t->place[at] - 1;
        if (t->hash[i] == h && t->len[i] == len && !memcmp(t->name[i], s, len))
            return i;
    }
    if (t->n == t->cap)
        grow(t);
    t->name[t->n] = mem_strndup(s, len);
    t->len[t->n] = len;
    t->hash[t->n] = h;
    put(t, t->n);
    return t->n++;
}

uint32_t reqs_names_count(const struct reqs_names *t) {
    return t->n;
}

const char *reqs_names_get(const struct reqs_names *t, uint32_t i) {
    return i < t->n ? t->name[i] : NULL;
}
