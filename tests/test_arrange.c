/* test_arrange.c - placements that stay even: never worse than EPLB, near the optimum where that
 * can be counted out, better on other traffic where experts go together */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/arrange.h"
#include "lib/route/arrange_impl.h"
#include "lib/route/eplb.h"
#include "tests/check.h"
#include "tests/random.h"

/* Rounding of sums of quotients. */
#define TOLERANCE 1e-9

static struct loads *make_counts(int layers, int experts, int most) {
    struct loads *l = mem_alloc(sizeof *l);
    l->model = (struct routed_model){.layers = layers, .experts = experts, .k = 1};
    l->count = mem_array((size_t)(layers * experts), sizeof *l->count);
    for (int i = 0; i < layers * experts; i++)
        l->count[i] = below(most) * below(most);
    l->count[0]++;
    return l;
}

/* Topics follow each other; a token's experts are its topic's but for one in four. Experts of a
 * topic are i, i + topics, ... after a shuffle by `order`. */
static struct routed_set *make_trace(int64_t tokens, int experts, int k, int topics,
                                     const int *order) {
    struct routed_set *s = mem_alloc(sizeof *s);
    int topic = 0;
    s->model = (struct routed_model){.layers = 1, .experts = experts, .k = k};
    s->tokens = tokens;
    s->expert = mem_array((size_t)tokens * (size_t)k, sizeof *s->expert);
    for (int64_t i = 0; i < tokens; i++) {
        if (below(24) == 0)
            topic = below(topics);
        for (int j = 0; j < k; j++) {
            int e = below(4) ? below(experts / topics) * topics + topic : below(experts);
            s->expert[i * k + j] = (int16_t)order[e];
        }
    }
    return s;
}

static void free_trace(struct routed_set *s) {
    free(s->expert);
    free(s);
}

static double most_of(const struct placement *p, int layer, const double *count) {
    double *rank = mem_array((size_t)p->grid.ranks, sizeof *rank);
    double most = 0;
    placement_rank_loads(p, layer, count, rank);
    for (int r = 0; r < p->grid.ranks; r++)
        most = fmax(most, rank[r]);
    free(rank);
    return most;
}

static int holds_all(const struct placement *p, int layer) {
    int32_t *replicas = mem_array((size_t)p->experts, sizeof *replicas);
    int ok = 1;
    placement_replicas(p, layer, replicas);
    for (int e = 0; e < p->experts; e++)
        ok &= replicas[e] > 0;
    free(replicas);
    return ok;
}

/* ---- never worse -------------------------------------------------------------------------- */

static void compare(const struct traffic *t, const struct placement_grid *grid, int groups,
                    struct par *par) {
    double *count = mem_array((size_t)(t->layers * t->experts), sizeof *count);
    struct placement *eplb = placement_new(t->layers, t->experts, grid);
    struct placement *ours = placement_new(t->layers, t->experts, grid);
    const struct arrange_options o = {.train = t, .groups = groups, .seed = next() >> 1,
                                      .pull = below(2) ? 0.05 : 0};
    for (int i = 0; i < t->layers; i++)
        traffic_count(t, i, count + i * t->experts);
    CHECK_INT(eplb_fill(eplb, count, groups, NULL), 0);
    CHECK_INT(arrange_fill(ours, &o, par, NULL), 0);
    for (int i = 0; i < t->layers; i++) {
        double limit = most_of(eplb, i, count + i * t->experts);
        CHECK(most_of(ours, i, count + i * t->experts) <= limit * (1 + TOLERANCE));
        CHECK(holds_all(ours, i));
    }
    placement_free(eplb);
    placement_free(ours);
    free(count);
}

