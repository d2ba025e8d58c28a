#!/usr/bin/env bats
# llm-route-stats.bats - llm-route stats from the outside

load route

# shellcheck disable=SC2154  # run sets output and stderr

DATA=../shared/data/routes

# One layer of 4 experts, one a token: 0 0 1 0 2, decoded after each other.
route_five() {
    printf '%s\n' '# route_trace v1' \
        '# model=toy arch=toy n_layer=1 n_expert=4 n_expert_used=1' \
        '# layer=0 expert_bytes=100 dense_bytes=10' \
        'turn,phase,step,layer,slot,expert,weight,residency,expert_bytes'
    awk 'BEGIN { n = split("0 0 1 0 2", e, " ")
                 for (i = 1; i <= n; i++) printf "0,1,%d,0,0,%d,1,0,100\n", i, e[i] }'
}

# Tokens of 3 layers with 2 of 8 experts each, arbitrary but the same every time.
route_many() {
    printf '%s\n' '# route_trace v1' \
        '# model=toy arch=toy n_layer=3 n_expert=8 n_expert_used=2' \
        '# layer=0 expert_bytes=100 dense_bytes=10' '# layer=1 expert_bytes=100 dense_bytes=10' \
        '# layer=2 expert_bytes=100 dense_bytes=10' \
        'turn,phase,step,layer,slot,expert,weight,residency,expert_bytes'
    awk -v n="$1" 'BEGIN {
        for (i = 1; i <= n; i++)
            for (l = 0; l < 3; l++) {
                x = (x * 1103515245 + 12345) % 2147483648
                a = int(x / 65536) % 8 % (3 + l)
                b = (a + 1 + int(x / 1048576) % 7) % 8
                printf "0,1,%d,%d,0,%d,1,0,100\n0,1,%d,%d,1,%d,1,0,100\n", i, l, a, i, l, b
            } }'
}

@test "stats: measures of four counts, worked out by hand" {
    printf 'layer\texpert\tcount\n3\t0\t3\n3\t1\t1\n3\t2\t4\n3\t3\t2\n' >"$T/counts"
    run --separate-stderr "$ROUTE" stats --format table "$T/counts"
    [ "$status" -eq 0 ]
    [ "$(tr -s ' ' <<<"${lines[1]}")" = " 3 1.6000 0.6000 0.4472 0.2500 0.92322 0 -" ]
    [[ ${lines[2]} == "all "* ]]
    [ "${#lines[@]}" -eq 3 ]
}

@test "stats: overlap and reuse of five tokens" {
    route_five | "$ROUTE" stats >"$T/out"
    cell() { tsv "$1" <"$T/out" | head -1; }
    [ "$(cell tokens)" = 5 ]
    [ "$(cell dead)" = 1 ]
    [ "$(cell lag1_overlap)" = 0.25 ]
    [ "$(cell lag1_expected)" = 0.44 ]          # (9 + 1 + 1) / 25
    [ "$(cell reuse_share)" = 0.4 ]
    [ "$(cell reuse_mean_tokens)" = 1.5 ]
    [ "$(cell reuse_median_tokens)" = 1 ]
    [ "$(cell pass_experts)" = 1 ]
    [ "$(cell cv_low)" = - ]                    # too few blocks
    [ "$(tsv layer <"$T/out" | tail -1)" = all ]
}

@test "stats: the last row has means, sums, and the layer with the largest load" {
    route_many 300 | "$ROUTE" stats >"$T/out"
    for name in load_max_over_mean cv gini entropy lag1_overlap noise_max_over_mean; do
        tsv $name <"$T/out" | awk 'NR <= 3 { s += $1 } END { d = s / 3 - $1; exit d * d > 1e-16 }'
    done
    for name in dead used pairs; do
        tsv $name <"$T/out" | awk 'NR <= 3 { s += $1 } END { exit s != $1 }'
    done
    worst=$(paste <(tsv load_max_over_mean <"$T/out") <(tsv layer <"$T/out") | head -3 |
        sort -n | tail -1 | cut -f2)
    [ "$(tsv worst_layer <"$T/out" | tail -1)" = "$worst" ]
    for name in load_max_over_mean cv gini entropy lag1_overlap; do
        paste <(tsv ${name}_low <"$T/out") <(tsv ${name}_high <"$T/out") |
            awk '!($1 < $2) { bad = 1 } END { exit bad }'
    done
}

