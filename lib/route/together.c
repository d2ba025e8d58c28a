/* together.c - which experts of a layer are used by the same tokens, see together.h */
#include "lib/route/together.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define BYTES_MOST (4.0 * (1u << 30))

struct together {
    int layers, room;
    uint64_t **count;           /* [layers]: the pair a < b at b (b - 1) / 2 + a; more experts go
                                 * behind */
};

static size_t pairs_of(int experts) {
    return (size_t)experts * (size_t)(experts - 1) / 2;
}

static size_t pair_at(int a, int b) {
    return a < b ? pairs_of(b) + (size_t)a : pairs_of(a) + (size_t)b;
}

static int check_size(int layers, int experts, struct err *err) {
    double bytes = (double)layers * (double)pairs_of(experts) * sizeof(uint64_t);
    return bytes <= BYTES_MOST ? 0
        : err_set(err, "pairs of %d experts in %d layers need %.1f GB, more than %.1f", experts,
                  layers, bytes / 1e9, BYTES_MOST / 1e9);
}

struct together *together_new(int layers, int experts, struct err *err) {
    if (check_size(layers, experts, err) < 0)
        return NULL;
    struct together *t = mem_alloc(sizeof *t);
    t->layers = layers;
    t->room = experts;
    t->count = mem_array((size_t)layers, sizeof *t->count);
    for (int l = 0; l < layers; l++)
        t->count[l] = mem_array(pairs_of(experts) + 1, sizeof **t->count);
    return t;
}

void together_free(struct together *t) {
    if (!t)
        return;
    for (int l = 0; l < t->layers; l++)
        free(t->count[l]);
    free(t->count);
    free(t);
}

int together_grow(struct together *t, int experts, struct err *err) {
    if (experts <= t->room)
        return 0;
    if (check_size(t->layers, experts, err) < 0)
        return -1;
    size_t old = pairs_of(t->room);
    size_t now = pairs_of(experts);
    for (int l = 0; l < t->layers; l++) {
        t->count[l] = mem_grow(t->count[l], now + 1, sizeof **t->count);
        memset(t->count[l] + old, 0, (now + 1 - old) * sizeof **t->count);
    }
    t->room = experts;
    return 0;
}

void together_add(struct together *t, const struct stretch *s, int layer) {
    uint64_t *count = t->count[layer];
    for (int i = 0; i < s->n; i++) {
        const int16_t *expert = stretch_at(s, i, layer);
        for (int j = 1; j < s->k; j++)
            for (int h = 0; h < j; h++)
                if (expert[j] >= 0 && expert[h] >= 0 && expert[j] != expert[h])
                    count[pair_at(expert[h], expert[j])]++;
    }
}

int64_t together_tokens(const struct together *t, int layer, int a, int b) {
    return (int64_t)t->count[layer][pair_at(a, b)];
}

/* ---- the pairs that go together most ------------------------------------------------------ */

/* 1: p stands before q. */
static int before(const struct together_pair *p, const struct together_pair *q) {
    if (p->lift != q->lift)
        return p->lift > q->lift;
    return p->a != q->a ? p->a < q->a : p->b < q->b;
}

/* Keeps out[0..n) sorted, at most `most`; returns the new n. */
static int insert(struct together_pair *out, int n, int most, const struct together_pair *p) {
    if (n == most && !before(p, &out[n - 1]))
        return n;
    int at = n < most ? n : n - 1;
    for (; at > 0 && before(p, &out[at - 1]); at--)
        out[at] = out[at - 1];
    out[at] = *p;
    return n < most ? n + 1 : n;
}

int together_top(const struct together *t, int layer, int experts, const double *count,
                 int64_t tokens, int most, double least, struct together_pair *out) {
    double total = (double)tokens;
    int n = 0;
    for (int b = 1; b < experts && b < t->room; b++) {
        for (int a = 0; a < b && most > 0; a++) {
            double expected = total > 0 ? count[a] * count[b] / total : 0;
            if (!(expected > 0) || expected < least)
                continue;
            struct together_pair p = {.a = a, .b = b, .expected = expected,
                                      .tokens = together_tokens(t, layer, a, b)};
            double rest = (1 - count[a] / total) * (1 - count[b] / total);
            double deviation = sqrt(expected * rest * total / fmax(total - 1, 1));
            p.lift = (double)p.tokens / expected;
            p.z = deviation > 0 ? ((double)p.tokens - expected) / deviation : NAN;
            n = insert(out, n, most, &p);
        }
    }
    return n;
}

double together_alike(double k, int experts) {
    return experts > 1 && k > 0 ? fmax(k - 1, 0) / k * experts / (experts - 1) : NAN;
}
