/* fit.h - how a cost grows with a length: a + b n + c n^2, and the exponent
 *
 *     struct fit f;
 *     if (!fit_growth(tokens, ns, n, request, requests, &boot, &f) && f.c_interval.low > 0)
 *         ...                                      // the cost grows faster than the length
 *
 * Least squares on relative errors, since a measurement's noise grows with it: weights 1 / fit^2,
 * repeated until they agree with the fit (weights 1 / y^2 would pull it down, by some twice the
 * square of the noise). Intervals by drawing the points again (boot.h); draws with too few lengths
 * to tell the terms apart are drawn again.
 */
#ifndef FIT_H
#define FIT_H

#include <stddef.h>

#include "lib/stat/boot.h"

struct fit {
    size_t n;
    int terms;                  /* of the polynomial: 3, or 2 where x has two values; c is 0 */
    double a, b, c;             /* y = a + b x + c x^2 */
    struct interval a_interval, b_interval, c_interval;
    double exponent;            /* y = k x^exponent, a straight line in logarithms; x, y > 0 */
    struct interval exponent_interval;
    double error;               /* median of |fit - y| / y of the polynomial */
};

/* Fits n points (y > 0, x >= 0). -1: none of them, or no two different x. Points with x = 0 stay
 * out of the exponent; it is NAN without two others. A term that is lost in the rounding of the
 * others, for every length measured, is 0, and so is an exponent below 1e-10.
 *
 * group: as in boot.h, points that were measured together. Intervals are {NAN, NAN} for few groups,
 * as there; they take some 50 ns a group and resample. */
int fit_growth(const double *x, const double *y, size_t n, const uint32_t *group, uint32_t groups,
               const struct boot *opt, struct fit *out);

#endif
