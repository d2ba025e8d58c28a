# llm-bench serve: load on a server, against llm-bench null; nothing here depends on speed, so the
# limits that a client must keep to are lifted where the exit status matters.

load bench

EASY=(--max-lag 1h --max-cpu 1000% -q)

teardown() {
    [ -z "${SERVER:-}" ] || { kill "$SERVER" && wait "$SERVER"; } 2>/dev/null || true
}

# null OPTION...: a server on a port of its own; sets URL.
null() {
    "$BENCH" null -q "$@" >"$T/null.out" 2>"$T/null.err" 3>&- &
    SERVER=$!
    for _ in $(seq 200); do
        URL=$(grep -o 'http://[^ ]*' "$T/null.out") && return
        kill -0 "$SERVER" 2>/dev/null || break
        sleep 0.05
    done
    cat "$T/null.err"
    return 1
}

serve() {
    timeout 120 "$BENCH" serve --url "$URL" "${EASY[@]}" "$@"
}

# cell FILE ROW COLUMN: of a table with a header.
cell() {
    awk -F'\t' -v row="$2" -v col="$3" \
        'NR == 1 { for (i = 1; i <= NF; i++) if ($i == col) c = i } $1 == row { print $c }' "$1"
}

@test "help names what there is; bad options are one line and status 2" {
    "$BENCH" serve --help | grep -q -- '--goodput-at-least'
    fails 2 serve
    fails 2 serve --url http://127.0.0.1:1/v1 --rate 1 --concurrency 2
    fails 2 serve --url http://127.0.0.1:1/v1 --concurrency 0
    fails 2 serve --url http://127.0.0.1:1/v1 --arrival gamma:0 --rate 2
    fails 2 serve --url http://127.0.0.1:1/v1 --arrival poisson
    fails 2 serve --url http://127.0.0.1:1/v1 --ramp 1:2
    fails 2 serve --url http://127.0.0.1:1/v1 --ramp 1 --duration 1s
    fails 2 serve --url http://127.0.0.1:1/v1 --speed 2
    fails 2 serve --url http://127.0.0.1:1/v1 --max-concurrency 2
    fails 2 serve --url http://127.0.0.1:1/v1 --slo ttft
    fails 2 serve --url http://127.0.0.1:1/v1 --goodput-at-least 0.9
    fails 2 serve --url http://127.0.0.1:1/v1 --max-cpu 0
    fails 2 serve --url http://127.0.0.1:1/v1 --shared-prefix 300
    fails 2 serve --url http://127.0.0.1:1/v1 --prefixes 3
    fails 2 serve --url http://127.0.0.1:1/v1 -t 2
    fails 2 serve --url http://127.0.0.1:1/v1 --key-env NO_SUCH_KEY_HERE
    fails 2 serve --url http://127.0.0.1:1/v1 operand
    fails 2 serve --url nonsense://x
}

@test "what cannot work is said before the load, not after it" {
    null --requests 1
    fails 2 serve --url "$URL" --extra '{"temperature":0'
    grep -q -- '--extra: ' "$T/err"
    fails 1 serve --url "$URL" --save "$T/nothing/here"
    grep -q "$T/nothing/here" "$T/err"
    printf '{"timestamp":%d,"input_length":20,"output_length":2}\n' 0 3600000 >"$T/trace.jsonl"
    echo nonsense >>"$T/trace.jsonl"
    fails 1 serve --url "$URL" --trace "$T/trace.jsonl"
    grep -q 'trace.jsonl:3:' "$T/err"
    : >"$T/empty"
    fails 1 serve --url "$URL" --trace "$T/empty"
    grep -q 'empty: no requests' "$T/err"
    kill -0 "$SERVER"           # no request has come
}

@test "a server that is not there is waited for, then reported" {
    fails 1 serve --url http://127.0.0.1:1/v1 --wait 200ms
    grep -q refused "$T/err"
}

