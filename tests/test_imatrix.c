/* test_imatrix.c - importance matrices: files of llama.cpp, sums, shapes, and bad files
 *
 * Files that llama-imatrix wrote (tests/reference/imatrix.py) are read to known numbers and
 * written again to the same bytes, as is their sum.
 */
#include "lib/quant/imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/format/gguf.h"
#include "tests/check.h"
#include "tests/scratch.h"

#define REFERENCE "tests/reference/imatrix"

static struct imatrix *read_ok(const char *path) {
    struct err err = {""};
    struct imatrix *m = imatrix_read(path, &err);
    if (!m)
        printf("# %s\n", err.text), check_bad++;
    return m;
}

static void same_file(const char *path, const char *want) {
    struct buf a = scratch_read(path);
    struct buf b = scratch_read(want);
    CHECK_INT(a.len, b.len);
    CHECK(a.len > 0 && a.len == b.len && !memcmp(a.data, b.data, a.len));
    buf_free(&a);
    buf_free(&b);
}

/* ---- files of llama.cpp ------------------------------------------------------------------- */

/* sum[i] = i^2 / 7 + 1, and 0 for expert 1. */
static void reads_gguf(void) {
    struct imatrix *m = read_ok(REFERENCE ".gguf");
    CHECK_INT(m->n, 3);
    CHECK_INT(m->chunk_tokens, 512);
    CHECK_INT(m->datasets, 1);
    CHECK_STR(m->dataset[0], "calib.txt");
    CHECK_STR(m->entry[0].name, "blk.0.attn_q.weight");
    CHECK_STR(m->entry[2].name, "blk.10.attn_q.weight");
    const struct imatrix_entry *e = imatrix_find(m, "blk.0.ffn_up_exps.weight");
    static const int64_t counts[4] = {700, 0, 5, 1000};
    float mean[6];
    CHECK(e && e->cols == 6 && e->mats == 4);
    CHECK(!memcmp(e->count, counts, sizeof counts));
    for (int i = 0; i < 24; i++)
        CHECK_NEAR(e->sum[i], i / 6 == 1 ? 0 : (float)(i * i) / 7 + 1, 1e-5);
    CHECK_INT(imatrix_mean(e, 1, mean), -1);
    CHECK_INT(imatrix_mean(e, 2, mean), 0);
    CHECK_NEAR(mean[5], (17.0 * 17 / 7 + 1) / 5, 1e-6);
    CHECK(!imatrix_find(m, "blk.0.ffn_up_exps.weigh") && !imatrix_find(m, ""));
    imatrix_free(m);
}

/* The same as means times calls; two calls for 1000 tokens in chunks of 512. */
static void reads_legacy(void) {
    struct imatrix *m = read_ok(REFERENCE ".dat");
    float mean[6];
    CHECK_INT(m->n, 3);
    CHECK_INT(m->chunk_tokens, 0);
    CHECK_STR(m->datasets ? m->dataset[0] : "", "calib.txt");
    imatrix_fit(m, "blk.0.ffn_up_exps.weight", 7, 4);
    CHECK_INT(imatrix_find(m, "blk.0.ffn_up_exps.weight")->cols, 24);
    imatrix_fit(m, "blk.0.ffn_up_exps.weight", 6, 4);
    const struct imatrix_entry *e = imatrix_find(m, "blk.0.ffn_up_exps.weight");
    CHECK(e->cols == 6 && e->mats == 4);
    CHECK_INT(e->count[0], 2);
    CHECK_INT(e->count[3], 2);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(imatrix_mean(e, 2, mean), 0);
        CHECK_NEAR(mean[i], ((float)((12 + i) * (12 + i)) / 7 + 1) / 5, 1e-5);
        CHECK_INT(imatrix_mean(e, 1, mean), 0);
        CHECK_NEAR(mean[i], 1, 0);
    }
    imatrix_free(m);
}

