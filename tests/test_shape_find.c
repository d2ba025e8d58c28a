/* test_shape_find.c - every way to name a shape, against published parameters and KV sizes
 *
 * Exact parameter counts are those of the safetensors files' metadata ("model size" of the model
 * cards); bytes of KV per token are those that papers and engines print.
 */
#include "lib/shape/shape.h"

#include <math.h>

#include "lib/base/mem.h"
#include "lib/format/zio.h"
#include "lib/trace/trace.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct shape *find(const char *spec) {
    struct err e = {{0}};
    struct shape *s = shape_find(spec, &e);
    CHECK(s);
    if (!s)
        printf("# %s\n", e.text);
    return s;
}

static void fails(const char *spec, const char *says) {
    struct err e = {{0}};
    struct shape *s = shape_find(spec, &e);
    CHECK(!s);
    CHECK(strstr(e.text, says));
    if (!strstr(e.text, says))
        printf("# expected \"%s\" in: %s\n", says, e.text);
    shape_free(s);
}

/* ---- known models ----------------------------------------------------------------------- */

static const struct known {
    const char *name;
    int64_t params;             /* exact, or 0 */
    double billions, within;    /* as the maker rounds them */
    double active;              /* likewise, with the embedding; 0: dense */
    double active_within;
    double kv_bytes;            /* of a token, 16-bit elements */
} knowns[] = {
    {"llama-2-7b", 6738415616, 6.74, .01, 0, 0, 524288},
    {"llama-2-13b", 13015864320, 13.0, .02, 0, 0, 819200},
    {"llama-2-70b", 68976648192, 69, .1, 0, 0, 327680},
    {"llama-3-8b", 8030261248, 8.03, .01, 0, 0, 131072},
    {"llama-3-70b", 70553706496, 70.6, .1, 0, 0, 327680},
    {"llama-3.1-8b", 8030261248, 8.03, .01, 0, 0, 131072},
    {"llama-3.1-70b", 70553706496, 70.6, .1, 0, 0, 327680},
    {"llama-3.1-405b", 405853388800, 406, .2, 0, 0, 516096},
    {"llama-3.2-1b", 1235814400, 1.24, .01, 0, 0, 32768},
    {"llama-3.2-3b", 3212749824, 3.21, .01, 0, 0, 114688},
    {"llama-3.3-70b", 70553706496, 70.6, .1, 0, 0, 327680},
    {"tinyllama-1.1b", 1100048384, 1.1, .01, 0, 0, 22528},
    {"smollm2-135m", 134515008, .135, .001, 0, 0, 23040},
    {"smollm2-360m", 361821120, .362, .001, 0, 0, 40960},
    {"smollm2-1.7b", 1711376384, 1.71, .01, 0, 0, 196608},
    {"mistral-7b-v0.1", 7241732096, 7.24, .01, 0, 0, 131072},
    {"mistral-7b-v0.3", 7248023552, 7.25, .01, 0, 0, 131072},
    {"mistral-nemo-12b", 12247782400, 12.2, .05, 0, 0, 163840},
    {"codestral-22b", 22247282688, 22.2, .05, 0, 0, 229376},
    {"mistral-small-24b", 23572403200, 23.6, .1, 0, 0, 163840},
    {"mistral-large-123b", 122610069504, 123, .5, 0, 0, 360448},
    {"mixtral-8x7b", 46702792704, 46.7, .01, 12.9, .05, 131072},
    {"mixtral-8x22b", 140620634112, 141, .5, 39, .2, 229376},
    {"qwen1.5-moe-a2.7b", 14315784192, 14.3, .05, 2.7, .05, 196608},
    {"qwen2-57b-a14b", 0, 57.4, .05, 14, .3, 57344},
    {"qwen2.5-0.5b", 494032768, .49, .01, 0, 0, 12288},
    {"qwen2.5-1.5b", 1543714304, 1.54, .01, 0, 0, 28672},
    {"qwen2.5-3b", 3085938688, 3.09, .01, 0, 0, 36864},
    {"qwen2.5-7b", 7615616512, 7.62, .01, 0, 0, 57344},
    {"qwen2.5-14b", 14770033664, 14.8, .05, 0, 0, 196608},
    {"qwen2.5-32b", 32763876352, 32.8, .05, 0, 0, 262144},
    {"qwen2.5-72b", 72706203648, 72.7, .01, 0, 0, 327680},
    {"qwen3-0.6b", 596049920, .6, .01, 0, 0, 114688},
    {"qwen3-1.7b", 1720574976, 1.7, .05, 0, 0, 114688},
    {"qwen3-4b", 4022468096, 4.0, .05, 0, 0, 147456},
    {"qwen3-8b", 8190735360, 8.2, .01, 0, 0, 147456},
    {"qwen3-14b", 14768307200, 14.8, .05, 0, 0, 163840},
    {"qwen3-32b", 32762123264, 32.8, .05, 0, 0, 262144},
    {"qwen3-30b-a3b", 30532122624, 30.5, .05, 3.3, .06, 98304},
    {"qwen3-235b-a22b", 235093634560, 235, .5, 22, .3, 192512},
    {"qwen3-coder-480b-a35b", 480154875392, 480, .5, 35, .5, 253952},
    {"deepseek-v2-lite", 15706484224, 15.7, .01, 2.7, .3, 31104},
    {"deepseek-v2", 235741434880, 236, .5, 21, .5, 69120},
    {"deepseek-v3", 671026419200, 671, .1, 37.5, .2, 70272},
    {"deepseek-r1", 671026419200, 671, .1, 37.5, .2, 70272},
    {"kimi-k2", 0, 1026, 2, 32.9, .2, 70272},
    {"gpt-oss-20b", 20914757184, 20.91, .01, 0, 0, 49152},
    {"gpt-oss-120b", 116829156672, 116.83, .01, 0, 0, 73728},
    {"gemma-2-9b", 9241705984, 9.24, .01, 0, 0, 344064},
    {"gemma-2-27b", 27227128320, 27.2, .05, 0, 0, 376832},
    {"gemma-3-270m", 268098176, .268, .001, 0, 0, 18432},
    {"gemma-3-1b", 999885952, 1, .01, 0, 0, 26624},
    {"gemma-3-4b", 3880263168, 3.88, .01, 0, 0, 139264},
    {"gemma-3-12b", 0, 11.8, .1, 0, 0, 393216},
    {"gemma-3-27b", 0, 27.0, .1, 0, 0, 507904},
    {"olmoe-1b-7b", 6919161856, 6.92, .01, 1.28, .01, 131072},
    {"olmo-2-7b", 7298617344, 7.3, .01, 0, 0, 524288},
    {"phi-3-mini", 3821079552, 3.82, .01, 0, 0, 393216},
    {"phi-4", 14659507200, 14.7, .05, 0, 0, 204800},
    {"glm-4.5", 0, 353, 1, 32, 2, 376832},
    {"glm-4.5-air", 0, 107, 1, 12, 2, 188416},
};

