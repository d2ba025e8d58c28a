#!/usr/bin/env bats
# llm-cost-model.bats - llm-cost model: published figures, an engine's own counts, bad input
#
# Each config.json is the one beside the weights that the model's maker publishes, without what
# plays no part here; each figure stands in the source that is named with it.

load cost

model() { "$COST" model "$@"; }

# value COLUMN: of the one JSON row on stdin.
value() { jq -r ".$1"; }

# near GOT WANT WITHIN
near() {
    awk -v a="$1" -v b="$2" -v w="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && d <= w) }' ||
        { echo "$1, expected $2 within $3"; return 1; }
}

# published JSON PARAMS ACTIVE WITHIN KV: parameters exact, active ones in billions, KV bytes of a
# token; the config.json on stdin.
published() {
    mkdir -p "$T/$1"
    cat >"$T/$1/config.json"
    model --shape "$T/$1" --json 2>/dev/null >"$T/row"
    [ "$(value params <"$T/row")" = "$2" ] || { cat "$T/row"; return 1; }
    near "$(value "$3" <"$T/row")" "$4" "$5"
    [ "$(value kv_token_bytes <"$T/row")" = "$6" ]
    # the shipped table says the same
    model --shape "$1" --json 2>/dev/null | jq -c 'del(.model, .source, .published, .model_context)' >"$T/known"
    jq -c 'del(.model, .source, .published, .model_context)' "$T/row" | cmp - "$T/known"
}

@test "help, its examples, and bad options" {
    model --help | grep -q '^usage: llm-cost model'
    model --help | grep '^  llm-cost model' >"$T/lines"
    [ "$(wc -l <"$T/lines")" = 3 ]
    while read -r _ line; do
        # shellcheck disable=SC2086
        "$COST" $line >"$T/rows" 2>/dev/null
        [ -s "$T/rows" ]
    done <"$T/lines"
    fails 1 model --shape no-such-model
    fails 2 model --context 0
    fails 2 model --context -5
    fails 2 model --context 1e3
    fails 2 model --context nan
    fails 2 model --batch 0
    fails 2 model --cached -1
    fails 2 model --draft 1025
    fails 2 model --draft 4 --accept 101%
    fails 2 model --accept nan
    fails 2 model --kv-type q9
    fails 2 model --weight-type 0
    fails 2 model --draft-shape llama-3.1-8b
    fails 2 model llama-3-8b
    fails 2 model --shape llama-3-8b --context 1Ki,8Ki --cached 4Ki
    grep -q "fewer than the context's 1024 tokens, found 4096" "$T/err"
}

# Parameters: the total of the safetensors files; 8 KV heads of 128, 32 layers, 2 bytes.
@test "Llama-3-8B: meta-llama/Meta-Llama-3-8B" {
    published llama-3-8b 8030261248 params_active_lookup 8.03e9 1e7 131072 <<'END'
{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
 "bos_token_id": 128000, "eos_token_id": 128001, "hidden_act": "silu", "hidden_size": 4096,
 "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 8192,
 "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
 "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
 "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
 "transformers_version": "4.40.0.dev0", "use_cache": true, "vocab_size": 128256}
END
}

# 46.7B parameters, 12.9B used for a token: Mistral's announcement of December 2023; 47B and 13B
# in arXiv 2401.04088.
@test "Mixtral-8x7B: mistralai/Mixtral-8x7B-v0.1" {
    published mixtral-8x7b 46702792704 params_active_lookup 12.9e9 5e7 131072 <<'END'
{"architectures": ["MixtralForCausalLM"], "attention_dropout": 0.0, "hidden_act": "silu",
 "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768,
 "model_type": "mixtral", "num_attention_heads": 32, "num_experts_per_tok": 2,
 "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8,
 "output_router_logits": false, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
 "router_aux_loss_coef": 0.02, "sliding_window": null, "tie_word_embeddings": false,
 "torch_dtype": "bfloat16", "vocab_size": 32000}
END
    near "$(value params <"$T/row")" 46.7e9 5e7
}

