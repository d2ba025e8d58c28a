/* test_source_hf.c - folders of transformers: the same logits and tokens after conversion
 *
 * The folders in tests/hf, with what transformers and its tokenizers make of them, are those of
 * tests/reference/hf_models.py. A folder is converted to F32, the engine's logits are compared with
 * transformers', and the vocabulary's ids with the tokenizer's. Then: rows in any cut, the way back
 * from GGUF rows to the folder's, and folders that must be refused.
 */
#include "lib/quant/hf.h"

#include <unistd.h>

#include "lib/format/jsonr.h"
#include "lib/format/npy.h"
#include "lib/infer/session.h"
#include "lib/model/vocab.h"
#include "tests/hf_folder.h"
#include "tests/random.h"

/* Both compute in float32, in another order: off by 8e-6 at most. A wrong conversion
 * (rows of Q left as they were, norms without their 1, factors of Llama 3 left out) is off by 0.09
 * to 8. */
static const double LOGITS_TOLERANCE = 5e-5;

enum { MAX_TOKENS = 16 };

static const struct kern *kern;
static struct par *par;

/* ---- what is expected ------------------------------------------------------------------- */

struct expected {
    int32_t token[MAX_TOKENS];
    int tokens;
    struct buf file;
    char *path;
};

static void read_expected(const char *name, struct expected *x) {
    struct jsonr r;
    struct jsonr_text key;
    *x = (struct expected){.path = mem_printf(HF_FOLDERS "%s/expected.json", name)};
    x->file = scratch_read(x->path);
    jsonr_begin(&r, x->path, x->file.data, x->file.len, NULL);
    jsonr_enter(&r, '{');
    while (jsonr_key(&r, &key) > 0) {
        if (!jsonr_is(&key, "tokens")) {
            jsonr_skip(&r);
            continue;
        }
        jsonr_enter(&r, '[');
        while (jsonr_item(&r) > 0 && x->tokens < MAX_TOKENS) {
            int64_t id;
            jsonr_int(&r, &id);
            x->token[x->tokens++] = (int32_t)id;
        }
    }
    CHECK_INT(jsonr_end(&r), 0);
    CHECK(x->tokens > 4);
}

static void free_expected(struct expected *x) {
    buf_free(&x->file);
    free(x->path);
}

/* [tokens][vocab] */
static float *read_logits(const char *name, int tokens, int vocab) {
    struct err err = {""};
    char *path = mem_printf(HF_FOLDERS "%s/logits.npy", name);
    struct zio *z = zio_open_read(path, &err);
    struct npy_reader r = {.z = z};
    float *x = mem_array((size_t)tokens * (size_t)vocab, sizeof *x);
    CHECK(z && npy_read_header(&r, &err) == 1 && r.dims == 2 && r.shape[0] == tokens &&
          r.shape[1] == vocab &&
          npy_read_floats(&r, x, (size_t)tokens * (size_t)vocab, &err) == 0);
    CHECK_STR(err.text, "");
    if (z)
        zio_abort(z);
    free(path);
    return x;
}

/* ---- logits and tokens ------------------------------------------------------------------ */

/* Opens and converts into the scratch folder; NULL when it is refused. */
static char *convert(const char *folder, const struct hf_options *opt, struct err *err) {
    struct source *s = hf_open(folder, opt, err);
    char *out = scratch_path("out.gguf");
    if (!s || hf_folder_convert(s, out, err)) {
        free(out);
        out = NULL;
    }
    source_close(s);
    return out;
}

/* The file that a folder becomes, which is not refused. */
static struct gguf *converted(const char *folder, const struct hf_options *opt) {
    struct err err = {""};
    char *path = convert(folder, opt, &err);
    struct gguf *g = path ? gguf_open(path, &err) : NULL;
    CHECK_STR(err.text, "");
    CHECK(g);
    free(path);
    return g;
}

