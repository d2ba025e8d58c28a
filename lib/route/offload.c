/* offload.c - a routed trace becomes batches: each expert of a layer's pass once, and its next use
 *
 * Policies and guesses work on these alone. The order inside a batch is that of the last mention,
 * which is what a cache that promotes on every mention ends with.
 */
#include "lib/route/offload.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/stat/order.h"

#define BYTES_MOST 9e18         /* were all experts loaded in every pass; below 2^63 */

static int set_bytes(struct offload *o, const struct routed_model *m, double each,
                     struct err *err) {
    o->bytes = mem_array((size_t)m->layers, sizeof *o->bytes);
    for (int l = 0; l < m->layers; l++) {
        double bytes = each > 0 ? each : m->expert_bytes ? m->expert_bytes[l] : 0;
        if (!(bytes >= 1))
            return err_set(err, "layer %d: the trace does not say how large an expert is",
                           m->layer_index[l]);
        if (bytes * m->experts * m->layers * ((double)o->passes + 1) > BYTES_MOST)
            return err_set(err, "layer %d: experts of %.0f bytes are too large to count",
                           m->layer_index[l], bytes);
        o->bytes[l] = (int64_t)bytes;
        o->all_bytes += o->bytes[l] * m->experts;
        o->cycle_bytes += o->bytes[l] * m->k;
    }
    return 0;
}

static int is_decode(const struct routed_set *s, int64_t from, int64_t to) {
    if (to - from == 1)
        return 1;
    for (int64_t t = from; t < to; t++)
        if (s->phase[t] == TRACE_DECODE)
            return 1;
    return 0;
}

static void set_passes(struct offload *o, const struct routed_set *s) {
    o->decode = mem_array((size_t)s->passes, sizeof *o->decode);
    o->tokens = mem_array((size_t)s->passes, sizeof *o->tokens);
    for (int64_t p = 0; p < s->passes; p++) {
        o->decode[p] = (uint8_t)is_decode(s, s->pass[p], s->pass[p + 1]);
        for (int64_t t = s->pass[p]; t < s->pass[p + 1]; t++)
            o->tokens[p] += s->accepted[t] != 0;
    }
}

/* Adds the experts of a layer in a pass, from the last mention backwards, then turns them round.
 * seen[experts] holds the batch that saw the expert last. */
static void add_batch(struct offload *o, int64_t pass, int layer, int64_t *seen) {
    const struct routed_set *s = o->set;
    int64_t from = o->lookups;
    for (int64_t t = s->pass[pass + 1] - 1; t >= s->pass[pass]; t--) {
        const int16_t *e = routed_at(s, t, layer);
        for (int i = o->k - 1; i >= 0; i--)
            if (e[i] >= 0 && seen[e[i]] != o->batches) {
                seen[e[i]] = o->batches;
                o->expert[o->lookups++] = e[i];
            }
    }
    if (o->lookups == from)
        return;
    for (int64_t i = from, j = o->lookups - 1; i < j; i++, j--) {
        int16_t e = o->expert[i];
        o->expert[i] = o->expert[j];
        o->expert[j] = e;
    }
    o->layer[o->batches] = layer;
    o->pass[o->batches] = (uint32_t)pass;
    o->first[++o->batches] = o->lookups;
}

static void set_batches(struct offload *o, const struct routed_set *s) {
    size_t most = (size_t)s->passes * (size_t)o->layers;
    size_t pairs = (size_t)s->tokens * (size_t)o->layers * (size_t)o->k;
    int64_t *seen = mem_array((size_t)o->experts, sizeof *seen);
    for (int e = 0; e < o->experts; e++)
        seen[e] = -1;
    o->first = mem_array(most + 1, sizeof *o->first);
    o->layer = mem_array(most, sizeof *o->layer);
    o->pass = mem_array(most, sizeof *o->pass);
    o->expert = mem_array(pairs, sizeof *o->expert);
    for (int64_t p = 0; p < s->passes; p++)
        for (int l = 0; l < o->layers; l++)
            add_batch(o, p, l, seen);
    free(seen);
}

static void set_next(struct offload *o) {
    size_t ids = (size_t)o->layers * (size_t)o->experts;
    o->next = mem_array((size_t)o->lookups, sizeof *o->next);
    o->first_use = mem_array(ids, sizeof *o->first_use);
    for (size_t i = 0; i < ids; i++)
        o->first_use[i] = OFFLOAD_NEVER;
    for (int64_t b = o->batches - 1; b >= 0; b--) {
        uint32_t *use = o->first_use + (size_t)o->layer[b] * (size_t)o->experts;
        for (int64_t i = o->first[b]; i < o->first[b + 1]; i++) {
            o->next[i] = use[o->expert[i]];
            use[o->expert[i]] = (uint32_t)b;
        }
    }
}

static void set_pass_bytes(struct offload *o) {
    double *bytes = mem_array((size_t)o->passes, sizeof *bytes);
    size_t n = 0;
    for (int64_t b = 0; b < o->batches; b++) {
        if (!o->decode[o->pass[b]])
            continue;
        if (!b || o->pass[b] != o->pass[b - 1])
            bytes[n++] = 0;
        bytes[n - 1] += (double)((o->first[b + 1] - o->first[b]) * o->bytes[o->layer[b]]);
    }
    o->pass_bytes = n ? (int64_t)order_median(bytes, n) : 0;
    free(bytes);
}

struct offload *offload_new(const struct routed_set *set, double expert_bytes, struct err *err) {
    const struct routed_model *m = &set->model;
    struct offload *o = mem_alloc(sizeof *o);
    o->set = set;
    o->layers = m->layers;
    o->experts = m->experts;
    o->k = m->k;
    o->passes = set->passes;
    if (set_bytes(o, m, expert_bytes, err)) {
        offload_free(o);
        return NULL;
    }
    if ((double)set->passes * m->layers >= UINT32_MAX ||
        (double)m->experts * m->layers >= UINT32_MAX / 4) {
        err_set(err, "%lld passes of %d layers with %d experts are too many to replay",
                (long long)set->passes, m->layers, m->experts);
        offload_free(o);
        return NULL;
    }
    set_passes(o, set);
    set_batches(o, set);
    set_next(o);
    set_pass_bytes(o);
    return o;
}

void offload_free(struct offload *o) {
    if (!o)
        return;
    free(o->bytes);
    free(o->first);
    free(o->layer);
    free(o->pass);
    free(o->expert);
    free(o->decode);
    free(o->tokens);
    free(o->next);
    free(o->first_use);
    free(o);
}
