/* test_diverge.c - lib/route/diverge: closed forms, numbers of scipy, every draw again by plain
 * code, how often p is small when nothing differs, and whether what was planted is found
 */
#include "tests/check.h"
#include "tests/noise.h"
#include "tests/routes_made.h"

#include "lib/route/diverge.h"
#include "lib/stat/order.h"
#include "lib/stat/perm_groups.h"

/* ---- divergence --------------------------------------------------------------------------- */

static void closed_forms(void) {
    static const double a[] = {1, 0, 0, 3};
    static const double b[] = {0, 2, 5, 0};
    static const double c[] = {2, 0, 0, 6};
    static const double none[] = {0, 0, 0, 0};
    CHECK_NEAR(diverge_js(a, b, 4), 1, 1e-15);
    CHECK_NEAR(diverge_js(a, c, 4), 0, 1e-15);
    CHECK(isnan(diverge_js(a, none, 4)));
    CHECK(isnan(diverge_js(none, none, 4)));
    /* (1/2, 1/2) and (1, 0): 3/2 - 3/4 log2 3 */
    static const double even[] = {7, 7};
    static const double one[] = {5, 0};
    CHECK_NEAR(diverge_js(even, one, 2), 1.5 - 0.75 * log2(3), 1e-14);
    /* scipy 1.17: jensenshannon(x, y, base=2) ** 2 */
    static const double x[] = {3, 0, 5, 2, 7, 1, 0, 4};
    static const double y[] = {1, 2, 5, 0, 3, 9, 0, 1};
    CHECK_NEAR(diverge_js(x, y, 8), 0.2931017158024124, 1e-14);
    CHECK_NEAR(diverge_js(y, x, 8), 0.2931017158024124, 1e-14);
    CHECK_NEAR(diverge_js(x, x, 1), 0, 0);
}

static void rows(void) {
    static const double count[2][8] = {{4, 4, 2, 2, 0, 0, 0, 0}, {0, 1, 1, 6, 3, 1, 0, 0}};
    double rate[2][8];
    struct diverge *d = diverge_new(2, 4);
    for (int i = 0; i < 2; i++)
        diverge_rates_of_counts(count[i], 2, 4, 2, rate[i]);
    CHECK_NEAR(rate[0][0], 4.0 / 6, 1e-15);
    CHECK_NEAR(rate[1][3], 1.5, 1e-15);
    CHECK_NEAR(rate[0][5], 0, 0);
    diverge_compare(d, rate[0], rate[1], 2);
    CHECK_INT(d->row[0].most, 3);
    CHECK_NEAR(d->row[0].difference, 2.0 / 6 - 1.5, 1e-15);
    CHECK_NEAR(d->row[0].top_overlap, 0.5, 0);      /* 0, 1 and 3, 1 */
    CHECK_NEAR(d->row[0].js_bits, diverge_js(count[0], count[1], 4), 1e-15);
    CHECK(isnan(d->row[1].js_bits) && isnan(d->row[1].top_overlap) && isnan(d->row[0].p));
    CHECK_NEAR(d->row[2].js_bits, d->row[0].js_bits, 1e-15);
    CHECK_INT(d->row[2].differ, -1);
    CHECK_INT(d->row[2].most, -1);
    CHECK(isnan(d->expert[3].p));
    diverge_free(d);
}

/* ---- units -------------------------------------------------------------------------------- */

/* Everything of a side is in its units, once. */
static void check_counts(const struct diverge_units *u, const struct routed_set *a,
                         const struct routed_set *b) {
    const struct routed_set *set[2] = {a, b};
    uint32_t *want = mem_array((size_t)u->layers * (size_t)u->experts * 2, sizeof *want);
    int64_t wrong = 0;
    for (int s = 0; s < 2; s++)
        for (int64_t t = 0; t < set[s]->tokens; t++)
            for (int l = 0; l < u->layers; l++)
                for (int j = 0; j < set[s]->model.k; j++)
                    if (routed_at(set[s], t, l)[j] >= 0)
                        want[(s * u->layers + l) * u->experts + routed_at(set[s], t, l)[j]]++;
    for (size_t i = 0; i < u->n; i++)
        for (int l = 0; l < u->layers; l++)
            for (int e = 0; e < u->experts; e++)
                want[(u->side[i] * u->layers + l) * u->experts + e] -=
                    u->count[((size_t)l * u->n + i) * (size_t)u->stride + (size_t)e];
    for (int i = 0; i < 2 * u->layers * u->experts; i++)
        wrong += want[i] != 0;
    CHECK_INT(wrong, 0);
    CHECK_INT(u->side_tokens[0], a->tokens);
    CHECK_INT(u->side_tokens[1], b->tokens);
    CHECK_INT(u->of_side[0] + u->of_side[1], u->n);
    free(want);
}

