#!/usr/bin/env bats
# llm-cost-book.bats - llm-cost book: list, show, lint, diff, at; what the shipped books come to

load cost

book() { "$COST" book "$@"; }

# The dollars that explain ends with.
bill() { "$COST" explain --json "$@" | jq -r 'select(.rule == "total").usd'; }

# Column $2 of the rows whose column $3 is $4; all rows without.
column() {
    awk -F '\t' -v column="$2" -v where="$3" -v is="$4" '
        NR == 1 { for (i = 1; i <= NF; i++) { if ($i == column) c = i; if ($i == where) w = i } }
        NR > 1 && (!w || $w == is) { print $c }' "$1"
}

# has CONDITION: a row of JSON Lines on stdin is so.
has() { jq -se "any(.[]; $1)" >/dev/null || { echo "no row with $1"; return 1; }; }

write_book() {
    cat >"$T/a.book" <<'END'
book a observed=2026-11-24
source s observed=2026-11-24 confidence=listed
model m provider=p alias=mm source=s
price m input 3
price m output 15
price m read 0.3 from=2026-01-01
factor m 0.5 service=batch
plan pro fee=20 included=20
gpu h100-sxm rate=2.69 source=s
END
}

@test "help, and bad command lines" {
    book --help | grep -q '^usage: llm-cost book VERB'
    for verb in list show lint diff at; do
        book $verb --help | grep -q "^usage: llm-cost book $verb"
    done
    run -2 book
    [[ "$output" == "usage: llm-cost book"* ]]
    fails 2 book nonsense
    fails 2 book show
    fails 2 book show starter a b
    fails 2 book show --of prices,plans starter
    fails 2 book lint
    fails 2 book lint --now yesterday starter
    fails 2 book diff starter
    fails 2 book at starter 2026-01-01
    grep -q "DATE: 'starter': expected a date" "$T/err"
    fails 2 book at 2026-01-01
    fails 1 book show "$T/nothing-here"
    fails 1 book show starter nothing-here
    grep -q "expected a model of this book, found 'nothing-here'" "$T/err"
}

# The lines below "Example" in each help, as typed.
@test "the examples of the helps work" {
    program=$(realpath "$COST")
    for verb in list show lint diff at; do
        book $verb --help | sed -n '/^Example/,$s/^  llm-cost/"$COST"/p' |
            (cd "$T" && COST=$program bash -e >out)
    done
}

@test "list: the shipped books, and others beside them" {
    book list >"$T/out"
    column "$T/out" book >"$T/names"
    for name in starter active reasoning-unit as-litellm as-ccusage as-models-dev; do
        grep -qx "$name" "$T/names"
    done
    [ "$(column "$T/out" models book starter)" -ge 40 ]
    [ "$(column "$T/out" counterfactual book starter)" = no ]
    [ "$(column "$T/out" counterfactual book active)" = yes ]
    [ "$(column "$T/out" counterfactual book reasoning-unit)" = yes ]
    [ "$(column "$T/out" sha256 book starter)" = "$(sha256sum <books/starter.book | cut -c 1-64)" ]
    write_book
    book list "$T/a.book" --json | tail -n 1 | jq -e '.models == 1 and .rows == 4 and .gpus == 1'
}

@test "every price of the starter has a source and a date" {
    book show starter >"$T/out"
    [ "$(column "$T/out" source | grep -c -x -e -)" = 0 ]
    [ "$(column "$T/out" observed | grep -c -x -e -)" = 0 ]
    [ "$(column "$T/out" confidence | grep -c -x -e -)" = 0 ]
}

@test "show: rows of a model, as of a day, and the other statements" {
    book show starter gemini-3.8-flash --at 2026-12-31 >"$T/out"
    [ "$(column "$T/out" usd kind input)" = 0.75 ]
    book show starter gemini-3.8-flash --at 2027-01-01 >"$T/out"
    [ "$(column "$T/out" usd kind input)" = 1.5 ]
    book show starter anthropic/Claude-Sonnet-5-20260601 --at 2026-09-01 >"$T/out"
    [ "$(column "$T/out" usd kind input)" = 2 ]
    [ "$(column "$T/out" when kind tokens | grep -c service=batch)" = 1 ]
    book show starter --of gpus --json | has '.provider == "azure" and
        .device == "h100-sxm" and .usd_per_hour == "12.29"'
    book show starter --of capacities --json | has '.model == "gpt-5.4" and
        .min_units == 15 and .step_units == 5 and .input_tpm == 2400'
    book show starter --of plans --json | has '.plan == "cursor-ultra" and
        .fee_usd == "200" and .included_usd == "400"'
    book show starter --of plans --json | has '.plan == "opencode-go" and
        .windows == "12/5h,30/168h,60/720h"'
    book show starter --of plans --at 2026-05-31 | run -1 grep -q copilot
    book show active mixtral-8x7b --of models --json | jq -e '.active == 12.9e9'
    run -4 book show as-litellm --of gpus
}

