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

/* Whether id[i] is not before it in the token. */
static int is_first(const int16_t *id, int i) {
    for (int j = 0; j < i; j++)
        if (id[j] == id[i])
            return 0;
    return 1;
}

/* Adds tokens [from, to) of the sequences: how many have experts in the layer, and use[experts] of
 * them each. */
static double add_uses(const struct spread *s, int layer, int64_t from, int64_t to, double *use) {
    int k = s->set->model.k;
    double tokens = 0;
    for (int64_t t = from; t < to; t++) {
        const int16_t *id = routed_at(s->set, s->token[t], layer);
        tokens += spread_has(id, k);
        for (int i = 0; i < k; i++)
            if (id[i] >= 0 && is_first(id, i))
                use[id[i]]++;
    }
    return tokens;
}

double spread_by_load(const struct spread *s, double b, double *mean_layer) {
    const struct routed_model *m = &s->set->model;
    double *use = mem_array((size_t)m->experts + 1, sizeof *use);
    double sum = 0;
    int layers = 0;
    for (int l = 0; l < m->layers; l++) {
        double unique = 0;
        memset(use, 0, (size_t)m->experts * sizeof *use);
        double tokens = add_uses(s, l, 0, s->tokens, use);
        for (int e = 0; e < m->experts && tokens > 0; e++)
            unique += at_least_once(use[e] / tokens, b);
        if (mean_layer)
            mean_layer[l] = tokens > 0 ? unique : NAN;
        sum += unique;
        layers += tokens > 0;
    }
    free(use);
    return layers ? sum / layers : NAN;
}

/* ---- batches ------------------------------------------------------------------------------ */

/* missing[j][e]: the mean, over all ways to take j of the requests so far, of the chance that none
 * of a token of each uses expert e. It is an elementary symmetric polynomial over its number of
 * terms; in this form nothing leaves [0, 1]. */
struct pools {
    int experts;
    int64_t most, requests;
    double *missing;            /* [most + 1][experts] */
};

/* One more request, whose tokens do without expert e with the chance without[e]. */
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

static void start_pools(struct pools *p) {
    p->requests = 0;
    memset(p->missing, 0, (size_t)(p->most + 1) * (size_t)p->experts * sizeof *p->missing);
    for (int e = 0; e < p->experts; e++)
        p->missing[e] = 1;
}

static void add_requests(struct pools *p, const struct spread *s, int layer, double *use) {
    for (int64_t i = 0; i < s->sequences;) {
        double tokens = 0;
        int64_t first = i;
        memset(use, 0, (size_t)p->experts * sizeof *use);
        for (; i < s->sequences && s->request[i] == s->request[first]; i++)
            tokens += add_uses(s, layer, s->start[i], s->start[i + 1], use);
        if (tokens == 0)
            continue;
        for (int e = 0; e < p->experts; e++)
            use[e] = 1 - use[e] / tokens;
        add_request(p, use);
    }
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
    struct pools p = {.experts = m->experts, .most = largest(s, batch, n)};
    size_t experts = (size_t)m->experts;
    double *use = mem_array(experts + 1, sizeof *use);
    int *layers = mem_array((size_t)n + 1, sizeof *layers);
    p.missing = mem_array((size_t)(p.most + 1) * experts + 1, sizeof *p.missing);
    memset(mean, 0, (size_t)n * sizeof *mean);
    for (int l = 0; l < m->layers && p.most > 0; l++) {
        start_pools(&p);
        add_requests(&p, s, l, use);
        for (int i = 0; i < n; i++) {
            if (batch[i] > p.requests)
                continue;
            const double *none = p.missing + (size_t)batch[i] * experts;
            for (size_t e = 0; e < experts; e++)
                mean[i] += 1 - none[e];
            layers[i]++;
        }
    }
    for (int i = 0; i < n; i++)
        mean[i] = layers[i] ? mean[i] / layers[i] : NAN;
    free(p.missing);
    free(layers);
    free(use);
}
