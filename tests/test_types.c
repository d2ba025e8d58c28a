/* test_types.c - element types against gguf-py's numbers, and the packed layout
 *
 * tests/reference/block_values.py made block_values.h and says how.
 */
#include "check.h"

#include "kernels/blocks.h"
#include "kernels/kern.h"

#define BLOCKS 64

static const struct reference {
    int type;
    const char *name;
    int n;
    uint64_t hash;
    float ends[8];
} references[] = {
#include "tests/reference/block_values.h"
};

/* The generator of block_values.py. */
static void fill_source(int type, size_t size, uint8_t *out) {
    uint32_t x = (uint32_t)type;
    for (size_t i = 0; i < size * BLOCKS; i++) {
        x = x * 1664525 + 1013904223;
        out[i] = (uint8_t)(x >> 24);
    }
}

static void clear_bit_14(uint8_t *half) {
    half[1] &= 0xbf;
}

static void make_finite(int type, uint8_t *b) {
    switch (type) {
    case KERN_Q4_1: case KERN_Q5_1: case KERN_Q4_K: case KERN_Q5_K:
        clear_bit_14(b + 2);
        clear_bit_14(b);
        break;
    case KERN_Q4_0: case KERN_Q5_0: case KERN_Q8_0: case KERN_IQ4_NL: case KERN_IQ4_XS:
    case KERN_F16:
        clear_bit_14(b);
        break;
    case KERN_Q2_K:
        clear_bit_14(b + 80);
        clear_bit_14(b + 82);
        break;
    case KERN_Q3_K:
        clear_bit_14(b + 108);
        break;
    case KERN_Q6_K:
        clear_bit_14(b + 208);
        break;
    case KERN_TQ2_0:
        clear_bit_14(b + 64);
        break;
    case KERN_MXFP4:
        b[0] &= 0x7f;
        break;
    default:
        break;
    }
}

static uint64_t fnv(const void *data, size_t len) {
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3;
    return h;
}

static void equals_gguf_py(const struct reference *r) {
    const struct kern_type_info *info = kern_type_info(r->type);
    static uint8_t src[BLOCKS * BLOCK_MAX_BYTES];
    static float got[BLOCKS * BLOCK_MAX];
    CHECK(info != NULL);
    if (!info)
        return;
    CHECK_STR(info->name, r->name);
    CHECK_INT(info->block * BLOCKS, r->n);
    fill_source(r->type, (size_t)info->bytes, src);
    for (int b = 0; b < BLOCKS; b++)
        make_finite(r->type, src + b * info->bytes);
    kern_dequantize(r->type, src, got, r->n);
    for (int i = 0; i < 4; i++) {
        CHECK(got[i] == r->ends[i]);
        CHECK(got[r->n - 4 + i] == r->ends[4 + i]);
    }
    CHECK(fnv(got, sizeof(float) * (size_t)r->n) == r->hash);
}

static void halves_are_exact(void) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint32_t mag = h & 0x7fff;
        double want = (double)(mag & 0x3ff) / 1024 + (mag >> 10 ? 1 : 0);
        want = ldexp(want, (int)(mag >> 10 ? mag >> 10 : 1) - 15);
        float got = block_half((uint16_t)h);
        if (mag > 0x7c00)
            CHECK(isnan(got));
        else if (mag == 0x7c00)
            CHECK(isinf(got) && !signbit(got) == !(h >> 15));
        else
            CHECK(fabs((double)got) == want && !signbit(got) == !(h >> 15));
    }
}

static void bf16_rounds_to_even(void) {
    CHECK_INT(block_to_bf16(1.0f), 0x3f80);
    CHECK_INT(block_to_bf16(block_bits_float(0x3f808000)), 0x3f80);
    CHECK_INT(block_to_bf16(block_bits_float(0x3f818000)), 0x3f82);
    CHECK_INT(block_to_bf16(block_bits_float(0x3f808001)), 0x3f81);
    CHECK_INT(block_to_bf16(block_bits_float(0x7f7fffff)), 0x7f80);
    CHECK(isnan(block_bf16(block_to_bf16(block_bits_float(0x7f800001)))));
}

