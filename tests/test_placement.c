/* test_placement.c - lib/route/placement and assign: small cases by hand, and brute force */
#include "tests/check.h"
#include "tests/random.h"

#include "lib/base/mem.h"
#include "lib/route/assign.h"
#include "lib/route/placement.h"

/* ---- grids, loads, replicas --------------------------------------------------------------- */

static void check_grid(int ranks, int nodes, int slots, int experts, const char *want) {
    struct err err = {{0}};
    struct placement_grid g = {ranks, nodes, slots};
    CHECK_INT(placement_grid_check(&g, experts, &err), *want ? -1 : 0);
    CHECK_STR(err.text, want);
}

static void grids(void) {
    check_grid(8, 2, 16, 12, "");
    check_grid(1, 1, 1, 1, "");
    check_grid(8, 3, 16, 12, "8 ranks on 3 nodes: each node has as many");
    check_grid(8, 2, 15, 12, "15 slots on 8 ranks: each rank has as many");
    check_grid(8, 2, 8, 12, "8 slots for 12 experts: each needs one");
    check_grid(0, 1, 8, 8, "0 ranks, 1 nodes, 8 slots, 8 experts: at least one of each");
    check_grid(8192, 1, 8192, 8, "8192 ranks, 8192 slots: at most 4096 and 1048576");
}

static void identity(void) {
    static const double count[] = {6, 9, 12};
    struct placement *p = placement_identity(2, 3, &(struct placement_grid){2, 1, 4});
    int32_t replicas[3];
    double rank[2];
    int most;
    CHECK(!memcmp(placement_layer(p, 1), (int32_t[]){0, 1, 2, 0}, 4 * sizeof(int32_t)));
    placement_replicas(p, 1, replicas);
    CHECK(replicas[0] == 2 && replicas[1] == 1 && replicas[2] == 1);
    placement_rank_loads(p, 1, count, rank);
    CHECK(rank[0] == 12 && rank[1] == 15);
    int32_t *at = placement_logical(p, &most);
    CHECK_INT(most, 2);
    CHECK(!memcmp(at + 6, (int32_t[]){0, 3, 1, -1, 2, -1}, 6 * sizeof *at));
    free(at);
    placement_free(p);
}

/* Numbers of replicas decide, until slots were changed. */
static void numbered(void) {
    static int32_t number[] = {1, 0, 0, 0};
    int most;
    struct placement *p = placement_identity(1, 3, &(struct placement_grid){2, 1, 4});
    p->replica = mem_array(4, sizeof *p->replica);
    memcpy(p->replica, number, sizeof number);
    int32_t *at = placement_logical(p, &most);
    CHECK(!memcmp(at, (int32_t[]){3, 0, 1, -1, 2, -1}, 6 * sizeof *at));
    free(at);
    p->slot[3] = 1;
    at = placement_logical(p, &most);
    CHECK(!memcmp(at, (int32_t[]){0, -1, 1, 3, 2, -1}, 6 * sizeof *at));
    free(at);
    placement_free(p);
}

static void takes_layers(void) {
    struct err err;
    struct placement *p = placement_identity(3, 2, &(struct placement_grid){2, 1, 2});
    p->layer_index[0] = 3;
    p->layer_index[1] = 4;
    p->layer_index[2] = 9;
    placement_layer(p, 2)[0] = 1;
    placement_layer(p, 2)[1] = 0;
    struct placement *q = placement_take(p, (int32_t[]){9, 3}, 2, &err);
    CHECK(q && q->layers == 2 && q->layer_index[0] == 9 && q->slot[0] == 1 && q->slot[2] == 0);
    CHECK(!placement_take(p, (int32_t[]){9, 5}, 2, &err));
    CHECK_STR(err.text, "the placement has no layer 5");
    placement_free(q);
    p->counted = 1;                     /* as many as are wanted: as they come */
    CHECK((q = placement_take(p, (int32_t[]){1, 2, 5}, 3, &err)));
    CHECK(q->layer_index[2] == 5 && !memcmp(q->slot, p->slot, 6 * sizeof *q->slot));
    placement_free(q);
    CHECK(!placement_take(p, (int32_t[]){1, 5}, 2, &err));
    placement_free(p);
}

/* ---- assignments -------------------------------------------------------------------------- */

/* The next permutation in lexicographic order; 0 after the last. */
static int next_order(int *x, int n) {
    int i = n - 2;
    int j = n - 1;
    while (i >= 0 && x[i] > x[i + 1])
        i--;
    if (i < 0)
        return 0;
    while (x[j] < x[i])
        j--;
    int t = x[i];
    x[i] = x[j];
    x[j] = t;
    for (int a = i + 1, b = n - 1; a < b; a++, b--) {
        t = x[a];
        x[a] = x[b];
        x[b] = t;
    }
    return 1;
}

