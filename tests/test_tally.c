/* test_tally.c - lib/route/tally: a file counted at once, against token by token
 */
#include "tests/check.h"
#include "tests/scratch.h"
#include "tests/stretches.h"

#include "lib/format/npy.h"
#include "lib/route/tally.h"

/* Requests after each other, the tokens of each in one array, as vLLM has them. */
static char *write_arrays(const struct trail *t, int requests) {
    char *path = scratch_path("routed.npy");
    struct err e;
    struct zio *z = zio_open_write(path, &e);
    int each = t->n / requests;
    const int64_t shape[3] = {each, t->layers, t->k};
    size_t bytes = (size_t)each * (size_t)t->layers * (size_t)t->k * sizeof *t->expert;
    for (int r = 0; r < requests; r++) {
        CHECK_INT(npy_write_header(z, "'<i2'", shape, 3, &e), 0);
        CHECK_INT(zio_write(z, (const char *)t->expert + (size_t)r * bytes, bytes, &e), 0);
    }
    CHECK_INT(zio_close(z, &e), 0);
    return path;
}

static struct tally *count(const char *path, int threads) {
    struct err e = {{0}};
    struct routed *r = routed_open(path, &(struct routed_options){0}, &e);
    struct tally_options opt = {.recur = 1, .together = 1, .threads = threads};
    struct tally *t = r ? tally_read(r, &opt, &e) : NULL;
    if (!t)
        printf("# %s\n", e.text);
    routed_close(r);
    return t;
}

/* Token by token. */
static struct recur *count_slowly(const struct trail *t, int requests) {
    struct recur *r = recur_new(t->layers, t->experts);
    uint16_t same, of;
    int each = t->n / requests;
    for (int i = 0; i < t->n; i++) {
        struct stretch s = trail_piece(t, i, 1);
        uint32_t request = (uint32_t)(i / each);
        uint32_t position = (uint32_t)(i % each);
        uint32_t pass = (uint32_t)i + 1;
        uint8_t accepted = 1;
        s.request = &request;
        s.position = &position;
        s.pass = &pass;
        s.accepted = &accepted;
        recur_begin(r, &s);
        for (int l = 0; l < t->layers; l++)
            recur_add(r, &s, l, &same, &of);
    }
    return r;
}

static void as_one_by_one(void) {
    for (int threads = 1; threads <= 3; threads++) {
        state = 8;
        struct trail t = trail_make(9000, 5, 40, 4, 1);
        t.expert[(size_t)(t.n - 1) * 20] = 39;          /* the largest comes last */
        char *path = write_arrays(&t, 30);
        struct tally *got = count(path, threads);
        struct recur *want = count_slowly(&t, 30);
        double counted[40] = {0};
        CHECK_INT(got->tokens, 9000);
        CHECK_INT(got->experts, 40);
        CHECK_INT(balance_blocks_by_request(got->blocks), 1);
        for (int i = 0; i < t.n; i++)
            for (int j = 0; j < 4; j++)
                if (t.expert[(i * 5 + 2) * 4 + j] >= 0)
                    counted[t.expert[(i * 5 + 2) * 4 + j]]++;
        for (int e = 0; e < 40; e++)
            CHECK_NEAR(got->count[2 * 40 + e], counted[e], 0);
        for (int l = 0; l < 5; l++) {
            struct recur_result a, b;
            recur_result(got->recur, l, &a);
            recur_result(want, l, &b);
            CHECK_INT(a.reuses, b.reuses);
            CHECK(a.lag1 == b.lag1 && a.reuse_mean == b.reuse_mean);
        }
        tally_free(got);
        recur_free(want);
        free(path);
        trail_free(&t);
    }
}

/* A few bytes of input must not ask for all the memory there is. */
static void too_many(void) {
    enum { LAYERS = 200 };
    int16_t expert[LAYERS] = {32766};
    struct err e = {{0}};
    struct trail t = {.n = 1, .layers = LAYERS, .k = 1, .expert = expert};
    char *path = write_arrays(&t, 1);
    struct routed *r = routed_open(path, &(struct routed_options){0}, &e);
    CHECK(r && !tally_read(r, &(struct tally_options){.recur = 1}, &e));
    CHECK(strstr(e.text, "200 layers of 32767 experts"));
    routed_close(r);
    free(path);
}

int main(void) {
    RUN(as_one_by_one);
    RUN(too_many);
    scratch_remove();
    return check_done();
}
