#!/bin/sh
# What thinking aloud costs: sums answered at once, and with the working written out first.
#
#     examples/reasoning-cost.sh [SUMS [DIGITS]]
#
# The embedded model knows both ways. Columns: right answers, tokens and MFLOPs for one sum.
set -eu
cd "$(dirname "$0")/.."
model=examples/models/tiny-moe-f16.gguf
trace=$(mktemp)
trap 'rm -f "$trace"' EXIT

printf 'way\tright_pct\ttokens_per_sum\tmflops_per_sum\n'
for way in A T; do
    awk -v n="${1:-20}" -v digits="${2:-2}" -v way=$way 'BEGIN {
        srand(1); low = 10 ^ (digits - 1)
        for (; n > 0; n--) {
            a = low + int(rand() * 9 * low); b = low + int(rand() * 9 * low)
            printf "{\"id\":\"%d\",\"prompt\":\"Q: %d+%d=? %s:\"}\n", a + b, a, b, way
        } }' |
    "${LLM_RUN:-build/llm-run}" -q -m $model --jsonl --temp 0 -n 80 --stop '
' --trace "$trace" |
    jq -rs --slurpfile trace "$trace" --arg way $way '
        def mean(f): (map(f) | add) / length;
        [{A: "direct", T: "working"}[$way],
         100 * mean(if .id == (.text | [match("[0-9]+"; "g").string] | last) then 1 else 0 end),
         mean(.output_length),
         ($trace | map(select(.type == "step")
            | .flops_attention + .flops_dense + .flops_experts + .flops_head) | add) / length / 1e6]
        | @tsv'
done
