/* rank.c - tests by ranks, see rank.h
 *
 * Exact chances come from counting arrangements: one table over how many were chosen and what their
 * ranks add up to, filled one group of equal values after the other. All its terms are positive, so
 * that doubles count 2^60 arrangements with 15 digits. Ranks are doubled, which makes the mean rank
 * of a group a whole number.
 */
#include "lib/stat/rank.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/stat/dist.h"

#define EXACT_MOST 60           /* samples of both sides, or pairs */

static const struct interval none = {NAN, NAN};

/* ---- Mann and Whitney --------------------------------------------------------------------- */

/* Values of both sides that are equal, in ascending order of the groups. */
struct tie {
    int a, b;                   /* how many of each side */
};

/* ways[k * stride + s]: choices of k among the ranks up to `before` with the doubled sum s. Adds a
 * group of `size` equal ranks behind them, of which any number can be chosen. Downwards, so that no
 * choice counts a group twice, and no further than the highest sum of k ranks. */
static void add_group(double *ways, int most, int stride, int before, int size) {
    int rank = 2 * before + size + 1;
    int ranks = before + size;
    for (int k = ranks < most ? ranks : most; k > 0; k--) {
        int highest = k * (2 * ranks - k + 1);
        double choose = 1;
        for (int c = 1; c <= size && c <= k; c++) {
            choose = choose * (size - c + 1) / c;
            const double *from = ways + (k - c) * stride;
            double *to = ways + k * stride;
            for (int s = c * rank; s <= highest; s++)
                to[s] += choose * from[s - c * rank];
        }
    }
}

/* Twice the smaller tail, the value itself included, of the distribution ways[0..n), at `at`. */
static double two_tails(const double *ways, int n, int at) {
    double below = 0;
    double above = 0;
    double all = 0;
    for (int s = 0; s < n; s++) {
        all += ways[s];
        below += s <= at ? ways[s] : 0;
        above += s >= at ? ways[s] : 0;
    }
    return fmin(1, 2 * fmin(below, above) / all);
}

/* Of na samples among n whose doubled ranks add up to `sum`. */
static double exact_p(const struct tie *tie, size_t ties, int na, int n, int sum) {
    if (2 * na > n) {           /* the smaller side says the same with less counting */
        na = n - na;
        sum = n * (n + 1) - sum;
    }
    int stride = na * (2 * n - na + 1) + 1;     /* the na highest ranks, doubled, and zero */
    double *ways = mem_array((size_t)(na + 1) * (size_t)stride, sizeof *ways);
    ways[0] = 1;
    int before = 0;
    for (size_t i = 0; i < ties; i++) {
        int size = tie[i].a + tie[i].b;
        add_group(ways, na, stride, before, size);
        before += size;
    }
    double p = two_tails(ways + na * stride, stride, sum);
    free(ways);
    return p;
}

/* Two-sided, of a distance from the mean with a correction for continuity. */
static double normal_p(double distance, double variance) {
    if (!(variance > 0))
        return 1;
    double z = fmax(fabs(distance) - 0.5, 0) / sqrt(variance);
    return fmin(1, 2 * dist_normal(-z));
}

/* Cuts two sorted sides into groups of equal values. [na + nb] */
static size_t find_ties(const double *a, size_t na, const double *b, size_t nb, struct tie *tie) {
    size_t ties = 0;
    for (size_t i = 0, j = 0; i < na || j < nb; ties++) {
        double value = j == nb || (i < na && a[i] < b[j]) ? a[i] : b[j];
        tie[ties] = (struct tie){0, 0};
        for (; i < na && a[i] == value; i++)
            tie[ties].a++;
        for (; j < nb && b[j] == value; j++)
            tie[ties].b++;
    }
    return ties;
}

struct rank_test rank_mann_whitney(const double *a, size_t na, const double *b, size_t nb) {
    struct rank_test t = {.u = NAN, .p = NAN};
    if (!na || !nb)
        return t;
    double *sa = order_sorted(a, na);
    double *sb = order_sorted(b, nb);
    struct tie *tie = mem_array(na + nb, sizeof *tie);
    size_t ties = find_ties(sa, na, sb, nb, tie);
    double below = 0;           /* samples of b below this group */
    double cubes = 0;
    t.u = 0;
    for (size_t i = 0; i < ties; i++) {
        double size = tie[i].a + (double)tie[i].b;
        t.u += tie[i].a * (below + tie[i].b / 2.0);
        below += tie[i].b;
        cubes += size * (size * size - 1);
    }
    double x = (double)na;
    double y = (double)nb;
    double n = x + y;
    t.exact = na + nb <= EXACT_MOST;
    if (t.exact)
        t.p = exact_p(tie, ties, (int)na, (int)n, (int)(2 * t.u + x * (x + 1)));
    else
        t.p = normal_p(t.u - x * y / 2, x * y / 12 * (n + 1 - cubes / (n * (n - 1))));
    free(tie);
    free(sb);
    free(sa);
    return t;
}

