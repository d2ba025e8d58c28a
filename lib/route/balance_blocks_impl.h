/* balance_blocks_impl.h - counts by blocks, for balance_blocks*.c */
#ifndef BALANCE_BLOCKS_IMPL_H
#define BALANCE_BLOCKS_IMPL_H

#include "lib/route/balance_blocks.h"

#define BLOCKS 64
#define FIRST_LENGTH 8
/* Requests are dealt by their number; a prime, which no period of the requests divides. */
#define GROUPS 61
#define GROUPS_LEAST 20

struct overlap {
    int64_t same, of;
};

/* One way to part the trace. */
struct parting {
    int n;                      /* BLOCKS or GROUPS */
    uint32_t *count;            /* [layers][n][room] */
    struct overlap *overlap;    /* [layers][n] */
    uint8_t part[STRETCH_TOKENS];       /* of the stretch's tokens */
};

struct balance_blocks {
    int layers, room;
    int64_t tokens;             /* of all stretches so far */
    int64_t length;             /* of a block */
    int64_t *layer_tokens;      /* [layers] */
    struct parting blocks;
    struct parting groups;      /* nothing in it while there is one request */
    int any;                    /* 1: there were tokens */
    uint32_t request;           /* of the first */
};

static inline uint32_t *parting_count(const struct parting *p, int layer, int part, int room) {
    return p->count + ((size_t)layer * (size_t)p->n + (size_t)part) * (size_t)room;
}

static inline struct overlap *parting_overlap(const struct parting *p, int layer, int part) {
    return p->overlap + (size_t)layer * (size_t)p->n + (size_t)part;
}

#endif
