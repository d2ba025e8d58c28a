/* gguf.h - GGUF files, versions 2 and 3: a checked view through mmap, and a writer
 *
 *     struct gguf *g = gguf_open("model.gguf", &err);
 *     const char *arch = gguf_str(g, "general.architecture", "");
 *     const struct gguf_tensor *t = gguf_find(g, "token_embd.weight");
 *
 * Everything in a file is hostile: every count and offset is checked against the bytes there
 * before it is used; a tensor that gguf_find returns lies wholly inside the mapping. Tensor
 * *types* are plain numbers here; which ones exist is known from the size table in gguf.c (all
 * ggml types, also those that the kernels do not run). Big-endian files are refused by name.
 * Split files (split.count, NAME-00001-of-00003.gguf): opening the first opens the rest; the
 * tensors of all appear as one list. Views are borrowed until gguf_close.
 * Layout: ggml docs/gguf.md.
 */
#ifndef GGUF_H
#define GGUF_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct buf;

enum gguf_type {
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
    GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64
};

struct gguf;

struct gguf_string {
    const char *data;       /* not NUL-terminated */
    size_t len;
};

struct gguf_tensor {
    struct gguf_string name;
    int type;               /* ggml_type number */
    int dims;               /* 1..4 */
    int64_t ne[4];          /* ne[0] runs fastest; unused ones are 1 */
    size_t bytes;
    const void *data;       /* in the mapping */
    int part;               /* which file of a split */
};

struct gguf_value {
    enum gguf_type type;    /* element type for arrays */
    int is_array;
    uint64_t n;             /* elements; 1 for scalars */
    const void *data;       /* first element in the file, unaligned; strings: see gguf_array_str */
};

struct gguf *gguf_open(const char *path, struct err *err);
/* The same over bytes in memory (borrowed), one file only: for tests and fuzzing. */
struct gguf *gguf_open_memory(const void *data, size_t len, const char *name, struct err *err);
void gguf_close(struct gguf *g);
const char *gguf_path(const struct gguf *g);
const char *gguf_part_path(const struct gguf *g, int part);     /* NULL beyond the last */
int gguf_version(const struct gguf *g);
uint64_t gguf_file_bytes(const struct gguf *g);     /* all parts */

/* Metadata. 0 found, -1 absent. */
int gguf_value(const struct gguf *g, const char *key, struct gguf_value *out);
/* Scalars with a default; any numeric type converts; out of range or wrong kind: the default. */
int64_t gguf_int(const struct gguf *g, const char *key, int64_t def);
double gguf_float(const struct gguf *g, const char *key, double def);
int gguf_bool(const struct gguf *g, const char *key, int def);
/* A string; NUL-terminated copy owned by g. */
const char *gguf_str(const struct gguf *g, const char *key, const char *def);
/* Element i of an array (no check beyond i < n). As an integer a fraction is cut and what does not
 * fit becomes INT64_MAX or INT64_MIN; strings and NaN are 0. */
int64_t gguf_array_int(const struct gguf_value *v, uint64_t i);
double gguf_array_float(const struct gguf_value *v, uint64_t i);
/* Bytes of an element; 0 for strings, arrays and unknown types. */
size_t gguf_value_bytes(uint32_t type);
/* Strings lie one after another: walks all of them into out[n]. */
void gguf_array_strs(const struct gguf_value *v, struct gguf_string *out);
uint64_t gguf_key_count(const struct gguf *g);
struct gguf_string gguf_key(const struct gguf *g, uint64_t i, struct gguf_value *out);

uint64_t gguf_tensor_count(const struct gguf *g);
const struct gguf_tensor *gguf_tensor(const struct gguf *g, uint64_t i);
/* By name, printf format; NULL when absent. */
const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name, ...)
    __attribute__((format(printf, 2, 3)));
/* Gives the pages of [t->data, t->data + t->bytes) back to the system (they can be read again). */
void gguf_drop(const struct gguf *g, const struct gguf_tensor *t);

/* Name of a ggml type, elements and bytes of a block; NULL / 0 when unknown. */
const char *gguf_type_name(int type);
int gguf_type_block(int type, size_t *bytes);

/* ---- writing ---------------------------------------------------------------------------- */

struct gguf_writer;

/* Collect keys and tensor infos, then stream the tensors in the order they were added. */
struct gguf_writer *gguf_writer_new(int version, uint32_t alignment);
void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t v);
void gguf_put_float(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, int v);
void gguf_put_str(struct gguf_writer *w, const char *key, const char *s);
void gguf_put_strs(struct gguf_writer *w, const char *key, const struct gguf_string *s, uint64_t n);
void gguf_put_ints(struct gguf_writer *w, const char *key, enum gguf_type type, const int64_t *v,
                   uint64_t n);
void gguf_put_floats(struct gguf_writer *w, const char *key, const float *v, uint64_t n);
/* A value as a reader gave it, of any kind. */
void gguf_put_value(struct gguf_writer *w, const char *key, const struct gguf_value *v);
/* Takes a key out again, if it is there: what is put later replaces what was copied. */
void gguf_drop_key(struct gguf_writer *w, const char *key);
void gguf_put_tensor(struct gguf_writer *w, const char *name, int type, int dims,
                     const int64_t *ne);
/* Appends a whole file of the keys so far and no tensors, as gguf_open_memory reads it. */
void gguf_writer_keys(const struct gguf_writer *w, struct buf *out);
/* Bytes that the header will have, padding included, as things stand. */
uint64_t gguf_writer_header(const struct gguf_writer *w);
/* Opens path (temporary name until finish) and writes the header. */
int gguf_writer_begin(struct gguf_writer *w, const char *path, struct err *err);
/* The bytes of the next tensor, in any number of pieces. */
int gguf_writer_data(struct gguf_writer *w, const void *data, size_t len, struct err *err);
int gguf_writer_finish(struct gguf_writer *w, struct err *err);     /* does not free */
void gguf_writer_free(struct gguf_writer *w);       /* before finish: removes the file */

#endif
