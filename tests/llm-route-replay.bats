#!/usr/bin/env bats
# llm-route replay: published curves, units of budgets, times, words about small budgets

load route

# A trace of BigMoeOnEdge's form: 3 layers, 4 experts of 1000, 2000 and 1000 bytes, 2 of them a
# token; two tokens of prompt, then six that decode.
replay_trace() {
    awk 'BEGIN {
        print "# route_trace v1"
        print "# model=toy.gguf arch=toy n_layer=3 n_expert=4 n_expert_used=2"
        for (l = 0; l < 3; l++)
            print "# layer=" l " expert_bytes=" (l == 1 ? 2000 : 1000) " dense_bytes=5000"
        print "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes"
        for (t = 0; t < 8; t++)
            for (l = 0; l < 3; l++)
                for (k = 0; k < 2; k++)
                    print "0," (t > 1) "," (t > 1 ? t - 2 : t) "," l "," k "," \
                        (t * (l + 1) + k + (t == 5)) % 4 ",0.5,0,1000"
    }'
}

# cell ROW COLUMN <TSV: that cell of the row'th row
cell() {
    tsv "$2" | sed -n "$1p"
}

# Every row of a published curve beside ours: percents and MiB to the last digit printed.
curve() {
    awk -F'[,\t]' '
        FNR == NR { if (FNR > 1) want[$1 "," $2] = $3 "," $4 "," $5; next }
        FNR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
        { name = $c["policy"]; sub("layer-lru", "layer", name); sub("layer-lfu", "layerlfu", name)
          key = $c["budget_bytes"] / 1048576 "," name
          got = sprintf("%.3f,%.3f,%.1f", 100 * $c["hit_ratio"], 100 * $c["decode_hit_ratio"],
                        $c["bytes_read"] / 1048576)
          if (want[key] != got) { print key ": " got ", published " want[key]; bad = 1 }
          seen++ }
        END { print seen " rows"; exit bad || seen != 55 }' "$1" "$2"
}

MIB=250Mi,500Mi,750Mi,1000Mi,1500Mi,2000Mi,2500Mi,3000Mi,4000Mi,6000Mi,8000Mi

@test "replay: the published curve of Qwen3-30B-A3B, every digit" {
    data=../shared/data/routes/qwen3-30b-a3b
    [ -r "$data.route.csv" ] || skip "no $data.route.csv"
    "$ROUTE" replay -q --policy belady,lru,lfu,layer-lru,layer-lfu --budget $MIB \
        "$data.route.csv" >"$T/got"
    curve "$data.offload-curve.csv" "$T/got"
    # Chance has no digits to share, but is near.
    "$ROUTE" replay -q --policy random --budget 500Mi,4000Mi "$data.route.csv" >"$T/random"
    cell 1 decode_hit_ratio <"$T/random" | awk '{ exit !($1 > 0.08 && $1 < 0.12) }'
    cell 2 decode_hit_ratio <"$T/random" | awk '{ exit !($1 > 0.73 && $1 < 0.75) }'
}

@test "replay: gpt-oss-120b as its phone ran it: 32.4 % of lookups with 3000 MiB" {
    data=../shared/data/routes/gpt-oss-120b.route.csv
    [ -r "$data" ] || skip "no $data"
    "$ROUTE" replay -q --policy lru,lfu,belady,layer-lfu --budget 3000Mi "$data" >"$T/got"
    [ "$(tsv hit_ratio <"$T/got" | awk '{ printf "%.3f ", 100 * $1 }')" = \
        "32.408 31.498 49.004 32.173 " ]
    [ "$(tsv decode_hit_ratio <"$T/got" | awk '{ printf "%.3f ", 100 * $1 }')" = \
        "44.835 43.576 67.795 44.510 " ]
}

@test "replay: first columns, and JSON of the same" {
    replay_trace >"$T/trace"
    "$ROUTE" replay -q --policy lru,lfu,belady --budget 4K,8K,12K "$T/trace" >"$T/rows"
    [ "$(head -1 "$T/rows" | cut -f1-6)" = \
        "$(printf 'policy\tbudget_bytes\thit_ratio\tdecode_hit_ratio\tbytes_read\tms_per_token')" ]
    [ "$(tsv policy <"$T/rows" | tr '\n' ' ')" = \
        "lru lru lru lfu lfu lfu belady belady belady " ]
    [ "$(tsv budget_bytes <"$T/rows" | head -3 | tr '\n' ' ')" = "4000 8000 12000 " ]
    "$ROUTE" replay -q --json --policy lru,lfu,belady --budget 4K,8K,12K "$T/trace" |
        jq -r 'keys_unsorted | join("\t")' | sort -u >"$T/keys"
    diff <(head -1 "$T/rows") "$T/keys"
    "$ROUTE" replay -q --format md --policy lru --budget 4K,8K "$T/trace" | head -1 >"$T/md"
    [[ $(cat "$T/md") == *"ms_per_token"* && $(cat "$T/md") != *"lookups"* ]]
}

@test "replay: counts of a small trace, done by hand" {
    # Layer 0 of the eight tokens: 01 12 | 23 30 01 23 23 30; layer 1: 01 23 | 01 23 01 34=30 01 23;
    # everything stays with 16000 bytes: misses are the distinct experts, 4 of each layer.
    replay_trace >"$T/trace"
    "$ROUTE" replay -q --policy lru --budget inf "$T/trace" >"$T/rows"
    [ "$(cell 1 budget_bytes <"$T/rows")" = 16000 ]
    # The prefill is one batch: 3 + 4 + 3 experts (0-1 and 3-4 of layer 2), then 6 x 6.
    [ "$(cell 1 lookups <"$T/rows")" = 46 ]
    [ "$(cell 1 hits <"$T/rows")" = 34 ]
    [ "$(cell 1 decode_lookups <"$T/rows")" = 36 ]
    [ "$(cell 1 bytes_read <"$T/rows")" = 16000 ]
    [ "$(cell 1 decode_tokens <"$T/rows")" = 6 ]
    [ "$(cell 1 evictions <"$T/rows")" = 0 ]
    [ "$(cell 1 peak_bytes <"$T/rows")" = 16000 ]
}

@test "replay: budgets are bytes, shares, ranges or no limit" {
    replay_trace >"$T/trace"
    budgets() {
        "$ROUTE" replay -q --policy lru --budget "$1" "$T/trace" | tsv budget_bytes | tr '\n' ' '
    }
    [ "$(budgets 4K,4Ki,4KB,4KiB,4096)" = "4000 4096 4000 4096 4096 " ]
    [ "$(budgets 25%,100%,inf)" = "4000 16000 16000 " ]
    [ "$(budgets 2K..8K/4)" = "2000 4000 6000 8000 " ]
    [ "$(budgets 25%..100%/4,1K)" = "4000 8000 12000 16000 1000 " ]
    [ "$(budgets 12.5%)" = "2000 " ]
}

@test "replay: policies with parameters, for each layer, and all" {
    replay_trace >"$T/trace"
    "$ROUTE" replay -q --budget 6K --policy all "$T/trace" | tsv policy >"$T/names"
    [ "$(wc -l <"$T/names")" -eq 11 ]
    "$ROUTE" replay -q --budget 6K --policy "$(paste -sd, "$T/names")" "$T/trace" >"$T/one"
    "$ROUTE" replay -q --budget 6K --policy all -t 1 "$T/trace" | diff - "$T/one"
    "$ROUTE" replay -q --budget 6K --policy \
        lfu-decay:half=2,layer-lfu-decay:half=0.5,s3-fifo:small=20%,hot:first=50%,layer-belady \
        "$T/trace" | tsv policy >"$T/names"
    [ "$(sed -n 2p "$T/names")" = "layer-lfu-decay:half=0.5" ]
    [ "$("$ROUTE" replay -q --policy lfu-decay --budget 6K "$T/trace" | tsv hits)" = \
        "$("$ROUTE" replay -q --policy lfu-decay:half=64 --budget 6K "$T/trace" | tsv hits)" ]
}

@test "replay: a layer's share: a budget of 3 x 4000 is 4000 for each" {
    replay_trace >"$T/trace"
    "$ROUTE" replay -q --policy layer-lru --budget 12K "$T/trace" >"$T/all"
    # Layer 0 and 2 have all of their four experts, layer 1 two of 2000 bytes, which alternate.
    [ "$(tsv hits <"$T/all")" -lt 34 ]
    "$ROUTE" replay -q --policy layer-lru --budget 24K "$T/trace" >"$T/all"
    [ "$(tsv hits <"$T/all")" -eq 34 ]
}

@test "replay: a budget below a token's cycle is warned of, with its bytes" {
    replay_trace >"$T/trace"
    run --separate-stderr "$ROUTE" replay --policy lru --budget 5K,6K,8K,9K "$T/trace"
    [ "$status" -eq 0 ]
    [[ $stderr == *"2 of 4 budgets, from 5000 bytes, are below one token's cycle, 8000 bytes"* ]]
    [[ $stderr == *"(2 experts of each of 3 layers)"* ]]
    [ "$(printf '%s\n' "$output" | cell 1 hits)" = 0 ]
    run --separate-stderr "$ROUTE" replay --policy lru --budget 8K "$T/trace"
    [ -z "$stderr" ]
    run --separate-stderr "$ROUTE" replay --policy layer-lru --budget 6K "$T/trace"
    [[ $stderr == *"layer-lru: a layer's share, from 2000 bytes, is less than its 2 experts"* ]]
    run --separate-stderr "$ROUTE" replay -q --policy lru,layer-lru --budget 5K "$T/trace"
    [ -z "$stderr" ]
}

