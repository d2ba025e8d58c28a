#!/usr/bin/env bats
# llm-cache-gen.bats - llm-cache gen from the outside

load cache

@test "gen: the same seed gives the same bytes, another one others" {
    "$CACHE" gen --sessions 50 --seed 7 >"$T/a"
    "$CACHE" gen --sessions 50 --seed 7 -o "$T/b"
    "$CACHE" gen --sessions 50 --seed 8 >"$T/c"
    cmp "$T/a" "$T/b"
    run ! cmp -s "$T/a" "$T/c"
    run -0 sh -c "'$CACHE' gen | cksum"
    [ "$output" = "1694054872 47189" ]
}

@test "gen: constant lengths give a trace that is known by heart" {
    run -0 "$CACHE" gen --sessions 1 --spread 0 --turns 1 --system 1 --system-tokens 1000 \
        --user-tokens 24 --output-tokens 9 --block-tokens 500 --rate 1000000000
    [ "$output" = '{"timestamp":0,"input_length":1024,"output_length":9,'\
'"hash_ids":[0,1,2],"session_id":0}' ]
}

@test "gen: .zst compresses" {
    "$CACHE" gen --sessions 20 >"$T/a"
    "$CACHE" gen --sessions 20 -o "$T/a.zst"
    zstdcat "$T/a.zst" | cmp - "$T/a"
}

@test "gen: requests are sorted by time and no longer than the context" {
    "$CACHE" gen --sessions 300 --context 4Ki --turns 20 >"$T/a"
    sed 's/[^0-9]*\([0-9]*\)[^0-9]*\([0-9]*\)[^0-9]*\([0-9]*\).*/\1 \2 \3/' "$T/a" |
        awk '$1 < last || $2 + $3 > 4096 {bad = 1} {last = $1} END {exit bad || NR < 300}'
}

@test "gen: bad command lines are exit 2 with one line" {
    for bad in '--sessions 0' '--sessions x' '--seed -1' '--turns 0.5' '--rate 0' '--think never' \
        '--zipf -1' '--spread 5' '--context 2' '--block-tokens 0' '--user-tokens 0' 'TRACE' \
        '--system -1' '--system-tokens 0' '--output-tokens 1x' '--unknown'; do
        # shellcheck disable=SC2086 # an option and its value
        run -2 "$CACHE" gen $bad
        [[ ${lines[0]} == llm-cache\ gen:* ]]
    done
}

@test "gen: a full disk is an error, a reader that goes away is none to speak of" {
    run -1 sh -c "'$CACHE' gen >/dev/full"
    [[ $output == *"o space left"* ]]
    run -0 sh -c "'$CACHE' gen --sessions 100000 | head -n 1 | wc -l"
    [ "$output" -eq 1 ]
    run -1 "$CACHE" gen -o "$T/no/such/folder"
    [[ $output == "llm-cache gen: "* ]]
}
