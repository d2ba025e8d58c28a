#!/usr/bin/env bats
# llm-cost-agent.bats - a context over turns and days

load cost

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    cat >"$T/a.book" <<'END'
book a observed=2026-11-30
source s observed=2026-11-30 confidence=assumed
model m source=s context=100000
price m input 10
price m read 1
price m write 12.50 ttl=5m
price m write 20 ttl=1h
price m output 50
price m storage 1
END
}

agent() {
    "$COST" agent --book "$T/a.book" --model m --system 1000 --input 100 --output 10 "$@"
}

# usd WAY: of the rows in $T/out
usd() {
    jq -r "select(.way == \"$1\") | .usd" "$T/out"
}

@test "agent: three turns by hand" {
    agent --turns 3 --interval 1m --json >"$T/out"
    # Prompts of 1100, 1210 and 1320 tokens, 10 made each.
    [ "$(usd recompute)" = "$(jq -n '(3630 * 10 + 30 * 50) / 1e6')" ]
    # 1100 and then 110, 110 written; 1100 and 1210 read.
    [ "$(usd 'cache 5m')" = 0.02031 ]
    [ "$(usd 'cache 1h')" = "$(jq -n '(1320 * 20 + 2310 + 1500) / 1e6')" ]
    # Storage: 1100 and 1210 tokens for a minute each at 1 dollar per million and hour.
    [ "$(usd stored)" = "0.0170485" ]
    jq -es 'map(select(.way == "cache 5m")) | .[0].read_tokens == 2310
        and .[0].computed_tokens == 1320' "$T/out"
}

@test "agent: a cache that is over, and one that is kept alive" {
    agent --turns 2 --interval 11m --json >"$T/out"
    # 1100 and 1210 written anew
    [ "$(usd 'cache 5m')" = "$(jq -n '(2310 * 12.5 + 20 * 50) / 1e6')" ]
    # two short requests, each reading 1100 and making 1
    [ "$(usd 'keep-alive 5m')" = "$(jq -n '(1210 * 12.5 + 1100 + 2 * 1100 + 22 * 50) / 1e6')" ]
    jq -es 'any(.way == "keep-alive 5m" and .renewals == 2)' "$T/out"
}

@test "agent: the interval up to which a way pays is where its cost passes recomputing" {
    agent --turns 5 --interval 1m --json >"$T/out"
    jq -es 'any(.way == "cache 5m" and .pays == "up to" and .pays_to_s == 300)' "$T/out"
    s=$(jq 'select(.way == "stored") | .pays_to_s' "$T/out")
    for shift in -1 1; do
        t=$(awk -v s="$s" -v d=$shift 'BEGIN { printf "%.0fms", (s + d) * 1000 }')
        agent --turns 5 --interval "$t" --json >"$T/out"
        jq -es --argjson d $shift 'map({(.way): (.usd | tonumber)}) | add
            | (.stored <= .recompute) == ($d < 0)' "$T/out"
    done
}

@test "agent: contexts are compacted at what the model holds" {
    agent --turns 3000 --interval 1m --json >"$T/out"
    agent --turns 3000 --interval 1m --limit 0 --json >"$T/free"
    jq -es '.[0] < .[1] / 2' <(jq 'select(.way == "recompute") | .computed_tokens' "$T/out" \
        "$T/free")
    fails 2 agent --book "$T/a.book" --model m --limit 100
}

@test "agent: on a device, with and without a snapshot" {
    "$COST" agent --shape llama-3.1-8b --device h100-sxm --price-hour 3 --turns 10 \
        --interval 10m,1d --storage disk=0.08 --storage host=0 --json >"$T/out"
    jq -es 'map(select(.interval_s == 600) | {(.way): .}) | add
        | (.["snapshot disk"].busy_s < .recompute.busy_s)
        and (.["snapshot disk"].joules < .recompute.joules)
        and (.["snapshot host"].pays == "always") and (.resident.pays == "up to")
        and (.recompute.read_tokens == 0)' "$T/out"
    fails 1 agent --shape llama-3.1-8b --device h100-sxm --price-hour 3 --storage tape=1
    fails 2 agent --shape llama-3.1-8b
    fails 2 agent
}

@test "agent: days come from a span; unknown models are named" {
    agent --span 1h --interval 10m --json | jq -es 'all(.turns == 6)'
    fails 2 agent --book "$T/a.book" --model m --span 1h --turns 3
    fails 4 agent --book "$T/a.book" --model no-such
    grep -q no-such "$T/err"
    run -1 bash -c '"$COST" agent --book "$1" --model m >/dev/full' - "$T/a.book"
}

@test "agent: --plot" {
    command -v gnuplot >/dev/null || skip "gnuplot is not installed"
    agent --interval 1m,10m,1h --plot "$T/a.svg" >/dev/null
    grep -q 'keep-alive' "$T/a.svg"
}

@test "agent: a model without a price is one line and 4, whatever a device takes" {
    run -4 bash -c '"$COST" agent --model no-such 2>&1'
    [ "$output" = 'llm-cost agent: no-such: the book has no such model' ]
    run -4 "$COST" agent --model no-such --shape llama-3.1-8b --device h100-sxm
    [[ $output == *recompute* ]]
}

@test "agent: huge contexts on a device cost no negative money, and do not stay in its memory" {
    "$COST" agent --shape llama-3.1-8b --device h100-sxm --system 1Gi --limit 0 --turns 1000 \
        --interval 1d --json >"$T/rows" 2>"$T/err"
    jq -es 'map(.way) == ["recompute", "snapshot disk"] and all(.usd | tonumber > 1e6)' "$T/rows"
    grep -q 'resident left out: h100-sxm: its memory does not hold a context of 1076241824' "$T/err"
    fails 1 agent --shape llama-3.1-8b --device h100-sxm --system 1Gi --limit 0 --turns 1000 \
        --price-hour 999999999999
    grep -q 'more than \$1e12' "$T/err"
}
