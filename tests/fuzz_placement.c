/* fuzz_placement.c - hostile placements: every form that placement_json.h reads
 *
 * How it is run, and as what else: fuzz.h. Texts of each form are put together from words that are
 * mostly right; then some bytes are changed, dropped or doubled. Whatever comes, the reader gives a
 * placement whose slots and maps are whole and that reads back from what is written of it, or an
 * error that has words.
 */
#include "tests/fuzz.h"

#include <sys/mman.h>

#include "lib/route/placement_json.h"

enum { READ = 1, SEVERAL = 2, NUMBERED = 4 };

/* ---- the target ------------------------------------------------------------------------- */

static struct placement *read_bytes(const void *data, size_t len, struct err *err) {
    static const struct placement_grid whatever = {0};
    static const struct placement_grid two = {.ranks = 2};
    char path[64];
    int fd = memfd_create("placement", 0);
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct placement *p = placement_read(path, &whatever, 0, err);
    if (!p)
        p = placement_read(path, &two, 0, err);
    close(fd);
    return p;
}

static void check_whole(const struct placement *p) {
    int most;
    int32_t *at = placement_logical(p, &most);
    int64_t held = 0;
    NEED(p->layers > 0 && p->experts > 0 && !placement_grid_check(&p->grid, p->experts, NULL));
    for (int64_t i = 0; i < (int64_t)p->layers * p->experts; i++)
        for (int k = 0; k < most; k++) {
            int32_t s = at[i * most + k];
            NEED(s >= (k ? -1 : 0) && s < p->grid.slots);
            NEED(s < 0 || placement_layer(p, (int)(i / p->experts))[s] == i % p->experts);
            held += s >= 0;
        }
    NEED(held == (int64_t)p->layers * p->grid.slots);
    free(at);
}

static void check_again(const struct placement *p) {
    struct buf text = {0};
    struct err err;
    placement_text(p, PLACEMENT_FULL, 0, &text);
    struct placement *q = read_bytes(text.data, text.len, &err);
    NEED(q && q->layers == p->layers && q->experts == p->experts);
    NEED(!memcmp(&q->grid, &p->grid, sizeof p->grid));
    NEED(!memcmp(q->slot, p->slot,
                 (size_t)p->layers * (size_t)p->grid.slots * sizeof *p->slot));
    placement_match(p, q);
    NEED(!placement_moves(p, q, NULL, NULL).slots);
    placement_free(q);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    struct placement *p = read_bytes(data, len, &fuzz_last);
    NEED(p || *fuzz_last.text);
    if (!p)
        return 0;
    fuzz_outcome = READ | (p->layers > 1 ? SEVERAL : 0) | (p->replica ? NUMBERED : 0);
    /* Maps are as large as experts times replicas, however few bytes the text has. */
    if ((int64_t)p->layers * p->experts * p->grid.slots < 1000000) {
        check_whole(p);
        check_again(p);
    }
    placement_free(p);
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts to start from ------------------------------------------------------------------ */

static const char *const texts[] = {
    "{\"physical_to_logical_map\":[[2,0,1,2],[1,1,2,0]],"
    "\"logical_to_physical_map\":[[[1,-1],[2,-1],[3,0]],[[3,-1],[0,1],[2,-1]]],"
    "\"logical_replica_count\":[[1,1,2],[1,2,1]],\"layer_index\":[1,3],\"experts\":3,"
    "\"ranks\":2,\"nodes\":1}",
    "{\"physical_to_logical_map\": [[0, 1, 2, 0],\n [2, 1, 0, 1]]}\n", "[[2,0,1,2]]",
    "{\"moe_layer_count\":2,\"layer_list\":[{\"layer_id\":0,\"device_count\":2,\"device_list\":["
    "{\"device_id\":0,\"device_expert\":[2,0]},{\"device_id\":1,\"device_expert\":[1,2]}]},"
    "{\"layer_id\":1,\"device_count\":2,\"device_list\":[{\"device_id\":0,\"device_expert\":[1,1]},"
    "{\"device_id\":1,\"device_expert\":[2,0]}]}]}"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

static const char *pick(void) {
    static const char *const words[] = {
        "[0,1]", "[1,0],", "[[0,1],[1,0]]", "[[[0],[1]]]", "\"physical_to_logical_map\":",
        "\"logical_to_physical_map\":", "\"logical_replica_count\":[[1,1]]", "\"layer_index\":[0]",
        "\"ranks\":2", "\"nodes\":2", "\"experts\":2", "\"experts\":1048576", "\"layer_list\":[",
        "{\"device_list\":[{\"device_expert\":[0,1]}]}", "\"device_id\":1", "\"device_count\":2",
        "\"layer_id\":0", "-1", "2147483647", "99999999999999999999", "1e3", "0.5", "null", "{",
        "}", "[", "]", ",", ":", "\"", "\\u0000", "\n", "00", "-"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void add_object(struct buf *b) {
    buf_adds(b, fuzz_below(2) ? "{\"physical_to_logical_map\":[[0,1],[1,0]]" : "{\"x\":[]");
    for (size_t n = fuzz_below(4), i = 0; i < n; i++)
        buf_printf(b, ",%s", pick());
    buf_adds(b, fuzz_below(8) ? "}" : "");
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    if (fuzz_below(3))
        buf_adds(b, texts[i]);
    else
        add_object(b);
    for (size_t n = fuzz_below(5); n > 0 && b->len; n--)
        fuzz_change_text(b, pick());
}

int main(int argc, char **argv) {
    enum { ALL = READ | SEVERAL };
    static const int expected[] = {ALL | NUMBERED, ALL, READ, ALL};
    static const struct fuzz fuzz = {
        .name = "fuzz_placement", .suffix = ".json",
        .outcome = {"were read", "had several layers", "numbered replicas"}, .texts = texts,
        .starts = STARTS, .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif
