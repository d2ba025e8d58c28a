/* test_gguf.c - GGUF files: what is read back, what is refused and with which words, splits, the
 * writer. Broken files are built byte by byte (gguf_raw.h); nothing of them may crash the reader.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/format/gguf.h"
#include "tests/check.h"
#include "tests/gguf_raw.h"
#include "tests/scratch.h"

#define KEYS 13

/* ---- reading ---------------------------------------------------------------------------- */

/* Every value type, strings of several lengths, arrays and three tensors. */
static void build_sample(struct raw_file *f, uint32_t version) {
    struct raw r = {0};
    raw_put_str(&r, "general.architecture", "llama");
    raw_int(&r, "u8", 0, 1, 200);
    raw_int(&r, "i8", 1, 1, (uint64_t)-100);
    raw_int(&r, "u16", 2, 2, 60000);
    raw_int(&r, "i16", 3, 2, (uint64_t)-30000);
    raw_put_u32(&r, "u32", 4000000000u);
    raw_int(&r, "i32", 5, 4, (uint64_t)-2000000000);
    raw_put_f32(&r, "f32", 0.25f);
    raw_int(&r, "bool", 7, 1, 1);
    raw_int(&r, "u64", 10, 8, UINT64_MAX);
    raw_int(&r, "i64", 11, 8, (uint64_t)INT64_MIN);
    double d = 3.0;
    buf_add(raw_key(&r, "f64", 12), &d, sizeof d);
    struct buf *b = raw_array(&r, "words", 8, 3);
    raw_text(b, "one");
    raw_text(b, "");
    raw_text(b, "three");
    raw_tensor(&r, "a.weight", 0, 2, (uint64_t[]){5, 3}, 60);
    raw_tensor(&r, "blk.1.q", 8, 3, (uint64_t[]){64, 2, 2}, 272);
    raw_tensor(&r, "scalar", 30, 0, NULL, 2);
    raw_finish_as(&r, f, version, r.tensor_count, r.pair_count, r.offset);
}

static struct gguf *open_bytes(const struct buf *b, struct err *err) {
    *err = (struct err){{0}};
    return gguf_open_memory(b->data, b->len, "test.gguf", err);
}

static void values_are_read(void) {
    struct raw_file f;
    struct err e;
    build_sample(&f, 3);
    struct gguf *g = open_bytes(&f.bytes, &e);
    CHECK_STR(e.text, "");
    CHECK(g);
    if (!g)
        return;
    CHECK_INT(gguf_version(g), 3);
    CHECK_STR(gguf_path(g), "test.gguf");
    CHECK_INT(gguf_file_bytes(g), f.bytes.len);
    CHECK_INT(gguf_key_count(g), KEYS);
    CHECK_STR(gguf_str(g, "general.architecture", ""), "llama");
    CHECK_INT(gguf_int(g, "u8", 0), 200);
    CHECK_INT(gguf_int(g, "i8", 0), -100);
    CHECK_INT(gguf_int(g, "u16", 0), 60000);
    CHECK_INT(gguf_int(g, "i16", 0), -30000);
    CHECK_INT(gguf_int(g, "u32", 0), 4000000000);
    CHECK_INT(gguf_int(g, "i32", 0), -2000000000);
    CHECK_INT(gguf_int(g, "i64", 0), INT64_MIN);
    CHECK_INT(gguf_int(g, "bool", 0), 1);
    CHECK_INT(gguf_bool(g, "bool", 0), 1);
    CHECK_INT(gguf_int(g, "f64", 0), 3);
    CHECK_NEAR(gguf_float(g, "f32", 0), 0.25, 0);
    CHECK_NEAR(gguf_float(g, "u64", 0), 18446744073709551616.0, 0);
    CHECK_NEAR(gguf_float(g, "i8", 0), -100, 0);
    struct gguf_value v;
    CHECK_INT(gguf_value(g, "words", &v), 0);
    CHECK_INT(v.is_array, 1);
    CHECK_INT(v.n, 3);
    struct gguf_string s[3];
    gguf_array_strs(&v, s);
    CHECK(s[0].len == 3 && !memcmp(s[0].data, "one", 3));
    CHECK_INT(s[1].len, 0);
    CHECK(s[2].len == 5 && !memcmp(s[2].data, "three", 5));
    struct gguf_string key = gguf_key(g, 1, &v);
    CHECK(key.len == 2 && !memcmp(key.data, "u8", 2));
    CHECK_INT(v.type, GGUF_U8);
    gguf_close(g);
    buf_free(&f.bytes);
}

