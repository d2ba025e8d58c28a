/* judge.c - orders, curves, thresholds; see judge.h */
#include "lib/route/judge.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/route/judge_impl.h"
#include "lib/stat/dist.h"
#include "lib/stat/interval.h"

/* ---- orders ----------------------------------------------------------------------------- */

struct ranked {
    double score;
    uint32_t index;
};

/* The highest first; the same in the order of the input. */
static int compare_ranked(const void *a, const void *b) {
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static void rank(const struct judge_router *r, struct judge_order *o) {
    size_t n = o->pair.n;
    struct ranked *ranked = mem_array(n, sizeof *ranked);
    for (size_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){r->score[i], (uint32_t)i};
    if (n)
        qsort(ranked, n, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < n; i++) {
        o->score[i] = ranked[i].score;
        o->index[i] = ranked[i].index;
    }
    free(ranked);
}

struct judge_order *judge_order_new(const struct judge_pair *pair, const struct judge_router *r) {
    struct judge_order *o = mem_alloc(sizeof *o);
    size_t n = pair->n;
    int priced = pair->weak_usd != NULL;
    *o = (struct judge_order){.pair = *pair, .ties = r->ties, .cascade = r->cascade};
    o->index = mem_array(n + 1, sizeof *o->index);
    o->score = mem_array(n + 1, sizeof *o->score);
    o->gain = mem_array(n + 1, sizeof *o->gain);
    o->usd = priced ? mem_array(n + 1, sizeof *o->usd) : NULL;
    rank(r, o);
    for (size_t i = 0; i < n; i++) {
        uint32_t at = o->index[i];
        o->gain[i] = pair->strong[at] - pair->weak[at];
        if (priced)
            o->usd[i] = pair->strong_usd[at] - (r->cascade ? 0 : pair->weak_usd[at]);
    }
    o->weak = interval_average(pair->weak, n);
    o->strong = interval_average(pair->strong, n);
    o->weak_usd = priced ? interval_average(pair->weak_usd, n) : NAN;
    o->strong_usd = priced ? interval_average(pair->strong_usd, n) : NAN;
    return o;
}

void judge_order_free(struct judge_order *o) {
    if (!o)
        return;
    free(o->index);
    free(o->score);
    free(o->gain);
    free(o->usd);
    free(o);
}

static size_t ties_end(const struct judge_order *o, size_t i) {
    size_t end = i + 1;
    while (end < o->pair.n && o->score[end] == o->score[i])
        end++;
    return end;
}

size_t judge_cell_end(const struct judge_order *o, size_t i) {
    return o->ties == JUDGE_ORDER ? i + 1 : ties_end(o, i);
}

/* ---- curves ----------------------------------------------------------------------------- */

static void sweep(const struct judge_order *o, int steps, struct sweep *s,
                  struct sweep_sums *out) {
    sweep_begin(s, o->ties, steps, (int64_t)o->pair.n, out);
    for (size_t i = 0; i < o->pair.n;) {
        size_t end = judge_cell_end(o, i);
        double n = (double)(end - i);
        double gain = 0;
        double usd = 0;
        for (; i < end; i++) {
            gain += o->gain[i];
            usd += o->usd ? o->usd[i] : 0;
        }
        sweep_cell(s, n, gain, usd, o->ties == JUDGE_TOGETHER);
    }
    sweep_end(s);
}

static struct judge_point point_at(const struct judge_order *o, const struct sweep_sums *sums) {
    double n = (double)o->pair.n;
    double gap = o->strong - o->weak;
    size_t asked = (size_t)ceil(sums->n);
    return (struct judge_point){
        .share = sums->n / n, .quality = o->weak + sums->gain / n,
        .threshold = asked ? o->score[asked - 1] : INFINITY,
        .usd = o->usd ? o->weak_usd + sums->usd / n : NAN,
        .pgr = gap > 0 ? sums->gain / n / gap : NAN};
}

void judge_curve(const struct judge_order *o, int steps, struct judge_point *out) {
    struct sweep_sums *sums = mem_array((size_t)steps + 1, sizeof *sums);
    struct sweep s;
    sweep(o, steps, &s, sums);
    for (int k = 0; k <= steps; k++)
        out[k] = point_at(o, &sums[k]);
    free(sums);
}

void judge_measure(const struct judge_order *o, double out[JUDGE_MEASURES]) {
    struct sweep_sums sums[JUDGE_STEPS + 1];
    struct sweep s;
    double n = (double)o->pair.n;
    struct sweep_base base = {.weak = o->weak * n, .priced = o->usd != NULL,
                              .weak_usd = o->weak_usd * n, .strong_usd = o->strong_usd * n};
    for (size_t i = 0; i < o->pair.n; i++)
        base.gain += o->gain[i];
    sweep(o, JUDGE_STEPS, &s, sums);
    sweep_measures(&s, &base, out);
}

/* ---- thresholds ------------------------------------------------------------------------- */

struct judge_point judge_at(const struct judge_order *o, double threshold) {
    struct sweep_sums sums = {0, 0, 0};
    for (size_t i = 0; i < o->pair.n && o->score[i] >= threshold; i++) {
        sums.n++;
        sums.gain += o->gain[i];
        sums.usd += o->usd ? o->usd[i] : 0;
    }
    struct judge_point p = point_at(o, &sums);
    p.threshold = threshold;
    return p;
}

/* Calls fn at every threshold that tells the requests apart, the highest (none asked) first, until
 * it returns not 0. */
static void each_threshold(const struct judge_order *o,
                           int (*fn)(void *arg, const struct judge_point *p), void *arg) {
    struct sweep_sums sums = {0, 0, 0};
    struct judge_point p = point_at(o, &sums);
    for (size_t i = 0; !fn(arg, &p) && i < o->pair.n;) {
        for (size_t end = ties_end(o, i); i < end; i++) {
            sums.n++;
            sums.gain += o->gain[i];
            sums.usd += o->usd ? o->usd[i] : 0;
        }
        p = point_at(o, &sums);
    }
}

struct cut {
    double want;
    int found;
    struct judge_point best;
};

static int nearer_share(void *arg, const struct judge_point *p) {
    struct cut *c = arg;
    if (!c->found || fabs(p->share - c->want) < fabs(c->best.share - c->want))
        c->best = *p;
    c->found = 1;
    return p->share > c->want;
}

/* Rounding of sums must not cost a request where the target is met exactly. */
#define ROUNDING 1e-12

static int good_enough(void *arg, const struct judge_point *p) {
    struct cut *c = arg;
    c->best = *p;
    return c->found = p->quality >= c->want - ROUNDING * fabs(c->want);
}

static int cheap_enough(void *arg, const struct judge_point *p) {
    struct cut *c = arg;
    if (p->usd <= c->want * (1 + ROUNDING)) {
        c->best = *p;
        c->found = 1;
    }
    return 0;
}

struct judge_point judge_cut_share(const struct judge_order *o, double share) {
    struct cut c = {.want = share};
    each_threshold(o, nearer_share, &c);
    return c.best;
}

int judge_cut_quality(const struct judge_order *o, double quality, struct judge_point *out) {
    struct cut c = {.want = quality};
    each_threshold(o, good_enough, &c);
    *out = c.best;
    return c.found ? 0 : -1;
}

int judge_cut_usd(const struct judge_order *o, double usd, struct judge_point *out) {
    struct cut c = {.want = usd};
    each_threshold(o, cheap_enough, &c);
    *out = c.best;
    return c.found ? 0 : -1;
}

/* ---- luck ------------------------------------------------------------------------------- */

/* APGR is a sum of gains, each times a weight of its rank: the more shares it is asked at, the
 * larger. Its variance over all orders is that of gains times that of weights. */
struct interval judge_luck(const struct judge_pair *pair, double level) {
    size_t n = pair->n;
    double weight[2] = {0, 0};          /* sums of the weights and their squares */
    double gain[2] = {0, 0};
    double count = (double)n;
    int64_t from = 0;
    for (size_t i = 0; i < n; i++) {
        double d = pair->strong[i] - pair->weak[i];
        gain[0] += d;
        gain[1] += d * d;
    }
    if (n < 2 || !(gain[0] > 0))
        return (struct interval){NAN, NAN};
    for (int k = 1; k <= JUDGE_STEPS; k++) {
        int64_t to = (2 * k * (int64_t)n + JUDGE_STEPS) / (2 * JUDGE_STEPS);
        double w = (JUDGE_STEPS - k + 0.5) / JUDGE_STEPS;
        weight[0] += w * (double)(to - from);
        weight[1] += w * w * (double)(to - from);
        from = to;
    }
    double spread = (gain[1] - gain[0] * gain[0] / count) *
                    (weight[1] - weight[0] * weight[0] / count) / (count - 1);
    double z = dist_normal_quantile((1 + level) / 2) * sqrt(spread) / gain[0];
    double middle = weight[0] / count;
    return (struct interval){middle - z, middle + z};
}
