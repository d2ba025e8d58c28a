/* gptq.c - plans, and matrices in slabs of rows, see gptq.h */
#include "lib/quant/gptq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/gptq_impl.h"

/* Room beside the floats of a slab's blocks for these as quantized: no more than 2 bytes each. */
#define SPARE_BLOCKS (GPTQ_ROWS * 256)

/* ---- plan ------------------------------------------------------------------------------- */

struct place {
    float diagonal;
    int32_t column;
};

/* Falling diagonal; equal ones by column. */
static int by_diagonal(const void *a, const void *b) {
    const struct place *x = a;
    const struct place *y = b;
    if (x->diagonal != y->diagonal)
        return x->diagonal < y->diagonal ? 1 : -1;
    return x->column < y->column ? -1 : 1;
}

static int32_t *sort_columns(const struct hessian *h) {
    struct place *place = mem_array((size_t)h->cols, sizeof *place);
    int32_t *order = mem_array((size_t)h->cols, sizeof *order);
    for (int64_t c = 0; c < h->cols; c++)
        place[c] = (struct place){h->sum[c * h->cols + c], (int32_t)c};
    qsort(place, (size_t)h->cols, sizeof *place, by_diagonal);
    for (int64_t j = 0; j < h->cols; j++)
        order[j] = place[j].column;
    free(place);
    return order;
}

static int32_t *index_groups(const struct gptq_plan *p) {
    int group = p->opt.group < 0 ? (int)p->cols : p->opt.group;
    int32_t *index = mem_array((size_t)p->cols, sizeof *index);
    for (int64_t j = 0; j < p->cols; j++)
        index[p->order[j]] = (int32_t)(j / group);
    return index;
}

static void set_costs(struct gptq_plan *p) {
    p->cost = mem_array((size_t)p->cols, sizeof *p->cost);
    for (int64_t j = 0; j < p->cols; j++) {
        float u = p->u ? p->u[j * p->cols + j] : 1;
        p->cost[p->order ? p->order[j] : j] = 1 / (u * u);
    }
}

struct gptq_plan *gptq_plan_new(const struct hessian *h, const struct gptq_options *opt,
                                struct err *err) {
    size_t bytes = (size_t)h->cols * (size_t)h->cols * sizeof(float);
    struct gptq_plan *p = mem_alloc(sizeof *p);
    *p = (struct gptq_plan){.opt = *opt, .h = h, .cols = h->cols};
    if (opt->order != GPTQ_AS_IS)
        p->order = sort_columns(h);
    p->u = mem_map(bytes);
    if (!p->u) {
        err_set(err, "no memory for the factor of %lld columns, %zu MB", (long long)h->cols,
                bytes / 1000000);
        goto failed;
    }
    int rc = hessian_factor(h, p->order, opt->damp, p->u, &p->found, err);
    if (rc < 0)
        goto failed;
    if (rc > 0) {
        mem_unmap(p->u, bytes);
        p->u = NULL;
        p->nearest = 1;
    }
    if (opt->order == GPTQ_ORDERED_GROUPS)
        p->index = index_groups(p);
    set_costs(p);
    return p;
failed:
    gptq_plan_free(p);
    return NULL;
}

void gptq_plan_free(struct gptq_plan *p) {
    if (!p)
        return;
    if (p->u)
        mem_unmap(p->u, (size_t)p->cols * (size_t)p->cols * sizeof *p->u);
    free(p->index);
    free(p->cost);
    free(p->order);
    free(p);
}

const struct hessian_found *gptq_plan_found(const struct gptq_plan *p) {
    return &p->found;
}

int gptq_plan_nearest(const struct gptq_plan *p) {
    return p->nearest;
}

/* ---- slabs ------------------------------------------------------------------------------ */

struct matrix_job {
    const struct gptq_plan *p;
    float *w;
    int64_t rows, slabs;
    const struct gptq_target *to;
    double (*sum)[3];           /* [slabs] of the weights, of the errors, of the nearest's errors */
};

