#!/usr/bin/env bats
# llm-route-speculate.bats - llm-route speculate from the outside

load route

# shellcheck disable=SC2154  # run sets output and stderr

QWEN=../shared/data/routes/qwen3-30b-a3b.route.csv

# routes TOKENS: one layer of 16 experts, 2 a token: one that never changes, one by turns. An expert
# has 10 bytes, the rest of the layer 20.
routes() {
    echo "# route_trace v1"
    echo "# model=turns arch=test n_layer=1 n_expert=16 n_expert_used=2"
    echo "# layer=0 expert_bytes=10 dense_bytes=20"
    echo "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes"
    for ((i = 0; i < $1; i++)); do
        echo "0,1,$i,0,0,0,0.5,0,10"
        echo "0,1,$i,0,1,$((1 + i % 15)),0.5,0,10"
    done
}

# speculate ARGUMENTS...: of $T/routes, one row
speculate() {
    "$ROUTE" speculate -q "$@" "$T/routes" >"$T/rows"
}

cells() {
    for name in "$@"; do
        tsv "$name" <"$T/rows"
    done | tr '\n' ' '
}

@test "speculate: bytes, tokens and speedup by hand" {
    routes 60 >"$T/routes"
    # n drafted tokens: 1 + n + 1 experts of 10 bytes and 20; a token alone reads 40.
    speculate --accept 0.5 --draft 1,3 --draft-cost 0
    [ "$(cells unique_experts bytes_per_pass pass_vs_decode)" = "3 5 50 70 1.25 1.75 " ]
    [ "$(cells tokens_per_pass speedup)" = "1.5 1.875 1.2 1.071428571 " ]
    [ "$(cells speedup_if_dense best)" = "1.5 1.875 best - " ]
    # 1 + a = 1.25.
    speculate --accept 1 --draft 1 --draft-cost 0
    [ "$(cells breakeven_accept)" = "0.25 " ]
    # A tenth of a decoding pass for each of three.
    speculate --accept 0.5 --draft 3 --draft-cost 10%
    [ "$(cells speedup)" = "0.9146341463 " ]
    [ "$(cells pays best)" = "no best " ]
}

@test "speculate: a device gives milliseconds, and arithmetic its limit" {
    routes 60 >"$T/routes"
    printf '%s' '{"type":"device","format":1,"name":"toy","compute":[{"type":"bf16",
        "flops_per_s":1e6}],"memory":[{"name":"gpu","capacity_bytes":1e6,
        "read_bytes_per_s":1e4},{"name":"disk","capacity_bytes":1e9,"read_bytes_per_s":1e3}]}' \
        >"$T/toy.json"
    speculate --accept 1 --draft 1 --draft-cost 0 --device "$T/toy.json"
    [ "$(cells ms_per_token speedup)" = "2.5 1.6 " ]
    # Experts from the disk: 2 + 20 ms, then 2 + 30.
    speculate --accept 1 --draft 1 --draft-cost 0 --device "$T/toy.json" --experts-in disk
    [ "$(cells ms_per_token speedup)" = "16 1.375 " ]
    # So little arithmetic that two tokens take twice the time: nothing is gained.
    sed 's/1e6}\],/1e3}],/' "$T/toy.json" >"$T/slow.json"
    speculate --accept 1 --draft 1 --draft-cost 0 --device "$T/slow.json" \
        --shape layers=1,d_model=4,heads=1,d_ff=4,vocab=8
    [ "$(cells speedup)" = "1 " ]
    fails 1 speculate --device "$T/toy.json" --experts-in host "$T/routes"
    grep -q "has no memory 'host'" "$T/err"
}

@test "speculate: batches of different requests, passes with drafts that were taken back" {
    routes 16 >"$T/one"
    # Four turns of the same tokens: a batch of them reads what each of them reads, or others.
    { grep '^[#t]' "$T/one"
      for turn in 0 1 2 3; do
          grep '^0,1' "$T/one" | sed "s/^0/$turn/"
      done; } >"$T/routes"
    speculate --accept 0.5 --draft 1 --batch 1
    one=$(cells unique_experts)
    speculate --accept 0.5 --draft 1 --batch 4
    [ "$(cells unique_experts | cut -d. -f1)" -gt "${one%%[. ]*}" ]
    [ "$(cells pays speedup_low)" = "yes - " ]
    run --separate-stderr "$ROUTE" speculate --batch 5 --draft 1 "$T/routes"
    [ "$status" -eq 0 ]
    [[ $stderr == *"4 requests, fewer than the batch"* ]]
}

