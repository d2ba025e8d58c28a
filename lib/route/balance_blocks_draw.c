/* balance_blocks_draw.c - intervals from drawing blocks again, see balance_blocks.h
 *
 * All layers are drawn alike, so that the mean over layers has an interval too. Threads share the
 * resamples; who computes which changes no result.
 */
#include "lib/route/balance_blocks_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/par.h"
#include "lib/base/rng.h"
#include "lib/route/balance.h"

enum { MAX, CV, GINI, ENTROPY, LAG1, MEASURES };

#define RESAMPLES 1000

struct draw {
    const struct balance_blocks *b;
    const struct parting *p;
    int experts;
    int *part;                  /* [parts] those with tokens */
    int parts;
    int resamples;
    uint8_t *times;             /* [resamples][parts] how often each was drawn */
    int layer;                  /* the one at work */
    double *theta[MEASURES];    /* [resamples] of this layer */
    double *mean[MEASURES];     /* [resamples] sums over layers */
    double estimate[MEASURES];  /* sums over layers */
    int layers[MEASURES];       /* in the sums */
};

/* ---- setup -------------------------------------------------------------------------------- */

static int part_used(const struct parting *p, const struct balance_blocks *b, int part) {
    for (int l = 0; l < b->layers; l++) {
        const uint32_t *count = parting_count(p, l, part, b->room);
        for (int e = 0; e < b->room; e++)
            if (count[e])
                return 1;
    }
    return 0;
}

/* part[] becomes the parts that have any tokens; returns how many. */
static int used_parts(const struct parting *p, const struct balance_blocks *b, int *part) {
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (part_used(p, b, i))
            part[n++] = i;
    return n;
}

int balance_blocks_by_request(const struct balance_blocks *b) {
    int part[BLOCKS];
    return used_parts(&b->groups, b, part) >= GROUPS_LEAST;
}

static void draw_parts(struct draw *d, uint64_t seed) {
    struct rng rng = {seed};
    d->times = mem_array((size_t)d->resamples, (size_t)d->parts);
    for (int r = 0; r < d->resamples; r++)
        for (int i = 0; i < d->parts; i++)
            d->times[r * d->parts + (int)rng_below(&rng, (uint64_t)d->parts)]++;
}

/* ---- a resample --------------------------------------------------------------------------- */

/* The measures of a layer when each part counts so many times; scratch[experts]. */
static void measure(const struct draw *d, const uint8_t *times, double *scratch,
                    double out[MEASURES]) {
    struct overlap o = {0, 0};
    struct balance m;
    memset(scratch, 0, (size_t)d->experts * sizeof *scratch);
    for (int i = 0; i < d->parts; i++) {
        const uint32_t *count = parting_count(d->p, d->layer, d->part[i], d->b->room);
        const struct overlap *more = parting_overlap(d->p, d->layer, d->part[i]);
        double weight = times[i];
        if (!times[i])
            continue;
        for (int e = 0; e < d->experts; e++)
            scratch[e] += weight * count[e];
        o.same += times[i] * more->same;
        o.of += times[i] * more->of;
    }
    balance_of(scratch, d->experts, &m);
    out[MAX] = m.max_over_mean;
    out[CV] = m.cv * m.cv;
    out[GINI] = m.gini * m.gini;
    out[ENTROPY] = m.entropy;
    out[LAG1] = o.of ? (double)o.same / (double)o.of : NAN;
}

static void measure_share(void *arg, int ith, int nth) {
    struct draw *d = arg;
    double *scratch = mem_array((size_t)d->experts, sizeof *scratch);
    double one[MEASURES];
    for (int r = ith; r < d->resamples; r += nth) {
        measure(d, d->times + (size_t)r * (size_t)d->parts, scratch, one);
        for (int m = 0; m < MEASURES; m++)
            d->theta[m][r] = one[m];
    }
    free(scratch);
}

/* ---- intervals ---------------------------------------------------------------------------- */

static struct interval roots(struct interval i) {
    return (struct interval){sqrt(fmax(i.low, 0)), sqrt(fmax(i.high, 0))};
}

