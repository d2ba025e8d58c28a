/* test_spread.c - lib/route/spread: closed forms, and sets counted one window at a time */
#include "tests/check.h"
#include "tests/random.h"

#include "lib/base/mem.h"
#include "lib/route/spread.h"

/* ---- traces by hand ----------------------------------------------------------------------- */

static struct routed_set *set_new(int64_t tokens, int layers, int experts, int k) {
    struct routed_set *s = mem_alloc(sizeof *s);
    size_t n = (size_t)tokens;
    s->model.layers = layers;
    s->model.experts = experts;
    s->model.k = k;
    s->tokens = tokens;
    s->expert = mem_array(n * (size_t)(layers * k) + 1, sizeof *s->expert);
    s->request = mem_array(n + 1, sizeof *s->request);
    s->step = mem_array(n + 1, sizeof *s->step);
    s->position = mem_array(n + 1, sizeof *s->position);
    s->phase = mem_array(n + 1, 1);
    s->accepted = mem_array(n + 1, 1);
    for (int64_t t = 0; t < tokens; t++) {
        s->position[t] = (uint32_t)t;
        s->accepted[t] = 1;
    }
    return s;
}

static int16_t *cell(struct routed_set *s, int64_t token, int layer) {
    return s->expert + ((size_t)token * (size_t)s->model.layers + (size_t)layer)
        * (size_t)s->model.k;
}

static double mean_of(const struct routed_set *set, enum spread_windows windows, int64_t b) {
    struct spread *s = spread_new(set, SPREAD_ALL, windows);
    double mean = spread_mean(s, b, NULL, NULL).mean;
    spread_free(s);
    return mean;
}

/* ---- closed forms ------------------------------------------------------------------------- */

static void formulas(void) {
    /* Qwen3-30B-A3B with 6 of 128. */
    CHECK_NEAR(spread_formula(128, 6, 2), 11.72, 0.005);
    CHECK_NEAR(spread_formula(128, 6, 8), 40.82, 0.005);
    CHECK_NEAR(spread_formula(128, 6, 32), 100.46, 0.005);
    CHECK_NEAR(spread_formula(128, 6, 1), 6, 1e-12);
    CHECK_NEAR(spread_formula(4, 4, 3), 4, 0);
    CHECK_NEAR(spread_formula(8, 0, 3), 0, 0);
    CHECK_NEAR(spread_formula(30000, 1, 1e9), 30000, 1e-6);
}

/* Always the same experts: as many of any number of tokens. By turns: all after a round. */
static void constant_and_round(void) {
    struct routed_set *same = set_new(40, 2, 8, 2);
    struct routed_set *turns = set_new(40, 2, 8, 1);
    for (int64_t t = 0; t < 40; t++)
        for (int l = 0; l < 2; l++) {
            cell(same, t, l)[0] = 3;
            cell(same, t, l)[1] = 5;
            cell(turns, t, l)[0] = (int16_t)(t % 8);
        }
    for (int64_t b = 1; b <= 40; b++)
        for (int w = 0; w < 2; w++) {
            CHECK_NEAR(mean_of(same, (enum spread_windows)w, b), 2, 0);
            CHECK_NEAR(mean_of(turns, (enum spread_windows)w, b), fmin((double)b, 8), 0);
        }
    CHECK(isnan(mean_of(same, SPREAD_SLIDING, 41)));
    struct spread *s = spread_new(turns, SPREAD_ALL, SPREAD_BESIDE);
    CHECK_NEAR(spread_by_load(s, 3, NULL), spread_formula(8, 1, 3), 1e-12);
    CHECK_INT(spread_mean(s, 7, NULL, NULL).windows, 5);
    spread_free(s);
    routed_set_free(turns);
    routed_set_free(same);
}