static void defaults_stand_where_nothing_fits(void) {
    struct raw_file f;
    struct err e;
    build_sample(&f, 2);
    struct gguf *g = open_bytes(&f.bytes, &e);
    CHECK_INT(gguf_version(g), 2);
    CHECK_INT(gguf_int(g, "absent", -7), -7);
    CHECK_INT(gguf_int(g, "u64", -7), -7);          /* beyond int64 */
    CHECK_INT(gguf_int(g, "f32", -7), -7);          /* not whole */
    CHECK_INT(gguf_int(g, "words", -7), -7);
    CHECK_INT(gguf_int(g, "general.architecture", -7), -7);
    CHECK_NEAR(gguf_float(g, "words", 1.5), 1.5, 0);
    CHECK_NEAR(gguf_float(g, "general.architecture", 1.5), 1.5, 0);
    CHECK_STR(gguf_str(g, "u8", "none"), "none");
    CHECK_STR(gguf_str(g, "words", "none"), "none");
    CHECK(!gguf_str(g, "absent", NULL));
    CHECK_INT(gguf_bool(g, "absent", 1), 1);
    struct gguf_value v;
    CHECK_INT(gguf_value(g, "absent", &v), -1);
    gguf_close(g);
    buf_free(&f.bytes);
}

static void array_elements_are_clamped(void) {
    struct raw r = {0};
    struct raw_file f;
    struct err e;
    const double x[6] = {1e300, -1e300, NAN, INFINITY, -2.9, 2.9};
    const int64_t want[6] = {INT64_MAX, INT64_MIN, 0, INT64_MAX, -2, 2};
    buf_add(raw_array(&r, "x", 12, 6), x, sizeof x);
    raw_int(&r, "u", 10, 8, UINT64_MAX);
    raw_put_str(&r, "s", "7");
    raw_finish(&r, &f);
    struct gguf *g = open_bytes(&f.bytes, &e);
    struct gguf_value v;
    CHECK_INT(gguf_value(g, "x", &v), 0);
    for (uint64_t i = 0; i < 6; i++)
        CHECK_INT(gguf_array_int(&v, i), want[i]);
    CHECK_INT(gguf_value(g, "u", &v), 0);
    CHECK_INT(gguf_array_int(&v, 0), INT64_MAX);
    CHECK_INT(gguf_value(g, "s", &v), 0);
    CHECK_INT(gguf_array_int(&v, 0), 0);
    CHECK_NEAR(gguf_array_float(&v, 0), 0, 0);
    gguf_close(g);
    buf_free(&f.bytes);
}

static void tensors_are_found(void) {
    struct raw_file f;
    struct err e;
    build_sample(&f, 3);
    struct gguf *g = open_bytes(&f.bytes, &e);
    CHECK_INT(gguf_tensor_count(g), 3);
    const struct gguf_tensor *t = gguf_find(g, "blk.%d.q", 1);
    CHECK(t && t == gguf_tensor(g, 1));
    if (t) {
        CHECK_INT(t->type, 8);
        CHECK_INT(t->dims, 3);
        CHECK_INT(t->ne[0], 64);
        CHECK_INT(t->ne[2], 2);
        CHECK_INT(t->ne[3], 1);
        CHECK_INT(t->bytes, 272);
        CHECK_INT(t->part, 0);
        CHECK_INT((const char *)t->data - f.bytes.data, (f.header + 31) / 32 * 32 + 64);
        gguf_drop(g, t);        /* in memory: nothing to give back, nothing lost */
        CHECK_INT(((const unsigned char *)t->data)[0], (unsigned char)(64 * 7 + 1));
    }
    t = gguf_find(g, "scalar");
    CHECK(t && t->dims == 1 && t->ne[0] == 1 && t->bytes == 2);
    CHECK(!gguf_find(g, "blk.%d.q", 2));
    CHECK(!gguf_find(g, "%0300d", 0));
    gguf_close(g);
    buf_free(&f.bytes);
}

static void types_have_sizes(void) {
    size_t bytes;
    CHECK_STR(gguf_type_name(12), "Q4_K");
    CHECK_INT(gguf_type_block(12, &bytes), 256);
    CHECK_INT(bytes, 144);
    CHECK_INT(gguf_type_block(39, &bytes), 32);
    CHECK_INT(bytes, 17);
    const int gone[] = {-1, 4, 5, 31, 32, 33, 36, 37, 38, 43, 1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        CHECK(!gguf_type_name(gone[i]));
        CHECK_INT(gguf_type_block(gone[i], &bytes), 0);
        CHECK_INT(bytes, 0);
    }
}