static struct diverge_units *cut(const struct routed_set *a, const struct routed_set *b,
                                 enum diverge_unit unit, int64_t block, int paired) {
    struct diverge_part part[2] = {{a, NULL}, {b, NULL}};
    return diverge_units_cut(part, &(struct diverge_cut){unit, block, paired});
}

static void requests_and_blocks(void) {
    struct rng r = {1};
    struct routes_law law = {.requests = 7, .tokens = 30, .layers = 2, .experts = 11, .k = 3};
    struct routed_set *a = routes_made(&law, &r);
    law.requests = 6;
    struct routed_set *b = routes_made(&law, &r);
    law.requests = 3;
    struct routed_set *c = routes_made(&law, &r);
    a->expert[4] = -1;
    struct diverge_units *u = cut(a, b, DIVERGE_AUTO, 0, 1);
    CHECK_INT(u->unit, DIVERGE_REQUESTS);
    CHECK_INT(u->of_side[0], 7);
    CHECK_INT(u->of_side[1], 6);
    CHECK(!u->pair && isnan(u->tau));
    check_counts(u, a, b);
    diverge_units_free(u);
    u = cut(a, b, DIVERGE_AUTO, 40, 0);
    CHECK_INT(u->unit, DIVERGE_BLOCKS);
    CHECK_INT(u->of_side[0], 5);            /* 210 / 40, rounded */
    CHECK_INT(u->of_side[1], 5);            /* 180 / 40 */
    CHECK_INT(u->tokens[0], 42);
    check_counts(u, a, b);
    diverge_units_free(u);
    u = cut(a, c, DIVERGE_AUTO, 0, 0);
    CHECK_INT(u->unit, DIVERGE_BLOCKS);
    CHECK(u->tau >= 1 && u->tau < 1.5 && u->block >= 10 && u->block <= 15);
    check_counts(u, a, c);
    diverge_units_free(u);
    u = cut(a, a, DIVERGE_REQUESTS, 0, 1);
    CHECK(u->pair && u->pair[0] == 0 && u->pair[13] == 6);
    check_counts(u, a, a);
    diverge_units_free(u);
    a->tokens = 0;
    u = cut(a, c, DIVERGE_AUTO, 0, 0);
    CHECK_INT(u->n, 0);
    diverge_units_free(u);
    routed_set_free(c);
    routed_set_free(b);
    routed_set_free(a);
}

/* Neighbours become one where there are many; the smaller side is left its few. */
static void many_are_merged(void) {
    struct rng r = {2};
    struct routes_law law = {.requests = 600, .tokens = 3, .layers = 1, .experts = 4, .k = 1};
    struct routed_set *a = routes_made(&law, &r);
    struct routed_set *b = routes_made(&law, &r);
    struct diverge_units *u = cut(a, b, DIVERGE_AUTO, 0, 1);
    CHECK_INT(u->of_side[0], 200);
    CHECK_INT(u->tokens[0], 9);
    CHECK(u->pair != NULL);
    check_counts(u, a, b);
    diverge_units_free(u);
    b->tokens = 3 * 20;
    u = cut(a, b, DIVERGE_AUTO, 0, 1);
    CHECK_INT(u->of_side[0], 600);
    CHECK_INT(u->of_side[1], 20);
    CHECK(!u->pair);
    diverge_units_free(u);
    routed_set_free(b);
    routed_set_free(a);
}

