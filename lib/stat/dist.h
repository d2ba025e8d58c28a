/* dist.h - distributions that tests and intervals need: normal, Student's t, binomial
 *
 * Relative error below 1e-12 where the result is not tiny (checked against published tables).
 */
#ifndef DIST_H
#define DIST_H

double dist_normal(double z);                       /* P(Z <= z) */
double dist_normal_quantile(double p);              /* p in (0, 1); -INFINITY, INFINITY at 0, 1 */
double dist_student(double t, double df);           /* P(T <= t), df > 0 */
double dist_student_quantile(double p, double df);
double dist_binomial(int k, int n, double p);       /* P(X <= k) */
/* I_x(a, b), the regularised incomplete beta function; a, b > 0, x in [0, 1]. */
double dist_beta(double x, double a, double b);
double dist_beta_quantile(double p, double a, double b);

#endif
