/* test_safetensors.c - safetensors files: read, refused and written, alone and in folders
 *
 * Headers are made by hand after the format's description. Where Python has the safetensors
 * package, it reads what the writer wrote.
 */
#include "lib/format/safetensors.h"

#include "tests/check.h"
#include "tests/scratch.h"

#define PYTHON "${PYTHON:-python3}"

/* A file: the header's length, the header, so many bytes of data (0, 1, 2 ...). */
static struct buf make(const char *header, size_t data) {
    struct buf b = {0};
    uint64_t len = strlen(header);
    buf_add(&b, &len, sizeof len);
    buf_adds(&b, header);
    for (size_t i = 0; i < data; i++)
        buf_addc(&b, (char)i);
    return b;
}

static struct st_set *open_made(const struct buf *b, struct err *err) {
    return st_open_memory(b->data, b->len, "f", err);
}

static void reads(void) {
    struct err err = {""};
    struct buf b = make("{\"__metadata__\":{\"format\":\"pt\"},"
                        "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]},"
                        "\"a\":{\"shape\":[2],\"data_offsets\":[0,4],\"dtype\":\"BF16\"},"
                        "\"e\":{\"dtype\":\"U8\",\"shape\":[0,7],\"data_offsets\":[28,28]},"
                        "\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[28,36]}}   ", 36);
    struct st_set *s = open_made(&b, &err);
    CHECK_STR(err.text, "");
    CHECK_INT(st_count(s), 4);
    const struct st_tensor *t = st_find(s, "b");
    CHECK(t && t->dtype == ST_F32 && t->dims == 2 && t->shape[0] == 2 && t->shape[1] == 3);
    CHECK_INT(t->bytes, 24);
    CHECK_INT(*(const char *)t->data, 4);
    CHECK_STR(st_tensor(s, 0)->name, "a");      /* as they lie */
    CHECK_STR(st_tensor(s, 3)->name, "s");
    CHECK(st_find(s, "s")->dims == 0 && st_find(s, "e")->bytes == 0);
    CHECK(!st_find(s, "c"));
    st_drop(t, 0, t->bytes);                    /* nothing of ours is dropped */
    CHECK_INT(*(const char *)t->data, 4);
    CHECK_STR(st_dtype_name(ST_F8_E4M3), "F8_E4M3");
    CHECK_INT(st_dtype_bytes(ST_F64), 8);
    st_close(s);
    buf_free(&b);
}

#define ONE(dtype, shape, offsets) \
    "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *header;
    size_t data;
    const char *says;
} hostile[] = {
    {"", 0, "expected an object, found the end"},
    {"[]", 0, "expected an object, found '['"},
    {"{}x", 0, "expected nothing more"},
    {"{", 0, "expected a string, found the end"},
    {"{}", 1, "1 bytes of data, the tensors take 0"},
    {ONE("F33", "[1]", "[0,4]"), 4, "tensor \"a\": unknown dtype \"F33\""},
    {ONE("F32", "[-1]", "[0,4]"), 4, "a dimension of -1"},
    {ONE("F32", "[1.0]", "[0,4]"), 4, "expected a whole number, found 1.0"},
    {ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 8 dimensions"},
    {ONE("F32", "[1]", "[0,8]"), 4, "data_offsets 0 to 8, expected within 4 bytes"},
    {ONE("F32", "[1]", "[4,0]"), 4, "data_offsets 4 to 0, expected within 4 bytes"},
    {ONE("F32", "[1]", "[-4,0]"), 4, "data_offsets -4 to 0"},
    {ONE("F32", "[2]", "[0,4]"), 4, "data_offsets span 4 bytes, its shape takes 8"},
    {ONE("F32", "[4611686018427387904,4]", "[0,0]"), 0, "its shape takes -1"},
    {ONE("F32", "[9223372036854775807]", "[0,4]"), 4, "its shape takes -1"},
    {ONE("F32", "[9223372036854775808]", "[0,4]"), 4, "expected a whole number"},
    {ONE("F32", "[1]", "[0]"), 4, "expected an element, found ']'"},
    {ONE("F32", "[1]", "[0,4,4]"), 4, "expected two data_offsets"},
    {ONE("F32", "[1]", "[0,4]") " , ", 4, "expected nothing more"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "expected a data_offsets, found none"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "expected a dtype, found none"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "the same key twice"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4,
     "unknown key \"x\""},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "an overlap"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}", 4, "a gap"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "a gap"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 3,
     "3 bytes of data, the tensors take 2"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2,
     "tensor \"a\" was there before"},
    {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "without NUL"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "expected a string"},
};

