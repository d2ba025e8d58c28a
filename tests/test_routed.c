/* test_routed.c - lib/trace/routed: every form of routes says the same; forms that lie */
#include "lib/trace/routed.h"

#include "tests/check.h"
#include "tests/routed_write.h"

/* ---- all forms, by chance ---------------------------------------------------------------- */

static void check_rows(const struct routed_set *s, const struct truth *t, enum form form) {
    size_t pairs = (size_t)(t->layers * t->k);
    CHECK_INT(s->tokens, t->tokens);
    CHECK_INT(s->model.layers, t->layers);
    CHECK_INT(s->model.k, t->k);
    if (s->tokens != t->tokens || s->model.layers != t->layers || s->model.k != t->k)
        return;
    CHECK(!memcmp(s->expert, t->expert, (size_t)t->tokens * pairs * sizeof *t->expert));
    for (int i = 0; i < t->tokens; i++) {
        CHECK_INT(s->position[i], i);
        CHECK_INT(s->request[i], 0);
        CHECK_INT(s->accepted[i], 1);
        CHECK_INT(s->phase[i], form != FORM_ARRAY && i >= t->prompt);
    }
    CHECK_INT(s->passes, form == FORM_ARRAY ? t->tokens : t->tokens - t->prompt + 1);
    for (int64_t i = 0; i < s->passes; i++)
        CHECK_INT(s->pass[i], form == FORM_ARRAY || !i ? i : t->prompt + i - 1);
    CHECK_INT(s->pass[s->passes], t->tokens);
}

static void check_form(const struct truth *t, enum form form) {
    struct err err = {{0}};
    struct shape shape = truth_shape(t);
    struct routed_options opt = {.experts = form > FORM_CSV ? t->experts : 0};
    if (form == FORM_PLAIN64)
        opt.shape = &shape;
    char *path = write_routed(t, form);
    struct routed_set *s = routed_read(path, &opt, &err);
    CHECK_STR(err.text, "");
    if (s) {
        check_rows(s, t, form);
        CHECK_INT(s->model.experts, t->experts);
        if (form < FORM_ARRAY || form == FORM_PLAIN64)
            CHECK_INT(s->model.expert_bytes[t->layers - 1], 9 + t->layers);
        CHECK_STR(s->model.name, form < FORM_ARRAY || form == FORM_PLAIN64 ? "truth" : "");
    }
    routed_set_free(s);
    truth_shape_free(&shape);
    free(path);
}

static void all_forms_say_the_same(void) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct truth t = truth_random(seed);
        for (int form = 0; form < FORMS; form++)
            check_form(&t, (enum form)form);
        truth_free(&t);
    }
}

static void every_dtype(void) {
    static const char *const dtypes[] = {"|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8",
                                         ">i2", ">i4", ">i8", ">u2", ">u4", ">u8"};
    struct truth t = truth_random(5);
    char *path = scratch_path("dtypes.npy");
    struct err err = {{0}};
    struct zio *z = zio_open_write(path, &err);
    int n = (int)(sizeof dtypes / sizeof *dtypes);
    for (int i = 0; i < n; i++)
        write_array(z, &t, 0, i ? t.tokens : 0, dtypes[i]);     /* the first one is empty */
    CHECK_INT(zio_close(z, &err), 0);
    struct routed_set *s = routed_read(path, &(struct routed_options){0}, &err);
    CHECK_STR(err.text, "");
    CHECK(s && s->tokens == (int64_t)(n - 1) * t.tokens);
    size_t pairs = (size_t)(t.layers * t.k);
    for (int i = 0; s && i < n - 1; i++) {
        CHECK(!memcmp(routed_at(s, (int64_t)i * t.tokens, 0), t.expert,
                      (size_t)t.tokens * pairs * sizeof *t.expert));
        CHECK_INT(s->request[i * t.tokens], i + 1);
        CHECK_INT(s->position[i * t.tokens + t.tokens - 1], t.tokens - 1);
    }
    routed_set_free(s);
    truth_free(&t);
    free(path);
}

