/* gptq_matrix.c - one matrix of a model: read, quantized, stored, see gptq_model_impl.h */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/quant/gptq_model_impl.h"

/* Floats of a portion of rows: a head of 262,144 rows comes in several. Slabs and panels stay
 * whole. */
#define PORTION (64 << 20)
#define PORTION_ROWS 128

/* ---- rows by all threads ---------------------------------------------------------------- */

struct rows_job {
    struct gptq_model *m;
    uint64_t tensor;
    int64_t first, rows, cols;  /* of the tensor */
    float *w;                   /* [rows][cols] */
    int type;
    struct err *err;            /* [threads] */
    int *failed;                /* [threads] */
};

static int check_rows(const struct rows_job *job, int64_t begin, int64_t end, struct err *err) {
    for (int64_t r = begin; r < end; r++)
        for (int64_t c = 0; c < job->cols; c++)
            if (!isfinite(job->w[r * job->cols + c]))
                return err_set(err, "%s: tensor \"%s\": row %" PRId64 ", column %" PRId64
                               ": expected a finite number, found %g", job->m->opt.source->path,
                               job->m->opt.source->tensor[job->tensor].name, job->first + r, c,
                               (double)job->w[r * job->cols + c]);
    return 0;
}

static void read_part(void *arg, int ith, int nth) {
    struct rows_job *job = arg;
    struct source *s = job->m->opt.source;
    int64_t begin = job->rows * ith / nth;
    int64_t end = job->rows * (ith + 1) / nth;
    if (begin == end)
        return;
    job->failed[ith] = source_rows(s, job->tensor, job->first + begin, end - begin,
                                   job->w + begin * job->cols, &job->err[ith]) ||
                       check_rows(job, begin, end, &job->err[ith]);
    s->ops->drop(s, job->tensor, job->first + begin, end - begin);
}

static int read_rows(struct rows_job *job, struct err *err) {
    int n = par_threads(job->m->opt.par);
    int rc = 0;
    job->err = mem_array((size_t)n, sizeof *job->err);
    job->failed = mem_array((size_t)n, sizeof *job->failed);
    par_run(job->m->opt.par, read_part, job);
    for (int i = n - 1; i >= 0; i--)
        if (job->failed[i])
            rc = err_set(err, "%s", job->err[i].text);
    free(job->failed);
    free(job->err);
    return rc;
}

/* ---- a matrix --------------------------------------------------------------------------- */

/* Rows of a tensor, which are floats in w, into their slot. inside: which of its matrices. */
static void quantize_rows(struct rows_job *job, int64_t inside, const struct gptq_plan *p,
                          struct gptq_report *sum) {
    struct gptq_model *m = job->m;
    const struct gptq_options *o = &m->opt.gptq;
    struct gptq_slot *slot = &m->slot[job->tensor];
    struct gptq_report report;
    struct gptq_target to = {.type = job->type};
    char *out = NULL;
    if (slot->data)
        out = slot->data + (size_t)job->first * kern_row_bytes(job->type, job->cols);
    if (m->opt.native && out)
        to.blocks = out;
    else
        to.grouped = grouped_new(job->rows, job->cols, o->bits, o->group, o->symmetric);
    gptq_matrix(p, m->opt.par, job->w, job->rows, &to, &report);
    sum->weight += report.weight;
    sum->error += report.error;
    sum->nearest += report.nearest;
    if (slot->grouped) {
        slot->grouped[inside] = to.grouped;
        return;
    }
    if (to.grouped)
        grouped_store_all(to.grouped, job->type, o->kern, m->opt.par, out);
    grouped_free(to.grouped);
}

static int64_t portion(const struct gptq_model *m, const struct kern_weight *w) {
    int64_t rows = PORTION / w->cols / PORTION_ROWS * PORTION_ROWS;
    if (m->opt.type == NULL || rows >= w->rows)
        return w->rows;
    return rows ? rows : PORTION_ROWS;
}

static size_t offset_of(const struct gptq_model *m, int layer, const struct kern_weight *w) {
    return (size_t)((const char *)w - (const char *)&m->opt.model->layer[layer]);
}

static int run_portions(struct rows_job *job, int layer, const struct kern_weight *w, int64_t mat,
                        int64_t inside, const struct gptq_plan *p, struct layer_weights *next,
                        struct gptq_report *sum, struct err *err) {
    const struct gptq_model_options *o = &job->m->opt;
    int64_t most = portion(job->m, w);
    for (int64_t r = 0; r < w->rows; r += most) {
        job->first = inside * w->rows + r;
        job->rows = w->rows - r < most ? w->rows - r : most;
        if (read_rows(job, err))
            return -1;
        quantize_rows(job, inside, p, sum);
        struct layer_values v = {.mat = mat, .first = r, .rows = job->rows, .value = job->w};
        if (next && layer_weights_set(next, &o->model->layer[layer], offset_of(job->m, layer, w),
                                     &v, o->gptq.kern, o->par, err))
            return -1;
    }
    return 0;
}

int gptq_matrix_run(struct gptq_model *m, int layer, const struct kern_weight *w, int64_t mat,
                    const struct gptq_plan *p, int64_t tokens, struct layer_weights *next,
                    struct err *err) {
    int64_t start = clock_ns();
    int64_t inside;
    int64_t i = layer_weight_tensor(m->opt.model, m->opt.source, w, mat, &inside);
    struct rows_job job = {.m = m, .tensor = (uint64_t)i, .cols = w->cols,
                           .type = m->opt.type ? m->opt.type[i] : -1};
    size_t bytes = (size_t)(portion(m, w) * w->cols) * sizeof *job.w;
    struct gptq_row row = {
        .layer = layer < m->opt.model->shape->layers ? layer : -1,
        .tensor = m->opt.source->tensor[i].name, .expert = w->mats > 1 ? (int)mat : -1,
        .type = job.type, .rows = w->rows, .cols = w->cols, .tokens = tokens,
        .found = *gptq_plan_found(p), .nearest = gptq_plan_nearest(p)};
    job.w = mem_map(bytes);
    if (!job.w)
        return err_set(err, "no memory for a matrix in floats, %zu MB", bytes / 1000000);
    int rc = run_portions(&job, layer, w, mat, inside, p, next, &row.report, err);
    mem_unmap(job.w, bytes);
    row.ms = (double)(clock_ns() - start) / 1e6;
    if (!rc && m->opt.report)
        m->opt.report(m->opt.arg, &row);
    return rc;
}
