#!/bin/sh
# How long a prefix is worth keeping: from the time that users take to come back.
#
#     examples/cache-ttl.sh [THINK...]            (default: 10s 1m 10m)
#
# One row for each mean time between the turns of a session. Columns: that time, then the share of
# input tokens found in a cache that keeps a prefix for 1 minute, 5 minutes, 1 hour and for ever.
# Prompt caches are sold with 5 minutes and 1 hour; this says which of them a product needs.
set -eu
cd "$(dirname "$0")/.."
cache=${LLM_CACHE:-build/llm-cache}
[ $# -gt 0 ] || set -- 10s 1m 10m

printf 'think\tttl_1m\tttl_5m\tttl_1h\tttl_ever\n'
for think; do
    "$cache" gen --sessions 300 --turns 6 --think "$think" --system 0 --seed 1 |
        "$cache" curve -q --ttl --at 1m,5m,1h,inf |
        awk -F '\t' -v row="$think" 'NR > 1 { row = row sprintf("\t%.3f", $3) } END { print row }'
done
