#!/usr/bin/env bats
# llm-cost-price.bats - llm-cost price: usage of every source in, exact bills and sums out

load cost

price() { "$COST" price --book "$T/my.book" "$@"; }

# A book of round numbers: input 1, read 0.1, written 1.25, output 10 dollars a million.
book() {
    cat >"$T/my.book" <<'END'
book mine observed=2026-01-01 currency=USD
source me observed=2026-01-01 confidence=listed
model one provider=acme source=me
price one input 1
price one read 0.10
price one write 1.25
price one output 10
factor one 0.5 service=batch
model two provider=acme source=me
price two input 3 to=2026-02-01
price two input 2 from=2026-02-01
price two output 20
END
}

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    book
}

# A column of all rows of tab-separated rows on stdin.
column() {
    awk -F '\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
        NR > 1 { printf("%s%s", (NR > 2 ? " " : ""), $c) } END { print "" }'
}

# many N: N records of two models, many sessions and several days.
many() {
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++)
            printf "{\"timestamp\":%d,\"input_length\":%d,\"cached_tokens\":%d,\"output_length\":%d," \
                "\"model\":\"%s\",\"session_id\":\"s%d\"}\n", i * 90000, 7 + i * 7919 % 5000,
                i * 31 % 7, i * 13 % 100, i % 3 ? "one" : "two", i % 17 }'
}

@test "help, and bad options" {
    "$COST" price --help | grep -q '^usage: llm-cost price'
    fails 2 price --by colour x
    fails 2 price --by day,day x
    fails 2 price --tz Paris x
    fails 2 price --tz 10:00 x
    fails 2 price --start noon x
    fails 2 price --model a --as b x
    fails 1 price "$T/absent"
    fails 1 price --book "$T/absent" x
}

@test "the examples of --help run as typed" {
    many 5 >"$T/usage.jsonl"
    printf 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n' >"$T/trace.csv"
    mkdir -p "$T/.claude/projects/p"
    cat >"$T/.claude/projects/p/s.jsonl" <<'END'
{"type":"assistant","timestamp":"2026-01-09T10:00:00.000Z","sessionId":"s","message":{"id":"m","model":"one","usage":{"input_tokens":1,"output_tokens":1}},"requestId":"r"}
END
    "$COST" price --help | sed -n '/^Examples/,$s/^  //p' >"$T/examples"
    [ "$(wc -l <"$T/examples")" = 3 ]
    path=$PATH:$(cd "$(dirname "$COST")" && pwd)
    while read -r line; do
        (cd "$T" && HOME=$T LLM_COST_BOOK=$T/my.book PATH=$path \
            bash -c "${line/--model gpt-5.4/--model one}" >"$T/out")
        [ -s "$T/out" ]
    done <"$T/examples"
}

@test "a row for each record, exact" {
    echo '{"id":"a","model":"one","input_length":1000,"cached_tokens":600,"cache_write_tokens":300,
"output_length":50,"reasoning_tokens":20,"time":"2026-01-15T10:00:00Z","session_id":"s"}' >"$T/u"
    [ "$(price --json "$T/u" | jq -c '[.id, .model, .fresh, .cached, .written, .output, .usd, .book]')" = \
        '["a","one",100,600,300,50,"0.001035","mine"]' ]
    [ "$(price --json "$T/u" | jq -c '[.fresh_usd, .cached_usd, .written_usd, .output_usd, .other_usd]')" = \
        '["0.0001","0.00006","0.000375","0.0005","0"]' ]
    [ "$(price --json "$T/u" | jq -c '[.line, .time, .session, .reasoning, .service]')" = \
        '[1,"2026-01-15T10:00:00Z","s",20,"standard"]' ]
    [ "$(price --json "$T/u" | jq -r .book_sha256)" = "$(sha256sum "$T/my.book" | cut -d ' ' -f 1)" ]
    price --format table "$T/u" | grep -q '^usd  *0.001035$'
    price --service batch "$T/u" | column usd | grep -qx 0.0005175
    price --as two "$T/u" | column usd | grep -qx 0.004
    # A digit beyond the pico-dollar is rounded once, half to even.
    sed 's/^price one input 1$/price one input 0.0000005/' "$T/my.book" >"$T/tiny"
    for n in 1 2 3 5; do echo "{\"model\":\"one\",\"input_length\":$n}"; done |
        "$COST" price --book "$T/tiny" | column usd >"$T/out"
    [ "$(cat "$T/out")" = "0 0.000000000001 0.000000000002 0.000000000002" ]
}

