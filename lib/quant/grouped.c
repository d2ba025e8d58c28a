/* grouped.c - a matrix in groups of columns that share a scale, see grouped.h */
#include "lib/quant/grouped.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/blocks.h"
#include "kernels/codes.h"
#include "lib/base/mem.h"

#define HALF_MAX 65504.0f
#define HALF_BITS 11            /* of a half's significand */
#define SUPER 256               /* elements of a K type's block */
#define BLOCK 32

struct grouped *grouped_new(int64_t rows, int64_t cols, int bits, int group, int symmetric) {
    struct grouped *g = mem_alloc(sizeof *g);
    *g = (struct grouped){.rows = rows, .cols = cols, .bits = bits, .symmetric = symmetric};
    g->group = group < 0 || group > cols ? (int)cols : group;
    g->groups = (cols + g->group - 1) / g->group;
    g->code = mem_array((size_t)(rows * cols), sizeof *g->code);
    g->scale = mem_array((size_t)(rows * g->groups), sizeof *g->scale);
    g->zero = mem_array((size_t)(rows * g->groups), sizeof *g->zero);
    return g;
}

void grouped_free(struct grouped *g) {
    if (!g)
        return;
    free(g->index);
    free(g->zero);
    free(g->scale);
    free(g->code);
    free(g);
}

/* ---- ranges ----------------------------------------------------------------------------- */

/* x as a half that has at most `bits` significant bits. Above 0: the smallest half at least. */
static float round_scale(float x, int bits, int code_bits) {
    float most = HALF_MAX / (float)(1 << code_bits);
    int exponent;
    float fraction = frexpf(x < most ? x : most, &exponent);
    float coarse = ldexpf(rintf(ldexpf(fraction, bits)), exponent - bits);
    float half = block_half(block_to_half(coarse));
    return half > 0 ? half : 0x1p-24f;
}

static int is_half(float x) {
    return block_half(block_to_half(x)) == x;
}

/* From low (at most 0) to high (at least 0), not both 0. */
static void range_between(float low, float high, int bits, float *scale, uint8_t *zero) {
    int most = (1 << bits) - 1;
    float exact = high / (float)most - low / (float)most;
    float z = rintf(-low / round_scale(exact, HALF_BITS, bits));
    if (z < 1) {                /* almost all positive: one code remains for below 0 */
        float above = high / (float)(most - 1);
        exact = above > -low ? above : -low;
        z = 1;
    }
    *zero = (uint8_t)(z < (float)most ? z : (float)most);
    int room = HALF_BITS;
    do
        *scale = round_scale(exact, room--, bits);
    while (bits <= 4 && !is_half(*scale * (float)*zero));
}

void grouped_range(const float *x, int64_t n, int64_t stride, int bits, int symmetric,
                   float shrink, float *scale, uint8_t *zero) {
    float low = 0;
    float high = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = x[i * stride];
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    int middle = 1 << (bits - 1);
    float widest = high > -low ? high : -low;
    if (widest == 0) {
        *scale = 1;
        *zero = (uint8_t)middle;
    } else if (symmetric) {
        *scale = round_scale(widest * shrink / ((float)((1 << bits) - 1) / 2), HALF_BITS, bits);
        *zero = (uint8_t)middle;
    } else {
        range_between(low * shrink, high * shrink, bits, scale, zero);
    }
}

uint8_t grouped_code(float x, float scale, uint8_t zero, int bits) {
    float v = rintf(x / scale) + (float)zero;
    float most = (float)((1 << bits) - 1);
    return (uint8_t)(v > 0 ? v < most ? v : most : 0);
}

/* ---- whole matrices --------------------------------------------------------------------- */

void grouped_round_row(struct grouped *g, int64_t r, const float *w) {
    assert(!g->index);
    for (int64_t i = 0; i < g->groups; i++) {
        int64_t first = i * g->group;
        int64_t n = g->cols - first < g->group ? g->cols - first : g->group;
        float *scale = &g->scale[r * g->groups + i];
        uint8_t *zero = &g->zero[r * g->groups + i];
        grouped_range(w + first, n, 1, g->bits, g->symmetric, 1, scale, zero);
        for (int64_t c = first; c < first + n; c++)
            g->code[r * g->cols + c] = grouped_code(w[c], *scale, *zero, g->bits);
    }
}

void grouped_round(struct grouped *g, const float *w) {
    for (int64_t r = 0; r < g->rows; r++)
        grouped_round_row(g, r, w + r * g->cols);
}

