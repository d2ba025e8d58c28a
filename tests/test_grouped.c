/* test_grouped.c - lib/quant/grouped: ranges, codes, and the same values as GGUF blocks */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "kernels/blocks.h"
#include "kernels/kern.h"
#include "lib/quant/grouped.h"
#include "tests/check.h"
#include "tests/random.h"

static const int all_bits[] = {2, 3, 4, 8};
#define BITS (int)(sizeof all_bits / sizeof *all_bits)

static float uniform(void) {
    struct rng r = {state};
    double u = rng_unit(&r);
    state = r.state;
    return (float)(2 * u - 1);
}

static int is_half(float x) {
    return block_half(block_to_half(x)) == x;
}

/* ---- ranges ----------------------------------------------------------------------------- */

/* 2^bits - 1 steps from -7.5 to 7.5; min and max of the other kind. */
static void known_ranges(void) {
    const float x[] = {-7.5f, 3, 0.25f};
    float scale;
    uint8_t zero;
    grouped_range(x, 3, 1, 4, 1, 1, &scale, &zero);
    CHECK(scale == 1 && zero == 8);
    grouped_range(x, 3, 1, 4, 1, 0.5f, &scale, &zero);
    CHECK(scale == 0.5f && zero == 8);
    const float y[] = {-3, 0, 12, 0};
    grouped_range(y, 2, 2, 4, 0, 1, &scale, &zero);
    CHECK(scale == 1 && zero == 3);
    CHECK_INT(grouped_code(-3, scale, zero, 4), 0);
    CHECK_INT(grouped_code(12, scale, zero, 4), 15);
    CHECK_INT(grouped_code(0, scale, zero, 4), 3);
    CHECK_INT(grouped_code(0.5f, scale, zero, 4), 3);       /* ties to even, before the zero */
    CHECK_INT(grouped_code(1.5f, scale, zero, 4), 5);
    CHECK_INT(grouped_code(1e30f, scale, zero, 4), 15);
    CHECK_INT(grouped_code(-INFINITY, scale, zero, 4), 0);
    CHECK_INT(grouped_code(NAN, scale, zero, 4), 0);
}

