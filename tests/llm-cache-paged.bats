#!/usr/bin/env bats
# llm-cache-paged.bats - llm-cache paged from the outside

load cache

# Requests for paged: one a second, 100 tokens in, 28 out.
paged_trace() {
    for i in $(seq 0 9); do
        printf '{"timestamp":%d,"input_length":100,"output_length":28}\n' $((1000 * i))
    done
}

# field NAME FILE: the column of that name.
paged_field() {
    awk -F '\t' -v name="$1" 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == name) k = i; next}
        {print $k}' "$2" | paste -sd ' '
}

@test "paged: a row for each scheme and block size, with known numbers" {
    paged_trace >"$T/in"
    "$CACHE" paged --scheme oracle,max,paged --block 1,32 --max-length 256 --tps 28 \
        --prefill-tps inf "$T/in" >"$T/out"
    [ "$(paged_field scheme "$T/out")" = "oracle max paged paged" ]
    [ "$(paged_field block_tokens "$T/out")" = "- - 1 32" ]
    [ "$(paged_field max_batch "$T/out")" = "1 1 1 1" ]
    [ "$(paged_field peak_tokens "$T/out")" = "128 256 128 128" ]
    # 28 passes a second with 101 to 128 tokens: mean 114.5.
    [ "$(paged_field internal_share "$T/out")" = "0 0.5 0 0" ]
    [ "$(paged_field used_share "$T/out")" = "0.89453125 0.447265625 1 0.89453125" ]
    [ "$(paged_field makespan_s "$T/out")" = "10 10 10 10" ]
    [ "$(paged_field output_tps "$T/out")" = "28 28 28 28" ]
}

@test "paged: memory in tokens and bytes; lengths from a pipe; JSON" {
    shape=layers=2,d_model=64,heads=4,kv_heads=2,d_ff=128
    paged_trace | "$CACHE" paged --memory 300 --scheme paged --block 16 >"$T/a"
    paged_trace | "$CACHE" paged --memory 300tok --scheme paged --block 16 - >"$T/b"
    # 2 layers x (keys, values) x 2 heads x 16 elements x 2 bytes
    paged_trace | "$CACHE" paged --memory $((300 * 256))B --shape $shape --scheme paged \
        --block 16 >"$T/c"
    cmp "$T/a" "$T/b"
    [ "$(paged_field peak_tokens "$T/c")" = "$(paged_field peak_tokens "$T/a")" ]
    [ "$(paged_field peak_bytes "$T/c")" = $((256 * $(paged_field peak_tokens "$T/a"))) ]
    paged_trace | "$CACHE" paged --memory 300 --scheme paged --block 16 --json |
        grep -q '^{"scheme":"paged","block_tokens":16,"memory_tokens":300,"requests":10,'
}

@test "paged: no memory for anything is exit 4, bad command lines exit 2" {
    paged_trace >"$T/in"
    run -4 "$CACHE" paged --memory 50 --scheme paged "$T/in"
    [[ $output == *"none of 10 requests could be served"* ]]
    for bad in '--memory 0' '--memory 1xy' '--memory 64GiB' '--block 0' '--block 1,,2' \
        '--scheme best' '--tps 0' '--prefill-tps none' '--watermark 2' '--max-batch 0' \
        '--allocator slab' '--max-length 0' 'a b'; do
        # shellcheck disable=SC2086 # an option and its value
        run -2 "$CACHE" paged $bad "$T/in"
        [[ ${lines[0]} == llm-cache\ paged:* ]]
    done
}

@test "paged: a trace without lengths is refused with a line that says so" {
    printf '1\n2\n3\n' >"$T/ids"
    run -1 "$CACHE" paged "$T/ids"
    [[ $output == *"$T/ids:1: expected a record with its input length"* ]]
}

@test "paged: the Azure trace, which has lengths only" {
    trace=../shared/data/traces/AzureLLMInferenceTrace_conv.csv
    [ -f "$trace" ] || skip "no $trace"
    "$CACHE" paged --memory 1M --scheme oracle,paged --block 16 "$trace" >"$T/out"
    [ "$(paged_field requests "$T/out")" = "19366 19366" ]
    awk '$1 == "paged" && $11 < 0.97 {exit 1}' "$T/out"
}
