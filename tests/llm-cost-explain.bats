#!/usr/bin/env bats
# llm-cost-explain.bats - llm-cost explain: every rule with its row; totals that add up; bad input

load cost

explain() { "$COST" explain "$@"; }

books() {
    cat >"$T/tiers.book" <<'END'
book tiers observed=2026-01-01 currency=USD
model claude-sonnet-4-5 alias=sonnet default_ttl=5m
price claude-sonnet-4-5 input 3
price claude-sonnet-4-5 read 0.30
price claude-sonnet-4-5 write 3.75
price claude-sonnet-4-5 write 6 ttl=1h
price claude-sonnet-4-5 output 15
price claude-sonnet-4-5 input 6 above=200000 cmp=gt mode=whole of=prompt to=2026-03-13
price claude-sonnet-4-5 read 0.60 above=200000 cmp=gt mode=whole of=prompt to=2026-03-13
price claude-sonnet-4-5 output 22.50 above=200000 cmp=gt mode=whole of=prompt to=2026-03-13
factor claude-sonnet-4-5 0.5 service=batch
model gpt-5.4
price gpt-5.4 input 2.50
price gpt-5.4 input 5 above=272000 cmp=ge mode=marginal of=prompt
price gpt-5.4 output 15
price gpt-5.4 search 10 per=1k
price gpt-5.4 storage 4.5
price gpt-5.4 second 0.36 per=hour
price gpt-5.4 input 32 modality=audio
END
}

# The request on which tools disagree.
request=(--model claude-sonnet-4-5 --input 250000 --cached 200000 --output 2000)

total() { explain "$@" | awk -F '\t' '$2 == "total" { print $9 }'; }

@test "help, and its examples" {
    explain --help | grep -q '^usage: llm-cost explain'
    explain --help | sed -n 's/^  llm-cost explain //p' >"$T/examples"
    [ "$(wc -l <"$T/examples")" -ge 2 ]
    while read -r line; do
        # shellcheck disable=SC2086
        explain $line >"$T/out"
        grep -q total "$T/out"
    done <"$T/examples"
}

@test "the line as written: 0.465 before the surcharge ended, 0.24 after" {
    books
    [ "$(total "${request[@]}" --book "$T/tiers.book" --at 2026-01-15)" = 0.465 ]
    [ "$(total "${request[@]}" --book "$T/tiers.book" --at 2026-03-12T23:59:59Z)" = 0.465 ]
    [ "$(total "${request[@]}" --book "$T/tiers.book" --at 2026-03-13)" = 0.24 ]
    [ "$(total "${request[@]}" --at 2026-01-15)" = 0.465 ]
}

@test "every rule has its line and row, and the charges add up" {
    books
    explain "${request[@]}" --book "$T/tiers.book" --at 2026-01-15 --json >"$T/steps"
    [ "$(jq -r .rule "$T/steps" | tr '\n' ' ')" = "model time passed passed tier row charge \
passed passed tier row charge passed passed tier row charge free rounding total " ]
    jq -r 'select(.book_line and .row) | "\(.book_line)\t\(.row)"' "$T/steps" >"$T/rows"
    [ "$(wc -l <"$T/rows")" = 9 ]
    while IFS=$'\t' read -r line row; do        # numbers are written without zeros behind
        sed -n "${line}p" "$T/tiers.book" | sed 's/\(\.[0-9]*[1-9]\)0*\>/\1/' | grep -qxF "$row"
    done <"$T/rows"
    [ "$(jq -s '[.[] | select(.rule == "charge") | .usd | tonumber] | add * 1e6 | round' \
        "$T/steps")" = 465000 ]
    jq -es 'last | .usd == "0.465"' "$T/steps"
    jq -es '.[4] | .what == "prompt of 250000 tokens > 200000: reached"' "$T/steps"
    jq -es '.[6] | .quantity == 50000 and .rate_usd_per_mtok == "6" and
           .usd == "0.3" and .what == "50000 input tokens x $6 a million tokens = $0.3"' "$T/steps"
    jq -es '.[2] | .what == "line 8 goes before it"' "$T/steps"
    jq -es '.[3] | .what == "for service batch alone"' "$T/steps"
    jq -es '.[0].book_sha256 | length == 64' "$T/steps"
}

@test "how the model was found" {
    books
    found() {
        explain --model "$1" --input 1 --book "$T/tiers.book" |
            awk -F '\t' '$2 == "model" { print $3 }'
    }
    [ "$(found claude-sonnet-4-5)" = "claude-sonnet-4-5, by its name" ]
    [ "$(found Sonnet)" = "claude-sonnet-4-5, of which sonnet is an alias" ]
    [ "$(found anthropic/claude-sonnet-4-5-20250929)" = "claude-sonnet-4-5, which \
anthropic/claude-sonnet-4-5-20250929 is without what stands around it" ]
}

@test "factors, fallbacks, cache lives, what has ended" {
    books
    explain --model sonnet --input 9K --written 4K@1h --written 1K --output 1K --reasoning 100 \
        --service batch --region moon --at 2026-05-01 --book "$T/tiers.book" >"$T/out"
    grep -q $'\tregion\tmoon: no row of the model is for it' "$T/out"
    grep -q $'\tpassed\tended on 2026-03-13\t' "$T/out"
    grep -q $'\tfactor\tx 0.5\t' "$T/out"
    grep -q $'\tfallback\treasoning without a row costs what output does\t' "$T/out"
    grep -q '4000 1h write tokens x \$3 a million tokens = \$0.012' "$T/out"
    grep -q '1000 write tokens x \$1.875 a million tokens = \$0.001875' "$T/out"
    [ "$(awk -F '\t' '$2 == "total" { print $9 }' "$T/out")" = 0.027375 ]
}

