#!/usr/bin/env bats
# llm-run from the outside: what its command line promises, on the model that the project ships.

# shellcheck disable=SC2016 # words for bash -c are expanded there
bats_require_minimum_version 1.5.0

setup_file() {
    export RUN=${LLM_RUN:-${BUILD:-build}/llm-run}
    export M=examples/models/tiny-moe-f16.gguf
    export P="Once upon a time"
    printf '%s\n' '{"id":"a","prompt":"Once upon a time"}' \
        '{"id":7,"prompt":"Q: 47+85=? T:"}' \
        '{"prompt":"It is a truth universally acknowledged, that"}' \
        '{"id":"b\u00e9","prompt":"Call me Ishmael. Some years ago"}' \
        '{"id":1e3,"prompt":"The","max_tokens":5}' >"$BATS_FILE_TMPDIR/prompts"
}

setup() {
    cd "$BATS_TEST_DIRNAME/.." || exit 1
    T=$BATS_TEST_TMPDIR
    PROMPTS=$BATS_FILE_TMPDIR/prompts
}

# Greedy, quiet: the same for everybody.
greedy() {
    "$RUN" -m "$M" --temp 0 -q "$@"
}

# One line on stderr that begins with the program's name.
one_line() {
    [ "$(wc -l <"$1")" = 1 ] && grep -q '^llm-run: ' "$1"
}

# fails STATUS ARGUMENTS...: ends with STATUS, writes nothing to stdout, says why on stderr.
fails() {
    local want=$1 got=0
    shift
    "$RUN" "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
    [ "$got" = "$want" ] || { echo "status $got: $*"; cat "$T/err"; return 1; }
    [ ! -s "$T/out" ] || { echo "wrote to stdout: $*"; return 1; }
    grep -q '^llm-run: ' "$T/err"
}

# ---- help and bad command lines ---------------------------------------------------------------

@test "--help goes to stdout, --version too" {
    "$RUN" --help >"$T/out" 2>"$T/err"
    [ ! -s "$T/err" ]
    grep -q '^usage: llm-run' "$T/out"
    run -0 "$RUN" --version
    [ "$output" = "llm-run (llmutils) $(cat VERSION)" ]
}

@test "every option of --help is in the manual page, and the other way round" {
    "$RUN" --help | grep -oE -- '--[a-z0-9-]+' | sort -u >"$T/help"
    sed -n '/^\.Sh DESCRIPTION/,/^\.Sh JSON/s/^\.It.*Fl Fl \([a-z0-9-]*\).*/--\1/p' man/llm-run.1 |
        sort -u >"$T/page"
    diff "$T/help" "$T/page"
}

@test "a bad command line is exit 2 and says why" {
    fails 2 --no-such-option
    fails 2 -p x
    grep -q 'no model' "$T/err"
    fails 2 -m "$M" -p x --temp warm
    grep -q -- "--temp: 'warm': expected a number from 0 to 100" "$T/err"
    fails 2 -m "$M" -p x -n 3x
    fails 2 -m "$M" -p x -n -2
    fails 2 -m "$M" -p x --top-p 1.5
    fails 2 -m "$M" -p x -c 0
    fails 2 -m "$M" -p x -t 0
    fails 2 -m "$M" -p x --kv-type q4_0
    grep -q 'f16, f32, q8_0' "$T/err"
    fails 2 -m "$M" -p x --backend gpu
    fails 2 -m "$M" -p x --stop ''
    fails 2 -m "$M" -p x --seed -1
    fails 2 -m "$M" -p x extra
    fails 2 -m
}

@test "kernels that do not exist are exit 2" {
    fails 2 -m "$M" -p x --cpu sse9
    LLM_CPU=sse9 fails 2 -m "$M" -p x
}

@test "options that contradict each other are exit 2" {
    fails 2 -m "$M" -p x -f y
    fails 2 -m "$M" -p x --jsonl
    fails 2 -m "$M" --tokenize --detokenize
    fails 2 -m "$M" --info --perplexity x
    fails 2 -m "$M" -p x --trace - --routes -
    fails 2 -m "$M" -p x --logits - --trace -
    fails 2 -m "$M" -p x -o - --trace -
    fails 2 -m "$M" -p x --logprobs
    fails 2 -m "$M" -p x --parallel 2
    fails 2 -m "$M" -p x --system y
    fails 2 -m "$M" -p x --chunks 2
    fails 2 -m "$M" -p x --tokenize --trace "$T/t"
    fails 2 -m "$M" -p x --logits "$T/l" -n 4
    fails 2 -m "$M" -p x --sha256 00
    fails 2 -m "$M" -p x -p y
    fails 2 -m "$M" --jsonl --echo
}

