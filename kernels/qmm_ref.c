/* qmm_ref.c - the specification of matrix products, in plain C
 *
 * What every variant computes for one row of the weights and one column x, bit for bit:
 *
 * Quantized types. x is cut into blocks of 32. With a = max|x| of a block: s = a / 127,
 * q = x * (127 / a) rounded to nearest even; s = 0 and q = 0 where a < QMM_TINY; s = NaN where a
 * is not finite. The row's values are S * w - M in groups of G = 32 or 16 (block_form), so
 *     y = 0
 *     for each group in order of k:
 *         y = fma((float)sum(w * q), S * s, y)            the sum is exact, in integers
 *         y = fma(-M, s * (float)sum(q), y)               types with minima only
 * F32, F16: y = fma(w[k], x[k], y) in order of k.
 * BF16: x is rounded to bf16, to nearest even. For each pair of k in order, the odd one first:
 *     y = fma(w[k+1], x[k+1], y); y = fma(w[k], x[k], y)
 *     Variants that use the CPU's bf16 dot product may differ in the last bits: it flushes
 *     subnormals and some CPUs round once a pair.
 * The bias is added last.
 */
#include <math.h>

#include "kernels/blocks.h"
#include "kernels/impl.h"
#include "kernels/qmm.h"

static void quantize_block(const float *x, struct qmm_x *out) {
    uint32_t top = 0;
    for (int i = 0; i < 32; i++) {
        /* as integers, magnitudes are ordered and NaN is above all */
        uint32_t mag;
        memcpy(&mag, &x[i], sizeof mag);
        mag &= 0x7fffffff;
        top = mag > top ? mag : top;
    }
    float a = block_bits_float(top);
    memset(out, 0, sizeof *out);
    if (top >= 0x7f800000)
        out->s = NAN;
    else if (a >= QMM_TINY) {
        float inverse = 127.0f / a;
        out->s = a / 127.0f;
        for (int i = 0; i < 32; i++)
            out->q[i] = (int8_t)rintf(x[i] * inverse);
    }
    int half[2] = {0, 0};
    for (int i = 0; i < 32; i++)
        half[i / 16] += out->q[i];
    out->sum = out->s * (float)(half[0] + half[1]);
    out->start = -128 * (half[0] + half[1]);
    for (int i = 0; i < 2; i++) {
        out->sum2[i] = out->s * (float)half[i];
        out->start2[i] = -128 * half[i];
    }
}

static void quantize(const float *x, int64_t cols, struct qmm_x *out) {
    for (int64_t i = 0; i < cols; i += 32)
        quantize_block(x + i, out + i / 32);
}

/* y plus one group's part: w[group] against the place `at` (0 or 16) of x. */
static float add_group(const int8_t *w, int group, const struct qmm_x *x, int at, float s, float m,
                       int has_min, float y) {
    int sum = 0;
    for (int i = 0; i < group; i++)
        sum += w[i] * x->q[at + i];
    y = fmaf((float)sum, s * x->s, y);
    if (has_min)
        y = fmaf(-m, group == 32 ? x->sum : x->sum2[at / 16], y);
    return y;
}

static void quantized_row(const struct qmm_job *j, const uint8_t *panel, int r, int64_t row) {
    const struct block_form *form = block_form(j->type);
    int elements = kern_type_info(j->type)->block;
    uint8_t block[BLOCK_MAX_BYTES];
    struct block_values v;
    for (int64_t k = 0; k < j->cols; k += elements) {
        panel = qmm_row_block(j->type, panel, r, block);
        block_decode(form, block, &v);
        for (int c = 0; c < j->n; c++) {
            float *y = qmm_job_y(j, c) + row;
            for (int i = 0; i < elements; i += form->group) {
                const struct qmm_x *x = qmm_job_x(j, c) + (k + i) / 32;
                int g = i / form->group;
                *y = add_group(v.q + i, form->group, x, i % 32, v.s[g], v.m[g], form->has_min, *y);
            }
        }
    }
}

/* F32 and F16 by one element, BF16 by pairs. Tiles are one column wide here. */
static void float_row(const struct qmm_job *j, const uint8_t *panel, int r, int64_t row) {
    int64_t words = qmm_words(j->type, j->cols);
    uint8_t word[4];
    float w[2];
    for (int64_t k = 0; k < words; k++) {
        panel = qmm_row_block(j->type, panel, r, word);
        kern_dequantize(j->type, word, w, j->type == KERN_BF16 ? 2 : 1);
        for (int c = 0; c < j->n; c++) {
            float *y = qmm_job_y(j, c) + row;
            const uint8_t *x = (const uint8_t *)j->x + (size_t)(c * words + k) * 4;
            if (j->type == KERN_BF16) {
                *y = fmaf(w[1], block_bf16(block_u16(x + 2)), *y);
                *y = fmaf(w[0], block_bf16(block_u16(x)), *y);
            } else {
                *y = fmaf(w[0], block_bits_float(block_u32(x)), *y);
            }
        }
    }
}

static void product(const struct qmm_job *j) {
    size_t panel_bytes = qmm_panel_bytes(j->type, j->cols);
    int quantized = block_form(j->type) != NULL;
    for (int64_t row = 0; row < j->rows; row++) {
        const uint8_t *panel = j->w + (size_t)(row / KERN_PANEL) * panel_bytes;
        for (int c = 0; c < j->n; c++)
            qmm_job_y(j, c)[row] = 0;
        if (quantized)
            quantized_row(j, panel, (int)(row % KERN_PANEL), row);
        else
            float_row(j, panel, (int)(row % KERN_PANEL), row);
    }
}

static void axpy(float *y, const float *x, float a, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = fmaf(a, x[i], y[i]);
}

static const struct qmm_ops ops = {
    .tile = 1, .quantize = quantize, .product = product, .axpy = axpy, .glu = kern_glu_ref,
};

QMM_DEFINE(ref)
