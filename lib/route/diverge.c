/* diverge.c - how differently two parts of traffic are routed, see diverge.h; the test of it is in
 * diverge_test.c
 */
#include "lib/route/diverge.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"

struct diverge *diverge_new(int layers, int experts) {
    struct diverge *d = mem_alloc(sizeof *d);
    d->layers = layers;
    d->experts = experts;
    d->row = mem_array((size_t)layers + 1, sizeof *d->row);
    d->expert = mem_array((size_t)layers * (size_t)experts + 1, sizeof *d->expert);
    d->least_p = 1;
    return d;
}

void diverge_free(struct diverge *d) {
    if (!d)
        return;
    free(d->expert);
    free(d->row);
    free(d);
}

static double sum_of(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* Each side's part in the divergence from the middle of both; log of 0 times 0 is 0. */
double diverge_js(const double *a, const double *b, int n) {
    double sa = sum_of(a, n);
    double sb = sum_of(b, n);
    double sum = 0;
    if (!(sa > 0 && sb > 0))
        return NAN;
    for (int i = 0; i < n; i++) {
        double p = a[i] / sa;
        double q = b[i] / sb;
        double middle = (p + q) / 2;
        if (p > 0)
            sum += p * log(p / middle);
        if (q > 0)
            sum += q * log(q / middle);
    }
    return fmin(1, fmax(0, sum / 2 * 1.4426950408889634));      /* 1 / ln 2 */
}

void diverge_rates_of_counts(const double *count, int layers, int experts, int k, double *rate) {
    for (int l = 0; l < layers; l++) {
        const double *c = count + (size_t)l * (size_t)experts;
        double tokens = sum_of(c, experts) / (k > 0 ? k : 1);
        for (int e = 0; e < experts; e++)
            rate[(size_t)l * (size_t)experts + (size_t)e] = tokens > 0 ? c[e] / tokens : 0;
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

struct ranked {
    double rate;
    int expert;
};

static int by_rate(const void *a, const void *b) {
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->rate != y->rate)
        return x->rate > y->rate ? -1 : 1;
    return x->expert - y->expert;
}

/* in_top[experts] becomes 1 for the `top` busiest; the first on a tie. */
static void mark_top(const double *rate, int experts, int top, struct ranked *order, char *in_top) {
    for (int e = 0; e < experts; e++) {
        order[e] = (struct ranked){rate[e], e};
        in_top[e] = 0;
    }
    qsort(order, (size_t)experts, sizeof *order, by_rate);
    for (int i = 0; i < top; i++)
        in_top[order[i].expert] = 1;
}

static double top_overlap(const double *a, const double *b, int experts, int top) {
    struct ranked *order = mem_array((size_t)experts, sizeof *order);
    char *in_a = mem_alloc((size_t)experts);
    char *in_b = mem_alloc((size_t)experts);
    int both = 0;
    mark_top(a, experts, top, order, in_a);
    mark_top(b, experts, top, order, in_b);
    for (int e = 0; e < experts; e++)
        both += in_a[e] && in_b[e];
    free(in_b);
    free(in_a);
    free(order);
    return (double)both / top;
}

static void compare_layer(struct diverge *d, int layer, const double *a, const double *b, int top) {
    struct diverge_row *row = &d->row[layer];
    struct diverge_expert *expert = d->expert + (size_t)layer * (size_t)d->experts;
    *row = (struct diverge_row){.js_bits = diverge_js(a, b, d->experts), .null_bits = NAN,
                                .null95_bits = NAN, .p = NAN, .q = NAN, .differ = -1};
    row->top_overlap = isnan(row->js_bits) ? NAN : top_overlap(a, b, d->experts, top);
    for (int e = 0; e < d->experts; e++) {
        expert[e] = (struct diverge_expert){.rate = {a[e], b[e]}, .difference = a[e] - b[e],
                                            .low = NAN, .high = NAN, .p = NAN, .q = NAN};
        if (fabs(expert[e].difference) > fabs(expert[row->most].difference))
            row->most = e;
    }
    row->difference = expert[row->most].difference;
}

static void compare_all(struct diverge *d) {
    struct diverge_row *all = &d->row[d->layers];
    double js = 0;
    double overlap = 0;
    int n = 0;
    *all = (struct diverge_row){.null_bits = NAN, .null95_bits = NAN, .p = NAN, .q = NAN,
                                .differ = -1, .most = -1};
    for (int l = 0; l < d->layers; l++) {
        const struct diverge_row *row = &d->row[l];
        if (fabs(row->difference) > fabs(all->difference))
            all->difference = row->difference;
        if (isnan(row->js_bits))
            continue;
        js += row->js_bits;
        overlap += row->top_overlap;
        n++;
    }
    all->js_bits = n ? js / n : NAN;
    all->top_overlap = n ? overlap / n : NAN;
}

void diverge_compare(struct diverge *d, const double *a, const double *b, int top) {
    top = top > 0 ? top : d->experts / 8;
    top = top < 1 ? 1 : top > d->experts ? d->experts : top;
    for (int l = 0; l < d->layers; l++) {
        size_t at = (size_t)l * (size_t)d->experts;
        compare_layer(d, l, a + at, b + at, top);
    }
    compare_all(d);
}
