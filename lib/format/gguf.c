/* gguf.c - opens GGUF files: maps them, checks every byte of the header, joins split files
 *
 * Order: header, key-value pairs, tensor infos, then the rules that need all of them (tensors
 * inside the file, not overlapping; names unique). What the checks let through is safe to use
 * without further ones; gguf_meta.c and all callers rely on it. Written from the format's
 * description (ggml docs/gguf.md).
 */
#include "lib/format/gguf_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF values are read in place: this needs a little-endian machine"
#endif

#define DEFAULT_ALIGNMENT 32
#define MAX_PARTS 10000         /* the names have five digits; nobody splits so fine */
/* The fewest bytes that a key-value pair (empty key, one-byte value) and a tensor info (empty
 * name, no dimensions) can take: what bounds their counts. */
#define MIN_PAIR_BYTES (8 + 4 + 1)
#define MIN_TENSOR_BYTES (8 + 4 + 4 + 8)
/* What no model comes near, so that a large file cannot make us ask for absurd amounts either. */
#define MAX_PAIRS (1 << 20)
#define MAX_TENSORS (1 << 20)
#define MAX_TEXT (1 << 28)
#define SHOWN_NAME 80            /* bytes of a name in a message */

/* A cursor over one part, and where it is in words. */
struct reader {
    const struct gguf_part *part;
    size_t at;
    const char *kind;           /* "header", "key" or "tensor" */
    uint64_t index;
    struct gguf_string name;    /* of the pair or tensor, once read */
    struct err *err;
};

