/* test_judge.c - lib/route/judge: numbers of numpy, closed forms, brute force, and how often
 * intervals hold the truth
 */
#include "tests/noise.h"

#include "lib/base/mem.h"
#include "lib/base/par.h"
#include "lib/route/judge.h"
#include "tests/random.h"

#define MOST 60

static double weak[MOST];
static double strong[MOST];
static double score[MOST];
static double weak_usd[MOST];
static double strong_usd[MOST];

/* ---- against numpy ---------------------------------------------------------------------- */

/* Shares, thresholds and trapezoids by numpy (quantile, interp, trapezoid), stable sorting; with
 * JUDGE_TOGETHER step by step as RouteLLM's evaluation goes. AIQ: the hull at 4001 costs. */
static const struct {
    enum judge_ties ties;
    int cascade;
    double apgr, cpt[3], aiq;
} numpy[] = {
    {JUDGE_ORDER, 0, 0.685714285714286, {18.88888888888889, 30, 46.315789473684205}, 0.644686},
    {JUDGE_MEAN, 0, 0.6837142857142857,
     {20.202020202020197, 31.441441441441448, 46.86567164179103}, 0.643029},
    {JUDGE_TOGETHER, 0, 0.6851752021563344,
     {19.57547169811321, 31.761006289308174, 46.77259185700099}, 0.644314},
    {JUDGE_ORDER, 1, 0.685714285714286, {18.88888888888889, 30, 46.315789473684205}, 0.634757},
    {JUDGE_MEAN, 1, 0.6837142857142857,
     {20.202020202020197, 31.441441441441448, 46.86567164179103}, 0.633027},
    {JUDGE_TOGETHER, 1, 0.6851752021563344,
     {19.57547169811321, 31.761006289308174, 46.77259185700099}, 0.634365},
};

static void against_numpy(void) {
    enum { N = 53 };
    for (int i = 0; i < N; i++) {
        weak[i] = i * 7 % 5 < 2;
        strong[i] = (i * 11 % 7 < 5) * 0.75 + 0.25 * (i * 3 % 4 < 3);
        score[i] = i * 37 % 23;
        weak_usd[i] = 0.001 * (1 + i % 3);
        strong_usd[i] = 0.01 * (1 + i * 5 % 4);
    }
    const struct judge_pair pair = {N, weak, strong, weak_usd, strong_usd};
    for (size_t k = 0; k < sizeof numpy / sizeof *numpy; k++) {
        double m[JUDGE_MEASURES];
        struct judge_order *o = judge_order_new(&pair, &(struct judge_router){
            .score = score, .ties = numpy[k].ties, .cascade = numpy[k].cascade});
        judge_measure(o, m);
        CHECK_NEAR(m[JUDGE_APGR], numpy[k].apgr, 1e-12);
        for (int i = 0; i < 3; i++)
            CHECK_NEAR(m[JUDGE_CPT20 + i], numpy[k].cpt[i], 1e-9);
        CHECK_NEAR(m[JUDGE_AIQ], numpy[k].aiq, 2e-5);
        CHECK_NEAR(o->weak, 0.39622641509433965, 1e-12);
        CHECK_NEAR(o->strong_usd, 0.024716981132075478, 1e-12);
        judge_order_free(o);
    }
    /* 200,000 random orders have these moments. */
    struct interval luck = judge_luck(&pair, 0.95);
    CHECK_NEAR((luck.low + luck.high) / 2, 0.5011, 5e-4);
    CHECK_NEAR((luck.high - luck.low) / 2, 1.959964 * 0.0758156, 1e-3);
}

/* ---- closed forms ----------------------------------------------------------------------- */