/* ---- refusing --------------------------------------------------------------------------- */

/* The file must be refused with a line that names it and holds `words`. */
static void expect_refusal(const struct buf *b, const char *words) {
    struct err e;
    struct gguf *g = open_bytes(b, &e);
    CHECK(!g);
    if (strncmp(e.text, "test.gguf: ", 11) || !strstr(e.text, words))
        CHECK_STR(e.text, words);
    gguf_close(g);
}

/* Finishes r honestly, expects the refusal, frees. */
static void refuse_raw(struct raw *r, const char *words) {
    struct raw_file f;
    raw_finish(r, &f);
    expect_refusal(&f.bytes, words);
    buf_free(&f.bytes);
}

/* At every length that is too short there is one clear line, and never a read past the end: each
 * cut stands in an allocation of its own, so that a sanitizer sees one. */
static void every_cut_is_refused(void) {
    struct raw_file f;
    build_sample(&f, 3);
    struct err e;
    struct gguf *g = open_bytes(&f.bytes, &e);
    const struct gguf_tensor *last = gguf_find(g, "scalar");
    size_t need = (size_t)((const char *)last->data - f.bytes.data) + last->bytes;
    gguf_close(g);
    for (size_t len = 0; len <= f.bytes.len; len++) {
        char *copy = malloc(len ? len : 1);
        memcpy(copy, f.bytes.data, len);
        e = (struct err){{0}};
        g = gguf_open_memory(copy, len, "cut.gguf", &e);
        CHECK_INT(g != NULL, len >= need);
        if (len < need) {
            CHECK(!strncmp(e.text, "cut.gguf: byte ", 15));
            CHECK(strstr(e.text, "left") || strstr(e.text, "holds") || strstr(e.text, "fit"));
        }
        gguf_close(g);
        free(copy);
    }
    buf_free(&f.bytes);
}

static void other_files_are_refused(void) {
    struct buf b = {0};
    buf_adds(&b, "\x80\x04\x95 a pickle");
    expect_refusal(&b, "not a GGUF file: expected \"GGUF\" at the start, found 80 04 95 20");
    buf_free(&b);
    struct raw_file f;
    const struct {
        uint32_t version;
        const char *words;
    } t[] = {{0, "version 0:"}, {1, "version 1: versions 2 and 3"}, {4, "version 4:"},
             {3u << 24, "big-endian"}, {2u << 24, "big-endian"}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        build_sample(&f, t[i].version);
        expect_refusal(&f.bytes, t[i].words);
        buf_free(&f.bytes);
    }
}

static void absurd_counts_are_refused(void) {
    const uint64_t counts[] = {17, 1000000, INT64_MAX, UINT64_MAX, UINT64_MAX / 13 + 1};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct raw_file f;
        struct raw r = {0};
        raw_finish_as(&r, &f, 3, counts[i], 0, 0);
        expect_refusal(&f.bytes, "tensors cannot fit the 0 bytes");
        buf_free(&f.bytes);
        r = (struct raw){0};
        raw_finish_as(&r, &f, 3, 0, counts[i], 64);
        expect_refusal(&f.bytes, "keys cannot fit the 72 bytes");
        buf_free(&f.bytes);
        r = (struct raw){0};
        raw_array(&r, "list", 10, counts[i]);
        refuse_raw(&r, "key 0 \"list\": ");
        r = (struct raw){0};
        raw_array(&r, "list", 8, counts[i]);
        refuse_raw(&r, " strings, 0 bytes are left");
        r = (struct raw){0};
        raw_u64(raw_key(&r, "text", 8), counts[i]);
        refuse_raw(&r, "a string of ");
        r = (struct raw){.pair_count = 1};
        raw_u64(&r.pairs, counts[i]);
        raw_u64(&r.pairs, 0);
        refuse_raw(&r, "the key of ");
    }
}

/* A large file has room for counts that are absurd all the same. It has a hole for most of its
 * bytes. */
