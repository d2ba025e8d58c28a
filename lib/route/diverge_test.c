/* diverge_test.c - whether chance explains that two parts are routed differently, see diverge.h
 *
 * All draws of sides are made first, as lists of the units of the rarer side. Then each layer is
 * one piece of work: its counts stay in the cache while the draws pass by. Layers are shared by
 * threads, and no sum crosses them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/par.h"
#include "lib/route/diverge.h"
#include "lib/stat/dist.h"
#include "lib/stat/order.h"
#include "lib/stat/perm_groups.h"
#include "lib/stat/rank.h"

#define RESAMPLES 2000
#define FDR 0.05
#define LEVEL 0.95
#define ROUNDING 1e-9           /* the same divergence, summed in another order */

/* Units that are compared with each other: a range, since they stand in the order of topics. */
struct topic {
    size_t from, n;
    size_t few;                 /* units of the rarer side ... */
    int rarer;                  /* ... 0: a, 1: b */
    double weight;              /* of all topics: 1 */
    double tokens[2];
    uint64_t *total;            /* [layers][stride], of both sides */
};

struct work {
    const struct diverge_units *u;
    struct perm_groups *groups;
    struct topic *topic;
    size_t topics;
    int draws;
    size_t listed;              /* units of the rarer sides */
    uint32_t *list;             /* [draws + 1][listed], topic after topic; the last: as seen */
    double *rate[2];            /* [layers][experts] as seen */
    double *js;                 /* [draws][layers] */
    struct diverge *d;
    double level;
};

/* ---- topics ------------------------------------------------------------------------------- */

static void add_totals(const struct diverge_units *u, struct topic *t) {
    size_t stride = (size_t)u->stride;
    t->total = mem_array((size_t)u->layers * stride, sizeof *t->total);
    for (size_t l = 0; l < (size_t)u->layers; l++)
        for (size_t i = t->from; i < t->from + t->n; i++)
            for (size_t e = 0; e < stride; e++)
                t->total[l * stride + e] += u->count[(l * u->n + i) * stride + e];
}

static struct topic topic_at(const struct diverge_units *u, size_t from, int matched) {
    struct topic t = {.from = from};
    size_t of_b = 0;
    for (; from + t.n < u->n; t.n++) {
        size_t i = from + t.n;
        if (matched && u->topic[i] != u->topic[from])
            break;
        of_b += u->side[i];
        t.tokens[u->side[i]] += (double)u->tokens[i];
    }
    t.rarer = of_b <= t.n - of_b;
    t.few = t.rarer ? of_b : t.n - of_b;
    if (t.few)
        t.weight = t.tokens[0] * t.tokens[1] / (t.tokens[0] + t.tokens[1]);
    return t;
}

/* Those of both sides, and how much was left out: its units become side 0, so that they do not
 * count as such that could be shuffled. */
static void find_topics(struct work *w, int matched, uint8_t *side) {
    const struct diverge_units *u = w->u;
    double sum = 0;
    memcpy(side, u->side, u->n);
    w->topic = mem_array(u->n + 1, sizeof *w->topic);
    for (size_t i = 0; i < u->n;) {
        struct topic t = topic_at(u, i, matched);
        int named = !matched || u->topic[i] != DIVERGE_NO_TOPIC;
        i += t.n;
        if (t.few && named) {
            add_totals(u, &t);
            sum += t.weight;
            w->listed += t.few;
            w->topic[w->topics++] = t;
            continue;
        }
        w->d->topics_left += named;
        memset(side + t.from, 0, t.n);
        for (int s = 0; s < 2; s++)
            w->d->tokens_left[s] += (int64_t)t.tokens[s];
    }
    for (size_t s = 0; s < w->topics; s++)
        w->topic[s].weight /= sum;
    w->d->topics = (int64_t)w->topics;
}

/* ---- draws -------------------------------------------------------------------------------- */

