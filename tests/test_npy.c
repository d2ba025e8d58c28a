/* test_npy.c - reading .npy arrays: every dtype, streams of arrays, headers that lie
 *
 * NumPy itself writes arrays of every dtype where it is there; the bytes here are made by hand
 * after NEP 1, so that they do not depend on our writer.
 */
#include "lib/format/npy.h"

#include <inttypes.h>

#include "tests/check.h"
#include "tests/scratch.h"

#define PYTHON "${PYTHON:-python3}"

/* An array in the stream: version, dict and data as given. */
static void add_array(struct buf *b, int version, const char *dict, const void *data, size_t len) {
    size_t n = strlen(dict);
    buf_add(b, "\x93NUMPY", 6);
    buf_addc(b, (char)version);
    buf_addc(b, 0);
    for (int i = 0; i < (version == 1 ? 2 : 4); i++)
        buf_addc(b, (char)(n >> (8 * i)));
    buf_add(b, dict, n);
    buf_add(b, data, len);
}

static struct zio *open_bytes(const struct buf *b) {
    struct err err;
    char *path = scratch_path("a.npy");
    scratch_write(path, b->data, b->len);
    struct zio *z = zio_open_read(path, &err);
    if (!z)
        scratch_die(err.text);
    free(path);
    return z;
}

/* Reads one array of n items as floats from a stream with nothing else. */
static void check_floats(const char *dict, const void *data, size_t len, const float *want,
                         size_t n) {
    struct err err = {""};
    struct buf b = {0};
    float got[8] = {0};
    add_array(&b, 1, dict, data, len);
    struct npy_reader r = {.z = open_bytes(&b)};
    CHECK_INT(npy_read_header(&r, &err), 1);
    CHECK_INT(r.items, n);
    CHECK_INT(npy_read_floats(&r, got, n, &err), 0);
    CHECK_INT(r.left, 0);
    for (size_t i = 0; i < n; i++)
        CHECK(got[i] == want[i]);
    CHECK_INT(npy_read_header(&r, &err), 0);
    CHECK_STR(err.text, "");
    zio_abort(r.z);
    buf_free(&b);
}

#define DICT(dtype, shape) "{'descr': '" dtype "', 'fortran_order': False, 'shape': " shape ", }\n"

static void dtypes(void) {
    check_floats(DICT("<f4", "(2,)"), (float[]){1.5f, -2}, 8, (float[]){1.5f, -2}, 2);
    check_floats(DICT("<f8", "(2,)"), (double[]){0.1, 1e300}, 16, (float[]){0.1f, INFINITY}, 2);
    check_floats(DICT("<f2", "(6,)"), (uint16_t[]){0x3C00, 0xC000, 0x0001, 0x7BFF, 0x7C00, 0x03FF},
                 12, (float[]){1, -2, 0x1p-24f, 65504, INFINITY, 0x1.FF8p-15f}, 6);
    check_floats(DICT("|i1", "(2,)"), (int8_t[]){-128, 127}, 2, (float[]){-128, 127}, 2);
    check_floats(DICT("|u1", "(2,)"), (uint8_t[]){0, 255}, 2, (float[]){0, 255}, 2);
    check_floats(DICT("<i2", "(1,)"), (int16_t[]){-3}, 2, (float[]){-3}, 1);
    check_floats(DICT("<u2", "(1,)"), (uint16_t[]){65535}, 2, (float[]){65535}, 1);
    check_floats(DICT("<i4", "(1,)"), (int32_t[]){-70000}, 4, (float[]){-70000}, 1);
    check_floats(DICT("<u4", "(1,)"), (uint32_t[]){UINT32_MAX}, 4, (float[]){0x1p32f}, 1);
    check_floats(DICT("<i8", "(1,)"), (int64_t[]){INT64_MIN}, 8, (float[]){-0x1p63f}, 1);
    check_floats(DICT("<u8", "(1,)"), (uint64_t[]){UINT64_MAX}, 8, (float[]){0x1p64f}, 1);
    check_floats(DICT(">f4", "(1,)"), "\x3F\xC0\0\0", 4, (float[]){1.5f}, 1);
    check_floats(DICT(">f8", "(1,)"), "\xC0\0\0\0\0\0\0\0", 8, (float[]){-2}, 1);
    check_floats(DICT(">f2", "(1,)"), "\x3C\0", 2, (float[]){1}, 1);
    check_floats(DICT(">i2", "(2,)"), "\xFF\xFE\0\1", 4, (float[]){-2, 1}, 2);
}

