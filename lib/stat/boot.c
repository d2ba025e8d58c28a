/* boot.c - bootstrap intervals, see boot.h
 *
 * The statistics that are needed most do not copy samples: sums add up the drawn groups' sums, and
 * the median of n draws is drawn as what it is, an order statistic of n uniform numbers, which
 * follows a beta distribution.
 */
#include "lib/stat/boot.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/stat/dist.h"

#define ROUNDING 1e-12

static const struct interval none = {NAN, NAN};

static struct boot filled(const struct boot *b) {
    struct boot f = b ? *b : (struct boot){0};
    if (f.resamples <= 0)
        f.resamples = 10000;
    if (f.level == 0)
        f.level = 0.95;
    return f;
}

/* 1 when so many independent groups can give an interval: when the rarest resample, one group and
 * nothing else, is rarer than what the interval leaves out at an end. */
static int enough(size_t groups, const struct boot *b) {
    double rarest = groups > 1 ? pow((double)groups, 1 - (double)groups) : 1;
    return b->level > 0 && b->level < 1 && rarest <= (1 - b->level) / 2;
}

/* ---- from resamples to an interval -------------------------------------------------------- */

/* theta[r], the statistic of each resample, is sorted in place. acceleration: of the statistic;
 * z: how many standard deviations the interval's ends are from the middle, before correction. */
static struct interval corrected(double *theta, size_t r, double estimate, double acceleration,
                                 double z) {
    double below = 0;
    double same = fabs(estimate) * ROUNDING;    /* the same groups, added in another order */
    for (size_t i = 0; i < r; i++) {
        if (!isfinite(theta[i]))
            return none;
        below += theta[i] < estimate - same ? 1 : theta[i] <= estimate + same ? 0.5 : 0;
    }
    order_sort(theta, r);
    double count = (double)r;
    double share = fmin(fmax(below, 0.5), count - 0.5) / count;
    double bias = dist_normal_quantile(share);
    double end[2];
    for (int i = 0; i < 2; i++) {
        double from = bias + (i ? z : -z);
        double stretch = 1 - acceleration * from;
        /* Past its pole the correction has no meaning: the end is as far out as can be. */
        double at = stretch > 0 ? dist_normal(bias + from / stretch) : from > 0;
        end[i] = order_quantile(theta, r, at);
    }
    return (struct interval){end[0], end[1]};
}

/* Wider than the normal distribution's for few groups, as Student's t is, and as their deviation,
 * being that of a sample, is too small (Hesterberg, "What teachers should know about the
 * bootstrap", 2015, section 5.3: the expanded percentile interval). */
static double expanded(size_t groups, double level) {
    double n = (double)groups;
    return -dist_student_quantile((1 - level) / 2, n - 1) * sqrt(n / (n - 1));
}

/* From what the statistic is with each group left out; nan where one is. */
static double acceleration_of(const double *without, size_t groups) {
    double mean = 0;
    double squares = 0;
    double cubes = 0;
    for (size_t g = 0; g < groups; g++)
        mean += without[g] / (double)groups;
    for (size_t g = 0; g < groups; g++) {
        double d = mean - without[g];
        squares += d * d;
        cubes += d * d * d;
    }
    return squares == 0 ? 0 : cubes / (6 * squares * sqrt(squares));
}

struct interval boot_from(double *theta, double estimate, const double *without, size_t groups,
                          const struct boot *opt) {
    struct boot b = filled(opt);
    if (!enough(groups, &b))
        return none;
    double acceleration = acceleration_of(without, groups);
    if (!isfinite(estimate) || !isfinite(acceleration))
        return none;
    return corrected(theta, (size_t)b.resamples, estimate, acceleration,
                     expanded(groups, b.level));
}

struct interval boot_mirrored(double *theta, double estimate, size_t groups,
                              const struct boot *opt) {
    struct boot b = filled(opt);
    size_t r = (size_t)b.resamples;
    if (!enough(groups, &b) || !isfinite(estimate))
        return none;
    for (size_t i = 0; i < r; i++)
        if (!isfinite(theta[i]))
            return none;
    order_sort(theta, r);
    double tail = dist_normal(-expanded(groups, b.level));
    return (struct interval){2 * estimate - order_quantile(theta, r, 1 - tail),
                             2 * estimate - order_quantile(theta, r, tail)};
}

