/* shape_config.c - a shape from the config.json of a Hugging Face model
 *
 * The same thing has a handful of names there, and what a key leaves out depends on the model's
 * family: a row of the table says it. Which keys there are, their defaults and what they mean
 * follow transformers' configuration_*.py and modeling_*.py of each family. A family that is not in
 * the table is refused: layers without keys and values (state spaces, linear attention) would
 * otherwise be counted as if they had some.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/shape/arch.h"
#include "lib/shape/fields.h"
#include "lib/shape/shape_build.h"

enum window_rule {
    WINDOW_NEVER,               /* sliding_window has no effect */
    WINDOW_ALL,                 /* in every layer, unless null */
    WINDOW_PERIOD,              /* in all but the last of `period` layers */
    WINDOW_UPPER                /* with use_sliding_window, from layer max_window_layers on */
};

struct family {
    const char *type;           /* model_type */
    const char *arch;           /* as a GGUF file says it */
    enum window_rule window;
    int period;
    int heads, kv_heads, dk, vocab;     /* where the file says none; 0: it must, or the usual */
    int tied;                   /* where the file says none */
    int qk_norm;
    int qk_norm_by_key;         /* only with use_qk_norm */
    int norms;
    unsigned bias;              /* always */
    unsigned attention_bias;    /* with attention_bias; 0: QKV and OUT */
    int sinks, shared_gate;
};

static const struct family families[] = {
    {.type = "llama", .arch = "llama"},
    {.type = "mistral", .arch = "llama", .window = WINDOW_ALL},
    {.type = "mixtral", .arch = "llama", .window = WINDOW_ALL},
    {.type = "smollm3", .arch = "smollm3", .tied = 1},
    {.type = "seed_oss", .arch = "seed_oss", .dk = 128, .bias = BIAS_QKV,
     .attention_bias = BIAS_QKV},
    {.type = "qwen2", .arch = "qwen2", .window = WINDOW_UPPER, .bias = BIAS_QKV},
    {.type = "qwen2_5_vl", .arch = "qwen2vl", .window = WINDOW_UPPER, .bias = BIAS_QKV},
    {.type = "qwen2_5_vl_text", .arch = "qwen2vl", .window = WINDOW_UPPER, .bias = BIAS_QKV},
    {.type = "qwen2_moe", .arch = "qwen2moe", .window = WINDOW_UPPER, .bias = BIAS_QKV,
     .shared_gate = 1},
    {.type = "qwen3", .arch = "qwen3", .window = WINDOW_UPPER, .dk = 128,
     .qk_norm = SHAPE_QK_HEAD},
    {.type = "qwen3_moe", .arch = "qwen3moe", .window = WINDOW_UPPER, .qk_norm = SHAPE_QK_HEAD},
    {.type = "qwen3_vl_text", .arch = "qwen3vl", .dk = 128, .qk_norm = SHAPE_QK_HEAD},
    {.type = "qwen3_vl_moe_text", .arch = "qwen3vlmoe", .dk = 128, .qk_norm = SHAPE_QK_HEAD},
    {.type = "gemma", .arch = "gemma", .dk = 256, .tied = 1},
    {.type = "gemma2", .arch = "gemma2", .window = WINDOW_PERIOD, .period = 2, .dk = 256,
     .tied = 1, .norms = 4},
    {.type = "gemma3_text", .arch = "gemma3", .window = WINDOW_PERIOD, .period = 6, .heads = 8,
     .kv_heads = 4, .dk = 256, .vocab = 262208, .tied = 1, .norms = 4,
     .qk_norm = SHAPE_QK_HEAD},
    {.type = "olmo2", .arch = "olmo2", .qk_norm = SHAPE_QK_FULL},
    {.type = "olmo3", .arch = "olmo2", .window = WINDOW_PERIOD, .period = 4,
     .qk_norm = SHAPE_QK_FULL},
    {.type = "olmoe", .arch = "olmoe", .qk_norm = SHAPE_QK_FULL},
    {.type = "phi3", .arch = "phi3", .window = WINDOW_ALL},
    {.type = "deepseek_v2", .arch = "deepseek2"},
    {.type = "deepseek_v3", .arch = "deepseek2", .bias = BIAS_ROUTER},
    {.type = "kimi_k2", .arch = "deepseek2", .bias = BIAS_ROUTER},
    {.type = "dots1", .arch = "dots1", .qk_norm = SHAPE_QK_HEAD, .bias = BIAS_ROUTER},
    {.type = "gpt_oss", .arch = "gpt-oss", .window = WINDOW_PERIOD, .period = 2, .dk = 64,
     .sinks = 1, .bias = BIAS_QKV | BIAS_OUT | BIAS_FFN | BIAS_ROUTER},
    {.type = "glm4", .arch = "glm4", .dk = 128, .norms = 4, .attention_bias = BIAS_QKV},
    {.type = "glm4_moe", .arch = "glm4moe", .dk = 128, .qk_norm = SHAPE_QK_HEAD,
     .qk_norm_by_key = 1, .bias = BIAS_ROUTER, .attention_bias = BIAS_QKV},
    {.type = "granite", .arch = "granite"},
    {.type = "granitemoe", .arch = "granitemoe"},
    {.type = "granitemoeshared", .arch = "granitemoe"},
    {.type = "ernie4_5", .arch = "ernie4_5", .tied = 1},
    {.type = "minimax_m2", .arch = "minimax-m2", .dk = 128, .qk_norm = SHAPE_QK_FULL,
     .bias = BIAS_ROUTER},
};
enum { FAMILIES = sizeof families / sizeof *families };

