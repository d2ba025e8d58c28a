/* test_recur.c - lib/route/recur: against looking back through the whole trace
 */
#include "tests/check.h"
#include "tests/stretches.h"

#include "lib/route/recur.h"

#define MEDIAN_TOLERANCE (1.0 / 256)

static int uses(const struct trail *t, int token, int layer, int expert) {
    const int16_t *e = t->expert + ((size_t)token * (size_t)t->layers + (size_t)layer)
        * (size_t)t->k;
    for (int j = 0; j < t->k; j++)
        if (e[j] == expert)
            return 1;
    return 0;
}

/* The token of the same request before this one, -1: none, or positions did not rise. */
static int token_before(const struct trail *t, int token) {
    for (int i = token - 1; i >= 0; i--)
        if (t->accepted[i] && t->request[i] == t->request[token])
            return t->position[i] < t->position[token] ? i : -1;
    return -1;
}

/* Distance in tokens of the request to the last use, 0: none. */
static int64_t look_back(const struct trail *t, int token, int layer, int expert) {
    int64_t distance = 0;
    for (int i = token_before(t, token); i >= 0; i = token_before(t, i)) {
        distance++;
        if (uses(t, i, layer, expert))
            return distance;
    }
    return 0;
}

struct want {
    int64_t same, of, all, reuses;
    double sum;
    double *distance;
};

static struct want count_layer(const struct trail *t, int layer) {
    struct want w = {.distance = mem_array((size_t)t->n * (size_t)t->k + 1, sizeof(double))};
    for (int i = 0; i < t->n; i++) {
        int before = token_before(t, i);
        int follows = before >= 0 && t->position[before] + 1 == t->position[i];
        for (int e = 0; e < t->experts && t->accepted[i]; e++) {
            if (!uses(t, i, layer, e))
                continue;
            int64_t d = look_back(t, i, layer, e);
            w.all++;
            w.of += follows;
            w.same += follows && d == 1;
            if (d)
                w.distance[w.reuses++] = (double)d;
            w.sum += (double)d;
        }
    }
    return w;
}

static double pass_experts(const struct trail *t, int layer) {
    int64_t touched = 0;
    int64_t passes = 0;
    for (int from = 0; from < t->n;) {
        int to = from;
        int distinct = 0;
        while (to < t->n && t->pass[to] == t->pass[from])
            to++;
        for (int e = 0; e < t->experts; e++) {
            int used = 0;
            for (int i = from; i < to; i++)
                used |= uses(t, i, layer, e);
            distinct += used;
        }
        touched += distinct;
        passes += distinct > 0;
        from = to;
    }
    return (double)touched / (double)passes;
}

