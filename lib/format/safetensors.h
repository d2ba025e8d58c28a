/* safetensors.h - safetensors files: a checked view through mmap, and a writer
 *
 * A file is a length (u64, little-endian), that many bytes of JSON ("name": {"dtype", "shape",
 * "data_offsets": [begin, end]}, "__metadata__": strings), then the bytes. Everything in it is
 * hostile: offsets must lie inside, cover the data without gap or overlap, and agree with shape and
 * dtype. Format: Hugging Face, safetensors README.
 */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum st_dtype {
    ST_BOOL, ST_U8, ST_I8, ST_I16, ST_U16, ST_F16, ST_BF16, ST_I32, ST_U32, ST_F32, ST_F64, ST_I64,
    ST_U64, ST_F8_E4M3, ST_F8_E5M2, ST_DTYPES
};
const char *st_dtype_name(int dtype);       /* "BF16" */
size_t st_dtype_bytes(int dtype);

#define ST_DIMS 8
struct st_tensor {
    const char *name;           /* NUL-terminated, owned by the set */
    int dtype;
    int dims;
    int64_t shape[ST_DIMS];     /* the last runs fastest */
    size_t bytes;
    const void *data;           /* in the mapping */
    int part;                   /* which file */
};

/* One file, or the files of a folder: model.safetensors.index.json says which, else
 * model.safetensors, else every *.safetensors by name. Tensors come as they lie, file after file by
 * name. NULL with "FILE: ..." */
struct st_set;
struct st_set *st_open(const char *path, struct err *err);
struct st_set *st_open_memory(const void *data, size_t len, const char *name, struct err *err);
void st_close(struct st_set *s);
uint64_t st_count(const struct st_set *s);
const struct st_tensor *st_tensor(const struct st_set *s, uint64_t i);
const struct st_tensor *st_find(const struct st_set *s, const char *name);
const char *st_path(const struct st_set *s, int part);     /* NULL beyond the last */
/* Gives pages of a tensor's bytes back to the system: they can be read again. */
void st_drop(const struct st_tensor *t, size_t offset, size_t bytes);

/* ---- writing: declare all, then stream the bytes in the same order ------------------------- */

/* What widths come first decides whether tensors lie aligned: F32 before F16 before bytes. */

struct st_writer;
struct st_writer *st_writer_new(void);
void st_put_meta(struct st_writer *w, const char *key, const char *value);
void st_put_tensor(struct st_writer *w, const char *name, int dtype, int dims,
                   const int64_t *shape);
int st_writer_begin(struct st_writer *w, const char *path, struct err *err);
int st_writer_data(struct st_writer *w, const void *data, size_t len, struct err *err);
int st_writer_finish(struct st_writer *w, struct err *err);     /* does not free */
void st_writer_free(struct st_writer *w);           /* before finish: removes the file */

#endif
