/* test_recipe.c - recipes: what is read, what is refused with which words, which rule wins */
#include "lib/quant/recipe.h"
#include "tests/check.h"
#include "tests/scratch.h"

/* ---- a model ---------------------------------------------------------------------------- */

enum { EMBD, NORM, Q, V, DOWN, ROUTER, EXPERTS, OUT, TENSORS };

static struct source_tensor tensors[TENSORS] = {
    [EMBD] = {.name = "token_embd.weight", .type = KERN_F16, .ne = {256, 64, 1, 1}},
    [NORM] = {.name = "blk.0.attn_norm.weight", .type = KERN_F32, .ne = {256, 1, 1, 1}},
    [Q] = {.name = "blk.0.attn_q.weight", .type = KERN_F16, .ne = {256, 256, 1, 1}},
    [V] = {.name = "blk.0.attn_v.weight", .type = KERN_F16, .ne = {256, 64, 1, 1}},
    [DOWN] = {.name = "blk.0.ffn_down_exps.weight", .type = KERN_F16, .ne = {96, 256, 4, 1}},
    [ROUTER] = {.name = "blk.0.ffn_gate_inp.weight", .type = KERN_F32, .ne = {256, 4, 1, 1}},
    [EXPERTS] = {.name = "blk.0.ffn_up_exps.weight", .type = KERN_F16, .ne = {256, 96, 4, 1}},
    [OUT] = {.name = "output.weight", .type = KERN_F16, .ne = {256, 64, 1, 1}},
};

static char model_name[] = "model.gguf";
static struct source model = {.path = model_name, .arch = "llama", .tensor = tensors,
                              .tensors = TENSORS, .layers = 1, .heads = 4, .kv_heads = 1,
                              .experts = 4};

/* A recipe file of this text; the reason why not in *err. */
static struct recipe *read_text(const char *text, struct err *err) {
    struct recipe *r = recipe_new();
    char *path = scratch_path("a.recipe");
    *err = (struct err){{0}};
    scratch_write(path, text, strlen(text));
    if (recipe_read(r, path, err)) {
        recipe_free(r);
        r = NULL;
    }
    free(path);
    return r;
}

/* Applies a text to the model, whose tensors all keep their types otherwise; -1 with the reason. */
static int apply(const char *text, struct ftype_choice *c, struct err *err) {
    struct recipe *r = read_text(text, err);
    if (!r)
        return -1;
    for (int i = 0; i < TENSORS; i++)
        c[i] = (struct ftype_choice){.type = tensors[i].type, .wanted = tensors[i].type};
    int rc = recipe_apply(r, &model, 0, c, err);
    for (int i = 0; i < TENSORS; i++)
        c[i].why = NULL;        /* r's */
    recipe_free(r);
    return rc;
}

/* ---- reading ---------------------------------------------------------------------------- */

static void lines_are_read(void) {
    struct err e;
    struct recipe *r = read_text("# a comment\n\n  *.attn_v.* = q8_0   # and why\n"
                                 "blk.[0-3].*=KEEP\r\n\toutput.weight\t=\tQ6_K\n* = q4_k_m", &e);
    CHECK_STR(e.text, "");
    if (!r)
        return;
    CHECK_INT(r->rules, 4);
    CHECK_STR(r->rule[0].glob, "*.attn_v.*");
    CHECK_INT(r->rule[0].type, KERN_Q8_0);
    CHECK(strstr(r->rule[0].place, "a.recipe:3"));
    CHECK_STR(r->rule[1].glob, "blk.[0-3].*");
    CHECK_INT(r->rule[1].type, RECIPE_KEEP);
    CHECK_STR(r->rule[2].glob, "output.weight");
    CHECK_INT(r->rule[2].type, KERN_Q6_K);
    CHECK(strstr(r->rule[2].place, "a.recipe:5"));
    CHECK_INT(r->rule[3].type, RECIPE_MIX);
    CHECK_STR(r->rule[3].mix->name, "q4_k_m");
    recipe_free(r);
    r = read_text("", &e);
    CHECK(r && r->rules == 0);
    recipe_free(r);
}

static void bad_lines_are_named(void) {
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"* q4_0\n", "a.recipe:1: '* q4_0': expected GLOB = TYPE"},
        {"\n= q4_0\n", "a.recipe:2: ' = q4_0': expected GLOB = TYPE"},
        {"* =\n", "a.recipe:1: '* = ': expected GLOB = TYPE"},
        {"* = # q4_0\n", "a.recipe:1: '* = ': expected GLOB = TYPE"},
        {"*=q4_0\n*=q9\n", "a.recipe:2: 'q9' is no type: expected f32, f16, q4_0"},
        {"* = q4_0 q5_0\n", "a.recipe:1: 'q4_0 q5_0' is no type"},
        {"* = q4_0 = q5_0\n", "a.recipe:1: 'q4_0 = q5_0' is no type"},
    };
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!read_text(bad[i].text, &e));
        if (!strstr(e.text, bad[i].words))
            CHECK_STR(e.text, bad[i].words);
    }
    struct recipe *r = recipe_new();
    CHECK(recipe_add(r, "x", &e));
    CHECK_STR(e.text, "--tensor: 'x': expected GLOB = TYPE");
    CHECK(recipe_read(r, "no/such.recipe", &e));
    CHECK(strstr(e.text, "no/such.recipe: No such file"));
    char *path = scratch_path("zero.recipe");
    scratch_write(path, "a\0b = q4_0\n", 11);
    CHECK(recipe_read(r, path, &e));
    CHECK(strstr(e.text, "zero.recipe:1: a zero byte"));
    free(path);
    recipe_free(r);
}

