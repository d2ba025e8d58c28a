/* policy_wtinylfu.c - W-TinyLFU (Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache
 * admission policy", ACM Transactions on Storage 13(4), 2017)
 *
 * New blocks come into a small LRU window. The oldest block of a full window is a candidate for
 * the main cache, a segmented LRU: it is admitted when there is room, or when it was seen more
 * often lately than the main cache's victim, which then leaves; otherwise the candidate leaves.
 * How often blocks were seen, in the cache or not, freqsketch.h knows; an access is counted
 * before its block is looked up. Equally frequent candidates leave. There is no doorkeeper, and
 * the window's share is fixed.
 */
#include "lib/cache/freqsketch.h"
#include "lib/cache/policy.h"
#include "lib/cache/queues.h"

enum { NOWHERE, WINDOW, PROBATION, PROTECTED, QUEUES };

struct wtinylfu {
    struct policy p;
    struct link *link;          /* [unique + QUEUES]; queue q ends at unique + q */
    uint32_t unique;
    int64_t n[QUEUES];          /* blocks in each queue */
    int64_t window_max, protected_max;
    struct freqsketch sketch;
};

static int holds(const struct wtinylfu *w, uint32_t id) {
    return w->link[id].queue != NOWHERE;
}

static void prefetch(const struct wtinylfu *w, uint32_t id) {
    __builtin_prefetch(&w->link[id], 1);
    freqsketch_prefetch(&w->sketch, id);
}

static uint32_t oldest(const struct wtinylfu *w, unsigned queue) {
    return link_oldest(w->link, w->unique + queue);
}

static void put(struct wtinylfu *w, uint32_t id, unsigned queue) {
    w->link[id].queue = queue;
    w->n[queue]++;
    link_add_newest(w->link, w->unique + queue, id);
}

static void take(struct wtinylfu *w, uint32_t id) {
    w->n[w->link[id].queue]--;
    link_remove(w->link, id);
}

static void evict(struct wtinylfu *w, uint32_t id) {
    take(w, id);
    w->link[id].queue = NOWHERE;
    policy_evicted(&w->p, id);
}

/* Decides what becomes of the oldest block of a full window. */
static void leave_window(struct wtinylfu *w) {
    uint32_t candidate = oldest(w, WINDOW);
    int64_t in_main = w->n[PROBATION] + w->n[PROTECTED];
    if (w->p.size == w->p.capacity) {
        uint32_t victim = oldest(w, w->n[PROBATION] ? PROBATION : PROTECTED);
        if (!in_main || freqsketch_count(&w->sketch, candidate) <=
                        freqsketch_count(&w->sketch, victim)) {
            evict(w, candidate);
            return;
        }
        evict(w, victim);
    }
    take(w, candidate);
    put(w, candidate, PROBATION);
}

static int touch(struct wtinylfu *w, uint32_t id) {
    unsigned was = w->link[id].queue;
    freqsketch_add(&w->sketch, id);
    if (was == NOWHERE) {
        if (w->n[WINDOW] == w->window_max)
            leave_window(w);
        put(w, id, WINDOW);
        policy_inserted(&w->p, id);
        return 0;
    }
    take(w, id);
    put(w, id, was == WINDOW ? WINDOW : PROTECTED);
    if (w->n[PROTECTED] > w->protected_max) {
        uint32_t demoted = oldest(w, PROTECTED);
        take(w, demoted);
        put(w, demoted, PROBATION);
    }
    return 1;
}

static void destroy(struct wtinylfu *w) {
    free(w->link);
    freqsketch_end(&w->sketch);
}

static void *create(const struct sim_setup *s, struct err *err) {
    static const char *const keys[] = {"window", "protected", "sample", NULL};
    struct err bad = {""};
    double window = policy_param(s, "window", 0.01, 0, 1, &bad);
    double protected = policy_param(s, "protected", 0.8, 0, 1, &bad);
    double sample = policy_param(s, "sample", 10, 1, 1000, &bad);
    if (policy_params_known(s, keys, &bad) || *bad.text) {
        err_set(err, "%s", bad.text);
        return NULL;
    }
    struct wtinylfu *w = mem_alloc(sizeof *w);
    policy_start(&w->p, s);
    w->unique = s->blocks->unique;
    w->link = mem_array((size_t)w->unique + QUEUES, sizeof *w->link);
    for (uint32_t q = WINDOW; q < QUEUES; q++)
        link_start(w->link, w->unique + q);
    w->window_max = queue_part(w->p.capacity, window);
    w->window_max += !w->window_max;
    w->protected_max = queue_part(w->p.capacity - w->window_max, protected);
    if (freqsketch_start(&w->sketch, w->p.capacity, (int64_t)(sample * (double)w->p.capacity),
                         s->seed)) {
        err_set(err, "policy w-tinylfu: no memory for its sketch");
        destroy(w);
        free(w->p.born);
        free(w);
        return NULL;
    }
    return w;
}

POLICY_DEFINE(wtinylfu, "w-tinylfu", "W-TinyLFU: window=0.01, protected=0.8, sample=10 sizes")
