/* route_requests_rows.c - the report: a row for each router, and for each model alone */
#include "cmd/route_requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/fields.h"
#include "lib/stat/interval.h"

static const struct field columns[] = {
    {"router", FIELD_TEXT, 0}, {"kind", FIELD_TEXT, 0}, {"model", FIELD_TEXT, 0},
    {"requests", FIELD_COUNT, 1},
    {"apgr", 3, 0}, {"apgr_low", 3, 0}, {"apgr_high", 3, 0},
    {"apgr_over_length", 3, 1}, {"apgr_over_length_low", 3, 1}, {"apgr_over_length_high", 3, 1},
    {"cpt20_percent", 2, 1}, {"cpt20_low", 2, 1}, {"cpt20_high", 2, 1},
    {"cpt50_percent", 2, 0}, {"cpt50_low", 2, 1}, {"cpt50_high", 2, 1},
    {"cpt80_percent", 2, 0}, {"cpt80_low", 2, 1}, {"cpt80_high", 2, 1},
    {"aiq", 4, 0}, {"aiq_low", 4, 1}, {"aiq_high", 4, 1},
    {"threshold", 4, 0}, {"learn_share", 4, 0}, {"learn_quality", 5, 1}, {"strong_share", 4, 0},
    {"quality", 5, 0}, {"quality_low", 5, 1}, {"quality_high", 5, 1}, {"usd_per_request", 6, 0}};
enum { COLUMNS = sizeof columns / sizeof *columns, AIQ = 19, THRESHOLD = 22, SHARE = 25,
       USD = COLUMNS - 1 };

/* Where a router is run: what was chosen on the requests to learn from, and what it gave. */
struct run {
    double threshold, learn_share, learn_quality;       /* NAN: none was chosen */
    struct judge_point got;
    struct interval quality;
};

static const struct run no_run = {NAN, NAN, NAN, {NAN, NAN, NAN, NAN, NAN}, {NAN, NAN}};
static const struct interval no_interval = {NAN, NAN};

/* ---- means ------------------------------------------------------------------------------ */

/* Wilson's where all scores are right or wrong, else Student's. */
static struct interval mean_interval(const double *x, size_t n, double level) {
    int64_t right = 0;
    int graded = 0;
    for (size_t i = 0; i < n; i++) {
        right += x[i] == 1;
        graded |= x[i] != 0 && x[i] != 1;
    }
    return graded ? interval_mean(x, n, level)
                  : interval_proportion(right, (int64_t)n, level);
}

/* share: of strong calls where they are drawn; NAN: those of score >= threshold. */
static struct interval run_interval(const struct requests_router *r, double share,
                                    double threshold, double level) {
    const struct judge_pair *p = &r->judge->pair;
    double *x = mem_array(p->n + 1, sizeof *x);
    for (size_t i = 0; i < p->n; i++) {
        double part = !isnan(share) ? share : r->judge_score[i] >= threshold;
        x[i] = p->weak[i] + part * (p->strong[i] - p->weak[i]);
    }
    struct interval out = mean_interval(x, p->n, level);
    free(x);
    return out;
}

/* ---- thresholds ------------------------------------------------------------------------- */

/* The mean score that is asked for; NAN: the target is another. */
static double wanted_quality(const struct requests_options *o, const struct judge_order *learn) {
    if (o->target == TARGET_PGR)
        return learn->weak + o->target_value * (learn->strong - learn->weak);
    return o->target == TARGET_QUALITY ? o->target_value : NAN;
}

/* A router that goes by a coin needs no threshold: its share is between both models. */
static struct run run_random(const struct requests_options *o, const struct requests_router *r) {
    const struct judge_order *l = r->learn;
    const struct judge_order *j = r->judge;
    double share = o->target_value;
    if (o->target == TARGET_USD)
        share = (o->target_value - l->weak_usd) / (l->strong_usd - l->weak_usd);
    else if (o->target != TARGET_SHARE)
        share = (wanted_quality(o, l) - l->weak) / (l->strong - l->weak);
    if (isnan(share) || share < 0 || (share > 1 && o->target != TARGET_USD))
        return no_run;
    share = fmin(share, 1);
    return (struct run){
        .threshold = NAN, .learn_share = share,
        .learn_quality = l->weak + share * (l->strong - l->weak),
        .got = {.share = share, .quality = j->weak + share * (j->strong - j->weak),
                .usd = j->weak_usd + share * (j->strong_usd - j->weak_usd)},
        .quality = run_interval(r, share, NAN, o->boot.level)};
}

