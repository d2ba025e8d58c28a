#!/usr/bin/env bats
# llm-quant-eval.bats - llm-quant eval from the outside

load quant

# shellcheck disable=SC2154  # run sets output and stderr

TEXT=LICENSE

# The last value that is not in range: near X WANT TOLERANCE (relative)
near() {
    awk -v x="$1" -v want="$2" -v most="$3" 'BEGIN {
        d = x - want; if (d < 0) d = -d; w = want < 0 ? -want : want
        if (x == "-" || d > most * w) { print x " is not near " want; exit 1 } }'
}

# models ARCH TYPE...: $T/base.gguf in F32 and $T/TYPE.gguf of the same weights
models() {
    local arch=$1 type
    shift
    "${BUILD:-build}/tests/make_models" "$arch" F32 "$T/base.gguf" >/dev/null
    for type; do
        "${BUILD:-build}/tests/make_models" "$arch" "$type" "$T/$type.gguf" >/dev/null
    done
}

evaluate() {
    "$QUANT" eval -q --base "$T/base.gguf" --text $TEXT -c 64 --chunks 6 "$@"
}

@test "eval: a model beside itself differs in nothing" {
    "$QUANT" eval --base "$MODEL" --text $TEXT -c 128 "$MODEL" >"$T/out"
    for pair in kl_mean:0 kl_max:0 kl_p99:0 top1_agree:1 dp_rms:0 ppl_ratio:1 ppl_diff:0 \
                route_agree:1 weight_error:0 pareto:1; do
        [ "$(tsv "${pair%:*}" <"$T/out")" = "${pair#*:}" ] || { echo "$pair"; false; }
    done
    [ "$(tsv ppl <"$T/out")" = "$(tsv ppl_base <"$T/out")" ]
}

@test "eval: perplexities are those of llm-run" {
    models qwen3moe Q4_0
    evaluate "$T/Q4_0.gguf" >"$T/out"
    for pair in ppl:Q4_0 ppl_base:base; do
        "${BUILD:-build}/llm-run" -q -m "$T/${pair#*:}.gguf" --perplexity $TEXT -c 64 --chunks 6 \
            >"$T/run"
        near "$(tsv "${pair%:*}" <"$T/out")" "$(tsv ppl <"$T/run")" 1e-6
    done
    # Errors by token are llama-perplexity's, and llm-run's.
    evaluate --unit token "$T/Q4_0.gguf" >"$T/out"
    near "$(tsv ppl_base_stderr <"$T/out")" "$(tsv ppl_stderr <"$T/run")" 1e-6
}

@test "eval: more bits, less divergence; several models at once are as one by one" {
    models llama Q8_0 Q5_0 Q4_0
    evaluate "$T/Q8_0.gguf" "$T/Q5_0.gguf" "$T/Q4_0.gguf" >"$T/all"
    tsv kl_mean <"$T/all" >"$T/kl"
    sort -g -c "$T/kl"
    tsv weight_error <"$T/all" | sort -g -c
    [ "$(tsv route_agree <"$T/all" | sort -u)" = - ]
    for type in Q8_0 Q5_0 Q4_0; do
        evaluate "$T/$type.gguf" | tail -1
    done >"$T/each"
    tail -3 "$T/all" | diff - "$T/each"
}

@test "eval: threads, passes and chunks side by side change nothing" {
    models olmoe Q4_0
    evaluate -t 1 "$T/Q4_0.gguf" >"$T/one"
    evaluate -t 3 "$T/Q4_0.gguf" | diff - "$T/one"
    evaluate -b 7 "$T/Q4_0.gguf" | diff - "$T/one"
    evaluate -b 64 "$T/Q4_0.gguf" | diff - "$T/one"
    evaluate --no-pack "$T/Q4_0.gguf" | tsv kl_mean >"$T/kl"
    near "$(cat "$T/kl")" "$(tsv kl_mean <"$T/one")" 1e-3
}