static void known_model(const struct known *k) {
    struct shape *s = find(k->name);
    if (!s)
        return;
    if (k->params)
        CHECK_INT(s->params, k->params);
    CHECK_NEAR((double)s->params / 1e9, k->billions, k->within);
    double embed = s->tied ? 0 : (double)s->vocab * s->d_model;
    if (k->active > 0)
        CHECK_NEAR(((double)s->params_active + embed) / 1e9, k->active, k->active_within);
    CHECK_NEAR(shape_kv_bytes(s, 16), k->kv_bytes, 0);
    CHECK_STR(s->name, k->name);
    const char *date = NULL;
    const char *source = shape_source(k->name, &date);
    CHECK(source && strchr(source, '/'));
    CHECK(date && strlen(date) == 7 && date[4] == '-');
    shape_free(s);
}

static void known_models(void) {
    size_t n = 0;
    for (const char *const *name = shape_names(); *name; name++, n++)
        CHECK(n < sizeof knowns / sizeof *knowns && !strcmp(knowns[n].name, *name));
    CHECK_INT(n, sizeof knowns / sizeof *knowns);
}

/* DeepSeek-V3: weights in FP8, embedding, head and norms in BF16. */
static void weights_of_mixed_types(void) {
    struct shape *s = find("DeepSeek-AI/deepseek-V3");
    double other = 2.0 * 129280 * 7168;
    CHECK_STR(s->quant, "FP8");
    CHECK_INT(s->expert_bytes[2], 0);
    CHECK_INT(s->expert_bytes[3], 3 * 7168 * 2048);
    CHECK_NEAR((double)s->weight_bytes, (double)s->params + other, 3e8);
    CHECK_INT(s->head_bytes, 2 * (129280 * 7168 + 7168));
    shape_free(s);
    s = find("gpt-oss-120b");
    /* The checkpoint on disk is 60.8 GiB (arXiv 2508.10925, table 1). */
    CHECK_NEAR((double)s->weight_bytes / 1073741824, 60.8, .1);
    shape_free(s);
    s = find("gpt-oss-20b");
    CHECK_NEAR((double)s->weight_bytes / 1073741824, 12.8, .1);
    shape_free(s);
}

/* ---- arithmetic ------------------------------------------------------------------------- */

/* Windows cap what a sequence holds, not what a token costs: Gemma 3 27B has 52 layers of 1024
 * tokens and 10 that keep everything, 8 KiB a token and layer. */
static void held_by_a_sequence(void) {
    struct shape *s = find("gemma-3-27b");
    CHECK_NEAR(shape_kv_bytes(s, 16), 62 * 8192, 0);
    CHECK_NEAR(shape_sequence_kv_bytes(s, 0, 16), 0, 0);
    CHECK_NEAR(shape_sequence_kv_bytes(s, 1024, 16), 1024.0 * 62 * 8192, 0);
    CHECK_NEAR(shape_sequence_kv_bytes(s, 131072, 16), (52 * 1024.0 + 10 * 131072.0) * 8192, 0);
    shape_free(s);
    s = find("llama-3.1-70b");
    CHECK_NEAR(shape_sequence_kv_bytes(s, 8192, 8), 8192.0 * 327680 / 2, 0);
    shape_free(s);
}

