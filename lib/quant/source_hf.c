/* source_hf.c - a folder of Hugging Face transformers as a model to convert, see source.h
 *
 * Rows come straight out of the mapped safetensors files: permuted, added to and made floats as
 * they are asked for. Nothing else is kept of the weights.
 */
#include "lib/quant/hf_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kern.h"

static const struct hf *hf_of(const struct source *s) {
    return (const struct hf *)s;
}

/* ---- where a row lies ------------------------------------------------------------------- */

/* Neighbours of a GGUF's head stand half a head apart in the folder's. */
int64_t hf_row(const struct hf_origin *o, int64_t rows, int64_t r) {
    if (!o->permuted_heads)
        return r;
    int64_t head = rows / o->permuted_heads;
    int64_t in = r % head;
    return r - in + in % 2 * (head / 2) + in / 2;
}

const struct hf_origin *hf_origin(const struct source *s, uint64_t i, int64_t mat) {
    const struct hf_tensor *t = &hf_of(s)->tensor[i];
    return t->made ? NULL : &t->origin[mat];
}

const struct st_set *hf_tensors(const struct source *s) {
    return hf_of(s)->set;
}

/* Offset in the folder's tensor of row r of matrix o. */
static size_t offset_of(const struct hf_origin *o, int64_t rows, int64_t r) {
    const struct st_tensor *t = o->tensor;
    size_t row_bytes = (size_t)t->shape[t->dims - 1] * st_dtype_bytes(t->dtype);
    return (size_t)(o->first + (t->dims > 1 ? hf_row(o, rows, r) : r)) * row_bytes;
}

/* n elements as floats. A file may begin its data at an odd byte. */
static void make_floats(const struct st_tensor *t, size_t offset, int64_t n, float *out) {
    const char *src = (const char *)t->data + offset;
    size_t size = st_dtype_bytes(t->dtype);
    uint32_t aligned[256];
    if (t->dtype == ST_F32) {
        memcpy(out, src, (size_t)n * sizeof *out);
        return;
    }
    if ((uintptr_t)src % size == 0) {
        kern_dequantize(hf_type(t), src, out, n);
        return;
    }
    for (int64_t at = 0; at < n; at += 256) {
        int64_t part = n - at < 256 ? n - at : 256;
        memcpy(aligned, src + (size_t)at * size, (size_t)part * size);
        kern_dequantize(hf_type(t), aligned, out + at, part);
    }
}

/* ---- the source's operations ------------------------------------------------------------ */