static const struct family *find_family(struct fields *f) {
    const char *type = fields_text_or(f, "model_type", "");
    char known[768] = "";
    for (int i = 0; i < FAMILIES; i++) {
        if (!strcmp(families[i].type, type))
            return &families[i];
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                 families[i].type);
    }
    fields_fail(f, "model_type", "expected one of %s; found %s", known, *type ? type : "none");
    return NULL;
}

/* ---- attention -------------------------------------------------------------------------- */

static void read_attention(struct fields *f, const struct family *fam, struct shape_dims *d) {
    d->heads = fam->heads ? (int)fields_int_or(f, "num_attention_heads", fam->heads, 1,
                                               ARCH_MAX_HEADS)
                          : (int)fields_int(f, "num_attention_heads", 1, ARCH_MAX_HEADS);
    d->kv_heads = (int)fields_int_or(f, "num_key_value_heads", fam->kv_heads, 1, ARCH_MAX_HEADS);
    d->dk = (int)fields_int_or(f, "head_dim", fam->dk, 1, ARCH_MAX_HEAD);
    if (fields_get(f, "kv_lora_rank")) {
        d->kv_latent = (int)fields_int(f, "kv_lora_rank", 1, ARCH_MAX_WIDTH);
        d->q_latent = (int)fields_int_or(f, "q_lora_rank", 0, 0, ARCH_MAX_WIDTH);
        d->rope_dims = (int)fields_int(f, "qk_rope_head_dim", 1, ARCH_MAX_HEAD);
        d->dk = d->rope_dims + (int)fields_int(f, "qk_nope_head_dim", 1, ARCH_MAX_HEAD);
        d->dv = (int)fields_int(f, "v_head_dim", 1, ARCH_MAX_HEAD);
    }
    d->qk_norm = fields_bool_or(f, "use_qk_norm", !fam->qk_norm_by_key) ? fam->qk_norm
                                                                        : SHAPE_QK_NONE;
    d->bias = fam->bias;
    if (fields_bool_or(f, "attention_bias", 0))
        d->bias |= fam->attention_bias ? fam->attention_bias : BIAS_QKV | BIAS_OUT;
    if (fields_bool_or(f, "mlp_bias", 0))
        d->bias |= BIAS_FFN;
    d->sinks = fam->sinks;
    d->norms = fam->norms;
}

/* layer_types, where a file has it, says it layer by layer. */
static void read_layer_types(struct fields *f, const cJSON *types, struct shape *s) {
    static const char key[] = "layer_types";
    int window = (int)fields_int_or(f, "sliding_window", 0, 0, INT32_MAX);
    if (cJSON_GetArraySize(types) != s->layers)
        fields_fail(f, key, "expected an array of %d words, one a layer, found %d", s->layers,
                    cJSON_GetArraySize(types));
    const cJSON *item = types->child;
    for (int i = 0; i < s->layers && !f->failed; i++, item = item->next) {
        const char *type = cJSON_IsString(item) ? item->valuestring : "a value that is no string";
        int slides = !strcmp(type, "sliding_attention");
        if (!slides && strcmp(type, "full_attention"))
            fields_fail(f, key, "expected full_attention or sliding_attention, found %s", type);
        if (slides && !window)
            fields_fail(f, "sliding_window", "expected the window of %s, found none", type);
        s->layer[i].window = slides ? window : 0;
    }
}