static void writes_the_same(void) {
    struct err err;
    char *path = scratch_path("out");
    struct imatrix *m = read_ok(REFERENCE ".gguf");
    struct imatrix *old = read_ok(REFERENCE ".dat");
    struct imatrix *sum = imatrix_new();
    CHECK_INT(imatrix_write(m, path, 0, &err), 0);
    same_file(path, REFERENCE ".gguf");
    CHECK_INT(imatrix_write(m, path, 1, &err), 0);
    same_file(path, REFERENCE ".dat");
    sum->chunk_tokens = 512;
    CHECK_INT(imatrix_merge(sum, old, &err), 0);
    CHECK_INT(imatrix_merge(sum, m, &err), 0);
    CHECK_INT(imatrix_write(sum, path, 0, &err), 0);
    same_file(path, REFERENCE "_sum.gguf");
    imatrix_free(sum);
    imatrix_free(old);
    imatrix_free(m);
    free(path);
}

/* ---- in memory ---------------------------------------------------------------------------- */

static void fill(struct imatrix *m, const char *name, int64_t cols, int64_t mats, float v) {
    struct imatrix_entry *e = imatrix_entry(m, name, cols, mats);
    for (int64_t i = 0; i < cols * mats; i++)
        e->sum[i] = v * (float)(i + 1);
    for (int64_t i = 0; i < mats; i++)
        e->count[i] = 10;
}

static void entries(void) {
    static const char *const names[] = {"m", "b", "z", "a", "n", "b"};
    struct imatrix *m = imatrix_new();
    for (int i = 0; i < 6; i++)
        imatrix_entry(m, names[i], 2, 1)->count[0]++;
    CHECK_INT(m->n, 5);
    for (int i = 1; i < m->n; i++)
        CHECK(strcmp(m->entry[i - 1].name, m->entry[i].name) < 0);
    CHECK_INT(imatrix_find(m, "b")->count[0], 2);
    CHECK_INT(imatrix_find(m, "z")->count[0], 1);
    CHECK_INT(imatrix_find(m, "z")->sum[1], 0);
    imatrix_free(m);
    imatrix_free(NULL);
}

/* Experts in tensors of their own from a stack, and a stack from them. */
static void fits(void) {
    struct imatrix *m = imatrix_new();
    fill(m, "blk.1.ffn_down_exps.weight", 3, 4, 1);
    imatrix_fit(m, "blk.1.ffn_down.2.weight", 3, 1);
    const struct imatrix_entry *e = imatrix_find(m, "blk.1.ffn_down.2.weight");
    CHECK(e && e->mats == 1);
    CHECK_NEAR(e->sum[0], 7, 0);
    imatrix_fit(m, "blk.1.ffn_down.4.weight", 3, 1);
    imatrix_fit(m, "blk.1.ffn_down.1.weight", 4, 1);
    imatrix_fit(m, "blk.1.ffn_down.weight", 3, 1);
    imatrix_fit(m, "blk.1.ffn_down.9999999999.weight", 3, 1);
    imatrix_fit(m, "blk.1.attn_q.2.weight", 3, 1);
    imatrix_fit(m, ".weight", 3, 1);
    imatrix_fit(m, "7.weight", 3, 1);
    imatrix_fit(m, "", 3, 1);
    CHECK_INT(m->n, 2);
    imatrix_free(m);

    m = imatrix_new();
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.1.ffn_down.%d.weight", i);
        fill(m, name, 3, 1, (float)(i + 1));
    }
    imatrix_fit(m, "blk.1.ffn_down_exps.weight", 3, 5);
    imatrix_fit(m, "blk.1.ffn_up_exps.weight", 3, 4);
    CHECK_INT(m->n, 4);
    imatrix_fit(m, "blk.1.ffn_down_exps.weight", 3, 4);
    e = imatrix_find(m, "blk.1.ffn_down_exps.weight");
    CHECK(e && e->mats == 4);
    for (int i = 0; i < 12; i++)
        CHECK_NEAR(e->sum[i], (i / 3 + 1) * (i % 3 + 1), 0);
    CHECK_INT(e->count[3], 10);
    imatrix_free(m);
}

