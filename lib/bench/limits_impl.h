/* limits_impl.h - a window of work by all threads of a team; shared by the files limits*.c
 *
 *     struct window w;
 *     window_open(&w, par, seconds);
 *     par_run(par, worker, &job);      // each thread: window_begin, work until then, window_end
 *     double rate = window_close(&w);
 *
 * A window lasts a few milliseconds, and a sleeping thread takes up to a tenth of one to wake. So
 * the clock starts when the last thread has arrived, and stops when the last is done.
 */
#ifndef LIMITS_IMPL_H
#define LIMITS_IMPL_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/par.h"

struct window {
    int threads;
    int64_t length_ns;
    atomic_int arrived;
    atomic_llong start_ns;      /* 0: not all are there */
    double *done;               /* [threads] units of work */
    int64_t *end_ns;            /* [threads] */
};

void window_open(struct window *w, const struct par *par, double seconds);
/* Returns when all threads have called it; the time at which to stop. */
int64_t window_begin(struct window *w);
void window_end(struct window *w, int ith, double done);
/* Units a second of all threads together; frees what window_open made. */
double window_close(struct window *w);

#endif
