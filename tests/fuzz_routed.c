/* fuzz_routed.c - hostile routes, count tables and labels: every form that routed.h reads
 *
 * How it is run, and as what else: fuzz.h. Small traces in every form, and texts put together from
 * words that are mostly right, are changed by some bytes. Whatever comes, rows keep what routed.h
 * promises, conditions that cut a trace in two leave all of it, and an error has words.
 */
#include "tests/fuzz.h"

#include <math.h>
#include <sys/mman.h>

#include "lib/route/loads.h"
#include "lib/trace/routed_labels.h"
#include "tests/routed_write.h"

enum { OPENED = 1, TOKENS = 2, COUNTS = 4, LABELS = 8, WHOLE = 16 };

/* ---- the target ------------------------------------------------------------------------- */

static void check_model(const struct routed_model *m) {
    NEED(m->layers >= 0 && m->experts >= 0 && m->experts <= ROUTED_EXPERTS_MOST && m->k >= 0);
    NEED((int64_t)m->layers * m->experts <= 1 << 24);
    for (int i = 0; i < m->layers; i++) {
        NEED(m->layer_index[i] >= 0);
        NEED(isfinite(m->expert_bytes[i]) && m->expert_bytes[i] >= 0);
        NEED(isfinite(m->dense_bytes[i]) && m->dense_bytes[i] >= 0);
    }
}

static void check_rows(const struct routed_model *m, const struct routed_rows *rows) {
    NEED(rows->n > 0 && rows->stride >= (size_t)(m->layers * m->k));
    for (int64_t i = 0; i < rows->n; i++) {
        const int16_t *expert = rows->expert + (size_t)i * rows->stride;
        for (int k = 0; k < m->layers * m->k; k++)
            NEED(expert[k] >= -1 && expert[k] < m->experts);
        NEED(rows->phase[i] <= TRACE_DECODE && rows->accepted[i] <= 1);
    }
}

static void check_counts(struct routed *r) {
    const struct routed_model *m = routed_model(r);
    double *count = routed_counts(r, &fuzz_last);
    NEED(count);
    for (int i = 0; i < m->layers * m->experts; i++)
        NEED(count[i] >= 0);
    for (int i = 1; i < m->layers; i++)
        NEED(m->layer_index[i] > m->layer_index[i - 1]);
    free(count);
    fuzz_outcome |= COUNTS | WHOLE;
}

/* All rows that hold `where`: their number, -1 when the trace is broken. */
static int64_t read_rows(const char *path, const char *where) {
    const struct routed_options opt = {.where = &where, .wheres = where != NULL};
    struct routed_rows rows;
    int64_t tokens = 0;
    int first = 1;
    int rc;
    fuzz_last = (struct err){{0}};
    struct routed *r = routed_open(path, &opt, &fuzz_last);
    NEED(r || *fuzz_last.text);
    if (!r)
        return -1;
    fuzz_outcome |= OPENED;
    check_model(routed_model(r));
    if (routed_kind(r) == ROUTED_COUNTS) {
        check_counts(r);
        routed_close(r);
        return -1;
    }
    while ((rc = routed_next(r, &rows, &fuzz_last)) == 1) {
        NEED(!first || rows.begins);
        check_rows(routed_model(r), &rows);
        tokens += rows.n;
        first = 0;
    }
    NEED(rc == 0 || *fuzz_last.text);
    routed_close(r);
    return rc ? -1 : tokens;
}

static void read_all(const char *path, size_t len) {
    int64_t tokens = read_rows(path, NULL);
    if (tokens < 0)
        return;
    struct err err = fuzz_last;
    NEED(tokens <= (int64_t)len);
    fuzz_outcome |= (tokens ? TOKENS : 0) | WHOLE;
    NEED(read_rows(path, "phase=prefill") + read_rows(path, "phase=decode") == tokens);
    NEED(read_rows(path, "position=3-9") <= tokens);
    struct loads *l = loads_read(path, &(struct routed_options){0}, &err);
    NEED(l && l->tokens == tokens);
    loads_free(l);
}

/* With a shape, which plain ids need, and whose layers are not all of experts. */
static void read_shaped(const char *path, size_t len) {
    static struct shape_layer layer[3] = {{.d_ff = 1}, {.experts = 60, .top_k = 2},
                                          {.experts = 60, .top_k = 2}};
    static int64_t bytes[3] = {1, 2, 3};
    static const struct shape shape = {.name = "s", .layers = 3, .layer = layer,
                                       .dense_bytes = bytes, .expert_bytes = bytes};
    const struct routed_options opt = {.shape = &shape, .experts = 50};
    struct err err = {{0}};
    struct routed_set *s = routed_read(path, &opt, &err);
    NEED(s || *err.text);
    NEED(!s || (s->tokens <= (int64_t)len && s->pass[s->passes] == s->tokens));
    if (s)
        check_model(&s->model);
    routed_set_free(s);
}