static void halves_nan(void) {
    struct buf b = {0};
    float x = 0;
    add_array(&b, 1, DICT("<f2", "()"), "\1\x7C", 2);
    struct npy_reader r = {.z = open_bytes(&b)};
    CHECK_INT(npy_read_header(&r, NULL), 1);
    CHECK_INT(r.dims, 0);
    CHECK_INT(npy_read_floats(&r, &x, 1, NULL), 0);
    CHECK(isnan(x));
    zio_abort(r.z);
    buf_free(&b);
}

/* Keys in any order, either quote, no blanks, Python 2's long numbers, both longer formats. */
static void header_forms(void) {
    static const char *const dicts[] = {
        "{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"<f4\"}",
        "{'descr':'<f4','shape':(2L, 1L),'fortran_order':False,}   \n",
        "  { 'fortran_order' : False , 'shape' : ( 2 , 1 , ) , 'descr' : '<f4' , } \n",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}"};
    for (int version = 1; version <= 3; version++) {
        for (size_t i = 0; i < sizeof dicts / sizeof *dicts; i++) {
            struct err err = {""};
            struct buf b = {0};
            float got[2] = {0};
            add_array(&b, version, dicts[i], (float[]){3, 4}, 8);
            struct npy_reader r = {.z = open_bytes(&b)};
            CHECK_INT(npy_read_header(&r, &err), 1);
            CHECK_STR(err.text, "");
            CHECK_INT(r.shape[0], 2);
            CHECK_INT(npy_read_floats(&r, got, 2, &err), 0);
            CHECK(got[0] == 3 && got[1] == 4);
            zio_abort(r.z);
            buf_free(&b);
        }
    }
}

static void arrays_in_a_stream(void) {
    struct err err = {""};
    struct buf b = {0};
    uint16_t got[3] = {0};
    add_array(&b, 1, DICT("<f4", "(2, 3)"), (float[6]){1, 2, 3, 4, 5, 6}, 24);
    add_array(&b, 2, DICT("<f8", "(0, 3)"), "", 0);
    add_array(&b, 3, DICT(">u2", "(3,)"), "\0\7\0\x8\1\0", 6);
    struct npy_reader r = {.z = open_bytes(&b)};
    CHECK_INT(npy_read_header(&r, &err), 1);
    CHECK_INT(npy_read_floats(&r, (float[1]){0}, 1, &err), 0);
    CHECK_INT(r.left, 5);                       /* which the next header passes over */
    CHECK_INT(npy_read_header(&r, &err), 1);
    CHECK_INT(r.items, 0);
    CHECK_INT(r.shape[1], 3);
    CHECK_INT(npy_read_header(&r, &err), 1);
    CHECK_INT(r.number, 3);
    CHECK_INT(r.kind, 'u');
    CHECK_INT(npy_read_items(&r, got, 3, &err), 0);
    CHECK(got[0] == 7 && got[1] == 8 && got[2] == 256);
    CHECK_INT(npy_read_header(&r, &err), 0);
    CHECK_STR(err.text, "");
    zio_abort(r.z);
    buf_free(&b);
}

/* What we write, we read. */
static void round_trip(void) {
    struct err err = {""};
    char *path = scratch_path("w.npy.zst");
    int64_t shape[3] = {2, 1, 2};
    struct zio *z = zio_open_write(path, &err);
    CHECK_INT(npy_write_header(z, "'<f4'", shape, 3, &err), 0);
    CHECK_INT(zio_write(z, (float[]){1, 2, 3, 4}, 16, &err), 0);
    CHECK_INT(npy_write_header(z, "'<f4'", shape, 1, &err), 0);
    CHECK_INT(zio_write(z, (float[]){5, 6}, 8, &err), 0);
    CHECK_INT(zio_close(z, &err), 0);

    float got[4] = {0};
    struct npy_reader r = {.z = zio_open_read(path, &err)};
    CHECK_INT(npy_read_header(&r, &err), 1);
    CHECK(r.dims == 3 && r.shape[0] == 2 && r.shape[1] == 1 && r.shape[2] == 2);
    CHECK_INT(npy_read_floats(&r, got, 4, &err), 0);
    CHECK(got[0] == 1 && got[3] == 4);
    CHECK_INT(npy_read_header(&r, &err), 1);
    CHECK_INT(npy_read_floats(&r, got, 2, &err), 0);
    CHECK(got[0] == 5 && got[1] == 6);
    zio_abort(r.z);
    free(path);
}

/* The header of these bytes is refused with a line that has these words in it. */
static void check_refused(const struct buf *b, const char *words) {
    struct err err = {""};
    struct npy_reader r = {.z = open_bytes(b)};
    CHECK_INT(npy_read_header(&r, &err), -1);
    CHECK(strstr(err.text, "a.npy: array 1: expected"));
    if (!strstr(err.text, words)) {
        printf("# '%s' has no '%s'\n", err.text, words);
        CHECK(!"the reason");
    }
    zio_abort(r.z);
}

