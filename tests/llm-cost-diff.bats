#!/usr/bin/env bats
# llm-cost-diff.bats - llm-cost diff: what changed, in which order, and where the money went

load gate

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    export VERB='diff'
}

# usage FILE INPUT CACHED OUTPUT: one request of model m
usage() {
    printf '{"id":"a","model":"m","input_length":%s,"cached_tokens":%s,"output_length":%s}\n' \
        "$2" "$3" "$4" >"$1"
}

@test "diff: help, its example, and bad options" {
    gate 0 --help
    grep -q '^usage: llm-cost diff' "$T/out"
    records "$T/base.jsonl" 1
    records "$T/head.jsonl" 2 1.2
    line=$("$COST" diff --help | sed -n 's/^Example: //p')
    PATH=$(cd "$(dirname "$COST")" && pwd):$PATH
    (cd "$T" && eval "$line") | grep -q '^usd.volume'
    fails 2 diff "$T/base.jsonl"
    fails 2 diff --plan "$T/base.jsonl"
    fails 2 diff --key '' "$T/base.jsonl" "$T/base.jsonl"
    fails 1 diff --base-book "$T/none" "$T/base.jsonl" "$T/base.jsonl"
}

@test "diff: the largest change first, no verdicts, exit 0" {
    records "$T/base" 1
    records "$T/head" 2 1.5 0
    gate 0 "$T/base" "$T/head"
    [ "$(sed -n 2p "$T/out" | cut -f 1)" = cached_tokens ]
    [ "$(sed -n 3p "$T/out" | cut -f 1)" = usd ] || [ "$(sed -n 3p "$T/out" | cut -f 1)" = output_tokens ]
    [ "$(cell usd direction)/$(cell cached_tokens direction)/$(cell cases direction)" = up/down/same ]
    head -n 1 "$T/out" | grep -qv verdict
    # what is ignored by the built-in policy is shown too
    sed 's/"ttft_ms"/"lag_ms":1,"ttft_ms"/' "$T/base" >"$T/lag"
    gate 0 -q "$T/lag" "$T/lag"
    [ "$(cell lag n)" = 20 ]
}

@test "diff: a change in money is price, volume, mix and cache, exactly" {
    book old 3 0.3 15
    book new 4 0.3 15
    usage "$T/base" 1000 500 100
    # twice of everything
    usage "$T/head" 2000 1000 200
    gate 0 -q --book "$T/old.book" "$T/base" "$T/head"
    [ "$(cell usd change_usd)/$(cell usd.volume change_usd)" = 0.00315/0.00315 ]
    [ "$(cell usd.price change_usd)/$(cell usd.mix change_usd)/$(cell usd.cache change_usd)" = 0/0/0 ]
    # a cold cache
    usage "$T/head" 1000 0 100
    gate 0 -q --book "$T/old.book" "$T/base" "$T/head"
    [ "$(cell usd change_usd)/$(cell usd.cache change_usd)" = 0.00135/0.00135 ]
    # the same requests at other prices
    gate 0 -q --base-book "$T/old.book" --head-book "$T/new.book" "$T/base" "$T/base"
    [ "$(cell usd change_usd)/$(cell usd.price change_usd)" = 0.0005/0.0005 ]
    # prompt tokens for tokens made
    usage "$T/base" 1000 0 100
    usage "$T/head" 900 0 200
    gate 0 -q --book "$T/old.book" "$T/base" "$T/head"
    [ "$(cell usd.mix change_usd)/$(cell usd.volume change_usd)" = 0.0012/0 ]
}

@test "diff: the parts always add up to the pico-dollar" {
    book old 3.1 0.31 15.7
    book new 3.3 0.29 14.9
    for seed in 1 2 3; do
        records "$T/base" $seed 1 0.7
        records "$T/head" $((seed + 9)) 1.13 0.2
        sed -i 's/claude-sonnet-4-5/m/' "$T/base" "$T/head"
        sed -i 3d "$T/head"
        gate 0 -q --json --base-book "$T/old.book" --head-book "$T/new.book" "$T/base" "$T/head"
        for name in usd usd.price usd.volume usd.mix usd.cache; do
            jq -r "select(.metric == \"$name\") | .change_usd" "$T/out"
        done >"$T/parts"
        # decimals of unequal length: as whole pico-dollars
        awk '{
            sign = sub(/^-/, "") ? -1 : 1
            split($0, part, ".")
            d = substr(part[2] "000000000000", 1, 12)
            v[NR] = sign * (part[1] * 1e12 + d)
        } END { exit !(v[1] == v[2] + v[3] + v[4] + v[5] && v[2] && v[3] && v[4] && v[5]) }' "$T/parts"
    done
}

@test "diff: the cache is a part of the mix where a policy says so" {
    book old 3 0.3 15
    usage "$T/base" 1000 500 100
    usage "$T/head" 1000 0 100
    printf 'cache off\nbook %s\nmetric usd\n' "$T/old.book" >"$T/policy"
    gate 0 -q --policy "$T/policy" "$T/base" "$T/head"
    [ "$(cell usd.mix change_usd)/$(cell usd.cache change_usd)" = 0.00135/ ]
}

@test "diff: both sides have the prices of one moment" {
    cat >"$T/dated.book" <<END
book dated observed=2026-11-24 currency=USD
source s url=https://example.org observed=2026-11-24 confidence=listed
model m source=s
price m input 3 to=2026-06-01
price m input 6 from=2026-06-01
price m output 15
END
    usage "$T/base" 1000 0 100
    sed 's/"id"/"time":"2026-01-15T00:00:00Z","id"/' "$T/base" >"$T/then"
    sed 's/"id"/"time":"2026-07-15T00:00:00Z","id"/' "$T/base" >"$T/now"
    gate 0 -q --book "$T/dated.book" "$T/then" "$T/now"
    [ "$(cell usd change_usd)/$(cell usd base_usd)" = 0/0.0075 ]
    gate 0 -q --book "$T/dated.book" --at 2026-02-01 "$T/then" "$T/now"
    [ "$(cell usd base_usd)" = 0.0045 ]
}

@test "diff: usage of an API, and another key" {
    {
        echo '{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5.4","usage":{"prompt_tokens":2000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":1000}}}'
    } >"$T/base"
    sed 's/"completion_tokens":300/"completion_tokens":450/' "$T/base" >"$T/head"
    gate 0 -q "$T/base" "$T/head"
    [ "$(cell output_tokens base)/$(cell output_tokens head)" = 300/450 ]
    sed -i 's/chatcmpl-1/chatcmpl-2/' "$T/head"
    gate 0 -q --key model "$T/base" "$T/head"
    [ "$(cell output_tokens n)" = 1 ]
}

@test "diff: nothing to compare is 4" {
    records "$T/base" 1
    : >"$T/empty"
    gate 4 -q "$T/base" "$T/empty"
    [ "$(cell ttft direction)/$(cell cases direction)" = "only base/down" ]
    gate 4 -q "$T/empty" "$T/empty"
}

@test "diff: Markdown, and a full disk" {
    records "$T/base" 1
    records "$T/head" 2 1.2
    gate 0 -q --format md "$T/base" "$T/head"
    grep -qx '### llm-cost diff' "$T/out"
    grep -q '^Money: ' "$T/out"
    [ -w /dev/full ] || skip "no /dev/full"
    got=0
    "$COST" diff -q "$T/base" "$T/head" >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
}
