/* par.c - a team of threads that runs one function at a time, see par.h
 *
 * A pass through a model is some hundred short parallel parts, so handing out work must cost
 * about a microsecond: waiting threads spin. But only for as long as the stretch between two
 * parts lasts; then they sleep on a futex. OpenMP's runtime, which stood here before, spins
 * twenty times longer: on a machine with other work that starves the very thread it waits for
 * (six times slower prefill beside five busy processes on two cores).
 */
#include "lib/base/par.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/mem.h"

/* Pauses before a waiting thread sleeps: about 50 us. */
#define SPINS 4000

/* A word that one side changes and the other waits for, on a cache line of its own. */
struct word {
    _Alignas(64) atomic_uint value;
    atomic_uint sleepers;
};

struct member {
    struct par *par;
    int ith;
};

struct par {
    struct word round;          /* counts the calls of par_run */
    struct word left;           /* members that have not finished the round */
    int n;                      /* shares of a call */
    int members;                /* threads beside the caller */
    void (*fn)(void *arg, int ith, int nth);
    void *arg;
    atomic_int stop;
    pthread_t *thread;          /* [members] */
    struct member *member;
};

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Returns when the word is no longer `old`. */
static void word_wait(struct word *w, unsigned old) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&w->value, memory_order_acquire) != old)
            return;
        pause_cpu();
    }
    atomic_fetch_add(&w->sleepers, 1);
    while (atomic_load(&w->value) == old)
        syscall(SYS_futex, &w->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&w->sleepers, 1);
}

/* To be called after the word was changed. */
static void word_wake(struct word *w) {
    if (atomic_load(&w->sleepers))
        syscall(SYS_futex, &w->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void *work(void *arg) {
    const struct member *m = arg;
    struct par *p = m->par;
    for (unsigned round = 0;; round++) {
        word_wait(&p->round, round);
        if (atomic_load(&p->stop))
            return NULL;
        p->fn(p->arg, m->ith, p->n);
        if (atomic_fetch_sub(&p->left.value, 1) == 1)
            word_wake(&p->left);
    }
}

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
    struct par *p = aligned_alloc(_Alignof(struct par), sizeof *p);
    if (!p)
        abort();
    memset(p, 0, sizeof *p);
    p->n = n > 0 ? n : cores();
    p->thread = mem_array((size_t)p->n, sizeof *p->thread);
    p->member = mem_array((size_t)p->n, sizeof *p->member);
    /* Where the system grants fewer threads, the caller does the shares of the missing ones. */
    for (int i = 1; i < p->n; i++) {
        p->member[i - 1] = (struct member){p, i};
        if (pthread_create(&p->thread[i - 1], NULL, work, &p->member[i - 1]))
            break;
        p->members++;
    }
    return p;
}

void par_free(struct par *p) {
    if (!p)
        return;
    atomic_store(&p->stop, 1);
    atomic_fetch_add(&p->round.value, 1);
    word_wake(&p->round);
    for (int i = 0; i < p->members; i++)
        pthread_join(p->thread[i], NULL);
    free(p->thread);
    free(p->member);
    free(p);
}

int par_threads(const struct par *p) {
    return p->n;
}

void par_run(void *par, void (*fn)(void *arg, int ith, int nth), void *arg) {
    struct par *p = par;
    p->fn = fn;
    p->arg = arg;
    if (p->members) {
        atomic_store(&p->left.value, (unsigned)p->members);
        atomic_fetch_add(&p->round.value, 1);
        word_wake(&p->round);
    }
    fn(arg, 0, p->n);
    for (int i = p->members + 1; i < p->n; i++)
        fn(arg, i, p->n);
    unsigned left;
    while ((left = atomic_load_explicit(&p->left.value, memory_order_acquire)))
        word_wait(&p->left, left);
}
