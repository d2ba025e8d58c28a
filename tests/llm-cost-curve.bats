#!/usr/bin/env bats
# llm-cost-curve.bats - llm-cost curve: closed forms, exact thresholds, prices by hand, bad input

load cost

curve() { "$COST" curve "$@"; }

# near GOT WANT SHARE: within this share of it.
near() {
    awk -v a="$1" -v b="$2" -v s="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && d <= s * b) }' ||
        { echo "$1, expected $2"; return 1; }
}

# at EVENT: the length at which it happens, from JSON rows on stdin.
at() { jq -r --arg e "$1" 'select(.event != null and (.event | split(",") | index($e))) | .prompt'; }

# A book of one model with a tier of each kind.
book() {
    cat >"$T/a.book" <<END
book a observed=2026-11-01 currency=USD
source s url=https://example.org/prices observed=2026-11-01 confidence=listed
model m provider=p source=s
price m input 2
price m input $1
price m read 0.2
price m output 10
END
}

@test "help, its examples, and bad options" {
    curve --help | grep -q '^usage: llm-cost curve'
    curve --help | grep '^  llm-cost curve' >"$T/lines"
    [ "$(wc -l <"$T/lines")" = 3 ]
    while read -r _ line; do
        # shellcheck disable=SC2086
        "$COST" $line >"$T/rows" 2>/dev/null
        [ "$(wc -l <"$T/rows")" -gt 20 ]
    done <"$T/lines"
    fails 2 curve
    grep -q 'expected --shape, or --model' "$T/err"
    fails 2 curve --shape llama-3-8b --from 0
    fails 2 curve --shape llama-3-8b --from -1
    fails 2 curve --shape llama-3-8b --to nan
    fails 2 curve --shape llama-3-8b --from 9000 --to 8000
    fails 2 curve --shape llama-3-8b --points 1
    fails 2 curve --shape llama-3-8b --output 0
    fails 2 curve --shape llama-3-8b --cached 101%
    fails 2 curve --shape llama-3-8b --cost usd
    fails 2 curve --shape llama-3-8b --cost seconds
    fails 2 curve --model gpt-5.4 --cost flops
    fails 2 curve --model gpt-5.4 --device h100-sxm
    fails 2 curve --shape llama-3-8b --at 2026-01-01
    fails 2 curve --shape llama-3-8b --plot x.gif
    fails 2 curve --shape llama-3-8b operand
    fails 1 curve --shape no-such-model
    fails 1 curve --shape llama-3-8b --device no-such-device
    fails 2 curve --shape llama-3-8b --device h100-sxm --compute f7
}

# 2 (P - V) n + 4 L d n (n + 1) / 2 and one head, the numbers of Llama-3-8B.
@test "FLOPs, what the next token adds, and the linear assumption: closed forms" {
    curve -q --shape llama-3-8b --from 1000 --to 8000 --points 4 --json >"$T/rows"
    [ "$(wc -l <"$T/rows")" = 4 ]
    matrices=$((2 * (7504924672 - 65 * 4096)))
    head=$((2 * 128256 * 4096))
    for n in 1000 2000 4000 8000; do
        want="[$((n * (matrices - head) + 4 * 32 * 4096 * n * (n + 1) / 2 + head)),$((matrices - head + 4 * 32 * 4096 * (n + 1))),$((2 * 7504924672 * n))]"
        [ "$(jq -c "select(.prompt == $n) | [.flops, .next_flops, .linear_flops]" "$T/rows")" = "$want" ]
    done
    # output: a row and a head for each token but the first
    curve -q --shape llama-3-8b --from 1000 --to 8000 --points 4 --output 501 --json >"$T/out"
    made=$((500 * matrices + 4 * 32 * 4096 * (500 * 1000 + 500 * 501 / 2)))
    [ "$(jq -s '.[0].flops' "$T/out")" = "$(jq -s ".[0].flops + $made" "$T/rows")" ]
    # cached: the front is not computed
    curve -q --shape llama-3-8b --from 1000 --to 8000 --points 4 --cached 50% --json >"$T/out"
    half=$((500 * (matrices - head) + 4 * 32 * 4096 * 500 * 501 / 2))
    [ "$(jq -s '.[0].flops' "$T/out")" = "$(jq -s ".[0].flops - $half" "$T/rows")" ]
    [ "$(jq -s -c 'map(.cached)' "$T/out")" = "[500,1000,2000,4000]" ]
}

