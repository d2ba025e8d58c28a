/* progress.h - one line on stderr that shows how far a long job is
 *
 *     struct progress p;
 *     progress_start(&p, "loading", PROGRESS_BYTES, quiet);
 *     progress_update(&p, done, total);       // as often as you like
 *     progress_end(&p);                       // takes the line away
 *
 * Shown only when stderr is a terminal and the job has lasted a second.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdint.h>

enum progress_unit { PROGRESS_COUNT, PROGRESS_BYTES };

struct progress {
    const char *what;
    enum progress_unit unit;
    int enabled, shown;
    int64_t start_ns, next_ns;
};

void progress_start(struct progress *p, const char *what, enum progress_unit unit, int quiet);
void progress_update(struct progress *p, int64_t done, int64_t total);  /* total -1: unknown */
/* The same as a callback of jobs that take one; arg is the struct progress. */
void progress_show(void *arg, int64_t done, int64_t total);
void progress_end(struct progress *p);

#endif
