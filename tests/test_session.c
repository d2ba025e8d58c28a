/* test_session.c - the forward pass keeps its promises
 *
 * On the embedded model: a row's logits do not depend on how the work is cut into passes, on
 * other sequences in the pass, on pruning, on the sink, on threads; sequences can be cut back;
 * bad rows are refused; what a pass says it did is right.
 */
#include "lib/infer/session.h"
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/tiny_model.h"

#define MODEL "examples/models/tiny-moe-f16.gguf"
#define N 150
#define VOCAB 4096

static struct model *model;
static const struct kern *kern;
static int32_t token[N];
static float expect[VOCAB];     /* logits after all N tokens, one row a pass, one thread */

static struct session *open_session(struct par *par, int sequences, int batch, int routes,
                                    int hidden) {
    struct err err;
    struct session_options opt = {.context = 512, .sequences = sequences, .batch = batch,
                                  .kv_type = KERN_F16, .routes = routes, .hidden = hidden};
    struct session *s = session_new(model, kern, par, &opt, &err);
    if (!s)
        printf("# %s\n", err.text);
    return s;
}

/* Feeds token[from..to) to sequence seq in passes of `step` rows; logits of the last row. */
static const float *feed(struct session *s, int seq, int from, int to, int step,
                         struct session_pass *pass) {
    struct session_row rows[N];
    struct err err;
    const float *logits = NULL;
    for (int at = from; at < to; at += step) {
        int n = to - at < step ? to - at : step;
        for (int i = 0; i < n; i++)
            rows[i] = (struct session_row){seq, at + i, token[at + i], at + i == to - 1};
        *pass = (struct session_pass){0};
        if (session_pass(s, rows, n, pass, &err)) {
            printf("# %s\n", err.text);
            return NULL;
        }
        logits = pass->logits;
    }
    return logits;
}

static void splits(void) {
    static const int steps[] = {1, 2, 7, 64, 100, N};
    for (int threads = 1; threads <= 3; threads++) {
        struct par *par = par_new(threads);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            struct session *s = open_session(par, 1, 512, 0, 0);
            struct session_pass pass;
            const float *got = feed(s, 0, 0, N, steps[i], &pass);
            CHECK(got && !memcmp(got, expect, sizeof expect));
            session_free(s);
        }
        par_free(par);
    }
}

/* Two sequences share passes; the second starts later and is shorter. */
static void sequences(void) {
    struct par *par = par_new(2);
    struct session *s = open_session(par, 3, 64, 0, 0);
    struct session_pass pass = {0};
    struct err err;
    feed(s, 2, 0, N - 10, 30, &pass);
    feed(s, 0, 0, 40, 13, &pass);
    struct session_row rows[20];
    for (int i = 0; i < 10; i++) {
        rows[2 * i] = (struct session_row){0, 40 + i, token[40 + i], 1};
        rows[2 * i + 1] = (struct session_row){2, N - 10 + i, token[N - 10 + i], i == 9};
    }
    pass = (struct session_pass){0};
    CHECK_INT(session_pass(s, rows, 20, &pass, &err), 0);
    CHECK_INT(pass.wanted, 11);
    CHECK(!memcmp(pass.logits + 10 * VOCAB, expect, sizeof expect));
    CHECK_INT(session_length(s, 0), 50);
    CHECK_INT(session_length(s, 1), 0);
    CHECK_INT(session_length(s, 2), N);
    session_free(s);
    par_free(par);
}

/* Keeping routes or hidden states runs every row to the end, and changes no logit. */
static void pruning(void) {
    struct par *par = par_new(2);
    for (int mode = 1; mode < 4; mode++) {
        struct session *s = open_session(par, 1, 512, mode & 1, mode & 2);
        struct session_pass pass;
        const float *got = feed(s, 0, 0, N, N, &pass);
        CHECK(got && !memcmp(got, expect, sizeof expect));
        CHECK(!!pass.expert == !!(mode & 1));
        CHECK(!!pass.hidden == !!(mode & 2));
        for (int i = 0; pass.expert && i < N * 6; i++) {
            float sum = pass.weight[2 * i] + pass.weight[2 * i + 1];
            CHECK(pass.expert[2 * i] != pass.expert[2 * i + 1]);
            CHECK(pass.weight[2 * i] >= pass.weight[2 * i + 1]);
            CHECK_NEAR(sum, 1, 1e-5);
        }
        session_free(s);
    }
    par_free(par);
}