static void never_worse(void) {
    struct par *par = par_new(2);
    state = 7;
    for (int i = 0; i < 200; i++) {
        int groups = 1 + below(4);
        int experts = groups * (1 + below(6));
        struct placement_grid grid = {.nodes = 1 + below(2)};
        grid.ranks = grid.nodes * (1 + below(4));
        grid.slots = (experts + grid.ranks - 1) / grid.ranks * grid.ranks +
            grid.ranks * below(3);
        struct loads *l = make_counts(1 + below(3), experts, 1 + below(40));
        const struct traffic_part part = {.loads = l};
        struct traffic t = {.part = &part, .parts = 1, .window = 32};
        CHECK_INT(traffic_ready(&t, NULL), 0);
        compare(&t, &grid, groups, par);
        free(l->count);
        free(l);
    }
    par_free(par);
}

static void never_worse_on_traces(void) {
    struct par *par = par_new(1);
    int order[24];
    state = 8;
    for (int i = 0; i < 24; i++)
        order[i] = i;
    for (int i = 0; i < 60; i++) {
        struct routed_set *s = make_trace(1 + below(300), 24, 1 + below(3), 1 + below(4), order);
        const struct placement_grid grid = {.ranks = 4, .nodes = 2, .slots = 24 + 4 * below(4)};
        const struct traffic_part part = {.set = s, .to = s->tokens};
        struct traffic t = {.part = &part, .parts = 1, .window = 1 + below(64), .experts = 24};
        CHECK_INT(traffic_ready(&t, NULL), 0);
        compare(&t, &grid, below(2) ? 4 : 1, par);
        free_trace(s);
    }
    par_free(par);
}

/* ---- the optimum -------------------------------------------------------------------------- */

/* Least possible maximum, by trying every content of the slots in order. */
static double best_most(struct placement *p, int slot, const double *count) {
    if (slot == p->grid.slots)
        return holds_all(p, 0) ? most_of(p, 0, count) : INFINITY;
    double best = INFINITY;
    int room = p->grid.slots / p->grid.ranks;
    int least = slot % room ? p->slot[slot - 1] : 0;    /* the order on a rank does not matter */
    for (int e = least; e < p->experts; e++) {
        p->slot[slot] = e;
        best = fmin(best, best_most(p, slot + 1, count));
    }
    return best;
}

/* Near the optimum always, at it nearly always. */
static void optimum(void) {
    struct par *par = par_new(1);
    const struct placement_grid grid = {.ranks = 3, .nodes = 1, .slots = 6};
    int met = 0;
    int cases = 40;
    state = 9;
    for (int i = 0; i < cases; i++) {
        struct loads *l = make_counts(1, 4 + below(2), 12);
        const struct traffic_part part = {.loads = l};
        struct traffic t = {.part = &part, .parts = 1, .window = 1};
        struct placement *p = placement_new(1, l->model.experts, &grid);
        CHECK_INT(traffic_ready(&t, NULL), 0);
        const struct arrange_options o = {.train = &t, .groups = 1, .seed = 1};
        CHECK_INT(arrange_fill(p, &o, par, NULL), 0);
        double ours = most_of(p, 0, l->count);
        double best = best_most(p, 0, l->count);
        CHECK(ours >= best - TOLERANCE && ours <= best * 1.15 + TOLERANCE);
        met += ours <= best * (1 + TOLERANCE);
        placement_free(p);
        free(l->count);
        free(l);
    }
    CHECK(met >= cases * 8 / 10);
    par_free(par);
}

/* ---- prices ------------------------------------------------------------------------------- */

