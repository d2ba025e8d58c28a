/* clock.h - time */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Nanoseconds of a clock that never jumps (CLOCK_MONOTONIC). */
int64_t clock_ns(void);

#endif