static void refuses(void) {
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct err err = {""};
        struct buf b = make(hostile[i].header, hostile[i].data);
        struct st_set *s = open_made(&b, &err);
        if (s || !strstr(err.text, hostile[i].says) || strncmp(err.text, "f: ", 3)) {
            printf("# %s: expected \"%s\", found \"%s\"\n", hostile[i].header, hostile[i].says,
                   err.text);
            check_bad++;
        }
        st_close(s);
        buf_free(&b);
    }
}

/* Every prefix of a good file is refused, and lengths that lie. */
static void truncated(void) {
    struct buf b = make(ONE("F32", "[2]", "[0,8]"), 8);
    struct err err;
    for (size_t len = 0; len < b.len; len++)
        CHECK(!st_open_memory(b.data, len, "f", &err));
    static const uint64_t lengths[] = {0, 1, 1000, 100000001, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(b.data, &lengths[i], sizeof lengths[i]);
        CHECK(!open_made(&b, &err));
    }
    buf_free(&b);
}

/* ---- folders ---------------------------------------------------------------------------- */

static char *folder(const char *name) {
    char *path = scratch_path(name);
    if (mkdir(path, 0777))
        scratch_die(path);
    return path;
}

/* more: a second tensor, of one byte. */
static void put_file(const char *dir, const char *name, const char *tensor, const char *more) {
    char *header = mem_printf("{\"%s\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}%s}",
                              tensor, more);
    char *path = mem_printf("%s/%s", dir, name);
    struct buf b = make(header, *more ? 4 : 3);
    scratch_write(path, b.data, b.len);
    buf_free(&b);
    free(path);
    free(header);
}

static void put_index(const char *dir, const char *text) {
    char *path = mem_printf("%s/model.safetensors.index.json", dir);
    scratch_write(path, text, strlen(text));
    free(path);
}

static const struct {
    const char *text, *says;
} indices[] = {
    {"{\"metadata\":{\"total_size\":6},\"weight_map\":{\"x\":\"b.safetensors\",\"y\":\""
     "a.safetensors\"}}", ""},
    {"{\"weight_map\":{\"x\":\"b.safetensors\"}}", ""},
    {"{\"weight_map\":{\"p\":\"c.safetensors\"}}", "1 tensors, found 2 in the files"},
    {"{\"weight_map\":{\"x\":\"b.safetensors\",\"y\":\"b.safetensors\"}}",
     "expected tensor \"y\" in b.safetensors"},
    {"{\"weight_map\":{\"x\":\"d.safetensors\"}}", "d.safetensors: No such file"},
    {"{\"weight_map\":{\"x\":\"../b.safetensors\"}}", "the name of a file in this folder"},
    {"{\"weight_map\":{\"x\":7}}", "expected a string"},
    {"{\"weight_map\":{}}", "expected a weight_map with tensors"},
    {"{}", "expected a weight_map with tensors"},
    {"{\"weight_map\":{\"x\":\"b.safetensors\"},\"weight_map\":{}}", "a second weight_map"},
    {"nothing", "expected an object"},
};

static void folders(void) {
    struct err err = {""};
    char *dir = folder("two");
    CHECK(!st_open(dir, &err));
    CHECK(strstr(err.text, "expected safetensors files, found none"));
    put_file(dir, "b.safetensors", "x", "");
    put_file(dir, "a.safetensors", "y", "");
    struct st_set *s = st_open(dir, &err);
    put_file(dir, "c.safetensors", "p",
             ",\"q\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}");
    CHECK(s && st_count(s) == 2 && st_find(s, "y")->part == 0 && st_find(s, "x")->part == 1);
    st_drop(st_find(s, "x"), 0, 3);
    CHECK_INT(((const char *)st_find(s, "x")->data)[2], 2);
    st_close(s);
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
        err.text[0] = 0;
        put_index(dir, indices[i].text);
        s = st_open(dir, &err);
        CHECK(!s == (*indices[i].says != 0));
        if (!strstr(err.text, indices[i].says)) {
            printf("# %s: %s\n", indices[i].text, err.text);
            check_bad++;
        }
        st_close(s);
    }
    free(dir);
    dir = folder("same");
    put_file(dir, "1.safetensors", "x", "");
    put_file(dir, "2.safetensors", "x", "");
    CHECK(!st_open(dir, &err));
    CHECK(strstr(err.text, "2.safetensors: tensor \"x\" was there before"));
    put_file(dir, "model.safetensors", "z", "");    /* goes before all others */
    s = st_open(dir, &err);
    CHECK(s && st_count(s) == 1);
    st_close(s);
    free(dir);
}

