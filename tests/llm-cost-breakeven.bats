#!/usr/bin/env bats
# llm-cost-breakeven.bats - llm-cost breakeven: every way to pay a trace, the winner by volume

load cost

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    book >"$T/book"
    hourly >"$T/usage.jsonl"
}

book() {
    cat <<'END'
book    test observed=2026-11-24 currency=USD
model   m shape=llama-3.1-8b
price   m input 1
price   m output 4
price   m read 0.1
price   m input 0.5 hours=00:00-06:00
price   m output 2 hours=00:00-06:00
factor  m 0.5 service=batch
model   bare
price   bare input 1
price   bare output 4
capacity m name=ptu rate=0.5 min=2 step=2 input_tpm=2000 output_weight=4
plan    pro fee=20 period=month included=20
plan    go fee=10 period=month overage=refused
window  go limit=12 period=5h
window  go limit=60 period=30d
plan    old fee=1 period=month included=1000 to=2026-01-01
gpu     h100-sxm provider=a rate=2 granule=1h
gpu     h100-sxm provider=b rate=3 granule=1s
END
}

# A request an hour for a day from 06:30 on: 2500 tokens in, 500 of them cached, 500 out: $0.00405,
# less where it begins in the cheap hours (six of them).
hourly() {
    for h in $(seq 0 23); do
        printf '{"time":"2026-11-%02dT%02d:30:00Z","model":"m","session_id":"s%d",' \
            $((10 + (h + 6) / 24)) $(((h + 6) % 24)) $((h / 4))
        printf '"input_length":2500,"cached_tokens":500,"output_length":500}\n'
    done
}

breakeven() {
    "$COST" breakeven --book "$T/book" "$@"
}

# of WAY FIELD: from the JSON rows on stdin.
of() {
    jq -r "select(.way == \"$1\") | .$2"
}

near() {
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; if (d < 0) d = -d
        if (b < 0) b = -b; exit !(d <= 1e-6 * (b + 1e-9)) }' || { echo "$1 is not $2"; return 1; }
}

@test "help, usage errors" {
    "$COST" breakeven --help | grep -q '^usage: llm-cost breakeven'
    fails 2 breakeven --ways api,magic x
    grep -q "'magic'" "$T/err"
    fails 2 breakeven --throughput 5 --own x x
    grep -q "expected tokens a second of prompts and of output" "$T/err"
    fails 2 breakeven --own-price 3 x
    fails 2 breakeven --from 2 --to 1 x
    fails 2 breakeven --utilisation 2 --own h200 x
    fails 2 breakeven --slack never x
    fails 2 breakeven --plot x.gif x
    fails 1 breakeven --book "$T/nothing" "$T/usage.jsonl"
    fails 1 breakeven --book "$T/book" "$T/nothing"
}

@test "ways per token: exact money, of the trace, of a month, of a million tokens" {
    breakeven -q --slack 24h --covers 24h --json "$T/usage.jsonl" >"$T/out"
    # 18 at $2000e-6 + 500e-7 + $2000e-6, 6 in the cheap hours at half, but for the cached tokens
    [ "$(of api usd <"$T/out")" = 0.0852 ]
    [ "$(of api usd_month <"$T/out")" = 2.556 ]
    [ "$(of api usd_mtok <"$T/out")" = 1.183333333333 ]
    [ "$(of batch usd <"$T/out")" = 0.0426 ]
    [ "$(of batch marginal <"$T/out")" = 0.5 ]
    [ "$(of off-peak usd <"$T/out")" = 0.0492 ]
    [ "$(of api mtok_month <"$T/out")" = 2.16 ]
    [ "$(of api book <"$T/out")" = test ]
}