static void list_few(const struct work *w, const uint8_t *side, uint32_t *list) {
    for (size_t s = 0; s < w->topics; s++) {
        const struct topic *t = &w->topic[s];
        for (size_t i = t->from; i < t->from + t->n; i++)
            if (side[i] == t->rarer)
                *list++ = (uint32_t)i;
    }
}

static void draw_all(struct work *w, uint64_t seed) {
    uint8_t *side = mem_alloc(w->u->n + 1);
    w->list = mem_array((size_t)(w->draws + 1) * w->listed + 1, sizeof *w->list);
    for (int t = 0; t < w->draws; t++) {
        perm_groups_draw(w->groups, seed, (uint64_t)t, side);
        list_few(w, side, w->list + (size_t)t * w->listed);
    }
    list_few(w, w->u->side, w->list + (size_t)w->draws * w->listed);
    free(side);
}

/* stride is a multiple of 8; eight at a time are what the compiler turns into vectors. */
static void add_counts(uint32_t *restrict sum, const uint32_t *restrict count, size_t stride) {
    for (size_t e = 0; e < stride; e += 8)
        for (size_t j = 0; j < 8; j++)
            sum[e + j] += count[e + j];
}

/* Rates a, b [experts] of a layer when these units are the rarer sides. */
static void rates_of(const struct work *w, size_t layer, const uint32_t *list, uint32_t *sum,
                     double *a, double *b) {
    const struct diverge_units *u = w->u;
    size_t stride = (size_t)u->stride;
    size_t experts = (size_t)u->experts;
    memset(a, 0, experts * sizeof *a);
    memset(b, 0, experts * sizeof *b);
    for (size_t s = 0; s < w->topics; s++) {
        const struct topic *t = &w->topic[s];
        const uint64_t *total = t->total + layer * stride;
        double tokens = 0;
        memset(sum, 0, stride * sizeof *sum);
        for (size_t i = 0; i < t->few; i++) {
            add_counts(sum, u->count + (layer * u->n + list[i]) * stride, stride);
            tokens += (double)u->tokens[list[i]];
        }
        double few = t->weight / tokens;
        double many = t->weight / (t->tokens[0] + t->tokens[1] - tokens);
        double *rare = t->rarer ? b : a;
        double *rest = t->rarer ? a : b;
        for (size_t e = 0; e < experts; e++) {
            rare[e] += few * (double)sum[e];
            rest[e] += many * (double)(total[e] - sum[e]);
        }
        list += t->few;
    }
}

/* ---- experts ------------------------------------------------------------------------------ */

/* What the difference of an expert's rates varies by when tokens are independent: no less is
 * believed. Half a token more keeps it from being 0. */
static double chance_variance(const struct topic *t, const double count[2]) {
    double sum = 0;
    for (int s = 0; s < 2; s++) {
        double rate = fmin(1, (count[s] + 0.5) / (t->tokens[s] + 1));
        sum += rate * (1 - rate) / t->tokens[s];
    }
    return t->weight * t->weight * sum;
}

/* Without shuffling: each side around its own rate. Below two units a side: the caller's word. */
static double side_variance(const struct work *w, const struct topic *t, const double count[2],
                            const uint32_t *of, size_t stride) {
    const struct diverge_units *u = w->u;
    double squares[2] = {0, 0};
    double units[2];
    double sum = 0;
    for (size_t i = t->from; i < t->from + t->n; i++) {
        int s = u->side[i];
        double d = (double)of[i * stride] - count[s] / t->tokens[s] * (double)u->tokens[i];
        squares[s] += d * d;
    }
    units[t->rarer] = (double)t->few;
    units[!t->rarer] = (double)(t->n - t->few);
    for (int s = 0; s < 2; s++)
        if (units[s] > 1)
            sum += squares[s] / (t->tokens[s] * t->tokens[s]) * units[s] / (units[s] - 1);
    return t->weight * t->weight * sum;
}