/* Where a row costs less than 2^53 and the sum too, the closed form is the same number. */
static void prefill_is_a_sum(const char *name, int64_t from, int64_t to) {
    struct shape *s = find(name);
    struct shape_flops sum = {0};
    for (int64_t pos = from; pos < to; pos++)
        shape_add_row_flops(s, pos, 0, &sum);
    double rows = sum.attention + sum.dense + sum.experts;
    CHECK_NEAR(shape_prefill_flops(s, from, to), rows, rows * 1e-13);
    CHECK(rows > 9e15 || shape_prefill_flops(s, from, to) == rows);
    shape_free(s);
}

static void prefill(void) {
    static const char *const names[] = {"llama-3.1-8b", "gemma-3-4b", "gemma-2-9b", "gpt-oss-20b",
                                        "deepseek-v3", "mixtral-8x7b", "mistral-7b-v0.1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        prefill_is_a_sum(names[i], 0, 1);
        prefill_is_a_sum(names[i], 0, 5000);
        prefill_is_a_sum(names[i], 4090, 4100);
        prefill_is_a_sum(names[i], 1000, 2000);
        prefill_is_a_sum(names[i], 100000, 100003);
    }
    struct shape *s = find("llama-3.1-8b");
    CHECK_NEAR(shape_prefill_flops(s, 7, 7), 0, 0);
    CHECK_NEAR(shape_prefill_flops(s, 7, 3), 0, 0);
    CHECK_NEAR(shape_prefill_flops(s, 0, 100) + shape_prefill_flops(s, 100, 700),
               shape_prefill_flops(s, 0, 700), 0);
    shape_free(s);
}

/* A row costs two FLOPs for each active parameter that is in a matrix; and scores. */
static void latent_attention(void) {
    struct shape *s = find("deepseek-v3");
    const struct shape_layer *l = &s->layer[60];
    CHECK_INT(l->kv_latent, 512);
    CHECK_INT(l->rope_dims, 64);
    CHECK_INT(l->q_latent, 1536);
    CHECK_INT(l->heads, 128);
    CHECK_INT(l->dk, 192);
    CHECK_INT(l->dv, 128);
    CHECK_NEAR(shape_kv_bytes(s, 16), 61 * (512 + 64) * 2, 0);
    CHECK_NEAR(shape_kv_read(s, 99, 99, 16), 100 * 70272, 0);
    struct shape_flops f = {0};
    shape_add_row_flops(s, 0, 1, &f);
    double vectors = 61 * (2 * 7168 + 512 + 1536) + 58 * 256 + 7168;
    double scores = 61 * 2.0 * 128 * (192 + 128);
    CHECK_NEAR(f.attention + f.dense + f.experts + f.head,
               2 * ((double)s->params_active - vectors) + scores, 0);
    /* Keys and values alone: down to the latent and the rotary key, up to 128 heads. */
    struct shape_flops kv = {0};
    shape_add_layer_flops(s, 0, 0, SHAPE_KV, &kv);
    CHECK_NEAR(kv.attention, 2.0 * (7168 * 576 + 512 * 128 * (128 + 128)), 0);
    shape_free(s);
}

/* ---- config.json ------------------------------------------------------------------------ */