@test "requests wait no longer than --slack" {
    # 23:30 and 00:30 to 05:30 are cheap; with 45 minutes to wait, 23:30 can be so too
    breakeven -q --slack 45m --json "$T/usage.jsonl" >"$T/out"
    [ "$(of off-peak usd <"$T/out")" = 0.0832 ]
    breakeven --json "$T/usage.jsonl" >"$T/out" 2>"$T/err"
    [ -z "$(of off-peak usd <"$T/out")" ]
    grep -q 'left out: off-peak: --slack' "$T/err"
    breakeven --slack 45m --at 2026-11-10 --json "$T/usage.jsonl" 2>"$T/err" >"$T/out"
    grep -q 'left out: off-peak: --at' "$T/err"
    # batch takes a day: it competes only where requests may wait so long
    [ "$(breakeven -q --json "$T/usage.jsonl" | of batch competes)" = no ]
    [ "$(breakeven -q --slack 1d --json "$T/usage.jsonl" | of batch competes)" = yes ]
    breakeven -q --slack 1d --ways api,batch --json "$T/usage.jsonl" >"$T/out"
    [ "$(of batch winner <"$T/out")" = yes ]
}

@test "provisioned units: what a minute needs, up to the step, every hour" {
    breakeven -q --covers 24h --json "$T/usage.jsonl" >"$T/out"
    # 2000 + 4 x 500 tokens in a minute: 2 units
    [ "$(of provisioned:ptu units <"$T/out")" = 2 ]
    [ "$(of provisioned:ptu usd <"$T/out")" = 24 ]
    [ "$(of provisioned:ptu usd_month <"$T/out")" = 720 ]
    near "$(of provisioned:ptu utilisation <"$T/out")" 0.0166666667
    sed -i 's/output_weight=4/output_weight=5/' "$T/book"
    [ "$(breakeven -q --json "$T/usage.jsonl" | of provisioned:ptu units)" = 4 ]
    # with spill-over the least number is best here: what is beyond costs little
    sed -i 's/output_weight=5/output_weight=5 spill=yes/' "$T/book"
    breakeven -q --covers 24h --json "$T/usage.jsonl" >"$T/out"
    [ "$(of provisioned:ptu units <"$T/out")" = 2 ]
    near "$(of provisioned:ptu usd <"$T/out")" "$(awk 'BEGIN { printf "%.9f", 24 + 0.0852 / 9 }')"
}

@test "plans: fee, overage, windows that refuse, and those that are over" {
    breakeven -q --covers 24h --json "$T/usage.jsonl" >"$T/out"
    [ "$(of plan:pro usd_month <"$T/out")" = 20 ]
    [ "$(of plan:pro marginal <"$T/out")" = 0 ]
    [ "$(of plan:go usd <"$T/out")" = 10 ]
    near "$(of plan:go serves_to <"$T/out")" "$(awk 'BEGIN { printf "%.9f", 60 / 2.556 }')"
    [ -z "$(of plan:old usd <"$T/out")" ]
    [ "$(breakeven -q --at 2025-11-10 --json "$T/usage.jsonl" | of plan:old usd)" = 1 ]
    # a window of two requests an hour apart: three of every five hours' are refused
    sed -i 's/limit=12 /limit=0.0081 /' "$T/book"
    breakeven -q --at 2026-11-10T12:00Z --covers 24h --json "$T/usage.jsonl" >"$T/out"
    near "$(of plan:go refused <"$T/out")" 0.6
    [ "$(of plan:go competes <"$T/out")" = no ]
    breakeven -q --ways api,plan:go --covers 24h --json "$T/usage.jsonl" >"$T/out"
    [ "$(of plan:go competes <"$T/out")" = yes ]
    [ "$(of plan:go winner <"$T/out")" = no ]
}

