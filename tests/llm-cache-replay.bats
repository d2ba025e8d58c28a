#!/usr/bin/env bats
# llm-cache-replay.bats - llm-cache replay from the outside

# shellcheck disable=SC2154 # run sets output, lines and stderr
load cache

# A small trace with sessions and times: trace SESSIONS TURNS
trace() {
    awk -v sessions="$1" -v turns="$2" 'BEGIN {
        for (t = 0; t < turns; t++)
            for (s = 0; s < sessions; s++) {
                printf "{\"timestamp\": %d, \"input_length\": %d, \"output_length\": 9, " \
                    "\"session_id\": \"s%d\", \"hash_ids\": [0", t * 60000 + s * 10, (t + 2) * 16 - 3, s
                for (i = 0; i <= t; i++) printf ", %d", 1 + s * turns + i
                print "]}"
            }
    }'
}

# column NAME [ROW]: of tab-separated output in $output
column() {
    awk -F '\t' -v name="$1" -v row="${2:-1}" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
        NR == row + 1 { print $c }' <<<"$output"
}

@test "replay: a row for each policy and size, with the columns promised" {
    trace 5 8 >"$T/trace"
    run -0 --separate-stderr "$CACHE" replay --policy lru,fifo --size 10,100 "$T/trace"
    [ "${#lines[@]}" = 5 ]
    [[ ${lines[0]} == policy$'\t'size_blocks$'\t'requests$'\t'accesses$'\t'hit_blocks$'\t'block_hit_ratio$'\t'token_hit_ratio$'\t'* ]]
    [ "$(column policy 3)" = fifo ]
    [ "$(column size_blocks 3)" = 10 ]
    [ "$(column requests)" = 40 ]
    [ "$(column accesses)" = 220 ]
    [ "$(column hit_blocks 2)" = "$((220 - 41))" ]       # all but the first sight of each
    [ "$(column belady_pct 2)" = 100 ]
    [ -z "$stderr" ]
}

@test "replay: file, pipe, zstd and - give the same" {
    trace 5 8 >"$T/trace"
    zstd -q "$T/trace" -o "$T/trace.zst"
    "$CACHE" replay --policy lru --size 20 "$T/trace" >"$T/want"
    "$CACHE" replay --policy lru --size 20 "$T/trace.zst" | cmp - "$T/want"
    zstdcat "$T/trace.zst" | "$CACHE" replay --policy lru --size 20 | cmp - "$T/want"
    "$CACHE" replay --policy lru --size 20 - <"$T/trace.zst" | cmp - "$T/want"
    "$CACHE" replay -t 1 --policy lru --size 20 "$T/trace" | cmp - "$T/want"
}

@test "replay: --tail-first is lru-tail but for the name" {
    trace 9 9 >"$T/trace"
    "$CACHE" replay --policy lru --tail-first --size 15 "$T/trace" >"$T/a"
    "$CACHE" replay --policy lru-tail --size 15 "$T/trace" | cmp - "$T/a"
}

@test "replay: all policies of all semantics run" {
    trace 9 9 >"$T/trace"
    for s in plain vllm sglang; do
        run -0 "$CACHE" replay --semantics $s --policy all --ttl 90s --size 20% "$T/trace"
        [ "${#lines[@]}" -gt 1 ]
    done
    for p in lru lru-tail fifo lfu slru 2q arc s3-fifo sieve w-tinylfu gdsf ttl belady; do
        run -0 "$CACHE" replay -q --policy $p --ttl 90s --size 20% "$T/trace"
        [ "$(column policy)" = $p ]
    done
    run -0 "$CACHE" replay --semantics vllm --policy lru --size 100 "$T/trace"
    [ "$(column policy)" = lru ]
}

