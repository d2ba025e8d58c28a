/* test_routed_npy.c - lib/trace/routed: .npy files that lie */
#include "lib/trace/routed.h"

#include "tests/check.h"
#include "tests/routed_write.h"

#define MODEL_DESCR(l) "[('model', 'S8'), ('layers', '<u4'), ('experts', '<u4'), ('k', '<u4'), " \
    "('layer_index', '<u4', (" #l ",)), ('expert_bytes', '<u8', (" #l ",)), " \
    "('dense_bytes', '<u8', (" #l ",))]"
#define ROW_DESCR(l, k, dtype) "[('request', '<u4'), ('step', '<u4'), ('phase', '|u1'), " \
    "('accepted', '|u1'), ('position', '<u4'), ('token', '<i4'), ('expert', '" dtype "', (" \
    #l ", " #k "))]"

static void add_header(struct zio *z, const char *descr, int64_t n) {
    struct err err;
    if (npy_write_header(z, descr, &n, 1, &err))
        write_die(&err);
}

/* A model of two layers and four experts, then records of that descr with these bytes. */
static void check_stream(const uint32_t *model, const char *descr, const void *row, size_t len,
                         const char *words) {
    struct err err = {{0}};
    char *path = scratch_path("lies.npy");
    struct zio *z = zio_open_write(path, &err);
    char zero[64] = {0};
    add_header(z, MODEL_DESCR(2), 1);
    zio_write(z, "m\0\0\0\0\0\0\0", 8, &err);
    zio_write(z, model, 12, &err);
    zio_write(z, zero, 40, &err);
    if (descr)
        add_header(z, descr, 1);
    zio_write(z, row, len, &err);
    CHECK_INT(zio_close(z, &err), 0);
    struct routed_set *s = routed_read(path, &(struct routed_options){0}, &err);
    if (!strstr(err.text, words) || !s != (*words != '\0')) {
        printf("# \"%s\", expected \"%s\"\n", err.text, words);
        check_bad++;
    }
    routed_set_free(s);
    free(path);
}

static void streams_that_lie(void) {
    static const uint32_t model[] = {2, 4, 1};
    static const uint32_t many[] = {2, 40000, 1};
    static const uint32_t other[] = {3, 4, 1};
    static const uint32_t wide[] = {2, 4, 100000};
    static const char good[] = "\1\0\0\0\2\0\0\0\1\1\3\0\0\0\4\0\0\0\3\0\377\377";
    char row[sizeof good - 1];
    memcpy(row, good, sizeof row);
    check_stream(model, NULL, "", 0, "");
    check_stream(model, ROW_DESCR(2, 1, "<i2"), row, sizeof row, "");
    check_stream(many, NULL, "", 0, "expected up to 32767 experts");
    check_stream(other, NULL, "", 0, "as many layer_index");
    check_stream(wide, NULL, "", 0, "for a token in all layers");
    check_stream(model, ROW_DESCR(2, 2, "<i2"), row, sizeof row, "as the record about the model");
    check_stream(model, ROW_DESCR(2, 1, ">i2"), row, sizeof row, "array 2: expected records of");
    check_stream(model, ROW_DESCR(2, 1, "<i4"), row, sizeof row, "array 2: expected records of");
    check_stream(model, "'<i2'", row, sizeof row, "array 2: expected records of");
    check_stream(model, ROW_DESCR(2, 1, "<i2"), row, sizeof row - 1,
                 "array 2 is truncated: expected 1 records, found 0");
    check_stream(model, "[('a', '|u1'), ('request', '<u4'), ('step', '<u4'), ('phase', '|u1'), "
                 "('accepted', '|u1'), ('position', '<u4'), ('expert', '<i2', (2, 1))]", row,
                 sizeof row, "at even places");
    row[18] = 4;
    check_stream(model, ROW_DESCR(2, 1, "<i2"), row, sizeof row,
                 "row 0: expected an expert from -1 to 3 in layer 0, found 4");
    row[18] = -2;
    row[19] = -1;
    check_stream(model, ROW_DESCR(2, 1, "<i2"), row, sizeof row, "found -2");
    row[8] = 2;
    check_stream(model, ROW_DESCR(2, 1, "<i2"), row, sizeof row, "expected phase 0 or 1, found 2");
    row[8] = 0;
    row[9] = 7;
    check_stream(model, ROW_DESCR(2, 1, "<i2"), row, sizeof row, "expected accepted 0 or 1");
}

/* A header may claim sizes for which there is no memory. */
static void huge_claims_cost_nothing(void) {
    static const struct {
        const char *descr, *words;
        int64_t shape[3];
        int dims;
    } claims[] = {
        {"'<i2'", "expected 1 to 4096 layers", {1, INT64_C(1) << 40, 8}, 3},
        {"'<i2'", "for a token in all layers", {1, 4096, 4096}, 3},
        {"'<i2'", "is truncated", {INT64_C(1) << 40, 48, 8}, 3},
        {"'<f4'", "found floating-point numbers", {1, 2, 3}, 3},
        {"'<i2'", "found an array of 2 dimensions", {1, 2}, 2},
        {MODEL_DESCR(1000000), "found others", {1}, 1},
        {MODEL_DESCR(100000), "expected one record about the model", {1}, 1},
        {MODEL_DESCR(2), "expected one record about the model", {2}, 1},
        {"[('a', '<u4')]", "is truncated", {1}, 1}};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        struct err err = {{0}};
        char *path = scratch_path("claim.npy");
        struct zio *z = zio_open_write(path, &err);
        npy_write_header(z, claims[i].descr, claims[i].shape, claims[i].dims, &err);
        CHECK_INT(zio_close(z, &err), 0);
        struct routed_set *s = routed_read(path, &(struct routed_options){0}, &err);
        CHECK(!s);
        if (!strstr(err.text, claims[i].words)) {
            printf("# claim %zu: \"%s\", expected \"%s\"\n", i, err.text, claims[i].words);
            check_bad++;
        }
        routed_set_free(s);
        free(path);
    }
}

int main(void) {
    RUN(streams_that_lie);
    RUN(huge_claims_cost_nothing);
    scratch_remove();
    return check_done();
}