/* ---- applying --------------------------------------------------------------------------- */

static void the_first_match_wins(void) {
    struct ftype_choice c[TENSORS];
    struct err e;
    CHECK_INT(apply("*.attn_v.* = q8_0\nblk.* = q4_0\n*_exps.* = q5_0\n", c, &e), 0);
    CHECK_INT(c[V].type, KERN_Q8_0);
    CHECK_INT(c[Q].type, KERN_Q4_0);
    CHECK_INT(c[EXPERTS].type, KERN_Q4_0);
    CHECK_INT(c[EMBD].type, KERN_F16);
    CHECK_INT(c[NORM].type, KERN_F32);
    CHECK_INT(c[ROUTER].type, KERN_F32);
    CHECK_INT(apply("*.attn_?.* = keep\n* = q4_k\n", c, &e), 0);
    CHECK_INT(c[V].type, KERN_F16);
    CHECK_INT(c[OUT].type, KERN_Q4_K);
    CHECK_INT(c[DOWN].wanted, KERN_Q4_K);
    CHECK_INT(c[DOWN].type, KERN_Q5_0);     /* 96 columns */
}

static void a_mix_gives_what_it_gives_the_whole_model(void) {
    struct ftype_choice c[TENSORS];
    struct err e;
    int type[TENSORS];
    ftype_assign(ftype_find("q3_k_l"), &model, 0, type);
    CHECK_INT(apply("output.weight = f16\n* = q3_k_l\n", c, &e), 0);
    for (int i = 0; i < OUT; i++)
        CHECK_INT(c[i].type, type[i]);
    CHECK_INT(c[OUT].type, KERN_F16);
    CHECK_INT(c[V].type, KERN_Q5_K);
}

static void norms_are_meant_by_full_name_alone(void) {
    struct ftype_choice c[TENSORS];
    struct err e;
    CHECK_INT(apply("blk.0.ffn_gate_inp.weight = f16\n* = q4_0\n", c, &e), 0);
    CHECK_INT(c[ROUTER].type, KERN_F16);
    CHECK_INT(c[NORM].type, KERN_F32);
    CHECK_INT(apply("blk.0.attn_norm.weight = q4_0\n", c, &e), -1);
    CHECK(strstr(e.text, "a.recipe:1: \"blk.0.attn_norm.weight\" is never quantized (norm)"));
    CHECK_INT(apply("blk.0.attn_norm.weight = keep\n", c, &e), 0);
}

static void rules_that_match_nothing_are_named(void) {
    struct ftype_choice c[TENSORS];
    struct err e;
    CHECK_INT(apply("* = q4_0\n*.attn_w.* = q4_0\n", c, &e), -1);
    CHECK(strstr(e.text, "a.recipe:2: '*.attn_w.*' matches no tensor of model.gguf"));
    CHECK_INT(apply("*norm* = f16\n", c, &e), -1);
    CHECK(strstr(e.text, "but those that are never quantized"));
    CHECK_INT(apply("blk.0.attn_q = f16\n", c, &e), -1);    /* the whole name */
    /* Behind others that take all that it matches: fine. */
    CHECK_INT(apply("* = q4_0\n*.attn_v.* = q8_0\n", c, &e), 0);
    CHECK_INT(c[V].type, KERN_Q4_0);
}

static void rules_of_the_command_line_come_first(void) {
    struct ftype_choice c[TENSORS] = {{0}};
    struct err e;
    struct recipe *r = recipe_new();
    char *path = scratch_path("b.recipe");
    scratch_write(path, "* = q4_0\n", 9);
    CHECK_INT(recipe_add(r, "*.attn_q.*=q8_0", &e), 0);
    CHECK_INT(recipe_read(r, path, &e), 0);
    CHECK_INT(recipe_apply(r, &model, 0, c, &e), 0);
    CHECK_INT(c[Q].type, KERN_Q8_0);
    CHECK_STR(c[Q].why, "--tensor");
    CHECK_INT(c[V].type, KERN_Q4_0);
    CHECK(strstr(c[V].why, "b.recipe:1"));
    free(path);
    recipe_free(r);
}

int main(void) {
    for (int i = 0; i < TENSORS; i++)
        tensors[i].rows = tensors[i].ne[1] * tensors[i].ne[2];
    RUN(lines_are_read);
    RUN(bad_lines_are_named);
    RUN(the_first_match_wins);
    RUN(a_mix_gives_what_it_gives_the_whole_model);
    RUN(norms_are_meant_by_full_name_alone);
    RUN(rules_that_match_nothing_are_named);
    RUN(rules_of_the_command_line_come_first);
    scratch_remove();
    return check_done();
}