struct taken {
    float *logits;
    int rows;
};

static void take(void *arg, const float *logits, int first, int n) {
    struct taken *t = arg;
    CHECK_INT(first, t->rows);
    memcpy(t->logits + (size_t)first * VOCAB, logits, (size_t)n * VOCAB * sizeof *logits);
    t->rows += n;
}

/* A sink gets the same rows as the whole array. */
static void sink(void) {
    struct par *par = par_new(2);
    struct session *s = open_session(par, 2, 512, 0, 0);
    struct session_row rows[N];
    struct err err;
    for (int i = 0; i < N; i++)
        rows[i] = (struct session_row){0, i, token[i], 1};
    struct session_pass all = {0};
    CHECK_INT(session_pass(s, rows, N, &all, &err), 0);
    CHECK_INT(all.wanted, N);
    size_t bytes = sizeof(float) * N * VOCAB;
    float *copy = malloc(bytes);
    memcpy(copy, all.logits, bytes);
    struct taken t = {.logits = malloc(bytes)};
    for (int i = 0; i < N; i++)
        rows[i].seq = 1;
    struct session_pass pass = {.sink = take, .sink_arg = &t};
    CHECK_INT(session_pass(s, rows, N, &pass, &err), 0);
    CHECK_INT(t.rows, N);
    CHECK(!pass.logits);
    CHECK(!memcmp(copy, t.logits, bytes));
    free(copy);
    free(t.logits);
    session_free(s);
    par_free(par);
}

static void truncation(void) {
    struct par *par = par_new(2);
    struct session *s = open_session(par, 1, 64, 0, 0);
    struct session_pass pass;
    feed(s, 0, 0, N, 64, &pass);
    CHECK_INT(session_truncate(s, 0, N + 1), -1);
    CHECK_INT(session_truncate(s, 0, -1), -1);
    CHECK_INT(session_truncate(s, 0, 77), 0);
    const float *got = feed(s, 0, 77, N, 11, &pass);
    CHECK(got && !memcmp(got, expect, sizeof expect));
    session_free(s);
    par_free(par);
}

static void refused(const struct session_row *rows, int n, const char *what) {
    struct par *par = par_new(1);
    struct session *s = open_session(par, 2, 8, 0, 0);
    struct session_pass pass = {0};
    struct err err = {""};
    CHECK_INT(session_pass(s, rows, n, &pass, &err), -1);
    if (!strstr(err.text, what))
        printf("# \"%s\" does not mention \"%s\"\n", err.text, what), check_bad++;
    CHECK_INT(session_length(s, 0), 0);
    session_free(s);
    par_free(par);
}

static void bad_rows(void) {
    refused((struct session_row[]){{0, 1, 5, 0}}, 1, "position");
    refused((struct session_row[]){{0, 0, 5, 0}, {0, 2, 5, 0}}, 2, "position");
    refused((struct session_row[]){{0, 0, VOCAB, 0}}, 1, "vocabulary");
    refused((struct session_row[]){{0, 0, -1, 0}}, 1, "vocabulary");
    refused((struct session_row[]){{2, 0, 1, 0}}, 1, "sequence");
    refused((struct session_row[]){{0, 512, 1, 0}}, 1, "context");
    refused((struct session_row[9]){{0}}, 9, "rows");
    refused((struct session_row[]){{0, 0, 1, 0}}, 0, "rows");
}

