#!/usr/bin/env bats
# llm-quant-imatrix.bats - llm-quant imatrix from the outside

load quant

# shellcheck disable=SC2154  # run sets output and stderr

REFERENCE=tests/reference/imatrix

# Words enough for a few chunks of 64 tokens.
calibration() {
    for i in $(seq 1 60); do
        echo "The $i. ship sails to the king, and brings him $((i * 37 % 101)) loaves of bread."
    done
}

collect() {
    "$QUANT" imatrix -q -m "$MODEL" -f "$T/calib" -c 64 "$@"
}

@test "imatrix: a text becomes a file, the same for any threads, chunk by chunk" {
    calibration >"$T/calib"
    collect --chunks 5 -t 1 -o "$T/one"
    collect --chunks 5 -t 3 -o "$T/three"
    cmp "$T/one" "$T/three"
    "$QUANT" imatrix -q -m "$MODEL" -f - -c 64 --chunks 5 -o - <"$T/calib" >"$T/pipe"
    run --separate-stderr "$QUANT" imatrix --in "$T/pipe" --show
    [ "$status" -eq 0 ]
    printf '%s\n' "$output" >"$T/pipe.tsv"
    "$QUANT" imatrix -q --in "$T/one" --show >"$T/one.tsv"
    diff "$T/one.tsv" "$T/pipe.tsv"
    # 6 layers: q, k, v, out, router, gate, up, down
    [ "$(tsv tensor <"$T/one.tsv" | wc -l)" -eq 48 ]
    [ "$(tsv tokens <"$T/one.tsv" | sort -rnu | head -1)" -eq 320 ]
}

@test "imatrix: halves of a text add up to the whole" {
    calibration >"$T/calib"
    collect --chunks 4 -o "$T/four"
    collect --chunks 2 -o "$T/two"
    collect --chunks 2 --in "$T/two" -o "$T/twice"
    "$QUANT" imatrix -q --in "$T/two" --in "$T/two" -o "$T/sum"
    "$QUANT" imatrix -q --in "$T/sum" --show >"$T/sum.tsv"
    "$QUANT" imatrix -q --in "$T/twice" --show >"$T/twice.tsv"
    diff "$T/sum.tsv" "$T/twice.tsv"
    [ "$(tsv tokens <"$T/sum.tsv" | sort -rnu | head -1)" -eq 256 ]
    "$QUANT" imatrix -q --in "$T/four" --show >"$T/four.tsv"
    [ "$(tsv tokens <"$T/four.tsv" | sort -rnu | head -1)" -eq 256 ]
    run ! cmp -s "$T/four.tsv" "$T/sum.tsv"
}

@test "imatrix: files of llama-imatrix are read, and written again to the same bytes" {
    "$QUANT" imatrix -q --in $REFERENCE.gguf -o "$T/a"
    cmp "$T/a" $REFERENCE.gguf
    "$QUANT" imatrix -q --in $REFERENCE.gguf --format legacy -o "$T/a"
    cmp "$T/a" $REFERENCE.dat
    "$QUANT" imatrix -q --in $REFERENCE.dat --in $REFERENCE.gguf -o "$T/a"
    cmp "$T/a" ${REFERENCE}_sum.gguf
}

@test "imatrix: experts that saw nothing are named, the most skewed column too" {
    run --separate-stderr "$QUANT" imatrix --in $REFERENCE.gguf --show
    [ "$status" -eq 0 ]
    # shellcheck disable=SC2154
    [[ $stderr == *"layer 0: expert 1 saw no token"* ]]
    [[ $stderr == *"1 of 4 experts saw no token"* ]]
    [[ $stderr == *"most skewed: blk.0.ffn_up_exps.weight: column 5 of expert 2 is 3.992 times"* ]]
    printf '%s\n' "$output" >"$T/tsv"
    [ "$(tsv tensor <"$T/tsv" | tail -1)" = blk.10.attn_q.weight ]
    [ "$(tsv unseen <"$T/tsv" | tr '\n' ' ')" = "0 1 0 " ]
    [ "$(tsv unseen_experts <"$T/tsv" | tr '\n' ' ')" = "- 1 - " ]
    "$QUANT" imatrix -q --in $REFERENCE.gguf --show --json >"$T/json"
    [ "$(wc -l <"$T/json")" -eq 3 ]
    grep -q '"unseen_experts":\[1\]' "$T/json"
    "$QUANT" imatrix -q --in $REFERENCE.gguf --show --format csv >"$T/csv"
    [ "$(wc -l <"$T/csv")" -eq 4 ]
}

@test "imatrix: the head is left out unless asked for, a tied one has the embedding's name" {
    calibration >"$T/calib"
    collect --chunks 1 -o "$T/without" --show >"$T/tsv"
    run ! grep -q token_embd "$T/tsv"
    collect --chunks 1 --process-output -o "$T/with" --show >"$T/tsv"
    grep -q "^token_embd.weight	256	1	64	" "$T/tsv"
}

