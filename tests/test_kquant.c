/* test_kquant.c - K types: llama.cpp's bytes, and the same bytes from every variant
 *
 * tests/reference/kquant_hashes.py made kquant_hashes.h and has the generators of `value` and
 * `importance_at`. Everything else compares the variants with the reference on input that is made
 * to leave the paths which weights take: ties, parts that vanish beside others, ranges of 2^-149
 * to 2^127, NaNs and infinities, importance that is zero, negative or not a number.
 */
#include "check.h"

#include "kernels/kern.h"
#include "quantize_simple.h"
#include "random.h"

#define ROWS 7
#define COLS 768
#define SIZE (ROWS * COLS)

enum kind { NORMAL, SPARSE, OUTLIERS, TIES, NEGATIVE, FADING, TINY, CONSTANT };
enum weight { NONE, UNIFORM, GAPS, ZERO, SIGNED };

static const struct reference {
    int type;
    enum kind kind;
    enum weight weight;
    uint64_t hash;
} references[] = {
#include "tests/reference/kquant_hashes.h"
};
#define REFERENCES ((int)(sizeof references / sizeof references[0]))

static const int types[] = {KERN_Q2_K, KERN_Q3_K, KERN_Q4_K, KERN_Q5_K, KERN_Q6_K};
#define TYPES ((int)(sizeof types / sizeof types[0]))

static const struct kern *variants[8];
static int variant_count;
static const struct kern *ref;

/* ---- llama.cpp's bytes ------------------------------------------------------------------ */

static float value(enum kind kind, uint64_t i) {
    float x = random_normal(1, i) * 0.0625f;
    switch (kind) {
    case SPARSE: return random_bits(2, i / 16) % 4 == 0 ? x : 0;
    case OUTLIERS: return random_bits(2, i) % 97 == 0 ? x * 64 : x;
    case TIES: return (float)((int)(random_bits(2, i) % 33) - 16) * 0x1p-8f;
    case NEGATIVE: return -fabsf(x) - (random_bits(2, i / 32) % 2 == 0 ? 0.125f : 0);
    case FADING: return ldexpf(x, -(int)(i / 16 % 20));
    case TINY: return x * 0x1p-40f * 0x1p-95f;
    case CONSTANT: return i / 256 % 2 == 0 ? -0.25f : 0.375f;
    default: return x;
    }
}

static float importance_at(enum weight weight, uint64_t i) {
    float u = random_uniform(3, i, 0, 1);
    switch (weight) {
    case GAPS: return i / 32 % 3 == 0 ? 0 : u;
    case ZERO: return 0;
    case SIGNED: return random_normal(3, i);
    default: return u;
    }
}

static void equals_llama_cpp(const struct kern *k) {
    static float x[SIZE];
    static uint8_t out[SIZE];
    float importance[COLS];
    for (int r = 0; r < REFERENCES; r++) {
        const struct reference *want = &references[r];
        for (uint64_t i = 0; i < SIZE; i++)
            x[i] = value(want->kind, i);
        for (uint64_t i = 0; i < COLS; i++)
            importance[i] = importance_at(want->weight, i);
        k->quantize(want->type, x, out, ROWS, COLS, want->weight == NONE ? NULL : importance);
        if (fnv_bytes(FNV_START, out, kern_row_bytes(want->type, SIZE)) == want->hash)
            continue;
        printf("# %s of %s, values %d, importance %d\n", k->name,
               kern_type_info(want->type)->name, (int)want->kind, (int)want->weight);
        check_bad++;
    }
}

/* ---- every variant as the reference ------------------------------------------------------ */

static float uniform(void) {
    return (float)(next() >> 40) * 0x1p-24f;
}

static float normal(void) {
    return uniform() + uniform() + uniform() + uniform() - 2;
}

