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
    {HEAD COLUMNS "0,0,0,0,0,1x,1\n", "line 4: expected a whole number as expert, found '1x'"},
    {HEAD "turn,turn,turn,step,layer,slot,expert\n0,0,1,0,0,0,2\n", "each of them once"},
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

static void nothing_is_no_error(void) {
    static const char *const texts[] = {
        "", "\n", " \n\n                 \r\n", "{\"routed_experts\":[]}\n",
        "{}\n{\"choices\":[{\"routed_experts\":[]}]}\n"};
    static const char *const where[] = {"phase=decode"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err err;
        const struct routed_options opt = {.where = where, .wheres = i % 2};
        struct routed_set *s = read_text(texts[i], &opt, &err);
        CHECK(s && s->tokens == 0 && s->passes == 0 && s->model.layers == 0);
        routed_set_free(s);
    }
}

/* A walk that follows such a line to its end has no stack for it. */
static void deep_lines_are_refused(void) {
    struct buf b = {0};
    struct err err;
    buf_adds(&b, "{\"choices\":[{");
    for (int i = 0; i < 300000; i++)
        buf_adds(&b, "\"sgl_ext\":{");
    for (int i = 0; i < 300000; i++)
        buf_addc(&b, '}');
    buf_adds(&b, "}]}\n");
    CHECK(!read_text(b.data, &(struct routed_options){0}, &err));
    CHECK(strstr(err.text, "nested less than 1024 deep"));
    buf_free(&b);
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
    RUN(nothing_is_no_error);
    RUN(deep_lines_are_refused);
    RUN(shapes_number_layers);
    RUN(prompts_are_told_apart);
    scratch_remove();
    return check_done();
}
