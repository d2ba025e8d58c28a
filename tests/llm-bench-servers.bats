#!/usr/bin/env bats
# llm-bench-servers.bats - llm-bench serve against servers of others, where they are installed
#
#   LLAMA_CPP_PYTHON  a Python with 'llama-cpp-python[server]' (default: python3)
#   LLAMA_SERVER      llama.cpp's llama-server (default: the one on the PATH)
#   nghttpx           a proxy that speaks HTTP/2, before the null server

# shellcheck disable=SC2154 # start_null sets URL
load bench
load null

MODEL=examples/models/tiny-moe-f16.gguf

teardown() {
    [ -z "${peer_pid-}" ] || { kill "$peer_pid"; wait "$peer_pid"; } 2>/dev/null || true
    [ -z "${null_pid-}" ] || stop_null || true
}

# A port that was free a moment ago, for servers that cannot choose one.
free_port() {
    start_null
    stop_null
    port=$(sed 's/.*:\([0-9]*\)\/v1/\1/' "$T/null.out")
}

# start_peer PATH COMMAND...: PORT in the command is a free port; ready when PATH answers.
start_peer() {
    local path=$1 i
    shift
    for _ in 1 2 3; do
        free_port
        URL=${scheme:-http}://127.0.0.1:$port/v1
        "${@//PORT/$port}" >"$T/peer.log" 2>&1 3>&- &
        peer_pid=$!
        for ((i = 0; i < 600; i++)); do
            curl -fsk -m 5 "${URL%/v1}/$path" >"$T/ready" && return
            kill -0 "$peer_pid" 2>/dev/null || break
            sleep 0.1
        done
        kill "$peer_pid" 2>/dev/null || true
    done
    cat "$T/peer.log"
    return 1
}

serve() {
    timeout 300 "$BENCH" serve -q --url "$URL" --max-lag 1h --save "$T/records" --json "$@" \
        >"$T/rows"
}

# all_good N MOST: N requests were answered with 1 to MOST tokens each, in the order of nature.
all_good() {
    is "[.[] | select(.type == \"request\")] | length == $1 and all(.end == \"ok\" and
        .output_length >= 1 and .output_length <= $2 and .ttft_ms > 0 and .e2e_ms >= .ttft_ms)" \
        "$T/records"
    is "map({(.name): .}) | add | .ok.value == $1 and .errors.value == 0 and .e2e.n == $1" \
        "$T/rows"
}

@test "llama-cpp-python's server: completions, chat, a closed and an open loop" {
    python=${LLAMA_CPP_PYTHON:-python3}
    "$python" -c 'import llama_cpp.server.app' 2>/dev/null ||
        skip "no llama-cpp-python[server] in $python (LLAMA_CPP_PYTHON)"
    start_peer v1/models "$python" -m llama_cpp.server --model $MODEL --host 127.0.0.1 \
        --port PORT --interrupt_requests False --n_ctx 512
    serve --api completions --warmup 1 --requests 6 --concurrency 2 --prompt-tokens 32 \
        --output-tokens 8
    is '[.[] | select(.type == "request" and (.warmup | not))] | length == 6' "$T/records"
    serve --api completions --warmup 0 --requests 6 --concurrency 2 --prompt-tokens 32 \
        --output-tokens 8 --extra '{"temperature":0}'
    all_good 6 8
    serve --api chat --warmup 0 --requests 4 --rate 20 --prompt-tokens 32 --output-tokens 8
    all_good 4 8
    # its model knows 512 tokens: a prompt that is longer is refused, and the report says how
    local got=0
    serve --api completions --warmup 0 --requests 2 --prompt-tokens 2000 --output-tokens 8 || got=$?
    [ "$got" = 4 ]
    is 'map({(.name): .value}) | add | .ok == 0 and .errors == 2' "$T/rows"
}

@test "llama.cpp's llama-server: exact usage, forced lengths, shared prefixes" {
    server=${LLAMA_SERVER:-$(command -v llama-server || true)}
    [ -x "$server" ] || skip "no llama-server (LLAMA_SERVER)"
    start_peer health "$server" -m $MODEL --host 127.0.0.1 --port PORT -c 2048 -np 2
    serve --api completions --warmup 0 --requests 6 --concurrency 2 --prompt-tokens 64 \
        --output-tokens 12
    all_good 6 12
    is '[.[] | select(.type == "request")] | all(.output_length == 12 and
        (has("tokens_from") | not))' "$T/records"
    serve --api chat --warmup 0 --requests 4 --rate 20 --prompt-tokens 32 --output-tokens 8
    all_good 4 8
}

# Through TLS: libcurl before 8.0 breaks connections of cleartext HTTP/2 when it uses them again.
@test "HTTP/2 through nghttpx: many streams on few connections" {
    command -v nghttpx >/dev/null || skip "no nghttpx (Debian: nghttp2-proxy)"
    command -v openssl >/dev/null || skip "no openssl, for a certificate"
    curl -V | grep -q HTTP2 || skip "this curl has no HTTP/2"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=localhost -keyout "$T/key.pem" -out "$T/cert.pem" 2>"$T/openssl.log"
    start_null --tpot 2ms
    local backend=${URL#http://} back_pid=$null_pid
    backend=${backend%/v1}
    scheme=https
    start_peer health nghttpx --conf=/dev/null -f '127.0.0.1,PORT' -b "${backend/:/,}" \
        --workers=1 --accesslog-file="$T/access.log" "$T/key.pem" "$T/cert.pem"
    null_pid=$back_pid
    serve --http 2 --insecure --warmup 0 --requests 60 --concurrency 20 --prompt-tokens 16 \
        --output-tokens 10
    all_good 60 10
    is '[.[] | select(.type == "request")] | all(.output_length == 10 and .e2e_ms >= 18)' \
        "$T/records"
    kill "$peer_pid"                    # and its log is complete
    wait "$peer_pid" || true
    peer_pid=
    [ "$(grep -c 'POST /v1/chat/completions HTTP/2' "$T/access.log")" = 60 ]
}
