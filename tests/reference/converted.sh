#!/bin/bash
# converted.sh - hashes of what llama-quantize makes of the embedded model and of tiny ones
#
#     tests/reference/converted.sh PATH/TO/llama-quantize >tests/reference/converted.tsv
#
# Whole files: metadata, order of tensors, types and blocks. Columns: model, mix, SHA-256. The tiny
# models are make_models' (ARCH-TYPE). Needs a build (make tests).
set -eu
cd "$(dirname "$0")/../.."
quantize=$1
build=${BUILD:-build}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mixes="f32 f16 bf16 q8_0 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_m q4_k_s q4_1 q4_0 iq4_nl iq4_xs
    mxfp4_moe q3_k_m q3_k_l q3_k_s q2_k tq2_0"

# hash NAME FILE MIX
hash() {
    "$quantize" "$2" "$tmp/out" "$3" 2 >/dev/null 2>&1
    printf '%s\t%s\t%s\n' "$1" "$3" "$(sha256sum <"$tmp/out" | cut -d' ' -f1)"
}

for mix in q4_k_m q3_k_l iq4_xs mxfp4_moe q2_k; do
    hash tiny-moe-f16 examples/models/tiny-moe-f16.gguf "$mix"
done
# Each mix for two of them by turns, so that all architectures and all mixes have their share.
n=0
for mix in $mixes; do
    for model in llama-F16 mixtral-F32 mixtral-split-F16 qwen2-F16 qwen3-BF16 qwen2moe-F16 \
        qwen3moe-F32 olmoe-F16 gemma3-F16; do
        n=$((n + 1))
        [ $((n % 4)) = 0 ] || continue
        "$build/tests/make_models" "${model%-*}" "${model##*-}" "$tmp/in"
        hash "$model" "$tmp/in" "$mix"
    done
done