static void slab_new(struct gptq_slab *s, const struct matrix_job *job) {
    const struct gptq_plan *p = job->p;
    size_t n = (size_t)p->cols * GPTQ_ROWS;
    *s = (struct gptq_slab){.p = p, .out = job->to->grouped, .type = job->to->type};
    s->w = mem_array(n, sizeof *s->w);
    s->value = mem_array(n, sizeof *s->value);
    s->spare = mem_array(n + SPARE_BLOCKS, sizeof *s->spare);
    s->error = mem_array((size_t)GPTQ_ROWS * GPTQ_COLUMNS, sizeof *s->error);
    if (s->out)
        return;
    s->level = mem_array(n, sizeof *s->level);
    s->grid = mem_array(n / (size_t)kern_type_info(s->type)->block, sizeof *s->grid);
}

static void slab_free(struct gptq_slab *s) {
    free(s->grid);
    free(s->level);
    free(s->error);
    free(s->spare);
    free(s->value);
    free(s->w);
}

/* tr(X H X^T) of x[rows][cols]; spare is overwritten. */
static double moment(const struct gptq_slab *s, const float *x) {
    const struct gptq_plan *p = s->p;
    int cols = (int)p->cols;
    double sum = 0;
    if (p->h->count == 0)
        return 0;
    p->h->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s->rows, cols, cols, 1, x, cols,
                      p->h->sum, cols, 0, s->spare, cols);
    for (int64_t i = 0; i < s->rows * p->cols; i++)
        sum += (double)x[i] * (double)s->spare[i];
    return sum;
}

static double error_of(struct gptq_slab *s, const float *value) {
    for (int64_t i = 0; i < s->rows * s->p->cols; i++)
        s->w[i] = s->original[i] - value[i];
    return moment(s, s->w);
}

/* Round-to-nearest of the slab, into s->w by way of what will hold the result. */
static void round_nearest(struct gptq_slab *s) {
    const struct gptq_plan *p = s->p;
    if (!s->out) {
        p->opt.kern->quantize(s->type, s->original, s->blocks, s->rows, p->cols, NULL);
        p->opt.kern->dequantize(s->type, s->blocks, s->w, s->rows * p->cols);
        return;
    }
    for (int64_t r = 0; r < s->rows; r++) {
        grouped_round_row(s->out, s->first + r, s->original + r * p->cols);
        grouped_values(s->out, s->first + r, s->w + r * p->cols);
    }
}

static void run_slab(struct gptq_slab *s, double sum[3]) {
    sum[0] = moment(s, s->original);
    round_nearest(s);
    sum[2] = error_of(s, s->w);
    gptq_walk(s);
    sum[1] = error_of(s, s->value);
}

static void run_slabs(void *arg, int ith, int nth) {
    const struct matrix_job *job = arg;
    const struct gptq_plan *p = job->p;
    struct gptq_slab s;
    slab_new(&s, job);
    for (int64_t i = ith; i < job->slabs; i += nth) {
        s.first = i * GPTQ_ROWS;
        s.rows = (int)(job->rows - s.first < GPTQ_ROWS ? job->rows - s.first : GPTQ_ROWS);
        s.original = job->w + s.first * p->cols;
        if (!s.out)
            s.blocks = (char *)job->to->blocks + (size_t)s.first * kern_row_bytes(s.type, p->cols);
        run_slab(&s, job->sum[i]);
        memcpy(job->w + s.first * p->cols, s.value,
               (size_t)(s.rows * p->cols) * sizeof *s.value);
    }
    slab_free(&s);
}

void gptq_matrix(const struct gptq_plan *p, struct par *par, float *w, int64_t rows,
                 const struct gptq_target *to, struct gptq_report *report) {
    struct matrix_job job = {.p = p, .w = w, .rows = rows, .to = to,
                             .slabs = (rows + GPTQ_ROWS - 1) / GPTQ_ROWS};
    assert(to->grouped || !p->index);
    job.sum = mem_array((size_t)job.slabs, sizeof *job.sum);
    par_run(par, run_slabs, &job);
    *report = (struct gptq_report){0};
    for (int64_t i = 0; i < job.slabs; i++) {
        report->weight += job.sum[i][0];
        report->error += job.sum[i][1];
        report->nearest += job.sum[i][2];
    }
    free(job.sum);
    if (p->index) {
        to->grouped->index = mem_array((size_t)p->cols, sizeof *p->index);
        memcpy(to->grouped->index, p->index, (size_t)p->cols * sizeof *p->index);
    }
}