/* Requests whose tokens are mixed, as batches have them, and topics. */
static void order_of_units(void) {
    struct routed_set *a = routes_new(12, 1, 4, 1);
    uint32_t topic[12];
    for (int64_t t = 0; t < 12; t++) {
        a->request[t] = (uint32_t)t % 3;
        a->expert[t] = (int16_t)(t % 3);
        topic[t] = t % 3 == 1 ? DIVERGE_NO_TOPIC : 1 - (uint32_t)(t % 3) / 2;
    }
    struct diverge_part part[2] = {{a, topic}, {a, topic}};
    struct diverge_cut how = {DIVERGE_REQUESTS, 0, 1};
    struct diverge_units *u = diverge_units_cut(part, &how);
    CHECK_INT(u->n, 6);
    static const uint32_t want[] = {0, 0, 1, 1, DIVERGE_NO_TOPIC, DIVERGE_NO_TOPIC};
    static const int expert[] = {2, 2, 0, 0, 1, 1};
    for (size_t i = 0; i < 6; i++) {
        CHECK_INT(u->topic[i], want[i]);
        CHECK_INT(u->count[i * (size_t)u->stride + (size_t)expert[i]], 4);
        CHECK_INT(u->pair[i], i / 2);
    }
    diverge_units_free(u);
    routed_set_free(a);
}

/* Tokens that stay with a chance of s: autocorrelation s^h, so tau = (1 + s) / (1 - s). */
static void memory(void) {
    static const double stays[] = {0, 0.5, 0.8};
    int64_t *order = mem_array(20000, sizeof *order);
    for (int64_t i = 0; i < 20000; i++)
        order[i] = i;
    for (int i = 0; i < 3; i++) {
        struct rng r = {3};
        struct routes_law law = {.requests = 1, .tokens = 20000, .layers = 4, .experts = 16, .k = 2,
                                 .stays = stays[i]};
        struct routed_set *s = routes_made(&law, &r);
        double want = (1 + stays[i]) / (1 - stays[i]);
        CHECK_NEAR(diverge_memory(s, order, 20000) / want, 1, 0.15);
        CHECK_NEAR(diverge_memory(s, order, 3), 1, 0);
        routed_set_free(s);
    }
    struct routed_set *same = routes_new(100, 1, 4, 1);
    CHECK_NEAR(diverge_memory(same, order, 100), 1, 0);
    routed_set_free(same);
    free(order);
}

/* ---- every draw again --------------------------------------------------------------------- */

/* Rates of both sides by plain sums, inside topics. */
static void plain_rates(const struct diverge_units *u, const uint8_t *side, const double *weight,
                        int layer, double rate[2][64]) {
    for (int s = 0; s < 2; s++)
        for (int e = 0; e < u->experts; e++) {
            rate[s][e] = 0;
            for (uint32_t topic = 0; topic < 3; topic++) {
                double count = 0;
                double tokens = 0;
                for (size_t i = 0; i < u->n; i++) {
                    if (side[i] != s || u->topic[i] != topic)
                        continue;
                    count += u->count[((size_t)layer * u->n + i) * (size_t)u->stride + (size_t)e];
                    tokens += (double)u->tokens[i];
                }
                rate[s][e] += weight[topic] > 0 ? weight[topic] * count / tokens : 0;
            }
        }
}

static void plain_weights(const struct diverge_units *u, double weight[3]) {
    double sum = 0;
    for (uint32_t topic = 0; topic < 3; topic++) {
        double tokens[2] = {0, 0};
        for (size_t i = 0; i < u->n; i++)
            if (u->topic[i] == topic)
                tokens[u->side[i]] += (double)u->tokens[i];
        weight[topic] = tokens[0] * tokens[1] / (tokens[0] + tokens[1]);
        sum += weight[topic];
    }
    for (int topic = 0; topic < 3; topic++)
        weight[topic] /= sum;
}

