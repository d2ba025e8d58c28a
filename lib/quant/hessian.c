/* hessian.c - second moments and their factor, see hessian.h
 *
 * H^-1 = U^T U is had without the inverse: with J the reversal of rows, J H J = L L^T gives
 * H = R R^T for the upper R = J L J, hence U = R^-1 = J L^-1 J. One factor and one triangular
 * inverse, where the usual way takes two factors and a full inverse.
 */
#include "lib/quant/hessian.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define TILE 256                /* columns of a thread's piece of work */
#define MOST_WAITING 512
/* Tokens of a text depend on each other: so many are worth one drawn alone. Measured on the
 * embedded model, 3 bits on 3 chunks of 512 tokens: KL 0.073 with 0.3, 0.064 with 1, 0.059 with
 * 3. */
#define DEPENDENT 3
#define MOST_DAMP 1e6           /* in units of the mean: the rest is round-to-nearest */

static size_t matrix_bytes(const struct hessian *h) {
    return (size_t)h->cols * (size_t)h->cols * sizeof *h->sum;
}

struct hessian *hessian_new(int64_t cols, const struct blas *blas, struct err *err) {
    struct hessian *h = mem_alloc(sizeof *h);
    *h = (struct hessian){.cols = cols, .blas = blas};
    h->room = cols / 8 < MOST_WAITING ? cols / 8 + 1 : MOST_WAITING;
    h->sum = mem_map(matrix_bytes(h));
    h->wait = mem_array((size_t)(h->room * cols), sizeof *h->wait);
    if (h->sum)
        return h;
    err_set(err, "no memory for second moments of %lld columns, %zu MB", (long long)cols,
            matrix_bytes(h) / 1000000);
    hessian_free(h);
    return NULL;
}

void hessian_free(struct hessian *h) {
    if (!h)
        return;
    if (h->sum)
        mem_unmap(h->sum, matrix_bytes(h));
    free(h->wait);
    free(h);
}

/* ---- sums ------------------------------------------------------------------------------- */

struct rows_job {
    struct hessian *h;
    const float *x;             /* [n][cols] */
    int64_t n;
};

static int64_t tiles(const struct hessian *h) {
    return (h->cols + TILE - 1) / TILE;
}

/* Rows i and columns j of H, in tiles; i >= j. */
static void add_tile(const struct rows_job *job, int64_t i, int64_t j) {
    struct hessian *h = job->h;
    int64_t row = i * TILE;
    int64_t col = j * TILE;
    int cols = (int)h->cols;
    int rows = (int)(h->cols - row < TILE ? h->cols - row : TILE);
    float *out = h->sum + row * h->cols + col;
    if (i == j)
        h->blas->ssyrk(CblasRowMajor, CblasLower, CblasTrans, rows, (int)job->n, 1, job->x + row,
                       cols, 1, out, cols);
    else
        h->blas->sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, rows, TILE, (int)job->n, 1,
                       job->x + row, cols, job->x + col, cols, 1, out, cols);
}

static void add_tiles(void *arg, int ith, int nth) {
    const struct rows_job *job = arg;
    int64_t k = 0;
    for (int64_t i = 0; i < tiles(job->h); i++)
        for (int64_t j = 0; j <= i; j++)
            if (k++ % nth == ith)
                add_tile(job, i, j);
}

static void add_rows(struct hessian *h, struct par *par, const float *x, int64_t n) {
    struct rows_job job = {h, x, n};
    if (n == 0)
        return;
    if (tiles(h) == 1)
        add_tiles(&job, 0, 1);
    else
        par_run(par, add_tiles, &job);
}

/* Few rows wait for more, since a product adds to all of H whatever their number; many go at
 * once. */
void hessian_add(struct hessian *h, struct par *par, const float *x, int64_t n) {
    h->count += n;
    if (h->waiting + n > h->room) {
        add_rows(h, par, h->wait, h->waiting);
        h->waiting = 0;
    }
    if (n > h->room) {
        add_rows(h, par, x, n);
        return;
    }
    memcpy(h->wait + h->waiting * h->cols, x, (size_t)(n * h->cols) * sizeof *x);
    h->waiting += n;
}