@test "the disagreeing bills of one request come out" {
    sonnet=(--model claude-sonnet-4-5 --input 250000 --cached 200000 --output 2000)
    gpt=(--model gpt-5.4 --input 300000 --cached 250000 --output 2000)
    [ "$(bill "${sonnet[@]}" --at 2026-01-15)" = 0.465 ]
    [ "$(bill "${sonnet[@]}" --at 2026-03-13)" = 0.24 ]
    [ "$(bill "${sonnet[@]}" --book as-litellm)" = 0.465 ]
    [ "$(bill "${sonnet[@]}" --book as-ccusage)" = 0.24 ]
    [ "$(bill "${sonnet[@]}" --book as-models-dev)" = 0.24 ]
    [ "$(bill "${gpt[@]}" --at 2026-11-24)" = 0.42 ]
    [ "$(bill "${gpt[@]}" --book as-litellm)" = 0.42 ]
    [ "$(bill "${gpt[@]}" --book as-ccusage)" = 0.2175 ]
    [ "$(bill "${gpt[@]}" --book as-models-dev)" = 0.2175 ]
}

@test "rules of the starter: dates, hours, services, caches, thresholds" {
    # dated prices: an introduction that stayed, one that ends, a cut
    [ "$(bill --model claude-sonnet-5 --input 1M --output 1M --at 2026-08-31)" = 12 ]
    [ "$(bill --model claude-sonnet-5 --input 1M --output 1M --at 2026-09-01)" = 12 ]
    [ "$(bill --model gemini-3.8-flash --input 1M --output 1M --at 2026-12-31)" = 4.5 ]
    [ "$(bill --model gemini-3.8-flash --input 1M --output 1M --at 2027-01-01)" = 9 ]
    [ "$(bill --model gpt-5.6-luna --input 100K --output 10K --at 2026-07-29)" = 0.16 ]
    [ "$(bill --model gpt-5.6-luna --input 100K --output 10K --at 2026-07-30)" = 0.032 ]
    [ "$(bill --model claude-sonnet-5-5 --input 1M --cached 1M --at 2026-10-06)" = 0.2 ]
    [ "$(bill --model claude-sonnet-5-5 --input 1M --cached 1M --at 2026-10-07)" = 0.1 ]
    # peak hours from 2026-08-16 16:00 on, weekends spared from 2026-08-23 on: the Mondays before
    # and after, two Saturdays; the price is another, too
    [ "$(bill --model deepseek-v4-pro --input 1M --at 2026-08-10T03:00Z)" = 0.435 ]
    [ "$(bill --model deepseek-v4-pro --input 1M --at 2026-08-17T03:59Z)" = 1.32 ]
    [ "$(bill --model deepseek-v4-pro --input 1M --at 2026-08-17T04:00Z)" = 0.66 ]
    [ "$(bill --model deepseek-v4-pro --input 1M --at 2026-08-22T03:00Z)" = 1.32 ]
    [ "$(bill --model deepseek-v4-pro --input 1M --at 2026-08-29T03:00Z)" = 0.66 ]
    [ "$(bill --model deepseek-v4-pro --input 1M --at 2026-11-30T09:59Z)" = 1.32 ]
    [ "$(bill --model deepseek-v4-flash --input 1M --output 1M --at 2026-09-10T03:59Z)" = 1.76 ]
    [ "$(bill --model deepseek-flash --input 1M --output 1M --at 2026-09-10T04:00Z)" = 0.75 ]
    # two bands
    [ "$(bill --model claude-haiku-5-5 --input 100000 --output 1K --at 2026-11-30)" = 0.0105 ]
    [ "$(bill --model claude-haiku-5-5 --input 100001 --output 1K --at 2026-11-30)" = 0.0525005 ]
    # 1.25 and 2 times for what is written, 0.1 for what is read
    [ "$(bill --model claude-haiku-4-5 --input 100K --written 100K --at 2026-11-24)" = 0.125 ]
    [ "$(bill --model claude-haiku-4-5 --input 100K --written 100K@1h --at 2026-11-24)" = 0.2 ]
    [ "$(bill --model claude-haiku-4-5 --input 100K --cached 100K --at 2026-11-24)" = 0.01 ]
    for service in batch flex; do
        [ "$(bill --model gpt-5.5 --input 100K --output 10K --service $service \
            --at 2026-11-24)" = 0.4 ]
    done
    [ "$(bill --model gpt-5.5 --input 100K --output 10K --service priority --at 2026-11-24)" = 1.6 ]
    [ "$(bill --model gemini-3.1-pro --input 100K --service priority --at 2026-11-24)" = 0.36 ]
    # above, or at, the threshold
    [ "$(bill --model gpt-5.4 --input 272000 --at 2026-11-24)" = 0.68 ]
    [ "$(bill --model gpt-5.4 --input 272001 --at 2026-11-24)" = 1.360005 ]
    [ "$(bill --model grok-4-fast --input 127999 --at 2026-11-24)" = 0.0255998 ]
    [ "$(bill --model grok-4-fast --input 128000 --at 2026-11-24)" = 0.0512 ]
    # counterfactuals: 12.9e9 active at 0.004 a million each; two started units of thousand
    [ "$(bill --book active --model mixtral-8x7b --input 1M)" = 0.0516 ]
    [ "$(bill --book reasoning-unit --model o3 --output 1001 --reasoning 1001)" = 0.0112 ]
}

