/* klbase.c - files of base logits, see klbase.h */
#include "lib/quant/klbase.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/format/zio.h"

static const char magic[8] = {'_', 'l', 'o', 'g', 'i', 't', 's', '_'};

#define DEPTH 16                /* of the codes, below the largest log-probability */
#define STEPS 65535
#define MOST_TOKENS (1 << 24)   /* of a chunk; of the vocabulary; chunks */
#define PIECE (1 << 20)         /* bytes read at once where a length has not proved true yet */
#define SLACK 1e-3f             /* a largest log-probability may be above 0 by rounding */

struct klbase {
    struct zio *in;
    struct klbase_head head;
    int32_t *token;
    int64_t row;                /* read so far */
    struct buf rows;            /* of the last call */
};

struct klbase_writer {
    struct zio *out;
    struct klbase_head head;
    char *rows;
    int room;
};

/* Bytes of a row: two floats, then codes to a multiple of four bytes. */
static size_t row_bytes(const struct klbase_head *h) {
    return 2 * sizeof(float) + ((size_t)h->vocab + 1) / 2 * 2 * sizeof(uint16_t);
}

int klbase_rows(const struct klbase_head *h) {
    return h->tokens - 1 - h->tokens / 2;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* Appends n bytes to b, or fails where the file ends before. A piece at a time: a length that is a
 * lie costs no more memory than there are bytes. */
static int read_bytes(struct klbase *k, struct buf *b, size_t n, const char *what,
                      struct err *err) {
    for (size_t done = 0; done < n;) {
        size_t want = n - done < PIECE ? n - done : PIECE;
        buf_reserve(b, want);
        ssize_t got = zio_read(k->in, b->data + b->len, want, err);
        if (got < 0)
            return -1;
        if (got == 0)
            return err_set(err, "%s: %s: expected %zu bytes, the file ends after %zu",
                           zio_name(k->in), what, n, done);
        b->len += (size_t)got;
        done += (size_t)got;
    }
    return 0;
}

static int check_head(const struct klbase *k, struct err *err) {
    const struct klbase_head *h = &k->head;
    const char *name = zio_name(k->in);
    if (h->tokens < 4 || h->tokens > MOST_TOKENS)
        return err_set(err, "%s: chunks of %d tokens: expected 4 to %d", name, h->tokens,
                       MOST_TOKENS);
    if (h->vocab < 1 || h->vocab > MOST_TOKENS)
        return err_set(err, "%s: a vocabulary of %d: expected 1 to %d", name, h->vocab,
                       MOST_TOKENS);
    if (h->chunks < 1 || h->chunks > MOST_TOKENS)
        return err_set(err, "%s: %d chunks: expected 1 to %d", name, h->chunks, MOST_TOKENS);
    return 0;
}

static int read_head(struct klbase *k, struct err *err) {
    const char *start;
    struct buf b = {0};
    ssize_t there = zio_peek(k->in, sizeof magic, &start, err);
    if (there < 0)
        return -1;
    if (there < (ssize_t)sizeof magic || memcmp(start, magic, sizeof magic))
        return err_set(err, "%s: no file of base logits: expected it to begin with \"_logits_\"",
                       zio_name(k->in));
    int rc = read_bytes(k, &b, sizeof magic + 12, "head", err);
    if (!rc) {
        memcpy(&k->head.tokens, b.data + sizeof magic, 4);
        memcpy(&k->head.vocab, b.data + sizeof magic + 4, 4);
        memcpy(&k->head.chunks, b.data + sizeof magic + 8, 4);
        rc = check_head(k, err);
    }
    buf_free(&b);
    return rc;
}

static int read_tokens(struct klbase *k, struct err *err) {
    struct buf b = {0};
    size_t n = (size_t)k->head.chunks * (size_t)k->head.tokens;
    if (read_bytes(k, &b, n * sizeof *k->token, "tokens", err)) {
        buf_free(&b);
        return -1;
    }
    k->token = (int32_t *)(void *)b.data;
    for (size_t i = 0; i < n; i++)
        if (k->token[i] < 0 || k->token[i] >= k->head.vocab)
            return err_set(err, "%s: token %zu is %d: the vocabulary has 0 to %d",
                           zio_name(k->in), i, (int)k->token[i], k->head.vocab - 1);
    return 0;
}

struct klbase *klbase_open(const char *path, struct err *err) {
    struct klbase *k = mem_alloc(sizeof *k);
    k->in = zio_open_read(path, err);
    if (!k->in || read_head(k, err) || read_tokens(k, err)) {
        klbase_close(k);
        return NULL;
    }
    return k;
}

void klbase_close(struct klbase *k) {
    if (!k)
        return;
    if (k->in)
        zio_close(k->in, NULL);
    free(k->token);
    buf_free(&k->rows);
    free(k);
}

struct klbase_head klbase_head(const struct klbase *k) {
    return k->head;
}

const int32_t *klbase_tokens(const struct klbase *k) {
    return k->token;
}

int klbase_read(struct klbase *k, int n, struct fidelity_coded *out, struct err *err) {
    size_t bytes = row_bytes(&k->head);
    k->rows.len = 0;
    for (int i = 0; i < n; i++) {
        char what[48];
        snprintf(what, sizeof what, "row %lld", (long long)k->row + i);
        if (read_bytes(k, &k->rows, bytes, what, err))
            return -1;
    }
    for (int i = 0; i < n; i++, k->row++) {
        const char *row = k->rows.data + (size_t)i * bytes;
        struct fidelity_coded *c = &out[i];
        memcpy(&c->scale, row, sizeof c->scale);
        memcpy(&c->least, row + sizeof c->scale, sizeof c->least);
        c->code = (const uint16_t *)(const void *)(row + 2 * sizeof(float));
        if (!(c->scale >= 0) || !isfinite(c->least) || !(c->scale * STEPS + c->least <= SLACK))
            return err_set(err, "%s: row %lld: expected log-probabilities, found them from %g in "
                                "steps of %g", zio_name(k->in), (long long)k->row,
                           (double)c->least, (double)c->scale);
    }
    return 0;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* To the nearest, ties to even, from 0 to 2^22: the sum has no bits for a fraction. */
static uint16_t nearest(float x) {
    float shifted = x + 0x1.8p23f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (uint16_t)bits;
}

void klbase_code(const float *logits, int64_t vocab, float *scale, float *least, uint16_t *code) {
    float most = logits[0];
    float low = logits[0];
    double sum = 0;
    for (int64_t i = 1; i < vocab; i++) {
        most = logits[i] > most ? logits[i] : most;
        low = logits[i] < low ? logits[i] : low;
    }
    low = low > most - DEPTH ? low : most - DEPTH;
    for (int64_t i = 0; i < vocab; i++)
        sum += (double)expf(logits[i] - most);
    *scale = (most - low) / STEPS;
    *least = low - most - (float)log(sum);
    float inverse = *scale > 0 ? 1 / *scale : 0;
    for (int64_t i = 0; i < vocab; i++)
        code[i] = logits[i] > low ? nearest(inverse * (logits[i] - low)) : 0;
}

struct klbase_writer *klbase_create(const char *path, const struct klbase_head *head,
                                    const int32_t *token, struct err *err) {
    struct klbase_writer *w = mem_alloc(sizeof *w);
    w->head = *head;
    w->out = zio_open_write(path, err);
    size_t n = (size_t)head->chunks * (size_t)head->tokens;
    const int32_t numbers[] = {head->tokens, head->vocab, head->chunks};
    if (!w->out || zio_write(w->out, magic, sizeof magic, err) ||
        zio_write(w->out, numbers, sizeof numbers, err) ||
        zio_write(w->out, token, n * sizeof *token, err)) {
        klbase_abort(w);
        return NULL;
    }
    return w;
}

struct coding {
    struct klbase_writer *w;
    const float *logits;
    int n;
};

static void code_share(void *arg, int ith, int nth) {
    const struct coding *c = arg;
    size_t bytes = row_bytes(&c->w->head);
    int64_t vocab = c->w->head.vocab;
    for (int i = ith; i < c->n; i += nth) {
        char *row = c->w->rows + (size_t)i * bytes;
        float head[2];
        klbase_code(c->logits + i * vocab, vocab, &head[0], &head[1],
                    (uint16_t *)(void *)(row + sizeof head));
        memcpy(row, head, sizeof head);
    }
}

int klbase_write(struct klbase_writer *w, struct par *par, const float *logits, int n,
                 struct err *err) {
    size_t bytes = row_bytes(&w->head);
    if (n > w->room) {
        free(w->rows);
        w->rows = mem_array((size_t)n, bytes);      /* zeroed: so is what fills up an odd row */
        w->room = n;
    }
    par_run(par, code_share, &(struct coding){w, logits, n});
    return zio_write(w->out, w->rows, (size_t)n * bytes, err);
}

int klbase_finish(struct klbase_writer *w, struct err *err) {
    int rc = zio_close(w->out, err);
    free(w->rows);
    free(w);
    return rc;
}

void klbase_abort(struct klbase_writer *w) {
    if (!w)
        return;
    if (w->out)
        zio_abort(w->out);
    free(w->rows);
    free(w);
}
