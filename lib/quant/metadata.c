/* metadata.c - a model's metadata as text, see metadata.h
 *
 * Whatever a source is made of, it can put its keys into a GGUF writer; a header of these alone is
 * read back from memory.
 */
#include "lib/quant/metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format/jsonw.h"

struct metadata {
    struct buf head;
    struct gguf *view;
};

struct metadata *metadata_of(struct source *s, struct err *err) {
    struct metadata *m = mem_alloc(sizeof *m);
    struct gguf_writer *w = gguf_writer_new(3, 32);
    int rc = s->ops->keys(s, w, err);
    if (!rc)
        gguf_writer_keys(w, &m->head);
    gguf_writer_free(w);
    m->view = rc ? NULL : gguf_open_memory(m->head.data, m->head.len, s->path, err);
    if (!m->view) {
        metadata_free(m);
        return NULL;
    }
    return m;
}

void metadata_free(struct metadata *m) {
    if (!m)
        return;
    gguf_close(m->view);
    buf_free(&m->head);
    free(m);
}

const struct gguf *metadata_view(const struct metadata *m) {
    return m->view;
}

const char *metadata_type_name(enum gguf_type type) {
    static const char *const names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool",
                                        "str", "arr", "u64", "i64", "f64"};
    return type <= GGUF_F64 ? names[type] : "?";
}

/* As few digits as read back as the same float. */
static void put_float(float x, struct buf *out) {
    int digits = 6;
    for (; digits < 9; digits++) {
        char text[32];
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x)
            break;
    }
    jsonw_float_digits(out, NULL, (double)x, digits);
}

static void put_number(const struct gguf_value *v, uint64_t i, struct buf *out) {
    char text[32];
    uint64_t bits;
    switch (v->type) {
    case GGUF_F64: jsonw_float(out, NULL, gguf_array_float(v, i)); break;
    case GGUF_F32: put_float((float)gguf_array_float(v, i), out); break;
    case GGUF_BOOL: jsonw_bool(out, NULL, gguf_array_int(v, i) != 0); break;
    case GGUF_U64:
        memcpy(&bits, (const char *)v->data + i * sizeof bits, sizeof bits);
        snprintf(text, sizeof text, "%llu", (unsigned long long)bits);
        jsonw_raw(out, NULL, text);
        break;
    default:
        snprintf(text, sizeof text, "%lld", (long long)gguf_array_int(v, i));
        jsonw_raw(out, NULL, text);
    }
}

static void put_strings(const struct gguf_value *v, uint64_t first, uint64_t n, struct buf *out) {
    struct gguf_string *s = mem_array((size_t)v->n + 1, sizeof *s);
    gguf_array_strs(v, s);
    for (uint64_t i = first; i < first + n; i++)
        jsonw_strn(out, NULL, s[i].data, s[i].len);
    free(s);
}

void metadata_text(const struct gguf_value *v, uint64_t first, uint64_t most, struct buf *out) {
    if (!v->is_array || !most || first > v->n)
        first = 0;
    uint64_t n = v->is_array && most && most < v->n - first ? most : v->n - first;
    out->len = 0;
    if (first)
        buf_printf(out, "%llu:", (unsigned long long)first);
    if (v->is_array)
        buf_addc(out, '[');
    size_t start = out->len;
    if (v->type == GGUF_STRING)
        put_strings(v, first, n, out);
    for (uint64_t i = first; i < first + n && v->type != GGUF_STRING; i++)
        put_number(v, i, out);
    if (n < v->n)
        buf_printf(out, "%s...(%llu)", out->len > start ? "," : "", (unsigned long long)v->n);
    if (v->is_array)
        buf_addc(out, ']');
}

void metadata_cut(struct buf *text, size_t most) {
    size_t len = text->len;
    if (len <= most)
        return;
    while (most && ((unsigned char)text->data[most] & 0xC0) == 0x80)    /* inside a character */
        most--;
    text->len = most;
    buf_printf(text, "...(%zu)", len);
}

static uint64_t strings_apart(const struct gguf_value *a, const struct gguf_value *b, uint64_t n) {
    struct gguf_string *s = mem_array((size_t)a->n + 1, sizeof *s);
    struct gguf_string *t = mem_array((size_t)b->n + 1, sizeof *t);
    uint64_t i = 0;
    gguf_array_strs(a, s);
    gguf_array_strs(b, t);
    while (i < n && s[i].len == t[i].len && !memcmp(s[i].data, t[i].data, s[i].len))
        i++;
    free(s);
    free(t);
    return i;
}

uint64_t metadata_apart(const struct gguf_value *a, const struct gguf_value *b) {
    uint64_t n = a->n < b->n ? a->n : b->n;
    size_t width = gguf_value_bytes(a->type);
    uint64_t i = 0;
    if (a->type == GGUF_STRING)
        return strings_apart(a, b, n);
    while (i < n && !memcmp((const char *)a->data + i * width, (const char *)b->data + i * width,
                            width))
        i++;
    return i;
}

int metadata_same(const struct gguf_value *a, const struct gguf_value *b) {
    return a->type == b->type && a->is_array == b->is_array && a->n == b->n &&
           metadata_apart(a, b) == a->n;
}
