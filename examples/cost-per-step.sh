#!/bin/sh
# What each pass through the model cost: one line a step, from the trace.
#
#     examples/cost-per-step.sh [MODEL [PROMPT [TOKENS]]]
#
# Columns: phase, tokens in the pass, distinct experts it touched (all layers), MFLOPs, MB of
# weights and of KV cache read, milliseconds.
set -eu
cd "$(dirname "$0")/.."
model=${1:-examples/models/tiny-moe-f16.gguf}
prompt=${2:-The whale rose out of the sea, and}

printf 'phase\ttokens\texperts\tmflops\tweights_mb\tkv_mb\tms\n'
"${LLM_RUN:-build/llm-run}" -q -m "$model" -p "$prompt" -n "${3:-16}" --temp 0 --trace - |
    jq -r 'select(.type == "step")
        | def mega: . / 1e4 | round / 100;
          [.phase, .tokens, .experts_touched // "-",
           (.flops_attention + .flops_dense + .flops_experts + .flops_head | mega),
           (.dense_read_bytes + .experts_read_bytes | mega),
           (.kv_read_bytes | mega), (.ns | mega)] | @tsv'
