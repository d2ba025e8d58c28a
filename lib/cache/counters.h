/* counters.h - a long array of counts most of which are small
 *
 *     struct counters c = {0};
 *     counters_add(&c, distance, 3);
 *     counters_settle(&c);
 *     for (uint64_t key = 0; counters_next(&c, &key); key++)
 *         use(key, counters_get(&c, key));
 *     counters_free(&c);
 *
 * Private to lib/cache. Pages of 4,096 counts appear when they are needed and hold 1, 2, 4 or
 * 8 bytes a count, as the largest of them asks for. Counts at random keys miss the caches, so an
 * addition asks for its count and waits until some more have come: before reading, settle.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define COUNTERS_PAGE 4096
#define COUNTERS_WAIT 16        /* additions */

struct counters_page {
    void *count;                /* [COUNTERS_PAGE] */
    unsigned bytes;             /* of a count; 0: the page does not exist */
};

struct counters_wait {
    uint64_t key, n;
};

struct counters {
    struct counters_page *page;
    size_t pages;
    struct counters_wait wait[COUNTERS_WAIT];
    unsigned next;              /* of wait: the oldest */
};

void counters_add_slow(struct counters *c, uint64_t key, uint64_t n);
void counters_settle(struct counters *c);
uint64_t counters_get(const struct counters *c, uint64_t key);
/* Moves *key up to the next key, itself included, whose count is not 0. 0 when there is none. */
int counters_next(const struct counters *c, uint64_t *key);
void counters_free(struct counters *c);                 /* leaves it empty */

static inline void counters_add_now(struct counters *c, uint64_t key, uint64_t n) {
    if (key / COUNTERS_PAGE < c->pages && c->page[key / COUNTERS_PAGE].bytes == 1) {
        uint8_t *count = (uint8_t *)c->page[key / COUNTERS_PAGE].count + key % COUNTERS_PAGE;
        if (n <= (uint64_t)(UINT8_MAX - *count)) {
            *count = (uint8_t)(*count + n);
            return;
        }
    }
    counters_add_slow(c, key, n);
}

static inline void counters_add(struct counters *c, uint64_t key, uint64_t n) {
    struct counters_wait *w = &c->wait[c->next++ % COUNTERS_WAIT];
    struct counters_wait oldest = *w;
    *w = (struct counters_wait){key, n};
    if (key / COUNTERS_PAGE < c->pages && c->page[key / COUNTERS_PAGE].bytes == 1)
        __builtin_prefetch((char *)c->page[key / COUNTERS_PAGE].count + key % COUNTERS_PAGE, 1);
    counters_add_now(c, oldest.key, oldest.n);
}

#endif
