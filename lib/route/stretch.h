/* stretch.h - tokens that follow each other in a trace, as the counters of statistics take them
 *
 * Counters are called in two steps: once for the stretch (x_begin, by one thread), then once for
 * each layer (x_add), where layers may run on different threads at the same time. Stretches come in
 * the order of the trace; where it is cut into them changes no result.
 */
#ifndef STRETCH_H
#define STRETCH_H

#include <stddef.h>
#include <stdint.h>

#define STRETCH_TOKENS 4096     /* the most */

struct stretch {
    int n;                      /* tokens */
    int layers, k;
    const int16_t *expert;      /* [n][layers][k], -1: none */
    const uint32_t *request;    /* [n] */
    const uint32_t *position;   /* [n] in its request */
    const uint32_t *pass;       /* [n] the number of its pass, from 1 */
    const uint8_t *accepted;    /* [n] 0: a drafted token that was taken back */
};

/* Experts of a token in a layer: [k]. */
static inline const int16_t *stretch_at(const struct stretch *s, int token, int layer) {
    return s->expert + ((size_t)token * (size_t)s->layers + (size_t)layer) * (size_t)s->k;
}

#endif