@test "stats: --json has the columns of the table, layers as numbers and all as a word" {
    route_many 100 >"$T/trace"
    "$ROUTE" stats "$T/trace" | head -1 | tr '\t' '\n' >"$T/columns"
    "$ROUTE" stats --json "$T/trace" >"$T/json"
    head -1 "$T/json" | jq -r 'keys_unsorted[]' >"$T/keys"
    diff "$T/columns" "$T/keys"
    [ "$(head -8 "$T/keys" | tr '\n' ' ')" = \
        "layer load_max_over_mean maxvio cv gini entropy dead lag1_overlap " ]
    jq -es '[.[].layer] == [0, 1, 2, "all"]' "$T/json"
    "$ROUTE" stats --format sql "$T/trace" | grep -q '"layer" TEXT'
    "$ROUTE" stats --format sql "$T/trace" | grep -q "VALUES ('0', "
}

@test "stats: threads and compression change nothing, the seed moves intervals alone" {
    route_many 700 >"$T/trace"
    "$ROUTE" stats -t 1 "$T/trace" >"$T/one"
    "$ROUTE" stats -t 3 "$T/trace" | diff "$T/one" -
    zstd -qc "$T/trace" | "$ROUTE" stats | diff "$T/one" -
    "$ROUTE" stats --seed 2 "$T/trace" >"$T/two"
    run -1 diff -q "$T/one" "$T/two"
    diff <(cut -f1-10 "$T/one") <(cut -f1-10 "$T/two")
    "$ROUTE" stats --resamples 0 "$T/trace" >"$T/none"
    diff <(cut -f1-10 "$T/one") <(cut -f1-10 "$T/none")
    [ "$(tsv gini_high <"$T/none" | sort -u)" = - ]
    # A lower level, a narrower interval.
    paste <(tsv gini_low <"$T/one") <("$ROUTE" stats --level 50% "$T/trace" | tsv gini_low) |
        awk '!($1 < $2) { bad = 1 } END { exit bad }'
}

@test "stats: --by expert has every expert once, ranked by its load" {
    route_many 300 >"$T/trace"
    "$ROUTE" stats --by expert "$T/trace" >"$T/out"
    [ "$(tsv tokens <"$T/out" | wc -l)" -eq 24 ]
    [ "$(tsv tokens <"$T/out" | awk '{ s += $1 } END { print s }')" -eq 1800 ]
    # Against counting the lines.
    grep -v '^[#t]' "$T/trace" | cut -d, -f4,6 | sort | uniq -c | awk '{ print $2, $1 }' |
        sort >"$T/want"
    paste -d' ' <(paste -d, <(tsv layer <"$T/out") <(tsv expert <"$T/out")) \
        <(tsv tokens <"$T/out") | awk '$2 > 0' | sort | diff "$T/want" -
    paste <(tsv layer <"$T/out") <(tsv rank <"$T/out") <(tsv tokens <"$T/out") |
        sort -k1,1n -k2,2n |
        awk 'NR > 1 && $1 == l && ($3 > n || ($2 == r) != ($3 == n)) { bad = 1 }
             { l = $1; r = $2; n = $3 } END { exit bad }'
}

