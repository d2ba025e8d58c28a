/* judge_boot.c - intervals of routers' measures by drawing the requests again; see judge.h
 *
 * A draw is a weight for each unit, which all routers share: a unit is a request, or, where there
 * are very many, a random group of them. Sorted orders stay sorted when requests are drawn again,
 * so that a draw costs one sweep along them. Groups are summed up beforehand, by bins of the order:
 * a draw then adds up groups x bins numbers, however many requests they hold.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/par.h"
#include "lib/base/rng.h"
#include "lib/route/judge_impl.h"

#define RESAMPLES 10000

/* A router's order as bins, where requests are too many to go through for every draw. */
struct bins {
    int n;
    float *sums;                /* [groups][n][3] requests, gain, usd */
    uint8_t *snaps;             /* [n] the bin is one cell */
};

struct job {
    struct judge_order *const *order;
    const int *over;
    int routers, resamples, exact;
    size_t requests;
    uint32_t *group;            /* [requests] */
    uint32_t groups;
    uint64_t seed;
    struct bins *bins;          /* [routers] unless exact */
    struct sweep_base *base;    /* [groups] unless exact */
    double *size;               /* [groups] requests, unless exact */
    double *theta;              /* [routers][measures][resamples] */
    double *without;            /* [routers][measures][groups] */
};

/* ---- groups ----------------------------------------------------------------------------- */

uint32_t judge_groups(size_t n, uint64_t seed, uint32_t *group) {
    uint32_t groups = n < JUDGE_GROUPS ? (uint32_t)n : JUDGE_GROUPS;
    struct rng r = {seed};
    for (size_t i = 0; i < n; i++)
        group[i] = (uint32_t)(i % groups);
    for (size_t i = n; i > 1 && groups < n; i--) {
        size_t k = rng_below(&r, i);
        uint32_t other = group[k];
        group[k] = group[i - 1];
        group[i - 1] = other;
    }
    return groups;
}

/* ---- bins ------------------------------------------------------------------------------- */

/* Cells are put together until the next bin's share is reached. bin_of[n] of each place. */
static void cut_bins(const struct judge_order *o, struct bins *b, uint32_t *bin_of) {
    size_t n = o->pair.n;
    b->snaps = mem_array(JUDGE_BINS + 1, 1);
    b->n = 0;
    for (size_t i = 0; i < n; b->n++) {
        size_t until = ((size_t)b->n + 1) * n / JUDGE_BINS;
        size_t cells = 0;
        size_t from = i;
        until = until > i ? until : i + 1;
        while (i < until) {
            i = judge_cell_end(o, i);
            cells++;
        }
        for (size_t k = from; k < i; k++)
            bin_of[k] = (uint32_t)b->n;
        b->snaps[b->n] = o->ties == JUDGE_TOGETHER && cells == 1;
    }
}

static void make_bins(struct job *job, int router) {
    const struct judge_order *o = job->order[router];
    struct bins *b = &job->bins[router];
    uint32_t *bin_of = mem_array(job->requests, sizeof *bin_of);
    cut_bins(o, b, bin_of);
    b->sums = mem_array((size_t)job->groups * (size_t)b->n, 3 * sizeof *b->sums);
    for (size_t i = 0; i < job->requests; i++) {
        size_t g = job->group[o->index[i]];
        float *sum = b->sums + 3 * (g * (size_t)b->n + bin_of[i]);
        sum[0] += 1;
        sum[1] += (float)o->gain[i];
        sum[2] += o->usd ? (float)o->usd[i] : 0;
    }
    free(bin_of);
}

static void make_base(struct job *job) {
    const struct judge_pair *p = &job->order[0]->pair;
    job->base = mem_array(job->groups, sizeof *job->base);
    job->size = mem_array(job->groups, sizeof *job->size);
    for (size_t i = 0; i < job->requests; i++) {
        struct sweep_base *b = &job->base[job->group[i]];
        job->size[job->group[i]]++;
        b->weak += p->weak[i];
        b->gain += p->strong[i] - p->weak[i];
        b->weak_usd += p->weak_usd ? p->weak_usd[i] : 0;
        b->strong_usd += p->weak_usd ? p->strong_usd[i] : 0;
    }
}

