/* fuzz_imatrix.c - hostile importance matrices, of both forms
 *
 * How it is run, and as what else: fuzz.h. Numbers of a whole file are replaced by ones that hurt,
 * pieces go or come twice. Whatever comes, the reader gives entries in order, with names and sums
 * that are finite and not negative, which can be cut, added and written, or one line that names
 * the file.
 */
#include "tests/fuzz.h"

#include <math.h>
#include <sys/mman.h>

#include "lib/quant/imatrix.h"

enum { READ = 1, LEGACY = 2 };

/* ---- the target ------------------------------------------------------------------------- */

static void check_entries(const struct imatrix *m) {
    NEED(m->n > 0 && m->chunks >= 0 && m->chunk_tokens >= 0);
    for (int i = 0; i < m->n; i++) {
        const struct imatrix_entry *e = &m->entry[i];
        struct imatrix_stats s;
        NEED(*e->name && e->cols > 0 && e->mats > 0);
        NEED(i == 0 || strcmp(m->entry[i - 1].name, e->name) < 0);
        NEED(imatrix_find(m, e->name) == e);
        for (int64_t k = 0; k < e->cols * e->mats; k++)
            NEED(e->sum[k] >= 0 && isfinite(e->sum[k]));
        for (int64_t k = 0; k < e->mats; k++)
            NEED(e->count[k] >= 0);
        imatrix_stats(e, &s);
        NEED(s.unseen == e->mats || s.max >= s.min);
    }
}

/* Shapes that may fit, and none that do. */
static void use(struct imatrix *m) {
    imatrix_fit(m, "blk.0.ffn_up_exps.weight", 4, 2);
    imatrix_fit(m, "blk.0.ffn_up.1.weight", 4, 1);
    imatrix_fit(m, "blk.0.ffn_down_exps.weight", 2, 3);
    imatrix_fit(m, m->entry[0].name, 1, m->entry[0].cols < 1000 ? m->entry[0].cols : 1);
    check_entries(m);
    struct imatrix *sum = imatrix_new();
    sum->chunk_tokens = 512;
    if (!imatrix_merge(sum, m, NULL) && !imatrix_merge(sum, m, NULL)) {
        check_entries(sum);
        NEED(!imatrix_write(sum, "/dev/null", 0, NULL));
        imatrix_write(sum, "/dev/null", 1, NULL);
    }
    imatrix_free(sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    int fd = memfd_create("imatrix", 0);
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct imatrix *m = imatrix_read(path, &fuzz_last);
    close(fd);
    if (m) {
        fuzz_outcome = READ | (m->chunk_tokens ? 0 : LEGACY);
        check_entries(m);
        use(m);
        imatrix_free(m);
    } else {
        NEED(!strncmp(fuzz_last.text, path, strlen(path)) && !strchr(fuzz_last.text, '\n'));
    }
    return 0;
}

#ifndef LIBFUZZER

/* ---- files to start from ---------------------------------------------------------------- */

enum { STARTS = 3 };
static struct buf start[STARTS];

static void put(struct imatrix *m, const char *name, int64_t cols, int64_t mats) {
    struct imatrix_entry *e = imatrix_entry(m, name, cols, mats);
    for (int64_t i = 0; i < cols * mats; i++)
        e->sum[i] = (float)i / 3;
    for (int64_t i = 0; i < mats; i++)
        e->count[i] = 100 * i;
}

/* A few entries; one start has sensitivities, one is legacy. */
static void build_start(int i) {
    struct imatrix *m = imatrix_new();
    char *path = scratch_path("start");
    m->chunks = 3;
    m->chunk_tokens = 512;
    put(m, "blk.0.ffn_up_exps.weight", 4, 3);
    put(m, "blk.0.ffn_up.1.weight", 4, 2);
    put(m, "output.weight", 2, 2);
    imatrix_add_dataset(m, "calib.txt");
    if (i == 1) {
        m->n_sensitivity = 1;
        m->sensitive = mem_array(1, sizeof *m->sensitive);
        m->sensitive[0] = mem_strdup("output.weight");
        m->sensitivity = mem_array(1, sizeof *m->sensitivity);
    }
    if (imatrix_write(m, path, i == 2, NULL))
        abort();
    start[i] = scratch_read(path);
    imatrix_free(m);
    free(path);
}

static struct buf start_bytes(int i) {
    return start[i];
}

static size_t cut_at(int i, size_t k) {
    return k < start[i].len ? k : SIZE_MAX;
}

/* ---- mutation --------------------------------------------------------------------------- */

/* A number of four or eight bytes that is likely to hurt, at a place where one may stand. */
static void lie(struct buf *b) {
    static const uint64_t edges[] = {
        0, 1, 2, 3, 4, 7, 8, 255, 256, INT32_MAX, 1ull << 31, UINT32_MAX, 1ull << 32, INT64_MAX,
        1ull << 63, UINT64_MAX, 1ull << 61, 0x7f800000, 0x7fc00000, 0xff800000, 0x3f800000};
    size_t size = fuzz_below(2) ? 8 : 4;
    uint64_t v = 0;
    if (b->len < size)
        return;
    size_t at = fuzz_below(b->len - size + 1);
    at -= fuzz_below(4) ? at % 4 : 0;
    memcpy(&v, b->data + at, size);
    switch (fuzz_below(4)) {
    case 0: v += fuzz_below(9) - 4; break;
    case 1: v = b->len - fuzz_below(64); break;
    case 2: v ^= 1ull << fuzz_below(8 * size); break;
    default: v = edges[fuzz_below(sizeof edges / sizeof *edges)];
    }
    memcpy(b->data + at, &v, size);
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    buf_add(b, start[i].data, start[i].len);
    for (size_t n = 1 + fuzz_below(3); n && b->len; n--) {
        size_t at = fuzz_below(b->len);
        switch (fuzz_below(8)) {
        case 0: b->data[at] = (char)fuzz_next(); break;
        case 1: b->len = at; break;
        case 2: fuzz_drop(b, at, at + 1 + fuzz_below(40)); break;
        case 3: fuzz_copy(b, at, at + 1 + fuzz_below(80), fuzz_below(b->len)); break;
        default: lie(b);
        }
    }
}

int main(int argc, char **argv) {
    static const int expected[STARTS] = {READ, READ, READ | LEGACY};
    static const struct fuzz fuzz = {
        .name = "fuzz_imatrix", .suffix = ".imatrix", .outcome = {"read", "were legacy"},
        .starts = STARTS, .start = start_bytes, .expected = expected, .cut = cut_at,
        .make = make_input};
    for (int i = 0; i < STARTS; i++)
        build_start(i);
    int rc = fuzz_main(&fuzz, argc, argv);
    for (int i = 0; i < STARTS; i++)
        buf_free(&start[i]);
    scratch_remove();
    return rc;
}

#endif
