/* test_quantize.c - floats to blocks: llama.cpp's bytes, from every variant; codes and scales apart
 *
 * tests/reference/quantized.py made quantized.h and says how.
 */
#include "check.h"

#include "kernels/blocks.h"
#include "kernels/codes.h"
#include "tests/quantized_input.h"
#include "tests/random.h"

#define SIZE (INPUT_ROWS * INPUT_COLS)

static const struct reference {
    int type, weighted;
    uint64_t hash;
} references[] = {
#include "tests/reference/quantized.h"
};
#define REFERENCES ((int)(sizeof references / sizeof references[0]))

static float w[SIZE], back[SIZE], importance[INPUT_COLS];
static uint8_t block[4 * SIZE + 64];

static uint64_t hash_of(const struct kern *k, const struct reference *r) {
    uint64_t h = FNV_START;
    size_t bytes = kern_row_bytes(r->type, SIZE);
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        input_fill(kind, w, importance);
        memset(block, 0xa5, sizeof block);
        k->quantize(r->type, w, block, INPUT_ROWS, INPUT_COLS, r->weighted ? importance : NULL);
        CHECK(block[bytes] == 0xa5);
        h = fnv_bytes(h, block, bytes);
    }
    return h;
}

static void bytes_of_llama_cpp(void) {
    const struct kern *k[8];
    int n = kern_variants(k, 8);
    for (int i = 0; i < REFERENCES; i++)
        for (int v = 0; v < n; v++)
            if (hash_of(k[v], &references[i]) != references[i].hash) {
                printf("# %s, %s, importance %d\n", kern_type_info(references[i].type)->name,
                       k[v]->name, references[i].weighted);
                check_bad++;
            }
}

/* Rows can be shared out among threads. */
static void rows_are_apart(void) {
    static uint8_t again[sizeof block];
    const struct kern *k = kern_select("ref", NULL);
    input_fill(3, w, importance);
    for (int i = 0; i < REFERENCES; i++) {
        int type = references[i].type;
        size_t row = kern_row_bytes(type, INPUT_COLS);
        const float *im = references[i].weighted ? importance : NULL;
        k->quantize(type, w, block, INPUT_ROWS, INPUT_COLS, im);
        for (int r = 0; r < INPUT_ROWS; r++)
            k->quantize(type, w + r * INPUT_COLS, again + (size_t)r * row, 1, INPUT_COLS, im);
        CHECK(!memcmp(block, again, row * INPUT_ROWS));
    }
}

/* Every variant of dequantize gives the specification's bits, odd lengths of floats too. */
static void back_to_floats(void) {
    static float want[SIZE];
    const struct kern *k[8];
    int n = kern_variants(k, 8);
    for (int type = 0; type < KERN_TYPES; type++) {
        const struct kern_type_info *info = kern_type_info(type);
        if (!info)
            continue;
        int64_t count = info->block == 1 ? SIZE - 3 : SIZE;
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)random_bits(9, i);
        kern_dequantize(type, block, want, count);
        for (int v = 0; v < n; v++) {
            memset(back, 0, sizeof back);
            k[v]->dequantize(type, block, back, count);
            CHECK(!memcmp(back, want, (size_t)count * sizeof *back));
        }
    }
}

/* The levels of a block: scale * level - min is the value, to the bit. */
static void levels_of(const struct kern_grid *g, const uint8_t *b, int type, int8_t *level) {
    struct block_values v;
    block_decode(block_form(type), b, &v);
    memcpy(level, v.q, (size_t)kern_type_info(type)->block);
    for (int i = 0; i < kern_type_info(type)->block; i++) {
        int ok = 0;
        for (int c = 0; c < g->levels && !ok; c++)
            ok = level[i] == (g->table ? g->table[c] : g->first + c);
        CHECK(ok);
    }
}

