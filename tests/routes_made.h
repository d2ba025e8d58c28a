/* routes_made.h - traces in memory whose law is known, for tests
 *
 *     struct routed_set *s = routes_made(&(struct routes_law){.requests = 20, .tokens = 50,
 *         .layers = 2, .experts = 16, .k = 2, .weight = w}, &rng);
 *     routed_set_free(s);
 *
 * A token takes k experts of each layer, each by its weight; with a chance of `stays` it takes
 * those of the token before it.
 */
#ifndef ROUTES_MADE_H
#define ROUTES_MADE_H

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/trace/routed.h"

struct routes_law {
    int requests, tokens;       /* tokens of a request */
    int layers, experts, k;
    const double *weight;       /* [layers][experts]; NULL: all alike */
    double stays;
    double own;                 /* what the weight of two experts, drawn for each request and layer,
                                 * is more */
};

static inline void routes_pick(int16_t *out, const double *weight, int experts, int k,
                               struct rng *r) {
    for (int j = 0; j < k; j++) {
        double sum = 0;
        for (int e = 0; e < experts; e++)
            sum += weight[e];
        for (int i = 0; i < j; i++)
            sum -= weight[out[i]];
        double at = rng_unit(r) * sum;
        int chosen = -1;
        for (int e = 0; e < experts && at >= 0; e++) {
            int taken = 0;
            for (int i = 0; i < j; i++)
                taken |= out[i] == e;
            if (taken)
                continue;
            chosen = e;
            at -= weight[e];
        }
        out[j] = (int16_t)chosen;
    }
}

static inline struct routed_set *routes_new(int64_t tokens, int layers, int experts, int k) {
    struct routed_set *s = mem_alloc(sizeof *s);
    size_t n = (size_t)tokens + 1;
    s->model = (struct routed_model){.layers = layers, .experts = experts, .k = k};
    s->model.layer_index = mem_array((size_t)layers, sizeof *s->model.layer_index);
    s->model.expert_bytes = mem_array((size_t)layers, sizeof *s->model.expert_bytes);
    s->model.dense_bytes = mem_array((size_t)layers, sizeof *s->model.dense_bytes);
    for (int l = 0; l < layers; l++)
        s->model.layer_index[l] = l;
    s->tokens = tokens;
    s->expert = mem_array(n * (size_t)layers * (size_t)k, sizeof *s->expert);
    s->pass = mem_array(n + 1, sizeof *s->pass);
    s->request = mem_array(n, sizeof *s->request);
    s->step = mem_array(n, sizeof *s->step);
    s->position = mem_array(n, sizeof *s->position);
    s->phase = mem_array(n, sizeof *s->phase);
    s->accepted = mem_array(n, sizeof *s->accepted);
    return s;
}

static inline struct routed_set *routes_made(const struct routes_law *law, struct rng *r) {
    size_t experts = (size_t)law->experts;
    size_t row = (size_t)law->layers * (size_t)law->k;
    struct routed_set *s = routes_new((int64_t)law->requests * law->tokens, law->layers,
                                      law->experts, law->k);
    double *weight = mem_array((size_t)law->layers * experts, sizeof *weight);
    for (int64_t t = 0; t < s->tokens; t++) {
        int16_t *out = s->expert + (size_t)t * row;
        if (t % law->tokens == 0)
            for (size_t i = 0; i < (size_t)law->layers * experts; i++)
                weight[i] = law->weight ? law->weight[i] : 1;
        for (size_t l = 0; l < (size_t)law->layers && t % law->tokens == 0; l++)
            for (int i = 0; i < 2; i++)
                weight[l * experts + rng_below(r, experts)] += law->own;
        s->request[t] = (uint32_t)(t / law->tokens);
        s->position[t] = (uint32_t)(t % law->tokens);
        s->accepted[t] = 1;
        if (t % law->tokens && rng_unit(r) < law->stays) {
            for (size_t i = 0; i < row; i++)
                out[i] = out[i - row];
            continue;
        }
        for (int l = 0; l < law->layers; l++)
            routes_pick(out + l * law->k, weight + (size_t)l * experts, law->experts, law->k, r);
    }
    free(weight);
    return s;
}

#endif
