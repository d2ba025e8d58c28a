/* compare.c - two sets of measurements, see compare.h */
#include "lib/bench/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/stat/boot.h"
#include "lib/stat/dist.h"
#include "lib/stat/power.h"

const char *compare_verdict_name(int verdict) {
    static const char *const names[] = {
        "better", "worse", "higher", "lower", "same", "not worse", "no difference",
        "no conclusion", "only in base", "only in head"};
    return names[verdict];
}

const char *compare_noise_name(int bit) {
    static const char *const names[COMPARE_NOISES] = {
        "first is off", "drift", "two modes", "outliers", "dependent", "wide"};
    return names[bit];
}

/* ---- noise -------------------------------------------------------------------------------- */

/* Tukey's outer fence: a normal law puts 2 in a million beyond. */
#define FENCE 3.0
/* Samples less than this share of the median off the others do no harm, however tight these are. */
#define LEAST_OFF 0.02
/* Chance to see drift or dependence in samples that have none. */
#define ALARM 0.001
/* Distance of two groups' means in units of their common deviation. Of 12 or more samples of one
 * group it is seldom reached: in 0.2% of cases for a normal law, 1% for a uniform one, 2% for an
 * exponential one, at 12, and less beyond (simulated). */
#define MODES_APART 6.0
#define MODES_LEAST 12
#define MODES_SHARE 0.2         /* of the samples, in the smaller group */

static int has_warmup(const double *x, size_t n, int better) {
    if (n < 5)
        return 0;
    double *rest = order_sorted(x + 1, n - 1);
    double low = order_quantile(rest, n - 1, 0.25);
    double high = order_quantile(rest, n - 1, 0.75);
    double median = order_quantile(rest, n - 1, 0.5);
    double room = fmax(FENCE * (high - low), LEAST_OFF * fabs(median));
    free(rest);
    int above = x[0] > high + room;
    int below = x[0] < low - room;
    return better == SERIES_LOWER ? above : better == SERIES_HIGHER ? below : above || below;
}

static int has_outliers(const double *sorted, size_t n) {
    if (n < 5)
        return 0;
    double low = order_quantile(sorted, n, 0.25);
    double high = order_quantile(sorted, n, 0.75);
    double room = fmax(FENCE * (high - low), LEAST_OFF * fabs(order_quantile(sorted, n, 0.5)));
    size_t out = 0;
    for (size_t i = 0; i < n; i++)
        out += sorted[i] < low - room || sorted[i] > high + room;
    return out && (double)out >= 0.01 * (double)n;
}

/* The cut that leaves the least squares inside both groups (Fisher 1958; Otsu 1979). */
static int has_modes(const double *sorted, size_t n) {
    double sum = 0, squares = 0, left = 0, left_squares = 0;
    double least = INFINITY, apart = 0;
    size_t few = (size_t)ceil(MODES_SHARE * (double)n);
    double middle = order_quantile(sorted, n, 0.5);     /* as origin, for exact squares */
    if (n < MODES_LEAST)
        return 0;
    for (size_t i = 0; i < n; i++) {
        sum += sorted[i] - middle;
        squares += (sorted[i] - middle) * (sorted[i] - middle);
    }
    for (size_t k = 1; k <= n - few; k++) {
        double v = sorted[k - 1] - middle;
        double nl = (double)k, nr = (double)(n - k);
        left += v;
        left_squares += v * v;
        if (k < few)
            continue;
        double right = sum - left;
        double inside = fmax(0, left_squares - left * left / nl) +
                        fmax(0, squares - left_squares - right * right / nr);
        if (inside < least) {
            least = inside;
            apart = right / nr - left / nl;
        }
    }
    return apart > MODES_APART * sqrt(least / (double)(n - 2)) &&
           apart > LEAST_OFF * fabs(middle);
}

static int compare_index(const void *a, const void *b, void *x) {
    double u = ((const double *)x)[*(const size_t *)a];
    double v = ((const double *)x)[*(const size_t *)b];
    return u < v ? -1 : u > v;
}