@test "replay: sizes in blocks, tokens, bytes and shares" {
    trace 5 8 >"$T/trace"
    run -0 "$CACHE" replay --policy lru --size 10,160tok,25%,20480B,20KB,0.02Mtok,inf "$T/trace" \
        --shape layers=2,d_model=64,heads=4,kv_heads=2,dk=16,d_ff=128,vocab=100
    # 2 layers x (K + V) x 2 heads x 16 x 2 bytes = 256 a token, 4096 a block
    [ "$(column size_blocks 1)" = 10 ]
    [ "$(column size_blocks 2)" = 10 ]
    [ "$(column size_blocks 3)" = 10 ]
    [ "$(column size_blocks 4)" = 5 ]
    [ "$(column size_blocks 5)" = 4 ]
    [ "$(column size_blocks 6)" = 1250 ]
    [ "$(column size_blocks 7)" = 41 ]
    [ "$(column read_bytes 7)" = "$(awk -v t="$(column hit_tokens 7)" 'BEGIN { print t * 256 }')" ]
}

@test "replay: times to live, on their own and with sizes" {
    trace 5 8 >"$T/trace"
    run -0 "$CACHE" replay --policy ttl --ttl 59s,60s,2h "$T/trace"
    [ "$(column ttl_s 1)" = 59 ]
    [ "$(column size_blocks 1)" = - ]
    # a turn a minute: at 59 s only the shared first block is met again in time
    [ "$(column hit_blocks 1)" = 32 ]
    [ "$(column hit_blocks 2)" = 179 ]
    [ "$(column hit_blocks 3)" = 179 ]
    run -0 "$CACHE" replay --policy ttl,lru --ttl 60 --size 5,50 "$T/trace"
    [ "${#lines[@]}" = 5 ]
    [ "$(column hit_blocks 2)" = 179 ]
}

@test "replay: parts by session, time, position and lifetime" {
    trace 5 8 >"$T/trace"
    run -0 "$CACHE" replay --policy lru --size 100 --by session "$T/trace"
    [ "${#lines[@]}" = 6 ]
    [ "$(column session 5)" = s4 ]
    [ "$(column requests 5)" = 8 ]
    run -0 "$CACHE" replay --policy lru --size 100 --by time --window 2m "$T/trace"
    [ "${#lines[@]}" = 5 ]
    [ "$(column from_s 2)" = 120 ]
    [ "$(column requests 2)" = 10 ]
    run -0 "$CACHE" replay --policy lru --size 100 --by position "$T/trace"
    [ "$(column first_position 2)" = 1 ]
    [ "$(column last_position 3)" = 3 ]
    [ "$(column accesses 1)" = 40 ]
    [ "$(column hit_blocks 1)" = 39 ]
    run -0 "$CACHE" replay --policy lru --size 10 --by lifetime "$T/trace"
    [ "$(awk -F '\t' 'NR > 1 { s += $6 } END { printf "%.3f", s }' <<<"$output")" = 1.000 ]
}

@test "replay: --warmup in requests, shares and time" {
    trace 5 8 >"$T/trace"
    for w in 20 50% 240s 4m; do
        run -0 "$CACHE" replay --policy lru --size 100 --warmup $w "$T/trace"
        [ "$(column requests)" = 20 ]
        [ "$(column accesses)" = 150 ]
    done
}

@test "replay: --json has the same fields" {
    trace 5 8 >"$T/trace"
    "$CACHE" replay --policy lru,fifo --size 10 "$T/trace" >"$T/tabs"
    "$CACHE" replay --policy lru,fifo --size 10 --json "$T/trace" >"$T/json"
    [ "$(head -n 1 "$T/tabs" | tr '\t' ' ')" = "$(jq -r 'keys_unsorted | join(" ")' "$T/json" | head -n 1)" ]
    [ "$(jq -s 'map(.hit_blocks) | add' "$T/json")" = "$(awk -F '\t' 'NR > 1 { s += $5 } END { print s }' "$T/tabs")" ]
}

@test "replay: parameters of policies are read and checked" {
    trace 9 9 >"$T/trace"
    run -0 "$CACHE" replay --policy slru:protected=0.5 --size 20 "$T/trace"
    [ "$(column policy)" = slru:protected=0.5 ]
    fails 2 replay --policy slru:protected=2 --size 20 "$T/trace"
    grep -q 'protected=2: expected' "$T/err"
    fails 2 replay --policy lru:x=1 --size 20 "$T/trace"
    grep -q "'x=1' is no parameter" "$T/err"
}