static struct interval within(struct interval i, double least, double most) {
    if (isnan(i.low))
        return i;
    return (struct interval){fmin(fmax(i.low, least), most), fmin(fmax(i.high, least), most)};
}

/* theta is sorted on return. Percentiles are the mirrored interval, mirrored back. */
static struct interval farther(double *theta, double estimate, size_t n, const struct boot *opt) {
    struct interval i = boot_mirrored(theta, estimate, n, opt);
    if (isnan(i.low))
        return i;
    return (struct interval){fmin(i.low, 2 * estimate - i.high),
                             fmax(i.high, 2 * estimate - i.low)};
}

/* NAN ends stay: the roots of what is none are none. */
static struct balance_intervals find_intervals(double **theta, const double *estimate, size_t n,
                                               int experts, const struct boot *opt) {
    struct interval cv = boot_mirrored(theta[CV], estimate[CV], n, opt);
    struct interval gini = boot_mirrored(theta[GINI], estimate[GINI], n, opt);
    return (struct balance_intervals){
        within(farther(theta[MAX], estimate[MAX], n, opt), 1, experts),
        isnan(cv.low) ? cv : roots(cv),
        isnan(gini.low) ? gini : within(roots(gini), 0, 1),
        within(boot_mirrored(theta[ENTROPY], estimate[ENTROPY], n, opt), 0, 1),
        within(boot_mirrored(theta[LAG1], estimate[LAG1], n, opt), 0, 1)};
}

/* A layer without a value (of which nothing was counted) is not in the mean. The mean is that of
 * CV and Gini themselves, whose square is then looked at. */
static void add_to_mean(struct draw *d, const double *estimate) {
    for (int m = 0; m < MEASURES; m++) {
        int root = m == CV || m == GINI;
        if (isnan(estimate[m]))
            continue;
        d->layers[m]++;
        d->estimate[m] += root ? sqrt(estimate[m]) : estimate[m];
        for (int r = 0; r < d->resamples; r++)
            d->mean[m][r] += root ? sqrt(d->theta[m][r]) : d->theta[m][r];
    }
}

static void finish_mean(struct draw *d) {
    for (int m = 0; m < MEASURES; m++) {
        int root = m == CV || m == GINI;
        double n = d->layers[m];
        d->estimate[m] = n > 0 ? pow(d->estimate[m] / n, root ? 2 : 1) : NAN;
        for (int r = 0; r < d->resamples; r++)
            d->mean[m][r] = pow(d->mean[m][r] / n, root ? 2 : 1);
    }
}

int balance_blocks_intervals(const struct balance_blocks *b, int experts, const struct boot *opt,
                             int threads, struct balance_intervals *out,
                             struct balance_intervals *mean) {
    struct draw d = {.b = b, .experts = experts < b->room ? experts : b->room};
    struct boot boot = *opt;
    int part[BLOCKS];
    uint8_t once[BLOCKS];
    double estimate[MEASURES];
    boot.resamples = d.resamples = opt->resamples ? opt->resamples : RESAMPLES;
    memset(once, 1, sizeof once);
    d.p = balance_blocks_by_request(b) ? &b->groups : &b->blocks;
    d.part = part;
    d.parts = used_parts(d.p, b, part);
    draw_parts(&d, opt->seed);
    size_t n = (size_t)d.resamples;
    for (int m = 0; m < MEASURES; m++) {
        d.theta[m] = mem_array(n, sizeof(double));
        d.mean[m] = mem_array(n, sizeof(double));
    }
    double *scratch = mem_array((size_t)d.experts, sizeof *scratch);
    struct par *team = par_new(threads);
    for (int l = 0; l < b->layers; l++) {
        d.layer = l;
        measure(&d, once, scratch, estimate);
        par_run(team, measure_share, &d);
        add_to_mean(&d, estimate);
        out[l] = find_intervals(d.theta, estimate, (size_t)d.parts, d.experts, &boot);
    }
    par_free(team);
    finish_mean(&d);
    *mean = find_intervals(d.mean, d.estimate, (size_t)d.parts, d.experts, &boot);
    for (int m = 0; m < MEASURES; m++) {
        free(d.theta[m]);
        free(d.mean[m]);
    }
    free(scratch);
    free(d.times);
    return d.parts;
}
