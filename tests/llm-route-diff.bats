#!/usr/bin/env bats
# llm-route-diff.bats - llm-route diff from the outside

load route

# shellcheck disable=SC2154  # run sets output and stderr

MODEL=examples/models/tiny-moe-f16.gguf

# Cell of column NAME in the row of all layers.
all() {
    tsv "$1" | tail -1
}

# prompts N: requests of 400 characters out of stdin, as JSON Lines. They are far from their
# neighbours in the text, so that any half of them is about the same.
prompts() {
    jq -Rsc --argjson n "$1" '
        . as $text | range($n) | . as $i | ($i * 13 % $n) * 400
        | {id: ($i | tostring), prompt: $text[.:. + 400], max_tokens: 0}'
}

prose() {
    sed '/^\./d' man/llm-cache.1 | prompts "$1"
}

code() {
    cat lib/cache/r*.c | prompts "$1"
}

# routes NAME: requests of NAME.jsonl through the embedded model.
routes() {
    "${BUILD:-build}/llm-run" -q -m $MODEL -f "$T/$1.jsonl" --jsonl -n 0 --routes "$T/$1.npy" \
        >/dev/null
}

# topics N: labels of 32 requests, of which the first N are prose.
topics() {
    printf 'request\ttopic\n'
    seq 0 31 | awk -v n="$1" '{ print $1 "\t" ($1 < n ? "prose" : "code") }'
}

# made NAME SEED EXPERTS... : a trace in BigMoeOnEdge's form, 8 turns of 20 tokens, 2 layers, 8
# experts, one a token, which layer 0 draws from EXPERTS; layer 1 takes them in turn.
made() {
    local name=$1 seed=$2
    shift 2
    awk -v seed="$seed" -v list="$*" 'BEGIN {
        n = split(list, e, " ")
        srand(seed)
        print "# route_trace v1"
        print "# model=toy arch=toy n_layer=2 n_expert=8 n_expert_used=1"
        print "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes"
        for (turn = 0; turn < 8; turn++)
            for (step = 0; step < 20; step++)
                for (layer = 0; layer < 2; layer++)
                    printf "%d,1,%d,%d,0,%d,1,0,0\n", turn, step, layer,
                        layer ? (turn + step) % 8 : e[1 + int(rand() * n)]
    }' >"$T/$name.csv"
}

@test "diff: prose and code are routed differently, halves of one text hardly" {
    prose 20 >"$T/prose.jsonl"
    code 20 >"$T/code.jsonl"
    routes prose
    routes code
    run --separate-stderr -0 "$ROUTE" diff "$T/prose.npy" "$T/code.npy"
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 8 ]
    [ "$(printf '%s\n' "$output" | tsv layer | tr '\n' ' ')" = "0 1 2 3 4 5 all " ]
    [ "$(printf '%s\n' "$output" | all unit)" = request ]
    [ "$(printf '%s\n' "$output" | all units_a)" -eq 20 ]
    printf '%s\n' "$output" | awk -F'\t' 'NR > 1 && !($5 < 0.01 && $2 > 2 * $3) { exit 1 }'
    printf '%s\n' "$output" | all experts_differ | awk '$1 < 20 { exit 1 }'
    run --separate-stderr -0 "$ROUTE" diff --where request=0-9 --against request=10-19 \
        "$T/prose.npy"
    printf '%s\n' "$output" | all p | awk '$1 < 0.002 { exit 1 }'
    printf '%s\n' "$output" | all js_bits | awk '$1 > 0.02 { exit 1 }'
}

@test "diff: words never call a difference unsafe, and name the control that is missing" {
    made a 1 0 1 2
    made b 2 0 1 2
    run --separate-stderr -0 "$ROUTE" diff "$T/a.csv" "$T/b.csv"
    [[ $stderr == *"not by itself a change in behaviour or in safety"* ]]
    [[ $stderr == *"--control COLUMN"* ]]
    [[ $stderr != *unsafe* ]]
    run --separate-stderr -0 "$ROUTE" diff -q "$T/a.csv" "$T/b.csv"
    [ -z "$stderr" ]
}

@test "diff: sides without an expert in common are a whole bit apart" {
    made a 1 0 1 2
    made b 2 5 6
    run --separate-stderr -0 "$ROUTE" diff "$T/a.csv" "$T/b.csv"
    [ "$(printf '%s\n' "$output" | tsv js_bits | head -1)" = 1 ]
    [ "$(printf '%s\n' "$output" | tsv top_overlap | head -1)" = 0 ]
    [ "$(printf '%s\n' "$output" | tsv js_bits | sed -n 2p)" = 0 ]
    [ "$(printf '%s\n' "$output" | tsv p | sed -n 2p)" = 1 ]
    [ "$(printf '%s\n' "$output" | tsv experts_differ | tr '\n' ' ')" = "5 0 5 " ]
    [ "$(printf '%s\n' "$output" | all js_bits)" = 0.5 ]
}

