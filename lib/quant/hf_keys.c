/* hf_keys.c - the metadata of a folder's model under GGUF keys
 *
 * Which keys there are, and their types, are those of llama.cpp's converter (conversion/base.py and
 * its kin); readers compute everything else from their own knowledge of the architecture.
 */
#include "lib/quant/hf_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kern.h"
#include "lib/quant/ftype_impl.h"

#define KEY 160                         /* bytes of a key's name */
#define QUANTIZATION_VERSION 2          /* of ggml's block layouts */

struct keys {
    struct hf *h;
    struct gguf_writer *w;
};

/* full = "ARCH.key" */
static const char *of_arch(const struct keys *k, const char *key, char full[KEY]) {
    snprintf(full, KEY, "%s.%s", k->h->source.arch, key);
    return full;
}

static void put_int(const struct keys *k, const char *key, int64_t v) {
    char full[KEY];
    gguf_put_int(k->w, of_arch(k, key, full), GGUF_U32, v);
}

static void put_float(const struct keys *k, const char *key, double v) {
    char full[KEY];
    gguf_put_float(k->w, of_arch(k, key, full), (float)v);
}

/* ---- widths ----------------------------------------------------------------------------- */

/* Windows that the architecture knows no key for (all but Gemma's): within one nothing is different
 * without it, so that the model is told to be no longer. */
static int64_t context_of(struct hf_config *c) {
    struct fields *f = &c->text;
    int64_t context = fields_int_or(f, "max_position_embeddings", c->family->context, 1, INT32_MAX);
    int windowed = !strncmp(c->family->type, "mi", 2) ||
                   (!strncmp(c->family->type, "qwen", 4) &&
                    fields_bool_or(f, "use_sliding_window", 0));
    /* Left out it is 4096, but of mixtral none; null is none. */
    int none = !strcmp(c->family->type, "mixtral") ||
               cJSON_HasObjectItem(f->object, "sliding_window");
    int64_t window = windowed ? fields_int_or(f, "sliding_window", none ? context : 4096, 1,
                                              INT32_MAX)
                              : context;
    return window < context ? window : context;
}

static void put_widths(const struct keys *k) {
    struct hf_config *c = &k->h->config;
    struct fields *f = &c->text;
    put_int(k, "block_count", c->layers);
    put_int(k, "context_length", context_of(c));
    put_int(k, "embedding_length", c->d_model);
    put_int(k, "feed_forward_length", fields_int(f, "intermediate_size", 1, INT32_MAX));
    put_int(k, "attention.head_count", c->heads);
    put_int(k, "attention.head_count_kv", c->kv_heads);
    put_float(k, "attention.layer_norm_rms_epsilon",
              strcmp(c->family->arch, "olmoe")
                  ? fields_number_or(f, "rms_norm_eps", c->family->norm_eps, 0, 1)
                  : c->family->norm_eps);
    if (fields_get(f, "head_dim") || (int64_t)c->head_dim * c->heads != c->d_model) {
        put_int(k, "attention.key_length", c->head_dim);
        put_int(k, "attention.value_length", c->head_dim);
    }
    if (!strcmp(c->family->arch, "llama")) {
        put_int(k, "vocab_size", c->vocab);
        put_int(k, "rope.dimension_count", c->head_dim);
    }
}

static void put_experts(const struct keys *k) {
    static const struct {
        const char *from, *to;
    } widths[] = {
        {"moe_intermediate_size", "expert_feed_forward_length"},
        {"shared_expert_intermediate_size", "expert_shared_feed_forward_length"},
    };
    struct hf_config *c = &k->h->config;
    if (!c->experts)
        return;
    put_int(k, "expert_count", c->experts);
    put_int(k, "expert_used_count", fields_int(&c->text, "num_experts_per_tok", 1, c->experts));
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        if (!strncmp(c->family->arch, "qwen", 4) && fields_get(&c->text, widths[i].from))
            put_int(k, widths[i].to, fields_int(&c->text, widths[i].from, 1, INT32_MAX));
}

/* ---- positions -------------------------------------------------------------------------- */

