/* source.h - a model to convert, as a list of GGUF tensors, whatever it is stored as
 *
 *     struct source *s = source_open("model.gguf or folder", &err);
 *     for (uint64_t i = 0; i < source_count(s); i++)
 *         source_rows(s, i, 0, rows, out, &err);
 *
 * A GGUF file is itself (split ones too). A folder of Hugging Face transformers (config.json,
 * tokenizer.json, *.safetensors, sharded or not) appears as the GGUF file that it becomes:
 * tensors under llama.cpp's names and in its layout (Q and K rows permuted where rotary embedding
 * takes interleaved pairs, Gemma's norms plus one, experts stacked), metadata under GGUF keys.
 * Nothing is loaded before it is asked for: tensors are read from mappings, a range of rows at a
 * time, and their pages can be given back.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/format/gguf.h"
#include "lib/shape/shape.h"

struct source_tensor {
    const char *name;           /* GGUF name, NUL-terminated, owned by the source */
    int type;                   /* ggml_type of what is stored: of a folder F32, F16 or BF16 */
    int dims;
    int64_t ne[4];              /* ne[0] runs fastest: columns; unused ones are 1 */
    int64_t rows;               /* ne[1] * ne[2] * ne[3] */
    size_t bytes;               /* as stored */
};

struct source;

/* What a format must offer; source.c is GGUF, source_hf.c a folder. rows may be called by several
 * threads at once. */
struct source_ops {
    /* out[n][ne[0]] = the values of rows first to first + n - 1. -1: no kernel reads the type. */
    int (*rows)(struct source *s, uint64_t i, int64_t first, int64_t n, float *out,
                struct err *err);
    /* Their bytes in the layout of the tensor's type, borrowed; NULL: they do not lie like that. */
    const void *(*raw)(struct source *s, uint64_t i, int64_t first, int64_t n);
    /* Those rows are not needed soon: gives the pages back. */
    void (*drop)(struct source *s, uint64_t i, int64_t first, int64_t n);
    /* Puts every key of the metadata. */
    int (*keys)(struct source *s, struct gguf_writer *w, struct err *err);
    /* Path of file i that holds weights, NULL beyond the last. */
    const char *(*file)(const struct source *s, int i);
    /* Path of what else is read, there or not, likewise. The whole is NULL: nothing. */
    const char *(*beside)(const struct source *s, int i);
    void (*close)(struct source *s);
};

struct source {
    const struct source_ops *ops;
    char *path;
    struct shape *shape;        /* NULL: a GGUF of an architecture that we do not know */
    char arch[64];
    struct source_tensor *tensor;
    uint64_t tensors;
    /* What the mixes of types depend on, heads of the first layer; 0: the shape has them, or nobody
     * says. */
    int layers, heads, kv_heads, experts;
};

/* A file or a folder. NULL on error. */
struct source *source_open(const char *path, struct err *err);
struct source *source_open_hf(const char *path, struct err *err);
void source_close(struct source *s);

static inline uint64_t source_count(const struct source *s) {
    return s->tensors;
}
/* Index of a name, -1: none. */
int64_t source_find(const struct source *s, const char *name);
int source_rows(struct source *s, uint64_t i, int64_t first, int64_t n, float *out,
                struct err *err);
/* 1: path is one of the files that s reads from, by whatever name or link. */
int source_reads(const struct source *s, const char *path);

#endif
