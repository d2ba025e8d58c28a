/* counters.c - a long array of counts most of which are small, see counters.h */
#include "lib/cache/counters.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static uint64_t get(const struct counters_page *p, size_t i) {
    switch (p->bytes) {
    case 1: return ((const uint8_t *)p->count)[i];
    case 2: return ((const uint16_t *)p->count)[i];
    case 4: return ((const uint32_t *)p->count)[i];
    case 8: return ((const uint64_t *)p->count)[i];
    default: return 0;
    }
}

static void set(struct counters_page *p, size_t i, uint64_t n) {
    switch (p->bytes) {
    case 1: ((uint8_t *)p->count)[i] = (uint8_t)n; break;
    case 2: ((uint16_t *)p->count)[i] = (uint16_t)n; break;
    case 4: ((uint32_t *)p->count)[i] = (uint32_t)n; break;
    default: ((uint64_t *)p->count)[i] = n; break;
    }
}

/* Makes the page, or its counts wide enough for n. */
static void widen(struct counters_page *p, uint64_t n) {
    struct counters_page wide = {.bytes = 1};
    while (wide.bytes < 8 && n >> 8 * wide.bytes)
        wide.bytes *= 2;
    wide.count = mem_array(COUNTERS_PAGE, wide.bytes);
    for (size_t i = 0; p->bytes && i < COUNTERS_PAGE; i++)
        set(&wide, i, get(p, i));
    free(p->count);
    *p = wide;
}

void counters_add_slow(struct counters *c, uint64_t key, uint64_t n) {
    size_t page = (size_t)(key / COUNTERS_PAGE);
    if (n == 0)
        return;
    if (page >= c->pages) {
        size_t pages = page + page / 2 + 1;
        c->page = mem_grow(c->page, pages, sizeof *c->page);
        memset(c->page + c->pages, 0, (pages - c->pages) * sizeof *c->page);
        c->pages = pages;
    }
    struct counters_page *p = &c->page[page];
    n += get(p, key % COUNTERS_PAGE);
    if (p->bytes == 0 || (p->bytes < 8 && n >> 8 * p->bytes))
        widen(p, n);
    set(p, key % COUNTERS_PAGE, n);
}

void counters_settle(struct counters *c) {
    for (int i = 0; i < COUNTERS_WAIT; i++) {
        counters_add_now(c, c->wait[i].key, c->wait[i].n);
        c->wait[i].n = 0;
    }
}

uint64_t counters_get(const struct counters *c, uint64_t key) {
    size_t page = (size_t)(key / COUNTERS_PAGE);
    return page < c->pages ? get(&c->page[page], key % COUNTERS_PAGE) : 0;
}

int counters_next(const struct counters *c, uint64_t *key) {
    for (uint64_t k = *key; k / COUNTERS_PAGE < c->pages; k++) {
        const struct counters_page *p = &c->page[k / COUNTERS_PAGE];
        if (p->bytes == 0) {
            k |= COUNTERS_PAGE - 1;
        } else if (get(p, k % COUNTERS_PAGE)) {
            *key = k;
            return 1;
        }
    }
    return 0;
}

void counters_free(struct counters *c) {
    for (size_t i = 0; i < c->pages; i++)
        free(c->page[i].count);
    free(c->page);
    *c = (struct counters){0};
}
