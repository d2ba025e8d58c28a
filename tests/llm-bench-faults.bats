#!/usr/bin/env bats
# llm-bench-faults.bats - llm-bench serve against a server that fails in every way it can
#
# Times are only checked from below, where the null server's pace gives a bound that no machine can
# undercut; counts are compared with the server's own.

# shellcheck disable=SC2154 # start_null sets URL
load bench
load null

# serve OPTION...: rows in $T/rows, a record for each request in $T/records. A slow machine may make
# the client late; that is not what is tested here.
serve() {
    timeout 120 "$BENCH" serve -q --url "$URL" --warmup 0 --max-lag 1h --save "$T/records" \
        --prompt-tokens 16 --json "$@" >"$T/rows"
}

value() { jq --arg name "$1" 'select(.name == $name) | .value' "$T/rows"; }

# faults NAME: how many requests met it, as the server counted them.
faults() { sed -nE "s/.*[ ,:]$1 ([0-9]+).*/\1/p" "$T/null.err"; }

# counted KIND END OPTION...: a fifth of 40 requests meet a fault; each of them is in the report
# under its name, and none of them in the percentiles of the others.
counted() {
    local kind=$1 end=$2 n
    shift 2
    start_null --fault "$kind:20%" --tpot 2ms
    serve --requests 40 --concurrency 8 --output-tokens 11 "$@"
    stop_null
    n=$(faults "${kind%%=*}")
    [ "$n" -ge 6 ] && [ "$n" -le 10 ]
    [ "$(value "errors.$end")" = "$n" ] || { jq -c 'del(.samples)' "$T/rows"; return 1; }
    [ "$(value errors)" = "$n" ]
    [ "$(value ok)" = $((40 - n)) ]
    is "[.[] | select(.type == \"request\" and .end == \"$end\")] | length == $n and
        all(has(\"ttft_ms\") or has(\"e2e_ms\") | not)" "$T/records"
    is "map({(.name): .}) | add | .e2e.n == 40 - $n and .ttft.n == 40 - $n and
        (.e2e.samples | min >= 20) and (.tpot.samples | min >= 0)" "$T/rows"
    is '[.[] | select(.end == "ok")] | all(.output_length == 11)' "$T/records"
}

# harmless KIND: every request meets it, and every request is good.
harmless() {
    start_null --fault "$1" --tpot 1ms --ttft 30ms
    serve --requests 20 --concurrency 4 --output-tokens 9
    stop_null
    [ "$(faults "${1%%=*}")" = 20 ]
    [ "$(value ok)" = 20 ]
    [ "$(value errors)" = 0 ]
    is '[.[] | select(.type == "request")] | length == 20 and
        all(.output_length == 9 and .ttft_ms >= 30)' "$T/records"
}

@test "a connection reset in a stream is reset" { counted reset reset; }
@test "a reset before the first token is reset" { counted reset=0 reset; }
@test "a stream that is cut off is truncated" { counted close truncated; }
@test "a body that ends in order but too early is truncated" { counted truncate truncated; }
@test "status 429 is status_429" { counted 429 status_429; }
@test "status 500 is status_5xx" { counted 500 status_5xx; }
@test "status 503 is status_5xx" { counted 503 status_5xx; }
@test "an error object in a stream is error_event" { counted error-event error_event; }
@test "broken JSON in a stream is malformed" { counted garbage malformed; }
@test "no answer at all is timeout_first" { counted never timeout_first --first-timeout 3s; }
@test "a head that takes too long is timeout_first" {
    counted slow-headers=60s timeout_first --first-timeout 3s
}
@test "a stream that stands still is timeout_stall" {
    counted stall=60s timeout_stall --stall-timeout 3s
}

@test "an empty first event is no token" { harmless empty-first; }
@test "several tokens in an event are counted by usage" { harmless multi=4; }
@test "events cut at odd places are whole events" { harmless split; }
@test "CR LF and comments are server-sent events too" { harmless crlf; }
@test "a missing [DONE] behind a reason to end is no error" { harmless no-done; }
@test "a slow head is only slow" { harmless slow-headers=20ms; }
@test "a pause is only a pause" { harmless stall=20ms; }

@test "without usage the events are counted, and the report says so" {
    harmless no-usage
    is '[.[] | select(.type == "request")] | all(.tokens_from == "chunks")' "$T/records"
    start_null
    serve --requests 5 --output-tokens 9
    is '[.[] | select(.type == "request")] | all(has("tokens_from") | not)' "$T/records"
}

@test "all faults at once: every request ends, and the counts add up" {
    start_null --tpot 1ms --fault reset:8% --fault close:8% --fault truncate:8% --fault 429:8% \
        --fault 500:8% --fault 503:8% --fault never:4% --fault stall=60s:4% --fault error-event:8% \
        --fault garbage:8% --fault split:8% --fault crlf:8% --seed 3
    serve --requests 200 --concurrency 20 --output-tokens 10 --first-timeout 3s --stall-timeout 3s
    stop_null
    is 'map({(.name): .value}) | add | .ok + .errors == 200 and
        .errors == ([to_entries[] | select(.key | startswith("errors.")) | .value] | add)' "$T/rows"
    [ "$(value errors.truncated)" = $(($(faults close) + $(faults truncate))) ]
    [ "$(value errors.status_5xx)" = $(($(faults 500) + $(faults 503))) ]
    [ "$(value errors.timeout_first)" = "$(faults never)" ]
}

@test "nothing but errors is exit 4" {
    start_null --fault 500
    local got=0
    serve --requests 10 || got=$?
    [ "$got" = 4 ]
    [ "$(value errors.status_5xx)" = 10 ]
}

# The server stands still for a second while 100 requests a second are to be sent and 4 may be under
# way. Those 4 alone were sent before or in the stall, so only they are slow from when they were
# sent; about 100 were to be sent in it, and a user would have waited for each of them. A slow
# machine can only add to either number.
@test "a stall of a second: latency from the schedule sees it, from the sending it does not" {
    start_null --stall 500ms:1s
    serve --rate 100 --arrival uniform --requests 200 --max-concurrency 4 --output-tokens 1
    stop_null
    grep -q ' 1 stalls;' "$T/null.err"
    jq -s '[.[] | select(.type == "request")] |
        {scheduled: map(select(.e2e_ms > 200)) | length,
         sent: map(select(.e2e_sent_ms > 200)) | length}' "$T/records" >"$T/slow"
    is '.[0] | .scheduled >= 75 and .sent >= 1 and .sent * 4 <= .scheduled' "$T/slow"
    # the median of the slow ones is about half a second; from the sending there is none at all
    is 'map({(.name): .}) | add | .e2e.p90 > 500 and .e2e_sent.p90 < .e2e.p90' "$T/rows"
}
