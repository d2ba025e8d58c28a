#!/usr/bin/env bats
# llm-cache curve from the outside: rows, chosen rows, samples, pieces, and what it refuses

bats_require_minimum_version 1.5.0

setup_file() {
    export CACHE=${BUILD:-build}/llm-cache
    "$CACHE" gen --sessions 60 --seed 3 -o "$BATS_FILE_TMPDIR/trace"
}

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    TRACE=$BATS_FILE_TMPDIR/trace
    MOONCAKE=../shared/data/traces/mooncake-conversation.jsonl
}

# fails STATUS WORDS ARGUMENTS...: ends with STATUS, no row on stdout, one line with WORDS first.
fails() {
    local want=$1 words=$2 got=0
    shift 2
    "$CACHE" curve "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" = "$want" ] || { echo "status $got: $*"; cat "$T/err"; return 1; }
    [ ! -s "$T/out" ] || { echo "wrote to stdout: $*"; return 1; }
    head -n 1 "$T/err" | grep -q '^llm-cache curve: ' || { cat "$T/err"; return 1; }
    grep -qF -- "$words" "$T/err" || { cat "$T/err"; return 1; }
}

# Two requests, the second takes up two of three blocks: needs 3, then 2 of the whole 4.
small() {
    printf '%s\n' '{"timestamp":0,"input_length":44,"output_length":1,"hash_ids":[1,2,3]}' \
        '{"timestamp":1500,"input_length":40,"output_length":1,"hash_ids":[1,2,4]}'
}

@test "curve: every capacity, in tabs and as JSON" {
    small | "$CACHE" curve --block-tokens 16 >"$T/tsv"
    diff "$T/tsv" - <<END
capacity_blocks	block_hit_ratio	token_hit_ratio
1	0.000000000	0.000000000
2	0.000000000	0.000000000
3	0.333333333	0.380952381
4	0.333333333	0.380952381
END
    small | "$CACHE" curve --block-tokens 16 --json | tail -n 1 >"$T/json"
    [ "$(cat "$T/json")" = '{"capacity_blocks":4,"block_hit_ratio":0.333333333,"token_hit_ratio":0.380952381}' ]
}

@test "curve: last block first, the shallow blocks stay" {
    small | "$CACHE" curve --block-tokens 16 --tail-first >"$T/tsv"
    [ "$(sed -n 2p "$T/tsv")" = "1	0.166666667	0.190476190" ]
    [ "$(sed -n 3p "$T/tsv")" = "2	0.333333333	0.380952381" ]
}

@test "curve: --ttl has a row where a ratio changes, from 0" {
    small | "$CACHE" curve --block-tokens 16 --ttl >"$T/tsv"
    diff "$T/tsv" - <<END
ttl_s	block_hit_ratio	token_hit_ratio
0	0.000000000	0.000000000
1.5	0.333333333	0.380952381
END
    small | "$CACHE" curve --block-tokens 16 --ttl --at 1499ms,1500ms,1h,inf | cut -f1-2 >"$T/at"
    diff "$T/at" - <<END
ttl_s	block_hit_ratio
1.499	0.000000000
1.5	0.333333333
3600	0.333333333
1.5	0.333333333
END
}

@test "curve: equals replay at many sizes, plain and tail first" {
    "$CACHE" curve "$TRACE" >"$T/plain"
    "$CACHE" curve --tail-first "$TRACE" >"$T/tail"
    unique=$(tail -n 1 "$T/plain" | cut -f1)
    sizes=$(seq 1 $((unique / 50 + 1)) "$unique" | paste -sd,)
    "$CACHE" replay -q --policy lru,lru-tail --size "$sizes" "$TRACE" |
        awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
            { printf "%s %d %.6f %.6f\n", $c["policy"], $c["size_blocks"],
                $c["block_hit_ratio"], $c["token_hit_ratio"] }' | sort >"$T/replay"
    [ "$(wc -l <"$T/replay")" -ge 90 ]
    awk -F'\t' -v list="$sizes" 'BEGIN { n = split(list, s, ","); for (i = 1; i <= n; i++) want[s[i]] }
        FNR == 1 { name = name == "" ? "lru" : "lru-tail"; next }
        $1 in want { printf "%s %d %.6f %.6f\n", name, $1, $2, $3 }' "$T/plain" "$T/tail" |
        sort >"$T/curve"
    diff "$T/replay" "$T/curve"
}