/* Codes taken out, wiped and put back give the same values and the same scales. */
static void codes_come_back(void) {
    for (int type = 0; type < KERN_TYPES; type++) {
        if (!block_form(type))
            continue;
        const struct kern_type_info *info = kern_type_info(type);
        input_fill(0, w, importance);
        kern_select("ref", NULL)->quantize(type, w, block, INPUT_ROWS, INPUT_COLS, NULL);
        for (int b = 0; b < SIZE / info->block; b++) {
            uint8_t *at = block + b * info->bytes;
            float want[BLOCK_MAX];
            float got[BLOCK_MAX];
            int8_t level[BLOCK_MAX];
            int8_t same[BLOCK_MAX];
            struct kern_grid g;
            kern_dequantize(type, at, want, info->block);
            kern_block_grid(type, at, &g);
            levels_of(&g, at, type, level);
            memset(same, level[0], sizeof same);
            kern_block_store(type, at, same);
            kern_dequantize(type, at, got, info->block);
            for (int i = 0; i < info->block; i++)
                CHECK(got[i] == g.scale[i / g.group] * (float)level[0] - g.min[i / g.group]);
            kern_block_store(type, at, level);
            kern_dequantize(type, at, got, info->block);
            for (int i = 0; i < info->block; i++)
                CHECK(got[i] == want[i] &&
                      got[i] == g.scale[i / g.group] * (float)level[i] - g.min[i / g.group]);
        }
    }
}

/* w [rows][cols] becomes the same bytes, and none beyond the last row, by every variant. */
static void same_bytes(const struct reference *r, int64_t rows, int64_t cols) {
    static uint8_t want[sizeof block];
    const struct kern *k[8];
    int n = kern_variants(k, 8);
    size_t bytes = kern_row_bytes(r->type, rows * cols);
    for (int v = 0; v < n; v++) {
        memset(block, 0xa5, sizeof block);
        k[v]->quantize(r->type, w, block, rows, cols, r->weighted ? importance : NULL);
        CHECK(block[bytes] == 0xa5);
        if (v == 0)
            memcpy(want, block, bytes);
        CHECK(!memcmp(want, block, bytes));
    }
}

/* Not numbers, infinite, and beyond halves: some bytes or other, the same from every variant, and
 * none beyond the row. */
static void odd_numbers(void) {
    for (int kind = 0; kind < 4; kind++) {
        input_fill(0, w, importance);
        for (int i = kind; i < SIZE; i += 37)
            w[i] = kind == 0 ? NAN : kind == 1 ? INFINITY : kind == 2 ? -3e38f : 1e30f;
        for (int i = 0; i < REFERENCES; i++)
            same_bytes(&references[i], INPUT_ROWS, INPUT_COLS);
    }
}

/* Few and many blocks, some of them of other kinds or with numbers that no weight has: what a
 * variant takes side by side does not matter. */
static void variants_agree(void) {
    state = 1;
    for (int round = 0; round < 60; round++) {
        input_fill(below(INPUT_KINDS), w, importance);
        for (int i = 0; i < SIZE; i += 32)
            for (int j = 0, kind = below(INPUT_KINDS); j < 32 && below(4) == 0; j++)
                w[i + j] = input_value(kind, (uint64_t)(i + j));
        for (int i = below(4); i < 4; i++)
            w[below(SIZE)] = (float[]){NAN, INFINITY, 2e30f, 1e-40f}[i];
        for (int i = 0; i < REFERENCES; i++) {
            const struct kern_type_info *info = kern_type_info(references[i].type);
            int64_t cols = info->block * (1 + below(INPUT_COLS / info->block));
            same_bytes(&references[i], 1 + below(INPUT_ROWS), cols);
        }
    }
}

static void who_takes_importance(void) {
    CHECK(kern_takes_importance(KERN_Q4_K) && kern_takes_importance(KERN_IQ4_NL));
    CHECK(!kern_takes_importance(KERN_F16) && !kern_takes_importance(KERN_Q8_0));
}

int main(void) {
    RUN(bytes_of_llama_cpp);
    RUN(rows_are_apart);
    RUN(back_to_floats);
    RUN(codes_come_back);
    RUN(odd_numbers);
    RUN(variants_agree);
    RUN(who_takes_importance);
    return check_done();
}