/* Widths as they stand in the config.json of the models; what does not count here is left out. */
static const struct config {
    const char *as;             /* known model that it describes */
    const char *text;
} configs[] = {
    {"llama-3.1-8b",
     "{\"architectures\": [\"LlamaForCausalLM\"], \"attention_bias\": false, \"hidden_size\": 4096,"
     " \"intermediate_size\": 14336, \"max_position_embeddings\": 131072, \"mlp_bias\": false,"
     " \"model_type\": \"llama\", \"num_attention_heads\": 32, \"num_hidden_layers\": 32,"
     " \"num_key_value_heads\": 8, \"pretraining_tp\": 1, \"rope_scaling\": {\"factor\": 8.0,"
     " \"rope_type\": \"llama3\"}, \"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\","
     " \"vocab_size\": 128256}"},
    {"mistral-7b-v0.1",
     "{\"hidden_size\": 4096, \"intermediate_size\": 14336, \"max_position_embeddings\": 32768,"
     " \"model_type\": \"mistral\", \"num_attention_heads\": 32, \"num_hidden_layers\": 32,"
     " \"num_key_value_heads\": 8, \"sliding_window\": 4096, \"tie_word_embeddings\": false,"
     " \"torch_dtype\": \"bfloat16\", \"vocab_size\": 32000}"},
    {"mixtral-8x7b",
     "{\"hidden_size\": 4096, \"intermediate_size\": 14336, \"model_type\": \"mixtral\","
     " \"num_attention_heads\": 32, \"num_experts_per_tok\": 2, \"num_hidden_layers\": 32,"
     " \"num_key_value_heads\": 8, \"num_local_experts\": 8, \"sliding_window\": null,"
     " \"torch_dtype\": \"bfloat16\", \"vocab_size\": 32000}"},
    {"qwen2.5-7b",
     "{\"hidden_size\": 3584, \"intermediate_size\": 18944, \"max_window_layers\": 28,"
     " \"model_type\": \"qwen2\", \"num_attention_heads\": 28, \"num_hidden_layers\": 28,"
     " \"num_key_value_heads\": 4, \"sliding_window\": 131072, \"use_sliding_window\": false,"
     " \"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\", \"vocab_size\": 152064}"},
    {"qwen3-30b-a3b",
     "{\"attention_bias\": false, \"decoder_sparse_step\": 1, \"head_dim\": 128,"
     " \"hidden_size\": 2048, \"intermediate_size\": 6144, \"mlp_only_layers\": [],"
     " \"model_type\": \"qwen3_moe\", \"moe_intermediate_size\": 768, \"num_attention_heads\": 32,"
     " \"num_experts\": 128, \"num_experts_per_tok\": 8, \"num_hidden_layers\": 48,"
     " \"num_key_value_heads\": 4, \"sliding_window\": null, \"use_sliding_window\": false,"
     " \"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\", \"vocab_size\": 151936}"},
    {"deepseek-v3",
     "{\"first_k_dense_replace\": 3, \"hidden_size\": 7168, \"intermediate_size\": 18432,"
     " \"kv_lora_rank\": 512, \"model_type\": \"deepseek_v3\", \"moe_intermediate_size\": 2048,"
     " \"moe_layer_freq\": 1, \"n_routed_experts\": 256, \"n_shared_experts\": 1,"
     " \"num_attention_heads\": 128, \"num_experts_per_tok\": 8, \"num_hidden_layers\": 61,"
     " \"num_key_value_heads\": 128, \"num_nextn_predict_layers\": 1, \"q_lora_rank\": 1536,"
     " \"qk_nope_head_dim\": 128, \"qk_rope_head_dim\": 64, \"v_head_dim\": 128,"
     " \"quantization_config\": {\"activation_scheme\": \"dynamic\", \"fmt\": \"e4m3\","
     " \"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]},"
     " \"torch_dtype\": \"bfloat16\", \"vocab_size\": 129280}"},
    {"deepseek-v2-lite",
     "{\"first_k_dense_replace\": 1, \"hidden_size\": 2048, \"intermediate_size\": 10944,"
     " \"kv_lora_rank\": 512, \"model_type\": \"deepseek_v2\", \"moe_intermediate_size\": 1408,"
     " \"moe_layer_freq\": 1, \"n_routed_experts\": 64, \"n_shared_experts\": 2,"
     " \"num_attention_heads\": 16, \"num_experts_per_tok\": 6, \"num_hidden_layers\": 27,"
     " \"num_key_value_heads\": 16, \"q_lora_rank\": null, \"qk_nope_head_dim\": 128,"
     " \"qk_rope_head_dim\": 64, \"v_head_dim\": 128, \"vocab_size\": 102400}"},
    {"gpt-oss-20b",
     "{\"attention_bias\": true, \"experts_per_token\": 4, \"head_dim\": 64,"
     " \"hidden_size\": 2880, \"intermediate_size\": 2880, \"model_type\": \"gpt_oss\","
     " \"num_attention_heads\": 64, \"num_experts_per_tok\": 4, \"num_hidden_layers\": 24,"
     " \"num_key_value_heads\": 8, \"num_local_experts\": 32, \"quantization_config\":"
     " {\"modules_to_not_convert\": [\"model.layers.*.self_attn\"], \"quant_method\": \"mxfp4\"},"
     " \"sliding_window\": 128, \"tie_word_embeddings\": false, \"vocab_size\": 201088,"
     " \"layer_types\": [\"sliding_attention\", \"full_attention\", \"sliding_attention\","
     " \"full_attention\", \"sliding_attention\", \"full_attention\", \"sliding_attention\","
     " \"full_attention\", \"sliding_attention\", \"full_attention\", \"sliding_attention\","
     " \"full_attention\", \"sliding_attention\", \"full_attention\", \"sliding_attention\","
     " \"full_attention\", \"sliding_attention\", \"full_attention\", \"sliding_attention\","
     " \"full_attention\", \"sliding_attention\", \"full_attention\", \"sliding_attention\","
     " \"full_attention\"]}"},
    {"gemma-2-9b",
     "{\"head_dim\": 256, \"hidden_size\": 3584, \"intermediate_size\": 14336,"
     " \"model_type\": \"gemma2\", \"num_attention_heads\": 16, \"num_hidden_layers\": 42,"
     " \"num_key_value_heads\": 8, \"sliding_window\": 4096, \"torch_dtype\": \"bfloat16\","
     " \"vocab_size\": 256000}"},
    {"gemma-3-4b",      /* heads and vocabulary are the family's own and not in the file */
     "{\"model_type\": \"gemma3\", \"text_config\": {\"hidden_size\": 2560,"
     " \"intermediate_size\": 10240, \"model_type\": \"gemma3_text\", \"num_hidden_layers\": 34,"
     " \"sliding_window\": 1024}, \"torch_dtype\": \"bfloat16\", \"vision_config\":"
     " {\"hidden_size\": 1152, \"num_hidden_layers\": 27}}"},
    {"gemma-3-27b",
     "{\"model_type\": \"gemma3\", \"text_config\": {\"head_dim\": 128, \"hidden_size\": 5376,"
     " \"intermediate_size\": 21504, \"model_type\": \"gemma3_text\", \"num_attention_heads\": 32,"
     " \"num_hidden_layers\": 62, \"num_key_value_heads\": 16, \"query_pre_attn_scalar\": 168,"
     " \"sliding_window\": 1024}, \"torch_dtype\": \"bfloat16\"}"},
    {"olmoe-1b-7b",
     "{\"attention_bias\": false, \"hidden_size\": 2048, \"intermediate_size\": 1024,"
     " \"model_type\": \"olmoe\", \"num_attention_heads\": 16, \"num_experts\": 64,"
     " \"num_experts_per_tok\": 8, \"num_hidden_layers\": 16, \"num_key_value_heads\": 16,"
     " \"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\", \"vocab_size\": 50304}"},
    {"phi-4",
     "{\"attention_bias\": false, \"hidden_size\": 5120, \"intermediate_size\": 17920,"
     " \"model_type\": \"phi3\", \"num_attention_heads\": 40, \"num_hidden_layers\": 40,"
     " \"num_key_value_heads\": 10, \"sliding_window\": null, \"tie_word_embeddings\": false,"
     " \"torch_dtype\": \"bfloat16\", \"vocab_size\": 100352}"},
    {"glm-4.5",
     "{\"attention_bias\": true, \"first_k_dense_replace\": 3, \"head_dim\": 128,"
     " \"hidden_size\": 5120, \"intermediate_size\": 12288, \"model_type\": \"glm4_moe\","
     " \"moe_intermediate_size\": 1536, \"n_routed_experts\": 160, \"n_shared_experts\": 1,"
     " \"num_attention_heads\": 96, \"num_experts_per_tok\": 8, \"num_hidden_layers\": 92,"
     " \"num_key_value_heads\": 8, \"num_nextn_predict_layers\": 1, \"use_qk_norm\": true,"
     " \"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\", \"vocab_size\": 151552}"},
};

