/* test_awq.c - lib/quant/awq and its layers: errors against outputs computed row by row, choices
 * against trying all, and folded models against the models that they were
 */
#include "tests/check.h"
#include "tests/quantize_simple.h"
#include "tests/random.h"
#include "tests/scratch.h"
#include "tests/tiny_model.h"

#include "lib/infer/session.h"
#include "lib/quant/awq_model.h"
#include "lib/quant/convert.h"
#include "lib/quant/gptq_model.h"

enum { ROWS = 70, COLS = 96, TOKENS = 200, GROUP = 32 };

static const struct blas *blas;
static const struct kern *kern;
static struct par *par;
static float w[ROWS][COLS], x[TOKENS][COLS];
static struct hessian *moments;
static float mean[COLS];

/* ---- random matrices ---------------------------------------------------------------------- */

/* Inputs whose columns differ in size by `spread` powers of e, and are not independent. */
static void make_case(uint64_t seed, float spread) {
    struct err err;
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            w[r][c] = random_normal(seed, (uint64_t)(r * COLS + c));
    for (int t = 0; t < TOKENS; t++)
        for (int c = 0; c < COLS; c++)
            x[t][c] = (random_normal(seed + 1, (uint64_t)(t * COLS + c)) +
                       random_normal(seed + 2, (uint64_t)t)) *
                      expf(spread * random_normal(seed + 3, (uint64_t)c));
    hessian_free(moments);
    moments = hessian_new(COLS, blas, &err);
    hessian_add(moments, par, x[0], TOKENS);
    hessian_finish(moments, par);
    for (int c = 0; c < COLS; c++) {
        mean[c] = 0;
        for (int t = 0; t < TOKENS; t++)
            mean[c] += fabsf(x[t][c]) / TOKENS;
    }
}

static struct awq_options options(int bits, int clip) {
    return (struct awq_options){.bits = bits, .group = GROUP, .clip = clip, .kern = kern,
                                .blas = blas, .par = par};
}

static struct awq_use use_of(void) {
    return (struct awq_use){.w = w[0], .rows = ROWS, .h = moments, .type = -1};
}

/* Squared error of the outputs of a matrix whose values stand for w s, and of the outputs. */
static double output_error(const struct grouped *g, const float *s, double *energy) {
    double sum = 0;
    float value[COLS];
    *energy = 0;
    for (int r = 0; r < ROWS; r++) {
        grouped_values(g, r, value);
        for (int t = 0; t < TOKENS; t++) {
            double y = 0;
            double e = 0;
            for (int c = 0; c < COLS; c++) {
                y += (double)w[r][c] * (double)x[t][c];
                e += ((double)value[c] / (double)(s ? s[c] : 1) - (double)w[r][c]) *
                     (double)x[t][c];
            }
            *energy += y * y;
            sum += e * e;
        }
    }
    return sum;
}

/* Round-to-nearest of w s: its error, the slow way. */
static double plain_error(int bits, const float *s) {
    struct grouped *g = grouped_new(ROWS, COLS, bits, GROUP, 0);
    float row[COLS];
    double energy;
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLS; c++)
            row[c] = w[r][c] * (s ? s[c] : 1);
        grouped_round_row(g, r, row);
    }
    double error = output_error(g, s, &energy);
    grouped_free(g);
    return error / energy;
}

/* ---- the search --------------------------------------------------------------------------- */

static void best_of_all(void) {
    for (uint64_t seed = 10; seed < 18; seed++) {
        struct awq_options opt = options(3, 0);
        struct awq_use use = use_of();
        struct awq_choice choice;
        float s[COLS];
        float tried[COLS];
        double least = INFINITY;
        make_case(seed, 0.8f);
        use.h = moments;
        awq_search(&opt, &use, 1, COLS, mean, NULL, NULL, s, &choice);
        for (int k = 0; k < 20; k++) {
            for (int c = 0; c < COLS; c++)
                tried[c] = powf(mean[c], (float)k / 20);
            double error = plain_error(3, tried);
            least = error < least ? error : least;
        }
        CHECK_NEAR(choice.plain / plain_error(3, NULL), 1, 1e-4);
        CHECK_NEAR(choice.error / plain_error(3, s), 1, 1e-4);
        /* Scales that differ by a factor are rounded to halves differently. */
        CHECK(choice.error < least * 1.02);
        CHECK(choice.error <= choice.plain);
        CHECK(choice.ratio > 0);
    }
}