# measure ARGUMENTS...: importance and sensitivities of a tiny model.
measure() {
    [ -f "$T/llama.gguf" ] || "${BUILD:-build}/tests/make_models" llama F32 "$T/llama.gguf"
    "$QUANT" imatrix -q -m "$T/llama.gguf" -c 64 "$@"
}

@test "imatrix: sensitivities are the same for any threads, and --target goes by them" {
    calibration >"$T/calib"
    measure -f "$T/calib" --sensitivity=3 -t 1 -o "$T/one"
    measure -f "$T/calib" --sensitivity=3 -t 3 -o "$T/three"
    cmp "$T/one" "$T/three"
    measure -f - --sensitivity=3 -o - <"$T/calib" >"$T/pipe"
    # All but the name of the text.
    [ "$(stat -c %s "$T/pipe")" -gt 1000 ]
    "$QUANT" show --metadata "$T/one" | grep -q 'llmutils.sensitivity'
    "$QUANT" imatrix -q --in "$T/one" -o "$T/again"
    cmp "$T/one" "$T/again"
    "$QUANT" convert --target 4.2bpw --imatrix "$T/one" "$T/llama.gguf" "$T/out.gguf" 2>"$T/err"
    grep -q '4.1[0-9]* bits a weight; a KL divergence of 0.[0-9]* expected' "$T/err"
    "$QUANT" convert --target 4.2bpw --imatrix "$T/pipe" --dry-run "$T/llama.gguf" 2>/dev/null |
        grep -q 'target, measured$'
}

@test "imatrix: --sensitivity wants a model, a text and a place" {
    calibration >"$T/calib"
    fails 2 imatrix --in $REFERENCE.gguf --sensitivity -o "$T/x"
    fails 2 imatrix -m "$MODEL" -f "$T/calib" --sensitivity --format legacy -o "$T/x"
    for n in 0 x -1; do
        fails 2 imatrix -m "$MODEL" -f "$T/calib" --sensitivity=$n -o "$T/x"
    done
    [ ! -e "$T/x" ]
}

@test "imatrix: what it wants is said in a line, exit 2" {
    calibration >"$T/calib"
    fails 2 imatrix
    fails 2 imatrix -m "$MODEL" -o "$T/x"
    fails 2 imatrix -f "$T/calib" -o "$T/x"
    fails 2 imatrix -m "$MODEL" -f "$T/calib"
    fails 2 imatrix --in $REFERENCE.gguf
    fails 2 imatrix --in $REFERENCE.gguf --show -o -
    fails 2 imatrix --in $REFERENCE.gguf -o "$T/x" operand
    fails 2 imatrix --in $REFERENCE.gguf -o "$T/x" --format npy
    fails 2 imatrix --in - -m "$MODEL" -f - -o "$T/x"
    fails 2 imatrix -m "$MODEL" -f "$T/calib" -o "$T/x" -c 1
    fails 2 imatrix -m "$MODEL" -f "$T/calib" -o "$T/x" --chunks 0
    fails 2 imatrix -m "$MODEL" -f "$T/calib" -o "$T/x" --cpu abacus
    [ ! -e "$T/x" ]
}

@test "imatrix: bad input is exit 1 and leaves no file" {
    calibration >"$T/calib"
    head -c 100 $REFERENCE.dat >"$T/cut"
    : >"$T/empty"
    fails 1 imatrix --in "$T/cut" -o "$T/x"
    grep -q "$T/cut: no importance matrix, or a damaged one" "$T/err"
    fails 1 imatrix --in "$T/empty" -o "$T/x"
    fails 1 imatrix --in "$T/none" -o "$T/x"
    fails 1 imatrix --in "$MODEL" -o "$T/x"
    grep -q "no importance matrix: no tensor NAME.in_sum2" "$T/err"
    fails 1 imatrix -m "$MODEL" -f "$T/empty" -o "$T/x"
    grep -q "expected at least one chunk of 512" "$T/err"
    fails 1 imatrix -m "$MODEL" -f "$T/none" -o "$T/x"
    fails 1 imatrix -m "$T/calib" -f "$T/calib" -o "$T/x"
    collect --chunks 1 -o "$T/good"
    fails 1 imatrix -q --in "$T/good" --in $REFERENCE.gguf -o "$T/x"
    grep -q "do not add to" "$T/err"
    [ ! -e "$T/x" ]
    [ -z "$(find "$T" -name '*.tmp')" ]
}

@test "imatrix: a full disk is an error" {
    [ -c /dev/full ] || skip "no /dev/full"
    for form in gguf legacy; do
        fails 1 imatrix -q --in $REFERENCE.gguf --format $form -o /dev/full
        grep -q "No space left on device" "$T/err"
    done
    run -1 sh -c "'$QUANT' imatrix -q --in $REFERENCE.gguf --show >/dev/full"
}

@test "imatrix: kill -9 leaves no half file" {
    for _ in $(seq 1 40); do calibration; done >"$T/calib"
    "$QUANT" imatrix -q -m "$MODEL" -f "$T/calib" -c 64 -o "$T/x" &
    pid=$!
    kill -9 $pid
    wait $pid || true
    [ ! -e "$T/x" ]
}