static void large_files_cannot_ask_for_much(void) {
    static const struct {
        uint64_t tensors, pairs;
        const char *words;
    } t[] = {
        {0, 100000000, "100000000 keys: more than any model has (1048576)"},
        {50000000, 0, "50000000 tensors: more than any model has (1048576)"},
        {0, 1, "a text of 1000000000 bytes, at most 268435456 are expected"},
    };
    char *path = scratch_path("large.gguf");
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct raw r = {0};
        struct raw_file f;
        struct err e = {{0}};
        raw_u64(raw_key(&r, "text", 8), 1000000000);
        raw_finish_as(&r, &f, 3, t[i].tensors, t[i].pairs, 0);
        scratch_write(path, f.bytes.data, f.bytes.len);
        CHECK_INT(truncate(path, 3000000000), 0);
        CHECK(!gguf_open(path, &e));
        if (!strstr(e.text, t[i].words))
            CHECK_STR(e.text, t[i].words);
        buf_free(&f.bytes);
    }
    remove(path);
    free(path);
}

static void bad_values_are_refused(void) {
    struct raw r = {0};
    raw_key(&r, "k", 13);
    refuse_raw(&r, "key 0 \"k\": unknown value type 13");
    r = (struct raw){0};
    raw_array(&r, "nested", 9, 1);
    refuse_raw(&r, "an array of arrays");
    r = (struct raw){0};
    raw_array(&r, "list", 99, 0);
    refuse_raw(&r, "unknown value type 99");
    r = (struct raw){0};
    raw_int(&r, "flag", 7, 1, 2);
    refuse_raw(&r, "a boolean is 0 or 1, found 2");
    r = (struct raw){0};
    buf_add(raw_array(&r, "flags", 7, 3), "\0\1\3", 3);
    refuse_raw(&r, "a boolean is 0 or 1, found 3");
    r = (struct raw){0};
    raw_put_u32(&r, "x", 1);
    raw_put_u32(&r, "y", 1);
    raw_put_u32(&r, "x", 2);
    refuse_raw(&r, "key 2 \"x\": this key was there before");
    const uint32_t alignments[] = {0, 3, 48, UINT32_MAX};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        r = (struct raw){0};
        raw_put_u32(&r, "general.alignment", alignments[i]);
        refuse_raw(&r, "a power of two is expected");
    }
}