/* A bias whose elements are the rows of a permuted matrix. */
static void permute_vector(const struct hf_origin *o, int64_t n, float *x) {
    float *copy = mem_array((size_t)n, sizeof *copy);
    memcpy(copy, x, (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = copy[hf_row(o, n, i)];
    free(copy);
}

static int get_rows(struct source *s, uint64_t i, int64_t first, int64_t n, float *out,
                    struct err *err) {
    const struct hf_tensor *t = &hf_of(s)->tensor[i];
    int64_t cols = s->tensor[i].ne[0];
    (void)err;
    if (t->made) {
        memcpy(out, t->made, (size_t)cols * sizeof *out);
        return 0;
    }
    for (int64_t done = 0; done < n;) {
        int64_t mat = (first + done) / t->mat_rows;
        int64_t r = (first + done) % t->mat_rows;
        const struct hf_origin *o = &t->origin[mat];
        int64_t run = o->permuted_heads ? 1 : t->mat_rows - r;
        if (run > n - done)
            run = n - done;
        float *to = out + done * cols;
        make_floats(o->tensor, offset_of(o, t->mat_rows, r), run * cols, to);
        if (o->tensor->dims == 1 && o->permuted_heads)
            permute_vector(o, cols, to);
        for (int64_t k = 0; o->added != 0.0f && k < run * cols; k++)
            to[k] += o->added;
        done += run;
    }
    return 0;
}

static const void *get_raw(struct source *s, uint64_t i, int64_t first, int64_t n) {
    const struct hf_tensor *t = &hf_of(s)->tensor[i];
    if (t->made)
        return t->made;
    int64_t mat = first / t->mat_rows;
    int64_t last = first + n - 1;
    const struct hf_origin *o = &t->origin[mat];
    const struct hf_origin *end = &t->origin[last / t->mat_rows];
    size_t size = st_dtype_bytes(o->tensor->dtype);
    size_t from = offset_of(o, t->mat_rows, first % t->mat_rows);
    size_t to = offset_of(end, t->mat_rows, last % t->mat_rows);
    const char *data = (const char *)o->tensor->data + from;
    if (hf_type(o->tensor) != s->tensor[i].type || o->added != 0.0f || (uintptr_t)data % size ||
        (o->permuted_heads && (n > 1 || o->tensor->dims == 1)) || end->tensor != o->tensor ||
        to - from != (size_t)(n - 1) * (size_t)s->tensor[i].ne[0] * size)
        return NULL;
    return data;
}

/* Of permuted rows whole heads: their halves lie apart. */
static void drop_rows(struct source *s, uint64_t i, int64_t first, int64_t n) {
    const struct hf_tensor *t = &hf_of(s)->tensor[i];
    for (int64_t r = first; !t->made && r < first + n;) {
        int64_t mat = r / t->mat_rows;
        int64_t from = r % t->mat_rows;
        int64_t to = from + first + n - r < t->mat_rows ? from + first + n - r : t->mat_rows;
        const struct hf_origin *o = &t->origin[mat];
        int64_t head = o->permuted_heads && o->tensor->dims > 1 ? t->mat_rows / o->permuted_heads
                                                                : 1;
        size_t row_bytes = (size_t)s->tensor[i].ne[0] * st_dtype_bytes(o->tensor->dtype);
        r += to - from;
        from = from / head * head;
        to = (to + head - 1) / head * head;
        st_drop(o->tensor, (size_t)(o->first + from) * row_bytes,
                (size_t)(to - from) * row_bytes);
    }
}

static int put_keys(struct source *s, struct gguf_writer *w, struct err *err) {
    return hf_put_model((struct hf *)s, w, err);
}

static const char *const small_files[HF_SMALL] = {
    "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json",
    "tokenizer.model", "tokenizer_config.json", "added_tokens.json", "chat_template.jinja",
    "chat_template.json"};

static const char *get_file(const struct source *s, int i) {
    return st_path(hf_of(s)->set, i);
}

static const char *get_beside(const struct source *s, int i) {
    return i < HF_SMALL ? hf_of(s)->small[i] : NULL;
}

static void close_hf(struct source *s) {
    struct hf *h = (struct hf *)s;
    hf_free_tensors(h);
    hf_config_close(&h->config);
    st_close(h->set);
    shape_free(s->shape);
    free(s->path);
    free(h->pre);
    for (int i = 0; i < HF_SMALL; i++)
        free(h->small[i]);
    free(h);
}

static const struct source_ops ops = {
    .rows = get_rows, .raw = get_raw, .drop = drop_rows, .keys = put_keys, .file = get_file,
    .beside = get_beside, .close = close_hf,
};

struct source *hf_open(const char *path, const struct hf_options *opt, struct err *err) {
    struct hf *h = mem_alloc(sizeof *h);
    struct source *s = &h->source;
    s->ops = &ops;
    s->path = mem_strdup(path);
    h->pre = opt && opt->pre ? mem_strdup(opt->pre) : NULL;
    for (int i = 0; i < HF_SMALL; i++)
        h->small[i] = mem_printf("%s/%s", path, small_files[i]);
    if (hf_config_open(&h->config, path, err))
        goto fail;
    snprintf(s->arch, sizeof s->arch, "%s", h->config.family->arch);
    if (!(h->set = st_open(path, err)) || hf_map_tensors(h, err) ||
        !(s->shape = shape_find(h->config.where, err)))
        goto fail;
    return s;
fail:
    close_hf(s);
    return NULL;
}

struct source *source_open_hf(const char *path, struct err *err) {
    return hf_open(path, NULL, err);
}
