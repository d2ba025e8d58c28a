#!/usr/bin/env bats
# llm-bench-model.bats - llm-bench model from the outside
#
# Speeds are not judged: machines are slow and busy. What a token takes is exact.

load bench

M=examples/models/tiny-moe-f16.gguf
# Few tokens, and no seconds for limits.
FEW=(-p 8 -n 4 -r 2 --device none --no-hash -q)

model() { "$BENCH" model "$@"; }

# A random model of an architecture and type.
make_model() {
    local make=${BUILD:-build}/tests/make_models
    [ -x "$make" ] || skip "make_models is not built"
    "$make" "$1" "$2" "$T/$1-$2.gguf"
}

# token_bytes FILE: bytes of weights that one decoded token reads, from the file's header alone:
# every tensor, of experts the chosen share, of an embedding that is not the head too nothing.
# The factors of the rotation are no weights.
token_bytes() {
    command -v python3 >/dev/null || skip "python3 is not here"
    python3 - "$1" <<'PY'
import re, struct, sys
data = open(sys.argv[1], "rb").read()
at = 0

def take(form):
    global at
    value = struct.unpack_from("<" + form, data, at)[0]
    at += struct.calcsize("<" + form)
    return value

def text():
    global at
    n = take("Q")
    at += n
    return data[at - n:at].decode("utf-8", "replace")

def value(kind):
    if kind == 8:
        return text()
    if kind == 9:
        inner, n = take("I"), take("Q")
        return [value(inner) for _ in range(n)]
    return take("BbHhIif?.. QqdX"[kind] if kind < 8 else {10: "Q", 11: "q", 12: "d"}[kind])

# elements and bytes of a block, by ggml's number of the type
block = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
         10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
         20: (32, 18), 23: (256, 136), 30: (1, 2), 39: (32, 17)}
assert take("I") == 0x46554747
take("I")
tensors, keys = take("Q"), take("Q")
meta = {}
for _ in range(keys):
    key = text()
    meta[key] = value(take("I"))
arch = meta["general.architecture"]
experts = meta.get(arch + ".expert_count", 0)
used = meta.get(arch + ".expert_used_count", 0)
size = {}
for _ in range(tensors):
    name = text()
    elements = 1
    for _ in range(take("I")):
        elements *= take("Q")
    per, bytes_ = block[take("I")]
    take("Q")
    size[name] = elements // per * bytes_
dense = sum(n for name, n in size.items() if not re.search(r"_exps\.|ffn_\w+\.\d+\.", name))
routed = sum(size.values()) - dense
dense -= size.get("rope_freqs.weight", 0)
if "output.weight" in size:
    dense -= size["token_embd.weight"]
