/* ftype.h - names of weight types, and llama.cpp's mixes of them
 *
 *     const struct ftype *f = ftype_find("q4_k_m");
 *     struct ftype_choice *c = mem_array(source_count(s), sizeof *c);
 *     ftype_choose(&(struct ftype_options){.mix = f, .output = -1, .embedding = -1}, s, c);
 *
 * A mix is a type for all weights, and rules by which some get another: more bits for attn_v,
 * ffn_down, the output and the first and last layers (llama.cpp, llama-quant.cpp,
 * llama_tensor_get_type). A plain type ("q8_0") is a mix, too: its output and its embeddings have
 * rules. What is never quantized, as there: norms, routers, biases, everything of one dimension.
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
/* By name in any case; NULL: none. "q3_k", "q4_k" and "q5_k" are their "_m", as in llama.cpp. */
const struct ftype *ftype_find(const char *name);
/* All of them, ended by a row without a name. */
const struct ftype *ftype_all(void);

struct ftype_options {
    const struct ftype *mix;
    int imatrix;                /* 1: importance will be there, which some rules ask for */
    int pure;                   /* 1: no rules, one type for all */
    int output, embedding;      /* types to use for these whatever the rules say; -1: none */
};

struct ftype_choice {
    int type;                   /* what the tensor becomes */
    int wanted;                 /* what it was to be before no block fitted its rows */
    const char *why;            /* a word or two, static: "default", "attn_v", "norm" */
};

/* out[tensors] = what llama.cpp's quantizer gives each tensor of s; what it leaves alone keeps its
 * type. */
void ftype_choose(const struct ftype_options *o, const struct source *s, struct ftype_choice *out);
/* The types alone, of a mix without further options. */
void ftype_assign(const struct ftype *f, const struct source *s, int imatrix, int *type);
/* The type that takes the place of `type` for rows of `cols`: itself when a block fits, else
 * llama.cpp's fallback (Q4_K: Q5_0 and so on; F16 in the end). */
int ftype_fallback(int type, int64_t cols);
/* Whether llama.cpp quantizes this tensor at all. */
int ftype_quantizes(const struct source *s, const struct source_tensor *t);
/* Why it does not ("norm", "router", "1 dimension" ...), static; NULL: it does. */
const char *ftype_stays(const struct source *s, const struct source_tensor *t);
/* Whether only importance makes the choice any good: Q2_K of q2_k_s (llama.cpp refuses it). */
int ftype_needs_imatrix(const struct ftype *f, const struct source_tensor *t, int type);
/* The file type that says best what these types are: of the type that most elements have. */
int ftype_of_types(const struct source *s, const int *type);
/* order[tensors] = as llama.cpp writes them: what is in no layer, then layer by layer, by name. */
void ftype_order(const struct source *s, uint64_t *order);

#endif
