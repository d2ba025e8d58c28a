#!/usr/bin/env bats
# llm-cost-bound.bats - llm-cost bound: both ends, who makes them, by which rule; what has no price

load cost

bound() { "$COST" bound "$@"; }

# What LiteLLM's and models.dev's tables say of two models (whole-request tiers; none).
books() {
    cat >"$T/tiers.book" <<'END'
book tiers
model claude-sonnet-4-5 default_ttl=5m
price claude-sonnet-4-5 input 3
price claude-sonnet-4-5 read 0.30
price claude-sonnet-4-5 output 15
price claude-sonnet-4-5 input 6 above=200000 cmp=gt mode=whole of=prompt
price claude-sonnet-4-5 read 0.60 above=200000 cmp=gt mode=whole of=prompt
price claude-sonnet-4-5 output 22.50 above=200000 cmp=gt mode=whole of=prompt
model gpt-5.4
price gpt-5.4 input 2.50
price gpt-5.4 read 0.25
price gpt-5.4 output 15
factor gpt-5.4 input 2 above=272000 cmp=gt mode=whole of=prompt
factor gpt-5.4 read 2 above=272000 cmp=gt mode=whole of=prompt
factor gpt-5.4 output 1.5 above=272000 cmp=gt mode=whole of=prompt
model here
price here input 1
price here output 1
END
    grep -v above= "$T/tiers.book" | grep -v here >"$T/flat.book"
    cat >"$T/usage" <<'END'
{"id":"a","model":"claude-sonnet-4-5","input_length":250000,"cached_tokens":200000,"output_length":2000}
{"id":"b","model":"gpt-5.4","input_length":300000,"cached_tokens":250000,"output_length":2000}
{"id":"c","model":"gpt-5.4","input_length":3000,"cached_tokens":2500,"output_length":200}
END
}

both() { bound --book "$T/tiers.book" --book "$T/flat.book" "$@"; }