print(dense + (routed * used // experts if experts else 0))
PY
}

@test "model: a row for each test, prefill before decode, with all that they rest on" {
    model -m $M -p 8,16 -n 4 -r 6 --device none --json -q >"$T/out"
    [ "$(jq -r .name "$T/out" | paste -sd ' ')" = "prefill8 prefill16 decode4" ]
    jq -e '.unit == "tok/s" and .better == "higher" and .n == 6 and (.samples | length) == 6
        and .low <= .value and .value <= .high and .value > 0 and .quant == "F16"
        and .params == 21131264 and .params_active == 4616192 and .load_s > 0
        and .peak_bytes > 40e6 and .read_share == null and .bound == null' "$T/out" >/dev/null
    sum=$(sha256sum $M | cut -d ' ' -f 1)
    jq -e --arg f "$M=sha256:$sum" '.files == $f' "$T/out" >/dev/null
    jq -e '.args | startswith("llm-bench model -m examples/")' "$T/out" >/dev/null
}

@test "model: lists of depths, batches, threads and sequences make the tests, each once" {
    model -m $M -p 8,8 -n 2 --pg 4,2 -d 0,5 --parallel 1,3 -b 4,16 -t 1,2 -r 1 --device none \
        --no-hash -q >"$T/out"
    cut -f 1 "$T/out" | sed 1d >"$T/names"
    for t in 1 2; do
        for b in 4 16; do
            for d in "" @5; do
                echo "prefill8$d n_threads=$t n_ubatch=$b"
                [ $b = 16 ] || printf '%s\n' "decode2$d n_threads=$t" "decode2${d}x3 n_threads=$t"
                echo "prefill4+decode2$d n_threads=$t n_ubatch=$b"
            done
        done
    done >"$T/want"
    diff "$T/want" "$T/names"
}

@test "model: decode reads the bytes of the model file, exactly" {
    for of in llama:F16 llama:Q4_K qwen2:Q8_0 qwen3:BF16 gemma3:Q6_K mixtral:F16 mixtral-split:F32 \
        qwen2moe:Q8_0 qwen3moe:MXFP4 olmoe:Q5_K; do
        make_model "${of%:*}" "${of#*:}"
        f=$T/${of%:*}-${of#*:}.gguf
        model -m "$f" "${FEW[@]}" --json >"$T/out"
        got=$(jq 'select(.name == "decode4").weight_bytes_per_token' "$T/out")
        [ "$got" = "$(token_bytes "$f")" ] || { echo "$of: $got, not $(token_bytes "$f")"; false; }
    done
    # A full cache changes nothing: the weights are the same.
    model -m $M "${FEW[@]}" -d 0,7 --json >"$T/out"
    got=$(jq 'select(.name | test("decode")).weight_bytes_per_token' "$T/out" | paste -sd ' ')
    [ "$got" = "$(token_bytes $M) $(token_bytes $M)" ]
}

@test "model: operations and KV bytes of a token, from the widths of the embedded model" {
    # 6 layers, width 256, 4 heads and 2 KV heads of 64, 2 of 16 experts of 256, 4096 tokens; tied.
    # A row at position p sees p + 1; 4 rows behind d tokens see d + 2.5 each. F16 keys and values.
    layer=$((2 * 256 * (256 + 128 + 128 + 256) + 2 * 256 * 16 + 2 * 3 * 2 * 256 * 256))
    model -m $M "${FEW[@]}" -d 0,100 --json | jq -c 'select(.name | test("decode"))' >"$T/out"
    want=$(for d in 0 100; do
        echo $((6 * layer + 6 * 4 * 64 * 4 * (2 * d + 5) / 2 + 2 * 4096 * 256)) \
            $((6 * 2 * 128 * 2 * (2 * d + 5) / 2)) $((6 * 2 * 128 * 2)) \
            $((6 * 2 * 128 * 2 * (d + 4)))
    done)
    diff <(echo "$want") <(jq -r '"\(.flops_per_token) \(.kv_read_bytes_per_token)"
        + " \(.kv_write_bytes_per_token) \(.kv_bytes)"' "$T/out")
    # Eight sequences share the pass: each reads its own KV, the dense weights are read once.
    model -m $M -p 0 -n 4 -r 1 --parallel 1,8 --device none --no-hash -q --json >"$T/out"
    jq -s -e '.[1].dense_bytes_per_token * 8 == .[0].dense_bytes_per_token
        and .[1].expert_bytes_per_token <= .[0].expert_bytes_per_token
        and .[1].kv_read_bytes_per_token == .[0].kv_read_bytes_per_token
        and .[1].flops_per_token == .[0].flops_per_token
        and ((.[1].sequence_tps * 8 / .[1].value - 1) | fabs) < 1e-6' "$T/out" >/dev/null
}

@test "model: the first passes of a prompt leave early, its batch shares the weights" {
    # Every row but the last skips the last layer behind its keys and values, and the head.
    model -m $M -p 16 -n 0 -r 1 -b 4,16 --device none --no-hash -q --json >"$T/out"
    jq -s -e '.[0].dense_bytes_per_token > .[1].dense_bytes_per_token
        and .[0].flops_per_token == .[1].flops_per_token' "$T/out" >/dev/null
}

@test "model: q8_0 and f32 keys and values" {
    for of in f32:32 f16:16 q8_0:8.5; do
        model -m $M "${FEW[@]}" --kv-type ${of%:*} --json |
            jq -e --arg t ${of%:*} '.kv_type == $t
                and .kv_write_bytes_per_token == 6 * 2 * 128 * '${of#*:}' / 8' >/dev/null
    done
}

@test "model: a window that has forgotten the depth is filled again" {
    make_model gemma3 F16
    # Windows of 48: a ring of 256 tokens and a pass cannot give back the depth after 700 more.
    model -m "$T/gemma3-F16.gguf" -p 0 -n 700 -d 600 -b 4 -r 2 --device none --no-hash -q --json |
        jq -e '.name == "decode700@600" and .n == 2' >/dev/null
}

@test "model: shares of a device profile's figures" {
    cat >"$T/d.json" <<'END'
{"type": "device", "format": 1, "name": "d", "date": "2026-01-01", "source": "made up",
 "compute": [{"type": "f32", "flops_per_s": 1e12, "achieved": 0.5}],
 "memory": [{"name": "host", "capacity_bytes": 1e10, "read_bytes_per_s": 1e9,
             "write_bytes_per_s": 1e9, "achieved": 0.5}]}
END
    model -m $M -p 8 -n 4 -r 2 --no-hash -q --device "$T/d.json" --json >"$T/out"
    jq -e '.limit_read_bytes_per_s == 1e9 and .limit_flops_per_s == 1e12 and .compute_type == "f32"
        and ((.value * (.weight_bytes_per_token + .kv_read_bytes_per_token) / 1e9 / .read_share
              - 1) | fabs) < 1e-6
        and ((.value * .flops_per_token / 1e12 / .compute_share - 1) | fabs) < 1e-6
        and .bound == "memory"' "$T/out" >/dev/null
    make_model llama Q4_0
    model -m "$T/llama-Q4_0.gguf" "${FEW[@]}" --json | jq -e '.compute_type == "int8"' >/dev/null
}

@test "model: limits are measured where no profile is given" {
    model -m $M -p 8 -n 4 -r 1 -t 1 --no-hash -q --json |
        jq -e '.limit_read_bytes_per_s > 1e8 and .limit_flops_per_s > 1e8 and .read_share > 0
            and .compute_share > 0 and (.bound | IN("memory", "compute"))' >/dev/null
}

@test "model: joules a token, where a counter counts" {
    mkdir -p "$T/rapl/intel-rapl:0"
    echo package-0 >"$T/rapl/intel-rapl:0/name"
    echo 1000 >"$T/rapl/intel-rapl:0/energy_uj"
    echo 1000000000 >"$T/rapl/intel-rapl:0/max_energy_range_uj"
    LLM_POWERCAP=$T/rapl LLM_NVML=none model -m $M "${FEW[@]}" --json |
        jq -e '.joules_per_token == 0' >/dev/null
    LLM_POWERCAP=$T/none LLM_NVML=none model -m $M "${FEW[@]}" --json |
        jq -e '.joules_per_token == null' >/dev/null
}

# ---- beside a peer --------------------------------------------------------------------------

# A peer that writes what llama-bench -o json does, always the same; and counts its runs.
fake_peer() {
    cat >"$T/peer" <<END
#!/bin/sh
echo run >>"$T/runs"
cat <<'JSON'
[{"build_commit": "abc1234", "cpu_info": "a cpu", "model_filename": "m", "n_threads": 2,
  "n_prompt": 8, "n_gen": 0, "n_depth": 0, "avg_ts": 2.0, "samples_ts": [9, 2, 2]},
 {"build_commit": "abc1234", "cpu_info": "a cpu", "model_filename": "m", "n_threads": 2,
  "n_prompt": 0, "n_gen": 4, "n_depth": 0, "avg_ts": 3.0, "samples_ts": [9, 3, 3]}]
JSON
END
    chmod +x "$T/peer"
}

@test "model: a peer runs in turn; ratios pair neighbours, first repetitions left out" {
    fake_peer
    model -m $M -p 8 -n 4 -r 3 --device none -q --peer "$T/peer" --pairs 3 --json >"$T/out"
    [ "$(wc -l <"$T/runs")" = 3 ]
    [ "$(jq -r '"\(.name) \(.unit) \(.peer_tps) \(.pairs) \(.n)"' "$T/out")" = \
        "prefill8 ratio 2 3 3
decode4 ratio 3 3 3" ]
    jq -e '(.ours_samples | length) == 6 and (.peer_samples | length) == 6
        and .ratio_min <= .value and .value <= .ratio_max and .low <= .value
        and .value <= .high and .conclusion == (if .low > 1 then "faster" elif .high < 1
            then "slower" else "unclear" end)
        and .ours_peak_bytes > 40e6 and .peer_peak_bytes > 0 and (.peer | test("abc1234"))' \
        "$T/out" >/dev/null
    # The geometric mean of the pairs' ratios, and Student's interval over their logarithms: with
    # three of them 4.3027 standard errors.
    jq -e '[.samples[] | log] as $x | ($x | add / 3) as $mean
        | (([$x[] | . - $mean | . * .] | add / 2 / 3 | sqrt) * 4.302652730) as $half
        | [[.value, $mean], [.low, $mean - $half], [.high, $mean + $half]]
        | all((.[0] / (.[1] | exp) - 1 | fabs) < 1e-6)' "$T/out" >/dev/null
    jq -e '(.samples | min) == .ratio_min and (.samples | max) == .ratio_max' "$T/out" >/dev/null
    sum=$(sha256sum $M | cut -d ' ' -f 1)
    jq -e --arg sum "$sum" '.files | endswith($sum)' "$T/out" >/dev/null
}

@test "model: the peer may be llm-bench; sweeps match by name" {
    peer="$BENCH model -m $M -p 8 -n 2 -t 1,2 --parallel 1,2 -r 2 --device none --no-hash --json"
    model -m $M -p 8 -n 2 -t 1,2 --parallel 1,2 -r 2 --device none -q --no-hash --pairs 1 \
        --peer "$peer" >"$T/out"
    [ "$(cut -f 1 "$T/out" | sed 1d | paste -sd ,)" = "prefill8 n_threads=1,decode2 n_threads=1,\
decode2x2 n_threads=1,prefill8 n_threads=2,decode2 n_threads=2,decode2x2 n_threads=2" ]
    # One pair has a ratio but no interval.
    [ "$(cut -f 3,4,11 "$T/out" | sed 1d | sort -u)" = $'-\t-\tunclear' ]
}

@test "model: what a peer has not, or nothing of ours, is said" {
    fake_peer
    model -m $M -p 8 -n 5 -r 2 --device none --no-hash --pairs 1 --peer "$T/peer" \
        >"$T/out" 2>"$T/err"
    [ "$(cut -f 1 "$T/out" | paste -sd ' ')" = "name prefill8" ]
    grep -q '^llm-bench model: decode5: the peer has no such test$' "$T/err"
    fails 4 model -m $M -p 9 -n 0 -r 1 --device none --pairs 1 --peer "$T/peer"
    grep -q "it has 'prefill8' in tok/s, ours is 'prefill9'" "$T/err"
    fails 4 model -m $M -p 9 -n 0 -r 1 --device none --pairs 1 --peer 'echo "| a table |"'
    grep -q "found '| a table |'" "$T/err"
    fails 4 model -m $M -p 9 -n 0 -r 1 --device none --pairs 1 --peer true
    fails 1 model -m $M -p 8 -n 0 -r 1 --device none --pairs 1 --peer 'exit 3'
    grep -q "'exit 3' ended with status 3" "$T/err"
    # No speed is no ratio: ours is not infinitely faster.
    sed 's/\[9, 2, 2\]/[0, 0, 0]/' "$T/peer" >"$T/dead"
    chmod +x "$T/dead"
    model -m $M -p 8 -n 4 -r 2 --device none --no-hash --pairs 2 --peer "$T/dead" --json \
        >"$T/out" 2>"$T/err"
    [ "$(jq -r .name "$T/out")" = decode4 ]
    grep -q '^llm-bench model: prefill8: the peer has no such test$' "$T/err"
}

@test "model: beside llama-bench" {
    peer=${LLAMA_BENCH:-$(command -v llama-bench || true)}
    [ -n "$peer" ] || skip "llama-bench is not here"
    model -m $M -p 32 -n 8 -d 0,16 --pg 16,4 -r 2 --device none --no-hash -q --pairs 1 \
        --peer "$peer -m $M -p 32 -n 8 -d 0,16 -pg 16,4 -r 2 -o json" >"$T/out"
    [ "$(cut -f 1 "$T/out" | sed 1d | paste -sd ' ')" = \
        "prefill32 decode8 prefill16+decode4 prefill32@16 decode8@16 prefill16+decode4@16" ]
}

# The PATH without the folders that hold a program.
path_without() {
    local part
    local out=
    while IFS= read -r -d : part; do
        [ -x "$part/$1" ] || out+=${out:+:}$part
    done <<<"$PATH:"
    echo "$out"
}

@test "bench: models beside a peer in one table" {
    fake_peer
    CONTEXT=8 NEW=4 PAIRS=2 REPEAT=1 THREADS=1 KERNELS=0 MOE=none GEMMA='' RESULTS=$T/b.tsv \
        LLAMA_BENCH=$T/peer scripts/bench-models >"$T/out" 2>"$T/err"
    [ "$(wc -l <"$T/runs")" = 2 ]
    grep -q '^# .*, llama.cpp abc1234$' "$T/b.tsv"
    grep -q '^# best limits: read [0-9.]* GB/s, f32 [0-9]* GFLOP/s$' "$T/b.tsv"
    [ "$(grep -v '^#' "$T/b.tsv" | cut -f 1,2,4,8 | tr '\t\n' ' ;')" = \
        "model test llamacpp_tps pairs;tiny-moe-f16 prefill8 2 2;tiny-moe-f16 decode4 3 2;" ]
    # Ratio, its interval, what binds and how far: numbers.
    awk -F '\t' '/^tiny/ { if ($3 $5 $6 $7 $10 !~ /^[0-9.]+$/ || $9 !~ /^(read|f32)$/) bad++; n++ }
        END { exit bad || n != 2 }' "$T/b.tsv"
    # Without a peer there is ours alone.
    CONTEXT=8 NEW=4 PAIRS=1 REPEAT=1 THREADS=1 KERNELS=0 MOE=none GEMMA='' RESULTS=$T/b.tsv \
        LLAMA_BENCH='' PATH=$(path_without llama-bench) scripts/bench-models >"$T/out" 2>"$T/err"
    [ "$(grep '^tiny' "$T/b.tsv" | cut -f 2,4-8 | tr '\t\n' ' ;')" = \
        "prefill8 - - - - -;decode4 - - - - -;" ]
}

# ---- bad days -------------------------------------------------------------------------------

@test "model: bad command lines exit 2, what is no model exits 1, in a line" {
    for bad in '' '-m' "-m $M x" "-m $M -p x" "-m $M -p 0 -n 0" "-m $M -p 8,,9" "-m $M -r 0" \
        "-m $M -t 0" "-m $M -b 0" "-m $M --parallel 0" "-m $M --pg 5" "-m $M --pg 5,6,7" \
        "-m $M --kv-type q4_0" "-m $M --cpu none" "-m $M --pairs 0" "-m $M --format xml"; do
        # shellcheck disable=SC2086 # options and their values
        fails 2 model $bad
    done
    for bad in nosuch.gguf README.md; do
        fails 1 model -m $bad
        [ "$(wc -l <"$T/err")" = 1 ]
        fails 1 model -m $bad --peer true
        [ "$(wc -l <"$T/err")" = 1 ]
    done
    fails 1 model -m $M --device nosuch
    head -c 100000 $M >"$T/cut.gguf"
    fails 1 model -m "$T/cut.gguf"
    [ "$(wc -l <"$T/err")" = 1 ]
}

@test "model: a context that memory has no place for is one line, before anything is measured" {
    fails 1 model -m $M -p 0 -n 1 -d 16000000 --parallel 60000
    [ "$(wc -l <"$T/err")" = 1 ]
    grep -q 'decode1@16000000x60000 needs a KV cache of .* GB of memory are free' "$T/err"
    model -m $M -p 0 -n 2 -d 1100 -r 1 --device none --no-hash >/dev/null 2>"$T/err"
    grep -q 'tests of 1102 tokens; the model was trained with 1024' "$T/err"
}

@test "model: a full disk is an error; a reader that leaves is none" {
    # shellcheck disable=SC2016 # for the inner shell
    run -1 bash -c '"$BENCH" model "$@" >/dev/full' - -m $M "${FEW[@]}"
    [[ $output == *"No space left"* ]]
    "$BENCH" model -m $M "${FEW[@]}" 2>"$T/err" | head -n 1 | grep -q '^name'
    [ ! -s "$T/err" ]
}

@test "model: an address" {
    command -v python3 >/dev/null || skip "python3 is not here"
    mkdir "$T/www"
    cp $M "$T/www/m.gguf"
    python3 - "$T/www" "$T/port" 3>&- <<'PY' &
import functools, http.server, os, sys
class handler(http.server.SimpleHTTPRequestHandler):
    log_message = lambda *a: None
    def end_headers(self):
        self.send_header("Connection", "close")
        super().end_headers()
s = http.server.HTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=sys.argv[1]))
open(sys.argv[2] + ".new", "w").write(str(s.server_address[1]))
os.rename(sys.argv[2] + ".new", sys.argv[2])
s.serve_forever()
PY
    server=$!
    for _ in $(seq 100); do [ -s "$T/port" ] && break; sleep 0.1; done
    url=http://127.0.0.1:$(cat "$T/port")/m.gguf
    export LLMUTILS_CACHE=$T/cache
    status=0
    model -m "$url" -p 8 -n 0 -r 1 --device none -q --json >"$T/out" 2>"$T/err" || status=$?
    kill $server
    [ "$status" = 0 ] || { cat "$T/err"; return 1; }
    sum=$(sha256sum $M | cut -d ' ' -f 1)
    jq -e --arg sum "$sum" '.files | endswith($sum)' "$T/out" >/dev/null
    fails 1 model -m "$url" --sha256 "$(printf '%064d' 0)"
}
