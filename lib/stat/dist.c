/* dist.c - normal, Student's t, binomial and beta distributions, see dist.h
 *
 * All but the normal come from the incomplete beta function: a continued fraction behind a factor
 * that is computed without large logarithms (Loader, "Fast and accurate computation of binomial
 * probabilities", 2000), so that sizes of millions lose no digits. Quantiles solve for the odds
 * x / (1 - x), where both ends of [0, 1] are equally far away, in the logarithm of the smaller
 * tail, which is concave there, so that Newton's steps do not run astray.
 */
#include "lib/stat/dist.h"

#include <float.h>
#include <math.h>

#define SQRT_HALF 0.70710678118654752440
#define TWO_PI 6.28318530717958647693
#define FRACTION_MOST 10000000  /* steps; it takes about the root of the larger parameter */
#define NEWTON_MOST 200
#define ODDS_MOST 745.0         /* exp(-745) is the smallest double */

/* ---- normal ------------------------------------------------------------------------------- */

double dist_normal(double z) {
    return 0.5 * erfc(-z * SQRT_HALF);
}

/* Newton's method on the logarithm of the lower tail; near the middle, where that has lost what
 * tells p from one half, on the distance from it. */
double dist_normal_quantile(double p) {
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (p > 0.5)
        return -dist_normal_quantile(1 - p);
    int middle = p > 0.2;
    double z = middle ? (p - 0.5) * sqrt(TWO_PI) : -sqrt(-2 * log(p));
    for (int i = 0; i < NEWTON_MOST; i++) {
        double density = exp(-0.5 * z * z) / sqrt(TWO_PI);
        double below = dist_normal(z);
        double step = middle ? (0.5 * erf(z * SQRT_HALF) - (p - 0.5)) / density
                             : log(below / p) * below / density;
        z -= step;
        if (!(fabs(step) > 4 * DBL_EPSILON * fabs(z)))
            break;
    }
    return z;
}

/* ---- the incomplete beta function --------------------------------------------------------- */

/* What Stirling's formula lacks: log(z!) - log(sqrt(2 pi z) (z / e)^z). */
static double stirling_error(double z) {
    if (z < 16)
        return lgamma(z + 1) - (z + 0.5) * log(z) + z - 0.5 * log(TWO_PI);
    double s = 1 / (z * z);
    return (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s / 1188)))) / z;
}

/* t - log(1 + t), without cancellation for small t; ratio is 1 + t, which the caller knows better
 * when t is near -1. */
static double excess(double t, double ratio) {
    if (!(fabs(t) < 0.5))
        return t - log(ratio);
    double r = t / (2 + t);
    double term = r * r * r;
    double sum = 0;
    for (int k = 3; fabs(term) > DBL_EPSILON * fabs(sum); k += 2) {
        sum += term / k;
        term *= r * r;
    }
    return r * t - 2 * sum;
}

/* x^a y^b / B(a, b), x + y = 1: a binomial probability at its saddle point times ab / (a + b). */
static double beta_factor(double x, double y, double a, double b) {
    double n = a + b;
    /* How far a lies from its mean, from the smaller of x and y: it has more digits. */
    double off = x < y ? n * x - a : b - n * y;
    double far = a * excess(off / a, n * x / a) + b * excess(-off / b, n * y / b);
    double stirling = stirling_error(n) - stirling_error(a) - stirling_error(b);
    return exp(stirling - far) * sqrt(a * b / (TWO_PI * n));
}

/* Where x is below the mean: the continued fraction (Abramowitz and Stegun 26.5.8) by the method
 * of Lentz, which needs neither a start from the end nor a guess of its length. */
static double beta_fraction(double x, double a, double b) {
    const double tiny = 1e-300;
    double c = 1;
    double d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < FRACTION_MOST; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        f *= d * (fabs(c) < tiny ? tiny : c);
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        f *= d * c;
        if (fabs(d * c - 1) < DBL_EPSILON)
            break;
    }
    return f;
}

/* I_x(a, b) with y = 1 - x, whichever of the two the caller knows more exactly. */
static double beta(double x, double y, double a, double b) {
    if (x <= 0 || y <= 0)
        return x <= 0 ? 0 : 1;
    if (x > (a + 1) / (a + b + 2))
        return 1 - beta_factor(x, y, a, b) * beta_fraction(y, b, a) / b;
    return beta_factor(x, y, a, b) * beta_fraction(x, a, b) / a;
}

/* The logarithm of the odds x / (1 - x) at which I_x(a, b) is p, for p up to one half. */
static double beta_odds(double p, double a, double b) {
    double low = -ODDS_MOST;
    double high = ODDS_MOST;
    double u = log(a / b);
    for (int i = 0; i < NEWTON_MOST; i++) {
        double x = 1 / (1 + exp(-u));
        double y = 1 / (1 + exp(u));
        double now = beta(x, y, a, b);
        if (now < p)
            low = u;
        else
            high = u;
        double step = log(now / p) * now / beta_factor(x, y, a, b);
        double next = u - step;
        if (!(next > low && next < high))
            next = low + (high - low) / 2;
        if (fabs(next - u) <= 2 * DBL_EPSILON * fabs(u))
            return next;
        u = next;
    }
    return u;
}

double dist_beta(double x, double a, double b) {
    if (!(x >= 0 && x <= 1 && a > 0 && b > 0))
        return NAN;
    return beta(x, 1 - x, a, b);
}

double dist_beta_quantile(double p, double a, double b) {
    if (!(p >= 0 && p <= 1 && a > 0 && b > 0))
        return NAN;
    if (p == 0 || p == 1)
        return p;
    double u = p > 0.5 ? -beta_odds(1 - p, b, a) : beta_odds(p, a, b);
    return 1 / (1 + exp(-u));
}

/* ---- what follows from it ----------------------------------------------------------------- */

double dist_student(double t, double df) {
    if (!(df > 0) || isnan(t))
        return NAN;
    if (isinf(t))
        return t > 0;
    if (isinf(df))
        return dist_normal(t);
    double far = t * t / df;    /* x : y = 1 : far, whatever overflows */
    double tail = 0.5 * (isinf(far) ? 0 : beta(1 / (1 + far), far / (1 + far), df / 2, 0.5));
    return t > 0 ? 1 - tail : tail;
}

double dist_student_quantile(double p, double df) {
    if (!(p >= 0 && p <= 1 && df > 0))
        return NAN;
    if (p == 0 || p == 1 || p == 0.5)
        return p == 0.5 ? 0 : p == 0 ? -INFINITY : INFINITY;
    if (isinf(df))
        return dist_normal_quantile(p);
    if (p > 0.5)
        return -dist_student_quantile(1 - p, df);
    /* Both tails together are I_x(df / 2, 1 / 2) at the odds df : t^2. */
    double u = p > 0.25 ? -beta_odds(1 - 2 * p, 0.5, df / 2) : beta_odds(2 * p, df / 2, 0.5);
    return -sqrt(df) * exp(-u / 2);
}

double dist_binomial(int k, int n, double p) {
    if (!(p >= 0 && p <= 1) || n < 0)
        return NAN;
    if (k < 0 || k >= n)
        return k >= n;
    return beta(1 - p, p, n - k, k + 1.0);
}