@test "speculate: a line on stderr says whether it pays" {
    routes 400 >"$T/routes"
    run --separate-stderr "$ROUTE" speculate --accept 0.9,0.1 --draft-cost 0.2 "$T/routes"
    [ "$status" -eq 0 ]
    [[ $stderr == *"accept 0.9: it pays"* ]]
    [[ $stderr == *"accept 0.1: it does not pay"* ]]
    [[ $stderr == *"--shape adds their bytes"* ]]
    run --separate-stderr "$ROUTE" speculate -q --accept 0.9 "$T/routes"
    [ -z "$stderr" ]
    # Three windows tell nothing.
    routes 4 >"$T/routes"
    run --separate-stderr "$ROUTE" speculate --accept 0.9 --draft 1 "$T/routes"
    [ "$status" -eq 0 ]
    [[ $stderr == *"it may or may not pay"* ]]
    [ "$(printf '%s\n' "$output" | tsv pays)" = unclear ]
}

@test "speculate: routes of llm-run through a pipe" {
    head -c 1500 README.md >"$T/text"
    "${BUILD:-build}/llm-run" -q -m examples/models/tiny-moe-f16.gguf -f "$T/text" -n 0 -c 1024 \
        --routes "$T/routes"
    run --separate-stderr "$ROUTE" speculate --accept 0.7 --draft 1,2,3 <"$T/routes"
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | tsv unique_experts | sort -n | uniq | wc -l)" -eq 3 ]
    # Two experts a token and at most four tokens.
    printf '%s\n' "$output" | tsv unique_experts | awk '!($1 > 2 && $1 <= 8) { exit 1 }'
    "$ROUTE" speculate --json -q --accept 0.7 "$T/routes" | jq -e .speedup >/dev/null
    fails 2 speculate --plot "$T/plot.pdf" "$T/routes"
    command -v gnuplot >/dev/null || skip "no gnuplot"
    "$ROUTE" speculate -q --accept 0.7 --plot "$T/plot.svg" "$T/routes" >/dev/null
    grep -q "if dense" "$T/plot.svg"
}

@test "speculate: bad values and inputs" {
    routes 20 >"$T/routes"
    for args in "--accept 1.5" "--accept -1" "--accept no" "--accept 0.5," "--draft 0" \
                "--draft 1.5" "--draft-cost -1" "--batch 0" "--windows round" "--context 5" \
                "--experts-in disk" "--level 2" "--resamples 1" "--shape nothing" \
                "--where nothing" "$T/routes"; do
        # shellcheck disable=SC2086
        fails 2 speculate $args "$T/routes"
    done
    fails 1 speculate --device nothing "$T/routes"
    fails 1 speculate "$T/no-such-file"
    # Without bytes there is nothing to compare; a shape says them.
    grep -v '^# layer' "$T/routes" >"$T/bare"
    fails 1 speculate "$T/bare"
    grep -q "no bytes of experts" "$T/err"
    # Nothing so long, nothing at all.
    fails 4 speculate --draft 30 "$T/routes"
    fails 4 speculate --where phase=prefill "$T/routes"
    # shellcheck disable=SC2016
    run --separate-stderr sh -c '"$0" speculate "$1" >/dev/full' "$ROUTE" "$T/routes"
    [ "$status" -eq 1 ]
}

@test "speculate: Qwen3-30B-A3B as published" {
    [ -r "$QWEN" ] || skip "no $QWEN"
    "$ROUTE" speculate -q --accept 0.6,0.8 --draft 1,7,31 "$QWEN" >"$T/rows"
    [ "$(tsv unique_experts <"$T/rows" | head -3 | xargs printf '%.2f ')" = "9.73 23.78 43.40 " ]
    [ "$(tsv unique_formula <"$T/rows" | head -3 | xargs printf '%.2f ')" = "11.72 40.82 100.46 " ]
    [ "$(cells windows | cut -d' ' -f1-3)" = "64 16 4" ]
    "$ROUTE" speculate -q --draft 1,7,31 --accept 0.6 --windows sliding "$QWEN" >"$T/rows"
    [ "$(tsv unique_experts <"$T/rows" | xargs printf '%.2f ')" = "9.72 23.56 42.47 " ]
    # By the formula one draft would not pay at 0.6; counted, it does.
    run --separate-stderr "$ROUTE" speculate --accept 0.6,0.8 "$QWEN"
    printf '%s\n' "$output" | awk -F'\t' 'NR > 1 && $NF == "best" { print $1, $2 }' >"$T/best"
    [ "$(tr '\n' ' ' <"$T/best")" = "0.6 1 0.8 5 " ]
    [[ $stderr == *"accept 0.6: it pays: 1 drafted token a pass is 1.13 times as fast"* ]]
}