/* One decoded token touches top_k experts in each of the 6 layers; bytes follow. */
static void account(void) {
    struct par *par = par_new(1);
    struct session *s = open_session(par, 1, 512, 0, 0);
    const struct shape *sh = model->shape;
    struct session_pass pass;
    feed(s, 0, 0, N - 1, N, &pass);
    double prefill_experts = pass.bytes.experts;
    CHECK(pass.experts_touched > 6 * 2);
    CHECK(pass.experts_touched <= 6 * 16);
    feed(s, 0, N - 1, N, 1, &pass);
    CHECK_INT(pass.experts_touched, 6 * 2);
    CHECK_NEAR(pass.bytes.experts, 12.0 * (double)sh->expert_bytes[0], 0.5);
    CHECK(prefill_experts > pass.bytes.experts);
    /* 6 layers, 2 KV heads of 64, keys and values, 2 bytes; 150 positions are seen. */
    CHECK_NEAR(pass.bytes.kv_write, 6 * 2 * 64 * 2 * 2, 0.5);
    CHECK_NEAR(pass.bytes.kv_read, 150.0 * 6 * 2 * 64 * 2 * 2, 0.5);
    CHECK_NEAR(pass.flops.head, 2.0 * 256 * VOCAB, 0.5);
    CHECK_NEAR(pass.flops.experts, 6 * 2 * 3 * 2.0 * 256 * 256, 0.5);
    session_free(s);
    par_free(par);
}

/* A model whose layers but one see the last 48 tokens, run far beyond the ring: however it is
 * fed, and after being cut back as far as the ring allows, the logits are the same. */
static void windows(void) {
    static char path[] = "/tmp/test_session.XXXXXX";
    struct tiny_model tiny = {.arch = tiny_arch("gemma3"), .type = KERN_F32};
    struct err err = {""};
    close(mkstemp(path));
    CHECK_INT(tiny_write(&tiny, path, &err), 0);
    struct par *par = par_new(2);
    struct model *whole = model;
    model = model_open(path, &(struct model_options){.par = par}, &err);
    unlink(path);
    enum { LONG = 700 };
    static float want[TINY_VOCAB];
    for (int step = 64; step >= 1; step /= 8) {
        struct session *s = session_new(model, kern, par,
                                        &(struct session_options){.context = 1024, .batch = 64,
                                                                  .sequences = 1,
                                                                  .kv_type = KERN_F16}, &err);
        struct session_pass pass = {0};
        for (int round = 0; round < 2; round++) {
            for (int at = session_length(s, 0); at < LONG; at += step) {
                struct session_row rows[64];
                int n = LONG - at < step ? LONG - at : step;
                for (int i = 0; i < n; i++)
                    rows[i] = (struct session_row){0, at + i, (at + i) * 31 % TINY_VOCAB, 1};
                pass = (struct session_pass){0};
                CHECK_INT(session_pass(s, rows, n, &pass, &err), 0);
            }
            const float *last = pass.logits + (size_t)(pass.wanted - 1) * TINY_VOCAB;
            if (step == 64 && round == 0)
                memcpy(want, last, sizeof want);
            CHECK(!memcmp(want, last, sizeof want));
            CHECK_INT(session_truncate(s, 0, 50), -1);
            CHECK_INT(session_truncate(s, 0, LONG - 150), 0);
        }
        session_free(s);
    }
    model_close(model);
    model = whole;
    par_free(par);
}

int main(void) {
    struct err err;
    struct par *par = par_new(1);
    kern = kern_select(NULL, NULL);
    model = model_open(MODEL, &(struct model_options){.par = par}, &err);
    if (!model) {
        printf("not ok open: %s\n", err.text);
        return 1;
    }
    for (int i = 0; i < N; i++)
        token[i] = (int32_t)(((uint32_t)i * 2654435761u >> 7) % VOCAB);
    struct session *s = open_session(par, 1, 1, 0, 0);
    struct session_pass pass;
    memcpy(expect, feed(s, 0, 0, N, 1, &pass), sizeof expect);
    session_free(s);
    par_free(par);
    RUN(splits);
    RUN(sequences);
    RUN(pruning);
    RUN(sink);
    RUN(truncation);
    RUN(bad_rows);
    RUN(account);
    RUN(windows);
    model_close(model);
    return check_done();
}
