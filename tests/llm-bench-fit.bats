#!/usr/bin/env bats
# llm-bench-fit.bats - llm-bench fit: known polynomials, a real trace, what it says when it cannot

load bench

fit() { "$BENCH" fit "$@"; }

# A column of the row with this name, from tab-separated rows on stdin.
cell() {
    awk -F '\t' -v name="$1" -v column="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == column) c = i }
        NR > 1 && $1 == name { print $c }'
}

# near GOT WANT: within a millionth.
near() {
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && d <= 1e-6 * b) }' ||
        { echo "$1, expected $2"; return 1; }
}

# The polynomial 7 + 3 x + 0.25 x^2 at some lengths, several times.
polynomial() {
    for n in 1 2 4 8 16 32 64 128 256 512; do
        awk -v n=$n 'BEGIN { print n, 7 + 3 * n + 0.25 * n * n }'
    done
}

@test "help, and bad options" {
    fit --help | grep -q '^usage: llm-bench fit'
    fails 2 fit --cost euros x
    fails 2 fit --phase chat x
    fails 2 fit --by day x
    fails 2 fit --level 2 x
    fails 2 fit --level 20% x
    grep -q "'20%': expected a share from 50% to 99.99%, or from 0.5 to 0.9999" "$T/err"
    fails 2 fit --resamples 1 x
    fails 2 fit --plot x.gif x
    fails 1 fit "$T/nothing-here"
}

@test "two columns: the polynomial comes back" {
    polynomial >"$T/xy"
    fit "$T/xy" >"$T/out"
    near "$(cell data.y a <"$T/out")" 7
    near "$(cell data.y b <"$T/out")" 3
    near "$(cell data.y c <"$T/out")" 0.25
    near "$(cell data.y c_low <"$T/out")" 0.25
    near "$(cell data.y crossover <"$T/out")" 12
    [ "$(cell data.y n <"$T/out")" = 10 ]
    [ "$(cell data.y shortest <"$T/out")" = 1 ]
    [ "$(cell data.y longest <"$T/out")" = 512 ]
    printf '0.5 2\n3.5 4\n' | fit - 2>/dev/null >"$T/out"
    [ "$(cell data.y shortest <"$T/out") $(cell data.y longest <"$T/out")" = "0.5 3.5" ]
    printf '1 2\n2 5\n3 5\n4 9\n5 9\n6 13\n' >"$T/xy"
    fit --level 90% --json "$T/xy" | jq '[.b_low, .b_high]' >"$T/percent"
    fit --level 0.9 --json "$T/xy" | jq '[.b_low, .b_high]' | cmp - "$T/percent"
    fit --json "$T/xy" | jq '[.b_low, .b_high]' | run -1 cmp -s - "$T/percent"
}

@test "stdin, zstd and JSON" {
    polynomial | fit - --json | grep -q '^{"name":"data.y",.*"c":0.25'
    polynomial | fit --json | grep -q '^{"name":"data.y"'
    polynomial | zstd -q >"$T/xy.zst"
    fit --json "$T/xy.zst" | grep -q '"files":"[^"]*xy.zst=sha256:'
}

@test "a power has its exponent, and a missing term no crossover" {
    for n in 1 2 4 8 16 32 64 128; do
        awk -v n=$n 'BEGIN { print n, 5 * n }'
    done >"$T/xy"
    fit "$T/xy" >"$T/out"
    near "$(cell data.y value <"$T/out")" 1
    [ "$(cell data.y c <"$T/out")" = 0 ]
    [ "$(cell data.y crossover <"$T/out")" = - ]
}

@test "the same seed gives the same rows" {
    polynomial | awk '{ print $1, $2 * (1 + (NR * 7 % 5) / 50) }' >"$T/xy"
    fit "$T/xy" --seed 3 | cut -f 1-20 >"$T/a"
    fit "$T/xy" --seed 3 | cut -f 1-20 >"$T/b"
    fit "$T/xy" --seed 4 | cut -f 1-20 >"$T/c"
    cmp "$T/a" "$T/b"
    run ! cmp -s "$T/a" "$T/c"
}

