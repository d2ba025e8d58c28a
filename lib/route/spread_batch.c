/* spread_batch.c - unique experts of tokens of different requests, and what formulas say */
#include "lib/route/spread_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* ---- formulas ----------------------------------------------------------------------------- */

/* 1 - (1 - p)^b, also of a p near 0. */
static double at_least_once(double p, double b) {
    return p >= 1 ? 1 : -expm1(b * log1p(-p));
}

double spread_formula(int experts, double k, double b) {
    return experts * at_least_once(k / experts, b);
}

/* Of the windows of b tokens in a sequence, those in which a use is the first of its expert: it
 * comes `gap` tokens after the one before, or the start, and `left` tokens from it end the
 * sequence. */
static double firsts(int64_t b, int64_t gap, int64_t left) {
    int64_t n = (gap < b ? gap : b) - (b > left ? b - left : 0);
    return n > 0 ? (double)n : 0;
}

struct uses {
    const struct spread *s;
    int64_t b;                  /* tokens of a window */
    double *windows_with;       /* [experts] windows that use it */
    int64_t *last;              /* [experts] the token behind its last use in this piece */
    double windows;
};

/* Tokens [from, to) of a sequence, which all have experts in the layer. */
static void add_piece(struct uses *u, int layer, int64_t from, int64_t to) {
    const struct routed_model *m = &u->s->set->model;
    if (to - from < u->b)
        return;
    u->windows += (double)(to - from - u->b + 1);
    for (int e = 0; e < m->experts; e++)
        u->last[e] = from;
    for (int64_t t = from; t < to; t++) {
        const int16_t *id = routed_at(u->s->set, u->s->token[t], layer);
        for (int i = 0; i < m->k; i++)
            if (id[i] >= 0) {
                u->windows_with[id[i]] += firsts(u->b, t + 1 - u->last[id[i]], to - t);
                u->last[id[i]] = t + 1;
            }
    }
}

/* The windows of one sequence. */
static void add_uses(struct uses *u, int layer, int64_t sequence) {
    int64_t from = u->s->start[sequence];
    int64_t end = u->s->start[sequence + 1];
    for (int64_t t = from; t <= end; t++)
        if (t == end ||
            !spread_has(routed_at(u->s->set, u->s->token[t], layer), u->s->set->model.k)) {
            add_piece(u, layer, from, t);
            from = t + 1;
        }
}

static void start_uses(struct uses *u) {
    memset(u->windows_with, 0, (size_t)u->s->set->model.experts * sizeof *u->windows_with);
    u->windows = 0;
}

static struct uses uses_new(const struct spread *s, int64_t b) {
    size_t experts = (size_t)s->set->model.experts + 1;
    return (struct uses){.s = s, .b = b,
                         .windows_with = mem_array(experts, sizeof(double)),
                         .last = mem_array(experts, sizeof(int64_t))};
}

static void uses_free(struct uses *u) {
    free(u->last);
    free(u->windows_with);
}

/* Unique experts of a layer when `draws` windows are drawn from all; NAN without one. */
static double drawn_layer(struct uses *u, int layer, double draws) {
    double unique = 0;
    start_uses(u);
    for (int64_t i = 0; i < u->s->sequences; i++)
        add_uses(u, layer, i);
    if (u->windows == 0)
        return NAN;
    for (int e = 0; e < u->s->set->model.experts; e++)
        unique += at_least_once(u->windows_with[e] / u->windows, draws);
    return unique;
}

double spread_by_load(const struct spread *s, double b, double *mean_layer) {
    const struct routed_model *m = &s->set->model;
    double sum = 0;
    int layers = 0;
    for (int l = 0; l < m->layers; l++) {
        const double *use = s->use + (size_t)l * (size_t)m->experts;
        double unique = 0;
        for (int e = 0; e < m->experts && s->whole[l] > 0; e++)
            unique += at_least_once(use[e] / s->whole[l], b);
        if (mean_layer)
            mean_layer[l] = s->whole[l] > 0 ? unique : NAN;
        sum += unique;
        layers += s->whole[l] > 0;
    }
    return layers ? sum / layers : NAN;
}

/* ---- batches ------------------------------------------------------------------------------ */