@test "eval: what --save-kl wrote takes the base's place" {
    models llama Q4_0
    evaluate --save-kl "$T/base.kld" "$T/Q4_0.gguf" >"$T/live"
    evaluate --save-kl "$T/alone.kld.zst" >"$T/none"
    [ ! -s "$T/none" ]
    zstd -dcq "$T/alone.kld.zst" | cmp - "$T/base.kld"
    "$QUANT" eval --kl-base "$T/alone.kld.zst" "$T/Q4_0.gguf" >"$T/saved"
    for name in kl_mean kl_p99 ppl_base dp_rms kl_stderr; do
        near "$(tsv $name <"$T/saved")" "$(tsv $name <"$T/live")" 0.002
    done
    [ "$(tsv ppl <"$T/saved")" = "$(tsv ppl <"$T/live")" ]
    [ "$(tsv tokens <"$T/saved")" = 186 ]
    [ "$(tsv weight_error <"$T/saved")" = - ]
    [ "$("$QUANT" eval --kl-base "$T/base.kld" --chunks 2 "$T/Q4_0.gguf" | tsv tokens)" = 62 ]
}

@test "eval: llama-perplexity's numbers for the shared q8_0 model" {
    q8=$SHARED/models/tiny-moe-q8_0.gguf
    text=$SHARED/data/text/tinyshakespeare.txt
    [ -r "$q8" ] && [ -r "$text" ] || skip "no $q8 or $text"
    "$QUANT" eval --base "$MODEL" --text "$text" -c 256 --chunks 8 --unit token "$q8" >"$T/out"
    # Engines differ by the rounding of activations, and a token that is routed elsewhere by it.
    while read -r name want most; do
        near "$(tsv "$name" <"$T/out")" "$want" "$most"
    done <<'END'
ppl 21.014243 0.001
ppl_stderr 1.622484 0.001
ppl_base 20.995082 0.001
ppl_base_stderr 1.620804 0.001
ppl_ratio 1.000913 0.001
ppl_ratio_stderr 0.001177 0.1
ppl_diff_stderr 0.024755 0.1
nll_correlation 0.9999 0.0001
kl_mean 0.000733 0.1
kl_stderr 0.000186 0.1
kl_median 0.000190 0.1
kl_p90 0.000475 0.1
kl_p95 0.000761 0.1
kl_p99 0.008992 0.5
kl_max 0.139476 0.1
dp_rms 0.00697 0.1
dp_rms_stderr 0.00197 0.1
dp_min -0.16044 0.1
dp_p1 -0.01138 0.1
dp_p99 0.01172 0.1
dp_max 0.03734 0.1
top1_agree 0.98130 0.005
top1_stderr 0.00425 0.1
END
}

@test "eval: --layers has a row for each layer with experts; agreement falls with bits" {
    models qwen2moe Q8_0 Q2_K
    evaluate --layers "$T/Q8_0.gguf" "$T/Q2_K.gguf" >"$T/layers"
    evaluate "$T/Q8_0.gguf" "$T/Q2_K.gguf" >"$T/files"
    [ "$(tsv tokens <"$T/layers" | sort -u)" = 384 ]
    awk -F'\t' 'NR > 1 && $6 > 1 { exit 1 }' "$T/layers"
    for type in Q8_0 Q2_K; do
        mean=$(grep "$type" "$T/layers" | awk -F'\t' '{ s += $6; n++ } END { print s / n }')
        near "$mean" "$(grep -e file -e "$type" "$T/files" | tsv route_agree)" 1e-4
    done
    tsv route_agree <"$T/files" | sort -gr -c
    evaluate --layers="$T/beside" "$T/Q8_0.gguf" "$T/Q2_K.gguf" | diff - "$T/files"
    diff "$T/beside" "$T/layers"
    models llama Q8_0
    evaluate --layers "$T/Q8_0.gguf" >"$T/out"
    [ "$(wc -l <"$T/out")" -eq 1 ]
}

