/* traffic.h - what a placement does to traffic: how even its ranks are, how far its tokens go
 *
 *     const struct traffic_part part = {.set = set, .to = set->tokens};
 *     struct traffic t = {.part = &part, .parts = 1, .window = 32};
 *     if (traffic_ready(&t, &err)) ...
 *     traffic_measure(&t, placement, layer, &m, NULL);
 *
 * Traffic is parts of traces, or counts of experts, or both. Windows are what ranks must be even
 * in: runs of consecutive tokens, as passes of a server are; the tokens of a part are cut into
 * windows of (nearly) `window` tokens. A part of counts is one window. Everything is borrowed and
 * nothing but this view is kept, so that memory does not grow with the number of windows.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/route/loads.h"
#include "lib/route/placement.h"

struct traffic_part {
    const struct routed_set *set;       /* its tokens [from, to) */
    int64_t from, to;
    const struct loads *loads;          /* in place of set: counts */
};

struct traffic {
    const struct traffic_part *part;    /* [parts] */
    int parts;
    int64_t window;             /* tokens */
    int experts;                /* of a layer, at least; traffic_ready makes it those of the part
                                 * that has most */
    int layers, k;              /* set by traffic_ready, too; k: the most experts that a token has,
                                 * 0 without a trace */
    int64_t windows;
};

/* Sets experts and what follows. -1: no parts, or parts of different layers. */
int traffic_ready(struct traffic *t, struct err *err);
const struct routed_model *traffic_model(const struct traffic_part *p);

/* count[experts] becomes the tokens of each expert of a layer. */
void traffic_count(const struct traffic *t, int layer, double *count);
/* The same of one window. */
void traffic_window(const struct traffic *t, int layer, int64_t window, double *count);

struct traffic_measure {
    double max_over_mean;       /* of the ranks' loads in all; NAN where there are none */
    double excess;              /* mean over windows of max / mean of the ranks' loads, less 1 */
    double balancedness;        /* mean over windows of mean / max, as SGLang has it */
    double nodes_per_token;     /* distinct nodes that a token's experts live on, the replica of
                                 * each drawn at random; NAN for counts */
};

/* excess[windows] (NULL: not wanted) becomes max / mean - 1 of each, NAN for an empty window. The
 * placement has at least the experts of the traffic. */
void traffic_measure(const struct traffic *t, const struct placement *p, int layer,
                     struct traffic_measure *out, double *excess);

/* ---- what goes together -------------------------------------------------------------------- */

/* moment[experts][experts] becomes the mean of the product of the loads of two experts, in parts of
 * what a rank has on average were there `ranks`: over windows of 1, 2, 4, ... tokens up to
 * `window`, each length and each part counting alike. At most TRAFFIC_SAMPLE windows of a length,
 * evenly spread, are looked at. */
void traffic_moment(const struct traffic *t, int layer, int ranks, double *moment);
#define TRAFFIC_SAMPLE 1024
/* together[experts][experts] becomes the share of tokens that go to both, the diagonal 0. Parts of
 * counts do not say. 0: there is none. */
int traffic_together(const struct traffic *t, int layer, double *together);

#endif
