#!/bin/sh
# What thinking aloud costs: sums answered at once, and with the working written out first.
#
#     examples/reasoning-cost.sh [SUMS [DIGITS]]
#
# The embedded model knows both ways. Columns: right answers, tokens of an answer, MFLOPs for a
# right one; right answers for 1000 tokens and for a second, with the interval of the former.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

awk -v n="${1:-20}" -v digits="${2:-2}" 'BEGIN {
    srand(1); low = 10 ^ (digits - 1)
    for (; n > 0; n--) {
        a = low + int(rand() * 9 * low); b = low + int(rand() * 9 * low)
        printf "{\"question\":\"%d+%d=?\",\"answer\":%d}\n", a, b, a + b
    } }' >"$dir/sums"
"${LLM_BENCH:-build/llm-bench}" score -q -m examples/models/tiny-moe-f16.gguf -n 80 --stop '
' --way 'direct=Q: {question} A:' --way 'working=Q: {question} T:' --json "$dir/sums" |
    jq -rn 'def round1: if . then . * 10 | round / 10 else "-" end;
        ["way", "right_pct", "tokens_per_sum", "mflops_per_right", "right_per_ktok", "low", "high",
         "right_per_s"],
        (inputs | select(.unit == "right/ktok") | [.name, (.accuracy_pct | round1),
         (.answer_tokens | round1), (.pass_gflop | if . then . * 1000 else . end | round1),
         (.value | round1), (.low | round1), (.high | round1), (.right_per_s | round1)]) | @tsv'
