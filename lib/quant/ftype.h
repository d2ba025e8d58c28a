/* ftype.h - names of weight types, and llama.cpp's mixes of them
 *
 * A mix ("q4_k_m") is a default type and rules by which some tensors get another: more bits for
 * attn_v, ffn_down, output and the first and last layers (llama.cpp, llama-quant.cpp,
 * llama_tensor_get_type). A plain type ("q8_0") is a mix, too: output and embedding have rules.
 */
#ifndef FTYPE_H
#define FTYPE_H

#include <stddef.h>

#include "kernels/kern.h"
#include "lib/quant/source.h"

/* enum kern_type of a name in any case ("q4_k", "F16"); -1: none. */
int ftype_type(const char *name);

struct ftype {
    const char *name;           /* lower case: "q4_k_m" */
    int file_type;              /* general.file_type of the result */
    int type;                   /* of what no rule names */
};
/* By name in any case; NULL: none. */
const struct ftype *ftype_find(const char *name);
/* All of them, ended by a row without a name. */
const struct ftype *ftype_all(void);

/* type[tensors] = what llama.cpp's quantizer gives each tensor of s, after fallbacks for rows that
 * no block fits; what it leaves alone (norms, routers, one-dimensional ones) keeps its type. */
void ftype_assign(const struct ftype *f, const struct source *s, int imatrix, int *type);
/* The type that takes the place of `type` for rows of `cols`: itself when a block fits, else
 * llama.cpp's fallback (Q4_K: Q5_0 and so on; F16 in the end). */
int ftype_fallback(int type, int64_t cols);
/* Whether llama.cpp quantizes this tensor at all. */
int ftype_quantizes(const struct source *s, const struct source_tensor *t);

#endif