static int cut(const struct requests_options *o, const struct judge_order *learn,
               struct judge_point *out) {
    switch (o->target) {
    case TARGET_SHARE: *out = judge_cut_share(learn, o->target_value); return 0;
    case TARGET_USD: return judge_cut_usd(learn, o->target_value, out);
    default: return judge_cut_quality(learn, wanted_quality(o, learn), out);
    }
}

static struct run run_router(const struct requests_options *o, const struct requests_router *r) {
    struct judge_point learnt;
    struct run run = no_run;
    if (o->target == TARGET_NONE && r->by == BY_GAIN) {     /* the better of both models, always */
        run.got = judge_at(r->judge, nextafter(0, 1));
        run.quality = run_interval(r, NAN, nextafter(0, 1), o->boot.level);
        return run;
    }
    if (o->target == TARGET_NONE)
        return run;
    if (r->by == BY_RANDOM)
        return run_random(o, r);
    if (cut(o, r->learn, &learnt)) {
        if (!o->common.quiet)
            warn("%s: no threshold meets the target", r->name);
        return run;
    }
    run.threshold = requests_threshold(r, learnt.threshold);
    run.learn_share = learnt.share;
    run.learn_quality = learnt.quality;
    run.got = judge_at(r->judge, learnt.threshold);
    run.quality = run_interval(r, NAN, learnt.threshold, o->boot.level);
    return run;
}

/* ---- rows ------------------------------------------------------------------------------- */

static struct value number(double x) {
    return (struct value){.number = x};
}

static void put(struct fields *f, const char *router, const char *kind, const char *model,
                size_t requests, const double *m, const struct interval *in,
                const struct run *run) {
    const struct value row[] = {
        {.text = router}, {.text = kind}, {.text = model}, {.count = (int64_t)requests},
        number(m[JUDGE_APGR]), number(in[JUDGE_APGR].low), number(in[JUDGE_APGR].high),
        number(m[JUDGE_APGR_OVER]), number(in[JUDGE_APGR_OVER].low),
        number(in[JUDGE_APGR_OVER].high),
        number(m[JUDGE_CPT20]), number(in[JUDGE_CPT20].low), number(in[JUDGE_CPT20].high),
        number(m[JUDGE_CPT50]), number(in[JUDGE_CPT50].low), number(in[JUDGE_CPT50].high),
        number(m[JUDGE_CPT80]), number(in[JUDGE_CPT80].low), number(in[JUDGE_CPT80].high),
        number(m[JUDGE_AIQ]), number(in[JUDGE_AIQ].low), number(in[JUDGE_AIQ].high),
        number(run->threshold), number(run->learn_share), number(run->learn_quality),
        number(run->got.share), number(run->got.quality), number(run->quality.low),
        number(run->quality.high), number(run->got.usd)};
    _Static_assert(sizeof row / sizeof *row == COLUMNS, "a value each");
    fields_row(f, row);
}

static void put_routers(struct fields *f, const struct requests_options *o,
                        const struct requests_data *d, const struct requests_routers *all) {
    struct judge_order **order = mem_array((size_t)all->n, sizeof *order);
    int *over = mem_array((size_t)all->n, sizeof *over);
    double (*m)[JUDGE_MEASURES] = mem_array((size_t)all->n, sizeof *m);
    struct interval (*in)[JUDGE_MEASURES] = mem_array((size_t)all->n, sizeof *in);
    for (int i = 0; i < all->n; i++) {
        order[i] = all->r[i].judge;
        over[i] = all->length == i ? -1 : all->length;
        judge_measure(order[i], m[i]);
    }
    judge_intervals(order, all->n, over, &o->boot, d->par, in);
    for (int i = 0; i < all->n; i++) {
        const struct requests_router *r = &all->r[i];
        if (over[i] >= 0)
            m[i][JUDGE_APGR_OVER] = m[i][JUDGE_APGR] - m[over[i]][JUDGE_APGR];
        if (r->by == BY_RANDOM) {       /* a constant: what luck can make of it is of interest */
            in[i][JUDGE_APGR] = judge_luck(&r->judge->pair, o->boot.level);
            in[i][JUDGE_CPT20] = in[i][JUDGE_CPT50] = in[i][JUDGE_CPT80] = no_interval;
        }
        struct run run = run_router(o, r);
        put(f, r->name, r->kind, NULL, d->judge.n, m[i], in[i], &run);
    }
    free(in);
    free(m);
    free(over);
    free(order);
}

