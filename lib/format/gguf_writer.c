/* gguf_writer.c - writes GGUF files: keys and infos are collected, tensor bytes are streamed
 *
 * Counterpart of gguf.c; what it writes, that reads. Tensors lie in the order of the infos, each
 * on the alignment, so the file can go to a pipe. Mistakes of the calling program (a number that
 * its type cannot hold) are asserted; those that depend on data or disk are reported.
 */
#include "lib/format/gguf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/outfile.h"
#include "lib/format/gguf_impl.h"

struct info {
    char *name;
    int type;
    int dims;
    int64_t ne[4];
    uint64_t bytes;
};

struct gguf_writer {
    uint32_t version;
    uint32_t alignment;
    struct buf pairs;
    size_t *pair_at;            /* [pair_count] where in pairs each begins */
    uint64_t pair_count;
    struct info *tensor;
    uint64_t tensors;

    struct outfile *file;       /* from begin to finish */
    char *path;
    uint64_t at;                /* bytes written */
    uint64_t current;           /* tensor that data goes to */
    uint64_t given;             /* bytes of it written */
};

/* ---- header pieces ---------------------------------------------------------------------- */

static void add_u32(struct buf *b, uint32_t v) {
    buf_add(b, &v, sizeof v);
}

static void add_u64(struct buf *b, uint64_t v) {
    buf_add(b, &v, sizeof v);
}

static void add_string(struct buf *b, const char *s, size_t len) {
    add_u64(b, len);
    buf_add(b, s, len);
}

/* v as one element of the given type. */
static void add_int(struct buf *b, enum gguf_type type, int64_t v) {
    static const struct {
        size_t bytes;
        int64_t min, max;
    } range[] = {
        [GGUF_U8] = {1, 0, UINT8_MAX},            [GGUF_I8] = {1, INT8_MIN, INT8_MAX},
        [GGUF_U16] = {2, 0, UINT16_MAX},          [GGUF_I16] = {2, INT16_MIN, INT16_MAX},
        [GGUF_U32] = {4, 0, UINT32_MAX},          [GGUF_I32] = {4, INT32_MIN, INT32_MAX},
        [GGUF_BOOL] = {1, 0, 1},                  [GGUF_U64] = {8, 0, INT64_MAX},
        [GGUF_I64] = {8, INT64_MIN, INT64_MAX},
    };
    assert((size_t)type < sizeof range / sizeof *range && range[type].bytes);
    assert(v >= range[type].min && v <= range[type].max);
    buf_add(b, &v, range[type].bytes);      /* little-endian: the low bytes come first */
}

static struct buf *begin_pair(struct gguf_writer *w, const char *key, enum gguf_type type) {
    w->pair_at = mem_grow(w->pair_at, (size_t)w->pair_count + 1, sizeof *w->pair_at);
    w->pair_at[w->pair_count++] = w->pairs.len;
    add_string(&w->pairs, key, strlen(key));
    add_u32(&w->pairs, type);
    return &w->pairs;
}

static struct buf *begin_array(struct gguf_writer *w, const char *key, enum gguf_type type,
                               uint64_t n) {
    struct buf *b = begin_pair(w, key, GGUF_ARRAY);
    add_u32(b, type);
    add_u64(b, n);
    return b;
}

struct gguf_writer *gguf_writer_new(int version, uint32_t alignment) {
    assert(version == 2 || version == 3);
    assert(alignment && !(alignment & (alignment - 1)));
    struct gguf_writer *w = mem_alloc(sizeof *w);
    w->version = (uint32_t)version;
    w->alignment = alignment;
    if (alignment != 32)        /* what readers take without the key */
        gguf_put_int(w, "general.alignment", GGUF_U32, alignment);
    return w;
}

void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t v) {
    add_int(begin_pair(w, key, type), type, v);
}

void gguf_put_float(struct gguf_writer *w, const char *key, float v) {
    buf_add(begin_pair(w, key, GGUF_F32), &v, sizeof v);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, int v) {
    gguf_put_int(w, key, GGUF_BOOL, v != 0);
}

void gguf_put_str(struct gguf_writer *w, const char *key, const char *s) {
    add_string(begin_pair(w, key, GGUF_STRING), s, strlen(s));
}