static char *write_text(const char *name, const char *text) {
    char *path = scratch_path(name);
    scratch_write(path, text, strlen(text));
    return path;
}

static void same_layers(const struct shape *a, const struct shape *b) {
    CHECK_INT(a->layers, b->layers);
    for (int i = 0; i < a->layers && i < b->layers; i++)
        CHECK(!memcmp(&a->layer[i], &b->layer[i], sizeof a->layer[i]));
    CHECK_INT(a->d_model, b->d_model);
    CHECK_INT(a->vocab, b->vocab);
    CHECK_INT(a->params, b->params);
    CHECK_INT(a->params_active, b->params_active);
    CHECK_INT(a->weight_bytes, b->weight_bytes);
    CHECK_INT(a->head_bytes, b->head_bytes);
    CHECK_INT(a->dense_bytes[a->layers - 1], b->dense_bytes[b->layers - 1]);
    CHECK_INT(a->expert_bytes[a->layers - 1], b->expert_bytes[b->layers - 1]);
    CHECK_STR(a->quant, b->quant);
}

static void config(const struct config *c) {
    char *path = write_text("config.json", c->text);
    struct shape *a = find(path), *b = find(c->as);
    if (a && b) {
        same_layers(a, b);
        CHECK_STR(a->arch, b->arch);
    }
    shape_free(a);
    shape_free(b);
    free(path);
}

/* A model's folder gives it its name. */
static void config_folder(void) {
    char *folder = scratch_path("My-Model");
    char *path = mem_printf("%s/config.json", folder);
    mkdir(folder, 0755);
    scratch_write(path, configs[0].text, strlen(configs[0].text));
    struct shape *a = find(folder), *b = find(path);
    CHECK_STR(a->name, "My-Model");
    CHECK_STR(b->name, "My-Model");
    CHECK_INT(a->params, 8030261248);
    shape_free(a);
    shape_free(b);
    remove(path);
    fails(folder, "config.json");
    free(path);
    free(folder);
}

#define SMALL "\"hidden_size\": 64, \"intermediate_size\": 96, \"num_attention_heads\": 4, " \
    "\"num_hidden_layers\": 4, \"vocab_size\": 100"