@test "curve: the Mooncake conversation trace has the published hits" {
    [ -e "$MOONCAKE" ] || skip "no $MOONCAKE"
    hits() { awk -F'\t' 'NR > 1 { printf "%s%.0f", s, $2 * 288500; s = " " }'; }
    at=1000,10000,30000,50000,100000,inf
    [ "$("$CACHE" curve --at $at "$MOONCAKE" | hits)" = "12831 60921 93967 102290 104924 105710" ]
    [ "$("$CACHE" curve --tail-first --at $at "$MOONCAKE" | hits)" = \
        "12847 61046 93978 102290 104924 105710" ]
    [ "$("$CACHE" curve --ttl --at 60,5m,30m,1h "$MOONCAKE" |
        awk -F'\t' 'NR > 1 { printf "%.4f ", $3 }')" = "0.1054 0.2934 0.3706 0.3736 " ]
    [ "$("$CACHE" curve "$MOONCAKE" | wc -l)" = 182791 ]
}

@test "curve: --points are few, spread and end with all blocks" {
    "$CACHE" curve --points 10 "$TRACE" >"$T/points"
    "$CACHE" curve "$TRACE" >"$T/all"
    [ "$(wc -l <"$T/points")" -le 11 ]
    [ "$(tail -n 1 "$T/points")" = "$(tail -n 1 "$T/all")" ]
    [ "$(grep -cxFf "$T/points" "$T/all")" = "$(wc -l <"$T/points")" ]
    "$CACHE" curve --ttl --points 10 "$TRACE" >"$T/points"
    [ "$(wc -l <"$T/points")" -le 11 ]
    [ "$(tail -n 1 "$T/points")" = "$("$CACHE" curve --ttl "$TRACE" | tail -n 1)" ]
}

@test "curve: --at takes blocks, shares and tokens in any order" {
    "$CACHE" curve "$TRACE" >"$T/all"
    unique=$(tail -n 1 "$T/all" | cut -f1)
    "$CACHE" curve --at "inf,100%,100,51200tok" "$TRACE" | tail -n +2 >"$T/at"
    [ "$(cut -f1 "$T/at" | paste -sd' ')" = "$unique $unique 100 100" ]
    [ "$(sed -n 3p "$T/at")" = "$(sed -n 101p "$T/all")" ]
}

@test "curve: two tiers split one curve" {
    "$CACHE" curve --tiers 50+150,10+10 "$TRACE" >"$T/tiers"
    "$CACHE" curve --at 50,200 "$TRACE" >"$T/at"
    awk 'FNR == 1 { next }
        FILENAME ~ /at$/ { ratio[$1] = $2; next }
        $1 == 50 { d = $3 - ratio[50]; e = $5 - ratio[200]; f = $3 + $4 - $5; seen = 1
            exit !(d * d < 1e-16 && e * e < 1e-16 && f * f < 1e-16) }
        END { if (!seen) exit 1 }' "$T/at" "$T/tiers"
    [ "$(wc -l <"$T/tiers")" = 3 ]
}

@test "curve: a stream of ids, sparse ones too, and zstd" {
    seq 1 200 | awk '{ printf "%.0f\n", $1 * 90071992547409 }' >"$T/ids"
    cat "$T/ids" "$T/ids" | zstd -q >"$T/ids.zst"
    "$CACHE" curve "$T/ids.zst" >"$T/out"
    [ "$(sed -n 200p "$T/out" | cut -f2)" = 0.000000000 ]
    [ "$(sed -n 201p "$T/out")" = "200	0.500000000	0.500000000" ]
    [ "$(wc -l <"$T/out")" = 201 ]
}

@test "curve: reading ahead changes nothing" {
    seq 1 100000 | awk '{ print $1 % 3000 }' >"$T/ids"
    for f in "$TRACE" "$T/ids"; do
        "$CACHE" curve -t 1 "$f" >"$T/one"
        cmp "$T/one" <("$CACHE" curve <"$f")
    done
    printf '1\n2\nx\n' >>"$T/ids"
    fails 1 "$T/ids:100003" "$T/ids"
    fails 1 "$T/ids:100003" -t 1 "$T/ids"
}

@test "curve: consecutive pieces make exactly the whole" {
    for order in "" --tail-first --ttl; do
        split -n l/3 "$TRACE" "$T/part."
        for p in "$T"/part.??; do
            # shellcheck disable=SC2086 # no word or one
            "$CACHE" curve $order --block-tokens 512 --save "$p.zst" "$p" >"$T/none"
            [ ! -s "$T/none" ]
        done
        # shellcheck disable=SC2086
        "$CACHE" curve $order --block-tokens 512 "$TRACE" >"$T/whole"
        # shellcheck disable=SC2086
        "$CACHE" curve $order --block-tokens 512 --merge "$T"/part.??.zst >"$T/merged"
        cmp "$T/whole" "$T/merged"
        # shellcheck disable=SC2086
        "$CACHE" curve $order --block-tokens 512 --merge --save "$T/two" "$T"/part.a[bc].zst
        # shellcheck disable=SC2086
        "$CACHE" curve $order --block-tokens 512 --merge "$T/part.aa.zst" "$T/two" >"$T/merged"
        cmp "$T/whole" "$T/merged"
        rm -f "$T"/part.*
    done
}

