/* test_sensitivity.c - what errors cost: against two whole models run side by side
 *
 * On tiny models: one number is reckoned again here, from files and passes; a tensor that nothing
 * asks has none; threads change no bit; and a mixture says the same however its experts are stored.
 */
#include "lib/quant/sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/infer/session.h"
#include "lib/quant/convert.h"
#include "tests/check.h"
#include "tests/scratch.h"
#include "tests/tiny_model.h"

enum { CHUNKS = 2, TOKENS = 24, SCORED = TOKENS - TOKENS / 4 };

static const struct kern *kern;
static struct par *par;
static int32_t token[CHUNKS * TOKENS];

static char *write_tiny(const char *name) {
    struct tiny_model m = {.arch = tiny_arch(name), .type = KERN_F32};
    char *path = scratch_path(name);
    struct err e = {""};
    CHECK_INT(tiny_write(&m, path, &e), 0);
    return path;
}

static struct model *open_model(const char *path) {
    struct err e = {""};
    struct model *m = model_open(path, &(struct model_options){.par = par}, &e);
    CHECK_STR(e.text, "");
    return m;
}

static struct imatrix *measure(const char *path, int threads, struct imatrix *m, struct err *err) {
    struct par *team = par_new(threads);
    struct model *model = open_model(path);
    const struct sensitivity s = {.model = model, .kern = kern, .par = team, .token = token,
                                  .chunks = CHUNKS, .tokens = TOKENS};
    *err = (struct err){{0}};
    CHECK_INT(sensitivity_measure(&s, m, err), *err->text ? -1 : 0);
    model_close(model);
    par_free(team);
    return m;
}

static double of(const struct imatrix *m, const char *name) {
    for (int i = 0; i < m->n_sensitivity; i++)
        if (!strcmp(m->sensitive[i], name))
            return m->sensitivity[i];
    return NAN;
}

/* ---- files with other values ------------------------------------------------------------ */

struct change {
    const struct source *s;
    const char *name;           /* of the tensor that changes */
    const float *to;            /* all of its values */
};

static int replace(void *arg, uint64_t i, const void **data, struct err *err) {
    const struct change *c = arg;
    (void)err;
    *data = strcmp(c->s->tensor[i].name, c->name) ? NULL : c->to;
    return 0;
}

/* The same model with other values in one tensor. */
static char *change(const char *path, const char *name, const float *to, const char *file) {
    struct err e = {""};
    struct source *s = source_open(path, &e);
    char *out = scratch_path(file);
    int *type = mem_array((size_t)s->tensors, sizeof *type);
    struct change c = {s, name, to};
    for (uint64_t i = 0; i < s->tensors; i++)
        type[i] = s->tensor[i].type;
    CHECK_INT(convert_run(&(struct convert){.source = s, .type = type, .file_type = -1, .par = par,
                                            .kern = kern, .replace = replace, .replace_arg = &c},
                          out, &e), 0);
    CHECK_STR(e.text, "");
    free(type);
    source_close(s);
    return out;
}

/* ---- one number reckoned again ---------------------------------------------------------- */

/* logits[CHUNKS][TOKENS][TINY_VOCAB], by whole passes. */
static void run_model(const char *path, float *logits) {
    struct model *m = open_model(path);
    struct err e = {""};
    struct session *s = session_new(m, kern, par, &(struct session_options){
        .context = TOKENS, .sequences = 1, .batch = TOKENS, .kv_type = KERN_F32}, &e);
    for (int c = 0; c < CHUNKS; c++) {
        struct session_row row[TOKENS];
        struct session_pass pass = {0};
        for (int i = 0; i < TOKENS; i++)
            row[i] = (struct session_row){0, i, token[c * TOKENS + i], 1};
        session_truncate(s, 0, 0);
        CHECK_INT(session_pass(s, row, TOKENS, &pass, &e), 0);
        memcpy(logits + (size_t)c * TOKENS * TINY_VOCAB, pass.logits,
               sizeof(float) * TOKENS * TINY_VOCAB);
    }
    session_free(s);
    model_close(m);
}

