/* fuzz_npy.c - hostile .npy streams: reads every array of them
 *
 * How it is run, and as what else: fuzz.h. Whole arrays are put together from words that are
 * mostly right, with lengths that are mostly true, and then some bytes are changed. Whatever
 * comes, the reader ends with an error that has words, or at the stream's end having handed out no
 * more numbers than the stream has bytes.
 */
#include "tests/fuzz.h"

#include <sys/mman.h>

#include "lib/format/npy.h"

enum { ARRAY = 1, NUMBERS = 2, WHOLE = 4 };

/* ---- the target ------------------------------------------------------------------------- */

/* Fields lie in their record, one behind the other. */
static void check_fields(const struct npy_reader *r) {
    int64_t at = 0;
    NEED(r->fields <= r->fields_most && r->bytes > 0 && r->bytes <= NPY_RECORD_BYTES);
    for (int i = 0; i < r->fields; i++) {
        const struct npy_field *f = &r->field[i];
        NEED(strlen(f->name) < sizeof f->name && f->offset == at && f->dims <= NPY_DIMS);
        NEED(f->bytes > 0 && f->items >= 0);
        at += f->items * f->bytes;
    }
    NEED(at == r->bytes);
}

static int read_records(struct npy_reader *r, int64_t *numbers, struct err *err) {
    check_fields(r);
    char *record = mem_alloc((size_t)r->bytes);
    int rc = 0;
    for (; r->left > r->number % 3 && rc == 0; *numbers += rc == 0)
        rc = npy_read_items(r, record, 1, err);
    free(record);
    return rc;
}

/* All of an array but a rest that the next header skips, in parts of changing size. */
static int read_array(struct npy_reader *r, int64_t *numbers, struct err *err) {
    uint64_t items[13];
    float floats[13];
    if (r->fields)
        return read_records(r, numbers, err);
    for (size_t part = 1; r->left > r->number % 3; part = part % 13 + 1) {
        size_t n = (int64_t)part < r->left ? part : (size_t)r->left;
        if (part % 2 ? npy_read_floats(r, floats, n, err) : npy_read_items(r, items, n, err))
            return -1;
        *numbers += (int64_t)n;
    }
    return 0;
}

/* Some dimensions may be so large that only another one of zero makes the array possible. */
static int64_t count_items(const struct npy_reader *r) {
    int64_t items = 1;
    for (int i = 0; i < r->dims; i++)
        if (!r->shape[i])
            return 0;
    for (int i = 0; i < r->dims; i++)
        items *= r->shape[i];
    return items;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    int64_t numbers = 0;
    int fd = memfd_create("npy", 0);
    int rc;
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct npy_field field[4];
    struct npy_reader r = {.z = zio_open_read(path, &fuzz_last), .field = len % 4 ? field : NULL,
                           .fields_most = 4};
    NEED(r.z);
    while ((rc = npy_read_header(&r, &fuzz_last)) == 1) {
        NEED(r.dims <= NPY_DIMS && r.items == count_items(&r) && r.left == r.items);
        fuzz_outcome |= ARRAY;
        rc = read_array(&r, &numbers, &fuzz_last);
        if (rc)
            break;
    }
    zio_abort(r.z);
    close(fd);
    NEED(rc == 0 || *fuzz_last.text);
    NEED(numbers <= (int64_t)len);
    fuzz_outcome |= (numbers ? NUMBERS : 0) | (rc == 0 ? WHOLE : 0);
    return 0;
}

#ifndef LIBFUZZER

/* ---- streams to start from -------------------------------------------------------------- */

#define STARTS 4

static struct buf starts[STARTS];

static void add_array(struct buf *b, int version, const struct buf *dict, size_t len,
                      size_t bytes) {
    buf_add(b, "\x93NUMPY", 6);
    buf_addc(b, (char)version);
    buf_addc(b, 0);
    for (int i = 0; i < (version == 1 ? 2 : 4); i++)
        buf_addc(b, (char)(len >> (8 * i)));
    buf_add(b, dict->data, dict->len);
    for (size_t i = 0; i < bytes; i++)
        buf_addc(b, (char)fuzz_next());
}