@test "without a prompt on a terminal the usage is shown" {
    command -v script >/dev/null || skip "script(1) is not here"
    run -2 script -qec "$RUN -m $M" /dev/null
    [[ $output == usage:* ]]
}

@test "nothing at all is exit 2 with the usage" {
    run -2 "$RUN"
    [[ $output == usage:* ]]
}

# ---- text -------------------------------------------------------------------------------------

@test "greedy text, as the reference writes it" {
    "$RUN" -m "$M" -p "$P" -n 24 --temp 0 >"$T/out" 2>"$T/err"
    echo ', she said, "I am a man of a man, and I have a good time. I have a good' >"$T/want"
    diff "$T/want" "$T/out"
    grep -q '^llm-run: prompt 6 tokens at .* tok/s, made 24 tokens at .* tok/s' "$T/err"
}

@test "prompts from -p, -f and stdin are one" {
    greedy -p "$P" -n 12 >"$T/a"
    echo "$P" >"$T/prompt"
    greedy -f "$T/prompt" -n 12 | cmp - "$T/a"
    greedy -n 12 <"$T/prompt" | cmp - "$T/a"
    printf %s "$P" | greedy -f - -n 12 | cmp - "$T/a"
    if command -v zstd >/dev/null; then
        zstd -q "$T/prompt" -o "$T/prompt.zst"
        greedy -f "$T/prompt.zst" -n 12 | cmp - "$T/a"
    fi
}

@test "--echo, -o and --quiet" {
    greedy -p "$P" -n 4 --echo 2>"$T/err" | grep -q "^$P, she said"
    [ ! -s "$T/err" ]
    greedy -p "$P" -n 12 >"$T/a"
    greedy -p "$P" -n 12 -o "$T/b" >"$T/c"
    cmp "$T/a" "$T/b"
    [ ! -s "$T/c" ]
}

@test "-n 0 runs the prompt only" {
    run -0 greedy -p "$P" -n 0
    [ "$output" = "" ]
    greedy -p "$P" -n 0 --json | jq -e '.output_length == 0 and .stop == "length" and .text == ""'
}

@test "threads, batch and KV blocks never change a byte" {
    long=$(head -c 1500 README.md)
    greedy -p "$long" -n 24 -t 1 >"$T/a"
    greedy -p "$long" -n 24 -t 2 | cmp - "$T/a"
    greedy -p "$long" -n 24 -t 3 -b 7 | cmp - "$T/a"
    greedy -p "$long" -n 24 -b 1 | cmp - "$T/a"
    greedy -p "$long" -n 24 --no-pack | cmp - "$T/a"
}

@test "the same seed gives the same text, another one another" {
    "$RUN" -m "$M" -q -p "$P" -n 32 --seed 5 >"$T/a"
    "$RUN" -m "$M" -q -p "$P" -n 32 --seed 5 -t 1 | cmp - "$T/a"
    "$RUN" -m "$M" -q -p "$P" -n 32 --seed 6 >"$T/b"
    run ! cmp -s "$T/a" "$T/b"
}