static void bad_tensors_are_refused(void) {
    static const struct {
        uint32_t type, dims;
        uint64_t ne[4];
        uint64_t offset;
        const char *words;
    } t[] = {
        {4, 1, {32, 0, 0, 0}, 0, "tensor 0 \"t\": unknown tensor type 4"},
        {77, 1, {32, 0, 0, 0}, 0, "unknown tensor type 77"},
        {UINT32_MAX, 1, {32, 0, 0, 0}, 0, "unknown tensor type 4294967295"},
        {0, 5, {1, 1, 1, 1}, 0, "5 dimensions, 4 at most"},
        {0, UINT32_MAX, {1, 1, 1, 1}, 0, "4294967295 dimensions"},
        {0, 2, {4, 0, 0, 0}, 0, "dimension 1 is 0"},
        {0, 2, {4, UINT64_MAX, 0, 0}, 0, "dimension 1 is 18446744073709551615"},
        {2, 1, {33, 0, 0, 0}, 0, "rows of 33 elements: type Q4_0 has blocks of 32"},
        {12, 2, {128, 4, 0, 0}, 0, "type Q4_K has blocks of 256"},
        {0, 4, {1 << 20, 1 << 20, 1 << 20, 1 << 20}, 0, "more than any file holds"},
        {0, 2, {1ull << 61, 1, 0, 0}, 0, "more than any file holds"},
        {0, 2, {1ull << 62, 1, 0, 0}, 0, "more than any file holds"},
        {24, 2, {1ull << 32, 1ull << 32, 0, 0}, 0, "more than any file holds"},
        {0, 1, {32, 0, 0, 0}, 16, "no multiple of the alignment 32"},
        {0, 1, {32, 0, 0, 0}, 32, "truncated: 128 bytes at offset 32 of the data, the file holds"
                                  " 128 bytes"},
        {0, 1, {32, 0, 0, 0}, UINT64_MAX - 31, "truncated: 128 bytes at offset"},
        {0, 1, {33, 0, 0, 0}, 0, "truncated: 132 bytes at offset 0"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct raw r = {.offset = 128};
        uint64_t ne[5] = {t[i].ne[0], t[i].ne[1], t[i].ne[2], t[i].ne[3], 1};
        r.tensor_count = 1;
        raw_text(&r.infos, "t");
        raw_u32(&r.infos, t[i].dims);
        for (uint32_t d = 0; d < t[i].dims && d < 5; d++)
            raw_u64(&r.infos, ne[d]);
        raw_u32(&r.infos, t[i].type);
        raw_u64(&r.infos, t[i].offset);
        refuse_raw(&r, t[i].words);
    }
}

static void overlaps_are_refused(void) {
    struct raw r = {.offset = 256};
    const uint64_t ne[1] = {16};        /* 64 bytes */
    raw_tensor_at(&r, "c", 0, 1, ne, 128);
    raw_tensor_at(&r, "a", 0, 1, ne, 0);
    raw_tensor_at(&r, "b", 0, 1, ne, 32);
    refuse_raw(&r, "overlapping offsets: tensor \"a\" ends at byte");
    r = (struct raw){.offset = 256};
    raw_tensor_at(&r, "a", 0, 1, ne, 0);
    raw_tensor_at(&r, "b", 0, 1, ne, 0);
    refuse_raw(&r, "overlapping offsets");
    r = (struct raw){.offset = 256};
    raw_tensor_at(&r, "same", 0, 1, ne, 0);
    raw_tensor_at(&r, "same", 0, 1, ne, 64);
    refuse_raw(&r, "tensor 1 \"same\": this name was there before");
    struct raw_file f;
    struct err e;
    r = (struct raw){.offset = 256};
    raw_tensor_at(&r, "second", 0, 1, ne, 64);
    raw_tensor_at(&r, "first", 0, 1, ne, 0);
    raw_finish(&r, &f);
    struct gguf *g = open_bytes(&f.bytes, &e);
    CHECK(g);               /* order is free, only sharing is not */
    gguf_close(g);
    buf_free(&f.bytes);
}

static void hostile_names_stay_one_line(void) {
    struct raw r = {0};
    raw_key(&r, "evil\n\033[2Jname", 50);
    struct raw_file f;
    struct err e;
    raw_finish(&r, &f);
    CHECK(!open_bytes(&f.bytes, &e));
    CHECK(strstr(e.text, "evil??[2Jname"));
    CHECK(!strpbrk(e.text, "\n\033"));
    buf_free(&f.bytes);
}

/* ---- files ------------------------------------------------------------------------------ */

static void files_are_mapped_and_errors_named(void) {
    struct raw_file f;
    struct err e;
    char *path = scratch_path("whole.gguf");
    build_sample(&f, 3);
    scratch_write(path, f.bytes.data, f.bytes.len);
    struct gguf *g = gguf_open(path, &e);
    CHECK(g);
    if (g) {
        const struct gguf_tensor *t = gguf_find(g, "a.weight");
        CHECK_INT(((const unsigned char *)t->data)[1], 8);
        gguf_drop(g, t);
        CHECK_INT(((const unsigned char *)t->data)[1], 8);
        CHECK_STR(gguf_path(g), path);
    }
    gguf_close(g);
    scratch_write(path, "", 0);
    CHECK(!gguf_open(path, &e) && strstr(e.text, "an empty file"));
    CHECK(!gguf_open("/dev/null", &e) && strstr(e.text, "not a regular file"));
    CHECK(!gguf_open(scratch_dir, &e) && strstr(e.text, "not a regular file"));
    CHECK(!gguf_open("/nowhere/x.gguf", &e));
    CHECK_STR(e.text, "/nowhere/x.gguf: No such file or directory");
    CHECK(!gguf_open("/nowhere/x.gguf", NULL));
    buf_free(&f.bytes);
    free(path);
}

/* Writes part i of n with one tensor of its own name (or `name` for all). */
static void write_part(int i, int n, int said, int count, int total, const char *name) {
    struct raw r = {0};
    struct raw_file f;
    char text[64];
    snprintf(text, sizeof text, "m-%05d-of-%05d.gguf", i + 1, n);
    char *path = scratch_path(text);
    raw_int(&r, "split.no", 2, 2, (uint64_t)said);
    raw_int(&r, "split.count", 2, 2, (uint64_t)count);
    raw_int(&r, "split.tensors.count", 5, 4, (uint64_t)total);
    snprintf(text, sizeof text, "t%d", i);
    raw_tensor(&r, name ? name : text, 0, 1, (uint64_t[]){8}, 32);
    raw_finish(&r, &f);
    scratch_write(path, f.bytes.data, f.bytes.len);
    buf_free(&f.bytes);
    free(path);
}

static void splits_open_as_one(void) {
    struct err e = {{0}};
    char *first = scratch_path("m-00001-of-00003.gguf");
    char *second = scratch_path("m-00002-of-00003.gguf");
    for (int i = 0; i < 3; i++)
        write_part(i, 3, i, 3, 3, NULL);
    struct gguf *g = gguf_open(first, &e);
    CHECK_STR(e.text, "");
    CHECK(g);
    if (g) {
        CHECK_INT(gguf_tensor_count(g), 3);
        const struct gguf_tensor *t = gguf_find(g, "t2");
        CHECK(t && t->part == 2 && ((const unsigned char *)t->data)[1] == 8);
        struct stat st;
        CHECK(stat(first, &st) == 0 && gguf_file_bytes(g) == 3 * (uint64_t)st.st_size);
        CHECK_STR(gguf_part_path(g, 0), first);
        CHECK_STR(gguf_part_path(g, 1), second);
        CHECK(gguf_part_path(g, 2) && !gguf_part_path(g, 3));
    }
    gguf_close(g);
    CHECK(!gguf_open(second, &e));
    CHECK(strstr(e.text, "part 2 of a model in 3 files: open the first"));
    free(first);
    free(second);
}

static void broken_splits_are_refused(void) {
    struct err e;
    char *first = scratch_path("m-00001-of-00003.gguf");
    char *second = scratch_path("m-00002-of-00003.gguf");
    char *other = scratch_path("renamed.gguf");
    write_part(1, 3, 2, 3, 3, NULL);
    CHECK(!gguf_open(first, &e) && strstr(e.text, "expected split.no 1 of split.count 3, found 2"));
    write_part(1, 3, 1, 4, 3, NULL);
    CHECK(!gguf_open(first, &e) && strstr(e.text, "found 1 of 4"));
    write_part(1, 3, 1, 3, 3, "t0");
    CHECK(!gguf_open(first, &e) && strstr(e.text, "\"t0\": this name was there before"));
    write_part(1, 3, 1, 3, 3, NULL);
    write_part(0, 3, 0, 3, 4, NULL);
    CHECK(!gguf_open(first, &e) && strstr(e.text, "split.tensors.count is 4, the 3 files hold 3"));
    write_part(0, 3, 0, 3, 3, NULL);
    rename(first, other);
    CHECK(!gguf_open(other, &e) && strstr(e.text, "must be named ...-00001-of-00003.gguf"));
    rename(other, first);
    remove(second);
    CHECK(!gguf_open(first, &e) && strstr(e.text, "m-00002-of-00003.gguf: No such file"));
    write_part(0, 3, 0, 65535, 3, NULL);
    CHECK(!gguf_open(first, &e) && strstr(e.text, "split.count 65535: more than 10000 parts"));
    struct buf b = scratch_read(first);
    expect_refusal(&b, "one part of a split model");
    buf_free(&b);
    free(first);
    free(second);
    free(other);
}

/* ---- writing ---------------------------------------------------------------------------- */

static struct gguf_writer *sample_writer(uint32_t alignment) {
    struct gguf_writer *w = gguf_writer_new(3, alignment);
    gguf_put_str(w, "general.architecture", "test");
    gguf_put_int(w, "i8", GGUF_I8, -128);
    gguf_put_int(w, "u64", GGUF_U64, INT64_MAX);
    gguf_put_bool(w, "yes", 5);
    gguf_put_float(w, "f", 1.5f);
    gguf_put_strs(w, "s", (struct gguf_string[]){{"ab", 2}, {"", 0}, {"c\0d", 3}}, 3);
    gguf_put_ints(w, "n", GGUF_I16, (int64_t[]){-1, 0, 32767}, 3);
    gguf_put_floats(w, "x", (float[]){0.5f, -2}, 2);
    gguf_put_tensor(w, "one", 0, 2, (int64_t[]){3, 3});
    gguf_put_tensor(w, "two", 2, 1, (int64_t[]){32});
    return w;
}

static void written_files_read_back(void) {
    const uint32_t alignments[] = {1, 32, 64, 4096};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        struct err e = {{0}};
        char *path = scratch_path("written.gguf");
        struct gguf_writer *w = sample_writer(alignments[i]);
        float one[9];
        for (int k = 0; k < 9; k++)
            one[k] = (float)k;
        CHECK_INT(gguf_writer_begin(w, path, &e), 0);
        /* Pieces that split a tensor, and one that ends a tensor and starts the next. */
        char all[36 + 18];
        memcpy(all, one, 36);
        memset(all + 36, 9, 18);
        CHECK_INT(gguf_writer_data(w, all, 10, &e), 0);
        CHECK_INT(gguf_writer_data(w, all + 10, 40, &e), 0);
        CHECK_INT(gguf_writer_data(w, all + 50, 4, &e), 0);
        CHECK_INT(gguf_writer_finish(w, &e), 0);
        CHECK_STR(e.text, "");
        gguf_writer_free(w);
        struct gguf *g = gguf_open(path, &e);
        CHECK_STR(e.text, "");
        CHECK_INT(gguf_int(g, "general.alignment", 32), alignments[i]);
        CHECK_INT(gguf_int(g, "i8", 0), -128);
        CHECK_INT(gguf_int(g, "u64", 0), INT64_MAX);
        CHECK_INT(gguf_bool(g, "yes", 0), 1);
        CHECK_NEAR(gguf_float(g, "f", 0), 1.5, 0);
        struct gguf_value v;
        struct gguf_string s[3];
        CHECK_INT(gguf_value(g, "s", &v), 0);
        CHECK_INT(v.n, 3);
        gguf_array_strs(&v, s);
        CHECK(s[2].len == 3 && !memcmp(s[2].data, "c\0d", 3));
        CHECK_INT(gguf_value(g, "n", &v), 0);
        CHECK_INT(gguf_array_int(&v, 0), -1);
        CHECK_INT(gguf_array_int(&v, 2), 32767);
        CHECK_INT(gguf_value(g, "x", &v), 0);
        CHECK_NEAR(gguf_array_float(&v, 1), -2, 0);
        const struct gguf_tensor *t = gguf_find(g, "one");
        CHECK(t && !memcmp(t->data, one, 36));
        t = gguf_find(g, "two");
        CHECK(t && t->bytes == 18 && !memcmp(t->data, all + 36, 18));
        gguf_close(g);
        free(path);
    }
}

