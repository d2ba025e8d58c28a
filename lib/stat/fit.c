/* fit.c - how a cost grows with a length, see fit.h
 *
 * A point enters the normal equations only through a handful of sums, so that each group's sums are
 * made once, and a resample is the sum of the drawn groups' sums and one small solution. Lengths
 * are divided by the longest before they are raised to powers, and columns scaled to one norm: a
 * handful of digits is lost in the solution, which long double has.
 */
#include "lib/stat/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"

#define TERMS 3
#define ROUNDS 20               /* of reweighting; it settles in 3 to 6 */
#define RESAMPLES 10000         /* where the caller has no wish */
#define REDRAWS 100             /* of a resample with too few lengths */
#define LOST 1e-10              /* share of the cost that rounding alone can make */

static const struct interval none = {NAN, NAN};

/* Sums over points; x scaled to [0, 1]. */
struct moments {
    long double power[2 * TERMS - 1];   /* w x^k */
    long double moment[TERMS];          /* w x^k y */
    long double n, x, y, xx, xy;        /* of logarithms, where x > 0 */
};

struct points {
    const double *x, *y, *weight;       /* [n] */
    double longest;
    int terms;
};

static void add_point(struct moments *m, const struct points *p, size_t i) {
    long double x = (long double)p->x[i] / p->longest;
    long double power = p->weight[i];
    for (int k = 0; k < 2 * TERMS - 1; k++, power *= x) {
        m->power[k] += power;
        if (k < TERMS)
            m->moment[k] += power * p->y[i];
    }
}

static void add_logarithms(struct moments *m, const struct points *p, size_t i) {
    if (!(p->x[i] > 0))
        return;
    long double x = logl((long double)p->x[i] / p->longest);
    long double y = logl((long double)p->y[i]);
    m->n += 1;
    m->x += x;
    m->y += y;
    m->xx += x * x;
    m->xy += x * y;
}

/* Adds `times` times more: 1, or -1 to take it away. */
static void add_moments(struct moments *m, const struct moments *more, int times) {
    for (int k = 0; k < 2 * TERMS - 1; k++)
        m->power[k] += times * more->power[k];
    for (int k = 0; k < TERMS; k++)
        m->moment[k] += times * more->moment[k];
    m->n += times * more->n;
    m->x += times * more->x;
    m->y += times * more->y;
    m->xx += times * more->xx;
    m->xy += times * more->xy;
}

/* The coefficients in unscaled x; 0, or -1 when the lengths do not tell the terms apart. By
 * Cholesky's decomposition of the normal equations with ones on the diagonal. */
static int solve(const struct moments *m, int terms, double longest, double out[TERMS]) {
    long double scale[TERMS];
    long double l[TERMS][TERMS];
    long double z[TERMS];
    for (int i = 0; i < terms; i++)
        scale[i] = 1 / sqrtl(m->power[2 * i]);
    for (int i = 0; i < terms; i++) {
        for (int j = 0; j <= i; j++) {
            long double sum = m->power[i + j] * scale[i] * scale[j];
            for (int k = 0; k < j; k++)
                sum -= l[i][k] * l[j][k];
            if (i == j && !(sum > 1e-15L))
                return -1;
            l[i][j] = i == j ? sqrtl(sum) : sum / l[j][j];
        }
        z[i] = m->moment[i] * scale[i];
        for (int k = 0; k < i; k++)
            z[i] -= l[i][k] * z[k];
        z[i] /= l[i][i];
    }
    out[0] = out[1] = out[2] = 0;
    for (int i = terms - 1; i >= 0; i--) {
        for (int k = i + 1; k < terms; k++)
            z[i] -= l[k][i] * z[k];
        z[i] /= l[i][i];
        out[i] = (double)(z[i] * scale[i] / powl(longest, i));
    }
    return 0;
}

static double slope(const struct moments *m) {
    long double spread = m->n * m->xx - m->x * m->x;
    return spread > 1e-15L * m->n * m->xx ? (double)((m->n * m->xy - m->x * m->y) / spread) : NAN;
}

static double at(const double c[TERMS], double x) {
    return c[0] + x * (c[1] + x * c[2]);
}

/* ---- the fit ------------------------------------------------------------------------------ */

/* How many different x, counted to 3. */
static int count_lengths(const double *x, size_t n) {
    double seen[TERMS];
    int count = 0;
    for (size_t i = 0; i < n && count < TERMS; i++) {
        int known = 0;
        for (int k = 0; k < count; k++)
            known |= seen[k] == x[i];
        if (!known)
            seen[count++] = x[i];
    }
    return count;
}

/* Weights and coefficients that agree with each other. Where the fit is far below a point, as it
 * can be at the short end, the point's own cost sets its weight: no point outweighs all others. */
static int reweight(const struct points *p, double *weight, size_t n, double c[TERMS]) {
    for (size_t i = 0; i < n; i++)
        weight[i] = 1 / (p->y[i] * p->y[i]);
    for (int round = 0; round < ROUNDS; round++) {
        struct moments m = {0};
        double before[TERMS] = {c[0], c[1], c[2]};
        for (size_t i = 0; i < n; i++)
            add_point(&m, p, i);
        if (solve(&m, p->terms, p->longest, c))
            return -1;
        double moved = 0;
        for (size_t i = 0; i < n; i++) {
            double fit = at(c, p->x[i]);
            double cost = fit > p->y[i] / 4 ? fit : p->y[i];
            moved = fmax(moved, fabs(fit - at(before, p->x[i])) / cost);
            weight[i] = 1 / (cost * cost);
        }
        if (round && moved < 1e-12)
            break;
    }
    return 0;
}

