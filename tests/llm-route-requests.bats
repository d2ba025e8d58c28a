#!/usr/bin/env bats
# llm-route-requests.bats - llm-route requests from the outside

load route

# shellcheck disable=SC2154  # run sets output and stderr

# Four requests: the strong model gains on the two longest, both know one, none knows one.
four() {
    printf '%s\n' 'prompt,small,large,win,sure,small_response,large_response' \
        'abcdefgh,False,True,0.9,0.1,xxxx,yyyyyyyy' \
        'abcdefg,0,1,0.4,0.2,xxxx,yyyyyyyy' \
        'abcd,True,True,0.3,0.8,xxxx,yyyyyyyy' \
        'abc,0,0.0,0.1,0.9,xxxx,yyyyyyyy'
}

# cell ROUTER COLUMN <tsv
cell() {
    awk -F'\t' -v router="$1" -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
        $1 == router { print $c; exit }'
}

# judged ARGUMENTS...: of the columns that many has
judged() {
    "$ROUTE" requests --models small,large --by win "$@"
}

# many N: requests whose length, win rate and confidence tell something of what they need.
many() {
    awk -v n="$1" 'BEGIN {
        srand(5)
        print "prompt,small,large,win,sure,split"
        for (i = 0; i < n; i++) {
            hard = rand()
            text = sprintf("%d ", i)
            for (k = 0; k < 60 * hard * rand(); k++) text = text "x"
            printf "%s,%d,%d,%.3f,%.3f,%s\n", text, (rand() > hard), (rand() > hard / 2),
                hard + rand(), 1 - hard + rand(), (i % 3 ? "train" : "test")
        }
    }'
}

@test "requests: baselines stand beside every router" {
    four >"$T/s.csv"
    run --separate-stderr "$ROUTE" requests --by win "$T/s.csv"
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | tsv router | tr '\n' ' ')" = \
        "win length random oracle always-weak always-strong " ]
    [ "$(printf '%s\n' "$output" | tsv model | tr '\n' ' ')" = "- - - - small large " ]
    run --separate-stderr "$ROUTE" requests "$T/s.csv"
    [ "$(printf '%s\n' "$output" | tsv router | tr '\n' ' ')" = \
        "length random oracle always-weak always-strong " ]
    run --separate-stderr "$ROUTE" requests --by length --cascade sure "$T/s.csv"
    [ "$(printf '%s\n' "$output" | tsv router | tr '\n' ' ')" = \
        "length sure random oracle oracle-cascade always-weak always-strong " ]
}

@test "requests: closed forms of four requests" {
    four >"$T/s.csv"
    "$ROUTE" requests --by length "$T/s.csv" >"$T/out" 2>/dev/null
    # Of 0, 10, ..., 100 %: 0 0 1 1 2 2 2 3 3 4 4 requests; PGR 0 0 .5 .5 1 ...
    [ "$(cell length apgr <"$T/out")" = 0.75 ]
    [ "$(cell length cpt20_percent <"$T/out")" = 14 ]
    [ "$(cell length cpt50_percent <"$T/out")" = 20 ]
    [ "$(cell length cpt80_percent <"$T/out")" = 36 ]
    [ "$(cell random apgr <"$T/out")" = 0.5 ]
    [ "$(cell oracle apgr <"$T/out")" = 0.75 ]
    [ "$(cell oracle quality <"$T/out")" = 0.75 ]
    [ "$(cell oracle strong_share <"$T/out")" = 0.5 ]
    [ "$(cell always-weak quality <"$T/out")" = 0.25 ]
    [ "$(cell always-strong quality <"$T/out")" = 0.75 ]
    # The lowest first is the same the other way round.
    [ "$("$ROUTE" requests --by -win "$T/s.csv" | cell -win apgr)" = 0.25 ]
}