@test "help, and its examples" {
    bound --help | grep -q '^usage: llm-cost bound'
    books
    cd "$T"
    cp tiers.book a.book
    cp flat.book b.book
    cp usage usage.jsonl
    [[ $COST = /* ]] || COST=$BATS_TEST_DIRNAME/../$COST
    "$COST" bound --help | sed -n 's/^  llm-cost bound //p' >examples
    [ "$(wc -l <examples)" -ge 2 ]
    while read -r line; do
        # shellcheck disable=SC2086
        "$COST" bound $line >out
        [ "$(wc -l <out)" -ge 3 ]
    done <examples
}

@test "the bills on which tools disagree: 0.24 to 0.465, 0.2175 to 0.42" {
    books
    both --json "$T/usage" >"$T/rows"
    jq -r '[.id, .model, .usd_min, .usd_max] | join(" ")' "$T/rows" >"$T/ends"
    printf '%s\n' "a claude-sonnet-4-5 0.24 0.465" "b gpt-5.4 0.2175 0.42" \
        "c gpt-5.4 0.004875 0.004875" | diff "$T/ends" -
    jq -es --arg t "$T" '.[0].min_by == $t + "/flat.book" and .[0].max_by == $t + "/tiers.book"' \
        "$T/rows"
    # the row that moves most, and how much: 50k at $3 more; 50k at $2.50 more
    jq -es --arg t "$T" '.[0].rule == $t + "/tiers.book:6 price claude-sonnet-4-5 input 6 " +
        "above=200000 cmp=gt mode=whole of=prompt" and .[0].rule_usd == "0.15"' "$T/rows"
    jq -es --arg t "$T" '.[1].rule == $t + "/tiers.book:13 factor gpt-5.4 input 2 " +
        "above=272000 cmp=gt mode=whole of=prompt" and .[1].rule_usd == "0.125"' "$T/rows"
    jq -es '.[2].rule == null and .[2].ratio == 1' "$T/rows"
}

@test "one book alone: every meaning of its tiers" {
    books
    head -1 "$T/usage" | bound --book "$T/tiers.book" --each >"$T/out"
    cut -f 2,5 "$T/out" | tail -n +2 >"$T/each"
    # whole of the prompt 0.465; of the class: only reads reach 200000, and only with >=; marginal
    # of the prompt: the 50k fresh tokens and the output stand above it
    diff "$T/each" - <<'END'
own	0.465
no-tiers	0.24
whole,gt,prompt	0.465
whole,ge,prompt	0.465
whole,gt,class	0.24
whole,ge,class	0.3
marginal,gt,prompt	0.405
marginal,ge,prompt	0.4050003
marginal,gt,class	0.24
marginal,ge,class	0.2400003
END
    head -1 "$T/usage" | bound --book "$T/tiers.book" --json >"$T/row"
    jq -es '.[0].usd_min == "0.24" and .[0].usd_max == "0.465" and
            (.[0].min_by | endswith("tiers.book:no-tiers"))' "$T/row"
    head -1 "$T/usage" | bound --book "$T/flat.book" --each >"$T/out"
    [ "$(wc -l <"$T/out")" = 2 ]
}

@test "prices that differ name both rows" {
    printf 'book a\nmodel m\nprice m input 3\nprice m output 10\n' >"$T/a"
    printf 'book b\nmodel m\nprice m input 2\nprice m output 10\n' >"$T/b"
    echo '{"model":"m","input_length":1000000,"output_length":1000}' |
        bound --book "$T/a" --book "$T/b" --json >"$T/row"
    jq -es --arg t "$T" '.[0].rule == $t + "/a:3 price m input 3 against " + $t +
        "/b:3 price m input 2" and .[0].rule_usd == "1" and .[0].usd_min == "2.01"' "$T/row"
    # a factor that both have is not what they differ in
    echo 'factor m 4 service=priority' | tee -a "$T/a" >>"$T/b"
    echo '{"model":"m","input_length":1000000,"output_length":1000,"service_tier":"priority"}' |
        bound --book "$T/a" --book "$T/b" --service priority --json >"$T/row"
    jq -es '(.[0].rule | contains("price m input 3 against")) and .[0].usd_max == "12.04"' \
        "$T/row"
    # nor is a batch discount that one lacks for outputs its prices
    echo 'factor m 0.5 service=batch' >>"$T/a"
    echo 'factor m input 0.5 service=batch' >>"$T/b"
    echo '{"model":"m","input_length":10,"output_length":1000000}' |
        bound --book "$T/a" --book "$T/b" --service batch --json >"$T/row"
    jq -es '(.[0].rule | contains("/b:4 price m output 10 against")) and
            .[0].usd_max == "10.00001"' "$T/row"
}

@test "sums: a way is one way for all records" {
    books
    both --total "$T/usage" --json >"$T/total"
    jq -es '.[0].usd_min == "0.462375" and .[0].usd_max == "0.889875" and .[0].records == 3 and
            (.[0].max_by | endswith("tiers.book")) and (.[0].rule | contains("input 6"))' "$T/total"
    both --by model "$T/usage" --json >"$T/models"
    jq -es 'map([.model, .records, .usd_max]) ==
            [["claude-sonnet-4-5", 1, "0.465"], ["gpt-5.4", 2, "0.424875"]]' "$T/models"
    # opposite records: their own ends are further apart than those of any one way
    printf 'book a\nmodel m\nprice m input 3\nprice m output 1\n' >"$T/a"
    printf 'book b\nmodel m\nprice m input 1\nprice m output 3\n' >"$T/b"
    echo '{"model":"m","input_length":1000000,"output_length":0}
{"model":"m","input_length":0,"output_length":1000000}' >"$T/two"
    bound --book "$T/a" --book "$T/b" --total --json "$T/two" |
        jq -es '.[0].usd_min == "4" and .[0].usd_max == "4" and .[0].ratio == 1'
}

@test "no price under one book: named, never 0, and 4" {
    books
    echo '{"id":"d","model":"here","input_length":1000000,"output_length":0}' >>"$T/usage"
    run -4 --separate-stderr "$COST" bound --book "$T/tiers.book" --book "$T/flat.book" "$T/usage"
    [[ $stderr == *"flat.book: no price: here: the book has no such model (1 record)"* ]]
    [ "$(tail -1 <<<"$output" | cut -f 1-4,10)" = $'d\there\t1\t1\t'"$T/flat.book" ]
    run -4 "$COST" bound -q --book "$T/tiers.book" --book "$T/flat.book" --total --json "$T/usage"
    [[ $output == *'"records":4,"unpriced":1,"usd_min":"0.462375"'* ]]
    echo '{"model":"nowhere","input_length":1,"output_length":0}' >"$T/none"
    run -4 --separate-stderr "$COST" bound --book "$T/tiers.book" --book "$T/flat.book" "$T/none"
    [ "$(tail -1 <<<"$output" | cut -f 3,4)" = $'-\t-' ]
    run -4 --separate-stderr "$COST" bound --book "$T/tiers.book" --total "$T/none"
    [ "$(tail -1 <<<"$output" | cut -f 2-5)" = $'1\t1\t-\t-' ]
    run -4 "$COST" bound --book "$T/tiers.book" /dev/null
}

@test "ends hold what explain says under each book" {
    books
    for n in 1 2 3; do
        for b in tiers flat; do
            "$COST" explain --book "$T/$b.book" --line $n "$T/usage" |
                awk -F '\t' '$2 == "total" { print $9 }'
        done | sort -n | tr '\n' ' '
        echo
    done >"$T/explained"
    both "$T/usage" | awk -F '\t' 'NR > 1 { print $3, $4 " " }' | diff "$T/explained" -
}

@test "bad options and bad input: one line" {
    books
    fails 2 bound --total --each "$T/usage"
    fails 2 bound --by colour "$T/usage"
    fails 2 bound --model a --as b "$T/usage"
    fails 1 bound --book "$T/nothing" "$T/usage"
    fails 1 bound "$T/nothing"
    echo '{"model":"gpt-5.4","input_length":-3,"output_length":1}' >"$T/bad"
    fails 1 bound --total --book "$T/tiers.book" "$T/bad"
    cat "$T/bad" "$T/usage" | bound --total --skip-bad --book "$T/tiers.book" 2>"$T/err" |
        grep -q 0.889875
    grep -q '1 broken line passed' "$T/err"
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    books
    got=0
    both "$T/usage" >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q '^llm-cost' "$T/err"
}

@test "stdin is read once: a book and usage cannot both come from it" {
    fails 2 bound --book - --book x.book -
    grep -q "'-' is there twice" "$T/err"
    fails 2 bound --book -
    fails 2 bound --book - --book - x.jsonl
    fails 2 explain --book - -
    fails 2 price --book -
}