static int smaller(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

/* Feeds pieces of any length, from fewer experts to all of them; sums what recur_add says. */
static struct recur *feed(const struct trail *t, int64_t *same, int64_t *of) {
    static uint16_t s[STRETCH_TOKENS];
    static uint16_t o[STRETCH_TOKENS];
    struct recur *r = recur_new(t->layers, 1);
    for (int at = 0; at < t->n;) {
        struct stretch piece = trail_piece(t, at, 1 + below(40));
        recur_grow(r, t->experts);
        recur_begin(r, &piece);
        for (int l = 0; l < t->layers; l++) {
            recur_add(r, &piece, l, s, o);
            for (int i = 0; i < piece.n; i++) {
                same[l] += s[i];
                of[l] += o[i];
            }
        }
        at += piece.n;
    }
    return r;
}

static void brute_force(void) {
    for (int round = 0; round < 30; round++) {
        int64_t same[3] = {0};
        int64_t of[3] = {0};
        state = (uint64_t)round + 1;
        int k = 1 + below(4);
        struct trail t = trail_make(50 + below(350), 1 + below(3), k + below(30), k,
                                    1 + below(6));
        struct recur *r = feed(&t, same, of);
        for (int l = 0; l < t.layers; l++) {
            struct recur_result got;
            struct want w = count_layer(&t, l);
            recur_result(r, l, &got);
            CHECK_INT(same[l], w.same);
            CHECK_INT(of[l], w.of);
            CHECK_INT(got.reuses, w.reuses);
            if (w.of)
                CHECK_NEAR(got.lag1, (double)w.same / (double)w.of, 1e-12);
            CHECK_NEAR(got.reuse_share, (double)w.reuses / (double)w.all, 1e-12);
            CHECK_NEAR(got.pass_experts, pass_experts(&t, l), 1e-12);
            if (w.reuses) {
                qsort(w.distance, (size_t)w.reuses, sizeof(double), smaller);
                double median = w.distance[(w.reuses - 1) / 2];
                CHECK_NEAR(got.reuse_mean, w.sum / (double)w.reuses, 1e-9);
                CHECK_NEAR(got.reuse_median, median, median * MEDIAN_TOLERANCE);
            }
            free(w.distance);
        }
        recur_free(r);
        trail_free(&t);
    }
}

/* One expert, used by the first token and then by every thousandth. */
static void far_apart(void) {
    enum { N = 4001 };
    static int16_t expert[N];
    static uint32_t request[N];
    static uint32_t position[N];
    static uint32_t pass[N];
    static uint8_t accepted[N];
    uint16_t same[STRETCH_TOKENS];
    uint16_t of[STRETCH_TOKENS];
    struct recur_result got;
    for (int i = 0; i < N; i++) {
        expert[i] = i % 1000 ? -1 : 3;
        position[i] = pass[i] = (uint32_t)i + 1;
        accepted[i] = 1;
    }
    struct stretch s = {N, 1, 1, expert, request, position, pass, accepted};
    struct recur *r = recur_new(1, 4);
    recur_begin(r, &s);
    recur_add(r, &s, 0, same, of);
    recur_result(r, 0, &got);
    CHECK_INT(got.reuses, 4);
    CHECK_NEAR(got.reuse_mean, 1000, 1e-9);
    CHECK_NEAR(got.reuse_median, 1000, 1000 * MEDIAN_TOLERANCE);
    CHECK_NEAR(got.reuse_share, 0.8, 1e-12);
    CHECK_NEAR(got.lag1, 0, 0);
    CHECK_NEAR(got.pass_experts, 1, 0);
    recur_free(r);
}

/* Requests by turns, each with the same expert again and again: as many as are remembered are
 * found again, one more and none is. */
static struct recur_result take_turns(uint32_t requests, int64_t *forgotten) {
    uint16_t same[2];
    uint16_t of[2];
    struct recur_result got;
    struct recur *r = recur_new(1, 2);
    for (uint32_t i = 0; i < 3 * requests; i++) {
        int16_t expert = 1;
        uint32_t request = i % requests;
        uint32_t position = i / requests;
        uint32_t pass = i + 1;
        uint8_t accepted = 1;
        struct stretch s = {1, 1, 1, &expert, &request, &position, &pass, &accepted};
        recur_begin(r, &s);
        recur_add(r, &s, 0, same, of);
    }
    recur_result(r, 0, &got);
    *forgotten = recur_forgotten(r);
    recur_free(r);
    return got;
}

static void many_requests(void) {
    int64_t forgotten;
    struct recur_result got = take_turns(4096, &forgotten);
    CHECK_INT(forgotten, 0);
    CHECK_INT(got.reuses, 2 * 4096);
    CHECK_NEAR(got.lag1, 1, 0);
    got = take_turns(4097, &forgotten);
    CHECK_INT(forgotten, 2 * 4097);
    CHECK_INT(got.reuses, 0);
    CHECK(isnan(got.lag1) && isnan(got.reuse_mean) && isnan(got.reuse_median));
}

static void nothing(void) {
    struct recur_result got;
    struct recur *r = recur_new(2, 4);
    recur_result(r, 1, &got);
    CHECK(isnan(got.lag1) && isnan(got.reuse_share) && isnan(got.pass_experts));
    recur_free(r);
}

int main(void) {
    RUN(brute_force);
    RUN(far_apart);
    RUN(many_requests);
    RUN(nothing);
    return check_done();
}