@test "eval: --tensors needs no text; weights of an importance matrix" {
    models olmoe Q8_0 Q4_0
    "$QUANT" eval --base "$T/base.gguf" --tensors "$T/Q8_0.gguf" "$T/Q4_0.gguf" >"$T/out"
    [ "$(tsv weighted_error <"$T/out" | sort -u)" = - ]
    grep "output_norm.weight" "$T/out" | awk -F'\t' '$7 != 0 || $14 != 1 { exit 1 }'
    awk -F'\t' '/Q8_0.gguf.*attn_q.weight/ && ($8 > 0.01 || $11 < 0.9999) { exit 1 }
                /Q4_0.gguf.*attn_q.weight/ && ($8 < 0.03 || $8 > 0.15) { exit 1 }
                /attn_q.weight/ { d = $12 + 20 * log($8) / log(10); if (d * d > 1e-9) exit 1 }' \
        "$T/out"
    "$QUANT" imatrix -q -m "$T/base.gguf" -f $TEXT -c 64 --chunks 2 -o "$T/i.gguf"
    "$QUANT" eval --base "$T/base.gguf" --tensors --imatrix "$T/i.gguf" "$T/Q4_0.gguf" >"$T/out"
    grep "attn_q.weight" "$T/out" | awk -F'\t' '$9 == "-" || $9 == $8 { exit 1 }'
}

@test "eval: --check is exit 3 when one condition fails for one model" {
    models llama Q8_0 Q2_K
    evaluate --check 'kl_mean<9,top1_agree>=0.001,tokens>100,tokens<=186' "$T/Q2_K.gguf" >"$T/out"
    run --separate-stderr -3 evaluate --check 'kl_mean<0.02' "$T/Q8_0.gguf" "$T/Q2_K.gguf"
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == *"--check: $T/Q2_K.gguf: kl_mean is "*", not < 0.02" ]]
    [ "${#lines[@]}" -eq 3 ]
    # A dense model routes nothing: nothing can be said of it.
    run --separate-stderr -4 evaluate --check 'route_agree>0.5' "$T/Q8_0.gguf"
    [[ $stderr == *"no route_agree here" ]]
    for bad in kl_mean '<3' 'kl_mean<' 'kl_mean<x' 'kl<1' 'file<1' 'kl_mean=1' 'kl_mean<1,' ''; do
        fails 2 eval --base "$MODEL" --text $TEXT --check "$bad" "$MODEL"
    done
}

@test "eval: --json has the columns of the table, those that matter among them" {
    models qwen3moe Q4_0
    evaluate --json "$T/Q4_0.gguf" >"$T/json"
    evaluate "$T/Q4_0.gguf" | head -1 | tr '\t' '\n' >"$T/columns"
    jq -r 'keys_unsorted[]' "$T/json" | diff - "$T/columns"
    jq -e '.ppl > 1 and .ppl_base > 1 and .kl_mean > 0 and .kl_p99 >= .kl_mean and
           .top1_agree <= 1 and .route_agree <= 1 and .kl_low < .kl_mean and
           .kl_high > .kl_mean and .chunks == 6 and .bpw > 4' "$T/json"
}

@test "eval: --plot shows every model" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    models llama Q8_0 Q4_0
    evaluate --plot "$T/p.svg" "$T/Q8_0.gguf" "$T/Q4_0.gguf" >/dev/null
    grep -q '<svg' "$T/p.svg"
    grep -q 'Q4_0' "$T/p.svg"
    grep -q 'Pareto front' "$T/p.svg"
}

