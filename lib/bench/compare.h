/* compare.h - two sets of measurements: is one better, by how much, and can that be said at all
 *
 *     struct comparisons c = {0};
 *     compare_add(&c, base, head);             // pairs series by name and unit
 *     compare_judge(&c, &(struct compare_options){.level = 0.95, .margin = 0.02});
 *     for (size_t i = 0; i < c.n; i++)
 *         use(&c.c[i]);
 *     comparisons_free(&c);
 *
 * The question is answered without assuming a distribution: Mann-Whitney's test, Hodges-Lehmann's
 * estimate of the ratio head / base, its interval (rank.h); p-values are adjusted for all series
 * compared at once (Holm). No conclusion is one of the answers.
 *
 * With a margin d, differences up to d count as none: worse means worse by more than d, and same
 * means that the whole interval lies within d. Without one, a difference that is not found is just
 * that: the interval says how large it may still be.
 */
#ifndef COMPARE_H
#define COMPARE_H

#include "lib/bench/series.h"
#include "lib/stat/rank.h"

struct compare_options {
    double level;               /* of intervals; p-values below 1 - level count */
    double margin;              /* 0.02: 2%; 0: any difference counts */
};

enum compare_verdict {
    COMPARE_BETTER, COMPARE_WORSE,
    COMPARE_HIGHER, COMPARE_LOWER,      /* different, where nobody said which way is better */
    COMPARE_SAME,                       /* within the margin */
    COMPARE_NOT_WORSE,                  /* by more than the margin; better or the same */
    COMPARE_NO_DIFFERENCE,              /* found; no margin was given */
    COMPARE_NOTHING,                    /* no conclusion */
    COMPARE_ONLY_BASE, COMPARE_ONLY_HEAD        /* the other side has no samples of it */
};
const char *compare_verdict_name(int verdict);      /* "better", "no conclusion", ... */

/* What is wrong with samples, as bits. */
enum compare_noise {
    COMPARE_WARMUP = 1,         /* the first is far off the others, to the worse */
    COMPARE_DRIFT = 2,          /* they rise or fall as time goes on */
    COMPARE_MODES = 4,          /* two groups, far apart */
    COMPARE_OUTLIERS = 8,       /* a hundredth of them or more lies far outside */
    COMPARE_DEPENDENT = 16,     /* each is like the one before it: intervals are too narrow */
    COMPARE_WIDE = 32           /* they spread wider than the difference, which was not found */
};
#define COMPARE_NOISES 6
const char *compare_noise_name(int bit);            /* of bit number 0 to COMPARE_NOISES - 1 */

struct comparison {
    const struct series *base, *head;   /* borrowed; NULL: that side has none */
    int pair;                           /* which call of compare_add, 0 for the first */
    double base_median, head_median;    /* NAN where there are no samples */
    struct interval base_interval, head_interval;
    struct rank_shift ratio;            /* head / base; where a sample is not above 0, 1 + their
                                         * difference / base_median; NAN when that is not either,
                                         * but 1 of no difference */
    double p;                           /* that there is no difference beyond the margin */
    double p_adjusted;                  /* NAN where the samples are too few for any conclusion */
    int verdict;                        /* enum compare_verdict */
    double need;                        /* samples a side that should do; NAN: enough, or unknown */
    unsigned base_noise, head_noise;    /* bits of compare_noise */
    double spread;                      /* larger of both: quartile distance / median */
};

struct comparisons {
    struct comparison *c;
    size_t n;
    int pairs;
};

/* Adds base's series in their order, then those that head alone has. Both are borrowed. */
void compare_add(struct comparisons *c, const struct serieses *base, const struct serieses *head);
void compare_judge(struct comparisons *c, const struct compare_options *opt);
void comparisons_free(struct comparisons *c);       /* becomes {0} */

/* Noise of samples in the order taken. better: enum series_better. */
unsigned compare_noise(const double *x, size_t n, int better);
/* (third quartile - first) / median; NAN for none or a median of 0. */
double compare_spread(const double *x, size_t n);

struct compare_mean {
    double *ratio;              /* [n] head / base of each series; the caller frees */
    size_t n;
    double mean;                /* geometric; NAN for none */
    struct interval interval;   /* over the series, as if others like them had been measured */
};
/* Over the series of one pair and unit. */
struct compare_mean compare_geomean(const struct comparisons *c, int pair, const char *unit,
                                    double level);

#endif
