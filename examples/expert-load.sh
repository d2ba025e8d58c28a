#!/bin/sh
# Which experts a text wakes: the busiest of one layer, counted from the route stream.
#
#     examples/expert-load.sh [LAYER] < TEXT      (of up to 1,024 tokens)
#
# The stream is .npy arrays back to back; od and awk are enough to read it. After the first array
# (model, layers, experts, k), each record is request, step (4 bytes each), phase, accepted (1
# each), position, token (4 each), then experts[layers][k] (2 each) and weights[layers][k] (4 each).
set -eu
cd "$(dirname "$0")/.."
"${LLM_RUN:-build/llm-run}" -q -m examples/models/tiny-moe-f16.gguf -f - -n 0 --routes - |
    od -An -v -tu1 -w1 |
    awk -v layer="${1:-0}" '
        function text(n,  s) {
            while (n-- > 0 && getline > 0) s = s sprintf("%c", $1 + 0)
            return s
        }
        function u16(  low) { getline; low = $1; getline; return low + 256 * $1 }
        function u32(  low) { low = u16(); return low + 65536 * u16() }
        function skip(n) { while (n-- > 0 && getline > 0); }
        { skip(7); records = text(u16()); arrays++       # magic and version, length, header
          sub(/.*\047shape\047: *\(/, "", records); records += 0
          if (arrays == 1) { skip(64); layers = u32(); u32(); k = u32(); skip(layers * 20); next }
          while (records-- > 0) {
              skip(18 + layer * k * 2)
              for (i = 0; i < k; i++) { load[u16()]++; total++ }
              skip((layers - layer - 1) * k * 2 + layers * k * 4)
          } }
        END { for (e in load) printf "%d\t%.1f\n", e, 100 * load[e] / total }' |
    sort -t '	' -k 2,2nr -k 1,1n | sed '1i\
expert\tshare_pct'
