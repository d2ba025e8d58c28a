/* radix.h - private to lib/cache: a radix tree of blocks that gives up whole leaves
 *
 * A node is a run of blocks that came with one request; the blocks of its ancestors stand before
 * it. Who shares only the front of a run cuts it in two. No block is in the tree without all the
 * blocks before it: hence what it holds of a request is a prefix, found by bisection, and a
 * block's node is known by the block's number, without hashing.
 *
 *     n = radix_match(t, id, most);        // blocks of the longest prefix, at most `most`
 *     radix_lock(t, id, n);                // it stays, whatever leaves
 *     radix_make_room(t, extra);
 *     radix_add(t, id + n, extra);         // behind what is locked, and locked as well
 *     radix_unlock(t);                     // all that was locked counts as used now
 *
 * Which stamps a node has, when they change and what a cut passes on is SGLang's radix_cache.py,
 * as its policies read them.
 */
#ifndef RADIX_H
#define RADIX_H

#include "lib/cache/policy.h"

struct radix_node {
    const uint32_t *id;         /* [blocks], in the trace; NULL: blocks of nobody else's */
    uint32_t blocks;            /* at least 1 */
    uint32_t end;               /* blocks from the root to its last one */
    uint32_t parent, children;
    uint32_t hits;              /* requests that locked it, the one that brought it included */
    uint32_t used, made;        /* stamps: the latest use, when it came to be (a cut makes anew) */
    uint32_t place;             /* among the leaves that may leave + 1; 0: not among them */
};

struct radix;
/* The leaf with the lowest rank leaves first. */
typedef uint64_t radix_rank(const struct radix *t, const struct radix_node *n);

struct radix_leaf {
    uint64_t rank;
    uint32_t node;
};

struct radix {
    struct policy p;            /* born is [nodes] */
    radix_rank *rank;
    uint32_t protect;           /* for ranks: hits that protect a node */
    const uint32_t *id;         /* [accesses] stands for blocks->id: numbers that tell prefixes */
    uint32_t *own_id;           /* the same, where the trace's own did not do; or NULL */
    uint32_t *number;           /* [blocks->unique] of each id the first number; or NULL: itself */
    uint32_t *node_of;          /* [numbers] node, or none */
    struct radix_node *node;    /* 0 is the root */
    struct radix_leaf *leaf;    /* heap of the leaves that may leave */
    uint32_t leaves;
    uint32_t fresh, unused;     /* nodes never used start at fresh; a list of others, or 0 */
    uint32_t locked;            /* this node and its ancestors stay; 0: nothing is locked */
    uint32_t now, making;       /* stamps given so far */
};

/* -1 with err when the trace is too large. A block that stands behind different blocks in
 * different requests is several blocks here, as its content depends on what is before it. */
int radix_init(struct radix *t, const struct sim_setup *s, radix_rank *rank, struct err *err);
void radix_clear(struct radix *t);

/* How many of the n blocks, from the first on, are in the tree. */
int64_t radix_match(const struct radix *t, const uint32_t *id, int64_t n);
/* Locks the first n of them, which are in the tree, in place of what was locked: a part of it. */
void radix_lock(struct radix *t, const uint32_t *id, int64_t n);
/* Leaves leave until `blocks` more fit, or only locked nodes are left. */
void radix_make_room(struct radix *t, int64_t blocks);
/* Puts n blocks, for which there is room, behind what is locked. id is borrowed; NULL: nobody
 * else has them. */
void radix_add(struct radix *t, const uint32_t *id, int64_t n);
void radix_unlock(struct radix *t);
/* Is the block of this id (of blocks->id) in the tree? */
int radix_holds(const struct radix *t, uint32_t id);

#endif