/* Fails with "FILE: byte N: KIND INDEX \"NAME\": what". */
static int refuse(const struct reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse(const struct reader *r, const char *fmt, ...) {
    char what[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    int length = r->name.len < SHOWN_NAME ? (int)r->name.len : SHOWN_NAME;
    if (!strcmp(r->kind, "header"))
        err_set(r->err, "%s: byte %zu: header: %s", r->part->name, r->at, what);
    else
        err_set(r->err, "%s: byte %zu: %s %" PRIu64 " \"%.*s\": %s", r->part->name, r->at,
                r->kind, r->index, length, length ? r->name.data : "", what);
    return -1;
}

static size_t left(const struct reader *r) {
    return r->part->len - r->at;
}

/* ---- pieces ----------------------------------------------------------------------------- */

static int take(struct reader *r, void *out, size_t bytes, const char *what) {
    if (left(r) < bytes) {
        refuse(r, "truncated: %s takes %zu bytes, %zu are left", what, bytes, left(r));
        return -1;
    }
    memcpy(out, r->part->data + r->at, bytes);
    r->at += bytes;
    return 0;
}

static int take_u32(struct reader *r, uint32_t *out, const char *what) {
    return take(r, out, sizeof *out, what);
}

static int take_u64(struct reader *r, uint64_t *out, const char *what) {
    return take(r, out, sizeof *out, what);
}

static int take_string(struct reader *r, struct gguf_string *out, const char *what) {
    uint64_t len;
    if (take_u64(r, &len, what))
        return -1;
    if (len > left(r))
        return refuse(r, "%s of %" PRIu64 " bytes, %zu are left in the file", what, len, left(r));
    out->data = (const char *)r->part->data + r->at;
    out->len = (size_t)len;
    r->at += out->len;
    return 0;
}

/* n elements of fixed size: checks that they are there, and that booleans are 0 or 1. */
static int take_scalars(struct reader *r, struct gguf_value *v) {
    size_t size = gguf_value_bytes(v->type);
    if (v->n > left(r) / size)
        return refuse(r, "%" PRIu64 " element%s of %zu byte%s, %zu bytes are left in the file",
                       v->n, v->n == 1 ? "" : "s", size, size == 1 ? "" : "s", left(r));
    v->data = r->part->data + r->at;
    for (uint64_t i = 0; v->type == GGUF_BOOL && i < v->n; i++)
        if (r->part->data[r->at + i] > 1)
            return refuse(r, "a boolean is 0 or 1, found %d", r->part->data[r->at + i]);
    r->at += (size_t)v->n * size;
    return 0;
}

static int take_strings(struct reader *r, struct gguf_value *v) {
    struct gguf_string s;
    if (v->n > left(r) / sizeof(uint64_t))
        return refuse(r, "%" PRIu64 " strings, %zu bytes are left in the file", v->n, left(r));
    v->data = r->part->data + r->at;
    for (uint64_t i = 0; i < v->n; i++)
        if (take_string(r, &s, "a string"))
            return -1;
    return 0;
}

static int take_value(struct reader *r, struct gguf_value *v) {
    uint32_t type;
    if (take_u32(r, &type, "the value's type"))
        return -1;
    v->n = 1;
    if (type == GGUF_ARRAY) {
        v->is_array = 1;
        if (take_u32(r, &type, "the array's element type") ||
            take_u64(r, &v->n, "the array's length"))
            return -1;
        if (type == GGUF_ARRAY)
            return refuse(r, "an array of arrays: not supported");
    }
    if (type > GGUF_F64)
        return refuse(r, "unknown value type %" PRIu32 " (types are 0 to %d)", type, GGUF_F64);
    v->type = (enum gguf_type)type;
    return type == GGUF_STRING ? take_strings(r, v) : take_scalars(r, v);
}

/* ---- key-value pairs -------------------------------------------------------------------- */

static struct gguf_string key_at(const void *ctx, uint64_t i) {
    return ((const struct gguf_pair *)ctx)[i].key;
}

static int read_pairs(struct reader *r, struct gguf_part *p, uint64_t count) {
    p->pair = mem_array((size_t)count, sizeof *p->pair);
    gguf_index_init(&p->keys, count);
    r->kind = "key";
    for (uint64_t i = 0; i < count; i++) {
        struct gguf_pair *pair = &p->pair[i];
        r->index = i;
        r->name = (struct gguf_string){0};
        if (take_string(r, &pair->key, "the key"))
            return -1;
        r->name = pair->key;
        if (gguf_index_add(&p->keys, key_at, p->pair, i))
            return refuse(r, "this key was there before");
        if (take_value(r, &pair->value))
            return -1;
        if (pair->value.type == GGUF_STRING && !pair->value.is_array) {
            struct gguf_string s;
            gguf_array_strs(&pair->value, &s);
            if (s.len > MAX_TEXT)
                return refuse(r, "a text of %zu bytes, at most %d are expected", s.len, MAX_TEXT);
            pair->text = mem_strndup(s.data, s.len);
        }
        p->pairs = i + 1;
    }
    return 0;
}

static int read_alignment(struct reader *r, struct gguf_part *p) {
    static const char key[] = "general.alignment";
    p->alignment = DEFAULT_ALIGNMENT;
    if (!gguf_pair_find(p, key, strlen(key)))
        return 0;
    int64_t n = gguf_pair_int(p, key, 0);
    r->kind = "header";
    if (n <= 0 || n > UINT32_MAX || (n & (n - 1)))
        return refuse(r, "general.alignment %" PRId64 ": a power of two is expected", n);
    p->alignment = (uint32_t)n;
    return 0;
}

/* ---- tensors ---------------------------------------------------------------------------- */

/* t->bytes from type and dimensions. */
static int measure(const struct reader *r, struct gguf_tensor *t) {
    size_t bytes;
    int block = gguf_type_block(t->type, &bytes);
    if (!block)
        return refuse(r, "unknown tensor type %d", t->type);
    if (t->ne[0] % block)
        return refuse(r, "rows of %" PRId64 " elements: type %s has blocks of %d", t->ne[0],
                       gguf_type_name(t->type), block);
    uint64_t sum = (uint64_t)t->ne[0] / (uint64_t)block;
    int overflow = __builtin_mul_overflow(sum, bytes, &sum);
    for (int i = 1; i < 4; i++)
        overflow |= __builtin_mul_overflow(sum, (uint64_t)t->ne[i], &sum);
    if (overflow || sum > SIZE_MAX / 2)
        return refuse(r, "%" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64
                       " elements: more than any file holds", t->ne[0], t->ne[1], t->ne[2],
                       t->ne[3]);
    t->bytes = (size_t)sum;
    return 0;
}

/* One tensor info; *offset counts from the start of the data. */
static int read_tensor(struct reader *r, struct gguf_tensor *t, uint64_t *offset) {
    uint32_t dims;
    uint32_t type;
    r->name = (struct gguf_string){0};
    if (take_string(r, &t->name, "the name"))
        return -1;
    r->name = t->name;
    if (take_u32(r, &dims, "the number of dimensions"))
        return -1;
    if (dims > 4)
        return refuse(r, "%" PRIu32 " dimensions, 4 at most are expected", dims);
    t->dims = dims ? (int)dims : 1;     /* a lone number is a vector of one */
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t n = 1;
        if (i < dims && take_u64(r, &n, "a dimension"))
            return -1;
        if (n == 0 || n > INT64_MAX)
            return refuse(r, "dimension %" PRIu32 " is %" PRIu64 ", expected 1 to 2^63-1", i, n);
        t->ne[i] = (int64_t)n;
    }
    if (take_u32(r, &type, "the tensor type") || take_u64(r, offset, "the offset"))
        return -1;
    if (type > INT32_MAX)
        return refuse(r, "unknown tensor type %" PRIu32, type);
    t->type = (int)type;
    return measure(r, t);
}

/* Bytes of a tensor's name to show in a message. */
static int shown(const struct gguf_tensor *t) {
    return t->name.len < SHOWN_NAME ? (int)t->name.len : SHOWN_NAME;
}

static int by_address(const void *a, const void *b) {
    const struct gguf_tensor *s = *(const struct gguf_tensor *const *)a;
    const struct gguf_tensor *t = *(const struct gguf_tensor *const *)b;
    return (s->data > t->data) - (s->data < t->data);
}

/* Refuses tensors (n of one part) that share bytes. */
static int check_overlap(const struct gguf_part *p, const struct gguf_tensor *tensor, uint64_t n,
                         struct err *err) {
    const struct gguf_tensor **order = mem_array((size_t)n, sizeof *order);
    int rc = 0;
    for (uint64_t i = 0; i < n; i++)
        order[i] = &tensor[i];
    qsort(order, (size_t)n, sizeof *order, by_address);
    for (uint64_t i = 1; i < n && !rc; i++) {
        const struct gguf_tensor *a = order[i - 1];
        const struct gguf_tensor *b = order[i];
        const unsigned char *end = (const unsigned char *)a->data + a->bytes;
        if (end > (const unsigned char *)b->data)
            rc = err_set(err, "%s: overlapping offsets: tensor \"%.*s\" ends at byte %td, \"%.*s\""
                         " begins at %td", p->name, shown(a), a->name.data, end - p->data,
                         shown(b), b->name.data, (const unsigned char *)b->data - p->data);
    }
    free(order);
    return rc;
}

/* Places the tensors in the file: aligned, inside, apart. offset[n] counts from the data's
 * start, which is where the header ends, rounded up. */
static int place_tensors(struct reader *r, struct gguf_part *p, struct gguf_tensor *tensor,
                         uint64_t n, const uint64_t *offset) {
    size_t gap = (p->alignment - r->at % p->alignment) % p->alignment;
    r->kind = "tensor";
    for (uint64_t i = 0; i < n; i++) {
        struct gguf_tensor *t = &tensor[i];
        r->index = i;
        r->name = t->name;
        if (offset[i] % p->alignment)
            return refuse(r, "offset %" PRIu64 " is no multiple of the alignment %" PRIu32,
                           offset[i], p->alignment);
        size_t room = left(r) < gap ? 0 : left(r) - gap;
        if (offset[i] > room || t->bytes > room - (size_t)offset[i])
            return refuse(r, "truncated: %zu bytes at offset %" PRIu64 " of the data, the file"
                           " holds %zu bytes of data", t->bytes, offset[i], room);
        t->data = p->data + r->at + gap + (size_t)offset[i];
    }
    return check_overlap(p, tensor, n, r->err);
}

static int read_tensors(struct reader *r, struct gguf *g, int part, uint64_t count) {
    struct gguf_part *p = &g->part[part];
    uint64_t *offset = mem_array((size_t)count, sizeof *offset);
    g->tensor = mem_grow(g->tensor, (size_t)(g->tensors + count), sizeof *g->tensor);
    struct gguf_tensor *tensor = g->tensor + g->tensors;
    int rc = 0;
    r->kind = "tensor";
    for (uint64_t i = 0; i < count && !rc; i++) {
        r->index = i;
        tensor[i] = (struct gguf_tensor){.part = part};
        rc = read_tensor(r, &tensor[i], &offset[i]);
    }
    if (!rc)
        rc = place_tensors(r, p, tensor, count, offset);
    if (!rc)
        g->tensors += count;
    free(offset);
    return rc;
}

/* ---- one file --------------------------------------------------------------------------- */

static int check_count(const struct reader *r, uint64_t n, const char *what, size_t least_bytes,
                       uint64_t max) {
    if (n > left(r) / least_bytes)
        return refuse(r, "%" PRIu64 " %s cannot fit the %zu bytes that are left", n, what,
                      left(r));
    if (n > max)
        return refuse(r, "%" PRIu64 " %s: more than any model has (%" PRIu64 ")", n, what, max);
    return 0;
}

static int read_header(struct reader *r, struct gguf_part *p, uint64_t *tensors,
                       uint64_t *pairs) {
    char magic[4];
    if (take(r, magic, sizeof magic, "the magic \"GGUF\""))
        return -1;
    if (memcmp(magic, "GGUF", sizeof magic)) {
        r->at = 0;
        return refuse(r, "not a GGUF file: expected \"GGUF\" at the start, found %02x %02x %02x"
                       " %02x", magic[0] & 255, magic[1] & 255, magic[2] & 255, magic[3] & 255);
    }
    if (take_u32(r, &p->version, "the version"))
        return -1;
    if (p->version && !(p->version & 0xFFFF))
        return refuse(r, "a big-endian GGUF file: only little-endian ones are read");
    if (p->version != 2 && p->version != 3)
        return refuse(r, "GGUF version %" PRIu32 ": versions 2 and 3 are read", p->version);
    if (take_u64(r, tensors, "the tensor count") || take_u64(r, pairs, "the key count"))
        return -1;
    return check_count(r, *pairs, "keys", MIN_PAIR_BYTES, MAX_PAIRS) ||
           check_count(r, *tensors, "tensors", MIN_TENSOR_BYTES, MAX_TENSORS) ? -1 : 0;
}

/* Reads part number `part` of g, whose name, data and len are set. */
static int read_part(struct gguf *g, int part, struct err *err) {
    struct gguf_part *p = &g->part[part];
    struct reader r = {.part = p, .kind = "header", .err = err};
    uint64_t tensors = 0;
    uint64_t pairs = 0;
    if (read_header(&r, p, &tensors, &pairs) || read_pairs(&r, p, pairs) ||
        read_alignment(&r, p))
        return -1;
    return read_tensors(&r, g, part, tensors);
}

static int map_file(struct gguf_part *p, struct err *err) {
    struct stat st;
    int fd = open(p->name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, "%s: %s", p->name, strerror(errno));
    int rc = -1;
    if (fstat(fd, &st))
        err_set(err, "%s: %s", p->name, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err_set(err, "%s: not a regular file: models are mapped, not streamed", p->name);
    else if (st.st_size == 0)
        err_set(err, "%s: an empty file, expected \"GGUF\" at the start", p->name);
    else {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            err_set(err, "%s: cannot map %jd bytes: %s", p->name, (intmax_t)st.st_size,
                    strerror(errno));
        } else {
            p->data = data;
            p->len = (size_t)st.st_size;
            p->mapped = 1;
            rc = 0;
        }
    }
    close(fd);
    return rc;
}

static struct gguf_string name_at(const void *ctx, uint64_t i) {
    return ((const struct gguf_tensor *)ctx)[i].name;
}

/* Makes the table of names over all parts; two tensors of one name are refused. */
static int index_tensors(struct gguf *g, struct err *err) {
    gguf_index_init(&g->names, g->tensors);
    for (uint64_t i = 0; i < g->tensors; i++) {
        const struct gguf_tensor *t = &g->tensor[i];
        if (gguf_index_add(&g->names, name_at, g->tensor, i))
            return err_set(err, "%s: tensor %" PRIu64 " \"%.*s\": this name was there before",
                           g->part[t->part].name, i, shown(t), t->name.data);
    }
    return 0;
}

/* ---- split files ------------------------------------------------------------------------ */

/* The name of part `i` (0-based) of `parts`, given the first's; NULL when that does not end in
 * -00001-of-0000N.gguf. Caller frees. */
static char *part_name(const char *first, int i, int parts) {
    char tail[40];
    int n = snprintf(tail, sizeof tail, "-00001-of-%05d.gguf", parts);
    size_t len = strlen(first);
    if (len < (size_t)n || strcmp(first + len - (size_t)n, tail))
        return NULL;
    return mem_printf("%.*s-%05d-of-%05d.gguf", (int)(len - (size_t)n), first, i + 1, parts);
}

static int open_rest(struct gguf *g, int64_t parts, struct err *err) {
    const char *first = g->part[0].name;
    int64_t no = gguf_pair_int(&g->part[0], "split.no", -1);
    if (parts > MAX_PARTS)
        return err_set(err, "%s: split.count %" PRId64 ": more than %d parts", first, parts,
                       MAX_PARTS);
    if (no != 0)
        return err_set(err, "%s: part %" PRId64 " of a model in %" PRId64 " files: open the first"
                       " (...-00001-of-%05" PRId64 ".gguf)", first, no + 1, parts, parts);
    g->part = mem_grow(g->part, (size_t)parts, sizeof *g->part);
    memset(g->part + 1, 0, (size_t)(parts - 1) * sizeof *g->part);
    first = g->part[0].name;
    for (int i = 1; i < parts; i++) {
        struct gguf_part *p = &g->part[i];
        p->name = part_name(first, i, (int)parts);
        g->parts = i + 1;
        if (!p->name)
            return err_set(err, "%s: a model in %" PRId64 " files must be named"
                           " ...-00001-of-%05" PRId64 ".gguf", first, parts, parts);
        if (map_file(p, err) || read_part(g, i, err))
            return -1;
        if (gguf_pair_int(p, "split.no", -1) != i ||
            gguf_pair_int(p, "split.count", -1) != parts)
            return err_set(err, "%s: expected split.no %d of split.count %" PRId64 ", found %"
                           PRId64 " of %" PRId64, p->name, i, parts,
                           gguf_pair_int(p, "split.no", -1), gguf_pair_int(p, "split.count", -1));
    }
    int64_t all = gguf_pair_int(&g->part[0], "split.tensors.count", (int64_t)g->tensors);
    if (all != (int64_t)g->tensors)
        return err_set(err, "%s: split.tensors.count is %" PRId64 ", the %" PRId64 " files hold %"
                       PRIu64, first, all, parts, g->tensors);
    return 0;
}

/* ---- open and close --------------------------------------------------------------------- */

static struct gguf *new_file(const char *name) {
    struct gguf *g = mem_alloc(sizeof *g);
    g->part = mem_alloc(sizeof *g->part);
    g->parts = 1;
    g->part->name = mem_strdup(name);
    return g;
}

struct gguf *gguf_open(const char *path, struct err *err) {
    struct gguf *g = new_file(path);
    if (map_file(g->part, err) || read_part(g, 0, err))
        goto fail;
    int64_t parts = gguf_pair_int(g->part, "split.count", 1);
    if (parts > 1 && open_rest(g, parts, err))
        goto fail;
    if (index_tensors(g, err))
        goto fail;
    return g;
fail:
    gguf_close(g);
    return NULL;
}

struct gguf *gguf_open_memory(const void *data, size_t len, const char *name, struct err *err) {
    struct gguf *g = new_file(name);
    g->part->data = data;
    g->part->len = len;
    if (read_part(g, 0, err))
        goto fail;
    if (gguf_pair_int(g->part, "split.count", 1) > 1) {
        err_set(err, "%s: one part of a split model: the others cannot be found in memory", name);
        goto fail;
    }
    if (index_tensors(g, err))
        goto fail;
    return g;
fail:
    gguf_close(g);
    return NULL;
}

void gguf_close(struct gguf *g) {
    if (!g)
        return;
    for (int i = 0; i < g->parts; i++) {
        struct gguf_part *p = &g->part[i];
        for (uint64_t k = 0; k < p->pairs; k++)
            free(p->pair[k].text);
        free(p->pair);
        free(p->keys.slot);
        free(p->name);
        if (p->mapped) {
            void *address;
            memcpy(&address, &p->data, sizeof address);     /* munmap takes no const */
            munmap(address, p->len);
        }
    }
    free(g->part);
    free(g->tensor);
    free(g->names.slot);
    free(g);
}
