/* test_hessian.c - lib/quant/hessian: sums however rows come, and the factor of the inverse */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/hessian.h"
#include "tests/check.h"
#include "tests/random.h"

static const struct blas *blas;
static struct par *one, *two;

static float unit(void) {
    return (float)(below(2001) - 1000) / 1000;
}

/* Rows of few directions and some noise. */
static void draw_rows(float *x, int64_t n, int64_t cols, int directions) {
    float *mix = mem_array((size_t)(directions * cols), sizeof *mix);
    for (int64_t i = 0; i < directions * cols; i++)
        mix[i] = unit();
    for (int64_t r = 0; r < n; r++) {
        for (int64_t c = 0; c < cols; c++)
            x[r * cols + c] = 0.3f * unit();
        for (int k = 0; k < directions; k++) {
            float z = unit();
            for (int64_t c = 0; c < cols; c++)
                x[r * cols + c] += z * mix[k * cols + c];
        }
    }
    free(mix);
}

static struct hessian *made_of(const float *x, int64_t n, int64_t cols, struct par *par) {
    struct err err;
    struct hessian *h = hessian_new(cols, blas, &err);
    int64_t sizes[] = {1, 7, 100, 600, 3};
    for (int64_t r = 0, k = 0; r < n; k++) {
        int64_t some = sizes[k % 5] < n - r ? sizes[k % 5] : n - r;
        hessian_add(h, par, x + r * cols, some);
        r += some;
    }
    hessian_finish(h, par);
    return h;
}

/* Elements within 2e-6 of sqrt(H_ii H_jj) of sums in double, and the same bits by two threads. */
static void sums(int64_t cols, int64_t n) {
    float *x = mem_array((size_t)(n * cols), sizeof *x);
    state = (uint64_t)cols;
    draw_rows(x, n, cols, 4);
    struct hessian *h = made_of(x, n, cols, one);
    struct hessian *other = made_of(x, n, cols, two);
    CHECK_INT(h->count, n);
    CHECK(!memcmp(h->sum, other->sum, (size_t)(cols * cols) * sizeof *h->sum));
    double worst = 0;
    for (int turn = 0; turn < 3000; turn++) {
        int64_t i = below((int)cols);
        int64_t j = below((int)cols);
        double sum = 0, ii = 0, jj = 0;
        for (int64_t r = 0; r < n; r++) {
            double a = (double)x[r * cols + i];
            double b = (double)x[r * cols + j];
            sum += a * b;
            ii += a * a;
            jj += b * b;
        }
        double off = fabs((double)h->sum[i * cols + j] - sum) / sqrt(ii * jj);
        worst = off > worst ? off : worst;
    }
    CHECK(worst < 2e-6);
    hessian_free(h);
    hessian_free(other);
    free(x);
}

/* U (H' + damp) U^T = I, which is what U^T U = (H' + damp)^-1 says. */
static void factor(int64_t cols, int64_t n, int ordered) {
    float *x = mem_array((size_t)(n * cols), sizeof *x);
    float *u = mem_array((size_t)(cols * cols), sizeof *u);
    int32_t *order = mem_array((size_t)cols, sizeof *order);
    struct hessian_found found;
    struct err err;
    state = (uint64_t)(cols + n);
    draw_rows(x, n, cols, 4);
    for (int64_t j = 0; j < cols; j++)
        order[j] = (int32_t)(ordered ? cols - 1 - j : j);
    struct hessian *h = made_of(x, n, cols, two);
    CHECK_INT(hessian_factor(h, ordered ? order : NULL, 0.01, u, &found, &err), 0);
    CHECK_INT(found.dead, 0);
    CHECK_INT(found.retries, 0);
    double mean = 0;
    for (int64_t j = 0; j < cols; j++)
        mean += (double)h->sum[j * cols + j] / (double)cols;
    for (int turn = 0; turn < 200; turn++) {
        int64_t i = below((int)cols);
        int64_t j = turn % 2 ? below((int)cols) : i;
        double sum = 0;
        for (int64_t a = i; a < cols; a++)
            for (int64_t b = j; b < cols; b++) {
                double m = (double)h->sum[order[a] * cols + order[b]];
                m += a == b ? found.damp * mean : 0;
                sum += (double)u[i * cols + a] * m * (double)u[j * cols + b];
            }
        CHECK_NEAR(sum, i == j, 2e-3);
    }
    for (int64_t i = 1; i < cols; i++)
        CHECK(u[i * cols + i - 1] == 0);
    hessian_free(h);
    free(order);
    free(u);
    free(x);
}

