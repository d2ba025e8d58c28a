/* shape_table.c - the widths of known open models
 *
 * Source of every row: the config.json beside the weights that the model's maker publishes, and the
 * paper or report named above it. Where the maker names an exact number of parameters, the number
 * computed from the row is the same (tests/test_shape_find.c).
 */
#include <string.h>
#include <strings.h>

#include "lib/shape/shape_build.h"

#define LLAMA3 .arch = "llama", .context = 131072, .vocab = 128256, .kv_heads = 8
#define QWEN25 .arch = "qwen2", .dk = 128, .bias = BIAS_QKV
#define QWEN3 .arch = "qwen3", .dk = 128, .qk_norm = SHAPE_QK_HEAD, .context = 40960, \
    .vocab = 151936
#define QWEN3_MOE .arch = "qwen3moe", .dk = 128, .qk_norm = SHAPE_QK_HEAD, .vocab = 151936, \
    .top_k = 8
/* Gemma has a norm before and one after attention, and so around the FFN. */
#define GEMMA2 .arch = "gemma2", .norms = 4, .vocab = 256000, .tied = 1, .window = 4096, \
    .window_period = 2, .context = 8192
#define GEMMA3 .arch = "gemma3", .norms = 4, .qk_norm = SHAPE_QK_HEAD, .tied = 1, \
    .window_period = 6
#define DEEPSEEK_V3 .arch = "deepseek2", .layers = 61, .d_model = 7168, .dk = 192, .dv = 128, \
    .kv_latent = 512, .rope_dims = 64, .q_latent = 1536, .d_ff = 18432, .top_k = 8, \
    .d_expert = 2048, .d_shared = 2048, .bias = BIAS_ROUTER, .quant = "FP8", .matrix_bits = 8
#define GPT_OSS .arch = "gpt-oss", .d_model = 2880, .heads = 64, .kv_heads = 8, .dk = 64, \
    .top_k = 4, .d_expert = 2880, .vocab = 201088, .window = 128, .window_period = 2, \
    .context = 131072, .sinks = 1, .bias = BIAS_QKV | BIAS_OUT | BIAS_FFN | BIAS_ROUTER, \
    .quant = "MXFP4", .expert_bits = 4.25
#define GLM45 .arch = "glm4moe", .heads = 96, .kv_heads = 8, .dk = 128, .top_k = 8, \
    .vocab = 151552, .context = 131072, .bias = BIAS_QKV | BIAS_ROUTER

