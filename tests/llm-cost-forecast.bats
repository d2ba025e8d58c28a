#!/usr/bin/env bats
# llm-cost-forecast.bats - llm-cost forecast: the bill to come, budgets, caps, the limits of a trace

load cost

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    cat >"$T/book" <<'END'
book    test observed=2026-11-24 currency=USD
model   m
price   m input 1
price   m output 4
plan    pro fee=20 period=month included=20
plan    go fee=10 period=week included=7 overage=refused
window  go limit=2 period=5h
window  go limit=8 period=7d
END
}

# trace DAYS: three sessions a day of two requests each an hour apart; $1 a session.
trace() {
    for d in $(seq 0 $(($1 - 1))); do
        for s in 0 1 2; do
            for k in 0 1; do
                printf '{"timestamp":%d,"model":"m","session_id":"%d.%d",' \
                    $(((d * 24 + 4 * s + k) * 3600000)) "$d" $s
                printf '"input_length":300000,"output_length":50000}\n'
            done
        done
    done
}

forecast() {
    "$COST" forecast --book "$T/book" "$@"
}

# of WHAT FIELD: from the JSON rows on stdin.
of() {
    jq -r "select(.what == \"$1\") | .$2"
}

# between VALUE LOW HIGH
between() {
    awk -v x="$1" -v a="$2" -v b="$3" 'BEGIN { exit !(x != "" && x >= a && x <= b) }' ||
        { echo "$1 is not in $2 to $3"; return 1; }
}

@test "help, usage errors" {
    "$COST" forecast --help | grep -q '^usage: llm-cost forecast'
    fails 2 forecast --period never x
    fails 2 forecast --growth much x
    fails 2 forecast --growth -200% x
    grep -q "'-200%': expected a share from -99%" "$T/err"
    fails 2 forecast --budget -1 x
    fails 2 forecast --by hour x
    fails 2 forecast --ahead 0 x
    fails 2 forecast --resamples 5 x
    fails 2 forecast --model a --as b x
    fails 2 forecast --plot x.gif x
    trace 3 >"$T/usage"
    fails 2 forecast --book "$T/book" --cap nothing "$T/usage"
    grep -q "'nothing': expected a plan of book test, dollars" "$T/err"
    fails 2 forecast --book "$T/book" --cap 5/soon "$T/usage"
    fails 1 forecast --book "$T/book" "$T/nothing"
    fails 1 forecast --book "$T/nothing" "$T/usage"
}

# 90 sessions of $1 in 30 days; a month to come: 90 of them, deviation sqrt(2 x 90) = 13.4.
@test "sessions: mean, quantiles, chance above the budget" {
    trace 30 >"$T/usage"
    forecast --covers 30d --budget 90 --json "$T/usage" >"$T/out"
    between "$(of bill mean_usd <"$T/out")" 89.4 90.6
    between "$(of bill p50_usd <"$T/out")" 89 91
    between "$(of bill p95_usd <"$T/out")" 110 116
    between "$(of bill p99_usd <"$T/out")" 120 128
    between "$(of bill over <"$T/out")" 0.44 0.54
    between "$(of bill over_day_p50 <"$T/out")" 22 29
    [ "$(of bill sessions <"$T/out") $(of bill requests <"$T/out")" = "90 180" ]
    [ "$(of bill limit_usd <"$T/out")" = 90 ]
    [ "$(forecast --covers 30d --json "$T/usage" | of bill over)" = null ]
}

@test "growth, several periods, another period" {
    trace 30 >"$T/usage"
    forecast --covers 30d --growth 10% --ahead 2 --json "$T/usage" >"$T/out"
    between "$(jq 'select(.period == 1).mean_usd' <"$T/out")" 98 100
    between "$(jq 'select(.period == 2).mean_usd' <"$T/out")" 107.5 110.5
    between "$(forecast --covers 30d --growth -50% --json "$T/usage" | of bill mean_usd)" 44 46
    between "$(forecast --covers 30d --period week --json "$T/usage" | of bill mean_usd)" 20.5 21.5
    [ "$(forecast --covers 30d --period 7d --json "$T/usage")" = \
        "$(forecast --covers 30d --period week --json "$T/usage")" ]
}

# Days that are all alike leave nothing to chance: $3 a day.
@test "days: whole days are drawn; 14 at least" {
    trace 20 >"$T/usage"
    forecast --covers 20d --by day --budget 80 --json "$T/usage" >"$T/out" 2>"$T/err"
    [ "$(jq -c '[.p5_usd, .p99_usd, .over]' <"$T/out")" = "[90,90,1]" ]
    between "$(of bill over_day_p50 <"$T/out")" 26 27
    grep -q '20 days: about one in 21' "$T/err"
    forecast --by day --json "$T/usage" >"$T/out" 2>"$T/err"
    grep -q 'left out: 6 requests of the last part of a day' "$T/err"
    trace 10 >"$T/usage"
    fails 4 forecast --book "$T/book" --covers 10d --by day "$T/usage"
    grep -q 'has 10 days: expected at least 14' "$T/err"
}