/* What a move is said to change is what it changes, and cost, counts and products stay in step. */
static void prices(void) {
    enum { EXPERTS = 7, SLOTS = 12, RANKS = 4 };
    double count[EXPERTS], moment[EXPERTS * EXPERTS], together[EXPERTS * EXPERTS];
    int32_t slot[SLOTS];
    state = 10;
    for (int i = 0; i < EXPERTS; i++)
        for (int k = 0; k <= i; k++) {
            moment[i * EXPERTS + k] = moment[k * EXPERTS + i] = below(100) / 50.0;
            together[i * EXPERTS + k] = together[k * EXPERTS + i] = i == k ? 0 : below(9) / 9.0;
        }
    for (int s = 0; s < SLOTS; s++)
        slot[s] = s % EXPERTS;
    for (int i = 0; i < EXPERTS; i++)
        count[i] = below(50);
    struct arrange_layer l = {.experts = EXPERTS, .ranks = RANKS, .nodes = 2, .slots = SLOTS,
                              .count = count, .most = INFINITY, .moment = moment,
                              .together = together, .pull = 0.3, .slot = slot};
    arrange_layer_start(&l);
    for (int i = 0; i < 2000; i++) {
        int s = below(SLOTS);
        int other = below(i % 2 ? SLOTS : EXPERTS);
        double before = arrange_layer_cost(&l);
        double price = i % 2 ? arrange_price_swap(&l, s, other)
                             : arrange_price_replace(&l, s, other);
        if (isinf(price))
            continue;
        if (i % 2)
            arrange_swap(&l, s, other);
        else
            arrange_replace(&l, s, other);
        CHECK_NEAR(arrange_layer_cost(&l) - before, price, TOLERANCE);
    }
    double cost = arrange_layer_cost(&l);
    double most = arrange_layer_most(&l);
    arrange_layer_free(&l);
    arrange_layer_start(&l);
    CHECK_NEAR(arrange_layer_cost(&l), cost, TOLERANCE);
    CHECK_NEAR(arrange_layer_most(&l), most, TOLERANCE);
    arrange_layer_free(&l);
}

/* ---- fitting ------------------------------------------------------------------------------ */

/* Where it says so no rank is above, each expert keeps its replicas, and it mostly gets there. */
static void fits(void) {
    enum { EXPERTS = 24, SLOTS = 32, CASES = 100 };
    double moment[EXPERTS * EXPERTS] = {0};
    double count[EXPERTS];
    int32_t slot[SLOTS], before[EXPERTS];
    int met = 0;
    state = 14;
    for (int i = 0; i < CASES; i++) {
        for (int e = 0; e < EXPERTS; e++)
            count[e] = 50 + below(50);
        for (int s = 0; s < SLOTS; s++)
            slot[s] = s % EXPERTS;
        struct arrange_layer l = {.experts = EXPERTS, .ranks = 4, .nodes = 1, .slots = SLOTS,
                                  .count = count, .most = INFINITY, .moment = moment,
                                  .slot = slot};
        double sum = 0;
        arrange_layer_start(&l);
        memcpy(before, l.replicas, sizeof before);
        for (int r = 0; r < 4; r++)
            sum += l.rank_count[r];
        double most = sum / 4 * (1 + below(50) / 1000.0);
        int got = arrange_fit(&l, most);
        CHECK_INT(got, arrange_layer_most(&l) <= most * (1 + TOLERANCE));
        CHECK(!memcmp(before, l.replicas, sizeof before));
        met += got;
        arrange_layer_free(&l);
    }
    CHECK(met >= CASES / 2 && met < CASES);
}

/* ---- traffic that was not seen ------------------------------------------------------------ */

static double held_out(const struct placement *p, const struct traffic *t) {
    struct traffic_measure m;
    traffic_measure(t, p, 0, &m, NULL);
    return m.excess;
}

