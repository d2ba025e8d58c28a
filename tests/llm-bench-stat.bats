#!/usr/bin/env bats
# llm-bench stat from the outside: verdicts and exit statuses, formats, commands run in turn
# shellcheck disable=SC2016 # commands for another shell

load bench

# numbers FILE NUMBER...: one a line
numbers() {
    local file=$1
    shift
    printf '%s\n' "$@" >"$file"
}

# Two files whose samples do not overlap, ten percent apart, and one like the first.
make_files() {
    numbers "$T/base" 10.1 9.9 10.0 10.2 9.8 10.05
    numbers "$T/more" 11.1 10.9 11.0 11.2 10.8 11.05
    numbers "$T/same" 10.0 10.1 9.95 10.15 9.85 10.02
}

# stat STATUS ARGUMENTS...: rows in $T/out, words in $T/err
stat() {
    local want=$1 got=0
    shift
    "$BENCH" stat "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" = "$want" ] || { echo "status $got: $*"; cat "$T/out" "$T/err"; return 1; }
}

# Column NAME of row N of $T/out.
cell() {
    awk -F'\t' -v name="$1" -v row="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
        NR == row + 1 { print $c }' "$T/out"
}

@test "stat: says worse, better, no difference, no conclusion, and how sure it is" {
    make_files
    stat 0 --better lower "$T/base" "$T/more"
    [ "$(cell verdict 1)" = worse ]
    [ "$(cell value 1)" = 11.025 ]
    [ "$(cell base 1)" = 10.025 ]
    [ "$(cell p_adjusted 1)" = 0.002164502165 ]
    awk -v r="$(cell ratio 1)" 'BEGIN { exit !(r > 1.097 && r < 1.103) }'
    [ "$(cell samples 1)" = 11.1,10.9,11,11.2,10.8,11.05 ]
    stat 0 --better higher "$T/base" "$T/more"
    [ "$(cell verdict 1)" = better ]
    stat 0 "$T/base" "$T/more"
    [ "$(cell verdict 1)" = higher ]
    stat 0 "$T/base" "$T/same"
    [ "$(cell verdict 1)" = "no difference" ]
    numbers "$T/few" 10 11 12
    stat 4 "$T/few" "$T/few"
    [ "$(cell verdict 1)" = "no conclusion" ]
    [ "$(cell need_n 1)" = 4 ]
    grep -q 'no conclusion; 4 samples a side should do' "$T/err"
}

@test "stat: a margin has three answers" {
    make_files
    stat 0 --better lower --margin 2% "$T/base" "$T/more"
    [ "$(cell verdict 1)" = worse ]
    stat 0 --better lower --margin 0.2 "$T/base" "$T/more"
    [ "$(cell verdict 1)" = same ]
    stat 4 --better lower --margin 1% "$T/base" "$T/same"
    [ "$(cell verdict 1)" = "no conclusion" ]
    [ "$(cell need_n 1)" -gt 6 ]
}

@test "stat: --fail-on ends with 3, and only on what it names" {
    make_files
    stat 3 --better lower --fail-on worse "$T/base" "$T/more"
    stat 0 --better higher --fail-on worse "$T/base" "$T/more"
    stat 3 --fail-on worse "$T/base" "$T/more"          # nobody said which way is better
    stat 0 --better lower --fail-on worse "$T/base" "$T/same"
    stat 4 --better lower --margin 1% --fail-on worse "$T/base" "$T/same"
    stat 3 --better lower --margin 1% --fail-on worse,inconclusive "$T/base" "$T/same"
    stat 0 --better lower --fail-on missing "$T/base" "$T/more"
}