/* Tokens drawn by themselves, with other loads: what the formula by load says. */
static void independent_draws(void) {
    struct routed_set *set = set_new(200000, 1, 16, 1);
    state = 5;
    for (int64_t t = 0; t < set->tokens; t++)
        cell(set, t, 0)[0] = (int16_t)(below(2) ? below(2) : below(16));
    struct spread *s = spread_new(set, SPREAD_ALL, SPREAD_BESIDE);
    for (int b = 1; b <= 16; b *= 2)
        CHECK_NEAR(spread_mean(s, b, NULL, NULL).mean, spread_by_load(s, b, NULL), 0.02);
    spread_free(s);
    routed_set_free(set);
}

/* ---- sequences ---------------------------------------------------------------------------- */

/* Two requests by turns in one pass after the other, a token that was taken back, a gap. */
static void sequences(void) {
    struct routed_set *set = set_new(11, 1, 16, 1);
    static const uint32_t request[] = {7, 3, 7, 3, 7, 3, 3, 3, 7, 7, 7};
    static const uint32_t position[] = {0, 0, 1, 1, 2, 2, 3, 3, 9, 10, 11};
    static const uint8_t accepted[] = {1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1};
    for (int t = 0; t < 11; t++) {
        set->request[t] = request[t];
        set->position[t] = position[t];
        set->accepted[t] = accepted[t];
        set->phase[t] = t >= 8 ? TRACE_DECODE : TRACE_PREFILL;
        cell(set, t, 0)[0] = (int16_t)t;
    }
    struct spread *s = spread_new(set, SPREAD_ALL, SPREAD_SLIDING);
    CHECK_INT(spread_tokens(s), 10);
    CHECK_INT(spread_requests(s), 2);
    CHECK_INT(spread_longest(s), 4);
    CHECK_INT(spread_mean(s, 3, NULL, NULL).windows, 2 + 1 + 1);
    spread_free(s);
    s = spread_new(set, SPREAD_BEST, SPREAD_SLIDING);
    CHECK_INT(spread_tokens(s), 3);
    CHECK_INT(spread_requests(s), 1);
    spread_free(s);
    s = spread_new(set, SPREAD_PREFILL, SPREAD_BESIDE);
    CHECK_INT(spread_tokens(s), 7);
    CHECK_INT(spread_mean(s, 2, NULL, NULL).windows, 2 + 1);
    spread_free(s);
    routed_set_free(set);
}

static void nothing(void) {
    struct routed_set *set = set_new(0, 3, 0, 2);
    struct spread *s = spread_new(set, SPREAD_BEST, SPREAD_BESIDE);
    double mean[3];
    double curve[4];
    int64_t batch[2] = {1, 2};
    CHECK_INT(spread_tokens(s), 0);
    CHECK_INT(spread_longest(s), 0);
    CHECK_INT(spread_layers(s, 1, mean), 0);
    CHECK(isnan(mean[0]) && isnan(mean[2]));
    CHECK(isnan(spread_mean(s, 1, NULL, NULL).mean));
    CHECK(isnan(spread_by_load(s, 2, NULL)));
    spread_curve(s, 4, curve);
    CHECK(isnan(curve[0]) && isnan(curve[3]));
    spread_batches(s, batch, 2, mean);
    CHECK(isnan(mean[0]) && isnan(mean[1]));
    spread_free(s);
    routed_set_free(set);
}

/* ---- one window at a time ----------------------------------------------------------------- */

static struct routed_set *random_set(void) {
    int layers = 1 + below(3);
    int experts = 1 + below(12);
    int k = 1 + below(3);
    struct routed_set *set = set_new(below(60), layers, experts, k);
    for (int64_t t = 0; t < set->tokens; t++) {
        set->request[t] = (uint32_t)below(3);
        set->position[t] = (uint32_t)below(2);
        if (t && below(4)) {
            set->request[t] = set->request[t - 1];
            set->position[t] = set->position[t - 1] + 1;
        }
        for (int l = 0; l < layers; l++)
            for (int i = 0; i < k; i++)
                cell(set, t, l)[i] = (int16_t)(below(20) ? below(experts) : -1);
    }
    return set;
}