@test "a marginal tier splits the amount, and says where" {
    books
    explain --model gpt-5.4 --input 300K --cached 10K --book "$T/tiers.book" >"$T/out"
    grep -q 'tokens 272000 to 300000 of the prompt, >= 272000: reached' "$T/out"
    grep -q 'read without a row costs what input does' "$T/out"
    grep -q '261999 input tokens x \$2.5 ' "$T/out"
    grep -q '28001 input tokens x \$5 ' "$T/out"
    [ "$(awk -F '\t' '$2 == "total" { print $9 }' "$T/out")" = 0.8200025 ]
}

@test "searches, seconds, storage, other modalities" {
    books
    one() { total --model gpt-5.4 --book "$T/tiers.book" "$@"; }
    [ "$(one --searches 3)" = 0.03 ]
    [ "$(one --seconds 2.5)" = 0.00025 ]
    [ "$(one --storage 100K@2h)" = 0.9 ]
    [ "$(one --input 100 --input 1K@audio)" = 0.03225 ]
    explain --model gpt-5.4 --book "$T/tiers.book" --seconds 2.5 |
        grep -q '2.500000000 second of time x \$0.36 an hour'
}

@test "sums are rounded once, and it is said" {
    printf 'book b\nmodel m\nprice m input 0.0000005\nprice m output 0.0000005\n' >"$T/b"
    [ "$(total --book "$T/b" --model m --input 1)" = 0 ]
    [ "$(total --book "$T/b" --model m --input 1 --output 1)" = 0.000000000001 ]
    [ "$(total --book "$T/b" --model m --input 3)" = 0.000000000002 ]
    explain --book "$T/b" --model m --input 3 |
        grep -q '0.0000000000015 to the pico-dollar, half to even'
}

@test "a record of a file, by id and by line" {
    books
    cat >"$T/usage" <<'END'
{"id":"a","model":"gpt-5.4","input_length":1000,"output_length":0}
{"id":"b","model":"sonnet","input_length":250000,"cached_tokens":200000,"output_length":2000}
END
    [ "$(total --book "$T/tiers.book" "$T/usage")" = 0.0025 ]
    [ "$(total --book "$T/tiers.book" --id b --at 2026-01-15 "$T/usage")" = 0.465 ]
    [ "$(total --book "$T/tiers.book" --line 2 --at 2026-04-15 "$T/usage")" = 0.24 ]
    [ "$(total --book "$T/tiers.book" --as gpt-5.4 --id b - <"$T/usage")" = 0.655 ]
    fails 1 explain --book "$T/tiers.book" --id c "$T/usage"
    grep -q "no record has the id 'c'" "$T/err"
    fails 1 explain --book "$T/tiers.book" --line 3 "$T/usage"
    fails 1 explain --book "$T/tiers.book" /dev/null
    fails 1 explain --book "$T/tiers.book" "$T/nothing-here"
    fails 2 explain --book "$T/tiers.book" --input 3 "$T/usage"
}

@test "without a price: exit 4, the reason, and names that are near" {
    books
    run -4 --separate-stderr "$COST" explain --model claude-sonet-45 --input 1 \
        --book "$T/tiers.book"
    [[ $output == *$'\tunpriced\tclaude-sonet-45: the book has no such model'* ]]
    [[ $stderr == *"no price: claude-sonet-45: the book has no such model; near: claude-sonnet-4-5" ]]
    run -4 --separate-stderr "$COST" explain --model sonnet --input 1 --service flex \
        --book "$T/tiers.book"
    [[ $stderr == *"no price: claude-sonnet-4-5: no row for the service 'flex'" ]]
    run -4 --separate-stderr "$COST" explain --model sonnet --input 9@audio --book "$T/tiers.book"
    [[ $output == *$'\tpassed\tfor text\t'* ]]
    [[ $stderr == *"claude-sonnet-4-5: audio input: no row for this modality" ]]
    [[ $output != *total* ]]
    run -4 --separate-stderr "$COST" explain --model sonnet --input 9K --written 1K@2h \
        --book "$T/tiers.book"
    [[ $stderr == *"write: no row for this cache life" ]]
}

@test "bad options: one line, exit 2" {
    fails 2 explain
    fails 2 explain --model m
    fails 2 explain --input 3
    fails 2 explain --model m --input -3
    fails 2 explain --model m --input 3x
    fails 2 explain --model m --input 10 --cached 11
    grep -q '10 text tokens, of which 11 are cached or written' "$T/err"
    fails 2 explain --model m --input 10 --cached 6 --written 6
    fails 2 explain --model m --output 10 --reasoning 11
    fails 2 explain --model m --input 1@smell
    fails 2 explain --model m --input 1 --input 1
    fails 2 explain --model m --written 1@never --input 1
    fails 2 explain --model m --storage 100
    fails 2 explain --model m --seconds nan
    fails 2 explain --model m --input 1 --at yesterday
    fails 2 explain --model m --input 1 --id x
    fails 2 explain a b
    fails 1 explain --model m --input 1 --book "$T/no.book"
    fails 2 explain --model m --input 1 --book a --book b
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    books
    got=0
    explain "${request[@]}" --book "$T/tiers.book" >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q '^llm-cost' "$T/err"
}
