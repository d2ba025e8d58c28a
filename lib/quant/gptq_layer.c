/* gptq_layer.c - one layer through GPTQ, see gptq_model_impl.h */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/quant/gptq_model_impl.h"

/* The weight of an input that comes first; its absence is that of all. */
static const struct kern_weight *first_weight(const struct gptq_model *m, int layer, int input) {
    return layer_weight(&m->opt.model->layer[layer], layer_inputs[input].weight[0]);
}

static int is_chosen(const struct gptq_model *m, const struct kern_weight *w) {
    int64_t i = w->data ? layer_weight_tensor(m->opt.model, m->opt.source, w, 0, NULL) : -1;
    return i >= 0 && m->slot[i].layer >= 0;
}

static int any_chosen(const struct gptq_model *m, int layer, int input) {
    for (int k = 0; k < layer_inputs[input].weights; k++)
        if (is_chosen(m, layer_weight(&m->opt.model->layer[layer], layer_inputs[input].weight[k])))
            return 1;
    return 0;
}

/* ---- second moments --------------------------------------------------------------------- */

/* Which of the layer's inputs the weights of `in` belong to; -1: none. */
static int input_of(const struct gptq_model *m, const struct session_input *in) {
    for (int k = 0; k < LAYER_INPUTS; k++)
        for (int w = 0; w < in->weights; w++)
            if (in->weight[w] == first_weight(m, in->layer, k))
                return k;
    return -1;
}

void gptq_tap(void *arg, const struct session_input *in) {
    struct gptq_model *m = arg;
    if (!m->collecting || m->bad || in->layer < 0)
        return;
    int k = input_of(m, in);
    if (k < 0 || !m->moments[k])
        return;
    int experts = layer_inputs[k].experts;
    if (experts ? in->expert < m->first || in->expert >= m->last : !m->dense)
        return;
    struct hessian **h = &m->moments[k][experts ? in->expert : 0];
    if (!*h && !(*h = hessian_new(in->cols, m->blas, &m->failed))) {
        m->bad = 1;
        return;
    }
    hessian_add(*h, m->opt.par, in->x, in->n);
}

static int64_t moment_bytes(const struct gptq_model *m, int layer, int input) {
    int64_t cols = first_weight(m, layer, input)->cols;
    return cols * cols * (int64_t)sizeof(float) * 9 / 8;
}

/* Experts whose moments are summed in one run. */
static int experts_at_once(const struct gptq_model *m, int layer) {
    int experts = m->opt.model->shape->layer[layer].experts;
    int64_t bytes = 0;
    for (int k = 0; k < LAYER_INPUTS; k++)
        if (layer_inputs[k].experts && any_chosen(m, layer, k))
            bytes += moment_bytes(m, layer, k);
    if (!bytes || !m->opt.hessian_bytes)
        return experts;
    int64_t n = m->opt.hessian_bytes / bytes;
    return n < 1 ? 1 : n < experts ? (int)n : experts;
}

int gptq_layer_turns(const struct gptq_model *m, int layer) {
    int experts = m->opt.model->shape->layer[layer].experts;
    int once = experts_at_once(m, layer);
    return experts ? (experts + once - 1) / once : 1;
}

static void forget(struct gptq_model *m, int layer, int input) {
    for (int64_t e = 0; e < first_weight(m, layer, input)->mats; e++) {
        hessian_free(m->moments[input][e]);
        m->moments[input][e] = NULL;
    }
}

/* ---- matrices --------------------------------------------------------------------------- */

/* All matrices that multiply one input. Without rows there are no moments: zeros. */
static int run_input(struct gptq_model *m, int layer, int input, int64_t mat,
                     struct layer_weights *next, struct err *err) {
    const struct model_layer *own = &m->opt.model->layer[layer];
    struct hessian **h = &m->moments[input][mat];
    if (!*h && !(*h = hessian_new(first_weight(m, layer, input)->cols, m->blas, err)))
        return -1;
    hessian_finish(*h, m->opt.par);
    struct gptq_plan *p = gptq_plan_new(*h, &m->opt.gptq, err);
    int rc = p ? 0 : -1;
    for (int k = 0; k < layer_inputs[input].weights && !rc; k++) {
        const struct kern_weight *w = layer_weight(own, layer_inputs[input].weight[k]);
        if (is_chosen(m, w))
            rc = gptq_matrix_run(m, layer, w, mat, p, (*h)->count, next, err);
    }
    gptq_plan_free(p);
    hessian_free(*h);
    *h = NULL;
    return rc;
}