/* A coin: the curve is a straight line, and so is the hull. */
static void coin(void) {
    state = 3;
    for (int n = 1; n <= MOST; n++) {
        for (int i = 0; i < n; i++) {
            weak[i] = below(3);
            strong[i] = below(3) + 0.5;
            score[i] = 7;
            weak_usd[i] = 1 + below(5);
            strong_usd[i] = 10 + below(5);
        }
        strong[0] += 2 * n;
        const struct judge_pair pair = {(size_t)n, weak, strong, weak_usd, strong_usd};
        double m[JUDGE_MEASURES];
        struct judge_order *o = judge_order_new(&pair, &(struct judge_router){
            .score = score, .ties = JUDGE_MEAN});
        judge_measure(o, m);
        CHECK_NEAR(m[JUDGE_APGR], 0.5, 1e-12);
        CHECK_NEAR(m[JUDGE_CPT20], 20, 1e-9);
        CHECK_NEAR(m[JUDGE_CPT80], 80, 1e-9);
        CHECK_NEAR(m[JUDGE_AIQ], (o->weak + o->strong) / 2, 1e-9 * o->strong);
        judge_order_free(o);
    }
}

/* Half of the requests gain, none loses: the oracle has it all at 50 %, and an area of 0.75. */
static void oracle(void) {
    enum { N = 40 };
    struct judge_point p[JUDGE_STEPS + 1];
    double m[JUDGE_MEASURES];
    for (int i = 0; i < N; i++) {
        weak[i] = i % 2;
        strong[i] = 1;
        score[i] = strong[i] - weak[i];
    }
    const struct judge_pair pair = {N, weak, strong, NULL, NULL};
    struct judge_order *o = judge_order_new(&pair, &(struct judge_router){.score = score});
    judge_measure(o, m);
    CHECK_NEAR(m[JUDGE_APGR], 0.75, 1e-12);
    CHECK_NEAR(m[JUDGE_CPT20], 10, 1e-12);
    CHECK_NEAR(m[JUDGE_CPT50], 25, 1e-12);
    CHECK_NEAR(m[JUDGE_CPT80], 40, 1e-12);
    CHECK(isnan(m[JUDGE_AIQ]));
    judge_curve(o, JUDGE_STEPS, p);
    CHECK(isinf(p[0].threshold) && p[0].share == 0 && p[0].quality == 0.5 && p[0].pgr == 0);
    CHECK(p[5].threshold == 1 && p[5].share == 0.5 && p[5].quality == 1 && p[5].pgr == 1);
    CHECK(p[10].threshold == 0 && p[10].share == 1 && isnan(p[10].usd));
    judge_order_free(o);
    /* A weak model that is never worse: there is no gap to recover. */
    const struct judge_pair same = {N, strong, strong, NULL, NULL};
    o = judge_order_new(&same, &(struct judge_router){.score = score});
    judge_measure(o, m);
    CHECK(isnan(m[JUDGE_APGR]) && isnan(m[JUDGE_CPT50]));
    judge_order_free(o);
    CHECK(isnan(judge_luck(&same, 0.95).low));
}

static void one_request(void) {
    static const double one = 1;
    static const double zero = 0;
    const struct judge_pair pair = {1, &zero, &one, NULL, NULL};
    struct interval in[1][JUDGE_MEASURES];
    double m[JUDGE_MEASURES];
    struct judge_order *o = judge_order_new(&pair, &(struct judge_router){.score = &one});
    judge_measure(o, m);
    CHECK_NEAR(m[JUDGE_APGR], 0.55, 1e-12);     /* asked from the share 50 % on */
    CHECK_NEAR(m[JUDGE_CPT50], 45, 1e-12);
    judge_intervals(&o, 1, (int[]){-1}, &(struct boot){.resamples = 100, .seed = 1}, NULL, in);
    CHECK(isnan(in[0][JUDGE_APGR].low));
    CHECK(isnan(judge_luck(&pair, 0.95).low));
    judge_order_free(o);
}

