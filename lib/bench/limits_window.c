/* limits_window.c - a window of work by all threads of a team, see limits_impl.h */
#include "lib/bench/limits_impl.h"

#include <sched.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

/* Where the system grants a team fewer threads, one does the work of several in turn, and they can
 * never be there together: after so long the window begins without them. */
#define PATIENCE_NS 50000000

void window_open(struct window *w, const struct par *par, double seconds) {
    w->threads = par_threads(par);
    w->length_ns = (int64_t)(seconds * 1e9);
    atomic_init(&w->arrived, 0);
    atomic_init(&w->start_ns, 0);
    w->done = mem_array((size_t)w->threads, sizeof *w->done);
    w->end_ns = mem_array((size_t)w->threads, sizeof *w->end_ns);
}

static void start_clock(struct window *w) {
    long long none = 0;
    atomic_compare_exchange_strong(&w->start_ns, &none, clock_ns());
}

int64_t window_begin(struct window *w) {
    int64_t came = clock_ns();
    if (atomic_fetch_add(&w->arrived, 1) + 1 == w->threads)
        start_clock(w);
    for (unsigned spins = 1; !atomic_load_explicit(&w->start_ns, memory_order_acquire); spins++) {
        if (spins % 1024)
            continue;
        sched_yield();
        if (clock_ns() - came > PATIENCE_NS)
            start_clock(w);
    }
    return atomic_load(&w->start_ns) + w->length_ns;
}

void window_end(struct window *w, int ith, double done) {
    w->done[ith] = done;
    w->end_ns[ith] = clock_ns();
}

double window_close(struct window *w) {
    double sum = 0;
    int64_t end = 0;
    for (int t = 0; t < w->threads; t++) {
        sum += w->done[t];
        end = w->end_ns[t] > end ? w->end_ns[t] : end;
    }
    free(w->done);
    free(w->end_ns);
    return sum / ((double)(end - atomic_load(&w->start_ns)) * 1e-9);
}
