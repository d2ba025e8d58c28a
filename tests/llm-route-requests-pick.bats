#!/usr/bin/env bats
# llm-route-requests-pick.bats - llm-route requests pick from the outside

load route

# shellcheck disable=SC2154  # run sets output and stderr

SCORES=../shared/data/requests/routellm-gsm8k.csv

# requests N: prompts of 1 to 97 characters, mixed
requests() {
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++) {
            s = sprintf("%" (1 + i * 37 % 97) "s", "")
            printf "{\"id\":%d,\"prompt\":\"%s\"}\n", i, s
        }
    }'
}

# past: what a weak and a strong model made of prompts: the weak fails at more than 50 characters
past() {
    echo "prompt,small,large,small_response,large_response"
    for ((i = 1; i <= 100; i++)); do
        printf '%*s,%d,1,abcd,abcdefgh\n' "$i" x $((i <= 50))
    done
}

pick() {
    "$ROUTE" requests pick -q "$@"
}

prices="--price-weak 1,1 --price-strong 10,10 --output-tokens 10"

@test "pick: lines go through as they came, in order, with three members more" {
    requests 50 >"$T/in"
    pick --threshold 40 "$T/in" >"$T/out"
    [ "$(wc -l <"$T/out")" -eq 50 ]
    sed 's/,"route":.*$/}/' "$T/out" | diff "$T/in" -
    jq -e -s 'all((.prompt | length) as $n | .route_score == $n and .route_cost_usd == null
           and .route == (if $n >= 40 then "strong" else "weak" end))' "$T/out"
    # Picked again: as if it had not been before.
    pick --threshold 40 "$T/out" | diff "$T/out" -
    pick --by -length --threshold 40 <"$T/in" |
        jq -e -s 'all((.prompt | length) as $n | .route_score == $n
               and .route == (if $n <= 40 then "strong" else "weak" end))'
    printf '{"messages":[{"role":"user","content":"abc"}],"win":0.5}\n' >"$T/in"
    pick --by win --threshold 0.5 --weak a --strong b "$T/in" | jq -e '.route == "b"'
    pick --by win --threshold 0.6 --weak a --strong b "$T/in" | jq -e '.route == "a"'
}

@test "pick: no more than the share are strong, at any moment, and they are the longest" {
    requests 2000 >"$T/in"
    for by in length random; do
        pick --by $by --share 20% "$T/in" >"$T/out"
        jq -e -n 'reduce inputs as $r ({n: 0, s: 0, bad: 0}; .n += 1
            | .s += (if $r.route == "strong" then 1 else 0 end)
            | .bad += (if .s > 0.2 * .n then 1 else 0 end)) | .bad == 0 and .s > 370' "$T/out"
    done
    pick --strong-share 0.2 "$T/in" >"$T/out"
    jq -e -s 'map(select(.route == "strong").route_score) | add / length > 85' "$T/out"
    pick --by random --share 20% --seed 2 "$T/in" >"$T/a"
    pick --by random --share 20% --seed 2 "$T/in" | diff "$T/a" -
}

@test "pick: a budget holds in every period, and lasts" {
    requests 3000 >"$T/in"
    # Some 22 tokens a request: 22 millionths weak, ten times that strong.
    # shellcheck disable=SC2086
    pick $prices --budget 0.05/1000 "$T/in" >"$T/out"
    jq -e -n '[limit(1000; inputs)] | (map(.route_cost_usd) | add) as $usd
        | $usd <= 0.05 and $usd > 0.045
        and ([.[500:][] | select(.route == "strong")] | length) > 35' "$T/out"
    for period in 0 1 2; do
        jq -e -s ".[$((period * 1000)):$((period * 1000 + 1000))]
            | (map(.route_cost_usd) | add) <= 0.05" "$T/out"
    done
    # Hours of the requests' own time.
    awk '{ sub(/}$/, ",\"timestamp\":" NR * 3600 "}"); print }' "$T/in" >"$T/timed"
    # shellcheck disable=SC2086
    pick $prices --budget 0.05/h "$T/timed" >"$T/out"
    jq -e -s 'group_by((.timestamp - 3600) / 3600000 | floor)
        | map(map(.route_cost_usd) | add) | max <= 0.05 and .[1] > 0.04' "$T/out"
    # A line without a time is as late as the one before, and does not stop the periods.
    sed '7s/,"timestamp":[0-9]*//' "$T/timed" >"$T/untimed"
    # shellcheck disable=SC2086
    pick $prices --budget 0.05/h "$T/untimed" | jq -r '.route' >"$T/routes"
    jq -r '.route' "$T/out" | diff - "$T/routes" | grep -c '^[<>]' | awk '$1 > 100 { exit 1 }'
}

