#!/usr/bin/env bats
# llm-cache-tiers.bats - llm-cache tiers from the outside

load cache

# shellcheck disable=SC2154  # run sets output and stderr

# Cells of column NAME, a line each.
tiers_column() {
    awk -F'\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
                             { print $c }'
}

# Three sessions by turns, which grow by two blocks of 16 tokens a turn.
tiers_trace() {
    awk 'BEGIN {
        for (turn = 1; turn <= 6; turn++)
            for (s = 0; s < 3; s++) {
                ids = ""
                for (i = 0; i < 2 * turn; i++)
                    ids = ids (i ? "," : "") (s * 100 + i)
                printf "{\"timestamp\":%d,\"input_length\":%d,\"output_length\":1,\"hash_ids\":[%s]}\n",
                    (turn * 3 + s) * 1000, turn * 32, ids
            }
    }'
}

@test "tiers: exclusive tiers hit what one cache of their sum hits" {
    tiers_trace >"$T/trace"
    for c in 3 9 20; do
        run --separate-stderr "$CACHE" tiers --block-tokens 16 --write exclusive --tier gpu=$c \
            --tier host=7 --tier disk=5 "$T/trace"
        [ "$status" -eq 0 ]
        printf '%s\n' "$output" | tiers_column total_hit_blocks >"$T/tiers"
        "$CACHE" replay --block-tokens 16 --policy lru --size "$c,$((c + 7)),$((c + 12))" "$T/trace" |
            tiers_column hit_blocks >"$T/lru"
        diff "$T/lru" "$T/tiers"
    done
}

@test "tiers: a host that is large enough turns every miss of the GPU into a load" {
    tiers_trace >"$T/trace"
    # 18 requests; the first of each session misses, the others find all but two blocks.
    run --separate-stderr "$CACHE" tiers --block-tokens 16 --tier gpu=12 --tier host=inf "$T/trace"
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | tiers_column total_hit_blocks | tail -1)" -eq 90 ]
    # Selective: what was written at its second use is found from the third on.
    run --separate-stderr "$CACHE" tiers --block-tokens 16 --tier gpu=1 --tier host=inf \
        --write selective --threshold 1 "$T/trace"
    [ "$(printf '%s\n' "$output" | tiers_column total_hit_blocks | tail -1)" -eq 90 ]
    run --separate-stderr "$CACHE" tiers --block-tokens 16 --tier gpu=1 --tier host=inf \
        --write selective --threshold 2 "$T/trace"
    [ "$(printf '%s\n' "$output" | tiers_column written_blocks | tail -1)" -eq 0 ]
}

@test "tiers: nothing to count is exit 4 with a line, bytes beyond 64 bits are no whole number" {
    tiers_trace >"$T/trace"
    run --separate-stderr -4 "$CACHE" tiers --tier gpu=10 --warmup 100% "$T/trace"
    [[ $stderr == *"nothing to count"* ]]
    run --separate-stderr -0 "$CACHE" tiers --block-tokens 16 --tier gpu=9223372036854775807 \
        --shape layers=2,d_model=8,heads=2,d_ff=16 "$T/trace"
    [ "$(printf '%s\n' "$output" | tiers_column size_bytes)" = 9.444732966e+21 ]
}

@test "tiers: times follow from the numbers that were given" {
    printf '%s\n' '{"timestamp":0,"input_length":32,"hash_ids":[1,2]}' \
        '{"timestamp":1,"input_length":32,"hash_ids":[3,4]}' \
        '{"timestamp":2,"input_length":32,"hash_ids":[1,2]}' >"$T/trace"
    # 2 layers, 2 KV heads of 4: 2 x 2 x 8 x 2 bytes = 64 a token, 2048 a request, at 1 kB/s.
    # FLOPs of a token beside scores: 2 x (2 x 8 x 8 x 4 + 2 x 3 x 8 x 16) = 2560; scores of 32
    # tokens: 2 layers x 2 heads x 2 x 8 x 528 = 33792; 115712 in all, at 1 kFLOP/s.
    run --separate-stderr "$CACHE" tiers --block-tokens 16 \
        --shape layers=2,d_model=8,heads=2,d_ff=16 --flops 1K --write back \
        --tier gpu=2 --tier host=8,1KB/s,500ms "$T/trace"
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | tiers_column loaded_bytes | tail -1)" -eq 2048 ]
    [ "$(printf '%s\n' "$output" | tiers_column load_s | tail -1)" = 2.548 ]
    [ "$(printf '%s\n' "$output" | tiers_column recompute_s | tail -1)" = 115.712 ]
    [ "$(printf '%s\n' "$output" | tiers_column prefill_s | head -1)" = 347.136 ]
    [ "$(printf '%s\n' "$output" | tiers_column prefill_s | tail -1)" = 233.972 ]
    [ "$(printf '%s\n' "$output" | tiers_column breakeven_tokens | tail -1)" -eq 1 ]
}

