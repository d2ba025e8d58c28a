/* test_eplb.c - lib/route/eplb: the published example, both ways */
#include "tests/check.h"

#include "lib/route/eplb.h"

static const double example[2][12] = {{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86},
                                      {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}};

static void check_example(int groups, const char *const want[2]) {
    struct placement *p = placement_new(2, 12, &(struct placement_grid){8, 2, 16});
    CHECK_INT(eplb_fill(p, example[0], groups, NULL), 0);
    for (int i = 0; i < 2; i++) {
        char text[256] = "";
        for (int s = 0; s < 16; s++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", s ? " " : "",
                     placement_layer(p, i)[s]);
        CHECK_STR(text, want[i]);
    }
    placement_free(p);
}

/* The README of deepseek-ai/EPLB. */
static void example_by_nodes(void) {
    check_example(4, (const char *const[]){"5 6 5 7 8 4 3 4 10 9 10 2 0 1 11 1",
                                           "7 10 6 8 6 11 8 9 2 4 5 1 5 0 3 1"});
}

static void example_global(void) {
    check_example(1, (const char *const[]){"10 6 10 7 0 2 11 4 5 9 5 4 8 3 1 1",
                                           "1 10 2 4 5 11 5 0 6 7 6 3 8 8 9 7"});
}

int main(void) {
    RUN(example_by_nodes);
    RUN(example_global);
    return check_done();
}