static struct shape *small_config(const char *more) {
    char *text = mem_printf("{" SMALL ", %s}", more);
    char *path = write_text("small.json", text);
    struct shape *s = find(path);
    free(path);
    free(text);
    return s;
}

/* Qwen: with the switch on, windows from a layer on; experts in every second layer but one. */
static void layers_by_rule(void) {
    struct shape *s = small_config(
        "\"model_type\": \"qwen2_moe\", \"use_sliding_window\": true, \"max_window_layers\": 3, "
        "\"sliding_window\": 7, \"num_experts\": 8, \"num_experts_per_tok\": 2, "
        "\"moe_intermediate_size\": 32, \"shared_expert_intermediate_size\": 48, "
        "\"decoder_sparse_step\": 2, \"mlp_only_layers\": [3]");
    static const int experts[] = {0, 8, 0, 0}, d_ff[] = {96, 0, 96, 96}, window[] = {0, 0, 0, 7};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(s->layer[i].experts, experts[i]);
        CHECK_INT(s->layer[i].top_k, experts[i] ? 2 : 0);
        CHECK_INT(s->layer[i].d_shared, experts[i] ? 48 : 0);
        CHECK_INT(s->layer[i].d_ff, d_ff[i]);
        CHECK_INT(s->layer[i].window, window[i]);
    }
    CHECK_INT(s->shared_gate, 1);
    /* Embedding and head, norms; four attentions with three biases; three dense FFNs; a router,
     * a gate, a shared expert and eight experts. */
    CHECK_INT(s->params, 2 * 6400 + 64 + 4 * (128 + 4 * 64 * 64 + 3 * 64) + 3 * 3 * 64 * 96 +
                         8 * 64 + 64 + 3 * 64 * 48 + 8 * 3 * 64 * 32);
    CHECK_INT(s->params - s->params_active, 6400 + 6 * 3 * 64 * 32);
    shape_free(s);

    s = small_config("\"model_type\": \"gemma3_text\", \"sliding_window\": 9, "
                     "\"sliding_window_pattern\": 2");
    for (int i = 0; i < 4; i++)
        CHECK_INT(s->layer[i].window, i % 2 ? 0 : 9);
    CHECK_INT(s->layer[0].kv_heads, 4);
    CHECK_INT(s->layer[0].dk, 256);
    shape_free(s);
}

/* 4-bit matrices with a 16-bit scale and a zero point for 128 of them; the rest in 16 bits. */
static void quantized_config(void) {
    struct shape *s = small_config("\"model_type\": \"llama\", \"torch_dtype\": \"float16\", "
                                   "\"quantization_config\": {\"quant_method\": \"gptq\", "
                                   "\"bits\": 4, \"group_size\": 128}");
    int64_t matrices = 4 * 64 * 64 + 3 * 64 * 96;
    CHECK_STR(s->quant, "GPTQ");
    CHECK_INT(s->dense_bytes[0], (int64_t)((double)matrices * (4 + 20.0 / 128) / 8) + 2 * 128);
    CHECK_INT(s->head_bytes, 2 * (6400 + 64));
    shape_free(s);
    s = small_config("\"model_type\": \"llama\", \"torch_dtype\": \"float32\"");
    CHECK_STR(s->quant, "F32");
    CHECK_INT(s->weight_bytes, s->params * 4);
    shape_free(s);
}

static void bad_config(const char *text, const char *says) {
    char *path = write_text("bad.json", text);
    fails(path, says);
    struct err e = {{0}};
    CHECK(!shape_find(path, &e) && !strncmp(e.text, path, strlen(path)));
    free(path);
}

static void bad_configs(void) {
    bad_config("", "found an empty file");
    bad_config("PK\3\4", "expected GGUF, a config.json or a run trace");
    bad_config("{", "expected a JSON object");
    bad_config("{} {}", "byte 3: expected a JSON object, found more after it");
    bad_config("{}", "model_type: expected one of llama, mistral");
    bad_config("{\"model_type\": \"mamba2\"}", "found mamba2");
    bad_config("{\"model_type\": 7}", "model_type: expected a string, found a number");
    bad_config("{\"model_type\": \"llama\"}", "num_hidden_layers: expected a whole number, found "
               "none");
    bad_config("{" SMALL ", \"model_type\": \"llama\", \"num_key_value_heads\": 3}",
               "heads: expected a multiple of kv_heads 3, found 4");
    bad_config("{" SMALL ", \"model_type\": \"llama\", \"num_key_value_heads\": 2.5}",
               "num_key_value_heads: expected 1 to 16384, found 2.5");
    bad_config("{" SMALL ", \"model_type\": \"llama\", \"num_key_value_heads\": 1e300}",
               "num_key_value_heads: expected 1 to 16384, found");
    bad_config("{" SMALL ", \"model_type\": \"llama\", \"torch_dtype\": \"int4\"}",
               "torch_dtype: expected bfloat16");
    bad_config("{" SMALL ", \"model_type\": \"llama\", \"quantization_config\": "
               "{\"quant_method\": \"magic\"}}", "expected fp8, mxfp4, gptq or awq, found magic");
    bad_config("{" SMALL ", \"model_type\": \"gpt_oss\", \"layer_types\": "
               "[\"linear_attention\", \"full_attention\", \"full_attention\", "
               "\"full_attention\"]}", "layer_types: expected full_attention or "
               "sliding_attention, found linear_attention");
    bad_config("{" SMALL ", \"model_type\": \"gpt_oss\", \"layer_types\": []}",
               "layer_types: expected an array of 4 words, one a layer, found 0");
    bad_config("{" SMALL ", \"model_type\": \"qwen3_moe\", \"num_experts\": 4, "
               "\"num_experts_per_tok\": 5}", "num_experts_per_tok: expected 1 to 4, found 5");
    bad_config("{" SMALL ", \"model_type\": \"deepseek_v3\", \"kv_lora_rank\": 512}",
               "qk_rope_head_dim: expected a whole number, found none");
    bad_config("{\"hash_ids\": [1], \"timestamp\": 0}\n{\"hash_ids\": [1]}\n",
               "expected a JSON object, found more after it");
}

