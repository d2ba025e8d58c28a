/* diverge_units.h - cuts two parts of traces into units that may be shuffled as wholes
 *
 *     struct diverge_part part[2] = {{.set = a}, {.set = b}};
 *     struct diverge_units *u = diverge_units_cut(part, &(struct diverge_cut){0});
 *     ...                                             // diverge_test (diverge.h)
 *     diverge_units_free(u);
 *
 * Tokens of a request are no independent samples: what follows is routed much as what went before.
 * So the unit is the whole request where each side has DIVERGE_UNITS_LEAST of them. Otherwise it is
 * a block of consecutive tokens, ten times as long as the routes remember: tau = 1 + 2 sum of the
 * autocorrelation r(h) of the sets of experts that tokens use, all layers together, where
 * r(h) = (O(h) - S) / (O(0) - S), O(h) is the mean count of experts that tokens h apart share, and
 * S the sum of squared rates; summed to the first lag that is 5 tau (Sokal, "Monte Carlo methods in
 * statistical mechanics", 1997). With blocks of 10 tau the variance of their means is 5 % below
 * what the long run has.
 */
#ifndef DIVERGE_UNITS_H
#define DIVERGE_UNITS_H

#include "lib/trace/routed.h"

#define DIVERGE_UNITS_LEAST 6   /* of a side; 2 / C(12, 6) is a p of 0.002 */
#define DIVERGE_UNITS_MOST 256  /* of a side: further ones are merged with their neighbours */
#define DIVERGE_BLOCK_TAUS 10   /* length of a block; down to DIVERGE_BLOCK_SHORT where tokens are
                                 * few, which is said, and no lower than DIVERGE_BLOCK_LEAST */
#define DIVERGE_BLOCK_SHORT 5
#define DIVERGE_BLOCK_LEAST 2
#define DIVERGE_NO_TOPIC UINT32_MAX

enum diverge_unit { DIVERGE_AUTO, DIVERGE_REQUESTS, DIVERGE_BLOCKS };

struct diverge_part {
    const struct routed_set *set;       /* borrowed during the call */
    const uint32_t *topic;      /* [tokens] what the token is about, a small number, or
                                 * DIVERGE_NO_TOPIC; NULL: all of one topic, 0 */
};

struct diverge_cut {
    enum diverge_unit unit;
    int64_t block;              /* tokens; 0: as above */
    int paired;                 /* 1: a request of a belongs to the one of that number of b, if all
                                 * are on both sides and requests are the units */
};

struct diverge_units {
    int layers, experts;
    int stride;                 /* experts, up to a multiple of 8 */
    size_t n;
    uint32_t *count;            /* [layers][n][stride] tokens sent to an expert */
    int64_t *tokens;            /* [n] */
    uint8_t *side;              /* [n] 0: a, 1: b */
    uint32_t *topic;            /* [n] units stand in the order of topics */
    uint32_t *pair;             /* [n] units of one number are a pair; NULL: not paired */
    size_t of_side[2];
    int64_t side_tokens[2];
    int64_t requests[2];
    enum diverge_unit unit;     /* what it is */
    int64_t block;              /* tokens, of blocks */
    double tau;                 /* of blocks whose length was not given, else NAN */
};

/* Experts of both parts must be the same in number, and layers. Empty parts give no units. */
struct diverge_units *diverge_units_cut(const struct diverge_part part[2],
                                        const struct diverge_cut *cut);
void diverge_units_free(struct diverge_units *u);           /* NULL is fine */
/* Tokens after which routes have forgotten, as above; order[n] numbers the tokens of a text in
 * order. At least 1. */
double diverge_memory(const struct routed_set *s, const int64_t *order, int64_t n);

#endif
