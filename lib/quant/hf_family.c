/* hf_family.c - reads config.json: which model it is, and whether a GGUF can say all of it
 *
 * What an architecture of GGUF fixes and a config.json may set otherwise (an activation, clipped
 * projections, experts' weights left as they are) has no key: such a folder is refused rather than
 * turned into a model that computes something else. Defaults are those of transformers'
 * configuration_*.py, for folders that leave them out.
 */
#include "lib/quant/hf_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/format/zio.h"

#define MAX_JSON ((size_t)64 << 20)     /* of config.json and its kin; real ones: 1 MB */
#define MAX_LAYERS 10000
#define MAX_WIDTH (1 << 24)

static const struct hf_family families[] = {
    {.type = "llama", .arch = "llama", .permuted = 1, .act = "silu", .normalises = -1,
     .sentencepiece = 1, .context = 2048, .rope_base = 1e4, .norm_eps = 1e-6},
    {.type = "mistral", .arch = "llama", .permuted = 1, .act = "silu", .normalises = -1,
     .sentencepiece = 1, .context = 131072, .rope_base = 1e4, .norm_eps = 1e-6},
    {.type = "mixtral", .arch = "llama", .permuted = 1, .act = "silu", .normalises = -1,
     .sentencepiece = 1, .context = 131072, .rope_base = 1e6, .norm_eps = 1e-5},
    {.type = "qwen2", .arch = "qwen2", .act = "silu", .normalises = -1, .sentencepiece = 1,
     .context = 32768, .rope_base = 1e4, .norm_eps = 1e-6},
    {.type = "qwen2_moe", .arch = "qwen2moe", .act = "silu", .normalises = 0, .context = 32768,
     .rope_base = 1e4, .norm_eps = 1e-6},
    {.type = "qwen3", .arch = "qwen3", .act = "silu", .normalises = -1, .sentencepiece = 1,
     .context = 32768, .rope_base = 1e4, .norm_eps = 1e-6, .head_dim = 128},
    {.type = "qwen3_moe", .arch = "qwen3moe", .act = "silu", .normalises = 1, .context = 32768,
     .rope_base = 1e4, .norm_eps = 1e-6},
    {.type = "olmoe", .arch = "olmoe", .act = "silu", .normalises = 0, .context = 4096,
     .rope_base = 1e4, .norm_eps = 1e-5},
    {.type = "gemma3_text", .arch = "gemma3", .norm_added = 1, .act = "gelu_pytorch_tanh",
     .normalises = -1, .sentencepiece = 1, .context = 131072, .rope_base = 1e6, .norm_eps = 1e-6,
     .head_dim = 256},
};
enum { FAMILIES = sizeof families / sizeof *families };

/* ---- files ------------------------------------------------------------------------------ */

int hf_read_file(const char *path, const char *name, size_t max, struct buf *out,
                 struct err *err) {
    char *full = mem_printf("%s/%s", path, name);
    int none = access(full, F_OK) && errno == ENOENT;
    int rc = none ? 1 : zio_read_small(full, max, out, err);
    free(full);
    return rc;
}

int hf_read_json(const char *path, const char *name, int required, cJSON **doc,
                 struct err *err) {
    struct buf text = {0};
    char *full = mem_printf("%s/%s", path, name);
    int rc = hf_read_file(path, name, MAX_JSON, &text, err);
    *doc = NULL;
    if (rc > 0)
        rc = required ? err_set(err, "%s: %s", full, strerror(ENOENT)) : 0;
    else if (!rc && !(*doc = fields_parse(full, text.data ? text.data : "", text.len, err)))
        rc = -1;
    buf_free(&text);
    free(full);
    return rc;
}

/* ---- what cannot be said ---------------------------------------------------------------- */

static void find_family(struct hf_config *c) {
    const char *type = fields_text_or(&c->text, "model_type", "");
    struct buf known = {0};
    for (int i = 0; i < FAMILIES && !c->family; i++) {
        if (!strcmp(families[i].type, type))
            c->family = &families[i];
        buf_printf(&known, "%s%s", i ? ", " : "", families[i].type);
    }
    if (!c->family)
        fields_fail(&c->text, "model_type", "expected one of %s; found %s", known.data,
                    *type ? type : "none");
    buf_free(&known);
}

/* Weights that are packed already: what quantizing again loses is not told by any number here. */
static void refuse_quantized(struct fields *f) {
    const cJSON *q = fields_get(f, "quantization_config");
    if (!q)
        return;
    const cJSON *method = cJSON_GetObjectItemCaseSensitive(q, "quant_method");
    fields_fail(f, "quantization_config", "the weights are quantized already (%s): expected F32, "
                "F16 or BF16", cJSON_IsString(method) ? method->valuestring : "no method named");
}