static const double no_measures[JUDGE_MEASURES] = {NAN, NAN, NAN, NAN, NAN, NAN};
static const struct interval no_intervals[JUDGE_MEASURES] = {
    {NAN, NAN}, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}};
_Static_assert(JUDGE_MEASURES == 6, "as many as there are");

/* A model alone, over the requests of which it has a score: how many they are. */
static size_t run_model(const struct requests_side *j, int m, double level, struct run *run) {
    double *x = mem_array(j->n + 1, sizeof *x);
    double usd = 0;
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < j->n; i++)
        if (!isnan(j->score[m][i])) {
            x[n++] = j->score[m][i];
            sum += j->score[m][i];
            usd += j->usd[m][i];
        }
    *run = no_run;
    run->got.quality = sum / (double)n;
    run->got.usd = usd / (double)n;
    run->quality = mean_interval(x, n, level);
    free(x);
    return n;
}

static void put_model(struct fields *f, const struct requests_options *o,
                      const struct requests_side *j, int m) {
    struct run run;
    size_t n = run_model(j, m, o->boot.level, &run);
    const char *name = m == j->weak ? "always-weak" : m == j->strong ? "always-strong" : "always";
    if (m == j->weak || m == j->strong)
        run.got.share = m == j->strong;
    put(f, name, "model", j->s->model[m].name, n, no_measures, no_intervals, &run);
}

/* RouterBench's Zero router: a coin between the models on their hull. */
static void put_zero(struct fields *f, const struct requests_options *o,
                     const struct requests_side *j) {
    double *usd = mem_array((size_t)j->s->models, sizeof *usd);
    double *quality = mem_array((size_t)j->s->models, sizeof *quality);
    double m[JUDGE_MEASURES];
    struct run run;
    int n = 0;
    for (int k = 0; k < j->s->models; k++)
        if (run_model(j, k, o->boot.level, &run) == j->n && !isnan(run.got.usd)) {
            usd[n] = run.got.usd;
            quality[n++] = run.got.quality;
        }
    memcpy(m, no_measures, sizeof m);
    run_model(j, j->weak, o->boot.level, &run);
    double from = run.got.usd;
    run_model(j, j->strong, o->boot.level, &run);
    m[JUDGE_AIQ] = judge_hull_area(usd, quality, n, from, run.got.usd);
    if (n > 2)
        put(f, "zero", "baseline", NULL, j->n, m, no_intervals, &no_run);
    free(quality);
    free(usd);
}

static void put_models(struct fields *f, const struct requests_options *o,
                       const struct requests_side *j) {
    put_zero(f, o, j);
    put_model(f, o, j, j->weak);
    put_model(f, o, j, j->strong);
    for (int m = 0; m < j->s->models; m++)
        if (m != j->weak && m != j->strong)
            put_model(f, o, j, m);
}

/* ---- all -------------------------------------------------------------------------------- */

static void say_gap(const struct requests_options *o, const struct requests_data *d) {
    const struct requests_side *j = &d->judge;
    double *gain = mem_array(j->n + 1, sizeof *gain);
    const char *weak = j->s->model[j->weak].name;
    const char *strong = j->s->model[j->strong].name;
    for (size_t i = 0; i < j->n; i++)
        gain[i] = j->pair.strong[i] - j->pair.weak[i];
    double gap = interval_average(gain, j->n);
    struct interval in = interval_mean(gain, j->n, o->boot.level);
    if (!(gap > 0))
        warn("no APGR, no CPT: '%s' does not score higher than '%s'", strong, weak);
    else if (!(in.low > 0) && !o->common.quiet)
        warn("'%s' scores only %.4g higher than '%s', which may be chance: APGR and CPT mean "
             "little", strong, gap, weak);
    free(gain);
}

void requests_rows(const struct requests_options *o, const struct requests_data *d,
                   const struct requests_routers *all) {
    struct field shown[COLUMNS];
    struct fields f;
    memcpy(shown, columns, sizeof columns);
    shown[AIQ].wide = shown[USD].wide = !d->priced;
    shown[THRESHOLD].wide = shown[THRESHOLD + 1].wide = shown[SHARE].wide =
        o->target == TARGET_NONE;
    say_gap(o, d);
    fields_open(&f, shown, COLUMNS, &o->common);
    put_routers(&f, o, d, all);
    put_models(&f, o, &d->judge);
    fields_close(&f);
}