@test "one request in the words of every source costs the same" {
    cat >"$T/u" <<'END'
{"model":"one","input_length":1000,"cached_tokens":600,"output_length":50}
{"model":"one","usage":{"prompt_tokens":1000,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":600},"completion_tokens_details":{"reasoning_tokens":20}}}
{"model":"one","usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20}}}
{"model":"one","usage":{"input_tokens":400,"cache_creation_input_tokens":0,"cache_read_input_tokens":600,"output_tokens":50}}
{"modelVersion":"one","usageMetadata":{"promptTokenCount":1000,"cachedContentTokenCount":600,"candidatesTokenCount":30,"thoughtsTokenCount":20}}
{"type":"assistant","timestamp":"2026-01-09T10:00:00.000Z","sessionId":"s","message":{"id":"m","model":"one","usage":{"input_tokens":400,"cache_read_input_tokens":600,"output_tokens":50}},"requestId":"r"}
{"type":"turn_context","payload":{"model":"one"}}
{"timestamp":"2026-01-09T10:00:00.000Z","type":"event_msg","payload":{"type":"token_count","info":{"last_token_usage":{"input_tokens":1000,"cached_input_tokens":600,"output_tokens":50,"reasoning_output_tokens":20}}}}
END
    [ "$(price "$T/u" | column usd)" = "0.00096 0.00096 0.00096 0.00096 0.00096 0.00096 0.00096" ]
    printf 'model,prompt_tokens,cached_tokens,completion_tokens\r\none,1000,600,50\r\n' |
        price | column usd | grep -qx 0.00096
    echo '{"custom_id":"q","response":{"body":{"model":"one","usage":{"prompt_tokens":1000,"completion_tokens":50}}}}' |
        price | column usd | grep -qx 0.00075
}

@test "what an API answers, as curl prints it" {
    jq -n '{id: "chatcmpl-1", model: "one", choices: [{message: {content: "a\"{\n"}}],
        usage: {prompt_tokens: 1000, completion_tokens: 50}}' >"$T/u"
    price "$T/u" | column usd | grep -qx 0.0015
    cat "$T/u" "$T/u" | price - | column usd | grep -qx "0.0015 0.0015"
    jq -s . "$T/u" "$T/u" "$T/u" | zstd -q | price --total | column usd | grep -qx 0.0045
}

@test "time: each record's, --start, --at" {
    printf '{"model":"two","input_length":1000000,"timestamp":%s}\n' 0 86400000 >"$T/u"
    price --start 2026-01-31 "$T/u" | column usd | grep -qx "3 2"
    price --start 2026-01-31 --at 2026-03-01 "$T/u" | column usd | grep -qx "2 2"
    price --start 2026-01-31 --by day "$T/u" | column day | grep -qx "2026-01-31 2026-02-01"
    price --start 2026-01-31 --by month "$T/u" | column month | grep -qx "2026-01 2026-02"
    price --start 2026-01-31 --tz -00:30 --by day "$T/u" | column day | grep -qx "2026-01-30 2026-01-31"
    price --start 2026-01-31 --tz +09:00 --by day "$T/u" | column day | grep -qx "2026-01-31 2026-02-01"
    price --at 2026-01-01 --by day "$T/u" | column day | grep -qx -- -
}

@test "sums are sums of the rows" {
    many 1000 >"$T/u"
    for by in model day session model,day session,model; do
        price --start 2026-01-25 --by "$by" "$T/u" | column records >"$T/n"
        [ "$(tr ' ' '\n' <"$T/n" | awk '{ s += $1 } END { print s }')" = 1000 ]
    done
    price --start 2026-01-25 --json "$T/u" >"$T/rows"
    price --start 2026-01-25 --json --by model "$T/u" >"$T/sums"
    # In whole pico-dollars, which jq's doubles hold.
    pico='(.usd | split(".") | .[0] as $d | ((.[1] // "") + "000000000000")[0:12] as $f |
        ($d + $f | tonumber))'
    for m in one two; do
        [ "$(jq -s "map(select(.model == \"$m\") | $pico) | add" "$T/rows")" = \
            "$(jq "select(.model == \"$m\") | $pico" "$T/sums")" ]
        [ "$(jq -s "map(select(.model == \"$m\") | .output) | add" "$T/rows")" = \
            "$(jq "select(.model == \"$m\") | .output" "$T/sums")" ]
    done
    [ "$(price --total "$T/u" | wc -l)" = 2 ]
}

@test "sums of parts, merged, are those of the whole to the digit" {
    many 3000 >"$T/u"
    echo '{"input_length":5,"model":"nobody"}' >>"$T/u"
    split -n l/7 "$T/u" "$T/part."
    for by in --total "--by model" "--by model,day,session" "--by session,service"; do
        price --start 2026-01-25 --json $by "$T/u" >"$T/whole" 2>"$T/err" || [ $? = 4 ]
        for p in "$T"/part.??; do
            price --start 2026-01-25 --json $by "$p" >"$p.sum" 2>/dev/null || [ $? = 4 ]
        done
        run -4 --separate-stderr "$COST" price --merge --json "$T"/part.*.sum
        diff <(echo "$output") "$T/whole"
        [ "$stderr" = "llm-cost price: 1 of 3001 records have no price" ]
        # In two steps, and not in order.
        cat "$T"/part.a[b-d].sum | "$COST" price --merge --json >"$T/half" || [ $? = 4 ]
        "$COST" price --merge --json "$T"/part.a[e-g].sum "$T/half" "$T/part.aa.sum" \
            >"$T/all" 2>/dev/null || [ $? = 4 ]
        diff "$T/all" "$T/whole"
    done
    # From finer sums to coarser ones.
    price --start 2026-01-25 --json --by model,day "$T/u" 2>/dev/null >"$T/fine" || [ $? = 4 ]
    price --start 2026-01-25 --json --by day "$T/u" 2>/dev/null >"$T/days" || [ $? = 4 ]
    "$COST" price --merge --by day --json "$T/fine" 2>/dev/null >"$T/merged" || [ $? = 4 ]
    diff "$T/merged" "$T/days"
}

@test "merge refuses what does not belong together" {
    many 10 >"$T/u"
    price --by model --json "$T/u" >"$T/model"
    price --by day --json "$T/u" >"$T/day"
    fails 1 price --merge "$T/model" "$T/day"
    grep -q "day:1: sums by other columns" "$T/err"
    echo '# more' >>"$T/my.book"
    price --by model --json "$T/u" >"$T/other"
    fails 1 price --merge "$T/model" "$T/other"
    grep -q "other:1: a sum under another book" "$T/err"
    fails 2 price --merge --by session "$T/model"
    fails 1 price --merge "$T/u"
    sed 's/"usd":"/&x/' "$T/model" >"$T/bad"
    fails 1 price --merge "$T/bad"
    sed 's/"records":/&-/' "$T/model" >"$T/bad"
    fails 1 price --merge "$T/bad"
    sed 's/"usd":"[^"]*"/"usd":null/' "$T/model" >"$T/bad"
    fails 1 price --merge "$T/bad"
    fails 4 price --merge /dev/null
}

@test "a model without a price is named once, and is not 0" {
    cat >"$T/u" <<'END'
{"model":"one","input_length":1000}
{"model":"nobody","input_length":1000}
{"input_length":1000}
{"model":"nobody","input_length":5}
END
    run -4 --separate-stderr "$COST" price --book "$T/my.book" "$T/u"
    [ "$(echo "$output" | column usd)" = "0.001 - - -" ]
    [ "$(grep -c nobody <<<"$stderr")" = 1 ]
    grep -q "no price: nobody: .* (2 records)" <<<"$stderr"
    grep -q "no price: the record names no model (1 record)" <<<"$stderr"
    run -4 --separate-stderr "$COST" price --book "$T/my.book" --json --by model "$T/u"
    [ "$(jq -c '[.model, .usd, .unpriced]' <<<"$output" | paste -sd ' ')" = \
        '[null,null,1] ["nobody",null,2] ["one","0.001",0]' ]
    run -4 --separate-stderr "$COST" price --book "$T/my.book" --json --total "$T/u"
    [ "$(jq -c '[.usd, .unpriced, .records]' <<<"$output")" = '["0.001",3,4]' ]
    price --model one "$T/u" >"$T/out" 2>/dev/null || [ $? = 4 ]
    [ "$(column usd <"$T/out")" = "0.001 - 0.001 -" ]
    price --as one "$T/u" | column usd | grep -qx "0.001 0.001 0.001 0.000005"
}

@test "a service without a price has none" {
    echo '{"model":"two","input_length":1000,"service":"batch"}' >"$T/u"
    run -4 --separate-stderr "$COST" price --book "$T/my.book" "$T/u"
    [ "$(echo "$output" | column usd)" = - ]
    grep -q batch <<<"$stderr"
    price --service standard --at 2026-01-01 "$T/u" | column usd | grep -qx 0.003
    price --service standard --by service "$T/u" | column service | grep -qx standard
}

@test "nothing to price is no bill" {
    for text in '' '\n\n' '{"type":"step"}\n' '[]' 'input_tokens,output_tokens\n'; do
        printf "$text" >"$T/u"
        fails 4 price --book "$T/my.book" "$T/u"
        fails 4 price --book "$T/my.book" --total "$T/u"
    done
    fails 1 price --book "$T/my.book" "$T"
}

@test "bad input: one line that says where and what" {
    for text in '{"model":"one","input_length":-1}' '{"model":"one","input_length":1,"cached_tokens":2}' \
        '{"model":"one","input_length":3,"cached_tokens":2,"cache_write_tokens":2}' \
        '{"model":"one","output_length":3,"reasoning_tokens":4}' '{"model":"one","input_length":NaN}' \
        '{"model":"one","input_length":1' 'what is this'; do
        printf '%s\n' "$text" >"$T/u"
        fails 1 price --book "$T/my.book" "$T/u"
        [ "$(wc -l <"$T/err")" = 1 ]
        grep -q "^llm-cost price: $T/u:1:" "$T/err"
    done
    { echo '{"model":"one","input_length":1000}'; echo '{"model":"one","input_'
      echo '{"model":"one","input_length":-1}'; echo '{"model":"one","input_length":2000}'; } >"$T/u"
    price --skip-bad "$T/u" 2>"$T/err" | column usd | grep -qx "0.001 0.002"
    grep -q "2 broken lines passed" "$T/err"
    many 100 | zstd -q | head -c 200 >"$T/cut.zst"
    fails 1 price --book "$T/my.book" --total --skip-bad "$T/cut.zst"
}

@test "a line of 10 MB, CR LF, a byte order mark" {
    { printf '\xEF\xBB\xBF{"model":"one","text":"'; head -c 10000000 /dev/zero | tr '\0' x
      printf '","input_length":1000}\r\n\r\n{"model":"one","input_length":1000}\r\n'; } >"$T/u"
    price "$T/u" | column usd | grep -qx "0.001 0.001"
    price <"$T/u" | column usd | grep -qx "0.001 0.001"
}

@test "a full disk is an error, and a reader that went away is not one to talk of" {
    many 20000 >"$T/u"
    run -1 --separate-stderr bash -c '"$1" price --book "$2" "$3" >/dev/full' - "$COST" "$T/my.book" "$T/u"
    [ "$(wc -l <<<"$stderr")" = 1 ]
    run -1 bash -c '"$1" price --book "$2" --total "$3" >/dev/full' - "$COST" "$T/my.book" "$T/u"
    price "$T/u" 2>"$T/err" | head -n 1 >/dev/null || true
    [ ! -s "$T/err" ]
}

@test "rows of a pipe come as their records do" {
    mkfifo "$T/in" "$T/out"
    price <"$T/in" >"$T/out" &
    exec 8>"$T/in" 9<"$T/out"
    echo '{"model":"one","input_length":1000}' >&8
    read -r -t 20 header <&9
    read -r -t 20 row <&9
    [[ $header == *usd* ]] && [[ $row == *0.001* ]]
    exec 8>&-
    wait $!
}

@test "session logs: a message counts once, over files" {
    line='{"type":"assistant","timestamp":"2026-01-09T10:00:00.000Z","sessionId":"s","message":{"id":"%s","model":"one","usage":{"input_tokens":%d,"output_tokens":0}},"requestId":"r"}\n'
    { printf "$line" m1 1000; printf "$line" m1 3000; printf "$line" m2 1000; } >"$T/a"
    { printf "$line" m1 2000; printf "$line" m3 500; } >"$T/b"
    price "$T/a" "$T/b" | column usd | grep -qx "0.003 0.001 0.0005"
    price --json "$T/a" "$T/b" | jq -r '.file + ":" + (.line | tostring)' | paste -sd ' ' >"$T/out"
    [ "$(cat "$T/out")" = "$T/a:2 $T/a:3 $T/b:2" ]
    price -v --total "$T/a" "$T/b" 2>&1 >/dev/null | grep -q '2 records are of messages that count once'
}

@test "real traces: totals by another count" {
    data=../shared/data/traces
    [ -e $data ] || skip "../shared/data is not there"
    jq -s 'map(.input_length) | add' $data/mooncake-conversation.jsonl >"$T/want"
    price --model one --total $data/mooncake-conversation.jsonl | column fresh | cmp - "$T/want"
    for f in code conv; do
        awk -F , 'NR > 1 { i += $2; o += $3 } END { printf "%.6f\n", i / 1e6 + o / 1e5 }' \
            $data/AzureLLMInferenceTrace_$f.csv >"$T/want"
        price --model one --json --total $data/AzureLLMInferenceTrace_$f.csv |
            jq -r '.usd | tonumber' | awk '{ printf "%.6f\n", $1 }' | cmp - "$T/want"
    done
    price --model one --by day $data/AzureLLMInferenceTrace_conv.csv | column day | grep -qx 2023-11-16
    price --model one --by session $data/agentic24-blk64.jsonl.zst | column records >"$T/out"
    [ "$(wc -w <"$T/out")" = 24 ]
    price --model one --total $data/sharegpt-llama-3.1-8b-300-sps10.jsonl | column records | grep -qx 300
}
