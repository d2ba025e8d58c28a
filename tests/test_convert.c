/* test_convert.c - whole files: what is written, by how many threads, and what is refused
 *
 * The blocks themselves are the kernels' (test_quantize.c); here a row at a time from the same
 * kernel is what a file must hold.
 */
#include "lib/quant/convert.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "kernels/codes.h"
#include "tests/check.h"
#include "tests/quantize_simple.h"
#include "tests/scratch.h"

#define IQ2_XXS 16              /* a type that no kernel of ours reads: 256 elements in 66 bytes */

/* ---- models ----------------------------------------------------------------------------- */

struct part {
    const char *name;
    int type, dims;
    int64_t ne[4];
};

/* Rows longer and shorter than a step, matrices that no chunk fits, experts, a lone row. */
static const struct part parts[] = {
    {"token_embd.weight", KERN_F16, 2, {256, 3001, 1, 1}},
    {"output_norm.weight", KERN_F32, 1, {256, 1, 1, 1}},
    {"blk.0.ffn_up_exps.weight", KERN_F32, 3, {512, 33, 7, 1}},
    {"blk.0.wide.weight", KERN_BF16, 2, {65536, 9, 1, 1}},
    {"blk.0.row.weight", KERN_F16, 2, {32, 2, 1, 1}},
    {"blk.0.other.weight", IQ2_XXS, 2, {512, 900, 1, 1}},
};
enum { PARTS = sizeof parts / sizeof *parts };

static size_t part_bytes(const struct part *p) {
    size_t bytes;
    int64_t block = gguf_type_block(p->type, &bytes);
    return (size_t)(p->ne[0] / block * p->ne[1] * p->ne[2]) * bytes;
}

static void *part_data(const struct part *p, uint64_t seed) {
    int64_t n = p->ne[0] * p->ne[1] * p->ne[2];
    char *data = mem_alloc(part_bytes(p));
    for (int64_t i = 0; i < n; i++) {
        float x = random_normal(seed, (uint64_t)i);
        uint16_t half = p->type == KERN_F16 ? half_from_float(x) : bf16_from_float(x);
        if (p->type == KERN_F32)
            memcpy(data + i * 4, &x, 4);
        else if (p->type == KERN_F16 || p->type == KERN_BF16)
            memcpy(data + i * 2, &half, 2);
        else
            data[i % (int64_t)part_bytes(p)] = (char)i;
    }
    return data;
}

static void put_keys(struct gguf_writer *w) {
    static const struct gguf_string words[] = {{"a", 1}, {"", 0}, {"three", 5}};
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_int(w, "general.file_type", GGUF_U32, 1);
    gguf_put_int(w, "llama.block_count", GGUF_U32, 1);
    gguf_put_strs(w, "words", words, 3);
    gguf_put_ints(w, "ids", GGUF_I16, (int64_t[]){-1, 2}, 2);
    gguf_put_float(w, "last", 0.5f);
}

/* A model of these parts; part number `part` of `of` files where there are several. */
static char *write_model(const char *name, const struct part *p, int n, int part, int of) {
    struct gguf_writer *w = gguf_writer_new(3, 32);
    char *path = scratch_path(name);
    struct err e = {{0}};
    put_keys(w);
    if (of > 1) {
        gguf_put_int(w, "split.no", GGUF_U16, part);
        gguf_put_int(w, "split.count", GGUF_U16, of);
    }
    for (int i = 0; i < n; i++)
        gguf_put_tensor(w, p[i].name, p[i].type, p[i].dims, p[i].ne);
    CHECK_INT(gguf_writer_begin(w, path, &e), 0);
    for (int i = 0; i < n; i++) {
        void *data = part_data(&p[i], (uint64_t)i + 1);
        CHECK_INT(gguf_writer_data(w, data, part_bytes(&p[i]), &e), 0);
        free(data);
    }
    CHECK_INT(gguf_writer_finish(w, &e), 0);
    CHECK_STR(e.text, "");
    gguf_writer_free(w);
    return path;
}