@test "stats: --pairs counts tokens that use both, against counting lines" {
    route_many 400 >"$T/trace"
    "$ROUTE" stats --pairs 3 "$T/trace" >"$T/out"
    [ "$(tsv layer <"$T/out" | tr '\n' ' ')" = "0 0 0 1 1 1 2 2 2 " ]
    grep -v '^[#t]' "$T/trace" | awk -F, '
        $5 == 0 { a = $6; next }
        { n[$4 " " (a < $6 ? a " " $6 : $6 " " a)]++ }
        END { for (p in n) print p, n[p] }' | sort >"$T/want"
    paste -d' ' <(tsv layer <"$T/out") <(tsv expert_a <"$T/out") <(tsv expert_b <"$T/out") \
        <(tsv tokens <"$T/out") | sort >"$T/got"
    [ "$(comm -12 "$T/want" "$T/got" | wc -l)" -eq 9 ]
    paste <(tsv lift <"$T/out") <(tsv tokens <"$T/out") <(tsv expected_tokens <"$T/out") |
        awk '{ d = $2 / $3 - $1 } d * d > 1e-12 || $3 < 5 { bad = 1 } END { exit bad }'
    run --separate-stderr "$ROUTE" stats --pairs 3 --least 1e6 "$T/trace"
    [ "$status" -eq 0 ]
    [[ $stderr == *"no pair of experts"* ]]
}

@test "stats: --unique beside the formula" {
    route_five | "$ROUTE" stats --unique 1,2,100 >"$T/out"
    [ "$(tsv batch_tokens <"$T/out" | tr '\n' ' ')" = "1 2 100 " ]
    [ "$(tsv windows <"$T/out" | tr '\n' ' ')" = "5 2 0 " ]
    [ "$(tsv unique_experts <"$T/out" | tr '\n' ' ')" = "1 1.5 - " ]
    [ "$(tsv formula_experts <"$T/out" | head -2 | tail -1)" = 1.75 ]     # 4 (1 - (3/4)^2)
}

@test "stats: --heat draws a line a layer, in colour on a terminal alone" {
    route_many 200 >"$T/trace"
    COLUMNS=80 "$ROUTE" stats --heat "$T/trace" >"$T/heat"
    [ "$(wc -l <"$T/heat")" -eq 4 ]
    run -1 grep -q "$(printf '\033')" "$T/heat"
    [ "$(head -1 "$T/heat" | LC_ALL=C.UTF-8 wc -m)" -eq 11 ]
    # Folded: 8 columns are the least.
    printf 'layer,expert,count\n0,0,1\n0,99,5\n' >"$T/counts"
    COLUMNS=3 "$ROUTE" stats --heat "$T/counts" | tail -1 |
        grep -qx "a column is the highest of 13 experts"
    command -v script >/dev/null || skip "no script"
    script -qec "$ROUTE stats --heat $T/trace" /dev/null </dev/null | grep -q "$(printf '\033\[38')"
    NO_COLOR=1 script -qec "$ROUTE stats --heat $T/trace" /dev/null </dev/null >"$T/plain"
    run -1 grep -q "$(printf '\033')" "$T/plain"
}

@test "stats: --plot draws the same picture for the same data, whole or not at all" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    route_many 200 >"$T/trace"
    "$ROUTE" stats --plot "$T/a.svg" "$T/trace" >"$T/rows"
    "$ROUTE" stats "$T/trace" | diff "$T/rows" -
    "$ROUTE" stats --plot "$T/b.svg" "$T/trace" >/dev/null
    cmp "$T/a.svg" "$T/b.svg"
    grep -q '</svg>' "$T/a.svg"
    grep -q 'Load of experts' "$T/a.svg"
    "$ROUTE" stats --plot "$T/a.png" "$T/trace" >/dev/null
    [ "$(head -c 4 "$T/a.png" | tail -c 3)" = PNG ]
    printf 'layer,expert,count\n0,0,1\n' | "$ROUTE" stats --plot "$T/one.svg" >/dev/null
    grep -q '</svg>' "$T/one.svg"
    fails 2 stats --plot "$T/a.jpg" "$T/trace"
    fails 1 stats --plot "$T/nowhere/a.svg" "$T/trace"
}

@test "stats: nothing to count is exit 4 with a line" {
    route_five >"$T/trace"
    fails 4 stats --where request=7 "$T/trace"
    grep '^[#t]' "$T/trace" >"$T/empty"
    fails 4 stats "$T/empty"
    printf 'layer\texpert\tcount\n0\t0\t0\n0\t5\t0\n' >"$T/counts"
    fails 4 stats "$T/counts"
    fails 4 stats --unique 2 --where request=7 "$T/trace"
}