void hessian_finish(struct hessian *h, struct par *par) {
    add_rows(h, par, h->wait, h->waiting);
    h->waiting = 0;
    for (int64_t i = 0; i < h->cols; i++)
        for (int64_t j = 0; j < i; j++)
            h->sum[j * h->cols + i] = h->sum[i * h->cols + j];
}

/* ---- shrinkage -------------------------------------------------------------------------- */

/* How far the moments of `count` rows are to be drawn to the mean of their diagonal, 0 to 1: the
 * oracle approximating shrinkage of Chen, Wiesel, Eldar and Hero ("Shrinkage algorithms for MMSE
 * covariance estimation", IEEE TSP 58, 2010, eq. 23), for a third of the rows, as tokens of a text
 * are not independent. 1 without rows. */
static double shrinkage(const struct hessian *h) {
    double p = (double)h->cols;
    double n = (double)h->count / DEPENDENT;
    double trace = 0;
    double squares = 0;         /* trace of H * H */
    for (int64_t i = 0; i < h->cols; i++) {
        const float *row = h->sum + i * h->cols;
        double sum = 0;
        for (int64_t j = 0; j < h->cols; j++)
            sum += (double)row[j] * (double)row[j];
        trace += (double)row[i];
        squares += sum;
    }
    double above = (1 - 2 / p) * squares + trace * trace;
    double below = (n + 1 - 2 / p) * (squares - trace * trace / p);
    return n > 0 && above < below ? above / below : 1;
}

/* ---- factor ----------------------------------------------------------------------------- */

/* a = H' + add * I, by rows and columns from the last to the first. */
static void reversed(const struct hessian *h, const int32_t *order, double add, float *a) {
    int64_t n = h->cols;
    for (int64_t i = 0; i < n; i++) {
        const float *row = h->sum + (order ? order[n - 1 - i] : n - 1 - i) * n;
        for (int64_t j = 0; j <= i; j++)
            a[i * n + j] = row[order ? order[n - 1 - j] : n - 1 - j];
        a[i * n + i] = (float)((double)a[i * n + i] + add);
    }
}

/* Turns L^-1 (the lower half of a) into U = J L^-1 J, and clears what is below the diagonal. */
static void turn_round(float *a, int64_t n) {
    for (int64_t i = 0, j = n * n - 1; i < j; i++, j--) {
        float kept = a[i];
        a[i] = a[j];
        a[j] = kept;
    }
    for (int64_t i = 1; i < n; i++)
        memset(a + i * n, 0, (size_t)i * sizeof *a);
}

static int finite_upper(const float *u, int64_t n) {
    float sum = 0;              /* times zero: NaN where one is not finite */
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++)
            sum += u[i * n + j] * 0;
    for (int64_t i = 0; i < n; i++)
        if (!(u[i * n + i] > 0))
            return 0;
    return isfinite(sum);
}

static int factor_once(const struct hessian *h, const int32_t *order, double add, float *u) {
    int n = (int)h->cols;
    int info;
    reversed(h, order, add, u);
    h->blas->spotrf("U", &n, u, &n, &info, 1);
    if (info == 0)
        h->blas->strtri("U", "N", &n, u, &n, &info, 1, 1);
    if (info)
        return -1;
    turn_round(u, n);
    return finite_upper(u, n) ? 0 : -1;
}

int hessian_factor(const struct hessian *h, const int32_t *order, double damp, float *u,
                   struct hessian_found *found, struct err *err) {
    double trace = 0;
    *found = (struct hessian_found){.damp = damp, .shrink = 1};
    if (!h->blas->spotrf)
        return err_set(err, "OpenBLAS has no LAPACK (spotrf, strtri), which GPTQ needs");
    for (int64_t i = 0; i < h->cols; i++) {
        trace += (double)h->sum[i * h->cols + i];
        found->dead += h->sum[i * h->cols + i] == 0;
    }
    double mean = trace / (double)h->cols;
    if (h->count == 0 || !(mean > 0) || !isfinite(mean))
        return 1;
    found->shrink = shrinkage(h);
    if (found->shrink >= 1)
        return 1;
    double asked = found->shrink / (1 - found->shrink);
    found->damp = damp > asked ? damp : asked;
    while (factor_once(h, order, found->damp * mean, u)) {
        found->damp = found->damp > 0 ? found->damp * 10 : 1e-6;
        found->retries++;
        if (found->damp > MOST_DAMP)
            return 1;
    }
    return 0;
}