/* A column that is a hundred times the others: what the paper is about. */
static void salient_column(void) {
    struct awq_options opt = options(3, 0);
    struct awq_use use = use_of();
    struct awq_choice choice;
    struct err err;
    float s[COLS];
    make_case(30, 0);
    for (int t = 0; t < TOKENS; t++)
        x[t][7] *= 100;
    mean[7] *= 100;
    hessian_free(moments);
    moments = hessian_new(COLS, blas, &err);
    hessian_add(moments, par, x[0], TOKENS);
    hessian_finish(moments, par);
    use.h = moments;
    awq_search(&opt, &use, 1, COLS, mean, NULL, NULL, s, &choice);
    CHECK(choice.error < 0.5 * choice.plain);
    for (int c = 0; c < COLS; c++)
        CHECK(c == 7 || s[7] > 2 * s[c]);
}

/* Nothing seen: nothing chosen, and codes are the nearest. */
static void nothing_seen(void) {
    struct awq_options opt = options(4, 1);
    struct awq_use use = use_of();
    struct awq_choice choice;
    struct awq_report report;
    struct err err;
    float s[COLS];
    struct hessian *none = hessian_new(COLS, blas, &err);
    struct grouped *got = grouped_new(ROWS, COLS, 4, GROUP, 0);
    struct grouped *want = grouped_new(ROWS, COLS, 4, GROUP, 0);
    hessian_finish(none, par);
    use.h = none;
    awq_search(&opt, &use, 1, COLS, mean, NULL, NULL, s, &choice);
    CHECK_INT(choice.ratio, 0);
    CHECK(s[0] == 1 && s[COLS - 1] == 1);
    awq_round(&opt, &use, NULL, got, NULL, &report);
    grouped_round(want, w[0]);
    CHECK(!memcmp(got->code, want->code, ROWS * COLS));
    CHECK(report.error == 0 && report.nearest == 0);
    grouped_free(want);
    grouped_free(got);
    hessian_free(none);
}

static float powers(void *arg, int64_t c, float s) {
    (void)c;
    *(int *)arg += 1;
    return exp2f(rintf(log2f(s)));
}

/* Columns without data, and a place that holds powers of two alone. */
static void places(void) {
    struct awq_options opt = options(3, 0);
    struct awq_use use = use_of();
    struct awq_choice choice;
    float s[COLS];
    int calls = 0;
    make_case(40, 1);
    use.h = moments;
    mean[3] = 0;
    awq_search(&opt, &use, 1, COLS, mean, powers, &calls, s, &choice);
    CHECK_INT(calls, 19 * COLS);
    CHECK(choice.ratio > 0 && s[3] == 1);
    for (int c = 0; c < COLS; c++) {
        int exponent;
        CHECK(frexpf(s[c], &exponent) == 0.5f);
    }
}

/* ---- rounding ----------------------------------------------------------------------------- */

/* Ranges: errors are those of the outputs, no row is worse than without, and outliers are cut. */
static void ranges(void) {
    for (int bits = 2; bits <= 4; bits++) {
        struct awq_options with = options(bits, 1);
        struct awq_options without = options(bits, 0);
        struct awq_use use = use_of();
        struct awq_report a;
        struct awq_report b;
        struct grouped *g = grouped_new(ROWS, COLS, bits, GROUP, 0);
        struct grouped *one = grouped_new(1, COLS, bits, GROUP, 0);
        double energy;
        float s[COLS];
        make_case(50 + (uint64_t)bits, 0.5f);
        for (int c = 0; c < COLS; c++)
            s[c] = sqrtf(mean[c]);
        for (int r = 0; r < ROWS; r += 2)
            w[r][r % COLS] = 8;
        use.h = moments;
        awq_round(&with, &use, s, g, NULL, &a);
        double error = output_error(g, s, &energy);
        CHECK_NEAR(a.error * energy / error, 1, 1e-3);
        CHECK_NEAR(a.nearest / plain_error(bits, NULL), 1, 1e-3);
        awq_round(&without, &use, s, g, NULL, &b);
        CHECK_NEAR(b.error / plain_error(bits, s), 1, 1e-3);
        CHECK(a.error < 0.9 * b.error);
        for (int r = 0; r < ROWS; r++) {
            struct awq_use row = {.w = w[r], .rows = 1, .h = moments, .type = -1};
            awq_round(&with, &row, s, one, NULL, &a);
            awq_round(&without, &row, s, one, NULL, &b);
            CHECK(a.error <= b.error * (1 + 1e-5));
        }
        grouped_free(one);
        grouped_free(g);
    }
}

