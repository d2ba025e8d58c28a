/* make_quantized.c - writes the matrices of quantized_input.h to a file, for quantized.py */
#include <stdio.h>

#include "tests/quantized_input.h"

int main(int argc, char **argv) {
    static float w[INPUT_ROWS * INPUT_COLS];
    static float importance[INPUT_COLS];
    FILE *f = argc == 2 ? fopen(argv[1], "wb") : NULL;
    if (!f) {
        fprintf(stderr, "usage: make_quantized FILE\n");
        return 2;
    }
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        input_fill(kind, w, importance);
        fwrite(w, sizeof w, 1, f);
        fwrite(importance, sizeof importance, 1, f);
    }
    return fclose(f) ? 1 : 0;
}
