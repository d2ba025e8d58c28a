#!/usr/bin/env bats
# llm-bench-score.bats - graded answers of the embedded model, and figures that add up

load bench
load null

MODEL=examples/models/tiny-moe-f16.gguf

# sums N DIGITS: sums as questions, the same each time.
sums() {
    awk -v n="$1" -v digits="$2" 'BEGIN {
        srand(2); low = 10 ^ (digits - 1)
        for (; n > 0; n--) {
            a = low + int(rand() * 9 * low); b = low + int(rand() * 9 * low)
            printf "{\"question\":\"%d+%d=?\",\"answer\":%d,\"topic\":\"%s\"}\n", a, b, a + b,
                a + b < 11 * low ? "small" : "big"
        } }'
}

# both_ways OPTION...: the embedded model asked for sums at once, and with the working.
both_ways() {
    "$BENCH" score -q -m $MODEL --way 'direct=Q: {question} A:' --way 'working=Q: {question} T:' \
        --stop $'\n' -n 80 --json "$@"
}

@test "score: working written out is always right, and costs more tokens for it" {
    sums 40 2 >"$T/sums"
    both_ways "$T/sums" >"$T/rows"
    is 'map(.name) == ["direct", "working", "working/direct"]' "$T/rows"
    is '.[0].accuracy_pct > 35 and .[0].accuracy_pct < 75' "$T/rows"
    is '.[1].accuracy_pct == 100 and .[1].accuracy_high == 100 and .[1].accuracy_low > 85' "$T/rows"
    is '.[1].answer_tokens > 4 * .[0].answer_tokens' "$T/rows"
    is '.[1].pass_tokens > .[0].pass_tokens and .[1].pass_gflop > .[0].pass_gflop' "$T/rows"
    is '.[2].unit == "ratio" and .[2].high < 1 and .[2].low > 0' "$T/rows"
    is 'all(.[0, 1]; .pass_s > 0 and .right_per_s > 0 and .pass_usd == null)' "$T/rows"
}

@test "score: figures are sums over the answers that --save wrote" {
    sums 20 2 >"$T/sums"
    both_ways --by topic --price 1,10 --save "$T/answers" "$T/sums" >"$T/rows"
    is 'length == 40 and all(.type == "request")' "$T/answers"
    jq -cs 'group_by(.way) | map({name: .[0].way, right: map(select(.right)) | length,
        out: map(.output_length) | add, usd: map(.cost_usd) | add, flops: map(.flops) | add,
        ms: map(.cost_ms) | add})' "$T/answers" >"$T/sum"
    for way in 0 1; do
        jq -es --argjson w $way '.[-1][$w] as $s | .[:-1] | map(select(.name == $s.name))[0]
            | def near(x): (. - x | fabs) <= 1e-5 * (x | fabs);
            (.right == $s.right) and (.value | near(1000 * $s.right / $s.out))
            and (.pass_tokens | near($s.out / $s.right)) and (.pass_usd | near($s.usd / $s.right))
            and (.pass_gflop | near($s.flops / 1e9 / $s.right))
            and (.pass_s | near($s.ms / 1000 / $s.right))' "$T/rows" "$T/sum"
    done
    is 'map(select(.name | startswith("direct/"))) | (map(.n) | add) == 20
        and (map(.right) | add) > 0' "$T/rows"
    # A dollar per million tokens in, ten out: to the last pico-dollar.
    is 'all((.cost_usd - (.input_length + 10 * .output_length) / 1e6 | fabs) < 1e-12)' "$T/answers"
}

@test "score: the same answers each time, and for any number at once" {
    sums 8 2 >"$T/sums"
    for parallel in 1 1 8; do
        both_ways --parallel $parallel --save "$T/answers" "$T/sums" >"$T/rows"
        jq -c '[.id, .way, .text, .output_length, .right]' "$T/answers" >>"$T/all.$parallel"
    done
    [ "$(sort "$T/all.1" | uniq -c | awk '{ print $1 }' | sort -u)" = 2 ]
    diff <(sort -u "$T/all.1") <(sort "$T/all.8")
}

@test "score: several answers to a question count together" {
    sums 6 1 >"$T/sums"
    "$BENCH" score -q -m $MODEL --way 'd=Q: {question} A:' --stop $'\n' -n 12 --temp 1 --answers 5 \
        --seed 3 --json --save "$T/answers" "$T/sums" >"$T/rows"
    is 'length == 30 and (map([.id, .sample]) | unique | length) == 30' "$T/answers"
    is '.[0].n == 30 and .[0].questions == 6' "$T/rows"
    is '(map(.text) | unique | length) > 6' "$T/answers"
}

@test "score: choices, patterns and topics of a file of its own" {
    cat >"$T/q" <<'END'
{"id": "c", "question": "Which?", "choices": ["x", "y"], "answer": "y"}
{"id": "r", "question": "What?", "answer": ".", "grade": "regex", "topic": "any"}
{"id": "n", "question": "How many?", "answer": "so 3\n#### 1,000"}
END
    "$BENCH" score -q -m $MODEL -n 8 --json --by topic --save "$T/answers" "$T/q" >"$T/rows"
    is 'map(.name) == ["plain", "plain/any"] and .[1].right == 1 and .[1].n == 1' "$T/rows"
    is 'map(.answer) == ["B", ".", "1,000"] and .[1].right' "$T/answers"
    "$BENCH" score -q -m $MODEL -n 8 --json --extract 'never-there' --limit 2 "$T/q" >"$T/rows"
    is '.[0].unparsed == 2 and .[0].right == 0 and .[0].low == 0 and .[0].pass_tokens == null' \
        "$T/rows"
}

