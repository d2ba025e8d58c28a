/* convert_pipe.c - rows through all threads: read, made floats, quantized, written in order
 *
 * The tensors are cut into chunks, which threads take in the order of the file. Each makes its
 * chunk in a slot of a ring; whoever finds the next chunk to write finished, writes it and what
 * follows, while the others go on. A thread that is a whole ring ahead waits. Thus memory is a few
 * chunks a thread, and the bytes do not depend on who was when ready.
 */
#include "lib/quant/convert_impl.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/codes.h"
#include "lib/base/mem.h"

#define CHUNK_ELEMENTS (1 << 18)        /* 1 MiB of floats, or one row where that is longer */
#define STEP_ELEMENTS (1 << 14)         /* floats of a chunk at one time: they stay in the cache */
#define SLOTS_A_THREAD 2

/* Rows of one matrix of one tensor. */
struct chunk {
    uint64_t tensor;
    int64_t first, n;           /* rows of the tensor, counted over its matrices */
};

struct slot {
    struct chunk chunk;
    void *room;                 /* grows to the largest chunk */
    size_t cap;
    const void *data;           /* in room, or in the source where bytes are copied */
    size_t len;
    int ready;
};

struct pipe {
    const struct convert *c;
    struct gguf_writer *writer;
    const struct imatrix_entry *const *importance;
    int64_t done, total;        /* bytes written, and in all */

    pthread_mutex_t lock;       /* guards what follows */
    pthread_cond_t moved;       /* a slot is free, or it is over */
    const uint64_t *order;
    uint64_t at, tensors;       /* the tensor that is cut next: order[at] */
    int64_t row;                /* and its next row */
    uint64_t taken, written;    /* chunks; chunk k is made in slot k % slots */
    struct slot *slot;
    uint64_t slots;
    int writing;                /* somebody writes: the others leave it to that thread */
    uint64_t failed;            /* the first chunk that failed, UINT64_MAX: none */
    struct err err;             /* why */
};

/* What a thread works with. */
struct bench {
    float *x;                   /* [cap] floats of some rows */
    float *back;                /* [cap] the same from the blocks, for the check of huge values */
    size_t cap;
    float *importance;          /* [importance_cap] of matrix `mat` of tensor `of` */
    size_t importance_cap;
    uint64_t of;
    int64_t mat;
};

/* ---- one chunk -------------------------------------------------------------------------- */

/* 65520 and above, Inf and NaN among them, by their bits: what may not fit a half, whose largest
 * number is 65504. The sign of the sum tells. 64 at a time, as compilers make vectors of that. */
static int has_huge(const float *x, int64_t n) {
    const uint32_t least = 0x477ff000u;
    uint32_t bits[64];
    uint32_t any = 0;
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        memcpy(bits, x + i, sizeof bits);
        for (int k = 0; k < 64; k++)
            any |= (bits[k] & 0x7fffffffu) + (0x80000000u - least);
    }
    memcpy(bits, x + i, (size_t)(n - i) * sizeof *x);
    for (int k = 0; k < n - i; k++)
        any |= (bits[k] & 0x7fffffffu) + (0x80000000u - least);
    return (int)(any >> 31);
}

/* Where in x[n] the first number is that is none (in blocks), or that became none: the largest of
 * its block then. -1: nowhere. */
static int64_t find_lost(const float *x, const float *back, int64_t n, int block) {
    for (int64_t k = 0; block > 1 && k < n; k++)
        if (!isfinite(x[k]))
            return k;
    for (int64_t k = 0; k < n; k++) {
        if (!isfinite(x[k]) || isfinite(back[k]))
            continue;
        int64_t end = k - k % block + block;
        for (int64_t j = k - k % block; j < end; j++)
            k = fabsf(x[j]) > fabsf(x[k]) ? j : k;
        return k;
    }
    return -1;
}

/* n rows from `first` on hold huge values: refuses what the type has no place for. */
static int check_huge(const struct pipe *p, struct bench *b, uint64_t i, int64_t first, int64_t n,
                      const void *made, struct err *err) {
    const struct source *s = p->c->source;
    const struct source_tensor *t = &s->tensor[i];
    const struct kern_type_info *to = kern_type_info(p->c->type[i]);
    kern_dequantize(p->c->type[i], made, b->back, n * t->ne[0]);
    int64_t k = find_lost(b->x, b->back, n * t->ne[0], to->block);
    if (k < 0)
        return 0;
    return err_set(err, "%s: tensor \"%s\": row %" PRId64 ", column %" PRId64 ": %g %s %s", s->path,
                   t->name, first + k / t->ne[0], k % t->ne[0], (double)b->x[k],
                   isfinite(b->x[k]) ? "is beyond" : "has no place in", to->name);
}