static void gains_on_other_traffic(void) {
    enum { EXPERTS = 64, RUNS = 10 };
    struct par *par = par_new(2);
    const struct placement_grid grid = {.ranks = 8, .nodes = 1, .slots = 72};
    int order[EXPERTS];
    double ours = 0;
    double theirs = 0;
    state = 11;
    for (int i = 0; i < RUNS; i++) {
        for (int e = 0; e < EXPERTS; e++) {
            int at = below(e + 1);
            order[e] = order[at];
            order[at] = e;
        }
        struct routed_set *s = make_trace(4000, EXPERTS, 4, 8, order);
        const struct traffic_part part[] = {{.set = s, .to = 2000},
                                            {.set = s, .from = 2000, .to = 4000}};
        struct traffic train = {.part = part, .parts = 1, .window = 32, .experts = EXPERTS};
        struct traffic other = {.part = part + 1, .parts = 1, .window = 32, .experts = EXPERTS};
        double count[EXPERTS];
        struct placement *p = placement_new(1, EXPERTS, &grid);
        CHECK_INT(traffic_ready(&train, NULL) | traffic_ready(&other, NULL), 0);
        traffic_count(&train, 0, count);
        CHECK_INT(eplb_fill(p, count, 1, NULL), 0);
        theirs += held_out(p, &other);
        const struct arrange_options o = {.train = &train, .groups = 1, .seed = 1};
        CHECK_INT(arrange_fill(p, &o, par, NULL), 0);
        ours += held_out(p, &other);
        placement_free(p);
        free_trace(s);
    }
    CHECK(ours < 0.75 * theirs);
    par_free(par);
}

/* ---- a few moves -------------------------------------------------------------------------- */

static void improves_within_bounds(void) {
    enum { EXPERTS = 24 };
    struct par *par = par_new(2);
    const struct placement_grid grid = {.ranks = 4, .nodes = 1, .slots = 28};
    int order[EXPERTS];
    double before = INFINITY;
    state = 12;
    for (int e = 0; e < EXPERTS; e++)
        order[e] = e;
    struct routed_set *s = make_trace(2000, EXPERTS, 3, 6, order);
    const struct traffic_part part = {.set = s, .to = s->tokens};
    struct traffic t = {.part = &part, .parts = 1, .window = 32, .experts = EXPERTS};
    CHECK_INT(traffic_ready(&t, NULL), 0);
    const struct arrange_options o = {.train = &t, .groups = 1};
    for (int most = 0; most < 12; most++) {
        struct placement *from = placement_identity(1, EXPERTS, &grid);
        struct placement *p = placement_copy(from);
        int64_t used = arrange_improve(p, &o, most, par);
        int changed = 0;
        for (int i = 0; i < grid.slots; i++)
            changed += p->slot[i] != from->slot[i];
        CHECK(used <= most && changed <= used);
        CHECK(holds_all(p, 0));
        CHECK(held_out(p, &t) <= before + 0.02);
        before = held_out(p, &t);
        placement_free(from);
        placement_free(p);
    }
    struct placement *identity = placement_identity(1, EXPERTS, &grid);
    CHECK(before < 0.9 * held_out(identity, &t));
    placement_free(identity);
    free_trace(s);
    par_free(par);
}

static void threads_do_not_matter(void) {
    const struct placement_grid grid = {.ranks = 4, .nodes = 2, .slots = 32};
    state = 13;
    struct loads *l = make_counts(5, 24, 30);
    const struct traffic_part part = {.loads = l};
    struct traffic t = {.part = &part, .parts = 1, .window = 1};
    CHECK_INT(traffic_ready(&t, NULL), 0);
    const struct arrange_options o = {.train = &t, .groups = 1, .seed = 3};
    struct placement *p[2];
    for (int i = 0; i < 2; i++) {
        struct par *par = par_new(1 + 2 * i);
        p[i] = placement_new(5, 24, &grid);
        CHECK_INT(arrange_fill(p[i], &o, par, NULL), 0);
        par_free(par);
    }
    CHECK(!memcmp(p[0]->slot, p[1]->slot, 5 * 32 * sizeof *p[0]->slot));
    placement_free(p[0]);
    placement_free(p[1]);
    free(l->count);
    free(l);
}

int main(void) {
    RUN(never_worse);
    RUN(never_worse_on_traces);
    RUN(optimum);
    RUN(prices);
    RUN(fits);
    RUN(gains_on_other_traffic);
    RUN(improves_within_bounds);
    RUN(threads_do_not_matter);
    return check_done();
}
