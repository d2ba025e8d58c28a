/* agreement.c - do two models choose the same experts, see agreement.h
 *
 * Sums are kept for each layer and chunk, so that errors can be estimated over chunks whatever the
 * length of the text.
 */
#include "lib/quant/agreement.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"

enum figure { SAME, FIRST, ALL, WEIGHTS, FIGURES };

struct layer {
    int layer, experts, top_k;
};

struct agreement {
    struct layer *layer;        /* [layers] */
    int layers, stride;         /* stride: the largest k */
    int64_t chunk, rows;
    double *sum;                /* [chunks begun][layers][FIGURES] */
    int64_t chunks;
};

static int routes_alike(const struct shape *a, const struct shape *b) {
    int moe = 0;
    if (a->layers != b->layers)
        return 0;
    for (int i = 0; i < a->layers; i++) {
        const struct shape_layer *x = &a->layer[i];
        const struct shape_layer *y = &b->layer[i];
        if (x->experts != y->experts || (x->experts && x->top_k != y->top_k))
            return 0;
        moe += x->experts > 0;
    }
    return moe;
}

struct agreement *agreement_new(const struct shape *a, const struct shape *b, int64_t chunk) {
    if (!routes_alike(a, b))
        return NULL;
    struct agreement *g = mem_alloc(sizeof *g);
    g->chunk = chunk;
    g->layer = mem_array((size_t)a->layers, sizeof *g->layer);
    for (int i = 0; i < a->layers; i++) {
        const struct shape_layer *l = &a->layer[i];
        if (!l->experts)
            continue;
        g->layer[g->layers++] = (struct layer){i, l->experts, l->top_k};
        g->stride = l->top_k > g->stride ? l->top_k : g->stride;
    }
    return g;
}

void agreement_free(struct agreement *a) {
    if (!a)
        return;
    free(a->layer);
    free(a->sum);
    free(a);
}

/* Where x has expert e among its k; -1: nowhere. */
static int find_expert(const int32_t *x, int k, int32_t e) {
    for (int i = 0; i < k; i++)
        if (x[i] == e)
            return i;
    return -1;
}

static void add_choice(double *sum, int k, const int32_t *x, const float *wx, const int32_t *y,
                       const float *wy) {
    int same = 0;
    double apart = 0;
    for (int i = 0; i < k; i++) {
        int at = find_expert(y, k, x[i]);
        same += at >= 0;
        apart += fabs((double)wx[i] - (at < 0 ? 0 : (double)wy[at]));
        apart += find_expert(x, k, y[i]) < 0 ? fabs((double)wy[i]) : 0;
    }
    sum[SAME] += (double)same / k;
    sum[FIRST] += x[0] == y[0];
    sum[ALL] += same == k;
    sum[WEIGHTS] += apart;
}

void agreement_add(struct agreement *a, const int32_t *expert, const float *weight,
                   const int32_t *expert_b, const float *weight_b, int n) {
    size_t figures = (size_t)a->layers * FIGURES;
    for (int r = 0; r < n; r++, a->rows++) {
        if (a->rows / a->chunk == a->chunks) {
            a->sum = mem_grow(a->sum, (size_t)++a->chunks * figures, sizeof *a->sum);
            for (size_t i = 0; i < figures; i++)
                a->sum[(size_t)(a->chunks - 1) * figures + i] = 0;
        }
        double *sum = a->sum + (size_t)(a->chunks - 1) * figures;
        for (int l = 0; l < a->layers; l++) {
            int64_t at = ((int64_t)r * a->layers + l) * a->stride;
            add_choice(sum + l * FIGURES, a->layer[l].top_k, expert + at, weight + at,
                       expert_b + at, weight_b + at);
        }
    }
}

int agreement_layers(const struct agreement *a) {
    return a->layers;
}

/* Of the figure's sums in whole chunks; those of layer l, or of all for l < 0. */
static struct fidelity_mean figure_mean(const struct agreement *a, int l, enum figure figure) {
    int64_t chunks = a->chunk > 0 ? a->rows / a->chunk : 0;
    double *mean = mem_array((size_t)chunks + 1, sizeof *mean);
    for (int64_t c = 0; c < chunks; c++) {
        const double *sum = a->sum + c * a->layers * FIGURES;
        for (int i = 0; i < a->layers; i++)
            mean[c] += l < 0 || l == i ? sum[i * FIGURES + (int)figure] : 0;
        mean[c] /= (double)a->chunk * (l < 0 ? a->layers : 1);
    }
    struct fidelity_mean m = fidelity_average(mean, chunks, 1);
    free(mean);
    return m;
}

void agreement_layer(const struct agreement *a, int i, struct agreement_figures *out) {
    const struct layer *l = &a->layer[i];
    *out = (struct agreement_figures){
        .layer = l->layer, .experts = l->experts, .top_k = l->top_k, .rows = a->rows,
        .same = figure_mean(a, i, SAME), .first = figure_mean(a, i, FIRST),
        .all = figure_mean(a, i, ALL), .weights = figure_mean(a, i, WEIGHTS)};
}

struct fidelity_mean agreement_mean(const struct agreement *a) {
    return figure_mean(a, -1, SAME);
}
