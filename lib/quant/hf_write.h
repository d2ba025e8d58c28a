/* hf_write.h - a quantized model as a folder of Hugging Face transformers
 *
 * The folder of the source with other files: model.safetensors (in parts of at most 5 GB, with an
 * index), in which the quantized matrices stand as their layout has them and everything else as it
 * was; config.json with a quantization_config; the tokenizer's files and generation_config.json.
 * It appears whole or not at all.
 *
 * Tensors are written in order of layers, and each quantized matrix is asked for when its turn
 * comes, so that a model is quantized layer by layer while it is written. Rows of Q and K go
 * back to the order of the folder. Experts that the folder keeps in one tensor become modules of
 * their own (mlp.experts.N.gate_proj; Mixtral's block_sparse_moe.experts.N.w1), which is how
 * vLLM loads quantized ones.
 */
#ifndef HF_WRITE_H
#define HF_WRITE_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/quant/grouped.h"
#include "lib/quant/hf.h"
#include "lib/quant/layout.h"
#include "lib/quant/source.h"

struct hf_write {
    struct source *source;      /* of hf_open */
    const struct layout *layout;
    struct layout_scheme scheme;
    double damp;                /* as in struct layout_config */
    /* [tensors of the source] 1: all its matrices are; see hf_write_can */
    const uint8_t *quantized;
    const uint8_t *changed;     /* [tensors] 1: has other values; or NULL: none */
    /* Matrix `mat` of tensor i, rows in the order of the GGUF: borrowed until the next call. Called
     * with layers ascending, once for each. */
    int (*grouped)(void *arg, uint64_t i, int64_t mat, const struct grouped **out,
                   struct err *err);
    /* The values of a changed tensor, [rows][cols] in the order of the GGUF, alike. They are
     * rounded to the type of the folder's tensor. */
    int (*values)(void *arg, uint64_t i, const float **out, struct err *err);
    void *arg;
    int64_t shard_bytes;        /* 0: 5 GB */
    void (*progress)(void *progress_arg, int64_t done, int64_t total);  /* bytes; or NULL */
    void *progress_arg;
};

/* 1 when tensor i is a matrix of a layer (or one for each expert) that the layout can hold. Norms,
 * routers, embeddings and the head stay as they are. */
int hf_write_can(const struct source *s, uint64_t i, const struct layout *l,
                 const struct layout_scheme *scheme);
/* What v becomes in the folder's tensor behind tensor i, as the GGUF has it. */
float hf_write_rounds(const struct source *s, uint64_t i, float v);

int hf_write(const struct hf_write *w, const char *path, struct err *err);

#endif