/* The file that a writer makes of all keys of g but one. */
static struct buf copy_keys(const struct gguf *g, const char *dropped) {
    struct gguf_writer *w = gguf_writer_new(3, 32);
    char *path = scratch_path("copied.gguf");
    for (uint64_t i = 0; i < gguf_key_count(g); i++) {
        struct gguf_value v;
        struct gguf_string key = gguf_key(g, i, &v);
        char *name = mem_strndup(key.data, key.len);
        gguf_put_value(w, name, &v);
        free(name);
    }
    gguf_drop_key(w, "no such key");
    gguf_drop_key(w, dropped);
    CHECK_INT(gguf_writer_begin(w, path, NULL), 0);
    CHECK_INT(gguf_writer_finish(w, NULL), 0);
    struct buf b = scratch_read(path);
    gguf_writer_free(w);
    free(path);
    return b;
}

/* Values of every type are copied as they stand; any one can be taken out again. */
static void values_are_copied_and_taken_back(void) {
    struct raw_file f;
    struct err e;
    build_sample(&f, 3);
    struct gguf *g = open_bytes(&f.bytes, &e);
    CHECK(g);
    for (uint64_t i = 0; g && i < gguf_key_count(g); i++) {
        struct gguf_value from, to;
        struct gguf_string key = gguf_key(g, i, &from);
        char *name = mem_strndup(key.data, key.len);
        struct buf b = copy_keys(g, name);
        struct gguf *h = open_bytes(&b, &e);
        CHECK(h && gguf_key_count(h) == KEYS - 1 && gguf_value(h, name, &to));
        for (uint64_t k = 0, at = 0; h && k < KEYS; k++) {
            struct gguf_string want = gguf_key(g, k, &from);
            if (k == i)
                continue;
            struct gguf_string got = gguf_key(h, at++, &to);
            CHECK(got.len == want.len && !memcmp(got.data, want.data, got.len));
            CHECK(to.type == from.type && to.is_array == from.is_array && to.n == from.n);
            CHECK(from.type == GGUF_STRING ||
                  !memcmp(to.data, from.data, (size_t)to.n * gguf_value_bytes(to.type)));
        }
        CHECK(!h || i == 0 || !strcmp(gguf_str(h, "general.architecture", ""), "llama"));
        gguf_close(h);
        buf_free(&b);
        free(name);
    }
    gguf_close(g);
    buf_free(&f.bytes);
}

