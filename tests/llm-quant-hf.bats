#!/usr/bin/env bats
# llm-quant-hf.bats - folders of Hugging Face transformers through llm-quant and llm-run

load quant

# shellcheck disable=SC2154  # run sets output and stderr

# folder NAME: a copy of tests/hf/NAME, $T/NAME, whose files may be changed
folder() {
    cp -r "tests/hf/$1" "$T/$1"
}

@test "hf: every folder becomes a file that runs" {
    for folder in tests/hf/*/; do
        name=$(basename "$folder")
        "$QUANT" convert --type f16 "$folder" "$T/$name.gguf" >"$T/words" 2>&1
        [ ! -s "$T/words" ]
        [ "$("${BUILD:-build}/llm-run" -q -m "$T/$name.gguf" -p 'the dog' -n 3 --seed 1 --json |
            wc -l)" -ge 1 ] || { echo "does not run: $name"; return 1; }
    done
}

@test "hf: without a type weights stay what they are, and so for any number of threads" {
    "$QUANT" convert -t 1 tests/hf/qwen3_moe "$T/one.gguf"
    "$QUANT" convert -t 3 tests/hf/qwen3_moe "$T/three.gguf"
    cmp "$T/one.gguf" "$T/three.gguf"
    "$QUANT" convert --type bf16 tests/hf/qwen3_moe "$T/bf16.gguf"
    "$QUANT" convert --type bf16 "$T/one.gguf" - | cmp - "$T/bf16.gguf"
    "$QUANT" convert --dry-run tests/hf/qwen3_moe >"$T/table"
    grep -q "^blk.0.ffn_gate_exps.weight	BF16	BF16	8192	16384" "$T/table"
    grep -q "^blk.0.ffn_gate_inp.weight	F32	F32	256	1024" "$T/table"
}

@test "hf: in one step or by way of a GGUF, the same" {
    for name in llama gemma3 mixtral; do
        "$QUANT" convert --type f32 "tests/hf/$name" "$T/f32.gguf"
        "$QUANT" convert --type q8_0 "$T/f32.gguf" "$T/two.gguf"
        "$QUANT" convert --type q8_0 "tests/hf/$name" "$T/one.gguf"
        cmp "$T/one.gguf" "$T/two.gguf"
    done
}

@test "hf: the tokens are those of the folder's tokenizer" {
    for name in llama qwen2 olmoe mixtral; do
        "$QUANT" convert --type f16 "tests/hf/$name" "$T/a.gguf"
        jq -j '.texts[0]' "tests/hf/$name/expected.json" >"$T/text"
        want=$(jq -r '.ids[0] | map(tostring) | join(" ")' "tests/hf/$name/expected.json")
        got=$("${BUILD:-build}/llm-run" -q -m "$T/a.gguf" -f "$T/text" --tokenize)
        [ "$got" = "$want" ] || { echo "$name: $got, expected $want"; return 1; }
    done
}

@test "hf: a pre-tokenizer that nobody knows needs a name" {
    folder llama
    sed -i 's/{1,3}/{1,4}/' "$T/llama/tokenizer.json"
    fails 1 convert --type f16 "$T/llama" "$T/out.gguf"
    grep -q "tokenizer.json: pre_tokenizer: no known one does this" "$T/err"
    [ ! -e "$T/out.gguf" ]
    "$QUANT" convert --type f16 --pre llama-bpe "$T/llama" "$T/out.gguf"
    "$QUANT" convert --type f16 tests/hf/llama "$T/same.gguf"
    cmp "$T/out.gguf" "$T/same.gguf"
}

@test "hf: what is no model, or one that no GGUF can say, is refused in one line" {
    mkdir "$T/empty"
    fails 1 convert --type f16 "$T/empty" "$T/out.gguf"
    grep -q "empty/config.json: No such file" "$T/err"
    for file in config.json model.safetensors; do
        fails 1 convert --type f16 "tests/hf/smollm/$file" "$T/out.gguf"
        grep -q "smollm/$file: expected a GGUF file or a whole folder" "$T/err"
    done
    folder smollm
    sed -i 's/^{/{"quantization_config": {"quant_method": "awq"},/' "$T/smollm/config.json"
    fails 1 convert --type f16 "$T/smollm" "$T/out.gguf"
    grep -q "quantization_config: the weights are quantized already (awq)" "$T/err"
    [ "$(wc -l <"$T/err")" -eq 1 ]
    folder gemma3
    head -c 1000 tests/hf/gemma3/model.safetensors >"$T/gemma3/model.safetensors"
    fails 1 convert --type f16 "$T/gemma3" "$T/out.gguf"
    grep -q "gemma3/model.safetensors: a header of " "$T/err"
    folder mixtral
    echo '{}' >"$T/mixtral/config.json"
    fails 1 convert --type f16 "$T/mixtral" "$T/out.gguf"
    grep -q "config.json: model_type: expected one of llama, .*; found none" "$T/err"
    [ ! -e "$T/out.gguf" ]
}

@test "hf: its own files are not written over" {
    folder smollm
    sum=$(sha256sum <"$T/smollm/model.safetensors")
    fails 1 convert --type f16 "$T/smollm" "$T/smollm/model.safetensors"
    [ "$sum" = "$(sha256sum <"$T/smollm/model.safetensors")" ]
    for file in config.json generation_config.json tokenizer.json tokenizer_config.json; do
        fails 1 convert --type f16 "$T/smollm" "$T/smollm/$file"
        cmp "tests/hf/smollm/$file" "$T/smollm/$file"
    done
    "$QUANT" convert --type f16 "$T/smollm" "$T/smollm/model.gguf"
    "$QUANT" convert --type f16 "$T/smollm" "$T/smollm/model.gguf"
    fails 1 convert --type f16 tests/hf/smollm /dev/full
    grep -q "No space left" "$T/err"
}

@test "hf: files that are none, or outside the folder, are refused at once" {
    for file in model.safetensors.index.json model-00002-of-00003.safetensors config.json \
            tokenizer.json; do
        folder llama
        rm "$T/llama/$file"
        mkfifo "$T/llama/$file"
        run timeout 20 "$QUANT" convert --type f16 "$T/llama" "$T/out.gguf"
        [ "$status" -eq 1 ]
        [[ "$output" == *"llama/$file: not a regular file" ]]
        rm -r "$T/llama"
    done
    folder llama
    sed -i 's|"model-00002|"../model-00002|' "$T/llama/model.safetensors.index.json"
    fails 1 convert --type f16 "$T/llama" "$T/out.gguf"
    grep -q "index.json: byte .*: expected the name of a file in this folder" "$T/err"
}
