/* power.h - how many samples a comparison needs, and how likely it is to see what is there
 *
 *     double n = power_rank_need(log_ms, count, log(1.05), 0.05, 0.8);    // samples a side
 *
 * Everything rests on samples of the noise, as measured: nothing is assumed of its distribution but
 * that later samples are like these. A power is the chance that a two-sided test at alpha says that
 * the difference is there, in its direction.
 */
#ifndef POWER_H
#define POWER_H

#include <stddef.h>

#define POWER_MOST 1e6          /* more samples than that is no advice: NAN */

/* ---- from an interval that does not decide ------------------------------------------------ */

/* n samples gave an estimate `from` and an end of its interval; intervals shrink with the root of
 * n. How many until the end has moved to the edge. NAN: it is there, or it never will be. */
double power_reach(double from, double end, double edge, double n);
/* Samples a side from which Mann and Whitney's test, one of `tests` by Holm, can be significant. */
double power_rank_least(double tests, double alpha);
/* The same of pairs whose signs are flipped (perm.h). */
double power_perm_least(double tests, double alpha);

/* ---- from the noise ----------------------------------------------------------------------- */

/* Mann and Whitney's test, n samples a side, where one side is `shift` higher than the other and
 * the noise is that of x[nx] (two or more; their mean does not matter). Up to 30 a side it is drawn
 * from the noise, smoothed a little (Collings and Hamilton, Biometrics 44, 1988), beyond U is taken
 * as normal with the moments of Lehmann, "Nonparametrics" (1975), section 2.3, its chances those of
 * all pairs of x. Simulated, the noise known from 2000 samples: within 0.03. */
double power_rank(const double *x, size_t nx, double shift, double n, double alpha);
/* The least n with this power. NAN: more than POWER_MOST. */
double power_rank_need(const double *x, size_t nx, double shift, double alpha, double power);

/* The mean of n pairs' differences against 0: Student's test of normal differences with this
 * deviation, whose true mean is `mean`. */
double power_mean(double deviation, double mean, double n, double alpha);
double power_mean_need(double deviation, double mean, double alpha, double power);

#endif