void gguf_put_strs(struct gguf_writer *w, const char *key, const struct gguf_string *s,
                   uint64_t n) {
    struct buf *b = begin_array(w, key, GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++)
        add_string(b, s[i].data, s[i].len);
}

void gguf_put_ints(struct gguf_writer *w, const char *key, enum gguf_type type, const int64_t *v,
                   uint64_t n) {
    struct buf *b = begin_array(w, key, type, n);
    for (uint64_t i = 0; i < n; i++)
        add_int(b, type, v[i]);
}

void gguf_put_floats(struct gguf_writer *w, const char *key, const float *v, uint64_t n) {
    buf_add(begin_array(w, key, GGUF_F32, n), v, (size_t)n * sizeof *v);
}

/* Bytes of the elements of v where they lie in the file. */
static size_t value_bytes(const struct gguf_value *v) {
    if (v->type != GGUF_STRING)
        return (size_t)v->n * gguf_value_bytes(v->type);
    const unsigned char *p = v->data;
    for (uint64_t i = 0; i < v->n; i++) {
        uint64_t len;
        memcpy(&len, p, sizeof len);
        p += sizeof len + (size_t)len;
    }
    return (size_t)(p - (const unsigned char *)v->data);
}

void gguf_put_value(struct gguf_writer *w, const char *key, const struct gguf_value *v) {
    struct buf *b = v->is_array ? begin_array(w, key, v->type, v->n) : begin_pair(w, key, v->type);
    buf_add(b, v->data, value_bytes(v));
}

/* Whether pair i has this key. */
static int pair_is(const struct gguf_writer *w, uint64_t i, const char *key) {
    const char *p = w->pairs.data + w->pair_at[i];
    uint64_t len;
    memcpy(&len, p, sizeof len);
    return len == strlen(key) && !memcmp(p + sizeof len, key, (size_t)len);
}

void gguf_drop_key(struct gguf_writer *w, const char *key) {
    uint64_t i = 0;
    while (i < w->pair_count && !pair_is(w, i, key))
        i++;
    if (i == w->pair_count)
        return;
    size_t end = i + 1 < w->pair_count ? w->pair_at[i + 1] : w->pairs.len;
    size_t bytes = end - w->pair_at[i];
    memmove(w->pairs.data + w->pair_at[i], w->pairs.data + end, w->pairs.len - end);
    w->pairs.len -= bytes;
    for (w->pair_count--; i < w->pair_count; i++)
        w->pair_at[i] = w->pair_at[i + 1] - bytes;
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, int type, int dims,
                     const int64_t *ne) {
    assert(dims >= 1 && dims <= 4);
    w->tensor = mem_grow(w->tensor, (size_t)w->tensors + 1, sizeof *w->tensor);
    struct info *t = &w->tensor[w->tensors++];
    *t = (struct info){.name = mem_strdup(name), .type = type, .dims = dims};
    memcpy(t->ne, ne, (size_t)dims * sizeof *ne);
}

/* ---- the file --------------------------------------------------------------------------- */

static int put(struct gguf_writer *w, const void *data, size_t len, struct err *err) {
    if (outfile_write(w->file, data, len, err))
        return -1;
    w->at += len;
    return 0;
}

/* Zeros up to the next multiple of the alignment. */
static int pad(struct gguf_writer *w, struct err *err) {
    static const char zeros[256];
    uint64_t gap = (w->alignment - w->at % w->alignment) % w->alignment;
    while (gap) {
        size_t n = gap < sizeof zeros ? (size_t)gap : sizeof zeros;
        if (put(w, zeros, n, err))
            return -1;
        gap -= n;
    }
    return 0;
}

/* Bytes of a tensor; -1 when its type is unknown or does not fit the row. */
static int measure(const struct gguf_writer *w, struct info *t, struct err *err) {
    size_t bytes;
    int block = gguf_type_block(t->type, &bytes);
    if (!block)
        return err_set(err, "%s: tensor \"%s\": unknown type %d", w->path, t->name, t->type);
    if (t->ne[0] % block)
        return err_set(err, "%s: tensor \"%s\": rows of %" PRId64 " elements: type %s has blocks"
                       " of %d", w->path, t->name, t->ne[0], gguf_type_name(t->type), block);
    t->bytes = (uint64_t)t->ne[0] / (uint64_t)block * bytes;
    for (int i = 1; i < t->dims; i++)
        t->bytes *= (uint64_t)t->ne[i];
    return 0;
}

