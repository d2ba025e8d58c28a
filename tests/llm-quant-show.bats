#!/usr/bin/env bats
# llm-quant-show.bats - llm-quant show from the outside

load quant

# shellcheck disable=SC2154  # run sets output and stderr

@test "show: a row for a file, the same in JSON" {
    "$QUANT" show "$MODEL" >"$T/out"
    for pair in arch:qwen3moe name:tiny-moe layers:6 tensors:74 params:21131264 bpw:16.02170963 \
                experts_bytes:37748736 embedding_bytes:2097152 head_bytes:0 other_bytes:0; do
        [ "$(tsv "${pair%%:*}" <"$T/out")" = "${pair#*:}" ] || { echo "$pair"; false; }
    done
    [ "$(tsv bytes <"$T/out")" = "$(stat -c %s "$MODEL")" ]
    [ "$(tsv types <"$T/out")" = "F16:43 F32:31" ]
    "$QUANT" show --json "$MODEL" >"$T/json"
    jq -r 'keys_unsorted[]' "$T/json" | diff - <(head -1 "$T/out" | tr '\t' '\n')
    jq -e '.params == 21131264 and .tensor_bytes == (.embedding_bytes + .attention_bytes +
           .ffn_bytes + .experts_bytes + .shared_bytes + .router_bytes + .norm_bytes +
           .head_bytes + .other_bytes)' "$T/json"
    # A person sees a line for each column.
    "$QUANT" show --format table "$MODEL" | grep -qE '^bpw +16.022$'
}

@test "show: sums by type, group and layer are those of the file" {
    for arch in llama qwen2moe gemma3; do
        "${BUILD:-build}/tests/make_models" $arch Q4_K "$T/m.gguf" >/dev/null
        "$QUANT" show --json "$T/m.gguf" >"$T/file"
        for key in type group layer; do
            "$QUANT" show --by $key --json "$T/m.gguf" >"$T/by"
            jq -es --slurpfile file "$T/file" --arg key $key '
                (.[:-1] | map(.bytes) | add) == .[-1].bytes and
                (.[:-1] | map(.tensors) | add) == .[-1].tensors and
                (.[:-1] | map(.params) | add) == $file[0].params and
                .[-1][$key] == "all" and .[-1].bytes == $file[0].tensor_bytes and
                .[-1].share == 1' "$T/by"
        done
    done
    [ "$("$QUANT" show --by group "$MODEL" | tsv group | tr '\n' ' ')" = \
        "embedding attention experts router norm all " ]
    [ "$("$QUANT" show --by layer "$MODEL" | tsv layer | tr '\n' ' ')" = "0 1 2 3 4 5 none all " ]
}

@test "show: --tensors has every tensor once, in the order of the file" {
    "${BUILD:-build}/tests/make_models" llama Q6_K "$T/m.gguf" >/dev/null
    "$QUANT" show --tensors "$T/m.gguf" >"$T/out"
    [ "$(tsv tensor <"$T/out" | sort | uniq -d | wc -l)" -eq 0 ]
    [ "$(tsv bytes <"$T/out" | awk '{ s += $1 } END { printf "%.0f", s }')" = \
        "$("$QUANT" show "$T/m.gguf" | tsv tensor_bytes)" ]
    grep -P "\tblk.0.attn_q.weight\tattention\t0\tQ6_K\t" "$T/out"
    [ "$(tsv tensor <"$T/out" | head -1)" = token_embd.weight ]
}

@test "show: --metadata cuts arrays unless -v, and keeps a value in its row" {
    "$QUANT" show --metadata "$MODEL" >"$T/out"
    [ "$(wc -l <"$T/out")" -eq "$(($("$QUANT" show "$MODEL" | tsv keys) + 1))" ]
    grep -qP "\tqwen3moe.block_count\tu32\t1\t6$" "$T/out"
    grep -qP "\ttokenizer.ggml.add_bos_token\tbool\t1\ttrue$" "$T/out"
    grep -qP '\ttokenizer.ggml.token_type\ti32\[\]\t4096\t\[3,1,1,1,1,1,1,1,...\(4096\)\]$' "$T/out"
    "$QUANT" show --metadata -v --json "$MODEL" >"$T/json"
    jq -es 'map(select(.key == "tokenizer.ggml.tokens"))[0].value | fromjson | length == 4096' \
        "$T/json"
    awk -F'\t' 'NF != 5 { exit 1 }' "$T/out"
}

