/* test_agreement.c - shares of experts that two models both chose, by hand */
#include "lib/quant/agreement.h"

#include "lib/base/mem.h"
#include "tests/check.h"

/* Three layers: experts with k = 2, dense, experts with k = 1. */
static struct shape make_shape(struct shape_layer *layer) {
    struct shape s = {.layers = 3, .layer = layer};
    memset(layer, 0, 3 * sizeof *layer);
    layer[0] = (struct shape_layer){.experts = 8, .top_k = 2};
    layer[2] = (struct shape_layer){.experts = 4, .top_k = 1};
    return s;
}

static void by_hand(void) {
    struct shape_layer l[3];
    struct shape s = make_shape(l);
    /* [row][moe layer][2] */
    static const int32_t a[4][2][2] = {{{1, 2}, {0, -1}}, {{3, 4}, {1, -1}},
                                       {{5, 6}, {2, -1}}, {{7, 0}, {3, -1}}};
    static const int32_t b[4][2][2] = {{{1, 2}, {0, -1}}, {{4, 3}, {1, -1}},
                                       {{5, 0}, {0, -1}}, {{1, 2}, {3, -1}}};
    static const float wa[4][2][2] = {{{0.75f, 0.25f}, {1, 0}}, {{0.5f, 0.5f}, {1, 0}},
                                      {{0.75f, 0.25f}, {1, 0}}, {{0.5f, 0.5f}, {1, 0}}};
    static const float wb[4][2][2] = {{{0.5f, 0.5f}, {1, 0}}, {{0.75f, 0.25f}, {0.5f, 0}},
                                      {{0.75f, 0.25f}, {1, 0}}, {{0.75f, 0.25f}, {1, 0}}};
    struct agreement *g = agreement_new(&s, &s, 2);
    struct agreement_figures f;
    CHECK_INT(agreement_layers(g), 2);
    agreement_add(g, &a[0][0][0], &wa[0][0][0], &b[0][0][0], &wb[0][0][0], 1);
    agreement_add(g, &a[1][0][0], &wa[1][0][0], &b[1][0][0], &wb[1][0][0], 3);
    agreement_layer(g, 0, &f);
    CHECK(f.layer == 0 && f.experts == 8 && f.top_k == 2 && f.rows == 4);
    CHECK_NEAR(f.same.mean, (1 + 1 + 0.5 + 0) / 4, 1e-15);
    CHECK_NEAR(f.same.error, 0.375, 1e-15);         /* chunks: 1 and 0.25 */
    CHECK_NEAR(f.first.mean, 0.5, 1e-15);
    CHECK_NEAR(f.all.mean, 0.5, 1e-15);
    CHECK_NEAR(f.weights.mean, (0.5 + 0.5 + 0.5 + 2) / 4, 1e-7);
    agreement_layer(g, 1, &f);
    CHECK(f.layer == 2 && f.experts == 4 && f.top_k == 1);
    CHECK_NEAR(f.same.mean, 0.75, 1e-15);
    CHECK_NEAR(f.weights.mean, (0 + 0.5 + 2 + 0) / 4, 1e-7);
    CHECK_NEAR(agreement_mean(g).mean, (0.625 + 0.75) / 2, 1e-15);
    agreement_free(g);
}

/* Errors and means are over whole chunks. */
static void few_rows(void) {
    struct shape_layer l[3];
    struct shape s = make_shape(l);
    const int32_t e[4] = {1, 2, 3, -1};
    const float w[4] = {0.5f, 0.5f, 1, 0};
    struct agreement *g = agreement_new(&s, &s, 2);
    struct agreement_figures f;
    CHECK(isnan(agreement_mean(g).mean));
    agreement_add(g, e, w, e, w, 1);
    CHECK(isnan(agreement_mean(g).mean));
    agreement_add(g, e, w, e, w, 1);
    agreement_layer(g, 0, &f);
    CHECK(f.same.mean == 1 && f.all.mean == 1 && f.first.mean == 1 && f.weights.mean == 0);
    CHECK(isnan(f.same.error));
    agreement_free(g);
}

static void others(void) {
    struct shape_layer l[3];
    struct shape_layer k[3];
    struct shape s = make_shape(l);
    struct shape t = make_shape(k);
    k[0].top_k = 3;
    CHECK(!agreement_new(&s, &t, 2));
    t = make_shape(k);
    k[2].experts = 5;
    CHECK(!agreement_new(&s, &t, 2));
    t = make_shape(k);
    t.layers = 2;
    CHECK(!agreement_new(&s, &t, 2));
    memset(k, 0, sizeof k);
    t.layers = 3;
    CHECK(!agreement_new(&t, &t, 2));
}

int main(void) {
    RUN(by_hand);
    RUN(few_rows);
    RUN(others);
    return check_done();
}