/* A pass larger than what is handed out at once comes in pieces, the first of which begins it. */
static void large_passes_come_in_pieces(void) {
    struct truth t = {.layers = 40, .k = 8, .experts = 64, .tokens = 3000, .prompt = 2990};
    struct err err = {{0}};
    state = 3;
    t.expert = mem_array((size_t)(t.tokens * t.layers * t.k), sizeof *t.expert);
    for (int i = 0; i < t.tokens * t.layers; i++)
        truth_draw(t.expert + i * t.k, t.k, t.experts);
    for (int form = 0; form < 2; form++) {
        char *path = write_routed(&t, form ? FORM_OBJECT : FORM_STREAM);
        struct routed *r = routed_open(path, &(struct routed_options){0}, &err);
        struct routed_rows rows;
        int64_t tokens = 0;
        int begins = 0;
        int pieces = 0;
        while (r && routed_next(r, &rows, &err) == 1) {
            for (int64_t i = 0; i < rows.n; i++)
                CHECK(!memcmp(rows.expert + (size_t)i * rows.stride,
                              t.expert + (tokens + i) * t.layers * t.k,
                              (size_t)(t.layers * t.k) * sizeof *t.expert));
            CHECK(rows.n > 0 && (rows.begins || tokens < t.prompt));
            tokens += rows.n;
            begins += rows.begins;
            pieces++;
        }
        CHECK_STR(err.text, "");
        CHECK_INT(tokens, t.tokens);
        CHECK_INT(begins, 11);
        CHECK(pieces > 15);
        CHECK(routed_bytes(r) > t.tokens * t.layers * t.k * 2);
        routed_close(r);
        free(path);
    }
    truth_free(&t);
}

/* ---- texts ------------------------------------------------------------------------------ */

static struct routed_set *read_text(const char *text, const struct routed_options *opt,
                                    struct err *err) {
    char *path = scratch_path("text");
    *err = (struct err){{0}};
    scratch_write(path, text, strlen(text));
    struct routed_set *s = routed_read(path, opt, err);
    free(path);
    return s;
}

#define HEAD "# route_trace v1\n# model=/a b/m.gguf arch=x n_layer=3 n_expert=4 n_expert_used=2\n"
#define COLUMNS "turn,phase,step,layer,slot,expert,weight\n"

/* CRLF, a dense layer, a token without all of its slots, a second turn, lines between. */
static void csv_of_several_turns(void) {
    static const char text[] =
        "# route_trace v1\r\n# model=C:\\m\\small.gguf arch=x n_layer=3 n_expert=4 "
        "n_expert_used=2\r\n# layer=0 expert_bytes=0 dense_bytes=9\r\n"
        "# layer=1 expert_bytes=5 dense_bytes=8\r\n# layer=2 expert_bytes=6 dense_bytes=7\r\n"
        "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\r\n"
        "0,0,0,1,0,3,0.5,0,5\r\n0,0,0,1,1,2,0.5,0,5\r\n0,0,1,1,0,1,1,0,5\r\n\r\n# between\r\n"
        "0,0,0,2,0,0,1,0,5\r\n0,0,1,2,0,2,1,0,5\r\n0,0,1,2,1,0,1,0,5\r\n"
        "0,1,2,1,0,1,1,0,5\r\n0,1,2,2,0,3,1,0,5\r\n"
        "1,0,7,1,0,2,1,0,5\r\n1,0,7,2,1,2,1,0,5";
    static const int16_t want[] = {3, 2, 0, -1, 1, -1, 2, 0, 1, -1, 3, -1, 2, -1, -1, 2};
    struct err err;
    struct routed_set *s = read_text(text, &(struct routed_options){0}, &err);
    CHECK_STR(err.text, "");
    if (!s)
        return;
    CHECK_STR(s->model.name, "small");
    CHECK_INT(s->model.layers, 2);
    CHECK_INT(s->model.layer_index[1], 2);
    CHECK_NEAR(s->model.expert_bytes[1], 6, 0);
    CHECK_NEAR(s->model.dense_bytes[0], 8, 0);
    CHECK_INT(s->tokens, 4);
    CHECK_INT(s->passes, 3);
    CHECK(!memcmp(s->expert, want, sizeof want));
    CHECK_INT(s->pass[1], 2);
    CHECK_INT(s->pass[2], 3);
    CHECK_INT(s->request[3], 1);
    CHECK_INT(s->position[3], 7);
    CHECK_INT(s->step[2], 2);
    CHECK_INT(s->phase[2], TRACE_DECODE);
    routed_set_free(s);
}

