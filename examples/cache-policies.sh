#!/bin/sh
# Which policy a small prefix cache wants, and how far each is from the best that is possible.
#
#     examples/cache-policies.sh [SIZE...]        (default: 2% 10% 50% of the unique blocks)
#
# Sessions that grow turn by turn, as chats do. Columns: policy, cache size, share of input tokens
# found in the cache, flat hits in per cent of Belady's, which knows the future. Plain LRU evicts
# the first blocks of a prompt first, which makes the rest useless; tail first is what engines do.
set -eu
cd "$(dirname "$0")/.."
cache=${LLM_CACHE:-build/llm-cache}
sizes=2%,10%,50%
[ $# = 0 ] || sizes=$(echo "$*" | tr ' ' ,)

"$cache" gen --sessions 200 --turns 8 --seed 1 |
    "$cache" replay -q --policy fifo,lru,lru-tail,sieve,belady --size "$sizes" --json |
    jq -rs '["policy", "size_blocks", "token_hit_ratio", "belady_pct"],
        (.[] | [.policy, .size_blocks, (.token_hit_ratio * 1e4 | round / 1e4),
                (.belady_pct * 10 | round / 10)]) | @tsv'
