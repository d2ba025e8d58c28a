/* safetensors_header.c - the header of one safetensors file, checked to the last byte
 *
 * Every tensor must have a known dtype, a shape of at most ST_DIMS dimensions whose product does
 * not overflow, and offsets that agree with both; together the tensors must cover the data without
 * gap or overlap. Limits as in the format's own library where it has one.
 */
#include "lib/format/safetensors_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/format/jsonr.h"

#define MAX_HEADER 100000000u   /* bytes; safetensors' own limit */
#define MAX_TENSORS (1u << 20)
#define MAX_NAME 1024

/* One tensor on its way from JSON. */
struct pending {
    struct st_tensor t;
    char *name;                 /* t.name */
    int64_t begin, end;
    int seen;                   /* bits: dtype, shape, data_offsets */
};

static int read_dtype(struct jsonr *r, struct pending *p) {
    struct jsonr_text text;
    if (jsonr_str(r, &text))
        return -1;
    p->t.dtype = st_dtype_find(text.data, text.len);
    return p->t.dtype >= 0 ? 0 : jsonr_fail(r, "tensor \"%.80s\": unknown dtype \"%.*s\"",
                                            p->t.name, (int)(text.len < 40 ? text.len : 40),
                                            text.data);
}

static int read_shape(struct jsonr *r, struct pending *p) {
    int rc;
    if (jsonr_enter(r, '['))
        return -1;
    while ((rc = jsonr_item(r)) > 0) {
        int64_t n;
        if (p->t.dims == ST_DIMS)
            return jsonr_fail(r, "tensor \"%.80s\": more than %d dimensions", p->t.name, ST_DIMS);
        if (jsonr_int(r, &n))
            return -1;
        if (n < 0)
            return jsonr_fail(r, "tensor \"%.80s\": a dimension of %" PRId64, p->t.name, n);
        p->t.shape[p->t.dims++] = n;
    }
    return rc;
}

static int read_offsets(struct jsonr *r, struct pending *p) {
    if (jsonr_enter(r, '[') || jsonr_element(r) || jsonr_int(r, &p->begin) ||
        jsonr_element(r) || jsonr_int(r, &p->end))
        return -1;
    if (jsonr_item(r))
        return jsonr_fail(r, "tensor \"%.80s\": expected two data_offsets", p->t.name);
    return 0;
}

/* Bytes that shape and dtype ask for; -1: more than a file holds. */
static int64_t measure(const struct st_tensor *t) {
    int64_t bytes = (int64_t)st_dtype_bytes(t->dtype);
    for (int i = 0; i < t->dims; i++)
        if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return -1;
    return bytes;
}

static int check_tensor(struct jsonr *r, struct pending *p, size_t data_len) {
    static const char *const words[] = {"dtype", "shape", "data_offsets"};
    for (int i = 0; i < 3; i++)
        if (!(p->seen & 1 << i))
            return jsonr_fail(r, "tensor \"%.80s\": expected a %s, found none", p->t.name,
                              words[i]);
    int64_t bytes = measure(&p->t);
    if (p->begin < 0 || p->end < p->begin || (uint64_t)p->end > data_len)
        return jsonr_fail(r, "tensor \"%.80s\": data_offsets %" PRId64 " to %" PRId64
                          ", expected within %zu bytes", p->t.name, p->begin, p->end, data_len);
    if (p->end - p->begin != bytes)
        return jsonr_fail(r, "tensor \"%.80s\": data_offsets span %" PRId64 " bytes, its shape "
                          "takes %" PRId64, p->t.name, p->end - p->begin, bytes);
    p->t.bytes = (size_t)bytes;
    return 0;
}

static int read_tensor(struct jsonr *r, struct pending *p, size_t data_len) {
    struct jsonr_text key;
    int rc;
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0) {
        int which = jsonr_is(&key, "dtype") ? 0 : jsonr_is(&key, "shape") ? 1
                  : jsonr_is(&key, "data_offsets") ? 2 : 3;
        if (which == 3)
            return jsonr_fail(r, "tensor \"%.80s\": unknown key \"%.*s\"", p->t.name,
                              (int)(key.len < 40 ? key.len : 40), key.data);
        if (p->seen & 1 << which)
            return jsonr_fail(r, "tensor \"%.80s\": the same key twice", p->t.name);
        p->seen |= 1 << which;
        if (which == 0 ? read_dtype(r, p) : which == 1 ? read_shape(r, p) : read_offsets(r, p))
            return -1;
    }
    return rc ? -1 : check_tensor(r, p, data_len);
}