@test "diff: --by expert has the rates, of those that differ or of all" {
    made a 1 0 0 0 1
    made b 2 0 1 1 1
    run --separate-stderr -0 "$ROUTE" diff --by expert "$T/a.csv" "$T/b.csv"
    [ "$(printf '%s\n' "$output" | tsv expert | sort | tr '\n' ' ')" = "0 1 " ]
    printf '%s\n' "$output" | awk -F'\t' 'NR > 1 {
        if ($5 - ($3 - $4) > 1e-9 || $4 + $5 - $3 > 1e-9 || $5 < $6 || $5 > $7 || $9 > 0.05) exit 1
    }'
    run --separate-stderr -0 "$ROUTE" diff --by expert --all "$T/a.csv" "$T/b.csv"
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 17 ]
    [ "$(printf '%s\n' "$output" | tsv q | grep -c -e -)" -ge 6 ]   # those that no side uses
}

@test "diff: parts of one file, from a pipe too, and in place of a condition" {
    made a 1 0 1 2
    "$ROUTE" diff -q --where request=0-3 --where phase=decode --against request=4-7 "$T/a.csv" \
        >"$T/file"
    "$ROUTE" diff -q --where request=0-3 --against request=4-7 - <"$T/a.csv" >"$T/pipe"
    "$ROUTE" diff -q --where request=0-3 --against request=4-7 <(cat "$T/a.csv") >"$T/fifo"
    "$ROUTE" diff -q --where request=0-3 --against request=4-7 <"$T/a.csv" >"$T/stdin"
    diff "$T/file" "$T/pipe"
    diff "$T/file" "$T/fifo"
    diff "$T/file" "$T/stdin"
    [ "$(all tokens_b <"$T/file")" -eq 80 ]
    "$ROUTE" diff -q --unit request --where position=0-9 --against position=10-19 "$T/a.csv" \
        >"$T/pairs"
    [ "$(all unit <"$T/pairs")" = pair ]
}

@test "diff: seed and threads give the same numbers" {
    made a 1 0 1 2 3
    made b 2 0 1 2 3 4
    "$ROUTE" diff -q -t 1 "$T/a.csv" "$T/b.csv" >"$T/one"
    "$ROUTE" diff -q -t 3 "$T/a.csv" "$T/b.csv" >"$T/three"
    diff "$T/one" "$T/three"
    "$ROUTE" diff -q --seed 2 "$T/a.csv" "$T/b.csv" >"$T/other"
    [ "$(tsv js_bits <"$T/one")" = "$(tsv js_bits <"$T/other")" ]
    [ "$(all js_null_bits <"$T/one")" != "$(all js_null_bits <"$T/other")" ]
}

@test "diff: topics that are matched leave little of what they made" {
    prose 32 >"$T/prose.jsonl"
    code 32 >"$T/code.jsonl"
    { sed -n 1,24p "$T/prose.jsonl"; sed -n 1,8p "$T/code.jsonl"; } >"$T/a.jsonl"
    { sed -n 25,32p "$T/prose.jsonl"; sed -n 9,32p "$T/code.jsonl"; } >"$T/b.jsonl"
    routes a
    routes b
    topics 24 >"$T/a.tsv"
    topics 8 >"$T/b.tsv"
    run --separate-stderr -0 "$ROUTE" diff --labels "$T/a.tsv" --labels-b "$T/b.tsv" \
        --control topic "$T/a.npy" "$T/b.npy"
    [[ $stderr != *"--control COLUMN"* ]]
    printf '%s\n' "$output" | all p | awk '$1 > 0.01 { exit 1 }'
    printf '%s\n' "$output" | all matched_p | awk '$1 < 0.002 { exit 1 }'
    printf '%s\n' "$output" | all matched_left | awk '$1 > 0.25 { exit 1 }'
    # No topic on both sides, and a topic on one.
    run --separate-stderr -4 "$ROUTE" diff --labels "$T/a.tsv" --control topic \
        --where topic=prose --against topic=code "$T/a.npy"
    [ -z "$output" ]
    [[ $stderr == *"no topic is on both sides"* ]]
    run --separate-stderr -0 "$ROUTE" diff --labels "$T/a.tsv" --labels-b "$T/b.tsv" \
        --control topic --where topic=prose --against topic=prose,code "$T/a.npy" "$T/b.npy"
    [[ $stderr == *"1 topics compared; left out: 1 of one side alone"* ]]
}