/* Largest difference to transformers' logits; -1 when the model does not run. */
static double worst(const struct model *m, const struct expected *x, const float *want) {
    struct err err = {""};
    struct session_options opt = {.context = 64, .sequences = 1, .batch = 64,
                                  .kv_type = KERN_F32};
    struct session *s = session_new(m, kern, par, &opt, &err);
    struct session_row rows[MAX_TOKENS];
    struct session_pass pass = {0};
    double far = 0;
    for (int i = 0; i < x->tokens; i++)
        rows[i] = (struct session_row){0, i, x->token[i], 1};
    if (!s || session_pass(s, rows, x->tokens, &pass, &err)) {
        printf("# %s\n", err.text);
        far = -1;
    }
    for (int i = 0; !(far < 0) && i < x->tokens * m->shape->vocab; i++) {
        double d = fabs((double)pass.logits[i] - (double)want[i]);
        far = d <= far ? far : d;       /* NaN stays */
    }
    session_free(s);
    return far;
}

static void logits(const char *name) {
    struct err err = {""};
    struct expected x;
    char *folder = hf_folder_path(name);
    char *path = convert(folder, NULL, &err);
    struct model_options opt = {.par = par};
    struct model *m = path ? model_open(path, &opt, &err) : NULL;
    CHECK_STR(err.text, "");
    if (m) {
        read_expected(name, &x);
        float *want = read_logits(name, x.tokens, m->shape->vocab);
        CHECK_NEAR(worst(m, &x, want), 0, LOGITS_TOLERANCE);
        free(want);
        free_expected(&x);
    }
    model_close(m);
    free(path);
    free(folder);
}

/* "texts" and "ids" of expected.json, one after another. spaced: the tokenizer puts a space in front
 * of a text unless it begins with one; SentencePiece, and so every GGUF, always does. */
static void compare_ids(struct jsonr *texts, struct jsonr *ids, const struct vocab *v,
                        int spaced) {
    struct jsonr_text text;
    while (jsonr_item(texts) > 0 && jsonr_item(ids) > 0) {
        struct ids got = {0};
        size_t n = 0;
        int same = 1;
        jsonr_str(texts, &text);
        if (spaced && text.len && *text.data == ' ') {
            jsonr_skip(ids);
            continue;
        }
        CHECK_INT(vocab_encode(v, text.data, text.len, 0, &got, NULL), 0);
        jsonr_enter(ids, '[');
        for (; jsonr_item(ids) > 0; n++) {
            int64_t id;
            jsonr_int(ids, &id);
            same &= n < got.n && got.id[n] == id;
        }
        if (!same || n != got.n) {
            printf("# \"%.*s\": %zu ids, expected %zu\n", (int)text.len, text.data, got.n, n);
            check_bad++;
        }
        free(got.id);
    }
}

/* Up to the array under a key. */
static void find_array(struct jsonr *r, const struct expected *x, const char *name) {
    struct jsonr_text key;
    jsonr_begin(r, x->path, x->file.data, x->file.len, NULL);
    jsonr_enter(r, '{');
    while (jsonr_key(r, &key) > 0 && !jsonr_is(&key, name))
        jsonr_skip(r);
    jsonr_enter(r, '[');
}

static void tokens(const char *name) {
    struct err err = {""};
    struct expected x;
    struct jsonr texts;
    struct jsonr ids;
    char *folder = hf_folder_path(name);
    struct gguf *g = converted(folder, NULL);
    struct vocab *v = g ? vocab_open(g, &err) : NULL;
    CHECK_STR(err.text, "");
    if (v) {
        read_expected(name, &x);
        find_array(&texts, &x, "texts");
        find_array(&ids, &x, "ids");
        compare_ids(&texts, &ids, v, !strcmp(name, "mistral"));
        jsonr_end(&texts);
        jsonr_end(&ids);
        free_expected(&x);
    }
    vocab_free(v);
    gguf_close(g);
    free(folder);
}

/* ---- rows ------------------------------------------------------------------------------- */

/* Any cut of a tensor into windows gives the same rows, with or without the pages; bytes that lie
 * in place are those rows. */