/* Strings that say how the file came about; nothing here reads them. */
static int read_meta(struct jsonr *r) {
    struct jsonr_text key;
    struct jsonr_text value;
    int rc;
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0)
        if (jsonr_str(r, &value))
            return -1;
    return rc;
}

static int take_name(struct jsonr *r, const struct jsonr_text *key, struct pending *p) {
    if (key->len > MAX_NAME || memchr(key->data, 0, key->len))
        return jsonr_fail(r, "expected a name of at most %d bytes without NUL", MAX_NAME);
    p->t.name = p->name = mem_strndup(key->data, key->len);
    return 0;
}

struct list {
    struct pending *p;
    size_t n, cap;
};

static int read_entries(struct jsonr *r, struct list *l, size_t data_len) {
    struct jsonr_text key;
    int rc;
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0) {
        if (jsonr_is(&key, "__metadata__")) {
            if (read_meta(r))
                return -1;
            continue;
        }
        if (l->n == MAX_TENSORS)
            return jsonr_fail(r, "more than %u tensors", MAX_TENSORS);
        if (l->n == l->cap) {
            l->cap = l->cap * 2 + 64;
            l->p = mem_grow(l->p, l->cap, sizeof *l->p);
        }
        struct pending *p = &l->p[l->n];
        *p = (struct pending){0};
        if (take_name(r, &key, p))
            return -1;
        l->n++;
        if (read_tensor(r, p, data_len))
            return -1;
    }
    return rc;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b) {
    const struct pending *p = a;
    const struct pending *q = b;
    if (p->begin != q->begin)
        return p->begin < q->begin ? -1 : 1;
    if (p->end != q->end)
        return p->end < q->end ? -1 : 1;
    return strcmp(p->t.name, q->t.name);
}

/* Each tensor begins where the one before ends, and the last ends with the file. */
static int check_cover(const char *file, const struct list *l, size_t data_len, struct err *err) {
    int64_t at = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->p[i].begin != at)
            return err_set(err, "%s: tensor \"%.80s\" begins at byte %" PRId64 " of the data, "
                           "expected %" PRId64 ": %s", file, l->p[i].t.name, l->p[i].begin, at,
                           l->p[i].begin > at ? "a gap" : "an overlap");
        at = l->p[i].end;
    }
    if ((uint64_t)at != data_len)
        return err_set(err, "%s: %zu bytes of data, the tensors take %" PRId64, file, data_len,
                       at);
    return 0;
}

static void keep(struct st_set *s, int part, const struct list *l, const unsigned char *data) {
    s->entry = mem_grow(s->entry, s->entries + l->n + 1, sizeof *s->entry);
    for (size_t i = 0; i < l->n; i++) {
        struct st_entry *e = &s->entry[s->entries++];
        *e = (struct st_entry){.tensor = l->p[i].t, .name = l->p[i].name,
                               .mapped = s->part[part].map != NULL};
        e->tensor.data = data + l->p[i].begin;
        e->tensor.part = part;
    }
}

int st_read_header(struct st_set *s, int part, struct err *err) {
    const struct st_part *p = &s->part[part];
    uint64_t len = 0;
    struct list l = {0};
    struct jsonr r;
    if (p->len < sizeof len)
        return err_set(err, "%s: %zu bytes: a safetensors file begins with a length of 8", p->name,
                       p->len);
    memcpy(&len, p->data, sizeof len);
    if (len > MAX_HEADER || len > p->len - sizeof len)
        return err_set(err, "%s: a header of %" PRIu64 " bytes, expected at most %zu", p->name,
                       len, p->len - sizeof len < MAX_HEADER ? p->len - sizeof len : MAX_HEADER);
    size_t data_len = p->len - sizeof len - (size_t)len;
    jsonr_begin(&r, p->name, (const char *)p->data + sizeof len, (size_t)len, err);
    int rc = read_entries(&r, &l, data_len);
    rc |= jsonr_end(&r);
    if (!rc && l.n)
        qsort(l.p, l.n, sizeof *l.p, by_offset);
    if (!rc)
        rc = check_cover(p->name, &l, data_len, err);
    if (!rc)
        keep(s, part, &l, p->data + sizeof len + len);
    for (size_t i = 0; rc && i < l.n; i++)
        free(l.p[i].name);
    free(l.p);
    return rc;
}