@test "the exponent: 1 where all is short, near 2 where scores are all, its fit between" {
    curve -q --shape llama-3.1-8b --from 16 --to 64Mi --json >"$T/rows"
    near "$(jq -s '.[0].exponent' "$T/rows")" 1 0.01
    near "$(jq -s '.[-1].exponent' "$T/rows")" 2 0.001
    jq -s -e '(map(.exponent) | sort) == map(.exponent) and .[0].fit_exponent > 1 and .[0].fit_exponent < 2' "$T/rows"
    curve --shape llama-3.1-8b --to 1Mi 2>"$T/err" >"$T/out"
    grep -q '^llm-cost curve: flops grow as the prompt.s length to the power of 1\.4.*: 1\.0.* at the beginning, 1\.9' "$T/err"
    # windows in all layers: proportional in the end
    curve -q --shape mistral-7b-v0.1 --from 1Mi --to 64Mi --json >"$T/rows"
    near "$(jq -s '.[-1].exponent' "$T/rows")" 1 0.001
    # an exponent of a curve with a cached share is the curve's own slope
    curve -q --shape llama-3.1-8b --from 100000 --to 10000000 --points 1000 --cached 80% --json >"$T/rows"
    jq -s -e '[range(10; 990; 50) as $i | select(.[$i].event == null and .[$i + 1].event == null) |
        ((.[$i + 1].flops / .[$i].flops | log) / (.[$i + 1].prompt / .[$i].prompt | log)) - .[$i].exponent | fabs] | max < 0.01' "$T/rows"
}

@test "context, windows, scores and double: the first length, and not one before" {
    curve --shape llama-3-8b --to 1Mi --json >"$T/rows" 2>"$T/err"
    [ "$(at context <"$T/rows")" = 8193 ]
    grep -q 'from 8193 tokens on, llama-3-8b is made for a context of 8192 tokens' "$T/err"
    [ "$(at scores <"$T/rows")" = 28627 ]
    [ "$("$COST" model -q --shape llama-3-8b --json | jq .crossover_context)" = 28627 ]
    n=$(at double <"$T/rows")
    curve -q --shape llama-3-8b --from $((n - 1)) --to $n --points 2 --json | jq -s -e \
        '.[0].linear_ratio < 2 and .[1].linear_ratio >= 2'
    # what is made counts: 100 tokens, of which the last is not computed
    [ "$(curve -q --shape llama-3-8b --to 1Mi --output 100 --json | at context)" = $((8193 - 99)) ]
    curve --shape gemma-3-27b --to 64Ki --from 16 --json >"$T/rows" 2>"$T/err"
    [ "$(at window <"$T/rows")" = 1025 ]
    grep -q 'from 1025 tokens on, 52 of 62 layers see the last 1024 tokens' "$T/err"
    # at a point of the grid, the row says so
    curve -q --shape llama-3-8b --from 8193 --to 8194 --points 2 --json | jq -s -e '.[0].event == null'
    curve -q --shape llama-3-8b --from 8192 --to 8193 --points 2 --json | jq -s -e \
        'length == 2 and .[1].event == "context"'
}

# 80e9 bytes less 16.06e9 of weights, 131072 bytes a token.
@test "a device: times, joules, and where its memory ends" {
    curve -q --shape llama-3-8b --device h100-sxm --to 1Mi --json >"$T/rows"
    [ "$(at memory <"$T/rows")" = $(((80000000000 - 16060522496) / 131072 + 1)) ]
    # eight sequences fill it sooner, and in the end the next memory, too
    curve --shape llama-3-8b --device h100-sxm --to 1Mi --batch 8 --json >"$T/eight" 2>"$T/err"
    [ "$(at memory <"$T/eight" | head -n 1)" = $(((80000000000 - 16060522496) / 131072 / 8 + 1)) ]
    [ "$(at memory <"$T/eight" | wc -l)" = 2 ]
    grep -q 'fill the gpu memory of h100-sxm: the rest is read from its host' "$T/err"
    grep -q 'fill the host memory of h100-sxm' "$T/err"
    jq -s -e 'map(.seconds) | . == sort and .[0] > 0.01 and .[0] < 0.1' "$T/rows"
    jq -s -e 'all(.joules <= .seconds * 700.001 and .joules > 0 and .next_seconds > 0)' "$T/rows"
    # the next token's time is the difference of two requests'
    curve -q --shape llama-3-8b --device h100-sxm --from 50000 --to 50001 --points 2 --json >"$T/rows"
    near "$(jq -s '.[0].next_seconds' "$T/rows")" "$(jq -s '.[1].seconds - .[0].seconds' "$T/rows")" 1e-9
    # two devices that share every matrix keep and do more
    curve -q --shape llama-3-8b --device h100-sxm --tp 2 --to 2Mi --json >"$T/two"
    [ "$(at memory <"$T/two")" = $(((160000000000 - 16060522496) / 131072 + 1)) ]
    jq -s -e '.[0].seconds' "$T/two" >"$T/seconds"
    near "$(cat "$T/seconds")" "$(curve -q --shape llama-3-8b --device h100-sxm --json | jq -s '.[0].seconds / 2')" 0.2
}

