/* test_tensor_error.c - differences of tensors against closed forms and plain sums */
#include "lib/quant/tensor_error.h"

#include "lib/base/mem.h"
#include "lib/format/gguf.h"
#include "tests/check.h"
#include "tests/random.h"
#include "tests/scratch.h"

static struct par *par;

/* A file of one tensor "x" of any type, from its bytes. */
static struct source *write_bytes(const char *name, int type, int64_t cols, int64_t rows,
                                  const void *data, size_t bytes) {
    struct err err = {{0}};
    char *path = scratch_path(name);
    const int64_t ne[2] = {cols, rows};
    struct gguf_writer *w = gguf_writer_new(3, 32);
    gguf_put_str(w, "general.architecture", "none");
    gguf_put_tensor(w, "x", type, 2, ne);
    if (gguf_writer_begin(w, path, &err) || gguf_writer_data(w, data, bytes, &err) ||
        gguf_writer_finish(w, &err))
        scratch_die(err.text);
    gguf_writer_free(w);
    struct source *s = source_open(path, &err);
    if (!s)
        scratch_die(err.text);
    free(path);
    return s;
}

static struct source *write_floats(const char *name, int64_t cols, int64_t rows, const float *x) {
    return write_bytes(name, 0, cols, rows, x, (size_t)(cols * rows) * sizeof *x);
}

static struct tensor_error compare(const float *x, const float *y, int64_t cols, int64_t rows,
                                   const struct imatrix_entry *w, struct par *team) {
    struct tensor_error e;
    struct err err = {{0}};
    struct source *a = write_floats("a.gguf", cols, rows, x);
    struct source *b = write_floats("b.gguf", cols, rows, y);
    CHECK_INT(tensor_error(a, 0, b, 0, w, team, &e, &err), 0);
    CHECK_STR(err.text, "");
    source_close(a);
    source_close(b);
    return e;
}

static void by_hand(void) {
    const float x[] = {3, 4, 0, 0, 1, -1};
    const float y[] = {3, 2, 0, 1, 1, -3};
    struct tensor_error e = compare(x, y, 3, 2, NULL, par);
    CHECK(e.n == 6 && e.broken == 0 && !e.same);
    CHECK_NEAR(e.error, 9, 0);
    CHECK_NEAR(e.square, 27, 0);
    CHECK_NEAR(e.most, 2, 0);
    CHECK_NEAR(tensor_error_rmse(&e), sqrt(1.5), 1e-15);
    CHECK_NEAR(tensor_error_relative(&e), sqrt(1.0 / 3), 1e-15);
    CHECK_NEAR(tensor_error_weighted(&e), sqrt(1.0 / 3), 1e-15);
    CHECK_NEAR(tensor_error_cosine(&e), 21 / sqrt(27.0 * 24), 1e-15);
    CHECK_NEAR(tensor_error_snr(&e), 10 * log10(3), 1e-12);
}

static void alike(void) {
    float x[700];
    for (int i = 0; i < 700; i++)
        x[i] = (float)below(100) - 50;
    struct tensor_error e = compare(x, x, 7, 100, NULL, par);
    CHECK(e.same && e.error == 0 && e.most == 0 && e.n == 700);
    CHECK(tensor_error_relative(&e) == 0 && tensor_error_cosine(&e) == 1);
    CHECK(isinf(tensor_error_snr(&e)));
    memset(x, 0, sizeof x);
    e = compare(x, x, 7, 100, NULL, par);
    CHECK(e.same && isnan(tensor_error_relative(&e)) && tensor_error_rmse(&e) == 0);
    CHECK(isnan(tensor_error_cosine(&e)) && isnan(tensor_error_snr(&e)));
}

/* Elements that are no numbers are counted, and stay out. */
static void not_finite(void) {
    for (int at = 0; at < 5; at++)
        for (int kind = 0; kind < 3; kind++) {
            float x[] = {1, 2, 3, 4, 5};
            float y[] = {1, 2, 3, 4, 6};
            (kind == 2 ? y : x)[at] = kind == 1 ? INFINITY : NAN;
            struct tensor_error e = compare(x, y, 5, 1, NULL, par);
            CHECK(e.n == 4 && e.broken == 1 && !e.same);
            CHECK_NEAR(e.error, at == 4 ? 0 : 1, 0);
        }
    const float huge[] = {3e38f, -3e38f};
    struct tensor_error e = compare(huge, huge, 2, 1, NULL, par);
    CHECK(e.n == 2 && e.broken == 0 && e.same && tensor_error_relative(&e) == 0);
}