@test "pick: prices of a book beside, of a model that is free" {
    printf 'book my\nmodel big\n' >"$T/my.book"
    printf 'price big %s\n' "input 10" "read 1" "output 20" >>"$T/my.book"
    echo '{"input_tokens":1000000,"cached_tokens":500000,"output_tokens":1000000}' >"$T/in"
    local program
    program=$(realpath "$ROUTE")
    cd "$T"
    for share in 0 1; do
        "$program" requests pick -q --by random --share $share --price-weak 0,0 \
            --price-strong ./my.book:big in | jq -e ".route_cost_usd == $share * 25.5"
    done
}

@test "pick: what does not pay for the weak model" {
    requests 100 >"$T/in"
    # shellcheck disable=SC2086
    run --separate-stderr -3 "$ROUTE" requests pick $prices --budget 0.001 "$T/in"
    [[ $stderr == *"the budget of \$0.001 does not pay"* ]]
    printf '%s\n' "$output" | jq -e -s 'map(.route_cost_usd) | add <= 0.001 and length < 100'
    # shellcheck disable=SC2086
    run --separate-stderr -0 "$ROUTE" requests pick $prices --budget 0.001 --over drop "$T/in"
    printf '%s\n' "$output" | jq -e -s 'length == 100 and (map(.route_cost_usd) | add) <= 0.001
        and (map(select(.route == null)) | length) > 10'
    # shellcheck disable=SC2086
    run --separate-stderr -3 "$ROUTE" requests pick $prices --budget 0.001 --over weak "$T/in"
    [[ $stderr == *"requests beyond the budget: "* ]]
    printf '%s\n' "$output" | jq -e -s 'length == 100 and all(.route != null)'
}

@test "pick: a calibration gives models, a threshold, lengths of answers" {
    past >"$T/past.csv"
    requests 200 >"$T/in"
    run --separate-stderr -0 "$ROUTE" requests pick --calibrate "$T/past.csv" --quality 1 "$T/in"
    [[ $stderr == *"threshold 51: 50.0 % of the calibration go to large, mean score 1"* ]]
    printf '%s\n' "$output" |
        jq -e -s 'all(.route == (if (.prompt | length) > 50 then "large" else "small" end))'
    # Answers of 4 and 8 characters are 1 and 2 tokens.
    printf '{"input_tokens":1000}\n' |
        pick --calibrate "$T/past.csv" --price-weak 0,1000000 --price-strong 0,1000000 \
            --threshold 1 | jq -e '.route_cost_usd == 2'
    fails 1 requests pick --calibrate "$T/past.csv" --quality 2 "$T/in"
    grep -q "no threshold reaches 2" "$T/err"
    fails 1 requests pick --calibrate "$T/past.csv" --weak tiny --share 1 "$T/in"
    # Neighbours: what was like it and was worth it.
    for ((i = 0; i < 20; i++)); do
        echo "{\"scores\":{\"small\":$((i % 2)),\"large\":1},\"embedding\":[$((i % 2)),1]}"
    done >"$T/past.jsonl"
    printf '{"embedding":[%s,1]}\n' 0 1 |
        pick --by knn --neighbours 3 --calibrate "$T/past.jsonl" --threshold 0.5 >"$T/out"
    [ "$(jq -r '.route' "$T/out" | tr '\n' ' ')" = "large small " ]
    [ "$(jq -r '.route_score' "$T/out" | tr '\n' ' ')" = "1 0 " ]
    echo '{"embedding":[1,2,3]}' >"$T/in"
    fails 1 requests pick --by knn --calibrate "$T/past.jsonl" --share 1 "$T/in"
    grep -q "line 1: expected an embedding of 2 numbers, found 3" "$T/err"
}

@test "pick: a cached prefix is where its session was" {
    # The weak model had the session: there 900 of 1000 tokens cost a tenth. The strong one would
    # read all of them anew.
    for ((i = 0; i < 2; i++)); do
        echo "{\"session_id\":\"a\",\"input_tokens\":1000,\"cached_tokens\":900,\"w\":$i}"
    done >"$T/in"
    pick --by w --threshold 1 --price-weak 1,1,0.1 --price-strong 2,2,0.2 --output-tokens 0 \
        "$T/in" >"$T/out"
    [ "$(jq -r .route_cost_usd "$T/out" | tr '\n' ' ')" = "0.00019 0.002 " ]
    sed 's/"session_id":"a",//' "$T/in" | pick --by w --threshold 1 --price-weak 1,1,0.1 \
        --price-strong 2,2,0.2 --output-tokens 0 >"$T/out"
    [ "$(jq -r .route_cost_usd "$T/out" | tr '\n' ' ')" = "0.00019 0.00038 " ]
}

