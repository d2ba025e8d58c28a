/* routes.c - the route stream: which experts every token went to (llm-trace(5))
 *
 * NumPy arrays back to back: first one record about the model, then one structured array a pass.
 * Records are packed, without padding between fields, as NumPy lays out a list of fields.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/format/npy.h"
#include "lib/format/zio.h"
#include "lib/trace/trace.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "fields are copied as they lie in memory, and the stream is little-endian");

#define MODEL_BYTES 64

struct routes {
    struct zio *z;
    int layers;                 /* with experts */
    int k;
    char descr[256];            /* dtype of a pass */
    int16_t *expert;            /* [layers][k] of one row */
    struct buf rows;            /* of the pass being written */
};

static int moe_layers(const struct shape *s) {
    int n = 0;
    for (int i = 0; i < s->layers; i++)
        n += s->layer[i].experts > 0;
    return n;
}

/* The record about the model; experts and k are the largest of any layer. */
static int write_model(struct routes *r, const struct shape *s, struct err *err) {
    char descr[320];
    char model[MODEL_BYTES] = {0};
    int64_t one = 1;
    uint32_t head[3] = {(uint32_t)r->layers, 0, (uint32_t)r->k};
    int n = r->layers;
    snprintf(descr, sizeof descr,
             "[('model', 'S%d'), ('layers', '<u4'), ('experts', '<u4'), ('k', '<u4'), "
             "('layer_index', '<u4', (%d,)), ('expert_bytes', '<u8', (%d,)), "
             "('dense_bytes', '<u8', (%d,))]", MODEL_BYTES, n, n, n);
    size_t len = strlen(s->name);
    memcpy(model, s->name, len < sizeof model ? len : sizeof model);
    buf_add(&r->rows, model, sizeof model);
    for (int i = 0; i < s->layers; i++)
        if ((uint32_t)s->layer[i].experts > head[1])
            head[1] = (uint32_t)s->layer[i].experts;
    buf_add(&r->rows, head, sizeof head);
    for (int i = 0; i < s->layers; i++)
        if (s->layer[i].experts)
            buf_add(&r->rows, &(uint32_t){(uint32_t)i}, sizeof(uint32_t));
    for (int i = 0; i < s->layers; i++)
        if (s->layer[i].experts)
            buf_add(&r->rows, &s->expert_bytes[i], sizeof s->expert_bytes[i]);
    for (int i = 0; i < s->layers; i++)
        if (s->layer[i].experts)
            buf_add(&r->rows, &s->dense_bytes[i], sizeof s->dense_bytes[i]);
    if (npy_write_header(r->z, descr, &one, 1, err) < 0 ||
        zio_write(r->z, r->rows.data, r->rows.len, err) < 0)
        return -1;
    return zio_flush(r->z, err);
}

struct routes *routes_open(const char *path, const struct shape *s, struct err *err) {
    int layers = moe_layers(s);
    if (!layers) {
        err_set(err, "%s: expected a model with experts, found %s, which has none", path, s->name);
        return NULL;
    }
    struct zio *z = zio_open_write(path, err);
    if (!z)
        return NULL;
    struct routes *r = mem_alloc(sizeof *r);
    r->z = z;
    r->layers = layers;
    for (int i = 0; i < s->layers; i++)
        if (s->layer[i].top_k > r->k)
            r->k = s->layer[i].top_k;
    r->expert = mem_array((size_t)layers * (size_t)r->k, sizeof *r->expert);
    snprintf(r->descr, sizeof r->descr,
             "[('request', '<u4'), ('step', '<u4'), ('phase', '|u1'), ('accepted', '|u1'), "
             "('position', '<u4'), ('token', '<i4'), ('expert', '<i2', (%d, %d)), "
             "('weight', '<f4', (%d, %d))]", layers, r->k, layers, r->k);
    if (write_model(r, s, err) < 0) {
        routes_abort(r);
        return NULL;
    }
    return r;
}

static void add_row(struct routes *r, const struct routes_pass *p, int row) {
    size_t pairs = (size_t)r->layers * (size_t)r->k;
    uint8_t accepted = 1;       /* no token of ours is ever taken back */
    const int32_t *expert = p->expert + (size_t)row * pairs;
    buf_add(&r->rows, &p->request[row], 4);
    buf_add(&r->rows, &p->step, 4);
    buf_add(&r->rows, &p->phase[row], 1);
    buf_add(&r->rows, &accepted, 1);
    buf_add(&r->rows, &p->position[row], 4);
    buf_add(&r->rows, &p->token[row], 4);
    for (size_t i = 0; i < pairs; i++)
        r->expert[i] = (int16_t)expert[i];
    buf_add(&r->rows, r->expert, pairs * sizeof *r->expert);
    buf_add(&r->rows, p->weight + (size_t)row * pairs, pairs * sizeof(float));
}

int routes_pass(struct routes *r, const struct routes_pass *p, struct err *err) {
    int64_t n = p->n;
    if (!n)
        return 0;
    r->rows.len = 0;
    for (int i = 0; i < p->n; i++)
        add_row(r, p, i);
    if (npy_write_header(r->z, r->descr, &n, 1, err) < 0 ||
        zio_write(r->z, r->rows.data, r->rows.len, err) < 0)
        return -1;
    return zio_flush(r->z, err);
}

static void routes_free(struct routes *r) {
    buf_free(&r->rows);
    free(r->expert);
    free(r);
}

int routes_close(struct routes *r, struct err *err) {
    int status = zio_close(r->z, err);
    routes_free(r);
    return status;
}

void routes_abort(struct routes *r) {
    if (!r)
        return;
    zio_abort(r->z);
    routes_free(r);
}
