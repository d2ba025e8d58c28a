/* source.c - a model to convert: what all kinds share, and GGUF files, see source.h
 *
 * A GGUF file is nearly its own source: tensors lie in its mapping, row after row. What a folder
 * of transformers becomes is source_hf.c.
 */
#include "lib/quant/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/kern.h"
#include "lib/base/mem.h"

struct source_gguf {
    struct source source;       /* first: a pointer to one is a pointer to the other */
    struct gguf *gguf;
};

static struct source_gguf *of(struct source *s) {
    return (struct source_gguf *)s;
}

static const struct source_gguf *of_const(const struct source *s) {
    return (const struct source_gguf *)s;
}

/* ---- rows ------------------------------------------------------------------------------- */

static size_t row_bytes(const struct source_tensor *t) {
    return t->bytes / (size_t)t->rows;
}

static const void *gguf_raw(struct source *s, uint64_t i, int64_t first, int64_t n) {
    (void)n;
    const char *data = gguf_tensor(of(s)->gguf, i)->data;
    return data + (size_t)first * row_bytes(&s->tensor[i]);
}

static int gguf_rows(struct source *s, uint64_t i, int64_t first, int64_t n, float *out,
                     struct err *err) {
    const struct source_tensor *t = &s->tensor[i];
    if (!kern_type_info(t->type))
        return err_set(err, "%s: tensor \"%s\": type %s: its values cannot be read, only copied",
                       s->path, t->name, gguf_type_name(t->type));
    kern_dequantize(t->type, gguf_raw(s, i, first, n), out, n * t->ne[0]);
    return 0;
}

/* Pages that the rows share with others stay: those may be on their way. */
static void gguf_give_back(struct source *s, uint64_t i, int64_t first, int64_t n) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)gguf_raw(s, i, first, n);
    uintptr_t end = start + (size_t)n * row_bytes(&s->tensor[i]);
    start = (start + page - 1) / page * page;
    end = end / page * page;
    if (start < end)
        madvise((void *)start, end - start, MADV_DONTNEED);
}

/* ---- metadata --------------------------------------------------------------------------- */

/* What belongs to the file, not to the model: parts of a split, and an alignment that the writer
 * does not keep (that of every file without the key is 32). */
static int of_the_file(const char *key, const struct gguf_value *v) {
    if (!strcmp(key, "general.alignment"))
        return v->is_array || v->type != GGUF_U32 || gguf_array_int(v, 0) != 32;
    return !strcmp(key, "split.no") || !strcmp(key, "split.count") ||
           !strcmp(key, "split.tensors.count");
}

static int gguf_keys(struct source *s, struct gguf_writer *w, struct err *err) {
    const struct gguf *g = of(s)->gguf;
    for (uint64_t i = 0; i < gguf_key_count(g); i++) {
        struct gguf_value v;
        struct gguf_string key = gguf_key(g, i, &v);
        char *name = mem_strndup(key.data, key.len);
        int whole = strlen(name) == key.len;
        if (whole && !of_the_file(name, &v))
            gguf_put_value(w, name, &v);
        free(name);
        if (!whole)
            return err_set(err, "%s: key %" PRIu64 ": a zero byte in its name", s->path, i);
    }
    return 0;
}

static const char *gguf_file(const struct source *s, int i) {
    return gguf_part_path(of_const(s)->gguf, i);
}

/* ---- open and close --------------------------------------------------------------------- */

static void gguf_source_close(struct source *s) {
    struct source_gguf *g = of(s);
    for (uint64_t i = 0; i < s->tensors; i++) {
        char *name;
        memcpy(&name, &s->tensor[i].name, sizeof name);     /* free takes no const */
        free(name);
    }
    free(s->tensor);
    shape_free(s->shape);
    free(s->path);
    gguf_close(g->gguf);
    free(g);
}

static const struct source_ops gguf_ops = {
    .rows = gguf_rows, .raw = gguf_raw, .drop = gguf_give_back, .keys = gguf_keys,
    .file = gguf_file, .close = gguf_source_close,
};

