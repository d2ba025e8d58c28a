#!/usr/bin/env bats
# llm-cost-estimate.bats - llm-cost estimate from the outside

load cost

# shellcheck disable=SC2154  # run sets output and stderr

# est ARGUMENTS...: rows as JSON in $T/out, words in $T/err.
est() {
    "$COST" estimate --json "$@" >"$T/out" 2>"$T/err"
}

# near EXPRESSION TOLERANCE: a jq expression over the rows (an array) that is 1 within TOLERANCE.
near() {
    jq -se "($1) | (. - 1) | fabs < $2" "$T/out" >/dev/null || {
        echo "$1 is $(jq -s "$1" "$T/out")"
        return 1
    }
}

@test "estimate: a decode step reads the weights: Llama 3.1 8B in BF16 on an H100" {
    est --shape llama-3.1-8b --weight-type bf16 --prompt 1 --output 2
    # 8.03e9 parameters, less the embedding's 128256 x 4096, 2 bytes, 0.9 of 3.35 TB/s.
    near '.[0].tpot_s / ((8030261248 - 128256 * 4096) * 2 / (0.9 * 3.35e12))' 0.001
    jq -e '.decode_bound == "memory" and .memory == "gpu" and .devices == 1' "$T/out"
    # 700 W while memory never rests.
    near '.[0].joules / .[0].device_s / 700' 0.01
}

@test "estimate: a long prompt computes: two FLOPs a parameter and token, and scores" {
    est --shape llama-3.1-8b --weight-type bf16 --prompt 8192 --output 1
    # 6.98e9 parameters in layers; 32 layers x 32 heads x 2 x (128 + 128) over n (n + 1) / 2 pairs.
    near '.[0].ttft_s / ((2 * 6.979e9 * 8192 + 32 * 32 * 512 * 8192 * 8193 / 2)
                         / (0.6 * 989.4e12))' 0.01
    jq -e '.prefill_bound == "compute" and .decode_bound == null and .tpot_s == null' "$T/out"
}

@test "estimate: a cached prefix is not computed, and costs what is left" {
    est --shape llama-3.1-8b --prompt 8192 --cached 8191 --output 1
    near '.[0].ttft_s / 0.0055' 0.2
    est --shape llama-3.1-8b --prompt 8192 --cached 8192 --output 1
    near '.[0].ttft_s / 0.0055' 0.2
}

@test "estimate: money is the devices' time at their price" {
    est --shape llama-3.1-70b --tp 4 --price-hour 2.5 --utilisation 50% --output 65
    near '.[0].usd / (.[0].device_s / 3600 * 2.5 / 0.5)' 1e-9
    near '.[0].usd_per_mtok / (.[0].usd / (1024 + 65) * 1e6)' 1e-9
    jq -e '.devices == 4 and .usd_hour == 2.5' "$T/out"
    # Without batch, four devices wait for the one request.
    near '.[0].device_s / (4 * .[0].seconds)' 1e-9
    # From the book: the lowest price of the device then.
    printf 'book t observed=2026-11-24 currency=USD\nsource s url=https://x.y observed=2026-11-24 confidence=listed\ngpu h200 provider=dear rate=9 granule=1s source=s\ngpu h200 provider=cheap rate=4.5 granule=1s source=s\n' >"$T/b.book"
    est --shape llama-3.1-8b --device h200 --book "$T/b.book"
    jq -e '.usd_hour == 4.5' "$T/out"
    # Nobody's price is no price, never 0.
    est --shape llama-3.1-8b --book "$T/b.book"
    jq -e '.usd == null and .usd_hour == null and .device_s > 0' "$T/out"
    grep -q 'has no price for it: expected --price-hour' "$T/err"
}

@test "estimate: a batch shares the reading of weights" {
    est --shape llama-3.1-8b --output 129 --batch 1
    cp "$T/out" "$T/one"
    est --shape llama-3.1-8b --output 129 --batch 32
    jq -se '.[1].out_tps > 20 * .[0].out_tps and .[1].usd < .[0].usd / 5
            and .[1].tpot_s > .[0].tpot_s' "$T/one" "$T/out"
}

@test "estimate: what does not fit is said, and where it lies then" {
    est --shape llama-3.1-70b --weight-type bf16
    jq -e '.memory == "host" and .fits == 0' "$T/out"
    grep -q 'do not fit into 1 x 80 GB of gpu: the rest is read from slower memories' "$T/err"
    est --shape deepseek-v3 --device tpu-v5e
    jq -e '.memory == "none" and .joules == null' "$T/out"
    grep -q 'see --tp, --weight-type, --ep$' "$T/err"
    est -q --shape llama-3.1-8b --weight-type bf16 --tp 128 --device groq-lpu --price-hour 1
    jq -e '.memory == "sram" and .fits > 0 and .devices == 128' "$T/out"
    [ ! -s "$T/err" ]
}