/* ---- run traces ------------------------------------------------------------------------- */

#define TINY "examples/models/tiny-moe-f16.gguf"

/* What llm-run writes of a model is what its file says. */
static void run_trace(const char *name) {
    char *path = scratch_path(name);
    struct err e = {{0}};
    struct shape *file = find(TINY);
    struct trace *t = trace_open(path, &e);
    struct trace_run run = {.shape = file, .model = TINY, .kv_type = "f16", .kv_bits = 16,
                            .cpu = "ref", .host_cpu = "x", .version = "0"};
    CHECK(t && trace_run(t, &run, &e) == 0);
    CHECK(trace_step(t, &(struct trace_step){.tokens = 1, .experts_touched = -1}, &e) == 0);
    CHECK(trace_close(t, &e) == 0);
    struct shape *s = find(path);
    if (s && file) {
        CHECK_STR(s->name, file->name);
        CHECK_STR(s->arch, file->arch);
        for (int i = 0; i < file->layers; i++)
            file->layer[i].rope = s->layer[i].rope;
        same_layers(s, file);
    }
    shape_free(s);
    shape_free(file);
    free(path);
}

#define RUN_HEAD "{\"type\":\"run\",\"shape\":{\"layers\":2,\"d_model\":8,\"vocab\":9," \
    "\"params\":1,\"params_active\":1,\"weight_bytes\":1,\"head_bytes\":1,\"kv_heads\":1," \
    "\"dk\":[4,8],\"dv\":4,"

static void run_layers(void) {
    char *path = write_text("layers.jsonl", RUN_HEAD "\"heads\":2,\"window\":[0,7]}}\n{\"x\":1}\n");
    struct shape *s = find(path);
    CHECK_INT(s->layer[0].dk, 4);
    CHECK_INT(s->layer[1].dk, 8);
    CHECK_INT(s->layer[1].window, 7);
    CHECK_INT(s->layer[1].heads, 2);
    CHECK_NEAR(shape_kv_bytes(s, 16), 2 * (8 + 12), 0);
    shape_free(s);
    free(path);
    bad_config(RUN_HEAD "\"heads\":[1,2,3]}}", "shape: heads: expected 2 numbers, one a layer, "
               "found 3");
    bad_config(RUN_HEAD "\"heads\":0}}", "shape: heads: expected 1 to 16384, found 0");
    bad_config(RUN_HEAD "\"window\":0}}", "shape: heads: expected a number or one for each layer, "
               "found none");
    bad_config(RUN_HEAD "\"heads\":2,\"top_k\":1}}", "top_k: expected at most the 0 experts");
    bad_config("{\"type\":\"run\"}\n", "line 1: shape: expected an object, found none");
}

/* ---- numbers and names ------------------------------------------------------------------ */

static void numbers(void) {
    struct shape *a = find("layers=32,d_model=4096,heads=32,kv_heads=8,d_ff=14336,vocab=128256");
    struct shape *b = find("llama-3.1-8b");
    same_layers(a, b);
    shape_free(a);
    shape_free(b);
    a = find("layers=61,d_model=7168,heads=128,dk=192,dv=128,kv_latent=512,rope_dims=64,"
             "q_latent=1536,d_ff=18432,dense_layers=3,experts=256,top_k=8,d_expert=2048,"
             "d_shared=2048,vocab=129280");
    CHECK_NEAR(shape_kv_bytes(a, 16), 70272, 0);
    CHECK_INT(a->params, 671026419200 - 58 * 256);      /* no bias for the choice of experts */
    shape_free(a);
    a = find("layers=6,d_model=64,heads=4,d_ff=96,window=5,window_period=3,weight_bits=4.5");
    for (int i = 0; i < 6; i++)
        CHECK_INT(a->layer[i].window, i % 3 == 2 ? 0 : 5);
    CHECK_INT(a->weight_bytes, (int64_t)((double)a->params * 4.5 / 8));
    CHECK_INT(a->vocab, 0);
    shape_free(a);
}

