#!/bin/sh
# Many prompts, one result a line; and why a batch is cheaper: rows of one pass share the weights.
#
#     examples/jsonl-batch.sh [PARALLEL...]
#
# Runs the same eight prompts with 1, 2, 4 and 8 of them in a pass. Columns: prompts at once,
# passes, MB of weights read for one token made. The texts are the same each time, to the byte.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for topic in sea king law heart ship garden whale letter; do
    printf '{"id":"%s","prompt":"There was once a %s, and"}\n' $topic $topic
done >"$dir/prompts.jsonl"

[ $# -gt 0 ] || set -- 1 2 4 8
printf 'parallel\tpasses\tweights_mb_per_token\n'
for parallel; do
    "${LLM_RUN:-build/llm-run}" -q -m examples/models/tiny-moe-f16.gguf --jsonl --temp 0 -n 24 \
        --ignore-eos --parallel "$parallel" --trace "$dir/trace" \
        <"$dir/prompts.jsonl" >"$dir/results.jsonl"
    jq -c '{id, text}' "$dir/results.jsonl" >"$dir/texts"
    [ -e "$dir/first" ] || cp "$dir/texts" "$dir/first"
    cmp "$dir/first" "$dir/texts"
    jq -rn --arg parallel "$parallel" --slurpfile results "$dir/results.jsonl" '
        [inputs | select(.type == "step")] as $steps
        | [$parallel, ($steps | length),
           (($steps | map(.dense_read_bytes + .experts_read_bytes) | add) / 1e4
            / ($results | map(.output_length) | add) | round / 100)] | @tsv' "$dir/trace"
done
