/* layout.h - how a quantized matrix lies in a safetensors file: GPTQ, AWQ, compressed-tensors
 *
 *     const struct layout *l = layout_find("gptq");
 *     int n = l->parts(&scheme, rows, cols, part);
 *     for (i = 0; i < n; i++)
 *         l->pack(grouped, &part[i], data[i]);        // part[i].bytes of them
 *
 * In place of NAME.weight [rows, cols] stand a few tensors NAME.suffix of 32-bit words that hold
 * the codes of several weights each, with K = cols (inputs), N = rows (outputs), G = groups:
 *
 *   gptq                 qweight [K*b/32, N], qzeros [G, N*b/32] (zero - 1), scales f16 [G, N],
 *                        g_idx i32 [K]; packed along K and along N, the first in the lowest bits
 *   awq                  qweight [K, N/8], qzeros [G, N/8], scales f16 [G, N]; bits 4i of a word
 *                        hold column 0, 2, 4, 6, 1, 3, 5, 7 of its eight
 *   compressed-tensors   weight_packed [N, K*b/32], weight_scale f16 [N, G], weight_zero_point
 *                        [N*b/32, G] where unsymmetric, weight_g_idx i32 [K] with act-order,
 *                        weight_shape i64 [2]; the first in the lowest bits
 *
 * Sources: Frantar et al., arXiv 2210.17323, and AutoGPTQ's first checkpoint format; Lin et al.,
 * arXiv 2306.00978, and AutoAWQ's "gemm" version; compressed-tensors' "pack-quantized".
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/quant/grouped.h"

/* What all quantized matrices of a model have in common. */
struct layout_scheme {
    int bits;                   /* 2, 3, 4 or 8 */
    int group;                  /* columns; -1: one scale a row */
    int symmetric;
    int act_order;              /* matrices have an index */
};

enum layout_what { LAYOUT_CODES, LAYOUT_ZEROS, LAYOUT_SCALES, LAYOUT_INDEX, LAYOUT_SHAPE };

struct layout_part {
    enum layout_what what;
    const char *suffix;         /* "qweight" */
    int dtype;                  /* enum st_dtype */
    int dims;
    int64_t shape[2];
    size_t bytes;
};
#define LAYOUT_PARTS 5

/* For the quantization_config of a config.json. */
struct layout_config {
    struct layout_scheme scheme;
    double damp;                /* of GPTQ; 0: what was done is not GPTQ */
    /* Modules (names without ".weight") that are matrices but stay as they are. */
    const char *const *kept;
    int n_kept;
};

struct layout {
    const char *name;           /* as --format and quant_method spell it */
    /* -1: the layout has no such scheme. */
    int (*check)(const struct layout_scheme *s, struct err *err);
    /* 1 when a matrix of these sizes fills whole words and groups, which all readers ask for; one
     * that does not stays as it is. */
    int (*fits)(const struct layout_scheme *s, int64_t rows, int64_t cols);
    /* The tensors of a matrix; returns how many. */
    int (*parts)(const struct layout_scheme *s, int64_t rows, int64_t cols,
                 struct layout_part *part);
    /* out[part->bytes] */
    void (*pack)(const struct grouped *g, const struct layout_part *part, void *out);
    /* Appends the JSON object. */
    void (*config)(const struct layout_config *c, struct buf *out);
};

/* By name; NULL: none. */
const struct layout *layout_find(const char *name);

#endif