static double divergence(const float *l, const float *k) {
    double a = 0, b = 0, sum = 0;
    for (int v = 0; v < TINY_VOCAB; v++) {
        a += exp((double)l[v]);
        b += exp((double)k[v]);
    }
    for (int v = 0; v < TINY_VOCAB; v++)
        sum += exp((double)l[v]) / a * ((double)l[v] - log(a) - (double)k[v] + log(b));
    return sum;
}

static double mean_divergence(const char *path, const char *other) {
    size_t n = (size_t)CHUNKS * TOKENS * TINY_VOCAB;
    float *l = mem_array(n, sizeof *l), *k = mem_array(n, sizeof *k);
    double sum = 0;
    run_model(path, l);
    run_model(other, k);
    for (int i = 0; i < CHUNKS * TOKENS; i++)
        if (i % TOKENS >= TOKENS - SCORED)
            sum += divergence(l + i * TINY_VOCAB, k + i * TINY_VOCAB);
    free(l);
    free(k);
    return sum / (CHUNKS * SCORED);
}

/* What Q3_K makes of a tensor, columns weighed by importance or not, and the loss of that. */
static float *coarse(const char *path, const char *name, const float *importance, double *loss) {
    struct err e = {""};
    struct source *s = source_open(path, &e);
    uint64_t i = (uint64_t)source_find(s, name);
    int64_t rows = s->tensor[i].rows, cols = s->tensor[i].ne[0], n = rows * cols;
    float *x = mem_array((size_t)n, sizeof *x), *back = mem_array((size_t)n, sizeof *back);
    char *block = mem_array((size_t)n, 1);
    double error = 0, energy = 0;
    CHECK_INT(source_rows(s, i, 0, rows, x, &e), 0);
    kern->quantize(KERN_Q3_K, x, block, rows, cols, importance);
    kern->dequantize(KERN_Q3_K, block, back, n);
    for (int64_t k = 0; k < n; k++) {
        double w = importance ? (double)importance[k % cols] : 1;
        error += w * pow((double)x[k] - (double)back[k], 2);
        energy += w * pow((double)x[k], 2);
    }
    *loss = error / energy;
    free(x);
    free(block);
    source_close(s);
    return back;
}

static void agrees_with_whole_models(const char *name, int weighed) {
    char *path = write_tiny("llama");
    struct imatrix *m = imatrix_new();
    float importance[512];
    double loss;
    struct err e;
    struct imatrix_entry *entry = imatrix_entry(m, name, strstr(name, "down") ? 512 : TINY_D, 1);
    entry->count[0] = weighed;
    for (int64_t c = 0; c < entry->cols; c++)
        importance[c] = entry->sum[c] = random_uniform(3, (uint64_t)c, 0.1f, 9);
    float *back = coarse(path, name, weighed ? importance : NULL, &loss);
    char *other = change(path, name, back, "coarse");
    measure(path, 2, m, &e);
    CHECK_INT(m->n_sensitivity, 2 + 2 * 7);
    double want = mean_divergence(path, other) / loss;
    CHECK(want > 0.01);
    CHECK_NEAR(of(m, name) / want, 1, 1e-3);
    imatrix_free(m);
    free(back);
    free(other);
    free(path);
}

/* ---- the rest --------------------------------------------------------------------------- */

