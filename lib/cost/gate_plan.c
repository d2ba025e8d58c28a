/* gate_plan.c - how many cases and samples a gate needs, from the noise that was measured */
#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cost/gate.h"
#include "lib/stat/interval.h"
#include "lib/stat/power.h"

#define LEAST_EFFECT 0.05       /* of a metric without a margin */

static double effect_of(const struct gate_rule *r) {
    if (!isnan(r->effect))
        return r->effect;
    return r->margin > 0 ? 2 * r->margin : LEAST_EFFECT;
}

/* ---- unpaired ----------------------------------------------------------------------------- */

static int all_positive(const double *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(x[i] > 0))
            return 0;
    return 1;
}

/* Samples around their median: by logarithms, or in parts of it where some are not above 0. */
static size_t put_noise(const double *x, size_t n, int logs, double *out) {
    double median = order_median(x, n);
    if (n < 2 || (!logs && !(median > 0)))
        return 0;
    for (size_t i = 0; i < n; i++)
        out[i] = logs ? log(x[i] / median) : x[i] / median;
    return n;
}

static void plan_unpaired(const struct gate_metric *m, double alpha, double power,
                          struct gate_plan *out) {
    double *noise = mem_array(m->base_n + m->head_n + 1, sizeof *noise);
    int logs = all_positive(m->base, m->base_n) && all_positive(m->head, m->head_n);
    size_t n = put_noise(m->base, m->base_n, logs, noise);
    n += put_noise(m->head, m->head_n, logs, noise + n);
    size_t side = m->head_n && m->head_n < m->base_n ? m->head_n : m->base_n;
    double margin = logs ? log(1 + m->rule.margin) : m->rule.margin;
    double shift = (logs ? log(1 + out->effect) : out->effect) - margin;
    if (n) {
        out->spread = interval_deviation(noise, n);
        out->power = shift > 0 ? power_rank(noise, n, shift, (double)side, alpha) : 0;
        out->need = shift > 0 ? power_rank_need(noise, n, shift, alpha, power) : NAN;
        if (margin > 0)
            out->pass_need = power_rank_need(noise, n, margin, 1 - m->rule.level, power);
    }
    free(noise);
}

/* ---- paired ------------------------------------------------------------------------------- */

/* Deviation of worse - ratio * better in parts of the mean of worse: what the ratio of the sums
 * varies by, in parts of it, times the root of n. */
static double deviation_of(const struct gate_metric *m) {
    const double *worse = m->rule.better == GATE_HIGHER ? m->base : m->head;
    const double *better = m->rule.better == GATE_HIGHER ? m->head : m->base;
    double *residual = mem_array(m->base_n, sizeof *residual);
    double mean = interval_average(better, m->base_n);
    double ratio = interval_average(worse, m->base_n) / mean;
    for (size_t i = 0; i < m->base_n; i++)
        residual[i] = (worse[i] / ratio - better[i]) / mean;
    double deviation = interval_deviation(residual, m->base_n);
    free(residual);
    return deviation;
}

static void plan_paired(const struct gate_metric *m, double alpha, double power,
                        struct gate_plan *out) {
    double beyond = out->effect - m->rule.margin;
    if (m->base_n < 2 || m->base_n != m->head_n)
        return;
    double deviation = deviation_of(m);
    if (!isfinite(deviation))
        return;
    double least = power_perm_least((1 - m->rule.level) / alpha, 1 - m->rule.level);
    double n = (double)m->base_n;
    out->spread = deviation;
    double noise = deviation * (1 + out->effect);       /* of the ratio that is to be found */
    out->power = beyond > 0 && n >= least ? power_mean(noise, beyond, n, alpha) : 0;
    out->need = beyond > 0 ? fmax(least, power_mean_need(noise, beyond, alpha, power)) : NAN;
    if (m->rule.margin > 0)
        out->pass_need = fmax(least, power_mean_need(deviation, m->rule.margin,
                                                     1 - m->rule.level, power));
}

/* ---- either ------------------------------------------------------------------------------- */

void gate_plan(const struct gate_metric *m, size_t tests, double power, struct gate_plan *out) {
    double alpha = (1 - m->rule.level) / (double)(tests ? tests : 1);
    *out = (struct gate_plan){NAN, effect_of(&m->rule), NAN, NAN, NAN};
    if (m->rule.layer == GATE_DETERMINISTIC)
        *out = (struct gate_plan){0, NAN, 1, 1, 1};
    else if (m->rule.layer == GATE_PAIRED)
        plan_paired(m, alpha, power, out);
    else
        plan_unpaired(m, alpha, power, out);
}