/* missing[j][e]: the mean, over all ways to take j of the requests so far, of the chance that a
 * window of each does without expert e. It is an elementary symmetric polynomial over its number of
 * terms; in this form nothing leaves [0, 1]. */
struct pools {
    int experts;
    int64_t most, requests;
    double *missing;            /* [most + 1][experts] */
};

static struct pools pools_new(int experts, int64_t most) {
    size_t cells = (size_t)(most + 1) * (size_t)experts + 1;
    return (struct pools){.experts = experts, .most = most,
                          .missing = mem_array(cells, sizeof(double))};
}

static void start_pools(struct pools *p) {
    p->requests = 0;
    memset(p->missing, 0, (size_t)(p->most + 1) * (size_t)p->experts * sizeof *p->missing);
    for (int e = 0; e < p->experts; e++)
        p->missing[e] = 1;
}

/* One more request, whose windows do without expert e with the chance without[e]. */
static void add_request(struct pools *p, const double *without) {
    size_t experts = (size_t)p->experts;
    double r = (double)++p->requests;
    for (int64_t j = p->most < p->requests ? p->most : p->requests; j >= 1; j--) {
        double take = (double)j / r;
        double *to = p->missing + (size_t)j * experts;
        const double *less = to - experts;
        for (size_t e = 0; e < experts; e++)
            to[e] = (1 - take) * to[e] + take * without[e] * less[e];
    }
}

static void add_requests(struct pools *p, struct uses *u, int layer) {
    const struct spread *s = u->s;
    start_pools(p);
    for (int64_t i = 0; i < s->sequences;) {
        int64_t first = i;
        start_uses(u);
        for (; i < s->sequences && s->request[i] == s->request[first]; i++)
            add_uses(u, layer, i);
        if (u->windows == 0)
            continue;
        for (int e = 0; e < p->experts; e++)
            u->windows_with[e] = 1 - u->windows_with[e] / u->windows;
        add_request(p, u->windows_with);
    }
}

/* Unique experts of a batch of so many, NAN when requests are fewer. */
static double pooled(const struct pools *p, int64_t batch) {
    double unique = 0;
    if (batch > p->requests)
        return NAN;
    for (int e = 0; e < p->experts; e++)
        unique += 1 - p->missing[(size_t)batch * (size_t)p->experts + (size_t)e];
    return unique;
}

/* The largest batch there are requests for; 0: none. */
static int64_t largest(const struct spread *s, const int64_t *batch, int n) {
    int64_t most = 0;
    for (int i = 0; i < n; i++)
        if (batch[i] > most && batch[i] <= s->requests)
            most = batch[i];
    return most;
}

void spread_batches(const struct spread *s, const int64_t *batch, int n, double *mean) {
    const struct routed_model *m = &s->set->model;
    struct pools p = pools_new(m->experts, largest(s, batch, n));
    struct uses u = uses_new(s, 1);
    int *layers = mem_array((size_t)n + 1, sizeof *layers);
    memset(mean, 0, (size_t)n * sizeof *mean);
    for (int l = 0; l < m->layers && p.most > 0; l++) {
        add_requests(&p, &u, l);
        for (int i = 0; i < n; i++) {
            double unique = pooled(&p, batch[i]);
            mean[i] += isnan(unique) ? 0 : unique;
            layers[i] += !isnan(unique);
        }
    }
    for (int i = 0; i < n; i++)
        mean[i] = layers[i] ? mean[i] / layers[i] : NAN;
    free(layers);
    uses_free(&u);
    free(p.missing);
}

double spread_batch(const struct spread *s, int64_t b, int64_t batch, const double *weight) {
    const struct routed_model *m = &s->set->model;
    int different = batch <= s->requests;
    struct pools p = pools_new(m->experts, different ? batch : 0);
    struct uses u = uses_new(s, b);
    double sum = 0;
    double of = 0;
    for (int l = 0; l < m->layers; l++) {
        double unique = NAN;
        if (different) {
            add_requests(&p, &u, l);
            unique = pooled(&p, batch);
        }
        if (isnan(unique))
            unique = drawn_layer(&u, l, (double)batch);
        if (isnan(unique))
            continue;
        sum += (weight ? weight[l] : 1) * unique;
        of += weight ? weight[l] : 1;
    }
    uses_free(&u);
    free(p.missing);
    return of > 0 ? sum / of : NAN;
}