/* ---- one draw --------------------------------------------------------------------------- */

struct draw {
    uint16_t *weight;           /* [requests], or [groups] */
    int64_t total;              /* requests drawn */
    struct sweep_base base;
};

static void sum_base(const struct job *job, struct draw *d) {
    const struct judge_pair *p = &job->order[0]->pair;
    double total = 0;
    d->base = (struct sweep_base){.priced = p->weak_usd != NULL};
    for (size_t i = 0; i < (job->exact ? job->requests : job->groups); i++) {
        double w = d->weight[i];
        if (w == 0)
            continue;
        if (!job->exact) {
            total += w * job->size[i];
            d->base.weak += w * job->base[i].weak;
            d->base.gain += w * job->base[i].gain;
            d->base.weak_usd += w * job->base[i].weak_usd;
            d->base.strong_usd += w * job->base[i].strong_usd;
            continue;
        }
        total += w;
        d->base.weak += w * p->weak[i];
        d->base.gain += w * (p->strong[i] - p->weak[i]);
        if (p->weak_usd) {
            d->base.weak_usd += w * p->weak_usd[i];
            d->base.strong_usd += w * p->strong_usd[i];
        }
    }
    d->total = (int64_t)total;
}

static void sweep_requests(const struct judge_order *o, const struct draw *d, struct sweep *s) {
    for (size_t i = 0; i < o->pair.n;) {
        size_t end = judge_cell_end(o, i);
        double n = 0;
        double gain = 0;
        double usd = 0;
        for (; i < end; i++) {
            double w = d->weight[o->index[i]];
            n += w;
            gain += w * o->gain[i];
            usd += o->usd ? w * o->usd[i] : 0;
        }
        if (n > 0)
            sweep_cell(s, n, gain, usd, o->ties == JUDGE_TOGETHER);
    }
}

static void sweep_bins(const struct job *job, const struct bins *b, const struct draw *d,
                       struct sweep *s) {
    float sum[3 * (JUDGE_BINS + 1)] = {0};
    int n = 3 * b->n;
    for (uint32_t g = 0; g < job->groups; g++) {
        const float *from = b->sums + (size_t)g * (size_t)n;
        float w = d->weight[g];
        for (int k = 0; k < n && w > 0; k++)
            sum[k] += w * from[k];
    }
    for (int k = 0; k < b->n; k++)
        sweep_cell(s, (double)sum[3 * k], (double)sum[3 * k + 1], (double)sum[3 * k + 2],
                   b->snaps[k]);
}

/* All measures of all routers: out[routers][measures]. */
static void evaluate(const struct job *job, struct draw *d, double (*out)[JUDGE_MEASURES]) {
    struct sweep_sums sums[JUDGE_STEPS + 1];
    struct sweep s;
    sum_base(job, d);
    for (int k = 0; k < job->routers; k++) {
        sweep_begin(&s, job->order[k]->ties, JUDGE_STEPS, d->total, sums);
        if (job->exact)
            sweep_requests(job->order[k], d, &s);
        else
            sweep_bins(job, &job->bins[k], d, &s);
        sweep_end(&s);
        sweep_measures(&s, &d->base, out[k]);
    }
    for (int k = 0; k < job->routers; k++)
        if (job->over[k] >= 0)
            out[k][JUDGE_APGR_OVER] = out[k][JUDGE_APGR] - out[job->over[k]][JUDGE_APGR];
}

/* ---- all draws -------------------------------------------------------------------------- */

static void draw_again(const struct job *job, int number, struct draw *d) {
    size_t units = job->exact ? job->requests : job->groups;
    struct rng start = {job->seed ^ (uint64_t)number * 0xD1B54A32D192ED03u};
    struct rng r = {rng_next(&start)};
    memset(d->weight, 0, units * sizeof *d->weight);
    for (size_t i = 0; i < units; i++)
        d->weight[rng_below(&r, units)]++;
}