static void every_draw(void) {
    enum { DRAWS = 150 };
    struct rng r = {4};
    struct routes_law law = {.requests = 20, .tokens = 15, .layers = 2, .experts = 13, .k = 2,
                             .own = 3};
    struct routed_set *a = routes_made(&law, &r);
    law.requests = 14;
    struct routed_set *b = routes_made(&law, &r);
    uint32_t topic[300];
    for (int64_t t = 0; t < 300; t++)   /* topic 2 is on one side alone: b has no request 14 */
        topic[t] = a->request[t] >= 14 ? 2 : a->request[t] % 5 == 0;
    struct diverge_part part[2] = {{a, topic}, {b, topic}};
    struct diverge_units *u = diverge_units_cut(part, &(struct diverge_cut){0});
    struct diverge *d = diverge_new(2, 13);
    diverge_test(d, u, &(struct diverge_options){.matched = 1, .resamples = DRAWS, .seed = 9,
                                                 .threads = 1});
    uint8_t side[34];
    uint8_t drawn[34];
    double weight[3];
    double js[DRAWS];
    double rate[2][64];
    int beyond = 0;
    double sum = 0;
    plain_weights(u, weight);
    CHECK_INT(u->n, 34);
    CHECK_INT(d->topics, 2);
    CHECK_INT(d->topics_left, 1);
    CHECK_INT(d->tokens_left[0], 90);
    for (size_t i = 0; i < u->n; i++)
        side[i] = u->topic[i] == 2 ? 0 : u->side[i];
    struct perm_groups *g = perm_groups_new(side, u->topic, u->n);
    plain_rates(u, side, weight, 1, rate);
    for (int e = 0; e < 13; e++)
        CHECK_NEAR(d->expert[13 + e].difference, rate[0][e] - rate[1][e], 1e-12);
    CHECK_NEAR(d->row[1].js_bits, diverge_js(rate[0], rate[1], 13), 1e-12);
    for (int t = 0; t < DRAWS; t++) {
        perm_groups_draw(g, 9, (uint64_t)t, drawn);
        plain_rates(u, drawn, weight, 1, rate);
        js[t] = diverge_js(rate[0], rate[1], 13);
        beyond += js[t] >= d->row[1].js_bits;
        sum += js[t];
    }
    order_sort(js, DRAWS);
    CHECK_NEAR(d->row[1].p, (1.0 + beyond) / (1 + DRAWS), 1e-12);
    CHECK_NEAR(d->row[1].null_bits, sum / DRAWS, 1e-12);
    CHECK_NEAR(d->row[1].null95_bits, order_quantile(js, DRAWS, 0.95), 1e-12);
    perm_groups_free(g);
    diverge_free(d);
    diverge_units_free(u);
    routed_set_free(b);
    routed_set_free(a);
}

static void threads_do_not_matter(void) {
    struct rng r = {5};
    struct routes_law law = {.requests = 12, .tokens = 20, .layers = 5, .experts = 9, .k = 2};
    struct routed_set *a = routes_made(&law, &r);
    struct routed_set *b = routes_made(&law, &r);
    struct diverge_units *u = cut(a, b, DIVERGE_AUTO, 0, 0);
    struct diverge *d[2];
    for (int i = 0; i < 2; i++) {
        d[i] = diverge_new(5, 9);
        diverge_test(d[i], u, &(struct diverge_options){.resamples = 300, .threads = 1 + 2 * i});
    }
    CHECK(memcmp(d[0]->row, d[1]->row, 6 * sizeof *d[0]->row) == 0);
    CHECK(memcmp(d[0]->expert, d[1]->expert, 45 * sizeof *d[0]->expert) == 0);
    diverge_free(d[1]);
    diverge_free(d[0]);
    diverge_units_free(u);
    routed_set_free(b);
    routed_set_free(a);
}

/* ---- when nothing differs, and when something does ---------------------------------------- */

struct trial {
    struct routes_law law;      /* of a */
    const double *weight_b;     /* of b; NULL: as a */
    int requests_b;
    enum diverge_unit unit;
    int64_t block;
    int matched;
    const uint32_t *topic;      /* [tokens] of both */
};

static struct diverge *try(const struct trial *t, struct rng *r, int resamples) {
    struct routes_law b = t->law;
    b.requests = t->requests_b ? t->requests_b : t->law.requests;
    b.weight = t->weight_b ? t->weight_b : t->law.weight;
    struct routed_set *set[2] = {routes_made(&t->law, r), routes_made(&b, r)};
    struct diverge_part part[2] = {{set[0], t->topic}, {set[1], t->topic}};
    struct diverge_units *u = diverge_units_cut(part, &(struct diverge_cut){t->unit, t->block, 0});
    struct diverge *d = diverge_new(t->law.layers, t->law.experts);
    diverge_test(d, u, &(struct diverge_options){.matched = t->matched, .resamples = resamples,
                                                 .seed = rng_next(r), .threads = 1});
    diverge_units_free(u);
    routed_set_free(set[1]);
    routed_set_free(set[0]);
    return d;
}

/* The share of trials with p of all layers above 0.05; *any counts those that call an expert
 * different. */
static int quiet(const struct trial *t, uint64_t seed, int trials, int *any) {
    struct rng r = {seed};
    int n = 0;
    *any = 0;
    for (int i = 0; i < trials; i++) {
        struct diverge *d = try(t, &r, 199);
        n += d->row[d->layers].p > 0.05;
        *any += d->row[d->layers].differ > 0;
        diverge_free(d);
    }
    return n;
}