static int run_inputs(struct gptq_model *m, int layer, struct layer_weights *next,
                      struct err *err) {
    for (int k = 0; k < LAYER_INPUTS; k++) {
        int64_t first = layer_inputs[k].experts ? m->first : 0;
        int64_t last = layer_inputs[k].experts ? m->last : m->dense;
        if (!m->moments[k])
            continue;
        for (int64_t mat = first; mat < last; mat++)
            if (run_input(m, layer, k, mat, next, err))
                return -1;
    }
    return 0;
}

/* ---- the layer -------------------------------------------------------------------------- */

static int collect(struct gptq_model *m, int layer, const struct layer_weights *was,
                   struct err *err) {
    m->collecting = 1;
    int rc = calib_run(m->calib, layer, &was->layer, 0, err);
    m->collecting = 0;
    if (!rc && m->bad)
        rc = err_set(err, "%s", m->failed.text);
    m->done += m->calib->chunks;
    return rc;
}

static int run_turns(struct gptq_model *m, int layer, const struct layer_weights *was,
                     struct layer_weights *next, struct err *err) {
    int experts = m->opt.model->shape->layer[layer].experts;
    int once = experts_at_once(m, layer);
    for (int turn = 0; turn < gptq_layer_turns(m, layer); turn++) {
        m->first = turn * once;
        m->last = m->first + once < experts ? m->first + once : experts;
        m->dense = turn == 0;
        if (collect(m, layer, was, err) || run_inputs(m, layer, next, err))
            return -1;
    }
    return 0;
}

static int needs_states(const struct gptq_model *m, int layer) {
    const struct model *model = m->opt.model;
    if (layer + 1 < model->shape->layers)
        return 1;
    int64_t head = model->shape->tied
                       ? -1 : layer_weight_tensor(model, m->opt.source, &model->head, 0, NULL);
    return head >= 0 && m->slot[head].layer >= 0;
}

int gptq_layer_run(struct gptq_model *m, struct err *err) {
    int layer = m->layer;
    struct layer_weights was;
    for (int k = 0; k < LAYER_INPUTS; k++)
        if (any_chosen(m, layer, k))
            m->moments[k] = mem_array((size_t)first_weight(m, layer, k)->mats,
                                      sizeof *m->moments[k]);
    int rc = layer_weights_pack(&was, &m->opt.model->layer[layer], m->opt.par, err);
    struct layer_weights next = {.layer = was.layer};
    if (!rc)
        rc = run_turns(m, layer, &was, &next, err);
    if (!rc && needs_states(m, layer)) {
        rc = calib_run(m->calib, layer, &next.layer, 1, err);
        m->done += m->calib->chunks;
    }
    for (int k = 0; k < LAYER_INPUTS; k++)
        if (m->moments[k]) {
            forget(m, layer, k);
            free(m->moments[k]);
            m->moments[k] = NULL;
        }
    layer_weights_free(&next);
    layer_weights_free(&was);
    return rc;
}

int gptq_head_run(struct gptq_model *m, struct err *err) {
    const struct model *model = m->opt.model;
    const struct shape *sh = model->shape;
    const struct calib *c = m->calib;
    int64_t n = (int64_t)c->tokens * sh->d_model;
    struct hessian *h = hessian_new(sh->d_model, m->blas, err);
    if (!h)
        return -1;
    float *x = mem_array((size_t)n, sizeof *x);
    for (int i = 0; i < c->chunks; i++) {
        m->opt.gptq.kern->rms_norm(session_queue(m->session), calib_chunk(c, i), 0, c->tokens,
                                   sh->d_model, model->out_norm, sh->norm_eps, x, 0);
        hessian_add(h, m->opt.par, x, c->tokens);
    }
    free(x);
    hessian_finish(h, m->opt.par);
    struct gptq_plan *p = gptq_plan_new(h, &m->opt.gptq, err);
    int rc = p ? gptq_matrix_run(m, sh->layers, &model->head, 0, p, h->count, NULL, err) : -1;
    gptq_plan_free(p);
    hessian_free(h);
    return rc;
}
