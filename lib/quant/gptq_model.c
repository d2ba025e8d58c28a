/* gptq_model.c - a whole model through GPTQ, see gptq_model.h */
#include "lib/quant/gptq_model.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/gptq_model_impl.h"

/* ---- choosing --------------------------------------------------------------------------- */

/* Calls fn for every weight that GPTQ knows of, with its layer. */
static void each_weight(const struct model *model, int head,
                        void (*fn)(void *arg, int layer, const struct kern_weight *w), void *arg) {
    for (int i = 0; i < model->shape->layers; i++)
        for (int k = 0; k < LAYER_INPUTS; k++)
            for (int w = 0; w < layer_inputs[k].weights; w++) {
                const struct kern_weight *weight =
                    layer_weight(&model->layer[i], layer_inputs[k].weight[w]);
                if (weight->data)
                    fn(arg, i, weight);
            }
    if (head && !model->shape->tied)
        fn(arg, model->shape->layers, &model->head);
}

struct choice {
    const struct model *model;
    const struct source *source;
    uint8_t *chosen;
};

static void choose(void *arg, int layer, const struct kern_weight *w) {
    (void)layer;
    const struct choice *c = arg;
    for (int64_t mat = 0; mat < w->mats; mat++) {
        int64_t i = layer_weight_tensor(c->model, c->source, w, mat, NULL);
        if (i >= 0)
            c->chosen[i] = 1;
    }
}

void gptq_model_choose(const struct model *model, const struct source *s, int head,
                       uint8_t *chosen) {
    struct choice c = {model, s, chosen};
    memset(chosen, 0, (size_t)source_count(s));
    each_weight(model, head, choose, &c);
}

/* ---- open and close --------------------------------------------------------------------- */

static void set_slot(void *arg, int layer, const struct kern_weight *w) {
    struct gptq_model *m = arg;
    for (int64_t mat = 0; mat < w->mats; mat++) {
        int64_t i = layer_weight_tensor(m->opt.model, m->opt.source, w, mat, NULL);
        if (i >= 0 && m->opt.chosen[i]) {
            m->slot[i].layer = layer;
            m->slot[i].mats = m->opt.source->tensor[i].rows / w->rows;
        }
    }
}

static void show_progress(void *arg, int done) {
    const struct gptq_model *m = arg;
    if (m->opt.progress)
        m->opt.progress(m->opt.arg, m->done + done, m->total);
}

static int start_text(struct gptq_model *m, struct err *err) {
    const struct gptq_model_options *o = &m->opt;
    struct session_options how = {.context = o->tokens, .sequences = 1, .batch = o->tokens,
                                  .kv_type = KERN_F16, .tap = {gptq_tap, m}};
    m->session = session_new(o->model, o->gptq.kern, o->par, &how, err);
    if (!m->session)
        return -1;
    m->calib = calib_new(m->session, o->model->shape->d_model, o->token, o->chunks, o->tokens,
                         err);
    if (!m->calib)
        return -1;
    m->calib->progress = show_progress;
    m->calib->arg = m;
    return 0;
}

struct gptq_model *gptq_model_new(const struct gptq_model_options *opt, struct err *err) {
    struct gptq_model *m = mem_alloc(sizeof *m);
    uint64_t n = source_count(opt->source);
    m->opt = *opt;
    m->slot = mem_array((size_t)n, sizeof *m->slot);
    for (uint64_t i = 0; i < n; i++)
        m->slot[i].layer = -1;
    m->blas = blas_load(err);
    if (!m->blas || start_text(m, err)) {
        gptq_model_free(m);
        return NULL;
    }
    each_weight(opt->model, 1, set_slot, m);
    for (int i = 0; i < opt->model->shape->layers; i++)
        m->total += (int64_t)(gptq_layer_turns(m, i) + 1) * opt->chunks;
    return m;
}

static void empty(struct gptq_slot *s) {
    if (s->data)
        mem_unmap(s->data, s->bytes);
    for (int64_t k = 0; s->grouped && k < s->mats; k++)
        grouped_free(s->grouped[k]);
    free(s->grouped);
    s->data = NULL;
    s->grouped = NULL;
}

void gptq_model_free(struct gptq_model *m) {
    if (!m)
        return;
    for (uint64_t i = 0; i < source_count(m->opt.source); i++)
        empty(&m->slot[i]);
    calib_free(m->calib);
    session_free(m->session);
    free(m->slot);
    free(m);
}

/* ---- running ---------------------------------------------------------------------------- */

static int fill(struct gptq_model *m, uint64_t i, struct err *err) {
    struct gptq_slot *s = &m->slot[i];
    const struct source_tensor *t = &m->opt.source->tensor[i];
    if (!m->opt.type) {
        s->grouped = mem_array((size_t)s->mats, sizeof(struct grouped *));
        return 0;
    }
    s->bytes = kern_row_bytes(m->opt.type[i], t->ne[0]) * (size_t)t->rows;
    s->data = mem_map(s->bytes);
    return s->data ? 0 : err_set(err, "no memory for tensor \"%s\", %zu MB", t->name,
                                 s->bytes / 1000000);
}

/* Runs layers until `layer` is at hand. */
static int advance(struct gptq_model *m, int layer, struct err *err) {
    while (m->layer <= layer) {
        for (uint64_t i = 0; i < source_count(m->opt.source); i++) {
            if (m->slot[i].layer >= 0 && m->slot[i].layer < m->layer)
                empty(&m->slot[i]);
            if (m->slot[i].layer == m->layer && fill(m, i, err))
                return -1;
        }
        if (m->layer < m->opt.model->shape->layers ? gptq_layer_run(m, err)
                                                   : gptq_head_run(m, err))
            return -1;
        m->layer++;
    }
    return 0;
}

static int bring(struct gptq_model *m, uint64_t i, struct err *err) {
    int layer = m->slot[i].layer;
    if (layer < 0 || layer + 1 < m->layer)
        return err_set(err, "tensor \"%s\" is %s", m->opt.source->tensor[i].name,
                       layer < 0 ? "not quantized" : "of a layer that has gone by");
    return advance(m, layer, err);
}

int gptq_model_data(struct gptq_model *m, uint64_t i, const void **data, struct err *err) {
    if (bring(m, i, err))
        return -1;
    *data = m->slot[i].data;
    return 0;
}

int gptq_model_grouped(struct gptq_model *m, uint64_t i, int64_t mat, const struct grouped **out,
                       struct err *err) {
    if (bring(m, i, err))
        return -1;
    *out = m->slot[i].grouped[mat];
    return 0;
}

void gptq_model_order(const struct gptq_model *m, uint64_t *order) {
    uint64_t n = source_count(m->opt.source);
    uint64_t at = 0;
    for (int layer = -1; layer <= m->opt.model->shape->layers; layer++)
        for (uint64_t i = 0; i < n; i++)
            if (m->slot[i].layer == layer)
                order[at++] = i;
}