@test "tiers: without --tier the device's memories, less the weights" {
    tiers_trace >"$T/trace"
    run --separate-stderr "$CACHE" tiers --block-tokens 16 --shape llama-3.1-8b --device h200 \
        --write all "$T/trace"
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | tiers_column tier | sort -u | tr '\n' ' ')" = "disk gpu host " ]
    [ "$(printf '%s\n' "$output" | tiers_column write | uniq | tr '\n' ' ')" = \
        "through selective back exclusive " ]
    # (141 GB x 0.9 - 16.06 GB) / (131072 x 16)
    [ "$(printf '%s\n' "$output" | tiers_column size_blocks | head -1)" -eq 52852 ]
    run --separate-stderr "$CACHE" tiers --shape deepseek-v3 "$T/trace"
    [ "$status" -eq 1 ]
    [[ $stderr == *"of weights leave no room in 1 x h100-sxm"* ]]
}

@test "tiers: --json has the columns of the table" {
    tiers_trace >"$T/trace"
    "$CACHE" tiers --tier gpu=3 --tier host=7 "$T/trace" | head -1 | tr '\t' '\n' >"$T/columns"
    "$CACHE" tiers --tier gpu=3 --tier host=7 --json "$T/trace" | head -1 |
        jq -r 'keys_unsorted[]' >"$T/keys"
    diff "$T/columns" "$T/keys"
    "$CACHE" tiers --tier gpu=3 --tier host=7 --json "$T/trace" |
        jq -es 'length == 2 and .[1].load_s == null and .[1].hit_blocks > 0'
}

@test "tiers: a profile from a file gives the rates" {
    tiers_trace >"$T/trace"
    printf '%s' '{"type":"device","format":1,"name":"toy","compute":[{"type":"bf16",
        "flops_per_s":1e6,"achieved":0.5}],"memory":[{"name":"gpu","capacity_bytes":1e6,
        "read_bytes_per_s":1e9},{"name":"host","capacity_bytes":1e9,"read_bytes_per_s":2e4,
        "latency_s":0.25,"achieved":0.5}]}' >"$T/toy.json"
    shape=layers=2,d_model=8,heads=2,d_ff=16
    "$CACHE" tiers --block-tokens 16 --shape $shape --device "$T/toy.json" --tier gpu=12 \
        --tier host=40 "$T/trace" >"$T/profile"
    "$CACHE" tiers --block-tokens 16 --shape $shape --flops 500K --tier gpu=12 \
        --tier host=40,10KB,250ms "$T/trace" >"$T/options"
    diff "$T/profile" "$T/options"
    [ "$(tiers_column load_s <"$T/profile" | tail -1)" != 0 ]
}

@test "tiers: bad values end with exit 2" {
    tiers_trace >"$T/trace"
    for args in "--tier gpu" "--tier =3" "--tier gpu=" "--tier gpu=0" "--tier gpu=3,fast" \
                "--tier gpu=3,5GB,soon" "--tier gpu=3,5GB,1s,4" "--tier gpu=3 --tier gpu=4" \
                "--tier gpu=3 --write sideways" "--tier gpu=3 --threshold 0" \
                "--tier gpu=3 --warmup 200%" "--tier gpu=3 --devices 0" "--tier gpu=1GB" \
                "--tier gpu=3 --tier tape=9 --shape llama-3.1-8b" \
                "--tier gpu=3 --shape llama-3.1-8b --compute fp64" ""; do
        # shellcheck disable=SC2086
        run --separate-stderr "$CACHE" tiers $args "$T/trace"
        [ "$status" -eq 2 ] || { echo "$args: $status"; false; }
        [ -z "$output" ]
        [[ $stderr == "llm-cache tiers: "* ]]
    done
    run --separate-stderr "$CACHE" tiers --tier gpu=3 --device nothing "$T/trace"
    [ "$status" -eq 1 ]
    [[ $stderr == *"known devices are h100-sxm"* ]]
}

@test "tiers: a warm-up that is the whole trace leaves nothing to report" {
    tiers_trace >"$T/trace"
    run --separate-stderr "$CACHE" tiers --tier gpu=3 --warmup 100% "$T/trace"
    [ "$status" -eq 4 ]
    [ -z "$output" ]
    [[ $stderr == *"nothing to count"* ]]
    : >"$T/empty"
    fails 4 tiers --tier gpu=3 "$T/empty"
    run --separate-stderr "$CACHE" tiers --tier gpu=3 --warmup 50% "$T/trace"
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | tiers_column requests)" -eq 9 ]
}

@test "tiers: the Mooncake conversation, 1000 blocks before 9000 and 20000" {
    trace=../shared/data/traces/mooncake-conversation.jsonl
    [ -r "$trace" ] || skip "no $trace"
    run --separate-stderr "$CACHE" tiers --write exclusive --tier gpu=1000 --tier host=9000 \
        --tier disk=20000 "$trace"
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | tiers_column total_hit_blocks | tr '\n' ' ')" = \
        "12831 60921 93967 " ]
    run --separate-stderr "$CACHE" tiers --tier gpu=1000 --tier host=10000 --tier disk=30000 "$trace"
    [ "$(printf '%s\n' "$output" | tiers_column total_hit_blocks | tr '\n' ' ')" = \
        "12831 60921 93967 " ]
}
