/* safetensors_writer.c - writes safetensors files: names first, then bytes as they come
 *
 * Counterpart of safetensors.c. The header is padded with blanks to a multiple of 8 bytes, so that
 * tensors lie aligned when those of wide types are declared first.
 */
#include "lib/format/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/outfile.h"
#include "lib/format/jsonw.h"

struct st_writer {
    struct buf meta;            /* members of __metadata__ */
    struct buf tensors;         /* members of the header, beside it */
    char **name;
    uint64_t *bytes;            /* [n] of each tensor */
    uint64_t n;
    uint64_t total;

    struct outfile *file;       /* from begin to finish */
    char *path;
    uint64_t given;             /* bytes of data written */
};

struct st_writer *st_writer_new(void) {
    return mem_alloc(sizeof(struct st_writer));
}

void st_put_meta(struct st_writer *w, const char *key, const char *value) {
    jsonw_str(&w->meta, key, value);
}

/* Numbers go in as digits: jsonw_int would quote those above 2^53. */
void st_put_tensor(struct st_writer *w, const char *name, int dtype, int dims,
                   const int64_t *shape) {
    assert(dtype >= 0 && dtype < ST_DTYPES && dims >= 0 && dims <= ST_DIMS);
    uint64_t bytes = st_dtype_bytes(dtype);
    struct buf value = {0};
    buf_printf(&value, "{\"dtype\":\"%s\",\"shape\":[", st_dtype_name(dtype));
    for (int i = 0; i < dims; i++) {
        assert(shape[i] >= 0);
        bytes *= (uint64_t)shape[i];
        buf_printf(&value, "%s%" PRId64, i ? "," : "", shape[i]);
    }
    buf_printf(&value, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", w->total,
               w->total + bytes);
    jsonw_raw(&w->tensors, name, value.data);
    buf_free(&value);
    w->name = mem_grow(w->name, w->n + 1, sizeof *w->name);
    w->bytes = mem_grow(w->bytes, w->n + 1, sizeof *w->bytes);
    w->name[w->n] = mem_strdup(name);
    w->bytes[w->n++] = bytes;
    w->total += bytes;
}

int st_writer_begin(struct st_writer *w, const char *path, struct err *err) {
    struct buf head = {0};
    assert(!w->file);
    buf_addc(&head, '{');
    if (w->meta.len) {
        buf_adds(&head, "\"__metadata__\":{");
        buf_add(&head, w->meta.data, w->meta.len);
        buf_adds(&head, w->tensors.len ? "}," : "}");
    }
    buf_add(&head, w->tensors.data, w->tensors.len);
    buf_addc(&head, '}');
    while (head.len % 8)
        buf_addc(&head, ' ');
    uint64_t len = head.len;
    w->path = mem_strdup(path);
    w->file = outfile_open(path, err);
    int rc = !w->file || outfile_write(w->file, &len, sizeof len, err) ||
             outfile_write(w->file, head.data, head.len, err);
    buf_free(&head);
    return rc ? -1 : 0;
}

int st_writer_data(struct st_writer *w, const void *data, size_t len, struct err *err) {
    if (len > w->total - w->given)
        return err_set(err, "%s: %zu bytes more than its %" PRIu64 " tensors hold", w->path, len,
                       w->n);
    w->given += len;
    return outfile_write(w->file, data, len, err);
}

/* Which tensor the first missing byte belongs to. */
static int incomplete(const struct st_writer *w, struct err *err) {
    uint64_t end = 0;
    for (uint64_t i = 0; i < w->n; i++) {
        end += w->bytes[i];
        if (end > w->given)
            return err_set(err, "%s: tensor \"%.80s\" lacks %" PRIu64 " of its %" PRIu64 " bytes",
                           w->path, w->name[i], end - w->given < w->bytes[i] ? end - w->given
                                                                          : w->bytes[i],
                           w->bytes[i]);
    }
    return -1;
}

int st_writer_finish(struct st_writer *w, struct err *err) {
    if (w->given < w->total)
        return incomplete(w, err);
    struct outfile *file = w->file;
    w->file = NULL;
    return outfile_close(file, err);
}

void st_writer_free(struct st_writer *w) {
    if (!w)
        return;
    outfile_abort(w->file);
    for (uint64_t i = 0; i < w->n; i++)
        free(w->name[i]);
    free(w->name);
    free(w->bytes);
    free(w->path);
    buf_free(&w->meta);
    buf_free(&w->tensors);
    free(w);
}