@test "lint: the shipped books hold, and findings are rows" {
    book lint starter active reasoning-unit as-litellm as-ccusage as-models-dev >"$T/out"
    [ "$(column "$T/out" severity severity error)" = "" ]
    write_book
    book lint -q "$T/a.book" --json >"$T/out"
    jq -e '.line == 8 and .rule == "no-source" and .severity == "warning"' "$T/out"
    run -3 book lint -q --strict "$T/a.book"
    sed -i 's/read 0.3/read 3.3/' "$T/a.book"
    run -3 --separate-stderr book lint "$T/a.book" --json
    echo "$output" | has '.severity == "error" and
        .line == 6 and .rule == "read-input" and .words == "m: 3.3 is more than input, 3"'
    [ "$stderr" = "llm-cost book lint: 1 errors, 1 warnings" ]
    run -3 book lint -q "$T/a.book" --now 2026-11-23
    [[ "$output" == *"which is yet to come"* ]]
}

@test "lint finds the write of an hour that costs 24 times input" {
    prices=../shared/data/prices/litellm-model-prices.json
    [ -f "$prices" ] || skip "no $prices"
    book import --help >/dev/null 2>&1 || skip "no import"
    book import --from litellm "$prices" >"$T/litellm.book" 2>/dev/null
    run -3 book lint -q "$T/litellm.book" --json
    echo "$output" | has '.rule == "write-1h" and (.words | startswith("claude-3-haiku"))'
}

@test "diff: added, removed, changed with percent" {
    write_book
    sed -e 's/output 15/output 18/' -e '/read/d' -e 's/fee=20/fee=25/' "$T/a.book" >"$T/b.book"
    echo 'price m input 6 above=200000 cmp=gt mode=whole of=prompt' >>"$T/b.book"
    book diff "$T/a.book" "$T/b.book" --json >"$T/out"
    [ "$(wc -l <"$T/out")" = 4 ]
    has '.kind == "output" and .change == "changed" and .old == "15" and .new == "18" and
        (.change_percent - 20 | fabs) < 1e-9 and .old_line == 5' <"$T/out"
    has '.kind == "read" and .change == "removed" and .old == "0.3" and .new == null' <"$T/out"
    has '.kind == "input" and .change == "added" and .new == "6" and .new_line == 9' <"$T/out"
    has '.what == "plan" and .change == "changed"' <"$T/out"
    run -3 book diff --check "$T/a.book" "$T/b.book"
    book diff --check "$T/a.book" "$T/a.book"
    # a source that is seen again is no change
    sed 's/observed=2026-11-24 conf/observed=2026-11-25 conf/' "$T/a.book" >"$T/c.book"
    book diff --check "$T/a.book" "$T/c.book"
    # prices of a day, whatever validity they have
    sed 's/ from=2026-01-01//' "$T/a.book" >"$T/c.book"
    run -3 book diff --check "$T/a.book" "$T/c.book"
    book diff --check --at 2026-06-01 "$T/a.book" "$T/c.book"
    run -3 book diff --check --at 2025-06-01 "$T/a.book" "$T/c.book"
}