/* Ranks from 1, equal values their mean. */
static double *ranks_of(const double *x, size_t n) {
    size_t *order = mem_array(n, sizeof *order);
    double *rank = mem_array(n, sizeof *rank);
    double *copy = mem_array(n, sizeof *copy);
    memcpy(copy, x, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof *order, compare_index, copy);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && x[order[j]] == x[order[i]]; j++)
            continue;
        for (size_t k = i; k < j; k++)
            rank[order[k]] = 0.5 * (double)(i + j + 1);
    }
    free(copy);
    free(order);
    return rank;
}

/* Pearson's correlation of a[i] with b[i]; 0 when one of them does not vary. */
static double correlation(const double *a, const double *b, size_t n) {
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ma += a[i];
        mb += b[i];
    }
    ma /= (double)n;            /* of equal ranks exactly that rank: they do not vary */
    mb /= (double)n;
    for (size_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* Could n pairs without any relation give a correlation like that? By Student's t. */
static int is_unlikely(double r, size_t n) {
    double t = fabs(r) * sqrt((double)(n - 2) / fmax(1e-300, 1 - r * r));
    return 2 * (1 - dist_student(t, (double)(n - 2))) < ALARM;
}

/* Spearman's correlation of the samples with their place, and with the samples before them. */
static unsigned relation(const double *x, size_t n) {
    unsigned bits = 0;
    if (n < 10)
        return 0;
    double *rank = ranks_of(x, n);
    double *place = mem_array(n, sizeof *place);
    for (size_t i = 0; i < n; i++)
        place[i] = (double)i;
    double drift = correlation(rank, place, n);
    double lag = correlation(rank, rank + 1, n - 1);
    /* Of a great many samples any relation shows; a weak one does no harm. */
    if (fabs(drift) > 0.2 && is_unlikely(drift, n))
        bits = COMPARE_DRIFT;
    else if (lag > 0.2 && is_unlikely(lag, n - 1))
        bits = COMPARE_DEPENDENT;
    free(place);
    free(rank);
    return bits;
}

unsigned compare_noise(const double *x, size_t n, int better) {
    double *sorted = order_sorted(x, n);
    unsigned bits = relation(x, n);
    if (has_warmup(x, n, better))
        bits |= COMPARE_WARMUP;
    if (n && has_modes(sorted, n))
        bits |= COMPARE_MODES;
    if (has_outliers(sorted, n) && !(bits & (COMPARE_WARMUP | COMPARE_MODES)))
        bits |= COMPARE_OUTLIERS;
    free(sorted);
    return bits;
}

double compare_spread(const double *x, size_t n) {
    double *sorted = order_sorted(x, n);
    double median = order_quantile(sorted, n, 0.5);
    double distance = order_quantile(sorted, n, 0.75) - order_quantile(sorted, n, 0.25);
    free(sorted);
    return median != 0 ? distance / fabs(median) : NAN;
}

/* ---- pairing ------------------------------------------------------------------------------ */

static void add(struct comparisons *all, const struct series *base, const struct series *head) {
    if (!(all->n & (all->n - 1)))
        all->c = mem_grow(all->c, all->n ? 2 * all->n : 1, sizeof *all->c);
    all->c[all->n++] = (struct comparison){.base = base, .head = head, .pair = all->pairs};
}

void compare_add(struct comparisons *c, const struct serieses *base,
                 const struct serieses *head) {
    for (size_t i = 0; i < base->n; i++) {
        const struct series *s = &base->s[i];
        add(c, s, series_find(head, s->name, s->unit));
    }
    for (size_t i = 0; i < head->n; i++) {
        const struct series *s = &head->s[i];
        if (!series_find(base, s->name, s->unit))
            add(c, NULL, s);
    }
    c->pairs++;
}

void comparisons_free(struct comparisons *c) {
    free(c->c);
    *c = (struct comparisons){0};
}

/* ---- judging ------------------------------------------------------------------------------ */

static size_t samples(const struct series *s) {
    return s ? s->n : 0;
}

/* Which way is better: what either side says. */
static int direction(const struct comparison *c) {
    if (c->base && c->base->better != SERIES_UNKNOWN)
        return c->base->better;
    return c->head ? c->head->better : SERIES_UNKNOWN;
}

static struct rank_test test_scaled(const struct comparison *c, double scale) {
    const struct series *b = c->base;
    double *scaled = mem_array(b->n, sizeof *scaled);
    for (size_t i = 0; i < b->n; i++)
        scaled[i] = b->x[i] * scale;
    struct rank_test t = rank_mann_whitney(c->head->x, c->head->n, scaled, b->n);
    free(scaled);
    return t;
}

/* Is there a difference beyond the margin? The test is that of head against base moved to the
 * nearer edge of the margin; an estimate inside the margin says nothing for it. Without ratios
 * (a median of 0) any difference counts. */
static void test(struct comparison *c, double margin) {
    double r = c->ratio.shift;
    double edge = 1;
    if (margin > 0 && r > 1 + margin)
        edge = 1 + margin;
    else if (margin > 0 && r < 1 / (1 + margin))
        edge = 1 / (1 + margin);
    else if (margin > 0 && !isnan(r)) {
        c->p = 1;
        return;
    }
    c->p = test_scaled(c, edge).p;
}

static void measure(struct comparison *c, const struct compare_options *opt) {
    size_t nb = samples(c->base), nh = samples(c->head);
    c->base_median = c->head_median = c->p = c->need = c->spread = NAN;
    c->base_interval = c->head_interval = (struct interval){NAN, NAN};
    c->ratio = (struct rank_shift){NAN, {NAN, NAN}};
    if (nb) {
        c->base_median = order_summary(c->base->x, nb, opt->level, &c->base_interval);
        c->base_noise = compare_noise(c->base->x, nb, c->base->better);
        c->spread = compare_spread(c->base->x, nb);
    }
    if (nh) {
        c->head_median = order_summary(c->head->x, nh, opt->level, &c->head_interval);
        c->head_noise = compare_noise(c->head->x, nh, c->head->better);
        c->spread = fmax(c->spread, compare_spread(c->head->x, nh));
    }
    if (!nb || !nh)
        return;
    c->ratio = rank_change(c->head->x, nh, c->base->x, nb, opt->level);
    test(c, opt->margin);
}

/* Verdict of a difference that stands: head is larger or smaller. */
static int name_difference(const struct comparison *c) {
    double half = 0.5 * (double)c->base->n * (double)c->head->n;
    int larger = c->ratio.shift > 1;
    if (!(c->ratio.shift > 1 || c->ratio.shift < 1))
        larger = rank_mann_whitney(c->head->x, c->head->n, c->base->x, c->base->n).u > half;
    switch (direction(c)) {
    case SERIES_HIGHER: return larger ? COMPARE_BETTER : COMPARE_WORSE;
    case SERIES_LOWER: return larger ? COMPARE_WORSE : COMPARE_BETTER;
    default: return larger ? COMPARE_HIGHER : COMPARE_LOWER;
    }
}

/* No difference beyond the margin was found: is it shown that there is none? In logarithms, with
 * the worse upwards. */
static void judge_margin(struct comparison *c, double margin) {
    double sign = direction(c) == SERIES_HIGHER ? -1 : 1;
    double edge = log(1 + margin);
    double at = sign * log(c->ratio.shift);
    double low = log(sign > 0 ? c->ratio.interval.low : c->ratio.interval.high) * sign;
    double high = log(sign > 0 ? c->ratio.interval.high : c->ratio.interval.low) * sign;
    double n = (double)(samples(c->base) < samples(c->head) ? samples(c->base) : samples(c->head));
    c->verdict = COMPARE_NOTHING;
    if (isnan(low) || isnan(high))
        return;
    int known = direction(c) != SERIES_UNKNOWN;
    if (high <= edge && low >= -edge)
        c->verdict = COMPARE_SAME;
    else if (high <= edge && known)
        c->verdict = COMPARE_NOT_WORSE;
    else if (at > edge)
        c->need = power_reach(at, low, edge, n);
    else if (at < -edge && !known)
        c->need = power_reach(at, high, -edge, n);
    else if (high > edge)
        c->need = power_reach(at, high, edge, n);
    else
        c->need = power_reach(at, low, -edge, n);
}

static void judge(struct comparison *c, double least_p, double tests,
                  const struct compare_options *opt) {
    double alpha = 1 - opt->level;
    if (!samples(c->base) || !samples(c->head)) {
        c->verdict = samples(c->base) ? COMPARE_ONLY_BASE
                     : samples(c->head) ? COMPARE_ONLY_HEAD : COMPARE_NOTHING;
    } else if (isnan(least_p)) {
        c->verdict = COMPARE_NOTHING;
        c->need = power_rank_least(tests + 1, alpha);
    } else if (least_p > alpha) {
        c->verdict = COMPARE_NOTHING;
        c->need = power_rank_least(tests, alpha);
    } else if (c->p_adjusted < alpha) {
        c->verdict = name_difference(c);
    } else if (opt->margin > 0) {
        judge_margin(c, opt->margin);
    } else {
        c->verdict = COMPARE_NO_DIFFERENCE;
    }
    int open = c->verdict == COMPARE_NOTHING || c->verdict == COMPARE_NO_DIFFERENCE;
    if (open && c->spread > fmax(LEAST_OFF, fabs(c->ratio.shift - 1))) {
        c->base_noise |= COMPARE_WIDE;
        c->head_noise |= COMPARE_WIDE;
    }
}

void compare_judge(struct comparisons *all, const struct compare_options *opt) {
    double *p = mem_array(all->n + 1, sizeof *p);
    double *least = mem_array(all->n + 1, sizeof *least);
    double tests = 0;
    for (size_t i = 0; i < all->n; i++) {
        struct comparison *c = &all->c[i];
        measure(c, opt);
        /* What could not have been significant by itself is no test, and must not make the others
         * harder (Tarone 1990). */
        double possible = isnan(c->p) ? NAN : rank_least_p(c->base->n, c->head->n);
        int is_test = possible <= 1 - opt->level;
        p[i] = is_test ? c->p : NAN;
        least[i] = is_test ? possible : NAN;
        tests += is_test;
    }
    rank_holm(p, all->n);
    rank_holm(least, all->n);       /* what the best outcome of all tests would have given */
    for (size_t i = 0; i < all->n; i++) {
        all->c[i].p_adjusted = p[i];
        judge(&all->c[i], least[i], tests, opt);
    }
    free(least);
    free(p);
}

/* ---- over all series ---------------------------------------------------------------------- */

static int is_in(const struct comparison *c, int pair, const char *unit) {
    const struct series *s = c->head ? c->head : c->base;
    return c->pair == pair && !strcmp(s->unit, unit) && c->ratio.shift > 0;
}

struct compare_mean compare_geomean(const struct comparisons *c, int pair, const char *unit,
                                    double level) {
    struct compare_mean m = {.interval = {NAN, NAN}, .mean = NAN};
    double sum = 0;
    m.ratio = mem_array(c->n + 1, sizeof *m.ratio);
    for (size_t i = 0; i < c->n; i++)
        if (is_in(&c->c[i], pair, unit))
            m.ratio[m.n++] = c->c[i].ratio.shift;
    for (size_t i = 0; i < m.n; i++)
        sum += log(m.ratio[i]);
    if (m.n)
        m.mean = exp(sum / (double)m.n);
    if (m.n > 1)
        m.interval = boot_geomean(m.ratio, m.n, &(struct boot){.level = level, .seed = 1});
    return m;
}