static int64_t cost_of(const int64_t *cost, int n, const int *job) {
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += cost[i * n + job[i]];
    return sum;
}

static void assignments(void) {
    state = 1;
    for (int round = 0; round < 3000; round++) {
        int n = 1 + below(6);
        int range = below(2) ? 5 : 1000000;
        int64_t cost[36];
        int order[] = {0, 1, 2, 3, 4, 5};
        int32_t job[6];
        int used = 0;
        for (int i = 0; i < n * n; i++)
            cost[i] = below(range) - range / 2;
        int64_t least = cost_of(cost, n, order);
        while (next_order(order, n))
            least = cost_of(cost, n, order) < least ? cost_of(cost, n, order) : least;
        CHECK_INT(assign_least(cost, n, job), least);
        for (int i = 0; i < n; i++) {
            order[i] = job[i];
            used |= 1 << job[i];
        }
        CHECK(used == (1 << n) - 1);
        CHECK_INT(cost_of(cost, n, order), least);
    }
}

/* ---- moves -------------------------------------------------------------------------------- */

static struct placement *make_random(int layers, int experts, const struct placement_grid *g) {
    struct placement *p = placement_identity(layers, experts, g);
    p->replica = mem_array((size_t)layers * (size_t)g->slots, sizeof *p->replica);
    for (int i = 0; i < layers; i++) {
        int32_t *slot = placement_layer(p, i);
        for (int s = experts; s < g->slots; s++)
            slot[s] = below(experts);
        for (int s = g->slots - 1; s > 0; s--) {
            int other = below(s + 1);
            int32_t t = slot[s];
            slot[s] = slot[other];
            slot[other] = t;
        }
        for (int s = 0; s < g->slots; s++)
            for (int before = 0; before < s; before++)
                p->replica[i * g->slots + s] += slot[before] == slot[s];
    }
    return p;
}

static void moves_by_hand(void) {
    struct placement_grid g = {4, 2, 8};
    struct placement *from = placement_identity(2, 6, &g);      /* 01 23 45 01 */
    struct placement *to = placement_identity(2, 6, &g);
    static const int32_t slots[] = {1, 0, 4, 4, 5, 2, 3, 0};    /* 10 44 52 30 */
    static const double bytes[] = {10, 1000};
    int64_t layer[2];
    memcpy(placement_layer(to, 1), slots, sizeof slots);
    struct placement_moves m = placement_moves(from, to, bytes, layer);
    CHECK_INT(m.slots, 3);              /* 4 once though it is there twice; 2; 3 */
    CHECK_INT(m.far, 3);
    CHECK(m.bytes == 3000 && m.far_bytes == 3000);
    CHECK(layer[0] == 0 && layer[1] == 3);
    placement_layer(to, 1)[2] = 0;      /* rank 0 has it */
    m = placement_moves(from, to, NULL, NULL);
    CHECK(m.slots == 4 && m.far == 3 && m.bytes == 0);
    placement_free(from);
    placement_free(to);
}

static struct placement *renumbered(const struct placement *p, const int *rank) {
    struct placement *q = placement_copy(p);
    int each = p->grid.slots / p->grid.ranks;
    for (int r = 0; r < p->grid.ranks; r++)
        memcpy(q->slot + rank[r] * each, p->slot + r * each, (size_t)each * sizeof *p->slot);
    return q;
}

static int keeps_nodes(const int *rank, const struct placement_grid *g) {
    int each = g->ranks / g->nodes;
    for (int r = 0; r < g->ranks; r++)
        if (rank[r] / each != rank[r / each * each] / each)
            return 0;
    return 1;
}

static int compare(struct placement_moves a, struct placement_moves b) {
    if (a.slots != b.slots)
        return a.slots < b.slots ? -1 : 1;
    return (a.far > b.far) - (a.far < b.far);
}

static struct placement_moves best_moves(const struct placement *from,
                                         const struct placement *to) {
    struct placement_moves best = placement_moves(from, to, NULL, NULL);
    int rank[] = {0, 1, 2, 3, 4, 5};
    while (next_order(rank, to->grid.ranks)) {
        if (!keeps_nodes(rank, &to->grid))
            continue;
        struct placement *p = renumbered(to, rank);
        struct placement_moves m = placement_moves(from, p, NULL, NULL);
        if (compare(m, best) < 0)
            best = m;
        placement_free(p);
    }
    return best;
}

