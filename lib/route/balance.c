/* balance.c - how evenly the experts of a layer are used, see balance.h */
#include "lib/route/balance.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/stat/dist.h"
#include "lib/stat/order.h"

/* Half the mean difference of two counts over the mean: from sorted counts, in one sum. */
static double gini_of(const double *count, int experts, double sum) {
    double *sorted = order_sorted(count, (size_t)experts);
    double weighted = 0;
    for (int i = 0; i < experts; i++)
        weighted += (2.0 * i + 1 - experts) * sorted[i];
    free(sorted);
    return weighted / (experts * sum);
}

void balance_of(const double *count, int experts, struct balance *out) {
    double most = 0;
    double logs = 0;
    *out = (struct balance){.top = -1};
    for (int e = 0; e < experts; e++) {
        out->sum += count[e];
        out->used += count[e] > 0;
        if (count[e] > most) {
            most = count[e];
            out->top = e;
        }
    }
    out->dead = experts - out->used;
    if (!(out->sum > 0)) {
        out->max_over_mean = out->maxvio = out->cv = out->gini = NAN;
        out->entropy = out->effective = out->top_share = NAN;
        return;
    }
    double mean = out->sum / experts;
    double squares = 0;
    for (int e = 0; e < experts; e++) {
        squares += (count[e] - mean) * (count[e] - mean);
        logs -= count[e] > 0 ? count[e] / out->sum * log(count[e] / out->sum) : 0;
    }
    out->max_over_mean = most / mean;
    out->maxvio = out->max_over_mean - 1;
    out->cv = sqrt(squares / experts) / mean;
    out->gini = gini_of(count, experts, out->sum);
    out->entropy = experts > 1 ? logs / log(experts) : NAN;
    out->effective = exp(logs);
    out->top_share = most / out->sum;
}

/* ---- what chance does --------------------------------------------------------------------- */

/* P(X <= m) of a binomial number of n draws. */
static double binomial_below(double m, double n, double p) {
    return m >= n ? 1 : dist_beta(1 - p, n - m, m + 1);
}

/* Chance that the largest of `experts` independent ones is above m. */
static double exceeds(double m, double n, double p, int experts) {
    double one = binomial_below(m, n, p);
    return one <= 0 ? 1 : -expm1(experts * log(one));
}

/* E[max] is the sum of P(max > m) over m = 0, 1, ...; where the deviation is many whole numbers
 * wide, steps of a fraction of it do as well. Numbers with the correlation -1 / (E - 1), which a
 * constant sum makes, spread by sqrt(E / (E - 1)) more than independent ones. */
double balance_noise(double tokens, double pairs, int experts) {
    if (!(tokens > 0) || !(pairs > 0))
        return NAN;
    double p = pairs / tokens / experts;
    double mean = tokens * p;
    if (experts == 1 || p >= 1)
        return 1;
    double deviation = sqrt(mean * (1 - p));
    double step = fmax(1, floor(deviation / 32));
    double m = fmax(0, floor(mean - 9 * deviation));
    double most = m;
    for (double chance = 1; chance > 1e-9 && m < tokens; m += step) {
        chance = m < 1 ? 1              /* some expert was used */
            : exceeds(step > 1 ? m + step / 2 : m, tokens, p, experts);
        most += chance * step;
    }
    double above = fmax(most - mean, 0) * sqrt(experts / (experts - 1.0));
    return fmin(1 + above / mean, 1 / p);
}
