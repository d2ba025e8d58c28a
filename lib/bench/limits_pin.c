/* limits_pin.c - threads on cores of their own, see limits.h
 *
 * A limit is that of all cores at work. Schedulers leave two busy threads on one core for seconds
 * (seen in small virtual machines), and then no window shows it.
 */
#include "lib/bench/limits.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"

#define MOST_CPUS 65536         /* more than any kernel is built for: one mask size for all */

struct limits_cpus {
    cpu_set_t *all;             /* what the process may use */
    int n;
    int *cpu;                   /* [n] */
};

/* Whether a processor is the first of its core's, by the list of those that share the core. */
static int first_of_core(int cpu) {
    char path[96];
    int first = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%d", &first) != 1)
            first = cpu;
        fclose(f);
    }
    return first == cpu;
}

struct limits_cpus *limits_cpus_new(void) {
    struct limits_cpus *c = mem_alloc(sizeof *c);
    size_t bytes = CPU_ALLOC_SIZE(MOST_CPUS);
    c->all = mem_alloc(bytes);
    if (sched_getaffinity(0, bytes, c->all))
        return c;
    c->cpu = mem_array((size_t)CPU_COUNT_S(bytes, c->all) + 1, sizeof *c->cpu);
    for (int second = 0; second < 2; second++)
        for (int i = 0; i < MOST_CPUS; i++)
            if (CPU_ISSET_S((size_t)i, bytes, c->all) && first_of_core(i) != second)
                c->cpu[c->n++] = i;
    return c;
}

int limits_cpus_count(const struct limits_cpus *c) {
    return c->n;
}

void limits_cpus_free(struct limits_cpus *c) {
    if (!c)
        return;
    free(c->all);
    free(c->cpu);
    free(c);
}

/* A thread that the system does not let go there stays where it is. */
static void pin_one(void *arg, int ith, int nth) {
    const struct limits_cpus *c = arg;
    cpu_set_t *one = mem_alloc(CPU_ALLOC_SIZE(MOST_CPUS));
    (void)nth;
    CPU_SET_S((size_t)c->cpu[ith % c->n], CPU_ALLOC_SIZE(MOST_CPUS), one);
    sched_setaffinity(0, CPU_ALLOC_SIZE(MOST_CPUS), one);
    free(one);
}

static void unpin_one(void *arg, int ith, int nth) {
    const struct limits_cpus *c = arg;
    (void)ith;
    (void)nth;
    sched_setaffinity(0, CPU_ALLOC_SIZE(MOST_CPUS), c->all);
}

void limits_pin(struct par *par, struct limits_cpus *c) {
    if (c->n)
        par_run(par, pin_one, c);
}

void limits_unpin(struct par *par, struct limits_cpus *c) {
    if (c->n)
        par_run(par, unpin_one, c);
}