static void merges(void) {
    struct err err = {""};
    struct imatrix *a = imatrix_new();
    struct imatrix *b = imatrix_new();
    struct imatrix *sum = imatrix_new();
    a->chunk_tokens = b->chunk_tokens = sum->chunk_tokens = 4;
    fill(a, "x", 2, 1, 1);
    fill(b, "x", 2, 1, 3);
    fill(b, "y", 2, 3, 5);
    imatrix_add_dataset(a, "one");
    imatrix_add_dataset(b, "two");
    b->n_sensitivity = 1;
    b->sensitive = mem_array(1, sizeof *b->sensitive);
    b->sensitive[0] = mem_strdup("y");
    b->sensitivity = mem_array(1, sizeof *b->sensitivity);
    b->sensitivity[0] = 0.25;
    CHECK_INT(imatrix_merge(sum, a, &err) || imatrix_merge(sum, b, &err), 0);
    CHECK_NEAR(imatrix_find(sum, "x")->sum[1], 8, 0);
    CHECK_INT(imatrix_find(sum, "x")->count[0], 20);
    CHECK_NEAR(imatrix_find(sum, "y")->sum[5], 30, 0);
    CHECK_INT(sum->chunks, 5);
    CHECK_INT(sum->datasets, 2);
    CHECK_INT(sum->n_sensitivity, 1);

    char *path = scratch_path("sum.gguf");
    CHECK_INT(imatrix_write(sum, path, 0, &err), 0);
    struct imatrix *again = read_ok(path);
    CHECK_STR(again->dataset[1], "two");
    CHECK_STR(again->sensitive[0], "y");
    CHECK_NEAR(again->sensitivity[0], 0.25, 0);
    imatrix_free(again);
    free(path);

    struct imatrix *other = imatrix_new();
    other->chunk_tokens = 4;
    fill(other, "x", 3, 1, 1);
    CHECK_INT(imatrix_merge(sum, other, &err), -1);
    CHECK(strstr(err.text, "\"x\": 3 columns x 1 matrices do not add to 2 x 1"));
    other->entry[0].cols = 2;
    other->entry[0].sum[0] = 3e38f;
    CHECK_INT(imatrix_merge(sum, other, &err), 0);
    CHECK_INT(imatrix_merge(sum, other, &err), -1);
    CHECK(strstr(err.text, "too large"));
    imatrix_free(other);
    imatrix_free(sum);
    imatrix_free(a);
    imatrix_free(b);
}

static void stats(void) {
    struct imatrix *m = imatrix_new();
    struct imatrix_stats s;
    struct imatrix_entry *e = imatrix_entry(m, "x", 4, 3);
    imatrix_stats(e, &s);
    CHECK_INT(s.unseen, 3);
    CHECK(isnan(s.min) && isnan(s.mean) && isnan(s.max) && isnan(s.skew) && isnan(s.zeros));
    static const float sums[12] = {0, 10, 20, 30, 0, 0, 0, 0, 2, 0, 4, 50};
    memcpy(e->sum, sums, sizeof sums);
    e->count[0] = 10;
    e->count[2] = 2;
    imatrix_stats(e, &s);
    CHECK_INT(s.tokens, 10);
    CHECK_INT(s.fewest, 0);
    CHECK_INT(s.unseen, 1);
    CHECK_NEAR(s.min, 0, 0);
    CHECK_NEAR(s.mean, (0 + 1 + 2 + 3 + 1 + 0 + 2 + 25) / 8.0, 1e-12);
    CHECK_NEAR(s.max, 25, 0);
    CHECK_NEAR(s.zeros, 0.25, 0);
    CHECK_NEAR(s.skew, 25 * 8.0 / 34, 1e-12);
    CHECK_INT(s.top_mat, 2);
    CHECK_INT(s.top_col, 3);
    imatrix_free(m);
}

/* ---- bad files ---------------------------------------------------------------------------- */

static void refused(const void *data, size_t len, const char *what) {
    struct err err = {""};
    char *path = scratch_path("bad");
    scratch_write(path, data, len);
    struct imatrix *m = imatrix_read(path, &err);
    CHECK(!m);
    if (!strstr(err.text, what) || strncmp(err.text, path, strlen(path)))
        printf("# \"%s\" does not mention \"%s\"\n", err.text, what), check_bad++;
    imatrix_free(m);
    free(path);
}

/* A legacy file is whole without what follows the entries, a GGUF file without the zeros at its
 * end; cut anywhere before, they are not. */