/* The next token of t's request, or -1 when positions do not go on. */
static int64_t next_of(const struct routed_set *set, int64_t t) {
    for (int64_t u = t + 1; u < set->tokens; u++)
        if (set->request[u] == set->request[t])
            return set->position[u] == set->position[t] + 1 ? u : -1;
    return -1;
}

/* Unique experts in the window of b tokens from t; -1: there is none, or a token without any. */
static int brute_window(struct routed_set *set, int64_t t, int layer, int64_t b) {
    char seen[16] = {0};
    int unique = 0;
    for (int64_t j = 0; j < b; j++) {
        int any = 0;
        if (t < 0)
            return -1;
        for (int i = 0; i < set->model.k; i++) {
            int e = cell(set, t, layer)[i];
            any |= e >= 0;
            if (e >= 0 && !seen[e]++)
                unique++;
        }
        if (!any)
            return -1;
        t = next_of(set, t);
    }
    return unique;
}

static double brute_layer(struct routed_set *set, int layer, int64_t b) {
    double sum = 0;
    int windows = 0;
    for (int64_t t = 0; t < set->tokens; t++) {
        int unique = brute_window(set, t, layer, b);
        if (unique < 0)
            continue;
        sum += unique;
        windows++;
    }
    return windows ? sum / windows : NAN;
}

static int same(double a, double b) {
    return (isnan(a) && isnan(b)) || fabs(a - b) < 1e-9;
}

static void against_brute_force(void) {
    state = 11;
    for (int round = 0; round < 300; round++) {
        struct routed_set *set = random_set();
        struct spread *s = spread_new(set, SPREAD_ALL, SPREAD_SLIDING);
        double curve[12];
        double layer[3];
        spread_curve(s, 12, curve);
        for (int b = 1; b <= 12; b++) {
            double mean = 0;
            int n = 0;
            spread_layers(s, b, layer);
            for (int l = 0; l < set->model.layers; l++) {
                double want = brute_layer(set, l, b);
                CHECK(same(layer[l], want));
                mean += isnan(want) ? 0 : want;
                n += !isnan(want);
            }
            CHECK(same(curve[b - 1], n ? mean / n : NAN));
        }
        spread_free(s);
        routed_set_free(set);
    }
}

/* Sliding windows are windows side by side from every place where the first can begin. */
static void beside_and_sliding(void) {
    struct routed_set *set = set_new(23, 2, 9, 2);
    state = 3;
    for (int64_t t = 0; t < 23; t++)
        for (int l = 0; l < 2; l++)
            for (int i = 0; i < 2; i++)
                cell(set, t, l)[i] = (int16_t)below(9);
    for (int b = 1; b <= 6; b++) {
        double sum = 0;
        int64_t windows = 0;
        for (int from = 0; from < b; from++) {
            struct routed_set rest = *set;
            rest.tokens -= from;
            rest.expert += from * 4;
            struct spread *s = spread_new(&rest, SPREAD_ALL, SPREAD_BESIDE);
            struct spread_mean m = spread_mean(s, b, NULL, NULL);
            CHECK_INT(m.windows, (23 - from) / b);
            sum += m.mean * (double)m.windows;
            windows += m.windows;
            spread_free(s);
        }
        CHECK_NEAR(mean_of(set, SPREAD_SLIDING, b), sum / (double)windows, 1e-12);
    }
    routed_set_free(set);
}

/* ---- batches ------------------------------------------------------------------------------ */

