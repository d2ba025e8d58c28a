#!/bin/sh
# How much fast memory a mixture of experts wants, and how far a policy is from the best possible.
#
#     examples/expert-offload.sh [SHARE...]       (default: 25% 50% 75%)
#
# The embedded model writes 200 tokens. A row for each share of its experts that fits: the hit ratio
# while decoding of lru, of lfu, and of Belady's policy, which knows the future. Below the first
# share that holds what one token uses, lru finds nothing at all.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 25% 50% 75%
list=$(echo "$*" | tr ' ' ',')
"${LLM_RUN:-build/llm-run}" -q -m examples/models/tiny-moe-f16.gguf -p "It was a dark night" \
    -n 200 --temp 0 --ignore-eos -o /dev/null --routes - |
    "${LLM_ROUTE:-build/llm-route}" replay -q --policy lru,lfu,belady --budget "$list" |
    awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { hit[$1, $2] = $at["decode_hit_ratio"] }
        $1 == "lru" { budget[++n] = $2 }
        END {
            print "budget_bytes\tlru\tlfu\tbelady"
            for (i = 1; i <= n; i++)
                printf "%d\t%.3f\t%.3f\t%.3f\n", budget[i], hit["lru", budget[i]],
                    hit["lfu", budget[i]], hit["belady", budget[i]]
        }'