@test "show: several files are several rows; an unknown architecture is shown, too" {
    # The name of the architecture is patched in place.
    sed 's/qwen3moe/unknownx/g' "$MODEL" >"$T/unknown.gguf"
    "$QUANT" show "$MODEL" "$T/unknown.gguf" >"$T/out"
    [ "$(tsv arch <"$T/out" | tr '\n' ' ')" = "qwen3moe unknownx " ]
    [ "$(tsv params <"$T/out" | sort -u | wc -l)" -eq 1 ]
    [ "$(tsv params_active <"$T/out" | tail -1)" = - ]
}

@test "show: a folder is shown as the file that it would become" {
    "$QUANT" show tests/hf/llama >"$T/out"
    for pair in arch:llama layers:2 types:"BF16:16 F32:6"; do
        [ "$(tsv "${pair%%:*}" <"$T/out")" = "${pair#*:}" ] || { echo "$pair"; false; }
    done
    [ "$(tsv bytes <"$T/out")" = "$(cat tests/hf/llama/*.safetensors | wc -c)" ]
    "$QUANT" show --tensors tests/hf/llama | grep -qP "\tblk.1.attn_q.weight\tattention\t1\tBF16\t"
    "$QUANT" show --metadata tests/hf/llama | grep -qP "\tllama.block_count\tu32\t1\t2$"
    run -0 "$QUANT" diff --check tests/hf/llama tests/hf/llama
}

@test "show: bad input is one line, bad command lines are exit 2" {
    fails 1 show "$T/none"
    fails 1 show LICENSE
    head -c 5000 "$MODEL" >"$T/cut"
    fails 1 show "$T/cut"
    [ "$(wc -l <"$T/err")" -eq 1 ]
    : >"$T/empty"
    fails 1 show "$T/empty"
    mkdir "$T/folder"
    fails 1 show "$T/folder"
    fails 2 show
    fails 2 show --by colour "$MODEL"
    fails 2 show --tensors --metadata "$MODEL"
    fails 2 show --by type --by group "$MODEL"
    run bash -c "'$QUANT' show --tensors '$MODEL' >/dev/full"
    [ "$status" -eq 1 ]
}

@test "show: a table says whose rows are whose, and is no wider than a terminal" {
    "$QUANT" show --format table "$MODEL" tests/hf/llama >"$T/out"
    grep -q "^tests/hf/llama  *llama  *BF16 " "$T/out"
    [ "$(awk '{ if (length > w) w = length } END { print w }' "$T/out")" -le 130 ]
    [ "$("$QUANT" show -v --format table "$MODEL" tests/hf/llama | head -1 | wc -w)" -eq 22 ]
    for rows in "--by layer" "--by group" "--by type" --tensors --metadata; do
        # shellcheck disable=SC2086  # two words
        "$QUANT" show --format table $rows "$MODEL" tests/hf/llama >"$T/out"
        grep -q "^tests/hf/llama  " "$T/out"
        # shellcheck disable=SC2086
        "$QUANT" show --format table $rows "$MODEL" >"$T/out"
        run ! grep -q "tiny-moe-f16.gguf\| $" "$T/out"
    done
    [ "$("$QUANT" show tests/hf/llama | tsv bytes)" -eq \
        "$(cat tests/hf/llama/*.safetensors | wc -c)" ]
    "$QUANT" show --format table --metadata "$MODEL" |
        grep -q 'general.description .*"A 21M-.*[.]*([0-9]*)$'
    "$QUANT" show --metadata "$MODEL" | grep -q 'usage records and sums."$'
}