static void cut_files(void) {
    struct buf old = scratch_read(REFERENCE ".dat");
    struct buf new = scratch_read(REFERENCE ".gguf");
    size_t trailer = 4 + 4 + strlen("calib.txt");
    size_t padding = 32 - sizeof(float);
    for (size_t i = 0; i < old.len - trailer; i++)
        refused(old.data, i, "no importance matrix");
    for (size_t i = 4; i < new.len - padding; i++)
        refused(new.data, i, "");
    buf_free(&old);
    buf_free(&new);
}

static void bad_legacy(void) {
    struct buf b = scratch_read(REFERENCE ".dat");
    size_t values = 4 + 4 + strlen("blk.0.attn_q.weight") + 4 + 4;
    float keep;
    refused("text, not numbers", 17, "no importance matrix");
    refused("\0\0\0\0", 4, "neither GGUF nor a legacy file");
    memcpy(&keep, b.data + values, sizeof keep);
    memcpy(b.data + values, &(float){NAN}, sizeof keep);
    refused(b.data, b.len, "expected a sum of squares");
    memcpy(b.data + values, &(float){-1}, sizeof keep);
    refused(b.data, b.len, "\"blk.0.attn_q.weight\": column 0 has -1");
    memcpy(b.data + values, &keep, sizeof keep);
    memcpy(b.data + values - 4, &(int32_t){INT32_MAX}, 4);
    refused(b.data, b.len, "2147483647 values");
    memcpy(b.data + values - 4, &(int32_t){8}, 4);
    b.data[8 + 3] = '\0';
    refused(b.data, b.len, "NUL");
    buf_free(&b);
}

/* A file of one tensor "NAME" [cols, mats] of `type`, filled with v, with keys unless bare. */
static void refused_gguf(const char *name, const char *counts, int type, int64_t cols, float v,
                         float count, int bare, const char *what) {
    struct err err = {""};
    float sums[64];
    char *path = scratch_path("made.gguf");
    struct gguf_writer *w = gguf_writer_new(3, 32);
    for (int i = 0; i < 64; i++)
        sums[i] = v;
    if (!bare) {
        gguf_put_int(w, "imatrix.chunk_count", GGUF_U32, 1);
        gguf_put_int(w, "imatrix.chunk_size", GGUF_U32, 512);
    }
    gguf_put_tensor(w, name, type, 2, (int64_t[]){cols, 2});
    gguf_put_tensor(w, counts, 0, 2, (int64_t[]){1, 2});
    CHECK_INT(gguf_writer_begin(w, path, &err), 0);
    CHECK_INT(gguf_writer_data(w, sums, (size_t)cols * (type ? 2 : 4) * 2, &err), 0);
    CHECK_INT(gguf_writer_data(w, (float[]){count, count}, 8, &err), 0);
    CHECK_INT(gguf_writer_finish(w, &err), 0);
    gguf_writer_free(w);
    struct buf b = scratch_read(path);
    refused(b.data, b.len, what);
    buf_free(&b);
    free(path);
}

static void bad_gguf(void) {
    refused_gguf("a.in_sum2", "b.counts", 0, 4, 1, 1, 0, "\"a\" has sums but no counts");
    refused_gguf("a.in_sum2", "a.counts", 1, 4, 1, 1, 0, "expected F32, found F16 and F32");
    refused_gguf("a.in_sum2", "a.counts", 0, 4, INFINITY, 1, 0, "expected a sum of squares");
    refused_gguf("a.in_sum2", "a.counts", 0, 4, 1, NAN, 0, "a count of nan");
    refused_gguf("a.in_sum2", "a.counts", 0, 4, 1, 1e30f, 0, "a count of 1e+30");
    refused_gguf("a.in_sum2", "a.counts", 0, 4, 1, -1, 0, "a count of -1");
    refused_gguf("a.in_sum2", "a.counts", 0, 4, 1, 1, 1, "imatrix.chunk_size");
    refused_gguf(".in_sum2", ".counts", 0, 4, 1, 1, 0, "has no name");
    refused_gguf("a.weight", "b.weight", 0, 4, 1, 1, 0, "no importance matrix");
}

int main(void) {
    RUN(reads_gguf);
    RUN(reads_legacy);
    RUN(writes_the_same);
    RUN(entries);
    RUN(fits);
    RUN(merges);
    RUN(stats);
    RUN(cut_files);
    RUN(bad_legacy);
    RUN(bad_gguf);
    scratch_remove();
    return check_done();
}
