/* routed_array.c - integer arrays [tokens][layers][k], as vLLM's and SGLang's routed experts are
 *
 * Such an array does not say which layers of the model it has. With a shape it may have those with
 * experts, or all: then the dense ones, whose ids mean nothing, are left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format/npy.h"
#include "lib/trace/routed_impl.h"

/* ---- layers ----------------------------------------------------------------------------- */

static int moe_layers(const struct shape *s, int *experts) {
    int n = 0;
    for (int i = 0; i < s->layers; i++) {
        n += s->layer[i].experts > 0;
        if (s->layer[i].experts > *experts)
            *experts = s->layer[i].experts;
    }
    return n;
}

/* Layers as the shape numbers them. */
static void number_layers(struct routed *r, int all) {
    const struct shape *s = r->shape;
    int n = 0;
    if (all && r->model.layers < s->layers)
        r->frame.keep = mem_array((size_t)r->model.layers, sizeof *r->frame.keep);
    for (int i = 0; i < s->layers; i++) {
        if (!s->layer[i].experts)
            continue;
        if (r->frame.keep)
            r->frame.keep[n] = i;
        r->model.layer_index[n++] = i;
    }
}

static int frame_start(struct routed *r, int64_t layers, int64_t k, struct err *err) {
    int experts = 0;
    int moe = r->shape ? moe_layers(r->shape, &experts) : 0;
    int all = moe && layers == r->shape->layers;
    if (moe && !all && layers != moe)
        return err_set(err, "%s: expected the %d layers of %s or the %d of them with experts, "
                       "found %lld", r->name, r->shape->layers, r->shape->name, moe,
                       (long long)layers);
    if (layers > ROUTED_LAYERS_MOST)
        return routed_model_init(r, layers, experts, k, err);
    if (routed_model_init(r, moe ? moe : layers, experts, k, err))
        return -1;
    r->frame.layers = (int)layers;
    r->frame.k = (int)k;
    if (moe)
        number_layers(r, all);
    return 0;
}

int routed_frame_set(struct routed *r, int64_t layers, int64_t k, const char *place,
                     struct err *err) {
    if (!r->frame.layers)
        return frame_start(r, layers, k, err);
    if (layers == r->frame.layers && k == r->frame.k)
        return 0;
    return err_set(err, "%s: %s: expected %d layers of %d experts as before, found %lld of %lld",
                   r->name, place, r->frame.layers, r->frame.k, (long long)layers, (long long)k);
}

/* ---- numbers ---------------------------------------------------------------------------- */

/* One loop for each type; a negative number of an unsigned type is a huge one. */
#define CONVERT(type) \
    for (size_t i = 0; i < n; i++) { \
        type v = ((const type *)items)[i]; \
        if (v >= ROUTED_EXPERTS_MOST || (v < 0 && v != (type)-1)) \
            return i; \
        out[i] = (int16_t)v; \
    }
#define CONVERT_UNSIGNED(type) \
    for (size_t i = 0; i < n; i++) { \
        type v = ((const type *)items)[i]; \
        if (v >= ROUTED_EXPERTS_MOST) \
            return i; \
        out[i] = (int16_t)v; \
    }

size_t routed_convert(const void *items, char kind, int bytes, size_t n, int16_t *out) {
    if (kind == 'i' && bytes == 2) {
        memcpy(out, items, n * sizeof *out);    /* the range is checked with that of the model */
    } else if (kind == 'i' && bytes == 4) {
        CONVERT(int32_t)
    } else if (kind == 'i' && bytes == 8) {
        CONVERT(int64_t)
    } else if (kind == 'i') {
        for (size_t i = 0; i < n; i++)
            out[i] = ((const int8_t *)items)[i];
    } else if (bytes == 2) {
        CONVERT_UNSIGNED(uint16_t)
    } else if (bytes == 4) {
        CONVERT_UNSIGNED(uint32_t)
    } else if (bytes == 8) {
        CONVERT_UNSIGNED(uint64_t)
    } else {
        for (size_t i = 0; i < n; i++)
            out[i] = ((const uint8_t *)items)[i];
    }
    return n;
}