/* Whatever comes, scale is a half above 0, zero fits, and so does the minimum. */
static void hard_ranges(void) {
    static const float sizes[] = {0, FLT_TRUE_MIN, 1e-30f, 1e-8f, 1e-5f, 1, 6e4f, 1e9f, FLT_MAX,
                                  INFINITY, NAN};
    for (int b = 0; b < BITS; b++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (int sign = 0; sign < 8; sign++) {
                float x[2] = {sign & 1 ? -sizes[i] : sizes[i], sign & 2 ? -1e-3f : sizes[i] / 3};
                int symmetric = sign >> 2;
                int bits = all_bits[b];
                float scale;
                uint8_t zero;
                grouped_range(x, 2, 1, bits, symmetric, 1, &scale, &zero);
                CHECK(is_half(scale) && scale > 0 && isfinite(scale));
                CHECK(zero < 1 << bits && zero >= 1);
                CHECK(bits == 8 || (is_half(scale * zero) && isfinite(scale * zero)));
                CHECK(!symmetric || zero == 1 << (bits - 1));
            }
}

/* The code is the nearest one, and what is within the range is off by half a step at most; the
 * range itself moves when its ends become codes and halves. */
static void nearest(void) {
    state = 5;
    for (int turn = 0; turn < 4000; turn++) {
        int bits = all_bits[below(BITS)];
        int symmetric = below(2);
        float x[32];
        float shift = 2 * uniform();
        for (int i = 0; i < 32; i++)
            x[i] = uniform() + shift;
        float scale;
        uint8_t zero;
        grouped_range(x, 32, 1, bits, symmetric, 1, &scale, &zero);
        for (int i = 0; i < 32; i++) {
            int code = grouped_code(x[i], scale, zero, bits);
            float error = fabsf(x[i] - scale * (float)(code - zero));
            for (int c = 0; c < 1 << bits; c++)
                CHECK(error <= fabsf(x[i] - scale * (float)(c - zero)));
            CHECK(error <= scale * (symmetric ? 0.6f : 1.25f));
        }
    }
}

/* ---- matrices --------------------------------------------------------------------------- */

static void short_last_group(void) {
    float w[3 * 40];
    float out[40];
    state = 6;
    for (int i = 0; i < 3 * 40; i++)
        w[i] = uniform();
    struct grouped *g = grouped_new(3, 40, 4, 32, 1);
    CHECK_INT(g->groups, 2);
    grouped_round(g, w);
    for (int r = 0; r < 3; r++) {
        float scale;
        uint8_t zero;
        grouped_range(w + r * 40 + 32, 8, 1, 4, 1, 1, &scale, &zero);
        CHECK(g->scale[2 * r + 1] == scale);
        grouped_values(g, r, out);
        for (int c = 0; c < 40; c++)
            CHECK(fabsf(out[c] - w[r * 40 + c]) <= 0.51f * g->scale[2 * r + c / 32]);
    }
    grouped_free(g);
    g = grouped_new(3, 40, 4, -1, 1);
    CHECK(g->groups == 1 && g->group == 40);
    grouped_free(g);
    grouped_free(NULL);
}

static void by_index(void) {
    struct grouped *g = grouped_new(1, 4, 4, 2, 1);
    float out[4];
    g->index = malloc(4 * sizeof *g->index);
    for (int c = 0; c < 4; c++) {
        g->index[c] = c % 2;
        g->code[c] = (uint8_t)(8 + c);
    }
    g->scale[0] = 1;
    g->scale[1] = 0.5f;
    g->zero[0] = g->zero[1] = 8;
    grouped_values(g, 0, out);
    CHECK(out[0] == 0 && out[1] == 0.5f && out[2] == 2 && out[3] == 1.5f);
    grouped_free(g);
}

/* ---- blocks ----------------------------------------------------------------------------- */

static void types(void) {
    CHECK_INT(grouped_type(4, 128, 1, 640), KERN_Q4_0);
    CHECK_INT(grouped_type(4, 128, 0, 640), KERN_Q4_1);
    CHECK_INT(grouped_type(4, -1, 0, 640), KERN_Q4_1);
    CHECK_INT(grouped_type(4, -1, 0, 1024), KERN_Q4_K);
    CHECK_INT(grouped_type(4, 256, 0, 1024), KERN_Q4_K);
    CHECK_INT(grouped_type(3, 128, 1, 1024), KERN_Q4_0);
    CHECK_INT(grouped_type(3, -1, 1, 1024), KERN_Q3_K);
    CHECK_INT(grouped_type(3, -1, 0, 1024), KERN_Q4_K);
    CHECK_INT(grouped_type(2, 256, 0, 1024), KERN_Q2_K);
    CHECK_INT(grouped_type(2, 64, 1, 1024), KERN_Q4_0);
    CHECK_INT(grouped_type(8, 128, 1, 640), KERN_Q8_0);
    CHECK_INT(grouped_type(8, 128, 0, 640), -1);
    CHECK_INT(grouped_type(4, 128, 1, 80), -1);
    CHECK_INT(grouped_type(4, -1, 1, 80), -1);
    CHECK_INT(grouped_type(4, 48, 1, 960), -1);
}

/* Every block type gives back the values of random matrices, to the bit. */
static void stored(void) {
    static const int groups[] = {32, 64, 128, 256, 512, -1};
    enum { COLS = 768 };
    float w[COLS];
    float want[COLS];
    float got[COLS];
    unsigned char blocks[COLS * 4];
    int seen[KERN_TYPES] = {0};
    state = 7;
    for (int turn = 0; turn < 3000; turn++) {
        int bits = all_bits[below(BITS)];
        int symmetric = below(2);
        int cols = below(2) ? COLS : 640;
        int group = groups[below(6)];
        float size = ldexpf(1, below(40) - 30);
        int type = grouped_type(bits, group, symmetric, cols);
        if (type < 0)
            continue;
        for (int c = 0; c < cols; c++)
            w[c] = (uniform() + (turn % 3 == 0 ? 0.9f : 0)) * size;
        struct grouped *g = grouped_new(1, cols, bits, group, symmetric);
        grouped_round(g, w);
        grouped_values(g, 0, want);
        grouped_store(g, 0, type, blocks);
        kern_dequantize(type, blocks, got, cols);
        for (int c = 0; c < cols; c++)
            if (got[c] != want[c]) {
                printf("# %s, %d bits, column %d\n", kern_type_info(type)->name, bits, c);
                CHECK(got[c] == want[c]);
                break;
            }
        seen[type]++;
        grouped_free(g);
    }
    CHECK(seen[KERN_Q4_0] && seen[KERN_Q4_1] && seen[KERN_Q8_0] && seen[KERN_Q2_K]);
    CHECK(seen[KERN_Q3_K] && seen[KERN_Q4_K]);
}

int main(void) {
    RUN(known_ranges);
    RUN(hard_ranges);
    RUN(nearest);
    RUN(short_last_group);
    RUN(by_index);
    RUN(types);
    RUN(stored);
    return check_done();
}