double rank_least_p(size_t na, size_t nb) {
    size_t few = na < nb ? na : nb;
    double p = 2;
    for (size_t i = 1; i <= few && p > 0; i++)
        p *= (double)i / (double)(na + nb - few + i);
    return fmin(p, 1);
}

/* ---- Hodges and Lehmann ------------------------------------------------------------------- */

/* Differences a[i] - b[j] of sorted sides up to a limit: along the staircase on which the
 * differences cross it. Rounding keeps the order of differences, so that the count is exact. */
static uint64_t count_up_to(const double *a, size_t na, const double *b, size_t nb, double limit) {
    uint64_t count = 0;
    size_t j = nb;              /* the b from here on are near enough to a[i] */
    for (size_t i = na; i-- > 0;) {
        while (j > 0 && a[i] - b[j - 1] <= limit)
            j--;
        count += nb - j;
        if (!j) {               /* all smaller a are near enough to every b */
            count += (uint64_t)i * nb;
            break;
        }
    }
    return count;
}

/* Doubles in their order as integers, and back; -0 becomes 0. */
static int64_t key_of(double x) {
    int64_t key;
    memcpy(&key, &x, sizeof key);
    return key < 0 ? INT64_MIN - key : key;
}

static double of_key(int64_t key) {
    double x;
    key = key < 0 ? INT64_MIN - key : key;
    memcpy(&x, &key, sizeof x);
    return x;
}

/* The k-th smallest difference, k from 1, by halving the range of doubles that it lies in: at most
 * 64 counts, however many differences there are. */
static double select_difference(const double *a, size_t na, const double *b, size_t nb,
                                uint64_t k) {
    int64_t low = key_of(a[0] - b[nb - 1]);
    int64_t high = key_of(a[na - 1] - b[0]);
    while (low < high) {
        int64_t middle = (int64_t)((uint64_t)low + ((uint64_t)high - (uint64_t)low) / 2);
        if (count_up_to(a, na, b, nb, of_key(middle)) >= k)
            high = middle;
        else
            low = middle + 1;
    }
    return of_key(low);
}

/* How many differences lie outside each end of the interval at most, plus one; 0: no interval
 * reaches the level. P(U < depth) <= miss without ties. */
static uint64_t exact_depth(int na, int nb, double miss) {
    int stride = 2 * na * nb + na * (na + 1) + 1;
    double *ways = mem_array((size_t)(na + 1) * (size_t)stride, sizeof *ways);
    ways[0] = 1;
    for (int i = 0; i < na + nb; i++)
        add_group(ways, na, stride, i, 1);
    const double *sum = ways + na * stride;
    double all = 0;
    for (int s = 0; s < stride; s++)
        all += sum[s];
    uint64_t depth = 0;
    double below = 0;
    for (int s = na * (na + 1); s < stride; s += 2, depth++) {
        below += sum[s];
        if (below > miss * all * (1 + 1e-12))
            break;
    }
    free(ways);
    return depth;
}

uint64_t rank_depth(size_t na, size_t nb, double level) {
    if (!na || !nb)
        return 0;
    double miss = (1 - level) / 2;
    if (na + nb <= EXACT_MOST)
        return exact_depth((int)na, (int)nb, miss);
    double pairs = (double)na * (double)nb;
    double sd = sqrt(pairs / 12 * ((double)na + (double)nb + 1));
    double depth = floor(pairs / 2 - 0.5 + dist_normal_quantile(miss) * sd) + 1;
    return depth > 0 ? (uint64_t)depth : 0;
}

struct rank_shift rank_shift(const double *a, size_t na, const double *b, size_t nb, double level) {
    struct rank_shift r = {NAN, none};
    if (!na || !nb || !(level > 0 && level < 1))
        return r;
    double *sa = order_sorted(a, na);
    double *sb = order_sorted(b, nb);
    uint64_t pairs = (uint64_t)na * nb;
    r.shift = select_difference(sa, na, sb, nb, (pairs + 1) / 2);
    if (pairs % 2 == 0)
        r.shift += (select_difference(sa, na, sb, nb, pairs / 2 + 1) - r.shift) / 2;
    uint64_t depth = rank_depth(na, nb, level);
    if (depth) {
        r.interval.low = select_difference(sa, na, sb, nb, depth);
        r.interval.high = select_difference(sa, na, sb, nb, pairs + 1 - depth);
    }
    free(sb);
    free(sa);
    return r;
}

