/* test_eplb.c - lib/route/eplb: the published example, and the published code's answers
 *
 * tests/reference/eplb.tsv holds hashes of what that code answered, by tests/reference/eplb.py, on
 * the inputs that make_counts makes.
 */
#include "tests/check.h"
#include "tests/random.h"

#include <inttypes.h>
#include <math.h>

#include "lib/base/mem.h"
#include "lib/route/eplb.h"
#include "lib/route/introsort.h"

/* ---- the published example ---------------------------------------------------------------- */

static const double example[2][12] = {{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86},
                                      {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}};

static void check_numbers(const int32_t *x, int n, const char *want) {
    char text[512] = "";
    for (int i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", i ? " " : "", x[i]);
    CHECK_STR(text, want);
}

static double max_over_mean(const struct placement *p, int layer) {
    double rank[8];
    double sum = 0;
    double most = 0;
    placement_rank_loads(p, layer, example[layer], rank);
    for (int r = 0; r < 8; r++) {
        sum += rank[r];
        most = fmax(most, rank[r]);
    }
    return most / (sum / 8);
}

static void check_example(int groups, const char *first, const char *second, double a, double b) {
    struct placement *p = placement_new(2, 12, &(struct placement_grid){8, 2, 16});
    CHECK_INT(eplb_fill(p, example[0], groups, NULL), 0);
    check_numbers(placement_layer(p, 0), 16, first);
    check_numbers(placement_layer(p, 1), 16, second);
    CHECK_NEAR(max_over_mean(p, 0), a, 5e-5);
    CHECK_NEAR(max_over_mean(p, 1), b, 5e-5);
    placement_free(p);
}

/* The README of deepseek-ai/EPLB. */
static void example_by_nodes(void) {
    check_example(4, "5 6 5 7 8 4 3 4 10 9 10 2 0 1 11 1", "7 10 6 8 6 11 8 9 2 4 5 1 5 0 3 1",
                  1.2081, 1.2422);
}

static void example_global(void) {
    check_example(1, "10 6 10 7 0 2 11 4 5 9 5 4 8 3 1 1", "1 10 2 4 5 11 5 0 6 7 6 3 8 8 9 7",
                  1.0726, 1.1903);
}

static void example_replicas(void) {
    struct placement *p = placement_new(1, 12, &(struct placement_grid){8, 2, 16});
    int most;
    CHECK_INT(eplb_fill(p, example[0], 4, NULL), 0);
    int32_t *at = placement_logical(p, &most);
    CHECK_INT(most, 2);
    check_numbers(at, 24, "12 -1 15 13 11 -1 6 -1 7 5 0 2 1 -1 3 -1 4 -1 9 -1 8 10 14 -1");
    free(at);
    placement_free(p);
}

/* ---- the published code's answers ---------------------------------------------------------- */

struct shape_of {
    char kind[16];
    uint64_t seed;
    int layers, experts, ranks, nodes, slots, groups;
    uint64_t hash;
};

/* x * x / 2^20 without its fraction. */
static double square(int x) {
    return (double)((int64_t)x * x >> 20);
}

/* The same as counts in eplb.py. */
static void make_layer(const struct shape_of *s, double *row) {
    int size = s->experts / s->groups;
    uint64_t *base = mem_array((size_t)size, sizeof *base);
    if (!strcmp(s->kind, "turned"))
        for (int i = 0; i < size; i++)
            base[i] = next() >> 34;
    for (int e = 0; e < s->experts; e++) {
        if (!strcmp(s->kind, "uniform"))
            row[e] = below(1000);
        else if (!strcmp(s->kind, "few"))
            row[e] = below(3);
        else if (!strcmp(s->kind, "powers"))
            row[e] = ldexp(1, below(53));
        else if (!strcmp(s->kind, "large"))
            row[e] = (double)(next() >> 11);
        else if (!strcmp(s->kind, "skewed"))
            row[e] = square(1 + below(1 << 20));
        else if (!strcmp(s->kind, "pipe"))
            row[e] = e < s->experts - e ? e : s->experts - e;
        else
            row[e] = (double)base[(e + e / size) % size];
    }
    free(base);
}

static double *make_counts(const struct shape_of *s) {
    size_t experts = (size_t)s->experts;
    double *count = mem_array((size_t)s->layers * experts, sizeof *count);
    state = s->seed;
    for (int i = 0; i < s->layers; i++)
        make_layer(s, count + (size_t)i * experts);
    return count;
}

static uint64_t add_hash(uint64_t h, const int32_t *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (int shift = 0; shift < 32; shift += 8)
            h = (h ^ ((uint32_t)x[i] >> shift & 0xFF)) * 0x100000001B3u;
    return h;
}

static uint64_t hash_of(const struct placement *p) {
    int most;
    size_t layers = (size_t)p->layers;
    size_t experts = (size_t)p->experts;
    int32_t *at = placement_logical(p, &most);
    int32_t *count = mem_array(experts, sizeof *count);
    uint64_t h = add_hash(0xCBF29CE484222325u, p->slot, layers * (size_t)p->grid.slots);
    h = add_hash(h, at, layers * experts * (size_t)most);
    for (int i = 0; i < p->layers; i++) {
        placement_replicas(p, i, count);
        h = add_hash(h, count, experts);
    }
    free(at);
    free(count);
    return h;
}

static void check_answer(const struct shape_of *s) {
    struct placement_grid grid = {s->ranks, s->nodes, s->slots};
    struct placement *p = placement_new(s->layers, s->experts, &grid);
    double *count = make_counts(s);
    struct err err = {{0}};
    CHECK_INT(eplb_fill(p, count, s->groups, &err), 0);
    CHECK_STR(err.text, "");
    if (hash_of(p) != s->hash) {
        printf("# %s %d %d ranks %d nodes %d slots %d groups %d: another answer\n", s->kind,
               s->layers, s->experts, s->ranks, s->nodes, s->slots, s->groups);
        CHECK(hash_of(p) == s->hash);
    }
    free(count);
    placement_free(p);
}

static void published_answers(void) {
    char line[256];
    int rows = 0;
    FILE *f = fopen("tests/reference/eplb.tsv", "r");
    if (!f)
        SKIP("no tests/reference/eplb.tsv: not run from the top of the tree");
    while (fgets(line, sizeof line, f)) {
        struct shape_of s;
        if (sscanf(line, "%15s %" SCNu64 " %d %d %d %d %d %d %" SCNx64, s.kind, &s.seed, &s.layers,
                   &s.experts, &s.ranks, &s.nodes, &s.slots, &s.groups, &s.hash) != 9)
            continue;
        check_answer(&s);
        rows++;
    }
    fclose(f);
    CHECK_INT(rows, 255);
}

/* ---- sorting ------------------------------------------------------------------------------ */

/* Sorted, every element once; small inputs are sorted stably. Which order equals have where there
 * are more is seen in the published answers. */
static void sorts(void) {
    static uint64_t x[700];
    static char seen[700];
    state = 5;
    for (int round = 0; round < 2000; round++) {
        int n = below(round % 2 ? 17 : 700);
        int range = 1 + below(below(2) ? 4 : 1000);
        for (int i = 0; i < n; i++) {
            int key = round % 3 ? below(range) : i * range % (n + 1);
            x[i] = (uint64_t)key << 32 | (uint32_t)i;
        }
        memset(seen, 0, sizeof seen);
        introsort(x, n);
        for (int i = 0; i < n; i++) {
            CHECK(!i || x[i - 1] >> 32 <= x[i] >> 32);
            CHECK(n > 16 || !i || x[i - 1] < x[i]);
            CHECK(!seen[(uint32_t)x[i]]++);
        }
    }
}

/* ---- the bad day -------------------------------------------------------------------------- */

static void check_refusal(int groups, double last, const char *want) {
    struct placement *p = placement_new(1, 12, &(struct placement_grid){8, 2, 16});
    struct err err = {{0}};
    double count[12];
    memcpy(count, example[0], sizeof count);
    count[11] = last;
    CHECK_INT(eplb_fill(p, count, groups, &err), *want ? -1 : 0);
    CHECK_STR(err.text, want);
    placement_free(p);
}

static void refusals(void) {
    check_refusal(8, 86, "8 groups of 12 experts: each has as many");
    check_refusal(0, 86, "0 groups of 12 experts: each has as many");
    check_refusal(5, 86, "");           /* 2 nodes do not divide 5: groups are not looked at */
    check_refusal(4, -1, "layer 0 expert 11: count -1: at least 0 and finite");
    check_refusal(4, NAN, "layer 0 expert 11: count nan: at least 0 and finite");
    check_refusal(4, INFINITY, "layer 0 expert 11: count inf: at least 0 and finite");
    check_refusal(4, 1e300, "");        /* infinite as a float: still a plan */
    check_refusal(4, -0.0, "");
}

static void smallest(void) {
    struct placement *p = placement_new(1, 1, &(struct placement_grid){1, 1, 1});
    double count = 0;
    CHECK_INT(eplb_fill(p, &count, 1, NULL), 0);
    CHECK(p->slot[0] == 0 && p->replica[0] == 0);
    placement_free(p);
    p = placement_new(1, 1, &(struct placement_grid){4, 2, 8});
    CHECK_INT(eplb_fill(p, &count, 1, NULL), 0);
    check_numbers(p->slot, 8, "0 0 0 0 0 0 0 0");
    check_numbers(p->replica, 8, "0 1 2 3 4 5 6 7");
    placement_free(p);
}

int main(void) {
    RUN(example_by_nodes);
    RUN(example_global);
    RUN(example_replicas);
    RUN(published_answers);
    RUN(sorts);
    RUN(refusals);
    RUN(smallest);
    return check_done();
}
