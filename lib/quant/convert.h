/* convert.h - a model to a GGUF file, a few rows at a time
 *
 * Rows are read, made floats, quantized by all threads and written in the order of the file; memory
 * is a window of rows, whatever the tensor's size. The file appears whole or not at all, and is the
 * same for any number of threads.
 */
#ifndef CONVERT_H
#define CONVERT_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/source.h"

struct convert {
    struct source *source;
    const int *type;            /* [tensors] enum kern_type, or any ggml type: bytes are copied */
    int file_type;              /* general.file_type; -1: the key stays as it is */
    const struct imatrix *imatrix;      /* NULL: none */
    const struct kern *kern;
    struct par *par;
    /* In place of a tensor's own values: *data gets its bytes in the layout of type[i], borrowed
     * until the next call; NULL: take the source's. The whole is NULL where nothing is replaced. */
    int (*replace)(void *arg, uint64_t i, const void **data, struct err *err);
    void *replace_arg;
    const uint64_t *order;      /* [tensors] of the file; NULL: the source's */
    /* Keys beyond the source's and our own; or NULL. */
    void (*keys)(void *arg, struct gguf_writer *w);
    void *keys_arg;
    void (*progress)(void *arg, int64_t done, int64_t total);      /* bytes written; or NULL */
    void *arg;
};

/* Bytes of one tensor as `type`, which fits its rows or is its own. */
int64_t convert_tensor_bytes(const struct source_tensor *t, int type);
/* Bytes of the file without its metadata: the tensors with their padding. */
int64_t convert_bytes(const struct source *s, const int *type);
/* Bytes of the metadata before them; types do not matter. -1 on error. */
int64_t convert_header_bytes(const struct convert *c, struct err *err);
/* Writes the file. Refuses NaN and Inf where blocks are made, and values that the type cannot hold;
 * path must not be one of the source's own files. */
int convert_run(const struct convert *c, const char *path, struct err *err);

#endif