@test "estimate: a row for each device; tables, tsv, all their names" {
    est -q --shape llama-3.1-8b --device h100-sxm --device h200 --device b200
    jq -se 'map(.device) == ["h100-sxm", "h200", "b200"]
            and .[0].tpot_s > .[1].tpot_s and .[1].tpot_s > .[2].tpot_s' "$T/out"
    for d in h100-sxm h200 b200 gb200 a100-80g mi300x l40s rtx-4090 cpu; do
        est -q --shape llama-3.1-8b --weight-type fp8 --device $d --price-hour 1
        jq -e --arg d $d '.device == $d and .seconds > 0' "$T/out"
    done
    run --separate-stderr -0 "$COST" estimate -q --shape llama-3.1-8b
    [ "${output%%$'\t'*}" = device ]
}

@test "estimate: types of arithmetic are the device's" {
    est --shape llama-3.1-8b --weight-type fp8 --compute fp8 --prompt 8192 --output 1
    cp "$T/out" "$T/fp8"
    est --shape llama-3.1-8b --weight-type fp8 --prompt 8192 --output 1
    jq -se '.[1].ttft_s / .[0].ttft_s > 1.5' "$T/fp8" "$T/out"
    fails 2 estimate --shape llama-3.1-8b --compute fp4
    grep -q "h100-sxm has bf16, f16, fp8, int8, tf32" "$T/err"
}

@test "estimate: techniques, each alone, all, all but each, and whether gains multiply" {
    est --shape qwen3-30b-a3b --device h200 --prompt 8192 --cached 6000 --output 64 --batch 8 \
        --technique all
    # none, 8 alone, all, 8 all-but, the product
    [ "$(wc -l <"$T/out")" -eq 19 ]
    near '.[0].gain' 1e-12
    near '(.[1:9] | map(.gain) | reduce .[] as $g (1; . * $g)) / .[18].gain' 1e-9
    near '.[0].device_s / .[9].device_s / .[9].gain' 1e-9
    near '.[10].device_s / .[9].device_s / .[10].factor' 1e-9
    jq -se '.[18].techniques == "product of each alone" and .[9].techniques == "all"
            and .[10].techniques == "all but moe" and (.[1:9] | map(.gain >= 1) | all)' "$T/out"
    grep -Eq 'gains (do not )?multiply here: [0-9.e+]+ of each alone, multiplied' "$T/err"
}

@test "estimate: one technique alone multiplies, to its own gain" {
    est --shape llama-3.1-8b --technique weights --weight-type q4_k
    jq -se '.[1].gain == .[2].gain and .[1].gain == .[4].gain and .[3].gain == 1' "$T/out"
    grep -q 'gains multiply here' "$T/err"
}

@test "estimate: pages make room for a larger batch where memory is short" {
    est --shape llama-3.1-8b --weight-type bf16 --prompt 2048 --output 256 --batch 64 \
        --technique kv-cache,paged
    # Reserving the 131072 tokens that the model can hold leaves room for 3 requests of 17 GB.
    jq -se 'map({(.techniques): .batch}) | add | .all == 64 and ."kv-cache" == 3' "$T/out"
}

@test "estimate: techniques that the request has no use for are left out, or refused by name" {
    est --shape llama-3.1-8b --technique all
    grep -q 'moe is left out: the model has no experts' "$T/err"
    grep -q 'prefix-cache is left out: --cached is 0' "$T/err"
    [ "$(wc -l <"$T/out")" -eq 15 ]
    fails 2 estimate --shape llama-3.1-8b --technique moe
    fails 2 estimate --shape llama-3.1-8b --technique magic
}

