/* power.c - how many samples a comparison needs, see power.h */
#include "lib/stat/power.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/stat/dist.h"
#include "lib/stat/interval.h"
#include "lib/stat/perm.h"
#include "lib/stat/rank.h"

#define POINTS 200              /* of the noise; more say little more */
#define DRAWN_MOST 30           /* samples a side up to which powers are drawn */
#define DRAWS 4000              /* an error of 0.008 at most, the same in every run */

double power_reach(double from, double end, double edge, double n) {
    double factor = (end - from) / (edge - from);
    double need = ceil(n * factor * factor);
    return factor > 1 && need <= POWER_MOST ? need : NAN;
}

double power_rank_least(double tests, double alpha) {
    size_t n = 1;
    while (tests * rank_least_p(n, n) > alpha)
        n++;
    return (double)n;
}

double power_perm_least(double tests, double alpha) {
    size_t n = 1;
    while (tests * perm_least_p(n) > alpha)
        n++;
    return (double)n;
}

/* The least n at which the power, which grows with n, is enough. */
static double least_n(double (*at)(const void *, double), const void *arg, double from,
                      double power) {
    double low = from;
    double high = from;
    if (at(arg, from) >= power)
        return from;
    while (at(arg, high) < power) {
        low = high;
        high *= 2;
        if (high > POWER_MOST)
            return NAN;
    }
    while (high - low > 1) {
        double middle = floor((low + high) / 2);
        if (at(arg, middle) >= power)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* ---- ranks -------------------------------------------------------------------------------- */

/* The noise, and what was taken from it. */
struct noise {
    double *point;              /* [n] sorted, shrunk towards their mean by what the bumps add */
    size_t n;
    double bump;                /* deviation of what a draw adds to a point */
    double shift, alpha;
    double one, two_y, two_x;   /* P(X > Y), P(X > Y and X > Y'), P(X > Y and X' > Y), X moved up */
};

/* Only so much that few points leave no steps: a mean over all pairs is smooth by itself. */
static void smooth(struct noise *s, double mean, double deviation) {
    s->bump = deviation / sqrt((double)s->n);
    double shrink = deviation > 0 ? 1 / sqrt(1 + 1 / (double)s->n) : 1;
    for (size_t i = 0; i < s->n; i++)
        s->point[i] = shrink * (s->point[i] - mean);
    s->bump *= shrink;
}

static void find_chances(struct noise *s) {
    double *above = mem_array(s->n, sizeof *above);     /* of Y's i-th point: P(X > Y) */
    double others = (double)(s->n - 1);
    for (size_t i = 0; i < s->n; i++) {
        double below = 0;
        for (size_t j = 0; j < s->n; j++) {
            if (j == i)
                continue;
            double d = s->point[i] - s->point[j] + s->shift;
            double p = s->bump > 0 ? dist_normal(d / (s->bump * M_SQRT2))
                                   : d > 0 ? 1 : d < 0 ? 0 : 0.5;
            below += p / others;
            above[j] += p / others;
        }
        s->one += below / (double)s->n;
        s->two_y += below * below / (double)s->n;
    }
    for (size_t j = 0; j < s->n; j++)
        s->two_x += above[j] * above[j] / (double)s->n;
    free(above);
}

static void noise_init(struct noise *s, const double *x, size_t nx, double shift, double alpha) {
    *s = (struct noise){.point = order_sorted(x, nx), .n = nx < POINTS ? nx : POINTS,
                        .shift = fabs(shift), .alpha = alpha};
    for (size_t i = 0; i < POINTS && nx > POINTS; i++)
        s->point[i] = s->point[(2 * i + 1) * nx / (2 * POINTS)];
    smooth(s, interval_average(x, nx), interval_deviation(x, nx));
    find_chances(s);
}

static double draw(const struct noise *s, struct rng *r) {
    double x = s->point[rng_below(r, s->n)];
    return s->bump > 0 ? x + s->bump * dist_normal_quantile(rng_unit(r)) : x;
}

/* A few samples: U is far from normal where the effect is large, but quickly drawn. */
static double drawn_power(const struct noise *s, size_t n) {
    double a[DRAWN_MOST];
    double b[DRAWN_MOST];
    struct rng r = {1};
    uint64_t depth = rank_depth(n, n, 1 - s->alpha);
    double limit = (double)(n * n) - (double)depth;
    int found = 0;
    for (int t = 0; t < DRAWS && depth; t++) {
        double u = 0;
        for (size_t i = 0; i < n; i++) {
            a[i] = draw(s, &r) + s->shift;
            b[i] = draw(s, &r);
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++)
                u += a[i] > b[j] ? 1 : a[i] < b[j] ? 0 : 0.5;
        found += u > limit;
    }
    return (double)found / DRAWS;
}

/* Many: U / n^2 is normal around s->one. */
static double rank_at(const void *arg, double n) {
    const struct noise *s = arg;
    if (n <= DRAWN_MOST)
        return drawn_power(s, (size_t)n);
    double limit = 0.5 - dist_normal_quantile(s->alpha / 2) * sqrt((2 * n + 1) / 12) / n;
    double square = s->one * s->one;
    double variance = (s->one - square + (n - 1) * (s->two_y + s->two_x - 2 * square)) / (n * n);
    return variance > 0 ? dist_normal((s->one - limit) / sqrt(variance)) : s->one > limit;
}

double power_rank(const double *x, size_t nx, double shift, double n, double alpha) {
    struct noise s;
    if (nx < 2 || !(n >= 1))
        return NAN;
    noise_init(&s, x, nx, shift, alpha);
    double power = rank_at(&s, floor(n));
    free(s.point);
    return power;
}

double power_rank_need(const double *x, size_t nx, double shift, double alpha, double power) {
    struct noise s;
    if (nx < 2)
        return NAN;
    noise_init(&s, x, nx, shift, alpha);
    double n = least_n(rank_at, &s, power_rank_least(1, alpha), power);
    free(s.point);
    return n;
}

/* ---- means -------------------------------------------------------------------------------- */

struct mean {
    double size, alpha;         /* of the true mean, in deviations */
};

/* Student's t moved by the true mean: the noncentral one but for terms that a few pairs show. */
static double mean_at(const void *arg, double n) {
    const struct mean *m = arg;
    double limit = -dist_student_quantile(m->alpha / 2, n - 1);
    double away = m->size * sqrt(n);
    /* Johnson and Welch 1940: P(t > limit) by a normal law. */
    double bend = sqrt(1 + limit * limit / (2 * (n - 1)));
    return isinf(away) ? 1 : dist_normal((away - limit * (1 - 1 / (4 * (n - 1)))) / bend);
}

double power_mean(double deviation, double mean, double n, double alpha) {
    struct mean m = {fabs(mean) / deviation, alpha};
    return n >= 2 && !isnan(m.size) ? mean_at(&m, n) : NAN;
}

double power_mean_need(double deviation, double mean, double alpha, double power) {
    struct mean m = {fabs(mean) / deviation, alpha};
    return isnan(m.size) ? NAN : least_n(mean_at, &m, 2, power);
}
