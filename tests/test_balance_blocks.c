/* test_balance_blocks.c - lib/route/balance_blocks: counts, and how often intervals hold the truth
 */
#include "tests/noise.h"
#include "tests/stretches.h"

#include "lib/route/balance.h"
#include "lib/route/balance_blocks.h"
#include "lib/route/recur.h"

static const struct boot opt = {.resamples = 200, .level = 0.95, .seed = 1};

/* Pieces of up to `most` tokens; overlap from recur. */
static struct balance_blocks *feed(const struct trail *t, int most) {
    static uint16_t same[STRETCH_TOKENS];
    static uint16_t of[STRETCH_TOKENS];
    struct balance_blocks *b = balance_blocks_new(t->layers, 1);
    struct recur *r = recur_new(t->layers, t->experts);
    for (int at = 0; at < t->n;) {
        struct stretch s = trail_piece(t, at, 1 + below(most));
        balance_blocks_grow(b, t->experts);
        balance_blocks_begin(b, &s);
        recur_begin(r, &s);
        for (int l = 0; l < t->layers; l++) {
            recur_add(r, &s, l, same, of);
            balance_blocks_add(b, &s, l, same, of);
        }
        at += s.n;
    }
    recur_free(r);
    return b;
}

static void counts(void) {
    for (int round = 0; round < 20; round++) {
        double count[64];
        double want[64] = {0};
        int64_t tokens = 0;
        state = (uint64_t)round + 1;
        int k = 1 + below(4);
        struct trail t = trail_make(1 + below(3000), 2, k + below(50), k, 1 + round % 3);
        struct balance_blocks *b = feed(&t, 200);
        for (int i = 0; i < t.n; i++) {
            int any = 0;
            for (int j = 0; j < k; j++) {
                int e = t.expert[(size_t)(i * 2 + 1) * (size_t)k + (size_t)j];
                any |= e >= 0;
                if (e >= 0)
                    want[e]++;
            }
            tokens += any;
        }
        balance_blocks_count(b, 1, t.experts, count);
        for (int e = 0; e < t.experts; e++)
            CHECK_NEAR(count[e], want[e], 0);
        CHECK_INT(balance_blocks_tokens(b, 1), tokens);
        balance_blocks_free(b);
        trail_free(&t);
    }
}

static int same_interval(struct interval a, struct interval b) {
    return (isnan(a.low) && isnan(b.low)) || (a.low == b.low && a.high == b.high);
}

static int same_intervals(const struct balance_intervals *a, const struct balance_intervals *b) {
    return same_interval(a->max_over_mean, b->max_over_mean) && same_interval(a->cv, b->cv) &&
           same_interval(a->gini, b->gini) && same_interval(a->entropy, b->entropy) &&
           same_interval(a->lag1, b->lag1);
}

/* Neither where the trace is cut nor the threads change anything; how many blocks there are follows
 * from the tokens. */
static void cuts_and_threads(void) {
    static const int tokens[] = {1, 31, 32, 100, 512, 513, 1024, 1025, 3000};
    static const int blocks[] = {1, 4, 4, 13, 64, 33, 64, 33, 47};
    for (int i = 0; i < 9; i++) {
        struct balance_intervals one[2], two[2], mean_one, mean_two;
        state = 4;
        struct trail t = trail_make(tokens[i], 2, 12, 2, 1 + i % 2);
        struct balance_blocks *a = feed(&t, 1);
        struct balance_blocks *b = feed(&t, 700);
        CHECK_INT(balance_blocks_intervals(a, 12, &opt, 1, one, &mean_one), blocks[i]);
        CHECK_INT(balance_blocks_intervals(b, 12, &opt, 3, two, &mean_two), blocks[i]);
        CHECK(same_intervals(&one[0], &two[0]) && same_intervals(&one[1], &two[1]));
        CHECK(same_intervals(&mean_one, &mean_two));
        CHECK_INT(isnan(one[0].cv.low), blocks[i] < 4);
        CHECK_INT(balance_blocks_by_request(a), 0);
        balance_blocks_free(a);
        balance_blocks_free(b);
        trail_free(&t);
    }
}

/* Requests that each use one expert alone: loads of blocks of tokens vary little, of requests
 * much. */