free_port() {
    "${1:-python3}" -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

@test "a server that comes up late is found" {
    port=$(free_port) || skip "python3 is not installed"
    (sleep 0.3; exec "$BENCH" null -q --port "$port" --requests 3) >/dev/null 2>&1 3>&- &
    SERVER=$!
    URL=http://127.0.0.1:$port/v1
    serve --requests 2 --warmup 1 --wait 60s >"$T/out"
    [ "$(cell "$T/out" ok value)" = 2 ]
}

@test "a closed loop: every request is counted, with its tokens" {
    null
    serve --concurrency 5 --requests 40 --output-tokens 6 --prompt-tokens 30 --save "$T/s" >"$T/out"
    [ "$(cell "$T/out" ok value)" = 40 ]
    [ "$(cell "$T/out" errors value)" = 0 ]
    [ "$(cell "$T/out" itl n)" = 200 ]
    [ "$(cell "$T/out" input_ratio value)" = 1 ]
    [ "$(cell "$T/out" ttft valid)" = yes ]
    [ "$(cell "$T/out" ttft load)" = "closed 5" ]
    [ "$(jq -s '[.[] | select(.warmup)] | length' "$T/s")" = 5 ]
    [ "$(jq -s '[.[] | select(.ttft_ms)] | length' "$T/s")" = 40 ]
    jq -se '[.[] | select(.type == "request")] |
        length == 45 and all(.output_length == 6 and .input_length == 30 and .end == "ok")' "$T/s"
}

@test "JSON and tabs have the same rows" {
    null
    serve --requests 5 --output-tokens 3 --json >"$T/json"
    serve --requests 5 --output-tokens 3 >"$T/tabs"
    [ "$(jq -r .name "$T/json")" = "$(tail -n +2 "$T/tabs" | cut -f1)" ]
    jq -se 'map(select(.name == "ttft"))[0] | .n == 5 and (.samples | length) == 5 and
        .low == null and .args != null and .host != null' "$T/json"
}

@test "a replay keeps the trace's times, lengths and prefixes" {
    null --cache
    cat >"$T/trace.jsonl" <<'END'
{"timestamp":1000,"input_length":70,"output_length":3,"hash_ids":[7,8,9],"block_tokens":32}
{"timestamp":1250,"input_length":70,"output_length":5,"hash_ids":[7,8,10],"block_tokens":32}
{"timestamp":1250.5,"input_length":20,"output_length":1,"hash_ids":[11],"block_tokens":32}
{"timestamp":2003,"input_length":96,"output_length":2,"hash_ids":[7,8,9],"block_tokens":32}
END
    serve --trace "$T/trace.jsonl" --speed 2.5 --save "$T/s" >"$T/out"
    [ "$(jq -sc '[.[] | select(.type == "request") | .timestamp]' "$T/s")" = "[0,100,100.2,401.2]" ]
    [ "$(jq -sc '[.[] | select(.type == "request") | .output_length]' "$T/s")" = "[3,5,1,2]" ]
    [ "$(jq -sc '[.[] | select(.type == "request") | .input_length]' "$T/s")" = "[70,70,20,96]" ]
    [ "$(jq -sc '[.[] | select(.type == "request") | .cached_tokens]' "$T/s")" = "[0,64,0,64]" ]
    [ "$(jq -sc '[.[] | select(.type == "request") | .hash_ids]' "$T/s")" = \
        "[[0,1,2],[0,1,3],[4],[0,1,2]]" ]
    jq -se '.[0].type == "run" and .[0].block_tokens == 32' "$T/s"
    "${BUILD:-build}/llm-cache" replay --policy lru --size inf "$T/s" >"$T/cache"
    [ "$(cell "$T/cache" lru requests)" = 4 ]
    cell "$T/out" ttft files | grep -q 'trace.jsonl=sha256:'
}

@test "a trace may come through a pipe, and be cut off by --duration" {
    null
    printf '{"timestamp":%d,"input_length":20,"output_length":2}\n' 0 100 200 100000 |
        serve --trace - --duration 300ms >"$T/out"
    [ "$(cell "$T/out" ok value)" = 3 ]
}

@test "a trace gives prompts to another load" {
    null
    printf '{"input_length":%d,"output_length":2}\n' 10 20 30 >"$T/trace.jsonl"
    run --separate-stderr serve --trace "$T/trace.jsonl"
    [ "$status" = 1 ]
    [[ "$stderr" == *"no time: give --rate or --concurrency"* ]]
    serve --trace "$T/trace.jsonl" --rate 100 --save "$T/s" >"$T/out"
    [ "$(jq -sc '[.[] | select(.type == "request") | .input_length]' "$T/s")" = "[10,20,30]" ]
    serve --trace "$T/trace.jsonl" --concurrency 2 --warmup 1 >"$T/out"
    [ "$(cell "$T/out" ok value)" = 2 ]
}

@test "a bad trace is reported with its line" {
    null
    printf '{"timestamp":0,"input_length":20,"output_length":2}\nnonsense\n' >"$T/trace.jsonl"
    run --separate-stderr serve --trace "$T/trace.jsonl"
    [ "$status" = 1 ]
    [[ "$stderr" == *trace.jsonl:2:* ]]
    serve --trace "$T/trace.jsonl" --skip-bad >"$T/out"
    [ "$(cell "$T/out" ok value)" = 1 ]
}

@test "the public traces are sent" {
    local traces=../shared/data/traces
    [ -d "$traces" ] || skip "the traces are not there"
    null --cache
    for f in mooncake-conversation.jsonl AzureLLMInferenceTrace_conv.csv \
        sharegpt-llama-3.1-8b-300-sps10.jsonl agentic24-blk64.jsonl.zst; do
        serve --trace "$traces/$f" --concurrency 4 --warmup 0 --requests 10 >"$T/out"
        [ "$(cell "$T/out" ok value)" = 10 ]
        [ "$(cell "$T/out" input_ratio value)" = 1 ]
    done
}

@test "open loops: the same seed schedules the same times" {
    null
    for arrival in poisson gamma:2 uniform; do
        for run in a b; do
            serve --rate 200 --arrival "$arrival" --requests 20 --output-tokens 2 \
                --save "$T/$run" >/dev/null
        done
        jq -c 'select(.type == "request") | .timestamp' "$T/a" >"$T/a.t"
        jq -c 'select(.type == "request") | .timestamp' "$T/b" >"$T/b.t"
        [ "$(wc -l <"$T/a.t")" = 20 ]
        cmp "$T/a.t" "$T/b.t"
    done
    [ "$(head -3 "$T/a.t" | paste -sd,)" = 0,5,10 ]
    serve --ramp 0:100 --duration 1s --arrival uniform --output-tokens 1 >"$T/out"
    [ "$(cell "$T/out" ok value)" = 50 ]
}

@test "prompts of a file, for either API" {
    null
    cat >"$T/p.jsonl" <<'END'
{"prompt":"one two three"}
{"messages":[{"role":"user","content":"one two three four five"}],"output_length":3}
END
    serve -f "$T/p.jsonl" --output-tokens 2 --warmup 0 --save "$T/s" >"$T/out"
    [ "$(jq -sc '[.[] | select(.type == "request") | .input_length]' "$T/s")" = "[3,5]" ]
    [ "$(jq -sc '[.[] | select(.type == "request") | .output_length]' "$T/s")" = "[2,3]" ]
    run --separate-stderr serve --api completions -f "$T/p.jsonl"
    [ "$status" = 1 ]
    [[ "$stderr" == *p.jsonl:2:* ]]
    serve --api completions --no-force --extra '{"temperature":0}' --requests 3 >"$T/out"
    [ "$(cell "$T/out" ok value)" = 3 ]
}

@test "shared prefixes are found by a cache" {
    null --cache
    serve --requests 20 --warmup 1 --prompt-tokens 64 --shared-prefix 48 --output-tokens 1 >"$T/out"
    [ "$(cell "$T/out" cached value)" = 75 ]
}

@test "faults are counted under their names and are in no percentile" {
    null --tpot 1ms
    while read -r fault name; do
        local status=0
        serve --model "null:$fault" --requests 2 --warmup 0 --output-tokens 8 \
            --first-timeout 500ms --stall-timeout 500ms >"$T/out" 2>"$T/err" || status=$?
        echo "$fault: $status"
        [ "$status" = 4 ]
        [ "$(cell "$T/out" "errors.$name" value)" = 2 ]
        [ "$(cell "$T/out" ttft n)" = 0 ]
        [ "$(cell "$T/out" ttft value)" = - ]
        [ "$(cell "$T/out" ttft valid)" = no ]
        grep -q 'none ended well' "$T/err"
    done <<'END'
reset=3 reset
429 status_429
500 status_5xx
truncate=3 truncated
garbage=3 malformed
error-event=3 error_event
never timeout_first
stall=30s timeout_stall
END
}

@test "what the server said of a failure is shown, once for each kind" {
    null
    run --separate-stderr timeout 60 "$BENCH" serve --url "$URL" --model null:429=7s --requests 5 \
        --warmup 0
    [ "$status" = 4 ]
    [[ "$stderr" == *"5 ended as status_429: HTTP 429, retry after 7: too many requests"* ]]
    [ "$(grep -c status_429 <<<"$stderr")" = 1 ]
}

@test "without descriptors for its connections the client says so, and measures nothing" {
    null
    (ulimit -n 30; fails 1 serve --url "$URL" --concurrency 100 -q)
    grep -q 'no file descriptor is left.*ulimit -n' "$T/err"
}

@test "some faults leave the rest as it is" {
    null --fault 500:0.25 --fault reset=1:0.25
    serve --requests 40 --warmup 0 --output-tokens 4 --slo e2e=1h --goodput-at-least 0.3 >"$T/out"
    ok=$(cell "$T/out" ok value)
    [ "$ok" -ge 16 ]
    [ "$ok" -le 24 ]
    [ "$((ok + $(cell "$T/out" errors value)))" = 40 ]
    [ "$(cell "$T/out" ttft n)" = "$ok" ]
    [ "$(cell "$T/out" good n)" = 40 ]
}

@test "several tokens in a piece, and none in the first" {
    null
    serve --model null:multi=4,empty-first --requests 4 --output-tokens 9 >"$T/out"
    [ "$(cell "$T/out" itl n)" -ge 12 ]
    [ "$(cell "$T/out" tpot tokens_from)" = usage ]
    serve --model null:no-usage --requests 4 --output-tokens 9 >"$T/out"
    [ "$(cell "$T/out" tpot tokens_from)" = chunks ]
}

@test "a stall of the server shows in the times from the schedule, not in those from sending" {
    null --stall 200ms:1s
    serve --rate 50 --arrival uniform --duration 1500ms --max-concurrency 1 --output-tokens 2 \
        --json >"$T/out"
    # 50 requests fall due while it stands still; the cap lets one of them wait at the server.
    jq -se '(map(select(.name == "ttft"))[0].samples | map(select(. > 400)) | length) as $late |
        (map(select(.name == "ttft_sent"))[0].samples | map(select(. > 400)) | length) as $sent |
        $late >= 20 and $sent >= 1 and $sent <= 5' "$T/out"
}

@test "a server that is gone is not asked as fast as this machine can" {
    null --requests 4
    serve --concurrency 2 --duration 1s --warmup 0 >"$T/out" || true
    [ "$(cell "$T/out" ok value)" = 4 ]
    [ "$(cell "$T/out" errors.refused value)" -le 24 ]
}

@test "goodput that is too low is status 3" {
    null --ttft 50ms
    local status=0
    serve --requests 4 --slo ttft=10ms --goodput-at-least 99% >"$T/out" || status=$?
    [ "$status" = 3 ]
    [ "$(cell "$T/out" good value)" = 0 ]
}

@test "a client that lags is refused, and the rows say so" {
    null
    local status=0
    timeout 60 "$BENCH" serve --url "$URL" --requests 20 --max-lag 0.00001ms \
        >"$T/out" 2>"$T/err" || status=$?
    [ "$status" = 4 ]
    [ "$(cell "$T/out" ttft valid)" = no ]
    grep -q 'sent late, p99' "$T/err"
}

@test "a client that is busy is refused" {
    null
    local status=0
    timeout 60 "$BENCH" serve --url "$URL" --requests 20 --max-lag 1h --max-cpu 0.0000001 \
        >"$T/out" 2>"$T/err" || status=$?
    [ "$status" = 4 ]
    [ "$(cell "$T/out" ttft valid)" = no ]
    grep -q 'the client was the bottleneck' "$T/err"
}

@test "money: cached tokens at their own price, per good request" {
    null --cache
    serve --requests 10 --warmup 1 --prompt-tokens 64 --shared-prefix 48 --output-tokens 5 \
        --price 1,10,0.1 --json >"$T/out"
    # 10 requests: 16 fresh tokens at 1e-6, 48 cached at 1e-7, 5 made at 1e-5 dollars each.
    jq -se 'map(select(.name == "cost"))[0].value == 0.000708 and
        map(select(.name == "cost_per_good"))[0].value == 0.0000708' "$T/out"
}

@test "the key is nowhere" {
    null
    OPENAI_API_KEY=sk-very-secret serve --requests 2 --save "$T/s" -v >"$T/out" 2>"$T/err"
    KEY=sk-very-secret serve --key-env KEY --model null:500 --requests 2 \
        >>"$T/out" 2>>"$T/err" || true
    run ! grep -r sk-very-secret "$T"
}

@test "several threads share the load" {
    null
    serve --concurrency 6 -t 3 --requests 60 --output-tokens 3 --save "$T/s" >"$T/out"
    [ "$(cell "$T/out" ok value)" = 60 ]
    [ "$(jq -s '[.[] | .id | select(. != null)] | sort == [range(66)]' "$T/s")" = true ]
}

# A shell makes its background jobs deaf to SIGINT; env undoes that. The server's end says that
# requests were answered; from there on they are refused.
@test "Ctrl-C: what was measured is reported, status 1" {
    null --requests 20
    env --default-signal=INT "$BENCH" serve --url "$URL" "${EASY[@]}" --duration 1h \
        --output-tokens 5 --save "$T/s" >"$T/out" 2>"$T/err" 3>&- &
    local pid=$!
    wait "$SERVER"
    SERVER=
    kill -INT "$pid"
    local status=0
    wait "$pid" || status=$?
    [ "$status" = 1 ]
    grep -q interrupted "$T/err"
    [ "$(cell "$T/out" ok n)" -ge 19 ]
    jq -se '.[-1].type == "request"' "$T/s" >/dev/null
}

# An independent server; LLAMA_PYTHON names a Python that has it.
@test "llama.cpp's server bears a load" {
    local python=${LLAMA_PYTHON:-python3} api port
    "$python" -c 'import llama_cpp.server.app' 2>/dev/null ||
        skip "llama-cpp-python with its server is not installed"
    port=$(free_port "$python")
    "$python" -m llama_cpp.server --model examples/models/tiny-moe-f16.gguf --port "$port" \
        --n_ctx 1024 --n_threads 1 >"$T/server" 2>&1 3>&- &
    SERVER=$!
    URL=http://127.0.0.1:$port/v1
    for api in chat completions; do
        serve --api "$api" --wait 60s --requests 4 --prompt-tokens 60 --output-tokens 8 >"$T/out"
        [ "$(cell "$T/out" ok median)" = 4 ]
        [ "$(cell "$T/out" tpot n)" = 4 ]
    done
}

@test "a full disk is an error" {
    [ -c /dev/full ] || skip "no /dev/full"
    null
    run --separate-stderr serve --requests 2 --save /dev/full
    [ "$status" = 1 ]
    local status=0
    serve --requests 2 >/dev/full 2>"$T/err" || status=$?
    [ "$status" = 1 ]
    grep -q 'No space' "$T/err"
}
