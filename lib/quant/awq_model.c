/* awq_model.c - a whole model through AWQ, see awq_model.h */
#include "lib/quant/awq_model.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/calib.h"
#include "lib/quant/inventory.h"
#include "lib/quant/layer_weights.h"

/* A tensor of the layer at hand. */
struct slot {
    int layer;                  /* that it is of; -1: none */
    struct grouped **grouped;   /* [mats], borrowed from the layer; of quantized ones */
    int64_t mats;
    const float *value;         /* borrowed; NULL: not changed */
    float *own;                 /* the source's, when it is not changed and asked for */
    char *data;                 /* in the type of the result */
};

struct awq_model {
    struct awq_model_options opt;
    struct awq_gather *gather;
    struct session *session;
    struct calib *calib;
    struct slot *slot;          /* [tensors] */
    struct awq_layer *at;       /* the layer that ran last */
    int layer;                  /* the next to run */
};

/* ---- tensors ---------------------------------------------------------------------------- */

void awq_model_changed(const struct source *s, uint8_t *changed) {
    static const char *const names[] = {"attn_norm.weight", "ffn_norm.weight", "attn_v.bias",
                                        "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight"};
    for (uint64_t i = 0; i < source_count(s); i++) {
        const char *dot = strncmp(s->tensor[i].name, "blk.", 4)
                              ? NULL : strchr(s->tensor[i].name + 4, '.');
        changed[i] = 0;
        for (size_t k = 0; dot && k < sizeof names / sizeof *names; k++)
            changed[i] |= !strcmp(dot + 1, names[k]);
    }
}

/* ---- open and close --------------------------------------------------------------------- */

static void show_progress(void *arg, int done) {
    const struct awq_model *m = arg;
    if (m->opt.progress)
        m->opt.progress(m->opt.arg, (int64_t)m->layer * m->opt.chunks + done,
                        (int64_t)m->opt.model->shape->layers * m->opt.chunks);
}

struct awq_model *awq_model_new(const struct awq_model_options *opt, struct err *err) {
    struct awq_model *m = mem_alloc(sizeof *m);
    uint64_t n = source_count(opt->source);
    uint8_t *changed = mem_array((size_t)n, 1);
    m->opt = *opt;
    m->slot = mem_array((size_t)n, sizeof *m->slot);
    awq_model_changed(opt->source, changed);
    for (uint64_t i = 0; i < n; i++)
        m->slot[i].layer = opt->chosen[i] || changed[i]
                               ? inventory_layer(opt->source->tensor[i].name) : -1;
    free(changed);
    m->opt.awq.blas = blas_load(err);
    if (!m->opt.awq.blas)
        goto failed;
    m->gather = awq_gather_new(opt->model, m->opt.awq.blas, opt->awq.par);
    struct session_options how = {.context = opt->tokens, .sequences = 1, .batch = opt->tokens,
                                  .kv_type = KERN_F16, .tap = awq_gather_tap(m->gather)};
    m->session = session_new(opt->model, opt->awq.kern, opt->awq.par, &how, err);
    if (!m->session)
        goto failed;
    m->calib = calib_new(m->session, opt->model->shape->d_model, opt->token, opt->chunks,
                         opt->tokens, err);
    if (!m->calib)
        goto failed;
    m->calib->progress = show_progress;
    m->calib->arg = m;
    return m;
failed:
    awq_model_free(m);
    return NULL;
}

/* What is left of the layer that ran last. */
static void forget(struct awq_model *m) {
    for (uint64_t i = 0; i < source_count(m->opt.source); i++) {
        struct slot *s = &m->slot[i];
        free(s->grouped);
        free(s->own);
        free(s->data);
        *s = (struct slot){.layer = s->layer};
    }
    awq_layer_free(m->at);
    m->at = NULL;
}

void awq_model_free(struct awq_model *m) {
    if (!m)
        return;
    forget(m);
    calib_free(m->calib);
    session_free(m->session);
    awq_gather_free(m->gather);
    free(m->slot);
    free(m);
}

/* ---- results of a layer ------------------------------------------------------------------ */

/* A matrix to its place in its tensor. */
static void take_matrix(struct awq_model *m, const struct awq_matrix *a) {
    const struct awq_model_options *o = &m->opt;
    int64_t inside;
    int64_t i = layer_weight_tensor(o->model, o->source, a->weight, a->mat, &inside);
    struct slot *s = &m->slot[i];
    int type = o->type ? o->type[i] : -1;
    size_t bytes = o->type ? kern_row_bytes(type, a->weight->cols) * (size_t)a->weight->rows : 0;
    s->mats = o->source->tensor[i].rows / a->weight->rows;
    if (!o->type) {
        if (!s->grouped)
            s->grouped = mem_array((size_t)s->mats, sizeof(struct grouped *));
        s->grouped[inside] = a->grouped;
    } else {
        if (!s->data)
            s->data = mem_alloc(bytes * (size_t)s->mats);
        char *out = s->data + (size_t)inside * bytes;
        if (a->blocks)
            memcpy(out, a->blocks, bytes);
        else
            grouped_store_all(a->grouped, type, o->awq.kern, o->awq.par, out);
    }
    struct awq_row row = {
        .layer = m->layer, .tensor = o->source->tensor[i].name,
        .expert = a->weight->mats > 1 ? (int)a->mat : -1, .type = type, .rows = a->weight->rows,
        .cols = a->weight->cols, .tokens = a->seen, .ratio = a->ratio, .report = a->report};
    if (o->report)
        o->report(o->arg, &row);
}