@test "at: a flat book of the day, with the same bills" {
    book at 2026-01-15 starter >"$T/january.book"
    run -1 grep -E ' (from|to)=' "$T/january.book"
    grep -q "^# starter as of 2026-01-15; sha256 of the book [0-9a-f]" "$T/january.book"
    book diff --check --at 2026-01-15 starter "$T/january.book"
    [ "$(bill --book "$T/january.book" --model claude-sonnet-4-5 --input 250000 --cached 200000 \
        --output 2000)" = 0.465 ]
    book at 2026-01-15 "$T/january.book" | tail -n +2 >"$T/again"
    tail -n +2 "$T/january.book" | cmp - "$T/again"
}

@test "stdin, zstd, and a file before a name" {
    write_book
    book list - <"$T/a.book" | grep -q "^-	"
    zstd -q "$T/a.book"
    book show "$T/a.book.zst" m >"$T/out"
    [ "$(column "$T/out" usd kind output)" = 15 ]
    cp "$T/a.book" "$T/starter"
    (cd "$T" && realpath starter >/dev/null)
    [ "$(book list "$T/starter" | tail -n 1 | cut -f 3)" = 1 ]
}

@test "the books of the manual page load" {
    sed -n '/^\.Bd -literal/,/^\.Ed/p' man/llm-book.5 |
        awk -v t="$T" '/^\.Bd/ { n++; next } /^\.Ed/ { next } { print >(t "/man" n ".book") }'
    [ -s "$T/man1.book" ] && [ -s "$T/man2.book" ]
    book lint -q "$T/man1.book"
    book show "$T/man2.book" m >/dev/null
    tier=(--input 250000 --output 2000 --model m)
    for want in whole-prompt-0.465-1.545 marginal-prompt-0.405-0.945 whole-class-0.24-1.53 \
        marginal-class-0.24-0.93; do
        IFS=- read -r mode of read fresh <<<"$want"
        {
            echo 'book t'
            echo 'model m'
            for row in 'input 3 6' 'read 0.3 0.6' 'output 15 22.5'; do
                set -- $row
                echo "price m $1 $2"
                echo "price m $1 $3 above=200000 cmp=gt mode=$mode of=$of"
            done
        } >"$T/tier.book"
        [ "$(bill --book "$T/tier.book" "${tier[@]}" --cached 200000)" = "$read" ]
        [ "$(bill --book "$T/tier.book" "${tier[@]}")" = "$fresh" ]
    done
}

@test "bad books: one line with file and line, exit 1" {
    write_book
    echo 'price m input 4' >>"$T/a.book"
    fails 1 book show "$T/a.book"
    grep -q 'a.book:10: expected rows that do not overlap, found one for m that holds' "$T/err"
    grep -q 'beside line 4 ' "$T/err"
    [ "$(wc -l <"$T/err")" = 1 ]
    { printf 'book x title='; head -c 10000000 /dev/zero | tr '\0' x; } >"$T/long.book"
    fails 1 book show "$T/long.book"
    grep -q 'long.book:1: expected at most 65536 bytes a line, found 10000013' "$T/err"
    [ "$(wc -c <"$T/err")" -lt 200 ]
    : >"$T/empty.book"
    fails 1 book lint "$T/empty.book"
    grep -q "which begins with 'book NAME', found nothing" "$T/err"
    printf 'book x\nmodel m\nprice m input NaN\n' >"$T/nan.book"
    fails 1 book lint "$T/nan.book"
    printf 'book x\nmodel m\nprice m input -1\n' >"$T/nan.book"
    fails 1 book lint "$T/nan.book"
    head -c 4096 /dev/urandom >"$T/noise.book"
    fails 1 book lint "$T/noise.book"
    fails 1 book lint "$T"
}

@test "a million rows" {
    awk 'BEGIN {
        print "book big\nsource s observed=2026-01-01"
        for (i = 0; i < 50000; i++) {
            print "model m" i " source=s"
            for (k = 0; k < 10; k++) {
                y = 2010 + k
                print "price m" i " input " k + 1 " from=" y "-01-01 to=" y + 1 "-01-01"
                print "price m" i " output " k + 2 " from=" y "-01-01 to=" y + 1 "-01-01"
            }
        }
    }' >"$T/big.book"
    [ "$(book list "$T/big.book" --json | tail -n 1 | jq .rows)" = 1000000 ]
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    for args in "list" "show starter" "lint active" "at 2026-01-01 starter"; do
        got=0
        book $args >/dev/full 2>"$T/err" || got=$?
        [ "$got" = 1 ]
        grep -q '^llm-cost' "$T/err"
    done
}