@test "caps: a plan's amount and windows, dollars by time" {
    trace 20 >"$T/usage"
    forecast -q --covers 20d --by day --cap pro --cap go --cap 3/5h --cap 40 --json "$T/usage" \
        >"$T/out"
    [ "$(of 'pro included' over <"$T/out")" = 1 ]
    between "$(of 'pro included' over_day_p50 <"$T/out")" 6 7
    # a week of $21 against 7: on the third day
    between "$(of 'go included' over_day_p50 <"$T/out")" 2 3
    [ "$(of 'go included' p50_usd <"$T/out")" = 21 ]
    # sessions begin every four hours and last one: five hours hold less than two of them
    between "$(of 'go 5h' p50_usd <"$T/out")" 1 2
    [ "$(of 'go 5h' over <"$T/out")" = 0 ]
    [ "$(of 'go 168h' p50_usd <"$T/out")" = 21 ]
    [ "$(of '3/5h' over <"$T/out")" = 0 ]
    [ "$(of '3/5h' limit_usd <"$T/out")" = 3 ]
    between "$(of 40 over_day_p50 <"$T/out")" 13 14
}

@test "the same seed gives the same rows" {
    trace 10 >"$T/usage"
    forecast -q --seed 3 --budget 30 "$T/usage" >"$T/a"
    forecast -q --seed 3 --budget 30 "$T/usage" >"$T/b"
    forecast -q --seed 4 --budget 30 "$T/usage" >"$T/c"
    cmp "$T/a" "$T/b"
    run ! cmp -s "$T/a" "$T/c"
}

@test "what few sessions, or none, cannot say" {
    trace 3 >"$T/usage"
    forecast "$T/usage" >"$T/out" 2>"$T/err"
    grep -q '9 sessions: about one in 10 to come' "$T/err"
    forecast -q "$T/usage" >"$T/out" 2>"$T/err"
    [ ! -s "$T/err" ]
    sed 's/"session_id":"[^"]*",//' "$T/usage" >"$T/alone"
    forecast "$T/alone" >"$T/out" 2>"$T/err"
    grep -q 'no sessions: every request is drawn alone' "$T/err"
    head -2 "$T/usage" >"$T/one"
    fails 4 forecast --book "$T/book" "$T/one"
    grep -q 'one session: its price says nothing' "$T/err"
}

@test "no price, no usage, no times: exit 4 or 2 with words" {
    trace 3 >"$T/usage"
    fails 4 forecast --book "$T/book" --as nobody "$T/usage"
    grep -q 'no price: nobody' "$T/err"
    : >"$T/empty"
    fails 4 forecast --book "$T/book" "$T/empty"
    sed 's/"timestamp":[0-9]*,//' "$T/usage" >"$T/untimed"
    fails 2 forecast --book "$T/book" "$T/untimed"
    grep -q -- '--covers, as in 7d' "$T/err"
    between "$(forecast -q --covers 3d --json "$T/untimed" | of bill mean_usd)" 88 92
    fails 1 forecast --book "$T/book" --covers 1h "$T/usage"
    echo '{"model":"m","timestamp":0,"input_length":-5,"output_length":1}' >"$T/bad"
    fails 1 forecast --book "$T/book" "$T/bad"
    cat "$T/bad" "$T/usage" | forecast --skip-bad --json - >"$T/out" 2>"$T/err"
    [ "$(of bill requests <"$T/out")" = 18 ]
    grep -q '1 broken line passed' "$T/err"
}

@test "the examples of --help run as typed" {
    trace 20 | sed 's/"model":"m"/"model":"gpt-5.4"/' >"$T/usage.jsonl"
    bin=$PWD/$(dirname "$COST")
    case $COST in /*) bin=$(dirname "$COST") ;; esac
    "$COST" forecast --help | sed -n 's/^  \(llm-cost .*\)/\1/p' >"$T/examples"
    [ "$(wc -l <"$T/examples")" = 3 ]
    mkdir -p "$T/.claude/projects/p"
    cp "$T/usage.jsonl" "$T/.claude/projects/p/s.jsonl"
    while read -r line; do
        case $line in *--plot*) command -v gnuplot >/dev/null || continue ;; esac
        (cd "$T" && HOME=$T && PATH=$bin:$PATH && unset LLM_COST_BOOK && eval "$line" >out 2>err) ||
            { echo "$line"; cat "$T/err"; return 1; }
        [ -s "$T/out" ]
    done <"$T/examples"
}

@test "a full disk is an error; a picture" {
    trace 10 >"$T/usage"
    [ -w /dev/full ] || skip "no /dev/full"
    got=0
    forecast -q "$T/usage" >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    command -v gnuplot >/dev/null || skip "no gnuplot"
    forecast -q --ahead 2 --plot "$T/p.svg" "$T/usage" >"$T/out"
    grep -q 'chance of a larger bill' "$T/p.svg"
    grep -q 'period 2' "$T/p.svg"
}