/* x[n] becomes each unit's part in the difference of rates; the two variances of it. */
static void spread_expert(const struct work *w, size_t layer, size_t e, double *x, double *chance,
                          double *sides) {
    const struct diverge_units *u = w->u;
    size_t stride = (size_t)u->stride;
    const uint32_t *of = u->count + layer * u->n * stride + e;
    *chance = 0;
    *sides = 0;
    memset(x, 0, u->n * sizeof *x);
    for (size_t s = 0; s < w->topics; s++) {
        const struct topic *t = &w->topic[s];
        double total = (double)t->total[layer * stride + e];
        double rate = total / (t->tokens[0] + t->tokens[1]);
        double part = t->weight * (1 / t->tokens[0] + 1 / t->tokens[1]);
        double count[2] = {0, 0};
        for (size_t i = t->from; i < t->from + t->n; i++) {
            x[i] = part * ((double)of[i * stride] - rate * (double)u->tokens[i]);
            count[u->side[i]] += (double)of[i * stride];
        }
        *chance += chance_variance(t, count);
        *sides += u->pair ? 0 : side_variance(w, t, count, of, stride);
    }
}

static void test_expert(const struct work *w, size_t layer, size_t e, double *x) {
    struct diverge_expert *out = &w->d->expert[layer * (size_t)w->u->experts + e];
    double chance;
    double sides;
    if (!(out->rate[0] > 0 || out->rate[1] > 0))
        return;
    spread_expert(w, layer, e, x, &chance, &sides);
    struct perm_score s = perm_groups_score(w->groups, x, chance);
    if (isnan(s.p))
        return;
    double half = -dist_student_quantile((1 - w->level) / 2, s.df)
        * fmax(s.error, sqrt(sides));
    out->p = s.p;
    out->q = s.p;
    out->low = fmax(-1, out->difference - half);
    out->high = fmin(1, out->difference + half);
}

/* ---- the work ----------------------------------------------------------------------------- */

struct room {
    uint32_t *sum;
    double *a, *b, *x;
};

static void test_layer(const struct work *w, size_t layer, const struct room *r) {
    for (int t = 0; t < w->draws; t++) {
        rates_of(w, layer, w->list + (size_t)t * w->listed, r->sum, r->a, r->b);
        w->js[(size_t)t * (size_t)w->u->layers + layer] = diverge_js(r->a, r->b, w->u->experts);
    }
    for (size_t e = 0; e < (size_t)w->u->experts && w->draws; e++)
        test_expert(w, layer, e, r->x);
}

static void test_share(void *arg, int ith, int nth) {
    const struct work *w = arg;
    size_t experts = (size_t)w->u->experts;
    struct room r = {mem_array((size_t)w->u->stride, sizeof *r.sum),
                     mem_array(experts, sizeof *r.a), mem_array(experts, sizeof *r.b),
                     mem_array(w->u->n + 1, sizeof *r.x)};
    for (int l = ith; l < w->u->layers; l += nth)
        test_layer(w, (size_t)l, &r);
    free(r.x);
    free(r.b);
    free(r.a);
    free(r.sum);
}