@test "own devices: as many as the busiest minute needs, at each provider's rent" {
    breakeven -q --covers 90m --own h100-sxm --throughput 100,10 --json <<'END' >"$T/out"
{"time":"2026-11-10T06:30:00Z","model":"m","input_length":6000,"output_length":1200}
{"time":"2026-11-10T07:30:00Z","model":"m","input_length":600,"output_length":60}
END
    # 60 + 120 s of work in a minute: 3; two hours begun at $2, 90 minutes at $3
    [ "$(of own:h100-sxm@a units <"$T/out")" = 3 ]
    [ "$(of own:h100-sxm@a usd <"$T/out")" = 12 ]
    [ "$(of own:h100-sxm@b usd <"$T/out")" = 13.5 ]
    [ "$(of own:h100-sxm@a usd_month <"$T/out")" = 4320 ]
    # 192 s of 5400, a month of 720 hours: 25.6, of which 26 begin
    [ "$(of own:h100-sxm@a busy_usd_month <"$T/out")" = 52 ]
    [ "$(of own:h100-sxm@b busy_usd_month <"$T/out")" = 76.8 ]
    near "$(of own:h100-sxm@a utilisation <"$T/out")" 0.0118518519
    breakeven -q --own h100-sxm --own-price 2.5 --throughput 100,10 --utilisation 50% --json \
        "$T/usage.jsonl" >"$T/out"
    [ "$(of own:h100-sxm units <"$T/out")" = 1 ]
    [ "$(of own:h100-sxm usd_month <"$T/out")" = 1800 ]
}

@test "own devices without a throughput: by the shape of the book, or --shape" {
    breakeven --own h100-sxm "$T/usage.jsonl" --json >"$T/out" 2>"$T/err"
    grep -q 'modelled for llama-3.1-8b, 1 device' "$T/err"
    [ "$(of own:h100-sxm@a devices <"$T/out")" = 1 ]
    breakeven -q --ways own:h100-sxm@b --own h100-sxm --json "$T/usage.jsonl" >"$T/out"
    [ "$(jq -r .way <"$T/out")" = own:h100-sxm@b ]
    breakeven -q --own h100-sxm --shape llama-3.1-70b "$T/usage.jsonl" --json >"$T/out"
    [ "$(of own:h100-sxm@a devices <"$T/out")" = 2 ]
    [ "$(of own:h100-sxm@a usd_month <"$T/out")" = 2880 ]
    fails 2 breakeven --book "$T/book" --model bare --own h100-sxm "$T/usage.jsonl"
    grep -q 'book test has none of bare; --shape' "$T/err"
    fails 2 breakeven --book "$T/book" --devices 1 --shape llama-3.1-70b --own h100-sxm \
        "$T/usage.jsonl"
    grep -q 'do not hold the model' "$T/err"
    fails 1 breakeven --book "$T/book" --own warp-drive "$T/usage.jsonl"
    fails 4 breakeven --book "$T/book" --own h200 "$T/usage.jsonl"
    grep -q 'no price: no book rents out h200' "$T/err"
}

@test "the volumes at which the winner changes" {
    sed -i '/^capacity/d; /^plan *go/d; /^window/d' "$T/book"
    breakeven -q --covers 24h --ways api,plan,own --own h100-sxm --throughput 20000,5000 \
        --changes --json \
        "$T/usage.jsonl" >"$T/out"
    # api to $20 a month; then the plan, which costs the same beyond and stands behind it, so that
    # api wins all the way, until a device at $1440 a month
    [ "$(jq -r .way <"$T/out" | tr '\n' ' ')" = "api own:h100-sxm@a " ]
    near "$(jq .to <"$T/out" | head -1)" "$(awk 'BEGIN { printf "%.9f", 1440 / 2.556 }')"
    near "$(jq .to_mtok_month <"$T/out" | head -1)" \
        "$(awk 'BEGIN { printf "%.9f", 2.16 * 1440 / 2.556 }')"
    near "$(jq .usd_mtok_at_to <"$T/out" | head -1)" 1.1833333333
    near "$(jq .from <"$T/out" | head -1)" 0.001
    near "$(jq .to <"$T/out" | tail -1)" 1000000
    sed -i 's/included=20/included=40/' "$T/book"
    breakeven -q --covers 24h --ways api,plan --changes --json "$T/usage.jsonl" >"$T/out"
    [ "$(jq -r .way <"$T/out" | tr '\n' ' ')" = "api plan:pro " ]
    near "$(jq .to <"$T/out" | head -1)" "$(awk 'BEGIN { printf "%.9f", 20 / 2.556 }')"
    breakeven -q --covers 24h --ways api,plan --json "$T/usage.jsonl" >"$T/out"
    near "$(of plan:pro wins_from <"$T/out")" "$(awk 'BEGIN { printf "%.9f", 20 / 2.556 }')"
    [ "$(of api wins <"$T/out")" = 1 ]
    [ "$(of api winner <"$T/out")" = yes ]
}