@test "score: rows name host, flags and the hash of both files" {
    sums 2 1 >"$T/sums"
    both_ways "$T/sums" >"$T/rows"
    hash=$(sha256sum "$T/sums" | cut -d ' ' -f 1)
    is "all(.files | contains(\"sha256:$hash\") and contains(\"tiny-moe-f16.gguf=sha256:\"))" \
        "$T/rows"
    is 'all(.args | startswith("llm-bench score -q -m examples/"))' "$T/rows"
    "$BENCH" score -q -m $MODEL -n 2 --limit 1 "$T/sums" >"$T/tabs"
    [ "$(head -n 1 "$T/tabs" | cut -f 1)" = name ]
    [ "$(awk -F '\t' '{ print NF }' "$T/tabs" | sort -u | wc -l)" = 1 ]
}

@test "score: bad command lines are named in one line" {
    sums 1 1 >"$T/sums"
    fails 2 score
    fails 2 score "$T/sums"
    grep -q 'expected -m MODEL or --url URL' "$T/err"
    fails 2 score -m $MODEL
    fails 2 score -m $MODEL --way direct "$T/sums"
    grep -q "expected NAME=TEXT" "$T/err"
    fails 2 score -m $MODEL --way direct=hello "$T/sums"
    grep -q '{question}' "$T/err"
    fails 2 score -m $MODEL --way 'a={question}' --way 'a={question}' "$T/sums"
    fails 2 score -m $MODEL --answers 2 "$T/sums"
    fails 2 score -m $MODEL --extract '(' "$T/sums"
    fails 2 score -m $MODEL --grade best "$T/sums"
    fails 2 score -m $MODEL --by day "$T/sums"
    for price in 1 1,2,3,4 1,x 1,-2 1.1234567890123456789,2 , no-such-model; do
        fails 2 score -m $MODEL --price "$price" "$T/sums"
    done
}

@test "score: what cannot be read or answered is said in one line" {
    sums 1 1 >"$T/sums"
    fails 1 score -m $MODEL "$T/missing"
    grep -q missing "$T/err"
    echo '{"question": "x"}' >"$T/bad"
    fails 1 score -m $MODEL "$T/bad"
    grep -q ':1: "answer"' "$T/err"
    fails 1 score -m "$T/none.gguf" "$T/sums"
    [ "$(cat "$T/err")" = "llm-bench score: $T/none.gguf: No such file or directory" ]
    LLM_RUN=$T/none fails 1 score -m $MODEL "$T/sums"
    grep -q 'not found' "$T/err"
    LLM_RUN=false fails 1 score -m $MODEL "$T/sums"
    run ! "$BENCH" score -q -m $MODEL -n 2 --limit 1 "$T/sums" --save /dev/full
    run ! bash -c "'$BENCH' score -q -m $MODEL -n 2 --limit 1 '$T/sums' >/dev/full"
}

# ---- a server ------------------------------------------------------------------------------

@test "score: a server's answers, tokens and failures are counted" {
    start_null --tokens 16 --cache
    seq 6 | sed 's/.*/{"question":"number &?","answer":".","grade":"regex"}/' >"$T/q"
    "$BENCH" score -q --url "$URL" -n 8 --parallel 3 --json --save "$T/answers" "$T/q" >"$T/rows"
    is '.[0].right == 6 and .[0].answer_tokens == 8 and .[0].value == 125' "$T/rows"
    is 'length == 6 and all(.output_length == 8 and .truncated and .cost_ms >= 0)' "$T/answers"
    is '.[0].pass_gflop == null and .[0].pass_s > 0' "$T/rows"
    "$BENCH" score -q --url "$URL" --completions -n 8 --shape qwen3-8b --json "$T/q" >"$T/rows"
    is '.[0].right == 6 and .[0].pass_gflop > 8 * 2 * 7' "$T/rows"
    run -4 --separate-stderr "$BENCH" score -q --url "$URL" -m null:500 --json "$T/q"
    [ -z "$output" ]
    [[ $stderr == *"plain: 6 of 6 answers failed, the first: status_5xx"* ]]
    stop_null
}

@test "score: some failed answers are in no figure, and the status says so" {
    start_null --tokens 4 --fault reset:50%
    seq 8 | sed 's/.*/{"question":"&","answer":".","grade":"regex"}/' >"$T/q"
    run -1 --separate-stderr "$BENCH" score -q --url "$URL" --json "$T/q"
    echo "$output" >"$T/rows"
    is '.[0].failed == 4 and .[0].n == 4 and .[0].accuracy_pct == 100' "$T/rows"
    [[ $stderr == *"4 of 8 answers failed, the first: reset"* ]]
    stop_null
}

@test "score: no server, and a key that appears nowhere" {
    echo '{"question":"a","answer":"b"}' >"$T/q"
    start_null --tokens 4
    OPENAI_API_KEY=sk-very-secret "$BENCH" score --url "$URL" --json -v --save "$T/answers" \
        "$T/q" >"$T/out" 2>"$T/err"
    run ! grep -r very-secret "$T"
    stop_null
    run -4 --separate-stderr "$BENCH" score -q --url "$URL" "$T/q"
    [[ $stderr == *"1 of 1 answers failed, the first: refused"* ]]
}