static void take_tensor(struct awq_model *m, const struct awq_tensor *t) {
    int64_t i = source_find(m->opt.source, t->name);
    if (i < 0)
        return;
    struct slot *s = &m->slot[i];
    const struct source_tensor *st = &m->opt.source->tensor[i];
    s->value = t->value;
    if (m->opt.type) {
        s->data = mem_alloc(kern_row_bytes(m->opt.type[i], st->ne[0]) * (size_t)st->rows);
        m->opt.awq.kern->quantize(m->opt.type[i], t->value, s->data, st->rows, st->ne[0], NULL);
    }
}

static int wanted(void *arg, const struct kern_weight *w) {
    const struct awq_model *m = arg;
    for (int64_t mat = 0; mat < w->mats; mat++) {
        int64_t i = layer_weight_tensor(m->opt.model, m->opt.source, w, mat, NULL);
        if (i < 0 || !m->opt.chosen[i])
            return 0;
    }
    return 1;
}

static int type_of(void *arg, const struct kern_weight *w) {
    const struct awq_model *m = arg;
    return m->opt.type[layer_weight_tensor(m->opt.model, m->opt.source, w, 0, NULL)];
}

static float stored(void *arg, const char *tensor, float v) {
    const struct awq_model *m = arg;
    int64_t i = source_find(m->opt.source, tensor);
    return i < 0 ? v : m->opt.stored(m->opt.arg, (uint64_t)i, v);
}

/* ---- running ---------------------------------------------------------------------------- */

static int run_layer(struct awq_model *m, struct err *err) {
    struct layer_weights packed;
    struct awq_layer_options how = {.awq = m->opt.awq, .wanted = wanted, .stored = stored,
                                    .arg = m};
    if (m->opt.native)
        how.type = type_of;
    forget(m);
    awq_gather_begin(m->gather, m->layer);
    int rc = layer_weights_pack(&packed, &m->opt.model->layer[m->layer], m->opt.awq.par, err);
    if (!rc)
        rc = calib_run(m->calib, m->layer, &packed.layer, 1, err);
    layer_weights_free(&packed);
    m->at = rc ? NULL : awq_layer_make(m->gather, &how, err);
    if (!m->at)
        return -1;
    for (int k = 0; k < m->at->matrices; k++)
        take_matrix(m, &m->at->matrix[k]);
    for (int k = 0; k < m->at->tensors; k++)
        take_tensor(m, &m->at->tensor[k]);
    m->layer++;
    return 0;
}

/* Runs layers until that of tensor i is at hand. */
static int bring(struct awq_model *m, uint64_t i, struct err *err) {
    int layer = m->slot[i].layer;
    if (layer < 0 || layer + 1 < m->layer)
        return err_set(err, "tensor \"%s\" is %s", m->opt.source->tensor[i].name,
                       layer < 0 ? "not changed" : "of a layer that has gone by");
    while (m->layer <= layer)
        if (run_layer(m, err))
            return -1;
    return 0;
}

int awq_model_data(struct awq_model *m, uint64_t i, const void **data, struct err *err) {
    if (bring(m, i, err))
        return -1;
    *data = m->slot[i].data;
    return 0;
}

int awq_model_grouped(struct awq_model *m, uint64_t i, int64_t mat, const struct grouped **out,
                      struct err *err) {
    if (bring(m, i, err))
        return -1;
    *out = m->slot[i].grouped[mat];
    return 0;
}

int awq_model_values(struct awq_model *m, uint64_t i, const float **out, struct err *err) {
    struct slot *s = &m->slot[i];
    const struct source_tensor *t = &m->opt.source->tensor[i];
    if (bring(m, i, err))
        return -1;
    if (!s->value && !s->own) {
        s->own = mem_array((size_t)(t->rows * t->ne[0]), sizeof *s->own);
        if (source_rows(m->opt.source, i, 0, t->rows, s->own, err))
            return -1;
    }
    *out = s->value ? s->value : s->own;
    return 0;
}

void awq_model_order(const struct awq_model *m, uint64_t *order) {
    uint64_t at = 0;
    for (int layer = -1; layer < m->opt.model->shape->layers; layer++)
        for (uint64_t i = 0; i < source_count(m->opt.source); i++)
            if (m->slot[i].layer == layer)
                order[at++] = i;
}
