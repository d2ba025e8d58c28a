/* test_placement_json.c - lib/route/placement_json: the forms to the letter, round trips, and what
 * is refused and why
 */
#include "tests/check.h"
#include "tests/random.h"
#include "tests/scratch.h"

#include "lib/base/mem.h"
#include "lib/route/eplb.h"
#include "lib/route/placement_json.h"

/* Layers 1 and 3 of a model of five: 3 experts on 2 ranks with 2 slots each. */
static struct placement *make_small(void) {
    static const int32_t slots[] = {2, 0, 1, 2, 1, 1, 2, 0};
    static const int32_t numbers[] = {1, 0, 0, 0, 0, 1, 0, 0};
    struct placement *p = placement_new(2, 3, &(struct placement_grid){2, 1, 4});
    p->layer_index[0] = 1;
    p->layer_index[1] = 3;
    memcpy(p->slot, slots, sizeof slots);
    p->replica = mem_array(8, sizeof *p->replica);
    memcpy(p->replica, numbers, sizeof numbers);
    return p;
}

static void check_form(enum placement_form form, int model_layers, const char *want) {
    struct placement *p = make_small();
    struct buf text = {0};
    placement_text(p, form, model_layers, &text);
    CHECK_STR(text.data, want);
    buf_free(&text);
    placement_free(p);
}

static void forms(void) {
    check_form(PLACEMENT_FULL, 0,
               "{\"physical_to_logical_map\":[[2,0,1,2],[1,1,2,0]],"
               "\"logical_to_physical_map\":[[[1,-1],[2,-1],[3,0]],[[3,-1],[0,1],[2,-1]]],"
               "\"logical_replica_count\":[[1,1,2],[1,2,1]],\"layer_index\":[1,3],"
               "\"experts\":3,\"ranks\":2,\"nodes\":1}");
    check_form(PLACEMENT_SGLANG, 5,
               "{\"physical_to_logical_map\":[[0,1,2,0],[2,0,1,2],[0,1,2,0],[1,1,2,0],"
               "[0,1,2,0]]}");
    check_form(PLACEMENT_SGLANG, 0,
               "{\"physical_to_logical_map\":[[0,1,2,0],[2,0,1,2],[0,1,2,0],[1,1,2,0]]}");
    check_form(PLACEMENT_VLLM, 0, "[[2,0,1,2],[1,1,2,0]]");
    check_form(PLACEMENT_VLLM_ASCEND, 0,
               "{\"moe_layer_count\":2,\"layer_list\":[{\"layer_id\":0,\"device_count\":2,"
               "\"device_list\":[{\"device_id\":0,\"device_expert\":[2,0]},"
               "{\"device_id\":1,\"device_expert\":[1,2]}]},{\"layer_id\":1,\"device_count\":2,"
               "\"device_list\":[{\"device_id\":0,\"device_expert\":[1,1]},"
               "{\"device_id\":1,\"device_expert\":[2,0]}]}]}");
}

/* ---- reading back ------------------------------------------------------------------------- */

static char *path;

static struct placement *read_text(const char *text, const struct placement_grid *grid,
                                   int experts, struct err *err) {
    scratch_write(path, text, strlen(text));
    return placement_read(path, grid, experts, err);
}

static void check_same(const struct placement *p, const struct placement *q) {
    int a;
    int b;
    int32_t *x = placement_logical(p, &a);
    int32_t *y = placement_logical(q, &b);
    CHECK(!memcmp(&p->grid, &q->grid, sizeof p->grid));
    CHECK_INT(q->layers, p->layers);
    CHECK_INT(q->experts, p->experts);
    CHECK(!memcmp(p->layer_index, q->layer_index, (size_t)p->layers * sizeof(int32_t)));
    CHECK(!memcmp(p->slot, q->slot, (size_t)p->layers * (size_t)p->grid.slots * sizeof(int32_t)));
    CHECK(a == b && !memcmp(x, y, (size_t)(p->layers * p->experts * a) * sizeof(int32_t)));
    free(x);
    free(y);
}