# Model card: 30.5B in total, 3.3B activated, 29.9B without embeddings; 4 KV heads of 128.
@test "Qwen3-30B-A3B: Qwen/Qwen3-30B-A3B" {
    published qwen3-30b-a3b 30532122624 params_active_lookup 3.3e9 6e7 98304 <<'END'
{"architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "decoder_sparse_step": 1,
 "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 6144,
 "max_position_embeddings": 40960, "max_window_layers": 48, "mlp_only_layers": [],
 "model_type": "qwen3_moe", "moe_intermediate_size": 768, "norm_topk_prob": true,
 "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48,
 "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": null,
 "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_sliding_window": false,
 "vocab_size": 151936}
END
    near "$(jq '.params - .params_embedding' "$T/row")" 29.9e9 5e7
}

# 671B in total, 37B activated: arXiv 2412.19437; 70.272 KB of cache a token: arXiv 2505.09343,
# table 1.
@test "DeepSeek-V3: deepseek-ai/DeepSeek-V3" {
    published deepseek-v3 671026419200 params_active 37e9 5e8 70272 <<'END'
{"architectures": ["DeepseekV3ForCausalLM"], "attention_bias": false, "ep_size": 1,
 "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168,
 "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
 "model_type": "deepseek_v3", "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8,
 "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": true,
 "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61,
 "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
 "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "quantization_config": {
 "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
 "weight_block_size": [128, 128]}, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
 "tie_word_embeddings": false, "topk_group": 4, "topk_method": "noaux_tc",
 "torch_dtype": "bfloat16", "v_head_dim": 128, "vocab_size": 129280}
END
    # the same table: Qwen-2.5 72B 327.680 KB, LLaMA-3.1 405B 516.096 KB
    [ "$(model --shape qwen2.5-72b --json | value kv_token_bytes)" = 327680 ]
    [ "$(model --shape llama-3.1-405b --json | value kv_token_bytes)" = 516096 ]
}

# arXiv 2508.10925, table 1: 116.83B in total, 5.13B active, 1.16B of them embedding and head,
# checkpoint of 60.8 GiB.
@test "gpt-oss-120b: openai/gpt-oss-120b" {
    published gpt-oss-120b 116829156672 params_active 5.13e9 5e6 73728 <<'END'
{"architectures": ["GptOssForCausalLM"], "attention_bias": true, "attention_dropout": 0.0,
 "experts_per_token": 4, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2880,
 "initial_context_length": 4096, "intermediate_size": 2880, "max_position_embeddings": 131072,
 "model_type": "gpt_oss", "num_attention_heads": 64, "num_experts_per_tok": 4,
 "num_hidden_layers": 36, "num_key_value_heads": 8, "num_local_experts": 128,
 "quantization_config": {"modules_to_not_convert": ["model.layers.*.self_attn",
 "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"], "quant_method": "mxfp4"},
 "sliding_window": 128, "swiglu_limit": 7.0, "tie_word_embeddings": false, "vocab_size": 201088}
END
    near "$(value params <"$T/row")" 116.83e9 5e6
    near "$(value params_embedding <"$T/row")" 1.16e9 5e6
    near "$(jq '.weight_bytes / 1073741824' "$T/row")" 60.8 0.05
}

