#!/bin/sh
# What paging buys: how many sequences fit into the same KV memory, and how much of it they use.
#
#     examples/cache-paging.sh [MEMORY]           (in tokens, default 64Ki)
#
# Columns: way of allocating (see 'llm-cache paged --help'), most sequences at once, share of the
# memory taken that holds tokens, mean time a request waits for memory. In one piece for the
# longest sequence most of it stays empty; blocks of 16 tokens waste the rest of the last block.
set -eu
cd "$(dirname "$0")/.."
cache=${LLM_CACHE:-build/llm-cache}

"$cache" gen --sessions 200 --rate 4 --context 16Ki --seed 1 |
    "$cache" paged -q --memory "${1:-64Ki}" --block 16 --json |
    jq -rs '["scheme", "max_batch", "used_share", "queue_mean_s"],
        (.[] | [.scheme, .max_batch, (.used_share * 1e3 | round / 1e3),
                (.queue_mean_s * 10 | round / 10)]) | @tsv'