@test "stat: a series of one side alone is listed" {
    printf '%s\n' '{"name":"a","unit":"ms","samples":[1,2,3,4,5,6]}' \
        '{"name":"gone","unit":"ms","samples":[1,2]}' >"$T/base"
    printf '%s\n' '{"name":"a","unit":"ms","samples":[1,2,3,4,5,6]}' \
        '{"name":"new","unit":"ms","samples":[1,2]}' >"$T/head"
    stat 0 "$T/base" "$T/head"
    [ "$(cell name 2)/$(cell verdict 2)" = "gone/only in base" ]
    [ "$(cell name 3)/$(cell verdict 3)" = "new/only in head" ]
    grep -q 'no samples of gone' "$T/err"
    stat 3 --fail-on missing "$T/base" "$T/head"
    stat 0 --fail-on missing --filter 'a,n*' "$T/base" "$T/head"
    [ "$(wc -l <"$T/out")" = 3 ]
}

@test "stat: says when the sides were not measured in the same place" {
    row() {
        printf '{"name":"a","unit":"ms","samples":[1,2,3,4,5,6],"host_cpu":"%s","args":"%s"}\n' "$@"
    }
    row Zen 'bench -t 2' >"$T/base"
    row Xeon 'bench -t 4' >"$T/head"
    stat 0 "$T/base" "$T/head"
    grep -q "different processors: 'Zen' and 'Xeon'" "$T/err"
    grep -q "different command lines: 'bench -t 2' and 'bench -t 4'" "$T/err"
    stat 0 "$T/base" "$T/base"
    run ! grep -q different "$T/err"
    stat 0 -q "$T/base" "$T/head"
    [ ! -s "$T/err" ]
}

@test "stat: says when the samples are not what they should be" {
    numbers "$T/first" 90 10 10.5 9.8 10.2 10.1 9.9 10.3 10 10.2
    numbers "$T/modes" 10 20 10.1 10.2 20.2 20.1 9.9 20 9.8 10 20.3 19.9 10.1 20 10
    stat 0 --better lower "$T/first"
    grep -q 'the first sample, 90, is far off' "$T/err"
    [ "$(cell noise 1)" = "first is off" ]
    stat 0 "$T/modes"
    grep -q 'two groups' "$T/err"
}

@test "stat: one file is summed up, many are compared with the first" {
    make_files
    stat 0 "$T/base"
    [ "$(cell value 1)/$(cell n 1)/$(cell max 1)" = 10.025/6/10.2 ]
    stat 0 "$T/base" "$T/more" "$T/same" --format tsv
    [ "$(cell verdict 1)/$(cell verdict 2)" = "higher/no difference" ]
    [ "$(cell head_name 2)" = "$T/same" ]
    "$BENCH" stat - <"$T/base" | grep -q 10.025
    "$BENCH" stat - "$T/more" <"$T/base" | grep -q higher
}

@test "stat: means over the series of a unit" {
    for x in a b c; do
        printf '{"name":"%s","unit":"ms","samples":[1,1,1,1,1,1]}\n' $x >>"$T/base"
        printf '{"name":"%s","unit":"ms","samples":[2,2,2,2,2,2]}\n' $x >>"$T/head"
    done
    stat 0 "$T/base" "$T/head"
    [ "$(cell name 4)/$(cell ratio 4)/$(cell n 4)" = "geomean ms/2/3" ]
}

@test "stat: reads its own rows, in JSON and in tabs" {
    make_files
    "$BENCH" stat --json -q "$T/base" >"$T/rows.json"
    "$BENCH" stat --format tsv -q "$T/more" >"$T/rows.tsv"
    stat 0 "$T/rows.json" "$T/rows.tsv"
    [ "$(cell verdict 1)" = higher ]
    [ "$(cell base_n 1)/$(cell n 1)" = 6/6 ]
    jq -e '.files | test("base=sha256:[0-9a-f]{64}$")' "$T/rows.json"
}

# ---- formats ------------------------------------------------------------------------------------

odd_rows() {
    printf '%s\n' '{"name":"a,\"b\" | '"'"'c'"'"' <d> & *e*","unit":"ms","samples":[1,2,3,4,5,6]}' \
        '{"name":"plain","unit":"tok/s","samples":[7]}'
}

