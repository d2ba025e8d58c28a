/* test_gptq.c - lib/quant/gptq against the paper's algorithm in float64, brute force and itself
 *
 * tests/reference/gptq.tsv holds the codes of an implementation in NumPy that takes none of the
 * shortcuts (gptq.py beside it).
 */
#include "lib/quant/gptq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/codes.h"
#include "lib/base/mem.h"
#include "tests/check.h"
#include "tests/random.h"

#define REFERENCE "tests/reference/gptq.tsv"

static const struct blas *blas;
static const struct kern *kern;
static struct par *one, *two;

/* ---- cases ------------------------------------------------------------------------------ */

struct drawn {
    int64_t rows, cols, n;
    float *w;                   /* [rows][cols] */
    struct hessian *h;
};

/* As tests/reference/gptq.py draws: weights, then few directions, noise, and loud columns. */
static struct drawn draw(uint64_t seed, int64_t rows, int64_t cols, int64_t n) {
    struct drawn d = {.rows = rows, .cols = cols, .n = n};
    struct err err;
    int mix[5 * 1024];
    float *x = mem_array((size_t)(n * cols), sizeof *x);
    state = seed;
    d.w = mem_array((size_t)(rows * cols), sizeof *d.w);
    for (int64_t i = 0; i < rows * cols; i++)
        d.w[i] = (float)(below(1001) - 500) / 1024;
    for (int64_t i = 0; i < 5 * cols; i++)
        mix[i] = below(7) - 3;
    for (int64_t r = 0; r < n; r++) {
        int z[5];
        for (int k = 0; k < 5; k++)
            z[k] = below(5) - 2;
        for (int64_t c = 0; c < cols; c++) {
            int sum = below(5) - 2;
            for (int k = 0; k < 5; k++)
                sum += z[k] * mix[k * cols + c];
            x[r * cols + c] = (float)(sum * (c % 11 == 0 ? 4 : 1));
        }
    }
    d.h = hessian_new(cols, blas, &err);
    hessian_add(d.h, two, x, n);
    hessian_finish(d.h, two);
    free(x);
    return d;
}

static void drop(struct drawn *d) {
    hessian_free(d->h);
    free(d->w);
}

static const struct gptq_options plain = {.bits = 4, .group = 32, .symmetric = 1,
                                          .damp = 0.01};

/* *out: the caller frees it; values [rows][cols] or NULL. */
static struct gptq_report run(const struct drawn *d, const struct gptq_options *opt,
                              struct par *par, struct grouped **out, float *values) {
    size_t bytes = (size_t)(d->rows * d->cols) * sizeof(float);
    struct gptq_report report;
    struct err err = {""};
    float *w = mem_alloc(bytes);
    memcpy(w, d->w, bytes);
    struct gptq_plan *p = gptq_plan_new(d->h, opt, &err);
    CHECK_STR(err.text, "");
    *out = grouped_new(d->rows, d->cols, opt->bits, opt->group, opt->symmetric);
    gptq_matrix(p, par, w, d->rows, &(struct gptq_target){.grouped = *out}, &report);
    if (values)
        memcpy(values, w, bytes);
    gptq_plan_free(p);
    free(w);
    return report;
}

/* ---- NumPy's codes ---------------------------------------------------------------------- */

static void reference_case(const char *line) {
    struct gptq_options opt = plain;
    int rows, cols, n, at = 0;
    unsigned seed;
    struct grouped *out, *other;
    sscanf(line, "%u %d %d %d %d %d %d %d %d %lf %n", &seed, &rows, &cols, &n, &opt.bits,
           &opt.group, &opt.symmetric, &opt.order, &opt.search, &opt.damp, &at);
    struct drawn d = draw(seed, rows, cols, n);
    run(&d, &opt, one, &out, NULL);
    run(&d, &opt, two, &other, NULL);
    int wrong = 0;
    for (int i = 0; i < rows * cols; i++) {
        unsigned code;
        sscanf(line + at + 2 * i, "%2x", &code);
        wrong += out->code[i] != code;
    }
    if (wrong)
        printf("# seed %u, %d bits: %d codes of %d differ\n", seed, opt.bits, wrong, rows * cols);
    CHECK_INT(wrong, 0);
    CHECK(!memcmp(out->code, other->code, (size_t)(rows * cols)));
    CHECK(!memcmp(out->scale, other->scale, (size_t)(rows * out->groups) * sizeof *out->scale));
    grouped_free(out);
    grouped_free(other);
    drop(&d);
}

static void reference(void) {
    char line[4096];
    int cases = 0;
    FILE *f = fopen(REFERENCE, "r");
    if (!f || !fgets(line, sizeof line, f)) {
        CHECK(!"the reference is there");
        return;
    }
    for (; fgets(line, sizeof line, f); cases++)
        reference_case(line);
    fclose(f);
    CHECK_INT(cases, 28);
}

/* ---- errors ----------------------------------------------------------------------------- */

