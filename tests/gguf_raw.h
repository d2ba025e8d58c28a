/* gguf_raw.h - GGUF files built byte by byte, whole or broken, independent of lib's writer
 *
 * For tests and the fuzzer. A struct raw collects keys and tensor infos; raw_finish joins them
 * behind a header that may lie. Every place where one field ends is noted, so that a test can cut
 * the file at each of them.
 */
#ifndef GGUF_RAW_H
#define GGUF_RAW_H

#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"

#define RAW_BOUNDS 4096

struct raw {
    struct buf pairs, infos;
    uint64_t pair_count, tensor_count;
    uint64_t offset;            /* where the next tensor would go */
    uint32_t alignment;         /* 0: 32 */
};

/* A whole file and the ends of its fields. */
struct raw_file {
    struct buf bytes;
    size_t bound[RAW_BOUNDS];
    size_t bounds;
    size_t header;              /* bytes before the padding that leads to the data */
};

static inline void raw_u32(struct buf *b, uint32_t v) {
    buf_add(b, &v, sizeof v);
}

static inline void raw_u64(struct buf *b, uint64_t v) {
    buf_add(b, &v, sizeof v);
}

static inline void raw_text(struct buf *b, const char *s) {
    raw_u64(b, strlen(s));
    buf_adds(b, s);
}

/* A key with a value of any type; the value's bytes follow in *b. */
static inline struct buf *raw_key(struct raw *r, const char *key, uint32_t type) {
    r->pair_count++;
    raw_text(&r->pairs, key);
    raw_u32(&r->pairs, type);
    return &r->pairs;
}

static inline void raw_int(struct raw *r, const char *key, uint32_t type, size_t bytes,
                           uint64_t v) {
    buf_add(raw_key(r, key, type), &v, bytes);
}

static inline void raw_put_u32(struct raw *r, const char *key, uint32_t v) {
    raw_int(r, key, 4, 4, v);
}

static inline void raw_put_f32(struct raw *r, const char *key, float v) {
    buf_add(raw_key(r, key, 6), &v, sizeof v);
}

static inline void raw_put_str(struct raw *r, const char *key, const char *s) {
    raw_text(raw_key(r, key, 8), s);
}

/* The head of an array; the elements follow in *b. */
static inline struct buf *raw_array(struct raw *r, const char *key, uint32_t type, uint64_t n) {
    struct buf *b = raw_key(r, key, 9);
    raw_u32(b, type);
    raw_u64(b, n);
    return b;
}

static inline void raw_tensor_at(struct raw *r, const char *name, uint32_t type, uint32_t dims,
                                 const uint64_t *ne, uint64_t offset) {
    r->tensor_count++;
    raw_text(&r->infos, name);
    raw_u32(&r->infos, dims);
    for (uint32_t i = 0; i < dims; i++)
        raw_u64(&r->infos, ne[i]);
    raw_u32(&r->infos, type);
    raw_u64(&r->infos, offset);
}

/* A tensor of so many bytes, placed behind the one before. */
static inline void raw_tensor(struct raw *r, const char *name, uint32_t type, uint32_t dims,
                              const uint64_t *ne, uint64_t bytes) {
    uint64_t align = r->alignment ? r->alignment : 32;
    raw_tensor_at(r, name, type, dims, ne, r->offset);
    r->offset = (r->offset + bytes + align - 1) / align * align;
}

static inline void raw_bound(struct raw_file *f, size_t at) {
    if (f->bounds < RAW_BOUNDS)
        f->bound[f->bounds++] = at;
}

/* Header of a version and these counts, keys, infos, padding, `data` bytes of pattern. Frees r's
 * buffers. */
static inline void raw_finish_as(struct raw *r, struct raw_file *f, uint32_t version,
                                 uint64_t tensors, uint64_t pairs, uint64_t data) {
    uint64_t align = r->alignment ? r->alignment : 32;
    struct buf *b = &f->bytes;
    *f = (struct raw_file){0};
    buf_adds(b, "GGUF");
    raw_bound(f, b->len);
    raw_u32(b, version);
    raw_bound(f, b->len);
    raw_u64(b, tensors);
    raw_bound(f, b->len);
    raw_u64(b, pairs);
    raw_bound(f, b->len);
    buf_add(b, r->pairs.data, r->pairs.len);
    raw_bound(f, b->len);
    buf_add(b, r->infos.data, r->infos.len);
    raw_bound(f, b->len);
    f->header = b->len;
    while (data && b->len % align)
        buf_addc(b, 0);
    raw_bound(f, b->len);
    for (uint64_t i = 0; i < data; i++)
        buf_addc(b, (char)(i * 7 + 1));
    buf_free(&r->pairs);
    buf_free(&r->infos);
}

static inline void raw_finish(struct raw *r, struct raw_file *f) {
    raw_finish_as(r, f, 3, r->tensor_count, r->pair_count, r->offset);
}

#endif