/* Columns weigh by the mean squares of their expert; one that saw nothing by 1. */
static void weighted(void) {
    const float x[] = {1, 1, 1, 1, 1, 1, 1, 1};
    const float y[] = {2, 1, 1, 2, 2, 2, 1, 1};     /* two experts of two rows of two columns */
    float sum[] = {8, 2, 0, 0};
    int64_t count[] = {2, 0};
    struct imatrix_entry w = {.name = NULL, .cols = 2, .mats = 2, .sum = sum, .count = count};
    struct tensor_error e = compare(x, y, 2, 4, &w, par);
    CHECK_NEAR(e.weighted_error, 4 * 1 + 1 * 1 + 2, 1e-12);
    CHECK_NEAR(e.weighted_square, 2 * (4 + 1) + 4, 1e-12);
    CHECK_NEAR(e.error, 4, 0);
    w.cols = 4;                                     /* of another tensor: no weights */
    e = compare(x, y, 2, 4, &w, par);
    CHECK_NEAR(e.weighted_error, 4, 1e-12);
}

/* Large enough for many pieces; any number of threads gives the same bits. */
static void pieces(void) {
    enum { COLS = 333, ROWS = 1000 };
    float *x = mem_array(COLS * ROWS, sizeof *x);
    float *y = mem_array(COLS * ROWS, sizeof *y);
    struct par *many = par_new(7);
    double error = 0;
    for (int i = 0; i < COLS * ROWS; i++) {
        x[i] = (float)below(2000) / 1000 - 1;
        y[i] = x[i] + (float)below(100) / 1000;
        error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    }
    struct tensor_error e = compare(x, y, COLS, ROWS, NULL, par);
    struct tensor_error f = compare(x, y, COLS, ROWS, NULL, many);
    CHECK(!memcmp(&e, &f, sizeof e));
    CHECK_INT(e.n, COLS * ROWS);
    CHECK_NEAR(e.error / error, 1, 1e-12);
    par_free(many);
    free(x);
    free(y);
}

/* Types that no kernel reads: bytes alone are compared. Another shape is refused. */
static void refuses(void) {
    unsigned char bytes[66] = {0};      /* a block of IQ2_XXS, type 16 */
    float x[256] = {0};
    struct tensor_error e;
    struct err err = {{0}};
    struct source *a = write_bytes("a.gguf", 16, 256, 1, bytes, 66);
    struct source *b = write_bytes("b.gguf", 16, 256, 1, bytes, 66);
    bytes[3] = 1;
    struct source *c = write_bytes("c.gguf", 16, 256, 1, bytes, 66);
    struct source *d = write_floats("d.gguf", 256, 1, x);
    struct source *f = write_floats("f.gguf", 128, 2, x);
    CHECK(!tensor_error(a, 0, b, 0, NULL, par, &e, &err) && e.same && e.n == 0);
    CHECK_INT(tensor_error(a, 0, c, 0, NULL, par, &e, &err), -1);
    CHECK(strstr(err.text, "\"x\": no kernel reads IQ2_XXS") && !e.same);
    CHECK_INT(tensor_error(d, 0, a, 0, NULL, par, &e, &err), -1);
    CHECK_INT(tensor_error(d, 0, f, 0, NULL, par, &e, &err), -1);
    CHECK(strstr(err.text, "expected the shape"));
    source_close(a);
    source_close(b);
    source_close(c);
    source_close(d);
    source_close(f);
}

int main(void) {
    state = 1;
    par = par_new(2);
    RUN(by_hand);
    RUN(alike);
    RUN(not_finite);
    RUN(weighted);
    RUN(pieces);
    RUN(refuses);
    par_free(par);
    scratch_remove();
    return check_done();
}
