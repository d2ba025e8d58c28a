/* spread_curve.c - unique experts of sliding windows of every length, in one pass over the uses */
#include "lib/route/spread_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

struct bends {
    int64_t most;
    double *windows;            /* [most + 1] of each length */
    double *bend;               /* [most + 1] second differences over b of all first uses */
    int64_t *last;              /* [experts] where each was used last, + 1 */
};

static void add_bend(struct bends *c, int64_t at, double by) {
    if (at <= c->most)
        c->bend[at] += by;
}

/* Tokens [from, to) of a sequence, which all have experts in the layer. */
static void add_segment(struct bends *c, const struct spread *s, int layer, int64_t from,
                        int64_t to) {
    int k = s->set->model.k;
    int64_t n = to - from;
    for (int64_t t = from; t < to; t++) {
        const int16_t *id = routed_at(s->set, s->token[t], layer);
        for (int i = 0; i < k; i++) {
            if (id[i] < 0)
                continue;
            int64_t before = c->last[id[i]] > from ? c->last[id[i]] : from;
            int64_t gap = t + 1 - before;
            int64_t left = to - t;
            c->last[id[i]] = t + 1;
            if (gap == 0)
                continue;       /* the same expert twice in one token */
            c->bend[0] += 1;
            add_bend(c, gap, -1);
            add_bend(c, left, -1);
            add_bend(c, gap + left, 1);
        }
    }
    for (int64_t b = 1; b <= c->most && b <= n; b++)
        c->windows[b] += (double)(n - b + 1);
}

static void add_layer(struct bends *c, const struct spread *s, int layer) {
    for (int64_t i = 0; i < s->sequences; i++) {
        int64_t from = s->start[i];
        int64_t end = s->start[i + 1];
        for (int64_t t = from; t <= end; t++)
            if (t == end || !spread_has(routed_at(s->set, s->token[t], layer), s->set->model.k)) {
                add_segment(c, s, layer, from, t);
                from = t + 1;
            }
    }
}

void spread_curve(const struct spread *s, int64_t most, double *mean) {
    const struct routed_model *m = &s->set->model;
    struct bends c = {.most = most};
    double *layers = mem_array((size_t)most + 1, sizeof *layers);
    c.windows = mem_array((size_t)most + 1, sizeof *c.windows);
    c.bend = mem_array((size_t)most + 1, sizeof *c.bend);
    c.last = mem_array((size_t)m->experts + 1, sizeof *c.last);
    memset(mean, 0, (size_t)most * sizeof *mean);
    for (int l = 0; l < m->layers; l++) {
        double slope = 0;
        double first = 0;
        memset(c.windows, 0, ((size_t)most + 1) * sizeof *c.windows);
        memset(c.bend, 0, ((size_t)most + 1) * sizeof *c.bend);
        memset(c.last, 0, ((size_t)m->experts + 1) * sizeof *c.last);
        add_layer(&c, s, l);
        for (int64_t b = 1; b <= most; b++) {
            slope += c.bend[b - 1];
            first += slope;
            if (c.windows[b] > 0) {
                mean[b - 1] += first / c.windows[b];
                layers[b]++;
            }
        }
    }
    for (int64_t b = 1; b <= most; b++)
        mean[b - 1] = layers[b] > 0 ? mean[b - 1] / layers[b] : NAN;
    free(c.last);
    free(c.bend);
    free(c.windows);
    free(layers);
}