static const struct shape_dims table[] = {
    /* Llama 2, arXiv 2307.09288 */
    {.name = "llama-2-7b", .arch = "llama", .context = 4096, .layers = 32, .d_model = 4096,
     .heads = 32, .d_ff = 11008, .vocab = 32000},
    {.name = "llama-2-70b", .arch = "llama", .context = 4096, .layers = 80, .d_model = 8192,
     .heads = 64, .kv_heads = 8, .d_ff = 28672, .vocab = 32000},
    /* Llama 3, arXiv 2407.21783, table 3 */
    {.name = "llama-3.1-8b", LLAMA3, .layers = 32, .d_model = 4096, .heads = 32, .d_ff = 14336},
    {.name = "llama-3.1-70b", LLAMA3, .layers = 80, .d_model = 8192, .heads = 64, .d_ff = 28672},
    {.name = "llama-3.1-405b", LLAMA3, .layers = 126, .d_model = 16384, .heads = 128,
     .d_ff = 53248},
    {.name = "llama-3.2-1b", LLAMA3, .layers = 16, .d_model = 2048, .heads = 32, .d_ff = 8192,
     .tied = 1},
    {.name = "llama-3.2-3b", LLAMA3, .layers = 28, .d_model = 3072, .heads = 24, .d_ff = 8192,
     .tied = 1},
    /* Mistral, arXiv 2310.06825 (v0.1 has the window); Mixtral, arXiv 2401.04088 */
    {.name = "mistral-7b-v0.1", .arch = "llama", .context = 32768, .layers = 32, .d_model = 4096,
     .heads = 32, .kv_heads = 8, .d_ff = 14336, .vocab = 32000, .window = 4096},
    {.name = "mistral-small-24b", .arch = "llama", .context = 32768, .layers = 40,
     .d_model = 5120, .heads = 32, .dk = 128, .kv_heads = 8, .d_ff = 32768, .vocab = 131072},
    {.name = "mixtral-8x7b", .arch = "llama", .context = 32768, .layers = 32, .d_model = 4096,
     .heads = 32, .kv_heads = 8, .experts = 8, .top_k = 2, .d_expert = 14336, .vocab = 32000},
    {.name = "mixtral-8x22b", .arch = "llama", .context = 65536, .layers = 56, .d_model = 6144,
     .heads = 48, .kv_heads = 8, .experts = 8, .top_k = 2, .d_expert = 16384, .vocab = 32000},
    /* Qwen2.5, arXiv 2412.15115 */
    {.name = "qwen2.5-7b", QWEN25, .context = 131072, .layers = 28, .d_model = 3584, .heads = 28,
     .kv_heads = 4, .d_ff = 18944, .vocab = 152064},
    {.name = "qwen2.5-72b", QWEN25, .context = 131072, .layers = 80, .d_model = 8192, .heads = 64,
     .kv_heads = 8, .d_ff = 29568, .vocab = 152064},
    /* Qwen3, arXiv 2505.09388, tables 1 and 2 */
    {.name = "qwen3-0.6b", QWEN3, .layers = 28, .d_model = 1024, .heads = 16, .kv_heads = 8,
     .d_ff = 3072, .tied = 1},
    {.name = "qwen3-8b", QWEN3, .layers = 36, .d_model = 4096, .heads = 32, .kv_heads = 8,
     .d_ff = 12288},
    {.name = "qwen3-14b", QWEN3, .layers = 40, .d_model = 5120, .heads = 40, .kv_heads = 8,
     .d_ff = 17408},
    {.name = "qwen3-32b", QWEN3, .layers = 64, .d_model = 5120, .heads = 64, .kv_heads = 8,
     .d_ff = 25600},
    {.name = "qwen3-30b-a3b", QWEN3_MOE, .context = 40960, .layers = 48, .d_model = 2048,
     .heads = 32, .kv_heads = 4, .experts = 128, .d_expert = 768},
    {.name = "qwen3-235b-a22b", QWEN3_MOE, .context = 40960, .layers = 94, .d_model = 4096,
     .heads = 64, .kv_heads = 4, .experts = 128, .d_expert = 1536},
    {.name = "qwen3-coder-480b-a35b", QWEN3_MOE, .context = 262144, .layers = 62, .d_model = 6144,
     .heads = 96, .kv_heads = 8, .experts = 160, .d_expert = 2560},
    /* DeepSeek-V2, arXiv 2405.04434; V3 and R1, arXiv 2412.19437; Kimi K2, arXiv 2507.20534 */
    {.name = "deepseek-v2-lite", .arch = "deepseek2", .context = 163840, .layers = 27,
     .d_model = 2048, .heads = 16, .dk = 192, .dv = 128, .kv_latent = 512, .rope_dims = 64,
     .d_ff = 10944, .dense_layers = 1, .experts = 64, .top_k = 6, .d_expert = 1408,
     .d_shared = 2816, .vocab = 102400},
    {.name = "deepseek-v3", DEEPSEEK_V3, .context = 163840, .heads = 128, .dense_layers = 3,
     .experts = 256, .vocab = 129280},
    {.name = "deepseek-r1", DEEPSEEK_V3, .context = 163840, .heads = 128, .dense_layers = 3,
     .experts = 256, .vocab = 129280},
    {.name = "kimi-k2", DEEPSEEK_V3, .context = 131072, .heads = 64, .dense_layers = 1,
     .experts = 384, .vocab = 163840},
    /* gpt-oss, arXiv 2508.10925 */
    {.name = "gpt-oss-20b", GPT_OSS, .layers = 24, .experts = 32},
    {.name = "gpt-oss-120b", GPT_OSS, .layers = 36, .experts = 128},
    /* Gemma 2, arXiv 2408.00118; Gemma 3, arXiv 2503.19786 (text model) */
    {.name = "gemma-2-9b", GEMMA2, .layers = 42, .d_model = 3584, .heads = 16, .kv_heads = 8,
     .dk = 256, .d_ff = 14336},
    {.name = "gemma-2-27b", GEMMA2, .layers = 46, .d_model = 4608, .heads = 32, .kv_heads = 16,
     .dk = 128, .d_ff = 36864},
    {.name = "gemma-3-1b", GEMMA3, .context = 32768, .layers = 26, .d_model = 1152, .heads = 4,
     .kv_heads = 1, .dk = 256, .d_ff = 6912, .vocab = 262144, .window = 512},
    {.name = "gemma-3-4b", GEMMA3, .context = 131072, .layers = 34, .d_model = 2560, .heads = 8,
     .kv_heads = 4, .dk = 256, .d_ff = 10240, .vocab = 262208, .window = 1024},
    {.name = "gemma-3-12b", GEMMA3, .context = 131072, .layers = 48, .d_model = 3840, .heads = 16,
     .kv_heads = 8, .dk = 256, .d_ff = 15360, .vocab = 262208, .window = 1024},
    {.name = "gemma-3-27b", GEMMA3, .context = 131072, .layers = 62, .d_model = 5376, .heads = 32,
     .kv_heads = 16, .dk = 128, .d_ff = 21504, .vocab = 262208, .window = 1024},
    /* OLMoE, arXiv 2409.02060 */
    {.name = "olmoe-1b-7b", .arch = "olmoe", .context = 4096, .layers = 16, .d_model = 2048,
     .heads = 16, .dk = 128, .qk_norm = SHAPE_QK_FULL, .experts = 64, .top_k = 8,
     .d_expert = 1024, .vocab = 50304},
    /* Phi-4, arXiv 2412.08905 */
    {.name = "phi-4", .arch = "phi3", .context = 16384, .layers = 40, .d_model = 5120,
     .heads = 40, .kv_heads = 10, .dk = 128, .d_ff = 17920, .vocab = 100352},
    /* GLM-4.5, arXiv 2508.06471, table 1 */
    {.name = "glm-4.5", GLM45, .layers = 92, .d_model = 5120, .experts = 160, .d_expert = 1536,
     .d_shared = 1536, .d_ff = 12288, .dense_layers = 3, .qk_norm = SHAPE_QK_HEAD},
    {.name = "glm-4.5-air", GLM45, .layers = 46, .d_model = 4096, .experts = 128,
     .d_expert = 1408, .d_shared = 1408, .d_ff = 10944, .dense_layers = 1},
};
enum { MODELS = sizeof table / sizeof *table };

const struct shape_dims *shape_table_find(const char *name) {
    for (int i = 0; i < MODELS; i++)
        if (!strcasecmp(table[i].name, name))
            return &table[i];
    return NULL;
}

const char *const *shape_names(void) {
    static const char *names[MODELS + 1];
    for (int i = 0; i < MODELS; i++)
        names[i] = table[i].name;
    return names;
}