@test "stat: CSV as RFC 4180 has it" {
    odd_rows >"$T/base"
    stat 0 --format csv "$T/base"
    [ "$(head -n 1 "$T/out" | cut -d, -f1-5)" = name,value,low,high,unit ]
    [ "$(grep -c "$(printf '\r')\$" "$T/out")" = 3 ]
    sed -n 2p "$T/out" | grep -qF '"a,""b"" | '"'c'"' <d> & *e*",3.5,1,6,ms,'
    sed -n 3p "$T/out" | grep -q '^plain,7,,,tok/s,'
    command -v python3 || skip "no python3"
    python3 - "$T/out" <<'END'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert rows[0]["name"] == 'a,"b" | \'c\' <d> & *e*', rows
assert rows[0]["samples"] == "1,2,3,4,5,6" and rows[1]["low"] == ""
END
}

@test "stat: Markdown" {
    odd_rows >"$T/base"
    stat 0 --format md "$T/base"
    [ "$(sed -n 2p "$T/out" | cut -c1-24)" = "|---|---:|---:|---:|---|" ]
    sed -n 3p "$T/out" | grep -qF '| a,"b" \| '"'c'"' \<d> & \*e\* | 3.50 | 1.00 | 6.00 | ms |'
    [ "$(wc -l <"$T/out")" = 4 ]
}

@test "stat: SQL that sqlite3 takes, of several runs in one database" {
    odd_rows >"$T/base"
    stat 0 --format sql "$T/base"
    cp "$T/out" "$T/all"
    stat 0 --format sql "$T/base" "$T/base"
    cat "$T/out" >>"$T/all"
    stat 0 --format sql "$T/base"
    cat "$T/out" >>"$T/all"
    grep -q '^CREATE TABLE IF NOT EXISTS llm_bench_stat (' "$T/all"
    command -v sqlite3 || skip "no sqlite3"
    sqlite3 -bail "$T/db" <"$T/all"
    sql() { sqlite3 "$T/db" "select $*"; }
    [ "$(sql 'count(*), sum(value), count(low) from llm_bench_stat_summary')" = "4|21.0|2" ]
    [ "$(sql "verdict from llm_bench_stat where name = 'plain'")" = "no conclusion" ]
    [ "$(sql 'name from llm_bench_stat limit 1')" = "a,\"b\" | 'c' <d> & *e*" ]
}

@test "stat: JUnit: a regression fails, what is open is skipped" {
    for x in 'x<&">' y; do
        printf '{"name":"%s","unit":"ms","samples":[1,2,3,4,5,6]}\n' "${x//\"/\\\"}" >>"$T/base"
    done
    printf '{"name":"%s","unit":"ms","samples":[%s]}\n' 'x<&\">' 11,12,13,14,15,16 y 1,2 >"$T/head"
    stat 3 --fail-on worse --format junit "$T/base" "$T/head"
    grep -q 'tests="2" failures="1" errors="0" skipped="1"' "$T/out"
    grep -q 'name="x&lt;&amp;&quot;&gt;"' "$T/out"
    grep -q '<failure message="worse: 13.5 ms, was 3.5;' "$T/out"
    stat 0 --format junit "$T/base" "$T/head"
    grep -q 'failures="0"' "$T/out"
    stat 0 --margin 5% --format junit "$T/base" "$T/head"
    grep -q 'failures="1"' "$T/out"
    fails 2 stat --format junit "$T/base"
    command -v xmllint || skip "no xmllint"
    stat 0 --format junit "$T/base" "$T/head"
    xmllint --noout "$T/out"
    printf '{"name":"no \xff\xc3, no \xef\xbf\xbe","samples":[1]}\n' >"$T/bytes"
    stat 4 --format junit "$T/bytes" "$T/bytes"
    xmllint --noout "$T/out"
}

@test "stat: JSON for github-action-benchmark, a direction at a time" {
    odd_rows >"$T/base"
    stat 0 --format github-action-benchmark "$T/base"
    jq -e 'length == 2 and .[0].value == 3.5 and .[0].unit == "ms" and .[0].range == "1 to 6"
        and (.[0].extra | test("better: lower"))' "$T/out"
    grep -q -- '--only higher' "$T/err"
    stat 0 --format github-action-benchmark --only higher "$T/base"
    jq -e 'length == 1 and .[0].name == "plain"' "$T/out"
    [ ! -s "$T/err" ]
    stat 0 --format github-action-benchmark --only lower "$T/base" "$T/base"
    jq -e '.[0].extra | test("verdict: no difference")' "$T/out"
}