/* ---- any statistic ------------------------------------------------------------------------ */

/* The samples of group g are member[start[g]..start[g + 1]). */
struct members {
    uint32_t *start, *member;
    size_t groups;
};

static void members_make(struct members *m, size_t n, const uint32_t *group, uint32_t groups) {
    m->groups = group ? groups : n;
    m->start = mem_array(m->groups + 2, sizeof *m->start);
    m->member = mem_array(n ? n : 1, sizeof *m->member);
    for (size_t i = 0; i < n; i++)
        m->start[(group ? group[i] : i) + 2]++;
    for (size_t g = 0; g < m->groups; g++)
        m->start[g + 2] += m->start[g + 1];
    for (size_t i = 0; i < n; i++)      /* start[g + 1] runs from where g begins to where it ends */
        m->member[m->start[(group ? group[i] : i) + 1]++] = (uint32_t)i;
}

static void members_free(struct members *m) {
    free(m->start);
    free(m->member);
}

static size_t add_group(const struct members *m, size_t g, uint32_t **index, size_t len,
                        size_t *room) {
    size_t size = m->start[g + 1] - m->start[g];
    if (len + size > *room) {
        *room = 2 * (len + size);
        *index = mem_grow(*index, *room, sizeof **index);
    }
    for (size_t i = 0; i < size; i++)
        (*index)[len++] = m->member[m->start[g] + i];
    return len;
}

struct interval boot_interval(boot_statistic *fn, void *arg, size_t n, const uint32_t *group,
                              uint32_t groups, const struct boot *opt) {
    struct boot b = filled(opt);
    size_t g = group ? groups : n;
    if (!n || !enough(g, &b))
        return none;
    struct members m;
    members_make(&m, n, group, groups);
    size_t room = n;
    uint32_t *index = mem_array(room, sizeof *index);
    double *without = mem_array(g, sizeof *without);
    double *theta = mem_array((size_t)b.resamples, sizeof *theta);

    for (size_t i = 0; i < n; i++)
        index[i] = (uint32_t)i;
    double estimate = fn(arg, index, n);
    for (size_t out = 0; out < g; out++) {
        size_t len = 0;
        for (size_t i = 0; i < g; i++)
            len = i == out ? len : add_group(&m, i, &index, len, &room);
        without[out] = fn(arg, index, len);
    }
    struct rng rng = {b.seed};
    for (int r = 0; r < b.resamples; r++) {
        size_t len = 0;
        for (size_t i = 0; i < g; i++)
            len = add_group(&m, rng_below(&rng, g), &index, len, &room);
        theta[r] = fn(arg, index, len);
    }
    struct interval i = boot_from(theta, estimate, without, g, &b);
    free(theta);
    free(without);
    free(index);
    members_free(&m);
    return i;
}

/* ---- ratios of sums ----------------------------------------------------------------------- */

struct sums {
    double a, b;
};

/* The interval of sum(a) / sum(b) over n groups with these sums. */
static struct interval ratio_of_sums(const struct sums *group, size_t n, const struct boot *b) {
    struct sums all = {0, 0};
    for (size_t i = 0; i < n; i++) {
        all.a += group[i].a;
        all.b += group[i].b;
    }
    double *without = mem_array(n, sizeof *without);
    for (size_t i = 0; i < n; i++)
        without[i] = (all.a - group[i].a) / (all.b - group[i].b);
    double *theta = mem_array((size_t)b->resamples, sizeof *theta);
    struct rng rng = {b->seed};
    for (int r = 0; r < b->resamples; r++) {
        struct sums drawn = {0, 0};
        for (size_t i = 0; i < n; i++) {
            const struct sums *one = &group[rng_below(&rng, n)];
            drawn.a += one->a;
            drawn.b += one->b;
        }
        theta[r] = drawn.a / drawn.b;
    }
    struct interval i = boot_from(theta, all.a / all.b, without, n, b);
    free(without);
    free(theta);
    return i;
}