# A file of one matrix has no front with a model that is larger and worse.
@test "eval: what another model beats in both is not on the Pareto front" {
    models llama Q8_0 Q4_0 Q2_K
    cp "$T/Q4_0.gguf" "$T/same.gguf"
    evaluate "$T/base.gguf" "$T/Q8_0.gguf" "$T/Q4_0.gguf" "$T/same.gguf" "$T/Q2_K.gguf" >"$T/out"
    [ "$(tsv pareto <"$T/out" | tr -d '\n')" = 11111 ]
    "${BUILD:-build}/tests/make_models" llama -d Q2_K "$T/worse.gguf" >/dev/null
    evaluate "$T/Q8_0.gguf" "$T/worse.gguf" >"$T/out"
    [ "$(tsv pareto <"$T/out" | tr -d '\n')" = 10 ]
}

@test "eval: a model that predicts no numbers is exit 4" {
    models llama
    cp "$T/base.gguf" "$T/nan.gguf"
    # The last tensor of the file is the head.
    printf '\000\000\300\177' |
        dd of="$T/nan.gguf" bs=1 seek=$(($(stat -c %s "$T/nan.gguf") - 4)) conv=notrunc 2>/dev/null
    run --separate-stderr -4 evaluate "$T/nan.gguf"
    [[ $stderr == *"predictions are not finite numbers"* ]]
    [ "$(printf '%s\n' "$output" | tsv kl_mean)" = - ]
    [ "$(printf '%s\n' "$output" | tsv tokens)" = 186 ]
    run -4 evaluate --check 'kl_mean<1' "$T/nan.gguf"
}

@test "eval: bad command lines are exit 2" {
    fails 2 eval "$MODEL"
    fails 2 eval --base "$MODEL" "$MODEL"
    fails 2 eval --base "$MODEL" --text $TEXT
    fails 2 eval --base "$MODEL" --kl-base x "$MODEL"
    fails 2 eval --kl-base x --text $TEXT "$MODEL"
    fails 2 eval --kl-base x -c 64 "$MODEL"
    fails 2 eval --kl-base x --save-kl y "$MODEL"
    fails 2 eval --kl-base x --tensors "$MODEL"
    fails 2 eval --kl-base x
    fails 2 eval --base "$MODEL" --tensors --layers "$MODEL"
    fails 2 eval --base "$MODEL" --tensors --check 'kl_mean<1' "$MODEL"
    fails 2 eval --base "$MODEL" --text $TEXT --layers --tensors "$MODEL"
    for option in "--unit row" "--level 2" "--resamples 1" "-b 0" "--kv-type q4" "--plot x.gif" \
                  "-c 1" "--chunks 0" "--seed -1"; do
        # shellcheck disable=SC2086 # words
        fails 2 eval --base "$MODEL" --text $TEXT $option "$MODEL"
    done
}

@test "eval: input that does not fit is one line and exit 1" {
    models llama Q4_0
    fails 1 eval --base "$T/base.gguf" --text $TEXT -c 64 "$MODEL"
    grep -q "a vocabulary of 4096 tokens, that of $T/base.gguf has" "$T/err"
    echo "too short" >"$T/text"
    fails 1 eval --base "$T/base.gguf" --text "$T/text" "$T/Q4_0.gguf"
    grep -q "expected at least one chunk" "$T/err"
    fails 1 eval --base "$T/base.gguf" --text "$T/none" "$T/Q4_0.gguf"
    fails 1 eval --base "$T/none" --text $TEXT "$T/Q4_0.gguf"
    fails 1 eval --base "$T/base.gguf" --text $TEXT "$T/none"
    fails 1 eval --base "$T/base.gguf" --text $TEXT -c 3 "$T/Q4_0.gguf"
    fails 1 eval --base "$T/base.gguf" --text $TEXT --imatrix $TEXT "$T/Q4_0.gguf"
    evaluate --save-kl "$T/base.kld"
    fails 1 eval --kl-base "$T/base.kld" "$MODEL"
    grep -q "a vocabulary of 4096" "$T/err"
    head -c 20000 "$T/base.kld" >"$T/cut.kld"
    fails 1 eval --kl-base "$T/cut.kld" "$T/Q4_0.gguf"
    grep -q "cut.kld: row .*: expected .* the file ends after" "$T/err"
    [ "$(wc -l <"$T/err")" -eq 1 ]
    fails 1 eval --kl-base $TEXT "$T/Q4_0.gguf"
    grep -q "no file of base logits" "$T/err"
}