static void whole_requests(void) {
    struct balance_intervals i, mean;
    state = 6;
    struct trail t = trail_make(4000, 1, 8, 1, 40);
    for (int n = 0; n < t.n; n++)
        t.expert[n] = (int16_t)(t.request[n] % 8 < 4 ? 0 : t.request[n] % 8);
    struct balance_blocks *b = feed(&t, 300);
    CHECK_INT(balance_blocks_by_request(b), 1);
    CHECK_INT(balance_blocks_intervals(b, 8, &opt, 2, &i, &mean), 40);
    CHECK(i.max_over_mean.low < 3 && i.max_over_mean.high > 5);
    for (int n = 0; n < t.n; n++)
        t.request[n] %= 19;
    balance_blocks_free(b);
    b = feed(&t, 300);
    CHECK_INT(balance_blocks_by_request(b), 0);
    CHECK_INT(balance_blocks_intervals(b, 8, &opt, 2, &i, &mean), 63);
    CHECK(i.max_over_mean.low > 3.6 && i.max_over_mean.high < 4.4);
    balance_blocks_free(b);
    trail_free(&t);
}

static void nothing(void) {
    struct balance_intervals i[2], mean;
    struct balance_blocks *b = balance_blocks_new(2, 4);
    CHECK_INT(balance_blocks_intervals(b, 4, &opt, 1, i, &mean), 0);
    CHECK(isnan(i[1].cv.low) && isnan(mean.max_over_mean.high));
    balance_blocks_free(b);
    /* A layer that is never used has no interval, and no part in the mean. */
    state = 3;
    struct trail t = trail_make(400, 2, 6, 2, 1);
    for (int n = 0; n < t.n; n++)
        t.expert[n * 4 + 2] = t.expert[n * 4 + 3] = -1;
    b = feed(&t, 50);
    CHECK_INT(balance_blocks_intervals(b, 6, &opt, 1, i, &mean), 50);
    CHECK(isnan(i[1].cv.low) && isnan(i[1].lag1.low) && !isnan(i[0].cv.low));
    CHECK(same_interval(i[0].entropy, mean.entropy));
    balance_blocks_free(b);
    trail_free(&t);
}

/* ---- how often intervals hold the truth ---------------------------------------------------- */

#define EXPERTS 16

/* Token after token in one request, one expert each: the one before again with the chance `again`,
 * else one drawn by its share. */
static void draw_trail(struct rng *r, struct trail *t, const double *share, double again) {
    for (int i = 0; i < t->n; i++) {
        double u = rng_unit(r);
        int e = 0;
        t->request[i] = 0;
        t->position[i] = (uint32_t)i;
        t->accepted[i] = 1;
        while (e + 1 < EXPERTS && (u -= share[e]) > 0)
            e++;
        t->expert[i] = i && rng_unit(r) < again ? t->expert[i - 1] : (int16_t)e;
    }
}

static void coverage(int n, double skew, double again, double least, double least_max) {
    enum { MAX, CV, GINI, ENTROPY, LAG1, MEASURES };
    static const char *const names[MEASURES] = {"max/mean", "CV", "Gini", "entropy", "overlap"};
    int trials = NOISE_TRIALS(400);
    int hits[MEASURES] = {0};
    double share[EXPERTS];
    double sum = 0;
    double alike = 0;
    struct balance truth;
    struct rng r = {7};
    for (int e = 0; e < EXPERTS; e++)
        sum += share[e] = exp(skew * e / EXPERTS);
    for (int e = 0; e < EXPERTS; e++) {
        share[e] /= sum;
        alike += share[e] * share[e];
    }
    balance_of(share, EXPERTS, &truth);
    state = 1;
    struct trail t = trail_make(n, 1, EXPERTS, 1, 1);
    for (int i = 0; i < trials; i++) {
        struct balance_intervals got, mean;
        draw_trail(&r, &t, share, again);
        struct balance_blocks *b = feed(&t, 500);
        balance_blocks_intervals(b, EXPERTS, &opt, 1, &got, &mean);
        hits[MAX] += noise_holds(got.max_over_mean, truth.max_over_mean);
        hits[CV] += noise_holds(got.cv, truth.cv);
        hits[GINI] += noise_holds(got.gini, truth.gini);
        hits[ENTROPY] += noise_holds(got.entropy, truth.entropy);
        hits[LAG1] += noise_holds(got.lag1, again + (1 - again) * alike);
        balance_blocks_free(b);
    }
    trail_free(&t);
    for (int m = 0; m < MEASURES; m++) {
        double got = (double)hits[m] / trials;
        printf("# %s, %d tokens: %.3f\n", names[m], n, got);
        CHECK(got >= (m == MAX ? least_max : least));
    }
}

static void holds_the_truth(void) {
    coverage(160, 2, 0, 0.85, 0.93);
    coverage(2000, 2, 0, 0.91, 0.95);
    coverage(2000, 2, 0.7, 0.87, 0.95);
    coverage(2000, 0, 0, 0.91, 0.75);       /* loads all alike */
}

int main(void) {
    RUN(counts);
    RUN(cuts_and_threads);
    RUN(whole_requests);
    RUN(nothing);
    RUN(holds_the_truth);
    return check_done();
}