@test "requests: costs are those of the price, and a cascade pays both" {
    four >"$T/s.csv"
    # 2, 2, 1, 1 input tokens; 1 and 2 output tokens: 1 + 10, and 100 + 1000 a million each.
    run --separate-stderr "$ROUTE" requests --by length --cascade sure --share 50% \
        --price-weak 1,10 --price large=100,1000 "$T/s.csv"
    [ "$status" -eq 0 ]
    [[ $stderr == *"input and output tokens are estimated as characters / 4"* ]]
    [ "$(printf '%s\n' "$output" | cell always-weak usd_per_request)" = 1.15e-05 ]
    [ "$(printf '%s\n' "$output" | cell always-strong usd_per_request)" = 0.00215 ]
    # Two of large (2 x 2200), two of small (2 x 11); the cascade pays small for all (46).
    [ "$(printf '%s\n' "$output" | cell length usd_per_request)" = 0.0011055 ]
    [ "$(printf '%s\n' "$output" | cell sure usd_per_request)" = 0.0011115 ]
    [ "$(printf '%s\n' "$output" | cell sure threshold)" = 0.2 ]
    [ "$(printf '%s\n' "$output" | cell length threshold)" = 7 ]
    [ "$(printf '%s\n' "$output" | cell length quality)" = 0.75 ]
    # Cached tokens, and a price of the book.
    printf '%s\n' '{"input_tokens":1000,"cached_tokens":900,"scores":{"a":0,"b":1},
"output_tokens":{"a":10,"b":20}}' | tr -d '\n' >"$T/s.jsonl"
    run --separate-stderr "$ROUTE" requests --price-weak 1,2,0.1 --price-strong 10,20,1 "$T/s.jsonl"
    [ "$(printf '%s\n' "$output" | cell always-weak usd_per_request)" = 0.00021 ]
    [ "$(printf '%s\n' "$output" | cell always-strong usd_per_request)" = 0.0023 ]
    run --separate-stderr -0 "$ROUTE" requests --price-weak gpt-4o-mini --price-strong gpt-4o \
        "$T/s.jsonl"
    [ "$(printf '%s\n' "$output" | cell always-strong usd_per_request)" != - ]
    run --separate-stderr -0 "$ROUTE" requests --price-weak 1,2 "$T/s.jsonl"
    [[ $stderr == *"prices of both models are needed"* ]]
}

@test "requests: RouterBench's columns, more than two models, the zero router, Pareto" {
    printf '%s,' sample_id prompt eval_name a b c 'a|model_response' 'a|total_cost' \
        'b|total_cost' 'c|total_cost' >"$T/rb.csv"
    cat >>"$T/rb.csv" <<'END'
oracle_model_to_route_to
s1,"['p']",x,0.0,1.0,1.0,"['r']",0.1,0.2,0.9,b
s2,"['q
r']",x,1.0,1.0,1.0,"['r']",0.1,0.2,0.9,a
s3,"['s']",y,0.0,0.0,1.0,"['r']",0.1,0.2,0.9,c
s4,"['t']",y,0.0,0.5,1.0,"['r']",0.1,0.2,0.9,c
END
    "$ROUTE" requests --by length "$T/rb.csv" >"$T/out" 2>/dev/null
    [ "$(cell always quality <"$T/out")" = 0.625 ]
    [ "$(cell always model <"$T/out")" = b ]
    [ "$(cell always-weak model <"$T/out")" = a ]
    [ "$(cell random aiq <"$T/out")" = 0.625 ]
    # 0.1 x (0.25 + 0.625) / 2 + 0.7 x (0.625 + 1) / 2, over 0.8
    [ "$(cell zero aiq <"$T/out")" = 0.765625 ]
    "$ROUTE" requests --pareto --by length --weak a --strong c "$T/rb.csv" >"$T/front" 2>/dev/null
    tsv usd_per_request <"$T/front" >"$T/usd"
    sort -g "$T/usd" | diff - "$T/usd"
    tsv quality <"$T/front" >"$T/quality"
    sort -g "$T/quality" | diff - "$T/quality"
    [ "$(tsv model <"$T/front" | grep -c '^[abc]$')" -eq 3 ]
    [ "$(tsv router <"$T/front" | grep -c oracle)" -eq 0 ]
}