static void smallest_exponents_of_mxfp4(void) {
    struct block_mxfp4 b = {0, {0}};
    float y[32];
    b.qs[0] = 2;                            /* the value 1, kept as 2 halves */
    for (int e = 0; e < 255; e++) {
        b.e = (uint8_t)e;
        kern_dequantize(KERN_MXFP4, &b, y, 32);
        CHECK(y[0] == ldexp(1, e - 127));
    }
}

static void unknown_types_have_no_info(void) {
    int known = 0;
    for (int t = -5; t < 300; t++) {
        const struct kern_type_info *info = kern_type_info(t);
        known += info != NULL;
        if (info)
            CHECK(info->block > 0 && info->bytes > 0);
    }
    CHECK_INT(known, 17);
    CHECK(!kern_type_info(KERN_TYPES) && !kern_type_info(-1));
}

/* Rows come back from the packed layout as they were, for every type, with ragged panels. */
static void packed_rows_come_back(int type) {
    const struct kern_type_info *info = kern_type_info(type);
    enum { ROWS = 37 };
    int cols = info->block == 1 ? 7 : 2 * info->block;
    size_t row = kern_row_bytes(type, cols);
    size_t bytes = kern_pack_bytes(type, ROWS, cols);
    uint8_t *src = calloc(ROWS, row);
    uint8_t *dst = malloc(bytes);
    float *want = malloc((size_t)cols * sizeof *want);
    float *got = malloc((size_t)cols * sizeof *got);
    for (size_t i = 0; i < ROWS * row; i++)
        src[i] = (uint8_t)(i * 2654435761u >> 13);
    memset(dst, 0xaa, bytes);
    kern_pack(type, ROWS, cols, src, dst, 2, 3);    /* order does not matter */
    kern_pack(type, ROWS, cols, src, dst, 0, 2);
    struct kern_weight file = {type, KERN_FILE, ROWS, cols, 1, ROWS * row, src};
    struct kern_weight packed = {type, KERN_PACKED, ROWS, cols, 1, bytes, dst};
    for (int r = 0; r < ROWS; r++) {
        kern_weight_row(&file, 0, r, want);
        kern_weight_row(&packed, 0, r, got);
        CHECK(!memcmp(want, got, (size_t)cols * sizeof *got));
    }
    /* a permutation plus zero rows: the same number of every byte value, but for zero */
    int count[256] = {0};
    for (size_t i = 0; i < ROWS * row; i++)
        count[src[i]]++;
    for (size_t i = 0; i < bytes; i++)
        count[dst[i]]--;
    for (int i = 1; i < 256; i++)
        CHECK_INT(count[i], 0);
    free(got);
    free(want);
    free(dst);
    free(src);
}

/* The layout itself, as kern.h describes it, by hand for one type. */
static void q4_k_units_lie_side_by_side(void) {
    enum { ROWS = 16, COLS = 512 };
    static struct block_q4_k src[ROWS][2];
    static uint8_t dst[sizeof src];
    uint8_t *p = (uint8_t *)src;
    for (size_t i = 0; i < sizeof src; i++)
        p[i] = (uint8_t)(i * 2654435761u >> 11);
    CHECK_INT(kern_pack_bytes(KERN_Q4_K, ROWS, COLS), sizeof src);
    kern_pack(KERN_Q4_K, ROWS, COLS, src, dst, 0, 1);
    for (int b = 0; b < 2; b++)
        for (size_t u = 0; u < 36; u++)
            for (size_t r = 0; r < ROWS; r++)
                CHECK(!memcmp(dst + (((size_t)b * 36 + u) * 16 + r) * 4,
                              (uint8_t *)&src[r][b] + 4 * u, 4));
}

int main(void) {
    char name[64];
    RUN(halves_are_exact);
    RUN(bf16_rounds_to_even);
    RUN(smallest_exponents_of_mxfp4);
    RUN(unknown_types_have_no_info);
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        snprintf(name, sizeof name, "%s equals gguf-py", references[i].name);
        RUN_NAMED(name, equals_gguf_py(&references[i]));
    }
    RUN(q4_k_units_lie_side_by_side);
    for (int t = 0; t < KERN_TYPES; t++)
        if (kern_type_info(t)) {
            snprintf(name, sizeof name, "%s rows come back from panels", kern_type_info(t)->name);
            RUN_NAMED(name, packed_rows_come_back(t));
        }
    return check_done();
}