/* A block type's own grid. */
static void block_types(void) {
    struct awq_options opt = options(4, 1);
    struct awq_use use = use_of();
    struct awq_report report;
    float s[COLS];
    char *blocks = mem_alloc(ROWS * kern_row_bytes(KERN_IQ4_NL, COLS));
    make_case(60, 0.8f);
    use.h = moments;
    use.type = KERN_IQ4_NL;
    struct awq_choice choice;
    awq_search(&opt, &use, 1, COLS, mean, NULL, NULL, s, &choice);
    awq_round(&opt, &use, s, NULL, blocks, &report);
    CHECK_NEAR(report.error / choice.error, 1, 1e-6);
    CHECK_NEAR(report.nearest / choice.plain, 1, 1e-6);
    double sum = 0;
    double energy = 0;
    for (int r = 0; r < ROWS; r++) {
        float value[COLS];
        kern_dequantize(KERN_IQ4_NL, blocks + (size_t)r * kern_row_bytes(KERN_IQ4_NL, COLS),
                        value, COLS);
        for (int t = 0; t < TOKENS; t++) {
            double e = 0;
            double y = 0;
            for (int c = 0; c < COLS; c++) {
                e += (double)(value[c] / s[c] - w[r][c]) * (double)x[t][c];
                y += (double)w[r][c] * (double)x[t][c];
            }
            sum += e * e;
            energy += y * y;
        }
    }
    CHECK_NEAR(report.error / (sum / energy), 1, 1e-3);
    free(blocks);
}

static void threads(void) {
    struct awq_use use = use_of();
    struct awq_choice choice[2];
    struct awq_report report[2];
    float s[2][COLS];
    struct grouped *g[2];
    make_case(70, 0.8f);
    use.h = moments;
    for (int i = 0; i < 2; i++) {
        struct awq_options opt = options(3, 1);
        opt.par = par_new(i ? 3 : 1);
        g[i] = grouped_new(ROWS, COLS, 3, GROUP, 0);
        awq_search(&opt, &use, 1, COLS, mean, NULL, NULL, s[i], &choice[i]);
        awq_round(&opt, &use, s[i], g[i], NULL, &report[i]);
        par_free(opt.par);
    }
    CHECK(!memcmp(s[0], s[1], sizeof s[0]));
    CHECK(choice[0].error == choice[1].error && report[0].error == report[1].error);
    CHECK(!memcmp(g[0]->code, g[1]->code, ROWS * COLS));
    grouped_free(g[0]);
    grouped_free(g[1]);
}

/* ---- models ------------------------------------------------------------------------------- */

enum { TEXT = 48, CHUNKS = 2 };

struct folded {
    struct source *source;
    struct awq_model *model;
    uint8_t *chosen, *changed;
    int rows, scaled;
    double error, nearest;      /* sums over matrices */
};

static float keep(void *arg, uint64_t i, float v) {
    (void)arg;
    (void)i;
    return v;
}

static void count(void *arg, const struct awq_row *row) {
    struct folded *f = arg;
    f->rows++;
    f->scaled += row->ratio > 0;
    f->error += row->report.error;
    f->nearest += row->report.nearest;
}

static int replace(void *arg, uint64_t i, const void **data, struct err *err) {
    struct folded *f = arg;
    *data = NULL;
    return f->chosen[i] || f->changed[i] ? awq_model_data(f->model, i, data, err) : 0;
}

