/* grouped.h - a matrix in groups of columns that share a scale: what GPTQ and AWQ make
 *
 *     value(r, c) = scale[r][g] * (code[r][c] - zero[r][g]),  g = index ? index[c] : c / group
 *
 * The layouts that vLLM loads (GPTQ, AWQ, compressed-tensors) are packings of this, and so are
 * GGUF blocks where the groups suit them: both hold the same values to the bit.
 *
 * Scales are halves. Of unsymmetric ones up to 4 bits so is scale * zero, the minimum of a GGUF
 * block: the scale is rounded to what leaves room for the factor (at least 7 bits of 11; it moves
 * by 1 part in 256 at most, before codes are chosen). Their zero is never 0: the GPTQ layout
 * stores zero - 1, and its readers do not agree on what -1 means.
 */
#ifndef GROUPED_H
#define GROUPED_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/par.h"

struct grouped {
    int64_t rows, cols;
    int64_t groups;             /* ceil(cols / group) */
    int bits;                   /* 2, 3, 4 or 8 */
    int group;                  /* columns; cols: one scale a row */
    int symmetric;              /* zero is 2^(bits-1) everywhere */
    uint8_t *code;              /* [rows][cols] 0..2^bits-1 */
    float *scale;               /* [rows][groups] halves, above 0 */
    uint8_t *zero;              /* [rows][groups] */
    int32_t *index;             /* [cols] group of a column, act-order; NULL: c / group */
};

/* group -1: one a row. Zeroed; index NULL (one set later is freed with the rest). */
struct grouped *grouped_new(int64_t rows, int64_t cols, int bits, int group, int symmetric);
void grouped_free(struct grouped *g);       /* NULL is fine */

/* Scale and zero of n values (stride apart) by their extremes, both times `shrink` (1: as they
 * are; less: what lies outside is clipped). Symmetric: scale = max|x| / (2^bits - 1) * 2; else from
 * min(x, 0) to max(x, 0). NaN is passed over; beyond 65504 / 2^bits the scale ends. */
void grouped_range(const float *x, int64_t n, int64_t stride, int bits, int symmetric,
                   float shrink, float *scale, uint8_t *zero);
/* The nearest code of x; of NaN 0. */
uint8_t grouped_code(float x, float scale, uint8_t zero, int bits);
/* Round-to-nearest of w[rows][cols], groups in order of columns: the baseline. */
void grouped_round(struct grouped *g, const float *w);
/* The same for row r alone, w[cols]. */
void grouped_round_row(struct grouped *g, int64_t r, const float *w);
/* out[cols] = the values of row r. */
void grouped_values(const struct grouped *g, int64_t r, float *out);

/* The smallest GGUF block type that holds every such value exactly, or -1: Q4_0, Q4_1 and Q8_0,
 * and where groups are whole super-blocks of 256 (then all their scales are 1) Q2_K, Q3_K, Q4_K.
 * group -1 or cols: one a row. Matrices with an index have none. */
int grouped_type(int bits, int group, int symmetric, int64_t cols);
/* dst = row r as blocks of the type that grouped_type gave. */
void grouped_store(const struct grouped *g, int64_t r, int type, void *dst);
/* dst[rows] = all rows, as such blocks, or by k as floats (a type without blocks). */
void grouped_store_all(const struct grouped *g, int type, const struct kern *k, struct par *par,
                       void *dst);

#endif
