/* test_klbase.c - files of base logits: bytes as llama.cpp makes them, round trips, files that lie
 *
 * The hashes are those of rows that llama.cpp's own function coded (tests/reference/klbase.sh).
 */
#include "lib/quant/klbase.h"

#include "lib/base/sha256.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct par *par;

/* The rows of klbase.sh. */
static void make_row(float *x, int n, float spread) {
    uint32_t state = 1;
    for (int i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 16) / 65536 * spread - spread / 4;
    }
}

/* Writes chunks of these many tokens of a vocabulary; every row is `logits`, 3 times as many in a
 * call as in the one before. */
static char *write_file(const char *name, int chunks, int tokens, int vocab, const float *logits) {
    struct klbase_head h = {.tokens = tokens, .vocab = vocab, .chunks = chunks};
    struct err err = {{0}};
    char *path = scratch_path(name);
    int32_t *token = mem_array((size_t)(chunks * tokens), sizeof *token);
    float *rows = mem_array((size_t)(9 * vocab), sizeof *rows);
    for (int i = 0; i < chunks * tokens; i++)
        token[i] = i % vocab;
    for (int i = 0; i < 9 * vocab; i++)
        rows[i] = logits[i % vocab];
    struct klbase_writer *w = klbase_create(path, &h, token, &err);
    CHECK_STR(err.text, "");
    for (int left = chunks * klbase_rows(&h), n = 1; left > 0; left -= n, n = n < 9 ? 3 * n : n) {
        n = n < left ? n : left;
        CHECK_INT(klbase_write(w, par, rows, n, &err), 0);
    }
    CHECK_INT(klbase_finish(w, &err), 0);
    free(token);
    free(rows);
    return path;
}