/* ---- converting ------------------------------------------------------------------------- */

static const struct kern *kern;

/* What the parts become in most tests. */
static const int types[PARTS] = {KERN_Q4_K, KERN_F32, KERN_Q5_K, KERN_Q8_0, KERN_F32, IQ2_XXS};

static int run(struct convert c, const char *in, const char *out, int threads, struct err *err) {
    *err = (struct err){{0}};
    c.kern = kern;
    c.par = par_new(threads);
    c.source = source_open(in, err);
    int rc = c.source ? convert_run(&c, out, err) : -1;
    source_close(c.source);
    par_free(c.par);
    return rc;
}

static int same_bytes(const char *a, const char *b) {
    struct buf x = scratch_read(a), y = scratch_read(b);
    int same = x.data && y.data && x.len == y.len && !memcmp(x.data, y.data, x.len);
    buf_free(&x);
    buf_free(&y);
    return same;
}

/* Compares tensor i of the file with what the kernel makes of its rows one by one. */
static void check_tensor(const struct gguf *in, const struct gguf *out, int i,
                         const float *importance) {
    const struct gguf_tensor *from = gguf_find(in, "%s", parts[i].name);
    const struct gguf_tensor *to = gguf_find(out, "%s", parts[i].name);
    CHECK(from && to);
    if (!from || !to)
        return;
    CHECK_INT(to->type, types[i]);
    CHECK_INT(to->dims, parts[i].dims);
    if (to->type == from->type) {
        CHECK(to->bytes == from->bytes && !memcmp(to->data, from->data, to->bytes));
        return;
    }
    int64_t cols = to->ne[0], rows = to->ne[1] * to->ne[2];
    size_t row_bytes = kern_row_bytes(to->type, cols);
    float *x = mem_array((size_t)cols, sizeof *x);
    char *made = mem_alloc(row_bytes);
    int bad = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t mat = r / to->ne[1];
        kern_dequantize(from->type, (const char *)from->data + (size_t)r * from->bytes /
                        (size_t)rows, x, cols);
        kern->quantize(to->type, x, made, 1, cols, importance ? importance + mat * cols : NULL);
        bad += !!memcmp(made, (const char *)to->data + (size_t)r * row_bytes, row_bytes);
    }
    CHECK_INT(bad, 0);
    free(made);
    free(x);
}

static void check_file(const char *in_path, const char *out_path, const float *importance) {
    struct err e = {{0}};
    struct gguf *in = gguf_open(in_path, &e), *out = gguf_open(out_path, &e);
    CHECK_STR(e.text, "");
    for (int i = 0; in && out && i < PARTS; i++)
        check_tensor(in, out, i, strstr(parts[i].name, "exps") ? importance : NULL);
    gguf_close(in);
    gguf_close(out);
}

/* ---- what is written -------------------------------------------------------------------- */

static void threads_change_nothing(void) {
    char *in = write_model("in.gguf", parts, PARTS, 0, 1);
    char *one = scratch_path("one.gguf");
    struct err e;
    CHECK_INT(run((struct convert){.type = types, .file_type = 15}, in, one, 1, &e), 0);
    CHECK_STR(e.text, "");
    check_file(in, one, NULL);
    for (int threads = 2; threads < 8; threads += 2) {
        char *more = scratch_path("more.gguf");
        CHECK_INT(run((struct convert){.type = types, .file_type = 15}, in, more, threads, &e), 0);
        CHECK(same_bytes(one, more));
        free(more);
    }
    free(one);
    free(in);
}

