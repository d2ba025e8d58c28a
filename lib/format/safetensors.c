/* safetensors.c - opens safetensors files and answers about their tensors, see safetensors.h */
#include "lib/format/safetensors_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[ST_DTYPES] = {
    [ST_BOOL] = {"BOOL", 1},       [ST_U8] = {"U8", 1},           [ST_I8] = {"I8", 1},
    [ST_I16] = {"I16", 2},         [ST_U16] = {"U16", 2},         [ST_F16] = {"F16", 2},
    [ST_BF16] = {"BF16", 2},       [ST_I32] = {"I32", 4},         [ST_U32] = {"U32", 4},
    [ST_F32] = {"F32", 4},         [ST_F64] = {"F64", 8},         [ST_I64] = {"I64", 8},
    [ST_U64] = {"U64", 8},         [ST_F8_E4M3] = {"F8_E4M3", 1}, [ST_F8_E5M2] = {"F8_E5M2", 1},
};

const char *st_dtype_name(int dtype) {
    return dtype >= 0 && dtype < ST_DTYPES ? dtypes[dtype].name : "unknown";
}

size_t st_dtype_bytes(int dtype) {
    return dtype >= 0 && dtype < ST_DTYPES ? dtypes[dtype].bytes : 0;
}

int st_dtype_find(const char *name, size_t len) {
    for (int i = 0; i < ST_DTYPES; i++)
        if (strlen(dtypes[i].name) == len && !memcmp(dtypes[i].name, name, len))
            return i;
    return -1;
}

/* ---- opening ---------------------------------------------------------------------------- */

static struct st_part *add_part(struct st_set *s, const char *path) {
    s->part = mem_grow(s->part, (size_t)s->parts + 1, sizeof *s->part);
    struct st_part *p = &s->part[s->parts++];
    *p = (struct st_part){.name = mem_strdup(path)};
    return p;
}

int st_map(struct st_set *s, const char *path, struct err *err) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);     /* waits for no FIFO's writer */
    if (fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    void *data = MAP_FAILED;
    if (fstat(fd, &st))
        err_set(err, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err_set(err, "%s: not a regular file", path);
    else if (st.st_size < 8)
        err_set(err, "%s: %lld bytes: a safetensors file begins with a length of 8", path,
                (long long)st.st_size);
    else if ((data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        err_set(err, "%s: %s", path, strerror(errno));
    close(fd);
    if (data == MAP_FAILED)
        return -1;
    struct st_part *p = add_part(s, path);
    p->data = p->map = data;
    p->len = (size_t)st.st_size;
    return 0;
}

static struct gguf_string name_at(const void *ctx, uint64_t i) {
    const char *name = ((const struct st_entry *)ctx)[i].tensor.name;
    return (struct gguf_string){name, strlen(name)};
}

static int index_names(struct st_set *s, struct err *err) {
    gguf_index_init(&s->names, s->entries);
    for (uint64_t i = 0; i < s->entries; i++) {
        const struct st_tensor *t = &s->entry[i].tensor;
        if (gguf_index_add(&s->names, name_at, s->entry, i))
            return err_set(err, "%s: tensor \"%.80s\" was there before", s->part[t->part].name,
                           t->name);
    }
    return 0;
}

struct st_set *st_open(const char *path, struct err *err) {
    struct stat st;
    struct st_set *s = mem_alloc(sizeof *s);
    int folder = !stat(path, &st) && S_ISDIR(st.st_mode);
    int rc = folder ? st_open_folder(s, path, err)
                    : st_map(s, path, err) || st_read_header(s, 0, err);
    if (!rc && !index_names(s, err))
        return s;
    st_close(s);
    return NULL;
}

struct st_set *st_open_memory(const void *data, size_t len, const char *name, struct err *err) {
    struct st_set *s = mem_alloc(sizeof *s);
    struct st_part *p = add_part(s, name);
    p->data = data;
    p->len = len;
    if (!st_read_header(s, 0, err) && !index_names(s, err))
        return s;
    st_close(s);
    return NULL;
}

void st_close(struct st_set *s) {
    if (!s)
        return;
    for (int i = 0; i < s->parts; i++) {
        if (s->part[i].map)
            munmap(s->part[i].map, s->part[i].len);
        free(s->part[i].name);
    }
    for (uint64_t i = 0; i < s->entries; i++)
        free(s->entry[i].name);
    free(s->names.slot);
    free(s->entry);
    free(s->part);
    free(s);
}

/* ---- asking ----------------------------------------------------------------------------- */

uint64_t st_count(const struct st_set *s) {
    return s->entries;
}

const struct st_tensor *st_tensor(const struct st_set *s, uint64_t i) {
    return &s->entry[i].tensor;
}

const struct st_tensor *st_find(const struct st_set *s, const char *name) {
    int64_t i = gguf_index_find(&s->names, name_at, s->entry, name, strlen(name));
    return i < 0 ? NULL : &s->entry[i].tensor;
}

const char *st_path(const struct st_set *s, int part) {
    return part >= 0 && part < s->parts ? s->part[part].name : NULL;
}

void st_drop(const struct st_tensor *t, size_t offset, size_t bytes) {
    const struct st_entry *e = (const struct st_entry *)(const void *)t;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (!e->mapped || offset > t->bytes || bytes > t->bytes - offset || !bytes)
        return;
    /* Pages shared with a neighbour go too: they can be read again. */
    uintptr_t first = ((uintptr_t)t->data + offset) / page * page;
    uintptr_t last = (uintptr_t)t->data + offset + bytes;
    madvise((void *)first, last - first, MADV_DONTNEED);
}