static void read_windows(struct fields *f, const struct family *fam, struct shape *s) {
    const cJSON *types = fields_get(f, "layer_types");
    if (types) {
        read_layer_types(f, types, s);
        return;
    }
    int window = (int)fields_int_or(f, "sliding_window", 0, 0, INT32_MAX);
    int period = fam->period, first = 0;
    if (fam->window == WINDOW_NEVER)
        return;
    if (fam->window == WINDOW_PERIOD)
        period = (int)fields_int_or(f, "sliding_window_pattern", period, 1, ARCH_MAX_LAYERS);
    if (fam->window == WINDOW_UPPER) {
        if (!fields_bool_or(f, "use_sliding_window", 0))
            return;
        first = (int)fields_int_or(f, "max_window_layers", s->layers, 0, INT32_MAX);
    }
    for (int i = first; i < s->layers; i++)
        if (!period || i % period < period - 1)
            s->layer[i].window = window;
}

/* ---- FFN -------------------------------------------------------------------------------- */

static const char *const experts_keys[] = {"num_experts", "num_local_experts", "n_routed_experts",
                                           NULL};
static const char *const top_k_keys[] = {"num_experts_per_tok", "experts_per_token", NULL};
static const char *const shared_keys[] = {"shared_expert_intermediate_size",
                                          "shared_intermediate_size", NULL};

static void read_ffn(struct fields *f, const struct family *fam, struct shape_dims *d) {
    d->d_ff = (int)fields_int(f, "intermediate_size", 1, ARCH_MAX_FF);
    d->experts = (int)fields_int_or(f, fields_first(f, experts_keys), 0, 0, ARCH_MAX_EXPERTS);
    if (!d->experts)
        return;
    d->top_k = (int)fields_int(f, fields_first(f, top_k_keys), 1, d->experts);
    d->d_expert = (int)fields_int_or(f, "moe_intermediate_size", d->d_ff, 1, ARCH_MAX_FF);
    d->d_shared = (int)fields_int_or(f, fields_first(f, shared_keys), 0, 0, ARCH_MAX_FF);
    if (!d->d_shared) {
        int64_t n = fields_int_or(f, "n_shared_experts", 0, 0, ARCH_MAX_EXPERTS);
        if (n * d->d_expert > ARCH_MAX_FF)
            fields_fail(f, "n_shared_experts", "expected at most %d elements in all, found %lld",
                        ARCH_MAX_FF, (long long)n * d->d_expert);
        d->d_shared = f->failed ? 0 : (int)n * d->d_expert;
    }
    d->dense_layers = (int)fields_int_or(f, "first_k_dense_replace", 0, 0, d->layers);
    d->shared_gate = fam->shared_gate;
}

static void make_dense(struct shape_layer *l, int d_ff) {
    l->experts = l->top_k = l->d_expert = l->d_shared = 0;
    l->d_ff = d_ff;
}

/* Layers that lose their experts: all but each decoder_sparse_step-th (Qwen) or moe_layer_freq-th
 * (DeepSeek), and those that mlp_only_layers names. */
static void read_dense_layers(struct fields *f, const struct shape_dims *d, struct shape *s) {
    int step = (int)fields_int_or(f, "decoder_sparse_step", 1, 1, ARCH_MAX_LAYERS);
    int freq = (int)fields_int_or(f, "moe_layer_freq", 1, 1, ARCH_MAX_LAYERS);
    const cJSON *item = NULL;
    for (int i = 0; d->experts && i < s->layers; i++)
        if ((i + 1) % step || i % freq)
            make_dense(&s->layer[i], d->d_ff);
    cJSON_ArrayForEach(item, fields_get(f, "mlp_only_layers")) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < s->layers))
            fields_fail(f, "mlp_only_layers", "expected layers below %d", s->layers);
        else if (d->experts)
            make_dense(&s->layer[(int)item->valuedouble], d->d_ff);
    }
}

/* ---- types ------------------------------------------------------------------------------ */

static void read_dtype(struct fields *f, struct shape_dims *d) {
    static const char *const keys[] = {"dtype", "torch_dtype", NULL};
    static const struct {
        const char *name, *quant;
        double bits;
    } types[] = {{"bfloat16", "BF16", 16}, {"float16", "F16", 16}, {"float32", "F32", 32},
                 {"float8_e4m3fn", "FP8", 8}};
    const char *key = fields_first(f, keys);
    const char *name = fields_text_or(f, key, "bfloat16");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) {
            d->quant = types[i].quant;
            d->bits = types[i].bits;
            return;
        }
    fields_fail(f, key, "expected bfloat16, float16, float32 or float8_e4m3fn, found %s", name);
}

