/* convert.c - a model to a GGUF file: metadata, checks, and one tensor after another
 *
 * How rows get through all threads and out in order is convert_pipe.c.
 */
#include "lib/quant/convert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/codes.h"
#include "lib/base/mem.h"
#include "lib/quant/convert_impl.h"

#define ALIGNMENT 32
#define QUANTIZATION_VERSION 2          /* ggml.h, GGML_QNT_VERSION */

static int64_t padded(int64_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int64_t convert_tensor_bytes(const struct source_tensor *t, int type) {
    size_t block_bytes;
    int block = gguf_type_block(type, &block_bytes);
    return type == t->type ? (int64_t)t->bytes
                           : t->ne[0] / block * (int64_t)block_bytes * t->rows;
}

int64_t convert_bytes(const struct source *s, const int *type) {
    int64_t sum = 0;
    for (uint64_t i = 0; i < s->tensors; i++)
        sum += padded(convert_tensor_bytes(&s->tensor[i], type[i]));
    return sum;
}

/* ---- checks ----------------------------------------------------------------------------- */

static int check_types(const struct convert *c, struct err *err) {
    for (uint64_t i = 0; i < c->source->tensors; i++) {
        const struct source_tensor *t = &c->source->tensor[i];
        const struct kern_type_info *to = kern_type_info(c->type[i]);
        if (c->type[i] == t->type)
            continue;
        if (!to)
            return err_set(err, "%s: tensor \"%s\": type %d cannot be made", c->source->path,
                           t->name, c->type[i]);
        if (t->ne[0] % to->block)
            return err_set(err, "%s: tensor \"%s\": rows of %" PRId64 " elements: type %s has"
                           " blocks of %d", c->source->path, t->name, t->ne[0], to->name,
                           to->block);
        if (!kern_type_info(t->type))
            return err_set(err, "%s: tensor \"%s\": type %s cannot be read, only copied",
                           c->source->path, t->name, gguf_type_name(t->type));
    }
    return 0;
}

/* Embeddings are looked up, not multiplied: what a file says about them is of no use. */
static int is_embedding(const char *name) {
    return !strcmp(name, "token_embd.weight") || !strcmp(name, "per_layer_token_embd.weight");
}

/* entry[tensors]: the importance of each tensor, where there is one. */
static int find_importance(const struct convert *c, const struct imatrix_entry **entry,
                           struct err *err) {
    for (uint64_t i = 0; c->imatrix && i < c->source->tensors; i++) {
        const struct source_tensor *t = &c->source->tensor[i];
        int64_t mats = t->ne[2] * t->ne[3];
        if (c->type[i] == t->type || !kern_takes_importance(c->type[i]))
            continue;
        const struct imatrix_entry *e = imatrix_find(c->imatrix, t->name);
        int fits = e && e->cols == t->ne[0] && e->mats == mats;
        if (e && !fits && !is_embedding(t->name))
            return err_set(err, "importance of \"%s\": %" PRId64 " columns x %" PRId64 " matrices,"
                           " the tensor in %s has %" PRId64 " x %" PRId64, t->name, e->cols,
                           e->mats, c->source->path, t->ne[0], mats);
        entry[i] = fits ? e : NULL;
    }
    return 0;
}

/* ---- header ----------------------------------------------------------------------------- */

/* [tensors] of the file, for the caller to free. */
static uint64_t *make_order(const struct convert *c) {
    uint64_t *order = mem_array((size_t)c->source->tensors, sizeof *order);
    for (uint64_t i = 0; i < c->source->tensors; i++)
        order[i] = c->order ? c->order[i] : i;
    return order;
}

static int put_header(const struct convert *c, const uint64_t *order, struct gguf_writer *w,
                      struct err *err) {
    struct source *s = c->source;
    if (s->ops->keys(s, w, err))
        return -1;
    gguf_drop_key(w, "general.quantization_version");
    gguf_put_int(w, "general.quantization_version", GGUF_U32, QUANTIZATION_VERSION);
    if (c->file_type >= 0) {
        gguf_drop_key(w, "general.file_type");
        gguf_put_int(w, "general.file_type", GGUF_U32, c->file_type);
    }
    if (c->keys)
        c->keys(c->keys_arg, w);
    for (uint64_t i = 0; i < s->tensors; i++) {
        const struct source_tensor *t = &s->tensor[order[i]];
        gguf_put_tensor(w, t->name, c->type[order[i]], t->dims, t->ne);
    }
    return 0;
}

int64_t convert_header_bytes(const struct convert *c, struct err *err) {
    struct gguf_writer *w = gguf_writer_new(3, ALIGNMENT);
    uint64_t *order = make_order(c);
    int64_t bytes = put_header(c, order, w, err) ? -1 : (int64_t)gguf_writer_header(w);
    free(order);
    gguf_writer_free(w);
    return bytes;
}

/* ---- tensors ---------------------------------------------------------------------------- */

/* One tensor at a time, those from elsewhere as they come. */
static int write_replaced(const struct convert *c, struct pipe *p, const uint64_t *order,
                          struct err *err) {
    for (uint64_t i = 0; i < c->source->tensors; i++) {
        uint64_t t = order[i];
        const void *data = NULL;
        if (c->replace(c->replace_arg, t, &data, err))
            return -1;
        int64_t bytes = convert_tensor_bytes(&c->source->tensor[t], c->type[t]);
        if (data ? pipe_put(p, data, (size_t)bytes, err) : pipe_run(p, order + i, 1, err))
            return -1;
    }
    return 0;
}

static int write_file(const struct convert *c, const uint64_t *order,
                      const struct imatrix_entry **importance, struct gguf_writer *w,
                      const char *path, struct err *err) {
    if (put_header(c, order, w, err) || gguf_writer_begin(w, path, err))
        return -1;
    struct pipe *p = pipe_new(c, w, importance, convert_bytes(c->source, c->type));
    int rc = c->replace ? write_replaced(c, p, order, err)
                        : pipe_run(p, order, c->source->tensors, err);
    pipe_free(p);
    return rc || gguf_writer_finish(w, err) ? -1 : 0;
}

int convert_run(const struct convert *c, const char *path, struct err *err) {
    if (source_reads(c->source, path))
        return err_set(err, "%s: this is what is to be converted: name another file", path);
    if (check_types(c, err))
        return -1;
    uint64_t *order = make_order(c);
    const struct imatrix_entry **importance = mem_array((size_t)c->source->tensors,
                                                        sizeof *importance);
    struct gguf_writer *w = gguf_writer_new(3, ALIGNMENT);
    int rc = find_importance(c, importance, err);
    if (!rc)
        rc = write_file(c, order, importance, w, path, err);
    gguf_writer_free(w);
    free(importance);
    free(order);
    return rc;
}
