/* limits.h - what this machine can do at most: bandwidth, arithmetic, latencies
 *
 *     struct limits l;
 *     limits_measure(par, 0.5, &l, &err);
 *     double share = bytes_per_s / l.read_bytes_per_s;
 *
 * Each figure is the best of several windows, since a shared machine can only be slower than it
 * is. The clock holds nothing but the loop. A multiply-add counts two operations.
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/par.h"

struct limits {
    double read_bytes_per_s;    /* sequential, far beyond the caches, each thread its own stream */
    double f32, bf16, int8;     /* operations a second; 0: no such unit */
};

/* With all threads of par, about `seconds` a figure. -1: no memory. */
int limits_measure(struct par *par, double seconds, struct limits *out, struct err *err);

#endif