static void nothing_is_found_where_nothing_is(void) {
    struct routes_law law = {.requests = 8, .tokens = 25, .layers = 2, .experts = 12, .k = 2};
    struct routes_law text = law;
    int trials = NOISE_TRIALS(600);
    int any;
    law.own = 4;
    text.requests = 1;
    text.tokens = 600;
    text.stays = 0.5;
    int n = quiet(&(struct trial){.law = law, .requests_b = 11}, 21, trials, &any);
    noise_check("requests", n, trials, 0.95, 0.95);
    noise_check("experts of requests", trials - any, trials, 0.95, 1);
    n = quiet(&(struct trial){.law = text}, 22, trials, &any);
    noise_check("texts", n, trials, 0.91, 0.95);
    noise_check("experts of texts", trials - any, trials, 0.95, 1);
    /* What it is for: tokens taken for independent alarm all the time. */
    n = quiet(&(struct trial){.law = text, .block = 1}, 23, 60, &any);
    CHECK(n < 30);
    n = quiet(&(struct trial){.law = law, .block = 1}, 24, 60, &any);
    CHECK(n < 5);
}

/* b uses 12 of 128 experts 60 % more or less; of those called different, 5 % at most may be others
 * (whose rates stay, the planted changes being in balance). */
static void planted(void) {
    enum { LAYERS = 2, EXPERTS = 64, MOVED = 12 };
    double weight[2][LAYERS * EXPERTS];
    for (int i = 0; i < LAYERS * EXPERTS; i++) {
        weight[0][i] = 1;
        weight[1][i] = i < MOVED ? (i % 2 ? 0.4 : 1.6) : 1;
    }
    struct trial t = {.law = {.requests = 30, .tokens = 60, .layers = LAYERS, .experts = EXPERTS,
                              .k = 4, .weight = weight[0], .own = 2}, .weight_b = weight[1]};
    struct rng r = {31};
    int trials = NOISE_TRIALS(100);
    double wrong = 0;
    int found = 0;
    int covered = 0;
    for (int i = 0; i < trials; i++) {
        struct diverge *d = try(&t, &r, 199);
        int hits = 0;
        int others = 0;
        for (int e = 0; e < LAYERS * EXPERTS; e++) {
            const struct diverge_expert *x = &d->expert[e];
            hits += x->q <= 0.05 && e < MOVED;
            others += x->q <= 0.05 && e >= MOVED;
            covered += e >= EXPERTS && x->low <= 0 && x->high >= 0;
        }
        CHECK(d->row[LAYERS].p < 0.01);
        CHECK_NEAR(d->row[0].p, 0.005, 1e-12);
        wrong += hits + others ? (double)others / (hits + others) : 0;
        found += hits;
        diverge_free(d);
    }
    if (getenv("NOISE_SHOW"))
        printf("# wrong %.4f, found %.3f, held %.4f\n", wrong / trials,
               (double)found / trials / MOVED, (double)covered / trials / EXPERTS);
    CHECK(wrong / trials < 0.07);
    CHECK((double)found / trials / MOVED > 0.6);
    noise_check("intervals", covered, trials * EXPERTS, 0.94, 0.96);
}

/* Two topics, routed their own ways by both sides alike, but a has more of the one. */
static void topics_explain(void) {
    enum { TOKENS = 20, REQUESTS = 40 };
    struct rng r = {41};
    int trials = NOISE_TRIALS(300);
    int raw = 0;
    int matched = 0;
    double weight[2][16];
    uint32_t topic[2][TOKENS * REQUESTS];
    for (int e = 0; e < 16; e++) {
        weight[0][e] = e < 8 ? 3 : 1;
        weight[1][e] = e < 8 ? 1 : 3;
    }
    for (int i = 0; i < trials; i++) {
        struct routed_set *set[2];
        for (int s = 0; s < 2; s++) {
            struct routes_law law = {.requests = REQUESTS, .tokens = TOKENS, .layers = 1,
                                     .experts = 16, .k = 2, .own = 1, .weight = weight[0]};
            set[s] = routes_made(&law, &r);
            law.weight = weight[1];
            struct routed_set *other = routes_made(&law, &r);
            for (int t = 0; t < TOKENS * REQUESTS; t++) {
                int is_other = t / TOKENS % 4 < 1 + 2 * s;
                topic[s][t] = (uint32_t)is_other;
                for (int j = 0; j < 2 && is_other; j++)
                    set[s]->expert[2 * t + j] = other->expert[2 * t + j];
            }
            routed_set_free(other);
        }
        struct diverge_part part[2] = {{set[0], topic[0]}, {set[1], topic[1]}};
        struct diverge_units *u = diverge_units_cut(part, &(struct diverge_cut){0});
        for (int m = 0; m < 2; m++) {
            struct diverge *d = diverge_new(1, 16);
            diverge_test(d, u, &(struct diverge_options){.matched = m, .resamples = 199,
                                                         .seed = rng_next(&r), .threads = 1});
            *(m ? &matched : &raw) += d->row[1].p > 0.05;
            diverge_free(d);
        }
        diverge_units_free(u);
        routed_set_free(set[1]);
        routed_set_free(set[0]);
    }
    CHECK(raw < trials / 20);
    noise_check("matched", matched, trials, 0.95, 0.95);
}