static void windows(const char *name) {
    struct err err = {""};
    char *folder = hf_folder_path(name);
    struct source *s = hf_open(folder, NULL, &err);
    CHECK_STR(err.text, "");
    state = 7;
    for (uint64_t i = 0; s && i < s->tensors; i++) {
        const struct source_tensor *t = &s->tensor[i];
        size_t cols = (size_t)t->ne[0];
        float *whole = mem_array((size_t)t->rows * cols, sizeof *whole);
        float *part = mem_array((size_t)t->rows * cols, sizeof *part);
        CHECK_INT(s->ops->rows(s, i, 0, t->rows, whole, &err), 0);
        for (int k = 0; k < 20; k++) {
            int64_t first = below((int)t->rows);
            int64_t n = 1 + below((int)(t->rows - first));
            size_t bytes = (size_t)n * cols * sizeof *part;
            s->ops->rows(s, i, first, n, part, &err);
            CHECK(!memcmp(part, whole + (size_t)first * cols, bytes));
            const void *raw = s->ops->raw(s, i, first, n);
            if (raw)
                kern_dequantize(t->type, raw, part, n * t->ne[0]);
            CHECK(!memcmp(part, whole + (size_t)first * cols, bytes));
            s->ops->drop(s, i, first, n);
        }
        free(whole);
        free(part);
    }
    source_close(s);
    free(folder);
}

/* A row of the folder's own tensor as floats. */
static void folder_row(const struct st_tensor *t, int64_t row, float *out) {
    int64_t cols = t->shape[t->dims - 1];
    int type = t->dtype == ST_F32 ? KERN_F32 : t->dtype == ST_F16 ? KERN_F16 : KERN_BF16;
    kern_dequantize(type, (const char *)t->data + (size_t)(row * cols) * st_dtype_bytes(t->dtype),
                    out, cols);
}

/* hf_origin and hf_row lead every row of every matrix back to where it was. */
static void way_back(const char *name) {
    char *folder = hf_folder_path(name);
    struct source *s = hf_open(folder, NULL, NULL);
    int64_t moved = 0;
    CHECK(s != NULL);
    for (uint64_t i = 0; s && i < s->tensors; i++) {
        const struct source_tensor *t = &s->tensor[i];
        float *got = mem_array((size_t)t->ne[0], sizeof *got);
        float *was = mem_array((size_t)t->ne[0], sizeof *was);
        for (int64_t r = 0; r < t->rows && hf_origin(s, i, 0) && t->dims > 1; r++) {
            const struct hf_origin *o = hf_origin(s, i, r / t->ne[1]);
            int64_t row = hf_row(o, t->ne[1], r % t->ne[1]);
            moved += row != r % t->ne[1];
            s->ops->rows(s, i, r, 1, got, NULL);
            folder_row(o->tensor, o->first + row, was);
            CHECK(!memcmp(got, was, (size_t)t->ne[0] * sizeof *got));
        }
        free(got);
        free(was);
    }
    CHECK((moved > 0) == (s && !strcmp(s->arch, "llama")));
    source_close(s);
    free(folder);
}

/* ---- metadata --------------------------------------------------------------------------- */

static void keys(void) {
    struct gguf_value v;
    struct gguf *g = converted(HF_FOLDERS "llama", NULL);
    if (g) {
        CHECK_STR(gguf_str(g, "general.architecture", ""), "llama");
        CHECK_STR(gguf_str(g, "general.name", ""), "Llama");
        CHECK_STR(gguf_str(g, "general.size_label", ""), "103K");
        CHECK_STR(gguf_str(g, "tokenizer.ggml.pre", ""), "llama-bpe");
        CHECK_INT(gguf_int(g, "general.file_type", -1), 32);
        CHECK_INT(gguf_int(g, "general.sampling.top_k", -1), 40);
        CHECK_NEAR(gguf_float(g, "general.sampling.temp", -1), 0.6, 1e-6);
        CHECK_INT(gguf_int(g, "llama.block_count", -1), 2);
        CHECK_INT(gguf_int(g, "llama.attention.head_count_kv", -1), 2);
        CHECK_INT(gguf_int(g, "llama.rope.dimension_count", -1), 16);
        CHECK_NEAR(gguf_float(g, "llama.rope.freq_base", -1), 5e5, 0);
        CHECK_INT(gguf_bool(g, "tokenizer.ggml.add_bos_token", -1), 1);
        CHECK_INT(gguf_int(g, "tokenizer.ggml.bos_token_id", -1), 315);
        CHECK_INT(gguf_int(g, "tokenizer.ggml.eos_token_id", -1), 319);
        CHECK(strstr(gguf_str(g, "tokenizer.chat_template", ""), "<|im_start|>") != NULL);
        CHECK(gguf_value(g, "tokenizer.ggml.merges", &v) == 0 && v.n > 10);
    }
    gguf_close(g);
}

