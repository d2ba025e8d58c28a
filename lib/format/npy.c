/* npy.c - NumPy arrays, see npy.h; layout: NEP 1 and the text of numpy/lib/format.py
 *
 * A header that is read may be hostile: every length is checked before it is used, and nothing is
 * allocated for more than a header of 1 MiB; numpy itself refuses those above 10,000 bytes.
 */
#include "lib/format/npy.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define ALIGN 64
#define MAX_HEADER ((size_t)1 << 20)

/* ---- writing ---------------------------------------------------------------------------- */

int npy_write_header(struct zio *z, const char *descr, const int64_t *shape, int dims,
                     struct err *err) {
    struct buf dict = {0};
    buf_printf(&dict, "{'descr': %s, 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < dims; i++)
        buf_printf(&dict, "%s%" PRId64, i ? ", " : "", shape[i]);
    buf_adds(&dict, dims == 1 ? ",), }" : "), }");

    /* Magic, version and length come first: 2 bytes of length in version 1.0, 4 in 2.0. */
    unsigned char head[12] = "\x93NUMPY\x01";
    size_t head_len = 10;
    if (dict.len + ALIGN > UINT16_MAX) {
        head[6] = 2;
        head_len = 12;
    }
    while ((head_len + dict.len + 1) % ALIGN)
        buf_addc(&dict, ' ');
    buf_addc(&dict, '\n');
    for (size_t i = 8; i < head_len; i++)
        head[i] = (unsigned char)(dict.len >> (8 * (i - 8)));
    int rc = zio_write(z, head, head_len, err);
    if (!rc)
        rc = zio_write(z, dict.data, dict.len, err);
    buf_free(&dict);
    return rc;
}

/* ---- reading: the header ---------------------------------------------------------------- */

/* Exactly len bytes, fewer only where the stream ends: their number, or -1. */
static int64_t read_full(struct zio *z, void *data, size_t len, struct err *err) {
    size_t have = 0;
    while (have < len) {
        ssize_t n = zio_read(z, (char *)data + have, len - have, err);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (int64_t)have;
}

static int header_error(const struct npy_reader *r, struct err *err, const char *expected,
                        const char *found) {
    return err_set(err, "%s: array %" PRId64 ": expected %s, found %s", zio_name(r->z), r->number,
                   expected, found);
}

/* The header is a Python dict literal; s is its NUL-terminated text, moved past what was read. */
static void skip_blanks(const char **s) {
    *s += strspn(*s, " \t\n");
}

static int take(const char **s, char c) {
    skip_blanks(s);
    if (**s != c)
        return 0;
    (*s)++;
    return 1;
}

/* A string without escapes, as numpy writes keys and dtypes. */
static int take_string(const char **s, char *out, size_t size) {
    skip_blanks(s);
    char quote = **s;
    if (quote != '\'' && quote != '"')
        return 0;
    const char *from = *s + 1;
    const char *to = strchr(from, quote);
    if (!to || (size_t)(to - from) >= size)
        return 0;
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = '\0';
    *s = to + 1;
    return 1;
}

static int take_word(const char **s, const char *word) {
    skip_blanks(s);
    size_t n = strlen(word);
    if (strncmp(*s, word, n))
        return 0;
    *s += n;
    return 1;
}

/* (3,) or (3, 4); a trailing L is what Python 2 wrote. The dimensions, -1: it is none. */
static int take_shape(const char **s, int64_t *shape) {
    if (!take(s, '('))
        return -1;
    for (int dims = 0; !take(s, ')'); dims++) {
        int64_t n = 0;
        skip_blanks(s);
        if (dims == NPY_DIMS || !isdigit((unsigned char)**s))
            return -1;
        for (; isdigit((unsigned char)**s); (*s)++)
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **s - '0', &n))
                return -1;
        *s += **s == 'L';
        shape[dims] = n;
        if (!take(s, ','))
            return take(s, ')') ? dims + 1 : -1;
        if (take(s, ')'))
            return dims + 1;
    }
    return 0;
}

