#!/usr/bin/env bats
# llm-cache-provider.bats - llm-cache provider from the outside

load cache

# Two turns of a conversation and a stranger, blocks of 100 tokens, a minute apart.
provider_trace() {
    local line='{"timestamp":%d,"input_length":%d,"output_length":10,"hash_ids":[%s],'
    line+='"session_id":"%s"}\n'
    # shellcheck disable=SC2059 # the format is used thrice
    printf "$line" 0 1000 0,1,2,3,4,5,6,7,8,9 a 60000 1200 0,1,2,3,4,5,6,7,8,9,10,11 a \
        120000 300 12,13,14 b
}

# provider_field NAME FILE: the column of that name.
provider_field() {
    awk -F '\t' -v name="$1" 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == name) k = i; next}
        {print $k}' "$2" | paste -sd ' '
}

@test "provider: cost, hits and break-even by hand" {
    provider_trace | "$CACHE" provider --block-tokens 100 --ttl 59s,60s,inf >"$T/out"
    [ "$(provider_field hit_tokens "$T/out")" = "0 1000 1000" ]
    [ "$(provider_field expired_tokens "$T/out")" = "1000 0 0" ]
    # 2500 x 1.25; 1000 x 0.1 + 1500 x 1.25
    [ "$(provider_field cost_tokens "$T/out")" = "3125 1975 1975" ]
    [ "$(provider_field cost_ratio "$T/out")" = "1.25 0.79 0.79" ]
    [ "$(provider_field breakeven_hit_ratio "$T/out")" = "0.2173913043 0.2173913043 0.2173913043" ]
    [ "$(provider_field breakeven_ttl_s "$T/out")" = "60 60 60" ]
    provider_trace | "$CACHE" provider --block-tokens 100 --min 1100 >"$T/out"
    [ "$(provider_field written_tokens "$T/out")" = 1200 ]
    [ "$(provider_field fresh_tokens "$T/out")" = 1300 ]
    provider_trace | "$CACHE" provider --block-tokens 100 --output-price 5 --write 1 >"$T/out"
    [ "$(provider_field uncached_cost_tokens "$T/out")" = 2650 ]
    [ "$(provider_field cost_tokens "$T/out")" = 1750 ]
}

@test "provider: breakpoints at the head, in several places, and by session" {
    provider_trace >"$T/in"
    "$CACHE" provider --block-tokens 100 --breakpoints 1 --head 400 "$T/in" >"$T/out"
    [ "$(provider_field hit_tokens "$T/out")" = 400 ]
    [ "$(provider_field fresh_tokens "$T/out")" = 1700 ]
    "$CACHE" provider --block-tokens 100 --breakpoints 2 --place turns,spread,double "$T/in" \
        >"$T/out"
    [ "$(provider_field place "$T/out")" = "turns spread double" ]
    [ "$(provider_field hit_tokens "$T/out")" = "1000 1000 1000" ]
    "$CACHE" provider --block-tokens 100 --breakpoints 2 --lookback 1 --place spread,turns "$T/in" \
        >"$T/out"
    [ "$(provider_field hit_tokens "$T/out")" = "500 1000" ]
    "$CACHE" provider --block-tokens 100 --by session "$T/in" >"$T/out"
    [ "$(provider_field session "$T/out")" = "a b" ]
    [ "$(provider_field hit_tokens "$T/out")" = "1000 0" ]
}

@test "provider: storage costs by the hour" {
    # 1000 tokens for the first hour and 59 minutes more by nobody: not renewed; 200 and 300 more.
    provider_trace | "$CACHE" provider --block-tokens 100 --preset gemini-explicit --min 0 >"$T/out"
    [ "$(provider_field stored_token_hours "$T/out")" = 1500 ]
    [ "$(provider_field breakeven_interval_s "$T/out")" = 900 ]
    provider_trace | "$CACHE" provider --block-tokens 100 --preset gemini-explicit --min 0 \
        --renew yes >"$T/out"
    [ "$(provider_field stored_token_hours "$T/out")" = 1516.666667 ]
}

