/* hf.h - where the tensors of a folder of Hugging Face transformers went, both ways
 *
 * A GGUF tensor comes from one tensor of the folder, or from one for each expert. What is done to
 * it on the way is one of few things, so that quantized matrices can be written back under the
 * folder's own names: rows of Q and K permuted, a number added to norms.
 */
#ifndef HF_H
#define HF_H

#include <stdint.h>

#include "lib/format/safetensors.h"
#include "lib/quant/source.h"

struct hf_origin {
    const struct st_tensor *tensor;
    int64_t first;              /* row of `tensor` that this matrix begins at: rows are those of all
                                 * its dimensions but the last (fused experts) */
    int permuted_heads;         /* 0: rows as they are; else heads, whose halves were interleaved */
    float added;                /* to every element (Gemma's norms: 1) */
};

struct hf_options {
    const char *pre;            /* tokenizer.ggml.pre in place of what tokenizer.json tells; or NULL */
};
/* source_open_hf with options, which may be NULL. */
struct source *hf_open(const char *path, const struct hf_options *opt, struct err *err);

/* Where matrix `mat` (0, or an expert) of tensor i came from. s is of hf_open. NULL: it was not in
 * the folder (rope_freqs.weight, which is computed). */
const struct hf_origin *hf_origin(const struct source *s, uint64_t i, int64_t mat);
/* Row of the folder's matrix that row r of the GGUF matrix is (llama's permutation). */
int64_t hf_row(const struct hf_origin *o, int64_t rows, int64_t r);
const struct st_set *hf_tensors(const struct source *s);

#endif
