/* bench_eplb.c - how long a plan of lib/route/eplb takes
 *
 *     bench_eplb [-n REPEATS] [LAYERS EXPERTS RANKS NODES SLOTS GROUPS]
 *     bench_eplb -w LAYERS EXPERTS                                 the counts, as a table
 *     bench_eplb -p LAYERS EXPERTS RANKS NODES SLOTS GROUPS        the plan, as JSON
 *
 * Prints for some shapes, or for that one, the median, the least and the most milliseconds of
 * REPEATS (101) whole plans, by the processor's time of this one thread. Inside the clock:
 * eplb_fill, from counts in memory to slots in memory, all layers. Counts are squares of uniform
 * numbers: the largest is 4 times the median.
 *
 * -w and -p give others the same counts and the answer, to be compared with the published code's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/base/rng.h"
#include "lib/route/eplb.h"
#include "lib/route/placement_json.h"
#include "lib/stat/order.h"

struct job {
    int layers, experts, ranks, nodes, slots, groups;
};

static const struct job jobs[] = {
    {61, 256, 32, 4, 320, 8}, {61, 256, 64, 8, 320, 8}, {61, 256, 320, 40, 320, 8},
    {61, 256, 32, 4, 320, 1}, {61, 256, 64, 1, 320, 1}, {58, 256, 32, 4, 288, 8},
    {58, 256, 128, 16, 384, 8}, {48, 128, 8, 1, 144, 1}, {16, 64, 8, 1, 72, 1}};

static _Noreturn void fail(const char *text) {
    fprintf(stderr, "bench_eplb: %s\n", text);
    exit(EXIT_FAILURE);
}

static double *make_counts(int layers, int experts) {
    size_t n = (size_t)layers * (size_t)experts;
    double *count = mem_array(n, sizeof *count);
    struct rng r = {1};
    for (size_t i = 0; i < n; i++) {
        uint64_t x = 1 + rng_below(&r, 1 << 20);
        count[i] = (double)(x * x >> 20);
    }
    return count;
}

static double cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static struct placement *open_plan(const struct job *j) {
    struct placement_grid grid = {j->ranks, j->nodes, j->slots};
    struct err err;
    if (placement_grid_check(&grid, j->experts, &err))
        fail(err.text);
    return placement_new(j->layers, j->experts, &grid);
}

static void bench(const struct job *j, int repeats) {
    struct err err;
    double *count = make_counts(j->layers, j->experts);
    double *ms = mem_array((size_t)repeats, sizeof *ms);
    struct placement *p = open_plan(j);
    for (int i = -1; i < repeats; i++) {
        double begin = cpu_ms();
        if (eplb_fill(p, count, j->groups, &err))
            fail(err.text);
        if (i >= 0)
            ms[i] = cpu_ms() - begin;
    }
    order_sort(ms, (size_t)repeats);
    printf("%d\t%d\t%d\t%d\t%d\t%d\t%.4f\t%.4f\t%.4f\n", j->layers, j->experts, j->ranks, j->nodes,
           j->slots, j->groups, order_quantile(ms, (size_t)repeats, 0.5), ms[0],
           ms[repeats - 1]);
    placement_free(p);
    free(count);
    free(ms);
}

static void write_counts(const struct job *j) {
    double *count = make_counts(j->layers, j->experts);
    printf("layer\texpert\tcount\n");
    for (int i = 0; i < j->layers; i++)
        for (int e = 0; e < j->experts; e++)
            printf("%d\t%d\t%.0f\n", i, e, count[i * j->experts + e]);
    free(count);
}

static void write_plan(const struct job *j) {
    struct err err;
    double *count = make_counts(j->layers, j->experts);
    struct placement *p = open_plan(j);
    if (eplb_fill(p, count, j->groups, &err) ||
        placement_write(p, PLACEMENT_FULL, 0, "-", &err))
        fail(err.text);
    placement_free(p);
    free(count);
}

static struct job read_job(char **argv, int n) {
    int64_t x[6] = {1, 1, 1, 1, 1, 1};
    for (int i = 0; i < n; i++)
        if (num_int(argv[i], 1, PLACEMENT_SLOTS_MOST, &x[i]))
            fail("LAYERS EXPERTS RANKS NODES SLOTS GROUPS: whole numbers from 1");
    return (struct job){(int)x[0], (int)x[1], (int)x[2], (int)x[3], (int)x[4], (int)x[5]};
}

int main(int argc, char **argv) {
    int64_t repeats = 101;
    int mode = 0;
    int c;
    while ((c = getopt(argc, argv, "n:wp")) != -1) {
        if (c == 'n' && num_int(optarg, 1, 1000000, &repeats))
            fail("-n REPEATS: a whole number from 1 to 1000000");
        if (c == '?')
            return 2;
        if (c != 'n')
            mode = c;
    }
    int n = argc - optind;
    if (mode == 'w' ? n != 2 : n != 6 && (n || mode))
        fail("usage: bench_eplb [-n REPEATS] [-p] [LAYERS EXPERTS RANKS NODES SLOTS GROUPS], or "
             "-w LAYERS EXPERTS");
    struct job one = read_job(argv + optind, n);
    if (mode == 'w') {
        write_counts(&one);
    } else if (mode == 'p') {
        write_plan(&one);
    } else {
        printf("layers\texperts\tranks\tnodes\tslots\tgroups\tms\tlow\thigh\n");
        for (size_t i = 0; i < (n ? 1 : sizeof jobs / sizeof *jobs); i++)
            bench(n ? &one : &jobs[i], (int)repeats);
    }
    return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