/* Logarithms of n numbers, or NULL when one is not above 0. */
static double *logarithms(const double *x, size_t n) {
    double *out = mem_array(n ? n : 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        if (!(x[i] > 0)) {
            free(out);
            return NULL;
        }
        out[i] = log(x[i]);
    }
    return out;
}

struct rank_shift rank_ratio(const double *a, size_t na, const double *b, size_t nb, double level) {
    struct rank_shift r = {NAN, none};
    double *la = logarithms(a, na);
    double *lb = logarithms(b, nb);
    if (la && lb) {
        r = rank_shift(la, na, lb, nb, level);
        r.shift = exp(r.shift);
        r.interval = (struct interval){exp(r.interval.low), exp(r.interval.high)};
    }
    free(lb);
    free(la);
    return r;
}

/* A difference in parts of a median. None at all is none in parts of a median of 0 too. */
static double in_parts(double difference, double median) {
    return difference == 0 ? 1 : median > 0 ? 1 + difference / median : NAN;
}

struct rank_shift rank_change(const double *a, size_t na, const double *b, size_t nb,
                              double level) {
    struct rank_shift r = rank_ratio(a, na, b, nb, level);
    if (!isnan(r.shift))
        return r;
    double median = order_median(b, nb);
    r = rank_shift(a, na, b, nb, level);
    r.shift = in_parts(r.shift, median);
    r.interval.low = in_parts(r.interval.low, median);
    r.interval.high = in_parts(r.interval.high, median);
    return r;
}

/* ---- Wilcoxon's signed ranks -------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    double x = fabs(*(const double *)a);
    double y = fabs(*(const double *)b);
    return (x > y) - (x < y);
}

struct rank_test rank_signed(const double *difference, size_t n) {
    struct rank_test t = {.u = NAN, .p = NAN};
    if (!n)
        return t;
    double *d = mem_array(n, sizeof *d);
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (difference[i] != 0)
            d[left++] = difference[i];
    qsort(d, left, sizeof *d, by_size);

    t.u = 0;
    t.exact = left <= EXACT_MOST;
    double x = (double)left;
    int stride = t.exact ? (int)(left * (left + 1)) + 1 : 1;
    double *ways = mem_array((size_t)stride, sizeof *ways);
    double cubes = 0;
    ways[0] = 1;
    for (size_t i = 0, end; i < left; i = end) {
        for (end = i; end < left && fabs(d[end]) == fabs(d[i]); end++) {}
        double size = (double)(end - i);
        double rank = (double)(i + end + 1) / 2;    /* the mean of i + 1 to end */
        cubes += size * (size * size - 1);
        for (size_t k = i; k < end; k++) {
            t.u += d[k] > 0 ? rank : 0;
            for (int s = stride - 1; t.exact && s >= (int)(i + end + 1); s--)
                ways[s] += ways[s - (int)(i + end + 1)];
        }
    }
    if (t.exact)
        t.p = two_tails(ways, stride, (int)(2 * t.u));
    else
        t.p = normal_p(t.u - x * (x + 1) / 4, x * (x + 1) * (2 * x + 1) / 24 - cubes / 48);
    free(ways);
    free(d);
    return t;
}

/* ---- many tests --------------------------------------------------------------------------- */

struct numbered {
    double p;
    size_t at;
};

static int by_p(const void *a, const void *b) {
    double x = ((const struct numbered *)a)->p;
    double y = ((const struct numbered *)b)->p;
    return (x > y) - (x < y);
}

/* The tests that count, ascending by p; the caller frees. */
static struct numbered *order_of(const double *p, size_t n, size_t *tests) {
    struct numbered *order = mem_array(n ? n : 1, sizeof *order);
    *tests = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(p[i]))
            order[(*tests)++] = (struct numbered){p[i], i};
    qsort(order, *tests, sizeof *order, by_p);
    return order;
}

void rank_holm(double *p, size_t n) {
    size_t tests;
    struct numbered *order = order_of(p, n, &tests);
    double before = 0;
    for (size_t i = 0; i < tests; i++) {
        before = fmin(1, fmax(before, (double)(tests - i) * order[i].p));
        p[order[i].at] = before;
    }
    free(order);
}

void rank_fdr(double *p, size_t n) {
    size_t tests;
    struct numbered *order = order_of(p, n, &tests);
    double least = 1;
    for (size_t i = tests; i-- > 0;) {
        least = fmin(least, order[i].p * (double)tests / (double)(i + 1));
        p[order[i].at] = least;
    }
    free(order);
}
