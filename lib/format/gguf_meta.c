/* gguf_meta.c - answers about an open GGUF file: keys, values and tensors by name
 *
 * Everything here reads what gguf.c has checked already; nothing can fail but a look-up.
 */
#include "lib/format/gguf_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/mem.h"

/* ---- names to indices ------------------------------------------------------------------- */

/* FNV-1a, with a last mix so that the low bits depend on all of them. */
static uint64_t hash(const char *s, size_t len) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static int equal(struct gguf_string a, const char *s, size_t len) {
    return a.len == len && (!len || memcmp(a.data, s, len) == 0);
}

void gguf_index_init(struct gguf_index *x, uint64_t entries) {
    uint64_t slots = 16;
    while (slots < entries * 2)
        slots *= 2;
    x->slot = mem_array(slots, sizeof *x->slot);
    x->mask = slots - 1;
}

/* The slot that holds the name, or the empty one where it belongs. */
static uint64_t probe(const struct gguf_index *x, gguf_name_at *name_at, const void *ctx,
                      const char *name, size_t len) {
    uint64_t at = hash(name, len) & x->mask;
    while (x->slot[at] && !equal(name_at(ctx, x->slot[at] - 1), name, len))
        at = (at + 1) & x->mask;
    return at;
}

int gguf_index_add(struct gguf_index *x, gguf_name_at *name_at, const void *ctx, uint64_t i) {
    struct gguf_string name = name_at(ctx, i);
    uint64_t at = probe(x, name_at, ctx, name.data, name.len);
    if (x->slot[at])
        return -1;
    x->slot[at] = i + 1;
    return 0;
}

int64_t gguf_index_find(const struct gguf_index *x, gguf_name_at *name_at, const void *ctx,
                        const char *name, size_t len) {
    return (int64_t)x->slot[probe(x, name_at, ctx, name, len)] - 1;
}

/* ---- values ----------------------------------------------------------------------------- */

size_t gguf_value_bytes(uint32_t type) {
    static const unsigned char bytes[] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,  [GGUF_U32] = 4,
        [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_STRING] = 0, [GGUF_ARRAY] = 0,
        [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
    };
    return type < sizeof bytes ? bytes[type] : 0;
}

/* Element i as an integer. 0 when it is one (a float may be, when whole), else -1. */
static int get_int(const struct gguf_value *v, uint64_t i, int64_t *out) {
    union {
        uint8_t u8; int8_t i8; uint16_t u16; int16_t i16; uint32_t u32; int32_t i32;
        float f32; uint64_t u64; int64_t i64; double f64;
    } x = {0};
    size_t bytes = gguf_value_bytes(v->type);
    double f;
    memcpy(&x, (const char *)v->data + i * bytes, bytes);
    switch (v->type) {
    case GGUF_U8: case GGUF_BOOL: *out = x.u8; return 0;
    case GGUF_I8: *out = x.i8; return 0;
    case GGUF_U16: *out = x.u16; return 0;
    case GGUF_I16: *out = x.i16; return 0;
    case GGUF_U32: *out = x.u32; return 0;
    case GGUF_I32: *out = x.i32; return 0;
    case GGUF_U64: *out = x.i64; return x.u64 > INT64_MAX ? -1 : 0;
    case GGUF_I64: *out = x.i64; return 0;
    case GGUF_F32: f = x.f32; break;
    case GGUF_F64: f = x.f64; break;
    default: return -1;
    }
    if (!(f >= -0x1p63 && f < 0x1p63) || f != floor(f))
        return -1;
    *out = (int64_t)f;
    return 0;
}

static int get_float(const struct gguf_value *v, uint64_t i, double *out) {
    const char *at = (const char *)v->data + i * gguf_value_bytes(v->type);
    int64_t n;
    float f;
    uint64_t u;
    switch (v->type) {
    case GGUF_F32: memcpy(&f, at, sizeof f); *out = f; return 0;
    case GGUF_F64: memcpy(out, at, sizeof *out); return 0;
    case GGUF_U64: memcpy(&u, at, sizeof u); *out = (double)u; return 0;
    default:
        if (get_int(v, i, &n))
            return -1;
        *out = (double)n;
        return 0;
    }
}

int64_t gguf_array_int(const struct gguf_value *v, uint64_t i) {
    int64_t n;
    double f;
    if (get_int(v, i, &n) == 0)
        return n;
    if (get_float(v, i, &f) || isnan(f))
        return 0;
    return f >= 0x1p63 ? INT64_MAX : f < -0x1p63 ? INT64_MIN : (int64_t)f;
}