static double moment(const struct drawn *d, const float *x) {
    double sum = 0;
    for (int64_t r = 0; r < d->rows; r++)
        for (int64_t i = 0; i < d->cols; i++)
            for (int64_t j = 0; j < d->cols; j++)
                sum += (double)x[r * d->cols + i] * (double)d->h->sum[i * d->cols + j] *
                       (double)x[r * d->cols + j];
    return sum;
}

/* What is reported is what the values give; the values are those of the codes. */
static void reported(void) {
    static float values[70 * 96], e[70 * 96];
    struct drawn d = draw(7, 70, 96, 500);
    struct grouped *out;
    struct gptq_report report = run(&d, &plain, two, &out, values);
    for (int i = 0; i < 70 * 96; i++)
        e[i] = d.w[i] - values[i];
    CHECK_NEAR(report.error / moment(&d, e), 1, 1e-3);
    CHECK_NEAR(report.weight / moment(&d, d.w), 1, 1e-3);
    grouped_values(out, 69, e);
    CHECK(!memcmp(e, values + 69 * 96, 96 * sizeof *e));
    grouped_round(out, d.w);
    for (int r = 0; r < 70; r++)
        grouped_values(out, r, values + r * 96);
    for (int i = 0; i < 70 * 96; i++)
        e[i] = d.w[i] - values[i];
    CHECK_NEAR(report.nearest / moment(&d, e), 1, 1e-3);
    grouped_free(out);
    drop(&d);
}

/* On what was seen GPTQ is ahead of round-to-nearest for every number of bits, and the more
 * correlated it was the more. */
static void ahead_of_nearest(void) {
    static const int bits[] = {2, 3, 4, 8};
    for (int b = 0; b < 4; b++)
        for (int order = 0; order <= 2; order++)
            for (int search = 0; search < 2; search++) {
                struct gptq_options opt = plain;
                double ratio = 0;
                opt.bits = bits[b];
                opt.order = order;
                opt.search = search;
                for (uint64_t seed = 1; seed <= 6; seed++) {
                    struct drawn d = draw(seed, 8, 128, 1000);
                    struct grouped *out;
                    opt.symmetric = (int)seed % 2;
                    struct gptq_report r = run(&d, &opt, two, &out, NULL);
                    ratio += r.error / r.nearest / 6;
                    grouped_free(out);
                    drop(&d);
                }
                CHECK(ratio < 0.5);
            }
}

/* The least error of all codes, on the grid that GPTQ chose. */
static double optimum(const struct drawn *d, const struct grouped *g) {
    int64_t n = d->cols;
    double least = INFINITY;
    for (int all = 0; all < 1 << (2 * n); all++) {
        float e[8];
        for (int64_t c = 0; c < n; c++)
            e[c] = d->w[c] - g->scale[0] * (float)((all >> 2 * c & 3) - g->zero[0]);
        struct drawn row = {.rows = 1, .cols = n, .h = d->h};
        double error = moment(&row, e);
        least = error < least ? error : least;
    }
    return least;
}

static void near_the_optimum(void) {
    struct gptq_options opt = plain;
    double ours = 0, nearest = 0, best = 0;
    opt.bits = 2;
    opt.group = -1;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct drawn d = draw(seed, 1, 6, 3000);
        struct grouped *out;
        struct gptq_report r = run(&d, &opt, one, &out, NULL);
        double least = optimum(&d, out);
        CHECK(r.error > least * 0.999);
        ours += r.error / r.weight;
        nearest += r.nearest / r.weight;
        best += least / r.weight;
        grouped_free(out);
        drop(&d);
    }
    printf("# optimum %.4f, GPTQ %.4f, nearest %.4f\n", best / 30, ours / 30, nearest / 30);
    CHECK(ours < 0.7 * nearest);
    CHECK(ours < 2 * best);
}

/* ---- order ------------------------------------------------------------------------------ */

/* In its own order GPTQ does not mind where columns stood. */
static void permuted(void) {
    enum { ROWS = 5, COLS = 64 };
    struct gptq_options opt = plain;
    struct drawn d = draw(11, ROWS, COLS, 2000);
    struct drawn p = draw(11, ROWS, COLS, 2000);
    struct grouped *a, *b;
    int to[COLS];
    for (int c = 0; c < COLS; c++)
        to[c] = (c * 27 + 5) % COLS;
    for (int i = 0; i < COLS; i++) {
        for (int r = 0; r < ROWS; r++)
            p.w[r * COLS + to[i]] = d.w[r * COLS + i];
        for (int j = 0; j < COLS; j++)
            p.h->sum[to[i] * COLS + to[j]] = d.h->sum[i * COLS + j];
    }
    opt.order = GPTQ_ORDERED_GROUPS;
    opt.group = 16;
    run(&d, &opt, two, &a, NULL);
    run(&p, &opt, two, &b, NULL);
    for (int c = 0; c < COLS; c++) {
        CHECK_INT(a->index[c], b->index[to[c]]);
        for (int r = 0; r < ROWS; r++)
            CHECK_INT(a->code[r * COLS + c], b->code[r * COLS + to[c]]);
    }
    int seen[4] = {0};
    for (int c = 0; c < COLS; c++)
        seen[a->index[c]]++;
    CHECK(seen[0] == 16 && seen[1] == 16 && seen[2] == 16 && seen[3] == 16);
    CHECK_INT(a->index[0], 0);          /* a loud column comes first */
    grouped_free(a);
    grouped_free(b);
    drop(&d);
    drop(&p);
}