static void hulls(void) {
    static const double usd[] = {1, 3, 2, 3, 5, 4};
    static const double quality[] = {0.2, 0.4, 0.5, 0.6, 0.55, 0.3};
    static const uint8_t want[] = {1, 0, 1, 1, 0, 0};
    uint8_t on[6];
    /* (1, 0.2), (2, 0.5), (3, 0.6), flat behind. */
    CHECK_NEAR(judge_hull_area(usd, quality, 6, 1, 5), (0.35 + 0.55 + 0.6 + 0.6) / 4, 1e-12);
    CHECK_NEAR(judge_hull_area(usd, quality, 6, 1.5, 2.5), 0.5 * (0.425 + 0.525), 1e-12);
    CHECK_NEAR(judge_hull_area(usd, quality, 6, 0, 2), 0.35 / 2, 1e-12);
    CHECK_NEAR(judge_hull_area(usd, quality, 6, 6, 8), 0.6, 1e-12);
    CHECK(isnan(judge_hull_area(usd, quality, 6, 2, 2)));
    CHECK(isnan(judge_hull_area(usd, quality, 0, 1, 2)));
    judge_pareto(usd, quality, 6, on);
    CHECK(!memcmp(on, want, sizeof want));
}

/* ---- thresholds ------------------------------------------------------------------------- */

/* Each cut beside all thresholds that there are. */
static void cuts(void) {
    state = 11;
    for (int round = 0; round < 400; round++) {
        int n = 1 + below(MOST);
        for (int i = 0; i < n; i++) {
            weak[i] = below(2);
            strong[i] = below(4) > 0;
            score[i] = below(9);
            weak_usd[i] = 1;
            strong_usd[i] = 3 + below(3);
        }
        const struct judge_pair pair = {(size_t)n, weak, strong, weak_usd, strong_usd};
        struct judge_order *o = judge_order_new(&pair, &(struct judge_router){.score = score});
        double share = below(101) / 100.0;
        double quality = below(101) / 100.0;
        double usd = 0.5 + below(60) / 10.0;
        struct judge_point p = judge_cut_share(o, share);
        struct judge_point q;
        struct judge_point u;
        int good = judge_cut_quality(o, quality, &q) == 0;
        int cheap = judge_cut_usd(o, usd, &u) == 0;
        int good_known = 0;
        int cheap_known = 0;
        for (int t = 9; t >= -1; t--) {
            struct judge_point x = judge_at(o, t);
            CHECK(fabs(p.share - share) <= fabs(x.share - share) + 1e-12);
            good_known |= x.quality >= quality - 1e-9;
            if (good && x.quality >= quality)
                CHECK(q.share <= x.share);
            cheap_known |= x.usd <= usd;
            if (cheap && x.usd <= usd)
                CHECK(u.share >= x.share);
        }
        CHECK_INT(good, good_known);
        CHECK_INT(cheap, cheap_known);
        CHECK_NEAR(judge_at(o, p.threshold).share, p.share, 0);
        if (good)
            CHECK_NEAR(judge_at(o, q.threshold).quality, q.quality, 1e-12);
        judge_order_free(o);
    }
}

/* ---- intervals -------------------------------------------------------------------------- */

/* Requests whose gain grows with a hidden number, of which the score tells more or less. */
static void draw_requests(struct rng *r, size_t n, double noise, double *w, double *s, double *x) {
    for (size_t i = 0; i < n; i++) {
        double hard = rng_unit(r);
        w[i] = rng_unit(r) > hard;
        s[i] = rng_unit(r) > hard / 2;
        x[i] = hard + noise * rng_unit(r);
    }
}

static double apgr_of(size_t n, const double *w, const double *s, const double *x) {
    const struct judge_pair pair = {n, w, s, NULL, NULL};
    double m[JUDGE_MEASURES];
    struct judge_order *o = judge_order_new(&pair, &(struct judge_router){.score = x});
    judge_measure(o, m);
    judge_order_free(o);
    return m[JUDGE_APGR];
}