/* ---- tokens that wait ------------------------------------------------------------------- */

void routed_slab_free(struct routed_slab *s) {
    free(s->expert);
    free(s->request);
    free(s->step);
    free(s->position);
    free(s->phase);
    free(s->accepted);
}

static int id_error(const struct routed *r, const char *place, int64_t token, size_t at, int found,
                    struct err *err) {
    int most = r->experts_known ? r->model.experts : ROUTED_EXPERTS_MOST;
    return err_set(err, "%s: %s: token %" PRId64 ", layer %d: expected an expert from -1 to %d, "
                   "found %d", r->name, place, token,
                   r->model.layer_index[at / (size_t)r->model.k], most - 1, found);
}

int routed_slab_frame(struct routed *r, struct routed_slab *s, int64_t n, int64_t first,
                      const char *place, struct err *err) {
    size_t k = (size_t)r->frame.k;
    size_t from = (size_t)r->frame.layers * k;
    size_t to = (size_t)r->model.layers * k;
    size_t bad;
    for (int64_t i = 0; i < n; i++) {
        int16_t *row = s->expert + (size_t)i * to;
        for (int l = 0; r->frame.keep && l < r->model.layers; l++)
            memmove(row + (size_t)l * k,
                    s->expert + (size_t)i * from + (size_t)r->frame.keep[l] * k,
                    k * sizeof *row);
        if (routed_take_ids(r, row, to, &bad))
            return id_error(r, place, first + i, bad, row[bad], err);
    }
    s->n = n;
    s->at = 0;
    return 0;
}

static void slab_reserve(struct routed_slab *s) {
    if (s->n <= s->room)
        return;
    s->room = s->n;
    s->request = mem_grow(s->request, (size_t)s->n, sizeof *s->request);
    s->step = mem_grow(s->step, (size_t)s->n, sizeof *s->step);
    s->position = mem_grow(s->position, (size_t)s->n, sizeof *s->position);
    s->phase = mem_grow(s->phase, (size_t)s->n, 1);
    s->accepted = mem_grow(s->accepted, (size_t)s->n, 1);
}

void routed_slab_request(struct routed_slab *s, const struct routed_request *q) {
    slab_reserve(s);
    s->prompt = q->prompt;
    for (int64_t i = 0; i < s->n; i++) {
        int in_prompt = i < q->prompt;
        s->request[i] = q->request;
        s->position[i] = (uint32_t)(q->position + i);
        s->step[i] = in_prompt ? 0 : (uint32_t)(q->step + i - q->prompt);
        s->phase[i] = q->decoded && !in_prompt ? TRACE_DECODE : TRACE_PREFILL;
        s->accepted[i] = 1;
    }
}

int routed_slab_next(const struct routed *r, struct routed_slab *s, struct routed_rows *out) {
    size_t pairs = (size_t)r->model.layers * (size_t)r->model.k;
    int64_t piece = (int64_t)(ROUTED_PIECE_BYTES / (pairs * sizeof *s->expert)) + 1;
    int64_t at = s->at;
    int64_t n = 1;
    if (at == s->n)
        return 0;
    if (at < s->prompt)
        n = s->prompt - at < piece ? s->prompt - at : piece;
    *out = (struct routed_rows){
        .n = n, .begins = at == 0 || at >= s->prompt, .stride = pairs,
        .expert = s->expert + (size_t)at * pairs, .request = s->request + at,
        .step = s->step + at, .position = s->position + at, .phase = s->phase + at,
        .accepted = s->accepted + at};
    s->at += n;
    return 1;
}

/* ---- .npy ------------------------------------------------------------------------------- */

struct array_state {
    struct npy_reader in;
    struct routed_slab slab;
    void *items;                /* a piece as it was read */
    size_t items_cap;           /* in bytes */
    int64_t request;            /* arrays before this one */
};