static void metadata_is_kept(void) {
    char *in = write_model("in.gguf", parts, PARTS, 0, 1);
    char *out = scratch_path("out.gguf");
    struct err e;
    struct gguf_value v;
    CHECK_INT(run((struct convert){.type = types, .file_type = 15}, in, out, 2, &e), 0);
    struct gguf *g = gguf_open(out, &e);
    CHECK(g);
    if (!g)
        return;
    CHECK_INT(gguf_key_count(g), 7);
    CHECK_STR(gguf_str(g, "general.architecture", ""), "llama");
    CHECK_INT(gguf_int(g, "general.file_type", 0), 15);
    CHECK_INT(gguf_int(g, "general.quantization_version", 0), 2);
    CHECK_NEAR(gguf_float(g, "last", 0), 0.5, 0);
    CHECK_INT(gguf_value(g, "ids", &v), 0);
    CHECK(v.is_array && v.type == GGUF_I16 && v.n == 2 && gguf_array_int(&v, 0) == -1);
    struct gguf_string s[3];
    CHECK_INT(gguf_value(g, "words", &v), 0);
    gguf_array_strs(&v, s);
    CHECK(v.n == 3 && s[1].len == 0 && s[2].len == 5 && !memcmp(s[2].data, "three", 5));
    gguf_close(g);
    CHECK_INT(run((struct convert){.type = types, .file_type = -1}, in, out, 2, &e), 0);
    g = gguf_open(out, &e);
    CHECK_INT(gguf_int(g, "general.file_type", 0), 1);
    gguf_close(g);
    free(in);
    free(out);
}

static void importance_is_each_experts_own(void) {
    float sum[7 * 512];
    int64_t count[7] = {4, 4, 0, 4, 4, 4, 4};       /* the third expert saw nothing */
    float importance[7 * 512];
    char name[] = "blk.0.ffn_up_exps.weight";
    struct imatrix_entry entry = {.name = name, .cols = 512, .mats = 7, .sum = sum,
                                  .count = count};
    struct imatrix m = {.entry = &entry, .n = 1};
    struct err e;
    for (int i = 0; i < 7 * 512; i++) {
        sum[i] = random_uniform(9, (uint64_t)i, 0, 8);
        importance[i] = i / 512 == 2 ? 1 : sum[i] / 4;
    }
    char *in = write_model("in.gguf", parts, PARTS, 0, 1);
    char *out = scratch_path("out.gguf"), *plain = scratch_path("plain.gguf");
    CHECK_INT(run((struct convert){.type = types, .imatrix = &m}, in, out, 3, &e), 0);
    CHECK_INT(run((struct convert){.type = types}, in, plain, 3, &e), 0);
    CHECK(!same_bytes(out, plain));
    check_file(in, out, importance);
    entry.mats = 6;
    CHECK_INT(run((struct convert){.type = types, .imatrix = &m}, in, out, 3, &e), -1);
    CHECK(strstr(e.text, "importance of \"blk.0.ffn_up_exps.weight\": 512 columns x 6"));
    free(in);
    free(out);
    free(plain);
}

static void split_files_become_one(void) {
    char *whole = write_model("whole.gguf", parts, PARTS, 0, 1);
    char *first = write_model("s-00001-of-00002.gguf", parts, 2, 0, 2);
    char *second = write_model("s-00002-of-00002.gguf", parts + 2, PARTS - 2, 1, 2);
    char *a = scratch_path("a.gguf"), *b = scratch_path("b.gguf");
    int keep[PARTS];
    struct err e;
    for (int i = 0; i < PARTS; i++)
        keep[i] = parts[i].type;
    CHECK_INT(run((struct convert){.type = keep, .file_type = -1}, first, a, 2, &e), 0);
    CHECK_STR(e.text, "");
    struct gguf *g = gguf_open(a, &e);
    CHECK(g && gguf_tensor_count(g) == PARTS);
    CHECK(g && gguf_int(g, "split.count", -1) == -1 && gguf_int(g, "split.no", -1) == -1);
    gguf_close(g);
    CHECK_INT(run((struct convert){.type = keep, .file_type = -1}, first, second, 2, &e), -1);
    CHECK(strstr(e.text, "s-00002-of-00002.gguf: this is what is to be converted"));
    free(whole);
    free(first);
    free(second);
    free(a);
    free(b);
}

