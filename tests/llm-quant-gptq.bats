#!/usr/bin/env bats
# llm-quant-gptq.bats - llm-quant gptq from the outside

load quant

# shellcheck disable=SC2154  # run sets output and stderr

gptq() {
    "$QUANT" gptq -f "$T/calib" -c 64 --chunks 12 "$@"
}

@test "gptq: groups of 128 in 4 bits become Q4_0, a row for each matrix, the same for any threads" {
    calibration
    gptq -q --bits 4 --group 128 "$MODEL" "$T/out.gguf" >"$T/rows" 2>"$T/words"
    [ ! -s "$T/words" ]
    # 6 layers: q, k, v, out; gate, up, down of 16 experts
    [ "$(tsv tensor <"$T/rows" | wc -l)" -eq $((6 * (4 + 3 * 16))) ]
    [ "$(tsv tensor <"$T/rows" | sort -u | wc -l)" -eq $((6 * 7)) ]
    [ "$(tsv tokens <"$T/rows" | sort -rn | head -1)" -eq $((12 * 64)) ]
    # Each token goes to 2 experts.
    [ "$(awk -F'\t' '$2 == "blk.3.ffn_down_exps.weight" { s += $7 } END { print s }' "$T/rows")" \
        -eq $((2 * 12 * 64)) ]
    [ "$(tsv type <"$T/rows" | sort -u)" = Q4_0 ]
    awk -F'\t' 'NR > 1 && $10 > 1.0001 { print; bad = 1 } NR > 1 { s += $10; n++ }
                END { exit bad || s / n > 0.85 }' "$T/rows"
    types "$T/out.gguf" | grep -q '^blk.5.ffn_down_exps.weight Q4_0$'
    types "$T/out.gguf" | grep -q '^blk.5.ffn_gate_inp.weight F32$'
    types "$T/out.gguf" | grep -q '^token_embd.weight F16$'
    "${BUILD:-build}/llm-run" -q -m "$T/out.gguf" -p 'A page' -n 4 >/dev/null
    gptq -q -t 1 --json "$MODEL" "$T/one.gguf" >"$T/rows.json"
    cmp "$T/out.gguf" "$T/one.gguf"
    head -1 "$T/rows.json" | jq -r 'keys_unsorted[]' | diff - <(head -1 "$T/rows" | tr '\t' '\n')
    [ "$(head -1 "$T/rows.json" | jq '.expert')" = null ]
}

@test "gptq: every number of bits, groups and zeros, as blocks or as floats" {
    calibration
    tiny llama F16
    while read -r type options; do
        # shellcheck disable=SC2086 # several words
        gptq -q $options "$T/llama-F16.gguf" "$T/out.gguf" >"$T/rows"
        types "$T/out.gguf" | grep -q "^blk.1.attn_q.weight $type$" ||
            { echo "$options"; return 1; }
        awk -F'\t' 'NR > 1 { a += $8; b += $9 } END { exit !(a < 0.9 * b) }' "$T/rows" ||
            { echo "no gain: $options"; return 1; }
    done <<'END'
Q4_0 --bits 2 --group 32
Q4_1 --bits 2 --group 64 --asym
Q2_K --bits 2 --group -1 --no-act-order
Q4_0 --bits 3 --no-mse
Q3_K --bits 3 --group 256
Q4_1 --bits 4 --asym --mse --act-order
Q4_K --bits 4 --asym --group -1
Q8_0 --bits 8 --group 32
F16 --bits 3 --type f16 --g-idx
F32 --bits 8 --asym --type f32
Q4_K --type q4_k
Q3_K --type q3_k --no-act-order
IQ4_NL --type iq4_nl
MXFP4 --type mxfp4
END
}