toy_device() {
    printf '%s' '{"type":"device","format":1,"name":"toy","memory":[
        {"name":"gpu","capacity_bytes":1e6,"read_bytes_per_s":2e6,"achieved":0.5},
        {"name":"host","capacity_bytes":1e9,"read_bytes_per_s":2e5,"latency_s":0.001},
        {"name":"disk","capacity_bytes":1e9,"read_bytes_per_s":1e5,"achieved":0.5}]}'
}

# near WANT: stdin is that number
near() {
    awk -v want="$1" '{ d = $1 - want; exit !(d * d < 1e-12) }'
}

@test "replay: time of a token from a profile's rates" {
    replay_trace >"$T/trace"
    toy_device >"$T/toy.json"
    # 15000 dense bytes and 8000 of experts at 1e6 a second; six misses of 1000 to 2000 bytes.
    "$ROUTE" replay -q --policy lru --budget 1K --device "$T/toy.json" "$T/trace" >"$T/rows"
    cell 1 ms_per_token <"$T/rows" | near 69        # 23 + 8000 / 200 + 6 x 1
    [ "$(cell 1 source <"$T/rows")" = host ]
    [ "$(cell 1 device <"$T/rows")" = toy ]
    "$ROUTE" replay -q --policy lru --budget 1K --device "$T/toy.json" --source disk "$T/trace" \
        >"$T/rows"
    cell 1 ms_per_token <"$T/rows" | near 183       # 23 + 8000 / 50
    # No waiting: what is left is the weights' own time.
    "$ROUTE" replay -q --policy lru --budget inf --warmup 90% --device "$T/toy.json" "$T/trace" \
        >"$T/rows"
    cell 1 ms_per_token <"$T/rows" | near 23
    [ "$(cell 1 hit_ratio <"$T/rows")" = 1 ]
}

@test "replay: overlap never takes longer, and what is right ahead is hidden" {
    replay_trace >"$T/trace"
    toy_device >"$T/toy.json"
    args=(-q --policy lru --budget 8K --device "$T/toy.json")
    "$ROUTE" replay "${args[@]}" --prefetch none,previous,static,follow,perfect "$T/trace" >"$T/a"
    "$ROUTE" replay "${args[@]}" --overlap --prefetch none,previous,static,follow,perfect \
        "$T/trace" >"$T/b"
    [ "$(tsv prefetch <"$T/a" | tr '\n' ' ')" = "none previous static follow perfect " ]
    paste <(tsv ms_per_token <"$T/a") <(tsv ms_per_token <"$T/b") | awk '$2 > $1 { exit 1 }'
    [ "$(cell 1 hidden_ratio <"$T/a")" = - ]
    cell 5 hidden_ratio <"$T/a" | awk '{ exit !($1 > 0.05 && $1 < 1) }'
    [ "$(cell 5 wasted_prefetch_bytes <"$T/a")" = 0 ]
    [ "$(cell 5 bytes_read <"$T/a")" = "$(cell 1 bytes_read <"$T/a")" ]
    [ "$(cell 3 wasted_prefetch_bytes <"$T/a")" -gt 0 ]
    # Words of the picture for people: the columns of prefetch appear when there is one.
    "$ROUTE" replay "${args[@]}" --format md --prefetch previous "$T/trace" | head -1 |
        grep -q 'prefetch | hidden_ratio'
    "$ROUTE" replay "${args[@]}" --format md "$T/trace" >"$T/md"
    run ! grep -q prefetch "$T/md"
}

@test "replay: --hot takes counts from another file" {
    replay_trace >"$T/trace"
    printf 'layer\texpert\tcount\n' >"$T/counts"
    for l in 0 1 2; do
        for e in 0 1 2 3; do
            printf '%s\t%s\t%s\n' $l $e $((e == 3 ? 9 : 1))
        done
    done >>"$T/counts"
    # Experts 3 are 4000 bytes, and a batch beside them at most 4000 more: they stay once they came,
    # and are used 4, 3 and 2 times after that.
    "$ROUTE" replay -q --policy hot --budget 8K --hot "$T/counts" "$T/trace" >"$T/rows"
    [ "$(cell 1 hits <"$T/rows")" -ge 9 ]
    "$ROUTE" replay -q --policy hot --budget 12K --hot "$T/trace" "$T/trace" >"$T/rows"
    [ "$(cell 1 hits <"$T/rows")" -gt 0 ]
    printf 'layer\texpert\tcount\n0\t0\t1\n' >"$T/small"
    fails 1 replay --policy hot --budget 4K --hot "$T/small" "$T/trace"
    grep -q 'expected the 3 layers of 4 experts' "$T/err"
}