/* in quantized to `bits` as F32 into out. */
static void fold_file(const char *in, const char *out, int bits, struct folded *f) {
    struct err err = {""};
    int32_t token[CHUNKS * TEXT];
    struct model *m = model_open(in, &(struct model_options){.par = par, .no_pack = 1}, &err);
    *f = (struct folded){.source = source_open(in, &err)};
    size_t n = (size_t)source_count(f->source);
    int *type = mem_array(n, sizeof *type);
    uint64_t *order = mem_array(n, sizeof *order);
    f->chosen = mem_array(n, 1);
    f->changed = mem_array(n, 1);
    gptq_model_choose(m, f->source, 0, f->chosen);
    awq_model_changed(f->source, f->changed);
    for (size_t i = 0; i < n; i++)
        type[i] = f->chosen[i] || f->changed[i] ? KERN_F32 : f->source->tensor[i].type;
    state = 5;
    for (int i = 0; i < CHUNKS * TEXT; i++)
        token[i] = below(TINY_VOCAB);
    struct awq_model_options opt = {
        .model = m, .source = f->source, .token = token, .chunks = CHUNKS, .tokens = TEXT,
        .awq = {.bits = bits, .group = GROUP, .clip = 1, .kern = kern, .par = par},
        .chosen = f->chosen, .type = type, .stored = keep, .report = count, .arg = f};
    f->model = awq_model_new(&opt, &err);
    CHECK_STR(err.text, "");
    awq_model_order(f->model, order);
    struct convert c = {.source = f->source, .type = type, .file_type = -1, .kern = kern,
                        .par = par, .replace = replace, .replace_arg = f, .order = order};
    CHECK_INT(convert_run(&c, out, &err), 0);
    CHECK_STR(err.text, "");
    awq_model_free(f->model);
    source_close(f->source);
    model_close(m);
    free(f->changed);
    free(f->chosen);
    free(order);
    free(type);
}

static void logits_of(const char *path, float out[TEXT][TINY_VOCAB]) {
    struct err err;
    struct session_row rows[TEXT];
    struct session_pass pass = {0};
    struct session_options opt = {.context = TEXT, .sequences = 1, .batch = TEXT,
                                  .kv_type = KERN_F32};
    struct model *m = model_open(path, &(struct model_options){.par = par}, &err);
    struct session *s = session_new(m, kern, par, &opt, &err);
    state = 6;
    for (int i = 0; i < TEXT; i++)
        rows[i] = (struct session_row){0, i, below(TINY_VOCAB), 1};
    CHECK_INT(session_pass(s, rows, TEXT, &pass, &err), 0);
    memcpy(out, pass.logits, sizeof(float) * TEXT * TINY_VOCAB);
    session_free(s);
    model_close(m);
}

/* At 8 bits a model stays what it was: a factor in the wrong place would show. */
static void same_model(const char *arch) {
    static float before[TEXT][TINY_VOCAB], after[TEXT][TINY_VOCAB];
    struct tiny_model tiny = {.arch = tiny_arch(arch), .type = KERN_F32};
    char *in = scratch_path("in.gguf");
    char *out = scratch_path("out.gguf");
    struct folded f;
    struct err err;
    double error = 0;
    double energy = 0;
    CHECK_INT(tiny_write(&tiny, in, &err), 0);
    fold_file(in, out, 8, &f);
    CHECK(f.rows > 0 && f.scaled > 0);
    CHECK(f.error < f.nearest);
    logits_of(in, before);
    logits_of(out, after);
    for (int i = 0; i < TEXT; i++)
        for (int k = 0; k < TINY_VOCAB; k++) {
            double e = (double)after[i][k] - (double)before[i][k];
            error += e * e;
            energy += (double)before[i][k] * (double)before[i][k];
        }
    CHECK(energy > 0 && error < 1e-3 * energy);
    unlink(in);
    unlink(out);
    free(in);
    free(out);
}

int main(void) {
    struct err err;
    blas = blas_load(&err);
    kern = kern_select(NULL, NULL);
    par = par_new(2);
    RUN(best_of_all);
    RUN(salient_column);
    RUN(nothing_seen);
    RUN(places);
    RUN(ranges);
    RUN(block_types);
    RUN(threads);
    RUN_NAMED("llama", same_model("llama"));
    RUN_NAMED("mixtral-split", same_model("mixtral-split"));        /* a tensor for each expert */
    RUN_NAMED("qwen2", same_model("qwen2"));                        /* biases */
    RUN_NAMED("qwen2moe", same_model("qwen2moe"));                  /* a shared expert */
    RUN_NAMED("gemma3", same_model("gemma3"));                      /* norms after blocks */
    hessian_free(moments);
    par_free(par);
    scratch_remove();
    return check_done();
}
