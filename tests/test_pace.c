/* test_pace.c - lib/route/pace: limits at every moment, and what is got for the money */
#include "tests/check.h"
#include "tests/random.h"

#include "lib/base/mem.h"
#include "lib/route/pace.h"

static const struct pace_options none = {.share = NAN, .usd = NAN, .threshold = -INFINITY,
                                         .seed = 1};

static double unit(void) {
    return (double)below(1 << 30) / (1 << 30);
}

/* Weak 0.4 to 1.6 dollars, strong ten to thirty times as much. */
static struct pace_request request_of(double score) {
    struct pace_request q = {.score = score, .weak_usd = 0.4 + 1.2 * unit()};
    q.strong_usd = q.weak_usd * (10 + 20 * unit());
    return q;
}

static int by_number(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x < y) - (x > y);
}

/* ---- shares ------------------------------------------------------------------------------- */

/* kind 0: uniform scores, 1: all alike, 2: two values, 3: rising all the time. */
static double score_of(int kind, int i) {
    return kind == 0 ? unit() : kind == 1 ? 0.5 : kind == 2 ? below(2) : i * 1e-3 + unit();
}

static void share_is_held(void) {
    static const double share[] = {0, 0.07, 0.3, 0.5, 0.95, 1};
    for (size_t s = 0; s < sizeof share / sizeof *share; s++)
        for (int kind = 0; kind < 4; kind++) {
            struct pace_options o = none;
            double strong = 0;
            int n = 5000;
            o.share = share[s];
            state = 1 + (uint64_t)kind;
            struct pace *p = pace_new(&o);
            for (int i = 1; i <= n; i++) {
                struct pace_request q = {.score = score_of(kind, i)};
                strong += pace_choose(p, &q) == PACE_STRONG;
                CHECK(strong <= share[s] * i);
            }
            CHECK(strong / n > share[s] - 0.01);
            CHECK_INT(pace_totals(p)->strong, (long long)strong);
            CHECK_INT(pace_totals(p)->requests, n);
            pace_free(p);
        }
}

/* The strong ones are nearly the best of all: what they score beside the offline choice. */
static void share_goes_to_the_best(void) {
    struct pace_options o = none;
    enum { N = 20000 };
    double *score = mem_array(N, sizeof *score);
    double got = 0;
    double best = 0;
    o.share = 0.2;
    state = 4;
    struct pace *p = pace_new(&o);
    for (int i = 0; i < N; i++) {
        score[i] = unit() * unit();
        if (pace_choose(p, &(struct pace_request){.score = score[i]}) == PACE_STRONG)
            got += score[i];
    }
    qsort(score, N, sizeof *score, by_number);
    for (int i = 0; i < N / 5; i++)
        best += score[i];
    CHECK(got > 0.95 * best && got <= best);
    pace_free(p);
    free(score);
}

/* ---- budgets ------------------------------------------------------------------------------ */

static void budget_of_requests(void) {
    static const double usd[] = {1000, 1300, 3000, 10000, 30000};
    for (size_t b = 0; b < sizeof usd / sizeof *usd; b++) {
        struct pace_options o = none;
        double spent = 0;
        double all = 0;
        int over = 0;
        o.usd = usd[b] * 1.1;   /* a weak answer costs 1 on average */
        o.requests = 1000;
        state = b;
        struct pace *p = pace_new(&o);
        for (int i = 0; i < 10000; i++) {
            struct pace_request q = request_of(unit());
            enum pace_choice c = pace_choose(p, &q);
            if (i % 1000 == 0)
                spent = 0;
            over += c == PACE_OVER;
            spent += c == PACE_OVER ? 0 : c == PACE_STRONG ? q.strong_usd : q.weak_usd;
            all += c == PACE_OVER ? 0 : c == PACE_STRONG ? q.strong_usd : q.weak_usd;
            CHECK(spent <= o.usd * (1 + 1e-12));
        }
        CHECK_INT(over, 0);
        CHECK_NEAR(pace_totals(p)->usd, all, 1e-6);
        CHECK_INT(pace_totals(p)->periods, 10);
        CHECK(pace_totals(p)->most_usd <= o.usd);
        if (usd[b] < 30000)     /* not even all strong */
            CHECK(all > 10 * o.usd * 0.95);
        else
            CHECK_INT(pace_totals(p)->strong, 10000);
        pace_free(p);
    }
}

/* An even pace: no quarter of a period has much more than a quarter of its strong answers, even
 * when the best requests come first. */
static void budget_lasts(void) {
    struct pace_options o = none;
    int strong[4] = {0, 0, 0, 0};
    o.usd = 8000;
    o.requests = 4000;
    state = 7;
    struct pace *p = pace_new(&o);
    for (int i = 0; i < 1000; i++) {
        struct pace_request q = request_of(unit());
        pace_learn(p, &q);
    }
    for (int i = 0; i < 4000; i++) {
        struct pace_request q = request_of(unit() - (i >= 2000) * 3.0);
        strong[i / 1000] += pace_choose(p, &q) == PACE_STRONG;
    }
    int sum = strong[0] + strong[1] + strong[2] + strong[3];
    for (int i = 0; i < 4; i++)
        CHECK(strong[i] > sum / 8 && strong[i] < sum * 3 / 8);
    pace_free(p);
}