static void writer_reports_and_leaves_nothing(void) {
    struct err e = {{0}};
    char *folder = scratch_path("w");
    char *path = scratch_path("w/x.gguf");
    char data[64] = "";
    mkdir(folder, 0777);
    struct gguf_writer *w = sample_writer(32);
    CHECK_INT(gguf_writer_begin(w, path, &e), 0);
    CHECK_INT(gguf_writer_data(w, data, 37, &e), 0);
    CHECK_INT(gguf_writer_finish(w, &e), -1);
    CHECK(strstr(e.text, "tensor 1 \"two\" got 1 of its 18 bytes"));
    CHECK_INT(gguf_writer_data(w, data, 18, &e), -1);
    CHECK(strstr(e.text, "1 bytes more than its 2 tensors hold"));
    CHECK(!scratch_exists(path));
    CHECK_INT(scratch_count(folder), 1);    /* the temporary */
    gguf_writer_free(w);
    CHECK_INT(scratch_count(folder), 0);

    w = gguf_writer_new(2, 32);
    gguf_put_tensor(w, "odd", 2, 1, (int64_t[]){31});
    CHECK_INT(gguf_writer_begin(w, path, &e), -1);
    CHECK(strstr(e.text, "rows of 31 elements"));
    gguf_writer_free(w);
    w = gguf_writer_new(2, 32);
    gguf_put_tensor(w, "odd", 5, 1, (int64_t[]){31});
    CHECK_INT(gguf_writer_begin(w, path, &e), -1);
    CHECK(strstr(e.text, "unknown type 5"));
    gguf_writer_free(w);
    CHECK_INT(scratch_count(folder), 0);

    w = gguf_writer_new(3, 32);
    gguf_put_tensor(w, "big", 24, 1, (int64_t[]){1 << 20});
    int rc = gguf_writer_begin(w, "/dev/full", &e);
    for (int i = 0; i < (1 << 20) / 64 && !rc; i++)
        rc = gguf_writer_data(w, data, 64, &e);
    CHECK_INT(rc, -1);
    CHECK_STR(e.text, "/dev/full: No space left on device");
    gguf_writer_free(w);
    free(path);
    free(folder);
}

