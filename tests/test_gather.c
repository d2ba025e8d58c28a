/* test_gather.c - importance gathered from a session is the sum of squares of what it multiplies
 *
 * For tiny models of every architecture, compared with sums taken one by one: names, counts and
 * sums, the same bits for any passes and threads; and values that are not finite.
 */
#include "lib/quant/gather.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/infer/session.h"
#include "tests/check.h"
#include "tests/scratch.h"
#include "tests/tiny_model.h"

enum { N = 70 };

static struct par *par;
static const struct kern *kern;
static struct model *model;

static void open_tiny(const char *name, int type) {
    struct tiny_model tiny = {.arch = tiny_arch(name), .type = type};
    struct err err = {""};
    char *path = scratch_path("tiny.gguf");
    CHECK_INT(tiny_write(&tiny, path, &err), 0);
    model = model_open(path, &(struct model_options){.par = par}, &err);
    unlink(path);
    free(path);
    if (!model) {
        printf("# %s: %s\n", name, err.text);
        exit(EXIT_FAILURE);
    }
}

/* Runs N tokens in passes of `step` rows. */
static void run(struct session_tap tap, struct gather *g, int step) {
    struct err err;
    struct session_options opt = {.context = N, .sequences = 1, .batch = step, .hidden = g != NULL,
                                  .kv_type = KERN_F16, .tap = tap};
    struct session *s = session_new(model, kern, par, &opt, &err);
    for (int at = 0; at < N; at += step) {
        struct session_row rows[N];
        int n = N - at < step ? N - at : step;
        for (int i = 0; i < n; i++)
            rows[i] = (struct session_row){0, at + i, (at + i) * 37 % TINY_VOCAB, 0};
        struct session_pass pass = {0};
        CHECK_INT(session_pass(s, rows, n, &pass, &err), 0);
        if (g)
            gather_head(g, pass.hidden, n);
    }
    session_free(s);
}

/* The plain way: each weight by itself. */
static void add(void *arg, const struct session_input *in) {
    for (int i = 0; i < in->weights; i++) {
        int64_t parts;
        const struct gguf_tensor *const *t = model_weight_tensors(model, in->weight[i], &parts);
        char name[64];
        int64_t mat = in->expert < 0 ? 0 : in->expert;
        struct gguf_string s = t[parts > 1 ? mat : 0]->name;
        snprintf(name, sizeof name, "%.*s", (int)s.len, s.data);
        struct imatrix_entry *e = imatrix_entry(arg, name, in->cols,
                                                parts > 1 ? 1 : in->weight[i]->mats);
        mat = parts > 1 ? 0 : mat;
        for (int r = 0; r < in->n; r++)
            for (int64_t c = 0; c < in->cols; c++)
                e->sum[mat * in->cols + c] += in->x[r * in->cols + c] * in->x[r * in->cols + c];
        e->count[mat] += in->n;
    }
}

static struct imatrix *gathered(int head, int step) {
    struct err err;
    struct imatrix *m = imatrix_new();
    struct gather *g = gather_new(model, par, head);
    run(gather_tap(g), head ? g : NULL, step);
    CHECK_INT(gather_check(g, &err), 0);
    CHECK_INT(gather_finish(g, m, &err), 0);
    gather_free(g);
    return m;
}

static void check_same(const struct imatrix *a, const struct imatrix *b) {
    CHECK_INT(a->n, b->n);
    for (int i = 0; i < a->n && i < b->n; i++) {
        const struct imatrix_entry *x = &a->entry[i];
        const struct imatrix_entry *y = &b->entry[i];
        CHECK_STR(x->name, y->name);
        CHECK(x->cols == y->cols && x->mats == y->mats);
        CHECK(!memcmp(x->count, y->count, (size_t)x->mats * sizeof *x->count));
        CHECK(!memcmp(x->sum, y->sum, (size_t)(x->mats * x->cols) * sizeof *x->sum));
    }
}