static void holds_the_truth(void) {
    enum { N = 300, MANY = 2000000 };
    int trials = NOISE_TRIALS(300);
    int hits[3] = {0, 0, 0};
    double *w = mem_array(MANY, sizeof *w);
    double *s = mem_array(MANY, sizeof *s);
    double *x = mem_array(MANY, sizeof *x);
    double *y = mem_array(MANY, sizeof *y);
    struct rng r = {5};
    draw_requests(&r, MANY, 1, w, s, x);
    for (size_t i = 0; i < MANY; i++)
        y[i] = x[i] + 2 * rng_unit(&r);
    double truth = apgr_of(MANY, w, s, x);
    double over = truth - apgr_of(MANY, w, s, y);
    for (int t = 0; t < trials; t++) {
        struct interval in[2][JUDGE_MEASURES];
        struct judge_order *o[2];
        draw_requests(&r, N, 1, w, s, x);
        for (size_t i = 0; i < N; i++)
            y[i] = x[i] + 2 * rng_unit(&r);
        const struct judge_pair pair = {N, w, s, NULL, NULL};
        o[0] = judge_order_new(&pair, &(struct judge_router){.score = x});
        o[1] = judge_order_new(&pair, &(struct judge_router){.score = y});
        judge_intervals(o, 2, (int[]){1, -1}, &(struct boot){.resamples = 400, .seed = (uint64_t)t},
                        NULL, in);
        hits[0] += noise_holds(in[0][JUDGE_APGR], truth);
        hits[1] += noise_holds(in[0][JUDGE_APGR_OVER], over);
        hits[2] += isnan(in[1][JUDGE_APGR_OVER].low) && !isnan(in[1][JUDGE_APGR].low);
        judge_order_free(o[0]);
        judge_order_free(o[1]);
    }
    noise_check("APGR", hits[0], trials, 0.92, 0.98);
    noise_check("APGR over another", hits[1], trials, 0.92, 0.98);
    CHECK_INT(hits[2], trials);
    free(w);
    free(s);
    free(x);
    free(y);
}

/* By groups and bins as by single requests: four times the requests, half the width, in any order
 * of the ties. The number of threads changes nothing. */
static void many_requests(void) {
    enum { FEW = 5000, MANY = 20000 };
    double *w = mem_array(MANY, sizeof *w);
    double *s = mem_array(MANY, sizeof *s);
    double *x = mem_array(MANY, sizeof *x);
    double *usd = mem_array(MANY, sizeof *usd);
    struct par *par = par_new(3);
    struct rng r = {8};
    draw_requests(&r, MANY, 0.3, w, s, x);
    for (int i = 0; i < MANY; i++) {
        x[i] = floor(40 * x[i]);        /* some 50 different scores */
        usd[i] = 1 + x[i] + rng_unit(&r);
    }
    for (int ties = JUDGE_ORDER; ties <= JUDGE_TOGETHER; ties++) {
        struct interval in[3][JUDGE_MEASURES];
        for (int k = 0; k < 3; k++) {
            const struct judge_pair pair = {k ? MANY : FEW, w, s, x, usd};
            struct judge_order *o = judge_order_new(&pair, &(struct judge_router){
                .score = x, .ties = (enum judge_ties)ties});
            judge_intervals(&o, 1, (int[]){-1}, &(struct boot){.resamples = 2000, .seed = 3},
                            k == 2 ? par : NULL, in + k);
            judge_order_free(o);
        }
        for (int m = 0; m < JUDGE_APGR_OVER; m++) {
            double few = in[0][m].high - in[0][m].low;
            double many = in[1][m].high - in[1][m].low;
            CHECK(few > 0 && many / few > 0.4 && many / few < 0.6);
            CHECK(in[1][m].low < in[0][m].high && in[0][m].low < in[1][m].high);
        }
        CHECK(!memcmp(in[1], in[2], sizeof in[1]));
    }
    par_free(par);
    free(w);
    free(s);
    free(x);
    free(usd);
}

static void groups(void) {
    static uint32_t group[10000];
    int size[JUDGE_GROUPS] = {0};
    CHECK_INT(judge_groups(7, 1, group), 7);
    CHECK(group[0] == 0 && group[6] == 6);
    CHECK_INT(judge_groups(10000, 1, group), JUDGE_GROUPS);
    for (int i = 0; i < 10000; i++)
        size[group[i]]++;
    for (int g = 0; g < JUDGE_GROUPS; g++)
        CHECK(size[g] == 19 || size[g] == 20);
}

int main(void) {
    RUN(against_numpy);
    RUN(coin);
    RUN(oracle);
    RUN(one_request);
    RUN(hulls);
    RUN(cuts);
    RUN(holds_the_truth);
    RUN(many_requests);
    RUN(groups);
    return check_done();
}