/* Importance of the matrix that row `first` is of; NULL: none. */
static const float *importance_of(const struct pipe *p, struct bench *b, uint64_t i,
                                  int64_t first) {
    const struct imatrix_entry *e = p->importance[i];
    int64_t mat = first / p->c->source->tensor[i].ne[1];
    if (!e)
        return NULL;
    if (b->of == i && b->mat == mat)
        return b->importance;
    if (b->importance_cap < (size_t)e->cols) {
        b->importance_cap = (size_t)e->cols;
        b->importance = mem_grow(b->importance, b->importance_cap, sizeof *b->importance);
    }
    if (imatrix_mean(e, mat, b->importance))
        for (int64_t k = 0; k < e->cols; k++)
            b->importance[k] = 1;
    b->of = i;
    b->mat = mat;
    return b->importance;
}

static int read_rows(const struct pipe *p, uint64_t i, int64_t first, int64_t n, float *x,
                     struct err *err) {
    struct source *s = p->c->source;
    const struct source_tensor *t = &s->tensor[i];
    const void *raw = s->ops->raw(s, i, first, n);
    if (!raw)
        return source_rows(s, i, first, n, x, err);
    p->c->kern->dequantize(t->type, raw, x, n * t->ne[0]);
    return 0;
}

static int make_rows(const struct pipe *p, struct bench *b, const struct chunk *k, char *out,
                     struct err *err) {
    const struct source_tensor *t = &p->c->source->tensor[k->tensor];
    int type = p->c->type[k->tensor];
    const float *importance = importance_of(p, b, k->tensor, k->first);
    int64_t step = STEP_ELEMENTS / t->ne[0] > 1 ? STEP_ELEMENTS / t->ne[0] : 1;
    if (b->cap < (size_t)(step * t->ne[0])) {
        b->cap = (size_t)(step * t->ne[0]);
        b->x = mem_grow(b->x, b->cap, sizeof *b->x);
        b->back = mem_grow(b->back, b->cap, sizeof *b->back);
    }
    for (int64_t r = 0; r < k->n; r += step) {
        int64_t n = k->n - r < step ? k->n - r : step;
        if (read_rows(p, k->tensor, k->first + r, n, b->x, err))
            return -1;
        p->c->kern->quantize(type, b->x, out, n, t->ne[0], importance);
        if (has_huge(b->x, n * t->ne[0]) &&
            check_huge(p, b, k->tensor, k->first + r, n, out, err))
            return -1;
        out += (size_t)n * kern_row_bytes(type, t->ne[0]);
    }
    return 0;
}

/* Fills the slot. */
static int make_chunk(const struct pipe *p, struct bench *b, struct slot *slot, struct err *err) {
    struct source *s = p->c->source;
    const struct chunk *k = &slot->chunk;
    const struct source_tensor *t = &s->tensor[k->tensor];
    int type = p->c->type[k->tensor];
    slot->len = (size_t)k->n * (size_t)(convert_tensor_bytes(t, type) / t->rows);
    slot->data = type == t->type ? s->ops->raw(s, k->tensor, k->first, k->n) : NULL;
    if (slot->data)
        return 0;
    if (slot->cap < slot->len) {
        free(slot->room);
        slot->room = mem_alloc(slot->len);
        slot->cap = slot->len;
    }
    slot->data = slot->room;
    int rc = make_rows(p, b, k, slot->room, err);
    s->ops->drop(s, k->tensor, k->first, k->n);
    return rc;
}

/* ---- chunks in order -------------------------------------------------------------------- */

/* Cuts the next chunk; 0 when there is none. */
static int cut(struct pipe *p, struct chunk *out) {
    if (p->at == p->tensors)
        return 0;
    const struct source_tensor *t = &p->c->source->tensor[p->order[p->at]];
    int64_t n = CHUNK_ELEMENTS / t->ne[0] > 1 ? CHUNK_ELEMENTS / t->ne[0] : 1;
    int64_t in_matrix = t->ne[1] - p->row % t->ne[1];
    *out = (struct chunk){.tensor = p->order[p->at], .first = p->row,
                          .n = n < in_matrix ? n : in_matrix};
    p->row += out->n;
    if (p->row == t->rows) {
        p->row = 0;
        p->at++;
    }
    return 1;
}