@test "prices: a whole tier's cliff, one token before and at it" {
    book '4 above=1000 cmp=gt mode=whole of=prompt'
    curve --model m --book "$T/a.book" --from 100 --to 10000 --output 200 --cached 50% --json >"$T/rows" 2>"$T/err"
    [ "$(at tier <"$T/rows")" = 1001 ]
    # 501 fresh at $4, 500 read at $0.2, 200 made at $10, a million
    jq -s -e '.[] | select(.event == "tier") | .usd == "0.004104" and .linear_usd == "0.003102" and .next_usd == "0.000004"' "$T/rows"
    grep -q 'from 1001 tokens on, one token costs \$0.001004, by price m input 4 above=1000' "$T/err"
    # --cost is usd without a shape
    jq -s -e '.[0].flops == null and .[0].exponent > 0 and .[0].book == "a"' "$T/rows"
    book '4 above=1000 cmp=ge mode=whole of=prompt'
    [ "$(curve -q --model m --book "$T/a.book" --from 100 --to 10000 --json | at tier)" = 1000 ]
    book '4 above=1000 cmp=gt mode=whole of=total'
    [ "$(curve -q --model m --book "$T/a.book" --from 100 --to 10000 --output 200 --json | at tier)" = 801 ]
}

@test "prices: a marginal tier has no cliff in dollars, but its length is said" {
    book '4 above=1000 cmp=gt mode=marginal of=prompt'
    curve --model m --book "$T/a.book" --from 999 --to 1003 --points 5 --output 1 --json >"$T/rows" 2>"$T/err"
    [ "$(at tier <"$T/rows")" = 1001 ]
    grep -q 'one token costs \$0.000004, by' "$T/err"
    [ "$(jq -s -c 'map(.next_usd)' "$T/rows")" = '["0.000002","0.000004","0.000004","0.000004","0.000004"]' ]
}

@test "prices by date, and several tiers" {
    book '3 above=500 cmp=gt mode=whole of=prompt to=2026-02-01'
    echo 'price m input 5 above=2000 cmp=gt mode=whole of=prompt' >>"$T/a.book"
    [ "$(curve -q --model m --book "$T/a.book" --from 100 --to 10000 --at 2026-01-31 --json | at tier | paste -sd,)" = 501,2001 ]
    [ "$(curve -q --model m --book "$T/a.book" --from 100 --to 10000 --at 2026-02-01 --json | at tier)" = 2001 ]
}

@test "a model without a price: exit 4 and its name, no rows" {
    book '4 above=1000 cmp=gt mode=whole of=prompt'
    fails 4 curve --model nobodys-model --book "$T/a.book"
    grep -q 'nobodys-model' "$T/err"
    fails 4 curve --shape llama-3-8b --model nobodys-model
    fails 1 curve --model m --book "$T/no.book"
}

@test "shape, device and prices together" {
    book '4 above=1000 cmp=gt mode=whole of=prompt'
    curve -q --shape llama-3-8b --device h100-sxm --model m --book "$T/a.book" --from 100 --to 10000 --json >"$T/rows"
    [ "$(jq -r 'select(.event != null) | "\(.event) \(.prompt)"' "$T/rows" | paste -sd,)" = "tier 1001,context 8193" ]
    jq -s -e 'all(.usd != null and .flops != null and .seconds != null)' "$T/rows"
    curve -q --shape llama-3-8b --format table --to 4096 --points 3 >"$T/table"
    head -1 "$T/table" | grep -q flops
    run ! grep -q 'usd\|seconds' "$T/table"
}

@test "the same command gives the same bytes; a long output takes no time" {
    curve --shape deepseek-v3 --device h200 --tp 8 --output 1M --batch 32 --points 100 >"$T/a" 2>"$T/err"
    curve --shape deepseek-v3 --device h200 --tp 8 --output 1M --batch 32 --points 100 2>/dev/null | cmp - "$T/a"
}

@test "a picture" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    curve -q --shape llama-3-8b --device h100-sxm --to 1Mi --plot "$T/curve.svg" >"$T/out"
    grep -q '<svg' "$T/curve.svg"
    grep -q 'the next token' "$T/curve.svg"
    grep -q 'linear assumption' "$T/curve.svg"
    curve -q --shape llama-3-8b --device h100-sxm --cost seconds --plot "$T/curve.svg" >"$T/out"
    grep -q 'microseconds a token' "$T/curve.svg"
    run ! grep -q 'linear assumption' "$T/curve.svg"
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    got=0
    "$COST" curve -q --shape llama-3-8b >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q '^llm-cost' "$T/err"
}