@test "diff: labels come from a pipe as well as from a file" {
    made a 1 0 1 2
    { echo 'request,half'; for i in $(seq 0 7); do echo "$i,$((i % 2))"; done; } >"$T/labels"
    sides=(-q --control phase --where half=0 --against half=1)
    "$ROUTE" diff --labels "$T/labels" "${sides[@]}" "$T/a.csv" >"$T/want"
    "$ROUTE" diff --labels - "${sides[@]}" "$T/a.csv" <"$T/labels" | cmp - "$T/want"
    cat "$T/labels" | "$ROUTE" diff --labels /dev/stdin "${sides[@]}" "$T/a.csv" | cmp - "$T/want"
    "$ROUTE" diff --labels "$T/labels" --labels-b - "${sides[@]}" "$T/a.csv" "$T/a.csv" \
        <"$T/labels" | cmp - "$T/want"
    got=0
    echo x | "$ROUTE" diff --labels - "${sides[@]}" "$T/a.csv" 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q "stdin: line 1: expected labels" "$T/err"
    fails 2 diff --labels "$T/labels" --labels-b - "$T/a.csv" -
}

@test "diff: few requests are cut into blocks, and words say what that means" {
    made a 1 0 1 2
    run --separate-stderr -0 "$ROUTE" diff --where request=0 --against request=1-7 "$T/a.csv"
    [ "$(printf '%s\n' "$output" | all unit)" = block ]
    [[ $stderr == *"p is about these texts"* ]]
    run --separate-stderr -0 "$ROUTE" diff --unit request --where request=0 --against request=1-7 \
        "$T/a.csv"
    [ "$(printf '%s\n' "$output" | all p)" = - ]
    [[ $stderr == *"too few requests"* ]]
    run --separate-stderr -0 "$ROUTE" diff --block 5 --where request=0 --against request=1-7 \
        "$T/a.csv"
    [ "$(printf '%s\n' "$output" | all block_tokens)" -eq 5 ]
    [ "$(printf '%s\n' "$output" | all units_b)" -eq 28 ]
}

@test "diff: count tables have a divergence and no p" {
    printf 'domain,layer,expert,count\na,0,0,10\na,0,1,30\nb,0,0,30\nb,0,1,10\nb,0,2,0\n' >"$T/c"
    run --separate-stderr -0 "$ROUTE" diff --where domain=a --against domain=b "$T/c"
    [[ $stderr == *"no independent samples"* ]]
    # 1 - H(1/4) = 0.188722
    printf '%s\n' "$output" | all js_bits | grep -q '^0\.188721875'
    [ "$(printf '%s\n' "$output" | all p)" = - ]
    run --separate-stderr -0 "$ROUTE" diff -q --by expert --where domain=a --against domain=b \
        "$T/c"
    [ "$(printf '%s\n' "$output" | tsv difference | head -1)" = -0.5 ]
    run --separate-stderr -4 "$ROUTE" diff --fail-p 0.05 --where domain=a --against domain=b "$T/c"
    run --separate-stderr -1 "$ROUTE" diff --control domain --labels "$T/c" --where domain=a \
        --against domain=b "$T/c"
}

@test "diff: checks that were asked for decide the exit status" {
    made a 1 0 1 2
    made b 2 5 6
    run --separate-stderr -3 "$ROUTE" diff --fail-above 0.4 "$T/a.csv" "$T/b.csv"
    [[ $stderr == *"check: 0.5 bits"* ]]
    [ -n "$output" ]
    run --separate-stderr -0 "$ROUTE" diff --fail-above 0.6 "$T/a.csv" "$T/b.csv"
    run --separate-stderr -3 "$ROUTE" diff --fail-p 0.01 "$T/a.csv" "$T/b.csv"
    run --separate-stderr -0 "$ROUTE" diff --fail-p 0.01 "$T/a.csv" "$T/a.csv"
    run --separate-stderr -4 "$ROUTE" diff --unit request --fail-p 0.01 --where request=0 \
        --against request=1 "$T/a.csv"
}

@test "diff: an empty side ends with exit 4, other models with exit 1" {
    made a 1 0 1 2
    fails 4 diff --where request=0 --against request=99 "$T/a.csv"
    fails 4 diff --where request=98 --against request=99 "$T/a.csv"
    sed 's/n_expert=8/n_expert=9/' "$T/a.csv" >"$T/nine.csv"
    fails 1 diff "$T/a.csv" "$T/nine.csv"
    grep -q 'has 8 experts, .* has 9: expected the same model' "$T/err"
    awk -F, '$4 != 1' "$T/a.csv" | sed 's/n_layer=2/n_layer=1/' >"$T/layer.csv"
    fails 1 diff "$T/a.csv" "$T/layer.csv"
    grep -q 'has 2 layers with experts' "$T/err"
    printf 'layer,expert,count\n0,0,1\n1,7,1\n' >"$T/counts"
    fails 1 diff "$T/a.csv" "$T/counts"
    grep -q 'expected two of a kind' "$T/err"
}

