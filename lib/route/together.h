/* together.h - which experts of a layer are used by the same tokens
 *
 *     struct together *t = together_new(layers, experts);         // NULL: too many pairs
 *     together_add(t, &stretch, layer);                           // any threads
 *     n = together_top(t, layer, experts, count, tokens, 10, 5, pair);
 *     together_free(t);
 *
 * Memory: 8 bytes for each layer and pair of experts.
 */
#ifndef TOGETHER_H
#define TOGETHER_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/route/stretch.h"

struct together;

/* NULL: 4 GiB are not enough for the pairs. */
struct together *together_new(int layers, int experts, struct err *err);
void together_free(struct together *t);                 /* NULL is fine */
/* From now on ids below `experts` may come. Between stretches. 0 or -1, as above. */
int together_grow(struct together *t, int experts, struct err *err);
void together_add(struct together *t, const struct stretch *s, int layer);
/* Tokens that used both a and b. */
int64_t together_tokens(const struct together *t, int layer, int a, int b);

struct together_pair {
    int a, b;                   /* a < b */
    int64_t tokens;             /* that used both */
    double expected;            /* were the two independent: count[a] count[b] / tokens */
    double lift;                /* tokens / expected: P(ab) / (P(a) P(b)) */
    double z;                   /* the difference over its deviation, were the two independent
                                 * (hypergeometric; from about 5 expected on nearly normal) */
};

/* The `most` pairs of a layer with the largest lift, of those with at least `least` tokens
 * expected: chance makes the lift of rare pairs large. count[experts] and tokens: of the layer.
 * Returns how many there are; out[most]. Equal ones in the order of a and b. */
int together_top(const struct together *t, int layer, int experts, const double *count,
                 int64_t tokens, int most, double least, struct together_pair *out);

/* The lift of every pair were all of them alike: a token that uses an expert has one place less for
 * each other one. k: experts of a token, the mean. */
double together_alike(double k, int experts);

#endif
