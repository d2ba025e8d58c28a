#!/bin/sh
# Are English and C sent to the same experts? Two texts, and whether their routes differ.
#
#     examples/expert-drift.sh [TEXT TEXT]        (default: CONTRIBUTING.md, lib/base/mem.c)
#
# Of each text the first 1,900 bytes. A row for each layer: the divergence of the two, in bits, what
# chance alone would show, and the expert whose use differs most. Early layers share their experts,
# late ones have some for code alone.
set -eu
cd "$(dirname "$0")/.."
[ $# = 2 ] || set -- CONTRIBUTING.md lib/base/mem.c
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for side in a b; do
    head -c 1900 "$1" | "${LLM_RUN:-build/llm-run}" -q -m examples/models/tiny-moe-f16.gguf \
        -f - -n 0 --routes "$dir/$side.npy" >/dev/null
    shift
done
"${LLM_ROUTE:-build/llm-route}" diff -q --format tsv "$dir/a.npy" "$dir/b.npy" |
    awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
        NR == 1 { print "layer\tjs_bits\tjs_null_bits\tp\tmost_expert\tmost_difference"; next }
        { printf "%s\t%.4f\t%.4f\t%.4f\t%s\t%.3f\n", $at["layer"], $at["js_bits"],
              $at["js_null_bits"], $at["p"], $at["most_expert"], $at["most_difference"] }'
