/* test_traffic.c - windows, ranks' loads and nodes of traffic, by hand and by brute force */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/traffic.h"
#include "tests/check.h"
#include "tests/random.h"

#define TOLERANCE 1e-12

static struct routed_set *make_trace(int64_t tokens, int layers, int experts, int k) {
    struct routed_set *s = mem_alloc(sizeof *s);
    s->model = (struct routed_model){.layers = layers, .experts = experts, .k = k};
    s->tokens = tokens;
    s->expert = mem_array((size_t)tokens * (size_t)(layers * k), sizeof *s->expert);
    for (int64_t i = 0; i < tokens * layers * k; i++)
        s->expert[i] = (int16_t)(below(experts + 1) - 1);
    return s;
}

static void free_trace(struct routed_set *s) {
    free(s->expert);
    free(s);
}

/* Four tokens to experts 0, 0, 1, 2, one each, of four on two ranks. */
static void by_hand(void) {
    int16_t expert[] = {0, 0, 1, 2};
    struct routed_set s = {.model = {.layers = 1, .experts = 4, .k = 1}, .tokens = 4,
                           .expert = expert};
    const struct traffic_part part = {.set = &s, .to = 4};
    struct traffic t = {.part = &part, .parts = 1, .window = 2};
    const struct placement_grid grid = {.ranks = 2, .nodes = 2, .slots = 4};
    struct placement *p = placement_identity(1, 4, &grid);
    struct traffic_measure m;
    double excess[2];
    CHECK_INT(traffic_ready(&t, NULL), 0);
    CHECK_INT(t.windows, 2);
    traffic_measure(&t, p, 0, &m, excess);
    CHECK_NEAR(m.max_over_mean, 1.5, TOLERANCE);        /* 3 and 1 of 4 */
    CHECK_NEAR(excess[0], 1, TOLERANCE);                /* 2 and 0 */
    CHECK_NEAR(excess[1], 0, TOLERANCE);                /* 1 and 1 */
    CHECK_NEAR(m.excess, 0.5, TOLERANCE);
    CHECK_NEAR(m.balancedness, 0.75, TOLERANCE);
    CHECK_NEAR(m.nodes_per_token, 1, TOLERANCE);
    placement_free(p);
}

/* A token of experts 0 and 1, of which 0 has a replica on each of two nodes: it goes to both nodes
 * every second time. */
static void replicas_are_drawn(void) {
    int16_t expert[] = {0, 1};
    struct routed_set s = {.model = {.layers = 1, .experts = 3, .k = 2}, .tokens = 1,
                           .expert = expert};
    const struct traffic_part part = {.set = &s, .to = 1};
    struct traffic t = {.part = &part, .parts = 1, .window = 32};
    const struct placement_grid grid = {.ranks = 2, .nodes = 2, .slots = 4};
    struct placement *p = placement_new(1, 3, &grid);
    struct traffic_measure m;
    memcpy(p->slot, (int32_t[]){0, 1, 0, 2}, 4 * sizeof *p->slot);
    CHECK_INT(traffic_ready(&t, NULL), 0);
    traffic_measure(&t, p, 0, &m, NULL);
    CHECK_NEAR(m.nodes_per_token, 1.5, TOLERANCE);
    CHECK_NEAR(m.max_over_mean, 1.5, TOLERANCE);
    placement_free(p);
}

/* Windows differ by a token at most, follow each other, and add up to all. */
static void windows_add_up(void) {
    state = 3;
    for (int i = 0; i < 100; i++) {
        struct routed_set *s = make_trace(1 + below(90), 2, 5, 2);
        struct loads l = {.model = {.layers = 2, .experts = 7}};
        double count[14], sum[7], all[7], one[7];
        for (int e = 0; e < 14; e++)
            count[e] = below(9);
        l.count = count;
        int cut = below((int)s->tokens + 1);
        const struct traffic_part part[] = {{.set = s, .to = cut}, {.loads = &l},
                                            {.set = s, .from = cut, .to = s->tokens}};
        struct traffic t = {.part = part, .parts = 3, .window = 1 + below(20)};
        CHECK_INT(traffic_ready(&t, NULL), 0);
        CHECK_INT(t.experts, 7);
        memset(sum, 0, sizeof sum);
        for (int64_t w = 0; w < t.windows; w++) {
            traffic_window(&t, 1, w, one);
            for (int e = 0; e < 7; e++)
                sum[e] += one[e];
        }
        traffic_count(&t, 1, all);
        for (int e = 0; e < 7; e++)
            CHECK_NEAR(sum[e], all[e], TOLERANCE);
        free_trace(s);
    }
}