/* Elements of a shape; -1: so many times `bytes` is no size. */
static int64_t count_elements(const int64_t *shape, int dims, int64_t bytes) {
    int64_t items = 1;
    for (int i = 0; i < dims; i++)
        if (shape[i] == 0)
            return 0;
    for (int i = 0; i < dims; i++) {
        if (__builtin_mul_overflow(bytes, shape[i], &bytes))
            return -1;
        items *= shape[i];
    }
    return items;
}

/* "<f4": byte order, kind, bytes. 0, or -1 when it is no number. */
static int number_dtype(const char *descr, char *kind, int *bytes, int *swapped) {
    static const char *const known[] = {"f2", "f4", "f8", "i1", "i2", "i4", "i8",
                                        "u1", "u2", "u4", "u8"};
    for (size_t i = 0; *descr && i < sizeof known / sizeof *known; i++) {
        if (strcmp(descr + 1, known[i]) || !strchr("<>|", *descr))
            continue;
        *kind = known[i][0];
        *bytes = known[i][1] - '0';
        int big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
        *swapped = *bytes > 1 && (*descr == '>') != big;
        return *descr == '|' && *bytes > 1 ? -1 : 0;
    }
    return -1;
}

static int set_dtype(struct npy_reader *r, const char *descr, struct err *err) {
    if (number_dtype(descr, &r->kind, &r->bytes, &r->swapped) == 0)
        return 0;
    return header_error(r, err, "numbers (f2, f4, f8, i1 to i8, u1 to u8)", descr);
}

/* The same of a field, which may be text or padding too: "S64", "|V3". */
static int field_dtype(const char *descr, struct npy_field *f) {
    if (number_dtype(descr, &f->kind, &f->bytes, &f->swapped) == 0)
        return 0;
    descr += *descr == '|';
    if (*descr != 'S' && *descr != 'V')
        return -1;
    size_t digits = strspn(descr + 1, "0123456789");
    if (!digits || digits > 8 || descr[1 + digits])
        return -1;
    f->kind = *descr;
    f->bytes = atoi(descr + 1);
    f->swapped = 0;
    return f->bytes ? 0 : -1;
}

/* ('expert', '<i2', (48, 8)) */
static int take_record_field(const char **s, struct npy_field *f) {
    char descr[16];
    memset(f, 0, sizeof *f);
    if (!take(s, '(') || !take_string(s, f->name, sizeof f->name) || !take(s, ',') ||
        !take_string(s, descr, sizeof descr) || field_dtype(descr, f))
        return -1;
    if (take(s, ',')) {
        f->dims = take_shape(s, f->shape);
        if (f->dims < 0)
            return -1;
        take(s, ',');
    }
    f->items = count_elements(f->shape, f->dims, f->bytes);
    return take(s, ')') && f->items >= 0 ? 0 : -1;
}

/* [('request', '<u4'), ('expert', '<i2', (48, 8))]: 1 when it is such a list, and not too large. */
static int take_record(const char **s, struct npy_reader *r) {
    int64_t offset = 0;
    if (!take(s, '['))
        return 0;
    for (r->fields = 0; !take(s, ']'); r->fields++) {
        struct npy_field *f = r->field + r->fields;
        if (r->fields == r->fields_most || (r->fields && !take(s, ',')))
            return 0;
        if (r->fields && take(s, ']'))          /* a comma behind the last one */
            break;
        if (take_record_field(s, f) || f->items > NPY_RECORD_BYTES)
            return 0;
        f->offset = offset;
        offset += f->items * f->bytes;
        if (offset > NPY_RECORD_BYTES)
            return 0;
    }
    r->kind = 'V';
    r->bytes = (int)offset;
    r->swapped = 0;
    return offset > 0;
}

static int count_items(struct npy_reader *r, struct err *err) {
    r->items = r->left = count_elements(r->shape, r->dims, r->bytes);
    if (r->items < 0)
        return header_error(r, err, "a size below 2^63 bytes", "a larger one");
    return 0;
}

