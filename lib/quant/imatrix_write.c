/* imatrix_write.c - importance to llama.cpp's files, see imatrix.h
 *
 * The order of entries (by name), of keys and of the operations on floats are those of
 * llama-imatrix: equal sums give equal bytes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/outfile.h"
#include "lib/format/gguf.h"
#include "lib/quant/imatrix.h"
#include "lib/quant/imatrix_impl.h"

/* ---- GGUF ------------------------------------------------------------------------------- */

static void put_strings(struct gguf_writer *w, const char *key, char *const *s, int n) {
    struct gguf_string *list = mem_array((size_t)n, sizeof *list);
    for (int i = 0; i < n; i++)
        list[i] = (struct gguf_string){s[i], strlen(s[i])};
    gguf_put_strs(w, key, list, (uint64_t)n);
    free(list);
}

static void put_keys(struct gguf_writer *w, const struct imatrix *m) {
    gguf_put_str(w, "general.type", "imatrix");
    put_strings(w, KEY_DATASETS, m->dataset, m->datasets);
    gguf_put_int(w, KEY_CHUNKS, GGUF_U32, m->chunks < UINT32_MAX ? m->chunks : UINT32_MAX);
    gguf_put_int(w, KEY_TOKENS, GGUF_U32, m->chunk_tokens);
    if (m->n_sensitivity) {
        float *values = mem_array((size_t)m->n_sensitivity, sizeof *values);
        for (int i = 0; i < m->n_sensitivity; i++)
            values[i] = (float)m->sensitivity[i];
        put_strings(w, KEY_SENSITIVE, m->sensitive, m->n_sensitivity);
        gguf_put_floats(w, KEY_SENSITIVITY, values, (uint64_t)m->n_sensitivity);
        free(values);
    }
}

static void put_tensor(struct gguf_writer *w, const struct imatrix_entry *e, const char *suffix,
                       int64_t cols) {
    char *name = mem_printf("%s%s", e->name, suffix);
    gguf_put_tensor(w, name, 0 /* F32 */, e->mats > 1 ? 2 : 1, (int64_t[]){cols, e->mats});
    free(name);
}

static int write_entry(struct gguf_writer *w, const struct imatrix_entry *e, struct err *err) {
    float *count = mem_array((size_t)e->mats, sizeof *count);
    for (int64_t i = 0; i < e->mats; i++)
        count[i] = (float)e->count[i];
    int rc = gguf_writer_data(w, e->sum, (size_t)(e->cols * e->mats) * sizeof *e->sum, err);
    rc = rc ? rc : gguf_writer_data(w, count, (size_t)e->mats * sizeof *count, err);
    free(count);
    return rc;
}

static int write_gguf(const struct imatrix *m, const char *path, struct err *err) {
    struct gguf_writer *w = gguf_writer_new(3, 32);
    put_keys(w, m);
    for (int i = 0; i < m->n; i++) {
        put_tensor(w, &m->entry[i], SUFFIX_SUM, m->entry[i].cols);
        put_tensor(w, &m->entry[i], SUFFIX_COUNT, 1);
    }
    int rc = gguf_writer_begin(w, path, err);
    for (int i = 0; rc == 0 && i < m->n; i++)
        rc = write_entry(w, &m->entry[i], err);
    rc = rc ? rc : gguf_writer_finish(w, err);
    gguf_writer_free(w);
    return rc;
}

/* ---- legacy ----------------------------------------------------------------------------- */

static void add_i32(struct buf *b, int64_t v) {
    int32_t x = (int32_t)v;
    buf_add(b, &x, sizeof x);
}

static void add_text(struct buf *b, const char *s) {
    add_i32(b, (int64_t)strlen(s));
    buf_adds(b, s);
}

static int64_t most_seen(const struct imatrix_entry *e) {
    int64_t most = 0;
    for (int64_t i = 0; i < e->mats; i++)
        most = e->count[i] > most ? e->count[i] : most;
    return most;
}

/* Means times calls; 1 for the columns of an expert that saw nothing. */
static int add_legacy(struct buf *b, const struct imatrix_entry *e, int64_t chunk_tokens,
                      const char *path, struct err *err) {
    int64_t calls = (most_seen(e) + chunk_tokens - 1) / chunk_tokens;
    if (calls > INT32_MAX || e->cols * e->mats > INT32_MAX)
        return err_set(err, "%s: \"%s\": %" PRId64 " values from %" PRId64 " calls: the legacy form"
                       " ends at %d", path, e->name, e->cols * e->mats, calls, INT32_MAX);
    add_text(b, e->name);
    add_i32(b, calls);
    add_i32(b, e->cols * e->mats);
    for (int64_t i = 0; i < e->mats; i++) {
        float count = e->count[i] ? (float)e->count[i] : 1;
        for (int64_t c = 0; c < e->cols; c++) {
            float sum = e->count[i] ? e->sum[i * e->cols + c] : 1;
            float value = sum / count * (float)calls;
            buf_add(b, &value, sizeof value);
        }
    }
    return 0;
}

static int make_legacy(const struct imatrix *m, struct buf *b, const char *path,
                       struct err *err) {
    int64_t chunk_tokens = m->chunk_tokens ? m->chunk_tokens : 1;
    int64_t entries = 0;
    for (int i = 0; i < m->n; i++)
        entries += most_seen(&m->entry[i]) > 0;
    if (!entries)
        return err_set(err, "%s: no entry has seen anything: the legacy form cannot say so", path);
    add_i32(b, entries);
    for (int i = 0; i < m->n; i++)
        if (most_seen(&m->entry[i]) > 0 && add_legacy(b, &m->entry[i], chunk_tokens, path, err))
            return -1;
    add_i32(b, m->chunks < INT32_MAX ? m->chunks : INT32_MAX);
    add_text(b, m->datasets ? m->dataset[m->datasets - 1] : "");
    return 0;
}

static int write_legacy(const struct imatrix *m, const char *path, struct err *err) {
    struct buf b = {0};
    struct outfile *f = NULL;
    int rc = make_legacy(m, &b, strcmp(path, "-") ? path : "stdout", err);
    if (!rc && !(f = outfile_open(path, err)))
        rc = -1;
    if (!rc) {
        fwrite(b.data, 1, b.len, outfile_stream(f));    /* outfile_close tells of errors */
        rc = outfile_close(f, err);
    }
    buf_free(&b);
    return rc;
}

int imatrix_write(const struct imatrix *m, const char *path, int legacy, struct err *err) {
    return legacy ? write_legacy(m, path, err) : write_gguf(m, path, err);
}
