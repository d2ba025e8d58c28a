#!/usr/bin/env bats
# llm-cost-carbon.bats - joules to CO2

load cost

RUN=${BUILD:-build}/llm-run
M=examples/models/tiny-moe-f16.gguf

near() {
    awk -v got="$1" -v want="$2" 'BEGIN { d = got / want - 1; exit !(d < 1e-6 && d > -1e-6) }'
}

@test "carbon: EcoLogits' own results" {
    echo '{"input_length":100,"output_length":500}' >"$T/u"
    "$COST" carbon --params 671G --active 37G --grid 400 --json "$T/u" >"$T/out"
    # compute_llm_impacts(37, 671, 500, ..., if_electricity_mix_gwp=0.4), EcoLogits 0.11.3
    near "$(jq .wh "$T/out")" 1.9894504485922153
    near "$(jq .use_g "$T/out")" 0.7957801794368862
    near "$(jq .embodied_g "$T/out")" 0.16807846230048644
    jq -e '.way == "ecologits" and .marked == "modelled"' "$T/out"
}

@test "carbon: the prompt and its cache change the device's row, not EcoLogits'" {
    echo '{"input_length":100000,"output_length":100}' >"$T/a"
    echo '{"input_length":100000,"output_length":100,"cached_tokens":99000}' >"$T/b"
    for f in a b; do
        "$COST" carbon --shape llama-3.1-8b --device h100-sxm --json "$T/$f" >"$T/$f.out"
    done
    [ "$(jq -r 'select(.way == "ecologits") | .g' "$T/a.out")" = \
        "$(jq -r 'select(.way == "ecologits") | .g' "$T/b.out")" ]
    jq -es '.[0].g > 5 * .[1].g' <(jq 'select(.way == "h100-sxm")' "$T/a.out" "$T/b.out")
}

@test "carbon: measured joules, PUE and grid" {
    echo '{"input_length":10,"output_length":10}' >"$T/u"
    "$COST" carbon --shape llama-3.1-8b --joules 3600 --pue 1.5 --grid FRA --json "$T/u" |
        jq -es '.[0] | .way == "counters" and .machine_wh == 1 and .wh == 1.5 and .grid == "FRA"
            and .use_g == 1.5 / 1000 * .g_per_kwh and .marked == "measured"'
    "$COST" carbon --grids >"$T/grids"
    "$COST" carbon --grids --json | jq -es 'length >= 50 and all(.g_per_kwh > 0 and .source)'
}

@test "carbon: a run trace says tokens and shape itself" {
    "$RUN" -m "$M" -p x -n 8 --temp 0 --ignore-eos --trace "$T/t" -q >/dev/null
    "$COST" carbon --run "$T/t" --json |
        jq -es 'map(.way) | index("ecologits") != null' >/dev/null
    "$COST" carbon --run - <"$T/t" | grep -q ecologits
    sed 's/,"joules":[0-9.e-]*//' "$T/t" >"$T/uncounted"
    "$COST" carbon --run "$T/uncounted" 2>&1 >/dev/null |
        grep -qx "llm-cost carbon: $T/uncounted: no step has joules: nothing here is measured"
}

@test "carbon: training paid back" {
    "$COST" carbon --training 900MWh --against 600MWh --token 0.4J,1.1J --json |
        jq -e '.tokens == 1542857142858 and .pays == "after"'
    "$COST" carbon --training 1kWh --against 2kWh --token 1J,2J --json | jq -e '.pays == "at once"'
    "$COST" carbon --training 2kWh --against 1kWh --token 2J,2J --json |
        jq -e '.pays == "never" and .tokens == null'
    fails 2 carbon --training 2kWh --against 1kWh
    fails 2 carbon --training 2 --against 1kWh --token 1J,2J
}

@test "carbon: an unknown model is named, nothing is nothing" {
    echo '{"model":"no-such","input_length":10,"output_length":10}' >"$T/u"
    fails 4 carbon "$T/u"
    grep -q no-such "$T/err"
    fails 4 carbon --shape llama-3.1-8b /dev/null
    fails 2 carbon --shape llama-3.1-8b --grid XXX "$T/u"
    fails 2 carbon --params 1G "$T/u"
    fails 2 carbon --params 1G --active 2G "$T/u"
    run -1 bash -c '"$COST" carbon --grids >/dev/full'
}