static void see_rates(struct work *w, int top) {
    size_t experts = (size_t)w->u->experts;
    uint32_t *sum = mem_array((size_t)w->u->stride, sizeof *sum);
    for (int s = 0; s < 2; s++)
        w->rate[s] = mem_array((size_t)w->u->layers * experts + 1, sizeof *w->rate[s]);
    for (size_t l = 0; l < (size_t)w->u->layers; l++)
        rates_of(w, l, w->list + (size_t)w->draws * w->listed, sum, w->rate[0] + l * experts,
                 w->rate[1] + l * experts);
    diverge_compare(w->d, w->rate[0], w->rate[1], top);
    free(sum);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Of the divergences of n draws, which are sorted; those that a draw does not have are left out. */
static void finish_row(struct diverge_row *row, double *js, size_t n) {
    size_t beyond = 0;
    size_t held = 0;
    double sum = 0;
    for (size_t t = 0; t < n; t++)
        if (!isnan(js[t]))
            js[held++] = js[t];
    if (!held || isnan(row->js_bits))
        return;
    for (size_t t = 0; t < held; t++) {
        beyond += js[t] >= row->js_bits * (1 - ROUNDING);
        sum += js[t];
    }
    order_sort(js, held);
    row->null_bits = sum / (double)held;
    row->null95_bits = order_quantile(js, held, 0.95);
    row->p = (double)(1 + beyond) / (double)(1 + held);
}

static void finish_rows(const struct work *w) {
    size_t layers = (size_t)w->u->layers;
    size_t draws = (size_t)w->draws;
    double *js = mem_array(draws, sizeof *js);
    double *p = mem_array(layers + 1, sizeof *p);
    for (size_t l = 0; l < layers; l++) {
        for (size_t t = 0; t < draws; t++)
            js[t] = w->js[t * layers + l];
        finish_row(&w->d->row[l], js, draws);
        p[l] = w->d->row[l].p;
    }
    rank_fdr(p, layers);
    for (size_t l = 0; l < layers; l++)
        w->d->row[l].q = p[l];
    for (size_t t = 0; t < draws; t++) {
        double sum = 0;
        double n = 0;
        for (size_t l = 0; l < layers; l++) {
            double v = w->js[t * layers + l];
            sum += isnan(v) ? 0 : v;
            n += !isnan(v);
        }
        js[t] = sum / n;
    }
    finish_row(&w->d->row[layers], js, draws);
    free(p);
    free(js);
}

static void finish_experts(struct diverge *d, double fdr) {
    size_t experts = (size_t)d->experts;
    size_t n = (size_t)d->layers * experts;
    double *q = mem_array(n + 1, sizeof *q);
    for (size_t i = 0; i < n; i++)
        q[i] = d->expert[i].p;
    rank_fdr(q, n);
    d->row[d->layers].differ = 0;
    for (int l = 0; l < d->layers; l++)
        d->row[l].differ = 0;
    for (size_t i = 0; i < n; i++) {
        d->expert[i].q = q[i];
        d->row[i / experts].differ += q[i] <= fdr;
        d->row[d->layers].differ += q[i] <= fdr;
    }
    free(q);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void work_free(struct work *w) {
    for (size_t s = 0; s < w->topics; s++)
        free(w->topic[s].total);
    free(w->js);
    free(w->rate[1]);
    free(w->rate[0]);
    free(w->list);
    free(w->topic);
    perm_groups_free(w->groups);
}

void diverge_test(struct diverge *d, const struct diverge_units *u,
                  const struct diverge_options *opt) {
    struct work w = {.u = u, .d = d, .level = opt->level > 0 ? opt->level : LEVEL};
    d->topics_left = d->tokens_left[0] = d->tokens_left[1] = 0;
    uint8_t *side = mem_alloc(u->n + 1);
    find_topics(&w, opt->matched, side);
    w.groups = perm_groups_new(side, u->pair ? u->pair : opt->matched ? u->topic : NULL, u->n);
    free(side);
    d->least_p = w.topics ? perm_groups_least_p(w.groups) : 1;
    if (d->least_p <= DIVERGE_USEFUL_P)
        w.draws = opt->resamples > 0 ? opt->resamples : RESAMPLES;
    draw_all(&w, opt->seed);
    see_rates(&w, opt->top);
    if (w.draws) {
        struct par *team = par_new(opt->threads);
        w.js = mem_array((size_t)w.draws * (size_t)u->layers + 1, sizeof *w.js);
        par_run(team, test_share, &w);
        par_free(team);
        finish_rows(&w);
        finish_experts(d, opt->fdr > 0 ? opt->fdr : FDR);
    }
    work_free(&w);
}