static const struct {
    const char *text, *words;
} refused[] = {
    {"", "found nothing"},
    {" \n\n", "found nothing"},
    {"a b c\n", "found columns a b c"},
    {"# only comments\n", "found comments alone"},
    {"layer,expert\n0,1\n", "found columns layer, expert"},
    {"# route_trace v1\n", "expected a header below the comments"},
    {"# route_trace v1\nx,y\n", "expected the header turn,phase"},
    {"# route_trace v1\n" COLUMNS, "expected a comment with n_layer="},
    {"# route_trace v1\n# n_layer=0 n_expert=4 n_expert_used=1\n" COLUMNS, "no model has"},
    {"# route_trace v1\n# n_layer=99999999999999 n_expert=4 n_expert_used=1\n" COLUMNS,
     "no model has"},
    {"# route_trace v1\n# n_layer=4096 n_expert=32767 n_expert_used=9999\n" COLUMNS,
     "for a token in all layers"},
    {"# route_trace v1\n# n_layer=4096 n_expert=32767 n_expert_used=2\n" COLUMNS, "in all"},
    {HEAD "# layer=9 expert_bytes=x\n" COLUMNS, "line 3: expected '# layer=N"},
    {HEAD COLUMNS "0,2,0,0,0,0,1\n", "line 4: expected phase 0 or 1, found 2"},
    {HEAD COLUMNS "0,0,0,3,0,0,1\n", "line 4: expected a layer with experts below 3, found 3"},
    {HEAD COLUMNS "0,0,0,0,2,0,1\n", "expected a slot below 2, found 2"},
    {HEAD COLUMNS "0,0,0,0,0,4,1\n", "expected an expert below 4, found 4"},
    {HEAD COLUMNS "0,0,0,0,0,-1,1\n", "expected a whole number as expert, found '-1'"},
    {HEAD COLUMNS "0,0,99999999999,0,0,1,1\n", "expected a whole number as step"},
    {HEAD COLUMNS "0,0,0,0,0\n", "expected columns as in the header"},
    {HEAD COLUMNS "0,0,0,0,0,1x,1\n", "line 4: expected a comma"},
    {HEAD COLUMNS "0,0,0,0,0,1,1\n0,0,0,0,0,1,1\n", "expected slot 0 once, found it twice"},
    {HEAD COLUMNS "0,0,1,0,0,1,1\n0,0,0,0,0,1,1\n", "line 5: expected steps of a prefill"},
    {"{}\n{\"a\":1}\n", "found 2 lines without"},
    {"{\"routed_experts\":[[[1,2],[3]]]}\n", "expected arrays of one length"},
    {"{\"routed_experts\":[[[1,2]],[[1,2],[3,4]]]}\n", "expected arrays of one length"},
    {"{\"routed_experts\":[[[32767]]]}\n", "column 22: expected an expert from -1 to 32766"},
    {"{\"routed_experts\":[[[-2]]]}\n", "expected an expert from -1 to 32766"},
    {"{\"routed_experts\":[[[1.5]]]}\n", "expected a comma or the end of the array"},
    {"{\"routed_experts\":[[1]]}\n", "expected an array of experts"},
    {"{\"routed_experts\":[1]}\n", "expected an array of arrays"},
    {"{\"routed_experts\":[[[]]]}\n", "expected an array [tokens][layers][k]"},
    {"{\"routed_experts\":7}\n", "expected a string of base64"},
    {"{\"routed_experts\":\"A!\"}\n", "expected base64"},
    {"{\"routed_experts\":\"AAAAA\"}\n", "expected the end of the base64"},
    {"{\"routed_experts\":\"AAAA\"}\n", "expected a shape that says layers and k"},
    {"{\"routed_experts\":\"k05VTVBZ\"}\n", "line 1: base64: array 1: expected format 1.0"},
    {"{\"routed_experts\":{\"dtype\":\"int16\",\"shape\":[1,1,2],\"data\":\"AAAA\"}}\n",
     "expected as much data as the shape says"},
    {"{\"routed_experts\":{\"dtype\":\"float\",\"shape\":[1,1,2],\"data\":\"AAAA\"}}\n",
     "expected a dtype"},
    {"{\"routed_experts\":{\"dtype\":\"int8\",\"shape\":[1,1],\"data\":\"AAAA\"}}\n",
     "expected a shape"},
    {"{\"routed_experts\":{\"dtype\":\"int8\",\"shape\":[1099511627776,1099511627776,4],"
     "\"data\":\"AAAA\"}}\n", "expected as much data"},
    {"{\"routed_experts\":[[[1]]]\n", "expected ',' or '}'"},
    {"{\"routed_experts\":[[[1]]]}\n{\"routed_experts\":[[[1,2]]]}\n",
     "line 2: expected 1 layers of 1 experts as before, found 1 of 2"},
    {"{\"exp_ids\":\"AAAA\"}\n", "expected lists [tokens][k][layers]"},
};

static void texts_that_lie(void) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err err;
        struct routed_set *s = read_text(refused[i].text, &(struct routed_options){0}, &err);
        CHECK(!s);
        if (s || !strstr(err.text, refused[i].words)) {
            printf("# text %zu: \"%s\", expected \"%s\"\n", i, err.text, refused[i].words);
            check_bad++;
        }
        routed_set_free(s);
    }
}

/* ---- .npy files that lie ---------------------------------------------------------------- */

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
        {"'<i2'", "found none with tokens", {0, 2, 3}, 3},
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

/* ---- a shape ---------------------------------------------------------------------------- */