@test "stats: bad values end with exit 2, what a count table cannot say with exit 1" {
    route_five >"$T/trace"
    for args in "--by layers" "--pairs 0" "--pairs x" "--least -1" "--unique 0" "--unique 2,,3" \
                "--resamples -1" "--level 0" "--level 100%" "--seed x" "--pairs 2 --heat" \
                "--by expert --unique 3" "--where phase" "--experts 0" "--format yaml" \
                "--unique 2 --plot $T/a.svg" "$T/trace"; do
        # shellcheck disable=SC2086
        fails 2 stats $args "$T/trace" || { echo "$args"; false; }
    done
    printf 'layer\texpert\tcount\n0\t0\t3\n' >"$T/counts"
    fails 1 stats --pairs 2 "$T/counts"
    fails 1 stats --unique 2 "$T/counts"
    fails 1 stats "$T/nowhere"
}

@test "stats: a full disk is an error, a reader that goes away is none" {
    route_many 50 >"$T/trace"
    for args in "" --heat "--by expert" "--pairs 5" "--unique 2"; do
        # shellcheck disable=SC2086
        run --separate-stderr -1 "$ROUTE" stats $args "$T/trace" >/dev/full ||
            run -1 bash -c "$ROUTE stats $args $T/trace >/dev/full"
    done
    run --separate-stderr bash -c "$ROUTE stats --by expert $T/trace | head -1 >/dev/null"
    [ -z "$stderr" ]
}

@test "stats: English and C code use other experts of a model, through a pipe" {
    llm=${BUILD:-build}/llm-run
    model=examples/models/tiny-moe-f16.gguf
    [ -x "$llm" ] || skip "no $llm"
    printf '%s ' The old harbour lay quiet under a thin rain, and the fishermen who had come back \
        before dawn sat together in the small room behind the market, drinking tea and talking of \
        the weather, of the price of bread, and of the ships that had not returned. >"$T/prose.txt"
    head -c 1200 lib/base/mem.c >"$T/code.txt"
    for text in prose code; do
        "$llm" -q -m $model -f "$T/$text.txt" -n 0 --routes - | "$ROUTE" stats --by expert |
            awk -F'\t' '$3 == 1 { print $1, $2 }' >"$T/$text.top"
        [ "$(cut -d' ' -f1 "$T/$text.top" | sort -u | wc -l)" -eq 6 ]
    done
    [ "$(comm -12 <(sort "$T/prose.top") <(sort "$T/code.top") | wc -l)" -le 2 ]
    "$llm" -q -m $model -f "$T/prose.txt" -n 0 --routes - | "$ROUTE" stats --json |
        jq -es 'length == 7 and .[0].pairs == 2 * .[0].tokens and .[6].lag1_overlap > 0'
}

@test "stats: what was published of OLMoE's experts" {
    counts=$DATA/olmoe-1b-7b.expert-counts.tsv
    [ -r "$counts" ] || skip "no $counts"
    run --separate-stderr "$ROUTE" stats --format table --where domain=c4 "$counts"
    [ "$(awk '$1 == 7 { print $2, $4, $6, $5 }' <<<"$output")" = "2.6579 0.4023 0.98173 0.2119" ]
    run --separate-stderr "$ROUTE" stats --format table --where domain=github "$counts"
    [ "$(awk '$1 == 15 { print $2, $4, $6, $5 }' <<<"$output")" = "4.5086 1.1898 0.85297 0.5894" ]
}

@test "stats: what was published of the unique experts of Qwen3" {
    trace=$DATA/qwen3-30b-a3b.route.csv
    [ -r "$trace" ] || skip "no $trace"
    run --separate-stderr "$ROUTE" stats --unique 2,8,32 "$trace"
    [ "$(awk -F'\t' 'NR > 1 { printf "%.2f %.2f ", $3, $6 }' <<<"$output")" = \
        "9.73 11.72 23.78 40.82 43.40 100.46 " ]
}