@test "requests: --curve has a row for each router and share" {
    four >"$T/s.csv"
    "$ROUTE" requests --by win --curve --steps 4 --price-weak 1,10 --price-strong 100,1000 \
        "$T/s.csv" >"$T/out" 2>/dev/null
    [ "$(tsv router <"$T/out" | sort | uniq -c | awk '{ print $1 }' | sort -u)" = 5 ]
    [ "$(awk -F'\t' '$1 == "win" { print $3, $4, $5, $6 }' "$T/out" | tr '\n' ';')" = \
        "- 0 0.25 0;0.9 0.25 0.5 0.5;0.4 0.5 0.75 1;0.3 0.75 0.75 1;0.1 1 0.75 1;" ]
    [ "$(awk -F'\t' '$1 == "random" { print $4, $5 }' "$T/out" | tr '\n' ';')" = \
        "0 0.25;0.25 0.375;0.5 0.5;0.75 0.625;1 0.75;" ]
}

@test "requests: thresholds are learnt on one part and judged on the other" {
    many 900 >"$T/s.csv"
    judged --split split=train --share 30% "$T/s.csv" >"$T/out" 2>"$T/err"
    [ "$(cell win requests <"$T/out")" = 300 ]
    # The same by hand: the threshold of the 600, and what lies above it of the 300.
    awk -F, '$6 == "train" { print $4 }' "$T/s.csv" | sort -gr >"$T/train"
    threshold=$(cell win threshold <"$T/out")
    awk -v t="$threshold" '$1 + 0 >= t + 0' "$T/train" | wc -l >"$T/above"
    [ "$(cell win learn_share <"$T/out")" = "$(awk '{ printf "%.10g", $1 / 600 }' "$T/above")" ]
    awk -F, -v t="$threshold" '$6 == "test" { s = $4 + 0 >= t + 0; n++; k += s
        q += s ? $3 : $2 } END { printf "%.10g %.10g\n", k / n, q / n }' "$T/s.csv" >"$T/want"
    [ "$(cell win strong_share <"$T/out") $(cell win quality <"$T/out")" = "$(cat "$T/want")" ]
    # Drawn parts are of the size asked for, the same for the same seed, others for others.
    for run in "1 1" "2 1" "3 2"; do
        judged --split 40% --seed "${run#* }" --quality 0.6 "$T/s.csv" 2>"$T/err" |
            tee "$T/out" | tsv threshold >"$T/t${run% *}"
        [ "$(cell win requests <"$T/out")" = 540 ]
    done
    diff "$T/t1" "$T/t2"
    run ! diff -q "$T/t1" "$T/t3"
    # Two files.
    awk -F, 'NR == 1 || $6 == "train"' "$T/s.csv" >"$T/train.csv"
    awk -F, 'NR == 1 || $6 == "test"' "$T/s.csv" >"$T/test.csv"
    judged --train "$T/train.csv" --share 30% "$T/test.csv" >"$T/files"
    judged --split split=train --share 30% "$T/s.csv" | diff - "$T/files"
    # Chosen where it is judged: said. So is what was taken for a model.
    run --separate-stderr judged --share 30% "$T/s.csv"
    [[ $stderr == *"chosen on the requests that they are judged on"* ]]
    run --separate-stderr "$ROUTE" requests --by win "$T/s.csv"
    [[ $stderr == *"taken for models: small, large, sure; --models says which"* ]]
}

@test "requests: a target that no threshold meets has no row of it" {
    four >"$T/s.csv"
    run --separate-stderr -0 "$ROUTE" requests --by win --quality 0.8 "$T/s.csv"
    [[ $stderr == *"win: no threshold meets the target"* ]]
    [ "$(printf '%s\n' "$output" | cell win threshold)" = - ]
    run --separate-stderr -0 "$ROUTE" requests --by win --pgr 100% "$T/s.csv"
    [ "$(printf '%s\n' "$output" | cell win threshold)" = 0.4 ]
    run --separate-stderr -0 "$ROUTE" requests --by win --usd 0.001 --price-weak 1,10 \
        --price-strong 100,1000 "$T/s.csv"
    [ "$(printf '%s\n' "$output" | cell win strong_share)" = 0.25 ]
}