# The embedded model: 6 layers, the last of which stops at keys and values for all but one token
# of a prompt; 4 heads of 64: 4 * 64 * 4 FLOPs for a pair of positions in a layer.
@test "a trace of llm-run: FLOPs are the model's closed form, whatever the lengths" {
    for n in 1 3 9 30 70 140 250; do
        printf '{"prompt":"%s"}\n' "$(printf 'the dog %.0s' $(seq $n))"
    done >"$T/prompts"
    ${BUILD:-build}/llm-run -m examples/models/tiny-moe-f16.gguf --jsonl -f "$T/prompts" -n 8 \
        --ignore-eos --seed 1 -q --trace "$T/run.jsonl" >"$T/text"
    fit "$T/run.jsonl" >"$T/out"
    near "$(cell prefill.flops c <"$T/out")" $((5 * 1024 / 2))
    near "$(cell decode.flops b <"$T/out")" $((6 * 1024))
    [ "$(cell decode.flops c <"$T/out")" = 0 ]
    [ "$(cell prefill.flops n <"$T/out")" = 7 ]
    [ "$(cell decode.flops n <"$T/out")" = 49 ]
    # KV of 2 heads, keys and values of 64, 2 bytes, in 6 layers, for each token behind it
    near "$(cell decode.bytes b <"$T/out")" 3072
    [ -n "$(cell prefill.ns b <"$T/out")" ]
    # one fit a file, chosen costs and phases
    cp "$T/run.jsonl" "$T/again.jsonl"
    fit "$T/run.jsonl" "$T/again.jsonl" --by file --cost flops --phase decode >"$T/out"
    [ "$(cut -f 1 "$T/out" | grep -c '^decode.flops$')" = 2 ]
    [ "$(wc -l <"$T/out")" = 3 ]
    grep -q "again.jsonl" "$T/out"
}

@test "what is left out is said" {
    {
        echo '{"type":"step","phase":"decode","tokens":2,"position":5,"ns":9,"requests":2}'
        echo '{"type":"step","phase":"prefill","tokens":2,"position":5,"ns":9,"request":1}'
        for n in 1 2 3; do
            echo '{"type":"step","phase":"decode","tokens":1,"position":'$n'00,"ns":9,"request":2}'
        done
    } >"$T/run"
    fit "$T/run" >"$T/out" 2>"$T/err"
    grep -q '^llm-bench.*1 steps that several requests shared' "$T/err"
    grep -q '^llm-bench.*1 prompts that began behind cached tokens' "$T/err"
    fit -q "$T/run" 2>"$T/err" >"$T/out"
    [ ! -s "$T/err" ]
}

@test "nothing to conclude: exit 4, and which lengths are missing" {
    printf '512 3\n512 4\n512 5\n' >"$T/xy"
    fails 4 fit "$T/xy"
    grep -q 'no fit to the one length of 512 (3 points); two other' "$T/err"
    printf '1 1e308\n2 1e308\n3 1e-300\n' >"$T/xy"
    fails 4 fit "$T/xy"
    grep -q 'no fit: lengths or costs are too far apart' "$T/err"
    echo '{"type":"run"}' >"$T/run"
    fails 4 fit "$T/run"
    grep -q 'nothing to fit' "$T/err"
    polynomial >"$T/xy"
    fails 4 fit "$T/xy" --cost ns
    grep -q 'leave nothing of data y' "$T/err"
}

@test "two lengths: a line, and words" {
    printf '1 3\n1 3\n5 11\n5 11\n' >"$T/xy"
    fit "$T/xy" >"$T/out" 2>"$T/err"
    near "$(cell data.y b <"$T/out")" 2
    [ "$(cell data.y c <"$T/out")" = - ]
    grep -q 'only lengths 1 and 5: no quadratic term' "$T/err"
}

@test "bad files: one line with the place, exit 1" {
    printf '1 2\n3 x\n' >"$T/xy"
    fails 1 fit "$T/xy"
    grep -q "xy:2: expected a length and a cost above 0, found '3 x'" "$T/err"
    [ "$(wc -l <"$T/err")" = 1 ]
    printf '{"type":"step",\n' >"$T/run"
    fails 1 fit "$T/run"
    : >"$T/empty"
    fails 1 fit "$T/empty"
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    polynomial >"$T/xy"
    got=0
    "$BENCH" fit "$T/xy" >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q '^llm-bench' "$T/err"
}

@test "a picture" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    polynomial >"$T/xy"
    fit "$T/xy" --plot "$T/p.svg" >"$T/out"
    grep -q '<svg' "$T/p.svg"
    grep -q 'data, fit' "$T/p.svg"
}
