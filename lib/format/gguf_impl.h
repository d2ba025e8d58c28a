/* gguf_impl.h - what the GGUF reader holds; shared by gguf.c (opens) and gguf_meta.c (answers) */
#ifndef GGUF_IMPL_H
#define GGUF_IMPL_H

#include "lib/format/gguf.h"

struct gguf_pair {
    struct gguf_string key;
    struct gguf_value value;
    char *text;             /* scalar strings: NUL-terminated copy, else NULL */
};

/* Names to indices, open addressing; slot 0 is empty, otherwise index + 1. */
struct gguf_index {
    uint64_t *slot;
    uint64_t mask;
};

/* One file: the only one, or one of a split. */
struct gguf_part {
    char *name;             /* path, for messages */
    const unsigned char *data;
    size_t len;
    int mapped;             /* data is ours to unmap */
    uint32_t version;
    uint32_t alignment;
    struct gguf_pair *pair;
    uint64_t pairs;
    struct gguf_index keys;
};

struct gguf {
    struct gguf_part *part;
    int parts;
    struct gguf_tensor *tensor;
    uint64_t tensors;
    struct gguf_index names;
};

/* The pair with this key in one part, or NULL. */
const struct gguf_pair *gguf_pair_find(const struct gguf_part *p, const char *key, size_t len);
/* An integer key of one part; def when absent, out of range or of another kind. */
int64_t gguf_pair_int(const struct gguf_part *p, const char *key, int64_t def);

/* name_at(ctx, i) gives entry i's name. add returns -1 when the name is there already. */
typedef struct gguf_string gguf_name_at(const void *ctx, uint64_t i);
void gguf_index_init(struct gguf_index *x, uint64_t entries);
int gguf_index_add(struct gguf_index *x, gguf_name_at *name_at, const void *ctx, uint64_t i);
/* Index of the entry with this name, or -1. */
int64_t gguf_index_find(const struct gguf_index *x, gguf_name_at *name_at, const void *ctx,
                        const char *name, size_t len);

#endif
