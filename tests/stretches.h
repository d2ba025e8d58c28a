/* stretches.h - random routes for tests of what counts them, handed over in pieces of any length
 *
 *     struct trail t = trail_make(600, 3, 16, 4, 5);
 *     for (int at = 0; at < t.n;) {
 *         struct stretch s = trail_piece(&t, at, 1 + below(70));
 *         ...
 *         at += s.n;
 *     }
 *     trail_free(&t);
 */
#ifndef STRETCHES_H
#define STRETCHES_H

#include <stdlib.h>

#include "tests/random.h"

#include "lib/base/mem.h"
#include "lib/route/stretch.h"

struct trail {
    int n, layers, experts, k;
    int16_t *expert;            /* [n][layers][k] */
    uint32_t *request, *position, *pass;
    uint8_t *accepted;
};

/* k different experts, low numbers more often; now and then some are none. */
static inline void trail_experts(int16_t *out, int experts, int k) {
    for (int j = 0; j < k; j++) {
        int again = 1;
        while (again) {
            int most = 1 + below(experts);
            out[j] = (int16_t)below(most);
            again = 0;
            for (int i = 0; i < j; i++)
                again |= out[i] == out[j];
        }
    }
    for (int j = 0; j < k && below(8) == 0; j++)
        out[j] = -1;
}

/* Requests take turns at random; positions mostly follow each other, some are left out, some go
 * back; some tokens are taken back; passes are of 1 to 8 tokens. */
static inline struct trail trail_make(int n, int layers, int experts, int k, int requests) {
    struct trail t = {.n = n, .layers = layers, .experts = experts, .k = k};
    size_t row = (size_t)layers * (size_t)k;
    t.expert = mem_array((size_t)n, row * sizeof *t.expert);
    t.request = mem_array((size_t)n, sizeof *t.request);
    t.position = mem_array((size_t)n, sizeof *t.position);
    t.pass = mem_array((size_t)n, sizeof *t.pass);
    t.accepted = mem_array((size_t)n, sizeof *t.accepted);
    uint32_t *next_position = mem_array((size_t)requests, sizeof *next_position);
    for (int i = 0; i < n; i++) {
        uint32_t r = (uint32_t)below(requests);
        for (int l = 0; l < layers; l++)
            trail_experts(t.expert + (size_t)i * row + l * k, experts, k);
        t.request[i] = r;
        next_position[r] += below(10) == 0 ? (uint32_t)below(3) : 1;
        next_position[r] = below(60) == 0 ? 0 : next_position[r];
        t.position[i] = next_position[r];
        t.accepted[i] = below(12) != 0;
        t.pass[i] = i ? t.pass[i - 1] + (below(4) == 0) : 1;
    }
    free(next_position);
    return t;
}

static inline void trail_free(struct trail *t) {
    free(t->expert);
    free(t->request);
    free(t->position);
    free(t->pass);
    free(t->accepted);
}

static inline struct stretch trail_piece(const struct trail *t, int at, int n) {
    n = n < t->n - at ? n : t->n - at;
    return (struct stretch){
        n, t->layers, t->k,
        t->expert + (size_t)at * (size_t)t->layers * (size_t)t->k, t->request + at,
        t->position + at, t->pass + at, t->accepted + at};
}

#endif
