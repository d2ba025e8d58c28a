/* gate.h - the regression gate: is head worse than base, by more than is allowed, and is that sure
 *
 *     struct gate_metric m[] = {{.name = "usd", .unit = "usd", .rule = rule, .base = a, .head = b,
 *                                .base_n = n, .head_n = n}};
 *     gate_judge(m, 1, &(struct gate_options){.holm = 1});
 *     return gate_outcome(m, 1);
 *
 * Everything is said in the direction in which it gets worse: for a metric whose higher values are
 * better the ratio is turned around. With a margin d (0.02: 2 %) a metric
 *
 *     FAILs           when the interval's low end is above 1 + d, and the test against 1 + d is
 *                     significant after Holm's correction
 *     PASSes          when the interval's high end is 1 + d or less; of pairs moreover either no
 *                     case is worse than that, or the test says that it is no luck
 *     is INCONCLUSIVE else, with the number of cases or samples that should do
 *
 * Holm's correction is needed for failing, where any one metric of many is enough; passing takes
 * all of them, and their chances need none (Berger 1982, intersection-union tests). So with level L
 * an unchanged head fails in at most 1 - L of all runs, however many metrics there are, and a
 * metric that is worse than its margin passes in at most (1 - L) / 2 of them.
 *
 * Layers
 *   deterministic   base and head [n] by case, in pairs: totals compared as they are
 *   paired          the same; ratio of the sums, its bootstrap interval over cases (boot.h), flips
 *                   of the signs of head - (1 + d) base (perm.h)
 *   unpaired        samples of each side: Hodges and Lehmann's ratio and its interval, Mann and
 *                   Whitney's test of head against (1 + d) base (rank.h)
 * What so few cases or samples could never show, whatever they are, is no test: the metric is
 * INCONCLUSIVE, whatever its numbers, and says how many it takes (Tarone 1990: and the others'
 * correction does not count it).
 */
#ifndef GATE_H
#define GATE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/cost/gate_policy.h"
#include "lib/stat/order.h"

struct gate_options {
    int holm;                   /* 1: correct for the number of metrics */
    int resamples;              /* of the bootstrap; 0: 10000 */
    uint64_t seed;              /* of the bootstrap and of flips that are drawn; 0: 1 */
};

enum gate_verdict { GATE_PASS, GATE_INCONCLUSIVE, GATE_FAIL };
const char *gate_verdict_name(int verdict);     /* "pass", "inconclusive", "fail" */

struct gate_metric {
    /* ---- in ---- */
    const char *name, *unit;
    struct gate_rule rule;
    const double *base, *head;  /* borrowed; finite */
    size_t base_n, head_n;      /* the same where they are pairs */
    size_t lost;                /* further pairs that have no number in head alone: it fails */
    const char *unknown;        /* why there are no numbers ("no price for NAME"): inconclusive;
                                 * NULL: there are, or ought to be */

    /* ---- out ---- */
    double base_value, head_value;      /* sums; of unpaired samples medians. NAN: none */
    double ratio;               /* head / base; INFINITY: base is 0, head is not */
    struct interval interval;   /* of the ratio, at the rule's level; {NAN, NAN}: none */
    double p, p_adjusted;       /* that head is not worse than the margin; NAN: not a test */
    int verdict;                /* enum gate_verdict */
    char why[160];              /* in words, where numbers do not say it; or "" */
    double need;                /* cases or samples a side that should do; NAN: enough, or no number
                                 * would */
    size_t grown;               /* deterministic: cases that got worse */
    size_t worst;               /* index of the case that got worse most; SIZE_MAX: none did */
};

void gate_judge(struct gate_metric *m, size_t n, const struct gate_options *opt);

/* GATE_FAIL when a metric whose action is to fail does, else GATE_INCONCLUSIVE when one of them is,
 * or when none is there at all, else GATE_PASS. */
int gate_outcome(const struct gate_metric *m, size_t n);
/* What the metric asks for: 1 when its verdict counts towards the outcome. */
int gate_counts(const struct gate_metric *m);

/* ---- planning ----------------------------------------------------------------------------- */

struct gate_plan {
    double spread;              /* of the noise: deviation of the logarithms, or of head / ratio -
                                 * base in parts of base; NAN: none, or not measured */
    double effect;              /* what is to be found: 0.1 is 10 % worse */
    double power;               /* chance that a FAIL shows it with the n that there are */
    double need;                /* n that finds it with the power asked for; NAN: too many */
    double pass_need;           /* n with which an unchanged head PASSes so often; NAN: too many */
};

/* From a judged metric and the number of tests that Holm corrects for, at its strictest step.
 * Unpaired noise is that of both sides, each around its own median; of pairs it takes both sides.
 * power: 0.8. */
void gate_plan(const struct gate_metric *m, size_t tests, double power, struct gate_plan *out);
/* How many of these metrics are tests. */
size_t gate_tests(const struct gate_metric *m, size_t n);

#endif