static void put_yarn(const struct keys *k, struct fields *f) {
    static const struct {
        const char *from[3], *to;
    } factors[] = {
        {{"extrapolation_factor"}, "rope.scaling.yarn_ext_factor"},
        {{"attention_factor", "attn_factor"}, "rope.scaling.yarn_attn_factor"},
        {{"beta_fast"}, "rope.scaling.yarn_beta_fast"},
        {{"beta_slow"}, "rope.scaling.yarn_beta_slow"},
    };
    put_int(k, "rope.scaling.original_context_length",
            fields_int(f, "original_max_position_embeddings", 1, INT32_MAX));
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        const char *key = fields_first(f, factors[i].from);
        if (fields_get(f, key))
            put_float(k, factors[i].to, fields_number(f, key, -1e9, 1e9));
    }
}

static void put_rope(const struct keys *k) {
    struct hf_config *c = &k->h->config;
    struct hf_rope r;
    char full[KEY];
    hf_rope_read(c, &r);
    put_float(k, "rope.freq_base", r.base);
    if (r.local_base > 0)
        put_float(k, "rope.freq_base_swa", r.local_base);
    if (!strcmp(r.type, "linear") || !strcmp(r.type, "yarn")) {
        gguf_put_str(k->w, of_arch(k, "rope.scaling.type", full), r.type);
        put_float(k, "rope.scaling.factor", fields_number(&r.scaling, "factor", 1e-6, 1e6));
    }
    if (!strcmp(r.type, "yarn"))
        put_yarn(k, &r.scaling);
    c->text.failed |= r.scaling.failed;
}

/* Gemma 3: five layers with a window, then one without, is what readers take for granted. */
static void put_windows(const struct keys *k) {
    struct hf_config *c = &k->h->config;
    const struct shape *s = k->h->source.shape;
    char full[KEY];
    int usual = 1;
    int64_t *flag = mem_array((size_t)c->layers, sizeof *flag);
    for (int i = 0; i < c->layers; i++) {
        flag[i] = s->layer[i].window > 0;
        usual &= flag[i] == (i % 6 < 5);
    }
    put_int(k, "attention.sliding_window", fields_int_or(&c->text, "sliding_window", 4096, 1,
                                                         INT32_MAX));
    if (!usual)
        gguf_put_ints(k->w, of_arch(k, "attention.sliding_window_pattern", full), GGUF_BOOL, flag,
                      (uint64_t)c->layers);
    double cap = fields_number_or(&c->text, "final_logit_softcapping", 0, 0, 1e6);
    if (cap > 0)
        put_float(k, "final_logit_softcapping", cap);
    free(flag);
}

/* ---- general ---------------------------------------------------------------------------- */

/* What most of the bytes are: llama.cpp's numbers of files all in one type. */
static int file_type(const struct source *s) {
    size_t bytes[3] = {0};
    for (uint64_t i = 0; i < s->tensors; i++)
        bytes[s->tensor[i].type == KERN_F32 ? 0 : s->tensor[i].type == KERN_F16 ? 1 : 2] +=
            s->tensor[i].bytes;
    return bytes[0] > bytes[1] + bytes[2] ? FTYPE_F32
           : bytes[1] >= bytes[2]         ? FTYPE_F16
                                          : FTYPE_BF16;
}

int hf_put_model(struct hf *h, struct gguf_writer *w, struct err *err) {
    const struct keys k = {.h = h, .w = w};
    struct fields *f = &h->config.text;
    f->err = err;
    gguf_put_str(w, "general.architecture", h->source.arch);
    gguf_put_str(w, "general.type", "model");
    if (hf_put_names(h, w, err))
        return -1;
    put_widths(&k);
    put_experts(&k);
    put_rope(&k);
    if (!strcmp(h->source.arch, "gemma3"))
        put_windows(&k);
    gguf_put_int(w, "general.file_type", GGUF_U32, file_type(&h->source));
    gguf_put_int(w, "general.quantization_version", GGUF_U32, QUANTIZATION_VERSION);
    return f->failed ? -1 : hf_put_vocab(h, w, err);
}
