/* hf_write_plan.c - the tensors of the new folder: names, order, files */
#include "lib/quant/hf_write_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define SHARD_BYTES 5000000000

/* ---- names ------------------------------------------------------------------------------ */

/* The layer in "model.layers.3.mlp"; -1: none. */
static int layer_of(const char *name) {
    const char *at = strstr(name, "layers.");
    return at && at[7] >= '0' && at[7] <= '9' ? (int)strtol(at + 7, NULL, 10) : -1;
}

/* s without a tail, to be freed; NULL when it does not end so. */
static char *without(const char *s, const char *tail) {
    size_t len = strlen(s);
    size_t cut = strlen(tail);
    return len >= cut && !strcmp(s + len - cut, tail) ? mem_strndup(s, len - cut) : NULL;
}

/* What vLLM calls expert `mat` of a tensor that holds all of them. */
static char *expert_module(const struct source *s, uint64_t i, int64_t mat, const char *fused) {
    static const char *const names[][3] = {{"ffn_gate_exps", "gate_proj", "w1"},
                                           {"ffn_down_exps", "down_proj", "w2"},
                                           {"ffn_up_exps", "up_proj", "w3"}};
    const char *experts = strstr(fused, "mlp.experts.");
    const char *end = experts ? strchr(experts, '.') + sizeof "experts" : NULL;
    int mixtral = !strcmp(s->arch, "llama");
    for (int k = 0; experts && k < 3; k++)
        if (strstr(s->tensor[i].name, names[k][0]))
            return mixtral ? mem_printf("%.*sblock_sparse_moe.experts.%" PRId64 ".%s",
                                        (int)(experts - fused), fused, mat, names[k][2])
                           : mem_printf("%.*s.%" PRId64 ".%s", (int)(end - fused), fused, mat,
                                        names[k][1]);
    return NULL;
}

static char *module_of(const struct source *s, uint64_t i, int64_t mat) {
    const struct hf_origin *o = hf_origin(s, i, mat);
    return o->tensor->dims == 3 ? expert_module(s, i, mat, o->tensor->name)
                                : without(o->tensor->name, ".weight");
}

int hf_write_can(const struct source *s, uint64_t i, const struct layout *l,
                 const struct layout_scheme *scheme) {
    static const char *const kept[] = {"ffn_gate_inp", "norm"};
    const struct source_tensor *t = &s->tensor[i];
    if (t->dims < 2 || strncmp(t->name, "blk.", 4) || !hf_origin(s, i, 0))
        return 0;
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        if (strstr(t->name, kept[k]))
            return 0;
    return l->fits(scheme, t->ne[1], t->ne[0]);
}

/* ---- items ------------------------------------------------------------------------------ */

static struct hf_item *add_item(struct hf_plan *p, char *name, enum hf_item_kind kind) {
    p->item = mem_grow(p->item, p->n + 1, sizeof *p->item);
    struct hf_item *item = &p->item[p->n];
    *item = (struct hf_item){.name = name, .kind = kind, .layer = layer_of(name), .at = p->n};
    p->n++;
    return item;
}

/* The tensors of one quantized matrix. */
static int add_parts(struct hf_plan *p, const struct hf_write *w, uint64_t i, int64_t mat,
                     struct err *err) {
    const struct source_tensor *t = &w->source->tensor[i];
    struct layout_part part[LAYOUT_PARTS];
    char *module = module_of(w->source, i, mat);
    if (!module)
        return err_set(err, "%s: tensor \"%.80s\": no name for a quantized one is known",
                       w->source->path, hf_origin(w->source, i, mat)->tensor->name);
    int n = w->layout->parts(&w->scheme, t->ne[1], t->ne[0], part);
    for (int k = 0; k < n; k++) {
        struct hf_item *item = add_item(p, mem_printf("%s.%s", module, part[k].suffix), HF_PART);
        item->i = i;
        item->mat = mat;
        item->part = part[k];
        item->dtype = part[k].dtype;
        item->dims = part[k].dims;
        memcpy(item->shape, part[k].shape, sizeof part[k].shape);
        item->bytes = (int64_t)part[k].bytes;
    }
    free(module);
    return 0;
}

static void add_tensor(struct hf_plan *p, const struct st_tensor *from, enum hf_item_kind kind,
                       uint64_t i) {
    struct hf_item *item = add_item(p, mem_strdup(from->name), kind);
    item->from = from;
    item->i = i;
    item->dtype = from->dtype;
    item->dims = from->dims;
    memcpy(item->shape, from->shape, sizeof item->shape);
    item->bytes = (int64_t)from->bytes;
}

static void keep_module(struct hf_plan *p, char *name) {
    p->kept = mem_grow(p->kept, (size_t)p->n_kept + 1, sizeof *p->kept);
    p->kept[p->n_kept++] = name;
}

/* A matrix that stays is a module that readers must be told of; embeddings are none that anyone
 * would quantize. */
static void note_kept(struct hf_plan *p, const struct st_tensor *t) {
    if (t->dims < 2 || strstr(t->name, "embed_tokens"))
        return;
    char *name = without(t->name, ".weight");
    const char *experts = strstr(t->name, ".experts.");
    if (t->dims == 3 && experts) {
        free(name);
        name = mem_strndup(t->name, (size_t)(experts - t->name) + strlen(".experts"));
    }
    for (int i = 0; name && i < p->n_kept; i++)
        if (!strcmp(p->kept[i], name)) {
            free(name);
            return;
        }
    if (name)
        keep_module(p, name);
}