@test "stop strings end the text before them, across tokens too" {
    full=$(greedy -p "$P" -n 40)
    for stop in 'good ti' ' man' 'e said, "I' 'I am a man of a man, and'; do
        got=$(greedy -p "$P" -n 40 --stop "$stop")
        [ "$got" = "${full%%"$stop"*}" ] || { echo "$stop: $got"; return 1; }
    done
    got=$(greedy -p "$P" -n 40 --stop 'business' --stop 'have a' --stop 'and I')
    [ "$got" = "${full%%and I*}" ]
    greedy -p "$P" -n 40 --stop 'good ti' --json | jq -e '.stop == "stop"'
    # A beginning of a stop string that does not go on is shown.
    [ "$(greedy -p "$P" -n 12 --stop 'said, "I was')" = "$(greedy -p "$P" -n 12)" ]
}

@test "the end of text ends it, and --ignore-eos does not let it" {
    printf '%s\n' '{"prompt":[0,47,1858],"max_tokens":200}' >"$T/in"
    greedy --jsonl <"$T/in" | jq -e '.output_length <= 200'
    for seed in 1 2 3 4 5 6; do
        "$RUN" -m "$M" -q -p "$P" -n 60 --temp 3 --top-k 0 --top-p 1 --min-p 0 --seed $seed \
            --ignore-eos --json | jq -e '.output_length == 60 and .stop == "length"'
    done
}

@test "the context is a limit that is reported" {
    greedy -p "$P" -c 16 --json | jq -e '.stop == "context" and .input_length == 6
                                         and .output_length == 11'
    fails 1 -m "$M" -c 4 -p "$P"
    one_line "$T/err"
    grep -q 'the prompt has 6 tokens, the context holds 4' "$T/err"
    fails 1 -m "$M" -c 4 -p "$P" --logits "$T/l.npy"
    one_line "$T/err"
    [ ! -e "$T/l.npy" ]
}

@test "--json carries lengths, stop and probabilities" {
    greedy -p "$P" -n 5 --json --logprobs=3 >"$T/out"
    jq -e '.input_length == 6 and .output_length == 5 and .cached_tokens == 0
           and (.logprobs | length) == 5 and (.logprobs | all(.top | length == 3))
           and (.logprobs | all(.logprob <= 0 and .token == .top[0].token
                                and .logprob == .top[0].logprob
                                and .top[0].logprob >= .top[1].logprob))
           and (.logprobs | map(.text) | join("")) == .text' "$T/out"
}

# ---- JSON Lines -------------------------------------------------------------------------------

@test "--jsonl answers every line in order and keeps ids" {
    greedy --jsonl -n 16 <"$PROMPTS" >"$T/out"
    [ "$(wc -l <"$T/out")" = 5 ]
    [ "$(grep -oE '^\{"id":[^,]*' "$T/out" | tr '\n' ' ')" = \
        '{"id":"a" {"id":7 {"id":3 {"id":"b\u00e9" {"id":1e3 ' ]
    jq -es 'map(.output_length) == [16, 16, 16, 16, 5]' "$T/out"
    jq -es 'all(has("text") and has("input_length") and has("stop") and has("timestamp"))' "$T/out"
    [ "$(jq -r 'select(.id == "a").text' "$T/out")" = "$(greedy -p "$P" -n 16)" ]
}

@test "--parallel and -b do not change results" {
    strip() { jq -c 'del(.timestamp, .time, .ttft_ms, .decode_tps, .total_ms)'; }
    "$RUN" -m "$M" -q --jsonl -n 24 --seed 3 <"$PROMPTS" | strip >"$T/a"
    for n in 2 3 8; do
        "$RUN" -m "$M" -q --jsonl -n 24 --seed 3 --parallel $n <"$PROMPTS" | strip | diff - "$T/a"
    done
    "$RUN" -m "$M" -q --jsonl -n 24 --seed 3 --parallel 4 -b 5 -f "$PROMPTS" | strip | diff - "$T/a"
    # prompt i alone, with seed + i
    prompt=$(sed -n 2p "$PROMPTS" | jq -r .prompt)
    [ "$("$RUN" -m "$M" -q -p "$prompt" -n 24 --seed 4)" = "$(sed -n 2p "$T/a" | jq -r .text)" ]
}

@test "bad lines of --jsonl become errors, the others go on, the status is 1" {
    printf '%s\n' '{"id":1,"prompt":"The"}' 'nonsense' '' '{"id":"x"}' '[1]' \
        '{"id":4,"prompt":"a","max_tokens":"b"}' '{"prompt":"a"} tail' '{"prompt":[99999]}' \
        '{"id":9,"prompt":"The"}' >"$T/in"
    status=0
    greedy --jsonl -n 4 --parallel 2 <"$T/in" >"$T/out" 2>"$T/err" || status=$?
    [ "$status" = 1 ]
    jq -es 'length == 8 and map(has("error"))
            == [false, true, true, true, true, true, true, false]' "$T/out"
    jq -es '.[0].text == .[7].text and .[1].id == 2 and .[2].id == "x" and .[4].id == 4
            and (.[1].error | startswith("line 2:"))' "$T/out"
}

@test "a prompt that is too long is an error of its line" {
    printf '%s\n' '{"id":1,"prompt":"The"}' \
        '{"id":2,"prompt":"one two three four five six seven eight nine ten"}' >"$T/in"
    status=0
    greedy --jsonl -c 8 -n 2 <"$T/in" >"$T/out" || status=$?
    [ "$status" = 1 ]
    jq -es '.[0].output_length == 2 and (.[1].error | test("the context holds 8"))' "$T/out"
}

@test "--jsonl answers before the next line comes" {
    mkfifo "$T/fifo"
    greedy --jsonl -n 4 --parallel 3 <"$T/fifo" >"$T/out" &
    pid=$!
    exec 7>"$T/fifo"
    for i in 1 2; do
        echo '{"prompt":"The"}' >&7
        for _ in $(seq 100); do
            [ "$(wc -l <"$T/out")" -ge $i ] && break
            sleep 0.1
        done
        [ "$(wc -l <"$T/out")" = $i ]
    done
    exec 7>&-
    wait $pid
}

@test "settings of a line hold for that line" {
    printf '%s\n' '{"prompt":"Once upon a time","stop":["man"],"max_tokens":30}' \
        '{"prompt":"Once upon a time","temperature":2,"seed":1,"max_tokens":12}' \
        '{"prompt":"Once upon a time"}' >"$T/in"
    greedy --jsonl -n 8 <"$T/in" >"$T/out"
    jq -es '.[0].stop == "stop" and .[0].text == ", she said, \"I am a "
            and .[1].output_length == 12 and .[2].output_length == 8' "$T/out"
    [ "$(sed -n 2p "$T/out" | jq -r .text)" = \
        "$("$RUN" -m "$M" -q -p "$P" -n 12 --temp 2 --seed 1)" ]
}

# ---- traces -----------------------------------------------------------------------------------

@test "--trace - | jq counts the passes" {
    run -0 bash -c '"$RUN" -m "$M" -p "$P" -n 100 --temp 0 --ignore-eos --trace - 2>/dev/null |
        jq -s "map(select(.type==\"step\")) | length"'
    [ "$output" = 100 ]
}

@test "a trace begins with the run and counts tokens" {
    greedy -p "$P" -n 20 --ignore-eos --trace "$T/t.jsonl" -b 4 >/dev/null
    jq -es '.[0].type == "run" and (map(.type) | index("request")) == length - 1' "$T/t.jsonl"
    jq -es 'map(select(.type == "step")) | map(.tokens) | .[:2] == [4, 2] and add == 25' \
        "$T/t.jsonl"
    jq -es 'map(select(.type == "step")) | map(.position) | .[2:5] == [6, 7, 8]' "$T/t.jsonl"
    jq -es 'map(select(.type == "step" and .phase == "decode")) | length == 19' "$T/t.jsonl"
    jq -es 'map(select(.type == "step")) | all(.ns > 0 and .experts_touched > 0)' "$T/t.jsonl"
    jq -e 'select(.type == "request") | .input_length == 6 and .output_length == 20' "$T/t.jsonl"
}

@test "a trace has joules where a counter counts" {
    mkdir -p "$T/rapl/intel-rapl:0"
    echo package-0 >"$T/rapl/intel-rapl:0/name"
    echo 1000 >"$T/rapl/intel-rapl:0/energy_uj"
    echo 1000000000 >"$T/rapl/intel-rapl:0/max_energy_range_uj"
    export LLM_NVML=none
    LLM_POWERCAP=$T/rapl greedy -p "$P" -n 900 --ignore-eos --trace "$T/t" >/dev/null
    jq -es 'map(select(has("joules"))) | length > 0 and all(.type == "step" and .joules == 0)' \
        "$T/t"
    LLM_POWERCAP=$T/none greedy -p "$P" -n 4 --trace "$T/t" >/dev/null
    jq -es 'all(has("joules") | not)' "$T/t"
}

@test "a batch is traced with the rows of every request" {
    "$RUN" -m "$M" -q --jsonl -n 8 --temp 0 --ignore-eos --parallel 4 --trace "$T/t" \
        <"$PROMPTS" >"$T/out"
    jq -es '[.[] | select(.requests)] | length > 0
            and all(.tokens == (.rows | map(.tokens) | add))' "$T/t"
    total=$(jq -s 'map(.input_length + .output_length - 1) | add' "$T/out")
    jq -es --argjson n "$total" '[.[] | select(.type == "step") | .tokens] | add == $n' "$T/t"
    jq -es '[.[] | select(.type == "request") | .request] | sort == [0, 1, 2, 3, 4]' "$T/t"
}

@test "a trace whose name ends in .zst is compressed; routes go along" {
    command -v zstd >/dev/null || skip "zstd is not here"
    "$RUN" -m "$M" -p "$P" -n 16 --temp 0 --trace "$T/r.jsonl.zst" --routes "$T/r.npy" \
        >"$T/out" 2>"$T/err"
    greedy -p "$P" -n 16 | cmp - "$T/out"
    zstd -dqc "$T/r.jsonl.zst" | jq -es 'map(select(.type == "step")) | length == 16'
    [ "$(head -c 6 "$T/r.npy" | tail -c 5)" = NUMPY ]
}

@test "routes hold every row of every layer" {
    python3 -c 'import numpy' 2>/dev/null || skip "numpy is not here"
    greedy -p "$P" -n 8 --ignore-eos --routes "$T/r.npy" -b 4 >/dev/null
    python3 - "$T/r.npy" <<'PY'
import sys, numpy
rows = []
with open(sys.argv[1], "rb") as f:
    head = numpy.load(f)
    while f.peek(1) if hasattr(f, "peek") else True:
        try:
            rows.append(numpy.load(f))
        except (EOFError, ValueError):
            break
rows = numpy.concatenate(rows)
assert head.shape == (1,) and head["layers"][0] == 6 and head["experts"][0] == 16
assert list(rows["position"]) == list(range(13)), rows["position"]
assert list(rows["token"][:3]) == [0, 47, 1858]
assert rows["expert"].shape == (13, 6, 2) and (rows["expert"] >= 0).all()
assert (rows["expert"] < 16).all() and (rows["expert"][:, :, 0] != rows["expert"][:, :, 1]).all()
assert abs(rows["weight"].sum(axis=2) - 1).max() < 1e-5
PY
}

# ---- tokens -----------------------------------------------------------------------------------

@test "--tokenize gives ids on one line, without BOS" {
    run -0 bash -c 'printf %s "Once upon a time" | "$RUN" -m "$M" --tokenize'
    [ "$output" = "47 1858 692 259 624" ]
    run -0 bash -c 'printf "<|endoftext|>" | "$RUN" -m "$M" --tokenize --special'
    [ "$output" = 0 ]
    run -0 bash -c 'printf "<|endoftext|>" | "$RUN" -m "$M" --tokenize'
    [ "$output" != 0 ]
    run -0 "$RUN" -m "$M" --tokenize -p "$P" --json
    [ "$output" = "[47,1858,692,259,624]" ]
}

@test "--detokenize gives the text back, byte for byte" {
    { cat README.md; printf 'no last newline \xe2\x82\xac \xf0\x9f\x98\x80\n\n  x'; } >"$T/text"
    "$RUN" -m "$M" --tokenize <"$T/text" >"$T/ids"
    [ "$(wc -l <"$T/ids")" = 1 ]
    "$RUN" -m "$M" --detokenize <"$T/ids" | cmp - "$T/text"
    printf '[47, 1858,692\n259 624]' | "$RUN" -m "$M" --detokenize >"$T/out"
    [ "$(cat "$T/out")" = "$P" ]
}

@test "--detokenize names the id that is none" {
    echo '47 12x' >"$T/ids"
    fails 1 -m "$M" --detokenize -f "$T/ids"
    one_line "$T/err"
    grep -q "number 2: expected a token id from 0 to 4095, found '12x'" "$T/err"
    fails 1 -m "$M" --detokenize -p 4096
    fails 1 -m "$M" --detokenize -p -1
}

@test "an empty text has no tokens" {
    "$RUN" -m "$M" --tokenize </dev/null >"$T/out"
    [ "$(od -An -tx1 "$T/out" | tr -d ' ')" = 0a ]
    "$RUN" -m "$M" --detokenize </dev/null >"$T/out"
    [ ! -s "$T/out" ]
}

# ---- perplexity, arrays, info -----------------------------------------------------------------

@test "--perplexity: columns, chunks and sizes" {
    "$RUN" -m "$M" -q --perplexity README.md -c 64 --chunks 3 >"$T/out"
    [ "$(head -n 1 "$T/out")" = "$(printf 'tokens\tchunks\tppl\tppl_stderr')" ]
    [ "$(wc -l <"$T/out")" = 2 ]
    [ "$(cut -f 1,2 "$T/out" | tail -n 1)" = "$(printf '93\t3')" ]
    "$RUN" -m "$M" -q --perplexity README.md -c 64 --chunks 3 --json |
        jq -e '.tokens == 93 and .chunks == 3 and .ppl > 1 and .ppl_stderr > 0'
    # the same whatever shares a pass
    "$RUN" -m "$M" -q --perplexity README.md -c 64 --chunks 3 -b 10 | cmp - "$T/out"
    "$RUN" -m "$M" -q --perplexity README.md -c 64 --chunks 3 -b 64 -t 1 | cmp - "$T/out"
    fails 1 -m "$M" --perplexity VERSION
    one_line "$T/err"
}

@test "perplexity is what the logits say" {
    python3 -c 'import numpy' 2>/dev/null || skip "numpy is not here"
    head -c 600 README.md >"$T/text"
    "$RUN" -m "$M" -q --perplexity "$T/text" -c 32 --chunks 1 --json >"$T/ppl"
    "$RUN" -m "$M" -q -f "$T/text" -n 0 --logits "$T/l.npy"
    "$RUN" -m "$M" --tokenize -f "$T/text" >"$T/ids"
    python3 - "$T" <<'PY'
import json, math, sys, numpy
t = sys.argv[1]
ids = [0] + [int(x) for x in open(t + "/ids").read().split()]
l = numpy.load(t + "/l.npy").astype("f8")
l -= l.max(axis=1, keepdims=True)
lp = l - numpy.log(numpy.exp(l).sum(axis=1, keepdims=True))
nll = [-lp[i, ids[i + 1]] for i in range(16, 31)]
want = math.exp(sum(nll) / len(nll))
got = json.load(open(t + "/ppl"))
assert got["tokens"] == 15, got
assert abs(got["ppl"] / want - 1) < 1e-5, (got, want)
err = want * math.sqrt((sum(x * x for x in nll) / 15 - (sum(nll) / 15) ** 2) / 14)
assert abs(got["ppl_stderr"] / err - 1) < 1e-4, (got, err)
PY
}

@test "--logits has a row a token, and its last row chooses the text" {
    python3 -c 'import numpy' 2>/dev/null || skip "numpy is not here"
    "$RUN" -m "$M" -q -p "$P" -n 0 --logits "$T/a.npy" --kv-type f32
    "$RUN" -m "$M" -q -p "$P" -n 0 --logits - --kv-type f32 -b 4 | cmp - "$T/a.npy"
    token=$(greedy -p "$P" -n 1 --json --logprobs --kv-type f32 | jq '.logprobs[0].token')
    python3 -c 'import numpy, sys
l = numpy.load(sys.argv[1]); assert l.shape == (6, 4096) and l.dtype == "f4", l
assert l[-1].argmax() == int(sys.argv[2])' "$T/a.npy" "$token"
}

@test "--embed pools" {
    python3 -c 'import numpy' 2>/dev/null || skip "numpy is not here"
    "$RUN" -m "$M" -q -p "$P" --embed >"$T/mean.npy"
    "$RUN" -m "$M" -q -p "$P" --embed="$T/last.npy" --pool last -b 4
    "$RUN" -m "$M" -q -p "$P" --embed -o "$T/none.npy" --pool none
    "$RUN" -m "$M" -q --jsonl --embed <"$PROMPTS" >"$T/many.npy"
    "$RUN" -m "$M" -q --jsonl --embed --parallel 3 <"$PROMPTS" | cmp - "$T/many.npy"
    python3 - "$T" <<'PY'
import sys, numpy
t = sys.argv[1]
mean, last, none, many = (numpy.load(f"{t}/{n}.npy") for n in ("mean", "last", "none", "many"))
assert mean.shape == last.shape == (1, 256) and none.shape == (6, 256) and many.shape == (5, 256)
assert numpy.allclose(mean[0], none.mean(axis=0), atol=1e-6)
assert (last[0] == none[-1]).all() and (many[0] == mean[0]).all()
PY
}

@test "--info as JSON and as a table" {
    "$RUN" -m "$M" --info --json | jq -e '.architecture == "qwen3moe" and .parameters > 20e6
        and .active_parameters < 5e6 and .kv_bytes_per_token == 6 * 2 * 2 * 64 * 2
        and .context == 1024 and .experts == 16 and .top_k == 2
        and .bits_per_weight > 15.9 and .bits_per_weight < 16.2'
    "$RUN" -m "$M" --info >"$T/out"
    [ "$(wc -l <"$T/out")" = 2 ]
    [ "$(awk -F '\t' '{print NF}' "$T/out" | uniq | wc -l)" = 1 ]
}

# ---- conversations ----------------------------------------------------------------------------

@test "a model without a chat template says so" {
    fails 1 -m "$M" --chat -p hello
    one_line "$T/err"
    fails 2 -m "$M" --chat --chat-template nonsense -p hello
    grep -q chatml "$T/err"
}

@test "--chat keeps the conversation in the cache" {
    printf 'hello\nwho are you?\n' |
        greedy --chat --chat-template chatml --json -n 8 --trace "$T/t" >"$T/out"
    jq -es 'length == 2 and .[0].cached_tokens == 0
            and .[1].cached_tokens == .[0].input_length + .[0].output_length - 1
            and .[1].input_length > .[1].cached_tokens' "$T/out"
    # Not one token was run twice.
    jq -es '(map(select(.type == "step") | .tokens) | add)
            == (map(select(.type == "request"))[1] | .input_length + .output_length - 1)' "$T/t"
}

@test "a turn of --chat answers as if all had been said at once" {
    printf 'hello\nwho are you?\n' |
        greedy --chat --chat-template chatml --json --logprobs -n 8 >"$T/out"
    ids() { "$RUN" -m "$M" --tokenize --special --json; }
    first=$(printf '<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n' | ids)
    second=$(printf '%s\n' '<|im_end|>' '<|im_start|>user' 'who are you?<|im_end|>' \
        '<|im_start|>assistant' | ids)
    jq -sc --argjson a "$first" --argjson b "$second" \
        '{prompt: ([0] + $a + (.[0].logprobs | map(.token)) + $b)}' "$T/out" >"$T/in"
    [ "$(greedy --jsonl -n 8 <"$T/in" | jq .text)" = "$(sed -n 2p "$T/out" | jq .text)" ]
}

# A shell makes its background jobs deaf to SIGINT; env undoes that.
@test "Ctrl-C ends a reply of --chat, not the program" {
    echo hello >"$T/in"
    env --default-signal=INT "$RUN" -m "$M" -q --ignore-eos --chat --chat-template chatml \
        -c 200000 --trace "$T/t" <"$T/in" >"$T/out" 3>&- &
    pid=$!
    for _ in $(seq 200); do [ -s "$T/out" ] && break; sleep 0.1; done
    kill -INT $pid
    wait $pid
    jq -e 'select(.type == "request") | .stop == "interrupted" and .output_length > 0' "$T/t"
}

@test "--chat forgets on /clear, ends on /exit" {
    printf 'hello\n/clear\nhello\n/exit\nmore\n' |
        greedy --chat --chat-template chatml --json -n 8 >"$T/out"
    jq -es 'length == 2 and .[0].text == .[1].text and .[1].cached_tokens == 0' "$T/out"
}

@test "a conversation that fills the context ends with status 1 in a pipe" {
    status=0
    printf 'hello\nagain\nagain\nagain\n' |
        greedy --chat --chat-template chatml -n 20 -c 64 >"$T/out" 2>"$T/err" || status=$?
    [ "$status" = 1 ]
    grep -q 'the context holds 64' "$T/err"
}

# ---- bad days ---------------------------------------------------------------------------------

@test "a bad model file is one line and exit 1" {
    fails 1 -m "$T/none.gguf" -p x
    one_line "$T/err"
    echo nonsense >"$T/bad.gguf"
    fails 1 -m "$T/bad.gguf" -p x
    one_line "$T/err"
    head -c 1000000 "$M" >"$T/short.gguf"
    fails 1 -m "$T/short.gguf" -p x
    one_line "$T/err"
    fails 1 -m "$T" -p x
    one_line "$T/err"
    for job in --tokenize --info; do
        fails 1 -m "$T/short.gguf" $job
        one_line "$T/err"
    done
}

@test "files that cannot be read or written are one line and exit 1" {
    fails 1 -m "$M" -f "$T/none"
    one_line "$T/err"
    fails 1 -m "$M" --jsonl -f "$T/none"
    one_line "$T/err"
    fails 1 -m "$M" -p x -n 2 --trace "$T/no/folder"
    one_line "$T/err"
    fails 1 -m "$M" -p x -n 2 -o "$T/no/folder"
    one_line "$T/err"
    fails 1 -m "$M" --perplexity "$T/none"
    one_line "$T/err"
}

@test "an empty prompt for a model without BOS" {
    printf '%s\n' '{"prompt":[]}' >"$T/in"
    status=0
    greedy --jsonl <"$T/in" >"$T/out" || status=$?
    [ "$status" = 1 ]
    jq -e '.error == "the prompt is empty"' "$T/out"
}

@test "a full disk is an error" {
    [ -e /dev/full ] || skip "/dev/full is not here"
    for args in "-p x -n 3" "-p x -n 3 --json" "--tokenize -p x" "--info" "--embed -p x" \
        "--perplexity README.md -c 32 --chunks 1" "-p x -n 3 --trace -" "--help" \
        "-p x -n 0 --logits -"; do
        status=0
        # shellcheck disable=SC2086
        "$RUN" -m "$M" -q $args >/dev/full 2>"$T/err" </dev/null || status=$?
        [ "$status" = 1 ] || { echo "$args: status $status"; return 1; }
        one_line "$T/err" || { echo "$args:"; cat "$T/err"; return 1; }
        grep -q 'No space left' "$T/err" || { echo "$args:"; cat "$T/err"; return 1; }
    done
    fails 1 -m "$M" -q -p x -n 2 -o /dev/full
    fails 1 -m "$M" -q -p x -n 2 --trace /dev/full -o /dev/null
}

@test "a reader that goes away ends it silently" {
    for args in "-p x -n 900" "-p x -n 900 --trace -" "--jsonl -f $PROMPTS -n 200"; do
        # shellcheck disable=SC2086
        { "$RUN" -m "$M" -q $args 2>"$T/err" || echo $? >"$T/status"; } | head -c 20 >/dev/null
        [ ! -s "$T/err" ]
        [ "$(cat "$T/status")" = 141 ]
    done
}

@test "Ctrl-C leaves no half file and ends with 130" {
    mkdir "$T/d"
    env --default-signal=INT "$RUN" -m "$M" -p x -n 100000 -c 100000 --ignore-eos -q \
        --trace "$T/d/t.jsonl" --routes "$T/d/r.npy" -o "$T/d/out" 3>&- &
    pid=$!
    for _ in $(seq 200); do
        files=("$T"/d/*.tmp)
        [ ${#files[@]} = 3 ] && break
        sleep 0.1
    done
    [ ${#files[@]} = 3 ]
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ "$status" = 130 ]
    [ -z "$(ls "$T/d")" ]
}

@test "an address that cannot be reached is one line and exit 1" {
    LLMUTILS_CACHE=$T/cache fails 1 -m http://127.0.0.1:9/model.gguf -p x
    one_line "$T/err"
}

@test "a model is fetched from a server, and taken from the cache the next time" {
    command -v python3 >/dev/null || skip "python3 is not here"
    mkdir "$T/www"
    cp "$M" "$T/www/m.gguf"
    python3 - "$T/www" "$T/port" 3>&- <<'PY' &
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
handler.log_message = lambda *a: None
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
open(sys.argv[2], "w").write(str(s.server_address[1]))
s.serve_forever()
PY
    server=$!
    for _ in $(seq 50); do [ -s "$T/port" ] && break; sleep 0.1; done
    url=http://127.0.0.1:$(cat "$T/port")/m.gguf
    export LLMUTILS_CACHE=$T/cache
    sum=$(sha256sum "$M" | cut -d ' ' -f 1)
    status=0
    "$RUN" -m "$url" -q --temp 0 -p "$P" -n 4 --sha256 "$sum" >"$T/a" 2>"$T/err" || status=$?
    kill $server
    [ "$status" = 0 ] || { cat "$T/err"; return 1; }
    "$RUN" -m "$url" -q --temp 0 -p "$P" -n 4 | cmp - "$T/a"    # the server is gone
    fails 1 -m "$url" -p x --sha256 "${sum//[0-9]/0}"
}