@test "requests: neighbours from embeddings, which never know the answer" {
    # Two kinds of requests; only one needs the strong model. Prompts are all the same length.
    awk 'BEGIN { srand(3); for (i = 0; i < 300; i++) { k = rand() < 0.5; r = rand()
        printf "{\"prompt\":\"p%03d\",\"set\":%d,", i, i % 2
        printf "\"scores\":{\"w\":%d,\"s\":1},\"embedding\":[%.3f,%.3f]}\n",
            k ? r < 0.1 : r < 0.9, k + rand() / 4, 1 - k + rand() / 4 } }' >"$T/s.jsonl"
    "$ROUTE" requests --by knn "$T/s.jsonl" >"$T/loo" 2>/dev/null
    "$ROUTE" requests --split set=1 "$T/s.jsonl" >"$T/split" 2>/dev/null
    [ "$(tsv router <"$T/split" | tr '\n' ' ')" = \
        "length knn random oracle always-weak always-strong " ]
    for out in loo split; do
        awk -v a="$(cell knn apgr_low <"$T/$out")" 'BEGIN { exit !(a > 0.6) }'
    done
    # Scores that are noise cannot be learnt, however near a request is to itself.
    awk 'BEGIN { srand(4); for (i = 0; i < 300; i++)
        printf "{\"prompt\":\"p%03d\",\"scores\":{\"w\":%d,\"s\":%d},\"embedding\":[%.3f,%.3f]}\n",
            i, rand() < 0.3, rand() < 0.8, rand() - 0.5, rand() - 0.5 }' >"$T/noise.jsonl"
    "$ROUTE" requests --by knn --neighbours 1 "$T/noise.jsonl" >"$T/out" 2>/dev/null
    awk -v a="$(cell knn apgr_low <"$T/out")" -v b="$(cell knn apgr_high <"$T/out")" \
        'BEGIN { exit !(a < 0.5 && b > 0.5) }'
    run "$ROUTE" requests --by knn "$T/s.csv"
    [ "$status" -ne 0 ]
    four >"$T/s.csv"
    fails 1 requests --by knn "$T/s.csv"
    grep -q "expected embeddings" "$T/err"
}

@test "requests: embeddings of llm-run" {
    printf '%s\n' 'prompt,a,b' 'int main(void) { return 0; },0,1' 'The sun was low.,1,1' \
        'for (i = 0; i < n; i++),0,1' 'She had walked all day.,1,1' >"$T/s.csv"
    awk -F'[,]' 'NR > 1 { print "{\"prompt\":\"" $1 "\"}" }' "$T/s.csv" >"$T/p.jsonl"
    "${BUILD:-build}/llm-run" -q -m examples/models/tiny-moe-f16.gguf --jsonl --embed \
        -f "$T/p.jsonl" >"$T/e.npy" || skip "no embeddings"
    run --separate-stderr -0 "$ROUTE" requests --by knn --neighbours 1 \
        --embeddings "$T/e.npy" "$T/s.csv"
    [ "$(printf '%s\n' "$output" | cell knn apgr)" = 0.75 ]
}

@test "requests: what is left out is said" {
    { four; echo 'p,,1,0.5,0.5,x,y'; echo 'q,1,1,,0.5,x,y'; } >"$T/s.csv"
    printf 'abc\n' >"$T/out.txt"
    run --separate-stderr -0 "$ROUTE" requests --by win --exclude "$T/out.txt" "$T/s.csv"
    [ "$(printf '%s\n' "$output" | cell win requests)" = 3 ]
    [[ $stderr == *"left out 1 of 6 requests by --exclude"* ]]
    [[ $stderr == *"left out 2 requests without a score"* ]]
    run --separate-stderr -0 "$ROUTE" requests -q --by win "$T/s.csv"
    [ -z "$stderr" ]
}