@test "provider: presets are in the help, unknown ones are refused with their names" {
    run -0 "$CACHE" provider --help
    for preset in anthropic-5m anthropic-1h openai gemini-explicit deepseek; do
        [[ $output == *"  $preset "* ]]
        provider_trace | "$CACHE" provider --block-tokens 100 --preset $preset --json |
            grep -q "\"rule\":\"$preset\""
    done
    provider_trace >"$T/in"
    run -2 "$CACHE" provider --preset nobody "$T/in"
    [[ $output == *anthropic-5m* ]]
}

@test "provider: bad command lines are exit 2, traces without times or ids exit 1" {
    provider_trace >"$T/in"
    for bad in '--read -1' '--write x' '--ttl 0' '--ttl 5m,' '--renew maybe' '--step 0' '--min -1' \
        '--breakpoints 65' '--place turns' '--head 100' '--breakpoints 2 --place left' \
        '--storage 1 --ttl inf' '--by time' 'a b'; do
        # shellcheck disable=SC2086 # options and their values
        run -2 "$CACHE" provider $bad "$T/in"
        [[ ${lines[0]} == llm-cache\ provider:* ]]
    done
    printf '{"timestamp":0,"input_length":16,"output_length":2,"hash_ids":[0]}\n' >"$T/alone"
    run -1 "$CACHE" provider --block-tokens 16 --by session "$T/alone"
    [[ $output == *"$T/alone: no request has a session_id"* ]]
    printf '1\n2\n1\n' >"$T/ids"
    run -1 "$CACHE" provider --block-tokens 16 "$T/ids"
    [[ $output == *"$T/ids: no request has a timestamp"* ]]
    : >"$T/empty"
    fails 4 provider "$T/empty"
    printf '{"timestamp":0,"input_length":10,"output_length":2}\n' >"$T/lengths"
    run -1 "$CACHE" provider "$T/lengths"
    [[ $output == *"$T/lengths"* ]]
}

@test "provider: a trace without requests is exit 4, writing for less than fresh breaks even at 0" {
    : >"$T/none"
    fails 4 provider "$T/none"
    fails 4 provider --by session "$T/none"
    provider_trace | "$CACHE" provider --block-tokens 100 --write 0.05 >"$T/out"
    [ "$(provider_field breakeven_hit_ratio "$T/out")" = 0 ]
}

@test "provider: Mooncake's conversation under Anthropic's prices" {
    trace=../shared/data/traces/mooncake-conversation.jsonl
    [ -f "$trace" ] || skip "no $trace"
    "$CACHE" provider --ttl 60s,300s,1800s,3600s "$trace" >"$T/out"
    [ "$(provider_field token_hit_ratio "$T/out" | xargs printf '%.4f ')" = \
        "0.1054 0.2934 0.3706 0.3736 " ]
    [ "$(provider_field cost_ratio "$T/out" | cut -d ' ' -f 2 | xargs printf %.3f)" = 0.913 ]
    "$CACHE" provider --write 2 --ttl 1h "$trace" >"$T/out"
    [ "$(provider_field cost_ratio "$T/out" | xargs printf %.3f)" = 1.290 ]
}

@test "provider: prices of a price book" {
    cat >"$T/a.book" <<'END'
book a observed=2026-11-30
source s observed=2026-11-30 confidence=assumed
model m source=s
price m input 4
price m read 1
price m write 5 ttl=5m
price m write 8 ttl=1h
price m output 20
END
    "$CACHE" gen --sessions 20 --seed 1 >"$T/g"
    "$CACHE" provider --price "$T/a.book:m" --ttl 5m,1h "$T/g" >"$T/out"
    { "$CACHE" provider --read 0.25 --write 1.25 --output-price 5 --ttl 5m "$T/g"
        "$CACHE" provider --read 0.25 --write 2 --output-price 5 --ttl 1h "$T/g" | tail -n 1
    } | sed 's/^custom/m/' | diff - "$T/out"
    # An option goes before the book.
    [ "$("$CACHE" provider --price "$T/a.book:m" --read 1 "$T/g" | cut -f 2-)" = \
        "$("$CACHE" provider --read 1 --write 1.25 --output-price 5 "$T/g" | cut -f 2-)" ]
    fails 2 provider --price no-such "$T/g"
    fails 1 provider --price "$T/none.book:m" "$T/g"
    fails 1 provider --price "$T/a.book:m" --ttl 7m "$T/g"
    grep -q 420 "$T/err"
}
