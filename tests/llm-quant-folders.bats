#!/usr/bin/env bats
# llm-quant-folders.bats - quantized folders of transformers: read back by another program to the
# values that the same options give in a GGUF file

load quant

# shellcheck disable=SC2154  # run sets output and stderr

# quantize VERB ARGUMENT...
quantize() {
    "$QUANT" "$1" -q -f "$T/calib" -c 32 --chunks 8 --group 32 "${@:2}"
}

# same FOLDER GGUF MODULES NORMS: by tests/reference/read_quantized.py, where it can run
same() {
    status=0
    "${PYTHON:-python3}" tests/reference/read_quantized.py "$1" "$2" >"$T/said" 2>&1 || status=$?
    [ "$status" -ne 77 ] || skip "no Python with numpy and safetensors"
    cat "$T/said"
    [ "$status" -eq 0 ]
    grep -qx "$3 modules and $4 norms are the same" "$T/said"
}

@test "folders: gptq, of every kind of model" {
    calibration
    while read -r name modules norms; do
        quantize gptq --format gptq "tests/hf/$name" "$T/$name" >/dev/null
        quantize gptq --type f32 "tests/hf/$name" "$T/$name.gguf" >/dev/null
        same "$T/$name" "$T/$name.gguf" "$modules" "$norms"
    done <<'END'
llama 14 4
qwen2_moe 38 4
qwen3_moe 32 4
mixtral 32 4
gemma3 28 8
END
}

@test "folders: every layout, symmetric or not, 4 bits and 8" {
    calibration
    while read -r format options; do
        # shellcheck disable=SC2086 # several words
        quantize awq $options --format "$format" tests/hf/smollm "$T/$format$options" >/dev/null
        # shellcheck disable=SC2086
        quantize awq $options --type f32 tests/hf/smollm "$T/f32.gguf" >/dev/null
        same "$T/$format$options" "$T/f32.gguf" 14 4
    done <<'END'
awq --asym
awq --sym
gptq --asym --bits 8
gptq --sym
compressed-tensors --asym
compressed-tensors --sym --bits 8
END
}

@test "folders: 2 and 3 bits, columns in another order" {
    calibration
    quantize gptq --format gptq --bits 3 --asym tests/hf/llama "$T/three" >/dev/null
    quantize gptq --type f32 --bits 3 --asym tests/hf/llama "$T/three.gguf" >/dev/null
    same "$T/three" "$T/three.gguf" 14 4
    quantize gptq --format gptq --bits 2 --g-idx tests/hf/llama "$T/two" >/dev/null
    quantize gptq --type f32 --bits 2 --g-idx tests/hf/llama "$T/two.gguf" >/dev/null
    same "$T/two" "$T/two.gguf" 14 4
    quantize gptq --format compressed-tensors --g-idx tests/hf/llama "$T/four" >/dev/null
    quantize gptq --type f32 --g-idx tests/hf/llama "$T/four.gguf" >/dev/null
    same "$T/four" "$T/four.gguf" 14 4
}

@test "folders: the tokenizer goes along, and config.json says what was done" {
    calibration
    quantize awq --format awq tests/hf/qwen3_moe "$T/new" >"$T/rows"
    for file in generation_config.json tokenizer.json tokenizer_config.json; do
        cmp "tests/hf/qwen3_moe/$file" "$T/new/$file"
    done
    jq -e 'del(.quantization_config)' "$T/new/config.json" >"$T/config"
    jq -e . tests/hf/qwen3_moe/config.json | cmp - "$T/config"
    jq -e '.quantization_config | .quant_method == "awq" and .bits == 4 and .group_size == 32
           and .version == "gemm" and .zero_point
           and (.modules_to_not_convert | index("model.layers.1.mlp.gate"))' \
        "$T/new/config.json" >/dev/null
    [ "$(find "$T" -name '*.tmp' | wc -l)" -eq 0 ]
    # One who wants to quantize it once more is told.
    fails 1 awq -f "$T/calib" -c 32 "$T/new" "$T/again.gguf"
    grep -q "quantized already" "$T/err"
}

@test "folders: what cannot be is refused before anything runs" {
    calibration
    fails 2 awq -f "$T/calib" --format awq --bits 3 tests/hf/llama "$T/out"
    grep -q "3 bits: the awq layout has only 4" "$T/err"
    fails 2 gptq -f "$T/calib" --format awq tests/hf/llama "$T/out"
    fails 1 awq -f "$T/calib" --format awq "$MODEL" "$T/out"
    grep -q "is made of a folder of transformers" "$T/err"
    mkdir "$T/full"
    touch "$T/full/file"
    fails 1 awq -q -f "$T/calib" -c 32 --group 32 --format awq tests/hf/llama "$T/full"
    grep -q "full: Directory not empty" "$T/err"
    [ "$(ls "$T/full")" = file ]
}

@test "folders: killed in the middle, none is there" {
    calibration
    quantize awq --format awq tests/hf/qwen2_moe "$T/out" >/dev/null &
    kill -TERM $! 2>/dev/null || true
    wait $! || true
    # Either it was done before, or there is nothing.
    [ -e "$T/out/config.json" ] || [ -z "$(find "$T" -name 'out*')" ]
}
