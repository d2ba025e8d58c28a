/* ahead.c - the requests of a trace, parsed ahead by a thread; see ahead.h
 *
 * Two batches: the thread fills one while the caller empties the other. They change hands under a
 * lock some thousand requests at a time.
 */
#include "lib/trace/ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define BATCH_REQUESTS 4096
#define BATCH_IDS 16384

struct batch {
    int full;                   /* the caller's turn; under the lock */
    struct req *q;              /* [n], room for BATCH_REQUESTS */
    size_t n;
    uint64_t *id;               /* [ids] the blocks of all */
    size_t ids, cap;
    int64_t bytes;
    int rc;                     /* of the last reqs_next: 1, 0 the end, -1 with err */
    struct err err;
};

struct ahead {
    struct reqs *reqs;
    int threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch batch[2];
    struct batch *now;          /* the caller's; NULL before the first */
    size_t at;                  /* its next request */
};

/* Ids may move while more come, so blocks get their addresses last. */
static void fill(struct ahead *a, struct batch *b) {
    const uint64_t *id;
    b->n = b->ids = 0;
    while (b->n < BATCH_REQUESTS && b->ids < BATCH_IDS) {
        struct req *q = &b->q[b->n];
        b->rc = reqs_next(a->reqs, q, &b->err);
        if (b->rc != 1)
            break;
        size_t n = q->blocks > 0 ? (size_t)q->blocks : 0;
        if (b->ids + n > b->cap) {
            b->cap = (b->ids + n) * 2;
            b->id = mem_grow(b->id, b->cap, sizeof *b->id);
        }
        if (n)
            memcpy(b->id + b->ids, q->block, n * sizeof *b->id);
        b->ids += n;
        q->id = q->model = (struct reqs_text){0};
        b->n++;
    }
    b->bytes = reqs_totals(a->reqs)->bytes;
    id = b->id;
    for (size_t i = 0; i < b->n; i++) {
        b->q[i].block = id;
        if (b->q[i].blocks > 0)
            id += b->q[i].blocks;
    }
}

static void wait_until(struct ahead *a, const struct batch *b, int full) {
    pthread_mutex_lock(&a->lock);
    while (b->full != full)
        pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

static void hand_over(struct ahead *a, struct batch *b, int full) {
    pthread_mutex_lock(&a->lock);
    b->full = full;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static void *read_ahead(void *arg) {
    struct ahead *a = arg;
    int rc = 1;
    for (int i = 0; rc == 1; i = !i) {
        struct batch *b = &a->batch[i];
        wait_until(a, b, 0);
        fill(a, b);
        rc = b->rc;             /* b is the caller's from here on */
        hand_over(a, b, 1);
    }
    return NULL;
}

struct ahead *ahead_open(const char *path, const struct reqs_options *opt, int thread,
                         struct err *err) {
    struct reqs *r = reqs_open(path, opt, err);
    if (!r)
        return NULL;
    struct ahead *a = mem_alloc(sizeof *a);
    a->reqs = r;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    for (int i = 0; thread && i < 2; i++)
        a->batch[i] = (struct batch){.q = mem_array(BATCH_REQUESTS, sizeof(struct req)), .rc = 1};
    /* Where no thread can be had, the caller reads. */
    a->threaded = thread && !pthread_create(&a->thread, NULL, read_ahead, a);
    return a;
}

int ahead_next(struct ahead *a, struct req *out, struct err *err) {
    if (!a->threaded)
        return reqs_next(a->reqs, out, err);
    while (!a->now || a->at == a->now->n) {
        struct batch *last = a->now;
        if (last && last->rc != 1) {
            if (err)
                *err = last->err;
            return last->rc;
        }
        a->now = last == &a->batch[0] ? &a->batch[1] : &a->batch[0];
        a->at = 0;
        if (last)
            hand_over(a, last, 0);
        wait_until(a, a->now, 1);
    }
    *out = a->now->q[a->at++];
    return 1;
}

int64_t ahead_bytes(const struct ahead *a) {
    return !a->threaded ? reqs_totals(a->reqs)->bytes : a->now ? a->now->bytes : 0;
}

const struct reqs *ahead_reqs(const struct ahead *a) {
    return a->reqs;
}

void ahead_close(struct ahead *a) {
    if (!a)
        return;
    if (a->threaded)
        pthread_join(a->thread, NULL);
    for (int i = 0; i < 2; i++) {
        free(a->batch[i].q);
        free(a->batch[i].id);
    }
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    reqs_close(a->reqs);
    free(a);
}