static int add_infos(struct gguf_writer *w, struct buf *b, struct err *err) {
    uint64_t offset = 0;
    for (uint64_t i = 0; i < w->tensors; i++) {
        struct info *t = &w->tensor[i];
        if (measure(w, t, err))
            return -1;
        add_string(b, t->name, strlen(t->name));
        add_u32(b, (uint32_t)t->dims);
        for (int d = 0; d < t->dims; d++)
            add_u64(b, (uint64_t)t->ne[d]);
        add_u32(b, (uint32_t)t->type);
        add_u64(b, offset);
        offset += t->bytes;
        offset += (w->alignment - offset % w->alignment) % w->alignment;
    }
    return 0;
}

/* What a file begins with, up to the tensors' infos. */
static void add_keys(const struct gguf_writer *w, uint64_t tensors, struct buf *b) {
    buf_adds(b, "GGUF");
    add_u32(b, w->version);
    add_u64(b, tensors);
    add_u64(b, w->pair_count);
    buf_add(b, w->pairs.data, w->pairs.len);
}

void gguf_writer_keys(const struct gguf_writer *w, struct buf *out) {
    add_keys(w, 0, out);
}

uint64_t gguf_writer_header(const struct gguf_writer *w) {
    uint64_t bytes = 24 + w->pairs.len;
    for (uint64_t i = 0; i < w->tensors; i++)       /* name, dims, sizes, type, offset */
        bytes += 8 + strlen(w->tensor[i].name) + 4 + 8 * (uint64_t)w->tensor[i].dims + 4 + 8;
    return (bytes + w->alignment - 1) / w->alignment * w->alignment;
}

int gguf_writer_begin(struct gguf_writer *w, const char *path, struct err *err) {
    struct buf head = {0};
    assert(!w->file);
    free(w->path);
    w->path = mem_strdup(strcmp(path, "-") ? path : "stdout");
    w->at = w->current = w->given = 0;
    add_keys(w, w->tensors, &head);
    int rc = add_infos(w, &head, err);
    if (!rc) {
        w->file = outfile_open(path, err);
        rc = w->file ? put(w, head.data, head.len, err) : -1;
    }
    if (!rc && w->tensors)
        rc = pad(w, err);
    buf_free(&head);
    return rc;
}

int gguf_writer_data(struct gguf_writer *w, const void *data, size_t len, struct err *err) {
    const char *p = data;
    while (len) {
        if (w->current == w->tensors)
            return err_set(err, "%s: %zu bytes more than its %" PRIu64 " tensors hold", w->path,
                           len, w->tensors);
        uint64_t room = w->tensor[w->current].bytes - w->given;
        size_t n = len < room ? len : (size_t)room;
        if (put(w, p, n, err))
            return -1;
        p += n;
        len -= n;
        w->given += n;
        if (w->given < w->tensor[w->current].bytes)
            continue;
        w->current++;
        w->given = 0;
        if (pad(w, err))
            return -1;
    }
    return 0;
}

int gguf_writer_finish(struct gguf_writer *w, struct err *err) {
    if (w->current < w->tensors)
        return err_set(err, "%s: tensor %" PRIu64 " \"%s\" got %" PRIu64 " of its %" PRIu64
                       " bytes", w->path, w->current, w->tensor[w->current].name, w->given,
                       w->tensor[w->current].bytes);
    struct outfile *file = w->file;
    w->file = NULL;
    return outfile_close(file, err);
}

void gguf_writer_free(struct gguf_writer *w) {
    if (!w)
        return;
    outfile_abort(w->file);
    for (uint64_t i = 0; i < w->tensors; i++)
        free(w->tensor[i].name);
    free(w->tensor);
    free(w->pair_at);
    free(w->path);
    buf_free(&w->pairs);
    free(w);
}
