#!/usr/bin/env bats
# examples.bats - the scripts of examples/ and the demo run as shipped and show what they claim

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    export LLM_RUN=${BUILD:-build}/llm-run
    export LLM_CACHE=${BUILD:-build}/llm-cache
    export LLM_BENCH=${BUILD:-build}/llm-bench
    export LLM_COST=${BUILD:-build}/llm-cost
    export LLM_ROUTE=${BUILD:-build}/llm-route
    export LLM_QUANT=${BUILD:-build}/llm-quant
    set -o pipefail
}

# column N of the row that begins with KEY
cell() {
    awk -F '\t' -v key="$1" -v n="$2" '$1 == key { print $n; exit }' <<<"$output"
}

# holds EXPRESSION: of awk
holds() {
    awk "BEGIN { exit !($1) }" || { echo "not so: $1"; return 1; }
}

@test "cost-per-step: one prefill, then decode steps that touch 2 experts a layer" {
    run examples/cost-per-step.sh
    [ "$status" = 0 ]
    [ "${#lines[@]}" -ge 16 ]
    [ "$(cell prefill 2)" -gt 1 ]
    [ "$(cell decode 2)" = 1 ]
    [ "$(cell decode 3)" = 12 ]
    holds "$(cell decode 4) > 1 && $(cell decode 5) < $(cell prefill 5)"
}

@test "reasoning-cost: working written out is right more often and costs more" {
    run examples/reasoning-cost.sh 20 2
    [ "$status" = 0 ]
    holds "$(cell working 2) >= 95 && $(cell direct 2) < $(cell working 2)"
    holds "$(cell working 3) > 3 * $(cell direct 3)"
    holds "$(cell working 4) > $(cell direct 4)"
}

@test "jsonl-batch: the same texts, fewer passes, fewer bytes for a token" {
    run examples/jsonl-batch.sh 1 8
    [ "$status" = 0 ]
    holds "$(cell 8 2) < $(cell 1 2) / 4"
    holds "$(cell 8 3) < $(cell 1 3)"
}

@test "expert-load: shares of 16 experts that add up" {
    run examples/expert-load.sh 2 < <(head -c 2000 README.md)
    [ "$status" = 0 ]
    [ "${lines[0]}" = "expert	share_pct" ]
    [ "${#lines[@]}" -le 17 ]
    holds "$(awk -F '\t' 'NR > 1 { s += $2 } END { print s }' <<<"$output") > 99"
}

@test "expert-drift: code wakes experts that prose does not, two halves of prose differ less" {
    run examples/expert-drift.sh
    [ "$status" = 0 ]
    [ "${lines[0]}" = "layer	js_bits	js_null_bits	p	most_expert	most_difference" ]
    [ "${#lines[@]}" = 8 ]
    code=$(awk -F '\t' '$1 == "all" { print $2 }' <<<"$output")
    holds "$(awk -F '\t' '$1 == "all" { print $2 / $3 }' <<<"$output") > 3"
    head -c 1900 LICENSE | head -c 900 >"$BATS_TEST_TMPDIR/a"
    head -c 1800 LICENSE | tail -c 900 >"$BATS_TEST_TMPDIR/b"
    run examples/expert-drift.sh "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
    holds "$(awk -F '\t' '$1 == "all" { print $2 }' <<<"$output") < $code"
}

@test "expert-offload: the best possible is best, more memory hits more" {
    run examples/expert-offload.sh 10% 30% 60%
    [ "$status" = 0 ]
    [ "${lines[0]}" = "budget_bytes	lru	lfu	belady" ]
    [ "$(awk 'NR == 2 { print $2 }' <<<"$output")" = 0.000 ]
    holds "$(awk 'NR > 1 && ($4 < $2 || $4 < $3 || $2 < last) { bad++ }
        NR > 1 { last = $2 } END { print bad + 0 }' <<<"$output") == 0"
}

# hits POLICY: token hit ratio of its last row
hits() {
    awk -F '\t' -v key="$1" '$1 == key { ratio = $3 } END { print ratio }' <<<"$output"
}

@test "cache-policies: at a small size tail first beats plain lru, and belady beats all" {
    run examples/cache-policies.sh 2%
    [ "$status" = 0 ]
    [ "${#lines[@]}" = 6 ]
    holds "$(hits lru-tail) > 1.1 * $(hits lru) && $(hits lru) > $(hits fifo)"
    holds "$(hits belady) > 1.5 * $(hits lru-tail) && $(cell belady 4) == 100"
}

@test "cache-ttl: slow users need a longer time to live, and for ever is the same for all" {
    run examples/cache-ttl.sh
    [ "$status" = 0 ]
    [ "${#lines[@]}" = 4 ]
    holds "$(cell 10s 2) > 0.95 * $(cell 10s 5) && $(cell 10m 2) < 0.1 * $(cell 10m 5)"
    holds "$(cell 10m 4) > 0.95 * $(cell 10m 5)"
    [ "$(cell 10s 5)" = "$(cell 10m 5)" ]
}

