#!/usr/bin/env bats
# llm-quant-diff.bats - llm-quant diff from the outside

load quant

# shellcheck disable=SC2154  # run sets output and stderr

make_model() {
    "${BUILD:-build}/tests/make_models" "$@" >/dev/null
}

@test "diff: the same file differs in nothing" {
    run --separate-stderr -0 "$QUANT" diff --check "$MODEL" "$MODEL"
    [ "${#lines[@]}" -eq 1 ]
    [[ $stderr == *"no difference in "[0-9]*" keys and tensors" ]]
    cp "$MODEL" "$T/copy.gguf"
    "$QUANT" diff -q --check "$MODEL" "$T/copy.gguf" 2>"$T/err"
    [ ! -s "$T/err" ]
}

@test "diff: differences are shown, and are exit 3 only where a check was asked for" {
    make_model llama F32 "$T/a.gguf"
    make_model llama Q8_0 "$T/b.gguf"
    "$QUANT" diff "$T/a.gguf" "$T/b.gguf" >"$T/out"
    run -3 "$QUANT" diff --check "$T/a.gguf" "$T/b.gguf"
    printf '%s\n' "$output" | diff - "$T/out"
    [ "$(tsv kind <"$T/out" | sort -u)" = tensor ]
    [ "$(tsv change <"$T/out" | sort -u)" = type ]
    grep -qP "^tensor\tblk.0.attn_q.weight\ttype\tF32 [0-9x]+\tQ8_0 [0-9x]+\t" "$T/out"
    awk -F'\t' 'NR > 1 && ($7 <= 0 || $7 > 0.01) { exit 1 }' "$T/out"
    # The other way round: types change sides, errors hardly change.
    "$QUANT" diff "$T/b.gguf" "$T/a.gguf" | tsv max_error | diff - <(tsv max_error <"$T/out")
    "$QUANT" diff --no-values "$T/a.gguf" "$T/b.gguf" | tsv max_error | sort -u | diff - <(echo -)
}

@test "diff: the errors are those of eval" {
    make_model llama F32 "$T/a.gguf"
    make_model llama Q4_0 "$T/b.gguf"
    "$QUANT" diff "$T/a.gguf" "$T/b.gguf" | tail -n +2 | cut -f 2,6,7 | sort >"$T/diff"
    "$QUANT" eval --base "$T/a.gguf" --tensors "$T/b.gguf" | awk -F'\t' '$3 != $4' |
        tail -n +2 | cut -f 2,7,8 | sort | diff - "$T/diff"
}

@test "diff: metadata that one lacks, or has otherwise" {
    make_model llama F32 "$T/a.gguf"
    make_model qwen3 F32 "$T/b.gguf"
    "$QUANT" diff --only metadata "$T/a.gguf" "$T/b.gguf" >"$T/out"
    [ "$(tsv kind <"$T/out" | sort -u)" = metadata ]
    grep -qP '^metadata\tgeneral.architecture\tchanged\t"llama"\t"qwen3"\t-' "$T/out"
    grep -qP '^metadata\tllama.block_count\tremoved\t[0-9]+\t-\t' "$T/out"
    grep -qP '^metadata\tqwen3.block_count\tadded\t-\t[0-9]+\t' "$T/out"
    grep -qP '^metadata\ttokenizer.ggml.scores\tremoved\t\[.*\.\.\.\([0-9]+\)\]\t' "$T/out"
    "$QUANT" diff --only metadata --ignore '*.block_count' --ignore 'general.*' "$T/a.gguf" \
        "$T/b.gguf" >"$T/out"
    [ "$(grep -cE 'block_count|general' "$T/out")" -eq 0 ]
}

@test "diff: tensors that one lacks or has in another shape" {
    make_model llama F32 "$T/a.gguf"
    make_model qwen2moe F32 "$T/b.gguf"
    make_model gemma3 F32 "$T/c.gguf"
    "$QUANT" diff --only tensors "$T/a.gguf" "$T/b.gguf" >"$T/out"
    grep -qP '^tensor\tblk.0.ffn_gate_exps.weight\tadded\t-\tF32 ' "$T/out"
    grep -qP '\tremoved\tF32 ' "$T/out"
    "$QUANT" diff --only tensors "$T/a.gguf" "$T/c.gguf" >"$T/out"
    grep -qP '\tshape\tF32 [0-9x]+\tF32 [0-9x]+\t-\t' "$T/out"
}