struct interval boot_ratio(const double *a, const double *b, size_t n, const uint32_t *group,
                           uint32_t groups, const struct boot *opt) {
    struct boot f = filled(opt);
    size_t g = group ? groups : n;
    if (!n || !enough(g, &f))
        return none;
    struct sums *sums = mem_array(g, sizeof *sums);
    for (size_t i = 0; i < n; i++) {
        struct sums *to = &sums[group ? group[i] : i];
        to->a += a[i];
        to->b += b[i];
    }
    struct interval i = ratio_of_sums(sums, g, &f);
    free(sums);
    return i;
}

struct interval boot_geomean(const double *x, size_t n, const struct boot *opt) {
    struct boot f = filled(opt);
    if (!enough(n, &f))
        return none;
    struct sums *log_one = mem_array(n, sizeof *log_one);
    for (size_t i = 0; i < n; i++)      /* a number that is not positive ends as {NAN, NAN} */
        log_one[i] = (struct sums){log(x[i]), 1};
    struct interval i = ratio_of_sums(log_one, n, &f);
    free(log_one);
    return (struct interval){exp(i.low), exp(i.high)};
}

/* ---- ratios of medians -------------------------------------------------------------------- */

/* Marsaglia's polar method; the second number that it could give is left. */
static double draw_normal(struct rng *r) {
    for (;;) {
        double x = 2 * rng_unit(r) - 1;
        double y = 2 * rng_unit(r) - 1;
        double s = x * x + y * y;
        if (s < 1 && s > 0)
            return x * sqrt(-2 * log(s) / s);
    }
}

/* Marsaglia and Tsang, "A simple method for generating gamma variables", 2000; shape >= 1. */
static double draw_gamma(struct rng *r, double shape) {
    double d = shape - 1.0 / 3;
    double c = 1 / sqrt(9 * d);
    for (;;) {
        double x = draw_normal(r);
        double v = 1 + c * x;
        v *= v * v;
        if (v > 0 && log(rng_unit(r)) < x * x / 2 + d - d * v + d * log(v))
            return d * v;
    }
}

/* The median of n draws from n sorted samples. Draws are uniform numbers in [0, 1) that fall into
 * n equal boxes; the k-th smallest of them follows Beta(k, n + 1 - k), and the next one is the
 * smallest of the n - k that lie above it. */
static double draw_median(struct rng *r, const double *sorted, size_t n) {
    double k = (double)((n + 1) / 2);
    double count = (double)n;
    double up = draw_gamma(r, k);
    double u = up / (up + draw_gamma(r, count + 1 - k));
    size_t first = (size_t)(u * count);
    first = first < n ? first : n - 1;
    if (n % 2)
        return sorted[first];
    double next = 1 - (1 - u) * pow(rng_unit(r), 1 / (count - k));
    size_t second = (size_t)(next * count);
    second = second < n ? second : n - 1;
    return sorted[first] + (sorted[second] - sorted[first]) / 2;
}

struct interval boot_median_ratio(const double *a, size_t na, const double *b, size_t nb,
                                  const struct boot *opt) {
    struct boot f = filled(opt);
    if (!enough(na, &f) || !enough(nb, &f))
        return none;
    double *sorted = mem_array(na + nb, sizeof *sorted);
    double *sb = sorted + na;
    for (size_t i = 0; i < na; i++)
        sorted[i] = a[i];
    for (size_t i = 0; i < nb; i++)
        sb[i] = b[i];
    order_sort(sorted, na);
    order_sort(sb, nb);
    double estimate = order_quantile(sorted, na, 0.5) / order_quantile(sb, nb, 0.5);
    double *theta = mem_array((size_t)f.resamples, sizeof *theta);
    struct rng rng = {f.seed};
    for (int r = 0; r < f.resamples; r++) {
        double top = draw_median(&rng, sorted, na);
        theta[r] = top / draw_median(&rng, sb, nb);
    }
    /* Leaving one sample out moves a median by nothing that tells of its skew: no acceleration. */
    struct interval i = none;
    if (isfinite(estimate))
        i = corrected(theta, (size_t)f.resamples, estimate, 0,
                      -dist_normal_quantile((1 - f.level) / 2));
    free(theta);
    free(sorted);
    return i;
}