@test "cache-paging: more sequences in the same memory, which they fill" {
    run examples/cache-paging.sh
    [ "$status" = 0 ]
    holds "$(cell paged 2) > 1.3 * $(cell oracle 2) && $(cell oracle 2) > 4 * $(cell max 2)"
    holds "$(cell paged 3) > 0.99 && $(cell max 3) < 0.3"
    holds "$(cell paged 4) < $(cell pow2 4) && $(cell pow2 4) < $(cell max 4)"
}

@test "cost-gate: a longer prompt does not pass, the same one does" {
    export RESULTS=$BATS_TEST_TMPDIR/results
    unset GITHUB_ACTIONS
    run examples/ci/cost-gate.sh
    [ "$status" = 3 ]
    [ "$(cell prompt_tokens 16)/$(cell prompt_usd 16)/$(cell usd 16)" = fail/fail/fail ]
    holds "$(cell prompt_tokens 9) > 2"
    grep -q '^### llm-cost check: fail' "$RESULTS/comment.md"
    run examples/ci/cost-gate.sh "$RESULTS/base.txt" "$RESULTS/base.txt" 1
    [ "$status" = 0 ]
    grep -q 'failures="0"' "$RESULTS/gate.xml"
    export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$RESULTS/summary
    run examples/ci/cost-gate.sh "$RESULTS/base.txt" "$RESULTS/head.txt" 1
    [ "$status" = 3 ]
    grep -q '^::error title=fail%3A prompt_tokens::' <<<"$output"
    grep -q 'llm-cost check: fail' "$RESULTS/summary"
}

@test "cost-gate: files are those of the folder that one is in" {
    unset GITHUB_ACTIONS RESULTS
    LLM_RUN=$(realpath "$LLM_RUN") LLM_COST=$(realpath "$LLM_COST")
    script=$PWD/examples/ci/cost-gate.sh
    cd "$BATS_TEST_TMPDIR"
    echo 'Tell a story.' >base.txt
    echo 'Tell a story, and never say that you are a machine.' >head.txt
    RESULTS=results run "$script" base.txt base.txt 1
    [ "$status" = 0 ]
    [ -s results/comment.md ]
    run "$script" base.txt head.txt 1
    [ "$status" = 3 ]
}

@test "every example has its test here" {
    for script in examples/*.sh examples/*/*.sh; do
        grep -q "run $script" "$BATS_TEST_DIRNAME/examples.bats"
    done
}

@test "demo: text, speed and the table, in 30 lines" {
    run scripts/demo
    [ "$status" = 0 ]
    [[ $output == *"It was a dark and stormy night"* ]]
    [ "${#lines[@]}" -le 30 ]
    for row in "tokens per second" "distinct experts" "million FLOPs" "weights read, MB"; do
        grep -qE "^  $row( +[0-9.]+){2}" <<<"$output"
    done
    # Reality is below the flat assumption.
    holds "$(grep 'million FLOPs' <<<"$output" | tail -n 1 | awk '{ print $5 }') > 1"
}

# Numbers are compared as such: the last digit may differ with the C library.
@test "long-context: the table that is committed, and what it shows" {
    run examples/long-context.sh
    [ "$status" = 0 ]
    paste <(echo "$output") examples/long-context.tsv | awk -F '\t' '
        { for (i = 1; i <= 5; i++)
            if ($i != $(i + 5) && !($i + 0 && ($i - $(i + 5)) ^ 2 < ($i * 0.011) ^ 2)) {
                print; bad = 1
            } }
        END { exit bad || NR < 60 }'
    usd() {
        awk -F '\t' -v c="$1" -v w="$2" '$1 == c && $2 == w { print $3 }' <<<"$output"
    }
    # A tier doubles the linear bill of a repository; a cache halves it and more.
    holds "$(usd repository 'bill, no cache') > 1.9 * $(usd repository 'bill, linear')"
    holds "$(usd repository 'bill, cached prefix') < $(usd repository 'bill, linear') / 2"
    # Gains do not multiply.
    holds "$(usd document all) < $(usd document none) / 1000"
    holds "$(usd document 'product of each alone') > 2 * $(usd document all)"
    holds "$(usd repository 'product of each alone') < $(usd repository all) / 2"
}

@test "fewer-bits: fewer bytes are further off, chosen types less far than a mix of that size" {
    run examples/fewer-bits.sh
    [ "$status" = 0 ]
    for mix in q4_k_m q3_k_m; do
        holds "$(cell as-$mix 2) <= $(cell $mix 2) && $(cell as-$mix 2) > 0.99 * $(cell $mix 2)"
        holds "$(cell as-$mix 5) < $(cell $mix 5)"
    done
    holds "$(cell q8_0 5) < $(cell q4_k_m 5) && $(cell q4_k_m 5) < $(cell q3_k_m 5)"
}