void grouped_values(const struct grouped *g, int64_t r, float *out) {
    const uint8_t *code = g->code + r * g->cols;
    const float *scale = g->scale + r * g->groups;
    const uint8_t *zero = g->zero + r * g->groups;
    for (int64_t c = 0; c < g->cols; c++) {
        int64_t i = g->index ? g->index[c] : c / g->group;
        out[c] = scale[i] * (float)(code[c] - zero[i]);
    }
}

/* ---- as GGUF blocks --------------------------------------------------------------------- */

int grouped_type(int bits, int group, int symmetric, int64_t cols) {
    int one = group < 0 || group >= cols;
    if (cols % BLOCK || (!one && group % BLOCK))
        return -1;
    int super = cols % SUPER == 0 && (one || group % SUPER == 0);
    if (bits == 2 && super)
        return KERN_Q2_K;
    if (bits == 3 && super && symmetric)
        return KERN_Q3_K;
    if (bits <= 4)
        return symmetric ? KERN_Q4_0 : super ? KERN_Q4_K : KERN_Q4_1;
    return symmetric ? KERN_Q8_0 : -1;
}

static void put_half(uint8_t *p, float x) {
    uint16_t h = block_to_half(x);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

/* A block whose scale is `scale` and whose minimum is scale * zero; its codes come later. Q3_K has
 * 6-bit scales plus 32 (low four bits of two in a byte, then high two of four), Q4_K 6-bit scales
 * and minima (of the first four plain; of the last four the low four bits of both in a byte). */
static void put_scale(int type, void *block, float scale, uint8_t zero) {
    if (type == KERN_Q4_0) {
        put_half(((struct block_q4_0 *)block)->d, scale);
    } else if (type == KERN_Q8_0) {
        put_half(((struct block_q8_0 *)block)->d, scale);
    } else if (type == KERN_Q4_1) {
        put_half(((struct block_q4_1 *)block)->d, scale);
        put_half(((struct block_q4_1 *)block)->m, -scale * (float)zero);
    } else if (type == KERN_Q2_K) {
        struct block_q2_k *b = block;
        put_half(b->d, scale);
        put_half(b->dmin, scale);
        memset(b->scales, 1 | zero << 4, sizeof b->scales);
    } else if (type == KERN_Q3_K) {
        struct block_q3_k *b = block;
        put_half(b->d, scale);
        memset(b->scales, 0x11, 8);
        memset(b->scales + 8, 0xaa, 4);
    } else {
        struct block_q4_k *b = block;
        put_half(b->d, scale);
        put_half(b->dmin, scale);
        memset(b->scales, 1, 4);
        memset(b->scales + 4, zero, 4);
        memset(b->scales + 8, 1 | zero << 4, 4);
    }
}

void grouped_store(const struct grouped *g, int64_t r, int type, void *dst) {
    const struct kern_type_info *info = kern_type_info(type);
    int minima = type == KERN_Q4_1 || type == KERN_Q2_K || type == KERN_Q4_K;
    int8_t level[SUPER];
    memset(dst, 0, kern_row_bytes(type, g->cols));
    for (int64_t c = 0; c < g->cols; c += info->block) {
        int64_t i = r * g->groups + c / g->group;
        void *block = (char *)dst + c / info->block * info->bytes;
        for (int k = 0; k < info->block; k++)
            level[k] = (int8_t)(g->code[r * g->cols + c + k] - (minima ? 0 : g->zero[i]));
        put_scale(type, block, g->scale[i], g->zero[i]);
        kern_block_store(type, block, level);
    }
}

struct store_job {
    const struct grouped *g;
    int type;
    const struct kern *k;
    char *dst;
};

static void store_part(void *arg, int ith, int nth) {
    const struct store_job *job = arg;
    const struct grouped *g = job->g;
    size_t row_bytes = kern_row_bytes(job->type, g->cols);
    float *value = mem_array((size_t)g->cols, sizeof *value);
    for (int64_t r = g->rows * ith / nth; r < g->rows * (ith + 1) / nth; r++) {
        char *dst = job->dst + (size_t)r * row_bytes;
        if (kern_type_info(job->type)->block > 1) {
            grouped_store(g, r, job->type, dst);
            continue;
        }
        grouped_values(g, r, value);
        job->k->quantize(job->type, value, dst, 1, g->cols, NULL);
    }
    free(value);
}

void grouped_store_all(const struct grouped *g, int type, const struct kern *k, struct par *par,
                       void *dst) {
    par_run(par, store_part, &(struct store_job){g, type, k, dst});
}