/* key must be absent, or `want`. */
static void expect_bool(struct fields *f, const char *key, int want, int absent) {
    if (fields_bool_or(f, key, absent) != want)
        fields_fail(f, key, "expected %s, as the architecture has it, found %s",
                    want ? "true" : "false", want ? "false" : "true");
}

static void expect_null(struct fields *f, const char *key) {
    if (fields_get(f, key))
        fields_fail(f, key, "expected null: no GGUF key says it");
}

static void check_act(struct hf_config *c) {
    static const char *const keys[] = {"hidden_activation", "hidden_act", NULL};
    const char *key = fields_first(&c->text, keys);
    const char *act = fields_text_or(&c->text, key, c->family->act);
    if (strcmp(act, c->family->act))
        fields_fail(&c->text, key, "expected %s, as the architecture has it, found %s",
                    c->family->act, act);
}

/* Qwen's mixtures may have dense layers among them; the GGUF architectures may not. */
static void check_experts(struct hf_config *c) {
    struct fields *f = &c->text;
    const struct hf_family *fam = c->family;
    if (fam->normalises < 0)
        return;
    expect_bool(f, "norm_topk_prob", fam->normalises, 0);
    if (fields_int_or(f, "decoder_sparse_step", 1, 1, MAX_LAYERS) != 1)
        fields_fail(f, "decoder_sparse_step", "expected 1: layers without experts cannot be told");
    if (cJSON_GetArraySize(fields_get(f, "mlp_only_layers")))
        fields_fail(f, "mlp_only_layers", "expected none: layers without experts cannot be told");
}

/* The scores are scaled by the head's width, and by 27B's own number (arch_gemma3.c). */
static void check_gemma3(struct hf_config *c) {
    struct fields *f = &c->text;
    double want = c->layers == 62 ? (double)c->d_model / c->heads : c->head_dim;
    double scalar = fields_number_or(f, "query_pre_attn_scalar", 256, 1e-6, 1e9);
    if (scalar != want)
        fields_fail(f, "query_pre_attn_scalar", "expected %g, the width of a head, found %g", want,
                    scalar);
    expect_null(f, "attn_logit_softcapping");
    expect_bool(f, "use_bidirectional_attention", 0, 0);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void read_widths(struct hf_config *c) {
    static const char *const experts[] = {"num_local_experts", "num_experts", NULL};
    struct fields *f = &c->text;
    int gemma = !strcmp(c->family->arch, "gemma3");
    c->layers = (int)fields_int(f, "num_hidden_layers", 1, MAX_LAYERS);
    c->d_model = (int)fields_int(f, "hidden_size", 1, MAX_WIDTH);
    c->heads = gemma ? (int)fields_int_or(f, "num_attention_heads", 8, 1, 65536)
                     : (int)fields_int(f, "num_attention_heads", 1, 65536);
    c->kv_heads = (int)fields_int_or(f, "num_key_value_heads", gemma ? 4 : c->heads, 1, c->heads);
    c->head_dim = (int)fields_int_or(f, "head_dim",
                                     c->family->head_dim ? c->family->head_dim
                                                         : c->d_model / c->heads, 1, MAX_WIDTH);
    c->vocab = gemma ? (int)fields_int_or(f, "vocab_size", 262208, 1, INT32_MAX)
                     : (int)fields_int(f, "vocab_size", 1, INT32_MAX);
    c->tied = fields_bool_or(f, "tie_word_embeddings",
                             fields_bool_or(&c->whole, "tie_word_embeddings", gemma));
    int mixture = c->family->normalises >= 0 || !strcmp(c->family->type, "mixtral");
    c->experts = mixture ? (int)fields_int(f, fields_first(f, experts), 1, 65536) : 0;
}

/* What every number says; stops at the first that is wrong. */
static void read_config(struct hf_config *c) {
    const cJSON *text = fields_get(&c->whole, "text_config");
    c->text = c->whole;
    if (cJSON_IsObject(text))
        c->text.object = text;
    refuse_quantized(&c->whole);
    c->text.failed = c->whole.failed;
    refuse_quantized(&c->text);
    find_family(c);
    if (c->text.failed)
        return;
    read_widths(c);
    check_act(c);
    check_experts(c);
    expect_null(&c->text, "clip_qkv");
    if (!strcmp(c->family->arch, "gemma3"))
        check_gemma3(c);
    c->text.failed |= c->whole.failed;
}

int hf_config_open(struct hf_config *c, const char *path, struct err *err) {
    if (hf_read_json(path, "config.json", 1, &c->doc, err))
        return -1;
    c->where = mem_printf("%s/config.json", path);
    c->whole = (struct fields){.object = c->doc, .where = c->where, .err = err};
    read_config(c);
    return c->text.failed ? -1 : 0;
}

void hf_config_close(struct hf_config *c) {
    cJSON_Delete(c->doc);
    free(c->where);
}