static int as_numbers(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The loads of ranks and, in turn, of nodes are the same in another order. */
static void check_loads(const struct placement *p, const struct placement *q) {
    double count[12];
    double a[6];
    double b[6];
    for (int e = 0; e < p->experts; e++)
        count[e] = 1 << e;
    placement_rank_loads(p, 0, count, a);
    placement_rank_loads(q, 0, count, b);
    qsort(a, (size_t)p->grid.ranks, sizeof *a, as_numbers);
    qsort(b, (size_t)p->grid.ranks, sizeof *b, as_numbers);
    for (int r = 0; r < p->grid.ranks; r++)
        CHECK_NEAR(a[r], b[r], 1e-9);
}

/* Numbered replicas go along with their slots: each expert still has each number once. */
static void check_numbers(const struct placement *p) {
    for (int s = 0; s < p->grid.slots; s++)
        for (int t = 0; t < s; t++)
            CHECK(p->slot[s] != p->slot[t] || p->replica[s] != p->replica[t]);
}

/* An expert that was on the rank and still is keeps its slot, unless it is there more than once. */
static void check_slots(const struct placement *from, const struct placement *to) {
    int each = to->grid.slots / to->grid.ranks;
    for (int r = 0; r < to->grid.ranks; r++)
        for (int s = r * each; s < (r + 1) * each; s++) {
            int stays = 0;
            for (int t = r * each; t < (r + 1) * each; t++)
                stays |= to->slot[t] == from->slot[s];
            int twice = 0;
            for (int t = r * each; t < (r + 1) * each; t++)
                twice += from->slot[t] == from->slot[s];
            CHECK(!stays || twice > 1 || to->slot[s] == from->slot[s]);
        }
}

static void match_is_best(void) {
    static const struct placement_grid grids[] = {{4, 2, 12}, {6, 2, 12}, {6, 3, 12}, {5, 1, 10},
                                                  {4, 4, 8}, {1, 1, 12}, {6, 2, 6}};
    state = 7;
    for (int round = 0; round < 210; round++) {
        const struct placement_grid *g = &grids[round % 7];
        int experts = 1 + below(g->slots);
        struct placement *from = make_random(1, experts, g);
        struct placement *to = make_random(1, experts, g);
        struct placement *was = placement_copy(to);
        struct placement_moves best = best_moves(from, to);
        placement_match(from, to);
        CHECK(!compare(placement_moves(from, to, NULL, NULL), best));
        check_loads(was, to);
        check_numbers(to);
        check_slots(from, to);
        placement_free(from);
        placement_free(to);
        placement_free(was);
    }
}

/* A placement whose nodes, ranks and slots were shuffled comes back. */
static void match_undoes(void) {
    struct placement_grid g = {32, 4, 320};
    struct placement *from = placement_identity(3, 256, &g);
    struct placement *to = placement_copy(from);
    for (int i = 0; i < 3; i++) {
        for (int r = 0; r < 32; r++) {
            int other = ((r / 8 + i) % 4) * 8 + (r * 3 + i) % 8;
            for (int s = 0; s < 10; s++)
                placement_layer(to, i)[other * 10 + (s * 3 + r) % 10] =
                    placement_layer(from, i)[r * 10 + s];
        }
    }
    CHECK(placement_moves(from, to, NULL, NULL).slots > 800);
    placement_match(from, to);
    CHECK(!memcmp(from->slot, to->slot, 3 * 320 * sizeof *to->slot));
    placement_free(from);
    placement_free(to);
}

/* More slots than before, and others that cannot be compared. */
static void other_shapes(void) {
    struct err err;
    struct placement *from = placement_identity(1, 8, &(struct placement_grid){4, 2, 8});
    struct placement *to = placement_identity(1, 8, &(struct placement_grid){4, 2, 12});
    CHECK_INT(placement_comparable(from, to, &err), 0);
    placement_match(from, to);          /* 01 23 45 67 to 012 345 670 123 */
    struct placement_moves m = placement_moves(from, to, NULL, NULL);
    CHECK_INT(m.slots, 7);
    struct placement *other = placement_identity(1, 8, &(struct placement_grid){2, 1, 8});
    CHECK_INT(placement_comparable(from, other, &err), -1);
    CHECK_STR(err.text, "4 ranks on 2 nodes against 2 on 1");
    placement_free(from);
    placement_free(to);
    placement_free(other);
}

int main(void) {
    RUN(grids);
    RUN(identity);
    RUN(numbered);
    RUN(takes_layers);
    RUN(assignments);
    RUN(moves_by_hand);
    RUN(match_is_best);
    RUN(match_undoes);
    RUN(other_shapes);
    return check_done();
}