# 270M: 170M of embeddings, 100M of transformer blocks, says Google's announcement of August 2025;
# one KV head of 256, 18 layers.
@test "Gemma-3-270M: google/gemma-3-270m" {
    published gemma-3-270m 268098176 params_active_body 100e6 5e5 18432 <<'END'
{"_sliding_window_pattern": 6, "architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
 "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 640,
 "intermediate_size": 2048, "layer_types": ["sliding_attention", "sliding_attention",
 "sliding_attention", "sliding_attention", "sliding_attention", "full_attention",
 "sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention",
 "sliding_attention", "full_attention", "sliding_attention", "sliding_attention",
 "sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
 "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4,
 "num_hidden_layers": 18, "num_key_value_heads": 1, "query_pre_attn_scalar": 256,
 "rope_theta": 1000000.0, "sliding_window": 512, "torch_dtype": "bfloat16", "vocab_size": 262144}
END
    near "$(value params_embedding <"$T/row")" 170e6 3e6
    # 15 layers keep 512 tokens, 3 all of them
    [ "$(model --shape gemma-3-270m --context 32Ki --json | value kv_sequence_bytes)" = $(((15 * 512 + 3 * 32768) * 1024)) ]
}

# 2 P + 4 L n heads d_head, as by hand: P counts matrices alone, vectors make no FLOPs.
@test "FLOPs are those of the formulas" {
    model --shape llama-3-8b --context 8191 --json >"$T/row"
    matrices=$((2 * (7504924672 - (2 * 32 + 1) * 4096)))
    [ "$(value flops_token <"$T/row")" = $((matrices + 4 * 32 * 8192 * 4096)) ]
    [ "$(value step_flops <"$T/row")" = $((matrices + 4 * 32 * 8192 * 4096)) ]
    body=$((matrices - 2 * 128256 * 4096))
    [ "$(value flops_prefill <"$T/row")" = $((8191 * body + 4 * 32 * 4096 * (8191 * 8192 / 2) + 2 * 128256 * 4096)) ]
    # attention is as much as all else at the crossover, and not one token before it
    at=$(value crossover_context <"$T/row")
    model -q --shape llama-3-8b --context $((at - 1)),$at --json | jq -s -e \
        '.[0].attention_share < .5 and .[1].attention_share >= .5'
    # where all layers have a window, it never is
    [ "$(model --shape mistral-7b-v0.1 --json | value crossover_context)" = null ]
}

@test "what is cached is not computed" {
    model --shape llama-3-8b --context 8000 --cached 0,6000 --json >"$T/rows"
    jq -s -e '.[0].flops_prefill == .[1].flops_prefill + .[1].flops_cached' "$T/rows"
    jq -s -e '.[0].flops_cached == 0 and .[1].flops_cached > .7 * .[0].flops_prefill' "$T/rows"
}

@test "a batch reads weights once, and more experts" {
    model --shape llama-3-8b --batch 1,8 --json | jq -s -e \
        '.[0].weight_read_bytes == .[1].weight_read_bytes and .[1].kv_read_bytes == 8 * .[0].kv_read_bytes
         and .[1].flops_token == .[0].flops_token and .[0].experts_touched == null'
    model --shape deepseek-v3 --batch 1,8,32 --json | jq -s -c 'map(.experts_touched | round)' >"$T/touched"
    [ "$(cat "$T/touched")" = "[8,57,163]" ]
    model --shape mixtral-8x7b --batch 1,1000000 --json | jq -s -e \
        '.[0].params_touched == .[0].params_active and .[1].params_touched == .[1].params_active_lookup - 131072000
         + 32 * 6 * 3 * 14336 * 4096'
}

@test "speculation: more tokens a step, for more work a token" {
    model --shape llama-3.1-70b --draft 0,4 --draft-shape llama-3.1-8b --json >"$T/rows"
    jq -s -e '.[0].step_tokens == 1 and (.[1].step_tokens - 3.3616 | fabs) < 1e-9' "$T/rows"
    jq -s -e '.[1].flops_token > .[0].flops_token and .[1].token_bytes < .[0].token_bytes' "$T/rows"
    jq -s -e '.[1].weight_bytes > .[0].weight_bytes and .[0].accept == null' "$T/rows"
}

@test "types: of weights and of KV" {
    model --shape llama-3-8b --weight-type bf16,q4_k --kv-type f16,q8_0 --json >"$T/rows"
    [ "$(wc -l <"$T/rows")" = 4 ]
    jq -s -c 'map([.weight_bits, .kv_bits])' "$T/rows" | grep -qF '[[16,16],[16,8.5],[4.5,16],[4.5,8.5]]'
    jq -s -e '.[2].weight_bytes == 8030261248 * 4.5 / 8 and .[1].kv_token_bytes == 131072 * 8.5 / 16' "$T/rows"
    model --shape llama-3-8b --json | jq -e '.weight_bytes == 16060522496'
}

@test "a row for each combination, the context changing fastest" {
    model --shape llama-3-8b --shape qwen3-8b --context 1Ki,8Ki --batch 1,8,64 --format tsv >"$T/rows"
    [ "$(wc -l <"$T/rows")" = 13 ]
    sed -n 3p "$T/rows" | cut -f 1,8,9 | grep -qP '^llama-3-8b\t8192\t1$'
    # without a shape: every known model, each with its source
    model --json 2>/dev/null >"$T/rows"
    [ "$(wc -l <"$T/rows")" -ge 40 ]
    [ "$(jq -c 'select(.source == null or .published == null)' "$T/rows")" = "" ]
}

@test "numbers, and a GGUF header" {
    model --shape layers=2,d_model=64,heads=4,d_ff=128,vocab=100 --json | jq -e \
        '.params == 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64) + 2 * 6400 + 64 and .source == null'
    model --shape examples/models/tiny-moe-f16.gguf --json >"$T/row"
    [ "$(value kv_token_bytes <"$T/row")" = 3072 ]
    fails 1 model --shape "$BATS_TEST_FILENAME"
    printf '{"model_type":"llama","num_hidden_layers":-3}' >"$T/config.json"
    fails 1 model --shape "$T"
    grep -q 'num_hidden_layers: expected 1 to 10000, found -3' "$T/err"
    { printf '{"a":"'; head -c 10000000 /dev/zero | tr '\0' x; printf '"}'; } >"$T/long.json"
    fails 1 model --shape "$T/long.json"
    [ "$(wc -l <"$T/err")" = 1 ]
    : >"$T/empty"
    fails 1 model --shape "$T/empty"
}

# Every decode step of a run: FLOPs by their sum, weights and KV read, to the byte.
@test "a run trace: its decode steps are this model's, exactly" {
    "${BUILD:-build}/llm-run" -m examples/models/tiny-moe-f16.gguf -p 'the dog saw the cat' -n 40 \
        --ignore-eos --seed 1 -q --trace "$T/run.jsonl" >/dev/null
    jq -r 'select(.type == "step" and .phase == "decode") | [.position,
        .flops_attention + .flops_dense + .flops_experts + .flops_head,
        .dense_read_bytes + .experts_read_bytes, .kv_read_bytes, .experts_touched] | @tsv' \
        "$T/run.jsonl" >"$T/steps"
    [ "$(wc -l <"$T/steps")" -ge 30 ]
    cut -f 1 "$T/steps" | paste -sd, >"$T/contexts"
    model --shape "$T/run.jsonl" --context "$(cat "$T/contexts")" --json | jq -r '[.context,
        .step_flops, .weight_read_bytes, .kv_read_bytes, .experts_touched * 6] | @tsv' >"$T/rows"
    cmp "$T/steps" "$T/rows"
}

@test "a context that a model is not made for is said" {
    model --shape llama-3-8b --context 1Mi >"$T/out" 2>"$T/err"
    grep -q '^llm-cost model: llama-3-8b is made for a context of 8192 tokens, not 1048576' "$T/err"
    model -q --shape llama-3-8b --context 1Mi 2>"$T/err" >"$T/out"
    [ ! -s "$T/err" ]
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    got=0
    "$COST" model --shape llama-3-8b >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q '^llm-cost' "$T/err"
}
