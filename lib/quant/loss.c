/* loss.c - see loss.h */
#include "lib/quant/loss.h"

#include <stdlib.h>

#include "lib/base/mem.h"

void loss_add(const struct kern *k, int type, const float *w, int64_t rows, int64_t cols,
              const float *importance, double weight, void *block, float *back, struct loss *sum) {
    double error = 0;
    double energy = 0;
    k->quantize(type, w, block, rows, cols, importance);
    k->dequantize(type, block, back, rows * cols);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            double v = (double)w[r * cols + c];
            double d = v - (double)back[r * cols + c];
            double weigh = importance ? (double)importance[c] : 1;
            error += weigh * d * d;
            energy += weigh * v * v;
        }
    sum->error += weight * error;
    sum->energy += weight * energy;
}

const float *loss_weigh(const struct imatrix_entry *e, int64_t mat, int64_t mats, float *room,
                        double *weight) {
    *weight = e && mats > 1 ? (double)e->count[mat] + 1 : 1;
    return e && !imatrix_mean(e, mat, room) ? room : NULL;
}

double loss_relative(const struct loss *l) {
    return l->energy == 0 ? 0 : l->error / l->energy;
}

/* Rows of one matrix, `step` apart, so many at a time. */
#define SLICE 64

struct sampler {
    struct source *s;
    uint64_t i;
    const struct imatrix_entry *entry;      /* NULL: none, or of another shape */
    const struct kern *k;
    const int *type;
    int n;
    int64_t cols, rows, step;               /* of one matrix */
    int64_t mats;
    float *w, *back, *importance;
    void *block;
    struct loss *sum;                       /* [n] */
};

static int sample_matrix(struct sampler *p, int64_t mat, struct err *err) {
    double weight;
    const float *importance = loss_weigh(p->entry, mat, p->mats, p->importance, &weight);
    int64_t row = 0;
    while (row < p->rows) {
        int64_t n = 0;
        for (; n < SLICE && row < p->rows; n++, row += p->step)
            if (source_rows(p->s, p->i, mat * p->rows + row, 1, p->w + n * p->cols, err))
                return -1;
        for (int t = 0; t < p->n; t++)
            loss_add(p->k, p->type[t], p->w, n, p->cols, importance, weight, p->block, p->back,
                     &p->sum[t]);
    }
    return 0;
}

static const struct imatrix_entry *entry_of(const struct source_tensor *t,
                                            const struct imatrix *m) {
    const struct imatrix_entry *e = m ? imatrix_find(m, t->name) : NULL;
    return e && e->cols == t->ne[0] && e->mats == t->ne[2] * t->ne[3] ? e : NULL;
}

int loss_tensor(struct source *s, uint64_t i, const struct imatrix *m, const struct kern *k,
                const int *type, int n, double *out, struct err *err) {
    const struct source_tensor *t = &s->tensor[i];
    struct sampler p = {.s = s, .i = i, .entry = entry_of(t, m), .k = k, .type = type, .n = n,
                        .cols = t->ne[0], .rows = t->ne[1], .mats = t->ne[2] * t->ne[3]};
    int64_t elements = t->rows * p.cols;
    p.step = (elements + LOSS_SAMPLE - 1) / LOSS_SAMPLE;
    p.w = mem_array((size_t)(SLICE * p.cols), sizeof *p.w);
    p.back = mem_array((size_t)(SLICE * p.cols), sizeof *p.back);
    p.block = mem_array((size_t)(SLICE * p.cols), sizeof(float));
    p.importance = mem_array((size_t)p.cols, sizeof *p.importance);
    p.sum = mem_array((size_t)n, sizeof *p.sum);
    int status = 0;
    for (int64_t mat = 0; mat < p.mats && !status; mat++)
        status = sample_matrix(&p, mat, err);
    for (int a = 0; a < n; a++)
        out[a] = loss_relative(&p.sum[a]);
    s->ops->drop(s, i, 0, t->rows);
    free(p.w);
    free(p.back);
    free(p.block);
    free(p.importance);
    free(p.sum);
    return status;
}