static double median_error(const struct points *p, size_t n, const double c[TERMS]) {
    double *error = mem_array(n, sizeof *error);
    for (size_t i = 0; i < n; i++)
        error[i] = fabs(at(c, p->x[i]) - p->y[i]) / p->y[i];
    double median = order_median(error, n);
    free(error);
    return median;
}

/* ---- intervals ---------------------------------------------------------------------------- */

enum { EXPONENT = TERMS, VALUES };      /* what is fitted: the terms, and the exponent */

static int all_values(const struct moments *m, const struct points *p, double out[VALUES]) {
    out[EXPONENT] = slope(m);
    return solve(m, p->terms, p->longest, out);
}

/* Draws groups until they tell the terms apart, as the points themselves do: among few lengths a
 * resample may have too few. -1: it seems that none does. */
static int draw(struct rng *rng, const struct moments *group, size_t groups,
                const struct points *p, double out[VALUES]) {
    for (int attempt = 0; attempt < REDRAWS; attempt++) {
        struct moments m = {0};
        for (size_t i = 0; i < groups; i++)
            add_moments(&m, &group[rng_below(rng, groups)], 1);
        if (!all_values(&m, p, out))
            return 0;
    }
    return -1;
}

static void find_intervals(const struct moments *group, size_t groups, const struct moments *all,
                           const struct points *p, const double estimate[VALUES],
                           const struct boot *opt, struct interval out[VALUES]) {
    struct boot b = opt ? *opt : (struct boot){0};
    double *theta[VALUES];
    double *without[VALUES];
    double value[VALUES];
    struct rng rng = {b.seed};
    int good = groups > 1;
    if (b.resamples <= 0)
        b.resamples = RESAMPLES;
    for (int v = 0; v < VALUES; v++) {
        theta[v] = mem_array((size_t)b.resamples, sizeof *theta[v]);
        without[v] = mem_array(groups, sizeof *without[v]);
    }
    for (size_t out_of = 0; good && out_of < groups; out_of++) {
        struct moments m = *all;
        add_moments(&m, &group[out_of], -1);
        good = !all_values(&m, p, value);
        for (int v = 0; v < VALUES; v++)
            without[v][out_of] = value[v];
    }
    for (int r = 0; good && r < b.resamples; r++) {
        good = !draw(&rng, group, groups, p, value);
        for (int v = 0; v < VALUES; v++)
            theta[v][r] = value[v];
    }
    for (int v = 0; v < VALUES; v++) {
        out[v] = good ? boot_from(theta[v], estimate[v], without[v], groups, &b) : none;
        free(theta[v]);
        free(without[v]);
    }
}

/* A coefficient that never makes more than a rounding error of the cost is none. */
static void drop_lost(double *value, struct interval *i, double share) {
    if (fabs(*value) * share < LOST)
        *value = 0;
    if (fabs(i->low) * share < LOST)
        i->low = 0;
    if (fabs(i->high) * share < LOST)
        i->high = 0;
}

static void drop_all_lost(struct fit *out, const double *x, const double *y, size_t n) {
    double share[TERMS] = {0, 0, 0};    /* of the cost, most, of a coefficient of 1 */
    for (size_t i = 0; i < n; i++) {
        share[0] = fmax(share[0], 1 / y[i]);
        share[1] = fmax(share[1], x[i] / y[i]);
        share[2] = fmax(share[2], x[i] * x[i] / y[i]);
    }
    drop_lost(&out->a, &out->a_interval, share[0]);
    drop_lost(&out->b, &out->b_interval, share[1]);
    drop_lost(&out->c, &out->c_interval, share[2]);
    drop_lost(&out->exponent, &out->exponent_interval, 1);
}

int fit_growth(const double *x, const double *y, size_t n, const uint32_t *group, uint32_t groups,
               const struct boot *opt, struct fit *out) {
    int lengths = count_lengths(x, n);
    *out = (struct fit){.n = n, .terms = lengths, .a = NAN, .b = NAN, .c = NAN, .exponent = NAN,
                        .error = NAN, .a_interval = none, .b_interval = none, .c_interval = none,
                        .exponent_interval = none};
    if (lengths < 2)
        return -1;
    struct points p = {.x = x, .y = y, .terms = lengths};
    for (size_t i = 0; i < n; i++)
        p.longest = fmax(p.longest, x[i]);
    double *weight = mem_array(n, sizeof *weight);
    p.weight = weight;
    double value[VALUES] = {0};
    if (reweight(&p, weight, n, value)) {
        free(weight);
        return -1;
    }
    size_t parts = group ? groups : n;
    struct moments *sums = mem_array(parts, sizeof *sums);
    struct moments all = {0};
    for (size_t i = 0; i < n; i++) {
        struct moments *own = &sums[group ? group[i] : i];
        add_point(own, &p, i);
        add_logarithms(own, &p, i);
    }
    for (size_t g = 0; g < parts; g++)
        add_moments(&all, &sums[g], 1);
    struct interval interval[VALUES];
    value[EXPONENT] = slope(&all);
    find_intervals(sums, parts, &all, &p, value, opt, interval);
    out->a = value[0];
    out->b = value[1];
    out->c = value[2];
    out->exponent = value[EXPONENT];
    out->error = median_error(&p, n, value);
    out->a_interval = interval[0];
    out->b_interval = interval[1];
    out->c_interval = interval[2];
    out->exponent_interval = interval[EXPONENT];
    drop_all_lost(out, x, y, n);
    free(sums);
    free(weight);
    return 0;
}
