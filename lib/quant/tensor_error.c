/* tensor_error.c - how far the values of a tensor are from another's, see tensor_error.h
 *
 * The work is cut into pieces of rows whose size depends on the tensor alone; each piece has sums
 * of its own, which are added up in order.
 */
#include "lib/quant/tensor_error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kern.h"
#include "lib/base/mem.h"

#define PIECE 65536             /* elements of a piece, or one row */

typedef double pair __attribute__((vector_size(16)));
typedef long long bits __attribute__((vector_size(16)));
typedef float floats __attribute__((vector_size(8), aligned(4)));

/* ---- sums ------------------------------------------------------------------------------- */

static void add_element(struct tensor_error *e, double x, double y, double w) {
    double d = x - y;
    if (!isfinite(d)) {
        e->broken++;
        return;
    }
    e->n++;
    e->error += d * d;
    e->square += x * x;
    e->other += y * y;
    e->product += x * y;
    e->most = fabs(d) > e->most ? fabs(d) : e->most;
    e->weighted_error += w * d * d;
    e->weighted_square += w * x * x;
}

/* Two columns abreast; -1 where something is not finite, then nothing was added. */
static int add_pairs(struct tensor_error *e, const float *x, const float *y, const float *w,
                     int64_t n) {
    pair error = {0}, square = {0}, other = {0}, product = {0}, most = {0};
    pair weighted_error = {0}, weighted_square = {0};
    const bits positive = {INT64_MAX, INT64_MAX};
    for (int64_t i = 0; i < n; i += 2) {
        pair a = __builtin_convertvector(*(const floats *)(x + i), pair);
        pair b = __builtin_convertvector(*(const floats *)(y + i), pair);
        pair d = a - b;
        pair size = (pair)((bits)d & positive);
        bits more = (bits)(size > most);
        most = (pair)(((bits)size & more) | ((bits)most & ~more));
        error += d * d;
        square += a * a;
        other += b * b;
        product += a * b;
        if (w) {
            pair v = __builtin_convertvector(*(const floats *)(w + i), pair);
            weighted_error += v * d * d;
            weighted_square += v * a * a;
        }
    }
    if (!isfinite(error[0] + error[1]))
        return -1;
    e->n += n;
    e->error += error[0] + error[1];
    e->square += square[0] + square[1];
    e->other += other[0] + other[1];
    e->product += product[0] + product[1];
    e->most = fmax(e->most, fmax(most[0], most[1]));
    e->weighted_error += w ? weighted_error[0] + weighted_error[1] : error[0] + error[1];
    e->weighted_square += w ? weighted_square[0] + weighted_square[1] : square[0] + square[1];
    return 0;
}

/* w: importance of the columns, or NULL. */
static void add_row(struct tensor_error *e, const float *x, const float *y, const float *w,
                    int64_t n) {
    int64_t even = n / 2 * 2;
    int64_t done = add_pairs(e, x, y, w, even) ? 0 : even;
    for (int64_t i = done; i < n; i++)
        add_element(e, (double)x[i], (double)y[i], w ? (double)w[i] : 1);
}

void tensor_error_add(struct tensor_error *into, const struct tensor_error *from) {
    into->n += from->n;
    into->broken += from->broken;
    into->same &= from->same;
    into->error += from->error;
    into->square += from->square;
    into->other += from->other;
    into->product += from->product;
    into->most = fmax(into->most, from->most);
    into->weighted_error += from->weighted_error;
    into->weighted_square += from->weighted_square;
}

double tensor_error_rmse(const struct tensor_error *e) {
    return e->n ? sqrt(e->error / (double)e->n) : NAN;
}

double tensor_error_relative(const struct tensor_error *e) {
    return e->square > 0 ? sqrt(e->error / e->square) : NAN;
}

double tensor_error_weighted(const struct tensor_error *e) {
    return e->weighted_square > 0 ? sqrt(e->weighted_error / e->weighted_square) : NAN;
}

double tensor_error_cosine(const struct tensor_error *e) {
    double norms = sqrt(e->square) * sqrt(e->other);
    if (e->n && e->error == 0 && norms > 0)
        return 1;
    return norms > 0 ? e->product / norms : NAN;
}

double tensor_error_snr(const struct tensor_error *e) {
    return e->square > 0 ? 10 * log10(e->square / e->error) : NAN;
}

int tensor_error_alike(const struct source_tensor *a, const struct source_tensor *b) {
    return !memcmp(a->ne, b->ne, sizeof a->ne);
}

/* ---- pieces ------------------------------------------------------------------------------- */

struct work {
    struct source *source[2];
    uint64_t tensor[2];
    int64_t rows, cols, piece;  /* rows of a piece */
    int64_t pieces;
    int values;                 /* both can be read; else bytes are compared, no more */
    const float *weight;        /* [mats][cols] */
    int64_t mat_rows;
    struct tensor_error *sum;   /* [pieces] */
    struct err *err;            /* [threads] */
    int *failed;                /* [threads] */
};

