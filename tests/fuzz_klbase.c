/* fuzz_klbase.c - hostile files of base logits: opens them and reads every row
 *
 * How it is run, and as what else: fuzz.h. Whole files are put together with numbers in their heads
 * that are mostly right, and then some bytes are changed. Whatever comes, the reader ends with an
 * error that has words, or has handed out log-probabilities and no more of them than there are
 * bytes.
 */
#include "tests/fuzz.h"

#include <math.h>
#include <sys/mman.h>

#include "lib/base/mem.h"
#include "lib/quant/klbase.h"

enum { OPENED = 1, ROWS = 2, WHOLE = 4 };

/* ---- the target ------------------------------------------------------------------------- */

static void check_row(const struct fidelity_coded *row, int vocab) {
    float most = 0;
    NEED(isfinite(row->scale) && isfinite(row->least) && row->scale >= 0);
    for (int i = 0; i < vocab; i++) {
        float p = row->scale * (float)row->code[i] + row->least;
        most = p > most ? p : most;
    }
    NEED(most < 0.01f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    int fd = memfd_create("klbase", 0);
    int rc = -1;
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct klbase *k = klbase_open(path, &fuzz_last);
    if (k) {
        struct klbase_head h = klbase_head(k);
        struct fidelity_coded row[3];
        int64_t left = (int64_t)h.chunks * klbase_rows(&h);
        size_t tokens = (size_t)h.chunks * (size_t)h.tokens;
        fuzz_outcome = OPENED;
        NEED(klbase_rows(&h) >= 1 && tokens * 4 <= len);
        for (size_t i = 0; i < tokens; i++)
            NEED(klbase_tokens(k)[i] >= 0 && klbase_tokens(k)[i] < h.vocab);
        for (int n; left > 0; left -= n) {
            n = left < 3 ? (int)left : 3;
            rc = klbase_read(k, n, row, &fuzz_last);
            if (rc)
                break;
            for (int i = 0; i < n; i++)
                check_row(&row[i], h.vocab);
            fuzz_outcome |= ROWS;
        }
        fuzz_outcome |= rc == 0 ? WHOLE : 0;
    }
    klbase_close(k);
    close(fd);
    NEED(rc == 0 || *fuzz_last.text);
    return 0;
}

#ifndef LIBFUZZER

/* ---- files to start from ---------------------------------------------------------------- */

#define STARTS 3

static struct buf starts[STARTS];

static void add_number(struct buf *b, int32_t x) {
    buf_add(b, &x, sizeof x);
}

/* As many rows as the head says, at most 40. */
static void add_file(struct buf *b, int32_t tokens, int32_t vocab, int32_t chunks, int real) {
    struct klbase_head h = {.tokens = real, .vocab = vocab > 0 && vocab < 50 ? vocab : 5};
    int rows = (chunks > 0 && chunks < 10 ? chunks : 1) * klbase_rows(&h);
    buf_adds(b, "_logits_");
    add_number(b, tokens);
    add_number(b, vocab);
    add_number(b, chunks);
    for (int i = 0; i < real * (chunks > 0 && chunks < 10 ? chunks : 1); i++)
        add_number(b, (int32_t)fuzz_below((size_t)h.vocab));
    for (int r = 0; r < rows && r < 40; r++) {
        const float head[] = {16.0f / 65535, -16 - (float)fuzz_below(10)};
        buf_add(b, head, sizeof head);
        for (int i = 0; i < (h.vocab + 1) / 2 * 2; i++) {
            uint16_t code = (uint16_t)fuzz_next();
            buf_add(b, &code, sizeof code);
        }
    }
}

static void build_starts(void) {
    add_file(&starts[0], 4, 1, 1, 4);
    add_file(&starts[1], 9, 6, 2, 9);
    add_file(&starts[2], 16, 33, 3, 16);
}

static struct buf start(int i) {
    return starts[i];
}

static size_t cut_at(int i, size_t k) {
    return k < starts[i].len ? k : SIZE_MAX;
}

static int32_t odd(int32_t right) {
    static const int32_t values[] = {0, 1, -1, 3, INT32_MAX, INT32_MIN, 1 << 24, 65536, 1000};
    return fuzz_below(6) ? right : values[fuzz_below(sizeof values / sizeof *values)];
}

static void make_input(struct buf *b, int i) {
    int tokens = 4 + (int)fuzz_below(12);
    b->len = 0;
    if (fuzz_below(3))
        buf_add(b, starts[i].data, starts[i].len);
    else
        add_file(b, odd(tokens), odd(1 + (int)fuzz_below(40)), odd(1 + (int)fuzz_below(3)),
                 tokens);
    for (size_t n = fuzz_below(4); n > 0; n--)
        b->data[fuzz_below(b->len)] = (char)fuzz_next();
    if (fuzz_below(3) == 0) {
        size_t at = 8 + 4 * fuzz_below((b->len - 8) / 4);
        int32_t x = odd((int32_t)fuzz_next());
        memcpy(b->data + at, &x, sizeof x);
    }
    if (fuzz_below(4) == 0)
        b->len = fuzz_below(b->len + 1);
}

int main(int argc, char **argv) {
    enum { ALL = OPENED | ROWS | WHOLE };
    static const int expected[STARTS] = {ALL, ALL, ALL};
    static const struct fuzz fuzz = {
        .name = "fuzz_klbase", .suffix = ".kld",
        .outcome = {"opened", "had rows", "were read whole"},
        .starts = STARTS, .start = start, .expected = expected, .cut = cut_at,
        .make = make_input};
    fuzz_state = 1;
    build_starts();
    int rc = fuzz_main(&fuzz, argc, argv);
    for (int i = 0; i < STARTS; i++)
        buf_free(&starts[i]);
    return rc;
}

#endif