@test "replay: a trace that does not say how large experts are" {
    replay_trace | grep -v '^# layer' >"$T/trace"
    fails 1 replay --budget 4K "$T/trace"
    grep -q -- '--expert-bytes' "$T/err"
    run --separate-stderr "$ROUTE" replay --expert-bytes 1K --policy lru --budget 8K "$T/trace"
    [ "$status" -eq 0 ]
    [[ $stderr == *"does not say what weights there are beside the experts"* ]]
    [ "$(printf '%s\n' "$output" | cell 1 lookups)" = 46 ]
}

@test "replay: --plot draws a column" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    replay_trace >"$T/trace"
    "$ROUTE" replay -q --policy lru,belady --budget 2K..16K/8 --plot "$T/a.svg" "$T/trace"
    grep -q belady "$T/a.svg"
    "$ROUTE" replay -q --policy lru --prefetch none,static --budget 16K,2K --plot "$T/b.svg" \
        --plot-y ms_per_token "$T/trace"
    grep -q 'lru, static' "$T/b.svg"
    grep -q 'ms per token' "$T/b.svg"
}

@test "replay: an empty trace, or nothing behind the warm-up, is exit 4" {
    replay_trace >"$T/trace"
    head -6 "$T/trace" >"$T/empty"
    fails 4 replay --budget 4K "$T/empty"
    fails 4 replay --budget 4K --warmup 100% "$T/trace"
    fails 4 replay --budget 4K --warmup 1000 "$T/trace"
}

@test "replay: a model of a few bytes has budgets too" {
    printf '# route_trace v1\n# model=x arch=y n_layer=1 n_expert=1 n_expert_used=1\n' >"$T/tiny"
    printf '# layer=0 expert_bytes=5 dense_bytes=0\nturn,phase,step,layer,slot,expert,' >>"$T/tiny"
    printf 'weight,residency,expert_bytes\n0,1,0,0,0,0,1,0,5\n0,1,1,0,0,0,1,0,5\n' >>"$T/tiny"
    "$ROUTE" replay -q --policy lru "$T/tiny" | tsv budget_bytes >"$T/out"
    [ "$(tr '\n' ' ' <"$T/out")" = "1 1 1 1 2 2 3 " ]
}

@test "replay: bad values end with exit 2" {
    replay_trace >"$T/trace"
    for args in "--policy mru" "--policy lru:half=2" "--policy lfu-decay:half=0" \
                "--policy lfu-decay:half=50%" "--policy lfu-decay:half" "--policy s3-fifo:small=2" \
                "--policy layer-layer-lru" "--policy lru,,lfu" "--budget 0" "--budget -4K" \
                "--budget 4Q" "--budget 1K..4K" "--budget 4K..1K/3" "--budget 1K..inf/3" \
                "--budget 1K..50%/3" "--budget 1K..4K/1" "--budget 0%" "--budget 101%" \
                "--prefetch next" "--prefetch none:width=2" "--prefetch static:width=0" \
                "--prefetch perfect:width=2" "--prefetch static:depth=2" "--source tape" \
                "--source gpu" "--plot x.gif" "--plot-y hits" "--warmup 200%" "--warmup -1" \
                "--seed -1" "--expert-bytes 0" "--device tpu-v5e" "--frob" "$T/trace"; do
        # shellcheck disable=SC2086
        fails 2 replay $args "$T/trace" || { echo "$args"; false; }
    done
    fails 1 replay --device nothing "$T/trace"
}

@test "replay: a full disk is an error" {
    [ -e /dev/full ] || skip "no /dev/full"
    replay_trace >"$T/trace"
    got=0
    "$ROUTE" replay -q "$T/trace" >/dev/full 2>"$T/err" || got=$?
    [ "$got" -eq 1 ]
    grep -q 'No space left' "$T/err"
}

@test "replay: as a pipe from llm-run" {
    run=${BUILD:-build}/llm-run
    [ -x "$run" ] && [ -r examples/models/tiny-moe-f16.gguf ] || skip "no llm-run or model"
    "$run" -q -m examples/models/tiny-moe-f16.gguf -p 'Once upon a time' -n 8 --routes - \
        >"$T/routes.npy" || skip "llm-run does not run here"
    "$ROUTE" replay -q --policy lru,belady --budget 25%,100% - <"$T/routes.npy" >"$T/rows"
    [ "$(tsv policy <"$T/rows" | wc -l)" -eq 4 ]
}
