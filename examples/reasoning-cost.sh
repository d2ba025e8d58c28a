#!/bin/sh
# What thinking aloud costs: sums answered at once, and with the working written out first.
#
#     examples/reasoning-cost.sh [SUMS [DIGITS]]
#
# The embedded model knows both ways. Columns: right answers, tokens and MFLOPs for one sum.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

printf 'way\tright_pct\ttokens_per_sum\tmflops_per_sum\n'
for way in A T; do
    awk -v n="${1:-20}" -v digits="${2:-2}" -v way=$way 'BEGIN {
        srand(1); low = 10 ^ (digits - 1)
        for (; n > 0; n--) {
            a = low + int(rand() * 9 * low); b = low + int(rand() * 9 * low)
            printf "{\"id\":\"%d\",\"prompt\":\"Q: %d+%d=? %s:\"}\n", a + b, a, b, way
        } }' >"$dir/sums"
    "${LLM_RUN:-build/llm-run}" -q -m examples/models/tiny-moe-f16.gguf --jsonl --temp 0 -n 80 --stop '
' --trace "$dir/trace" <"$dir/sums" >"$dir/results"
    jq -rn --arg way $way --slurpfile result "$dir/results" '
        ($result | length) as $n
        | ([inputs | select(.type == "step")
            | .flops_attention + .flops_dense + .flops_experts + .flops_head] | add) as $flops
        | def round1: . * 10 | round / 10;
          def right: .id == (.text | [match("[0-9]+"; "g").string] | last);
        [{A: "direct", T: "working"}[$way],
         ($result | map(select(right)) | 100 * length / $n | round1),
         ($result | map(.output_length) | add / $n | round1),
         ($flops / $n / 1e6 | round1)] | @tsv' "$dir/trace"
done