@test "eval: a full disk is an error, and leaves no half file" {
    models llama Q4_0
    run evaluate --save-kl /dev/full "$T/Q4_0.gguf"
    [ "$status" -eq 1 ]
    run evaluate --save-kl "$T/no/such/folder.kld" "$T/Q4_0.gguf"
    [ "$status" -eq 1 ]
    run bash -c "'$QUANT' eval --base '$T/base.gguf' --tensors '$T/Q4_0.gguf' >/dev/full"
    [ "$status" -eq 1 ]
    run evaluate --layers=/dev/full "$T/Q4_0.gguf"
    [ "$status" -eq 1 ]
    [ "$(find "$T" -name '*.tmp' | wc -l)" -eq 0 ]
}

@test "eval: a text from stdin" {
    models llama Q4_0
    evaluate "$T/Q4_0.gguf" >"$T/file"
    "$QUANT" eval -q --base "$T/base.gguf" --text - -c 64 --chunks 6 "$T/Q4_0.gguf" <$TEXT |
        diff - "$T/file"
}

@test "eval: what is read is not written over, and outputs are tried before the work" {
    cp "$MODEL" "$T/base.gguf"
    cp "$MODEL" "$T/a.gguf"
    cp $TEXT "$T/text"
    for option in --save-kl=base.gguf --layers=a.gguf --tensors=a.gguf --save-kl=text; do
        run "$QUANT" eval -q --base "$T/base.gguf" --text "$T/text" -c 64 --chunks 1 \
            "${option%=*}=$T/${option#*=}" "$T/a.gguf"
        [ "$status" -eq 1 ]
        [[ "$output" == *": this is read: name another file to write to" ]]
    done
    cmp "$MODEL" "$T/base.gguf"
    cmp "$MODEL" "$T/a.gguf"
    cmp $TEXT "$T/text"
    fails 1 eval -q --base "$MODEL" --text $TEXT --layers="$T/none/x" "$MODEL"
    fails 2 eval --base "$MODEL" --text $TEXT --layers="$T/x" --tensors="$T/x" "$MODEL"
    run ! compgen -G "$T/*.tmp"
    fails 1 eval --base tests/hf/llama --text $TEXT "$MODEL"
    grep -q "tests/hf/llama: a folder: 'llm-quant convert' makes a GGUF of it" "$T/err"
}

@test "eval: tensors that are not alike are counted in one line; none that is alike is exit 4" {
    models qwen2 F32
    mv "$T/F32.gguf" "$T/qwen2.gguf"
    models llama F32
    "$QUANT" eval --base "$T/base.gguf" --tensors "$T/qwen2.gguf" >"$T/out" 2>"$T/err"
    [ "$(grep -c "tensors of the base are missing or of another shape" "$T/err")" -eq 1 ]
    status=0
    "$QUANT" eval --base "$MODEL" --tensors tests/hf/qwen2 >"$T/out" 2>"$T/err" || status=$?
    [ "$status" -eq 4 ]
    [ "$(wc -l <"$T/out")" -eq 1 ]
    [ "$(wc -l <"$T/err")" -eq 1 ]
    # What a terminal would obey is not passed on: the name is patched in place.
    sed 's/token_embd/\x1b[31m_embd/g' "$T/base.gguf" >"$T/red.gguf"
    "$QUANT" eval --base "$T/red.gguf" --tensors "$T/base.gguf" >"$T/out" 2>"$T/err"
    grep -qF '"?[31m_embd' "$T/err"
}