static float random_float(void) {
    uint32_t bits = (uint32_t)next();
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Kinds of input; `scale` is one number for the whole matrix. */
#define SHAPES 18
static float shaped(int shape, float scale, int i) {
    switch (shape) {
    case 0: return normal() * scale;
    case 1: return below(8) ? 0 : normal() * scale;
    case 2: return scale;
    case 3: return normal() * 1e-40f;
    case 4: return below(200) ? normal() * 1e-3f : normal() * 1000;
    case 5: return -fabsf(normal()) * scale - (below(2) ? 0 : scale);
    case 6: return (float)(below(33) - 16) * 0.5f * scale;
    case 7: return ldexpf(normal(), below(60) - 40);
    case 8: return ldexpf(normal(), i / 16 % 30 - 25);
    case 9: return ldexpf(uniform() + 1, below(60) - 27) * (below(2) ? 1 : -1);
    case 10: return normal() * 1e30f;
    case 11: return fabsf(normal()) * scale;
    case 12: return scale * (1 + normal() * 1e-6f);
    case 13: return ldexpf(normal(), -below(150));
    case 14: return random_float();
    case 15: return below(300) ? normal() : NAN;
    case 16: return below(300) ? normal() : i % 2 ? INFINITY : -INFINITY;
    default: return i / 32 % 8 == 3 ? normal() : 0.25f * scale;
    }
}

#define BLENDS 9
static float blended(int blend, int i) {
    switch (blend) {
    case 1: return fabsf(normal());
    case 2: return 0;
    case 3: return i / 32 % 3 ? uniform() : 0;
    case 4: return normal();
    case 5: return below(50) ? uniform() : NAN;
    case 6: return uniform() * 1e30f;
    case 7: return ldexpf(uniform(), below(100) - 50);
    default: return random_float();
    }
}

/* Memory of just the size, so that the sanitizers see a step beyond. */
static void compare(int type, const float *x, int64_t rows, int64_t cols,
                    const float *importance, int shape, int blend) {
    size_t bytes = kern_row_bytes(type, rows * cols);
    uint8_t *want = malloc(bytes);
    memset(want, 1, bytes);
    ref->quantize(type, x, want, rows, cols, importance);
    for (int v = 0; v < variant_count; v++) {
        uint8_t *got = malloc(bytes);
        memset(got, 2, bytes);
        variants[v]->quantize(type, x, got, rows, cols, importance);
        if (memcmp(got, want, bytes)) {
            printf("# %s of %s, input %d, importance %d\n", variants[v]->name,
                   kern_type_info(type)->name, shape, blend);
            check_bad++;
        }
        free(got);
    }
    free(want);
}

static void variants_agree(int type) {
    state = (uint64_t)type;
    for (int shape = 0; shape < SHAPES; shape++)
        for (int blend = 0; blend < BLENDS; blend++) {
            int64_t rows = 1 + below(6);
            int64_t cols = 256 * (1 + below(4));
            float *x = malloc((size_t)(rows * cols) * sizeof *x);
            float *importance = malloc((size_t)cols * sizeof *importance);
            float scale = ldexpf(1, below(20) - 14);
            for (int i = 0; i < rows * cols; i++)
                x[i] = shaped(shape, scale, i);
            for (int i = 0; i < cols; i++)
                importance[i] = blended(blend, i);
            compare(type, x, rows, cols, blend ? importance : NULL, shape, blend);
            free(x);
            free(importance);
        }
}

/* ---- what the numbers mean -------------------------------------------------------------- */

/* Rows apart, from addresses that are no multiple of a vector, give what they give together. */
static void rows_are_apart(void) {
    static float x[SIZE + 1];
    static uint8_t together[SIZE];
    static uint8_t apart[SIZE + 1];
    float importance[COLS];
    for (uint64_t i = 0; i < SIZE; i++)
        x[i + 1] = value(NORMAL, i);
    for (uint64_t i = 0; i < COLS; i++)
        importance[i] = importance_at(UNIFORM, i);
    for (int t = 0; t < TYPES; t++)
        for (int v = 0; v < variant_count; v++) {
            size_t bytes = kern_row_bytes(types[t], COLS);
            variants[v]->quantize(types[t], x + 1, together, ROWS, COLS, importance);
            for (int row = 0; row < ROWS; row++)
                variants[v]->quantize(types[t], x + 1 + row * COLS,
                                      apart + 1 + (size_t)row * bytes, 1, COLS, importance);
            CHECK(!memcmp(together, apart + 1, ROWS * bytes));
        }
}

/* sum w (x - dequantized x)^2 / sum w x^2 */
static double error_of(int type, const float *x, const float *importance, const float *w) {
    static uint8_t block[SIZE];
    static float back[SIZE];
    double error = 0;
    double total = 0;
    variants[variant_count - 1]->quantize(type, x, block, ROWS, COLS, importance);
    kern_dequantize(type, block, back, SIZE);
    for (int i = 0; i < SIZE; i++) {
        double e = (double)x[i] - (double)back[i];
        error += (double)w[i % COLS] * e * e;
        total += (double)w[i % COLS] * (double)x[i] * (double)x[i];
    }
    return error / total;
}

/* Normal numbers keep about 6 dB a bit; errors that importance weighs become smaller by it. */
static void errors_are_small(void) {
    static float x[SIZE];
    static const double most[] = {0.12, 0.04, 0.0085, 0.0023, 0.0006};
    float w[COLS];
    float one[COLS];
    for (uint64_t i = 0; i < SIZE; i++)
        x[i] = value(NORMAL, i);
    for (uint64_t i = 0; i < COLS; i++) {
        float u = random_uniform(5, i, 0, 1);
        w[i] = u * u * u * u;
        one[i] = 1;
    }
    for (int t = 0; t < TYPES; t++) {
        double plain = error_of(types[t], x, NULL, one);
        CHECK(plain > most[t] / 3 && plain < most[t]);
        CHECK(error_of(types[t], x, w, w) < error_of(types[t], x, NULL, w));
    }
}

/* What has one value a part, or none at all, comes back. */
static void plain_values_come_back(void) {
    static float x[SIZE];
    static float back[SIZE];
    static uint8_t block[SIZE];
    for (int t = 0; t < TYPES; t++) {
        size_t bytes = kern_row_bytes(types[t], SIZE);
        memset(x, 0, sizeof x);
        memset(block, 0x5a, sizeof block);
        ref->quantize(types[t], x, block, ROWS, COLS, NULL);
        kern_dequantize(types[t], block, back, SIZE);
        for (int i = 0; i < SIZE; i++)
            CHECK(back[i] == 0);
        CHECK(bytes == sizeof block || block[bytes] == 0x5a);
        for (int i = 0; i < SIZE; i++)
            x[i] = -0.25f;
        ref->quantize(types[t], x, block, ROWS, COLS, NULL);
        kern_dequantize(types[t], block, back, SIZE);
        for (int i = 0; i < SIZE; i++)
            CHECK_NEAR((double)back[i], -0.25, 0.25 * 0x1p-10);
    }
}

/* As kquant.h says. */
static void no_importance_at_all_wipes(void) {
    static float x[SIZE];
    static float back[SIZE];
    static uint8_t block[SIZE];
    static const float importance[COLS];
    for (uint64_t i = 0; i < SIZE; i++)
        x[i] = value(NORMAL, i);
    for (int t = 0; t < TYPES; t++) {
        ref->quantize(types[t], x, block, ROWS, COLS, importance);
        kern_dequantize(types[t], block, back, SIZE);
        for (int i = 0; i < SIZE; i++)
            CHECK(back[i] == 0);
    }
}

int main(void) {
    variant_count = kern_variants(variants, 8);
    ref = kern_select("ref", NULL);
    for (int v = 0; v < variant_count; v++) {
        char name[64];
        snprintf(name, sizeof name, "equals_llama_cpp_%s", variants[v]->name);
        RUN_NAMED(name, equals_llama_cpp(variants[v]));
    }
    for (int t = 0; t < TYPES; t++) {
        char name[64];
        snprintf(name, sizeof name, "variants_agree_%s", kern_type_info(types[t])->name);
        RUN_NAMED(name, variants_agree(types[t]));
    }
    RUN(rows_are_apart);
    RUN(errors_are_small);
    RUN(plain_values_come_back);
    RUN(no_importance_at_all_wipes);
    return check_done();
}