static int replace_norm(void *arg, uint64_t i, const void **data, struct err *err) {
    (void)err;
    *data = i == 1 ? arg : NULL;
    return 0;
}

static void count_bytes(void *arg, int64_t done, int64_t total) {
    int64_t *last = arg;
    CHECK(done > last[0] && done <= total);
    last[0] = done;
    last[1] = total;
}

static void tensors_are_replaced_and_counted(void) {
    float norm[256];
    int64_t last[2] = {0};
    uint64_t order[PARTS];
    struct err e;
    for (int i = 0; i < 256; i++)
        norm[i] = (float)i;
    for (int i = 0; i < PARTS; i++)
        order[i] = (uint64_t)(PARTS - 1 - i);
    char *in = write_model("in.gguf", parts, PARTS, 0, 1);
    char *out = scratch_path("out.gguf");
    CHECK_INT(run((struct convert){.type = types, .replace = replace_norm, .replace_arg = norm,
                                   .order = order, .progress = count_bytes, .arg = last},
                  in, out, 3, &e), 0);
    struct gguf *g = gguf_open(out, &e);
    const struct gguf_tensor *t = g ? gguf_tensor(g, PARTS - 2) : NULL;
    CHECK(t && !memcmp(t->data, norm, sizeof norm));
    CHECK(t && !memcmp(t->name.data, "output_norm", 11));
    CHECK(last[0] > last[1] - 32 * PARTS);
    gguf_close(g);
    free(in);
    free(out);
}

static void an_empty_model_is_one(void) {
    char *in = write_model("none.gguf", parts, 0, 0, 1), *out = scratch_path("none-out.gguf");
    struct err e;
    CHECK_INT(run((struct convert){.file_type = -1}, in, out, 2, &e), 0);
    struct gguf *g = gguf_open(out, &e);
    CHECK(g && gguf_tensor_count(g) == 0);
    gguf_close(g);
    free(in);
    free(out);
}

/* ---- what is refused -------------------------------------------------------------------- */

/* A file of one tensor, data[rows][256]. */
static char *write_floats(const char *name, const float *data, int64_t rows) {
    const int64_t ne[] = {256, rows};
    struct gguf_writer *w = gguf_writer_new(3, 32);
    char *path = scratch_path(name);
    gguf_put_tensor(w, "a.weight", KERN_F32, 2, ne);
    CHECK_INT(gguf_writer_begin(w, path, NULL), 0);
    CHECK_INT(gguf_writer_data(w, data, 256 * (size_t)rows * sizeof *data, NULL), 0);
    CHECK_INT(gguf_writer_finish(w, NULL), 0);
    gguf_writer_free(w);
    return path;
}

/* x in row 5, column 3 of zeros. */
static void try_value(float x, int type, const char *words) {
    static float data[40 * 256];
    data[5 * 256 + 3] = x;
    char *in = write_floats("value.gguf", data, 40), *out = scratch_path("value-out.gguf");
    struct err e;
    unlink(out);
    CHECK_INT(run((struct convert){.type = &type}, in, out, 2, &e), words ? -1 : 0);
    if (words ? !strstr(e.text, words) : *e.text)
        CHECK_STR(e.text, words ? words : "");
    CHECK_INT(access(out, F_OK), words ? -1 : 0);
    free(in);
    free(out);
}

