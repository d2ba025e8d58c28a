/* arena.h - contiguous pieces of an address space: a buddy and a first-fit allocator
 *
 *     struct arena *a = arena_new(ARENA_BUDDY, 1 << 20);
 *     int64_t at = arena_take(a, 1000, &taken);       // -1: no hole is large enough
 *     arena_give(a, at, taken);
 *     arena_free(a);
 *
 * Units are whatever the caller counts in; no memory is behind the addresses.
 *
 * Buddy (Knowlton 1965; Knuth, TAOCP 1, section 2.5): pieces are powers of two at multiples of
 * their size. The smallest free piece that is large enough, of those the lowest, is halved down to
 * the power of two that the request needs; a piece given back joins its other half as often as
 * that one is free. A size that is no power of two starts as several pieces, the largest first.
 * First fit: the lowest hole that is large enough, cut to what was asked for.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdint.h>

enum arena_kind { ARENA_BUDDY, ARENA_FIRST_FIT };

struct arena;

#define ARENA_MOST ((int64_t)1 << 62)

struct arena *arena_new(enum arena_kind kind, int64_t size);    /* 1 to ARENA_MOST */
void arena_free(struct arena *a);                       /* NULL is fine */
/* The address of a piece for size units, or -1; *taken is what it takes from the arena. */
int64_t arena_take(struct arena *a, int64_t size, int64_t *taken);
void arena_give(struct arena *a, int64_t at, int64_t taken);
/* The largest size that the empty arena can give. */
int64_t arena_most(const struct arena *a);

#endif