static void no_file(void) {
    struct err err;
    CHECK(!st_open("/nonexistent/model.safetensors", &err));
    CHECK(strstr(err.text, "No such file"));
    CHECK(!st_open("/dev/null", &err));
    CHECK(strstr(err.text, "not a regular file"));
}

/* ---- writing ---------------------------------------------------------------------------- */

static struct st_writer *two_tensors(void) {
    struct st_writer *w = st_writer_new();
    st_put_meta(w, "format", "pt");
    st_put_tensor(w, "w\"1\xC3\xA9", ST_F32, 2, (int64_t[]){2, 3});
    st_put_tensor(w, "b", ST_U8, 1, (int64_t[]){5});
    return w;
}

static void writes(void) {
    static const float x[6] = {1, -2, 3.5f, 0, 1e30f, -0.0f};
    struct err err = {""};
    char *path = scratch_path("w.safetensors");
    struct st_writer *w = two_tensors();
    CHECK_INT(st_writer_begin(w, path, &err), 0);
    CHECK(!scratch_exists(path));
    CHECK_INT(st_writer_data(w, x, 8, &err), 0);
    CHECK_INT(st_writer_data(w, (const char *)x + 8, sizeof x - 8, &err), 0);
    CHECK_INT(st_writer_data(w, "hello", 5, &err), 0);
    CHECK_INT(st_writer_finish(w, &err), 0);
    CHECK_STR(err.text, "");
    st_writer_free(w);
    struct st_set *s = st_open(path, &err);
    CHECK(s && st_count(s) == 2);
    const struct st_tensor *t = st_find(s, "w\"1\xC3\xA9");
    CHECK(t && !memcmp(t->data, x, sizeof x) && (uintptr_t)t->data % 8 == 0);
    CHECK(!memcmp(st_find(s, "b")->data, "hello", 5));
    st_close(s);
    free(path);
}

static void writes_nothing(void) {
    struct err err = {""};
    char *path = scratch_path("empty.safetensors");
    struct st_writer *w = st_writer_new();
    CHECK_INT(st_writer_begin(w, path, &err), 0);
    CHECK_INT(st_writer_finish(w, &err), 0);
    st_writer_free(w);
    struct st_set *s = st_open(path, &err);
    CHECK(s && st_count(s) == 0);
    st_close(s);
    free(path);
}

/* Too little, too much, no room: said, and no file appears. */
static void write_fails(void) {
    struct err err = {""};
    char *path = scratch_path("f.safetensors");
    struct st_writer *w = two_tensors();
    CHECK_INT(st_writer_begin(w, path, &err), 0);
    CHECK_INT(st_writer_data(w, "0123456789abcdef", 16, &err), 0);
    CHECK_INT(st_writer_finish(w, &err), -1);
    CHECK(strstr(err.text, "lacks 8 of its 24 bytes"));
    CHECK_INT(st_writer_data(w, "0123456789abcdef", 16, &err), -1);
    CHECK(strstr(err.text, "16 bytes more than its 2 tensors hold"));
    st_writer_free(w);
    CHECK(!scratch_exists(path));
    w = two_tensors();
    char *zeros = mem_alloc(29);
    int rc = st_writer_begin(w, "/dev/full", &err) || st_writer_data(w, zeros, 29, &err) ||
             st_writer_finish(w, &err);
    CHECK(rc && strstr(err.text, "No space left"));
    st_writer_free(w);
    free(zeros);
    free(path);
}

static void python(void) {
    if (system(PYTHON " -c 'import safetensors.numpy' >/dev/null 2>&1"))
        SKIP("no Python with safetensors");
    char *path = scratch_path("w.safetensors");
    char *command = mem_printf(
        PYTHON " -c 'import sys, safetensors.numpy as s\n"
               "t = s.load_file(sys.argv[1])\n"
               "assert sorted(t) == [\"b\", \"w\\\"1\\u00e9\"], sorted(t)\n"
               "assert t[\"b\"].tobytes() == b\"hello\"\n"
               "assert t[\"w\\\"1\\u00e9\"].tolist()[0] == [1.0, -2.0, 3.5]' %s", path);
    CHECK_INT(system(command), 0);
    free(command);
    free(path);
}

int main(void) {
    RUN(reads);
    RUN(refuses);
    RUN(truncated);
    RUN(folders);
    RUN(no_file);
    RUN(writes);
    RUN(writes_nothing);
    RUN(write_fails);
    RUN(python);
    scratch_remove();
    return check_done();
}