/* GPTQ and AWQ keep a 16-bit scale and a zero point for each group of weights. FP8's scales, one
 * for a block of 128 x 128 or a row, are below 0.1 % and not counted. */
static void read_quantization(struct fields *f, struct shape_dims *d) {
    const cJSON *object = fields_get(f, "quantization_config");
    if (!object)
        return;
    struct fields q = {.object = object, .where = f->where, .err = f->err, .failed = f->failed};
    const char *method = fields_text_or(&q, "quant_method", "none");
    if (!strcmp(method, "fp8")) {
        d->quant = "FP8";
        d->matrix_bits = 8;
    } else if (!strcmp(method, "mxfp4")) {
        d->quant = "MXFP4";
        d->matrix_bits = d->bits;
        d->expert_bits = 4.25;
    } else if (!strcmp(method, "gptq") || !strcmp(method, "awq")) {
        double bits = (double)fields_int(&q, "bits", 2, 8);
        int64_t group = fields_int_or(&q, "group_size", -1, -1, 65536);
        d->quant = *method == 'g' ? "GPTQ" : "AWQ";
        d->matrix_bits = bits + (group > 0 ? (16 + bits) / (double)group : 0);
    } else {
        fields_fail(&q, "quantization_config.quant_method",
                    "expected fp8, mxfp4, gptq or awq, found %s", method);
    }
    f->failed = q.failed;
}

/* ---- all -------------------------------------------------------------------------------- */

/* A model that also sees or hears keeps its language model's numbers in an object of their own;
 * what is said of the whole stays outside. */
static struct fields language_model(const struct fields *whole) {
    struct fields f = *whole;
    const cJSON *text = fields_get(whole, "text_config");
    if (cJSON_IsObject(text) && fields_get(&(struct fields){.object = text}, "hidden_size"))
        f.object = text;
    return f;
}

/* The name of the model is that of its folder. */
static const char *folder_name(const char *path, char *out, size_t size) {
    const char *end = strrchr(path, '/');
    const char *start = end;
    while (start && start > path && start[-1] != '/')
        start--;
    snprintf(out, size, "%.*s", end ? (int)(end - start) : 0, end ? start : "");
    return *out && strcmp(out, ".") && strcmp(out, "..") ? out : NULL;
}

static struct shape *read_config(struct fields *whole, const char *path) {
    struct fields f = language_model(whole);
    const struct family *fam = find_family(&f);
    char name[128];
    struct shape_dims d = {.name = folder_name(path, name, sizeof name)};
    struct shape *s = NULL;
    if (!fam)
        return NULL;
    d.arch = fam->arch;
    if (!d.name)
        d.name = fam->type;
    d.layers = (int)fields_int(&f, "num_hidden_layers", 1, ARCH_MAX_LAYERS);
    d.d_model = (int)fields_int(&f, "hidden_size", 1, ARCH_MAX_WIDTH);
    d.vocab = fam->vocab ? (int)fields_int_or(&f, "vocab_size", fam->vocab, 1, ARCH_MAX_FF)
                         : (int)fields_int(&f, "vocab_size", 1, ARCH_MAX_FF);
    d.context = (int)fields_int_or(&f, "max_position_embeddings", 0, 0, INT32_MAX);
    read_attention(&f, fam, &d);
    read_ffn(&f, fam, &d);
    whole->failed = f.failed;
    d.tied = fields_bool_or(&f, "tie_word_embeddings",
                            fields_bool_or(whole, "tie_word_embeddings", fam->tied));
    read_dtype(fields_get(&f, "dtype") || fields_get(&f, "torch_dtype") ? &f : whole, &d);
    read_quantization(fields_get(&f, "quantization_config") ? &f : whole, &d);
    f.failed |= whole->failed;
    struct err why;
    if (!f.failed && !(s = shape_build(&d, &why)))
        err_set(f.err, "%s: %s", f.where, why.text);
    if (s) {
        read_windows(&f, fam, s);
        read_dense_layers(&f, &d, s);
        if (!f.failed && shape_weigh(s, &d, &why))
            f.failed = err_set(f.err, "%s: %s", f.where, why.text);
    }
    if (!f.failed)
        return s;
    shape_free(s);
    return NULL;
}

struct shape *shape_from_config(const char *path, const char *text, size_t len, struct err *err) {
    cJSON *doc = fields_parse(path, text, len, err);
    if (!doc)
        return NULL;
    struct fields whole = {.object = doc, .where = path, .err = err};
    struct shape *s = read_config(&whole, path);
    cJSON_Delete(doc);
    return s;
}