@test "curve: --sum adds up caches of their own" {
    "$CACHE" curve --save "$T/a" "$TRACE"
    "$CACHE" curve --merge --sum "$T/a" "$T/a" >"$T/sum"
    "$CACHE" curve "$TRACE" >"$T/one"
    cmp "$T/sum" "$T/one"
}

@test "curve: a whole sample is exact, a small one holds the exact ratio" {
    "$CACHE" curve -q --sample 1 --at 100,1000,inf "$TRACE" >"$T/sample"
    "$CACHE" curve --at 100,1000,inf "$TRACE" >"$T/exact"
    diff <(cut -f1-3 "$T/sample") "$T/exact"
    head -n 1 "$T/sample" | grep -q 'block_hit_ratio_low	block_hit_ratio_high'
    "$CACHE" curve --sample 0.2 --at inf "$TRACE" 2>"$T/err" | tail -n 1 >"$T/sample"
    grep -q '^llm-cache curve: .* blocks followed' "$T/err"
    paste "$T/sample" <(tail -n 1 "$T/exact") |
        awk '{ exit !($4 <= $9 && $9 <= $5 && $4 < $5) }'
    "$CACHE" curve -q --sample-blocks 200 --seed 2 "$TRACE" >"$T/a"
    "$CACHE" curve -q --sample-blocks 200 --seed 2 "$TRACE" >"$T/b"
    cmp "$T/a" "$T/b"
}

@test "curve: a picture" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    "$CACHE" curve --points 5 --plot "$T/p.svg" "$TRACE" >"$T/out"
    grep -q '<svg' "$T/p.svg"
}

@test "curve: bad command lines end with 2 before anything is read" {
    fails 2 "expected two sizes" --tiers 1000 "$T/none"
    fails 2 "expected two sizes" --tiers 1+2+3 "$T/none"
    fails 2 "--at" --at 0 "$T/none"
    fails 2 "--at" --at 10,,20 "$T/none"
    fails 2 "--at" --ttl --at 5x "$T/none"
    fails 2 "--at" --at "" "$T/none"
    fails 2 "--points" --points 0 "$T/none"
    fails 2 "--sample" --sample 1.5 "$T/none"
    fails 2 "--sample" --sample 0 "$T/none"
    fails 2 "one of them" --at 5 --points 5 "$T/none"
    fails 2 "unlimited cache" --ttl --tail-first "$T/none"
    fails 2 "do not go with --ttl" --ttl --tiers 1+1 "$T/none"
    fails 2 "do not merge" --sample 0.5 --save "$T/s" "$T/none"
    fails 2 "no rows" --save "$T/s" --at 5 "$T/none"
    fails 2 "goes with --merge" --sum "$T/none"
    fails 2 "expected files" --merge
    fails 2 "one trace" "$T/a" "$T/b"
    fails 2 "needs --shape" --at 1GB "$T/none"
}

@test "curve: bad traces end with 1, traces that say nothing with 4" {
    fails 1 "No such file" "$T/none"
    printf '%s\n' '{"timestamp":0,"input_length":5,"output_length":1}' >"$T/lengths"
    fails 1 "lengths" "$T/lengths"
    small >"$T/small"
    printf '{"timestamp":0,"hash_ids":[1,\n' >>"$T/small"
    fails 1 "$T/small:3" "$T/small"
    printf '1\n2\n1\n' >"$T/ids"
    fails 1 "timestamp" --ttl "$T/ids"
    printf '%s\n' '{"timestamp":0,"input_length":0,"output_length":1,"hash_ids":[]}' >"$T/empty"
    fails 4 "no blocks" "$T/empty"
    fails 1 "a file that curve --save wrote" --merge "$T/ids"
    fails 1 "$T/lost/x" --save "$T/lost/x" "$TRACE"
}

@test "curve: a full disk is an error, a reader that goes away is not one to talk about" {
    "$CACHE" curve "$TRACE" >/dev/full 2>"$T/err" && return 1
    grep -q 'No space left' "$T/err"
    "$CACHE" curve --save /dev/full "$TRACE" 2>"$T/err" && return 1
    grep -q 'No space left' "$T/err"
    ("$CACHE" curve "$TRACE" 2>"$T/err" || true) | head -n 1 >"$T/out"
    [ ! -s "$T/err" ]
}

# A shell makes its background jobs deaf to SIGINT; env undoes that.
@test "curve: SIGINT leaves no half file" {
    mkfifo "$T/in"
    env --default-signal=INT "$CACHE" curve --save "$T/saved" "$T/in" 3>&- &
    pid=$!
    exec 9>"$T/in"
    cat "$TRACE" >&9
    for _ in $(seq 100); do
        compgen -G "$T/saved.*" >/dev/null && break
        sleep 0.05
    done
    compgen -G "$T/saved.*"
    kill -INT $pid
    wait $pid || true
    exec 9>&-
    run ! compgen -G "$T/saved*"
}