@test "pick: lines that are no requests" {
    printf '%s\n' '{"prompt":"a"}' '' 'garbage' '{"prompt":"b"' '{}' '{"prompt":"c"}' >"$T/in"
    run --separate-stderr -1 "$ROUTE" requests pick --share 1 "$T/in"
    [[ $stderr == *"line 3: character 1: expected an object" ]]
    [[ $output == '{"prompt":"a","route":"strong"'* ]]
    run --separate-stderr -0 "$ROUTE" requests pick --share 1 --bad pass "$T/in"
    [ "${lines[1]}" = garbage ]
    [ "${#lines[@]}" -eq 5 ]
    [[ $stderr == *"lines that were no requests: 3"* ]]
    run --separate-stderr -0 "$ROUTE" requests pick --share 1 --bad drop "$T/in"
    [ "${#lines[@]}" -eq 2 ]
    : >"$T/in"
    fails 4 requests pick --share 1 "$T/in"
    head -c 3000 /dev/urandom | tr -d '\n' >"$T/in"
    fails 1 requests pick --share 1 "$T/in"
    # Ten megabytes on one line.
    { printf '{"prompt":"'; head -c 10000000 /dev/zero | tr '\0' x; echo '"}'; } >"$T/in"
    pick --share 1 "$T/in" >"$T/out"
    [[ $(tail -c 80 "$T/out") == *'xxx","route":"strong","route_score":10000000,'* ]]
}

@test "pick: each line leaves before the next one comes" {
    mkfifo "$T/in" "$T/out"
    pick --share 1 <"$T/in" >"$T/out" &
    exec 7>"$T/in" 8<"$T/out"
    for i in 1 2 3; do
        echo "{\"prompt\":\"$i\"}" >&7
        read -r line <&8
        [[ $line == "{\"prompt\":\"$i\",\"route\""* ]]
    done
    exec 7>&-
    wait $!
    exec 8<&-
}

@test "pick: bad options, a full disk, a reader that goes away" {
    requests 10 >"$T/in"
    past >"$T/past.csv"
    for args in "" "--share 2" "--budget x" "--budget 5" "--budget 5/ --price-weak 1,1" \
                "--budget 5/never" "--quality 1" "--by knn --share 1" "--over maybe --share 1" \
                "--price-weak 1,1 --share 1" "--embeddings x --share 1" "--bad no --share 1" \
                "--weak a --strong a --share 1" "--threshold 1 --quality 1" "--by - --share 1" \
                "--price-weak , --price-strong 1,1 --share 1" "--budget 5/ $prices" "--calibrate - --embeddings - --share 1" \
                "--quality 1 --by random --calibrate $T/past.csv" "--share 1 $T/in"; do
        # shellcheck disable=SC2086
        fails 2 requests pick $args "$T/in"
    done
    fails 1 requests pick --share 1 --calibrate "$T/no-such-file" "$T/in"
    fails 1 requests pick --share 1 "$T/no-such-file"
    # shellcheck disable=SC2016
    run --separate-stderr -1 sh -c '"$0" requests pick --share 1 "$1" >/dev/full' "$ROUTE" "$T/in"
    [[ $stderr == *"stdout: No space left on device"* ]]
    requests 20000 >"$T/in"
    # shellcheck disable=SC2016
    run --separate-stderr bash -c '"$0" requests pick --share 1 "$1" | head -1
        exit "${PIPESTATUS[0]}"' "$ROUTE" "$T/in"
    [ "$status" -eq 141 ]
    [ -z "$stderr" ]
}

@test "pick: GSM8K, a threshold of one half gives its quality on the other" {
    [ -r "$SCORES" ] || skip "no $SCORES"
    python3 -c '
import csv, json, sys
rows = list(csv.reader(open(sys.argv[1])))
out = csv.writer(open(sys.argv[2], "w"))
out.writerow(rows[0])
for i, r in enumerate(rows[1:]):
    if i % 2: out.writerow(r)
    else: print(json.dumps({"prompt": r[0], "right": [r[1] == "True", r[2] == "True"]}))' \
        "$SCORES" "$T/past.csv" >"$T/in"
    for quality in 0.7 0.75 0.8; do
        pick --calibrate "$T/past.csv" --quality $quality "$T/in" >"$T/out"
        jq -e -s --argjson q $quality 'map(.right[if .route | test("gpt-4") then 1 else 0 end]
            | if . then 1 else 0 end) | add / length - $q | . > -0.03 and . < 0.04' "$T/out"
    done
}
