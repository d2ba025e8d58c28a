/* grouped.h - a matrix in groups of columns that share a scale: what GPTQ and AWQ make
 *
 *     value(r, c) = scale[r][g] * (code[r][c] - zero[r][g]),  g = index ? index[c] : c / group
 *
 * The layouts that vLLM loads (GPTQ, AWQ, compressed-tensors) are packings of this.
 */
#ifndef GROUPED_H
#define GROUPED_H

#include <stdint.h>

#include "lib/base/err.h"

struct grouped {
    int64_t rows, cols;
    int64_t groups;             /* ceil(cols / group) */
    int bits;                   /* 2, 3, 4 or 8 */
    int group;                  /* columns; cols: one scale a row */
    int symmetric;              /* zero is 2^(bits-1) everywhere */
    uint8_t *code;              /* [rows][cols] 0..2^bits-1 */
    float *scale;               /* [rows][groups] halves */
    uint8_t *zero;              /* [rows][groups] 0..2^bits-1 */
    int32_t *index;             /* [cols] group of a column, act-order; NULL: c / group */
};

struct grouped *grouped_new(int64_t rows, int64_t cols, int bits, int group, int symmetric);
void grouped_free(struct grouped *g);
/* Scale and zero of n values (stride apart) by their extremes, clipped by `shrink` (1: not). */
void grouped_range(const float *x, int64_t n, int64_t stride, int bits, int symmetric,
                   float shrink, float *scale, uint8_t *zero);
/* The nearest code of x. */
uint8_t grouped_code(float x, float scale, uint8_t zero, int bits);
/* Round-to-nearest of w[rows][cols]: the baseline. */
void grouped_round(struct grouped *g, const float *w);
/* out[cols] = the values of row r. */
void grouped_values(const struct grouped *g, int64_t r, float *out);
/* The smallest GGUF block type that holds every such value exactly (Q4_0, Q4_1, Q8_0), or -1. */
int grouped_type(int bits, int group, int symmetric, int64_t cols);
/* dst = row r as blocks of that type; exact (a minimum that is no half moves the scale: see .c). */
void grouped_store(const struct grouped *g, int64_t r, int type, void *dst);

#endif