/* Entries that the plain way has not are experts that saw nothing. Its sums are floats. */
static void check_near(const struct imatrix *m, const struct imatrix *plain) {
    int found = 0;
    for (int i = 0; i < m->n; i++) {
        const struct imatrix_entry *e = &m->entry[i];
        const struct imatrix_entry *p = imatrix_find(plain, e->name);
        found += p != NULL;
        CHECK(p || e->count[0] == 0);
        for (int64_t k = 0; p && k < e->mats; k++)
            CHECK_INT(e->count[k], p->count[k]);
        for (int64_t k = 0; p && k < e->mats * e->cols; k++)
            if (fabsf(e->sum[k] - p->sum[k]) > 1e-5f * p->sum[k])
                check_bad++;
    }
    CHECK_INT(found, plain->n);
}

static void gathers(void) {
    for (int a = 0; a < TINY_ARCHS; a++) {
        struct imatrix *plain = imatrix_new();
        open_tiny(tiny_archs[a].name, KERN_F16);
        run((struct session_tap){add, plain}, NULL, N);
        struct imatrix *m = gathered(0, N);
        check_near(m, plain);
        struct imatrix *steps = gathered(0, 9);
        check_same(m, steps);
        struct par *team = par;
        par = par_new(1);
        struct imatrix *alone = gathered(0, 64);
        check_same(m, alone);
        par_free(par);
        par = team;
        imatrix_free(plain);
        imatrix_free(m);
        imatrix_free(steps);
        imatrix_free(alone);
        model_close(model);
    }
}

static void names(void) {
    open_tiny("qwen3", KERN_F16);
    struct imatrix *m = gathered(1, N);
    CHECK(imatrix_find(m, "token_embd.weight") != NULL);
    CHECK_INT(imatrix_find(m, "token_embd.weight")->count[0], N);
    CHECK(!imatrix_find(m, "output.weight"));
    imatrix_free(m);
    model_close(model);
    open_tiny("qwen2moe", KERN_F16);
    m = gathered(1, N);
    CHECK_INT(imatrix_find(m, "output.weight")->cols, TINY_D);
    CHECK(imatrix_find(m, "blk.0.ffn_gate_inp.weight") != NULL);
    CHECK(imatrix_find(m, "blk.1.ffn_down_shexp.weight") != NULL);
    CHECK(imatrix_find(m, "blk.0.ffn_gate_inp_shexp.weight") != NULL);
    CHECK_INT(imatrix_find(m, "blk.0.ffn_up_exps.weight")->mats, 8);
    imatrix_free(m);
    model_close(model);
    open_tiny("mixtral-split", KERN_F16);
    m = gathered(0, N);
    CHECK(imatrix_find(m, "blk.0.ffn_up.7.weight") && !imatrix_find(m, "blk.0.ffn_up_exps.weight"));
    imatrix_free(m);
    model_close(model);
}

/* A norm's weight that is not finite shows in the first matrix behind it. */
static void not_finite(void) {
    struct err err = {""};
    open_tiny("llama", KERN_F16);
    float *norm = malloc(TINY_D * sizeof *norm);
    memcpy(norm, model->layer[1].ffn_norm, TINY_D * sizeof *norm);
    const float *keep = model->layer[1].ffn_norm;
    norm[7] = INFINITY;
    model->layer[1].ffn_norm = norm;
    struct gather *g = gather_new(model, par, 0);
    struct imatrix *m = imatrix_new();
    run(gather_tap(g), NULL, N);
    CHECK_INT(gather_check(g, &err), -1);
    CHECK(strstr(err.text, "what goes into blk.1.ffn_gate.weight is not finite"));
    CHECK_INT(gather_finish(g, m, &err), -1);
    model->layer[1].ffn_norm = keep;
    imatrix_free(m);
    gather_free(g);
    model_close(model);
    free(norm);
}

int main(void) {
    par = par_new(3);
    kern = kern_select(NULL, NULL);
    RUN(gathers);
    RUN(names);
    RUN(not_finite);
    par_free(par);
    scratch_remove();
    return check_done();
}