/* Templates of other names. */
static void templates(void) {
    char *folder = hf_folder_copy("qwen2");
    hf_folder_replace(folder, "tokenizer_config.json", "\"chat_template\": \"",
                      "\"chat_template\": [{\"name\": \"default\", \"template\": \"D\"}, {\"name\":"
                      " \"tool use\", \"template\": \"T\"}], \"other\": \"");
    struct gguf *g = converted(folder, NULL);
    if (g) {
        CHECK_STR(gguf_str(g, "tokenizer.chat_template", ""), "D");
        CHECK_STR(gguf_str(g, "tokenizer.chat_template.tool_use", ""), "T");
    }
    gguf_close(g);
    free(folder);
}

/* Windows that no key says: the context ends with them. */
static void window(const char *name, const char *was, const char *is, int64_t context) {
    char *folder = hf_folder_copy(name);
    hf_folder_replace(folder, "config.json", was, is);
    struct gguf *g = converted(folder, NULL);
    if (g) {
        char *key = mem_printf("%s.context_length", gguf_str(g, "general.architecture", ""));
        CHECK_INT(gguf_int(g, key, 0), context);
        free(key);
    }
    gguf_close(g);
    free(folder);
}

static void windows_end_contexts(void) {
    window("mistral", "\"sliding_window\": null", "\"sliding_window\": 8", 8);
    window("mistral", "\"sliding_window\": null", "\"sliding_window\": 100000", 256);
    window("mistral", "\"sliding_window\": null", "\"sliding_windows\": null", 256);
    window("qwen2", "\"sliding_window\": null", "\"sliding_window\": 8", 256);
    window("qwen2", "\"sliding_window\": null",
           "\"sliding_window\": 9, \"use_sliding_window\": true", 9);
}

/* ---- refusals --------------------------------------------------------------------------- */

struct refusal {
    const char *folder, *file, *was, *is, *says;
};

static const struct refusal refusals[] = {
    {"llama", "config.json", "\"model_type\": \"llama\"", "\"model_type\": \"rwkv\"",
     "config.json: model_type: expected one of llama, mistral, mixtral, qwen2, qwen2_moe, qwen3, "
     "qwen3_moe, olmoe, gemma3_text; found rwkv"},
    {"llama", "config.json", "{", "{\"quantization_config\": {\"quant_method\": \"gptq\"},",
     "quantization_config: the weights are quantized already (gptq)"},
    {"llama", "config.json", "\"silu\"", "\"relu\"", "hidden_act: expected silu"},
    {"llama", "config.json", "\"vocab_size\": 320", "\"vocab_size\": 319",
     "token_embd.weight: expected 319 rows of 64 by config.json, found 320 of 64"},
    {"llama", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
     "no tensor for blk.2.attn_norm.weight"},
    {"llama", "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1",
     "config.json says that there are fewer layers"},
    {"llama", "config.json", "\"rope_type\": \"llama3\"", "\"rope_type\": \"longrope\"",
     "rope_scaling: expected default, linear or yarn, llama3, found longrope"},
    {"llama", "config.json", "\"high_freq_factor\": 4.0", "\"high_freq_factor\": 1.0",
     "high_freq_factor: expected more than low_freq_factor"},
    {"llama", "config.json", "\"hidden_size\": 64", "\"hidden_size\": \"wide\"",
     "hidden_size: expected a whole number, found a string"},
    {"llama", "tokenizer.json", "\\\\p{N}{1,3}", "\\\\p{N}{1,4}",
     "pre_tokenizer: no known one does this (ignoring merges): split "},
    {"llama", "tokenizer.json", "\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}",
     "normalizer: expected none or NFC, found Lowercase"},
    {"llama", "tokenizer.json", "\"type\": \"BPE\"", "\"type\": \"Unigram\"",
     "expected a model of type BPE, found Unigram"},
    {"llama", "tokenizer.json", "\"id\": 319", "\"id\": 320",
     "added token \"<|eot_id|>\" has id 320: config.json's vocab_size is 320"},
    {"llama", "tokenizer.json", "\"dropout\": null", "\"dropout\": 0.1", "dropout: expected none"},
    {"llama", "model.safetensors.index.json", "\"model.norm.weight\"", "\"model.norms.weight\"",
     "expected tensor \"model.norms.weight\""},
    {"llama", "model.safetensors.index.json", "00001-of", "00009-of", "00009-of-00003"},
    {"llama", "config.json", "{", "{\"partial_rotary_factor\": 0.5,",
     "partial_rotary_factor: expected 1, as the architecture turns whole heads, found 0.5"},
    {"qwen2", "tokenizer.json", "\"merges\": [\n   \"", "\"merges\": [\n   \"x ",
     "merge 0: expected two tokens and a space between"},
    {"mixtral", "tokenizer.model", "<s>", "<s", "tokenizer.model: piece 1: "},
    {"qwen3_moe", "config.json", "\"norm_topk_prob\": true", "\"norm_topk_prob\": false",
     "norm_topk_prob: expected true, as the architecture has it, found false"},
    {"qwen3_moe", "config.json", "\"mlp_only_layers\": []", "\"mlp_only_layers\": [1]",
     "mlp_only_layers: expected none"},
    {"qwen3_moe", "config.json", "\"num_local_experts\": 4", "\"num_local_experts\": 8",
     "expected [experts][rows][cols]"},
    {"qwen2_moe", "config.json", "\"num_experts\": 4", "\"num_experts\": 5",
     "expected 5 experts, found 4"},
    {"olmoe", "config.json", "\"clip_qkv\": null", "\"clip_qkv\": 8.0",
     "clip_qkv: expected null"},
    {"gemma3", "config.json", "\"query_pre_attn_scalar\": 32", "\"query_pre_attn_scalar\": 64",
     "query_pre_attn_scalar: expected 32, the width of a head, found 64"},
};