@test "diff: one changed byte; how much of it is tolerated" {
    make_model llama F32 "$T/a.gguf"
    cp "$T/a.gguf" "$T/b.gguf"
    # The low byte of the last float.
    size=$(stat -c %s "$T/b.gguf")
    last=$(tail -c 4 "$T/b.gguf" | od -An -tu1 | awk '{ print $1 }')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %03o $((last ^ 1)))" |
        dd of="$T/b.gguf" bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
    "$QUANT" diff "$T/a.gguf" "$T/b.gguf" >"$T/out"
    [ "$(tsv change <"$T/out")" = values ]
    run -3 "$QUANT" diff --check "$T/a.gguf" "$T/b.gguf"
    run -3 "$QUANT" diff --check --tolerance 1e-12 "$T/a.gguf" "$T/b.gguf"
    run -0 "$QUANT" diff --check --tolerance 1e-6 "$T/a.gguf" "$T/b.gguf"
    run -0 "$QUANT" diff --check --no-values "$T/a.gguf" "$T/b.gguf"
    # A NaN is never tolerated.
    printf '\377\377\377\177' | dd of="$T/b.gguf" bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
    run -3 "$QUANT" diff --check --tolerance 1 "$T/a.gguf" "$T/b.gguf"
    "$QUANT" diff "$T/a.gguf" "$T/b.gguf" >"$T/out"
    [ "$(tsv not_finite <"$T/out")" = 1 ]
}

@test "diff: --json has the columns of the table; threads change nothing" {
    make_model llama F32 "$T/a.gguf"
    make_model llama Q4_0 "$T/b.gguf"
    "$QUANT" diff -t 1 "$T/a.gguf" "$T/b.gguf" >"$T/out"
    "$QUANT" diff -t 3 "$T/a.gguf" "$T/b.gguf" | diff - "$T/out"
    "$QUANT" diff --json "$T/a.gguf" "$T/b.gguf" >"$T/json"
    head -1 "$T/json" | jq -r 'keys_unsorted[]' | diff - <(head -1 "$T/out" | tr '\t' '\n')
    [ "$(jq -s length "$T/json")" -eq "$(($(wc -l <"$T/out") - 1))" ]
}

@test "diff: bad input is one line, bad command lines are exit 2" {
    fails 1 diff "$MODEL" "$T/none"
    fails 1 diff LICENSE "$MODEL"
    fails 2 diff "$MODEL"
    fails 2 diff "$MODEL" "$MODEL" "$MODEL"
    fails 2 diff --only keys "$MODEL" "$MODEL"
    fails 2 diff --tolerance -1 "$MODEL" "$MODEL"
    run bash -c "'$QUANT' diff '$MODEL' '$MODEL' >/dev/full"
    [ "$status" -eq 1 ]
}

@test "diff: of arrays what is shown begins where they differ; a table cuts long values" {
    cp -r tests/hf/qwen2 "$T/other"
    jq '.model.vocab |= with_entries(if .value == 300 then .key = "zzzz" else . end)' \
        tests/hf/qwen2/tokenizer.json >"$T/other/tokenizer.json"
    jq --arg t "$(printf 'x%.0s' {1..500})" '.chat_template = $t' \
        tests/hf/qwen2/tokenizer_config.json >"$T/other/tokenizer_config.json"
    "$QUANT" diff tests/hf/qwen2 "$T/other" >"$T/out"
    awk -F '\t' '$2 == "tokenizer.ggml.tokens" { print $5 }' "$T/out" >"$T/b"
    grep -q '^300:\["zzzz","[^,]*","[^,]*","[^,]*",\.\.\.(326)\]$' "$T/b"
    [ "$(wc -l <"$T/out")" -eq 4 ]        # the name of the folder, too
    grep -q "x\{500\}" "$T/out"
    "$QUANT" diff -v --json tests/hf/qwen2 "$T/other" |
        jq -r 'select(.name == "tokenizer.ggml.tokens") | .b | fromjson | .[300]' | grep -qx zzzz
    "$QUANT" diff --format table tests/hf/qwen2 "$T/other" >"$T/out"
    grep -q 'tokenizer.chat_template .*xxx\.\.\.([0-9]*) ' "$T/out"
}
