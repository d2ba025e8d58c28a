/* test_routed_where.c - rows that hold, labels, count tables of lib/trace/routed */
#include <float.h>

#include "lib/trace/routed_labels.h"
#include "tests/check.h"
#include "tests/routed_write.h"

static char *text_file(const char *name, const char *text) {
    char *path = scratch_path(name);
    scratch_write(path, text, strlen(text));
    return path;
}

/* ---- rows of tokens --------------------------------------------------------------------- */

/* Two passes of six and one token, of requests 3 3 4 3 3 3 and 4; with the dense layer left out. */
static const char mixed[] =
    "# route_trace v1\n# n_layer=1 n_expert=9 n_expert_used=1\nturn,phase,step,layer,slot,expert\n"
    "3,0,0,0,0,0\n3,0,1,0,0,1\n3,0,2,0,0,2\n3,0,3,0,0,3\n3,0,4,0,0,4\n3,0,5,0,0,5\n"
    "3,1,6,0,0,6\n4,0,0,0,0,7\n4,1,1,0,0,8\n";

/* The experts that are left, as a string of digits, a bar before each pass. */
static void left(const char *const *where, int n, const char *labels, char *out, struct err *err) {
    char *path = text_file("mixed.csv", mixed);
    const struct routed_options opt = {.where = where, .wheres = n, .labels = labels};
    struct routed *r = routed_open(path, &opt, err);
    struct routed_rows rows;
    *out = '\0';
    while (r && routed_next(r, &rows, err) == 1) {
        if (rows.begins)
            strcat(out, "|");
        for (int64_t i = 0; i < rows.n; i++) {
            char digit[2] = {(char)('0' + rows.expert[(size_t)i * rows.stride]), '\0'};
            strcat(out, digit);
        }
    }
    routed_close(r);
    free(path);
}

static void check_left(const char *where, const char *second, const char *labels,
                       const char *want) {
    const char *const both[] = {where, second};
    struct err err = {{0}};
    char got[64];
    left(both, second ? 2 : 1, labels, got, &err);
    CHECK_STR(err.text, "");
    if (strcmp(got, want))
        printf("# where %s\n", where);
    CHECK_STR(got, want);
}

static void rows_that_hold(void) {
    check_left("request=3", NULL, NULL, "|012345|6");
    check_left("request=4,5", NULL, NULL, "|7|8");
    check_left("request=9", NULL, NULL, "");
    check_left("phase=decode", NULL, NULL, "|6|8");
    check_left("phase=prefill,decode", NULL, NULL, "|012345|6|7|8");
    check_left("step=1,3-4", NULL, NULL, "|134|8");
    check_left("position=5-99", NULL, NULL, "|5|6");
    check_left("position=0-2", "request=3", NULL, "|012");
    check_left("step=1-5", "phase=decode", NULL, "|8");
}

static void labels_choose_requests(void) {
    static const char *const tables[] = {
        "topic\trequest\tyear\n# a comment\ncode\t3\t2024\n\nprose, long\t4\t1999\n",
        "\xEF\xBB\xBFtopic,request,year\r\ncode,3,2024\r\n\" \"\"x\"\"\",7,\r\n"
        "\"prose, long\" , 4 ,1999\r\n",
        "{\"request\":4,\"topic\":\"prose, long\",\"year\":1999,\"none\":null}\n\n"
        "{\"year\":2024,\"topic\":\"c\\u006fde\",\"request\":3,\"more\":true}\n"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char *path = text_file("labels", tables[i]);
        check_left("topic=code", NULL, path, "|012345|6");
        check_left("topic=code", "year=2000-2100", path, "|012345|6");
        check_left("year=1900-1999.5", NULL, path, "|7|8");
        check_left("year=2024,1999", "phase=prefill", path, "|012345|7");
        check_left("topic=none", NULL, path, "");
        free(path);
    }
}

static void labels_as_such(void) {
    struct err err = {{0}};
    char *path = text_file("labels", "{\"request\":8,\"b\":1.50}\n{\"a\":\"x\",\"request\":2}\n");
    struct routed_labels *l = routed_labels_read(path, &err);
    CHECK_STR(err.text, "");
    if (l) {
        CHECK_INT(routed_labels_columns(l), 2);
        CHECK_STR(routed_labels_name(l, 1), "a");
        CHECK_INT(routed_labels_column(l, "a"), 1);
        CHECK_INT(routed_labels_column(l, "request"), -1);
        CHECK_INT(routed_labels_requests(l), 2);
        CHECK_INT(routed_labels_ids(l)[0], 2);
        CHECK_STR(routed_labels_value(l, 8, 0), "1.50");
        CHECK_STR(routed_labels_value(l, 2, 1), "x");
        CHECK(!routed_labels_value(l, 8, 1) && !routed_labels_value(l, 2, 0));
        CHECK(!routed_labels_value(l, 3, 0) && !routed_labels_value(l, 9, 0));
    }
    routed_labels_free(l);
    free(path);
}

