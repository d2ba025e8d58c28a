#!/bin/sh
# How few bits a weight bears: mixes of types, and types chosen for the same size.
#
#     examples/fewer-bits.sh [CALIBRATION TEXT]      (default: README.md, CONTRIBUTING.md)
#
# Takes the importance of weights, and what errors in each matrix cost, from one text; then a row
# for each file: its size, and how far its predictions of the other text are from the model's own.
# Types chosen for a size do better than a mix that has as many bytes.
set -eu
cd "$(dirname "$0")/.."
[ $# = 2 ] || set -- README.md CONTRIBUTING.md
quant=${LLM_QUANT:-build/llm-quant}
model=examples/models/tiny-moe-f16.gguf
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$quant" imatrix -q -m "$model" -f "$1" -c 256 --chunks 12 --sensitivity=4 -o "$dir/i.gguf"
for mix in q8_0 q4_k_m q3_k_m; do
    "$quant" convert -q --type "$mix" --imatrix "$dir/i.gguf" "$model" "$dir/$mix.gguf"
done
for mix in q4_k_m q3_k_m; do
    size=$(wc -c <"$dir/$mix.gguf")
    "$quant" convert -q --target "$size" --imatrix "$dir/i.gguf" "$model" "$dir/as-$mix.gguf"
done
for name in q8_0 q4_k_m as-q4_k_m q3_k_m as-q3_k_m; do
    set -- "$@" "$dir/$name.gguf"
done
text=$2
shift 2
"$quant" eval -q --base "$model" --text "$text" -c 256 --format tsv "$@" |
    awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
        NR == 1 { print "file\tbytes\tbpw\tppl_ratio\tkl_mean\ttop1_agree\troute_agree"; next }
        { gsub(/.*\/|\.gguf$/, "", $at["file"])
          printf "%s\t%s\t%.3f\t%.4f\t%.5f\t%.4f\t%.4f\n", $at["file"], $at["bytes"], $at["bpw"],
              $at["ppl_ratio"], $at["kl_mean"], $at["top1_agree"], $at["route_agree"] }'