@test "requests: ties, constant scores, the same models" {
    printf '%s\n' 'prompt,a,b,win' 'x,0,1,1' 'x,1,0,1' 'x,0,1,1' 'x,0,0,1' 'x,1,1,1' >"$T/s.csv"
    run --separate-stderr -0 "$ROUTE" requests --by win "$T/s.csv"
    [[ $stderr == *"win: 1 different score among 5 requests"* ]]
    run --separate-stderr -0 "$ROUTE" requests --by win --ties mean "$T/s.csv"
    [ "$(printf '%s\n' "$output" | cell win apgr)" = 0.5 ]
    run --separate-stderr -0 "$ROUTE" requests --by win --ties together "$T/s.csv"
    [ "$(printf '%s\n' "$output" | cell win apgr)" = 0.5 ]
    # No gap, or a gap the other way: nothing can be concluded.
    run --separate-stderr -4 "$ROUTE" requests --weak b --strong a "$T/s.csv"
    [[ $stderr == *"no APGR, no CPT: 'a' does not score higher than 'b'"* ]]
    [ "$(printf '%s\n' "$output" | cell length apgr)" = - ]
    [ "$(printf '%s\n' "$output" | cell always-strong quality)" = 0.4 ]
    printf '%s\n' 'a,b' '1,1' '0,0' >"$T/same.csv"
    run --separate-stderr -4 "$ROUTE" requests "$T/same.csv"
    # One request.
    printf '%s\n' 'prompt,a,b' 'x,0,1' >"$T/one.csv"
    run --separate-stderr -0 "$ROUTE" requests "$T/one.csv"
    [ "$(printf '%s\n' "$output" | cell length apgr)" = 0.55 ]
    [ "$(printf '%s\n' "$output" | cell length apgr_low)" = - ]
}

@test "requests: formats, pipes, compression, threads give the same" {
    many 200 >"$T/s.csv"
    judged "$T/s.csv" >"$T/out" 2>/dev/null
    zstd -q "$T/s.csv" -o "$T/s.zst"
    judged "$T/s.zst" 2>/dev/null | diff "$T/out" -
    judged <"$T/s.csv" 2>/dev/null | diff "$T/out" -
    judged -t 1 "$T/s.csv" 2>/dev/null | diff "$T/out" -
    judged -t 3 "$T/s.csv" 2>/dev/null | diff "$T/out" -
    tr , ';' <"$T/s.csv" | judged 2>/dev/null | diff "$T/out" -
    awk -F, 'NR > 1 {
        printf "{\"prompt\":\"%s\",\"scores\":{\"small\":%s,\"large\":%s},\"win\":%s}\n",
            $1, $2, $3, $4 }' "$T/s.csv" | judged 2>/dev/null | diff "$T/out" -
    head -1 "$T/out" | tr '\t' '\n' >"$T/columns"
    judged --json "$T/s.csv" 2>/dev/null >"$T/json"
    jq -r 'keys_unsorted[]' <"$T/json" | awk '!seen[$0]++' | diff "$T/columns" -
}

@test "requests: a picture" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    many 100 >"$T/s.csv"
    "$ROUTE" requests --by win --plot "$T/p.svg" "$T/s.csv" >/dev/null 2>&1
    grep -q "requests to the strong model" "$T/p.svg"
    grep -q "oracle" "$T/p.svg"
    fails 2 requests --plot "$T/p.gif" "$T/s.csv"
}