@test "gptq: a mix gives each matrix its own type" {
    calibration
    tiny llama F16
    gptq -q --type q4_k_m "$T/llama-F16.gguf" "$T/out.gguf" >/dev/null
    "$QUANT" convert -q --type q4_k_m "$T/llama-F16.gguf" "$T/mix.gguf"
    types "$T/mix.gguf" | grep 'blk.*\(attn\|ffn\)_[a-z]*.weight' | grep -v norm | sort >"$T/want"
    types "$T/out.gguf" | grep 'blk.*\(attn\|ffn\)_[a-z]*.weight' | grep -v norm | sort |
        diff "$T/want" -
    types "$T/out.gguf" | grep -q '^output.weight F16$'
    gptq -q --head "$T/llama-F16.gguf" "$T/out.gguf" >"$T/rows"
    types "$T/out.gguf" | grep -q '^output.weight Q4_0$'
    tail -1 "$T/rows" | grep -q '^head	output.weight'
}

@test "gptq: at the same size it stays nearer to the model than rounding does" {
    calibration
    gptq -q --type q4_0 "$MODEL" "$T/gptq.gguf" >/dev/null
    "$QUANT" convert -q --type q4_0 --pure --tensor 'token_embd.weight=f16' \
        "$MODEL" "$T/nearest.gguf"
    awk '/ship sails/ { gsub("ship", "cart"); gsub("bread", "salt"); print }' "$T/calib" >"$T/other"
    "$QUANT" eval -q --base "$MODEL" -f "$T/other" -c 64 --chunks 12 "$T/gptq.gguf" \
        "$T/nearest.gguf" | tsv kl_mean | paste -sd' ' | awk '{ print; exit !($1 < 0.8 * $2) }'
}

@test "gptq: experts that saw nothing are told of" {
    calibration
    run --separate-stderr "$QUANT" gptq -f "$T/calib" -c 8 --chunks 1 "$MODEL" "$T/out.gguf"
    [ "$status" -eq 0 ]
    [[ $stderr =~ [0-9]+" of 312 matrices saw no token, and were rounded to nearest" ]]
    [[ $stderr == *"saw fewer tokens than they have columns"* ]]
    printf '%s\n' "$output" >"$T/rows"
    awk -F'\t' 'NR > 1 && $7 == 0 && $13 != 1 { exit 1 }' "$T/rows"
}

@test "gptq: chunks are drawn by the seed; experts may take turns" {
    calibration
    tiny qwen3moe F16
    gptq -q --chunks 3 "$T/qwen3moe-F16.gguf" "$T/a.gguf" >/dev/null
    gptq -q --chunks 3 --seed 1 --memory 600K "$T/qwen3moe-F16.gguf" "$T/b.gguf" >/dev/null
    gptq -q --chunks 3 --seed 2 "$T/qwen3moe-F16.gguf" "$T/c.gguf" >/dev/null
    cmp "$T/a.gguf" "$T/b.gguf"
    run ! cmp -s "$T/a.gguf" "$T/c.gguf"
}

@test "gptq: folders to GGUF and to layouts, nothing left beside them" {
    calibration
    mkdir "$T/dir"
    for arch in llama qwen3_moe; do
        gptq -q --group 32 "tests/hf/$arch" "$T/dir/$arch.gguf" >"$T/rows"
        gptq -q --group 32 --format gptq "tests/hf/$arch" "$T/dir/$arch-gptq/" >"$T/rows.gptq"
        gptq -q --group 32 --asym --format compressed-tensors "tests/hf/$arch" \
            "$T/dir/$arch-ct" >/dev/null
        # The same errors: the same values.
        diff <(tsv error <"$T/rows") <(tsv error <"$T/rows.gptq")
        [ "$(jq -r .quantization_config.quant_method "$T/dir/$arch-gptq/config.json")" = gptq ]
        [ "$(jq -r .quantization_config.quant_method "$T/dir/$arch-ct/config.json")" = \
            compressed-tensors ]
    done
    [ "$(ls -A "$T/dir" | paste -sd' ')" = "llama-ct llama-gptq llama.gguf $(
        echo qwen3_moe-ct qwen3_moe-gptq qwen3_moe.gguf)" ]
    fails 1 gptq --format gptq -f "$T/calib" -c 64 "$MODEL" "$T/x"
    grep -q "is made of a folder" "$T/err"
}

@test "gptq: what was quantized before is told of; old files with a tensor per expert" {
    calibration
    tiny mixtral-split F16
    "$QUANT" convert -q --type q8_0 "$T/mixtral-split-F16.gguf" "$T/q8.gguf"
    run --separate-stderr gptq "$T/q8.gguf" "$T/out.gguf"
    [ "$status" -eq 0 ]
    [[ $stderr == *"q8.gguf: "*" tensors are quantized already: their errors add up"* ]]
    types "$T/out.gguf" | grep -q '^blk.1.ffn_down.7.weight Q4_0$'
}

@test "gptq: bad command lines" {
    calibration
    fails 2 gptq "$MODEL" "$T/x"
    fails 2 gptq -f "$T/calib" "$MODEL"
    fails 2 gptq -f "$T/calib" --bits 5 "$MODEL" "$T/x"
    fails 2 gptq -f "$T/calib" --group 48 "$MODEL" "$T/x"
    fails 2 gptq -f "$T/calib" --type q9_k "$MODEL" "$T/x"
    fails 2 gptq -f "$T/calib" --type q4_k --bits 4 "$MODEL" "$T/x"
    fails 2 gptq -f "$T/calib" --type q4_k_m --no-mse "$MODEL" "$T/x"
    fails 2 gptq -f "$T/calib" --format gptq --type f16 tests/hf/llama "$T/x"
    fails 2 gptq -f "$T/calib" "$MODEL" -
    fails 2 gptq -f "$T/calib" --format nothing "$MODEL" "$T/x"
    [ ! -e "$T/x" ]
}

@test "gptq: what cannot be read or written" {
    calibration
    echo short >"$T/short"
    fails 1 gptq -f "$T/short" "$MODEL" "$T/x"
    fails 1 gptq -f "$T/none" "$MODEL" "$T/x"
    fails 1 gptq -f "$T/calib" "$T/none.gguf" "$T/x"
    fails 1 gptq -f "$T/calib" -c 64 "$MODEL" "$T/none/x"
    fails 1 gptq -f "$T/calib" -c 64 tests/hf/llama "$T/none/x"
    cp "$MODEL" "$T/model.gguf"
    fails 1 gptq -f "$T/calib" -c 64 "$T/model.gguf" "$T/model.gguf"
    cmp "$MODEL" "$T/model.gguf"
    tiny qwen3 F16
    fails 1 gptq -f "$T/calib" -c 64 --head "$T/qwen3-F16.gguf" "$T/x"
    grep -q "the head is the embedding" "$T/err"
    run -1 --separate-stderr gptq -q "$T/qwen3-F16.gguf" /dev/full
    [[ $stderr == *"/dev/full: "*"No space left on device"* ]]
    run -1 --separate-stderr bash -c "'$QUANT' gptq -q -f '$T/calib' -c 64 --chunks 2 \
        '$T/qwen3-F16.gguf' '$T/y' >/dev/full"
    [ ! -e "$T/x" ]
}

@test "gptq: weights and activations that are no numbers" {
    calibration
    tiny qwen3 F16
    # 64 bytes of 0xff in the last tensor of the file: NaN as halves
    size=$(stat -c %s "$T/qwen3-F16.gguf")
    head -c 64 /dev/zero | tr '\0' '\377' |
        dd of="$T/qwen3-F16.gguf" bs=1 seek=$((size - 4096)) conv=notrunc status=none
    run -1 --separate-stderr gptq -q "$T/qwen3-F16.gguf" "$T/x"
    [[ $stderr == *"not finite"* || $stderr == *"expected a finite number"* ]]
    [ ! -e "$T/x" ]
}

@test "gptq: killed, it leaves no output" {
    calibration
    "$QUANT" gptq -q -f "$T/calib" -c 64 "$MODEL" "$T/out.gguf" >/dev/null &
    pid=$!
    until compgen -G "$T/out.gguf.*.tmp" >/dev/null; do
        kill -0 "$pid" || break
    done
    kill -9 "$pid"
    wait "$pid" || true
    [ ! -e "$T/out.gguf" ]
}