static int list_tensors(struct source *s, const struct gguf *g, struct err *err) {
    uint64_t n = gguf_tensor_count(g);
    s->tensor = mem_array((size_t)n, sizeof *s->tensor);
    for (uint64_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = gguf_tensor(g, i);
        char *name = mem_strndup(t->name.data, t->name.len);
        s->tensor[i] = (struct source_tensor){
            .name = name, .type = t->type, .dims = t->dims, .bytes = t->bytes,
            .rows = t->ne[1] * t->ne[2] * t->ne[3]};
        memcpy(s->tensor[i].ne, t->ne, sizeof t->ne);
        s->tensors = i + 1;
        if (strlen(name) != t->name.len)
            return err_set(err, "%s: tensor %" PRIu64 ": a zero byte in its name", s->path, i);
    }
    return 0;
}

/* A number of {arch}.KEY, the first one of a list of numbers by layer; 0: none or absurd. */
static int number(const struct source *s, const struct gguf *g, const char *key) {
    char *name = mem_printf("%s.%s", s->arch, key);
    struct gguf_value v;
    int64_t x = gguf_int(g, name, 0);
    if (!gguf_value(g, name, &v) && v.is_array && v.n && v.type != GGUF_STRING)
        x = gguf_array_int(&v, 0);
    free(name);
    return x > 0 && x <= INT32_MAX ? (int)x : 0;
}

static struct source *open_gguf(const char *path, struct err *err) {
    struct gguf *g = gguf_open(path, err);
    if (!g)
        return NULL;
    struct source_gguf *gs = mem_alloc(sizeof *gs);
    struct source *s = &gs->source;
    gs->gguf = g;
    s->ops = &gguf_ops;
    s->path = mem_strdup(path);
    snprintf(s->arch, sizeof s->arch, "%s", gguf_str(g, "general.architecture", ""));
    s->shape = shape_from_gguf(g, NULL);
    s->layers = number(s, g, "block_count");
    s->experts = number(s, g, "expert_count");
    s->heads = number(s, g, "attention.head_count");
    s->kv_heads = number(s, g, "attention.head_count_kv");
    if (!s->kv_heads)
        s->kv_heads = s->heads;
    if (list_tensors(s, g, err)) {
        source_close(s);
        return NULL;
    }
    return s;
}

static int ends(const char *s, const char *with) {
    size_t len = strlen(s);
    return len >= strlen(with) && !strcmp(s + len - strlen(with), with);
}

struct source *source_open(const char *path, struct err *err) {
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode))
        return source_open_hf(path, err);
    if (ends(path, ".safetensors") || ends(path, "config.json")) {
        err_set(err, "%s: expected a GGUF file or a whole folder: name the one that this is in",
                path);
        return NULL;
    }
    return open_gguf(path, err);
}

void source_close(struct source *s) {
    if (s)
        s->ops->close(s);
}

/* ---- questions -------------------------------------------------------------------------- */

int64_t source_find(const struct source *s, const char *name) {
    for (uint64_t i = 0; i < s->tensors; i++)
        if (!strcmp(s->tensor[i].name, name))
            return (int64_t)i;
    return -1;
}

int source_rows(struct source *s, uint64_t i, int64_t first, int64_t n, float *out,
                struct err *err) {
    return s->ops->rows(s, i, first, n, out, err);
}

static int same_file(const char *path, const struct stat *out) {
    struct stat in;
    return !stat(path, &in) && in.st_dev == out->st_dev && in.st_ino == out->st_ino;
}

int source_reads(const struct source *s, const char *path) {
    const struct source_ops *ops = s->ops;
    const char *file;
    struct stat out;
    if (stat(path, &out))
        return 0;
    for (int i = 0; (file = ops->file(s, i)); i++)
        if (same_file(file, &out))
            return 1;
    for (int i = 0; ops->beside && (file = ops->beside(s, i)); i++)
        if (same_file(file, &out))
            return 1;
    return 0;
}
