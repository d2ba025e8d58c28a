/* imatrix_read.c - importance from llama.cpp's files, see imatrix.h
 *
 * What cannot be mapped is taken whole into memory (it may come from a pipe, or be compressed), and
 * every length is checked against the bytes that are left. Entries are collected as they come, then
 * sorted.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/format/gguf.h"
#include "lib/format/zio.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/imatrix_impl.h"

/* Counts beyond this are no longer whole in a double. */
#define MOST_TOKENS ((int64_t)1 << 53)

struct reader {
    struct imatrix *m;
    const char *name;           /* of the file */
    struct err *err;
    int cap;                    /* entries that there is room for */
};

static struct imatrix_entry *append(struct reader *r, const char *name, size_t len, int64_t cols,
                                    int64_t mats) {
    struct imatrix *m = r->m;
    if (m->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        m->entry = mem_grow(m->entry, (size_t)r->cap, sizeof *m->entry);
    }
    struct imatrix_entry *e = &m->entry[m->n++];
    *e = (struct imatrix_entry){.name = mem_strndup(name, len), .cols = cols, .mats = mats,
                                .sum = mem_array((size_t)(cols * mats), sizeof *e->sum),
                                .count = mem_array((size_t)mats, sizeof *e->count)};
    return e;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct imatrix_entry *)a)->name, ((const struct imatrix_entry *)b)->name);
}

static int sort_entries(const struct reader *r) {
    struct imatrix *m = r->m;
    qsort(m->entry, (size_t)m->n, sizeof *m->entry, by_name);
    for (int i = 1; i < m->n; i++)
        if (!strcmp(m->entry[i - 1].name, m->entry[i].name))
            return err_set(r->err, "%s: \"%s\" is there twice", r->name, m->entry[i].name);
    return 0;
}

static int check_name(const struct reader *r, const char *name, size_t len) {
    if (len == 0 || memchr(name, '\0', len))
        return err_set(r->err, "%s: an entry %s", r->name,
                       len ? "has a NUL in its name" : "has no name");
    return 0;
}

static int check_sums(const struct reader *r, const struct imatrix_entry *e) {
    for (int64_t i = 0; i < e->cols * e->mats; i++)
        if (!(e->sum[i] >= 0) || isinf(e->sum[i]))
            return err_set(r->err, "%s: \"%s\": column %" PRId64 " has %g: expected a sum of"
                           " squares", r->name, e->name, i % e->cols, (double)e->sum[i]);
    return 0;
}

/* ---- GGUF ------------------------------------------------------------------------------- */