# ---- commands -----------------------------------------------------------------------------------

@test "stat: --cmd runs commands in turn, the order alternating" {
    export T
    stat 0 -r 5 --warmup 2 --cmd 'echo A >>"$T/order"' --cmd 'echo B >>"$T/order"'
    [ "$(tr -d '\n' <"$T/order")" = ABBAABBAABBAAB ]
    [ "$(cell name 1)/$(cell n 1)/$(cell base_n 1)" = wall/5/5 ]
    [ "$(cell name 2)/$(cell unit 2)" = cpu/ms ]
    [ "$(cell name 3)/$(cell unit 3)" = peak/MiB ]
}

@test "stat: --cmd measures time, memory and their children" {
    stat 0 -r 3 --warmup 0 --cmd 'sleep 0.2; head -c 60000000 /dev/zero | tail -c 50000000 | wc -c'
    awk -v w="$(cell min 1)" -v p="$(cell value 3)" \
        'BEGIN { exit !(w >= 200 && p > 40 && p < 200) }'
    stat 0 -r 2 --warmup 0 --cmd 'sleep 0.3'
    awk -v w="$(cell min 1)" -v c="$(cell max 2)" 'BEGIN { exit !(w >= 300 && c < w) }'
}

@test "stat: --save keeps the samples for a later comparison" {
    "$BENCH" stat -q -r 5 --cmd true -o "$T/base.jsonl" >"$T/rows"
    "$BENCH" stat -q -r 6 --cmd true --save "$T/head.jsonl" >"$T/rows"
    stat 0 "$T/base.jsonl" "$T/head.jsonl"
    [ "$(cell name 1)/$(cell base_n 1)/$(cell n 1)" = wall/5/6 ]
    jq -e -s '.[0].command == "true" and (.[0].files | test("true=sha256:"))' "$T/base.jsonl"
    "$BENCH" stat -q -r 5 --cmd true --cmd true --name a -o "$T/two.jsonl" >"$T/rows"
    [ "$(jq -r .name "$T/two.jsonl" | grep -v energy | tr '\n' ,)" = \
        'a wall,a cpu,a peak,true wall,true cpu,true peak,' ]
    got=0
    "$BENCH" stat -q -r 1 --cmd true -o "$T/none/x" >"$T/rows" 2>"$T/err" || got=$?
    [ $got = 1 ]
}

@test "stat: --metric compares what the commands print" {
    export T
    numbers "$T/n" 1
    cat >"$T/up.sh" <<'END'
x=$(cat "$T/n")
echo $((x + 1)) >"$T/n"
echo "{\"speed_tps\":$((100 + x)),\"wait_ms\":$x}"
END
    stat 0 -r 6 --warmup 0 --metric --cmd "sh $T/up.sh" --cmd 'echo "{\"speed_tps\":7}"'
    [ "$(cell name 1)/$(cell verdict 1)/$(cell value 1)" = speed/worse/7 ]
    [ "$(cell name 2)/$(cell verdict 2)/$(cell base_n 2)" = "wait/only in base/6" ]
    stat 0 -r 6 --warmup 0 --metric=wait --cmd "sh $T/up.sh"
    [ "$(wc -l <"$T/out")" = 2 ]
    fails 1 stat --metric=none --cmd 'echo 5'
    fails 1 stat --metric --cmd 'echo no number'
    grep -q "output of echo no number:1: expected a number, found 'no number'" "$T/err"
}