static void round_trips(void) {
    struct placement_grid grid = {16, 4, 80};
    struct err err = {{0}};
    double count[3 * 64];
    state = 3;
    for (int i = 0; i < 3 * 64; i++)
        count[i] = below(1000);
    struct placement *p = placement_new(3, 64, &grid);
    CHECK_INT(eplb_fill(p, count, 8, &err), 0);
    CHECK_INT(placement_write(p, PLACEMENT_FULL, 0, path, &err), 0);
    struct placement *q = placement_read(path, &(struct placement_grid){0}, 0, &err);
    CHECK_STR(err.text, "");
    if (q)
        check_same(p, q);
    placement_free(q);
    /* The others say nothing of replicas' numbers. */
    free(p->replica);
    p->replica = NULL;
    for (enum placement_form form = PLACEMENT_SGLANG; form <= PLACEMENT_VLLM_ASCEND; form++) {
        CHECK_INT(placement_write(p, form, 3, path, &err), 0);
        q = placement_read(path, &grid, 64, &err);
        CHECK_STR(err.text, "");
        if (q)
            check_same(p, q);
        placement_free(q);
    }
    placement_free(p);
}

static void as_others_write(void) {
    struct err err = {{0}};
    struct placement *p = read_text(
        "{\r\n    \"moe_layer_count\": 1,\n    \"layer_list\": [\n{ \"layer_id\": 0, "
        "\"device_count\": 2,\n\"device_list\": [ {\"device_id\": 0, \"device_expert\": [7, 2, 3,"
        " 5]},\n\t{\"device_id\": 1, \"device_expert\": [7, 4, 0, 1]} ] } ] }\n",
        &(struct placement_grid){0}, 0, &err);
    CHECK(!p);
    CHECK_STR(err.text + strlen(path), ": layer 0: no slot holds expert 6");
    p = read_text("{\"x\": {\"deep\": [1, \"\\u00e9\"]},\n\"physical_to_logical_map\" :\n"
                  "[ [ 0 , 1 ] ,\n [ 1 , 0 ] ], \"logical_count\": [[3, 4.5e6]]}\n\n",
                  &(struct placement_grid){2, 2, 0}, 0, &err);
    CHECK(p && p->layers == 2 && p->experts == 2 && p->grid.nodes == 2 && p->slot[2] == 1);
    placement_free(p);
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void refuse(const char *text, const struct placement_grid *grid, int experts,
                   const char *want) {
    struct err err = {{0}};
    struct placement *p = read_text(text, grid, experts, &err);
    size_t len = strlen(path);
    CHECK(!p);
    placement_free(p);
    CHECK(!strncmp(err.text, path, len) && strlen(err.text) > len + 2);
    CHECK_STR(err.text + len + 2, want);
}

static const struct placement_grid any = {0};
static const struct placement_grid two = {2, 0, 0};

static void refuses_texts(void) {
    refuse("", &two, 0, "byte 1: expected [ or {: a placement in JSON");
    refuse("[]", &two, 0, "no slots: expected a row for each layer");
    refuse("[[]]", &two, 0, "no slots: expected a row for each layer");
    refuse("{}", &two, 0, "no physical_to_logical_map and no layer_list: no placement");
    refuse("[0,1]", &two, 0, "byte 2: expected [ and a row of numbers");
    refuse("[[0,1],[0]]", &two, 0, "byte 8: expected a row as long as the one before");
    refuse("[[0,1.5]]", &two, 0, "byte 5: expected a whole number");
    refuse("[[0,-1]]", &two, 0, "byte 5: expected a number from 0 up");
    refuse("[[0,99999999999]]", &two, 0, "byte 5: expected a whole number");
    refuse("[[0,\"1\"]]", &two, 0, "byte 5: expected a whole number");
    refuse("[[0,1]] x", &two, 0, "byte 9: expected the end of the line");
    refuse("[[0,1]", &two, 0, "byte 7: expected ',' or ']'");
}

static void refuses_shapes(void) {
    refuse("[[0,1]]", &any, 0, "how many ranks it is for is not said");
    refuse("[[0,1]]", &(struct placement_grid){2, 1, 4}, 0, "2 slots, expected 4");
    refuse("[[0,1,0]]", &two, 0, "3 slots on 2 ranks: each rank has as many");
    refuse("[[0,1]]", &two, 3, "2 slots for 3 experts: each needs one");
    refuse("[[0,1],[0,0]]", &two, 0, "layer 1: no slot holds expert 1");
    refuse("[[0,2]]", &two, 2, "layer 0 slot 1: expert 2 of 2");
    refuse("[[0,2000000000]]", &two, 0, "2000000001 experts: at most 1048576");
}

static void refuses_maps(void) {
    refuse("{\"physical_to_logical_map\":[[0,1]],\"ranks\":4}", &two, 0, "4 ranks, expected 2");
    refuse("{\"physical_to_logical_map\":[[0,1]],\"physical_to_logical_map\":[[0,1]]}", &two, 0,
           "byte 62: expected one map");
    refuse("{\"physical_to_logical_map\":[[0,1]],\"layer_index\":[1,2]}", &two, 0,
           "layer_index has 2 layers, expected 1");
    refuse("{\"physical_to_logical_map\":[[0,1],[1,0]],\"layer_index\":[4,4]}", &two, 0,
           "layer_index: 4 after 4, expected a larger one");
    refuse("{\"physical_to_logical_map\":[[0,1]],\"logical_replica_count\":[[1,2]]}", &two, 0,
           "layer 0 expert 1: logical_replica_count 2, but 1 slots");
    refuse("{\"physical_to_logical_map\":[[0,1]],\"logical_replica_count\":[[1,1],[1,1]]}", &two,
           0, "logical_replica_count is [2][2], expected [1][2]");
    refuse("{\"physical_to_logical_map\":[[0,1]],\"logical_to_physical_map\":[[[1],[0]]]}", &two,
           0, "layer 0 expert 0: logical_to_physical_map contradicts physical_to_logical_map");
    refuse("{\"physical_to_logical_map\":[[0,0]],\"logical_to_physical_map\":[[[1]]]}", &two,
           0, "layer 0 expert 0: logical_to_physical_map lacks a replica");
    refuse("{\"layer_list\":[{\"device_list\":[{\"device_id\":1,\"device_expert\":[0]}]}]}", &any,
           0, "byte 46: expected devices by number, from 0");
    refuse("{\"layer_list\":[{\"device_list\":[{\"device_id\":0}]}]}", &any, 0,
           "byte 47: expected a device_expert of each device");
}

/* Ten million bytes on one line, of numbers and of brackets. */
static void long_lines(void) {
    struct buf text = {0};
    struct err err = {{0}};
    buf_adds(&text, "[[0");
    while (text.len < 10000000)
        buf_adds(&text, ",1");
    buf_adds(&text, "]]");
    CHECK(!read_text(text.data, &(struct placement_grid){2, 1, 0}, 0, &err));
    CHECK(strstr(err.text, "expected ] after so many numbers"));
    text.len = 0;
    while (text.len < 10000000)
        buf_adds(&text, "[");
    CHECK(!read_text(text.data, &(struct placement_grid){2, 1, 0}, 0, &err));
    buf_free(&text);
}

static void full_disk(void) {
    struct err err = {{0}};
    struct placement *p = make_small();
    CHECK_INT(placement_write(p, PLACEMENT_FULL, 0, "/dev/full", &err), -1);
    CHECK(*err.text);
    CHECK(!placement_read("/nonexistent", &p->grid, 0, &err));
    placement_free(p);
}

int main(void) {
    path = scratch_path("p.json");
    RUN(forms);
    RUN(round_trips);
    RUN(as_others_write);
    RUN(refuses_texts);
    RUN(refuses_shapes);
    RUN(refuses_maps);
    RUN(long_lines);
    RUN(full_disk);
    free(path);
    scratch_remove();
    return check_done();
}