static void numbers_without_a_place_are_refused(void) {
    try_value(NAN, KERN_Q4_K, "tensor \"a.weight\": row 5, column 3: nan has no place in Q4_K");
    try_value(-INFINITY, KERN_Q8_0, "row 5, column 3: -inf has no place in Q8_0");
    try_value(70000, KERN_F16, "row 5, column 3: 70000 is beyond F16");
    try_value(-65504, KERN_F16, NULL);
    try_value(65519, KERN_F16, NULL);           /* rounds down */
    try_value(65520, KERN_F16, "65520 is beyond F16");
    try_value(1e9f, KERN_Q8_0, "row 5, column 3: 1e+09 is beyond Q8_0");
    try_value(1e6f, KERN_Q8_0, NULL);           /* the scale, 1e6 / 127, is a half */
    try_value(3.4e38f, KERN_BF16, "row 5, column 3: 3.4e+38 is beyond BF16");
    try_value(INFINITY, KERN_F16, NULL);        /* floats hold what floats held */
    try_value(NAN, KERN_BF16, NULL);
    try_value(NAN, KERN_F32, NULL);
}

static void the_first_fault_is_told(void) {
    enum { ROWS = 4000 };
    float *data = mem_array(256 * ROWS, sizeof *data);
    struct err e;
    for (int i = 100; i < ROWS; i++)
        data[i * 256] = NAN;
    char *in = write_floats("faults.gguf", data, ROWS), *out = scratch_path("faults-out.gguf");
    for (int i = 0; i < 10; i++) {
        CHECK_INT(run((struct convert){.type = (int[]){KERN_Q8_0}}, in, out, 4, &e), -1);
        CHECK(strstr(e.text, "row 100, column 0"));
    }
    free(data);
    free(in);
    free(out);
}

static void a_file_is_not_converted_onto_itself(void) {
    char *in = write_model("self.gguf", parts, PARTS, 0, 1);
    char *hard = scratch_path("hard.gguf"), *soft = scratch_path("soft.gguf");
    struct buf before = scratch_read(in);
    const char *const names[] = {in, hard, soft};
    struct err e;
    CHECK(!link(in, hard) && !symlink("hard.gguf", soft));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(run((struct convert){.type = types}, in, names[i], 2, &e), -1);
        CHECK(strstr(e.text, "this is what is to be converted"));
    }
    struct buf after = scratch_read(in);
    CHECK(before.len == after.len && !memcmp(before.data, after.data, after.len));
    buf_free(&before);
    buf_free(&after);
    free(in);
    free(hard);
    free(soft);
}

static void types_that_do_not_fit_are_refused(void) {
    static const struct {
        int part, type;
        const char *words;
    } bad[] = {
        {4, KERN_Q4_K, "\"blk.0.row.weight\": rows of 32 elements: type Q4_K has blocks of 256"},
        {0, IQ2_XXS, "\"token_embd.weight\": type 16 cannot be made"},
        {5, KERN_F16, "\"blk.0.other.weight\": type IQ2_XXS cannot be read, only copied"},
    };
    char *in = write_model("in.gguf", parts, PARTS, 0, 1), *out = scratch_path("bad.gguf");
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int type[PARTS];
        memcpy(type, types, sizeof type);
        type[bad[i].part] = bad[i].type;
        CHECK_INT(run((struct convert){.type = type}, in, out, 2, &e), -1);
        if (!strstr(e.text, bad[i].words))
            CHECK_STR(e.text, bad[i].words);
        CHECK(access(out, F_OK));
    }
    free(in);
    free(out);
}

static void a_full_disk_is_one_line(void) {
    char *in = write_model("in.gguf", parts, PARTS, 0, 1);
    struct err e;
    for (int threads = 1; threads < 5; threads++) {
        CHECK_INT(run((struct convert){.type = types}, in, "/dev/full", threads, &e), -1);
        CHECK_STR(e.text, "/dev/full: No space left on device");
    }
    free(in);
}

static void kill_halfway(void *arg, int64_t done, int64_t total) {
    (void)arg;
    if (done > total / 2)
        kill(getpid(), SIGKILL);
}