/* All windows of 1, 2, 4 tokens, longer ones overlapping by half, each length alike. */
static void moments(void) {
    enum { TOKENS = 21, EXPERTS = 5, RANKS = 3 };
    double moment[EXPERTS * EXPERTS], want[EXPERTS * EXPERTS];
    state = 4;
    struct routed_set *s = make_trace(TOKENS, 1, EXPERTS, 2);
    const struct traffic_part part = {.set = s, .to = TOKENS};
    struct traffic t = {.part = &part, .parts = 1, .window = 7};
    memset(want, 0, sizeof want);
    for (int length = 1; length <= 4; length *= 2) {
        int step = length > 1 ? length / 2 : 1;
        int n = (TOKENS - length) / step + 1;
        for (int w = 0; w < n; w++) {
            double x[EXPERTS] = {0};
            double sum = 0;
            for (int i = w * step * 2; i < (w * step + length) * 2; i++)
                if (s->expert[i] >= 0) {
                    x[s->expert[i]]++;
                    sum++;
                }
            for (int i = 0; i < EXPERTS * EXPERTS && sum > 0; i++)
                want[i] += x[i / EXPERTS] * x[i % EXPERTS] * RANKS * RANKS / (sum * sum) / n / 3;
        }
    }
    CHECK_INT(traffic_ready(&t, NULL), 0);
    traffic_moment(&t, 0, RANKS, moment);
    for (int i = 0; i < EXPERTS * EXPERTS; i++)
        CHECK_NEAR(moment[i], want[i], TOLERANCE);
    free_trace(s);
}

static void together(void) {
    int16_t expert[] = {0, 1, 1, 2, 0, -1, 1, 0};
    double pair[9];
    struct routed_set s = {.model = {.layers = 1, .experts = 3, .k = 2}, .tokens = 4,
                           .expert = expert};
    struct loads l = {.model = {.layers = 1, .experts = 3}, .count = (double[]){1, 2, 3}};
    const struct traffic_part part[] = {{.set = &s, .to = 4}, {.loads = &l}};
    struct traffic t = {.part = part, .parts = 2, .window = 1};
    CHECK_INT(traffic_ready(&t, NULL), 0);
    CHECK_INT(traffic_together(&t, 0, pair), 1);
    CHECK_NEAR(pair[1], 0.5, TOLERANCE);
    CHECK_NEAR(pair[3], 0.5, TOLERANCE);
    CHECK_NEAR(pair[5], 0.25, TOLERANCE);
    CHECK_NEAR(pair[2], 0, TOLERANCE);
    CHECK_NEAR(pair[0], 0, TOLERANCE);
    t.part = part + 1;
    t.parts = 1;
    CHECK_INT(traffic_together(&t, 0, pair), 0);
}

/* Nothing used in a window, or at all, is no value and no crash. */
static void nothing(void) {
    int16_t expert[] = {-1, -1, 0, -1};
    struct routed_set s = {.model = {.layers = 1, .experts = 2, .k = 1}, .tokens = 4,
                           .expert = expert};
    struct traffic_part part = {.set = &s, .to = 4};
    struct traffic t = {.part = &part, .parts = 1, .window = 2};
    const struct placement_grid grid = {.ranks = 2, .nodes = 1, .slots = 2};
    struct placement *p = placement_identity(1, 2, &grid);
    struct traffic_measure m;
    struct err e;
    double excess[2];
    CHECK_INT(traffic_ready(&t, NULL), 0);
    traffic_measure(&t, p, 0, &m, excess);
    CHECK(isnan(excess[0]));
    CHECK_NEAR(m.excess, 1, TOLERANCE);
    part.to = 2;
    CHECK_INT(traffic_ready(&t, NULL), 0);
    traffic_measure(&t, p, 0, &m, NULL);
    CHECK(isnan(m.excess) && isnan(m.max_over_mean) && isnan(m.nodes_per_token));
    t.parts = 0;
    CHECK_INT(traffic_ready(&t, &e), -1);
    CHECK_STR(e.text, "no traffic");
    placement_free(p);
}

int main(void) {
    RUN(by_hand);
    RUN(replicas_are_drawn);
    RUN(windows_add_up);
    RUN(moments);
    RUN(together);
    RUN(nothing);
    return check_done();
}