/* Zeros in ffn_up of a layer: its gate and down have nothing to say. They come back from a file. */
static void what_nothing_asks(void) {
    char *path = write_tiny("llama");
    float *zeros = mem_array(512 * TINY_D, sizeof *zeros);
    char *other = change(path, "blk.1.ffn_up.weight", zeros, "quiet");
    struct imatrix *m = imatrix_new();
    struct err e;
    imatrix_entry(m, "blk.1.ffn_up.weight", TINY_D, 1)->count[0] = 5;
    m->chunk_tokens = 5;
    measure(other, 2, m, &e);
    CHECK_STR(e.text, "");
    CHECK_NEAR(of(m, "blk.1.ffn_up.weight"), 0, 0);
    CHECK_NEAR(of(m, "blk.1.ffn_gate.weight"), 0, 1e-6);
    CHECK_NEAR(of(m, "blk.1.ffn_down.weight"), 0, 1e-6);
    CHECK(of(m, "blk.0.ffn_gate.weight") > 0.1);
    CHECK(of(m, "output.weight") > 0.01);
    char *file = scratch_path("kept");
    CHECK_INT(imatrix_write(m, file, 0, &e), 0);
    struct imatrix *again = imatrix_read(file, &e);
    CHECK_INT(again->n_sensitivity, m->n_sensitivity);
    for (int i = 0; i < m->n_sensitivity; i++)
        CHECK_NEAR(of(again, m->sensitive[i]), (float)m->sensitivity[i], 0);
    imatrix_free(again);
    imatrix_free(m);
    free(file);
    free(zeros);
    free(other);
    free(path);
}

static void same_by_threads(void) {
    char *path = write_tiny("qwen3");
    struct imatrix *m[2];
    struct err e;
    for (int k = 0; k < 2; k++)
        m[k] = measure(path, k + 1, imatrix_new(), &e);
    CHECK_INT(m[0]->n_sensitivity, 1 + 2 * 7);      /* a head that is the embedding counts once */
    for (int i = 0; i < m[0]->n_sensitivity; i++) {
        CHECK_STR(m[0]->sensitive[i], m[1]->sensitive[i]);
        CHECK_NEAR(m[0]->sensitivity[i], m[1]->sensitivity[i], 0);
    }
    imatrix_free(m[0]);
    imatrix_free(m[1]);
    free(path);
}

/* Experts that are tensors each share what the stack has. */
static void experts_share(void) {
    char *whole = write_tiny("mixtral"), *split = write_tiny("mixtral-split");
    struct err e;
    struct imatrix *a = measure(whole, 2, imatrix_new(), &e);
    struct imatrix *b = measure(split, 2, imatrix_new(), &e);
    double sum = 0;
    for (int i = 0; i < 8; i++) {
        char *name = mem_printf("blk.1.ffn_down.%d.weight", i);
        double x = of(b, name);
        CHECK(x > 0);
        sum += x;
        free(name);
    }
    CHECK_NEAR(sum / of(a, "blk.1.ffn_down_exps.weight"), 1, 1e-6);
    CHECK_NEAR(of(a, "blk.1.attn_v.weight"), of(b, "blk.1.attn_v.weight"), 0);
    imatrix_free(a);
    imatrix_free(b);
    free(whole);
    free(split);
}

static void not_finite(void) {
    char *path = write_tiny("llama");
    float *bad = mem_array(TINY_VOCAB * TINY_D, sizeof *bad);
    struct imatrix *m = imatrix_new();
    struct err e;
    bad[3] = NAN;
    char *other = change(path, "output.weight", bad, "bad");
    measure(other, 2, m, &e);
    CHECK(strstr(e.text, "bad: its predictions are not finite") != NULL);
    imatrix_free(m);
    free(bad);
    free(other);
    free(path);
}

int main(void) {
    kern = kern_select(NULL, NULL);
    par = par_new(2);
    for (int i = 0; i < CHUNKS * TOKENS; i++)
        token[i] = (int32_t)(random_bits(7, (uint64_t)i) % TINY_VOCAB);
    RUN_NAMED("agrees_with_whole_models attn_v",
              agrees_with_whole_models("blk.0.attn_v.weight", 0));
    RUN_NAMED("agrees_with_whole_models ffn_down",
              agrees_with_whole_models("blk.1.ffn_down.weight", 1));
    RUN_NAMED("agrees_with_whole_models output", agrees_with_whole_models("output.weight", 1));
    RUN_NAMED("agrees_with_whole_models token_embd",
              agrees_with_whole_models("token_embd.weight", 0));
    RUN(what_nothing_asks);
    RUN(same_by_threads);
    RUN(experts_share);
    RUN(not_finite);
    par_free(par);
    scratch_remove();
    return check_done();
}
