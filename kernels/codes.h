/* codes.h - from floats to blocks, and the codes inside a block
 *
 *     const struct kern *k = kern_select(NULL, NULL);
 *     k->quantize(KERN_Q4_K, w, dst, rows, cols, NULL);
 *
 * What a block becomes is fixed to the bit: without importance what llama.cpp's
 * quantize_row_*_ref give (ggml-quants.c, built for plain x86-64: no fused multiply-add, every sum
 * in order of the elements), with importance what its quantize_*_impl do. All variants agree.
 * struct kern has the operations; this header holds what belongs to them.
 */
#ifndef CODES_H
#define CODES_H

#include <stdint.h>

#include "kernels/kern.h"

/* Whether importance changes what a type becomes; the others ignore it. */
int kern_takes_importance(int type);

/* The grid of a block: element i (of kern_type_info(type)->block) is
 *     scale[i / group] * level(code[i]) - min[i / group]
 * with level(c) = c for uniform types, an entry of the type's table otherwise (IQ4_NL, IQ4_XS,
 * MXFP4); min is 0 where the type has none. Codes are what decoding gives: signed, centred
 * (Q4_0: -8..7; Q6_K: -32..31), or 0..2^b-1 in types with minima. Quantized types only. */
struct kern_grid {
    int group;                  /* elements that share scale and min */
    int levels;                 /* how many codes there are */
    int first;                  /* the lowest code of a uniform type */
    const int8_t *table;        /* [levels] ascending levels; NULL: uniform */
    float scale[16], min[16];   /* [block / group], exact */
};
void kern_block_grid(int type, const void *block, struct kern_grid *out);

/* Replaces the codes of a block, and leaves its scales and minima: level[block] are levels (codes
 * of uniform types, entries of the table otherwise), which the type must have. Inverse of
 * decoding. */
void kern_block_store(int type, void *block, const int8_t *level);

#endif