@test "replay: bad command lines say what is wrong" {
    trace 5 8 >"$T/trace"
    fails 2 replay "$T/trace"
    grep -q 'no --policy' "$T/err"
    fails 2 replay --policy lru "$T/trace"
    grep -q 'no --size' "$T/err"
    fails 2 replay --policy lur --size 10 "$T/trace"
    grep -q "'lur'.*lru" "$T/err"
    for size in 0 -1 0tok 10x % 0% 1e5 "" 10,,20 10B; do
        fails 2 replay --policy lru --size "$size" "$T/trace"
        grep -q -- '--size' "$T/err"
    done
    fails 2 replay --policy ttl "$T/trace"
    fails 2 replay --policy ttl --ttl 0 "$T/trace"
    fails 2 replay --policy lru --size 10 --warmup x "$T/trace"
    fails 2 replay --policy lru --size 10 --by colour "$T/trace"
    fails 2 replay --policy lru --size 10 "$T/trace" "$T/trace"
    fails 2 replay --policy lru --size 10 --plot hits.gif "$T/trace"
    fails 2 replay --semantics tgi --policy lru --size 10 "$T/trace"
    fails 2 replay --policy lru --size 10 --block-tokens 0 "$T/trace"
}

@test "replay: a broken line is named, or passed with --skip-bad" {
    trace 5 8 >"$T/trace"
    sed -i '7s/.*/{"timestamp": 1, "input_length": 5, "hash_ids": [1, 2/' "$T/trace"
    fails 1 replay --policy lru --size 10 "$T/trace"
    grep -q "trace:7:" "$T/err"
    [ "$(wc -l <"$T/err")" = 1 ]
    run -0 --separate-stderr "$CACHE" replay --policy lru --size 10 --skip-bad "$T/trace"
    [ "$(column requests)" = 39 ]
    [[ $stderr == *"1 broken line"* ]]
}

@test "replay: a missing file, lengths only, an empty trace" {
    fails 1 replay --policy lru --size 10 "$T/nothing"
    printf '{"timestamp": 0, "input_length": 5, "output_length": 5}\n' >"$T/lengths"
    fails 1 replay --policy lru --size 10 "$T/lengths"
    grep -q 'without block ids' "$T/err"
    : >"$T/empty"
    fails 4 replay --policy lru --size 10 "$T/empty"
    fails 4 replay --policy ttl --ttl 5m "$T/empty"
    fails 4 replay --policy lru --size 10 --by time "$T/empty"
    printf '1\n2\n1\n' >"$T/ids"
    for args in "--policy ttl --ttl 5m" "--policy lru --size 2 --by time" \
        "--policy lru --size 2 --by session" "--policy lru --size 2 --warmup 5m"; do
        # shellcheck disable=SC2086 # options and their values
        fails 1 replay $args "$T/ids"
        grep -q "$T/ids: no request has a" "$T/err"
    done
    fails 4 replay --policy lru --size 2 --warmup 100% "$T/ids"
}

