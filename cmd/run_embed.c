/* run_embed.c - --embed: hidden states after the last norm, as .npy
 *
 * Pooled: one row a prompt, [prompts, d_model], in the order of the input; a line that cannot be
 * run gives a row of NaN, so that rows and lines stay together. --pool none: one array
 * [tokens, d_model] a prompt, back to back.
 */
#include "cmd/run.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/array.h"

struct embed_job {
    struct engine *e;
    struct zio *z;
    int width;
    struct buf rows;            /* pooled rows so far: the header needs their number */
    int64_t n_rows;
    int failed;
    struct totals totals;
};

static void take_rows(void *arg, struct request *r, int first, int n) {
    struct embed_job *job = arg;
    size_t width = (size_t)job->width;
    const float *hidden = job->e->pass.hidden + (size_t)first * width;
    enum run_pool pool = job->e->opt->pool;
    if (pool == POOL_NONE) {
        buf_add(&r->hidden, hidden, (size_t)n * width * sizeof(*hidden));
    } else if (pool == POOL_LAST) {
        r->hidden.len = 0;
        buf_add(&r->hidden, hidden + (size_t)(n - 1) * width, width * sizeof(*hidden));
    } else {
        if (!r->hidden_sum)
            r->hidden_sum = mem_array(width, sizeof(*r->hidden_sum));
        for (size_t i = 0; i < (size_t)n * width; i++)
            r->hidden_sum[i % width] += (double)hidden[i];
    }
}

static void add_row(struct embed_job *job, const struct request *r) {
    size_t width = (size_t)job->width;
    float *row = mem_array(width, sizeof(*row));
    for (size_t i = 0; i < width; i++) {
        if (r->error)
            row[i] = NAN;
        else if (r->hidden_sum)
            row[i] = (float)(r->hidden_sum[i] / (double)r->prompt.n);
    }
    buf_add(&job->rows, r->hidden.len && !r->error ? (void *)r->hidden.data : (void *)row,
            width * sizeof(*row));
    job->n_rows++;
    free(row);
}

/* In input order. */
static void take_result(void *arg, struct request *r) {
    struct embed_job *job = arg;
    if (r->error) {
        job->failed = 1;
        warn("%s", r->error);
    } else {
        result_count(&job->totals, r);
    }
    if (job->e->opt->pool != POOL_NONE) {
        add_row(job, r);
        return;
    }
    size_t floats = r->hidden.len / sizeof(float);
    array_begin(job->z, (int64_t)(floats / (size_t)job->width), job->width);
    if (floats > 0)
        array_write(job->z, (const float *)(const void *)r->hidden.data, floats);
}

static void finish_single(void *arg, struct request *r) {
    struct embed_job *job = arg;
    if (r->error)
        die("%s: %s", job->e->opt->model, r->error);
    take_result(arg, r);
    request_free(r);
}

static void run_single(struct embed_job *job, const struct buf *text) {
    struct err err;
    struct request *r = request_new(job->e);
    if (prompt_encode(job->e, text->data, text->len, &r->prompt, &err))
        die_err(&err);
    engine_start(job->e, job->e->opt->context, 1, r->prompt.n);
    struct feed feed = {.one = r, .rows = take_rows, .done = finish_single, .arg = job};
    generate(job->e, &feed);
}

int run_embed(const struct options *opt) {
    struct engine e;
    struct buf text = {0};
    struct lines *lines = NULL;
    if (opt->jsonl)
        lines = jsonl_open(opt);
    else
        prompt_read(opt, 0, &text);
    struct embed_job job = {.e = &e, .z = array_open(opt->output)};
    engine_open(&e, opt);
    job.width = e.model->shape->d_model;
    if (opt->jsonl) {
        engine_start(&e, opt->context, opt->parallel, 0);
        jsonl_run(&e, lines, take_rows, take_result, &job);
    } else {
        run_single(&job, &text);
    }
    if (opt->pool != POOL_NONE) {
        array_begin(job.z, job.n_rows, job.width);
        if (job.n_rows > 0)
            array_write(job.z, (const float *)(const void *)job.rows.data,
                        (size_t)job.n_rows * (size_t)job.width);
    }
    array_close(job.z);
    result_words(&e, &job.totals);
    engine_close(&e);
    buf_free(&job.rows);
    buf_free(&text);
    return job.failed ? EXIT_FAILED : EXIT_DONE;
}