/* All pairs and triples of requests and of their tokens, one by one. */
static void batches(void) {
    enum { TOKENS = 14, REQUESTS = 5 };
    struct routed_set *set = set_new(TOKENS, 1, 7, 2);
    static const uint32_t request[TOKENS] = {0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4};
    state = 8;
    for (int t = 0; t < TOKENS; t++) {
        set->request[t] = request[t];
        cell(set, t, 0)[0] = (int16_t)below(7);
        cell(set, t, 0)[1] = (int16_t)below(7);
    }
    double size[REQUESTS] = {3, 1, 2, 4, 4};
    double sum[4] = {0, 0, 0, 0};
    double weight[4] = {0, 0, 0, 0};
    for (int a = 0; a < TOKENS; a++)
        for (int b = -1; b < TOKENS; b++)
            for (int c = -1; c < TOKENS; c++) {
                int member[3] = {a, b, c};
                int seen = 0;
                int n = 0;
                double w = 1;
                if ((b >= 0 && request[b] <= request[a]) ||
                    (c >= 0 && (b < 0 || request[c] <= request[b])))
                    continue;
                for (int i = 0; i < 3; i++)
                    if (member[i] >= 0) {
                        seen |= 1 << cell(set, member[i], 0)[0] | 1 << cell(set, member[i], 0)[1];
                        w /= size[request[member[i]]];
                        n++;
                    }
                sum[n] += w * __builtin_popcount((unsigned)seen);
                weight[n] += w;
            }
    struct spread *s = spread_new(set, SPREAD_ALL, SPREAD_BESIDE);
    int64_t batch[] = {1, 2, 3, 6};
    double mean[4];
    spread_batches(s, batch, 4, mean);
    for (int n = 1; n <= 3; n++)
        CHECK_NEAR(mean[n - 1], sum[n] / weight[n], 1e-12);
    CHECK(isnan(mean[3]));
    spread_free(s);
    routed_set_free(set);
}

/* A batch of windows: all pairs of requests and of their windows. */
static void batches_of_windows(void) {
    struct routed_set *set = set_new(12, 1, 9, 1);
    double sum = 0;
    double weight = 0;
    state = 9;
    for (int t = 0; t < 12; t++) {
        set->request[t] = (uint32_t)(t / 4);
        set->position[t] = (uint32_t)(t % 4);
        cell(set, t, 0)[0] = (int16_t)below(9);
    }
    for (int a = 0; a < 12; a++)
        for (int b = a / 4 * 4 + 4; b < 12; b++) {
            if (a % 4 == 3 || b % 4 == 3)
                continue;
            unsigned seen = 1u << *cell(set, a, 0) | 1u << *cell(set, a + 1, 0) |
                            1u << *cell(set, b, 0) | 1u << *cell(set, b + 1, 0);
            sum += __builtin_popcount(seen);
            weight++;
        }
    struct spread *s = spread_new(set, SPREAD_ALL, SPREAD_SLIDING);
    CHECK_NEAR(spread_batch(s, 2, 2, NULL), sum / weight, 1e-12);
    CHECK_NEAR(spread_batch(s, 3, 1, NULL), spread_mean(s, 3, NULL, NULL).mean, 1e-12);
    /* More than there are requests: drawn from all, which for one token is the formula by load. */
    CHECK_NEAR(spread_batch(s, 1, 50, NULL), spread_by_load(s, 50, NULL), 1e-12);
    CHECK(isnan(spread_batch(s, 5, 2, NULL)));
    spread_free(s);
    routed_set_free(set);
}

/* Passes as they were, with what was taken back. */
static void passes(void) {
    struct routed_set *set = set_new(9, 1, 16, 1);
    static const int64_t start[] = {0, 3, 6, 9};
    static const uint32_t request[] = {0, 0, 0, 0, 0, 1, 0, 0, 0};
    static const uint8_t accepted[] = {1, 1, 0, 1, 0, 1, 1, 0, 0};
    for (int t = 0; t < 9; t++) {
        set->request[t] = request[t];
        set->accepted[t] = accepted[t];
        set->phase[t] = TRACE_DECODE;
        cell(set, t, 0)[0] = (int16_t)(t % 3 == 2 ? 1 : t);
    }
    set->pass = mem_alloc(sizeof start);
    memcpy(set->pass, start, sizeof start);
    set->passes = 3;
    struct spread *s = spread_new(set, SPREAD_DECODE, SPREAD_PASSES);
    CHECK_INT(spread_tokens(s), 9);
    CHECK_INT(spread_mean(s, 3, NULL, NULL).windows, 2);
    CHECK_INT(spread_mean(s, 2, NULL, NULL).windows, 1);
    CHECK_INT(spread_mean(s, 1, NULL, NULL).windows, 1);
    CHECK_NEAR(spread_mean(s, 3, NULL, NULL).mean, 2.5, 0);
    spread_free(s);
    routed_set_free(set);
}