/* value: of both, for sources whose rows do not lie as their bytes. */
static int same_bytes(const struct work *w, int64_t first, int64_t n, float *const value[2]) {
    const void *bytes[2];
    const struct source_tensor *t = &w->source[0]->tensor[w->tensor[0]];
    if (t->type != w->source[1]->tensor[w->tensor[1]].type)
        return 0;
    for (int s = 0; s < 2; s++)
        bytes[s] = w->source[s]->ops->raw(w->source[s], w->tensor[s], first, n);
    if (bytes[0] && bytes[1])
        return !memcmp(bytes[0], bytes[1], t->bytes / (size_t)t->rows * (size_t)n);
    return w->values && !memcmp(value[0], value[1],
                                (size_t)(n * w->cols) * sizeof *value[0]);
}

static int run_piece(const struct work *w, int64_t p, float *room[2], struct err *err) {
    int64_t first = p * w->piece;
    int64_t n = w->rows - first < w->piece ? w->rows - first : w->piece;
    struct tensor_error *e = &w->sum[p];
    for (int s = 0; s < 2 && w->values; s++)
        if (source_rows(w->source[s], w->tensor[s], first, n, room[s], err))
            return -1;
    e->same = same_bytes(w, first, n, room);
    for (int64_t r = 0; r < n && w->values; r++) {
        const float *weight = w->weight
            ? w->weight + (first + r) / w->mat_rows * w->cols : NULL;
        add_row(e, room[0] + r * w->cols, room[1] + r * w->cols, weight, w->cols);
    }
    for (int s = 0; s < 2; s++)
        w->source[s]->ops->drop(w->source[s], w->tensor[s], first, n);
    return 0;
}

static void run_share(void *arg, int ith, int nth) {
    struct work *w = arg;
    size_t elements = (size_t)w->piece * (size_t)w->cols;
    float *room[2] = {mem_array(elements, sizeof *room[0]), mem_array(elements, sizeof *room[1])};
    for (int64_t p = ith; p < w->pieces && !w->failed[ith]; p += nth)
        w->failed[ith] = run_piece(w, p, room, &w->err[ith]);
    free(room[0]);
    free(room[1]);
}

/* [mats][cols] of an entry that fits; NULL: it does not, or there is none. */
static float *weights_of(const struct imatrix_entry *e, int64_t rows, int64_t cols) {
    if (!e || e->cols != cols || e->mats < 1 || rows % e->mats)
        return NULL;
    float *w = mem_array((size_t)(e->mats * cols), sizeof *w);
    for (int64_t m = 0; m < e->mats; m++)
        if (imatrix_mean(e, m, w + m * cols))
            for (int64_t c = 0; c < cols; c++)
                w[m * cols + c] = 1;
    return w;
}

static int run_pieces(struct work *w, struct par *par, struct tensor_error *out,
                      struct err *err) {
    int threads = par_threads(par);
    int rc = 0;
    w->sum = mem_array((size_t)w->pieces, sizeof *w->sum);
    w->err = mem_array((size_t)threads, sizeof *w->err);
    w->failed = mem_array((size_t)threads, sizeof *w->failed);
    par_run(par, run_share, w);
    for (int t = 0; t < threads && !rc; t++)
        rc = w->failed[t] ? err_set(err, "%s", w->err[t].text) : 0;
    *out = (struct tensor_error){.same = 1};
    for (int64_t p = 0; p < w->pieces; p++)
        tensor_error_add(out, &w->sum[p]);
    free(w->sum);
    free(w->err);
    free(w->failed);
    return rc;
}

int tensor_error(struct source *a, uint64_t i, struct source *b, uint64_t j,
                 const struct imatrix_entry *importance, struct par *par,
                 struct tensor_error *out, struct err *err) {
    const struct source_tensor *x = &a->tensor[i];
    const struct source_tensor *y = &b->tensor[j];
    if (!tensor_error_alike(x, y))
        return err_set(err, "%s: tensor \"%s\": expected the shape that it has in %s", b->path,
                       y->name, a->path);
    struct work w = {.source = {a, b}, .tensor = {i, j}, .rows = x->rows, .cols = x->ne[0],
                     .values = kern_type_info(x->type) && kern_type_info(y->type)};
    w.piece = w.cols >= PIECE ? 1 : PIECE / w.cols;
    w.piece = w.piece < w.rows ? w.piece : w.rows;
    w.pieces = (w.rows + w.piece - 1) / w.piece;
    float *weights = weights_of(importance, w.rows, w.cols);
    w.weight = weights;
    w.mat_rows = weights ? w.rows / importance->mats : w.rows;
    int rc = run_pieces(&w, par, out, err);
    if (!rc && !w.values && !out->same)
        rc = err_set(err, "%s: tensor \"%s\": no kernel reads %s", kern_type_info(x->type)
                     ? b->path : a->path, x->name,
                     gguf_type_name(kern_type_info(x->type) ? y->type : x->type));
    free(weights);
    return rc;
}
