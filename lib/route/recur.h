/* recur.h - how soon experts come back: overlap with the token before, reuse, experts of a pass
 *
 *     struct recur *r = recur_new(layers, experts);
 *     recur_begin(r, &stretch);
 *     recur_add(r, &stretch, layer, same, pairs);          // for each layer, on any threads
 *     recur_result(r, layer, &result);
 *     recur_free(r);
 *
 * The token before is the one of the same request at the position before. A reuse distance counts
 * tokens of the request in the trace: 1 when the very next token uses the expert again. Last uses,
 * which nothing follows, have none. Drafted tokens that were taken back count for the experts of a
 * pass alone. A request whose position does not rise begins anew.
 *
 * Memory: 4 bytes for each request, layer and expert, of the requests that were seen last, 64 MiB
 * of them (at least 64 requests, at most 4096). One that comes back after so many others begins
 * anew, and recur_forgotten counts it.
 */
#ifndef RECUR_H
#define RECUR_H

#include <stdint.h>

#include "lib/route/stretch.h"

struct recur;

struct recur *recur_new(int layers, int experts);
void recur_free(struct recur *r);                       /* NULL is fine */
/* From now on ids below `experts` may come. Between stretches. */
void recur_grow(struct recur *r, int experts);
void recur_begin(struct recur *r, const struct stretch *s);
/* same[n] becomes how many of each token's experts the token before used, of[n] how many it has;
 * 0 and 0 for a token without one before. */
void recur_add(struct recur *r, const struct stretch *s, int layer, uint16_t *same, uint16_t *of);

struct recur_result {
    double lag1;                /* share of the experts that the token before used; NAN: no token
                                 * has one before */
    int64_t reuses;             /* uses of an expert that its request had used before */
    double reuse_share;         /* of all uses */
    double reuse_median, reuse_mean;    /* tokens; the median within 1/256 */
    double pass_experts;        /* distinct experts of a pass, the mean */
};
void recur_result(const struct recur *r, int layer, struct recur_result *out);
int64_t recur_forgotten(const struct recur *r);         /* requests that had to begin anew */

#endif