static void row_bytes(void) {
    static const struct {
        float spread;
        int vocab;
        const char *hash;
    } rows[] = {
        {8, 1, "15ec7bf0b50732b49f8228e07d24365338f9e3ab994b00af08e5a3bffe55fd8b"},
        {8, 2, "72adbc4cefa44850a2180cf5ae702ea112bcf1ff5ca4ebce249cb61f1575684c"},
        {8, 31, "a29ac47d8103960d2473494118762af47ff3d0966dd2048c629866451fe53f36"},
        {8, 1000, "696e9a6d825f8d94e74f27af0b9cc71916d03457bb85e4b5841d5bb4a05e48c1"},
        {8, 4097, "21b165cdc997b19e9f1dae1178007a12b644c3fd42f42da1eb31352dc7723970"},
        {0, 1, "15ec7bf0b50732b49f8228e07d24365338f9e3ab994b00af08e5a3bffe55fd8b"},
        {0, 2, "b2fe793736be33537096acf56062f930b021ff590319fd531bed3cf254e2ffd5"},
        {0, 31, "f2e4317fda16cd7a95adf341057221a6a9dc3f05ebf7a4b0a5fc84ee82590fdd"},
        {0, 1000, "c32eeaf6301d5e1886cb83984bd31348aed0c4f194c1c50b60c79f5fd64affe4"},
        {0, 4097, "2a598d9bf6cec42f40ce13fdff707d9f956b7fc4f8334393b347aec497584ff9"},
        {40, 1, "15ec7bf0b50732b49f8228e07d24365338f9e3ab994b00af08e5a3bffe55fd8b"},
        {40, 2, "245904e9e0ee9b29195cf8f54916e77110cce7e65db3889614549c8d7147ec10"},
        {40, 31, "2ed8c44f457163c2e98b5a4a443c64ca8dad42bda0230afb7ca741dca0202623"},
        {40, 1000, "c2ca48ebecd35f76dceb9b6916d4f1e91a2679db213d4d9432501600f44c3315"},
        {40, 4097, "81ecee014143214ad071ecd7a4d69b78d90453189bb3d1792fcca2e2806c064f"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int n = rows[i].vocab;
        float *x = mem_array((size_t)n, sizeof *x);
        make_row(x, n, rows[i].spread);
        char *path = write_file("row.kld", 1, 4, n, x);
        struct buf b = scratch_read(path);
        size_t head = 8 + 12 + 4 * 4;       /* 4 tokens have one prediction: position 2 */
        size_t bytes = 8 + ((size_t)n + 1) / 2 * 4;
        CHECK_INT(b.len, head + bytes);
        struct sha256 s;
        char hex[SHA256_HEX];
        sha256_init(&s);
        sha256_add(&s, b.data + head, bytes);
        sha256_hex(&s, hex);
        CHECK_STR(hex, rows[i].hash);
        buf_free(&b);
        free(path);
        free(x);
    }
}

/* What was written comes back, plain and compressed, an even and an odd vocabulary. */
static void round_trip(void) {
    static const char *const names[] = {"a.kld", "a.kld.zst"};
    for (int vocab = 76; vocab < 78; vocab++)
        for (int i = 0; i < 2; i++) {
            struct fidelity_coded row[5];
            struct err err = {{0}};
            float x[80];
            make_row(x, vocab, 8);
            char *path = write_file(names[i], 3, 12, vocab, x);
            struct klbase *k = klbase_open(path, &err);
            CHECK_STR(err.text, "");
            struct klbase_head h = klbase_head(k);
            CHECK(h.tokens == 12 && h.chunks == 3 && h.vocab == vocab && klbase_rows(&h) == 5);
            for (int t = 0; t < 36; t++)
                CHECK_INT(klbase_tokens(k)[t], t % vocab);
            double sum = 0;
            for (int v = 0; v < vocab; v++)
                sum += exp((double)x[v]);
            for (int c = 0; c < 3; c++) {
                CHECK_INT(klbase_read(k, 5, row, &err), 0);
                for (int r = 0; r < 5; r++)
                    for (int v = 0; v < vocab; v++) {
                        double p = (double)row[r].scale * row[r].code[v] + (double)row[r].least;
                        CHECK_NEAR(p, (double)x[v] - log(sum), 1e-4);
                    }
            }
            CHECK_INT(klbase_read(k, 1, row, &err), -1);
            CHECK(strstr(err.text, "row 15: expected"));
            klbase_close(k);
            free(path);
        }
}

/* ---- files that lie -------------------------------------------------------------------------- */

static void refuses(const void *data, size_t len, const char *words) {
    struct err err = {{0}};
    char *path = scratch_path("bad.kld");
    scratch_write(path, data, len);
    struct klbase *k = klbase_open(path, &err);
    struct fidelity_coded row[3];
    while (k && !klbase_read(k, 1, row, &err))
        ;
    if (!strstr(err.text, words))
        printf("# found: %s\n", err.text);
    CHECK(strstr(err.text, words));
    CHECK(strstr(err.text, "bad.kld"));
    klbase_close(k);
    free(path);
}

static void with_number(const struct buf *good, size_t at, int32_t x, const char *words) {
    struct buf b = {0};
    buf_add(&b, good->data, good->len);
    memcpy(b.data + at, &x, sizeof x);
    refuses(b.data, b.len, words);
    buf_free(&b);
}

static void with_float(const struct buf *good, size_t at, float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    with_number(good, at, bits, "row 0: expected log-probabilities");
}

static void hostile(void) {
    float x[8];
    make_row(x, 8, 8);
    char *path = write_file("good.kld", 2, 8, 8, x);
    struct buf b = scratch_read(path);
    size_t rows = 20 + 16 * 4;
    refuses("", 0, "expected it to begin with \"_logits_\"");
    refuses("_logits", 7, "expected it to begin");
    refuses("GGUF----------------------", 24, "expected it to begin");
    for (size_t cut = 8; cut < b.len; cut += 3)
        refuses(b.data, cut, "the file ends after");
    with_number(&b, 8, 3, "chunks of 3 tokens");
    with_number(&b, 8, -1, "chunks of -1 tokens");
    with_number(&b, 12, 0, "a vocabulary of 0");
    with_number(&b, 12, INT32_MAX, "a vocabulary of");
    with_number(&b, 12, 1 << 24, "the file ends after");
    with_number(&b, 16, 0, "0 chunks");
    with_number(&b, 16, 1 << 24, "tokens: expected 536870912 bytes");
    with_number(&b, 20 + 4 * 5, 8, "token 5 is 8: the vocabulary has 0 to 7");
    with_number(&b, 20 + 4 * 5, -1, "token 5 is -1");
    with_float(&b, rows, NAN);
    with_float(&b, rows, -1e-9f);
    with_float(&b, rows, INFINITY);
    with_float(&b, rows + 4, NAN);
    with_float(&b, rows + 4, 1);
    with_float(&b, rows + 4, -INFINITY);
    buf_free(&b);
    free(path);
}

static void unfinished(void) {
    struct err err = {{0}};
    struct klbase_head h = {.tokens = 8, .vocab = 8, .chunks = 1};
    int32_t token[8] = {0};
    char *path = scratch_path("none.kld");
    struct klbase_writer *w = klbase_create(path, &h, token, &err);
    CHECK(w != NULL);
    klbase_abort(w);
    CHECK(!scratch_exists(path));
    CHECK(!klbase_create("/nowhere/none.kld", &h, token, &err));
    CHECK(strstr(err.text, "/nowhere/none.kld"));
    CHECK(!klbase_open(path, &err));
    free(path);
}

int main(void) {
    par = par_new(2);
    RUN(row_bytes);
    RUN(round_trip);
    RUN(hostile);
    RUN(unfinished);
    par_free(par);
    scratch_remove();
    return check_done();
}