/* Files in the scratch folder whose names begin with this. */
static int count_files(const char *prefix) {
    DIR *d = opendir(scratch_dir);
    int n = 0;
    for (struct dirent *entry; d && (entry = readdir(d));)
        n += !strncmp(entry->d_name, prefix, strlen(prefix));
    if (d)
        closedir(d);
    return n;
}

static void kill_9_leaves_what_was_there(void) {
    char *in = write_model("in.gguf", parts, PARTS, 0, 1), *out = scratch_path("killed.gguf");
    struct err e;
    int status = 0;
    scratch_write(out, "old", 3);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        run((struct convert){.type = types, .progress = kill_halfway}, in, out, 2, &e);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct buf b = scratch_read(out);
    CHECK(b.len == 3 && !memcmp(b.data, "old", 3));
    CHECK_INT(count_files("killed.gguf."), 1);  /* the unfinished one, out of the way */
    CHECK_INT(run((struct convert){.type = types}, in, out, 2, &e), 0);
    check_file(in, out, NULL);
    buf_free(&b);
    free(in);
    free(out);
}

/* ---- memory ----------------------------------------------------------------------------- */

/* A matrix of `rows` rows of zeros, of which the disk holds nothing. */
static char *write_hollow(int64_t rows) {
    const int64_t ne[] = {1024, rows};
    static const char zeros[2048];
    struct gguf_writer *w = gguf_writer_new(3, 32);
    char *path = scratch_path("hollow.gguf");
    gguf_put_tensor(w, "a.weight", KERN_F16, 1, ne);
    gguf_writer_begin(w, path, NULL);
    gguf_writer_data(w, zeros, sizeof zeros, NULL);
    gguf_writer_finish(w, NULL);
    gguf_writer_free(w);
    /* One row was written; the header is made to say how many there are. */
    struct buf b = scratch_read(path);
    char *dims = memmem(b.data, b.len, "a.weight", 8);
    size_t at = (size_t)(dims - b.data) + 8;
    struct buf longer = {0};
    buf_add(&longer, b.data, at);
    buf_add(&longer, &(uint32_t){2}, 4);
    buf_add(&longer, ne, sizeof ne);
    buf_add(&longer, &(uint32_t){KERN_F16}, 4);
    buf_add(&longer, &(uint64_t){0}, 8);
    scratch_write(path, longer.data, longer.len);
    CHECK_INT(truncate(path, (off_t)((longer.len + 31) / 32 * 32) + rows * 2048), 0);
    buf_free(&b);
    buf_free(&longer);
    return path;
}

/* 128 MiB, in a process of its own, whose memory is then asked for: a window of rows is a few. */
static void memory_is_a_window(void) {
#if defined(__SANITIZE_ADDRESS__)
    SKIP("the sanitizer keeps what is freed");
#endif
    char *in = write_hollow(64 << 10);
    struct rusage used;
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        struct err e;
        int rc = run((struct convert){.type = (int[]){KERN_Q4_K}}, in, "/dev/null", 4, &e);
        _exit(rc ? 1 : 0);
    }
    CHECK(child > 0 && wait4(child, &status, 0, &used) == child);
    CHECK_INT(status, 0);
    CHECK(used.ru_maxrss < 40 << 10);           /* KiB */
    free(in);
}

int main(void) {
    kern = kern_select(NULL, NULL);
    RUN(memory_is_a_window);    /* first: what this process has, a child has too */
    RUN(threads_change_nothing);
    RUN(metadata_is_kept);
    RUN(importance_is_each_experts_own);
    RUN(split_files_become_one);
    RUN(tensors_are_replaced_and_counted);
    RUN(an_empty_model_is_one);
    RUN(numbers_without_a_place_are_refused);
    RUN(the_first_fault_is_told);
    RUN(a_file_is_not_converted_onto_itself);
    RUN(types_that_do_not_fit_are_refused);
    RUN(a_full_disk_is_one_line);
    RUN(kill_9_leaves_what_was_there);
    scratch_remove();
    return check_done();
}
