/* test_calib.c - lib/quant/calib: chunks through a model layer by layer give what a pass gives */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/quant/calib.h"
#include "tests/check.h"
#include "tests/tiny_model.h"

enum { TOKENS = 40, CHUNKS = 3 };

static const struct kern *kern;
static struct par *par;
static struct model *model;
static struct session *session;
static int32_t token[CHUNKS][TOKENS];
static float want[TOKENS][TINY_VOCAB], got[TOKENS][TINY_VOCAB];

static void open_tiny(const char *name) {
    char path[] = "/tmp/test_calib.XXXXXX";
    struct tiny_model tiny = {.arch = tiny_arch(name), .type = KERN_F16};
    struct session_options opt = {.context = TOKENS, .sequences = 1, .batch = TOKENS,
                                  .kv_type = KERN_F16};
    struct err err = {""};
    close(mkstemp(path));
    CHECK_INT(tiny_write(&tiny, path, &err), 0);
    model = model_open(path, &(struct model_options){.par = par, .no_pack = 1}, &err);
    session = session_new(model, kern, par, &opt, &err);
    unlink(path);
    CHECK_STR(err.text, "");
}

static void close_tiny(void) {
    session_free(session);
    model_close(model);
}

static void take(void *arg, const float *logits, int first, int n) {
    memcpy((float *)arg + (size_t)first * TINY_VOCAB, logits,
           (size_t)n * TINY_VOCAB * sizeof *logits);
}

static void pass_chunk(int chunk) {
    struct session_row rows[TOKENS];
    struct err err;
    for (int i = 0; i < TOKENS; i++)
        rows[i] = (struct session_row){0, i, token[chunk][i], 1};
    struct session_pass pass = {.sink = take, .sink_arg = want};
    session_truncate(session, 0, 0);
    CHECK_INT(session_pass(session, rows, TOKENS, &pass, &err), 0);
}

static void count(void *arg, int done) {
    *(int *)arg += done;
}

static void same_as_a_pass(const char *name) {
    struct err err;
    int done = 0;
    open_tiny(name);
    struct calib *c = calib_new(session, TINY_D, token[0], CHUNKS, TOKENS, &err);
    CHECK(c != NULL);
    c->progress = count;
    c->arg = &done;
    for (int i = 0; i < model->shape->layers; i++) {
        CHECK_INT(calib_run(c, i, NULL, 0, &err), 0);           /* leaves the states alone */
        CHECK_INT(calib_run(c, i, NULL, 1, &err), 0);
    }
    CHECK_INT(done, 2 * model->shape->layers * (1 + 2 + 3));
    for (int i = 0; i < CHUNKS; i++) {
        pass_chunk(i);
        CHECK_INT(session_logits(session, c->x + i * TOKENS * TINY_D, TOKENS, take, got, &err), 0);
        CHECK(!memcmp(want, got, sizeof want));
    }
    calib_free(c);
    close_tiny();
}

static void other_weights(void) {
    struct err err;
    open_tiny("qwen3");
    struct calib *c = calib_new(session, TINY_D, token[0], CHUNKS, TOKENS, &err);
    struct model_layer other = model->layer[0];
    float norm[TINY_D];
    float before = c->x[TINY_D];
    for (int i = 0; i < TINY_D; i++)
        norm[i] = 2 * other.ffn_norm[i];
    other.ffn_norm = norm;
    CHECK_INT(calib_run(c, 0, &other, 0, &err), 0);
    CHECK(c->x[TINY_D] == before);
    CHECK_INT(calib_run(c, 0, &other, 1, &err), 0);
    float changed = c->x[TINY_D];
    CHECK(changed != before);
    norm[3] = NAN;
    CHECK_INT(calib_run(c, 0, &other, 1, &err), -1);
    CHECK_STR(err.text, "layer 0, chunk 0: values that are not finite");
    CHECK(c->x[TINY_D] == changed);
    CHECK_INT(calib_run(c, model->shape->layers, NULL, 1, &err), -1);
    calib_free(c);
    close_tiny();
}

static void bad_token(void) {
    struct err err;
    open_tiny("llama");
    int32_t kept = token[2][5];
    token[2][5] = TINY_VOCAB;
    CHECK(!calib_new(session, TINY_D, token[0], CHUNKS, TOKENS, &err));
    token[2][5] = kept;
    CHECK(!calib_new(session, TINY_D, token[0], 1, TOKENS + 1, &err));
    calib_free(NULL);
    close_tiny();
}

int main(void) {
    kern = kern_select(NULL, NULL);
    par = par_new(2);
    for (int i = 0; i < CHUNKS * TOKENS; i++)
        token[i / TOKENS][i % TOKENS] = (int32_t)(random_bits(3, (uint64_t)i) % TINY_VOCAB);
    RUN_NAMED("same as a pass: llama", same_as_a_pass("llama"));
    RUN_NAMED("same as a pass: gemma3", same_as_a_pass("gemma3"));
    RUN_NAMED("same as a pass: qwen2moe", same_as_a_pass("qwen2moe"));
    RUN_NAMED("same as a pass: mixtral-split", same_as_a_pass("mixtral-split"));
    RUN(other_weights);
    RUN(bad_token);
    par_free(par);
    return check_done();
}
