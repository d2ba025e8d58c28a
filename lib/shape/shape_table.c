/* shape_table.c - the widths of known open models
 *
 * Source of every row: the config.json in the repository that it names, where the model's maker
 * publishes the weights, and the maker's paper or report; its date is the month in which the
 * weights were published. Where the maker names an exact number of parameters, the number computed
 * from the row is the same (tests/test_shape_find.c).
 */
#include <string.h>
#include <strings.h>

#include "lib/shape/shape_build.h"

#define LLAMA3 .arch = "llama", .vocab = 128256, .kv_heads = 8
#define SMOLLM2 .arch = "llama", .context = 8192, .vocab = 49152, .tied = 1
#define QWEN25 .arch = "qwen2", .bias = BIAS_QKV
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
    /* Llama and models of its architecture */
    {.name = "llama-2-7b", .date = "2023-07",
     .source = "meta-llama/Llama-2-7b-hf, arXiv 2307.09288",
     .arch = "llama", .context = 4096, .layers = 32, .d_model = 4096, .heads = 32, .d_ff = 11008,
     .vocab = 32000},
    {.name = "llama-2-13b", .date = "2023-07",
     .source = "meta-llama/Llama-2-13b-hf, arXiv 2307.09288",
     .arch = "llama", .context = 4096, .layers = 40, .d_model = 5120, .heads = 40, .d_ff = 13824,
     .vocab = 32000},
    {.name = "llama-2-70b", .date = "2023-07",
     .source = "meta-llama/Llama-2-70b-hf, arXiv 2307.09288",
     .arch = "llama", .context = 4096, .layers = 80, .d_model = 8192, .heads = 64, .kv_heads = 8,
     .d_ff = 28672, .vocab = 32000},
    {.name = "llama-3-8b", .date = "2024-04",
     .source = "meta-llama/Meta-Llama-3-8B, arXiv 2407.21783",
     LLAMA3, .context = 8192, .layers = 32, .d_model = 4096, .heads = 32, .d_ff = 14336},
    {.name = "llama-3-70b", .date = "2024-04",
     .source = "meta-llama/Meta-Llama-3-70B, arXiv 2407.21783",
     LLAMA3, .context = 8192, .layers = 80, .d_model = 8192, .heads = 64, .d_ff = 28672},
    {.name = "llama-3.1-8b", .date = "2024-07",
     .source = "meta-llama/Llama-3.1-8B, arXiv 2407.21783",
     LLAMA3, .context = 131072, .layers = 32, .d_model = 4096, .heads = 32, .d_ff = 14336},
    {.name = "llama-3.1-70b", .date = "2024-07",
     .source = "meta-llama/Llama-3.1-70B, arXiv 2407.21783",
     LLAMA3, .context = 131072, .layers = 80, .d_model = 8192, .heads = 64, .d_ff = 28672},
    {.name = "llama-3.1-405b", .date = "2024-07",
     .source = "meta-llama/Llama-3.1-405B, arXiv 2407.21783",
     LLAMA3, .context = 131072, .layers = 126, .d_model = 16384, .heads = 128, .d_ff = 53248},
    {.name = "llama-3.2-1b", .date = "2024-09", .source = "meta-llama/Llama-3.2-1B",
     LLAMA3, .context = 131072, .layers = 16, .d_model = 2048, .heads = 32, .d_ff = 8192,
     .tied = 1},
    {.name = "llama-3.2-3b", .date = "2024-09", .source = "meta-llama/Llama-3.2-3B",
     LLAMA3, .context = 131072, .layers = 28, .d_model = 3072, .heads = 24, .d_ff = 8192,
     .tied = 1},
    {.name = "llama-3.3-70b", .date = "2024-12", .source = "meta-llama/Llama-3.3-70B-Instruct",
     LLAMA3, .context = 131072, .layers = 80, .d_model = 8192, .heads = 64, .d_ff = 28672},
    {.name = "tinyllama-1.1b", .date = "2023-12",
     .source = "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T, arXiv 2401.02385",
     .arch = "llama", .context = 2048, .layers = 22, .d_model = 2048, .heads = 32, .kv_heads = 4,
     .d_ff = 5632, .vocab = 32000},
    {.name = "smollm2-135m", .date = "2024-11",
     .source = "HuggingFaceTB/SmolLM2-135M, arXiv 2502.02737",
     SMOLLM2, .layers = 30, .d_model = 576, .heads = 9, .kv_heads = 3, .d_ff = 1536},
    {.name = "smollm2-360m", .date = "2024-11",
     .source = "HuggingFaceTB/SmolLM2-360M, arXiv 2502.02737",
     SMOLLM2, .layers = 32, .d_model = 960, .heads = 15, .kv_heads = 5, .d_ff = 2560},
    {.name = "smollm2-1.7b", .date = "2024-11",
     .source = "HuggingFaceTB/SmolLM2-1.7B, arXiv 2502.02737",
     SMOLLM2, .layers = 24, .d_model = 2048, .heads = 32, .kv_heads = 32, .d_ff = 8192},
    /* Mistral: v0.1 has a window, later ones have none; Mixtral */
    {.name = "mistral-7b-v0.1", .date = "2023-09",
     .source = "mistralai/Mistral-7B-v0.1, arXiv 2310.06825",
     .arch = "llama", .context = 32768, .layers = 32, .d_model = 4096, .heads = 32, .kv_heads = 8,
     .d_ff = 14336, .vocab = 32000, .window = 4096},
    {.name = "mistral-7b-v0.3", .date = "2024-05", .source = "mistralai/Mistral-7B-v0.3",
     .arch = "llama", .context = 32768, .layers = 32, .d_model = 4096, .heads = 32, .kv_heads = 8,
     .d_ff = 14336, .vocab = 32768},
    {.name = "mistral-nemo-12b", .date = "2024-07", .source = "mistralai/Mistral-Nemo-Base-2407",
     .arch = "llama", .context = 131072, .layers = 40, .d_model = 5120, .heads = 32, .dk = 128,
     .kv_heads = 8, .d_ff = 14336, .vocab = 131072},
    {.name = "codestral-22b", .date = "2024-05", .source = "mistralai/Codestral-22B-v0.1",
     .arch = "llama", .context = 32768, .layers = 56, .d_model = 6144, .heads = 48, .kv_heads = 8,
     .d_ff = 16384, .vocab = 32768},
    {.name = "mistral-small-24b", .date = "2025-01",
     .source = "mistralai/Mistral-Small-24B-Base-2501",
     .arch = "llama", .context = 32768, .layers = 40, .d_model = 5120, .heads = 32, .dk = 128,
     .kv_heads = 8, .d_ff = 32768, .vocab = 131072},
    {.name = "mistral-large-123b", .date = "2024-07",
     .source = "mistralai/Mistral-Large-Instruct-2407",
     .arch = "llama", .context = 131072, .layers = 88, .d_model = 12288, .heads = 96,
     .kv_heads = 8, .d_ff = 28672, .vocab = 32768},
    {.name = "mixtral-8x7b", .date = "2023-12",
     .source = "mistralai/Mixtral-8x7B-v0.1, arXiv 2401.04088",
     .arch = "llama", .context = 32768, .layers = 32, .d_model = 4096, .heads = 32, .kv_heads = 8,
     .experts = 8, .top_k = 2, .d_expert = 14336, .vocab = 32000},
    {.name = "mixtral-8x22b", .date = "2024-04", .source = "mistralai/Mixtral-8x22B-v0.1",
     .arch = "llama", .context = 65536, .layers = 56, .d_model = 6144, .heads = 48, .kv_heads = 8,
     .experts = 8, .top_k = 2, .d_expert = 16384, .vocab = 32000},
    /* Qwen */
    {.name = "qwen1.5-moe-a2.7b", .date = "2024-03", .source = "Qwen/Qwen1.5-MoE-A2.7B",
     .arch = "qwen2moe", .bias = BIAS_QKV, .context = 8192, .layers = 24, .d_model = 2048,
     .heads = 16, .experts = 60, .top_k = 4, .d_expert = 1408, .d_shared = 5632, .shared_gate = 1,
     .vocab = 151936},
    {.name = "qwen2-57b-a14b", .date = "2024-06",
     .source = "Qwen/Qwen2-57B-A14B, arXiv 2407.10671",
     .arch = "qwen2moe", .bias = BIAS_QKV, .context = 32768, .layers = 28, .d_model = 3584,
     .heads = 28, .kv_heads = 4, .experts = 64, .top_k = 8, .d_expert = 2560, .d_shared = 20480,
     .shared_gate = 1, .vocab = 151936},
    {.name = "qwen2.5-0.5b", .date = "2024-09", .source = "Qwen/Qwen2.5-0.5B, arXiv 2412.15115",
     QWEN25, .dk = 64, .context = 32768, .layers = 24, .d_model = 896, .heads = 14, .kv_heads = 2,
     .d_ff = 4864, .vocab = 151936, .tied = 1},
    {.name = "qwen2.5-1.5b", .date = "2024-09", .source = "Qwen/Qwen2.5-1.5B, arXiv 2412.15115",
     QWEN25, .dk = 128, .context = 131072, .layers = 28, .d_model = 1536, .heads = 12,
     .kv_heads = 2, .d_ff = 8960, .vocab = 151936, .tied = 1},
    {.name = "qwen2.5-3b", .date = "2024-09", .source = "Qwen/Qwen2.5-3B, arXiv 2412.15115",
     QWEN25, .dk = 128, .context = 32768, .layers = 36, .d_model = 2048, .heads = 16,
     .kv_heads = 2, .d_ff = 11008, .vocab = 151936, .tied = 1},
    {.name = "qwen2.5-7b", .date = "2024-09", .source = "Qwen/Qwen2.5-7B, arXiv 2412.15115",
     QWEN25, .dk = 128, .context = 131072, .layers = 28, .d_model = 3584, .heads = 28,
     .kv_heads = 4, .d_ff = 18944, .vocab = 152064},
    {.name = "qwen2.5-14b", .date = "2024-09", .source = "Qwen/Qwen2.5-14B, arXiv 2412.15115",
     QWEN25, .dk = 128, .context = 131072, .layers = 48, .d_model = 5120, .heads = 40,
     .kv_heads = 8, .d_ff = 13824, .vocab = 152064},
    {.name = "qwen2.5-32b", .date = "2024-09", .source = "Qwen/Qwen2.5-32B, arXiv 2412.15115",
     QWEN25, .dk = 128, .context = 131072, .layers = 64, .d_model = 5120, .heads = 40,
     .kv_heads = 8, .d_ff = 27648, .vocab = 152064},
    {.name = "qwen2.5-72b", .date = "2024-09", .source = "Qwen/Qwen2.5-72B, arXiv 2412.15115",
     QWEN25, .dk = 128, .context = 131072, .layers = 80, .d_model = 8192, .heads = 64,
     .kv_heads = 8, .d_ff = 29568, .vocab = 152064},
    {.name = "qwen3-0.6b", .date = "2025-04", .source = "Qwen/Qwen3-0.6B, arXiv 2505.09388",
     QWEN3, .layers = 28, .d_model = 1024, .heads = 16, .kv_heads = 8, .d_ff = 3072, .tied = 1},
    {.name = "qwen3-1.7b", .date = "2025-04", .source = "Qwen/Qwen3-1.7B, arXiv 2505.09388",
     QWEN3, .layers = 28, .d_model = 2048, .heads = 16, .kv_heads = 8, .d_ff = 6144, .tied = 1},
    {.name = "qwen3-4b", .date = "2025-04", .source = "Qwen/Qwen3-4B, arXiv 2505.09388",
     QWEN3, .layers = 36, .d_model = 2560, .heads = 32, .kv_heads = 8, .d_ff = 9728, .tied = 1},
    {.name = "qwen3-8b", .date = "2025-04", .source = "Qwen/Qwen3-8B, arXiv 2505.09388",
     QWEN3, .layers = 36, .d_model = 4096, .heads = 32, .kv_heads = 8, .d_ff = 12288},
    {.name = "qwen3-14b", .date = "2025-04", .source = "Qwen/Qwen3-14B, arXiv 2505.09388",
     QWEN3, .layers = 40, .d_model = 5120, .heads = 40, .kv_heads = 8, .d_ff = 17408},
    {.name = "qwen3-32b", .date = "2025-04", .source = "Qwen/Qwen3-32B, arXiv 2505.09388",
     QWEN3, .layers = 64, .d_model = 5120, .heads = 64, .kv_heads = 8, .d_ff = 25600},
    {.name = "qwen3-30b-a3b", .date = "2025-04", .source = "Qwen/Qwen3-30B-A3B, arXiv 2505.09388",
     QWEN3_MOE, .context = 40960, .layers = 48, .d_model = 2048, .heads = 32, .kv_heads = 4,
     .experts = 128, .d_expert = 768},
    {.name = "qwen3-235b-a22b", .date = "2025-04",
     .source = "Qwen/Qwen3-235B-A22B, arXiv 2505.09388",
     QWEN3_MOE, .context = 40960, .layers = 94, .d_model = 4096, .heads = 64, .kv_heads = 4,
     .experts = 128, .d_expert = 1536},
    {.name = "qwen3-coder-480b-a35b", .date = "2025-07",
     .source = "Qwen/Qwen3-Coder-480B-A35B-Instruct",
     QWEN3_MOE, .context = 262144, .layers = 62, .d_model = 6144, .heads = 96, .kv_heads = 8,
     .experts = 160, .d_expert = 2560},
    /* DeepSeek; Kimi K2 has its architecture */
    {.name = "deepseek-v2-lite", .date = "2024-05",
     .source = "deepseek-ai/DeepSeek-V2-Lite, arXiv 2405.04434",
     .arch = "deepseek2", .context = 163840, .layers = 27, .d_model = 2048, .heads = 16,
     .dk = 192, .dv = 128, .kv_latent = 512, .rope_dims = 64, .d_ff = 10944, .dense_layers = 1,
     .experts = 64, .top_k = 6, .d_expert = 1408, .d_shared = 2816, .vocab = 102400},
    {.name = "deepseek-v2", .date = "2024-05",
     .source = "deepseek-ai/DeepSeek-V2, arXiv 2405.04434",
     .arch = "deepseek2", .context = 163840, .layers = 60, .d_model = 5120, .heads = 128,
     .dk = 192, .dv = 128, .kv_latent = 512, .rope_dims = 64, .q_latent = 1536, .d_ff = 12288,
     .dense_layers = 1, .experts = 160, .top_k = 6, .d_expert = 1536, .d_shared = 3072,
     .vocab = 102400},
    {.name = "deepseek-v3", .date = "2024-12",
     .source = "deepseek-ai/DeepSeek-V3, arXiv 2412.19437",
     DEEPSEEK_V3, .context = 163840, .heads = 128, .dense_layers = 3, .experts = 256,
     .vocab = 129280},
    {.name = "deepseek-r1", .date = "2025-01",
     .source = "deepseek-ai/DeepSeek-R1, arXiv 2501.12948",
     DEEPSEEK_V3, .context = 163840, .heads = 128, .dense_layers = 3, .experts = 256,
     .vocab = 129280},
    {.name = "kimi-k2", .date = "2025-07",
     .source = "moonshotai/Kimi-K2-Instruct, arXiv 2507.20534",
     DEEPSEEK_V3, .context = 131072, .heads = 64, .dense_layers = 1, .experts = 384,
     .vocab = 163840},
    /* gpt-oss */
    {.name = "gpt-oss-20b", .date = "2025-08", .source = "openai/gpt-oss-20b, arXiv 2508.10925",
     GPT_OSS, .layers = 24, .experts = 32},
    {.name = "gpt-oss-120b", .date = "2025-08", .source = "openai/gpt-oss-120b, arXiv 2508.10925",
     GPT_OSS, .layers = 36, .experts = 128},
    /* Gemma: of Gemma 3, the text model */
    {.name = "gemma-2-9b", .date = "2024-06", .source = "google/gemma-2-9b, arXiv 2408.00118",
     GEMMA2, .layers = 42, .d_model = 3584, .heads = 16, .kv_heads = 8, .dk = 256, .d_ff = 14336},
    {.name = "gemma-2-27b", .date = "2024-06", .source = "google/gemma-2-27b, arXiv 2408.00118",
     GEMMA2, .layers = 46, .d_model = 4608, .heads = 32, .kv_heads = 16, .dk = 128, .d_ff = 36864},
    {.name = "gemma-3-270m", .date = "2025-08", .source = "google/gemma-3-270m",
     GEMMA3, .context = 32768, .layers = 18, .d_model = 640, .heads = 4, .kv_heads = 1, .dk = 256,
     .d_ff = 2048, .vocab = 262144, .window = 512},
    {.name = "gemma-3-1b", .date = "2025-03", .source = "google/gemma-3-1b-pt, arXiv 2503.19786",
     GEMMA3, .context = 32768, .layers = 26, .d_model = 1152, .heads = 4, .kv_heads = 1,
     .dk = 256, .d_ff = 6912, .vocab = 262144, .window = 512},
    {.name = "gemma-3-4b", .date = "2025-03", .source = "google/gemma-3-4b-pt, arXiv 2503.19786",
     GEMMA3, .context = 131072, .layers = 34, .d_model = 2560, .heads = 8, .kv_heads = 4,
     .dk = 256, .d_ff = 10240, .vocab = 262208, .window = 1024},
    {.name = "gemma-3-12b", .date = "2025-03",
     .source = "google/gemma-3-12b-pt, arXiv 2503.19786",
     GEMMA3, .context = 131072, .layers = 48, .d_model = 3840, .heads = 16, .kv_heads = 8,
     .dk = 256, .d_ff = 15360, .vocab = 262208, .window = 1024},
    {.name = "gemma-3-27b", .date = "2025-03",
     .source = "google/gemma-3-27b-pt, arXiv 2503.19786",
     GEMMA3, .context = 131072, .layers = 62, .d_model = 5376, .heads = 32, .kv_heads = 16,
     .dk = 128, .d_ff = 21504, .vocab = 262208, .window = 1024},
    /* OLMo and OLMoE */
    {.name = "olmoe-1b-7b", .date = "2024-09",
     .source = "allenai/OLMoE-1B-7B-0924, arXiv 2409.02060",
     .arch = "olmoe", .context = 4096, .layers = 16, .d_model = 2048, .heads = 16, .dk = 128,
     .qk_norm = SHAPE_QK_FULL, .experts = 64, .top_k = 8, .d_expert = 1024, .vocab = 50304},
    {.name = "olmo-2-7b", .date = "2024-11", .source = "allenai/OLMo-2-1124-7B, arXiv 2501.00656",
     .arch = "olmo2", .context = 4096, .layers = 32, .d_model = 4096, .heads = 32,
     .qk_norm = SHAPE_QK_FULL, .d_ff = 11008, .vocab = 100352},
    /* Phi */
    {.name = "phi-3-mini", .date = "2024-04",
     .source = "microsoft/Phi-3-mini-4k-instruct, arXiv 2404.14219",
     .arch = "phi3", .context = 4096, .layers = 32, .d_model = 3072, .heads = 32, .d_ff = 8192,
     .vocab = 32064, .window = 2047},
    {.name = "phi-4", .date = "2024-12", .source = "microsoft/phi-4, arXiv 2412.08905",
     .arch = "phi3", .context = 16384, .layers = 40, .d_model = 5120, .heads = 40, .kv_heads = 10,
     .dk = 128, .d_ff = 17920, .vocab = 100352},
    /* GLM */
    {.name = "glm-4.5", .date = "2025-07", .source = "zai-org/GLM-4.5, arXiv 2508.06471",
     GLM45, .layers = 92, .d_model = 5120, .experts = 160, .d_expert = 1536, .d_shared = 1536,
     .d_ff = 12288, .dense_layers = 3, .qk_norm = SHAPE_QK_HEAD},
    {.name = "glm-4.5-air", .date = "2025-07", .source = "zai-org/GLM-4.5-Air, arXiv 2508.06471",
     GLM45, .layers = 46, .d_model = 4096, .experts = 128, .d_expert = 1408, .d_shared = 1408,
     .d_ff = 10944, .dense_layers = 1},
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

const char *shape_source(const char *name, const char **date) {
    const struct shape_dims *d = shape_table_find(name);
    *date = d ? d->date : NULL;
    return d ? d->source : NULL;
}