/* ---- a vocabulary of 262,144 words ------------------------------------------------------ */

static void long_arrays_are_cheap_to_ask(void) {
    const uint64_t n = 262144;
    struct raw r = {0};
    struct raw_file f;
    struct err e;
    char word[32];
    struct buf *b = raw_array(&r, "tokens", 8, n);
    for (uint64_t i = 0; i < n; i++) {
        snprintf(word, sizeof word, "w%" PRIu64, i);
        raw_text(b, word);
    }
    raw_put_u32(&r, "after", 5);
    raw_finish(&r, &f);
    struct gguf *g = open_bytes(&f.bytes, &e);
    CHECK_STR(e.text, "");
    struct gguf_value v;
    CHECK_INT(gguf_value(g, "tokens", &v), 0);
    struct gguf_string *s = mem_array((size_t)n, sizeof *s);
    gguf_array_strs(&v, s);
    CHECK(s[n - 1].len == 7 && !memcmp(s[n - 1].data, "w262143", 7));
    int64_t sum = 0;
    for (int i = 0; i < 200000; i++)    /* hours, were the words walked each time */
        sum += gguf_int(g, "after", 0);
    CHECK_INT(sum, 1000000);
    free(s);
    gguf_close(g);
    buf_free(&f.bytes);
}

int main(void) {
    RUN(values_are_read);
    RUN(defaults_stand_where_nothing_fits);
    RUN(array_elements_are_clamped);
    RUN(tensors_are_found);
    RUN(types_have_sizes);
    RUN(every_cut_is_refused);
    RUN(other_files_are_refused);
    RUN(absurd_counts_are_refused);
    RUN(large_files_cannot_ask_for_much);
    RUN(bad_values_are_refused);
    RUN(bad_tensors_are_refused);
    RUN(overlaps_are_refused);
    RUN(hostile_names_stay_one_line);
    RUN(files_are_mapped_and_errors_named);
    RUN(splits_open_as_one);
    RUN(broken_splits_are_refused);
    RUN(written_files_read_back);
    RUN(values_are_copied_and_taken_back);
    RUN(writer_reports_and_leaves_nothing);
    RUN(long_arrays_are_cheap_to_ask);
    scratch_remove();
    return check_done();
}
