/* quantized_input.h - matrices of many kinds for the quantizers, the same on every machine */
#ifndef QUANTIZED_INPUT_H
#define QUANTIZED_INPUT_H

#include "tests/quantize_simple.h"

#define INPUT_ROWS 8
#define INPUT_COLS 512
#define INPUT_KINDS 10

/* Kind by kind: normal; in steps; with zero blocks; with outliers; positive; negative; a constant
 * in some blocks and tiny values in others; halves; denormal; huge. */
static inline float input_value(int kind, uint64_t i) {
    float x = random_normal((uint64_t)kind + 1, i);
    float tiny = i / 16 % 3 == 0 ? 1e-6f : 1;
    switch (kind) {
    case 1: return rintf(x * 2) * 0.25f;
    case 2: return i / 256 % 3 == 0 ? 0 : x;
    case 3: return i % 97 == 0 ? x * 64 : x;
    case 4: return fabsf(x);
    case 5: return -fabsf(x);
    case 6: return i / 32 % 5 == 0 ? 0.75f : x * tiny;
    case 7: return half_to_float(half_from_float(x * 0.02f));
    case 8: return x * 0x1p-132f;
    case 9: return x * 0x1p14f;
    default: return x * 0.05f;
    }
}

/* Mean squares of activations spread over decades; every fourth block has none in odd kinds. */
static inline float input_importance(int kind, uint64_t i) {
    float u = random_uniform((uint64_t)kind + 100, i, 0, 1);
    return kind % 2 && i / 32 % 4 == 0 ? 0 : u * u * u * u * 100;
}

/* w[INPUT_ROWS * INPUT_COLS], importance[INPUT_COLS] */
static inline void input_fill(int kind, float *w, float *importance) {
    for (uint64_t i = 0; i < INPUT_ROWS * INPUT_COLS; i++)
        w[i] = input_value(kind, i);
    for (uint64_t i = 0; i < INPUT_COLS; i++)
        importance[i] = input_importance(kind, i);
}

#endif