/* Few rows: more damping, and none at all where there is nothing to go by. */
static void few_rows(void) {
    enum { COLS = 64, MOST = 4096 };
    static float x[MOST * COLS], u[COLS * COLS];
    struct hessian_found found;
    struct err err;
    double before = 1;
    state = 3;
    draw_rows(x, MOST, COLS, 4);
    for (int n = 16; n <= MOST; n *= 4) {
        struct hessian *h = made_of(x, n, COLS, one);
        CHECK_INT(hessian_factor(h, NULL, 0, u, &found, &err), 0);
        CHECK(found.shrink < before);
        CHECK_NEAR(found.damp, found.shrink / (1 - found.shrink), 1e-12);
        before = found.shrink;
        hessian_free(h);
    }
    CHECK(before < 0.01);
    struct hessian *h = made_of(x, 0, COLS, one);
    CHECK_INT(hessian_factor(h, NULL, 0.01, u, &found, &err), 1);
    hessian_free(h);
    memset(x, 0, COLS * sizeof *x);
    h = made_of(x, 1, COLS, one);
    CHECK_INT(hessian_factor(h, NULL, 0.01, u, &found, &err), 1);
    CHECK_INT(found.dead, COLS);
    hessian_free(h);
    x[5] = NAN;
    h = made_of(x, 1, COLS, one);
    CHECK_INT(hessian_factor(h, NULL, 0.01, u, &found, &err), 1);
    hessian_free(h);
    x[5] = 1e25f;               /* its square is infinite */
    h = made_of(x, 1, COLS, one);
    CHECK_INT(hessian_factor(h, NULL, 0.01, u, &found, &err), 1);
    hessian_free(h);
}

/* Two equal columns, a dead one, no damping wanted: it is raised until there is a factor. */
static void singular(void) {
    enum { COLS = 48, N = 20000 };
    static float x[N * COLS], u[COLS * COLS];
    struct hessian_found found;
    struct err err;
    state = 4;
    draw_rows(x, N, COLS, 1);
    for (int r = 0; r < N; r++) {
        x[r * COLS + 7] = x[r * COLS + 6];
        x[r * COLS + 9] = 0;
    }
    struct hessian *h = made_of(x, N, COLS, one);
    for (int64_t i = 0; i < COLS * COLS; i++)
        h->sum[i] = i % (COLS + 1) ? h->sum[i] * 1.5f : h->sum[i];     /* not even definite */
    CHECK_INT(hessian_factor(h, NULL, 0, u, &found, &err), 0);
    CHECK(found.retries > 0);
    CHECK_INT(found.dead, 1);
    for (int64_t j = 0; j < COLS; j++) {
        CHECK(u[j * COLS + j] > 0 && isfinite(u[j * COLS + j]));
        CHECK(j == 9 || (u[9 * COLS + j] == 0 && (j > 9 || u[j * COLS + 9] == 0)));
    }
    hessian_free(h);
}

int main(void) {
    struct err err = {""};
    blas = blas_load(&err);
    one = par_new(1);
    two = par_new(2);
    CHECK_STR(err.text, "");
    RUN_NAMED("sums of 40 columns", sums(40, 3000));
    RUN_NAMED("sums of 640 columns", sums(640, 2000));
    RUN_NAMED("factor of 2 columns", factor(2, 5000, 0));
    RUN_NAMED("factor of 40 columns", factor(40, 3000, 0));
    RUN_NAMED("factor of 300 columns, in another order", factor(300, 3000, 1));
    RUN(few_rows);
    RUN(singular);
    par_free(one);
    par_free(two);
    return check_done();
}
