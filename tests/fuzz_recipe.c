/* fuzz_recipe.c - hostile recipes: read, and applied to a small model
 *
 * How it is run, and as what else: fuzz.h. Lines are put together from words that are mostly right,
 * then bytes are changed, dropped or doubled. Whatever comes, each tensor gets a type whose blocks
 * fit its rows, or there is an error that names a place.
 */
#include "tests/fuzz.h"

#include "lib/quant/recipe.h"

enum { READ = 1, APPLIED = 2 };

/* ---- the target ------------------------------------------------------------------------- */

static struct source_tensor tensors[] = {
    {.name = "token_embd.weight", .type = KERN_F16, .ne = {256, 64, 1, 1}, .rows = 64},
    {.name = "blk.0.attn_norm.weight", .type = KERN_F32, .ne = {256, 1, 1, 1}, .rows = 1},
    {.name = "blk.0.attn_q.weight", .type = KERN_F16, .ne = {256, 256, 1, 1}, .rows = 256},
    {.name = "blk.0.attn_v.weight", .type = KERN_Q6_K, .ne = {256, 64, 1, 1}, .rows = 64},
    {.name = "blk.1.ffn_down.weight", .type = KERN_F16, .ne = {96, 256, 1, 1}, .rows = 256},
    {.name = "blk.1.ffn_up.weight", .type = 16, .ne = {256, 96, 1, 1}, .rows = 96},
    {.name = "blk.10.ffn_up.weight", .type = KERN_F16, .ne = {37, 96, 1, 1}, .rows = 96},
};
enum { TENSORS = sizeof tensors / sizeof *tensors };

static char model_name[] = "model";
static struct source model = {.path = model_name, .arch = "llama", .tensor = tensors,
                              .tensors = TENSORS, .layers = 11, .heads = 4, .kv_heads = 1};

static void check_choice(const struct source_tensor *t, const struct ftype_choice *c) {
    if (c->type == t->type)
        return;
    NEED(c->why && kern_type_info(c->type));
    NEED(t->ne[0] % kern_type_info(c->type)->block == 0);
    NEED(ftype_quantizes(&model, t) || kern_type_info(c->type)->block == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct ftype_choice c[TENSORS] = {{0}};
    struct recipe *r = recipe_new();
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    int rc = recipe_parse(r, "in", (const char *)data, len, &fuzz_last);
    NEED(!rc || !strncmp(fuzz_last.text, "in", 2));
    for (int i = 0; i < TENSORS; i++)
        c[i].type = tensors[i].type;
    if (!rc) {
        fuzz_outcome |= READ;
        rc = recipe_apply(r, &model, 1, c, &fuzz_last);
        NEED(!rc || !strncmp(fuzz_last.text, "in:", 3));
        fuzz_outcome |= rc ? 0 : APPLIED;
    }
    for (int i = 0; !rc && i < TENSORS; i++)
        check_choice(&tensors[i], &c[i]);
    recipe_free(r);
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts ------------------------------------------------------------------------------- */

static const char *const texts[] = {
    "# small\n*.attn_v.* = q8_0\nblk.[0-9].* = keep # these\n* = q4_k_m\n",
    "token_embd.weight=f16\r\nblk.?.ffn_*=q5_k\r\n*=q2_k_s",
    "blk.0.attn_norm.weight = f32\n\n  *\t=\tIQ4_XS  \n"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

static const char *pick(void) {
    static const char *const words[] = {
        "*", "?", "[", "[!a", "[0-9]", "]", "blk.", "*.attn_q.weight", "*ffn_up*", "*norm*",
        "blk.0.attn_norm.weight", "token_embd.weight", " = ", "=", "==", "q4_0", "q4_k", "q6_k",
        "f16", "f32", "bf16", "keep", "KEEP", "q4_k_m", "mxfp4_moe", "q2_k_s", "iq4_xs", "q9", "#",
        "\n", "\r\n", "\t", "***************", "[[:alpha:]]", "\\"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void make_input(struct buf *b, int i) {
    static const char *const types[] = {"q4_0", "keep", "q4_k_m", "f16", "q6_k"};
    b->len = 0;
    buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(4); n; n--) {
        for (size_t k = 1 + fuzz_below(3); k; k--)
            buf_adds(b, pick());
        buf_printf(b, " = %s\n", types[fuzz_below(sizeof types / sizeof *types)]);
    }
    for (size_t n = fuzz_below(4); n && b->len; n--)
        fuzz_change_text(b, pick());
}

int main(int argc, char **argv) {
    static const int expected[STARTS] = {READ | APPLIED, READ | APPLIED, READ | APPLIED};
    static const struct fuzz f = {.name = "fuzz_recipe", .suffix = ".recipe", .starts = STARTS,
                                  .outcome = {"read", "applied", NULL}, .texts = texts,
                                  .expected = expected, .make = make_input};
    return fuzz_main(&f, argc, argv);
}

#endif