@test "estimate: the measured processor of a run, calibrated by it, gives its times back" {
    cat >"$T/here.device" <<'END'
{"type":"device","format":1,"name":"here","compute":[{"type":"f32","flops_per_s":2e11,"achieved":0.9},
 {"type":"int8","flops_per_s":8e11,"achieved":0.7}],"memory":[{"name":"host","capacity_bytes":32e9,
 "read_bytes_per_s":4e10}],"measured":{"barrier_s":2e-7,"cache":[{"name":"L3","total_bytes":32e6,
 "read_bytes_per_s":1.5e11}]}}
END
    est -q --device "$T/here.device" --shape qwen3-0.6b --weight-type q8_0 --prompt 512 --output 33
    local tpot
    tpot=$(jq .tpot_s "$T/out")
    # A run that took twice as long.
    jq -nc --argjson tpot "$tpot" '
        {type: "run", kv_bits: 16, shape: {name: "x", quant: "Q8_0", layers: 28, d_model: 1024,
         vocab: 151936, params: 596049920, params_active: 596049920, weight_bytes: 633000000,
         head_bytes: 165000000, heads: 16, kv_heads: 8, dk: 128, dv: 128, d_ff: 3072,
         dense_bytes: 16700000, tied: true}},
        (range(40) | {type: "step", phase: "decode", tokens: 1, position: (512 + .), logits: 1,
         ns: ($tpot * 2e9 | floor), flops_attention: 4e8, flops_dense: 5.3e8, flops_experts: 0,
         flops_head: 3.1e8, dense_read_bytes: 633000000, experts_read_bytes: 0,
         kv_read_bytes: 6e7, kv_write_bytes: 114688})' >"$T/run.jsonl"
    est -q --device "$T/here.device" --calibrate "$T/run.jsonl" --shape qwen3-0.6b \
        --weight-type q8_0 --prompt 512 --output 33
    jq -e --argjson tpot "$tpot" '.tpot_s / $tpot | . > 1.7 and . < 2.2' "$T/out"
}

@test "estimate: a run of this machine's engine, the embedded model" {
    local run=${BUILD:-build}/llm-run
    [ -x "$run" ] || skip "no llm-run"
    "$run" -q -m examples/models/tiny-moe-f16.gguf -p "Once upon a time" -n 24 --seed 1 \
        --ignore-eos --trace "$T/run.jsonl" >"$T/text"
    est -q --device cpu --calibrate "$T/run.jsonl" --shape "$T/run.jsonl" --prompt 5 --output 24
    jq -e '.seconds > 0 and .compute == "f32" and .joules > 0' "$T/out"
}

@test "estimate: plots gains" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    est -q --shape qwen3-30b-a3b --technique moe,kv-cache,flash --plot "$T/gains.svg"
    grep -q '<svg' "$T/gains.svg"
}

@test "estimate: bad command lines are refused with a line" {
    fails 2 estimate
    fails 2 estimate --shape llama-3.1-8b --ep 2
    fails 2 estimate --shape llama-3.1-8b --prompt 0
    fails 2 estimate --shape llama-3.1-8b --prompt -5
    fails 2 estimate --shape llama-3.1-8b --output 0
    fails 2 estimate --shape llama-3.1-8b --batch 1e9
    fails 2 estimate --shape llama-3.1-8b --accept NaN
    fails 2 estimate --shape llama-3.1-8b --cached 2000
    fails 2 estimate --shape llama-3.1-8b --tp 0
    fails 2 estimate --shape llama-3.1-8b --price-hour -1
    fails 2 estimate --shape llama-3.1-8b --draft 0 --draft-shape qwen3-0.6b
    fails 2 estimate --shape llama-3.1-8b --device h200 --device b200 --technique all
    fails 2 estimate --shape llama-3.1-8b --plot "$T/x.svg"
    fails 2 estimate --shape llama-3.1-8b operand
    fails 1 estimate --shape no-such-model
    fails 1 estimate --shape llama-3.1-8b --device no-such-device
    grep -q 'known devices are h100-sxm' "$T/err"
    fails 1 estimate --shape llama-3.1-8b --calibrate "$T/nowhere"
    fails 1 estimate --shape llama-3.1-8b --tp 2 --device sambanova-sn40l
    grep -q 'sambanova-sn40l: expected a link between devices, found none' "$T/err"
    echo '{}' >"$T/x"
    fails 1 estimate --shape llama-3.1-8b --calibrate "$T/x"
    grep -q 'expected a run record first' "$T/err"
    run -1 --separate-stderr sh -c '"$COST" estimate -q --shape llama-3.1-8b >/dev/full'
    [[ $stderr == *"No space left"* ]]
}

@test "estimate: the examples of --help work as typed" {
    local line bin
    bin=$(dirname "$(realpath "$COST")")
    while read -r line; do
        echo "$line"
        (cd "$T" && PATH=$bin:$PATH sh -c "$line" >out 2>err)
        [ -s "$T/out" ]
    done < <("$COST" estimate --help | sed -n 's/^  llm-cost/llm-cost/p')
}
