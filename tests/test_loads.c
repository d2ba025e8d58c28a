/* test_loads.c - lib/route/loads: tokens against counting one by one, tables as they are */
#include "lib/route/loads.h"

#include "tests/check.h"
#include "tests/routed_write.h"

/* Tokens [from, to) counted one by one: [layers][experts]. */
static double *count_plainly(const struct truth *t, int from, int to, int experts) {
    double *count = mem_array((size_t)(t->layers * experts), sizeof *count);
    for (int i = from; i < to; i++)
        for (int l = 0; l < t->layers; l++)
            for (int j = 0; j < t->k; j++)
                count[l * experts + t->expert[(i * t->layers + l) * t->k + j]]++;
    return count;
}

static int largest(const struct truth *t) {
    int most = 0;
    for (int i = 0; i < t->tokens * t->layers * t->k; i++)
        most = t->expert[i] > most ? t->expert[i] : most;
    return most;
}

static void check_counts(const struct loads *l, const struct truth *t, int from, int to,
                         int experts) {
    double *want = count_plainly(t, from, to, experts);
    CHECK_INT(l->model.layers, t->layers);
    CHECK_INT(l->model.experts, experts);
    CHECK_INT(l->tokens, to - from);
    if (l->model.experts == experts)
        CHECK(!memcmp(l->count, want, (size_t)(t->layers * experts) * sizeof *want));
    free(want);
}

/* Where nobody says how many experts there are, the room for counts grows with them. */
static void counts_of_all_forms(void) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct truth t = truth_random(seed);
        for (int form = 0; form < FORMS; form++) {
            struct err err = {{0}};
            struct shape shape = truth_shape(&t);
            const struct routed_options opt = {.shape = form == FORM_PLAIN64 ? &shape : NULL};
            int known = form <= FORM_CSV || form == FORM_PLAIN64;
            char *path = write_routed(&t, (enum form)form);
            struct loads *l = loads_read(path, &opt, &err);
            CHECK_STR(err.text, "");
            if (l)
                check_counts(l, &t, 0, t.tokens, known ? t.experts : largest(&t) + 1);
            loads_free(l);
            truth_shape_free(&shape);
            free(path);
        }
        truth_free(&t);
    }
}

static void counts_of_parts(void) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct truth t = truth_random(seed);
        struct err err = {{0}};
        char *path = write_routed(&t, FORM_CSV);
        struct routed_set *s = routed_read(path, &(struct routed_options){0}, &err);
        int from = below(t.tokens);
        int to = from + below(t.tokens - from + 1);
        struct loads *l = loads_of(s, from, to);
        check_counts(l, &t, from, to, t.experts);
        CHECK_NEAR(l->model.expert_bytes[0], 10, 0);
        loads_free(l);
        routed_set_free(s);
        truth_free(&t);
        free(path);
    }
}

/* -1 is no expert; nothing used at all is no error. */
static void nothing_is_counted_as_nothing(void) {
    struct err err = {{0}};
    char *path = scratch_path("none.jsonl");
    scratch_write(path, "{\"routed_experts\":[[[-1,2],[-1,-1]]]}\n", 38);
    struct loads *l = loads_read(path, &(struct routed_options){0}, &err);
    CHECK(l && l->model.experts == 3 && l->tokens == 1);
    for (int i = 0; l && i < 6; i++)
        CHECK_NEAR(l->count[i], i == 2, 0);
    loads_free(l);
    const char *where = "request=5";
    const struct routed_options opt = {.where = &where, .wheres = 1, .experts = 4};
    l = loads_read(path, &opt, &err);
    CHECK(l && l->tokens == 0 && l->model.experts == 4);
    for (int i = 0; l && i < 8; i++)
        CHECK_NEAR(l->count[i], 0, 0);
    loads_free(l);
    CHECK(!loads_read("/nonexistent", &opt, &err));
    CHECK(strstr(err.text, "No such file"));
    free(path);
}

static void counts_of_a_table(void) {
    struct err err = {{0}};
    char *path = scratch_path("table.csv");
    static const char text[] = "layer,expert,count\n3,1,2.5\n3,1,1\n8,0,4\n";
    scratch_write(path, text, sizeof text - 1);
    struct loads *l = loads_read(path, &(struct routed_options){0}, &err);
    CHECK_STR(err.text, "");
    if (l) {
        CHECK_INT(l->tokens, 0);
        CHECK_INT(l->model.layer_index[1], 8);
        CHECK_NEAR(l->count[1], 3.5, 0);
        CHECK_NEAR(l->count[2], 4, 0);
    }
    loads_free(l);
    free(path);
}

int main(void) {
    RUN(counts_of_all_forms);
    RUN(counts_of_parts);
    RUN(nothing_is_counted_as_nothing);
    RUN(counts_of_a_table);
    scratch_remove();
    return check_done();
}
