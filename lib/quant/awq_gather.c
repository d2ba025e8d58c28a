/* awq_gather.c - second moments and mean magnitudes of every input of a layer, see awq_layer.h */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/awq_impl.h"

struct awq_gather *awq_gather_new(const struct model *m, const struct blas *blas,
                                  struct par *par) {
    struct awq_gather *g = mem_alloc(sizeof *g);
    *g = (struct awq_gather){.model = m, .blas = blas, .par = par, .layer = -1};
    return g;
}

static void forget(struct awq_gather *g) {
    for (int i = 0; i < g->inputs; i++) {
        hessian_free(g->input[i].h);
        free(g->input[i].sum);
    }
    free(g->input);
    g->input = NULL;
    g->inputs = 0;
}

void awq_gather_free(struct awq_gather *g) {
    if (!g)
        return;
    forget(g);
    free(g);
}

void awq_gather_begin(struct awq_gather *g, int layer) {
    forget(g);
    g->layer = layer;
    g->failed = 0;
}

struct awq_input *awq_gather_input(const struct awq_gather *g, const struct kern_weight *w,
                                   int expert) {
    for (int i = 0; i < g->inputs; i++)
        for (int k = 0; k < g->input[i].weights; k++)
            if (g->input[i].weight[k] == w && g->input[i].expert == expert)
                return &g->input[i];
    return NULL;
}

/* The input of these weights, made when it is seen first; NULL: no memory. */
static struct awq_input *find_input(struct awq_gather *g, const struct session_input *in) {
    struct awq_input *input = awq_gather_input(g, in->weight[0], in->expert);
    if (input)
        return input;
    struct hessian *h = hessian_new(in->cols, g->blas, &g->err);
    if (!h)
        return NULL;
    g->input = mem_grow(g->input, (size_t)g->inputs + 1, sizeof *g->input);
    input = &g->input[g->inputs++];
    *input = (struct awq_input){.weights = in->weights, .expert = in->expert, .h = h,
                                .sum = mem_array((size_t)in->cols, sizeof(double))};
    memcpy(input->weight, in->weight, (size_t)in->weights * sizeof *in->weight);
    return input;
}

static void look(void *arg, const struct session_input *in) {
    struct awq_gather *g = arg;
    if (g->failed || in->layer != g->layer || g->layer < 0)
        return;
    struct awq_input *input = find_input(g, in);
    if (!input) {
        g->failed = 1;
        return;
    }
    for (int r = 0; r < in->n; r++)
        for (int64_t c = 0; c < in->cols; c++)
            input->sum[c] += fabs((double)in->x[r * in->cols + c]);
    hessian_add(input->h, g->par, in->x, in->n);
}

struct session_tap awq_gather_tap(struct awq_gather *g) {
    return (struct session_tap){.fn = look, .arg = g};
}

int awq_gather_finish(struct awq_gather *g, struct err *err) {
    if (g->failed)
        return err_set(err, "%s", g->err.text);
    for (int i = 0; i < g->inputs; i++)
        hessian_finish(g->input[i].h, g->par);
    return 0;
}