static void check_dict_refused(const char *dict, const char *words) {
    struct buf b = {0};
    add_array(&b, 1, dict, "", 0);
    check_refused(&b, words);
    buf_free(&b);
}

static void dicts_refused(void) {
    check_dict_refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
                       "found records");
    check_dict_refused(DICT("|O", "(1,)"), "found |O");
    check_dict_refused(DICT("<U8", "(1,)"), "found <U8");
    check_dict_refused(DICT("<c8", "(1,)"), "found <c8");
    check_dict_refused(DICT("|b1", "(1,)"), "found |b1");
    check_dict_refused(DICT("<f16", "(1,)"), "found <f16");
    check_dict_refused(DICT("|f4", "(1,)"), "found |f4");
    check_dict_refused(DICT("f4", "(1,)"), "found f4");
    check_dict_refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}",
                       "found Fortran order");
    check_dict_refused(DICT("<f4", "(-1,)"), "found an odd shape");
    check_dict_refused(DICT("<f4", "(1.5,)"), "found an odd shape");
    check_dict_refused(DICT("<f4", "(99999999999999999999,)"), "found an odd shape");
    check_dict_refused(DICT("<f4", "(1,1,1,1,1,1,1,1,1)"), "found an odd shape");
    check_dict_refused(DICT("<f4", "(4611686018427387904, 2)"), "found a larger one");
    check_dict_refused(DICT("<f8", "(2147483648, 2147483648)"), "found a larger one");
    check_dict_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1", "found an odd shape");
    check_dict_refused("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
                       "found an odd fortran_order");
    check_dict_refused("{'descr': '<f4', 'fortran_order': False}", "found less");
    check_dict_refused("{'descr': '<f4', 'shape': (1,)}", "found less");
    check_dict_refused("{'fortran_order': False, 'shape': (1,)}", "found less");
    check_dict_refused(DICT("<f4", "(1,)") "}", "found more");
    check_dict_refused("{'descr': '<f4' 'shape': (1,)}", "found more");
    check_dict_refused("{'kind': '<f4'}", "found an odd kind");
    check_dict_refused("{descr: '<f4'}", "found something else");
    check_dict_refused("{'descr': '<f4", "found an odd descr");
    check_dict_refused("", "found none");
    check_dict_refused("[1, 2]", "found none");
}

static void bytes_refused(void) {
    struct buf b = {0};
    buf_adds(&b, "{\"timestamp\": 0}\n");
    check_refused(&b, "found other bytes");
    b.len = 0;
    buf_adds(&b, "\x93NUM");
    check_refused(&b, "found other bytes");
    b.len = 0;
    buf_add(&b, "\x93NUMPY\4\0", 8);
    check_refused(&b, "found another");
    b.len = 0;
    buf_add(&b, "\x93NUMPY\1\0\5", 9);
    check_refused(&b, "found the end");
    b.len = 0;
    buf_add(&b, "\x93NUMPY\2\0\xFF\xFF\xFF\xFF{", 13);
    check_refused(&b, "found a longer one");
    b.len = 0;
    buf_add(&b, "\x93NUMPY\1\0\6\0{'d\0'}", 16);
    check_refused(&b, "found a NUL");
    buf_free(&b);
}

/* ---- records ---------------------------------------------------------------------------- */

#define RECORDS(descr, n) "{'descr': " descr ", 'fortran_order': False, 'shape': (" n ",)}"

static void records_are_read(void) {
    static const char descr[] = RECORDS("[('a', '<u4'), ('', '|V3'), ('text', 'S2'), "
                                        "('e', '>i2', (2, 1,)), ('x', '<f8', ())]", "2");
    struct npy_field f[5];
    struct err err = {""};
    struct buf b = {0};
    char data[42];
    char got[21];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)i;
    add_array(&b, 1, descr, data, sizeof data);
    add_array(&b, 1, DICT("<f4", "(1,)"), (float[]){1}, 4);
    struct npy_reader r = {.z = open_bytes(&b), .field = f, .fields_most = 5};
    CHECK_INT(npy_read_header(&r, &err), 1);
    CHECK_STR(err.text, "");
    CHECK(r.kind == 'V' && r.bytes == 21 && r.items == 2 && r.fields == 5);
    CHECK(!strcmp(f[0].name, "a") && f[0].kind == 'u' && f[0].items == 1 && f[0].offset == 0);
    CHECK(!*f[1].name && f[1].kind == 'V' && f[1].bytes == 3 && f[1].offset == 4);
    CHECK(!strcmp(f[2].name, "text") && f[2].kind == 'S' && f[2].bytes == 2 && f[2].offset == 7);
    CHECK(f[3].dims == 2 && f[3].items == 2 && f[3].swapped && f[3].offset == 9);
    CHECK(f[4].kind == 'f' && f[4].dims == 0 && f[4].offset == 13);
    CHECK_INT(npy_read_items(&r, got, 1, &err), 0);
    CHECK(!memcmp(got, data, sizeof got));
    CHECK_INT(npy_read_header(&r, &err), 1);            /* past the second one */
    CHECK(r.kind == 'f' && r.fields == 0 && r.items == 1);
    zio_abort(r.z);
    buf_free(&b);
}