struct fields {
    char key[16];               /* the one being read */
    char descr[64];
    int order;                  /* 1: Fortran's */
    int has_order, has_shape, has_record;
};

/* One "key: value"; 0 when it is none that we know. */
static int take_field(const char **s, struct fields *f, struct npy_reader *r) {
    *f->key = '\0';
    if (!take_string(s, f->key, sizeof f->key) || !take(s, ':'))
        return 0;
    if (!strcmp(f->key, "descr") && r->field) {
        const char *start = *s;
        if (take_record(s, r)) {
            *f->descr = '\0';           /* of two, the last one holds, as in Python */
            return f->has_record = 1;
        }
        *s = start;
    }
    if (!strcmp(f->key, "descr"))
        return take_string(s, f->descr, sizeof f->descr);
    if (!strcmp(f->key, "shape")) {
        int dims = take_shape(s, r->shape);
        r->dims = dims < 0 ? 0 : dims;
        return f->has_shape = dims >= 0;
    }
    if (strcmp(f->key, "fortran_order"))
        return 0;
    f->order = take_word(s, "True");
    return f->has_order = f->order || take_word(s, "False");
}

static int field_error(const struct npy_reader *r, const char *s, const struct fields *f,
                       struct err *err) {
    char found[32] = "something else";
    if (!strcmp(f->key, "descr") && take(&s, '['))
        return header_error(r, err, r->field ? "records of a few fields of numbers, at most 16 MiB"
                                             : "an array of numbers",
                            r->field ? "others" : "records of several fields");
    if (*f->key)
        snprintf(found, sizeof found, "an odd %s", f->key);
    return header_error(r, err, "descr, fortran_order and a shape of at most 8 dimensions", found);
}

static int parse_header(struct npy_reader *r, const char *s, struct err *err) {
    struct fields f = {.order = 0};
    int more = 1;
    r->fields = 0;
    if (!take(&s, '{'))
        return header_error(r, err, "a dict as its header", "none");
    while (more && !take(&s, '}')) {
        if (!take_field(&s, &f, r))
            return field_error(r, s, &f, err);
        more = take(&s, ',');
        if (!more && !take(&s, '}'))
            return header_error(r, err, "the end of its header", "more");
    }
    skip_blanks(&s);
    if (*s || (!*f.descr && !f.has_record) || !f.has_order || !f.has_shape)
        return header_error(r, err, "descr, fortran_order and shape", *s ? "more" : "less");
    if (*f.descr) {
        r->fields = 0;
        if (set_dtype(r, f.descr, err))
            return -1;
    }
    if (count_items(r, err))
        return -1;
    if (f.order && r->dims > 1)
        return header_error(r, err, "C order (numpy.ascontiguousarray)", "Fortran order");
    return 0;
}

static int skip_rest(struct npy_reader *r, struct err *err) {
    size_t room = r->bytes > 4096 ? (size_t)r->bytes : 4096;
    char *data = r->left > 0 ? mem_alloc(room) : NULL;
    int rc = 0;
    while (r->left > 0 && rc == 0) {
        int64_t n = (int64_t)room / r->bytes;
        rc = npy_read_items(r, data, (size_t)(n < r->left ? n : r->left), err);
    }
    free(data);
    return rc;
}

/* The text behind the length, whose width in bytes the format's version tells. */
static int read_header_text(struct npy_reader *r, int width, struct err *err) {
    unsigned char bytes[4] = {0};
    size_t len = 0;
    int64_t got = read_full(r->z, bytes, (size_t)width, err);
    if (got < 0)
        return -1;
    for (int i = width - 1; i >= 0; i--)
        len = len << 8 | bytes[i];
    if (got < width)
        return header_error(r, err, "a header", "the end of the stream");
    if (len > MAX_HEADER)
        return header_error(r, err, "a header of at most 1 MiB", "a longer one");
    char *text = mem_alloc(len + 1);
    got = read_full(r->z, text, len, err);
    int rc = -1;
    if (got >= 0 && (size_t)got < len)
        header_error(r, err, "a whole header", "the end of the stream");
    else if (got >= 0 && strlen(text) < len)
        header_error(r, err, "a header of text", "a NUL byte");
    else if (got >= 0)
        rc = parse_header(r, text, err);
    free(text);
    return rc;
}