@test "replay: options that change nothing, and a block size that cannot be, are warned of" {
    trace 5 8 >"$T/trace"
    for args in "--ttl 5m" "--window 1m" "--policy fifo --tail-first" "--block-tokens 7"; do
        # shellcheck disable=SC2086 # options and their values
        run -0 --separate-stderr "$CACHE" replay --policy lru --size 10 $args "$T/trace"
        option=--${args##*--}
        [[ $stderr == "llm-cache replay: "*"${option%% *}"* ]]
        # shellcheck disable=SC2086
        run -0 --separate-stderr "$CACHE" replay -q --policy lru --size 10 $args "$T/trace"
        [ -z "$stderr" ]
    done
}

@test "replay: a warm-up that leaves nothing, more windows than memory holds" {
    trace 5 8 >"$T/trace"
    run --separate-stderr -4 "$CACHE" replay --policy lru --size 10 --warmup 100% "$T/trace"
    [ -z "$output" ]
    [[ $stderr == *"nothing to count"* ]]
    printf '{"timestamp":99999999999,"input_length":2,"hash_ids":[1,2]}\n' >"$T/late"
    fails 2 replay --policy lru --size 1 --by time --window 1ms "$T/late"
    # parts beyond the 64th: no shift by their number, which the sanitizers would see
    run -0 "$CACHE" replay --policy lru --size 1 --by time --window 1h "$T/late"
    [ "$(column to_s)" = 100000800 ]
}

@test "replay: hits that protect under sglang's slru are a whole number" {
    trace 5 8 >"$T/trace"
    fails 2 replay --semantics sglang --policy slru:protected=1.5 --size 10 "$T/trace"
    run -0 "$CACHE" replay --semantics sglang --policy slru:protected=3 --size 10 "$T/trace"
}

@test "replay: 29 % of 100 are 29" {
    seq 100 >"$T/stream"
    run -0 "$CACHE" replay --policy lru --size 29%,0.001% --warmup 29% "$T/stream"
    [ "$(column size_blocks 1)" = 29 ]
    [ "$(column size_blocks 2)" = 1 ]
    [ "$(column requests 1)" = 71 ]
}

@test "replay: under an engine inf holds all output too, and other sizes are as given" {
    trace 5 8 >"$T/trace"
    run -0 "$CACHE" replay --semantics vllm --policy lru --size 41,100%,inf "$T/trace"
    [ "$(column size_blocks 1)" = 41 ]
    [ "$(column size_blocks 2)" = 41 ]
    [ "$(column evicted_blocks 3)" = 0 ]
    # lengths far beyond the ids: two requests of 100 blocks each
    printf '{"timestamp":0,"input_length":1600,"hash_ids":[1]}\n%.0s' 1 2 >"$T/long"
    run -0 "$CACHE" replay -q --semantics vllm --policy lru --size inf --block-tokens 16 \
        "$T/long"
    [ "$(column hit_blocks)" = 1 ]
}

@test "replay: a full disk and a reader that goes away" {
    trace 5 8 >"$T/trace"
    run -1 bash -c '"$1" replay --policy lru --size 10 "$2" >/dev/full' _ "$CACHE" "$T/trace"
    [[ $output == *"No space left"* ]]
    seq 200000 | awk '{ print $1 % 5000 }' >"$T/stream"
    run -0 bash -c '"$1" replay --policy lru --size 10 --by lifetime "$2" | head -n 1' _ "$CACHE" "$T/stream"
    [ "${#lines[@]}" = 1 ]
}

@test "replay: bare block streams, in any 64-bit ids" {
    seq 1 1000 | awk '{ print $1 % 7 }' >"$T/stream"
    run -0 "$CACHE" replay --policy lru --size 6,7 "$T/stream"
    [ "$(column hit_blocks 1)" = 0 ]
    [ "$(column hit_blocks 2)" = 993 ]
    [ "$(column token_hit_ratio 2)" = 0.993 ]
    awk '{ printf "%.0f\n", 18446744073709000000 + $1 * 4096 }' "$T/stream" |
        "$CACHE" replay --policy lru --size 6,7 | cut -f 2-12 >"$T/sparse"
    "$CACHE" replay --policy lru --size 6,7 "$T/stream" | cut -f 2-12 | cmp - "$T/sparse"
}

@test "replay: --plot draws" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    trace 9 9 >"$T/trace"
    "$CACHE" replay --policy lru,fifo --size 5,10,20,40 --plot "$T/hits.svg" "$T/trace" >/dev/null
    grep -q '<svg' "$T/hits.svg"
    grep -q fifo "$T/hits.svg"
}

@test "replay: the published counts of the Mooncake conversation trace" {
    trace=../shared/data/traces/mooncake-conversation.jsonl
    [ -r $trace ] || skip "no $trace"
    run -0 "$CACHE" replay --policy lru,fifo,lfu --size 1000,10000,30000,50000,100000 $trace
    [ "$(awk -F '\t' 'NR > 1 { printf "%s ", $5 }' <<<"$output")" = "12831 60921 93967 102290 104924 \
12509 52351 84936 96228 102794 13871 38013 79595 99189 104755 " ]
    run -0 "$CACHE" replay --semantics vllm --policy lru --size 1000,10000,30000,50000,100000 $trace
    [ "$(awk -F '\t' 'NR > 1 { printf "%s ", $5 }' <<<"$output")" = "12878 61238 94233 102226 104923 " ]
}
