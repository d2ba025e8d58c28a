/* gate.c - the regression gate's verdicts, see gate.h */
#include "lib/cost/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/stat/boot.h"
#include "lib/stat/dist.h"
#include "lib/stat/perm.h"
#include "lib/stat/power.h"
#include "lib/stat/rank.h"

const char *gate_verdict_name(int verdict) {
    static const char *const names[] = {"pass", "inconclusive", "fail"};
    return names[verdict];
}

/* ---- the direction in which it gets worse ------------------------------------------------- */

static int is_higher(const struct gate_metric *m) {
    return m->rule.better == GATE_HIGHER;
}

static const double *worse_side(const struct gate_metric *m) {
    return is_higher(m) ? m->base : m->head;
}

static const double *better_side(const struct gate_metric *m) {
    return is_higher(m) ? m->head : m->base;
}

/* The ratio and its interval so that above 1 is worse. */
struct worse {
    double ratio, low, high;
};

static struct worse worse_of(const struct gate_metric *m) {
    struct worse w = {m->ratio, m->interval.low, m->interval.high};
    if (is_higher(m))
        w = (struct worse){1 / m->ratio, 1 / m->interval.high, 1 / m->interval.low};
    return w;
}

static size_t smaller_n(const struct gate_metric *m) {
    return m->base_n < m->head_n ? m->base_n : m->head_n;
}

static double sum_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static double quotient(double a, double b) {
    return b > 0 ? a / b : a > 0 ? INFINITY : 1;
}

/* ---- deterministic ------------------------------------------------------------------------ */

/* Sums of dollars in another order, and 15% of 100, are not what they are on paper. Of counts below
 * 10^12 none is lost. */
#define ROUNDING 1e-12

/* Of 0 everything above is more than any share. */
static int is_beyond(double worse, double better, double margin) {
    return worse > better * (1 + margin) * (1 + ROUNDING);
}

static void judge_exact(struct gate_metric *m) {
    const double *worse = worse_side(m);
    const double *better = better_side(m);
    double most = 1;
    size_t beyond = 0;
    for (size_t i = 0; i < m->base_n; i++) {
        double growth = quotient(worse[i], better[i]);
        m->grown += worse[i] > better[i];
        beyond += !isnan(m->rule.each) && is_beyond(worse[i], better[i], m->rule.each);
        if (growth > most) {
            most = growth;
            m->worst = i;
        }
    }
    m->base_value = sum_of(m->base, m->base_n);
    m->head_value = sum_of(m->head, m->head_n);
    m->ratio = quotient(m->head_value, m->base_value);
    m->interval = (struct interval){m->ratio, m->ratio};
    int total = is_beyond(is_higher(m) ? m->base_value : m->head_value,
                          is_higher(m) ? m->head_value : m->base_value, m->rule.margin);
    m->verdict = total || beyond ? GATE_FAIL : GATE_PASS;
    if (beyond)
        snprintf(m->why, sizeof m->why, "%zu of %zu cases more than %g%% worse", beyond, m->base_n,
                 100 * m->rule.each);
    else if (m->grown)
        snprintf(m->why, sizeof m->why, "%zu of %zu cases worse", m->grown, m->base_n);
}

/* ---- measured: numbers -------------------------------------------------------------------- */

/* Chances of what was seen were head exactly as much worse as is allowed. */
struct chance {
    double worse;               /* 1 where it is less */
    double fine;                /* 1 where it is more; 0 where no case is */
};

/* Where a few cases are most of the sum, bootstrap intervals are too narrow; flips of signs are
 * not. So that both must agree, to fail and to pass. */
static struct chance paired_chance(const struct gate_metric *m, uint64_t seed) {
    const double *worse = worse_side(m);
    const double *better = better_side(m);
    double *difference = mem_array(m->base_n, sizeof *difference);
    int any = 0;
    for (size_t i = 0; i < m->base_n; i++) {
        difference[i] = worse[i] - (1 + m->rule.margin) * better[i];
        any |= difference[i] > 0;
    }
    struct perm_test t = perm_signs(difference, m->base_n, seed);
    free(difference);
    return (struct chance){t.sum > 0 ? t.p : 1, !any ? 0 : t.sum < 0 ? t.p : 1};
}

/* The chance that it is fine by luck. */
static double measure_paired(struct gate_metric *m, const struct gate_options *opt) {
    struct boot boot = {opt->resamples, m->rule.level, opt->seed};
    m->base_value = sum_of(m->base, m->base_n);
    m->head_value = sum_of(m->head, m->head_n);
    m->ratio = quotient(m->head_value, m->base_value);
    m->interval = (struct interval){m->ratio, m->ratio};
    if (m->base_value > 0)
        m->interval = boot_ratio(m->head, m->base, m->base_n, NULL, 0, &boot);
    struct chance c = paired_chance(m, opt->seed);
    m->p = c.worse;
    return c.fine;
}