int npy_read_header(struct npy_reader *r, struct err *err) {
    unsigned char magic[8] = {0};           /* and the version, major and minor */
    if (skip_rest(r, err))
        return -1;
    int64_t got = read_full(r->z, magic, sizeof magic, err);
    if (got <= 0)
        return (int)got;
    r->number++;
    if (memcmp(magic, "\x93NUMPY", 6))
        return header_error(r, err, "a .npy file, which begins with \\x93NUMPY", "other bytes");
    if (magic[6] < 1 || magic[6] > 3)
        return header_error(r, err, "format 1.0, 2.0 or 3.0", "another");
    return read_header_text(r, magic[6] == 1 ? 2 : 4, err) ? -1 : 1;
}

/* ---- reading: items --------------------------------------------------------------------- */

static void swap_items(unsigned char *p, size_t n, int bytes) {
    for (size_t i = 0; i < n; i++, p += bytes) {
        for (int k = 0; k < bytes / 2; k++) {
            unsigned char t = p[k];
            p[k] = p[bytes - 1 - k];
            p[bytes - 1 - k] = t;
        }
    }
}

int npy_read_items(struct npy_reader *r, void *out, size_t n, struct err *err) {
    assert((int64_t)n <= r->left);
    size_t bytes = n * (size_t)r->bytes;
    int64_t got = read_full(r->z, out, bytes, err);
    if (got < 0)
        return -1;
    if ((size_t)got < bytes)
        return err_set(err, "%s: array %" PRId64 " is truncated: expected %" PRId64 " %s, "
                       "found %" PRId64, zio_name(r->z), r->number, r->items,
                       r->fields ? "records" : "numbers", r->items - r->left + got / r->bytes);
    r->left -= (int64_t)n;
    if (r->swapped)
        swap_items(out, n, r->bytes);
    return 0;
}

/* IEEE 754 binary16: every value is a float. */
static float half_float(uint16_t h) {
    int exponent = h >> 10 & 31;
    int fraction = h & 1023;
    float v = exponent == 31 ? (fraction ? NAN : INFINITY)
            : exponent ? ldexpf((float)(fraction + 1024), exponent - 25)
                       : ldexpf((float)fraction, -24);
    return h & 0x8000 ? -v : v;
}

#define ITEM(type) (((const type *)p)[i])

static float item_float(const struct npy_reader *r, const void *p, size_t i) {
    if (r->kind == 'f')
        return r->bytes == 8 ? (float)ITEM(double) : r->bytes == 4 ? ITEM(float)
                                                                   : half_float(ITEM(uint16_t));
    if (r->kind == 'i')
        return r->bytes == 8 ? (float)ITEM(int64_t) : r->bytes == 4 ? (float)ITEM(int32_t)
             : r->bytes == 2 ? (float)ITEM(int16_t) : (float)ITEM(int8_t);
    return r->bytes == 8 ? (float)ITEM(uint64_t) : r->bytes == 4 ? (float)ITEM(uint32_t)
         : r->bytes == 2 ? (float)ITEM(uint16_t) : (float)ITEM(uint8_t);
}

int npy_read_floats(struct npy_reader *r, float *out, size_t n, struct err *err) {
    uint64_t items[512];
    if (r->kind == 'f' && r->bytes == 4)
        return npy_read_items(r, out, n, err);
    while (n > 0) {
        size_t part = sizeof items / (size_t)r->bytes;
        part = part < n ? part : n;
        if (npy_read_items(r, items, part, err))
            return -1;
        for (size_t i = 0; i < part; i++)
            out[i] = item_float(r, items, i);
        out += part;
        n -= part;
    }
    return 0;
}