@test "stat: --precision runs on until it is known, or until it must end" {
    stat 0 --precision 50% --metric --warmup 0 --cmd 'echo 5'
    [ "$(cell n 1)" = 10 ]
    export T
    numbers "$T/n" 1
    stat 0 --precision 0.1% -r 12 --metric --warmup 0 \
        --cmd 'x=$(cat "$T/n"); echo $((x * 2)) >"$T/n"; echo $x'
    [ "$(cell n 1)" = 12 ]
    grep -q 'not within 0.1% after 12 runs' "$T/err"
    stat 0 --precision 0.1% --max-time 1ms --metric --warmup 0 --cmd 'echo $$'
    [ "$(cell n 1)" = 1 ]
}

@test "stat: a command that fails is an error, unless that is allowed" {
    fails 1 stat --cmd 'exit 3'
    grep -q 'exit 3: exit status 3' "$T/err"
    fails 1 stat --cmd 'kill -9 $$'
    grep -q 'ended by signal 9' "$T/err"
    fails 1 stat --cmd no-such-program
    grep -q 'not found' "$T/err"
    fails 1 stat --prepare 'exit 2' --cmd true
    stat 0 --ignore-failure -r 2 --cmd 'exit 3'
    grep -q '2 runs failed' "$T/err"
    "$BENCH" stat -v -r 1 --warmup 0 --cmd 'echo words >&2' 2>&1 >"$T/out" | grep -qx words
}

@test "stat: --prepare runs before each run" {
    export T
    stat 0 -r 3 --warmup 1 --prepare 'echo p >>"$T/order"' --cmd 'echo A >>"$T/order"'
    [ "$(tr -d '\n' <"$T/order")" = pApApApA ]
}

@test "stat: a command dies with the program" {
    export T
    "$BENCH" stat --cmd 'echo $$ >"$T/pid"; exec sleep 300' >"$T/out" 2>"$T/err" &
    bench=$!
    for ((i = 0; i < 500; i++)); do [ -s "$T/pid" ] && break; sleep 0.02; done
    pid=$(cat "$T/pid")
    kill -KILL $bench
    wait $bench || true
    for ((i = 0; i < 500; i++)); do [ -d "/proc/$pid" ] || break; sleep 0.02; done
    [ ! -d "/proc/$pid" ] || grep -q '^State:.*Z' "/proc/$pid/status"
}

# ---- the bad day --------------------------------------------------------------------------------

@test "stat: bad options and files" {
    numbers "$T/a" 1 2 3
    fails 2 stat --margin x "$T/a"
    fails 2 stat --margin 2000% "$T/a"
    fails 2 stat --level 20% "$T/a"
    fails 2 stat --format yaml "$T/a"
    fails 2 stat --fail-on never "$T/a"
    fails 2 stat --better sideways "$T/a"
    fails 2 stat --repeat 3 "$T/a"
    fails 2 stat --cmd true "$T/a"
    fails 2 stat --cmd ' '
    fails 2 stat --cmd true --name a --name b
    fails 2 stat --cmd true --precision 0
    fails 2 stat - -
    fails 1 stat "$T/none"
    fails 1 stat /dev/null
    fails 1 stat --filter nothing "$T/a"
    printf '1\nx\n' >"$T/bad"
    fails 1 stat "$T/a" "$T/bad"
    grep -qx "llm-bench stat: $T/bad:2: expected a number, found 'x'" "$T/err"
}

@test "stat: a full disk is an error, a reader that leaves is not" {
    make_files
    for format in table tsv csv jsonl md sql junit github-action-benchmark; do
        got=0
        "$BENCH" stat --format $format "$T/base" "$T/more" 2>"$T/err" >/dev/full || got=$?
        [ $got = 1 ]
        grep -q 'No space left' "$T/err"
    done
    got=0
    "$BENCH" stat -q --cmd true -r 1 -o /dev/full >"$T/out" 2>"$T/err" || got=$?
    [ $got = 1 ]
}

@test "stat: the command line is in the rows as it was given" {
    make_files
    stat 0 --margin 20% --filter 'val*,x' --json "$T/base" "$T/more"
    want="llm-bench stat --margin 20% --filter 'val*,x' --json $T/base $T/more"
    [ "$(jq -r .args "$T/out")" = "$want" ]
}
