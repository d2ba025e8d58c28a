#!/bin/sh
# klbase.sh - rows of base logits as llama.cpp itself codes them, for tests/test_klbase.c
#
#     tests/reference/klbase.sh LLAMA_CPP_SOURCE
#
# Takes nearest_int and log_softmax out of tools/perplexity/perplexity.cpp, codes the rows that
# test_klbase.c codes, and prints the SHA-256 of each.
set -eu
source=$1/tools/perplexity/perplexity.cpp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    printf '#include <algorithm>\n#include <cmath>\n#include <cstdint>\n#include <cstdio>\n'
    printf '#include <cstring>\n#include <vector>\n'
    sed -n '/^static inline int nearest_int/,/^}/p' "$source"
    sed -n '/^static double log_softmax(int n_vocab, const float \* logits, uint16_t/,/^}/p' "$source"
    cat <<'END'
int main() {
    const int widths[] = {1, 2, 31, 1000, 4097};
    const float spread[] = {8, 0, 40};
    for (float s : spread)
        for (int n : widths) {
            std::vector<float> x(n);
            std::vector<uint16_t> out(2 * ((n + 1) / 2) + 4);
            uint32_t state = 1;
            for (float &v : x) {
                state = state * 1664525u + 1013904223u;
                v = (float)(state >> 16) / 65536 * s - s / 4;
            }
            log_softmax(n, x.data(), out.data(), 0);
            char name[64];
            snprintf(name, sizeof name, "%g-%d", s, n);
            FILE *f = fopen(name, "wb");
            fwrite(out.data(), 2, out.size(), f);
            fclose(f);
        }
}
END
} >"$work/code.cpp"
cd "$work"
${CXX:-g++} -O1 -ffp-contract=off -o code code.cpp
./code
for spread in 8 0 40; do
    sha256sum $spread-1 $spread-2 $spread-31 $spread-1000 $spread-4097
done
