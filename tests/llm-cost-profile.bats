#!/usr/bin/env bats
# llm-cost-profile.bats - a measured run into the ledger

load cost

RUN=${BUILD:-build}/llm-run
M=examples/models/tiny-moe-f16.gguf

# A run of three passes whose numbers are round: 10 tokens in, 2 made.
run_trace() {
    "$RUN" -m "$M" -q -p x -n 1 --trace - -o /dev/null | head -n 1
    cat <<'END'
{"type":"step","step":0,"phase":"prefill","tokens":10,"position":0,"logits":1,"start_ns":0,"ns":2000000,"flops_attention":1000,"flops_dense":2000,"flops_experts":3000,"flops_head":4000,"dense_read_bytes":500,"experts_read_bytes":300,"kv_read_bytes":100,"kv_write_bytes":100,"request":0,"joules":0.5}
{"type":"step","step":1,"phase":"decode","tokens":1,"position":10,"logits":1,"start_ns":2000000,"ns":1000000,"flops_attention":100,"flops_dense":200,"flops_experts":300,"flops_head":400,"dense_read_bytes":500,"experts_read_bytes":300,"kv_read_bytes":110,"kv_write_bytes":10,"request":0}
{"type":"step","step":2,"phase":"decode","tokens":1,"position":11,"logits":1,"start_ns":3000000,"ns":3000000,"flops_attention":300,"flops_dense":200,"flops_experts":300,"flops_head":400,"dense_read_bytes":500,"experts_read_bytes":300,"kv_read_bytes":120,"kv_write_bytes":10,"request":0,"joules":0.1}
{"type":"request","request":0,"model":"m","timestamp":0,"time":"2026-01-15T00:00:00Z","input_length":10,"output_length":3,"cached_tokens":4,"ttft_ns":1,"total_ns":2,"stop":"length"}
END
}

# value PHASE QUANTITY MARKED COLUMN
value() {
    jq -r "select(.phase == \"$1\" and .quantity == \"$2\" and .marked == \"$3\") | .$4" "$T/p"
}

@test "profile: sums and tokens of each phase" {
    run_trace | "$COST" profile --json >"$T/p"
    [ "$(value prefill flops modelled total)" = 10000 ]
    [ "$(value decode flops modelled per_token)" = 1100 ]
    [ "$(value all flops modelled total)" = 12200 ]
    [ "$(value decode bytes_experts measured total)" = 600 ]
    [ "$(value all bytes_kv modelled total)" = 450 ]
    [ "$(value decode seconds measured total)" = 0.004 ]
    [ "$(value prefill joules measured total)" = 0.5 ]
    [ "$(value decode joules measured per_token)" = 0.05 ]
    [ "$(value all joules measured total)" = 0.6 ]
    [ -z "$(value mixed flops modelled total)" ]
}

@test "profile: money of the machine and of the tokens" {
    run_trace | "$COST" profile --json --price-hour 3.60 --model claude-sonnet-4-5 \
        --at 2026-01-15 >"$T/p"
    jq -es 'map(select(.quantity == "usd_machine" and .phase == "all") | .total)
        == [6e-06]' "$T/p"
    # 6 fresh, 4 read, 3 made at 3, 0.30 and 15 dollars per million
    jq -es 'map(select(.quantity == "usd_tokens") | .total) == [0.0000642]' "$T/p"
    run_trace >"$T/t"
    run -4 bash -c '"$COST" profile --model no-such "$1" 2>&1 >/dev/null' - "$T/t"
    [[ $output == *no-such* ]]
}

@test "profile: shares of a device's limits, and what it would take" {
    run_trace | "$COST" profile --json --device h100-sxm >"$T/p"
    [ "$(value decode seconds modelled total)" != "" ]
    [ "$(value decode joules modelled total)" != "" ]
    jq -es 'map(select(.quantity == "flops" and .phase == "prefill"))[0]
        | .limit_share * 989.4e12 * 0.002 | . > 9999.9 and . < 10000.1' "$T/p"
}

@test "profile: a row for each pass" {
    run_trace | "$COST" profile --by step --device h100-sxm --json >"$T/p"
    jq -es 'map(.seconds) == [0.002, 0.001, 0.003] and all(.modelled_seconds > 0)
        and (map(.joules) == [0.5, null, 0.1]) and (map(.flops) == [10000, 1000, 1200])
        and .[2].position == 11 and .[2].bytes == 930' "$T/p"
    fails 2 profile --by token
    fails 2 profile --by step --model gpt-5.4
}

@test "profile: the limit is that of the arithmetic that the weights lead to" {
    echo '{"type":"device","format":1,"name":"d","date":"2026-11-30","source":"none","compute":[
        {"type":"f32","flops_per_s":1e9,"achieved":1},{"type":"int8","flops_per_s":4e9,"achieved":1}],
        "memory":[{"name":"host","capacity_bytes":1e9,"read_bytes_per_s":1e9,"achieved":1}],
        "link":[]}' | jq -c . >"$T/d.device"
    run_trace >"$T/wide"
    sed 's/"quant":"F16"/"quant":"Q8_0"/' "$T/wide" >"$T/whole"
    for f in wide whole; do
        "$COST" profile --json --device "$T/d.device" "$T/$f" >"$T/p"
        value prefill flops modelled limit_share
        value all flops modelled limit_share
    done >"$T/shares"
    # 10000 and 12200 FLOPs in 2 and 6 ms
    jq -es 'map(. * 1e9 | round) == [5000000, 2033333, 1250000, 508333]' "$T/shares"
}

@test "profile: the pipe from llm-run" {
    "$RUN" -m "$M" -p "Once upon a time" -n 16 --temp 0 --ignore-eos --trace - 2>/dev/null |
        "$COST" profile >"$T/out"
    head -n 1 "$T/out" | grep -q '^phase	quantity	total	per_token	marked'
    # An expert model computes a fraction of the linear assumption.
    awk -F '\t' '$1 == "decode" && $2 == "flops" { f = $4 }
        $1 == "decode" && $2 == "flops_linear" { exit !(f > 0 && f < $4 / 3) }' "$T/out"
}

@test "profile: several traces add up; nothing to add is nothing" {
    run_trace >"$T/a"
    "$COST" profile --json "$T/a" "$T/a" >"$T/p"
    [ "$(value all flops modelled total)" = 24400 ]
    head -n 1 "$T/a" >"$T/empty"
    fails 4 profile "$T/empty"
    fails 1 profile "$T/none"
    fails 1 profile /dev/null
    echo '{"type":"step"}' >"$T/bad"
    fails 1 profile "$T/bad"
    sed 's/"ns":1000000/"ns":-1/' "$T/a" >"$T/negative"
    fails 1 profile "$T/negative"
    grep -q 'negative:3' "$T/err"
    fails 1 profile --device none-such "$T/a"
    run -1 bash -c '"$COST" profile "$1" >/dev/full' - "$T/a"
}