static int64_t elements(const struct gguf_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

static int take_entry(struct reader *r, const struct gguf *g, const struct gguf_tensor *sum,
                      size_t len) {
    const char *name = sum->name.data;
    if (check_name(r, name, len))
        return -1;
    const struct gguf_tensor *count = gguf_find(g, "%.*s%s", (int)len, name, SUFFIX_COUNT);
    if (!count)
        return err_set(r->err, "%s: \"%.*s\" has sums but no counts", r->name, (int)len, name);
    int64_t n = elements(sum);
    int64_t mats = elements(count);
    if (sum->type != 0 || count->type != 0)
        return err_set(r->err, "%s: \"%.*s\": expected F32, found %s and %s", r->name, (int)len,
                       name, gguf_type_name(sum->type), gguf_type_name(count->type));
    if (n < 1 || mats < 1 || n % mats)
        return err_set(r->err, "%s: \"%.*s\": %" PRId64 " sums for %" PRId64 " counts", r->name,
                       (int)len, name, n, mats);
    struct imatrix_entry *e = append(r, name, len, n / mats, mats);
    memcpy(e->sum, sum->data, (size_t)n * sizeof *e->sum);
    for (int64_t i = 0; i < mats; i++) {
        float v;
        memcpy(&v, (const char *)count->data + (size_t)i * sizeof v, sizeof v);
        if (!(v >= 0 && v <= (float)MOST_TOKENS))
            return err_set(r->err, "%s: \"%s\": a count of %g", r->name, e->name, (double)v);
        e->count[i] = llrintf(v);
    }
    return check_sums(r, e);
}

/* An array of strings, as copies. */
static int take_strings(const struct reader *r, const struct gguf *g, const char *key, char ***out,
                        int *n) {
    struct gguf_value v;
    if (gguf_value(g, key, &v))
        return 0;
    if (!v.is_array || v.type != GGUF_STRING || v.n > INT32_MAX)
        return err_set(r->err, "%s: %s: expected an array of strings", r->name, key);
    struct gguf_string *s = mem_array((size_t)v.n, sizeof *s);
    *out = mem_array((size_t)v.n, sizeof **out);
    gguf_array_strs(&v, s);
    for (*n = 0; *n < (int)v.n; ++*n)
        (*out)[*n] = mem_strndup(s[*n].data, s[*n].len);
    free(s);
    return 0;
}

static int take_sensitivity(const struct reader *r, const struct gguf *g) {
    struct imatrix *m = r->m;
    struct gguf_value v;
    if (take_strings(r, g, KEY_SENSITIVE, &m->sensitive, &m->n_sensitivity))
        return -1;
    if (!m->n_sensitivity)
        return 0;
    if (gguf_value(g, KEY_SENSITIVITY, &v) || !v.is_array || v.n != (uint64_t)m->n_sensitivity)
        return err_set(r->err, "%s: %s: expected %d numbers", r->name, KEY_SENSITIVITY,
                       m->n_sensitivity);
    m->sensitivity = mem_array((size_t)v.n, sizeof *m->sensitivity);
    for (int i = 0; i < m->n_sensitivity; i++) {
        m->sensitivity[i] = gguf_array_float(&v, (uint64_t)i);
        if (!(m->sensitivity[i] >= 0) || isinf(m->sensitivity[i]))
            return err_set(r->err, "%s: the sensitivity of \"%s\" is %g: expected 0 or more",
                           r->name, m->sensitive[i], m->sensitivity[i]);
    }
    return 0;
}

/* Closes g, which may be NULL: then r->err says why. */
static int read_gguf(struct reader *r, struct gguf *g) {
    static const size_t tail = sizeof SUFFIX_SUM - 1;
    int rc = -1;
    if (!g)
        return -1;
    for (uint64_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor(g, i);
        size_t len = t->name.len;
        if (len < tail || memcmp(t->name.data + len - tail, SUFFIX_SUM, tail))
            continue;
        if (take_entry(r, g, t, len - tail))
            goto close;
    }
    if (r->m->n == 0) {
        err_set(r->err, "%s: no importance matrix: no tensor NAME%s", r->name, SUFFIX_SUM);
        goto close;
    }
    r->m->chunks = gguf_int(g, KEY_CHUNKS, 0);
    r->m->chunk_tokens = gguf_int(g, KEY_TOKENS, 0);
    if (r->m->chunks < 0 || r->m->chunk_tokens < 1 || r->m->chunk_tokens > UINT32_MAX) {
        err_set(r->err, "%s: %s and %s: expected how many chunks of how many tokens", r->name,
                KEY_CHUNKS, KEY_TOKENS);
        goto close;
    }
    rc = take_strings(r, g, KEY_DATASETS, &r->m->dataset, &r->m->datasets) ||
         take_sensitivity(r, g) || sort_entries(r) ? -1 : 0;
close:
    gguf_close(g);
    return rc;
}

/* ---- legacy ----------------------------------------------------------------------------- */

struct cursor {
    const char *data;
    size_t at, len;
};

/* The next 32-bit number; -1: the file ends. */
static int next_i32(struct cursor *c, int32_t *v) {
    if (c->len - c->at < sizeof *v)
        return -1;
    memcpy(v, c->data + c->at, sizeof *v);
    c->at += sizeof *v;
    return 0;
}

/* size bytes of `what` that the file promises, or NULL. */
static const char *next_bytes(const struct reader *r, struct cursor *c, int32_t n, size_t size,
                              const char *what) {
    const char *p = c->data + c->at;
    if (n < 1 || (size_t)n > (c->len - c->at) / size) {
        err_set(r->err, "%s: no importance matrix, or a damaged one: offset %zu: entry %d has %d"
                " %s, %zu bytes are left", r->name, c->at, r->m->n, (int)n, what, c->len - c->at);
        return NULL;
    }
    c->at += (size_t)n * size;
    return p;
}

static int ended(const struct reader *r, const struct cursor *c) {
    return err_set(r->err, "%s: no importance matrix, or a damaged one: ends in entry %d, at offset"
                   " %zu", r->name, r->m->n, c->at);
}

static int take_legacy(struct reader *r, struct cursor *c) {
    int32_t len;
    int32_t calls;
    int32_t n;
    if (next_i32(c, &len))
        return ended(r, c);
    const char *name = next_bytes(r, c, len, 1, "bytes of name");
    if (!name || check_name(r, name, (size_t)len))
        return -1;
    if (next_i32(c, &calls) || next_i32(c, &n))
        return ended(r, c);
    const char *values = next_bytes(r, c, n, sizeof(float), "values");
    if (!values)
        return -1;
    struct imatrix_entry *e = append(r, name, (size_t)len, n, 1);
    memcpy(e->sum, values, (size_t)n * sizeof *e->sum);
    e->count[0] = calls > 0 ? calls : 1;        /* as llama-quantize: then they are means */
    return check_sums(r, e);
}

/* What follows the entries may be missing. */
static void take_trailer(struct reader *r, struct cursor *c) {
    int32_t chunks;
    int32_t len;
    if (next_i32(c, &chunks))
        return;
    r->m->chunks = chunks > 0 ? chunks : 0;
    if (next_i32(c, &len) || len < 1 || (size_t)len > c->len - c->at)
        return;
    char *name = mem_strndup(c->data + c->at, (size_t)len);
    imatrix_add_dataset(r->m, name);
    free(name);
}

static int read_legacy(struct reader *r, const struct buf *bytes) {
    struct cursor c = {bytes->data, 0, bytes->len};
    int32_t entries;
    if (next_i32(&c, &entries) || entries < 1)
        return err_set(r->err, "%s: no importance matrix: neither GGUF nor a legacy file with"
                       " entries", r->name);
    for (int32_t i = 0; i < entries; i++)
        if (take_legacy(r, &c))
            return -1;
    take_trailer(r, &c);
    return sort_entries(r);
}

/* ---- either ----------------------------------------------------------------------------- */

/* A regular file that begins as GGUF does: it can be mapped, and whoever takes a whole model for an
 * importance matrix does not wait for it to be read. */
static int can_map(const char *path) {
    struct stat st;
    char magic[4] = "";
    if (stat(path, &st) || !S_ISREG(st.st_mode))
        return 0;
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(magic, 1, sizeof magic, f) : 0;
    if (f)
        fclose(f);
    return n == sizeof magic && !memcmp(magic, "GGUF", n);
}

static int read_bytes(struct reader *r, const char *path) {
    struct buf bytes = {0};
    int rc = zio_read_all(path, &bytes, r->err);
    if (!rc && bytes.len >= 4 && !memcmp(bytes.data, "GGUF", 4))
        rc = read_gguf(r, gguf_open_memory(bytes.data, bytes.len, r->name, r->err));
    else if (!rc)
        rc = read_legacy(r, &bytes);
    buf_free(&bytes);
    return rc;
}

struct imatrix *imatrix_read(const char *path, struct err *err) {
    struct reader r = {.m = imatrix_new(), .name = strcmp(path, "-") ? path : "stdin", .err = err};
    int rc = can_map(path) ? read_gguf(&r, gguf_open(path, err)) : read_bytes(&r, path);
    if (!rc)
        return r.m;
    imatrix_free(r.m);
    return NULL;
}