static void build_starts(void) {
    static const char *const dtypes[STARTS] = {"<f4", ">f8", "|u1", "<f2"};
    static const size_t bytes[STARTS] = {4, 8, 1, 2};
    for (int i = 0; i < STARTS; i++) {
        for (int k = 0; k <= i; k++) {
            struct buf dict = {0};
            buf_printf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }\n",
                       dtypes[i], k + 3, i + 1);
            add_array(&starts[i], k % 3 + 1, &dict, dict.len,
                      bytes[i] * (size_t)((k + 3) * (i + 1)));
            buf_free(&dict);
        }
    }
}

static struct buf start(int i) {
    return starts[i];
}

static size_t cut_at(int i, size_t k) {
    return k < starts[i].len ? k : SIZE_MAX;
}

/* ---- streams that are mostly right ------------------------------------------------------ */

#define PICK(...) pick((const char *const[]){__VA_ARGS__, NULL})

static const char *pick(const char *const *words) {
    size_t n = 0;
    while (words[n])
        n++;
    return words[fuzz_below(n)];
}

static const char *pick_shape(void) {
    return PICK("()", "(3,)", "(2, 3)", "(0, 4)", "(2,", "(-1,)", "(9223372036854775807,)",
                "(99999999999, 99999999999)", "(0, 9999999999999999999)", "(4L,)",
                "(1,1,1,1,1,1,1,1)", "(1,1,1,1,1,1,1,1,1)", "(4294967296, 4294967296, 0)");
}

static void add_odd_array(struct buf *b) {
    struct buf dict = {0};
    buf_printf(&dict, "%s'%s':%s, ", PICK("{", "{", "{", "{ ", "", "{{"),
               PICK("descr", "descr", "descr", "shape", "x"),
               PICK("'<f4'", "'<f8'", " '<f2'", "'>i4'", "'|u1'", "\"<u8\"", "'|O'", "<f4",
                    "[('a', '<f4')]", "'", "[('a', '<u4'), ('b', '>i2', (2, 3))]",
                    "[('', '|V3'), ('t', 'S8'), ]", "[('a', '<f8', (999999999999,))]"));
    buf_printf(&dict, "%s:%s, ", PICK("'fortran_order'", "\"fortran_order\"", "fortran"),
               PICK("False", " False", "False", "True", "0"));
    buf_printf(&dict, "'shape'%s%s%s}", PICK(":", ": ", ":", ""), pick_shape(),
               PICK("", ",", ",", ",,", ", 'shape': (1,)"));
    size_t len = dict.len;
    if (fuzz_below(8) == 0)
        len = fuzz_below(2 * dict.len);
    int version = (int)fuzz_below(3) + 1;
    add_array(b, version, &dict, len, fuzz_below(80));
    buf_free(&dict);
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    for (size_t n = fuzz_below(3); n > 0; n--)
        add_odd_array(b);
    if (!b->len || fuzz_below(2))
        buf_add(b, starts[i].data, starts[i].len);
    for (size_t n = fuzz_below(4); n > 0; n--)
        b->data[fuzz_below(b->len)] = (char)fuzz_next();
    if (fuzz_below(4) == 0)
        b->len = fuzz_below(b->len + 1);
}

int main(int argc, char **argv) {
    enum { ALL = ARRAY | NUMBERS | WHOLE };
    static const int expected[STARTS] = {ALL, ALL, ALL, ALL};
    static const struct fuzz fuzz = {
        .name = "fuzz_npy", .suffix = ".npy",
        .outcome = {"had an array", "had numbers", "were read whole"},
        .starts = STARTS, .start = start, .expected = expected, .cut = cut_at,
        .make = make_input};
    build_starts();
    int rc = fuzz_main(&fuzz, argc, argv);
    for (int i = 0; i < STARTS; i++)
        buf_free(&starts[i]);
    return rc;
}

#endif