/* A known model but for some numbers: half the bytes, a window, another depth. */
static void changed_models(void) {
    static const char *const known[] = {"llama-3.1-70b", "gpt-oss-120b", "deepseek-v3"};
    for (int i = 0; i < 3; i++) {
        char spec[64];
        snprintf(spec, sizeof spec, "%s,weight_bits=8", known[i]);
        struct shape *a = find(known[i]);
        struct shape *b = find(spec);
        CHECK_INT(b->params, a->params);
        CHECK_INT(b->params_active, a->params_active);
        CHECK_INT(b->weight_bytes, a->params);
        CHECK_NEAR(shape_kv_bytes(b, 16), shape_kv_bytes(a, 16), 0);
        CHECK_NEAR(shape_prefill_flops(b, 0, 5000), shape_prefill_flops(a, 0, 5000), 0);
        shape_free(a);
        shape_free(b);
    }
    struct shape *c = find("Llama-3.1-8B,window=4096,layers=16");
    CHECK_INT(c->layers, 16);
    CHECK_INT(c->layer[15].window, 4096);
    CHECK_NEAR(shape_kv_bytes(c, 16), 65536, 0);
    shape_free(c);
}

static void bad_numbers(void) {
    fails("layers=32", "d_model: expected 1 to 16777216, found 0");
    fails("layers=32,", "d_model: expected");
    fails("layers=32,,d_model=8", "expected WORD=NUMBER, found \"\"");
    fails("layers=x", "layers: expected a whole number, found x");
    fails("layers=32,layers=33", "layers: given twice");
    fails("layers=99999999999", "layers: expected a whole number, found 99999999999");
    fails("layers=-1", "layers: expected a whole number, found -1");
    fails("width=7", "width: expected one of layers, d_model, heads");
    fails("layers=2,d_model=8,heads=3,d_ff=8", "heads: expected a divisor of d_model 8");
    fails("layers=2,d_model=8,heads=2", "d_ff: expected 1 to");
    fails("layers=2,d_model=8,heads=2,experts=4,d_expert=4", "top_k: expected 1 to 4, found 0");
    fails("layers=2,d_model=8,heads=2,d_ff=8,rope_dims=2", "rope_dims: expected 0 to 0, found 2");
    fails("layers=10000,d_model=16777216,heads=1,dk=1,experts=32767,top_k=1,d_expert=268435456",
          "expected a model of at most 2^53 parameters, found more");
    fails("llama-3.1-8b,wings=2", "wings: expected one of layers");
    fails("layers=2,llama-3.1-8b", "expected WORD=NUMBER, found \"llama-3.1-8b\"");
    fails("layers=2,d_model=8,heads=2,d_ff=8,weight_bits=0", "weight_bits: expected 0.1 to 64");
}

static void names(void) {
    struct shape *s = find("QWEN3-8B");
    CHECK_STR(s->name, "qwen3-8b");
    shape_free(s);
    s = find("Qwen/Qwen3-8B");
    CHECK_STR(s->name, "qwen3-8b");
    shape_free(s);
    fails("gpt-7", "gpt-7: expected a GGUF file, a config.json or its folder, a run trace");
    fails("gpt-7", "llama-3.1-8b");
    fails("", "expected a GGUF file");
    fails("./gpt-oss-20", "expected a GGUF file");
}

static void gguf(void) {
    struct shape *s = find(TINY);
    CHECK_STR(s->name, "tiny-moe");
    CHECK_NEAR(shape_kv_bytes(s, 16), 3072, 0);
    CHECK_NEAR(s->rope[0].base > 0, 1, 0);
    shape_free(s);
    bad_config("GGUF\3", "header: truncated");
}

int main(void) {
    for (size_t i = 0; i < sizeof knowns / sizeof *knowns; i++)
        RUN_NAMED(knowns[i].name, known_model(&knowns[i]));
    RUN(known_models);
    RUN(weights_of_mixed_types);
    RUN(held_by_a_sequence);
    RUN(prefill);
    RUN(latent_attention);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        char name[64];
        snprintf(name, sizeof name, "config.json of %s", configs[i].as);
        RUN_NAMED(name, config(&configs[i]));
    }
    RUN(config_folder);
    RUN(layers_by_rule);
    RUN(quantized_config);
    RUN(bad_configs);
    RUN_NAMED("run trace", run_trace("run.jsonl"));
    RUN_NAMED("run trace, zstd", run_trace("run.jsonl.zst"));
    RUN(run_layers);
    RUN(numbers);
    RUN(changed_models);
    RUN(bad_numbers);
    RUN(names);
    RUN(gguf);
    scratch_remove();
    return check_done();
}