@test "requests: bad command lines are exit 2, bad input is exit 1" {
    four >"$T/s.csv"
    for args in "--by -" "--cascade knn" "--ties none" "--split 0" "--split 2" "--share 2" \
                "--share 10% --quality 0.5" "--neighbours 0" "--price 3,4" "--price =3,4" \
                "--price-weak 3" "--level 2" "--steps 0" "--curve --pareto" "--pareto" \
                "--weak small --strong small" "--train $T/s.csv --split 50%" \
                "--train-embeddings x.npy" "--usd -1" "--resamples 3" "--usd 1" \
                "--train - --exclude -" "--embeddings - --exclude -"; do
        # shellcheck disable=SC2086
        fails 2 requests $args "$T/s.csv"
    done
    run -4 "$ROUTE" requests --split prompt=none "$T/s.csv"
    [[ $output == *"no request has prompt=none"* ]]
    fails 1 requests "$T/none.csv"
    fails 1 requests --by nothing "$T/s.csv"
    grep -q "expected a column 'nothing'" "$T/err"
    fails 1 requests --weak tiny "$T/s.csv"
    grep -q "expected one of the models small, large" "$T/err"
    fails 1 requests --price tiny=1,2 "$T/s.csv"
    fails 1 requests --exclude "$T/none.txt" "$T/s.csv"
    fails 1 requests --embeddings "$T/s.csv" "$T/s.csv"
    printf 'a,b\n1,x\n1,maybe\n' >"$T/bad.csv"
    fails 1 requests --models a,b "$T/bad.csv"
    grep -q "bad.csv:2: column 'b': expected a score" "$T/err"
    printf 'prompt,a\nx,1\n' >"$T/one.csv"
    fails 1 requests "$T/one.csv"
    grep -q "expected scores of two models" "$T/err"
    printf '%s' '{"prompt":"x","input_tokens":1,"cached_tokens":2,"scores":{"a":0,"b":1},' \
        '"output_tokens":{"a":1,"b":1}}' >"$T/cached.jsonl"
    fails 1 requests --price-weak 1,2 --price-strong 3,4 "$T/cached.jsonl"
    grep -q "request 1: expected at most 1 cached tokens" "$T/err"
    for empty in '' 'prompt,a,b'; do
        printf '%s' "$empty" >"$T/empty"
        fails 4 requests "$T/empty"
    done
    fails 4 requests --by win --split sure=none "$T/s.csv"
    run "$ROUTE" requests --by win "$T/s.csv" >/dev/full
    run bash -c "'$ROUTE' requests '$T/s.csv' >/dev/full 2>'$T/err'"
    [ "$status" -eq 1 ]
}

@test "requests: ten megabytes on one line" {
    { echo 'prompt,a,b'; printf '"'; head -c 10000000 /dev/zero | tr '\0' 'x'; echo '",0,1'; \
      echo 'y,1,1'; } >"$T/s.csv"
    run --separate-stderr -0 "$ROUTE" requests --by length --curve --steps 2 "$T/s.csv"
    printf '%s\n' "$output" | awk -F'\t' '$1 == "length" && $4 == 0.5 { print $3 }' >"$T/half"
    [ "$(cat "$T/half")" = 10000000 ]
    { printf '"'; head -c 1000000 /dev/zero | tr '\0' '\n'; } >"$T/open.csv"
    fails 1 requests "$T/open.csv"
}

@test "requests: RouteLLM's GSM8K answers" {
    data=../shared/data/requests
    [ -r "$data/routellm-gsm8k.csv" ] || skip "no $data"
    run --separate-stderr -0 "$ROUTE" requests --by length \
        --exclude "$data/routellm-gsm8k-excluded.jsonl" "$data/routellm-gsm8k.csv"
    printf '%s\n' "$output" >"$T/out"
    [ "$(cell length requests <"$T/out")" = 1307 ]
    printf '%.3f %.2f %.2f %.2f %.3f %.3f %.3f\n' "$(cell length apgr <"$T/out")" \
        "$(cell length cpt20_percent <"$T/out")" "$(cell length cpt50_percent <"$T/out")" \
        "$(cell length cpt80_percent <"$T/out")" \
        "$(cell always-weak quality <"$T/out" | awk '{ print 100 * $1 }')" \
        "$(cell always-strong quality <"$T/out" | awk '{ print 100 * $1 }')" \
        "$(cell oracle quality <"$T/out" | awk '{ print 100 * $1 }')" >"$T/got"
    [ "$(cat "$T/got")" = "0.598 11.08 36.67 66.69 63.734 85.769 92.961" ]
    # RouteLLM's own evaluation of these lengths, whose thresholds send ties together.
    run --separate-stderr -0 "$ROUTE" requests --by length --ties together \
        --exclude "$data/routellm-gsm8k-excluded.jsonl" "$data/routellm-gsm8k.csv"
    printf '%s\n' "$output" >"$T/out"
    printf '%.5f %.2f %.2f %.2f\n' "$(cell length apgr <"$T/out")" \
        "$(cell length cpt20_percent <"$T/out")" "$(cell length cpt50_percent <"$T/out")" \
        "$(cell length cpt80_percent <"$T/out")" >"$T/got"
    [ "$(cat "$T/got")" = "0.59866 10.51 36.51 66.66" ]
}