/* ---- which folder tensors are replaced --------------------------------------------------- */

struct use {
    const struct st_tensor *tensor;
    int pieces, quantized;      /* how many matrices of the GGUF it holds, and of these quantized */
    int changed;
};

static int by_tensor(const void *a, const void *b) {
    const struct st_tensor *s = ((const struct use *)a)->tensor;
    const struct st_tensor *t = ((const struct use *)b)->tensor;
    return (s > t) - (s < t);
}

/* One entry for each tensor of the folder, sorted; to be freed. */
static struct use *make_uses(const struct hf_write *w, uint64_t *n) {
    const struct st_set *set = hf_tensors(w->source);
    *n = st_count(set);
    struct use *use = mem_array((size_t)*n + 1, sizeof *use);
    for (uint64_t k = 0; k < *n; k++)
        use[k].tensor = st_tensor(set, k);
    qsort(use, (size_t)*n, sizeof *use, by_tensor);
    for (uint64_t i = 0; i < source_count(w->source); i++)
        for (int64_t mat = 0; mat < w->source->tensor[i].ne[2]; mat++) {
            const struct hf_origin *o = hf_origin(w->source, i, mat);
            struct use key = {.tensor = o ? o->tensor : NULL};
            struct use *u = o ? bsearch(&key, use, (size_t)*n, sizeof *use, by_tensor) : NULL;
            if (u) {
                u->pieces++;
                u->quantized += w->quantized[i];
                u->changed |= w->changed && w->changed[i];
            }
        }
    return use;
}

static int add_replaced(struct hf_plan *p, const struct hf_write *w, struct err *err) {
    for (uint64_t i = 0; i < source_count(w->source); i++) {
        for (int64_t mat = 0; w->quantized[i] && mat < w->source->tensor[i].ne[2]; mat++)
            if (add_parts(p, w, i, mat, err))
                return -1;
        if (!w->quantized[i] && w->changed && w->changed[i])
            add_tensor(p, hf_origin(w->source, i, 0)->tensor, HF_VALUES, i);
    }
    return 0;
}

static int add_all(struct hf_plan *p, const struct hf_write *w, struct err *err) {
    uint64_t n;
    if (add_replaced(p, w, err))
        return -1;
    struct use *use = make_uses(w, &n);
    int rc = 0;
    for (uint64_t k = 0; k < n && !rc; k++) {
        const struct use *u = &use[k];
        if (u->quantized && u->quantized != u->pieces)
            rc = err_set(err, "%s: tensor \"%.80s\": only some of its matrices are quantized",
                         w->source->path, u->tensor->name);
        if (u->quantized)
            continue;
        note_kept(p, u->tensor);
        if (!u->changed)
            add_tensor(p, u->tensor, HF_COPY, 0);
    }
    free(use);
    return rc;
}

/* ---- order ------------------------------------------------------------------------------ */

/* Readers want elements at multiples of their size: first types of 8 bytes, last what would leave
 * the next at an odd place. */
static int place_of(const struct hf_item *t) {
    size_t size = st_dtype_bytes(t->dtype);
    return size == 8 ? 0 : t->bytes % 4 == 0 ? 1 : size == 2 ? 2 : 3;
}

static int by_layer(const void *a, const void *b) {
    const struct hf_item *s = a;
    const struct hf_item *t = b;
    return s->layer != t->layer ? (s->layer > t->layer) - (s->layer < t->layer)
                                : (s->at > t->at) - (s->at < t->at);
}

static int by_shard(const void *a, const void *b) {
    const struct hf_item *s = a;
    const struct hf_item *t = b;
    if (s->shard != t->shard)
        return s->shard - t->shard;
    int order = place_of(s) - place_of(t);
    return order ? order : by_layer(s, t);
}

int hf_plan_make(struct hf_plan *p, const struct hf_write *w, struct err *err) {
    int64_t most = w->shard_bytes ? w->shard_bytes : SHARD_BYTES;
    int64_t filled = 0;
    *p = (struct hf_plan){0};
    if (add_all(p, w, err)) {
        hf_plan_free(p);
        return -1;
    }
    int head = 0;
    for (int i = 0; i < p->n_kept; i++)
        head |= !strcmp(p->kept[i], "lm_head");
    if (!head)                  /* tied ones are a module all the same */
        keep_module(p, mem_strdup("lm_head"));
    qsort(p->item, p->n, sizeof *p->item, by_layer);
    for (size_t k = 0; k < p->n; k++) {
        if (filled && filled + p->item[k].bytes > most) {
            p->shards++;
            filled = 0;
        }
        p->item[k].shard = p->shards;
        filled += p->item[k].bytes;
        p->bytes += p->item[k].bytes;
    }
    p->shards++;
    qsort(p->item, p->n, sizeof *p->item, by_shard);
    return 0;
}

void hf_plan_free(struct hf_plan *p) {
    for (size_t k = 0; k < p->n; k++)
        free(p->item[k].name);
    free(p->item);
    for (int i = 0; i < p->n_kept; i++)
        free(p->kept[i]);
    free(p->kept);
    *p = (struct hf_plan){0};
}

void hf_plan_file(const struct hf_plan *p, int shard, char out[64]) {
    if (p->shards == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05d-of-%05d.safetensors", shard + 1, p->shards);
}
