/* test_together.c - lib/route/together: against counting pair by pair
 */
#include "tests/check.h"
#include "tests/stretches.h"

#include "lib/route/together.h"

static int uses(const struct trail *t, int token, int layer, int expert) {
    const int16_t *e = t->expert + ((size_t)token * (size_t)t->layers + (size_t)layer)
        * (size_t)t->k;
    for (int j = 0; j < t->k; j++)
        if (e[j] == expert)
            return 1;
    return 0;
}

static int64_t both(const struct trail *t, int layer, int a, int b) {
    int64_t n = 0;
    for (int i = 0; i < t->n; i++)
        n += uses(t, i, layer, a) && uses(t, i, layer, b);
    return n;
}

/* Half of the pieces come before the larger ids do. */
static struct together *feed(const struct trail *t, int layer) {
    struct together *got = together_new(t->layers, 1, NULL);
    for (int at = 0; at < t->n;) {
        struct stretch s = trail_piece(t, at, 1 + below(40));
        int most = 0;
        for (int i = 0; i < s.n * t->layers * t->k; i++)
            most = s.expert[i] > most ? s.expert[i] : most;
        CHECK_INT(together_grow(got, most + 1, NULL), 0);
        together_add(got, &s, layer);
        at += s.n;
    }
    CHECK_INT(together_grow(got, t->experts, NULL), 0);
    return got;
}

static void brute_force(void) {
    for (int round = 0; round < 12; round++) {
        state = (uint64_t)round + 1;
        int k = 1 + below(5);
        struct trail t = trail_make(40 + below(300), 2, k + below(12), k, 3);
        struct together *got = feed(&t, 1);
        for (int b = 0; b < t.experts; b++)
            for (int a = 0; a < b; a++) {
                CHECK_INT(together_tokens(got, 1, a, b), both(&t, 1, a, b));
                CHECK_INT(together_tokens(got, 1, b, a), both(&t, 1, a, b));
                CHECK_INT(together_tokens(got, 0, a, b), 0);
            }
        together_free(got);
        trail_free(&t);
    }
}

/* All pairs by lift, sorted the slow way. */
static void order(void) {
    struct together_pair top[400];
    double count[20] = {0};
    state = 9;
    struct trail t = trail_make(600, 1, 20, 4, 3);
    struct together *got = feed(&t, 0);
    for (int e = 0; e < 20; e++)
        for (int i = 0; i < t.n; i++)
            count[e] += uses(&t, i, 0, e);
    int n = together_top(got, 0, 20, count, t.n, 400, 5, top);
    int expected = 0;
    for (int b = 0; b < 20; b++)
        for (int a = 0; a < b; a++)
            expected += count[a] * count[b] / t.n >= 5;
    CHECK_INT(n, expected);
    CHECK(n > 20 && n < 190);
    for (int i = 0; i < n; i++) {
        const struct together_pair *p = &top[i];
        double want = count[p->a] * count[p->b] / t.n;
        CHECK(p->a < p->b && (i == 0 || p->lift <= top[i - 1].lift));
        CHECK_NEAR(p->expected, want, 1e-9);
        CHECK_INT(p->tokens, both(&t, 0, p->a, p->b));
        CHECK_NEAR(p->lift, (double)p->tokens / want, 1e-9);
    }
    struct together_pair few[7];
    CHECK_INT(together_top(got, 0, 20, count, t.n, 7, 5, few), 7);
    for (int i = 0; i < 7; i++)
        CHECK(few[i].a == top[i].a && few[i].b == top[i].b);
    CHECK_INT(together_top(got, 0, 20, count, t.n, 0, 5, few), 0);
    CHECK_INT(together_top(got, 0, 20, count, 0, 7, 0, few), 0);
    together_free(got);
    trail_free(&t);
}

/* Where every token draws its experts alike, the lift of all pairs is that of a draw without
 * replacement, and z of the independence that is assumed would be far below 0. */
static void alike(void) {
    enum { N = 20000, E = 8, K = 3 };
    int16_t *expert = mem_array(N, K * sizeof *expert);
    uint32_t *zero = mem_array(N, sizeof *zero);
    uint8_t *accepted = mem_array(N, 1);
    struct together_pair top[E * E];
    double count[E] = {0};
    state = 2;
    for (int i = 0; i < N; i++) {
        int order_of[E];
        for (int e = 0; e < E; e++)
            order_of[e] = e;
        for (int j = 0; j < K; j++) {
            int other = j + below(E - j);
            int e = order_of[other];
            order_of[other] = order_of[j];
            order_of[j] = e;
            expert[i * K + j] = (int16_t)e;
            count[e]++;
        }
    }
    struct stretch s = {N, 1, K, expert, zero, zero, zero, accepted};
    struct together *t = together_new(1, E, NULL);
    together_add(t, &s, 0);
    int n = together_top(t, 0, E, count, N, E * E, 5, top);
    CHECK_INT(n, E * (E - 1) / 2);
    CHECK_NEAR(together_alike(K, E), 2.0 / 3 * 8 / 7, 1e-12);
    for (int i = 0; i < n; i++)
        CHECK_NEAR(top[i].lift, together_alike(K, E), 0.05);
    together_free(t);
    free(expert);
    free(zero);
    free(accepted);
}

static void bounds(void) {
    struct err e = {{0}};
    CHECK(!together_new(64, 32767, &e));
    CHECK(strstr(e.text, "32767 experts in 64 layers"));
    struct together *t = together_new(64, 2, &e);
    CHECK_INT(together_grow(t, 32767, &e), -1);
    CHECK_INT(together_tokens(t, 63, 0, 1), 0);
    together_free(t);
    CHECK(isnan(together_alike(1, 1)));
    CHECK_NEAR(together_alike(1, 5), 0, 0);
}

int main(void) {
    RUN(brute_force);
    RUN(order);
    RUN(alike);
    RUN(bounds);
    return check_done();
}
