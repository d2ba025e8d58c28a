#!/bin/sh
# Which experts a text wakes: all experts of one layer, the busiest first.
#
#     examples/expert-load.sh [LAYER] < TEXT      (of up to 1,024 tokens)
#
# llm-route reads the stream of routes as llm-run makes it; without --by expert it would say how
# evenly the experts of each layer are used.
set -eu
cd "$(dirname "$0")/.."
"${LLM_RUN:-build/llm-run}" -q -m examples/models/tiny-moe-f16.gguf -f - -n 0 --routes - |
    "${LLM_ROUTE:-build/llm-route}" stats -q --by expert |
    awk -F '\t' -v layer="${1:-0}" 'NR > 1 && $1 == layer { printf "%d\t%.1f\n", $2, 100 * $5 }' |
    sort -t '	' -k 2,2nr -k 1,1n | sed '1i\
expert\tshare_pct'