/* ---- nothing to go by ------------------------------------------------------------------- */

static void all_nearest(struct drawn *d, const char *what) {
    static const int orders[] = {GPTQ_AS_IS, GPTQ_ORDERED};
    struct grouped *out;
    struct grouped *want = grouped_new(d->rows, d->cols, 4, 32, 1);
    grouped_round(want, d->w);
    for (int i = 0; i < 2; i++) {
        struct gptq_options opt = plain;
        opt.order = orders[i];
        struct gptq_report r = run(d, &opt, two, &out, NULL);
        if (memcmp(out->code, want->code, (size_t)(d->rows * d->cols)))
            printf("# %s\n", what);
        CHECK(!memcmp(out->code, want->code, (size_t)(d->rows * d->cols)));
        CHECK(r.error == r.nearest);
        grouped_free(out);
    }
    grouped_free(want);
}

static void no_rows(void) {
    struct drawn d = draw(3, 66, 40, 1);
    size_t n = 40 * 40;
    memset(d.h->sum, 0, n * sizeof(float));
    all_nearest(&d, "all zero");
    d.h->count = 0;
    all_nearest(&d, "no rows");
    for (size_t i = 0; i < n; i++)
        d.h->sum[i] = i % 41 ? 0 : 3;
    d.h->count = 1000;
    all_nearest(&d, "nothing correlated");
    drop(&d);
}

/* A column that was always zero gets its nearest code, and moves nothing. */
static void dead_column(void) {
    enum { ROWS = 4, COLS = 64 };
    struct drawn d = draw(5, ROWS, COLS, 3000);
    struct drawn without = draw(5, ROWS, COLS, 3000);
    struct grouped *a, *b;
    for (int i = 0; i < COLS; i++)
        d.h->sum[9 * COLS + i] = d.h->sum[i * COLS + 9] = 0;
    memcpy(without.h->sum, d.h->sum, COLS * COLS * sizeof(float));
    for (int r = 0; r < ROWS; r++)
        without.w[r * COLS + 9] = 0;
    run(&d, &plain, two, &a, NULL);
    run(&without, &plain, two, &b, NULL);
    for (int r = 0; r < ROWS; r++) {
        float scale = a->scale[r * 2];
        CHECK_INT(a->code[r * COLS + 9], grouped_code(d.w[r * COLS + 9], scale, 8, 4));
        for (int c = 10; c < COLS; c++)
            CHECK_INT(a->code[r * COLS + c], b->code[r * COLS + c]);
    }
    grouped_free(a);
    grouped_free(b);
    drop(&d);
    drop(&without);
}

/* ---- blocks ----------------------------------------------------------------------------- */

/* For every block type: values are those of the blocks, and the error is below that of the type's
 * own quantizer, in both orders; two threads give the same bytes. */
static void native(int type) {
    enum { ROWS = 70, COLS = 768 };
    static float w[ROWS * COLS], values[ROWS * COLS];
    struct drawn d = draw(21, ROWS, COLS, 4000);
    size_t bytes = kern_row_bytes(type, ROWS * COLS);
    char *blocks = mem_alloc(bytes);
    char *other = mem_alloc(bytes);
    struct err err;
    for (int order = 0; order < 2; order++) {
        struct gptq_options opt = {.order = order, .damp = 0.01, .kern = kern};
        struct gptq_target to = {.type = type, .blocks = other};
        struct gptq_report report;
        struct gptq_plan *p = gptq_plan_new(d.h, &opt, &err);
        memcpy(w, d.w, sizeof w);
        gptq_matrix(p, one, w, ROWS, &to, &report);
        to.blocks = blocks;
        memcpy(w, d.w, sizeof w);
        gptq_matrix(p, two, w, ROWS, &to, &report);
        CHECK(!memcmp(blocks, other, bytes));
        kern_dequantize(type, blocks, values, ROWS * COLS);
        CHECK(!memcmp(values, w, sizeof w));
        printf("# order %d: %.5f, its own quantizer %.5f\n", order, report.error / report.weight,
               report.nearest / report.weight);
        CHECK(report.error < 0.6 * report.nearest);
        gptq_plan_free(p);
    }
    free(other);
    free(blocks);
    drop(&d);
}

static void natives(void) {
    for (int t = 0; t < KERN_TYPES; t++) {
        const struct kern_type_info *info = kern_type_info(t);
        if (info && info->block > 1)
            RUN_NAMED(info->name, native(t));
    }
}

int main(void) {
    struct err err = {""};
    blas = blas_load(&err);
    kern = kern_select(NULL, NULL);
    one = par_new(1);
    two = par_new(2);
    CHECK_STR(err.text, "");
    RUN(reference);
    RUN(reported);
    RUN(ahead_of_nearest);
    RUN(near_the_optimum);
    RUN(permuted);
    RUN(no_rows);
    RUN(dead_column);
    natives();
    par_free(one);
    par_free(two);
    return check_done();
}