/* The same requests, whose own ways are far apart, under a small change: pairs show it. */
static void pairs_show_more(void) {
    struct rng r = {51};
    struct routes_law law = {.requests = 12, .tokens = 80, .layers = 1, .experts = 16, .k = 2,
                             .own = 20};
    struct routed_set *a = routes_made(&law, &r);
    struct routed_set *b = routes_made(&law, &r);
    double p[2];
    for (int64_t t = 0; t < a->tokens; t++)
        for (int j = 0; j < 2; j++) {
            int16_t *e = &b->expert[2 * t + j];
            *e = a->expert[2 * t + j];
            if (t % 4 == 0 && *e != 5 && b->expert[2 * t + !j] != 5 && j)
                *e = 5;
        }
    for (int paired = 0; paired < 2; paired++) {
        struct diverge_units *u = cut(a, b, DIVERGE_AUTO, 0, paired);
        struct diverge *d = diverge_new(1, 16);
        diverge_test(d, u, &(struct diverge_options){.resamples = 500, .threads = 1});
        p[paired] = d->expert[5].p;
        CHECK_NEAR(d->least_p, paired ? 2.0 / 4096 : 2 / 2704156.0, 1e-12);
        diverge_free(d);
        diverge_units_free(u);
    }
    CHECK(p[1] < p[0] && p[1] < 0.001);
    routed_set_free(b);
    routed_set_free(a);
}

/* Too few units for any p; one expert; a layer without experts on one side. */
static void edges(void) {
    struct rng r = {61};
    struct routes_law law = {.requests = 3, .tokens = 4, .layers = 2, .experts = 1, .k = 1};
    struct routed_set *a = routes_made(&law, &r);
    struct routed_set *b = routes_made(&law, &r);
    struct diverge_units *u = cut(a, b, DIVERGE_REQUESTS, 0, 0);
    struct diverge *d = diverge_new(2, 1);
    diverge_test(d, u, &(struct diverge_options){.threads = 1});
    CHECK_NEAR(d->least_p, 0.1, 1e-12);
    CHECK(isnan(d->row[2].p) && isnan(d->expert[0].q) && d->row[2].differ == -1);
    CHECK_NEAR(d->row[2].js_bits, 0, 0);
    diverge_units_free(u);
    for (int64_t t = 0; t < a->tokens; t++)
        a->expert[2 * t + 1] = -1;
    u = cut(a, b, DIVERGE_BLOCKS, 1, 0);
    diverge_test(d, u, &(struct diverge_options){.threads = 1, .resamples = 100});
    CHECK_NEAR(d->row[0].p, 1, 0);
    CHECK(isnan(d->row[1].js_bits) && isnan(d->row[1].p));
    CHECK_NEAR(d->row[2].p, 1, 0);
    CHECK_NEAR(d->expert[0].p, 1, 0);
    CHECK(d->expert[1].p < 0.001);
    diverge_free(d);
    diverge_units_free(u);
    routed_set_free(b);
    routed_set_free(a);
}

int main(void) {
    RUN(closed_forms);
    RUN(rows);
    RUN(requests_and_blocks);
    RUN(many_are_merged);
    RUN(order_of_units);
    RUN(memory);
    RUN(every_draw);
    RUN(threads_do_not_matter);
    RUN(nothing_is_found_where_nothing_is);
    RUN(planted);
    RUN(topics_explain);
    RUN(pairs_show_more);
    RUN(edges);
    return check_done();
}