@test "diff: bad command lines end with exit 2" {
    made a 1 0 1 2
    for args in "" "$T/a.csv" "$T/a.csv $T/a.csv $T/a.csv" "--against x $T/a.csv" \
                "--against =1 $T/a.csv" "--by layers $T/a.csv $T/a.csv" "- -" \
                "--resamples 5 $T/a.csv $T/a.csv" "--fdr 2 $T/a.csv $T/a.csv" \
                "--unit token $T/a.csv $T/a.csv" "--block 0 $T/a.csv $T/a.csv" \
                "--unit request --block 4 $T/a.csv $T/a.csv" "--top 0 $T/a.csv $T/a.csv" \
                "--control= $T/a.csv $T/a.csv" "--plot x.pdf $T/a.csv $T/a.csv" \
                "--fail-above nan $T/a.csv $T/a.csv"; do
        # shellcheck disable=SC2086
        fails 2 diff $args || { echo "$args"; false; }
    done
}

@test "diff: bad input ends with exit 1 and the name that was given" {
    made a 1 0 1 2
    fails 1 diff "$T/a.csv" "$T/nothing"
    fails 1 diff "$T" "$T/a.csv"
    run --separate-stderr -1 "$ROUTE" diff "$T/a.csv" - < <(head -c 200 "$T/a.csv"; echo "0,x,")
    [[ $stderr == "llm-route diff: stdin: line "* ]]
    fails 1 diff --control topic "$T/a.csv" "$T/a.csv"
    printf 'request\tkind\n0\tx\n' >"$T/labels"
    fails 1 diff --labels "$T/labels" --control topic "$T/a.csv" "$T/a.csv"
    grep -q "no column 'topic'" "$T/err"
    { printf 'request\ttopic\n'; seq 0 1099 | awk '{ print $1 "\tt" $1 }'; } >"$T/labels"
    printf '{"routed_experts":[[[0]],[[1]]]}\n%.0s' $(seq 1100) >"$T/many"
    fails 1 diff --labels "$T/labels" --control topic "$T/many" "$T/many"
    grep -q "more than 1000 values" "$T/err"
    run --separate-stderr -1 bash -c "'$ROUTE' diff -q '$T/a.csv' '$T/a.csv' >/dev/full"
    [[ $stderr == *"No space left"* ]]
}

@test "diff: --json has the columns of the table, and layers that are numbers" {
    made a 1 0 1 2
    made b 2 0 1 2
    "$ROUTE" diff -q "$T/a.csv" "$T/b.csv" | head -1 | tr '\t' '\n' >"$T/columns"
    "$ROUTE" diff -q --json "$T/a.csv" "$T/b.csv" >"$T/json"
    head -1 "$T/json" | jq -r 'keys_unsorted[]' >"$T/keys"
    diff "$T/columns" "$T/keys"
    jq -es '.[0].layer == 0 and .[2].layer == "all" and .[0].matched_p == null' "$T/json"
}

@test "diff: --plot draws layers" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    made a 1 0 1 2
    made b 2 0 1 2
    "$ROUTE" diff -q --plot "$T/p.svg" "$T/a.csv" "$T/b.csv" >"$T/out"
    grep -q 'Divergence of routes' "$T/p.svg"
    grep -q '95 % of shuffles' "$T/p.svg"
}

@test "diff: domains of OLMoE" {
    counts=../shared/data/routes/olmoe-1b-7b.expert-counts.tsv
    [ -r "$counts" ] || skip "no $counts"
    run --separate-stderr -0 "$ROUTE" diff --where domain=book --against domain=github "$counts"
    [ "$(printf '%s\n' "$output" | tsv js_bits | awk 'NR == 3 { printf "%.4f", $1 }')" = 0.4982 ]
}

@test "diff: prefill and decode of Qwen3" {
    trace=../shared/data/routes/qwen3-30b-a3b.route.csv
    [ -r "$trace" ] || skip "no $trace"
    run --separate-stderr -0 "$ROUTE" diff --where phase=prefill --against phase=decode "$trace"
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 50 ]
    [ "$(printf '%s\n' "$output" | all tokens_a)" -eq 28 ]
    printf '%s\n' "$output" | all p | awk '$1 > 0.01 { exit 1 }'
    [[ $stderr == *"blocks"* ]]
}