double gguf_array_float(const struct gguf_value *v, uint64_t i) {
    double f = 0;
    return get_float(v, i, &f) == 0 ? f : 0;
}

void gguf_array_strs(const struct gguf_value *v, struct gguf_string *out) {
    const char *at = v->data;
    for (uint64_t i = 0; v->type == GGUF_STRING && i < v->n; i++) {
        uint64_t len;
        memcpy(&len, at, sizeof len);
        out[i] = (struct gguf_string){at + sizeof len, (size_t)len};
        at += sizeof len + len;
    }
}

/* ---- keys ------------------------------------------------------------------------------- */

static struct gguf_string key_at(const void *ctx, uint64_t i) {
    return ((const struct gguf_pair *)ctx)[i].key;
}

const struct gguf_pair *gguf_pair_find(const struct gguf_part *p, const char *key, size_t len) {
    int64_t i = gguf_index_find(&p->keys, key_at, p->pair, key, len);
    return i < 0 ? NULL : &p->pair[i];
}

int64_t gguf_pair_int(const struct gguf_part *p, const char *key, int64_t def) {
    const struct gguf_pair *pair = gguf_pair_find(p, key, strlen(key));
    int64_t n;
    if (!pair || pair->value.is_array || get_int(&pair->value, 0, &n))
        return def;
    return n;
}

int gguf_value(const struct gguf *g, const char *key, struct gguf_value *out) {
    const struct gguf_pair *pair = gguf_pair_find(g->part, key, strlen(key));
    if (!pair)
        return -1;
    *out = pair->value;
    return 0;
}

int64_t gguf_int(const struct gguf *g, const char *key, int64_t def) {
    return gguf_pair_int(g->part, key, def);
}

double gguf_float(const struct gguf *g, const char *key, double def) {
    struct gguf_value v;
    double f;
    if (gguf_value(g, key, &v) || v.is_array || get_float(&v, 0, &f))
        return def;
    return f;
}

int gguf_bool(const struct gguf *g, const char *key, int def) {
    return gguf_int(g, key, def != 0) != 0;
}

const char *gguf_str(const struct gguf *g, const char *key, const char *def) {
    const struct gguf_pair *pair = gguf_pair_find(g->part, key, strlen(key));
    return pair && pair->text ? pair->text : def;
}

uint64_t gguf_key_count(const struct gguf *g) {
    return g->part->pairs;
}

struct gguf_string gguf_key(const struct gguf *g, uint64_t i, struct gguf_value *out) {
    if (out)
        *out = g->part->pair[i].value;
    return g->part->pair[i].key;
}

/* ---- tensors and the file --------------------------------------------------------------- */

const char *gguf_path(const struct gguf *g) {
    return g->part->name;
}

const char *gguf_part_path(const struct gguf *g, int part) {
    return part < g->parts ? g->part[part].name : NULL;
}

int gguf_version(const struct gguf *g) {
    return (int)g->part->version;
}

uint64_t gguf_file_bytes(const struct gguf *g) {
    uint64_t sum = 0;
    for (int i = 0; i < g->parts; i++)
        sum += g->part[i].len;
    return sum;
}

uint64_t gguf_tensor_count(const struct gguf *g) {
    return g->tensors;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *g, uint64_t i) {
    return &g->tensor[i];
}

static struct gguf_string name_at(const void *ctx, uint64_t i) {
    return ((const struct gguf_tensor *)ctx)[i].name;
}

const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name, ...) {
    char text[256];
    va_list ap;
    va_start(ap, name);
    int len = vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof text)
        return NULL;    /* longer than any name that our programs ask for */
    int64_t i = gguf_index_find(&g->names, name_at, g->tensor, text, (size_t)len);
    return i < 0 ? NULL : &g->tensor[i];
}

void gguf_drop(const struct gguf *g, const struct gguf_tensor *t) {
    if (!g->part[t->part].mapped)
        return;
    /* Pages shared with a neighbour go too: the file still holds them. */
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t before = (uintptr_t)t->data % page;
    const char *start = (const char *)t->data - before;
    void *address;
    memcpy(&address, &start, sizeof address);   /* madvise takes no const */
    madvise(address, t->bytes + before, MADV_DONTNEED);
}