static double unpaired_p(const struct gate_metric *m) {
    size_t n = is_higher(m) ? m->head_n : m->base_n;
    size_t worse_n = is_higher(m) ? m->base_n : m->head_n;
    double *scaled = mem_array(n, sizeof *scaled);
    for (size_t i = 0; i < n; i++)
        scaled[i] = better_side(m)[i] * (1 + m->rule.margin);
    struct rank_test t = rank_mann_whitney(worse_side(m), worse_n, scaled, n);
    free(scaled);
    return t.u > 0.5 * (double)n * (double)worse_n ? t.p : 1;
}

static void measure_unpaired(struct gate_metric *m) {
    struct rank_shift r = rank_change(m->head, m->head_n, m->base, m->base_n, m->rule.level);
    m->base_value = order_median(m->base, m->base_n);
    m->head_value = order_median(m->head, m->head_n);
    m->ratio = r.shift;
    m->interval = r.interval;
    m->p = unpaired_p(m);
}

/* ---- measured: verdicts ------------------------------------------------------------------- */

static int is_paired(const struct gate_metric *m) {
    return m->rule.layer == GATE_PAIRED;
}

static double least_p(const struct gate_metric *m) {
    return is_paired(m) ? perm_least_p(m->base_n) : rank_least_p(m->base_n, m->head_n);
}

static double least_n(const struct gate_metric *m, double tests) {
    double alpha = 1 - m->rule.level;
    return is_paired(m) ? power_perm_least(tests, alpha) : power_rank_least(tests, alpha);
}

static const char *counted(const struct gate_metric *m) {
    if (smaller_n(m) == 1)
        return is_paired(m) ? "case" : "sample a side";
    return is_paired(m) ? "cases" : "samples a side";
}

static void refuse(struct gate_metric *m, double need) {
    m->need = need;
    snprintf(m->why, sizeof m->why, "%zu %s can show nothing", smaller_n(m), counted(m));
}

/* What could turn an open question into an answer. */
static void say_need(struct gate_metric *m, struct worse w, size_t tests) {
    double edge = log(1 + m->rule.margin);
    double n = (double)smaller_n(m);
    if (isnan(w.low) || isnan(w.high)) {
        snprintf(m->why, sizeof m->why, "no interval from these %zu %s", smaller_n(m), counted(m));
    } else if (log(w.low) > edge) {
        double have = -dist_normal_quantile(m->p / 2);
        double want = -dist_normal_quantile((1 - m->rule.level) / (2 * (double)tests));
        double need = ceil(n * want * want / (have * have));
        m->need = need > n && need <= POWER_MOST ? need : n + 1;
        if (m->p > 1 - m->rule.level)
            snprintf(m->why, sizeof m->why, "worse, but not surely so");
        else
            snprintf(m->why, sizeof m->why, "worse, but not surely so among %zu metrics", tests);
    } else {
        double end = log(w.ratio) > edge ? w.low : w.high;
        m->need = power_reach(log(w.ratio), log(end), edge, n);
        if (w.high <= 1 + m->rule.margin)
            snprintf(m->why, sizeof m->why, "few cases are most of it, and not all are fine");
    }
}

struct family {                 /* what Holm corrects for */
    size_t tests;               /* those that are */
    size_t all;                 /* and those that would be, had they samples enough */
};

/* least: the smallest p that could have been, adjusted; NAN: it is no test. fine: as above. */
static void judge_measured(struct gate_metric *m, double least, double fine, struct family f) {
    double alpha = 1 - m->rule.level;
    struct worse w = worse_of(m);
    double edge = 1 + m->rule.margin;
    m->verdict = GATE_INCONCLUSIVE;
    if (isnan(least) || least > alpha)
        refuse(m, least_n(m, (double)f.all));
    else if (m->rule.min_n > (int64_t)smaller_n(m))
        refuse(m, (double)m->rule.min_n);
    else if (m->p_adjusted <= alpha && w.low > edge)
        m->verdict = GATE_FAIL;
    else if (w.high <= edge && fine <= alpha)
        m->verdict = GATE_PASS;
    else
        say_need(m, w, f.tests);
}

/* A head that says nothing of its worst cases must not pass by the others. */
static void judge_lost(struct gate_metric *m) {
    m->verdict = GATE_FAIL;
    m->need = NAN;
    snprintf(m->why, sizeof m->why, "head has no value in %zu of %zu cases", m->lost,
             m->lost + m->base_n);
}

/* ---- all of them -------------------------------------------------------------------------- */