/* ---- intervals ---------------------------------------------------------------------------- */

/* Runs of tokens that choose alike: how often the interval holds the mean of a long trace. */
static void fill_sticky(struct routed_set *set, int stay) {
    for (int64_t t = 0; t < set->tokens; t++)
        cell(set, t, 0)[0] = (int16_t)(t && below(stay) ? cell(set, t - 1, 0)[0] : below(16));
}

static void intervals(void) {
    struct routed_set *longer = set_new(400000, 1, 16, 1);
    struct boot boot = {.resamples = 400, .seed = 1};
    int hits[2] = {0, 0};
    int trials = 200;
    state = 21;
    fill_sticky(longer, 3);
    double truth = mean_of(longer, SPREAD_SLIDING, 4);
    for (int i = 0; i < trials; i++) {
        struct routed_set *set = set_new(240, 1, 16, 1);
        fill_sticky(set, 3);
        for (int w = 0; w < 2; w++) {
            struct spread *s = spread_new(set, SPREAD_ALL, (enum spread_windows)w);
            struct interval in = spread_mean(s, 4, NULL, &boot).interval;
            hits[w] += in.low <= truth && truth <= in.high;
            spread_free(s);
        }
        routed_set_free(set);
    }
    for (int w = 0; w < 2; w++)
        CHECK(hits[w] >= trials * 90 / 100 && hits[w] <= trials * 99 / 100);
    routed_set_free(longer);
}

/* Many requests: they are what is drawn, so that the interval is wide where they differ. */
static void interval_of_requests(void) {
    struct routed_set *set = set_new(400, 1, 32, 1);
    struct boot boot = {.resamples = 1000, .seed = 1};
    for (int64_t t = 0; t < 400; t++) {
        set->request[t] = (uint32_t)(t / 20);
        set->position[t] = (uint32_t)(t % 20);
        cell(set, t, 0)[0] = (int16_t)(t / 20 % 2 ? 0 : t % 32);
    }
    struct spread *s = spread_new(set, SPREAD_ALL, SPREAD_BESIDE);
    struct spread_mean m = spread_mean(s, 4, NULL, &boot);
    CHECK_INT(m.windows, 100);
    CHECK_NEAR(m.mean, 2.5, 1e-12);
    CHECK(m.interval.low < 1.95 && m.interval.high > 3.05);
    spread_free(s);
    routed_set_free(set);
}

/* Layers weigh as their weights say. */
static void weights(void) {
    struct routed_set *set = set_new(8, 2, 8, 1);
    double weight[2] = {3, 1};
    for (int64_t t = 0; t < 8; t++) {
        cell(set, t, 0)[0] = 0;
        cell(set, t, 1)[0] = (int16_t)t;
    }
    struct spread *s = spread_new(set, SPREAD_ALL, SPREAD_BESIDE);
    CHECK_NEAR(spread_mean(s, 4, weight, NULL).mean, (3 * 1 + 1 * 4) / 4.0, 1e-12);
    CHECK_NEAR(spread_mean(s, 4, NULL, NULL).mean, 2.5, 1e-12);
    weight[0] = weight[1] = 0;
    CHECK(isnan(spread_mean(s, 4, weight, NULL).mean));
    spread_free(s);
    routed_set_free(set);
}

int main(void) {
    RUN(formulas);
    RUN(constant_and_round);
    RUN(independent_draws);
    RUN(sequences);
    RUN(nothing);
    RUN(against_brute_force);
    RUN(beside_and_sliding);
    RUN(batches);
    RUN(batches_of_windows);
    RUN(passes);
    RUN(intervals);
    RUN(interval_of_requests);
    RUN(weights);
    return check_done();
}
