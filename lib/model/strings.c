/* strings.c - the strings of a vocabulary (tokens, merges) in one blob, and their hash */
#include "lib/model/vocab_impl.h"

#include <stdio.h>
#include <stdlib.h>

/* "[EMPTY_4294967295]": what stands for a token without text. */
enum { EMPTY_NAME = 20 };

int strings_copy(struct strings *t, const struct gguf_string *s, uint64_t n) {
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < n; i++)
        bytes += s[i].len ? s[i].len : EMPTY_NAME;
    if (n >= INT32_MAX || bytes >= UINT32_MAX)
        return -1;
    t->n = (uint32_t)n;
    t->blob = mem_alloc(bytes + 1);
    t->off = mem_array(n + 1, sizeof *t->off);
    uint32_t at = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        char name[EMPTY_NAME];
        size_t len = s[i].len;
        const char *from = s[i].data;
        if (!len) {
            len = (size_t)snprintf(name, sizeof name, "[EMPTY_%u]", i);
            from = name;
        }
        memcpy(t->blob + at, from, len);
        t->off[i] = at;
        at += (uint32_t)len;
        if (len > t->longest)
            t->longest = (uint32_t)len;
    }
    t->off[n] = at;
    uint32_t slots = 16;
    while (slots < t->n + t->n / 3)
        slots *= 2;
    t->mask = slots - 1;
    t->slot = mem_array(slots, sizeof *t->slot);
    return 0;
}

void strings_free(struct strings *t) {
    free(t->blob);
    free(t->off);
    free(t->slot);
}

/* Multiply and fold, eight bytes at a time; what is left is read by overlapping loads. */
uint32_t strings_hash(const char *s, size_t len) {
    const uint64_t mul = 0x9E3779B97F4A7C15u;
    uint64_t h = len * mul;
    uint64_t v = 0;
    for (; len >= 8; len -= 8, s += 8) {
        memcpy(&v, s, 8);
        h = (h ^ v) * mul;
        h ^= h >> 29;
    }
    v = 0;
    if (len >= 4) {
        uint32_t a;
        uint32_t b;
        memcpy(&a, s, 4);
        memcpy(&b, s + len - 4, 4);
        v = a | (uint64_t)b << 32;
    } else if (len) {
        v = (unsigned char)s[0] | (uint64_t)(unsigned char)s[len / 2] << 8 |
            (uint64_t)(unsigned char)s[len - 1] << 16;
    }
    h = (h ^ v) * mul;
    return (uint32_t)(h >> 32);
}