static void nothing_left(void) {
    struct pace_options o = none;
    struct pace_request q = {.score = 1, .weak_usd = 2, .strong_usd = 5};
    o.usd = 5;
    struct pace *p = pace_new(&o);
    CHECK_INT(pace_choose(p, &q), PACE_STRONG);
    CHECK_INT(pace_choose(p, &q), PACE_OVER);
    CHECK_INT(pace_last(p), PACE_BUDGET);
    pace_overspend(p, &q);
    CHECK_NEAR(pace_totals(p)->usd, 7, 0);
    CHECK_INT(pace_totals(p)->over, 1);
    /* What costs nothing can always be had. */
    q.weak_usd = 0;
    o.usd = 0;
    struct pace *free_weak = pace_new(&o);
    CHECK_INT(pace_choose(free_weak, &q), PACE_WEAK);
    pace_free(free_weak);
    pace_free(p);
}

/* Money is exact: ten dimes are a dollar, and a dime more is not to be had. */
static void dimes(void) {
    struct pace_options o = none;
    struct pace_request q = {.score = 1, .weak_usd = 0.1, .strong_usd = 0.3};
    for (int dimes = 1; dimes <= 30; dimes++) {
        o.usd = dimes / 10.0;
        o.threshold = 2;
        struct pace *p = pace_new(&o);
        for (int i = 0; i < dimes; i++)
            CHECK_INT(pace_choose(p, &q), PACE_WEAK);
        CHECK_INT(pace_choose(p, &q), PACE_OVER);
        CHECK_NEAR(pace_totals(p)->usd, o.usd, 0);
        pace_free(p);
    }
}

/* A request that cannot be paid says nothing of what the payable ones will cost. */
static void unpayable(void) {
    struct pace_options o = none;
    struct pace_request huge = {.score = 1, .weak_usd = 1e6, .strong_usd = 1e7};
    struct pace_request small = {.score = 1, .weak_usd = 0.001, .strong_usd = 0.01};
    int64_t strong[2];
    o.usd = 5;
    o.requests = 1000;
    for (int k = 0; k < 2; k++) {
        struct pace *p = pace_new(&o);
        for (int i = 0; i < 1000; i++)
            pace_choose(p, k && i % 10 == 0 ? &huge : &small);
        strong[k] = pace_totals(p)->strong;
        CHECK(pace_totals(p)->usd <= 5);
        CHECK_INT(pace_totals(p)->over, k ? 100 : 0);
        pace_free(p);
    }
    CHECK(strong[1] > strong[0] * 8 / 10);
}

/* A strong answer that costs less (its prefix is cached there) is no matter of budget. */
static void cheaper_strong(void) {
    struct pace_options o = none;
    o.usd = 100;
    o.requests = 100;
    struct pace *p = pace_new(&o);
    for (int i = 0; i < 100; i++) {
        struct pace_request q = {.score = -i, .weak_usd = 2, .strong_usd = 1};
        CHECK_INT(pace_choose(p, &q), PACE_STRONG);
    }
    CHECK_NEAR(pace_totals(p)->usd, 100, 0);
    pace_free(p);
}

static void periods_of_time(void) {
    struct pace_options o = none;
    double spent = 0;
    int64_t period = 0;
    int64_t at = 500;
    o.usd = 1000;
    o.period_ns = 1000000;
    state = 12;
    struct pace *p = pace_new(&o);
    for (int i = 0; i < 5000; i++) {
        struct pace_request q = request_of(unit());
        at += below(5000);      /* some 400 a period */
        q.at_ns = below(10) ? at : at - 3000;       /* late ones do not turn the clock back */
        enum pace_choice c = pace_choose(p, &q);
        if (i == 0)
            period = q.at_ns;
        if (at - period >= o.period_ns && q.at_ns == at) {
            period += (at - period) / o.period_ns * o.period_ns;
            spent = 0;
        }
        CHECK(c != PACE_OVER);
        spent += c == PACE_STRONG ? q.strong_usd : q.weak_usd;
        CHECK(pace_totals(p)->most_usd <= o.usd);
    }
    CHECK(pace_totals(p)->periods >= 12 && pace_totals(p)->periods <= 13);
    CHECK(pace_totals(p)->usd > 0.85 * 12 * o.usd);
    pace_free(p);
}

/* ---- thresholds --------------------------------------------------------------------------- */

static void threshold(void) {
    struct pace_options o = none;
    o.threshold = 0.5;
    state = 2;
    struct pace *p = pace_new(&o);
    for (int i = 0; i < 1000; i++) {
        struct pace_request q = request_of(unit());
        CHECK_INT(pace_choose(p, &q), q.score >= 0.5 ? PACE_STRONG : PACE_WEAK);
        CHECK_INT(pace_last(p), q.score >= 0.5 ? PACE_FREE : PACE_SCORE);
    }
    pace_free(p);
}

/* Both limits at once; the same seed makes the same choices. */
static void both_limits(void) {
    struct pace_options o = none;
    o.usd = 5000;
    o.requests = 1000;
    o.share = 0.1;
    struct pace *a = pace_new(&o);
    struct pace *b = pace_new(&o);
    state = 3;
    for (int i = 1; i <= 3000; i++) {
        struct pace_request q = request_of(below(3));
        CHECK_INT(pace_choose(a, &q), pace_choose(b, &q));
        CHECK((double)pace_totals(a)->strong <= 0.1 * i);
        CHECK(pace_totals(a)->most_usd <= 5000);
    }
    int64_t kept = 0;
    for (int i = 0; i <= PACE_BUDGET; i++)
        kept += pace_totals(a)->kept[i];
    CHECK_INT(kept, 3000);
    pace_free(b);
    pace_free(a);
}

int main(void) {
    RUN(share_is_held);
    RUN(share_goes_to_the_best);
    RUN(budget_of_requests);
    RUN(budget_lasts);
    RUN(nothing_left);
    RUN(dimes);
    RUN(unpayable);
    RUN(cheaper_strong);
    RUN(periods_of_time);
    RUN(threshold);
    RUN(both_limits);
    return check_done();
}