static void refuses(const struct refusal *c) {
    struct err err = {""};
    char *folder = hf_folder_copy(c->folder);
    hf_folder_replace(folder, c->file, c->was, c->is);
    char *path = convert(folder, NULL, &err);
    CHECK(!path);
    if (!strstr(err.text, c->says) || strncmp(err.text, folder, strlen(folder))) {
        printf("# %s: expected \"%s\", found \"%s\"\n", c->folder, c->says, err.text);
        check_bad++;
    }
    free(path);
    free(folder);
}

/* A folder without one of its files. */
static void lacks(const char *name, const char *file, const char *says) {
    struct err err = {""};
    char *folder = hf_folder_copy(name);
    char *path = mem_printf("%s/%s", folder, file);
    CHECK_INT(unlink(path), 0);
    free(path);
    path = convert(folder, NULL, &err);
    CHECK(!path && strstr(err.text, says));
    free(path);
    free(folder);
}

/* A pre-tokenizer that nobody knows is written under the name that the user gives. */
static void named_pre(void) {
    char *folder = hf_folder_copy("llama");
    hf_folder_replace(folder, "tokenizer.json", "\\\\p{N}{1,3}", "\\\\p{N}{1,4}");
    struct gguf *g = converted(folder, &(struct hf_options){.pre = "llama-bpe"});
    CHECK_STR(g ? gguf_str(g, "tokenizer.ggml.pre", "") : "", "llama-bpe");
    gguf_close(g);
    free(folder);
}

int main(void) {
    char name[64];
    kern = kern_select(NULL, NULL);
    par = par_new(2);
    for (int i = 0; i < HF_NAMES; i++) {
        snprintf(name, sizeof name, "logits %s", hf_names[i]);
        RUN_NAMED(name, logits(hf_names[i]));
        snprintf(name, sizeof name, "tokens %s", hf_names[i]);
        RUN_NAMED(name, tokens(hf_names[i]));
        snprintf(name, sizeof name, "windows %s", hf_names[i]);
        RUN_NAMED(name, windows(hf_names[i]));
        snprintf(name, sizeof name, "way_back %s", hf_names[i]);
        RUN_NAMED(name, way_back(hf_names[i]));
    }
    RUN(keys);
    RUN(templates);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        snprintf(name, sizeof name, "refuses %s: %.40s", refusals[i].folder, refusals[i].says);
        RUN_NAMED(name, refuses(&refusals[i]));
    }
    RUN_NAMED("lacks config", lacks("llama", "config.json", "config.json: No such file"));
    RUN_NAMED("lacks tokenizer", lacks("llama", "tokenizer.json", "expected tokenizer.json"));
    RUN_NAMED("lacks weights", lacks("smollm", "model.safetensors", "expected safetensors files"));
    RUN(windows_end_contexts);
    RUN(named_pre);
    par_free(par);
    scratch_remove();
    return check_done();
}