/* The next slot to fill, its chunk's number in *number; NULL when all is taken or lost. */
static struct slot *take(struct pipe *p, uint64_t *number) {
    struct slot *slot = NULL;
    pthread_mutex_lock(&p->lock);
    while (p->failed == UINT64_MAX && p->taken - p->written == p->slots)
        pthread_cond_wait(&p->moved, &p->lock);
    if (p->failed == UINT64_MAX && cut(p, &p->slot[p->taken % p->slots].chunk)) {
        *number = p->taken++;
        slot = &p->slot[*number % p->slots];
    }
    pthread_mutex_unlock(&p->lock);
    return slot;
}

/* Chunks are taken in order, so those before a failed one will report, too: the first one's reason
 * is kept, whichever thread was faster. */
static void fail(struct pipe *p, uint64_t number, const struct err *err) {
    if (number < p->failed) {
        p->failed = number;
        p->err = *err;
    }
    pthread_cond_broadcast(&p->moved);
}

static int write_slot(struct pipe *p, const struct slot *slot, struct err *err) {
    struct source *s = p->c->source;
    const struct chunk *k = &slot->chunk;
    if (pipe_put(p, slot->data, slot->len, err))
        return -1;
    if (slot->data != slot->room)
        s->ops->drop(s, k->tensor, k->first, k->n);
    return 0;
}

/* A slot is filled: writes all that can be written, unless somebody is at it. */
static void give(struct pipe *p, uint64_t number, int rc, struct err *err) {
    pthread_mutex_lock(&p->lock);
    if (rc)
        fail(p, number, err);
    else
        p->slot[number % p->slots].ready = 1;
    while (!p->writing && p->failed > p->written && p->slot[p->written % p->slots].ready) {
        struct slot *slot = &p->slot[p->written % p->slots];
        p->writing = 1;
        pthread_mutex_unlock(&p->lock);
        rc = write_slot(p, slot, err);
        pthread_mutex_lock(&p->lock);
        p->writing = 0;
        slot->ready = 0;
        if (rc)
            fail(p, p->written, err);
        else
            p->written++;
        pthread_cond_broadcast(&p->moved);
    }
    pthread_mutex_unlock(&p->lock);
}

static void work(void *arg, int ith, int nth) {
    struct pipe *p = arg;
    struct bench b = {.of = UINT64_MAX};
    struct slot *slot;
    struct err err;
    uint64_t number;
    (void)ith;
    (void)nth;
    while ((slot = take(p, &number)))
        give(p, number, make_chunk(p, &b, slot, &err), &err);
    free(b.x);
    free(b.back);
    free(b.importance);
}

/* ---- the pipe --------------------------------------------------------------------------- */

struct pipe *pipe_new(const struct convert *c, struct gguf_writer *w,
                      const struct imatrix_entry *const *importance, int64_t total) {
    struct pipe *p = mem_alloc(sizeof *p);
    *p = (struct pipe){.c = c, .writer = w, .importance = importance, .total = total,
                       .failed = UINT64_MAX};
    p->slots = (uint64_t)par_threads(c->par) * SLOTS_A_THREAD;
    p->slot = mem_array((size_t)p->slots, sizeof *p->slot);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->moved, NULL);
    return p;
}

void pipe_free(struct pipe *p) {
    for (uint64_t i = 0; i < p->slots; i++)
        free(p->slot[i].room);
    free(p->slot);
    pthread_cond_destroy(&p->moved);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int pipe_put(struct pipe *p, const void *data, size_t len, struct err *err) {
    if (gguf_writer_data(p->writer, data, len, err))
        return -1;
    p->done += (int64_t)len;
    if (p->c->progress)
        p->c->progress(p->c->arg, p->done, p->total);
    return 0;
}

int pipe_run(struct pipe *p, const uint64_t *order, uint64_t n, struct err *err) {
    p->order = order;
    p->tensors = n;
    p->at = 0;
    par_run(p->c->par, work, p);
    if (p->failed == UINT64_MAX)
        return 0;
    if (err)
        *err = p->err;
    return -1;
}
