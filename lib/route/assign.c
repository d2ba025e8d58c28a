/* assign.c - see assign.h
 *
 * Workers are taken on one at a time. Prices of workers and jobs are kept such that no pair costs
 * less than its prices and every pair that is made costs exactly those. A new worker looks for the
 * cheapest chain of changes that ends at a free job: Dijkstra's search over jobs, where the length
 * of a step is what a pair costs above its prices.
 */
#include "lib/route/assign.h"

#include <stdlib.h>

#include "lib/base/mem.h"

struct assign {
    const int64_t *cost;
    int n;
    int64_t *worker_price;      /* [n] */
    int64_t *job_price;         /* [n + 1] */
    int32_t *worker;            /* [n + 1] of a job, -1: free; job n is where the new one starts */
    int32_t *before;            /* [n + 1] the job before on the way there */
    int64_t *way;               /* [n + 1] length of the shortest one so far */
    char *seen;                 /* [n + 1] */
};

/* One step of the search from a job: ways over its worker. Returns the nearest job that is not
 * seen, and *step how much farther it is. */
static int nearest(struct assign *a, int from, int64_t *step) {
    int w = a->worker[from];
    int best = -1;
    for (int j = 0; j < a->n; j++) {
        if (a->seen[j])
            continue;
        int64_t way = a->cost[(int64_t)w * a->n + j] - a->worker_price[w] - a->job_price[j];
        if (way < a->way[j]) {
            a->way[j] = way;
            a->before[j] = from;
        }
        if (best < 0 || a->way[j] < a->way[best])
            best = j;
    }
    *step = a->way[best];
    return best;
}

/* What was seen comes nearer by step, so that the pair of the nearest job costs its prices. */
static void reprice(struct assign *a, int64_t step) {
    for (int j = 0; j <= a->n; j++) {
        if (a->seen[j]) {
            a->worker_price[a->worker[j]] += step;
            a->job_price[j] -= step;
        } else {
            a->way[j] -= step;
        }
    }
}

static void take_on(struct assign *a, int worker) {
    int at = a->n;
    for (int j = 0; j <= a->n; j++) {
        a->way[j] = INT64_MAX;
        a->seen[j] = 0;
    }
    a->worker[at] = worker;
    do {
        int64_t step;
        a->seen[at] = 1;
        int next = nearest(a, at, &step);
        reprice(a, step);
        at = next;
    } while (a->worker[at] >= 0);
    for (; at != a->n; at = a->before[at])
        a->worker[at] = a->worker[a->before[at]];
}

int64_t assign_least(const int64_t *cost, int n, int32_t *job) {
    size_t size = (size_t)n + 1;
    int64_t sum = 0;
    struct assign a = {.cost = cost, .n = n, .worker_price = mem_array(size, sizeof(int64_t)),
        .job_price = mem_array(size, sizeof(int64_t)), .worker = mem_array(size, sizeof(int32_t)),
        .before = mem_array(size, sizeof(int32_t)), .way = mem_array(size, sizeof(int64_t)),
        .seen = mem_alloc(size)};
    for (int j = 0; j < n; j++)
        a.worker[j] = -1;
    for (int w = 0; w < n; w++)
        take_on(&a, w);
    for (int j = 0; j < n; j++) {
        job[a.worker[j]] = j;
        sum += cost[(int64_t)a.worker[j] * n + j];
    }
    free(a.worker_price);
    free(a.job_price);
    free(a.worker);
    free(a.before);
    free(a.way);
    free(a.seen);
    return sum;
}
