/* arena.c - contiguous pieces of an address space, see arena.h
 *
 * Free pieces stand in lists sorted by address, one list a power of two for the buddy allocator
 * and a single one for first fit. Lists are as short as there are pieces in use, some hundreds,
 * so that an array with a binary search is all they need.
 */
#include "lib/cache/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define ORDERS 63

struct hole {
    int64_t at, size;
};

struct holes {
    struct hole *hole;          /* [n] by address */
    int64_t n, cap;
};

struct arena {
    enum arena_kind kind;
    int64_t size;
    struct holes list[ORDERS];  /* by the logarithm of the size; first fit uses list[0] for all */
};

/* The first hole at or behind this address. */
static int64_t find_hole(const struct holes *l, int64_t at) {
    int64_t low = 0;
    int64_t high = l->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (l->hole[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert_hole(struct holes *l, int64_t i, struct hole h) {
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->hole = mem_grow(l->hole, (size_t)l->cap, sizeof *l->hole);
    }
    memmove(l->hole + i + 1, l->hole + i, (size_t)(l->n - i) * sizeof *l->hole);
    l->hole[i] = h;
    l->n++;
}

static void remove_hole(struct holes *l, int64_t i) {
    l->n--;
    memmove(l->hole + i, l->hole + i + 1, (size_t)(l->n - i) * sizeof *l->hole);
}

/* The power of two that holds size: its logarithm. */
static int order_of(int64_t size) {
    return size <= 1 ? 0 : 64 - __builtin_clzll((unsigned long long)size - 1);
}

struct arena *arena_new(enum arena_kind kind, int64_t size) {
    struct arena *a = mem_alloc(sizeof *a);
    a->kind = kind;
    a->size = size;
    if (kind == ARENA_FIRST_FIT) {
        insert_hole(&a->list[0], 0, (struct hole){0, size});
        return a;
    }
    int64_t at = 0;
    for (int k = ORDERS - 1; k >= 0; k--) {
        int64_t piece = (int64_t)1 << k;
        if (size & piece) {
            insert_hole(&a->list[k], 0, (struct hole){at, piece});
            at += piece;
        }
    }
    return a;
}

void arena_free(struct arena *a) {
    if (!a)
        return;
    for (int k = 0; k < ORDERS; k++)
        free(a->list[k].hole);
    free(a);
}

int64_t arena_most(const struct arena *a) {
    if (a->kind == ARENA_FIRST_FIT)
        return a->size;
    return (int64_t)1 << (63 - __builtin_clzll((unsigned long long)a->size));
}

/* ---- first fit -------------------------------------------------------------------------- */

static int64_t take_first(struct arena *a, int64_t size) {
    struct holes *l = &a->list[0];
    for (int64_t i = 0; i < l->n; i++) {
        struct hole *h = &l->hole[i];
        int64_t at = h->at;
        if (h->size < size)
            continue;
        h->at += size;
        h->size -= size;
        if (!h->size)
            remove_hole(l, i);
        return at;
    }
    return -1;
}

/* Joins the holes before and behind. */
static void give_first(struct arena *a, int64_t at, int64_t size) {
    struct holes *l = &a->list[0];
    int64_t i = find_hole(l, at);
    if (i < l->n && l->hole[i].at == at + size) {
        size += l->hole[i].size;
        remove_hole(l, i);
    }
    if (i > 0 && l->hole[i - 1].at + l->hole[i - 1].size == at)
        l->hole[i - 1].size += size;
    else
        insert_hole(l, i, (struct hole){at, size});
}

/* ---- buddy ------------------------------------------------------------------------------ */

static int64_t take_buddy(struct arena *a, int order) {
    int k = order;
    while (k < ORDERS && a->list[k].n == 0)
        k++;
    if (k >= ORDERS)
        return -1;
    int64_t at = a->list[k].hole[0].at;
    remove_hole(&a->list[k], 0);
    while (k-- > order) {
        int64_t half = (int64_t)1 << k;
        insert_hole(&a->list[k], find_hole(&a->list[k], at + half), (struct hole){at + half, half});
    }
    return at;
}

static void give_buddy(struct arena *a, int64_t at, int order) {
    for (;; order++) {
        struct holes *l = &a->list[order];
        int64_t piece = (int64_t)1 << order;
        int64_t other = at ^ piece;
        int64_t i = find_hole(l, other);
        if (i == l->n || l->hole[i].at != other)
            break;
        remove_hole(l, i);
        at &= ~piece;
    }
    struct holes *l = &a->list[order];
    insert_hole(l, find_hole(l, at), (struct hole){at, (int64_t)1 << order});
}

/* ---- both ------------------------------------------------------------------------------- */

int64_t arena_take(struct arena *a, int64_t size, int64_t *taken) {
    assert(size >= 1 && size <= ARENA_MOST);
    *taken = a->kind == ARENA_FIRST_FIT ? size : (int64_t)1 << order_of(size);
    return a->kind == ARENA_FIRST_FIT ? take_first(a, size) : take_buddy(a, order_of(size));
}

void arena_give(struct arena *a, int64_t at, int64_t taken) {
    if (a->kind == ARENA_FIRST_FIT)
        give_first(a, at, taken);
    else
        give_buddy(a, at, order_of(taken));
}