static void place_of(const struct array_state *s, char *out, size_t size) {
    snprintf(out, size, "array %" PRId64, s->in.number);
}

/* The header that was read is that of routes, and there is room for a piece. */
static int start_array(struct routed *r, struct err *err) {
    struct array_state *s = r->state;
    char place[32];
    place_of(s, place, sizeof place);
    if (s->in.kind == 'f' || s->in.dims != 3)
        return err_set(err, "%s: %s: expected whole numbers [tokens][layers][k], found %s of %d "
                       "dimensions", r->name, place,
                       s->in.kind == 'f' ? "floating-point numbers" : "an array", s->in.dims);
    /* Without tokens the other two may be anything. */
    if (s->in.items && routed_frame_set(r, s->in.shape[1], s->in.shape[2], place, err))
        return -1;
    return 0;
}

static int64_t tokens_left(const struct array_state *s) {
    return s->in.left ? s->in.left / (s->in.shape[1] * s->in.shape[2]) : 0;
}

/* Reads up to an array with tokens: 1, 0 the end, -1. */
static int next_array(struct routed *r, struct err *err) {
    struct array_state *s = r->state;
    while (!s->in.left) {
        int rc = npy_read_header(&s->in, err);
        if (rc < 1)
            return rc;
        s->request++;
        if (start_array(r, err))
            return -1;
    }
    return 1;
}

int routed_array_open(struct routed *r, const struct npy_reader *in, struct err *err) {
    struct array_state *s = mem_alloc(sizeof *s);
    r->format = &routed_array;
    r->state = s;
    s->in = *in;
    if (start_array(r, err))
        return -1;
    return next_array(r, err) < 0 ? -1 : 0;     /* the end: no tokens, and no model */
}

static int read_piece(struct routed *r, struct err *err) {
    struct array_state *s = r->state;
    size_t pairs = (size_t)r->frame.layers * (size_t)r->frame.k;
    int64_t left = tokens_left(s);
    int64_t first = s->in.shape[0] - left;
    int64_t n = (int64_t)(ROUTED_PIECE_BYTES / (pairs * (size_t)s->in.bytes)) + 1;
    char place[32];
    n = n < left ? n : left;
    size_t count = (size_t)n * pairs;
    if (count > s->slab.cap) {
        s->slab.cap = count;
        s->slab.expert = mem_grow(s->slab.expert, count, sizeof *s->slab.expert);
    }
    if (count * (size_t)s->in.bytes > s->items_cap) {
        s->items_cap = count * (size_t)s->in.bytes;
        s->items = mem_grow(s->items, s->items_cap, 1);
    }
    if (npy_read_items(&s->in, s->items, count, err))
        return -1;
    r->bytes += (int64_t)(count * (size_t)s->in.bytes);
    place_of(s, place, sizeof place);
    size_t good = routed_convert(s->items, s->in.kind, s->in.bytes, count, s->slab.expert);
    if (good < count)
        return err_set(err, "%s: %s: token %" PRId64 ": expected experts from -1 to %d, found "
                       "another number", r->name, place, first + (int64_t)(good / pairs),
                       ROUTED_EXPERTS_MOST - 1);
    if (routed_slab_frame(r, &s->slab, n, first, place, err))
        return -1;
    const struct routed_request q = {.request = (uint32_t)s->request, .position = first,
                                     .step = first};
    routed_slab_request(&s->slab, &q);
    return 0;
}

static int array_next(struct routed *r, struct routed_rows *out, struct err *err) {
    struct array_state *s = r->state;
    if (s->slab.at == s->slab.n) {
        int rc = next_array(r, err);
        if (rc < 1)
            return rc;
        if (read_piece(r, err))
            return -1;
    }
    return routed_slab_next(r, &s->slab, out);
}

static void array_close(struct routed *r) {
    struct array_state *s = r->state;
    if (!s)
        return;
    routed_slab_free(&s->slab);
    free(s->items);
    free(s);
}

const struct routed_format routed_array = {
    .kind = ROUTED_TOKENS, .next = array_next, .close = array_close};