/* A quoted label may go on in the next line, which is then neither blank nor a comment. */
static void labels_of_several_lines(void) {
    struct err err = {{0}};
    char *path = text_file("labels", "request,a\n2,\"x\n\n# y\"\n# z\n9,\"\"\n");
    struct routed_labels *l = routed_labels_read(path, &err);
    CHECK_STR(err.text, "");
    if (l) {
        CHECK_INT(routed_labels_requests(l), 2);
        CHECK_STR(routed_labels_value(l, 2, 0), "x\n\n# y");
        CHECK_STR(routed_labels_value(l, 9, 0), "");
    }
    routed_labels_free(l);
    free(path);
}

static void labels_that_lie(void) {
    static const struct {
        const char *text, *words;
    } refused[] = {
        {"", "found no header"}, {"a,b\n1,2\n", "a column request, found columns a, b"},
        {"request,a\n1\n", "expected 2 columns as in the header, found 1"},
        {"request,a\n1,2,3\n", "line 2: expected 2 columns as in the header, found 3"},
        {"request,a\n-1,2\n", "request: expected the whole number of a request, found '-1'"},
        {"request,a\n4294967296,2\n", "expected the whole number of a request"},
        {"request,a\n1,\"x\n\n", ":2: expected the closing quote of cell 2, found the end"},
        {"request,a\n1,\"x\"y\n", ":2: expected ',' or the end of the line behind"},
        {"request,a,a\n", "column 3: expected a name of its own, found 'a'"},
        {"request,,a\n", "column 2: expected a name"},
        {"request,a\n5,x\n6,y\n5,z\n",
         "line 4: expected every request once, found 5 again (line 2)"},
        {"{\"a\":1}\n", "expected a member request"},
        {"{\"request\":1.5}\n", "expected the whole number of a request"},
        {"{\"request\":-3}\n", "expected the whole number of a request"},
        {"{\"request\":1,\"a\":[1]}\n", "expected a string or a number"},
        {"{\"request\":1} x\n", "column 15: expected the end of the line"},
        {"{\"request\":1}\n{\"request\":1}\n", "line 2: expected every request once"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err err = {{0}};
        char *path = text_file("labels", refused[i].text);
        struct routed_labels *l = routed_labels_read(path, &err);
        CHECK(!l);
        if (!strstr(err.text, refused[i].words)) {
            printf("# labels %zu: \"%s\", expected \"%s\"\n", i, err.text, refused[i].words);
            check_bad++;
        }
        routed_labels_free(l);
        free(path);
    }
}

static void conditions_that_lie(void) {
    static const struct {
        const char *where, *words;
        int labels;
    } refused[] = {
        {"phase", "expected COLUMN=VALUE[,VALUE]..., found 'phase'", 0},
        {"=x", "expected COLUMN=VALUE", 0},
        {"step=x", "step: expected a number or a range as in 10-19, found 'x'", 0},
        {"step=", "found ''", 0}, {"step=9-1", "found '9-1'", 0}, {"step=1-2-3", "found", 0},
        {"request=nan", "found 'nan'", 0}, {"position=1e999", "found", 0},
        {"phase=both", "phase: expected prefill or decode, found 'both'", 0},
        {"topic=x", "a column of request, step, position, phase, found 'topic' (other columns "
         "need labels)", 0},
        {"topics=x", "step, position, phase, topic, found 'topics'", 1}};
    char *labels = text_file("labels", "request,topic\n1,a\n");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err err = {{0}};
        char got[64];
        left(&refused[i].where, 1, refused[i].labels ? labels : NULL, got, &err);
        CHECK_STR(got, "");
        if (!strstr(err.text, refused[i].words)) {
            printf("# where %zu: \"%s\", expected \"%s\"\n", i, err.text, refused[i].words);
            check_bad++;
        }
    }
    struct err err = {{0}};
    char got[64];
    left(NULL, 0, "/nonexistent/labels", got, &err);
    CHECK(strstr(err.text, "/nonexistent/labels: No such file"));
    free(labels);
}

/* Of random passes, any condition leaves the tokens that hold it, and a pass begins with its first
 * one. */
static void rows_that_hold_by_chance(void) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct truth t = truth_random(seed);
        struct err err = {{0}};
        char *path = write_routed(&t, seed % 2 ? FORM_STREAM : FORM_CSV);
        int low = below(t.tokens);
        int high = low + below(t.tokens);
        char text[40];
        snprintf(text, sizeof text, "position=%d-%d", low, high);
        const char *const where[] = {text};
        const struct routed_options opt = {.where = where, .wheres = 1};
        struct routed_set *s = routed_read(path, &opt, &err);
        int last = high < t.tokens ? high + 1 : t.tokens;
        size_t pairs = (size_t)(t.layers * t.k);
        int in_prompt = last < t.prompt ? last : t.prompt;
        int prefills = low < t.prompt ? in_prompt - low : 0;
        CHECK(s && s->tokens == last - low);
        CHECK(s && !memcmp(s->expert, t.expert + (size_t)low * pairs,
                           (size_t)(last - low) * pairs * sizeof *t.expert));
        CHECK(s && s->passes == (prefills > 0) + last - low - prefills);
        routed_set_free(s);
        truth_free(&t);
        free(path);
    }
}

