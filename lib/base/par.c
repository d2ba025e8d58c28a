/* par.c - a team of threads over OpenMP, see par.h
 *
 * libgomp keeps its threads between parallel regions and lets them spin for a moment, so that
 * a region costs about a microsecond; there is nothing to hold here but the width.
 */
#include "lib/base/par.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>

#include "lib/base/mem.h"

struct par {
    int n;
};

/* Cores in the affinity mask of this process; the mask may be wider than cpu_set_t. */
static int cores(void) {
    for (int width = 1024; width <= 1 << 20; width *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)width);
        if (!set)
            break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)width);
        int n = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (n > 0)
            return n;
    }
    return 1;
}

struct par *par_new(int n) {
    struct par *p = mem_alloc(sizeof *p);
    p->n = n > 0 ? n : cores();
    return p;
}

void par_free(struct par *p) {
    free(p);
}

int par_threads(const struct par *p) {
    return p->n;
}

void par_run(void *par, void (*fn)(void *arg, int ith, int nth), void *arg) {
    int n = ((struct par *)par)->n;
    if (n == 1) {
        fn(arg, 0, 1);
        return;
    }
    /* OMP_THREAD_LIMIT may grant fewer threads than asked for: every share is still done. */
#pragma omp parallel num_threads(n)
    for (int i = omp_get_thread_num(); i < n; i += omp_get_num_threads())
        fn(arg, i, n);
}