/* Every unit once, but for group `out` (groups: none of them). */
static void leave_out(const struct job *job, uint32_t out, struct draw *d) {
    for (size_t i = 0; i < (job->exact ? job->requests : job->groups); i++)
        d->weight[i] = (job->exact ? job->group[i] : (uint32_t)i) != out;
}

static void store(double *to, double (*m)[JUDGE_MEASURES], int routers, size_t n, size_t at) {
    for (int k = 0; k < routers; k++)
        for (int i = 0; i < JUDGE_MEASURES; i++)
            to[((size_t)k * JUDGE_MEASURES + (size_t)i) * n + at] = m[k][i];
}

static struct draw draw_new(const struct job *job) {
    size_t units = job->exact ? job->requests : job->groups;
    return (struct draw){.weight = mem_array(units, sizeof(uint16_t))};
}

/* Whatever the number of threads, draw number i is the same. */
static void work(void *arg, int ith, int nth) {
    const struct job *job = arg;
    struct draw d = draw_new(job);
    double (*m)[JUDGE_MEASURES] = mem_array((size_t)job->routers, sizeof *m);
    int all = job->resamples + (int)job->groups;
    for (int i = ith; i < all; i += nth) {
        int without = i - job->resamples;
        if (without < 0)
            draw_again(job, i, &d);
        else
            leave_out(job, (uint32_t)without, &d);
        evaluate(job, &d, m);
        if (without < 0)
            store(job->theta, m, job->routers, (size_t)job->resamples, (size_t)i);
        else
            store(job->without, m, job->routers, job->groups, (size_t)without);
    }
    free(m);
    free(d.weight);
}

static void job_init(struct job *job, struct judge_order *const *o, int n, const int *over,
                     const struct boot *b) {
    size_t measures = (size_t)n * JUDGE_MEASURES;
    *job = (struct job){.order = o, .over = over, .routers = n, .requests = o[0]->pair.n,
                        .resamples = b->resamples > 0 ? b->resamples : RESAMPLES,
                        .seed = b->seed};
    job->exact = job->requests <= JUDGE_EXACT;
    job->group = mem_array(job->requests + 1, sizeof *job->group);
    job->groups = judge_groups(job->requests, b->seed, job->group);
    job->theta = mem_array(measures * (size_t)job->resamples, sizeof *job->theta);
    job->without = mem_array(measures * job->groups + 1, sizeof *job->without);
    if (job->exact)
        return;
    job->bins = mem_array((size_t)n, sizeof *job->bins);
    for (int k = 0; k < n; k++)
        make_bins(job, k);
    make_base(job);
}

static void job_free(struct job *job) {
    for (int k = 0; k < job->routers && job->bins; k++) {
        free(job->bins[k].sums);
        free(job->bins[k].snaps);
    }
    free(job->bins);
    free(job->base);
    free(job->size);
    free(job->group);
    free(job->theta);
    free(job->without);
}

void judge_intervals(struct judge_order *const *o, int n, const int *over, const struct boot *b,
                     void *par, struct interval (*out)[JUDGE_MEASURES]) {
    struct job job;
    double (*estimate)[JUDGE_MEASURES] = mem_array((size_t)n + 1, sizeof *estimate);
    if (n && o[0]->pair.n) {
        job_init(&job, o, n, over, b);
        if (par)
            par_run(par, work, &job);
        else
            work(&job, 0, 1);
        struct draw whole = draw_new(&job);
        leave_out(&job, job.groups, &whole);
        evaluate(&job, &whole, estimate);
        free(whole.weight);
        struct boot full = *b;
        full.resamples = job.resamples;
        for (int i = 0; i < n * JUDGE_MEASURES; i++)
            out[i / JUDGE_MEASURES][i % JUDGE_MEASURES] =
                boot_from(job.theta + (size_t)i * (size_t)job.resamples,
                          estimate[i / JUDGE_MEASURES][i % JUDGE_MEASURES],
                          job.without + (size_t)i * job.groups, job.groups, &full);
        job_free(&job);
    } else {
        for (int i = 0; i < n * JUDGE_MEASURES; i++)
            out[i / JUDGE_MEASURES][i % JUDGE_MEASURES] = (struct interval){NAN, NAN};
    }
    free(estimate);
}
