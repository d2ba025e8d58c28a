/* shape.c - a model's shape from a GGUF header: what every architecture has
 *
 * Reads the numbers common to all, hands over to the architecture's own file (arch.h), then
 * checks that the whole makes sense and counts the tensors (shape_count.c).
 */
#include "lib/shape/shape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/shape/arch.h"

/* general.name, or the file's name without folder and ending. */
static void set_name(struct shape *s, const struct gguf *g) {
    const char *name = gguf_str(g, "general.name", "");
    if (!*name) {
        const char *path = gguf_path(g);
        const char *slash = strrchr(path, '/');
        name = slash ? slash + 1 : path;
    }
    snprintf(s->name, sizeof s->name, "%s", name);
    size_t n = strlen(s->name);
    if (n > 5 && !strcmp(s->name + n - 5, ".gguf"))
        s->name[n - 5] = '\0';
}

static int set_arch(struct shape *s, const struct gguf *g, int counted, struct err *err) {
    const char *name = gguf_str(g, "general.architecture", "");
    if (arch_find(name, counted)) {
        snprintf(s->arch, sizeof s->arch, "%s", name);
        return 0;
    }
    char known[512] = "";
    for (const char *const *a = arch_names(counted); *a; a++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", *a);
    }
    return err_set(err, "%s: general.architecture: expected one of %s; found %s", gguf_path(g),
                   known, *name ? name : "none");
}

/* The vocabulary is as large as the embedding matrix; a list of tokens must agree. */
static void read_vocab(struct arch_reader *r) {
    arch_need_tensor(r, "token_embd.weight");
    if (r->failed)
        return;
    const struct gguf_tensor *t = gguf_find(r->g, "token_embd.weight");
    if (t->dims != 2 || t->ne[0] != r->s->d_model || t->ne[1] < 1 || t->ne[1] > ARCH_MAX_FF) {
        r->failed = 1;
        err_set(r->err, "%s: tensor token_embd.weight: expected [%d, vocabulary], "
                "found [%lld, %lld]", gguf_path(r->g), r->s->d_model, (long long)t->ne[0],
                (long long)t->ne[1]);
        return;
    }
    r->s->vocab = (int)t->ne[1];
    struct gguf_value v;
    if (gguf_value(r->g, "tokenizer.ggml.tokens", &v) == 0 && v.n != (uint64_t)t->ne[1]) {
        r->failed = 1;
        err_set(r->err, "%s: tokenizer.ggml.tokens: expected %d tokens as in token_embd.weight, "
                "found %llu", gguf_path(r->g), r->s->vocab, (unsigned long long)v.n);
    }
}

static void read_heads(struct arch_reader *r) {
    struct shape *s = r->s;
    int *heads = mem_array((size_t)s->layers, sizeof *heads);
    int *kv = mem_array((size_t)s->layers, sizeof *kv);
    arch_ints(r, "attention.head_count", 1, ARCH_MAX_HEADS, heads);
    if (arch_has(r, "attention.head_count_kv"))
        arch_ints(r, "attention.head_count_kv", 1, ARCH_MAX_HEADS, kv);
    else
        memcpy(kv, heads, (size_t)s->layers * sizeof *kv);

    int64_t width = s->d_model / heads[0];
    if (s->d_model % heads[0] && !(arch_has(r, "attention.key_length") &&
                                   arch_has(r, "attention.value_length")))
        arch_fail(r, "attention.head_count", "expected a divisor of embedding_length %d, found %d",
                  s->d_model, heads[0]);
    int dk = (int)arch_int_or(r, "attention.key_length", width, 1, ARCH_MAX_HEAD);
    int dv = (int)arch_int_or(r, "attention.value_length", width, 1, ARCH_MAX_HEAD);
    for (int i = 0; i < s->layers; i++) {
        if (heads[i] % kv[i])
            arch_fail(r, "attention.head_count", "expected a multiple of head_count_kv %d, "
                      "found %d", kv[i], heads[i]);
        s->layer[i].heads = heads[i];
        s->layer[i].kv_heads = kv[i];
        s->layer[i].dk = dk;
        s->layer[i].dv = dv;
    }
    s->attn_scale = 1.0f / sqrtf((float)dk);
    free(heads);
    free(kv);
}

/* The keys of every architecture, and what holds unless one says otherwise. */
static void read_common(struct arch_reader *r) {
    struct shape *s = r->s;
    s->embed_scale = 1.0f;
    s->gate_scale = 1.0f;
    s->context = (int)arch_int(r, "context_length", 1, INT32_MAX);
    s->d_model = (int)arch_int(r, "embedding_length", 1, ARCH_MAX_WIDTH);
    r->blocks = (int)arch_int(r, "block_count", 1, ARCH_MAX_LAYERS);
    /* Layers after the model's own, for drafting several tokens, are not part of it. */
    s->layers = r->blocks - (int)arch_int_or(r, "nextn_predict_layers", 0, 0, r->blocks - 1);
    s->layer = mem_array((size_t)s->layers, sizeof *s->layer);
    s->norm_eps = arch_float(r, "attention.layer_norm_rms_epsilon", 0, 1);
    /* Encoders, where every token sees every other, are another kind of model. */
    arch_int_or(r, "attention.causal", 1, 1, 1);
    read_vocab(r);
    read_heads(r);
}

/* Widths that are products must fit an int: everything after this multiplies freely. */
static void check_products(struct arch_reader *r) {
    const struct shape *s = r->s;
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        int64_t widest = (int64_t)l->heads * (l->dk > l->dv ? l->dk : l->dv);
        if (widest > ARCH_MAX_FF)
            arch_fail(r, "attention.head_count", "expected at most %d elements in all heads, "
                      "found %lld", ARCH_MAX_FF, (long long)widest);
    }
}

static struct shape *read_gguf(const struct gguf *g, int counted, struct err *err) {
    struct shape *s = mem_alloc(sizeof *s);
    struct arch_reader r = {.g = g, .s = s, .err = err};
    set_name(s, g);
    if (set_arch(s, g, counted, err) < 0)
        goto fail;
    read_common(&r);
    if (!r.failed)
        arch_find(s->arch, counted)->read(&r);
    if (!r.failed)
        check_products(&r);
    if (r.failed || shape_count(s, g, r.blocks, err) < 0)
        goto fail;
    return s;
fail:
    shape_free(s);
    return NULL;
}

struct shape *shape_from_gguf(const struct gguf *g, struct err *err) {
    return read_gguf(g, 0, err);
}

struct shape *shape_count_gguf(const struct gguf *g, struct err *err) {
    return read_gguf(g, 1, err);
}

void shape_free(struct shape *s) {
    if (!s)
        return;
    free(s->layer);
    free(s->dense_bytes);
    free(s->expert_bytes);
    free(s);
}