/* ---- count tables ----------------------------------------------------------------------- */

static double *read_table(const char *text, const struct routed_options *opt,
                          struct routed_model *model, struct err *err) {
    char *path = text_file("table.tsv", text);
    *err = (struct err){{0}};
    struct routed *r = routed_open(path, opt, err);
    double *count = NULL;
    if (r) {
        struct routed_rows rows;
        CHECK_INT(routed_kind(r), ROUTED_COUNTS);
        count = routed_counts(r, err);
        *model = *routed_model(r);
        model->layer_index = mem_array((size_t)model->layers, sizeof *model->layer_index);
        memcpy(model->layer_index, routed_model(r)->layer_index,
               (size_t)model->layers * sizeof *model->layer_index);
        struct err none = {{0}};
        CHECK_INT(routed_next(r, &rows, &none), -1);
        CHECK(strstr(none.text, "found a count table"));
    }
    routed_close(r);
    free(path);
    return count;
}

static void check_table(const char *text, const char *where, int experts, int layers,
                        const int *index, const double *want) {
    struct err err;
    struct routed_model m;
    const struct routed_options opt = {.where = &where, .wheres = where != NULL,
                                       .experts = experts};
    double *count = read_table(text, &opt, &m, &err);
    CHECK_STR(err.text, "");
    if (!count)
        return;
    CHECK_INT(m.layers, layers);
    for (int i = 0; i < layers && m.layers == layers; i++)
        CHECK_INT(m.layer_index[i], index[i]);
    for (int i = 0; i < layers * m.experts; i++)
        CHECK_NEAR(count[i], want[i], 0);
    free(m.layer_index);
    free(count);
}

static void tables_are_summed(void) {
    static const char text[] = "# counts\ndomain\tlayer\texpert\tcount\tseed\n"
        "c4\t7\t1\t5\t1\nc4\t0\t2\t0.25\t2\nbook\t7\t1\t2\t3\nbook\t7\t0\t1e3\t4\n";
    static const int index[] = {0, 7};
    check_table(text, NULL, 0, 2, index, (const double[]){0, 0, 0.25, 1000, 7, 0});
    check_table(text, "domain=c4", 0, 2, index, (const double[]){0, 0, 0.25, 0, 5, 0});
    check_table(text, "domain=c4,book", 0, 2, index, (const double[]){0, 0, 0.25, 1000, 7, 0});
    check_table(text, "seed=2-3", 0, 2, index, (const double[]){0, 0, 0.25, 0, 2, 0});
    check_table(text, "layer=7", 4, 2, index, (const double[]){0, 0, 0, 0, 1000, 7, 0, 0});
    check_table("count,expert,layer\n3,0,0\n", NULL, 0, 1, index, (const double[]){3});
}

static void tables_that_lie(void) {
    static const struct {
        const char *text, *where, *words;
    } refused[] = {
        {"layer,expert,count\n4096,0,1\n", NULL, "layer: expected a whole number from 0 to 4095"},
        {"layer,expert,count\n-1,0,1\n", NULL, "found '-1'"},
        {"layer,expert,count\n0,32767,1\n", NULL,
         "expert: expected a whole number from 0 to 32766"},
        {"layer,expert,count\n0,0.5,1\n", NULL, "found '0.5'"},
        {"layer,expert,count\n0,0,-1\n", NULL, "line 2: count: expected a number from 0"},
        {"layer,expert,count\n0,0,nan\n", NULL, "found 'nan'"},
        {"layer,expert,count\n0,0,inf\n", NULL, "found 'inf'"},
        {"layer,expert,count\n0,0,\n", NULL, "found ''"},
        {"layer,expert,count\n0,0,1\n", "domain=x", "a column of layer, expert, count, found"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err err;
        struct routed_model m;
        const struct routed_options opt = {.where = &refused[i].where,
                                           .wheres = refused[i].where != NULL};
        CHECK(!read_table(refused[i].text, &opt, &m, &err));
        if (!strstr(err.text, refused[i].words)) {
            printf("# table %zu: \"%s\", expected \"%s\"\n", i, err.text, refused[i].words);
            check_bad++;
        }
    }
}

/* Few rows may name far apart experts; what they cost is bounded. */
static void tables_of_far_apart_experts(void) {
    struct buf b = {0};
    struct err err;
    struct routed_model m;
    buf_adds(&b, "layer\texpert\tcount\n");
    for (int i = 0; i < 4096; i++)
        buf_printf(&b, "%d\t32766\t1\n", i);
    CHECK(!read_table(b.data, &(struct routed_options){0}, &m, &err));
    CHECK(strstr(err.text, "expected at most"));
    buf_free(&b);
}

int main(void) {
    RUN(rows_that_hold);
    RUN(labels_choose_requests);
    RUN(labels_as_such);
    RUN(labels_of_several_lines);
    RUN(labels_that_lie);
    RUN(conditions_that_lie);
    RUN(rows_that_hold_by_chance);
    RUN(tables_are_summed);
    RUN(tables_that_lie);
    RUN(tables_of_far_apart_experts);
    scratch_remove();
    return check_done();
}
