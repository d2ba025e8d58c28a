/* shape_run.c - the shape that the first line of a run trace carries (llm-trace(5)) */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/shape/arch.h"
#include "lib/shape/fields.h"
#include "lib/shape/shape_build.h"

/* What may differ from layer to layer: its name in a trace, place and largest value. The latent
 * widths are absent from traces of models without. */
static const struct {
    const char *key;
    size_t at;
    int needed;
    int min, max;
} layer_fields[] = {
    {"heads", offsetof(struct shape_layer, heads), 1, 1, ARCH_MAX_HEADS},
    {"kv_heads", offsetof(struct shape_layer, kv_heads), 1, 1, ARCH_MAX_HEADS},
    {"dk", offsetof(struct shape_layer, dk), 1, 1, ARCH_MAX_HEAD},
    {"dv", offsetof(struct shape_layer, dv), 1, 1, ARCH_MAX_HEAD},
    {"window", offsetof(struct shape_layer, window), 0, 0, INT32_MAX},
    {"d_ff", offsetof(struct shape_layer, d_ff), 0, 0, ARCH_MAX_FF},
    {"experts", offsetof(struct shape_layer, experts), 0, 0, ARCH_MAX_EXPERTS},
    {"top_k", offsetof(struct shape_layer, top_k), 0, 0, ARCH_MAX_EXPERTS},
    {"d_expert", offsetof(struct shape_layer, d_expert), 0, 0, ARCH_MAX_FF},
    {"d_shared", offsetof(struct shape_layer, d_shared), 0, 0, ARCH_MAX_FF},
    {"kv_latent", offsetof(struct shape_layer, kv_latent), 0, 0, ARCH_MAX_WIDTH},
    {"rope_dims", offsetof(struct shape_layer, rope_dims), 0, 0, ARCH_MAX_HEAD},
    {"q_latent", offsetof(struct shape_layer, q_latent), 0, 0, ARCH_MAX_WIDTH},
};

static void read_layers(struct fields *f, struct shape *s) {
    int64_t *v = mem_array((size_t)s->layers, sizeof *v);
    for (size_t k = 0; k < sizeof layer_fields / sizeof *layer_fields; k++) {
        if (layer_fields[k].needed && !fields_get(f, layer_fields[k].key))
            fields_fail(f, layer_fields[k].key, "expected a number or one for each layer, found "
                        "none");
        fields_ints_or(f, layer_fields[k].key, 0, layer_fields[k].min, layer_fields[k].max, v,
                       s->layers);
        for (int i = 0; i < s->layers; i++)
            *(int *)(void *)((char *)&s->layer[i] + layer_fields[k].at) = (int)v[i];
    }
    free(v);
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        if (l->top_k > l->experts)
            fields_fail(f, "top_k", "expected at most the %d experts, found %d", l->experts,
                        l->top_k);
        if (l->rope_dims > l->dk)
            fields_fail(f, "rope_dims", "expected at most dk %d, found %d", l->dk, l->rope_dims);
    }
}

static void read_shape(struct fields *f, struct shape *s) {
    static const int64_t most = (int64_t)1 << 53;       /* exact in every JSON reader */
    snprintf(s->name, sizeof s->name, "%s", fields_text_or(f, "name", ""));
    snprintf(s->arch, sizeof s->arch, "%s", fields_text_or(f, "arch", ""));
    snprintf(s->quant, sizeof s->quant, "%s", fields_text_or(f, "quant", ""));
    s->layers = (int)fields_int(f, "layers", 1, ARCH_MAX_LAYERS);
    s->d_model = (int)fields_int(f, "d_model", 1, ARCH_MAX_WIDTH);
    s->vocab = (int)fields_int(f, "vocab", 0, ARCH_MAX_FF);
    s->context = (int)fields_int_or(f, "context", 0, 0, INT32_MAX);
    s->params = fields_int(f, "params", 0, most);
    s->params_active = fields_int(f, "params_active", 0, most);
    s->weight_bytes = fields_int(f, "weight_bytes", 0, most);
    s->head_bytes = fields_int(f, "head_bytes", 0, most);
    s->tied = fields_bool_or(f, "tied", 0);
    s->shared_gate = fields_bool_or(f, "shared_gate", 0);
    s->layer = mem_array((size_t)s->layers, sizeof *s->layer);
    s->dense_bytes = mem_array((size_t)s->layers, sizeof *s->dense_bytes);
    s->expert_bytes = mem_array((size_t)s->layers, sizeof *s->expert_bytes);
    read_layers(f, s);
    fields_ints_or(f, "dense_bytes", 0, 0, most, s->dense_bytes, s->layers);
    fields_ints_or(f, "expert_bytes", 0, 0, most, s->expert_bytes, s->layers);
}

struct shape *shape_from_run(const char *path, const char *text, size_t len, struct err *err) {
    cJSON *doc = fields_parse(path, text, len, err);
    if (!doc)
        return NULL;
    char *where = mem_printf("%s: shape", path);
    struct fields f = {.object = cJSON_GetObjectItemCaseSensitive(doc, "shape"), .where = where,
                       .err = err};
    struct shape *s = mem_alloc(sizeof *s);
    if (cJSON_IsObject(f.object))
        read_shape(&f, s);
    else
        f.failed = err_set(err, "%s: line 1: shape: expected an object, found none", path);
    if (f.failed) {
        shape_free(s);
        s = NULL;
    }
    free(where);
    cJSON_Delete(doc);
    return s;
}
