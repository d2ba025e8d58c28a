/* nearest.c - nearest neighbours by brute force, see nearest.h
 *
 * Unit vectors in tiles [dim][LANES]: the inner loop multiplies one number of the request with
 * LANES neighbours', which the compiler turns into vector instructions without changing the order
 * of any sum. So the same neighbours are found on every machine.
 */
#include "lib/route/nearest.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/par.h"

#define LANES 16

struct job {
    const struct nearest_set *from, *to;
    const double *value;
    double mean;
    int k;
    float *tile;                /* [tiles][dim][LANES] unit vectors, 0 where there is none */
    unsigned char *has;         /* [from->n] */
    double *out;
};

struct neighbour {
    float cosine;
    uint32_t index;
};

/* 1 / length, 0: no embedding. */
static float scale_of(const float *x, size_t dim) {
    double sum = 0;
    for (size_t d = 0; d < dim; d++)
        sum += (double)x[d] * (double)x[d];
    return isfinite(sum) && sum > 0 ? (float)(1 / sqrt(sum)) : 0;
}

static void make_tiles(struct job *job) {
    const struct nearest_set *from = job->from;
    size_t tiles = (from->n + LANES - 1) / LANES;
    job->tile = mem_array(tiles * from->dim + 1, LANES * sizeof *job->tile);
    job->has = mem_array(from->n + 1, 1);
    for (size_t i = 0; i < from->n; i++) {
        float scale = scale_of(from->x[i], from->dim);
        float *to = job->tile + i / LANES * from->dim * LANES + i % LANES;
        job->has[i] = scale > 0;
        for (size_t d = 0; d < from->dim && scale > 0; d++)
            to[d * LANES] = from->x[i][d] * scale;
    }
}

/* Keeps the k nearest, sorted. */
static int insert(struct neighbour *best, int n, int k, struct neighbour x) {
    int at = n < k ? n : k - 1;
    if (n == k && x.cosine <= best[k - 1].cosine)
        return n;
    for (; at > 0 && best[at - 1].cosine < x.cosine; at--)
        best[at] = best[at - 1];
    best[at] = x;
    return n < k ? n + 1 : k;
}

static int may_know(const struct job *job, size_t i, size_t of) {
    if (!job->has[i] || (job->from == job->to && i == of))
        return 0;
    return !job->from->prompt[i] || job->from->prompt[i] != job->to->prompt[of];
}

static double predict(const struct job *job, size_t of, struct neighbour *best) {
    const float *x = job->to->x[of];
    size_t dim = job->from->dim;
    int found = 0;
    double sum = 0;
    if (!(scale_of(x, dim) > 0))
        return job->mean;
    for (size_t i = 0; i < job->from->n; i += LANES) {
        const float *tile = job->tile + i * dim;
        float cosine[LANES] = {0};
        for (size_t d = 0; d < dim; d++)
            for (int l = 0; l < LANES; l++)
                cosine[l] += x[d] * tile[d * LANES + (size_t)l];
        for (size_t l = 0; l < LANES && i + l < job->from->n; l++)
            if (may_know(job, i + l, of))
                found = insert(best, found, job->k,
                               (struct neighbour){cosine[l], (uint32_t)(i + l)});
    }
    for (int i = 0; i < found; i++)
        sum += job->value[best[i].index];
    return found ? sum / found : job->mean;
}

static void work(void *arg, int ith, int nth) {
    struct job *job = arg;
    struct neighbour *best = mem_array((size_t)job->k, sizeof *best);
    for (size_t i = (size_t)ith; i < job->to->n; i += (size_t)nth)
        job->out[i] = predict(job, i, best);
    free(best);
}

void nearest_predict(const struct nearest_set *from, const double *value,
                     const struct nearest_set *to, int k, void *par, double *out) {
    struct job job = {.from = from, .to = to, .value = value, .k = k, .out = out};
    for (size_t i = 0; i < from->n; i++)
        job.mean += value[i] / (double)from->n;
    make_tiles(&job);
    if (par)
        par_run(par, work, &job);
    else
        work(&job, 0, 1);
    free(job.tile);
    free(job.has);
}
