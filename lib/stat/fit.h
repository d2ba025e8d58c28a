/* fit.h - how a cost grows with a length: a + b n + c n^2, and the exponent
 *
 * By least squares on relative errors (weights 1/y^2), since a measurement's noise grows with it;
 * intervals by resampling the points (boot.h).
 */
#ifndef FIT_H
#define FIT_H

#include <stddef.h>

#include "lib/stat/boot.h"

struct fit {
    size_t n;
    int terms;                  /* of the polynomial: 3, or 2 or 1 where x has fewer values */
    double a, b, c;             /* y = a + b x + c x^2 */
    struct interval a_interval, b_interval, c_interval;
    double exponent;            /* y = k x^exponent, a straight line in logarithms; x, y > 0 */
    struct interval exponent_interval;
    double error;               /* median of |fit - y| / y of the polynomial */
};

/* Fits n points (y > 0, x >= 0). -1: none of them, or no two different x. Points with x = 0 stay
 * out of the exponent. group: as in boot.h, points that were measured together. */
int fit_growth(const double *x, const double *y, size_t n, const uint32_t *group, uint32_t groups,
               const struct boot *opt, struct fit *out);

#endif