int gate_counts(const struct gate_metric *m) {
    return m->rule.action == GATE_ACT_FAIL;
}

static int has_negative(const double *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (x[i] < 0)
            return 1;
    return 0;
}

/* What can be said without a test; 0: the rest must. */
static int judge_early(struct gate_metric *m) {
    m->base_value = m->head_value = m->ratio = m->p = m->p_adjusted = m->need = NAN;
    m->interval = (struct interval){NAN, NAN};
    m->why[0] = '\0';
    m->grown = 0;
    m->worst = SIZE_MAX;
    m->verdict = GATE_INCONCLUSIVE;
    if (m->unknown) {
        snprintf(m->why, sizeof m->why, "%s", m->unknown);
    } else if (!m->base_n || !m->head_n) {
        /* Nothing was measured, where something ought to be: a gate that is open then is none. */
        m->verdict = GATE_FAIL;
        m->base_value = order_median(m->base, m->base_n);
        m->head_value = order_median(m->head, m->head_n);
        snprintf(m->why, sizeof m->why, "%s",
                 m->rule.layer != GATE_UNPAIRED ? "no case is in base and in head"
                 : m->base_n ? "no samples in head"
                 : m->head_n ? "no samples in base" : "no samples");
    } else if (m->rule.layer != GATE_UNPAIRED &&
               (has_negative(m->base, m->base_n) || has_negative(m->head, m->head_n))) {
        snprintf(m->why, sizeof m->why, "numbers below 0 have no ratio");
    } else if (m->rule.layer == GATE_DETERMINISTIC) {
        judge_exact(m);
    } else {
        return 0;
    }
    return 1;
}

/* What could not have been significant by itself is no test. */
static int is_test(const struct gate_metric *m) {
    return !isnan(m->p) && least_p(m) <= 1 - m->rule.level;
}

size_t gate_tests(const struct gate_metric *m, size_t n) {
    size_t tests = 0;
    for (size_t i = 0; i < n; i++)
        tests += is_test(&m[i]) && m[i].rule.action != GATE_ACT_IGNORE;
    return tests;
}

/* A metric that is ignored is a test of its own and makes no other harder. */
static void adjust(struct gate_metric *m, size_t n, double *least, int holm) {
    double *p = mem_array(n ? n : 1, sizeof *p);
    for (size_t i = 0; i < n; i++) {
        int test = is_test(&m[i]);
        int among = test && m[i].rule.action != GATE_ACT_IGNORE;
        p[i] = among ? m[i].p : NAN;
        least[i] = among ? least_p(&m[i]) : NAN;
    }
    if (holm) {
        rank_holm(p, n);
        rank_holm(least, n);    /* what the best outcome of all of them would have given */
    }
    for (size_t i = 0; i < n; i++) {
        int alone = is_test(&m[i]) && m[i].rule.action == GATE_ACT_IGNORE;
        m[i].p_adjusted = alone ? m[i].p : p[i];
        if (alone)
            least[i] = least_p(&m[i]);
    }
    free(p);
}

void gate_judge(struct gate_metric *m, size_t n, const struct gate_options *opt) {
    struct gate_options o = *opt;
    o.seed = o.seed ? o.seed : 1;
    double *least = mem_array(n ? n : 1, sizeof *least);
    double *fine = mem_array(n ? n : 1, sizeof *fine);
    for (size_t i = 0; i < n; i++) {
        fine[i] = NAN;          /* judged already */
        if (judge_early(&m[i]))
            continue;
        fine[i] = 0;            /* of ranks the interval is the test turned around */
        if (is_paired(&m[i]))
            fine[i] = measure_paired(&m[i], &o);
        else
            measure_unpaired(&m[i]);
    }
    adjust(m, n, least, o.holm);
    struct family alone = {1, 1};
    struct family f = o.holm ? (struct family){gate_tests(m, n), 0} : alone;
    for (size_t i = 0; i < n && o.holm; i++)
        f.all += !isnan(m[i].p) && m[i].rule.action != GATE_ACT_IGNORE;
    for (size_t i = 0; i < n; i++)
        if (!isnan(fine[i]))
            judge_measured(&m[i], least[i], fine[i],
                           m[i].rule.action == GATE_ACT_IGNORE ? alone : f);
    for (size_t i = 0; i < n; i++)
        if (m[i].lost)
            judge_lost(&m[i]);
    free(fine);
    free(least);
}

int gate_outcome(const struct gate_metric *m, size_t n) {
    int worst = GATE_PASS;
    int any = 0;
    for (size_t i = 0; i < n; i++) {
        if (!gate_counts(&m[i]))
            continue;
        any = 1;
        worst = m[i].verdict > worst ? m[i].verdict : worst;
    }
    return any ? worst : GATE_INCONCLUSIVE;
}