static void read_labels(const char *path) {
    struct err err = {{0}};
    struct routed_labels *l = routed_labels_read(path, &err);
    NEED(l || *err.text);
    if (!l)
        return;
    fuzz_outcome |= LABELS;
    for (int64_t i = 0; i < routed_labels_requests(l); i++) {
        uint32_t request = routed_labels_ids(l)[i];
        NEED(!i || request > routed_labels_ids(l)[i - 1]);
        for (int k = 0; k < routed_labels_columns(l); k++) {
            const char *text = routed_labels_value(l, request, k);
            NEED(!text || strlen(text) < 1 << 20);
            NEED(routed_labels_column(l, routed_labels_name(l, k)) <= k);
        }
    }
    routed_labels_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    int fd = memfd_create("routed", 0);
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fuzz_outcome = 0;
    read_all(path, len);
    read_shaped(path, len);
    read_labels(path);
    close(fd);
    return 0;
}

#ifndef LIBFUZZER

/* ---- inputs to start from --------------------------------------------------------------- */

static const char *const texts[] = {
    "# a table\ndomain\tlayer\texpert\tcount\nc4\t0\t1\t2.5\nbook\t3\t2\t7\n",
    "layer,expert,count,\"a \"\"b\"\"\"\n0,1,2,\"x,y\"\n1,0,1e3,z\n",
    "request\ttopic\n0\tcode\n7\tprose\n",
    "{\"request\":3,\"topic\":\"a\\u00e9\",\"year\":1e3}\n{\"request\":1,\"more\":true}\n",
    "{\"meta_info\":{\"prompt_tokens\":1,"
    "\"routed_experts\":\"AAAAAAAAAAABAAAAAgAAAAMAAAAEAAAA\"}}\n",
    "{\"routed_experts\":[[[-1,2],[1,0]]],\"request\":9}\n{\"routed_experts\":null}\n",
    "{\"prompt_routed_experts\":[[[1]]],\"choices\":[{\"routed_experts\":[[[2]],[[3]]]},"
    "{\"routed_experts\":[]}],\"usage\":{\"prompt_tokens\":1}}\n",
};
#define TEXTS ((int)(sizeof texts / sizeof *texts))
#define STARTS (FORMS + TEXTS)

static struct buf starts[STARTS];

static void build_starts(void) {
    struct truth t = truth_random(12);
    for (int form = 0; form < FORMS; form++) {
        struct err err;
        char *path = write_routed(&t, (enum form)form);
        if (zio_read_all(path, &starts[form], &err))
            write_die(&err);
        free(path);
    }
    for (int i = 0; i < TEXTS; i++)
        starts[FORMS + i] = fuzz_text(texts[i]);
    truth_free(&t);
}

static struct buf start(int i) {
    return starts[i];
}

/* Cuts at every length of what is short, and at some of the others. */
static size_t cut_at(int i, size_t k) {
    size_t step = starts[i].len / 200 + 1;
    return k * step < starts[i].len ? k * step : SIZE_MAX;
}

/* ---- inputs that are mostly right ------------------------------------------------------- */

static const char *pick(void) {
    static const char *const words[] = {
        "\"routed_experts\":", "\"exp_ids\":", "[[[1,2]]]", "[[[0],[1]],[[2],[3]]]", "null", "[]",
        "\"k05VTVBZAQB2AHsnZGVzY3InOiAnPGkyJ\"", "{\"dtype\":\"int8\",\"shape\":[1,1,3],\"data\":"
        "\"AQID\"}", "\"request\":4294967295,", "\"choices\":[{",
        "\"usage\":{\"prompt_tokens\":2},",
        "# layer=1 expert_bytes=7 dense_bytes=8\n", "n_layer=2 ", "0,0,1,0,0,1,0.5,1,0\n",
        "1,1,4294967295,1,1,0,1,1,0\n", "-1", "32767", "'<i2'", "'|V3'", "(1, 2)", "layer\t",
        "\t", ",", "\n", "\"", "request,", "65535", "e300", "\xEF\xBB\xBF", "\r"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    buf_add(b, starts[i].data, starts[i].len);
    for (size_t n = fuzz_below(4); n > 0 && b->len; n--)
        fuzz_change_text(b, pick());
}

int main(int argc, char **argv) {
    enum { READ = OPENED | TOKENS | WHOLE, TABLE = OPENED | COUNTS | WHOLE };
    static const int expected[STARTS] = {
        [FORM_STREAM] = READ, [FORM_CSV] = READ, [FORM_ARRAY] = READ, [FORM_LISTS] = READ,
        [FORM_PROMPT_LISTS] = READ, [FORM_NPY64] = READ, [FORM_OBJECT] = READ,
        [FORM_OLMOE] = READ, [FORMS] = TABLE, [FORMS + 1] = TABLE,
        [FORMS + 2] = LABELS, [FORMS + 3] = LABELS, [FORMS + 5] = READ, [FORMS + 6] = READ};
    static const struct fuzz fuzz = {
        .name = "fuzz_routed", .suffix = ".routes",
        .outcome = {"were opened", "had tokens", "had counts", "were labels", "were whole"},
        .starts = STARTS, .start = start, .expected = expected, .cut = cut_at,
        .make = make_input};
    build_starts();
    int status = fuzz_main(&fuzz, argc, argv);
    for (int i = 0; i < FORMS; i++)
        buf_free(&starts[i]);
    scratch_remove();
    return status;
}

#endif
