#!/usr/bin/env bats
# llm-quant-awq.bats - llm-quant awq from the outside

load quant

# shellcheck disable=SC2154  # run sets output and stderr

awq() {
    "$QUANT" awq -f "$T/calib" -c 64 --chunks 12 "$@"
}

@test "awq: groups of 128 in 4 bits, a row for each matrix, the same for any threads" {
    calibration
    awq -q --bits 4 --group 128 "$MODEL" "$T/out.gguf" >"$T/rows" 2>"$T/words"
    [ ! -s "$T/words" ]
    # 6 layers: q, k, v, out; gate, up, down of 16 experts
    [ "$(tsv tensor <"$T/rows" | wc -l)" -eq $((6 * (4 + 3 * 16))) ]
    [ "$(tsv tokens <"$T/rows" | sort -rn | head -1)" -eq $((12 * 64)) ]
    # Each token goes to 2 experts.
    [ "$(awk -F'\t' '$2 == "blk.3.ffn_down_exps.weight" { s += $7 } END { print s }' "$T/rows")" \
        -eq $((2 * 12 * 64)) ]
    [ "$(tsv type <"$T/rows" | sort -u)" = Q4_1 ]
    awk -F'\t' 'NR > 1 { a += $8; b += $9 } END { exit !(a < 0.8 * b) }' "$T/rows"
    types "$T/out.gguf" | grep -q '^blk.5.ffn_down_exps.weight Q4_1$'
    types "$T/out.gguf" | grep -q '^blk.5.ffn_gate_inp.weight F32$'
    types "$T/out.gguf" | grep -q '^token_embd.weight F16$'
    "${BUILD:-build}/llm-run" -q -m "$T/out.gguf" -p 'A page' -n 4 >/dev/null
    awq -q -t 1 --json "$MODEL" "$T/one.gguf" >"$T/rows.json"
    cmp "$T/out.gguf" "$T/one.gguf"
    head -1 "$T/rows.json" | jq -r 'keys_unsorted[]' | diff - <(head -1 "$T/rows" | tr '\t' '\n')
    [ "$(head -1 "$T/rows.json" | jq '.expert')" = null ]
}

@test "awq: bits, groups and zeros, as blocks or as floats; types by their own grid" {
    calibration
    tiny llama F16
    while read -r type options; do
        # shellcheck disable=SC2086 # several words
        awq -q $options "$T/llama-F16.gguf" "$T/out.gguf" >"$T/rows"
        types "$T/out.gguf" | grep -q "^blk.1.attn_q.weight $type$" || { echo "$options"; return 1; }
        awk -F'\t' 'NR > 1 { a += $8; b += $9 } END { exit !(a < b) }' "$T/rows" ||
            { echo "not better: $options"; return 1; }
    done <<'END'
Q4_0 --bits 4 --sym --group 32
Q4_1 --bits 3 --group 64
F16 --bits 2 --group 32 --type f16
F32 --bits 8 --group -1 --no-clip --type f32
Q4_K --type q4_k
Q6_K --type q6_k
END
}

@test "awq: predictions of 3 bits stay near" {
    [ -e "$SHARED/data/text/tinyshakespeare.txt" ] || skip "no text in $SHARED/data/text"
    head -c 100000 "$SHARED/data/text/tinyshakespeare.txt" >"$T/calib"
    tail -c 30000 "$SHARED/data/text/tinyshakespeare.txt" >"$T/valid"
    "$QUANT" awq -q --bits 3 --type f16 --chunks 40 -f "$T/calib" "$MODEL" "$T/awq.gguf" >"$T/rows"
    awk -F'\t' 'NR > 1 { a += $8; b += $9 } END { exit !(a < 0.7 * b) }' "$T/rows"
    # Rounding to nearest gives 0.116 on 100 KB of this text.
    "$QUANT" eval -q --base "$MODEL" --text "$T/valid" --check 'kl_mean<0.09' "$T/awq.gguf" >"$T/eval"
}

@test "awq: the columns are documented, bad words are refused" {
    calibration
    fails 2 awq "$MODEL" "$T/out.gguf"
    grep -q -- "-f TEXT is missing" "$T/err"
    fails 2 awq -f "$T/calib" "$MODEL"
    fails 2 awq -f "$T/calib" --bits 5 "$MODEL" "$T/out.gguf"
    fails 2 awq -f "$T/calib" --group 100 "$MODEL" "$T/out.gguf"
    fails 2 awq -f "$T/calib" --type q4_k --bits 4 "$MODEL" "$T/out.gguf"
    fails 2 awq -f "$T/calib" --type nosuch "$MODEL" "$T/out.gguf"
    fails 2 awq -f "$T/calib" "$MODEL" -
    echo short >"$T/short"
    fails 1 awq -f "$T/short" "$MODEL" "$T/out.gguf"
    fails 1 awq -f "$T/none" "$MODEL" "$T/out.gguf"
    [ ! -e "$T/out.gguf" ]
}

@test "awq: weights that are not finite, and a disk that is full, leave nothing" {
    calibration
    tiny qwen2 F16
    fails 1 awq -q -f "$T/calib" -c 64 "$T/qwen2-F16.gguf" /dev/full
    grep -q "No space left" "$T/err"
    # Some weights far behind the embedding: NaN.
    printf '\x7e%.0s' $(seq 64) | dd of="$T/qwen2-F16.gguf" bs=1 conv=notrunc status=none \
        seek=$(($(stat -c %s "$T/qwen2-F16.gguf") * 3 / 4))
    run -1 awq -q "$T/qwen2-F16.gguf" "$T/out.gguf"
    [[ $output == *"not finite"* ]]
    [ "$(find "$T" -name 'out.gguf*' | wc -l)" -eq 0 ]
}