@test "several books, and --model for all records" {
    sed 's/^book *test/book dear/; s/input 1/input 10/' "$T/book" >"$T/dear"
    breakeven -q --book "$T/dear" --ways api --json "$T/usage.jsonl" >"$T/out"
    [ "$(jq -r .book <"$T/out" | tr '\n' ' ')" = "test dear " ]
    [ "$(jq -r .winner <"$T/out" | tr '\n' ' ')" = "yes no " ]
    [ "$(breakeven -q --model bare --ways api --json "$T/usage.jsonl" | jq -r .usd)" = 0.108 ]
    breakeven --ways provisioned,api --json "$T/usage.jsonl" - <<'END' 2>"$T/err" >"$T/out"
{"time":"2026-11-10T08:30:00Z","model":"bare","input_length":6000,"output_length":1200}
END
    grep -q 'left out: provisioned: the records are of several models' "$T/err"
}

@test "no price, no usage, no times: exit 4 or 2 with words" {
    fails 4 breakeven --book "$T/book" --model nobody "$T/usage.jsonl"
    grep -q 'no price: nobody' "$T/err"
    : >"$T/empty"
    fails 4 breakeven --book "$T/book" "$T/empty"
    echo '{"model":"m","input_length":10,"output_length":20}' >"$T/untimed"
    fails 2 breakeven --book "$T/book" "$T/untimed"
    grep -q -- '--covers' "$T/err"
    breakeven --covers 30d --at 2026-11-10T08:30Z --json "$T/untimed" >"$T/out" 2>"$T/err"
    [ "$(of api usd_month <"$T/out")" = 0.00009 ]
    grep -q '1 of 1 records say no time' "$T/err"
    fails 1 breakeven --book "$T/book" --covers 1h "$T/usage.jsonl"
    echo '{"model":"m","time":"2026-11-10T08:30:00Z","input_length":-1,"output_length":2}' >"$T/bad"
    fails 1 breakeven --book "$T/book" "$T/bad"
    fails 4 breakeven --book "$T/book" --ways plan:nothing "$T/usage.jsonl"
}

@test "the examples of --help run as typed" {
    cp "$T/usage.jsonl" "$T/typed.jsonl"
    sed 's/"model":"m"/"model":"gpt-5.4"/' "$T/typed.jsonl" >"$T/usage.jsonl"
    bin=$PWD/$(dirname "$COST")
    case $COST in /*) bin=$(dirname "$COST") ;; esac
    "$COST" breakeven --help | sed -n 's/^  \(llm-cost .*\)/\1/p' >"$T/examples"
    [ "$(wc -l <"$T/examples")" = 3 ]
    while read -r line; do
        case $line in *--plot*) command -v gnuplot >/dev/null || continue ;; esac
        (cd "$T" && PATH=$bin:$PATH && unset LLM_COST_BOOK && eval "$line" >out 2>err) ||
            { echo "$line"; cat "$T/err"; return 1; }
        [ -s "$T/out" ]
    done <"$T/examples"
}

@test "a full disk is an error; a picture" {
    [ -w /dev/full ] || skip "no /dev/full"
    got=0
    breakeven -q "$T/usage.jsonl" >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    command -v gnuplot >/dev/null || skip "no gnuplot"
    breakeven -q --plot "$T/p.svg" "$T/usage.jsonl" >"$T/out"
    grep -q 'million tokens a month' "$T/p.svg"
}
