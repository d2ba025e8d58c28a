#!/usr/bin/env bats
# llm-bench-null.bats - the null server as a program: its address, its end, its options

# shellcheck disable=SC2154 # run sets output
load bench
load null

ask() { curl -sS -m 60 "$URL/${2-chat/completions}" -d "$1"; }

@test "null prints its address when it is ready and ends by SIGTERM with counts" {
    start_null
    [[ $URL =~ ^http://127\.0\.0\.1:[0-9]+/v1$ ]]
    [ "$(wc -l <"$T/null.out")" = 1 ]
    [ "$(curl -sS "${URL%/v1}/health" | jq -r .status)" = ok ]
    [ "$(curl -sS "$URL/models" | jq -r '.data[0].id')" = null ]
    ask '{"model":"m","messages":[{"role":"user","content":"one two"}],"max_tokens":5}' >"$T/reply"
    is '.[0] | .model == "m" and .usage == {"prompt_tokens": 2, "completion_tokens": 5,
        "total_tokens": 7} and .choices[0].finish_reason == "length"' "$T/reply"
    stop_null
    grep -q '^llm-bench null: 1 requests, 0 cancelled, 0 refused, 5 tokens, ' "$T/null.err"
}

@test "null ends by SIGINT, quietly with -q" {
    # bash lets background jobs ignore SIGINT; env gives it back
    env --default-signal=INT "$BENCH" null -q >"$T/null.out" 2>"$T/null.err" 3>&- &
    null_pid=$!
    until grep -q listening "$T/null.out"; do sleep 0.05; done
    kill -INT "$null_pid"
    wait "$null_pid"
    null_pid=
    [ ! -s "$T/null.err" ]
}

@test "null streams server-sent events" {
    start_null --usage every --chunk 2
    ask '{"prompt":"a","stream":true,"max_tokens":5}' completions >"$T/events"
    [ "$(grep -c '^data: {' "$T/events")" = 5 ]         # 2 + 2 + 1 tokens, the end, usage
    [ "$(tail -n 2 "$T/events" | head -n 1)" = "data: [DONE]" ]
    sed -n 's/^data: {/{/p' "$T/events" >"$T/json"
    is '[.[].usage.completion_tokens] == [2, 4, 5, 5, 5]' "$T/json"
    is '[.[].choices[0].text // empty] | add == "The quick brown fox jumps"' "$T/json"
}

@test "null ends by itself after --requests" {
    start_null --requests 3
    for i in 1 2 3; do ask '{"messages":[]}' >"$T/reply.$i"; done
    wait "$null_pid"
    null_pid=
    is 'length == 3 and all(.usage.completion_tokens == 128)' "$T"/reply.?
    grep -q '^llm-bench null: 3 requests' "$T/null.err"
}

@test "null counts faults by kind" {
    start_null --fault 500:50% --fault crlf --seed 7 --tokens 1
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        ask '{"messages":[],"stream":true}' >>"$T/replies"
    done
    errors=$(grep -o '"error"' "$T/replies" | wc -l)
    [ "$errors" -ge 3 ] && [ "$errors" -le 7 ]
    stop_null
    grep -q "faults: 500 $errors, crlf 10$" "$T/null.err"
}

@test "null leaves at most so many requests at work" {
    start_null --slots 1 --tpot 5ms --tokens 20
    start=$(date +%s%N)
    for i in 1 2 3; do ask '{"messages":[]}' >"$T/reply.$i" & pids+=" $!"; done
    # shellcheck disable=SC2086 # three numbers
    wait $pids
    [ $((($(date +%s%N) - start) / 1000000)) -ge $((3 * 19 * 5)) ]
    is 'length == 3 and all(.usage.completion_tokens == 20)' "$T"/reply.?
}

@test "null takes a host, an IPv6 address too" {
    start_null --host localhost
    [ "$(curl -sS "${URL%/v1}/health" | jq -r .status)" = ok ]
    stop_null
    [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 here"
    start_null --host ::1
    [[ $URL == 'http://[::1]:'* ]]
    [ "$(curl -sS -g "${URL%/v1}/health" | jq -r .status)" = ok ]
}

@test "bad options are exit 2 and name the value" {
    fails 2 null --port 70000
    fails 2 null --rate 0
    fails 2 null --ttft 5x
    fails 2 null --ttft 5ms+x
    fails 2 null --tpot -1ms
    fails 2 null --jitter 2
    fails 2 null --stall 5s
    fails 2 null --stall 5s:0
    fails 2 null --usage sometimes
    fails 2 null --tokens 0
    fails 2 null --slots 0
    fails 2 null --fault what
    grep -q "reset, close, truncate" "$T/err"
    fails 2 null --fault never=3
    fails 2 null --fault reset:2
    fails 2 null file
    fails 2 null --fault 500:0.6 --fault 503:0.6
    fails 2 null --cache --prompt-tokens 5
    fails 2 null --stall 1s:2s:1s
}

@test "an address that cannot be had is exit 1, a full disk too" {
    start_null
    fails 1 null --port "$(sed 's/.*:\([0-9]*\)\/v1/\1/' "$T/null.out")"
    grep -q 'in use' "$T/err"
    fails 1 null --host 192.0.2.1
    [ -e /dev/full ] || skip "no /dev/full"
    got=0
    timeout 60 "$BENCH" null >/dev/full 2>"$T/err" || got=$?
    [ "$got" = 1 ]
    grep -q 'No space left' "$T/err"
}
