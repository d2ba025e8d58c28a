/* interval.c - confidence intervals in closed form, see interval.h */
#include "lib/stat/interval.h"

#include <math.h>

#include "lib/stat/dist.h"

static const struct interval none = {NAN, NAN};

/* Sum of x[i] - from, with what each addition rounds off carried along (Neumaier 1974). */
static double sum_from(const double *x, size_t n, double from) {
    double sum = 0;
    double lost = 0;
    for (size_t i = 0; i < n; i++) {
        double value = x[i] - from;
        double next = sum + value;
        lost += fabs(sum) >= fabs(value) ? sum - next + value : value - next + sum;
        sum = next;
    }
    return sum + lost;
}

double interval_average(const double *x, size_t n) {
    return n ? sum_from(x, n, 0) / (double)n : NAN;
}

double interval_deviation(const double *x, size_t n) {
    if (n < 2)
        return NAN;
    double mean = interval_average(x, n);
    double rest = sum_from(x, n, mean);     /* what rounding left of the mean */
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double variance = (squares - rest * rest / (double)n) / (double)(n - 1);
    return variance < 0 ? 0 : sqrt(variance);       /* but for rounding; NAN stays */
}

struct interval interval_mean(const double *x, size_t n, double level) {
    if (n < 2 || !(level > 0 && level < 1))
        return none;
    double mean = interval_average(x, n);
    double t = -dist_student_quantile((1 - level) / 2, (double)(n - 1));
    double half = t * interval_deviation(x, n) / sqrt((double)n);
    return (struct interval){mean - half, mean + half};
}

struct interval interval_proportion(int64_t k, int64_t n, double level) {
    if (n < 1 || k < 0 || k > n || !(level > 0 && level < 1))
        return none;
    double z = -dist_normal_quantile((1 - level) / 2);
    double whole = (double)n;
    double share = (double)k / whole;
    double shrink = 1 + z * z / whole;
    double middle = (share + z * z / (2 * whole)) / shrink;
    double half = z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole)) / shrink;
    /* At its ends the formula gives 0 and 1, but for rounding. */
    return (struct interval){k == 0 ? 0 : middle - half, k == n ? 1 : middle + half};
}