/* Of layers 0 to 2 the last two have experts. An array may have all three or those two. */
static void shapes_number_layers(void) {
    struct shape_layer layer[3] = {{.d_ff = 9}, {.experts = 8, .top_k = 2},
                                   {.experts = 8, .top_k = 2}};
    int64_t dense[3] = {1, 2, 3};
    int64_t expert[3] = {0, 20, 30};
    const struct shape shape = {.name = "s", .layers = 3, .layer = layer, .dense_bytes = dense,
                                .expert_bytes = expert};
    const struct routed_options opt = {.shape = &shape};
    static const int16_t want[] = {1, 2, 3, 4};
    static const char *const texts[] = {
        "{\"routed_experts\":[[[0,0],[1,2],[3,4]]]}\n", "{\"routed_experts\":[[[1,2],[3,4]]]}\n",
        "{\"routed_experts\":{\"dtype\":\"uint8\",\"shape\":[1,2,2],\"data\":\"AQIDBA==\"}}\n",
        /* int32 of all layers, and of those with experts */
        "{\"meta_info\":{\"routed_experts\":\"AAAAAAAAAAABAAAAAgAAAAMAAAAEAAAA\"}}\n",
        "{\"sgl_ext\":{\"routed_experts\":\"AQAAAAIAAAADAAAABAAAAA==\"}}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err err;
        struct routed_set *s = read_text(texts[i], &opt, &err);
        CHECK_STR(err.text, "");
        if (!s)
            continue;
        CHECK_INT(s->model.layers, 2);
        CHECK_INT(s->model.experts, 8);
        CHECK_INT(s->model.layer_index[0], 1);
        CHECK_NEAR(s->model.expert_bytes[1], 30, 0);
        CHECK_NEAR(s->model.dense_bytes[0], 2, 0);
        CHECK(s->tokens == 1 && !memcmp(s->expert, want, sizeof want));
        routed_set_free(s);
    }
    struct err err;
    CHECK(!read_text("{\"routed_experts\":[[[1,2]]]}\n", &opt, &err));
    CHECK(strstr(err.text, "expected the 3 layers of s or the 2 of them with experts, found 1"));
    CHECK(!read_text("{\"routed_experts\":[[[1,8],[0,0]]]}\n", &opt, &err));
    CHECK(strstr(err.text, "token 0, layer 1: expected an expert from -1 to 7, found 8"));
}

/* What servers say of prompts, and which tokens are then decoded. */
static void prompts_are_told_apart(void) {
    static const struct {
        const char *text;
        int64_t passes;
        const char *phases;     /* p or d of each token */
        uint32_t position;      /* of the first */
    } cases[] = {
        {"{\"choices\":[{\"routed_experts\":[[[1]],[[2]],[[3]]]}],"
         "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2}}\n", 2, "ppd", 0},
        {"{\"choices\":[{\"routed_experts\":[[[1]],[[2]],[[3]]]}],"
         "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n", 3, "ddd", 9},
        {"{\"choices\":[{\"routed_experts\":[[[1]],[[2]],[[3]]]}]}\n", 3, "ppp", 0},
        {"{\"prompt_routed_experts\":[[[1]],[[2]]],\"choices\":[{\"routed_experts\":null}]}\n", 1,
         "pp", 0},
        {"{\"prompt_routed_experts\":[[[1]]],\"choices\":[{\"routed_experts\":[]},"
         "{\"routed_experts\":[[[1]],[[2]]]}]}\n", 4, "ppdd", 0},
        {"{\"prompt_routed_experts\":null,\"choices\":[{\"routed_experts\":[[[1]]]}]}\n", 1, "p",
         0},
        {"{\"prompt_token_ids\":[5,6],\"outputs\":[{\"token_ids\":[1,2],"
         "\"routed_experts\":[[[1]],[[2]],[[0]]]}]}\n", 2, "ppd", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        struct routed_set *s = read_text(cases[i].text, &(struct routed_options){0}, &err);
        CHECK_STR(err.text, "");
        if (!s)
            continue;
        CHECK_INT(s->passes, cases[i].passes);
        CHECK_INT(s->tokens, strlen(cases[i].phases));
        for (int64_t k = 0; k < s->tokens; k++)
            CHECK_INT(s->phase[k], cases[i].phases[k] == 'd');
        CHECK_INT(s->position[0], cases[i].position);
        routed_set_free(s);
    }
}

int main(void) {
    RUN(all_forms_say_the_same);
    RUN(every_dtype);
    RUN(large_passes_come_in_pieces);
    RUN(csv_of_several_turns);
    RUN(texts_that_lie);
    RUN(streams_that_lie);
    RUN(huge_claims_cost_nothing);
    RUN(shapes_number_layers);
    RUN(prompts_are_told_apart);
    scratch_remove();
    return check_done();
}