static void records_refused(void) {
    static const char *const descrs[] = {
        RECORDS("[]", "1"), RECORDS("[('a', '<f4')", "1"), RECORDS("[('a')]", "1"),
        RECORDS("[('a', 'O')]", "1"), RECORDS("[('a', '<U4')]", "1"), RECORDS("[('a', 'S0')]", "1"),
        RECORDS("[('a', 'S')]", "1"), RECORDS("[('a', 'S99999999')]", "1"),
        RECORDS("[('a', '<f4', 3)]", "1"), RECORDS("[('a', [('b', '<f4')])]", "1"),
        RECORDS("[('a', '<f8', (2097153,))]", "1"), RECORDS("[('a', '<f8', (0,))]", "1"),
        RECORDS("[('a', '<f8', (4294967296, 4294967296))]", "1"),
        RECORDS("[('a', '|u1') ('b', '|u1')]", "1"),
        RECORDS("[('a', '|u1'), ('b', '|u1'), ('c', '|u1')]", "1")};
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++) {
        struct npy_field f[2];
        struct err err = {""};
        struct buf b = {0};
        add_array(&b, 1, descrs[i], "", 0);
        struct npy_reader r = {.z = open_bytes(&b), .field = f, .fields_most = 2};
        CHECK_INT(npy_read_header(&r, &err), -1);
        CHECK(strstr(err.text, "expected records of a few fields of numbers, at most 16 MiB"));
        zio_abort(r.z);
        buf_free(&b);
    }
}

/* An array cut after any byte is no array. */
static void every_truncation(void) {
    struct buf b = {0};
    add_array(&b, 1, DICT("<f8", "(3,)"), (double[]){1, 2, 3}, 24);
    size_t whole = b.len;
    for (size_t len = 1; len < whole; len++) {
        struct err err = {""};
        float got[3];
        b.len = len;
        struct npy_reader r = {.z = open_bytes(&b)};
        int rc = npy_read_header(&r, &err);
        if (rc == 1)
            rc = npy_read_floats(&r, got, 3, &err) ? -1 : 1;
        CHECK_INT(rc, -1);
        CHECK(*err.text);
        if (len >= whole - 24)
            CHECK(strstr(err.text, "array 1 is truncated: expected 3 numbers, found"));
        zio_abort(r.z);
    }
    buf_free(&b);
}

/* NumPy's own files, of every dtype that it knows and we read. */
static void as_numpy_writes(void) {
    if (system(PYTHON " -c 'import numpy' 2>/dev/null"))
        SKIP("python3 has no numpy");
    char *path = scratch_path("numpy.npy");
    char *line = mem_printf(PYTHON " -c '\nimport numpy as np\nwith open(\"%s\", \"wb\") as f:\n"
        "  for t in \"f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 >f2 >f4 >f8 >i4 >u8\".split():\n"
        "    np.save(f, np.arange(12).reshape(3, 4).astype(t))\n"
        "    np.save(f, np.arange(8).reshape(2, 4).astype(t)[:, :3].copy())\n'", path);
    CHECK_INT(system(line), 0);
    struct err err = {""};
    struct npy_reader r = {.z = zio_open_read(path, &err)};
    for (int k = 0; k < 32; k++) {
        float got[12] = {0};
        CHECK_INT(npy_read_header(&r, &err), 1);
        CHECK_INT(r.items, k % 2 ? 6 : 12);
        CHECK_INT(npy_read_floats(&r, got, (size_t)r.items, &err), 0);
        for (int i = 0; i < (k % 2 ? 6 : 12); i++)
            CHECK_INT(got[i], k % 2 ? i / 3 * 4 + i % 3 : i);
    }
    CHECK_INT(npy_read_header(&r, &err), 0);
    CHECK_STR(err.text, "");
    zio_abort(r.z);
    free(line);
    free(path);
}

int main(void) {
    RUN(dtypes);
    RUN(halves_nan);
    RUN(header_forms);
    RUN(arrays_in_a_stream);
    RUN(round_trip);
    RUN(dicts_refused);
    RUN(bytes_refused);
    RUN(records_are_read);
    RUN(records_refused);
    RUN(every_truncation);
    RUN(as_numpy_writes);
    scratch_remove();
    return check_done();
}
